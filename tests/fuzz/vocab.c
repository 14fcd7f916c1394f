/* vocab.txt and every JSON file of a tokenizer, and texts through what comes of them. */
#include <stdio.h>

#include "loader/json.h"
#include "tokenizing.h"

static const char *const names[] = {
    "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json", "tokenizer.json",
    "config.json",           NULL};

static const char *vocabulary_path(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/vocab.txt", fuzz_folder());
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char plain[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nletter\n.\n!\n'\ncame\n";
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    fuzz_files(names, data, size);
    if (!rp_path_exists(vocabulary_path())) fuzz_file("vocab.txt", plain, sizeof plain - 1);
    if (fuzz_status(rp_tokenizer_open(fuzz_folder(), &t, &err), &err)) return 0;
    fuzz_tokenize_some(t);
    rp_tokenizer_close(&t);
    return 0;
}
