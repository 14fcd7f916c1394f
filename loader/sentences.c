/* Cutting a text into sentences by plain rules. */
#include "loader/sentences.h"

#include <string.h>

#include "base/alloc.h"
#include "loader/unicode.h"

/* Nobody writes more quotes behind a stop, or more white space that tells a blank line; looking further would
 * take a square of the time. */
enum { LOOK = 32, WORD_MAX = 16 };

/* Words that a name or a number follows. */
static const char *const titles[] = {"mr",   "mrs", "ms",  "messrs", "mme",  "mlle", "dr",  "prof", "rev",
                                     "hon",  "st",  "gen", "col",    "capt", "lt",   "sgt", "maj",  "cmdr",
                                     "gov",  "sen", "rep", "pres",   "fig",  "figs", "vol", "vols", "ch",
                                     "chap", "sec", "art", "pp",     "cf",   "viz",  "vs",  "e.g",  "i.e",
                                     "eg",   "ie",  "nr",  "hr",     "fr",   "bzw",  "z.b", "d.h",  "approx"};

static bool is_stop(uint32_t code) {
    return code == '.' || code == '!' || code == '?' || code == 0x2026 /* ... */ || code == 0x203c /* !! */ ||
           (code >= 0x2047 && code <= 0x2049) /* ??, ?!, !? */ || code == 0x061f ||
           code == 0x06d4 /* Arabic */ || code == 0x0964 || code == 0x0965 /* danda */ ||
           code == 0x0589 /* Armenian */ || code == 0x1362 || code == 0x1367 /* Ethiopic */ ||
           code == 0x104a || code == 0x104b /* Burmese */ || code == 0x17d4 || code == 0x17d5 /* Khmer */;
}

/* Stops of scripts that put no space behind them. */
static bool is_wide_stop(uint32_t code) {
    return code == 0x3002 || code == 0xff01 || code == 0xff1f || code == 0xff0e || code == 0xff61;
}

static bool is_closing(uint32_t code) {
    if (code == '"' || code == '\'') return true;
    if (code < 0x80) return code == ')' || code == ']' || code == '}';
    rp_category category = rp_char_category(code);
    return category == RP_CATEGORY_PF || category == RP_CATEGORY_PE;
}

/* What stands in front of a small letter or behind a stop. */
typedef struct reader {
    const char *data;
    size_t size;
    bool small; // sentences begin with small letters
} reader;

static uint32_t peek(const reader *r, size_t at) {
    return at < r->size ? rp_utf8_next(r->data, &at) : 0;
}

/* Behind the stops and closing quotes at `at`; `*dots`: several full stops in a row. */
static size_t skip_stops(const reader *r, size_t at, bool *wide, bool *dots) {
    size_t stops = 0;
    for (int i = 0; i < LOOK && at < r->size; i++) {
        size_t next = at;
        uint32_t code = rp_utf8_next(r->data, &next);
        bool stop = is_stop(code) || is_wide_stop(code);
        if (!stop && !is_closing(code)) break;
        *wide = *wide || is_wide_stop(code);
        stops += code == '.' ? 1 : code == 0x2026 ? 2 : 0;
        at = next;
    }
    *dots = stops > 1;
    return at;
}

/* The first character behind white space and opening quotes. */
static uint32_t begin_of_next(const reader *r, size_t at) {
    for (int i = 0; i < LOOK && at < r->size; i++) {
        uint32_t code = rp_utf8_next(r->data, &at);
        rp_category category = rp_char_category(code);
        bool opens = code == '"' || code == '\'' || category == RP_CATEGORY_PI ||
                     category == RP_CATEGORY_PS || category == RP_CATEGORY_PD;
        if (!rp_char_is_white(code) && !opens) return code;
    }
    return 0;
}

/* The word before the stop at `at`, in small letters of ASCII; "" where it is longer than any that matters.
 */
