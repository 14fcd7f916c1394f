/* What may come from a hub or a user: names, paths, addresses and headers, without a network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/hub_answer.h"
#include "loader/hub_cache.h"

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *text, *id, *revision; /* id NULL: no name */
    } rows[] = {
        {"org/name", "org/name", ""},
        {"bert-base-uncased", "bert-base-uncased", ""},
        {"sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2", ""},
        {"a_b.c-d/e_f.g-h", "a_b.c-d/e_f.g-h", ""},
        {"org/name@v1.0", "org/name", "v1.0"},
        {"org/name@refs/pr/3", "org/name", "refs/pr/3"},
        {"https://huggingface.co/org/name", "org/name", ""},
        {"https://huggingface.co/org/name/", "org/name", ""},
        {"https://huggingface.co/name?library=x#y", "name", ""},
        {"https://hf.co/org/name/tree/v1", "org/name", "v1"},
        {"http://127.0.0.1:99/org/name", "org/name", ""},
        {"http://127.0.0.1:9/org/name", NULL, ""},
        {"https://huggingface.co/datasets/org/name", NULL, ""},
        {"https://huggingface.co.evil/org/name", NULL, ""},
        {"org/name@", NULL, ""},
        {"org/name@../x", NULL, ""},
        {"@v1", NULL, ""},
        {"..", NULL, ""},
        {"org/..", NULL, ""},
        {"a/b/c", NULL, ""},
        {"/a", NULL, ""},
        {"a/", NULL, ""},
        {"-a/b", NULL, ""},
        {"a/b-", NULL, ""},
        {"a--b/c", NULL, ""},
        {"a/b..c", NULL, ""},
        {"a/b.git", NULL, ""},
        {"a/con", NULL, ""},
        {"a/\xc3\xa9", NULL, ""},
        {"a b/c", NULL, ""},
        {"", NULL, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rp_hub_name name;
        bool good = rp_hub_name_read(rows[i].text, "http://127.0.0.1:99", &name);
        if (good != (rows[i].id != NULL)) print_error("%s\n", rows[i].text);
        assert_int_equal(good, rows[i].id != NULL);
        if (!good) continue;
        assert_string_equal(name.id, rows[i].id);
        assert_string_equal(name.revision, rows[i].revision);
    }
    char text[200];
    rp_hub_name name;
    memset(text, 'a', sizeof text);
    text[96] = '\0';
    assert_true(rp_hub_name_read(text, NULL, &name));
    text[96] = 'a', text[97] = '\0';
    assert_false(rp_hub_name_read(text, NULL, &name));
}

