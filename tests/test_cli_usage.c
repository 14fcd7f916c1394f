/* How the command is called: what is refused and what it says then, its help, its manual. */
#include "support_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MODEL SOURCE_DIR "/tools/models/sentiment"

static const char *const commands[] = {"classify", "fill-mask", "tag",     "answer", "embed", "coherence",
                                       "choose",   "tokenize",  "devices", "bench",  "eval",  "finetune"};

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) count++;
    return count;
}

static void test_wrong_usage_is_said_in_one_line(void **state) {
    (void)state;
    const struct {
        const char *args[8];
        const char *says;
    } cases[] = {
        {{NULL}, "command is missing"},
        {{"clasify", "x"}, "did you mean 'classify'?"},
        {{"fillmask"}, "did you mean 'fill-mask'?"},
        {{"Classify", "x"}, "did you mean 'classify'?"},
        {{"ner", "x"}, "did you mean 'tag'?"},
        {{"token-classification", "x"}, "did you mean 'tag'?"},
        {{"sentiment", "x"}, "did you mean 'classify'?"},
        {{"sentiment-analysis", "x"}, "did you mean 'classify'?"},
        {{"text-classification", "x"}, "did you mean 'classify'?"},
        {{"qa", "q", "c"}, "did you mean 'answer'?"},
        {{"question_answering", "q", "c"}, "did you mean 'answer'?"},
        {{"similarity", "x"}, "did you mean 'embed'? It makes a vector of each text; the cosine"},
        {{"sentence-similarity", "x"}, "did you mean 'embed'?"},
        {{"feature-extraction", "x"}, "did you mean 'embed'?"},
        {{"fill_mask", "x"}, "did you mean 'fill-mask'?"},
        {{"help", "ner"}, "did you mean 'tag'?"},
        {{"qwertyuiop"}, "unknown command 'qwertyuiop'"},
        {{"help", "qwertyuiop"}, "unknown command 'qwertyuiop'"},
        {{"--json", "classify"}, "--json"},
        {{"classify", "--bogus", "x"}, "--bogus"},
        {{"classify", "-z", "x"}, "-z"},
        {{"classify", "--topk", "3", "x"}, "unknown option --topk; did you mean --top-k?"},
        {{"classify", "--top_k=3", "x"}, "did you mean --top-k?"},
        {{"classify", "-topk", "3", "x"}, "unknown option -topk; did you mean --top-k?"},
        {{"classify", "--devise", "0", "x"}, "did you mean --device?"},
        {{"answer", "--max_answer_len", "3", "x", "y"}, "did you mean --max-answer-length?"},
        {{"embed", "--normalise", "x"}, "did you mean --normalize?"},
        {{"classify", "--poolingg", "cls", "x"}, "unknown option --poolingg; try"},
        {{"embed", "--dims", "3", "x"}, "did you mean --dimensions?"},
        {{"classify", "--column", "x"}, "did you mean --text-column?"},
        {{"tokenize", "--special-tokens"}, "did you mean --no-special-tokens?"},
        {{"classify", "--sep", ";"}, "unknown option --sep; try"}, /* not --keep */
        {{"classify", "--top-k"}, "--top-k"},
        {{"classify", "--top-k", "0", "x"}, "'0'"},
        {{"classify", "--top-k", "5x", "x"}, "'5x'"},
        {{"classify", "--top-k", "-1", "x"}, "'-1'"},
        {{"classify", "--top-k", "", "x"}, "''"},
        {{"classify", "--top-k", "99999999999999999999", "x"}, "--top-k"},
        {{"classify", "--batch-size", "0", "x"}, "--batch-size"},
        {{"classify", "--json=yes", "x"}, "--json takes no value"},
        {{"classify", "-m"}, "--model"},
        {{"classify", "-m", "", "x"}, "--model"},
        {{"classify", "-d", "", "x"}, "--device"},
        {{"embed", "--stride", "4", "x"}, "--stride is not an option of this command;"},
        {{"classify", "--stride", "4", "x"}, "--stride is of the windows of --long;"},
        {{"classify", "--pooling", "cls", "x"}, "--pooling is not an option of this command, but of embed and index;"},
        {{"embed", "--top-k", "2", "x"}, "--top-k is not an option of this command;"},
        {{"devices", "--keep"}, "--keep is not an option of this command; try"},
        {{"tokenize", "-d", "0", "x"}, "--device is not an option"},
        {{"devices", "-m", MODEL}, "--model is not an option"},
        {{"classify", "-f", "file", "x"}, "--file"},
        {{"classify", "--jsonl", "x"}, "--jsonl"},
        {{"classify", "--keep", "x"}, "give either --keep or TEXT"},
        {{"classify", "--pair", "x"}, "pairs"},
        {{"coherence", "one"}, "pairs"},
        {{"answer", "-m", MODEL, "question"}, "QUESTION CONTEXT"},
        {{"choose", "-m", MODEL, "text"}, "choice"},
        {{"tag", "-m", MODEL, "--aggregation", "most", "x"}, "none, first, average or max"},
        {{"embed", "--pooling", "sum", "x"}, "mean, cls, max or none"},
        {{"classify", "--precision", "fp16", "x"}, "f32, f16, int8 or int4"},
        {{"bench", "--precision", "default"}, "f32, f16, int8 or int4"},
        {{"classify", "--precision"}, "--precision needs a value"},
        {{"tokenize", "--precision", "f16", "x"}, "--precision is not an option"},
        {{"tag", "x"}, "-m DIR or REPRISE_MODEL, such as dslim/bert-base-NER, which 'reprise pull"},
        {{"answer", "q", "c"}, "-m DIR or REPRISE_MODEL, such as distilbert/distilbert-base-cased-dist"},
        {{"choose", "t", "c"}, "which 'reprise pull aisuko/ft-bert-with-swag' fetches"},
        {{"devices", "x"}, "takes no TEXT"},
        {{"bench", "x"}, "takes no TEXT"},
        {{"eval"}, "takes one FILE"},
        {{"eval", "a", "b"}, "takes one FILE"},
        {{"eval", "--task", "sentiment", "a"}, "mlm or embed"},
        {{"eval", "--label_column", "x", "a"}, "did you mean --label-column?"},
        {{"eval", "--jsonl", "a"}, "--jsonl is not an option"},
        {{"classify", "--format", "tsv", "a"}, "--format is not an option of this command, but of embed;"},
        {{"bench", "--tokens", "0"}, "--tokens"},
        {{"bench", "--repeat", "none"}, "--repeat"},
        {{"bench", "--tokens", "1000000", "--batch", "60000"}, "--tokens times --batch"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(cases[i].args, NULL, 0);
        if (run.status != 2 || !strstr(run.err, cases[i].says))
            print_error("case %zu, '%s': status %d, %s\n", i, cases[i].says, run.status, run.err);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, cases[i].says));
        assert_non_null(strstr(run.err, "--help'\n"));
        assert_int_equal(count_of(run.err, "\n"), 1);
        cli_free(&run);
    }
}

