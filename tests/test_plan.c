/* Which kernels are planned, on snapshots of the properties that drivers of every kind report. No GPU is
 * needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/plan.h"

#define KIB(n) ((n) << 10)

typedef struct snapshot {
    const char *name;
    rp_caps caps;
    uint32_t
        largest_tile; /* rows x columns of the largest tile in shared memory that is planned for float32 */
} snapshot;

#define LIMITS(kind, lanes, invocations, shared) \
    .info = {.type = kind, .subgroup_size = lanes, .max_invocations = invocations, .shared_bytes = shared}

/* As the drivers named report them. */
static const snapshot snapshots[] = {
    {"NVIDIA Hopper",
     {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(48)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_control = true, .subgroup_min = 32, .subgroup_max = 32,
      .has_integer_dot = true, .has_cooperative_matrix = true, .matrix_shape_count = 2,
      .matrix_shapes = {{16, 16, 16}, {16, 8, 16}}},
     128 * 128},
    {"NVIDIA Turing, VK_NV_cooperative_matrix",
     {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(48)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_control = true, .subgroup_min = 32, .subgroup_max = 32,
      .has_integer_dot = true, .has_cooperative_matrix = true, .matrix_nv = true, .matrix_shape_count = 2,
      .matrix_shapes = {{16, 8, 16}, {16, 8, 8}}},
     128 * 128},
    {"AMD RDNA3, RADV",
     {LIMITS(RP_DEVICE_DISCRETE, 64, 1024, KIB(64)), .max_texels = UINT32_MAX, .subgroup_shuffle = true,
      .subgroup_control = true, .subgroup_min = 32, .subgroup_max = 64, .has_integer_dot = true,
      .has_cooperative_matrix = true, .matrix_shape_count = 1, .matrix_shapes = {{16, 16, 16}}},
     128 * 128},
    {"AMD Polaris, RADV",
     {LIMITS(RP_DEVICE_DISCRETE, 64, 1024, KIB(64)), .max_texels = UINT32_MAX, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 64, .subgroup_max = 64},
     128 * 128},
    {"Intel Xe2, ANV",
     {LIMITS(RP_DEVICE_INTEGRATED, 32, 1024, KIB(64)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_control = true, .subgroup_min = 16, .subgroup_max = 32, .has_integer_dot = true,
      .has_cooperative_matrix = true, .matrix_shape_count = 1, .matrix_shapes = {{8, 16, 16}}},
     64 * 64},
    {"Intel DG2, ANV",
     {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(48)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_control = true, .subgroup_min = 8, .subgroup_max = 32, .has_integer_dot = true,
      .has_cooperative_matrix = true, .matrix_shape_count = 1, .matrix_shapes = {{8, 8, 16}}},
     128 * 128},
    {"Adreno 740, Turnip",
     {LIMITS(RP_DEVICE_INTEGRATED, 128, 1024, KIB(32)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_control = true, .subgroup_min = 64, .subgroup_max = 128, .has_integer_dot = true},
     64 * 64},
    {"Mali-G31, panvk",
     {LIMITS(RP_DEVICE_INTEGRATED, 8, 256, KIB(32)), .max_texels = 1 << 16, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 8, .subgroup_max = 8},
     64 * 64},
    {"PowerVR", {LIMITS(RP_DEVICE_INTEGRATED, 1, 128, KIB(16)), .max_texels = 1 << 16}, 64 * 64},
    {"Apple M1, MoltenVK",
     {LIMITS(RP_DEVICE_INTEGRATED, 32, 1024, KIB(32)), .max_texels = 1 << 28, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 32, .subgroup_max = 32},
     64 * 64},
    {"llvmpipe",
     {LIMITS(RP_DEVICE_CPU, 8, 1024, KIB(32)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 8, .subgroup_max = 8, .has_integer_dot = true},
     0},
    {"llvmpipe with matrices",
     {LIMITS(RP_DEVICE_CPU, 8, 1024, KIB(32)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 8, .subgroup_max = 8, .has_integer_dot = true,
      .has_cooperative_matrix = true, .matrix_shape_count = 1, .matrix_shapes = {{8, 8, 8}}},
     0},
};

static bool is(const char *shader, const char *name) {
    return !strcmp(shader, name);
}

/* DG2's subgroups are too wide for its matrices. */
static bool uses_matrices(const snapshot *s) {
    return s->caps.matrix_shape_count > 0 && !is(s->name, "Intel DG2, ANV");
}

/* What every plan has to keep to. */
static void check_kernel(const snapshot *s, const rp_matmul_kernel *k, rp_format format, unsigned halves) {
    const rp_caps *caps = &s->caps;
    char name[RP_KERNEL_NAME];
    rp_name_matmul(k, name);
    if (k->lanes * k->blocks > caps->info.max_invocations)
        fail_msg("%s: %s: too many invocations", s->name, name);
    if (rp_kernel_columns(k) % 8 && !k->subgroup) fail_msg("%s: %s: no whole panels", s->name, name);
    bool may_round = halves & RP_HALF_X && format != RP_FORMAT_F32 && format != RP_FORMAT_BF16;
    if (k->rounding && !may_round) fail_msg("%s: %s rounds what it may not", s->name, name);
    if (k->rounding == RP_ROUNDING_INT8 && !caps->has_integer_dot)
        fail_msg("%s: %s: no dot products", s->name, name);
    if (k->matrix.m) {
        assert_true(caps->matrix_shape_count > 0 && k->blocks % k->across == 0);
        assert_int_equal(k->subgroup_size, caps->subgroup_control ? caps->info.subgroup_size : 0);
        bool listed = false;
        for (uint32_t i = 0; i < caps->matrix_shape_count; i++)
            listed |= !memcmp(&caps->matrix_shapes[i], &k->matrix, sizeof k->matrix);
        if (!listed) fail_msg("%s: %s: a shape that the driver does not list", s->name, name);
    }
    if (k->subgroup && !(caps->subgroup_shuffle && caps->subgroup_fixed)) fail_msg("%s: %s", s->name, name);
}

static void test_matmul(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (rp_format format = RP_FORMAT_F32; format <= RP_FORMAT_INT4; format++)
            for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves++) {
                const snapshot *s = &snapshots[i];
                rp_matmul_kernel kernels[RP_MAX_KERNELS];
                uint32_t count = rp_plan_matmul(&s->caps, format, halves, 1 << 16, kernels);
                assert_in_range(count, 1, RP_MAX_KERNELS);
                /* the last one runs everywhere */
                assert_string_equal(kernels[count - 1].shader, "matmul");
                assert_int_equal(kernels[count - 1].subgroup_size, 0);
                for (uint32_t n = 0; n < count; n++) {
                    char name[RP_KERNEL_NAME], other[RP_KERNEL_NAME];
                    check_kernel(s, &kernels[n], format, halves);
                    rp_name_matmul(&kernels[n], name);
                    for (uint32_t m = 0; m < n; m++) { /* a name stands for one kernel */
                        rp_name_matmul(&kernels[m], other);
                        assert_string_not_equal(name, other);
                    }
                }
            }
}

static void test_best_guess(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        rp_matmul_kernel kernels[RP_MAX_KERNELS];
        uint32_t tile = 0, count = rp_plan_matmul(&s->caps, RP_FORMAT_F32, 0, 1 << 16, kernels);
        for (uint32_t n = 0; n < count; n++)
            if (is(kernels[n].shader, "matmul_tile") &&
                rp_kernel_rows(&kernels[n]) * rp_kernel_columns(&kernels[n]) * 4 > tile)
                tile = rp_kernel_rows(&kernels[n]) * rp_kernel_columns(&kernels[n]) * 4;
        if (tile != s->largest_tile) fail_msg("%s: largest tile %u, not %u", s->name, tile, s->largest_tile);
        rp_plan_matmul(&s->caps, RP_FORMAT_F16, RP_HALF_X | RP_HALF_OUT, 1 << 16, kernels);
        if (is(kernels[0].shader, "matmul_cooperative") != uses_matrices(s))
            fail_msg("%s: %s first", s->name, kernels[0].shader);
    }
}

static void test_attention(void **state) {
    static const uint32_t dims[] = {13, 26, 32, 64, 128, 256};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (size_t d = 0; d < RP_COUNT(dims); d++)
            for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves++) {
                const snapshot *s = &snapshots[i];
                rp_attention_kernel kernels[RP_MAX_KERNELS];
                uint32_t count = rp_plan_attention(&s->caps, dims[d], halves, 1 << 16, kernels);
                assert_in_range(count, 1, RP_MAX_KERNELS);
                assert_string_equal(kernels[count - 1].shader, "attention");
                for (uint32_t n = 0; n < count; n++) {
                    const rp_attention_kernel *k = &kernels[n];
                    assert_true(k->lanes <= s->caps.info.max_invocations && k->queries && k->keys);
                    if (k->matrix.m) assert_true(halves & RP_HALF_X && k->queries % k->matrix.m == 0);
                }
                if (halves & RP_HALF_X && dims[d] == 64 && s->caps.info.type == RP_DEVICE_DISCRETE)
                    assert_int_equal(is(kernels[0].shader, "attention_cooperative"), uses_matrices(s));
            }
}

/* Where the invocations of a subgroup share its registers, there is a tile that leaves most of them free. */
static void test_small_tiles(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        const rp_caps *caps = &s->caps;
        for (unsigned halves = 0; halves <= RP_HALF_X; halves++) {
            rp_matmul_kernel kernels[RP_MAX_KERNELS];
            uint32_t tiles = 0, matrices = 0,
                     count = rp_plan_matmul(caps, RP_FORMAT_F16, halves, 1 << 16, kernels);
            bool sharing = caps->subgroup_control && caps->subgroup_min < caps->info.subgroup_size;
            for (uint32_t n = 0; n < count; n++) {
                const rp_matmul_kernel *k = &kernels[n];
                tiles += k->depth && !k->matrix.m && k->lanes == 16 && k->rows * k->columns == 4;
                matrices += k->matrix.m && k->rows * k->matrix.m == 16 && k->columns * k->matrix.n == 16;
            }
            if (tiles != sharing) fail_msg("%s: %u small tiles", s->name, tiles);
            if (matrices != (sharing && halves && uses_matrices(s)))
                fail_msg("%s: %u small tiles of matrices", s->name, matrices);
        }
    }
}

