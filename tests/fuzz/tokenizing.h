/* Using a tokenizer, and what must hold of its answers. */
#ifndef FUZZ_TOKENIZING_H
#define FUZZ_TOKENIZING_H

#include "fuzz.h"
#include "reprise/tokenizer.h"

/* Tokenize, look at every array, and decode what comes out. */
void fuzz_tokenize(const rp_tokenizer *t, rp_text text, rp_text pair, const rp_tokenize_params *params);

/* The same for a few texts with a bit of everything. */
void fuzz_tokenize_some(const rp_tokenizer *t);

#endif
