/* Where shaders come from: the pack, edited GLSL, the disk cache; and what the caches take from a disk that
 * holds anything at all. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/cache.h"
#include "gpu/pack.h"
#include "gpu/pipeline.h"
#include "support_fixture.h"
#include "support_ops.h"
#include "support_shaders.h"

/* ---- folders and files ---- */

static char shaders[FIXTURE_PATH_SIZE], cache[FIXTURE_PATH_SIZE];

static char *read_text(const char *dir, const char *name) {
    char path[2 * FIXTURE_PATH_SIZE], *text = calloc(1, 1 << 16);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (!file || !text) fail_msg("cannot read %s", path);
    size_t size = fread(text, 1, (1 << 16) - 1, file);
    fclose(file);
    assert_in_range(size, 1, (1 << 16) - 2);
    return text;
}

/* A copy of the project's shaders, and an empty cache. */
static int make_folders(void **state) {
    (void)state;
    assert_true(fixture_make_dir(shaders) && fixture_make_dir(cache));
    DIR *from = opendir(SOURCE_DIR "/shaders");
    assert_non_null(from);
    for (struct dirent *entry; (entry = readdir(from));) {
        if (entry->d_name[0] == '.') continue;
        char *text = read_text(SOURCE_DIR "/shaders", entry->d_name);
        assert_true(fixture_write_text(shaders, entry->d_name, text));
        free(text);
    }
    closedir(from);
    return 0;
}

static int remove_folders(void **state) {
    (void)state;
    fixture_remove_dir(shaders);
    fixture_remove_dir(cache);
    return 0;
}

