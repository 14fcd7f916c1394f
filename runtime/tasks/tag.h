/* The two halves of token classification: windows (tag.c), and entities made of tokens (tag_group.c). */
#ifndef RP_TASKS_TAG_H
#define RP_TASKS_TAG_H

#include "task.h"

/* What is known of the tokens of one window. */
typedef struct rp_tagged {
    rp_text text;                // the whole input
    const rp_encoding *encoding; // of the whole input
    uint32_t first, count;       // the tokens of the window
    uint32_t before;             // special tokens in front of them
    float *scores;               // [count, labels] probabilities
} rp_tagged;

/* Entities of one input, growing. */
typedef struct rp_entities {
    rp_entity *items;
    size_t count, capacity;
} rp_entities;

typedef struct rp_tagger {
    const rp_model_info *info;
    const rp_tokenizer *tokenizer;
    rp_aggregation aggregation;
    bool outside;      // "O" is a label like any other
    rp_result *result; // holds the words
    rp_entities found; // of the current input
    rp_text *words;    // scratch: the texts of the tokens of an entity
    char **joined;     // scratch: the words of an entity
    size_t word_capacity, joined_capacity;
} rp_tagger;

/* Append the entity of one token, unless its label is "O" and that is left out. */
rp_status rp_tag_token(rp_tagger *tagger, const rp_tagged *window, uint32_t token, rp_error *err);

/* Append the entities of a window, as the aggregation says. */
rp_status rp_tag_group(rp_tagger *tagger, const rp_tagged *window, rp_error *err);

/* Of entities that overlap, which neighbouring windows bring, keep the longest; of equally long ones the
 * surest. */
void rp_tag_merge(rp_tagger *tagger, rp_text text);

void rp_tagger_finish(rp_tagger *tagger);

#endif
