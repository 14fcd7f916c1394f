#include "rules.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const aggregations[] = {"simple", "none", "first", "average", "max", NULL};
static const char *const precisions[] = {"f32", "f32", "f16", "int8", "int4", NULL};
static const char *const heads[] = {"classify", "tag", "answer", "choose", NULL};
static const char *const formats[] = {"text", "json", "npy", NULL};
static const char *const tasks[] = {"classify", "multilabel", "regress", "tag",   "answer",
                                    "choose",   "order",      "mlm",     "embed", NULL};
static const char *const trained_tasks[] = {"classify", "multilabel", "regress", "tag",
                                            "answer",   "choose",     "embed",   NULL};
static const char *const recomputes[] = {"auto", "always", "never", NULL};
static const char *const frozen[] = {"embeddings", "encoder", NULL};
static const char *const schedules[] = {"linear", "constant", "polynomial", NULL};
static const char *const optimizers[] = {"adamw", "lamb", NULL};
static const char *const dtypes[] = {"f32", "f16", NULL};
static const char *const poolings[] = {"mean", "cls", "max", "none", NULL};

const char *rp_cli_precision_name(rp_precision precision) {
    return precisions[precision];
}

/* A decimal number of `least` to `most` and nothing else. */
static bool read_number(const char *name, const rp_cli_rule *r, const char *value, uint32_t least,
                        uint32_t most, uint32_t *out) {
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number < least || number > most) {
        rp_cli_complain("%s: --%s takes a number from %u to %u, not '%s'; try 'reprise %s --help'", name,
                        r->name, (unsigned)least, (unsigned)most, value, name);
        return false;
    }
    *out = (uint32_t)number;
    return true;
}

/* A decimal number of 0 to below `below` and nothing else. */
static bool read_real(const char *name, const rp_cli_rule *r, const char *value, double below, double *out) {
    char *end = NULL;
    bool plain = *value && strspn(value, "0123456789.eE+-") == strlen(value);
    *out = plain ? strtod(value, &end) : -1;
    if (plain && !*end && *out >= 0 && *out < below) return true;
    rp_cli_complain("%s: --%s takes a number from 0 to below %g, not '%s'; try 'reprise %s --help'", name,
                    r->name, below, value, name);
    return false;
}

