#include "gpu/device.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/os.h"
#include "gpu/cache.h"
#include "gpu/helper.h"
#include "gpu/shader.h"
#include "gpu/vk_cooperative.h"

/* Seconds that a submission may take: far less than 2 (Windows) to 10 (Linux), after which watchdogs reset a
 * device, for estimates may be wrong. */
static const double SUBMIT_LIMIT = 0.5;

/* Seconds that a batch may take, and a call may have to wait for the batch of another one. */
static const double BATCH_LIMIT = 0.5;

/* Seconds after which a driver that gives no answer counts as hung. A healthy submission to a GPU ends a
 * thousand times sooner: its budget is SUBMIT_LIMIT. */
static const double ANSWER_LIMIT = 600;

/* Seconds after which opening a model times no further kernel. It takes a little longer: it finishes the
 * kernel that it is timing, and proves those that it selects. A GPU needs far less; a software driver spends
 * most of this time compiling. */
static const double TUNING_LIMIT = 1.5, CPU_TUNING_LIMIT = 4;

static bool instance_has(const char *extension) {
    uint32_t count = 0;
    bool found = false;
    if (rp_vk.vkEnumerateInstanceExtensionProperties(NULL, &count, NULL) < 0) return false;
    VkExtensionProperties *list = rp_new_array(VkExtensionProperties, count);
    if (list && rp_vk.vkEnumerateInstanceExtensionProperties(NULL, &count, list) >= 0)
        for (uint32_t i = 0; i < count && !found; i++) found = !strcmp(list[i].extensionName, extension);
    free(list);
    return found;
}

static rp_status create_instance(VkInstance *out, bool *debug_names, rp_error *err) {
    rp_status status = rp_vk_load(err);
    if (status) return status;
    uint32_t version;
    if (!rp_vk.vkEnumerateInstanceVersion || rp_vk.vkEnumerateInstanceVersion(&version) ||
        version < VK_API_VERSION_1_1)
        return rp_fail(err, RP_ERROR_DEVICE,
                       "this system's Vulkan is older than 1.1; update it (package libvulkan1)");
    const char *extensions[2];
    uint32_t count = 0;
    *debug_names = instance_has(VK_EXT_DEBUG_UTILS_EXTENSION_NAME);
    bool portability = instance_has(VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME);
    if (*debug_names) extensions[count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (portability) extensions[count++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .pEngineName = "reprise",
                             .apiVersion = VK_API_VERSION_1_1};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .flags = portability ? VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR : 0,
                                 .pApplicationInfo = &app,
                                 .enabledExtensionCount = count,
                                 .ppEnabledExtensionNames = extensions};
    VkResult result = rp_vk.vkCreateInstance(&info, NULL, out);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
        return rp_fail(
            err, RP_ERROR_DEVICE,
            "no Vulkan driver works on this system; install the driver of your GPU, or a software driver "
            "(Debian and Ubuntu: apt install mesa-vulkan-drivers)");
    status = rp_vk_check(result, "vkCreateInstance", err);
    if (status == RP_OK) rp_vk_load_instance(*out);
    return status;
}

/* List every physical device and what it can do with the shaders of `shader_dir`; NULL: with those in the
 * library. The caller frees both arrays. */
static rp_status enumerate(VkInstance instance, const char *shader_dir, VkPhysicalDevice **devices,
                           rp_caps **caps, uint32_t *count, rp_error *err) {
    *devices = NULL;
    *caps = NULL;
    *count = 0;
    rp_status status = rp_vk_check(rp_vk.vkEnumeratePhysicalDevices(instance, count, NULL),
                                   "vkEnumeratePhysicalDevices", err);
    if (status) return status;
    *devices = rp_new_array(VkPhysicalDevice, *count);
    *caps = rp_new_array(rp_caps, *count);
    if (!*devices || !*caps) return rp_fail_memory(err, "the device list", *count * sizeof **caps);
    VkResult result = rp_vk.vkEnumeratePhysicalDevices(instance, count, *devices);
    if (result != VK_INCOMPLETE) status = rp_vk_check(result, "vkEnumeratePhysicalDevices", err);
    for (uint32_t i = 0; !status && i < *count; i++)
        rp_caps_probe(instance, (*devices)[i], i, rp_shaders_use_nv(shader_dir), &(*caps)[i]);
    return status;
}

rp_status rp_device_list(rp_device_info *infos, size_t capacity, size_t *count, rp_error *err) {
    if (!count || (capacity && !infos))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_device_list: count and infos must not be NULL");
    VkInstance instance = VK_NULL_HANDLE;
    VkPhysicalDevice *devices = NULL;
    rp_caps *caps = NULL;
    uint32_t found = 0;
    bool names;
    *count = 0;
    rp_status status = create_instance(&instance, &names, err);
    if (!status) status = enumerate(instance, NULL, &devices, &caps, &found, err);
    if (!status && !found) {
        uint32_t none;
        status = rp_caps_choose(caps, 0, NULL, &none, err);
    }
    if (!status) {
        *count = found;
        for (size_t i = 0; i < found && i < capacity; i++) infos[i] = caps[i].info;
    }
    free(devices);
    free(caps);
    if (instance) rp_vk.vkDestroyInstance(instance, NULL);
    return status;
}

