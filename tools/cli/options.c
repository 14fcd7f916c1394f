#include "values.h"

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
static const char *const dtypes[] = {"f32", "f16", NULL};
static const char *const poolings[] = {"mean", "cls", "max", "none", NULL};

const char *rp_cli_precision_name(rp_precision precision) {
    return precisions[precision];
}

void rp_cli_options_free(rp_cli_options *options) {
    free((void *)options->files);
    free((void *)options->corpus);
    free((void *)options->instances);
    free((void *)options->serve.models);
    free((void *)options->serve.indexes);
    options->files = options->corpus = options->instances = NULL;
    options->serve.models = options->serve.indexes = NULL;
}

/* bench measures one thing at a time. */
static bool set_bench(const char *name, rp_cli_bench_kind kind, rp_cli_options *o) {
    if (o->bench && o->bench != kind) {
        rp_cli_complain("%s: give only one of --roofline, --ops, --replay, --startup, --accuracy, "
                        "--train and --serve; try 'reprise %s --help'",
                        name, name);
        return false;
    }
    o->bench = kind;
    return true;
}

/* Options with a value. */
static bool set_value(const char *name, int which, const char *value, rp_cli_options *o) {
    const rp_cli_rule *r = &rp_cli_rules[which];
    const uint32_t tokens = 1u << 20;
    int word = 0;
    switch (which) {
    case R_MODEL:
        return rp_cli_read_name(name, r, value, &o->model);
    case R_DEVICE:
        return rp_cli_read_name(name, r, value, &o->device);
    case R_FILE:
        return rp_cli_read_more(name, r, value, &o->files, &o->file_count);
    case R_TEXT_COLUMN:
        return rp_cli_read_name(name, r, value, &o->text_column);
    case R_PAIR_COLUMN:
        return rp_cli_read_name(name, r, value, &o->pair_column);
    case R_OUTPUT:
        return rp_cli_read_name(name, r, value, &o->output);
    case R_FORMAT:
        if (!rp_cli_read_word(name, r, value, formats, &word)) return false;
        o->json = o->json || word == 1;
        o->npy = word == 2;
        return true;
    case R_DATA_FORMAT:
        return rp_cli_read_name(name, r, value, &o->data_format);
    case R_TASK:
        if (!rp_cli_read_word(name, r, value, tasks, &word)) return false;
        o->task = (rp_eval_task)(RP_EVAL_CLASSIFY + word);
        return true;
    case R_LABEL_COLUMN:
        return rp_cli_read_name(name, r, value, &o->label_column);
    case R_GLUE:
        return rp_cli_read_name(name, r, value, &o->glue);
    case R_PREDICTIONS:
        return rp_cli_read_name(name, r, value, &o->predictions);
    case R_DTYPE:
        if (!rp_cli_read_word(name, r, value, dtypes, &word)) return false;
        o->dtype = (rp_convert_dtype)(RP_CONVERT_F32 + word);
        return true;
    case R_REVISION:
        return rp_cli_read_name(name, r, value, &o->revision);
    case R_ONLY:
        return rp_cli_read_name(name, r, value, &o->only);
    case R_VERIFY:
        return rp_cli_read_number(name, r, value, 1, 1000000000, &o->verify_every);
    case R_CONFIG:
        return rp_cli_read_name(name, r, value, &o->config);
    case R_LENGTHS:
        return rp_cli_read_name(name, r, value, &o->lengths);
    case R_TRACE:
        return rp_cli_read_name(name, r, value, &o->trace);
    case R_ACCURACY:
        return set_bench(name, RP_CLI_BENCH_ACCURACY, o) && rp_cli_read_name(name, r, value, &o->accuracy);
    case R_BATCH_SIZE:
        return rp_cli_read_number(name, r, value, 1, 4096, &o->batch_size);
    case R_TOP_K:
        return rp_cli_read_number(name, r, value, 1, strcmp(name, "search") ? 1000000 : RP_SEARCH_TOP_MAX,
                                  &o->top_k);
    case R_PATIENCE:
        return rp_cli_read_number(name, r, value, 1, 1000, &o->patience);
    case R_STRIDE:
        return rp_cli_read_number(name, r, value, 1, tokens, &o->stride);
    case R_MAX_LENGTH:
        return rp_cli_read_number(name, r, value, 1, tokens, &o->max_length);
    case R_MAX_QUESTION:
        return rp_cli_read_number(name, r, value, 1, tokens, &o->max_question_length);
    case R_MAX_ANSWER:
        return rp_cli_read_number(name, r, value, 1, tokens, &o->max_answer_length);
    case R_TOKENS:
        return rp_cli_read_number(name, r, value, 1, tokens, &o->tokens);
    case R_BATCH:
        return rp_cli_read_number(name, r, value, 1, 65536, &o->batch);
    case R_REPEAT:
        return rp_cli_read_number(name, r, value, 1, 1000000, &o->repeat);
    case R_AGGREGATION:
        if (!rp_cli_read_word(name, r, value, aggregations, &word)) return false;
        o->aggregation = (rp_aggregation)word;
        return true;
    case R_PRECISION:
        if (!rp_cli_read_word(name, r, value, precisions + 1, &word)) return false;
        o->precision = (rp_precision)(RP_PRECISION_F32 + word);
        return true;
    case R_PROMPT:
        return rp_cli_read_name(name, r, value, &o->prompt_name);
    case R_PROMPT_TEXT:
        o->prompt = value;
        return true;
    case R_DIMENSIONS:
        return rp_cli_read_number(name, r, value, 1, 1u << 20, &o->dimensions);
    case R_HEAD:
        if (!rp_cli_read_word(name, r, value, heads, &word)) return false;
        o->head = (rp_head)(RP_HEAD_CLASSIFIER << word);
        return true;
    case R_POOLING:
        if (!rp_cli_read_word(name, r, value, poolings, &word)) return false;
        o->pooling = (rp_pooling)(word + 1);
        return true;
    default:
        return rp_cli_set_training(name, which, value, o);
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
    case R_BENCH_SERVE:
        return set_bench(name, RP_CLI_BENCH_SERVE, o);
    case R_EXPLAIN:
        o->explain = true;
        break;
    case R_MULTI_LABEL:
        o->multi_label = true;
        break;
    case R_PLAIN_TEXT:
        o->normalize = RP_NORMALIZE_YES;
        break;
    case R_OVERWRITE:
        o->overwrite = true;
        break;
    case R_NO_SHUFFLE:
        o->no_shuffle = true;
        break;
    case R_EARLY_EXIT:
        o->early_exit = true;
        break;
    case R_RESUME:
        o->resume = true;
        break;
    case R_RAW:
        o->raw_scores = true;
        break;
    case R_SKIP_BAD:
        o->skip_bad = true;
        break;
    case R_TUNE:
        o->tune = true;
        break;
    case R_OFFLINE:
        o->offline = true;
        break;
    case R_JSON_OUTPUT:
        o->serve.json_log = true;
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
static int rule_for(int which, uint64_t allowed) {
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
static void make_tables(uint64_t allowed, struct option *table, char *letters) {
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
static void complain_of_unknown(char **argv, const char *name, uint64_t allowed) {
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

static void complain_of_option(int got, char **argv, const char *name, uint64_t allowed) {
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

bool rp_cli_options_read(int argc, char **argv, const char *name, uint64_t allowed, rp_cli_options *options) {
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
    if (!rp_cli_check_application(name, given, allowed, options)) return false;
    if (allowed & RP_CLI_SERVE && !rp_cli_complete_serving(name, given, options)) return false;
    options->arguments = argv;
    options->texts = argv + optind;
    options->text_count = (size_t)(argc - optind);
    options->config_given = given[R_CONFIG] || given[R_NEW_CONFIG];
    if (!options->model && !options->config_given) options->model = environment("REPRISE_MODEL");
    if (!options->device) options->device = environment("REPRISE_DEVICE");
    return true;
}
