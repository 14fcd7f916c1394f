/* Kernels against plain C, on the device. */
#include "ops/verify.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/reference.h"
#include "ops/timer.h"

static const float EPS = 1e-5f;

/* ---- a device set up to run one operator ---- */

typedef struct bed {
    rp_timer timer;
    rp_buffer data;    /* whatever is no weight, one range after the other, seen by the host */
    VkDeviceSize used; /* of it, bytes */
    rp_store weights;
    rp_arena host; /* what plain C works on */
} bed;

static void bed_close(bed *b) {
    rp_device *device = b->timer.device;
    if (device) rp_buffer_destroy(device, &b->data);
    if (b->weights.device) rp_store_finish(&b->weights);
    rp_timer_close(&b->timer);
    rp_arena_finish(&b->host);
}

/* With room for `bytes` of data in at most eight ranges. Closed by the caller also on failure. */
static rp_status bed_open(bed *b, rp_ops *owner, VkDeviceSize bytes, VkDeviceSize weights, rp_error *err) {
    rp_device *device = owner->device;
    rp_status status;
    *b = (bed){0};
    RP_TRY(rp_timer_open_for(&b->timer, owner, err));
    b->timer.ops.lanes = owner->lanes;
    b->timer.ops.verifying = true;
    rp_store_init(&b->weights, device, weights, "verification");
    RP_TRY(rp_buffer_create(device, bytes + 8 * device->caps.storage_alignment, RP_MEMORY_OUTPUT,
                            "verification", &b->data, err));
    memset(b->data.mapped, 0xff, (size_t)b->data.size); /* NaN: shows where it is used or left */
done:
    return status;
}

static rp_range take(bed *b, VkDeviceSize bytes) {
    rp_range range = rp_buffer_range(&b->data, b->used, bytes);
    b->used = rp_round_up(b->used + bytes, b->timer.device->caps.storage_alignment);
    return range;
}

static void *seen(const bed *b, rp_range range) {
    return (char *)b->data.mapped + range.offset;
}

static rp_status floats(bed *b, size_t count, float **out, rp_error *err) {
    *out = rp_arena_alloc(&b->host, count, sizeof **out);
    return *out ? RP_OK : rp_fail_memory(err, "the check of a kernel", count * sizeof **out);
}

static rp_op_target begin(bed *b) {
    return (rp_op_target){&b->timer.ops, b->timer.commands};
}

/* Run what was recorded twice, as a replay does: the second time on what the first has left. */
static rp_status run(bed *b, const uint32_t counts[RP_COUNT_KINDS], rp_error *err) {
    double seconds;
    rp_status status;
    RP_TRY(rp_timer_end(&b->timer, err));
    RP_TRY(rp_buffer_flush(b->timer.device, &b->data, b->data.size, err));
    RP_TRY(rp_timer_run(&b->timer, counts, &seconds, err));
    RP_TRY(rp_timer_run(&b->timer, counts, &seconds, err));
    RP_TRY(rp_buffer_invalidate(b->timer.device, &b->data, b->data.size, err));
done:
    return status;
}

/* ---- numbers ---- */

static uint32_t mixed(uint32_t i) {
    i = (i ^ i >> 16) * 0x7feb352du;
    i = (i ^ i >> 15) * 0x846ca68bu;
    return i ^ i >> 16;
}

/* Between -1 and 1: with every bit that a float32 has, so that one which was rounded shows; or such as a
 * half, a bfloat16 and an 8-bit integer of this scale hold exactly. */
static float number(uint32_t i, bool exact) {
    float value = (float)(int32_t)mixed(i) / 2147483648.0f;
    return exact ? truncf(127 * value) / 128 : value;
}

static void fill(float *out, size_t count, uint32_t seed, float scale) {
    for (size_t i = 0; i < count; i++) out[i] = scale * number(seed + (uint32_t)i, false);
}

/* ---- comparing ---- */

