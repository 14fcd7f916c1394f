#include "support_spoil.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_shaders.h"

static rp_device *spoiled_device;
static rp_vk_table real;
static bool (*wrong)(const char *shader);
static float constants[2]; /* the first becomes the second; both 0: signs are wrong instead */
static _Atomic uint32_t spoiled, made, submits;

/* ---- editing SPIR-V ---- */

enum {
    OP_TYPE_FLOAT = 22,
    OP_TYPE_VECTOR = 23,
    OP_TYPE_POINTER = 32,
    OP_CONSTANT = 43,
    OP_STORE = 62,
    OP_ACCESS_CHAIN = 65,
    OP_F_NEGATE = 127,
    OP_NOT = 200,
    UNIFORM = 2,
    STORAGE_BUFFER = 12,
};

/* The instruction whose result is `id`, among those that have a type: word 1 is the type, word 2 the id. */
static const uint32_t *definition(const uint32_t *code, size_t count, uint32_t opcode, uint32_t id) {
    for (size_t at = 5; at < count; at += code[at] >> 16)
        if ((code[at] & 0xffff) == opcode && code[at] >> 16 > 2 && code[at + 2] == id) return &code[at];
    return NULL;
}

/* A type by its id, word 1. */
static const uint32_t *type_of(const uint32_t *code, size_t count, uint32_t id) {
    for (size_t at = 5; at < count; at += code[at] >> 16) {
        uint32_t opcode = code[at] & 0xffff;
        if (opcode >= 19 && opcode <= 39 && code[at] >> 16 > 1 && code[at + 1] == id) return &code[at];
    }
    return NULL;
}

/* The type of a value: of any instruction in a function that makes it. */
static uint32_t value_type(const uint32_t *code, size_t count, uint32_t id) {
    static const uint32_t makers[] = {12,  57,  61,  79,  80,  81,  82,  109, 110, 111, 112,
                                      124, 126, 127, 128, 129, 130, 131, 132, 133, 136, 142,
                                      144, 145, 169, 197, 194, 196, 199, 245, 115, 77};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        const uint32_t *made_by = definition(code, count, makers[i], id);
        if (made_by) return made_by[1];
    }
    return 0;
}

static bool is_float(const uint32_t *code, size_t count, uint32_t type) {
    const uint32_t *t = type_of(code, count, type);
    if (t && (*t & 0xffff) == OP_TYPE_VECTOR) t = type_of(code, count, t[2]);
    return t && (*t & 0xffff) == OP_TYPE_FLOAT;
}

/* A pointer into a storage buffer, by an access chain. */
static bool in_buffer(const uint32_t *code, size_t count, uint32_t pointer) {
    const uint32_t *chain = definition(code, count, OP_ACCESS_CHAIN, pointer);
    const uint32_t *type = chain ? type_of(code, count, chain[1]) : NULL;
    return type && (*type & 0xffff) == OP_TYPE_POINTER && (type[2] == STORAGE_BUFFER || type[2] == UNIFORM);
}

/* A copy in which every value is negated before it is stored to a buffer. The caller frees it. */
static uint32_t *negated(const uint32_t *code, size_t count, size_t *out_count) {
    uint32_t *out = malloc(2 * count * sizeof *out), id = code[3];
    size_t used = 5, edits = 0;
    assert_non_null(out);
    memcpy(out, code, 5 * sizeof *code);
    for (size_t at = 5; at < count; at += code[at] >> 16) {
        size_t words = code[at] >> 16;
        memcpy(out + used, code + at, words * sizeof *code);
        uint32_t type = (code[at] & 0xffff) == OP_STORE && in_buffer(code, count, code[at + 1])
                            ? value_type(code, count, code[at + 2])
                            : 0;
        if (type) {
            uint32_t opcode = is_float(code, count, type) ? OP_F_NEGATE : OP_NOT;
            memcpy(out + used, (uint32_t[4]){4u << 16 | opcode, type, id, code[at + 2]}, 16);
            memcpy(out + used + 4, code + at, words * sizeof *code);
            out[used + 6] = id++;
            used += 4;
            edits++;
        }
        used += words;
    }
    if (!edits) fail_msg("nothing to spoil in this shader");
    out[3] = id;
    *out_count = used;
    return out;
}

/* A copy with another number. The caller frees it. */
static uint32_t *with_constant(const uint32_t *code, size_t count) {
    uint32_t *out = malloc(count * sizeof *out), edits = 0;
    assert_non_null(out);
    memcpy(out, code, count * sizeof *code);
    for (size_t at = 5; at < count; at += code[at] >> 16) {
        bool is = code[at] == (4u << 16 | OP_CONSTANT) && is_float(code, count, code[at + 1]) &&
                  !memcmp(&code[at + 3], &constants[0], sizeof *code);
        if (is) memcpy(&out[at + 3], &constants[1], sizeof *out);
        edits += is;
    }
    if (!edits) fail_msg("this shader has no %g", (double)constants[0]);
    return out;
}

/* ---- the device ---- */

static bool is_spoiled(const VkShaderModuleCreateInfo *info) {
    const char *name = shader_name(info->pCode, info->codeSize / 4);
    return name && wrong && wrong(name);
}

static VKAPI_ATTR VkResult VKAPI_CALL create_module(VkDevice device, const VkShaderModuleCreateInfo *info,
                                                    const VkAllocationCallbacks *callbacks,
                                                    VkShaderModule *out) {
    made++;
    if (!is_spoiled(info)) return real.vkCreateShaderModule(device, info, callbacks, out);
    VkShaderModuleCreateInfo edited = *info;
    size_t count = info->codeSize / 4;
    uint32_t *code =
        constants[0] != 0 ? with_constant(info->pCode, count) : negated(info->pCode, count, &count);
    edited.pCode = code;
    edited.codeSize = count * 4;
    spoiled++;
    VkResult result = real.vkCreateShaderModule(device, &edited, callbacks, out);
    free(code);
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                             VkFence fence) {
    submits++;
    return real.vkQueueSubmit(queue, count, infos, fence);
}

void spoil_begin(rp_device *device, bool (*is_wrong)(const char *shader)) {
    spoiled_device = device;
    real = device->vk;
    wrong = is_wrong;
    constants[0] = constants[1] = 0;
    spoiled = made = submits = 0;
    device->vk.vkCreateShaderModule = create_module;
    device->vk.vkQueueSubmit = submit;
}

void spoil_constant(rp_device *device, bool (*is_wrong)(const char *shader), float from, float to) {
    spoil_begin(device, is_wrong);
    constants[0] = from;
    constants[1] = to;
}

spoil_counts spoil_seen(void) {
    return (spoil_counts){spoiled, made, submits};
}

void spoil_end(void) {
    spoiled_device->vk = real;
}
