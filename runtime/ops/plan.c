#include "ops/plan.h"

#include <stdio.h>

#include "base/alloc.h"

/* A subgroup that shuffles can rely on: its size is known before the shader runs, and is a workgroup of its
 * own. */
static bool subgroup_kernels(const rp_caps *caps) {
    const rp_device_info *info = &caps->info;
    return caps->subgroup_shuffle && caps->subgroup_fixed && info->subgroup_size >= 4 &&
           info->subgroup_size <= 64 && info->subgroup_size <= info->max_invocations;
}

/* llvmpipe of this version reads storage buffers by gathers; 22.3, which calls itself version 1, reads them
 * lane by lane, and texel buffers faster. */
enum { MESA_GATHERS = VK_MAKE_VERSION(25, 0, 0) };

/* Every subgroup of a workgroup can be had full and of a size that is known. */
static bool subgroups_alike(const rp_caps *caps) {
    return caps->subgroup_shuffle && (caps->subgroup_fixed || caps->subgroup_control);
}

/* Where a shader may run with subgroups of several sizes, the invocations of a subgroup share its registers,
 * and the widest, which is info.subgroup_size, has the fewest for each. */
static bool shares_registers(const rp_caps *caps) {
    return caps->subgroup_control && caps->subgroup_min < caps->info.subgroup_size;
}

/* A subgroup of this size has a vec4 or more of each matrix of sums in every lane; where matrices are spread
 * thinner, compilers move single elements about. */
static bool matrix_is_dense(rp_matrix_shape m, uint32_t lanes) {
    return m.m * m.n >= 4 * lanes;
}

double rp_rounding_bound(rp_rounding rounding) {
    return rounding ? 2e-3 : 2e-5;
}

/* What a list of candidates is made from, and for. */
typedef struct matmul_plan {
    const rp_caps *caps;
    rp_format format;
    unsigned halves;
    uint64_t texels;
    rp_matmul_kernel *out;
    uint32_t count;
} matmul_plan;

static bool add(matmul_plan *plan, const rp_matmul_kernel *kernel, uint64_t shared) {
    const rp_device_info *info = &plan->caps->info;
    bool fits = kernel->lanes * kernel->blocks <= info->max_invocations && shared <= info->shared_bytes &&
                plan->count < RP_MAX_KERNELS;
    if (fits) plan->out[plan->count++] = *kernel;
    return fits;
}

/* x holds float16 and so can w: less than float32 loses little. */
static bool may_round(const matmul_plan *plan) {
    return plan->halves & RP_HALF_X && plan->format != RP_FORMAT_F32 && plan->format != RP_FORMAT_BF16;
}

