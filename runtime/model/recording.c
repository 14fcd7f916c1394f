/* The operators of a model: kernels are selected for them, and they are recorded in command buffers, once. */
#include "model/describe.h"
#include "model/exits.h"

#include <string.h>

#include "ops/selection.h"

/* ---- selecting ---- */

rp_status rp_model_select_list(rp_model *model, rp_op_list *list, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < list->count; i++) {
        status = rp_op_select(&model->ops, &list->ops[i], err);
        if (!status) status = rp_pipeline_note(model->ops.pipelines, &list->ops[i].kernel.key, err);
    }
    return status;
}

/* Number `i` of model->on_device.layers. */
static void describe_layer(const rp_model *model, uint32_t i, uint32_t most_rows, rp_op_list *out) {
    rp_layer_buffers at = rp_model_layer_buffers(model);
    rp_describe_layer(&model->config, model->half, &model->on_device.layers[i], &at, most_rows, out);
}

/* Select the kernels of all layers for one width, and note its tallest tile. `*differs`: they are not those
 * for many tokens. */
static rp_status select_width(rp_model *model, rp_width *width, bool *differs, rp_error *err) {
    rp_status status = RP_OK;
    *differs = false;
    width->tile = 1;
    for (uint32_t i = 0; !status && i < model->on_device.layer_count; i++) {
        rp_op_list many, list;
        describe_layer(model, i, 0, &many);
        RP_TRY(rp_model_select_list(model, &many, err));
        model->queries = many.ops[RP_PART_ATTENTION].kernel.rows;
        describe_layer(model, i, width->rows, &list);
        RP_TRY(rp_model_select_list(model, &list, err));
        for (uint32_t n = 0; n < list.count; n++) {
            const rp_kernel *kernel = &list.ops[n].kernel;
            *differs |= strcmp(kernel->name, many.ops[n].kernel.name) != 0;
            if (n != RP_PART_ATTENTION && kernel->rows > width->tile) width->tile = kernel->rows;
        }
    }
done:
    return status;
}

/* For many tokens, and for some smaller numbers; not for those for which the same kernels are the fastest. */
static rp_status select_for_layers(rp_model *model, rp_error *err) {
    const rp_caps *caps = &model->device->caps;
    uint32_t rows[1 + RP_ROW_CLASSES] = {0}, count = 1 + rp_row_classes(caps, rows + 1);
    rp_widths *widths = &model->widths;
    rp_status status = RP_OK;
    *widths = (rp_widths){.by_tiles = caps->info.type == RP_DEVICE_CPU};
    for (uint32_t i = 0; !status && i < count; i++) {
        bool differs;
        rp_width *width = &widths->list[widths->count];
        width->rows = rows[i];
        status = select_width(model, width, &differs, err);
        widths->count += differs || !i;
    }
    return status;
}

/* A kernel for every operator, and every pipeline. Drivers take their time over one, and are asked for all at
 * once. */
static rp_status select_all(rp_model *model, rp_error *err) {
    rp_op_list list;
    rp_status status;
    rp_describe_prologue(model, &list);
    RP_TRY(rp_model_select_list(model, &list, err));
    RP_TRY(select_for_layers(model, err));
    for (int output = 0; output < RP_OUTPUT_COUNT; output++) {
        if (!rp_output_available(model, (rp_output)output)) continue;
        rp_describe_output(model, (rp_output)output, &list);
        RP_TRY(rp_model_select_list(model, &list, err));
    }
    if (rp_exits_width(model)) {
        rp_describe_exits(model, &list);
        RP_TRY(rp_model_select_list(model, &list, err));
    }
    status = rp_pipeline_make(model->ops.pipelines, err);
done:
    return status;
}

/* ---- recording ---- */

/* By the kernels that were selected. */
static rp_status record(rp_model *model, rp_op_list *list, VkCommandBuffer commands, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < list->count; i++) {
        rp_op *op = &list->ops[i];
        if (i) rp_record_barrier(&model->ops.recorder, commands);
        status = rp_op_recall(&model->ops, op, err);
        if (!status) status = rp_op_record((rp_op_target){&model->ops, commands}, op, err);
    }
    return status;
}

rp_status rp_model_record_list(rp_model *model, rp_op_list *list, const char *name, bool last,
                               VkCommandBuffer *out, rp_error *err) {
    rp_recorder *recorder = &model->ops.recorder;
    rp_status status;
    RP_TRY(rp_record_begin(recorder, name, out, err));
    RP_TRY(record(model, list, *out, err));
    if (last) rp_record_host_barrier(recorder, *out);
    RP_TRY(rp_record_end(recorder, *out, err));
done:
    return status;
}

rp_status rp_model_record_prologue(rp_model *model, VkCommandBuffer *out, rp_error *err) {
    rp_op_list list;
    rp_describe_prologue(model, &list);
    return rp_model_record_list(model, &list, "prologue", false, out, err);
}

rp_status rp_model_record_output(rp_model *model, rp_output output, VkCommandBuffer *out, rp_error *err) {
    rp_op_list list;
    rp_describe_output(model, output, &list);
    return rp_model_record_list(model, &list, "output", true, out, err);
}

