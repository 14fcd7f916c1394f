/* Training on several devices. The test starts itself under mpirun: as `test_mpi JOB FILE ...` each process
 * is one rank, and what it finds wrong, it says and exits with 1. Left out where there is no mpirun. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "support_faults.h"
#include "support_mpi.h"
#include "support_train.h"
#include "train/trainer.h"

#define TEXT \
    "a letter came.\nhe read it twice.\nit burnt.\n\nthe ship was old.\nit sank.\n\nwe ran.\nit rained.\n"
/* ---- a rank ---- */

static train_case c;
static rp_trainer *trainer;
static rp_train_batch part;
static double loss_scale; /* of trainers that open_case makes in f16; 0: the default */

/* The rank's part of a batch of a head. Sequences of a question stay together, as those of a pair do. */
static void take_part(const rp_train_batch *whole, rp_head head) {
    size_t unit = trainer->params.vectors  ? 2
                  : head == RP_HEAD_CHOICE ? whole->choices
                                           : 1,
           units = whole->count / unit;
    size_t rank = rp_world_rank(mpi_world), ranks = rp_world_size(mpi_world);
    size_t first = units * rank / ranks * unit, end = units * (rank + 1) / ranks * unit, labels = first;
    part = *whole;
    part.sequences += first;
    part.count = end - first;
    if (head == RP_HEAD_SPANS) labels = 2 * first;
    if (head == RP_HEAD_CHOICE) labels = first / unit;
    if (head == RP_HEAD_TOKENS) labels = 0;
    for (size_t i = 0; head == RP_HEAD_TOKENS && i < first; i++) labels += whole->sequences[i].count;
    if (part.labels) part.labels += labels;
    if (part.targets && trainer->params.vectors)
        part.targets += first / 2;
    else if (part.targets)
        part.targets += first * rp_train_logits(trainer);
    if (part.teacher) part.teacher += first * rp_train_logits(trainer);
}

/* "f16:NAME" is a case in f16. */
static void open_case(const char *name, double dropout, uint64_t seed) {
    bool half = !strncmp(name, "f16:", 4);
    rp_error err = {0};
    mpi_begin(60);
    MPI_NEED(train_open(half ? name + 4 : name, &c));
    rp_trainer_params params = train_params(&c);
    params.world = mpi_world;
    params.precision = half ? RP_PRECISION_F16 : RP_PRECISION_F32;
    params.loss_scale = loss_scale;
    params.hidden_dropout = params.attention_dropout = params.classifier_dropout = dropout;
    params.seed = seed;
    mpi_need_ok(rp_trainer_open(mpi_device, c.g.dir, &params, &trainer, &err), &err);
}

static void close_case(void) {
    rp_trainer_close(&trainer);
    train_close(&c);
    mpi_end();
}

static rp_train_result make_step(uint64_t number) {
    rp_train_result result;
    rp_error err = {0};
    take_part(&c.batches[number % TRAIN_BATCHES], trainer->head);
    mpi_need_ok(rp_trainer_step(trainer, &part, &result, &err), &err);
    return result;
}

/* steps FILE CASE DROPOUT: the losses and norms of 20 steps, and the hidden states after them; the same in
 * every rank, and rank 0 writes them. */
static void run_steps(char **args) {
    open_case(args[1], strtod(args[2], NULL), 1);
    const rp_train_batch *b = &c.batches[0];
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    FILE *file = rp_world_rank(mpi_world) ? NULL : fopen(args[0], "w");
    MPI_NEED(file || rp_world_rank(mpi_world));
    for (uint64_t i = 0; i < TRAIN_STEPS; i++) {
        rp_train_result r = make_step(i);
        const double numbers[] = {r.loss, r.grad_norm, (double)r.sequences, (double)r.tokens};
        MPI_NEED(r.sequences == c.batches[i % TRAIN_BATCHES].count);
        if (file) MPI_NEED(fwrite(numbers, sizeof numbers, 1, file) == 1);
    }
    size_t count = rp_model_output_size(rp_trainer_model(trainer), b->sequences, b->count, &params);
    float *hidden = calloc(count, sizeof *hidden);
    MPI_NEED(hidden);
    mpi_need_ok(
        rp_model_run(rp_trainer_model(trainer), b->sequences, b->count, &params, hidden, count, NULL, &err),
        &err);
    if (file) MPI_NEED(fwrite(hidden, sizeof *hidden, count, file) == count && !fclose(file));
    free(hidden);
    close_case();
}

