#include "model/submission.h"

#include <string.h>

#include "base/clock.h"
#include "model/exits.h"
#include "ops/patience.h"

/* ---- work ---- */

/* Of one layer, inner layers apart: its parts. Returns their sum. */
static double layer_parts(const rp_config *c, const rp_sequence *sequence, double parts[RP_LAYER_PARTS]) {
    double h = c->hidden_size, tokens = sequence->count, sum = 0;
    parts[RP_PART_QKV] = 6 * tokens * h * h;
    parts[RP_PART_ATTENTION] = 4 * tokens * tokens * h;
    parts[RP_PART_DENSE] = 2 * tokens * h * h;
    parts[RP_PART_FFN] = parts[RP_PART_OUTPUT] = 2 * tokens * h * c->intermediate_size;
    for (int i = 0; i < RP_LAYER_PARTS; i++) sum += parts[i];
    return sum;
}

double rp_layer_work(const rp_config *c, const rp_sequence *sequence) {
    double parts[RP_LAYER_PARTS];
    return c->inner_layers * layer_parts(c, sequence, parts);
}

double rp_row_work(const rp_config *c) {
    return 2.0 * c->embedding_size * ((double)c->hidden_size + c->vocab_size);
}

static double prologue_work(const rp_config *c, uint32_t tokens) {
    return 2.0 * tokens * c->hidden_size * c->embedding_size;
}

double rp_sequence_work(const rp_config *c, const rp_sequence *sequence) {
    return prologue_work(c, sequence->count) + c->layers * rp_layer_work(c, sequence);
}

static double output_work(const rp_config *c, const rp_batch *b) {
    double h = c->hidden_size;
    switch (rp_output_rows(b->output)) {
    case RP_COUNT_ROWS:
        return (double)b->row_count * rp_row_work(c);
    case RP_COUNT_TOKENS:
        return 2.0 * b->tokens * h * c->label_count;
    default:
        return 2.0 * (double)b->count * h * h;
    }
}

/* ---- steps ---- */

/* Tokens of slice number `slice` of a batch. */
static uint32_t slice_length(uint32_t tokens, uint32_t slice_rows, uint32_t slice) {
    uint32_t left = tokens - slice * slice_rows;
    return left < slice_rows ? left : slice_rows;
}

uint32_t rp_model_list(rp_model *model, const rp_batch *b, uint32_t *slice_rows) {
    const rp_config *c = &model->config;
    const VkCommandBuffer *groups = rp_model_groups(model, model->groups, b->tokens);
    rp_step *next = model->steps;
    double layer = 0;
    for (size_t i = 0; i < b->count; i++) layer += rp_layer_work(c, &b->sequences[i]);
    /* a layer that takes longer than a submission may: that is never more than one sequence (next_batch) */
    bool parts = model->parts && b->count == 1 && layer > rp_pace_most(&model->pace);
    *slice_rows = parts ? model->slice_rows : 0;
    *next++ = (rp_step){model->prologue, prologue_work(c, b->tokens)};
    double work[RP_LAYER_PARTS];
    if (parts) layer_parts(c, b->sequences, work);
    for (uint32_t i = 0; i < c->layers; i++) {
        uint32_t group = rp_config_group(c, i), count = parts ? c->inner_layers * RP_LAYER_PARTS : 0;
        if (!parts) *next++ = (rp_step){groups[group], layer};
        double exits = 2.0 * (double)b->count * c->hidden_size * c->hidden_size;
        for (uint32_t part = 0; part < count; part++)
            for (uint32_t s = 0; s * model->slice_rows < b->tokens; s++)
                *next++ = (rp_step){model->parts[(group * count + part) * model->slices + s],
                                    work[part % RP_LAYER_PARTS] *
                                        slice_length(b->tokens, model->slice_rows, s) / b->tokens};
        if (b->patience) *next++ = (rp_step){model->exits, exits};
    }
    if (!b->patience) *next++ = (rp_step){model->outputs[b->output], output_work(c, b)};
    return (uint32_t)(next - model->steps);
}

rp_status rp_model_submit(rp_model *model, const rp_step *steps, uint32_t count, rp_error *err) {
    double seconds;
    bool whole = true; /* else the device may pass over layers, and takes less time than their work says */
    for (uint32_t i = 0; i < count; i++) {
        model->submitted[i] = steps[i].commands;
        whole = whole && steps[i].commands != model->exits;
    }
    rp_status status =
        rp_device_submit_timed(model->device, model->submitted, count, model->fence, &seconds, err);
    if (!status && whole) rp_pace_learn(&model->pace, rp_steps_work(steps, count), seconds);
    return status;
}

/* ---- what the host writes ---- */

const int32_t *rp_types_of(const rp_config *config, const rp_sequence *sequence) {
    return config->type_vocab_size ? sequence->type_ids : NULL;
}

