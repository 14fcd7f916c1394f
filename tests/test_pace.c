/* Submissions stay below the limit of a watchdog: how a run is cut, and that a device which is made slow is
 * given its work in pieces, with the same bits and nothing recorded or allocated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "model/submission.h"
#include "support_faults.h"
#include "support_fixture.h"
#include "support_vk.h"

/* ---- what each submission has ---- */

static double most_work; /* of a submission, in seconds that are estimated before it; zeroed by a test */
static const double PINNED = 1e30; /* `known` of a pace that learns no more */

void __real_rp_pace_learn(rp_pace *pace, double work, double seconds);
void __wrap_rp_pace_learn(rp_pace *pace, double work, double seconds);
void __wrap_rp_pace_learn(rp_pace *pace, double work, double seconds) {
    if (work * pace->operation > most_work) most_work = work * pace->operation;
    if (pace->known < PINNED) __real_rp_pace_learn(pace, work, seconds);
}

/* ---- the plan ---- */

enum { MOST_STEPS = 14 };

/* A prologue of 10 operations, `layers` times the same parts, and an output of 50. */
static uint32_t list(rp_step steps[MOST_STEPS], uint32_t layers, const double *parts, uint32_t count) {
    uint32_t n = 0;
    steps[n++].work = 10;
    for (uint32_t i = 0; i < layers * count; i++) steps[n++].work = parts[i % count];
    steps[n++].work = 50;
    return n;
}

/* The sizes of the submissions of a run, and that each is the largest that fits. */
static size_t cut(const rp_pace *pace, const rp_step *steps, uint32_t all, uint32_t *out) {
    size_t n = 0;
    uint32_t first = 0;
    for (; first < all; first += out[n++]) {
        out[n] = rp_pace_cut(pace, steps + first, all - first);
        assert_in_range(out[n], 1, all - first);
        double most = rp_pace_most(pace);
        if (out[n] > 1) assert_true(rp_steps_work(steps + first, out[n]) <= most);
        if (out[n] < all - first) assert_true(rp_steps_work(steps + first, out[n] + 1) > most);
    }
    assert_int_equal(first, all);
    return n;
}

static void test_cut(void **state) {
    static const double layer[] = {100}, parts[] = {40, 5, 20, 80, 60};
    rp_step steps[MOST_STEPS] = {{0}};
    rp_pace pace = {.limit = 0.5, .operation = 1e-3}; /* 500 operations */
    uint32_t sizes[MOST_STEPS], all = list(steps, 12, layer, 1);
    (void)state;
    assert_int_equal(cut(&pace, steps, all, sizes), 3);
    assert_int_equal(sizes[0], 5); /* 10 + 400 */
    assert_int_equal(sizes[1], 5); /* 500 */
    assert_int_equal(sizes[2], 4); /* 300 + 50 */
    pace.operation = 1e-4;
    assert_int_equal(cut(&pace, steps, all, sizes), 1);
    pace.operation = 1; /* each step alone, however long it takes */
    assert_int_equal(cut(&pace, steps, all, sizes), 14);
    pace.operation = 0; /* not known */
    assert_int_equal(cut(&pace, steps, all, sizes), 1);
    pace = (rp_pace){.limit = 0, .operation = 1}; /* no limit */
    assert_int_equal(cut(&pace, steps, all, sizes), 1);
    assert_true(isinf(rp_pace_most(&pace)));
    all = list(steps, 2, parts, RP_COUNT(parts));
    pace = (rp_pace){.limit = 0.5, .operation = 5e-3}; /* 100 operations */
    assert_int_equal(all, 12);
    assert_int_equal(cut(&pace, steps, all, sizes), 7);
    assert_int_equal(sizes[0], 4); /* 10 + 40 + 5 + 20 */
    assert_int_equal(sizes[1], 1); /* 80 */
    assert_int_equal(sizes[2], 2); /* 60 + 40 */
    assert_int_equal(sizes[3], 2); /* 5 + 20 */
    assert_int_equal(sizes[4], 1); /* 80 */
    assert_int_equal(sizes[5], 1); /* 60, and 50 more were too many */
    assert_int_equal(sizes[6], 1);
    for (uint32_t layers = 1; layers < 12; layers++)
        for (double operation = 1e-4; operation < 1e-2; operation *= 1.3) {
            pace = (rp_pace){.limit = 0.5, .operation = operation};
            cut(&pace, steps, list(steps, layers, layer, 1), sizes);
        }
}

