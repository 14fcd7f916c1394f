/* Attention against plain C: every head size, lengths around the sizes of its tiles, batches of many lengths.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/attention.h"
#include "support_ops.h"

enum { MOST_TOKENS = 512, MOST_SEQUENCES = 24 };

typedef struct batch {
    uint32_t lengths[MOST_SEQUENCES];
    uint32_t count;
} batch;

static const batch batches[] = {
    {{1}, 1},
    {{1, 1, 1}, 3},
    {{2, 7, 8, 9, 31, 32, 33, 1, 63, 64, 65, 3}, 12},
    {{130}, 1},
    {{17, 130, 5, 97, 1, 16, 33}, 7},
    {{512}, 1},
};

/* ---- the kernels: everything that the library plans for any look of the device ---- */

enum { MOST_KERNELS = OPS_LOOKS * RP_MAX_KERNELS };

static uint32_t plan(const rp_caps *caps, uint32_t head_dim, uint64_t texels, rp_kernel *out) {
    return rp_class_attention.plan(caps, &(rp_use){.head_dim = head_dim, .texels = texels}, out);
}

static bool listed(const rp_kernel *kernels, size_t count, const rp_kernel *k) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(kernels[i].name, k->name)) return true;
    return false;
}

static size_t list_kernels(uint32_t head_dim, uint64_t texels, rp_kernel out[MOST_KERNELS]) {
    size_t count = 0;
    for (size_t look = 0; look < OPS_LOOKS; look++) {
        rp_kernel planned[RP_MAX_KERNELS];
        ops_look_like(look);
        uint32_t plans = plan(&ops_device->caps, head_dim, texels, planned);
        assert_in_range(plans, 1, RP_MAX_KERNELS);
        for (uint32_t i = 0; i < plans; i++)
            if (!listed(out, count, &planned[i])) out[count++] = planned[i];
    }
    ops_look_like(0);
    return count;
}

/* ---- one test: a shape of heads, all kernels and batches ---- */

typedef struct test {
    uint32_t heads, head_dim;
    float scale; /* of Q and K; 0: 1 */
    double bound;

    uint32_t stride;            /* of the context; Q, K and V are as far apart */
    float *data, *want, *alone; /* [MOST_TOKENS, 3 * stride], and [MOST_TOKENS, stride] twice */
    rp_range qkv, starts, tiles, out;
} test;

static void fill_starts(const batch *b, uint32_t starts[MOST_SEQUENCES + 1]) {
    starts[0] = 0;
    for (uint32_t s = 0; s < b->count; s++) starts[s + 1] = starts[s] + b->lengths[s];
    assert_true(starts[b->count] <= MOST_TOKENS);
}

static void compute_want(test *t, const batch *b, const uint32_t *starts) {
    rp_reference_attention op = {.sequences = b->count,
                                 .heads = t->heads,
                                 .head_dim = t->head_dim,
                                 .head_stride = rp_head_width(t->head_dim),
                                 .starts = starts,
                                 .qkv = {t->data, 3 * (size_t)t->stride},
                                 .width = t->stride,
                                 .out = {t->want, t->stride}};
    OPS_OK(rp_reference_attention_run(&op, &ops_err));
}

/* A row of Q, one of K, one of V for each token; zeros behind every head. */
static float *random_heads(const test *t) {
    float *data = ops_random_rows(3 * MOST_TOKENS, t->stride, 1);
    uint32_t head = rp_head_width(t->head_dim);
    for (size_t i = 0; i < 3 * (size_t)MOST_TOKENS * t->stride; i++) {
        size_t column = i % t->stride;
        if (column >= (size_t)t->heads * head || column % head >= t->head_dim) data[i] = 0;
    }
    return data;
}

static void prepare(test *t) {
    ops_begin();
    t->stride = rp_attention_width(t->heads, t->head_dim);
    size_t floats = (size_t)MOST_TOKENS * t->stride;
    t->data = random_heads(t);
    t->want = rp_new_array(float, floats);
    t->alone = rp_new_array(float, floats);
    assert_true(t->want && t->alone);
    for (size_t i = 0; t->scale != 0 && i < 3 * floats; i++)
        if (i / t->stride % 3 != 2) t->data[i] *= t->scale;
    t->qkv = ops_upload(t->data, 3 * floats * 4);
    t->starts = ops_results(MOST_SEQUENCES + 1);
    t->tiles = ops_results(2 * MOST_TOKENS);
    t->out = ops_results(floats);
}

