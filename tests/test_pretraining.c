/* rp_pretrain: 20 steps against PyTorch's, what a corpus and prepared instances give, new models, what is
 * refused, and that nothing is left where it ends early. */
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
#include <jansson.h>

#include "reprise/reprise.h"
#include "support_pretrain.h"

#define PRETRAINED SOURCE_DIR "/tools/models/pretrained"
#define TEXT                                                                              \
    "a letter came in the morning.\nhe read it twice.\nthen he put it into the fire.\n\n" \
    "the ship was old.\nnobody had painted it for years.\nthe captain did not care.\n\n"  \
    "it rained.\nwe stayed at home.\nthe children played.\n"

enum { PATH = FIXTURE_PATH_SIZE + 64, MOST_STEPS = 64, METRICS = 4 };

/* A folder with data, and what the callbacks heard. */
typedef struct place {
    char dir[FIXTURE_PATH_SIZE], text[PATH], instances[PATH], config[PATH], out[PATH];
    rp_call call;
    rp_training_step steps[MOST_STEPS];
    double metrics[MOST_STEPS][METRICS]; /* mlm_loss, sop_loss, mlm_accuracy, sop_accuracy */
    size_t step_count;
    uint64_t cancel_at;
    double dev[MOST_STEPS]; /* the loss of each evaluation */
    bool best[MOST_STEPS];
    size_t dev_count;
} place;

static void take_step(void *user, const rp_training_step *step) {
    static const char *const names[METRICS] = {"mlm_loss", "sop_loss", "mlm_accuracy", "sop_accuracy"};
    place *p = user;
    assert_true(p->step_count < MOST_STEPS);
    assert_int_equal(step->metric_count, METRICS);
    for (size_t i = 0; i < METRICS; i++) {
        assert_string_equal(step->metrics[i].name, names[i]);
        p->metrics[p->step_count][i] = step->metrics[i].value;
    }
    p->steps[p->step_count++] = *step;
    if (step->step == p->cancel_at) rp_call_cancel(&p->call);
}

static void take_evaluation(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                            bool best) {
    static const char *const names[] = {"loss",       "mlm_loss", "mlm_accuracy",
                                        "perplexity", "sop_loss", "sop_accuracy"};
    place *p = user;
    assert_int_equal(count, 6);
    for (size_t i = 0; i < count; i++) assert_string_equal(metrics[i].name, names[i]);
    assert_true(fabs(metrics[0].value - metrics[1].value - metrics[4].value) < 1e-9);
    assert_true(last->dev == metrics[0].value && !strcmp(last->dev_metric, "loss"));
    p->dev[p->dev_count] = metrics[0].value;
    p->best[p->dev_count++] = best;
}

static void begin(place *p) {
    *p = (place){0};
    assert_true(fixture_make_dir(p->dir));
    snprintf(p->text, sizeof p->text, "%s/text.txt", p->dir);
    snprintf(p->instances, sizeof p->instances, "%s/instances.jsonl", p->dir);
    snprintf(p->config, sizeof p->config, "%s/tiny.json", p->dir);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    assert_true(fixture_write_text(p->dir, "text.txt", TEXT));
    assert_true(
        fixture_write_text(p->dir, "tiny.json",
                           FIXTURE_TINY(", \"hidden_dropout_prob\": 0, \"attention_probs_dropout_prob\": 0, "
                                        "\"classifier_dropout_prob\": 0.1")));
}

static rp_status pretrain(place *p, rp_pretrain_params params, rp_error *err) {
    const rp_training_handler handler = {.step = take_step, .evaluated = take_evaluation, .user = p};
    params.handler = &handler;
    params.call = &p->call;
    p->step_count = p->dev_count = 0;
    *err = (rp_error){0};
    return rp_pretrain(fixture_device, &params, err);
}

/* A new tiny model taught by the text. */
static rp_pretrain_params tiny(const place *p, const char *const *text) {
    return (rp_pretrain_params){.corpus = text,
                                .corpus_count = 1,
                                .config = p->config,
                                .tokenizer = PRETRAINED,
                                .out = p->out,
                                .batch_size = 2,
                                .steps = 4};
}

