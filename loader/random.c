/* Weights from a generator: for measuring models of any size without their files, and for new models. */
#include "loader/random.h"

#include <math.h>

#include "base/os.h"
#include "loader/names.h"
#include "loader/weights_files.h"

typedef struct filler {
    float *next; /* NULL: only count */
    uint64_t elements, seed;
    double deviation; /* of a new model; 0: it is for measuring */
} filler;

/* Element i of the splitmix64 sequence of `seed`. */
static uint64_t mix(uint64_t seed, uint64_t i) {
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in offset +- scale; two elements from each step of the generator. */
static void fill(float *out, size_t count, uint64_t seed, float offset, float scale) {
    float step = scale * 0x1p-31f;
    for (size_t i = 0; i < count; i += 2) {
        uint64_t bits = mix(seed, i / 2);
        out[i] = offset + step * (float)(int32_t)(uint32_t)bits;
        if (i + 1 < count) out[i + 1] = offset + step * (float)(int32_t)(uint32_t)(bits >> 32);
    }
}

double rp_random_next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

double rp_random_normal(uint64_t *state) {
    static const double TURN = 6.283185307179586;
    for (;;) {
        double radius = sqrt(-2 * log(1 - rp_random_next(state))), angle = TURN * rp_random_next(state);
        if (fabs(radius * cos(angle)) <= 2) return radius * cos(angle);
    }
}

/* As google-research/albert begins, matrices alone at random. */
static void fill_new(filler *f, const rp_slot *slot, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        f->next[i] = slot->kind == RP_SLOT_MATRIX ? (float)(f->deviation * rp_random_normal(&f->seed))
                                                  : slot->kind == RP_SLOT_SCALE;
}

static rp_status fill_slot(const rp_slot *slot, void *context) {
    filler *f = context;
    uint64_t count = (uint64_t)slot->rows * slot->columns;
    if (f->next) {
        bool matrix = slot->kind == RP_SLOT_MATRIX;
        *slot->tensor =
            (rp_tensor){.data = f->next, .dtype = RP_F32, .rows = slot->rows, .columns = slot->columns};
        if (f->deviation > 0)
            fill_new(f, slot, count);
        else
            fill(f->next, (size_t)count, mix(f->seed, f->elements), slot->kind == RP_SLOT_SCALE ? 1.0f : 0.0f,
                 matrix ? 0.05f : 0.02f);
        f->next += count;
    }
    f->elements += count;
    return RP_OK;
}

/* Every tensor of the model, the masked language model's output too. */
static void visit_all(const rp_config *c, rp_weights *out, unsigned heads, filler *f) {
    rp_slots_each(c, out, heads | RP_PART_ENCODER, fill_slot, f);
    if (!(heads & RP_HEAD_MASKED_LM)) return;
    rp_slot bias = {.tensor = &out->lm_bias, .kind = RP_SLOT_BIAS, .rows = 1, .columns = c->vocab_size};
    rp_slot decoder = {.tensor = &out->lm_decoder, .rows = c->vocab_size, .columns = c->embedding_size};
    fill_slot(&bias, f);
    if (!c->tie_word_embeddings) fill_slot(&decoder, f);
}

static rp_status make(const rp_config *config, filler f, rp_weights *out, rp_error *err) {
    size_t layers = (size_t)config->groups * config->inner_layers;
    out->layers = rp_new_array(rp_layer_weights, layers);
    out->files = rp_new(rp_weight_files);
    if (out->layers && out->files) {
        visit_all(config, out, out->heads, &f);
        /* a larger one may succeed and then bring the machine to its knees */
        if (f.elements <= rp_os_memory() / sizeof(float) && f.elements <= SIZE_MAX / sizeof(float))
            out->files->memory = malloc((size_t)f.elements * sizeof(float));
    }
    if (!out->layers || !out->files || !out->files->memory) {
        rp_weights_finish(out);
        return rp_fail_memory(err, "random weights", f.elements * sizeof(float));
    }
    out->parameters = f.elements;
    f.elements = 0;
    f.next = out->files->memory;
    visit_all(config, out, out->heads, &f);
    return RP_OK;
}

rp_status rp_weights_random(const rp_config *config, uint32_t seed, rp_weights *out, rp_error *err) {
    unsigned named = rp_heads_of_architecture(config), bare = config->no_pooler ? 0 : RP_HEAD_POOLER;
    *out = (rp_weights){.heads = named ? named : bare};
    return make(config, (filler){.seed = mix(seed, 0)}, out, err);
}

rp_status rp_weights_new(const rp_config *config, unsigned heads, double deviation, uint64_t seed,
                         rp_weights *out, rp_error *err) {
    *out = (rp_weights){.heads = heads};
    rp_status status = make(config, (filler){.seed = seed, .deviation = deviation}, out, err);
    if (status || config->pad_id >= config->vocab_size) return status;
    float *word = (float *)out->files->memory; /* the first tensor */
    memset(word + (size_t)config->pad_id * config->embedding_size, 0, config->embedding_size * sizeof *word);
    return RP_OK;
}
