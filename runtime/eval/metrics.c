#include "eval/metrics.h"

#include <math.h>

#include "loader/unicode.h"

/* ---- classes ---- */

rp_status rp_classes_init(rp_classes *c, uint32_t count, rp_error *err) {
    *c = (rp_classes){.said = rp_new_array(uint64_t, 3ull * count), .count = count};
    if (!c->said) return rp_fail_memory(err, "the counts of labels", 24ull * count);
    c->right = c->said + count;
    c->both = c->right + count;
    return RP_OK;
}

void rp_classes_finish(rp_classes *c) {
    free(c->said);
    *c = (rp_classes){0};
}

void rp_classes_add(rp_classes *c, uint32_t right, uint32_t said) {
    c->rows++;
    c->right[right]++;
    c->said[said]++;
    c->both[said] += right == said;
    c->correct += right == said;
}

void rp_classes_add_many(rp_classes *c, const bool *right, const bool *said) {
    bool same = true;
    for (uint32_t i = 0; i < c->count; i++) {
        c->right[i] += right[i];
        c->said[i] += said[i];
        c->both[i] += right[i] && said[i];
        same = same && right[i] == said[i];
    }
    c->rows++;
    c->correct += same;
}

static double ratio(double part, double whole) {
    return whole > 0 ? part / whole : 0;
}

double rp_accuracy(const rp_classes *c) {
    return ratio((double)c->correct, (double)c->rows);
}

double rp_f1(const rp_classes *c, uint32_t positive) {
    return ratio(2 * (double)c->both[positive], (double)(c->said[positive] + c->right[positive]));
}

double rp_f1_micro(const rp_classes *c) {
    uint64_t both = 0, all = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        both += c->both[i];
        all += c->said[i] + c->right[i];
    }
    return ratio(2 * (double)both, (double)all);
}

double rp_f1_macro(const rp_classes *c, bool all) {
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!all && !c->said[i] && !c->right[i]) continue;
        sum += rp_f1(c, i);
        count++;
    }
    return ratio(sum, count);
}

double rp_matthews(const rp_classes *c) {
    double rows = (double)c->rows, mixed = 0, said = 0, right = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        mixed += (double)c->said[i] * (double)c->right[i];
        said += (double)c->said[i] * (double)c->said[i];
        right += (double)c->right[i] * (double)c->right[i];
    }
    double spread = (rows * rows - said) * (rows * rows - right);
    return spread > 0 ? ((double)c->correct * rows - mixed) / sqrt(spread) : 0;
}

/* ---- numbers ---- */

rp_status rp_numbers_add(rp_numbers *n, double right, double said, rp_error *err) {
    if (!rp_grow((void **)&n->right, &n->right_capacity, n->count + 1, sizeof(double)) ||
        !rp_grow((void **)&n->said, &n->said_capacity, n->count + 1, sizeof(double)))
        return rp_fail_memory(err, "the values of the rows", 16ull * n->count);
    n->right[n->count] = right;
    n->said[n->count++] = said;
    return RP_OK;
}

double rp_mean_square(const rp_numbers *n) {
    double sum = 0;
    for (size_t i = 0; i < n->count; i++) sum += (n->right[i] - n->said[i]) * (n->right[i] - n->said[i]);
    return n->count ? sum / (double)n->count : NAN;
}

static double mean(const double *x, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += x[i];
    return sum / (double)count;
}

static bool is_constant(const double *x, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (x[i] != x[0]) return false;
    return true;
}

double rp_pearson(const double *x, const double *y, size_t count) {
    if (count < 2 || is_constant(x, count) || is_constant(y, count)) return NAN;
    double mx = mean(x, count), my = mean(y, count), xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < count; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    double r = xy / (sqrt(xx) * sqrt(yy));
    return r > 1 ? 1 : r < -1 ? -1 : r;
}

typedef struct ranked {
    double value;
    size_t at;
} ranked;

static int by_value(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    return a->value < b->value ? -1 : a->value > b->value;
}

