/* Which kernels are planned, and which memory is chosen, for devices as their drivers describe them. No GPU
 * is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/class.h"
#include "ops/matmul.h"

#define KIB(n) ((n) << 10)

typedef struct snapshot {
    const char *name;
    rp_caps caps;
} snapshot;

#define LIMITS(kind, lanes, invocations, shared)                                                            \
    .info = {.type = kind, .subgroup_size = lanes, .max_invocations = invocations, .shared_bytes = shared}, \
    .max_group_size = {invocations, invocations, 64}

static const snapshot snapshots[] = {
#define SNAPSHOT(name, ...) {name, __VA_ARGS__},
#include "snapshots.def"
    /* Drivers that could not be asked: written by hand, from what is published of them, for the planner
     * alone.
     */
    {"by hand: NVIDIA Hopper",
     {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(48)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_control = true, .subgroup_min = 32, .subgroup_max = 32,
      .has_integer_dot = true, .has_cooperative_matrix = true, .matrix_shape_count = 2,
      .matrix_shapes = {{16, 16, 16}, {16, 8, 16}}}},
    {"by hand: NVIDIA Turing, VK_NV_cooperative_matrix",
     {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(48)), .max_texels = 1 << 27, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_control = true, .subgroup_min = 32, .subgroup_max = 32,
      .has_integer_dot = true, .has_cooperative_matrix = true, .matrix_nv = true, .matrix_shape_count = 2,
      .matrix_shapes = {{16, 8, 16}, {16, 8, 8}}}},
    {"by hand: Adreno 740, Qualcomm's driver",
     {LIMITS(RP_DEVICE_INTEGRATED, 64, 1024, KIB(32)), .max_texels = 1 << 16, .subgroup_shuffle = true,
      .subgroup_control = true, .subgroup_min = 64, .subgroup_max = 128, .has_integer_dot = true}},
    {"by hand: Mali-G31, panvk",
     {LIMITS(RP_DEVICE_INTEGRATED, 8, 256, KIB(32)), .max_texels = 1 << 16, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 8, .subgroup_max = 8}},
    {"by hand: Apple M1, MoltenVK",
     {LIMITS(RP_DEVICE_INTEGRATED, 32, 1024, KIB(32)), .max_texels = 1 << 28, .subgroup_shuffle = true,
      .subgroup_fixed = true, .subgroup_min = 32, .subgroup_max = 32}},
};

/* A recorded one knows who made it. */
static bool is_recorded(const snapshot *s) {
    return s->caps.info.driver[0];
}

static void test_snapshots(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        const rp_device_info *info = &s->caps.info;
        for (size_t j = 0; j < i; j++) assert_string_not_equal(s->name, snapshots[j].name);
        if (is_recorded(s) == !strncmp(s->name, "by hand: ", 9)) fail_msg("%s: recorded or not?", s->name);
        if (!is_recorded(s)) continue;
        if (!info->usable || !info->name[0] || info->api_version < VK_API_VERSION_1_1 ||
            !s->caps.memory.memoryTypeCount || !s->caps.max_allocation || !s->caps.storage_alignment)
            fail_msg("%s: not a whole snapshot; record it again", s->name);
    }
}

static bool is(const char *shader, const char *name) {
    return !strcmp(shader, name);
}

/* DG2's subgroups are too wide for its matrices, of 8 x 8: less than a vec4 for each lane. */
static bool uses_matrices(const snapshot *s) {
    return s->caps.matrix_shape_count > 0 && !is(s->name, "anv-dg2");
}

/* ---- shared memory ---- */

