/* tokenizer.json with a tokenizer_config.json, and texts through what comes of them. */
#include "tokenizing.h"

static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_tokenizer *t = NULL;
    rp_error err = {0};
    fuzz_files(names, data, size);
    if (fuzz_status(rp_tokenizer_open(fuzz_folder(), &t, &err), &err)) return 0;
    fuzz_tokenize_some(t);
    rp_tokenizer_close(&t);
    return 0;
}
