#include "loader/pytorch.h"

#include <stdio.h>

#include "loader/json.h"
#include "loader/pickle.h"
#include "loader/zip.h"

enum { SHOWN_NAME = 120, KEY_SIZE = 64, NAME_SIZE = 512 };

static const struct {
    const char *name;
    uint32_t size;
    rp_element element;
} types[RP_PICKLE_ELEMENTS] = {
    [RP_PICKLE_F32] = {"float32", 4, RP_ELEMENT_F32},
    [RP_PICKLE_F16] = {"float16", 2, RP_ELEMENT_F16},
    [RP_PICKLE_BF16] = {"bfloat16", 2, RP_ELEMENT_BF16},
    [RP_PICKLE_F64] = {"float64", 8, RP_ELEMENT_F64},
    [RP_PICKLE_I64] = {"int64", 8, RP_ELEMENT_OTHER},
    [RP_PICKLE_I32] = {"int32", 4, RP_ELEMENT_OTHER},
    [RP_PICKLE_I16] = {"int16", 2, RP_ELEMENT_OTHER},
    [RP_PICKLE_I8] = {"int8", 1, RP_ELEMENT_OTHER},
    [RP_PICKLE_U8] = {"uint8", 1, RP_ELEMENT_OTHER},
    [RP_PICKLE_BOOLS] = {"bool", 1, RP_ELEMENT_OTHER},
    [RP_PICKLE_C64] = {"complex64", 8, RP_ELEMENT_OTHER},
    [RP_PICKLE_C128] = {"complex128", 16, RP_ELEMENT_OTHER},
};

/* The data of a storage in a file from before torch 1.6. */
typedef struct storage {
    rp_pickle_storage of;
    const unsigned char *data; /* NULL: not come to yet */
} storage;

/* A file while it is opened. */
typedef struct reader {
    rp_tensor_file *file;
    rp_error *err;
    rp_pickle state;
    rp_zip zip;           /* of no entries in a file from before 1.6 */
    char name[NAME_SIZE]; /* of the archive's entries, "archive/data.pkl" */
    size_t prefix;        /* how much of it all entries begin with */
    bool swapped;         /* numbers stand with their most significant byte first */
    storage *storages;    /* [storage_count], by key */
    size_t storage_count;
} reader;

static rp_status fail(const reader *r, rp_status status, const char *what) {
    return rp_fail(r->err, status, "%s: %s", rp_path_shown(r->file->path), what);
}

static rp_status fail_key(const reader *r, const rp_pickle_storage *s, const char *what) {
    int shown = (int)(s->key_size < KEY_SIZE ? s->key_size : KEY_SIZE);
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: storage %.*s: %s; fetch the file again",
                   rp_path_shown(r->file->path), shown, (const char *)s->key, what);
}

static rp_status fail_tensor(const reader *r, rp_status status, const rp_pickle_node *name,
                             const char *what) {
    int shown = (int)(name->count < SHOWN_NAME ? name->count : SHOWN_NAME);
    return rp_fail(r->err, status, "%s: %.*s: %s", rp_path_shown(r->file->path), shown,
                   (const char *)name->text, what);
}

static rp_status fail_entry(const reader *r, const rp_zip_entry *entry) {
    return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: zip archive: %.*s: %s", rp_path_shown(r->file->path),
                   rp_text_fit(entry->name, SHOWN_NAME), entry->name, entry->refused);
}

/* ---- data ---- */

/* Set r->name to that of an entry of the archive. */
static bool name_entry(reader *r, const char *folder, const unsigned char *key, uint32_t key_size) {
    size_t room = sizeof r->name - r->prefix;
    if (key_size > KEY_SIZE || memchr(key, 0, key_size)) return false;
    return snprintf(r->name + r->prefix, room, "%s%.*s", folder, (int)key_size, (const char *)key) <
           (int)room;
}

