/* reprise serve and HTTP: what clients send that is slow, too much, wrong or cut off, and how the server
 * ends. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_serve.h"
#include "support_tasks.h"

static task_case labels;
static char named[FIXTURE_PATH_SIZE + 16];
static served shared;

static const char TEXT[] = "{\"inputs\": \"it was late\"}";

static int open_model(void **state) {
    (void)state;
    if (!task_case_open("classify", &labels)) return -1;
    snprintf(named, sizeof named, "labels=%s", labels.dir);
    shared = serve_start(CLI_ARGS("-m", named, "--payload-limit", "100000"));
    return 0;
}

static int close_model(void **state) {
    (void)state;
    int status = serve_stop(&shared);
    task_case_close(&labels);
    return status;
}

static void pause_for(double seconds) {
    struct timespec at = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&at, NULL);
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void check(const char *what, const char *bytes, size_t size, int status) {
    int fd = serve_connect(&shared);
    serve_send(fd, bytes, size);
    shutdown(fd, SHUT_WR);
    reply r = serve_read(fd);
    if (r.status != status) fail_msg("%s: %d, not %d: %.200s", what, r.status, status, r.all);
    reply_free(&r);
}

/* The others are served all the same. */
static void check_alive(void) {
    json_decref(serve_json(&shared, "/predict", TEXT, 200));
}

