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

#include "support_faults.h"
#include "support_mpi.h"
#include "support_train.h"
#include "train/trainer.h"

#define TEXT \
    "a letter came.\nhe read it twice.\nit burnt.\n\nthe ship was old.\nit sank.\n\nwe ran.\nit rained.\n"
#define TINY                                                                                                 \
    "{\"model_type\": \"albert\", \"embedding_size\": 16, \"hidden_size\": 24, \"num_attention_heads\": 2, " \
    "\"num_hidden_layers\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 40}"

/* ---- a rank ---- */

static rp_world *world;
static rp_device *device;
static train_case c;
static rp_trainer *trainer;
static rp_train_batch part;
static double loss_scale; /* of trainers that open_case makes in f16; 0: the default */

#define NEED(what)                                                                            \
    do {                                                                                      \
        if (!(what)) {                                                                        \
            fprintf(stderr, "rank %u: line %d: %s\n", rp_world_rank(world), __LINE__, #what); \
            exit(1);                                                                          \
        }                                                                                     \
    } while (0)

static void need_ok(rp_status status, const rp_error *err) {
    if (!status) return;
    fprintf(stderr, "rank %u: %s\n", rp_world_rank(world), err->message);
    exit(1);
}

/* The rank's part of a batch of a head. Sequences of a question stay together, as those of a pair do. */
static void take_part(const rp_train_batch *whole, rp_head head) {
    size_t unit = trainer->params.vectors  ? 2
                  : head == RP_HEAD_CHOICE ? whole->choices
                                           : 1,
           units = whole->count / unit;
    size_t rank = rp_world_rank(world), ranks = rp_world_size(world);
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
    const rp_world_params patient = {.patience = 60};
    NEED(faults_install());
    need_ok(rp_world_open(&patient, &world, &err), &err);
    need_ok(rp_device_open(NULL, &device, &err), &err);
    NEED(train_open(half ? name + 4 : name, &c));
    rp_trainer_params params = train_params(&c);
    params.world = world;
    params.precision = half ? RP_PRECISION_F16 : RP_PRECISION_F32;
    params.loss_scale = loss_scale;
    params.hidden_dropout = params.attention_dropout = params.classifier_dropout = dropout;
    params.seed = seed;
    need_ok(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), &err);
}

static void close_case(void) {
    rp_trainer_close(&trainer);
    train_close(&c);
    rp_device_close(&device);
    rp_world_close(&world);
}

static rp_train_result make_step(uint64_t number) {
    rp_train_result result;
    rp_error err = {0};
    take_part(&c.batches[number % TRAIN_BATCHES], trainer->head);
    need_ok(rp_trainer_step(trainer, &part, &result, &err), &err);
    return result;
}

/* steps FILE CASE DROPOUT: the losses and norms of 20 steps, and the hidden states after them; the same in
 * every rank, and rank 0 writes them. */
static void run_steps(char **args) {
    open_case(args[1], strtod(args[2], NULL), 1);
    const rp_train_batch *b = &c.batches[0];
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    rp_error err = {0};
    FILE *file = rp_world_rank(world) ? NULL : fopen(args[0], "w");
    NEED(file || rp_world_rank(world));
    for (uint64_t i = 0; i < TRAIN_STEPS; i++) {
        rp_train_result r = make_step(i);
        const double numbers[] = {r.loss, r.grad_norm, (double)r.sequences, (double)r.tokens};
        NEED(r.sequences == c.batches[i % TRAIN_BATCHES].count);
        if (file) NEED(fwrite(numbers, sizeof numbers, 1, file) == 1);
    }
    size_t count = rp_model_output_size(rp_trainer_model(trainer), b->sequences, b->count, &params);
    float *hidden = calloc(count, sizeof *hidden);
    NEED(hidden);
    need_ok(
        rp_model_run(rp_trainer_model(trainer), b->sequences, b->count, &params, hidden, count, NULL, &err),
        &err);
    if (file) NEED(fwrite(hidden, sizeof *hidden, count, file) == count && !fclose(file));
    free(hidden);
    close_case();
}