/* hidden: gradients in memory that the host does not see; nothing is made after the first step. */
static void run_hidden(char **args) {
    (void)args;
    rp_error err = {0};
    open_case("classify", 0, 1);
    rp_trainer_close(&trainer);
    faults_hide_memory(mpi_device);
    rp_trainer_params params = train_params(&c);
    params.world = mpi_world;
    mpi_need_ok(rp_trainer_open(mpi_device, c.g.dir, &params, &trainer, &err), &err);
    make_step(0);
    fault_counts before = faults_seen();
    for (uint64_t i = 1; i < TRAIN_STEPS; i++) {
        rp_train_result r = make_step(i);
        MPI_NEED(fabs(r.loss / c.loss[i] - 1) < 2e-3 && fabs(r.grad_norm / c.norm[i] - 1) < 2e-3);
    }
    fault_counts after = faults_seen();
    MPI_NEED(after.allocations == before.allocations && after.pipelines == before.pipelines);
    close_case();
}

/* refused: a batch of rank 1 that cannot be learnt is everybody's error, and changes nothing. */
static void run_refused(char **args) {
    (void)args;
    rp_train_result r;
    rp_error err = {0};
    open_case("classify", 0, 1);
    make_step(0);
    int32_t label = 99;
    take_part(&c.batches[1], trainer->head);
    rp_train_batch bad = part;
    if (rp_world_rank(mpi_world) == 1) bad.labels = &label, bad.count = 1;
    MPI_NEED(rp_trainer_step(trainer, &bad, &r, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "labels[0] is 99"));
    MPI_NEED(rp_world_agreed(mpi_world));
    r = make_step(1);
    MPI_NEED(r.step == 2 && fabs(r.loss / c.loss[1] - 1) < 2e-3);
    /* nor can all of it be without labels */
    int32_t none[256];
    for (int i = 0; i < 256; i++) none[i] = -1;
    bad = part;
    bad.labels = none;
    MPI_NEED(rp_trainer_step(trainer, &bad, &r, &err) == RP_ERROR_ARGUMENT &&
             strstr(err.message, "no label"));
    /* but a part of it can, and a rank that has none learns along */
    if (rp_world_rank(mpi_world) == 1) {
        rp_train_batch empty = {0};
        mpi_need_ok(rp_trainer_step(trainer, &empty, &r, &err), &err);
    } else {
        take_part(&c.batches[2], trainer->head);
        mpi_need_ok(rp_trainer_step(trainer, &part, &r, &err), &err);
        MPI_NEED(r.sequences == part.count);
    }
    close_case();
}

/* wrong: what rank 1 alone is given cannot be used, and all learn that at once. */
static void run_wrong(char **args) {
    rp_error err = {0};
    rp_trainer *none = NULL;
    bool mine;
    (void)args;
    open_case("classify", 0, 1);
    mine = rp_world_rank(mpi_world) == 1;
    MPI_NEED(rp_world_local_size(mpi_world) == 2 &&
             rp_world_local_size(NULL) == 1); /* mpirun starts them here */
    MPI_NEED(rp_trainer_step(trainer, mine ? NULL : &c.batches[0], NULL, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(mpi_world));
    rp_trainer_params params = train_params(&c);
    params.world = mpi_world;
    MPI_NEED(rp_trainer_open(mine ? NULL : mpi_device, c.g.dir, &params, &none, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(mpi_world) && !none);
    MPI_NEED(rp_trainer_open(mpi_device, c.g.dir, &params, mine ? NULL : &none, &err) == RP_ERROR_ARGUMENT &&
             !none);
    MPI_NEED(rp_trainer_open(mpi_device, mine ? "/nowhere" : c.g.dir, &params, &none, &err) ==
                 RP_ERROR_FILE &&
             !none);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "/nowhere"));
    params.loss_scale = mine ? 3 : 0;
    MPI_NEED(rp_trainer_open(mpi_device, c.g.dir, &params, &none, &err) == RP_ERROR_ARGUMENT && !none);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "loss_scale"));
    const rp_finetune_params teaches = {
        .model = c.g.dir, .train = "/nowhere", .out = "/nowhere", .world = mpi_world};
    MPI_NEED(rp_finetune(mine ? NULL : mpi_device, &teaches, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(mpi_world));
    const rp_pretrain_params makes = {.init = c.g.dir, .out = "/nowhere", .world = mpi_world};
    MPI_NEED(rp_pretrain(mine ? NULL : mpi_device, &makes, &err) == RP_ERROR_ARGUMENT);
    make_step(0); /* the world and the trainer are of use */
    close_case();
}

