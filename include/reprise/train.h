/* Training a model: forward, backward and the step of an optimizer, on the device. */
#ifndef REPRISE_TRAIN_H
#define REPRISE_TRAIN_H

#include "eval.h"
#include "world.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model that is trained, with all that a step needs on the device: gradients, moments, activations, and
 * command buffers that were recorded once. The layer of an ALBERT, forwards and backwards, is recorded once
 * for each group and replayed for each layer.
 *
 * Thread-safety: a program may call every function from any thread; steps of one trainer take turns with each
 * other and with runs of its model. A trainer does not outlive the loss of its device: later calls return
 * RP_ERROR_DEVICE_LOST, runs of its model too, and the program goes on from what it has saved, as rp_finetune
 * does. */
typedef struct rp_trainer rp_trainer;

/* After the warm-up, in whose w steps the learning rate rises from 0, until step t = total_steps. s: steps
 * that were made before. */
typedef enum rp_train_schedule {
    RP_SCHEDULE_DEFAULT = 0, /* linear; of rp_pretrain polynomial */
    RP_SCHEDULE_LINEAR,      /* Hugging Face's: (t - s) / (t - w), from 1 to 0 */
    RP_SCHEDULE_CONSTANT,
    RP_SCHEDULE_POLYNOMIAL, /* Google's: (1 - s / t)^power, which is below 1 at the end of the warm-up */
} rp_train_schedule;

typedef enum rp_optimizer {
    RP_OPTIMIZER_DEFAULT = 0, /* AdamW; of rp_pretrain LAMB */
    RP_OPTIMIZER_ADAMW,       /* PyTorch's */
    RP_OPTIMIZER_LAMB, /* google-research/albert's: no bias correction; the step of each matrix is scaled
                          by the norm of its weights, Q, K and V apart; biases and LayerNorms are not */
} rp_optimizer;

/* What becomes of a layer's activations until the way back needs them. */
typedef enum rp_recompute {
    RP_RECOMPUTE_AUTO = 0, /* kept where a micro-batch of the longest sequence fits so */
    RP_RECOMPUTE_ALWAYS,   /* the layer's input alone is kept, and the rest is computed again: a third more
                              work, and a fraction of the memory */
    RP_RECOMPUTE_NEVER,    /* kept, or the trainer is not opened */
} rp_recompute;

/* Masked language model and sentence order (ALBERT) or next sentence (BERT): a head of rp_trainer_params. */
#define RP_TRAIN_BOTH ((rp_head)(RP_HEAD_MASKED_LM | RP_HEAD_ORDER))

/* What is learnt of the vectors of texts, as rp_embed makes them of the folder: the mean of all tokens or the
 * first one, which is the mean where the folder says nothing. Their lengths are not learnt. */
typedef enum rp_train_vectors {
    RP_VECTORS_NONE = 0, /* nothing: a head learns */
    RP_VECTORS_IN_BATCH, /* the second text of each pair is nearer to the first than the second ones of all
                            other pairs of the batch: cross entropy of 20 times the cosines, as
                            sentence-transformers' MultipleNegativesRankingLoss */
    RP_VECTORS_SCORED, /* the cosine of each pair is its score: mean squared error, as CosineSimilarityLoss */
} rp_train_vectors;

/* What keeps its weights. It takes no gradient, no decay and no part in the norm that is clipped. */
typedef enum rp_train_freeze {
    RP_FREEZE_NONE = 0,
    RP_FREEZE_EMBEDDINGS, /* of words, positions and types, and their LayerNorm (and with the words the
                             decoder of a masked LM that is one with them) */
    RP_FREEZE_ENCODER,    /* these and all layers: the head and its pooler learn alone */
} rp_train_freeze;

