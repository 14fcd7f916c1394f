#include "ops/plan.h"

#include "base/alloc.h"

/* A subgroup that shuffles can rely on: its size is known before the shader runs, and is a workgroup of its
 * own. */
static bool subgroup_kernels(const rp_caps *caps) {
    const rp_device_info *info = &caps->info;
    return caps->subgroup_shuffle && caps->subgroup_fixed && info->subgroup_size >= 4 &&
           info->subgroup_size <= 64 && info->subgroup_size <= info->max_invocations;
}

double rp_rounding_bound(rp_rounding rounding) {
    return rounding ? 2e-3 : 2e-5;
}

uint32_t rp_plan_matmul(const rp_caps *caps, rp_format format, uint64_t texels,
                        rp_matmul_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = caps->info.subgroup_size;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (subgroup_kernels(caps)) {
        /* rows x columns: what a subgroup can hold differs; a GPU's lanes have fewer registers than a CPU has
         * cache */
        static const uint32_t shapes[][2] = {{32, 2}, {16, 2}, {8, 2}, {8, 1}};
        bool as_texels = format != RP_FORMAT_BF16 && texels <= caps->max_texels;
        bool words = rp_format_words(format);
        const char *texel_shader = words ? "matmul_subgroup_texel_words" : "matmul_subgroup_texel";
        const char *texel_norm = words ? "matmul_subgroup_texel_words_norm" : "matmul_subgroup_texel_norm";
        for (size_t i = cpu ? 0 : 2; i < RP_COUNT(shapes); i++)
            for (int texel = as_texels; texel >= (cpu ? as_texels : 0); texel--)
                out[count++] = (rp_matmul_kernel){.shader = texel ? texel_shader : "matmul_subgroup",
                                                  .norm_shader = texel ? texel_norm : "matmul_subgroup_norm",
                                                  .lanes = lanes,
                                                  .blocks = 1,
                                                  .rows = shapes[i][0],
                                                  .columns = shapes[i][1],
                                                  .subgroup = true,
                                                  .texels = texel};
    }
    /* one invocation makes 4 rows; a panel is 8 vec4s wide */
    static const uint32_t blocks[] = {8, 16, 1};
    for (size_t i = cpu ? 2 : 0; i < RP_COUNT(blocks); i++)
        if (8 * blocks[i] <= caps->info.max_invocations)
            out[count++] = (rp_matmul_kernel){.shader = "matmul",
                                              .norm_shader = "matmul_norm",
                                              .lanes = 8,
                                              .blocks = blocks[i],
                                              .rows = 4,
                                              .columns = 1};
    return count;
}

uint32_t rp_plan_row_lanes(const rp_caps *caps) {
    uint32_t lanes = caps->info.subgroup_size;
    return caps->info.type == RP_DEVICE_CPU && lanes >= 4 && lanes <= 64 ? lanes : 64;
}

uint32_t rp_plan_attention(const rp_caps *caps, uint32_t head_dim, uint64_t texels,
                           rp_attention_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = caps->info.subgroup_size, head = rp_head_width(head_dim);
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (cpu && subgroup_kernels(caps)) {
        uint32_t held = (uint32_t)rp_div_up(head / 4, lanes); /* vec4s of each query's result in one lane */
        uint32_t queries = held > 2 ? (held > 32 ? 1 : 32 / held) : 16;
        for (int texel = texels <= caps->max_texels; texel >= 0; texel--)
            out[count++] =
                (rp_attention_kernel){.shader = texel ? "attention_subgroup_texel" : "attention_subgroup",
                                      .lanes = lanes,
                                      .queries = queries,
                                      .keys = 8 * lanes,
                                      .texels = texel};
    }
    /* 64 lanes on a software driver too: llvmpipe ends the loops of an invocation after 65535 iterations in
     * all, and fewer lanes have more to do */
    const uint32_t group = 64, keys = 32;
    for (uint32_t queries = 8; queries; queries /= 2) {
        uint64_t shared = ((uint64_t)queries * head + queries * keys + 3 * queries) * 4;
        if (shared > caps->info.shared_bytes) continue;
        out[count++] =
            (rp_attention_kernel){.shader = "attention", .lanes = group, .queries = queries, .keys = keys};
        break;
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
