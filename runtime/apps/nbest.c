/* Lists of hypotheses ranked with the help of a masked language model, and the weight that it gets. */
#include "tasks/task.h"

#include <math.h>

#include "loader/json.h"
#include "loader/nbest.h"

/* ---- scores and ranks ---- */

rp_status rp_nbest_score(rp_model *model, rp_hypothesis *items, size_t count, const rp_score_params *params,
                         rp_error *err) {
    if (count && !items) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_nbest_score: items must not be NULL");
    rp_text *texts = rp_new_array(rp_text, count);
    rp_result *result = NULL;
    if (!texts) return rp_fail_memory(err, "the hypotheses", (unsigned long long)count * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = items[i].text;
    rp_status status = rp_score(model, texts, count, params, &result, err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *why = "";
        rp_status entry = rp_result_status(result, i, &why);
        if (entry)
            status = rp_fail(err, entry, "hypothesis %lu cannot be scored: %s",
                             (unsigned long)items[i].place + 1, why);
        uint32_t taken = 0, all = rp_result_tokens(result, i, &taken);
        items[i].score = rp_result_score(result, i, &items[i].tokens);
        items[i].left_out = all - taken;
    }
    rp_result_free(&result);
    free(texts);
    return status;
}

static int before(const rp_hypothesis *a, double a_value, const rp_hypothesis *b, double b_value) {
    if (!a->tokens != !b->tokens) return a->tokens ? -1 : 1; /* of an empty text nothing is known */
    if (a_value != b_value) return a_value > b_value ? -1 : 1;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* Shell's way of sorting: it takes no memory, and so cannot fail. */
void rp_nbest_rank(rp_hypothesis *items, size_t count, double weight) {
    size_t gap = 1;
    while (gap < count / 3) gap = 3 * gap + 1;
    for (; gap; gap /= 3)
        for (size_t i = gap; i < count; i++) {
            rp_hypothesis moved = items[i];
            double value = moved.total + weight * moved.score;
            size_t at = i;
            for (; at >= gap; at -= gap) {
                const rp_hypothesis *other = &items[at - gap];
                if (before(other, other->total + weight * other->score, &moved, value) <= 0) break;
                items[at] = *other;
            }
            items[at] = moved;
        }
}

/* ---- the weight ---- */

/* Beyond it only the score would count, and differences of totals are rounded away. */
static const double WEIGHT_MAX = 1e9;

/* From this weight on another hypothesis of some list is first, and the sum of chrF changes. */
typedef struct change {
    double weight, gain;
} change;

typedef struct tuner {
    rp_nbest_tuning *out;
    change *changes; // [count]
    size_t count, capacity;
    rp_lines references;
    rp_text reference; // the line that was read last
} tuner;

/* A hypothesis as a line over the weights: total + weight * score. */
typedef struct slope {
    double total, score, chrf, from; // from this weight on it is the highest
    size_t place;
} slope;

static int by_slope(const void *left, const void *right) {
    const slope *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? -1 : 1;
    if (a->total != b->total) return a->total > b->total ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

/* Keep of the lines those that are the highest somewhere, from left to right; returns how many. */
static size_t keep_highest(slope *lines, size_t count) {
    size_t kept = 0;
    qsort(lines, count, sizeof *lines, by_slope);
    for (size_t i = 0; i < count; i++) {
        slope line = lines[i];
        line.from = (double)-INFINITY;
        if (kept && lines[kept - 1].score == line.score) continue; // it is nowhere above that one
        for (; kept; kept--) {
            const slope *top = &lines[kept - 1];
            line.from = (top->total - line.total) / (line.score - top->score);
            if (line.from > top->from) break;
            line.from = (double)-INFINITY;
        }
        lines[kept++] = line;
    }
    return kept;
}

static rp_status add_change(tuner *t, double weight, double gain, rp_error *err) {
    if (!gain || weight > WEIGHT_MAX) return RP_OK;
    if (!rp_grow((void **)&t->changes, &t->capacity, t->count + 1, sizeof *t->changes))
        return rp_fail_memory(err, "the weights", (t->count + 1ull) * sizeof *t->changes);
    t->changes[t->count++] = (change){weight, gain};
    return RP_OK;
}

/* Add a list whose lines are known. */
static rp_status add_lines(tuner *t, slope *lines, size_t count, rp_error *err) {
    double first = 0, most = 0;
    rp_status status = RP_OK;
    for (size_t i = 0; i < count; i++)
        if (lines[i].chrf > most) most = lines[i].chrf;
    size_t kept = keep_highest(lines, count);
    for (size_t i = 0; !status && i < kept; i++) {
        if (lines[i].from <= 0)
            first = lines[i].chrf;
        else
            status = add_change(t, lines[i].from, lines[i].chrf - (i ? lines[i - 1].chrf : 0), err);
    }
    t->out->chrf_before += first;
    t->out->chrf_possible += most;
    t->out->lists++;
    return status;
}

/* Go on to the reference of `id`: its line. */
static rp_status find_reference(tuner *t, const char *path, uint64_t id, rp_error *err) {
    while (t->references.line <= id) {
        rp_status status = rp_lines_next(&t->references, &t->reference, err);
        if (status) return status;
        if (!t->reference.data)
            return rp_fail(
                err, RP_ERROR_FORMAT,
                "%s: has %llu lines, and the n-best list has the id %llu: give each id its line, the "
                "first of them to id 0",
                rp_path_shown(path), (unsigned long long)t->references.line, (unsigned long long)id);
    }
    return RP_OK;
}

static rp_status add_list(tuner *t, rp_model *model, const char *references, uint64_t id,
                          rp_hypothesis *items, size_t count, const rp_score_params *params, rp_error *err) {
    rp_status status = find_reference(t, references, id, err);
    if (!status) status = rp_nbest_score(model, items, count, params, err);
    slope *lines = rp_new_array(slope, count);
    if (!status && !lines)
        status = rp_fail_memory(err, "the hypotheses", (unsigned long long)count * sizeof *lines);
    bool some = false; /* has a hypothesis a token? Those that have none are never first, then */
    size_t used = 0;
    for (size_t i = 0; !status && i < count; i++) some = some || items[i].tokens;
    for (size_t i = 0; !status && i < count; i++) {
        t->out->cut += items[i].left_out > 0;
        if (some && !items[i].tokens) continue;
        lines[used] = (slope){.total = items[i].total, .score = items[i].score, .place = i};
        status = rp_chrf(items[i].text, t->reference, &lines[used++].chrf, err);
    }
    if (!status) status = add_lines(t, lines, used, err);
    if (!status) t->out->hypotheses += count;
    free(lines);
    return status;
}

static int by_weight(const void *left, const void *right) {
    const change *a = left, *b = right;
    return a->weight < b->weight ? -1 : a->weight > b->weight;
}

/* The middle of the weights between which the sum is largest: of several such the lowest. */
static void choose_weight(tuner *t) {
    const double close = 1e-9; // sums that differ by less are equal: the changes are rounded
    double sum = t->out->chrf_before, best = sum, weight = 0;
    if (t->count) qsort(t->changes, t->count, sizeof *t->changes, by_weight);
    for (size_t i = 0, next; i < t->count; i = next) {
        double from = t->changes[i].weight;
        for (next = i; next < t->count && t->changes[next].weight == from; next++)
            sum += t->changes[next].gain;
        if (sum <= best + close) continue;
        best = sum;
        weight = next < t->count ? (from + t->changes[next].weight) / 2 : fmin(2 * from, WEIGHT_MAX);
    }
    t->out->weight = weight;
    t->out->chrf = best / (double)t->out->lists;
    t->out->chrf_before /= (double)t->out->lists;
    t->out->chrf_possible /= (double)t->out->lists;
}

static rp_status add_all(tuner *t, rp_model *model, rp_nbest *list, const char *references,
                         const rp_score_params *params, rp_error *err) {
    for (;;) {
        uint64_t id;
        rp_hypothesis *items;
        size_t count;
        rp_status status = rp_nbest_next(list, &id, &items, &count, err);
        if (!status && count) status = add_list(t, model, references, id, items, count, params, err);
        if (status || !count) return status;
    }
}

rp_status rp_nbest_tune(rp_model *model, const char *nbest, const char *references,
                        const rp_score_params *params, rp_nbest_tuning *out, rp_error *err) {
    tuner t = {.out = out, .references = {.fd = -1}};
    rp_nbest *list = NULL;
    rp_visit visit;
    if (!model || !nbest || !references || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_nbest_tune: only params may be NULL");
    *out = (rp_nbest_tuning){0};
    rp_status status = rp_model_enter(model, &visit, params ? params->call : NULL, "rp_nbest_tune", err);
    if (status) return status;
    visit.whole = true; // nobody knows how many lists there are: no progress is told
    status = rp_lines_open(&t.references, references, err);
    if (!status) status = rp_nbest_open(nbest, &list, err);
    if (!status) status = add_all(&t, model, list, references, params, err);
    if (!status && !out->lists)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: holds no hypotheses; name an n-best list",
                         rp_path_shown(nbest));
    if (!status) choose_weight(&t);
    if (status) *out = (rp_nbest_tuning){0};
    rp_nbest_close(&list);
    rp_lines_close(&t.references);
    free(t.changes);
    rp_visit_leave(&visit);
    return status;
}
