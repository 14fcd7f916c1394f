/* Answers for people: tables, bars, and entities and answers marked in their texts. */
#include "session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most that a name takes in a table: what fits beside the rest on a terminal, and all of it in a pipe. */
enum { NAME_COLUMNS = 32 };

static int most_columns(const rp_cli_people *p) {
    return p->terminal ? NAME_COLUMNS : 0;
}

static void end_line(rp_cli_people *p) {
    rp_cli_puts(p->out, "\n");
}

/* The widest of `count` names, at most most_columns(); the i-th is at `first` + i * `step`. */
static int widest(rp_cli_people *p, const void *first, size_t step, size_t count) {
    int most = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = *(const char *const *)((const char *)first + i * step);
        int columns = rp_cli_people_width(p, name, most_columns(p));
        if (columns > most) most = columns;
    }
    return most;
}

typedef enum bar { NO_BAR, BAR_BETWEEN, BAR_LAST } bar;

/* "  name   0.1234  bar" without a line end. */
static void put_score(rp_cli_people *p, const char *name, int columns, double score, bar how) {
    rp_cli_puts(p->out, "  ");
    rp_cli_people_cell(p, name, columns);
    rp_cli_printf(p->out, fabs(score) < 1000 ? "  %8.4f" : "  %8.4g", score);
    if (how != NO_BAR) rp_cli_people_bar(p, score, how == BAR_LAST);
}

void rp_cli_people_labels(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_label *labels = rp_result_labels(answer->result, answer->index, &count);
    bool bars = answer->session->info->problem != RP_PROBLEM_REGRESSION;
    if (!labels) count = 0;
    rp_cli_people_heading(p, answer->item->text, answer->item->pair);
    int columns = count ? widest(p, &labels[0].label, sizeof *labels, count) : 0;
    for (size_t i = 0; i < count; i++) {
        put_score(p, labels[i].label, columns, labels[i].score, bars ? BAR_LAST : NO_BAR);
        end_line(p);
    }
}

void rp_cli_people_fills(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t masks = rp_result_mask_count(answer->result, answer->index);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    for (size_t mask = 0; mask < masks; mask++) {
        size_t count = 0;
        const rp_fill *fills = rp_result_fills(answer->result, answer->index, mask, &count);
        if (!fills) continue;
        if (masks > 1) rp_cli_printf(p->out, "  mask %zu\n", mask + 1);
        int columns = widest(p, &fills[0].piece, sizeof *fills, count);
        for (size_t i = 0; i < count; i++) {
            put_score(p, fills[i].piece, columns, fills[i].score, BAR_BETWEEN);
            rp_cli_puts(p->out, "  ");
            int room = p->width - columns - 38;
            const char *filled = fills[i].sequence ? fills[i].sequence : "";
            rp_cli_people_style(p, RP_CLI_DIM);
            rp_cli_people_text(p, filled, strlen(filled), !p->terminal ? 0 : room > 20 ? room : 20);
            rp_cli_people_style(p, RP_CLI_PLAIN);
            end_line(p);
        }
    }
}

/* A part of a text set off from the rest: by colour, else by brackets. */
static void put_mark(rp_cli_people *p, const char *data, size_t size, const char *label) {
    if (!p->color) rp_cli_puts(p->out, "[");
    rp_cli_people_style(p, RP_CLI_MARK);
    rp_cli_people_text(p, data, size, 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    if (label) {
        rp_cli_puts(p->out, " ");
        rp_cli_people_style(p, RP_CLI_BOLD);
        rp_cli_people_text(p, label, strlen(label), 0);
        rp_cli_people_style(p, RP_CLI_PLAIN);
    }
    if (!p->color) rp_cli_puts(p->out, "]");
}

void rp_cli_people_entities(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0, at = 0;
    const rp_entity *entities = rp_result_entities(answer->result, answer->index, &count);
    rp_text text = answer->item->text;
    if (!entities) count = 0;
    for (size_t i = 0; i < count; i++) {
        rp_span span = entities[i].span;
        if (span.start < at || span.end > text.size || span.end <= span.start) continue;
        rp_cli_people_text(p, text.data + at, span.start - at, 0);
        put_mark(p, text.data + span.start, span.end - span.start, entities[i].label);
        at = span.end;
    }
    rp_cli_people_text(p, text.data + at, text.size - at, 0);
    end_line(p);
    if (!count) rp_cli_puts(p->out, "  (no entities)\n");
    int labels = count ? widest(p, &entities[0].label, sizeof *entities, count) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *word = entities[i].word ? entities[i].word : "";
        put_score(p, entities[i].label, labels, entities[i].score, BAR_BETWEEN);
        rp_cli_puts(p->out, "  ");
        rp_cli_people_text(p, word, strlen(word), p->terminal ? 60 : 0);
        end_line(p);
    }
}

/* The beginning of the last `most` bytes before `at`, and the end of the first ones after it, cut between
 * characters. */
static size_t step_back(const char *data, size_t at, size_t most) {
    size_t begin = at > most ? at - most : 0;
    while (begin < at && (data[begin] & 0xc0) == 0x80) begin++;
    return begin;
}

static size_t step_forward(const char *data, size_t size, size_t at, size_t most) {
    size_t end = size - at > most ? at + most : size;
    while (end > at && end < size && (data[end] & 0xc0) == 0x80) end--;
    return end;
}

