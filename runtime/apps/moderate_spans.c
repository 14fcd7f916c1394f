/* The sentences that made the difference: the text is read again without each, and where none does it alone,
 * without several. */
#include "apps/moderate.h"

enum {
    MOST_UNITS = 64,    // parts of a text
    FEWEST_UNITS = 4,   // of a long text that has as many sentences
    MOST_TOGETHER = 16, // that are left out at once
};

/* A text in parts that can be left out: sentences or, where there are too many, some that follow one another.
 */
typedef struct parts {
    const rp_moderation *m;
    const rp_chars *chars;
    size_t entry;
    uint32_t ends[MOST_UNITS]; // in code points
    size_t count;
    char *buffer;     // room for the text
    rp_scorer scorer; // a tag is the label that a set of parts is left out for
} parts;

static size_t begin_of(const parts *p, size_t unit) {
    return unit ? p->ends[unit - 1] : 0;
}

static rp_status split(parts *p, uint32_t tokens, rp_error *err) {
    uint32_t *ends = rp_new_array(uint32_t, p->chars->count + 1);
    if (!ends) return rp_fail_memory(err, "the sentences of a text", p->chars->count * sizeof *ends);
    uint64_t longest = rp_task_max_tokens(p->m->model), most = MOST_UNITS * longest / (tokens ? tokens : 1);
    if (most < FEWEST_UNITS) most = FEWEST_UNITS;
    if (most > MOST_UNITS) most = MOST_UNITS;
    size_t sentences = rp_chars_sentences(p->chars, ends);
    p->count = sentences < most ? sentences : (size_t)most;
    for (size_t u = 0; u < p->count; u++) p->ends[u] = ends[(u + 1) * sentences / p->count - 1];
    free(ends);
    return RP_OK;
}

/* The text without the parts that `left_out` has. */
static rp_status add_without(parts *p, const bool *left_out, size_t tag, rp_error *err) {
    char *end = p->buffer;
    for (size_t u = 0; u < p->count; u++)
        if (!left_out[u]) end = rp_chars_write(p->chars, begin_of(p, u), p->ends[u], end);
    const rp_input input = {.text = {p->buffer, (size_t)(end - p->buffer)}};
    return rp_scorer_add(&p->scorer, &input, p->entry, tag, err);
}

/* Scores without each part: [count, labels], the caller's. */
static rp_status leave_out_each(parts *p, float **out, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t u = 0; !status && u < p->count; u++) {
        bool left_out[MOST_UNITS] = {false};
        left_out[u] = true;
        status = add_without(p, left_out, 0, err);
    }
    if (!status) status = rp_scorer_run(&p->scorer, out, err);
    rp_scorer_clear(&p->scorer);
    return status;
}

typedef struct weighed {
    float without;
    size_t unit;
} weighed;

static int by_weight(const void *left, const void *right) {
    const weighed *a = left, *b = right;
    if (a->without != b->without) return a->without < b->without ? -1 : 1;
    return a->unit < b->unit ? -1 : 1;
}

/* Set the `chosen` of the fewest of `order`, from its beginning, without which the label does not count. */
static rp_status leave_out_several(parts *p, uint32_t label, const weighed *order, bool *chosen,
                                   rp_error *err) {
    size_t most = p->count - 1 < MOST_TOGETHER ? p->count - 1 : MOST_TOGETHER;
    size_t taken = p->count < MOST_TOGETHER ? p->count : MOST_TOGETHER;
    bool left_out[MOST_UNITS] = {false};
    float *scores = NULL;
    rp_status status = RP_OK;
    left_out[order[0].unit] = true;
    for (size_t k = 2; !status && k <= most; k++) {
        left_out[order[k - 1].unit] = true;
        status = add_without(p, left_out, k, err);
    }
    if (!status) status = rp_scorer_run(&p->scorer, &scores, err);
    for (size_t s = p->scorer.count; !status && s-- > 0;)
        if ((double)scores[s * p->m->label_count + label] < p->m->thresholds[label])
            taken = p->scorer.tags[s];
    for (size_t k = 0; k < taken; k++) chosen[order[k].unit] = true;
    free(scores);
    rp_scorer_clear(&p->scorer);
    return status;
}

/* The bytes of the text that a part has, without white space around it. */
static rp_span span_of(const parts *p, size_t unit) {
    size_t first = begin_of(p, unit), end = p->ends[unit];
    const rp_char *c = p->chars->items;
    while (first + 1 < end && rp_char_is_white(c[first].code)) first++;
    while (end - 1 > first && rp_char_is_white(c[end - 1].code)) end--;
    return (rp_span){c[first].start, c[end - 1].end};
}

static rp_status keep_spans(const parts *p, rp_text text, const bool *chosen, rp_moderated *label,
                            rp_moderated_spans *beside, rp_result *result, rp_error *err) {
    rp_span spans[MOST_UNITS];
    size_t count = 0;
    for (size_t u = 0; u < p->count; u++)
        if (chosen[u]) spans[count++] = span_of(p, u);
    label->spans = rp_result_array(result, spans, count, sizeof *spans, err);
    beside->texts = rp_result_array(result, NULL, count, sizeof *beside->texts, err);
    if (!label->spans || !beside->texts) return RP_ERROR_HOST_MEMORY;
    for (size_t i = 0; i < count; i++) {
        beside->texts[i] =
            rp_result_text(result, text.data + spans[i].start, spans[i].end - spans[i].start, err);
        if (!beside->texts[i]) return RP_ERROR_HOST_MEMORY;
    }
    beside->places = rp_result_places(result, spans, count, text, err);
    label->span_count = beside->places ? count : 0;
    return beside->places ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* `without`: the scores without each part; NULL where there is but one. */
static rp_status choose(parts *p, const float *without, const rp_moderated *label, bool *chosen,
                        rp_error *err) {
    weighed order[MOST_UNITS];
    bool any = !without;
    if (any) chosen[0] = true;
    for (size_t u = 0; without && u < p->count; u++) {
        order[u] = (weighed){without[u * p->m->label_count + label->index], u};
        chosen[u] = (double)order[u].without < p->m->thresholds[label->index];
        any = any || chosen[u];
    }
    if (any) return RP_OK;
    qsort(order, p->count, sizeof *order, by_weight);
    return leave_out_several(p, label->index, order, chosen, err);
}

rp_status rp_moderate_spans(const rp_moderation *m, rp_text text, const rp_chars *chars, size_t entry,
                            rp_moderate_answer *answer, rp_result *result, rp_error *err) {
    parts p = {.m = m,
               .chars = chars,
               .entry = entry,
               .scorer = {.model = m->model, .result = result, .how = RP_LONG_MAX, .parts = true}};
    float *without = NULL;
    if (!chars->count) return RP_OK;
    rp_status status = split(&p, result->entries[entry].tokens, err);
    p.buffer = status ? NULL : malloc(4 * chars->count + 1);
    if (!status && !p.buffer) status = rp_fail_memory(err, "a text", 4ull * chars->count);
    if (!status && p.count > 1) status = leave_out_each(&p, &without, err);
    for (size_t i = 0; !status && !result->entries[entry].status && i < answer->verdict.label_count; i++) {
        rp_moderated *label = &answer->labels[i];
        bool chosen[MOST_UNITS] = {false};
        if (!label->flagged) continue;
        status = choose(&p, without, label, chosen, err);
        if (!status) status = keep_spans(&p, text, chosen, label, &answer->spans[label->index], result, err);
    }
    rp_scorer_finish(&p.scorer);
    free(p.buffer);
    free(without);
    return status;
}
