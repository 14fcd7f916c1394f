/* Compute pipelines, and the set of those that one model uses. */
#ifndef RP_GPU_PIPELINE_H
#define RP_GPU_PIPELINE_H

#include "gpu/memory.h"

enum { RP_MAX_CONSTANTS = 16, RP_MAX_BINDINGS = 8, RP_MAX_PUSH_WORDS = 16 };

/* What a pipeline is made from. Every binding is a storage buffer, except those in `texels`. */
typedef struct rp_pipeline_key {
    const char *shader;                   /* a name in shaders/variants.def; static */
    uint32_t constants[RP_MAX_CONSTANTS]; /* specialization constants 0, 1, ... */
    uint32_t constant_count;
    uint32_t bindings;
    uint32_t texels; /* bit i: binding i is a uniform texel buffer */
    uint32_t push_words;
    uint32_t subgroup_size; /* the driver makes every subgroup full and of this size; 0: it decides. Only
                               where rp_caps.subgroup_control */
    uint32_t code; /* how much code there is once loops are unrolled, in any unit: rp_pipeline_make begins
                      with the largest. Keys that differ in this alone are equal */
} rp_pipeline_key;

static inline VkDescriptorType rp_binding_type(const rp_pipeline_key *key, uint32_t binding) {
    return key->texels >> binding & 1 ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER
                                      : VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
}

typedef struct rp_pipeline {
    rp_pipeline_key key;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline handle; /* VK_NULL_HANDLE: noted, and not compiled yet */
    bool asked;        /* the driver was asked whether this pipeline spills registers to memory */
    bool spills;       /* the driver says that it does; false where the driver was not asked */
} rp_pipeline;

/* The pipelines of one model; equal keys share one. Zero-initialise it, but for `device`. Thread-safety: one
 * thread at a time. */
typedef struct rp_pipeline_set {
    rp_device *device;
    rp_pipeline **pipelines;
    size_t count, capacity;
    bool statistics; /* set by the owner: the driver keeps statistics of each pipeline. Only where
                        rp_caps.has_statistics */
    bool ask; /* set by the owner: rp_pipeline_get asks the driver of each pipeline whether it spills. Only
                 where rp_caps.has_statistics */
    bool refused; /* set by rp_pipeline_get, which failed: the driver refused to compile, and was not lost */
    bool spilled; /* set by rp_pipeline_get when the pipeline spills; the owner clears it */
} rp_pipeline_set;

/* Find the pipeline of `key`, or compile it. The set owns it. Returns the driver's error; see set->refused.
 */
rp_status rp_pipeline_get(rp_pipeline_set *set, const rp_pipeline_key *key, const rp_pipeline **out,
                          rp_error *err);

/* True when the driver refused to compile a kernel, and nothing worse, is behind `status`, which the owner
 * got from work with the set. It counts whatever the driver said but a lost device, since drivers say that
 * they are out of memory when a compiler gives up. The owner asks once after each such work. */
bool rp_pipelines_refused(rp_pipeline_set *set, rp_status status);

/* Note that the owner will get the pipeline of `key`. rp_pipeline_make compiles all that were noted, on as
 * many threads as there are processors (8 at most); it drops those that the driver cannot compile, and
 * returns the error of the first of them. */
rp_status rp_pipeline_note(rp_pipeline_set *set, const rp_pipeline_key *key, rp_error *err);
rp_status rp_pipeline_make(rp_pipeline_set *set, rp_error *err);

/* Write to `out` what the driver's compiler says of a pipeline, as "name value, name value"; "" where it says
 * nothing. The set was made with `statistics`. True: the compiler says that it spilled registers to memory.
 */
bool rp_pipeline_statistics(rp_device *device, const rp_pipeline *pipeline, char *out, size_t size);

/* Destroy all pipelines of the set. Allowed on a zeroed struct. */
void rp_pipeline_set_finish(rp_pipeline_set *set);

#endif
