/* The side files of sentence-transformers. */
#include "loader/pooling.h"
#include "fuzz.h"

static const char *const names[] = {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
                                    "sentence_albert_config.json", NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_pooling_config config;
    rp_error err = {0};
    fuzz_files(names, data, size);
    if (fuzz_status(rp_pooling_load(fuzz_folder(), &config, &err), &err)) return 0;
    FUZZ_CHECK(config.pooling > RP_POOLING_DEFAULT && config.pooling < RP_POOLING_NONE);
    return 0;
}
