/* rp_pretrain: text, model, trainer, steps. */
#include "pretrain/pretrain.h"

#include <math.h>

#include "loader/json.h"

/* ---- what is asked for ---- */

static rp_status check_files(const rp_pretrain_params *p, rp_error *err) {
    const char *wrong = NULL;
    if (!p->corpus_count == !p->instance_count)
        wrong = "either corpus or instances must be given";
    else if (!p->out && !p->write_instances)
        wrong = "out or write_instances must be given";
    else if (p->out && !p->config == !p->init)
        wrong = "either config (with tokenizer) or init must be given";
    else if (p->init && p->tokenizer)
        wrong = "init has its own tokenizer; leave tokenizer out";
    else if (p->config && !p->tokenizer)
        wrong = "config needs a tokenizer";
    else if (p->corpus_count && !p->init && !p->tokenizer)
        wrong = "corpus needs a tokenizer";
    else if (p->write_instances && !p->corpus_count)
        wrong = "write_instances writes those of a corpus, and there is none";
    else if (p->dev && !p->out)
        wrong = "dev is for a model that is trained, and there is no out";
    else if ((unsigned)p->freeze > RP_FREEZE_ENCODER)
        wrong = "freeze is not one of rp_train_freeze";
    return wrong ? rp_fail(err, RP_ERROR_ARGUMENT, "rp_pretrain: %s", wrong) : RP_OK;
}

/* What is written is nothing that is read. */
static rp_status check_outputs(const rp_pretrain_params *p, rp_error *err) {
    const char *const written[] = {p->log, p->plot, p->write_instances};
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < RP_COUNT(written); i++) {
        status = rp_check_output(written[i], p->corpus, p->corpus_count, err);
        if (!status) status = rp_check_output(written[i], p->instances, p->instance_count, err);
        if (!status) status = rp_check_output(written[i], &p->dev, 1, err);
    }
    return status;
}

static rp_status check_params(const rp_pretrain_params *p, rp_error *err) {
    rp_status status = check_files(p, err);
    for (size_t i = 0; !status && i < p->corpus_count; i++)
        if (!p->corpus || !p->corpus[i])
            status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_pretrain: corpus is NULL");
    for (size_t i = 0; !status && i < p->instance_count; i++)
        if (!p->instances || !p->instances[i])
            status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_pretrain: instances is NULL");
    if (!status && !(p->warmup < 0x1p53))
        status = rp_fail(err, RP_ERROR_ARGUMENT,
                         "rp_pretrain: warmup must be a number of steps or a share of them, from 0 to 1");
    if (!status) status = check_outputs(p, err);
    return status ? status : rp_check_reserved(p->reserved, RP_COUNT(p->reserved), "rp_pretrain", err);
}

static void set_defaults(rp_pretrain_params *p) {
    bool adamw = p->optimizer == RP_OPTIMIZER_ADAMW;
    if (!p->batch_size) p->batch_size = 4096;
    if (!p->optimizer) p->optimizer = RP_OPTIMIZER_LAMB;
    if (!p->schedule) p->schedule = RP_SCHEDULE_POLYNOMIAL;
    if (p->learning_rate == 0) p->learning_rate = adamw ? 1e-4 : 0.00176;
    if (p->warmup == 0) p->warmup = 0.025;
    if (p->warmup < 0) p->warmup = 0;
    if (p->weight_decay == 0) p->weight_decay = 0.01;
    if (p->weight_decay < 0) p->weight_decay = 0;
    if (!p->seed) p->seed = 12345;
    if (!p->eval_every) p->eval_every = 500;
}

/* ---- how long ---- */

static rp_status count_steps(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    const uint64_t usual = 125000;
    run->steps_of_epoch = rp_div_up(run->source.count, p->batch_size);
    if (p->steps)
        run->steps = p->steps;
    else if (p->epochs || !p->out)
        run->steps = (p->epochs ? p->epochs : 1) * run->steps_of_epoch;
    else
        run->steps = usual;
    if (p->warmup >= 1 && p->warmup > (double)run->steps)
        return rp_fail(err, RP_ERROR_ARGUMENT, "warmup: %.0f steps are more than the %llu of the training",
                       p->warmup, (unsigned long long)run->steps);
    return RP_OK;
}

/* ---- the trainer ---- */

static rp_status open_trainer(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    double warmup = p->warmup < 1 ? p->warmup * (double)run->steps : p->warmup;
    const rp_trainer_params params = {
        .head = RP_TRAIN_BOTH,
        .optimizer = p->optimizer,
        .schedule = p->schedule,
        .learning_rate = p->learning_rate,
        .weight_decay = p->weight_decay,
        .max_grad_norm = p->max_grad_norm,
        .warmup_steps = (uint64_t)ceil(warmup),
        .total_steps = run->steps,
        .hidden_dropout = run->config.hidden_dropout,
        .attention_dropout = run->config.attention_dropout,
        .classifier_dropout = run->config.classifier_dropout,
        .seed = p->seed,
        .recompute = p->recompute,
        .precision = p->precision,
        .resume = run->loop.resume,
        .freeze = p->freeze,
        .call = p->call,
        .world = p->world,
    };
    return rp_trainer_open(run->device, run->dir, &params, &run->trainer, err);
}

/* ---- steps ---- */

