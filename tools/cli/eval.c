/* reprise eval: how right a model is on a file of labelled data. */
#include "session.h"
#include "stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/json_text.h"

typedef struct watch {
    rp_call call;
    bool shown; /* somebody looks at standard error */
} watch;

static void take_progress(void *user, size_t done, size_t total) {
    watch *w = user;
    if (w->shown) rp_cli_progress(done, total, done);
    if (rp_cli_stop_signal()) rp_call_cancel(&w->call);
}

/* The session is opened by a command that has a model. */
static rp_status answer_nothing(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                                rp_result **out, rp_error *err) {
    (void)session, (void)items, (void)count, (void)out, (void)err;
    return RP_OK;
}

static void write_number(rp_cli_buffer *out, const char *name, double value) {
    char number[RP_JSON_NUMBER_SIZE] = "null";
    if (isfinite(value)) rp_json_double_text(value, number);
    rp_cli_printf(out, ", \"%s\": %s", name, number);
}

/* Of each type of entities, under "entities". */
static void write_entities(const rp_evaluation *evaluation, rp_cli_buffer *out) {
    size_t count;
    const rp_entity_metrics *e = rp_evaluation_entities(evaluation, &count);
    if (rp_evaluation_task(evaluation) != RP_EVAL_TAG) return;
    rp_cli_puts(out, ", \"entities\": [");
    for (size_t i = 0; i < count; i++, e++) {
        rp_cli_puts(out, i ? ", {\"type\": " : "{\"type\": ");
        rp_cli_json_string(out, e->type, strlen(e->type));
        write_number(out, "precision", e->precision);
        write_number(out, "recall", e->recall);
        write_number(out, "f1", e->f1);
        rp_cli_printf(out, ", \"support\": %llu}", (unsigned long long)e->support);
    }
    rp_cli_puts(out, "]");
}

static void write_threshold(const rp_threshold *t, rp_cli_buffer *out) {
    rp_cli_puts(out, "\"threshold\": ");
    rp_cli_json_double(out, t->threshold);
    write_number(out, "precision", t->precision);
    write_number(out, "recall", t->recall);
    rp_cli_printf(out, ", \"support\": %llu, \"reached\": %s}", (unsigned long long)t->support,
                  t->reached ? "true" : "false");
}

/* Of each label, under "thresholds". */
static void write_thresholds(const rp_evaluation *evaluation, rp_cli_buffer *out) {
    size_t count;
    const rp_threshold *t = rp_evaluation_thresholds(evaluation, &count);
    for (size_t i = 0; i < count; i++, t++) {
        rp_cli_puts(out, i ? ", {\"label\": " : ", \"thresholds\": [{\"label\": ");
        rp_cli_json_string(out, t->label, strlen(t->label));
        rp_cli_puts(out, ", ");
        write_threshold(t, out);
        if (i + 1 == count) rp_cli_puts(out, "]");
    }
    if (!rp_evaluation_intent(evaluation)) return;
    rp_cli_puts(out, ", \"intent\": {");
    write_threshold(rp_evaluation_intent(evaluation), out);
}

static void write_json(const rp_evaluation *evaluation, rp_cli_buffer *out) {
    static const char *const tasks[] = {"",       "classify", "multilabel", "regress", "tag",
                                        "answer", "choose",   "order",      "mlm",     "embed"};
    size_t count;
    uint64_t skipped, rows = rp_evaluation_rows(evaluation, &skipped);
    const rp_metric *metrics = rp_evaluation_metrics(evaluation, &count);
    rp_cli_printf(out, "{\"task\": \"%s\", \"rows\": %llu, \"skipped\": %llu",
                  tasks[rp_evaluation_task(evaluation)], (unsigned long long)rows,
                  (unsigned long long)skipped);
    for (size_t i = 0; i < count; i++) write_number(out, metrics[i].name, metrics[i].value);
    write_entities(evaluation, out);
    write_thresholds(evaluation, out);
    rp_cli_puts(out, "}\n");
}

static void put_threshold(const rp_threshold *t, const char *label, rp_cli_buffer *out) {
    if (!t->support)
        rp_cli_printf(out, "%-22s %9.4f         -        -        0  no row has it\n", label, t->threshold);
    else
        rp_cli_printf(out, "%-22s %9.4f %9.4f %8.4f %8llu%s\n", label, t->threshold, t->precision, t->recall,
                      (unsigned long long)t->support, t->reached ? "" : "  below the target");
}

static void write_people(const rp_evaluation *evaluation, rp_cli_buffer *out) {
    size_t count;
    uint64_t skipped, rows = rp_evaluation_rows(evaluation, &skipped);
    const rp_metric *metrics = rp_evaluation_metrics(evaluation, &count);
    rp_cli_printf(out, "%llu row%s", (unsigned long long)rows, rows == 1 ? "" : "s");
    if (skipped) rp_cli_printf(out, ", %llu left out", (unsigned long long)skipped);
    rp_cli_puts(out, "\n");
    for (size_t i = 0; i < count; i++)
        if (isfinite(metrics[i].value))
            rp_cli_printf(out, "%-22s %.4f\n", metrics[i].name, metrics[i].value);
        else
            rp_cli_printf(out, "%-22s not defined\n", metrics[i].name);
    const rp_entity_metrics *e = rp_evaluation_entities(evaluation, &count);
    if (count) rp_cli_puts(out, "\nentities               precision   recall       f1  support\n");
    for (size_t i = 0; i < count; i++, e++)
        rp_cli_printf(out, "%-22s %9.4f %8.4f %8.4f %8llu\n", e->type, e->precision, e->recall, e->f1,
                      (unsigned long long)e->support);
    const rp_threshold *t = rp_evaluation_thresholds(evaluation, &count);
    if (count) rp_cli_puts(out, "\nthresholds             threshold precision   recall  support\n");
    for (size_t i = 0; i < count; i++, t++) put_threshold(t, t->label, out);
    if (rp_evaluation_intent(evaluation))
        put_threshold(rp_evaluation_intent(evaluation), "(intents of chat)", out);
}

