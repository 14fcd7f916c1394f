/* Texts that are invalid, empty, huge or many at once, and wrong arguments. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/tokenizer.h"
#include "support_fixture.h"

static rp_tokenizer *albert, *bert;
static char bert_dir[FIXTURE_PATH_SIZE], albert_dir[FIXTURE_PATH_SIZE];

/* The bundled vocabulary alone, without a tokenizer.json: the original ALBERT algorithm. */
static bool make_albert(void) {
    char command[2048];
    if (!fixture_make_dir(albert_dir)) return false;
    snprintf(command, sizeof command, "cp '%s/tools/models/sentiment/'spiece.model '%s/'", SOURCE_DIR,
             albert_dir);
    return system(command) == 0;
}

static int open_both(void **state) {
    (void)state;
    rp_error err = {0};
    bool ok = make_albert() && fixture_make_dir(bert_dir) &&
              fixture_write_text(bert_dir, "vocab.txt",
                                 "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\n,\n\xc3\xa9\n") &&
              !rp_tokenizer_open(albert_dir, &albert, &err) && !rp_tokenizer_open(bert_dir, &bert, &err);
    if (!ok) print_error("%s\n", err.message);
    return ok ? 0 : -1;
}

static int close_both(void **state) {
    (void)state;
    rp_tokenizer_close(&albert);
    rp_tokenizer_close(&bert);
    fixture_remove_dir(bert_dir);
    fixture_remove_dir(albert_dir);
    return 0;
}

static rp_text text(const char *data) {
    return (rp_text){data, strlen(data)};
}

static void check_ids(const rp_tokenizer *t, const char *a, const char *b, rp_tokenize_params params,
                      const int32_t *want, size_t count, bool truncated) {
    rp_encoding e;
    rp_error err = {0};
    if (rp_tokenize(t, text(a), b ? text(b) : (rp_text){0}, &params, &e, &err)) fail_msg("%s", err.message);
    assert_int_equal(e.count, count);
    assert_memory_equal(e.ids, want, count * sizeof *want);
    assert_int_equal(e.truncated, truncated);
    rp_encoding_free(&e);
    assert_null(e.ids);
    assert_int_equal(e.count, 0);
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)

/* [CLS] 2, [SEP] 3, a 5, b 6 */
static void test_shapes(void **state) {
    (void)state;
    rp_tokenize_params all = {0}, bare = {.no_special_tokens = true}, cut = {.max_tokens = 6};
    check_ids(bert, "", NULL, all, IDS(2, 3), false);
    check_ids(bert, "a b", NULL, all, IDS(2, 5, 6, 3), false);
    check_ids(bert, "a", "b", all, IDS(2, 5, 3, 6, 3), false);
    check_ids(bert, "a", "", all, IDS(2, 5, 3, 3), false);
    check_ids(bert, "a", "b", bare, IDS(5, 6), false);
    check_ids(bert, "a a a a", NULL, cut, IDS(2, 5, 5, 5, 5, 3), false);
    check_ids(bert, "a a a a a", NULL, cut, IDS(2, 5, 5, 5, 5, 3), true);
    check_ids(bert, "a a a a", "b b b b", cut, IDS(2, 5, 3, 6, 6, 3), true);
    check_ids(bert, "a a a a", "b", cut, IDS(2, 5, 5, 3, 6, 3), true);
    check_ids(bert, "a", "b b b b", cut, IDS(2, 5, 3, 6, 6, 3), true);
    cut.no_special_tokens = true;
    check_ids(bert, "a a a a", "b b b b", cut, IDS(5, 5, 5, 6, 6, 6), true);
    check_ids(bert, "a a", NULL, (rp_tokenize_params){.max_tokens = 2}, IDS(2, 3), true);
    check_ids(bert, "a a", NULL, (rp_tokenize_params){.max_tokens = 1, .truncation = RP_TRUNCATE_NONE},
              IDS(2, 5, 5, 3), false);
    check_ids(bert, "[MASK]\xc3\xa9,ab", NULL, all, IDS(2, 4, 1, 9, 5, 8, 3), false); /* the accent goes */
}

static void check_text_error(rp_text a, rp_text b, const char *needle) {
    const rp_tokenizer *const both[] = {albert, bert};
    for (size_t i = 0; i < 2; i++) {
        rp_encoding e;
        rp_error err = {0};
        assert_int_equal(rp_tokenize(both[i], a, b, NULL, &e, &err), RP_ERROR_TEXT);
        if (!strstr(err.message, needle)) fail_msg("\"%s\" does not say %s", err.message, needle);
        assert_null(e.ids);
        rp_encoding_free(&e);
    }
}

/* A truncation that there is not. */
static void test_invalid_params(void **state) {
    (void)state;
    const rp_tokenize_params params = {.max_tokens = 4, .truncation = (rp_truncation)9};
    rp_encoding e;
    rp_error err = {0};
    assert_int_equal(rp_tokenize(bert, text("a b"), (rp_text){0}, &params, &e, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "truncation 9"));
    assert_null(e.ids);
}

