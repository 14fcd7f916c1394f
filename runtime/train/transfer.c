/* Weights, and the moments that lie as they do, out of their panels on the device into the tensors of files,
 * and back. */
#include <string.h>

#include "loader/json.h"
#include "ops/attention.h"
#include "train/trainer.h"

/* A matrix or a vector on the device, and the tensors of the files that it holds one after the other. */
typedef struct source {
    const rp_matrix *matrix; /* NULL: a vector */
    rp_range vector;
    rp_tensor *parts[3];
    bool head_rows, head_columns; /* which are padded head by head */
} source;

typedef struct transfer {
    rp_trainer *trainer;
    rp_train_kind kind;
    bool to_device;
    rp_weights *weights; /* of the tensors */
    float *piece;        /* [RP_STAGING_BYTES / 4] */
    rp_arena *arena;     /* holds values that were read */
    const char *path;    /* of those that are written */
    rp_error *err;
} transfer;

/* Number `at` of a padded width without the padding of heads; UINT32_MAX: it is padding. */
static uint32_t unpad(const rp_config *c, uint32_t at, bool by_heads, uint32_t width) {
    uint32_t head_dim = c->hidden_size / c->attention_heads, padded = rp_head_width(head_dim);
    if (by_heads && at % padded >= head_dim) return UINT32_MAX;
    if (by_heads) at = at / padded * head_dim + at % padded;
    return at < width ? at : UINT32_MAX;
}

/* Where an element of the device goes; NULL: it is padding. */
static float *place_of(const transfer *r, const source *s, float *const to[3], uint32_t row,
                       uint32_t column) {
    const rp_config *c = &r->trainer->model->config;
    uint32_t count = s->parts[2] ? 3 : s->parts[1] ? 2 : 1, part;
    if (s->matrix) {
        uint32_t rows = s->matrix->rows / count;
        part = row / rows;
        row = unpad(c, row % rows, s->head_rows, s->parts[part]->rows);
    } else {
        uint32_t columns = (uint32_t)(s->vector.size / 4 / count);
        part = column / columns;
        column %= columns;
    }
    const rp_tensor *tensor = s->parts[part];
    column = unpad(c, column, s->head_columns, tensor->columns);
    if (row == UINT32_MAX || column == UINT32_MAX) return NULL;
    return &to[part][(size_t)row * tensor->columns + column];
}

/* The store that the numbers lie in, and where in it a range of the weights has them; no buffer: nothing is
 * trained there, and it has no moments. */
static rp_store *store_of(const transfer *r, rp_range *range) {
    rp_trainer *t = r->trainer;
    if (r->kind == RP_TRAIN_WEIGHTS) return &t->model->on_device.store;
    *range = rp_train_moment_of(t, *range, r->kind == RP_TRAIN_VARIANCE);
    return &t->moments;
}

/* Read a piece of a range, or write it, whose padding is zero. */
static rp_status move_piece(transfer *r, rp_range range, uint64_t at, uint64_t bytes) {
    rp_store *store = store_of(r, &range);
    if (!r->to_device) return rp_store_read(store, range, at, bytes, r->piece, r->err);
    void *to = rp_store_write(store, range, at, bytes, r->err);
    if (to) memcpy(to, r->piece, (size_t)bytes);
    return to ? RP_OK : r->err->status;
}

/* Take the numbers of a range to their places, or from there; `first_row`: of its first panel. */
static rp_status move_range(transfer *r, const source *s, float *const at[3], rp_range range,
                            uint32_t first_row) {
    uint32_t k = s->matrix ? s->matrix->k : 0;
    rp_status status = RP_OK;
    for (uint64_t done = 0, all = range.size / 4, some; !status && done < all; done += some) {
        some = all - done < RP_STAGING_BYTES / 4 ? all - done : RP_STAGING_BYTES / 4;
        if (!r->to_device) status = move_piece(r, range, 4 * done, 4 * some);
        for (uint64_t i = 0; !status && i < some; i++) {
            uint64_t n = done + i;
            uint32_t row = k ? first_row + (uint32_t)(n / RP_PANEL / k * RP_PANEL + n % RP_PANEL) : 0;
            float *place = place_of(r, s, at, row, k ? (uint32_t)(n / RP_PANEL % k) : (uint32_t)n);
            if (r->to_device)
                r->piece[i] = place ? *place : 0;
            else if (place)
                *place = r->piece[i];
        }
        if (!status && r->to_device) status = move_piece(r, range, 4 * done, 4 * some);
    }
    return status;
}

