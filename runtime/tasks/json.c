/* Results as JSON: the values that Hugging Face's pipelines give. */
#include "task.h"

#include <math.h>

typedef rp_answer_writer writer;

/* ---- places in a text ---- */

/* A byte of a text, and where its place is noted. */
typedef struct mark {
    uint32_t byte;
    uint32_t *point, *unit;
} mark;

static int by_byte(const void *left, const void *right) {
    const mark *a = left, *b = right;
    return a->byte < b->byte ? -1 : a->byte > b->byte;
}

/* One walk over the text, whatever the order of the spans. */
static void walk(rp_text text, const mark *marks, size_t count) {
    uint32_t point = 0, unit = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        for (; at < marks[i].byte && at < text.size; at++) {
            unsigned char byte = (unsigned char)text.data[at];
            point += (byte & 0xc0) != 0x80;
            unit += (byte & 0xc0) != 0x80;
            unit += byte >= 0xf0; // beyond U+FFFF UTF-16 has two units
        }
        *marks[i].point = point;
        *marks[i].unit = unit;
    }
}

rp_place *rp_result_places(rp_result *result, const rp_span *spans, size_t count, rp_text text,
                           rp_error *err) {
    rp_place *places = rp_result_array(result, NULL, count, sizeof *places, err);
    mark *marks = places ? rp_new_array(mark, 2 * (uint64_t)count) : NULL;
    if (!marks) {
        if (places) rp_fail_memory(err, "the results", (unsigned long long)count * 2 * sizeof *marks);
        return NULL;
    }
    for (size_t k = 0; k < count; k++) {
        marks[2 * k] = (mark){spans[k].start, &places[k].points.start, &places[k].units.start};
        marks[2 * k + 1] = (mark){spans[k].end, &places[k].points.end, &places[k].units.end};
    }
    qsort(marks, 2 * count, sizeof *marks, by_byte);
    walk(text, marks, 2 * count);
    free(marks);
    return places;
}

rp_status rp_result_place(rp_result *result, size_t i, rp_text text, rp_error *err) {
    rp_entry *entry = &result->entries[i];
    if (!entry->count) return RP_OK;
    rp_span *spans = rp_new_array(rp_span, entry->count);
    if (!spans) return rp_fail_memory(err, "the results", (unsigned long long)entry->count * sizeof *spans);
    for (size_t k = 0; k < entry->count; k++)
        spans[k] = entry->entities ? entry->entities[k].span : entry->answers[k].span;
    entry->places = rp_result_places(result, spans, entry->count, text, err);
    free(spans);
    return entry->places ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* ---- values ---- */

void rp_answer_float(writer *w, const char *key, float value) {
    if (!isfinite(value)) w->not_finite = true;
    rp_json_write_float(&w->json, key, isfinite(value) ? value : 0);
}

/* A label as id2label has it: most are strings, some numbers, true or false. */
static void put_label(writer *w, const char *key, const char *label, bool bare) {
    if (bare)
        rp_json_write_raw(&w->json, key, label);
    else
        rp_json_write_string(&w->json, key, label);
}

void rp_answer_span(writer *w, rp_span bytes, const rp_place *place) {
    rp_span span = w->offsets == RP_OFFSETS_BYTES   ? bytes
                   : w->offsets == RP_OFFSETS_UTF16 ? place->units
                                                    : place->points;
    rp_json_write_integer(&w->json, "start", span.start);
    rp_json_write_integer(&w->json, "end", span.end);
}

static void put_floats(writer *w, const float *values, size_t count) {
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < count; i++) rp_answer_float(w, NULL, values[i]);
    rp_json_write_close(&w->json, ']');
}

/* ---- answers ---- */

