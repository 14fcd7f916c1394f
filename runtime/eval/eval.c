/* rp_eval: the rows of a file, batch by batch, to a task, and its metrics. */
#include "eval/eval.h"

#include <math.h>

#include "loader/json.h"

struct rp_evaluation {
    rp_eval_task task;
    uint64_t rows, skipped;
    rp_metrics metrics;
    rp_entity_metrics *entities; /* [entity_count] */
    size_t entity_count;
    rp_arena names;           /* of their types */
    rp_threshold *thresholds; /* [threshold_count] */
    size_t threshold_count;
    bool intent; /* there is another behind them */
};

/* ---- the tasks ---- */

static const struct {
    const char *name;
    unsigned head;
    rp_data_kind kind;
    rp_status (*answer)(rp_eval_run *run, rp_error *err);
} tasks[] = {
    [RP_EVAL_CLASSIFY] = {"classify", RP_HEAD_CLASSIFIER, RP_DATA_TEXT, rp_eval_texts},
    [RP_EVAL_MULTILABEL] = {"multilabel", RP_HEAD_CLASSIFIER, RP_DATA_TEXT, rp_eval_texts},
    [RP_EVAL_REGRESS] = {"regress", RP_HEAD_CLASSIFIER, RP_DATA_TEXT, rp_eval_texts},
    [RP_EVAL_TAG] = {"tag", RP_HEAD_TOKENS, RP_DATA_TOKENS, rp_eval_tag},
    [RP_EVAL_ANSWER] = {"answer", RP_HEAD_SPANS, RP_DATA_QUESTION, rp_eval_answer},
    [RP_EVAL_CHOOSE] = {"choose", RP_HEAD_CHOICE, RP_DATA_CHOICES, rp_eval_choose},
    [RP_EVAL_ORDER] = {"order", RP_HEAD_ORDER, RP_DATA_TEXT, rp_eval_order},
    [RP_EVAL_MLM] = {"mlm", RP_HEAD_MASKED_LM, RP_DATA_INSTANCE, rp_eval_instances},
    [RP_EVAL_EMBED] = {"embed", 0, RP_DATA_TEXT, rp_eval_embed},
};

static rp_eval_task task_of(const rp_model_info *info) {
    if (info->heads & RP_HEAD_CLASSIFIER && info->problem == RP_PROBLEM_MULTI_LABEL)
        return RP_EVAL_MULTILABEL;
    if (info->heads & RP_HEAD_CLASSIFIER &&
        (info->problem == RP_PROBLEM_REGRESSION || info->label_count == 1))
        return RP_EVAL_REGRESS;
    for (int i = RP_EVAL_CLASSIFY; i < RP_EVAL_ORDER; i++)
        if (info->heads & tasks[i].head) return (rp_eval_task)i;
    return RP_EVAL_ORDER;
}

/* The head's own message where it is missing. */
static rp_status check_head(const rp_eval_run *run, rp_error *err) {
    static const char *const commands[] = {
        [RP_EVAL_TAG] = "tag",         [RP_EVAL_ANSWER] = "answer", [RP_EVAL_CHOOSE] = "choose",
        [RP_EVAL_ORDER] = "coherence", [RP_EVAL_MLM] = "fill-mask", [RP_EVAL_EMBED] = "embed"};
    rp_result *result = NULL;
    if (run->task == RP_EVAL_MLM && run->info->heads & RP_HEAD_MASKED_LM) return RP_OK; /* no tokenizer */
    const char *command = run->task < RP_EVAL_TAG ? "classify" : commands[run->task];
    rp_task task = rp_eval_call(run, tasks[run->task].head, command, &result);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    status = rp_task_end(&task, RP_OK);
    rp_result_free(&result);
    if ((run->task == RP_EVAL_REGRESS) != (run->info->label_count == 1) && run->task <= RP_EVAL_REGRESS &&
        run->task != RP_EVAL_MULTILABEL)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: the model has %u label%s, and the task %s needs %s",
                       rp_path_shown(run->info->dir), (unsigned)run->info->label_count,
                       run->info->label_count == 1 ? "" : "s", tasks[run->task].name,
                       run->task == RP_EVAL_REGRESS
                           ? "one, whose value is the answer; the task may be classify"
                           : "two or more; the task may be regress");
    return status;
}

/* ---- GLUE ---- */

