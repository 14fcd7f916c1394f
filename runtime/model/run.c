/* Running a model: sequences are cut into batches, each batch is one submission. */
#include "model/canary.h"

#include <string.h>

#include "base/clock.h"

/* The sequences [first, first + count) and the rows [first_row, first_row + row_count) of one submission. */
typedef struct batch {
    size_t first, count, first_row, row_count;
    uint32_t tokens;
} batch;

typedef struct run {
    rp_model *model;
    const rp_sequence *sequences;
    size_t count;
    const rp_run_params *params;
    uint32_t most_tokens; /* of a batch, unless it is a single sequence */
    rp_run_times times;
} run;

/* A model without types ignores them. */
static int32_t type_of(const rp_model *model, const rp_sequence *sequence, uint32_t token) {
    return sequence->type_ids && model->config.type_vocab_size ? sequence->type_ids[token] : 0;
}

static rp_status check_sequence(const run *r, size_t i, rp_error *err) {
    const rp_config *config = &r->model->config;
    const rp_sequence *sequence = &r->sequences[i];
    if (!sequence->count || !sequence->ids)
        return rp_fail(err, RP_ERROR_TEXT, "sequence %zu is empty; give it at least one token", i);
    if (sequence->count > config->max_positions)
        return rp_fail(err, RP_ERROR_TEXT,
                       "sequence %zu has %u tokens and the model takes %u; cut it or slide a window", i,
                       sequence->count, config->max_positions);
    for (uint32_t t = 0; t < sequence->count; t++) {
        if (sequence->ids[t] < 0 || (uint32_t)sequence->ids[t] >= config->vocab_size)
            return rp_fail(err, RP_ERROR_TEXT,
                           "sequence %zu, token %u: id %d is outside the vocabulary of %u", i, t,
                           sequence->ids[t], config->vocab_size);
        int32_t type = type_of(r->model, sequence, t);
        if (type < 0 || (type && (uint32_t)type >= config->type_vocab_size))
            return rp_fail(err, RP_ERROR_TEXT,
                           "sequence %zu, token %u: type id %d, and the model has %u types", i, t, type,
                           config->type_vocab_size);
    }
    return RP_OK;
}

static rp_status check_rows(const run *r, rp_error *err) {
    const rp_run_params *params = r->params;
    if (params->output != RP_OUTPUT_MASKED_LM) return RP_OK;
    if (params->row_count && !params->rows)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: rows must not be NULL");
    for (size_t i = 0; i < params->row_count; i++) {
        const rp_row *row = &params->rows[i];
        if (row->sequence >= r->count || row->token >= r->sequences[row->sequence].count)
            return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: row %zu names a token that does not exist",
                           i);
        if (i && row->sequence < row[-1].sequence)
            return rp_fail(err, RP_ERROR_ARGUMENT,
                           "rp_model_run: row %zu: sequences must be in ascending order", i);
    }
    return RP_OK;
}

static rp_status check(const run *r, size_t capacity, rp_error *err) {
    const char *dir = r->model->dir;
    rp_output output = r->params->output;
    if (!rp_output_available(r->model, output)) {
        const rp_error *why = (unsigned)output < RP_OUTPUT_COUNT
                                  ? rp_weights_left_out(&r->model->weights, rp_output_head(output))
                                  : NULL;
        if (why) return rp_fail(err, RP_ERROR_HEAD, "no weights for this output: %s", why->message);
        return rp_fail(err, RP_ERROR_HEAD, "%s (%s) has no weights for this output", dir,
                       r->model->config.architecture);
    }
    for (size_t i = 0; i < r->count; i++) {
        rp_status status = check_sequence(r, i, err);
        if (status) return status;
    }
    rp_status status = check_rows(r, err);
    if (status) return status;
    size_t needed = rp_model_output_size(r->model, r->sequences, r->count, r->params);
    if (capacity < needed)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: out holds %zu floats and %zu are needed",
                       capacity, needed);
    return RP_OK;
}

/* ---- work: floating point operations of the products, where nearly all the time goes ---- */

