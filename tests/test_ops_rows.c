/* The operators that work row by row against plain C: embedding, LayerNorm, gather, pooling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_ops.h"

enum { MOST_ROWS = 130 };
static const uint32_t widths[] = {1, 22, 39, 91, 312, 768, 4096};
static const uint32_t row_counts[] = {MOST_ROWS, 33, 7, 1, 0};

/* ---- LayerNorm ---- */

typedef struct norm_test {
    uint32_t width;
    float eps, offset, scale; /* x is around offset +- scale */
    bool in_place;
} norm_test;

static void check_layernorm(norm_test t) {
    ops_begin();
    uint32_t stride = rp_padded(t.width);
    size_t floats = (size_t)MOST_ROWS * stride;
    float *x = ops_random_rows(MOST_ROWS, t.width, t.scale), *want = rp_new_array(float, floats);
    assert_non_null(want);
    for (size_t i = 0; i < floats; i++)
        if (i % stride < t.width) x[i] += t.offset;
    rp_host_matrix norm[2] = {ops_random_matrix(RP_FORMAT_F32, 1, t.width),
                              ops_random_matrix(RP_FORMAT_F32, 1, t.width)};
    rp_reference_layernorm op = {.rows = MOST_ROWS,
                                 .width = t.width,
                                 .eps = t.eps,
                                 .x = {x, stride},
                                 .gamma = norm[0].data,
                                 .beta = norm[1].data,
                                 .out = {want, stride}};
    rp_reference_layernorm_run(&op);
    rp_range from = ops_upload(x, floats * 4), to = t.in_place ? from : ops_results(floats);
    rp_range norms = ops_vectors(norm, 2);
    for (size_t k = 0; k < OPS_LOOKS; k++) {
        const char *look = ops_look_like(k);
        rp_op_target target = ops_record();
        OPS_OK(ops_choose_and_record(target, (rp_op){.class = &rp_class_layernorm,
                                                     .label = "test",
                                                     .width = t.width,
                                                     .eps = t.eps,
                                                     .x = from,
                                                     .out = to,
                                                     .norm = norms}));
        ops_record_end(target);
        for (size_t i = 0; i < RP_COUNT(row_counts); i++) {
            if (t.in_place)
                ops_write(from, x, floats * 4);
            else
                ops_clear(to);
            ops_run_rows(target, row_counts[i]);
            ops_compare(ops_read(to), want, row_counts[i], t.width, 1e-5, "layernorm of %u, offset %g, %s",
                        t.width, (double)t.offset, look);
            if (!t.in_place) ops_check_untouched(ops_read(to), row_counts[i], MOST_ROWS, stride);
        }
    }
    free(x);
    free(want);
    free((void *)norm[0].data);
    free((void *)norm[1].data);
}

static void test_layernorm(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(widths); i++) {
        check_layernorm((norm_test){.width = widths[i], .eps = 1e-12f, .scale = 1});
        check_layernorm((norm_test){.width = widths[i], .eps = 1e-5f, .scale = 1e-3f, .in_place = true});
        check_layernorm((norm_test){.width = widths[i], .eps = 1e-12f, .scale = 1, .offset = 8});
    }
    check_layernorm((norm_test){.width = 39, .eps = 1e-5f, .scale = 0}); /* all equal */
    check_layernorm((norm_test){.width = 312, .eps = 1e-12f, .scale = 1e6f});
}

/* The end of a layer: LayerNorm(x * w^T + bias + residual). */
static void test_matmul_then_layernorm(void **state) {
    (void)state;
    enum { K = 91, N = 39, STRIDE = 64 };
    ops_begin();
    rp_host_matrix w = ops_random_matrix(RP_FORMAT_F32, N, K);
    rp_host_matrix vectors[3] = {ops_random_matrix(RP_FORMAT_F32, 1, N),
                                 ops_random_matrix(RP_FORMAT_F32, 1, N),
                                 ops_random_matrix(RP_FORMAT_F32, 1, N)};
    float *x = ops_random_rows(MOST_ROWS, K, 1), *residual = ops_random_rows(MOST_ROWS, N, 1);
    static float want[MOST_ROWS * STRIDE];
    rp_reference_matmul multiply = {.rows = MOST_ROWS,
                                    .n = N,
                                    .k = K,
                                    .x = {x, rp_padded(K)},
                                    .w = {w.data, K},
                                    .bias = vectors[0].data,
                                    .residual = {residual, STRIDE},
                                    .out = {want, STRIDE}};
    rp_reference_layernorm normalize = {
        MOST_ROWS, N, 1e-12f, {want, STRIDE}, vectors[1].data, vectors[2].data, {want, STRIDE}};
    rp_reference_matmul_run(&multiply);
    rp_reference_layernorm_run(&normalize);

    rp_op matmul = {.class = &rp_class_matmul,
                    .label = "dense",
                    .x = ops_upload(x, MOST_ROWS * rp_padded(K) * 4),
                    .w = {ops_matrix(&w, 1)},
                    .bias = ops_vectors(vectors, 1),
                    .residual = ops_upload(residual, sizeof want),
                    .out = ops_results(MOST_ROWS * STRIDE)};
    rp_op norm = {.class = &rp_class_layernorm,
                  .label = "norm",
                  .width = N,
                  .eps = 1e-12f,
                  .x = matmul.out,
                  .out = ops_results(MOST_ROWS * STRIDE),
                  .norm = ops_vectors(vectors + 1, 2)};
    rp_op_target target = ops_record();
    OPS_OK(ops_choose_and_record(target, matmul));
    ops_record_barrier(target);
    OPS_OK(ops_choose_and_record(target, norm));
    ops_record_end(target);
    for (size_t i = 0; i < RP_COUNT(row_counts); i++) {
        ops_run_rows(target, row_counts[i]);
        ops_compare(ops_read(norm.out), want, row_counts[i], N, 1e-5, "matmul and layernorm");
    }
    free(x);
    free(residual);
    free((void *)w.data);
    for (size_t i = 0; i < 3; i++) free((void *)vectors[i].data);
}

