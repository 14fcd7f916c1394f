/* shaderpack SHADER_DIR OUT.c: compile every entry of shaders/variants.def into one C file of SPIR-V words,
 * which the library carries. Runs at build time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/compile.h"

static const rp_shader_variant variants[] = {
#define RP_SHADER(name, file, defines) {#name, file, defines},
#include "shaders/variants.def"
#undef RP_SHADER
};
enum { VARIANT_COUNT = sizeof variants / sizeof variants[0] };

static size_t write_variant(FILE *out, const char *dir, const rp_shader_variant *variant) {
    rp_error err;
    uint32_t *words = NULL;
    size_t count = 0;
    char *source = rp_glsl_source(dir, variant, &err);
    if (!source || rp_glsl_compile(source, variant, &words, &count, &err)) {
        fprintf(stderr, "shaderpack: %s\n", err.message);
        free(source);
        return 0;
    }
    fprintf(out, "static const uint32_t %s[] = {", variant->name);
    for (size_t i = 0; i < count; i++) fprintf(out, "%s0x%08x,", i % 12 ? "" : "\n", words[i]);
    fprintf(out, "\n};\n");
    free(source);
    free(words);
    return count;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: shaderpack SHADER_DIR OUT.c\n");
        return 2;
    }
    FILE *out = fopen(argv[2], "w");
    if (!out) {
        perror(argv[2]);
        return 1;
    }
    size_t counts[VARIANT_COUNT];
    fprintf(out, "/* Made by shaderpack from %s. */\n#include \"gpu/shader.h\"\n", "shaders/variants.def");
    for (int i = 0; i < VARIANT_COUNT; i++) {
        counts[i] = write_variant(out, argv[1], &variants[i]);
        if (!counts[i]) {
            fclose(out);
            remove(argv[2]);
            return 1;
        }
    }
    fprintf(out, "const rp_packed_shader rp_shader_pack[] = {\n");
    for (int i = 0; i < VARIANT_COUNT; i++)
        fprintf(out, "{{\"%s\", \"%s\", \"%s\"}, %s, %zu},\n", variants[i].name, variants[i].files,
                variants[i].defines, variants[i].name, counts[i]);
    fprintf(out, "};\nconst size_t rp_shader_pack_count = %d;\n", VARIANT_COUNT);
    if (fclose(out)) {
        perror(argv[2]);
        return 1;
    }
    return 0;
}