rp_status rp_model_record_exits(rp_model *model, VkCommandBuffer *out, rp_error *err) {
    rp_op_list list;
    rp_describe_exits(model, &list);
    return rp_model_record_list(model, &list, "early exit", true, out, err);
}

rp_status rp_model_record_group(rp_model *model, uint32_t group, uint32_t most_rows, VkCommandBuffer commands,
                                rp_error *err) {
    uint32_t inner = model->config.inner_layers;
    rp_status status = RP_OK;
    for (uint32_t n = 0; !status && n < inner; n++) {
        rp_op_list list;
        describe_layer(model, group * inner + n, most_rows, &list);
        if (n) rp_record_barrier(&model->ops.recorder, commands);
        status = record(model, &list, commands, err);
    }
    return status;
}

rp_status rp_model_record_groups(rp_model *model, VkCommandBuffer *out, rp_error *err) {
    uint32_t groups = model->config.groups, count = model->widths.count * groups;
    rp_status status = RP_OK;
    for (uint32_t n = 0; n < count; n++) {
        RP_TRY(rp_record_begin(&model->ops.recorder, "layer", &out[n], err));
        RP_TRY(rp_model_record_group(model, n % groups, model->widths.list[n / groups].rows, out[n], err));
        RP_TRY(rp_record_end(&model->ops.recorder, out[n], err));
    }
done:
    return status;
}

const VkCommandBuffer *rp_model_groups(const rp_model *model, const VkCommandBuffer *groups,
                                       uint32_t tokens) {
    return groups + (size_t)rp_width_for(&model->widths, tokens) * model->config.groups;
}

/* Fill in model->groups. */
static rp_status record_groups(rp_model *model, rp_error *err) {
    uint32_t count = model->widths.count * model->config.groups;
    model->groups = rp_new_array(VkCommandBuffer, count);
    if (!model->groups) return rp_fail_memory(err, "command buffers", count * sizeof *model->groups);
    return rp_model_record_groups(model, model->groups, err);
}

rp_status rp_model_record_parts(rp_model *model, rp_error *err) {
    uint64_t longest = model->config.max_positions;
    uint32_t slice_rows = (uint32_t)rp_round_up(rp_div_up(longest, RP_MAX_SLICES), RP_SLICE_ROWS),
             slices = (uint32_t)rp_div_up(longest, slice_rows),
             count = model->on_device.layer_count * RP_LAYER_PARTS * slices;
    rp_status status = RP_OK;
    model->slices = slices;
    model->slice_rows = slice_rows;
    model->parts = rp_new_array(VkCommandBuffer, count);
    if (!model->parts) return rp_fail_memory(err, "command buffers", count * sizeof *model->parts);
    for (uint32_t n = 0; !status && n < count; n++) {
        uint32_t slice = n % slices, part = n / slices % RP_LAYER_PARTS;
        rp_count kind = part == RP_PART_ATTENTION ? RP_COUNT_TILES : RP_COUNT_TOKENS;
        rp_op_list layer, one = {.count = 1};
        describe_layer(model, n / slices / RP_LAYER_PARTS, 0, &layer);
        one.ops[0] = layer.ops[part];
        one.ops[0].slice = (rp_slice){rp_count_slice(kind, slice), slice * slice_rows};
        status = rp_model_record_list(model, &one, "part of a layer", false, &model->parts[n], err);
    }
    return status;
}

rp_status rp_model_record(rp_model *model, uint32_t max_batch_tokens, rp_error *err) {
    rp_device *device = model->device;
    const rp_vk_table *vk = &device->vk;
    const rp_activations *a = &model->activations;
    rp_status status;
    RP_TRY(rp_model_create_buffers(model, max_batch_tokens, err));
    rp_ops_init(&model->ops, device, rp_buffer_range(&a->input, a->at.counts, RP_ALL_COUNTS * 4),
                rp_buffer_range(&a->input, a->at.indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)));
    RP_TRY(select_all(model, err));
    RP_TRY(rp_model_record_prologue(model, &model->prologue, err));
    RP_TRY(record_groups(model, err));
    for (int output = 0; output < RP_OUTPUT_COUNT; output++)
        if (rp_output_available(model, (rp_output)output))
            RP_TRY(rp_model_record_output(model, (rp_output)output, &model->outputs[output], err));
    if (rp_exits_width(model)) RP_TRY(rp_model_record_exits(model, &model->exits, err));
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &model->fence));
    uint32_t steps = model->pace.limit > 0 ? model->config.inner_layers * RP_LAYER_PARTS * RP_MAX_SLICES : 1;
    steps = model->config.layers * (steps + 1) + 2; /* with early exits, the prologue and the output */
    model->steps = rp_new_array(rp_step, steps);
    model->submitted = rp_new_array(VkCommandBuffer, steps);
    if (!model->steps || !model->submitted) status = rp_fail_memory(err, "steps", steps * sizeof(rp_step));
done:
    return status;
}