/* Of one layer, inner layers apart, its parts. */
static void add_layer_work(const rp_config *c, const rp_sequence *sequence, double parts[RP_LAYER_PARTS]) {
    double h = c->hidden_size, tokens = sequence->count;
    parts[RP_PART_QKV] += 6 * tokens * h * h;
    parts[RP_PART_ATTENTION] += 4 * tokens * tokens * h;
    parts[RP_PART_DENSE] += 2 * tokens * h * h;
    parts[RP_PART_FFN] += 2 * tokens * h * c->intermediate_size;
    parts[RP_PART_OUTPUT] += 2 * tokens * h * c->intermediate_size;
}

/* Of all its parts, and of all inner layers. */
static double layer_work(const rp_config *c, const rp_sequence *sequence) {
    double parts[RP_LAYER_PARTS] = {0}, sum = 0;
    add_layer_work(c, sequence, parts);
    for (int i = 0; i < RP_LAYER_PARTS; i++) sum += parts[i];
    return c->inner_layers * sum;
}

/* One row of a masked language model. */
static double row_work(const rp_config *c) {
    return 2.0 * c->embedding_size * ((double)c->hidden_size + c->vocab_size);
}

static rp_steps count_work(const run *r, const batch *b) {
    const rp_config *c = &r->model->config;
    double h = c->hidden_size;
    rp_steps steps = {.prologue = 2.0 * b->tokens * h * c->embedding_size, .layers = c->layers, .parts = 1};
    for (size_t i = 0; i < b->count; i++) steps.part[0] += layer_work(c, &r->sequences[b->first + i]);
    switch (rp_output_rows(r->params->output)) {
    case RP_COUNT_ROWS:
        steps.epilogue = (double)b->row_count * row_work(c);
        break;
    case RP_COUNT_TOKENS:
        steps.epilogue = 2.0 * b->tokens * h * c->label_count;
        break;
    default:
        steps.epilogue = 2.0 * (double)b->count * h * h;
    }
    return steps;
}

/* ---- batches ---- */

/* As many whole sequences, and as many of their chosen rows, as fit after those already done; and no
 * more than a single step takes below the limit of a submission. */
static batch next_batch(const run *r, batch done) {
    const rp_model *model = r->model;
    const rp_run_params *params = r->params;
    rp_count kind = rp_output_rows(params->output);
    size_t room = model->output_floats / rp_padded(rp_output_width(model, params->output));
    batch next = {.first = done.first + done.count, .first_row = done.first_row + done.row_count};
    double most = rp_pace_most(&model->pace), work = 0;
    if (kind == RP_COUNT_ROWS && (double)room * row_work(&model->config) > most)
        room = most < row_work(&model->config) ? 1 : (size_t)(most / row_work(&model->config));
    size_t last_row = next.first_row, rows = kind == RP_COUNT_ROWS ? params->row_count : 0;
    /* rows that did not fit beside their sequence: that sequence runs again for them */
    if (last_row < rows && params->rows[last_row].sequence < next.first)
        next.first = params->rows[last_row].sequence;
    for (size_t i = next.first; i < r->count; i++) {
        uint32_t tokens = next.tokens + r->sequences[i].count;
        size_t used = kind == RP_COUNT_ROWS     ? next.row_count + 1
                      : kind == RP_COUNT_TOKENS ? tokens
                                                : next.count + 1;
        work += layer_work(&model->config, &r->sequences[i]);
        if (tokens > model->batch_tokens || used > room) break;
        if (next.count && (tokens > r->most_tokens || work > most)) break;
        next.tokens = tokens;
        next.count++;
        while (last_row < rows && params->rows[last_row].sequence == i && next.row_count < room) {
            last_row++;
            next.row_count++;
        }
    }
    return next;
}

/* Tokens of slice number `slice`, which has some, of a batch of `tokens`. */
static uint32_t slice_length(uint32_t tokens, uint32_t slice_rows, uint32_t slice) {
    uint32_t left = tokens - slice * slice_rows;
    return left < slice_rows ? left : slice_rows;
}

/* The tiles of sequence `i` of a batch, which begins at counts[RP_COUNT_TOKENS]. Where the batch goes in
 * slices of so many tokens, those that begin in the same slice are together, from the place of its first
 * token on: there is one for each token. 0: one slice has all. */
