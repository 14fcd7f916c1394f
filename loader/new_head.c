#include "loader/new_head.h"

#include <math.h>

#include "loader/weights_files.h"

enum { SHARED = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

/* ---- numbers ---- */

/* The next of the splitmix64 sequence, from 0 to below 1. */
static double next_uniform(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

/* Of a normal distribution, those beyond two deviations drawn again. */
static float next_normal(uint64_t *state) {
    static const double TURN = 6.283185307179586;
    for (;;) {
        double radius = sqrt(-2 * log(1 - next_uniform(state))), angle = TURN * next_uniform(state);
        if (fabs(radius * cos(angle)) <= 2) return (float)(0.02 * radius * cos(angle));
    }
}

/* A matrix and its bias, which take their place in `*memory`. */
static void make(rp_tensor *matrix, rp_tensor *bias, uint32_t rows, uint32_t columns, uint64_t *state,
                 float **memory) {
    *matrix = (rp_tensor){.data = *memory, .dtype = RP_F32, .rows = rows, .columns = columns};
    for (size_t i = 0; i < (size_t)rows * columns; i++) *(*memory)++ = next_normal(state);
    *bias = (rp_tensor){.data = *memory, .dtype = RP_F32, .rows = 1, .columns = rows};
    for (uint32_t i = 0; i < rows; i++) *(*memory)++ = 0;
}

/* ---- the head ---- */

static bool has_labels(rp_head head) {
    return head == RP_HEAD_CLASSIFIER || head == RP_HEAD_TOKENS;
}

static rp_status set_labels(const rp_new_head *head, rp_config *config, rp_error *err) {
    rp_status status = rp_config_number_labels(config, head->label_count, err);
    for (uint32_t i = 0; head->labels && !status && i < head->label_count; i++) {
        config->labels[i] = rp_arena_copy(&config->arena, head->labels[i], strlen(head->labels[i]));
        if (!config->labels[i]) status = rp_fail_memory(err, "labels", strlen(head->labels[i]));
    }
    config->problem = head->problem;
    config->problem_given = config->labels_given = true;
    return status;
}

static void forget_left_out(rp_weights *weights, unsigned heads) {
    for (unsigned i = 0; i < RP_HEAD_COUNT; i++)
        if (heads & 1u << i) weights->left_out[i] = (rp_error){0};
}

rp_status rp_weights_make_head(const rp_new_head *head, rp_config *config, rp_weights *weights,
                               rp_error *err) {
    bool pooled = head->head == RP_HEAD_CLASSIFIER || head->head == RP_HEAD_CHOICE, pooler;
    bool same = !has_labels(head->head) || config->label_count == head->label_count;
    uint32_t h = config->hidden_size, rows = head->head == RP_HEAD_CHOICE ? 1 : 2;
    if (weights->heads & head->head && same) return RP_OK;
    if (has_labels(head->head)) rows = head->label_count;
    pooler = pooled && !(weights->heads & RP_HEAD_POOLER);
    uint64_t count = (uint64_t)rows * (h + 1) + (pooler ? (uint64_t)h * (h + 1) : 0), seed = head->seed;
    float *memory = weights->files->memory = rp_new_zeroed(count, sizeof *memory);
    if (!memory) return rp_fail_memory(err, "a new head", count * sizeof *memory);
    rp_status status = has_labels(head->head) ? set_labels(head, config, err) : RP_OK;
    if (weights->heads & SHARED) weights->parameters -= weights->classifier.rows * (uint64_t)(h + 1);
    make(&weights->classifier, &weights->classifier_bias, rows, h, &seed, &memory);
    if (pooler) make(&weights->pooler, &weights->pooler_bias, h, h, &seed, &memory);
    weights->parameters += count;
    weights->heads =
        (weights->heads & ~(unsigned)SHARED) | (unsigned)head->head | (pooled ? RP_HEAD_POOLER : 0u);
    forget_left_out(weights, SHARED | (pooled ? RP_HEAD_POOLER : 0u));
    config->head = head->head;
    config->head_made = true;
    return status;
}