/* What the shaders declare, which the functions below add up. */
static const struct {
    const char *file, *declarations;
} shared_memory[] = {
    {"matmul.glsl", "shared uint shared_value;\n"
                    "shared float partial[LANES * BLOCKS];\n"},
    {"matmul.comp", ""},
    {"matmul_subgroup.comp", ""},
    {"matmul_tile.glsl", "shared SUM_CELL finished[BLOCKS * M * N / 4u];\n"
                         "shared CELL xs[STAGES * TILE_ROWS * X_STRIDE];\n"
                         "shared CELL ws[STAGES * 4u * DEPTH * W_STRIDE];\n"},
    {"matmul_tile.comp", ""},
    {"matmul_cooperative.comp", ""},
    {"matmul_dot.comp", "shared int xs[TILE_ROWS * X_STRIDE];\n"
                        "shared float x_scales[TILE_ROWS];\n"
                        "shared ivec4 ws[DEPTH * TILE_COLUMNS];\n"
                        "shared vec4 w_scales[TILE_COLUMNS];\n"},
    {"attention.glsl", ""},
    {"attention.comp", "shared vec4 q[QUERIES * HEAD];\n"
                       "shared float s[QUERIES * KEYS];\n"
                       "shared float top[QUERIES], total[QUERIES], rescale[QUERIES];\n"},
    {"attention_subgroup.comp", ""},
    {"attention_tile.comp", "shared vec4 qs[QUERIES * STRIDE];\n"
                            "shared vec4 kv[KEYS * STRIDE];\n"
                            "shared float s[QUERIES * SCORES];\n"
                            "shared float partial[LANES];\n"
                            "shared float rescale[QUERIES], total_of[QUERIES];\n"},
    {"attention_cooperative.comp", "shared CELL qs[QUERIES * STRIDE], ks[KEYS * STRIDE], vs[KEYS * STRIDE];\n"
                                   "shared SUM_CELL s[QUERIES * SCORES];\n"
                                   "shared CELL chances[QUERIES * CHANCES];\n"
                                   "shared SUM_CELL square[QUERIES * N / 4u];\n"},
    {"layernorm.comp", "shared float partial[LANES];\n"},
};

static void test_shared_declarations(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(shared_memory); i++) {
        char path[1024], line[1024], found[1024] = "";
        snprintf(path, sizeof path, "%s/shaders/%s", SOURCE_DIR, shared_memory[i].file);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file)) {
            char *end = strrchr(line, ';');
            if (strncmp(line, "shared ", 7) || !end) continue;
            snprintf(found + strlen(found), sizeof found - strlen(found), "%.*s\n", (int)(end + 1 - line),
                     line);
        }
        fclose(file);
        assert_string_equal(found, shared_memory[i].declarations);
    }
}

/* One of the specialization constants of a product. */
static uint32_t constant(const rp_kernel *k, int which) {
    return k->key.constants[which];
}

static bool is_subgroup(const rp_kernel *k) {
    return k->shuffles && !k->matrix.m;
}

/* Bytes of shared memory of a workgroup, by the declarations, LayerNorm included. */
static uint64_t shared_of_matmul(const rp_kernel *k) {
    uint64_t rows = k->rows, columns = k->columns, depth = constant(k, RP_MATMUL_DEPTH);
    uint64_t lanes = constant(k, RP_MATMUL_LANES), blocks = constant(k, RP_MATMUL_BLOCKS);
    uint64_t norm = 4 + 4 * lanes * blocks;
    if (is_subgroup(k)) return 0;
    if (k->matrix.m)
        return 4 + 16 * blocks * k->matrix.m * k->matrix.n / 4 +
               8 * 2 * (rows * (depth + 2) + 4 * depth * (columns + 2));
    if (k->rounding == RP_ROUNDING_INT8)
        return norm + 4 * rows * (8 + 1) + 4 * rows + 16 * 8 * columns + 16 * columns;
    uint64_t cell = k->rounding == RP_ROUNDING_F16 ? 8 : 16;
    return norm + (depth ? cell * (rows * (depth + 1) + 4 * depth * columns) : 0);
}

static uint32_t plan_matmul(const rp_caps *caps, rp_format format, unsigned halves, uint64_t texels,
                            rp_kernel out[RP_MAX_KERNELS]) {
    return rp_matmul_plan(
        caps, &(rp_use){.formats = {format, format, format}, .halves = halves, .texels = texels}, out);
}

static uint32_t plan_attention(const rp_caps *caps, uint32_t head_dim, unsigned halves, uint64_t texels,
                               rp_kernel out[RP_MAX_KERNELS]) {
    return rp_class_attention.plan(caps, &(rp_use){.head_dim = head_dim, .halves = halves, .texels = texels},
                                   out);
}

