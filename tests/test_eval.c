/* rp_eval: the metrics of a file are those of the answers that Hugging Face's pipelines give (the goldens of
 * tests/goldens/tasks), and of labels that are right or wrong on purpose. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_tasks.h"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static rp_device *device;

static int open_device(void **state) {
    rp_error err;
    (void)state;
    return rp_device_open(NULL, &device, &err);
}

static int close_device(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

/* A model of the goldens, and a file of data beside it. */
typedef struct place {
    task_case c;
    rp_model *model;
    char data[PATH], out[PATH];
} place;

static void begin(place *p, const char *name, const char *file) {
    rp_error err = {0};
    assert_true(task_case_open(name, &p->c));
    if (rp_model_open(device, p->c.dir, NULL, &p->model, &err)) fail_msg("%s", err.message);
    snprintf(p->data, sizeof p->data, "%s/%s", p->c.dir, file);
    snprintf(p->out, sizeof p->out, "%s/predictions.jsonl", p->c.dir);
}

static void end(place *p) {
    rp_model_close(&p->model);
    task_case_close(&p->c);
}

static void write_lines(const char *path, json_t *lines) {
    FILE *file = fopen(path, "w");
    size_t i;
    json_t *line;
    assert_non_null(file);
    json_array_foreach(lines, i, line) {
        char *text = json_dumps(line, JSON_COMPACT);
        fprintf(file, "%s\n", text);
        free(text);
    }
    fclose(file);
}

static json_t *read_lines(const char *path) {
    json_t *lines = json_array();
    FILE *file = fopen(path, "r");
    static char line[1 << 20];
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        json_t *value = json_loads(line, 0, NULL);
        assert_non_null(value);
        json_array_append_new(lines, value);
    }
    fclose(file);
    return lines;
}

static double metric(const rp_evaluation *e, const char *name) {
    size_t count;
    const rp_metric *metrics = rp_evaluation_metrics(e, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(metrics[i].name, name)) return metrics[i].value;
    fail_msg("no metric %s", name);
    return NAN;
}

static rp_evaluation *evaluate(const place *p, rp_eval_params params) {
    rp_evaluation *e = NULL;
    rp_error err = {0};
    if (rp_eval(p->model, p->data, &params, &e, &err)) fail_msg("%s", err.message);
    assert_non_null(e);
    return e;
}

static const json_t *call_of(const place *p) {
    return json_array_get(p->c.calls, 0);
}

/* An input of the goldens as a row; an input that is only a text becomes an object. */
static json_t *row_of(const json_t *input) {
    return json_is_string(input) ? json_pack("{sO}", "text", input) : json_deep_copy(input);
}

/* ---- labels ---- */

/* Every third label is another than the golden's first one. */
static void test_classify(void **state) {
    place p;
    size_t i, right = 0;
    json_t *input, *lines = json_array();
    double loss = 0;
    (void)state;
    begin(&p, "classify", "data.jsonl");
    const json_t *answers = json_object_get(call_of(&p), "answers");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        const json_t *best = json_array_get(json_array_get(answers, i), i % 3 == 2);
        json_t *row = row_of(input);
        loss -= log(json_number_value(json_object_get(best, "score")));
        right += i % 3 != 2;
        json_object_set(row, "label", json_object_get(best, "label"));
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.predictions = p.out});
    assert_int_equal(rp_evaluation_task(e), RP_EVAL_CLASSIFY);
    assert_int_equal(rp_evaluation_rows(e, NULL), i);
    assert_true(fabs(metric(e, "accuracy") - (double)right / (double)i) < 1e-9);
    assert_true(fabs(metric(e, "loss") - loss / (double)i) < 1e-3);
    assert_true(metric(e, "f1_macro") > 0 && metric(e, "matthews_correlation") < 1);
    json_t *got = read_lines(p.out);
    assert_int_equal(json_array_size(got), i);
    for (size_t k = 0; k < i; k++) {
        const json_t *line = json_array_get(got, k), *best = json_array_get(json_array_get(answers, k), 0);
        assert_int_equal(json_integer_value(json_object_get(line, "row")), k);
        assert_true(json_equal(json_object_get(line, "prediction"), json_object_get(best, "label")));
        assert_true(fabs(json_number_value(json_object_get(line, "score")) -
                         json_number_value(json_object_get(best, "score"))) < 1e-4);
    }
    rp_evaluation_free(&e);
    assert_null(e);
    json_decref(got);
    json_decref(lines);
    end(&p);
}

