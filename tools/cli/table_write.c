/* The rows of a table as they were, with the answers behind them. */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/json_text.h"
#include "session.h"

/* What a command writes behind the columns of the table; ends with NULL. "error" follows. */
static const char *const *answers_of(const rp_cli_table *t) {
    const char *command = t->command;
    static const char *const classes[] = {"label", "score", NULL};
    static const char *const spans[] = {"answer", "score", "start", "end", NULL};
    static const char *const found[] = {"answer", "score", "document", NULL};
    static const char *const others[] = {"answer", NULL};
    bool labels = !strcmp(command, "classify") || !strcmp(command, "coherence");
    if (t->shape == RP_CLI_SHAPE_ASK && !strcmp(command, "answer")) return found;
    return labels ? classes : !strcmp(command, "answer") ? spans : others;
}

/* ---- fields ---- */

static bool needs_quotes(const rp_cli_table *t, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (data[i] == t->separator || data[i] == '"' || data[i] == '\n' || data[i] == '\r') return true;
    return false;
}

/* TSV has no quotes: what ends a field becomes a blank. */
static void put_literal(const char *data, size_t size, rp_cli_buffer *out) {
    for (size_t i = 0; i < size; i++) {
        bool ends = data[i] == '\t' || data[i] == '\n' || data[i] == '\r';
        rp_cli_put(out, ends ? " " : &data[i], 1);
    }
}

/* One field, with quotes where it needs them. */
static void put_field(const rp_cli_table *t, const char *data, size_t size, rp_cli_buffer *out) {
    if (t->options->tsv) {
        put_literal(data, size, out);
        return;
    }
    if (!needs_quotes(t, data, size)) {
        rp_cli_put(out, data, size);
        return;
    }
    rp_cli_puts(out, "\"");
    while (size) {
        const char *quote = memchr(data, '"', size);
        size_t piece = quote ? (size_t)(quote - data) + 1 : size;
        rp_cli_put(out, data, piece);
        if (quote) rp_cli_puts(out, "\"");
        data += piece;
        size -= piece;
    }
    rp_cli_puts(out, "\"");
}

static void put_separator(const rp_cli_table *t, rp_cli_buffer *out) {
    rp_cli_put(out, &t->separator, 1);
}

/* ---- rows ---- */

/* A field of a row that failed, whose bytes may be no text: U+FFFD stands for those. */
static void put_failed(const rp_cli_table *t, const char *data, size_t size, rp_cli_buffer *out) {
    rp_cli_buffer text = {0};
    for (size_t at = 0, bytes; at < size; at += bytes) {
        uint32_t point;
        bytes = rp_cli_utf8(data + at, size - at, &point);
        rp_cli_put(&text, bytes ? data + at : "\xef\xbf\xbd", bytes ? bytes : 3);
        if (!bytes) bytes = 1;
    }
    put_field(t, text.data ? text.data : "", text.size, out);
    out->cut = out->cut || text.cut;
    free(text.data);
}

/* A row that could not be cut into fields: all of it in the first column, as text. */
static void put_broken(const rp_cli_table *t, const rp_table_row *row, rp_cli_buffer *out) {
    put_failed(t, row->data, row->size, out);
    for (size_t i = 1; i < t->columns; i++) put_separator(t, out);
}

void rp_cli_table_put_row(const rp_cli_table *t, const rp_table_row *row, rp_cli_buffer *out) {
    bool good = row->count == t->columns && !row->mistake[0];
    if (good && t->reader.separator == t->separator) {
        rp_cli_put(out, row->data, row->size);
        return;
    }
    if (!row->count) {
        put_broken(t, row, out);
        return;
    }
    for (size_t i = 0; i < t->columns; i++) {
        if (i) put_separator(t, out);
        if (i >= row->count) continue;
        const rp_table_field *field = &row->fields[i];
        if (i + 1 == t->columns && row->count > t->columns) /* what there is too much of */
            put_failed(t, row->data + field->at, row->size - field->at, out);
        else
            put_failed(t, field->data, field->size, out);
    }
}

/* ---- the header ---- */

static bool is_taken(const rp_table_row *row, const char *name) {
    for (size_t i = 0; i < row->count; i++)
        if (row->fields[i].size == strlen(name) && !memcmp(row->fields[i].data, name, row->fields[i].size))
            return true;
    return false;
}