static uint64_t shared_of_attention(const rp_kernel *k, uint32_t head_dim) {
    uint64_t head = (head_dim + 3) / 4, queries = k->rows, keys = k->columns;
    if (is(k->key.shader, "attention")) return 16 * queries * head + 4 * queries * keys + 3 * 4 * queries;
    if (is(k->key.shader, "attention_tile"))
        return 16 * (queries + keys) * (head + 1) + 4 * queries * (keys + 1) + 4ull * k->key.constants[0] +
               2 * 4 * queries;
    if (!k->matrix.m) return 0;
    uint64_t wide = (4 * head + k->matrix.k - 1) / k->matrix.k * k->matrix.k;
    uint64_t across = (4 * head + k->matrix.n - 1) / k->matrix.n * k->matrix.n;
    uint64_t stride = (wide > across ? wide : across) / 4 + 2;
    return 8 * (queries + 2 * keys) * stride + 16 * queries * (keys / 4 + 1) + 8 * queries * (keys / 4 + 2) +
           16 * queries * k->matrix.n / 4;
}

/* ---- plans ---- */

/* This device, or one as poor as Vulkan allows. */
static rp_caps poorer(const rp_caps *caps, bool poor) {
    rp_caps out = *caps;
    if (poor && out.info.shared_bytes > KIB(16)) out.info.shared_bytes = KIB(16);
    if (poor && out.info.max_invocations > 128) out.info.max_invocations = 128;
    return out;
}

/* What every plan has to keep to. */
static void check_kernel(const char *device, const rp_caps *caps, const rp_kernel *k, rp_format format,
                         unsigned halves, uint64_t texels) {
    uint32_t lanes = constant(k, RP_MATMUL_LANES), blocks = constant(k, RP_MATMUL_BLOCKS);
    if (lanes * blocks > caps->info.max_invocations || lanes > caps->max_group_size[0] ||
        blocks > caps->max_group_size[1])
        fail_msg("%s: %s: too many invocations", device, k->name);
    if (shared_of_matmul(k) > caps->info.shared_bytes)
        fail_msg("%s: %s: %llu bytes of shared memory, of %u", device, k->name,
                 (unsigned long long)shared_of_matmul(k), caps->info.shared_bytes);
    if (k->key.texels && (texels > caps->max_texels || format == RP_FORMAT_BF16))
        fail_msg("%s: %s: %llu texels, of %u", device, k->name, (unsigned long long)texels, caps->max_texels);
    if (k->columns % 8 && !is_subgroup(k)) fail_msg("%s: %s: no whole panels", device, k->name);
    bool may_round = halves & RP_HALF_X && format != RP_FORMAT_F32 && format != RP_FORMAT_BF16;
    if (k->rounding && !may_round) fail_msg("%s: %s rounds what it may not", device, k->name);
    if (k->rounding == RP_ROUNDING_INT8 && !caps->has_integer_dot)
        fail_msg("%s: %s: no dot products", device, k->name);
    if (k->matrix.m) {
        assert_true(caps->matrix_shape_count > 0 && blocks % constant(k, RP_MATMUL_ACROSS) == 0);
        assert_int_equal(k->key.subgroup_size, caps->subgroup_control ? caps->info.subgroup_size : 0);
        bool listed = false;
        for (uint32_t i = 0; i < caps->matrix_shape_count; i++)
            listed |= !memcmp(&caps->matrix_shapes[i], &k->matrix, sizeof k->matrix);
        if (!listed) fail_msg("%s: %s: a shape that the driver does not list", device, k->name);
    }
    if (is_subgroup(k) && !(caps->subgroup_shuffle && caps->subgroup_fixed))
        fail_msg("%s: %s", device, k->name);
}