/* Cooperative matrices: tiles of out that one subgroup makes, and how many subgroups stand how. */
static void add_matrix_kernels(matmul_plan *plan) {
    static const struct {
        uint32_t rows, columns, blocks, across;
        bool sharing; /* for shares_registers alone */
    } tiles[] = {{64, 64, 8, 4, false}, {64, 32, 8, 4, false}, {32, 32, 4, 2, false},
                 {32, 16, 4, 4, false}, {16, 16, 4, 2, true},  {16, 32, 1, 1, false}};
    const rp_caps *caps = plan->caps;
    uint32_t lanes = caps->info.subgroup_size, depth = 8;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (!may_round(plan) || !subgroups_alike(caps)) return;
    for (uint32_t s = 0; s < caps->matrix_shape_count && s < 2; s++) {
        rp_matrix_shape m = caps->matrix_shapes[s];
        for (size_t i = cpu ? RP_COUNT(tiles) - 1 : 0; i < RP_COUNT(tiles); i++) {
            if (tiles[i].rows % m.m || tiles[i].columns % m.n || 4 * depth % m.k || m.n % 4) continue;
            if (!matrix_is_dense(m, lanes) || (tiles[i].sharing && !shares_registers(caps))) continue;
            rp_matmul_kernel kernel = {.shader = "matmul_cooperative",
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
            uint64_t rows = rp_kernel_rows(&kernel), columns = rp_kernel_columns(&kernel);
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
        bool sharing; /* for shares_registers alone */
    } tiles[] = {
        {16, 16, 8, 2, 4, false}, {16, 8, 8, 1, 4, false}, {16, 8, 4, 1, 4, true}, {8, 8, 4, 1, 8, false}};
    if (plan->caps->info.type == RP_DEVICE_CPU) return; /* barriers are slow there */
    /* Adreno's, Apple's and Intel's registers do not hold the largest */
    bool integrated = plan->caps->info.type == RP_DEVICE_INTEGRATED;
    bool half = may_round(plan), dot = half && rp_format_words(plan->format) && plan->caps->has_integer_dot;
    for (int kind = dot ? 2 : half; kind >= half; kind--)
        for (size_t i = kind == 2 || integrated; i < RP_COUNT(tiles); i++) {
            static const struct {
                const char *shader, *norm_shader;
                rp_rounding rounding;
            } kinds[] = {{"matmul_tile", "matmul_tile_norm", RP_ROUNDING_NONE},
                         {"matmul_tile_half", "matmul_tile_half_norm", RP_ROUNDING_F16},
                         {"matmul_dot", "matmul_dot_norm", RP_ROUNDING_INT8}};
            rp_matmul_kernel kernel = {.shader = kinds[kind].shader,
                                       .norm_shader = kinds[kind].norm_shader,
                                       .lanes = tiles[i].lanes,
                                       .blocks = tiles[i].blocks,
                                       .rows = tiles[i].rows,
                                       .columns = tiles[i].columns,
                                       .rounding = kinds[kind].rounding,
                                       .depth = kind == 2 ? 8 : tiles[i].depth};
            if (tiles[i].sharing && !shares_registers(plan->caps)) continue;
            uint64_t rows = rp_kernel_rows(&kernel), columns = rp_kernel_columns(&kernel),
                     depth = kernel.depth;
            uint64_t shared = (half ? 8 : 16) * (rows * (depth + 1) + 4 * depth * columns);
            if (kind == 2) shared = 4 * rows * (depth + 2) + 16 * columns * (depth + 1);
            add(plan, &kernel, shared + 4 * kernel.lanes * kernel.blocks + 16);
        }
}

/* A subgroup that hands rows of x round by shuffles. */
static void add_subgroup_kernels(matmul_plan *plan) {
    /* rows x columns: what a subgroup can hold differs; a GPU's lanes have fewer registers than a CPU has
     * cache. Which of texel and storage buffers a software driver reads faster differs too */
    static const uint32_t shapes[][2] = {{32, 2}, {16, 2}, {8, 2}, {8, 1}};
    const rp_caps *caps = plan->caps;
    bool cpu = caps->info.type == RP_DEVICE_CPU, words = rp_format_words(plan->format);
    bool as_texels = plan->format != RP_FORMAT_BF16 && plan->texels <= caps->max_texels;
    const char *texel_shader = words ? "matmul_subgroup_texel_words" : "matmul_subgroup_texel";
    const char *texel_norm = words ? "matmul_subgroup_texel_words_norm" : "matmul_subgroup_texel_norm";
    if (!subgroup_kernels(caps)) return;
    for (size_t i = cpu ? 0 : 2; i < RP_COUNT(shapes); i++)
        for (int texel = as_texels; texel >= (cpu && i ? as_texels : 0); texel--) {
            rp_matmul_kernel kernel = {.shader = texel ? texel_shader : "matmul_subgroup",
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

uint32_t rp_plan_matmul(const rp_caps *caps, rp_format format, unsigned halves, uint64_t texels,
                        rp_matmul_kernel out[RP_MAX_KERNELS]) {
    matmul_plan plan = {caps, format, halves, texels, out, 0};
    bool cpu = caps->info.type == RP_DEVICE_CPU; /* its matrices are loops over lanes */
    if (!cpu) add_matrix_kernels(&plan);
    add_tile_kernels(&plan);
    add_subgroup_kernels(&plan);
    if (cpu) add_matrix_kernels(&plan);
    /* one invocation makes 4 rows; a panel is 8 vec4s wide */
    static const uint32_t blocks[] = {8, 16, 1};
    for (size_t i = cpu ? 2 : 0; i < RP_COUNT(blocks); i++) {
        rp_matmul_kernel kernel = {.shader = "matmul",
                                   .norm_shader = "matmul_norm",
                                   .lanes = 8,
                                   .blocks = blocks[i],
                                   .rows = 4,
                                   .columns = 1};
        add(&plan, &kernel, 0);
    }
    return plan.count;
}

/* Rows of a LayerNorm are summed by shuffles; else through shared memory. */
static bool shuffles(const rp_matmul_kernel *kernel) {
    return kernel->subgroup || kernel->matrix.m;
}

bool rp_same_bits(const rp_matmul_kernel *a, const rp_matmul_kernel *b, bool norm) {
    bool products = a->rounding == b->rounding && a->matrix.m == b->matrix.m && a->matrix.n == b->matrix.n &&
                    a->matrix.k == b->matrix.k;
    return products && (!norm || (a->lanes == b->lanes && shuffles(a) == shuffles(b)));
}

uint32_t rp_plan_few_rows(const rp_caps *caps) {
    return caps->info.type == RP_DEVICE_CPU ? 16 : 128;
}

void rp_name_matmul(const rp_matmul_kernel *kernel, char out[RP_KERNEL_NAME]) {
    const rp_matrix_shape *m = &kernel->matrix;
    int used = snprintf(out, RP_KERNEL_NAME, "%s %ux%u, %ux%u", kernel->shader, kernel->lanes, kernel->blocks,
                        kernel->rows, m->m ? kernel->columns : 4 * kernel->columns);
    if (m->m)
        snprintf(out + used, RP_KERNEL_NAME - (size_t)used, " of %ux%ux%u, %u across", m->m, m->n, m->k,
                 kernel->across);
}

void rp_name_attention(const rp_attention_kernel *kernel, char out[RP_KERNEL_NAME]) {
    snprintf(out, RP_KERNEL_NAME, "%s %u, %u queries x %u keys", kernel->shader, kernel->lanes,
             kernel->queries, kernel->keys);
}

uint32_t rp_plan_row_lanes(const rp_caps *caps) {
    uint32_t lanes = caps->info.subgroup_size;
    return caps->info.type == RP_DEVICE_CPU && lanes >= 4 && lanes <= 64 ? lanes : 64;
}

/* Cooperative matrices: queries and keys of one step, a subgroup for every matrix of queries. */
static uint32_t plan_matrix_attention(const rp_caps *caps, uint32_t head, rp_attention_kernel *out) {
    static const struct { uint32_t subgroups, keys; } tiles[] = {{4, 32}, {2, 32}, {2, 16}, {1, 16}};
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    uint32_t count = 0, lanes = caps->info.subgroup_size;
    if (!caps->matrix_shape_count || !subgroups_alike(caps)) return 0;
    rp_matrix_shape m = caps->matrix_shapes[0];
    if (!matrix_is_dense(m, lanes)) return 0;
    uint32_t wide = (uint32_t)rp_round_up(head, m.k), across = (uint32_t)rp_round_up(head, m.n);
    uint32_t stride = (wide > across ? wide : across) / 4 + 2;
    for (size_t i = cpu ? RP_COUNT(tiles) - 1 : 0; i < RP_COUNT(tiles) && count < 2; i++) {
        uint32_t keys = tiles[i].keys, queries = tiles[i].subgroups * m.m, group = tiles[i].subgroups * lanes;
        uint64_t shared = 8ull * (queries + 2 * keys) * stride + 16ull * queries * (keys / 4 + 1) +
                          8ull * queries * (keys / 4 + 2) + 4ull * queries * m.n;
        bool even = lanes % m.m == 0 && keys / 4 % (lanes / m.m) == 0 && keys % m.n == 0 && keys % m.k == 0 &&
                    m.n % 4 == 0 && m.k % 4 == 0;
        if (!even || group > caps->info.max_invocations || shared > caps->info.shared_bytes) continue;
        out[count++] = (rp_attention_kernel){.shader = "attention_cooperative",
                                             .lanes = group,
                                             .queries = queries,
                                             .keys = keys,
                                             .rounding = RP_ROUNDING_F16,
                                             .matrix = m,
                                             .subgroup_lanes = lanes,
                                             .subgroup_size = caps->subgroup_control ? lanes : 0};
    }
    return count;
}

/* Tiles in shared memory. */
static uint32_t plan_tile_attention(const rp_caps *caps, uint32_t head, rp_attention_kernel *out) {
    static const struct {
        uint32_t lanes, queries, keys;
    } tiles[] = {{128, 32, 32}, {128, 16, 32}, {64, 16, 16}};
    uint32_t count = 0;
    if (caps->info.type == RP_DEVICE_CPU) return 0; /* barriers are slow there */
    for (size_t i = 0; i < RP_COUNT(tiles) && count < 2; i++) {
        uint32_t queries = tiles[i].queries, keys = tiles[i].keys;
        uint64_t shared = 16ull * (queries + keys) * (head / 4 + 1) + 4ull * queries * (keys + 1) +
                          4ull * tiles[i].lanes + 8ull * queries;
        if (tiles[i].lanes > caps->info.max_invocations || shared > caps->info.shared_bytes) continue;
        out[count++] = (rp_attention_kernel){
            .shader = "attention_tile", .lanes = tiles[i].lanes, .queries = queries, .keys = keys};
    }
    return count;
}

uint32_t rp_plan_attention(const rp_caps *caps, uint32_t head_dim, unsigned halves, uint64_t texels,
                           rp_attention_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = caps->info.subgroup_size, head = rp_head_width(head_dim);
    bool cpu = caps->info.type == RP_DEVICE_CPU, matrices = halves & RP_HALF_X;
    if (matrices && !cpu) count += plan_matrix_attention(caps, head, out);
    count += plan_tile_attention(caps, head, out + count);
    uint32_t held = 0; /* vec4s of each query's result in one lane */
    if (cpu && subgroup_kernels(caps)) held = (uint32_t)rp_div_up(head / 4, lanes);
    if (held && held <= 8) {
        uint32_t queries = held > 4 ? 4 : held > 2 ? 8 : 16; /* whole fours: its vectors hold as many */
        bool as_texels = texels <= caps->max_texels, gathers = caps->driver_version >= MESA_GATHERS;
        for (int n = as_texels; n >= 0; n--) {
            bool texel = as_texels && (gathers ? !n : n);
            out[count++] =
                (rp_attention_kernel){.shader = texel ? "attention_subgroup_texel" : "attention_subgroup",
                                      .lanes = lanes,
                                      .queries = queries,
                                      .keys = 4 * lanes,
                                      .texels = texel};
        }
    }
    if (matrices && cpu) count += plan_matrix_attention(caps, head, out + count);
    /* 64 lanes on a software driver too: llvmpipe ends the loops of an invocation after 65535 iterations in
     * all, and fewer lanes have more to do */
    const uint32_t group = 64, keys = 32, first = count;
    for (uint32_t queries = 8; queries; queries /= 2) {
        uint64_t shared = ((uint64_t)queries * head + queries * keys + 3 * queries) * 4;
        /* vec4s of the result in one lane: PowerVR's compiler keeps more than two in memory */
        bool little = queries * head / 4 <= 2 * group;
        if (shared > caps->info.shared_bytes || (count > first && !little)) continue;
        out[count++] =
            (rp_attention_kernel){.shader = "attention", .lanes = group, .queries = queries, .keys = keys};
        if (cpu || little) break;
    }
    return count;
}

uint32_t rp_plan_layernorm(const rp_caps *caps, uint64_t texels, rp_row_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = rp_plan_row_lanes(caps);
    if (subgroup_kernels(caps) && lanes == caps->info.subgroup_size)
        for (int texel = texels <= caps->max_texels; texel >= 0; texel--)
            out[count++] =
                (rp_row_kernel){.shader = texel ? "layernorm_subgroup_texel" : "layernorm_subgroup",
                                .lanes = lanes,
                                .texels = texel};
    out[count++] = (rp_row_kernel){.shader = "layernorm", .lanes = lanes};
    return count;
}
