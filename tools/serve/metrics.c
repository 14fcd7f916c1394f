/* /metrics in Prometheus' text: TEI's names where they mean the same, and what the queues count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/serve/loading.h"

enum { TIMES = 35, SIZES = 22, LAYERS = 24, MOST_BUCKETS = TIMES };

typedef struct histogram {
    uint64_t counts[MOST_BUCKETS + 1], count;
    double sum;
} histogram;

enum { REQUEST, QUEUE, TOKENIZE, INFERENCE, EMBED, PREDICT, DURATIONS };
static const char *const durations[] = {
    "te_request_duration",           "te_request_queue_duration", "te_request_tokenization_duration",
    "te_request_inference_duration", "te_embed_duration",         "te_predict_duration"};
static const char *const failures[] = {"validation",   "batch_size", "model_type", "overloaded",
                                       "tokenization", "inference",  "dropped",    "other"};
enum { FAILURES = sizeof failures / sizeof *failures };

struct rp_serve_metrics {
    pthread_mutex_t lock;
    uint64_t counts[2], successes[2]; /* single, batch */
    uint64_t failed[FAILURES], embeds, embedded, predicts, predicted, all;
    histogram times[DURATIONS], length, depth;
};

rp_serve_metrics *rp_metrics_new(void) {
    rp_serve_metrics *m = calloc(1, sizeof *m);
    if (m) pthread_mutex_init(&m->lock, NULL);
    return m;
}

/* ---- counting ---- */

static double time_bound(int bucket) {
    double bound = 15e-6;
    for (int i = 0; i < bucket; i++) bound *= 1.5;
    return bound;
}

static double size_bound(int bucket) {
    return (double)(UINT64_C(1) << bucket);
}

static double layer_bound(int bucket) {
    return bucket + 1;
}

static void observe(histogram *h, double value, double (*bound)(int), int buckets) {
    int at = 0;
    while (at < buckets && value > bound(at)) at++;
    h->counts[at]++;
    h->count++;
    h->sum += value;
}

static size_t failure_of(const rp_serve_request *r) {
    const char *type = r->error_type ? r->error_type : "";
    bool large = r->ask.weight > r->server->options->max_client_batch;
    if (r->status == 499) return 6;
    if (r->status == 429) return 3;
    if (r->status == 424) return r->queued ? 5 : 2;
    if (!strcmp(type, "Tokenizer")) return 4;
    if (!strcmp(type, "Validation") || !strcmp(type, "Empty")) return large ? 1 : 0;
    return r->queued ? 5 : 7;
}

static void count_task(rp_serve_metrics *m, const rp_serve_request *r, double total, bool good) {
    bool embeds = r->route->task == RP_SERVE_EMBED;
    bool predicts = r->route->task == RP_SERVE_CLASSIFY || r->route->task == RP_SERVE_RANK;
    m->embeds += embeds;
    m->embedded += embeds && good;
    m->predicts += predicts;
    m->predicted += predicts && good;
    if (good && embeds) observe(&m->times[EMBED], total, time_bound, TIMES);
    if (good && predicts) observe(&m->times[PREDICT], total, time_bound, TIMES);
}

void rp_metrics_count(rp_serve_metrics *m, const rp_serve_request *r) {
    bool good = r->status == 200, batch = r->ask.weight > 1;
    double total = rp_clock() - r->begun;
    pthread_mutex_lock(&m->lock);
    m->all++;
    if (r->route && r->route->task) {
        m->counts[batch]++;
        m->successes[batch] += good;
        if (!good) m->failed[failure_of(r)]++;
        count_task(m, r, total, good);
    }
    if (r->started && r->ended) {
        observe(&m->times[REQUEST], total, time_bound, TIMES);
        observe(&m->times[QUEUE], r->started - r->queued, time_bound, TIMES);
        observe(&m->times[TOKENIZE], r->tokenized, time_bound, TIMES);
        double device = r->ended - r->started - r->tokenized; /* two clocks: it may be a hair below 0 */
        observe(&m->times[INFERENCE], device > 0 ? device : 0, time_bound, TIMES);
        observe(&m->length, (double)r->tokens, size_bound, SIZES);
        if (good) observe(&m->depth, r->layers, layer_bound, LAYERS);
    }
    pthread_mutex_unlock(&m->lock);
}