static void test_many_labels(void **state) {
    place p;
    size_t i, k;
    json_t *input, *answer, *lines = json_array();
    (void)state;
    begin(&p, "classify_many", "data.jsonl");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        json_t *row = row_of(input), *labels = json_array();
        json_array_foreach(json_array_get(json_object_get(call_of(&p), "answers"), i), k, answer) {
            bool said = json_number_value(json_object_get(answer, "score")) > 0.5;
            if (said == (i > 0)) json_array_append(labels, json_object_get(answer, "label"));
        }
        json_object_set_new(row, "labels", labels);
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.predictions = p.out});
    assert_int_equal(rp_evaluation_task(e), RP_EVAL_MULTILABEL);
    assert_true(fabs(metric(e, "accuracy") - (double)(i - 1) / (double)i) < 1e-9); /* all but the first */
    assert_true(metric(e, "f1_micro") > 0.5 && metric(e, "f1_micro") < 1);
    rp_evaluation_free(&e);
    json_decref(lines);
    end(&p);
}

static void test_numbers(void **state) {
    place p;
    size_t i;
    json_t *input, *lines = json_array();
    (void)state;
    begin(&p, "classify_value", "data.jsonl");
    const json_t *answers = json_object_get(call_of(&p), "answers");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        double value =
            json_number_value(json_object_get(json_array_get(json_array_get(answers, i), 0), "score"));
        json_t *row = row_of(input);
        json_object_set_new(row, "label", json_real(-2 * value + 3));
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.glue = "stsb"});
    assert_int_equal(rp_evaluation_task(e), RP_EVAL_REGRESS);
    assert_true(fabs(metric(e, "pearson") + 1) < 1e-4);
    assert_true(fabs(metric(e, "spearmanr") + 1) < 1e-9);
    assert_true(fabs(metric(e, "combined_score") + 1) < 1e-4);
    rp_evaluation_free(&e);
    json_decref(lines);
    end(&p);
}

/* ---- tags ---- */

/* Tags that were predicted are right; words of one piece have the tags that the pipeline gives. */
static void test_tags(void **state) {
    static const char words[] = "Ada met Zo\xc3\xab in London , near the river , and wrote to him .";
    place p;
    json_t *lines = json_array(), *tokens = json_array(), *tags = json_array();
    rp_result *result = NULL;
    rp_error err = {0};
    char copy[sizeof words];
    size_t seen = 0;
    (void)state;
    begin(&p, "tag", "data.jsonl");
    strcpy(copy, words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        json_array_append_new(tokens, json_string(word));
        json_array_append_new(tags, json_string(json_array_size(tags) ? "O" : "B-PER"));
    }
    for (int i = 0; i < 2; i++)
        json_array_append_new(lines, json_pack("{sOsO}", "tokens", tokens, "tags", tags));
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.predictions = p.out});
    assert_int_equal(rp_evaluation_task(e), RP_EVAL_TAG);
    assert_true(metric(e, "accuracy") < 1);
    rp_evaluation_free(&e);
    json_t *got = read_lines(p.out), *said = json_object_get(json_array_get(got, 1), "predictions");
    assert_int_equal(json_array_size(said), json_array_size(tokens));
    const rp_text text = {words, sizeof words - 1};
    const rp_tag_params params = {.aggregation = RP_AGGREGATE_NONE};
    assert_int_equal(rp_tag(p.model, &text, 1, &params, &result, &err), RP_OK);
    size_t count, at = 0;
    const rp_entity *entities = rp_result_entities(result, 0, &count);
    for (size_t k = 0; k < json_array_size(tokens); k++) {
        size_t size = json_string_length(json_array_get(tokens, k));
        for (size_t i = 0; i < count; i++) {
            if (entities[i].span.end != at + size || entities[i].span.start > at) continue;
            assert_string_equal(json_string_value(json_array_get(said, k)), entities[i].label);
            seen++;
        }
        at += size + 1;
    }
    assert_true(seen >= 3);
    rp_result_free(&result);
    for (int i = 0; i < 2; i++) json_object_set(json_array_get(lines, i), "tags", said);
    write_lines(p.data, lines);
    e = evaluate(&p, (rp_eval_params){0});
    assert_true(metric(e, "accuracy") == 1 && metric(e, "f1") == 1 && metric(e, "precision") == 1);
    const rp_entity_metrics *types = rp_evaluation_entities(e, &count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(types[i].precision == 1 && types[i].recall == 1 && types[i].f1 == 1);
        assert_true(types[i].support > 0 && types[i].support % 2 == 0); /* two sentences alike */
        assert_true(!i || strcmp(types[i - 1].type, types[i].type) < 0);
    }
    rp_evaluation_free(&e);
    json_decref(got);
    json_decref(tokens);
    json_decref(tags);
    json_decref(lines);
    end(&p);
}

