/* Which kernels may multiply on a device. */
#include "ops/matmul.h"

#include <stdio.h>

#include "base/alloc.h"

/* True for devices whose shaders run with subgroups of several sizes. The invocations of such a subgroup
 * share its registers, and in the widest, which has info.subgroup_size invocations, each gets the fewest. */
static bool shares_registers(const rp_caps *caps) {
    return caps->subgroup_control && caps->subgroup_min < caps->info.subgroup_size;
}

/* The plan as far as it is made. */
typedef struct matmul_plan {
    const rp_caps *caps;
    const rp_use *use;
    rp_kernel *out;
    uint32_t count;
} matmul_plan;

/* How a kernel cuts its work into tiles: a shader without and with the LayerNorm, and the constants that do
 * not follow from the use. */
typedef struct tile {
    const char *shader, *norm_shader;
    uint32_t lanes, blocks, rows, columns, depth;
    rp_matrix_shape matrix;
    uint32_t across;
    uint32_t subgroup_size; /* the pipeline asks for it; 0: for none */
    bool subgroup;          /* the workgroup is one subgroup */
    bool texels;            /* reads x and w as texel buffers */
    rp_rounding
        rounding; /* none, and no cooperative matrix: products are added in one order, the same bits */
} tile;

static uint32_t rows_of(const tile *t) {
    if (t->matrix.m) return t->blocks / t->across * t->rows * t->matrix.m;
    return t->subgroup ? t->rows : t->rows * t->blocks;
}

static uint32_t columns_of(const tile *t) {
    if (t->matrix.m) return t->across * t->columns * t->matrix.n / 4;
    return t->lanes * t->columns;
}

static void name(const tile *t, char out[RP_KERNEL_NAME]) {
    const rp_matrix_shape *m = &t->matrix;
    int used = snprintf(out, RP_KERNEL_NAME, "%s %ux%u, %ux%u", t->shader, t->lanes, t->blocks, t->rows,
                        m->m ? t->columns : 4 * t->columns);
    if (m->m)
        snprintf(out + used, RP_KERNEL_NAME - (size_t)used, " of %ux%ux%u, %u across", m->m, m->n, m->k,
                 t->across);
}

static void put(matmul_plan *plan, const tile *t) {
    const rp_use *use = plan->use;
    rp_kernel *kernel = &plan->out[plan->count++];
    *kernel = (rp_kernel){.key = {.shader = use->norm ? t->norm_shader : t->shader,
                                  .constants = {t->lanes, t->blocks, use->formats[0], use->activation,
                                                use->bias, use->residual, t->rows, t->columns, use->halves,
                                                t->depth, t->matrix.m, t->matrix.n, t->matrix.k, t->across},
                                  .constant_count = t->matrix.m ? 14
                                                    : t->depth  ? 10
                                                                : 9,
                                  .subgroup_size = t->subgroup_size,
                                  .bindings = use->norm ? 8 : 6,
                                  .texels = t->texels ? 1 << 1 | 1 << 2 : 0,
                                  .push_words = use->norm ? 9 : 6,
                                  .code = t->rows * t->columns * (use->norm ? 2 : 1)},
                          .rows = rows_of(t),
                          .columns = columns_of(t),
                          .rounding = t->rounding,
                          .matrix = t->matrix,
                          .shuffles = t->subgroup || t->matrix.m};
    name(t, kernel->name);
}

/* Add a kernel where it fits the device, and the list, whose last place is kept for the fallback. */
static void add(matmul_plan *plan, const tile *t, uint64_t shared) {
    if (rp_workgroup_fits(plan->caps, t->lanes * t->blocks, shared) && plan->count < RP_MAX_KERNELS - 1)
        put(plan, t);
}

/* True when x is float16, and w loses little as float16: then kernels may round. */
static bool may_round(const matmul_plan *plan) {
    return plan->use->halves & RP_HALF_X && plan->use->formats[0] != RP_FORMAT_F32 &&
           plan->use->formats[0] != RP_FORMAT_BF16;
}

/* Cooperative matrices. A row of the table: the tile of out that one subgroup makes, how many subgroups a
 * workgroup has, and how many of them are side by side. */
static void add_matrix_kernels(matmul_plan *plan) {
    static const struct {
        uint32_t rows, columns, blocks, across;
        bool sharing; /* only where shares_registers */
    } tiles[] = {{64, 64, 8, 4, false}, {64, 32, 8, 4, false}, {32, 32, 4, 2, false},
                 {32, 16, 4, 4, false}, {16, 16, 4, 2, true},  {16, 32, 1, 1, false}};
    const rp_caps *caps = plan->caps;
    uint32_t lanes = caps->info.subgroup_size, depth = 8;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (!may_round(plan) || !rp_subgroups_alike(caps)) return;
    for (uint32_t s = 0; s < caps->matrix_shape_count && s < 2; s++) {
        rp_matrix_shape m = caps->matrix_shapes[s];
        for (size_t i = cpu ? RP_COUNT(tiles) - 1 : 0; i < RP_COUNT(tiles); i++) {
            if (tiles[i].rows % m.m || tiles[i].columns % m.n || 4 * depth % m.k || m.n % 4) continue;
            if (!rp_matrix_is_dense(m, lanes) || (tiles[i].sharing && !shares_registers(caps))) continue;
            tile kernel = {.shader = "matmul_cooperative",
                           .norm_shader = "matmul_cooperative_norm",
                           .lanes = lanes,
                           .blocks = tiles[i].blocks,
                           .rows = tiles[i].rows / m.m,
                           .columns = tiles[i].columns / m.n,
                           .rounding = RP_ROUNDING_F16,
                           .depth = depth,
                           .matrix = m,
                           .across = tiles[i].across,
                           .subgroup_size = caps->subgroup_control ? lanes : 0};
            uint64_t rows = rows_of(&kernel), columns = columns_of(&kernel);
            add(plan, &kernel,
                2 * 8 * (rows * (depth + 2) + 4 * depth * (columns + 2)) + kernel.blocks * m.m * m.n * 4 +
                    16);
        }
    }
}