/* The place of `value` in a NULL-ended list. */
static bool read_word(const char *name, const rp_cli_rule *r, const char *value, const char *const *words,
                      int *out) {
    rp_cli_buffer list = {0};
    for (int i = 0; words[i]; i++) {
        if (!strcmp(words[i], value)) {
            free(list.data);
            *out = i;
            return true;
        }
        rp_cli_printf(&list, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    rp_cli_complain("%s: --%s takes %s, not '%s'; try 'reprise %s --help'", name, r->name, list.data, value,
                    name);
    free(list.data);
    return false;
}

static bool read_name(const char *name, const rp_cli_rule *r, const char *value, const char **out) {
    if (!*value) {
        rp_cli_complain("%s: --%s takes a %s, and it is empty; try 'reprise %s --help'", name, r->name,
                        r->value, name);
        return false;
    }
    *out = value;
    return true;
}

/* One more of an option that may be repeated. */
static bool add_file(const char *name, const rp_cli_rule *r, const char *value, const char *const **list,
                     size_t *count) {
    const char **files = rp_cli_realloc((void *)*list, (*count + 1) * sizeof *files);
    *list = files;
    return read_name(name, r, value, &files[(*count)++]);
}

void rp_cli_options_free(rp_cli_options *options) {
    free((void *)options->files);
    free((void *)options->corpus);
    free((void *)options->instances);
    options->files = options->corpus = options->instances = NULL;
}

/* bench measures one thing at a time. */
static bool set_bench(const char *name, rp_cli_bench_kind kind, rp_cli_options *o) {
    if (o->bench && o->bench != kind) {
        rp_cli_complain("%s: give only one of --roofline, --ops, --replay, --startup, --accuracy and "
                        "--train; try 'reprise %s --help'",
                        name, name);
        return false;
    }
    o->bench = kind;
    return true;
}

/* Options of finetune and pretrain with a value. Zeros that mean something have another value where 0 is the
 * default. */
static bool set_training(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    const double most = 1e9;
    int word = 0;
    switch (which) {
    case R_TRAIN:
        return read_name(name, r, value, &o->train);
    case R_DEV:
        return read_name(name, r, value, &o->dev);
    case R_LOG:
        return read_name(name, r, value, &o->log);
    case R_PLOT:
        return read_name(name, r, value, &o->plot);
    case R_METRIC:
        return read_name(name, r, value, &o->metric);
    case R_EVAL_EVERY:
        return read_number(name, r, value, 1, 1000000000, &o->eval_every);
    case R_KEEP_COUNT:
        return read_number(name, r, value, 1, 1000000, &o->keep_count);
    case R_SAVE_EVERY:
        if (!read_number(name, r, value, 0, 1000000000, &o->save_every)) return false;
        if (!o->save_every) o->save_every = UINT32_MAX;
        return true;
    case R_TRAIN_TASK:
        if (!read_word(name, r, value, trained_tasks, &word)) return false;
        o->task = word < 6 ? (rp_eval_task)(RP_EVAL_CLASSIFY + word) : RP_EVAL_EMBED;
        return true;
    case R_CORPUS:
        return add_file(name, r, value, &o->corpus, &o->corpus_count);
    case R_INSTANCES:
        return add_file(name, r, value, &o->instances, &o->instance_count);
    case R_WRITE_INSTANCES:
        return read_name(name, r, value, &o->write_instances);
    case R_TOKENIZER:
        return read_name(name, r, value, &o->tokenizer);
    case R_INIT:
        return read_name(name, r, value, &o->init);
    case R_NEW_CONFIG:
        return read_name(name, r, value, &o->config);
    case R_MAX_PREDICTIONS:
        return read_number(name, r, value, 1, 65536, &o->max_predictions);
    case R_NGRAM:
        return read_number(name, r, value, 1, 64, &o->ngram);
    case R_OPTIMIZER:
    case R_TRAIN_OPTIMIZER:
        if (!read_word(name, r, value, optimizers, &word)) return false;
        o->optimizer = (rp_optimizer)(RP_OPTIMIZER_ADAMW + word);
        return true;
    case R_PRETRAIN_WARMUP:
        if (!read_real(name, r, value, most, &o->warmup)) return false;
        if (!(o->warmup > 0)) o->warmup = -1;
        return true;
    case R_PRETRAIN_DECAY:
        if (!read_real(name, r, value, most, &o->weight_decay)) return false;
        if (!(o->weight_decay > 0)) o->weight_decay = -1;
        return true;
    case R_PRETRAIN_EPOCHS:
    case R_EPOCHS:
        return read_number(name, r, value, 1, 1000000, &o->epochs);
    case R_PRETRAIN_STEPS:
    case R_STEPS:
        return read_number(name, r, value, 1, 1000000000, &o->steps);
    case R_PRETRAIN_BATCH:
    case R_TRAIN_BATCH:
        return read_number(name, r, value, 1, 65536, &o->train_batch);
    case R_FREEZE:
        if (!read_word(name, r, value, frozen, &word)) return false;
        o->freeze = (rp_train_freeze)(RP_FREEZE_EMBEDDINGS + word);
        return true;
    case R_LABELS:
        return read_name(name, r, value, &o->labels);
    case R_PRETRAIN_SEED:
    case R_SEED:
        return read_number(name, r, value, 1, 1000000000, &o->seed);
    case R_PRETRAIN_RATE:
    case R_LEARNING_RATE:
        if (!read_real(name, r, value, most, &o->learning_rate)) return false;
        if (o->learning_rate > 0) return true;
        rp_cli_complain("%s: --lr is 0, with which nothing is learnt; try 'reprise %s --help'", name, name);
        return false;
    case R_WARMUP:
        return read_real(name, r, value, most, &o->warmup);
    case R_WEIGHT_DECAY:
        return read_real(name, r, value, most, &o->weight_decay);
    case R_MAX_GRAD_NORM:
        if (!read_real(name, r, value, most, &o->max_grad_norm)) return false;
        if (!(o->max_grad_norm > 0)) o->max_grad_norm = -1;
        return true;
    case R_TEACHER:
        return read_name(name, r, value, &o->teacher);
    case R_LABEL_WEIGHT:
        if (!read_real(name, r, value, most, &o->label_weight)) return false;
        if (!(o->label_weight > 0)) o->label_weight = -1;
        return true;
    case R_LABEL_SMOOTHING:
        return read_real(name, r, value, 1, &o->label_smoothing);
    case R_RECOMPUTE:
        if (!read_word(name, r, value, recomputes, &word)) return false;
        o->recompute = (rp_recompute)word;
        return true;
    case R_PRETRAIN_SCHEDULE:
    case R_SCHEDULE:
        if (!read_word(name, r, value, schedules, &word)) return false;
        o->schedule = (rp_train_schedule)(RP_SCHEDULE_LINEAR + word);
        return true;
    default:
        return false;
    }
}

/* Options with a value. */
static bool set_value(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    const uint32_t tokens = 1u << 20;
    int word = 0;
    switch (which) {
    case R_MODEL:
        return read_name(name, r, value, &o->model);
    case R_DEVICE:
        return read_name(name, r, value, &o->device);
    case R_FILE:
        return add_file(name, r, value, &o->files, &o->file_count);
    case R_TEXT_COLUMN:
        return read_name(name, r, value, &o->text_column);
    case R_PAIR_COLUMN:
        return read_name(name, r, value, &o->pair_column);
    case R_OUTPUT:
        return read_name(name, r, value, &o->output);
    case R_FORMAT:
        if (!read_word(name, r, value, formats, &word)) return false;
        o->json = o->json || word == 1;
        o->npy = word == 2;
        return true;
    case R_DATA_FORMAT:
        return read_name(name, r, value, &o->data_format);
    case R_TASK:
        if (!read_word(name, r, value, tasks, &word)) return false;
        o->task = (rp_eval_task)(RP_EVAL_CLASSIFY + word);
        return true;
    case R_LABEL_COLUMN:
        return read_name(name, r, value, &o->label_column);
    case R_GLUE:
        return read_name(name, r, value, &o->glue);
    case R_PREDICTIONS:
        return read_name(name, r, value, &o->predictions);
    case R_DTYPE:
        if (!read_word(name, r, value, dtypes, &word)) return false;
        o->dtype = (rp_convert_dtype)(RP_CONVERT_F32 + word);
        return true;
    case R_REVISION:
        return read_name(name, r, value, &o->revision);
    case R_ONLY:
        return read_name(name, r, value, &o->only);
    case R_VERIFY:
        return read_number(name, r, value, 1, 1000000000, &o->verify_every);
    case R_CONFIG:
        return read_name(name, r, value, &o->config);
    case R_LENGTHS:
        return read_name(name, r, value, &o->lengths);
    case R_TRACE:
        return read_name(name, r, value, &o->trace);
    case R_ACCURACY:
        return set_bench(name, RP_CLI_BENCH_ACCURACY, o) && read_name(name, r, value, &o->accuracy);
    case R_BATCH_SIZE:
        return read_number(name, r, value, 1, 4096, &o->batch_size);
    case R_TOP_K:
        return read_number(name, r, value, 1, 1000000, &o->top_k);
    case R_STRIDE:
        return read_number(name, r, value, 1, tokens, &o->stride);
    case R_MAX_LENGTH:
        return read_number(name, r, value, 1, tokens, &o->max_length);
    case R_MAX_QUESTION:
        return read_number(name, r, value, 1, tokens, &o->max_question_length);
    case R_MAX_ANSWER:
        return read_number(name, r, value, 1, tokens, &o->max_answer_length);
    case R_TOKENS:
        return read_number(name, r, value, 1, tokens, &o->tokens);
    case R_BATCH:
        return read_number(name, r, value, 1, 65536, &o->batch);
    case R_REPEAT:
        return read_number(name, r, value, 1, 1000000, &o->repeat);
    case R_AGGREGATION:
        if (!read_word(name, r, value, aggregations, &word)) return false;
        o->aggregation = (rp_aggregation)word;
        return true;
    case R_PRECISION:
        if (!read_word(name, r, value, precisions + 1, &word)) return false;
        o->precision = (rp_precision)(RP_PRECISION_F32 + word);
        return true;
    case R_PROMPT:
        return read_name(name, r, value, &o->prompt_name);
    case R_PROMPT_TEXT:
        o->prompt = value;
        return true;
    case R_DIMENSIONS:
        return read_number(name, r, value, 1, 1u << 20, &o->dimensions);
    case R_HEAD:
        if (!read_word(name, r, value, heads, &word)) return false;
        o->head = (rp_head)(RP_HEAD_CLASSIFIER << word);
        return true;
    case R_POOLING:
        if (!read_word(name, r, value, poolings, &word)) return false;
        o->pooling = (rp_pooling)(word + 1);
        return true;
    default:
        return set_training(name, which, value, o);
    }
}

/* Options without one. */
static bool set_flag(const char *name, int which, rp_cli_options *o) {
    switch (which) {
    case R_ROOFLINE:
        return set_bench(name, RP_CLI_BENCH_ROOFLINE, o);
    case R_OPS:
        return set_bench(name, RP_CLI_BENCH_OPS, o);
    case R_REPLAY:
        return set_bench(name, RP_CLI_BENCH_REPLAY, o);
    case R_STARTUP:
        return set_bench(name, RP_CLI_BENCH_STARTUP, o);
    case R_BENCH_TRAIN:
        return set_bench(name, RP_CLI_BENCH_TRAIN, o);
    case R_OVERWRITE:
        o->overwrite = true;
        break;
    case R_NO_SHUFFLE:
        o->no_shuffle = true;
        break;
    case R_RESUME:
        o->resume = true;
        break;
    case R_SKIP_BAD:
        o->skip_bad = true;
        break;
    case R_OFFLINE:
        o->offline = true;
        break;
    case R_COMPILE:
        o->compile = true;
        break;
    case R_PAIR:
        o->pair = true;
        break;
    case R_NO_ANSWER:
        o->allow_no_answer = true;
        break;
    case R_NORMALIZE:
        o->normalize = RP_NORMALIZE_YES;
        break;
    case R_NO_NORMALIZE:
        o->normalize = RP_NORMALIZE_NO;
        break;
    case R_NO_SPECIAL:
        o->no_special_tokens = true;
        break;
    case R_JSON:
        o->json = true;
        break;
    case R_KEEP:
        o->keep = true; /* fallthrough */
    case R_JSONL:
        o->json = o->jsonl = true;
        break;
    case R_FILES:
        o->each_file = o->json = true;
        break;
    case R_CSV:
        o->csv = true;
        break;
    case R_TSV:
        o->tsv = true;
        break;
    case R_HELP:
        o->help = true;
        break;
    case R_VERSION:
        o->version = true;
        break;
    default:
        break;
    }
    return true;
}

/* The rule of that name which the command takes, where there are several; else the first. */
static int rule_for(int which, unsigned allowed) {
    int first = -1;
    for (int i = 0; i < R_COUNT; i++) {
        if (strcmp(rp_cli_rules[i].name, rp_cli_rules[which].name)) continue;
        if (rp_cli_rules[i].bit & allowed) return i;
        if (first < 0) first = i;
    }
    return first;
}

/* The tables that getopt_long reads: long options return 256 + their rule. Each name stands there once, or
 * its abbreviations would be ambiguous. */
static void make_tables(unsigned allowed, struct option *table, char *letters) {
    *letters++ = ':';
    for (int i = 0; i < R_COUNT; i++) {
        const rp_cli_rule *r = &rp_cli_rules[i];
        if (rule_for(i, allowed) != i) continue;
        *table++ = (struct option){r->name, r->value ? required_argument : no_argument, NULL, 256 + i};
        if (!r->letter) continue;
        *letters++ = r->letter;
        if (r->value) *letters++ = ':';
    }
    *table = (struct option){0};
    *letters = '\0';
}

static int rule_of(int got) {
    if (got >= 256) return got - 256;
    for (int i = 0; i < R_COUNT; i++)
        if (rp_cli_rules[i].letter == got) return i;
    return -1;
}

/* Options that are spelled otherwise, as "--topk", or have one '-' where two are meant. */
static void complain_of_unknown(char **argv, const char *name, unsigned allowed) {
    const char *here = argv[optind] ? argv[optind] : "", *word = argv[optind - 1];
    bool single = optopt && here[0] == '-' && here[1] && here[1] != '-' && strchr(here, optopt);
    if (single) word = here;
    const char *meant =
        !optopt || strlen(word) > 2 ? rp_cli_rule_near(word + strspn(word, "-"), allowed) : NULL;
    if (meant)
        rp_cli_complain("%s: unknown option %s; did you mean --%s? try 'reprise %s --help'", name, word,
                        meant, name);
    else if (optopt)
        rp_cli_complain("%s: unknown option -%c; try 'reprise %s --help'", name, optopt, name);
    else
        rp_cli_complain("%s: unknown option %s; try 'reprise %s --help'", name, word, name);
}

static void complain_of_option(int got, char **argv, const char *name, unsigned allowed) {
    int which = optopt ? rule_of(optopt) : -1;
    if (got == ':' && which >= 0)
        rp_cli_complain("%s: --%s needs a value, %s; try 'reprise %s --help'", name, rp_cli_rules[which].name,
                        rp_cli_rules[which].value, name);
    else if (which >= 0)
        rp_cli_complain("%s: --%s takes no value; try 'reprise %s --help'", name, rp_cli_rules[which].name,
                        name);
    else
        complain_of_unknown(argv, name, allowed);
}

static const char *environment(const char *variable) {
    const char *value = getenv(variable);
    return value && *value ? value : NULL;
}

/* bench refuses what it would not read. */
static bool check_bench(const char *name, const bool given[R_COUNT], const rp_cli_options *o) {
    for (int i = 0; i < R_COUNT; i++) {
        if (!given[i] || !rp_cli_rules[i].kinds || rp_cli_rules[i].kinds & 1u << o->bench) continue;
        rp_cli_complain("%s: --%s does not use --%s; leave it out; try 'reprise %s --help'", name,
                        rp_cli_rules[R_ROOFLINE + o->bench - RP_CLI_BENCH_ROOFLINE].name,
                        rp_cli_rules[i].name, name);
        return false;
    }
    if (given[R_MODEL] && given[R_CONFIG]) {
        rp_cli_complain("%s: give either --model or --config, not both; try 'reprise %s --help'", name, name);
        return false;
    }
    if (given[R_HEAD] && given[R_CONFIG]) {
        rp_cli_complain("%s: --head is for the weights of --model, not for --config; try 'reprise %s --help'",
                        name, name);
        return false;
    }
    bool file = o->lengths && strcmp(o->lengths, "sst2") && strcmp(o->lengths, "uniform");
    if (file && (given[R_TOKENS] || given[R_BATCH])) {
        rp_cli_complain("%s: the file of --lengths already says what --batch and --tokens say; leave them "
                        "out; try 'reprise %s --help'",
                        name, name);
        return false;
    }
    return true;
}

/* A file of vectors holds nothing else, and as many in each row. */
static bool check_format(const char *name, const bool given[R_COUNT], const rp_cli_options *o) {
    const char *wrong = NULL;
    if (o->npy && !o->output)
        wrong = "--format npy needs the name of the file: --output FILE";
    else if (!o->npy && o->output)
        wrong = "--output is the file of --format npy; give both, or send standard output to a file";
    else if (o->npy && o->pooling == RP_POOLING_NONE)
        wrong = "--format npy has one row an input, and --pooling none gives one a token; choose a pooling";
    else if (o->npy && (given[R_JSON] || given[R_KEEP]))
        wrong = "--format npy holds numbers alone; leave out --json and --keep";
    if (wrong) rp_cli_complain("%s: %s; try 'reprise %s --help'", name, wrong, name);
    return !wrong;
}

bool rp_cli_options_read(int argc, char **argv, const char *name, unsigned allowed, rp_cli_options *options) {
    struct option table[R_COUNT + 1];
    char letters[2 * R_COUNT + 2];
    bool given[R_COUNT] = {false};
    make_tables(allowed, table, letters);
    *options = (rp_cli_options){.config = "base", .tokens = 128, .batch = 1, .repeat = 10};
    opterr = 0;
    optind = 1;
    for (int got; (got = getopt_long(argc, argv, letters, table, NULL)) != -1;) {
        int which = got == ':' || got == '?' ? -1 : rule_for(rule_of(got), allowed);
        if (which < 0) {
            complain_of_option(got, argv, name, allowed);
            return false;
        }
        if (rp_cli_rules[which].bit && !(rp_cli_rules[which].bit & allowed)) {
            rp_cli_rule_refuse(&rp_cli_rules[which], name);
            return false;
        }
        if (!(rp_cli_rules[which].value ? set_value(name, which, optarg, options)
                                        : set_flag(name, which, options)))
            return false;
        given[which] = true;
    }
    if (allowed & RP_CLI_VECTORS && !check_format(name, given, options)) return false;
    if (allowed & RP_CLI_BENCH && !check_bench(name, given, options)) return false;
    options->arguments = argv;
    options->texts = argv + optind;
    options->text_count = (size_t)(argc - optind);
    options->config_given = given[R_CONFIG] || given[R_NEW_CONFIG];
    if (!options->model && !options->config_given) options->model = environment("REPRISE_MODEL");
    if (!options->device) options->device = environment("REPRISE_DEVICE");
    return true;
}
