#define VOLK_IMPLEMENTATION
#include "gpu/vk.h"

#include <pthread.h>
#include <stdbool.h>

static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static VkResult load_result;

static void load(void) {
    load_result = volkInitialize();
}

/* volk keeps the functions of instances in globals, which other threads may be calling by now. The loader's
 * functions serve every instance, so those of the first one stay. */
void rp_vk_load_instance(VkInstance instance) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static bool loaded;
    pthread_mutex_lock(&lock);
    if (!loaded) volkLoadInstanceOnly(instance);
    loaded = true;
    pthread_mutex_unlock(&lock);
}

rp_status rp_vk_load(rp_error *err) {
    pthread_once(&load_once, load);
    if (load_result == VK_SUCCESS) return RP_OK;
    return rp_fail(
        err, RP_ERROR_DEVICE,
        "Vulkan is not installed (there is no libvulkan.so.1); install it with the driver of your GPU "
        "(Debian and Ubuntu: apt install libvulkan1 mesa-vulkan-drivers)");
}
