/* Weights as they lie in device memory: every format is read back by what matrix.h says of its layout, and
 * the roundings are as near as they claim. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/quantize.h"
#include "support_ops.h"

static const char *bytes_of(const rp_store *store, rp_range range) {
    for (size_t i = 0; i < store->count; i++)
        if (store->blocks[i].handle == range.buffer && store->blocks[i].mapped)
            return (const char *)store->blocks[i].mapped + range.offset;
    return NULL;
}

static uint32_t word_at(const char *bytes) {
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

static uint16_t half_at(const char *bytes) {
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    return half;
}

/* Element (row, k) of a panel. */
static float element(const char *panel, rp_format format, uint32_t row, uint32_t k) {
    const char *group = panel + k / 32 * (64 + 512);
    switch (format) {
    case RP_FORMAT_F32:
        return rp_bits_to_float(word_at(panel + (k * 32 + row) * 4));
    case RP_FORMAT_F16:
        return rp_half_to_float(half_at(panel + (k * 32 + row) * 2));
    case RP_FORMAT_BF16:
        return rp_bfloat_to_float(half_at(panel + (k * 32 + row) * 2));
    case RP_FORMAT_INT8: {
        int q = (int8_t)(word_at(panel + 128 + (k / 4 * 32 + row) * 4) >> k % 4 * 8);
        return rp_bits_to_float(word_at(panel + row * 4)) * (float)q;
    }
    case RP_FORMAT_INT4: {
        int q = word_at(group + 64 + (k % 32 / 8 * 32 + row) * 4) >> k % 8 * 4 & 15;
        return rp_bfloat_to_float(half_at(group + row * 2)) * (float)(q < 8 ? q : q - 16);
    }
    }
    return NAN;
}

/* The whole matrix is what rp_host_stored says, and its padding zero. */
static void check_layout(const rp_host_matrix *parts, uint32_t count, rp_storage storage, rp_format format) {
    rp_store store;
    rp_matrix m;
    uint32_t k = rp_padded(parts[0].columns), row = 0;
    rp_store_init(&store, ops_device, 0, "weights");
    OPS_OK(rp_matrix_create(&store, parts, count, storage, "test", &m, &ops_err));
    assert_int_equal(m.format, format);
    assert_int_equal(m.chunk_count, 1);
    assert_int_equal(m.chunks[0].range.size, rp_panel_bytes(format, k, m.rows / RP_PANEL));
    const char *bytes = bytes_of(&store, m.chunks[0].range);
    if (bytes) memset((char *)bytes, 0xa5, m.chunks[0].range.size); /* it can be written anew */
    OPS_OK(rp_matrix_write(&store, parts, count, &m, &ops_err));
    for (uint32_t p = 0; bytes && p < count; p++) {
        uint32_t rows = parts[p].rows, columns = parts[p].columns;
        size_t elements = (size_t)rows * columns;
        float *want = rp_new_array(float, elements);
        assert_non_null(want);
        rp_host_stored(&parts[p], format, want);
        for (uint32_t r = 0; r < rp_padded(rows); r++, row++)
            for (uint32_t c = 0; c < k; c++) {
                const char *panel = bytes + rp_panel_bytes(format, k, row / RP_PANEL);
                float got = element(panel, format, row % RP_PANEL, c);
                float wanted = r < rows && c < columns ? want[(size_t)r * columns + c] : 0;
                if (got != wanted)
                    fail_msg("format %d, row %u, k %u: %g, not %g", format, row, c, got, wanted);
            }
        free(want);
    }
    rp_matrix_finish(&m);
    rp_store_finish(&store);
}

