#include "ops/kernel.h"

#include <inttypes.h>
#include <stdio.h>

void rp_use_write(const rp_use *u, char out[RP_ATTEMPT_TEXT]) {
    snprintf(out, RP_ATTEMPT_TEXT, "%d %d %d %u %d %d %d %d %" PRIu32 " %" PRIu64 " %" PRIu32,
             (int)u->formats[0], (int)u->formats[1], (int)u->formats[2], u->halves, u->bias, u->residual,
             u->norm, (int)u->activation, u->head_dim, u->texels, u->variant);
}

bool rp_use_read(const char *text, rp_use *out) {
    enum { MOST_HEAD_DIM = 4096, MOST_VARIANT = 15 };
    unsigned f[3], bias, residual, norm, activation;
    rp_use u = {0};
    char more;
    if (sscanf(text, "%u %u %u %u %u %u %u %u %" SCNu32 " %" SCNu64 " %" SCNu32 "%c", &f[0], &f[1], &f[2],
               &u.halves, &bias, &residual, &norm, &activation, &u.head_dim, &u.texels, &u.variant,
               &more) != 11)
        return false;
    for (int i = 0; i < 3; i++) {
        if (f[i] > RP_FORMAT_INT4) return false;
        u.formats[i] = (rp_format)f[i];
    }
    if (u.halves > (RP_HALF_X | RP_HALF_OUT) || activation > RP_OP_TANH || u.head_dim > MOST_HEAD_DIM ||
        u.variant > MOST_VARIANT)
        return false;
    u.bias = bias;
    u.residual = residual;
    u.norm = norm;
    u.activation = (rp_op_activation)activation;
    *out = u;
    return true;
}

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

uint32_t rp_row_classes(const rp_caps *caps, uint32_t rows[RP_ROW_CLASSES]) {
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    rows[0] = cpu ? 12 : 128;
    rows[1] = 24;
    return cpu ? 2 : 1;
}
