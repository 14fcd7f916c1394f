/* bench --serve: what a queue does with texts that come at random moments, by each policy. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "reprise/queue.h"

enum { MOST_TEXTS = 1 << 16, POLICIES = 4, IDLE_TEXTS = 20, SHORTEST = 4, LONGEST = 512 };

static const struct {
    rp_policy policy;
    const char *name;
} policies[POLICIES] = {{RP_POLICY_DYNAMIC, "dynamic"},
                        {RP_POLICY_STATIC, "static"},
                        {RP_POLICY_JOIN, "join"},
                        {RP_POLICY_LEAST_WORK, "least-work"}};

static const double LOAD = 0.7; /* of what dynamic batching gets through when everything waits */

/* A text of a trace. */
typedef struct arrival {
    const struct trace *trace;
    rp_sequence sequence;
    double due;     /* seconds from the beginning */
    double latency; /* seconds until the answer, from when it was due */
    float *out;
} arrival;

/* What all threads of one trace see. */
typedef struct trace {
    arrival *arrivals; /* [count] */
    size_t count;
    double begun;
    pthread_mutex_t lock;
    pthread_cond_t all;
    size_t answered;
    rp_status status;
    rp_error err;
} trace;

/* What came of one policy. */
typedef struct outcome {
    double mean, median, p99, worst; /* seconds, means over the traces */
    double throughput;               /* tokens a second, everything waiting at once */
    double idle;                     /* seconds of a text alone, median */
    uint32_t budget;
} outcome;

typedef struct serve_bench {
    rp_model *model;
    rp_cli_batch batch; /* all texts; of each trace, `count` of them */
    float *out;         /* [count, width] */
    size_t count;
    uint32_t traces;
    double alone; /* seconds of a text alone by rp_model_run, median */
    outcome outcomes[POLICIES];
    double ratios[POLICIES]
                 [4]; /* of mean, median, p99 and worst to those of dynamic, means over the traces */
} serve_bench;

/* ---- random numbers: the same on every machine ---- */

static double uniform(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return ((*state >> 8) + 0.5) / (1 << 24);
}

/* Log-normal lengths: mu 3.2, sigma 0.9. */
static uint32_t draw_length(uint32_t *state, uint32_t most) {
    double radius = sqrt(-2 * log(uniform(state))),
           normal = radius * cos(2 * 3.14159265358979 * uniform(state));
    double length = exp(3.2 + 0.9 * normal);
    return length < SHORTEST ? SHORTEST : length > most ? most : (uint32_t)length;
}

/* ---- one trace ---- */

static void take_answer(void *user, rp_status status, rp_result *result, const rp_error *err) {
    arrival *a = user;
    trace *t = (trace *)a->trace;
    (void)result;
    pthread_mutex_lock(&t->lock);
    a->latency = rp_seconds() - t->begun - a->due;
    if (status && !t->status) {
        t->status = status;
        t->err = *err;
    }
    if (++t->answered == t->count) pthread_cond_signal(&t->all);
    pthread_mutex_unlock(&t->lock);
}

/* Hand every text in when it is due, and wait for all answers. `*seconds`: until the last one. */
static rp_status play(rp_queue *queue, trace *t, double *seconds, rp_error *err) {
    static const rp_run_params params = {.output = RP_OUTPUT_CLS};
    size_t asked = 0;
    t->answered = 0;
    t->status = RP_OK;
    t->begun = rp_seconds();
    for (; asked < t->count; asked++) {
        arrival *a = &t->arrivals[asked];
        double early = t->begun + a->due - rp_seconds();
        struct timespec nap = {.tv_sec = (time_t)fmax(early, 0)};
        nap.tv_nsec = (long)((fmax(early, 0) - (double)nap.tv_sec) * 1e9);
        if (early > 0) nanosleep(&nap, NULL);
        rp_request request = {.inputs = &a->sequence,
                              .count = 1,
                              .params = &params,
                              .out = a->out,
                              .capacity = SIZE_MAX / 8,
                              .done = take_answer,
                              .user = a};
        rp_status status = rp_queue_ask(queue, &request, NULL, err);
        if (status) return status; /* closing the queue waits for those that were taken */
    }
    pthread_mutex_lock(&t->lock);
    while (t->answered < t->count) pthread_cond_wait(&t->all, &t->lock);
    pthread_mutex_unlock(&t->lock);
    *seconds = rp_seconds() - t->begun;
    if (t->status) *err = t->err;
    return t->status;
}

static void add_latencies(const trace *t, outcome *o) {
    double *sorted = rp_cli_calloc(t->count, sizeof *sorted), sum = 0;
    for (size_t i = 0; i < t->count; i++) sum += sorted[i] = t->arrivals[i].latency;
    qsort(sorted, t->count, sizeof *sorted, rp_compare_doubles);
    o->mean = sum / (double)t->count;
    o->median = rp_median(sorted, t->count);
    o->p99 = sorted[(size_t)(0.99 * (double)t->count)];
    o->worst = sorted[t->count - 1];
    free(sorted);
}

