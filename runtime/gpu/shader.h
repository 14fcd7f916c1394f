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
    const unsigned char *packed; // [size] by rp_spirv_pack
    size_t size;
    size_t count; // words of the module
} rp_packed_shader;

extern const rp_packed_shader rp_shader_pack[];
extern const size_t rp_shader_pack_count;
extern const bool rp_shader_pack_nv; /* its cooperative matrices are NV's */

/* A SPIR-V module. */
typedef struct rp_spirv {
    uint32_t *words; // [count], freed by free()
    size_t count;
} rp_spirv;

/* The words of a shader of the pack. On success the caller owns `out->words`. RP_ERROR_HOST_MEMORY. */
rp_status rp_shader_unpack(const rp_packed_shader *shader, rp_spirv *out, rp_error *err);

/* The SPIR-V of the variant `name` of shaders/variants.def. On success the caller owns `out->words`. */
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
