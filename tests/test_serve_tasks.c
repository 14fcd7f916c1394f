/* reprise serve and its answers: those of Hugging Face's pipelines (tests/goldens/tasks) by each route, the
 * shapes that clients rely on, models that are unloaded, and the log. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support_serve.h"
#include "support_tasks.h"

static const char *const names[] = {"classify", "tag",   "answer",    "fill",
                                    "choose",   "order", "zero_shot", "embed_modules"};
enum { CLASSIFY, TAG, ANSWER, FILL, CHOOSE, ORDER, ZERO_SHOT, EMBED, CASES };
static task_case cases[CASES];
static char models[CASES][FIXTURE_PATH_SIZE + 32]; /* NAME=DIR */
static served shared;

static int open_models(void **state) {
    const char *args[2 * CASES + 1] = {NULL};
    (void)state;
    for (int i = 0; i < CASES; i++) {
        if (!task_case_open(names[i], &cases[i])) return -1;
        snprintf(models[i], sizeof models[i], "%.20s=%.500s", names[i], cases[i].dir);
        args[2 * i] = "-m";
        args[2 * i + 1] = models[i];
    }
    shared = serve_start(args);
    return 0;
}

static int close_models(void **state) {
    (void)state;
    int status = serve_stop(&shared);
    for (int i = 0; i < CASES; i++) task_case_close(&cases[i]);
    return status;
}

/* ---- goldens ---- */

/* What is asked for one input of a call, and where. */
static json_t *make_body(int which, const json_t *call, json_t *input, const char **path) {
    static char at[64];
    json_t *params = json_object_get(call, "params"), *way = json_object_get(params, "aggregation");
    snprintf(at, sizeof at, "/models/%s", names[which]);
    *path = at;
    switch (which) {
    case TAG:
        return json_pack("{s:O, s:{s:s}}", "inputs", input, "parameters", "aggregation_strategy",
                         way ? json_string_value(way) : "simple");
    case ZERO_SHOT:
        return json_pack("{s:O, s:{s:O}}", "inputs", input, "parameters", "candidate_labels",
                         json_object_get(params, "labels"));
    case CHOOSE:
    case ORDER:
        snprintf(at, sizeof at, "/%s/%s", names[which], which == CHOOSE ? "choose" : "coherence");
        return json_incref(input);
    default:
        return json_pack("{s:O}", "inputs", input);
    }
}

/* The answer in the shape of the goldens. */
static json_t *shape(int which, json_t *got) {
    json_t *made;
    size_t i;
    json_t *item;
    if (which == ANSWER || (which == FILL && json_is_object(json_array_get(got, 0)))) {
        made = json_array();
        json_array_append_new(made, got);
        return made;
    }
    if (which == ORDER) {
        made = json_incref(json_object_get(got, "score"));
        json_decref(got);
        return made;
    }
    if (which != ZERO_SHOT) return got;
    made = json_object();
    json_array_foreach(got, i, item) json_object_set(made, json_string_value(json_object_get(item, "label")),
                                                     json_object_get(item, "score"));
    json_decref(got);
    return made;
}

static void check_call(int which, const json_t *call) {
    size_t i;
    json_t *input, *answers = json_object_get(call, "answers");
    json_array_foreach(json_object_get(call, "inputs"), i, input) {
        const char *path;
        double worst = 0;
        json_t *body = make_body(which, call, input, &path);
        char *text = json_dumps(body, 0);
        json_t *got = shape(which, serve_json(&shared, path, text, 200));
        if (!task_same(got, json_array_get(answers, i), &worst)) {
            char *said = json_dumps(got, JSON_ENCODE_ANY);
            fail_msg("%s: input %zu: %s", names[which], i, said);
        }
        json_decref(got);
        json_decref(body);
        free(text);
    }
}

static void test_answers_are_those_of_the_pipelines(void **state) {
    (void)state;
    for (int which = 0; which < EMBED; which++)
        check_call(which, json_array_get(json_object_get(cases[which].root, "calls"), 0));
}

static double number(const json_t *list, size_t i) {
    return json_number_value(json_array_get(list, i));
}

/* Vectors have length 1 unless "normalize" is false, and their direction either way. */
static void test_vectors_are_those_of_sentence_transformers(void **state) {
    (void)state;
    json_t *call = json_array_get(json_object_get(cases[EMBED].root, "calls"), 0);
    json_t *inputs = json_object_get(call, "inputs"), *answers = json_object_get(call, "answers");
    for (int plain = 0; plain < 2; plain++) {
        json_t *body = json_pack("{s:O, s:b}", "inputs", inputs, "normalize", !plain);
        char *text = json_dumps(body, 0);
        json_t *got = serve_json(&shared, "/embed_modules/embed", text, 200);
        assert_int_equal(json_array_size(got), json_array_size(inputs));
        for (size_t i = 0; i < json_array_size(got); i++) {
            json_t *a = json_array_get(got, i), *b = json_array_get(answers, i);
            double aa = 0, bb = 0, ab = 0;
            for (size_t k = 0; k < json_array_size(b); k++) {
                aa += number(a, k) * number(a, k);
                bb += number(b, k) * number(b, k);
                ab += number(a, k) * number(b, k);
            }
            assert_int_equal(json_array_size(a), json_array_size(b));
            if (!plain) assert_true(fabs(aa - 1) < 1e-5);
            assert_true(ab / sqrt(aa * bb) > 0.99999);
        }
        json_decref(got);
        json_decref(body);
        free(text);
    }
}

