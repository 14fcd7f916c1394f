/* rp_finetune: data, head, trainer; and what the loop around them asks for. */
#include "finetune/finetune.h"

#include <math.h>

#include "loader/json.h"
#include "loader/names.h"
#include "reprise/pull.h"

/* ---- what is asked for ---- */

static bool is_share(double x, double below) {
    return x >= 0 && x < below;
}

static rp_status check_params(const rp_finetune_params *p, rp_error *err) {
    if (!p->model || !p->train || !p->out || !*p->out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: model, train and out must be given");
    if ((unsigned)p->task > RP_EVAL_EMBED)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: there is no such task");
    if (p->task == RP_EVAL_ORDER || p->task == RP_EVAL_MLM)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "rp_finetune: the task must be classify, multilabel, regress, tag, answer, choose or "
                       "embed; the order of sentences and masked words are taught by rp_pretrain");
    if ((unsigned)p->freeze > RP_FREEZE_ENCODER)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: freeze is not one of rp_train_freeze");
    if (!is_share(p->warmup, 0x1p53))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_finetune: warmup must be a number of steps or a share of them, from 0 to 1");
    if (p->early_exit && p->task && p->task != RP_EVAL_CLASSIFY)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_finetune: early_exit is for the task classify (--early-exit)");
    if (p->early_exit && p->optimizer == RP_OPTIMIZER_LAMB)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_finetune: early_exit goes with AdamW; leave out the optimizer (--optimizer)");
    if (!isfinite(p->label_weight))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: label_weight must be finite");
    if (p->label_weight != 0 && !p->teacher)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_finetune: label_weight is for a teacher, and there is none (--teacher)");
    const char *const read[] = {p->train, p->dev};
    rp_status status = rp_check_output(p->log, read, RP_COUNT(read), err);
    if (!status) status = rp_check_output(p->plot, read, RP_COUNT(read), err);
    return status ? status : rp_check_reserved(p->reserved, RP_COUNT(p->reserved), "rp_finetune", err);
}

static void set_defaults(rp_finetune_params *p) {
    if (!p->epochs) p->epochs = 3;
    if (!p->batch_size) p->batch_size = 8;
    if (!p->seed) p->seed = 42;
}

/* ---- the head ---- */

enum { HEADS = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

/* The task of the folder's classifier. */
static rp_eval_task task_of(const rp_config *c) {
    if (c->problem_given && c->problem == RP_PROBLEM_MULTI_LABEL) return RP_EVAL_MULTILABEL;
    return c->label_count == 1 ? RP_EVAL_REGRESS : RP_EVAL_CLASSIFY;
}

static rp_status choose_task(rp_finetune_run *run, rp_error *err) {
    static const char *const names[] = {"", "classify", "multilabel", "regress", "tag", "answer", "choose"};
    unsigned heads = rp_heads_of_architecture(&run->config) & HEADS;
    if (run->params.task == RP_EVAL_EMBED) return RP_OK; /* heads stay as they are */
    run->keeps_head = heads;
    if (heads & RP_HEAD_CLASSIFIER && run->config.problem_given &&
        (run->config.problem == RP_PROBLEM_REGRESSION) != (run->config.label_count == 1))
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the folder's classifier has %u label%s and its problem_type is not for so many; "
                       "begin with a folder that has no classifier",
                       rp_path_shown(run->dir), (unsigned)run->config.label_count,
                       run->config.label_count == 1 ? "" : "s");
    rp_eval_task own = heads & RP_HEAD_TOKENS   ? RP_EVAL_TAG
                       : heads & RP_HEAD_SPANS  ? RP_EVAL_ANSWER
                       : heads & RP_HEAD_CHOICE ? RP_EVAL_CHOOSE
                       : heads                  ? task_of(&run->config)
                                                : RP_EVAL_CLASSIFY;
    if (!run->params.task) run->params.task = own;
    if (!heads || run->params.task == own) return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: the folder's head is one for the task %s, not %s; begin with a folder that has no "
                   "such head",
                   rp_path_shown(run->dir), names[own], names[run->params.task]);
}

