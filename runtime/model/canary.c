#include "model/canary.h"

#include <math.h>
#include <string.h>

#include "model/plain.h"

enum {
    QUEUE = 4,             /* texts that may wait */
    MOST_FLOATS = 4 << 20, /* of a result that is copied */
};

/* One text and what the device made of it, in one allocation. */
typedef struct task {
    rp_sequence sequence;
    rp_output output;
    rp_tracer trace;
    uint64_t number; /* of the text */
    uint32_t *rows;
    size_t row_count, floats;
    float *got;
} task;

struct rp_canary {
    rp_plain plain;
    rp_model *model;
    rp_gate *gate; /* the model's: whoever closes it from a callback is told so */
    uint32_t every;
    bool all; /* a run waits for room in the queue */
    double bound;
    rp_mismatch_handler report;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    task *queue[QUEUE];
    size_t waiting;
    bool busy, closing;
    uint64_t seen; /* texts so far */
    rp_verify_counts counts;
};

/* The cross-check whose thread this is; NULL: it is another thread. By it a call that the user's callback
 * makes sees that it must not wait for this thread. */
static _Thread_local const rp_canary *mine;

/* ---- comparing ---- */

/* The largest difference between what the device gave and what the reference model wants. Each is divided by
 * the largest of three: the value itself, the root mean square of the result, and the unit that the reference
 * model names. Where the model's own numbers are huge, the order of additions decides which sums overflow:
 * there this passes over a value that is not finite on one side. */
static double difference(const float *got, const float *want, size_t count, const rp_plain_result *known) {
    double squares = 0, worst = 0;
    size_t finite = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(want[i])) continue;
        squares += (double)want[i] * want[i];
        finite++;
    }
    double usual = fmax(fmax(sqrt(squares / (double)(finite ? finite : 1)), known->unit), 1e-6);
    for (size_t i = 0; i < count; i++) {
        bool same =
            got[i] == want[i] || (isnan(got[i]) && isnan(want[i])); /* the weights may lead to a NaN */
        if (same || (known->huge && !(isfinite(got[i]) && isfinite(want[i])))) continue;
        double error = fabs((double)got[i] - want[i]) / fmax(usual, fabs(want[i]));
        if (!(error <= worst)) worst = isnan(error) ? INFINITY : error;
    }
    return isfinite(worst) ? worst / known->beyond : worst;
}

static bool is_unchanged(const rp_canary *c) {
    return c->model->random || !rp_weights_check_unchanged(&c->model->weights, NULL);
}

/* What the device had before each layer and behind the last; and the largest difference so far. */
typedef struct layers {
    const float *seen; /* [layers + 1, count] */
    size_t count;      /* floats of one */
    double worst;
} layers;

static void compare_layer(void *user, uint32_t layer, float *hidden, const rp_plain_result *known) {
    layers *l = user;
    const float *seen = l->seen + layer * l->count;
    l->worst = fmax(l->worst, difference(seen, hidden, l->count, known));
    memcpy(hidden, seen, l->count * sizeof *hidden);
}

/* Recompute the text and write the largest difference to `*error`. False: that was not possible. */
static bool recompute(rp_canary *c, const task *t, double *error) {
    const rp_config *config = &c->model->config;
    uint64_t count = (uint64_t)t->sequence.count * config->hidden_size;
    bool fits = count * (config->layers + 1) <= SIZE_MAX / sizeof(float);
    float *seen = fits ? rp_new_array(float, (size_t)count *(config->layers + 1)) : NULL;
    float *want = rp_new_array(float, t->floats);
    layers l = {seen, (size_t)count, 0};
    rp_plain_result known = {0};
    rp_error unwanted;
    bool done = seen && want && is_unchanged(c) &&
                !t->trace(c->model, &t->sequence, &c->plain, seen, &unwanted) &&
                !rp_plain_run(&c->plain, &t->sequence, t->output, t->rows, t->row_count,
                              &(rp_plain_watch){compare_layer, &l}, want, &known, &unwanted) &&
                known.done && is_unchanged(c);
    *error = done ? fmax(l.worst, difference(t->got, want, t->floats, &known)) : 0;
    free(seen);
    free(want);
    return done;
}

/* Recompute a text and count what comes of that; a mismatch is reported. */
static void judge(rp_canary *c, const task *t) {
    double error;
    bool done = recompute(c, t, &error), wrong = !(error <= c->bound);
    pthread_mutex_lock(&c->lock);
    c->counts.checked += done;
    c->counts.dropped += !done;
    c->counts.wrong += wrong;
    if (error > c->counts.worst) c->counts.worst = error;
    pthread_mutex_unlock(&c->lock);
    if (!wrong || !c->report.take) return;
    const rp_mismatch mismatch = {t->number, t->output, t->sequence.count, error, c->bound};
    rp_visit visit;
    rp_visit_push(&visit, c->gate);
    c->report.take(c->report.user, &mismatch);
    rp_visit_pop(&visit);
}

/* ---- the thread ---- */