/* Replace the first `old` in a copied shader. */
static void edit(const char *name, const char *old, const char *new) {
    char *text = read_text(shaders, name), *at = strstr(text, old), *edited = malloc(1 << 17);
    if (!at || !edited) fail_msg("%s does not hold %s", name, old);
    snprintf(edited, 1 << 17, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    assert_true(fixture_write_text(shaders, name, edited));
    free(text);
    free(edited);
}

/* The line of `name` that holds `part`, counted from 1. */
static int line_of(const char *name, const char *part) {
    char *text = read_text(shaders, name), *at = strstr(text, part);
    int line = 1;
    assert_non_null(at);
    for (char *c = text; c < at; c++) line += *c == '\n';
    free(text);
    return line;
}

/* The files in the cache whose names begin with `prefix`; the last one is in `name`. */
static int count_entries(const char *prefix, char name[256]) {
    DIR *dir = opendir(cache);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (!strncmp(entry->d_name, prefix, strlen(prefix))) {
            if (name) snprintf(name, 256, "%s", entry->d_name);
            count++;
        }
    closedir(dir);
    return count;
}

static void write_raw(const char *name, const void *data, size_t size) {
    char path[2 * FIXTURE_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", cache, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* ---- devices ---- */

static rp_device *open_device(const char *shader_dir, const char *cache_dir) {
    rp_device *device = NULL;
    rp_error err = {0};
    rp_device_params params = {.shader_dir = shader_dir, .cache_dir = cache_dir};
    if (rp_device_open(&params, &device, &err)) fail_msg("%s", err.message);
    return device;
}

/* The words of a shader. */
static uint32_t *find(rp_device *device, const char *name, size_t *count) {
    rp_spirv spirv;
    rp_error err = {0};
    if (rp_shader_find(device, name, &spirv, &err)) fail_msg("%s", err.message);
    *count = spirv.count;
    return spirv.words;
}

static void make_pipeline(rp_device *device) {
    rp_pipeline_set set = {.device = device};
    rp_pipeline_key key = {
        .shader = "gather", .constants = {64}, .constant_count = 1, .bindings = 4, .push_words = 3};
    const rp_pipeline *pipeline;
    OPS_OK(rp_pipeline_get(&set, &key, &pipeline, &ops_err));
    rp_pipeline_set_finish(&set);
}

/* Whether the linked glslang makes of the shader what the pack holds: another may have compiled that. */
static bool same_as_pack(const rp_packed_shader *shader) {
    return !shader->variant.cooperative || rp_shaders_use_nv(shaders) == rp_shader_pack_nv;
}

/* Whether the module declares the capability. */
static bool declares(const uint32_t *words, size_t count, uint32_t capability) {
    enum { HEADER = 5, OP_CAPABILITY = 2 << 16 | 17 };
    for (size_t i = HEADER; i + 1 < count && words[i] == OP_CAPABILITY; i += 2)
        if (words[i + 1] == capability) return true;
    return false;
}

enum { CAPABILITY_MATRIX_NV = 5357, CAPABILITY_MATRIX_KHR = 6022 };

/* ---- the sources ---- */

static void test_pack(void **state) {
    (void)state;
    rp_device *device = open_device("", "");
    rp_error err = {0};
    rp_spirv spirv;
    assert_true(rp_shader_pack_count >= 5);
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        OPS_OK(rp_shader_find(device, rp_shader_pack[i].variant.name, &spirv, &ops_err));
        assert_int_equal(spirv.count, rp_shader_pack[i].count);
        assert_true(rp_spirv_whole(spirv.words, spirv.count * 4));
        bool cooperative = rp_shader_pack[i].variant.cooperative;
        assert_int_equal(declares(spirv.words, spirv.count, CAPABILITY_MATRIX_NV),
                         cooperative && rp_shader_pack_nv);
        assert_int_equal(declares(spirv.words, spirv.count, CAPABILITY_MATRIX_KHR),
                         cooperative && !rp_shader_pack_nv);
        free(spirv.words);
    }
    assert_int_equal(rp_shader_find(device, "no_such_shader", &spirv, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "no_such_shader"));
    rp_device_close(&device);
}

/* The unchanged folder gives what the pack holds. */
static void test_folder_equals_pack(void **state) {
    (void)state;
    rp_device *device = open_device(shaders, "");
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        size_t count;
        uint32_t *words = find(device, rp_shader_pack[i].variant.name, &count);
        if (same_as_pack(&rp_shader_pack[i])) {
            assert_true(shader_is(&rp_shader_pack[i], words, count));
        } else {
            assert_true(declares(words, count, CAPABILITY_MATRIX_NV)); /* the pack's is by a newer one */
        }
        free(words);
    }
    assert_int_equal(device->caps.matrix_nv, rp_shaders_use_nv(shaders));
    rp_device_close(&device);
}

/* Any glslang compiles cooperative matrices in NV's words. Where spirv-val is installed, it looks at them
 * (without what the sanitizers preload). */
static void test_matrices_for_old_compilers(void **state) {
    (void)state;
    bool validate = !system("env -u LD_PRELOAD spirv-val --version >/dev/null 2>&1");
    int cooperative = 0;
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        const rp_shader_variant *variant = &rp_shader_pack[i].variant;
        char command[2 * FIXTURE_PATH_SIZE];
        uint32_t *words;
        size_t count;
        if (!variant->cooperative) continue;
        cooperative++;
        char *source = rp_glsl_source(shaders, variant, RP_GLSLANG_KHR_MATRIX - 1, &ops_err);
        assert_non_null(source);
        OPS_OK(rp_glsl_compile(source, variant, &words, &count, &ops_err));
        assert_true(declares(words, count, CAPABILITY_MATRIX_NV));
        assert_false(declares(words, count, CAPABILITY_MATRIX_KHR));
        write_raw(variant->name, words, count * 4);
        snprintf(command, sizeof command, "env -u LD_PRELOAD spirv-val --target-env vulkan1.1 %s/%s", cache,
                 variant->name);
        if (validate && system(command)) fail_msg("%s is not valid", variant->name);
        free(words);
        free(source);
    }
    assert_true(cooperative >= 4);
}

/* 33 rows through gather, with REPRISE_SHADER_DIR as it is; the factor that came out. */
static float gathered_factor(void) {
    enum { ROWS = 33, WIDTH = 32 };
    float *x = ops_random_rows(ROWS, WIDTH, 1);
    ops_setup(NULL);
    ops_begin();
    rp_op op = {.class = &rp_class_gather,
                .label = "test",
                .rows = RP_COUNT_ROWS,
                .width = WIDTH,
                .x = ops_upload(x, ROWS * WIDTH * 4),
                .out = ops_results(ROWS * WIDTH)};
    rp_op_target target = ops_record();
    OPS_OK(ops_record_first(target, op)); /* an edited kernel would not be chosen */
    ops_record_end(target);
    ops_run_rows(target, ROWS);
    const float *out = ops_read(op.out);
    float factor = out[0] / x[0];
    for (size_t i = 0; i < ROWS * WIDTH; i++) assert_true(out[i] == factor * x[i]);
    free(x);
    assert_int_equal(ops_teardown(NULL), 0);
    return factor;
}

