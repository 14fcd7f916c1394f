/* Drivers that do not get along with one kernel: it is passed over, whatever the driver does about it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/shader.h"
#include "model/model.h"
#include "ops/class.h"
#include "reprise/check.h"
#include "support_faults.h"
#include "support_fixture.h"

static golden g;
static rp_device *device;

/* `cache` NULL: none. */
static void open_device(const char *cache) {
    rp_error err = {0};
    rp_device_params params = {.cache_dir = cache ? cache : ""};
    if (rp_device_open(&params, &device, &err)) fail_msg("%s", err.message);
}

/* The model opens and computes what Hugging Face does. */
static void expect_golden(const char *what) {
    rp_model *model = NULL;
    rp_error err = {0};
    golden_error error = {0};
    size_t size;
    if (rp_model_open(device, g.dir, NULL, &model, &err)) fail_msg("%s: %s", what, err.message);
    float *got = golden_run(model, &g, g.outputs[0].output, NULL, g.sequence_count, &size);
    assert_non_null(got);
    golden_compare(&g.outputs[0], 0, size / g.outputs[0].columns, got, &error);
    free(got);
    if (!(error.worst < 2e-4)) fail_msg("%s: off by %g", what, error.worst);
    rp_model_close(&model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

/* Shaders that the model uses where nothing is wrong, and for which there are others. */
static const char *used[16];
static size_t used_count;

static bool note_used(const char *shader) {
    size_t i = 0;
    while (i < used_count && strcmp(used[i], shader)) i++;
    if (i == used_count && strcmp(shader, "embed") && strcmp(shader, "gather") && strcmp(shader, "pool")) {
        assert_true(i < RP_COUNT(used));
        used[used_count++] = shader;
    }
    return false;
}

static int setup(void **state) {
    (void)state;
    if (!faults_install() || !golden_open("groups", NULL, &g)) return -1;
    open_device(NULL);
    fault_shaders(note_used, VK_SUCCESS);
    expect_golden("a sound driver");
    fault_shaders(NULL, VK_SUCCESS);
    rp_device_close(&device);
    return used_count >= 3 ? 0 : -1; /* a matmul, an attention, a LayerNorm */
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

static const char *bad_shader;
static bool is_bad_shader(const char *shader) {
    return !strcmp(shader, bad_shader);
}

static bool is_matmul(const char *shader) {
    return !strncmp(shader, "matmul", 6);
}

/* Drivers say that they are out of memory when their compilers give up: the next kernel is taken, and only
 * where none is left it is an error, that of memory. */
static void test_refused(void **state) {
    static const struct {
        VkResult result;
        rp_status status;
    } codes[] = {{VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY},
                 {VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY},
                 {VK_ERROR_INVALID_SHADER_NV, RP_ERROR_DEVICE}};
    (void)state;
    open_device(NULL);
    for (size_t i = 0; i < RP_COUNT(codes); i++) {
        for (size_t s = 0; s < used_count && codes[i].status != RP_ERROR_DEVICE; s++) {
            bad_shader = used[s];
            fault_shaders(is_bad_shader, codes[i].result);
            expect_golden(bad_shader);
            assert_true(fault_shaders_came > 0);
        }
        rp_model *model = NULL;
        rp_error err = {0};
        fault_shaders(is_matmul, codes[i].result);
        assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), codes[i].status);
        assert_null(model);
        assert_true(strlen(err.message) > 20);
        fault_shaders(NULL, VK_SUCCESS);
        expect_golden("mended");
    }
    rp_device_close(&device);
}

/* ---- kernels that lose the device ---- */

/* Two losses and the kernel is passed over, within one rp_model_open; neither another model nor another
 * process tries it again, and what there is without a cache lasts as long as the device. */
static void test_loses(void **state) {
    (void)state;
    for (int keeps = 0; keeps < 2; keeps++)
        for (size_t s = 0; s < used_count; s++) {
            char cache[FIXTURE_PATH_SIZE];
            assert_true(fixture_make_dir(cache));
            open_device(keeps ? cache : NULL);
            bad_shader = used[s];
            fault_shaders(is_bad_shader, VK_ERROR_DEVICE_LOST);
            expect_golden(bad_shader);
            unsigned losses = fault_shaders_came;
            assert_true(losses >= 2 && losses % 2 == 0);
            expect_golden(bad_shader);
            assert_int_equal(fault_shaders_came, losses);
            rp_device_close(&device);
            open_device(keeps ? cache : NULL);
            expect_golden(bad_shader);
            assert_int_equal(fault_shaders_came, keeps ? losses : 2 * losses);
            rp_device_close(&device);
            fault_shaders(NULL, VK_SUCCESS);
            fixture_remove_dir(cache);
        }
}

/* Large enough for kernels to be measured, which comes before they are verified. */
static void test_loses_when_measured(void **state) {
    static const char config[] =
        "{\"model_type\": \"albert\", \"architectures\": [\"AlbertModel\"], \"vocab_size\": 100,"
        " \"embedding_size\": 64, \"hidden_size\": 192, \"num_attention_heads\": 3,"
        " \"intermediate_size\": 192, \"num_hidden_layers\": 2, \"max_position_embeddings\": 32}";
    static const char *const families[] = {"matmul", "attention"};
    char dir[FIXTURE_PATH_SIZE];
    (void)state;
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_text(dir, "config.json", config));
    for (size_t f = 0; f < RP_COUNT(families); f++) {
        rp_model *model = NULL;
        rp_error err = {0};
        open_device(NULL);
        used_count = 0;
        fault_shaders(note_used, VK_SUCCESS);
        assert_int_equal(rp_model_open_random(device, dir, NULL, &model, &err), RP_OK);
        rp_model_close(&model);
        rp_device_close(&device);
        size_t s = 0;
        while (s < used_count && strncmp(used[s], families[f], strlen(families[f])) != 0) s++;
        assert_true(s < used_count);
        bad_shader = used[s];
        open_device(NULL);
        fault_shaders(is_bad_shader, VK_ERROR_DEVICE_LOST);
        if (rp_model_open_random(device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
        assert_true(fault_shaders_came >= 2 && fault_shaders_came % 2 == 0);
        fault_shaders(NULL, VK_SUCCESS);
        rp_model_close(&model);
        rp_device_close(&device);
    }
    fixture_remove_dir(dir);
}

/* The device is lost while a model opens, and cannot be opened again. */
static void test_not_opened_again(void **state) {
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    open_device(NULL);
    bad_shader = used[0];
    fault_shaders(is_bad_shader, VK_ERROR_DEVICE_LOST);
    fault_begin("vkCreateDevice", 0, VK_ERROR_INITIALIZATION_FAILED);
    assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), RP_ERROR_DEVICE);
    assert_true(fault_end());
    assert_null(model);
    assert_non_null(strstr(err.message, "could not be opened again"));
    assert_int_equal(rp_device_memory_used(device), 0);
    expect_golden("the next call");
    fault_shaders(NULL, VK_SUCCESS);
    rp_device_close(&device);
}