static rp_status open_queue(const serve_bench *b, int policy, rp_queue **out, rp_error *err) {
    const rp_queue_params params = {.policy = policies[policy].policy,
                                    .capacity = b->count < 1 << 16 ? (uint32_t)b->count : 1 << 16};
    return rp_queue_open(b->model, &params, out, err);
}

/* The texts of trace number `n`. `rate`: how many come in a second; 0: all at once. */
static void fill_trace(const serve_bench *b, uint32_t n, double rate, trace *t) {
    uint32_t state = 77 + n;
    double due = 0;
    size_t width = rp_model_get_info(b->model)->hidden_size;
    for (size_t i = 0; i < t->count; i++) {
        if (rate > 0) due += -log(uniform(&state)) / rate;
        t->arrivals[i] = (arrival){.trace = t,
                                   .sequence = b->batch.sequences[n * b->count + i],
                                   .due = due,
                                   .out = b->out + i * width};
    }
}

/* Everything at once: tokens a second. */
static rp_status saturate(serve_bench *b, int policy, trace *t, rp_error *err) {
    rp_queue *queue = NULL;
    double seconds = 1, tokens = 0;
    rp_queue_counts counts;
    rp_status status = open_queue(b, policy, &queue, err);
    if (status) return status;
    fill_trace(b, 0, 0, t);
    for (size_t i = 0; i < t->count; i++) tokens += t->arrivals[i].sequence.count;
    status = play(queue, t, &seconds, err);
    rp_queue_count(queue, &counts);
    rp_queue_close(&queue);
    b->outcomes[policy].throughput = tokens / seconds;
    b->outcomes[policy].budget = counts.budget;
    return status;
}

/* Every policy on the same texts, one after another. */
static rp_status compare(serve_bench *b, uint32_t n, double rate, trace *t, rp_error *err) {
    outcome first = {0};
    for (int policy = 0; policy < POLICIES; policy++) {
        outcome now = {0}, *sum = &b->outcomes[policy];
        rp_queue *queue = NULL;
        double seconds;
        rp_status status = open_queue(b, policy, &queue, err);
        if (status) return status;
        fill_trace(b, n, rate, t);
        status = play(queue, t, &seconds, err);
        rp_queue_close(&queue);
        if (status) return status;
        add_latencies(t, &now);
        if (!policy) first = now;
        sum->mean += now.mean / b->traces;
        sum->median += now.median / b->traces;
        sum->p99 += now.p99 / b->traces;
        sum->worst += now.worst / b->traces;
        b->ratios[policy][0] += now.mean / first.mean / b->traces;
        b->ratios[policy][1] += now.median / first.median / b->traces;
        b->ratios[policy][2] += now.p99 / first.p99 / b->traces;
        b->ratios[policy][3] += now.worst / first.worst / b->traces;
    }
    return RP_OK;
}

/* Texts one by one. */
static rp_status time_alone(const serve_bench *b, double *seconds, rp_error *err) {
    static const rp_run_params params = {.output = RP_OUTPUT_CLS};
    double times[IDLE_TEXTS];
    rp_status status = RP_OK;
    for (int i = -2; !status && i < IDLE_TEXTS; i++) {
        double begun = rp_seconds();
        status = rp_model_run(b->model, &b->batch.sequences[i < 0 ? 0 : (size_t)i % b->count], 1, &params,
                              b->out, SIZE_MAX / 8, NULL, err);
        if (i >= 0) times[i] = rp_seconds() - begun;
    }
    qsort(times, IDLE_TEXTS, sizeof *times, rp_compare_doubles);
    *seconds = rp_median(times, IDLE_TEXTS);
    return status;
}

static rp_status time_idle(serve_bench *b, rp_error *err) {
    rp_status status = time_alone(b, &b->alone, err);
    for (int policy = 0; !status && policy < POLICIES; policy++) {
        rp_queue *queue = NULL;
        status = open_queue(b, policy, &queue, err);
        if (!status) status = time_alone(b, &b->outcomes[policy].idle, err);
        rp_queue_close(&queue);
    }
    return status;
}

static rp_status run(serve_bench *b, rp_error *err) {
    trace t = {.arrivals = rp_cli_calloc(b->count, sizeof *t.arrivals), .count = b->count};
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.all, NULL);
    rp_status status = time_idle(b, err);
    for (int policy = 0; !status && policy < POLICIES; policy++) status = saturate(b, policy, &t, err);
    double mean = (double)b->batch.tokens / (double)b->batch.count;
    double rate = LOAD * b->outcomes[0].throughput / mean;
    for (uint32_t n = 0; !status && n < b->traces; n++) status = compare(b, n, rate, &t, err);
    pthread_cond_destroy(&t.all);
    pthread_mutex_destroy(&t.lock);
    free(t.arrivals);
    return status;
}