/* Files and folders of the place, but for those of `begin`. */
static size_t count_left(const place *p) {
    static const char *const known[] = {".", "..", "text.txt", "tiny.json"};
    size_t count = 0;
    DIR *folder = opendir(p->dir);
    assert_non_null(folder);
    for (const struct dirent *item; (item = readdir(folder));) {
        bool is_known = false;
        for (size_t i = 0; i < 4; i++) is_known = is_known || !strcmp(item->d_name, known[i]);
        count += !is_known;
    }
    closedir(folder);
    return count;
}

/* ---- against PyTorch ---- */

/* The instances of the goldens as lines, and the model without dropout. */
static void write_golden(const pretrain_case *c, const place *p) {
    size_t size, i;
    FILE *file = fopen(p->instances, "w");
    assert_non_null(file);
    for (size_t b = 0; b < PRETRAIN_BATCHES; b++) {
        const json_t *item;
        json_array_foreach(c->lists[b], i, item) {
            json_t *line = json_object();
            json_object_set(line, "input_ids", json_object_get(item, "ids"));
            json_object_set(line, "token_type_ids", json_object_get(item, "types"));
            json_object_set(line, "masked_positions", json_object_get(item, "masked_positions"));
            json_object_set(line, "masked_ids", json_object_get(item, "masked_ids"));
            json_object_set(line, "order", json_object_get(item, "order"));
            assert_int_equal(json_dumpf(line, file, JSON_COMPACT), 0);
            fputc('\n', file);
            json_decref(line);
        }
    }
    assert_int_equal(fclose(file), 0);
    char *config = fixture_read(c->dir, "config.json", &size);
    char *dropout = strstr(config, "0.1");
    assert_non_null(dropout);
    dropout[2] = '0';
    assert_true(fixture_write_text(c->dir, "config.json", config));
    free(config);
}

static void test_twenty_steps(void **state) {
    place p;
    rp_error err;
    pretrain_case c;
    (void)state;
    begin(&p);
    assert_true(pretrain_open("odd", &c));
    write_golden(&c, &p);
    json_t *golden = json_load_file(TESTS_DIR "/goldens/pretraining.json", 0, NULL);
    const json_t *steps = json_object_get(golden, "steps");
    const char *const files[] = {p.instances};
    const rp_pretrain_params params = {.instances = files,
                                       .instance_count = 1,
                                       .init = c.dir,
                                       .out = p.out,
                                       .epochs = 4,
                                       .batch_size = (uint32_t)json_array_size(c.lists[0]),
                                       .no_shuffle = true,
                                       .learning_rate = json_number_value(json_object_get(golden, "lr")),
                                       .warmup = json_number_value(json_object_get(golden, "warmup"))};
    if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
    assert_int_equal(p.step_count, 20);
    assert_int_equal(json_array_size(steps), 20);
    for (size_t i = 0; i < 20; i++) {
        const json_t *step = json_array_get(steps, i);
        const double got[] = {p.steps[i].loss, p.steps[i].grad_norm, p.metrics[i][0],
                              p.metrics[i][2], p.metrics[i][1],      p.metrics[i][3]};
        for (size_t k = 0; k < 6; k++) {
            double is = json_number_value(json_array_get(step, k));
            if (fabs(got[k] - is) > 2e-3 * fabs(is) + 1e-9)
                fail_msg("step %zu, %zu: %g is not %g", i + 1, k, got[k], is);
        }
    }
    json_decref(golden);
    pretrain_close(&c);
    fixture_remove_dir(p.dir);
}

/* ---- new models ---- */

