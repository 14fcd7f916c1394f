/* Command buffers of a trainer: described, chosen for, and recorded, once. */
#include "ops/class.h"
#include "ops/selection.h"
#include "train/trainer.h"

/* Select a kernel for each operator, and record them one after the other. */
static rp_status record(rp_trainer *t, rp_train_list *list, VkCommandBuffer commands, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < list->count; i++) {
        rp_op *op = &list->ops[i];
        if (i && !(list->beside >> i & 1)) rp_record_barrier(&t->ops.recorder, commands);
        status = rp_op_select(&t->ops, op, err);
        if (op->class == &rp_class_attention) t->queries = op->kernel.rows;
        if (op->class == &rp_class_attention_grad) t->tiles = op->kernel.rows;
        if (!status) status = rp_op_record((rp_op_target){&t->ops, commands}, op, err);
    }
    return status;
}

/* All inner layers of a group; backwards from the last one on. */
static rp_status record_group(rp_trainer *t, uint32_t group, bool back, VkCommandBuffer *out, rp_error *err) {
    uint32_t inner = t->model->config.inner_layers;
    rp_recorder *recorder = &t->ops.recorder;
    rp_train_list list = {.count = 0};
    rp_status status;
    RP_TRY(rp_record_begin(recorder, back ? "layer backwards" : "layer", out, err));
    for (uint32_t n = 0; n < inner; n++) {
        uint32_t layer = group * inner + (back ? inner - 1 - n : n);
        if (n) rp_record_barrier(recorder, *out);
        (back ? rp_train_describe_backward : rp_train_describe_forward)(t, layer, &list);
        RP_TRY(record(t, &list, *out, err));
    }
    status = rp_record_end(recorder, *out, err);
done:
    return status;
}

static rp_status record_alone(rp_trainer *t, void (*describe)(const rp_trainer *, rp_train_list *),
                              const char *name, VkCommandBuffer *out, rp_error *err) {
    rp_recorder *recorder = &t->ops.recorder;
    rp_train_list list = {.count = 0};
    rp_status status;
    describe(t, &list);
    RP_TRY(rp_record_begin(recorder, name, out, err));
    RP_TRY(record(t, &list, *out, err));
    rp_record_host_barrier(recorder, *out);
    status = rp_record_end(recorder, *out, err);
done:
    return status;
}

/* ---- the update ---- */

static rp_range sums_of(const rp_trainer *t, const rp_window *w) {
    return rp_buffer_range(&t->output, t->out.sums + 4ull * w->first_sum, 4ull * w->block_count);
}

static rp_range total(const rp_trainer *t) {
    return rp_buffer_range(&t->output, t->out.total, 16);
}

/* The square of the norm of a window's gradient, block by block. */
static rp_status record_squares(rp_trainer *t, const rp_window *w, VkCommandBuffer commands, rp_error *err) {
    rp_train_list list = {.count = 0};
    rp_op *op = rp_train_next(&list, &rp_class_reduce, "gradient norm", RP_COUNT_TOKENS);
    op->variant = RP_REDUCE_SQUARES;
    op->x = w->gradient;
    op->list = w->blocks;
    op->fixed = w->block_count;
    op->out = sums_of(t, w);
    return record(t, &list, commands, err);
}

static rp_status record_total(rp_trainer *t, rp_range out, VkCommandBuffer commands, rp_error *err) {
    rp_train_list list = {.count = 0};
    rp_op *op = rp_train_next(&list, &rp_class_reduce, "gradient norm", RP_COUNT_TOKENS);
    op->variant = RP_REDUCE_SEGMENTS;
    op->width = op->fixed = 1;
    op->x = rp_buffer_range(&t->output, t->out.sums, 4ull * t->sum_count);
    op->list = t->sum_segments;
    op->out = out;
    return record(t, &list, commands, err);
}

