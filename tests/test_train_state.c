/* Checkpoints of a trainer: who goes on from one makes the same bits as who never stopped; what is damaged is
 * refused by name; and kernels that are not there are told of. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/sealed.h"
#include "support_pretrain.h"
#include "support_train.h"
#include "train/state.h"

enum { PATH = FIXTURE_PATH_SIZE + 64 };

static char dir[FIXTURE_PATH_SIZE]; /* of a test */
static char warning[600];           /* the last one */

static int make_dir(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static const char *in_dir(const char *name) {
    static char paths[4][PATH];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, PATH, "%s/%s", dir, name);
    return path;
}

static void take_log(void *user, rp_log_level level, const char *message) {
    (void)user;
    if (level == RP_LOG_WARNING) snprintf(warning, sizeof warning, "%s", message);
}

static rp_status try_open(const train_case *c, const char *resume, uint32_t tokens, rp_trainer **out,
                          rp_error *err) {
    const rp_call call = {.log = take_log};
    rp_trainer_params params = train_params(c);
    params.hidden_dropout = params.attention_dropout = params.classifier_dropout = 0.1;
    params.schedule = RP_SCHEDULE_LINEAR;
    params.warmup_steps = 2;
    params.total_steps = 9;
    params.max_batch_tokens = tokens;
    params.resume = resume;
    params.call = &call;
    *warning = '\0';
    return rp_trainer_open(fixture_device, c->g.dir, &params, out, err);
}

static rp_trainer *open_trainer(const train_case *c, const char *resume, uint32_t tokens) {
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    if (try_open(c, resume, tokens, &trainer, &err)) fail_msg("%s", err.message);
    return trainer;
}

static double make_steps(rp_trainer *trainer, const train_case *c, uint64_t from, uint64_t to) {
    rp_train_result result = {0};
    rp_error err = {0};
    for (uint64_t i = from; i < to; i++) {
        if (rp_trainer_step(trainer, &c->batches[i % TRAIN_BATCHES], &result, &err))
            fail_msg("%s", err.message);
        assert_int_equal(result.step, i + 1);
    }
    return result.loss;
}

static void write_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_same_file(const char *a, const char *b, const char *name) {
    char path[2][2 * PATH];
    size_t size[2];
    snprintf(path[0], sizeof path[0], "%s/%s", a, name);
    snprintf(path[1], sizeof path[1], "%s/%s", b, name);
    char *one = fixture_read(NULL, path[0], &size[0]), *two = fixture_read(NULL, path[1], &size[1]);
    assert_int_equal(size[0], size[1]);
    if (memcmp(one, two, size[0])) fail_msg("%s is not %s", path[0], path[1]);
    free(one);
    free(two);
}

static void save_state(rp_trainer *trainer, const char *out) {
    rp_error err = {0};
    if (rp_trainer_save_state(trainer, out, &err)) fail_msg("%s", err.message);
}

/* ---- the same bits ---- */

static void check_going_on(const char *name) {
    train_case c;
    assert_true(train_open(name, &c));
    rp_trainer *trainer = open_trainer(&c, NULL, 0);
    make_steps(trainer, &c, 0, 4);
    save_state(trainer, in_dir("four"));
    double loss = make_steps(trainer, &c, 4, 9);
    save_state(trainer, in_dir("nine"));
    rp_trainer_close(&trainer);
    trainer = open_trainer(&c, in_dir("four"), 0);
    assert_string_equal(warning, "");
    save_state(trainer, in_dir("again")); /* nothing is lost on the way */
    assert_true(make_steps(trainer, &c, 4, 9) == loss);
    save_state(trainer, in_dir("resumed"));
    rp_trainer_close(&trainer);
    static const char *const files[] = {"model.safetensors", "exp_avg.safetensors", "exp_avg_sq.safetensors",
                                        "config.json", "trainer.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_same_file(in_dir("four"), in_dir("again"), files[i]);
        assert_same_file(in_dir("nine"), in_dir("resumed"), files[i]);
    }
    train_close(&c);
}

static void test_going_on_makes_the_same_bits(void **state) {
    (void)state;
    check_going_on("classify");
}

static void test_going_on_with_other_models(void **state) {
    (void)state;
    check_going_on("classify_bert"); /* its layers have weights of their own */
    remove_dir(NULL);
    make_dir(NULL);
    check_going_on("answer_groups");
    remove_dir(NULL);
    make_dir(NULL);
    check_going_on("exits"); /* a classifier behind each layer */
}

