/* spiece.model: the file itself (spiece_model.c), and encoding with it as libsentencepiece 0.1.97 does
 * (spiece.c). */
#ifndef RP_LOADER_SPIECE_H
#define RP_LOADER_SPIECE_H

#include "base/error.h"
#include "loader/charsmap.h"
#include "loader/unigram.h"
#include "reprise/tokenizer.h"

typedef enum rp_piece_kind {
    RP_PIECE_NORMAL = 1,
    RP_PIECE_UNKNOWN,
    RP_PIECE_CONTROL,
    RP_PIECE_USER, /* a user-defined symbol: always one piece */
    RP_PIECE_UNUSED,
    RP_PIECE_BYTE,
} rp_piece_kind;

/* One vocabulary entry, pointing into the bytes of the file. */
typedef struct rp_piece {
    const char *text;
    size_t size;
    float score;
    rp_piece_kind kind;
} rp_piece;

/* How rp_spiece_encode rewrites a text before it cuts it into pieces. */
typedef struct rp_normalizer_spec {
    bool add_dummy_prefix;         /* a space in front (or behind, with space_as_suffix) */
    bool remove_extra_whitespaces; /* at both ends, and all but one of a run */
    bool escape_whitespaces;       /* U+2581 stands for a space */
    rp_charsmap charsmap;
} rp_normalizer_spec;

/* What a spiece.model holds, as views into its bytes, which must outlive it. */
typedef struct rp_spiece_file {
    rp_piece *pieces; /* [piece_count], owned */
    size_t piece_count;
    int32_t unknown;    /* id of the unknown piece */
    bool byte_fallback; /* unknown characters become the pieces of their bytes */
    bool space_as_suffix;
    rp_normalizer_spec normalizer;
} rp_spiece_file;

/* Read and check the `size` bytes of the file `path`: the structure, every piece, that no walk of a character
 * map can leave it, and that its replacements are short. On success the caller owns `out->pieces` (free).
 * RP_ERROR_FORMAT names the field, RP_ERROR_UNSUPPORTED a model that is not unigram. */
rp_status rp_spiece_read(const char *path, const void *data, size_t size, rp_spiece_file *out, rp_error *err);

/* A model that is ready to encode. Nothing changes it, so any thread may use it. */
typedef struct rp_spiece rp_spiece;

/* Get `file` ready, which must outlive the result; `path` is for messages. RP_ERROR_FORMAT when no piece is
 * for texts, or one is too long. On success `*out` is owned by the caller. */
rp_status rp_spiece_open(const char *path, const rp_spiece_file *file, rp_spiece **out, rp_error *err);
void rp_spiece_close(rp_spiece *spiece);

/* Bytes of the longest user-defined piece at the beginning of `text`; 0: none. */
size_t rp_spiece_user(const rp_spiece *spiece, const char *text, size_t size);

/* One piece of an encoded text. */
typedef struct rp_spiece_token {
    int32_t id;
    uint32_t begin, end; /* bytes of the encoded text; empty for a dummy prefix that stands alone */
    rp_text piece;       /* valid as long as the tokens and the model */
} rp_spiece_token;

/* The tokens of a text: rp_spiece_token_at gives each. Zero-initialise, rp_spiece_tokens_finish; may be used
 * for one text after another. */
typedef struct rp_spiece_tokens {
    rp_unigram_tokens tokens; /* tokens.count of them, as ranges of the text as it was rewritten: */
    char *text;               /* [size] */
    uint32_t *from;           /* [size + 1] the byte of the encoded text that each comes from */
    size_t size, capacity;
    bool too_long; /* why rewriting it failed */
} rp_spiece_tokens;

/* Encode valid UTF-8; `out` holds its tokens alone. RP_ERROR_TEXT when the character map makes the text too
 * long. */
rp_status rp_spiece_encode(const rp_spiece *spiece, const char *text, size_t size, rp_spiece_tokens *out,
                           rp_error *err);
rp_spiece_token rp_spiece_token_at(const rp_spiece *spiece, const rp_spiece_tokens *tokens, size_t i);
void rp_spiece_tokens_finish(rp_spiece_tokens *tokens);

#endif
