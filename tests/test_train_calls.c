/* Who ends a training, and who else uses its model: a deadline inside a step, another thread that cancels at
 * any moment of rp_finetune, runs of the model beside steps, steps of two threads. What was saved stays good,
 * and who goes on gets the bits of a training that nobody disturbed. tools/check runs this with
 * ThreadSanitizer too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support_tasks.h"
#include "support_train.h"

enum { PATH = FIXTURE_PATH_SIZE + 64, STEPS = 6 };

static train_case c;
static task_case small; /* a model with a tokenizer */
static char dir[FIXTURE_PATH_SIZE];

static const char *in_dir(const char *name) {
    static char paths[8][PATH];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH, "%s/%s", dir, name);
    return path;
}

static int begin(void **state) {
    static const char rows[] =
        "sentence\tlabel\na warm film\tgood\na dull film\tbad\na fine film\tgood\nit ran\tbad\n";
    return fixture_open_device(state) || !train_open("classify", &c) || !task_case_open("order", &small) ||
                   !fixture_make_dir(dir) || !fixture_write_text(dir, "t.tsv", rows)
               ? -1
               : 0;
}

static int end(void **state) {
    fixture_remove_dir(dir);
    task_case_close(&small);
    train_close(&c);
    return fixture_close_device(state);
}

static char *read_model(const char *folder, size_t *size) {
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/model.safetensors", in_dir(folder));
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s is missing", path);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void assert_same_models(const char *a, const char *b) {
    size_t size, other;
    char *one = read_model(a, &size), *two = read_model(b, &other);
    if (size != other || memcmp(one, two, size)) fail_msg("%s differs from %s", b, a);
    free(one);
    free(two);
}

static void wait_for(double seconds) {
    const struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static rp_trainer *open_trainer(uint32_t tokens) {
    rp_trainer_params params = train_params(&c);
    rp_trainer *trainer = NULL;
    rp_error err = {0};
    params.max_batch_tokens = tokens;
    if (rp_trainer_open(fixture_device, c.g.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
    return trainer;
}

/* ---- inside a step ---- */

/* A batch of many micro-batches, whose time is known: a deadline in the middle ends it, and the trainer with
 * it, for the sums are half. */
static void test_a_deadline_inside_a_step(void **state) {
    enum { MANY = 100, TOKENS = 9 };
    static const int32_t ids[TOKENS] = {2, 11, 7, 30, 41, 5, 9, 12, 3};
    rp_sequence sequences[MANY];
    int32_t labels[MANY];
    rp_error err = {0};
    rp_train_result whole;
    bool inside = false;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        sequences[i] = (rp_sequence){.ids = ids, .count = 1 + (uint32_t)i % TOKENS};
        labels[i] = i % 2;
    }
    rp_train_batch batch = {.sequences = sequences, .count = MANY, .labels = labels};
    rp_trainer *trainer = open_trainer(1);
    if (rp_trainer_step(trainer, &batch, &whole, &err)) fail_msg("%s", err.message);
    assert_true(whole.submissions > 10);
    if (rp_trainer_step(trainer, &batch, &whole, &err)) fail_msg("%s", err.message);
    for (double part = whole.seconds / 3; !inside && part > 1e-5; part /= 2) {
        const rp_call call = {.deadline = rp_clock() + part};
        batch.call = &call;
        rp_status status = rp_trainer_step(trainer, &batch, NULL, &err);
        if (!status) continue; /* a moment in which nobody else used the machine */
        assert_int_equal(status, RP_ERROR_DEADLINE);
        batch.call = NULL;
        inside = rp_trainer_step(trainer, &batch, NULL, &err) == RP_ERROR_DEVICE_LOST;
        if (inside)
            assert_int_equal(rp_trainer_save(trainer, in_dir("none"), false, &err), RP_ERROR_DEVICE_LOST);
    }
    assert_true(inside);
    rp_trainer_close(&trainer);
}

/* ---- from another thread ---- */

typedef struct canceller {
    rp_call call;
    atomic_int steps; /* made so far; -1: the training has ended */
    int after;        /* this many it cancels, */
    double late;      /* and so many seconds */
} canceller;

static void take_step(void *user, const rp_training_step *step) {
    canceller *who = user;
    who->steps = (int)step->step;
}

static void *cancel(void *user) {
    canceller *who = user;
    while (who->steps >= 0 && who->steps < who->after) wait_for(1e-4);
    wait_for(who->late);
    rp_call_cancel(&who->call);
    return NULL;
}

static rp_status finetune(const char *out, canceller *who, rp_error *err) {
    const rp_training_handler handler = {.step = take_step, .user = who};
    char log[64];
    snprintf(log, sizeof log, "%s.jsonl", out);
    const rp_finetune_params params = {.model = small.dir,
                                       .train = in_dir("t.tsv"),
                                       .dev = in_dir("t.tsv"),
                                       .out = in_dir(out),
                                       .steps = STEPS,
                                       .batch_size = 3,
                                       .learning_rate = 1e-4,
                                       .eval_every = 2,
                                       .save_every = 1,
                                       .log = in_dir(log),
                                       .handler = &handler,
                                       .call = &who->call,
                                       .resume = true};
    rp_status status = rp_finetune(fixture_device, &params, err);
    who->steps = -1;
    return status;
}

static void test_cancelled_by_another_thread(void **state) {
    static const double late[] = {0, 2e-3, 1e-2, 3e-2};
    rp_error err = {0};
    int cancelled = 0;
    (void)state;
    for (int i = 0; i < 2; i++) { /* the first tries kernels */
        canceller nobody = {0};
        fixture_remove_dir(in_dir("whole"));
        if (finetune("whole", &nobody, &err)) fail_msg("%s", err.message);
    }
    for (int i = 0; i < STEPS; i++) {
        canceller who = {.after = i % STEPS, .late = late[i % 4]};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, cancel, &who), 0);
        rp_status status = finetune("cut", &who, &err);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (status) assert_int_equal(status, RP_ERROR_CANCELLED);
        cancelled += status != RP_OK;
        if (status) continue; /* the next one goes on from there */
        assert_same_models("whole", "cut");
        fixture_remove_dir(in_dir("cut"));
    }
    canceller nobody = {0};
    if (finetune("cut", &nobody, &err)) fail_msg("%s", err.message);
    assert_same_models("whole", "cut");
    assert_true(cancelled > 0);
}