static rp_status move_ranges(transfer *r, const source *s, float *const at[3]) {
    rp_status status = RP_OK;
    if (!s->matrix) return move_range(r, s, at, s->vector, 0);
    for (uint32_t c = 0; !status && c < s->matrix->chunk_count; c++)
        status =
            move_range(r, s, at, s->matrix->chunks[c].range, s->matrix->chunks[c].first_panel * RP_PANEL);
    return status;
}

/* Is there anything to move? */
static bool is_there(const transfer *r, const source *s) {
    if (!s->parts[0]->rows || (s->matrix ? !s->matrix->chunk_count : !s->vector.buffer)) return false;
    rp_range range = s->matrix ? s->matrix->chunks[0].range : s->vector;
    store_of(r, &range);
    return range.buffer;
}

static rp_status fail_missing(const transfer *r) {
    return rp_fail(
        r->err, RP_ERROR_FORMAT,
        "%s: a tensor that is trained is missing: it is of another model, or of a training that left "
        "out other parts of it",
        rp_path_shown(r->path));
}

/* Tensors that are read get memory of the arena, and those that are written are unpacked for the time. */
static rp_status move_source(transfer *r, const source *s) {
    float *at[3] = {NULL};
    rp_status status = RP_OK;
    rp_arena unpacked = {0};
    if (!is_there(r, s)) return RP_OK;
    for (int i = 0; !status && i < 3 && s->parts[i]; i++) {
        uint64_t count = (uint64_t)s->parts[i]->rows * s->parts[i]->columns;
        if (r->to_device && !s->parts[i]->data)
            status = fail_missing(r);
        else if (!(at[i] = rp_arena_alloc(r->to_device ? &unpacked : r->arena, count, sizeof(float))))
            status = rp_fail_memory(r->err, "weights", 4 * count);
        else if (r->to_device)
            rp_tensor_read(s->parts[i], 0, (size_t)count, at[i]);
    }
    if (!status) status = move_ranges(r, s, at);
    for (int i = 0; !status && !r->to_device && i < 3 && s->parts[i]; i++) {
        s->parts[i]->data = at[i];
        s->parts[i]->dtype = RP_F32;
    }
    rp_arena_finish(&unpacked);
    return status;
}

static rp_status move_all(transfer *r, const source *sources, size_t count) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) status = move_source(r, &sources[i]);
    return status;
}

static rp_status move_layer(transfer *r, uint32_t layer) {
    const rp_device_layer *from = &r->trainer->model->on_device.layers[layer];
    rp_layer_weights *to = &r->weights->layers[layer];
    const source sources[] = {
        {.matrix = &from->qkv, .parts = {&to->query, &to->key, &to->value}, .head_rows = true},
        {.vector = from->qkv_bias,
         .parts = {&to->query_bias, &to->key_bias, &to->value_bias},
         .head_columns = true},
        {.matrix = &from->dense, .parts = {&to->dense}, .head_columns = true},
        {.vector = from->dense_bias, .parts = {&to->dense_bias}},
        {.vector = from->attention_norm, .parts = {&to->attention_norm, &to->attention_norm_bias}},
        {.matrix = &from->ffn, .parts = {&to->ffn}},
        {.vector = from->ffn_bias, .parts = {&to->ffn_bias}},
        {.matrix = &from->ffn_output, .parts = {&to->ffn_output}},
        {.vector = from->ffn_output_bias, .parts = {&to->ffn_output_bias}},
        {.vector = from->output_norm, .parts = {&to->output_norm, &to->output_norm_bias}},
    };
    return move_all(r, sources, RP_COUNT(sources));
}

/* The internal classifiers, which are one matrix on the device. The last one is the classifier, which learns
 * by itself. */