/* Results on the device [rows + 1, padded width]: the last row may not be written. */
typedef struct results {
    size_t rows;
    uint32_t width;
    rp_range range;
    const float *want;   /* [rows, width] */
    const float *scales; /* [rows]: what the values of a row are counted in; NULL: 1 */
    bool half;           /* they are float16 */
} results;

static void note(rp_verdict *verdict, double error) {
    if (!(error <= verdict->error)) verdict->error = isnan(error) ? INFINITY : error;
}

static float got_at(const void *data, size_t i, bool half) {
    return half ? rp_half_to_float(((const uint16_t *)data)[i]) : ((const float *)data)[i];
}

static void compare(const bed *b, const results *r, rp_verdict *verdict) {
    const void *got = seen(b, r->range);
    size_t stride = rp_padded(r->width), element = r->half ? 2 : 4;
    for (size_t i = 0; i < r->rows; i++) {
        double scale = r->scales ? r->scales[i] : 1;
        for (size_t c = 0; c < r->width; c++) {
            double want = r->want[i * r->width + c];
            note(verdict, fabs(got_at(got, i * stride + c, r->half) - want) / fmax(scale, fabs(want)));
        }
        for (size_t c = r->width; c < stride; c++)
            if (got_at(got, i * stride + c, r->half) != 0) note(verdict, INFINITY);
    }
    const uint8_t *untouched = (const uint8_t *)got + r->rows * stride * element;
    for (size_t i = 0; i < stride * element; i++)
        if (untouched[i] != 0xff) note(verdict, INFINITY);
}

static VkDeviceSize row_bytes(size_t rows, uint32_t width) {
    return (VkDeviceSize)rows * rp_padded(width) * 4;
}

/* `data` [rows, width] into a range whose rows are padded with zeros. */
static void send(bed *b, rp_range range, const float *data, size_t rows, uint32_t width, bool half) {
    size_t stride = rp_padded(width);
    void *to = seen(b, range);
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < stride; c++) {
            float value = c < width ? data[i * width + c] : 0;
            if (half)
                ((uint16_t *)to)[i * stride + c] = rp_float_to_half(value);
            else
                ((float *)to)[i * stride + c] = value;
        }
}

/* ---- matmul ---- */

enum { PRODUCT_K = 200 };

typedef struct product {
    const rp_matmul_kernel *kernel;
    const rp_ending *ending;
    rp_format format;
    uint32_t rows, n;
    float *x, *w, *stored, *bias, *residual, *norm, *want, *scales;
    rp_matrix matrix;
} product;

/* Every eighth row is large: a sum that overflows exp or half shows. Blocks of 32 are of unlike size, each
 * with a largest value of 127. */
static void fill_x(product *p) {
    bool exact = p->kernel->rounding || p->ending->halves & RP_HALF_X;
    for (uint32_t i = 0; i < p->rows; i++) {
        float scale = i % 8 == 7 ? 64 : 1;
        p->scales[i] = p->ending->norm ? 1 : scale;
        for (uint32_t k = 0; k < PRODUCT_K; k++) {
            float value = number(i * PRODUCT_K + k, exact);
            if (exact && k % 32 == 5) value = i & 1 ? 127.0f / 128 : -127.0f / 128;
            p->x[i * PRODUCT_K + k] = ldexpf(scale * value, exact ? -(int)(k / 32 % 3) : 0);
        }
    }
}

static rp_status make_weights(bed *b, product *p, rp_error *err) {
    bool half = p->format == RP_FORMAT_F16 || p->format == RP_FORMAT_BF16;
    size_t count = (size_t)p->n * PRODUCT_K;
    rp_storage storage = p->format == RP_FORMAT_INT8   ? RP_STORAGE_INT8
                         : p->format == RP_FORMAT_INT4 ? RP_STORAGE_INT4
                                                       : RP_STORAGE_AS_IS;
    uint16_t *halves = half ? rp_arena_alloc(&b->host, count, sizeof *halves) : NULL;
    if (half && !halves) return rp_fail_memory(err, "the check of a kernel", count * sizeof *halves);
    for (uint32_t i = 0; i < count; i++) {
        p->w[i] = 0.5f * number(i + 7919, half || p->kernel->rounding);
        if (half)
            halves[i] = p->format == RP_FORMAT_F16 ? rp_float_to_half(p->w[i]) : rp_float_to_bfloat(p->w[i]);
    }
    rp_host_matrix host = {half ? (void *)halves : p->w, half ? p->format : RP_FORMAT_F32, p->n, PRODUCT_K};
    rp_host_stored(&host, p->format, p->stored);
    return rp_matrix_create(&b->weights, &host, 1, storage, "verification", &p->matrix, err);
}

