/* Ticks on the device: buffers, recordings, what the host writes, and submissions. */
#include "model/ticks.h"

#include <string.h>

#include "model/describe.h"
#include "model/exits.h"
#include "ops/class.h"
#include "ops/patience.h"
#include "ops/selection.h"
#include "ops/training.h"

/* ---- making ---- */

static bool make_list(rp_tick_list *list, uint32_t tokens) {
    list->texts = rp_new_array(rp_depth_text *, tokens);
    return list->texts;
}

rp_status rp_ticks_open(rp_model *model, rp_error *err) {
    rp_ticks *ticks = rp_new(rp_ticks);
    uint32_t tokens = model->info.max_batch_tokens, groups = (1 + RP_ROW_CLASSES) * model->config.groups;
    if (!ticks) return rp_fail_memory(err, "a queue", sizeof *ticks);
    model->ticks = ticks;
    ticks->model = model;
    ticks->tokens = tokens;
    ticks->sequences = rp_new_array(rp_sequence, tokens);
    ticks->rows = rp_new_array(rp_row, tokens);
    ticks->list = rp_new_array(VkCommandBuffer, 2 * model->config.layers + 6);
    bool all = ticks->sequences && ticks->rows && ticks->list;
    for (int s = 0; s < 2; s++) {
        rp_tick_set *set = &ticks->sets[s];
        set->groups = rp_new_array(VkCommandBuffer, groups);
        all &= set->groups && make_list(&set->tick.join, tokens) && make_list(&set->tick.batch, tokens) &&
               make_list(&set->tick.leave, tokens) && make_list(&set->tick.patient, tokens);
    }
    if (all) return RP_OK;
    rp_ticks_close(model);
    return rp_fail_memory(err, "a queue", tokens * 100ull);
}

void rp_ticks_close(rp_model *model) {
    rp_ticks *ticks = model->ticks;
    if (!ticks) return;
    model->ticks = NULL;
    for (int s = 0; s < 2; s++) {
        rp_tick *tick = &ticks->sets[s].tick;
        free(tick->join.texts);
        free(tick->batch.texts);
        free(tick->leave.texts);
        free(tick->patient.texts);
        free(ticks->sets[s].groups);
    }
    free(ticks->sequences);
    free(ticks->rows);
    free(ticks->list);
    free(ticks);
}

void rp_ticks_drop(rp_ticks *ticks) {
    if (!ticks) return;
    rp_device *device = ticks->model->device;
    ticks->recorded = false;
    RP_DESTROY(device, vkDestroyFence, ticks->fence);
    ticks->fence = VK_NULL_HANDLE;
    rp_recorder_finish(&ticks->recorder);
    rp_buffer_destroy(device, &ticks->input);
    rp_buffer_destroy(device, &ticks->slab);
    rp_buffer_destroy(device, &ticks->exits);
}

/* ---- buffers ---- */

/* Every view has the layout of the model's own input, and a list of places behind it. */
static void lay_out(rp_ticks *ticks, VkDeviceSize *size) {
    const rp_input_layout *own = &ticks->model->activations.at;
    VkDeviceSize alignment = ticks->model->device->caps.storage_alignment, base = 0;
    if (alignment < 16) alignment = 16;
    VkDeviceSize places = rp_round_up(own->size, alignment),
                 view = rp_round_up(places + ticks->model->batch_tokens * 4ull, alignment);
    for (int n = 0; n < 2 * RP_TICK_VIEWS; n++, base += view) {
        rp_tick_set *set = &ticks->sets[n / RP_TICK_VIEWS];
        set->at[n % RP_TICK_VIEWS] = (rp_input_layout){
            base + own->counts, base + own->indirect, base + own->tokens, base + own->starts,
            base + own->tiles,  base + own->rows,     base + own->exits,  base + own->size};
        set->places[n % RP_TICK_VIEWS] = base + places;
    }
    *size = base;
}

