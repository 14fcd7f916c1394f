#include "ops/class.h"

#include <stdio.h>

#include "base/alloc.h"

const rp_class *const rp_classes[] = {
#define RP_OP_CLASS(name) &rp_class_##name,
#include "ops/classes.def"
#undef RP_OP_CLASS
};
const uint32_t rp_class_count = RP_COUNT(rp_classes);

static void say(char out[RP_USE_TEXT], const char *what) {
    size_t used = strlen(out);
    snprintf(out + used, RP_USE_TEXT - used, "%s%s", used && *what ? ", " : "", what);
}

void rp_use_text(const rp_class *class, const rp_use *use, char out[RP_USE_TEXT]) {
    static const char *const formats[] = {"f32", "f16", "bf16", "int8", "int4"};
    static const char *const halves[] = {"", "f16 in", "f16 out", "f16 activations"};
    static const char *const activations[] = {"", "gelu", "gelu_new", "relu", "tanh"};
    const rp_format *f = use->formats;
    char text[RP_USE_TEXT];
    *out = 0;
    for (uint32_t i = 0; class->variants && class->variants[i]; i++)
        if (i == use->variant) say(out, class->variants[i]);
    if (class->weights && f[0] == f[1] && f[0] == f[2])
        snprintf(out, RP_USE_TEXT, "%s %s", formats[f[0]], class->weights);
    else if (class->weights)
        snprintf(out, RP_USE_TEXT, "%s %s %s %s", formats[f[0]], formats[f[1]], formats[f[2]],
                 class->weights);
    if (use->head_dim) {
        snprintf(text, sizeof text, "heads of %u", use->head_dim);
        say(out, text);
    }
    say(out, halves[use->halves]);
    say(out, use->bias ? "bias" : "");
    say(out, activations[use->activation]);
    say(out, use->residual ? "residual" : "");
    say(out, use->norm ? "norm" : "");
}