static void compute_want(product *p) {
    rp_reference_matmul op = {.rows = p->rows,
                              .n = p->n,
                              .k = PRODUCT_K,
                              .x = {p->x, PRODUCT_K},
                              .w = {p->stored, PRODUCT_K},
                              .bias = p->ending->bias ? p->bias : NULL,
                              .activation = p->ending->activation,
                              .residual = {p->ending->residual ? p->residual : NULL, p->n},
                              .out = {p->want, p->n}};
    rp_reference_layernorm norm = {p->rows,        p->n,           EPS, {p->want, p->n}, p->norm,
                                   p->norm + p->n, {p->want, p->n}};
    rp_reference_matmul_run(&op);
    if (p->ending->norm) rp_reference_layernorm_run(&norm);
}

static rp_status allocate(bed *b, product *p, rp_error *err) {
    size_t out = (size_t)p->rows * p->n, w = (size_t)p->n * PRODUCT_K;
    rp_status status;
    RP_TRY(floats(b, p->rows * PRODUCT_K, &p->x, err));
    RP_TRY(floats(b, w, &p->w, err));
    RP_TRY(floats(b, w, &p->stored, err));
    RP_TRY(floats(b, p->n, &p->bias, err));
    RP_TRY(floats(b, out, &p->residual, err));
    RP_TRY(floats(b, 2 * p->n, &p->norm, err));
    RP_TRY(floats(b, out, &p->want, err));
    RP_TRY(floats(b, p->rows, &p->scales, err));
    fill(p->bias, p->n, 1 << 20, 0.5f);
    for (uint32_t i = 0; i < out; i++)
        p->residual[i] = number((1 << 21) + i, p->ending->halves & RP_HALF_OUT);
    fill(p->norm, 2 * p->n, 1 << 22, 1);
    fill_x(p);
done:
    return status;
}

static rp_status run_product(bed *b, product *p, rp_verdict *out, rp_error *err) {
    const rp_ending *ending = p->ending;
    rp_host_matrix bias = {p->bias, RP_FORMAT_F32, 1, p->n},
                   norm[2] = {{p->norm, RP_FORMAT_F32, 1, p->n}, {p->norm + p->n, RP_FORMAT_F32, 1, p->n}};
    rp_matmul op = {.label = "verification",
                    .x = take(b, row_bytes(p->rows, PRODUCT_K)),
                    .w = &p->matrix,
                    .activation = ending->activation,
                    .out = take(b, row_bytes(p->rows + 1, p->n)),
                    .norm_width = p->n,
                    .norm_eps = EPS,
                    .halves = ending->halves};
    bool half_out = ending->halves & RP_HALF_OUT;
    rp_status status;
    send(b, op.x, p->x, p->rows, PRODUCT_K, ending->halves & RP_HALF_X);
    if (ending->bias) RP_TRY(rp_vectors_create(&b->weights, &bias, 1, "verification", &op.bias, err));
    if (ending->residual) {
        op.residual = take(b, row_bytes(p->rows, p->n));
        send(b, op.residual, p->residual, p->rows, p->n, half_out);
    }
    if (ending->norm) {
        RP_TRY(rp_vectors_create(&b->weights, norm, 2, "verification", &op.norm, err));
        op.arrived = take(b, p->rows * 4);
        memset(seen(b, op.arrived), 0, p->rows * 4);
    }
    RP_TRY(rp_store_flush(&b->weights, err));
    RP_TRY(rp_timer_begin(&b->timer, err));
    RP_TRY(rp_op_matmul_with(begin(b), &op, p->kernel, err));
    RP_TRY(run(b, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = p->rows}, err));
    compare(b, &(results){p->rows, p->n, op.out, p->want, p->scales, half_out}, out);
    for (uint32_t i = 0; ending->norm && i < p->rows; i++)
        if (((const uint32_t *)seen(b, op.arrived))[i]) note(out, INFINITY);
