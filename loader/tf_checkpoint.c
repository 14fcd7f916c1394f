#include "loader/tf_checkpoint.h"

#include <stdio.h>

#include "loader/json.h"
#include "loader/tf_table.h"

/* An index has about 100 bytes a variable. What a file of few bytes can make of these limits stays small:
 * every variable takes three of them, and a name at most RP_TF_KEY_BYTES. */
enum { MAX_INDEX_BYTES = 32 << 20, MAX_VARIABLES = 1 << 16, MAX_SHARDS = 4096, READER_VERSION = 1 };

typedef struct reader {
    rp_tf_checkpoint *out;
    const char *path; /* short enough for a message */
    bool header;      /* its entry, whose name is empty, was seen */
} reader;

static rp_status fail(const char *path, const char *name, const char *what, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %.*s: %s; fetch the checkpoint again", path,
                   rp_text_fit(name, 120), name, what);
}

/* ---- protocol buffers ---- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

typedef struct field {
    uint64_t number;
    unsigned wire;
    uint64_t value;   /* of a number */
    rp_tf_span bytes; /* of the others */
} field;

/* The next field of a message; false at damage. */
static bool read_field(rp_tf_span *message, field *out) {
    uint64_t key, size = 0;
    if (!rp_tf_varint(message, &key)) return false;
    *out = (field){.number = key >> 3, .wire = key & 7};
    if (out->wire == WIRE_VARINT) return rp_tf_varint(message, &out->value);
    if (out->wire == WIRE_64 || out->wire == WIRE_32)
        size = out->wire == WIRE_64 ? 8 : 4;
    else if (out->wire != WIRE_BYTES || !rp_tf_varint(message, &size))
        return false;
    if (size > (uint64_t)(message->end - message->at)) return false;
    out->bytes = (rp_tf_span){message->at, message->at + size};
    message->at += size;
    if (out->wire == WIRE_32)
        for (int i = 0; i < 4; i++) out->value |= (uint64_t)out->bytes.at[i] << (8 * i);
    return true;
}

/* ---- the header ---- */

static rp_status read_version(const reader *r, rp_tf_span message, rp_error *err) {
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f)) return fail(r->path, "header", "its version is damaged", err);
        if (f.number == 2 && f.wire == WIRE_VARINT && f.value > READER_VERSION)
            return rp_fail(err, RP_ERROR_UNSUPPORTED,
                           "%s: header: version %llu of the format is not supported; %d is", r->path,
                           (unsigned long long)f.value, READER_VERSION);
    }
    return RP_OK;
}

static rp_status read_header(reader *r, rp_tf_span message, rp_error *err) {
    uint64_t shards = 0;
    rp_status status = RP_OK;
    field f;
    while (!status && message.at < message.end) {
        if (!read_field(&message, &f)) return fail(r->path, "header", "is damaged", err);
        if (f.number == 1 && f.wire == WIRE_VARINT) shards = f.value;
        if (f.number == 2 && f.wire == WIRE_VARINT && f.value != 0)
            return rp_fail(err, RP_ERROR_UNSUPPORTED,
                           "%s: header: a checkpoint of a big-endian machine is not supported; save it again "
                           "on a little-endian one",
                           r->path);
        if (f.number == 3 && f.wire == WIRE_BYTES) status = read_version(r, f.bytes, err);
    }
    if (!status && (shards < 1 || shards > MAX_SHARDS))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: header: %llu data files, must be 1 to %d", r->path,
                       (unsigned long long)shards, MAX_SHARDS);
    r->out->shards = (uint32_t)shards;
    r->header = true;
    return status;
}

/* ---- a variable ---- */

/* TensorShapeProto: a list of dimensions, or a flag that there is none. */
static bool read_shape(rp_tf_span message, rp_tf_variable *v) {
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f)) return false;
        if (f.number == 3 && f.wire == WIRE_VARINT && f.value) v->odd = true;
        if (f.number != 2 || f.wire != WIRE_BYTES) continue;
        uint64_t size = 0;
        for (field d; f.bytes.at < f.bytes.end;) {
            if (!read_field(&f.bytes, &d)) return false;
            if (d.number == 1 && d.wire == WIRE_VARINT) size = d.value;
        }
        if (v->rank == RP_TF_MAX_RANK || size > INT64_MAX)
            v->odd = true;
        else
            v->shape[v->rank++] = size;
    }
    return true;
}