static void write_tiles(const rp_model *model, uint32_t i, uint32_t length, uint32_t slice_rows,
                        uint32_t *tiles, uint32_t *counts) {
    for (uint32_t q = 0; q < length; q += model->queries) {
        uint32_t at = counts[RP_COUNT_TILES]++;
        if (slice_rows) {
            uint32_t slice = (counts[RP_COUNT_TOKENS] + q) / slice_rows;
            at = slice * slice_rows + counts[rp_count_slice(RP_COUNT_TILES, slice)]++;
        }
        tiles[2 * at] = i;
        tiles[2 * at + 1] = q;
    }
}

/* Write ids, lengths, tiles, rows and grids of a batch into the mapped buffer; for slices of so many tokens,
 * where that is not 0. */
static rp_status fill_input(const run *r, const batch *b, uint32_t slice_rows, rp_error *err) {
    rp_model *model = r->model;
    const rp_input_layout *at = &model->activations.at;
    char *base = model->activations.input.mapped;
    uint32_t *tokens = (uint32_t *)(base + at->tokens), *starts = (uint32_t *)(base + at->starts);
    uint32_t *tiles = (uint32_t *)(base + at->tiles), *rows = (uint32_t *)(base + at->rows);
    uint32_t counts[RP_ALL_COUNTS] = {
        [RP_COUNT_SEQUENCES] = (uint32_t)b->count, [RP_COUNT_ROWS] = (uint32_t)b->row_count};
    for (size_t i = 0; i < b->count; i++) {
        const rp_sequence *sequence = &r->sequences[b->first + i];
        starts[i] = counts[RP_COUNT_TOKENS];
        for (uint32_t t = 0; t < sequence->count; t++, tokens += 4) {
            tokens[0] = (uint32_t)sequence->ids[t];
            tokens[1] = (uint32_t)type_of(model, sequence, t);
            tokens[2] = t;
            tokens[3] = 0;
        }
        write_tiles(model, (uint32_t)i, sequence->count, slice_rows, tiles, counts);
        counts[RP_COUNT_TOKENS] += sequence->count;
    }
    starts[b->count] = counts[RP_COUNT_TOKENS];
    for (uint32_t s = 0; slice_rows && s * slice_rows < b->tokens; s++)
        counts[rp_count_slice(RP_COUNT_TOKENS, s)] = slice_length(b->tokens, slice_rows, s);
    for (size_t i = 0; i < b->row_count; i++) {
        const rp_row *row = &r->params->rows[b->first_row + i];
        rows[i] = starts[row->sequence - b->first] + row->token;
    }
    memcpy(base + at->counts, counts, sizeof counts);
    rp_ops_write_grids(&model->ops, counts, (VkDispatchIndirectCommand *)(base + at->indirect));
    return rp_buffer_flush(model->device, &model->activations.input, at->size, err);
}

rp_status rp_model_fill(rp_model *model, const rp_sequence *sequences, size_t count, rp_error *err) {
    run r = {.model = model, .sequences = sequences, .count = count};
    return fill_input(&r, &(batch){.count = count}, 0, err);
}

/* Copy the rows of an output, whose stride is padded, to where the caller wants them. */
static rp_status copy_output(const run *r, const batch *b, float **out, rp_error *err) {
    rp_model *model = r->model;
    const rp_buffer *output = &model->activations.output;
    size_t width = rp_output_width(model, r->params->output), stride = rp_padded((uint32_t)width);
    size_t rows[RP_COUNT_KINDS] = {
        [RP_COUNT_TOKENS] = b->tokens, [RP_COUNT_SEQUENCES] = b->count, [RP_COUNT_ROWS] = b->row_count};
    size_t count = rows[rp_output_rows(r->params->output)];
    rp_status status = rp_buffer_invalidate(model->device, output, count * stride * 4, err);
    const float *from = output->mapped;
    for (size_t i = 0; !status && i < count; i++, from += stride, *out += width)
        memcpy(*out, from, width * 4);
    return status;
}