/* ---- what clients rely on ---- */

static int digit(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : 0;
}

static void test_base64_holds_the_same_floats(void **state) {
    (void)state;
    json_t *plain =
        serve_json(&shared, "/v1/embeddings", "{\"input\": \"dull.\", \"model\": \"embed_modules\"}", 200);
    json_t *coded = serve_json(
        &shared, "/v1/embeddings",
        "{\"input\": [\"dull.\"], \"model\": \"embed_modules\", \"encoding_format\": \"base64\"}", 200);
    json_t *a = json_object_get(json_array_get(json_object_get(plain, "data"), 0), "embedding");
    const char *b =
        json_string_value(json_object_get(json_array_get(json_object_get(coded, "data"), 0), "embedding"));
    assert_non_null(b);
    size_t columns = json_array_size(a);
    assert_int_equal(strlen(b), (4 * columns + 2) / 3 * 4);
    unsigned char *bytes = calloc(columns + 1, 4);
    for (size_t i = 0; i + 4 <= strlen(b); i += 4) {
        uint32_t three = 0;
        for (int k = 0; k < 4; k++) three = three << 6 | (uint32_t)digit(b[i + k]);
        for (int k = 0; k < 3; k++)
            if (i / 4 * 3 + k < 4 * columns) bytes[i / 4 * 3 + k] = (unsigned char)(three >> (16 - 8 * k));
    }
    for (size_t k = 0; k < columns; k++) {
        uint32_t bits = 0;
        float value;
        for (int n = 3; n >= 0; n--) bits = bits << 8 | bytes[4 * k + n];
        memcpy(&value, &bits, sizeof value);
        assert_true(value == (float)number(a, k));
    }
    assert_int_equal(json_integer_value(json_object_get(json_object_get(coded, "usage"), "total_tokens")),
                     json_integer_value(json_object_get(json_object_get(plain, "usage"), "prompt_tokens")));
    free(bytes);
    json_decref(plain);
    json_decref(coded);
}

