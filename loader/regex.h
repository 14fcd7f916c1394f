/* Regular expressions of a tokenizer.json, as Oniguruma in Hugging Face's tokenizers reads them (Unicode 14),
 * matched in time that is linear in the text. Served are literals, classes, \s \d \w \h \p{..} and their
 * negations, ., quantifiers (lazy ones too), groups, |, and ^ $ \A \Z \z \b \B. Whatever else Oniguruma knows
 * is refused: look-around, backreferences, possessive quantifiers, options, sets within sets.
 *
 * As in Oniguruma ^ and $ are the ends of lines, but ^ is not behind a last line feed; . is anything but a
 * line feed; {n}? is an optional {n}; and \w has U+00B2 and five others only outside of [..]. */
#ifndef RP_LOADER_REGEX_H
#define RP_LOADER_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/unicode.h"
#include "reprise/status.h"

/* A compiled pattern: read-only, so any number of threads may search with it at once. */
typedef struct rp_regex rp_regex;

/* Compile the `size` bytes of UTF-8 at `pattern`, which was read from the file `path`. RP_ERROR_UNSUPPORTED,
 * with the file, the pattern and the reason, for one that is not served, is malformed, or is too large (2,000
 * steps, repetitions written out); RP_ERROR_HOST_MEMORY. The caller closes `*out`. */
rp_status rp_regex_open(const char *pattern, size_t size, const char *path, rp_regex **out, rp_error *err);

/* Free, and set to NULL; NULL is allowed. */
void rp_regex_close(rp_regex **regex);

/* A walk over the matches of one text. Zero-initialise; rp_regex_walk_finish frees what it came to hold. */
typedef struct rp_regex_walk {
    size_t from;      /* where the next search begins */
    size_t last_plus; /* the end of the last match, plus 1; 0: there was none */
    size_t beyond;    /* characters that searches looked at behind their matches */
    uint64_t *dead;   /* NULL at first: a bit for each step at each place, from which no match is to be had */
} rp_regex_walk;

/* Find the next match of a walk as tokenizers sees them: the leftmost one from the end of the last match on,
 * and of those that begin there the one that backtracking would find first. An empty match right behind the
 * last one does not count, and an empty text has none. `chars` is the whole text: what is before walk->from
 * decides about ^, \A and \b. On true the match is chars[*start..*end), which may be empty. False: there is
 * none, or, with *memory set to true, memory ran out. The time of all calls of a walk together is linear in
 * the text. */
bool rp_regex_next(const rp_regex *regex, const rp_char *chars, size_t count, rp_regex_walk *walk,
                   size_t *start, size_t *end, bool *memory);

void rp_regex_walk_finish(rp_regex_walk *walk);

#endif
