/* rp_finetune with a teacher: whose labels it takes, what rows without a label learn, and who cannot teach.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"

enum { PATH = FIXTURE_PATH_SIZE + 64, MOST_STEPS = 64 };

static double losses[MOST_STEPS];
static size_t step_count;

typedef struct place {
    char dir[FIXTURE_PATH_SIZE], train[PATH], out[PATH];
} place;

static void take_step(void *user, const rp_training_step *step) {
    (void)user;
    assert_true(step_count < MOST_STEPS);
    losses[step_count++] = step->loss;
}

static void begin(place *p, const char *rows) {
    const char *end = *rows == '{' ? "jsonl" : "tsv";
    assert_true(fixture_make_dir(p->dir));
    snprintf(p->train, sizeof p->train, "%s/train.%s", p->dir, end);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    assert_true(fixture_write_text(p->dir, strrchr(p->train, '/') + 1, rows));
    step_count = 0;
}

static void end(place *p) {
    fixture_remove_dir(p->dir);
}

static rp_status finetune(place *p, rp_finetune_params params, rp_error *err) {
    const rp_training_handler handler = {.step = take_step};
    if (!params.model) params.model = PRETRAINED;
    if (!params.teacher) params.teacher = SENTIMENT;
    params.train = p->train;
    params.out = p->out;
    params.handler = &handler;
    *err = (rp_error){0};
    step_count = 0;
    return rp_finetune(fixture_device, &params, err);
}

/* ---- what is learnt ---- */

#define FIRST "a warm and funny film"
#define SECOND "dull, and an hour too long"
#define ROWS "sentence\tlabel\n" FIRST "\t\n" SECOND "\t\nthe camera moves\t\n"