/* scale CASE: a loss scale that is too large is halved, and steps are skipped, in all ranks alike. */
static void run_scale(char **args) {
    rp_train_result r = {.skipped = true};
    rp_error err = {0};
    int skipped = 0;
    loss_scale = ldexp(1, 30);
    open_case(args[0], 0, 1);
    for (int good = 0; good < 3; good += !r.skipped, skipped += r.skipped) {
        MPI_NEED(skipped < 31 && (r.skipped || good));
        r = make_step((uint64_t)good);
        uint64_t told[4] = {r.skipped, 0, 0, r.step}, all[4];
        memcpy(&told[1], &r.loss_scale, sizeof r.loss_scale);
        if (!r.skipped) memcpy(&told[2], &r.grad_norm, sizeof r.grad_norm);
        memcpy(all, told, sizeof all);
        mpi_need_ok(rp_world_tell(mpi_world, RP_OK, all, 4, &err), &err);
        MPI_NEED(!memcmp(all, told, sizeof all));
        MPI_NEED(r.loss_scale == ldexp(loss_scale, -skipped));
        MPI_NEED(r.skipped || fabs(r.loss / c.loss[good] - 1) < 1e-2);
    }
    MPI_NEED(skipped > 2);
    close_case();
}

/* lost: the device of rank 1 is lost in a step. */
static void run_lost(char **args) {
    rp_error err = {0};
    open_case("classify", 0, 1);
    make_step(0);
    take_part(&c.batches[1], trainer->head);
    if (rp_world_rank(mpi_world) == 1) fault_begin("vkQueueSubmit", atoi(args[0]), VK_ERROR_DEVICE_LOST);
    MPI_NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_DEVICE_LOST);
    MPI_NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(mpi_world));
    MPI_NEED(rp_world_rank(mpi_world) != 1 || fault_end());
    close_case();
}

/* seeds: ranks that begin with different weights do not train. */
static void run_seeds(char **args) {
    (void)args;
    rp_error err = {0};
    rp_trainer_params params;
    open_case("classify", 0, 1);
    rp_trainer_close(&trainer);
    params = train_params(&c);
    params.world = mpi_world;
    params.head = RP_HEAD_CLASSIFIER;
    params.label_count = 5;
    params.seed = 1 + rp_world_rank(mpi_world);
    mpi_need_ok(rp_trainer_open(mpi_device, c.g.dir, &params, &trainer, &err), &err);
    take_part(&c.batches[0], trainer->head);
    MPI_NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(strstr(err.message, "weights differ"));
    rp_trainer_close(&trainer);
    params = train_params(&c);
    params.world = mpi_world;
    params.total_steps = 10 + rp_world_rank(mpi_world);
    mpi_need_ok(rp_trainer_open(mpi_device, c.g.dir, &params, &trainer, &err), &err);
    MPI_NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_ARGUMENT);
    MPI_NEED(strstr(err.message, "with other params"));
    close_case();
}

/* late: rank 1 does not come. */
static void run_late(char **args) {
    const rp_world_params patient = {.patience = 1};
    rp_error err = {0};
    (void)args;
    mpi_need_ok(rp_world_open(&patient, &mpi_world, &err), &err);
    if (rp_world_rank(mpi_world)) sleep(4);
    MPI_NEED(rp_world_agree(mpi_world, RP_OK, &err) == RP_ERROR_STOPPED || rp_world_rank(mpi_world));
    if (!rp_world_rank(mpi_world)) {
        MPI_NEED(strstr(err.message, "rank 1 (") && !rp_world_agreed(mpi_world));
        MPI_NEED(rp_world_agree(mpi_world, RP_OK, &err) == RP_ERROR_STOPPED);
    }
    rp_world_close(&mpi_world);
    _exit(3);
}

/* busy: rank 0 does something else for longer than rank 1 is patient, and says so, before a meeting and in
 * it.
 */
