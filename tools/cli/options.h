/* The command line of one command: which options it takes, and what they were set to. */
#ifndef REPRISE_CLI_OPTIONS_H
#define REPRISE_CLI_OPTIONS_H

#include <reprise/reprise.h>

#include "output.h"

/* Options that a command may take, as bits. --help and --version belong to all. */
#define RP_CLI_BIT(n) (UINT64_C(1) << (n))
#define RP_CLI_MODEL RP_CLI_BIT(0)
#define RP_CLI_DEVICE RP_CLI_BIT(1)
#define RP_CLI_FILE RP_CLI_BIT(2)
#define RP_CLI_BATCH_SIZE RP_CLI_BIT(3)
#define RP_CLI_JSON RP_CLI_BIT(4)
#define RP_CLI_JSONL RP_CLI_BIT(5)
#define RP_CLI_TOP_K RP_CLI_BIT(6)
#define RP_CLI_AGGREGATION RP_CLI_BIT(7)
#define RP_CLI_STRIDE RP_CLI_BIT(8)
#define RP_CLI_MAX_LENGTH RP_CLI_BIT(9)
#define RP_CLI_MAX_QUESTION RP_CLI_BIT(10)
#define RP_CLI_MAX_ANSWER RP_CLI_BIT(11)
#define RP_CLI_NO_ANSWER RP_CLI_BIT(12)
#define RP_CLI_POOLING RP_CLI_BIT(13)
#define RP_CLI_NORMALIZE RP_CLI_BIT(14)
#define RP_CLI_NO_SPECIAL RP_CLI_BIT(15)
#define RP_CLI_PAIR RP_CLI_BIT(16)
#define RP_CLI_BENCH RP_CLI_BIT(17)
#define RP_CLI_PRECISION RP_CLI_BIT(18)
#define RP_CLI_CHECK RP_CLI_BIT(19)
#define RP_CLI_VERIFY RP_CLI_BIT(20)
#define RP_CLI_VECTORS RP_CLI_BIT(21)
#define RP_CLI_HEAD RP_CLI_BIT(22)
#define RP_CLI_PULL RP_CLI_BIT(23)
#define RP_CLI_CONVERT RP_CLI_BIT(24)
#define RP_CLI_EVAL RP_CLI_BIT(25)
#define RP_CLI_FINETUNE RP_CLI_BIT(26)
#define RP_CLI_PRETRAIN RP_CLI_BIT(27)
#define RP_CLI_CLASSIFY RP_CLI_BIT(40)
#define RP_CLI_MODERATE RP_CLI_BIT(41)
#define RP_CLI_INDEX RP_CLI_BIT(50)
#define RP_CLI_SEARCH RP_CLI_BIT(51)
#define RP_CLI_RANK RP_CLI_BIT(52)
#define RP_CLI_DOCUMENTS RP_CLI_BIT(44)
#define RP_CLI_CHAT RP_CLI_BIT(45)
#define RP_CLI_SCORE RP_CLI_BIT(54)
#define RP_CLI_SUMMARIZE RP_CLI_BIT(55)
#define RP_CLI_SERVE RP_CLI_BIT(56)

/* What commands that answer lines take, and those of them that run a model. */
#define RP_CLI_LINES (RP_CLI_MODEL | RP_CLI_FILE | RP_CLI_BATCH_SIZE | RP_CLI_JSON | RP_CLI_JSONL)
#define RP_CLI_COMMON (RP_CLI_LINES | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_VERIFY | RP_CLI_HEAD)

/* What bench measures. */
typedef enum rp_cli_bench_kind {
    RP_CLI_BENCH_RUN = 0, /* end to end */
    RP_CLI_BENCH_ROOFLINE,
    RP_CLI_BENCH_OPS,
    RP_CLI_BENCH_REPLAY,
    RP_CLI_BENCH_STARTUP,
    RP_CLI_BENCH_ACCURACY,
    RP_CLI_BENCH_TRAIN,
    RP_CLI_BENCH_SERVE,
} rp_cli_bench_kind;

/* What serve takes. A number is its default where it was not given. */
typedef struct rp_cli_serving {
    const char *const *models; /* [model_count] each -m: DIR or NAME=DIR */
    size_t model_count;
    const char *const *indexes; /* [index_count] each --index: NAME=FILE */
    size_t index_count;
    const char *host;
    uint32_t port;
    rp_policy policy;          /* of the queues */
    uint32_t max_batch_tokens; /* 0: as the model's size says */
    uint32_t max_concurrent, max_client_batch, payload_limit;
    uint32_t timeout, idle, drain; /* seconds; idle 0: never unloaded */
    bool truncate, json_log;
    const char *key, *key_file, *cors; /* NULL: not given */
} rp_cli_serving;

