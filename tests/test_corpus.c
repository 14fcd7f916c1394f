/* A corpus for pre-training: where chunks end, what is reproduced, bad input, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_corpus.h"
#include "support_fixture.h"

/* ---- memory that runs out ---- */

static atomic_long allowed = -1; /* allocations until one fails; -1: none does */

static bool fails(void) {
    return allowed >= 0 && allowed-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- chunks and order ---- */

/* Every token of the text is in one instance, and what stands before is B where the two are swapped. */
static void test_chunks(void **unused) {
    enum { DOCUMENTS = 5, LINES = 20 }; /* of 10 tokens: 2 chunks of 100 tokens a document */
    corpus_text t = {0};
    bool seen[CORPUS_WORDS] = {false};
    size_t swapped = 0;
    (void)unused;
    corpus_find_words();
    for (size_t w = 0; w < DOCUMENTS * LINES * 10; w++) {
        corpus_add(&t, corpus_here.words[w]);
        corpus_add(&t, w % 10 < 9      ? " "
                       : w % 200 < 199 ? "\r\n"
                                       : "\n \t\xc2\xa0\r\n\n"); /* blanks of all kinds */
    }
    rp_corpus *corpus = corpus_of(
        t.data, (rp_corpus_params){.max_tokens = 103, .short_share = -1, .no_shuffle = true, .seed = 9});
    assert_int_equal(rp_corpus_count(corpus), 2 * DOCUMENTS);
    for (uint64_t i = 0; i < 2 * DOCUMENTS; i++) {
        rp_instance in = corpus_read(corpus, 0, i);
        size_t second = corpus_check(&in, 103), first_word = 0;
        assert_int_equal(in.count, 103);
        while (corpus_here.word_ids[first_word] != corpus_original(&in, in.order ? second : 1)) first_word++;
        assert_int_equal(first_word, 100 * i);
        for (size_t k = 0; k < 100; k++) {
            size_t at = in.order ? (k < in.count - 1 - second ? second + k : k - (in.count - 1 - second) + 1)
                                 : (k < second - 2 ? 1 + k : k - (second - 2) + second);
            assert_int_equal(corpus_original(&in, at), corpus_here.word_ids[100 * i + k]);
            assert_false(seen[100 * i + k]);
            seen[100 * i + k] = true;
        }
        assert_int_equal((second - 2) % 10, 0); /* the cut is between two lines */
        swapped += (size_t)in.order;
    }
    assert_true(swapped > 0 && swapped < 2 * DOCUMENTS);
    rp_corpus_close(&corpus);
    free(t.data);
}

/* A file ends a document, too; a chunk of one line gives nothing. */
static void test_files(void **unused) {
    rp_corpus *corpus = NULL;
    rp_error err;
    (void)unused;
    static const char *const files[] = {"\xef\xbb\xbf"
                                        "a letter came\nhe read it\n\nalone",
                                        "", "\n\n", "twice\nhe fell"};
    for (size_t i = 0; i < 4; i++) corpus_write(i, files[i], strlen(files[i]));
    if (corpus_open(4, &(rp_corpus_params){.no_shuffle = true}, &corpus, &err)) fail_msg("%s", err.message);
    const rp_corpus_counts *counts = rp_corpus_get_counts(corpus);
    assert_int_equal(rp_corpus_count(corpus), 2);
    assert_int_equal(counts->documents, 3);
    assert_int_equal(counts->dropped, 1);
    for (uint64_t i = 0; i < 2; i++) {
        rp_instance in = corpus_read(corpus, 0, i);
        rp_encoding lines[2];
        size_t second = corpus_check(&in, 512);
        rp_text texts[] = {i ? RP_TEXT("twice") : RP_TEXT("a letter came"),
                           i ? RP_TEXT("he fell") : RP_TEXT("he read it")};
        const rp_tokenize_params bare = {.no_special_tokens = true};
        for (size_t k = 0; k < 2; k++)
            rp_tokenize(corpus_here.tokenizer, texts[k], (rp_text){0}, &bare, &lines[k], &err);
        assert_int_equal(in.count, lines[0].count + lines[1].count + 3);
        for (size_t k = 0; k < 2; k++) {
            size_t from = k == (size_t)in.order ? 1 : second;
            for (size_t n = 0; n < lines[k].count; n++)
                assert_int_equal(corpus_original(&in, from + n), lines[k].ids[n]);
            rp_encoding_free(&lines[k]);
        }
    }
    rp_corpus_close(&corpus);
}

/* ---- what is reproduced ---- */

static uint64_t sum_of(rp_corpus *corpus, uint64_t epoch) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rp_corpus_count(corpus); i++) {
        rp_instance in = corpus_read(corpus, epoch, i);
        sum = 31 * sum + (uint64_t)in.order + in.masked;
        for (size_t k = 0; k < in.count; k++) sum = 31 * sum + (uint64_t)in.ids[k];
        for (size_t k = 0; k < in.masked; k++) sum = 31 * sum + in.masked_positions[k];
    }
    return sum;
}

