#include "loader/safetensors.h"

#include <stdio.h>

#include "loader/json.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000, MAX_RANK = 64, SHOWN_NAME = 120 };

/* What the format knows. */
static const struct {
    const char *name;
    unsigned bytes;
    rp_element element;
} dtypes[] = {
    {"F32", 4, RP_ELEMENT_F32},    {"F16", 2, RP_ELEMENT_F16},       {"BF16", 2, RP_ELEMENT_BF16},
    {"F64", 8, RP_ELEMENT_F64},    {"I64", 8, RP_ELEMENT_OTHER},     {"U64", 8, RP_ELEMENT_OTHER},
    {"I32", 4, RP_ELEMENT_OTHER},  {"U32", 4, RP_ELEMENT_OTHER},     {"I16", 2, RP_ELEMENT_OTHER},
    {"U16", 2, RP_ELEMENT_OTHER},  {"I8", 1, RP_ELEMENT_OTHER},      {"U8", 1, RP_ELEMENT_OTHER},
    {"BOOL", 1, RP_ELEMENT_OTHER}, {"F8_E4M3", 1, RP_ELEMENT_OTHER}, {"F8_E5M2", 1, RP_ELEMENT_OTHER},
};

static size_t dtype_index(const char *name) {
    size_t i = 0;
    while (i < RP_COUNT(dtypes) && strcmp(name, dtypes[i].name)) i++;
    return i;
}

/* A file while it is opened. */
typedef struct reader {
    rp_tensor_file *file;
    const unsigned char *data; /* the first byte after the header */
    uint64_t room;             /* bytes from there on */
    rp_error *err;
} reader;

/* ---- the header ---- */

static rp_status fail_tensor(const reader *r, const char *name, const char *field, const char *what) {
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: %.*s: %s: %s; fetch the file again",
                   rp_path_shown(r->file->path), rp_text_fit(name, SHOWN_NAME), name, field, what);
}

/* True when `list` holds integers that are 0 or more. */
static bool is_natural_list(const rp_json *list, size_t least, size_t most) {
    if (!rp_json_is(list, RP_JSON_ARRAY) || list->count < least || list->count > most) return false;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].type != RP_JSON_INTEGER || list->items[i].integer < 0) return false;
    return true;
}

/* Bytes of a tensor of that shape; false when they do not fit into 64 bits. */
static bool shape_bytes(const rp_tensor_entry *entry, uint64_t element, uint64_t *bytes) {
    *bytes = element;
    for (uint32_t i = 0; i < entry->rank; i++)
        if (__builtin_mul_overflow(*bytes, entry->dims[i], bytes)) return false;
    return true;
}

/* The place of the tensor, and whether its size is that of its shape. */
static rp_status read_place(const reader *r, rp_tensor_entry *out, const rp_json *offsets) {
    uint64_t begin = (uint64_t)offsets->items[0].integer;
    uint64_t end = (uint64_t)offsets->items[1].integer, bytes = 0;
    char what[120];
    if (begin > end || end > r->room) {
        snprintf(what, sizeof what, "%llu to %llu do not lie in the file's %llu bytes of data",
                 (unsigned long long)begin, (unsigned long long)end, (unsigned long long)r->room);
        return fail_tensor(r, out->name, "data_offsets", what);
    }
    out->data = r->data + begin;
    out->bytes = end - begin;
    size_t dtype = dtype_index(out->dtype);
    if (dtype == RP_COUNT(dtypes)) return RP_OK;
    out->element = dtypes[dtype].element;
    if (!shape_bytes(out, dtypes[dtype].bytes, &bytes))
        return fail_tensor(r, out->name, "shape", "more elements than 64 bits can count");
    if (bytes == out->bytes) return RP_OK;
    snprintf(what, sizeof what, "%llu bytes, but its shape and dtype need %llu",
             (unsigned long long)out->bytes, (unsigned long long)bytes);
    return fail_tensor(r, out->name, "data_offsets", what);
}

static rp_status read_tensor(const reader *r, const char *name, const rp_json *entry) {
    const rp_json *offsets = rp_json_get(entry, "data_offsets"), *shape = rp_json_get(entry, "shape");
    const char *dtype = rp_json_string(rp_json_get(entry, "dtype"));
    if (!dtype) return fail_tensor(r, name, "dtype", "must be a string");
    if (!is_natural_list(shape, 0, MAX_RANK))
        return fail_tensor(r, name, "shape", "must be a list of at most 64 integers, none negative");
    if (!is_natural_list(offsets, 2, 2))
        return fail_tensor(r, name, "data_offsets", "must be two integers, none negative");
    rp_tensor_entry *out = rp_tensor_file_add(r->file, name, strlen(name), shape->count, false);
    if (out) out->dtype = rp_arena_copy(&r->file->arena, dtype, strlen(dtype));
    if (!out || !out->dtype) return rp_fail_memory(r->err, rp_path_shown(r->file->path), sizeof *out);
    for (uint32_t i = 0; i < shape->count; i++) out->dims[i] = (uint64_t)shape->items[i].integer;
    return read_place(r, out, offsets);
}

