/* Every matmul kernel against plain C: odd widths and row counts, every format of weights, every way to
 * end, matrices in several chunks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/matmul.h"
#include "support_ops.h"

#define EPS 1e-5f

enum { MOST_ROWS = 130, MOST_KERNELS = 64 };
static const uint32_t row_counts[] = {MOST_ROWS, 33, 7, 1, 0};

/* ---- the kernels: everything that the library plans for any look of the device ---- */

/* Where `k` is in the list, or its shader by any tile; `count`: nowhere. */
static size_t find(const rp_kernel *kernels, size_t count, const rp_kernel *k, bool any_tile) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(kernels[i].key.shader, k->key.shader) && (any_tile || !strcmp(kernels[i].name, k->name)))
            return i;
    return count;
}

/* `each_shader_once`: by the smallest of its tiles; a software driver takes long to compile the others. A
 * 32-bit build always does so: the shaders are those of other builds, and what differs is the code around
 * them. */
static size_t list_kernels(const rp_use *use, bool each_shader_once, rp_kernel out[MOST_KERNELS]) {
    size_t count = 0;
    if (sizeof(size_t) < 8) each_shader_once = true;
    for (size_t look = 0; look < OPS_LOOKS; look++) {
        rp_kernel planned[RP_MAX_KERNELS];
        ops_look_like(look);
        uint32_t plans = rp_matmul_plan(&ops_device->caps, use, planned);
        assert_in_range(plans, 1, RP_MAX_KERNELS);
        for (uint32_t i = 0; i < plans; i++) {
            size_t at = find(out, count, &planned[i], each_shader_once);
            out[at] = planned[i]; /* the later of a shader are the smaller */
            count += at == count;
        }
        assert_true(count <= MOST_KERNELS - RP_MAX_KERNELS);
    }
    ops_look_like(0);
    return count;
}

/* ---- one test: a matrix and an epilogue, with all kernels and row counts ---- */

typedef struct test {
    rp_host_matrix parts[3]; /* of one width, on top of each other; freed by check_matmul */
    uint32_t part_count;
    bool bias, residual, norm; /* norm: of one part only */
    rp_op_activation activation;
    rp_storage storage;
    unsigned halves;
    bool each_shader_once;
    uint32_t gap; /* elements behind each row of x and of out; not with a residual, a LayerNorm or float16
                     results */
    float *x;     /* [MOST_ROWS, padded k]; NULL: random */

    char name[128];
    uint32_t k, stride; /* width of x; stride of out */
    const rp_matrix *w;
    rp_host_matrix bias_data[3];
    float *residual_data, *want, *got; /* [MOST_ROWS, stride] */
    float *own, *first; /* likewise: what this kernel gave; what the first float32 kernel gave */
    bool has_first;
    rp_host_matrix norm_data[2]; /* gamma, beta */
    rp_range x_range, bias_range, residual_range, norm_range, arrived, out;
} test;

/* ---- float16 in memory ---- */

/* The nearest float16 of every value. */
static void round_to_halves(float *values, size_t count) {
    for (size_t i = 0; i < count; i++) values[i] = rp_half_to_float(rp_float_to_half(values[i]));
}

/* `values` as the device is to read them. Freed by free(). */
static void *as_stored(const float *values, size_t count, bool half) {
    uint16_t *halves = malloc(count * sizeof *values + 1);
    assert_non_null(halves);
    if (!half) return memcpy(halves, values, count * sizeof *values);
    for (size_t i = 0; i < count; i++) halves[i] = rp_float_to_half(values[i]);
    return halves;
}

static rp_range upload(const float *values, size_t count, bool half) {
    void *data = as_stored(values, count, half);
    rp_range range = ops_upload(data, count * (half ? sizeof(uint16_t) : sizeof(float)));
    free(data);
    return range;
}

/* Rows with a gap behind each, which is not a number. Freed by free(). */
static float *with_gaps(const test *t) {
    size_t width = rp_padded(t->k), stride = width + t->gap, count = MOST_ROWS * stride;
    float *spread = rp_new_array(float, count);
    assert_non_null(spread);
    for (size_t i = 0; i < count; i++)
        spread[i] = i % stride < width ? t->x[i / stride * width + i % stride] : NAN;
    return spread;
}

/* What is written with gaps, of which nothing may be. */
static void fetch_between_gaps(test *t, uint32_t rows) {
    size_t stride = t->stride + t->gap;
    const float *out = ops_read(t->out);
    ops_check_untouched(out, rows, MOST_ROWS, stride);
    for (size_t i = 0; i < rows; i++) {
        memcpy(t->got + i * t->stride, out + i * stride, t->stride * 4);
        ops_check_untouched(out + i * stride + t->stride, 0, 1, t->gap);
    }
}

