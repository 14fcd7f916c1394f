/* A driver that gets one kernel wrong: the check says so, no model uses that kernel, and results stay right;
 * and what the cache says about kernels is believed only when it is whole. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/cache.h"
#include "gpu/shader.h"
#include "ops/class.h"
#include "reprise/check.h"
#include "reprise/reprise.h"
#include "support_fixture.h"
#include "support_spoil.h"

enum { MOST = 64, MOST_FILES = 256 };

/* ---- the kernels of this device ---- */

typedef struct subject {
    char name[RP_KERNEL_NAME];
    const char *shader, *norm_shader; /* norm_shader NULL: there is none */
    uint32_t tile;                    /* vec4s that a workgroup makes */
} subject;

static rp_device *device;
static char cache[FIXTURE_PATH_SIZE];
static golden g;
static subject subjects[MOST];
static size_t subject_count;

/* The kernel with the smallest tiles stands for all of its shader: it compiles fast. */
static void put_subject(const subject *s) {
    size_t i = 0;
    while (i < subject_count && strcmp(subjects[i].shader, s->shader)) i++;
    assert_true(i < MOST);
    if (i == subject_count)
        subjects[subject_count++] = *s;
    else if (s->tile < subjects[i].tile)
        subjects[i] = *s;
}

/* In every use that the check knows. */
static void list_subjects(void) {
    const rp_scope scope = {.caps = &device->caps, .head_dim = 26};
    for (uint32_t c = 0; c < rp_class_count; c++) {
        const rp_class *class = rp_classes[c];
        rp_use use;
        rp_use_rank rank;
        for (uint32_t n = 0; (rank = class->use(&scope, n, &use)); n++) {
            rp_kernel kernels[RP_MAX_KERNELS], normed[RP_MAX_KERNELS];
            bool product = class == &rp_class_matmul;
            if (rank == RP_RANK_SKIP || (product && (use.norm || use.halves % 3))) continue;
            uint32_t count = class->plan(scope.caps, &use, kernels);
            use.norm = true;
            class->plan(scope.caps, &use, normed);
            for (uint32_t i = 0; i < count; i++) {
                subject s = {.shader = kernels[i].key.shader,
                             .norm_shader = product ? normed[i].key.shader : NULL,
                             .tile = rp_kernel_tile(&kernels[i])};
                snprintf(s.name, sizeof s.name, "%s", kernels[i].name);
                if (!product) snprintf(s.name, sizeof s.name, "%s ", kernels[i].key.shader);
                put_subject(&s);
            }
        }
    }
}

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (!fixture_make_dir(cache)) return -1;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err))
        print_error("%s\n", err.message);
    if (!device || !golden_open("groups", NULL, &g)) return -1;
    list_subjects();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    rp_device_close(&device);
    fixture_remove_dir(cache);
    return 0;
}

/* ---- what is wrong ---- */

static const char *wrong_shader;
static bool is_wrong_shader(const char *shader) {
    return !strcmp(shader, wrong_shader);
}

static const char *wrong_family;
static bool is_of_wrong_family(const char *shader) {
    return !strncmp(shader, wrong_family, strlen(wrong_family));
}

/* ---- the check ---- */

typedef struct tally {
    bool norm; /* the LayerNorm at the end is wrong, not the rest */
    bool matmul;
    size_t tries, wrong;
} tally;

static void count_result(void *user, const rp_check_result *result) {
    tally *t = user;
    bool expected = !t->matmul || t->norm == (strstr(result->use, ", norm") != NULL);
    t->tries++;
    t->wrong += result->verdict == RP_CHECK_WRONG;
    if ((result->verdict == RP_CHECK_WRONG) != expected)
        fail_msg("%s, %s: verdict %d, error %g", result->kernel, result->use, (int)result->verdict,
                 result->error);
}

static void check_refuses(const subject *s, const char *shader) {
    tally t = {.norm = s->norm_shader && !strcmp(shader, s->norm_shader), .matmul = s->norm_shader};
    uint32_t failed = 0;
    rp_error err = {0};
    wrong_shader = shader;
    spoil_begin(device, is_wrong_shader);
    rp_status status =
        rp_check_kernels(device, &(rp_check_params){.only = s->name}, count_result, &t, &failed, &err);
    spoil_end();
    if (status) fail_msg("%s", err.message);
    assert_true(t.tries > 0);
    if (!t.wrong) fail_msg("%s: nothing of %s is found wrong", shader, s->name);
    assert_int_equal(failed, t.wrong);
}

static void test_check_refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < subject_count; i++) {
        check_refuses(&subjects[i], subjects[i].shader);
        if (subjects[i].norm_shader) check_refuses(&subjects[i], subjects[i].norm_shader);
    }
}

/* What the layers of the bundled models do must be among it. */
static const char *const needed[] = {"heads of 32",
                                     "heads of 32, f16 activations",
                                     "f32 weights, bias",
                                     "f32 weights, bias, gelu_new",
                                     "f32 weights, bias, tanh",
                                     "f32 weights, bias, residual, norm"};

