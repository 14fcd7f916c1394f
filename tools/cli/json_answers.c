/* Answers as JSON: the values that Hugging Face's pipelines give. */
#include "session.h"

#include <string.h>

static void put_string(rp_cli_buffer *out, const char *string) {
    rp_cli_json_string(out, string ? string : "", string ? strlen(string) : 0);
}

static void put_key_string(rp_cli_buffer *out, const char *key, const char *string) {
    rp_cli_printf(out, "\"%s\": ", key);
    put_string(out, string);
}

static void put_key_float(rp_cli_buffer *out, const char *key, float value) {
    rp_cli_printf(out, "\"%s\": ", key);
    rp_cli_json_float(out, value);
}

/* A label as id2label has it: most are strings, some numbers. */
static void put_label(rp_cli_buffer *out, const char *key, const rp_model_info *info, uint32_t row,
                      const char *label) {
    if (row < info->label_count && info->label_bare[row])
        rp_cli_printf(out, "\"%s\": %s", key, label);
    else
        put_key_string(out, key, label);
}

/* The row of `label`, which an entity has kept; label_count: none, as aggregation has cut it. */
static uint32_t row_of(const rp_model_info *info, const char *label) {
    uint32_t row = 0;
    while (row < info->label_count && strcmp(info->labels[row], label)) row++;
    return row;
}

void rp_cli_json_labels(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t count = 0;
    const rp_label *labels = rp_result_labels(answer->result, answer->index, &count);
    rp_cli_puts(out, "[");
    for (size_t i = 0; labels && i < count; i++) {
        rp_cli_puts(out, i ? ", {" : "{");
        put_label(out, "label", answer->session->info, labels[i].index, labels[i].label);
        rp_cli_puts(out, ", ");
        put_key_float(out, "score", labels[i].score);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
}

static void put_fills(const rp_cli_answer *answer, size_t mask, rp_cli_buffer *out) {
    size_t count = 0;
    const rp_fill *fills = rp_result_fills(answer->result, answer->index, mask, &count);
    rp_cli_puts(out, "[");
    for (size_t i = 0; fills && i < count; i++) {
        rp_cli_puts(out, i ? ", {" : "{");
        put_key_float(out, "score", fills[i].score);
        rp_cli_printf(out, ", \"token\": %d, ", (int)fills[i].token);
        put_key_string(out, "token_str", fills[i].piece);
        rp_cli_puts(out, ", ");
        put_key_string(out, "sequence", fills[i].sequence);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
}

void rp_cli_json_fills(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t masks = rp_result_mask_count(answer->result, answer->index);
    if (masks == 1) {
        put_fills(answer, 0, out);
        return;
    }
    rp_cli_puts(out, "[");
    for (size_t mask = 0; mask < masks; mask++) {
        if (mask) rp_cli_puts(out, ", ");
        put_fills(answer, mask, out);
    }
    rp_cli_puts(out, "]");
}

/* "start": .., "end": .. in code points. */
static void put_span(rp_cli_buffer *out, rp_cli_cursor *cursor, rp_span span) {
    size_t start = rp_cli_point(cursor, span.start);
    rp_cli_printf(out, "\"start\": %zu, \"end\": %zu", start, rp_cli_point(cursor, span.end));
}

void rp_cli_json_entities(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t count = 0;
    const rp_entity *entities = rp_result_entities(answer->result, answer->index, &count);
    bool tokens = answer->session->options->aggregation == RP_AGGREGATE_NONE;
    rp_cli_cursor cursor = {answer->item->text.data, answer->item->text.size, 0, 0};
    const rp_model_info *info = answer->session->info;
    rp_cli_puts(out, "[");
    for (size_t i = 0; entities && i < count; i++) {
        rp_cli_puts(out, i ? ", {" : "{");
        put_label(out, tokens ? "entity" : "entity_group", info, row_of(info, entities[i].label),
                  entities[i].label);
        rp_cli_puts(out, ", ");
        put_key_float(out, "score", entities[i].score);
        if (tokens) rp_cli_printf(out, ", \"index\": %u", (unsigned)entities[i].index);
        rp_cli_puts(out, ", ");
        put_key_string(out, "word", entities[i].word);
        rp_cli_puts(out, ", ");
        put_span(out, &cursor, entities[i].span);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
}

static void put_answer(const rp_cli_item *item, const rp_answer *a, rp_cli_buffer *out) {
    rp_cli_cursor cursor = {item->pair.data, item->pair.size, 0, 0};
    size_t end = a->span.end < item->pair.size ? a->span.end : item->pair.size;
    size_t start = a->span.start < end ? a->span.start : end;
    rp_cli_puts(out, "{");
    put_key_float(out, "score", a->score);
    rp_cli_puts(out, ", ");
    put_span(out, &cursor, a->span);
    rp_cli_puts(out, ", \"answer\": ");
    rp_cli_json_string(out, item->pair.data + start, end - start); /* as it stands, NUL bytes too */
    rp_cli_puts(out, "}");
}

void rp_cli_json_answers(const rp_cli_answer *answer, rp_cli_buffer *out) {
    static const rp_answer none = {.text = ""};
    size_t count = 0;
    const rp_answer *answers = rp_result_answers(answer->result, answer->index, &count);
    if (!answers) count = 0;
    if (answer->session->options->top_k <= 1) {
        put_answer(answer->item, count ? answers : &none, out);
        return;
    }
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) rp_cli_puts(out, ", ");
        put_answer(answer->item, &answers[i], out);
    }
    rp_cli_puts(out, "]");
}

static void put_floats(rp_cli_buffer *out, const float *values, size_t count) {
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < count; i++) {
        if (i) rp_cli_puts(out, ", ");
        rp_cli_json_float(out, values[i]);
    }
    rp_cli_puts(out, "]");
}

