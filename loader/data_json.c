/* Rows that are JSON: an object a line, and SQuAD's one object. */
#include "loader/data_parts.h"

#include <stdio.h>
#include <string.h>

#include "loader/json_text.h"

enum { MARK = 64 };

static rp_text text_of(const rp_json *value) {
    return rp_json_is(value, RP_JSON_STRING) ? (rp_text){value->text, value->count} : (rp_text){0};
}

/* ---- labels ---- */

/* A name, or a number as Python would write it. */
static rp_status label_of(rp_data *d, const rp_json *value, rp_text *out, rp_error *err) {
    char number[RP_JSON_NUMBER_SIZE];
    switch (value->type) {
    case RP_JSON_STRING:
        *out = text_of(value);
        return RP_OK;
    case RP_JSON_TRUE:
    case RP_JSON_FALSE:
        *out = value->type == RP_JSON_TRUE ? RP_TEXT("true") : RP_TEXT("false");
        return RP_OK;
    case RP_JSON_INTEGER:
        snprintf(number, sizeof number, "%lld", (long long)value->integer);
        break;
    case RP_JSON_REAL:
        if (value->real - value->real != 0) return rp_fail(err, RP_ERROR_FORMAT, "a label is not finite");
        rp_json_double_text(value->real, number);
        break;
    default:
        return rp_fail(err, RP_ERROR_FORMAT, "a label is %s, must be a string or a number",
                       rp_json_kind(value));
    }
    *out = (rp_text){rp_arena_copy(&d->arena, number, strlen(number)), strlen(number)};
    return out->data ? RP_OK : rp_fail_memory(err, "the labels of a row", sizeof number);
}

/* One value, or each of a list, to `*out`. */
static rp_status texts_of(rp_data *d, const rp_json *value, const char *what, bool strings,
                          const rp_text **out, size_t *count, rp_error *err) {
    bool list = value->type == RP_JSON_ARRAY;
    *count = list ? value->count : 1;
    rp_text *texts = rp_arena_alloc(&d->arena, *count, sizeof *texts);
    if (!texts) return rp_fail_memory(err, "a row", *count * sizeof *texts);
    *out = texts;
    for (size_t i = 0; i < *count; i++) {
        const rp_json *item = list ? &value->items[i] : value;
        if (strings && item->type != RP_JSON_STRING)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: entry %zu is %s, must be a string", what, i + 1,
                           rp_json_kind(item));
        rp_status status = label_of(d, item, &texts[i], err);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status list_of(rp_data *d, const rp_json *value, const char *what, const rp_text **out,
                         size_t *count, rp_error *err) {
    if (value->type != RP_JSON_ARRAY || !value->count)
        return rp_fail(err, RP_ERROR_FORMAT, "%s is %s, must be a list with something in it", what,
                       value->type == RP_JSON_ARRAY ? "empty" : rp_json_kind(value));
    return texts_of(d, value, what, true, out, count, err);
}

/* ---- answers ---- */

/* Note the byte of every 64th code point of the context, once for all answers. */
static rp_status mark(rp_data *d, const rp_json *context, rp_error *err) {
    if (d->marked == context) return RP_OK;
    d->marked = NULL;
    d->mark_count = 0;
    d->points = 0;
    for (uint32_t i = 0; i < context->count; i++) {
        if ((context->text[i] & 0xC0) == 0x80) continue;
        if (d->points++ % MARK) continue;
        if (!rp_grow((void **)&d->marks, &d->mark_capacity, d->mark_count + 1, sizeof *d->marks))
            return rp_fail_memory(err, "a context", d->mark_count * sizeof *d->marks);
        d->marks[d->mark_count++] = i;
    }
    d->marked = context;
    return RP_OK;
}

/* The byte where code point `point` <= d->points begins. */
static size_t byte_of(const rp_data *d, const rp_json *context, uint64_t point) {
    if (point == d->points) return context->count;
    size_t at = d->marks[point / MARK];
    for (uint64_t left = point % MARK; left; left--)
        for (at++; (context->text[at] & 0xC0) == 0x80;) at++;
    return at;
}

static rp_status start_of(rp_data *d, const rp_json *context, const rp_json *value, rp_text answer,
                          int64_t *out, rp_error *err) {
    *out = -1;
    if (!value || value->type == RP_JSON_NULL) return RP_OK;
    rp_status status = mark(d, context, err);
    if (status) return status;
    bool inside =
        value->type == RP_JSON_INTEGER && value->integer >= 0 && (uint64_t)value->integer <= d->points;
    if (inside) *out = (int64_t)byte_of(d, context, (uint64_t)value->integer);
    if (inside && answer.size <= context->count - (size_t)*out &&
        !memcmp(context->text + *out, answer.data, answer.size))
        return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT,
                   "answer_start of '%.*s' is not where the context has it; count code points from 0",
                   rp_label_fit(answer), answer.data);
}

