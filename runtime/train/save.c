/* Saving: the weights come back from the device and out of their panels, and go into a Hugging Face folder.
 */
#include <string.h>

#include "loader/convert.h"
#include "model/submission.h"
#include "ops/attention.h"
#include "train/trainer.h"

/* A matrix or a vector on the device, and the tensors of the files that it holds one after the other. */
typedef struct source {
    const rp_matrix *matrix; /* NULL: a vector */
    rp_range vector;
    rp_tensor *parts[3];
    bool head_rows, head_columns; /* which are padded head by head */
} source;

typedef struct reading {
    rp_trainer *trainer;
    rp_weights *weights; /* of which the tensors are replaced */
    float *piece;        /* [RP_STAGING_BYTES / 4] */
    rp_arena arena;      /* holds the new values */
    rp_error *err;
} reading;

/* Number `at` of a padded width without the padding of heads; UINT32_MAX: it is padding. */
static uint32_t unpad(const rp_config *c, uint32_t at, bool by_heads, uint32_t width) {
    uint32_t head_dim = c->hidden_size / c->attention_heads, padded = rp_head_width(head_dim);
    if (by_heads && at % padded >= head_dim) return UINT32_MAX;
    if (by_heads) at = at / padded * head_dim + at % padded;
    return at < width ? at : UINT32_MAX;
}

/* Where an element of the device goes; NULL: it is padding. */
static float *place_of(const reading *r, const source *s, float *const to[3], uint32_t row, uint32_t column) {
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

/* Put the numbers of a range where they belong; `first_row`: of its first panel. */
static rp_status read_range(reading *r, const source *s, float *const to[3], rp_range range,
                            uint32_t first_row) {
    uint32_t k = s->matrix ? s->matrix->k : 0;
    for (uint64_t at = 0, all = range.size / 4, some; at < all; at += some) {
        some = all - at < RP_STAGING_BYTES / 4 ? all - at : RP_STAGING_BYTES / 4;
        rp_status status =
            rp_store_read(&r->trainer->model->on_device.store, range, 4 * at, 4 * some, r->piece, r->err);
        if (status) return status;
        for (uint64_t i = 0; i < some; i++) {
            uint64_t n = at + i;
            uint32_t row = k ? first_row + (uint32_t)(n / RP_PANEL / k * RP_PANEL + n % RP_PANEL) : 0;
            float *place = place_of(r, s, to, row, k ? (uint32_t)(n / RP_PANEL % k) : (uint32_t)n);
            if (place) *place = r->piece[i];
        }
    }
    return RP_OK;
}

static rp_status read_source(reading *r, const source *s) {
    float *to[3] = {NULL};
    rp_status status = RP_OK;
    if (!s->parts[0]->data || (s->matrix ? !s->matrix->chunk_count : !s->vector.buffer)) return RP_OK;
    for (int i = 0; i < 3 && s->parts[i]; i++) {
        uint64_t count = (uint64_t)s->parts[i]->rows * s->parts[i]->columns;
        to[i] = rp_arena_alloc(&r->arena, count, sizeof(float));
        if (!to[i]) return rp_fail_memory(r->err, "weights", 4 * count);
    }
    if (!s->matrix) status = read_range(r, s, to, s->vector, 0);
    for (uint32_t c = 0; s->matrix && !status && c < s->matrix->chunk_count; c++)
        status =
            read_range(r, s, to, s->matrix->chunks[c].range, s->matrix->chunks[c].first_panel * RP_PANEL);
    for (int i = 0; i < 3 && s->parts[i]; i++) {
        s->parts[i]->data = to[i];
        s->parts[i]->dtype = RP_F32;
    }
    return status;
}

static rp_status read_all(reading *r, const source *sources, size_t count) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) status = read_source(r, &sources[i]);
    return status;
}

static rp_status read_layer(reading *r, uint32_t layer) {
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
    return read_all(r, sources, RP_COUNT(sources));
}

static rp_status read_weights(reading *r) {
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
    };
    rp_status status = read_all(r, sources, RP_COUNT(sources));
    for (uint32_t i = 0; !status && i < from->layer_count; i++) status = read_layer(r, i);
    return status ? status : rp_store_flush(&r->trainer->model->on_device.store, r->err);
}

/* In a turn, so that no step is going on. */
static rp_status read_in_turn(reading *r) {
    rp_trainer *t = r->trainer;
    rp_status status = rp_model_begin(t->model, r->err);
    if (status) return status;
    if (!t->built)
        status =
            rp_fail(r->err, RP_ERROR_DEVICE_LOST,
                    "%s: the device was lost, or a step of training failed on it, and what was learnt with "
                    "it; go on from what was saved",
                    t->model->dir);
    else
        status = read_weights(r);
    return rp_model_end(t->model, status);
}

/* Files are written outside of the turn. The views of tensors that are not trained are those of the model. */
static rp_status save(rp_trainer *t, const char *out, bool overwrite, rp_error *err) {
    const rp_model *model = t->model;
    const rp_convert_params params = {.overwrite = overwrite};
    uint32_t layers = model->on_device.layer_count;
    rp_weights weights = model->weights;
    reading r = {.trainer = t, .weights = &weights, .err = err};
    rp_status status = RP_OK;
    r.piece = malloc(RP_STAGING_BYTES);
    weights.layers = rp_new_array(rp_layer_weights, layers);
    if (!r.piece || !weights.layers)
        status = rp_fail_memory(err, "weights", RP_STAGING_BYTES);
    else
        memcpy(weights.layers, model->weights.layers, layers * sizeof *weights.layers);
    if (!status) status = rp_weights_check_unchanged(&model->weights, err);
    if (!status) status = read_in_turn(&r);
    if (!status) status = rp_convert_with(model->dir, out, &params, &model->config, &weights, err);
    free(weights.layers);
    free(r.piece);
    rp_arena_finish(&r.arena);
    return status;
}

rp_status rp_trainer_save(rp_trainer *t, const char *out, bool overwrite, rp_error *err) {
    rp_error unwanted;
    rp_visit visit;
    if (!err) err = &unwanted;
    if (!t || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_save: trainer and folder must not be NULL");
    rp_status status = rp_model_enter(t->model, &visit, NULL, "rp_trainer_save", err);
    if (status) return status;
    status = save(t, out, overwrite, err);
    rp_visit_leave(&visit);
    return status;
}
