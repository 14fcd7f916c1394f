#include "gpu/pipeline.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/os.h"
#include "gpu/shader.h"

enum { MOST_THREADS = 7 }; /* at most, that compile beside the caller's thread */

static bool same(const rp_pipeline_key *a, const rp_pipeline_key *b) {
    return !strcmp(a->shader, b->shader) && a->constant_count == b->constant_count &&
           a->bindings == b->bindings && a->texels == b->texels && a->push_words == b->push_words &&
           a->subgroup_size == b->subgroup_size &&
           !memcmp(a->constants, b->constants, a->constant_count * sizeof a->constants[0]);
}

static void destroy(rp_device *device, rp_pipeline *pipeline) {
    RP_DESTROY(device, vkDestroyPipeline, pipeline->handle);
    RP_DESTROY(device, vkDestroyPipelineLayout, pipeline->layout);
    RP_DESTROY(device, vkDestroyDescriptorSetLayout, pipeline->set_layout);
    free(pipeline);
}

static rp_status create_layout(rp_device *device, rp_pipeline *pipeline, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    rp_status status = RP_OK;
    VkDescriptorSetLayoutBinding bindings[RP_MAX_BINDINGS];
    for (uint32_t i = 0; i < pipeline->key.bindings; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){.binding = i,
                                                     .descriptorType = rp_binding_type(&pipeline->key, i),
                                                     .descriptorCount = 1,
                                                     .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
                                           .bindingCount = pipeline->key.bindings,
                                           .pBindings = bindings};
    RP_VK(vkCreateDescriptorSetLayout, (device->handle, &set, NULL, &pipeline->set_layout));
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
                                .size = pipeline->key.push_words * 4};
    VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                         .setLayoutCount = 1,
                                         .pSetLayouts = &pipeline->set_layout,
                                         .pushConstantRangeCount = push.size ? 1 : 0,
                                         .pPushConstantRanges = &push};
    RP_VK(vkCreatePipelineLayout, (device->handle, &layout, NULL, &pipeline->layout));
done:
    return status;
}

/* Compile a pipeline of this key and layout. `statistics`: the driver is to keep statistics of it. `*refused`
 * is set where the driver refuses the code and the device is not lost. */
static rp_status compile(rp_device *device, const rp_pipeline *pipeline, bool statistics, VkPipeline *out,
                         bool *refused, rp_error *err) {
    const rp_vk_table *vk = &device->vk;
    const rp_pipeline_key *key = &pipeline->key;
    VkShaderModule module = VK_NULL_HANDLE;
    rp_spirv spirv;
    rp_status status = rp_shader_find(device, key->shader, &spirv, err);
    if (status) return status;
    VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                     .codeSize = spirv.count * 4,
                                     .pCode = spirv.words};
    *refused = true;
    RP_VK(vkCreateShaderModule, (device->handle, &code, NULL, &module));
    VkSpecializationMapEntry entries[RP_MAX_CONSTANTS];
    for (uint32_t i = 0; i < key->constant_count; i++) entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    VkSpecializationInfo specialization = {key->constant_count, entries, key->constant_count * 4,
                                           key->constants};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = key->subgroup_size};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = key->subgroup_size ? &size : NULL,
                  .flags =
                      key->subgroup_size ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &specialization},
        .layout = pipeline->layout};
    RP_VK(vkCreateComputePipelines, (device->handle, device->pipeline_cache, 1, &info, NULL, out));
    if (!*out) /* some drivers say that they succeeded, and end whoever uses it */
        status = rp_fail(err, RP_ERROR_DEVICE, "%s: the driver compiles no pipeline of it; update the driver",
                         key->shader);
    else
        rp_device_name(device, VK_OBJECT_TYPE_PIPELINE, (uint64_t)*out, key->shader);
done:
    if (status) *out = VK_NULL_HANDLE; /* whatever the driver left there */
    /* "out of memory" counts as refused too: drivers say that when their compilers give up */
    *refused = *refused && status && status != RP_ERROR_DEVICE_LOST;
    RP_DESTROY(device, vkDestroyShaderModule, module);
    free(spirv.words);
    return status;
}

static rp_status create(rp_device *device, rp_pipeline *pipeline, bool statistics, bool *refused,
                        rp_error *err) {
    *refused = false;
    rp_status status = create_layout(device, pipeline, err);
    if (!status) status = compile(device, pipeline, statistics, &pipeline->handle, refused, err);
    if (status || !statistics) return status;
    char text[2];
    pipeline->spills = rp_pipeline_statistics(device, pipeline, text, sizeof text);
    pipeline->asked = true;
    return RP_OK;
}

/* Ask the driver whether a pipeline spills registers to memory. For that this compiles it once more, with
 * statistics, into a pipeline that is destroyed again: a driver that keeps statistics may make other code,
 * and the model should run what a later start finds in the driver's cache. Where the driver refuses the
 * second compilation, the pipeline counts as one that does not spill. */
static rp_status ask(rp_device *device, rp_pipeline *pipeline, rp_error *err) {
    rp_pipeline twin = {.key = pipeline->key, .layout = pipeline->layout};
    bool refused = false;
    char text[2];
    rp_status status = compile(device, &twin, true, &twin.handle, &refused, err);
    pipeline->spills = !status && rp_pipeline_statistics(device, &twin, text, sizeof text);
    pipeline->asked = true;
    RP_DESTROY(device, vkDestroyPipeline, twin.handle);
    return refused ? RP_OK : status;
}

