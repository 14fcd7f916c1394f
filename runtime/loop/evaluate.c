/* An evaluation between two steps. */
#include "base/clock.h"
#include "loop/loop.h"

/* Its own call, which ends when that of the training does. */
typedef struct part_call {
    rp_call call;
    const rp_call *whole; /* NULL: none */
    rp_world *world;
    double told;      /* when the others of the world heard of this process */
    rp_status status; /* of telling them */
    rp_error err;
} part_call;

static void pass_on(void *user, size_t done, size_t total) {
    part_call *part = user;
    (void)done, (void)total;
    if (part->whole && __atomic_load_n(&part->whole->cancel, __ATOMIC_RELAXED)) rp_call_cancel(&part->call);
    if (!part->world || part->status || rp_seconds() - part->told < 1) return;
    part->told = rp_seconds();
    part->status = rp_world_keep(part->world, &part->err);
    if (part->status) rp_call_cancel(&part->call);
}

static void log_on(void *user, rp_log_level level, const char *message) {
    const part_call *part = user;
    part->whole->log(part->whole->user, level, message);
}

rp_status rp_loop_evaluate(rp_model *model, const char *file, const rp_eval_params *params,
                           const rp_call *call, rp_world *world, rp_loop_metrics *out, rp_error *err) {
    part_call part = {.call = {.progress = pass_on, .user = &part}, .whole = call, .world = world};
    rp_eval_params own = *params;
    rp_evaluation *evaluation = NULL;
    size_t count = 0;
    if (call) part.call.deadline = call->deadline;
    if (call && call->log) part.call.log = log_on;
    own.call = &part.call;
    rp_status status = rp_eval(model, file, &own, &evaluation, err);
    if (part.status) { /* which ended it, if it had not ended */
        rp_evaluation_free(&evaluation);
        *err = part.err;
        return part.status;
    }
    if (status) return status;
    const rp_metric *metrics = rp_evaluation_metrics(evaluation, &count);
    for (size_t i = 0; i < count; i++) rp_loop_add_metric(out, metrics[i].name, metrics[i].value);
    rp_evaluation_free(&evaluation);
    return RP_OK;
}