/* [{"text", "answer_start"}, ...], ["text", ...], {"text": [...], "answer_start": [...]} or "text". */
static rp_status answers_of(rp_data *d, const rp_json *context, const rp_json *value, rp_data_row *row,
                            rp_error *err) {
    const rp_json *columns = value->type == RP_JSON_OBJECT ? rp_json_get(value, "text") : NULL;
    const rp_json *starts = columns ? rp_json_get(value, "answer_start") : NULL;
    const rp_json *list = columns ? columns : value;
    bool many = list->type == RP_JSON_ARRAY;
    row->item_count = many ? list->count : 1;
    rp_text *items = rp_arena_alloc(&d->arena, row->item_count, sizeof *items);
    int64_t *begins = rp_arena_alloc(&d->arena, row->item_count, sizeof *begins);
    if (!items || !begins) return rp_fail_memory(err, "the answers of a row", 24ull * row->item_count);
    row->items = items;
    row->starts = begins;
    row->labelled = true;
    for (size_t i = 0; i < row->item_count; i++) {
        const rp_json *item = many ? &list->items[i] : list, *start = NULL;
        if (rp_json_is(starts, RP_JSON_ARRAY) && i < starts->count) start = &starts->items[i];
        if (item->type == RP_JSON_OBJECT) {
            start = rp_json_get(item, "answer_start");
            item = rp_json_get(item, "text");
        }
        items[i] = text_of(item);
        if (!items[i].data)
            return rp_fail(err, RP_ERROR_FORMAT, "answers: entry %zu has no text; write it as SQuAD does",
                           i + 1);
        rp_status status = start_of(d, context, start, items[i], &begins[i], err);
        if (status) return status;
    }
    return RP_OK;
}

static rp_status question_of(rp_data *d, const rp_json *question, const rp_json *context, rp_data_row *row,
                             rp_error *err) {
    const rp_json *answers = rp_json_get(question, "answers"), *id = rp_json_get(question, "id");
    row->kind = RP_DATA_QUESTION;
    row->text = text_of(rp_json_get(question, "question"));
    row->pair = text_of(context);
    if (id && id->type == RP_JSON_STRING) row->id = text_of(id);
    if (id && id->type == RP_JSON_INTEGER) {
        rp_status status = label_of(d, id, &row->id, err);
        if (status) return status;
    }
    if (!row->text.data || !row->pair.data)
        return rp_fail(err, RP_ERROR_FORMAT, "%s is no string; write the text of it",
                       row->text.data ? "context" : "question");
    return answers && answers->type != RP_JSON_NULL ? answers_of(d, context, answers, row, err) : RP_OK;
}

/* ---- an object a line ---- */

static void find_texts(const rp_data *d, const rp_json *root, const rp_json *found[2]) {
    const rp_data_params *p = &d->params;
    found[0] = found[1] = NULL;
    for (size_t i = 0; !p->text_column && i < RP_DATA_PAIRS && !(found[0] && found[1]); i++) {
        found[0] = rp_json_get(root, rp_data_pairs[i][0]);
        found[1] = rp_json_get(root, rp_data_pairs[i][1]);
    }
    if (!found[0] || !found[1]) found[0] = found[1] = NULL;
    for (size_t i = 0; !p->text_column && i < RP_DATA_TEXTS && !found[0]; i++)
        found[0] = rp_json_get(root, rp_data_texts[i]);
    if (p->text_column) found[0] = rp_json_get(root, p->text_column);
    if (p->pair_column) found[1] = rp_json_get(root, p->pair_column);
}

/* The labels of an object, whatever they are called; NULL: it has none. */
static const rp_json *find_label(const rp_data *d, const rp_json *root, const char *otherwise) {
    const rp_json *found = d->params.label_column ? rp_json_get(root, d->params.label_column) : NULL;
    if (!d->params.label_column && otherwise) found = rp_json_get(root, otherwise);
    for (size_t i = 0; !d->params.label_column && i < RP_DATA_KEYS && !found; i++)
        found = rp_json_get(root, rp_data_labels[i]);
    return rp_json_is(found, RP_JSON_NULL) ? NULL : found;
}

