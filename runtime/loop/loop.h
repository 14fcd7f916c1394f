/* The loop around a trainer: steps, evaluations, which of them was the best, what is written, and who is
 * told. It knows nothing of what is learnt: a task gives it the batch of each step, and its metrics. */
#ifndef RP_LOOP_LOOP_H
#define RP_LOOP_LOOP_H

#include "base/alloc.h"
#include "base/call.h"
#include "reprise/train.h"

enum { RP_LOOP_METRICS = 32 };

/* Numbers by name. The names outlive the loop. */
typedef struct rp_loop_metrics {
    rp_metric items[RP_LOOP_METRICS];
    size_t count;
} rp_loop_metrics;

/* What is learnt. The functions are called on the thread that called rp_loop_run, one at a time, and get
 * `user`. What they return but RP_OK ends the training. */
typedef struct rp_loop_task {
    /* The batch of step `step`, from 0 on, which depends on nothing but that number; `*batch`, zero before,
     * is borrowed until the next call. `*epoch`: passes over the data that are done after it. */
    rp_status (*fill)(void *user, uint64_t step, rp_train_batch *batch, double *epoch, rp_error *err);

    /* Numbers of a step that only this task has, for the log (mlm_loss, ...). NULL: none. */
    void (*describe)(void *user, const rp_train_result *result, rp_loop_metrics *out);

    /* Evaluate the model as it is. NULL: there is nothing to evaluate it by. */
    rp_status (*evaluate)(void *user, rp_loop_metrics *out, rp_error *err);
    void *user;
    const char *metric;      /* by which evaluations are compared, unless rp_loop_params.metric names one */
    uint64_t steps_of_epoch; /* after so many an evaluation comes, unless rp_loop_params.eval_every says it */
} rp_loop_task;

static inline void rp_loop_add_metric(rp_loop_metrics *m, const char *name, double value) {
    if (m->count < RP_LOOP_METRICS) m->items[m->count++] = (rp_metric){name, value};
}

/* What every training may be asked for: fields of the caller's params struct, which says what they mean. */
typedef struct rp_loop_params {
    const char *function; /* that was called, for messages */
    uint64_t steps, eval_every;
    const char *metric;
    const rp_training_handler *handler; /* NULL: nobody is told */
} rp_loop_params;

/* Zero-initialise. Used by one thread. */
typedef struct rp_loop {
    rp_loop_params params; /* set by rp_loop_open, as `task` by rp_loop_run */
    rp_loop_task task;
    rp_trainer *trainer;
    char *out, *part;        /* the folder, and the one beside it, made when it is not NULL */
    bool saved;              /* `part` holds a model */
    double best;             /* of the evaluations so far; -INFINITY where it is not defined */
    rp_training_step last;   /* the step that was made last */
    rp_loop_metrics more;    /* of that step (task.describe) */
    rp_loop_metrics metrics; /* of the last evaluation */
} rp_loop;

/* ---- loop.c ---- */

/* See that the folder `out` can be written, before any other work is done. In any case the caller ends with
 * rp_loop_close. `params` is copied. RP_ERROR_FILE: `out` has files, or cannot be written. */
rp_status rp_loop_open(rp_loop *loop, const rp_loop_params *params, const char *out, rp_error *err);

/* Make all steps with `trainer`, and give `out` the model of the best evaluation or, without evaluations,
 * that after the last step. It tells progress, in steps, to the visit that the thread is in (base/call.h),
 * whose total the caller has set. */
rp_status rp_loop_run(rp_loop *loop, rp_trainer *trainer, const rp_loop_task *task, rp_error *err);

/* Remove what did not get its place. Allowed on a zeroed struct. */
void rp_loop_close(rp_loop *loop);

/* Is a lower value of that metric a better one? */
bool rp_loop_lower_is_better(const char *metric);

/* ---- output.c ---- */

/* RP_ERROR_FILE unless the folder `out` can be written; makes `part`. */
rp_status rp_loop_output_open(rp_loop *loop, const char *out, rp_error *err);

/* Put the trainer's model into `part`. */
rp_status rp_loop_output_save(rp_loop *loop, rp_error *err);

/* Give `part` its name. */
rp_status rp_loop_output_commit(rp_loop *loop, rp_error *err);

/* Remove `part` where it has not got its name. */
void rp_loop_output_close(rp_loop *loop);

#endif
