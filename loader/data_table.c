/* Rows of tables: which columns they have, and what stands in them. */
#include "loader/data_parts.h"

#include <stdio.h>
#include <string.h>

#include "loader/utf8.h"

const char *const rp_data_pairs[RP_DATA_PAIRS][2] = {
    {"sentence1", "sentence2"}, {"question1", "question2"}, {"premise", "hypothesis"},
    {"question", "sentence"},   {"#1 String", "#2 String"}, {"text", "text_pair"},
};
const char *const rp_data_texts[RP_DATA_TEXTS] = {"text", "sentence"};
const char *const rp_data_labels[RP_DATA_LABELS] = {"label",        "labels",  "gold_label",
                                                    "is_duplicate", "Quality", "score"};

static size_t find(const rp_data_unit *unit, const char *name) {
    for (size_t i = 0; i < unit->field_count; i++)
        if (unit->fields[i].size == strlen(name) && !memcmp(unit->fields[i].data, name, strlen(name)))
            return i;
    return RP_DATA_NO_COLUMN;
}

static rp_status missing(const rp_data *d, const rp_data_unit *unit, const char *what, const char *option,
                         rp_error *err) {
    char names[200] = "";
    size_t size = 0;
    for (size_t i = 0; i < unit->field_count && size < sizeof names - 44; i++) {
        char name[41] = "";
        memcpy(name, unit->fields[i].data, unit->fields[i].size < 40 ? unit->fields[i].size : 40);
        size += (size_t)snprintf(names + size, sizeof names - size, "%s%.*s", i ? ", " : "",
                                 rp_text_fit(name, 38), name);
    }
    return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: no column of the header %s; it has %s; %s%s",
                   rp_path_shown(d->path), (unsigned long long)unit->line, what, names,
                   d->params.fixed ? "rename one" : "name one with ", d->params.fixed ? "" : option);
}

static rp_status find_named(const rp_data *d, const rp_data_unit *unit, const char *name, const char *option,
                            size_t *out, rp_error *err) {
    char what[80];
    if (!name) return RP_OK;
    *out = find(unit, name);
    snprintf(what, sizeof what, "is named '%.*s'", rp_text_fit(name, 60), name);
    return *out == RP_DATA_NO_COLUMN ? missing(d, unit, what, option, err) : RP_OK;
}

/* Which of two columns of one name is meant, nobody has said. */
static rp_status check_single(const rp_data *d, const rp_data_unit *unit, size_t column, rp_error *err) {
    if (column == RP_DATA_NO_COLUMN) return RP_OK;
    const rp_table_field *name = &unit->fields[column];
    for (size_t i = column + 1; i < unit->field_count; i++)
        if (unit->fields[i].size == name->size && !memcmp(unit->fields[i].data, name->data, name->size))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: two columns are named '%.*s'; rename one",
                           rp_path_shown(d->path), (unsigned long long)unit->line,
                           rp_label_fit((rp_text){name->data, name->size}), name->data);
    return RP_OK;
}

static void choose_usual(rp_data *d, const rp_data_unit *unit) {
    for (size_t i = 0; i < RP_DATA_PAIRS; i++) {
        d->text = find(unit, rp_data_pairs[i][0]);
        d->pair = find(unit, rp_data_pairs[i][1]);
        if (d->text != RP_DATA_NO_COLUMN && d->pair != RP_DATA_NO_COLUMN) return;
    }
    d->text = d->pair = RP_DATA_NO_COLUMN;
    for (size_t i = 0; i < RP_DATA_TEXTS && d->text == RP_DATA_NO_COLUMN; i++)
        d->text = find(unit, rp_data_texts[i]);
}

/* GLUE's own files of CoLA begin with a row such as "gj04 TAB 1 TAB TAB Our friends won't buy it." */
static bool is_cola(const rp_data *d, const rp_data_unit *unit) {
    if (d->params.format == RP_DATA_COLA) return true;
    bool tabs = d->format == RP_DATA_TSV && unit->field_count == 4 && !d->params.text_column;
    return tabs && unit->fields[1].size == 1 &&
           (*unit->fields[1].data == '0' || *unit->fields[1].data == '1');
}