/* How to train. The zero value is Hugging Face's default where it has one. */
typedef struct rp_trainer_params {
    rp_head head;         /* which head learns: RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, RP_HEAD_SPANS or
                             RP_HEAD_CHOICE; or, to pre-train, RP_HEAD_MASKED_LM or RP_TRAIN_BOTH.
                             0: the one of the first four that the folder has */
    uint32_t label_count; /* of the first two: where the folder has not that head with so many labels, the
                             library makes one, of random weights, in place of the head that it has. 0: the
                             folder has it. The library makes the others where they are missing */
    const char *const *labels; /* [label_count]: of a head that is made; copied. NULL: "LABEL_0" and so on */
    rp_problem problem;        /* of an RP_HEAD_CLASSIFIER that is made */
    rp_train_vectors vectors;  /* with a head of 0: vectors learn, and no head */
    rp_optimizer optimizer;
    rp_train_schedule schedule; /* of the learning rate, after the warm-up */
    double power;               /* of RP_SCHEDULE_POLYNOMIAL; 0: 1 */
    double learning_rate;       /* 0: 5e-5; of LAMB 0.00176 */
    double weight_decay;        /* of matrices and embeddings; not of biases and LayerNorms */
    double beta1, beta2, eps;   /* 0: 0.9, 0.999 and 1e-8; of LAMB 1e-6 */
    double max_grad_norm;       /* the norm that the whole gradient is clipped to; 0: 1; below 0: none */
    double label_smoothing;     /* of cross entropies, from 0 to below 1 */
    uint64_t warmup_steps;      /* in which the learning rate rises from 0 */
    uint64_t total_steps;       /* where the schedule ends; with 0 the learning rate stays */
    double hidden_dropout, attention_dropout, classifier_dropout; /* as hidden_dropout_prob and so on of
                                   config.json, at the places where Hugging Face has them; 0: none */
    uint64_t seed;             /* of what is random: dropout, and the weights of a head that is made */
    uint32_t max_batch_tokens; /* most tokens in one micro-batch, which may be fewer where the device has no
                                  storage buffer so large; 0: the library derives it from the size of the
                                  model and of the device's memory. A larger batch is cut, which changes
                                  results by rounding alone */
    uint32_t max_batch_pairs;  /* of vectors: most pairs of a step; 0: 512. Each first text of
                                  RP_VECTORS_IN_BATCH  is compared with all second ones: for a storage buffer
                                  of  128 MiB that is  5,792 */
    bool taught; /* of RP_HEAD_CLASSIFIER, and of vectors: batches have what a teacher makes of them, too */
    bool early_exit; /* of RP_HEAD_CLASSIFIER with one label a text, by AdamW: a classifier behind every layer
                        learns, too, as in PABEE: all read the one pooler, and the loss is the mean of theirs,
                        each weighted by the number of its layer from 1 on. The folder's own go on, and others
                        are made. Without this the trainer forgets those of the folder. The model's texts
                        leave early (rp_run_params.patience) once it is saved and opened */
    const char *config; /* not NULL: a new model is trained, of this configuration: "base", "large", "xlarge"
                           or "xxlarge" (ALBERT, version 2), a config.json, or a folder or model that has
                           one. rp_trainer_open writes it to `dir`, a folder that is not there yet or is
                           empty: random weights by `seed` (truncated normal of deviation 0.02, the
                           row of padding, biases and LayerNorms as Hugging Face has them), with heads for
                           RP_TRAIN_BOTH unless `head` says otherwise */
    const char *tokenizer; /* with `config`: the vocabulary of the new model, a spiece.model, vocab.txt or
                              tokenizer.json, or a folder or model that has one */
    const char *resume;    /* not NULL: a folder of rp_trainer_save_state. Weights, moments and the number of
                              steps are those, and so are kernels and micro-batches. All else must be asked for
                              as it was, and `dir` be the same: only then the next steps give the same bits */
    const rp_call *call;   /* of opening the model; not kept; NULL: none */
    double label_weight;   /* with `taught`: the loss is this times the labels' and the teacher's mean squared
                              difference; 0: 0.5; below 0: labels are not learnt */
    rp_recompute recompute; /* changes no result where micro-batches are as large, else by rounding */
    rp_train_freeze freeze;
    rp_precision precision; /* RP_PRECISION_F16: products, forwards and backwards, are those of weights,
                               activations and gradients that are rounded to float16, by the kernels that are
                               fastest on the device. Sums, all other operators, the weights that are updated
                               and their moments stay float32. Losses are scaled, so that small gradients are
                               not lost; a step whose gradient is not finite changes nothing. 0 and
                               RP_PRECISION_F32: float32; no other is allowed */
    double loss_scale; /* of RP_PRECISION_F16, at the first step: a power of 2; 0: 65536. It is doubled after
                          2000 steps in a row that were not skipped, and halved by one that is, as PyTorch's
                          GradScaler does */
    rp_world *world;   /* not NULL: the trainers of all its processes step together; it outlives them */
    uint64_t reserved[16]; /* zero; see reprise.h */
} rp_trainer_params;