/* The place of each value among all, from 1; equal ones get the mean of theirs. */
static void rank(const double *x, size_t count, ranked *sorted, double *out) {
    for (size_t i = 0; i < count; i++) sorted[i] = (ranked){x[i], i};
    qsort(sorted, count, sizeof *sorted, by_value);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && sorted[end].value == sorted[first].value;) end++;
        for (size_t i = first; i < end; i++) out[sorted[i].at] = 0.5 * (double)(first + 1 + end);
    }
}

rp_status rp_spearman(const double *x, const double *y, size_t count, double *out, rp_error *err) {
    ranked *sorted = rp_new_array(ranked, count);
    double *ranks = rp_new_array(double, 2ull * count);
    rp_status status = RP_OK;
    if (sorted && ranks) {
        rank(x, count, sorted, ranks);
        rank(y, count, sorted, ranks + count);
        *out = rp_pearson(ranks, ranks + count, count);
    } else {
        status = rp_fail_memory(err, "the ranks of the rows", 32ull * count);
    }
    free(sorted);
    free(ranks);
    return status;
}

/* ---- tags ---- */

/* Whether an entity ends before this token, or begins with it, as conlleval has it. */
static bool ends(uint32_t before, uint32_t tag, bool other) {
    if (before == 'E' || before == 'S') return true;
    if ((before == 'B' || before == 'I') && (tag == 'B' || tag == 'S' || tag == 'O')) return true;
    return before != 'O' && before != '.' && other;
}

static bool begins(uint32_t before, uint32_t tag, bool other) {
    if (tag == 'B' || tag == 'S') return true;
    if ((before == 'E' || before == 'S' || before == 'O') && (tag == 'E' || tag == 'I')) return true;
    return tag != 'O' && tag != '.' && other;
}

/* Take the tag of token `at`. True: an entity of the type `*type` ended before it, which began at `*begin`.
 */
static bool chunk(rp_chunker *c, const char *name, uint64_t at, const char **type, uint64_t *begin) {
    size_t first = 0;
    uint32_t tag = *name ? rp_utf8_next(name, &first) : 'O';
    uint32_t before = c->type ? c->tag : 'O';
    const char *old = c->type ? c->type : "", *dash = strchr(name + first, '-');
    const char *now = dash ? dash + 1 : name + first;
    if (!*now) now = "_";
    bool other = strcmp(old, now) != 0, ended = ends(before, tag, other);
    *type = old;
    *begin = c->begin;
    if (begins(before, tag, other)) c->begin = at;
    c->tag = tag;
    c->type = now;
    return ended;
}

/* NULL: there is no room for one more. */
static rp_entity_type *type_of(rp_entities *e, const char *name) {
    size_t low = 0, high = e->type_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(e->types[middle].name, name);
        if (!order) return &e->types[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (e->type_count == e->type_room) return NULL;
    memmove(e->types + low + 1, e->types + low, (e->type_count++ - low) * sizeof *e->types);
    e->types[low] = (rp_entity_type){.name = name};
    return &e->types[low];
}

static void count_types(rp_entities *e, const char *right, const char *said, bool both) {
    rp_entity_type *type = right ? type_of(e, right) : NULL;
    if (type) type->right++;
    if (type) type->both += both;
    type = said ? type_of(e, said) : NULL;
    if (type) type->said++;
}

static void take(rp_entities *e, const char *right, const char *said) {
    const char *types[2];
    uint64_t from[2];
    bool a = chunk(&e->right, right, e->at, &types[0], &from[0]);
    bool b = chunk(&e->said, said, e->at, &types[1], &from[1]);
    e->right_count += a;
    e->said_count += b;
    bool both = a && b && from[0] == from[1] && !strcmp(types[0], types[1]);
    e->both += both;
    count_types(e, a ? types[0] : NULL, b ? types[1] : NULL, both);
    e->at++;
}

void rp_entities_add(rp_entities *e, const char *right, const char *said) {
    take(e, right, said);
    e->tokens++;
    e->correct += !strcmp(right, said);
}

void rp_entities_end(rp_entities *e) {
    take(e, "O", "O");
}
