/* What the policies of a queue are worth, in the time of a device that takes a + b * tokens for a layer: the
 * choice of ticks is the library's own, and only the device is a formula, so that a busy machine changes
 * nothing. Lengths are log-normal, as a server's for short texts; the load is 70 % of what dynamic batching
 * gets through. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/ticks.h"

enum { TEXTS = 2500, TRACES = 4, LAYERS = 12, SHORTEST = 4, LONGEST = 512, TOKENS = 4096, SLAB = 4 * TOKENS };

static const double LOAD = 0.7;

/* Seconds that a layer takes, that a row adds to it, and that a submission takes besides. */
typedef struct machine {
    double replay, token, submission;
    rp_widths widths;
} machine;
static const machine software = {.replay = 0.5e-3,
                                 .token = 0.13e-3,
                                 .submission = 0.1e-3}, /* a formula of llvmpipe, base */
    tiled = {0.2e-3, 0.167e-3, 0.3e-3, {{{0, 32}, {12, 12}, {24, 24}}, 3, true}}, /* as it is measured */
    gpu = {.replay = 20e-6, .token = 0.15e-6}, /* with idle room while batches are small */
    /* the same where a submission takes a quarter of a small layer */
    gpu_and_driver = {.replay = 20e-6, .token = 0.15e-6, .submission = 5e-6};
static machine device;

static struct {
    rp_depth_text texts[TEXTS];
    rp_sequence sequences[TEXTS];
    double due[TEXTS], latency[TEXTS];
    uint32_t exits[TEXTS];        /* behind which layer a text leaves; LAYERS: it goes through all */
    rp_depth_text *inside[TEXTS]; /* those that have come and are not done, in their order */
    rp_depth_order order[TEXTS];
    uint32_t places[SLAB], place_count, rows[TEXTS * LONGEST];
    size_t come, count;
    rp_depth_text *lists[4][TOKENS];
    rp_model *model;
} sim;

static double uniform(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return ((*state >> 8) + 0.5) / (1 << 24);
}

/* `rate`: texts that come in a second; 0: all at once. Returns the tokens of all. */
static double make_trace(uint32_t number, double rate, bool exits) {
    uint32_t state = 77 + number;
    double due = 0, tokens = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        double radius = sqrt(-2 * log(uniform(&state))), normal = radius * cos(6.283185307 * uniform(&state)),
               length = exp(3.2 + 0.9 * normal), gap = -log(uniform(&state));
        if (rate > 0) due += gap / rate;
        sim.due[i] = due;
        sim.sequences[i].count = length < SHORTEST ? SHORTEST : length > LONGEST ? LONGEST : (uint32_t)length;
        sim.texts[i] = (rp_depth_text){.sequence = &sim.sequences[i],
                                       .output = RP_OUTPUT_CLS,
                                       .left = LAYERS,
                                       .places = sim.rows + i * LONGEST,
                                       .came = due,
                                       .patience = exits,
                                       .work = sim.sequences[i].count};
        sim.exits[i] = exits ? 4 + (uint32_t)(8 * uniform(&state)) : LAYERS; /* 7.5 of 12 */
        tokens += sim.sequences[i].count;
    }
    sim.come = sim.count = 0;
    sim.place_count = SLAB;
    for (uint32_t i = 0; i < SLAB; i++) sim.places[i] = i;
    return tokens;
}

static void finish(rp_depth_text *text, double now) {
    assert_true(!text->done);
    memcpy(sim.places + sim.place_count, text->places, text->sequence->count * sizeof *text->places);
    sim.place_count += text->sequence->count;
    text->done = true;
    sim.latency[text - sim.texts] = now - text->came;
}

/* What is true behind a tick, which ends at `now`. Returns how many texts it answers. */
static size_t settle(const rp_tick *tick, double now) {
    size_t kept = 0, done = 0;
    sim.place_count -= tick->join.tokens;
    for (size_t i = 0; i < tick->join.count; i++) tick->join.texts[i]->inside = true;
    for (size_t i = 0; i < tick->batch.count; i++) {
        assert_true(tick->batch.texts[i]->inside && tick->batch.texts[i]->left >= tick->layers);
        tick->batch.texts[i]->left -= tick->layers;
    }
    for (size_t i = 0; i < tick->leave.count; i++) {
        assert_true(!tick->leave.texts[i]->left);
        finish(tick->leave.texts[i], now);
    }
    for (size_t i = 0; i < tick->patient.count; i++) {
        rp_depth_text *text = tick->patient.texts[i];
        if (LAYERS - text->left >= sim.exits[text - sim.texts]) finish(text, now);
    }
    for (size_t i = 0; i < sim.count; i++) {
        done += sim.inside[i]->done;
        if (!sim.inside[i]->done) sim.inside[kept++] = sim.inside[i];
    }
    sim.count = kept;
    return done;
}

