#include "model/plain.h"

#include <math.h>
#include <string.h>

#include "base/half.h"
#include "model/describe.h"
#include "ops/quantize.h"
#include "ops/reference.h"
#include "ops/selection.h"

/* One sequence on its way through the model. T: its tokens. */
typedef struct forward {
    rp_plain *plain;
    const rp_config *config;
    const rp_sequence *sequence;
    const rp_plain_watch *watch;
    size_t tokens;
    rp_arena arena;
    float *stored;            /* [2, widest]: a row as it is laid out, and the same row rounded */
    size_t widest;            /* floats */
    float *hidden, *attended; /* [T, H] */
    float *qkv, *context;     /* [T, 3H], [T, H] */
    float *inner;             /* [T, max(I, E)] */
    float *multiplied;        /* [T, max(H, I)] */
    float *gamma, *beta, *bias;
    bool
        ended; /* another thread set `stop`, or a file no longer has its weights: the numbers are of no use */
    bool huge;
    double beyond, unit; /* as in rp_plain_result */
} forward;

rp_status rp_plain_note_kernels(rp_plain *plain, const rp_model *model, rp_error *err) {
    rp_layer_buffers at = rp_model_layer_buffers(model);
    for (uint32_t i = 0; i < plain->stored.layer_count; i++) {
        rp_op_list list;
        rp_describe_layer(&model->config, model->half, &model->on_device.layers[i], &at, 0, &list);
        plain->bytes[i] = 0;
        for (uint32_t n = 0; n < list.count; n++) {
            rp_status status = rp_op_recall(&model->ops, &list.ops[n], err);
            if (status) return status;
            if (list.ops[n].kernel.rounding == RP_ROUNDING_INT8) plain->bytes[i] |= 1u << n;
        }
    }
    return RP_OK;
}

rp_status rp_plain_init(rp_plain *plain, const rp_model *model, rp_error *err) {
    const rp_device_weights *from = &model->on_device;
    plain->config = &model->config;
    plain->weights = &model->weights;
    plain->half = model->half;
    plain->stored = *from;
    plain->stored.layers = rp_new_array(rp_device_layer, from->layer_count);
    plain->bytes = rp_new_array(uint32_t, from->layer_count);
    if (!plain->stored.layers || !plain->bytes)
        return rp_fail_memory(err, "layers", from->layer_count * sizeof *from->layers);
    memcpy(plain->stored.layers, from->layers, from->layer_count * sizeof *from->layers);
    rp_status status = rp_plain_note_kernels(plain, model, err);
    return status ? status : rp_weights_reader_open(plain->weights, &plain->reader, err);
}

void rp_plain_finish(rp_plain *plain) {
    rp_weights_reader_close(&plain->reader);
    free(plain->stored.layers);
    plain->stored.layers = NULL;
    free(plain->bytes);
    plain->bytes = NULL;
}

/* ---- operators ---- */

static void read_elements(forward *p, const rp_tensor *tensor, size_t first, size_t count, float *out) {
    if (rp_weights_reader_read(&p->plain->reader, tensor, first, count, out)) return;
    memset(out, 0, count * sizeof *out);
    p->ended = true;
}

/* A row [columns] as the device lays it out, whose length this returns. `head`: its columns are heads of this
 * size, each of which the device pads; that moves the groups of a rounding. 0: they are not. */
static uint32_t lay_out(const float *row, uint32_t columns, uint32_t head, float *out) {
    uint32_t padded = head ? rp_head_width(head) : 0;
    if (padded == head) {
        memcpy(out, row, columns * sizeof *out);
        return columns;
    }
    memset(out, 0, columns / head * padded * sizeof *out);
    for (uint32_t i = 0; i < columns; i++) out[i / head * padded + i % head] = row[i];
    return columns / head * padded;
}

/* The opposite; `row` may be `laid`. */
static void take_back(const float *laid, uint32_t columns, uint32_t head, float *row) {
    uint32_t padded = head ? rp_head_width(head) : 0;
    for (uint32_t i = 0; i < columns; i++) row[i] = laid[padded == head ? i : i / head * padded + i % head];
}

/* Row `row` of a tensor, rounded as the device has it, until the next call. */
static const float *stored_row(forward *p, const rp_tensor *tensor, const rp_matrix *as, size_t row,
                               uint32_t head) {
    float *values = p->stored, *rounded = p->stored + p->widest;
    read_elements(p, tensor, row * tensor->columns, tensor->columns, rounded);
    rp_host_matrix one = {values, RP_FORMAT_F32, 1, lay_out(rounded, tensor->columns, head, values)};
    rp_host_stored(&one, as->format, rounded);
    take_back(rounded, tensor->columns, head, rounded);
    return rounded;
}