/* ---- writing ---- */

static void head(rp_cli_buffer *out, const char *name, const char *type, const char *help) {
    rp_cli_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_number(rp_cli_buffer *out, const char *name, const char *labels, double value) {
    rp_cli_printf(out, "%s%s ", name, labels);
    rp_cli_json_double(out, value);
    rp_cli_puts(out, "\n");
}

static void put_histogram(rp_cli_buffer *out, const char *name, const char *help, const histogram *h,
                          double (*bound)(int), int buckets) {
    uint64_t sum = 0;
    head(out, name, "histogram", help);
    for (int i = 0; i < buckets; i++) {
        sum += h->counts[i];
        rp_cli_printf(out, "%s_bucket{le=\"", name);
        rp_cli_json_double(out, bound(i));
        rp_cli_printf(out, "\"} %llu\n", (unsigned long long)sum);
    }
    rp_cli_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum ", name, (unsigned long long)h->count, name);
    rp_cli_json_double(out, h->sum);
    rp_cli_printf(out, "\n%s_count %llu\n", name, (unsigned long long)h->count);
}

/* TEI's counters have no _total at their ends, which Prometheus asks of what is called a counter. */
static void put_requests(const rp_serve_metrics *m, rp_cli_buffer *out) {
    head(out, "te_request_count", "untyped", "Requests for a model.");
    put_number(out, "te_request_count", "{method=\"single\"}", (double)m->counts[0]);
    put_number(out, "te_request_count", "{method=\"batch\"}", (double)m->counts[1]);
    head(out, "te_request_success", "untyped", "Requests for a model that were answered.");
    put_number(out, "te_request_success", "{method=\"single\"}", (double)m->successes[0]);
    put_number(out, "te_request_success", "{method=\"batch\"}", (double)m->successes[1]);
    head(out, "te_request_failure", "untyped", "Requests for a model that were not, by cause.");
    for (size_t i = 0; i < FAILURES; i++)
        rp_cli_printf(out, "te_request_failure{err=\"%s\"} %llu\n", failures[i],
                      (unsigned long long)m->failed[i]);
    head(out, "te_embed_count", "untyped", "Requests for vectors.");
    put_number(out, "te_embed_count", "", (double)m->embeds);
    head(out, "te_embed_success", "untyped", "Requests for vectors that were answered.");
    put_number(out, "te_embed_success", "", (double)m->embedded);
    head(out, "te_predict_count", "untyped", "Requests for labels and ranks.");
    put_number(out, "te_predict_count", "", (double)m->predicts);
    head(out, "te_predict_success", "untyped", "Requests for labels and ranks that were answered.");
    put_number(out, "te_predict_success", "", (double)m->predicted);
    head(out, "reprise_requests_total", "counter", "Requests of every kind.");
    put_number(out, "reprise_requests_total", "", (double)m->all);
}

static double tokens_inside(const rp_queue_counts *c) {
    return c->layers ? (double)c->layer_tokens / (double)c->layers : 0;
}

/* What the queues count, one line a model. `field`: of rp_queue_counts. */
static void put_counts(rp_server *s, const rp_queue_counts *counts, const char *name, const char *type,
                       const char *help, double (*field)(const rp_queue_counts *), rp_cli_buffer *out) {
    head(out, name, type, help);
    for (size_t i = 0; i < s->model_count; i++) {
        rp_cli_printf(out, "%s{model=", name);
        rp_cli_json_string(out, s->models[i].name, strlen(s->models[i].name));
        rp_cli_puts(out, "} ");
        rp_cli_json_double(out, field(&counts[i]));
        rp_cli_puts(out, "\n");
    }
}

#define FIELD(name)                                           \
    static double get_##name(const rp_queue_counts *counts) { \
        return (double)counts->name;                          \
    }
