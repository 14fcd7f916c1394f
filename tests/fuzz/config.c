/* config.json. */
#include "loader/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_config config;
    rp_error err = {0};
    fuzz_file("config.json", data, size);
    if (fuzz_status(rp_config_load(fuzz_folder(), &config, &err), &err)) return 0;
    FUZZ_CHECK(config.hidden_size && config.attention_heads);
    FUZZ_CHECK(config.hidden_size % config.attention_heads == 0);
    FUZZ_CHECK(config.layers && config.groups && config.vocab_size && config.max_positions);
    for (uint32_t i = 0; i < config.label_count; i++) FUZZ_CHECK(config.labels[i]);
    for (uint32_t i = 0; i < config.layers && config.groups <= config.layers; i++)
        FUZZ_CHECK(rp_config_group(&config, i) < config.groups);
    rp_config_finish(&config);
    return 0;
}