/* ---- results ---- */

static void put_json(const rp_cli_bench_job *job, const serve_bench *b) {
    rp_cli_buffer *out = &job->out->buffer;
    rp_cli_puts(out, "{");
    rp_cli_bench_json_device(job->device, out);
    rp_cli_bench_json_model(job, out);
    rp_cli_printf(out, ", \"texts\": %zu, \"traces\": %u", b->count, (unsigned)b->traces);
    rp_cli_json_key(out, "load", LOAD);
    rp_cli_json_key(out, "alone_ms", b->alone * 1e3);
    for (int policy = 0; policy < POLICIES; policy++) {
        const outcome *o = &b->outcomes[policy];
        rp_cli_printf(out, ", \"%s\": {\"budget\": %u", policies[policy].name, (unsigned)o->budget);
        rp_cli_json_key(out, "mean_ms", o->mean * 1e3);
        rp_cli_json_key(out, "p50_ms", o->median * 1e3);
        rp_cli_json_key(out, "p99_ms", o->p99 * 1e3);
        rp_cli_json_key(out, "worst_ms", o->worst * 1e3);
        rp_cli_json_key(out, "mean_ratio", b->ratios[policy][0]);
        rp_cli_json_key(out, "p50_ratio", b->ratios[policy][1]);
        rp_cli_json_key(out, "p99_ratio", b->ratios[policy][2]);
        rp_cli_json_key(out, "worst_ratio", b->ratios[policy][3]);
        rp_cli_json_key(out, "saturated_tokens_per_s", o->throughput);
        rp_cli_json_key(out, "idle_ms", o->idle * 1e3);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "}\n");
}

static void put_people(rp_cli_bench_job *job, const serve_bench *b) {
    rp_cli_buffer *out = &job->out->buffer;
    rp_cli_bench_heading(job);
    rp_cli_printf(
        out,
        "  %u traces of %zu texts, %.0f %% of what dynamic batching gets through; milliseconds from "
        "arrival to answer\n"
        "  %-11s %9s %9s %9s %9s  to dynamic: %4s %5s %5s %5s  %9s %8s\n",
        (unsigned)b->traces, b->count, 100 * LOAD, "policy", "mean", "p50", "p99", "worst", "mean", "p50",
        "p99", "worst", "tokens/s", "idle ms");
    for (int policy = 0; policy < POLICIES; policy++) {
        const outcome *o = &b->outcomes[policy];
        const double *r = b->ratios[policy];
        rp_cli_printf(out, "  %-11s %9.1f %9.1f %9.1f %9.1f  %16.2f %5.2f %5.2f %5.2f  %9.0f %8.2f\n",
                      policies[policy].name, o->mean * 1e3, o->median * 1e3, o->p99 * 1e3, o->worst * 1e3,
                      r[0], r[1], r[2], r[3], o->throughput, o->idle * 1e3);
    }
    rp_cli_printf(
        out, "  one text by rp_model_run, without a queue: %.2f ms; least work first: ticks of %u tokens\n",
        b->alone * 1e3, (unsigned)b->outcomes[POLICIES - 1].budget);
}

rp_status rp_cli_bench_serve(rp_cli_bench_job *job, rp_error *err) {
    const rp_cli_options *o = job->options;
    const rp_model_params wanted = {.random_seed = 1};
    serve_bench b = {.count = o->batch > 1 ? o->batch : 200, .traces = o->repeat};
    rp_model_params params = wanted;
    rp_status status = rp_cli_bench_open(job, &params, &b.model, err);
    if (status) return status;
    const rp_model_info *info = rp_model_get_info(b.model);
    uint32_t most = info->max_tokens < LONGEST ? info->max_tokens : LONGEST, state = 5;
    size_t all = b.count * b.traces;
    if (all > MOST_TEXTS) {
        rp_model_close(&b.model);
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "--batch times --repeat is %zu texts, and at most %d are served; take fewer", all,
                       MOST_TEXTS);
    }
    uint32_t *lengths = rp_cli_calloc(all, sizeof *lengths);
    for (size_t i = 0; i < all; i++) lengths[i] = draw_length(&state, most);
    b.batch = rp_cli_bench_batch(lengths, all, info->vocab_size, false);
    b.out = rp_cli_calloc(b.count * (size_t)info->hidden_size, sizeof *b.out);
    status = run(&b, err);
    if (!status && o->json) put_json(job, &b);
    if (!status && !o->json) put_people(job, &b);
    rp_cli_bench_batch_free(&b.batch);
    free(b.out);
    free(lengths);
    rp_model_close(&b.model);
    return status;
}