/* One dispatch for each window. */
static rp_status record_window(rp_trainer *t, rp_update_variant variant, const rp_window *w, rp_range sums,
                               VkCommandBuffer commands, rp_error *err) {
    rp_train_list list = {.count = 0};
    rp_op *op = rp_train_next(&list, &rp_class_update, variant ? "LAMB" : "AdamW", RP_COUNT_TOKENS);
    op->variant = variant;
    op->x = w->weights;
    op->dy = w->gradient;
    op->moments[0] = w->moments[0];
    op->moments[1] = w->moments[1];
    op->list = w->blocks;
    op->fixed = w->block_count;
    op->state = rp_train_state_range(t);
    op->out = sums;
    return record(t, &list, commands, err);
}

static rp_status record_windows(rp_trainer *t, rp_update_variant variant, rp_range sums,
                                VkCommandBuffer commands, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < t->window_count; i++)
        status = record_window(t, variant, &t->windows[i], sums, commands, err);
    rp_record_barrier(&t->ops.recorder, commands);
    return status;
}

/* The squares of both norms of each tensor. */
static rp_status record_ratios(rp_trainer *t, VkCommandBuffer commands, rp_error *err) {
    rp_train_list list = {.count = 0};
    rp_op *op = rp_train_next(&list, &rp_class_reduce, "norms of tensors", RP_COUNT_TOKENS);
    op->variant = RP_REDUCE_SEGMENTS;
    op->width = 2;
    op->fixed = t->tensor_count;
    op->x_stride = 4; /* the total */
    op->x = t->lamb_sums;
    op->list = t->tensor_segments;
    op->out = t->lamb_ratios;
    rp_status status = record(t, &list, commands, err);
    rp_record_barrier(&t->ops.recorder, commands);
    return status;
}

/* The total is known to the host; LAMB has it before the sums of the blocks, too. */
static rp_status record_optimizer(rp_trainer *t, VkCommandBuffer commands, rp_error *err) {
    bool lamb = t->params.optimizer == RP_OPTIMIZER_LAMB;
    rp_range first = t->lamb_sums;
    rp_status status;
    RP_TRY(record_total(t, total(t), commands, err));
    if (lamb) {
        first.room += first.size - 16;
        first.size = 16;
        RP_TRY(record_total(t, first, commands, err));
    }
    rp_record_barrier(&t->ops.recorder, commands);
    if (!lamb) return record_windows(t, RP_UPDATE_ADAMW, total(t), commands, err);
    RP_TRY(record_windows(t, RP_UPDATE_LAMB_MOMENTS, t->lamb_sums, commands, err));
    RP_TRY(record_ratios(t, commands, err));
    status = record_windows(t, RP_UPDATE_LAMB_APPLY, t->lamb_ratios, commands, err);
done:
    return status;
}

/* Of every matrix, its transpose, and itself in float16. */
typedef struct turning {
    rp_trainer *trainer;
    VkCommandBuffer commands;
    rp_status status;
    rp_error *err;
} turning;

static void record_turned(void *user, const rp_matrix *matrix, const rp_matrix *turned, bool copy) {
    turning *all = user;
    rp_train_list list = {.count = 0};
    rp_op *op = rp_train_next(&list, &rp_class_transpose, copy ? "to float16" : "transpose", RP_COUNT_TOKENS);
    op->variant = copy ? RP_TRANSPOSE_COPY : RP_TRANSPOSE_TURN;
    op->halves = turned->format == RP_FORMAT_F16 ? RP_HALF_OUT : 0;
    op->w[0] = matrix;
    op->w[1] = turned;
    if (!all->status) all->status = record(all->trainer, &list, all->commands, all->err);
}

static rp_status record_all_turned(rp_trainer *t, VkCommandBuffer commands, rp_error *err) {
    turning all = {.trainer = t, .commands = commands, .err = err};
    rp_train_each_turned(t, record_turned, &all);
    return all.status;
}

static rp_status record_update(rp_trainer *t, rp_error *err) {
    rp_recorder *recorder = &t->ops.recorder;
    VkCommandBuffer *out = &t->update;
    rp_status status;
    RP_TRY(rp_record_begin(recorder, "update", out, err));
    for (uint32_t i = 0; i < t->window_count; i++) RP_TRY(record_squares(t, &t->windows[i], *out, err));
    rp_record_barrier(recorder, *out);
    RP_TRY(record_optimizer(t, *out, err));
    RP_TRY(record_all_turned(t, *out, err));
    rp_record_host_barrier(recorder, *out);
    status = rp_record_end(recorder, *out, err);
done:
    return status;
}