static void test_edited_shader_takes_effect(void **state) {
    (void)state;
    setenv("REPRISE_SHADER_DIR", shaders, 1);
    float before = gathered_factor();
    edit("gather.comp", ": x[from + i];", ": 4.0 * x[from + i];");
    float after = gathered_factor();
    setenv("REPRISE_SHADER_DIR", "", 1);
    float without = gathered_factor();
    unsetenv("REPRISE_SHADER_DIR");
    assert_true(before == 1 && after == 4 && without == 1);
}

static void check_error(const char *shader, rp_status status, const char *part) {
    rp_device *device = open_device(shaders, "");
    rp_spirv spirv;
    rp_error err = {0};
    assert_int_equal(rp_shader_find(device, shader, &spirv, &err), status);
    assert_null(spirv.words);
    if (!strstr(err.message, part)) fail_msg("no %s: %s", part, err.message);
    assert_int_equal(rp_shader_find(device, shader, &spirv, NULL), status);
    rp_device_close(&device);
}

/* A mistake in any of the files that make a shader: its name and line. */
static void test_mistake_is_named(void **state) {
    static const char *const mistakes[][3] = {{"gather", "gather.comp", "void main()"},
                                              {"matmul", "matmul.comp", "void main()"},
                                              {"matmul", "matmul.glsl", "void write_result("},
                                              {"pool", "common.glsl", "vec4 activate("}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(mistakes); i++) {
        char place[64], replaced[128];
        const char *shader = mistakes[i][0], *file = mistakes[i][1], *old = mistakes[i][2];
        snprintf(replaced, sizeof replaced, "float mistake = no_such_name;\n%s", old);
        edit(file, old, replaced);
        snprintf(place, sizeof place, "%s:%d: 'no_such_name'", file, line_of(file, "mistake"));
        check_error(shader, RP_ERROR_FORMAT, place);
        edit(file, replaced, old);
    }
    rp_device *device = open_device(shaders, ""); /* mended */
    size_t count;
    for (size_t i = 0; i < RP_COUNT(mistakes); i++) free(find(device, mistakes[i][0], &count));
    rp_device_close(&device);
}

/* Editors leave files without a line end. */
static void test_no_line_end(void **state) {
    (void)state;
    size_t count;
    static const char *const files[] = {"common.glsl", "matmul.glsl", "matmul.comp"};
    for (size_t i = 0; i < RP_COUNT(files); i++) {
        char *text = read_text(shaders, files[i]);
        text[strlen(text) - 1] = '\0';
        assert_true(fixture_write_text(shaders, files[i], text));
        free(text);
    }
    rp_device *device = open_device(shaders, "");
    free(find(device, "matmul", &count));
    rp_device_close(&device);
}

static void test_missing_file(void **state) {
    char path[2 * FIXTURE_PATH_SIZE];
    (void)state;
    snprintf(path, sizeof path, "%s/pool.comp", shaders);
    assert_int_equal(unlink(path), 0);
    check_error("pool", RP_ERROR_FILE, path);
    snprintf(path, sizeof path, "%s/common.glsl", shaders);
    assert_int_equal(unlink(path), 0);
    check_error("gather", RP_ERROR_FILE, path);
}

static void test_missing_folder(void **state) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    device = open_device("/nonexistent/shaders", "");
    rp_status status = rp_model_open(device, SOURCE_DIR "/tools/models/sentiment", NULL, &model, &err);
    assert_int_equal(status, RP_ERROR_FILE);
    assert_null(model);
    assert_non_null(strstr(err.message, "/nonexistent/shaders/"));
    assert_non_null(strstr(err.message, "REPRISE_SHADER_DIR"));
    rp_device_close(&device);
}

/* ---- the cache of SPIR-V ---- */

static uint32_t *find_again(size_t *count) {
    rp_device *device = open_device(shaders, cache);
    uint32_t *words = find(device, "gather", count);
    rp_device_close(&device);
    return words;
}

