/* The loop of the command around a command that fails on purpose: no line is lost, whatever fails; batches
 * overlap; signals let the work in flight end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tasks/task.h"
#include "tools/cli/session.h"
#include "tools/cli/stop.h"

enum { LINES = 300 };

/* ---- the command: it answers a text with itself ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t calls, texts, most; /* runs, the inputs of all of them, and of the largest */
    /* Does run number `call` fail? */
    rp_status (*fault)(size_t call, const rp_cli_item *const *items, size_t count);
} script = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static rp_status run(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err) {
    (void)session;
    pthread_mutex_lock(&script.lock);
    size_t call = script.calls++;
    script.texts += count;
    if (script.most < count) script.most = count;
    pthread_cond_broadcast(&script.changed);
    pthread_mutex_unlock(&script.lock);
    rp_status status = script.fault ? script.fault(call, items, count) : RP_OK;
    if (status) {
        err->status = status;
        snprintf(err->message, sizeof err->message, "run %zu was made to fail", call);
        return status;
    }
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    (*out)->count = count;
    (*out)->head = RP_HEAD_SPANS;
    (*out)->entries = calloc(count, sizeof *(*out)->entries);
    assert_non_null((*out)->entries);
    for (size_t i = 0; i < count; i++) {
        rp_text text = items[i]->text;
        rp_answer answer = {.span = {0, (uint32_t)text.size}};
        answer.text = rp_result_text(*out, text.data, text.size, NULL);
        rp_entry *entry = &(*out)->entries[i];
        *entry = (rp_entry){.message = "", .count = 1};
        entry->answers = rp_result_array(*out, &answer, 1, sizeof answer, NULL);
        assert_non_null(entry->answers);
        assert_int_equal(rp_result_place(*out, i, text, NULL), RP_OK);
    }
    return RP_OK;
}

static const rp_cli_command command = {.name = "echo", .run = run};

/* The answer to input `line` of many_lines(); its size. */
static int answer_line(char want[100], size_t line) {
    int size = snprintf(want, 100, "line %zu", line);
    return snprintf(want, 100, "{\"score\": 0.0, \"start\": 0, \"end\": %d, \"answer\": \"line %zu\"}\n",
                    size, line);
}

/* ---- running it ---- */

typedef struct outcome {
    int status;
    char *text; /* what it wrote */
} outcome;

