/* The buffers of a micro-batch: how large it is, and where everything lies. */
#include <string.h>

#include "ops/attention.h"
#include "train/trainer.h"

enum {
    DEFAULT_TOKENS = 2048,
    WIDEST_DEFAULT = 64 << 20, /* bytes of the widest activation that a default micro-batch may take */
    MOST_TOKENS = 65535,
    MOST_SEQUENCES = 256,
    MOST_WORDS = 170000, /* of a vocabulary on a software driver, which ends the loops of an invocation after
                            65535 iterations: a loss has three over the vocabulary, 8 lanes wide */
};

typedef struct widths {
    uint32_t h, i, a, e, c;
} widths;

static widths widths_of(const rp_trainer *t) {
    const rp_config *c = &t->model->config;
    return (widths){rp_padded(c->hidden_size), rp_padded(c->intermediate_size),
                    rp_attention_width(c->attention_heads, c->hidden_size / c->attention_heads),
                    rp_padded(c->embedding_size), rp_padded(rp_train_logits(t))};
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

bool rp_train_pretrains(const rp_trainer *t) {
    return t->head & RP_HEAD_MASKED_LM;
}

bool rp_train_has_order(const rp_trainer *t) {
    return t->head & RP_HEAD_ORDER;
}

bool rp_train_has_token_rows(const rp_trainer *t) {
    return t->head == RP_HEAD_TOKENS || t->head == RP_HEAD_SPANS;
}

uint32_t rp_train_logits(const rp_trainer *t) {
    if (t->params.vectors || t->head == RP_HEAD_CHOICE) return 1;
    return t->head == RP_HEAD_SPANS || rp_train_pretrains(t) ? 2 : t->model->config.label_count;
}

/* ---- how many tokens ---- */

static uint32_t layer_runs(const rp_trainer *t) {
    return t->model->config.layers * t->model->config.inner_layers;
}

static rp_status choose_tokens(rp_trainer *t, rp_error *err) {
    widths w = widths_of(t);
    uint64_t widest = 4ull * larger(3 * w.a, w.i), kept = 4ull * w.h * layer_runs(t);
    uint64_t limit = rp_caps_range_limit(&t->device->caps), longest = t->model->config.max_positions;
    uint64_t tokens = t->params.max_batch_tokens;
    if (!tokens) tokens = WIDEST_DEFAULT / widest < DEFAULT_TOKENS ? WIDEST_DEFAULT / widest : DEFAULT_TOKENS;
    if (tokens < longest) tokens = longest;
    tokens = rp_round_up(tokens, 4);
    uint64_t row = kept > widest ? kept : widest;
    if (tokens > limit / row) tokens = limit / row;
    if (tokens > MOST_TOKENS) tokens = MOST_TOKENS;
    tokens &= ~3ull;
    if (tokens < longest)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "%s: to train on sequences of max_position_embeddings %u tokens takes a storage buffer of "
            "%llu bytes, and %s has them of %llu; make max_position_embeddings smaller",
            t->model->config.path, t->model->config.max_positions, (unsigned long long)(row * longest),
            t->device->caps.info.name, (unsigned long long)limit);
    t->tokens = (uint32_t)tokens;
    t->sequences = t->tokens < MOST_SEQUENCES ? t->tokens : MOST_SEQUENCES;
    return RP_OK;
}

/* Logits of all words are large: few rows of them, but those of a sequence of which a quarter is predicted.
 */
static rp_status choose_masked(rp_trainer *t, rp_error *err) {
    const rp_config *c = &t->model->config;
    uint64_t row = 4ull * rp_padded(c->vocab_size), limit = rp_caps_range_limit(&t->device->caps);
    uint64_t least = c->max_positions / 4 + 1, most = WIDEST_DEFAULT / row;
    t->masked = 0;
    if (!rp_train_pretrains(t)) return RP_OK;
    if (most < least) most = least;
    if (most > limit / row) most = limit / row;
    if (most > t->tokens) most = t->tokens;
    t->masked = (uint32_t)most;
    if (t->masked && (t->device->caps.info.type != RP_DEVICE_CPU || c->vocab_size <= MOST_WORDS))
        return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: vocab_size: %u words are more than can be predicted on %s; take another device, or a "
                   "smaller vocabulary",
                   c->path, c->vocab_size, t->device->caps.info.name);
}