static rp_status find_in_zip(reader *r, const rp_pickle_storage *s, const unsigned char **data) {
    uint64_t bytes;
    const rp_zip_entry *entry =
        name_entry(r, "data/", s->key, s->key_size) ? rp_zip_find(&r->zip, r->name) : NULL;
    if (!entry) return fail_key(r, s, "its data is not in the archive");
    if (entry->refused) return fail_entry(r, entry);
    if (__builtin_mul_overflow(s->elements, types[s->type].size, &bytes) || bytes != entry->size)
        return fail_key(r, s, "its data has another size than its elements need");
    *data = entry->data;
    return RP_OK;
}

static int compare_keys(const void *a, const void *b) {
    const rp_pickle_storage *x = &((const storage *)a)->of, *y = &((const storage *)b)->of;
    size_t common = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order = common ? memcmp(x->key, y->key, common) : 0;
    return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

static storage *find_storage(const reader *r, const rp_pickle_storage *s) {
    storage key = {.of = *s};
    if (!r->storage_count) return NULL;
    return bsearch(&key, r->storages, r->storage_count, sizeof key, compare_keys);
}

static rp_status find_data(reader *r, const rp_pickle_storage *s, const unsigned char **data) {
    if (r->zip.count) return find_in_zip(r, s, data);
    const storage *found = find_storage(r, s);
    if (!found || !found->data) return fail_key(r, s, "its data is not in the file");
    *data = found->data;
    return RP_OK;
}

/* ---- tensors ---- */

/* Fill in the shape. False when an element would lie outside the storage. `*packed`: row-major, no gaps. */
static bool place(const reader *r, const rp_pickle_tensor *t, rp_tensor_entry *entry, bool *packed) {
    uint64_t last = t->offset, count = 1, step;
    bool good = true;
    for (uint32_t i = 0; i < t->rank; i++) {
        entry->dims[i] = (uint64_t)r->state.nodes[t->sizes[i]].integer;
        entry->strides[i] = (uint64_t)r->state.nodes[t->strides[i]].integer;
        if (entry->dims[i] == 0) count = 0;
    }
    *packed = true;
    for (uint32_t i = t->rank; count && i-- > 0;) {
        // what a stride is does not matter where there is one step only
        if (entry->dims[i] > 1 && entry->strides[i] != count) *packed = false;
        good = good && !__builtin_mul_overflow(entry->dims[i] - 1, entry->strides[i], &step) &&
               !__builtin_add_overflow(last, step, &last) &&
               !__builtin_mul_overflow(count, entry->dims[i], &count);
        if (!good) return false;
    }
    entry->bytes = count * types[t->storage.type].size; // at most as many as 64 bits hold, where it is packed
    return count == 0 ? t->offset <= t->storage.size : last < t->storage.size;
}

static rp_status add_tensor(reader *r, const rp_pickle_node *name, const rp_pickle_node *node) {
    rp_pickle_tensor t = rp_pickle_tensor_of(&r->state, node);
    const unsigned char *data = NULL;
    bool packed;
    if (!name->count || memchr(name->text, 0, name->count))
        return fail_tensor(r, RP_ERROR_FORMAT, name, "is no name of a tensor; fetch the file again");
    // it says whether the numbers are to be negated or conjugated
    if (t.metadata && t.metadata->kind != RP_PICKLE_NONE &&
        (t.metadata->kind != RP_PICKLE_DICT || t.metadata->count))
        return fail_tensor(r, RP_ERROR_UNSUPPORTED, name,
                           "is a view that is computed when it is read; save it with contiguous()");
    rp_status status = find_data(r, &t.storage, &data);
    if (status) return status;
    rp_tensor_entry *entry = rp_tensor_file_add(r->file, (const char *)name->text, name->count, t.rank, true);
    if (!entry) return rp_fail_memory(r->err, rp_path_shown(r->file->path), sizeof *entry);
    entry->dtype = types[t.storage.type].name;
    entry->element = types[t.storage.type].element;
    entry->swapped = r->swapped;
    if (!place(r, &t, entry, &packed))
        return fail_tensor(r, RP_ERROR_FORMAT, name,
                           "its elements lie outside its storage; fetch the file again");
    entry->data = data + (t.storage.begin + t.offset) * types[t.storage.type].size;
    if (packed) entry->strides = NULL;
    return RP_OK;
}

static bool has_tensor(const reader *r, const rp_pickle_node *dict) {
    for (uint32_t i = 1; i < dict->count; i += 2)
        if (r->state.nodes[dict->items[i]].kind == RP_PICKLE_TENSOR) return true;
    return false;
}

/* The dict that has the tensors: one under a key that training programs use, beside which a loss may be a
 * tensor too, or the whole; NULL: none. */
static const rp_pickle_node *find_state(const reader *r) {
    static const char *const wrappers[] = {"state_dict", "model_state_dict", "model", "module"};
    const rp_pickle_node *root = &r->state.nodes[r->state.root];
    if (root->kind != RP_PICKLE_DICT) return NULL;
    for (size_t k = 0; k < RP_COUNT(wrappers); k++) {
        const rp_pickle_node *inner = NULL;
        for (uint32_t i = 0; i < root->count; i += 2)
            if (rp_pickle_is_text(&r->state.nodes[root->items[i]], wrappers[k]))
                inner = &r->state.nodes[root->items[i + 1]]; // of two the later one, as in a dict
        if (inner && inner->kind == RP_PICKLE_DICT && has_tensor(r, inner)) return inner;
    }
    return has_tensor(r, root) ? root : NULL;
}

static rp_status add_tensors(reader *r) {
    const rp_pickle_node *dict = find_state(r);
    if (!dict)
        return fail(r, RP_ERROR_FORMAT,
                    "holds no tensors by name; save torch.save(model.state_dict(), \"pytorch_model.bin\")");
    for (uint32_t i = 0; i < dict->count; i += 2) {
        const rp_pickle_node *name = &r->state.nodes[dict->items[i]];
        const rp_pickle_node *value = &r->state.nodes[dict->items[i + 1]];
        if (value->kind != RP_PICKLE_TENSOR) continue;
        if (name->kind != RP_PICKLE_TEXT)
            return fail(r, RP_ERROR_UNSUPPORTED,
                        "a tensor's key is no string; save torch.save(model.state_dict(), "
                        "\"pytorch_model.bin\")");
        rp_status status = add_tensor(r, name, value);
        if (status) return status;
    }
    return rp_tensor_file_sort(r->file, r->err);
}

/* ---- since torch 1.6 ---- */

/* The entry "NAME/data.pkl", whatever NAME is: it was the file's when it was saved. NULL: none, or two. */
static const rp_zip_entry *find_state_entry(reader *r) {
    static const char suffix[] = "/data.pkl";
    const rp_zip_entry *found = NULL;
    for (size_t i = 0; i < r->zip.count; i++) {
        const char *name = r->zip.entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, suffix)) continue;
        r->prefix = (size_t)(slash - name) + 1;
        if (found || r->prefix + KEY_SIZE + 32 > sizeof r->name) return NULL;
        memcpy(r->name, name, r->prefix);
        found = &r->zip.entries[i];
    }
    return found;
}

