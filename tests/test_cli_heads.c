/* The commands that no bundled model serves, on small ALBERTs with random weights and the bundled vocabulary.
 */
#include "support_cli.h"
#include "support_fixture.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { V = 8192, E = 16, H = 32, I = 48, P = 64 };

#define LAYER "albert.encoder.albert_layer_groups.0.albert_layers.0."

static const fixture_tensor encoder[] = {
    {"albert.embeddings.word_embeddings.weight", V, E, 0.5, 0},
    {"albert.embeddings.position_embeddings.weight", P, E, 0.5, 0},
    {"albert.embeddings.token_type_embeddings.weight", 2, E, 0.5, 0},
    {"albert.embeddings.LayerNorm.weight", E, 0, 0.25, 1},
    {"albert.embeddings.LayerNorm.bias", E, 0, 0.25, 0},
    {"albert.encoder.embedding_hidden_mapping_in.weight", H, E, 0.5, 0},
    {"albert.encoder.embedding_hidden_mapping_in.bias", H, 0, 0.25, 0},
    {LAYER "full_layer_layer_norm.weight", H, 0, 0.25, 1},
    {LAYER "full_layer_layer_norm.bias", H, 0, 0.25, 0},
    {LAYER "attention.query.weight", H, H, 0.25, 0},
    {LAYER "attention.query.bias", H, 0, 0.25, 0},
    {LAYER "attention.key.weight", H, H, 0.25, 0},
    {LAYER "attention.key.bias", H, 0, 0.25, 0},
    {LAYER "attention.value.weight", H, H, 0.25, 0},
    {LAYER "attention.value.bias", H, 0, 0.25, 0},
    {LAYER "attention.dense.weight", H, H, 0.25, 0},
    {LAYER "attention.dense.bias", H, 0, 0.25, 0},
    {LAYER "attention.LayerNorm.weight", H, 0, 0.25, 1},
    {LAYER "attention.LayerNorm.bias", H, 0, 0.25, 0},
    {LAYER "ffn.weight", I, H, 0.25, 0},
    {LAYER "ffn.bias", I, 0, 0.25, 0},
    {LAYER "ffn_output.weight", H, I, 0.25, 0},
    {LAYER "ffn_output.bias", H, 0, 0.25, 0},
};
enum { ENCODER = sizeof encoder / sizeof *encoder, MOST = ENCODER + 4 };

static const fixture_tensor pooler[] = {{"albert.pooler.weight", H, H, 0.25, 0},
                                        {"albert.pooler.bias", H, 0, 0.25, 0}};
static const fixture_tensor token_head[] = {{"classifier.weight", 3, H, 0.5, 0},
                                            {"classifier.bias", 3, 0, 0.25, 0}};
static const fixture_tensor choice_head[] = {{"classifier.weight", 1, H, 0.5, 0},
                                             {"classifier.bias", 1, 0, 0.25, 0}};
static const fixture_tensor span_head[] = {{"qa_outputs.weight", 2, H, 0.5, 0},
                                           {"qa_outputs.bias", 2, 0, 0.25, 0}};

static bool copy_file(const char *dir, const char *name) {
    char command[2 * FIXTURE_PATH_SIZE];
    snprintf(command, sizeof command, "cp '%s/tools/models/sentiment/%s' '%s/'", SOURCE_DIR, name, dir);
    return system(command) == 0;
}