void rp_model_write(const rp_model *model, char *base, const rp_input_layout *at, const rp_batch *b,
                    uint32_t slice_rows) {
    uint32_t *tokens = (uint32_t *)(base + at->tokens), *starts = (uint32_t *)(base + at->starts);
    uint32_t *tiles = (uint32_t *)(base + at->tiles), *rows = (uint32_t *)(base + at->rows);
    uint32_t counts[RP_ALL_COUNTS] = {
        [RP_COUNT_SEQUENCES] = (uint32_t)b->count, [RP_COUNT_ROWS] = (uint32_t)b->row_count};
    if (!slice_rows) slice_rows = UINT32_MAX; /* one slice has all */
    for (size_t i = 0; i < b->count; i++) {
        const rp_sequence *sequence = &b->sequences[i];
        const int32_t *types = rp_types_of(&model->config, sequence);
        starts[i] = counts[RP_COUNT_TOKENS];
        for (uint32_t t = 0; t < sequence->count; t++, tokens += 4) {
            tokens[0] = (uint32_t)sequence->ids[t];
            tokens[1] = types ? (uint32_t)types[t] : 0;
            tokens[2] = t;
            tokens[3] = 0;
        }
        /* the tiles that begin in the same slice are together, from the place of its first token on */
        for (uint32_t q = 0; q < sequence->count; q += model->queries) {
            uint32_t slice = (counts[RP_COUNT_TOKENS] + q) / slice_rows;
            uint32_t n = slice * slice_rows + counts[rp_count_slice(RP_COUNT_TILES, slice)]++;
            counts[RP_COUNT_TILES]++;
            tiles[2 * n] = (uint32_t)i;
            tiles[2 * n + 1] = q;
        }
        counts[RP_COUNT_TOKENS] += sequence->count;
    }
    starts[b->count] = counts[RP_COUNT_TOKENS];
    for (uint32_t s = 0; s * slice_rows < b->tokens; s++)
        counts[rp_count_slice(RP_COUNT_TOKENS, s)] = slice_length(b->tokens, slice_rows, s);
    for (size_t i = 0; i < b->row_count; i++)
        rows[i] = starts[b->rows[i].sequence - b->first] + b->rows[i].token;
    memcpy(base + at->counts, counts, sizeof counts);
    rp_ops_write_grids(&model->ops, counts, (VkDispatchIndirectCommand *)(base + at->indirect));
}

rp_status rp_model_fill(rp_model *model, const rp_batch *b, uint32_t slice_rows, rp_error *err) {
    const rp_activations *a = &model->activations;
    rp_model_write(model, a->input.mapped, &a->at, b, slice_rows);
    rp_exit_entry *entries = (rp_exit_entry *)((char *)a->input.mapped + a->at.exits);
    uint32_t number = b->patience ? rp_exits_next(model) : 0;
    for (uint32_t i = 0; b->patience && i < b->count; i++)
        entries[i] = (rp_exit_entry){i, 0, b->patience, number};
    return rp_buffer_flush(model->device, &a->input, a->at.size, err);
}

/* ---- how long the device takes ---- */

rp_status rp_model_measure_pace(rp_model *model, rp_error *err) {
    enum { MOST = 512, FEWEST = 8 };
    static const double ENOUGH = 2e-3, SLOW = 2e-2; /* seconds */
    static const int32_t ids[MOST];
    const rp_config *c = &model->config;
    if (!(model->pace.limit > 0)) return RP_OK;
    rp_pace pace = model->pace;
    uint32_t largest = c->max_positions < MOST ? c->max_positions : MOST;
    rp_sequence sequence = {.ids = ids, .count = largest < FEWEST ? largest : FEWEST};
    rp_status status = RP_OK;
    for (bool warm = false;; warm = true) {
        const rp_batch b = {.sequences = &sequence, .count = 1, .tokens = sequence.count};
        /* one layer by the kernels for many tokens */
        const rp_step steps[2] = {{model->prologue, prologue_work(c, b.tokens)},
                                  {model->groups[rp_config_group(c, 0)], rp_layer_work(c, &sequence)}};
        RP_TRY(rp_model_fill(model, &b, 0, err));
        model->pace = pace; /* a first submission, in which drivers finish their compiling, tells nothing */
        double begun = rp_seconds();
        RP_TRY(rp_model_submit(model, steps, 2, err));
        double seconds = rp_seconds() - begun;
        if (!(model->pace.operation > 0)) rp_pace_learn(&model->pace, rp_steps_work(steps, 2), seconds);
        if (seconds > (warm ? ENOUGH : SLOW) || (warm && sequence.count * 4 > largest)) break;
        if (warm) sequence.count *= 4;
    }
    sequence.count = c->max_positions;
    if (rp_layer_work(c, &sequence) > rp_pace_most(&model->pace)) status = rp_model_record_parts(model, err);
done:
    return status;
}