done:
    return status;
}

/* A whole tile and part of another, both ways. */
static uint32_t more_than(uint32_t tile, uint32_t least) {
    return tile + 5 < least ? least : tile + 5;
}

rp_status rp_verify_matmul(rp_ops *ops, const rp_matmul_kernel *kernel, rp_format format,
                           const rp_ending *ending, rp_verdict *out, rp_error *err) {
    product p = {.kernel = kernel,
                 .ending = ending,
                 .format = format,
                 .rows = more_than(rp_kernel_rows(kernel), 37),
                 .n = more_than(4 * rp_kernel_columns(kernel), 72)};
    VkDeviceSize bytes = row_bytes(p.rows, PRODUCT_K) + 2 * row_bytes(p.rows + 1, p.n) + p.rows * 4;
    bed b;
    rp_status status = bed_open(&b, ops, bytes, rp_panel_bytes(format, rp_padded(PRODUCT_K), p.n), err);
    *out = (rp_verdict){.bound = rp_rounding_bound(kernel->rounding)};
    if (ending->halves & RP_HALF_OUT)
        out->bound += ending->norm ? 4e-3 : 1e-3; /* rounded before the norm too */
    if (!status) status = allocate(&b, &p, err);
    if (!status) status = make_weights(&b, &p, err);
    if (!status) compute_want(&p);
    if (!status) status = run_product(&b, &p, out, err);
    rp_matrix_finish(&p.matrix);
    bed_close(&b);
    return status;
}

/* ---- attention ---- */

enum { HEADS = 2, LARGE_SEQUENCE = 2 };
static const uint32_t starts_of[] = {0, 1, 34, 41, 106, 237};
enum { SEQUENCES = sizeof starts_of / sizeof starts_of[0] - 1, ATTENTION_TOKENS = 237 };

typedef struct heads {
    uint32_t head_dim, width; /* of each, and of all with their padding */
    unsigned halves;
    float *qkv, *want, *scales;
} heads;

/* Scores of one sequence are so large that exp overflows unless the largest is subtracted first. */
static void fill_heads(heads *h, bool exact) {
    uint32_t head = rp_head_width(h->head_dim), stride = 3 * h->width;
    for (uint32_t i = 0; i < ATTENTION_TOKENS; i++) {
        bool large = i >= starts_of[LARGE_SEQUENCE] && i < starts_of[LARGE_SEQUENCE + 1];
        h->scales[i] = large ? 64 : 1;
        for (uint32_t c = 0; c < stride; c++) {
            uint32_t column = c % h->width;
            bool inside = column < HEADS * head && column % head < h->head_dim;
            float scale = large && c < h->width ? 64 : 1;
            h->qkv[i * stride + c] = inside ? scale * number(i * stride + c, exact) : 0;
        }
    }
}

