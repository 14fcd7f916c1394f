/* The parts of a step of training, and its operators. */
#include "measure.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/submission.h"
#include "ops/class.h"
#include "ops/selection.h"
#include "train/trainer.h"

typedef struct train_bench {
    rp_trainer *trainer;
    uint32_t repeat;
    double cpu, seconds; /* when the last submission ended */
    rp_train_times now;
    rp_train_op_fn each;
    void *user;
} train_bench;

/* ---- parts ---- */

static bool is_one_of(const VkCommandBuffer *list, uint32_t count, VkCommandBuffer commands) {
    while (count && list[count - 1] != commands) count--;
    return count;
}

/* Which part of a step a command buffer belongs to. */
static rp_train_time *part_of(train_bench *b, VkCommandBuffer commands) {
    const rp_trainer *t = b->trainer;
    uint32_t groups = t->model->config.groups;
    if (commands == t->prologue || is_one_of(t->forward, groups, commands)) return &b->now.forward;
    if (commands == t->epilogue || is_one_of(t->backward, groups, commands)) return &b->now.backward;
    return commands == t->head_commands ? &b->now.head : &b->now.update;
}

/* Count what passed since the submission before. */
static void watch(void *user, const rp_step *steps, uint32_t count) {
    train_bench *b = user;
    rp_train_time *part = part_of(b, steps[count - 1].commands);
    double cpu = rp_cpu_seconds(), seconds = rp_seconds();
    part->cpu += cpu - b->cpu;
    part->seconds += seconds - b->seconds;
    b->now.parts += steps[count - 1].commands == b->trainer->epilogue;
    b->cpu = cpu;
    b->seconds = seconds;
}

static void take_least(rp_train_time *a, const rp_train_time *b) {
    a->cpu = fmin(a->cpu, b->cpu);
    a->seconds = fmin(a->seconds, b->seconds);
}

/* Steps of which each command buffer is a submission of its own. */
static rp_status time_parts(train_bench *b, const rp_train_batch *batch, rp_train_times *out, rp_error *err) {
    rp_trainer *t = b->trainer;
    const rp_pace pace = t->pace;
    rp_status status = RP_OK;
    t->watcher = b;
    t->watch = watch;
    for (uint32_t i = 0; !status && i <= b->repeat; i++) { /* the first one warms up */
        b->now = (rp_train_times){0};
        b->cpu = rp_cpu_seconds();
        b->seconds = rp_seconds();
        t->pace = (rp_pace){.limit = 1e-9, .operation = 1};
        status = rp_trainer_step(t, batch, NULL, err);
        if (i <= 1) *out = b->now;
        take_least(&out->forward, &b->now.forward);
        take_least(&out->head, &b->now.head);
        take_least(&out->backward, &b->now.backward);
        take_least(&out->update, &b->now.update);
    }
    t->watch = NULL;
    t->pace = pace;
    return status;
}

/* ---- operators ---- */

/* Of a product: floating point operations. */
static double work_of(const rp_op *op, uint32_t tokens) {
    bool product = op->class == &rp_class_matmul || op->class == &rp_class_gradient;
    return product ? 2.0 * tokens * op->w[0]->rows * op->w[0]->k : 0;
}

/* Each operator of a list in a command buffer of its own, `repeat` times in their order. */
static rp_status time_list(train_bench *b, rp_train_list *list, bool back, uint32_t tokens, rp_error *err) {
    rp_trainer *t = b->trainer;
    VkCommandBuffer commands[RP_MOST_TRAIN_OPS];
    rp_train_time least[RP_MOST_TRAIN_OPS];
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        RP_TRY(rp_record_begin(&t->ops.recorder, list->ops[i].label, &commands[i], err));
        RP_TRY(rp_op_recall(&t->ops, &list->ops[i], err));
        RP_TRY(rp_op_record((rp_op_target){&t->ops, commands[i]}, &list->ops[i], err));
        RP_TRY(rp_record_end(&t->ops.recorder, commands[i], err));
    }
    for (uint32_t n = 0; n <= b->repeat; n++) {
        ((rp_train_state *)((char *)t->input.mapped + t->at.state))->layer = back;
        RP_TRY(rp_buffer_flush(t->device, &t->input, t->at.size, err));
        for (uint32_t i = 0; i < list->count; i++) {
            double cpu = rp_cpu_seconds(), seconds = rp_seconds();
            RP_TRY(rp_device_submit(t->device, &commands[i], 1, t->fence, err));
            rp_train_time now = {rp_cpu_seconds() - cpu, rp_seconds() - seconds};
            if (n <= 1) least[i] = now;
            take_least(&least[i], &now);
        }
    }
    for (uint32_t i = 0; i < list->count; i++)
        b->each(b->user, &(rp_train_op_time){.class = list->ops[i].class->name,
                                             .label = list->ops[i].label,
                                             .kernel = list->ops[i].kernel.name,
                                             .back = back,
                                             .time = least[i],
                                             .operations = work_of(&list->ops[i], tokens)});
done:
    return status;
}

/* The layer of the first group, on what the last micro-batch left. */
static rp_status time_layers(train_bench *b, rp_error *err) {
    rp_trainer *t = b->trainer;
    uint32_t tokens = ((const uint32_t *)((const char *)t->input.mapped + t->at.counts))[RP_COUNT_TOKENS];
    rp_recorder own = t->ops.recorder;
    rp_train_list list = {.count = 0};
    t->ops.recorder = (rp_recorder){.device = t->device};
    rp_train_describe_forward(t, 0, &list);
    rp_status status = time_list(b, &list, false, tokens, err);
    rp_train_describe_backward(t, 0, &list);
    if (!status) status = time_list(b, &list, true, tokens, err);
    rp_recorder_finish(&t->ops.recorder);
    t->ops.recorder = own;
    return status;
}

/* ---- all ---- */

rp_status rp_bench_train(rp_trainer *trainer, const rp_train_batch *batch, uint32_t repeat,
                         rp_train_times *out, rp_train_op_fn each, void *user, rp_error *err) {
    train_bench b = {.trainer = trainer, .repeat = repeat, .each = each, .user = user};
    rp_status status = time_parts(&b, batch, out, err);
    if (status || !each) return status;
    status = rp_model_begin(trainer->model, err);
    if (status) return status;
    return rp_model_end(trainer->model, time_layers(&b, err));
}