/* A sentence of several windows has a tag for every word, those of the first window as if it were alone. */
static void test_tags_of_long_sentences(void **state) {
    enum { WORDS = 400 };
    place p;
    json_t *lines = json_array();
    (void)state;
    begin(&p, "tag", "data.jsonl");
    for (int i = 0; i < 2; i++) {
        json_t *tokens = json_array(), *tags = json_array();
        for (int k = 0; k < (i ? WORDS : 3); k++) {
            json_array_append_new(tokens, json_string(k % 3 ? "river" : "Ada"));
            json_array_append_new(tags, json_string("O"));
        }
        json_array_append_new(lines, json_pack("{soso}", "tokens", tokens, "tags", tags));
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.predictions = p.out, .stride = 8});
    assert_int_equal(rp_evaluation_rows(e, NULL), 2);
    rp_evaluation_free(&e);
    json_t *got = read_lines(p.out), *said = json_object_get(json_array_get(got, 1), "predictions");
    assert_int_equal(json_array_size(said), WORDS);
    for (int k = 0; k < WORDS; k++) assert_true(json_is_string(json_array_get(said, (size_t)k)));
    json_decref(got);
    json_decref(lines);
    end(&p);
}

/* ---- questions, choices, order ---- */

static void test_answers(void **state) {
    place p;
    size_t i;
    json_t *input, *lines = json_array();
    (void)state;
    begin(&p, "answer", "data.jsonl");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        json_t *row = row_of(input), *answer = json_array_get(json_object_get(call_of(&p), "answers"), i);
        if (json_is_array(answer)) answer = json_array_get(answer, 0);
        const char *said = json_string_value(json_object_get(answer, "answer"));
        json_object_set_new(row, "answers", json_pack("[s,s]", "quite another", i ? said : "wrong"));
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.predictions = p.out, .max_answer_tokens = 15});
    assert_int_equal(rp_evaluation_task(e), RP_EVAL_ANSWER);
    assert_true(fabs(metric(e, "exact_match") - 100.0 * (double)(i - 1) / (double)i) < 1e-9);
    rp_evaluation_free(&e);
    json_object_set_new(json_array_get(lines, 0), "answers", json_array()); /* SQuAD 2.0 then */
    write_lines(p.data, lines);
    e = evaluate(&p, (rp_eval_params){.max_answer_tokens = 15});
    assert_true(metric(e, "best_exact") >= metric(e, "exact") && metric(e, "best_f1") >= metric(e, "f1"));
    assert_true(fabs((metric(e, "HasAns_exact") * (double)(i - 1) + metric(e, "NoAns_exact")) / (double)i -
                     metric(e, "exact")) < 1e-9);
    rp_evaluation_free(&e);
    json_decref(lines);
    end(&p);
}

static void test_choices(void **state) {
    place p;
    size_t i, k;
    json_t *input, *score, *lines = json_array();
    (void)state;
    begin(&p, "choose", "data.jsonl");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        json_t *row = row_of(input);
        size_t best = 0;
        const json_t *scores = json_array_get(json_object_get(call_of(&p), "answers"), i);
        json_array_foreach(scores, k, score) if (json_number_value(score) >
                                                 json_number_value(json_array_get(scores, best))) best = k;
        json_object_set_new(row, "label", json_integer((json_int_t)(i ? best : (best + 1) % k)));
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.task = RP_EVAL_CHOOSE, .predictions = p.out});
    assert_true(fabs(metric(e, "accuracy") - (double)(i - 1) / (double)i) < 1e-9);
    assert_true(metric(e, "loss") > 0);
    rp_evaluation_free(&e);
    json_decref(lines);
    end(&p);
}

