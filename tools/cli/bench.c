/* reprise bench: the time of a run with random weights. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

typedef struct bench {
    const rp_cli_options *options;
    rp_device *device;
    rp_model *model;
    const rp_model_info *info;
    int32_t *ids;           /* [batch * tokens] */
    rp_sequence *sequences; /* [batch] */
    float *hidden;          /* [batch * tokens, H] */
    double *device_ms;      /* [repeat], sorted afterwards */
    double *host_ms;        /* [repeat], sorted afterwards */
    uint32_t submissions;   /* of one run */
} bench;

/* Floating point operations of one run: what the matrix products need, each multiplication and addition one.
 */
static double operations(const rp_model_info *info, double tokens, double batch) {
    double t = tokens * batch, h = info->hidden_size;
    double layer = 8 * t * h * h + 4 * t * h * info->intermediate_size + 4 * h * batch * tokens * tokens;
    double mapping = info->embedding_size != info->hidden_size ? 2 * t * info->embedding_size * h : 0;
    return info->layers * layer + mapping;
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double median(const double *sorted, size_t count) {
    return count % 2 ? sorted[count / 2] : (sorted[count / 2 - 1] + sorted[count / 2]) / 2;
}

/* Ids that no cache could know: the same on every machine. */
static void make_inputs(bench *b) {
    const size_t tokens = b->options->tokens, batch = b->options->batch;
    uint32_t state = 1;
    b->ids = rp_cli_calloc(batch * tokens, sizeof *b->ids);
    b->sequences = rp_cli_calloc(batch, sizeof *b->sequences);
    for (size_t i = 0; i < batch * tokens; i++) {
        state = state * 1664525u + 1013904223u;
        b->ids[i] = (int32_t)((state >> 8) % b->info->vocab_size);
    }
    for (size_t i = 0; i < batch; i++)
        b->sequences[i] = (rp_sequence){.ids = b->ids + i * tokens, .count = (uint32_t)tokens};
}

static rp_status time_runs(bench *b, rp_error *err) {
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    const size_t batch = b->options->batch, repeat = b->options->repeat;
    size_t size = rp_model_output_size(b->model, b->sequences, batch, &params);
    b->hidden = rp_cli_calloc(size, sizeof *b->hidden);
    b->device_ms = rp_cli_calloc(repeat, sizeof *b->device_ms);
    b->host_ms = rp_cli_calloc(repeat, sizeof *b->host_ms);
    for (size_t i = 0; i <= repeat; i++) { /* the first one warms up */
        rp_run_times times = {0};
        rp_status status = rp_model_run(b->model, b->sequences, batch, &params, b->hidden, size, &times, err);
        if (status) return status;
        if (!i) continue;
        b->device_ms[i - 1] = times.device * 1e3;
        b->host_ms[i - 1] = times.host * 1e3;
        b->submissions = times.submissions;
    }
    qsort(b->device_ms, repeat, sizeof *b->device_ms, compare);
    qsort(b->host_ms, repeat, sizeof *b->host_ms, compare);
    return RP_OK;
}

static rp_status run(bench *b, rp_error *err) {
    const rp_cli_options *o = b->options;
    rp_model_params params = {.max_batch_tokens = o->tokens * o->batch, .random_seed = 1};
    rp_status status = rp_cli_device_open(o->device, &b->device, err);
    if (!status) status = rp_model_open_random(b->device, o->config, &params, &b->model, err);
    if (status) return status;
    b->info = rp_model_get_info(b->model);
    make_inputs(b);
    return time_runs(b, err);
}

static void put_json(const bench *b, rp_cli_buffer *out) {
    const rp_cli_options *o = b->options;
    const rp_device_info *device = rp_device_get_info(b->device);
    double middle = median(b->device_ms, o->repeat);
    struct {
        const char *key;
        double value;
    } times[] = {
        {"median_ms", middle},
        {"min_ms", b->device_ms[0]},
        {"max_ms", b->device_ms[o->repeat - 1]},
        {"gflops", middle > 0 ? operations(b->info, o->tokens, o->batch) / middle / 1e6 : 0},
        {"host_ms", median(b->host_ms, o->repeat)},
    };
    rp_cli_puts(out, "{\"device\": ");
    rp_cli_json_string(out, device->name, strlen(device->name));
    rp_cli_puts(out, ", \"driver\": ");
    rp_cli_json_string(out, device->driver, strlen(device->driver));
    rp_cli_printf(out, ", \"cpu\": %s, \"config\": ", device->type == RP_DEVICE_CPU ? "true" : "false");
    rp_cli_json_string(out, o->config, strlen(o->config));
    rp_cli_printf(out, ", \"tokens\": %u, \"batch\": %u, \"repeat\": %u, \"precision\": \"f32\"",
                  (unsigned)o->tokens, (unsigned)o->batch, (unsigned)o->repeat);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        rp_cli_printf(out, ", \"%s\": ", times[i].key);
        rp_cli_json_double(out, times[i].value);
    }
    rp_cli_printf(out, ", \"device_bytes\": %llu, \"submissions\": %u}\n",
                  (unsigned long long)b->info->device_bytes, (unsigned)b->submissions);
}

