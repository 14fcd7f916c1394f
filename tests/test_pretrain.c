/* Pre-training, held against PyTorch: losses, accuracies and the norm of the gradient of each step, and the
 * weights in the end, which are read from the folder that was saved. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "loader/safetensors.h"
#include "support_pretrain.h"

/* ---- evaluation ---- */

/* The instances of all batches as lines, and a line that no model takes. */
static void write_instances(const pretrain_case *c, const char *path, bool bad) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int b = 0; b < PRETRAIN_BATCHES; b++) {
        const json_t *item;
        size_t i;
        json_array_foreach(c->lists[b], i, item) {
            json_t *line =
                json_pack("{sO sO sO sO}", "input_ids", json_object_get(item, "ids"), "masked_positions",
                          json_object_get(item, "masked_positions"), "masked_ids",
                          json_object_get(item, "masked_ids"), "order", json_object_get(item, "order"));
            assert_non_null(line);
            if (json_object_get(item, "types"))
                json_object_set(line, "token_type_ids", json_object_get(item, "types"));
            char *text = json_dumps(line, JSON_COMPACT);
            fprintf(file, "%s\n", text);
            free(text);
            json_decref(line);
        }
        if (!b && bad)
            fprintf(file, "{\"input_ids\": [1], \"masked_positions\": [0], \"masked_ids\": [99999]}\n");
    }
    fclose(file);
}

/* The predictions are those of the accuracy, and stand in the order of the rows. */
static void check_predictions(const char *path, const json_t *want, size_t rows) {
    static char line[1 << 16];
    FILE *file = fopen(path, "r");
    size_t count = 0, masked = 0, right = 0;
    assert_non_null(file);
    for (; fgets(line, sizeof line, file); count++) {
        json_t *row = json_loads(line, 0, NULL);
        const json_t *labels = json_object_get(row, "labels"), *said = json_object_get(row, "predictions");
        assert_int_equal(json_integer_value(json_object_get(row, "row")), count);
        assert_int_equal(json_object_get(row, "error") != NULL, labels == NULL);
        for (size_t i = 0; i < json_array_size(labels); i++, masked++)
            right +=
                json_integer_value(json_array_get(labels, i)) == json_integer_value(json_array_get(said, i));
        json_decref(row);
    }
    fclose(file);
    assert_int_equal(count, rows);
    assert_true(fabs((double)right / (double)masked -
                     json_number_value(json_object_get(want, "mlm_accuracy"))) < 1e-9);
}

static void check_evaluation(const char *name) {
    char path[FIXTURE_PATH_SIZE + 32], out[FIXTURE_PATH_SIZE + 32];
    pretrain_case c;
    rp_model *model = NULL;
    rp_evaluation *e = NULL;
    rp_error err = {0};
    uint64_t skipped;
    size_t count;
    assert_true(pretrain_open(name, &c));
    snprintf(path, sizeof path, "%s/instances.jsonl", c.dir);
    snprintf(out, sizeof out, "%s/said.jsonl", c.dir);
    const json_t *want = json_object_get(c.root, "evaluation");
    rp_eval_params params = {.task = RP_EVAL_MLM};
    write_instances(&c, path, true);
    if (rp_model_open(fixture_device, c.dir, NULL, &model, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_eval(model, path, &params, &e, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "line 6: masked_ids: 99999"));
    params.skip_bad = true;
    params.predictions = out;
    if (rp_eval(model, path, &params, &e, &err)) fail_msg("%s", err.message);
    rp_model_close(&model);
    assert_int_equal(rp_evaluation_rows(e, &skipped), 25);
    assert_int_equal(skipped, 1);
    const rp_metric *metrics = rp_evaluation_metrics(e, &count);
    assert_int_equal(count, json_object_size(want));
    for (size_t i = 0; i < count; i++) {
        double right = json_number_value(json_object_get(want, metrics[i].name));
        if (!(fabs(metrics[i].value - right) <= 1e-6 * fmax(1, right)))
            fail_msg("%s, %s: %.9g and not %.9g", name, metrics[i].name, metrics[i].value, right);
    }
    rp_evaluation_free(&e);
    check_predictions(out, want, 26);
    pretrain_close(&c);
}

static void test_evaluation(void **state) {
    (void)state;
    check_evaluation("odd");
    check_evaluation("head26");
    check_evaluation("inner");
    check_evaluation("mlm");
    check_evaluation("untied");
    check_evaluation("bert");
}

/* ---- weights ---- */

static bool is_noise(const json_t *golden, const char *name) {
    const json_t *list = json_object_get(golden, "noise"), *item;
    size_t i;
    json_array_foreach(list, i, item) if (!strcmp(json_string_value(item), name)) return true;
    return false;
}

static const rp_tensor_entry *find(const rp_tensor_file *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->entries[i].name, name)) return &file->entries[i];
    print_error("%s is not in the file\n", name);
    fail();
    return NULL;
}

