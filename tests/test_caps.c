/* What is asked of a driver, and the choices that follow: on drivers made up for the test, and on the memory
 * of devices as their drivers list it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/caps.h"
#include "gpu/vk_cooperative.h"

/* ---- a driver that says what the test wants ---- */

static struct driver {
    VkPhysicalDeviceProperties properties;
    VkQueueFamilyProperties families[4];
    uint32_t family_count;
    VkPhysicalDeviceMemoryProperties memory;
    bool narrow_scopes; /* no vulkanMemoryModelDeviceScope */
    const char *extensions[4];
    VkShaderStageFlags subgroup_stages;
    VkSubgroupFeatureFlags subgroup_operations;
    uint32_t subgroup_size;
    unsigned asked; /* questions of Vulkan 1.1 */
} driver;

static VKAPI_ATTR void VKAPI_CALL get_properties(VkPhysicalDevice physical, VkPhysicalDeviceProperties *out) {
    (void)physical;
    *out = driver.properties;
}

static VKAPI_ATTR void VKAPI_CALL get_families(VkPhysicalDevice physical, uint32_t *count,
                                               VkQueueFamilyProperties *out) {
    (void)physical;
    if (out) memcpy(out, driver.families, driver.family_count * sizeof *out);
    *count = driver.family_count;
}

static VKAPI_ATTR void VKAPI_CALL get_memory(VkPhysicalDevice physical,
                                             VkPhysicalDeviceMemoryProperties *out) {
    (void)physical;
    *out = driver.memory;
}

static VKAPI_ATTR VkResult VKAPI_CALL get_extensions(VkPhysicalDevice physical, const char *layer,
                                                     uint32_t *count, VkExtensionProperties *out) {
    (void)physical, (void)layer;
    uint32_t n = 0;
    for (; n < RP_COUNT(driver.extensions) && driver.extensions[n]; n++)
        if (out) snprintf(out[n].extensionName, sizeof out[n].extensionName, "%s", driver.extensions[n]);
    *count = n;
    return VK_SUCCESS;
}

static bool offers(const char *extension) {
    for (size_t i = 0; i < RP_COUNT(driver.extensions) && driver.extensions[i]; i++)
        if (!strcmp(driver.extensions[i], extension)) return true;
    return false;
}

/* A structure of an extension that the device lacks must not be in the chain. */
static VKAPI_ATTR void VKAPI_CALL get_features(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *out) {
    (void)physical;
    driver.asked++;
    for (VkBaseOutStructure *next = out->pNext; next; next = next->pNext) switch ((int)next->sType) {
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
            ((VkPhysicalDevice16BitStorageFeatures *)next)->storageBuffer16BitAccess = VK_TRUE;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
            assert_true(offers(VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME));
            ((VkPhysicalDeviceShaderFloat16Int8Features *)next)->shaderFloat16 = VK_TRUE;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
            assert_true(offers(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME));
            ((VkPhysicalDeviceShaderIntegerDotProductFeatures *)next)->shaderIntegerDotProduct = VK_TRUE;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
            ((VkPhysicalDeviceVulkanMemoryModelFeatures *)next)->vulkanMemoryModel = VK_TRUE;
            ((VkPhysicalDeviceVulkanMemoryModelFeatures *)next)->vulkanMemoryModelDeviceScope =
                !driver.narrow_scopes;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
            assert_true(offers(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME));
            ((VkPhysicalDeviceCooperativeMatrixFeaturesKHR *)next)->cooperativeMatrix = VK_TRUE;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV:
            assert_true(offers(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME));
            ((VkPhysicalDeviceCooperativeMatrixFeaturesNV *)next)->cooperativeMatrix = VK_TRUE;
            break;
        }
}

/* By KHR's extension one product that counts, by NV's another two; and around them what does not: sums in
 * float16, integers, whole workgroups. */