static rp_status move_exits(transfer *r) {
    const rp_device_weights *from = &r->trainer->model->on_device;
    const rp_config *c = &r->trainer->model->config;
    uint32_t labels = c->label_count, h = c->hidden_size, count = rp_train_exits(r->trainer) + 1;
    rp_exit_weights *exits = r->weights->exits;
    rp_tensor all = {.dtype = RP_F32, .rows = count * labels, .columns = h},
              biases = {.dtype = RP_F32, .rows = 1, .columns = count * labels};
    const source sources[] = {{.matrix = &from->exits, .parts = {&all}},
                              {.vector = from->exits_bias, .parts = {&biases}}};
    rp_arena joined = {0};
    rp_status status = RP_OK;
    if (count == 1) return RP_OK;
    if (r->to_device) {
        float *to = rp_arena_alloc(&joined, (size_t)count * labels * (h + 1), sizeof(float)),
              *to_biases = to ? to + (size_t)count * labels * h : NULL;
        if (!to) status = rp_fail_memory(r->err, "internal classifiers", 4ull * count * labels * (h + 1));
        for (uint32_t i = 0; !status && i < count; i++) {
            if (!exits[i].weight.data || !exits[i].bias.data) {
                status = fail_missing(r);
                break;
            }
            rp_tensor_read(&exits[i].weight, 0, (size_t)labels * h, to + (size_t)i * labels * h);
            rp_tensor_read(&exits[i].bias, 0, labels, to_biases + (size_t)i * labels);
        }
        all.data = to;
        biases.data = to_biases;
    }
    if (!status) status = move_all(r, sources, RP_COUNT(sources));
    rp_arena_finish(&joined);
    for (uint32_t i = 0; !status && !r->to_device && i < count; i++) {
        exits[i].weight = (rp_tensor){.dtype = RP_F32,
                                      .rows = labels,
                                      .columns = h,
                                      .data = (const float *)all.data + (size_t)i * labels * h};
        exits[i].bias = (rp_tensor){.dtype = RP_F32,
                                    .rows = 1,
                                    .columns = labels,
                                    .data = (const float *)biases.data + (size_t)i * labels};
    }
    if (!status && !r->to_device && r->kind == RP_TRAIN_WEIGHTS)
        exits[count - 1] = (rp_exit_weights){r->weights->classifier, r->weights->classifier_bias};
    return status;
}

static rp_status move_weights(transfer *r) {
    const rp_device_weights *from = &r->trainer->model->on_device;
    rp_weights *to = r->weights;
    const source sources[] = {
        {.matrix = &from->word, .parts = {&to->word}},
        {.matrix = &from->position, .parts = {&to->position}},
        {.matrix = &from->type, .parts = {&to->type}},
        {.vector = from->embedding_norm, .parts = {&to->embedding_norm, &to->embedding_norm_bias}},
        {.matrix = &from->mapping, .parts = {&to->mapping}},
        {.vector = from->mapping_bias, .parts = {&to->mapping_bias}},
        {.matrix = &from->pooler, .parts = {&to->pooler}},
        {.vector = from->pooler_bias, .parts = {&to->pooler_bias}},
        {.matrix = &from->classifier, .parts = {&to->classifier}},
        {.vector = from->classifier_bias, .parts = {&to->classifier_bias}},
        {.matrix = &from->order, .parts = {&to->order}},
        {.vector = from->order_bias, .parts = {&to->order_bias}},
        {.matrix = &from->lm_dense, .parts = {&to->lm_dense}},
        {.vector = from->lm_dense_bias, .parts = {&to->lm_dense_bias}},
        {.vector = from->lm_norm, .parts = {&to->lm_norm, &to->lm_norm_bias}},
        {.matrix = &from->lm_decoder, .parts = {&to->lm_decoder}},
        {.vector = from->lm_bias, .parts = {&to->lm_bias}},
    };
    rp_status status = move_all(r, sources, RP_COUNT(sources));
    if (!status) status = move_exits(r);
    for (uint32_t i = 0; !status && i < from->layer_count; i++) status = move_layer(r, i);
    if (status) return status;
    rp_range any = {0};
    return rp_store_flush(store_of(r, &any), r->err);
}

static rp_status move(transfer *r) {
    r->piece = malloc(RP_STAGING_BYTES);
    rp_status status = r->piece ? move_weights(r) : rp_fail_memory(r->err, "weights", RP_STAGING_BYTES);
    free(r->piece);
    return status;
}

rp_status rp_train_read(rp_trainer *t, rp_train_kind kind, rp_weights *to, rp_arena *arena, rp_error *err) {
    transfer r = {.trainer = t, .kind = kind, .weights = to, .arena = arena, .err = err};
    return move(&r);
}

rp_status rp_train_write(rp_trainer *t, rp_train_kind kind, rp_weights *from, const char *path,
                         rp_error *err) {
    transfer r = {.trainer = t, .kind = kind, .to_device = true, .weights = from, .path = path, .err = err};
    return move(&r);
}