static rp_status read_byte_order(reader *r) {
    name_entry(r, "byteorder", (const unsigned char *)"", 0);
    const rp_zip_entry *order = rp_zip_find(&r->zip, r->name);
    if (order && order->refused) return fail_entry(r, order);
    r->swapped = order && order->size == 3 && !memcmp(order->data, "big", 3);
    if (!order || r->swapped || (order->size == 6 && !memcmp(order->data, "little", 6))) return RP_OK;
    return fail(r, RP_ERROR_FORMAT, "byteorder: must be \"little\" or \"big\"; fetch the file again");
}

static rp_status open_zip(reader *r) {
    const rp_tensor_file *file = r->file;
    rp_status status = rp_zip_open(file->bytes, file->size, file->path, &r->zip, r->err);
    if (status) return status;
    const rp_zip_entry *entry = find_state_entry(r);
    if (!entry)
        return fail(
            r, RP_ERROR_FORMAT,
            "a zip archive without one data.pkl, so torch.save did not write it; fetch the file again");
    name_entry(r, "constants.pkl", (const unsigned char *)"", 0);
    if (rp_zip_find(&r->zip, r->name))
        return fail(r, RP_ERROR_UNSUPPORTED,
                    "a TorchScript program, whose code is not executed; save torch.save(model.state_dict(), "
                    "\"pytorch_model.bin\")");
    if (entry->refused) return fail_entry(r, entry);
    if (!rp_zip_is_intact(entry))
        return fail(r, RP_ERROR_FORMAT, "data.pkl: its checksum is wrong; fetch the file again");
    status = read_byte_order(r);
    if (!status)
        status = rp_pickle_read(entry->data, (size_t)entry->size, file->path, "data.pkl", &r->state, r->err);
    if (!status && r->state.used != entry->size)
        status = fail(r, RP_ERROR_FORMAT, "data.pkl: bytes follow its end; fetch the file again");
    return status;
}

