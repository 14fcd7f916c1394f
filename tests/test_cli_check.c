/* A kernel that ends the process ends two runs of the check and no third, and only in the table. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "ops/attempts.h"
#include "ops/class.h"
#include "reprise/check.h"
#include "support_cli.h"
#include "support_faults.h"
#include "support_fixture.h"

static const char ONLY[] = "layernorm";

static char cache[FIXTURE_PATH_SIZE];
static rp_device *device;
static char guilty[RP_KERNEL_NAME]; /* the shader and its workgroup */
static const char *guilty_shader;
static const rp_use no_use;

static bool is_guilty(const char *shader) {
    return !strcmp(shader, guilty_shader);
}

/* Not in the first way in which it is tried. */
static bool is_guilty_later(const char *shader) {
    static atomic_int seen;
    return is_guilty(shader) && ++seen == 2;
}

/* ---- the process that ends ---- */

enum { LIVED = 0, BROKEN = 3 };

static int check_and_die(const char *dir, const char *shader, const char *when, const char *threads) {
    rp_error err = {0};
    const rp_check_params params = {.only = ONLY, .threads = (uint32_t)atoi(threads)};
    guilty_shader = shader;
    if (!faults_install()) return BROKEN;
    fault_shaders(!strcmp(when, "later") ? is_guilty_later : is_guilty, VK_ERROR_UNKNOWN);
    if (rp_device_open(&(rp_device_params){.cache_dir = dir}, &device, &err)) return BROKEN;
    rp_status status = rp_check_kernels(device, &params, NULL, NULL, NULL, &err);
    rp_device_close(&device);
    return status ? BROKEN : LIVED;
}

/* How many processes that check end one after the other, at most `most`, before one does not. */
static int count_deaths(const char *dir, const char *when, const char *threads, int most) {
    for (int deaths = 0; deaths < most; deaths++) {
        int status = -1;
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            execl("/proc/self/exe", "test_cli_check", dir, guilty_shader, when, threads, (char *)NULL);
            _exit(BROKEN);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), LIVED);
            return deaths;
        }
        assert_int_equal(WTERMSIG(status), SIGKILL);
    }
    return most;
}

/* ---- what is left of it ---- */

static int setup(void **state) {
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_error err = {0};
    (void)state;
    if (!faults_install() || !fixture_make_dir(cache)) return -1;
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) return -1;
    if (rp_class_layernorm.plan(&device->caps, &(rp_use){0}, kernels) < 2) return -1;
    guilty_shader = kernels[1].key.shader;
    snprintf(guilty, sizeof guilty, "%s", kernels[1].name);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    fixture_remove_dir(cache);
    return 0;
}

static size_t count_notes(void) {
    size_t count = 0;
    DIR *dir = opendir(cache);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) count += !strncmp(entry->d_name, "attempt-", 8);
    closedir(dir);
    return count;
}

static void forget_notes(void) {
    fixture_remove_dir(cache);
    assert_int_equal(fixture_make_dir(cache), true);
    rp_device_close(&device);
    rp_error err = {0};
    if (rp_device_open(&(rp_device_params){.cache_dir = cache}, &device, &err)) fail_msg("%s", err.message);
}

typedef struct tally {
    size_t ended, right, other;
} tally;

static void count_verdict(void *user, const rp_check_result *result) {
    tally *t = user;
    bool bad = !strcmp(result->kernel, guilty);
    t->ended += bad && result->verdict == RP_CHECK_ENDS;
    t->right += !bad && result->verdict == RP_CHECK_RIGHT;
    t->other += result->verdict != (bad ? RP_CHECK_ENDS : RP_CHECK_RIGHT);
}

/* The guilty one has its verdict and is not run, and the others have theirs. */
static void expect_passed_over(void) {
    tally t = {0};
    uint32_t failed = 0;
    rp_error err = {0};
    fault_shaders(is_guilty, VK_ERROR_DEVICE_LOST);
    rp_status status =
        rp_check_kernels(device, &(rp_check_params){.only = ONLY}, count_verdict, &t, &failed, &err);
    assert_int_equal(fault_shaders_came, 0);
    fault_shaders(NULL, VK_SUCCESS);
    if (status) fail_msg("%s", err.message);
    assert_true(t.ended >= 2 && t.right >= 2);
    assert_int_equal(t.other, 0);
    assert_int_equal(failed, t.ended);
}

/* ---- tests ---- */

/* With one thread and with several, which try others at the same time: those are innocent. */
static void test_two_runs_end(void **state) {
    static const char *const whens[] = {"always", "later"}, *const threads[] = {"1", "3"};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        rp_attempt attempt;
        forget_notes();
        assert_int_equal(count_deaths(cache, whens[i / 2], threads[i % 2], 5), 2);
        assert_int_equal(count_notes(), 1);
        expect_passed_over();
        assert_int_equal(count_notes(), 1);
        /* a model tries it all the same */
        assert_true(
            rp_attempt_begin(&attempt, device, &(rp_attempted){&rp_class_layernorm, guilty, &no_use}));
        assert_int_equal(attempt.before, 0);
        rp_attempt_end(&attempt, RP_OK, true);
    }
}