/* The sequences of a step and what is to be learnt of them. Borrowed for the call. */
typedef struct rp_train_batch {
    const rp_sequence *sequences; /* [count] */
    size_t count;
    const int32_t *labels; /* RP_HEAD_CLASSIFIER with RP_PROBLEM_SINGLE_LABEL: [count], the label of each
                              sequence. RP_HEAD_TOKENS: of each token, sequence after sequence. RP_HEAD_SPANS:
                              [count, 2], the first and the last token of each answer; all tokens of the
                              sequence compete. RP_HEAD_CHOICE: [questions], the right choice of each. One
                              below 0 is not learnt */
    const uint32_t *masked_counts; /* RP_HEAD_MASKED_LM: [count], tokens of each sequence to be predicted */
    const uint32_t *masked_positions; /* and which, sequence after sequence: numbers of tokens of the
                                         sequence, from 0, each once */
    const int32_t *masked_ids;        /* and what they are. One below 0 is not learnt */
    const int32_t *order; /* RP_HEAD_ORDER: [count], 0: in order (the next sentence), 1: swapped (a random
                             one). One below 0 is not learnt */
    const float *targets; /* RP_HEAD_CLASSIFIER otherwise: [count, label_count], what each output is to be.
                             RP_VECTORS_SCORED: [count / 2], the score of each pair. Of vectors the
                             sequences of a pair follow one another, and there are at most
                             max_batch_pairs, in all ranks of a world */
    uint32_t choices;     /* RP_HEAD_CHOICE: sequences of each question, which follow one another; or */
    const uint32_t *choice_counts; /* of question after question, and NULL where all have `choices` */
    const float *teacher;          /* with rp_trainer_params.taught, and beside the labels or targets: [count,
                                      label_count], the logits of another model, which this one's are to come near to.
                                      A sequence whose label is below 0, and a batch of them, is taught by it alone.
                                      Of vectors [count, hidden_size], the vectors of another model, which those of
                                      this one, before a Normalize, are to come near to; then `labels` [count / 2]
                                      may be given, and a pair of one below 0 is taught by it alone, though other
                                      pairs are still to be far from its second text */
    const rp_call *call;  /* ends the step before its next micro-batch; its progress is not told. NULL: the
                             step ends when it is done */
    uint64_t reserved[8]; /* zero; see reprise.h */
} rp_train_batch;

/* What a step did. */
typedef struct rp_train_result {
    uint64_t step;        /* its number, from 1 on */
    double loss;          /* mean over the labels, before the step; in pre-training mlm_loss + sop_loss, with
                             a teacher what label_weight says */
    double grad_norm;     /* of the whole gradient, before it is clipped */
    double learning_rate; /* that this step used */
    double seconds;       /* that it took */
    uint64_t sequences, tokens;    /* of the step, and in all sequences */
    uint32_t submissions;          /* of command buffers */
    double mlm_loss, mlm_accuracy; /* of the tokens to be predicted; 0 where there were none */
    double sop_loss, sop_accuracy; /* and of orders */
    double loss_scale;             /* of this step in RP_PRECISION_F16; else 0 */
    bool skipped; /* in RP_PRECISION_F16: the gradient was not finite, and this step changed nothing but
                     the scale. grad_norm is not finite then, and loss may not be, either */
    uint64_t reserved[8]; /* zero */
} rp_train_result;

