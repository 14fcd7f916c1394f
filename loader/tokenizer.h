/* The parts of a tokenizer: vocabulary, configuration, splitting on added tokens, and the two algorithms. */
#ifndef RP_LOADER_TOKENIZER_H
#define RP_LOADER_TOKENIZER_H

#include "reprise/tokenizer.h"
#include "base/alloc.h"
#include "loader/spiece.h"
#include "loader/unicode.h"

/* ---- vocabulary (tokenizer_vocab.c) ---- */

typedef struct rp_vocab_entry {
    const char *text; /* NUL-terminated; NULL: no such id */
    uint32_t size;    /* bytes, without the NUL */
    uint32_t hash;
} rp_vocab_entry;

/* Pieces by id and ids by piece. Zero-initialise; rp_vocab_finish. */
typedef struct rp_vocab {
    rp_vocab_entry *entries; /* [count] */
    size_t count, capacity;
    int32_t *slots; /* [slot_count] ids, -1 where empty; slot_count is a power of two */
    size_t slot_count, used;
    uint32_t seed;    /* what hashes begin with, another one each time: no file can be made whose pieces share
                         a hash, and would take the square of their number */
    uint32_t longest; /* bytes of the longest piece */
    rp_arena arena;   /* holds the texts */
} rp_vocab;

/* The hash of a piece, built up part by part from vocab->seed. */
uint32_t rp_vocab_hash(uint32_t hash, const char *text, size_t size);

/* Set the piece of `id`, growing the vocabulary. With `replace` the text then leads to this id even when an
 * earlier one had it. False when out of memory. */
bool rp_vocab_set(rp_vocab *vocab, int32_t id, const char *text, size_t size, bool replace);

/* The id of a piece, or -1. The second takes the text in two parts whose hash is known. */
int32_t rp_vocab_find(const rp_vocab *vocab, const char *text, size_t size);
int32_t rp_vocab_find_hashed(const rp_vocab *vocab, uint32_t hash, const char *prefix, size_t prefix_size,
                             const char *text, size_t size);

void rp_vocab_finish(rp_vocab *vocab);

/* ---- configuration (tokenizer_config.c) ---- */

/* A token that is cut out of the raw text before anything else. */
typedef struct rp_added_token {
    const char *text;      /* NUL-terminated; like `codes` in the tokenizer's arena */
    const uint32_t *codes; /* [length] code points */
    size_t length;
    int32_t id;
    bool lstrip, rstrip; /* takes the white space beside it too */
    bool single_word;    /* only between spaces */
    bool normalized;     /* matched behind lower-casing, unless special */
    bool special;        /* as its file says */
    bool role;           /* named as [CLS], <unk>, ... or in additional_special_tokens: special in decoding */
    bool listed;         /* of these, in additional_special_tokens */
    bool hidden;         /* not looked for in texts */
    bool described;      /* its file gave all of the above, not the text alone */
} rp_added_token;

struct rp_tokenizer {
    char *dir;
    bool wordpiece;    /* vocab.txt; otherwise spiece.model */
    rp_vocab vocab;    /* what the vocabulary file holds */
    rp_arena arena;    /* of the added tokens */
    uint32_t id_count; /* ids of the vocabulary file and the added tokens */
    rp_special_ids ids;
    rp_added_token *added; /* [added_count] */
    size_t added_count, added_capacity;
    bool added_first[256]; /* the low bytes of the first code points of the added tokens */
    uint32_t max_tokens;   /* 0: no limit */
    bool do_lower_case, clean_up, truncate_left;
    /* WordPiece */
    bool do_basic_tokenize, tokenize_chinese_chars, strip_accents;
    rp_vocab never_split;
    /* SentencePiece */
    bool keep_accents, remove_space;
    bool words_without_space; /* tokenizer.json drops white space before the pieces are made */
    rp_spiece *spiece;
    bool plain[128]; /* ASCII characters that the map of `model` leaves as they are before another */
    rp_spiece_file model;
    char *model_bytes; /* what `model` points into */
};

/* Read the whole file `dir`/`name`. `*data` is owned by the caller (free) and followed by a NUL. A missing
 * file gives RP_OK and `*data` NULL. */
rp_status rp_tokenizer_read(const char *dir, const char *name, char **data, size_t *size, rp_error *err);

/* Read the JSON files of the folder into a tokenizer whose vocabulary is loaded. */
rp_status rp_tokenizer_configure(rp_tokenizer *t, rp_error *err);

/* Which of the two files of a folder counts: what tokenizer_class in tokenizer_config.json says, else
 * model_type in config.json, else spiece.model. RP_ERROR_UNSUPPORTED for a class that works in another way.
 */
rp_status rp_tokenizer_choose(const char *dir, bool has_spiece, bool has_vocab, bool *wordpiece,
                              rp_error *err);

/* ---- tokens ---- */

typedef struct rp_token {
    int32_t id;
    int32_t word;
    rp_span span;
} rp_token;

/* A growing array of the tokens of one text. Zero-initialise; free `items`. */
typedef struct rp_tokens {
    rp_token *items;
    size_t count, capacity;
    int32_t words; /* words so far */
} rp_tokens;

bool rp_tokens_push(rp_tokens *tokens, int32_t id, int32_t word, uint32_t start, uint32_t end);

/* Split valid UTF-8 on the added tokens (tokenizer_split.c) and tokenize what lies between. */
rp_status rp_tokenizer_split(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err);

/* ---- the two algorithms: the tokens of `count` characters that hold no added token ---- */

rp_status rp_wordpiece_open(rp_tokenizer *t, const char *data, size_t size, rp_error *err);
rp_status rp_wordpiece_tokenize(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_tokens *out,
                                rp_error *err);

/* `data` (malloc) passes to the tokenizer, also on failure. */
rp_status rp_albert_open(rp_tokenizer *t, const char *name, char *data, size_t size, rp_error *err);
rp_status rp_albert_tokenize(const rp_tokenizer *t, rp_text text, const rp_char *chars, size_t count,
                             rp_tokens *out, rp_error *err);

/* ---- ALBERT's offsets (albert_offsets.c) ---- */

/* A character of the text as the fast tokenizer of Hugging Face normalizes it. */
typedef struct rp_unit {
    uint32_t code;
    uint32_t source;     /* where the character that it came from begins */
    uint32_t start, end; /* what that tokenizer reports for it */
    int32_t word;
} rp_unit;

typedef struct rp_units {
    rp_unit *items;
    size_t count, capacity;
    int32_t words;
} rp_units;

/* The bytes from `start` to `end` of a text, normalized; `out->words` counts on from its value. False when
 * out of memory. */
bool rp_albert_units(const rp_tokenizer *t, const char *text, uint32_t start, uint32_t end, rp_units *out);

/* ---- pieces back to text (tokenizer_decode.c) ---- */

/* The added token of an id, or NULL. */
const rp_added_token *rp_added_find(const rp_tokenizer *t, int32_t id);

/* Join `count` pieces (or slices of text) as the fast tokenizer's convert_tokens_to_string does. `*out` is
 * NUL-terminated and owned by the caller (free). */
rp_status rp_tokenizer_join(const rp_tokenizer *t, const rp_text *pieces, size_t count, char **out,
                            rp_error *err);

/* Ids back to text as the fast tokenizers' decode() does, cleaned up as the folder says; ids that have no
 * piece are left out. `*out` is NUL-terminated and owned by the caller (free). */
rp_status rp_tokenizer_decode_fast(const rp_tokenizer *t, const int32_t *ids, size_t count,
                                   bool skip_special_tokens, char **out, rp_error *err);

#endif
