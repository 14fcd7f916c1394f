/* The options: what --help says of each, and which commands take it. */
#ifndef REPRISE_CLI_RULES_H
#define REPRISE_CLI_RULES_H

#include "options.h"

typedef struct rp_cli_rule {
    char letter;       /* 0: no short form */
    const char *name;  /* long form */
    const char *value; /* name of the value; NULL: takes none */
    uint64_t bit;      /* 0: every command takes it */
    const char *help;
    unsigned kinds;        /* the measurements of bench that read it, as bits; 0: all */
    const char *otherwise; /* what holds where it is not given; NULL: nothing, or it depends on the command */
} rp_cli_rule;

/* One table for reading and for --help; rules are known by their place in it. Two may have one
 * name: a command takes one of them. */
enum {
    R_MODEL,
    R_DEVICE,
    R_FILE,
    R_FILES,
    R_CSV,
    R_TSV,
    R_TEXT_COLUMN,
    R_PAIR_COLUMN,
    R_KEEP,
    R_PAIR,
    R_TOP_K,
    R_AGGREGATION,
    R_MAX_LENGTH,
    R_STRIDE,
    R_MAX_QUESTION,
    R_MAX_ANSWER,
    R_NO_ANSWER,
    R_POOLING,
    R_NORMALIZE,
    R_NO_NORMALIZE,
    R_PROMPT,
    R_PROMPT_TEXT,
    R_DIMENSIONS,
    R_NO_SPECIAL,
    R_COMPILE,
    R_ONLY,
    R_CONFIG,
    R_TOKENS,
    R_BATCH,
    R_REPEAT,
    R_LENGTHS,
    R_TRACE,
    R_ROOFLINE, /* in the order of rp_cli_bench_kind */
    R_OPS,
    R_REPLAY,
    R_STARTUP,
    R_ACCURACY,
    R_BENCH_TRAIN,
    R_BATCH_SIZE,
    R_PRECISION,
    R_HEAD,
    R_VERIFY,
    R_FORMAT,
    R_DATA_FORMAT,
    R_TASK,
    R_LABEL_COLUMN,
    R_SKIP_BAD,
    R_GLUE,
    R_PREDICTIONS,
    R_CORPUS,
    R_INSTANCES,
    R_WRITE_INSTANCES,
    R_TOKENIZER,
    R_NEW_CONFIG,
    R_INIT,
    R_PRETRAIN_EPOCHS,
    R_PRETRAIN_STEPS,
    R_PRETRAIN_BATCH,
    R_MAX_PREDICTIONS,
    R_NGRAM,
    R_OPTIMIZER,
    R_PRETRAIN_RATE,
    R_PRETRAIN_WARMUP,
    R_PRETRAIN_SCHEDULE,
    R_PRETRAIN_DECAY,
    R_PRETRAIN_SEED,
    R_TRAIN,
    R_DEV,
    R_TRAIN_TASK,
    R_EPOCHS,
    R_STEPS,
    R_TRAIN_BATCH,
    R_TRAIN_OPTIMIZER,
    R_LEARNING_RATE,
    R_WARMUP,
    R_SCHEDULE,
    R_RECOMPUTE,
    R_TRAIN_PRECISION,
    R_WEIGHT_DECAY,
    R_MAX_GRAD_NORM,
    R_LABEL_SMOOTHING,
    R_TEACHER,
    R_LABEL_WEIGHT,
    R_FREEZE,
    R_LABELS,
    R_SEED,
    R_NO_SHUFFLE,
    R_EVAL_EVERY,
    R_METRIC,
    R_SAVE_EVERY,
    R_KEEP_COUNT,
    R_RESUME,
    R_LOG,
    R_PLOT,
    R_INDEX,
    R_LEAST_SCORE,
    R_ID_COLUMN,
    R_RAW,
    R_DOCUMENTS,
    R_DOCUMENT_INDEX,
    R_PASSAGES,
    R_FAQ,
    R_EXAMPLES,
    R_EMBED_MODEL,
    R_ANSWER_MODEL,
    R_SLOTS,
    R_ANSWER_THRESHOLD,
    R_FAQ_THRESHOLD,
    R_SENTENCES,
    R_NBEST,
    R_WEIGHT,
    R_TUNE,
    R_REFERENCES,
    R_OUTPUT,
    R_DTYPE,
    R_OVERWRITE,
    R_REVISION,
    R_OFFLINE,
    R_LONG,
    R_EXPLAIN,
    R_CLASSES,
    R_TEMPLATE,
    R_MULTI_LABEL,
    R_THRESHOLDS,
    R_POLICY,
    R_PLAIN_TEXT,
    R_CALIBRATE,
    R_TARGET_PRECISION,
    R_TARGET_RECALL,
    R_JSON,
    R_JSONL,
    R_HELP,
    R_VERSION,
    R_COUNT
};

extern const rp_cli_rule rp_cli_rules[R_COUNT];

/* The option of `allowed` that `word`, up to a '=', was probably meant to be; NULL: none is near. */
const char *rp_cli_rule_near(const char *word, uint64_t allowed);

/* Say that the command `name` does not take an option, and which commands do, where those are few. */
void rp_cli_rule_refuse(const rp_cli_rule *rule, const char *name);

#endif
