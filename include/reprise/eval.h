/* How right a model is: its answers to the rows of a file of labelled data, and the metrics of them.
 *
 * Metrics have the names and values of the implementations that published results are made with: accuracy, f1
 * and matthews_correlation of scikit-learn, pearson and spearmanr of SciPy, precision, recall and f1 of
 * entities of seqeval 1.2.2 (its default mode), exact and f1 of SQuAD of transformers' squad_metrics. */
#ifndef REPRISE_EVAL_H
#define REPRISE_EVAL_H

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_eval_task {
    RP_EVAL_BY_MODEL = 0, /* what the model's head is for */
    RP_EVAL_CLASSIFY,     /* one label a text or pair: loss, accuracy, matthews_correlation; f1 of label 1
                             where the model has two, else f1_macro */
    RP_EVAL_MULTILABEL,   /* any number of labels, those whose logit is above 0: accuracy (all of a row are
                             right), f1_micro, f1_macro */
    RP_EVAL_REGRESS,      /* a number: mse, pearson, spearmanr */
    RP_EVAL_TAG,          /* a tag for each token, by its first piece: precision, recall, f1 of entities, and
                             accuracy of tags */
    RP_EVAL_ANSWER,       /* a part of a context: exact_match and f1 (percent). Where some questions have no
                             answer: exact, f1, HasAns_exact, HasAns_f1, NoAns_exact, NoAns_f1, and with the best
                             threshold for the score of no answer best_exact, best_exact_thresh, best_f1,
                             best_f1_thresh */
    RP_EVAL_CHOOSE,       /* one of several choices: loss, accuracy */
    RP_EVAL_ORDER,        /* are two texts in order? Labels are in_order and swapped, or 0 and 1: accuracy */
    RP_EVAL_MLM,          /* prepared instances of pre-training, JSON lines of input_ids, token_type_ids,
                             masked_positions, masked_ids and order (reprise(1)): mlm_loss, mlm_accuracy, perplexity
                             (e to the power of mlm_loss); and where the model has that head and a line says the order,
                             sop_loss, sop_accuracy */
    RP_EVAL_EMBED, /* how near to each other two texts are, a number: pearson and spearmanr of it and the
                      cosine of their vectors (rp_embed) */
} rp_eval_task;

typedef struct rp_eval_params {
    rp_eval_task task;
    bool skip_bad;       /* rows that cannot be used are left out and counted; else they are an error */
    uint32_t max_tokens; /* longest sequence; 0: what the model takes; for answers 384 */
    uint32_t stride;     /* as in rp_tag_params and rp_answer_params; 0: their default */
    uint32_t max_answer_tokens; /* longest answer; 0: 30 */
    const char *format; /* "tsv", "csv", "cola", "jsonl", "conll" or "squad"; NULL: as the file's name says */
    const char *text_column, *pair_column, *label_column; /* columns of a table or keys of JSON lines; NULL:
                                                             GLUE's names (reprise(1) lists them) */
    const char *glue; /* "cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte" or "wnli": only the
                         metrics that GLUE has for it and, of several, their mean combined_score; NULL: all */
    const char *predictions; /* file that gets a JSON object a row, in the order of the file (reprise(1)
                                shows them). It appears once it is whole, in place of one of that name; what
                                is a link or no regular file is written to as it is. NULL: none */
    const rp_call *call;     /* NULL: none. Its inputs are the rows */
    const char *calibrate;   /* file that gets a threshold for each label, as rp_moderation_open reads it
                                (moderate.h), and one for the intent of a text, as rp_chat_open reads it
                                (chat.h),   written as `predictions` is. For classify, where the first label means
                                that nothing   is wrong and gets none, and multilabel. Scores are those of
                                rp_moderate, which reads   a long text in windows, whatever max_tokens is. It
                                takes 5 bytes of memory a row and   label. NULL: none */
    double target_precision; /* with calibrate one of these two, above 0 and up to 1: of the rows from the
                                threshold on this share has the label, and as many as possible are from there
                                on; where no threshold reaches it, that of the best precision is taken */
    double target_recall;    /* of the rows that have the label this share is from the threshold on, and as
                                few others as possible */
    uint64_t reserved[8];    /* zero; see reprise.h */
} rp_eval_params;

typedef struct rp_metric {
    const char *name;
    double value; /* NaN where it is not defined, as the correlation with a constant */
} rp_metric;

/* What came of it. Owned by the caller. Read-only: several threads may read it, none while one frees it. */
typedef struct rp_evaluation rp_evaluation;

/* Answer every row of `file` and compare with its label. The rows are read a batch at a time: memory does not
 * grow with the file, but for 8 bytes a row, 16 more for regression and 40 for questions. Labels are matched
 * with the model's by name or, where some have none of these names, by number.
 *
 * `params` may be NULL. On success `*out` is owned by the caller; on failure it is NULL. RP_ERROR_FORMAT
 * names the file, the line and what is wrong there; RP_ERROR_HEAD: the model has no head for the task;
 * RP_ERROR_FILE: a file cannot be read or written; else what the tasks of tasks.h return. Thread-safe, as
 * these. */
RP_API rp_status rp_eval(rp_model *model, const char *file, const rp_eval_params *params, rp_evaluation **out,
                         rp_error *err);

/* Free it and set `*evaluation` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_evaluation_free(rp_evaluation **evaluation);

/* The metrics, in the order in which rp_eval_task lists them; `*count` gets their number. Valid until it is
 * freed. */
RP_API const rp_metric *rp_evaluation_metrics(const rp_evaluation *evaluation, size_t *count);

/* RP_EVAL_TAG: of the entities of one type, what the report of seqeval says. */
typedef struct rp_entity_metrics {
    const char *type; /* such as "PER" */
    double precision, recall, f1;
    uint64_t support;     /* entities of this type that there are */
    uint64_t reserved[4]; /* zero */
} rp_entity_metrics;

/* Those of every type that occurs, sorted by its bytes; `*count` gets their number, 0 for other tasks. Valid
 * until the evaluation is freed. */
RP_API const rp_entity_metrics *rp_evaluation_entities(const rp_evaluation *evaluation, size_t *count);

/* With rp_eval_params.calibrate: what was chosen for a label. */
typedef struct rp_threshold {
    const char *label; /* of the model's info: valid until the model is closed */
    double
        threshold; /* halfway between two scores that occur; without support 0.5, as if there were no file */
    double precision,
        recall; /* of the rows from the threshold on; of those that have the label. NaN without support */
    uint64_t support;     /* rows that have the label */
    bool reached;         /* the target was */
    uint64_t reserved[4]; /* zero */
} rp_threshold;

/* Those of every label that got one, in the order of the model's; `*count` gets their number. Valid until the
 * evaluation is freed. */
RP_API const rp_threshold *rp_evaluation_thresholds(const rp_evaluation *evaluation, size_t *count);

/* The threshold of chat, by the score that it gives intents (rp_reply): `support` are the rows whose intent
 * is right, whatever their score, `precision` says how many of the rows that are not refused are right, and
 * `recall` how many of the right ones are not refused; `label` is "". NULL where there is none: nothing was
 * calibrated, or no row is right. Valid until the evaluation is freed. */
RP_API const rp_threshold *rp_evaluation_intent(const rp_evaluation *evaluation);

/* The task that was chosen. */
RP_API rp_eval_task rp_evaluation_task(const rp_evaluation *evaluation);

/* Rows that count, and in `*skipped` (may be NULL) those that were left out. */
RP_API uint64_t rp_evaluation_rows(const rp_evaluation *evaluation, uint64_t *skipped);

#ifdef __cplusplus
}
#endif
#endif