static void test_order(void **state) {
    place p;
    size_t i;
    json_t *input, *lines = json_array();
    (void)state;
    begin(&p, "order", "data.jsonl");
    json_array_foreach(json_object_get(call_of(&p), "inputs"), i, input) {
        json_t *row = row_of(input), *answer = json_array_get(json_object_get(call_of(&p), "answers"), i);
        double in_order =
            json_number_value(json_is_object(answer) ? json_object_get(answer, "score") : answer);
        json_object_set_new(row, "label", json_integer(in_order < 0.5));
        json_array_append_new(lines, row);
    }
    write_lines(p.data, lines);
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.task = RP_EVAL_ORDER});
    assert_true(metric(e, "accuracy") == 1);
    rp_evaluation_free(&e);
    json_decref(lines);
    end(&p);
}

/* ---- what is wrong ---- */

static void test_errors(void **state) {
    static const struct {
        const char *data;
        rp_eval_params params;
        rp_status status;
        const char *says;
    } cases[] = {
        {"sentence\tlabel\na\tbad\nb\n", {0}, RP_ERROR_FORMAT, "data.tsv: line 3:"},
        {"sentence\tlabel\na\tbad\nb\twonderful\n", {0}, RP_ERROR_FORMAT, "the label 'wonderful'"},
        {"sentence\tlabel\na\t3\n", {0}, RP_ERROR_FORMAT, "the label '3'"},
        {"sentence\tlabel\na\t1\n", {.task = RP_EVAL_TAG}, RP_ERROR_HEAD, "tag"},
        {"sentence\tlabel\na\t1\n", {.task = RP_EVAL_REGRESS}, RP_ERROR_UNSUPPORTED, "has 3 labels"},
        {"sentence\tlabel\na\t1\n", {.task = (rp_eval_task)99}, RP_ERROR_ARGUMENT, "no such task"},
        {"sentence\tlabel\na\t1\n", {.task = RP_EVAL_MLM}, RP_ERROR_HEAD, "fill-mask"},
        {"sentence\tlabel\na\t1\n", {.format = "xml"}, RP_ERROR_ARGUMENT, "'xml'"},
        {"sentence\tlabel\na\t1\n", {.glue = "glue"}, RP_ERROR_ARGUMENT, "'glue'"},
        {"sentence\tlabel\na\t1\n", {.glue = "mrpc"}, RP_ERROR_ARGUMENT, "measured by f1"},
        {"sentence\tlabel\na\t1\n", {.predictions = "/nonexistent/x"}, RP_ERROR_FILE, "/nonexistent/x"},
        {"review\tlabel\na\t1\n", {0}, RP_ERROR_FORMAT, "--text-column"},
    };
    place p;
    rp_evaluation *e;
    rp_error err;
    (void)state;
    begin(&p, "classify", "data.tsv");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        e = (rp_evaluation *)&p;
        assert_true(fixture_write_text(p.c.dir, "data.tsv", cases[i].data));
        assert_int_equal(rp_eval(p.model, p.data, &cases[i].params, &e, &err), cases[i].status);
        assert_null(e);
        if (!strstr(err.message, cases[i].says)) fail_msg("'%s' not in '%s'", cases[i].says, err.message);
    }
    assert_int_equal(rp_eval(p.model, p.data, &(rp_eval_params){.predictions = p.data}, &e, &err),
                     RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "would be written over"));
    assert_int_equal(rp_eval(p.model, NULL, NULL, &e, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_eval(NULL, p.data, NULL, &e, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_eval(p.model, "/nonexistent/x.tsv", NULL, &e, &err), RP_ERROR_FILE);
    end(&p);
}

static void test_bad_rows_are_counted(void **state) {
    place p;
    uint64_t skipped;
    (void)state;
    begin(&p, "classify", "data.tsv");
    assert_true(fixture_write_text(p.c.dir, "data.tsv", "sentence\tlabel\na\t1\nb\nc\t0\n"));
    rp_evaluation *e = evaluate(&p, (rp_eval_params){.skip_bad = true});
    assert_int_equal(rp_evaluation_rows(e, &skipped), 2);
    assert_int_equal(skipped, 1);
    rp_evaluation_free(&e);
    rp_evaluation_free(&e);
    rp_evaluation_free(NULL);
    end(&p);
}

typedef struct told {
    size_t calls, done, total;
    rp_call *cancel; /* in the first call */
} told;

static void take_progress(void *user, size_t done, size_t total) {
    told *t = user;
    assert_true(done > t->done && done <= total);
    t->calls++;
    t->done = done;
    t->total = total;
    if (t->cancel) rp_call_cancel(t->cancel);
}

/* Progress is that of the whole file; a call that is cancelled leaves no predictions and not those before. */
static void test_progress_and_cancelling(void **state) {
    enum { ROWS = 600 };
    place p;
    told t = {0};
    rp_call call = {.progress = take_progress, .user = &t};
    rp_evaluation *e = NULL;
    rp_error err;
    char text[32 * ROWS + 32] = "sentence\tlabel\n";
    (void)state;
    begin(&p, "classify", "data.tsv");
    for (int i = 0; i < ROWS; i++) sprintf(text + strlen(text), "film number %d\tbad\n", i);
    assert_true(fixture_write_text(p.c.dir, "data.tsv", text));
    assert_true(fixture_write_text(p.c.dir, "predictions.jsonl", "{}\n"));
    rp_eval_params params = {.call = &call, .predictions = p.out};
    t.cancel = &call;
    assert_int_equal(rp_eval(p.model, p.data, &params, &e, &err), RP_ERROR_CANCELLED);
    assert_null(e);
    assert_int_equal(t.calls, 1);
    json_t *got = read_lines(p.out);
    assert_int_equal(json_array_size(got), 1);
    json_decref(got);
    strcat(p.out, ".part");
    assert_int_not_equal(access(p.out, F_OK), 0);
    p.out[strlen(p.out) - 5] = '\0';
    call.cancel = 0;
    t = (told){0};
    assert_int_equal(rp_eval(p.model, p.data, &params, &e, &err), RP_OK);
    assert_true(t.calls > 1 && t.done == ROWS && t.total == ROWS);
    rp_evaluation_free(&e);
    got = read_lines(p.out);
    assert_int_equal(json_array_size(got), ROWS);
    json_decref(got);
    call.deadline = rp_clock() - 1;
    assert_int_equal(rp_eval(p.model, p.data, &params, &e, &err), RP_ERROR_DEADLINE);
    end(&p);
}

typedef struct closing {
    rp_model *model;
    pthread_t thread;
    bool started;
} closing;

static void *close_it(void *argument) {
    closing *c = argument;
    return rp_model_close(&c->model) ? c : NULL;
}

static void close_meanwhile(void *user, size_t done, size_t total) {
    closing *c = user;
    (void)done, (void)total;
    if (c->started) return;
    c->started = true;
    assert_int_equal(pthread_create(&c->thread, NULL, close_it, c), 0);
    usleep(100000); /* until it waits */
}

/* A model that is closed meanwhile is closed after the evaluation, all of its batches included. */
static void test_closing_waits(void **state) {
    enum { ROWS = 600 };
    place p;
    closing c = {0};
    rp_call call = {.progress = close_meanwhile, .user = &c};
    rp_evaluation *e = NULL;
    rp_error err = {0};
    char text[32 * ROWS + 32] = "sentence\tlabel\n";
    void *failed = &c;
    (void)state;
    begin(&p, "classify", "data.tsv");
    for (int i = 0; i < ROWS; i++) sprintf(text + strlen(text), "film number %d\tbad\n", i);
    assert_true(fixture_write_text(p.c.dir, "data.tsv", text));
    c.model = p.model;
    if (rp_eval(p.model, p.data, &(rp_eval_params){.call = &call}, &e, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_evaluation_rows(e, NULL), ROWS);
    assert_true(c.started);
    assert_int_equal(pthread_join(c.thread, &failed), 0);
    assert_null(failed);
    p.model = NULL;
    rp_evaluation_free(&e);
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_many_labels),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_tags_of_long_sentences),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bad_rows_are_counted),
        cmocka_unit_test(test_progress_and_cancelling),
        cmocka_unit_test(test_closing_waits),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
