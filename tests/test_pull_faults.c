/* Fetching from a hub, or over a network, that fails, lies or attacks: an error that says what happened or a
 * right result, and nothing outside of the cache. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_pull.h"

#include "base/clock.h"
#include "loader/hub.h"

#define MODEL "hub/models--org--tiny/snapshots/" HUB_COMMIT "/model.safetensors"

enum { WEIGHTS = 300000 };

static pull_test *begin(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", WEIGHTS);
    return t;
}

static const hub_file *weights_of(const hub_server *server) {
    for (size_t i = 0; i < server->count; i++)
        if (!strcmp(server->files[i].path, "model.safetensors")) return &server->files[i];
    return NULL;
}

static const hub_file *weights(const pull_test *t) {
    return weights_of(&t->hub);
}

static void put_partial(const pull_test *t, const void *data, size_t size) {
    char command[2 * FIXTURE_PATH_SIZE], path[2 * FIXTURE_PATH_SIZE];
    snprintf(command, sizeof command, "mkdir -p %s/blobs", t->repo);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/blobs/%s.incomplete", t->repo, weights(t)->etag);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

/* Bytes of the weights that wait to be gone on from; -1: no such file. */
static long partial_size(const pull_test *t) {
    char path[2 * FIXTURE_PATH_SIZE];
    struct stat info;
    snprintf(path, sizeof path, "%s/blobs/%s.incomplete", t->repo, weights(t)->etag);
    return stat(path, &info) ? -1 : (long)info.st_size;
}

/* ---- going on ---- */

static void test_a_part_is_gone_on_from(void **state) {
    pull_test *t = begin(state);
    put_partial(t, weights(t)->data, 100000);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "storage:/model.safetensors token= from=100000"), 1);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
    assert_int_equal(partial_size(t), -1);
}

static void test_a_whole_part_is_checked_and_kept(void **state) {
    pull_test *t = begin(state);
    put_partial(t, weights(t)->data, WEIGHTS);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "storage:"), 0);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
}

static void test_a_part_of_something_else_is_fetched_again(void **state) {
    pull_test *t = begin(state);
    char *noise = calloc(1, 2 * WEIGHTS);
    static const size_t sizes[] = {1, 5000, WEIGHTS, WEIGHTS + 1, 2 * WEIGHTS};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        put_partial(t, noise, sizes[i]);
        assert_int_equal(pull(t, "org/tiny"), RP_OK);
        assert_true(pull_holds(t, MODEL, "model.safetensors"));
        char path[2 * FIXTURE_PATH_SIZE];
        snprintf(path, sizeof path, "%s/blobs/%s", t->repo, weights(t)->etag);
        assert_int_equal(unlink(path), 0);
    }
    free(noise);
}

static bool without_ranges(hub_request *r) {
    r->has_range = false;
    return false;
}

static void test_a_server_without_ranges_sends_all_again(void **state) {
    pull_test *t = begin(state);
    put_partial(t, weights(t)->data, 100000);
    t->hub.script = without_ranges;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
}

/* A range that was not asked for, in words that `text` gives. */
static bool other_range(hub_request *r) {
    if (!r->storage || !r->has_range) return false;
    hub_send(r, 206, r->server->text, weights_of(r->server)->data, 1000);
    return true;
}

static void test_a_range_that_was_not_asked_for(void **state) {
    pull_test *t = begin(state);
    static const struct {
        const char *header, *said;
    } rows[] = {
        {"Content-Range: bytes 0-999/300000\r\n", "another byte"},
        {"", "another byte"},
        {"Content-Range: bytes 100000-100999/300001\r\n", "another size"},
    };
    t->hub.script = other_range;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_partial(t, weights(t)->data, 100000);
        t->hub.text = rows[i].header;
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
        assert_non_null(strstr(t->err.message, rows[i].said));
        assert_int_equal(partial_size(t), 100000);
    }
}

/* The connection is cut, each time after some more bytes. */
static bool cut(hub_request *r) {
    if (!r->storage || r->server->step >= r->server->limit) return false;
    r->server->step++;
    hub_answer(r, 20000);
    return true;
}

static void test_a_connection_that_breaks_is_gone_on_from(void **state) {
    pull_test *t = begin(state);
    t->hub.script = cut;
    t->hub.limit = 4;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
    assert_int_equal(hub_count(&t->hub, "from=80000"), 2); /* of the hub, then of the storage */
}

static bool cut_at_once(hub_request *r) {
    if (!r->storage) return false;
    hub_answer(r, 0);
    return true;
}

