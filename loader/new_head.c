#include "loader/new_head.h"

#include "loader/names.h"
#include "loader/random.h"
#include "loader/weights_files.h"

enum { SHARED = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

/* ---- numbers ---- */

/* Where tensors that are made take their place. */
typedef struct maker {
    float *next;
    uint64_t state;
} maker;

static rp_tensor make_constant(maker *m, float value, uint32_t columns) {
    const rp_tensor made = {.data = m->next, .dtype = RP_F32, .rows = 1, .columns = columns};
    for (uint32_t i = 0; i < columns; i++) *m->next++ = value;
    return made;
}

static rp_tensor make_matrix(maker *m, uint32_t rows, uint32_t columns) {
    const rp_tensor made = {.data = m->next, .dtype = RP_F32, .rows = rows, .columns = columns};
    for (size_t i = 0; i < (size_t)rows * columns; i++)
        *m->next++ = (float)(0.02 * rp_random_normal(&m->state));
    return made;
}

static void make_linear(maker *m, rp_tensor *matrix, rp_tensor *bias, uint32_t rows, uint32_t columns) {
    *matrix = make_matrix(m, rows, columns);
    *bias = make_constant(m, 0, rows);
}

static rp_status open_maker(maker *m, rp_weights *weights, uint64_t count, uint64_t seed, rp_error *err) {
    *m = (maker){.next = rp_new_zeroed(count, sizeof(float)), .state = seed};
    weights->files->memory = m->next;
    return m->next ? RP_OK : rp_fail_memory(err, "a new head", count * sizeof(float));
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

void rp_weights_drop_exits(const rp_config *config, rp_weights *weights) {
    if (!weights->exits) return;
    weights->parameters -= (config->layers - 1) * weights->classifier.rows * (config->hidden_size + 1ull);
    free(weights->exits);
    weights->exits = NULL;
}

/* The last one is the classifier. */
static rp_status make_exits(maker *m, const rp_config *config, rp_weights *weights, rp_error *err) {
    uint32_t last = config->layers - 1, rows = weights->classifier.rows;
    rp_weights_drop_exits(config, weights);
    weights->exits = rp_new_array(rp_exit_weights, config->layers);
    if (!weights->exits)
        return rp_fail_memory(err, "internal classifiers", config->layers * sizeof *weights->exits);
    for (uint32_t i = 0; i < last; i++)
        make_linear(m, &weights->exits[i].weight, &weights->exits[i].bias, rows, config->hidden_size);
    weights->exits[last] = (rp_exit_weights){weights->classifier, weights->classifier_bias};
    weights->parameters += last * rows * (config->hidden_size + 1ull);
    return RP_OK;
}

/* One head of SHARED. */
static rp_status make_shared(const rp_new_head *head, rp_config *config, rp_weights *weights, rp_error *err) {
    bool pooled = head->head == RP_HEAD_CLASSIFIER || head->head == RP_HEAD_CHOICE, pooler;
    bool same = !has_labels(head->head) || !head->label_count || config->label_count == head->label_count;
    bool there = weights->heads & head->head && same, exits = head->exits && !(there && weights->exits);
    uint32_t h = config->hidden_size, rows = head->head == RP_HEAD_CHOICE ? 1 : 2;
    maker m;
    if (there ? !exits : same && has_labels(head->head) && !head->label_count) return RP_OK;
    if (has_labels(head->head)) rows = there ? config->label_count : head->label_count;
    pooler = pooled && !(weights->heads & RP_HEAD_POOLER);
    uint64_t count = there ? 0 : (uint64_t)rows * (h + 1) + (pooler ? (uint64_t)h * (h + 1) : 0);
    uint64_t inside = exits ? (config->layers - 1) * (uint64_t)rows * (h + 1) : 0;
    rp_status status = open_maker(&m, weights, count + inside, head->seed, err);
    if (!status && there) return make_exits(&m, config, weights, err);
    if (!status && has_labels(head->head)) status = set_labels(head, config, err);
    if (status) return status;
    rp_weights_drop_exits(config, weights);
    if (weights->heads & SHARED) weights->parameters -= weights->classifier.rows * (uint64_t)(h + 1);
    make_linear(&m, &weights->classifier, &weights->classifier_bias, rows, h);
    if (pooler) make_linear(&m, &weights->pooler, &weights->pooler_bias, h, h);
    weights->parameters += count;
    weights->heads =
        (weights->heads & ~(unsigned)SHARED) | (unsigned)head->head | (pooled ? RP_HEAD_POOLER : 0u);
    forget_left_out(weights, SHARED | (pooled ? RP_HEAD_POOLER : 0u));
    config->head = head->head;
    config->head_made = true;
    return exits ? make_exits(&m, config, weights, err) : RP_OK;
}

/* ---- pre-training ---- */

static void drop_shared(rp_weights *weights, uint32_t h) {
    if (weights->heads & SHARED) weights->parameters -= weights->classifier.rows * (uint64_t)(h + 1);
    weights->classifier = weights->classifier_bias = (rp_tensor){0};
    weights->heads &= ~(unsigned)SHARED;
}

/* The elements of `missing` heads. */
static uint64_t elements_of(const rp_config *c, unsigned missing) {
    uint64_t h = c->hidden_size, e = c->embedding_size, v = c->vocab_size, count = 0;
    if (missing & RP_HEAD_POOLER) count += h * (h + 1);
    if (missing & RP_HEAD_ORDER) count += 2 * (h + 1);
    if (missing & RP_HEAD_MASKED_LM) count += e * (h + 3) + v + (c->tie_word_embeddings ? 0 : v * e);
    return count;
}

static void make_missing(maker *m, const rp_config *c, unsigned missing, rp_weights *w) {
    uint32_t h = c->hidden_size, e = c->embedding_size;
    if (missing & RP_HEAD_POOLER) make_linear(m, &w->pooler, &w->pooler_bias, h, h);
    if (missing & RP_HEAD_ORDER) make_linear(m, &w->order, &w->order_bias, 2, h);
    if (!(missing & RP_HEAD_MASKED_LM)) return;
    make_linear(m, &w->lm_dense, &w->lm_dense_bias, e, h);
    w->lm_norm = make_constant(m, 1, e);
    w->lm_norm_bias = make_constant(m, 0, e);
    w->lm_bias = make_constant(m, 0, c->vocab_size);
    if (!c->tie_word_embeddings) w->lm_decoder = make_matrix(m, c->vocab_size, e);
}

static rp_status make_for_pretraining(const rp_new_head *head, rp_config *config, rp_weights *weights,
                                      rp_error *err) {
    unsigned needed = head->head | (head->head & RP_HEAD_ORDER ? RP_HEAD_POOLER : 0u);
    unsigned missing = needed & ~weights->heads;
    uint64_t count = elements_of(config, missing);
    maker m = {.state = head->seed};
    rp_status status = count ? open_maker(&m, weights, count, head->seed, err) : RP_OK;
    if (status) return status;
    drop_shared(weights, config->hidden_size);
    make_missing(&m, config, missing, weights);
    weights->parameters += count;
    weights->heads |= needed;
    forget_left_out(weights, SHARED | needed);
    if (head->head & ~rp_heads_of_architecture(config)) {
        config->head = head->head;
        config->head_made = true;
    }
    return RP_OK;
}

rp_status rp_weights_make_head(const rp_new_head *head, rp_config *config, rp_weights *weights,
                               rp_error *err) {
    return (head->head & SHARED ? make_shared : make_for_pretraining)(head, config, weights, err);
}
