/* spiece.model: the file itself (spiece_model.c, plain C) and encoding by libsentencepiece (spiece.cc). */
#ifndef RP_LOADER_SPIECE_H
#define RP_LOADER_SPIECE_H

#include "reprise/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#include "base/error.h"

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
    rp_piece_kind kind;
} rp_piece;

/* The character map of the normalizer: a double-array trie over UTF-8 bytes whose values are positions in a
 * block of NUL-terminated replacements. units NULL: no map. */
typedef struct rp_charsmap {
    const unsigned char *units; /* [unit_count] little-endian 32-bit */
    size_t unit_count;
    const char *block; /* [block_size], ends in NUL */
    size_t block_size;
} rp_charsmap;

/* What a spiece.model holds, as views into its bytes, which must outlive it. */
typedef struct rp_spiece_file {
    rp_piece *pieces; /* [piece_count], owned */
    size_t piece_count;
    int32_t unknown; /* id of the unknown piece */
    rp_charsmap charsmap;
} rp_spiece_file;

/* Read and check the `size` bytes of the file `path`: the structure, every piece, that no walk of the
 * character map can leave it, and that its replacements are short. On success the caller owns `out->pieces`
 * (free). RP_ERROR_FORMAT names the field. */
rp_status rp_spiece_read(const char *path, const void *data, size_t size, rp_spiece_file *out, rp_error *err);

/* The replacement of the shortest prefix of `text` that the map knows, or NULL. NUL-terminated. */
const char *rp_charsmap_find(const rp_charsmap *map, const char *text, size_t size);

/* Visit every entry: `size` bytes of key, and the NUL-terminated replacement. False when the map is not a
 * tree of short keys, as every real one is: then a text may take for ever, and must not come to it. */
typedef void rp_charsmap_visit(void *context, const char *key, size_t size, const char *value);
bool rp_charsmap_walk(const rp_charsmap *map, rp_charsmap_visit *visit, void *context);

/* libsentencepiece with a loaded model. Read-only: any thread may encode. */
typedef struct rp_spiece rp_spiece;

/* Load the bytes, which must have passed rp_spiece_read. On success `*out` is owned by the caller. */
rp_status rp_spiece_open(const char *path, const void *data, size_t size, rp_spiece **out, rp_error *err);
void rp_spiece_close(rp_spiece *spiece);

/* One piece of an encoded text. */
typedef struct rp_spiece_token {
    int32_t id;
    uint32_t begin, end; /* bytes of the encoded text; empty for a dummy prefix that stands alone */
    size_t text, size;   /* the piece in rp_spiece_tokens.text */
} rp_spiece_token;

typedef struct rp_spiece_tokens {
    rp_spiece_token *items;
    size_t count;
    char *text; /* all the pieces, one behind the other */
} rp_spiece_tokens;

/* Encode valid UTF-8. On success the caller owns `out` (rp_spiece_tokens_finish). */
rp_status rp_spiece_encode(const rp_spiece *spiece, const char *text, size_t size, rp_spiece_tokens *out,
                           rp_error *err);
void rp_spiece_tokens_finish(rp_spiece_tokens *tokens);

/* Join pieces to text. On success `*out` (`*size` bytes) is owned by the caller (free). */
rp_status rp_spiece_decode(const rp_spiece *spiece, const rp_text *pieces, size_t count, char **out,
                           size_t *size, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
