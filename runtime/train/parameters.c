/* The parameters that are trained: where they lie, and what belongs to each of them. */
#include <stddef.h>
#include <string.h>

#include "train/trainer.h"

/* ---- which there are ---- */

/* A matrix or a vector of rp_device_weights, or of one of its layers. */
typedef struct slot {
    const char *name;
    size_t at;
    bool matrix;
    bool turned;    /* a gradient goes back through it */
    unsigned heads; /* that use it; 0: all */
} slot;

enum {
    SHARED = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE,
    POOLED = RP_HEAD_CLASSIFIER | RP_HEAD_CHOICE | RP_HEAD_ORDER,
    LM = RP_HEAD_MASKED_LM,
};

#define AT(field) offsetof(rp_device_weights, field)
static const slot outer[] = {
    {"word embeddings", AT(word), true, false, 0}, /* turned where they are the decoder too */
    {"position embeddings", AT(position), true, false, 0},
    {"type embeddings", AT(type), true, false, 0},
    {"embedding norm", AT(embedding_norm), false, false, 0},
    {"mapping", AT(mapping), true, true, 0},
    {"mapping bias", AT(mapping_bias), false, false, 0},
    {"pooler", AT(pooler), true, true, POOLED},
    {"pooler bias", AT(pooler_bias), false, false, POOLED},
    {"classifier", AT(classifier), true, true, SHARED},
    {"classifier bias", AT(classifier_bias), false, false, SHARED},
    {"internal classifiers", AT(exits), true, true, RP_HEAD_CLASSIFIER},
    {"biases of internal classifiers", AT(exits_bias), false, false, RP_HEAD_CLASSIFIER},
    {"sentence order", AT(order), true, true, RP_HEAD_ORDER},
    {"bias of the sentence order", AT(order_bias), false, false, RP_HEAD_ORDER},
    {"masked LM", AT(lm_dense), true, true, LM},
    {"bias of the masked LM", AT(lm_dense_bias), false, false, LM},
    {"masked LM norm", AT(lm_norm), false, false, LM},
    {"decoder", AT(lm_decoder), true, true, LM},
    {"decoder bias", AT(lm_bias), false, false, LM},
};
#undef AT
#define AT(field) offsetof(rp_device_layer, field)
static const slot inner[] = {
    {"query, key and value", AT(qkv), true, true, 0},
    {"bias of query, key and value", AT(qkv_bias), false, false, 0},
    {"attention output", AT(dense), true, true, 0},
    {"bias of the attention output", AT(dense_bias), false, false, 0},
    {"attention norm", AT(attention_norm), false, false, 0},
    {"ffn", AT(ffn), true, true, 0},
    {"bias of ffn", AT(ffn_bias), false, false, 0},
    {"ffn output", AT(ffn_output), true, true, 0},
    {"bias of the ffn output", AT(ffn_output_bias), false, false, 0},
    {"output norm", AT(output_norm), false, false, 0},
};
#undef AT

enum { EMBEDDINGS = 4, ENCODER = 6 }; /* slots before the heads: the first ones */

/* Where a slot lies in four structs alike: weights, gradients, transposes, float16. */
typedef struct place {
    const slot *slot;
    int layer;
    void *weights, *gradient, *turned, *halved;
} place;

/* Place number `n`; false: there is none. */
static bool place_of(const rp_trainer *t, size_t n, place *out) {
    const rp_device_weights *all[4] = {&t->model->on_device, &t->gradient, &t->turned, &t->halved};
    char *base[4];
    bool in_layer = n >= RP_COUNT(outer);
    size_t i = in_layer ? (n - RP_COUNT(outer)) % RP_COUNT(inner) : n;
    int layer = in_layer ? (int)((n - RP_COUNT(outer)) / RP_COUNT(inner)) : -1;
    if (layer >= (int)t->model->on_device.layer_count) return false;
    for (int k = 0; k < 4; k++) base[k] = in_layer ? (char *)&all[k]->layers[layer] : (char *)all[k];
    const slot *s = in_layer ? &inner[i] : &outer[i];
    *out = (place){s, layer, base[0] + s->at, base[1] + s->at, base[2] + s->at, base[3] + s->at};
    return true;
}

static bool is_used(const rp_trainer *t, const place *p) {
    if (p->slot->heads && !(p->slot->heads & t->head)) return false;
    return p->slot->matrix ? ((const rp_matrix *)p->weights)->chunk_count > 0
                           : ((const rp_range *)p->weights)->buffer != VK_NULL_HANDLE;
}