static rp_status labels_of(rp_data *d, const rp_json *value, rp_data_row *row, rp_error *err) {
    row->labelled = value;
    return value ? texts_of(d, value, "labels", false, &row->labels, &row->label_count, err) : RP_OK;
}

rp_status rp_data_row_json(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err) {
    const rp_json_flags flags = {.nul = true, .large = true};
    rp_json_mistake mistake;
    rp_json_finish(&d->json);
    d->marked = NULL;
    if (unit->size > RP_TABLE_ROW_MAX) return rp_fail(err, RP_ERROR_FORMAT, "the row is too long; cut it");
    if (!rp_json_read(unit->data, unit->size, flags, &d->json, &mistake))
        return mistake.memory ? rp_fail_memory(err, "a row of the data", unit->size)
                              : rp_fail(err, RP_ERROR_FORMAT, "not valid JSON: %s at byte %zu", mistake.text,
                                        mistake.position + 1);
    const rp_json *root = &d->json.root, *texts[2];
    if (root->type != RP_JSON_OBJECT)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "is %s, must be an object such as {\"text\": ..., \"label\": ...}",
                       rp_json_kind(root));
    if (d->params.kind == RP_DATA_INSTANCE || rp_json_get(root, "masked_positions"))
        return rp_data_row_instance(d, root, row, err);
    const rp_json *tokens = rp_json_get(root, "tokens"), *choices = rp_json_get(root, "choices");
    const rp_json *context = rp_json_get(root, "context"), *question = rp_json_get(root, "question");
    if (tokens) {
        row->kind = RP_DATA_TOKENS;
        const rp_json *tags = find_label(d, root, rp_json_get(root, "ner_tags") ? "ner_tags" : "tags");
        rp_status status = list_of(d, tokens, "tokens", &row->items, &row->item_count, err);
        return status ? status : labels_of(d, tags, row, err);
    }
    if (context && question && (rp_json_get(root, "answers") || !find_label(d, root, NULL)))
        return question_of(d, root, context, row, err);
    find_texts(d, root, texts);
    row->text = text_of(texts[0]);
    row->pair = text_of(texts[1]);
    if (!row->text.data)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "has no text; write it as \"text\", or name its key with --text-column");
    if (texts[1] && !row->pair.data && texts[1]->type != RP_JSON_NULL)
        return rp_fail(err, RP_ERROR_FORMAT, "the second text is %s, must be a string",
                       rp_json_kind(texts[1]));
    row->kind = choices ? RP_DATA_CHOICES : RP_DATA_TEXT;
    rp_status status = choices ? list_of(d, choices, "choices", &row->items, &row->item_count, err) : RP_OK;
    return status ? status : labels_of(d, find_label(d, root, NULL), row, err);
}

/* ---- SQuAD ---- */

static rp_status add_questions(rp_data *d, const rp_json *paragraph, rp_error *err) {
    const rp_json *context = rp_json_get(paragraph, "context"), *list = rp_json_get(paragraph, "qas");
    for (uint32_t i = 0; i < rp_json_count(list, RP_JSON_ARRAY); i++) {
        if (!rp_grow((void **)&d->questions, &d->question_capacity, d->question_count + 1,
                     sizeof *d->questions))
            return rp_fail_memory(err, "the questions", d->question_count * sizeof *d->questions);
        d->questions[d->question_count].context = context;
        d->questions[d->question_count++].question = &list->items[i];
    }
    return RP_OK;
}

rp_status rp_data_squad_open(rp_data *d, rp_error *err) {
    rp_status status = rp_json_load(d->path, &d->json, err);
    if (status) return status;
    const rp_json *articles = rp_json_get(&d->json.root, "data");
    if (!rp_json_is(articles, RP_JSON_ARRAY))
        return rp_fail(
            err, RP_ERROR_FORMAT,
            "%s: data: is %s, must be SQuAD's list of articles; where each line is an object of its "
            "own, the format is jsonl",
            rp_path_shown(d->path), rp_json_kind(articles));
    for (uint32_t i = 0; i < articles->count; i++) {
        const rp_json *paragraphs = rp_json_get(&articles->items[i], "paragraphs");
        for (uint32_t k = 0; !status && k < rp_json_count(paragraphs, RP_JSON_ARRAY); k++)
            status = add_questions(d, &paragraphs->items[k], err);
    }
    return status;
}

rp_status rp_data_row_squad(rp_data *d, size_t i, rp_data_row *row, rp_error *err) {
    return question_of(d, d->questions[i].question, d->questions[i].context, row, err);
}