static void expect_right(void *user, const rp_check_result *result) {
    unsigned *seen = user;
    for (unsigned i = 0; seen && i < RP_COUNT(needed); i++)
        *seen |= (unsigned)!strcmp(result->use, needed[i]) << i;
    if (result->verdict)
        fail_msg("%s, %s: verdict %d, error %g, bound %g", result->kernel, result->use, (int)result->verdict,
                 result->error, result->bound);
}

/* Without a fault everything passes, of each shader what is quick to compile. */
static void test_check_passes(void **state) {
    (void)state;
    uint32_t failed = 1;
    unsigned seen = 0;
    rp_error err = {0};
    for (size_t i = 0; i < subject_count; i++) {
        const rp_check_params params = {.only = subjects[i].name};
        assert_int_equal(rp_check_kernels(device, &params, expect_right, &seen, &failed, &err), RP_OK);
        assert_int_equal(failed, 0);
    }
    assert_int_equal(seen, (1u << RP_COUNT(needed)) - 1);
    const rp_check_params params = {.only = "attention_tile 1", .config = "no such"};
    assert_int_equal(rp_check_kernels(device, &params, expect_right, NULL, &failed, &err), RP_ERROR_FILE);
}

static void expect_compiled(void *user, const rp_check_result *result) {
    ++*(size_t *)user;
    assert_true(result->error == 0);
    assert_true(result->verdict == RP_CHECK_RIGHT || result->verdict == RP_CHECK_SPILLS);
}

/* Compiling runs nothing. */
static void test_compile_only(void **state) {
    (void)state;
    rp_check_params params = {.compile_only = true, .only = "attention", .config = "base"};
    size_t count = 0;
    rp_error err = {0};
    spoil_begin(device, NULL);
    rp_status status = rp_check_kernels(device, &params, expect_compiled, &count, NULL, &err);
    spoil_counts seen = spoil_seen();
    spoil_end();
    assert_int_equal(status, RP_OK);
    assert_true(count > 0);
    assert_int_equal(seen.submits, 0);
    assert_int_equal(seen.made, count);
    params.config = "no such";
    assert_int_equal(rp_check_kernels(device, &params, NULL, NULL, NULL, &err), RP_ERROR_FILE);
    assert_int_equal(rp_check_kernels(NULL, NULL, NULL, NULL, NULL, &err), RP_ERROR_ARGUMENT);
}

/* ---- models ---- */

static void forget_cache(void) {
    char path[FIXTURE_PATH_SIZE + 300];
    DIR *dir = opendir(cache);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", cache, entry->d_name);
        if (entry->d_name[0] != '.') remove(path);
    }
    closedir(dir);
}

static rp_status open_model(rp_model **model, rp_error *err) {
    return rp_model_open(device, g.dir, NULL, model, err);
}

/* The model opens and computes what Hugging Face does. */
static void expect_golden(const char *what) {
    rp_model *model = NULL;
    rp_error err = {0};
    if (open_model(&model, &err)) fail_msg("%s: %s", what, err.message);
    for (size_t i = 0; i < g.output_count; i++) {
        golden_error error = {0};
        size_t size;
        float *got = golden_run(model, &g, g.outputs[i].output, NULL, g.sequence_count, &size);
        assert_non_null(got);
        golden_compare(&g.outputs[i], 0, size / g.outputs[i].columns, got, &error);
        free(got);
        if (!(error.worst < 2e-4))
            fail_msg("%s: %s is off by %g", what, golden_output_name(error.output), error.worst);
    }
    rp_model_close(&model);
}

/* Kernels that have another beside them. */
static bool replaceable(const subject *s) {
    return s->norm_shader || !strncmp(s->shader, "attention", 9) || !strncmp(s->shader, "layernorm", 9);
}

static void test_model_does_without(void **state) {
    (void)state;
    size_t avoided = 0;
    for (size_t i = 0; i < 2 * subject_count; i++) {
        const subject *s = &subjects[i / 2];
        wrong_shader = i % 2 ? s->norm_shader : s->shader;
        if (!wrong_shader || !replaceable(s)) continue;
        forget_cache();
        spoil_begin(device, is_wrong_shader);
        expect_golden(wrong_shader);
        spoil_counts cold = spoil_seen();
        spoil_end();
        if (!cold.spoiled) continue; /* not what this model would use */
        avoided++;
        spoil_begin(device, is_wrong_shader); /* verdicts are read now */
        expect_golden(wrong_shader);
        spoil_counts warm = spoil_seen();
        spoil_end();
        assert_int_equal(warm.spoiled, 0);
        assert_true(warm.submits < cold.submits);
    }
    assert_true(avoided >= 3); /* a matmul, an attention, a LayerNorm */
}