static void test_the_seed_decides(void **unused) {
    char *all = corpus_words(40, 60, 9);
    uint64_t sums[6];
    (void)unused;
    rp_corpus *corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 64, .seed = 3});
    uint64_t count = rp_corpus_count(corpus);
    for (uint64_t epoch = 0; epoch < 3; epoch++) sums[epoch] = sum_of(corpus, epoch);
    assert_int_equal(sum_of(corpus, 1), sums[1]); /* an earlier pass again */
    rp_instance in = corpus_read(corpus, 2, count - 1);
    uint32_t size = in.count, masked = in.masked, first = in.masked_positions[0];
    rp_corpus_close(&corpus);
    corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 64, .seed = 3});
    in = corpus_read(corpus, 2, count - 1); /* as where a training is resumed */
    assert_true(in.count == size && in.masked == masked && in.masked_positions[0] == first);
    assert_int_equal(sum_of(corpus, 0), sums[0]);
    rp_corpus_close(&corpus);
    corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 64, .seed = 4});
    sums[3] = sum_of(corpus, 0);
    rp_corpus_close(&corpus);
    corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 64, .seed = 3, .no_shuffle = true});
    sums[4] = sum_of(corpus, 0);
    sums[5] = sum_of(corpus, 1);
    rp_corpus_close(&corpus);
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++) assert_true(sums[i] != sums[k]);
    free(all);
}

/* Lines are tokenized on several threads, and come in their order: instances, counts and the line of a
 * mistake are the same. */
static void test_threads_change_nothing(void **unused) {
    static const uint32_t threads[] = {1, 2, 3, 13};
    char *all = corpus_words(900, 9, 7);
    rp_corpus_counts first = {0};
    uint64_t sums[2] = {0};
    (void)unused;
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        rp_corpus *corpus = corpus_of(
            all, (rp_corpus_params){.max_tokens = 64, .seed = 3, .threads = threads[i], .skip_bad = true});
        if (!i) first = *rp_corpus_get_counts(corpus);
        assert_memory_equal(&first, rp_corpus_get_counts(corpus), sizeof first);
        for (uint64_t epoch = 0; epoch < 2; epoch++) {
            if (!i) sums[epoch] = sum_of(corpus, epoch);
            assert_int_equal(sum_of(corpus, epoch), sums[epoch]);
        }
        rp_corpus_close(&corpus);
    }
    assert_int_equal(first.lines, 900 * 10);
    all[strlen(all) / 2] = '\xff';
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        static char message[512];
        rp_corpus *corpus = NULL;
        rp_error err;
        corpus_write(0, all, strlen(all));
        const rp_corpus_params params = {.threads = threads[i]};
        assert_int_equal(corpus_open(1, &params, &corpus, &err), RP_ERROR_FORMAT);
        if (!i) snprintf(message, sizeof message, "%s", err.message);
        assert_string_equal(err.message, message);
        assert_non_null(strstr(message, "0.txt: line 4"));
    }
    free(all);
}

/* ---- bad input ---- */

static void test_bad_input(void **unused) {
    static const struct {
        const char *text;
        size_t size;
        const char *message;
    } cases[] = {{"", 0, "0.txt: there is no text"},
                 {" \n\r\n\t", 5, "there is no text"},
                 {"one\n\ntwo\n\n\nthree", 16, "each has two lines of a document"},
                 {"one\ntwo\nx\0y\n", 12, "0.txt: line 3: holds a NUL byte"},
                 {"one\ntwo\n\n\xff\xfe"
                  "a\n",
                  13, "0.txt: line 4: byte 1 is not valid UTF-8"},
                 {"a\nb\nok \xc3", 8, "0.txt: line 3: byte 4 is not valid UTF-8"},
                 {"\xff\xfe"
                  "a\0\n\0",
                  6, "line 1: "}};
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rp_corpus *corpus = NULL;
        rp_error err;
        corpus_write(0, cases[i].text, cases[i].size);
        assert_int_equal(corpus_open(1, NULL, &corpus, &err), RP_ERROR_FORMAT);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s", err.message);
        assert_null(corpus);
    }
}

