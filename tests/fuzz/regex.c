/* A regular expression, the first line, and a search for its matches in the rest. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "loader/regex.h"

static void search(const rp_regex *regex, const rp_chars *chars) {
    rp_regex_walk walk = {0};
    size_t start, end, last = 0;
    bool memory = false;
    while (rp_regex_next(regex, chars->items, chars->count, &walk, &start, &end, &memory)) {
        FUZZ_CHECK(last <= start && start <= end && end <= chars->count);
        last = end;
    }
    FUZZ_CHECK(!memory);
    rp_regex_walk_finish(&walk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_regex *regex = NULL;
    rp_error err = {0};
    rp_chars chars = {0};
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    size_t length = line ? (size_t)(line - data) : size;
    if (fuzz_status(rp_regex_open((const char *)data, length, "tokenizer.json", &regex, &err), &err))
        return 0;
    const char *text = (const char *)data + length;
    size_t left = size - length < 4096 ? size - length : 4096;
    if (rp_utf8_check(text, left) == left) {
        for (size_t at = 0; at < left;) {
            uint32_t code = rp_utf8_next(text, &at);
            FUZZ_CHECK(rp_chars_push(&chars, code, 0, 0));
        }
        search(regex, &chars);
    }
    free(chars.items);
    rp_regex_close(&regex);
    return 0;
}
