#include "options.h"
#include "nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct rule {
    char letter;       /* 0: no short form */
    const char *name;  /* long form */
    const char *value; /* name of the value; NULL: takes none */
    unsigned bit;      /* 0: every command takes it */
    const char *help;
    unsigned kinds;        /* the measurements of bench that read it, as bits; 0: all */
    const char *otherwise; /* what holds where it is not given; NULL: nothing, or it depends on the command */
} rule;

/* One table for reading and for --help; rules are known by their place in it. */
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
    R_BATCH_SIZE,
    R_PRECISION,
    R_HEAD,
    R_VERIFY,
    R_FORMAT,
    R_OUTPUT,
    R_DTYPE,
    R_OVERWRITE,
    R_REVISION,
    R_OFFLINE,
    R_JSON,
    R_JSONL,
    R_HELP,
    R_VERSION,
    R_COUNT
};

enum {
    RUN = 1 << RP_CLI_BENCH_RUN,
    OPS = 1 << RP_CLI_BENCH_OPS,
    REPLAY = 1 << RP_CLI_BENCH_REPLAY,
    STARTUP = 1 << RP_CLI_BENCH_STARTUP,
    ACCURACY = 1 << RP_CLI_BENCH_ACCURACY,
};

static const rule rules[R_COUNT] = {
    [R_MODEL] = {'m', "model", "DIR", RP_CLI_MODEL, "Hugging Face folder or name of a model",
                 RUN | STARTUP | ACCURACY, .otherwise = "REPRISE_MODEL, else a bundled one"},
    [R_DEVICE] = {'d', "device", "NAME", RP_CLI_DEVICE, "number or part of a name in 'reprise devices'",
                  .otherwise = "REPRISE_DEVICE, else the fastest kind"},
    [R_FILE] = {'f', "file", "FILE", RP_CLI_FILE,
                "read lines from FILE; - is standard input; may be repeated", .otherwise = "standard input"},
    [R_FILES] = {0, "files", NULL, RP_CLI_FILE, "each TEXT is a file that holds one text; implies --json"},
    [R_CSV] = {0, "csv", NULL, RP_CLI_FILE, "rows of a table in; the same rows with the answers out"},
    [R_TSV] = {0, "tsv", NULL, RP_CLI_FILE, "the same with tabs, and quotes that are characters"},
    [R_TEXT_COLUMN] = {0, "text-column", "NAME", RP_CLI_FILE, "column of the text",
                       .otherwise = "text, sentence, ..."},
    [R_PAIR_COLUMN] = {0, "pair-column", "NAME", RP_CLI_FILE, "column of the second text",
                       .otherwise = "text_pair, ..."},
    [R_KEEP] = {0, "keep", NULL, RP_CLI_JSONL, "keep other keys, such as id, in the answer; implies --jsonl"},
    [R_PAIR] = {0, "pair", NULL, RP_CLI_PAIR, "inputs are pairs: two arguments, or a tab inside a line"},
    [R_TOP_K] = {'k', "top-k", "N", RP_CLI_TOP_K, "how many to give, best first"},
    [R_AGGREGATION] = {0, "aggregation", "HOW", RP_CLI_AGGREGATION, "none, simple, first, average or max",
                       .otherwise = "simple"},
    [R_MAX_LENGTH] = {0, "max-length", "N", RP_CLI_MAX_LENGTH, "longest sequence, tokens"},
    [R_STRIDE] = {0, "stride", "N", RP_CLI_STRIDE, "tokens that neighbouring windows of a long text share"},
    [R_MAX_QUESTION] = {0, "max-question-length", "N", RP_CLI_MAX_QUESTION,
                        "longer questions are cut, tokens", .otherwise = "64"},
    [R_MAX_ANSWER] = {0, "max-answer-length", "N", RP_CLI_MAX_ANSWER, "longest answer, tokens",
                      .otherwise = "15"},
    [R_NO_ANSWER] = {0, "allow-no-answer", NULL, RP_CLI_NO_ANSWER, "an empty answer may win"},
    [R_POOLING] = {0, "pooling", "HOW", RP_CLI_POOLING, "mean, cls, max or none",
                   .otherwise = "what the folder says, else mean"},
    [R_NORMALIZE] = {0, "normalize", NULL, RP_CLI_NORMALIZE, "scale vectors to length 1",
                     .otherwise = "what the folder says, else no"},
    [R_NO_NORMALIZE] = {0, "no-normalize", NULL, RP_CLI_NORMALIZE, "don't, whatever the folder says"},
    [R_PROMPT] = {0, "prompt", "NAME", RP_CLI_VECTORS, "put this prompt of the folder before every text",
                  .otherwise = "the folder's default prompt, else none"},
    [R_PROMPT_TEXT] = {0, "prompt-text", "TEXT", RP_CLI_VECTORS, "put TEXT before every text; '' for none"},
    [R_DIMENSIONS] = {0, "dimensions", "N", RP_CLI_VECTORS, "keep the first N columns of each vector",
                      .otherwise = "all"},
    [R_NO_SPECIAL] = {0, "no-special-tokens", NULL, RP_CLI_NO_SPECIAL, "leave out [CLS] and [SEP]"},
    [R_COMPILE] = {0, "compile", NULL, RP_CLI_CHECK, "compile every kernel and run none: registers, spills"},
    [R_ONLY] = {0, "only", "NAME", RP_CLI_CHECK, "kernels whose name contains NAME", .otherwise = "all"},
    [R_CONFIG] = {0, "config", "NAME", RP_CLI_BENCH | RP_CLI_CHECK,
                  "base, large, xlarge, xxlarge, or a folder with a config.json",
                  RUN | OPS | REPLAY | STARTUP},
    [R_TOKENS] = {0, "tokens", "N", RP_CLI_BENCH, "tokens of each sequence", RUN | OPS | REPLAY | STARTUP,
                  .otherwise = "128"},
    [R_BATCH] = {0, "batch", "N", RP_CLI_BENCH, "sequences in a run", RUN, .otherwise = "1"},
    [R_REPEAT] = {0, "repeat", "N", RP_CLI_BENCH, "runs that are timed, after one that is not", RUN | REPLAY,
                  .otherwise = "10"},
    [R_LENGTHS] = {0, "lengths", "HOW", RP_CLI_BENCH,
                   "mixed lengths: sst2, uniform, or a FILE with one a line; - is standard input", RUN,
                   .otherwise = "all have --tokens"},
    [R_TRACE] = {0, "trace", "FILE", RP_CLI_BENCH, "write a trace of one more run, for Chrome or Perfetto",
                 RUN},
    [R_ROOFLINE] = {0, "roofline", NULL, RP_CLI_BENCH, "instead: what the device can reach"},
    [R_OPS] = {0, "ops", NULL, RP_CLI_BENCH, "instead: each operator, by every kernel that may run it"},
    [R_REPLAY] = {0, "replay", NULL, RP_CLI_BENCH, "instead: the ways to submit a layer many times"},
    [R_STARTUP] = {0, "startup", NULL, RP_CLI_BENCH, "instead: where the time of a start goes"},
    [R_ACCURACY] = {0, "accuracy", "FILE", RP_CLI_BENCH, "instead: accuracy on a table of labelled texts"},
    [R_BATCH_SIZE] = {0, "batch-size", "N", RP_CLI_BATCH_SIZE, "most inputs answered together",
                      .otherwise = "as many as fill a run"},
    [R_PRECISION] = {0, "precision", "HOW", RP_CLI_PRECISION, "of the weights: f32, f16, int8 or int4",
                     RUN | OPS | REPLAY | STARTUP | ACCURACY, .otherwise = "as the files have them"},
    [R_HEAD] = {0, "head", "HOW", RP_CLI_HEAD, "what the last layer is: classify, tag, answer or choose",
                RUN | STARTUP | ACCURACY, .otherwise = "what the folder says"},
    [R_VERIFY] = {0, "verify-every", "N", RP_CLI_VERIFY,
                  "recompute one sequence in N in plain C; a difference makes the exit status 1",
                  .otherwise = "none"},
    [R_FORMAT] = {0, "format", "HOW", RP_CLI_VECTORS,
                  "text, json, or npy: all vectors as NumPy's file --output, one row an input",
                  .otherwise = "text"},
    [R_OUTPUT] = {'o', "output", "PATH", RP_CLI_CONVERT | RP_CLI_PULL | RP_CLI_VECTORS,
                  "where to write: a folder for convert and pull, embed's file of --format npy"},
    [R_DTYPE] = {0, "dtype", "HOW", RP_CLI_CONVERT, "of the weights that are written: f32 or f16",
                 .otherwise = "as they are"},
    [R_OVERWRITE] = {0, "overwrite", NULL, RP_CLI_CONVERT, "replace the files of a folder that exists"},
    [R_REVISION] = {0, "revision", "REV", RP_CLI_PULL, "branch, tag or commit", .otherwise = "main"},
    [R_OFFLINE] = {0, "offline", NULL, RP_CLI_PULL, "use no network: find what was fetched before"},
    [R_JSON] = {0, "json", NULL, RP_CLI_JSON, "one JSON value a line"},
    [R_JSONL] = {0, "jsonl", NULL, RP_CLI_JSONL, "input lines are JSON objects; implies --json"},
    [R_HELP] = {'h', "help", NULL, 0, "this text"},
    [R_VERSION] = {0, "version", NULL, 0, "the version"},
};

