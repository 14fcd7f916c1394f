/* Where the time goes: one run with a time stamp around each dispatch, and the start. */
#include "measure.h"

#include "model/submission.h"

#include <string.h>

#include "base/clock.h"

enum { FIXED = 64, EACH_LAYER = 32 }; /* dispatches there is room for */

typedef struct trace {
    rp_model *model;
    rp_stamps stamps;
    VkCommandBuffer *list; /* [1 + 1 + layers + 1] */
    uint64_t *values;      /* [2 * capacity] */
    float *results;
    size_t result_floats;
    rp_trace_fn each;
    void *user;
} trace;

static rp_status open_stamps(trace *t, rp_error *err) {
    rp_model *model = t->model;
    const rp_vk_table *vk = &model->device->vk;
    rp_status status = RP_OK;
    uint32_t layers = model->config.layers;
    t->stamps.capacity = FIXED + layers * model->config.inner_layers * EACH_LAYER;
    size_t queries = 2 * (size_t)t->stamps.capacity;
    t->stamps.labels = rp_new_array(const char *, t->stamps.capacity);
    t->values = rp_new_array(uint64_t, queries);
    t->list = rp_new_array(VkCommandBuffer, (size_t)layers + 3);
    t->results = rp_new_array(float, t->result_floats);
    if (!t->stamps.labels || !t->values || !t->list || !t->results)
        return rp_fail_memory(err, "a trace", t->result_floats * sizeof(float));
    VkQueryPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                  .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                  .queryCount = (uint32_t)queries};
    RP_VK(vkCreateQueryPool, (model->device->handle, &pool, NULL, &t->stamps.pool));
done:
    return status;
}

/* The whole run, each layer by itself: a command buffer that is listed twice would overwrite its stamps. */
static rp_status record(trace *t, rp_error *err) {
    rp_model *model = t->model;
    rp_recorder *recorder = &model->ops.recorder;
    VkCommandBuffer *next = t->list;
    rp_status status;
    RP_TRY(rp_record_begin(recorder, "reset", next, err));
    model->device->vk.vkCmdResetQueryPool(*next, t->stamps.pool, 0, 2 * t->stamps.capacity);
    RP_TRY(rp_record_end(recorder, *next++, err));
    recorder->stamps = &t->stamps;
    RP_TRY(rp_model_record_prologue(model, next++, err));
    for (uint32_t i = 0; i < model->config.layers; i++) {
        RP_TRY(rp_record_begin(recorder, "layer", next, err));
        RP_TRY(rp_model_record_group(model, rp_config_group(&model->config, i), 0, *next, err));
        RP_TRY(rp_record_end(recorder, *next++, err));
    }
    RP_TRY(rp_model_record_output(model, RP_OUTPUT_HIDDEN, next, err));
done:
    return status;
}

static void give(const trace *t, const char *name, bool device, double begin, double end) {
    t->each(t->user, &(rp_trace_span){name, device, begin, end - begin});
}

static rp_status run(trace *t, const rp_sequence *sequences, size_t count, double moments[4], rp_error *err) {
    rp_model *model = t->model;
    const rp_vk_table *vk = &model->device->vk;
    const rp_buffer *output = &model->activations.output;
    rp_status status;
    moments[0] = rp_seconds();
    RP_TRY(rp_model_fill(model, &(rp_batch){.sequences = sequences, .count = count}, 0, err));
    moments[1] = rp_seconds();
    RP_TRY(rp_device_submit(model->device, t->list, model->config.layers + 3, model->fence, err));
    moments[2] = rp_seconds();
    RP_TRY(rp_buffer_invalidate(model->device, output, output->size, err));
    memcpy(t->results, output->mapped, t->result_floats * sizeof(float));
    moments[3] = rp_seconds();
    RP_VK(vkGetQueryPoolResults, (model->device->handle, t->stamps.pool, 0, 2 * t->stamps.used,
                                  2 * (size_t)t->stamps.used * sizeof *t->values, t->values,
                                  sizeof *t->values, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
done:
    return status;
}

static void give_all(const trace *t, const double moments[4]) {
    static const char *const names[] = {"prepare", "submit and wait", "copy results"};
    const rp_caps *caps = &t->model->device->caps;
    uint64_t mask = caps->timestamp_bits < 64 ? (1ull << caps->timestamp_bits) - 1 : UINT64_MAX;
    double tick = caps->timestamp_period * 1e-9, submitted = moments[1] - moments[0];
    for (size_t i = 0; i < RP_COUNT(names); i++)
        give(t, names[i], false, moments[i] - moments[0], moments[i + 1] - moments[0]);
    for (uint32_t i = 0; i < t->stamps.used; i++) {
        double begin = (double)((t->values[2 * i] - t->values[0]) & mask) * tick;
        double end = (double)((t->values[2 * i + 1] - t->values[0]) & mask) * tick;
        give(t, t->stamps.labels[i], true, submitted + begin, submitted + end);
    }
}

rp_status rp_bench_trace(rp_model *model, const rp_sequence *sequences, size_t count, rp_trace_fn each,
                         void *user, rp_error *err) {
    if (!model || !sequences || !count || !each)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_bench_trace: model, sequences and each must not be NULL or 0");
    uint64_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        if (!sequences[i].count || sequences[i].count > model->config.max_positions)
            return rp_fail(err, RP_ERROR_ARGUMENT, "rp_bench_trace: sequence %zu has %u tokens", i,
                           sequences[i].count);
        for (uint32_t n = 0; n < sequences[i].count; n++)
            if (sequences[i].ids[n] < 0 || (uint32_t)sequences[i].ids[n] >= model->config.vocab_size)
                return rp_fail(err, RP_ERROR_ARGUMENT, "rp_bench_trace: sequence %zu has an id out of range",
                               i);
        tokens += sequences[i].count;
    }
    uint64_t floats = tokens * rp_padded(model->config.hidden_size);
    if (tokens > model->batch_tokens || floats > model->output_floats)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_bench_trace: %llu tokens are more than one submission takes, %u",
                       (unsigned long long)tokens, model->batch_tokens);
    if (!model->device->caps.info.timestamps)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s has no time stamps to trace a run by",
                       model->device->caps.info.name);
    trace t = {.model = model, .each = each, .user = user, .result_floats = (size_t)floats};
    double moments[4];
    rp_status status = rp_model_begin(model, err);
    if (status) return status;
    rp_recorder own = model->ops.recorder;
    model->ops.recorder = (rp_recorder){.device = model->device};
    status = open_stamps(&t, err);
    if (!status) status = record(&t, err);
    if (!status) status = run(&t, sequences, count, moments, err);
    if (!status) status = run(&t, sequences, count, moments, err); /* the first one warmed up */
    rp_recorder_finish(&model->ops.recorder);
    model->ops.recorder = own;
    RP_DESTROY(model->device, vkDestroyQueryPool, t.stamps.pool);
    rp_model_end(model, status);
    if (!status) give_all(&t, moments);
    free(t.stamps.labels);
    free(t.values);
    free(t.list);
    free(t.results);
    return status;
}

void rp_bench_start_times(const rp_model *model, rp_start_times *out) {
    if (!out) return;
    *out = model ? model->start : (rp_start_times){0};
    if (!model) return;
    out->loader = model->device->spent.loader;
    out->instance = model->device->spent.instance;
    out->choice = model->device->spent.choice;
    out->device = model->device->spent.device;
}
