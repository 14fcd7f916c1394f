/* What Vulkan answers, as a status with a message. */
#include "gpu/vk.h"

const char *rp_vk_result_name(VkResult result) {
#define NAME(r) \
    case r:     \
        return #r
    switch (result) {
        NAME(VK_SUCCESS);
        NAME(VK_NOT_READY);
        NAME(VK_TIMEOUT);
        NAME(VK_INCOMPLETE);
        NAME(VK_ERROR_OUT_OF_HOST_MEMORY);
        NAME(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        NAME(VK_ERROR_INITIALIZATION_FAILED);
        NAME(VK_ERROR_DEVICE_LOST);
        NAME(VK_ERROR_MEMORY_MAP_FAILED);
        NAME(VK_ERROR_LAYER_NOT_PRESENT);
        NAME(VK_ERROR_EXTENSION_NOT_PRESENT);
        NAME(VK_ERROR_FEATURE_NOT_PRESENT);
        NAME(VK_ERROR_INCOMPATIBLE_DRIVER);
        NAME(VK_ERROR_TOO_MANY_OBJECTS);
        NAME(VK_ERROR_FRAGMENTED_POOL);
        NAME(VK_ERROR_OUT_OF_POOL_MEMORY);
        NAME(VK_ERROR_INVALID_SHADER_NV);
    default:
        return "an unlisted VkResult";
    }
#undef NAME
}

rp_status rp_vk_check(VkResult result, const char *call, rp_error *err) {
    switch (result) {
    case VK_SUCCESS:
        return RP_OK;
    case VK_ERROR_DEVICE_LOST:
        return rp_fail(err, RP_ERROR_DEVICE_LOST,
                       "the device stopped working (Vulkan's device lost, in %s): the driver reset it, or it "
                       "did not answer in "
                       "time; if it happens again, use smaller batches or update the driver",
                       call);
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return rp_fail(err, RP_ERROR_DEVICE_MEMORY,
                       "out of device memory in %s; use a smaller model, smaller batches, or another device",
                       call);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return rp_fail(err, RP_ERROR_HOST_MEMORY, "out of host memory in %s; close other programs", call);
    default:
        return rp_fail(
            err, RP_ERROR_DEVICE,
            "the GPU's driver reported an error (%s in %s, %d); update the driver or choose another device",
            rp_vk_result_name(result), call, (int)result);
    }
}