static rp_status read_metadata(const reader *r, const rp_json *metadata) {
    bool good = metadata->type == RP_JSON_OBJECT;
    for (uint32_t i = 0; good && i < metadata->count; i++)
        good = metadata->members[i].value.type == RP_JSON_STRING;
    if (good) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: __metadata__: must be an object of strings; fetch the file again",
                   rp_path_shown(r->file->path));
}

static int compare_places(const void *a, const void *b) {
    const rp_tensor_entry *x = a, *y = b;
    if (x->data != y->data) return x->data < y->data ? -1 : 1;
    return x->bytes < y->bytes
               ? -1
               : x->bytes > y->bytes; // an empty tensor comes before the one that begins there
}

/* The tensors must follow one another from the first byte of data to the last. */
static rp_status check_layout(const reader *r) {
    const rp_tensor_file *file = r->file;
    uint64_t at = 0;
    char what[120];
    if (file->count) qsort(file->entries, file->count, sizeof *file->entries, compare_places);
    for (size_t i = 0; i < file->count; i++) {
        const rp_tensor_entry *t = &file->entries[i];
        uint64_t begin = (uint64_t)(t->data - r->data);
        if (begin != at) {
            snprintf(what, sizeof what, "begins at byte %llu, %s", (unsigned long long)begin,
                     begin < at ? "inside the tensor before it" : "after a hole in the data");
            return fail_tensor(r, t->name, "data_offsets", what);
        }
        at += t->bytes;
    }
    if (at == r->room) return RP_OK;
    return rp_fail(
        r->err, RP_ERROR_FORMAT,
        "%s: data_offsets: the tensors end at byte %llu, the file's data at %llu; fetch the file again",
        rp_path_shown(file->path), (unsigned long long)at, (unsigned long long)r->room);
}

static rp_status read_header(const reader *r, const rp_json *header) {
    if (header->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: header: is %s, must be an object; fetch the file again",
                       rp_path_shown(r->file->path), rp_json_kind(header));
    for (uint32_t i = 0; i < header->count; i++) {
        const char *name = header->members[i].key;
        const rp_json *entry = &header->members[i].value;
        rp_status status;
        if (!strcmp(name, "__metadata__"))
            status = read_metadata(r, entry);
        else if (entry->type != RP_JSON_OBJECT)
            status = fail_tensor(r, name, "header", "must be an object");
        else
            status = read_tensor(r, name, entry);
        if (status) return status;
    }
    rp_status status = check_layout(r);
    return status ? status : rp_tensor_file_sort(r->file, r->err);
}

/* ---- the file ---- */

/* Check the length in front of the header, and set `data` and `room`. */
static rp_status check_length(reader *r) {
    const rp_tensor_file *file = r->file;
    const char *path = rp_path_shown(file->path);
    uint64_t length = 0;
    if (file->size < LENGTH_BYTES)
        return rp_fail(r->err, RP_ERROR_FORMAT,
                       "%s: header length: cut, the file has %llu bytes; fetch it again", path,
                       (unsigned long long)file->size);
    rp_status status = rp_tensor_file_check_kind(file, r->err);
    if (status) return status;
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)file->bytes[i] << (8 * i);
    if (length > MAX_HEADER_BYTES || length > file->size - LENGTH_BYTES)
        return rp_fail(
            r->err, RP_ERROR_FORMAT,
            "%s: header length: %llu bytes, but the file has %llu and a header at most %d; fetch it again",
            path, (unsigned long long)length, (unsigned long long)file->size, MAX_HEADER_BYTES);
    r->data = file->bytes + LENGTH_BYTES + length;
    r->room = file->size - LENGTH_BYTES - length;
    if (length > 0 && file->bytes[LENGTH_BYTES] == '{') return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: header: must begin with {; not a safetensors file, or a damaged one", path);
}

rp_status rp_safetensors_open(const char *path, rp_tensor_file *out, rp_error *err) {
    rp_json_document header = {0};
    reader r = {.file = out, .err = err};
    rp_status status = rp_tensor_file_map(path, out, err);
    if (!status) status = check_length(&r);
    if (!status) {
        const unsigned char *text = out->bytes + LENGTH_BYTES;
        status = rp_json_parse((const char *)text, (size_t)(r.data - text), path, &header, err);
    }
    if (!status) status = read_header(&r, &header.root);
    rp_json_finish(&header);
    if (status) rp_tensor_file_close(out);
    return status;
}
