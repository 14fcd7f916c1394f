/* Shaders by name. The build compiles all of them into the pack. For a device that was opened with a
 * shader_dir this library compiles them from that folder with glslang, and keeps them in the cache folder. */
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
extern const bool rp_shader_pack_nv; /* it was compiled for VK_NV_cooperative_matrix */

/* A SPIR-V module. */
typedef struct rp_spirv {
    uint32_t *words; // [count], freed by free()
    size_t count;
} rp_spirv;

/* Unpack a shader of the pack. On success the caller frees `out->words`. RP_ERROR_HOST_MEMORY. */
rp_status rp_shader_unpack(const rp_packed_shader *shader, rp_spirv *out, rp_error *err);

/* Find the SPIR-V of the variant `name` of shaders/variants.def, from the pack or from device->shader_dir. On
 * success the caller frees `out->words`. RP_ERROR_FILE, RP_ERROR_FORMAT: the GLSL cannot be read or compiled.
 */
rp_status rp_shader_find(rp_device *device, const char *name, rp_spirv *out, rp_error *err);

/* True when `data`, aligned for words, has the header of a SPIR-V module and whole instructions. What these
 * say is not checked: a driver gets only modules that this library compiled. */
bool rp_spirv_whole(const void *data, size_t size);

/* True when the cooperative matrices of the pack's shaders, or of those of `shader_dir` where it is not NULL,
 * need VK_NV_cooperative_matrix: the glslang that compiles them is too old for VK_KHR_cooperative_matrix. */
bool rp_shaders_use_nv(const char *shader_dir);

/* A hash of every shader of the pack. */
void rp_shader_table_key(char out[33]);

#endif