/* Features and extensions that the library enables where a device has them. The structs form a pNext chain.
 */
typedef struct features {
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDeviceShaderFloat16Int8Features float16;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceVulkanMemoryModelFeatures memory_model;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperative;
    VkPhysicalDeviceCooperativeMatrixFeaturesNV cooperative_nv;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR statistics;
    const char *extensions[7];
    uint32_t count;
    void *chain;
} features;

static void choose_features(const rp_caps *caps, features *f) {
    *f = (features){
        .storage16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
                      .storageBuffer16BitAccess = VK_TRUE},
        .float16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
                    .shaderFloat16 = VK_TRUE},
        .dot = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
                .shaderIntegerDotProduct = VK_TRUE},
        .sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                  .subgroupSizeControl = VK_TRUE,
                  .computeFullSubgroups = VK_TRUE},
        .memory_model = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
                         .vulkanMemoryModel = VK_TRUE,
                         .vulkanMemoryModelDeviceScope =
                             VK_TRUE}, /* the scope of coherent buffers in all other shaders */
        .cooperative = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
                        .cooperativeMatrix = VK_TRUE},
        .cooperative_nv = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV,
                           .cooperativeMatrix = VK_TRUE},
        .statistics = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
                       .pipelineExecutableInfo = VK_TRUE}};
    const struct {
        bool there;
        const char *extension;
        void *structure;
    } wanted[] = {
        {caps->has_storage_16, NULL, &f->storage16},
        {caps->has_float16_int8, VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, &f->float16},
        {caps->has_integer_dot, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, &f->dot},
        {caps->subgroup_control, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, &f->sizes},
        {caps->has_cooperative_matrix, VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, &f->memory_model},
        {caps->has_cooperative_matrix && !caps->matrix_nv, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME,
         &f->cooperative},
        {caps->has_cooperative_matrix && caps->matrix_nv, VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME,
         &f->cooperative_nv},
        {caps->has_statistics, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, &f->statistics},
    };
    for (size_t i = 0; i < RP_COUNT(wanted); i++) {
        if (!wanted[i].there) continue;
        VkBaseOutStructure *structure = wanted[i].structure;
        structure->pNext = f->chain;
        f->chain = structure;
        if (wanted[i].extension) f->extensions[f->count++] = wanted[i].extension;
    }
    if (caps->is_portability_subset) f->extensions[f->count++] = RP_PORTABILITY_SUBSET;
}

static rp_status create_device(rp_device *device, rp_error *err) {
    const rp_caps *caps = &device->caps;
    float priority = 1;
    features f;
    choose_features(caps, &f);
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueFamilyIndex = caps->queue_family,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = f.chain,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount = f.count,
                               .ppEnabledExtensionNames = f.extensions};
    rp_status status = rp_vk_check(rp_vk.vkCreateDevice(device->physical, &info, NULL, &device->handle),
                                   "vkCreateDevice", err);
    if (status) return status;
    rp_vk_load_device(device->handle, &device->vk);
    device->vk.vkGetDeviceQueue(device->handle, caps->queue_family, 0, &device->queue);
    return RP_OK;
}

/* Write the name pipelines-<pipelineCacheUUID>. A driver refuses the data of another one: so each has a file
 * of its own. */
static void pipeline_cache_name(const rp_device *device, char out[64]) {
    int n = snprintf(out, 64, "pipelines-");
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        n += snprintf(out + n, 64 - (size_t)n, "%02x", device->caps.uuid[i]);
}

bool rp_pipelines_fit(const rp_caps *caps, const void *data, size_t size) {
    VkPipelineCacheHeaderVersionOne header;
    if (size < sizeof header) return false;
    memcpy(&header, data, sizeof header);
    const rp_device_info *info = &caps->info;
    return header.headerSize == sizeof header &&
           header.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           header.vendorID == info->vendor_id && header.deviceID == info->device_id &&
           !memcmp(header.pipelineCacheUUID, caps->uuid, VK_UUID_SIZE);
}