static const struct {
    const char *name, *metrics[2];
} glue[] = {
    {"cola", {"matthews_correlation", NULL}},
    {"mrpc", {"accuracy", "f1"}},
    {"qqp", {"accuracy", "f1"}},
    {"stsb", {"pearson", "spearmanr"}},
    {"sst2", {"accuracy", NULL}},
    {"mnli", {"accuracy", NULL}},
    {"qnli", {"accuracy", NULL}},
    {"rte", {"accuracy", NULL}},
    {"wnli", {"accuracy", NULL}},
};

static rp_status check_glue(const char *name, size_t *out, rp_error *err) {
    *out = 0;
    if (!name) return RP_OK;
    for (*out = 0; *out < RP_COUNT(glue); (*out)++)
        if (!strcmp(glue[*out].name, name)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "glue: '%.*s' is none of cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte and wnli",
                   rp_text_fit(name, 40), name);
}

/* Keep what GLUE has of the metrics. */
static rp_status choose_glue(size_t which, rp_metrics *m, rp_error *err) {
    rp_metrics kept = {0};
    double sum = 0;
    for (size_t k = 0; k < 2 && glue[which].metrics[k]; k++)
        for (size_t i = 0; i < m->count; i++) {
            if (strcmp(m->items[i].name, glue[which].metrics[k])) continue;
            rp_metrics_add(&kept, m->items[i].name, m->items[i].value);
            sum += m->items[i].value;
        }
    if (kept.count < 1 + (glue[which].metrics[1] != NULL))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "glue: %s is measured by %s, which this task and this model's labels do not have",
                       glue[which].name, glue[which].metrics[kept.count]);
    if (kept.count > 1) rp_metrics_add(&kept, "combined_score", sum / (double)kept.count);
    *m = kept;
    return RP_OK;
}

/* ---- the data ---- */

static rp_status open_data(rp_eval_run *run, rp_error *err) {
    static const char *const orders[] = {"in_order", "swapped"};
    const rp_eval_params *p = &run->params;
    bool numbers = run->task == RP_EVAL_REGRESS || run->task == RP_EVAL_EMBED;
    bool named =
        !numbers && run->task != RP_EVAL_ANSWER && run->task != RP_EVAL_CHOOSE && run->task != RP_EVAL_MLM;
    rp_labels labels = {0};
    rp_data_params params = {.text_column = p->text_column,
                             .pair_column = p->pair_column,
                             .label_column = p->label_column,
                             .kind = tasks[run->task].kind,
                             .labelled = true,
                             .numbers = numbers,
                             .many = run->task == RP_EVAL_MULTILABEL,
                             .skip_bad = p->skip_bad,
                             .labels = named ? &labels : NULL};
    if (p->format && !rp_data_format_of(p->format, &params.format))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "format: '%.*s' is none of tsv, csv, cola, jsonl, conll and squad",
                       rp_text_fit(p->format, 40), p->format);
    rp_status status = rp_data_open(run->path, &params, &run->data, err);
    bool order = run->task == RP_EVAL_ORDER;
    if (!status && named)
        status = rp_data_map_labels(run->data, &labels, order ? orders : run->info->labels,
                                    order ? 2 : run->info->label_count, &run->map, err);
    rp_labels_finish(&labels);
    return status;
}

static rp_status make_counts(rp_eval_run *run, rp_error *err) {
    uint32_t count = run->task == RP_EVAL_ORDER ? 2 : run->info->label_count;
    rp_entities *e = &run->entities;
    if (run->task == RP_EVAL_TAG) { /* a label has one type, and no tag has none */
        e->types = rp_new_array(rp_entity_type, count + 1ull);
        if (!e->types) return rp_fail_memory(err, "the types of entities", count * sizeof *e->types);
        e->type_room = count + 1ull;
    }
    run->flags = rp_new_array(bool, 2ull * count);
    return run->flags ? rp_classes_init(&run->classes, count, err)
                      : rp_fail_memory(err, "the counts of labels", 2ull * count);
}

/* ---- what came of it ---- */

static double share(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : 0;
}

static void sum_up_instances(const rp_instances *n, rp_metrics *m) {
    double loss = n->masked ? n->loss / (double)n->masked : NAN;
    rp_metrics_add(m, "mlm_loss", loss);
    rp_metrics_add(m, "mlm_accuracy", n->masked ? share(n->masked_right, n->masked) : NAN);
    rp_metrics_add(m, "perplexity", exp(loss));
    if (!n->orders) return;
    rp_metrics_add(m, "sop_loss", n->order_loss / (double)n->orders);
    rp_metrics_add(m, "sop_accuracy", share(n->orders_right, n->orders));
}