/* Seconds until everything is answered. */
static double play(rp_policy policy) {
    uint32_t budget = (uint32_t)((device.submission + device.replay) / (0.1 * device.token)); /* measure.c */
    const rp_chooser chooser = {.policy = policy,
                                .layers = LAYERS,
                                .most_tokens = TOKENS,
                                .budget = budget < 32 ? 32 : budget,
                                .replay = device.replay,
                                .token = device.token,
                                .widths = &device.widths,
                                .submission = device.submission,
                                .wait_count = 32,
                                .wait_seconds = 0.005,
                                .most_layer = INFINITY,
                                .most_work =
                                    device.widths.by_tiles ? LAYERS * LONGEST : INFINITY, /* depth.c */
                                .model = sim.model};
    rp_tick tick = {.join.texts = sim.lists[0],
                    .batch.texts = sim.lists[1],
                    .leave.texts = sim.lists[2],
                    .patient.texts = sim.lists[3]};
    double now = 0;
    for (size_t done = 0; done < TEXTS;) {
        while (sim.come < TEXTS && sim.due[sim.come] <= now) sim.inside[sim.count++] = &sim.texts[sim.come++];
        if (!sim.count) {
            now = sim.due[sim.come];
            continue;
        }
        double wait = rp_tick_wait(&chooser, sim.inside, sim.count, now);
        if (wait > 0) {
            double next = sim.come < TEXTS ? sim.due[sim.come] : INFINITY;
            now = next < now + wait ? next : now + wait + 1e-9;
            continue;
        }
        rp_tick_choose(&chooser, sim.inside, sim.count, sim.order, sim.places, sim.place_count, now, &tick);
        assert_true(tick.batch.count || tick.leave.count);
        now +=
            device.submission +
            tick.layers * (device.replay + device.token * rp_width_rows(&device.widths, tick.batch.tokens));
        done += settle(&tick, now);
    }
    return now;
}

typedef struct latencies {
    double mean, median, p99, worst;
} latencies;

