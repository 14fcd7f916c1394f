/* Fetching from a hub that attacks: what it answers is refused, and nothing is written but what belongs into
 * the cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_pull.h"

static pull_test *begin(void **state) {
    pull_test *t = *state;
    hub_add_model(&t->hub, "model.safetensors", 1000);
    return t;
}

static bool raw_list(hub_request *r) {
    if (strncmp(r->path, "/api/", 5)) return false;
    hub_send(r, 200, NULL, r->server->text, strlen(r->server->text));
    return true;
}

static void test_hostile_lists(void **state) {
    pull_test *t = begin(state);
    static const char *const paths[] = {
        "../evil", "/evil",     "a/../../evil", "..",           ".",   "a//b",       "a/",   "..\\\\evil",
        "C:evil",  "a\\u0000b", "a\\nb",        "1_Pooling/..", "con", "a/NUL.json", "COM1", "./config.json",
        "",        "\\u007f"};
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "<html>",
        "{\"sha\": 1, \"siblings\": []}",
        "{\"sha\": \"main\", \"siblings\": []}",
        "{\"sha\": \"../../../../../../../../../../../../../e\", \"siblings\": []}",
        "{\"sha\": \"" HUB_COMMIT "0\", \"siblings\": []}",
        "{\"sha\": \"" HUB_COMMIT "\"}",
        "{\"sha\": \"" HUB_COMMIT "\", \"siblings\": {}}",
        "{\"sha\": \"" HUB_COMMIT "\", \"siblings\": [1]}",
        "{\"sha\": \"" HUB_COMMIT "\", \"siblings\": [{\"rfilename\": 1}]}",
        "{\"sha\": \"" HUB_COMMIT "\\u0000\", \"siblings\": []}"};
    char text[512];
    t->hub.script = raw_list;
    size_t before = pull_entries(t);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        snprintf(text, sizeof text,
                 "{\"sha\": \"" HUB_COMMIT
                 "\", \"siblings\": [{\"rfilename\": \"config.json\"}, {\"rfilename\": \"%s\"}]}",
                 paths[i]);
        t->hub.text = text;
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
        assert_non_null(strstr(t->err.message, "rfilename"));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t->hub.text = bad[i];
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
    }
    assert_int_equal(pull_entries(t), before); /* nothing was written at all */
}

static bool raw_file(hub_request *r) {
    if (!strstr(r->path, "config.json")) return false;
    hub_send(r, 200, r->server->text, "{\"model_type\": \"albert\"}", 24);
    return true;
}

static void test_hostile_headers_of_files(void **state) {
    pull_test *t = begin(state);
#define COMMIT "X-Repo-Commit: " HUB_COMMIT "\r\n"
    static const char *const bad[] = {
        "ETag: \"abc\"\r\n",
        COMMIT,
        COMMIT "ETag: \"\"\r\n",
        COMMIT "ETag: \"../../../evil\"\r\n",
        COMMIT "ETag: \"a/b\"\r\n",
        COMMIT "ETag: \"abc.incomplete\"\r\n",
        COMMIT "ETag: ..\r\n",
        COMMIT "X-Linked-Etag: \"../evil\"\r\nETag: \"abc\"\r\n",
        "X-Repo-Commit: ../../evil\r\nETag: \"abc\"\r\n",
        "X-Repo-Commit: 0000000000000000000000000000000000000000\r\nETag: \"abc\"\r\n",
    };
    t->hub.script = raw_file;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        t->hub.text = bad[i];
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
        assert_non_null(strstr(t->err.message, "config.json"));
        assert_true(pull_entries(t) <= 1);
    }
    /* content that nothing is known of but its size is taken */
    t->hub.text = COMMIT "ETag: \"5f-a_b\"\r\n";
    assert_int_equal(pull(t, "org/tiny"), RP_OK);
}

/* Headers without end, or none at all. */
static bool raw_answer(hub_request *r) {
    static char line[1000];
    memset(line, 'a', sizeof line);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    if (!r->server->step) {
        hub_send_raw(r, "HTTP/1.1 200 OK\r\n", 17);
        for (int i = 0; i < 2000 && !r->close; i++) hub_send_raw(r, line, sizeof line);
    } else {
        hub_send_raw(r, r->server->text, strlen(r->server->text));
    }
    r->close = true;
    return true;
}

static void test_answers_that_are_no_http(void **state) {
    pull_test *t = begin(state);
    static const char *const texts[] = {"", "hello\n", "HTTP/1.1 999999999999 X\r\n\r\n", "HTTP/1.1\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"};
    t->hub.script = raw_answer;
    assert_int_not_equal(pull(t, "org/tiny"), RP_OK);
    t->hub.step = 1;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        t->hub.text = texts[i];
        rp_status status = pull(t, "org/tiny");
        assert_true(status == RP_ERROR_NETWORK || status == RP_ERROR_FORMAT);
    }
    assert_int_equal(pull_entries(t), 1);
}

static void test_modules_that_lead_out(void **state) {
    pull_test *t = begin(state);
    static const char *const modules[] = {"[{\"type\": \"a.Pooling\", \"path\": \"../..\"}]",
                                          "[{\"type\": \"a.Pooling\", \"path\": \"/etc\"}]", "{", "[[[["};
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        hub_add_text(&t->hub, "modules.json", modules[i]);
        char command[2 * FIXTURE_PATH_SIZE];
        snprintf(command, sizeof command, "rm -rf %s", t->cache);
        assert_int_equal(system(command), 0);
        assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
        assert_non_null(strstr(t->err.message, "modules.json"));
    }
    hub_add_text(&t->hub, "modules.json", "[]");
    hub_add_text(&t->hub, "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../x.safetensors\"}}");
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_FORMAT);
}

static void test_what_is_no_name(void **state) {
    pull_test *t = begin(state);
    static const char *const names[] = {"",
                                        "/org/tiny",
                                        "org/tiny/x",
                                        "../tiny",
                                        "org/..",
                                        "org/ti ny",
                                        "org/tiny/",
                                        "org//tiny",
                                        "a--b/c",
                                        "org\\tiny",
                                        "org/tiny?",
                                        "org/tiny@../x",
                                        "file:///x",
                                        "http://evil/org/tiny",
                                        "org/.tiny",
                                        "org/ti\nny",
                                        "org/tiny.git"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(pull(t, names[i]), RP_ERROR_ARGUMENT);
    assert_int_equal(pull(t, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_pull("org/tiny", NULL, NULL, NULL), RP_ERROR_ARGUMENT);
    t->params.reserved[3] = 1;
    assert_int_equal(pull(t, "org/tiny"), RP_ERROR_ARGUMENT);
    assert_int_equal(hub_count(&t->hub, ""), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, pull_setup, pull_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hostile_lists),
        TEST(test_hostile_headers_of_files),
        TEST(test_answers_that_are_no_http),
        TEST(test_modules_that_lead_out),
        TEST(test_what_is_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