static void test_help_has_examples_for_each_command(void **state) {
    (void)state;
    cli_run all = cli(CLI_ARGS("--help"), NULL, 0);
    assert_int_equal(all.status, 0);
    assert_int_equal(all.err_size, 0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char listed[40], example[40];
        snprintf(listed, sizeof listed, "\n  %s ", commands[i]);
        snprintf(example, sizeof example, "reprise %s ", commands[i]);
        assert_non_null(strstr(all.out, listed));
        cli_run one = cli(CLI_ARGS(commands[i], "--help"), NULL, 0);
        cli_run same = cli(CLI_ARGS("help", commands[i]), NULL, 0);
        assert_int_equal(one.status, 0);
        assert_int_equal(one.err_size, 0);
        assert_non_null(strstr(one.out, "\nExamples:\n"));
        assert_true(count_of(one.out, example) >= 2);
        if (strcmp(commands[i], "finetune")) /* its JSON is the file of --log */
            assert_non_null(strstr(one.out, "--json"));
        assert_string_equal(one.out, same.out);
        cli_free(&one);
        cli_free(&same);
    }
    cli_free(&all);
}

static void assert_fits(const char *command, const char *text) {
    enum { COLUMNS = 80 };
    for (size_t size; *text; text += size + (text[size] == '\n')) {
        size = strcspn(text, "\n");
        if (size > COLUMNS || (size && text[size - 1] == ' '))
            fail_msg("%s: '%.*s'", command, (int)size, text);
    }
}

