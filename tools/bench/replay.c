/* Timing the ways to run one recorded layer many times. */
#include "measure.h"

#include "model/submission.h"

#include <math.h>

#include "base/clock.h"

typedef struct replay {
    rp_model *model;
    rp_replay_way way;
    uint32_t layers;
    VkCommandBuffer *list;    /* [layers + 2] */
    VkCommandBuffer *buffers; /* [groups] */
    uint32_t count;           /* of list */
} replay;

/* One for each group that is used: primary, or secondary to be executed several times. */
static rp_status record_groups(replay *r, bool secondary, rp_error *err) {
    rp_model *model = r->model;
    rp_recorder *recorder = &model->ops.recorder;
    const rp_vk_table *vk = &model->device->vk;
    rp_status status = RP_OK;
    for (uint32_t g = 0; g < model->config.groups && g < r->layers; g++) {
        VkCommandBuffer *commands = &r->buffers[g];
        if (secondary) {
            VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                    .commandPool = recorder->commands,
                                                    .level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
                                                    .commandBufferCount = 1};
            VkCommandBufferInheritanceInfo parent = {.sType =
                                                         VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
            VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                              .flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT,
                                              .pInheritanceInfo = &parent};
            RP_VK(vkAllocateCommandBuffers, (model->device->handle, &allocate, commands));
            RP_VK(vkBeginCommandBuffer, (*commands, &begin));
            rp_record_barrier(recorder, *commands);
        } else {
            RP_TRY(rp_record_begin(recorder, "layer", commands, err));
        }
        RP_TRY(rp_model_record_group(model, g, 0, *commands, err));
        RP_TRY(rp_record_end(recorder, *commands, err));
    }
done:
    return status;
}

/* Every layer in one command buffer. */
static rp_status record_all(replay *r, VkCommandBuffer *out, rp_error *err) {
    rp_model *model = r->model;
    rp_recorder *recorder = &model->ops.recorder;
    const rp_vk_table *vk = &model->device->vk;
    rp_status status;
    RP_TRY(rp_record_begin(recorder, "layers", out, err));
    for (uint32_t i = 0; i < r->layers; i++) {
        uint32_t group = i % model->config.groups;
        if (r->way == RP_REPLAY_SECONDARY) {
            vk->vkCmdExecuteCommands(*out, 1, &r->buffers[group]);
            continue;
        }
        if (i) rp_record_barrier(recorder, *out);
        RP_TRY(rp_model_record_group(model, group, 0, *out, err));
    }
    RP_TRY(rp_record_end(recorder, *out, err));
done:
    return status;
}

static rp_status record(replay *r, rp_error *err) {
    rp_model *model = r->model;
    bool by_layer =
        r->way == RP_REPLAY_LISTED || r->way == RP_REPLAY_PINGPONG || r->way == RP_REPLAY_SUBMITTED;
    rp_status status;
    r->count = 0;
    RP_TRY(rp_model_record_prologue(model, &r->list[r->count++], err));
    if (by_layer || r->way == RP_REPLAY_SECONDARY)
        RP_TRY(record_groups(r, r->way == RP_REPLAY_SECONDARY, err));
    if (by_layer)
        for (uint32_t i = 0; i < r->layers; i++) r->list[r->count++] = r->buffers[i % model->config.groups];
    else
        RP_TRY(record_all(r, &r->list[r->count++], err));
    RP_TRY(rp_model_record_output(model, RP_OUTPUT_HIDDEN, &r->list[r->count++], err));
done:
    return status;
}

/* Each command buffer in a submission of its own; waits for the last. */
static rp_status submit_each(replay *r, rp_error *err) {
    rp_device *device = r->model->device;
    VkResult result = VK_SUCCESS;
    pthread_mutex_lock(&device->queue_lock);
    for (uint32_t i = 0; result == VK_SUCCESS && i + 1 < r->count; i++) {
        VkSubmitInfo info = {
            .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &r->list[i]};
        result = device->vk.vkQueueSubmit(device->queue, 1, &info, VK_NULL_HANDLE);
    }
    pthread_mutex_unlock(&device->queue_lock);
    rp_status status = rp_vk_check(result, "vkQueueSubmit", err);
    if (!status) status = rp_device_submit(device, &r->list[r->count - 1], 1, r->model->fence, err);
    if (status) rp_device_wait_idle(device); /* what was submitted must end before its command buffers do */
    return status;
}

static rp_status run_once(replay *r, rp_error *err) {
    rp_model *model = r->model;
    rp_status status = RP_OK;
    if (r->way == RP_REPLAY_RECORDED) {
        rp_recorder_finish(&model->ops.recorder);
        model->ops.recorder = (rp_recorder){.device = model->device};
        status = record(r, err);
    }
    if (status) return status;
    if (r->way == RP_REPLAY_SUBMITTED) return submit_each(r, err);
    return rp_device_submit(model->device, r->list, r->count, model->fence, err);
}