/* Make a folder for `architecture` with `head` and, if asked for, the pooler. */
static void make_model(char dir[FIXTURE_PATH_SIZE], const char *architecture, const fixture_tensor *head,
                       bool with_pooler) {
    fixture_tensor tensors[MOST];
    size_t count = ENCODER;
    char config[1024];
    memcpy(tensors, encoder, sizeof encoder);
    for (size_t i = 0; i < 2 && with_pooler; i++) tensors[count++] = pooler[i];
    for (size_t i = 0; i < 2; i++) tensors[count++] = head[i];
    /* No label is "O", so that every token is a part of an entity. */
    snprintf(
        config, sizeof config,
        "{\"architectures\": [\"%s\"], \"model_type\": \"albert\", \"vocab_size\": %d, "
        "\"embedding_size\": %d, \"hidden_size\": %d, \"num_hidden_layers\": 2, \"num_attention_heads\": 2, "
        "\"intermediate_size\": %d, \"max_position_embeddings\": %d, \"type_vocab_size\": 2, "
        "\"hidden_act\": \"gelu_new\", "
        "\"id2label\": {\"0\": \"B-PER\", \"1\": \"I-PER\", \"2\": \"B-LOC\"}, "
        "\"label2id\": {\"B-PER\": 0, \"I-PER\": 1, \"B-LOC\": 2}}",
        architecture, V, E, H, I, P);
    assert_true(fixture_make_dir(dir));
    assert_true(fixture_write_folder(dir, config, tensors, count, &(fixture_layout){0}, NULL));
    assert_true(copy_file(dir, "spiece.model"));
    assert_true(copy_file(dir, "tokenizer_config.json"));
}

static double real(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_real(value));
    return json_real_value(value);
}

static size_t whole(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return (size_t)json_integer_value(value);
}

/* The byte at which code point `index` of a UTF-8 text begins. */
static size_t byte_of(const char *text, size_t index) {
    size_t at = 0;
    for (; text[at]; at++)
        if ((text[at] & 0xc0) != 0x80 && !index--) break;
    return at;
}

/* "Zoë met <n> people." n times: longer than the windows of these models, with two-byte characters. */
static char *long_text(size_t sentences) {
    char *text = malloc(sentences * 40 + 1), *at = text;
    assert_non_null(text);
    for (size_t i = 0; i < sentences; i++) at += sprintf(at, "Zo\xc3\xab met %zu people. ", i);
    return text;
}

static void test_tag_loses_no_token(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForTokenClassification", token_head, false);
    char *text = long_text(60);
    cli_run tokens = cli(CLI_ARGS("tokenize", "--json", "--no-special-tokens", "-m", dir, text), NULL, 0);
    cli_run none =
        cli(CLI_ARGS("tag", "--json", "--stride", "8", "--aggregation", "none", "-m", dir, text), NULL, 0);
    cli_run simple = cli(CLI_ARGS("tag", "--json", "--stride", "8", "-m", dir, text), NULL, 0);
    cli_run people = cli(CLI_ARGS("tag", "-m", dir, "Zo\xc3\xab met Ada."), NULL, 0);
    assert_int_equal(tokens.status | none.status | simple.status | people.status, 0);
    json_t *t = cli_json(&tokens, 0), *n = cli_json(&none, 0), *s = cli_json(&simple, 0);
    const json_t *offsets = json_object_get(t, "offsets");
    assert_true(json_array_size(offsets) > 4 * P); /* several windows */
    assert_int_equal(json_array_size(n), json_array_size(offsets));
    for (size_t i = 0; i < json_array_size(n); i++) {
        const json_t *entity = json_array_get(n, i), *offset = json_array_get(offsets, i);
        assert_int_equal(json_object_size(entity), 6);
        assert_non_null(json_object_get(entity, "entity"));
        assert_true(real(entity, "score") > 0 && real(entity, "score") <= 1);
        assert_int_equal(whole(entity, "start"), json_integer_value(json_array_get(offset, 0)));
        assert_int_equal(whole(entity, "end"), json_integer_value(json_array_get(offset, 1)));
    }
    assert_true(json_array_size(s) > 0 && json_array_size(s) < json_array_size(n));
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(s); i++) {
        const json_t *entity = json_array_get(s, i);
        assert_int_equal(json_object_size(entity), 5);
        const char *group = json_string_value(json_object_get(entity, "entity_group"));
        assert_true(!strcmp(group, "PER") || !strcmp(group, "LOC"));
        assert_true(whole(entity, "start") >= at && whole(entity, "end") > whole(entity, "start"));
        at = whole(entity, "end");
    }
    assert_non_null(strchr(people.out, '['));
    json_decref(t), json_decref(n), json_decref(s);
    cli_free(&tokens), cli_free(&none), cli_free(&simple), cli_free(&people);
    free(text);
    fixture_remove_dir(dir);
}