/* On a terminal of the usual width no line is broken. */
static void test_help_fits_a_terminal(void **state) {
    (void)state;
    cli_run all = cli(CLI_ARGS("--help"), NULL, 0);
    assert_fits("", all.out);
    cli_free(&all);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        cli_run one = cli(CLI_ARGS(commands[i], "--help"), NULL, 0);
        assert_fits(commands[i], one.out);
        cli_free(&one);
    }
}

/* A blank in place of each line end and the blanks around it. */
static void unwrap(char *text) {
    char *out = text;
    for (; *text; text++) {
        bool blank = *text == ' ' || *text == '\n';
        if (!blank || (out[-1] != ' ')) *out++ = blank ? ' ' : *text;
    }
    *out = '\0';
}

/* Every default stands where one looks for it, in one form. */
static void test_help_says_defaults(void **state) {
    (void)state;
    static const struct {
        const char *command, *line;
    } cases[] = {
        {"classify", "how many to give, best first (default: all) "},
        {"fill-mask", "how many to give, best first (default: 5) "},
        {"answer", "how many to give, best first (default: 1) "},
        {"answer", "longest answer, tokens (default: 15) "},
        {"answer", "longest sequence, tokens (default: 384) "},
        {"answer", "windows of a long text share (default: 128) "},
        {"tag", "windows of a long text share (default: 64) "},
        {"tag", "none, simple, first, average or max (default: simple) "},
        {"embed", "mean, cls, max or none (default: what the folder says, else mean) "},
        {"bench", "sequences in a run (default: 1) "},
        {"pull", "branch, tag or commit (default: main) "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cli_run run = cli(CLI_ARGS(cases[i].command, "--help"), NULL, 0);
        unwrap(run.out);
        if (!strstr(run.out, cases[i].line)) fail_msg("%s: no %s", cases[i].command, cases[i].line);
        cli_free(&run);
    }
}

/* troff takes a bare '"' in the line of a macro for the beginning of an argument, and prints none. */
static void test_manual_keeps_its_quotes(void **state) {
    (void)state;
    char line[1000];
    size_t number = 0, jsons = 0;
    FILE *file = fopen(SOURCE_DIR "/tools/cli/reprise.1", "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        number++;
        jsons += strstr(line, "{\\(dq") != NULL;
        bool shape = !strncmp(line, ".Bl ", 4); /* the widths of lists are arguments */
        if (line[0] == '.' && !shape && strchr(line, '"')) fail_msg("line %zu: %s", number, line);
    }
    fclose(file);
    assert_true(jsons >= 5);
}

static void test_version(void **state) {
    (void)state;
    cli_run run = cli(CLI_ARGS("--version"), NULL, 0), same = cli(CLI_ARGS("embed", "--version"), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(strncmp(run.out, "reprise 0.", 10), 0);
    assert_string_equal(run.out, same.out);
    cli_free(&run);
    cli_free(&same);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_usage_is_said_in_one_line),
        cmocka_unit_test(test_help_has_examples_for_each_command),
        cmocka_unit_test(test_help_fits_a_terminal),
        cmocka_unit_test(test_help_says_defaults),
        cmocka_unit_test(test_manual_keeps_its_quotes),
        cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