/* Where none is left it is an error, and a driver that is mended serves again: at once, or the next process.
 */
static void test_all_lose(void **state) {
    char cache[FIXTURE_PATH_SIZE];
    (void)state;
    assert_true(fixture_make_dir(cache));
    for (int closes = 0; closes < 2; closes++) {
        rp_model *model = NULL;
        rp_error err = {0};
        open_device(cache);
        fault_shaders(is_matmul, VK_ERROR_DEVICE_LOST);
        for (unsigned again = 0, before = 0; again < 2; again++) {
            assert_int_equal(rp_model_open(device, g.dir, NULL, &model, &err), RP_ERROR_DEVICE);
            assert_non_null(strstr(err.message, "loses the device"));
            if (again) assert_true(fault_shaders_came < 2 * before); /* one more try for each */
            before = fault_shaders_came;
        }
        fault_shaders(NULL, VK_SUCCESS);
        if (closes) {
            rp_device_close(&device);
            open_device(cache);
        }
        expect_golden("mended");
        rp_device_close(&device);
        fixture_remove_dir(cache);
        assert_true(fixture_make_dir(cache));
    }
    fixture_remove_dir(cache);
}

/* One loss that no kernel is to blame for, wherever it comes in the first start of a model, changes nothing:
 * the model opens, with the kernels, and so the bits, that it has without. */
static void test_innocent(void **state) {
    static float wanted[4096], got[4096];
    rp_error err = {0};
    (void)state;
    int n = 0;
    for (bool came = true; came; n += n < 8 ? 1 : fixture_stride(4)) {
        rp_model *model = NULL;
        open_device(NULL);
        if (n) fault_begin("vkQueueSubmit", n - 1, VK_ERROR_DEVICE_LOST);
        if (rp_model_open(device, g.dir, NULL, &model, &err)) fail_msg("loss %d: %s", n, err.message);
        if (n) came = fault_end();
        float *out = n ? got : wanted;
        assert_int_equal(rp_model_run(model, g.sequences, 2, NULL, out, RP_COUNT(got), NULL, &err), RP_OK);
        assert_memory_equal(out, wanted, sizeof wanted);
        for (size_t i = 0; i < device->loss_count; i++) assert_int_equal(device->losses[i].count, 0);
        rp_model_close(&model);
        rp_device_close(&device);
    }
    assert_true(n > 20);
}