/* ---- the data ---- */

/* Do rows have labels with names? */
static bool is_named(const rp_finetune_run *run) {
    rp_eval_task task = run->params.task;
    return task == RP_EVAL_CLASSIFY || task == RP_EVAL_MULTILABEL || task == RP_EVAL_TAG;
}

static rp_status open_data(rp_finetune_run *run, const char *path, rp_labels *labels, rp_data **out,
                           rp_error *err) {
    static const rp_data_kind kinds[] = {[RP_EVAL_TAG] = RP_DATA_TOKENS,
                                         [RP_EVAL_ANSWER] = RP_DATA_QUESTION,
                                         [RP_EVAL_CHOOSE] = RP_DATA_CHOICES,
                                         [RP_EVAL_EMBED] = RP_DATA_ANY};
    const rp_finetune_params *p = &run->params;
    bool train = path == p->train, may_lack = p->teacher || p->task == RP_EVAL_EMBED;
    rp_data_params params = {.text_column = p->text_column,
                             .pair_column = p->pair_column,
                             .label_column = p->label_column,
                             .kind = kinds[p->task] ? kinds[p->task] : RP_DATA_TEXT,
                             .labelled = !train || !may_lack,
                             .numbers = p->task == RP_EVAL_REGRESS || p->task == RP_EVAL_EMBED,
                             .many = p->task == RP_EVAL_MULTILABEL,
                             .skip_bad = p->skip_bad,
                             .labels = is_named(run) ? labels : NULL};
    if (p->format && !rp_data_format_of(p->format, &params.format))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "format: '%.*s' is none of tsv, csv, cola, jsonl, conll and squad",
                       rp_text_fit(p->format, 40), p->format);
    return rp_data_open(path, &params, out, err);
}

/* Rows that were left out: by the reader, and by the task. */
static void say_skipped(const rp_finetune_run *run) {
    uint64_t skipped = rp_data_skipped(run->data);
    for (uint64_t i = 0; run->firsts && i < rp_data_count(run->data); i++)
        skipped += run->firsts[i] == run->firsts[i + 1];
    if (skipped && !rp_world_rank(run->params.world))
        rp_log_say(&(rp_log){0}, RP_LOG_WARNING, "%s: %llu bad row%s left out",
                   rp_path_shown(run->params.train), (unsigned long long)skipped,
                   skipped == 1 ? " was" : "s were");
}

static rp_status open_train(rp_finetune_run *run, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    rp_status status = open_data(run, p->train, &run->labels, &run->data, err);
    if (status) return status;
    status = rp_finetune_look_at_rows(run, err);
    if (status) return status;
    if (!run->rows)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: there is no row that can be used", rp_path_shown(p->train));
    say_skipped(run);
    run->steps_of_epoch = rp_div_up(run->rows, p->batch_size);
    run->steps = p->steps ? p->steps : p->epochs * run->steps_of_epoch;
    if (p->warmup >= 1 && p->warmup > (double)run->steps)
        return rp_fail(err, RP_ERROR_ARGUMENT, "warmup: %.0f steps are more than the %llu of the training",
                       p->warmup, (unsigned long long)run->steps);
    uint32_t least = p->task == RP_EVAL_CLASSIFY ? 2 : is_named(run);
    size_t count = p->labels ? run->named.count : run->labels.count;
    if (run->keeps_head || run->teacher.model || count >= least) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: there %s in all rows, and a classifier needs %u or more",
                   rp_path_shown(p->train), run->labels.count ? "is one label" : "is no label",
                   (unsigned)least);
}