static rp_status open_pipeline_cache(rp_device *device, rp_error *err) {
    char name[64];
    void *data = NULL;
    size_t size = 0;
    pipeline_cache_name(device, name);
    if (rp_cache_read(device->cache_dir, name, &data, &size) && !rp_pipelines_fit(&device->caps, data, size))
        size = 0;
    VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = size, .pInitialData = data};
    VkResult result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &device->pipeline_cache);
    if (result != VK_SUCCESS && size) { /* the driver refuses the file: begin with an empty cache */
        size = info.initialDataSize = 0;
        result = device->vk.vkCreatePipelineCache(device->handle, &info, NULL, &device->pipeline_cache);
    }
    device->pipeline_cache_size = size;
    free(data);
    return rp_vk_check(result, "vkCreatePipelineCache", err);
}

void rp_device_take_pipelines(rp_device *device, rp_pipelines *pipelines) {
    const rp_vk_table *vk = &device->vk;
    size_t size = 0;
    if (!device->cache_dir) return;
    VkResult result = vk->vkGetPipelineCacheData(device->handle, device->pipeline_cache, &size, NULL);
    if (result != VK_SUCCESS || size == device->pipeline_cache_size) return;
    void *data = malloc(size);
    if (!data) return;
    result = vk->vkGetPipelineCacheData(device->handle, device->pipeline_cache, &size, data);
    if (result == VK_SUCCESS) {
        device->pipeline_cache_size = size;
        *pipelines = (rp_pipelines){data, size};
    } else {
        free(data);
    }
}

/* Say that there is no cache folder, unless the caller or the environment wants none. */
static void say_no_cache(rp_device *device, const rp_device_params *params) {
    const char *wanted = params && params->cache_dir ? params->cache_dir : rp_os_getenv("REPRISE_CACHE_DIR");
    if (device->cache_dir || (wanted && !*wanted)) return;
    device->cache_failed = true;
    rp_log_say(&device->log, RP_LOG_WARNING,
               "there is no cache folder (%s cannot be made): each start takes longer; name a folder that "
               "can be written in REPRISE_CACHE_DIR",
               wanted ? wanted : "one below XDG_CACHE_HOME or HOME");
}

void rp_device_write_pipelines(rp_device *device, rp_pipelines *pipelines) {
    char name[64];
    if (!pipelines->data) return;
    pipeline_cache_name(device, name);
    rp_device_write_cache(device, name, pipelines->data, pipelines->size);
    free(pipelines->data);
    *pipelines = (rp_pipelines){0};
}

rp_status rp_device_connect(rp_device *device, rp_error *err) {
    rp_status status = create_device(device, err);
    if (!status) status = open_pipeline_cache(device, err);
    if (status) rp_device_disconnect(device);
    return status;
}

void rp_device_disconnect(rp_device *device) {
    if (!device->handle) return;
    RP_DESTROY(device, vkDestroyPipelineCache, device->pipeline_cache);
    if (!device->hung) device->vk.vkDestroyDevice(device->handle, NULL);
    device->kept |= device->hung;
    device->hung = false;
    device->pipeline_cache = VK_NULL_HANDLE;
    device->handle = VK_NULL_HANDLE;
}

/* On Android what ends the process is the app's crash to its user: that is not risked unless it is asked for.
 */
static bool tries_apart(rp_trials trials) {
#ifdef __ANDROID__
    return trials != RP_TRIALS_WITHIN;
#else
    return trials == RP_TRIALS_APART;
#endif
}

static rp_status copy_params(rp_device *device, const rp_device_params *params, rp_error *err) {
    const char *shader_dir =
        params && params->shader_dir ? params->shader_dir : rp_os_getenv("REPRISE_SHADER_DIR");
    if (shader_dir && shader_dir[0]) {
        device->shader_dir = strdup(shader_dir);
        if (!device->shader_dir) return rp_fail_memory(err, "a path", strlen(shader_dir) + 1);
    }
    device->cache_dir = rp_cache_dir(params ? params->cache_dir : NULL);
    device->try_program = rp_helper_find(params ? params->try_program : NULL);
    device->apart = tries_apart(params ? params->trials : RP_TRIALS_DEFAULT);
    if (params && params->on_tuning) device->tuning = *params->on_tuning;
    if (params && params->call) device->log = (rp_log){params->call->log, params->call->user};
    return RP_OK;
}

static rp_status open_device(rp_device *device, const rp_device_params *params, rp_error *err) {
    VkPhysicalDevice *devices = NULL;
    rp_caps *caps = NULL;
    uint32_t count = 0, chosen = 0;
    double begun = rp_seconds();
    rp_status status = copy_params(device, params, err);
    if (!status) status = rp_vk_load(err);
    double loaded = rp_seconds();
    if (!status) status = create_instance(&device->instance, &device->debug_names, err);
    double made = rp_seconds();
    if (!status) status = enumerate(device->instance, device->shader_dir, &devices, &caps, &count, err);
    if (!status) status = rp_caps_choose(caps, count, params, &chosen, err);
    double chose = rp_seconds();
    if (!status) {
        device->physical = devices[chosen];
        device->caps = caps[chosen];
        bool cpu = device->caps.info.type == RP_DEVICE_CPU;
        device->answer_limit = ANSWER_LIMIT;
        device->batch_limit = BATCH_LIMIT;
        device->submit_limit = cpu ? 0 : SUBMIT_LIMIT;
        device->tuning_limit = cpu ? CPU_TUNING_LIMIT : TUNING_LIMIT;
        status = rp_device_connect(device, err);
    }
    free(devices);
    free(caps);
    device->spent.loader = loaded - begun;
    device->spent.instance = made - loaded;
    device->spent.choice = chose - made;
    device->spent.device = rp_seconds() - chose;
    return status;
}

