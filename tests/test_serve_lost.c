/* reprise serve and a device that is lost: requests in flight are repeated, then refused with 503; /health
 * says so until the device works again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_serve.h"
#include "support_tasks.h"

/* A layer loses the device while this file is there. */
static char losing[FIXTURE_PATH_SIZE + 16];

static served start_bent(const char *model, const char *idle) {
    static const char *const names[] = {"VK_INSTANCE_LAYERS", "VK_ADD_LAYER_PATH", "REPRISE_BENT"},
                             *const values[] = {"VK_LAYER_REPRISE_bent", BINARY_DIR "/tests/layers",
                                                "notimestamps"};
    char *before[3];
    setenv("REPRISE_BENT_LOSING", losing, 1);
    for (int i = 0; i < 3; i++) {
        before[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
        setenv(names[i], values[i], 1);
    }
    served s = serve_start(CLI_ARGS("-m", model, "--idle", idle));
    for (int i = 0; i < 3; i++) {
        unsetenv(names[i]);
        if (before[i]) setenv(names[i], before[i], 1);
        free(before[i]);
    }
    return s;
}

static int status_of(const served *s, const char *path) {
    reply r = serve_ask(s, path, NULL, "");
    int status = r.status;
    reply_free(&r);
    return status;
}

/* Wait until a path answers with a status; it has half a minute. */
static void wait_for(const served *s, const char *path, int status) {
    const struct timespec pause = {.tv_nsec = 50000000};
    for (int i = 0; i < 600; i++) {
        if (status_of(s, path) == status) return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s does not become %d", path, status);
}

static void test_lost_device_is_said_and_comes_back(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": \"a warm and funny film\"}";
    task_case c;
    char model[FIXTURE_PATH_SIZE + 8];
    assert_true(task_case_open("classify", &c));
    snprintf(model, sizeof model, "labels=%.500s", c.dir);
    snprintf(losing, sizeof losing, "%.500s/losing", c.dir);
    served s = start_bent(model, "0");
    json_t *before = serve_json(&s, "/predict", body, 200);
    assert_int_equal(status_of(&s, "/health"), 200);

    assert_true(fixture_write_text(c.dir, "losing", ""));
    json_t *refused = serve_json(&s, "/predict", body, 503);
    assert_string_equal(json_string_value(json_object_get(refused, "error_type")), "Unhealthy");
    assert_int_equal(status_of(&s, "/health"), 503);
    assert_int_equal(status_of(&s, "/ready"), 503);

    assert_int_equal(unlink(losing), 0);
    wait_for(&s, "/health", 200); /* the server looks by itself */
    json_t *after = serve_json(&s, "/predict", body, 200);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(refused);
    json_decref(after);
    assert_int_equal(serve_stop(&s), 0);
    task_case_close(&c);
}

/* Lost while a model that was idle is loaded: no request comes while /health says so, and yet it comes back.
 */
static void test_device_lost_in_loading_comes_back(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": \"a warm and funny film\"}";
    const struct timespec pause = {.tv_nsec = 100000000};
    bool loaded = true;
    task_case c;
    char model[FIXTURE_PATH_SIZE + 8];
    assert_true(task_case_open("classify", &c));
    snprintf(model, sizeof model, "labels=%.500s", c.dir);
    snprintf(losing, sizeof losing, "%.500s/losing", c.dir);
    served s = start_bent(model, "1");
    for (int i = 0; i < 100 && loaded; i++) {
        reply r = serve_ask(&s, "/info", NULL, "");
        loaded = strstr(r.all, "\"loaded\": true");
        reply_free(&r);
        nanosleep(&pause, NULL);
    }
    assert_false(loaded);

    assert_true(fixture_write_text(c.dir, "losing", ""));
    json_decref(serve_json(&s, "/predict", body, 503));
    assert_int_equal(status_of(&s, "/health"), 503);
    assert_int_equal(unlink(losing), 0);
    wait_for(&s, "/health", 200);
    json_decref(serve_json(&s, "/predict", body, 200));
    assert_int_equal(serve_stop(&s), 0);
    task_case_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lost_device_is_said_and_comes_back),
        cmocka_unit_test(test_device_lost_in_loading_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
