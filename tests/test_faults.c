/* Every Vulkan call that can fail is made to fail, at every place where opening and running a model makes it:
 * an error with a message, nothing left behind, and a device that works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gpu/device.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

/* ---- the fault: the call number `due` of `failing` gives `result` instead ---- */

static rp_device *device;
static rp_vk_table real;
static const char *failing;
static int due;
static VkResult result;

static bool fails(const char *name) {
    return !strcmp(name, failing) && due-- == 0;
}

#define FAULT(name, parameters, arguments)                          \
    static VKAPI_ATTR VkResult VKAPI_CALL fault_##name parameters { \
        return fails(#name) ? result : real.name arguments;         \
    }

FAULT(vkCreateBuffer, (VkDevice d, const VkBufferCreateInfo *i, const VkAllocationCallbacks *a, VkBuffer *o),
      (d, i, a, o))
FAULT(vkAllocateMemory,
      (VkDevice d, const VkMemoryAllocateInfo *i, const VkAllocationCallbacks *a, VkDeviceMemory *o),
      (d, i, a, o))
FAULT(vkBindBufferMemory, (VkDevice d, VkBuffer b, VkDeviceMemory m, VkDeviceSize o), (d, b, m, o))
FAULT(vkMapMemory,
      (VkDevice d, VkDeviceMemory m, VkDeviceSize o, VkDeviceSize s, VkMemoryMapFlags f, void **p),
      (d, m, o, s, f, p))
FAULT(vkCreateShaderModule,
      (VkDevice d, const VkShaderModuleCreateInfo *i, const VkAllocationCallbacks *a, VkShaderModule *o),
      (d, i, a, o))
FAULT(vkCreateDescriptorSetLayout,
      (VkDevice d, const VkDescriptorSetLayoutCreateInfo *i, const VkAllocationCallbacks *a,
       VkDescriptorSetLayout *o),
      (d, i, a, o))
FAULT(vkCreatePipelineLayout,
      (VkDevice d, const VkPipelineLayoutCreateInfo *i, const VkAllocationCallbacks *a, VkPipelineLayout *o),
      (d, i, a, o))
FAULT(vkCreateComputePipelines,
      (VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *i,
       const VkAllocationCallbacks *a, VkPipeline *o),
      (d, c, n, i, a, o))
FAULT(vkCreateDescriptorPool,
      (VkDevice d, const VkDescriptorPoolCreateInfo *i, const VkAllocationCallbacks *a, VkDescriptorPool *o),
      (d, i, a, o))
FAULT(vkAllocateDescriptorSets, (VkDevice d, const VkDescriptorSetAllocateInfo *i, VkDescriptorSet *o),
      (d, i, o))
FAULT(vkCreateBufferView,
      (VkDevice d, const VkBufferViewCreateInfo *i, const VkAllocationCallbacks *a, VkBufferView *o),
      (d, i, a, o))
FAULT(vkCreateCommandPool,
      (VkDevice d, const VkCommandPoolCreateInfo *i, const VkAllocationCallbacks *a, VkCommandPool *o),
      (d, i, a, o))
FAULT(vkAllocateCommandBuffers, (VkDevice d, const VkCommandBufferAllocateInfo *i, VkCommandBuffer *o),
      (d, i, o))
FAULT(vkBeginCommandBuffer, (VkCommandBuffer c, const VkCommandBufferBeginInfo *i), (c, i))
FAULT(vkEndCommandBuffer, (VkCommandBuffer c), (c))
FAULT(vkCreateFence, (VkDevice d, const VkFenceCreateInfo *i, const VkAllocationCallbacks *a, VkFence *o),
      (d, i, a, o))
FAULT(vkQueueSubmit, (VkQueue q, uint32_t n, const VkSubmitInfo *i, VkFence f), (q, n, i, f))
FAULT(vkGetPipelineCacheData, (VkDevice d, VkPipelineCache c, size_t *s, void *p), (d, c, s, p))

