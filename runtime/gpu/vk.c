/* Opens Vulkan's loader and takes the functions of vk_functions.def from it. Of volk, which loads every
 * function there is, only what opens the loader is used; the linker leaves out the rest. */
#define VOLK_IMPLEMENTATION
#define VK_NO_PROTOTYPES
#include <volk.h>

#include "gpu/vk.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define NOTHING(name)

rp_vk_functions rp_vk;

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static VkResult load_result;

void rp_vk_load_from(PFN_vkGetInstanceProcAddr get) {
    rp_vk.vkGetInstanceProcAddr = get;
#define RP_VK_GLOBAL(name) rp_vk.name = (PFN_##name)get(NULL, #name);
#define RP_VK_INSTANCE NOTHING
#define RP_VK_DEVICE NOTHING
#include "gpu/vk_functions.def"
#undef RP_VK_GLOBAL
#undef RP_VK_INSTANCE
}

static void load(void) {
    load_result = volkInitialize();
    if (load_result == VK_SUCCESS) rp_vk_load_from(vkGetInstanceProcAddr);
}

/* rp_vk serves every instance, and other threads may be calling its functions by now. The loader's functions
 * take any instance, so those of the first one stay. */
void rp_vk_load_instance(VkInstance instance) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    pthread_mutex_lock(&lock);
    if (!loaded) {
#define RP_VK_GLOBAL NOTHING
#define RP_VK_INSTANCE(name) rp_vk.name = (PFN_##name)rp_vk.vkGetInstanceProcAddr(instance, #name);
#include "gpu/vk_functions.def"
#undef RP_VK_INSTANCE
#undef RP_VK_DEVICE
    }
    loaded = true;
    pthread_mutex_unlock(&lock);
}

/* By a loop, which is smaller than a call for each of so many. */
void rp_vk_load_device(VkDevice device, rp_vk_table *table) {
    static const char names[] = /* one after the other, and an empty one */
#define RP_VK_INSTANCE NOTHING
#define RP_VK_DEVICE(name) #name "\0"
#include "gpu/vk_functions.def"
        ;
    char *to = (char *)table;
    for (const char *name = names; *name; name += strlen(name) + 1) {
        PFN_vkVoidFunction function = rp_vk.vkGetDeviceProcAddr(device, name);
        memcpy(to, &function, sizeof function); // pointers to functions are all alike
        to += sizeof function;
    }
}

rp_status rp_vk_load(rp_error *err) {
    pthread_once(&load_once, load);
    if (load_result == VK_SUCCESS) return RP_OK;
    return rp_fail(
        err, RP_ERROR_DEVICE,
        "Vulkan is not installed (there is no libvulkan.so.1); install it with the driver of your GPU "
        "(Debian and Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)");
}
