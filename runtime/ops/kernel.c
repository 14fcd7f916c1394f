#include "ops/kernel.h"

#include <stdio.h>

double rp_rounding_bound(rp_rounding rounding) {
    return rounding ? 2e-3 : 2e-5;
}

bool rp_kernels_alike(const rp_kernel *a, const rp_kernel *b, const rp_use *use) {
    bool products = a->rounding == b->rounding && a->matrix.m == b->matrix.m && a->matrix.n == b->matrix.n &&
                    a->matrix.k == b->matrix.k;
    bool sums = a->key.constants[0] == b->key.constants[0] && a->shuffles == b->shuffles;
    return products && (!use->norm || sums);
}

bool rp_has_subgroups(const rp_caps *caps) {
    const rp_device_info *info = &caps->info;
    return caps->subgroup_shuffle && caps->subgroup_fixed && info->subgroup_size >= 4 &&
           info->subgroup_size <= 64 && info->subgroup_size <= info->max_invocations;
}

bool rp_subgroups_alike(const rp_caps *caps) {
    return caps->subgroup_shuffle && (caps->subgroup_fixed || caps->subgroup_control);
}

bool rp_workgroup_fits(const rp_caps *caps, uint32_t invocations, uint64_t shared) {
    return invocations <= caps->info.max_invocations && shared <= caps->info.shared_bytes;
}

bool rp_matrix_is_dense(rp_matrix_shape m, uint32_t lanes) {
    return m.m * m.n >= 4 * lanes;
}

uint32_t rp_row_lanes(const rp_caps *caps) {
    uint32_t lanes = caps->info.subgroup_size;
    return caps->info.type == RP_DEVICE_CPU && lanes >= 4 && lanes <= 64 ? lanes : 64;
}

rp_kernel rp_row_kernel(const rp_caps *caps, const char *shader, uint32_t constant, uint32_t bindings,
                        uint32_t push_words) {
    uint32_t lanes = rp_row_lanes(caps);
    rp_kernel kernel = {.key = {.shader = shader,
                                .constants = {lanes, constant},
                                .constant_count = 2,
                                .bindings = bindings,
                                .push_words = push_words},
                        .rows = 1,
                        .columns = lanes};
    snprintf(kernel.name, sizeof kernel.name, "%s %u", shader, lanes);
    return kernel;
}

uint32_t rp_few_rows(const rp_caps *caps) {
    return caps->info.type == RP_DEVICE_CPU ? 16 : 128;
}
