/* What the files of rp_eval share: the rows of a batch, what is counted, and the file of predictions. */
#ifndef RP_EVAL_EVAL_H
#define RP_EVAL_EVAL_H

#include <stdio.h>

#include "eval/metrics.h"
#include "loader/data.h"
#include "loader/json_write.h"
#include "tasks/task.h"

enum { RP_EVAL_ROWS = 256, RP_EVAL_BYTES = 128 << 10 }; /* of a batch */

/* What is counted of instances of pre-training. */
typedef struct rp_instances {
    uint64_t masked, masked_right, orders, orders_right;
    double loss, order_loss; /* sums */
} rp_instances;

/* The scores of all rows, for thresholds: [rows, labels + 1]. Behind those of the labels is that of the
 * answer as chat gives it. */
typedef struct rp_calibration {
    float *scores;
    bool *right; /* the row has the label; the answer is right */
    size_t rows, score_capacity, right_capacity;
    float *windows; /* [cut, labels] of the rows of the batch that were cut; NULL: none */
    size_t cut;
    size_t cuts[RP_EVAL_ROWS]; /* which these are */
} rp_calibration;

/* One call of rp_eval. */
typedef struct rp_eval_run {
    rp_model *model;
    rp_eval_params params;
    rp_eval_task task;
    const rp_model_info *info;
    const char *path; /* of the data */
    rp_data *data;
    rp_label_map map; /* to rows of the classifier */
    /* The batch. */
    rp_arena arena; /* what the rows point to */
    rp_data_row rows[RP_EVAL_ROWS];
    uint64_t first; /* the number of rows[0], from 0 */
    size_t count;
    /* So far. */
    uint64_t done, failed; /* rows that count, and that the model could not take */
    double loss;           /* sum over `done` rows */
    rp_classes classes;
    rp_numbers numbers;
    rp_entities entities;
    rp_answers answers;
    rp_instances instances;
    rp_calibration calibration;
    bool none;   /* a question has no answer */
    bool *flags; /* [2 * labels] of a row: right, and said */
    FILE *out;   /* of predictions; NULL: none */
} rp_eval_run;

/* ---- rows.c ---- */

/* Fill the batch with rows from number `first` on; count 0: there are none. */
rp_status rp_eval_fill(rp_eval_run *run, uint64_t first, rp_error *err);

/* Row `i` of the batch cannot be used: count it or, without skip_bad, fail with the file and the line. */
rp_status rp_eval_bad(rp_eval_run *run, size_t i, const char *message, rp_error *err);

/* The same where entry `i` of `result` failed: `*bad` says whether it did. */
rp_status rp_eval_check(rp_eval_run *run, const rp_result *result, size_t i, bool *bad, rp_error *err);

/* The call of a task on the rows of the batch, which needs `head`; `command` names it in messages. */
rp_task rp_eval_call(const rp_eval_run *run, rp_head head, const char *command, rp_result **out);

/* Begin the object of row `i`, and write it to the file. Only where there is `run->out`. */
void rp_eval_open(const rp_eval_run *run, size_t i, rp_json_writer *w);
rp_status rp_eval_write(const rp_eval_run *run, rp_json_writer *w, rp_error *err);

/* ---- files (files.c) ---- */

/* Open the file of `what` that is to be `path`. `*part`, the caller's, is where it is written until it is
 * whole. What is a link or no regular file, such as /dev/stdout, stays what it is: what is written goes where
 * it leads. */
rp_status rp_eval_open_file(const char *path, const char *what, FILE **file, char **part, rp_error *err);

/* Close it, with `status`, which is returned unless closing fails; free `part`. */
rp_status rp_eval_close_file(const char *path, const char *what, FILE **file, char *part, rp_status status,
                             rp_error *err);

/* ---- thresholds (calibrate.c) ---- */

/* Whether params.calibrate and its targets fit the task. */
rp_status rp_eval_check_calibration(const rp_eval_run *run, rp_error *err);

/* Keep the scores of row `i` of the batch, where thresholds are wanted; `right`: its labels, or NULL where it
 * has `which` alone. */
rp_status rp_eval_note(rp_eval_run *run, size_t i, const float *logits, const bool *right, uint32_t which,
                       rp_error *err);

/* Score the rows of the batch that were cut, as `result` says, as moderate does: by windows. They are kept in
 * run->calibration.windows until the next batch. */
rp_status rp_eval_read_windows(rp_eval_run *run, rp_result *result, rp_error *err);

/* Choose the thresholds and write their file. `*out`, [*count], is the caller's (free), and has that of chat
 * behind those that are counted where `*intent`. */
rp_status rp_eval_calibrate(rp_eval_run *run, rp_threshold **out, size_t *count, bool *intent, rp_error *err);

/* ---- the tasks: answer the batch, and count ---- */

rp_status rp_eval_texts(rp_eval_run *run, rp_error *err); /* classify, multilabel, regress (texts.c) */
rp_status rp_eval_order(rp_eval_run *run, rp_error *err);
rp_status rp_eval_choose(rp_eval_run *run, rp_error *err);
rp_status rp_eval_embed(rp_eval_run *run, rp_error *err);     /* vectors.c */
rp_status rp_eval_tag(rp_eval_run *run, rp_error *err);       /* tokens.c */
rp_status rp_eval_answer(rp_eval_run *run, rp_error *err);    /* answers.c */
rp_status rp_eval_instances(rp_eval_run *run, rp_error *err); /* instances.c */

#endif