/* ---- before torch 1.6 ---- */

/* Gather the storages that the state dict names. */
static rp_status gather_storages(reader *r) {
    size_t count = 0;
    for (size_t i = 0; i < r->state.count; i++) count += r->state.nodes[i].kind == RP_PICKLE_STORAGE;
    r->storages = rp_new_array(storage, count);
    if (!r->storages)
        return rp_fail_memory(r->err, rp_path_shown(r->file->path), count * sizeof *r->storages);
    for (size_t i = 0; i < r->state.count; i++)
        if (r->state.nodes[i].kind == RP_PICKLE_STORAGE)
            r->storages[r->storage_count++].of = rp_pickle_storage_of(&r->state, &r->state.nodes[i]);
    if (count) qsort(r->storages, count, sizeof *r->storages, compare_keys);
    r->storage_count = 0;
    for (size_t i = 0; i < count; i++) {
        storage *last = r->storage_count ? &r->storages[r->storage_count - 1] : NULL;
        if (!last || compare_keys(last, &r->storages[i]))
            r->storages[r->storage_count++] = r->storages[i];
        else if (last->of.type != r->storages[i].of.type || last->of.elements != r->storages[i].of.elements)
            return fail_key(r, &last->of, "is described in two ways");
    }
    return RP_OK;
}

/* The data of one storage at `*at`: how many elements it has, and they. */
static rp_status read_storage(reader *r, const rp_pickle_node *key, uint64_t *at) {
    rp_pickle_storage wanted = {.key = key->text, .key_size = key->count};
    if (key->kind != RP_PICKLE_TEXT)
        return fail(r, RP_ERROR_FORMAT, "storages: a key is no string; fetch the file again");
    storage *s = find_storage(r, &wanted);
    if (!s || s->data) return fail_key(r, &wanted, "is listed, but no tensor has it, or is listed twice");
    uint64_t elements = 0, bytes, room = r->file->size - *at;
    if (room < 8) return fail_key(r, &wanted, "its data is cut");
    for (int i = 8; i-- > 0;) elements = elements << 8 | r->file->bytes[*at + (uint64_t)i];
    if (elements != s->of.elements) return fail_key(r, &wanted, "its data has another number of elements");
    if (__builtin_mul_overflow(elements, types[s->of.type].size, &bytes) || bytes > room - 8)
        return fail_key(r, &wanted, "its data is cut");
    s->data = r->file->bytes + *at + 8;
    *at += 8 + bytes;
    return RP_OK;
}