static int ascending(const void *left, const void *right) {
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Means over the traces. */
static latencies measure(rp_policy policy, double rate) {
    latencies all = {0};
    for (uint32_t n = 0; n < TRACES; n++) {
        make_trace(n, rate, false);
        play(policy);
        qsort(sim.latency, TEXTS, sizeof *sim.latency, ascending);
        for (size_t i = 0; i < TEXTS; i++) all.mean += sim.latency[i] / TEXTS / TRACES;
        all.median += sim.latency[TEXTS / 2] / TRACES;
        all.p99 += sim.latency[TEXTS * 99 / 100] / TRACES;
        all.worst += sim.latency[TEXTS - 1] / TRACES;
    }
    return all;
}

static latencies compare(const char *name, rp_policy policy, double rate, const latencies *dynamic) {
    latencies l = measure(policy, rate);
    if (dynamic)
        l = (latencies){l.mean / dynamic->mean, l.median / dynamic->median, l.p99 / dynamic->p99,
                        l.worst / dynamic->worst};
    printf("%-11s mean %.2f  p50 %.2f  p99 %.2f  worst %.2f\n", name, l.mean, l.median, l.p99, l.worst);
    return l;
}

/* Tokens a second while everything waits. */
static double saturate(rp_policy policy, bool exits) {
    double tokens = make_trace(0, 0, exits);
    return tokens / play(policy);
}

static latencies compare_all(const machine *on) {
    device = *on;
    double dynamic_rate = saturate(RP_POLICY_DYNAMIC, false), least = saturate(RP_POLICY_LEAST_WORK, false);
    double rate = LOAD * dynamic_rate / (make_trace(0, 0, false) / TEXTS);
    printf("at saturation %.0f tokens/s by dynamic, %.0f by least work\n", dynamic_rate, least);
    assert_true(least >= 0.98 * dynamic_rate);
    latencies dynamic = compare("dynamic, s", RP_POLICY_DYNAMIC, rate, NULL);
    compare("static", RP_POLICY_STATIC, rate, &dynamic);
    compare("join", RP_POLICY_JOIN, rate, &dynamic);
    return compare("least work", RP_POLICY_LEAST_WORK, rate, &dynamic);
}

static void test_software(void **state) {
    (void)state;
    const machine *machines[] = {&software, &tiled};
    for (int i = 0; i < 2; i++) {
        latencies l = compare_all(machines[i]);
        assert_true(l.mean <= 0.6);
        assert_true(l.median <= 0.5);
        assert_true(l.p99 <= 1.15);
        assert_true(l.worst <= 6);
    }
}

static void test_gpu(void **state) {
    (void)state;
    latencies l = compare_all(&gpu);
    assert_true(l.mean <= 0.8);
    assert_true(l.p99 <= 0.75);
    l = compare_all(&gpu_and_driver);
    assert_true(l.mean <= 0.95);
    assert_true(l.p99 <= 0.85);
}

/* A batch goes through the layer that is recorded for it. */
static void test_widths(void **state) {
    const rp_widths on_gpu = {.list = {{0, 64}, {128, 32}}, .count = 2};
    static const uint32_t cases[][2] = {{1, 1},  {12, 1}, {13, 2}, {24, 2}, {25, 0},
                                        {32, 0}, {33, 1}, {36, 1}, {37, 2}, {48, 2},
                                        {49, 0}, {64, 0}, {72, 2}, {73, 0}, {128, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t width = rp_width_for(&tiled.widths, cases[i][0]);
        if (width != cases[i][1]) fail_msg("%u tokens by width %u", cases[i][0], width);
    }
    for (uint32_t tokens = 1; tokens < 500; tokens++) {
        double rows = rp_width_rows(&tiled.widths, tokens);
        assert_true(rows >= tokens && rows <= tokens + 32);
        assert_true(rows <= rp_width_rows(&tiled.widths, tokens + 1));
        assert_int_equal(rp_width_for(&on_gpu, tokens), tokens <= 128);
        assert_true(rp_width_rows(&on_gpu, tokens) == tokens);
    }
}

/* Texts that leave after 63 % of the layers. */
static void test_exits(void **state) {
    (void)state;
    const machine *machines[] = {&software, &gpu};
    for (int i = 0; i < 2; i++) {
        device = *machines[i];
        double ratio = saturate(RP_POLICY_LEAST_WORK, true) / saturate(RP_POLICY_LEAST_WORK, false);
        printf("with exits %.2f times the tokens\n", ratio);
        assert_true(ratio >= 1.45);
    }
}

/* A long text for which there are not yet places enough gets them before the short ones behind it, which
 * would take each few as soon as they are free. */
static void test_places(void **state) {
    const rp_chooser chooser = {.layers = LAYERS,
                                .most_tokens = TOKENS,
                                .budget = TOKENS,
                                .replay = software.replay,
                                .token = software.token,
                                .widths = &software.widths,
                                .most_layer = INFINITY,
                                .most_work = INFINITY,
                                .model = sim.model};
    const rp_sequence small = {.count = 4}, large = {.count = 100};
    rp_depth_text texts[3] = {
        {.sequence = &large, .output = RP_OUTPUT_CLS, .left = LAYERS, .places = sim.rows},
        {.sequence = &small, .output = RP_OUTPUT_CLS, .left = LAYERS / 2, .places = sim.rows + 100},
        {.sequence = &small, .output = RP_OUTPUT_CLS, .left = LAYERS, .places = sim.rows + 104}};
    rp_depth_text *list[3] = {&texts[0], &texts[1], &texts[2]};
    rp_tick tick = {.join.texts = sim.lists[0],
                    .batch.texts = sim.lists[1],
                    .leave.texts = sim.lists[2],
                    .patient.texts = sim.lists[3]};
    (void)state;
    texts[1].inside = true;
    texts[1].came = texts[2].came = 1000;
    for (uint32_t free = 98; free <= 104; free++) {
        rp_tick_choose(&chooser, list, 3, sim.order, sim.places, free, 1000, &tick);
        assert_int_equal(tick.batch.count, free < 100 ? 1 : free < 104 ? 2 : 3);
        assert_int_equal(tick.join.count, tick.batch.count - 1);
        if (tick.join.count) assert_ptr_equal(tick.join.texts[0], &texts[0]);
    }
}

static int setup(void **state) {
    (void)state;
    sim.model = calloc(1, sizeof *sim.model);
    if (!sim.model) return 1;
    sim.model->config.hidden_size = 768;
    sim.model->batch_tokens = TOKENS;
    sim.model->output_floats = TOKENS * 768ull;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    free(sim.model);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_software), cmocka_unit_test(test_gpu),
                                       cmocka_unit_test(test_exits), cmocka_unit_test(test_widths),
                                       cmocka_unit_test(test_places)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
