/* bench --accuracy: a classifier on a table of labelled texts. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The table: one text and its label a line. */
typedef struct table {
    char *data;       /* the file */
    rp_input *inputs; /* [count] */
    uint32_t *labels; /* [count]: rows of the classifier */
    size_t count;
} table;

static void table_free(table *t) {
    free(t->data);
    free(t->inputs);
    free(t->labels);
}

/* The row of the classifier that `name` means: a label, or its number. */
static bool find_label(const rp_model_info *info, rp_text name, uint32_t *out) {
    char digits[12] = "";
    for (uint32_t i = 0; i < info->label_count; i++) {
        *out = i;
        if (strlen(info->labels[i]) == name.size && !memcmp(info->labels[i], name.data, name.size))
            return true;
    }
    if (!name.size || name.size >= sizeof digits) return false;
    memcpy(digits, name.data, name.size);
    if (strspn(digits, "0123456789") < name.size) return false;
    unsigned long long number = strtoull(digits, NULL, 10);
    *out = (uint32_t)number;
    return number < info->label_count;
}

/* Cut line[0..size) at its first tab, or at its last one. */
static bool cut(const char *line, size_t size, bool last, rp_text *left, rp_text *right) {
    const char *tab = memchr(line, '\t', size);
    for (const char *next = tab; last && next; next = memchr(tab + 1, '\t', size - (size_t)(tab + 1 - line)))
        tab = next;
    if (!tab) return false;
    *left = (rp_text){line, (size_t)(tab - line)};
    *right = (rp_text){tab + 1, size - left->size - 1};
    return true;
}

static bool is_line(const char *line, size_t size, const char *what) {
    return size == strlen(what) && !memcmp(line, what, size);
}

/* "label<TAB>sentence" lines; or, below a first line "sentence<TAB>label", the other way round. */
static rp_status read_table(const char *path, const rp_model_info *info, table *t, rp_error *err) {
    rp_cli_buffer file = {0};
    rp_status status = rp_cli_bench_read(path, &file, err);
    bool label_last = false;
    t->data = file.data;
    if (status) return status;
    size_t at = file.size >= 3 && !memcmp(file.data, "\xEF\xBB\xBF", 3) ? 3 : 0;
    for (size_t number = 1, next; at < file.size; at = next, number++) {
        const char *line = file.data + at, *end = memchr(line, '\n', file.size - at);
        size_t size = end ? (size_t)(end - line) : file.size - at;
        next = at + size + 1;
        if (size && line[size - 1] == '\r') size--;
        if (number == 1 &&
            (is_line(line, size, "sentence\tlabel") || is_line(line, size, "label\tsentence"))) {
            label_last = line[0] == 's';
            continue;
        }
        rp_text label, text;
        if (!cut(line, size, label_last, label_last ? &text : &label, label_last ? &label : &text))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %zu has no tab", rp_cli_bench_file(path), number);
        t->inputs = rp_cli_realloc(t->inputs, (t->count + 1) * sizeof *t->inputs);
        t->labels = rp_cli_realloc(t->labels, (t->count + 1) * sizeof *t->labels);
        t->inputs[t->count] = (rp_input){.text = text};
        if (!find_label(info, label, &t->labels[t->count++]))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %zu: the model has no label '%.*s'",
                           rp_cli_bench_file(path), number, label.size < 40 ? (int)label.size : 40,
                           label.data);
    }
    if (!t->count)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: holds no labelled text", rp_cli_bench_file(path));
    return RP_OK;
}

/* The score of every label of every text: [count, label_count]. */
static rp_status score(rp_model *model, const table *t, float *scores, size_t *right, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(model);
    const size_t at_once = 256;
    rp_status status = RP_OK;
    *right = 0;
    for (size_t first = 0; !status && first < t->count; first += at_once) {
        size_t count = t->count - first < at_once ? t->count - first : at_once;
        rp_result *result = NULL;
        status = rp_classify(model, t->inputs + first, count, NULL, &result, err);
        for (size_t i = 0; !status && i < count; i++) {
            const char *message;
            size_t labels = 0;
            status = rp_result_status(result, i, &message);
            if (status) {
                rp_fail(err, status, "text %zu: %.200s", first + i + 1, message);
                break;
            }
            const rp_label *label = rp_result_labels(result, i, &labels);
            *right += labels && label[0].index == t->labels[first + i];
            for (size_t n = 0; n < labels; n++)
                scores[(first + i) * info->label_count + label[n].index] = label[n].score;
        }
        rp_result_free(&result);
    }
    return status;
}

static void put_accuracy(rp_cli_bench_job *job, const char *dir, const table *t, size_t right,
                         double difference) {
    rp_cli_buffer *out = &job->out->buffer;
    double accuracy = 100.0 * (double)right / (double)t->count;
    if (job->options->json) {
        rp_cli_puts(out, "{");
        rp_cli_bench_json_device(job->device, out);
        rp_cli_puts(out, ", \"model\": ");
        rp_cli_json_string(out, dir, strlen(dir));
        rp_cli_printf(out, ", \"precision\": \"%s\", \"texts\": %zu, \"right\": %zu",
                      rp_cli_precision_name(job->options->precision), t->count, right);
        rp_cli_json_key(out, "accuracy", accuracy);
        rp_cli_json_key(out, "largest_difference", difference);
        rp_cli_puts(out, "}\n");
        return;
    }
    rp_cli_bench_heading(job);
    rp_cli_printf(out, "  precision      %s\n  accuracy       %.2f %%, %zu of %zu texts\n",
                  rp_cli_precision_name(job->options->precision), accuracy, right, t->count);
    rp_cli_printf(out, "  difference     %.3g, the largest of a score against f32\n", difference);
}

/* The largest difference of a score from what float32 weights give; the default computes the same as these.
 * The session goes on with them: two models at once may not fit the device. */
static rp_status compare(rp_cli_session *session, rp_cli_options *options, const table *t,
                         const float *scores, double *difference, rp_error *err) {
    rp_cli_session_close(session);
    options->precision = RP_PRECISION_F32;
    rp_status status = rp_cli_session_open(session, rp_cli_find_command("classify"), options, err);
    if (status) return status;
    size_t count = t->count * session->info->label_count, right = 0;
    float *exact = rp_cli_calloc(count, sizeof *exact);
    status = score(session->model, t, exact, &right, err);
    for (size_t i = 0; i < count; i++) {
        double off = exact[i] > scores[i] ? exact[i] - scores[i] : scores[i] - exact[i];
        if (off > *difference) *difference = off;
    }
    free(exact);
    return status;
}

rp_status rp_cli_bench_accuracy(rp_cli_bench_job *job, rp_error *err) {
    rp_cli_session session;
    rp_cli_options options = *job->options;
    table t = {0};
    size_t right = 0;
    double difference = 0;
    float *scores = NULL;
    /* the model of `classify`: the one given, or the bundled one */
    rp_status status = rp_cli_session_open(&session, rp_cli_find_command("classify"), &options, err);
    if (status) return status;
    if (!session.info->label_count) status = rp_fail(err, RP_ERROR_HEAD, "%s has no labels", session.dir);
    if (!status) status = read_table(job->options->accuracy, session.info, &t, err);
    if (!status) {
        scores = rp_cli_calloc(t.count * session.info->label_count, sizeof *scores);
        status = score(session.model, &t, scores, &right, err);
    }
    if (!status && options.precision > RP_PRECISION_F32)
        status = compare(&session, &options, &t, scores, &difference, err);
    if (!status) put_accuracy(job, session.dir, &t, right, difference);
    free(scores);
    table_free(&t);
    rp_cli_session_close(&session);
    return status;
}
