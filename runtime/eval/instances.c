/* Instances of pre-training: masked tokens and the order of two texts. */
#include "eval/eval.h"

#include <math.h>

enum { MOST_FLOATS = 1 << 24 }; /* of logits in host memory at a time; one instance may need more */

/* What the model is asked for, of the rows of a batch that it takes. */
typedef struct asked {
    rp_eval_run *run;
    rp_sequence sequences[RP_EVAL_ROWS];
    size_t of[RP_EVAL_ROWS]; /* the row of each */
    int32_t orders[RP_EVAL_ROWS];
    size_t count;
    const char *wrong[RP_EVAL_ROWS]; /* why the model does not take a row; NULL: it does */
    rp_row *rows;                    /* [masked] */
    int32_t *said;                   /* [masked] */
    size_t masked;
} asked;

static const rp_instance *instance_of(const asked *a, size_t sequence) {
    return &a->run->rows[a->of[sequence]].instance;
}

/* ---- what is asked ---- */

static rp_status check(const asked *a, const rp_instance *in, const rp_sequence *sequence, size_t i,
                       rp_error *why) {
    rp_status status = rp_model_check_sequence(a->run->model, sequence, i, why);
    for (uint32_t k = 0; !status && k < in->masked; k++)
        if (in->masked_ids[k] >= 0 && (uint32_t)in->masked_ids[k] >= a->run->info->vocab_size)
            status = rp_fail(why, RP_ERROR_TEXT, "masked_ids: %d is not below the model's vocab_size %u",
                             (int)in->masked_ids[k], a->run->info->vocab_size);
    return status;
}

/* List the rows that the model takes. */
static rp_status list(asked *a, rp_error *err) {
    rp_eval_run *run = a->run;
    rp_status status = RP_OK;
    size_t masked = 0;
    for (size_t i = 0; i < run->count; i++) masked += run->rows[i].instance.masked;
    a->rows = rp_arena_alloc(&run->arena, masked + 1, sizeof *a->rows);
    a->said = rp_arena_alloc(&run->arena, masked + 1, sizeof *a->said);
    if (!a->rows || !a->said) return rp_fail_memory(err, "the masked tokens", masked * sizeof *a->rows);
    for (size_t i = 0; !status && i < run->count; i++) {
        const rp_instance *in = &run->rows[i].instance;
        const rp_sequence sequence = {in->ids, in->types, in->count};
        rp_error why = {0};
        if (check(a, in, &sequence, (size_t)(run->first + i), &why)) {
            a->wrong[i] = rp_arena_copy(&run->arena, why.message, strlen(why.message));
            if (!a->wrong[i]) status = rp_fail_memory(err, "a message", sizeof why.message);
            continue;
        }
        for (uint32_t k = 0; k < in->masked; k++)
            a->rows[a->masked++] = (rp_row){(uint32_t)a->count, in->masked_positions[k]};
        a->of[a->count] = i;
        a->sequences[a->count++] = sequence;
    }
    return status;
}

/* ---- masked tokens ---- */

/* -log softmax(logits)[right] */
static double loss_of(const float *logits, uint32_t count, uint32_t most, int32_t right) {
    double sum = 0, top = (double)logits[most];
    for (uint32_t i = 0; i < count; i++) sum += exp((double)logits[i] - top);
    return top + log(sum) - (double)logits[right];
}

/* Of masked token number `first` on. */
static void take_masked(asked *a, size_t sequence, size_t end, size_t first, const float *logits) {
    rp_instances *sums = &a->run->instances;
    uint32_t width = a->run->info->vocab_size;
    for (; sequence < end; sequence++) {
        const rp_instance *in = instance_of(a, sequence);
        for (uint32_t k = 0; k < in->masked; k++, logits += width, first++) {
            int32_t right = in->masked_ids[k];
            uint32_t said = rp_argmax(logits, width);
            a->said[first] = (int32_t)said;
            if (right < 0) continue;
            sums->masked++;
            sums->masked_right += said == (uint32_t)right;
            sums->loss += loss_of(logits, width, said, right);
        }
    }
}