/* A second recording may take another tile, but nothing that rounds or adds otherwise. */
static void test_same_bits(void **state) {
    const rp_matmul_kernel tile = {
        .shader = "matmul_tile", .lanes = 16, .blocks = 8, .rows = 8, .columns = 1};
    rp_matmul_kernel other = tile;
    (void)state;
    other.rows = 4;
    assert_true(rp_same_bits(&tile, &other, true));
    other.lanes = 8; /* rows of a LayerNorm are summed by other lanes */
    assert_true(rp_same_bits(&tile, &other, false));
    assert_false(rp_same_bits(&tile, &other, true));
    other = tile;
    other.subgroup = true;
    assert_true(rp_same_bits(&tile, &other, false));
    assert_false(rp_same_bits(&tile, &other, true));
    other = tile;
    other.rounding = RP_ROUNDING_F16;
    assert_false(rp_same_bits(&tile, &other, false));
    other.matrix = (rp_matrix_shape){16, 16, 16};
    rp_matmul_kernel narrow = other;
    assert_true(rp_same_bits(&narrow, &other, true));
    narrow.matrix.n = 8;
    assert_false(rp_same_bits(&narrow, &other, false));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matmul),    cmocka_unit_test(test_best_guess),
        cmocka_unit_test(test_attention), cmocka_unit_test(test_small_tiles),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