static void begin_fault(const char *name, int call, VkResult gives) {
    rp_vk_table *vk = &device->vk;
    real = *vk;
    failing = name;
    due = call;
    result = gives;
#define REPLACE(name) vk->name = fault_##name
    REPLACE(vkCreateBuffer);
    REPLACE(vkAllocateMemory);
    REPLACE(vkBindBufferMemory);
    REPLACE(vkMapMemory);
    REPLACE(vkCreateShaderModule);
    REPLACE(vkCreateDescriptorSetLayout);
    REPLACE(vkCreatePipelineLayout);
    REPLACE(vkCreateComputePipelines);
    REPLACE(vkCreateDescriptorPool);
    REPLACE(vkAllocateDescriptorSets);
    REPLACE(vkCreateBufferView);
    REPLACE(vkCreateCommandPool);
    REPLACE(vkAllocateCommandBuffers);
    REPLACE(vkBeginCommandBuffer);
    REPLACE(vkEndCommandBuffer);
    REPLACE(vkCreateFence);
    REPLACE(vkQueueSubmit);
    REPLACE(vkGetPipelineCacheData);
}

/* True when the fault was reached. */
static bool end_fault(void) {
    device->vk = real;
    return due < 0;
}

/* ---- the work ---- */

static golden g;

static int setup(void **state) {
    (void)state;
    rp_error err = {0};
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device && golden_open("groups", NULL, &g) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    rp_device_close(&device);
    return 0;
}

/* Open the model and run it once. */
static rp_status work(rp_error *err) {
    static float out[4096];
    rp_model *model = NULL;
    rp_status status = rp_model_open(device, g.dir, NULL, &model, err);
    assert_int_equal(status == RP_OK, model != NULL);
    if (!status) status = rp_model_run(model, g.sequences, 1, NULL, out, RP_COUNT(out), NULL, err);
    rp_model_close(&model);
    return status;
}

static void check_works(void) {
    rp_error err = {0};
    rp_status status = work(&err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_int_equal(rp_device_memory_used(device), 0);
}

typedef enum kind {
    EXPECTED, /* the work fails */
    HARMLESS, /* it does without */
    SELDOM,   /* it fails, but not every device and build makes this call */
} kind;

typedef struct fault {
    const char *name;
    VkResult result;
    rp_status status;
    kind kind;
} fault;

static const fault faults[] = {
    {"vkCreateBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkAllocateMemory", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateMemory", VK_ERROR_TOO_MANY_OBJECTS, RP_ERROR_DEVICE, EXPECTED},
    {"vkBindBufferMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateShaderModule", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateDescriptorSetLayout", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreatePipelineLayout", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkCreateComputePipelines", VK_ERROR_INVALID_SHADER_NV, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateDescriptorPool", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkAllocateDescriptorSets", VK_ERROR_OUT_OF_POOL_MEMORY, RP_ERROR_DEVICE, EXPECTED},
    {"vkCreateBufferView", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, SELDOM},
    {"vkCreateCommandPool", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkEndCommandBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY, RP_ERROR_DEVICE_MEMORY, EXPECTED},
    {"vkCreateFence", VK_ERROR_OUT_OF_HOST_MEMORY, RP_ERROR_HOST_MEMORY, EXPECTED},
    {"vkQueueSubmit", VK_ERROR_DEVICE_LOST, RP_ERROR_DEVICE_LOST, EXPECTED},
    {"vkGetPipelineCacheData", VK_ERROR_OUT_OF_HOST_MEMORY, RP_OK, HARMLESS},
};

static void test_fault(void **state) {
    const fault *f = *state;
    int calls = 0, step = 1;
    for (;; calls += step) {
        rp_error err = {0};
        begin_fault(f->name, calls, f->result);
        rp_status status = work(&err);
        if (!end_fault()) {
            assert_int_equal(status, RP_OK);
            break;
        }
        assert_int_equal(status, f->status);
        assert_int_equal(err.status, f->status);
        if (f->kind != HARMLESS) assert_true(strlen(err.message) > 20);
        assert_int_equal(rp_device_memory_used(device), 0);
        if (calls >= 8) step = 7; /* the first places one by one */
    }
    if (f->kind != SELDOM) assert_true(calls > 0);
    check_works();
}

int main(void) {
    struct CMUnitTest tests[RP_COUNT(faults)];
    for (size_t i = 0; i < RP_COUNT(faults); i++)
        tests[i] = (struct CMUnitTest){
            .name = faults[i].name, .test_func = test_fault, .initial_state = (void *)&faults[i]};
    return cmocka_run_group_tests(tests, setup, teardown);
}