/* Some sequences at a time: a row of logits is as wide as the vocabulary. */
static rp_status predict(asked *a, rp_error *err) {
    size_t width = a->run->info->vocab_size, first = 0, capacity = 0;
    float *logits = NULL;
    rp_status status = RP_OK;
    for (size_t s = 0, end = 0; !status && s < a->count; s = end) {
        size_t rows = 0;
        for (end = s; end < a->count; rows += instance_of(a, end++)->masked)
            if (end > s && (rows + instance_of(a, end)->masked) * width > MOST_FLOATS) break;
        if (!rows) continue;
        if (!rp_grow((void **)&logits, &capacity, rows * width, sizeof *logits))
            status = rp_fail_memory(err, "logits", rows * width * sizeof *logits);
        for (size_t k = 0; k < rows; k++) a->rows[first + k].sequence -= (uint32_t)s;
        const rp_run_params params = {
            .output = RP_OUTPUT_MASKED_LM, .rows = a->rows + first, .row_count = rows};
        if (!status)
            status = rp_model_run_inside(a->run->model, a->sequences + s, end - s, &params, logits,
                                         rows * width, NULL, err);
        if (!status) take_masked(a, s, end, first, logits);
        first += rows;
    }
    free(logits);
    return status;
}

/* ---- order ---- */

static rp_status tell_order(asked *a, rp_error *err) {
    const rp_run_params params = {.output = RP_OUTPUT_ORDER};
    rp_instances *sums = &a->run->instances;
    float logits[2 * RP_EVAL_ROWS];
    rp_status status = RP_OK;
    if (a->count)
        status = rp_model_run_inside(a->run->model, a->sequences, a->count, &params, logits, 2 * a->count,
                                     NULL, err);
    for (size_t i = 0; !status && i < a->count; i++) {
        int32_t right = instance_of(a, i)->order;
        a->orders[i] = logits[2 * i + 1] > logits[2 * i];
        if (right < 0) continue;
        sums->orders++;
        sums->orders_right += a->orders[i] == right;
        sums->order_loss += loss_of(logits + 2 * i, 2, (uint32_t)a->orders[i], right);
    }
    return status;
}

/* ---- the batch ---- */

static void write_ids(rp_json_writer *w, const char *key, const int32_t *ids, uint32_t count) {
    rp_json_write_open(w, key, '[');
    for (uint32_t i = 0; i < count; i++) rp_json_write_integer(w, NULL, ids[i]);
    rp_json_write_close(w, ']');
}

static rp_status write_one(const asked *a, size_t s, const int32_t *said, bool order, rp_error *err) {
    const rp_instance *in = instance_of(a, s);
    rp_json_writer w;
    rp_eval_open(a->run, a->of[s], &w);
    write_ids(&w, "labels", in->masked_ids, in->masked);
    write_ids(&w, "predictions", said, in->masked);
    if (order) rp_json_write_integer(&w, "order", in->order);
    if (order) rp_json_write_integer(&w, "order_prediction", a->orders[s]);
    return rp_eval_write(a->run, &w, err);
}

/* In the order of the rows. */
static rp_status write_all(const asked *a, bool order, rp_error *err) {
    rp_status status = RP_OK;
    const int32_t *said = a->said;
    for (size_t i = 0, s = 0; !status && i < a->run->count; i++) {
        if (a->wrong[i]) {
            status = rp_eval_bad(a->run, i, a->wrong[i], err);
            continue;
        }
        if (a->run->out) status = write_one(a, s, said, order, err);
        said += instance_of(a, s++)->masked;
    }
    return status;
}

rp_status rp_eval_instances(rp_eval_run *run, rp_error *err) {
    bool order = run->info->heads & RP_HEAD_ORDER;
    asked a = {.run = run};
    rp_status status = list(&a, err);
    if (!status) status = predict(&a, err);
    if (!status && order) status = tell_order(&a, err);
    if (!status) status = write_all(&a, order, err);
    run->done += a.count;
    return status;
}
