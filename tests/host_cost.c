/* host_cost OUTPUT RUNS [CONFIG [TOKENS]]: runs a model whose weights are random, with the driver's part left
 * out: nothing is submitted and nothing is waited for. OUTPUT is hidden or pooled. tools/bench/host_cost
 * counts the instructions of what remains. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/device.h"
#include "reprise/reprise.h"

static VkResult VKAPI_CALL submit_nothing(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                          VkFence fence) {
    (void)queue, (void)count, (void)infos, (void)fence;
    return VK_SUCCESS;
}

static VkResult VKAPI_CALL wait_for_nothing(VkDevice device, uint32_t count, const VkFence *fences,
                                            VkBool32 all, uint64_t timeout) {
    (void)device, (void)count, (void)fences, (void)all, (void)timeout;
    return VK_SUCCESS;
}

static VkResult VKAPI_CALL reset_nothing(VkDevice device, uint32_t count, const VkFence *fences) {
    (void)device, (void)count, (void)fences;
    return VK_SUCCESS;
}

/* What is counted. Neither inlined nor renamed: the tool knows it by its name. */
__attribute__((noinline, used)) rp_status rp_counted_runs(rp_model *model, const rp_sequence *sequence,
                                                          const rp_run_params *params, uint32_t runs,
                                                          float *out, size_t size, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < runs; i++)
        status = rp_model_run(model, sequence, 1, params, out, size, NULL, err);
    return status;
}

int main(int argc, char **argv) {
    bool pooled = argc > 1 && !strcmp(argv[1], "pooled");
    const rp_run_params params = {.output = pooled ? RP_OUTPUT_POOLED : RP_OUTPUT_HIDDEN};
    uint32_t runs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1;
    const char *config = argc > 3 ? argv[3] : "base";
    uint32_t tokens = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 128;
    rp_device *device = NULL;
    rp_model *model = NULL;
    rp_error err = {0};
    rp_status status = rp_device_open(NULL, &device, &err);
    if (!status) status = rp_model_open_random(device, config, NULL, &model, &err);
    size_t size = status ? 0 : (size_t)tokens * rp_model_get_info(model)->hidden_size;
    int32_t *ids = rp_new_array(int32_t, tokens);
    float *out = rp_new_array(float, size);
    if (!status && ids && out) {
        for (uint32_t i = 0; i < tokens; i++)
            ids[i] = (int32_t)(i * 37 % rp_model_get_info(model)->vocab_size);
        device->vk.vkQueueSubmit = submit_nothing;
        device->vk.vkWaitForFences = wait_for_nothing;
        device->vk.vkResetFences = reset_nothing;
        const rp_sequence sequence = {.ids = ids, .count = tokens};
        status = rp_counted_runs(model, &sequence, &params, runs, out, size, &err);
    }
    if (status) fprintf(stderr, "host_cost: %s\n", err.message);
    free(ids);
    free(out);
    rp_model_close(&model);
    rp_device_close(&device);
    return status != RP_OK;
}
