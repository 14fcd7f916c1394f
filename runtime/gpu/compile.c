#include "gpu/compile.h"

#include <pthread.h>
#include <stdio.h>

#include <glslang/Include/glslang_c_interface.h>
#if __has_include(<glslang/Public/resource_limits_c.h>)
#include <glslang/Public/resource_limits_c.h>
#else
#include <glslang/Include/resource_limits_c.h>
#endif

#if __has_include(<glslang/build_info.h>)
#include <glslang/build_info.h>
#endif
#ifndef GLSLANG_VERSION_MAJOR
#define GLSLANG_VERSION_MAJOR 0
#endif

#include "base/alloc.h"

enum { MAX_SOURCE = 1 << 20 };

static pthread_once_t glslang_once = PTHREAD_ONCE_INIT;
static void start_glslang(void) {
    glslang_initialize_process();
}

int rp_glslang_version(void) {
    return GLSLANG_VERSION_MAJOR;
}

/* Append the file `dir`/`name` to `out`, which has room for MAX_SOURCE bytes. */
static rp_status append_file(const char *dir, const char *name, char *out, size_t *used, rp_error *err) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return rp_fail(err, RP_ERROR_FILE, "%s: the path is too long", dir);
    FILE *file = fopen(path, "rb");
    if (!file)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read; is REPRISE_SHADER_DIR a folder of shaders?",
                       path);
    size_t room = MAX_SOURCE - *used - 1;
    size_t n = fread(out + *used, 1, room, file);
    bool bad = ferror(file) || n == room;
    fclose(file);
    *used += n;
    out[*used] = 0;
    return bad ? rp_fail(err, RP_ERROR_FILE, "%s: cannot be read, or is larger than 1 MiB", path) : RP_OK;
}

/* "A=1 B" becomes "#define A 1\n#define B\n". */
static void append_defines(const char *defines, char *out, size_t *used) {
    while (*defines) {
        size_t length = strcspn(defines, " "), equals = strcspn(defines, "= ");
        const char *value = equals < length ? defines + equals + 1 : "";
        size_t value_length = equals < length ? length - equals - 1 : 0;
        *used += (size_t)snprintf(out + *used, MAX_SOURCE - *used, "#define %.*s %.*s\n", (int)equals,
                                  defines, (int)value_length, value);
        defines += length;
        defines += strspn(defines, " ");
    }
}

/* The name of source number `i` of a variant: common.glsl, then its files. False: it has fewer. */
static bool file_name(const rp_shader_variant *variant, unsigned i, char out[64]) {
    const char *name = i ? variant->files : "common.glsl";
    for (; i > 1 && *name; i--) {
        name += strcspn(name, " ");
        name += strspn(name, " ");
    }
    snprintf(out, 64, "%.*s", (int)strcspn(name, " "), name);
    return out[0];
}

char *rp_glsl_source(const char *dir, const rp_shader_variant *variant, int glslang, rp_error *err) {
    char *out = malloc(MAX_SOURCE);
    if (!out) {
        rp_fail_memory(err, "shader source", MAX_SOURCE);
        return NULL;
    }
    size_t used = (size_t)snprintf(out, MAX_SOURCE, "#version 450\n");
    append_defines(variant->defines, out, &used);
    if (variant->cooperative && glslang < RP_GLSLANG_KHR_MATRIX) append_defines("COOPERATIVE_NV", out, &used);
    rp_status status = RP_OK;
    char name[64];
    for (unsigned i = 0; !status && file_name(variant, i, name); i++) {
        used += (size_t)snprintf(out + used, MAX_SOURCE - used, "\n#line 1 %u\n", i);
        status = append_file(dir, name, out, &used, err);
    }
    if (!status) return out;
    free(out);
    return NULL;
}