/* The embeddings are the first slots. */
static bool is_frozen(const rp_trainer *t, const place *p) {
    if (p->layer >= 0) return t->params.freeze == RP_FREEZE_ENCODER;
    size_t slot = (size_t)(p->slot - outer);
    return t->params.freeze && slot < (t->params.freeze == RP_FREEZE_ENCODER ? ENCODER : EMBEDDINGS);
}

static bool is_trained(const rp_trainer *t, const place *p) {
    return is_used(t, p) && !is_frozen(t, p);
}

/* It is multiplied by. */
static bool is_multiplied(const rp_trainer *t, const place *p) {
    return is_used(t, p) && (p->slot->turned || (rp_train_pretrains(t) &&
                                                 p->weights == rp_train_decoder(t, &t->model->on_device)));
}

/* A gradient goes back through it: not as far as to a frozen encoder, but through a decoder that is one with
 * frozen embeddings. */
static bool is_turned(const rp_trainer *t, const place *p) {
    return is_multiplied(t, p) && !(is_frozen(t, p) && p->slot->turned);
}

/* Products by it read float16. */
static bool is_halved(const rp_trainer *t, const place *p) {
    return rp_train_in_half(t) && is_multiplied(t, p);
}

const rp_matrix *rp_train_decoder(const rp_trainer *t, const rp_device_weights *weights) {
    return t->model->on_device.lm_decoder.chunk_count ? &weights->lm_decoder : &weights->word;
}

/* ---- parameters ---- */

static VkDeviceSize end_of(rp_range range) {
    return range.offset + range.size;
}

static uint32_t blocks_of(rp_range range) {
    return (uint32_t)rp_div_up(range.size / 16, RP_BLOCK_TEXELS);
}

static rp_status add_parameter(rp_trainer *t, const place *p, const char *name, rp_range range,
                               VkDeviceSize end, rp_error *err) {
    if (!rp_grow((void **)&t->parameters, &t->parameter_capacity, t->parameter_count + 1,
                 sizeof *t->parameters))
        return rp_fail_memory(err, "a list of parameters", sizeof *t->parameters);
    t->parameters[t->parameter_count++] = (rp_parameter){.range = range,
                                                         .name = name,
                                                         .layer = p->layer,
                                                         .above = p->layer < 0 && p->slot >= &outer[ENCODER],
                                                         .decays = p->slot->matrix,
                                                         .tensor = t->tensor_count,
                                                         .first_block = t->block_count,
                                                         .end = end};
    t->block_count += blocks_of(range);
    return RP_OK;
}

/* What of a chunk lies between two panels of its matrix. Size 0: nothing. */
static rp_range part_of(const rp_matrix *m, const rp_matrix_chunk *chunk, uint32_t first, uint32_t end) {
    VkDeviceSize panel = rp_panel_bytes(m->format, m->k, 1);
    rp_range out = chunk->range;
    if (first < chunk->first_panel) first = chunk->first_panel;
    if (end > chunk->first_panel + chunk->panels) end = chunk->first_panel + chunk->panels;
    if (first >= end) return (rp_range){0};
    out.offset += (first - chunk->first_panel) * panel;
    out.size = (end - first) * panel;
    out.room += end_of(chunk->range) - end_of(out);
    return out;
}

/* A matrix is one tensor, and that of Q, K and V three, one below the other. */
static rp_status list_matrix(rp_trainer *t, const place *p, rp_error *err) {
    static const char *const names[] = {"query", "key", "value"};
    const rp_matrix *m = p->weights;
    bool three = p->layer >= 0 && p->slot == &inner[0];
    uint32_t parts = three ? 3 : 1, panels = m->rows / RP_PANEL / parts;
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < parts; i++, t->tensor_count++)
        for (uint32_t c = 0; !status && c < m->chunk_count; c++) {
            rp_range range = part_of(m, &m->chunks[c], i * panels, (i + 1) * panels);
            if (range.size)
                status = add_parameter(t, p, three ? names[i] : p->slot->name, range,
                                       end_of(m->chunks[c].range), err);
        }
    return status;
}

static rp_status list_parameters(rp_trainer *t, rp_error *err) {
    rp_status status = RP_OK;
    place p;
    for (size_t n = 0; !status && place_of(t, n, &p); n++) {
        if (!is_trained(t, &p)) continue;
        if (p.slot->matrix) {
            status = list_matrix(t, &p, err);
            continue;
        }
        rp_range range = *(const rp_range *)p.weights;
        status = add_parameter(t, &p, p.slot->name, range, end_of(range), err);
        t->tensor_count++;
    }
    return status;
}

