/* The sequences that bench runs, and timing them. */
#include "bench.h"

#include <stdlib.h>

#include "base/clock.h"

rp_cli_batch rp_cli_bench_batch(const uint32_t *lengths, size_t count, uint32_t vocab_size, bool padded) {
    rp_cli_batch batch = {.count = count};
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++)
        if (lengths[i] > batch.longest) batch.longest = lengths[i];
    for (size_t i = 0; i < count; i++) {
        uint64_t length = padded ? batch.longest : lengths[i];
        batch.tokens += length;
        batch.squares += length * length;
    }
    batch.ids = rp_cli_calloc(batch.tokens, sizeof *batch.ids);
    batch.sequences = rp_cli_calloc(count, sizeof *batch.sequences);
    for (uint64_t i = 0; i < batch.tokens; i++) {
        state = state * 1664525u + 1013904223u;
        batch.ids[i] = (int32_t)((state >> 8) % vocab_size);
    }
    int32_t *next = batch.ids;
    for (size_t i = 0; i < count; i++) {
        batch.sequences[i] = (rp_sequence){.ids = next, .count = padded ? batch.longest : lengths[i]};
        next += batch.sequences[i].count;
    }
    return batch;
}

void rp_cli_bench_batch_free(rp_cli_batch *batch) {
    free(batch->ids);
    free(batch->sequences);
    *batch = (rp_cli_batch){0};
}

/* ---- timing ---- */

double rp_cli_operations(const rp_model_info *info, const rp_cli_batch *batch) {
    double t = (double)batch->tokens, h = info->hidden_size;
    double layer = 8 * t * h * h + 4 * t * h * info->intermediate_size + 4 * h * (double)batch->squares;
    double mapping = info->embedding_size != info->hidden_size ? 2 * t * info->embedding_size * h : 0;
    return (double)info->layers * info->inner_layers * layer + mapping;
}

rp_status rp_cli_bench_time(rp_model *model, const rp_cli_batch *batch, size_t repeat, rp_cli_times *out,
                            rp_error *err) {
    const rp_run_params params = {.output = RP_OUTPUT_HIDDEN};
    size_t size = rp_model_output_size(model, batch->sequences, batch->count, &params);
    float *hidden = rp_cli_calloc(size, sizeof *hidden);
    *out = (rp_cli_times){.count = repeat};
    out->total_ms = rp_cli_calloc(repeat, sizeof(double));
    out->host_ms = rp_cli_calloc(repeat, sizeof(double));
    out->device_ms = rp_cli_calloc(repeat, sizeof(double));
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i <= repeat; i++) { /* the first one warms up */
        rp_run_times times = {0};
        double worked = rp_cpu_seconds(), started = rp_seconds();
        status = rp_model_run(model, batch->sequences, batch->count, &params, hidden, size, &times, err);
        double total = rp_seconds() - started;
        worked = (rp_cpu_seconds() - worked) * 1e3;
        if (!i) continue;
        out->total_ms[i - 1] = total * 1e3;
        out->host_ms[i - 1] = (total - times.device) * 1e3;
        out->device_ms[i - 1] = times.device * 1e3;
        if (i == 1 || worked < out->cpu_ms) out->cpu_ms = worked;
        out->submissions = times.submissions;
    }
    qsort(out->total_ms, repeat, sizeof(double), rp_compare_doubles);
    qsort(out->host_ms, repeat, sizeof(double), rp_compare_doubles);
    qsort(out->device_ms, repeat, sizeof(double), rp_compare_doubles);
    free(hidden);
    return status;
}

void rp_cli_times_free(rp_cli_times *times) {
    free(times->total_ms);
    free(times->host_ms);
    free(times->device_ms);
    *times = (rp_cli_times){0};
}