static rp_status read_storages(reader *r, const rp_pickle *keys, uint64_t at) {
    const rp_pickle_node *list = &keys->nodes[keys->root];
    if (list->kind != RP_PICKLE_LIST)
        return fail(r, RP_ERROR_FORMAT, "storages: must be a list of their keys; fetch the file again");
    rp_status status = gather_storages(r);
    for (uint32_t i = 0; !status && i < list->count; i++)
        status = read_storage(r, &keys->nodes[list->items[i]], &at);
    if (!status && at != r->file->size)
        status = fail(r, RP_ERROR_FORMAT, "storages: bytes follow the last one; fetch the file again");
    return status;
}

/* The next of the five pickles. */
static rp_status read_part(const reader *r, const char *part, uint64_t *at, rp_pickle *out) {
    const rp_tensor_file *file = r->file;
    rp_status status =
        rp_pickle_read(file->bytes + *at, (size_t)(file->size - *at), file->path, part, out, r->err);
    if (!status) *at += out->used;
    return status;
}

static bool is_magic(const rp_pickle *pickle) {
    static const unsigned char magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const rp_pickle_node *root = &pickle->nodes[pickle->root];
    return root->kind == RP_PICKLE_LONG && root->count == sizeof magic &&
           !memcmp(root->text, magic, sizeof magic);
}

/* A number, the version, what kind of machine saved it (its bytes are in this order on all), the state dict,
 * and the keys of the storages; then the storages. */
static rp_status open_pickles(reader *r) {
    enum { VERSION = 1001 };
    uint64_t at = 0;
    rp_pickle part = {0};
    rp_status status = read_part(r, "magic number", &at, &part);
    if (!status && !is_magic(&part))
        status = fail(r, RP_ERROR_FORMAT,
                      "a pickle, but not one of torch.save; save torch.save(model.state_dict(), "
                      "\"pytorch_model.bin\")");
    rp_pickle_finish(&part);
    if (!status) status = read_part(r, "version", &at, &part);
    if (!status &&
        (part.nodes[part.root].kind != RP_PICKLE_INTEGER || part.nodes[part.root].integer != VERSION))
        status = fail(r, RP_ERROR_UNSUPPORTED, "version: must be 1001; save the weights with a newer torch");
    rp_pickle_finish(&part);
    if (!status) status = read_part(r, "machine", &at, &part);
    rp_pickle_finish(&part);
    if (!status) status = read_part(r, "state dict", &at, &r->state);
    if (!status) status = read_part(r, "storages", &at, &part);
    if (!status) status = read_storages(r, &part, at);
    rp_pickle_finish(&part);
    return status;
}

/* ---- the file ---- */

static bool is_tar(const rp_tensor_file *file) {
    return file->size >= 512 && !memcmp(file->bytes + 257, "ustar", 5);
}

static rp_status open_any(reader *r) {
    const rp_tensor_file *file = r->file;
    rp_status status = rp_tensor_file_check_kind(file, r->err);
    if (status) return status;
    if (file->size >= 4 && !memcmp(file->bytes, "PK\3\4", 4)) return open_zip(r);
    if (file->bytes[0] == 0x80) return open_pickles(r);
    if (is_tar(file))
        return fail(r, RP_ERROR_UNSUPPORTED,
                    "a tar archive, as torch before 0.2 wrote it; load and save it with a newer torch");
    if (file->size > 8 && file->bytes[8] == '{')
        return fail(r, RP_ERROR_FORMAT, "a safetensors file; call it model.safetensors");
    return fail(r, RP_ERROR_FORMAT, "not a file that torch.save wrote; fetch the file again");
}

rp_status rp_pytorch_open(const char *path, rp_tensor_file *out, rp_error *err) {
    reader r = {.file = out, .err = err};
    rp_status status = rp_tensor_file_map(path, out, err);
    if (!status) status = open_any(&r);
    if (!status) status = add_tensors(&r);
    rp_pickle_finish(&r.state);
    rp_zip_close(&r.zip);
    free(r.storages);
    if (status) rp_tensor_file_close(out);
    return status;
}
