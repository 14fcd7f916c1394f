/* Vulkan. volk opens the loader at run time; device functions are called through a table for each device, so
 * that two devices (or two copies of this library) never share a function pointer. */
#ifndef RP_GPU_VK_H
#define RP_GPU_VK_H

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <vulkan/vulkan.h>

#include "base/error.h"

/* The functions of Vulkan that need no device. Filled by rp_vk_load and rp_vk_load_instance; a function that
 * this system's loader lacks is NULL. */
typedef struct rp_vk_functions {
    PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr;
#define RP_VK_GLOBAL(name) PFN_##name name;
#define RP_VK_INSTANCE(name) PFN_##name name;
#define RP_VK_DEVICE(name)
#include "gpu/vk_functions.def"
#undef RP_VK_GLOBAL
#undef RP_VK_INSTANCE
#undef RP_VK_DEVICE
} rp_vk_functions;

extern rp_vk_functions rp_vk;

/* The functions of one device. */
typedef struct rp_vk_table {
#define RP_VK_GLOBAL(name)
#define RP_VK_INSTANCE(name)
#define RP_VK_DEVICE(name) PFN_##name name;
#include "gpu/vk_functions.def"
#undef RP_VK_GLOBAL
#undef RP_VK_INSTANCE
#undef RP_VK_DEVICE
} rp_vk_table;

/* Open the Vulkan loader once in this process. RP_ERROR_DEVICE, with what to install, when there is none. */
rp_status rp_vk_load(rp_error *err);

/* Take what needs no instance from `get`, as rp_vk_load does from the loader. Not thread-safe: for tests that
 * answer in the loader's place, before any device is opened. */
void rp_vk_load_from(PFN_vkGetInstanceProcAddr get);

/* Load the functions of instances, with the first one that is made. Thread-safe. */
void rp_vk_load_instance(VkInstance instance);

/* Fill the table with the functions of the device; one that it lacks is NULL. Thread-safe. */
void rp_vk_load_device(VkDevice device, rp_vk_table *table);

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
