/* reprise bench: the time of a run, host to host. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

typedef struct bench {
    rp_cli_bench_job *job;
    rp_model *model;
    const rp_model_info *info;
    rp_cli_batch batch;
    rp_cli_times times, padded; /* padded: no runs unless the lengths are mixed */
    rp_roofline roofline;
    rp_cli_unit unit; /* that the model's products are multiplied by, in `roofline` */
    double work;      /* floating point operations of a run */
} bench;

static bool software(const bench *b) {
    return rp_device_get_info(b->job->device)->type == RP_DEVICE_CPU;
}

static double per_second(double work, double ms) {
    return ms > 0 ? work / ms / 1e6 : 0; /* GFLOP/s */
}

static double share(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

/* Open the model with room for the sequences, and find those too long for it. */
static rp_status open_model(bench *b, const uint32_t *lengths, size_t count, rp_error *err) {
    const rp_cli_options *o = b->job->options;
    uint64_t tokens = 0, longest = 0;
    for (size_t i = 0; i < count; i++) {
        tokens += lengths[i];
        if (lengths[i] > longest) longest = lengths[i];
    }
    uint64_t most = longest * count;
    if (most > 8192 && tokens <= 8192) most = 8192; /* padding should not take memory that packing does not */
    if (most < tokens) most = tokens;
    rp_model_params params = {.max_batch_tokens = (uint32_t)most, .random_seed = 1};
    rp_status status = rp_cli_bench_open(b->job, &params, &b->model, err);
    if (status) return status;
    b->info = rp_model_get_info(b->model);
    for (size_t i = 0; i < count; i++)
        if (lengths[i] > b->info->max_tokens)
            return rp_fail(err, RP_ERROR_TEXT, "%s: length %zu is %u; %s takes at most %u tokens",
                           o->lengths ? rp_cli_bench_file(o->lengths) : "--tokens", i + 1,
                           (unsigned)lengths[i], b->info->dir, (unsigned)b->info->max_tokens);
    return RP_OK;
}

/* Time the batch and, where its lengths are mixed, the same texts padded to the longest. */
static rp_status run(bench *b, const uint32_t *lengths, size_t count, rp_error *err) {
    const rp_cli_options *o = b->job->options;
    rp_status status = open_model(b, lengths, count, err);
    if (status) return status;
    b->batch = rp_cli_bench_batch(lengths, count, b->info->vocab_size, false);
    b->work = rp_cli_operations(b->info, &b->batch);
    status = rp_cli_bench_time(b->model, &b->batch, o->repeat, &b->times, err);
    if (!status && b->batch.tokens != (uint64_t)b->batch.longest * count) {
        rp_cli_batch padded = rp_cli_bench_batch(lengths, count, b->info->vocab_size, true);
        status = rp_cli_bench_time(b->model, &padded, o->repeat, &b->padded, err);
        rp_cli_bench_batch_free(&padded);
    }
    if (!status && o->trace) status = rp_cli_bench_trace(b->job, b->model, &b->batch, err);
    rp_roofline_part unit = rp_bench_unit(b->model);
    b->unit = rp_cli_bench_unit(unit, &b->roofline);
    return status ? status : rp_bench_roofline(b->job->device, unit, &b->roofline, err);
}

static void put_json(const bench *b) {
    const rp_cli_options *o = b->job->options;
    const rp_cli_times *t = &b->times;
    rp_cli_buffer *out = &b->job->out->buffer;
    double median = rp_median(t->total_ms, t->count), speed = per_second(b->work, median);
    rp_cli_puts(out, "{");
    rp_cli_bench_json_device(b->job->device, out);
    rp_cli_bench_json_model(b->job, out);
    rp_cli_printf(out, ", \"tokens\": %u, \"batch\": %zu, \"repeat\": %u", (unsigned)b->batch.longest,
                  b->batch.count, (unsigned)o->repeat);
    rp_cli_json_key(out, "median_ms", median);
    rp_cli_json_key(out, "min_ms", t->total_ms[0]);
    rp_cli_json_key(out, "max_ms", t->total_ms[t->count - 1]);
    rp_cli_json_key(out, "gflops", speed);
    rp_cli_printf(out, ", \"unit\": \"%s\"", b->unit.key);
    rp_cli_json_key(out, "roofline_gflops", b->unit.figure->value);
    rp_cli_json_key(out, "fraction", share(speed, b->unit.figure->value));
    rp_cli_json_key(out, "host_ms", rp_median(t->host_ms, t->count));
    rp_cli_json_key(out, "device_ms", rp_median(t->device_ms, t->count));
    rp_cli_printf(out, ", \"device_bytes\": %llu, \"submissions\": %u, \"total_tokens\": %llu",
                  (unsigned long long)b->info->device_bytes, (unsigned)t->submissions,
                  (unsigned long long)b->batch.tokens);
    if (software(b)) {
        rp_cli_json_key(out, "cpu_ms", t->cpu_ms);
        rp_cli_json_key(out, "roofline_cpu_gflops", b->unit.figure->cpu_value);
        rp_cli_json_key(out, "cpu_fraction",
                        share(per_second(b->work, t->cpu_ms), b->unit.figure->cpu_value));
    }
    if (b->padded.count) {
        double padded = rp_median(b->padded.total_ms, b->padded.count);
        rp_cli_json_key(out, "padded_median_ms", padded);
        rp_cli_json_key(out, "packed_speedup", share(padded, median));
        if (software(b)) {
            rp_cli_json_key(out, "padded_cpu_ms", b->padded.cpu_ms);
            rp_cli_json_key(out, "packed_cpu_speedup", share(b->padded.cpu_ms, t->cpu_ms));
        }
    }
    rp_cli_puts(out, "}\n");
}

static void put_people(const bench *b) {
    const rp_cli_options *o = b->job->options;
    const rp_cli_times *t = &b->times;
    rp_cli_people *p = &b->job->people;
    rp_cli_buffer *out = p->out;
    double median = rp_median(t->total_ms, t->count), roofline = b->unit.figure->value;
    rp_cli_bench_heading(b->job);
    rp_cli_puts(out, "  config         ");
    rp_cli_people_text(p, b->info->dir, strlen(b->info->dir), 0);
    rp_cli_printf(out, ": %u layers, H %u, I %u, %s weights, %s\n", (unsigned)b->info->layers,
                  (unsigned)b->info->hidden_size, (unsigned)b->info->intermediate_size,
                  o->model ? "its own" : "random", rp_cli_precision_name(o->precision));
    rp_cli_printf(out, "  input          %zu sequence%s of %s%u tokens, %llu in all, %u submission%s a run\n",
                  b->batch.count, b->batch.count == 1 ? "" : "s", b->padded.count ? "up to " : "",
                  (unsigned)b->batch.longest, (unsigned long long)b->batch.tokens, (unsigned)t->submissions,
                  t->submissions == 1 ? "" : "s");
    rp_cli_printf(out, "  host to host   median %.3f ms, min %.3f, max %.3f of %zu runs\n", median,
                  t->total_ms[0], t->total_ms[t->count - 1], t->count);
    rp_cli_printf(out, "  of it          device %.3f ms, host %.3f ms\n", rp_median(t->device_ms, t->count),
                  rp_median(t->host_ms, t->count));
    rp_cli_printf(out, "  speed          %.1f GFLOP/s, %.0f tokens/s\n", per_second(b->work, median),
                  median > 0 ? 1e3 * (double)b->batch.tokens / median : 0);
    rp_cli_printf(out, "  roofline       %.1f GFLOP/s of %s; this is %.0f %% of it\n", roofline, b->unit.name,
                  100 * share(per_second(b->work, median), roofline));
    if (software(b))
        rp_cli_printf(out, "  processor time %.3f ms of all processors; by it %.0f %% of the roofline\n",
                      t->cpu_ms, 100 * share(per_second(b->work, t->cpu_ms), b->unit.figure->cpu_value));
    if (b->padded.count) {
        double padded = rp_median(b->padded.total_ms, b->padded.count);
        rp_cli_printf(out, "  padded         median %.3f ms, all %u tokens long: packed is %.2fx as fast",
                      padded, (unsigned)b->batch.longest, share(padded, median));
        if (software(b)) rp_cli_printf(out, ", by processor time %.2fx", share(b->padded.cpu_ms, t->cpu_ms));
        rp_cli_puts(out, "\n");
    }
    rp_cli_printf(out, "  device memory  %.1f MiB\n", (double)b->info->device_bytes / (1 << 20));
}

static rp_status end_to_end(rp_cli_bench_job *job, rp_error *err) {
    bench b = {.job = job};
    uint32_t *lengths = NULL;
    size_t count = 0;
    rp_status status = rp_cli_bench_lengths(job->options, &lengths, &count, err);
    if (!status) status = run(&b, lengths, count, err);
    if (!status && job->options->json) put_json(&b);
    if (!status && !job->options->json) put_people(&b);
    rp_cli_times_free(&b.times);
    rp_cli_times_free(&b.padded);
    rp_cli_bench_batch_free(&b.batch);
    rp_model_close(&b.model);
    free(lengths);
    return status;
}

/* The run, or what stands in for it. */
static rp_status measure(rp_cli_bench_job *job, rp_error *err) {
    switch (job->options->bench) {
    case RP_CLI_BENCH_ROOFLINE:
        return rp_cli_bench_roofline(job, err);
    case RP_CLI_BENCH_OPS:
        return rp_cli_bench_ops(job, err);
    case RP_CLI_BENCH_REPLAY:
        return rp_cli_bench_replay(job, err);
    case RP_CLI_BENCH_STARTUP:
        return rp_cli_bench_startup(job, err);
    case RP_CLI_BENCH_ACCURACY:
        return rp_cli_bench_accuracy(job, err);
    case RP_CLI_BENCH_TRAIN:
        return rp_cli_bench_train(job, err);
    case RP_CLI_BENCH_SERVE:
        return rp_cli_bench_serve(job, err);
    default:
        return end_to_end(job, err);
    }
}

int rp_cli_bench(const rp_cli_options *options, rp_cli_output *out) {
    uint64_t tokens = (uint64_t)options->tokens * options->batch;
    if (tokens > RP_CLI_MOST_TOKENS) {
        rp_cli_complain("bench: --tokens times --batch is %llu, more than %d; try 'reprise bench --help'",
                        (unsigned long long)tokens, RP_CLI_MOST_TOKENS);
        return 2;
    }
    rp_cli_bench_job job = {.options = options, .out = out};
    rp_error err;
    rp_cli_people_init(&job.people, &out->buffer, out->fd);
    rp_status status = rp_cli_device_open(options->device, &job.device, &err);
    if (!status) status = measure(&job, &err);
    if (status) rp_cli_complain("%s", err.message);
    rp_device_close(&job.device);
    return status ? 1 : 0;
}
