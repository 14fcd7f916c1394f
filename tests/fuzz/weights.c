/* A folder's configuration and weights: the index, its shards, and which tensors a model needs. */
#include "fuzz.h"
#include "loader/weights.h"

static const char *const names[] = {"config.json",   "model.safetensors", "model.safetensors.index.json",
                                    "a.safetensors", "b.safetensors",     NULL};

static void look(const rp_tensor *t) {
    if (!t->data) return;
    float last;
    rp_tensor_read(t, (size_t)t->rows * t->columns - 1, 1, &last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_config config;
    rp_weights weights;
    rp_error err = {0};
    fuzz_files(names, data, size);
    if (fuzz_status(rp_config_load(fuzz_folder(), &config, &err), &err)) return 0;
    if (!fuzz_status(rp_weights_load(fuzz_folder(), &config, &weights, &err), &err)) {
        look(&weights.word);
        look(&weights.type);
        for (uint32_t i = 0; i < config.groups * config.inner_layers; i++)
            look(&weights.layers[i].output_norm_bias);
        look(&weights.classifier_bias);
        look(&weights.lm_bias);
        rp_weights_finish(&weights);
    }
    rp_config_finish(&config);
    return 0;
}