static void test_bad_lines_are_left_out(void **unused) {
    static const char content[] = "one two\nx\0y\nthree four\n\xc3\x28\n\nfive\nsix\n";
    rp_corpus *corpus = NULL;
    rp_error err;
    (void)unused;
    corpus_write(0, content, sizeof content - 1);
    if (corpus_open(1, &(rp_corpus_params){.skip_bad = true}, &corpus, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_corpus_get_counts(corpus)->bad, 2);
    assert_int_equal(rp_corpus_count(corpus), 2);
    sum_of(corpus, 0);
    assert_int_equal(rp_corpus_get_counts(corpus)->bad, 2);
    rp_corpus_close(&corpus);
    corpus_write(0, "\xff\n\xff", 3);
    assert_int_equal(corpus_open(1, &(rp_corpus_params){.skip_bad = true}, &corpus, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "no line that can be used"));
}

static void test_long_lines(void **unused) {
    enum { LONG = 3 << 20 };
    rp_corpus *corpus = NULL;
    rp_error err;
    char *all = malloc(LONG);
    (void)unused;
    assert_non_null(all);
    memset(all, 'a', LONG);
    memcpy(all, "one\ntwo\n", 8);
    memcpy(all + LONG - 12, "\nthree\nfour\n", 12);
    corpus_write(0, all, LONG);
    assert_int_equal(corpus_open(1, NULL, &corpus, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "line 3: is longer than 1048576 bytes"));
    if (corpus_open(1, &(rp_corpus_params){.skip_bad = true, .max_tokens = 5, .short_share = -1}, &corpus,
                    &err))
        fail_msg("%s", err.message);
    assert_int_equal(rp_corpus_get_counts(corpus)->bad, 1);
    assert_int_equal(rp_corpus_get_counts(corpus)->lines, 5);
    sum_of(corpus, 0);
    rp_corpus_close(&corpus);
    free(all);
}

static void test_few_tokens(void **unused) {
    rp_corpus *corpus = NULL;
    rp_error err;
    (void)unused;
    char *all = corpus_words(20, 30, 1);
    corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 5});
    assert_int_equal(rp_corpus_count(corpus), 20 * 15);
    for (uint64_t i = 0; i < 20 * 15; i++) {
        rp_instance in = corpus_read(corpus, 0, i);
        corpus_check(&in, 5);
        assert_int_equal(in.masked, 1);
    }
    rp_corpus_close(&corpus);
    static const struct {
        rp_corpus_params params;
        const char *message;
    } cases[] = {{{.max_tokens = 4}, "too few"},
                 {{.max_tokens = 65536}, "more than"},
                 {{.masked_share = 1}, "must be below 1"},
                 {{.short_share = 2}, "must be below 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(corpus_open(1, &cases[i].params, &corpus, &err), RP_ERROR_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].message));
    }
    free(all);
}

static void test_files_that_change(void **unused) {
    rp_corpus *corpus;
    rp_instance in;
    rp_error err;
    (void)unused;
    corpus = corpus_of("one\ntwo\n\nthree\nfour\n", (rp_corpus_params){.no_shuffle = true});
    corpus_read(corpus, 0, 1);
    corpus_write(0, "one\n\n", 5);
    assert_int_equal(rp_corpus_read(corpus, 1, 0, &in, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "was changed while it was read"));
    rp_corpus_close(&corpus);
    /* a line of a document that another pass cuts anew was good before */
    corpus = corpus_of("one\ntwo\n\nthree\nfour\n", (rp_corpus_params){.no_shuffle = true, .short_share = 1});
    corpus_write(0, "o\377e\ntwo\n\nthree\nfour\n", 20);
    assert_int_equal(rp_corpus_read(corpus, 1, 0, &in, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "was changed while it was read"));
    rp_corpus_close(&corpus);
    unlink(corpus_here.paths[0]);
    assert_int_equal(corpus_open(1, NULL, &corpus, &err), RP_ERROR_FILE);
    assert_int_equal(rp_corpus_open(NULL, 0, corpus_here.tokenizer, NULL, &corpus, &err), RP_ERROR_ARGUMENT);
}

static void test_memory_runs_out(void **unused) {
    char *all = corpus_words(4, 12, 5);
    (void)unused;
    corpus_write(0, all, strlen(all));
    bool done = false;
    for (long n = 0; !done; n++) {
        rp_corpus *corpus = NULL;
        rp_instance in;
        rp_error err;
        assert_true(n < 10000);
        allowed = n;
        rp_status status = corpus_open(1, &(rp_corpus_params){.max_tokens = 32}, &corpus, &err);
        if (!status) status = rp_corpus_read(corpus, 3, 1, &in, &err);
        done = allowed >= 0;
        allowed = -1;
        if (status) assert_int_equal(status, RP_ERROR_HOST_MEMORY);
        assert_true(done || status);
        rp_corpus_close(&corpus);
    }
    free(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_the_seed_decides),
        cmocka_unit_test(test_threads_change_nothing),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_bad_lines_are_left_out),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_few_tokens),
        cmocka_unit_test(test_files_that_change),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, corpus_begin, corpus_end);
}
