/* rp_finetune with the bundled pretrained model: what it learns, what it writes, what it refuses, and that
 * nothing is left where it ends early. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"
#include "support_fixture.h"

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define SENTIMENT SOURCE_DIR "/tools/models/sentiment"

enum { PATH = FIXTURE_PATH_SIZE + 64, MOST_STEPS = 64 };

/* A folder with data, and what the callbacks heard. */
typedef struct place {
    char dir[FIXTURE_PATH_SIZE], train[PATH], dev[PATH], out[PATH];
    rp_call call;
    rp_training_step steps[MOST_STEPS];
    size_t step_count, evaluations, progress;
    double dev_loss[MOST_STEPS], f1; /* the latter of the best */
    int best;                        /* the evaluation that was the best; -1: none yet */
    uint64_t cancel_at;
} place;

static double find_metric(const rp_metric *metrics, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(metrics[i].name, name)) return metrics[i].value;
    return NAN;
}

static double metric(const rp_evaluation *e, const char *name) {
    size_t count;
    const rp_metric *metrics = rp_evaluation_metrics(e, &count);
    return find_metric(metrics, count, name);
}

static void take_step(void *user, const rp_training_step *step) {
    place *p = user;
    assert_true(p->step_count < MOST_STEPS);
    p->steps[p->step_count++] = *step;
    assert_int_equal(step->step, p->step_count);
    if (step->step == p->cancel_at) rp_call_cancel(&p->call);
}

static void take_evaluation(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                            bool best) {
    place *p = user;
    assert_int_equal(last->step, p->step_count);
    assert_true(p->evaluations < MOST_STEPS);
    if (best) p->best = (int)p->evaluations;
    if (best) p->f1 = find_metric(metrics, count, "f1");
    p->dev_loss[p->evaluations++] = find_metric(metrics, count, "loss");
}

static void take_progress(void *user, size_t done, size_t total) {
    place *p = user;
    assert_true(done > p->progress && done <= total);
    p->progress = done;
}

static void begin(place *p, const char *train, const char *dev) {
    *p = (place){.best = -1};
    p->call = (rp_call){.progress = take_progress, .user = p};
    assert_true(fixture_make_dir(p->dir));
    const char *end = *train == '{' ? "jsonl" : "tsv";
    snprintf(p->train, sizeof p->train, "%s/train.%s", p->dir, end);
    snprintf(p->dev, sizeof p->dev, "%s/dev.%s", p->dir, end);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    assert_true(fixture_write_text(p->dir, strrchr(p->train, '/') + 1, train));
    if (dev) assert_true(fixture_write_text(p->dir, strrchr(p->dev, '/') + 1, dev));
}

static void end(place *p) {
    fixture_remove_dir(p->dir);
}

static rp_status finetune(place *p, rp_finetune_params params, rp_error *err) {
    const rp_training_handler handler = {take_step, take_evaluation, p};
    if (!params.model) params.model = PRETRAINED;
    if (!params.train) params.train = p->train;
    if (!params.out) params.out = p->out;
    params.handler = &handler;
    params.call = &p->call;
    *err = (rp_error){0};
    return rp_finetune(fixture_device, &params, err);
}

/* Files and folders of the place, but for its data. */
static size_t count_left(const place *p) {
    DIR *folder = opendir(p->dir);
    size_t count = 0;
    assert_non_null(folder);
    for (const struct dirent *item; (item = readdir(folder));)
        count +=
            *item->d_name != '.' && strncmp(item->d_name, "train.", 6) && strncmp(item->d_name, "dev.", 4);
    closedir(folder);
    return count;
}

/* ---- learning ---- */

static const char *const good[] = {"warm", "funny", "moving", "tender"};
static const char *const bad[] = {"dull", "awful", "tedious", "stale"};

/* "a warm and funny film": each pair of words, in both orders. */
static void write_films(char *out, size_t size, const char *const labels[2], size_t from, size_t to) {
    size_t used = (size_t)snprintf(out, size, "sentence\tlabel\n");
    for (size_t i = from; i < to; i++) {
        const char *const *words = i % 2 ? good : bad;
        size_t a = i / 2 % 4, b = (a + 1 + i / 8 % 3) % 4;
        used += (size_t)snprintf(out + used, size - used, "a %s and %s film\t%s\n", words[a], words[b],
                                 labels[i % 2]);
        assert_true(used < size);
    }
}

