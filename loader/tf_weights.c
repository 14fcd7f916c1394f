#include "loader/tf_weights.h"

#include <stdio.h>

#include "loader/json.h"
#include "loader/tf_names.h"

typedef struct reader {
    rp_tf_checkpoint checkpoint;
    const char *path; /* short enough for a message */
    bool albert;
    rp_weight_files *files;
    rp_error *err;
} reader;

static rp_status fail(const reader *r, rp_status status, const char *name, const char *what) {
    return rp_fail(r->err, status, "%s: %.*s: %s", r->path, rp_text_fit(name, 120), name, what);
}

static rp_element element_of(uint64_t dtype) {
    if (dtype == RP_TF_FLOAT) return RP_ELEMENT_F32;
    if (dtype == RP_TF_HALF) return RP_ELEMENT_F16;
    if (dtype == RP_TF_BFLOAT16) return RP_ELEMENT_BF16;
    return dtype == RP_TF_DOUBLE ? RP_ELEMENT_F64 : RP_ELEMENT_OTHER;
}

static const char *name_of(rp_element element) {
    static const char *const names[] = {[RP_ELEMENT_OTHER] = "neither float, half, bfloat16 nor double",
                                        [RP_ELEMENT_F32] = "F32",
                                        [RP_ELEMENT_F16] = "F16",
                                        [RP_ELEMENT_BF16] = "BF16",
                                        [RP_ELEMENT_F64] = "F64"};
    return names[element];
}

/* ---- which family ---- */

/* The family, or RP_ERROR_UNSUPPORTED where no variable is an encoder's. */
static rp_status find_family(reader *r) {
    const rp_tf_checkpoint *c = &r->checkpoint;
    bool encoder = false;
    for (size_t i = 0; i < c->count; i++) {
        r->albert = r->albert || rp_tf_is_albert(c->variables[i].name);
        encoder = encoder || rp_tf_is_encoder(c->variables[i].name);
        if (!r->files->unserved) r->files->unserved = rp_tf_unserved_head(c->variables[i].name);
    }
    if (encoder) return RP_OK;
    if (rp_tf_checkpoint_find(c, "_CHECKPOINTABLE_OBJECT_GRAPH"))
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: a checkpoint of Keras objects is not supported; use one whose variables are "
                       "called bert/encoder/..., as Google's ALBERT and BERT write it",
                       r->path);
    return rp_fail(
        r->err, RP_ERROR_UNSUPPORTED,
        "%s: no variable is called bert/encoder/...; use a checkpoint that Google's ALBERT or BERT "
        "wrote",
        r->path);
}

/* ---- entries ---- */

static rp_status add(const reader *r, rp_tensor_file *file, const rp_tf_variable *v) {
    char name[RP_NAME_SIZE];
    bool transposed;
    if (!rp_tf_name(v->name, r->albert, name, &transposed)) return RP_OK;
    if (v->partitioned)
        return fail(r, RP_ERROR_UNSUPPORTED, v->name,
                    "a variable that is kept in partitions is not supported; save it in one piece");
    if (v->odd) return fail(r, RP_ERROR_FORMAT, v->name, "its shape is none of a weight");
    if (v->offset > file->size || v->size > file->size - v->offset)
        return fail(r, RP_ERROR_FORMAT, v->name,
                    "does not lie in its data file, which is cut; fetch the file again");
    transposed = transposed && v->rank == 2;
    rp_tensor_entry *entry = rp_tensor_file_add(file, name, strlen(name), v->rank, transposed);
    if (!entry) return rp_fail_memory(r->err, r->path, sizeof *entry);
    entry->element = element_of(v->dtype);
    entry->dtype = name_of(entry->element);
    entry->data = file->bytes ? file->bytes + v->offset : (const unsigned char *)"";
    entry->bytes = v->size;
    entry->summed = true;
    entry->checksum = v->checksum;
    for (uint32_t i = 0; i < v->rank; i++) entry->dims[i] = v->shape[transposed ? v->rank - 1 - i : i];
    if (transposed) {
        entry->strides[0] = 1;
        entry->strides[1] = v->shape[1];
    }
    return RP_OK;
}

static rp_status open_shard(const reader *r, uint32_t shard) {
    const rp_tf_checkpoint *c = &r->checkpoint;
    rp_weight_files *files = r->files;
    char *path = rp_tf_shard_path(c, shard);
    if (!path || !rp_grow((void **)&files->files, &files->capacity, files->count + 1, sizeof *files->files)) {
        free(path);
        return rp_fail_memory(r->err, "a list of files", (files->count + 1) * sizeof *files->files);
    }
    rp_tensor_file *file = &files->files[files->count++];
    rp_status status = rp_tensor_file_map(path, file, r->err);
    free(path);
    for (size_t i = 0; !status && i < c->count; i++)
        if (c->variables[i].shard == shard) status = add(r, file, &c->variables[i]);
    return status ? status : rp_tensor_file_sort(file, r->err);
}

/* Open the data files that hold weights. */
static rp_status open_shards(const reader *r) {
    const rp_tf_checkpoint *c = &r->checkpoint;
    bool *used = rp_new_array(bool, c->shards), transposed;
    char name[RP_NAME_SIZE];
    rp_status status = used ? RP_OK : rp_fail_memory(r->err, "a list of files", c->shards);
    for (size_t i = 0; !status && i < c->count; i++)
        if (rp_tf_name(c->variables[i].name, r->albert, name, &transposed))
            used[c->variables[i].shard] = true;
    for (uint32_t i = 0; !status && i < c->shards; i++)
        if (used[i]) status = open_shard(r, i);
    free(used);
    return status;
}

rp_status rp_tf_weights_open(const char *index, rp_weight_files *files, rp_error *err) {
    reader r = {.path = rp_path_shown(index), .files = files, .err = err};
    rp_status status = rp_tf_checkpoint_open(index, &r.checkpoint, err);
    if (status) return status;
    status = find_family(&r);
    if (!status) status = open_shards(&r);
    rp_tf_checkpoint_close(&r.checkpoint);
    return status;
}
