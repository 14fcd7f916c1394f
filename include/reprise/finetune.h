/* Fine-tuning: a model folder and a file of labelled data in, a model folder that was taught by them out. */
#ifndef REPRISE_FINETUNE_H
#define REPRISE_FINETUNE_H

#include "eval.h"
#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The zero value of everything but the first four is Hugging Face's default where it has one. */
typedef struct rp_finetune_params {
    const char *model;   /* the folder to begin with, or the name of a model */
    const char *train;   /* the file that is learnt (reprise(1) lists the formats) */
    const char *dev;     /* the file that is evaluated (eval_every); NULL: none */
    const char *out;     /* the folder to write; it must not exist, or be empty, but for `resume` */
    rp_eval_task task;   /* any but RP_EVAL_ORDER and RP_EVAL_MLM. 0: what the folder's head is for;
                            RP_EVAL_CLASSIFY where it has none */
    uint32_t epochs;     /* passes over the data; 0: 3 */
    uint64_t steps;      /* 0: as many as the epochs have; else these, whatever `epochs` says */
    uint32_t batch_size; /* rows of a step; 0: 8. The last step of a pass takes those that are left */
    uint32_t max_tokens; /* longest sequence; longer ones are cut; 0: what the model takes; for answers 384 */
    double learning_rate;       /* 0: 5e-5; of LAMB 0.00176 */
    double warmup;              /* steps in which the learning rate rises or, below 1, their share of all */
    rp_train_schedule schedule; /* after the warm-up */
    bool no_shuffle;            /* rows are learnt in the order of the file */
    bool skip_bad;              /* rows that cannot be read are left out; else they are an error */
    bool early_exit;            /* as in rp_trainer_params; of RP_EVAL_CLASSIFY */
    double weight_decay;        /* as in rp_trainer_params, and so the next two */
    double max_grad_norm;       /* 0: 1; below 0: none */
    double label_smoothing;     /* of RP_EVAL_CLASSIFY */
    uint64_t seed;              /* of the order, of dropout and of a new head; 0: 42 */
    const char *format;         /* of both files, as in rp_eval_params, and so the columns */
    const char *text_column, *pair_column, *label_column;
    const rp_training_handler *handler; /* NULL: nobody is told */
    const rp_call *call;                /* NULL: none. Its inputs are the steps */
    const char *teacher;    /* the folder or name of another model, of any kind that rp_model_open reads, with
                               a tokenizer of its own. RP_EVAL_CLASSIFY: a classifier, whose logits are learnt
                               by their mean squared difference; RP_EVAL_EMBED: its vectors (rp_embed) are,
                               which must have as many numbers. NULL: none */
    double label_weight;    /* of the labels' loss beside the teacher's; 0: 0.5; below 0: none */
    uint32_t stride;        /* RP_EVAL_ANSWER: tokens that neighbouring windows of a context share; 0: 128 */
    rp_recompute recompute; /* as in rp_trainer_params */
    uint32_t keep;          /* checkpoints that stay, the last ones; 0: all */
    rp_optimizer optimizer;
    uint64_t eval_every; /* steps from one evaluation of `dev` to the next; 0: a pass. One more at the end */
    uint64_t save_every; /* steps from one checkpoint to the next; 0: 500; UINT64_MAX: there are none */
    bool resume;         /* go on where a training with the same `out` ended, whatever ended it */
    const char *metric;  /* by which evaluations are compared (rp_eval_task lists them); with those whose name
                            ends in "loss", and mse, less is better. NULL: as said below */
    const char *log;  /* the file that gets a JSON object for each step and each evaluation (reprise(1) shows
                         them). NULL: none */
    const char *plot; /* the file that gets a plot of the training as SVG, at each checkpoint and at the end.
                         NULL: none */
    const char *command; /* what the model card is to say of how this was called; NULL: nothing */
    rp_world *world;     /* not NULL: each of its processes learns its part of each batch. Every process calls
                            rp_finetune, with the same params, and hears of each step; the one of rank 0
                            evaluates and writes */
    const char *labels;  /* of RP_EVAL_CLASSIFY, RP_EVAL_MULTILABEL and RP_EVAL_TAG: the labels of a new head,
                            in their order, with commas between; or the name of a file with one on each line.
                            NULL: those of the data, sorted */
    rp_train_freeze freeze; /* as in rp_trainer_params */
    rp_precision precision; /* as in rp_trainer_params */
    uint64_t reserved[16];  /* zero; see reprise.h */
} rp_finetune_params;

/* Teach the model by the rows of `train` and write what came of it to `out`, a Hugging Face folder.
 *
 * A folder that has a classifier, of texts or of tokens, keeps it: labels of the data are matched with its
 * own by name or, where some have none of these names, by number. Any other folder gets a new one, whose
 * labels are those of the data, in order. With a teacher the labels are the teacher's: a new classifier has
 * them in its order, and a folder's own must be the same by name; rows of `train` without a label are taught
 * by the teacher alone, and so are, of RP_EVAL_EMBED, texts without a second one. Its outputs are kept for
 * the next pass where those of all rows take 64 MiB or less. Dropout is what config.json says. Both files are
 * read and checked before training begins, and the rows are read again as they are needed: memory does not
 * grow with the files but for 8 bytes a row.
 *
 * In the end `out` has the model after the last step or, with `dev`, that of the evaluation with the best
 * accuracy (RP_EVAL_MULTILABEL: f1_micro; RP_EVAL_REGRESS: pearson; RP_EVAL_TAG: f1; or `metric`), the first
 * of equals; trainer_state.json, as Hugging Face's Trainer writes it; a model card, README.md; and
 * training.json with all that decided what was learnt, which is written last. Until then it has checkpoints,
 * checkpoint-N after N steps, each of which is a Hugging Face folder too and gets its name when all of it is
 * on the disk; and .training, where this call writes, and which goes away when it ends.
 *
 * Where the device is lost the call goes on by itself from the last checkpoint, or anew where there is none
 * yet, and rp_call.log hears of it: `handler` hears of some steps again. RP_ERROR_DEVICE_LOST comes when it
 * is lost again and again at one step.
 *
 * The same call on the same device gives the same bits, and so does a call that goes on (`resume`) after one
 * that was killed at any moment: model, log but for its seconds, and trainer_state.json. It begins with the
 * last checkpoint that is good, or anew where there is none yet, and drops what the log has of later steps. A
 * damaged checkpoint is passed over, and rp_call.log hears of it, as it does where the kernels of the
 * checkpoint cannot be used. Where the model is there already, nothing is done. RP_ERROR_ARGUMENT names what
 * is asked for otherwise than it was then.
 *
 * RP_ERROR_FILE when `out` has files or cannot be written, or another file cannot be read; RP_ERROR_FORMAT
 * names the file, the line and what is wrong there; RP_ERROR_UNSUPPORTED for a task that cannot be taught or
 * that the folder's classifier is not for, and as rp_trainer_step says; RP_ERROR_CANCELLED and
 * RP_ERROR_DEADLINE, before the next micro-batch of a step; else what rp_trainer_open and rp_eval say. After
 * an error `out` is as it was, but for its checkpoints. Thread-safe, but not for two calls with one `out`;
 * `device` is closed after it.
 */
RP_API rp_status rp_finetune(rp_device *device, const rp_finetune_params *params, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
