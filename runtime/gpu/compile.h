/* GLSL to SPIR-V with glslang. The one place where a shader's source is put together. */
#ifndef RP_GPU_COMPILE_H
#define RP_GPU_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* One entry of the table of shaders, shaders/variants.def. */
typedef struct rp_shader_variant {
    const char *name;
    const char *files;   /* in the shader folder: space-separated, read one after the other */
    const char *defines; /* "A=1 B" : space-separated */
    bool cooperative;    /* it needs cooperative matrices */
} rp_shader_variant;

/* The first major version of glslang that compiles GL_KHR_cooperative_matrix. Shaders that need cooperative
 * matrices are written for an older one in the words of GL_NV_cooperative_matrix. */
enum { RP_GLSLANG_KHR_MATRIX = 13 };

/* The major version of glslang that this was built with. */
int rp_glslang_version(void);

/* Put the whole source of a variant together, for a glslang of this major version: version, defines,
 * common.glsl, its files. Freed by free(). NULL on failure: RP_ERROR_FILE names the file. */
char *rp_glsl_source(const char *dir, const rp_shader_variant *variant, int glslang, rp_error *err);

/* Leave out what only a debugger reads, names above all: a third of the words. Returns how many are left. */
size_t rp_spirv_strip(uint32_t *words, size_t count);

/* Compile it, without debug information. `*words` is freed by free(). RP_ERROR_FORMAT, with the file, the
 * line and the compiler's words, when the source is wrong. Thread-safe. */
rp_status rp_glsl_compile(const char *source, const rp_shader_variant *variant, uint32_t **words,
                          size_t *count, rp_error *err);

#endif