/* ---- embedding ---- */

enum { VOCABULARY = 1000, POSITIONS = 70, TYPES = 3 };

static void check_embed(uint32_t width, const rp_format formats[3], uint32_t most_panels) {
    uint64_t *limit = &ops_device->caps.info.max_storage_bytes, before = *limit;
    uint32_t stride = rp_padded(width), tokens[4 * MOST_ROWS];
    static const uint32_t rows[3] = {VOCABULARY, POSITIONS, TYPES};
    rp_host_matrix tables[3];
    float *floats[3], *want = rp_new_array(float, (size_t)MOST_ROWS *stride + 1);
    const rp_matrix *on_device[3];
    assert_non_null(want);
    ops_begin();
    if (most_panels) *limit = (uint64_t)most_panels * stride * RP_PANEL * (formats[0] ? 2 : 4);
    for (size_t i = 0; i < 3; i++) {
        tables[i] = ops_random_matrix(formats[i], rows[i], width);
        floats[i] = ops_as_floats(&tables[i]);
        on_device[i] = ops_matrix(&tables[i], 1);
    }
    *limit = before;
    assert_int_equal(on_device[0]->chunk_count, most_panels ? (32 + most_panels - 1) / most_panels : 1);
    for (uint32_t i = 0; i < MOST_ROWS; i++) {
        tokens[4 * i] = i < 2 ? i * (VOCABULARY - 1) : i * 7919 % VOCABULARY;
        tokens[4 * i + 1] = i % TYPES;
        tokens[4 * i + 2] = i % POSITIONS;
        tokens[4 * i + 3] = 0;
    }
    rp_reference_embed op = {
        MOST_ROWS, width, tokens, {floats[0], width}, {floats[1], width}, {floats[2], width}, {want, stride}};
    rp_reference_embed_run(&op);
    rp_range ids = ops_upload(tokens, sizeof tokens), out = ops_results((size_t)MOST_ROWS * stride);
    for (size_t k = 0; k < OPS_LOOKS; k++) {
        const char *look = ops_look_like(k);
        rp_op_target target = ops_record();
        OPS_OK(ops_choose_and_record(target, (rp_op){.class = &rp_class_embed,
                                                     .label = "test",
                                                     .list = ids,
                                                     .w = {on_device[0], on_device[1], on_device[2]},
                                                     .out = out}));
        ops_record_end(target);
        for (size_t i = 0; i < RP_COUNT(row_counts); i++) {
            ops_clear(out);
            ops_run_rows(target, row_counts[i]);
            ops_compare(ops_read(out), want, row_counts[i], width, 1e-6, "embedding of %u, %s", width, look);
            ops_check_untouched(ops_read(out), row_counts[i], MOST_ROWS, stride);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        free(floats[i]);
        free((void *)tables[i].data);
    }
    free(want);
}

static void test_embed(void **state) {
    (void)state;
    static const rp_format formats[][3] = {{RP_FORMAT_F32, RP_FORMAT_F32, RP_FORMAT_F32},
                                           {RP_FORMAT_F16, RP_FORMAT_F16, RP_FORMAT_F16},
                                           {RP_FORMAT_BF16, RP_FORMAT_BF16, RP_FORMAT_BF16},
                                           {RP_FORMAT_F16, RP_FORMAT_F32, RP_FORMAT_BF16}};
    for (size_t f = 0; f < RP_COUNT(formats); f++)
        for (size_t i = 0; i + 1 < RP_COUNT(widths); i++) check_embed(widths[i], formats[f], 0);
}

static void test_embed_in_chunks(void **state) {
    (void)state;
    static const rp_format f32[3] = {RP_FORMAT_F32, RP_FORMAT_F32, RP_FORMAT_F32};
    static const rp_format f16[3] = {RP_FORMAT_F16, RP_FORMAT_F16, RP_FORMAT_F16};
    check_embed(39, f32, 3);
    check_embed(22, f16, 5);
    check_embed(128, f16, 31);
}

/* Tables of positions that would need several chunks are refused, not read past their end. */
static void test_embed_refuses_chunked_positions(void **state) {
    (void)state;
    rp_matrix_chunk chunks[2] = {{{0}, 0, 1}, {{0}, 1, 1}};
    rp_matrix one = {RP_FORMAT_F32, 32, 32, chunks, 1}, two = {RP_FORMAT_F32, 64, 32, chunks, 2};
    rp_op op = {.class = &rp_class_embed, .label = "test", .w = {&one, &two, &one}};
    rp_op_target target = ops_record();
    assert_int_equal(ops_choose_and_record(target, op), RP_ERROR_UNSUPPORTED);
    ops_record_end(target);
}

/* ---- gather ---- */

static void check_gather(uint32_t width, bool listed) {
    ops_begin();
    uint32_t stride = rp_padded(width), list[MOST_ROWS];
    size_t floats = (size_t)MOST_ROWS * stride;
    float *x = ops_random_rows(MOST_ROWS, width, 1), *want = rp_new_array(float, floats);
    assert_non_null(want);
    for (uint32_t i = 0; i < MOST_ROWS; i++) list[i] = i * 37 % 101; /* some of them twice */
    rp_reference_gather(MOST_ROWS, width, (rp_const_rows){x, stride}, listed ? list : NULL,
                        (rp_rows){want, stride});
    rp_op op = {.class = &rp_class_gather,
                .label = "test",
                .rows = RP_COUNT_ROWS,
                .width = width,
                .x = ops_upload(x, floats * 4),
                .out = ops_results(floats)};
    if (listed) op.list = ops_upload(list, sizeof list);
    for (size_t k = 0; k < OPS_LOOKS; k++) {
        const char *look = ops_look_like(k);
        rp_op_target target = ops_record();
        OPS_OK(ops_choose_and_record(target, op));
        ops_record_end(target);
        for (size_t i = 0; i < RP_COUNT(row_counts); i++) {
            ops_clear(op.out);
            ops_run_rows(target, row_counts[i]);
            ops_compare(ops_read(op.out), want, row_counts[i], width, 0, "gather of %u, %s", width, look);
            ops_check_untouched(ops_read(op.out), row_counts[i], MOST_ROWS, stride);
        }
    }
    free(x);
    free(want);
}

static void test_gather(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(widths); i++)
        for (int listed = 0; listed < 2; listed++) check_gather(widths[i], listed);
}

