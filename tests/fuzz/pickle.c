/* One pickle of torch.save: every node that comes of it is looked at. */
#include "loader/pickle.h"

#include "fuzz.h"

static void look_at_storage(const rp_pickle_storage *s) {
    volatile unsigned char byte;
    FUZZ_CHECK(s->type < RP_PICKLE_ELEMENTS);
    FUZZ_CHECK(s->begin <= s->elements && s->size <= s->elements - s->begin);
    for (uint32_t i = 0; i < s->key_size; i++) byte = s->key[i];
    (void)byte;
}

static void look(const rp_pickle *pickle, const rp_pickle_node *node) {
    volatile unsigned char byte;
    switch ((rp_pickle_kind)node->kind) {
    case RP_PICKLE_LONG:
    case RP_PICKLE_TEXT:
        for (uint32_t i = 0; i < node->count; i++) byte = node->text[i];
        (void)byte;
        break;
    case RP_PICKLE_TUPLE:
    case RP_PICKLE_LIST:
    case RP_PICKLE_DICT:
        FUZZ_CHECK(node->kind != RP_PICKLE_DICT || node->count % 2 == 0);
        for (uint32_t i = 0; i < node->count; i++) FUZZ_CHECK(node->items[i] < pickle->count);
        break;
    case RP_PICKLE_STORAGE: {
        rp_pickle_storage s = rp_pickle_storage_of(pickle, node);
        look_at_storage(&s);
        break;
    }
    case RP_PICKLE_TENSOR: {
        rp_pickle_tensor t = rp_pickle_tensor_of(pickle, node);
        look_at_storage(&t.storage);
        FUZZ_CHECK(t.rank <= RP_PICKLE_MAX_RANK);
        for (uint32_t i = 0; i < t.rank; i++) {
            FUZZ_CHECK(pickle->nodes[t.sizes[i]].integer >= 0);
            FUZZ_CHECK(pickle->nodes[t.strides[i]].integer >= 0);
        }
        break;
    }
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_pickle pickle;
    rp_error err = {0};
    if (fuzz_status(rp_pickle_read(data, size, "a file", "a part", &pickle, &err), &err)) return 0;
    FUZZ_CHECK(pickle.root < pickle.count && pickle.count <= size && pickle.used <= size);
    for (size_t i = 0; i < pickle.count; i++) look(&pickle, &pickle.nodes[i]);
    rp_pickle_finish(&pickle);
    return 0;
}