typedef struct rp_cli_options {
    const char *model;        /* -m, else REPRISE_MODEL, else NULL */
    const char *device;       /* -d, else REPRISE_DEVICE, else NULL */
    const char *const *files; /* [file_count] each -f; "-" and none: standard input */
    size_t file_count;
    uint32_t batch_size; /* 0: chosen by tokens */
    rp_precision precision;
    rp_head head; /* 0: as the folder says */
    bool json, jsonl, pair, help, version;
    bool csv, tsv;                         /* the input is a table */
    const char *text_column, *pair_column; /* NULL: those that are named as usual */
    bool keep;                             /* with jsonl: keys that are not read stay in the answer */
    bool each_file;                        /* --files: the TEXT arguments are files of one text each */
    uint32_t top_k;                        /* 0: the command's default */
    rp_aggregation aggregation;
    uint32_t stride, max_length, max_question_length, max_answer_length; /* tokens; 0: the default */
    bool allow_no_answer, no_special_tokens;
    rp_pooling pooling;
    rp_normalize normalize;
    const char *prompt_name, *prompt; /* NULL: not given */
    uint32_t dimensions;              /* 0: all */
    uint32_t verify_every;            /* 0: nothing is recomputed */
    bool compile;                     /* check without running anything */
    const char *only;                 /* kernels whose name contains this; NULL: all */
    const char *config;               /* of bench and check */
    bool config_given;
    uint32_t tokens, batch, repeat;
    rp_cli_bench_kind bench;
    const char *lengths; /* NULL: every sequence has `tokens` */
    const char *trace;   /* file to write; NULL: none */
    const char *output;  /* folder or file to write to; NULL: not given */
    bool npy;            /* vectors as NumPy's file `output` */
    rp_convert_dtype dtype;
    bool overwrite;
    const char *revision;                                        /* of pull; NULL: not given */
    bool offline;                                                /* likewise */
    rp_eval_task task;                                           /* of eval; the columns above are its too */
    const char *data_format, *label_column, *glue, *predictions; /* NULL: not given */
    bool skip_bad;
    const char *train, *dev, *log; /* of finetune; NULL: not given. Its numbers: 0 is the default */
    uint32_t epochs, steps, train_batch, seed;
    uint32_t eval_every, save_every, keep_count; /* the second UINT32_MAX: never */
    const char *metric, *plot;
    bool resume;
    const char *teacher; /* NULL: none */
    const char *labels;  /* NULL: those of the data */
    rp_train_freeze freeze;
    double learning_rate, warmup, weight_decay, max_grad_norm, label_smoothing, label_weight;
    rp_recompute recompute;
    rp_train_schedule schedule;
    bool no_shuffle, early_exit;
    const char *const *corpus, *const *instances; /* of pretrain: [corpus_count] each --corpus, ... */
    size_t corpus_count, instance_count;
    const char *tokenizer, *init, *write_instances; /* NULL: not given */
    uint32_t max_predictions, ngram;
    rp_optimizer optimizer;
    const char *nbest, *weight, *references; /* of score; NULL: not given */
    bool tune;
    uint32_t sentences;       /* of summarize; 0: the default */
    double coherence;         /* of summarize: how much the order head counts */
    bool unnamed;             /* with each_file: answers do not name the file */
    rp_long_texts long_texts; /* of classify */
    uint32_t patience;        /* of classify; 0: not given */
    bool explain, multi_label;
    const char *hypothesis;                 /* with `labels`: what is said of a text; NULL: not given */
    const char *thresholds, *policy;        /* files of moderate; NULL: not given */
    const char *calibrate;                  /* file that eval writes; NULL: none */
    double target_precision, target_recall; /* 0: not given */
    const char *index_file, *id_column;     /* of search, and of index; NULL: not given */
    bool has_threshold;                     /* of search */
    double least_score;
    bool raw_scores;                 /* of rank */
    const char *documents, *index;   /* of answer; NULL: not given */
    uint32_t passages;               /* likewise; 0: the default */
    double threshold, faq_threshold; /* of answer and chat */
    bool threshold_given, faq_threshold_given;
    const char *faq, *examples;                     /* of chat; NULL: not given */
    const char *embed_model, *answer_model, *slots; /* models; NULL: not given */
    const char *accuracy;                           /* file to read, with RP_CLI_BENCH_ACCURACY */
    rp_cli_serving serve;
    char **arguments; /* what was read, borrowed: the command's name and all after it; ends with NULL */
    char **texts;     /* [text_count] TEXT arguments, borrowed from argv */
    size_t text_count;
} rp_cli_options;

/* Free what options hold. Allowed after a read that failed. */
void rp_cli_options_free(rp_cli_options *options);

/* Read argv[1..] of command `name`, which takes the options of `allowed`. False after a message on standard
 * error: wrong usage. Borrows from argv and the environment. */
bool rp_cli_options_read(int argc, char **argv, const char *name, uint64_t allowed, rp_cli_options *options);

/* The word of --precision for `precision`. The default computes what f32 does, bit for bit. */
const char *rp_cli_precision_name(rp_precision precision);

/* Append the table of the options of `allowed`, those of `command`, for --help. */
void rp_cli_options_help(rp_cli_buffer *out, const char *command, uint64_t allowed);

#endif