static void test_paths(void **state) {
    (void)state;
    static const char *const good[] = {"config.json",  "a/b/c",       ".gitattributes",
                                       "a..b",         "...",         "1_Pooling/config.json",
                                       "logs/12:30/x", "common.json", "com",
                                       "com10",        "aux1",        "caf\xc3\xa9"};
    static const char *const bad[] = {"",      "/",    "/a",       "a/",    "a//b",  ".",    "..",
                                      "./a",   "a/.",  "a/../b",   "../a",  "a/..",  "a\\b", "\\\\host\\x",
                                      "C:",    "c:/x", "a\nb",     "a\x7f", "\x01",  "nul",  "NUL.txt",
                                      "x/Aux", "com1", "LPT9.a.b", "con ",  "CONIN$"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(rp_hub_path_check(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (rp_hub_path_check(bad[i])) print_error("%s\n", bad[i]);
        assert_false(rp_hub_path_check(bad[i]));
    }
    char text[4000];
    memset(text, 'a', sizeof text);
    text[255] = '\0';
    assert_true(rp_hub_path_check(text));
    text[255] = 'a', text[256] = '\0';
    assert_false(rp_hub_path_check(text));
    for (size_t i = 0; i < sizeof text; i++) text[i] = i % 2 ? '/' : 'a';
    text[3999] = '\0';
    assert_false(rp_hub_path_check(text));
}

static void test_redirects(void **state) {
    (void)state;
    static const struct {
        const char *base, *location, *expected; /* NULL: not followed */
    } rows[] = {
        {"https://h/a/b?q", "/c", "https://h/c"},
        {"https://h/a/b?q#f", "c", "https://h/a/c"},
        {"https://h:8/a", "//other/x", "https://other/x"},
        {"https://h/a", "https://other:9/x?y=z", "https://other:9/x?y=z"},
        {"http://h/a", "HTTPS://other/x", "HTTPS://other/x"},
        {"https://h/a", "http://h/a", NULL},
        {"http://h/a", "file:///etc/passwd", NULL},
        {"http://h/a", "ftp://h/x", NULL},
        {"http://h/a", "javascript:x", NULL},
        {"http://h/a", "http://", NULL},
        {"http://h/a", "http:///x", NULL},
        {"http://h/a", "http://user@h/x", NULL},
        {"http://h/a", "http://h/\x01", NULL},
        {"http://h/a", "http://h/\xc3\xa9", NULL},
        {"http://h", "x", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool memory = false;
        char *url = rp_url_resolve(rows[i].base, rows[i].location, &memory);
        assert_false(memory);
        if (!rows[i].expected) assert_null(url);
        if (rows[i].expected) assert_non_null(url);
        if (url) assert_string_equal(url, rows[i].expected);
        free(url);
    }
}

/* To whom a token is sent. */
static void test_origins(void **state) {
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"https://h/a", "https://H/b?c", true},      {"https://h", "https://h:443/", true},
        {"http://h/", "http://h:80", true},          {"http://h/", "https://h/", true},
        {"https://h/", "http://h/", false},          {"http://h:81/", "https://h/", false},
        {"http://h:80/", "https://h:444/", false},   {"https://h/", "https://h.evil/", false},
        {"https://h/", "https://evil/h", false},     {"https://h:1/", "https://h:2/", false},
        {"https://h/", "https://h:0443/", true},     {"http://127.0.0.1:5/", "http://localhost:5/", false},
        {"https://h?x", "https://h#y", true},        {"https://[::1]:5/", "https://[::1]:5", true},
        {"https://[::1]/", "https://[::2]/", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rp_url_same_origin(rows[i].a, rows[i].b) != rows[i].same)
            print_error("%s %s\n", rows[i].a, rows[i].b);
        assert_int_equal(rp_url_same_origin(rows[i].a, rows[i].b), rows[i].same);
    }
}

/* ---- headers ---- */

static void take(rp_hub_answer *a, const char *line) {
    rp_hub_answer_line(a, line, strlen(line), 1445412480 - 60);
}

static void test_headers(void **state) {
    (void)state;
    rp_hub_answer a;
    rp_hub_answer_begin(&a);
    assert_true(a.wait < 0 && a.length == UINT64_MAX);
    take(&a, "HTTP/2 206 \r\n");
    take(&a, "ETAG:W/\"abc-1_\"  \r\n");
    take(&a, "x-linked-etag: \"00ff\"\n");
    take(&a, "X-Linked-Size: 18014398509481984\r\n");
    take(&a, "Content-Range: bytes 5-9/10\r\n");
    take(&a, "Location: /x y\r\n");
    take(&a, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n");
    take(&a, "X-Error-Message: a\tb\x1b[1m\r\n");
    assert_int_equal(a.status, 206);
    assert_string_equal(a.etag, "abc-1_");
    assert_string_equal(a.linked_etag, "00ff");
    assert_true(a.linked_size == 18014398509481984);
    assert_true(a.range_start == 5 && a.range_total == 10);
    assert_string_equal(a.location, "/x y");
    assert_true(a.wait > 59 && a.wait < 61);
    assert_string_equal(a.error_message, "a?b?[1m");
    assert_null(a.bad);
    take(&a, "HTTP/1.1 200 OK\r\n"); /* behind a 100 or what a proxy says */
    assert_true(!a.etag[0] && !a.linked_etag[0] && a.range_start == UINT64_MAX && a.wait < 0);
    take(&a, "RateLimit: \"api\";r=0;t=12\r\n");
    assert_true(a.wait == 12);
}

static void test_headers_that_are_wrong(void **state) {
    (void)state;
    static const struct {
        const char *line, *bad; /* NULL: passed over */
    } rows[] = {
        {"X-Linked-Size: -1", "X-Linked-Size"},
        {"X-Linked-Size: 1 2", "X-Linked-Size"},
        {"X-Linked-Size: 9223372036854775808", "X-Linked-Size"},
        {"Content-Length: 99999999999999999999", "Content-Length"},
        {"Content-Range: bytes 5-4/10", "Content-Range"},
        {"Content-Range: bytes 5/10", "Content-Range"},
        {"Content-Range: lines 5-6/10", "Content-Range"},
        {"Content-Range: bytes 5-6", "Content-Range"},
        {"Content-Range: bytes */10", NULL},
        {"Content-Range: bytes 0-0/*", NULL},
        {"X-Linked-Etag: \"a/b\"", "X-Linked-Etag"},
        {"X-Linked-Etag: a.b", "X-Linked-Etag"},
        {"ETag: \"a/b\"", NULL},
        {"ETag: \"", NULL},
        {"X-Repo-Commit: abc", "X-Repo-Commit"},
        {"X-Repo-Commit: 0123456789ABCDEF0123456789abcdef01234567", "X-Repo-Commit"},
        {"Location:", "Location"},
        {"Location: a\x01", "Location"},
        {"Retry-After: soon", NULL},
        {"Retry-After: Wed, 99 Foo 2015", NULL},
        {"no colon", NULL},
        {": no name", NULL},
        {"", NULL},
        {"HTTP/1.1 abc", "the status line"},
        {"HTTP/", "the status line"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rp_hub_answer a;
        rp_hub_answer_begin(&a);
        take(&a, rows[i].line);
        if (rows[i].bad) {
            assert_non_null(a.bad);
            assert_string_equal(a.bad, rows[i].bad);
        } else if (a.bad) {
            fail_msg("%s: %s", rows[i].line, a.bad);
        }
        assert_true(!a.etag[0] && !a.linked_etag[0] && !a.commit[0] && a.wait < 0);
    }
}

static void test_folders_of_a_cache_say_their_name(void **state) {
    (void)state;
    char id[RP_HUB_NAME_BYTES + 1];
    assert_true(rp_hub_id_of("/c/hub/models--org--a-name", id));
    assert_string_equal(id, "org/a-name");
    assert_true(rp_hub_id_of("models--bert-base-uncased/snapshots/x/", id));
    assert_string_equal(id, "bert-base-uncased");
    assert_false(rp_hub_id_of("/c/hub/models--", id));
    assert_false(rp_hub_id_of("/c/hub/models--a--b--c--d", id));
    assert_false(rp_hub_id_of("/c/hub/xmodels--a--b", id));
    assert_false(rp_hub_id_of("/c/hub/models--a--..", id));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_headers_that_are_wrong),
        cmocka_unit_test(test_folders_of_a_cache_say_their_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