static rp_status run_heads(bed *b, const heads *h, const rp_attention_kernel *kernel, rp_verdict *out,
                           rp_error *err) {
    rp_attention op = {.heads = HEADS,
                       .head_dim = h->head_dim,
                       .kernel = kernel,
                       .qkv = take(b, ATTENTION_TOKENS * 3ull * h->width * 4),
                       .starts = take(b, sizeof starts_of),
                       .tiles = take(b, ATTENTION_TOKENS * 8),
                       .out = take(b, (ATTENTION_TOKENS + 1ull) * h->width * 4),
                       .halves = h->halves};
    uint32_t *tiles = seen(b, op.tiles);
    uint32_t counts[RP_COUNT_KINDS] = {
        [RP_COUNT_TOKENS] = ATTENTION_TOKENS, [RP_COUNT_SEQUENCES] = SEQUENCES};
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t q = 0; q < starts_of[s + 1] - starts_of[s]; q += kernel->queries) {
            uint32_t *tile = &tiles[2 * counts[RP_COUNT_TILES]++];
            tile[0] = s;
            tile[1] = q;
        }
    memcpy(seen(b, op.starts), starts_of, sizeof starts_of);
    send(b, op.qkv, h->qkv, ATTENTION_TOKENS, 3 * h->width, h->halves & RP_HALF_X);
    rp_status status;
    RP_TRY(rp_timer_begin(&b->timer, err));
    RP_TRY(rp_op_attention(begin(b), &op, err));
    RP_TRY(run(b, counts, err));
    compare(b, &(results){ATTENTION_TOKENS, h->width, op.out, h->want, h->scales, h->halves & RP_HALF_OUT},
            out);
done:
    return status;
}

rp_status rp_verify_attention(rp_ops *ops, const rp_attention_kernel *kernel, uint32_t head_dim,
                              unsigned halves, rp_verdict *out, rp_error *err) {
    heads h = {.head_dim = head_dim, .width = rp_attention_width(HEADS, head_dim), .halves = halves};
    size_t all = (size_t)ATTENTION_TOKENS * h.width;
    bed b;
    rp_status status;
    *out = (rp_verdict){.bound = rp_rounding_bound(kernel->rounding)};
    RP_TRY(bed_open(&b, ops, (all * 4 + h.width) * 4 + ATTENTION_TOKENS * 8 + sizeof starts_of, 0, err));
    RP_TRY(floats(&b, 3 * all, &h.qkv, err));
    RP_TRY(floats(&b, all, &h.want, err));
    RP_TRY(floats(&b, ATTENTION_TOKENS, &h.scales, err));
    if (halves & RP_HALF_OUT) out->bound += 1e-3;
    fill_heads(&h, kernel->rounding || halves & RP_HALF_X);
    rp_reference_attention reference = {.sequences = SEQUENCES,
                                        .heads = HEADS,
                                        .head_dim = head_dim,
                                        .head_stride = rp_head_width(head_dim),
                                        .starts = starts_of,
                                        .qkv = {h.qkv, 3 * (size_t)h.width},
                                        .width = h.width,
                                        .out = {h.want, h.width}};
    RP_TRY(rp_reference_attention_run(&reference, err));
    RP_TRY(run_heads(&b, &h, kernel, out, err));
done:
    bed_close(&b);
    return status;
}

/* ---- the operators that work row by row ---- */

enum { ROWS = 37, WIDTH = 315 };
static const VkDeviceSize ROWS_BYTES = (ROWS + 1) * (WIDTH + RP_PANEL) * 4;

/* x [ROWS, WIDTH] on the host and on the device, there as float16 if `half`; and room for the results of
 * plain C. */