static int scratch(const char *text) {
    FILE *file = tmpfile();
    assert_non_null(file);
    int fd = dup(fileno(file));
    fclose(file);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static outcome go(const char *text, const rp_cli_options *options, const rp_model_info *info, int wake) {
    outcome o = {0};
    rp_cli_session session = {.options = options, .info = info};
    rp_cli_input input;
    rp_cli_output out = {.fd = scratch("")};
    rp_error none = {0};
    script.calls = script.texts = script.most = 0;
    assert_int_equal(rp_cli_input_open(&input, "echo", RP_CLI_SHAPE_TEXT, options), RP_OK);
    input.fd = scratch(text);
    input.wake = wake;
    o.status = rp_cli_finish(&out, rp_cli_answer_session(&command, &session, &none, &input, &out));
    rp_cli_input_close(&input);
    off_t size = lseek(out.fd, 0, SEEK_END);
    o.text = calloc(1, (size_t)size + 1);
    assert_non_null(o.text);
    assert_int_equal(pread(out.fd, o.text, (size_t)size, 0), size);
    close(out.fd);
    return o;
}

/* LINES lines, "line 0" and so on. */
static const char *many_lines(void) {
    static char text[LINES * 16];
    size_t size = 0;
    for (int i = 0; i < LINES; i++) size += (size_t)sprintf(text + size, "line %d\n", i);
    return text;
}

static const rp_cli_options by_32 = {.json = true, .batch_size = 32}, unsized = {.json = true};

/* Every line is there, in order, and is an error where `failed` says so. Returns the number of errors. */
static size_t check_lines(const char *text, bool (*failed)(int line)) {
    size_t errors = 0;
    for (int i = 0; i < LINES; i++) {
        const char *end = strchr(text, '\n');
        assert_non_null(end);
        char want[100];
        int size = answer_line(want, (size_t)i);
        bool error = !strncmp(text, "{\"error\": \"run ", 14);
        if (failed) assert_int_equal(error, failed(i));
        if (!error) assert_int_equal(strncmp(text, want, (size_t)size), 0);
        errors += error;
        text = end + 1;
    }
    assert_int_equal(*text, 0);
    return errors;
}

static bool none_failed(int line) {
    (void)line;
    return false;
}

/* ---- failing runs ---- */

static size_t first_bad, bad_count;
static rp_status bad_status;

static rp_status fail_a_while(size_t call, const rp_cli_item *const *items, size_t count) {
    (void)items, (void)count;
    return call >= first_bad && call < first_bad + bad_count ? bad_status : RP_OK;
}

static void test_a_fault_that_passes_loses_nothing(void **state) {
    (void)state;
    const rp_status statuses[] = {RP_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_MEMORY, RP_ERROR_HOST_MEMORY};
    script.fault = fail_a_while;
    for (size_t s = 0; s < sizeof statuses / sizeof *statuses; s++)
        for (first_bad = 0; first_bad < 12; first_bad++)
            for (bad_count = 1; bad_count <= 2; bad_count++) {
                bad_status = statuses[s];
                outcome o = go(many_lines(), &by_32, NULL, -1);
                /* the first batch is one text: when both of its runs fail, so does that */
                size_t errors = check_lines(o.text, NULL);
                assert_true(errors <= (first_bad + bad_count > 1 && first_bad < 2 ? 1 : 0));
                assert_int_equal(o.status, errors ? 1 : 0);
                free(o.text);
            }
    for (bad_count = 3; bad_count < 6; bad_count++) { /* a large batch, twice, and the first of its parts */
        first_bad = 6;
        outcome o = go(many_lines(), &by_32, NULL, -1);
        assert_int_equal(check_lines(o.text, none_failed), 0);
        assert_int_equal(o.status, 0);
        free(o.text);
    }
}

static bool is_poison(int line) {
    return line == 0 || line == 77 || line == 78 || line == 299;
}

static rp_status fail_poison(size_t call, const rp_cli_item *const *items, size_t count) {
    (void)call;
    for (size_t i = 0; i < count; i++)
        if (is_poison((int)items[i]->number - 1)) return bad_status;
    return RP_OK;
}

static void test_only_what_cannot_be_answered_alone_fails(void **state) {
    (void)state;
    const rp_status statuses[] = {RP_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_MEMORY};
    script.fault = fail_poison;
    for (size_t s = 0; s < sizeof statuses / sizeof *statuses; s++) {
        bad_status = statuses[s];
        outcome o = go(many_lines(), &by_32, NULL, -1);
        assert_int_equal(check_lines(o.text, is_poison), 4);
        assert_int_equal(o.status, 1);
        free(o.text);
    }
}

static void test_a_device_that_is_gone_is_given_up(void **state) {
    (void)state;
    script.fault = fail_a_while;
    first_bad = 4;
    bad_count = SIZE_MAX / 2;
    bad_status = RP_ERROR_DEVICE_LOST;
    outcome o = go(many_lines(), &by_32, NULL, -1);
    size_t errors = check_lines(o.text, NULL);
    assert_true(errors > LINES / 2 && errors < LINES);
    assert_true(script.calls < 100);
    assert_int_equal(o.status, 1);
    free(o.text);
    bad_status = RP_ERROR_HEAD; /* nothing helps: asked once by each thread */
    o = go(many_lines(), &by_32, NULL, -1);
    assert_true(check_lines(o.text, NULL) > LINES / 2);
    assert_true(script.calls <= first_bad + 8);
    free(o.text);
}

/* ---- batches ---- */

/* The largest batch of lines of so many bytes. */
static size_t largest_batch(size_t bytes, const rp_cli_options *options) {
    const rp_model_info info = {.max_batch_tokens = 64};
    char *text = calloc(LINES, bytes + 1);
    assert_non_null(text);
    memset(text, 'x', LINES * (bytes + 1));
    for (size_t i = 1; i <= LINES; i++) text[i * (bytes + 1) - 1] = '\n';
    text = realloc(text, LINES * (bytes + 1) + 1);
    assert_non_null(text);
    text[LINES * (bytes + 1)] = '\0';
    outcome o = go(text, options, &info, -1);
    assert_int_equal(o.status, 0);
    assert_int_equal(script.texts, LINES);
    free(o.text);
    free(text);
    return script.most;
}

/* A few lines at a time, and fewer of long ones: what the device works on together is the queue's choice. */
static void test_batches_are_small(void **state) {
    (void)state;
    script.fault = NULL;
    assert_int_equal(largest_batch(10, &unsized), 32);
    assert_int_equal(largest_batch(400, &unsized), 6);
    assert_int_equal(largest_batch(5000, &unsized), 1);
    assert_int_equal(largest_batch(5000, &by_32), 32); /* said by the user: as many as that */
}

/* The first run ends when another has begun beside it. */
static rp_status wait_for_another(size_t call, const rp_cli_item *const *items, size_t count) {
    (void)items, (void)count;
    if (call) return RP_OK;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    int late = 0;
    pthread_mutex_lock(&script.lock);
    while (script.calls < 2 && !late) late = pthread_cond_timedwait(&script.changed, &script.lock, &until);
    pthread_mutex_unlock(&script.lock);
    return late ? RP_ERROR_HEAD : RP_OK;
}

static void test_a_batch_begins_while_another_runs(void **state) {
    (void)state;
    script.fault = wait_for_another;
    outcome o = go(many_lines(), &by_32, NULL, -1);
    check_lines(o.text, none_failed);
    assert_int_equal(o.status, 0);
    free(o.text);
}

/* ---- signals ---- */

static rp_status interrupt(size_t call, const rp_cli_item *const *items, size_t count) {
    (void)items, (void)count;
    if (call == 2) kill(getpid(), SIGINT);
    return RP_OK;
}

static rp_status interrupt_twice(size_t call, const rp_cli_item *const *items, size_t count) {
    interrupt(call, items, count);
    if (call < 2) return RP_OK;
    for (;;) { /* a device that never answers; signals do not queue, so a second one may need several */
        kill(getpid(), SIGINT);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* In a process of its own: the exit status, and the lines that were written (in `*lines`). */
static int run_interrupted(size_t *lines) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        outcome o = go(many_lines(), &by_32, NULL, rp_cli_stop_open());
        size_t count = 0;
        char want[100];
        for (const char *at = o.text; *at; at = strchr(at, '\n') + 1, count++) {
            int size = answer_line(want, count);
            if (strncmp(at, want, (size_t)size)) _exit(99);
        }
        if (write(ends[1], &count, sizeof count) != sizeof count) _exit(98);
        _exit(o.status);
    }
    int status = 0;
    close(ends[1]);
    *lines = 0;
    if (read(ends[0], lines, sizeof *lines) < 0) *lines = 0;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_a_signal_lets_the_work_in_flight_end(void **state) {
    (void)state;
    size_t lines;
    script.fault = interrupt;
    assert_int_equal(run_interrupted(&lines), 130);
    assert_true(lines > 1 && lines < LINES); /* whole lines: counted and compared by the process */
    script.fault = interrupt_twice;
    assert_int_equal(run_interrupted(&lines), 130);
    assert_int_equal(lines, 0);
}

/* ---- the progress bar ---- */

static void test_progress_tells_the_rate_and_the_time_left(void **state) {
    (void)state;
    char said[400] = "";
    int kept = dup(STDERR_FILENO), fd = scratch("");
    assert_true(kept >= 0);
    rp_cli_progress_begin();
    nanosleep(&(struct timespec){0, 600000000}, NULL);
    dup2(fd, STDERR_FILENO);
    rp_cli_progress(1000, 4000, 60);
    dup2(kept, STDERR_FILENO);
    assert_true(pread(fd, said, sizeof said - 1, 0) > 0);
    double rate = 0;
    unsigned minutes = 9, seconds = 99;
    const char *at = strstr(said, " 25%  60 inputs  ");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " 25%%  60 inputs  %lf/s  %u:%2u left", &rate, &minutes, &seconds), 3);
    assert_true(rate > 1 && rate <= 100);     /* 60 in at least 0.6 s */
    assert_true(60 * minutes + seconds >= 2); /* three times as long as until here */
    dup2(fd, STDERR_FILENO);
    rp_cli_progress_end();
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress_tells_the_rate_and_the_time_left),
        cmocka_unit_test(test_a_fault_that_passes_loses_nothing),
        cmocka_unit_test(test_only_what_cannot_be_answered_alone_fails),
        cmocka_unit_test(test_a_device_that_is_gone_is_given_up),
        cmocka_unit_test(test_batches_are_small),
        cmocka_unit_test(test_a_batch_begins_while_another_runs),
        cmocka_unit_test(test_a_signal_lets_the_work_in_flight_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