/* hidden: gradients in memory that the host does not see; nothing is made after the first step. */
static void run_hidden(char **args) {
    (void)args;
    rp_error err = {0};
    open_case("classify", 0, 1);
    rp_trainer_close(&trainer);
    faults_hide_memory(device);
    rp_trainer_params params = train_params(&c);
    params.world = world;
    need_ok(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), &err);
    make_step(0);
    fault_counts before = faults_seen();
    for (uint64_t i = 1; i < TRAIN_STEPS; i++) {
        rp_train_result r = make_step(i);
        NEED(fabs(r.loss / c.loss[i] - 1) < 2e-3 && fabs(r.grad_norm / c.norm[i] - 1) < 2e-3);
    }
    fault_counts after = faults_seen();
    NEED(after.allocations == before.allocations && after.pipelines == before.pipelines);
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
    if (rp_world_rank(world) == 1) bad.labels = &label, bad.count = 1;
    NEED(rp_trainer_step(trainer, &bad, &r, &err) == RP_ERROR_ARGUMENT);
    NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "labels[0] is 99"));
    NEED(rp_world_agreed(world));
    r = make_step(1);
    NEED(r.step == 2 && fabs(r.loss / c.loss[1] - 1) < 2e-3);
    /* nor can all of it be without labels */
    int32_t none[256];
    for (int i = 0; i < 256; i++) none[i] = -1;
    bad = part;
    bad.labels = none;
    NEED(rp_trainer_step(trainer, &bad, &r, &err) == RP_ERROR_ARGUMENT && strstr(err.message, "no label"));
    /* but a part of it can, and a rank that has none learns along */
    if (rp_world_rank(world) == 1) {
        rp_train_batch empty = {0};
        need_ok(rp_trainer_step(trainer, &empty, &r, &err), &err);
    } else {
        take_part(&c.batches[2], trainer->head);
        need_ok(rp_trainer_step(trainer, &part, &r, &err), &err);
        NEED(r.sequences == part.count);
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
    mine = rp_world_rank(world) == 1;
    NEED(rp_world_local_size(world) == 2 && rp_world_local_size(NULL) == 1); /* mpirun starts them here */
    NEED(rp_trainer_step(trainer, mine ? NULL : &c.batches[0], NULL, &err) == RP_ERROR_ARGUMENT);
    NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(world));
    rp_trainer_params params = train_params(&c);
    params.world = world;
    NEED(rp_trainer_open(mine ? NULL : device, c.g.dir, &params, &none, &err) == RP_ERROR_ARGUMENT);
    NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(world) && !none);
    NEED(rp_trainer_open(device, c.g.dir, &params, mine ? NULL : &none, &err) == RP_ERROR_ARGUMENT && !none);
    NEED(rp_trainer_open(device, mine ? "/nowhere" : c.g.dir, &params, &none, &err) == RP_ERROR_FILE &&
         !none);
    NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "/nowhere"));
    params.loss_scale = mine ? 3 : 0;
    NEED(rp_trainer_open(device, c.g.dir, &params, &none, &err) == RP_ERROR_ARGUMENT && !none);
    NEED(!strncmp(err.message, "rank 1: ", 8) && strstr(err.message, "loss_scale"));
    const rp_finetune_params teaches = {
        .model = c.g.dir, .train = "/nowhere", .out = "/nowhere", .world = world};
    NEED(rp_finetune(mine ? NULL : device, &teaches, &err) == RP_ERROR_ARGUMENT);
    NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(world));
    const rp_pretrain_params makes = {.init = c.g.dir, .out = "/nowhere", .world = world};
    NEED(rp_pretrain(mine ? NULL : device, &makes, &err) == RP_ERROR_ARGUMENT);
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
        NEED(skipped < 31 && (r.skipped || good));
        r = make_step((uint64_t)good);
        uint64_t told[4] = {r.skipped, 0, 0, r.step}, all[4];
        memcpy(&told[1], &r.loss_scale, sizeof r.loss_scale);
        if (!r.skipped) memcpy(&told[2], &r.grad_norm, sizeof r.grad_norm);
        memcpy(all, told, sizeof all);
        need_ok(rp_world_tell(world, RP_OK, all, 4, &err), &err);
        NEED(!memcmp(all, told, sizeof all));
        NEED(r.loss_scale == ldexp(loss_scale, -skipped));
        NEED(r.skipped || fabs(r.loss / c.loss[good] - 1) < 1e-2);
    }
    NEED(skipped > 2);
    close_case();
}

