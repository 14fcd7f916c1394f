#include "loader/pickle_build.h"

#include <stdio.h>

enum { SHOWN_TEXT = 100 };

static const struct {
    const char *module, *name;
} globals[] = {
    [RP_PICKLE_F32] = {"torch", "FloatStorage"},
    [RP_PICKLE_F16] = {"torch", "HalfStorage"},
    [RP_PICKLE_BF16] = {"torch", "BFloat16Storage"},
    [RP_PICKLE_F64] = {"torch", "DoubleStorage"},
    [RP_PICKLE_I64] = {"torch", "LongStorage"},
    [RP_PICKLE_I32] = {"torch", "IntStorage"},
    [RP_PICKLE_I16] = {"torch", "ShortStorage"},
    [RP_PICKLE_I8] = {"torch", "CharStorage"},
    [RP_PICKLE_U8] = {"torch", "ByteStorage"},
    [RP_PICKLE_BOOLS] = {"torch", "BoolStorage"},
    [RP_PICKLE_C64] = {"torch", "ComplexFloatStorage"},
    [RP_PICKLE_C128] = {"torch", "ComplexDoubleStorage"},
    [RP_PICKLE_ORDERED_DICT] = {"collections", "OrderedDict"},
    [RP_PICKLE_REBUILD_TENSOR_V2] = {"torch._utils", "_rebuild_tensor_v2"},
    [RP_PICKLE_REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor"},
    [RP_PICKLE_REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter"},
};

static bool is_word(const unsigned char *text, size_t size, const char *word) {
    return strlen(word) == size && !memcmp(text, word, size);
}

bool rp_pickle_is_text(const rp_pickle_node *node, const char *text) {
    return node->kind == RP_PICKLE_TEXT && is_word(node->text, node->count, text);
}

/* True when classes of whole modules come from there, and not functions. */
static bool has_modules(const unsigned char *module, size_t size) {
    static const char *const places[] = {"torch.nn.", "transformers.", "sentence_transformers.", "__main__"};
    for (size_t i = 0; i < RP_COUNT(places); i++)
        if (size >= strlen(places[i]) && !memcmp(module, places[i], strlen(places[i]))) return true;
    return false;
}

rp_status rp_pickle_push_global(rp_pickle_machine *m, const unsigned char *module, size_t module_size,
                                const unsigned char *name, size_t name_size) {
    for (size_t i = 0; i < RP_COUNT(globals); i++)
        if (is_word(module, module_size, globals[i].module) && is_word(name, name_size, globals[i].name))
            return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_GLOBAL, .tag = (uint8_t)i});
    int module_shown = (int)(module_size < SHOWN_TEXT ? module_size : SHOWN_TEXT);
    int name_shown = (int)(name_size < SHOWN_TEXT / 2 ? name_size : SHOWN_TEXT / 2);
    return rp_pickle_fail(m, RP_ERROR_UNSUPPORTED,
                          "the global %.*s.%.*s is not one that weights need, so it is not executed; %s",
                          module_shown, (const char *)module, name_shown, (const char *)name,
                          has_modules(module, module_size)
                              ? "a pickled module: save torch.save(model.state_dict(), PATH)"
                              : "save torch.save(model.state_dict(), PATH)");
}

/* ---- storages ---- */

static const rp_pickle_node *node_of(const rp_pickle *pickle, uint32_t number) {
    return &pickle->nodes[number];
}

static const rp_pickle_node *item_of(const rp_pickle *pickle, const rp_pickle_node *tuple, size_t i) {
    return node_of(pickle, tuple->items[i]);
}

static bool is_natural(const rp_pickle_node *node) {
    return node->kind == RP_PICKLE_INTEGER && node->integer >= 0;
}

/* Very old files have a sixth item: which part of the data the storage is, as (key, begin, size). */
static bool is_part(const rp_pickle *pickle, const rp_pickle_node *part, uint64_t elements) {
    if (part->kind == RP_PICKLE_NONE) return true;
    if (part->kind != RP_PICKLE_TUPLE || part->count != 3) return false;
    const rp_pickle_node *begin = item_of(pickle, part, 1), *size = item_of(pickle, part, 2);
    return is_natural(begin) && is_natural(size) && (uint64_t)begin->integer <= elements &&
           (uint64_t)size->integer <= elements - (uint64_t)begin->integer;
}

/* ("storage", type, key, location, elements) */
static bool is_storage(const rp_pickle *pickle, const rp_pickle_node *id) {
    if (id->kind != RP_PICKLE_TUPLE || id->count < 5 || id->count > 6) return false;
    const rp_pickle_node *type = item_of(pickle, id, 1), *elements = item_of(pickle, id, 4);
    return rp_pickle_is_text(item_of(pickle, id, 0), "storage") && type->kind == RP_PICKLE_GLOBAL &&
           type->tag < RP_PICKLE_ELEMENTS && item_of(pickle, id, 2)->kind == RP_PICKLE_TEXT &&
           is_natural(elements) &&
           (id->count == 5 || is_part(pickle, item_of(pickle, id, 5), (uint64_t)elements->integer));
}

rp_status rp_pickle_push_storage(rp_pickle_machine *m, uint32_t id) {
    const rp_pickle_node *tuple = node_of(m->out, id);
    if (tuple->kind == RP_PICKLE_TUPLE && tuple->count &&
        rp_pickle_is_text(item_of(m->out, tuple, 0), "module"))
        return rp_pickle_fail(m, RP_ERROR_UNSUPPORTED,
                              "the file holds a whole pickled module, whose code is not executed; "
                              "save torch.save(model.state_dict(), PATH)");
    if (!is_storage(m->out, tuple))
        return rp_pickle_fail(m, RP_ERROR_FORMAT,
                              "the persistent id is not that of a storage: (\"storage\", type, key, "
                              "location, elements); fetch the file again");
    return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_STORAGE, .arguments = id});
}

