/* Vulkan, through volk: the loader is opened at run time and device functions are called through a table for
 * each device, so that two devices (or two copies of this library) never share a function pointer. */
#ifndef RP_GPU_VK_H
#define RP_GPU_VK_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>

#include "base/error.h"

typedef struct VolkDeviceTable rp_vk_table;

/* Open the Vulkan loader once in this process. RP_ERROR_DEVICE, with what to install, when there is none. */
rp_status rp_vk_load(rp_error *err);

/* Load the functions of instances, with the first one that is made. Thread-safe. */
void rp_vk_load_instance(VkInstance instance);

/* A status for a VkResult; the message names the call and the result. */
rp_status rp_vk_check(VkResult result, const char *call, rp_error *err);

/* The name of a result, such as "VK_ERROR_DEVICE_LOST". Never NULL. */
const char *rp_vk_result_name(VkResult result);

/* Inside a function with `rp_status status`, `rp_error *err` and a label `done`: leave when `expr` fails. */
#define RP_TRY(expr)                    \
    do {                                \
        status = (expr);                \
        if (status != RP_OK) goto done; \
    } while (0)

/* The same for a Vulkan call through the device table `vk`: RP_VK(vkCreateBuffer, (device, ...)). */
#define RP_VK(name, args) RP_TRY(rp_vk_check(vk->name args, #name, err))

#endif