/* The results into t->got; rows that are not there must be as they were. */
static void fetch_results(test *t, uint32_t rows) {
    if (t->gap) {
        fetch_between_gaps(t, rows);
        return;
    }
    size_t floats = (size_t)MOST_ROWS * t->stride, there = (size_t)rows * t->stride;
    const float *out = ops_read(t->out);
    if (t->halves & RP_HALF_OUT) {
        const uint16_t *halves = (const void *)out;
        for (size_t i = 0; i < there; i++) t->got[i] = rp_half_to_float(halves[i]);
        if (rows % 2 == 0) ops_check_untouched(out, rows / 2, MOST_ROWS, t->stride);
        return;
    }
    memcpy(t->got, out, floats * 4);
    ops_check_untouched(out, rows, MOST_ROWS, t->stride);
}

/* What plain C makes of the weights as they are stored: the parts stand side by side, each padded. */
static void compute_want(test *t) {
    for (uint32_t p = 0, at = 0; p < t->part_count; at += rp_padded(t->parts[p++].rows)) {
        size_t elements = (size_t)t->parts[p].rows * t->k;
        float *w = rp_new_array(float, elements);
        assert_non_null(w);
        rp_host_stored(&t->parts[p], t->w->format, w);
        rp_reference_matmul op = {.rows = MOST_ROWS,
                                  .n = t->parts[p].rows,
                                  .k = t->k,
                                  .x = {t->x, rp_padded(t->k)},
                                  .w = {w, t->k},
                                  .bias = t->bias ? t->bias_data[p].data : NULL,
                                  .activation = t->activation,
                                  .residual = {t->residual ? t->residual_data + at : NULL, t->stride},
                                  .out = {t->want + at, t->stride}};
        rp_reference_matmul_run(&op);
        free(w);
    }
}

static void prepare(test *t) {
    ops_begin();
    t->k = t->parts[0].columns;
    t->w = ops_matrix_as(t->parts, t->part_count, t->storage);
    t->stride = t->w->rows;
    snprintf(t->name, sizeof t->name, "%u x %u, format %d, activation %d, bias %d, residual %d, %u chunks",
             t->parts[0].rows, t->k, t->w->format, t->activation, t->bias, t->residual, t->w->chunk_count);
    size_t floats = (size_t)MOST_ROWS * t->stride;
    size_t inputs = (size_t)MOST_ROWS * rp_padded(t->k);
    if (!t->x) t->x = ops_random_rows(MOST_ROWS, t->k, 1);
    t->residual_data = ops_random_rows(MOST_ROWS, t->parts[0].rows, 1);
    if (t->halves & RP_HALF_X) round_to_halves(t->x, inputs);
    if (t->halves & RP_HALF_OUT) round_to_halves(t->residual_data, floats);
    t->want = rp_new_array(float, floats);
    t->got = rp_new_array(float, floats);
    t->own = rp_new_array(float, floats);
    t->first = rp_new_array(float, floats);
    assert_true(t->want && t->got && t->own && t->first);
    for (uint32_t p = 0; p < t->part_count; p++)
        t->bias_data[p] = ops_random_matrix(RP_FORMAT_F32, 1, t->parts[p].rows);
    float *x = t->gap ? with_gaps(t) : t->x;
    t->x_range = upload(x, inputs + (size_t)MOST_ROWS * t->gap, t->halves & RP_HALF_X);
    if (t->gap) free(x);
    if (t->bias) t->bias_range = ops_vectors(t->bias_data, t->part_count);
    if (t->residual) t->residual_range = upload(t->residual_data, floats, t->halves & RP_HALF_OUT);
    t->out = ops_results(floats + (size_t)MOST_ROWS * t->gap);
    compute_want(t);
    for (uint32_t i = 0; i < 2; i++) t->norm_data[i] = ops_random_matrix(RP_FORMAT_F32, 1, t->parts[0].rows);
    if (!t->norm) return;
    static const uint32_t zeros[MOST_ROWS];
    t->norm_range = ops_vectors(t->norm_data, 2);
    t->arrived = ops_upload(zeros, sizeof zeros);
    rp_reference_layernorm op = {.rows = MOST_ROWS,
                                 .width = t->parts[0].rows,
                                 .eps = EPS,
                                 .x = {t->want, t->stride},
                                 .gamma = t->norm_data[0].data,
                                 .beta = t->norm_data[1].data,
                                 .out = {t->want, t->stride}};
    rp_reference_layernorm_run(&op);
}