static void test_invalid_utf8(void **state) {
    (void)state;
    const rp_text none = {0};
    check_text_error(text("abc\xff"), none, "byte 3");
    check_text_error(text("\x80"), none, "byte 0");
    check_text_error(text("ab\xc3"), none, "byte 2");
    check_text_error(text("\xc0\xaf"), none, "byte 0");         /* overlong */
    check_text_error(text("a\xed\xa0\x80"), none, "byte 1");    /* a surrogate */
    check_text_error(text("\xf4\x90\x80\x80"), none, "byte 0"); /* above U+10FFFF */
    check_text_error(text("a\xe2\x82"), none, "byte 1");
    check_text_error((rp_text){"a\0b\xff", 4}, none, "byte 3");
    check_text_error(text("fine"), text("not \xfe"), "second text is not valid UTF-8 at byte 4");
}

static void test_arguments(void **state) {
    (void)state;
    rp_encoding e;
    rp_error err = {0};
    char *out = NULL;
    int32_t id = 5;
    assert_int_equal(rp_tokenize(NULL, text("a"), (rp_text){0}, NULL, &e, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_tokenize(bert, text("a"), (rp_text){0}, NULL, NULL, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_tokenize(bert, (rp_text){NULL, 3}, (rp_text){0}, NULL, &e, NULL), RP_ERROR_ARGUMENT);
    rp_tokenize_params small = {.max_tokens = 1};
    assert_int_equal(rp_tokenize(bert, text("a"), (rp_text){0}, &small, &e, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "max_tokens is 1"));
    small.max_tokens = 2;
    assert_int_equal(rp_tokenize(bert, text("a"), text("b"), &small, &e, &err), RP_ERROR_ARGUMENT);
    rp_encoding_free(NULL);
    rp_string_free(NULL);
    rp_string_free(&out);
    assert_int_equal(rp_tokenizer_decode(NULL, &id, 1, false, &out, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_tokenizer_decode(bert, NULL, 1, false, &out, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_tokenizer_decode(bert, &id, 1, false, NULL, &err), RP_ERROR_ARGUMENT);
    for (id = -1; id <= 11; id += 12) {
        /* an id that nothing has is left out, as Hugging Face's decode() does */
        assert_int_equal(rp_tokenizer_decode(bert, &id, 1, false, &out, &err),
                         id < 0 ? RP_ERROR_ARGUMENT : RP_OK);
        if (id < 0)
            assert_null(out);
        else
            assert_string_equal(out, "");
        rp_string_free(&out);
        assert_null(rp_tokenizer_piece(bert, id));
        assert_false(rp_tokenizer_is_special(bert, id));
    }
    assert_int_equal(rp_tokenizer_decode(bert, NULL, 0, false, &out, &err), RP_OK);
    assert_string_equal(out, "");
    rp_string_free(&out);
    assert_int_equal(rp_tokenizer_vocab_size(NULL), 0);
    assert_int_equal(rp_tokenizer_max_tokens(NULL), 0);
    assert_int_equal(rp_tokenizer_special_ids(NULL).cls, -1);
    assert_null(rp_tokenizer_piece(NULL, 0));
    assert_false(rp_tokenizer_is_special(NULL, 0));
    assert_string_equal(rp_tokenizer_piece(bert, 7), "##a");
    assert_string_equal(rp_tokenizer_piece(albert, rp_tokenizer_special_ids(albert).mask), "[MASK]");
}

/* "<unk>" in a text is text to the original ALBERT algorithm. */
static void test_unknown_is_text(void **state) {
    (void)state;
    rp_encoding e;
    rp_tokenize_params bare = {.no_special_tokens = true};
    assert_int_equal(rp_tokenize(albert, text("<unk>"), (rp_text){0}, &bare, &e, NULL), RP_OK);
    assert_true(e.count > 1);
    rp_encoding_free(&e);
    check_ids(bert, "[UNK] a", NULL, bare, IDS(1, 5), false);
}

/* ---- long texts ---- */

enum { LONG = 3000000 };

/* Tokenize `unit` over and over, LONG bytes in all; the offsets must stay in order and inside. */
static void check_long(const rp_tokenizer *t, const char *unit, size_t size) {
    char *data = malloc(LONG);
    assert_non_null(data);
    size_t used = 0;
    for (; used + size <= LONG; used += size) memcpy(data + used, unit, size);
    rp_encoding e;
    rp_error err = {0};
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    if (rp_tokenize(t, (rp_text){data, used}, (rp_text){0}, NULL, &e, &err)) fail_msg("%s", err.message);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    for (size_t i = 1; i + 1 < e.count; i++)
        assert_true(e.offsets[i].start <= e.offsets[i].end && e.offsets[i].end <= used &&
                    (i == 1 || e.offsets[i - 1].start <= e.offsets[i].start));
    if (to.tv_sec - from.tv_sec > 60)
        fail_msg("%lld s for 3 MB of \"%s\"", (long long)(to.tv_sec - from.tv_sec), unit);
    rp_encoding_free(&e);
    free(data);
}

static void test_long_lines(void **state) {
    (void)state;
    static const char *const units[] = {"a",
                                        "the end, ",
                                        " ",
                                        "1,",
                                        "[MASK]",
                                        "<",
                                        "\xe4\xb8\xad",
                                        "''",
                                        "e\xcc\x81",
                                        "\xea\xb0\x81",
                                        "\xf0\x9f\x91\x8d\xe2\x80\x8d"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        check_long(albert, units[i], strlen(units[i]));
        check_long(bert, units[i], strlen(units[i]));
    }
    check_long(albert, "", 1); /* NUL bytes */
    check_long(bert, "", 1);
}

/* The longest text is taken, and nothing is done for one that is longer. */
static void test_the_longest(void **state) {
    (void)state;
    const size_t size = RP_TEXT_BYTES_MAX;
    char *data = malloc(size + 1);
    assert_non_null(data);
    memset(data, 'x', size + 1);
    const rp_text longer = {data, size + 1};
    rp_encoding e;
    check_text_error(longer, (rp_text){0}, "the text is 4194305 bytes long; at most 4194304");
    check_text_error(text("a"), longer, "the second text is 4194305 bytes long");
    assert_int_equal(rp_tokenize(bert, (rp_text){data, size}, (rp_text){0}, NULL, &e, NULL), RP_OK);
    assert_int_equal(e.count, 3);
    assert_int_equal(e.offsets[1].end, size);
    rp_encoding_free(&e);
    free(data);
}

/* What tokenizer.h says about memory, where every letter is a token. In a process of its own: the most that a
 * process has had never gets less. */
static void test_memory_for_a_byte(void **state) {
    enum { SIZE = 1 << 20 };
    (void)state;
    if (getenv("ASAN_OPTIONS")) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct rusage before, after;
        char *data = malloc(SIZE);
        rp_encoding e;
        if (!data) _exit(2);
        memset(data, 'a', SIZE);
        getrusage(RUSAGE_SELF, &before);
        if (rp_tokenize(albert, (rp_text){data, SIZE}, (rp_text){0}, NULL, &e, NULL) || e.count < SIZE)
            _exit(3);
        getrusage(RUSAGE_SELF, &after);
        _exit(after.ru_maxrss - before.ru_maxrss > 120 * (SIZE / 1024));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* A long run of unknown characters is one token that covers it; what is beside it stays as it is. */
static void test_long_unknown(void **state) {
    (void)state;
    enum { RUN = 5000 };
    char data[2 + 3 * RUN + 3] = "a ";
    for (size_t i = 0; i < RUN; i++) memcpy(data + 2 + 3 * i, "\xe4\xb8\xad", 3);
    memcpy(data + 2 + 3 * RUN, " b", 3);
    rp_encoding e;
    rp_tokenize_params bare = {.no_special_tokens = true};
    assert_int_equal(rp_tokenize(albert, text(data), (rp_text){0}, &bare, &e, NULL), RP_OK);
    assert_int_equal(e.count, 4);
    assert_int_equal(e.ids[2], rp_tokenizer_special_ids(albert).unk);
    assert_int_equal(e.offsets[2].start, 2);
    assert_int_equal(e.offsets[2].end, 2 + 3 * RUN);
    assert_int_equal(e.offsets[3].end, 4 + 3 * RUN);
    rp_encoding_free(&e);
}

/* ---- threads ---- */

static void *tokenize_often(void *arg) {
    const rp_tokenizer *t = arg;
    size_t *bad = calloc(1, sizeof *bad);
    for (int i = 0; bad && i < 400; i++) {
        rp_encoding e;
        char line[64], *back = NULL;
        snprintf(line, sizeof line, "a b, a %d [MASK] caf\xc3\xa9 %d,000", i % 7, i % 7);
        size_t count = 0;
        *bad += rp_tokenize(t, text(line), text("a b"), NULL, &e, NULL) != RP_OK;
        count = e.count;
        *bad += rp_tokenizer_decode(t, e.ids, count, true, &back, NULL) != RP_OK || back[0] != 'a';
        rp_string_free(&back);
        rp_encoding_free(&e);
    }
    return bad;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tokenize_often, i % 2 ? albert : bert), 0);
    for (size_t i = 0; i < 4; i++) {
        void *bad = NULL;
        assert_int_equal(pthread_join(threads[i], &bad), 0);
        assert_non_null(bad);
        assert_int_equal(*(size_t *)bad, 0);
        free(bad);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_invalid_params),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_unknown_is_text),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_unknown),
        cmocka_unit_test(test_the_longest),
        cmocka_unit_test(test_memory_for_a_byte),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, open_both, close_both);
}