/* Find the pipeline of `key` among those that were compiled or noted; NULL: there is none. */
static rp_pipeline *find(const rp_pipeline_set *set, const rp_pipeline_key *key) {
    for (size_t i = 0; i < set->count; i++)
        if (same(&set->pipelines[i]->key, key)) return set->pipelines[i];
    return NULL;
}

static rp_status add(rp_pipeline_set *set, const rp_pipeline_key *key, rp_pipeline **out, rp_error *err) {
    rp_pipeline *pipeline = rp_new(rp_pipeline);
    if (!pipeline ||
        !rp_grow((void **)&set->pipelines, &set->capacity, set->count + 1, sizeof *set->pipelines)) {
        free(pipeline);
        return rp_fail_memory(err, "a pipeline", sizeof *pipeline);
    }
    pipeline->key = *key;
    *out = set->pipelines[set->count++] = pipeline;
    return RP_OK;
}

/* Remove from the set the pipelines that were noted and could not be compiled. */
static void drop_unmade(rp_pipeline_set *set) {
    size_t made = 0;
    for (size_t i = 0; i < set->count; i++)
        if (set->pipelines[i]->handle)
            set->pipelines[made++] = set->pipelines[i];
        else
            destroy(set->device, set->pipelines[i]);
    set->count = made;
}

rp_status rp_pipeline_get(rp_pipeline_set *set, const rp_pipeline_key *key, const rp_pipeline **out,
                          rp_error *err) {
    rp_pipeline *pipeline = find(set, key);
    rp_status status = RP_OK;
    if (!pipeline) status = add(set, key, &pipeline, err);
    double begun = rp_seconds();
    if (!status && !pipeline->handle) {
        status = create(set->device, pipeline, set->statistics, &set->refused, err);
        if (status) drop_unmade(set);
    }
    if (!status && set->ask && !pipeline->asked) status = ask(set->device, pipeline, err);
    rp_add_seconds(&set->device->spent.pipelines, rp_seconds() - begun);
    set->spilled = set->spilled || (!status && pipeline->spills);
    *out = status ? NULL : pipeline;
    return status;
}

bool rp_pipelines_refused(rp_pipeline_set *set, rp_status status) {
    bool refused = set->refused;
    set->refused = false;
    return refused && status && status != RP_ERROR_DEVICE_LOST;
}

/* ---- many at once ---- */

rp_status rp_pipeline_note(rp_pipeline_set *set, const rp_pipeline_key *key, rp_error *err) {
    rp_pipeline *pipeline;
    return find(set, key) ? RP_OK : add(set, key, &pipeline, err);
}

/* What the compiling threads share. */
typedef struct work {
    rp_pipeline_set *set;
    atomic_size_t next; /* index of the next pipeline to compile */
    pthread_mutex_t lock;
    size_t failed; /* the lowest index of a pipeline that could not be compiled; set->count: there is none */
    rp_error err;  /* why that one could not */
} work;

static void fail(work *w, size_t i, const rp_error *err) {
    pthread_mutex_lock(&w->lock);
    if (i < w->failed) {
        w->failed = i;
        w->err = *err;
    }
    pthread_mutex_unlock(&w->lock);
}

static void *make_next(void *pointer) {
    work *w = pointer;
    rp_pipeline_set *set = w->set;
    for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < set->count;) {
        rp_pipeline *pipeline = set->pipelines[i];
        bool refused;
        rp_error err = {0};
        if (!pipeline->handle && create(set->device, pipeline, set->statistics, &refused, &err))
            fail(w, i, &err);
    }
    return NULL;
}

/* The largest pipelines first: then the threads finish at about the same time. */
static void sort_by_code(rp_pipeline_set *set) {
    for (size_t i = 1; i < set->count; i++)
        for (size_t j = i; j && set->pipelines[j]->key.code > set->pipelines[j - 1]->key.code; j--) {
            rp_pipeline *smaller = set->pipelines[j - 1];
            set->pipelines[j - 1] = set->pipelines[j];
            set->pipelines[j] = smaller;
        }
}

rp_status rp_pipeline_make(rp_pipeline_set *set, rp_error *err) {
    pthread_t threads[MOST_THREADS];
    long processors = rp_os_processors();
    size_t started = 0, count = set->count;
    work w = {.set = set, .lock = PTHREAD_MUTEX_INITIALIZER, .failed = count};
    double begun = rp_seconds();
    sort_by_code(set);
    /* with a shader_dir this thread alone compiles, for it writes the SPIR-V to the cache */
    while (!set->device->shader_dir && started < MOST_THREADS && (long)started + 1 < processors &&
           started + 1 < count && !pthread_create(&threads[started], NULL, make_next, &w))
        started++;
    make_next(&w);
    for (size_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    drop_unmade(set);
    rp_add_seconds(&set->device->spent.pipelines, rp_seconds() - begun);
    if (w.failed == count) return RP_OK;
    if (err) *err = w.err;
    return w.err.status;
}

void rp_pipeline_set_finish(rp_pipeline_set *set) {
    for (size_t i = 0; i < set->count; i++) destroy(set->device, set->pipelines[i]);
    free(set->pipelines);
    *set = (rp_pipeline_set){0};
}