/* By the buffer, whose handles have no order that means anything, and the offset. */
static int compare(const void *a, const void *b) {
    const rp_parameter *x = a, *y = b;
    int buffers = memcmp(&x->range.buffer, &y->range.buffer, sizeof x->range.buffer);
    if (buffers) return buffers;
    return x->range.offset < y->range.offset ? -1 : x->range.offset > y->range.offset;
}

/* ---- windows ---- */

/* As many neighbours in each as one binding may hold. */
static rp_status make_windows(rp_trainer *t, rp_error *err) {
    VkDeviceSize limit = rp_caps_range_limit(&t->device->caps);
    rp_window *window = NULL;
    qsort(t->parameters, t->parameter_count, sizeof *t->parameters, compare);
    t->windows = rp_new_array(rp_window, t->parameter_count);
    if (!t->windows) return rp_fail_memory(err, "parameters", t->parameter_count * sizeof *t->windows);
    for (size_t i = 0; i < t->parameter_count; i++) {
        rp_parameter *p = &t->parameters[i];
        if (!window || window->weights.buffer != p->range.buffer || p->end - window->weights.offset > limit) {
            window = &t->windows[t->window_count++];
            window->weights = p->range;
        }
        p->window = t->window_count - 1;
        window->weights.size = end_of(p->range) - window->weights.offset;
        window->weights.room = p->range.room;
        window->block_count += blocks_of(p->range);
    }
    return RP_OK;
}

static rp_status reserve_zeros(rp_store *store, VkDeviceSize size, rp_range *out, rp_error *err) {
    rp_status status = rp_store_reserve(store, size, out, err);
    for (VkDeviceSize at = 0; !status && at < size; at += RP_STAGING_BYTES) {
        VkDeviceSize some = size - at < RP_STAGING_BYTES ? size - at : RP_STAGING_BYTES;
        void *zeros = rp_store_write(store, *out, at, some, err);
        if (!zeros) return err->status;
        memset(zeros, 0, (size_t)some);
    }
    return status;
}

/* The blocks of a window, each of one parameter. */
static rp_status send_blocks(rp_trainer *t, uint32_t number, rp_error *err) {
    rp_window *window = &t->windows[number];
    VkDeviceSize bytes = window->block_count * sizeof(rp_block);
    rp_status status = rp_store_reserve(&t->gradients, bytes, &window->blocks, err);
    if (status) return status;
    if (bytes > RP_STAGING_BYTES)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "the model has too many parameters to be trained");
    rp_block *to = rp_store_write(&t->gradients, window->blocks, 0, bytes, err);
    if (!to) return err->status;
    for (size_t i = 0; i < t->parameter_count; i++) {
        const rp_parameter *p = &t->parameters[i];
        if (p->window != number) continue;
        uint32_t first = (uint32_t)((p->range.offset - window->weights.offset) / 16),
                 left = (uint32_t)(p->range.size / 16), block = p->first_block;
        for (uint32_t some; left; first += some, left -= some, block++) {
            some = left < RP_BLOCK_TEXELS ? left : RP_BLOCK_TEXELS;
            uint32_t flags = p->decays ? RP_BLOCK_DECAYS | RP_BLOCK_ADAPTS : 0;
            *to++ = (rp_block){first, some, p->tensor, flags | block * RP_BLOCK_NUMBER};
        }
    }
    return RP_OK;
}

/* `count` numbers, of which the device reads where sums begin and end. */
static rp_status reserve_segments(rp_trainer *t, uint32_t count, rp_range *out, uint32_t **to,
                                  rp_error *err) {
    rp_status status = rp_store_reserve(&t->gradients, 4ull * count, out, err);
    *to = status ? NULL : rp_store_write(&t->gradients, *out, 0, 4ull * count, err);
    return *to ? RP_OK : err->status;
}

/* What LAMB adds up for each tensor. */
static rp_status reserve_ratios(rp_trainer *t, rp_error *err) {
    uint32_t *first;
    rp_status status = RP_OK;
    if (t->params.optimizer != RP_OPTIMIZER_LAMB) return RP_OK;
    RP_TRY(reserve_zeros(&t->gradients, 16 + 8ull * t->block_count, &t->lamb_sums, err));
    RP_TRY(reserve_zeros(&t->gradients, 8ull * t->tensor_count, &t->lamb_ratios, err));
    RP_TRY(reserve_segments(t, t->tensor_count + 1, &t->tensor_segments, &first, err));
    for (uint32_t i = 0; i <= t->tensor_count; i++) first[i] = t->block_count;
    for (size_t i = 0; i < t->parameter_count; i++) {
        const rp_parameter *p = &t->parameters[i];
        if (p->first_block < first[p->tensor]) first[p->tensor] = p->first_block;
    }
done:
    return status;
}