static void put_people(const bench *b, rp_cli_people *p) {
    const rp_cli_options *o = b->options;
    const rp_device_info *device = rp_device_get_info(b->device);
    rp_cli_buffer *out = p->out;
    double middle = median(b->device_ms, o->repeat);
    rp_cli_people_style(p, RP_CLI_BOLD);
    rp_cli_people_text(p, device->name, strlen(device->name), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(out, device->type == RP_DEVICE_CPU ? "  (a CPU, not a GPU)\n  driver         "
                                                   : "\n  driver         ");
    rp_cli_people_text(p, device->driver, strlen(device->driver), 0);
    rp_cli_puts(out, "\n  config         ");
    rp_cli_people_text(p, o->config, strlen(o->config), 0);
    rp_cli_printf(out, ": %u layers, H %u, I %u, random weights, f32\n", (unsigned)b->info->layers,
                  (unsigned)b->info->hidden_size, (unsigned)b->info->intermediate_size);
    rp_cli_printf(out, "  input          %u sequence%s of %u tokens, %u submission%s a run, %u runs\n",
                  (unsigned)o->batch, o->batch == 1 ? "" : "s", (unsigned)o->tokens, (unsigned)b->submissions,
                  b->submissions == 1 ? "" : "s", (unsigned)o->repeat);
    rp_cli_printf(out, "  device time    median %.3f ms, min %.3f, max %.3f\n", middle, b->device_ms[0],
                  b->device_ms[o->repeat - 1]);
    rp_cli_printf(out, "  host time      median %.3f ms\n", median(b->host_ms, o->repeat));
    rp_cli_printf(out, "  speed          %.1f GFLOP/s, %.0f tokens/s\n",
                  middle > 0 ? operations(b->info, o->tokens, o->batch) / middle / 1e6 : 0,
                  middle > 0 ? 1e3 * o->tokens * o->batch / middle : 0);
    rp_cli_printf(out, "  device memory  %.1f MiB\n", (double)b->info->device_bytes / (1 << 20));
}

int rp_cli_bench(const rp_cli_options *options, rp_cli_output *out) {
    const uint64_t most = 1u << 22; /* tokens in one run */
    if ((uint64_t)options->tokens * options->batch > most) {
        rp_cli_complain("bench: --tokens times --batch is %llu, more than %llu; try 'reprise bench --help'",
                        (unsigned long long)options->tokens * options->batch, (unsigned long long)most);
        return 2;
    }
    bench b = {.options = options};
    rp_cli_people people;
    rp_error err;
    rp_cli_people_init(&people, &out->buffer, out->fd);
    rp_status status = run(&b, &err);
    if (status)
        rp_cli_complain("%s", err.message);
    else if (options->json)
        put_json(&b, &out->buffer);
    else
        put_people(&b, &people);
    rp_model_close(&b.model);
    rp_device_close(&b.device);
    free(b.ids);
    free(b.sequences);
    free(b.hidden);
    free(b.device_ms);
    free(b.host_ms);
    return status ? 1 : 0;
}