static void run_busy(char **args) {
    const struct timespec some = {.tv_nsec = 500000000};
    uint64_t told = 7;
    rp_error err = {0};
    (void)args;
    mpi_need_ok(rp_world_open(&(rp_world_params){.patience = 1}, &mpi_world, &err), &err);
    for (int i = 0; i < 5; i++) {
        if (!rp_world_rank(mpi_world)) mpi_need_ok(rp_world_keep(mpi_world, &err), &err);
        if (!rp_world_rank(mpi_world) || !i) nanosleep(&some, NULL);
    }
    if (rp_world_rank(mpi_world)) told = 0;
    mpi_need_ok(rp_world_tell(mpi_world, RP_OK, &told, 1, &err), &err);
    MPI_NEED(told == 7 && !rp_world_keep(NULL, &err));
    rp_world_close(&mpi_world);
}

/* slow FOLDER: rank 0 evaluates after the first step for longer than the other is patient. */
static double evaluated; /* seconds */

static void begin_slowness(void *user, const rp_training_step *step) {
    (void)user;
    if (step->step > 1) return;
    fault_delay = 0.1;
    evaluated = -rp_seconds();
}

static void end_slowness(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                         bool best) {
    (void)user, (void)metrics, (void)count, (void)best;
    fault_delay = 0;
    if (last->step == 1) evaluated += rp_seconds();
}

static void run_slow(char **args) {
    enum { PATIENCE = 15 };
    const rp_training_handler handler = {.step = begin_slowness, .evaluated = end_slowness};
    char train[4200], dev[4200], out[4200];
    rp_error err = {0};
    mpi_begin(PATIENCE);
    snprintf(train, sizeof train, "%s/films.tsv", args[0]);
    snprintf(dev, sizeof dev, "%s/long.tsv", args[0]);
    snprintf(out, sizeof out, "%s/out", args[0]);
    const rp_finetune_params params = {.model = SOURCE_DIR "/tools/models/pretrained",
                                       .train = train,
                                       .dev = dev,
                                       .out = out,
                                       .batch_size = 4,
                                       .max_tokens = 16,
                                       .steps = 2,
                                       .eval_every = 1,
                                       .handler = rp_world_rank(mpi_world) ? NULL : &handler,
                                       .world = mpi_world};
    mpi_need_ok(rp_finetune(mpi_device, &params, &err), &err);
    MPI_NEED(rp_world_rank(mpi_world) || evaluated > PATIENCE);
    mpi_end();
}

/* goes_on FOLDER RANK NUMBER: the device of that rank is lost at that submission of a training; all go on,
 * and end with the model. NUMBER -1: it is not. */
static void run_goes_on(char **args) {
    char text[4200], config[4200], out[4200];
    const char *const texts[] = {text};
    bool loses;
    rp_error err = {0};
    mpi_begin(60);
    snprintf(text, sizeof text, "%s/text.txt", args[0]);
    snprintf(config, sizeof config, "%s/tiny.json", args[0]);
    snprintf(out, sizeof out, "%s/out", args[0]);
    const rp_pretrain_params params = {.corpus = texts,
                                       .corpus_count = 1,
                                       .config = config,
                                       .tokenizer = SOURCE_DIR "/tools/models/pretrained",
                                       .dev = text,
                                       .out = out,
                                       .batch_size = 3,
                                       .steps = 6,
                                       .eval_every = 3,
                                       .save_every = 2,
                                       .learning_rate = 0.01,
                                       .world = mpi_world};
    loses = atoi(args[2]) >= 0 && rp_world_rank(mpi_world) == (uint32_t)atoi(args[1]);
    if (loses) fault_begin("vkQueueSubmit", atoi(args[2]), VK_ERROR_DEVICE_LOST);
    mpi_need_ok(rp_pretrain(mpi_device, &params, &err), &err);
    MPI_NEED(!loses || fault_end());
    mpi_end();
}

/* dies: rank 1 ends in the midst of a training. */
static void run_dies(char **args) {
    (void)args;
    open_case("classify", 0, 1);
    for (uint64_t i = 0;; i++) {
        make_step(i);
        if (i == 2 && rp_world_rank(mpi_world) == 1) raise(SIGKILL);
    }
}