static rp_trainer *open_pretrainer(const pretrain_case *c, const char *resume) {
    rp_trainer_params params = pretrain_params(c, RP_OPTIMIZER_LAMB);
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    params.resume = resume;
    if (rp_trainer_open(fixture_device, c->dir, &params, &trainer, &err)) fail_msg("%s", err.message);
    return trainer;
}

static void pretrain(rp_trainer *trainer, const pretrain_case *c, size_t from, size_t to) {
    rp_error err = {0};
    for (size_t i = from; i < to; i++)
        if (rp_trainer_step(trainer, &c->batches[i % PRETRAIN_BATCHES], NULL, &err))
            fail_msg("%s", err.message);
}

/* LAMB, the decoder, and heads for words and for order. */
static void test_going_on_with_pre_training(void **state) {
    static const char *const cases[] = {"untied", "inner", "bert"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pretrain_case c;
        assert_true(pretrain_open(cases[i], &c));
        rp_trainer *trainer = open_pretrainer(&c, NULL);
        pretrain(trainer, &c, 0, 3);
        save_state(trainer, in_dir("three"));
        pretrain(trainer, &c, 3, 6);
        save_state(trainer, in_dir("six"));
        rp_trainer_close(&trainer);
        trainer = open_pretrainer(&c, in_dir("three"));
        pretrain(trainer, &c, 3, 6);
        save_state(trainer, in_dir("resumed"));
        rp_trainer_close(&trainer);
        assert_same_file(in_dir("six"), in_dir("resumed"), "model.safetensors");
        assert_same_file(in_dir("six"), in_dir("resumed"), "exp_avg.safetensors");
        assert_same_file(in_dir("six"), in_dir("resumed"), "exp_avg_sq.safetensors");
        assert_same_file(in_dir("six"), in_dir("resumed"), "trainer.json");
        pretrain_close(&c);
        remove_dir(NULL);
        make_dir(NULL);
    }
}

/* ---- what is otherwise ---- */

/* Replace `from`, of as many bytes, in a trainer.json, and seal it again. */
static void change_state(const char *from, const char *to) {
    size_t size;
    const char *path = in_dir("state/trainer.json");
    char *text = fixture_read(NULL, path, &size), *place = strstr(text, from),
         *cut = strstr(text, "  \"files\"");
    assert_true(place && cut && strlen(from) == strlen(to));
    memcpy(place, to, strlen(to));
    rp_json_document document = {0};
    rp_json_writer w = {0};
    rp_error err;
    assert_int_equal(rp_json_parse(text, size, path, &document, &err), RP_OK);
    rp_json_write_open(&w, NULL, '{');
    for (uint32_t i = 0; i + 1 < document.root.count; i++)
        rp_json_write_value(&w, document.root.members[i].key, &document.root.members[i].value);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rp_seal_write(&w, in_dir("state"), "trainer.json", &err), RP_OK);
    rp_json_finish(&document);
    free(text);
}

static void test_other_kernels_and_cuts_are_told(void **state) {
    train_case c;
    rp_error err = {0};
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer *trainer = open_trainer(&c, NULL, 0);
    make_steps(trainer, &c, 0, 2);
    save_state(trainer, in_dir("state"));
    rp_trainer_close(&trainer);
    /* the cut is that of the checkpoint, unless another one is asked for */
    trainer = open_trainer(&c, in_dir("state"), 64);
    assert_non_null(strstr(warning, "other micro-batches"));
    make_steps(trainer, &c, 2, 3);
    save_state(trainer, in_dir("small"));
    rp_trainer_close(&trainer);
    trainer = open_trainer(&c, in_dir("small"), 0);
    assert_string_equal(warning, "");
    save_state(trainer, in_dir("small2"));
    assert_same_file(in_dir("small"), in_dir("small2"), "trainer.json");
    rp_trainer_close(&trainer);
    change_state(": \"matmul", ": \"natmul"); /* a name that no kernel has */
    trainer = open_trainer(&c, in_dir("state"), 0);
    assert_non_null(strstr(warning, "kernels that this device or version has not"));
    make_steps(trainer, &c, 2, 3);
    rp_trainer_close(&trainer);
    change_state("\"version\": 1", "\"version\": 9");
    assert_int_equal(try_open(&c, in_dir("state"), 0, &trainer, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "trainer.json"));
    train_close(&c);
}