static rp_status sum_up(rp_eval_run *run, rp_metrics *m, rp_error *err) {
    const rp_classes *c = &run->classes;
    const rp_entities *e = &run->entities;
    const rp_numbers *n = &run->numbers;
    double spearman = NAN;
    rp_status status = RP_OK;
    switch (run->task) {
    case RP_EVAL_MLM:
        sum_up_instances(&run->instances, m);
        break;
    case RP_EVAL_ANSWER:
        return rp_answers_metrics(&run->answers, run->none, m, err);
    case RP_EVAL_TAG:
        rp_metrics_add(m, "precision", share(e->both, e->said_count));
        rp_metrics_add(m, "recall", share(e->both, e->right_count));
        rp_metrics_add(m, "f1", share(2 * e->both, e->said_count + e->right_count));
        rp_metrics_add(m, "accuracy", share(e->correct, e->tokens));
        break;
    case RP_EVAL_REGRESS:
    case RP_EVAL_EMBED:
        status = rp_spearman(n->right, n->said, n->count, &spearman, err);
        if (run->task == RP_EVAL_REGRESS) rp_metrics_add(m, "mse", rp_mean_square(n));
        rp_metrics_add(m, "pearson", rp_pearson(n->right, n->said, n->count));
        rp_metrics_add(m, "spearmanr", spearman);
        break;
    case RP_EVAL_MULTILABEL:
        rp_metrics_add(m, "accuracy", rp_accuracy(c));
        rp_metrics_add(m, "f1_micro", rp_f1_micro(c));
        rp_metrics_add(m, "f1_macro", rp_f1_macro(c, true));
        break;
    default:
        if (run->task != RP_EVAL_ORDER)
            rp_metrics_add(m, "loss", run->done ? run->loss / (double)run->done : NAN);
        rp_metrics_add(m, "accuracy", rp_accuracy(c));
        if (run->task != RP_EVAL_CLASSIFY) break;
        rp_metrics_add(m, c->count == 2 ? "f1" : "f1_macro",
                       c->count == 2 ? rp_f1(c, 1) : rp_f1_macro(c, false));
        rp_metrics_add(m, "matthews_correlation", rp_matthews(c));
    }
    return status;
}

static rp_status list_entities(const rp_eval_run *run, rp_evaluation *out, rp_error *err) {
    const rp_entities *e = &run->entities;
    if (!e->type_count) return RP_OK;
    out->entities = rp_new_array(rp_entity_metrics, e->type_count);
    if (!out->entities) return rp_fail_memory(err, "the metrics", e->type_count * sizeof *out->entities);
    for (size_t i = 0; i < e->type_count; i++) {
        const rp_entity_type *t = &e->types[i];
        const char *name = rp_arena_copy(&out->names, t->name, strlen(t->name));
        if (!name) return rp_fail_memory(err, "the metrics", strlen(t->name));
        out->entities[out->entity_count++] = (rp_entity_metrics){.type = name,
                                                                 .precision = share(t->both, t->said),
                                                                 .recall = share(t->both, t->right),
                                                                 .f1 = share(2 * t->both, t->said + t->right),
                                                                 .support = t->right};
    }
    return RP_OK;
}

/* ---- the call ---- */

static rp_status answer_all(rp_eval_run *run, rp_error *err) {
    uint64_t count = rp_data_count(run->data);
    char *part = NULL;
    const char *path = run->params.predictions;
    rp_status status = path ? rp_eval_open_file(path, "predictions", &run->out, &part, err) : RP_OK;
    for (uint64_t first = 0; !status && first < count; first += run->count) {
        status = rp_eval_fill(run, first, err);
        if (!status) status = tasks[run->task].answer(run, err);
        if (!status) rp_call_progress((size_t)(first + run->count));
    }
    if (!status && !run->done)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: the model could not take one of its rows",
                         rp_path_shown(run->path));
    return part ? rp_eval_close_file(path, "predictions", &run->out, part, status, err) : status;
}

