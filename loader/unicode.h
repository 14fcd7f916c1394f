/* UTF-8 and the properties of characters that tokenizers ask for. */
#ifndef RP_LOADER_UNICODE_H
#define RP_LOADER_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RP_DECOMPOSED_MAX = 32, /* code points that one code point can decompose into, with room to spare */
    RP_LOWERED_MAX = 2,
};

/* A code point of a text that is being rewritten, and the bytes of the original text that it stands for. */
typedef struct rp_char {
    uint32_t code;
    uint32_t start, end;
} rp_char;

/* A growing array of them. Zero-initialise; free `items`. */
typedef struct rp_chars {
    rp_char *items;
    size_t count, capacity;
} rp_chars;

/* Append one; false when out of memory. */
bool rp_chars_push(rp_chars *chars, uint32_t code, uint32_t start, uint32_t end);

/* Position of the first byte that is not part of strictly valid UTF-8 (no overlong forms, no surrogates,
 * nothing above U+10FFFF), or `size` when all of it is valid. */
size_t rp_utf8_check(const char *text, size_t size);

/* The code point at `*at`, which moves behind it. The text must be valid. */
uint32_t rp_utf8_next(const char *text, size_t *at);

/* Write a code point as 1 to 4 bytes; returns how many. */
size_t rp_utf8_put(char out[4], uint32_t code);

/* Number of bytes that rp_utf8_put writes. */
size_t rp_utf8_size(uint32_t code);

/* Number of code points in valid UTF-8. */
size_t rp_utf8_count(const char *text, size_t size);

/* White space as Python's str.split() and str.strip() see it. */
bool rp_char_is_space(uint32_t code);

/* The Unicode property White_Space, which leaves out U+001C to U+001F. */
bool rp_char_is_white(uint32_t code);

/* Space, tab, line feed, carriage return and category Zs: white space as BERT sees it. */
bool rp_char_is_blank(uint32_t code);

/* Any category C* except tab, line feed and carriage return, as BERT sees it. */
bool rp_char_is_control(uint32_t code);

/* Categories P* and the ASCII symbols. */
bool rp_char_is_punctuation(uint32_t code);

/* The CJK ideographs that BERT puts spaces around. */
bool rp_char_is_ideograph(uint32_t code);

/* Python's str.isdigit(). */
bool rp_char_is_digit(uint32_t code);

/* Category Mn; any of Mn, Mc, Me. */
bool rp_char_is_nonspacing(uint32_t code);
bool rp_char_is_mark(uint32_t code);

/* Cased, and ignored when looking for the end of a word: what the rule for the final sigma needs. */
bool rp_char_is_cased(uint32_t code);
bool rp_char_is_case_ignorable(uint32_t code);

/* Canonical combining class; 0 for a starter. */
unsigned rp_char_combining(uint32_t code);

/* Lower case without context; returns the number of code points, 1 or 2. */
size_t rp_char_lower(uint32_t code, uint32_t out[RP_LOWERED_MAX]);

/* Append `in` in lower case to `out`, with the final sigma, as Python's str.lower() does. False when out of
 * memory. */
bool rp_chars_lower(const rp_chars *in, rp_chars *out);

/* Full canonical or compatibility decomposition, not yet in canonical order; returns the number of code
 * points. */
size_t rp_char_decompose(uint32_t code, bool compatibility, uint32_t out[RP_DECOMPOSED_MAX]);

/* Bring `chars` into NFC in place; a composed character stands for the bytes of all its parts. False when out
 * of memory. */
bool rp_chars_compose(rp_chars *chars);

/* True unless the second of two neighbours continues the grapheme of the first. `state` starts at 0. */
bool rp_grapheme_break(uint32_t before, uint32_t after, int32_t *state);

#endif