static void test_layouts(void **state) {
    (void)state;
    static const uint32_t shapes[][2] = {{1, 1}, {33, 31}, {39, 22}, {70, 91}, {64, 160}};
    for (rp_format from = RP_FORMAT_F32; from <= RP_FORMAT_BF16; from++)
        for (size_t i = 0; i < RP_COUNT(shapes); i++) {
            rp_host_matrix w[2] = {ops_random_matrix(from, shapes[i][0], shapes[i][1]),
                                   ops_random_matrix(RP_FORMAT_F16, shapes[i][0] + 7, shapes[i][1])};
            for (uint32_t count = 1; count <= 2; count++) {
                rp_format kept = count == 1 || from == RP_FORMAT_F16 ? from : RP_FORMAT_F32;
                check_layout(w, count, RP_STORAGE_AS_IS, kept);
                check_layout(w, count, RP_STORAGE_F32, RP_FORMAT_F32);
                check_layout(w, count, RP_STORAGE_F16, RP_FORMAT_F16);
                check_layout(w, count, RP_STORAGE_INT8, RP_FORMAT_INT8);
                check_layout(w, count, RP_STORAGE_INT4, RP_FORMAT_INT4);
            }
            free((void *)w[0].data);
            free((void *)w[1].data);
        }
}

static void test_sizes(void **state) {
    (void)state;
    rp_host_matrix w = {"", RP_FORMAT_F32, 768, 3072};
    uint64_t count = 768 * 3072;
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_AS_IS), 4 * count);
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_F32), 4 * count);
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_F16), 2 * count);
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_INT8), count + 4 * 768);
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_INT4), count / 2 + count / 16);
    w.format = RP_FORMAT_BF16;
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_AS_IS), 2 * count);
    assert_int_equal(rp_matrix_bytes(&w, 1, RP_STORAGE_F32), 4 * count);
}

/* A half holds values to 65504; one beyond keeps the whole matrix as it would be without. */
static void test_large_values_stay_float32(void **state) {
    (void)state;
    float values[40] = {1, 65504, -65504, 1e-9f};
    rp_host_matrix w[2] = {{values, RP_FORMAT_F32, 4, 10}, {values, RP_FORMAT_F32, 4, 10}};
    check_layout(w, 1, RP_STORAGE_F16, RP_FORMAT_F16);
    float large[40] = {[39] = -65505};
    w[1].data = large;
    check_layout(w, 2, RP_STORAGE_F16, RP_FORMAT_F32);
    uint16_t wide[40] = {[7] = 0x4780}; /* 65536 as BF16 */
    check_layout(&(rp_host_matrix){wide, RP_FORMAT_BF16, 4, 10}, 1, RP_STORAGE_F16, RP_FORMAT_F32);
}

static void test_int8_rounds_to_the_nearest(void **state) {
    (void)state;
    enum { N = 300 };
    for (int exponent = -30; exponent <= 30; exponent += 6) {
        float w[N], stored[N], largest = 0;
        for (int i = 0; i < N; i++) {
            w[i] = ldexpf(ops_random(), exponent);
            largest = fmaxf(largest, fabsf(w[i]));
        }
        rp_host_stored(&(rp_host_matrix){w, RP_FORMAT_F32, 1, N}, RP_FORMAT_INT8, stored);
        for (int i = 0; i < N; i++) assert_true(fabsf(stored[i] - w[i]) <= largest / 127 * 0.50001f);
    }
}

static double squared_error(const float *w, float scale, const int8_t *q, int lowest) {
    double sum = 0;
    for (int i = 0; i < RP_INT4_GROUP; i++) {
        double near = q ? q[i] : fmin(7, fmax(lowest, nearbyint(w[i] / scale)));
        sum += (w[i] - scale * near) * (w[i] - scale * near);
    }
    return sum;
}

/* Together, groups lose less than by the plain rule that makes the largest weight 7. */
static void test_int4_minimises_the_error(void **state) {
    (void)state;
    double ours = 0, plain = 0;
    for (int n = 0; n < 1000; n++) {
        float w[RP_INT4_GROUP], largest = 0;
        int8_t q[RP_INT4_GROUP];
        for (int i = 0; i < RP_INT4_GROUP; i++) {
            w[i] = ops_random() + ops_random() + ops_random(); /* about as weights are spread */
            largest = fmaxf(largest, fabsf(w[i]));
        }
        float scale = rp_int4_quantize(w, q);
        assert_true(rp_bfloat_to_float(rp_float_to_bfloat(scale)) == scale);
        for (int i = 0; i < RP_INT4_GROUP; i++) assert_in_range(q[i] + 8, 0, 15);
        double error = squared_error(w, scale, q, -8);
        assert_true(error <= squared_error(w, largest / 7, NULL, -7) * 1.1);
        ours += error;
        plain += squared_error(w, largest / 7, NULL, -7);
    }
    assert_true(ours < 0.75 * plain);
}

