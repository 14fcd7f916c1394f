/* A step: micro-batches, each of them one submission, and the update at the end of the last. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/submission.h"
#include "train/trainer.h"

/* What of a micro-batch is submitted. The loss of vectors is one of a whole batch: where that is cut, or has
 * parts in other processes, every micro-batch goes ahead, and the way back comes after the loss. */
typedef enum pass { AHEAD = 1, LOSS = 2, BACK = 4, WHOLE = AHEAD | LOSS | BACK } pass;

/* ---- what the host writes ---- */

/* Steps that changed the model. */
static uint64_t updates(const rp_trainer *t) {
    return t->step - t->scale.skipped;
}

static double learning_rate(const rp_trainer_params *p, uint64_t step) {
    if (step < p->warmup_steps) return p->learning_rate * (double)step / (double)p->warmup_steps;
    if (p->schedule == RP_SCHEDULE_CONSTANT || !p->total_steps) return p->learning_rate;
    if (step >= p->total_steps) return 0;
    if (p->schedule == RP_SCHEDULE_POLYNOMIAL)
        return p->learning_rate * pow(1 - (double)step / (double)p->total_steps, p->power);
    return p->learning_rate * (double)(p->total_steps - step) / (double)(p->total_steps - p->warmup_steps);
}

static void write_state(rp_trainer *t, const rp_train_part *part, pass pass, double rate) {
    const rp_trainer_params *p = &t->params;
    double number = (double)(updates(t) + 1);
    rp_train_state state = {.seed = {(uint32_t)p->seed, (uint32_t)(p->seed >> 32)},
                            .first_row = (uint32_t)(t->ranks.first_token + part->first_token),
                            .step = (uint32_t)t->step,
                            .rate = (float)rate,
                            .beta1 = (float)p->beta1,
                            .beta2 = (float)p->beta2,
                            .eps = (float)p->eps,
                            .decay = (float)p->weight_decay,
                            .correction1 = (float)(1 / (1 - pow(p->beta1, number))),
                            .correction2 = (float)(1 / sqrt(1 - pow(p->beta2, number))),
                            .most_norm = p->max_grad_norm > 0 ? (float)p->max_grad_norm : 0,
                            .factor = (float)(1 / t->scale.scale),
                            /* Google's has none, but a division by 0 may be anything */
                            .clip_eps = p->optimizer == RP_OPTIMIZER_LAMB ? 1e-30f : 1e-6f};
    if (!(pass & AHEAD)) state.layer = t->model->config.layers * t->model->config.inner_layers;
    memcpy((char *)t->input.mapped + t->at.state, &state, sizeof state);
    state.first_row = (uint32_t)(t->ranks.first_sequence + part->first);
    state.layer = p->vectors ? rp_train_first_vector(t, part) : 0;
    memcpy((char *)t->input.mapped + t->at.head_state, &state, sizeof state);
}

/* ---- submissions ---- */

static rp_step *list_head(const rp_trainer *t, pass pass, double work, rp_step *to) {
    if (pass & AHEAD) *to++ = (rp_step){t->head_commands, work};
    if (t->params.vectors && pass & LOSS) *to++ = (rp_step){t->vectors_loss, work};
    if (t->params.vectors && pass & BACK) *to++ = (rp_step){t->vectors_back, work};
    return to;
}

/* Forwards, the head, and backwards, each layer by the command buffer of its group; at the end the update.
 * Backwards a layer is computed once more, and has two products for each of its products. */
static uint32_t list_steps(rp_trainer *t, const rp_train_batch *b, const rp_train_part *part, pass pass) {
    bool last = part->first + part->count == b->count;
    const rp_config *c = &t->model->config;
    double layer = 0, outside = 2.0 * part->tokens * c->hidden_size * c->embedding_size,
           head = 2.0 * (double)part->count * c->hidden_size * c->hidden_size +
                  2.0 * part->masked * c->embedding_size * ((double)c->hidden_size + c->vocab_size);
    rp_step *to = t->steps;
    for (size_t i = 0; i < part->count; i++) layer += rp_layer_work(c, &b->sequences[part->first + i]);
    if (pass & AHEAD) *to++ = (rp_step){t->prologue, outside};
    bool back = t->params.freeze != RP_FREEZE_ENCODER;
    for (uint32_t i = 0; pass & AHEAD && i < c->layers; i++) {
        *to++ = (rp_step){t->forward[rp_config_group(c, i)], layer};
        if (!back && i < rp_train_exits(t)) *to++ = (rp_step){t->exits[i], 3 * head};
    }
    to = list_head(t, pass, 3 * head, to);
    if (!(pass & BACK)) return (uint32_t)(to - t->steps);
    for (uint32_t i = back ? c->layers : 0; i--;) {
        *to++ = (rp_step){t->backward[rp_config_group(c, i)], 3 * layer};
        if (i && rp_train_exits(t)) *to++ = (rp_step){t->exits[i - 1], 3 * head};
    }
    if (back) *to++ = (rp_step){t->epilogue, 2 * outside};
    if (last && !t->params.world) *to++ = (rp_step){t->update, 16.0 * (double)t->model->info.parameters};
    return (uint32_t)(to - t->steps);
}