/* A poorer device, which the layer of tests/layers makes of this one. The caller closes it. */
static rp_device *open_poorer_device(void) {
    static const char *const names[] = {"VK_INSTANCE_LAYERS", "VK_ADD_LAYER_PATH", "REPRISE_BENT"},
                             *const values[] = {"VK_LAYER_REPRISE_bent", BINARY_DIR "/tests/layers",
                                                "powervr"};
    rp_device *device = NULL;
    rp_error err = {0};
    char *before[3];
    for (int i = 0; i < 3; i++) {
        before[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
        setenv(names[i], values[i], 1);
    }
    if (rp_device_open(NULL, &device, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < 3; i++) {
        unsetenv(names[i]);
        if (before[i]) setenv(names[i], before[i], 1);
        free(before[i]);
    }
    return device;
}

/* It says that kernels cannot be those of the checkpoint, and learns what is to be learnt with others. */
static void test_another_device_goes_on(void **state) {
    const rp_call call = {.log = take_log};
    train_case c;
    rp_error err = {0};
    rp_trainer *trainer = NULL;
    rp_device *poorer = open_poorer_device();
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer_params params = train_params(&c);
    params.call = &call;
    for (size_t k = 0; k < 6; k++) {
        rp_train_result result;
        if (k == 3) save_state(trainer, in_dir("state"));
        if (k == 3) rp_trainer_close(&trainer);
        *warning = '\0';
        params.resume = k ? in_dir("state") : NULL;
        if (!trainer && rp_trainer_open(k ? poorer : fixture_device, c.g.dir, &params, &trainer, &err))
            fail_msg("%s", err.message);
        assert_true(k != 3 || strstr(warning, "was written on another device"));
        assert_true(k < 3 || (trainer->model->ops.strayed && trainer->ops.strayed));
        if (rp_trainer_step(trainer, &c.batches[k % TRAIN_BATCHES], &result, &err))
            fail_msg("%s", err.message);
        assert_int_equal(result.step, k + 1);
        assert_true(fabs(result.loss / c.loss[k] - 1) < 2e-3 &&
                    fabs(result.grad_norm / c.norm[k] - 1) < 2e-3);
    }
    rp_trainer_close(&trainer);
    rp_device_close(&poorer);
    train_close(&c);
}

/* ---- what is damaged ---- */

static void expect_refusal(const train_case *c, const char *name, rp_status status) {
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    rp_status got = try_open(c, in_dir("state"), 0, &trainer, &err);
    if (got != status || !strstr(err.message, name))
        fail_msg("%s: %d is not %d: %s", name, (int)got, (int)status, err.message);
    assert_null(trainer);
}

/* Each file cut, changed in one bit at many places, and missing. */
static void test_damage_is_found(void **state) {
    static const char *const files[] = {"trainer.json", "model.safetensors", "exp_avg.safetensors",
                                        "exp_avg_sq.safetensors", "config.json"};
    train_case c;
    (void)state;
    assert_true(train_open("classify", &c));
    rp_trainer *trainer = open_trainer(&c, NULL, 0);
    make_steps(trainer, &c, 0, 1);
    save_state(trainer, in_dir("state"));
    rp_trainer_close(&trainer);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH + 64];
        size_t size;
        snprintf(path, sizeof path, "%s/state/%s", dir, files[i]);
        char *bytes = fixture_read(NULL, path, &size);
        for (int k = 0; k < 5; k++) {
            write_file(path, bytes, size * (size_t)k / 5);
            expect_refusal(&c, files[i], RP_ERROR_FORMAT);
            size_t at = k == 4 ? size - 1 : size * (size_t)k / 4;
            bytes[at] ^= 1;
            write_file(path, bytes, size);
            expect_refusal(&c, files[i], RP_ERROR_FORMAT);
            bytes[at] ^= 1;
        }
        assert_int_equal(unlink(path), 0);
        expect_refusal(&c, files[i], RP_ERROR_FILE);
        write_file(path, bytes, size);
        free(bytes);
    }
    trainer = open_trainer(&c, in_dir("state"), 0);
    rp_trainer_close(&trainer);
    train_close(&c);
}

static void test_another_model_is_refused(void **state) {
    train_case c, other;
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    (void)state;
    assert_true(train_open("classify", &c) && train_open("classify_bert", &other));
    trainer = open_trainer(&c, NULL, 0);
    save_state(trainer, in_dir("state"));
    assert_int_equal(rp_trainer_save_state(trainer, in_dir("state"), &err), RP_ERROR_FILE); /* it has files */
    rp_trainer_close(&trainer);
    assert_int_equal(try_open(&other, in_dir("state"), 0, &trainer, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "model.safetensors"));
    train_close(&c);
    train_close(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_going_on_makes_the_same_bits, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_going_on_with_other_models, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_going_on_with_pre_training, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_other_kernels_and_cuts_are_told, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_another_device_goes_on, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_damage_is_found, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_another_model_is_refused, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
