/* A folder's configuration and weights: the index, its shards, and which tensors a model needs. */
#include "fuzz.h"
#include "loader/weights.h"

static const char *const names[] = {
    "config.json",   "model.safetensors", "model.safetensors.index.json", "a.safetensors",
    "b.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "a.bin",
    "b.bin",         "x.index",           "x.data-00000-of-00001",        NULL};

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
    config.head = size % 5 ? RP_HEAD_CLASSIFIER << (size % 5 - 1) : 0;
    if (!fuzz_status(rp_weights_load(fuzz_folder(), &config, &weights, &err), &err)) {
        look(&weights.word);
        look(&weights.type);
        for (uint32_t i = 0; i < config.groups * config.inner_layers; i++)
            look(&weights.layers[i].output_norm_bias);
        look(&weights.classifier_bias);
        look(&weights.lm_bias);
        for (unsigned head = 1; head <= RP_HEAD_ORDER; head *= 2)
            FUZZ_CHECK(!(weights.heads & head) || !rp_weights_left_out(&weights, head));
        FUZZ_CHECK(!weights.classifier.data == !weights.classifier_bias.data);
        for (uint32_t i = 0; i < config.label_count; i++) FUZZ_CHECK(config.labels[i]);
        rp_weights_finish(&weights);
    }
    rp_config_finish(&config);
    return 0;
}