/* "ERROR: 1:7: what" in the compiler's log becomes "gather.comp:7: what". */
static rp_status compile_failed(const rp_shader_variant *variant, const char *log, rp_error *err) {
    unsigned source, line;
    int length = 0;
    char name[64];
    const char *first = log ? strstr(log, "ERROR: ") : NULL;
    if (first && sscanf(first, "ERROR: %u:%u: %n", &source, &line, &length) == 2 && length &&
        file_name(variant, source, name))
        return rp_fail(err, RP_ERROR_FORMAT, "%s:%u: %.*s (shader %s)", name, line,
                       (int)strcspn(first + length, "\n"), first + length, variant->name);
    return rp_fail(err, RP_ERROR_FORMAT, "%s (shader %s) does not compile: %.400s", variant->files,
                   variant->name, log ? log : "");
}

size_t rp_spirv_strip(uint32_t *words, size_t count) {
    enum {
        HEADER = 5,
        SOURCE = 3,
        LINE = 8,
        NO_LINE = 317,
        PROCESSED = 330
    }; /* 3 to 8: sources, names, strings */
    size_t kept = HEADER;
    for (size_t i = HEADER; i < count;) {
        uint32_t op = words[i] & 0xffff, length = words[i] >> 16;
        bool debug = (op >= SOURCE && op <= LINE) || op == NO_LINE || op == PROCESSED;
        if (!length || length > count - i) return count; /* not SPIR-V: the driver shall say so */
        if (!debug) {
            memmove(words + kept, words + i, length * sizeof *words);
            kept += length;
        }
        i += length;
    }
    return kept;
}

rp_status rp_glsl_compile(const char *source, const rp_shader_variant *variant, uint32_t **words,
                          size_t *count, rp_error *err) {
    pthread_once(&glslang_once, start_glslang);
    *words = NULL;
    *count = 0;
    const glslang_input_t input = {.language = GLSLANG_SOURCE_GLSL,
                                   .stage = GLSLANG_STAGE_COMPUTE,
                                   .client = GLSLANG_CLIENT_VULKAN,
                                   .client_version = GLSLANG_TARGET_VULKAN_1_1,
                                   .target_language = GLSLANG_TARGET_SPV,
                                   .target_language_version = GLSLANG_TARGET_SPV_1_3,
                                   .code = source,
                                   .default_version = 450,
                                   .default_profile = GLSLANG_NO_PROFILE,
                                   .messages = GLSLANG_MSG_DEFAULT_BIT,
                                   .resource = glslang_default_resource()};
    glslang_shader_t *shader = glslang_shader_create(&input);
    glslang_program_t *program = glslang_program_create();
    rp_status status = RP_OK;
    if (!shader || !program) {
        status = rp_fail_memory(err, "the shader compiler", 0);
    } else if (!glslang_shader_preprocess(shader, &input) || !glslang_shader_parse(shader, &input)) {
        status = compile_failed(variant, glslang_shader_get_info_log(shader), err);
    } else {
        glslang_program_add_shader(program, shader);
        if (!glslang_program_link(program, GLSLANG_MSG_SPV_RULES_BIT | GLSLANG_MSG_VULKAN_RULES_BIT)) {
            status = compile_failed(variant, glslang_program_get_info_log(program), err);
        } else {
            /* The optimizer of glslang 12 and 13 crashes on cooperative matrices. */
            glslang_spv_options_t options = {.disable_optimizer = variant->cooperative,
                                             .optimize_size = true};
            glslang_program_SPIRV_generate_with_options(program, GLSLANG_STAGE_COMPUTE, &options);
            *count = glslang_program_SPIRV_get_size(program);
            *words = rp_new_array(uint32_t, *count);
            if (*words) {
                glslang_program_SPIRV_get(program, *words);
                *count = rp_spirv_strip(*words, *count);
            } else
                status = rp_fail_memory(err, "a shader", *count * sizeof **words);
        }
    }
    if (program) glslang_program_delete(program);
    if (shader) glslang_shader_delete(shader);
    return status;
}