FIELD(texts)
FIELD(tokens)
FIELD(ticks)
FIELD(layers)
FIELD(layer_tokens)
FIELD(joins)
FIELD(repeats)
FIELD(device_seconds)
FIELD(waiting)
FIELD(depth_texts)
FIELD(budget)

static void put_queues(rp_server *s, rp_cli_buffer *out) {
    rp_queue_counts *counts = calloc(s->model_count, sizeof *counts);
    size_t inside = 0, waiting = 0;
    if (!counts) return;
    for (size_t i = 0; i < s->model_count; i++) {
        rp_serve_counts(&s->models[i], &counts[i]);
        inside += counts[i].depth_texts;
        waiting += counts[i].waiting;
    }
    head(out, "te_queue_size", "gauge", "Inputs that are in the server.");
    put_number(out, "te_queue_size", "", (double)s->permits);
    head(out, "te_batch_next_size", "gauge", "Texts on their way through the layers now.");
    put_number(out, "te_batch_next_size", "", (double)inside);
    put_counts(s, counts, "te_batch_next_tokens", "gauge",
               "Tokens that went through a layer together, the mean.", tokens_inside, out);
    put_counts(s, counts, "reprise_texts_total", "counter", "Texts that left the model.", get_texts, out);
    put_counts(s, counts, "reprise_tokens_total", "counter", "Their tokens.", get_tokens, out);
    put_counts(s, counts, "reprise_ticks_total", "counter", "Submissions to the device.", get_ticks, out);
    put_counts(s, counts, "reprise_layers_total", "counter", "Layers in them.", get_layers, out);
    put_counts(s, counts, "reprise_layer_tokens_total", "counter",
               "Tokens that went through a layer, once for each; by reprise_tokens_total, the depth at exit.",
               get_layer_tokens, out);
    put_counts(s, counts, "reprise_joins_total", "counter",
               "Texts that joined while others were on their way.", get_joins, out);
    put_counts(s, counts, "reprise_repeats_total", "counter",
               "Texts that began again, for the device was lost or had no memory.", get_repeats, out);
    put_counts(s, counts, "reprise_device_seconds_total", "counter", "Time that the device worked.",
               get_device_seconds, out);
    put_counts(s, counts, "reprise_waiting_requests", "gauge", "Requests that no thread has begun.",
               get_waiting, out);
    put_counts(s, counts, "reprise_texts_inside", "gauge", "Texts on their way through the layers.",
               get_depth_texts, out);
    put_counts(s, counts, "reprise_token_budget", "gauge", "Tokens of a tick while few wait.", get_budget,
               out);
    free(counts);
}

void rp_metrics_write(rp_server *s, rp_cli_buffer *out) {
    rp_serve_metrics *m = s->metrics;
    pthread_mutex_lock(&m->lock);
    rp_serve_metrics now = *m;
    pthread_mutex_unlock(&m->lock);
    put_requests(&now, out);
    for (int i = 0; i < DURATIONS; i++)
        put_histogram(out, durations[i], "Seconds.", &now.times[i], time_bound, TIMES);
    put_histogram(out, "te_request_input_length", "Tokens of a request.", &now.length, size_bound, SIZES);
    put_histogram(out, "reprise_exit_layers", "Layers that the texts of a request went through, the most.",
                  &now.depth, layer_bound, LAYERS);
    put_queues(s, out);
    head(out, "reprise_requests_inside", "gauge",
         "Requests between their headers and the end of their answer.");
    put_number(out, "reprise_requests_inside", "", (double)s->active);
    head(out, "reprise_draining", "gauge", "1 while the server is ending.");
    put_number(out, "reprise_draining", "", s->draining ? 1 : 0);
}