static void finish(test *t) {
    for (uint32_t p = 0; p < t->part_count; p++) {
        free((void *)t->parts[p].data);
        free((void *)t->bias_data[p].data);
    }
    for (uint32_t i = 0; i < 2; i++) free((void *)t->norm_data[i].data);
    free(t->x);
    free(t->residual_data);
    free(t->want);
    free(t->got);
    free(t->own);
    free(t->first);
}

/* A row has the same bits wherever it stands in the batch. */
static void check_reversed(test *t, rp_op_target target) {
    size_t stride = rp_padded(t->k), floats = MOST_ROWS * stride;
    bool half = t->halves & RP_HALF_X;
    float *x = rp_new_array(float, floats);
    assert_non_null(x);
    for (size_t i = 0; i < MOST_ROWS; i++)
        memcpy(x + i * stride, t->x + (MOST_ROWS - 1 - i) * stride, stride * 4);
    void *reversed = as_stored(x, floats, half), *straight = as_stored(t->x, floats, half);
    ops_write(t->x_range, reversed, floats * (half ? 2 : 4));
    ops_run_rows(target, MOST_ROWS);
    fetch_results(t, MOST_ROWS);
    for (size_t i = 0; i < MOST_ROWS; i++)
        assert_memory_equal(t->got + i * t->stride, t->own + (MOST_ROWS - 1 - i) * t->stride, t->stride * 4);
    ops_write(t->x_range, straight, floats * (half ? 2 : 4));
    free(straight);
    free(reversed);
    free(x);
}

/* How far from plain C a kernel may be, relative above 1. float32 sums of at most 768 products below 0.5,
 * added one after the other: partial sums reach 16 or so, and each addition rounds to 2^-20 or less of them;
 * the errors, as those of rounded inputs, add up like a random walk. A LayerNorm divides by the deviation,
 * which may be small. */
static double bound_of(const test *t, const rp_kernel *k) {
    double each = k->rounding == RP_ROUNDING_INT8 ? 3e-3 : k->rounding == RP_ROUNDING_F16 ? 2.5e-4 : 0;
    bool exact = !k->rounding && !t->halves;
    return (2e-5 + each * sqrt((double)t->k) + (t->halves & RP_HALF_OUT ? 1e-3 : 0)) *
           (t->norm && !exact ? 4 : 1);
}

static rp_op describe(const test *t) {
    return (rp_op){.class = &rp_class_matmul,
                   .label = t->name,
                   .rows = RP_COUNT_ROWS,
                   .x = t->x_range,
                   .x_stride = t->gap ? rp_padded(t->k) + t->gap : 0,
                   .w = {t->w},
                   .bias = t->bias_range,
                   .activation = t->activation,
                   .residual = t->residual_range,
                   .out = t->out,
                   .out_stride = t->gap ? t->stride + t->gap : 0,
                   .norm = t->norm_range,
                   .arrived = t->arrived,
                   .width = t->parts[0].rows,
                   .eps = EPS,
                   .halves = t->halves};
}

static void run_kernel(test *t, const rp_kernel *k) {
    rp_op_target target = ops_record();
    rp_op op = describe(t);
    op.kernel = *k;
    size_t floats = (size_t)MOST_ROWS * t->stride;
    uint32_t width = t->part_count == 1 ? t->parts[0].rows : t->stride;
    OPS_OK(rp_op_record(target, &op, &ops_err));
    ops_record_end(target);
    for (size_t i = 0; i < RP_COUNT(row_counts); i++) {
        uint32_t rows = row_counts[i];
        ops_clear(t->out);
        ops_run_rows(target, rows);
        fetch_results(t, rows);
        ops_compare(t->got, t->want, rows, width, bound_of(t, k), "%s: %s, %u rows", t->name, k->name, rows);
        if (!i) memcpy(t->own, t->got, floats * 4);
        assert_memory_equal(t->got, t->own, (size_t)rows * t->stride * 4);
    }
    /* every float32 kernel adds in the same order, but for the sums of a LayerNorm */
    if (!k->rounding && !t->norm) {
        if (!t->has_first) memcpy(t->first, t->own, floats * 4);
        t->has_first = true;
        assert_memory_equal(t->own, t->first, floats * 4);
    }
    if (!t->residual && !t->gap) check_reversed(t, target);
}