static void test_a_connection_that_brings_nothing_is_given_up(void **state) {
    pull_test *t = begin(state);
    t->hub.script = cut_at_once;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_NETWORK);
    assert_non_null(strstr(t->err.message, "model.safetensors"));
    assert_int_equal(hub_count(&t->hub, "storage:"), 5);
    assert_null(pull_read(t, NULL, "hub/models--org--tiny/refs/main"));
}

/* ---- wrong content ---- */

static bool spoil(hub_request *r) {
    if (!r->storage || r->server->step) return false;
    char *bytes = calloc(1, WEIGHTS);
    hub_send(r, 200, NULL, bytes, WEIGHTS);
    free(bytes);
    return true;
}

static void test_wrong_bytes_are_deleted_and_said(void **state) {
    pull_test *t = begin(state);
    t->hub.script = spoil;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
    assert_non_null(strstr(t->err.message, "deleted"));
    assert_int_equal(partial_size(t), -1);
    assert_null(pull_read(t, NULL, MODEL));
    t->hub.step = 1;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
}

static bool spoil_small(hub_request *r) {
    if (strcmp(r->method, "GET") || !strstr(r->path, "config.json")) return false;
    hub_send(r, 200, NULL, "{\"model_type\": \"ALBERT\"}", 24);
    return true;
}

static void test_small_files_are_checked_by_what_git_calls_them(void **state) {
    pull_test *t = begin(state);
    t->hub.script = spoil_small;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
    assert_non_null(strstr(t->err.message, "config.json"));
}

/* Sizes that lie: announced is `limit`, `step` bytes come. */
static bool lie(hub_request *r) {
    char headers[1024];
    bool file = strstr(r->path, "config.json") != NULL;
    if (!file) return false;
    size_t announced = (size_t)r->server->limit, sent = (size_t)r->server->step;
    char *body = calloc(1, sent + 1);
    snprintf(headers, sizeof headers,
             "X-Repo-Commit: %s\r\nX-Linked-Etag: \"%.64s\"\r\nX-Linked-Size: %zu\r\n", HUB_COMMIT,
             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", announced);
    if (r->has_range && r->from >= sent)
        hub_send(r, 416, NULL, "", 0);
    else
        hub_send(r, 200, headers, body, sent);
    free(body);
    return true;
}

static void test_sizes_that_lie(void **state) {
    pull_test *t = begin(state);
    t->hub.script = lie;
    t->hub.limit = 100, t->hub.step = 200;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
    assert_non_null(strstr(t->err.message, "more bytes"));
    t->hub.limit = 200, t->hub.step = 100;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_NETWORK);
    assert_non_null(strstr(t->err.message, "200 were announced"));
}

static bool too_large(hub_request *r) {
    if (!strstr(r->path, "config.json")) return false;
    char headers[512];
    snprintf(headers, sizeof headers,
             "X-Repo-Commit: %s\r\nX-Linked-Etag: \"%.64s\"\r\nX-Linked-Size: %s\r\n", HUB_COMMIT,
             "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", r->server->text);
    hub_send(r, 200, headers, "", 0);
    return true;
}

static void test_more_than_the_disk_holds(void **state) {
    pull_test *t = begin(state);
    t->hub.script = too_large;
    t->hub.text = "4611686018427387904";
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FILE);
    assert_non_null(strstr(t->err.message, "room"));
    static const char *const bad[] = {"99999999999999999999999", "-1", "1e9", "", "12 34", "0x10"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t->hub.text = bad[i];
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
        assert_non_null(strstr(t->err.message, "X-Linked-Size"));
    }
}

/* ---- errors of the hub ---- */

typedef struct refusal {
    int status;
    const char *headers, *match;
    rp_status expected;
    const char *said;
} refusal;