static void put_labels(writer *w, const char *key, const rp_entry *entry) {
    rp_json_write_open(&w->json, key, '[');
    for (size_t i = 0; i < entry->count; i++) {
        const rp_label *label = &entry->labels[i];
        rp_json_write_open(&w->json, NULL, '{');
        put_label(w, "label", label->label, w->result->bare && w->result->bare[label->index]);
        rp_answer_float(w, "score", label->score);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

static void put_early(writer *w, const rp_entry *entry) {
    rp_json_write_open(&w->json, NULL, '{');
    put_labels(w, "labels", entry);
    rp_json_write_integer(&w->json, "layers", entry->layers);
    rp_json_write_close(&w->json, '}');
}

static void put_explained(writer *w, const rp_entry *entry) {
    rp_json_write_open(&w->json, NULL, '{');
    put_labels(w, "labels", entry);
    rp_json_write_open(&w->json, "words", '[');
    for (size_t i = 0; i < entry->word_count; i++) {
        const rp_word *word = &entry->words[i];
        rp_json_write_open(&w->json, NULL, '{');
        rp_json_write_text(&w->json, "word", word->word, word->span.end - word->span.start);
        rp_answer_span(w, word->span, &entry->places[i]);
        rp_answer_float(w, "weight", word->weight);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
    rp_json_write_close(&w->json, '}');
}

static void put_fills(writer *w, const rp_mask_fills *fills) {
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < fills->count; i++) {
        const rp_fill *fill = &fills->items[i];
        rp_json_write_open(&w->json, NULL, '{');
        rp_answer_float(w, "score", fill->score);
        rp_json_write_integer(&w->json, "token", fill->token);
        rp_json_write_string(&w->json, "token_str", fill->piece);
        rp_json_write_string(&w->json, "sequence", fill->sequence);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

static void put_masks(writer *w, const rp_entry *entry) {
    if (entry->count == 1) {
        put_fills(w, &entry->masks[0]);
        return;
    }
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t mask = 0; mask < entry->count; mask++) put_fills(w, &entry->masks[mask]);
    rp_json_write_close(&w->json, ']');
}

/* Whether the label of an entity is one that id2label has as a number; grouping has cut "B-" off others. */
static bool is_bare(const rp_result *result, const char *label) {
    for (uint32_t row = 0; result->bare && row < result->label_count; row++)
        if (!strcmp(result->label_names[row], label)) return result->bare[row];
    return false;
}

static void put_entities(writer *w, const rp_entry *entry) {
    bool tokens = w->result->aggregation == RP_AGGREGATE_NONE;
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < entry->count; i++) {
        const rp_entity *entity = &entry->entities[i];
        rp_json_write_open(&w->json, NULL, '{');
        put_label(w, tokens ? "entity" : "entity_group", entity->label, is_bare(w->result, entity->label));
        rp_answer_float(w, "score", entity->score);
        if (tokens) rp_json_write_integer(&w->json, "index", entity->index);
        rp_json_write_string(&w->json, "word", entity->word);
        rp_answer_span(w, entity->span, &entry->places[i]);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

static void put_answer(writer *w, const rp_answer *answer, const rp_place *place) {
    rp_json_write_open(&w->json, NULL, '{');
    rp_answer_float(w, "score", answer->score);
    rp_answer_span(w, answer->span, place);
    /* As it stands in the context, NUL bytes too. */
    rp_json_write_text(&w->json, "answer", answer->text, answer->span.end - answer->span.start);
    rp_json_write_close(&w->json, '}');
}

static void put_answers(writer *w, const rp_entry *entry) {
    if (!w->result->many && entry->count) {
        put_answer(w, &entry->answers[0], &entry->places[0]);
        return;
    }
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < entry->count; i++) put_answer(w, &entry->answers[i], &entry->places[i]);
    rp_json_write_close(&w->json, ']');
}

static void put_vectors(writer *w, const rp_entry *entry) {
    if (!w->result->many) {
        put_floats(w, entry->vectors, entry->rows ? entry->columns : 0);
        return;
    }
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t row = 0; row < entry->rows; row++)
        put_floats(w, entry->vectors + row * entry->columns, entry->columns);
    rp_json_write_close(&w->json, ']');
}

static void put_order(writer *w, const rp_entry *entry) {
    rp_json_write_open(&w->json, NULL, '{');
    rp_json_write_string(&w->json, "label", entry->in_order >= 0.5f ? "in_order" : "swapped");
    rp_answer_float(w, "score", entry->in_order);
    rp_json_write_close(&w->json, '}');
}

static void put_error(writer *w, const char *message) {
    rp_json_write_open(&w->json, NULL, '{');
    rp_json_write_string(&w->json, "error", message);
    rp_json_write_close(&w->json, '}');
}

static void put_entry(writer *w, const rp_entry *entry) {
    if (w->result->write) {
        w->result->write(w, entry);
        return;
    }
    switch (w->result->head) {
    case RP_HEAD_CLASSIFIER:
        if (w->result->explained)
            put_explained(w, entry);
        else if (entry->layers)
            put_early(w, entry);
        else
            put_labels(w, NULL, entry);
        break;
    case RP_HEAD_MASKED_LM:
        put_masks(w, entry);
        break;
    case RP_HEAD_TOKENS:
        put_entities(w, entry);
        break;
    case RP_HEAD_SPANS:
        put_answers(w, entry);
        break;
    case RP_HEAD_ORDER:
        put_order(w, entry);
        break;
    default: // vectors, and the probabilities of choices
        put_vectors(w, entry);
    }
}

rp_status rp_result_json(const rp_result *result, size_t i, const rp_json_params *params, char **out,
                         size_t *size, rp_error *err) {
    size_t bytes = 0;
    if (out) *out = NULL;
    if (size) *size = 0;
    if (!result || !out || i >= result->count)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_result_json: there is no entry %zu, or result or out is NULL", i);
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, 4, "rp_result_json", err);
    if (status) return status;
    const rp_entry *entry = &result->entries[i];
    writer w = {.json = {.compact = true, .answer = true}, .result = result};
    if (params) w.offsets = params->offsets;
    if ((unsigned)w.offsets > RP_OFFSETS_UTF16)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_result_json: no such offsets");
    if (entry->status)
        put_error(&w, entry->message);
    else
        put_entry(&w, entry);
    if (w.not_finite) {
        rp_json_writer_drop(&w.json);
        return rp_fail(err, RP_ERROR_FORMAT,
                       "the model gave a score that is not a number; its weights are damaged or too large");
    }
    char *text = rp_json_writer_finish(&w.json, &bytes);
    if (!text) return rp_fail_memory(err, "an answer as JSON", bytes);
    text[--bytes] = '\0'; // without the line end
    *out = text;
    if (size) *size = bytes;
    return RP_OK;
}
