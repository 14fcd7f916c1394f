/* shaderpack SHADER_DIR OUT.c [VALIDATOR VERSION]: compile every entry of shaders/variants.def into one C
 * file of SPIR-V words, which the library carries. Runs at build time. What the glslang that it is linked
 * with is too old for is compiled by the program VALIDATOR, a glslangValidator of this major version, or left
 * out. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/compile.h"

static const rp_shader_variant variants[] = {
#define RP_SHADER(name, file, defines) {#name, file, defines, 0},
#define RP_SHADER_SINCE(glslang, name, file, defines) {#name, file, defines, glslang},
#include "shaders/variants.def"
#undef RP_SHADER
#undef RP_SHADER_SINCE
};
enum { VARIANT_COUNT = sizeof variants / sizeof variants[0] };

/* The whole file, `*size` bytes; NULL when it cannot be read. */
static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    void *data = NULL;
    if (!file) return NULL;
    if (!fseek(file, 0, SEEK_END)) {
        long end = ftell(file);
        rewind(file);
        *size = end > 0 ? (size_t)end : 0;
        data = *size ? malloc(*size) : NULL;
        if (data && fread(data, 1, *size, file) != *size) {
            free(data);
            data = NULL;
        }
    }
    fclose(file);
    return data;
}

/* The same as rp_glsl_compile, by another program, through files beside `out`. */
static rp_status compile_elsewhere(const char *validator, const char *out, const char *source,
                                   const rp_shader_variant *variant, uint32_t **words, size_t *count,
                                   rp_error *err) {
    char glsl[1024], spirv[1024], command[4096];
    snprintf(glsl, sizeof glsl, "%s.comp", out);
    snprintf(spirv, sizeof spirv, "%s.spv", out);
    snprintf(command, sizeof command, "\"%s\" -V --quiet --target-env vulkan1.1 \"%s\" -o \"%s\"", validator,
             glsl, spirv);
    FILE *file = fopen(glsl, "w");
    bool good = file && fputs(source, file) >= 0;
    good = file && !fclose(file) && good;
    size_t bytes = 0;
    *words = good && !system(command) ? read_file(spirv, &bytes) : NULL;
    *count = bytes / 4;
    remove(glsl);
    remove(spirv);
    return *words ? RP_OK
                  : rp_fail(err, RP_ERROR_FORMAT, "%s does not compile it (shader %s)", validator,
                            variant->name);
}

/* Who compiles. */
typedef struct compiler {
    const char *dir, *out;
    const char *validator; /* NULL: none */
    int validator_version;
} compiler;

static bool elsewhere(const compiler *c, const rp_shader_variant *variant) {
    return rp_glslang_version() < variant->glslang && c->validator &&
           c->validator_version >= variant->glslang;
}

/* Words written; 0 after a message. */
static size_t write_variant(FILE *out, const compiler *c, const rp_shader_variant *variant) {
    rp_error err;
    uint32_t *words = NULL;
    size_t count = 0;
    char *source = rp_glsl_source(c->dir, variant, &err);
    rp_status status = RP_ERROR_FILE;
    if (source && elsewhere(c, variant))
        status = compile_elsewhere(c->validator, c->out, source, variant, &words, &count, &err);
    else if (source)
        status = rp_glsl_compile(source, variant, &words, &count, &err);
    if (status) {
        fprintf(stderr, "shaderpack: %s\n", err.message);
        free(source);
        return 0;
    }
    count = rp_spirv_strip(words, count);
    fprintf(out, "static const uint32_t %s[] = {", variant->name);
    for (size_t i = 0; i < count; i++) fprintf(out, "%s0x%08x,", i % 12 ? "" : "\n", words[i]);
    fprintf(out, "\n};\n");
    free(source);
    free(words);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 5) {
        fprintf(stderr, "usage: shaderpack SHADER_DIR OUT.c [VALIDATOR VERSION]\n");
        return 2;
    }
    const compiler c = {argv[1], argv[2], argc == 5 ? argv[3] : NULL, argc == 5 ? atoi(argv[4]) : 0};
    FILE *out = fopen(argv[2], "w");
    if (!out) {
        perror(argv[2]);
        return 1;
    }
    size_t counts[VARIANT_COUNT];
    fprintf(out, "/* Made by shaderpack from %s. */\n#include \"gpu/shader.h\"\n", "shaders/variants.def");
    for (int i = 0; i < VARIANT_COUNT; i++) {
        bool too_old = rp_glslang_version() < variants[i].glslang && !elsewhere(&c, &variants[i]);
        counts[i] = too_old ? 0 : write_variant(out, &c, &variants[i]);
        if (too_old)
            fprintf(stderr, "shaderpack: %s is left out: it needs glslang %d, and this is %d\n",
                    variants[i].name, variants[i].glslang, rp_glslang_version());
        else if (!counts[i]) {
            fclose(out);
            remove(argv[2]);
            return 1;
        }
    }
    fprintf(out, "const rp_packed_shader rp_shader_pack[] = {\n");
    for (int i = 0; i < VARIANT_COUNT; i++)
        fprintf(out, "{{\"%s\", \"%s\", \"%s\", %d}, %s, %zu},\n", variants[i].name, variants[i].files,
                variants[i].defines, variants[i].glslang, counts[i] ? variants[i].name : "NULL", counts[i]);
    fprintf(out, "};\nconst size_t rp_shader_pack_count = %d;\n", VARIANT_COUNT);
    if (fclose(out)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}
