/* A corpus of plain text, in two files. The first byte is the longest instance, the second what is asked; the
 * rest are the files, of which the first ends at a byte 1. Every instance can be made, in any order, and is
 * the same each time. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

#include "loader/corpus.h"

static const rp_tokenizer *tokenizer(void) {
    static const char vocab[] =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\n##b\nb\n.\nthe\n##s\n\xc3\xa9\n0\n##\xe4\xb8\xad\n";
    static rp_tokenizer *made;
    rp_error err;
    if (made) return made;
    fuzz_file("vocab.txt", vocab, sizeof vocab - 1);
    fuzz_file("tokenizer_config.json", "{\"tokenizer_class\": \"BertTokenizer\"}", 36);
    FUZZ_CHECK(!rp_tokenizer_open(fuzz_folder(), &made, &err));
    return made;
}

static uint64_t sum_of(const rp_instance *in, uint32_t most) {
    uint64_t sum = (uint64_t)in->order;
    FUZZ_CHECK(in->count >= 5 && in->count <= most && in->masked < in->count);
    FUZZ_CHECK(in->ids[0] == 2 && in->ids[in->count - 1] == 3);
    for (size_t i = 0; i < in->count; i++) {
        FUZZ_CHECK(in->ids[i] >= 0 && (uint32_t)in->ids[i] < rp_tokenizer_vocab_size(tokenizer()));
        sum = 31 * sum + (uint64_t)in->ids[i];
    }
    for (size_t i = 0; i < in->masked; i++) {
        FUZZ_CHECK(in->masked_positions[i] > (i ? in->masked_positions[i - 1] : 0));
        FUZZ_CHECK(in->masked_positions[i] < in->count - 1);
        sum = 31 * sum + (uint64_t)in->masked_ids[i];
    }
    return sum;
}

static void make(rp_corpus *corpus, uint32_t most) {
    enum { MOST = 16 };
    uint64_t count = rp_corpus_count(corpus), sums[2][MOST];
    rp_instance in;
    rp_error err;
    FUZZ_CHECK(count > 0);
    if (count > MOST) count = MOST;
    for (uint64_t epoch = 0; epoch < 2; epoch++)
        for (uint64_t i = 0; i < count; i++) {
            FUZZ_CHECK(!rp_corpus_read(corpus, epoch, i, &in, &err));
            sums[epoch][i] = sum_of(&in, most);
        }
    for (uint64_t i = count; i-- > 0;) {
        FUZZ_CHECK(!rp_corpus_read(corpus, 0, i, &in, &err));
        FUZZ_CHECK(sums[0][i] == sum_of(&in, most));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    const rp_tokenizer *t = tokenizer();
    uint8_t most = data[0], asked = data[1];
    char first[512], second[512];
    const uint8_t *text = data + 2, *end = memchr(text, 1, size - 2);
    size_t cut = end ? (size_t)(end - text) : size - 2;
    fuzz_file("1.txt", text, cut);
    fuzz_file("2.txt", end ? end + 1 : (const uint8_t *)"", end ? size - 3 - cut : 0);
    snprintf(first, sizeof first, "%s/1.txt", fuzz_folder());
    snprintf(second, sizeof second, "%s/2.txt", fuzz_folder());
    const char *const paths[] = {first, second};
    const rp_corpus_params params = {.max_tokens = most,
                                     .skip_bad = asked & 1,
                                     .no_shuffle = asked & 2,
                                     .short_share = asked & 4 ? 0.9 : 0,
                                     .max_predictions = asked >> 6,
                                     .ngram = asked >> 3 & 7,
                                     .seed = size};
    rp_corpus *corpus = NULL;
    rp_error err = {0};
    rp_status status = fuzz_status(rp_corpus_open(paths, 2, t, &params, &corpus, &err), &err);
    if (status)
        FUZZ_CHECK(!corpus && err.message[0]);
    else
        make(corpus, most ? most : 512);
    rp_corpus_close(&corpus);
    return 0;
}