static rp_status fill(void *user, uint64_t step, rp_train_batch *batch, double *epoch, rp_error *err) {
    rp_pretrain_run *run = user;
    rp_status status = rp_pretrain_fill(run, step, batch, err);
    uint64_t rows = step % run->steps_of_epoch * run->params.batch_size + rp_pretrain_rows(run, step);
    *epoch = (double)(step / run->steps_of_epoch) + (double)rows / (double)run->source.count;
    return status;
}

static void describe(void *user, const rp_train_result *result, rp_loop_metrics *out) {
    (void)user;
    rp_loop_add_metric(out, "mlm_loss", result->mlm_loss);
    rp_loop_add_metric(out, "sop_loss", result->sop_loss);
    rp_loop_add_metric(out, "mlm_accuracy", result->mlm_accuracy);
    rp_loop_add_metric(out, "sop_accuracy", result->sop_accuracy);
}

/* ---- evaluations ---- */

static rp_status evaluate(void *user, rp_loop_metrics *out, rp_error *err) {
    rp_pretrain_run *run = user;
    const rp_eval_params params = {.task = RP_EVAL_MLM,
                                   .format = "jsonl",
                                   .skip_bad = run->params.skip_bad,
                                   .max_tokens = run->params.max_tokens};
    rp_loop_add_metric(out, "loss", 0); /* the sum of the two losses, as in the log of steps */
    rp_status status = rp_loop_evaluate(rp_trainer_model(run->trainer), run->dev, &params, run->params.call,
                                        run->params.world, out, err);
    for (size_t i = 1; i < out->count; i++)
        if (!strcmp(out->items[i].name, "mlm_loss") || !strcmp(out->items[i].name, "sop_loss"))
            out->items[0].value += out->items[i].value;
    return status;
}

/* ---- the call ---- */

static rp_status train(rp_pretrain_run *run, rp_error *err) {
    static const char *const metrics[] = {
        "loss", "mlm_loss", "mlm_accuracy", "perplexity", "sop_loss", "sop_accuracy", NULL};
    const rp_loop_task task = {.fill = fill,
                               .describe = describe,
                               .evaluate = run->params.dev ? evaluate : NULL,
                               .user = run,
                               .metric = "loss",
                               .metrics = metrics,
                               .pipeline = "fill-mask",
                               .steps_of_epoch = run->steps_of_epoch};
    rp_status status = rp_pretrain_prepare_dev(run, err);
    if (!status) status = open_trainer(run, err);
    return status ? status : rp_loop_run(&run->loop, run->trainer, &task, err);
}

static rp_status open_loop(rp_pretrain_run *run, rp_error *err) {
    const rp_pretrain_params *p = &run->params;
    const rp_loop_params params = {.function = "rp_pretrain",
                                   .device = run->device,
                                   .eval_every = p->eval_every,
                                   .save_every = p->save_every,
                                   .keep = p->keep,
                                   .metric = p->metric,
                                   .log = p->log,
                                   .plot = p->plot,
                                   .command = p->command,
                                   .resume = p->resume,
                                   .batch_size = p->batch_size,
                                   .epochs = p->epochs,
                                   .handler = p->handler,
                                   .world = p->world};
    return rp_loop_open(&run->loop, &params, p->out, err);
}

/* Whether there is anything to do depends on what was asked for before. */
static rp_status set_recipe(rp_pretrain_run *run, rp_error *err) {
    char *recipe = NULL;
    rp_status status = rp_pretrain_recipe(run, &recipe, err);
    run->loop.params.steps = run->steps;
    return status ? status : rp_loop_set_recipe(&run->loop, recipe, err);
}

static rp_status pretrain(rp_pretrain_run *run, rp_visit *visit, rp_error *err) {
    const char *out = run->params.out;
    rp_status status = out ? open_loop(run, err) : RP_OK;
    if (!status) status = rp_pretrain_find(run, err);
    if (!status) status = rp_pretrain_source_open(run, err);
    if (!status) status = count_steps(run, err);
    if (!status && out) status = set_recipe(run, err);
    if (status) return status;
    visit->total = (size_t)run->steps;
    if (run->params.write_instances) status = rp_pretrain_write(run, err);
    bool trains = out && !run->loop.finished;
    if (!status && trains) status = train(run, err);
    if (!status && !trains) rp_call_progress((size_t)run->steps);
    return status;
}

static void finish(void *attempt) {
    rp_pretrain_run *run = attempt;
    rp_pretrain_batch_finish(&run->batch);
    rp_trainer_close(&run->trainer);
    rp_pretrain_source_close(&run->source);
    rp_pretrain_forget(run);
    rp_loop_close(&run->loop);
    free(run->dev);
}

static rp_status attempt(void *attempt, const rp_loop_job *job, bool again, rp_visit *visit, rp_error *err) {
    rp_pretrain_run *run = attempt;
    run->device = job->device;
    run->params = *(const rp_pretrain_params *)job->params;
    run->params.resume |= again;
    set_defaults(&run->params);
    return pretrain(run, visit, err);
}

rp_status rp_pretrain(rp_device *device, const rp_pretrain_params *params, rp_error *err) {
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!params) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_pretrain: device and params must not be NULL");
    const rp_loop_job job = {.size = sizeof(rp_pretrain_run),
                             .train = attempt,
                             .finish = finish,
                             .device = device,
                             .params = params,
                             .function = "rp_pretrain",
                             .call = params->call,
                             .world = params->world};
    rp_status status = device || !params->out ? check_params(params, err)
                                              : rp_fail(err, RP_ERROR_ARGUMENT,
                                                        "rp_pretrain: device and params must not be NULL");
    return rp_loop_attempts(&job, status, err);
}
