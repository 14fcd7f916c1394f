/* The n-th allocation of host memory fails, for every n until none does: while a device and a model are
 * opened and while each task runs. A status and a message, nothing left behind (the leak check of the
 * sanitized build sees), and the same handles work afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "support_tasks.h"
#include "tools/bench/measure.h"
#include "wrap_alloc.h"

/* ---- the work ---- */

static rp_device *device;

typedef struct work {
    rp_status (*act)(struct work *work, rp_error *err);
    void (*settle)(struct work *work, rp_status status); /* checks and frees; nothing fails here */
    const char *dir;
    const json_t *call;
    rp_device *device;
    rp_model *model;
    rp_result *result;
    rp_tokenizer *tokenizer;
    rp_encoding encoding;
    char *text;
    int first, step; /* which allocations fail: the first-th, and each step-th from there; 0: each */
} work;

static void sweep(work *w) {
    int n = w->first;
    for (bool came = true; came; n += w->step ? w->step : 1) {
        rp_error err = {0};
        alloc_begin(n);
        rp_status status = w->act(w, &err);
        came = alloc_end();
        if (status && status != RP_ERROR_HOST_MEMORY) print_error("%d: %s\n", n, err.message);
        assert_int_equal(status, came && status ? RP_ERROR_HOST_MEMORY : RP_OK);
        assert_int_equal(err.status, status);
        if (status) assert_true(strlen(err.message) > 10);
        w->settle(w, status);
    }
    assert_true(n > 1);
}