static void test_nothing_left(void **state) {
    static const char *const families[] = {"matmul", "attention", "layernorm", "embed", "gather"};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(families); i++) {
        for (int again = 0; again < 2; again++) { /* then from the cache */
            rp_model *model = NULL;
            rp_error err = {0};
            if (!again) forget_cache();
            wrong_family = families[i];
            spoil_begin(device, is_of_wrong_family);
            rp_status status = open_model(&model, &err);
            spoil_end();
            assert_null(model);
            assert_int_equal(status, RP_ERROR_DEVICE);
            assert_non_null(strstr(err.message, "every kernel for"));
            assert_non_null(strstr(err.message, device->caps.info.name));
        }
        expect_golden("mended"); /* a verdict that leaves nothing is not believed for ever */
    }
}

/* ---- the cache ---- */

static void write_raw(const char *name, const void *data, size_t size) {
    char path[FIXTURE_PATH_SIZE + 100];
    snprintf(path, sizeof path, "%s/%s", cache, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

typedef enum damage {
    EMPTY,
    GARBAGE,
    NO_ANSWER,
    ALL_ALIKE,
    SWAPPED,
    SAYS_WRONG,
    LONG_ANSWER,
    DAMAGES
} damage;

/* An entry as it was. */
typedef struct entry {
    char name[96];
    void *data;
    size_t size;
} entry;

/* What the cache says about kernels. The data is freed by the caller. */
static size_t read_entries(entry entries[MOST_FILES]) {
    size_t count = 0;
    DIR *dir = opendir(cache);
    assert_non_null(dir);
    for (struct dirent *found; (found = readdir(dir));)
        if (!strncmp(found->d_name, "tuning-", 7) || !strncmp(found->d_name, "verdict-", 8)) {
            entry *e = &entries[count++];
            assert_true(count < MOST_FILES);
            snprintf(e->name, sizeof e->name, "%.95s", found->d_name);
            if (!rp_cache_read(cache, e->name, &e->data, &e->size)) fail_msg("%s is not whole", e->name);
        }
    closedir(dir);
    return count;
}

/* All but the first two are entries that are whole, with something in them that is not true. */
static void damage_entry(damage how, const entry *of, const entry *other) {
    const char *name = of->name;
    size_t size = of->size;
    char *data = of->data, *text;
    switch (how) {
    case EMPTY:
        write_raw(name, "", 0);
        break;
    case GARBAGE:
        write_raw(name, "reprise1\xff\xff\xff\xff\xff\xff\xff\x7f garbage", 24);
        break;
    case NO_ANSWER:
        rp_cache_write(cache, name, data, size / 2);
        break;
    case ALL_ALIKE: /* a list that names one kernel twice, or a verdict that is no
                       word */
        text = calloc(1, 2 * size + 1);
        assert_non_null(text);
        memcpy(text, data, size);
        memcpy(text + size, data, size);
        rp_cache_write(cache, name, text, 2 * size);
        free(text);
        break;
    case SWAPPED:
        rp_cache_write(cache, name, other->data, other->size);
        break;
    case SAYS_WRONG:
        if (size > 5 && !memcmp(data + size - 5, "right", 5)) memcpy(data + size - 5, "wrong", 5);
        rp_cache_write(cache, name, data, size);
        break;
    default:
        text = malloc(size + (1 << 20));
        assert_non_null(text);
        memcpy(text, data, size);
        memset(text + size, 'x', 1 << 20);
        rp_cache_write(cache, name, text, size + (1 << 20));
        free(text);
    }
}

static void free_entries(entry *entries, size_t count) {
    for (size_t i = 0; i < count; i++) free(entries[i].data);
}

static void test_hostile_cache(void **state) {
    static entry entries[MOST_FILES];
    (void)state;
    for (int how = 0; how < DAMAGES; how++) {
        forget_cache();
        expect_golden("fresh");
        size_t count = read_entries(entries);
        assert_true(count > 4);
        for (size_t i = 0; i < count; i++) damage_entry((damage)how, &entries[i], &entries[(i + 1) % count]);
        free_entries(entries, count);
        expect_golden("damaged");
        assert_true(read_entries(entries) >= count); /* and all are whole again */
        free_entries(entries, count);
        spoil_begin(device, NULL);
        expect_golden("rebuilt");
        spoil_counts warm = spoil_seen();
        spoil_end();
        if (how != SAYS_WRONG) assert_true(warm.submits <= g.output_count + 4); /* nothing was verified */
    }
}

/* Verdicts about one driver say nothing about another. */
static void test_other_driver(void **state) {
    (void)state;
    forget_cache();
    expect_golden("fresh");
    device->caps.driver_version++;
    spoil_begin(device, NULL);
    expect_golden("another driver");
    spoil_counts seen = spoil_seen();
    spoil_end();
    device->caps.driver_version--;
    assert_true(seen.submits > g.output_count + 10); /* kernels were verified */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_passes), cmocka_unit_test(test_check_refuses),
        cmocka_unit_test(test_compile_only), cmocka_unit_test(test_model_does_without),
        cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_hostile_cache),
        cmocka_unit_test(test_other_driver),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