/* Every label of the two files is one of the model's, before training begins. */
static rp_status match_labels(rp_finetune_run *run, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    const rp_model_info *info = rp_model_get_info(run->model);
    rp_labels labels = {0};
    rp_label_map map = {0};
    rp_data *data = NULL;
    bool named = is_named(run);
    rp_status status = RP_OK;
    if (named)
        status = rp_data_map_labels(run->data, &run->labels, info->labels, info->label_count, &run->map, err);
    if (!status && p->dev) status = open_data(run, p->dev, &labels, &data, err);
    if (!status && p->dev && named)
        status = rp_data_map_labels(data, &labels, info->labels, info->label_count, &map, err);
    rp_data_close(&data);
    rp_label_map_finish(&map);
    rp_labels_finish(&labels);
    return status;
}

/* ---- the trainer ---- */

static uint64_t warmup_steps(const rp_finetune_run *run) {
    double warmup = run->params.warmup;
    return (uint64_t)ceil(warmup < 1 ? warmup * (double)run->steps : warmup);
}

static rp_status check_dropout(const rp_finetune_run *run, rp_error *err) {
    const rp_config *c = &run->config;
    if (is_share(c->hidden_dropout, 1) && is_share(c->attention_dropout, 1) &&
        is_share(c->classifier_dropout, 1))
        return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: the probabilities of dropout (hidden_dropout_prob, attention_probs_dropout_prob, and "
                   "the classifier's) must be numbers from 0 to below 1",
                   rp_path_shown(c->path));
}

/* The choices of a question are one micro-batch. 0: what the trainer has anyway. */
static uint32_t most_tokens(const rp_finetune_run *run) {
    enum { USUAL = 2048 };
    uint32_t longest = run->config.max_positions, asked = run->params.max_tokens;
    uint64_t all = (uint64_t)run->choices * (asked && asked < longest ? asked : longest);
    return all > USUAL ? (uint32_t)(all < UINT32_MAX ? all : UINT32_MAX) : 0;
}

static rp_status open_trainer(rp_finetune_run *run, rp_error *err) {
    static const rp_problem problems[] = {[RP_EVAL_MULTILABEL] = RP_PROBLEM_MULTI_LABEL,
                                          [RP_EVAL_REGRESS] = RP_PROBLEM_REGRESSION,
                                          [RP_EVAL_EMBED] = RP_PROBLEM_SINGLE_LABEL};
    static const rp_head heads[] = {[RP_EVAL_CLASSIFY] = RP_HEAD_CLASSIFIER,
                                    [RP_EVAL_MULTILABEL] = RP_HEAD_CLASSIFIER,
                                    [RP_EVAL_REGRESS] = RP_HEAD_CLASSIFIER,
                                    [RP_EVAL_TAG] = RP_HEAD_TOKENS,
                                    [RP_EVAL_ANSWER] = RP_HEAD_SPANS,
                                    [RP_EVAL_CHOOSE] = RP_HEAD_CHOICE,
                                    [RP_EVAL_EMBED] = (rp_head)0};
    const rp_finetune_params *p = &run->params;
    bool regress = p->task == RP_EVAL_REGRESS, embed = p->task == RP_EVAL_EMBED;
    const rp_labels *own = p->labels ? &run->named : &run->labels;
    const rp_model_info *teacher = run->teacher.model ? rp_model_get_info(run->teacher.model) : NULL;
    const rp_trainer_params params = {
        .head = heads[p->task],
        .vectors = !embed        ? RP_VECTORS_NONE
                   : run->scored ? RP_VECTORS_SCORED
                                 : RP_VECTORS_IN_BATCH,
        .max_batch_tokens = most_tokens(run),
        .max_batch_pairs = p->batch_size < run->rows ? p->batch_size : (uint32_t)run->rows,
        .label_count = run->keeps_head || (!is_named(run) && !regress) ? 0
                       : regress                                       ? 1
                       : teacher                                       ? teacher->label_count
                                                                       : (uint32_t)own->count,
        .labels = regress   ? NULL
                  : teacher ? teacher->labels
                            : own->names,
        .problem = problems[p->task],
        .optimizer = p->optimizer,
        .schedule = p->schedule,
        .learning_rate = p->learning_rate,
        .weight_decay = p->weight_decay,
        .max_grad_norm = p->max_grad_norm,
        .label_smoothing = p->label_smoothing,
        .warmup_steps = warmup_steps(run),
        .total_steps = run->steps,
        .hidden_dropout = run->config.hidden_dropout,
        .attention_dropout = run->config.attention_dropout,
        .classifier_dropout = run->config.classifier_dropout,
        .seed = p->seed,
        .recompute = p->recompute,
        .precision = p->precision,
        .resume = run->loop.resume,
        .freeze = p->freeze,
        .early_exit = p->early_exit,
        .taught = teacher != NULL,
        .label_weight = p->label_weight,
        .call = p->call,
        .world = p->world,
    };
    rp_status status = check_dropout(run, err);
    if (!status) status = rp_trainer_open(run->device, run->dir, &params, &run->trainer, err);
    if (status) return status;
    run->model = rp_trainer_model(run->trainer);
    if (!rp_model_get_tokenizer(run->model))
        return rp_fail(err, RP_ERROR_FILE,
                       "%s: the folder has no tokenizer, which texts need; add its tokenizer.json",
                       rp_path_shown(run->dir));
    uint32_t longest = rp_task_max_tokens(run->model);
    if (!run->params.max_tokens || run->params.max_tokens > longest) run->params.max_tokens = longest;
    return RP_OK;
}