static const refusal refusals[] = {
    {404, "X-Error-Code: RepoNotFound\r\n", "/api/", RP_ERROR_FILE, "no model of this name"},
    {401, "X-Error-Code: RepoNotFound\r\n", "/api/", RP_ERROR_FILE, "private"},
    {401, "", "/api/", RP_ERROR_FILE, "HF_TOKEN"},
    {404, "", "/api/", RP_ERROR_FILE, "no model of this name"},
    {404, "X-Error-Code: RevisionNotFound\r\n", "/api/", RP_ERROR_FILE, "no revision main"},
    {403, "X-Error-Code: GatedRepo\r\nX-Error-Message: Ask \x1b[31m first\r\n", "config.json",
     RP_ERROR_NETWORK, "gated: accept its terms"},
    {401, "X-Error-Code: GatedRepo\r\n", "config.json", RP_ERROR_NETWORK, "gated"},
    {401, "X-Error-Message: Invalid credentials in Authorization header\r\n", "/api/", RP_ERROR_NETWORK,
     "does not know the token"},
    {403, "X-Error-Message: no\r\n", "/api/", RP_ERROR_NETWORK, "refuses access"},
    {404, "X-Error-Code: EntryNotFound\r\n", "config.json", RP_ERROR_FILE, "config.json"},
    {418, "", "config.json", RP_ERROR_NETWORK, "418"},
    {204, "", "/api/", RP_ERROR_NETWORK, "204"},
    {429, "Retry-After: 3600\r\n", "/api/", RP_ERROR_NETWORK, "3600 s"},
    {429, "RateLimit: \"api\";r=0;t=3601\r\n", "/api/", RP_ERROR_NETWORK, "3601 s"},
    {302, "Location: file:///etc/passwd\r\n", "/api/", RP_ERROR_NETWORK, "file:///etc/passwd"},
    {302, "", "/api/", RP_ERROR_NETWORK, "302"},
    {302, "Location: https://user@127.0.0.1/\r\n", "/api/", RP_ERROR_NETWORK,
     "no address that may be followed"},
};
static const refusal *current;

static bool refuse(hub_request *r) {
    if (!strstr(r->path, current->match)) return false;
    hub_send(r, current->status, current->headers, "a page", 6);
    return true;
}

static void test_refusals_say_what_to_do(void **state) {
    pull_test *t = begin(state);
    t->hub.script = refuse;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        current = &refusals[i];
        rp_status status = pull(t, "org/tiny");
        if (status != current->expected || !strstr(t->err.message, current->said))
            print_error("%zu: %d %s\n", i, status, t->err.message);
        assert_int_equal(status, current->expected);
        assert_non_null(strstr(t->err.message, current->said));
        assert_non_null(strstr(t->err.message, "org/tiny"));
        assert_null(strchr(t->err.message, 0x1b));
        assert_null(pull_read(t, NULL, "hub/models--org--tiny/refs/main"));
    }
}

/* The first `limit` answers fail. */
static bool fail_first(hub_request *r) {
    static const int statuses[] = {429, 503, 500, 408, 502, 504};
    hub_server *server = r->server;
    if (server->step >= server->limit) return false;
    hub_send(r, statuses[server->step % 6], server->text, "", 0);
    server->step++;
    return true;
}

static void test_failures_that_pass_are_waited_for(void **state) {
    pull_test *t = begin(state);
    t->hub.script = fail_first;
    t->hub.limit = 4;
    t->hub.text = "Retry-After: 0\r\n";
    double before = rp_seconds();
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(rp_seconds() - before < 1.5);
    t->hub.step = 0, t->hub.limit = 2;
    t->hub.text = "Retry-After: 1\r\n";
    before = rp_seconds();
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(rp_seconds() - before >= 2);
    t->hub.step = 0, t->hub.limit = 3;
    t->hub.text = "";
    rp_hub_first_wait = 0.1;
    before = rp_seconds();
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_true(rp_seconds() - before >= 0.7); /* 0.1, 0.2 and 0.4 s */
    t->hub.step = 0, t->hub.limit = 1000;
    t->hub.text = "Retry-After: 0\r\n";
    hub_forget(&t->hub);
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_NETWORK);
    assert_int_equal(hub_count(&t->hub, ""), 5);
}

static bool redirect_for_ever(hub_request *r) {
    char headers[128];
    snprintf(headers, sizeof headers, "Location: %s/again/%d\r\n", r->server->endpoint, r->server->step++);
    hub_send(r, 307, headers, "", 0);
    return true;
}

static void test_redirects_without_end(void **state) {
    pull_test *t = begin(state);
    t->hub.script = redirect_for_ever;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_NETWORK);
    assert_non_null(strstr(t->err.message, "redirects"));
    assert_true(hub_count(&t->hub, "") <= 11);
}

/* ---- stopping, slowness, several at once ---- */

typedef struct stopper {
    uint64_t at;
    int calls;
    rp_pull_progress last;
} stopper;

static bool stop_at(void *user, const rp_pull_progress *progress) {
    stopper *s = user;
    s->calls++;
    s->last = *progress;
    assert_true(progress->done <= progress->size && progress->all_done <= progress->all);
    assert_true(progress->index <= progress->count);
    return progress->all_done < s->at;
}

static bool stop_after(void *user, const rp_pull_progress *progress) {
    (void)progress;
    return ++((stopper *)user)->calls < 10;
}

static bool slowly(hub_request *r) {
    if (!r->storage) return false;
    hub_answer(r, 100000);
    usleep(1500000);
    return true;
}

