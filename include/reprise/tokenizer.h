/* Text to token ids, as the folder of the model says: by its tokenizer.json, vocab.txt or spiece.model.
 * Needs no device. */
#ifndef REPRISE_TOKENIZER_H
#define REPRISE_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "records.h"
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of UTF-8 text; needs no terminator and may hold NUL bytes. data NULL: absent (a missing pair). */
typedef struct rp_text {
    const char *data;
    size_t size; /* bytes */
} rp_text;

/* An rp_text of a string literal, such as RP_TEXT("a warm film"); for C and C++. What is no literal does not
 * compile. In C the result may also stand in an initializer of automatic storage. */
#ifdef __cplusplus
#define RP_TEXT(literal) (rp_text{"" literal "", sizeof(literal) - 1})
#else
#define RP_TEXT(literal) ((rp_text){"" literal "", sizeof(literal) - 1})
#endif

/* The longest text that can be tokenized, in bytes: some 700,000 words. A bound, because a whole text is in
 * work at once: with a spiece.model each byte takes 90 bytes of memory, and 420 where characters stand for
 * many (U+FDFA). */
enum { RP_TEXT_BYTES_MAX = 4 << 20 };

/* Half-open range of bytes in one input text. */
typedef struct rp_span {
    uint32_t start, end; /* bytes from the beginning of the text */
} rp_span;

/* A loaded vocabulary with its rules.
 * Thread-safety: read-only after opening; every function may be called from any thread, and none waits for
 * another. Only closing must be the last call. */
typedef struct rp_tokenizer rp_tokenizer;

/* Load the tokenizer of the Hugging Face folder `dir`, or of the model of that name (rp_find_model of
 * pull.h). A tokenizer.json is the whole of it; without one, vocab.txt makes what transformers 4.44.2
 * converts it to. Ids, offsets and words are those of AutoTokenizer then. A spiece.model alone is used by the
 * original ALBERT algorithm. tokenizer_config.json, special_tokens_map.json and added_tokens.json count where
 * present. A folder of sentence-transformers has its tokenizer where modules.json says that its Transformer
 * is. RP_ERROR_FILE or RP_ERROR_FORMAT names the file and the field, RP_ERROR_UNSUPPORTED a part of a
 * tokenizer.json that is not served. On success `*out` is owned by the caller. */
RP_API rp_status rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err);

/* The same from `records` [count] (records.h), which stand for the files of a folder: no file of a folder is
 * looked at. RP_ERROR_ARGUMENT names a record whose name, descriptor, offset or size cannot be; messages
 * about a file call it "records/NAME". */
RP_API rp_status rp_tokenizer_open_records(const rp_record *records, size_t count, rp_tokenizer **out,
                                           rp_error *err);

/* Free it and set `*tokenizer` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_tokenizer_close(rp_tokenizer **tokenizer);

/* Which side loses tokens when a pair is too long. */
typedef enum rp_truncation {
    RP_TRUNCATE_LONGEST = 0, /* one token at a time from the longer of the two, as truncation=True does */
    RP_TRUNCATE_NONE,        /* never cut */
} rp_truncation;

typedef struct rp_tokenize_params {
    bool no_special_tokens; /* leave out [CLS] and [SEP] */
    uint32_t max_tokens;    /* longest result, special tokens included; 0: no limit */
    rp_truncation truncation;
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_tokenize_params;

/* One tokenized text (or pair). All arrays have `count` entries. Owned by the caller: rp_encoding_free.
 * Plain memory: several threads may read it, none while one frees it. */
typedef struct rp_encoding {
    size_t count;
    int32_t *ids;
    int32_t
        *type_ids; /* as the folder's template says: 0 for the first text and its special tokens and 1 for the
                      second, as a rule; all 0 where the folder's model is not told (model_input_names) */
    rp_span *offsets;  /* bytes of the text that the token came from (sequence says which); {0,0} for special
                          tokens */
    int8_t *sequence;  /* 0: first text, 1: second, -1: a special token that was added */
    int32_t *words;    /* index of the white-space- or punctuation-separated word in its text; -1 for special
                          tokens */
    bool truncated;    /* tokens were cut to fit max_tokens */
    uint32_t left_out; /* how many */
    void *reserved[2]; /* NULL */
} rp_encoding;

/* Tokenize `text` and, unless pair.data is NULL, `pair`. `params` may be NULL.
 * RP_ERROR_ARGUMENT for a truncation that there is not, RP_ERROR_TEXT when a text is not valid UTF-8 (the
 * message gives the byte), or longer than RP_TEXT_BYTES_MAX, or holds something that the vocabulary has no
 * token for, not even an unknown one. On success the arrays in `*out` are owned by the
 * caller. Thread-safe. */
RP_API rp_status rp_tokenize(const rp_tokenizer *tokenizer, rp_text text, rp_text pair,
                             const rp_tokenize_params *params, rp_encoding *out, rp_error *err);

/* Free the arrays of an encoding and zero it. NULL is allowed. */
RP_API void rp_encoding_free(rp_encoding *encoding);

/* The number of ids: every id is below it. */
RP_API uint32_t rp_tokenizer_vocab_size(const rp_tokenizer *tokenizer);

/* The piece of an id, NUL-terminated, as it stands in the vocabulary ("▁the", "##ing"). NULL for an id out of
 * range. Valid until the tokenizer is closed. */
RP_API const char *rp_tokenizer_piece(const rp_tokenizer *tokenizer, int32_t id);

/* True for ids such as [CLS], [SEP], [MASK], <pad> and <unk>, and those of additional_special_tokens. */
RP_API bool rp_tokenizer_is_special(const rp_tokenizer *tokenizer, int32_t id);

/* Ids of the special tokens; -1 where the vocabulary has none. */
typedef struct rp_special_ids {
    int32_t cls, sep, mask, pad, unk;
} rp_special_ids;

/* The special tokens of a tokenizer. */
RP_API rp_special_ids rp_tokenizer_special_ids(const rp_tokenizer *tokenizer);

/* The longest input that tokenizer_config.json allows (model_max_length), tokens; 0 when it does not say. */
RP_API uint32_t rp_tokenizer_max_tokens(const rp_tokenizer *tokenizer);

/* Ids back to text, as the decode() of Hugging Face's fast tokenizers does: ids that nothing has are left
 * out, and spaces cleaned up as the folder says (clean_up_tokenization_spaces; they are when it does not
 * say). RP_ERROR_ARGUMENT for a negative id, RP_ERROR_UNSUPPORTED when the folder's decoder is not served.
 * `*out` is NUL-terminated, owned by the caller, and freed by rp_string_free. Thread-safe. */
RP_API rp_status rp_tokenizer_decode(const rp_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                     bool skip_special_tokens, char **out, rp_error *err);

/* Free a string and set `*string` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_string_free(char **string);

#ifdef __cplusplus
}
#endif
#endif
