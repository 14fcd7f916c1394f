/* What a regular expression is compiled into. */
#ifndef RP_LOADER_REGEX_PROGRAM_H
#define RP_LOADER_REGEX_PROGRAM_H

#include "base/alloc.h"
#include "loader/regex.h"

enum {
    RP_REGEX_STEPS = 2000,   /* of a program */
    RP_REGEX_PATTERN = 8192, /* bytes of a pattern */
    RP_REGEX_DEPTH = 100,    /* groups within groups */
    RP_REGEX_LEVELS = 8,     /* heights of loops, and 0 */
};

typedef enum rp_regex_op {
    RP_REGEX_CHAR,  /* the code point `value` */
    RP_REGEX_SET,   /* a code point of the set `value` */
    RP_REGEX_SPLIT, /* go on at both, `first` preferred */
    RP_REGEX_LOOP,  /* a split behind what is repeated, which can be empty; `value` is its height */
    RP_REGEX_JUMP,  /* go on at `first` */
    RP_REGEX_MATCH,
    RP_REGEX_LINE_BEGIN, /* from here on: conditions on the place in the text */
    RP_REGEX_LINE_END,
    RP_REGEX_TEXT_BEGIN,
    RP_REGEX_TEXT_END,
    RP_REGEX_LAST_LINE_END, /* the end, or before a line feed there */
    RP_REGEX_BOUNDARY,
    RP_REGEX_NO_BOUNDARY,
} rp_regex_op;

/* Targets are relative to the step itself, so that code can be moved and copied. */
typedef struct rp_regex_step {
    rp_regex_op op;
    uint32_t value;
    int32_t first, second;
} rp_regex_step;

/* Bits of rp_regex_set.kinds. */
enum {
    RP_REGEX_WHITE = 1,
    RP_REGEX_NOT_WHITE = 2,
    RP_REGEX_WORD = 4,
    RP_REGEX_NOT_WORD = 8,
    RP_REGEX_ALPHABETIC = 16,
    RP_REGEX_NOT_ALPHABETIC = 32,
    RP_REGEX_BARE_WORD = 64, /* \w outside of [..], which has six characters more, as in Oniguruma */
    RP_REGEX_NOT_BARE_WORD = 128,
};

typedef struct rp_regex_range {
    uint32_t first, last;
} rp_regex_range;

typedef struct rp_regex_set {
    uint32_t ascii[4];      /* the answer for each code point below U+0080 */
    uint32_t categories;    /* bits by rp_category */
    uint32_t ranges, count; /* the first range of the set, and how many: sorted, apart from each other */
    uint8_t kinds;
    bool negated;
} rp_regex_set;

struct rp_regex {
    rp_regex_step *steps;
    size_t count, capacity;
    uint32_t levels; /* one more than the height of the highest loop */
    rp_regex_set *sets;
    size_t set_count, set_capacity;
    rp_regex_range *ranges;
    size_t range_count, range_capacity;
    uint32_t starts[4]; /* code points below U+0080 that a match can begin with */
    bool starts_wide;   /* it can begin with others */
    bool starts_any;    /* it can be empty or begin with a condition: `starts` tells nothing */
};

/* Whether the set holds the code point. */
bool rp_regex_in_set(const rp_regex *regex, const rp_regex_set *set, uint32_t code);

/* Complete the set whose ranges are the last of `regex`: sort them and fill `ascii`. */
void rp_regex_finish_set(rp_regex *regex, rp_regex_set *set);

/* The general categories, or kinds, that a name of \p{..} stands for, added to `set`; false for no such name.
 * `name` is in lower case, without spaces, hyphens and underscores. */
bool rp_regex_add_property(rp_regex_set *set, const char *name, bool negated);

/* ---- writing ----
 * Each of these returns false when it fails: of the pattern, with `why`, or for want of memory. */

typedef struct rp_regex_writer {
    rp_regex *regex;
    const char *why; /* what is wrong with the pattern; NULL while a failure is one of memory */
} rp_regex_writer;

enum { RP_REGEX_ENDLESS = 100001 };

typedef struct rp_regex_repetition {
    uint32_t least, most; /* RP_REGEX_ENDLESS: no limit */
    bool lazy;
    bool fixed;  /* {n} */
    bool simple; /* * + ? */
} rp_regex_repetition;

/* Write a step, which goes on at the next, or one that takes a character of a set (completed here). */
bool rp_regex_emit(rp_regex_writer *w, rp_regex_op op, uint32_t value);
bool rp_regex_emit_set(rp_regex_writer *w, rp_regex_set *set);

/* Put a step in front of the code that begins at `at`. */
bool rp_regex_insert(rp_regex_writer *w, size_t at, rp_regex_op op);

/* Let the split at `at` go into what follows it or to `over`, one of them preferred. */
void rp_regex_aim(rp_regex_writer *w, size_t at, size_t over, bool over_first);

/* Add a range to a set that is being read; the ranges of one set lie behind each other. */
bool rp_regex_add_range(rp_regex_writer *w, rp_regex_set *set, uint32_t first, uint32_t last);

/* Repeat the code from `start` on. */
bool rp_regex_repeat(rp_regex_writer *w, size_t start, rp_regex_repetition r);

/* Find out what a match of the finished program can begin with; false when out of memory. */
bool rp_regex_find_starts(rp_regex *regex);

#endif