typedef struct job {
    const char *name;
    void (*run)(char **args);
} job;
static const job jobs[] = {{"steps", run_steps}, {"hidden", run_hidden},   {"refused", run_refused},
                           {"lost", run_lost},   {"seeds", run_seeds},     {"late", run_late},
                           {"dies", run_dies},   {"goes_on", run_goes_on}, {"wrong", run_wrong},
                           {"scale", run_scale}, {"busy", run_busy},       {"slow", run_slow}};

/* ---- what starts them ---- */

/* What `ranks` ranks make of 20 steps, in a file of the folder. */
static void *train(const char *dir, int ranks, const char *name, const char *dropout, size_t *size) {
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/%d", dir, ranks);
    assert_int_equal(mpi_run_job(ranks, "steps", path, name, dropout), 0);
    return fixture_read(NULL, path, size);
}

/* In f16 what differs by rounding comes to differ by a rounding to float16, in weights that products read. */
static void compare(const void *one, const void *more, size_t size, bool half) {
    double a[4], b[4];
    for (size_t i = 0; i < TRAIN_STEPS; i++) {
        double bound = !i ? 1e-5 : half ? 2e-2 : 2e-3;
        memcpy(a, (const char *)one + i * sizeof a, sizeof a);
        memcpy(b, (const char *)more + i * sizeof b, sizeof b);
        if (!(fabs(b[0] / a[0] - 1) <= bound && fabs(b[1] / a[1] - 1) <= bound) || a[2] != b[2] ||
            a[3] != b[3])
            fail_msg("step %zu: loss %.9g, %.9g, norm %.9g, %.9g", i + 1, a[0], b[0], a[1], b[1]);
    }
    for (size_t at = TRAIN_STEPS * sizeof a; at < size; at += sizeof(float)) {
        float x, y;
        memcpy(&x, (const char *)one + at, sizeof x);
        memcpy(&y, (const char *)more + at, sizeof y);
        if (!(fabsf(x - y) <= (half ? 4e-2f : 1e-3f))) fail_msg("a hidden state is %.9g, and was %.9g", y, x);
    }
}

static void check_ranks(const char *name, const char *dropout) {
    char dir[FIXTURE_PATH_SIZE];
    size_t size, again;
    assert_true(fixture_make_dir(dir));
    void *one = train(dir, 1, name, dropout, &size);
    for (int ranks = 2; ranks <= 4; ranks += 2) {
        void *more = train(dir, ranks, name, dropout, &again);
        assert_int_equal(size, again);
        compare(one, more, size, !strncmp(name, "f16:", 4));
        void *repeated = ranks == 2 ? train(dir, ranks, name, dropout, &again) : NULL;
        if (repeated) assert_memory_equal(more, repeated, size);
        free(repeated);
        free(more);
    }
    free(one);
    fixture_remove_dir(dir);
}

static void test_ranks_follow_each_other(void **state) {
    (void)state;
    check_ranks("classify", "0.1");
}

/* Labels a token, two a sequence, one for several sequences, and numbers. */
static void test_every_head(void **state) {
    static const char *const names[] = {"tag", "answer_groups", "choose", "multilabel", "classify_taught"};
    (void)state;
    if (!getenv("REPRISE_TEST_LONG")) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_ranks(names[i], "0.1");
}

