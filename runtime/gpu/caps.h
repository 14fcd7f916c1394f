/* What a device can do, as plain values without a handle. Whatever the runtime decides, it decides by these,
 * in pure functions, which tests call for devices that are not there. */
#ifndef RP_GPU_CAPS_H
#define RP_GPU_CAPS_H

#include "gpu/vk.h"
#include "reprise/device.h"

#define RP_NO_QUEUE UINT32_MAX

/* Vulkan's headers name it only among extensions that are not final. */
#define RP_PORTABILITY_SUBSET "VK_KHR_portability_subset"

enum { RP_MAX_MATRIX_SHAPES = 8 };

/* One cooperative matrix product, float16 with float32 sums, by one subgroup: [m, k] x [k, n]. */
typedef struct rp_matrix_shape {
    uint32_t m, n, k;
} rp_matrix_shape;

typedef struct rp_caps {
    rp_device_info info;
    VkPhysicalDeviceMemoryProperties memory;
    uint32_t queue_family;   /* one with compute, preferably without graphics; RP_NO_QUEUE: none */
    uint32_t timestamp_bits; /* of that family; 0: no time stamps */
    float timestamp_period;  /* nanoseconds a tick */
    uint64_t
        storage_alignment;   /* bytes: offsets of ranges are multiples of it, for storage and texel buffers */
    uint32_t max_texels;     /* elements of one texel buffer */
    uint64_t atom_size;      /* nonCoherentAtomSize, bytes */
    uint64_t max_allocation; /* largest single allocation, bytes */
    uint32_t max_groups[3];  /* workgroups of one dispatch */
    uint32_t max_group_size[3];
    uint32_t max_push_bytes;
    uint8_t uuid[VK_UUID_SIZE]; /* pipelineCacheUUID */
    uint32_t driver_version;
    bool subgroup_shuffle;
    bool subgroup_fixed;   /* every shader runs with subgroups of info.subgroup_size */
    bool subgroup_control; /* a pipeline may ask for a size between these, and for full subgroups */
    uint32_t subgroup_min, subgroup_max; /* both info.subgroup_size where the driver does not say */
    rp_matrix_shape matrix_shapes[RP_MAX_MATRIX_SHAPES]; /* those that the driver lists */
    uint32_t matrix_shape_count; /* 0 also where the device lacks something else that their shaders need */
    bool matrix_nv; /* the shapes, and has_cooperative_matrix, are of VK_NV_cooperative_matrix; false: of the
                       extension of KHR */
    bool has_integer_dot, has_float16_int8, has_storage_16, has_cooperative_matrix; /* that the device is
                                                                                       opened with */
    bool is_portability_subset; /* the driver stands on another API and lacks parts of Vulkan, none of which
                                   is used here; such a device must be opened with RP_PORTABILITY_SUBSET */
    bool has_statistics;        /* VK_KHR_pipeline_executable_properties: likewise */
    bool has_budget;            /* VK_EXT_memory_budget, which is asked of the physical device */
} rp_caps;

/* Fill `*out` with what the driver says of `physical`, a device of `instance`. `matrix_nv`: the shaders need
 * VK_NV_cooperative_matrix, not KHR's. Does not fail: for a device that cannot be used info.usable is false
 * and info.reason says why. */
void rp_caps_probe(VkInstance instance, VkPhysicalDevice physical, uint32_t index, bool matrix_nv,
                   rp_caps *out);

/* True when `text` holds `part`, whatever the case of ASCII letters; the locale, which may think otherwise of
 * I and i, has no say. */
bool rp_name_contains(const char *text, const char *part);

/* Write to `*out` which of caps[0..count) `params` asks for; where it asks for none, the best.
 * RP_ERROR_DEVICE: none fits, and the message says what there is. Pure. */
rp_status rp_caps_choose(const rp_caps *caps, uint32_t count, const rp_device_params *params, uint32_t *out,
                         rp_error *err);

/* Bytes of the largest range that fits one allocation and one descriptor. */
uint64_t rp_caps_range_limit(const rp_caps *caps);

/* What a buffer is for. */
typedef enum rp_memory_use {
    RP_MEMORY_DEVICE = 0, /* read and written by shaders */
    RP_MEMORY_INPUT,      /* written by the host, read by the device; mapped */
    RP_MEMORY_OUTPUT,     /* written by the device, read by the host; mapped */
} rp_memory_use;

/* The memory type for `use` among `type_bits`; UINT32_MAX when there is none. Pure. */
uint32_t rp_caps_memory_type(const rp_caps *caps, rp_memory_use use, uint32_t type_bits);

#endif