static void assert_answer(const json_t *answer, const char *context) {
    assert_int_equal(json_object_size(answer), 4);
    size_t start = byte_of(context, whole(answer, "start")), end = byte_of(context, whole(answer, "end"));
    const char *text = json_string_value(json_object_get(answer, "answer"));
    assert_true(end >= start);
    assert_int_equal(strlen(text), end - start);
    assert_memory_equal(text, context + start, end - start);
    assert_true(real(answer, "score") >= 0 && real(answer, "score") <= 1);
}

static void test_answer_is_a_part_of_the_context(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForQuestionAnswering", span_head, false);
    char *context = long_text(40);
    cli_run one = cli(CLI_ARGS("answer", "--json", "--max-length", "48", "--stride", "12", "-m", dir,
                               "Who met Zo\xc3\xab?", context, "Who?", "Zo\xc3\xab met Ada."),
                      NULL, 0);
    cli_run more = cli(CLI_ARGS("answer", "--json", "--top-k", "3", "--max-length", "48", "--stride", "12",
                                "-m", dir, "Who met Zo\xc3\xab?", context),
                       NULL, 0);
    cli_run people = cli(CLI_ARGS("answer", "-m", dir, "Who?", "Zo\xc3\xab met Ada."), NULL, 0);
    assert_int_equal(one.status | more.status | people.status, 0);
    assert_int_equal(cli_line_count(&one), 2);
    json_t *first = cli_json(&one, 0), *second = cli_json(&one, 1), *list = cli_json(&more, 0);
    assert_answer(first, context);
    assert_answer(second, "Zo\xc3\xab met Ada.");
    assert_true(json_is_array(list) && json_array_size(list) >= 1 && json_array_size(list) <= 3);
    for (size_t i = 0; i < json_array_size(list); i++) {
        assert_answer(json_array_get(list, i), context);
        if (i)
            assert_true(real(json_array_get(list, i), "score") <= real(json_array_get(list, i - 1), "score"));
    }
    assert_true(
        json_equal(json_object_get(json_array_get(list, 0), "start"), json_object_get(first, "start")));
    assert_non_null(strchr(people.out, '['));
    json_decref(first), json_decref(second), json_decref(list);
    cli_free(&one), cli_free(&more), cli_free(&people);
    free(context);
    fixture_remove_dir(dir);
}

/* What is behind the `nth` comma of the last line of `table`, up to the next one. */
static char *cell(const char *table, size_t nth) {
    const char *line = table + strlen(table) - 1;
    while (line > table && line[-1] != '\n') line--;
    for (; nth; nth--) line = strchr(line, ',') + 1;
    return strndup(line, strcspn(line, ",\n"));
}

static void test_answer_has_columns_in_tables(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForQuestionAnswering", span_head, false);
    cli_run json = cli(CLI_ARGS("answer", "--json", "-m", dir, "Who?", "Zo\xc3\xab met Ada."), NULL, 0);
    cli_run table =
        cli_text(CLI_ARGS("answer", "--csv", "-m", dir), "context,id,Question\nZo\xc3\xab met Ada.,7,Who?\n");
    json_t *answer = cli_json(&json, 0);
    assert_int_equal(table.status, 0);
    assert_int_equal(strncmp(table.out, "context,id,Question,answer,score,start,end,error\n", 49), 0);
    char *text = cell(table.out, 3), *score = cell(table.out, 4), *start = cell(table.out, 5),
         *end = cell(table.out, 6), *error = cell(table.out, 7);
    assert_string_equal(text, json_string_value(json_object_get(answer, "answer")));
    assert_true(strtod(score, NULL) == real(answer, "score"));
    assert_int_equal(strtoul(start, NULL, 10), whole(answer, "start"));
    assert_int_equal(strtoul(end, NULL, 10), whole(answer, "end"));
    assert_string_equal(error, "");
    free(text), free(score), free(start), free(end), free(error);
    json_decref(answer);
    cli_free(&json), cli_free(&table);
    fixture_remove_dir(dir);
}

