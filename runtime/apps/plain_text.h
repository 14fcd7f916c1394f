/* Texts as they were meant, where somebody hid words from a filter. */
#ifndef RP_APPS_PLAIN_TEXT_H
#define RP_APPS_PLAIN_TEXT_H

#include "loader/unicode.h"
#include "reprise/tokenizer.h"

/* The code points of `text`, which is valid UTF-8 of at most RP_TEXT_BYTES_MAX bytes, each with the bytes
 * that it stands for. */
rp_status rp_text_chars(rp_text text, rp_chars *out, rp_error *err);

/* Write chars[first..end) as UTF-8 to `out`, which has room for 4 bytes each; the end of what was written. */
char *rp_chars_write(const rp_chars *chars, size_t first, size_t end, char *out);

/* Undo in place what rp_moderate_params.normalize says. A word is changed where `tokenizer` makes fewer
 * tokens of it then. */
rp_status rp_chars_plain(const rp_tokenizer *tokenizer, rp_chars *chars, rp_error *err);

/* The sentences of `chars`: the end of each, in code points, to `ends`, [chars->count] at most; their number.
 * White space belongs to the sentence before it. */
size_t rp_chars_sentences(const rp_chars *chars, uint32_t *ends);

#endif
