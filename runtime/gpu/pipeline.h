/* Compute pipelines, and the set of those that one model uses. */
#ifndef RP_GPU_PIPELINE_H
#define RP_GPU_PIPELINE_H

#include "gpu/memory.h"

enum { RP_MAX_CONSTANTS = 16, RP_MAX_BINDINGS = 8, RP_MAX_PUSH_WORDS = 16 };

/* What makes one pipeline. Every binding is a storage buffer, but for those in `texels`. */
typedef struct rp_pipeline_key {
    const char *shader;                   /* a name of shaders/variants.def; static */
    uint32_t constants[RP_MAX_CONSTANTS]; /* specialization constants 0, 1, ... */
    uint32_t constant_count;
    uint32_t bindings;
    uint32_t texels; /* bit i: binding i is a uniform texel buffer */
    uint32_t push_words;
    uint32_t subgroup_size; /* that every subgroup must have, all of them full; 0: as the driver likes. Only
                               where rp_caps.subgroup_control */
    uint32_t code; /* how much of it there is, in any unit, when it has been unrolled: of many pipelines the
                      largest are begun first. Keys that differ in this alone are equal */
} rp_pipeline_key;

static inline VkDescriptorType rp_binding_type(const rp_pipeline_key *key, uint32_t binding) {
    return key->texels >> binding & 1 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                      : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

typedef struct rp_pipeline {
    rp_pipeline_key key;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline handle;  /* VK_NULL_HANDLE: noted, and not made yet */
    bool asked, spills; /* the driver says so; false too where it was not asked */
} rp_pipeline;

/* Pipelines made so far; equal keys share one. Zero-initialise with the device. */
typedef struct rp_pipeline_set {
    rp_device *device;
    rp_pipeline **pipelines;
    size_t count, capacity;
    bool statistics; /* the driver is to keep its statistics; only where rp_caps.has_statistics */
    bool refused;    /* the last one that was to be made: the driver would not, and kept the device */
    bool ask; /* the driver is asked of each that is got whether it spills; only where rp_caps.has_statistics
               */
    bool spilled; /* one that was got since this was last false, and that was asked of, spills to memory */
} rp_pipeline_set;

/* The pipeline of `key`, made if need be. Owned by the set. */
rp_status rp_pipeline_get(rp_pipeline_set *set, const rp_pipeline_key *key, const rp_pipeline **out,
                          rp_error *err);
/* Note that `key` will be asked for. rp_pipeline_make makes all that were noted at once, on as many threads
 * as there are processors, and drops those that cannot be made; the error is that of the first of them. */
rp_status rp_pipeline_note(rp_pipeline_set *set, const rp_pipeline_key *key, rp_error *err);
rp_status rp_pipeline_make(rp_pipeline_set *set, rp_error *err);

/* What the driver's compiler says of a pipeline of a set with statistics, as "name value, name value". Empty
 * where it says nothing. True when it says that registers were spilled to memory. */
bool rp_pipeline_statistics(rp_device *device, const rp_pipeline *pipeline, char *out, size_t size);

void rp_pipeline_set_finish(rp_pipeline_set *set);

#endif
