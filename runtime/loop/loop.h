/* The loop around a trainer: steps, evaluations, which of them was the best, checkpoints, what is written,
 * and who is told. It knows nothing of what is learnt: a task gives it the batch of each step, and its
 * metrics.
 *
 * What stands in the folder `out`: .training, where this process writes, and which whoever comes next
 * removes; checkpoint-N, each renamed to this when all of it was on the disk; and at the end the model, with
 * training.json, written last, as the sign that nothing is to be done any more. */
#ifndef RP_LOOP_LOOP_H
#define RP_LOOP_LOOP_H

#include "base/alloc.h"
#include "base/call.h"
#include "loader/json_write.h"
#include "reprise/train.h"

enum { RP_LOOP_METRICS = 32 };

/* Numbers by name. The names outlive the loop. */
typedef struct rp_loop_metrics {
    rp_metric items[RP_LOOP_METRICS];
    size_t count;
} rp_loop_metrics;

static inline void rp_loop_add_metric(rp_loop_metrics *m, const char *name, double value) {
    if (m->count < RP_LOOP_METRICS) m->items[m->count++] = (rp_metric){name, value};
}

/* What is learnt. The functions are called on the thread that called rp_loop_run, one at a time, and get
 * `user`. What they return but RP_OK ends the training. */
typedef struct rp_loop_task {
    /* The batch of step `step`, from 0 on, or this rank's part of it, which depends on nothing but that
     * number; `*batch`, zero before, is borrowed until the next call. `*epoch`: passes over the data that are
     * done after it. */
    rp_status (*fill)(void *user, uint64_t step, rp_train_batch *batch, double *epoch, rp_error *err);

    /* Numbers of a step that only this task has, for the log (mlm_loss, ...). NULL: none. */
    void (*describe)(void *user, const rp_train_result *result, rp_loop_metrics *out);

    /* Evaluate the model as it is. NULL: there is nothing to evaluate it by. */
    rp_status (*evaluate)(void *user, rp_loop_metrics *out, rp_error *err);
    void *user;
    const char *metric; /* by which evaluations are compared, unless rp_loop_params.metric names one */
    const char *const *metrics; /* every name that an evaluation may have, NULL behind them: another is
                                   refused before the training. NULL: after the first evaluation */
    const char *pipeline;       /* Hugging Face's word for the task, for the model card; NULL: none */
    uint64_t steps_of_epoch; /* after so many an evaluation comes, unless rp_loop_params.eval_every says it */
} rp_loop_task;

/* What every training may be asked for: fields of the caller's params struct, which says what they mean. */
typedef struct rp_loop_params {
    const char *function;    /* that was called, for messages */
    const rp_device *device; /* for the model card; NULL: not known */
    uint64_t steps, eval_every, save_every;
    uint32_t keep;
    const char *metric, *log, *plot, *command;
    bool resume;
    uint32_t batch_size, epochs;        /* for trainer_state.json; 0: not known */
    const rp_training_handler *handler; /* NULL: nobody is told */
    rp_world *world; /* of the trainer, or NULL. Rank 0 alone evaluates, writes and tells; the others step on,
                        and wait for it where they need it */
} rp_loop_params;

/* A number after so many steps. */
typedef struct rp_loop_point {
    uint64_t step;
    double value;
} rp_loop_point;

typedef struct rp_loop_points {
    rp_loop_point *items; /* [count] */
    size_t count, capacity;
} rp_loop_points;

/* What the training was until now, as trainer_state.json has it: an entry for each evaluation and, in a long
 * training, for each `every` steps, with the mean of their losses. */
typedef struct rp_loop_history {
    char *entries; /* [size] JSON objects, with commas between them */
    size_t size, capacity;
    uint64_t every;
    double loss_sum; /* over the steps since the last entry */
    rp_loop_points loss, rate, dev;
} rp_loop_history;

