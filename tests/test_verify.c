/* Verification passes right kernels, those that are planned for other devices too. (test_check.c has the
 * wrong ones, and every ending and format of the kernels for this device.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/verify.h"
#include "support_ops.h"

static void check_right(const char *shader, const rp_verdict *v) {
    if (!rp_verdict_right(v)) fail_msg("%s: error %g, bound %g", shader, v->error, v->bound);
}

static void test_matmul(void **state) {
    rp_format format = (rp_format)(intptr_t)*state;
    rp_ending ending = {.bias = true, .residual = true, .norm = true};
    if (format != RP_FORMAT_F32) ending.halves = RP_HALF_X | RP_HALF_OUT;
    ops_begin();
    for (size_t look = 1; look < OPS_LOOKS; look++) {
        rp_matmul_kernel kernels[RP_MAX_KERNELS];
        ops_look_like(look);
        uint32_t count = rp_plan_matmul(&ops_device->caps, format, ending.halves, 1 << 20, kernels);
        for (uint32_t i = 0; i < count; i++) {
            rp_verdict v;
            if (i + 1 < count && !strcmp(kernels[i].shader, kernels[i + 1].shader))
                continue; /* a larger tile */
            OPS_OK(rp_verify_matmul(&ops, &kernels[i], format, &ending, &v, &ops_err));
            check_right(kernels[i].norm_shader, &v);
        }
    }
    ops_look_like(0);
}

static void test_attention(void **state) {
    const unsigned both = RP_HALF_X | RP_HALF_OUT;
    static const uint32_t dims[] = {13, 80};
    (void)state;
    ops_begin();
    for (size_t look = 0; look < OPS_LOOKS; look++)
        for (size_t d = 0; d < RP_COUNT(dims); d++) {
            rp_attention_kernel kernels[RP_MAX_KERNELS];
            rp_verdict v;
            ops_look_like(look);
            uint32_t count = rp_plan_attention(&ops_device->caps, dims[d], both, 1 << 20, kernels);
            for (uint32_t i = 0; i < count; i++) {
                OPS_OK(rp_verify_attention(&ops, &kernels[i], dims[d], both, &v, &ops_err));
                check_right(kernels[i].shader, &v);
                if (kernels[i].rounding) continue; /* not planned for float32 */
                OPS_OK(rp_verify_attention(&ops, &kernels[i], dims[d], 0, &v, &ops_err));
                check_right(kernels[i].shader, &v);
            }
        }
    ops_look_like(0);
}

static void test_rows(void **state) {
    static const rp_format formats[][3] = {{RP_FORMAT_F32, RP_FORMAT_F32, RP_FORMAT_F32},
                                           {RP_FORMAT_F16, RP_FORMAT_BF16, RP_FORMAT_F32},
                                           {RP_FORMAT_BF16, RP_FORMAT_F16, RP_FORMAT_F16}};
    rp_verdict v;
    (void)state;
    ops_begin();
    for (size_t look = 0; look < OPS_LOOKS; look++) {
        rp_row_kernel kernels[RP_MAX_KERNELS];
        ops_look_like(look);
        uint32_t count = rp_plan_layernorm(&ops_device->caps, 1 << 20, kernels);
        for (uint32_t i = 0; i < count; i++) {
            OPS_OK(rp_verify_layernorm(&ops, &kernels[i], 0, &v, &ops_err));
            check_right(kernels[i].shader, &v);
            OPS_OK(rp_verify_layernorm(&ops, &kernels[i], RP_HALF_OUT, &v, &ops_err));
            check_right(kernels[i].shader, &v);
        }
        for (size_t f = 0; f < RP_COUNT(formats); f++) {
            OPS_OK(rp_verify_embed(&ops, formats[f], &v, &ops_err));
            check_right("embed", &v);
        }
        for (unsigned halves = 0; halves <= RP_HALF_X; halves++) {
            OPS_OK(rp_verify_gather(&ops, halves, &v, &ops_err));
            check_right("gather", &v);
            OPS_OK(rp_verify_pool(&ops, halves, &v, &ops_err));
            check_right("pool", &v);
        }
    }
    ops_look_like(0);
}

#define FORMAT(format)                                            \
    {                                                             \
        .name = "test_matmul " #format, .test_func = test_matmul, \
        .initial_state = (void *)(intptr_t)RP_FORMAT_##format     \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        FORMAT(F32), FORMAT(F16), FORMAT(INT4), cmocka_unit_test(test_attention), cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