static void check_plan(const char *device, const rp_caps *caps, rp_format format, unsigned halves,
                       uint64_t texels) {
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = plan_matmul(caps, format, halves, texels, kernels);
    assert_in_range(count, 1, RP_MAX_KERNELS);
    /* the last one runs everywhere */
    assert_string_equal(kernels[count - 1].key.shader, "matmul");
    assert_int_equal(kernels[count - 1].key.subgroup_size, 0);
    assert_int_equal(kernels[count - 1].key.constants[1], 1);
    bool subgroups = false, as_texels = false;
    for (uint32_t n = 0; n < count; n++) {
        check_kernel(device, caps, &kernels[n], format, halves, texels);
        for (uint32_t m = 0; m < n; m++) { /* a name stands for one kernel */
            assert_string_not_equal(kernels[n].name, kernels[m].name);
        }
        subgroups |= is_subgroup(&kernels[n]);
        as_texels |= kernels[n].key.texels != 0;
    }
    if (as_texels != (subgroups && texels <= caps->max_texels && format != RP_FORMAT_BF16))
        fail_msg("%s: %llu texels%s used", device, (unsigned long long)texels, as_texels ? "" : " not");
}

static void test_matmul(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (rp_format format = RP_FORMAT_F32; format <= RP_FORMAT_INT4; format++)
            for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves++)
                for (int poor = 0; poor <= 1; poor++) {
                    rp_caps caps = poorer(&snapshots[i].caps, poor);
                    check_plan(snapshots[i].name, &caps, format, halves, 1 << 16);
                    check_plan(snapshots[i].name, &caps, format, halves, caps.max_texels);
                    check_plan(snapshots[i].name, &caps, format, halves, caps.max_texels + 1ull);
                }
}

/* Neither a device that says nothing of itself nor one that can run everything is left without a fallback. */
static void test_the_fallback_is_never_dropped(void **state) {
    static const rp_caps nothing = {0};
    static const rp_caps everything = {LIMITS(RP_DEVICE_DISCRETE, 32, 1024, KIB(256)),
                                       .max_texels = 1 << 28,
                                       .subgroup_shuffle = true,
                                       .subgroup_fixed = true,
                                       .subgroup_control = true,
                                       .subgroup_min = 8,
                                       .subgroup_max = 32,
                                       .has_integer_dot = true,
                                       .has_cooperative_matrix = true,
                                       .matrix_shape_count = 2,
                                       .matrix_shapes = {{16, 16, 16}, {16, 8, 16}}};
    rp_kernel kernels[RP_MAX_KERNELS];
    (void)state;
    assert_int_equal(plan_matmul(&nothing, RP_FORMAT_F32, 0, 1 << 16, kernels), 1);
    assert_string_equal(kernels[0].key.shader, "matmul");
    assert_int_equal(kernels[0].key.constants[1], 1);
    check_plan("everything", &everything, RP_FORMAT_INT8, RP_HALF_X | RP_HALF_OUT, 1 << 16);
    assert_true(plan_matmul(&everything, RP_FORMAT_INT8, RP_HALF_X, 1 << 16, kernels) > 20);
}

/* A byte less than a kernel's shared memory, and it is not planned; a few more, and it is. */
static void test_shared_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (rp_format format = RP_FORMAT_F32; format <= RP_FORMAT_INT4; format++) {
            rp_caps caps = snapshots[i].caps;
            rp_kernel all[RP_MAX_KERNELS], some[RP_MAX_KERNELS];
            uint32_t count = plan_matmul(&caps, format, RP_HALF_X | RP_HALF_OUT, 1 << 16, all);
            for (uint32_t n = 0; n < count; n++) {
                if (!constant(&all[n], RP_MATMUL_DEPTH)) continue; /* what it has, every device has */
                for (int more = 0; more <= 1; more++) {
                    caps.info.shared_bytes = (uint32_t)shared_of_matmul(&all[n]) - 1 + (more ? 17 : 0);
                    bool found = false;
                    uint32_t left = plan_matmul(&caps, format, RP_HALF_X | RP_HALF_OUT, 1 << 16, some);
                    for (uint32_t m = 0; m < left; m++) {
                        found |= is(all[n].name, some[m].name);
                    }
                    if (found != more && caps.info.shared_bytes <= snapshots[i].caps.info.shared_bytes)
                        fail_msg("%s: %s: planned with %u bytes: %d", snapshots[i].name, all[n].name,
                                 caps.info.shared_bytes, found);
                }
            }
        }
}