static void finish(test *t) {
    free(t->data);
    free(t->want);
    free(t->alone);
}

/* Run sequences that begin at `starts`, as the model does. */
static const float *run_batch(test *t, rp_op_target target, const rp_kernel *k, const uint32_t *starts,
                              uint32_t sequences) {
    uint32_t tiles[2 * MOST_TOKENS], counts[RP_COUNT_KINDS] = {0};
    for (uint32_t s = 0; s < sequences; s++)
        for (uint32_t q = 0; q < starts[s + 1] - starts[s]; q += k->rows) {
            uint32_t *tile = &tiles[2 * counts[RP_COUNT_TILES]++];
            tile[0] = s;
            tile[1] = q;
        }
    counts[RP_COUNT_TOKENS] = starts[sequences];
    counts[RP_COUNT_SEQUENCES] = sequences;
    ops_write(t->starts, starts, (sequences + 1) * 4);
    ops_write(t->tiles, tiles, counts[RP_COUNT_TILES] * 8);
    ops_clear(t->out);
    ops_run(target, counts);
    return ops_read(t->out);
}

/* Every sequence of a batch again, alone at the front: the same bits. */
static void check_alone(test *t, rp_op_target target, const rp_kernel *k, const batch *b,
                        const uint32_t *starts) {
    size_t row = 3 * (size_t)t->stride * 4;
    for (uint32_t s = 0; s < b->count; s++) {
        const uint32_t only[2] = {0, b->lengths[s]};
        ops_write(t->qkv, t->data + starts[s] * 3 * (size_t)t->stride, only[1] * row);
        const float *out = run_batch(t, target, k, only, 1);
        assert_memory_equal(out, t->alone + starts[s] * (size_t)t->stride, only[1] * (size_t)t->stride * 4);
    }
    ops_write(t->qkv, t->data, MOST_TOKENS * row);
}

static rp_op_target record(const test *t, const rp_kernel *k) {
    rp_op_target target = ops_record();
    rp_op op = {.class = &rp_class_attention,
                .label = "test",
                .heads = t->heads,
                .head_dim = t->head_dim,
                .kernel = *k,
                .x = t->qkv,
                .list = t->starts,
                .tiles = t->tiles,
                .out = t->out};
    OPS_OK(rp_op_record(target, &op, &ops_err));
    ops_record_end(target);
    return target;
}

static void check_kernel(test *t, const rp_kernel *k, rp_op_target target, const batch *b,
                         const uint32_t *starts) {
    uint32_t tokens = starts[b->count];
    const float *out = run_batch(t, target, k, starts, b->count);
    ops_compare(out, t->want, tokens, t->stride, t->bound, "batch %td, %u heads of %u, %s", b - batches,
                t->heads, t->head_dim, k->name);
    ops_check_untouched(out, tokens, MOST_TOKENS, t->stride);
    memcpy(t->alone, out, (size_t)tokens * t->stride * 4);
    if (b->count > 1) check_alone(t, target, k, b, starts);
}

static void check_attention(test t) {
    rp_kernel kernels[MOST_KERNELS];
    rp_op_target targets[MOST_KERNELS];
    prepare(&t);
    size_t count = list_kernels(t.head_dim, (uint64_t)MOST_TOKENS * 3 * t.stride / 4, kernels);
    for (size_t i = 0; i < count; i++) targets[i] = record(&t, &kernels[i]);
    for (size_t n = 0; n < RP_COUNT(batches); n++) {
        uint32_t starts[MOST_SEQUENCES + 1];
        fill_starts(&batches[n], starts);
        compute_want(&t, &batches[n], starts);
        for (size_t i = 0; i < count; i++) check_kernel(&t, &kernels[i], targets[i], &batches[n], starts);
    }
    finish(&t);
}

/* ---- what is tested ---- */

static void test_heads(void **state) {
    const uint32_t *shape = *state;
    check_attention((test){.heads = shape[0], .head_dim = shape[1], .bound = 1e-5});
}

