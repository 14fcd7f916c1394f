/* The components of a tokenizer.json, each of which does what it does in Hugging Face's `tokenizers`:
 * normalizers, pre-tokenizers, post-processors, decoders, and the added tokens, which are cut out before
 * normalizing and after it.
 *
 * The components pass on one text as an array of characters (rp_chars), each with the bytes of the original
 * text that it stands for, and an array of splits, which are ranges of those characters. */
#ifndef RP_LOADER_PIPELINE_H
#define RP_LOADER_PIPELINE_H

#include "base/alloc.h"
#include "loader/charsmap.h"
#include "loader/regex.h"
#include "loader/unicode.h"
#include "loader/vocab.h"
#include "reprise/tokenizer.h"

/* ---- one text between the components ---- */

/* Characters [begin, end) of the text. id -1: not yet a token. */
typedef struct rp_split {
    uint32_t begin, end;
    int32_t id;
} rp_split;

/* A growing array of them. Zero-initialise; free `items`. */
typedef struct rp_splits {
    rp_split *items;
    size_t count, capacity;
} rp_splits;

/* A character that a normalizer writes. change 0: it replaces one character; n > 0: it is added, and stands
 * for the same bytes as the character before it; -n: it replaces one character and the n that follow. */
typedef struct rp_edit {
    uint32_t code;
    int32_t change;
} rp_edit;

/* The text and the arrays of one call of rp_tokenize. The components share the arrays, which grow as needed.
 * Zero-initialise; rp_flow_finish frees it. Thread-safety: one thread uses a flow. */
typedef struct rp_flow {
    rp_chars chars;               /* the text, as the last component left it */
    rp_splits splits;             /* its splits */
    rp_chars spare, work, joined; /* what components write to, before they swap it with `chars` */
    rp_splits spare_splits, matches;
    rp_edit *edits;
    size_t edit_count, edit_capacity;
    char *bytes; /* UTF-8 of one split */
    size_t byte_capacity;
    uint32_t *numbers; /* for the model */
    size_t number_capacity;
    void *model_tokens; /* rp_unigram_tokens of a unigram model */
    rp_regex_walk walk; /* the matches of the regular expression that is being searched for */
    size_t most;        /* a component must not make the text longer than so many characters */
    bool ascii;         /* every character of the text is below U+0080 */
    rp_status status;   /* the first error of a component, with its message in `err` */
    rp_error *err;
} rp_flow;

/* Set the flow's error to RP_ERROR_HOST_MEMORY, and return false. */
bool rp_flow_memory(rp_flow *flow);
/* Set the flow's error to a text that becomes too long, and return false. */
bool rp_flow_long(rp_flow *flow);
/* Append a split. False: out of memory, and the flow has the error; so it is with all functions below that
 * return a bool and take a flow. */
bool rp_flow_push(rp_flow *flow, rp_splits *splits, size_t begin, size_t end, int32_t id);
/* Make room for `count` more characters. */
bool rp_flow_reserve(rp_flow *flow, rp_chars *chars, size_t count);
/* Append `count` characters. */
bool rp_flow_append(rp_flow *flow, rp_chars *chars, const rp_char *from, size_t count);
/* Write the characters of `size` bytes of valid UTF-8 in place of those in `chars`, and set flow->ascii. */
bool rp_flow_decode(rp_flow *flow, rp_chars *chars, const char *text, size_t size);
void rp_flow_finish(rp_flow *flow);
void rp_chars_swap(rp_chars *a, rp_chars *b);

/* ---- patterns (pattern_open.c; pattern.c finds them) ---- */

/* The pattern of a Replace or a Split. */
typedef struct rp_pattern {
    const uint32_t *codes; /* [count] a text, unless `repeated` or `regex` is set */
    size_t count;
    uint32_t repeated; /* a character that stands at least `count` times; 0: none */
    rp_regex *regex;   /* NULL: none */
} rp_pattern;

/* The state of a search for the matches of a pattern in one text. Zero-initialise. A flow serves one search
 * at a time. */
typedef struct rp_search {
    size_t at;   /* the next match begins here or later */
    size_t last; /* the end of the last match */
    bool begun;
    bool found; /* there has been a match */
} rp_search;

/* A pattern for `size` bytes of valid UTF-8; codes are allocated in the arena. RP_ERROR_UNSUPPORTED for a
 * regular expression that cannot be used; messages name `path` and `where`. */
rp_status rp_pattern_text(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena, rp_error *err);
rp_status rp_pattern_regex(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena,
                           const char *path, rp_error *err);
void rp_pattern_finish(rp_pattern *pattern);

/* Find the next match in chars[0..count), in the order of Oniguruma's iterator. False: there is none, or the
 * flow has an error. */
bool rp_pattern_next(const rp_pattern *pattern, rp_flow *flow, const rp_char *chars, size_t count,
                     rp_search *search, size_t *start, size_t *end);

/* ---- normalizers (normalizer.c, normalizer_bert.c, normalizer_map.c, normalizer_letters.c) ---- */