static void test_best_guess(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        rp_kernel kernels[RP_MAX_KERNELS];
        uint32_t tile = 0, count = plan_matmul(&s->caps, RP_FORMAT_F32, 0, 1 << 16, kernels);
        for (uint32_t n = 0; n < count; n++)
            if (is(kernels[n].key.shader, "matmul_tile") && rp_kernel_tile(&kernels[n]) * 4 > tile)
                tile = rp_kernel_tile(&kernels[n]) * 4;
        /* barriers are slow on a processor; the registers of integrated GPUs do not hold the largest */
        rp_device_type type = s->caps.info.type;
        uint32_t largest = type == RP_DEVICE_CPU ? 0 : type == RP_DEVICE_INTEGRATED ? 64 * 64 : 128 * 128;
        if (tile != largest) fail_msg("%s: largest tile %u, not %u", s->name, tile, largest);
        /* matrices are slow there too: behind what is made for it, as time to measure may be over by then */
        count = plan_matmul(&s->caps, RP_FORMAT_F16, RP_HALF_X | RP_HALF_OUT, 1 << 16, kernels);
        bool cpu = type == RP_DEVICE_CPU;
        if (is(kernels[cpu ? count - 2 : 0].key.shader, "matmul_cooperative") != uses_matrices(s))
            fail_msg("%s: %s first, %s late", s->name, kernels[0].key.shader, kernels[count - 2].key.shader);
    }
}

static void check_attention(const char *device, const rp_caps *caps, uint32_t head_dim, unsigned halves,
                            uint64_t texels) {
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = plan_attention(caps, head_dim, halves, texels, kernels);
    assert_in_range(count, 1, RP_MAX_KERNELS);
    assert_string_equal(kernels[count - 1].key.shader, "attention");
    for (uint32_t n = 0; n < count; n++) {
        const rp_kernel *k = &kernels[n];
        assert_true(k->rows && k->columns);
        if (k->key.constants[0] > caps->info.max_invocations || k->key.constants[0] > caps->max_group_size[0])
            fail_msg("%s: %s: too many invocations", device, k->name);
        if (shared_of_attention(k, head_dim) > caps->info.shared_bytes)
            fail_msg("%s: %s: %llu bytes of shared memory, of %u", device, k->name,
                     (unsigned long long)shared_of_attention(k, head_dim), caps->info.shared_bytes);
        if (k->key.texels && texels > caps->max_texels) fail_msg("%s: %s: too many texels", device, k->name);
        if (k->matrix.m) assert_true(halves & RP_HALF_X && k->rows % k->matrix.m == 0);
    }
}

static void test_attention(void **state) {
    static const uint32_t dims[] = {13, 26, 32, 64, 128, 256};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (size_t d = 0; d < RP_COUNT(dims); d++)
            for (unsigned halves = 0; halves <= (RP_HALF_X | RP_HALF_OUT); halves++) {
                const snapshot *s = &snapshots[i];
                rp_kernel kernels[RP_MAX_KERNELS];
                for (int poor = 0; poor <= 1; poor++) {
                    rp_caps caps = poorer(&s->caps, poor);
                    check_attention(s->name, &caps, dims[d], halves, 1 << 16);
                    check_attention(s->name, &caps, dims[d], halves, caps.max_texels + 1ull);
                }
                plan_attention(&s->caps, dims[d], halves, 1 << 16, kernels);
                if (halves & RP_HALF_X && dims[d] == 64 && s->caps.info.type == RP_DEVICE_DISCRETE)
                    assert_int_equal(is(kernels[0].key.shader, "attention_cooperative"), uses_matrices(s));
            }
}