/* Zeros, numbers near the ends of what a float holds, and groups that integers hold exactly. */
static void test_extremes(void **state) {
    (void)state;
    static const float extremes[] = {0, FLT_TRUE_MIN, FLT_MIN, 1e-35f, 1e30f, FLT_MAX};
    for (size_t i = 0; i < RP_COUNT(extremes); i++) {
        float w[RP_INT4_GROUP] = {[3] = extremes[i], [8] = -extremes[i], [20] = extremes[i] / 3}, stored[32];
        for (rp_format format = RP_FORMAT_INT8; format <= RP_FORMAT_INT4; format++) {
            rp_host_stored(&(rp_host_matrix){w, RP_FORMAT_F32, 1, 32}, format, stored);
            for (int k = 0; k < 32; k++)
                if (!(fabsf(stored[k] - w[k]) <= extremes[i] / 6 + 256 * FLT_MIN))
                    fail_msg("format %d: %g became %g", format, w[k], stored[k]);
        }
    }
    float exact[RP_INT4_GROUP], stored[RP_INT4_GROUP];
    for (int i = 0; i < RP_INT4_GROUP; i++) exact[i] = 0.25f * (float)(i % 16 - 8);
    rp_host_stored(&(rp_host_matrix){exact, RP_FORMAT_F32, 1, 32}, RP_FORMAT_INT4, stored);
    assert_memory_equal(exact, stored, sizeof exact);
}

/* Vectors lie one after the other, each padded with zeros; they can be replaced, and then only they are. */
static void test_vectors(void **state) {
    enum { FIRST = 39, SECOND = 7, ALL = 64 + 32 };
    rp_host_matrix old[2] = {ops_random_matrix(RP_FORMAT_F32, 1, FIRST), {NULL, RP_FORMAT_F32, 1, SECOND}};
    rp_host_matrix new[2] = {ops_random_matrix(RP_FORMAT_F16, 1, FIRST),
                             ops_random_matrix(RP_FORMAT_F32, 1, SECOND)};
    rp_store store;
    rp_range range, next;
    (void)state;
    rp_store_init(&store, ops_device, 0, "weights");
    OPS_OK(rp_vectors_create(&store, old, 2, "test", &range, &ops_err));
    OPS_OK(rp_vectors_create(&store, old, 1, "test", &next, &ops_err));
    OPS_OK(rp_store_flush(&store, &ops_err));
    for (int replaced = 0; replaced < 2; replaced++) {
        const rp_host_matrix *want = replaced ? new : old;
        const char *bytes = bytes_of(&store, range), *behind = bytes_of(&store, next);
        for (uint32_t i = 0; bytes && i < ALL; i++) {
            const rp_host_matrix *part = &want[i >= 64];
            uint32_t c = i % 64;
            float value = c < part->columns && part->data ? rp_host_get(part, c) : 0;
            assert_true(rp_bits_to_float(word_at(bytes + 4 * i)) == value);
        }
        for (uint32_t i = 0; behind && i < FIRST; i++)
            assert_true(rp_bits_to_float(word_at(behind + 4 * i)) == rp_host_get(&old[0], i));
        if (replaced) continue;
        OPS_OK(rp_vectors_write(&store, new, 2, range, &ops_err));
        OPS_OK(rp_store_flush(&store, &ops_err));
    }
    rp_store_finish(&store);
    free((void *)old[0].data);
    free((void *)new[0].data);
    free((void *)new[1].data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_large_values_stay_float32),
        cmocka_unit_test(test_int8_rounds_to_the_nearest),
        cmocka_unit_test(test_int4_minimises_the_error),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