rp_status rp_data_header(rp_data *d, rp_error *err) {
    const rp_data_params *p = &d->params;
    rp_data_unit unit;
    bool found;
    rp_status status = rp_data_next(d, &unit, &found, err);
    if (status) return status;
    if (!found || unit.mistake)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: %s", rp_path_shown(d->path),
                       (unsigned long long)(found ? unit.line : 1),
                       found ? unit.mistake : "the file has no rows; name one with rows of data");
    d->text = d->pair = d->label = RP_DATA_NO_COLUMN;
    if (is_cola(d, &unit)) {
        if (unit.field_count != 4)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "%s: line %llu: has %zu columns, and CoLA 4: source, label, mark, sentence",
                           rp_path_shown(d->path), (unsigned long long)unit.line, unit.field_count);
        d->label = 1;
        d->text = 3;
        rp_data_seek(d, unit.offset, unit.line);
        return RP_OK;
    }
    status = find_named(d, &unit, p->text_column, "text_column (--text-column)", &d->text, err);
    if (!status) status = find_named(d, &unit, p->pair_column, "pair_column (--pair-column)", &d->pair, err);
    if (!status)
        status = find_named(d, &unit, p->label_column, "label_column (--label-column)", &d->label, err);
    if (status) return status;
    size_t pair = d->pair;
    if (!p->text_column) choose_usual(d, &unit);
    if (p->pair_column) d->pair = pair;
    for (size_t i = 0; !p->label_column && i < RP_DATA_LABELS && d->label == RP_DATA_NO_COLUMN; i++)
        d->label = find(&unit, rp_data_labels[i]);
    if (d->text == RP_DATA_NO_COLUMN || d->text == d->pair)
        return missing(d, &unit, "is the text's", "text_column (--text-column)", err);
    if (p->labelled && d->label == RP_DATA_NO_COLUMN)
        return missing(d, &unit, "is the label's", "label_column (--label-column)", err);
    status = check_single(d, &unit, d->text, err);
    if (!status) status = check_single(d, &unit, d->pair, err);
    return status ? status : check_single(d, &unit, d->label, err);
}

/* The labels of a cell, between commas. */
static rp_status split(rp_data *d, rp_text cell, rp_data_row *row, rp_error *err) {
    size_t most = 1;
    for (size_t i = 0; i < cell.size; i++) most += cell.data[i] == ',';
    rp_text *labels = rp_arena_alloc(&d->arena, most, sizeof *labels);
    if (!labels) return rp_fail_memory(err, "the labels of a row", most * sizeof *labels);
    row->labels = labels;
    for (const char *at = cell.data, *end = cell.data + cell.size; at <= end;) {
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL, *to = comma ? comma : end;
        const char *next = to + 1;
        while (at < to && *at == ' ') at++;
        while (at < to && to[-1] == ' ') to--;
        if (at < to) labels[row->label_count++] = (rp_text){at, (size_t)(to - at)};
        at = next;
    }
    return RP_OK;
}

rp_status rp_data_row_table(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err) {
    const rp_table_field *f = unit->fields;
    row->kind = RP_DATA_TEXT;
    row->text = (rp_text){f[d->text].data, f[d->text].size};
    if (d->pair != RP_DATA_NO_COLUMN) row->pair = (rp_text){f[d->pair].data, f[d->pair].size};
    if (d->label == RP_DATA_NO_COLUMN) return RP_OK;
    rp_text cell = {f[d->label].data, f[d->label].size};
    row->labelled = cell.size || d->params.many;
    if (!row->labelled) return RP_OK;
    if (d->params.many) return split(d, cell, row, err);
    rp_text *label = rp_arena_alloc(&d->arena, 1, sizeof *label);
    if (!label) return rp_fail_memory(err, "the labels of a row", sizeof *label);
    *label = cell;
    row->labels = label;
    row->label_count = 1;
    return RP_OK;
}

/* ---- CoNLL ---- */

/* The first and the last column of a line; false: it has only one. */
static bool cut_line(const char *line, size_t size, rp_text *first, rp_text *last) {
    const char *blanks = memchr(line, '\t', size) ? "\t" : " ";
    const char *end = line + size, *at = line;
    while (at < end && *at != *blanks) at++;
    *first = (rp_text){line, (size_t)(at - line)};
    const char *from = end;
    while (from > at && from[-1] != *blanks) from--;
    *last = (rp_text){from, (size_t)(end - from)};
    return from > at && last->size;
}

rp_status rp_data_row_conll(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err) {
    size_t most = 1;
    for (size_t i = 0, step; i < unit->size; i += step) {
        step = rp_utf8_sequence((const unsigned char *)unit->data + i, unit->size - i);
        if (!step)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "byte %zu of the sentence is not UTF-8; save the file as UTF-8", i);
    }
    for (size_t i = 0; i < unit->size; i++) most += unit->data[i] == '\n';
    rp_text *tokens = rp_arena_alloc(&d->arena, most, sizeof *tokens);
    rp_text *tags = rp_arena_alloc(&d->arena, most, sizeof *tags);
    if (!tokens || !tags) return rp_fail_memory(err, "the tokens of a row", 2ull * most * sizeof *tags);
    *row = (rp_data_row){.kind = RP_DATA_TOKENS, .labelled = true, .labels = tags, .items = tokens};
    size_t line = 0;
    for (const char *at = unit->data, *end = at + unit->size; at < end; line++) {
        const char *to = memchr(at, '\n', (size_t)(end - at)), *next = to ? to + 1 : end;
        size_t size = (size_t)((to ? to : end) - at);
        while (size && (at[size - 1] == '\r' || at[size - 1] == ' ')) size--;
        bool two = cut_line(at, size, &tokens[line], &tags[line]);
        if (!tokens[line].size || two != (line ? row->labelled : two))
            return rp_fail(err, RP_ERROR_FORMAT,
                           "line %zu of the sentence has no %s; lines are a token and its tag", line + 1,
                           tokens[line].size ? "tag, or others have none" : "token");
        row->labelled = two;
        row->item_count++;
        at = next;
    }
    row->label_count = row->labelled ? row->item_count : 0;
    return RP_OK;
}