/* Open the folder `dir`, or the model of that name, on `device` in float32, and make it ready to be trained.
 * `params` may be NULL. On success the caller owns `*out`; it closes the trainer before `device`.
 *
 * RP_ERROR_HEAD when the folder has no head that can be trained and none is asked for;
 * RP_ERROR_UNSUPPORTED for a DistilBERT; RP_ERROR_DEVICE_MEMORY when the device has too little for gradients,
 * moments and one sequence; else what rp_model_open says. Of `config` and `tokenizer`: RP_ERROR_FORMAT where
 * they do not fit each other, RP_ERROR_FILE where `dir` has files or cannot be written; RP_ERROR_UNSUPPORTED
 * where a software driver cannot predict a vocabulary so large (170,000). Of `resume`: RP_ERROR_FILE and
 * RP_ERROR_FORMAT name the file that is missing, cut short, changed, or of another model. Where kernels or
 * micro-batches cannot be those of the checkpoint the log hears a warning (rp_call.log), and the training
 * goes on with others. */
RP_API rp_status rp_trainer_open(rp_device *device, const char *dir, const rp_trainer_params *params,
                                 rp_trainer **out, rp_error *err);

/* Free the trainer with its model, set `*trainer` to NULL and return RP_OK. NULL and a pointer to NULL are
 * allowed. No other call may use the trainer or its model meanwhile or later. */
RP_API rp_status rp_trainer_close(rp_trainer **trainer);

/* The model that is trained: runs between two steps use the weights as they are then. Owned by the trainer.
 */
RP_API rp_model *rp_trainer_model(rp_trainer *trainer);

/* A kernel that was chosen for an operator, and what it is for. */
typedef struct rp_train_kernel {
    const char *what, *kernel;
} rp_train_kernel;

/* What a trainer takes of its device, in bytes, and how it works. Later versions may add fields at the end.
 */
typedef struct rp_trainer_info {
    uint64_t weights;      /* of the model, the float32 masters */
    uint64_t gradients;    /* as large as the weights */
    uint64_t moments;      /* twice as large */
    uint64_t transposes;   /* of the matrices that gradients go back through; in RP_PRECISION_F16 with those
                              that products read */
    uint64_t activations;  /* of a micro-batch, and what the host writes and reads; those too by which the
                              model is evaluated between two steps */
    uint64_t kept;         /* of these in each layer, for the way back */
    uint64_t logits;       /* with their gradients; of pre-training those of the words */
    uint64_t device_bytes; /* all of it */
    uint32_t batch_tokens, batch_sequences; /* most of a micro-batch */
    bool recomputes;                        /* the way back computes each layer again */
    const rp_train_kernel *kernels;         /* [kernel_count] in training; of a plan none */
    size_t kernel_count;
} rp_trainer_info;

/* What this trainer takes. It is valid, and does not change, until the trainer is closed. */
RP_API const rp_trainer_info *rp_trainer_get_info(const rp_trainer *trainer);

/* What rp_trainer_open would take on `device` for `config` ("base", "large", "xlarge", "xxlarge", a folder or
 * model that has a config.json), without allocating any of it: a little less than the sum of what a driver
 * rounds up. Of `params`, which may be NULL, max_batch_tokens, recompute, precision, label_count and head
 * count; the latter is RP_HEAD_CLASSIFIER unless it says otherwise. Any thread may call it.
 * RP_ERROR_UNSUPPORTED: the device has no storage buffer so large. */
RP_API rp_status rp_trainer_plan(rp_device *device, const char *config, const rp_trainer_params *params,
                                 rp_trainer_info *out, rp_error *err);