static rp_status evaluate(rp_eval_run *run, rp_visit *visit, rp_evaluation **out, rp_error *err) {
    size_t which;
    rp_status status = check_glue(run->params.glue, &which, err);
    if (!status) status = check_head(run, err);
    if (!status) status = rp_eval_check_calibration(run, err);
    if (!status) status = rp_check_output(run->params.predictions, &run->path, 1, err);
    if (!status) status = rp_check_output(run->params.calibrate, &run->path, 1, err);
    if (!status) status = open_data(run, err);
    if (!status) status = make_counts(run, err);
    if (status) return status;
    visit->total = (size_t)rp_data_count(run->data);
    status = answer_all(run, err);
    if (status) return status;
    rp_evaluation *made = rp_new(rp_evaluation);
    if (!made) return rp_fail_memory(err, "the metrics", sizeof *made);
    *made = (rp_evaluation){
        .task = run->task, .rows = run->done, .skipped = run->failed + rp_data_skipped(run->data)};
    status = sum_up(run, &made->metrics, err);
    if (!status) status = list_entities(run, made, err);
    if (!status)
        status = rp_eval_calibrate(run, &made->thresholds, &made->threshold_count, &made->intent, err);
    if (!status && run->params.glue) status = choose_glue(which, &made->metrics, err);
    if (status) rp_evaluation_free(&made);
    *out = made;
    return status;
}

static void finish(rp_eval_run *run) {
    rp_data_close(&run->data);
    rp_label_map_finish(&run->map);
    rp_classes_finish(&run->classes);
    rp_arena_finish(&run->arena);
    free(run->numbers.right);
    free(run->numbers.said);
    free(run->answers.items);
    free(run->entities.types);
    free(run->flags);
    free(run->calibration.scores);
    free(run->calibration.right);
    free(run->calibration.windows);
    free(run);
}

rp_status rp_eval(rp_model *model, const char *file, const rp_eval_params *params, rp_evaluation **out,
                  rp_error *err) {
    const rp_eval_params p = params ? *params : (rp_eval_params){0};
    rp_visit visit;
    if (out) *out = NULL;
    if (!model || !file || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_eval: model, file and out must not be NULL");
    if ((unsigned)p.task > RP_EVAL_EMBED)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_eval: there is no such task");
    rp_status status = rp_check_reserved(p.reserved, RP_COUNT(p.reserved), "rp_eval", err);
    if (!status) status = rp_model_enter(model, &visit, p.call, "rp_eval", err);
    if (status) return status;
    visit.whole = true;
    rp_eval_run *run = rp_new(rp_eval_run);
    if (run) {
        *run = (rp_eval_run){.model = model, .params = p, .info = rp_model_get_info(model), .path = file};
        run->task = p.task ? p.task : task_of(run->info);
        uint32_t longest = rp_model_get_tokenizer(model) ? rp_task_max_tokens(model) : 0;
        if (run->params.max_tokens > longest) run->params.max_tokens = longest;
        status = evaluate(run, &visit, out, err);
        finish(run);
    } else {
        status = rp_fail_memory(err, "the evaluation", sizeof *run);
    }
    rp_visit_leave(&visit);
    return status;
}

void rp_evaluation_free(rp_evaluation **evaluation) {
    if (!evaluation || !*evaluation) return;
    free((*evaluation)->entities);
    free((*evaluation)->thresholds);
    rp_arena_finish(&(*evaluation)->names);
    free(*evaluation);
    *evaluation = NULL;
}

const rp_metric *rp_evaluation_metrics(const rp_evaluation *evaluation, size_t *count) {
    *count = evaluation->metrics.count;
    return evaluation->metrics.items;
}

const rp_entity_metrics *rp_evaluation_entities(const rp_evaluation *evaluation, size_t *count) {
    *count = evaluation->entity_count;
    return evaluation->entities;
}

const rp_threshold *rp_evaluation_thresholds(const rp_evaluation *evaluation, size_t *count) {
    *count = evaluation->threshold_count;
    return evaluation->thresholds;
}

const rp_threshold *rp_evaluation_intent(const rp_evaluation *evaluation) {
    return evaluation->intent ? &evaluation->thresholds[evaluation->threshold_count] : NULL;
}

rp_eval_task rp_evaluation_task(const rp_evaluation *evaluation) {
    return evaluation->task;
}

uint64_t rp_evaluation_rows(const rp_evaluation *evaluation, uint64_t *skipped) {
    if (skipped) *skipped = evaluation->skipped;
    return evaluation->rows;
}