static void test_choices_are_columns_of_tables(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForMultipleChoice", choice_head, true);
    cli_run json =
        cli(CLI_ARGS("choose", "--json", "-m", dir, "It rained, so", "we stayed", "I am tall"), NULL, 0);
    cli_run table = cli_text(CLI_ARGS("choose", "--tsv", "-m", dir),
                             "ending0\tlabel\tending1\tsentence\nwe stayed\t0\tI am tall\tIt rained, so\n");
    cli_run none = cli_text(CLI_ARGS("choose", "--csv", "-m", dir), "text,ending\n");
    char want[400];
    snprintf(want, sizeof want,
             "ending0\tlabel\tending1\tsentence\tanswer\terror\n"
             "we stayed\t0\tI am tall\tIt rained, so\t%.*s\t\n",
             (int)strcspn(json.out, "\n"), json.out);
    assert_int_equal(json.status | table.status, 0);
    assert_string_equal(table.out, want);
    assert_int_equal(none.status, 2);
    assert_non_null(strstr(none.err, "no columns are named choice1, choice2 or ending0, ending1"));
    cli_free(&json), cli_free(&table), cli_free(&none);
    fixture_remove_dir(dir);
}

static void test_a_cut_question_is_said_once(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForQuestionAnswering", span_head, false);
    cli_run run =
        cli(CLI_ARGS("answer", "--json", "--max-question-length", "2", "-m", dir, "Who met whom and when?",
                     "Ada met Zo\xc3\xab.", "And what did they say?", "Nothing at all."),
            NULL, 0);
    assert_int_equal(run.status, 0);
    assert_int_equal(cli_line_count(&run), 2);
    assert_non_null(strstr(run.err, "tokens, and --max-question-length takes 2: the rest was left out"));
    const char *said = strstr(run.err, "--max-question-length");
    assert_non_null(said);
    assert_null(strstr(said + 1, "--max-question-length"));
    cli_free(&run);
    fixture_remove_dir(dir);
}

static void test_choose_gives_probabilities(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "AlbertForMultipleChoice", choice_head, true);
    cli_run args = cli(
        CLI_ARGS("choose", "--json", "-m", dir, "It rained, so", "we stayed in", "", "I am tall"), NULL, 0);
    cli_run lines = cli_text(CLI_ARGS("choose", "--json", "-m", dir),
                             "It rained, so\twe stayed in\t\tI am tall\nx\tone\n");
    cli_run jsonl =
        cli_text(CLI_ARGS("choose", "--jsonl", "-m", dir),
                 "{\"text\": \"It rained, so\", \"choices\": [\"we stayed in\", \"\", \"I am tall\"]}\n");
    cli_run people =
        cli(CLI_ARGS("choose", "-m", dir, "It rained, so", "we stayed in", "I am tall"), NULL, 0);
    assert_int_equal(args.status | lines.status | jsonl.status | people.status, 0);
    assert_string_equal(args.out, jsonl.out);
    assert_int_equal(cli_line_count(&lines), 2);
    assert_int_equal(strncmp(args.out, lines.out, args.out_size), 0);
    json_t *value = cli_json(&args, 0), *alone = cli_json(&lines, 1);
    double sum = 0;
    assert_int_equal(json_array_size(value), 3);
    for (size_t i = 0; i < 3; i++) sum += json_real_value(json_array_get(value, i));
    assert_true(fabs(sum - 1) < 1e-6);
    assert_int_equal(json_array_size(alone), 1);
    assert_true(json_real_value(json_array_get(alone, 0)) == 1);
    assert_non_null(strstr(people.out, "we stayed in"));
    json_decref(value), json_decref(alone);
    cli_free(&args), cli_free(&lines), cli_free(&jsonl), cli_free(&people);
    fixture_remove_dir(dir);
}