static void *work(void *user) {
    rp_canary *c = user;
    mine = c;
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        if (!c->waiting) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        task *t = c->queue[0];
        memmove(c->queue, c->queue + 1, --c->waiting * sizeof *c->queue);
        c->busy = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        judge(c, t);
        free(t);
        pthread_mutex_lock(&c->lock);
        c->busy = false;
        pthread_cond_broadcast(&c->changed);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Sums of the device differ in their last bits from those of the reference model. Below float32 that decides
 * now and then to which of two neighbours a value is rounded: of one layer 0.0025 was the most of the models
 * in tests/test_canary_rounding.c and of base, and 0.024 where kernels round to 8 bits. Float32 stays within
 * 2e-4. */
static double bound_of(const rp_model *model) {
    return model->precision <= RP_PRECISION_F32 ? 2e-3 : 0.03;
}

static void destroy(rp_canary *c) {
    for (size_t i = 0; i < c->waiting; i++) free(c->queue[i]);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    rp_plain_finish(&c->plain);
    free(c);
}

rp_status rp_canary_open(rp_model *model, const rp_model_params *params, rp_canary **out, rp_error *err) {
    rp_canary *c = rp_new(rp_canary);
    if (!c) return rp_fail_memory(err, "the verification of texts", sizeof *c);
    c->model = model;
    c->gate = &model->gate;
    c->every = params->verify_every;
    c->all = params->verify_all;
    if (params->on_mismatch) c->report = *params->on_mismatch;
    pthread_mutex_init(&c->lock, NULL);
    rp_call_init_cond(&c->changed);
    rp_status status = rp_plain_init(&c->plain, model, err);
    c->bound = bound_of(model);
    if (!status && pthread_create(&c->thread, NULL, work, c))
        status = rp_fail(err, RP_ERROR_HOST_MEMORY, "the thread that verifies texts cannot be started");
    if (status)
        destroy(c);
    else
        *out = c;
    return status;
}

void rp_canary_close(rp_canary **pointer) {
    rp_canary *c = *pointer;
    if (!c) return;
    *pointer = NULL;
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    c->plain.stop = true;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    destroy(c);
}

void rp_canary_counts(rp_canary *c, bool wait, rp_verify_counts *out) {
    pthread_mutex_lock(&c->lock);
    while (wait && mine != c && (c->waiting || c->busy)) pthread_cond_wait(&c->changed, &c->lock);
    *out = c->counts;
    pthread_mutex_unlock(&c->lock);
}

/* ---- taking texts ---- */

static task *copy_task(const rp_canary *c, rp_tracer trace, const rp_sequence *sequence,
                       const rp_run_params *params, size_t first, size_t count, const float *out) {
    size_t width = rp_output_width(c->model, params->output), tokens = sequence->count;
    size_t rows = params->output == RP_OUTPUT_MASKED_LM ? count : 0;
    if (!count || (uint64_t)count * width > MOST_FLOATS) return NULL;
    task *t = calloc(1, sizeof *t + (2 * tokens + rows) * 4 + count * width * sizeof(float));
    if (!t) return NULL;
    int32_t *ids = (int32_t *)(t + 1), *types = ids + tokens;
    *t = (task){.sequence = {ids, types, sequence->count},
                .output = params->output,
                .trace = trace,
                .rows = (uint32_t *)(types + tokens),
                .row_count = rows,
                .floats = count * width};
    t->got = (float *)(t->rows + rows);
    memcpy(ids, sequence->ids, tokens * sizeof *ids);
    if (sequence->type_ids) memcpy(types, sequence->type_ids, tokens * sizeof *types);
    for (size_t i = 0; i < rows; i++) t->rows[i] = params->rows[first + i].token;
    memcpy(t->got, out + first * width, t->floats * sizeof(float));
    return t;
}

/* Put a text into the queue, or free it and count it as left out. With verify_all this waits for room until
 * the call of this thread is to end. */
static rp_status enqueue(rp_canary *c, task *t, uint64_t number, rp_error *err) {
    rp_status status = RP_OK;
    pthread_mutex_lock(&c->lock);
    while (t && c->all && c->waiting == QUEUE && !c->closing && mine != c && !(status = rp_call_check(err)))
        rp_call_wait(&c->changed, &c->lock);
    bool room = t && c->waiting < QUEUE && !c->closing;
    if (room) {
        t->number = number;
        c->queue[c->waiting++] = t;
        pthread_cond_broadcast(&c->changed);
    } else {
        c->counts.dropped++;
    }
    pthread_mutex_unlock(&c->lock);
    if (!room) free(t);
    return status;
}

rp_status rp_canary_offer(rp_canary *c, rp_tracer trace, const rp_sequence *sequences, size_t count,
                          const rp_run_params *params, const float *out, rp_error *err) {
    rp_status status = RP_OK;
    pthread_mutex_lock(&c->lock);
    uint64_t number = c->seen, room = QUEUE - c->waiting;
    c->seen += count;
    pthread_mutex_unlock(&c->lock);
    /* where the queue has no room for all that are due, those that are taken are spread over the call */
    uint64_t due = (number + count + c->every - 1) / c->every - (number + c->every - 1) / c->every;
    if (c->all || room > due) room = due;
    rp_count kind = rp_output_rows(params->output);
    uint64_t nth = 0;
    for (size_t i = 0, first = 0, rows; i < count; i++, first += rows) { /* rows of the result */
        rows = kind == RP_COUNT_TOKENS ? sequences[i].count
               : kind == RP_COUNT_ROWS ? rp_rows_of(params, first, i)
                                       : 1;
        if ((number + i) % c->every) continue;
        bool taken = !status && (nth + 1) * room / due > nth * room / due;
        nth++;
        if (!rows) continue;
        task *t = taken ? copy_task(c, trace, &sequences[i], params, first, rows, out) : NULL;
        rp_status ended = enqueue(c, t, number + i, err);
        if (ended) status = ended;
    }
    return status;
}
