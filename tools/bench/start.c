/* bench --replay, --startup and --trace: where the time of a run and of a start goes. */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tools/cli/stop.h"

/* ---- replay ---- */

static const char *const ways[RP_REPLAY_WAYS] = {
    [RP_REPLAY_LISTED] = "listed",       [RP_REPLAY_PINGPONG] = "ping-pong",
    [RP_REPLAY_SECONDARY] = "secondary", [RP_REPLAY_SUBMITTED] = "submitted",
    [RP_REPLAY_COPIED] = "copied",       [RP_REPLAY_RECORDED] = "recorded",
};

static void put_replay(rp_cli_bench_job *job, const rp_model_info *info, rp_replay_way way, uint32_t layers,
                       const rp_replay_time *time) {
    rp_cli_buffer *out = &job->out->buffer;
    if (job->options->json) {
        rp_cli_puts(out, "{");
        rp_cli_bench_json_device(job->device, out);
        rp_cli_puts(out, ", \"config\": ");
        rp_cli_json_string(out, info->dir, strlen(info->dir));
        rp_cli_printf(out, ", \"tokens\": %u, \"way\": \"%s\", \"layers\": %u, \"distinct\": %u",
                      (unsigned)job->options->tokens, ways[way], (unsigned)layers,
                      (unsigned)(info->groups < layers ? info->groups : layers));
        rp_cli_json_key(out, "median_ms", time->median * 1e3);
        rp_cli_json_key(out, "min_ms", time->least * 1e3);
        rp_cli_json_key(out, "cpu_ms", time->cpu * 1e3);
        rp_cli_json_key(out, "record_ms", time->record * 1e3);
        rp_cli_printf(out, ", \"weight_bytes\": %llu, \"device_bytes\": %llu}\n",
                      (unsigned long long)time->weights, (unsigned long long)info->device_bytes);
    } else {
        rp_cli_printf(out, "  %-10s %4u %9u %12.3f %12.3f %12.3f %12.3f %11.1f\n", ways[way],
                      (unsigned)layers, (unsigned)(info->groups < layers ? info->groups : layers),
                      time->median * 1e3, time->least * 1e3, time->cpu * 1e3, time->record * 1e3,
                      (double)time->weights / (1 << 20));
    }
    rp_cli_flush(job->out);
}

/* Every way at every N with one distinct layer; or the one that models use with `groups` distinct ones. */
static rp_status replay_model(rp_cli_bench_job *job, uint32_t groups, uint32_t *layers, rp_error *err) {
    const rp_cli_options *o = job->options;
    const rp_model_params params = {
        .max_batch_tokens = o->tokens, .random_seed = 1, .random_groups = groups, .precision = o->precision};
    rp_model *model = NULL;
    rp_cli_stop_device(job->device);
    rp_status status = rp_model_open_random(job->device, o->config, &params, &model, err);
    rp_cli_stop_device(NULL);
    if (status) return status;
    const rp_model_info *info = rp_model_get_info(model);
    const uint32_t counts[] = {1, 2, 4, info->layers / 2, info->layers, 2 * info->layers};
    *layers = info->layers;
    for (size_t n = 0; !status && n < sizeof counts / sizeof *counts; n++)
        for (int way = 0; !status && way < (groups ? 1 : RP_REPLAY_WAYS); way++) {
            if (!counts[n] || counts[n] > 2 * info->layers || (n && counts[n] <= counts[n - 1])) continue;
            rp_replay_time time;
            status = rp_bench_replay(model, (rp_replay_way)way, counts[n], o->tokens, o->repeat, &time, err);
            if (!status) put_replay(job, info, (rp_replay_way)way, counts[n], &time);
        }
    rp_model_close(&model);
    return status;
}

rp_status rp_cli_bench_replay(rp_cli_bench_job *job, rp_error *err) {
    uint32_t layers = 0;
    if (!job->options->json) {
        rp_cli_bench_heading(job);
        rp_cli_printf(&job->out->buffer, "  %-10s %4s %9s %12s %12s %12s %12s %11s\n", "way", "N", "distinct",
                      "median ms", "least ms", "processor ms", "to record ms", "weights MiB");
    }
    rp_status status = replay_model(job, 0, &layers, err);
    return status || layers < 2 ? status : replay_model(job, layers, &layers, err);
}

/* ---- start ---- */

