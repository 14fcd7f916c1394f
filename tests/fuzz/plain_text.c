/* A text that hides words: what is made of it, and its sentences. The vocabulary is one of characters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/plain_text.h"
#include "fuzz.h"

static rp_tokenizer *open_tokenizer(void) {
    rp_tokenizer *tokenizer = NULL;
    rp_error err = {0};
    char text[4096] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfree\ncall\ncash\nwin\n";
    for (char c = 'a'; c <= 'z'; c++) snprintf(text + strlen(text), 16, "%c\n##%c\n", c, c);
    for (char c = '0'; c <= '9'; c++) snprintf(text + strlen(text), 16, "%c\n##%c\n", c, c);
    fuzz_file("vocab.txt", text, strlen(text));
    fuzz_file("config.json", "{\"model_type\": \"bert\"}", 22);
    FUZZ_CHECK(!rp_tokenizer_open(fuzz_folder(), &tokenizer, &err));
    return tokenizer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static rp_tokenizer *tokenizer;
    rp_text text = {(const char *)data, size};
    rp_chars chars = {0};
    rp_error err = {0};
    if (size > 1 << 16 || rp_utf8_check(text.data, size) < size) return 0;
    if (!tokenizer) tokenizer = open_tokenizer();
    FUZZ_CHECK(!rp_text_chars(text, &chars, &err));
    size_t before = chars.count;
    FUZZ_CHECK(!rp_chars_plain(tokenizer, &chars, &err));
    FUZZ_CHECK(chars.count <= before);
    for (size_t i = 0; i < chars.count; i++) {
        FUZZ_CHECK(chars.items[i].start < chars.items[i].end && chars.items[i].end <= size);
        FUZZ_CHECK(!i || chars.items[i - 1].end <= chars.items[i].start);
    }
    uint32_t *ends = malloc((chars.count + 1) * sizeof *ends);
    FUZZ_CHECK(ends);
    size_t count = rp_chars_sentences(&chars, ends);
    FUZZ_CHECK(count <= chars.count && !count == !chars.count);
    for (size_t i = 0; i < count; i++) FUZZ_CHECK(ends[i] > (i ? ends[i - 1] : 0) && ends[i] <= chars.count);
    FUZZ_CHECK(!count || ends[count - 1] == chars.count);
    free(ends);
    free(chars.items);
    return 0;
}