static rp_status some_rows(bed *b, bool half, float **x, rp_range *range, float **want, rp_error *err) {
    rp_status status;
    RP_TRY(floats(b, ROWS * WIDTH, x, err));
    RP_TRY(floats(b, ROWS * WIDTH, want, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) (*x)[i] = number(17 + i, half);
    *range = take(b, row_bytes(ROWS, WIDTH));
    send(b, *range, *x, ROWS, WIDTH, half);
done:
    return status;
}

rp_status rp_verify_layernorm(rp_ops *ops, const rp_row_kernel *kernel, unsigned halves, rp_verdict *out,
                              rp_error *err) {
    rp_layernorm op = {.label = "verification", .width = WIDTH, .eps = EPS, .halves = halves};
    float *x, *want, *norm;
    bed b;
    rp_status status;
    *out = (rp_verdict){.bound = rp_rounding_bound(RP_ROUNDING_NONE) + (halves & RP_HALF_OUT ? 1e-3 : 0)};
    RP_TRY(bed_open(&b, ops, 2 * ROWS_BYTES, 4 * WIDTH * 4, err));
    RP_TRY(some_rows(&b, false, &x, &op.x, &want, err));
    RP_TRY(floats(&b, 2 * WIDTH, &norm, err));
    fill(norm, 2 * WIDTH, 1 << 22, 1);
    rp_host_matrix parts[2] = {{norm, RP_FORMAT_F32, 1, WIDTH}, {norm + WIDTH, RP_FORMAT_F32, 1, WIDTH}};
    RP_TRY(rp_vectors_create(&b.weights, parts, 2, "verification", &op.norm, err));
    RP_TRY(rp_store_flush(&b.weights, err));
    rp_reference_layernorm reference = {ROWS, WIDTH, EPS, {x, WIDTH}, norm, norm + WIDTH, {want, WIDTH}};
    rp_reference_layernorm_run(&reference);
    op.out = take(&b, row_bytes(ROWS + 1, WIDTH));
    RP_TRY(rp_timer_begin(&b.timer, err));
    RP_TRY(rp_op_layernorm_with(begin(&b), &op, kernel, err));
    RP_TRY(run(&b, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS}, err));
    compare(&b, &(results){ROWS, WIDTH, op.out, want, NULL, halves & RP_HALF_OUT}, out);
done:
    bed_close(&b);
    return status;
}

/* A table [rows, WIDTH] in a format, on the host as float and on the device. */
static rp_status make_table(bed *b, uint32_t rows, rp_format format, uint32_t seed, float **values,
                            rp_matrix *out, rp_error *err) {
    size_t count = (size_t)rows * WIDTH;
    uint16_t *halves = rp_arena_alloc(&b->host, count, sizeof *halves);
    rp_status status = floats(b, count, values, err);
    if (status) return status;
    if (!halves) return rp_fail_memory(err, "the check of a kernel", count * sizeof *halves);
    for (uint32_t i = 0; i < count; i++) {
        float value = (*values)[i] = number(seed + i, format != RP_FORMAT_F32);
        halves[i] = format == RP_FORMAT_F16 ? rp_float_to_half(value) : rp_float_to_bfloat(value);
    }
    rp_host_matrix host = {format == RP_FORMAT_F32 ? (void *)*values : halves, format, rows, WIDTH};
    return rp_matrix_create(&b->weights, &host, 1, RP_STORAGE_AS_IS, "verification", out, err);
}

rp_status rp_verify_embed(rp_ops *ops, const rp_format formats[3], rp_verdict *out, rp_error *err) {
    static const uint32_t sizes[3] = {77, ROWS + 3, 2}; /* words, positions, types */
    rp_matrix tables[3] = {{0}};
    float *values[3], *want;
    bed b;
    rp_status status;
    *out = (rp_verdict){.bound = rp_rounding_bound(RP_ROUNDING_NONE)};
    RP_TRY(bed_open(&b, ops, ROWS_BYTES + ROWS * 16, 120 * 4 * (WIDTH + RP_PANEL), err));
    for (uint32_t i = 0; i < 3; i++)
        RP_TRY(make_table(&b, sizes[i], formats[i], i << 20, &values[i], &tables[i], err));
    RP_TRY(rp_store_flush(&b.weights, err));
    RP_TRY(floats(&b, ROWS * WIDTH, &want, err));
    rp_embedding op = {.tokens = take(&b, ROWS * 16),
                       .word = &tables[0],
                       .position = &tables[1],
                       .type = &tables[2],
                       .out = take(&b, row_bytes(ROWS + 1, WIDTH))};
    uint32_t *tokens = seen(&b, op.tokens);
    for (uint32_t i = 0; i < ROWS; i++)
        memcpy(&tokens[4 * i], (uint32_t[4]){(i * 31 + 76) % 77, i % 2, ROWS + 2 - i, 0}, 16);
    rp_reference_embed reference = {
        ROWS, WIDTH, tokens, {values[0], WIDTH}, {values[1], WIDTH}, {values[2], WIDTH}, {want, WIDTH}};
    rp_reference_embed_run(&reference);
    RP_TRY(rp_timer_begin(&b.timer, err));
    RP_TRY(rp_op_embed(begin(&b), &op, err));
    RP_TRY(run(&b, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS}, err));
    compare(&b, &(results){ROWS, WIDTH, op.out, want, NULL, false}, out);