/* lost: the device of rank 1 is lost in a step. */
static void run_lost(char **args) {
    rp_error err = {0};
    open_case("classify", 0, 1);
    make_step(0);
    take_part(&c.batches[1], trainer->head);
    if (rp_world_rank(world) == 1) fault_begin("vkQueueSubmit", atoi(args[0]), VK_ERROR_DEVICE_LOST);
    NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_DEVICE_LOST);
    NEED(!strncmp(err.message, "rank 1: ", 8) && rp_world_agreed(world));
    NEED(rp_world_rank(world) != 1 || fault_end());
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
    params.world = world;
    params.head = RP_HEAD_CLASSIFIER;
    params.label_count = 5;
    params.seed = 1 + rp_world_rank(world);
    need_ok(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), &err);
    take_part(&c.batches[0], trainer->head);
    NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_ARGUMENT);
    NEED(strstr(err.message, "weights differ"));
    rp_trainer_close(&trainer);
    params = train_params(&c);
    params.world = world;
    params.total_steps = 10 + rp_world_rank(world);
    need_ok(rp_trainer_open(device, c.g.dir, &params, &trainer, &err), &err);
    NEED(rp_trainer_step(trainer, &part, NULL, &err) == RP_ERROR_ARGUMENT);
    NEED(strstr(err.message, "with other params"));
    close_case();
}

/* late: rank 1 does not come. */
static void run_late(char **args) {
    const rp_world_params patient = {.patience = 1};
    rp_error err = {0};
    (void)args;
    need_ok(rp_world_open(&patient, &world, &err), &err);
    if (rp_world_rank(world)) sleep(4);
    NEED(rp_world_agree(world, RP_OK, &err) == RP_ERROR_STOPPED || rp_world_rank(world));
    if (!rp_world_rank(world)) {
        NEED(strstr(err.message, "rank 1 (") && !rp_world_agreed(world));
        NEED(rp_world_agree(world, RP_OK, &err) == RP_ERROR_STOPPED);
    }
    rp_world_close(&world);
    _exit(3);
}

/* goes_on FOLDER RANK NUMBER: the device of that rank is lost at that submission of a training; all go on,
 * and end with the model. NUMBER -1: it is not. */
static void run_goes_on(char **args) {
    char text[4200], config[4200], out[4200];
    const char *const texts[] = {text};
    bool loses;
    rp_error err = {0};
    NEED(faults_install());
    need_ok(rp_world_open(&(rp_world_params){.patience = 60}, &world, &err), &err);
    need_ok(rp_device_open(NULL, &device, &err), &err);
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
                                       .world = world};
    loses = atoi(args[2]) >= 0 && rp_world_rank(world) == (uint32_t)atoi(args[1]);
    if (loses) fault_begin("vkQueueSubmit", atoi(args[2]), VK_ERROR_DEVICE_LOST);
    need_ok(rp_pretrain(device, &params, &err), &err);
    NEED(!loses || fault_end());
    rp_device_close(&device);
    rp_world_close(&world);
}

/* dies: rank 1 ends in the midst of a training. */
static void run_dies(char **args) {
    (void)args;
    open_case("classify", 0, 1);
    for (uint64_t i = 0;; i++) {
        make_step(i);
        if (i == 2 && rp_world_rank(world) == 1) raise(SIGKILL);
    }
}

