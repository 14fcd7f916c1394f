/* Measuring and teaching models, and writing them anew. */
#include "bridge.h"

#include <stdlib.h>

static void put_metrics(rp_java_out *out, const rp_metric *metrics, size_t count) {
    rp_java_put_i32(out, (int32_t)count);
    for (size_t i = 0; i < count; i++) {
        rp_java_put_name(out, metrics[i].name);
        rp_java_put_f64(out, metrics[i].value);
    }
}

rp_status rp_java_evaluate(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const char *file = rp_java_name(&c->in);
    rp_eval_params params = {.call = c->call};
    params.task = (rp_eval_task)rp_java_i32(&c->in);
    params.skip_bad = rp_java_bool(&c->in);
    params.max_tokens = (uint32_t)rp_java_i32(&c->in);
    params.stride = (uint32_t)rp_java_i32(&c->in);
    params.max_answer_tokens = (uint32_t)rp_java_i32(&c->in);
    params.format = rp_java_name(&c->in);
    params.text_column = rp_java_name(&c->in);
    params.pair_column = rp_java_name(&c->in);
    params.label_column = rp_java_name(&c->in);
    params.glue = rp_java_name(&c->in);
    params.predictions = rp_java_name(&c->in);
    params.calibrate = rp_java_name(&c->in);
    params.target_precision = rp_java_f64(&c->in);
    params.target_recall = rp_java_f64(&c->in);
    rp_evaluation *evaluation = NULL;
    if (rp_java_done(&c->in, err) || rp_eval(model, file, &params, &evaluation, err)) return err->status;
    uint64_t skipped = 0;
    size_t count = 0;
    rp_java_put_i32(&c->out, (int32_t)rp_evaluation_task(evaluation));
    rp_java_put_i64(&c->out, (int64_t)rp_evaluation_rows(evaluation, &skipped));
    rp_java_put_i64(&c->out, (int64_t)skipped);
    const rp_metric *metrics = rp_evaluation_metrics(evaluation, &count);
    put_metrics(&c->out, metrics, count);
    rp_evaluation_free(&evaluation);
    return RP_OK;
}

/* What a training says: the message goes to the Java object of the call that is `user`. */
static void tell(void *user, int kind, rp_java_out *out) {
    if (!out->short_of_memory) rp_java_tell(user, kind, out);
    free(out->data);
}

static void on_step(void *user, const rp_training_step *step) {
    rp_java_out out = {0};
    rp_java_put_i64(&out, (int64_t)step->step);
    rp_java_put_i64(&out, (int64_t)step->steps);
    rp_java_put_f64(&out, step->epoch);
    rp_java_put_f64(&out, step->loss);
    rp_java_put_f64(&out, step->grad_norm);
    rp_java_put_f64(&out, step->learning_rate);
    rp_java_put_f64(&out, step->seconds);
    rp_java_put_i64(&out, (int64_t)step->sequences);
    rp_java_put_i64(&out, (int64_t)step->tokens);
    put_metrics(&out, step->metrics, step->metric_count);
    tell(user, 0, &out);
}

static void on_evaluated(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                         bool best) {
    rp_java_out out = {0};
    rp_java_put_i64(&out, (int64_t)last->step);
    rp_java_put_i32(&out, best);
    put_metrics(&out, metrics, count);
    tell(user, 1, &out);
}

static void read_sizes(rp_java_in *in, rp_finetune_params *params) {
    params->task = (rp_eval_task)rp_java_i32(in);
    params->epochs = (uint32_t)rp_java_i32(in);
    params->steps = (uint64_t)rp_java_i64(in);
    params->batch_size = (uint32_t)rp_java_i32(in);
    params->max_tokens = (uint32_t)rp_java_i32(in);
    params->stride = (uint32_t)rp_java_i32(in);
    params->keep = (uint32_t)rp_java_i32(in);
    params->eval_every = (uint64_t)rp_java_i64(in);
    params->save_every = (uint64_t)rp_java_i64(in);
    params->seed = (uint64_t)rp_java_i64(in);
}

static void read_rates(rp_java_in *in, rp_finetune_params *params) {
    params->learning_rate = rp_java_f64(in);
    params->warmup = rp_java_f64(in);
    params->weight_decay = rp_java_f64(in);
    params->max_grad_norm = rp_java_f64(in);
    params->label_smoothing = rp_java_f64(in);
    params->label_weight = rp_java_f64(in);
    params->schedule = (rp_train_schedule)rp_java_i32(in);
    params->optimizer = (rp_optimizer)rp_java_i32(in);
    params->recompute = (rp_recompute)rp_java_i32(in);
    params->freeze = (rp_train_freeze)rp_java_i32(in);
    params->precision = (rp_precision)rp_java_i32(in);
    params->no_shuffle = rp_java_bool(in);
    params->skip_bad = rp_java_bool(in);
    params->resume = rp_java_bool(in);
    params->early_exit = rp_java_bool(in);
}

rp_status rp_java_finetune(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    const rp_training_handler handler = {on_step, on_evaluated, c->call};
    rp_finetune_params params = {.call = c->call, .handler = c->call ? &handler : NULL};
    params.model = rp_java_name(&c->in);
    params.train = rp_java_name(&c->in);
    params.dev = rp_java_name(&c->in);
    params.out = rp_java_name(&c->in);
    read_sizes(&c->in, &params);
    read_rates(&c->in, &params);
    params.format = rp_java_name(&c->in);
    params.text_column = rp_java_name(&c->in);
    params.pair_column = rp_java_name(&c->in);
    params.label_column = rp_java_name(&c->in);
    params.teacher = rp_java_name(&c->in);
    params.metric = rp_java_name(&c->in);
    params.log = rp_java_name(&c->in);
    params.plot = rp_java_name(&c->in);
    params.labels = rp_java_name(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_finetune(device, &params, err);
}

rp_status rp_java_convert(rp_java_call *c, rp_error *err) {
    const char *dir = rp_java_name(&c->in), *out = rp_java_name(&c->in);
    rp_convert_params params = {0};
    params.dtype = (rp_convert_dtype)rp_java_i32(&c->in);
    params.overwrite = rp_java_bool(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_convert(dir, out, &params, err);
}