/* Pairs, whose vectors are compared with those of all ranks, in f16. */
static void test_in_f16(void **state) {
    static const char *const names[] = {"f16:classify", "f16:tag", "f16:answer_groups", "f16:choose",
                                        "f16:classify_taught"};
    (void)state;
    check_ranks("f16:embed", "0.1");
    assert_int_equal(mpi_run_job(2, "scale", "f16:classify", NULL, NULL), 0);
    if (!getenv("REPRISE_TEST_LONG")) return;
    check_ranks("embed", "0.1");
    check_ranks("embed_scored", "0.1");
    assert_int_equal(mpi_run_job(4, "scale", "f16:embed", NULL, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_ranks(names[i], "0.1");
}

static void test_memory_that_the_host_does_not_see(void **state) {
    (void)state;
    assert_int_equal(mpi_run_job(2, "hidden", NULL, NULL, NULL), 0);
}

static void test_errors_are_shared(void **state) {
    (void)state;
    assert_int_equal(mpi_run_job(2, "refused", NULL, NULL, NULL), 0);
    assert_int_equal(mpi_run_job(2, "seeds", NULL, NULL, NULL), 0);
    assert_int_equal(mpi_run_job(2, "wrong", NULL, NULL, NULL), 0);
}

/* At the micro-batch, at each copy of gradients, and at the update: the others learn of that in the next
 * step.
 */
static void test_a_lost_device(void **state) {
    static const char *const submissions[] = {"0", "1", "2", "3"};
    (void)state;
    for (size_t i = 0; i < sizeof submissions / sizeof *submissions; i++)
        assert_int_equal(mpi_run_job(2, "lost", submissions[i], NULL, NULL), 0);
}

/* At opening, in steps and in evaluations: the model has the same bits as without a loss. */
static void test_all_go_on(void **state) {
    static const char *const losses[][2] = {{"0", "-1"}, {"0", "-1"}, {"1", "4"}, {"1", "14"}, {"0", "19"}};
    char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32], *wanted = NULL;
    size_t size, wanted_size = 0;
    (void)state;
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "text.txt", TEXT) &&
                fixture_write_text(dir, "tiny.json", FIXTURE_TINY("")));
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        assert_int_equal(mpi_run_job(2, "goes_on", dir, losses[i][0], losses[i][1]), 0);
        snprintf(path, sizeof path, "%s/out/model.safetensors", dir);
        char *got = fixture_read(NULL, path, &size);
        assert_true(size < 1 << 20);
        if (wanted) {
            assert_int_equal(size, wanted_size);
            assert_memory_equal(got, wanted, size);
        }
        free(wanted);
        wanted = got;
        wanted_size = size;
        snprintf(path, sizeof path, "%s/out", dir);
        fixture_remove_dir(path);
    }
    free(wanted);
    fixture_remove_dir(dir);
}

static void test_a_rank_that_does_not_come(void **state) {
    (void)state;
    assert_int_equal(mpi_run_job(2, "late", NULL, NULL, NULL), 3);
}

static void test_a_rank_that_is_busy(void **state) {
    (void)state;
    assert_int_equal(mpi_run_job(2, "busy", NULL, NULL, NULL), 0);
}

/* Long rows, of which a batch of an evaluation takes few: sleeping at each of them adds up. */
static void test_a_long_evaluation(void **state) {
    enum { ROWS = 24, BYTES = 120 << 10 };
    static char text[ROWS * (BYTES + 8) + 32], *end = text;
    char dir[FIXTURE_PATH_SIZE];
    (void)state;
    if (!getenv("REPRISE_TEST_LONG")) skip();
    end += sprintf(end, "sentence\tlabel\n");
    for (int i = 0; i < ROWS; i++) {
        memset(end, 'a', BYTES);
        for (int at = 3; at < BYTES; at += 4) end[at] = ' ';
        end += BYTES;
        end += sprintf(end, "a\t%s\n", i % 2 ? "good" : "bad");
    }
    assert_true(
        fixture_make_dir(dir) && fixture_write_text(dir, "long.tsv", text) &&
        fixture_write_text(dir, "films.tsv",
                           "sentence\tlabel\na warm film\tgood\na dull film\tbad\na funny film\tgood\n"
                           "an awful film\tbad\n"));
    assert_int_equal(mpi_run_job(2, "slow", dir, NULL, NULL), 0);
    fixture_remove_dir(dir);
}

static void test_a_rank_that_dies(void **state) {
    (void)state;
    assert_int_not_equal(mpi_run_job(2, "dies", NULL, NULL, NULL), 0);
}

int main(int count, char **args) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranks_follow_each_other),
                                       cmocka_unit_test(test_every_head),
                                       cmocka_unit_test(test_in_f16),
                                       cmocka_unit_test(test_memory_that_the_host_does_not_see),
                                       cmocka_unit_test(test_errors_are_shared),
                                       cmocka_unit_test(test_a_lost_device),
                                       cmocka_unit_test(test_all_go_on),
                                       cmocka_unit_test(test_a_rank_that_does_not_come),
                                       cmocka_unit_test(test_a_rank_that_is_busy),
                                       cmocka_unit_test(test_a_long_evaluation),
                                       cmocka_unit_test(test_a_rank_that_dies)};
    for (size_t i = 0; count > 1 && i < sizeof jobs / sizeof *jobs; i++)
        if (!strcmp(args[1], jobs[i].name)) return jobs[i].run(args + 2), 0;
    if (!mpi_is_there()) {
        printf("mpirun is not installed: left out\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