/* What the new column `name` is called: another name where that is taken. */
static void free_name(const rp_table_row *row, const char *name, char out[64]) {
    snprintf(out, 64, "%s", name);
    for (int i = 1; is_taken(row, out); i++)
        snprintf(out, 64, i > 1 ? "reprise_%s_%d" : "reprise_%s", name, i);
}

void rp_cli_table_put_header(rp_cli_table *t, const rp_table_row *row, const char *file) {
    const char *const *answers = answers_of(t);
    rp_cli_put(&t->header, row->data, row->size);
    for (size_t i = 0, last = 0; !last; i++) {
        const char *name = answers[i] ? answers[i] : "error";
        char chosen[64];
        last = !answers[i];
        free_name(row, name, chosen);
        put_separator(t, &t->header);
        rp_cli_puts(&t->header, chosen);
        if (strcmp(chosen, name) && !t->options->json)
            rp_cli_complain("%s: has a column '%s' already; the new one is called '%s'", file, name, chosen);
    }
    rp_cli_puts(&t->header, t->end);
}

/* ---- answers ---- */

static void put_score(const rp_cli_table *t, float score, rp_cli_buffer *out) {
    char digits[RP_JSON_NUMBER_SIZE];
    rp_json_float_text(score, digits);
    put_separator(t, out);
    rp_cli_puts(out, digits);
}

static void put_string(const rp_cli_table *t, const char *text, size_t size, rp_cli_buffer *out) {
    put_separator(t, out);
    put_field(t, text, size, out);
}

static void put_span(const rp_cli_table *t, const rp_cli_item *item, const rp_answer *a, rp_cli_buffer *out) {
    rp_cli_cursor cursor = {item->pair.data, item->pair.size, 0, 0};
    size_t end = a->span.end < item->pair.size ? a->span.end : item->pair.size;
    size_t start = a->span.start < end ? a->span.start : end;
    put_string(t, item->pair.data + start, end - start, out);
    put_score(t, a->score, out);
    for (int i = 0; i < 2; i++) {
        put_separator(t, out);
        rp_cli_printf(out, "%zu", rp_cli_point(&cursor, i ? end : start));
    }
}

void rp_cli_table_answer(const rp_cli_answer *answer, const char *json, size_t size, rp_cli_buffer *out) {
    const rp_cli_item *item = answer->item;
    const rp_cli_table *t = item->table;
    const char *second = answers_of(t)[1];
    size_t count = 0;
    rp_cli_put(out, item->before, item->before_size);
    if (t->shape == RP_CLI_SHAPE_QUESTION) {
        static const rp_answer none = {.text = ""};
        const rp_answer *answers = rp_result_answers(answer->result, answer->index, &count);
        put_span(t, item, answers && count ? answers : &none, out);
    } else if (t->shape == RP_CLI_SHAPE_ASK && second) {
        const rp_source *source = rp_result_sources(answer->result, answer->index, NULL);
        const rp_answer *a = rp_result_answers(answer->result, answer->index, NULL);
        put_string(t, a->text, strlen(a->text), out);
        put_score(t, a->score, out);
        put_string(t, source->document, strlen(source->document), out);
    } else if (!second) {
        put_string(t, json, size, out);
    } else {
        const rp_label *labels = rp_result_labels(answer->result, answer->index, &count);
        float order = rp_result_in_order(answer->result, answer->index);
        const char *label = labels && count ? labels[0].label : order >= 0.5f ? "in_order" : "swapped";
        put_string(t, label, strlen(label), out);
        put_score(t, labels && count ? labels[0].score : order, out);
    }
    put_separator(t, out);
    rp_cli_puts(out, t->end);
}

void rp_cli_table_failure(const rp_cli_item *item, const char *message, rp_cli_buffer *out) {
    const rp_cli_table *t = item->table;
    rp_cli_put(out, item->before, item->before_size);
    for (size_t i = 1; !item->before && i < t->columns; i++) put_separator(t, out); /* memory was short */
    for (const char *const *a = answers_of(t); *a; a++) put_separator(t, out);
    put_string(t, message, strlen(message), out);
    rp_cli_puts(out, t->end);
}