static double loss_of(const place *p, const char *dir) {
    rp_model *model = NULL;
    rp_evaluation *e = NULL;
    rp_error err = {0};
    if (rp_model_open(fixture_device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
    if (rp_eval(model, p->dev, NULL, &e, &err)) fail_msg("%s", err.message);
    double loss = metric(e, "loss");
    rp_evaluation_free(&e);
    rp_model_close(&model);
    return loss;
}

static void check_answer(const char *dir, const char *text, const char *label) {
    rp_model *model = NULL;
    rp_result *result = NULL;
    rp_error err = {0};
    size_t count;
    rp_input input = {.text = {text, strlen(text)}};
    if (rp_model_open(fixture_device, dir, NULL, &model, &err)) fail_msg("%s", err.message);
    if (rp_classify(model, &input, 1, NULL, &result, &err)) fail_msg("%s", err.message);
    const rp_label *labels = rp_result_labels(result, 0, &count);
    assert_int_equal(count, 2);
    assert_string_equal(labels[0].label, label);
    rp_result_free(&result);
    rp_model_close(&model);
}

static void test_learns_and_keeps_the_best(void **state) {
    static const char *const labels[] = {"schlecht", "gut"};
    char train[2000], dev[2000];
    place p;
    rp_error err;
    (void)state;
    write_films(train, sizeof train, labels, 0, 20);
    write_films(dev, sizeof dev, labels, 20, 24);
    begin(&p, train, dev);
    const rp_finetune_params params = {
        .dev = p.dev, .epochs = 3, .learning_rate = 5e-4, .warmup = 0.2, .batch_size = 8};
    if (finetune(&p, params, &err)) fail_msg("%s", err.message);
    assert_int_equal(p.step_count, 9); /* 8, 8 and 4 rows, three times */
    assert_int_equal(p.progress, 9);
    assert_int_equal(p.steps[2].sequences, 4);
    assert_true(p.steps[2].epoch == 1 && p.steps[8].epoch == 3);
    assert_true(p.steps[0].learning_rate < p.steps[2].learning_rate);
    assert_true(p.steps[8].learning_rate < p.steps[2].learning_rate);
    assert_true(p.steps[8].loss < 0.5 * p.steps[0].loss);
    assert_int_equal(p.evaluations, 3);
    assert_true(p.best >= 0);
    assert_int_equal(count_left(&p), 1);
    assert_true(loss_of(&p, p.out) == p.dev_loss[p.best]); /* what is saved is what was evaluated */
    check_answer(p.out, "a warm and tender film", "gut");
    check_answer(p.out, "a stale and dull film", "schlecht");
    end(&p);
}

/* Only the first of equally good evaluations is kept. */
static void test_the_first_of_equals_stays(void **state) {
    static const char *const labels[] = {"0", "1"};
    char train[2000];
    place p;
    rp_error err;
    (void)state;
    write_films(train, sizeof train, labels, 0, 8);
    begin(&p, train, "sentence\tlabel\na warm and funny film\t1\na dull and lifeless film\t0\n");
    const rp_finetune_params params = {.model = SENTIMENT, .dev = p.dev, .epochs = 2, .learning_rate = 1e-5};
    if (finetune(&p, params, &err)) fail_msg("%s", err.message);
    assert_int_equal(p.evaluations, 2);
    assert_int_equal(p.best, 0); /* both are all right */
    assert_true(loss_of(&p, p.out) == p.dev_loss[0]);
    assert_true(p.dev_loss[0] != p.dev_loss[1]);
    check_answer(p.out, "a warm and tender film", "POSITIVE"); /* the folder's own labels */
    end(&p);
}

static char *read_weights(const char *dir, size_t *size) {
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void test_the_seed_decides(void **state) {
    static const char *const labels[] = {"0", "1"};
    static const struct {
        uint64_t seed;
        bool no_shuffle, same;
    } cases[] = {{0, false, true}, {42, false, true}, {43, false, false}, {42, true, false}};
    char train[2000], *bytes[4];
    size_t size[4];
    (void)state;
    write_films(train, sizeof train, labels, 0, 20);
    for (size_t i = 0; i < 4; i++) {
        place p;
        rp_error err;
        begin(&p, train, NULL);
        const rp_finetune_params params = {
            .seed = cases[i].seed, .no_shuffle = cases[i].no_shuffle, .steps = 2, .batch_size = 4};
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        bytes[i] = read_weights(p.out, &size[i]);
        assert_int_equal(size[i], size[0]);
        assert_int_equal(!memcmp(bytes[i], bytes[0], size[0]), cases[i].same);
        end(&p);
    }
    for (size_t i = 0; i < 4; i++) free(bytes[i]);
}

/* ---- other tasks ---- */

#define NUMBERS                                                                    \
    "{\"text\": \"He left.\", \"text_pair\": \"He went away.\", \"label\": 0.9}\n" \
    "{\"text\": \"He left.\", \"text_pair\": \"It rains.\", \"label\": -0.5}\n"    \
    "{\"text\": \"It rained.\", \"text_pair\": \"There was rain.\", \"label\": 0.25}\n"
#define MANY                                                          \
    "{\"text\": \"a warm film\", \"labels\": [\"kind\", \"film\"]}\n" \
    "{\"text\": \"a warm book\", \"labels\": [\"kind\"]}\n"           \
    "{\"text\": \"a dull book\", \"labels\": []}\n"

static void test_numbers_and_many_labels(void **state) {
    static const struct {
        rp_eval_task task;
        const char *rows, *metric;
        uint32_t labels;
    } cases[] = {{RP_EVAL_REGRESS, NUMBERS, "mse", 1}, {RP_EVAL_MULTILABEL, MANY, "f1_micro", 2}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        place p;
        rp_error err;
        rp_model *model = NULL;
        rp_evaluation *e = NULL;
        begin(&p, cases[i].rows, NULL);
        const rp_finetune_params params = {
            .task = cases[i].task, .steps = 8, .learning_rate = 3e-4, .schedule = RP_SCHEDULE_CONSTANT};
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        assert_true(p.steps[7].loss < 0.7 * p.steps[0].loss);
        if (rp_model_open(fixture_device, p.out, NULL, &model, &err)) fail_msg("%s", err.message);
        assert_int_equal(rp_model_get_info(model)->label_count, cases[i].labels);
        if (i) assert_string_equal(rp_model_get_info(model)->labels[0], "film");
        if (rp_eval(model, p.train, NULL, &e, &err)) fail_msg("%s", err.message);
        assert_int_equal(rp_evaluation_task(e), cases[i].task); /* the folder says what it is for */
        assert_false(isnan(metric(e, cases[i].metric)));
        rp_evaluation_free(&e);
        rp_model_close(&model);
        end(&p);
    }
}

#define TAGS                                                                                                 \
    "{\"tokens\": [\"Ada\", \"was\", \"in\", \"London\"], \"tags\": [\"B-PER\", \"O\", \"O\", \"B-LOC\"]}\n" \
    "{\"tokens\": [\"Unbelievably\", \"Bob\", \"left\"], \"tags\": [\"O\", \"B-PER\", \"O\"]}\n"

/* Words of several pieces, special tokens and rows that are cut (5 tokens: three pieces) are told apart. */
static void test_tags(void **state) {
    (void)state;
    for (uint32_t max_tokens = 0; max_tokens <= 5; max_tokens += 5) {
        place p;
        rp_error err;
        rp_model *model = NULL;
        begin(&p, TAGS, TAGS);
        const rp_finetune_params params = {.task = RP_EVAL_TAG,
                                           .dev = p.dev,
                                           .steps = 12,
                                           .batch_size = 2,
                                           .learning_rate = 1e-3,
                                           .max_tokens = max_tokens};
        if (finetune(&p, params, &err)) fail_msg("%s", err.message);
        assert_true(p.steps[11].loss < 0.5 * p.steps[0].loss);
        if (rp_model_open(fixture_device, p.out, NULL, &model, &err)) fail_msg("%s", err.message);
        assert_int_equal(rp_model_get_info(model)->heads & RP_HEAD_TOKENS, RP_HEAD_TOKENS);
        assert_int_equal(rp_model_get_info(model)->label_count, 3);
        assert_string_equal(rp_model_get_info(model)->labels[0], "B-LOC");
        rp_model_close(&model);
        if (!max_tokens) assert_true(p.f1 == 1);
        end(&p);
    }
}

/* ---- what is refused ---- */

#define FILMS "sentence\tlabel\na warm film\t1\na dull film\t0\n"

static void test_what_cannot_be_learnt(void **state) {
    static const struct {
        const char *train, *dev;
        rp_finetune_params params;
        rp_status status;
        const char *says[2];
    } cases[] = {
        {FILMS "a film\t\n", NULL, {0}, RP_ERROR_FORMAT, {"train.tsv", "line 4"}},
        {FILMS, FILMS "a film\t\n", {0}, RP_ERROR_FORMAT, {"dev.tsv", "line 4"}},
        {FILMS, FILMS "a film\t2\n", {0}, RP_ERROR_FORMAT, {"dev.tsv", "'2'"}},
        {FILMS "a film\tx\n", NULL, {.model = SENTIMENT}, RP_ERROR_FORMAT, {"train.tsv", "'x'"}},
        {"sentence\tlabel\na warm film\t1\n", NULL, {0}, RP_ERROR_FORMAT, {"train.tsv", "one label"}},
        {FILMS, NULL, {.model = SENTIMENT, .task = RP_EVAL_REGRESS}, RP_ERROR_UNSUPPORTED, {"regress"}},
        {FILMS, NULL, {.task = RP_EVAL_ANSWER}, RP_ERROR_FORMAT, {"train.tsv", "line 2"}},
        {FILMS, NULL, {.task = RP_EVAL_REGRESS, .text_column = "no"}, RP_ERROR_FORMAT, {"'no'"}},
        {FILMS, NULL, {.format = "xml"}, RP_ERROR_ARGUMENT, {"xml"}},
        {FILMS, NULL, {.warmup = 7}, RP_ERROR_ARGUMENT, {"warmup"}},
        {FILMS, NULL, {.warmup = -1}, RP_ERROR_ARGUMENT, {"warmup"}},
        {FILMS, NULL, {.weight_decay = -1}, RP_ERROR_ARGUMENT, {"weight_decay"}},
        {FILMS, NULL, {.model = "/dev/null/none"}, RP_ERROR_FILE, {"/dev/null/none"}},
        {FILMS, NULL, {.train = "/dev/null/none"}, RP_ERROR_FILE, {"/dev/null/none"}},
        {FILMS, NULL, {.out = "/dev/null/none"}, RP_ERROR_FILE, {"/dev/null/none"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place p;
        rp_error err;
        begin(&p, cases[i].train, cases[i].dev);
        rp_finetune_params params = cases[i].params;
        if (cases[i].dev) params.dev = p.dev;
        rp_status status = finetune(&p, params, &err);
        if (status != cases[i].status) fail_msg("case %zu: %d, %s", i, (int)status, err.message);
        for (int k = 0; k < 2 && cases[i].says[k]; k++)
            if (!strstr(err.message, cases[i].says[k])) fail_msg("case %zu: %s", i, err.message);
        assert_int_equal(p.step_count, 0);
        assert_int_equal(count_left(&p), 0);
        end(&p);
    }
}

static void test_dropout_that_is_none(void **state) {
    char path[PATH];
    place p;
    rp_error err;
    (void)state;
    begin(&p, FILMS, NULL);
    assert_true(fixture_write_text(p.dir, "dev.config.json",
                                   "{\"model_type\": \"bert\", \"hidden_dropout_prob\": \"half\"}"));
    snprintf(path, sizeof path, "%s/dev.model", p.dir);
    assert_int_equal(mkdir(path, 0777), 0);
    char from[PATH + 32], to[PATH + 32];
    snprintf(from, sizeof from, "%s/dev.config.json", p.dir);
    snprintf(to, sizeof to, "%s/config.json", path);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(finetune(&p, (rp_finetune_params){.model = path}, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "dropout"));
    end(&p);
}

/* A folder with files stays as it is; an empty one is taken; what is no folder is refused. */
static void test_a_folder_that_exists(void **state) {
    char path[PATH + 32], link[PATH];
    struct stat info;
    place p;
    rp_error err;
    (void)state;
    begin(&p, FILMS, NULL);
    assert_int_equal(mkdir(p.out, 0777), 0);
    snprintf(path, sizeof path, "%s/mine", p.out);
    assert_true(fixture_write_text(p.out, "mine", "text"));
    assert_int_equal(finetune(&p, (rp_finetune_params){.steps = 1}, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "has files already"));
    assert_int_equal(finetune(&p, (rp_finetune_params){.out = path}, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "is no folder"));
    snprintf(link, sizeof link, "%s/dev.link", p.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(p.out, link), 0);
    assert_int_equal(finetune(&p, (rp_finetune_params){.out = link}, &err), RP_ERROR_FILE);
    assert_int_equal(p.step_count, 0);
    strcat(p.out, "//");
    if (finetune(&p, (rp_finetune_params){.steps = 1}, &err)) fail_msg("%s", err.message);
    assert_int_equal(stat(p.out, &info), 0);
    assert_int_equal(info.st_mode & 0700, 0700);
    check_answer(p.out, "a warm film", "1");
    assert_int_equal(count_left(&p), 1);
    end(&p);
}

static void test_cancel(void **state) {
    place p;
    rp_error err;
    (void)state;
    begin(&p, FILMS, FILMS);
    p.cancel_at = 3;
    const rp_finetune_params params = {.dev = p.dev, .epochs = 5};
    assert_int_equal(finetune(&p, params, &err), RP_ERROR_CANCELLED);
    assert_int_equal(p.step_count, 3);
    assert_int_equal(p.evaluations, 2); /* those of the first two steps, of which one was saved */
    assert_int_equal(count_left(&p), 0);
    p = (place){.call = {.deadline = rp_clock() - 1}};
    assert_int_equal(finetune(&p, (rp_finetune_params){.train = "x", .out = "y"}, &err), RP_ERROR_DEADLINE);
    end(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learns_and_keeps_the_best),
        cmocka_unit_test(test_the_first_of_equals_stays),
        cmocka_unit_test(test_the_seed_decides),
        cmocka_unit_test(test_numbers_and_many_labels),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_what_cannot_be_learnt),
        cmocka_unit_test(test_dropout_that_is_none),
        cmocka_unit_test(test_a_folder_that_exists),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
