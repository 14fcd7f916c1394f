/* What the files of rp_finetune share. */
#ifndef RP_FINETUNE_FINETUNE_H
#define RP_FINETUNE_FINETUNE_H

#include "loader/config.h"
#include "loader/data.h"
#include "loop/loop.h"
#include "reprise/finetune.h"
#include "tasks/task.h"

/* Rows as a step takes them. Zero-initialise; rp_finetune_batch_finish. */
typedef struct rp_finetune_batch {
    rp_tokenized tokenized;
    int32_t *labels; /* [label_count] of RP_EVAL_CLASSIFY and RP_EVAL_CHOOSE one a row; of RP_EVAL_TAG one a
                        token; of RP_EVAL_ANSWER two a window */
    size_t label_count, label_capacity;
    float *targets;    /* [rows, labels of the model] of the others; of RP_EVAL_EMBED [rows] */
    uint32_t *choices; /* [count] of RP_EVAL_CHOOSE */
    size_t choice_capacity;
    size_t count; /* examples */
    /* RP_EVAL_ANSWER: the question whose windows were cut last, */
    uint64_t row; /* its number + 1; 0: none */
    rp_encoding question, context;
    rp_windows windows;
} rp_finetune_batch;

/* Another model, which says what the rows of a batch are to be like. */
typedef struct rp_finetune_teacher {
    rp_model *model;       /* NULL: there is none, and nothing else here is set */
    uint32_t width, texts; /* labels, or numbers of a vector; and texts of a row that have so many */
    uint32_t *columns;     /* [width] the output of the teacher that each label of the model is */
    uint64_t *numbers;     /* [batch] of the rows, among those of the data */
    size_t *waiting;       /* [waiting_count] rows of the batch whose outputs are not known yet */
    size_t waiting_count;
    rp_tokenized tokenized; /* they, as a classifier reads them, */
    rp_text *views;         /* or [waiting_count, 2] their texts, */
    rp_arena arena;         /* which are here */
    float *targets;         /* [batch, texts, width] */
    float *kept; /* [rows of the data, texts, width]; NAN: not known yet. NULL: all are too many to keep */
} rp_finetune_teacher;

/* One call of rp_finetune. */
typedef struct rp_finetune_run {
    rp_loop loop; /* first, as rp_loop_job has it */
    rp_device *device;
    rp_finetune_params params; /* with defaults in the place of zeros */
    char *dir;                 /* of the model */
    rp_config config;
    bool keeps_head; /* the folder has one for the task */
    rp_data *data;
    rp_labels labels; /* of the data, sorted */
    rp_labels named;  /* params.labels, in their order */
    rp_trainer *trainer;
    rp_model *model; /* the trainer's */
    rp_label_map map;
    rp_finetune_batch batch;
    rp_finetune_teacher teacher;
    uint64_t rows; /* examples: rows of the data, or windows of its contexts */
    uint64_t steps, steps_of_epoch;
    uint64_t *firsts; /* [rows of the data + 1] the first example of each: RP_EVAL_ANSWER its first window;
                         where bad rows are left out those have none. NULL: each row is one */
    uint32_t choices; /* RP_EVAL_CHOOSE: most of a row */
    bool scored;      /* RP_EVAL_EMBED: pairs have scores */
} rp_finetune_run;

/* ---- examples.c ---- */

/* Look at every row once more where its task asks for that, and set `rows` and what belongs to it. Where rows
 * are windows of a context, params.max_tokens and stride get their defaults. RP_ERROR_FORMAT names the line
 * of a row that cannot be learnt. */
rp_status rp_finetune_look_at_rows(rp_finetune_run *run, rp_error *err);

/* RP_EVAL_EMBED: is the row a pair that is learnt as such? A teacher can teach others. */
bool rp_finetune_is_learnt(const rp_finetune_run *run, const rp_data_row *row);

/* The row of the data that an example is of. */
uint64_t rp_finetune_row_of(const rp_finetune_run *run, uint64_t example);

/* Where the first answer of a question begins in its context, in bytes; -1: it has none. RP_ERROR_FORMAT,
 * without the line: it is not there. */
rp_status rp_finetune_answer(const rp_data_row *row, int64_t *from, rp_error *err);

/* ---- labels.c ---- */

/* Read params.labels, where they are given. RP_ERROR_UNSUPPORTED: the task has none, or a head that is kept
 * has others. */
rp_status rp_finetune_read_labels(rp_finetune_run *run, rp_error *err);

/* ---- batch.c ---- */

/* Room for params.batch_size rows. */
rp_status rp_finetune_batch_init(rp_finetune_run *run, rp_error *err);

/* Rows of step `step`, from 0: `first` of the pass, and so many. */
typedef struct rp_finetune_rows {
    uint64_t first, count;
} rp_finetune_rows;
rp_finetune_rows rp_finetune_rows_of(const rp_finetune_run *run, uint64_t step);

/* Read, tokenize and label the rows of step `step` that are this rank's. */
rp_status rp_finetune_fill(rp_finetune_run *run, uint64_t step, rp_error *err);
void rp_finetune_batch_finish(rp_finetune_batch *batch);

/* ---- recipe.c ---- */

/* For rp_loop_set_recipe, once the data is open. */
rp_status rp_finetune_recipe(const rp_finetune_run *run, char **out, rp_error *err);

/* ---- teacher.c: all of it does nothing where params.teacher is NULL ---- */

/* Open the teacher of params.task. RP_ERROR_HEAD, RP_ERROR_UNSUPPORTED: it cannot teach that. */
rp_status rp_finetune_teacher_open(rp_finetune_run *run, rp_error *err);

/* Match its labels with those of run->model: RP_ERROR_FORMAT names one that the other has not. Room for
 * params.batch_size rows. */
rp_status rp_finetune_teacher_init(rp_finetune_run *run, rp_error *err);

/* Take row number `number` of the data, as row `at` of the batch, from 0 on; then run the teacher for all
 * `count` of them: run->teacher.targets has what it says. */
rp_status rp_finetune_teacher_read(rp_finetune_run *run, const rp_data_row *row, uint64_t number, size_t at,
                                   rp_error *err);
rp_status rp_finetune_teacher_run(rp_finetune_run *run, size_t count, rp_error *err);
void rp_finetune_teacher_finish(rp_finetune_teacher *teacher);

#endif
