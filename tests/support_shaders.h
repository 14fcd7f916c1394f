/* Which shader of the pack a module is. */
#ifndef SUPPORT_SHADERS_H
#define SUPPORT_SHADERS_H

#include "gpu/shader.h"

/* True when the module of `count` words is the one that `shader` holds, once its ids are in order
 * (tools/spirv_ids.h). */
bool shader_is(const rp_packed_shader *shader, const uint32_t *words, size_t count);

/* The name of the shader whose module this is; NULL: none of the pack. */
const char *shader_name(const uint32_t *words, size_t count);

#endif