/* Tiles in shared memory. */
static void add_tile_kernels(matmul_plan *plan) {
    static const struct {
        uint32_t lanes, blocks, rows, columns, depth;
        bool sharing; /* only where shares_registers */
    } tiles[] = {
        {16, 16, 8, 2, 4, false}, {16, 8, 8, 1, 4, false}, {16, 8, 4, 1, 4, true}, {8, 8, 4, 1, 8, false}};
    if (plan->caps->info.type == RP_DEVICE_CPU) return; /* barriers are slow there */
    /* Adreno's, Apple's and Intel's registers do not hold the largest */
    bool integrated = plan->caps->info.type == RP_DEVICE_INTEGRATED;
    bool half = may_round(plan),
         dot = half && rp_format_words(plan->use->formats[0]) && plan->caps->has_integer_dot;
    for (int kind = dot ? 2 : half; kind >= half; kind--)
        for (size_t i = kind == 2 || integrated; i < RP_COUNT(tiles); i++) {
            static const struct {
                const char *shader, *norm_shader;
                rp_rounding rounding;
            } kinds[] = {{"matmul_tile", "matmul_tile_norm", RP_ROUNDING_NONE},
                         {"matmul_tile_half", "matmul_tile_half_norm", RP_ROUNDING_F16},
                         {"matmul_dot", "matmul_dot_norm", RP_ROUNDING_INT8}};
            tile kernel = {.shader = kinds[kind].shader,
                           .norm_shader = kinds[kind].norm_shader,
                           .lanes = tiles[i].lanes,
                           .blocks = tiles[i].blocks,
                           .rows = tiles[i].rows,
                           .columns = tiles[i].columns,
                           .rounding = kinds[kind].rounding,
                           .depth = kind == 2 ? 8 : tiles[i].depth};
            if (tiles[i].sharing && !shares_registers(plan->caps)) continue;
            uint64_t rows = rows_of(&kernel), columns = columns_of(&kernel), depth = kernel.depth;
            uint64_t shared = (half ? 8 : 16) * (rows * (depth + 1) + 4 * depth * columns);
            if (kind == 2) shared = 4 * rows * (depth + 2) + 16 * columns * (depth + 1);
            add(plan, &kernel, shared + 4 * kernel.lanes * kernel.blocks + 16);
        }
}

/* A workgroup that is one subgroup, whose lanes hand rows of x round by shuffles. */
static void add_subgroup_kernels(matmul_plan *plan) {
    /* rows x columns: what a subgroup can hold differs; a GPU's lanes have fewer registers than a CPU has
     * cache. Which of texel and storage buffers a software driver reads faster differs too */
    static const uint32_t shapes[][2] = {{32, 2}, {24, 2}, {16, 2}, {12, 2}, {8, 2}, {8, 1}};
    const rp_caps *caps = plan->caps;
    bool cpu = caps->info.type == RP_DEVICE_CPU, words = rp_format_words(plan->use->formats[0]);
    bool as_texels = plan->use->formats[0] != RP_FORMAT_BF16 && plan->use->texels <= caps->max_texels;
    const char *texel_shader = words ? "matmul_subgroup_texel_words" : "matmul_subgroup_texel";
    const char *texel_norm = words ? "matmul_subgroup_texel_words_norm" : "matmul_subgroup_texel_norm";
    if (!rp_has_subgroups(caps)) return;
    for (size_t i = cpu ? 0 : 4; i < RP_COUNT(shapes); i++)
        for (int texel = as_texels; texel >= (cpu && i ? as_texels : 0); texel--) {
            tile kernel = {.shader = texel ? texel_shader : "matmul_subgroup",
                           .norm_shader = texel ? texel_norm : "matmul_subgroup_norm",
                           .lanes = caps->info.subgroup_size,
                           .blocks = 1,
                           .rows = shapes[i][0],
                           .columns = shapes[i][1],
                           .subgroup = true,
                           .texels = texel};
            add(plan, &kernel, 0);
        }
}

uint32_t rp_matmul_plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    matmul_plan plan = {caps, use, out, 0};
    bool cpu = caps->info.type == RP_DEVICE_CPU; /* its matrices are loops over lanes */
    if (!cpu) add_matrix_kernels(&plan);
    add_tile_kernels(&plan);
    add_subgroup_kernels(&plan);
    if (cpu) add_matrix_kernels(&plan);
    /* one invocation makes 4 rows; a panel is 8 vec4s wide */
    tile simple = {
        .shader = "matmul", .norm_shader = "matmul_norm", .lanes = 8, .blocks = 8, .rows = 4, .columns = 1};
    if (!cpu) add(&plan, &simple, 0);
    simple.blocks = 16;
    if (!cpu) add(&plan, &simple, 0);
    simple.blocks = 1;
    put(&plan, &simple); /* the fallback, which every device can run */
    return plan.count;
}
