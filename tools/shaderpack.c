/* shaderpack SHADER_DIR OUT.c [VALIDATOR VERSION]: compile every entry of shaders/variants.def into one C
 * file of packed SPIR-V, which the library carries. Runs at build time. Where the glslang that it is linked
 * with is too old for VK_KHR_cooperative_matrix, the shaders that need it are compiled by the program
 * VALIDATOR, a glslangValidator of this major version, or for VK_NV_cooperative_matrix. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/compile.h"
#include "gpu/pack.h"
#include "tools/spirv_ids.h"

static const rp_shader_variant variants[] = {
#define RP_SHADER(name, file, defines) {#name, file, defines, false},
#define RP_SHADER_COOPERATIVE(name, file, defines) {#name, file, defines, true},
#include "shaders/variants.def"
#undef RP_SHADER
#undef RP_SHADER_COOPERATIVE
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

static bool validator_helps(const compiler *c) {
    return rp_glslang_version() < RP_GLSLANG_KHR_MATRIX && c->validator &&
           c->validator_version >= RP_GLSLANG_KHR_MATRIX;
}

/* What was written of a module. */
typedef struct written {
    size_t bytes, words;
} written;

static bool write_packed(FILE *out, const char *name, const uint32_t *words, written *w) {
    unsigned char *packed = malloc(RP_SPIRV_PACKED_MAX(w->words));
    void *scratch = malloc(RP_SPIRV_SCRATCH);
    bool good = packed && scratch;
    w->bytes = good ? rp_spirv_pack(words, w->words, packed, scratch) : 0;
    fprintf(out, "static const unsigned char %s[] = {", name);
    for (size_t i = 0; i < w->bytes; i++) fprintf(out, "%s%u,", i % 32 ? "" : "\n", packed[i]);
    fprintf(out, "\n};\n");
    free(packed);
    free(scratch);
    return good;
}

/* False after a message. */
static bool write_variant(FILE *out, const compiler *c, const rp_shader_variant *variant, written *w) {
    rp_error err;
    uint32_t *words = NULL;
    size_t count = 0;
    bool other = variant->cooperative && validator_helps(c);
    char *source = rp_glsl_source(c->dir, variant, other ? c->validator_version : rp_glslang_version(), &err);
    rp_status status = RP_ERROR_FILE;
    if (source && other)
        status = compile_elsewhere(c->validator, c->out, source, variant, &words, &count, &err);
    else if (source)
        status = rp_glsl_compile(source, variant, &words, &count, &err);
    if (status) {
        fprintf(stderr, "shaderpack: %s\n", err.message);
        free(source);
        return false;
    }
    w->words = rp_spirv_strip(words, count);
    uint32_t opcode = rp_spirv_order_ids(words, w->words);
    if (opcode)
        fprintf(stderr,
                "shaderpack: %s takes more bytes than it must: tools/spirv_ids.c does not know opcode %u\n",
                variant->name, (unsigned)opcode);
    bool good = write_packed(out, variant->name, words, w);
    if (!good) fprintf(stderr, "shaderpack: out of memory\n");
    free(source);
    free(words);
    return good;
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
    const bool nv = rp_glslang_version() < RP_GLSLANG_KHR_MATRIX && !validator_helps(&c);
    if (nv)
        fprintf(
            stderr,
            "shaderpack: cooperative matrices will need VK_NV_cooperative_matrix: glslang %d is too old for "
            "VK_KHR_cooperative_matrix, which needs %d\n",
            rp_glslang_version(), RP_GLSLANG_KHR_MATRIX);
    written modules[VARIANT_COUNT];
    fprintf(out, "/* Made by shaderpack from %s. */\n#include \"gpu/shader.h\"\n", "shaders/variants.def");
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!write_variant(out, &c, &variants[i], &modules[i])) {
            fclose(out);
            remove(argv[2]);
            return 1;
        }
    }
    fprintf(out, "const rp_packed_shader rp_shader_pack[] = {\n");
    for (int i = 0; i < VARIANT_COUNT; i++)
        fprintf(out, "{{\"%s\", \"%s\", \"%s\", %s}, %s, %zu, %zu},\n", variants[i].name, variants[i].files,
                variants[i].defines, variants[i].cooperative ? "true" : "false", variants[i].name,
                modules[i].bytes, modules[i].words);
    fprintf(out, "};\nconst size_t rp_shader_pack_count = %d;\n", VARIANT_COUNT);
    fprintf(out, "const bool rp_shader_pack_nv = %s;\n", nv ? "true" : "false");
    if (fclose(out)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}