/* Zero-initialise. Used by one thread. */
typedef struct rp_loop {
    rp_loop_params params; /* set by rp_loop_open, as `task` by rp_loop_run */
    rp_loop_task task;
    rp_trainer *trainer;
    char *resume; /* the checkpoint to go on from, for rp_trainer_params.resume; NULL: from the start */
    uint64_t resume_step;    /* of it */
    bool finished;           /* `out` has the model of this training already: there is nothing to do */
    rp_json_document recipe; /* an object: all that decides what is learnt */
    char *out, *work;        /* the folder, and .training in it, made when it is not NULL */
    bool made, committed;    /* the folder was; the model is in it */
    int lock;                /* of the folder, open; 0: none */
    int log;                 /* open; 0: none */
    bool log_begun;          /* what an earlier run wrote is gone */
    rp_json_document from; /* training.json of `resume` or, when finished, of `out`; for `recipe` only then */
    bool saved;            /* `work`/best holds a model */
    double best;           /* of the evaluations so far; -INFINITY where it is not defined */
    uint64_t best_step;
    rp_training_step last;   /* the step that was made last */
    rp_loop_metrics more;    /* of that step (task.describe) */
    rp_loop_metrics metrics; /* of the last evaluation */
    rp_loop_history history;
} rp_loop;

/* ---- loop.c: in this order ---- */

/* See that the folder `out` and the log can be written, before any other work is done; and with
 * params->resume find what there is to go on from. In any case the caller ends with rp_loop_close. `params`
 * is copied. RP_ERROR_FILE: `out` has files, or cannot be written; RP_ERROR_FORMAT: every checkpoint is
 * damaged. */
rp_status rp_loop_open(rp_loop *loop, const rp_loop_params *params, const char *out, rp_error *err);

/* Say what decides what is learnt: `recipe`, a JSON object whose members have names that a user knows, which
 * this frees. It goes into the model card, and a resumed training must have the same. NULL: the caller had no
 * memory for it. RP_ERROR_ARGUMENT names what is otherwise. */
rp_status rp_loop_set_recipe(rp_loop *loop, char *recipe, rp_error *err);

/* Make all steps with `trainer`, from loop->resume on, and give `out` the model of the best evaluation or,
 * without evaluations, that after the last step. It tells progress, in steps, to the visit that the thread is
 * in (base/call.h), whose total the caller has set. */
rp_status rp_loop_run(rp_loop *loop, rp_trainer *trainer, const rp_loop_task *task, rp_error *err);

/* Remove what did not get its place: all but whole checkpoints. Allowed on a zeroed struct. */
void rp_loop_close(rp_loop *loop);

/* Write a member of an object whose value is the file's name, without its folders, its size and its SHA-256:
 * for recipes. */
rp_status rp_loop_recipe_file(rp_json_writer *w, const char *key, const char *path, rp_error *err);

/* Write a member with the last part of a model's name, and that of its weights as above. */
rp_status rp_loop_recipe_model(rp_json_writer *w, const char *key, const char *name, const char *dir,
                               rp_error *err);

/* ---- attempts.c: what calls of a training have alike ---- */

/* A training that is begun again where its device was lost. */
typedef struct rp_loop_job {
    size_t size; /* of what an attempt has: a struct that begins with its rp_loop, zeroed */
    /* One attempt. `again`: an earlier one has ended, and this one goes on from the last checkpoint. */
    rp_status (*train)(void *run, const struct rp_loop_job *job, bool again, rp_visit *visit, rp_error *err);
    void (*finish)(void *run); /* close the loop and what else there is; the struct is freed after it */
    rp_device *device;
    const void *params; /* of the caller */
    const char *function;
    const rp_call *call;
    rp_world *world;
} rp_loop_job;

/* Make the training; `status`, and `err`, say what came of looking at its params. All processes of a world
 * get the same in the end. */
rp_status rp_loop_attempts(const rp_loop_job *job, rp_status status, rp_error *err);

/* ---- evaluate.c ---- */

/* rp_eval, which ends early when `call`, of the training, does (NULL: none): its metrics come to `out`, and
 * `params->call` is not used. The others of `world` wait at the next step, and hear each second that it
 * goes on: it may take longer than they are patient. */
rp_status rp_loop_evaluate(rp_model *model, const char *file, const rp_eval_params *params,
                           const rp_call *call, rp_world *world, rp_loop_metrics *out, rp_error *err);

/* ---- output.c: the folder ---- */