/* A token classifier that was saved with a pooler by a class of somebody's own is one if the user says so. */
static void test_head_says_what_the_last_layer_is(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE];
    make_model(dir, "Mine", token_head, true);
    cli_run guessed = cli(CLI_ARGS("classify", "--json", "-m", dir, "Ada"), NULL, 0);
    cli_run refused = cli(CLI_ARGS("tag", "--json", "-m", dir, "Ada"), NULL, 0);
    cli_run said = cli(CLI_ARGS("tag", "--json", "--head", "tag", "-m", dir, "Ada"), NULL, 0);
    cli_run wrong = cli(CLI_ARGS("answer", "--json", "--head", "answer", "-m", dir, "Who?", "Ada"), NULL, 0);
    cli_run usage = cli(CLI_ARGS("tag", "--head", "chose", "-m", dir, "Ada"), NULL, 0);
    cli_run tokens = cli(CLI_ARGS("tokenize", "--head", "tag", "-m", dir, "Ada"), NULL, 0);
    assert_int_equal(guessed.status | said.status, 0);
    assert_int_equal(refused.status, 1);
    assert_int_equal(wrong.status, 1);
    assert_int_equal(usage.status, 2);
    assert_int_equal(tokens.status, 2);
    char *why = cli_error(&refused, 0), *both = cli_error(&wrong, 0);
    assert_non_null(strstr(why, "--head tag"));
    assert_non_null(strstr(both, "--head answer"));
    assert_non_null(strstr(both, "shape is [3, 32]"));
    assert_non_null(strstr(usage.err, "classify, tag, answer or choose"));
    free(why), free(both);
    cli_free(&guessed), cli_free(&refused), cli_free(&said), cli_free(&wrong), cli_free(&usage),
        cli_free(&tokens);
    fixture_remove_dir(dir);
}

/* Labels that are numbers in id2label are numbers here, as in Hugging Face's pipelines. */
static void test_labels_that_are_numbers(void **state) {
    (void)state;
    char dir[FIXTURE_PATH_SIZE], path[2 * FIXTURE_PATH_SIZE];
    json_error_t problem;
    make_model(dir, "AlbertForTokenClassification", token_head, true);
    snprintf(path, sizeof path, "%s/config.json", dir);
    json_t *config = json_load_file(path, 0, &problem);
    json_object_set_new(config, "id2label", json_pack("{s:i, s:s, s:b}", "0", -3, "1", "4", "2", 1));
    assert_int_equal(json_dump_file(config, path, 0), 0);
    cli_run labels = cli(CLI_ARGS("classify", "--json", "--head", "classify", "-m", dir, "Ada"), NULL, 0);
    cli_run entities =
        cli(CLI_ARGS("tag", "--json", "--aggregation", "none", "-m", dir, "Ada met Bob and Zo\xc3\xab."),
            NULL, 0);
    assert_int_equal(labels.status | entities.status, 0);
    json_t *all = cli_json(&labels, 0), *found = cli_json(&entities, 0), *entity;
    size_t i, numbers = 0;
    json_array_foreach(all, i, entity) {
        const json_t *label = json_object_get(entity, "label");
        numbers += json_integer_value(label) == -3;
        numbers += 10 * json_is_true(label);
        numbers += 100 * (json_is_string(label) && !strcmp(json_string_value(label), "4"));
    }
    assert_int_equal(numbers, 111);
    assert_true(json_array_size(found) > 0);
    json_array_foreach(found, i, entity) {
        const json_t *label = json_object_get(entity, "entity");
        assert_true(json_is_integer(label) || json_is_true(label) || json_is_string(label));
    }
    json_decref(config), json_decref(all), json_decref(found);
    cli_free(&labels), cli_free(&entities);
    fixture_remove_dir(dir);
}

static int clean_environment(void **state) {
    (void)state;
    const char *const names[] = {"REPRISE_MODEL", "REPRISE_DEVICE", "REPRISE_SHADER_DIR", "POSIXLY_CORRECT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unsetenv(names[i]);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tag_loses_no_token),
        cmocka_unit_test(test_answer_is_a_part_of_the_context),
        cmocka_unit_test(test_answer_has_columns_in_tables),
        cmocka_unit_test(test_choices_are_columns_of_tables),
        cmocka_unit_test(test_a_cut_question_is_said_once),
        cmocka_unit_test(test_choose_gives_probabilities),
        cmocka_unit_test(test_head_says_what_the_last_layer_is),
        cmocka_unit_test(test_labels_that_are_numbers),
    };
    return cmocka_run_group_tests(tests, clean_environment, NULL);
}
