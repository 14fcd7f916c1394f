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
    int32_t *labels; /* [label_count] of RP_EVAL_CLASSIFY one a row; of RP_EVAL_TAG one a token */
    size_t label_count, label_capacity;
    float *targets; /* [rows, labels of the model] of the others */
} rp_finetune_batch;

/* One call of rp_finetune. */
typedef struct rp_finetune_run {
    rp_device *device;
    rp_finetune_params params; /* with defaults in the place of zeros */
    char *dir;                 /* of the model */
    rp_config config;
    bool keeps_head; /* the folder has one for the task */
    rp_data *data;
    rp_labels labels; /* of the data, sorted */
    rp_trainer *trainer;
    rp_model *model; /* the trainer's */
    rp_label_map map;
    rp_finetune_batch batch;
    uint64_t rows, steps, steps_of_epoch;
    rp_loop loop;
} rp_finetune_run;

/* ---- batch.c ---- */

/* Room for params.batch_size rows. */
rp_status rp_finetune_batch_init(rp_finetune_run *run, rp_error *err);

/* Read, tokenize and label the rows of step `step`, from 0. */
rp_status rp_finetune_fill(rp_finetune_run *run, uint64_t step, rp_error *err);
void rp_finetune_batch_finish(rp_finetune_batch *batch);

#endif