static void test_work(void **state) {
    const rp_step steps[] = {{.work = 1}, {.work = 10}, {.work = 10}, {.work = 100}};
    (void)state;
    assert_true(rp_steps_work(steps, 4) == 121);
    assert_true(rp_steps_work(steps, 1) == 1);
    assert_true(rp_steps_work(steps + 1, 2) == 20);
    assert_true(rp_steps_work(steps + 2, 0) == 0);
}

/* The most work that a submission may have, after what was timed. */
static void expect_most(const rp_pace *pace, double most) {
    assert_true(fabs(rp_pace_most(pace) - most) < 1e-6 * most);
}

static void test_learn(void **state) {
    rp_pace pace = {.limit = 5};
    (void)state;
    rp_pace_learn(&pace, 1000, 1);
    expect_most(&pace, 5000);
    rp_pace_learn(&pace, 400, 4); /* small: it waited */
    expect_most(&pace, 5000);
    rp_pace_learn(&pace, 800, 1.6); /* slower: at once */
    expect_most(&pace, 2500);
    rp_pace_learn(&pace, 2000, 2); /* faster: half of it */
    expect_most(&pace, 5 / 1.5e-3);
    rp_pace_learn(&pace, 900, 9); /* half of what was timed since then would be 1000: small now */
    expect_most(&pace, 5 / 1.5e-3);
    rp_pace_learn(&pace, 4000, 0); /* no clock is that good */
    rp_pace_learn(&pace, 0, 1);
    expect_most(&pace, 5 / 1.5e-3);
}

/* A device that was held up once gets its work in pieces, and these tell that it is fast. */
static void test_learn_again(void **state) {
    rp_pace pace = {.limit = 0.5};
    (void)state;
    rp_pace_learn(&pace, 4000, 0.4);
    rp_pace_learn(&pace, 4000, 4);
    assert_true(pace.operation == 1e-3); /* no more than 500 at once, from now on */
    for (int i = 0; i < 20; i++) rp_pace_learn(&pace, 0.8 * fmin(rp_pace_most(&pace), 4000), 0.03);
    assert_true(rp_pace_most(&pace) > 4000);
    rp_pace_learn(&pace, 40, 1); /* small for what is submitted: it waited */
    assert_true(rp_pace_most(&pace) > 4000);
}

/* ---- a slow device ---- */

enum { FLOATS = 1 << 15, COPIES = 12 };

static golden g;
static rp_device *device;
static float wanted[FLOATS], got[FLOATS];
static rp_sequence sequences[COPIES];

static int setup(void **state) {
    (void)state;
    if (!faults_install() || !golden_open("deep", NULL, &g)) return -1;
    for (size_t i = 0; i < COPIES; i++) sequences[i] = g.sequences[i % g.sequence_count];
    return 0;
}

static int teardown(void **state) {
    (void)state;
    golden_close(&g);
    return 0;
}

