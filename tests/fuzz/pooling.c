/* The side files of sentence-transformers. */
#include "loader/pooling.h"
#include "fuzz.h"

static const char *const names[] = {"modules.json",
                                    "1_Pooling/config.json",
                                    "sentence_bert_config.json",
                                    "sentence_albert_config.json",
                                    "config_sentence_transformers.json",
                                    "2_Dense/config.json",
                                    NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_pooling_config config;
    rp_error err = {0};
    fuzz_files(names, data, size);
    rp_status status = fuzz_status(rp_pooling_load(fuzz_folder(), 16, &config, &err), &err);
    FUZZ_CHECK(status || (config.modes && config.modes < 1u << RP_POOL_MODES));
    rp_pooling_finish(&config);
    return 0;
}
