/* Exact match and F1 of answers, as SQuAD's evaluation has them. */
#include <math.h>

#include "eval/metrics.h"
#include "loader/unicode.h"

/* ---- an answer without case, punctuation, articles and white space ---- */

/* Its words, in order. Zero-initialise; forget. */
typedef struct words {
    char *text; /* [size] the words with one space between */
    size_t size;
    rp_text *items; /* [count] */
    size_t count;
} words;

static void forget(words *w) {
    free(w->text);
    free(w->items);
    *w = (words){0};
}

static bool is_article(const char *text, size_t size) {
    return (size == 1 && *text == 'a') || (size == 2 && !memcmp(text, "an", 2)) ||
           (size == 3 && !memcmp(text, "the", 3));
}

static bool is_punctuation(uint32_t code) {
    return code > ' ' && code < 0x7f && !(code >= '0' && code <= '9') && !(code >= 'A' && code <= 'Z') &&
           !(code >= 'a' && code <= 'z');
}

/* \w of Python. */
static bool is_word(uint32_t code) {
    rp_category category = rp_char_category(code);
    return category <= RP_CATEGORY_LO || (category >= RP_CATEGORY_ND && category <= RP_CATEGORY_NO);
}

/* The text in lower case, to code points. */
static rp_status lower(rp_text text, rp_chars *out, rp_error *err) {
    rp_chars chars = {0};
    bool ok = true;
    for (size_t at = 0; ok && at < text.size;) ok = rp_chars_push(&chars, rp_utf8_next(text.data, &at), 0, 0);
    ok = ok && rp_chars_lower(&chars, out);
    free(chars.items);
    return ok ? RP_OK : rp_fail_memory(err, "an answer", 12ull * text.size);
}

/* Write the words of `chars`, which are not punctuation, to `w`. */
static void write_words(const rp_chars *chars, words *w) {
    size_t run = 0; /* where the run of letters and digits begins that may be an article */
    bool inside = false;
    for (size_t i = 0; i <= chars->count; i++) {
        uint32_t code = i < chars->count ? chars->items[i].code : ' ';
        if (is_punctuation(code)) continue;
        bool letter = is_word(code);
        if (inside && !letter && is_article(w->text + run, w->size - run)) {
            w->size = run; /* a space in its place */
            if (w->size && w->text[w->size - 1] != ' ') w->text[w->size++] = ' ';
        }
        if (!inside && letter) run = w->size;
        inside = letter;
        if (!rp_char_is_space(code))
            w->size += rp_utf8_put(w->text + w->size, code);
        else if (w->size && w->text[w->size - 1] != ' ')
            w->text[w->size++] = ' ';
    }
    if (w->size && w->text[w->size - 1] == ' ') w->size--;
}

static rp_status normalize(rp_text text, words *w, rp_error *err) {
    rp_chars chars = {0};
    rp_status status = lower(text, &chars, err);
    if (status) goto done;
    w->text = rp_new_zeroed(4ull * chars.count + 8, 1);
    w->items = rp_new_array(rp_text, chars.count / 2 + 2);
    if (!w->text || !w->items) {
        status = rp_fail_memory(err, "an answer", 12ull * chars.count);
        goto done;
    }
    write_words(&chars, w);
    for (size_t at = 0; at < w->size;) {
        const char *end = memchr(w->text + at, ' ', w->size - at);
        size_t size = end ? (size_t)(end - (w->text + at)) : w->size - at;
        w->items[w->count++] = (rp_text){w->text + at, size};
        at += size + 1;
    }
done:
    free(chars.items);
    return status;
}

/* ---- one answer and another ---- */