static void test_shared_memory_of_attention(void **state) {
    static const uint32_t dims[] = {26, 64, 128};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (size_t d = 0; d < RP_COUNT(dims); d++) {
            rp_caps caps = snapshots[i].caps;
            rp_kernel all[RP_MAX_KERNELS], some[RP_MAX_KERNELS];
            uint32_t count = plan_attention(&caps, dims[d], RP_HALF_X | RP_HALF_OUT, 1 << 16, all);
            for (uint32_t n = 0; n < count; n++) {
                if (!shared_of_attention(&all[n], dims[d])) continue;
                for (int more = 0; more <= 1; more++) {
                    caps.info.shared_bytes = (uint32_t)shared_of_attention(&all[n], dims[d]) - !more;
                    bool found = false;
                    uint32_t left = plan_attention(&caps, dims[d], RP_HALF_X | RP_HALF_OUT, 1 << 16, some);
                    for (uint32_t m = 0; m < left; m++) {
                        found |= is(all[n].name, some[m].name);
                    }
                    if (found != more)
                        fail_msg("%s: %s: planned with %u bytes: %d", snapshots[i].name, all[n].name,
                                 caps.info.shared_bytes, found);
                }
            }
        }
}

static void test_layernorm(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++)
        for (int beyond = 0; beyond <= 1; beyond++) {
            const snapshot *s = &snapshots[i];
            const rp_caps *caps = &s->caps;
            rp_kernel kernels[RP_MAX_KERNELS];
            uint32_t as_texels = 0,
                     count = rp_class_layernorm.plan(
                         caps, &(rp_use){.texels = (uint64_t)caps->max_texels + beyond}, kernels);
            assert_in_range(count, 1, RP_MAX_KERNELS);
            assert_string_equal(kernels[count - 1].key.shader, "layernorm");
            for (uint32_t n = 0; n < count; n++) {
                bool subgroup = !is(kernels[n].key.shader, "layernorm");
                uint32_t lanes = kernels[n].key.constants[0];
                assert_true(lanes && lanes <= caps->info.max_invocations);
                assert_true(4 * lanes <= caps->info.shared_bytes);
                if (subgroup &&
                    !(caps->subgroup_fixed && caps->subgroup_shuffle && lanes == caps->info.subgroup_size))
                    fail_msg("%s: %s: subgroups are of another size", s->name, kernels[n].key.shader);
                as_texels += kernels[n].key.texels != 0;
            }
            if (as_texels != (count > 1 && !beyond)) fail_msg("%s: %u texel kernels", s->name, as_texels);
            /* one subgroup on a processor */
            if (caps->info.type == RP_DEVICE_CPU) assert_int_equal(count, beyond ? 2 : 3);
        }
}

/* A GPU is not filled by the rows of one workgroup; a software driver has tiles of each smaller height. */
static void test_few_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const rp_caps *caps = &snapshots[i].caps;
        rp_kernel kernels[RP_MAX_KERNELS];
        uint32_t largest = 0, rows[RP_ROW_CLASSES], classes = rp_row_classes(caps, rows),
                 count = plan_matmul(caps, RP_FORMAT_F32, 0, 1 << 16, kernels);
        for (uint32_t n = 0; n < count; n++)
            if (kernels[n].rows > largest) largest = kernels[n].rows;
        for (uint32_t c = 0; c < classes; c++) {
            bool has = false;
            for (uint32_t n = 0; n < count; n++) has |= kernels[n].rows == rows[c];
            if (caps->info.type != RP_DEVICE_CPU)
                assert_in_range(rows[c], largest, 2 * 128);
            else if (rp_has_subgroups(caps) && !has)
                fail_msg("%s: no tile of %u rows", snapshots[i].name, rows[c]);
        }
    }
}