/* ---- evaluations ---- */

static rp_status evaluate(void *user, rp_loop_metrics *out, rp_error *err) {
    rp_finetune_run *run = user;
    const rp_finetune_params *p = &run->params;
    const rp_eval_params params = {.task = p->task,
                                   .skip_bad = p->skip_bad,
                                   .max_tokens = p->max_tokens,
                                   .stride = p->stride,
                                   .format = p->format,
                                   .text_column = p->text_column,
                                   .pair_column = p->pair_column,
                                   .label_column = p->label_column};
    return rp_loop_evaluate(run->model, p->dev, &params, p->call, p->world, out, err);
}

/* ---- steps ---- */

static rp_status fill(void *user, uint64_t step, rp_train_batch *batch, double *epoch, rp_error *err) {
    rp_finetune_run *run = user;
    const rp_finetune_params *p = &run->params;
    const rp_tokenized *tokenized = &run->batch.tokenized;
    bool numbers = p->task == RP_EVAL_MULTILABEL || p->task == RP_EVAL_REGRESS || p->task == RP_EVAL_EMBED;
    rp_status status = rp_finetune_fill(run, step, err);
    if (status) return status;
    batch->sequences = tokenized->sequences;
    batch->count = tokenized->count;
    batch->labels = numbers && !run->teacher.model ? NULL : run->batch.labels;
    batch->targets = numbers ? run->batch.targets : NULL;
    batch->choice_counts = run->batch.choices;
    batch->teacher = run->teacher.targets;
    rp_finetune_rows rows = rp_finetune_rows_of(run, step);
    *epoch = (double)(step / run->steps_of_epoch) + (double)(rows.first + rows.count) / (double)run->rows;
    return RP_OK;
}

/* Of each task: the metric that decides, those that there are, and Hugging Face's word for it. */
typedef struct measure {
    const char *metric, *metrics[12], *pipeline;
} measure;

static const measure measures[] = {
    [RP_EVAL_CLASSIFY] = {"accuracy",
                          {"accuracy", "loss", "f1", "f1_macro", "matthews_correlation"},
                          "text-classification"},
    [RP_EVAL_MULTILABEL] = {"f1_micro", {"f1_micro", "f1_macro", "accuracy"}, "text-classification"},
    [RP_EVAL_REGRESS] = {"pearson", {"pearson", "spearmanr", "mse"}, "text-classification"},
    [RP_EVAL_TAG] = {"f1", {"f1", "precision", "recall", "accuracy"}, "token-classification"},
    [RP_EVAL_ANSWER] = {"f1",
                        {"f1", "exact_match", "exact", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1",
                         "best_exact", "best_f1"},
                        "question-answering"},
    [RP_EVAL_CHOOSE] = {"accuracy", {"accuracy", "loss"}, "multiple-choice"},
    [RP_EVAL_EMBED] = {"spearmanr", {"spearmanr", "pearson"}, "sentence-similarity"},
};