/* x [T, columns] as the kernel multiplies it that the device runs in the place of `product`, until the next
 * call. `bytes`: of the layer (plain.h); `head`: as above. */
static const float *multiplied(forward *p, uint32_t bytes, unsigned product, const float *x, uint32_t columns,
                               uint32_t head) {
    float *values = p->stored, *rounded = p->stored + p->widest;
    if (!(bytes >> product & 1)) return x;
    for (size_t t = 0; t < p->tokens; t++) {
        rp_int8_blocks(values, lay_out(x + t * columns, columns, head, values), rounded);
        take_back(rounded, columns, head, p->multiplied + t * columns);
    }
    return p->multiplied;
}

/* Read `count` elements of a vector; zeros where the files have none. */
static const float *vector(forward *p, const rp_tensor *tensor, size_t count, float *out) {
    if (tensor && tensor->data)
        read_elements(p, tensor, 0, count, out);
    else
        memset(out, 0, count * sizeof *out);
    return out;
}

/* Note whether float32 sums of products of these numbers may overflow, in the order in which the device adds.
 */
static void note_huge(forward *p, const float *values, size_t count) {
    static const float MOST = 1e17f;
    for (size_t i = 0; i < count; i++) p->huge |= !(fabsf(values[i]) <= MOST);
}

/* out[row][n] = activation(x * w^T + bias), [rows, stride]. `as`: how the device stores `w`; `head` as above.
 */
static void linear(forward *p, const rp_tensor *w, const rp_matrix *as, uint32_t head, const rp_tensor *bias,
                   rp_op_activation activation, const float *x, size_t rows, float *out, size_t stride) {
    const float *b = vector(p, bias, w->rows, p->bias);
    note_huge(p, x, rows * w->columns);
    for (size_t n = 0; n < w->rows; n++) {
        p->ended |= p->plain->stop;
        if (p->ended) return;
        const float *row = stored_row(p, w, as, n, head);
        note_huge(p, row, w->columns);
        for (size_t i = 0; i < rows; i++) {
            double sum = 0;
            for (size_t k = 0; k < w->columns; k++) sum += (double)x[i * w->columns + k] * row[k];
            out[i * stride + n] = rp_reference_activate((float)(sum + b[n]), activation);
        }
    }
}

/* The outputs of a head, and the unit by which they are judged: what a sum adds up. The sums themselves are
 * no unit, for their terms may cancel. */
static void head(forward *p, const rp_tensor *w, const rp_matrix *as, const rp_tensor *bias, const float *x,
                 size_t rows, float *out) {
    for (size_t n = 0; n < w->rows; n++) {
        const float *row = stored_row(p, w, as, n, 0);
        for (size_t i = 0; i < rows; i++) {
            double squares = 0;
            for (size_t k = 0; k < w->columns; k++) {
                double term = (double)x[i * w->columns + k] * row[k];
                squares += term * term;
            }
            p->unit = fmax(p->unit, sqrt(squares));
        }
    }
    linear(p, w, as, 0, bias, RP_OP_NONE, x, rows, out, w->rows);
}

static void normalize(forward *p, const rp_tensor *gamma, const rp_tensor *beta, float *x, size_t rows,
                      size_t width) {
    rp_reference_layernorm op = {.rows = rows,
                                 .width = width,
                                 .eps = p->config->norm_eps,
                                 .x = {x, width},
                                 .gamma = vector(p, gamma, width, p->gamma),
                                 .beta = vector(p, beta, width, p->beta),
                                 .out = {x, width}};
    note_huge(p, x, rows * width);
    rp_reference_layernorm_run(&op);
}

static void add(float *to, const float *x, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += x[i];
}

/* ---- the encoder ---- */

/* Round values as the device stores them between two operators of a layer: finite values stay finite. */
static void store(forward *p, float *values, size_t count) {
    static const float MOST = 65504;
    for (size_t i = 0; p->plain->half && i < count; i++) {
        if (fabsf(values[i]) > MOST) p->beyond = fmax(p->beyond, fabsf(values[i]) / MOST);
        values[i] = rp_half_to_float(rp_float_to_half(fmaxf(-MOST, fminf(values[i], MOST))));
    }
}

