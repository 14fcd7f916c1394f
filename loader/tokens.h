/* The tokens of one text, while it is tokenized. */
#ifndef RP_LOADER_TOKENS_H
#define RP_LOADER_TOKENS_H

#include "base/alloc.h"
#include "reprise/tokenizer.h"

typedef struct rp_token {
    int32_t id;
    int32_t word; /* the number of its word in the text */
    rp_span span; /* bytes of the text */
} rp_token;

/* A growing array of them. Zero-initialise; free `items`. */
typedef struct rp_tokens {
    rp_token *items;
    size_t count, capacity;
    int32_t words; /* words so far */
} rp_tokens;

/* Append a token. False: out of memory. */
static inline bool rp_tokens_push(rp_tokens *tokens, int32_t id, int32_t word, uint32_t start, uint32_t end) {
    if (tokens->count == tokens->capacity &&
        !rp_grow((void **)&tokens->items, &tokens->capacity, tokens->count + 1, sizeof *tokens->items))
        return false;
    tokens->items[tokens->count++] = (rp_token){id, word, {start, end}};
    return true;
}

#endif
