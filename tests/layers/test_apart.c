/* A driver whose compiler ends whoever gives it a large kernel (the profile adreno_dies of the bent layer),
 * and one that refuses it and leaves something that is no pipeline (adreno_refuses). With RP_TRIALS_APART a
 * process lives, also where the helper cannot be started, and its results are right. */
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

#include "reprise/reprise.h"
#include "support_fixture.h"

static golden g;
static char cache[FIXTURE_PATH_SIZE];
static char helper[] = BINARY_DIR "/reprise-try";

static int setup(void **state) {
    (void)state;
    return golden_open("sentiment", NULL, &g) && fixture_make_dir(cache) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(cache);
    golden_close(&g);
    return 0;
}

enum { BROKEN = 3 };

/* Ends the process by BROKEN where something fails. */
static void open_and_run(rp_trials trials, const char *program) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    golden_error error = {0};
    size_t size = 0;
    const rp_device_params params = {.cache_dir = cache, .trials = trials, .try_program = program};
    if (rp_device_open(&params, &device, &err) || rp_model_open(device, g.dir, NULL, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        _exit(BROKEN);
    }
    float *got = golden_run(model, &g, RP_OUTPUT_HIDDEN, NULL, g.sequence_count, &size);
    if (got) golden_compare(golden_find(&g, RP_OUTPUT_HIDDEN), 0, g.token_count, got, &error);
    if (!got || !(error.worst < 1e-3)) _exit(BROKEN);
    free(got);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* In a process of its own: its exit status, or minus the signal that ended it. 0: kernels were passed over.
 */
static int start(rp_trials trials, const char *program) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        open_and_run(trials, program);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_the_process_lives(void **state) {
    (void)state;
    assert_int_equal(start(RP_TRIALS_APART, ""), 0);     /* the plain kernels */
    assert_int_equal(start(RP_TRIALS_APART, helper), 0); /* which dies where this process would */
    assert_int_equal(start(RP_TRIALS_APART, helper), 0);
    assert_int_equal(start(RP_TRIALS_WITHIN, ""), 0); /* it is known by now */
}

/* Where it is not known, a kernel ends the process twice, and not again. */
static void test_it_would_die(void **state) {
    const char *profile = getenv("REPRISE_BENT");
    bool dies = profile && strstr(profile, "dies");
    (void)state;
    for (int tries = 0; dies && tries < 2; tries++) assert_int_equal(start(RP_TRIALS_WITHIN, ""), -SIGABRT);
    if (!dies) assert_int_equal(start(RP_TRIALS_WITHIN, ""), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_process_lives, setup, teardown),
        cmocka_unit_test_setup_teardown(test_it_would_die, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