/* One step of the optimizer on a batch. The same step on the same device gives the
 * same bits. `result` may be NULL. After the first step nothing is recorded, created or allocated on the
 * device, and each micro-batch is one submission, of which the last has the update too; or several where one
 * would take longer than the submission budget (rp_model_run). Vectors are compared with those of the whole
 * batch: where that is cut, each micro-batch is one submission forwards, and then another one forwards and
 * back, so that the cut changes rounding alone.
 *
 * In a world every process calls this with its part of the batch, which may be empty, and gets the result of
 * all parts: losses and gradients are divided by the labels of the whole batch, and added up in the order of
 * ranks, so that the sums are the same bits in every process and each time. The parts follow one another in
 * the order of ranks: dropout depends on the place in the whole batch. An error of one process comes to all,
 * with its rank. rp_trainer_open is called by every process, too.
 *
 * A row of logits of a masked language model is as wide as the vocabulary: a micro-batch is cut by the tokens
 * to be predicted, too, so that they take 64 MiB, or what a quarter of the longest sequence takes.
 *
 * RP_ERROR_TEXT names a sequence that is empty, too long, holds an id out of range or has more tokens to be
 * predicted than a micro-batch takes; RP_ERROR_ARGUMENT a label or a target that is none, masked tokens that
 * are none, or a batch without any label; nothing has changed then.
 * RP_ERROR_CANCELLED and RP_ERROR_DEADLINE as `call` says, in a world to all processes: the sums of a step
 * that had begun are lost then, and later calls fail as after the loss of the device. RP_ERROR_UNSUPPORTED
 * names the step and the tensor when the gradient is not finite (in RP_PRECISION_F16: with a loss scale of
 * 1): no parameter has changed. RP_ERROR_DEVICE_LOST as said above. */
RP_API rp_status rp_trainer_step(rp_trainer *trainer, const rp_train_batch *batch, rp_train_result *result,
                                 rp_error *err);

/* Write the model as it is now to the folder `out`, as rp_convert does: Hugging Face's config.json and
 * model.safetensors, and the files of the tokenizer. `overwrite`: files in a folder that exists may be
 * replaced. After an error nothing has changed. */
RP_API rp_status rp_trainer_save(rp_trainer *trainer, const char *out, bool overwrite, rp_error *err);

/* Write a checkpoint, from which rp_trainer_params.resume goes on, to the folder `out`, which must not exist
 * or be empty: all that rp_trainer_save writes; the moments in exp_avg.safetensors and
 * exp_avg_sq.safetensors, by the names of the parameters; and trainer.json with what else the next step
 * depends on, and with the SHA-256 of the other files. The folder is a checkpoint once trainer.json is there.
 */
RP_API rp_status rp_trainer_save_state(rp_trainer *trainer, const char *out, rp_error *err);

/* ---- what a training tells: rp_finetune ---- */

/* What one step did. Made by the library, valid during the callback. */
typedef struct rp_training_step {
    uint64_t step, steps;                           /* its number, from 1 on, and how many there will be */
    double epoch;                                   /* passes over the data that are done after it */
    double loss, grad_norm, learning_rate, seconds; /* as in rp_train_result */
    uint64_t sequences, tokens;                     /* of the step */
    const rp_metric *metrics;                       /* [metric_count] what else the task has of it */
    size_t metric_count;
    const rp_trainer_info *trainer; /* what training takes of the device */
    double dev;                     /* the metric by which the last evaluation before it was judged, */
    const char *dev_metric;         /* and its name; NULL: there was none yet */
    uint64_t reserved[8];           /* zero */
} rp_training_step;

/* Who is told, on the thread that called the training. Each function may be NULL. */
typedef struct rp_training_handler {
    void (*step)(void *user, const rp_training_step *step); /* after each step */
    /* after each evaluation, whose `metrics` [count] are valid during the callback; `best`: no earlier one
     * was as good */
    void (*evaluated)(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                      bool best);
    void *user;
} rp_training_handler;

#ifdef __cplusplus
}
#endif
#endif