/* The largest difference of a tensor in the file from what PyTorch has. */
static double compare_tensor(const rp_tensor_file *file, const char *name, const json_t *want) {
    const rp_tensor_entry *t = find(file, name);
    double worst = 0;
    for (size_t k = 0; k < json_array_size(json_array_get(want, 1)); k++) {
        json_int_t at = json_integer_value(json_array_get(json_array_get(want, 0), k));
        float got;
        assert_true(4 * (uint64_t)at < t->bytes);
        memcpy(&got, t->data + 4 * at, sizeof got);
        worst = fmax(worst, fabs(got - json_number_value(json_array_get(json_array_get(want, 1), k))));
    }
    return worst;
}

static void check_weights(const json_t *golden, const char *dir, double bound) {
    char path[FIXTURE_PATH_SIZE + 32];
    rp_tensor_file file = {0};
    rp_error err = {0};
    const char *name;
    json_t *want;
    int compared = 0, wrong = 0;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    assert_int_equal(rp_safetensors_open(path, &file, &err), RP_OK);
    json_object_foreach(json_object_get(golden, "weights"), name, want) {
        if (is_noise(golden, name)) continue;
        double away = compare_tensor(&file, name, want);
        if (away > bound) print_error("%s is %.1e away\n", name, away);
        wrong += !(away <= bound);
        compared++;
    }
    assert_int_equal(wrong, 0);
    assert_true(compared > 10);
    rp_tensor_file_close(&file);
}

/* ---- the cases ---- */

static void check_number(size_t step, const char *what, double got, const json_t *want, double bound) {
    double right = json_number_value(want);
    if (!(fabs(got - right) <= bound * fabs(right)))
        fail_msg("step %zu: %s is %.7g and not %.7g", step + 1, what, got, right);
}

/* Each step: loss, norm, loss and accuracy of the masked tokens and, where it is learnt, of the order. */
static void check_steps(rp_trainer *trainer, const pretrain_case *c, const json_t *golden) {
    rp_error err = {0};
    for (size_t i = 0; i < PRETRAIN_STEPS; i++) {
        const json_t *want = json_array_get(json_object_get(golden, "steps"), i);
        rp_train_result r;
        if (rp_trainer_step(trainer, &c->batches[i % PRETRAIN_BATCHES], &r, &err))
            fail_msg("%s", err.message);
        check_number(i, "loss", r.loss, json_array_get(want, 0), 2e-3);
        check_number(i, "grad_norm", r.grad_norm, json_array_get(want, 1), 2e-3);
        check_number(i, "mlm_loss", r.mlm_loss, json_array_get(want, 2), 2e-3);
        check_number(i, "mlm_accuracy", r.mlm_accuracy, json_array_get(want, 3), 1e-9);
        bool order = json_array_size(want) > 4;
        check_number(i, "sop_loss", r.sop_loss, order ? json_array_get(want, 4) : NULL, 2e-3);
        check_number(i, "sop_accuracy", r.sop_accuracy, order ? json_array_get(want, 5) : NULL, 1e-9);
        assert_true(r.learning_rate == c->learning_rate);
    }
}

static void follow(const char *name, rp_optimizer optimizer, double bound) {
    char dir[FIXTURE_PATH_SIZE];
    pretrain_case c;
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    assert_true(pretrain_open(name, &c));
    assert_true(fixture_make_dir(dir));
    const json_t *golden = json_object_get(c.root, optimizer == RP_OPTIMIZER_LAMB ? "lamb" : "adamw");
    rp_trainer_params params = pretrain_params(&c, optimizer);
    if (rp_trainer_open(fixture_device, c.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
    check_steps(trainer, &c, golden);
    if (rp_trainer_save(trainer, dir, false, &err)) fail_msg("%s", err.message);
    check_weights(golden, dir, bound);
    rp_trainer_close(&trainer);
    fixture_remove_dir(dir);
    pretrain_close(&c);
}

static void test_adamw(void **state) {
    (void)state;
    follow("odd", RP_OPTIMIZER_ADAMW, 1e-3);
    follow("inner", RP_OPTIMIZER_ADAMW, 1e-3);
    follow("mlm", RP_OPTIMIZER_ADAMW, 1e-3);
    follow("untied", RP_OPTIMIZER_ADAMW, 1e-3);
    follow("bert", RP_OPTIMIZER_ADAMW, 1e-3);
    follow("head26", RP_OPTIMIZER_ADAMW, 3e-2); /* what stands at the kink of relu */
}

static void test_lamb(void **state) {
    (void)state;
    follow("odd", RP_OPTIMIZER_LAMB, 1e-3);
    follow("inner", RP_OPTIMIZER_LAMB, 1e-3);
    follow("mlm", RP_OPTIMIZER_LAMB, 1e-3);
    follow("untied", RP_OPTIMIZER_LAMB, 1e-3);
    follow("bert", RP_OPTIMIZER_LAMB, 1e-3);
    follow("head26", RP_OPTIMIZER_LAMB, 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluation),
        cmocka_unit_test(test_adamw),
        cmocka_unit_test(test_lamb),
    };
    return cmocka_run_group_tests(tests, fixture_open_device, fixture_close_device);
}