/* ---- the check ---- */

typedef struct tally {
    size_t right, loses, other;
} tally;

static void count_verdict(void *user, const rp_check_result *result) {
    tally *t = user;
    bool bad = bad_shader && !strncmp(result->kernel, bad_shader, strlen(bad_shader)) &&
               result->kernel[strlen(bad_shader)] == ' ';
    t->right += result->verdict == RP_CHECK_RIGHT && !bad;
    t->loses += result->verdict == RP_CHECK_LOSES && bad;
    t->other += result->verdict != (bad ? RP_CHECK_LOSES : RP_CHECK_RIGHT);
}

/* Whoever loses the device has its verdict, the others theirs, with one thread and with several; and a loss
 * that comes once changes nothing. */
static void test_check(void **state) {
    (void)state;
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_error err = {0};
    open_device(NULL);
    assert_true(rp_class_layernorm.plan(&device->caps, &(rp_use){0}, kernels) > 1);
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        rp_check_params params = {.only = "layernorm", .threads = threads};
        tally sound = {0}, lost = {0}, once = {0};
        uint32_t failed = 9;
        bad_shader = NULL;
        assert_int_equal(rp_check_kernels(device, &params, count_verdict, &sound, &failed, &err), RP_OK);
        assert_true(sound.right >= 4 && !sound.other && !failed);
        bad_shader = kernels[0].key.shader;
        fault_shaders(is_bad_shader, VK_ERROR_DEVICE_LOST);
        rp_status status = rp_check_kernels(device, &params, count_verdict, &lost, &failed, &err);
        fault_shaders(NULL, VK_SUCCESS);
        if (status) fail_msg("%s", err.message);
        assert_int_equal(lost.other, 0);
        assert_true(lost.loses > 0 && lost.right > 0);
        assert_int_equal(failed, lost.loses);
        assert_int_equal(lost.right + lost.loses, sound.right);
        bad_shader = NULL;
        fault_begin("vkWaitForFences", 3, VK_ERROR_DEVICE_LOST);
        assert_int_equal(rp_check_kernels(device, &params, count_verdict, &once, &failed, &err), RP_OK);
        assert_true(fault_end());
        assert_int_equal(once.right, sound.right);
        assert_int_equal(failed, 0);
    }
    rp_device_close(&device);
}

/* ---- kernels that end the process ---- */

/* Run this program again, which opens the model with a driver that dies of `shader`. True: it opened. */
static bool lives(const char *cache, const char *shader) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        execl("/proc/self/exe", "test_faults_kernels", cache, shader, (char *)NULL);
        _exit(2);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return false;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return true;
}

static int open_and_die(const char *cache, const char *shader) {
    rp_model *model = NULL;
    rp_error err = {0};
    const char *dir = getenv("TEST_FAULTS_KERNELS_MODEL");
    bad_shader = shader;
    if (!faults_install() || !dir) return 3;
    fault_shaders(is_bad_shader, VK_ERROR_UNKNOWN);
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) return 4;
    if (rp_model_open(device, dir, NULL, &model, &err)) return 5;
    rp_model_close(&model);
    rp_device_close(&device);
    return 0;
}

static void test_dies(void **state) {
    char cache[FIXTURE_PATH_SIZE];
    (void)state;
    assert_true(fixture_make_dir(cache));
    assert_int_equal(setenv("TEST_FAULTS_KERNELS_MODEL", g.dir, 1), 0);
    for (size_t s = 0; s < used_count; s++)
        if (!strncmp(used[s], "attention", 9)) {
            int deaths = 0;
            while (!lives(cache, used[s]) && deaths < 20) deaths++;
            assert_true(deaths >= 2 && deaths % 2 == 0 && deaths < 20);
            assert_true(lives(cache, used[s]));
        }
    fixture_remove_dir(cache);
}

int main(int argc, char **argv) {
    if (argc == 3) return open_and_die(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_loses),
        cmocka_unit_test(test_all_lose), cmocka_unit_test(test_not_opened_again),
        cmocka_unit_test(test_innocent), cmocka_unit_test(test_dies),
        cmocka_unit_test(test_check),    cmocka_unit_test(test_loses_when_measured),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