static rp_status train(rp_finetune_run *run, rp_error *err) {
    const measure *m = &measures[run->params.task];
    const rp_loop_task task = {.fill = fill,
                               .evaluate = run->params.dev ? evaluate : NULL,
                               .user = run,
                               .metric = m->metric,
                               .metrics = m->metrics,
                               .pipeline = m->pipeline,
                               .steps_of_epoch = run->steps_of_epoch};
    return rp_loop_run(&run->loop, run->trainer, &task, err);
}

/* ---- the call ---- */

static rp_status open_loop(rp_finetune_run *run, rp_error *err) {
    const rp_finetune_params *p = &run->params;
    const rp_loop_params params = {.function = "rp_finetune",
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
static rp_status set_recipe(rp_finetune_run *run, rp_error *err) {
    char *recipe = NULL;
    rp_status status = rp_finetune_recipe(run, &recipe, err);
    run->loop.params.steps = run->steps;
    return status ? status : rp_loop_set_recipe(&run->loop, recipe, err);
}

static rp_status finetune(rp_finetune_run *run, rp_visit *visit, rp_error *err) {
    rp_status status = open_loop(run, err);
    if (!status) status = rp_find_model(run->params.model, &run->dir, err);
    if (!status) status = rp_config_load(run->dir, &run->config, err);
    if (!status) status = choose_task(run, err);
    if (!status) status = rp_finetune_read_labels(run, err);
    if (!status) status = rp_finetune_teacher_open(run, err);
    if (!status) status = open_train(run, err);
    if (!status) status = set_recipe(run, err);
    if (status) return status;
    visit->total = (size_t)run->steps;
    if (run->loop.finished) {
        rp_call_progress((size_t)run->steps);
        return RP_OK;
    }
    status = open_trainer(run, err);
    if (!status) status = match_labels(run, err);
    if (!status) status = rp_finetune_teacher_init(run, err);
    if (!status) status = rp_finetune_batch_init(run, err);
    if (!status) status = train(run, err);
    return status;
}

static void finish(void *attempt) {
    rp_finetune_run *run = attempt;
    rp_finetune_batch_finish(&run->batch);
    rp_finetune_teacher_finish(&run->teacher);
    rp_label_map_finish(&run->map);
    rp_trainer_close(&run->trainer);
    rp_data_close(&run->data);
    rp_labels_finish(&run->labels);
    rp_labels_finish(&run->named);
    rp_config_finish(&run->config);
    rp_loop_close(&run->loop);
    free(run->firsts);
    free(run->dir);
}

static rp_status attempt(void *attempt, const rp_loop_job *job, bool again, rp_visit *visit, rp_error *err) {
    rp_finetune_run *run = attempt;
    run->device = job->device;
    run->params = *(const rp_finetune_params *)job->params;
    run->params.resume |= again;
    set_defaults(&run->params);
    return finetune(run, visit, err);
}

rp_status rp_finetune(rp_device *device, const rp_finetune_params *params, rp_error *err) {
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!params) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: device and params must not be NULL");
    const rp_loop_job job = {.size = sizeof(rp_finetune_run),
                             .train = attempt,
                             .finish = finish,
                             .device = device,
                             .params = params,
                             .function = "rp_finetune",
                             .call = params->call,
                             .world = params->world};
    rp_status status =
        device ? check_params(params, err)
               : rp_fail(err, RP_ERROR_ARGUMENT, "rp_finetune: device and params must not be NULL");
    return rp_loop_attempts(&job, status, err);
}