/* The slab has room for several batches where the device has: a text that finds no place waits. */
static rp_status make_slab(rp_ticks *ticks, rp_error *err) {
    const rp_model *model = ticks->model;
    uint64_t row = rp_model_hidden_bytes(model) / model->batch_tokens;
    uint64_t rows = (uint64_t)model->batch_tokens * RP_SLAB_BATCHES,
             range = rp_caps_range_limit(&model->device->caps);
    rp_status status;
    if (rows > range / row) rows = range / row;
    do {
        status = rp_buffer_create(model->device, rows * row, RP_MEMORY_DEVICE, "slab", &ticks->slab, err);
        ticks->slab_rows = (uint32_t)rows;
        rows /= 2;
    } while (status == RP_ERROR_DEVICE_MEMORY && rows >= model->batch_tokens);
    return status;
}

/* ---- recording ---- */

/* What a model records with, while this thread has it record for a view instead. */
typedef struct aside {
    rp_buffer input, exits;
    rp_input_layout at;
    rp_recorder recorder;
    rp_range counts, indirect;
} aside;

static void look_at(rp_ticks *ticks, const rp_input_layout *at) {
    rp_model *model = ticks->model;
    model->activations.at = *at;
    model->ops.counts = rp_buffer_range(&ticks->input, at->counts, RP_ALL_COUNTS * 4);
    model->ops.indirect =
        rp_buffer_range(&ticks->input, at->indirect, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand));
}

/* Rows from the slab to `hidden`, or back, by the list of a view. */
static rp_op_list describe_rows(const rp_ticks *ticks, rp_rows_variant variant, VkDeviceSize places) {
    const rp_model *model = ticks->model;
    const rp_buffer *hidden = &model->activations.hidden;
    rp_range slab = rp_buffer_range(&ticks->slab, 0, ticks->slab.size),
             batch = rp_buffer_range(hidden, 0, hidden->size);
    bool take = variant == RP_ROWS_TAKE;
    return (rp_op_list){.count = 1,
                        .ops = {{.class = &rp_class_rows,
                                 .label = take ? "take" : "put",
                                 .rows = RP_COUNT_TOKENS,
                                 .variant = variant,
                                 .width = (uint32_t)(rp_model_hidden_bytes(model) / model->batch_tokens / 4),
                                 .x = take ? slab : batch,
                                 .list = rp_buffer_range(&ticks->input, places, model->batch_tokens * 4ull),
                                 .out = take ? batch : slab}}};
}

static rp_status record_rows(rp_ticks *ticks, rp_rows_variant variant, VkDeviceSize places,
                             VkCommandBuffer *out, rp_error *err) {
    rp_op_list list = describe_rows(ticks, variant, places);
    return rp_model_record_list(ticks->model, &list, list.ops[0].label, false, out, err);
}

static rp_status record_set(rp_ticks *ticks, rp_tick_set *set, rp_error *err) {
    rp_model *model = ticks->model;
    rp_status status;
    look_at(ticks, &set->at[RP_VIEW_JOIN]);
    RP_TRY(rp_model_record_prologue(model, &set->prologue, err));
    RP_TRY(record_rows(ticks, RP_ROWS_PUT, set->places[RP_VIEW_JOIN], &set->put_joined, err));
    look_at(ticks, &set->at[RP_VIEW_BATCH]);
    RP_TRY(record_rows(ticks, RP_ROWS_TAKE, set->places[RP_VIEW_BATCH], &set->take, err));
    RP_TRY(record_rows(ticks, RP_ROWS_PUT, set->places[RP_VIEW_BATCH], &set->put, err));
    RP_TRY(rp_model_record_groups(model, set->groups, err));
    if (rp_exits_width(model)) RP_TRY(rp_model_record_exits(model, &set->exits, err));
    look_at(ticks, &set->at[RP_VIEW_LEAVE]);
    RP_TRY(record_rows(ticks, RP_ROWS_TAKE, set->places[RP_VIEW_LEAVE], &set->take_leaving, err));
    for (int output = 0; output < RP_OUTPUT_COUNT; output++)
        if (rp_output_available(model, (rp_output)output))
            RP_TRY(rp_model_record_output(model, (rp_output)output, &set->outputs[output], err));
done:
    return status;
}