/* In one submission, or in several where one would take longer than a watchdog allows. */
static rp_status submit(rp_trainer *t, uint32_t steps, uint32_t *submissions, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t first = 0, count; !status && first < steps; first += count, ++*submissions) {
        double seconds;
        count = rp_pace_cut(&t->pace, t->steps + first, steps - first);
        for (uint32_t i = 0; i < count; i++) t->submitted[i] = t->steps[first + i].commands;
        status = rp_device_submit_timed(t->device, t->submitted, count, t->fence, &seconds, err);
        if (!status) rp_pace_learn(&t->pace, rp_steps_work(t->steps + first, count), seconds);
        if (t->watch) t->watch(t->watcher, t->steps + first, count);
    }
    return status;
}

/* Add what the device says of `items` labels: their losses, which are scaled, and how many are right. */
static void add_items(const rp_trainer *t, VkDeviceSize offset, uint32_t items, double *loss, double *right) {
    const float *losses = (const float *)((const char *)t->output.mapped + offset);
    for (uint32_t i = 0; i < items; i++) {
        *loss += losses[2 * i] / t->scale.scale;
        *right += losses[2 * i + 1];
    }
}

/* Run one micro-batch and add its losses. */
static rp_status run_part(rp_trainer *t, const rp_train_batch *b, const rp_train_part *part, pass pass,
                          uint32_t items, rp_train_result *out, rp_error *err) {
    double right = 0;
    rp_status status;
    RP_TRY(rp_buffer_flush(t->device, &t->input, t->at.size, err));
    RP_TRY(submit(t, list_steps(t, b, part, pass), &out->submissions, err));
    RP_TRY(rp_buffer_invalidate(t->device, &t->output, t->out.size, err));
    if (rp_train_pretrains(t)) {
        add_items(t, t->out.losses, items, &out->sop_loss, &out->sop_accuracy);
        add_items(t, t->out.masked, part->masked, &out->mlm_loss, &out->mlm_accuracy);
    } else if (!t->params.vectors) {
        add_items(t, t->out.losses, items, &out->loss, &right);
        for (uint32_t i = 0; i < rp_train_exits(t); i++)
            add_items(t, t->out.exits + i * rp_train_exit_bytes(t), items, &out->loss, &right);
    } else if (pass & LOSS) {
        rp_train_add_vectors(t, b, &out->loss);
    }
    if (pass & BACK) out->tokens += part->tokens;
done:
    return status;
}

/* ---- the loss scale ---- */

/* After a step, of which the device knows what this knows: the norm of its gradient. */
static rp_status judge(rp_trainer *t, rp_train_result *out, rp_error *err) {
    enum { GOOD_STEPS = 2000 };
    rp_train_scale *s = &t->scale;
    bool finite = isfinite(out->grad_norm);
    if (!finite && !(s->scale > 1)) return rp_train_fail_not_finite(t, err);
    if (!rp_train_in_half(t)) return RP_OK;
    out->skipped = !finite;
    s->skipped += !finite;
    s->good = finite ? s->good + 1 : 0;
    if (!finite) s->scale /= 2;
    if (s->good < GOOD_STEPS) return RP_OK;
    s->good = 0;
    if (s->scale < 1e30) s->scale *= 2;
    return RP_OK;
}

/* ---- the step ---- */

/* `first`: what the first micro-batch has beside what all have. */
static rp_status run_parts(rp_trainer *t, const rp_train_batch *batch, const rp_train_labels *labels,
                           pass first, pass all, rp_train_result *out, rp_error *err) {
    rp_status status = RP_OK;
    rp_train_part part = rp_train_next_part(t, batch, (rp_train_part){0});
    for (; !status && part.count; part = rp_train_next_part(t, batch, part)) {
        if ((status = rp_call_check(err))) break;
        pass pass = part.first ? all : all | first;
        uint32_t items = rp_train_fill(t, batch, labels, &part);
        write_state(t, &part, pass, out->learning_rate);
        status = run_part(t, batch, &part, pass, items, out, err);
    }
    return status;
}

