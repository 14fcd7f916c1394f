/* A tokenizer: what it is made of, reading its files, and using it. */
#ifndef RP_LOADER_TOKENIZER_H
#define RP_LOADER_TOKENIZER_H

#include "reprise/tokenizer.h"
#include "base/alloc.h"
#include "loader/json.h"
#include "loader/pipeline.h"
#include "loader/spiece.h"
#include "loader/tokens.h"
#include "loader/unigram.h"

/* ---- a tokenizer ---- */

enum {
    RP_PIECE_BYTES_MAX = 1024, /* of a piece of WordPiece: of a word so much may have to be looked at */
    RP_ID_HOLE = 1 << 20,      /* how far an id may be beyond the number of pieces */
};

/* A token that is cut out of the raw text before the original ALBERT algorithm sees it. */
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
    bool hidden;         /* not looked for in texts */
    bool described;      /* its file gave all of the above, not the text alone */
} rp_added_token;

/* What makes tokens of words. */
typedef enum rp_model_kind {
    RP_MODEL_ALBERT, /* spiece.model alone: no pipeline, but the original algorithm, for whole texts */
    RP_MODEL_WORDPIECE,
    RP_MODEL_UNIGRAM,
} rp_model_kind;

typedef struct rp_wordpiece {
    const char *prefix; /* [prefix_size] of pieces that continue a word */
    size_t prefix_size;
    uint32_t prefix_hash;
    size_t most;     /* characters of the longest word; a longer one is unknown */
    int32_t unknown; /* -1: the vocabulary has none */
    const char *unknown_text;
} rp_wordpiece;

/* The original ALBERT algorithm. */
typedef struct rp_albert {
    rp_added_token *added; /* [added_count] */
    size_t added_count, added_capacity;
    bool added_first[256]; /* the low bytes of the first code points of the added tokens */
    bool do_lower_case, keep_accents, remove_space;
} rp_albert;

struct rp_tokenizer {
    char *dir;
    const char *file; /* of `dir`, that the vocabulary is in */
    rp_model_kind kind;
    rp_vocab vocab;    /* what the vocabulary file holds */
    size_t model_size; /* tokens that the model counts */
    rp_arena arena;    /* of texts */
    uint32_t id_count; /* ids of the vocabulary file and the added tokens */
    rp_special_ids ids;
    bool *special; /* [id_count] named as [CLS], <unk>, ... or in additional_special_tokens */
    rp_added_vocab added;
    rp_template single, pair;
    rp_decoder decoder;
    uint32_t max_tokens; /* 0: no limit */
    bool clean_up, truncate_left;
    bool without_types; /* the model is not told which text of a pair a token is from */
    rp_normalizer normalizer;
    rp_pretokenizer pretokenizer;
    rp_wordpiece wordpiece;
    rp_unigram *unigram;
    rp_albert albert;
    rp_spiece *spiece;
    bool plain[128]; /* ASCII characters that the map of `model` leaves as they are before another */
    rp_spiece_file model;
    char *model_bytes; /* what `model` points into */
};

/* True when the folder has a file that a tokenizer is read from. */
rp_status rp_tokenizer_exists(const char *dir, bool *has, rp_error *err);
/* RP_ERROR_FORMAT when a token that is put around every text has an id of `embeddings` or more. */
rp_status rp_tokenizer_check_ids(const rp_tokenizer *t, uint32_t embeddings, rp_error *err);

/* Read the whole file `dir`/`name`. `*data` is owned by the caller (free) and followed by a NUL. A missing
 * file gives RP_OK and `*data` NULL. */
rp_status rp_tokenizer_read(const char *dir, const char *name, char **data, size_t *size, rp_error *err);

/* ---- the files of a folder ---- */

/* The JSON files beside a vocabulary; those that are missing are null. Zero-initialise. */
typedef struct rp_tokenizer_files {
    rp_json_document config, map, added, full;
    char *config_path, *map_path, *added_path, *full_path;
} rp_tokenizer_files;

rp_status rp_tokenizer_files_load(const char *dir, rp_tokenizer_files *out, rp_error *err);
void rp_tokenizer_files_finish(rp_tokenizer_files *files);