static void test_a_new_model(void **state) {
    place p;
    rp_error err;
    rp_model *model = NULL;
    size_t size;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    if (pretrain(&p, tiny(&p, text), &err)) fail_msg("%s", err.message);
    assert_int_equal(p.step_count, 4);
    assert_true(p.steps[0].learning_rate == 0); /* one step of warm-up, as Google's begins */
    assert_true(fabs(p.steps[1].learning_rate - 0.00176 * 3 / 4) < 1e-12);
    assert_true(fabs(p.metrics[0][0] - log(8192)) < 0.5); /* it knows nothing */
    assert_true(fabs(p.metrics[0][0] + p.metrics[0][1] - p.steps[0].loss) < 1e-5);
    assert_int_equal(count_left(&p), 1);
    char *config = fixture_read(p.out, "config.json", &size);
    json_t *root = json_loads(config, 0, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "architectures"), 0)),
                        "AlbertForPreTraining");
    assert_int_equal(json_integer_value(json_object_get(root, "vocab_size")), 8192);
    json_decref(root);
    free(config);
    if (rp_model_open(fixture_device, p.out, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_true(rp_model_get_info(model)->heads & RP_HEAD_MASKED_LM &&
                rp_model_get_info(model)->heads & RP_HEAD_ORDER);
    assert_non_null(rp_model_get_tokenizer(model));
    rp_model_close(&model);
    fixture_remove_dir(p.dir);
}

/* The same call gives the same bits, and so do its instances once they are written; another seed does not. */
static void test_instances_are_the_corpus(void **state) {
    static const struct {
        uint64_t seed;
        bool prepared, same;
    } cases[] = {{7, false, true}, {7, false, true}, {7, true, true}, {8, false, false}};
    place p;
    rp_error err;
    char *first = NULL;
    size_t first_size = 0;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text}, *const lines[] = {p.instances};
    for (size_t i = 0; i < 4; i++) {
        rp_pretrain_params params = tiny(&p, text);
        params.seed = cases[i].seed;
        params.write_instances = i == 1 ? p.instances : NULL; /* and learns them, too */
        params.learning_rate = 0.01;
        params.batch_size = 1; /* where a pass of the corpus ends no batch is smaller */
        if (cases[i].prepared) {
            params.corpus = NULL;
            params.corpus_count = 0;
            params.instances = lines;
            params.instance_count = 1;
            params.no_shuffle = true;
        }
        if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
        size_t size;
        char *weights = fixture_read(p.out, "model.safetensors", &size);
        if (!i) first = weights, first_size = size;
        assert_int_equal(size == first_size && !memcmp(weights, first, size), cases[i].same);
        if (i) free(weights);
        char aside[PATH + 8];
        snprintf(aside, sizeof aside, "%s.%zu", p.out, i);
        assert_int_equal(rename(p.out, aside), 0);
    }
    free(first);
    fixture_remove_dir(p.dir);
}

/* Without a folder to write to, no device is needed. */
static void test_writing_alone(void **state) {
    place p;
    rp_error err = {0};
    size_t size, lines = 0;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    const rp_pretrain_params params = {.corpus = text,
                                       .corpus_count = 1,
                                       .tokenizer = PRETRAINED "/spiece.model",
                                       .write_instances = p.instances,
                                       .max_tokens = 16,
                                       .short_share = -1,
                                       .epochs = 2};
    if (rp_pretrain(NULL, &params, &err)) fail_msg("%s", err.message);
    assert_int_equal(count_left(&p), 1);
    char *all = fixture_read(NULL, p.instances, &size);
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *root = json_loads(line, 0, NULL);
        assert_int_equal(json_object_size(root), 5);
        assert_int_equal(json_array_size(json_object_get(root, "input_ids")),
                         json_array_size(json_object_get(root, "token_type_ids")));
        json_decref(root);
    }
    assert_true(lines >= 6 && lines % 2 == 0); /* two passes */
    free(all);
    fixture_remove_dir(p.dir);
}

/* ---- what is refused, and what is left ---- */

static void test_wrong_params(void **state) {
    place p;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text}, *const none[] = {NULL};
    const rp_pretrain_params good = tiny(&p, text);
    rp_pretrain_params wrong[12];
    for (size_t i = 0; i < 12; i++) wrong[i] = good;
    wrong[0].corpus_count = 0;
    wrong[1].instances = text, wrong[1].instance_count = 1;
    wrong[2].config = NULL;
    wrong[3].init = PRETRAINED;
    wrong[4].tokenizer = NULL;
    wrong[5].out = NULL;
    wrong[6].corpus = none;
    wrong[7].warmup = NAN;
    wrong[8].warmup = 5;
    wrong[9].max_tokens = 41; /* more than the model takes */
    wrong[10].max_tokens = 4;
    wrong[11].reserved[0] = 1;
    for (size_t i = 0; i < 12; i++) {
        rp_error err;
        rp_status status = pretrain(&p, wrong[i], &err);
        if (status != RP_ERROR_ARGUMENT) fail_msg("case %zu: %d, %s", i, status, err.message);
        assert_int_equal(count_left(&p), 0);
    }
    assert_int_equal(rp_pretrain(fixture_device, NULL, NULL), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_pretrain(NULL, &good, NULL), RP_ERROR_ARGUMENT);
    fixture_remove_dir(p.dir);
}