static rp_status record_sets(rp_ticks *ticks, rp_error *err) {
    rp_model *model = ticks->model;
    aside own = {model->activations.input, model->activations.exits, model->activations.at,
                 model->ops.recorder,      model->ops.counts,        model->ops.indirect};
    rp_status status = RP_OK;
    model->activations.input = ticks->input;
    model->activations.exits = ticks->exits;
    model->ops.recorder = (rp_recorder){.device = model->device};
    for (int s = 0; !status && s < 2; s++) status = record_set(ticks, &ticks->sets[s], err);
    ticks->recorder = model->ops.recorder;
    model->activations.input = own.input;
    model->activations.exits = own.exits;
    model->activations.at = own.at;
    model->ops.recorder = own.recorder;
    model->ops.counts = own.counts;
    model->ops.indirect = own.indirect;
    return status;
}

rp_status rp_ticks_record(rp_ticks *ticks, rp_error *err) {
    rp_model *model = ticks->model;
    rp_device *device = model->device;
    const rp_vk_table *vk = &device->vk;
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    VkDeviceSize size;
    rp_status status = RP_OK;
    if (ticks->recorded) return RP_OK;
    lay_out(ticks, &size);
    RP_TRY(rp_buffer_create(device, size, RP_MEMORY_INPUT, "input of a queue", &ticks->input, err));
    RP_TRY(make_slab(ticks, err));
    RP_TRY(rp_exits_create(model, ticks->slab_rows, &ticks->exits, err));
    for (int variant = RP_ROWS_TAKE; variant <= RP_ROWS_PUT; variant++) {
        rp_op_list list = describe_rows(ticks, (rp_rows_variant)variant, ticks->sets[0].places[0]);
        RP_TRY(rp_model_select_list(model, &list, err));
    }
    RP_TRY(rp_pipeline_make(model->ops.pipelines, err));
    RP_TRY(record_sets(ticks, err));
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &ticks->fence));
    ticks->recorded = true;
    ticks->recordings++;
done:
    if (status) rp_ticks_drop(ticks);
    return status;
}

size_t rp_ticks_room(const rp_model *model, rp_output output, double most) {
    size_t room = (size_t)(model->output_floats / rp_padded(rp_output_width(model, output)));
    double row_work = rp_row_work(&model->config);
    if (rp_output_rows(output) != RP_COUNT_ROWS) return room;
    if (room > model->batch_tokens) room = model->batch_tokens;
    return (double)room * row_work <= most ? room : most < row_work ? 1 : (size_t)(most / row_work);
}

/* ---- a tick ---- */

/* The sequences of a list, and of those that leave the rows that are computed now. */
static rp_batch batch_of(rp_ticks *ticks, const rp_tick *tick, const rp_tick_list *list) {
    rp_batch b = {
        .sequences = ticks->sequences, .rows = ticks->rows, .count = list->count, .tokens = list->tokens};
    size_t rows = list == &tick->leave ? tick->rows : 0;
    for (size_t i = 0; i < list->count; i++) {
        const rp_depth_text *text = list->texts[i];
        ticks->sequences[i] = *text->sequence;
        for (size_t n = 0; n < text->row_count && b.row_count < rows; n++)
            ticks->rows[b.row_count++] = (rp_row){(uint32_t)i, text->rows[n].token};
    }
    return b;
}

static void fill_view(rp_ticks *ticks, rp_tick_set *set, rp_tick_view view, const rp_tick_list *list) {
    char *base = ticks->input.mapped;
    uint32_t *places = (uint32_t *)(base + set->places[view]);
    if (!list->count) return;
    rp_batch b = batch_of(ticks, &set->tick, list);
    rp_model_write(ticks->model, base, &set->at[view], &b, 0);
    for (size_t i = 0; i < list->count; i++) {
        const rp_depth_text *text = list->texts[i];
        memcpy(places, text->places, text->sequence->count * sizeof *places);
        places += text->sequence->count;
    }
}

/* Who of the batch may leave. */
static void fill_exits(rp_ticks *ticks, rp_tick_set *set) {
    rp_model *model = ticks->model;
    const rp_tick_list *batch = &set->tick.batch;
    rp_exit_entry *entries = (rp_exit_entry *)((char *)ticks->input.mapped + set->at[RP_VIEW_BATCH].exits);
    uint32_t number = rp_exits_next(model);
    for (size_t i = 0; i < batch->count; i++) {
        const rp_depth_text *text = batch->texts[i];
        entries[i] =
            (rp_exit_entry){text->places[0], model->config.layers - text->left, text->patience, number};
    }
}

