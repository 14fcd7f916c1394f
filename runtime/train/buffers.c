/* The buffers of a micro-batch: how large it is, and where everything lies. */
#include <string.h>

#include "train/trainer.h"

enum {
    MOST_WORDS = 170000, /* of a vocabulary on a software driver, which ends the loops of an invocation after
                            65535 iterations: a loss has three over the vocabulary, 8 lanes wide */
};

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

bool rp_train_pretrains(const rp_trainer *t) {
    return t->head & RP_HEAD_MASKED_LM;
}

bool rp_train_in_half(const rp_trainer *t) {
    return t->params.precision == RP_PRECISION_F16;
}

bool rp_train_has_order(const rp_trainer *t) {
    return t->head & RP_HEAD_ORDER;
}

bool rp_train_has_token_rows(const rp_trainer *t) {
    return rp_train_rows_are_tokens(t->head);
}

uint32_t rp_train_exits(const rp_trainer *t) {
    return t->params.early_exit ? t->model->config.layers - 1 : 0;
}

VkDeviceSize rp_train_exit_bytes(const rp_trainer *t) {
    return rp_round_up(t->sequences * 8ull, larger(16, (uint32_t)t->device->caps.storage_alignment));
}

uint32_t rp_train_logits(const rp_trainer *t) {
    if (t->params.vectors || t->head == RP_HEAD_CHOICE) return 1;
    return t->head == RP_HEAD_SPANS || rp_train_pretrains(t) ? 2 : t->model->config.label_count;
}

rp_train_shape rp_train_shape_of(const rp_trainer *t) {
    return (rp_train_shape){.config = &t->model->config,
                            .head = t->head,
                            .logits = rp_train_logits(t) * (rp_train_exits(t) + 1),
                            .tokens = t->tokens,
                            .sequences = t->sequences,
                            .pairs = t->pairs,
                            .compared = t->params.vectors == RP_VECTORS_SCORED ? 1 : t->pairs,
                            .masked = t->masked,
                            .recomputes = t->recomputes,
                            .half = rp_train_in_half(t)};
}

/* Weights, and what lies as they do. */
static uint64_t parameter_bytes(const rp_trainer *t) {
    return t->model->info.device_bytes + rp_store_bytes(&t->gradients) + rp_store_bytes(&t->moments) +
           rp_store_bytes(&t->turned_store);
}

static rp_status plan(rp_trainer *t, rp_error *err) {
    rp_train_shape shape = rp_train_shape_of(t);
    rp_status status = rp_train_plan(t->model->config.path, &t->params,
                                     rp_train_space_of(&t->device->caps, parameter_bytes(t)), &shape, err);
    t->tokens = shape.tokens;
    t->sequences = shape.sequences;
    t->masked = shape.masked;
    t->recomputes = shape.recomputes;
    return status;
}

static rp_status check_words(const rp_trainer *t, rp_error *err) {
    const rp_config *c = &t->model->config;
    if (!rp_train_pretrains(t)) return RP_OK;
    if (t->masked && (t->device->caps.info.type != RP_DEVICE_CPU || c->vocab_size <= MOST_WORDS))
        return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: vocab_size: %u words are more than can be predicted on %s; take another device, or a "
                   "smaller vocabulary",
                   c->path, c->vocab_size, t->device->caps.info.name);
}

/* Every text is compared with each of the others: the scores are one buffer. */
static rp_status check_pairs(const rp_trainer *t, rp_error *err) {
    const rp_train_shape s = rp_train_shape_of(t);
    uint64_t range = rp_caps_range_limit(&t->device->caps), most = 0;
    if (4ull * s.pairs * rp_padded(s.compared) <= range) return RP_OK;
    while (4 * (most + 1) * rp_padded((uint32_t)(most + 1)) <= range) most++;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%u pairs of a batch are more than the %llu that %s compares with each other; make the "
                   "batch smaller",
                   s.pairs, (unsigned long long)most, t->device->caps.info.name);
}

/* ---- what the host writes and reads ---- */

/* 32-bit words that the loss reads for each of its rows. */
static uint64_t wanted_words(const rp_trainer *t) {
    uint64_t rows = rp_train_has_token_rows(t) ? t->tokens : t->sequences;
    if (t->params.vectors) return 2ull * t->pairs;
    return rows * larger(4, 1 + rp_train_logits(t));
}

/* And of a teacher. */
static uint64_t taught_words(const rp_trainer *t) {
    if (!t->params.taught) return 0;
    return t->params.vectors ? 2ull * t->pairs * (1 + t->model->config.hidden_size) : wanted_words(t);
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
    if (items < t->pairs) items = t->pairs;
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
    const part out[] = {
        {&t->out.losses, items * 8},         {&t->out.masked, t->masked * 8ull},
        {&t->out.taught, t->pairs * 16ull},  {&t->out.total, 16},
        {&t->out.sums, t->sum_count * 4ull}, {&t->out.exits, rp_train_exits(t) * rp_train_exit_bytes(t)}};
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
    const rp_train_shape shape = rp_train_shape_of(t);
    rp_train_room rooms[RP_MOST_TRAIN_ROOMS];
    size_t count = rp_train_rooms(&shape, &t->buffers, rooms);
    uint64_t all = 0;
    rp_status status = RP_OK;
    for (size_t i = 0; i < count; i++) all += rooms[i].floats * 4 + RP_TRAIN_ROOM_BEHIND;
    rp_store_init(&t->work, t->device, all, "activations of training");
    /* a texel view may be a little larger than its range (gpu/memory.c): it ends before the next one */
    for (size_t i = 0; !status && i < count; i++) {
        status =
            rp_store_reserve(&t->work, rooms[i].floats * 4 + RP_TRAIN_ROOM_BEHIND / 2, rooms[i].range, err);
        rooms[i].range->size -= RP_TRAIN_ROOM_BEHIND / 2;
        rooms[i].range->room += RP_TRAIN_ROOM_BEHIND / 2;
    }
    return status;
}

rp_status rp_train_create_buffers(rp_trainer *t, rp_error *err) {
    rp_status status;
    RP_TRY(check_pairs(t, err));
    RP_TRY(plan(t, err));
    RP_TRY(check_words(t, err));
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
