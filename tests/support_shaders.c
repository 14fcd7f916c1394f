#include "support_shaders.h"

#include <stdlib.h>
#include <string.h>

#include "tools/spirv_ids.h"

bool shader_is(const rp_packed_shader *shader, const uint32_t *words, size_t count) {
    rp_spirv spirv;
    if (count != shader->count || rp_shader_unpack(shader, &spirv, NULL)) return false;
    uint32_t *ordered = malloc(count * 4);
    bool same = ordered != NULL;
    if (same) {
        memcpy(ordered, words, count * 4);
        rp_spirv_order_ids(ordered, count);
        same = !memcmp(ordered, spirv.words, count * 4);
    }
    free(ordered);
    free(spirv.words);
    return same;
}

const char *shader_name(const uint32_t *words, size_t count) {
    for (size_t i = 0; i < rp_shader_pack_count; i++)
        if (shader_is(&rp_shader_pack[i], words, count)) return rp_shader_pack[i].variant.name;
    return NULL;
}
