/* Any text through both algorithms. The first two bytes choose the tokenizer and its parameters; a tab
 * separates a text from its pair. */
#include "tokenizing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rp_tokenizer *tokenizers[3];

static rp_tokenizer *open_tokenizer(const char *dir) {
    rp_tokenizer *t = NULL;
    rp_error err;
    if (rp_tokenizer_open(dir, &t, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return t;
}

static void close_all(void) {
    for (int i = 0; i < 3; i++) rp_tokenizer_close(&tokenizers[i]);
}

static void open_all(void) {
    static const char cased[] = "{\"do_lower_case\": false, \"added_tokens_decoder\": {"
                                "\"2\": {\"content\": \" x\", \"lstrip\": true, \"single_word\": true}}}";
    tokenizers[0] = open_tokenizer(SOURCE_DIR "/tools/models/sentiment");
    tokenizers[1] = open_tokenizer(SOURCE_DIR "/tests/goldens/tokens");
    FILE *file = fopen(SOURCE_DIR "/tests/goldens/tokens/vocab.txt", "rb");
    static char vocabulary[1 << 16];
    size_t size = file ? fread(vocabulary, 1, sizeof vocabulary, file) : 0;
    if (file) fclose(file);
    fuzz_file("vocab.txt", vocabulary, size);
    fuzz_file("tokenizer_config.json", cased, sizeof cased - 1);
    tokenizers[2] = open_tokenizer(fuzz_folder());
    atexit(close_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!tokenizers[0]) open_all();
    if (size < 2) return 0;
    const char *begin = (const char *)data + 2, *end = (const char *)data + size;
    const char *tab = memchr(begin, '\t', size - 2);
    rp_text text = {begin, (size_t)((tab ? tab : end) - begin)}, pair = {0};
    if (tab) pair = (rp_text){tab + 1, (size_t)(end - tab - 1)};
    rp_tokenize_params params = {.no_special_tokens = data[0] & 4,
                                 .max_tokens = data[1],
                                 .truncation = data[0] & 8 ? RP_TRUNCATE_NONE : RP_TRUNCATE_LONGEST};
    fuzz_tokenize(tokenizers[(data[0] & 3) % 3], text, pair, &params);
    return 0;
}