/* Defaults that depend on the command. */
static const struct {
    int rule;
    const char *command, *otherwise;
} defaults[] = {
    {R_MODEL, "tag", "REPRISE_MODEL"},
    {R_MODEL, "answer", "REPRISE_MODEL"},
    {R_MODEL, "choose", "REPRISE_MODEL"},
    {R_MODEL, "bench", "random weights"},
    {R_TOP_K, "classify", "all"},
    {R_TOP_K, "fill-mask", "5"},
    {R_TOP_K, "answer", "1"},
    {R_STRIDE, "tag", "64"},
    {R_STRIDE, "answer", "128"},
    {R_MAX_LENGTH, "answer", "384"},
    {R_MAX_LENGTH, "tokenize", "no limit"},
    {R_CONFIG, "bench", "base"},
    {R_CONFIG, "check", "all of them"},
};

static const char *default_of(int which, const char *command) {
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (defaults[i].rule == which && !strcmp(defaults[i].command, command)) return defaults[i].otherwise;
    return rules[which].otherwise;
}

static const char *const aggregations[] = {"simple", "none", "first", "average", "max", NULL};
static const char *const precisions[] = {"f32", "f32", "f16", "int8", "int4", NULL};
static const char *const heads[] = {"classify", "tag", "answer", "choose", NULL};
static const char *const formats[] = {"text", "json", "npy", NULL};
static const char *const dtypes[] = {"f32", "f16", NULL};
static const char *const poolings[] = {"mean", "cls", "max", "none", NULL};