void rp_cli_json_vectors(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t rows = 0, columns = 0;
    const float *values = rp_result_vectors(answer->result, answer->index, &rows, &columns);
    if (!values) rows = 0;
    if (answer->session->options->pooling != RP_POOLING_NONE && rows == 1) {
        put_floats(out, values, columns);
        return;
    }
    rp_cli_puts(out, "[");
    for (size_t row = 0; row < rows; row++) {
        if (row) rp_cli_puts(out, ", ");
        put_floats(out, values + row * columns, columns);
    }
    rp_cli_puts(out, "]");
}

void rp_cli_json_order(const rp_cli_answer *answer, rp_cli_buffer *out) {
    float score = rp_result_in_order(answer->result, answer->index);
    rp_cli_puts(out, "{");
    put_key_string(out, "label", score >= 0.5f ? "in_order" : "swapped");
    rp_cli_puts(out, ", ");
    put_key_float(out, "score", score);
    rp_cli_puts(out, "}");
}

void rp_cli_json_choices(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t rows = 0, columns = 0;
    const float *values = rp_result_vectors(answer->result, answer->index, &rows, &columns);
    put_floats(out, values, values ? columns : 0);
}

static void put_numbers(rp_cli_buffer *out, const char *key, const int32_t *numbers, size_t count) {
    rp_cli_printf(out, "\"%s\": [", key);
    for (size_t i = 0; i < count; i++) rp_cli_printf(out, i ? ", %d" : "%d", (int)numbers[i]);
    rp_cli_puts(out, "], ");
}

void rp_cli_json_tokens(const rp_cli_answer *answer, rp_cli_buffer *out) {
    const rp_encoding *e = answer->encoding;
    const rp_cli_item *item = answer->item;
    rp_cli_cursor cursors[2] = {{item->text.data, item->text.size, 0, 0},
                                {item->pair.data, item->pair.size, 0, 0}};
    rp_cli_puts(out, "{");
    put_numbers(out, "input_ids", e->ids, e->count);
    put_numbers(out, "token_type_ids", e->type_ids, e->count);
    rp_cli_puts(out, "\"tokens\": [");
    for (size_t i = 0; i < e->count; i++) {
        if (i) rp_cli_puts(out, ", ");
        put_string(out, rp_tokenizer_piece(answer->session->tokenizer, e->ids[i]));
    }
    rp_cli_puts(out, "], \"offsets\": [");
    for (size_t i = 0; i < e->count; i++) {
        size_t start = 0, end = 0;
        if (e->sequence[i] >= 0) {
            rp_cli_cursor *cursor = &cursors[e->sequence[i] == 1];
            start = rp_cli_point(cursor, e->offsets[i].start);
            end = rp_cli_point(cursor, e->offsets[i].end);
        }
        rp_cli_printf(out, i ? ", [%zu, %zu]" : "[%zu, %zu]", start, end);
    }
    rp_cli_puts(out, "]}");
}