static void embed(forward *p) {
    const rp_weights *w = p->plain->weights;
    const rp_device_weights *as = &p->plain->stored;
    size_t e = p->config->embedding_size;
    float *sum = p->inner;
    for (size_t t = 0; t < p->tokens; t++) {
        size_t type = p->sequence->type_ids ? (size_t)p->sequence->type_ids[t] : 0;
        memcpy(sum + t * e, stored_row(p, &w->word, &as->word, (size_t)p->sequence->ids[t], 0),
               e * sizeof *sum);
        add(sum + t * e, stored_row(p, &w->position, &as->position, t, 0), e);
        if (w->type.data) add(sum + t * e, stored_row(p, &w->type, &as->type, type, 0), e);
    }
    normalize(p, &w->embedding_norm, &w->embedding_norm_bias, sum, p->tokens, e);
    if (!w->mapping.data)
        memcpy(p->hidden, sum, p->tokens * e * sizeof *sum);
    else
        linear(p, &w->mapping, &as->mapping, 0, &w->mapping_bias, RP_OP_NONE, sum, p->tokens, p->hidden,
               p->config->hidden_size);
    store(p, p->hidden, p->tokens * p->config->hidden_size);
}

/* x = LayerNorm(x + residual), [T, H]. The sum is stored too. */
static void end_in_norm(forward *p, float *x, const float *residual, const rp_tensor *gamma,
                        const rp_tensor *beta) {
    size_t h = p->config->hidden_size, count = p->tokens * h;
    add(x, residual, count);
    store(p, x, count);
    normalize(p, gamma, beta, x, p->tokens, h);
    store(p, x, count);
}

/* The places of the products in the list of rp_describe_layer. */
enum { QKV = 0, DENSE = 2, FFN, FFN_OUTPUT };

static rp_status run_layer(forward *p, uint32_t layer, rp_error *err) {
    const rp_layer_weights *w = &p->plain->weights->layers[layer];
    const rp_device_layer *as = &p->plain->stored.layers[layer];
    uint32_t h = p->config->hidden_size, i = p->config->intermediate_size,
             head = h / p->config->attention_heads, bytes = p->plain->bytes[layer];
    size_t t = p->tokens;
    const float *x = multiplied(p, bytes, QKV, p->hidden, h, 0);
    rp_op_activation activation = (rp_op_activation)p->config->activation;
    linear(p, &w->query, &as->qkv, 0, &w->query_bias, RP_OP_NONE, x, t, p->qkv, 3 * h);
    linear(p, &w->key, &as->qkv, 0, &w->key_bias, RP_OP_NONE, x, t, p->qkv + h, 3 * h);
    linear(p, &w->value, &as->qkv, 0, &w->value_bias, RP_OP_NONE, x, t, p->qkv + 2 * h, 3 * h);
    store(p, p->qkv, 3 * t * h);
    note_huge(p, p->qkv, 3 * t * h);
    const uint32_t starts[2] = {0, (uint32_t)t};
    const rp_reference_attention attention = {.sequences = 1,
                                              .heads = p->config->attention_heads,
                                              .head_dim = head,
                                              .head_stride = head,
                                              .starts = starts,
                                              .qkv = {p->qkv, 3 * h},
                                              .width = h,
                                              .out = {p->context, h}};
    rp_status status = p->ended ? RP_OK : rp_reference_attention_run(&attention, err);
    if (status) return status;
    store(p, p->context, t * h);
    x = multiplied(p, bytes, DENSE, p->context, h, head);
    linear(p, &w->dense, &as->dense, head, &w->dense_bias, RP_OP_NONE, x, t, p->attended, h);
    end_in_norm(p, p->attended, p->hidden, &w->attention_norm, &w->attention_norm_bias);
    x = multiplied(p, bytes, FFN, p->attended, h, 0);
    linear(p, &w->ffn, &as->ffn, 0, &w->ffn_bias, activation, x, t, p->inner, i);
    store(p, p->inner, t * i);
    x = multiplied(p, bytes, FFN_OUTPUT, p->inner, i, 0);
    linear(p, &w->ffn_output, &as->ffn_output, 0, &w->ffn_output_bias, RP_OP_NONE, x, t, p->hidden, h);
    end_in_norm(p, p->hidden, p->attended, &w->output_norm, &w->output_norm_bias);
    return RP_OK;
}

static rp_plain_result result_of(const forward *p) {
    return (rp_plain_result){!p->ended, p->huge, p->beyond, p->unit};
}

static void show(forward *p, uint32_t layer) {
    rp_plain_result known = result_of(p);
    if (!p->watch || p->ended) return;
    p->watch->take(p->watch->user, layer, p->hidden, &known);
    p->beyond = 1;
}

static rp_status encode(forward *p, rp_error *err) {
    const rp_config *c = p->config;
    rp_status status = RP_OK;
    embed(p);
    for (uint32_t i = 0; !status && !p->ended && i < c->layers * c->inner_layers; i++) {
        if (i % c->inner_layers == 0) show(p, i / c->inner_layers);
        uint32_t at = rp_config_group(c, i / c->inner_layers) * c->inner_layers + i % c->inner_layers;
        status = run_layer(p, at, err);
    }
    if (!status) show(p, c->layers);
    return status;
}

