/* Where the sentences of a text are. */
#ifndef RP_LOADER_SENTENCES_H
#define RP_LOADER_SENTENCES_H

#include <stdbool.h>
#include <stddef.h>

#include "reprise/tokenizer.h"

/* Spans of a text, bytes. Zero-initialise; free `items`. */
typedef struct rp_sentences {
    rp_span *items; /* [count] */
    size_t count, capacity;
} rp_sentences;

/* Cut valid UTF-8 into sentences, in order, each without the white space around it. A sentence ends
 * - at a blank line;
 * - behind . ! ? or a stop of another script (U+3002 and the like, which need no space behind them), with the
 *   quotes and brackets that close behind it, before white space;
 * - not behind a title (Mr.), an initial (J.), a number that the sentence begins with (1.), e.g. and i.e.,
 *   nor before a small letter, unless most of the text's sentences seem to begin with one: it is written in
 *   small letters then.
 * Linear in the bytes of the text. False: out of memory. */
bool rp_sentences_find(rp_text text, rp_sentences *out);

#endif