/* ---- pooling ---- */

static void check_pool(uint32_t width, bool largest, const uint32_t *lengths, uint32_t sequences) {
    ops_begin();
    uint32_t stride = rp_padded(width), starts[16] = {0};
    for (uint32_t s = 0; s < sequences; s++) starts[s + 1] = starts[s] + lengths[s];
    size_t tokens = starts[sequences];
    float *x = ops_random_rows(tokens, width, 1), *want = rp_new_array(float, (size_t)sequences *stride + 1);
    assert_non_null(want);
    rp_reference_pool(sequences, width, largest, (rp_const_rows){x, stride}, starts, (rp_rows){want, stride});
    rp_op op = {.class = &rp_class_pool,
                .label = "test",
                .width = width,
                .largest = largest,
                .x = ops_upload(x, tokens * stride * 4),
                .list = ops_upload(starts, sizeof starts),
                .out = ops_results((size_t)sequences * stride)};
    for (size_t k = 0; k < OPS_LOOKS; k++) {
        const char *look = ops_look_like(k);
        rp_op_target target = ops_record();
        OPS_OK(ops_choose_and_record(target, op));
        ops_record_end(target);
        for (uint32_t count = 0; count <= sequences; count++) {
            ops_clear(op.out);
            ops_run_rows(target, count);
            ops_compare(ops_read(op.out), want, count, width, largest ? 0 : 1e-5, "pooling of %u, %s", width,
                        look);
            ops_check_untouched(ops_read(op.out), count, sequences, stride);
        }
    }
    free(x);
    free(want);
}

static void test_pool(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 33, 2, 130, 7, 1}, longest[] = {2048};
    for (size_t i = 0; i < RP_COUNT(widths); i++)
        for (int largest = 0; largest < 2; largest++)
            check_pool(widths[i], largest, lengths, RP_COUNT(lengths));
    check_pool(1024, false, longest, 1);
    check_pool(1024, true, longest, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_matmul_then_layernorm),
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_embed_in_chunks),
        cmocka_unit_test(test_embed_refuses_chunked_positions),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