/* Scores in the hundreds: one key has all the weight, and no exponential overflows. Their own float32 is off
 * by 3e-5. */
static void test_large_scores(void **state) {
    (void)state;
    check_attention((test){.heads = 2, .head_dim = 16, .scale = 12, .bound = 1e-4});
}

/* What is planned fits the shared memory, or there is nothing. */
static void test_plans_fit_shared_memory(void **state) {
    (void)state;
    static const uint32_t sizes[] = {4096, 16384, 32768, 49152}, dims[] = {1, 13, 64, 128, 256, 512, 4096};
    for (size_t i = 0; i < RP_COUNT(sizes); i++) {
        rp_caps caps = {.info = {.shared_bytes = sizes[i], .max_invocations = 128}};
        rp_kernel kernels[RP_MAX_KERNELS];
        for (size_t d = 0; d < RP_COUNT(dims); d++) {
            uint32_t count = plan(&caps, dims[d], 0, kernels);
            for (uint32_t k = 0; k < count; k++)
                assert_true((kernels[k].rows * (dims[d] + kernels[k].columns + 3ull)) * 4 <= sizes[i]);
            if (dims[d] <= 512) assert_true(count > 0);
        }
        assert_int_equal(plan(&caps, 1 << 20, 0, kernels), 0);
    }
}

/* llvmpipe as Debian 12 and Debian 13 have it, and more texels than it takes. */
static void test_plans_of_software_drivers(void **state) {
    (void)state;
    rp_caps caps = {
        .info = {.type = RP_DEVICE_CPU, .shared_bytes = 32768, .max_invocations = 1024, .subgroup_size = 8},
        .max_texels = 1 << 20,
        .driver_version = 1,
        .subgroup_shuffle = true,
        .subgroup_fixed = true};
    rp_kernel kernels[RP_MAX_KERNELS];
    assert_int_equal(plan(&caps, 64, 1 << 20, kernels), 3);
    assert_string_equal(kernels[0].key.shader, "attention_subgroup_texel");
    assert_true(kernels[0].key.texels && !kernels[1].key.texels && !kernels[2].key.texels);
    caps.driver_version = VK_MAKE_VERSION(26, 1, 6);
    assert_int_equal(plan(&caps, 64, 1 << 20, kernels), 3);
    assert_string_equal(kernels[0].key.shader, "attention_subgroup");
    assert_true(!kernels[0].key.texels && kernels[1].key.texels && !kernels[2].key.texels);
    assert_int_equal(plan(&caps, 64, (1 << 20) + 1, kernels), 2);
    assert_string_equal(kernels[0].key.shader, "attention_subgroup");
    assert_string_equal(kernels[1].key.shader, "attention");
    /* the sums of a lane stay as many, however wide a head */
    for (uint32_t dim = 1; dim <= 1024; dim++) {
        plan(&caps, dim, 0, kernels);
        uint32_t held = (rp_head_width(dim) / 4 + 7) / 8;
        bool subgroup = strstr(kernels[0].key.shader, "attention_subgroup") != NULL;
        assert_true(subgroup == (held <= 8));
        if (!subgroup) continue;
        assert_true(kernels[0].rows && kernels[0].rows % 4 == 0);
        assert_true(kernels[0].rows * held <= 32);
        assert_int_equal(kernels[0].columns % kernels[0].key.constants[0], 0);
    }
}

#define HEADS(heads, dim)                                                                          \
    {                                                                                              \
        .name = #heads " heads of " #dim, .test_func = test_heads, .initial_state = (uint32_t[]) { \
            heads, dim                                                                             \
        }                                                                                          \
    }

int main(void) {
    const struct CMUnitTest tests[] = {
        HEADS(1, 1),
        HEADS(3, 13),
        HEADS(2, 16),
        HEADS(3, 26),
        HEADS(2, 32),
        HEADS(2, 64),
        HEADS(1, 100),
        HEADS(2, 128),
        HEADS(1, 256),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_plans_fit_shared_memory),
        cmocka_unit_test(test_plans_of_software_drivers),
    };
    return cmocka_run_group_tests(tests, ops_setup, ops_teardown);
}
