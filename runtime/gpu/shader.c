#include "gpu/shader.h"

#include <stdio.h>

#include "base/alloc.h"
#include "gpu/cache.h"
#include "gpu/device.h"
#include "gpu/pack.h"

enum { SPIRV_MAGIC = 0x07230203, SPIRV_HEADER = 5, SPIRV_MAX_BOUND = 0x3fffff };

bool rp_spirv_whole(const void *data, size_t size) {
    const uint32_t *words = data;
    size_t count = size / 4, at = SPIRV_HEADER;
    if (size % 4 || count < SPIRV_HEADER || words[0] != SPIRV_MAGIC || words[3] == 0 ||
        words[3] > SPIRV_MAX_BOUND || words[4] != 0)
        return false;
    while (at < count) {
        uint32_t length = words[at] >> 16;
        if (length == 0 || length > count - at) return false;
        at += length;
    }
    return true;
}

static const rp_packed_shader *find_packed(const char *name) {
    for (size_t i = 0; i < rp_shader_pack_count; i++)
        if (!strcmp(rp_shader_pack[i].variant.name, name)) return &rp_shader_pack[i];
    return NULL;
}

#ifdef REPRISE_GLSLANG
/* Compile the GLSL of device->shader_dir, or read what an earlier process compiled of the same source. */
static rp_status compile(rp_device *device, const rp_shader_variant *variant, rp_spirv *out, rp_error *err) {
    char *source = rp_glsl_source(device->shader_dir, variant, rp_glslang_version(), err);
    if (!source) return err ? err->status : RP_ERROR_FILE;
    char key[33], name[64];
    void *data = NULL;
    size_t size = 0;
    rp_cache_key(source, strlen(source), key);
    snprintf(name, sizeof name, "spirv-%s", key);
    rp_status status = RP_OK;
    if (rp_cache_read(device->cache_dir, name, &data, &size) && rp_spirv_whole(data, size)) {
        out->words = data;
        out->count = size / 4;
    } else {
        free(data);
        status = rp_glsl_compile(source, variant, &out->words, &out->count, err);
        if (!status) rp_device_write_cache(device, name, out->words, out->count * 4);
    }
    free(source);
    return status;
}
#else
static rp_status compile(rp_device *device, const rp_shader_variant *variant, rp_spirv *out, rp_error *err) {
    (void)variant, (void)out;
    return rp_fail(
        err, RP_ERROR_UNSUPPORTED,
        "%s: this build has no GLSL compiler; unset REPRISE_SHADER_DIR, or build with -DREPRISE_GLSLANG=ON",
        device->shader_dir);
}
#endif

rp_status rp_shader_unpack(const rp_packed_shader *shader, rp_spirv *out, rp_error *err) {
    *out = (rp_spirv){rp_new_array(uint32_t, shader->count), shader->count};
    void *scratch = malloc(RP_SPIRV_SCRATCH);
    bool memory = out->words && scratch;
    bool good = memory && rp_spirv_unpack(shader->packed, shader->size, out->words, out->count, scratch);
    free(scratch);
    if (good) return RP_OK;
    free(out->words);
    *out = (rp_spirv){0};
    if (!memory) return rp_fail_memory(err, "a shader", shader->count * sizeof(uint32_t) + RP_SPIRV_SCRATCH);
    return rp_fail(err, RP_ERROR_FORMAT, "the shader %s is damaged; install the library again",
                   shader->variant.name);
}

rp_status rp_shader_find(rp_device *device, const char *name, rp_spirv *out, rp_error *err) {
    *out = (rp_spirv){0};
    const rp_packed_shader *packed = find_packed(name);
    if (!packed) return rp_fail(err, RP_ERROR_UNSUPPORTED, "there is no shader variant named %s", name);
    if (device->shader_dir) return compile(device, &packed->variant, out, err);
    return rp_shader_unpack(packed, out, err);
}

bool rp_shaders_use_nv(const char *shader_dir) {
#ifdef REPRISE_GLSLANG
    if (shader_dir) return rp_glslang_version() < RP_GLSLANG_KHR_MATRIX;
#else
    (void)shader_dir;
#endif
    return rp_shader_pack_nv;
}

void rp_shader_table_key(char out[33]) {
    char keys[2][33] = {{0}}; /* of the shaders so far, and of the next one */
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        rp_cache_key(rp_shader_pack[i].packed, rp_shader_pack[i].size, keys[1]);
        rp_cache_key(keys, sizeof keys, keys[0]);
    }
    memcpy(out, keys[0], sizeof keys[0]);
}
