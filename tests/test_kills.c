/* Who kills a process while it opens a model costs later starts nothing; a driver that ends processes is
 * found all the same. Each start is a process of its own: this program, run again. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/model.h"
#include "reprise/check.h"
#include "support_faults.h"
#include "support_fixture.h"

static golden g;
static char cache[FIXTURE_PATH_SIZE];
static char sound_helper[] = BINARY_DIR "/reprise-try", self[] = "/proc/self/exe";

/* ---- one start, in a process of its own ---- */

enum { BROKEN = 3, OTHER_KERNELS = 4 };
static const char *bad_shader;
static bool came_to_it; /* the shader is one that the model uses, or tries */

static bool is_bad_shader(const char *shader) {
    bool bad = !strcmp(shader, bad_shader);
    came_to_it |= bad;
    return bad;
}

static bool look_on(const char *shader) {
    is_bad_shader(shader);
    return false;
}

/* The driver dies of this shader by this signal; "0": of none. */
static void install(const char *shader, const char *number) {
    bad_shader = shader;
    if (!faults_install()) _exit(BROKEN);
    fault_shaders_signal = atoi(number);
    if (fault_shaders_signal) signal(fault_shaders_signal, SIG_DFL); /* sanitizers take some */
    fault_shaders(fault_shaders_signal ? is_bad_shader : look_on, VK_ERROR_UNKNOWN);
}

/* argv: cache, shader, signal, helper, model. OTHER_KERNELS: the shader was not used. */
static int open_once(char **argv) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    install(argv[2], argv[3]);
    const rp_device_params params = {.cache_dir = argv[1],
                                     .try_program = argv[4],
                                     .trials = getenv("TEST_KILLS_APART") ? RP_TRIALS_APART : 0};
    if (rp_device_open(&params, &device, &err) || rp_model_open(device, argv[5], NULL, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return BROKEN;
    }
    rp_model_close(&model);
    rp_device_close(&device);
    return came_to_it ? 0 : OTHER_KERNELS;
}

static pid_t begin(const char *shader, int number, const char *helper) {
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        execl(self, "test_kills", cache, shader, text, helper, g.dir, (char *)NULL);
        _exit(BROKEN);
    }
    return child;
}

