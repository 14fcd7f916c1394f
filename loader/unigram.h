/* A unigram model finds, among all ways to cut a text into pieces of its vocabulary, the one with the highest
 * sum of scores.
 *
 * It gives the same tokens, also in ties, as one of two programs, which differ: libsentencepiece, which made
 * a spiece.model, and Hugging Face's tokenizers, which reads a tokenizer.json. */
#ifndef RP_LOADER_UNIGRAM_H
#define RP_LOADER_UNIGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "loader/trie.h"

/* One piece of the vocabulary, for rp_unigram_open. */
typedef struct rp_unigram_piece {
    const char *text; /* [size] UTF-8 */
    uint32_t size;
    double score;
    bool skip; /* never found in texts: control, unknown, unused and byte pieces of a spiece.model */
    bool user; /* a user-defined symbol, whose score follows from its length; RP_UNIGRAM_SPIECE alone */
} rp_unigram_piece;

typedef enum rp_unigram_kind {
    /* libsentencepiece 0.1.97: sums are rounded to float32; each unknown character becomes its bytes' pieces
     * with byte_fallback, otherwise neighbours are joined. Of several pieces with one text the first counts.
     */
    RP_UNIGRAM_SPIECE,
    /* tokenizers 0.19.1: sums are float64; unknown neighbours are joined, and with byte_fallback become the
     * pieces of their bytes where there is one for each. Of several pieces with one text the last counts. */
    RP_UNIGRAM_FAST,
} rp_unigram_kind;

enum {
    RP_UNIGRAM_PIECE_MAX = 1024,           /* most bytes of a piece */
    RP_UNIGRAM_PIECES_MAX = (1 << 24) - 2, /* most pieces of a model */
};

/* An opened model. Nothing changes it, so any thread may encode with it. */
typedef struct rp_unigram {
    rp_trie trie;   /* of the pieces that texts can have */
    double *scores; /* [piece_count] */
    double unknown_score;
    int32_t unknown;
    rp_unigram_kind kind;
    bool byte_fallback;
    int32_t bytes[256]; /* the piece of a byte, or -1 */
} rp_unigram;

typedef struct rp_unigram_token {
    int32_t id;
    uint32_t begin, end; /* bytes of the encoded text */
} rp_unigram_token;

/* A growing array of them. Zero-initialise; free `items`. */
typedef struct rp_unigram_tokens {
    rp_unigram_token *items;
    size_t count, capacity;
} rp_unigram_tokens;

/* Make a model of `count` pieces, whose ids are their indices, and copy what it needs of `pieces`. `unknown`
 * is the id of the unknown piece, or -1 (RP_UNIGRAM_FAST alone) where the file names none. With
 * `byte_fallback` the pieces <0x00> to <0xFF> stand for the bytes of unknown text. RP_ERROR_FORMAT names
 * `path` and the piece: one that is too long, a score that is no finite number, too many pieces, an unknown
 * piece that does not exist. Takes time and memory in proportion to the texts of the pieces. On success
 * `*out` is owned by the caller. */
rp_status rp_unigram_open(const rp_unigram_piece *pieces, size_t count, int32_t unknown, bool byte_fallback,
                          rp_unigram_kind kind, const char *path, rp_unigram **out, rp_error *err);

/* Free it and set `*unigram` to NULL. NULL and a pointer to NULL are allowed. */
void rp_unigram_close(rp_unigram **unigram);

/* Append the tokens of the best segmentation of valid UTF-8 to `out`. They follow each other without a gap;
 * only the pieces of the bytes of unknown text share a range: all of them with RP_UNIGRAM_FAST, while with
 * RP_UNIGRAM_SPIECE the last one has it and those before are empty. Where the text needs an unknown piece and
 * the model has none, `out` ends in a token with the id -1 for the character, in the place of all others.
 * Takes time in proportion to the size of the text times the longest piece, at most. False: out of memory, or
 * a text of 4 GiB. Thread-safe. */
bool rp_unigram_encode(const rp_unigram *unigram, const char *text, size_t size, rp_unigram_tokens *out);

/* The byte that the text of a piece such as <0x0A> stands for, or -1. */
int rp_byte_of_piece(const char *text, size_t size);

#endif