static void check_matmul(test t) {
    rp_kernel kernels[MOST_KERNELS];
    prepare(&t);
    rp_op op = describe(&t);
    rp_use use = rp_use_of(&op);
    size_t count = list_kernels(&use, t.each_shader_once, kernels);
    for (size_t i = 0; i < count; i++) run_kernel(&t, &kernels[i]);
    finish(&t);
}

/* ---- what is tested ---- */

/* The format in which random numbers are made for `format`, and how they are stored then. */
static rp_format host_format(rp_format format) {
    return rp_format_words(format) ? RP_FORMAT_F32 : format;
}
static rp_storage storage_of(rp_format format) {
    return format == RP_FORMAT_INT8   ? RP_STORAGE_INT8
           : format == RP_FORMAT_INT4 ? RP_STORAGE_INT4
                                      : RP_STORAGE_AS_IS;
}

static void test_shapes(void **state) {
    static const uint32_t shapes[][2] = {{1, 1},    {1, 22},   {22, 1},   {22, 39},   {39, 22},  {39, 39},
                                         {39, 91},  {91, 39},  {312, 91}, {312, 312}, {768, 1},  {1, 768},
                                         {768, 39}, {91, 768}, {33, 32},  {312, 768}, {768, 312}};
    rp_format format = (rp_format)(intptr_t)*state;
    for (size_t i = 0; i < RP_COUNT(shapes); i++)
        check_matmul((test){.parts = {ops_random_matrix(host_format(format), shapes[i][0], shapes[i][1])},
                            .part_count = 1,
                            .storage = storage_of(format)});
}

static void test_endings(void **state) {
    (void)state;
    for (int activation = RP_OP_NONE; activation <= RP_OP_TANH; activation++)
        for (int epilogue = 0; epilogue < 4; epilogue++)
            check_matmul((test){.parts = {ops_random_matrix(RP_FORMAT_F32, 39, 22)},
                                .part_count = 1,
                                .activation = (rp_op_activation)activation,
                                .bias = epilogue & 1,
                                .residual = epilogue & 2,
                                .each_shader_once = true});
    check_matmul((test){.parts = {ops_random_matrix(RP_FORMAT_F32, 39, 22)}, /* the scale before the bias */
                        .part_count = 1,
                        .activation = RP_OP_GELU,
                        .bias = true,
                        .residual = true,
                        .storage = RP_STORAGE_INT8});
}

/* The LayerNorm of whoever finishes last: one tile of rows or many, one workgroup a tile or many, several
 * chunks. */
static void test_norm(void **state) {
    static const uint32_t shapes[][2] = {{1, 22}, {39, 91}, {70, 22}, {312, 39}, {768, 91}};
    rp_format format = (rp_format)(intptr_t)*state;
    for (size_t i = 0; i < RP_COUNT(shapes); i++)
        for (int epilogue = rp_format_words(format) ? 3 : 0; epilogue < 4; epilogue++)
            check_matmul((test){.parts = {ops_random_matrix(RP_FORMAT_F32, shapes[i][0], shapes[i][1])},
                                .part_count = 1,
                                .bias = epilogue & 1,
                                .residual = epilogue & 2,
                                .norm = true,
                                .each_shader_once = i != 2 || epilogue != 3,
                                .storage = storage_of(format)});
}

/* Activations in float16, with every epilogue; every tile with one of them. */
static void test_halves(void **state) {
    static const uint32_t shapes[][2] = {{1, 22}, {39, 91}, {312, 39}, {91, 312}};
    rp_format format = (rp_format)(intptr_t)*state;
    for (size_t i = 0; i < RP_COUNT(shapes); i++)
        for (unsigned halves = RP_HALF_X; halves <= (RP_HALF_X | RP_HALF_OUT); halves++)
            for (int norm = 0; norm < 2; norm++)
                check_matmul(
                    (test){.parts = {ops_random_matrix(host_format(format), shapes[i][0], shapes[i][1])},
                           .part_count = 1,
                           .bias = true,
                           .activation = norm ? RP_OP_NONE : RP_OP_GELU_TANH,
                           .residual = i % 2 || norm,
                           .norm = norm,
                           .halves = halves,
                           .each_shader_once = norm || i != 1 || !(halves & RP_HALF_OUT),
                           .storage = storage_of(format)});
}

/* Query, key and value: one matrix of three parts, whose formats may differ. */
static void test_parts(void **state) {
    (void)state;
    for (rp_storage storage = RP_STORAGE_AS_IS; storage <= RP_STORAGE_INT4; storage++)
        for (rp_format second = RP_FORMAT_F32; second <= (storage ? RP_FORMAT_F32 : RP_FORMAT_BF16); second++)
            check_matmul(
                (test){.parts = {ops_random_matrix(RP_FORMAT_F16, 39, 91), ops_random_matrix(second, 39, 91),
                                 ops_random_matrix(RP_FORMAT_F16, 70, 91)},
                       .part_count = 3,
                       .bias = true,
                       .storage = storage});
}