/* ---- outputs ---- */

static void masked_lm(forward *p, const uint32_t *rows, size_t count, float *out) {
    const rp_weights *w = p->plain->weights;
    const rp_device_weights *as = &p->plain->stored;
    bool tied = !w->lm_decoder.data;
    const rp_tensor *decoder = tied ? &w->word : &w->lm_decoder;
    size_t h = p->config->hidden_size, e = p->config->embedding_size;
    for (size_t i = 0; i < count; i++) {
        linear(p, &w->lm_dense, &as->lm_dense, 0, &w->lm_dense_bias, (rp_op_activation)p->config->activation,
               p->hidden + rows[i] * h, 1, p->inner, e);
        normalize(p, &w->lm_norm, &w->lm_norm_bias, p->inner, 1, e);
        linear(p, decoder, tied ? &as->word : &as->lm_decoder, 0, &w->lm_bias, RP_OP_NONE, p->inner, 1,
               out + i * decoder->rows, decoder->rows);
    }
}

static void make_output(forward *p, rp_output output, const uint32_t *rows, size_t row_count, float *out) {
    const rp_weights *w = p->plain->weights;
    const rp_device_weights *as = &p->plain->stored;
    size_t h = p->config->hidden_size;
    const uint32_t starts[2] = {0, (uint32_t)p->tokens};
    switch (output) {
    case RP_OUTPUT_HIDDEN:
        memcpy(out, p->hidden, p->tokens * h * sizeof *out);
        return;
    case RP_OUTPUT_CLS:
        memcpy(out, p->hidden, h * sizeof *out);
        return;
    case RP_OUTPUT_MEAN:
    case RP_OUTPUT_MAX:
        rp_reference_pool(1, h, output == RP_OUTPUT_MAX, (rp_const_rows){p->hidden, h}, starts,
                          (rp_rows){out, h});
        return;
    case RP_OUTPUT_TOKENS:
    case RP_OUTPUT_SPANS:
        head(p, &w->classifier, &as->classifier, &w->classifier_bias, p->hidden, p->tokens, out);
        return;
    case RP_OUTPUT_MASKED_LM:
        masked_lm(p, rows, row_count, out);
        return;
    default: /* first token -> pooler -> one of the heads that stand on it */
        linear(p, &w->pooler, &as->pooler, 0, &w->pooler_bias, p->config->no_pooler ? RP_OP_RELU : RP_OP_TANH,
               p->hidden, 1, output == RP_OUTPUT_POOLED ? out : p->attended, h);
        if (output == RP_OUTPUT_ORDER)
            head(p, &w->order, &as->order, &w->order_bias, p->attended, 1, out);
        else if (output != RP_OUTPUT_POOLED)
            head(p, &w->classifier, &as->classifier, &w->classifier_bias, p->attended, 1, out);
    }
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

static rp_status allocate(forward *p, rp_error *err) {
    const rp_config *c = p->config;
    uint64_t h = c->hidden_size, i = larger(c->intermediate_size, c->embedding_size), t = p->tokens;
    uint64_t widest = larger(larger(h, i), larger(c->vocab_size, c->label_count));
    widest += 4 * c->attention_heads; /* heads are padded */
    p->widest = (size_t)widest;
    struct {
        float **to;
        uint64_t count;
    } arrays[] = {{&p->stored, 2 * widest}, {&p->gamma, widest},
                  {&p->beta, widest},       {&p->bias, widest},
                  {&p->hidden, t * h},      {&p->attended, t * h},
                  {&p->qkv, 3 * t * h},     {&p->context, t * h},
                  {&p->inner, t * i},       {&p->multiplied, t * larger(h, i)}};
    for (size_t n = 0; n < RP_COUNT(arrays); n++) {
        *arrays[n].to = rp_arena_alloc(&p->arena, arrays[n].count, sizeof(float));
        if (!*arrays[n].to) return rp_fail_memory(err, "a text in plain C", arrays[n].count * sizeof(float));
    }
    return RP_OK;
}

rp_status rp_plain_run(rp_plain *plain, const rp_sequence *sequence, rp_output output, const uint32_t *rows,
                       size_t row_count, const rp_plain_watch *watch, float *out, rp_plain_result *result,
                       rp_error *err) {
    forward p = {.plain = plain,
                 .config = plain->config,
                 .sequence = sequence,
                 .watch = watch,
                 .tokens = sequence->count,
                 .beyond = 1};
    rp_status status = allocate(&p, err);
    if (!status) status = encode(&p, err);
    if (!status && !p.ended) make_output(&p, output, rows, row_count, out);
    p.ended |= status != RP_OK;
    *result = result_of(&p);
    rp_arena_finish(&p.arena);
    return status;
}
