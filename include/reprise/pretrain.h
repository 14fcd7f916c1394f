/* Pre-training: plain text and a vocabulary in, a model folder out that predicts masked words and the order
 * of sentences. */
#ifndef REPRISE_PRETRAIN_H
#define REPRISE_PRETRAIN_H

#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What to learn, and how. The zero value of everything but the files is google-research/albert's default. */
typedef struct rp_pretrain_params {
    const char *const *corpus; /* [corpus_count] files of plain text in UTF-8: a sentence or a paragraph a
                                  line, an empty line between documents; or, instead of them, */
    size_t corpus_count;
    const char *const *instances; /* [instance_count] files of prepared instances, a JSON object a line */
    size_t instance_count;
    const char *config; /* of a new model, as in rp_trainer_params, which goes with `tokenizer`; or */
    const char *init;   /* the folder or model to go on from, with its own tokenizer */
    const char
        *tokenizer;  /* a spiece.model, vocab.txt or tokenizer.json, or a folder or model that has one */
    const char *out; /* the folder to write; it must not exist, or be empty. NULL: nothing is trained, and
                        `device`, `config` and `init` are not needed */
    const char *dev; /* the file that is evaluated (eval_every): prepared instances where its name ends in
                        .jsonl or .ndjson, else text, whose instances are made as those of `corpus` are and
                        stay the same. NULL: none */
    const char *write_instances; /* file that gets the instances of the corpus, in the order in which they are
                                    learnt; NULL: none. It appears once it is whole */

    uint32_t epochs;     /* passes over the data; 0: as many as `steps` need; where nothing is trained, one */
    uint64_t steps;      /* 0: as many as `epochs` have or, without them, 125,000; else these, whatever
                            `epochs` says */
    uint32_t batch_size; /* instances of a step; 0: 4096. The last step of a pass takes those that are left */
    uint32_t max_tokens; /* longest instance; 0: 512, or what the model takes */
    uint32_t max_predictions; /* tokens of an instance that are predicted, at most; 0: 20 */
    uint32_t ngram;           /* longest n-gram of whole words that is masked as one; 0: 3 */
    double masked_share;      /* tokens of an instance that are predicted; 0: 0.15 */
    double short_share;       /* documents that are cut into shorter instances; 0: 0.1; below 0: none */
    bool no_shuffle;          /* instances are learnt in the order of the text */
    bool skip_bad;            /* lines that cannot be used are left out; else they are an error */

    rp_optimizer optimizer;     /* RP_OPTIMIZER_DEFAULT: LAMB */
    rp_train_schedule schedule; /* RP_SCHEDULE_DEFAULT: polynomial, of power 1 */
    double learning_rate;       /* 0: 0.00176, which goes with batches of 4096; of AdamW 1e-4 */
    double warmup;              /* steps in which the learning rate rises or, below 1, their share of all;
                                   0: 0.025; below 0: none */
    double weight_decay;        /* 0: 0.01; below 0: none */
    double max_grad_norm;       /* 0: 1; below 0: none */
    uint64_t seed;              /* of the data, of new weights and of dropout; 0: 12345 */
    const rp_training_handler *handler; /* NULL: nobody is told */
    const rp_call *call;                /* NULL: none. Its inputs are the steps */
    rp_recompute recompute;             /* as in rp_trainer_params */
    uint32_t keep;                      /* checkpoints that stay, the last ones; 0: all */
    rp_train_freeze freeze;             /* as in rp_trainer_params, and so the next */
    rp_precision precision;
    uint64_t eval_every; /* steps from one evaluation of `dev` to the next; 0: 500. One more at the end */
    uint64_t save_every; /* steps from one checkpoint to the next; 0: 500; UINT64_MAX: there are none */
    bool resume;         /* go on where a training with the same `out` ended, whatever ended it */
    const char *metric;  /* by which evaluations are compared: loss (less is better, as of all losses and of
                            perplexity), mlm_loss, mlm_accuracy, perplexity, sop_loss or sop_accuracy; NULL:
                            loss, the sum of the other two */
    const char *log;  /* the file that gets a JSON object for each step and each evaluation (reprise(1) shows
                         them); NULL: none */
    const char *plot; /* the file that gets a plot of the training as SVG; NULL: none */
    const char *command; /* what the model card is to say of how this was called; NULL: nothing */
    rp_world *world;     /* not NULL: each of its processes learns its part of each batch. Every process calls
                            rp_pretrain, with the same params, and hears of each step; the one of rank 0
                            makes the new model, evaluates and writes, in a folder that all see */
    uint64_t reserved[16]; /* zero; see reprise.h */
} rp_pretrain_params;

/* Teach a model by plain text, and write what came of it to `out`, a Hugging Face folder that
 * AlbertForPreTraining opens (BertForPreTraining where `config` or `init` is a BERT).
 *
 * Instances are those of google-research/albert: lines of a document are gathered up to the longest instance,
 * cut in two between two lines, and swapped in half of the cases (the order to predict). A tenth of the
 * documents is cut into shorter ones. 15 % of the tokens, in n-grams of whole words with p(n) ~ 1/n, are
 * predicted: 80 % of them are masked, 10 % stay, 10 % become any token. Unlike theirs, the seed reproduces
 * the data, each pass over the corpus draws anew, a chunk of one line is left out, and words of every
 * alphabet are masked whole. The text is read again as it is needed: memory does not grow with the files but
 * for some 8 bytes an instance. The first pass over the corpus tokenizes it once more, before training.
 *
 * Prepared instances are lines {"input_ids", "token_type_ids", "masked_positions", "masked_ids", "order"}, as
 * `write_instances` writes them. Dropout is what the configuration says, at Hugging Face's places.
 *
 * In the end `out` has the model after the last step or, with `dev`, that of the best evaluation, the first
 * of equals; and beside it what rp_finetune has there, which says also what is there until then, and how
 * `resume` goes on. RP_ERROR_FILE when `out` has files or cannot be written, or another file cannot be read;
 * RP_ERROR_FORMAT names the file, the line and what is wrong there, or says that the corpus gives no
 * instance; RP_ERROR_UNSUPPORTED for a tokenizer without [CLS], [SEP] or [MASK], and as rp_trainer_step says;
 * RP_ERROR_ARGUMENT for params that contradict each other; RP_ERROR_CANCELLED and RP_ERROR_DEADLINE, before
 * the next micro-batch of a step; else what rp_trainer_open says. After an error `out` is as it was, but for
 * its checkpoints. `device` may be NULL where nothing is trained. Thread-safe, but not for two calls with one
 * `out`; `device` is closed after it. */
RP_API rp_status rp_pretrain(rp_device *device, const rp_pretrain_params *params, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
