/* Finding a shader by name. One function, three sources: the pack made at build time; and, when the device
 * was opened with a shader folder, the disk cache and glslang. */
#ifndef RP_GPU_SHADER_H
#define RP_GPU_SHADER_H

#include <stdbool.h>

#include "gpu/compile.h"
#include "reprise/device.h"

/* A shader of the build-time pack. */
typedef struct rp_packed_shader {
    rp_shader_variant variant;
    const uint32_t *words;
    size_t count;
} rp_packed_shader;

extern const rp_packed_shader rp_shader_pack[];
extern const size_t rp_shader_pack_count;
extern const bool rp_shader_pack_nv; /* its cooperative matrices are NV's */

/* SPIR-V words. `owned` NULL: they belong to the pack. */
typedef struct rp_spirv {
    const uint32_t *words;
    size_t count;
    uint32_t *owned; /* freed by free() */
} rp_spirv;

/* The SPIR-V of the variant `name` of shaders/variants.def. */
rp_status rp_shader_find(rp_device *device, const char *name, rp_spirv *out, rp_error *err);

/* Is this a SPIR-V module as to its header, and made of whole instructions? `data` is aligned for words. What
 * the instructions say is not looked at: only a module that this library compiled comes to a driver. */
bool rp_spirv_whole(const void *data, size_t size);

/* Whether the shaders of the pack, or of `shader_dir` where it is not NULL, need VK_NV_cooperative_matrix for
 * their cooperative matrices: they are compiled by a glslang that is too old for the words of
 * VK_KHR_cooperative_matrix, which they need otherwise. */
bool rp_shaders_use_nv(const char *shader_dir);

/* A hash of every shader of the pack. */
void rp_shader_table_key(char out[33]);

#endif