static bool read_variable(rp_tf_span message, rp_tf_variable *v, uint64_t *shard) {
    field f;
    while (message.at < message.end) {
        if (!read_field(&message, &f)) return false;
        bool number = f.wire == WIRE_VARINT;
        if (f.number == 1 && number) v->dtype = f.value;
        if (f.number == 2 && f.wire == WIRE_BYTES && !read_shape(f.bytes, v)) return false;
        if (f.number == 3 && number) *shard = f.value;
        if (f.number == 4 && number) v->offset = f.value;
        if (f.number == 5 && number) v->size = f.value;
        if (f.number == 6 && f.wire == WIRE_32) v->checksum = rp_tf_unmask((uint32_t)f.value);
        if (f.number == 7) v->partitioned = true;
    }
    return true;
}

/* Bytes of an element of that type; 0 when it is not one of rp_tf_dtype. */
static size_t bytes_of(uint64_t dtype) {
    if (dtype == RP_TF_DOUBLE) return 8;
    if (dtype == RP_TF_FLOAT) return 4;
    return dtype == RP_TF_HALF || dtype == RP_TF_BFLOAT16 ? 2 : 0;
}

/* True when the bytes are as many as the shape and the type need. */
static bool has_its_size(const rp_tf_variable *v) {
    uint64_t bytes = bytes_of(v->dtype);
    if (!bytes || v->odd || v->partitioned) return true;
    for (uint32_t i = 0; i < v->rank; i++)
        if (__builtin_mul_overflow(bytes, v->shape[i], &bytes)) return false;
    return bytes == v->size;
}

/* Pieces of partitioned variables have names that begin with a zero byte. */
static bool is_name(const char *key, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (key[i] <= ' ' || key[i] > '~') return false;
    return true;
}

static rp_status visit_entry(void *context, const char *key, size_t size, rp_tf_span value, rp_error *err) {
    reader *r = context;
    rp_tf_checkpoint *c = r->out;
    rp_tf_variable v = {0};
    uint64_t shard = 0;
    if (size == 0) return read_header(r, value, err);
    if (!r->header) return fail(r->path, "header", "is missing", err);
    if (!is_name(key, size)) return RP_OK;
    if (!read_variable(value, &v, &shard)) return fail(r->path, key, "its entry is damaged", err);
    if (shard >= c->shards) return fail(r->path, key, "lies in a data file that does not exist", err);
    if (!has_its_size(&v)) return fail(r->path, key, "its bytes are not as many as its shape needs", err);
    if (c->count == MAX_VARIABLES)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: more than %d variables", r->path, MAX_VARIABLES);
    v.shard = (uint32_t)shard;
    v.name = rp_arena_copy(&c->names, key, size);
    if (!v.name || !rp_grow((void **)&c->variables, &c->capacity, c->count + 1, sizeof v))
        return rp_fail_memory(err, r->path, sizeof v);
    c->variables[c->count++] = v;
    return RP_OK;
}

/* ---- the index ---- */

rp_status rp_tf_checkpoint_open(const char *path, rp_tf_checkpoint *out, rp_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    *out = (rp_tf_checkpoint){.path = strdup(path)};
    if (!out->path) return rp_fail_memory(err, "a path", strlen(path) + 1);
    reader r = {.out = out, .path = rp_path_shown(out->path)};
    rp_status status = rp_model_file_load(path, MAX_INDEX_BYTES, &bytes, &size, err);
    if (!status) status = rp_tf_table_walk(path, (const unsigned char *)bytes, size, visit_entry, &r, err);
    if (!status && !r.header) status = fail(r.path, "header", "is missing", err);
    free(bytes);
    if (status) rp_tf_checkpoint_close(out);
    return status;
}

void rp_tf_checkpoint_close(rp_tf_checkpoint *checkpoint) {
    rp_arena_finish(&checkpoint->names);
    free(checkpoint->variables);
    free(checkpoint->path);
    *checkpoint = (rp_tf_checkpoint){0};
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const rp_tf_variable *)a)->name, ((const rp_tf_variable *)b)->name);
}

const rp_tf_variable *rp_tf_checkpoint_find(const rp_tf_checkpoint *checkpoint, const char *name) {
    rp_tf_variable key = {.name = name};
    if (!checkpoint->count) return NULL;
    return bsearch(&key, checkpoint->variables, checkpoint->count, sizeof key, compare_names);
}

/* ---- the data ---- */

char *rp_tf_shard_path(const rp_tf_checkpoint *checkpoint, uint32_t shard) {
    size_t stem = strlen(checkpoint->path) - strlen(".index"), size = stem + 48;
    char *path = malloc(size);
    if (path)
        snprintf(path, size, "%.*s.data-%05u-of-%05u", (int)stem, checkpoint->path, shard,
                 checkpoint->shards);
    return path;
}