static void test_spirv_is_kept(void **state) {
    char name[256];
    size_t size, count, other_size;
    void *entry;
    (void)state;
    free(find_again(&count));
    assert_int_equal(count_entries("spirv-", name), 1);
    assert_true(rp_cache_read(cache, name, &entry, &size));
    assert_int_equal(size, count * 4);
    free(entry);
    /* another shader under that name: if it comes back, the cache was read */
    rp_device *device = open_device(shaders, "");
    uint32_t *other = find(device, "pool", &other_size);
    rp_device_close(&device);
    rp_cache_write(cache, name, other, other_size * 4);
    uint32_t *words = find_again(&count);
    assert_int_equal(count, other_size);
    assert_memory_equal(words, other, count * 4);
    free(words);
    free(other);
    /* a changed source has a name of its own */
    edit("gather.comp", ": x[from + i];", ": 2.0 * x[from + i];");
    free(find_again(&count));
    assert_int_equal(count_entries("spirv-", NULL), 2);
}

/* A damaged entry is made again, and is whole afterwards. */
static void check_repaired(const char *name, const uint32_t *want, size_t want_count) {
    size_t count, size;
    void *entry;
    uint32_t *words = find_again(&count);
    assert_int_equal(count, want_count);
    assert_memory_equal(words, want, count * 4);
    assert_true(rp_cache_read(cache, name, &entry, &size));
    assert_int_equal(size, count * 4);
    assert_memory_equal(entry, want, size);
    free(entry);
    free(words);
}

static void test_damaged_spirv_is_made_again(void **state) {
    char name[256], path[2 * FIXTURE_PATH_SIZE + 256];
    size_t count;
    static const char junk[100] = {1, 2, 3};
    static const uint32_t no_spirv[8] = {0xdeadbeef};
    (void)state;
    uint32_t *want = find_again(&count);
    assert_int_equal(count_entries("spirv-", name), 1);
    snprintf(path, sizeof path, "%s/%s", cache, name);
    size_t size = 24 + count * 4;
    char *whole = malloc(size);
    FILE *file = fopen(path, "rb");
    assert_true(whole && file);
    assert_int_equal(fread(whole, 1, size, file), size);
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    static const size_t places[] = {0, 8, 9, 15, 16, 23, 24, 300};
    for (size_t i = 0; i < RP_COUNT(places); i++) { /* a bit turned over: magic, size, hash, content */
        whole[places[i]] ^= 4;
        write_raw(name, whole, size);
        check_repaired(name, want, count);
        whole[places[i]] ^= 4;
    }
    static const size_t cuts[] = {0, 1, 8, 23, 24, 100};
    for (size_t i = 0; i < RP_COUNT(cuts); i++) {
        write_raw(name, whole, cuts[i]);
        check_repaired(name, want, count);
    }
    write_raw(name, whole, size - 1);
    check_repaired(name, want, count);
    write_raw(name, junk, sizeof junk);
    check_repaired(name, want, count);
    rp_cache_write(cache, name, no_spirv, sizeof no_spirv); /* whole, but no shader */
    check_repaired(name, want, count);
    rp_cache_write(cache, name, want, count * 4 - 2);
    check_repaired(name, want, count);
    rp_cache_write(cache, name, want, 0);
    check_repaired(name, want, count);
    free(whole);
    free(want);
}

