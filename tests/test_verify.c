/* The proof passes right kernels, those that are planned for other devices too. (test_check.c has the wrong
 * ones, and every epilogue and format of the kernels for this device.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_ops.h"

/* Every kernel for this use, with any look of the device from number `first` on; of each shader the last,
 * which has the smallest tile. */
static void check_use(const rp_class *class, const rp_use *use, size_t first) {
    ops_begin();
    for (size_t look = first; look < OPS_LOOKS; look++) {
        rp_kernel kernels[RP_MAX_KERNELS];
        ops_look_like(look);
        uint32_t count = class->plan(&ops_device->caps, use, kernels);
        for (uint32_t i = 0; i < count; i++) {
            rp_difference v;
            if (i + 1 < count && !strcmp(kernels[i].key.shader, kernels[i + 1].key.shader)) continue;
            OPS_OK(rp_prove(&ops, class, &kernels[i], use, &v, &ops_err));
            if (!rp_difference_allowed(&v))
                fail_msg("%s, %s: error %g, bound %g", class->name, kernels[i].name, v.error, v.bound);
        }
    }
    ops_look_like(0);
}

/* A product as it ends a layer, where workgroups communicate. */
static void test_matmul(void **state) {
    rp_format format = (rp_format)(intptr_t)*state;
    const rp_use use = {.formats = {format, format, format},
                        .bias = true,
                        .residual = true,
                        .norm = true,
                        .halves = format == RP_FORMAT_F32 ? 0 : RP_HALF_X | RP_HALF_OUT,
                        .texels = 1 << 20};
    check_use(&rp_class_matmul, &use, 1);
}

/* Every use that models make of the others. */
static void test_others(void **state) {
    (void)state;
    static const uint32_t dims[] = {13, 80};
    for (uint32_t c = 0; c < rp_class_count; c++)
        for (size_t d = 0; d < RP_COUNT(dims); d++) {
            const rp_class *class = rp_classes[c];
            const rp_scope scope = {.caps = &ops_device->caps, .head_dim = dims[d]};
            rp_use use;
            if (class == &rp_class_matmul ||
                (d && class != &rp_class_attention && class != &rp_class_attention_grad))
                continue;
            for (uint32_t n = 0; class->use(&scope, n, &use); n++) check_use(class, &use, 0);
        }
}

/* Tables of unlike formats. */
static void test_mixed_tables(void **state) {
    static const rp_use uses[] = {{.formats = {RP_FORMAT_F16, RP_FORMAT_BF16, RP_FORMAT_F32}},
                                  {.formats = {RP_FORMAT_BF16, RP_FORMAT_F16, RP_FORMAT_F16}}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(uses); i++) check_use(&rp_class_embed, &uses[i], 0);
}

/* A use has a text that no other has. */
static void test_texts(void **state) {
    char texts[256][RP_USE_TEXT];
    (void)state;
    for (uint32_t c = 0; c < rp_class_count; c++) {
        const rp_scope scope = {.caps = &ops_device->caps, .activation = RP_OP_GELU};
        size_t count = 0;
        rp_use use;
        rp_use_rank rank;
        for (uint32_t n = 0; (rank = rp_classes[c]->use(&scope, n, &use)); n++) {
            if (rank == RP_RANK_SKIP) continue;
            assert_true(count < RP_COUNT(texts));
            rp_use_text(rp_classes[c], &use, texts[count]);
            for (size_t i = 0; i < count; i++) assert_string_not_equal(texts[i], texts[count]);
            count++;
        }
        assert_true(count > 0);
    }
}

#define FORMAT(format)                                            \
    {                                                             \
        .name = "test_matmul " #format, .test_func = test_matmul, \
        .initial_state = (void *)(intptr_t)RP_FORMAT_##format     \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        FORMAT(F32),
        FORMAT(F16),
        FORMAT(INT4),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_mixed_tables),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