rp_status rp_cli_bench_startup(rp_cli_bench_job *job, rp_error *err) {
    const rp_cli_options *o = job->options;
    rp_model_params params = {.random_seed = 1};
    rp_model *model = NULL;
    rp_cli_times times = {0};
    rp_status status = rp_cli_bench_open(job, &params, &model, err);
    if (status) return status;
    uint32_t tokens = o->tokens, most = rp_model_get_info(model)->max_tokens;
    if (tokens > most) tokens = most;
    rp_cli_batch batch = rp_cli_bench_batch(&tokens, 1, rp_model_get_info(model)->vocab_size, false);
    rp_start_times s;
    rp_bench_start_times(model, &s);
    float *hidden = rp_cli_calloc((size_t)tokens * rp_model_get_info(model)->hidden_size, sizeof *hidden);
    double begun = rp_seconds();
    status = rp_model_run(model, batch.sequences, 1, NULL, hidden,
                          (size_t)tokens * rp_model_get_info(model)->hidden_size, NULL, err);
    double first = rp_seconds() - begun;
    if (!status) status = rp_cli_bench_time(model, &batch, 3, &times, err);
    if (!status) {
        const struct {
            const char *key, *name;
            double seconds;
        } parts[] = {
            {"loader_ms", "Vulkan loader", s.loader},
            {"instance_ms", "instance", s.instance},
            {"choice_ms", "asking devices", s.choice},
            {"device_ms", "device", s.device},
            {"files_ms", "files", s.files},
            {"upload_ms", "upload", s.upload},
            {"pipelines_ms", "pipelines", s.pipelines},
            {"tuning_ms", "tuning", s.tuning},
            {"recording_ms", "recording", s.recording},
            {"first_run_ms", "first run", first},
            {"later_run_ms", "a later run", times.total_ms[0] * 1e-3},
        };
        const size_t count = sizeof parts / sizeof *parts;
        rp_cli_buffer *out = &job->out->buffer;
        double total = 0, driver = s.loader + s.instance + s.choice + s.device;
        for (size_t i = 0; i + 1 < count; i++) total += parts[i].seconds;
        if (o->json) {
            rp_cli_puts(out, "{");
            rp_cli_bench_json_device(job->device, out);
            rp_cli_bench_json_model(job, out);
            rp_cli_printf(out, ", \"tokens\": %u", (unsigned)tokens);
            for (size_t i = 0; i < count; i++) rp_cli_json_key(out, parts[i].key, parts[i].seconds * 1e3);
            rp_cli_json_key(out, "total_ms", total * 1e3);
            rp_cli_json_key(out, "above_device_ms", (total - driver) * 1e3);
            rp_cli_puts(out, "}\n");
        } else {
            rp_cli_bench_heading(job);
            for (size_t i = 0; i < count; i++)
                rp_cli_printf(out, "  %-14s %10.3f ms\n", parts[i].name, parts[i].seconds * 1e3);
            rp_cli_printf(out,
                          "  %-14s %10.3f ms, the first run included; %.3f ms of it with an open device\n",
                          "in all", total * 1e3, (total - driver) * 1e3);
        }
    }
    free(hidden);
    rp_cli_times_free(&times);
    rp_cli_bench_batch_free(&batch);
    rp_model_close(&model);
    return status;
}

/* ---- trace ---- */

static void put_span(void *user, const rp_trace_span *span) {
    rp_cli_buffer *out = user;
    rp_cli_puts(out, ",\n{\"ph\": \"X\", \"pid\": 1, \"cat\": ");
    rp_cli_puts(out,
                span->device ? "\"device\", \"tid\": 2, \"name\": " : "\"host\", \"tid\": 1, \"name\": ");
    rp_cli_json_string(out, span->name, strlen(span->name));
    rp_cli_json_key(out, "ts", span->begin * 1e6);
    rp_cli_json_key(out, "dur", span->duration * 1e6);
    rp_cli_puts(out, "}");
}

rp_status rp_cli_bench_trace(rp_cli_bench_job *job, rp_model *model, const rp_cli_batch *batch,
                             rp_error *err) {
    const rp_device_info *info = rp_device_get_info(job->device);
    const char *path = job->options->trace;
    rp_cli_buffer out = {0};
    rp_cli_puts(
        &out, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n"
              "{\"ph\": \"M\", \"pid\": 1, \"name\": \"process_name\", \"args\": {\"name\": \"reprise\"}},\n"
              "{\"ph\": \"M\", \"pid\": 1, \"tid\": 1, \"name\": \"thread_name\", \"args\": {\"name\": "
              "\"host\"}},\n{\"ph\": \"M\", \"pid\": 1, \"tid\": 2, \"name\": \"thread_name\", "
              "\"args\": {\"name\": ");
    rp_cli_json_string(&out, info->name, strlen(info->name));
    rp_cli_puts(&out, "}}");
    rp_status status = rp_bench_trace(model, batch->sequences, batch->count, put_span, &out, err);
    rp_cli_puts(&out, "\n]}\n");
    FILE *file = status ? NULL : fopen(path, "w");
    if (!status && (!file || fwrite(out.data, 1, out.size, file) != out.size))
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s", path, strerror(errno));
    if (file && fclose(file) && !status)
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s", path, strerror(errno));
    free(out.data);
    return status;
}