/* The score of the model's first label for a text. */
static float score(const char *dir, const char *text, const char **label) {
    static char name[64];
    rp_model *model = NULL;
    rp_result *result = NULL;
    rp_error err = {0};
    size_t count;
    float found = -1;
    rp_input input = {.text = {text, strlen(text)}};
    if (rp_model_open(fixture_device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
    snprintf(name, sizeof name, "%s", rp_model_get_info(model)->labels[0]);
    if (rp_classify(model, &input, 1, NULL, &result, &err)) fail_msg("%s", err.message);
    const rp_label *labels = rp_result_labels(result, 0, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(labels[i].label, name)) found = labels[i].score;
    rp_result_free(&result);
    rp_model_close(&model);
    if (label) *label = name;
    return found;
}

/* No row has a label: the new head gets the teacher's, and the answers come near the teacher's. */
static void test_rows_without_labels(void **state) {
    static const char *const rows[] = {ROWS, "sentence\n" FIRST "\n" SECOND "\nthe camera moves\n",
                                       "{\"text\": \"" FIRST "\"}\n{\"text\": \"" SECOND
                                       "\"}\n{\"text\": \"the camera moves\"}\n"};
    double last = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        place p;
        rp_error err;
        const char *label;
        begin(&p, rows[i]);
        const rp_finetune_params params = {.steps = 30, .learning_rate = 3e-4};
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        assert_int_equal(step_count, 30);
        assert_true(losses[29] < 0.05 * losses[0]);
        if (i) assert_true(losses[29] == last); /* whatever the form of the file */
        last = losses[29];
        float teacher = score(SENTIMENT, FIRST, NULL), own = score(p.out, FIRST, &label);
        assert_string_equal(label, "NEGATIVE");
        assert_true(fabsf(teacher - own) < 0.05f);
        assert_true(fabsf(score(SENTIMENT, SECOND, NULL) - score(p.out, SECOND, NULL)) < 0.05f);
        end(&p);
    }
}

/* The teacher is the model itself: there is next to nothing to learn from it, and labels count half, or as
 * asked. */
static void test_a_model_that_teaches_itself(void **state) {
    static const double weights[] = {0, 1, -1};
    double loss[3];
    (void)state;
    for (int i = 0; i < 3; i++) {
        place p;
        rp_error err;
        begin(&p, "sentence\tlabel\na warm and funny film\t0\n" FIRST "\t\na dull film\tPOSITIVE\n");
        const rp_finetune_params params = {.model = SENTIMENT, .steps = 1, .label_weight = weights[i]};
        rp_status status = finetune(&p, params, &err);
        assert_int_equal(status, RP_ERROR_FORMAT); /* names and numbers are not mixed */
        end(&p);
        begin(&p, "sentence\tlabel\na warm and funny film\t0\n" FIRST "\t\na dull film\t1\n");
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        loss[i] = losses[0];
        end(&p);
    }
    assert_true(loss[0] > 1);
    assert_true(loss[2] < 0.5); /* which dropout alone makes */
    assert_true(fabs(loss[1] - loss[2] - 2 * (loss[0] - loss[2])) < 1e-4 * loss[1]);
}

/* Its vocabulary has ten pieces, and nothing of the model's. The labels are its own, in its order. */
static void test_a_teacher_of_another_kind(void **state) {
    const fixture_layout layout = {0};
    golden g;
    place p;
    rp_error err;
    const char *label;
    (void)state;
    assert_true(golden_open("bert_classes", &layout, &g));
    assert_true(fixture_write_text(g.dir, "vocab.txt",
                                   "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nwarm\nand\nfunny\nfilm\n"));
    begin(&p, ROWS);
    const rp_finetune_params params = {.teacher = g.dir, .steps = 40, .learning_rate = 3e-4};
    if (finetune(&p, params, &err)) fail_msg("%s", err.message);
    assert_true(losses[39] < 0.2 * losses[0]);
    float teacher = score(g.dir, FIRST, NULL), own = score(p.out, FIRST, &label);
    assert_string_equal(label, "LABEL_0");
    assert_true(fabsf(teacher - own) < 0.1f);
    end(&p);
    golden_close(&g);
}

/* ---- vectors ---- */

/* Texts alone, pairs, and pairs of which some have a score: a model that teaches itself leaves the loss of
 * what is learnt by labels; another one is learnt. */
static void test_vectors(void **state) {
    static const char *const files[] = {
        "sentence\n" FIRST "\n" SECOND "\nthe camera moves\n",
        "{\"text\": \"" FIRST "\", \"text_pair\": \"a joy\"}\n{\"text\": \"the camera moves\"}\n"
        "{\"text\": \"" SECOND "\", \"text_pair\": \"a bore\"}\n",
        "{\"text\": \"" FIRST "\"}\n{\"text\": \"" FIRST "\", \"text_pair\": \"a joy\", \"label\": 0.8}\n"
        "{\"text\": \"" SECOND "\", \"text_pair\": \"a joy\"}\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        place p;
        rp_error err;
        const rp_finetune_params own = {.task = RP_EVAL_EMBED, .teacher = PRETRAINED, .steps = 1},
                                 alone = {.task = RP_EVAL_EMBED,
                                          .teacher = PRETRAINED,
                                          .steps = 1,
                                          .label_weight = -1},
                                 other = {.task = RP_EVAL_EMBED, .steps = 20, .learning_rate = 2e-4};
        begin(&p, files[i]);
        if (finetune(&p, own, &err)) fail_msg("%s", err.message);
        assert_true(i ? losses[0] > 1e-3 : losses[0] < 1e-6);
        fixture_remove_dir(p.out);
        if (i == 1) {
            if (finetune(&p, alone, &err)) fail_msg("%s", err.message);
            assert_true(losses[0] < 1e-6);
        } else {
            if (finetune(&p, other, &err)) fail_msg("%s", err.message);
            assert_true(losses[19] < 0.5 * losses[0]);
        }
        end(&p);
    }
}

static void test_vectors_of_another_size(void **state) {
    const fixture_layout layout = {0};
    golden g;
    place p;
    rp_error err;
    (void)state;
    assert_true(golden_open("bert_classes", &layout, &g));
    assert_true(fixture_write_text(g.dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"));
    begin(&p, ROWS);
    const rp_finetune_params params = {.task = RP_EVAL_EMBED, .teacher = g.dir, .steps = 1};
    assert_int_equal(finetune(&p, params, &err), RP_ERROR_UNSUPPORTED);
    if (!strstr(err.message, "39 numbers and the model's 384")) fail_msg("%s", err.message);
    end(&p);
    golden_close(&g);
}

/* ---- what it said once ---- */

#define MIXED                                                                                         \
    "a warm and funny film\ta joy\n"                                                                  \
    "dull\tan hour too long and not one laugh in all of it, whatever the friends of its makers say\n" \
    "the camera moves\tit stands\nnobody speaks, and nobody listens to those who do not\tsilence\n"   \
    "tender\tmoving and wise\n"

static unsigned char *weights_of(const place *p, size_t *size) {
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/model.safetensors", p->out);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (size_t)ftell(file);
    unsigned char *bytes = malloc(*size);
    assert_non_null(bytes);
    rewind(file);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void stop_in_the_second_pass(void *user, const rp_training_step *step) {
    if (step->step == 3) rp_call_cancel(user);
}

/* In the second pass the outputs of the first are used again. A training that goes on there has none, and
 * asks for those of other rows together; it ends with the same bits. */
static void test_outputs_are_kept(void **state) {
    static const struct {
        rp_eval_task task;
        const char *rows, *teacher;
    } cases[] = {{RP_EVAL_CLASSIFY, "sentence\tsentence2\n" MIXED, SENTIMENT},
                 {RP_EVAL_EMBED, "text\ttext_pair\n" MIXED, SENTIMENT}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place p;
        rp_error err;
        rp_call call = {0};
        size_t size, again;
        rp_finetune_params params = {.model = PRETRAINED,
                                     .teacher = cases[i].teacher,
                                     .task = cases[i].task,
                                     .batch_size = 3,
                                     .epochs = 2,
                                     .label_weight = -1,
                                     .learning_rate = 1e-3};
        begin(&p, cases[i].rows);
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        assert_int_equal(step_count, 4);
        unsigned char *whole = weights_of(&p, &size);
        fixture_remove_dir(p.out);
        const rp_training_handler handler = {.step = stop_in_the_second_pass, .user = &call};
        params.train = p.train;
        params.out = p.out;
        params.handler = &handler;
        params.call = &call;
        params.save_every = 3;
        assert_int_equal(rp_finetune(fixture_device, &params, &err), RP_ERROR_CANCELLED);
        params.call = NULL;
        params.handler = NULL;
        params.resume = true;
        if (rp_finetune(fixture_device, &params, &err)) fail_msg("%s", err.message);
        unsigned char *resumed = weights_of(&p, &again);
        assert_int_equal(again, size);
        assert_memory_equal(resumed, whole, size);
        free(resumed);
        free(whole);
        end(&p);
    }
}

/* ---- what is refused ---- */

/* A model with a head of its own, taught a little by labels. */
static void make_student(place *p, const char *rows) {
    rp_error err;
    begin(p, rows);
    const rp_finetune_params params = {.model = PRETRAINED, .train = p->train, .out = p->out, .steps = 1};
    if (rp_finetune(fixture_device, &params, &err)) fail_msg("%s", err.message);
}

static void test_other_labels(void **state) {
    static const struct {
        const char *rows, *says;
    } cases[] = {{"sentence\tlabel\na\tPOSITIVE\nb\tOTHER\n", "'OTHER'"},
                 {"sentence\tlabel\na\tPOSITIVE\nb\tNEGATIVE\nc\tOTHER\n", "'OTHER'"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        place made, p;
        rp_error err;
        make_student(&made, cases[i].rows);
        begin(&p, ROWS);
        assert_int_equal(finetune(&p, (rp_finetune_params){.model = made.out, .steps = 1}, &err),
                         RP_ERROR_FORMAT);
        if (!strstr(err.message, cases[i].says) || !strstr(err.message, "tools/models/sentiment"))
            fail_msg("%s", err.message);
        assert_int_equal(step_count, 0);
        end(&p);
        end(&made);
    }
}

/* A head whose labels stand in another order is taught by name. */
static void test_labels_in_another_order(void **state) {
    place made, p;
    rp_error err;
    (void)state;
    make_student(&made, "sentence\tlabel\na\tNEGATIVE\nb\tPOSITIVE\n");
    char path[PATH + 32], text[4096];
    snprintf(path, sizeof path, "%s/config.json", made.out);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    for (char *at = text; (at = strstr(at, "TIVE")); at += 4) /* NEGA and POSI change places */
        memcpy(at - 4, !memcmp(at - 4, "NEGA", 4) ? "POSI" : "NEGA", 4);
    assert_true(fixture_write_text(made.out, "config.json", text));
    begin(&p, ROWS);
    const rp_finetune_params params = {.model = made.out, .steps = 30, .learning_rate = 3e-4};
    if (finetune(&p, params, &err)) fail_msg("%s", err.message);
    const char *label;
    float positive = score(p.out, FIRST, &label);
    assert_string_equal(label, "POSITIVE");
    assert_true(positive > 0.9f);
    end(&p);
    end(&made);
}

static void test_who_cannot_teach(void **state) {
    static const struct {
        const char *rows;
        rp_finetune_params params;
        rp_status status;
        const char *says;
    } cases[] = {
        {ROWS, {.teacher = PRETRAINED}, RP_ERROR_HEAD, "the teacher is no classifier"},
        {ROWS, {.teacher = "/dev/null/none"}, RP_ERROR_FILE, "/dev/null/none"},
        {ROWS, {.task = RP_EVAL_REGRESS}, RP_ERROR_UNSUPPORTED, "teacher"},
        {ROWS, {.task = RP_EVAL_TAG}, RP_ERROR_UNSUPPORTED, "teacher"},
        {ROWS "a film\tx\n", {0}, RP_ERROR_FORMAT, "'x'"},
        {ROWS, {.label_weight = NAN}, RP_ERROR_ARGUMENT, "label_weight"},
    };
    place p;
    rp_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(&p, cases[i].rows);
        rp_finetune_params params = cases[i].params;
        params.steps = 1;
        rp_status status = finetune(&p, params, &err);
        if (status != cases[i].status || !strstr(err.message, cases[i].says))
            fail_msg("case %zu: %d, %s", i, (int)status, err.message);
        assert_int_equal(step_count, 0);
        end(&p);
    }
    begin(&p, ROWS);
    const rp_finetune_params alone = {.model = PRETRAINED, .train = p.train, .out = p.out, .label_weight = 1};
    assert_int_equal(rp_finetune(fixture_device, &alone, &err), RP_ERROR_ARGUMENT);
    assert_non_null(strstr(err.message, "there is none"));
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_without_labels),
        cmocka_unit_test(test_a_model_that_teaches_itself),
        cmocka_unit_test(test_a_teacher_of_another_kind),
        cmocka_unit_test(test_other_labels),
        cmocka_unit_test(test_labels_in_another_order),
        cmocka_unit_test(test_who_cannot_teach),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vectors_of_another_size),
        cmocka_unit_test(test_outputs_are_kept),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