typedef struct job {
    const char *name;
    void (*run)(char **args);
} job;
static const job jobs[] = {{"steps", run_steps}, {"hidden", run_hidden},   {"refused", run_refused},
                           {"lost", run_lost},   {"seeds", run_seeds},     {"late", run_late},
                           {"dies", run_dies},   {"goes_on", run_goes_on}, {"wrong", run_wrong},
                           {"scale", run_scale}};

/* ---- what starts them ---- */

static char said[1 << 16];

static int run(int ranks, const char *name, const char *a, const char *b, const char *last) {
    static char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(size > 0);
    self[size] = 0;
    return mpi_run(ranks, (const char *const[]){self, name, a, b, last, NULL}, said, sizeof said);
}

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *data = malloc(1 << 20);
    assert_non_null(data);
    *size = fread(data, 1, 1 << 20, file);
    fclose(file);
    return data;
}

/* What `ranks` ranks make of 20 steps, in a file of the folder. */
static void *train(const char *dir, int ranks, const char *name, const char *dropout, size_t *size) {
    char path[FIXTURE_PATH_SIZE + 32];
    snprintf(path, sizeof path, "%s/%d", dir, ranks);
    assert_int_equal(run(ranks, "steps", path, name, dropout), 0);
    return read_file(path, size);
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
    assert_int_equal(run(2, "scale", "f16:classify", NULL, NULL), 0);
    if (!getenv("REPRISE_TEST_LONG")) return;
    check_ranks("embed", "0.1");
    check_ranks("embed_scored", "0.1");
    assert_int_equal(run(4, "scale", "f16:embed", NULL, NULL), 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_ranks(names[i], "0.1");
}

static void test_memory_that_the_host_does_not_see(void **state) {
    (void)state;
    assert_int_equal(run(2, "hidden", NULL, NULL, NULL), 0);
}

static void test_errors_are_shared(void **state) {
    (void)state;
    assert_int_equal(run(2, "refused", NULL, NULL, NULL), 0);
    assert_int_equal(run(2, "seeds", NULL, NULL, NULL), 0);
    assert_int_equal(run(2, "wrong", NULL, NULL, NULL), 0);
}

/* At the micro-batch, at each copy of gradients, and at the update: the others learn of that in the next
 * step.
 */
static void test_a_lost_device(void **state) {
    static const char *const submissions[] = {"0", "1", "2", "3"};
    (void)state;
    for (size_t i = 0; i < sizeof submissions / sizeof *submissions; i++)
        assert_int_equal(run(2, "lost", submissions[i], NULL, NULL), 0);
}

/* At opening, in steps and in evaluations: the model has the same bits as without a loss. */
static void test_all_go_on(void **state) {
    static const char *const losses[][2] = {{"0", "-1"}, {"0", "-1"}, {"1", "4"}, {"1", "14"}, {"0", "19"}};
    char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32], *wanted = NULL;
    size_t size, wanted_size = 0;
    (void)state;
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "text.txt", TEXT) &&
                fixture_write_text(dir, "tiny.json", TINY));
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        assert_int_equal(run(2, "goes_on", dir, losses[i][0], losses[i][1]), 0);
        snprintf(path, sizeof path, "%s/out/model.safetensors", dir);
        char *got = read_file(path, &size);
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
    assert_int_equal(run(2, "late", NULL, NULL, NULL), 3);
}

static void test_a_rank_that_dies(void **state) {
    (void)state;
    assert_int_not_equal(run(2, "dies", NULL, NULL, NULL), 0);
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
                                       cmocka_unit_test(test_a_rank_that_dies)};
    for (size_t i = 0; count > 1 && i < sizeof jobs / sizeof *jobs; i++)
        if (!strcmp(args[1], jobs[i].name)) return jobs[i].run(args + 2), 0;
    if (!mpi_is_there()) {
        printf("mpirun is not installed: left out\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
