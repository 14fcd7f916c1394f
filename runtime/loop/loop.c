/* Steps and evaluations, in their order. */
#include "loop/loop.h"

#include <math.h>

#include "loader/json.h"

rp_status rp_loop_open(rp_loop *loop, const rp_loop_params *params, const char *out, rp_error *err) {
    loop->params = *params;
    return rp_loop_output_open(loop, out, err);
}

void rp_loop_close(rp_loop *loop) {
    rp_loop_output_close(loop);
}

/* ---- evaluations ---- */

bool rp_loop_lower_is_better(const char *metric) {
    size_t size = strlen(metric);
    return !strcmp(metric, "mse") || !strcmp(metric, "perplexity") ||
           (size >= 4 && !strcmp(metric + size - 4, "loss"));
}

/* The value that evaluations are compared by, such that more is better. */
static rp_status judge(const rp_loop *loop, double *out, rp_error *err) {
    const char *name = loop->params.metric ? loop->params.metric : loop->task.metric;
    for (size_t i = 0; i < loop->metrics.count; i++) {
        const rp_metric *m = &loop->metrics.items[i];
        if (strcmp(m->name, name)) continue;
        *out = isnan(m->value) ? -INFINITY : rp_loop_lower_is_better(name) ? -m->value : m->value;
        return RP_OK;
    }
    return rp_fail(err, RP_ERROR_ARGUMENT, "%s: metric: an evaluation has no '%.*s'", loop->params.function,
                   rp_text_fit(name, 40), name);
}

static rp_status evaluate(rp_loop *loop, rp_error *err) {
    const rp_training_handler *handler = loop->params.handler;
    double value = -INFINITY;
    loop->metrics.count = 0;
    rp_status status = loop->task.evaluate(loop->task.user, &loop->metrics, err);
    if (!status) status = judge(loop, &value, err);
    if (status) return status;
    bool best = !loop->saved || value > loop->best;
    if (best) status = rp_loop_output_save(loop, err);
    if (best) loop->best = value;
    if (!status && handler && handler->evaluated)
        handler->evaluated(handler->user, &loop->last, loop->metrics.items, loop->metrics.count, best);
    return status;
}

/* ---- steps ---- */

static rp_status step(rp_loop *loop, uint64_t number, rp_error *err) {
    const rp_training_handler *handler = loop->params.handler;
    rp_train_batch batch = {0};
    rp_train_result result = {0};
    double epoch = 0;
    rp_status status = loop->task.fill(loop->task.user, number, &batch, &epoch, err);
    if (!status) status = rp_trainer_step(loop->trainer, &batch, &result, err);
    if (status) return status;
    loop->more.count = 0;
    if (loop->task.describe) loop->task.describe(loop->task.user, &result, &loop->more);
    loop->last = (rp_training_step){.step = number + 1,
                                    .steps = loop->params.steps,
                                    .epoch = epoch,
                                    .loss = result.loss,
                                    .grad_norm = result.grad_norm,
                                    .learning_rate = result.learning_rate,
                                    .seconds = result.seconds,
                                    .sequences = batch.count,
                                    .tokens = result.tokens,
                                    .metrics = loop->more.items,
                                    .metric_count = loop->more.count,
                                    .trainer = rp_trainer_get_info(loop->trainer)};
    if (handler && handler->step) handler->step(handler->user, &loop->last);
    return RP_OK;
}

/* After `done` steps. */
static bool is_due(const rp_loop *loop, uint64_t done) {
    uint64_t every = loop->params.eval_every ? loop->params.eval_every : loop->task.steps_of_epoch;
    return loop->task.evaluate && (done == loop->params.steps || (every && done % every == 0));
}

rp_status rp_loop_run(rp_loop *loop, rp_trainer *trainer, const rp_loop_task *task, rp_error *err) {
    rp_status status = RP_OK;
    uint64_t steps = loop->params.steps;
    loop->trainer = trainer;
    loop->task = *task;
    for (uint64_t done = 0; !status && done < steps;) {
        status = step(loop, done++, err);
        if (!status && done < steps) rp_call_progress((size_t)done);
        if (!status) status = rp_call_check(err);
        if (!status && is_due(loop, done)) status = evaluate(loop, err);
    }
    if (!status && !task->evaluate) status = rp_loop_output_save(loop, err);
    if (!status) status = rp_call_check(err);
    if (!status) status = rp_loop_output_commit(loop, err);
    if (!status) rp_call_progress((size_t)steps);
    return status;
}
