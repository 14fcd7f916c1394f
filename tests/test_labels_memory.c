/* The n-th allocation of host memory fails, for every n until none does, while long texts are classified,
 * explained, given labels of one's own, moderated, and while thresholds are calibrated: a status and a
 * message, and the same handles work afterwards. The linker sends the library's calls here (--wrap). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_tasks.h"
#include "wrap_alloc.h"

typedef struct work {
    rp_model *model;
    char path[2 * FIXTURE_PATH_SIZE], out[2 * FIXTURE_PATH_SIZE];
} work;

static const char text[] =
    "The riv3r was dark. Nobody knows what th\xd0\xb5y said! In the m.o.r.n.i.n.g it was gone, and "
    "with it the letters of a hundred years.";

static rp_status as_json(rp_status status, rp_result *result, rp_error *err) {
    char *json = NULL;
    const char *message = "";
    if (!status) status = rp_result_status(result, 0, &message);
    if (status && err->status != status) snprintf(err->message, sizeof err->message, "%s", message);
    if (!status) status = rp_result_json(result, 0, NULL, &json, NULL, err);
    rp_string_free(&json);
    rp_result_free(&result);
    return status;
}

static rp_status classify_long(work *w, rp_error *err) {
    const rp_input inputs[] = {{{text, sizeof text - 1}, {0}}, {RP_TEXT("a film"), {text, sizeof text - 1}}};
    rp_result *result = NULL;
    const rp_classify_params params = {.long_texts = RP_LONG_VOTE, .stride = 4};
    rp_status status = rp_classify(w->model, inputs, 2, &params, &result, err);
    return as_json(status, result, err);
}

static rp_status explain(work *w, rp_error *err) {
    const rp_input input = {{text, 40}, {0}};
    rp_result *result = NULL;
    const rp_classify_params params = {.explain = true};
    rp_status status = rp_classify(w->model, &input, 1, &params, &result, err);
    return as_json(status, result, err);
}

static rp_status zero_shot(work *w, rp_error *err) {
    static const char *const labels[] = {"weather", "ships"};
    const rp_text texts[] = {{text, sizeof text - 1}, RP_TEXT("a film")};
    rp_result *result = NULL;
    const rp_zero_shot_params params = {.labels = labels, .label_count = 2};
    rp_status status = rp_zero_shot(w->model, texts, 2, &params, &result, err);
    return as_json(status, result, err);
}

static rp_status moderate(work *w, rp_error *err) {
    const rp_text one = {text, sizeof text - 1};
    const rp_moderation_params files = {.thresholds = w->path, .policy = w->out};
    rp_moderation *m = NULL;
    rp_result *result = NULL;
    rp_status status = rp_moderation_open(w->model, &files, &m, err);
    if (!status) status = rp_moderate(m, &one, 1, &(rp_moderate_params){.normalize = true}, &result, err);
    status = as_json(status, result, err);
    rp_moderation_close(&m);
    return status;
}

static rp_status calibrate(work *w, rp_error *err) {
    const rp_eval_params params = {.calibrate = w->out, .target_recall = 0.9};
    rp_evaluation *e = NULL;
    rp_status status = rp_eval(w->model, w->path, &params, &e, err);
    rp_evaluation_free(&e);
    return status;
}

static void sweep(const char *name, rp_status (*act)(work *w, rp_error *err), work *w) {
    rp_error err = {0};
    int n = 0;
    if (act(w, &err)) fail_msg("%s: %s", name, err.message);
    for (bool came = true; came; n++) {
        err = (rp_error){0};
        alloc_begin(n);
        rp_status status = act(w, &err);
        came = alloc_end();
        if (status && (status != RP_ERROR_HOST_MEMORY || !came))
            fail_msg("%s %d: %s: %s", name, n, rp_status_name(status), err.message);
        if (status && strlen(err.message) < 10) fail_msg("%s %d: no message", name, n);
    }
    assert_true(n > 10);
    if (act(w, &err)) fail_msg("%s: %s", name, err.message);
}

static void with_case(const char *name, const char *const *files,
                      rp_status (*const *acts)(work *w, rp_error *err)) {
    task_case c = {0};
    work w = {0};
    rp_error err = {0};
    assert_true(task_case_open(name, &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &w.model, &err), RP_OK);
    for (int i = 0; files && i < 2; i++) {
        char *path = i ? w.out : w.path;
        if (files[i]) assert_true(fixture_write_text(c.dir, i ? "two" : "one.tsv", files[i]));
        snprintf(path, sizeof w.path, "%s/%s", c.dir, i ? "two" : "one.tsv");
    }
    for (size_t i = 0; acts[i]; i++) sweep(name, acts[i], &w);
    rp_model_close(&w.model);
    task_case_close(&c);
}

static void test_memory_runs_out(void **state) {
    static const char *const rules[] = {"{\"thresholds\": {\"a\": 0, \"b\": 0}}",
                                        "{\"rules\": [{\"label\": \"a\", \"action\": \"look\"}], "
                                        "\"actions\": [\"look\"], \"default\": \"go on\"}"};
#define FOUR "the river was dark and the river was dark and the river was dark and the river was dark and "
    static const char *const rows[] = {
        "text\tlabel\na film\ta,b,c,d\ndull.\t\n" FOUR FOUR FOUR FOUR "\ta,b\n", NULL};
    (void)state;
    with_case("long", NULL, (rp_status(*const[])(work *, rp_error *)){classify_long, explain, NULL});
    with_case("zero_shot", NULL, (rp_status(*const[])(work *, rp_error *)){zero_shot, NULL});
    with_case("zero_shot_vectors", NULL, (rp_status(*const[])(work *, rp_error *)){zero_shot, NULL});
    with_case("long_many", rules, (rp_status(*const[])(work *, rp_error *)){moderate, NULL});
    with_case("long_many", rows, (rp_status(*const[])(work *, rp_error *)){calibrate, NULL});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_runs_out)};
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