void rp_ticks_fill(rp_ticks *ticks, rp_tick_set *set) {
    if (set->tick.patient.count) fill_exits(ticks, set);
    fill_view(ticks, set, RP_VIEW_JOIN, &set->tick.join);
    fill_view(ticks, set, RP_VIEW_BATCH, &set->tick.batch);
    fill_view(ticks, set, RP_VIEW_LEAVE, &set->tick.leave);
}

/* What the submission of a tick lists, in ticks->list. */
static uint32_t list_steps(rp_ticks *ticks, const rp_tick_set *set) {
    const rp_tick *tick = &set->tick;
    const rp_model *model = ticks->model;
    const rp_config *c = &model->config;
    const VkCommandBuffer *groups = rp_model_groups(model, set->groups, tick->batch.tokens);
    VkCommandBuffer *next = ticks->list;
    if (tick->join.count) *next++ = set->prologue;
    if (tick->join.count && !tick->straight_in) *next++ = set->put_joined;
    if (tick->batch.count && !tick->straight_in) *next++ = set->take;
    for (uint32_t i = 0; i < tick->layers; i++) {
        *next++ = groups[rp_config_group(c, tick->depth + i)];
        if (tick->patient.count) *next++ = set->exits;
    }
    if (tick->batch.count && !tick->straight_out) *next++ = set->put;
    if (tick->leave.count && !tick->straight_out) *next++ = set->take_leaving;
    if (tick->leave.count) *next++ = set->outputs[tick->output];
    return (uint32_t)(next - ticks->list);
}

/* Only rows of a masked language model are taken off a text: whatever else fails in this tick, it may begin
 * again. */
static rp_status collect(rp_ticks *ticks, rp_tick *tick, rp_error *err) {
    rp_model *model = ticks->model;
    const rp_buffer *output = &model->activations.output;
    size_t width = rp_output_width(model, tick->output), stride = rp_padded((uint32_t)width);
    rp_count kind = rp_output_rows(tick->output);
    size_t rows = kind == RP_COUNT_TOKENS ? tick->leave.tokens
                  : kind == RP_COUNT_ROWS ? tick->rows
                                          : tick->leave.count;
    rp_status status = rp_buffer_invalidate(model->device, output, rows * stride * 4, err);
    if (status) return status;
    const float *from = output->mapped;
    for (size_t i = 0; i < tick->leave.count; i++) {
        rp_depth_text *text = tick->leave.texts[i];
        size_t own = kind == RP_COUNT_TOKENS ? text->sequence->count : 1;
        float *out = text->out;
        if (kind == RP_COUNT_ROWS) {
            own = text->row_count < rows ? text->row_count : rows;
            text->rows += own;
            text->row_count -= own;
            text->out += own * width;
            rows -= own;
        }
        for (; own; own--, from += stride, out += width) memcpy(out, from, width * 4);
    }
    return RP_OK;
}

/* Those of the batch that have left by their patience. */
static rp_status collect_exits(rp_ticks *ticks, rp_tick *tick, rp_error *err) {
    rp_status status = rp_buffer_invalidate(ticks->model->device, &ticks->exits, ticks->exits.size, err);
    for (size_t i = 0; !status && i < tick->patient.count; i++) {
        rp_depth_text *text = tick->patient.texts[i];
        uint32_t layers;
        if (!rp_exit_read(ticks->model, &ticks->exits, text->places[0], &layers, text->out)) continue;
        text->exited = layers;
        if (text->layers) *text->layers = layers;
    }
    return status;
}

rp_status rp_ticks_run(rp_ticks *ticks, rp_tick_set *set, void (*beside)(void *user), void *user,
                       double *seconds, rp_error *err) {
    rp_model *model = ticks->model;
    uint32_t count = list_steps(ticks, set);
    rp_status status = rp_buffer_flush(model->device, &ticks->input, ticks->input.size, err);
    if (!status)
        status = rp_device_submit_beside(model->device, ticks->list, count, ticks->fence, beside, user,
                                         seconds, err);
    bool whole = !set->tick.patient.count; /* as in rp_model_submit */
    if (!status && whole && set->tick.work > 0) rp_pace_learn(&model->pace, set->tick.work, *seconds);
    if (!status && set->tick.leave.count) status = collect(ticks, &set->tick, err);
    if (!status && set->tick.patient.count) status = collect_exits(ticks, &set->tick, err);
    return status;
}
