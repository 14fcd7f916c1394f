/* chrF: how many of the character n-grams of a text and a reference they have in common. */
#include "base/alloc.h"
#include "loader/unicode.h"
#include "reprise/score.h"

enum { ORDER = 6 };

/* An n-gram of every order begins here: as many of these characters as are left, six at most. */
typedef struct gram {
    const uint32_t *codes;
    size_t left;
} gram;

/* The n-grams of a text, sorted: equal ones of every order are neighbours. Zero-initialise; free both. */
typedef struct grams {
    uint32_t *codes; // [count] without white space
    gram *items;     // [count]
    size_t count;
} grams;

/* Compare the first `order` characters; one that has fewer comes first. */
static int compare(const gram *a, const gram *b, size_t order) {
    for (size_t i = 0; i < order; i++) {
        bool left = i < a->left, right = i < b->left;
        if (!left || !right) return left - right;
        if (a->codes[i] != b->codes[i]) return a->codes[i] < b->codes[i] ? -1 : 1;
    }
    return 0;
}

static int in_order(const void *left, const void *right) {
    return compare(left, right, ORDER);
}

static rp_status make_grams(rp_text text, grams *out, rp_error *err) {
    size_t bad = rp_utf8_check(text.data ? text.data : "", text.size);
    if (bad < text.size)
        return rp_fail(err, RP_ERROR_TEXT, "the text is not valid UTF-8 at byte %zu; convert it to UTF-8",
                       bad);
    out->codes = rp_new_array(uint32_t, text.size);
    out->items = rp_new_array(gram, text.size);
    if (!out->codes || !out->items)
        return rp_fail_memory(err, "the n-grams of a text", text.size * (sizeof(gram) + 4ull));
    for (size_t at = 0; at < text.size;) {
        uint32_t code = rp_utf8_next(text.data, &at);
        if (!rp_char_is_space(code)) out->codes[out->count++] = code;
    }
    for (size_t i = 0; i < out->count; i++)
        out->items[i] = (gram){out->codes + i, out->count - i < ORDER ? out->count - i : ORDER};
    qsort(out->items, out->count, sizeof *out->items, in_order);
    return RP_OK;
}

/* How many n-grams of one order a text of `count` characters has. */
static size_t number_of(size_t count, size_t order) {
    return count >= order ? count - order + 1 : 0;
}

/* The number of n-grams of one order that both have, each as often as in the one that has it less often. */
static size_t count_common(const grams *a, const grams *b, size_t order) {
    size_t common = 0, i = 0, k = 0;
    while (i < a->count && k < b->count) {
        if (a->items[i].left < order) {
            i++;
        } else if (b->items[k].left < order) {
            k++;
        } else {
            int which = compare(&a->items[i], &b->items[k], order);
            common += !which;
            i += which <= 0;
            k += which >= 0;
        }
    }
    return common;
}

/* Precision and recall are means over the orders that both texts have n-grams of. */
static double f_score(const grams *text, const grams *reference) {
    double precision = 0, recall = 0;
    int orders = 0;
    for (size_t order = 1; order <= ORDER; order++) {
        size_t has = number_of(text->count, order), wants = number_of(reference->count, order);
        if (!has || !wants) break;
        double common = (double)count_common(text, reference, order);
        precision += common / (double)has;
        recall += common / (double)wants;
        orders++;
    }
    if (precision + recall <= 0) return 0;
    precision /= orders;
    recall /= orders;
    return 100 * 5 * precision * recall / (4 * precision + recall);
}

rp_status rp_chrf(rp_text text, rp_text reference, double *out, rp_error *err) {
    grams a = {0}, b = {0};
    if (!out || (text.size && !text.data) || (reference.size && !reference.data))
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_chrf: out and the data of a text must not be NULL");
    *out = 0;
    rp_status status = make_grams(text, &a, err);
    if (!status) status = make_grams(reference, &b, err);
    if (!status) *out = f_score(&a, &b);
    free(a.codes);
    free(a.items);
    free(b.codes);
    free(b.items);
    return status;
}