rp_status rp_device_open(const rp_device_params *params, rp_device **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_device_open: out must not be NULL");
    *out = NULL;
    rp_visit visit;
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, RP_COUNT(params->reserved),
                                         "rp_device_open", err);
    if (!status && params && (unsigned)params->trials > RP_TRIALS_APART)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_device_open: trials %d is not one of rp_trials",
                         (int)params->trials);
    if (!status) status = rp_visit_enter(&visit, NULL, params ? params->call : NULL, "rp_device_open", err);
    if (status) return status;
    rp_device *device = rp_new(rp_device);
    if (!device) {
        rp_visit_leave(&visit);
        return rp_fail_memory(err, "a device", sizeof *device);
    }
    device->owner = rp_os_process();
    pthread_mutex_init(&device->queue_lock, NULL);
    pthread_mutex_init(&device->users_lock, NULL);
    pthread_mutex_init(&device->losses_lock, NULL);
    pthread_rwlock_init(&device->entered, NULL);
    rp_gate_init(&device->gate);
    status = open_device(device, params, err);
    if (!status) say_no_cache(device, params);
    rp_visit_leave(&visit);
    if (status) rp_device_close(&device);
    *out = device;
    return status;
}

/* True when no model is open on the device. False: its gate is open for calls again. */
static bool is_unused(rp_device *device) {
    pthread_mutex_lock(&device->users_lock);
    bool unused = !device->users;
    pthread_mutex_unlock(&device->users_lock);
    if (!unused) rp_gate_reopen(&device->gate);
    return unused;
}

rp_status rp_device_close(rp_device **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_device *device = *pointer;
    if (device->owner != rp_os_process()) { /* a forked process owns nothing of it */
        *pointer = NULL;
        return RP_OK;
    }
    if (!rp_gate_close(&device->gate) || !is_unused(device)) return RP_ERROR_ARGUMENT;
    *pointer = NULL;
    rp_pipelines made = {0};
    if (device->handle && !device->lost) rp_device_take_pipelines(device, &made);
    rp_device_write_pipelines(device, &made);
    rp_device_disconnect(device);
    if (device->instance && !device->kept) rp_vk.vkDestroyInstance(device->instance, NULL);
    pthread_mutex_destroy(&device->queue_lock);
    pthread_mutex_destroy(&device->users_lock);
    pthread_mutex_destroy(&device->losses_lock);
    free(device->losses);
    pthread_rwlock_destroy(&device->entered);
    rp_gate_finish(&device->gate);
    free(device->shader_dir);
    free(device->cache_dir);
    free(device->try_program);
    free(device);
    return RP_OK;
}

const rp_device_info *rp_device_get_info(const rp_device *device) {
    return device ? &device->caps.info : NULL;
}

uint64_t rp_device_memory_used(const rp_device *device) {
    return device ? device->bytes : 0;
}

void rp_device_name(rp_device *device, VkObjectType type, uint64_t handle, const char *name) {
    if (!device->debug_names || !rp_vk.vkSetDebugUtilsObjectNameEXT) return;
    VkDebugUtilsObjectNameInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
                                          .objectType = type,
                                          .objectHandle = handle,
                                          .pObjectName = name};
    rp_vk.vkSetDebugUtilsObjectNameEXT(device->handle, &info);
}

void rp_device_stop(rp_device *device) {
    if (device) device->stopped = true;
}

rp_status rp_device_check_stopped(const rp_device *device, rp_error *err) {
    if (!device->stopped) return rp_call_check(err);
    return rp_fail(err, RP_ERROR_STOPPED, "stopped before all kernels of %s were proven",
                   device->caps.info.name);
}

void rp_device_add_user(rp_device *device, rp_device_user *user) {
    pthread_mutex_lock(&device->users_lock);
    user->next = device->users;
    device->users = user;
    pthread_mutex_unlock(&device->users_lock);
}

void rp_device_remove_user(rp_device *device, rp_device_user *user) {
    pthread_mutex_lock(&device->users_lock);
    for (rp_device_user **at = &device->users; *at; at = &(*at)->next)
        if (*at == user) {
            *at = user->next;
            break;
        }
    pthread_mutex_unlock(&device->users_lock);
}