/* Sums of a window begin where a binding may. */
static rp_status fill_windows(rp_trainer *t, rp_error *err) {
    uint32_t alignment = (uint32_t)(t->device->caps.storage_alignment / 4);
    rp_status status = RP_OK;
    VkDeviceSize bytes = 0;
    for (uint32_t i = 0; i < t->window_count; i++) bytes += t->windows[i].weights.size + 256;
    rp_store_init(&t->gradients, t->device, bytes + (bytes >> 8), "gradients");
    rp_store_init(&t->moments, t->device, 2 * bytes, "moments");
    for (uint32_t i = 0; !status && i < t->window_count; i++) {
        rp_window *w = &t->windows[i];
        w->first_sum = t->sum_count;
        t->sum_count += (uint32_t)rp_round_up(w->block_count, alignment > 4 ? alignment : 4);
        RP_TRY(reserve_zeros(&t->gradients, w->weights.size, &w->gradient, err));
        RP_TRY(reserve_zeros(&t->moments, w->weights.size, &w->moments[0], err));
        RP_TRY(reserve_zeros(&t->moments, w->weights.size, &w->moments[1], err));
        RP_TRY(send_blocks(t, i, err));
    }
    uint32_t *segments;
    RP_TRY(reserve_segments(t, 2, &t->sum_segments, &segments, err));
    segments[0] = 0;
    segments[1] = t->sum_count;
    RP_TRY(reserve_ratios(t, err));
    RP_TRY(rp_store_flush(&t->gradients, err));
    status = rp_store_flush(&t->moments, err);
done:
    return status;
}

/* ---- gradients and transposes, as the weights lie ---- */

/* Where a range of the weights has its gradient (0) or a moment (1, 2). */
static rp_range mirror_of(const rp_trainer *t, rp_range range, int which) {
    for (uint32_t i = 0; i < t->window_count; i++) {
        const rp_window *w = &t->windows[i];
        if (w->weights.buffer != range.buffer || range.offset < w->weights.offset ||
            end_of(range) > end_of(w->weights))
            continue;
        rp_range out = which ? w->moments[which - 1] : w->gradient;
        VkDeviceSize skip = range.offset - w->weights.offset;
        out.offset += skip;
        out.room += out.size - skip - range.size;
        out.size = range.size;
        return out;
    }
    return (rp_range){0};
}

rp_range rp_train_moment_of(const rp_trainer *t, rp_range range, bool variance) {
    return mirror_of(t, range, variance ? 2 : 1);
}

static rp_status mirror_matrix(const rp_trainer *t, const rp_matrix *matrix, rp_matrix *out, rp_error *err) {
    *out = *matrix;
    out->chunks = rp_new_array(rp_matrix_chunk, matrix->chunk_count);
    if (!out->chunks) return rp_fail_memory(err, "gradients", matrix->chunk_count * sizeof *out->chunks);
    for (uint32_t c = 0; c < matrix->chunk_count; c++) {
        out->chunks[c] = matrix->chunks[c];
        out->chunks[c].range = mirror_of(t, matrix->chunks[c].range, 0);
    }
    return RP_OK;
}

static rp_status reserve_turned(rp_store *store, rp_format format, const rp_matrix *matrix, rp_matrix *out,
                                rp_error *err) {
    uint64_t panel = rp_panel_bytes(format, matrix->rows, 1), limit = rp_store_limit(store);
    uint32_t panels = matrix->k / RP_PANEL;
    if (panel > limit)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "a matrix of %u rows cannot be transposed in a storage buffer of this device",
                       matrix->rows);
    uint32_t per_chunk = limit / panel < panels ? (uint32_t)(limit / panel) : panels;
    *out = (rp_matrix){.format = format,
                       .rows = matrix->k,
                       .k = matrix->rows,
                       .chunk_count = (uint32_t)rp_div_up(panels, per_chunk)};
    out->chunks = rp_new_array(rp_matrix_chunk, out->chunk_count);
    if (!out->chunks) return rp_fail_memory(err, "matrices", out->chunk_count * sizeof *out->chunks);
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < out->chunk_count; c++) {
        rp_matrix_chunk *chunk = &out->chunks[c];
        chunk->first_panel = c * per_chunk;
        chunk->panels = panels - chunk->first_panel < per_chunk ? panels - chunk->first_panel : per_chunk;
        status = rp_store_reserve(store, chunk->panels * panel, &chunk->range, err);
    }
    return status;
}

