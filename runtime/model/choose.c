/* Which texts the next tick takes, by the policy of the queue. */
#include <stdlib.h>

#include "model/ticks.h"

/* Texts that are run to their end before others begin. */
static bool together(const rp_chooser *c) {
    return c->policy == RP_POLICY_DYNAMIC || c->policy == RP_POLICY_STATIC;
}

static double layer_seconds(const rp_chooser *c, uint32_t tokens) {
    return c->replay + c->token * rp_width_rows(c->widths, tokens);
}

/* A text that was left alone for AGE times as long as it takes by itself counts twice. */
static double age_of(const rp_chooser *c, const rp_depth_text *text, double now) {
    enum { AGE = 10 };
    double alone = c->layers * (c->replay + c->token * text->sequence->count);
    return 1 + (now - text->came) / (AGE * alone + 1e-9);
}

static double key_of(const rp_chooser *c, const rp_depth_text *text, double now) {
    if (c->policy != RP_POLICY_LEAST_WORK) return text->came;
    return text->left * (double)text->sequence->count / age_of(c, text, now);
}

/* How far a layer brings a text to its end. */
static double progress_of(const rp_chooser *c, const rp_depth_text *text, double now) {
    return age_of(c, text, now) / text->left;
}

/* True when it pays to have a text in the batch, too: what a layer achieves by it, in the time by which it
 * makes the others wait, is not much less than what it achieves by them. A text that fills up a tile takes no
 * time. */
static bool is_worth(const rp_chooser *c, const rp_tick_list *batch, double progress, uint32_t tokens,
                     double own) {
    static const double ENOUGH = 0.85;
    double layer = layer_seconds(c, batch->tokens), more = layer_seconds(c, batch->tokens + tokens) - layer;
    return own * (c->submission + layer) >= ENOUGH * progress * more;
}

static int compare(const void *left, const void *right) {
    const rp_depth_order *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->text->came > b->text->came) - (a->text->came < b->text->came);
}

static void add(rp_tick_list *list, rp_depth_text *text) {
    list->texts[list->count++] = text;
    list->tokens += text->sequence->count;
}

double rp_tick_wait(const rp_chooser *c, rp_depth_text *const *texts, size_t count, double now) {
    size_t waiting = 0;
    double oldest = now;
    if (c->policy != RP_POLICY_STATIC) return 0;
    for (size_t i = 0; i < count; i++) {
        if (texts[i]->leaving) continue;
        if (texts[i]->inside) return 0;
        if (texts[i]->came < oldest) oldest = texts[i]->came;
        waiting++;
    }
    double left = oldest + c->wait_seconds - now;
    return waiting >= c->wait_count || left < 0 ? 0 : left;
}

/* The texts that may be in the batch, best first; returns their number. `*inside`: they are a batch that has
 * begun. */
static size_t sort(const rp_chooser *c, rp_depth_text *const *texts, size_t count, double now,
                   rp_depth_order *order, bool *inside, uint64_t *tokens) {
    size_t n = 0;
    *inside = false;
    *tokens = 0;
    for (size_t i = 0; together(c) && i < count; i++)
        *inside |= texts[i]->inside && texts[i]->left && !texts[i]->leaving;
    for (size_t i = 0; i < count; i++) {
        rp_depth_text *text = texts[i];
        if (!text->left || text->leaving || (*inside && !text->inside)) continue;
        order[n++] = (rp_depth_order){key_of(c, text, now), text};
        *tokens += text->sequence->count;
    }
    qsort(order, n, sizeof *order, compare);
    return n;
}

/* How many layers a batch goes through at once. While others wait it is one: then anybody may go first. Else
 * as many as make the time of a submission small beside it. */
static uint32_t layers_of(const rp_chooser *c, const rp_tick *tick, bool others, double layer_work) {
    static const double SMALL = 0.02;
    uint32_t most = UINT32_MAX;
    for (size_t i = 0; i < tick->batch.count; i++)
        if (tick->batch.texts[i]->left < most) most = tick->batch.texts[i]->left;
    double layer = c->replay + c->token * tick->batch.tokens, wanted = most;
    if (!together(c)) wanted = others ? 1 : 1 + c->submission / (SMALL * layer + 1e-12);
    if (wanted * layer_work > c->most_layer) wanted = c->most_layer / layer_work;
    return wanted >= most ? most : wanted < 1 ? 1 : (uint32_t)wanted;
}

