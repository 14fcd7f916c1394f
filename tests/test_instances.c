/* Instances of pre-training: their statistics at 128 tokens against what google-research's script gives
 * (tests/goldens/make_instance_goldens.py), and whole words. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

static void assert_near(double value, double expected, double most) {
    if (fabs(value - expected) > most) fail_msg("%g is not %g +- %g", value, expected, most);
}

/* At 128 tokens: 15 % are predicted, of which 80 % are masked, 10 % stay and 10 % are any other; and half of
 * the pairs are swapped. Bounds are four standard deviations and more. */
static void test_masks(void **unused) {
    rp_special_ids special = rp_tokenizer_special_ids(corpus_here.tokenizer);
    double vocab = rp_tokenizer_vocab_size(corpus_here.tokenizer), tokens = 0, predicted = 0, masked = 0,
           same = 0, other = 0, sum = 0, low = vocab, high = 0, swapped = 0, count = 0;
    (void)unused;
    char *all = corpus_words(300, 140, 10);
    rp_corpus *corpus = corpus_of(all, (rp_corpus_params){.max_tokens = 128, .short_share = -1, .seed = 5});
    count = (double)rp_corpus_count(corpus);
    assert_int_equal(rp_corpus_count(corpus), 300 * 11); /* 10 chunks of 13 lines, and one of the last 10 */
    for (uint64_t i = 0; i < rp_corpus_count(corpus); i++) {
        rp_instance in = corpus_read(corpus, 0, i);
        corpus_check(&in, 128);
        assert_int_equal(in.masked, in.count == 128 ? 19 : 15); /* of 128 and of 103 */
        tokens += in.count;
        swapped += in.order;
        for (size_t k = 0; k < in.masked; k++) {
            int32_t id = in.ids[in.masked_positions[k]];
            predicted++;
            masked += id == special.mask;
            same += id == in.masked_ids[k];
            if (id == special.mask || id == in.masked_ids[k]) continue;
            other++;
            sum += id;
            low = fmin(low, id);
            high = fmax(high, id);
        }
    }
    assert_near(predicted / tokens, 0.15, 0.002);
    assert_near(masked / predicted, 0.8, 0.0065);
    assert_near(same / predicted, 0.1, 0.005);
    assert_near(other / predicted, 0.1, 0.005);
    assert_near(sum / other, vocab / 2, 0.02 * vocab); /* any of the vocabulary is as likely */
    assert_true(low < 0.01 * vocab && high > 0.99 * vocab && high < vocab);
    assert_near(swapped / count, 0.5, 0.035);
    rp_corpus_close(&corpus);
    free(all);
}

static void test_ngrams(void **unused) {
    enum { MOST = 6 };
    static const struct {
        uint32_t ngram;
        double shares[MOST]; /* of runs of 1, 2, ... masked tokens; the last: of so many and more */
    } cases[] = {{3, {0.5290, 0.2689, 0.1669, 0.0229, 0.0085, 0.0038}},
                 {1, {0.8548, 0.1251, 0.0174, 0.0023, 0.0003, 0.0000}},
                 {5, {0.4488, 0.2262, 0.1423, 0.0976, 0.0698, 0.0154}}};
    (void)unused;
    char *all = corpus_words(300, 130, 10);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        double counts[MOST] = {0}, runs = 0;
        rp_corpus *corpus =
            corpus_of(all, (rp_corpus_params){.max_tokens = 128, .short_share = -1, .ngram = cases[c].ngram});
        for (uint64_t i = 0; i < rp_corpus_count(corpus); i++) {
            rp_instance in = corpus_read(corpus, 0, i);
            size_t run = 0;
            for (size_t at = 0; at < in.count; at++) {
                if (at && at + 1 < in.count && in.types[at] < in.types[at + 1]) continue; /* [SEP] */
                run += corpus_is_masked(&in, at);
                if (!run || corpus_is_masked(&in, at)) continue;
                counts[(run < MOST ? run : MOST) - 1]++;
                runs++;
                run = 0;
            }
        }
        for (size_t n = 0; n < MOST; n++)
            assert_near(counts[n] / runs, cases[c].shares[n],
                        0.001 + 4 * sqrt(cases[c].shares[n] * (1 - cases[c].shares[n]) / runs));
        rp_corpus_close(&corpus);
    }
    free(all);
}

/* The shares of instances by length against the sums over all short lengths. A tenth of the documents is
 * short, not of the instances. */