typedef enum rp_normal_kind {
    RP_NORMAL_BERT,
    RP_NORMAL_STRIP,
    RP_NORMAL_STRIP_ACCENTS,
    RP_NORMAL_FORM,
    RP_NORMAL_LOWERCASE,
    RP_NORMAL_NMT,
    RP_NORMAL_PRECOMPILED,
    RP_NORMAL_REPLACE,
    RP_NORMAL_PREPEND,
} rp_normal_kind;

typedef struct rp_normal {
    rp_normal_kind kind;
    bool clean, ideographs, accents, lower; /* BERT: which of its steps are on; `accents` strips accents */
    bool accents_follow;                    /* BERT: strip_accents is null, so `accents` is what `lower` is */
    bool left, right;                       /* STRIP */
    rp_normal_form form;
    rp_pattern pattern;      /* REPLACE */
    const uint32_t *content; /* [content_count] REPLACE, PREPEND */
    size_t content_count;
    rp_charsmap charsmap; /* PRECOMPILED */
    bool plain[128];      /* PRECOMPILED: the ASCII characters that the map does not change */
} rp_normal;

/* Steps one after another; a Sequence is the steps that it holds. */
typedef struct rp_normalizer {
    rp_normal *steps;
    size_t count, capacity;
    bool is_sequence; /* the file has a Sequence, which may hold one step */
} rp_normalizer;

/* Normalize `chars`, which stand for the original text from byte `origin` on. */
bool rp_normal_run(const rp_normalizer *normalizer, rp_flow *flow, rp_chars *chars, uint32_t origin);

/* Fill in `plain` of a PRECOMPILED step. */
void rp_normal_prepare(rp_normal *step);

/* Normalize `chars` by a PRECOMPILED step, and by a BERT step. */
bool rp_normal_map(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin);
bool rp_normal_bert(const rp_normal *step, rp_flow *flow, rp_chars *chars);

/* Put `chars` in lower case; bring them into a normal form; leave out those beyond ASCII that `drops` is true
 * for. */
bool rp_normal_lower(rp_flow *flow, rp_chars *chars);
bool rp_normal_compose(rp_flow *flow, rp_chars *chars, rp_normal_form form);
void rp_normal_drop(rp_chars *chars, bool (*drops)(uint32_t code));

/* ---- pre-tokenizers (pretokenizer.c) ---- */

/* What a pre-tokenizer makes of a match. */
typedef enum rp_behavior {
    RP_BEHAVIOR_REMOVED,
    RP_BEHAVIOR_ISOLATED,
    RP_BEHAVIOR_PREVIOUS, /* merged with what is before it */
    RP_BEHAVIOR_NEXT,
    RP_BEHAVIOR_CONTIGUOUS,
} rp_behavior;

typedef enum rp_pre_kind {
    RP_PRE_BERT,
    RP_PRE_WHITESPACE,
    RP_PRE_WHITESPACE_SPLIT,
    RP_PRE_METASPACE,
    RP_PRE_PUNCTUATION,
    RP_PRE_DIGITS,
    RP_PRE_SPLIT,
} rp_pre_kind;

typedef enum rp_prepend { RP_PREPEND_ALWAYS, RP_PREPEND_FIRST, RP_PREPEND_NEVER } rp_prepend;

typedef struct rp_pre {
    rp_pre_kind kind;
    rp_behavior behavior; /* PUNCTUATION, DIGITS, SPLIT */
    bool invert;          /* SPLIT */
    rp_pattern pattern;   /* SPLIT */
    uint32_t replacement; /* METASPACE */
    rp_prepend prepend;
    bool split;
} rp_pre;

typedef struct rp_pretokenizer {
    rp_pre *steps;
    size_t count, capacity;
} rp_pretokenizer;

/* Cut each split that is not a token yet into words. */
bool rp_pretokenize(const rp_pretokenizer *pretokenizer, rp_flow *flow);

/* ---- added tokens (added_tokens.c, added_split.c, added_trie.c) ---- */

/* A token as its file describes it. */
typedef struct rp_added {
    const char *text;    /* NUL-terminated */
    uint32_t size;       /* bytes, without the NUL */
    bool lstrip, rstrip; /* takes the white space beside it too */
    bool single_word;    /* not inside a word */
    bool normalized;     /* looked for in normalized text, and normalized itself */
    bool special;
} rp_added;

/* A trie of the texts of added tokens. */
typedef struct rp_added_trie {
    struct rp_added_edge *edges; /* [edge_slots], a power of two */
    size_t edge_slots;
    int32_t *ids; /* [node_count] the id of the text that ends at a node; -1: none ends there */
    size_t node_count, node_capacity;
    uint64_t seed;
    bool first[256]; /* true at the low byte of each text's first character */
    bool has_empty;  /* a text was normalized to nothing: it matches between all characters */
    int32_t empty;   /* the id of that text */
} rp_added_trie;

/* Which token of rp_added_vocab is looked for, and in which text. */
typedef struct rp_added_place {
    uint32_t index;
    bool normalized;
} rp_added_place;