/* ---- beside steps ---- */

typedef struct runner {
    rp_model *model;
    atomic_bool *done;
    int runs;
} runner;

static void *run_model(void *user) {
    runner *who = user;
    const rp_run_params params = {.output = RP_OUTPUT_CLASSES};
    rp_error err = {0};
    float logits[64];
    while (!*who->done || !who->runs) {
        if (rp_model_run(who->model, c.batches[0].sequences, c.batches[0].count, &params, logits, 64, NULL,
                         &err))
            return user;
        for (size_t i = 0; i < c.batches[0].count; i++)
            if (!(logits[i] == logits[i])) return user;
        who->runs++;
    }
    return NULL;
}

/* Two threads run the model whenever it is their turn: the weights after the steps are the same bits. */
static void test_runs_beside_steps(void **state) {
    rp_error err = {0};
    (void)state;
    for (int crowd = 0; crowd < 2; crowd++) {
        rp_trainer *trainer = open_trainer(0);
        atomic_bool done = false;
        runner who[2] = {{rp_trainer_model(trainer), &done, 0}, {rp_trainer_model(trainer), &done, 0}};
        pthread_t threads[2];
        for (int i = 0; crowd && i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, run_model, &who[i]), 0);
        rp_status status = RP_OK;
        for (int i = 0; !status && i < STEPS; i++)
            status = rp_trainer_step(trainer, &c.batches[i % TRAIN_BATCHES], NULL, &err);
        done = true;
        for (int i = 0; crowd && i < 2; i++) {
            void *failed = NULL;
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        if (!status) status = rp_trainer_save(trainer, in_dir(crowd ? "crowd" : "alone"), false, &err);
        if (status) fail_msg("%s", err.message);
        rp_trainer_close(&trainer);
    }
    assert_same_models("alone", "crowd");
}

/* Steps that two threads ask for take turns, from the look at their batches on: the weights are the bits of
 * as many steps by one thread. */
typedef struct stepper {
    rp_trainer *trainer;
    int steps;
    rp_status status;
} stepper;

static void *make_steps(void *user) {
    static const int32_t ids[] = {2, 7, 8, 9, 10, 11, 12, 3}, masked_ids[] = {9, 8, 7, 12, 11, 10},
                         order[] = {0, 1};
    static const uint32_t counts[] = {3, 3}, positions[] = {1, 2, 3, 1, 4, 6};
    const rp_sequence sequences[] = {{.ids = ids, .count = 8}, {.ids = ids, .count = 7}};
    const rp_train_batch batch = {.sequences = sequences,
                                  .count = 2,
                                  .masked_counts = counts,
                                  .masked_positions = positions,
                                  .masked_ids = masked_ids,
                                  .order = order};
    stepper *who = user;
    for (int i = 0; !who->status && i < who->steps; i++)
        who->status = rp_trainer_step(who->trainer, &batch, NULL, NULL);
    return NULL;
}

static void test_steps_of_two_threads(void **state) {
    const rp_trainer_params params = {.head = RP_TRAIN_BOTH, .learning_rate = 1e-3};
    rp_error err = {0};
    (void)state;
    for (int crowd = 0; crowd < 2; crowd++) {
        rp_trainer *trainer = NULL;
        if (rp_trainer_open(fixture_device, small.dir, &params, &trainer, &err)) fail_msg("%s", err.message);
        stepper who[2] = {{trainer, crowd ? 5 : 10, RP_OK}, {trainer, 5, RP_OK}};
        pthread_t other;
        if (crowd) assert_int_equal(pthread_create(&other, NULL, make_steps, &who[1]), 0);
        make_steps(&who[0]);
        if (crowd) assert_int_equal(pthread_join(other, NULL), 0);
        assert_int_equal(who[0].status, RP_OK);
        assert_int_equal(who[1].status, RP_OK);
        if (rp_trainer_save(trainer, in_dir(crowd ? "by-two" : "by-one"), false, &err))
            fail_msg("%s", err.message);
        rp_trainer_close(&trainer);
    }
    assert_same_models("by-one", "by-two");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_deadline_inside_a_step), cmocka_unit_test(test_cancelled_by_another_thread),
        cmocka_unit_test(test_runs_beside_steps), cmocka_unit_test(test_steps_of_two_threads)};
    return cmocka_run_group_tests(tests, begin, end);
}