static void test_shapes_are_those_of_the_peers(void **state) {
    (void)state;
    static const struct {
        const char *path, *body, *holds;
    } asked[] = {
        {"/predict", "{\"inputs\": \"a\"}", "[{\"label\": "},
        {"/predict", "{\"inputs\": [\"a\", \"b\"]}", "[{\"label\": "},
        {"/predict", "{\"inputs\": [[\"a\"], [\"a\", \"b\"]]}", "[[{\"label\": "},
        {"/predict", "{\"inputs\": \"a\", \"raw_scores\": true}", "[{\"label\": "},
        {"/embed_modules/embed", "{\"inputs\": \"a\"}", "[[-"},
        {"/embed_modules/embed", "{\"inputs\": [5, 6]}", "[["},
        {"/embed_all", "{\"inputs\": \"a\"}", "[[["},
        {"/embed_modules/rerank", "{\"query\": \"a\", \"texts\": [\"b\", \"a\"], \"return_text\": true}",
         "[{\"index\": 1, \"text\": \"a\", \"score\": 1.0"},
        {"/v1/rerank",
         "{\"model\": \"embed_modules\", \"query\": \"a\", \"documents\": [\"b\", {\"text\": \"a\"}], "
         "\"top_n\": 1}",
         "\"results\": [{\"index\": 1, \"relevance_score\": 1.0"},
        {"/tokenize", "{\"inputs\": \"film\"}",
         "[[{\"id\": 2, \"text\": \"[CLS]\", \"special\": true, \"start\": null"},
        {"/tokenize", "{\"inputs\": [\"a film\"], \"add_special_tokens\": false}",
         "\"text\": \" film\", \"special\": false, \"start\": 1, \"stop\": 6"},
        {"/similarity", "{\"inputs\": {\"source_sentence\": \"a\", \"sentences\": [\"a\"]}}", "[1.0"},
        {"/models/fill", "{\"inputs\": \"a [MASK].\", \"parameters\": {\"targets\": [\"film\"]}}",
         "\"token_str\": \"film\""},
        {"/", "{\"inputs\": {\"question\": \"Who?\", \"context\": \"Ada.\"}}", "\"answer\": "},
        {"/pipeline/feature-extraction", "{\"inputs\": \"a\"}", "[["},
        {"/score", "{\"inputs\": \"a film\"}", "{\"score\": -"},
        {"/summarize", "{\"inputs\": \"It rained. It was late.\", \"sentences\": 1}", "[{\"text\": \"It "},
        {"/moderate", "{\"inputs\": [\"a film\"]}", "[{\"flagged\": "},
        {"/info", NULL, "\"max_client_batch_size\": 32"},
        {"/v1/models", NULL, "\"id\": \"embed_modules\""},
        {"/openapi.json", NULL, "\"/v1/embeddings\""},
        {"/metrics", NULL, "te_request_count{method=\"single\"}"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        reply r = serve_ask(&shared, asked[i].path, asked[i].body, "");
        if (r.status != 200 || !strstr(r.body, asked[i].holds))
            fail_msg("%s %s: %.400s", asked[i].path, asked[i].body ? asked[i].body : "", r.all);
        if (strcmp(asked[i].path, "/metrics") && !r.json) fail_msg("%s: no JSON", asked[i].path);
        reply_free(&r);
    }
}

/* huggingface_hub takes the first item of a list for the labels. */
static void test_labels_are_nested_for_who_expects_it(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": \"dull.\", \"parameters\": {\"top_k\": 1}}";
    reply flat = serve_ask(&shared, "/models/classify", body, "");
    reply nested = serve_ask(&shared, "/models/classify", body, "User-Agent: unknown/None; hf_hub/2.4.0\r\n");
    assert_int_equal(json_array_size(flat.json), 1);
    assert_true(json_equal(flat.json, json_array_get(nested.json, 0)));
    reply_free(&flat);
    reply_free(&nested);
}

static void test_long_texts_are_refused_where_they_must_not_be_cut(void **state) {
    (void)state;
    char body[4000] = "{\"truncate\": false, \"inputs\": \"";
    for (int i = 0; i < 300; i++) strcat(body, "late ");
    strcat(body, "\"}");
    static const char *const paths[] = {"/classify/predict", "/classify/embed"};
    for (size_t i = 0; i < 2; i++) json_decref(serve_json(&shared, paths[i], body, 422));
    memcpy(strstr(body, "false"), "true ", 5);
    for (size_t i = 0; i < 2; i++) json_decref(serve_json(&shared, paths[i], body, 200));
}

/* A small body must not make the server write gigabytes: each candidate for each mask is a text. */
static void test_candidates_are_bounded(void **state) {
    (void)state;
    char body[8000] = "{\"inputs\": \"";
    for (int i = 0; i < 500; i++) strcat(body, "[MASK] ");
    strcat(body, "\", \"parameters\": {\"targets\": [\"film\"]}}");
    json_decref(serve_json(&shared, "/models/fill", body, 422));
    json_decref(serve_json(&shared, "/models/fill",
                           "{\"inputs\": \"a [MASK].\", \"parameters\": {\"top_k\": 1001}}", 422));
    json_decref(serve_json(&shared, "/models/fill",
                           "{\"inputs\": \"a [MASK].\", \"parameters\": {\"top_k\": 1000}}", 200));
    json_decref(serve_json(&shared, "/models/answer",
                           "{\"inputs\": {\"question\": \"Who?\", \"context\": \"Ada.\"}, "
                           "\"parameters\": {\"top_k\": 1000000}}",
                           422));
}

/* ---- a server of its own ---- */

/* An index of two texts finds the nearer one, by the model that made it; a policy names the action. */
static void test_index_and_policy_are_served(void **state) {
    (void)state;
    char file[FIXTURE_PATH_SIZE + 32], index[FIXTURE_PATH_SIZE + 32], policy[FIXTURE_PATH_SIZE + 32];
    snprintf(index, sizeof index, "films=%.500s/films", cases[EMBED].dir);
    snprintf(file, sizeof file, "%.500s/films", cases[EMBED].dir);
    snprintf(policy, sizeof policy, "%.500s/policy", cases[CLASSIFY].dir);
    assert_true(
        fixture_write_text(cases[CLASSIFY].dir, "policy",
                           "{\"rules\": [{\"label\": \"good\", \"threshold\": 0, \"action\": \"praise\"}]}"));
    cli_run made = cli_text(CLI_ARGS("index", "-m", cases[EMBED].dir, "-o", file), "dull.\nit was late\n");
    assert_int_equal(made.status, 0);
    cli_free(&made);
    served s = serve_start(
        CLI_ARGS("-m", models[CLASSIFY], "-m", models[EMBED], "--index", index, "--policy-file", policy));
    json_t *found =
        serve_json(&s, "/search", "{\"query\": \"it was late\", \"index\": \"films\", \"top_k\": 1}", 200);
    assert_int_equal(json_array_size(found), 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(found, 0), "text")), "it was late");
    json_t *verdict = serve_json(&s, "/moderate", "{\"inputs\": \"dull.\"}", 200);
    assert_string_equal(json_string_value(json_object_get(verdict, "action")), "praise");
    json_decref(serve_json(&s, "/search", "{\"query\": \"a\", \"index\": \"other\"}", 404));
    json_decref(found);
    json_decref(verdict);
    assert_int_equal(serve_stop(&s), 0);
}