/* In chunks as the matrix is. */
static rp_status reserve_halved(rp_store *store, const rp_matrix *matrix, rp_matrix *out, rp_error *err) {
    rp_status status = RP_OK;
    *out = *matrix;
    out->format = RP_FORMAT_F16;
    out->chunks = rp_new_array(rp_matrix_chunk, matrix->chunk_count);
    if (!out->chunks) return rp_fail_memory(err, "matrices", matrix->chunk_count * sizeof *out->chunks);
    for (uint32_t c = 0; !status && c < out->chunk_count; c++) {
        out->chunks[c] = matrix->chunks[c];
        status = rp_store_reserve(store, rp_panel_bytes(RP_FORMAT_F16, out->k, out->chunks[c].panels),
                                  &out->chunks[c].range, err);
    }
    return status;
}

static VkDeviceSize turned_bytes(const rp_trainer *t) {
    VkDeviceSize bytes = 0;
    place p;
    for (size_t n = 0; place_of(t, n, &p); n++) {
        const rp_matrix *m = p.weights;
        uint64_t halved = is_halved(t, &p) ? 2 : 0,
                 turned = is_turned(t, &p) ? rp_train_in_half(t) ? 2 : 4 : 0;
        if (halved + turned) bytes += (halved + turned) * m->rows * m->k + 512;
    }
    return bytes;
}

static rp_status mirror(rp_trainer *t, rp_error *err) {
    rp_format format = rp_train_in_half(t) ? RP_FORMAT_F16 : RP_FORMAT_F32;
    rp_status status = RP_OK;
    place p;
    rp_store_init(&t->turned_store, t->device, turned_bytes(t), "transposed weights");
    for (size_t n = 0; !status && place_of(t, n, &p); n++) {
        if (is_halved(t, &p)) status = reserve_halved(&t->turned_store, p.weights, p.halved, err);
        if (status || (!is_trained(t, &p) && !is_turned(t, &p))) continue;
        if (p.slot->matrix && is_trained(t, &p))
            status = mirror_matrix(t, p.weights, p.gradient, err);
        else if (is_trained(t, &p))
            *(rp_range *)p.gradient = mirror_of(t, *(const rp_range *)p.weights, 0);
        if (!status && is_turned(t, &p))
            status = reserve_turned(&t->turned_store, format, p.weights, p.turned, err);
    }
    return status;
}

void rp_train_each_turned(const rp_trainer *t, rp_train_visitor *visit, void *user) {
    place p;
    for (size_t n = 0; place_of(t, n, &p); n++) {
        if (is_turned(t, &p)) visit(user, p.weights, p.turned, false);
        if (is_halved(t, &p)) visit(user, p.weights, p.halved, true);
    }
}

const rp_matrix *rp_train_halved(const rp_trainer *t, const rp_matrix *matrix) {
    place p;
    for (size_t n = 0; place_of(t, n, &p); n++)
        if (p.weights == matrix) return is_halved(t, &p) ? p.halved : NULL;
    return NULL;
}

/* ---- all of it ---- */

rp_status rp_train_lay_out_parameters(rp_trainer *t, rp_error *err) {
    uint32_t layers = t->model->on_device.layer_count;
    rp_status status;
    t->gradient.layer_count = t->turned.layer_count = t->halved.layer_count = layers;
    t->gradient.layers = rp_new_array(rp_device_layer, layers);
    t->turned.layers = rp_new_array(rp_device_layer, layers);
    t->halved.layers = rp_new_array(rp_device_layer, layers);
    if (!t->gradient.layers || !t->turned.layers || !t->halved.layers)
        return rp_fail_memory(err, "layers", 3 * layers * sizeof(rp_device_layer));
    RP_TRY(list_parameters(t, err));
    RP_TRY(make_windows(t, err));
    RP_TRY(fill_windows(t, err));
    status = mirror(t, err);
done:
    return status;
}

void rp_train_drop_parameters(rp_trainer *t) {
    rp_store *stores[] = {&t->gradients, &t->moments, &t->turned_store};
    rp_device_weights_finish(&t->gradient);
    rp_device_weights_finish(&t->turned);
    rp_device_weights_finish(&t->halved);
    for (size_t i = 0; i < RP_COUNT(stores); i++) rp_store_finish(stores[i]);
    free(t->parameters);
    free(t->windows);
    t->parameters = NULL;
    t->windows = NULL;
    t->parameter_count = t->parameter_capacity = 0;
    t->window_count = t->sum_count = t->tensor_count = t->block_count = 0;
}