static VKAPI_ATTR VkResult VKAPI_CALL get_matrices(VkPhysicalDevice physical, uint32_t *count,
                                                   VkCooperativeMatrixPropertiesKHR *out) {
    (void)physical;
    if (out)
        out[0] = (VkCooperativeMatrixPropertiesKHR){.sType = out[0].sType,
                                                    .MSize = 16,
                                                    .NSize = 16,
                                                    .KSize = 16,
                                                    .CType = VK_COMPONENT_TYPE_FLOAT32_KHR,
                                                    .ResultType = VK_COMPONENT_TYPE_FLOAT32_KHR,
                                                    .scope = VK_SCOPE_SUBGROUP_KHR};
    *count = 1;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL get_matrices_nv(VkPhysicalDevice physical, uint32_t *count,
                                                      VkCooperativeMatrixPropertiesNV *out) {
    enum { F16 = VK_COMPONENT_TYPE_FLOAT16_NV, F32 = VK_COMPONENT_TYPE_FLOAT32_NV };
    static const struct {
        uint32_t m, n, k;
        int a, b, c, d, scope;
    } list[] = {{16, 8, 16, F16, F16, F16, F16, VK_SCOPE_SUBGROUP_NV},
                {16, 8, 16, F16, F16, F32, F32, VK_SCOPE_SUBGROUP_NV},
                {16, 8, 8, F16, F16, F32, F16, VK_SCOPE_SUBGROUP_NV},
                {64, 8, 8, F16, F16, F32, F32, VK_SCOPE_WORKGROUP_NV},
                {16, 8, 8, F16, F16, F32, F32, VK_SCOPE_SUBGROUP_NV},
                {16, 8, 32, VK_COMPONENT_TYPE_SINT8_NV, VK_COMPONENT_TYPE_SINT8_NV,
                 VK_COMPONENT_TYPE_SINT32_NV, VK_COMPONENT_TYPE_SINT32_NV, VK_SCOPE_SUBGROUP_NV}};
    (void)physical;
    for (size_t i = 0; out && i < RP_COUNT(list); i++) {
        assert_int_equal(out[i].sType, VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV);
        out[i].MSize = list[i].m;
        out[i].NSize = list[i].n;
        out[i].KSize = list[i].k;
        out[i].AType = list[i].a;
        out[i].BType = list[i].b;
        out[i].CType = list[i].c;
        out[i].DType = list[i].d;
        out[i].scope = list[i].scope;
    }
    *count = RP_COUNT(list);
    return VK_SUCCESS;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_function(VkInstance instance, const char *name) {
    (void)instance;
    if (!strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"))
        return (PFN_vkVoidFunction)get_matrices;
    assert_string_equal(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesNV");
    return (PFN_vkVoidFunction)get_matrices_nv;
}

static void fill_driver(VkPhysicalDeviceDriverProperties *out) {
    snprintf(out->driverName, sizeof out->driverName, "made up");
    snprintf(out->driverInfo, sizeof out->driverInfo, "7.1");
}

static VKAPI_ATTR void VKAPI_CALL get_properties2(VkPhysicalDevice physical,
                                                  VkPhysicalDeviceProperties2 *out) {
    uint32_t version = driver.properties.apiVersion;
    (void)physical;
    driver.asked++;
    for (VkBaseOutStructure *next = out->pNext; next; next = next->pNext) switch ((int)next->sType) {
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES: {
            VkPhysicalDeviceSubgroupProperties *subgroup = (void *)next;
            subgroup->subgroupSize = driver.subgroup_size;
            subgroup->supportedStages = driver.subgroup_stages;
            subgroup->supportedOperations = driver.subgroup_operations;
            break;
        }
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES:
            ((VkPhysicalDeviceMaintenance3Properties *)next)->maxMemoryAllocationSize = 3u << 30;
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES:
            assert_true(version >= VK_API_VERSION_1_2);
            fill_driver((void *)next);
            break;
        case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES:
            assert_true(version >= VK_API_VERSION_1_3);
            break;
        }
}

/* The least that Vulkan 1.1 allows, and 8 storage buffers instead of 4. */
static int make_driver(void **state) {
    (void)state;
    rp_vk.vkGetPhysicalDeviceProperties = get_properties;
    rp_vk.vkGetPhysicalDeviceQueueFamilyProperties = get_families;
    rp_vk.vkGetPhysicalDeviceMemoryProperties = get_memory;
    rp_vk.vkEnumerateDeviceExtensionProperties = get_extensions;
    rp_vk.vkGetPhysicalDeviceFeatures2 = get_features;
    rp_vk.vkGetPhysicalDeviceProperties2 = get_properties2;
    rp_vk.vkGetInstanceProcAddr = get_function;
    driver = (struct driver){
        .properties = {.apiVersion = VK_API_VERSION_1_1,
                       .driverVersion = VK_MAKE_API_VERSION(0, 5, 6, 7),
                       .deviceType = VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU,
                       .deviceName = "Modest GPU",
                       .limits = {.maxStorageBufferRange = 1 << 27,
                                  .maxTexelBufferElements = 65536,
                                  .maxPushConstantsSize = 128,
                                  .maxBoundDescriptorSets = 4,
                                  .maxPerStageDescriptorStorageBuffers = 8,
                                  .maxPerStageResources = 128,
                                  .maxDescriptorSetStorageBuffers = 24,
                                  .maxComputeSharedMemorySize = 16384,
                                  .maxComputeWorkGroupCount = {65535, 65535, 65535},
                                  .maxComputeWorkGroupInvocations = 128,
                                  .maxComputeWorkGroupSize = {128, 128, 64},
                                  .minStorageBufferOffsetAlignment = 256,
                                  .minTexelBufferOffsetAlignment = 256,
                                  .nonCoherentAtomSize = 256}},
        .families = {{.queueFlags = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT, .queueCount = 1}},
        .family_count = 1,
        .memory = {.memoryHeapCount = 1, .memoryHeaps = {{1ull << 32, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}}}};
    return 0;
}

static rp_caps probe(void) {
    rp_caps caps;
    rp_caps_probe(VK_NULL_HANDLE, (VkPhysicalDevice)&driver, 3, false, &caps);
    return caps;
}

/* ---- asking ---- */

static void test_modest_device_is_usable(void **state) {
    (void)state;
    rp_caps caps = probe();
    assert_true(caps.info.usable);
    assert_string_equal(caps.info.reason, "");
    assert_int_equal(caps.info.index, 3);
    assert_string_equal(caps.info.name, "Modest GPU");
    assert_string_equal(caps.info.driver, "5.6.7");
    assert_int_equal(caps.info.type, RP_DEVICE_INTEGRATED);
    assert_int_equal(caps.info.memory_bytes, 1ull << 32);
    assert_int_equal(caps.info.max_storage_bytes, 1 << 27);
    assert_int_equal(caps.info.shared_bytes, 16384);
    assert_int_equal(caps.info.max_invocations, 128);
    assert_int_equal(caps.info.subgroup_size, 1);
    assert_false(caps.info.fp16_arithmetic || caps.info.int8_dot || caps.info.cooperative_matrix);
    assert_false(caps.info.timestamps);
    assert_int_equal(caps.storage_alignment, 256);
    assert_int_equal(caps.max_allocation, 3u << 30);
    assert_int_equal(driver.asked, 2);
}

static void test_newer_device(void **state) {
    (void)state;
    driver.properties.apiVersion = VK_API_VERSION_1_3;
    driver.extensions[0] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
    driver.extensions[1] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    driver.extensions[2] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
    driver.subgroup_size = 32;
    driver.subgroup_stages = VK_SHADER_STAGE_COMPUTE_BIT;
    driver.subgroup_operations = VK_SUBGROUP_FEATURE_BALLOT_BIT;
    rp_caps caps = probe();
    assert_true(caps.info.usable);
    assert_string_equal(caps.info.driver, "made up 7.1");
    assert_true(caps.info.fp16_arithmetic && caps.info.int8_dot && caps.info.cooperative_matrix);
    assert_int_equal(caps.info.subgroup_size, 32);
    assert_true(caps.info.subgroup_broadcast);
    assert_false(caps.info.subgroup_arithmetic);
}

/* Each extension's cooperative matrices count for the shaders that need it, whatever the other one offers. */
static void test_cooperative_matrices(void **state) {
    static const rp_matrix_shape listed_nv[] = {{16, 8, 16}, {16, 8, 8}};
    (void)state;
    driver.extensions[0] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
    driver.extensions[1] = VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME;
    driver.extensions[2] = VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME;
    rp_caps caps = probe();
    assert_true(caps.info.cooperative_matrix);
    assert_false(caps.has_cooperative_matrix || caps.matrix_nv || caps.matrix_shape_count);
    for (int both = 0; both <= 1; both++) {
        if (both) driver.extensions[3] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        rp_caps_probe(VK_NULL_HANDLE, (VkPhysicalDevice)&driver, 3, true, &caps);
        assert_true(caps.info.cooperative_matrix && caps.has_cooperative_matrix && caps.matrix_nv);
        assert_int_equal(caps.matrix_shape_count, 2);
        assert_memory_equal(caps.matrix_shapes, listed_nv, sizeof listed_nv);
    }
    caps = probe();
    assert_true(caps.has_cooperative_matrix && !caps.matrix_nv);
    assert_int_equal(caps.matrix_shape_count, 1);
    assert_int_equal(caps.matrix_shapes[0].n, 16);
    driver.narrow_scopes = true; /* which the other shaders may not have beside a memory model */
    assert_false(probe().has_cooperative_matrix);
    driver.narrow_scopes = false;
    driver.extensions[1] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME; /* no memory model */
    rp_caps_probe(VK_NULL_HANDLE, (VkPhysicalDevice)&driver, 3, true, &caps);
    assert_true(caps.info.cooperative_matrix);
    assert_false(caps.has_cooperative_matrix || caps.matrix_shape_count);
}

/* Subgroups that compute shaders cannot use are none. */
static void test_subgroups_of_other_stages(void **state) {
    (void)state;
    driver.subgroup_size = 32;
    driver.subgroup_stages = VK_SHADER_STAGE_FRAGMENT_BIT;
    driver.subgroup_operations = VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT;
    rp_caps caps = probe();
    assert_int_equal(caps.info.subgroup_size, 1);
    assert_false(caps.info.subgroup_broadcast || caps.info.subgroup_arithmetic);
}

static void test_old_driver(void **state) {
    (void)state;
    driver.properties.apiVersion = VK_MAKE_API_VERSION(0, 1, 0, 277);
    rp_caps caps = probe();
    assert_false(caps.info.usable);
    assert_non_null(strstr(caps.info.reason, "Vulkan 1.0 and 1.1 is needed: update the driver"));
    assert_int_equal(driver.asked, 0); /* it does not have the functions of 1.1 */
}

static void test_no_compute_queue(void **state) {
    (void)state;
    driver.families[0].queueFlags = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_TRANSFER_BIT;
    driver.families[1] = (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_COMPUTE_BIT, .queueCount = 0};
    driver.family_count = 2;
    rp_caps caps = probe();
    assert_int_equal(caps.queue_family, RP_NO_QUEUE);
    assert_false(caps.info.usable);
    assert_non_null(strstr(caps.info.reason, "no compute queue"));
    driver.family_count = 0;
    assert_false(probe().info.usable);
}

static void test_queue_beside_graphics(void **state) {
    (void)state;
    driver.properties.limits.timestampPeriod = 2;
    driver.families[1] = (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_TRANSFER_BIT, .queueCount = 2};
    driver.families[2] = (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_COMPUTE_BIT | VK_QUEUE_TRANSFER_BIT,
                                                   .queueCount = 4,
                                                   .timestampValidBits = 36};
    driver.families[3] = (VkQueueFamilyProperties){.queueFlags = VK_QUEUE_COMPUTE_BIT, .queueCount = 1};
    driver.family_count = 2;
    assert_int_equal(probe().queue_family, 0);
    assert_false(probe().info.timestamps);
    driver.family_count = 4;
    assert_int_equal(probe().queue_family, 2);
    assert_true(probe().info.timestamps);
}

static void test_limits_below_need(void **state) {
    (void)state;
    VkPhysicalDeviceLimits *limits = &driver.properties.limits;
    const struct {
        uint32_t *limit, value;
        const char *says;
    } cases[] = {
        {&limits->maxPerStageDescriptorStorageBuffers, 4, "4 storage buffers in a shader and 8"},
        {&limits->maxDescriptorSetStorageBuffers, 7, "7 storage buffers in a descriptor set"},
        {&limits->maxPerStageResources, 7, "resources"},
        {&limits->maxBoundDescriptorSets, 0, "0 descriptor sets"},
        {&limits->maxPushConstantsSize, 63, "63 bytes of push constants and 64"},
        {&limits->maxComputeWorkGroupInvocations, 63, "63 invocations"},
        {&limits->maxComputeWorkGroupSize[0], 32, "32 invocations side by side"},
        {&limits->maxComputeWorkGroupCount[0], 65534, "workgroups in a dispatch"},
        {&limits->maxComputeSharedMemorySize, 4095, "shared memory"},
        {&limits->maxStorageBufferRange, 1 << 20, "1048576 bytes in a storage buffer"},
    };
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        uint32_t before = *cases[i].limit;
        *cases[i].limit = cases[i].value;
        rp_caps caps = probe();
        assert_false(caps.info.usable);
        if (!strstr(caps.info.reason, cases[i].says)) fail_msg("%s: %s", cases[i].says, caps.info.reason);
        *cases[i].limit = before;
    }
    assert_true(probe().info.usable);
}

static void test_odd_answers(void **state) {
    (void)state;
    memset(driver.properties.deviceName, 'x', sizeof driver.properties.deviceName - 1);
    driver.properties.limits.nonCoherentAtomSize = 0;
    rp_caps caps = probe();
    assert_true(caps.info.usable);
    assert_int_equal(strlen(caps.info.name), 255);
    assert_int_equal(caps.atom_size, 1); /* sizes are divided by it */
}

/* ---- choosing a device ---- */

static const rp_caps machine[] = {
    {.info =
         {.index = 0, .name = "llvmpipe (LLVM 15)", .driver = "Mesa", .type = RP_DEVICE_CPU, .usable = true}},
    {.info = {.index = 1,
              .name = "Intel UHD 630",
              .driver = "Mesa",
              .type = RP_DEVICE_INTEGRATED,
              .usable = true}},
    {.info =
         {.index = 2, .name = "Radeon 9000", .type = RP_DEVICE_DISCRETE, .reason = "its driver is too old"}},
    {.info = {.index = 3,
              .name = "GeForce 9",
              .driver = "NVIDIA 550",
              .type = RP_DEVICE_DISCRETE,
              .usable = true}},
    {.info = {.index = 4,
              .name = "GeForce 8",
              .driver = "NVIDIA 550",
              .type = RP_DEVICE_DISCRETE,
              .usable = true}},
};

static uint32_t choose(uint32_t count, uint32_t index, const char *name, rp_error *err) {
    rp_device_params params = {.index = index, .name = name};
    uint32_t chosen = 99;
    rp_status status = rp_caps_choose(machine, count, &params, &chosen, err);
    assert_int_equal(status, chosen == 99 ? RP_ERROR_DEVICE : RP_OK);
    return chosen;
}

static void test_choice(void **state) {
    (void)state;
    uint32_t chosen = 99;
    assert_int_equal(rp_caps_choose(machine, 5, NULL, &chosen, NULL), RP_OK);
    assert_int_equal(chosen, 3);                   /* the first discrete one that works */
    assert_int_equal(choose(3, 0, NULL, NULL), 1); /* integrated before CPU; the broken one is passed over */
    assert_int_equal(choose(1, 0, NULL, NULL), 0); /* a CPU when there is nothing else */
    assert_int_equal(choose(5, 1, NULL, NULL), 0); /* by index, whatever its rank */
    assert_int_equal(choose(5, 5, NULL, NULL), 4);
    assert_int_equal(choose(5, 0, "uhd", NULL), 1);  /* part of the name, any case */
    assert_int_equal(choose(5, 0, "mesa", NULL), 1); /* or of the driver */
    assert_int_equal(choose(5, 0, "8", NULL), 4);
    assert_int_equal(choose(5, 1, "llvm", NULL), 0); /* both must fit */
}

static void check_refused(uint32_t count, uint32_t index, const char *name, const char *says) {
    rp_error err = {0};
    assert_int_equal(choose(count, index, name, &err), 99);
    assert_int_equal(err.status, RP_ERROR_DEVICE);
    if (!strstr(err.message, says)) fail_msg("%s: %s", says, err.message);
}

static void test_no_choice(void **state) {
    (void)state;
    check_refused(0, 0, NULL, "no GPU was found");
    check_refused(0, 0, NULL, "install the driver");
    check_refused(5, 6, NULL, "no device 5: this system has numbers 0 to 4");
    check_refused(5, UINT32_MAX, NULL, "no device 4294967294");
    check_refused(5, 0, "Mali", "\"Mali\"");
    check_refused(5, 0, "Mali", "reprise devices");
    check_refused(5, 3, NULL, "device 2 (Radeon 9000) cannot be used: its driver is too old");
    check_refused(5, 0, "radeon", "its driver is too old");
    check_refused(5, 2, "llvm", "no device");
}

/* ---- choosing memory ---- */

enum {
    LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
    VISIBLE = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
    COHERENT = VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
    CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
    LAZY = VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT,
    PROTECTED = VK_MEMORY_PROPERTY_PROTECTED_BIT,
    AMD = VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD,
    NONE = -1,
};

/* Memory types as drivers list them, and the ones that serve weights, inputs and results. */
static const struct {
    const char *name;
    rp_device_type type;
    int types[12]; /* ends with NONE */
    int device, input, output;
} snapshots[] = {
    {"AMD, 256 MiB window",
     RP_DEVICE_DISCRETE,
     {LOCAL, LOCAL, VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, LOCAL | AMD,
      VISIBLE | COHERENT | AMD, NONE},
     0,
     3,
     4},
    {"AMD, types of features that are off first",
     RP_DEVICE_DISCRETE,
     {LOCAL | AMD, VISIBLE | COHERENT | CACHED | AMD, LOCAL, VISIBLE | COHERENT, NONE},
     2,
     3,
     3},
    {"NVIDIA",
     RP_DEVICE_DISCRETE,
     {0, LOCAL, VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, LOCAL | VISIBLE | COHERENT, NONE},
     1,
     4,
     3},
    {"a discrete card without a window", RP_DEVICE_DISCRETE, {VISIBLE | COHERENT, LOCAL, NONE}, 1, 0, 0},
    {"Intel integrated",
     RP_DEVICE_INTEGRATED,
     {LOCAL, LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | COHERENT | CACHED, NONE},
     1,
     1,
     2},
    {"Adreno",
     RP_DEVICE_INTEGRATED,
     {LOCAL, LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | CACHED, LOCAL | PROTECTED, LOCAL | LAZY, NONE},
     1,
     1,
     2},
    {"Mali",
     RP_DEVICE_INTEGRATED,
     {LOCAL | VISIBLE | COHERENT, LOCAL | VISIBLE | CACHED, LOCAL | LAZY, NONE},
     0,
     0,
     1},
    {"Apple",
     RP_DEVICE_INTEGRATED,
     {LOCAL, LOCAL | VISIBLE | COHERENT | CACHED, LOCAL | LAZY, NONE},
     1,
     1,
     1},
    {"only non-coherent", RP_DEVICE_INTEGRATED, {LOCAL, VISIBLE | CACHED, NONE}, 0, 1, 1},
    {"llvmpipe", RP_DEVICE_CPU, {LOCAL | VISIBLE | COHERENT | CACHED, NONE}, 0, 0, 0},
    {"nothing for the host",
     RP_DEVICE_OTHER,
     {LOCAL, LOCAL | LAZY, LOCAL | VISIBLE | PROTECTED, NONE},
     0,
     NONE,
     NONE},
    {"no device-local memory",
     RP_DEVICE_VIRTUAL,
     {VISIBLE | COHERENT, VISIBLE | COHERENT | CACHED, NONE},
     0,
     0,
     1},
};

static void test_memory_types(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(snapshots); i++) {
        rp_caps caps = {.info.type = snapshots[i].type};
        for (; snapshots[i].types[caps.memory.memoryTypeCount] != NONE; caps.memory.memoryTypeCount++)
            caps.memory.memoryTypes[caps.memory.memoryTypeCount].propertyFlags =
                (VkMemoryPropertyFlags)snapshots[i].types[caps.memory.memoryTypeCount];
        int got[] = {(int)rp_caps_memory_type(&caps, RP_MEMORY_DEVICE, ~0u),
                     (int)rp_caps_memory_type(&caps, RP_MEMORY_INPUT, ~0u),
                     (int)rp_caps_memory_type(&caps, RP_MEMORY_OUTPUT, ~0u)};
        if (got[0] != snapshots[i].device || got[1] != snapshots[i].input || got[2] != snapshots[i].output)
            fail_msg("%s: %d %d %d", snapshots[i].name, got[0], got[1], got[2]);
    }
}

/* A buffer may not live in every type. */
static void test_memory_type_bits(void **state) {
    (void)state;
    rp_caps caps = {
        .info.type = RP_DEVICE_DISCRETE,
        .memory = {.memoryTypeCount = 3,
                   .memoryTypes = {{LOCAL, 0}, {LOCAL | VISIBLE | COHERENT, 0}, {VISIBLE | COHERENT, 1}}}};
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_DEVICE, 6), 1);
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_DEVICE, 4), 2);
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_INPUT, 5), 2);
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_INPUT, 1), UINT32_MAX);
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_DEVICE, 0), UINT32_MAX);
    assert_int_equal(rp_caps_memory_type(&caps, RP_MEMORY_DEVICE, 1u << 31), UINT32_MAX);
}

#define TEST(function) cmocka_unit_test_setup(function, make_driver)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_modest_device_is_usable),
        TEST(test_newer_device),
        TEST(test_cooperative_matrices),
        TEST(test_subgroups_of_other_stages),
        TEST(test_old_driver),
        TEST(test_no_compute_queue),
        TEST(test_queue_beside_graphics),
        TEST(test_limits_below_need),
        TEST(test_odd_answers),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_choice),
        cmocka_unit_test(test_memory_types),
        cmocka_unit_test(test_memory_type_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