const char *rp_cli_precision_name(rp_precision precision) {
    return precisions[precision];
}

/* A decimal number of `least` to `most` and nothing else. */
static bool read_number(const char *name, const rule *r, const char *value, uint32_t least, uint32_t most,
                        uint32_t *out) {
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

/* The place of `value` in a NULL-ended list. */
static bool read_word(const char *name, const rule *r, const char *value, const char *const *words,
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

static bool read_name(const char *name, const rule *r, const char *value, const char **out) {
    if (!*value) {
        rp_cli_complain("%s: --%s takes a %s, and it is empty; try 'reprise %s --help'", name, r->name,
                        r->value, name);
        return false;
    }
    *out = value;
    return true;
}

/* One more -f. */
static bool add_file(const char *name, const rule *r, const char *value, rp_cli_options *o) {
    const char **files = rp_cli_realloc((void *)o->files, (o->file_count + 1) * sizeof *files);
    o->files = files;
    return read_name(name, r, value, &files[o->file_count++]);
}

void rp_cli_options_free(rp_cli_options *options) {
    free((void *)options->files);
    options->files = NULL;
}

/* bench measures one thing at a time. */
static bool set_bench(const char *name, rp_cli_bench_kind kind, rp_cli_options *o) {
    if (o->bench && o->bench != kind) {
        rp_cli_complain("%s: give only one of --roofline, --ops, --replay, --startup and --accuracy; try "
                        "'reprise %s --help'",
                        name, name);
        return false;
    }
    o->bench = kind;
    return true;
}

/* Options with a value. */
static bool set_value(const char *name, int which, const char *value, rp_cli_options *o) {
    const rule *r = &rules[which];
    const uint32_t tokens = 1u << 20;
    int word = 0;
    switch (which) {
    case R_MODEL:
        return read_name(name, r, value, &o->model);
    case R_DEVICE:
        return read_name(name, r, value, &o->device);
    case R_FILE:
        return add_file(name, r, value, o);
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
        return false;
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
    case R_OVERWRITE:
        o->overwrite = true;
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

/* The tables that getopt_long reads: long options return 256 + their rule. */
static void make_tables(struct option *table, char *letters) {
    *letters++ = ':';
    for (int i = 0; i < R_COUNT; i++) {
        table[i] =
            (struct option){rules[i].name, rules[i].value ? required_argument : no_argument, NULL, 256 + i};
        if (!rules[i].letter) continue;
        *letters++ = rules[i].letter;
        if (rules[i].value) *letters++ = ':';
    }
    table[R_COUNT] = (struct option){0};
    *letters = '\0';
}

static int rule_of(int got) {
    if (got >= 256) return got - 256;
    for (int i = 0; i < R_COUNT; i++)
        if (rules[i].letter == got) return i;
    return -1;
}

/* The option of this command that `word`, up to a '=', was probably meant to be; NULL: none is near. */
static const char *suggest(const char *word, unsigned allowed) {
    char name[32];
    const char *best = NULL;
    size_t size = strcspn(word, "="), least = RP_CLI_FAR;
    if (size >= sizeof name) return NULL;
    memcpy(name, word, size);
    name[size] = '\0';
    for (int i = 0; i < R_COUNT; i++) {
        size_t changes = rp_cli_distance(name, rules[i].name);
        if ((rules[i].bit && !(rules[i].bit & allowed)) || changes >= least) continue;
        least = changes;
        best = rules[i].name;
    }
    return best;
}

/* Options that are spelled otherwise, as "--topk", or have one '-' where two are meant. */
static void complain_of_unknown(char **argv, const char *name, unsigned allowed) {
    const char *here = argv[optind] ? argv[optind] : "", *word = argv[optind - 1];
    bool single = optopt && here[0] == '-' && here[1] && here[1] != '-' && strchr(here, optopt);
    if (single) word = here;
    const char *meant = !optopt || strlen(word) > 2 ? suggest(word + strspn(word, "-"), allowed) : NULL;
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
        rp_cli_complain("%s: --%s needs a value, %s; try 'reprise %s --help'", name, rules[which].name,
                        rules[which].value, name);
    else if (which >= 0)
        rp_cli_complain("%s: --%s takes no value; try 'reprise %s --help'", name, rules[which].name, name);
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
        if (!given[i] || !rules[i].kinds || rules[i].kinds & 1u << o->bench) continue;
        rp_cli_complain("%s: --%s does not use --%s; leave it out; try 'reprise %s --help'", name,
                        rules[R_ROOFLINE + o->bench - RP_CLI_BENCH_ROOFLINE].name, rules[i].name, name);
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
    make_tables(table, letters);
    *options = (rp_cli_options){.config = "base", .tokens = 128, .batch = 1, .repeat = 10};
    opterr = 0;
    optind = 1;
    for (int got; (got = getopt_long(argc, argv, letters, table, NULL)) != -1;) {
        int which = got == ':' || got == '?' ? -1 : rule_of(got);
        if (which < 0) {
            complain_of_option(got, argv, name, allowed);
            return false;
        }
        if (rules[which].bit && !(rules[which].bit & allowed)) {
            rp_cli_complain("%s: --%s is not an option of this command; try 'reprise %s --help'", name,
                            rules[which].name, name);
            return false;
        }
        if (!(rules[which].value ? set_value(name, which, optarg, options) : set_flag(name, which, options)))
            return false;
        given[which] = true;
    }
    if (allowed & RP_CLI_VECTORS && !check_format(name, given, options)) return false;
    if (allowed & RP_CLI_BENCH && !check_bench(name, given, options)) return false;
    options->arguments = argv;
    options->texts = argv + optind;
    options->text_count = (size_t)(argc - optind);
    options->config_given = given[R_CONFIG];
    if (!options->model && !options->config_given) options->model = environment("REPRISE_MODEL");
    if (!options->device) options->device = environment("REPRISE_DEVICE");
    return true;
}

/* Append `text` and a line end, in lines that fit beside the options. */
static void put_wrapped(rp_cli_buffer *out, const char *text) {
    enum { BEFORE = 32, MOST = 78 };
    for (size_t size = strlen(text); size > MOST; size = strlen(text)) {
        size_t end = MOST;
        while (end && text[end] != ' ') end--;
        if (!end) break;
        rp_cli_printf(out, "%.*s\n%*s", (int)end, text, BEFORE, "");
        text += end + 1;
    }
    rp_cli_printf(out, "%s\n", text);
}

void rp_cli_options_help(rp_cli_buffer *out, const char *command, unsigned allowed) {
    rp_cli_puts(out, "Options:\n");
    for (int i = 0; i < R_COUNT; i++) {
        const rule *r = &rules[i];
        if (r->bit && !(r->bit & allowed)) continue;
        char form[64] = "";
        if (r->letter) {
            form[0] = '-', form[1] = r->letter, form[2] = ',', form[3] = ' ', form[4] = '\0';
        } else {
            strcpy(form, "    ");
        }
        strcat(strcat(form, "--"), r->name);
        if (r->value) strcat(strcat(form, " "), r->value);
        char text[200];
        const char *otherwise = default_of(i, command);
        snprintf(text, sizeof text, otherwise ? "%s (default: %s)" : "%s", r->help, otherwise);
        rp_cli_printf(out, "  %-29s ", form);
        put_wrapped(out, text);
    }
}