/* The added tokens of a tokenizer. Texts are in its arena. */
typedef struct rp_added_vocab {
    rp_added *tokens; /* [count] in the order in which each text was first added */
    int32_t *ids;     /* [count] */
    bool *skipped;    /* [count] decoding leaves the token out */
    size_t count, token_capacity, id_capacity, skipped_capacity;
    rp_vocab index;  /* their texts, with places in `tokens` as ids */
    int32_t *owners; /* [owner_count] the place of the token that an id leads to; -1: none */
    size_t owner_count, owner_capacity;
    rp_added_place *specials, *others; /* the tokens to look for: first the special ones, then the others */
    size_t special_count, special_capacity, other_count, other_capacity;
    int32_t next;       /* the id of the next new token, above all others */
    bool split_special; /* special tokens in a text are plain text */
    rp_added_trie raw, normalized;
} rp_added_vocab;

/* Add a token as AddedVocabulary does. A text that was added before keeps its id, a text that is in the
 * model's vocabulary gets its id there, any other text gets the next id. `model` is the model's vocabulary,
 * with `model_size` distinct tokens. */
rp_status rp_added_push(rp_added_vocab *added, const rp_added *token, const rp_vocab *model,
                        size_t model_size, rp_arena *arena, const char *path, rp_error *err);
/* Note that the text of a token is special; does nothing when the token is not. The caller notes all tokens
 * that it adds together before it adds the first, so that a text which is special in one of them is looked
 * for as special only. */
rp_status rp_added_special(rp_added_vocab *added, const rp_added *token, rp_arena *arena, const char *path,
                           rp_error *err);
/* Add a token that is not looked for, with this id. */
rp_status rp_added_put(rp_added_vocab *added, const rp_added *token, int32_t id, rp_arena *arena,
                       rp_error *err);
/* Build the tries. `normalizer` normalizes the tokens whose `normalized` is true. */
rp_status rp_added_index(rp_added_vocab *added, const rp_normalizer *normalizer, rp_error *err);
/* The token that has this id, or NULL. */
const rp_added *rp_added_of(const rp_added_vocab *added, int32_t id);
/* True for a text that decoding leaves out when it leaves out special tokens. */
bool rp_added_skipped(const rp_added_vocab *added, const char *text, size_t size);
/* The id of an added text; -1: none. */
int32_t rp_added_id(const rp_added_vocab *added, const char *text, size_t size);
void rp_added_finish(rp_added_vocab *added);

bool rp_added_trie_push(rp_added_trie *trie, const rp_char *codes, size_t count, int32_t id);
/* Find the longest text of the trie that chars[0..count) begins with. Returns its length in characters, 0 for
 * none. */
size_t rp_added_trie_match(const rp_added_trie *trie, const rp_char *chars, size_t count, int32_t *id);
void rp_added_trie_finish(rp_added_trie *trie);

/* Cut flow->chars at the added tokens and normalize what is between them; the result is flow->splits. */
bool rp_added_extract(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow);

/* ---- post-processors ---- */

/* One piece of a template: a token, or one of the texts. */
typedef struct rp_template_piece {
    int8_t sequence; /* 0: the text, 1: its pair; -1: the token `id` */
    int32_t id, type;
} rp_template_piece;

typedef struct rp_template {
    rp_template_piece *pieces; /* [count] */
    size_t count, capacity;
    size_t specials; /* number of pieces that are tokens */
} rp_template;

/* ---- decoders (decoder.c) ---- */

typedef enum rp_decode_kind {
    RP_DECODE_WORDPIECE,
    RP_DECODE_METASPACE,
    RP_DECODE_REPLACE,
    RP_DECODE_BYTE_FALLBACK,
    RP_DECODE_FUSE,
    RP_DECODE_STRIP,
} rp_decode_kind;

typedef struct rp_decode_step {
    rp_decode_kind kind;
    const char *text; /* WORDPIECE: the prefix; REPLACE: the content */
    size_t size;
    bool cleanup;         /* WORDPIECE */
    uint32_t code;        /* METASPACE, STRIP */
    bool first_stays;     /* METASPACE: symbols of the first token become spaces too */
    uint32_t start, stop; /* STRIP */
    rp_pattern pattern;   /* REPLACE */
} rp_decode_step;

typedef struct rp_decoder {
    rp_decode_step *steps;
    size_t count, capacity;
    bool none;               /* the file has no decoder: tokens are joined by spaces */
    const char *unsupported; /* the name of a decoder that is not served; NULL: all are */
} rp_decoder;

/* Join tokens to a text. `*out` is NUL-terminated; the caller frees it. RP_ERROR_UNSUPPORTED names a decoder
 * that is not served. */
rp_status rp_decode(const rp_decoder *decoder, const rp_text *tokens, size_t count, char **out, size_t *size,
                    rp_error *err);
/* Do in place what clean_up_tokenization_spaces of transformers does. `text` is NUL-terminated. */
void rp_decode_clean_up(char *text, size_t *size);

#endif