/* What was computed of the only micro-batch is still there when the vectors of others have come. */
static rp_status run_all(rp_trainer *t, const rp_train_batch *batch, const rp_train_labels *labels,
                         rp_train_result *out, rp_error *err) {
    bool gathers = rp_train_gathers(t),
         cut = rp_train_next_part(t, batch, (rp_train_part){0}).count < batch->count;
    if (!gathers && !(cut && t->params.vectors)) return run_parts(t, batch, labels, 0, WHOLE, out, err);
    rp_status status = run_parts(t, batch, labels, 0, AHEAD, out, err);
    if (gathers) status = rp_train_join_vectors(t, batch, out, status, err);
    if (status) return status;
    return run_parts(t, batch, labels, LOSS, cut ? AHEAD | BACK : BACK, out, err);
}

/* The square of the norm of the scaled gradient, which the update has written. */
static const float *total_of(const rp_trainer *t) {
    return (const float *)((const char *)t->output.mapped + t->out.total);
}

static rp_status update_alone(rp_trainer *t, rp_train_result *out, rp_error *err) {
    rp_status status;
    write_state(t, &(rp_train_part){0}, WHOLE, out->learning_rate);
    t->steps[0] = (rp_step){t->update, 16.0 * (double)t->model->info.parameters};
    RP_TRY(rp_buffer_flush(t->device, &t->input, t->at.size, err));
    RP_TRY(submit(t, 1, &out->submissions, err));
    status = rp_buffer_invalidate(t->device, &t->output, t->out.size, err);
done:
    return status;
}

/* The update of a world, by the gradients of all ranks, after this one's micro-batches. All are well in the
 * end, or none is. */
static rp_status step_together(rp_trainer *t, rp_status status, rp_train_result *out, rp_error *err) {
    out->sequences = t->ranks.sequences;
    out->tokens = t->ranks.tokens;
    if (status && rp_world_agreed(t->params.world)) return status;
    status = rp_train_join_gradients(t, out, status, err);
    if (!status) status = update_alone(t, out, err);
    if (rp_world_agreed(t->params.world)) return status;
    return rp_train_join_update(t, *total_of(t), status, err);
}

static rp_status make_step(rp_trainer *t, const rp_train_batch *batch, const rp_train_labels *labels,
                           rp_train_result *out, rp_error *err) {
    *out = (rp_train_result){.step = t->step + 1,
                             .learning_rate = learning_rate(&t->params, updates(t)),
                             .sequences = batch->count,
                             .loss_scale = rp_train_in_half(t) ? t->scale.scale : 0};
    rp_status status = run_all(t, batch, labels, out, err);
    if (t->params.world) status = step_together(t, status, out, err);
    if (rp_train_pretrains(t)) {
        out->loss = out->mlm_loss + out->sop_loss;
        if (labels->counted[0]) out->mlm_accuracy /= (double)labels->counted[0];
        if (labels->counted[1]) out->sop_accuracy /= (double)labels->counted[1];
    }
    if (!status) out->grad_norm = sqrt(*total_of(t)) / t->scale.scale;
    return status;
}

static rp_status fail_lost(const rp_trainer *t, rp_error *err) {
    return rp_fail(
        err, RP_ERROR_DEVICE_LOST,
        "%s: the device was lost, or a step of training failed on it, and what was learnt with it; "
        "go on from what was saved",
        t->model->dir);
}

/* Between the turns of runs of the model, and of other steps: to check a batch takes lists of the trainer. A
 * step that fails half done leaves sums that no other may add to. */
static rp_status take_turn(rp_trainer *t, const rp_train_batch *batch, rp_train_result *out, rp_error *err) {
    rp_train_labels labels;
    rp_status status = rp_model_begin(t->model, err);
    if (status) return rp_train_join_step(t, batch, NULL, status, err);
    status = t->built ? rp_train_check(t, batch, &labels, err) : fail_lost(t, err);
    status = rp_train_join_step(t, batch, &labels, status, err);
    if (!status) {
        status = make_step(t, batch, &labels, out, err);
        if (status) t->built = false;
    }
    if (!status) status = judge(t, out, err);
    t->step += !status;
    return rp_model_end(t->model, status);
}

rp_status rp_trainer_step(rp_trainer *t, const rp_train_batch *batch, rp_train_result *result,
                          rp_error *err) {
    rp_error unwanted;
    rp_train_result done;
    rp_visit visit;
    double begun = rp_seconds();
    if (!err) err = &unwanted;
    rp_status status =
        t && batch ? rp_check_reserved(batch->reserved, RP_COUNT(batch->reserved), "rp_trainer_step", err)
                   : rp_fail(err, RP_ERROR_ARGUMENT, "rp_trainer_step: trainer and batch must not be NULL");
    if (!t) return status;
    if (!status) status = rp_model_enter(t->model, &visit, batch->call, "rp_trainer_step", err);
    if (status) return rp_train_join_step(t, batch, NULL, status, err);
    status = take_turn(t, batch, &done, err);
    rp_visit_leave(&visit);
    done.seconds = rp_seconds() - begun;
    if (!status && result) *result = done;
    return status;
}