static void test_wrong_requests_get_their_status(void **state) {
    (void)state;
    static const struct {
        const char *path, *body;
        int status;
    } cases[] = {
        {"/predict", "", 400},
        {"/predict", "{\"inputs\": ", 400},
        {"/predict", "{\"inputs\": \"\xff\"}", 400},
        {"/predict", "{\"inputs\": \"a\", \"inputs\": \"b\"}", 400},
        {"/predict", "[]", 422},
        {"/predict", "{}", 422},
        {"/predict", "{\"inputs\": 7}", 422},
        {"/predict", "{\"inputs\": [[\"a\", \"b\", \"c\"]]}", 422},
        {"/predict", "{\"inputs\": []}", 400},
        {"/predict", "{\"inputs\": \"a\", \"truncate\": 1}", 422},
        {"/embed", "{\"inputs\": [\"a\", {}]}", 422},
        {"/embed", "{\"inputs\": \"a\", \"dimensions\": 0}", 422},
        {"/embed", "{\"inputs\": \"a\", \"dimensions\": 99999}", 422},
        {"/v1/embeddings", "{\"input\": \"a\", \"encoding_format\": \"hex\"}", 422},
        {"/v1/embeddings", "{\"input\": \"a\", \"model\": \"other\"}", 404},
        {"/decode", "{\"ids\": [-1]}", 422},
        {"/choose", "{\"text\": \"a\", \"choices\": [\"b\"]}", 424},
        {"/search", "{\"inputs\": \"a\"}", 424},
        {"/summarize", "{\"inputs\": \"a\", \"sentence\": 1}", 422},
        {"/coherence", "{\"text\": \"a\", \"text_pair\": \"b\", \"text_pai\": \"b\"}", 422},
        {"/choose", "{\"text\": \"a\", \"choices\": [\"b\"], \"\": 1}", 422},
        {"/predict", "{\"inputs\": 7, \"another\": 1}", 422},
        {"/nothing", "{}", 404},
        {"/health", "{}", 405},
        {"/embed", NULL, 405},
        {"/labels/embed", NULL, 405},
        {"/other/embed", "{}", 404},
        {"/models/other", "{}", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = serve_json(&shared, cases[i].path, cases[i].body, cases[i].status);
        bool openai = !strncmp(cases[i].path, "/v1", 3);
        if (!json_is_string(json_object_get(json, openai ? "message" : "error"))) fail_msg("case %zu", i);
        json_decref(json);
    }
    reply r = serve_ask(&shared, "/embed", NULL, "");
    assert_string_equal(reply_header(&r, "Allow"), "POST");
    reply_free(&r);
    static const char plain[] =
        "POST /embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
    check("no content type", plain, sizeof plain - 1, 415);
}

static void test_too_much_is_refused(void **state) {
    (void)state;
    size_t size = 1 << 20;
    char *bytes = malloc(size + 200);
    memset(bytes, 'a', size);
    int head =
        snprintf(bytes, 200,
                 "POST /embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 size - 200);
    bytes[head] = '{';
    check("a long body", bytes, (size_t)head + size - 200, 413);
    size_t at = (size_t)snprintf(bytes, 100, "GET /health HTTP/1.1\r\nHost: a\r\n");
    while (at < size - 20) at += (size_t)sprintf(bytes + at, "X-%zu: y\r\n", at);
    check("many headers", bytes, at + (size_t)sprintf(bytes + at, "\r\n"), 431);
    memset(bytes, '[', 60000);
    memcpy(bytes, "{\"inputs\": ", 11);
    bytes[60000] = '\0';
    json_decref(serve_json(&shared, "/embed", bytes, 400));
    strcpy(bytes, "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
                  "99999999999\r\n\r\n{");
    check("a body that never comes", bytes, strlen(bytes), 413);
    strcpy(bytes, "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
                  "chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    int fd = serve_connect(&shared);
    serve_send(fd, bytes, strlen(bytes));
    reply r = serve_read(fd); /* where the next request begins is not known: there is none */
    assert_int_equal(r.status, 400);
    assert_null(strstr(r.all, "200 OK"));
    reply_free(&r);
    free(bytes);
    check_alive();
}

/* Bodies that come together are bounded, too: who sends more hears so, and is taken when the others have
 * gone. */
static void test_bodies_together_are_bounded(void **state) {
    enum { LIMIT = 100000, FULL = 128 };
    static const char head[] = "POST /embed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nContent-Length: 99999\r\n\r\n";
    char *part = malloc(LIMIT);
    int fds[FULL];
    (void)state;
    assert_non_null(part);
    memset(part, ' ', LIMIT);
    for (int i = 0; i < FULL; i++) {
        fds[i] = serve_connect(&shared);
        serve_send(fds[i], head, sizeof head - 1);
        serve_send(fds[i], part, 99998);
    }
    check_alive(); /* small bodies are taken */
    double begun = now();
    int status = 0;
    while (status != 429 && now() - begun < 20) { /* until the last bytes of the others have been read */
        int fd = serve_connect(&shared);
        serve_send(fd, head, sizeof head - 1);
        serve_send(fd, part, 99999);
        reply r = serve_read(fd);
        status = r.status;
        if (status == 429) assert_non_null(reply_header(&r, "Retry-After"));
        reply_free(&r);
    }
    assert_int_equal(status, 429);
    for (int i = 0; i < FULL; i++) close(fds[i]);
    free(part);
    for (begun = now(); status == 429 && now() - begun < 20; pause_for(0.02)) {
        reply r = serve_ask(&shared, "/predict", TEXT, "");
        status = r.status;
        reply_free(&r);
    }
    assert_int_equal(status, 200);
    served s = serve_start(CLI_ARGS("-m", named, "--payload-limit", "33554432")); /* 128 of it are 4 GiB */
    json_decref(serve_json(&s, "/predict", TEXT, 200));
    assert_int_equal(serve_stop(&s), 0);
}

/* A body that ends before it is whole: the connection does not stay, answered or not. */
static void test_half_a_body_is_given_up(void **state) {
    (void)state;
    static const char half[] =
        "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    served s = serve_start(CLI_ARGS("-m", named)); /* a minute for the body */
    double begun = now();
    int fd = serve_connect(&s);
    serve_send(fd, half, sizeof half - 1);
    shutdown(fd, SHUT_WR);
    reply r = serve_read(fd);
    assert_true(r.status == 0 || r.status == 400);
    assert_true(now() - begun < 15);
    reply_free(&r);
    assert_int_equal(serve_stop(&s), 0);
}

/* A byte now and then, before the headers end or the body, also on a connection that was used before. */
static void test_slow_clients_are_cut_off(void **state) {
    (void)state;
    static const char *const heads[] = {
        "POST /embed HTTP/1.1\r\nHost: a\r\nX-A: ",
        "POST /embed HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
        "GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    int fds[3];
    served s = serve_start(CLI_ARGS("-m", named, "--request-timeout", "1"));
    double begun = now();
    for (size_t i = 0; i < 3; i++) {
        fds[i] = serve_connect(&s);
        serve_send(fds[i], heads[i], strlen(heads[i]));
    }
    pause_for(1.2); /* the server looks at idle connections once a second */
    for (int k = 0; k < 35; k++) {
        for (size_t i = 0; i < 3; i++) serve_send(fds[i], "a", 1);
        pause_for(0.1);
    }
    for (size_t i = 0; i < 3; i++) {
        reply r = serve_read(fds[i]);
        if (!strstr(r.all, "HTTP/1.1 408 ")) fail_msg("%zu: %.200s", i, r.all);
        reply_free(&r);
    }
    assert_true(now() - begun < 20);
    assert_int_equal(serve_stop(&s), 0);
}

static void test_halves_and_pipelines_are_answered(void **state) {
    (void)state;
    char bytes[2048];
    size_t size = 0;
    for (int i = 0; i < 3; i++)
        size += (size_t)sprintf(
            bytes + size,
            "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: "
            "%zu\r\n%s\r\n%s",
            i == 1 ? "/predict" : "/tokenize", sizeof TEXT - 1, i == 2 ? "Connection: close\r\n" : "", TEXT);
    int fd = serve_connect(&shared);
    serve_send(fd, bytes, size);
    shutdown(fd, SHUT_WR);
    reply r = serve_read(fd);
    int answers = 0;
    for (const char *at = r.all; (at = strstr(at, "HTTP/1.1 200 OK")); at++) answers++;
    assert_int_equal(answers, 3);
    reply_free(&r);
}

static void test_one_input_too_many_is_refused_at_once(void **state) {
    (void)state;
    served s = serve_start(CLI_ARGS("-m", named, "--max-concurrent-requests", "2"));
    reply r = serve_ask(&s, "/predict", "{\"inputs\": [[\"a\"], [\"b\"], [\"c\"]]}", "");
    assert_int_equal(r.status, 429);
    assert_non_null(reply_header(&r, "Retry-After"));
    assert_string_equal(json_string_value(json_object_get(r.json, "error_type")), "Overloaded");
    reply_free(&r);
    json_decref(serve_json(&s, "/predict", "{\"inputs\": [[\"a\"], [\"b\"]]}", 200));
    assert_int_equal(serve_stop(&s), 0);
}

static void test_key_is_asked_for(void **state) {
    (void)state;
    served s = serve_start(CLI_ARGS("-m", named, "--api-key", "open sesame", "--cors-allow-origin", "*"));
    static const char *const wrong[] = {
        "", "Authorization: Bearer open sesam\r\n", "Authorization: Bearer \r\n",
        "Authorization: Bearer open sesame2\r\n", "Authorization: open sesame\r\n"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        reply r = serve_ask(&s, "/predict", TEXT, wrong[i]);
        assert_int_equal(r.status, 401);
        assert_string_equal(r.body, "");
        reply_free(&r);
    }
    reply r = serve_ask(&s, "/predict", TEXT, "Authorization: Bearer open sesame\r\nOrigin: http://a\r\n");
    assert_int_equal(r.status, 200);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Origin"), "*");
    reply_free(&r);
    r = serve_ask(&s, "/health", NULL, "");
    assert_int_equal(r.status, 200);
    assert_null(reply_header(&r, "Access-Control-Allow-Origin"));
    reply_free(&r);
    r = serve_ask(&s, "/", NULL, ""); /* the page: it asks for the key itself */
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "<!doctype html>"));
    assert_non_null(reply_header(&r, "Content-Security-Policy"));
    reply_free(&r);
    r = serve_ask(&s, "/info", NULL, "");
    assert_int_equal(r.status, 401);
    reply_free(&r);
    assert_int_equal(serve_stop(&s), 0);
}

/* Whatever a client calls its method, a line of the log stays one JSON object of its own. The key of a file
 * is its first line, blanks within included. */
static void test_log_and_key_are_whole(void **state) {
    (void)state;
    static const char odd[] = "A\",\"b\" /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                              "Authorization: Bearer open sesame\r\n\r\n";
    char line[2000], file[FIXTURE_PATH_SIZE + 16];
    snprintf(file, sizeof file, "%s/key", labels.dir);
    assert_true(fixture_write_text(labels.dir, "key", "open sesame \nmore\n"));
    served s = serve_start(CLI_ARGS("-m", named, "--json-output", "--api-key-file", file));
    int fd = serve_connect(&s);
    serve_send(fd, odd, sizeof odd - 1);
    reply r = serve_read(fd);
    assert_int_equal(r.status, 405);
    reply_free(&r);
    assert_true(cli_read_line(&s.pipe, line, sizeof line, 10));
    json_t *log = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    assert_string_equal(json_string_value(json_object_get(log, "method")), "-");
    json_decref(log);
    r = serve_ask(&s, "/info", NULL, "Authorization: Bearer open\r\n");
    assert_int_equal(r.status, 401);
    reply_free(&r);
    assert_int_equal(serve_stop(&s), 0);
}

/* The number behind the name of a metric. */
static double metric(const served *s, const char *name) {
    reply r = serve_ask(s, "/metrics", NULL, "");
    char line[100];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(r.all, line);
    assert_non_null(at);
    double value = atof(at + strlen(line));
    reply_free(&r);
    return value;
}

/* A request that takes a while, without the last `held` bytes of its body. */
static int ask_slowly(const served *s, size_t held) {
    char *body = calloc(1, 80000), head[300];
    strcpy(body, "{\"inputs\": [");
    for (int i = 0; i < 32; i++) {
        strcat(body, i ? ", \"" : "\"");
        for (int k = 0; k < 200; k++) strcat(body, "it was late ");
        strcat(body, "\"");
    }
    strcat(body, "]}");
    int fd = serve_connect(s);
    serve_send(fd, head,
               (size_t)sprintf(head,
                               "POST /moderate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                               strlen(body)));
    serve_send(fd, body, strlen(body) - held);
    free(body);
    return fd;
}

/* What is in flight is answered, new work is not taken, and then the server ends with 0. */
static void test_end_waits_for_answers(void **state) {
    (void)state;
    served s = serve_start(CLI_ARGS("-m", named));
    int slow = ask_slowly(&s, 0);
    while (metric(&s, "te_queue_size") < 1) pause_for(0.01);
    assert_int_equal(kill(s.pipe.pid, SIGTERM), 0);
    reply r = serve_read(slow);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    assert_int_equal(cli_finish(&s.pipe), 0);
}

/* A body that becomes whole when the time for what is in flight is over starts no work that the end would
 * have to wait for. */
static void test_end_takes_no_late_body(void **state) {
    (void)state;
    served s = serve_start(CLI_ARGS("-m", named, "--drain", "1"));
    int slow = ask_slowly(&s, 1);
    while (metric(&s, "reprise_requests_inside") < 2) pause_for(0.01); /* this one, and the slow one */
    assert_int_equal(kill(s.pipe.pid, SIGTERM), 0);
    pause_for(1.3);
    serve_send(slow, "}", 1);
    reply r = serve_read(slow);
    assert_int_equal(r.status, 503);
    reply_free(&r);
    assert_int_equal(cli_finish(&s.pipe), 0);
}

/* The work of a client that has gone ends long before it would be done. */
static void test_work_of_who_went_away_ends(void **state) {
    (void)state;
    served s = serve_start(CLI_ARGS("-m", named));
    close(ask_slowly(&s, 0));
    double begun = now();
    while (metric(&s, "te_queue_size") > 0 && now() - begun < 20) pause_for(0.02);
    assert_true(now() - begun < 10);
    assert_int_equal(serve_stop(&s), 0);
}

#ifdef __linux__
static int threads_of(int pid) {
    char path[40];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks));) count += task->d_name[0] != '.';
    if (tasks) closedir(tasks);
    return count;
}

/* Connections on which nothing is asked have no thread, and an idle server has one for all of them and one
 * that looks after them; llvmpipe has 6 of its own on 2 processors. Nor does any wait for the log, of which
 * this test reads one line: a pipe holds a few hundred. */
static void test_idle_connections_take_no_threads(void **state) {
    enum { CONNECTIONS = 1000 };
    static int fds[CONNECTIONS];
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    struct rlimit files;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    char bytes[512];
    (void)state;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    served s = serve_start(CLI_ARGS("-m", named));
    json_decref(serve_json(&s, "/predict", TEXT, 200));
    for (int i = 0; i < CONNECTIONS; i++) {
        fds[i] = serve_connect(&s);
        serve_send(fds[i], ask, sizeof ask - 1);
        assert_true(recv(fds[i], bytes, sizeof bytes, 0) > 0);
    }
    int most = cores <= 2 ? 8 : 3 * (int)cores + 6, threads = 1000;
    if (getenv("VK_INSTANCE_LAYERS")) most += 2; /* the validation layer's own */
    for (double begun = now(); threads > most && now() - begun < 20; pause_for(0.1))
        threads = threads_of(s.pipe.pid);
    if (threads > most) fail_msg("%d threads, at most %d", threads, most);
    json_decref(serve_json(&s, "/predict", TEXT, 200));
    for (int i = 0; i < CONNECTIONS; i++) {
        serve_send(fds[i], ask, sizeof ask - 1);
        assert_true(recv(fds[i], bytes, sizeof bytes, 0) > 0);
        close(fds[i]);
    }
    assert_int_equal(serve_stop(&s), 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_requests_get_their_status),
        cmocka_unit_test(test_too_much_is_refused),
        cmocka_unit_test(test_half_a_body_is_given_up),
        cmocka_unit_test(test_bodies_together_are_bounded),
        cmocka_unit_test(test_slow_clients_are_cut_off),
        cmocka_unit_test(test_halves_and_pipelines_are_answered),
        cmocka_unit_test(test_one_input_too_many_is_refused_at_once),
        cmocka_unit_test(test_key_is_asked_for),
        cmocka_unit_test(test_log_and_key_are_whole),
        cmocka_unit_test(test_end_waits_for_answers),
        cmocka_unit_test(test_end_takes_no_late_body),
        cmocka_unit_test(test_work_of_who_went_away_ends),
#ifdef __linux__
        cmocka_unit_test(test_idle_connections_take_no_threads),
#endif
    };
    return cmocka_run_group_tests(tests, open_model, close_model);
}