static void test_short_documents(void **unused) {
    enum { DOCUMENTS = 4000, LINES = 60, TOKENS = 10, FULL = 125 };
    double expected[FULL + 1] = {0}, counts[FULL + 1] = {0}, all = 0, count = 0;
    (void)unused;
    for (uint32_t target = 2; target <= FULL; target++) {
        uint32_t at = target > TOKENS ? target : FULL; /* what leaves one line a chunk is not done */
        double share = 0.1 / (FULL - 1) + (target == FULL ? 0.9 : 0);
        for (uint32_t left = LINES, lines = (at + TOKENS - 1) / TOKENS; left > 1; left -= lines) {
            if (lines > left) lines = left;
            expected[lines * TOKENS < FULL ? lines * TOKENS : FULL] += share;
            all += share;
        }
    }
    char *text = corpus_words(DOCUMENTS, LINES, TOKENS);
    rp_corpus *corpus = corpus_of(text, (rp_corpus_params){.max_tokens = FULL + 3});
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        memset(counts, 0, sizeof counts);
        count = 0;
        for (uint64_t i = 0; i < rp_corpus_count(corpus); i += 3) {
            rp_instance in = corpus_read(corpus, epoch, i);
            counts[in.count - 3]++;
            count++;
        }
        for (size_t n = 0; n <= FULL; n++)
            assert_near(counts[n] / count, expected[n] / all,
                        0.001 + 0.75 * expected[n] / all); /* some 32 documents each */
        assert_near(counts[FULL] / count, expected[FULL] / all, 0.03);
        assert_near(counts[80] / count, expected[80] / all, 0.02); /* what is left of a full document */
    }
    assert_near((double)rp_corpus_count(corpus) / DOCUMENTS, all, 0.03 * all);
    rp_corpus_close(&corpus);
    free(text);
}

/* ---- whole words ---- */

/* No word is masked in part, of texts whose words have several pieces each. `blank`: what words begin with;
 * NULL: those of WordPiece. */
static void check_words(const char *folder, const char *content, const char *blank, double pieces) {
    rp_error err;
    rp_tokenizer *usual = corpus_here.tokenizer;
    double tokens = 0, starts = 0, predicted = 0;
    if (rp_tokenizer_open(folder, &corpus_here.tokenizer, &err)) fail_msg("%s", err.message);
    rp_corpus *corpus = corpus_of(content, (rp_corpus_params){.max_tokens = 64});
    for (uint64_t i = 0; i < 4 * rp_corpus_count(corpus); i++) {
        rp_instance in = corpus_read(corpus, i / rp_corpus_count(corpus), i % rp_corpus_count(corpus));
        size_t second = corpus_check(&in, 64);
        assert_true(in.masked <= 10);
        tokens += in.count - 3;
        predicted += in.masked;
        for (size_t at = 1; at + 1 < in.count; at++) {
            const char *piece = rp_tokenizer_piece(corpus_here.tokenizer, corpus_original(&in, at));
            bool inside =
                blank ? strncmp(piece, blank, strlen(blank)) && *piece >= 'a' : !strncmp(piece, "##", 2);
            if (at == second - 1) continue; /* [SEP] */
            starts += !inside;
            if (inside && at > 1 && at != second)
                assert_int_equal(corpus_is_masked(&in, at), corpus_is_masked(&in, at - 1));
        }
    }
    assert_true(tokens / starts > pieces);
    assert_near(predicted / tokens, 0.15, 0.02);
    rp_corpus_close(&corpus);
    rp_tokenizer_close(&corpus_here.tokenizer);
    corpus_here.tokenizer = usual;
}

static void test_whole_words(void **unused) {
    corpus_text t = {0};
    (void)unused;
    for (size_t l = 0; l < 400; l++) {
        for (size_t w = 0; w < 8; w++) {
            static const char *const some[] = {"lamkin", "lamkindom", "lam", "lam,", "kindomkin", "7"};
            corpus_add(&t, some[corpus_below(6)]);
            corpus_add(&t, " ");
        }
        corpus_add(&t, l % 40 ? "\n" : "\n\n");
    }
    fixture_write_text(corpus_here.dir, "vocab.txt",
                       "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nlam\n##kin\n##dom\nkin\n,\n7\n");
    fixture_write_text(corpus_here.dir, "tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\"}");
    check_words(corpus_here.dir, t.data, NULL, 1.3);
    check_words(CORPUS_TOKENIZER, t.data, "\xe2\x96\x81", 1.3);
    free(t.data);
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/vocab.txt", corpus_here.dir);
    unlink(path);
}

/* Pieces that begin no word, by what they are made of. */
static void test_word_starts(void **unused) {
    static const struct {
        const char *piece;
        bool starts;
    } cases[] = {{"\xe2\x96\x81the", true},
                 {"ing", false},
                 {"'s", false},
                 {"'", true},
                 {",", true},
                 {"--", false},
                 {"<s", true},
                 {"19", true},
                 {"a1", true},
                 {"ING", false},
                 {"\xc3\xbc"
                  "ber",
                  false},                            /* German, ue */
                 {"\xd0\xbf\xd0\xb5", false},        /* Russian */
                 {"\xe4\xb8\xad", true},             /* Chinese */
                 {"\xe3\x81\xae\xe3\x81\xaf", true}, /* Japanese */
                 {"\xed\x95\x9c", false},            /* Korean, whose words have blanks between */
                 {"\xe0\xb8\x81", true},             /* Thai */
                 {"\xe0\xa4\x95\xe0\xa5\x8d\xe0\xa4\xb7", false}, /* Hindi, with a mark */
                 {"\xe2\x82\xac", true},                          /* the euro sign */
                 {"", true}};
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (rp_instance_starts_word(cases[i].piece) != cases[i].starts) fail_msg("%s", cases[i].piece);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks),           cmocka_unit_test(test_ngrams),
        cmocka_unit_test(test_short_documents), cmocka_unit_test(test_whole_words),
        cmocka_unit_test(test_word_starts),
    };
    return cmocka_run_group_tests(tests, corpus_begin, corpus_end);
}