/* A layer that takes longer than a submission may: its parts, in as many slices as have tokens. That is never
 * more than one sequence (next_batch). Returns the tokens of a slice; 0: nothing is sliced. */
static uint32_t split_layers(const run *r, const batch *b, rp_steps *steps) {
    const rp_model *model = r->model;
    double parts[RP_LAYER_PARTS] = {0};
    if (!model->parts || b->count > 1 || steps->part[0] <= rp_pace_most(&model->pace)) return 0;
    uint32_t slices = (uint32_t)rp_div_up(b->tokens, model->slice_rows), n = 0;
    steps->layers *= model->config.inner_layers;
    steps->parts = RP_LAYER_PARTS * slices;
    add_layer_work(&model->config, &r->sequences[b->first], parts);
    for (uint32_t part = 0; part < RP_LAYER_PARTS; part++)
        for (uint32_t s = 0; s < slices; s++)
            steps->part[n++] = parts[part] * slice_length(b->tokens, model->slice_rows, s) / b->tokens;
    return model->slices > 1 ? model->slice_rows : 0;
}

/* The parts of every layer, of each the first so many slices. */
static void list_parts(rp_model *model, uint32_t slices) {
    uint32_t parts = model->config.inner_layers * RP_LAYER_PARTS;
    VkCommandBuffer *to = model->replay + 1;
    for (uint32_t i = 0; i < model->config.layers; i++)
        for (uint32_t part = 0; part < parts; part++, to += slices) {
            uint32_t first = (rp_config_group(&model->config, i) * parts + part) * model->slices;
            memcpy(to, &model->parts[first], slices * sizeof *to);
        }
}

/* What these steps list, for a batch of `tokens` tokens. */
static void list_buffers(rp_model *model, uint32_t tokens, rp_output output, const rp_steps *steps) {
    if (steps->parts > 1) {
        list_parts(model, steps->parts / RP_LAYER_PARTS);
        model->replay[rp_steps_count(steps) - 1] = model->epilogues[output];
        return;
    }
    bool few = model->few_groups && tokens <= model->few_tokens;
    const VkCommandBuffer *groups = few ? model->few_groups : model->groups;
    uint32_t layers = model->config.layers;
    for (uint32_t i = 0; i < layers; i++) model->replay[1 + i] = groups[rp_config_group(&model->config, i)];
    model->replay[1 + layers] = model->epilogues[output];
}

/* One submission where that stays below the limit, else several with the cuts between layers, between their
 * parts, or between slices of these. */
static rp_status submit(run *r, const rp_steps *steps, rp_error *err) {
    rp_model *model = r->model;
    rp_status status = RP_OK;
    for (uint32_t first = 0, count; !status && first < rp_steps_count(steps); first += count) {
        double begun = rp_seconds();
        count = rp_pace_cut(&model->pace, steps, first);
        status = rp_device_submit(model->device, model->replay + first, count, model->fence, err);
        r->times.submissions++;
        if (!status) rp_pace_learn(&model->pace, rp_steps_work(steps, first, count), rp_seconds() - begun);
    }
    return status;
}

static rp_status run_batch(run *r, const batch *b, float **out, rp_error *err) {
    rp_model *model = r->model;
    double started = rp_seconds();
    rp_steps steps = count_work(r, b);
    uint32_t slice_rows = split_layers(r, b, &steps);
    rp_status status = fill_input(r, b, slice_rows, err);
    if (status) return status;
    list_buffers(model, b->tokens, r->params->output, &steps);
    double submitted = rp_seconds();
    status = submit(r, &steps, err);
    double finished = rp_seconds();
    if (!status) status = copy_output(r, b, out, err);
    r->times.device += finished - submitted;
    r->times.host += rp_seconds() - finished + submitted - started;
    return status;
}

/* A device that has no memory for a batch gets half of it, down to single sequences. */
static rp_status run_batches(run *r, float *out, rp_error *err) {
    r->most_tokens = r->model->batch_tokens;
    for (batch done = {0}, b; (b = next_batch(r, done)).count;) {
        rp_status status = run_batch(r, &b, &out, err);
        if (status == RP_ERROR_DEVICE_MEMORY && b.count > 1) {
            r->most_tokens = b.tokens / 2;
            continue;
        }
        if (status) return status;
        done = b;
    }
    return RP_OK;
}