done:
    for (uint32_t i = 0; i < 3; i++) rp_matrix_finish(&tables[i]);
    bed_close(&b);
    return status;
}

static rp_status verify_gather(rp_ops *ops, bool listed, unsigned halves, rp_verdict *out, rp_error *err) {
    enum { CHOSEN = 23 };
    rp_gather op = {.label = "verification", .rows = RP_COUNT_ROWS, .width = WIDTH, .halves = halves};
    uint32_t list[CHOSEN];
    float *x, *want;
    bed b;
    rp_status status;
    RP_TRY(bed_open(&b, ops, 2 * ROWS_BYTES + sizeof list, 0, err));
    RP_TRY(some_rows(&b, halves, &x, &op.x, &want, err));
    for (uint32_t i = 0; i < CHOSEN; i++) list[i] = (i * 29 + 36) % ROWS;
    if (listed) {
        op.list = take(&b, sizeof list);
        memcpy(seen(&b, op.list), list, sizeof list);
    }
    op.out = take(&b, row_bytes(CHOSEN + 1, WIDTH));
    rp_reference_gather(CHOSEN, WIDTH, (rp_const_rows){x, WIDTH}, listed ? list : NULL,
                        (rp_rows){want, WIDTH});
    RP_TRY(rp_timer_begin(&b.timer, err));
    RP_TRY(rp_op_gather(begin(&b), &op, err));
    RP_TRY(run(&b, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_ROWS] = CHOSEN}, err));
    compare(&b, &(results){CHOSEN, WIDTH, op.out, want, NULL, false}, out);
done:
    bed_close(&b);
    return status;
}

rp_status rp_verify_gather(rp_ops *ops, unsigned halves, rp_verdict *out, rp_error *err) {
    *out = (rp_verdict){.bound = 0};
    rp_status status = verify_gather(ops, true, halves, out, err);
    return status ? status : verify_gather(ops, false, halves, out, err);
}

static rp_status verify_pool(rp_ops *ops, bool largest, unsigned halves, rp_verdict *out, rp_error *err) {
    static const uint32_t starts[] = {0, 1, 8, 11, ROWS};
    enum { COUNT = RP_COUNT(starts) - 1 };
    rp_pool op = {.width = WIDTH, .largest = largest, .halves = halves};
    float *x, *want;
    bed b;
    rp_status status;
    RP_TRY(bed_open(&b, ops, 2 * ROWS_BYTES + sizeof starts, 0, err));
    RP_TRY(some_rows(&b, halves, &x, &op.x, &want, err));
    op.starts = take(&b, sizeof starts);
    memcpy(seen(&b, op.starts), starts, sizeof starts);
    op.out = take(&b, row_bytes(COUNT + 1, WIDTH));
    rp_reference_pool(COUNT, WIDTH, largest, (rp_const_rows){x, WIDTH}, starts, (rp_rows){want, WIDTH});
    RP_TRY(rp_timer_begin(&b.timer, err));
    RP_TRY(rp_op_pool(begin(&b), &op, err));
    RP_TRY(run(&b, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS, [RP_COUNT_SEQUENCES] = COUNT}, err));
    compare(&b, &(results){COUNT, WIDTH, op.out, want, NULL, false}, out);
done:
    bed_close(&b);
    return status;
}

rp_status rp_verify_pool(rp_ops *ops, unsigned halves, rp_verdict *out, rp_error *err) {
    *out = (rp_verdict){.bound = rp_rounding_bound(RP_ROUNDING_NONE)};
    rp_status status = verify_pool(ops, true, halves, out, err);
    return status ? status : verify_pool(ops, false, halves, out, err);
}
