/* One instance of pre-training, as google-research/albert makes them: two stretches of text in order or
 * swapped, some of whose words are masked. */
#ifndef RP_LOADER_INSTANCE_H
#define RP_LOADER_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loader/data.h"
#include "loader/json_write.h"

/* Append {"input_ids", "token_type_ids", "masked_positions", "masked_ids", "order"}, on one line. */
void rp_instance_write(rp_json_writer *w, const rp_instance *instance);

/* ---- making them ---- */

/* Random numbers that depend on three keys alone. */
typedef struct rp_dice {
    uint64_t state;
} rp_dice;

rp_dice rp_dice_make(uint64_t seed, uint64_t epoch, uint64_t place);
uint32_t rp_dice_below(rp_dice *dice, uint32_t count); /* 0..count - 1, count > 0 */
double rp_dice_share(rp_dice *dice);                   /* from 0 to below 1 */

/* How instances are made of segments. Zero-initialise; rp_instance_maker_open. */
typedef struct rp_instance_maker {
    uint32_t max_tokens;      /* of an instance, special tokens included; at least 5 */
    uint32_t max_predictions; /* in it; at least 1 */
    uint32_t ngram;           /* longest n-gram of whole words; at least 1 */
    double share;             /* of the tokens that are predicted */
    /* ---- */
    rp_special_ids special;
    uint32_t vocab_size;
    bool *starts;            /* [vocab_size] a word begins with that piece */
    uint32_t *words, *order; /* [max_tokens + 1]: where words begin; and the order in which they are tried */
    bool *covered;           /* [max_tokens] */
    int32_t *ids, *types, *masked_ids; /* [max_tokens] of the instance that was made last */
    uint32_t *positions;               /* [max_tokens] likewise */
    uint32_t count;
} rp_instance_maker;

/* Whether a piece of SentencePiece begins a word: with the mark of a blank or '<', as one character of
 * punctuation, or because it holds something other than letters and ASCII punctuation. Letters are those of
 * every script that puts blanks between words; with Google they are a to z. */
bool rp_instance_starts_word(const char *piece);

/* Prepare for the vocabulary of `tokenizer`. RP_ERROR_UNSUPPORTED when it has no [CLS], [SEP] or [MASK];
 * RP_ERROR_ARGUMENT for max_tokens below 5; RP_ERROR_HOST_MEMORY. */
rp_status rp_instance_maker_open(rp_instance_maker *maker, const rp_tokenizer *tokenizer, rp_error *err);
void rp_instance_maker_finish(rp_instance_maker *maker);

/* Make an instance of `segments` segments, at least two, of which segment i is ids[ends[i - 1]..ends[i]) and
 * none is empty. The dice decide where B begins, whether the two are swapped, at which ends the longer one
 * loses tokens, and what is masked. What `*out` points to lives until the next call. Used by one thread at a
 * time. */
void rp_instance_make(rp_instance_maker *maker, const int32_t *ids, const size_t *ends, size_t segments,
                      rp_dice *dice, rp_instance *out);

#endif