/* The answer with a little of the context around it. */
static void put_around(rp_cli_people *p, rp_text context, rp_span span) {
    size_t end = span.end < context.size ? span.end : context.size;
    size_t start = span.start < end ? span.start : end;
    size_t before = step_back(context.data, start, 40),
           after = step_forward(context.data, context.size, end, 40);
    const char *dots = p->utf8 ? "\xe2\x80\xa6" : "...";
    rp_cli_puts(p->out, before ? dots : "");
    rp_cli_people_text(p, context.data + before, start - before, 0);
    put_mark(p, context.data + start, end - start, NULL);
    rp_cli_people_text(p, context.data + end, after - end, 0);
    rp_cli_puts(p->out, after < context.size ? dots : "");
}

/* Around the answer in its passage, and the document behind it. */
static void put_source(rp_cli_people *p, const rp_source *source, rp_span span) {
    const uint32_t before = source->passage.start;
    put_around(p, source->text, (rp_span){span.start - before, span.end - before});
    rp_cli_puts(p->out, "  ");
    rp_cli_people_style(p, RP_CLI_DIM);
    rp_cli_people_text(p, source->document, strlen(source->document), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
}

void rp_cli_people_answers(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_answer *answers = rp_result_answers(answer->result, answer->index, &count);
    if (!answers) count = 0;
    const rp_source *sources = rp_result_sources(answer->result, answer->index, NULL);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    int columns = count ? widest(p, &answers[0].text, sizeof *answers, count) : 0;
    if (columns < 11) columns = 11;
    if (!count) rp_cli_puts(p->out, "  (no answer)\n");
    for (size_t i = 0; i < count; i++) {
        bool empty = answers[i].span.end <= answers[i].span.start;
        put_score(p, empty ? "(no answer)" : answers[i].text, columns, answers[i].score,
                  empty ? BAR_LAST : BAR_BETWEEN);
        if (!empty) rp_cli_puts(p->out, "  ");
        if (!empty && sources)
            put_source(p, &sources[i], answers[i].span);
        else if (!empty)
            put_around(p, answer->item->pair, answers[i].span);
        end_line(p);
    }
}

static void put_vector(rp_cli_people *p, const float *values, size_t columns) {
    enum { SHOWN = 6 };
    double squares = 0;
    for (size_t i = 0; i < columns; i++) squares += (double)values[i] * values[i];
    rp_cli_printf(p->out, "  %zu numbers, length %.4f: ", columns, sqrt(squares));
    for (size_t i = 0; i < columns && i < SHOWN; i++) rp_cli_printf(p->out, " %8.4f", (double)values[i]);
    rp_cli_puts(p->out, columns > SHOWN ? "  ... (--json prints all)\n" : "\n");
}

void rp_cli_people_vectors(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t rows = 0, columns = 0;
    const float *values = rp_result_vectors(answer->result, answer->index, &rows, &columns);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    for (size_t row = 0; values && row < rows; row++) put_vector(p, values + row * columns, columns);
}

void rp_cli_people_order(const rp_cli_answer *answer, rp_cli_people *p) {
    double score = (double)rp_result_in_order(answer->result, answer->index);
    rp_cli_people_heading(p, answer->item->text, answer->item->pair);
    put_score(p, "in order", 8, score, BAR_LAST);
    end_line(p);
    put_score(p, "swapped", 8, 1 - score, BAR_LAST);
    end_line(p);
}

void rp_cli_people_choices(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t rows = 0, count = 0;
    const float *values = rp_result_vectors(answer->result, answer->index, &rows, &count);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    int room = !p->terminal ? 0 : p->width > 60 ? p->width - 34 : 30;
    for (size_t i = 0; values && i < count && i < answer->item->choice_count; i++) {
        rp_text choice = answer->item->choices[i];
        rp_cli_printf(p->out, "  %3zu  %8.4f", i + 1, (double)values[i]);
        rp_cli_people_bar(p, (double)values[i], false);
        rp_cli_puts(p->out, "  ");
        rp_cli_people_text(p, choice.data, choice.size, room);
        end_line(p);
    }
}

void rp_cli_people_tokens(const rp_cli_answer *answer, rp_cli_people *p) {
    const rp_encoding *e = answer->encoding;
    const rp_cli_item *item = answer->item;
    rp_cli_cursor cursors[2] = {{item->text.data, item->text.size, 0, 0},
                                {item->pair.data, item->pair.size, 0, 0}};
    rp_cli_people_heading(p, item->text, item->pair);
    rp_cli_printf(p->out, "  %6s  %4s  %-15s %s\n", "id", "type", "characters", "token");
    for (size_t i = 0; i < e->count; i++) {
        const char *piece = rp_tokenizer_piece(answer->session->tokenizer, e->ids[i]);
        char span[48] = "-";
        if (e->sequence[i] >= 0) {
            rp_cli_cursor *cursor = &cursors[e->sequence[i] == 1];
            size_t start = rp_cli_point(cursor, e->offsets[i].start);
            snprintf(span, sizeof span, "%zu-%zu", start, rp_cli_point(cursor, e->offsets[i].end));
        }
        rp_cli_printf(p->out, "  %6d  %4d  %-15s ", (int)e->ids[i], (int)e->type_ids[i], span);
        if (piece) rp_cli_people_text(p, piece, strlen(piece), 0);
        end_line(p);
    }
    rp_cli_printf(p->out, "  %zu token%s%s\n", e->count, e->count == 1 ? "" : "s",
                  e->truncated ? ", cut" : "");
}