/* Where the invocations of a subgroup share its registers, there is a tile that leaves most of them free. */
static void test_small_tiles(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        const rp_caps *caps = &s->caps;
        for (unsigned halves = 0; halves <= RP_HALF_X; halves++) {
            rp_kernel kernels[RP_MAX_KERNELS];
            uint32_t tiles = 0, matrices = 0,
                     count = plan_matmul(caps, RP_FORMAT_F16, halves, 1 << 16, kernels);
            bool sharing = caps->subgroup_control && caps->subgroup_min < caps->info.subgroup_size;
            for (uint32_t n = 0; n < count; n++) {
                const rp_kernel *k = &kernels[n];
                uint32_t per_lane = constant(k, RP_MATMUL_ROWS) * constant(k, RP_MATMUL_COLUMNS);
                tiles += constant(k, RP_MATMUL_DEPTH) && !k->matrix.m && constant(k, RP_MATMUL_LANES) == 16 &&
                         per_lane == 4;
                matrices += k->matrix.m && constant(k, RP_MATMUL_ROWS) * k->matrix.m == 16 &&
                            constant(k, RP_MATMUL_COLUMNS) * k->matrix.n == 16;
            }
            if (tiles != sharing) fail_msg("%s: %u small tiles", s->name, tiles);
            if (matrices != (sharing && halves && uses_matrices(s)))
                fail_msg("%s: %u small tiles of matrices", s->name, matrices);
        }
    }
}

/* ---- memory ---- */

static void test_memory(void **state) {
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                visible = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const VkMemoryPropertyFlags plain = local | visible | cached | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        const snapshot *s = &snapshots[i];
        const VkPhysicalDeviceMemoryProperties *memory = &s->caps.memory;
        if (!is_recorded(s)) continue;
        bool has_cached = false;
        for (uint32_t t = 0; t < memory->memoryTypeCount; t++) {
            VkMemoryPropertyFlags flags = memory->memoryTypes[t].propertyFlags;
            has_cached |= flags & visible && flags & cached && !(flags & ~plain);
        }
        for (rp_memory_use use = RP_MEMORY_DEVICE; use <= RP_MEMORY_OUTPUT; use++) {
            uint32_t type = rp_caps_memory_type(&s->caps, use, UINT32_MAX);
            assert_true(type < memory->memoryTypeCount);
            VkMemoryPropertyFlags flags = memory->memoryTypes[type].propertyFlags;
            uint64_t heap = memory->memoryHeaps[memory->memoryTypes[type].heapIndex].size;
            bool good = !(flags & ~plain);
            if (use == RP_MEMORY_DEVICE) good &= flags & local && heap == s->caps.info.memory_bytes;
            if (use != RP_MEMORY_DEVICE) good &= (flags & visible) != 0;
            if (use == RP_MEMORY_OUTPUT && has_cached) good &= (flags & cached) != 0;
            if (!good) fail_msg("%s: type %u, flags 0x%x, for use %d", s->name, type, flags, (int)use);
        }
    }
}

/* A second recording may take another tile, but nothing that rounds or adds otherwise. */
static void test_same_bits(void **state) {
    const rp_kernel tile = {
        .key = {.shader = "matmul_tile", .constants = {16, 8}}, .rows = 64, .columns = 16};
    const rp_use plain = {0}, norm = {.norm = true};
    rp_kernel other = tile;
    (void)state;
    other.rows = 32;
    assert_true(rp_kernels_alike(&tile, &other, &norm));
    other.key.constants[0] = 8; /* rows of a LayerNorm are summed by other lanes */
    assert_true(rp_kernels_alike(&tile, &other, &plain));
    assert_false(rp_kernels_alike(&tile, &other, &norm));
    other = tile;
    other.shuffles = true;
    assert_true(rp_kernels_alike(&tile, &other, &plain));
    assert_false(rp_kernels_alike(&tile, &other, &norm));
    other = tile;
    other.rounding = RP_ROUNDING_F16;
    assert_false(rp_kernels_alike(&tile, &other, &plain));
    other.matrix = (rp_matrix_shape){16, 16, 16};
    rp_kernel narrow = other;
    assert_true(rp_kernels_alike(&narrow, &other, &norm));
    narrow.matrix.n = 8;
    assert_false(rp_kernels_alike(&narrow, &other, &plain));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshots),     cmocka_unit_test(test_shared_declarations),
        cmocka_unit_test(test_matmul),        cmocka_unit_test(test_the_fallback_is_never_dropped),
        cmocka_unit_test(test_shared_memory), cmocka_unit_test(test_best_guess),
        cmocka_unit_test(test_attention),     cmocka_unit_test(test_shared_memory_of_attention),
        cmocka_unit_test(test_small_tiles),   cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_few_rows),      cmocka_unit_test(test_memory),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
