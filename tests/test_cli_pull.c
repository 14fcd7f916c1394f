/* The command: pull, models by name, a system without libcurl, and "-" for standard input. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_cli.h"
#include "support_pull.h"

#define SENTIMENT SOURCE_DIR "/tools/models/sentiment/"

static void add_file(pull_test *t, const char *name) {
    enum { MOST = 8 << 20 };
    char path[512], *data = malloc(MOST);
    assert_non_null(data);
    snprintf(path, sizeof path, SENTIMENT "%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(data, 1, MOST, file);
    fclose(file);
    hub_add(&t->hub, name, data, size, size > 100000);
    free(data);
}

/* A server with the bundled model, and an environment that leads to it alone. */
static int setup(void **state) {
    if (pull_setup(state)) return -1;
    pull_test *t = *state;
    static const char *const names[] = {"config.json", "model.safetensors", "spiece.model", "tokenizer.json",
                                        "tokenizer_config.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) add_file(t, names[i]);
    setenv("HF_ENDPOINT", t->hub.endpoint, 1);
    setenv("HF_HUB_CACHE", t->cache, 1);
    setenv("HF_TOKEN", "hf_secret", 1);
    return 0;
}

static void test_a_model_is_pulled_and_used_by_its_name(void **state) {
    pull_test *t = *state;
    char expected[2 * FIXTURE_PATH_SIZE], output[2 * FIXTURE_PATH_SIZE];
    cli_run run = cli_text(CLI_ARGS("tokenize", "-m", "org/tiny", "a film"), NULL);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "`reprise pull org/tiny`"));
    cli_free(&run);
    run = cli_text(CLI_ARGS("pull", "org/tiny"), NULL);
    assert_int_equal(run.status, 0);
    snprintf(expected, sizeof expected, "%s/snapshots/" HUB_COMMIT "\n", t->repo);
    assert_string_equal(run.out, expected);
    assert_string_equal(run.err, ""); /* no bar where nobody looks */
    cli_free(&run);
    assert_true(hub_count(&t->hub, "token=hf_secret") > 0);
    cli_run named = cli_text(CLI_ARGS("tokenize", "--json", "-m", "org/tiny", "a warm film"), NULL);
    cli_run bundled = cli_text(CLI_ARGS("tokenize", "--json", "a warm film"), NULL);
    assert_int_equal(named.status, 0);
    assert_string_equal(named.out, bundled.out);
    cli_free(&named);
    cli_free(&bundled);
    snprintf(output, sizeof output, "%.400s/copy", t->dir);
    hub_forget(&t->hub);
    run = cli_text(CLI_ARGS("pull", "--offline", "--revision", "main", "-o", output, "org/tiny"), NULL);
    assert_int_equal(run.status, 0);
    assert_true(pull_holds(t, "copy/model.safetensors", "model.safetensors"));
    assert_int_equal(hub_count(&t->hub, ""), 0);
    cli_free(&run);
}

static void test_wrong_usage(void **state) {
    (void)state;
    static const char *const lines[][5] = {{"pull"},
                                           {"pull", "a", "b"},
                                           {"pull", "../a"},
                                           {"pull", "a", "-m", "x"},
                                           {"pull", "a", "--revision", "../x"},
                                           {"classify", "-o", "x", "y"}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const char *args[6] = {lines[i][0], lines[i][1], lines[i][2], lines[i][3], lines[i][4], NULL};
        cli_run run = cli_text(args, NULL);
        assert_int_equal(run.status, 2);
        cli_free(&run);
    }
    cli_run run = cli_text(CLI_ARGS("pull", "org/none"), NULL);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "org/none"));
    cli_free(&run);
}

/* Libraries of all of libcurl's names, none of which is it. */
static void test_a_system_without_libcurl(void **state) {
    pull_test *t = *state;
    static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4",
                                        "libcurl.so"};
    char path[2 * FIXTURE_PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", t->dir, names[i]);
        assert_int_equal(symlink(NO_CURL, path), 0);
    }
    const char *before = getenv("LD_LIBRARY_PATH");
    char *kept = before ? strdup(before) : NULL;
    setenv("LD_LIBRARY_PATH", t->dir, 1);
    cli_run run = cli_text(CLI_ARGS("pull", "org/tiny"), NULL);
    cli_run other = cli_text(CLI_ARGS("tokenize", "a film"), NULL);
    if (kept)
        setenv("LD_LIBRARY_PATH", kept, 1);
    else
        unsetenv("LD_LIBRARY_PATH");
    free(kept);
    assert_int_equal(run.status, 1);
    assert_non_null(strstr(run.err, "apt install libcurl4"));
    assert_int_equal(other.status, 0); /* nothing else needs it */
    cli_free(&run);
    cli_free(&other);
}

static bool slowly(hub_request *r) {
    if (!r->storage) return false;
    r->server->step = 1;
    hub_answer(r, 50000);
    sleep(3);
    return true;
}

static void test_a_signal_keeps_what_came(void **state) {
    pull_test *t = *state;
    char path[2 * FIXTURE_PATH_SIZE];
    struct stat info;
    t->hub.script = slowly;
    cli_pipe pipe = cli_start(CLI_ARGS("pull", "org/tiny"));
    for (int i = 0; i < 500 && !t->hub.step; i++) usleep(10000);
    usleep(300000);
    kill(pipe.pid, SIGINT);
    assert_int_equal(cli_finish(&pipe), 130);
    snprintf(path, sizeof path, "%s/blobs/%s.incomplete", t->repo, t->hub.files[1].etag);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 50000);
    t->hub.script = NULL;
    cli_run run = cli_text(CLI_ARGS("pull", "org/tiny"), NULL);
    assert_int_equal(run.status, 0);
    assert_int_equal(hub_count(&t->hub, "storage:/model.safetensors token= from=50000"), 1);
    cli_free(&run);
}

static void test_a_dash_is_standard_input(void **state) {
    (void)state;
    cli_run dash = cli_text(CLI_ARGS("tokenize", "--json", "-"), "a film\nanother\n");
    cli_run none = cli_text(CLI_ARGS("tokenize", "--json"), "a film\nanother\n");
    assert_int_equal(dash.status, 0);
    assert_int_equal(cli_line_count(&dash), 2);
    assert_string_equal(dash.out, none.out);
    cli_free(&dash);
    cli_free(&none);
    dash = cli_text(CLI_ARGS("tokenize", "--jsonl", "-"), "{\"text\": \"a film\"}\n");
    assert_int_equal(dash.status, 0);
    assert_int_equal(cli_line_count(&dash), 1);
    cli_free(&dash);
    dash = cli_text(CLI_ARGS("tokenize", "--json", "-", "a film"), "not read\n"); /* a text among others */
    assert_int_equal(cli_line_count(&dash), 2);
    cli_free(&dash);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, pull_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_model_is_pulled_and_used_by_its_name),
        TEST(test_wrong_usage),
        TEST(test_a_system_without_libcurl),
        TEST(test_a_signal_keeps_what_came),
        TEST(test_a_dash_is_standard_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