static rp_status time_all(replay *r, double *times, uint32_t repeat, rp_replay_time *out, rp_error *err) {
    double begun = rp_seconds();
    rp_status status = record(r, err);
    out->record = rp_seconds() - begun;
    out->cpu = INFINITY;
    for (uint32_t i = 0; !status && i <= repeat; i++) { /* the first one warms up */
        double worked = rp_cpu_seconds();
        begun = rp_seconds();
        status = run_once(r, err);
        double seconds = rp_seconds() - begun;
        worked = rp_cpu_seconds() - worked;
        if (!i) continue;
        times[i - 1] = seconds;
        if (worked < out->cpu) out->cpu = worked;
    }
    if (status) return status;
    qsort(times, repeat, sizeof *times, rp_compare_doubles);
    out->least = times[0];
    out->median = rp_median(times, repeat);
    return RP_OK;
}

/* The ids do not matter to the time: each is its own place. */
static rp_status fill(rp_model *model, uint32_t tokens, rp_error *err) {
    int32_t *ids = rp_new_array(int32_t, tokens);
    if (!ids) return rp_fail_memory(err, "token ids", tokens * sizeof *ids);
    for (uint32_t i = 0; i < tokens; i++) ids[i] = (int32_t)(i % model->config.vocab_size);
    rp_status status = rp_model_fill(
        model, &(rp_batch){.sequences = &(rp_sequence){.ids = ids, .count = tokens}, .count = 1}, 0, err);
    free(ids);
    return status;
}

static uint64_t bytes_of(const rp_matrix *matrix) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < matrix->chunk_count; i++) bytes += matrix->chunks[i].range.size;
    return bytes;
}

/* Of the layers that are run, each once. */
static uint64_t weights_read(const replay *r) {
    const rp_config *config = &r->model->config;
    uint32_t groups = config->groups < r->layers ? config->groups : r->layers;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < groups * config->inner_layers; i++) {
        const rp_device_layer *layer = &r->model->on_device.layers[i];
        bytes += bytes_of(&layer->qkv) + bytes_of(&layer->dense) + bytes_of(&layer->ffn) +
                 bytes_of(&layer->ffn_output);
    }
    return bytes;
}

/* As time_all, with recordings that go when it was timed. */
static rp_status time_apart(replay *r, double *times, uint32_t repeat, rp_replay_time *out, rp_error *err) {
    rp_model *model = r->model;
    rp_recorder own = model->ops.recorder;
    rp_buffer apart = {0};
    rp_status status = RP_OK;
    model->ops.recorder = (rp_recorder){.device = model->device};
    if (r->way == RP_REPLAY_PINGPONG) {
        status = rp_buffer_create(model->device, rp_model_hidden_bytes(model), RP_MEMORY_DEVICE, "ping-pong",
                                  &apart, err);
        model->activations.apart = rp_buffer_range(&apart, 0, apart.size);
    }
    if (!status) status = time_all(r, times, repeat, out, err);
    out->weights = weights_read(r);
    rp_recorder_finish(&model->ops.recorder);
    model->ops.recorder = own;
    model->activations.apart = (rp_range){0};
    rp_buffer_destroy(model->device, &apart);
    return status;
}

rp_status rp_bench_replay(rp_model *model, rp_replay_way way, uint32_t layers, uint32_t tokens,
                          uint32_t repeat, rp_replay_time *out, rp_error *err) {
    if (!model || !out || (unsigned)way >= RP_REPLAY_WAYS || !layers || !repeat || !tokens ||
        tokens > model->config.max_positions)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_bench_replay: needs a model, a way, layers, repeats and as many tokens as the "
                       "model takes");
    replay r = {.model = model, .way = way, .layers = layers};
    double *times = rp_new_array(double, repeat);
    *out = (rp_replay_time){0};
    r.list = rp_new_array(VkCommandBuffer, (size_t)layers + 2);
    r.buffers = rp_new_array(VkCommandBuffer, model->config.groups);
    rp_status status = RP_OK;
    if (!times || !r.list || !r.buffers)
        status = rp_fail_memory(err, "command buffers", layers * sizeof *r.list);
    if (!status) status = rp_model_begin(model, err);
    if (!status) {
        status = fill(model, tokens, err);
        if (!status) status = time_apart(&r, times, repeat, out, err);
        rp_model_end(model, status);
    }
    free(times);
    free(r.list);
    free(r.buffers);
    return status;
}
