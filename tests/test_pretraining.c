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
#define TINY                                                                                                 \
    "{\"model_type\": \"albert\", \"embedding_size\": 16, \"hidden_size\": 24, \"num_attention_heads\": 2, " \
    "\"num_hidden_layers\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 40, "                 \
    "\"hidden_dropout_prob\": 0, \"attention_probs_dropout_prob\": 0, \"classifier_dropout_prob\": 0.1}"
#define TEXT                                                                              \
    "a letter came in the morning.\nhe read it twice.\nthen he put it into the fire.\n\n" \
    "the ship was old.\nnobody had painted it for years.\nthe captain did not care.\n\n"  \
    "it rained.\nwe stayed at home.\nthe children played.\n"

enum { PATH = FIXTURE_PATH_SIZE + 64, MOST_STEPS = 64, METRICS = 4 };

static rp_device *device;

/* A folder with data, and what the callbacks heard. */
typedef struct place {
    char dir[FIXTURE_PATH_SIZE], text[PATH], instances[PATH], config[PATH], out[PATH];
    rp_call call;
    rp_training_step steps[MOST_STEPS];
    double metrics[MOST_STEPS][METRICS]; /* mlm_loss, sop_loss, mlm_accuracy, sop_accuracy */
    size_t step_count;
    uint64_t cancel_at;
} place;

static int open_device(void **state) {
    rp_error err = {0};
    (void)state;
    if (rp_device_open(NULL, &device, &err)) print_error("%s\n", err.message);
    return device ? 0 : -1;
}

static int close_device(void **state) {
    (void)state;
    rp_device_close(&device);
    return 0;
}

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

static void begin(place *p) {
    *p = (place){0};
    assert_true(fixture_make_dir(p->dir));
    snprintf(p->text, sizeof p->text, "%s/text.txt", p->dir);
    snprintf(p->instances, sizeof p->instances, "%s/instances.jsonl", p->dir);
    snprintf(p->config, sizeof p->config, "%s/tiny.json", p->dir);
    snprintf(p->out, sizeof p->out, "%s/out", p->dir);
    assert_true(fixture_write_text(p->dir, "text.txt", TEXT));
    assert_true(fixture_write_text(p->dir, "tiny.json", TINY));
}

static rp_status pretrain(place *p, rp_pretrain_params params, rp_error *err) {
    const rp_training_handler handler = {.step = take_step, .user = p};
    params.handler = &handler;
    params.call = &p->call;
    p->step_count = 0;
    *err = (rp_error){0};
    return rp_pretrain(device, &params, err);
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

static char *read_file(const char *folder, const char *name, size_t *size) {
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s%s%s", folder, *name ? "/" : "", name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = calloc(1, *size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
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
    char *config = read_file(c->dir, "config.json", &size);
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
    char *config = read_file(p.out, "config.json", &size);
    json_t *root = json_loads(config, 0, NULL);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "architectures"), 0)),
                        "AlbertForPreTraining");
    assert_int_equal(json_integer_value(json_object_get(root, "vocab_size")), 8192);
    json_decref(root);
    free(config);
    if (rp_model_open(device, p.out, NULL, &model, &err)) fail_msg("%s", err.message);
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
        char *weights = read_file(p.out, "model.safetensors", &size);
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
    char *all = read_file(p.instances, "", &size);
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
    assert_int_equal(rp_pretrain(device, NULL, NULL), RP_ERROR_ARGUMENT);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twenty_steps),
        cmocka_unit_test(test_a_new_model),
        cmocka_unit_test(test_instances_are_the_corpus),
        cmocka_unit_test(test_writing_alone),
        cmocka_unit_test(test_wrong_params),
        cmocka_unit_test(test_bad_instances),
        cmocka_unit_test(test_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
