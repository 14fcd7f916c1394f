/* Running a model: sequences are cut into batches. A run waits for its turn before each batch, so that runs
 * of several threads go on side by side. */
#include "model/canary.h"
#include "model/depth.h"
#include "model/exits.h"
#include "model/submission.h"
#include "model/trace.h"

#include <string.h>

#include "base/clock.h"

typedef struct run {
    rp_model *model;
    const rp_sequence *sequences;
    size_t count;
    const rp_run_params *params;
    size_t sequence, row; /* that the next batch begins with */
    uint32_t most_tokens; /* of a batch, unless it is a single sequence */
    rp_run_times times;
} run;

rp_status rp_model_check_sequence(const rp_model *model, const rp_sequence *sequence, size_t i,
                                  rp_error *err) {
    const rp_config *config = &model->config;
    if (!sequence->count || !sequence->ids)
        return rp_fail(err, RP_ERROR_TEXT, "sequence %zu is empty; give it at least one token", i);
    if (sequence->count > config->max_positions)
        return rp_fail(err, RP_ERROR_TEXT,
                       "sequence %zu has %u tokens and the model takes %u; cut it or slide a window", i,
                       sequence->count, config->max_positions);
    const int32_t *types = rp_types_of(config, sequence);
    for (uint32_t t = 0; t < sequence->count; t++) {
        if (sequence->ids[t] < 0 || (uint32_t)sequence->ids[t] >= config->vocab_size)
            return rp_fail(err, RP_ERROR_TEXT,
                           "sequence %zu, token %u: id %d is outside the vocabulary of %u", i, t,
                           sequence->ids[t], config->vocab_size);
        if (types && (types[t] < 0 || (uint32_t)types[t] >= config->type_vocab_size))
            return rp_fail(err, RP_ERROR_TEXT,
                           "sequence %zu, token %u: type id %d, and the model has %u types", i, t, types[t],
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

static rp_status check_patience(const run *r, rp_error *err) {
    if (!r->params->patience) return RP_OK;
    if (r->params->output == RP_OUTPUT_CLASSES) return rp_exits_check(r->model, err);
    return rp_fail(
        err, RP_ERROR_ARGUMENT,
        "rp_model_run: only RP_OUTPUT_CLASSES has internal classifiers by which texts leave early: "
        "leave out the patience");
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
        rp_status status = rp_model_check_sequence(r->model, &r->sequences[i], i, err);
        if (status) return status;
    }
    rp_status status = check_rows(r, err);
    if (!status) status = check_patience(r, err);
    if (status) return status;
    size_t needed = rp_model_output_size(r->model, r->sequences, r->count, r->params);
    if (capacity < needed || needed == SIZE_MAX)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: out holds %zu floats and %zu are needed",
                       capacity, needed);
    return RP_OK;
}

/* ---- batches ---- */

/* As many whole sequences, and as many of their rows, as there is room for; no more than one step may take
 * within the submission budget; and, one sequence apart, no more than the batch budget allows. Belongs to the
 * turn. */
static rp_batch next_batch(const run *r) {
    const rp_model *model = r->model;
    const rp_run_params *params = r->params;
    rp_count kind = rp_output_rows(params->output);
    uint32_t width = params->patience ? rp_exits_width(model) : rp_output_width(model, params->output);
    size_t room = model->output_floats / rp_padded(width);
    rp_batch next = {.sequences = r->sequences + r->sequence,
                     .rows = kind == RP_COUNT_ROWS ? params->rows + r->row : NULL,
                     .first = r->sequence,
                     .output = params->output,
                     .patience = params->patience};
    double most = rp_pace_most(&model->pace), layer = 0, row_work = rp_row_work(&model->config);
    double budget = rp_pace_batch(&model->pace), work = 0;
    if (kind == RP_COUNT_ROWS && (double)room * row_work > most)
        room = most < row_work ? 1 : (size_t)(most / row_work);
    for (size_t i = r->sequence; i < r->count; i++) {
        uint32_t tokens = next.tokens + r->sequences[i].count;
        size_t rows = rp_rows_of(params, r->row + next.row_count, i);
        size_t used = kind == RP_COUNT_ROWS     ? next.row_count + 1
                      : kind == RP_COUNT_TOKENS ? tokens
                                                : next.count + 1;
        layer += rp_layer_work(&model->config, &r->sequences[i]);
        work += rp_sequence_work(&model->config, &r->sequences[i]) + (double)rows * row_work;
        if (tokens > model->batch_tokens || used > room) break;
        if (next.count && (tokens > r->most_tokens || layer > most || work > budget)) break;
        next.tokens = tokens;
        next.count++;
        next.row_count += rows < room - next.row_count ? rows : room - next.row_count;
    }
    return next;
}

/* A batch is done. Rows for which it had no room beside their sequence: that sequence runs again for them. */
static void advance(run *r, const rp_batch *done) {
    const rp_row *rows = r->params->rows;
    r->sequence = done->first + done->count;
    r->row += done->row_count;
    if (done->rows && r->row < r->params->row_count && rows[r->row].sequence < r->sequence)
        r->sequence = rows[r->row].sequence;
}

/* Copy the rows of an output, whose stride is padded, to where the caller wants them. */
static rp_status copy_output(const run *r, const rp_batch *b, float **out, rp_error *err) {
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

/* The logits with which texts left, and behind which layer. */
static rp_status copy_exits(const run *r, const rp_batch *b, float **out, rp_error *err) {
    const rp_model *model = r->model;
    const rp_buffer *exits = &model->activations.exits;
    rp_status status = rp_buffer_invalidate(model->device, exits, exits->size, err);
    for (uint32_t i = 0, layers; !status && i < b->count; i++) {
        rp_exit_read(model, exits, i, &layers, *out);
        if (r->params->layers) r->params->layers[b->first + i] = layers;
        *out += model->config.label_count;
    }
    return status;
}

/* One submission where that stays within the budget, else several, with the cuts between steps. */
static rp_status run_batch(run *r, const rp_batch *b, float **out, rp_error *err) {
    rp_model *model = r->model;
    double started = rp_seconds();
    uint32_t slice_rows, steps = rp_model_list(model, b, &slice_rows);
    rp_status status = rp_model_fill(model, b, slice_rows, err);
    double submitted = rp_seconds();
    for (uint32_t first = 0, count; !status && first < steps; first += count) {
        count = rp_pace_cut(&model->pace, model->steps + first, steps - first);
        status = rp_model_submit(model, model->steps + first, count, err);
        r->times.submissions++;
    }
    double finished = rp_seconds();
    if (!status) status = b->patience ? copy_exits(r, b, out, err) : copy_output(r, b, out, err);
    r->times.device += finished - submitted;
    r->times.host += rp_seconds() - finished + submitted - started;
    return status;
}

/* A turn for each batch. Where the device has no memory for a batch this thread halves it, down to single
 * sequences. */
static rp_status run_batches(run *r, float *out, rp_error *err) {
    r->most_tokens = UINT32_MAX;
    do {
        rp_status status = rp_model_begin(r->model, err);
        if (status) return status;
        rp_batch b = next_batch(r);
        if (b.count) status = run_batch(r, &b, &out, err);
        rp_model_end(r->model, status);
        if (status == RP_ERROR_DEVICE_MEMORY && b.count > 1) {
            r->most_tokens = b.tokens / 2;
            continue;
        }
        if (status || !b.count) return status;
        advance(r, &b);
        rp_call_run_progress(r->sequence, r->count);
    } while (r->sequence < r->count);
    return RP_OK;
}

/* ---- the call ---- */

rp_status rp_model_run_inside(rp_model *model, const rp_sequence *sequences, size_t count,
                              const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                              rp_error *err) {
    run r = {.model = model, .sequences = sequences, .count = count, .params = params};
    rp_status status = check(&r, capacity, err);
    if (status) return status;
    bool taken;
    status = rp_depth_run(model, sequences, count, params, out, &r.times, &taken, err);
    if (!status && !taken) status = run_batches(&r, out, err);
    for (size_t i = 0; !params->patience && params->layers && i < count; i++)
        params->layers[i] = model->config.layers;
    if (!status && model->canary && !params->patience)
        status = rp_canary_offer(model->canary, rp_model_trace, sequences, count, r.params, out, err);
    if (times) *times = r.times;
    return status;
}

rp_status rp_model_run(rp_model *model, const rp_sequence *sequences, size_t count,
                       const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                       rp_error *err) {
    static const rp_run_params defaults = {0};
    rp_error unwanted;
    rp_visit visit;
    if (!err) err = &unwanted;
    if (!params) params = &defaults;
    if (!model || (count && !sequences) || (capacity && !out))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_model_run: model, sequences and out must not be NULL");
    rp_status status = rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_model_run", err);
    if (!status) status = rp_model_enter(model, &visit, params->call, "rp_model_run", err);
    if (status) return status;
    visit.total = visit.after = count;
    status = rp_model_run_inside(model, sequences, count, params, out, capacity, times, err);
    rp_visit_leave(&visit);
    return status;
}

size_t rp_model_output_size(const rp_model *model, const rp_sequence *sequences, size_t count,
                            const rp_run_params *params) {
    rp_output output = params ? params->output : RP_OUTPUT_HIDDEN;
    if (!model || !rp_output_available(model, output)) return 0;
    uint64_t rows = count, width = rp_output_width(model, output);
    if (rp_output_rows(output) == RP_COUNT_ROWS) rows = params->row_count;
    if (rp_output_rows(output) == RP_COUNT_TOKENS) {
        rows = 0;
        for (size_t i = 0; i < count; i++) rows += sequences[i].count;
    }
    return width && rows > SIZE_MAX / sizeof(float) / width ? SIZE_MAX : (size_t)(rows * width);
}