static bool is_loaded(const served *s, size_t model) {
    json_t *info = serve_json(s, "/info", NULL, 200);
    bool loaded =
        json_is_true(json_object_get(json_array_get(json_object_get(info, "models"), model), "loaded"));
    json_decref(info);
    return loaded;
}

/* A folder whose modules.json alone says where the tokenizer is. */
static void make_kept(task_case *out, char *named, size_t size) {
    char from[FIXTURE_PATH_SIZE + 32], to[FIXTURE_PATH_SIZE + 32];
    assert_true(task_case_open("embed_modules", out));
    snprintf(from, sizeof from, "%.500s/0_Transformer", out->dir);
    snprintf(to, sizeof to, "%.500s/words", out->dir);
    assert_int_equal(rename(from, to), 0);
    assert_true(
        fixture_write_text(out->dir, "modules.json",
                           "[{\"path\": \"words\", \"type\": \"sentence_transformers.models.Transformer\"}, "
                           "{\"path\": \"1_Pooling\", \"type\": \"sentence_transformers.models.Pooling\"}]"));
    snprintf(named, size, "words=%.500s", out->dir);
}

/* What nobody asks for is unloaded, and the next request has the same answer; tokenizers stay. The log says
 * what was asked, and nothing of the text. */
static void test_idle_models_are_unloaded(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": \"a warm and funny film\"}";
    const struct timespec pause = {.tv_nsec = 100000000};
    char line[2000], dir[FIXTURE_PATH_SIZE + 32];
    task_case kept;
    make_kept(&kept, dir, sizeof dir);
    served s = serve_start(CLI_ARGS("-m", dir, "-m", models[CLASSIFY], "--idle", "1"));
    json_t *before = serve_json(&s, "/predict", body, 200);
    assert_true(is_loaded(&s, 1));
    for (int i = 0; i < 100 && is_loaded(&s, 1); i++) nanosleep(&pause, NULL);
    assert_false(is_loaded(&s, 1));
    for (int i = 0; i < 100 && is_loaded(&s, 0); i++) nanosleep(&pause, NULL);
    assert_false(is_loaded(&s, 0));
    json_decref(serve_json(&s, "/words/tokenize", body, 200));
    assert_false(is_loaded(&s, 0));
    json_t *after = serve_json(&s, "/predict", body, 200);
    assert_true(json_equal(before, after));
    assert_true(cli_read_line(&s.pipe, line, sizeof line, 10));
    assert_non_null(strstr(line, " POST /predict classify 200 total "));
    assert_null(strstr(line, "warm"));
    json_decref(before);
    json_decref(after);
    assert_int_equal(serve_stop(&s), 0);
    task_case_close(&kept);
}

/* `similarity` was made for vectors, and has heads left that its training did not keep. */
static void test_a_model_of_vectors_does_not_fill_masks(void **state) {
    (void)state;
    static const char body[] = "{\"inputs\": \"She opened the [MASK].\"}";
    served s = serve_start(CLI_ARGS("-m", "similarity", "-m", "pretrained"));
    json_t *chosen = serve_json(&s, "/pipeline/fill-mask", body, 200), *root = serve_json(&s, "/", body, 200);
    json_t *made = serve_json(&s, "/models/pretrained", body, 200);
    json_t *asked = serve_json(&s, "/models/similarity/pipeline/fill-mask", body, 200);
    assert_true(json_equal(chosen, made) && json_equal(root, made));
    assert_false(json_equal(chosen, asked));
    json_decref(chosen);
    json_decref(root);
    json_decref(made);
    json_decref(asked);
    assert_int_equal(serve_stop(&s), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_are_those_of_the_pipelines),
        cmocka_unit_test(test_vectors_are_those_of_sentence_transformers),
        cmocka_unit_test(test_base64_holds_the_same_floats),
        cmocka_unit_test(test_shapes_are_those_of_the_peers),
        cmocka_unit_test(test_labels_are_nested_for_who_expects_it),
        cmocka_unit_test(test_long_texts_are_refused_where_they_must_not_be_cut),
        cmocka_unit_test(test_a_model_of_vectors_does_not_fill_masks),
        cmocka_unit_test(test_candidates_are_bounded),
        cmocka_unit_test(test_index_and_policy_are_served),
        cmocka_unit_test(test_idle_models_are_unloaded),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