/* No cache is no error: no folder can be made, it went away, a folder stands where the entry belongs. */
static void test_cache_that_cannot_be_written(void **state) {
    char below_file[2 * FIXTURE_PATH_SIZE], name[256], path[2 * FIXTURE_PATH_SIZE + 256];
    size_t count;
    (void)state;
    assert_true(fixture_write_text(cache, "file", "x"));
    snprintf(below_file, sizeof below_file, "%s/file/cache", cache);
    static const char *const bad[] = {"/proc/no/such/cache", "/dev/null", ""};
    for (size_t i = 0; i <= RP_COUNT(bad); i++) {
        rp_device *device = open_device(shaders, i < RP_COUNT(bad) ? bad[i] : below_file);
        free(find(device, "gather", &count));
        make_pipeline(device);
        rp_device_close(&device);
    }
    rp_device *device = open_device(shaders, cache);
    fixture_remove_dir(cache);
    free(find(device, "gather", &count));
    make_pipeline(device);
    rp_device_close(&device);

    assert_int_equal(mkdir(cache, 0700), 0);
    free(find_again(&count));
    assert_int_equal(count_entries("spirv-", name), 1);
    snprintf(path, sizeof path, "%s/%s", cache, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    free(find_again(&count));
    assert_int_equal(count_entries("spirv-", NULL), 1); /* and no temporary file stays */
    assert_int_equal(unlink(path), 0);                  /* the folder made way for a file */
}

/* ---- the cache of pipelines ---- */

static void test_pipelines_are_kept(void **state) {
    char name[256];
    size_t size, kept;
    void *data;
    (void)state;
    rp_device *device = open_device("", cache);
    make_pipeline(device);
    rp_device_close(&device);
    assert_int_equal(count_entries("pipelines-", name), 1);
    assert_true(rp_cache_read(cache, name, &data, &size));
    assert_true(size >= 32);
    device = open_device("", cache);
    assert_int_equal(device->pipeline_cache_size, size);
    rp_device_close(&device);

    /* whatever lies there instead: the device opens, pipelines are made, and a good file comes of it */
    uint32_t *header = data;
    for (int damage = 0; damage < 9; damage++) {
        uint32_t changed[64];
        memcpy(changed, header, 32);
        memset(changed + 8, 0x5a, sizeof changed - 32);
        size_t length = sizeof changed;
        if (damage < 4) changed[damage] ^= 1u << 7; /* header size, version, vendor, device */
        if (damage == 4) changed[5] ^= 1;           /* UUID */
        if (damage == 5) length = 31;
        if (damage == 6) length = 0;
        if (damage == 7) changed[0] = UINT32_MAX;
        if (damage == 8)
            write_raw(name, data, size); /* no entry at all */
        else
            rp_cache_write(cache, name, changed, length);
        device = open_device("", cache);
        assert_int_equal(device->pipeline_cache_size, 0);
        make_pipeline(device);
        rp_device_close(&device);
        void *again;
        assert_true(rp_cache_read(cache, name, &again, &kept));
        assert_true(kept >= 32 && !memcmp(again, header, 32));
        free(again);
    }
    free(data);
}

/* ---- several processes ---- */

/* Compile everything, make a pipeline, close: what each of the processes does. */
static int work(void) {
    rp_device *device = NULL;
    rp_error err = {0};
    if (rp_device_open(NULL, &device, &err)) return 1;
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        rp_spirv spirv;
        if (rp_shader_find(device, rp_shader_pack[i].variant.name, &spirv, &err)) return 2;
        if (same_as_pack(&rp_shader_pack[i]) && !shader_is(&rp_shader_pack[i], spirv.words, spirv.count))
            return 3;
        free(spirv.words);
    }
    make_pipeline(device);
    rp_device_close(&device);
    return 0;
}

static void test_processes_at_once(void **state) {
    enum { PROCESSES = 4 };
    (void)state;
    setenv("REPRISE_SHADER_DIR", shaders, 1);
    const char *before = getenv("REPRISE_CACHE_DIR");
    char *kept = before ? strdup(before) : NULL;
    setenv("REPRISE_CACHE_DIR", cache, 1);
    for (int round = 0; round < 2; round++) { /* into an empty cache, then from a full one */
        pid_t children[PROCESSES];
        for (int i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (!children[i]) {
                execl("/proc/self/exe", "test_shaders", "work", (char *)NULL);
                _exit(99);
            }
        }
        for (int i = 0; i < PROCESSES; i++) {
            int status;
            assert_int_equal(waitpid(children[i], &status, 0), children[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(count_entries("spirv-", NULL), rp_shader_pack_count);
        assert_int_equal(count_entries("pipelines-", NULL), 1);
        assert_int_equal(count_entries("", NULL),
                         rp_shader_pack_count + 3); /* ".", ".." and nothing temporary */
    }
    unsetenv("REPRISE_SHADER_DIR");
    if (kept)
        setenv("REPRISE_CACHE_DIR", kept, 1);
    else
        unsetenv("REPRISE_CACHE_DIR");
    free(kept);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_folders, remove_folders)

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "work")) return work();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack),
        TEST(test_folder_equals_pack),
        TEST(test_matrices_for_old_compilers),
        TEST(test_edited_shader_takes_effect),
        TEST(test_mistake_is_named),
        TEST(test_no_line_end),
        TEST(test_missing_file),
        cmocka_unit_test(test_missing_folder),
        TEST(test_spirv_is_kept),
        TEST(test_damaged_spirv_is_made_again),
        TEST(test_cache_that_cannot_be_written),
        TEST(test_pipelines_are_kept),
        TEST(test_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