static void test_without_a_cache(void **state) {
    (void)state;
    assert_int_equal(count_deaths("", "always", "1", 4), 4);
}

/* One run that ended was not its fault: it is tried again, and its note is wiped. */
static void test_another_chance(void **state) {
    uint32_t failed = 1;
    rp_error err = {0};
    (void)state;
    forget_notes();
    assert_int_equal(count_deaths(cache, "always", "1", 1), 1);
    assert_int_equal(count_notes(), 1);
    assert_int_equal(rp_check_kernels(device, &(rp_check_params){.only = ONLY}, NULL, NULL, &failed, &err),
                     RP_OK);
    assert_int_equal(failed, 0);
    assert_int_equal(count_notes(), 0);
}

/* What models pass over is not run either. */
static void test_notes_of_models(void **state) {
    (void)state;
    forget_notes();
    for (int i = 0; i < 2; i++) { /* as a process leaves it that ends */
        rp_attempt attempt;
        assert_true(
            rp_attempt_begin(&attempt, device, &(rp_attempted){&rp_class_layernorm, guilty, &no_use}));
        rp_attempt_note_close(&attempt.note);
    }
    expect_passed_over();
    assert_int_equal(count_notes(), 1);
}

/* The command's driver gets on with the kernel, and the program that comes with it tells. */
static void expect_cleared(void) {
    assert_int_equal(count_deaths(cache, "always", "2", 2), 2);
    cli_run run = cli(CLI_ARGS("check", "--only", ONLY), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(count_notes(), 0);
    cli_free(&run);
}

/* The note of a kernel that is known to end processes. */
static void blame(void) {
    rp_attempt attempt;
    assert_true(
        rp_attempt_begin_check(&attempt, device, &(rp_attempted){&rp_class_layernorm, guilty, &no_use}));
    attempt.note.certain = 2;
    rp_attempt_note_write(&attempt.note);
    rp_attempt_note_close(&attempt.note);
}

/* The command finishes, and says so. */
static void test_command(void **state) {
    (void)state;
    forget_notes();
    char *before = getenv("REPRISE_CACHE_DIR") ? strdup(getenv("REPRISE_CACHE_DIR")) : NULL;
    assert_int_equal(setenv("REPRISE_CACHE_DIR", cache, 1), 0);
    expect_cleared();
    blame();
    cli_run json = cli(CLI_ARGS("check", "--json", "--only", ONLY), NULL, 0);
    cli_run text = cli(CLI_ARGS("check", "--only", ONLY), NULL, 0);
    if (before) assert_int_equal(setenv("REPRISE_CACHE_DIR", before, 1), 0);
    free(before);
    assert_int_equal(json.status, 1);
    long lines = cli_line_count(&json), ended = 0;
    assert_true(lines >= 4);
    for (long i = 0; i < lines; i++) {
        json_t *line = cli_json(&json, (size_t)i);
        bool bad = !strcmp(json_string_value(json_object_get(line, "kernel")), guilty);
        assert_string_equal(json_string_value(json_object_get(line, "verdict")), bad ? "ends" : "right");
        assert_int_equal(json_is_null(json_object_get(line, "error")), bad);
        ended += bad;
        json_decref(line);
    }
    assert_true(ended >= 2);
    assert_int_equal(text.status, 1);
    assert_non_null(strstr(text.out, "  ends "));
    assert_non_null(strstr(text.out, " failed; "));
    cli_free(&json);
    cli_free(&text);
}

/* A first start and a check that are interrupted, again and again, while they try a kernel: each ends with
 * the usual status, and nothing is held against the kernel. */
static void interrupt(const char *const *args) {
    for (int i = 0; i < 3; i++) {
        int status;
        cli_pipe pipe = cli_start(args);
        for (int ms = 0; !count_notes() && ms < 120000; ms++) usleep(1000);
        kill(pipe.pid, SIGINT);
        assert_int_equal(waitpid(pipe.pid, &status, 0), pipe.pid);
        close(pipe.to);
        close(pipe.from);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 130);
        assert_int_equal(count_notes(), 0);
    }
}

static void test_interrupted(void **state) {
    (void)state;
    forget_notes();
    const char *before = getenv("REPRISE_CACHE_DIR");
    char *kept = before ? strdup(before) : NULL;
    assert_int_equal(setenv("REPRISE_CACHE_DIR", cache, 1), 0);
    interrupt(CLI_ARGS("check", "--only", "matmul"));
    interrupt(CLI_ARGS("classify", "a warm and funny film"));
    if (kept) assert_int_equal(setenv("REPRISE_CACHE_DIR", kept, 1), 0);
    free(kept);
}

int main(int argc, char **argv) {
    if (argc == 5) return check_and_die(argv[1], argv[2], argv[3], argv[4]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_runs_end),   cmocka_unit_test(test_without_a_cache),
        cmocka_unit_test(test_another_chance), cmocka_unit_test(test_notes_of_models),
        cmocka_unit_test(test_command),        cmocka_unit_test(test_interrupted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
