/* UTF-8, and what Unicode says of characters. */
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

/* ---- properties ----
 * The reference of the tokenizers is Hugging Face's `tokenizers` 0.19.1, whose parts know different versions
 * of Unicode; the original algorithm of ALBERT runs in Python 3.11. Each function answers as its reference
 * does: what is newer than the version named there is unassigned. No function depends on an installed
 * library. */

/* The version that a part of the reference knows. */
typedef enum rp_unicode_version {
    RP_UNICODE_8,  /* unicode_categories: punctuation and control characters, accents of BERT */
    RP_UNICODE_9,  /* unicode-normalization-alignments: NFC and its kin, accents elsewhere */
    RP_UNICODE_14, /* Oniguruma: regular expressions; and Python 3.11 */
    RP_UNICODE_15, /* Rust's standard library and regex crate, unicode-segmentation */
} rp_unicode_version;

/* General categories, in the order of the Unicode standard. */
typedef enum rp_category {
    RP_CATEGORY_LU,
    RP_CATEGORY_LL,
    RP_CATEGORY_LT,
    RP_CATEGORY_LM,
    RP_CATEGORY_LO,
    RP_CATEGORY_MN,
    RP_CATEGORY_MC,
    RP_CATEGORY_ME,
    RP_CATEGORY_ND,
    RP_CATEGORY_NL,
    RP_CATEGORY_NO,
    RP_CATEGORY_PC,
    RP_CATEGORY_PD,
    RP_CATEGORY_PS,
    RP_CATEGORY_PE,
    RP_CATEGORY_PI,
    RP_CATEGORY_PF,
    RP_CATEGORY_PO,
    RP_CATEGORY_SM,
    RP_CATEGORY_SC,
    RP_CATEGORY_SK,
    RP_CATEGORY_SO,
    RP_CATEGORY_ZS,
    RP_CATEGORY_ZL,
    RP_CATEGORY_ZP,
    RP_CATEGORY_CC,
    RP_CATEGORY_CF,
    RP_CATEGORY_CS,
    RP_CATEGORY_CO,
    RP_CATEGORY_CN,
} rp_category;

/* The category that a code point has in a version; RP_CATEGORY_CN for one that is newer. */
rp_category rp_char_category_in(uint32_t code, rp_unicode_version version);

/* The same in Unicode 14, as \p{..} of a regular expression and Python see it. */
rp_category rp_char_category(uint32_t code);

/* The Unicode property White_Space, which is Rust's char::is_whitespace and \s of a regular expression. */
bool rp_char_is_white(uint32_t code);

/* Rust's char::is_numeric (categories N*), by which the pre-tokenizer Digits cuts. */
bool rp_char_is_numeric(uint32_t code);

/* \w of Rust's regex crate: of the pre-tokenizer Whitespace, and of added tokens with single_word. */
bool rp_char_is_word(uint32_t code);

/* \w and \b of Oniguruma: of the regular expressions in a tokenizer.json. Within [..] \w has not U+00B2,
 * U+00B3, U+00B9 and U+00BC to U+00BE. */
bool rp_char_is_regex_word(uint32_t code);

/* Any of Mn, Mc, Me: what the normalizer StripAccents removes. */
bool rp_char_is_mark(uint32_t code);

/* What BertNormalizer's clean_text removes besides U+0000 and U+FFFD; what its strip_accents removes (Mn);
 * the ideographs that it puts spaces around. U+2B820 to U+2B91F are not among them, by a slip of the
 * reference. */
bool rp_bert_is_control(uint32_t code);
bool rp_bert_is_nonspacing(uint32_t code);
bool rp_bert_is_ideograph(uint32_t code);

/* Punctuation of the pre-tokenizers BertPreTokenizer and Punctuation: P* and the ASCII symbols. */
bool rp_bert_is_punctuation(uint32_t code);

/* ---- properties as Python 3.11 sees them ---- */

/* White space of str.split() and str.strip(). */
bool rp_char_is_space(uint32_t code);

/* str.isdigit(). */
bool rp_char_is_digit(uint32_t code);

/* Canonical combining class; 0 for a starter. */
unsigned rp_char_combining(uint32_t code);

/* Full canonical or compatibility decomposition, not yet in canonical order; returns the number of code
 * points. */
size_t rp_char_decompose(uint32_t code, bool compatibility, uint32_t out[RP_DECOMPOSED_MAX]);

/* Append `in` in lower case to `out`, with the final sigma, as str.lower() does. False when out of memory. */
bool rp_chars_lower(const rp_chars *in, rp_chars *out);

/* ---- rewriting, as the reference does it ---- */

/* Lower case without context, as Rust's char::to_lowercase; returns the number of code points, 1 or 2. */
size_t rp_char_lower(uint32_t code, uint32_t out[RP_LOWERED_MAX]);

typedef enum rp_normal_form { RP_NFD, RP_NFKD, RP_NFC, RP_NFKC } rp_normal_form;

/* Bring `chars` into a normal form in place. The bytes that each stands for come out as in the reference,
 * which counts characters from the left: of a character that became several, each has the bytes of the first;
 * what was composed has the bytes of its first part; and marks that changed places have each other's. False
 * when out of memory; `chars` is then as before. */
bool rp_chars_normalize(rp_chars *chars, rp_normal_form form);

/* True unless the second of two neighbours continues the grapheme of the first (extended grapheme clusters,
 * without the rule for conjuncts of Indic scripts, which came after the reference). `state` is 0 before the
 * first pair of a text, and is handed from each pair to the next. */
bool rp_grapheme_break(uint32_t before, uint32_t after, int32_t *state);

#endif