rp_pickle_storage rp_pickle_storage_of(const rp_pickle *pickle, const rp_pickle_node *node) {
    const rp_pickle_node *id = node_of(pickle, node->arguments), *key = item_of(pickle, id, 2);
    uint64_t elements = (uint64_t)item_of(pickle, id, 4)->integer;
    rp_pickle_storage storage = {.type = (rp_pickle_global)item_of(pickle, id, 1)->tag,
                                 .key = key->text,
                                 .key_size = key->count,
                                 .elements = elements,
                                 .size = elements};
    if (id->count == 6 && item_of(pickle, id, 5)->kind == RP_PICKLE_TUPLE) {
        const rp_pickle_node *part = item_of(pickle, id, 5);
        storage.begin = (uint64_t)item_of(pickle, part, 1)->integer;
        storage.size = (uint64_t)item_of(pickle, part, 2)->integer;
    }
    return storage;
}

/* ---- tensors ---- */

static bool is_natural_tuple(const rp_pickle *pickle, const rp_pickle_node *node) {
    if (node->kind != RP_PICKLE_TUPLE || node->count > RP_PICKLE_MAX_RANK) return false;
    for (uint32_t i = 0; i < node->count; i++)
        if (!is_natural(item_of(pickle, node, i))) return false;
    return true;
}

/* (storage, offset, sizes, strides, ...) */
static bool is_tensor(const rp_pickle *pickle, const rp_pickle_node *tuple) {
    const rp_pickle_node *sizes = item_of(pickle, tuple, 2), *strides = item_of(pickle, tuple, 3);
    return item_of(pickle, tuple, 0)->kind == RP_PICKLE_STORAGE && is_natural(item_of(pickle, tuple, 1)) &&
           is_natural_tuple(pickle, sizes) && is_natural_tuple(pickle, strides) &&
           sizes->count == strides->count;
}

rp_pickle_tensor rp_pickle_tensor_of(const rp_pickle *pickle, const rp_pickle_node *node) {
    const rp_pickle_node *tuple = node_of(pickle, node->arguments), *sizes = item_of(pickle, tuple, 2);
    return (rp_pickle_tensor){.storage = rp_pickle_storage_of(pickle, item_of(pickle, tuple, 0)),
                              .offset = (uint64_t)item_of(pickle, tuple, 1)->integer,
                              .rank = sizes->count,
                              .sizes = sizes->items,
                              .strides = item_of(pickle, tuple, 3)->items,
                              .metadata = tuple->count == 7 ? item_of(pickle, tuple, 6) : NULL};
}

/* ---- calls ---- */

static rp_status fail_call(rp_pickle_machine *m, rp_pickle_global callable) {
    return rp_pickle_fail(m, RP_ERROR_FORMAT,
                          "%s.%s is called with other arguments than torch.save writes; fetch the file again",
                          globals[callable].module, globals[callable].name);
}

/* OrderedDict() and, from Python 2, OrderedDict([[key, value], ...]). */
static rp_status make_dict(rp_pickle_machine *m, uint32_t arguments) {
    uint32_t dict = (uint32_t)m->out->count;
    rp_status status = rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_DICT});
    const rp_pickle_node *tuple = node_of(m->out, arguments);
    if (status || tuple->count == 0) return status;
    const rp_pickle_node *list = item_of(m->out, tuple, 0);
    if (tuple->count != 1 || list->kind != RP_PICKLE_LIST) return fail_call(m, RP_PICKLE_ORDERED_DICT);
    m->copied += list->count; // one list could be made into any number of dicts
    if (m->copied > m->size) return fail_call(m, RP_PICKLE_ORDERED_DICT);
    for (uint32_t i = 0; !status && i < list->count; i++) {
        const rp_pickle_node *pair = item_of(m->out, list, i);
        bool good = (pair->kind == RP_PICKLE_LIST || pair->kind == RP_PICKLE_TUPLE) && pair->count == 2;
        status = good ? rp_pickle_extend(m, dict, pair->items, 2) : fail_call(m, RP_PICKLE_ORDERED_DICT);
    }
    return status;
}

rp_status rp_pickle_reduce(rp_pickle_machine *m, uint32_t callable, uint32_t arguments) {
    const rp_pickle_node *function = node_of(m->out, callable), *tuple = node_of(m->out, arguments);
    if (function->kind != RP_PICKLE_GLOBAL || tuple->kind != RP_PICKLE_TUPLE)
        return rp_pickle_fail(m, RP_ERROR_FORMAT,
                              "what is called is no function, or not with a tuple; fetch the file again");
    rp_pickle_global tag = (rp_pickle_global)function->tag;
    bool v2 = tag == RP_PICKLE_REBUILD_TENSOR_V2 && (tuple->count == 6 || tuple->count == 7);
    bool v1 = tag == RP_PICKLE_REBUILD_TENSOR && tuple->count == 4;
    if (tag == RP_PICKLE_ORDERED_DICT) return make_dict(m, arguments);
    if ((v1 || v2) && is_tensor(m->out, tuple))
        return rp_pickle_push_new(m, (rp_pickle_node){.kind = RP_PICKLE_TENSOR, .arguments = arguments});
    if (tag == RP_PICKLE_REBUILD_PARAMETER && tuple->count == 3 &&
        item_of(m->out, tuple, 0)->kind == RP_PICKLE_TENSOR)
        return rp_pickle_push_new(m, *item_of(m->out, tuple, 0));
    return fail_call(m, tag);
}