/* What became of it: its exit status, or minus the signal that ended it. */
static int end(pid_t child) {
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int start(const char *shader, int number, const char *helper) {
    return end(begin(shader, number, helper));
}

/* The program that tries kernels is this one, with the same driver: see main. */
static int start_with_driver_in_helper(const char *shader, int number) {
    char text[12];
    snprintf(text, sizeof text, "%d", number);
    assert_int_equal(setenv("TEST_KILLS_SHADER", shader, 1), 0);
    assert_int_equal(setenv("TEST_KILLS_SIGNAL", text, 1), 0);
    int ended = start(shader, number, self);
    unsetenv("TEST_KILLS_SHADER");
    return ended;
}

/* ---- set-up ---- */

/* A shader that the model uses where all is well, and for which there is another. */
static char used[64];

static bool note_used(const char *shader) {
    if (!strncmp(shader, "attention", 9)) snprintf(used, sizeof used, "%s", shader);
    return false;
}

static int setup(void **state) {
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    (void)state;
    if (!faults_install() || !golden_open("groups", NULL, &g)) return -1;
    fault_shaders(note_used, VK_SUCCESS);
    if (rp_device_open(&(rp_device_params){.cache_dir = ""}, &device, &err)) return -1;
    if (rp_model_open(device, g.dir, NULL, &model, &err)) return -1;
    rp_model_close(&model);
    rp_device_close(&device);
    fault_shaders(NULL, VK_SUCCESS);
    return used[0] ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

static int make_cache(void **state) {
    (void)state;
    return fixture_make_dir(cache) ? 0 : -1;
}

static int remove_cache(void **state) {
    (void)state;
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

static void write_script(char path[2 * FIXTURE_PATH_SIZE], const char *command) {
    snprintf(path, 2 * FIXTURE_PATH_SIZE, "%s/helper", cache);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", command);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
}

/* ---- tests ---- */

/* Killed twice and more at the same kernel, whose next start is as if nothing had been. */
static void test_killed_at_one_kernel(void **state) {
    (void)state;
    for (int kills = 1; kills <= 4; kills++) {
        for (int i = 0; i < kills; i++) assert_int_equal(start(used, SIGKILL, sound_helper), -SIGKILL);
        assert_int_equal(start(used, 0, sound_helper), 0);
        assert_int_equal(count_notes(), 0);
        assert_int_equal(start(used, 0, sound_helper), 0);
        fixture_remove_dir(cache);
        assert_true(fixture_make_dir(cache));
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Killed at every moment, in steps, until one comes to its end. */
static void test_killed_at_any_moment(void **state) {
    static const double LONGEST = 6;
    double begun = seconds(), step = 2e-3, wait = 0;
    int kills = 0;
    (void)state;
    for (bool lived = false; !lived && seconds() - begun < LONGEST;) {
        pid_t child = begin(used, 0, sound_helper);
        struct timespec pause = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
        nanosleep(&pause, NULL);
        kill(child, SIGKILL);
        lived = end(child) != -SIGKILL;
        kills += !lived;
        wait += step;
        step *= 1.02;
    }
    assert_true(kills > 5);
    assert_int_equal(start(used, 0, sound_helper), 0);
    assert_int_equal(start(used, 0, sound_helper), 0);
}

/* A signal that the driver raises, in this process and in any other: the third start does without, and so
 * does every later one, also where the program that tries kernels gets on with the driver. */
static void test_driver_dies(void **state) {
    static const int signals[] = {SIGSEGV, SIGABRT};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (int deaths = 0; deaths < 2; deaths++)
            assert_int_equal(start_with_driver_in_helper(used, signals[i]), -signals[i]);
        assert_int_equal(start_with_driver_in_helper(used, signals[i]), OTHER_KERNELS);
        assert_int_equal(start(used, signals[i], sound_helper), OTHER_KERNELS);
        fixture_remove_dir(cache);
        assert_true(fixture_make_dir(cache));
    }
}

/* Without the program, or with one that is killed, does not start, or does not know this library, two tries
 * that did not end count; but only as long as nobody can tell. */
static void test_nobody_can_tell(void **state) {
    char script[2 * FIXTURE_PATH_SIZE];
    (void)state;
    for (int deaths = 0; deaths < 2; deaths++) assert_int_equal(start(used, SIGKILL, ""), -SIGKILL);
    assert_int_equal(start(used, SIGKILL, ""), OTHER_KERNELS);
    assert_int_equal(start(used, SIGKILL, "/nowhere/at/all"), OTHER_KERNELS);
    write_script(script, "kill -9 $$");
    assert_int_equal(start(used, SIGKILL, script), OTHER_KERNELS);
    write_script(script, "kill -15 $$");
    assert_int_equal(start(used, SIGKILL, script), OTHER_KERNELS);
    write_script(script, "exec " BINARY_DIR "/reprise-try 1 2 3");
    assert_int_equal(start(used, SIGKILL, script), OTHER_KERNELS);
    assert_int_equal(start(used, 0, sound_helper), 0);
}

/* One that leaves by itself without a word was ended by the driver too. */
static void test_driver_exits(void **state) {
    char script[2 * FIXTURE_PATH_SIZE];
    (void)state;
    for (int deaths = 0; deaths < 2; deaths++) assert_int_equal(start(used, SIGKILL, ""), -SIGKILL);
    write_script(script, "exit 1");
    assert_int_equal(start(used, SIGKILL, script), OTHER_KERNELS);
    assert_int_equal(start(used, SIGKILL, sound_helper), OTHER_KERNELS);
}

/* In a program that does not keep its children, that it lived is heard all the same. */
static void test_children_are_not_kept(void **state) {
    (void)state;
    for (int deaths = 0; deaths < 2; deaths++) assert_int_equal(start(used, SIGKILL, ""), -SIGKILL);
    signal(SIGCHLD, SIG_IGN); /* which the process that is started inherits */
    pid_t child = begin(used, 0, sound_helper);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(end(child), 0);
}

/* Two that find the same notes at the same time. */
static void test_two_processes(void **state) {
    (void)state;
    for (int deaths = 0; deaths < 2; deaths++) assert_int_equal(start(used, SIGKILL, ""), -SIGKILL);
    pid_t one = begin(used, 0, sound_helper), two = begin(used, 0, sound_helper);
    assert_int_equal(end(one), 0);
    assert_int_equal(end(two), 0);
    assert_int_equal(start(used, 0, sound_helper), 0);
    assert_int_equal(count_notes(), 0);
}

/* With RP_TRIALS_APART the first start lives: the other process dies, and where there is none, the plain
 * kernels serve. What another process has proven is used. */
static void test_tried_apart(void **state) {
    (void)state;
    assert_int_equal(setenv("TEST_KILLS_APART", "1", 1), 0);
    assert_int_equal(start_with_driver_in_helper(used, SIGSEGV), OTHER_KERNELS);
    assert_int_equal(start(used, SIGSEGV, sound_helper), OTHER_KERNELS); /* what was learnt is kept */
    fixture_remove_dir(cache);
    assert_true(fixture_make_dir(cache));
    assert_int_equal(start_with_driver_in_helper(used, 0), 0);
    fixture_remove_dir(cache);
    assert_true(fixture_make_dir(cache));
    assert_int_equal(start(used, SIGSEGV, ""), OTHER_KERNELS);
    assert_int_equal(start(used, SIGSEGV, "/nowhere/at/all"), OTHER_KERNELS);
    unsetenv("TEST_KILLS_APART");
    assert_int_equal(start(used, 0, ""), 0);
    assert_int_equal(setenv("TEST_KILLS_APART", "1", 1), 0);
    assert_int_equal(start(used, 0, ""), 0);
    assert_int_equal(count_notes(), 0);
    unsetenv("TEST_KILLS_APART");
}

int main(int argc, char **argv) {
    const char *shader = getenv("TEST_KILLS_SHADER");
    if (argc == 6) return open_once(argv);
    if (argc == 7 && shader) { /* as reprise-try */
        install(shader, getenv("TEST_KILLS_SIGNAL"));
        return rp_try_main(argc, argv);
    }
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_cache, remove_cache)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_at_one_kernel), TEST(test_killed_at_any_moment), TEST(test_driver_dies),
        TEST(test_nobody_can_tell),      TEST(test_driver_exits),         TEST(test_children_are_not_kept),
        TEST(test_two_processes),        TEST(test_tried_apart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