/* RP_ERROR_FILE unless the folder can be written; makes `work`. Finds checkpoints. */
rp_status rp_loop_output_open(rp_loop *loop, const char *out, rp_error *err);

/* Make `work`, unless it is there: where the model is finished nobody has done so. */
rp_status rp_loop_output_work(rp_loop *loop, rp_error *err);

/* After the first process of a world has done so, with what came of it: let all know what there is. */
rp_status rp_loop_output_share(rp_loop *loop, const char *out, rp_status status, rp_error *err);

/* Put the trainer's model into `work`/best. */
rp_status rp_loop_output_save(rp_loop *loop, rp_error *err);

/* Put the model of `work`/best into `out`, with what the folder has beside it. */
rp_status rp_loop_output_commit(rp_loop *loop, rp_error *err);
void rp_loop_output_close(rp_loop *loop);

/* ---- checkpoint.c ---- */

/* Find the last good checkpoint of loop->out. */
rp_status rp_loop_find_checkpoint(rp_loop *loop, rp_error *err);

/* Write one, and remove those that are too many. */
rp_status rp_loop_checkpoint(rp_loop *loop, rp_error *err);

/* Take up what loop->resume has beside the trainer's state; `*done` gets its steps. */
rp_status rp_loop_restore(rp_loop *loop, uint64_t *done, rp_error *err);

/* Write training.json to `dir`, with the hashes of `files` [count]. */
rp_status rp_loop_write_training(const rp_loop *loop, const char *dir, const char *const *files, size_t count,
                                 rp_error *err);
extern const char rp_loop_training_file[];

/* ---- history.c ---- */

/* Is a lower value of that metric a better one? And the metric that evaluations are compared by. */
bool rp_loop_lower_is_better(const char *metric);
const char *rp_loop_metric(const rp_loop *loop);

/* Begin, for so many steps; add the last step, and the last evaluation. */
void rp_loop_history_begin(rp_loop_history *h, uint64_t steps);
rp_status rp_loop_history_step(rp_loop *loop, rp_error *err);
rp_status rp_loop_history_evaluation(rp_loop *loop, rp_error *err);
void rp_loop_history_finish(rp_loop_history *h);

/* Write `dir`/trainer_state.json, and read the history from one that was written. */
rp_status rp_loop_write_state(const rp_loop *loop, const char *dir, rp_error *err);
rp_status rp_loop_read_state(rp_loop *loop, const char *dir, rp_error *err);

/* ---- log.c ---- */

/* Open the log, so that it is known that it can be written. RP_ERROR_FILE. */
rp_status rp_loop_log_open(rp_loop *loop, rp_error *err);

/* Leave in it the lines of the first `done` steps. */
rp_status rp_loop_log_cut(rp_loop *loop, uint64_t done, rp_error *err);
rp_status rp_loop_log_step(rp_loop *loop, rp_error *err);
rp_status rp_loop_log_evaluation(rp_loop *loop, rp_error *err);
rp_status rp_loop_log_sync(rp_loop *loop, rp_error *err);
void rp_loop_log_close(rp_loop *loop);

/* ---- plot.c, card.c ---- */

/* See that the plot can be written; and write it, in place of an older one. Without params.plot: RP_OK. */
rp_status rp_loop_plot_open(const rp_loop *loop, rp_error *err);
rp_status rp_loop_plot(const rp_loop *loop, rp_error *err);

/* Write the model card `dir`/README.md. */
rp_status rp_loop_write_card(const rp_loop *loop, const char *dir, rp_error *err);

/* ---- files.c ---- */

/* The files of a folder and of those in it, sorted. Zero-initialise; rp_loop_files_finish. */
typedef struct rp_loop_files {
    char **names; /* [count], relative */
    size_t count, capacity;
    rp_arena arena;
} rp_loop_files;

rp_status rp_loop_files_list(const char *dir, rp_loop_files *out, rp_error *err);
void rp_loop_files_finish(rp_loop_files *files);

/* Give the files of `from` a second name in the new folder `to` or, where the file system has no second
 * names, copy them. */
rp_status rp_loop_files_link(const char *from, const char *to, rp_error *err);

/* See that the names of a folder are on the disk. */
rp_status rp_loop_sync_folder(const char *path, rp_error *err);

#endif
