/* The proof of a kernel sees mistakes that only some uses show: in strides with room behind rows, chunks that
 * are not the first, a residual that is written over, slices, and the workgroups' way to agree on who is the
 * last. Each is put into a copy of the shaders. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/check.h"
#include "support_fixture.h"

enum { MOST_TEXT = 1 << 17 };
static char shaders[FIXTURE_PATH_SIZE], cache[FIXTURE_PATH_SIZE];

/* A file of the shader folder, the first `old` in it replaced where that is not NULL. */
static void copy(const char *name, const char *old, const char *new) {
    static char text[MOST_TEXT], edited[2 * MOST_TEXT];
    char path[4096];
    snprintf(path, sizeof path, SOURCE_DIR "/shaders/%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *at = old ? strstr(text, old) : NULL;
    if (old && !at) fail_msg("%s does not hold %s", name, old);
    if (!at) at = text + size;
    memcpy(edited, text, (size_t)(at - text));
    edited[at - text] = 0;
    if (old) strcat(strcat(edited, new), at + strlen(old));
    assert_true(fixture_write_text(shaders, name, edited));
}

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(shaders) || !fixture_make_dir(cache)) return -1;
    DIR *dir = opendir(SOURCE_DIR "/shaders");
    if (!dir) return -1;
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') copy(entry->d_name, NULL, NULL);
    closedir(dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(shaders);
    fixture_remove_dir(cache);
    return 0;
}

typedef struct tally {
    uint32_t norms, others, wrong_norms, wrong_others; /* products that end in a LayerNorm, and the rest */
} tally;

static void count(void *user, const rp_check_result *result) {
    tally *t = user;
    bool norm = strstr(result->use, ", norm") != NULL, wrong = result->verdict == RP_CHECK_WRONG;
    assert_true(wrong || result->verdict == RP_CHECK_RIGHT);
    *(norm ? &t->norms : &t->others) += 1;
    *(norm ? &t->wrong_norms : &t->wrong_others) += wrong;
}

static tally check(const char *only) {
    const rp_device_params device_params = {.shader_dir = shaders, .cache_dir = cache};
    rp_device *device = NULL;
    tally t = {0};
    rp_error err;
    rp_status status = rp_device_open(&device_params, &device, &err);
    if (!status) status = rp_check_kernels(device, &(rp_check_params){.only = only}, count, &t, NULL, &err);
    if (status) fail_msg("%s", err.message);
    rp_device_close(&device);
    return t;
}

static const struct {
    const char *file, *kernel, *old, *new;
    bool norms_alone;
} mistakes[] = {
    {"matmul.comp", "matmul 8x1", "* p.x_stride", "* p.k", false},
    {"matmul.glsl", "matmul 8x1", "at = row * p.stride + column_of_out",
     "at = row * p.columns + column_of_out", false},
    {"matmul.glsl", "matmul 8x1", "uint column_of_out = p.first_column + column",
     "uint column_of_out = column", false},
    {"matmul.glsl", "matmul 8x1",
     "if (RESIDUAL) sum +=", "if (RESIDUAL) store_result(at, sum);\n    if (RESIDUAL) sum +=", true},
    {"matmul.glsl", "matmul 8x1", "if (before + 1u < p.groups) return;",
     "if (before + 2u < p.groups) return;", true},
    {"matmul.glsl", "matmul 8x1", "arrived[gl_WorkGroupID.x] = 0u;", "arrived[0] = 0u;", true},
    {"embed.comp", "embed", "t.x - p.first_id >= p.ids", "t.x >= p.ids", false},
    {"embed.comp", "embed", "at(t.x - p.first_id, i)", "at(t.x, i)", false},
};

static void test_mistakes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        copy(mistakes[i].file, mistakes[i].old, mistakes[i].new);
        tally t = check(mistakes[i].kernel);
        copy(mistakes[i].file, NULL, NULL);
        if (t.wrong_norms != t.norms || t.wrong_others != (mistakes[i].norms_alone ? 0 : t.others))
            fail_msg("%s, %s: %u of %u products with a LayerNorm are wrong, and %u of %u others",
                     mistakes[i].file, mistakes[i].new, t.wrong_norms, t.norms, t.wrong_others, t.others);
    }
}

static void test_none(void **state) {
    (void)state;
    tally t = check("matmul 8x1");
    assert_true(t.norms > 4 && t.others > 20);
    assert_int_equal(t.wrong_norms + t.wrong_others, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_none), cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