static void test_stopping_keeps_what_came(void **state) {
    pull_test *t = begin(state);
    stopper s = {.at = 90000};
    const rp_pull_handler handler = {stop_at, &s};
    t->params.on_progress = &handler;
    t->hub.script = slowly;
    double before = rp_seconds();
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_STOPPED);
    assert_true(rp_seconds() - before < 1.4);
    assert_true(s.calls > 0 && s.last.all >= WEIGHTS);
    assert_int_equal(partial_size(t), 100000);
    s.at = UINT64_MAX;
    t->hub.script = NULL;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "storage:/model.safetensors token= from=100000"), 1);
    assert_int_equal(s.last.index, s.last.count);
    assert_int_equal(s.last.all_done, s.last.all);
    t->params.on_progress = NULL;
}

static bool stall(hub_request *r) {
    if (!r->storage || r->server->step) return false;
    r->server->step = 1;
    hub_answer(r, 1000);
    usleep(2500000);
    return true;
}

static void test_a_server_that_stalls_is_asked_again(void **state) {
    pull_test *t = begin(state);
    setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1", 1);
    t->hub.script = stall;
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
    assert_int_equal(hub_count(&t->hub, "storage:/model.safetensors token= from=1000"), 1);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
}

/* A header now and then, without end. */
static bool drip(hub_request *r) {
    hub_send_raw(r, "HTTP/1.1 200 OK\r\n", 17);
    for (int i = 0; i < 1000 && !r->close; i++) {
        hub_send_raw(r, "X-More: and more\r\n", 18);
        usleep(100000);
    }
    return true;
}

static void test_an_answer_without_end(void **state) {
    pull_test *t = begin(state);
    stopper s = {.at = UINT64_MAX};
    const rp_pull_handler handler = {stop_after, &s};
    t->params.on_progress = &handler;
    t->hub.script = drip;
    double before = rp_seconds();
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_STOPPED); /* it can be stopped all the time */
    assert_true(rp_seconds() - before < 5);
    t->params.on_progress = NULL;
}

static bool delay(hub_request *r) {
    if (r->storage) usleep(200000);
    return false;
}

static void *pull_beside(void *pointer) {
    pull_test *t = pointer;
    char *out = NULL;
    rp_error err;
    rp_status status = rp_pull("org/tiny", &t->params, &out, &err);
    free(out);
    return status ? strdup(err.message) : NULL;
}

static void test_several_at_once_fetch_each_file_once(void **state) {
    pull_test *t = begin(state);
    pthread_t threads[4];
    pid_t children[2];
    t->hub.script = delay;
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (!children[i]) _exit(pull_beside(t) != NULL);
    }
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, pull_beside, t), 0);
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        if (failed) print_error("%s\n", (char *)failed);
        assert_null(failed);
    }
    for (int i = 0; i < 2; i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(hub_count(&t->hub, "storage:"), 1);
    assert_true(pull_holds(t, MODEL, "model.safetensors"));
}

/* ---- the disk ---- */

static void test_a_full_disk(void **state) {
    pull_test *t = begin(state);
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) { /* a write beyond the limit would end it with SIGXFSZ */
        const struct rlimit limit = {WEIGHTS / 2, WEIGHTS / 2};
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(3);
        _exit(pull(t, "org/tiny") == RP_ERROR_FILE && strstr(t->err.message, "room") ? 0 : 1);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
}

static void test_folders_that_cannot_be_made(void **state) {
    pull_test *t = begin(state);
    assert_true(fixture_write_text(t->dir, "hub", "a file"));
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FILE);
    assert_non_null(strstr(t->err.message, "hub"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pull_setup, pull_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_part_is_gone_on_from),
        TEST(test_a_whole_part_is_checked_and_kept),
        TEST(test_a_part_of_something_else_is_fetched_again),
        TEST(test_a_server_without_ranges_sends_all_again),
        TEST(test_a_range_that_was_not_asked_for),
        TEST(test_a_connection_that_breaks_is_gone_on_from),
        TEST(test_a_connection_that_brings_nothing_is_given_up),
        TEST(test_wrong_bytes_are_deleted_and_said),
        TEST(test_small_files_are_checked_by_what_git_calls_them),
        TEST(test_sizes_that_lie),
        TEST(test_more_than_the_disk_holds),
        TEST(test_refusals_say_what_to_do),
        TEST(test_failures_that_pass_are_waited_for),
        TEST(test_redirects_without_end),
        TEST(test_stopping_keeps_what_came),
        TEST(test_a_server_that_stalls_is_asked_again),
        TEST(test_an_answer_without_end),
        TEST(test_several_at_once_fetch_each_file_once),
        TEST(test_a_full_disk),
        TEST(test_folders_that_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