rp_status rp_train_turn(rp_trainer *t, rp_error *err) {
    VkCommandBuffer commands;
    rp_status status;
    RP_TRY(rp_record_begin(&t->ops.recorder, "transpose", &commands, err));
    RP_TRY(record_all_turned(t, commands, err));
    RP_TRY(rp_record_end(&t->ops.recorder, commands, err));
    uint32_t counts[RP_ALL_COUNTS] = {0};
    rp_ops_write_grids(&t->ops, counts,
                       (VkDispatchIndirectCommand *)((char *)t->input.mapped + t->at.indirect));
    RP_TRY(rp_buffer_flush(t->device, &t->input, t->at.size, err));
    status = rp_device_submit(t->device, &commands, 1, t->fence, err);
done:
    return status;
}

/* The head on what each layer but the last one makes. */
static rp_status record_exits(rp_trainer *t, rp_error *err) {
    uint32_t count = rp_train_exits(t);
    rp_status status = RP_OK;
    if (!count) return RP_OK;
    t->exits = rp_new_array(VkCommandBuffer, count);
    if (!t->exits) return rp_fail_memory(err, "command buffers", count * sizeof *t->exits);
    for (t->exit = 1; !status && t->exit <= count; t->exit++)
        status = record_alone(t, rp_train_describe_head, "internal classifier", &t->exits[t->exit - 1], err);
    t->exit = 0;
    return status;
}

/* ---- all of it ---- */

rp_status rp_train_record(rp_trainer *t, rp_error *err) {
    const rp_vk_table *vk = &t->device->vk;
    const rp_config *config = &t->model->config;
    uint32_t groups = config->groups, most = 3 * config->layers + 6;
    rp_status status = RP_OK;
    rp_ops_init(&t->ops, t->device, rp_train_input(t, t->at.counts, RP_ALL_COUNTS * 4),
                rp_train_input(t, t->at.indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)));
    t->forward = rp_new_array(VkCommandBuffer, groups);
    t->backward = rp_new_array(VkCommandBuffer, groups);
    t->steps = rp_new_array(rp_step, most);
    t->submitted = rp_new_array(VkCommandBuffer, most);
    if (!t->forward || !t->backward || !t->steps || !t->submitted)
        return rp_fail_memory(err, "command buffers", (2ull * groups + 3ull * most) * sizeof *t->forward);
    RP_TRY(record_alone(t, rp_train_describe_prologue, "training prologue", &t->prologue, err));
    for (uint32_t i = 0; i < groups; i++) {
        RP_TRY(record_group(t, i, false, &t->forward[i], err));
        if (t->params.freeze != RP_FREEZE_ENCODER) RP_TRY(record_group(t, i, true, &t->backward[i], err));
    }
    RP_TRY(record_alone(t, t->params.vectors ? rp_train_describe_vectors : rp_train_describe_head,
                        "training head", &t->head_commands, err));
    RP_TRY(record_exits(t, err));
    if (t->params.vectors) {
        RP_TRY(record_alone(t, rp_train_describe_vectors_loss, "loss of vectors", &t->vectors_loss, err));
        RP_TRY(record_alone(t, rp_train_describe_vectors_back, "vectors backwards", &t->vectors_back, err));
    }
    if (t->params.freeze != RP_FREEZE_ENCODER)
        RP_TRY(record_alone(t, rp_train_describe_epilogue, "training epilogue", &t->epilogue, err));
    RP_TRY(record_update(t, err));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (t->device->handle, &fence, NULL, &t->fence));
    status = rp_train_turn(t, err);
done:
    return status;
}

void rp_train_drop_recordings(rp_trainer *t) {
    RP_DESTROY(t->device, vkDestroyFence, t->fence);
    t->fence = VK_NULL_HANDLE;
    rp_ops_finish(&t->ops);
    free(t->forward);
    free(t->backward);
    free(t->exits);
    free(t->steps);
    free(t->submitted);
    t->forward = t->backward = t->exits = t->submitted = NULL;
    t->steps = NULL;
}