/* A class of transformers that a folder names, and what it does with the files (tokenizer_class.c). */
typedef struct rp_tokenizer_class {
    const char *name;      /* without "Fast" */
    bool bert;             /* rewrites a BertNormalizer by do_lower_case and the like */
    bool types;            /* gives type ids, unless model_input_names says otherwise */
    bool mask_takes_left;  /* the mask takes the white space before it */
    const char *tokens[7]; /* bos, eos, unk, sep, pad, cls, mask where no file says; NULL: none */
} rp_tokenizer_class;

/* The class that the folder's files name, in the order in which AutoTokenizer asks them. RP_ERROR_UNSUPPORTED
 * for one that works in another way. */
rp_status rp_tokenizer_class_of(const char *dir, const rp_tokenizer_files *files, bool has_spiece,
                                bool has_vocab, const rp_tokenizer_class **out, rp_error *err);

/* An added token as transformers writes it, of which the text stays the JSON's. `normalized` is what special
 * tokens have not, where it is not said. RP_ERROR_FORMAT names `path` and `where`. */
rp_status rp_added_read(const rp_json *value, const char *path, const char *where, rp_added *out,
                        rp_error *err);
/* A token id; -1 when `value` is none. */
int32_t rp_json_id(const rp_json *value);

/* model_max_length, truncation_side, clean_up_tokenization_spaces. */
rp_status rp_tokenizer_settings(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err);
/* Whether type ids are given: as model_input_names says, else `types`. */
rp_status rp_tokenizer_types(rp_tokenizer *t, const rp_tokenizer_files *files, bool types, rp_error *err);
/* A truth value as Python sees it: null is false. */
rp_status rp_tokenizer_flag(const rp_tokenizer_files *files, const char *field, bool *out, rp_error *err);

/* tokenizer.json: all that the pipeline is made of (tokenizer_json.c, tokenizer_parts.c). */
rp_status rp_tokenizer_json_read(rp_tokenizer *t, const rp_json *root, const char *path, rp_error *err);
rp_status rp_tokenizer_parts_read(rp_tokenizer *t, const rp_json *root, const char *path, rp_error *err);

/* The pipeline of BertTokenizerFast for a vocab.txt that is read. */
rp_status rp_tokenizer_bert(rp_tokenizer *t, rp_error *err);

/* What the class and the other files do with a pipeline: special and added tokens, and the normalizer
 * (tokenizer_setup.c). `converted`: it was made of vocab.txt. */
rp_status rp_tokenizer_setup(rp_tokenizer *t, const rp_tokenizer_class *class,
                             const rp_tokenizer_files *files, bool converted, rp_error *err);
/* [CLS] A [SEP] and [CLS] A [SEP] B [SEP]. */
rp_status rp_tokenizer_template(rp_tokenizer *t, int32_t cls, int32_t sep, rp_error *err);
/* Count the ids, and note which are special: those of `ids`, [count]. */
rp_status rp_tokenizer_note_special(rp_tokenizer *t, const int32_t *ids, size_t count, rp_error *err);

/* The JSON files and a spiece.model that is loaded (albert_config.c). */
rp_status rp_albert_configure(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err);

/* ---- tokens ---- */

/* Tokenize valid UTF-8 by the pipeline (pipeline.c), or by the original ALBERT algorithm, cutting out the
 * added tokens first (albert_split.c). */
rp_status rp_pipeline_encode(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err);
rp_status rp_albert_split(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err);

/* ---- the models ---- */

/* vocab.txt: one piece a line. */
rp_status rp_wordpiece_read(rp_tokenizer *t, const char *data, size_t size, rp_error *err);
/* Append the tokens of one word, which is word `number` of its text. */
bool rp_wordpiece_encode(const rp_tokenizer *t, rp_flow *flow, const rp_char *chars, size_t count,
                         int32_t number, rp_tokens *out);

/* `data` (malloc) passes to the tokenizer, also on failure. */
rp_status rp_albert_open(rp_tokenizer *t, const char *name, char *data, size_t size, rp_error *err);
/* The tokens of `count` characters that hold no added token. */
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

/* Join `count` pieces (or slices of text) as the fast tokenizer's convert_tokens_to_string does. `*out` is
 * NUL-terminated and owned by the caller (free). */
rp_status rp_tokenizer_join(const rp_tokenizer *t, const rp_text *pieces, size_t count, char **out,
                            rp_error *err);

#endif