static void word_before(const reader *r, size_t begin, size_t at, char out[WORD_MAX]) {
    size_t first = at, size = 0;
    while (first > begin && at - first < WORD_MAX) {
        unsigned char c = (unsigned char)r->data[first - 1];
        bool letter = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                      (c >= 'A' && c <= 'Z') || c == '.';
        if (!letter) break;
        first--;
    }
    if (at - first < WORD_MAX)
        for (; first < at; first++) {
            char c = r->data[first];
            out[size++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
    out[size] = '\0';
}

static bool is_title(const char *word) {
    for (size_t i = 0; i < RP_COUNT(titles); i++)
        if (!strcmp(titles[i], word)) return true;
    return false;
}

/* Does the full stop at `at`, behind which `next` begins, belong to the word before it? */
static bool is_abbreviation(const reader *r, size_t begin, size_t at, uint32_t next) {
    char word[WORD_MAX];
    word_before(r, begin, at, word);
    size_t size = strlen(word);
    bool upper = rp_char_category(next) == RP_CATEGORY_LU;
    if (!size) return false;
    if (is_title(word)) return true;
    if (!strcmp(word, "no")) return next >= '0' && next <= '9';
    if (strspn(word, "0123456789") == size) return at - begin == size; /* the number of an item */
    if (strchr(word, '.')) return !upper;                              /* p.m. */
    if (size > 1) return false;
    /* An initial; but "I" and "a" are words too. */
    bool capital = r->data[at - 1] >= 'A' && r->data[at - 1] <= 'Z';
    return capital ? word[0] != 'i' || !upper
                   : r->small && word[0] >= 'b' && word[0] <= 'z' && word[0] != 'i';
}

/* Does a sentence that began at `begin` end with the stop at `at`? `*end` gets the place behind it and what
 * closes there. */
static bool ends_here(const reader *r, size_t begin, size_t at, size_t *end) {
    bool wide = false, dots = false;
    *end = skip_stops(r, at, &wide, &dots);
    if (*end >= r->size || wide) return true;
    if (!rp_char_is_white(peek(r, *end))) return false;
    uint32_t next = begin_of_next(r, *end);
    bool lower = rp_char_category(next) == RP_CATEGORY_LL;
    if (lower && (!r->small || dots)) return false;
    return r->data[at] != '.' || dots || !is_abbreviation(r, begin, at, next);
}

/* Is there an empty line at the line feed at `at`? */
static bool is_blank_line(const reader *r, size_t at) {
    for (int i = 0; i < LOOK; i++) {
        if (++at >= r->size) return false;
        if (r->data[at] == '\n') return true;
        if (r->data[at] != ' ' && r->data[at] != '\t' && r->data[at] != '\r') return false;
    }
    return false;
}

static bool add(rp_sentences *out, const reader *r, size_t begin, size_t end) {
    size_t last = begin;
    for (size_t at = begin; at < end;) {
        bool white = rp_char_is_white(rp_utf8_next(r->data, &at));
        if (white && last == begin) begin = last = at;
        if (!white) last = at;
    }
    if (last == begin) return true;
    if (!rp_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items)) return false;
    out->items[out->count++] = (rp_span){(uint32_t)begin, (uint32_t)last};
    return true;
}

/* Most of what stands behind stops begins with a small letter. */
static bool begins_small(const reader *r) {
    size_t small = 0, large = 0;
    for (size_t at = 0; at < r->size;) {
        size_t from = at, end;
        uint32_t code = rp_utf8_next(r->data, &at);
        bool wide = false, dots = false;
        if (code != '.' && code != '!' && code != '?') continue;
        end = skip_stops(r, from, &wide, &dots);
        if (end >= r->size || dots || !rp_char_is_white(peek(r, end))) continue;
        rp_category category = rp_char_category(begin_of_next(r, end));
        small += category == RP_CATEGORY_LL;
        large += category == RP_CATEGORY_LU;
    }
    return small > large;
}

bool rp_sentences_find(rp_text text, rp_sentences *out) {
    reader r = {.data = text.data, .size = text.size};
    size_t begin = 0;
    r.small = begins_small(&r);
    for (size_t at = 0; at < r.size;) {
        size_t from = at, end;
        uint32_t code = rp_utf8_next(r.data, &at);
        if (begin == from && rp_char_is_white(code)) begin = at;
        if (code == '\n' && is_blank_line(&r, from)) {
            if (!add(out, &r, begin, from)) return false;
            begin = at;
        } else if (is_stop(code) || is_wide_stop(code)) {
            bool ends = ends_here(&r, begin, from, &end);
            if (ends && !add(out, &r, begin, end)) return false;
            if (ends) begin = end;
            at = end;
        }
    }
    return begin >= r.size || add(out, &r, begin, r.size);
}