static int by_bytes(const void *left, const void *right) {
    const rp_text *a = left, *b = right;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

static bool same_text(const words *a, const words *b) {
    return a->size == b->size && !memcmp(a->text, b->text, a->size);
}

/* F1 over the words, however often each; both are sorted. */
static double overlap(const words *a, const words *b) {
    size_t i = 0, k = 0, same = 0;
    if (!a->count || !b->count) return a->count == b->count;
    while (i < a->count && k < b->count) {
        int order = by_bytes(&a->items[i], &b->items[k]);
        same += !order;
        i += order <= 0;
        k += order >= 0;
    }
    if (!same) return 0;
    double precision = (double)same / (double)a->count, recall = (double)same / (double)b->count;
    return 2 * precision * recall / (precision + recall);
}

static void sort(words *w) {
    if (w->count) qsort(w->items, w->count, sizeof *w->items, by_bytes);
}

rp_status rp_answers_add(rp_answers *a, const rp_text *right, size_t count, rp_text best, double none,
                         rp_error *err) {
    rp_answer_item item = {.none = none, .has = count, .empty = !best.size};
    words said = {0};
    bool any = false;
    if (!rp_grow((void **)&a->items, &a->capacity, a->count + 1, sizeof *a->items))
        return rp_fail_memory(err, "the questions", a->count * sizeof *a->items);
    rp_status status = normalize(best, &said, err);
    sort(&said);
    for (size_t i = 0; !status && i < count; i++) {
        words gold = {0};
        status = normalize(right[i], &gold, err);
        if (!status && gold.size) {
            any = true;
            item.exact = item.exact || same_text(&said, &gold);
            sort(&gold);
            double f1 = overlap(&said, &gold);
            if (f1 > item.f1) item.f1 = f1;
        }
        forget(&gold);
    }
    if (!any) item.f1 = item.exact = !said.size; /* the right answer is none */
    forget(&said);
    if (!status) a->items[a->count++] = item;
    return status;
}

/* ---- all of them ---- */

static int by_none(const void *left, const void *right) {
    const rp_answer_item *const *a = left, *const *b = right;
    if ((*a)->none != (*b)->none) return (*a)->none < (*b)->none ? -1 : 1;
    return *a < *b ? -1 : 1; /* as they follow one another in the file */
}

/* What is scored where no answer is said for the questions whose score of it is above a threshold that is
 * best for this file. */
static void best_threshold(const rp_answer_item *const *sorted, size_t count, bool exact, double *score,
                           double *threshold) {
    double now = 0;
    for (size_t i = 0; i < count; i++) now += !sorted[i]->has;
    *score = now;
    *threshold = 0;
    for (size_t i = 0; i < count; i++) {
        const rp_answer_item *item = sorted[i];
        if (item->has)
            now += exact ? (double)item->exact : item->f1;
        else
            now -= !item->empty;
        if (now <= *score) continue;
        *score = now;
        *threshold = item->none;
    }
    *score = 100 * *score / (double)count;
}

static rp_status add_best(const rp_answers *a, rp_metrics *out, rp_error *err) {
    const rp_answer_item **sorted = rp_new_array(const rp_answer_item *, a->count);
    double score, threshold;
    if (!sorted) return rp_fail_memory(err, "the questions", a->count * sizeof *sorted);
    for (size_t i = 0; i < a->count; i++) sorted[i] = &a->items[i];
    qsort(sorted, a->count, sizeof *sorted, by_none);
    best_threshold(sorted, a->count, true, &score, &threshold);
    rp_metrics_add(out, "best_exact", score);
    rp_metrics_add(out, "best_exact_thresh", threshold);
    best_threshold(sorted, a->count, false, &score, &threshold);
    rp_metrics_add(out, "best_f1", score);
    rp_metrics_add(out, "best_f1_thresh", threshold);
    free(sorted);
    return RP_OK;
}

rp_status rp_answers_metrics(const rp_answers *a, bool none, rp_metrics *out, rp_error *err) {
    double exact[2] = {0}, f1[2] = {0}, count[2] = {0}; /* without an answer, and with one */
    for (size_t i = 0; i < a->count; i++) {
        const rp_answer_item *item = &a->items[i];
        bool said = none && item->none > 0;
        exact[item->has] += said ? !item->has : item->exact;
        f1[item->has] += said ? (double)!item->has : item->f1;
        count[item->has]++;
    }
    double all = count[0] + count[1];
    rp_metrics_add(out, none ? "exact" : "exact_match", all > 0 ? 100 * (exact[0] + exact[1]) / all : NAN);
    rp_metrics_add(out, "f1", all > 0 ? 100 * (f1[0] + f1[1]) / all : NAN);
    if (!none) return RP_OK;
    if (count[1] > 0) rp_metrics_add(out, "HasAns_exact", 100 * exact[1] / count[1]);
    if (count[1] > 0) rp_metrics_add(out, "HasAns_f1", 100 * f1[1] / count[1]);
    if (count[0] > 0) rp_metrics_add(out, "NoAns_exact", 100 * exact[0] / count[0]);
    if (count[0] > 0) rp_metrics_add(out, "NoAns_f1", 100 * f1[0] / count[0]);
    return a->count ? add_best(a, out, err) : RP_OK;
}