/* Where a layer of the longest sequence takes longer than a submission may, its parts, in slices where one of
 * them does. */
static rp_status record_parts(rp_model *model, rp_error *err) {
    const rp_config *c = &model->config;
    const rp_sequence longest = {.count = c->max_positions};
    double parts[RP_LAYER_PARTS] = {0}, most = 0;
    if (layer_work(c, &longest) <= rp_pace_most(&model->pace)) return RP_OK;
    add_layer_work(c, &longest, parts);
    for (int i = 0; i < RP_LAYER_PARTS; i++)
        if (parts[i] > most) most = parts[i];
    uint32_t rows = rp_pace_slice(&model->pace, most, longest.count, RP_SLICE_ROWS, RP_MAX_SLICES);
    return rp_model_record_parts(model, rows, err);
}

rp_status rp_model_measure_pace(rp_model *model, rp_error *err) {
    enum { MOST = 512, FEWEST = 8 };
    static const double ENOUGH = 2e-3, SLOW = 2e-2; /* seconds */
    static const int32_t ids[MOST];
    static const rp_run_params params = {0};
    if (!(model->pace.limit > 0)) return RP_OK;
    rp_sequence sequence = {.ids = ids, .count = FEWEST};
    /* the kernels for many tokens */
    list_buffers(model, model->batch_tokens, params.output, &(rp_steps){.parts = 1});
    run r = {.model = model, .sequences = &sequence, .count = 1, .params = &params};
    uint32_t largest = model->config.max_positions < MOST ? model->config.max_positions : MOST;
    if (sequence.count > largest) sequence.count = largest;
    rp_status status;
    for (bool warm = false;; warm = true) {
        batch b = {.count = 1, .tokens = sequence.count};
        rp_steps steps = count_work(&r, &b);
        RP_TRY(fill_input(&r, &b, 0, err));
        double begun = rp_seconds();
        RP_TRY(rp_device_submit(model->device, model->replay, 2, model->fence, err)); /* with one layer */
        double seconds = rp_seconds() - begun;
        /* in a first submission drivers finish their compiling */
        if (seconds > (warm ? ENOUGH : SLOW) || (warm && sequence.count * 4 > largest)) {
            rp_pace_learn(&model->pace, rp_steps_work(&steps, 0, 2), seconds);
            break;
        }
        if (warm) sequence.count *= 4;
    }
    status = record_parts(model, err);
done:
    return status;
}

rp_status rp_model_run(rp_model *model, const rp_sequence *sequences, size_t count,
                       const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                       rp_error *err) {
    static const rp_run_params defaults = {0};
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!model || (count && !sequences) || (capacity && !out))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: model, sequences and out must not be NULL");
    run r = {.model = model, .sequences = sequences, .count = count, .params = params ? params : &defaults};
    rp_status status =
        rp_check_reserved(r.params->reserved, RP_COUNT(r.params->reserved), "rp_model_run", err);
    if (!status) status = check(&r, capacity, err);
    if (status) return status;
    status = rp_model_begin(model, err);
    if (status) return status;
    const float *results = out;
    status = rp_model_end(model, run_batches(&r, out, err));
    if (!status && model->canary) rp_canary_offer(model->canary, sequences, count, r.params, results);
    if (times) *times = r.times;
    return status;
}

size_t rp_model_output_size(const rp_model *model, const rp_sequence *sequences, size_t count,
                            const rp_run_params *params) {
    rp_output output = params ? params->output : RP_OUTPUT_HIDDEN;
    if (!model || !rp_output_available(model, output)) return 0;
    size_t rows = count;
    if (rp_output_rows(output) == RP_COUNT_ROWS) rows = params->row_count;
    if (rp_output_rows(output) == RP_COUNT_TOKENS) {
        rows = 0;
        for (size_t i = 0; i < count; i++) rows += sequences[i].count;
    }
    return rows * rp_output_width(model, output);
}