static int setup(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

/* ---- a device ---- */

static rp_status open_device(work *w, rp_error *err) {
    size_t count = 0;
    rp_status status = rp_device_list(NULL, 0, &count, err);
    return status ? status : rp_device_open(NULL, &w->device, err);
}

static void close_device(work *w, rp_status status) {
    assert_int_equal(status == RP_OK, w->device != NULL);
    rp_device_close(&w->device);
}

static void test_device(void **state) {
    work w = {.act = open_device, .settle = close_device};
    (void)state;
    sweep(&w);
}

/* ---- a model ---- */

static rp_status open_model(work *w, rp_error *err) {
    return rp_model_open(device, w->dir, NULL, &w->model, err);
}

static void close_model(work *w, rp_status status) {
    assert_int_equal(status == RP_OK, w->model != NULL);
    if (w->model) assert_non_null(rp_model_get_tokenizer(w->model));
    rp_model_close(&w->model);
    assert_int_equal(rp_device_memory_used(device), 0);
}

/* Most of it is the same for the three cases: each takes every third allocation, from another one on. */
static void test_model(void **state) {
    static int models;
    task_case c;
    assert_true(task_case_open(*state, &c));
    work w = {.act = open_model, .settle = close_model, .dir = c.dir, .step = fixture_stride(3)};
    w.first = models++ % w.step;
    sweep(&w);
    task_case_close(&c);
}

/* ---- tasks ---- */

static rp_status run_task(work *w, rp_error *err) {
    rp_status status = task_run(w->model, w->call, NULL, 1, &w->result, err);
    if (!status) status = rp_result_json(w->result, 0, NULL, &w->text, NULL, err);
    if (status) rp_result_free(&w->result);
    return status;
}

static void check_answer(work *w, rp_status status) {
    double worst = 0;
    assert_int_equal(status == RP_OK, w->result != NULL);
    assert_int_equal(status == RP_OK, w->text != NULL);
    rp_string_free(&w->text);
    if (status) return;
    const json_t *input = json_array_get(json_object_get(w->call, "inputs"), 0);
    json_t *got = task_answer(w->call, input, w->result, 0);
    assert_true(task_same(got, json_array_get(json_object_get(w->call, "answers"), 0), &worst));
    json_decref(got);
    rp_result_free(&w->result);
}

static void test_task(void **state) {
    task_case c;
    rp_error err = {0};
    work w = {.act = run_task, .settle = check_answer};
    assert_true(task_case_open(*state, &c));
    assert_int_equal(rp_model_open(device, c.dir, NULL, &w.model, &err), RP_OK);
    for (size_t i = 0; i < json_array_size(c.calls); i += 3) { /* the others differ in numbers alone */
        w.call = json_array_get(c.calls, i);
        sweep(&w);
    }
    rp_model_close(&w.model);
    task_case_close(&c);
}

/* ---- labelled data ---- */

static rp_status evaluate(work *w, rp_error *err) {
    rp_evaluation *evaluation = NULL;
    char out[FIXTURE_PATH_SIZE + 32];
    snprintf(out, sizeof out, "%s/predictions.jsonl", w->dir);
    const rp_eval_params params = {.predictions = out};
    rp_status status = rp_eval(w->model, w->text, &params, &evaluation, err);
    assert_int_equal(status == RP_OK, evaluation != NULL);
    rp_evaluation_free(&evaluation);
    return status;
}

static void look_at_nothing(work *w, rp_status status) {
    (void)w, (void)status;
}

/* For each task the name of its golden case, a file's, and what the file holds. */
static void test_evaluation(void **state) {
    static const char *const files[][3] = {
        {"classify", "a.csv", "text,label\n\"a \"\"b\"\"\",good\nc,bad\n"},
        {"classify_many", "a.jsonl", "{\"text\": \"a\", \"labels\": [\"a\", \"d\"]}\n"},
        {"classify_value", "a.tsv", "sentence\tlabel\na\t.5\nb\t2\n"},
        {"tag", "a.conll", "Ada\tB-PER\nran\tO\n"},
        {"answer", "a.json",
         "{\"data\": [{\"paragraphs\": [{\"context\": \"Ada ran.\", \"qas\": [{\"question\": \"Who ran?\", "
         "\"answers\": [{\"text\": \"Ada\", \"answer_start\": 0}]}, {\"question\": \"Who?\", \"answers\": "
         "[]}]}]}]}"},
        {"choose", "a.jsonl", "{\"text\": \"a\", \"choices\": [\"b\", \"c\"], \"label\": 1}\n"},
        {"order", "a.tsv", "text\ttext_pair\tlabel\na\tb\tswapped\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        task_case c;
        rp_error err = {0};
        char path[FIXTURE_PATH_SIZE + 32];
        work w = {.act = evaluate, .settle = look_at_nothing, .text = path};
        assert_true(task_case_open(files[i][0], &c));
        w.dir = c.dir;
        snprintf(path, sizeof path, "%s/%s", c.dir, files[i][1]);
        assert_true(fixture_write_text(c.dir, files[i][1], files[i][2]));
        assert_int_equal(rp_model_open(device, c.dir, NULL, &w.model, &err), RP_OK);
        sweep(&w);
        rp_model_close(&w.model);
        task_case_close(&c);
    }
}

/* ---- documents and dialogues: w->text is a folder of documents, and of the files of a dialogue ---- */

static rp_status ask_documents(work *w, rp_error *err) {
    const rp_text question = RP_TEXT("Who ran?");
    char index[FIXTURE_PATH_SIZE + 32];
    snprintf(index, sizeof index, "%s/index", w->dir);
    const rp_documents_params params = {.index = index};
    rp_documents *documents = NULL;
    unlink(index);
    rp_status status = rp_documents_open(w->text, &params, &documents, err);
    if (!status) status = rp_answer_documents(w->model, documents, &question, 1, NULL, &w->result, err);
    if (!status) assert_string_not_equal(rp_result_sources(w->result, 0, NULL)->document, "");
    rp_documents_close(&documents);
    rp_result_free(&w->result);
    return status;
}

static rp_status talk(work *w, rp_error *err) {
    const rp_text texts[] = {RP_TEXT("who ran"), RP_TEXT("hares")};
    char faq[FIXTURE_PATH_SIZE + 32];
    snprintf(faq, sizeof faq, "%s/faq.csv", w->text);
    const rp_chat_params params = {.model = w->model, .faq = faq};
    rp_chat *chat = NULL;
    rp_status status = rp_chat_open(&params, &chat, err);
    if (!status) status = rp_chat_say(chat, texts, 2, NULL, &w->result, err);
    if (!status) assert_non_null(rp_result_reply(w->result, 0)->answer);
    rp_chat_close(&chat);
    rp_result_free(&w->result);
    return status;
}

static void test_collections(void **state) {
    task_case c;
    rp_error err = {0};
    char folder[FIXTURE_PATH_SIZE];
    work w = {.act = ask_documents, .settle = look_at_nothing, .text = folder};
    (void)state;
    assert_true(task_case_open("answer", &c) && fixture_make_dir(folder));
    assert_true(fixture_write_text(folder, "a.txt", "Ada ran. She was late."));
    assert_true(fixture_write_text(folder, "b.jsonl", "{\"id\": \"b\", \"text\": \"A hare ran.\"}\n"));
    assert_true(
        fixture_write_text(folder, "faq.csv", "question,answer\nwho ran?,Ada\nwhen?,\"at noon, once\"\n"));
    assert_int_equal(rp_model_open(device, c.dir, NULL, &w.model, &err), RP_OK);
    w.dir = c.dir;
    sweep(&w);
    w.act = talk;
    sweep(&w);
    rp_model_close(&w.model);
    task_case_close(&c);
    fixture_remove_dir(folder);
}

/* ---- n-best lists and summaries ---- */

static rp_status tune(work *w, rp_error *err) {
    char list[FIXTURE_PATH_SIZE + 32], references[FIXTURE_PATH_SIZE + 32];
    rp_nbest_tuning tuning;
    snprintf(list, sizeof list, "%s/list", w->dir);
    snprintf(references, sizeof references, "%s/references", w->dir);
    rp_status status = rp_nbest_tune(w->model, list, references, NULL, &tuning, err);
    assert_true(tuning.lists == (status ? 0 : 2));
    return status;
}

static rp_status summarize(work *w, rp_error *err) {
    static const rp_text text = RP_TEXT("One thing is here. Two are there! One thing is here.");
    rp_status status = rp_summarize(w->model, &text, 1, NULL, &w->result, err);
    if (!status) status = rp_result_json(w->result, 0, NULL, &w->text, NULL, err);
    assert_int_equal(status == RP_OK, w->text != NULL);
    rp_string_free(&w->text);
    rp_result_free(&w->result);
    return status;
}

static void test_lists_and_summaries(void **state) {
    task_case c;
    rp_error err = {0};
    work w = {.act = tune, .settle = look_at_nothing};
    (void)state;
    assert_true(task_case_open("score", &c));
    w.dir = c.dir;
    assert_true(
        fixture_write_text(c.dir, "list", "0 ||| a b ||| ||| 1\n0 ||| a ||| f ||| 0\n1 ||| c ||| ||| 2\n"));
    assert_true(fixture_write_text(c.dir, "references", "a\nc\n"));
    assert_int_equal(rp_model_open(device, c.dir, NULL, &w.model, &err), RP_OK);
    sweep(&w);
    w.act = summarize;
    sweep(&w);
    rp_model_close(&w.model);
    task_case_close(&c);
}

/* ---- measuring ---- */

static rp_status measure(work *w, rp_error *err) {
    rp_replay_time time;
    return rp_bench_replay(w->model, RP_REPLAY_SECONDARY, 2, 3, 1, &time, err);
}

static void test_measuring(void **state) {
    task_case c;
    rp_error err = {0};
    work w = {.act = measure, .settle = look_at_nothing};
    (void)state;
    assert_true(task_case_open("classify_many", &c));
    assert_int_equal(rp_model_open(device, c.dir, NULL, &w.model, &err), RP_OK);
    sweep(&w);
    rp_model_close(&w.model);
    task_case_close(&c);
}

/* ---- a tokenizer ---- */

static rp_status open_tokenizer(work *w, rp_error *err) {
    return rp_tokenizer_open(w->dir, &w->tokenizer, err);
}

static void close_tokenizer(work *w, rp_status status) {
    assert_int_equal(status == RP_OK, w->tokenizer != NULL);
    rp_tokenizer_close(&w->tokenizer);
}

static rp_status tokenize(work *w, rp_error *err) {
    static const char text[] = "Once upon a time, a na\xc3\xafve fox";
    rp_status status = rp_tokenize(w->tokenizer, (rp_text){text, sizeof text - 1}, (rp_text){text, 9}, NULL,
                                   &w->encoding, err);
    if (status) return status;
    return rp_tokenizer_decode(w->tokenizer, w->encoding.ids, w->encoding.count, true, &w->text, err);
}

static void check_tokens(work *w, rp_status status) {
    if (!status) assert_true(w->encoding.count > 5 && strlen(w->text) > 9);
    rp_encoding_free(&w->encoding);
    rp_string_free(&w->text);
}

static void test_tokenizer(void **state) {
    task_case c;
    rp_error err = {0};
    assert_true(task_case_open(*state, &c));
    work w = {.act = open_tokenizer, .settle = close_tokenizer, .dir = c.dir};
    sweep(&w);
    w = (work){.act = tokenize, .settle = check_tokens};
    assert_int_equal(rp_tokenizer_open(c.dir, &w.tokenizer, &err), RP_OK);
    sweep(&w);
    rp_tokenizer_close(&w.tokenizer);
    task_case_close(&c);
}

#define CASE(function, case_name) \
    { #function ": " case_name, function, NULL, NULL, case_name }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device),
        CASE(test_tokenizer, "classify"),
        CASE(test_tokenizer, "fill_wordpiece"),
        CASE(test_model, "embed_mean"),
        CASE(test_model, "embed_modules"),
        CASE(test_model, "tag_wordpiece"),
        CASE(test_task, "classify"),
        CASE(test_task, "fill_wordpiece"),
        CASE(test_task, "tag"),
        CASE(test_task, "answer"),
        CASE(test_task, "answer_wordpiece"),
        CASE(test_task, "embed_mean"),
        CASE(test_task, "embed_joined"),
        CASE(test_task, "embed_prompts"),
        CASE(test_task, "order"),
        CASE(test_task, "choose"),
        CASE(test_task, "score"),
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_collections),
        cmocka_unit_test(test_lists_and_summaries),
        cmocka_unit_test(test_measuring),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