static rp_model *open_model(void) {
    rp_error err = {0};
    rp_model *model = NULL;
    if (rp_model_open(device, g.dir, NULL, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    return model;
}

static rp_run_times run(rp_model *model, size_t count, float *out) {
    rp_error err = {0};
    rp_run_times times = {0};
    memset(out, 0xee, FLOATS * sizeof *out);
    assert_true(rp_model_output_size(model, sequences, count, NULL) <= FLOATS);
    rp_status status = rp_model_run(model, sequences, count, NULL, out, FLOATS, &times, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    return times;
}

/* `wanted` is what it gives in one piece. */
static void open_slow_device(double limit, size_t count) {
    rp_error err = {0};
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    assert_true(device->submit_limit == (device->caps.info.type == RP_DEVICE_CPU ? 0 : 0.5));
    rp_model *model = open_model();
    assert_int_equal(run(model, count, wanted).submissions, 1);
    rp_model_close(&model);
    device->submit_limit = limit;
}

/* 10 ms for each command buffer, and 25 may a submission take: never more than two layers go together, from
 * the first run on; and with them a prologue or an output, which have next to no work. */
static void test_slow_device(void **state) {
    (void)state;
    assert_true(sequences[0].count >= 8); /* as many as are timed when the model is opened */
    open_slow_device(0.025, 1);
    fault_delay = 0.010;
    rp_model *model = open_model();
    uint32_t layers = model->config.layers, submissions;
    assert_true(layers >= 6);
    fault_most_buffers = 0;
    for (int i = 0; i < 3; i++) {
        submissions = run(model, 1, got).submissions;
        assert_in_range(submissions, (layers + 1) / 2, layers * RP_LAYER_PARTS + 2);
        assert_in_range(fault_most_buffers, 1, 3);
        assert_memory_equal(got, wanted, sizeof wanted);
    }
    vk_watch(device); /* nothing but submissions */
    submissions = run(model, 1, got).submissions;
    vk_unwatch(device);
    assert_int_equal(vk_seen.submits, submissions);
    assert_int_equal(vk_seen.others, 0);
    assert_memory_equal(got, wanted, sizeof wanted);

    fault_delay = 0; /* and when it is fast again, it is asked in one piece again */
    for (int i = 0; submissions > 1 && i < 200; i++) submissions = run(model, 1, got).submissions;
    assert_int_equal(submissions, 1);
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
    rp_device_close(&device);
}

static void test_batch_budget(void **state) {
    rp_pace pace = {.batch = 0.5, .operation = 1e-3};
    (void)state;
    assert_true(rp_pace_batch(&pace) == 500);
    assert_true(isinf(rp_pace_most(&pace))); /* the other budget */
    pace.operation = 0;                      /* not known: the device is supposed to be slow */
    assert_in_range(rp_pace_batch(&pace), 1e9, 1e11);
    pace = (rp_pace){.operation = 1e-3};
    assert_true(isinf(rp_pace_batch(&pace)));
    pace = (rp_pace){.batch = 0.5};
    rp_pace_learn(&pace, 1e9, 2); /* a cold guess that was wrong is put right by the first batch */
    assert_in_range(rp_pace_batch(&pace), 249999999, 250000001);
    rp_pace_learn(&pace, 1e6, 1); /* small: it waited */
    assert_in_range(rp_pace_batch(&pace), 249999999, 250000001);
    for (int i = 0; i < 20; i++) rp_pace_learn(&pace, rp_pace_batch(&pace), 0.1); /* as large as it may be */
    assert_true(rp_pace_batch(&pace) > 1e9);
}

/* No more sequences in a batch than the batch budget allows, also where no submission has a limit; at least
 * one; and as many as before where all are allowed. */
static void test_batches_stay_short(void **state) {
    (void)state;
    open_slow_device(0, COPIES);
    rp_model *model = open_model();
    double work = 0, longest = 0;
    for (size_t i = 0; i < COPIES; i++) {
        double one = rp_sequence_work(&model->config, &sequences[i]);
        work += one;
        longest = fmax(longest, one);
    }
    for (uint32_t parts = 1; parts <= COPIES; parts++) {
        model->pace = (rp_pace){.batch = 0.5, .operation = 0.5 * parts / work, .known = PINNED};
        most_work = 0;
        uint32_t submissions = run(model, COPIES, got).submissions;
        bool fits = longest * model->pace.operation <= 0.5;
        assert_in_range(submissions, fits ? parts : 1, COPIES);
        assert_true(most_work <=
                    fmax(0.5, longest * model->pace.operation) * 1.1); /* an output comes on top */
        assert_memory_equal(got, wanted, sizeof wanted);
    }
    model->pace = (rp_pace){.batch = 0.5, .operation = 1, .known = PINNED};
    assert_int_equal(run(model, COPIES, got).submissions, COPIES);
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* A single layer of all sequences together would take too long: there are fewer in a batch. */
static void test_smaller_batches(void **state) {
    (void)state;
    open_slow_device(0, COPIES); /* nothing is timed, and a layer stays whole */
    rp_model *model = open_model();
    const rp_config *c = &model->config;
    double h = c->hidden_size, tokens = sequences[0].count;
    double one = 2 * tokens * h * (4 * h + 2.0 * c->intermediate_size) + 4 * tokens * tokens * h;
    model->pace = (rp_pace){.limit = 0.5, .operation = 0.1 / one, .known = PINNED};
    rp_run_times times = run(model, COPIES, got);
    assert_true(times.submissions > c->layers + 2);
    assert_memory_equal(got, wanted, sizeof wanted);
    model->pace.operation = 10 / one; /* not even one fits: one at a time all the same */
    times = run(model, COPIES, got);
    assert_int_equal(times.submissions, COPIES * (c->layers + 2));
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* Where a layer takes longer than a submission may, its parts go one by one. */
static void test_parts(void **state) {
    (void)state;
    open_slow_device(0.025, 1);
    fault_delay = 0.010;
    rp_model *model = open_model();
    fault_delay = 0;
    const rp_config *c = &model->config;
    model->pace = (rp_pace){.limit = 0.5, .operation = 1, .known = PINNED};
    vk_watch(device);
    rp_run_times times = run(model, 1, got);
    vk_unwatch(device);
    assert_int_equal(times.submissions, c->layers * c->inner_layers * RP_LAYER_PARTS + 2);
    assert_int_equal(vk_seen.submits, times.submissions);
    assert_int_equal(vk_seen.others, 0);
    assert_memory_equal(got, wanted, sizeof wanted);
    rp_model_close(&model);
    rp_device_close(&device);
}

/* ---- two models on one device ---- */

/* A driver that works on one submission after another, on each for BUSY seconds of a clock of its own: that
 * stands still until every thread waits for a fence, and goes on to where the first submission ends. */
static const double BUSY = 0.2;
static pthread_mutex_t driver_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t driver_changed = PTHREAD_COND_INITIALIZER;
static double now, free_at;       /* all of this under the lock; now 0: the system's clock */
static uint32_t running, pending; /* threads; submissions, of each of them one at most */
static struct {
    VkFence fence;
    double ends; /* 0: it has ended */
} given[2];
static PFN_vkQueueSubmit queue_submit;
static PFN_vkWaitForFences wait_for_fences;

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out) {
    pthread_mutex_lock(&driver_lock);
    double seconds = now;
    pthread_mutex_unlock(&driver_lock);
    if (clock != CLOCK_MONOTONIC || seconds <= 0) return __real_clock_gettime(clock, out);
    out->tv_sec = (time_t)seconds;
    out->tv_nsec = (long)((seconds - (double)out->tv_sec) * 1e9);
    return 0;
}

static VKAPI_ATTR VkResult VKAPI_CALL submit_in_turn(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                                     VkFence fence) {
    size_t i = 0;
    pthread_mutex_lock(&driver_lock);
    while (i < RP_COUNT(given) && given[i].fence && given[i].fence != fence) i++;
    assert_true(i < RP_COUNT(given));
    free_at = (free_at > now ? free_at : now) + BUSY;
    given[i].fence = fence;
    given[i].ends = free_at;
    pending++;
    pthread_cond_broadcast(&driver_changed);
    pthread_mutex_unlock(&driver_lock);
    return queue_submit(queue, count, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL wait_in_turn(VkDevice handle, uint32_t count, const VkFence *fences,
                                                   VkBool32 all, uint64_t timeout) {
    VkResult result = wait_for_fences(handle, count, fences, all, timeout);
    pthread_mutex_lock(&driver_lock);
    size_t mine = given[1].fence == *fences;
    while (pending < running || (given[!mine].ends > 0 && given[!mine].ends < given[mine].ends))
        pthread_cond_wait(&driver_changed, &driver_lock);
    now = given[mine].ends;
    given[mine].ends = 0;
    pending--;
    pthread_cond_broadcast(&driver_changed);
    pthread_mutex_unlock(&driver_lock);
    return result;
}

/* Run a model a few times; returns how often it was cut. */
static void *run_in_turn(void *user) {
    static float out[2][FLOATS];
    static atomic_uint threads;
    float *mine = out[threads++];
    uintptr_t cuts = 0;
    for (int i = 0; i < 4; i++) cuts += run(user, 1, mine).submissions > 1;
    pthread_mutex_lock(&driver_lock);
    running--;
    pthread_cond_broadcast(&driver_changed);
    pthread_mutex_unlock(&driver_lock);
    return (void *)cuts;
}

/* Each waits behind the other, and neither takes that for its own work: a run stays one submission. */
static void test_two_models(void **state) {
    rp_model *models[2];
    pthread_t threads[2];
    void *cuts[2];
    (void)state;
    open_slow_device(0, 1);
    queue_submit = device->vk.vkQueueSubmit;
    wait_for_fences = device->vk.vkWaitForFences;
    for (int i = 0; i < 2; i++) models[i] = open_model();
    device->vk.vkQueueSubmit = submit_in_turn;
    device->vk.vkWaitForFences = wait_in_turn;
    now = rp_seconds();
    running = 2;
    for (int i = 0; i < 2; i++) {
        models[i]->pace = (rp_pace){.limit = 1.6 * BUSY};
        assert_int_equal(pthread_create(&threads[i], NULL, run_in_turn, models[i]), 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(threads[i], &cuts[i]);
    now = 0;
    assert_int_equal((uintptr_t)cuts[0] + (uintptr_t)cuts[1], 0);
    device->vk.vkQueueSubmit = queue_submit;
    device->vk.vkWaitForFences = wait_for_fences;
    for (int i = 0; i < 2; i++) rp_model_close(&models[i]);
    rp_device_close(&device);
}

/* ---- one long sequence ---- */

enum { LONG = 300, WIDTH = 64, LAYERS = 3, INNER_LAYERS = 2 };

static rp_model *open_long_model(const char *dir, rp_precision precision) {
    const rp_model_params params = {.random_seed = 3, .precision = precision};
    rp_error err = {0};
    rp_model *model = NULL;
    if (rp_model_open_random(device, dir, &params, &model, &err)) print_error("%s\n", err.message);
    assert_non_null(model);
    return model;
}

/* The first `tokens` of it, as hidden states. */
static rp_run_times run_long(rp_model *model, uint32_t tokens, float *out) {
    static int32_t ids[LONG];
    rp_error err = {0};
    rp_run_times times = {0};
    for (int32_t i = 0; i < LONG; i++) ids[i] = (i * 37 + 5) % 100;
    const rp_sequence sequence = {.ids = ids, .count = tokens};
    memset(out, 0xee, FLOATS * sizeof *out);
    rp_status status = rp_model_run(model, &sequence, 1, NULL, out, FLOATS, &times, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    return times;
}

/* Cut so that the largest slice of the longest sequence takes just the limit: every submission stays below
 * it, and the bits are those of one piece. */
static void check_slices(rp_model *model, uint32_t tokens) {
    double largest = 4.0 * RP_SLICE_ROWS * LONG * WIDTH; /* attention */
    model->pace = (rp_pace){.limit = 0.1, .operation = 0.1 / largest, .known = PINNED};
    most_work = 0;
    vk_watch(device); /* nothing but submissions */
    rp_run_times times = run_long(model, tokens, got);
    vk_unwatch(device);
    assert_int_equal(vk_seen.submits, times.submissions);
    assert_int_equal(vk_seen.others, 0);
    assert_memory_equal(got, wanted, sizeof wanted);
    assert_true(most_work > 0 && most_work <= 0.1 * (1 + 1e-9));
    if (tokens == LONG) {
        assert_true(4.0 * LONG * LONG * WIDTH * model->pace.operation > 0.4); /* of one attention */
        assert_true(most_work > 0.099);
        assert_true(times.submissions > LAYERS * INNER_LAYERS * RP_LAYER_PARTS + 2);
    }
    model->pace.operation /= 1e6; /* and in one piece again */
    assert_int_equal(run_long(model, tokens, got).submissions, 1);
    assert_memory_equal(got, wanted, sizeof wanted);
}

/* Where a part of a layer takes longer than a submission may, it goes in slices. */
static void test_slices(void **state) {
    static const char config[] =
        "{\"model_type\": \"albert\", \"architectures\": [\"AlbertModel\"], \"vocab_size\": 100,"
        " \"embedding_size\": 32, \"hidden_size\": 64, \"num_attention_heads\": 2, \"inner_group_num\": 2,"
        " \"intermediate_size\": 256, \"num_hidden_layers\": 3, \"max_position_embeddings\": 300}";
    static const uint32_t lengths[] = {LONG, 257, 256, 130, 65, 64, 63, 7, 1};
    static const rp_precision precisions[] = {RP_PRECISION_F32, RP_PRECISION_F16, RP_PRECISION_INT8};
    char dir[FIXTURE_PATH_SIZE];
    rp_error err = {0};
    (void)state;
    assert_true(fixture_make_dir(dir) && fixture_write_text(dir, "config.json", config));
    for (size_t p = 0; p < RP_COUNT(precisions); p++) {
        assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
        rp_model *whole = open_long_model(dir, precisions[p]);
        device->submit_limit = 0.1;
        fault_delay = 0.010;
        rp_model *model = open_long_model(dir, precisions[p]);
        fault_delay = 0;
        for (size_t i = 0; i < RP_COUNT(lengths); i++) {
            assert_int_equal(run_long(whole, lengths[i], wanted).submissions, 1);
            check_slices(model, lengths[i]);
        }
        rp_model_close(&whole);
        rp_model_close(&model);
        rp_device_close(&device);
    }
    fixture_remove_dir(dir);
}

/* The rows of a language model are cut too. */
static void test_fewer_rows(void **state) {
    enum { ROWS = 8 };
    rp_row rows[ROWS];
    rp_error err = {0};
    golden deep = g;
    (void)state;
    assert_true(golden_open("groups", NULL, &g));
    assert_int_equal(rp_device_open(NULL, &device, &err), RP_OK);
    rp_model *model = open_model();
    for (uint32_t i = 0; i < ROWS; i++) rows[i] = (rp_row){0, i % g.sequences[0].count};
    rp_run_params params = {.output = RP_OUTPUT_MASKED_LM, .rows = rows, .row_count = ROWS};
    rp_run_times times;
    assert_int_equal(rp_model_run(model, g.sequences, 1, &params, wanted, FLOATS, &times, &err), RP_OK);
    uint32_t before = times.submissions;
    double row = 2.0 * model->config.embedding_size * (model->config.hidden_size + model->config.vocab_size);
    model->pace = (rp_pace){.limit = 0.5, .operation = 0.3 / row, .known = PINNED};
    assert_int_equal(rp_model_run(model, g.sequences, 1, &params, got, FLOATS, &times, &err), RP_OK);
    assert_true(times.submissions > before);
    size_t floats = rp_model_output_size(model, g.sequences, 1, &params);
    assert_memory_equal(got, wanted, floats * sizeof *got);
    rp_model_close(&model);
    rp_device_close(&device);
    golden_close(&g);
    g = deep;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_work),
        cmocka_unit_test(test_learn),
        cmocka_unit_test(test_learn_again),
        cmocka_unit_test(test_slow_device),
        cmocka_unit_test(test_batch_budget),
        cmocka_unit_test(test_batches_stay_short),
        cmocka_unit_test(test_smaller_batches),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_two_models),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_fewer_rows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