/* A device whose storage buffers hold two panels and a half. */
static void test_chunks(void **state) {
    rp_format format = (rp_format)(intptr_t)*state, host = host_format(format);
    rp_storage storage = storage_of(format);
    uint64_t *limit = &ops_device->caps.info.max_storage_bytes, before = *limit;
    uint64_t panel = rp_panel_bytes(format, rp_padded(91), 1);
    *limit = 2 * panel + panel / 2;
    check_matmul((test){.parts = {ops_random_matrix(host, 312, 91)},
                        .part_count = 1,
                        .bias = true,
                        .residual = true,
                        .storage = storage});
    check_matmul((test){.parts = {ops_random_matrix(host, 39, 91), ops_random_matrix(host, 70, 91),
                                  ops_random_matrix(host, 39, 91)},
                        .part_count = 3,
                        .bias = true,
                        .each_shader_once = true,
                        .storage = storage});
    check_matmul((test){.parts = {ops_random_matrix(host, 312, 91)},
                        .part_count = 1,
                        .residual = true,
                        .norm = true,
                        .each_shader_once = true,
                        .storage = storage});
    ops_begin();
    rp_host_matrix w = ops_random_matrix(host, 312, 91);
    assert_int_equal(ops_matrix_as(&w, 1, storage)->chunk_count, 5);
    *limit = panel - 1;
    rp_store store;
    rp_matrix none;
    rp_error err = {0};
    rp_store_init(&store, ops_device, 0, "weights");
    assert_int_equal(rp_matrix_create(&store, &w, 1, storage, "too wide", &none, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "too wide"));
    rp_store_finish(&store);
    *limit = before;
    free((void *)w.data);
}

/* Rows that lie further apart than they are wide. */
static void test_gaps(void **state) {
    rp_format format = (rp_format)(intptr_t)*state;
    for (unsigned halves = 0; halves <= RP_HALF_X; halves++)
        check_matmul((test){.parts = {ops_random_matrix(host_format(format), 91, 39)},
                            .part_count = 1,
                            .each_shader_once = true,
                            .gap = RP_PANEL,
                            .halves = halves,
                            .storage = storage_of(format)});
}

/* Activations of everything a float can be, short of NaN: x[i] * 1. */
static void test_large_arguments(void **state) {
    (void)state;
    for (int activation = RP_OP_NONE; activation <= RP_OP_TANH; activation++) {
        float *one = malloc(sizeof *one), *x = ops_random_rows(MOST_ROWS, 1, 0);
        *one = 1;
        for (int i = 0; i < MOST_ROWS; i++) /* +-1e-16 to 1e+16 */
            x[i * RP_PANEL] = (i & 1 ? -1.0f : 1.0f) * powf(10.0f, (float)(i / 2) / 2 - 16);
        check_matmul((test){.parts = {{one, RP_FORMAT_F32, 1, 1}},
                            .part_count = 1,
                            .activation = (rp_op_activation)activation,
                            .each_shader_once = true,
                            .x = x});
    }
}

#define FORMAT(function, format)                              \
    {                                                         \
        .name = #function " " #format, .test_func = function, \
        .initial_state = (void *)(intptr_t)RP_FORMAT_##format \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        FORMAT(test_shapes, F32),     FORMAT(test_shapes, F16),
        FORMAT(test_shapes, BF16),    FORMAT(test_shapes, INT8),
        FORMAT(test_shapes, INT4),    cmocka_unit_test(test_endings),
        FORMAT(test_norm, F32),       FORMAT(test_norm, INT8),
        FORMAT(test_norm, INT4),      FORMAT(test_halves, F32),
        FORMAT(test_halves, F16),     FORMAT(test_halves, BF16),
        FORMAT(test_halves, INT8),    FORMAT(test_halves, INT4),
        FORMAT(test_chunks, F32),     FORMAT(test_chunks, F16),
        FORMAT(test_chunks, BF16),    FORMAT(test_chunks, INT8),
        FORMAT(test_chunks, INT4),    FORMAT(test_gaps, F32),
        FORMAT(test_gaps, F16),       FORMAT(test_gaps, BF16),
        FORMAT(test_gaps, INT8),      FORMAT(test_gaps, INT4),
        cmocka_unit_test(test_parts), cmocka_unit_test(test_large_arguments),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