/* ---- what the host writes and reads ---- */

/* 32-bit words that the loss reads for each of its rows. */
static uint64_t wanted_words(const rp_trainer *t) {
    uint64_t rows = rp_train_has_token_rows(t) ? t->tokens : t->sequences;
    if (t->params.vectors) return 2 * RP_TRAIN_MOST_PAIRS;
    return rows * larger(4, 1 + rp_train_logits(t));
}

/* And of a teacher. */
static uint64_t taught_words(const rp_trainer *t) {
    if (!t->params.taught) return 0;
    return t->params.vectors ? 2ull * RP_TRAIN_MOST_PAIRS * (1 + t->model->config.hidden_size)
                             : wanted_words(t);
}

typedef struct part {
    VkDeviceSize *offset, bytes;
} part;

static VkDeviceSize lay_out(const rp_trainer *t, const part *parts, size_t count) {
    VkDeviceSize alignment = larger(16, (uint32_t)t->device->caps.storage_alignment), end = 0;
    for (size_t i = 0; i < count; i++) {
        *parts[i].offset = rp_round_up(end, alignment);
        end = *parts[i].offset + parts[i].bytes;
    }
    return end;
}

static rp_status create_shared(rp_trainer *t, rp_error *err) {
    rp_train_layout *at = &t->at;
    uint64_t tokens = t->tokens, items = tokens + 2ull * t->sequences;
    if (t->params.vectors && items < RP_TRAIN_MOST_PAIRS) items = RP_TRAIN_MOST_PAIRS;
    const part in[] = {
        {&at->counts, RP_ALL_COUNTS * 4},
        {&at->indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)},
        {&at->head_state, sizeof(rp_train_state)},
        {&at->state, sizeof(rp_train_state)},
        {&at->tokens, tokens * 16},
        {&at->starts, (tokens + 1) * 4},
        {&at->queries, tokens * 8},
        {&at->tiles, tokens * 8},
        {&at->first, tokens * 8},
        {&at->wanted, wanted_words(t) * 4},
        {&at->taught, taught_words(t) * 4},
        {&at->segments, (tokens + 1) * 4},
        {&at->masked, t->masked * 4ull},
        {&at->masked_ids, t->masked * 8ull},
        {&at->lists[0], tokens * 16},
        {&at->lists[1], tokens * 16},
        {&at->lists[2], tokens * 16},
        {&at->orders[0], tokens * 4},
        {&at->orders[1], tokens * 4},
        {&at->orders[2], tokens * 4},
    };
    const part out[] = {{&t->out.losses, items * 8},
                        {&t->out.masked, t->masked * 8ull},
                        {&t->out.taught, t->params.vectors ? RP_TRAIN_MOST_PAIRS * 16 : 0},
                        {&t->out.total, 16},
                        {&t->out.sums, t->sum_count * 4ull}};
    at->size = lay_out(t, in, RP_COUNT(in));
    t->out.size = lay_out(t, out, RP_COUNT(out));
    rp_status status;
    RP_TRY(rp_buffer_create(t->device, at->size, RP_MEMORY_INPUT, "training input", &t->input, err));
    RP_TRY(rp_buffer_create(t->device, t->out.size, RP_MEMORY_OUTPUT, "training output", &t->output, err));
    memset(t->output.mapped, 0, (size_t)t->out.size); /* sums between those of two windows stay zero */
    status = rp_buffer_flush(t->device, &t->output, t->out.size, err);
done:
    return status;
}

rp_range rp_train_input(const rp_trainer *t, VkDeviceSize offset, VkDeviceSize bytes) {
    return rp_buffer_range(&t->input, offset, bytes);
}

rp_range rp_train_state_range(const rp_trainer *t) {
    return rp_train_input(t, t->at.state, sizeof(rp_train_state));
}

rp_range rp_train_starts(const rp_trainer *t) {
    return rp_train_input(t, t->at.starts, (t->tokens + 1) * 4ull);
}

