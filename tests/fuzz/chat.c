/* The files of a dialogue. The first byte says the format, and whether it is a list of questions and answers
 * or of examples; the rest is the file. The rows of a list can be found by their words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/chat.h"
#include "fuzz.h"

static void find(const rp_chat *chat) {
    static const rp_text questions[] = {RP_TEXT("a b"), RP_TEXT("how do i 1 2")};
    rp_error err;
    for (size_t i = 0; i < 2; i++) {
        rp_found found;
        size_t count;
        FUZZ_CHECK(!rp_passages_find(&chat->passages, questions[i], &found, 1, &count, NULL, &err));
        if (count) FUZZ_CHECK(chat->passages.parts[found.passage].document < chat->row_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"a.csv", "a.tsv", "a.jsonl"};
    char path[512];
    if (!size) return 0;
    const char *name = names[data[0] % 3];
    const bool examples = data[0] & 0x40;
    rp_chat *chat = calloc(1, sizeof *chat);
    rp_error err = {0};
    if (!chat) return 0;
    fuzz_file(name, data + 1, size - 1);
    snprintf(path, sizeof path, "%s/%s", fuzz_folder(), name);
    const rp_chat_params params = {.examples = examples ? path : NULL, .faq = examples ? NULL : path};
    rp_status status = fuzz_status(rp_chat_read(chat, &params, &err), &err);
    FUZZ_CHECK(!examples || status); /* there is no model to embed them */
    if (!status) find(chat);
    rp_chat_close(&chat);
    fuzz_file(name, NULL, 0);
    return 0;
}
