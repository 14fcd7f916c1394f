/* Finding a shader by name. One function, three sources: the pack made at build time; and, when the device
 * was opened with a shader folder, the disk cache and glslang. */
#ifndef RP_GPU_SHADER_H
#define RP_GPU_SHADER_H

#include <stdbool.h>

#include "gpu/compile.h"
#include "reprise/device.h"

/* A shader of the build-time pack. count 0: the glslang of the build was too old for it. */
typedef struct rp_packed_shader {
    rp_shader_variant variant;
    const uint32_t *words;
    size_t count;
} rp_packed_shader;

extern const rp_packed_shader rp_shader_pack[];
extern const size_t rp_shader_pack_count;

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

/* Whether every shader of the table can be had: some need a newer glslang than every build has. */
bool rp_shaders_complete(const rp_device *device);

/* A hash of every shader of the pack. */
void rp_shader_table_key(char out[33]);

#endif