/* ---- activations and their gradients ---- */

static rp_status reserve_activations(rp_trainer *t, rp_error *err) {
    widths w = widths_of(t);
    rp_train_buffers *b = &t->buffers;
    uint64_t tokens = t->tokens, sequences = t->sequences,
             widest = larger(larger(3 * w.a, w.i), larger(w.h, larger(w.e, w.c))), masked = t->masked,
             words = masked ? rp_padded(t->model->config.vocab_size) : 0,
             sums = (tokens / 64 + 1) * 2 * widest, word_sums = (masked / 64 + 1) * words,
             logits = rp_train_has_token_rows(t) ? tokens : sequences,
             pairs = t->params.vectors ? RP_TRAIN_MOST_PAIRS : 0;
    const struct {
        rp_range *range;
        uint64_t floats;
    } parts[] = {
        {&b->sum, tokens * w.e},
        {&b->normed, tokens * w.e},
        {&b->hidden, tokens * w.h},
        {&b->kept, tokens * w.h * layer_runs(t)},
        {&b->in, tokens * w.h},
        {&b->before, tokens * w.h},
        {&b->attended, tokens * w.h},
        {&b->ahead, tokens * w.h},
        {&b->qkv, tokens * 3 * w.a},
        {&b->context, tokens * w.a},
        {&b->z, tokens * w.i},
        {&b->inner, tokens * larger(w.i, 3 * w.a)},
        {&b->d_hidden, tokens * w.h},
        {&b->d_other, tokens * w.h},
        {&b->d_inner, tokens * larger(larger(w.i, w.a), w.e)},
        {&b->norm_stats, tokens * 2},
        {&b->attention_stats, tokens * 2 * t->model->config.attention_heads},
        {&b->scratch, sums > word_sums ? sums : word_sums},
        {&b->first_rows, sequences * w.h},
        {&b->pooled_in, sequences * w.h},
        {&b->pooled, sequences * w.h},
        {&b->d_pooled, sequences * w.h},
        {&b->logits, logits * w.c},
        {&b->d_logits, logits * w.c},
        {&b->masked_rows, masked * w.h},
        {&b->masked_in, masked * w.e},
        {&b->masked_act, masked * w.e},
        {&b->masked_normed, masked * w.e},
        {&b->d_masked, masked * w.e},
        {&b->d_masked_act, masked * w.e},
        {&b->words, masked * words},
        {&b->vectors, 2 * pairs * w.h},
        {&b->d_vectors, 2 * pairs * w.h},
        {&b->inverse, 2 * pairs},
        {&b->scores, pairs * rp_padded(RP_TRAIN_MOST_PAIRS)},
        {&b->d_scores, pairs * rp_padded(RP_TRAIN_MOST_PAIRS)},
    };
    uint64_t all = 0;
    rp_status status = RP_OK;
    for (size_t i = 0; i < RP_COUNT(parts); i++) all += parts[i].floats * 4 + 256;
    rp_store_init(&t->work, t->device, all, "activations of training");
    for (size_t i = 0; !status && i < RP_COUNT(parts); i++) {
        if (!parts[i].floats) continue;
        if (parts[i].floats * 4 > rp_caps_range_limit(&t->device->caps))
            return rp_fail(
                err, RP_ERROR_UNSUPPORTED,
                "to train %s takes a storage buffer of %llu bytes, which %s has not; take fewer labels, "
                "or another device",
                t->model->dir, (unsigned long long)parts[i].floats * 4, t->device->caps.info.name);
        if (parts[i].floats) status = rp_store_reserve(&t->work, parts[i].floats * 4, parts[i].range, err);
    }
    return status;
}

rp_status rp_train_create_buffers(rp_trainer *t, rp_error *err) {
    rp_status status;
    RP_TRY(choose_tokens(t, err));
    RP_TRY(choose_masked(t, err));
    RP_TRY(create_shared(t, err));
    status = reserve_activations(t, err);
done:
    return status;
}

void rp_train_drop_buffers(rp_trainer *t) {
    rp_buffer_destroy(t->device, &t->input);
    rp_buffer_destroy(t->device, &t->output);
    rp_store_finish(&t->work);
}