static void test_bad_instances(void **state) {
    static const struct {
        const char *lines, *message;
    } cases[] = {
        {"{\"input_ids\": [2, 8192, 3], \"masked_positions\": [], \"masked_ids\": []}",
         "line 1: input_ids: entry 2 is 8192"},
        {"{\"input_ids\": [2, 3], \"token_type_ids\": [0, 2], \"masked_positions\": [], \"masked_ids\": []}",
         "token_type_ids: entry 2 is 2"},
        {"{\"input_ids\": [2, 3], \"masked_positions\": [1], \"masked_ids\": [9000]}",
         "masked_ids: entry 1 is 9000"},
        {"{\"input_ids\": [2, 3, 4, 5, 6, 7], \"masked_positions\": [1], \"masked_ids\": [9]}",
         "has 6 input_ids, more than the 5"},
        {"{\"text\": \"a\", \"label\": 0}", "line 1: "},
        {"", "empty"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place p;
        rp_error err;
        begin(&p);
        assert_true(fixture_write_text(p.dir, "instances.jsonl", cases[i].lines));
        const char *const files[] = {p.instances};
        const rp_pretrain_params params = {.instances = files,
                                           .instance_count = 1,
                                           .config = p.config,
                                           .tokenizer = PRETRAINED,
                                           .out = p.out,
                                           .max_tokens = 5,
                                           .steps = 1};
        assert_int_equal(pretrain(&p, params, &err), RP_ERROR_FORMAT);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s", err.message);
        assert_int_equal(count_left(&p), 1);
        fixture_remove_dir(p.dir);
    }
}

static void test_nothing_is_left(void **state) {
    place p;
    rp_error err;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    rp_pretrain_params params = tiny(&p, text);
    p.cancel_at = 2;
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_CANCELLED);
    assert_int_equal(p.step_count, 2);
    assert_int_equal(count_left(&p), 0);
    p.call.cancel = 0;
    p.cancel_at = 0;
    assert_true(fixture_write_text(p.dir, "text.txt", "one line\n\nanother\n"));
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_FORMAT);
    assert_int_equal(count_left(&p), 0);
    params.tokenizer = p.text; /* a vocabulary without [CLS] */
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_FORMAT);
    params.tokenizer = PRETRAINED;
    params.write_instances = "/nowhere/x";
    assert_true(fixture_write_text(p.dir, "text.txt", TEXT));
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_FILE);
    assert_int_equal(count_left(&p), 0);
    fixture_remove_dir(p.dir);
}

/* ---- evaluations, and what keeps its weights ---- */

/* The loss of the model that was written, on prepared lines. */
static double measure(const place *p) {
    const rp_eval_params params = {.task = RP_EVAL_MLM, .max_tokens = 40};
    rp_model *model = NULL;
    rp_evaluation *evaluation = NULL;
    rp_error err;
    size_t count = 0;
    if (rp_model_open(fixture_device, p->out, NULL, &model, &err) ||
        rp_eval(model, p->instances, &params, &evaluation, &err))
        fail_msg("%s", err.message);
    const rp_metric *metrics = rp_evaluation_metrics(evaluation, &count);
    assert_int_equal(count, 5);
    double loss = metrics[0].value + metrics[3].value;
    rp_evaluation_free(&evaluation);
    rp_model_close(&model);
    return loss;
}

/* The model that stays is that of the best evaluation, of a text or of what it gives; and with a rate so high
 * the last is not the best. */
static void test_the_best_stays(void **state) {
    place p;
    rp_error err;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    rp_pretrain_params params = tiny(&p, text);
    params.out = NULL;
    params.config = NULL;
    params.write_instances = p.instances;
    params.steps = 0;
    params.no_shuffle = true;
    params.max_tokens = 40;
    if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
    for (int prepared = 0; prepared < 2; prepared++) {
        params = tiny(&p, text);
        params.dev = prepared ? p.instances : p.text;
        params.eval_every = 3;
        params.steps = 8;
        params.learning_rate = 3;
        params.schedule = RP_SCHEDULE_CONSTANT;
        if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
        assert_int_equal(p.dev_count, 3);
        size_t best = 0;
        for (size_t i = 1; i < 3; i++) best = p.dev[i] < p.dev[best] ? i : best;
        assert_true(best < 2 && p.best[0]);
        assert_true(fabs(measure(&p) - p.dev[best]) < 1e-9);
        fixture_remove_dir(p.out);
    }
    /* what cannot be used is said before the first step */
    assert_true(fixture_write_text(p.dir, "instances.jsonl", "{\"input_ids\": [1]}\n"));
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_FORMAT);
    assert_true(strstr(err.message, "instances.jsonl: line 1: ") && !p.step_count);
    params.dev = NULL;
    params.metric = "accuracy";
    params.dev = p.text;
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_ARGUMENT);
    assert_true(strstr(err.message, "there is no 'accuracy'; the task has loss, mlm_loss") && !p.step_count);
    fixture_remove_dir(p.dir);
}