/* Rows of an output that a text still needs. */
static size_t rows_of(const rp_depth_text *text) {
    rp_count kind = rp_output_rows(text->output);
    return kind == RP_COUNT_TOKENS ? text->sequence->count : kind == RP_COUNT_ROWS ? text->row_count : 1;
}

/* Have a text leave, if there is room. The first one says which output it is. */
static void leave(const rp_chooser *c, rp_tick *tick, rp_depth_text *text, size_t *room) {
    if (!tick->leave.count) {
        tick->output = text->output;
        *room = rp_ticks_room(c->model, text->output, c->most_layer);
    }
    size_t rows = rows_of(text);
    bool part = rp_output_rows(text->output) == RP_COUNT_ROWS && *room;
    bool large = tick->leave.count && tick->leave.tokens + text->sequence->count > c->most_tokens;
    if (text->output != tick->output || large || (rows > *room && !part)) return;
    if (rows > *room) rows = *room;
    *room -= rows;
    tick->rows += rp_output_rows(text->output) == RP_COUNT_ROWS ? rows : 0;
    add(&tick->leave, text);
}

static void choose_leaving(const rp_chooser *c, rp_depth_text *const *texts, size_t count, rp_tick *tick) {
    size_t room = 0, needed = 0;
    for (size_t i = 0; i < count; i++)
        if (texts[i]->inside && !texts[i]->left && !texts[i]->leaving && !texts[i]->patience)
            leave(c, tick, texts[i], &room);
    for (size_t i = 0; i < tick->batch.count; i++)
        if (tick->batch.texts[i]->left == tick->layers && !tick->batch.texts[i]->patience)
            leave(c, tick, tick->batch.texts[i], &room);
    tick->straight_out = tick->batch.count && tick->leave.count == tick->batch.count;
    for (size_t i = 0; tick->straight_out && i < tick->batch.count; i++) {
        tick->straight_out = tick->leave.texts[i] == tick->batch.texts[i];
        needed += rp_output_rows(tick->output) == RP_COUNT_ROWS ? rows_of(tick->leave.texts[i]) : 0;
    }
    tick->straight_out = tick->straight_out && needed == tick->rows;
}

/* Up to so many tokens a batch takes every text. With those that wait it grows: then there is no time to lose
 * by many small ones. */
static uint64_t limit_of(const rp_chooser *c, uint64_t waiting) {
    enum { SHARE = 4 };
    if (c->policy != RP_POLICY_LEAST_WORK) return UINT64_MAX;
    return waiting / SHARE > c->budget ? waiting / SHARE : c->budget;
}

void rp_tick_choose(const rp_chooser *c, rp_depth_text *const *texts, size_t count, rp_depth_order *order,
                    const uint32_t *places, uint32_t place_count, double now, rp_tick *tick) {
    rp_tick_list *batch = &tick->batch;
    double layer = 0, work = 0, progress = 0;
    bool begun;
    uint64_t waiting;
    tick->join.count = batch->count = tick->leave.count = tick->patient.count = tick->rows = 0;
    tick->join.tokens = batch->tokens = tick->leave.tokens = tick->layers = tick->depth = 0;
    size_t n = sort(c, texts, count, now, order, &begun, &waiting);
    uint64_t limit = limit_of(c, waiting);
    for (size_t i = 0; i < n; i++) {
        rp_depth_text *text = order[i].text;
        uint32_t tokens = text->sequence->count;
        uint64_t all = (uint64_t)batch->tokens + tokens;
        double own = progress_of(c, text, now);
        bool full = batch->count && (all > c->most_tokens || layer + text->work > c->most_layer ||
                                     (together(c) && work + c->layers * text->work > c->most_work) ||
                                     (all > limit && !is_worth(c, batch, progress, tokens, own)));
        if (!text->inside && tokens > place_count) {
            full = true;
            place_count = 0; /* else those behind it would take each place that it waits for */
        }
        if (full && together(c) && !begun) break;
        if (full && !begun) continue;
        add(batch, text);
        if (text->patience) add(&tick->patient, text);
        layer += text->work;
        work += c->layers * text->work;
        progress += own;
        if (text->inside) continue;
        place_count -= tokens;
        for (uint32_t t = 0; t < tokens; t++) text->places[t] = places[place_count + t];
        add(&tick->join, text);
    }
    tick->straight_in = batch->count && tick->join.count == batch->count;
    if (batch->count) {
        tick->layers = layers_of(c, tick, batch->count < n, layer);
        tick->depth = c->layers - batch->texts[0]->left;
        tick->work = layer * tick->layers;
    }
    choose_leaving(c, texts, count, tick);
}