static void say_missing(const rp_evaluation *evaluation) {
    size_t count, missing = 0;
    const rp_threshold *t = rp_evaluation_thresholds(evaluation, &count), *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (t[i].support) continue;
        if (!missing++) first = &t[i];
    }
    if (!missing) return;
    rp_cli_complain("eval: no row has the label \"%s\": its threshold stays 0.5; add rows that have it",
                    first->label);
    if (missing > 1) rp_cli_complain("eval: so it is with %zu of %zu labels", missing, count);
}

/* The exit status. */
static int evaluate(const rp_cli_session *session, const rp_cli_options *o, rp_cli_output *out) {
    watch w = {.call = {.progress = take_progress, .user = &w}, .shown = isatty(STDERR_FILENO)};
    const rp_eval_params params = {.task = o->task,
                                   .skip_bad = o->skip_bad,
                                   .max_tokens = o->max_length,
                                   .stride = o->stride,
                                   .max_answer_tokens = o->max_answer_length,
                                   .format = o->data_format,
                                   .text_column = o->text_column,
                                   .pair_column = o->pair_column,
                                   .label_column = o->label_column,
                                   .glue = o->glue,
                                   .predictions = o->predictions,
                                   .calibrate = o->calibrate,
                                   .target_precision = o->target_precision,
                                   .target_recall = o->target_recall,
                                   .call = &w.call};
    rp_evaluation *evaluation = NULL;
    rp_error err = {0};
    rp_cli_progress_begin();
    rp_cli_stop_expected(true);
    rp_status status = rp_eval(session->model, o->texts[0], &params, &evaluation, &err);
    rp_cli_stop_expected(false);
    rp_cli_progress_end();
    if (status) {
        int signal = rp_cli_stop_signal();
        rp_cli_complain("eval: %s", err.message);
        return signal ? 128 + signal : 1;
    }
    say_missing(evaluation);
    (o->json ? write_json : write_people)(evaluation, &out->buffer);
    rp_evaluation_free(&evaluation);
    return 0;
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    static const rp_cli_command command = {.name = "eval", .bundled = "sentiment", .run = answer_nothing};
    rp_cli_session session;
    rp_error err = {0};
    if (options->text_count != 1) {
        rp_cli_complain("eval: takes one FILE of labelled data; try 'reprise eval --help'");
        return 2;
    }
    if (rp_cli_session_open(&session, &command, options, &err)) {
        rp_cli_complain("eval: %s", err.message);
        return 1;
    }
    int exit_status = evaluate(&session, options, out);
    rp_cli_session_close(&session);
    return exit_status;
}

static const char help_eval[] =
    "How right is a model? Answers every row of FILE, a file of labelled data, and\n"
    "compares with its labels:\n"
    "  classify    loss, accuracy, f1 (of label 1; of more than two labels\n"
    "              f1_macro), matthews_correlation\n"
    "  multilabel  accuracy (all labels of a row), f1_micro, f1_macro\n"
    "  regress     mse, pearson, spearmanr\n"
    "  tag         precision, recall and f1 of entities, accuracy of tags\n"
    "  answer      exact_match, f1; of SQuAD 2.0 also of questions with and without\n"
    "              an answer, and with the best threshold\n"
    "  choose      loss, accuracy\n"
    "  order       accuracy\n"
    "  embed       pearson, spearmanr, of labels and cosines of pairs\n"
    "  mlm         mlm_loss, mlm_accuracy, perplexity, sop_loss, sop_accuracy, of\n"
    "              prepared instances of pre-training (reprise(1) shows them)\n"
    "Tables have a header with GLUE's names (sentence, sentence1 and sentence2, text,\n"
    "label, ...) or the names of --text-column, --pair-column and --label-column.\n"
    "Labels are the model's, by name or by number.\n"
    "\n"
    "JSON: one object: task, rows, skipped, and the metrics, null where one is not\n"
    "defined; of tag also entities, and with --calibrate thresholds and intent.\n"
    "\n"
    "--calibrate OUT writes a threshold for each label of classify (but the first,\n"
    "which means that nothing is wrong) and multilabel, for moderate, and one for the\n"
    "intents of chat. Both find them in thresholds.json of the model's folder.\n"
    "\n"
    "Examples:\n"
    "  reprise eval -m sentiment --task classify dev.tsv\n"
    "  reprise eval -m intents --label-column category --predictions out.jsonl t.csv\n"
    "  reprise eval -m squad2 --task answer --json dev-v2.0.json\n"
    "  reprise eval -m spam --calibrate t.json --target-recall 0.95 dev.jsonl\n";

const rp_cli_command rp_cli_command_eval = {
    .name = "eval",
    .arguments = "FILE",
    .summary = "how right a model is, on labelled data",
    .help = help_eval,
    .options = RP_CLI_MODEL | RP_CLI_DEVICE | RP_CLI_PRECISION | RP_CLI_HEAD | RP_CLI_JSON |
               RP_CLI_MAX_LENGTH | RP_CLI_STRIDE | RP_CLI_MAX_ANSWER | RP_CLI_EVAL,
    .shape = RP_CLI_SHAPE_NONE,
    .bundled = "sentiment",
    .main = run,
};