/* Where the bytes of a tensor lie in a file of safetensors. */
static const char *tensor_of(const char *file, const char *name, size_t *size) {
    uint64_t header = 0;
    memcpy(&header, file, sizeof header);
    json_t *root = json_loadb(file + 8, header, 0, NULL);
    const json_t *offsets = json_object_get(json_object_get(root, name), "data_offsets");
    size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0)),
           end = (size_t)json_integer_value(json_array_get(offsets, 1));
    if (end <= begin) fail_msg("%s is missing", name);
    json_decref(root);
    *size = end - begin;
    return file + 8 + header + begin;
}

static void test_frozen_weights_stay(void **state) {
    static const struct {
        const char *name;
        bool stays[2]; /* without the embeddings, and without the encoder */
    } tensors[] = {
        {"albert.embeddings.word_embeddings.weight", {true, true}},
        {"albert.embeddings.LayerNorm.bias", {true, true}},
        {"albert.encoder.embedding_hidden_mapping_in.weight", {false, true}},
        {"albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight", {false, true}},
        {"predictions.dense.weight", {false, false}},
        {"predictions.bias", {false, false}},
        {"sop_classifier.classifier.weight", {false, false}},
    };
    place p;
    rp_error err;
    char first[PATH + 8];
    size_t size;
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    snprintf(first, sizeof first, "%s.first", p.out);
    if (pretrain(&p, tiny(&p, text), &err)) fail_msg("%s", err.message);
    assert_int_equal(rename(p.out, first), 0);
    char *before = fixture_read(first, "model.safetensors", &size);
    for (int i = 0; i < 2; i++) {
        rp_pretrain_params params = tiny(&p, text);
        params.config = params.tokenizer = NULL;
        params.init = first;
        params.freeze = (rp_train_freeze)(RP_FREEZE_EMBEDDINGS + i);
        if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
        char *after = fixture_read(p.out, "model.safetensors", &size);
        for (size_t k = 0; k < sizeof tensors / sizeof *tensors; k++) {
            size_t bytes, same;
            const char *was = tensor_of(before, tensors[k].name, &bytes),
                       *is = tensor_of(after, tensors[k].name, &same);
            assert_int_equal(bytes, same);
            if (!memcmp(was, is, bytes) != tensors[k].stays[i]) fail_msg("%d: %s", i, tensors[k].name);
        }
        free(after);
        fixture_remove_dir(p.out);
    }
    free(before);
    fixture_remove_dir(p.dir);
}

/* A training that is done is done; and not one with another option. */
static void test_what_is_finished_stays(void **state) {
    place p;
    rp_error err;
    size_t sizes[2];
    (void)state;
    begin(&p);
    const char *const text[] = {p.text};
    rp_pretrain_params params = tiny(&p, text);
    if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
    char *before = fixture_read(p.out, "model.safetensors", &sizes[0]);
    params.resume = true;
    for (int i = 0; i < 2; i++) {
        if (pretrain(&p, params, &err)) fail_msg("%s", err.message);
        assert_int_equal(p.step_count, 0);
    }
    char *after = fixture_read(p.out, "model.safetensors", &sizes[1]), left[PATH + 16];
    assert_true(sizes[0] == sizes[1] && !memcmp(before, after, sizes[0]));
    snprintf(left, sizeof left, "%s/.training", p.out);
    assert_int_equal(access(left, F_OK), -1);
    params.seed = 5;
    assert_int_equal(pretrain(&p, params, &err), RP_ERROR_ARGUMENT);
    free(before);
    free(after);
    fixture_remove_dir(p.dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twenty_steps),
        cmocka_unit_test(test_a_new_model),
        cmocka_unit_test(test_instances_are_the_corpus),
        cmocka_unit_test(test_writing_alone),
        cmocka_unit_test(test_wrong_params),
        cmocka_unit_test(test_bad_instances),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_the_best_stays),
        cmocka_unit_test(test_frozen_weights_stay),
        cmocka_unit_test(test_what_is_finished_stays),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
