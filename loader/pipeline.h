/* The parts that a tokenizer.json is made of, each as Hugging Face's `tokenizers` does it: normalizers,
 * pre-tokenizers, models, and the added tokens that are cut out before and between them.
 *
 * A text on its way through them is an array of characters (rp_chars), each with the bytes of the original
 * text that it stands for, and an array of splits, ranges of those characters. */
#ifndef RP_LOADER_PIPELINE_H
#define RP_LOADER_PIPELINE_H

#include "base/alloc.h"
#include "loader/regex.h"
#include "loader/spiece.h"
#include "loader/unicode.h"
#include "loader/vocab.h"

/* ---- one text on its way ---- */

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

/* A character that a step makes. change 0: in the place of one; n > 0: an addition, which shares the bytes of
 * the character before it; -n: in the place of one, with the n behind it. */
typedef struct rp_edit {
    uint32_t code;
    int32_t change;
} rp_edit;

/* What one call works with; every array grows as needed and serves all steps. Zero-initialise, then
 * rp_flow_finish. Of one thread. */
typedef struct rp_flow {
    rp_chars chars;               /* the text as it is now */
    rp_splits splits;             /* and its parts */
    rp_chars spare, work, joined; /* where steps write */
    rp_splits spare_splits, matches;
    rp_edit *edits;
    size_t edit_count, edit_capacity;
    char *bytes; /* UTF-8 of one split */
    size_t byte_capacity;
    uint32_t *numbers; /* of the model */
    size_t number_capacity;
    void *model_tokens; /* of a unigram model, rp_unigram_tokens; freed by rp_flow_finish */
    rp_regex_walk walk; /* of the search that goes on */
    size_t most;        /* characters that the text may become */
    bool ascii;         /* all of the text is below U+0080 */
    rp_status status;   /* the first thing that went wrong */
    rp_error *err;
} rp_flow;

/* Note that memory ran out, and return false. */
bool rp_flow_memory(rp_flow *flow);
/* Note that the text becomes too long, and return false. */
bool rp_flow_long(rp_flow *flow);
bool rp_flow_push(rp_flow *flow, rp_splits *splits, size_t begin, size_t end, int32_t id);
/* Room for `count` more characters. */
bool rp_flow_reserve(rp_flow *flow, rp_chars *chars, size_t count);
void rp_flow_finish(rp_flow *flow);

/* ---- patterns (pattern.c) ---- */

/* What Replace and Split look for. */
typedef struct rp_pattern {
    const uint32_t *codes; /* [count] this text, unless one of the two below */
    size_t count;
    uint32_t repeated; /* this character, at least `count` times */
    rp_regex *regex;
} rp_pattern;

/* Where a search through a text is. Zero-initialise; a flow has one that goes on at a time. */
typedef struct rp_search {
    size_t at;   /* where it goes on */
    size_t last; /* where the last match ended */
    bool begun;
    bool found; /* there was a match */
} rp_search;

/* A pattern for `size` bytes of valid UTF-8; codes are allocated in the arena. RP_ERROR_UNSUPPORTED for a
 * regular expression that cannot be used; messages name `path` and `where`. */
rp_status rp_pattern_text(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena, rp_error *err);
rp_status rp_pattern_regex(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena,
                           const char *path, rp_error *err);
void rp_pattern_finish(rp_pattern *pattern);

/* The next match in chars[0..count), as Oniguruma's iterator finds them. False: none, or flow->status. */
bool rp_pattern_next(const rp_pattern *pattern, rp_flow *flow, const rp_char *chars, size_t count,
                     rp_search *search, size_t *start, size_t *end);

/* ---- normalizers (normalizer.c, normalizer_map.c) ---- */

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
    bool clean, ideographs, accents, lower; /* BERT: what it does; `accents`: takes them away */
    bool accents_follow;                    /* its file leaves `accents` to `lower` */
    bool left, right;                       /* STRIP */
    rp_normal_form form;
    rp_pattern pattern;      /* REPLACE */
    const uint32_t *content; /* [content_count] REPLACE, PREPEND */
    size_t content_count;
    rp_charsmap charsmap; /* PRECOMPILED */
    bool plain[128];      /* the ASCII characters that it leaves as they are */
} rp_normal;

/* Steps one after another; a Sequence is the steps that it holds. */
typedef struct rp_normalizer {
    rp_normal *steps;
    size_t count, capacity;
    bool is_sequence; /* the file has a Sequence, be it of one step */
} rp_normalizer;

/* Run the steps over `chars`, a part of the original text that begins at byte `origin`. */
bool rp_normal_run(const rp_normalizer *normalizer, rp_flow *flow, rp_chars *chars, uint32_t origin);

/* Fill in `plain` of a character map. */
void rp_normal_prepare(rp_normal *step);

/* A model's map of characters. */
bool rp_normal_map(const rp_normal *step, rp_flow *flow, rp_chars *chars, uint32_t origin);

/* ---- pre-tokenizers (pretokenizer.c) ---- */

/* What becomes of a match. */
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

/* Cut the splits that are no tokens yet into words. */
bool rp_pretokenize(const rp_pretokenizer *pretokenizer, rp_flow *flow);

/* ---- added tokens (added_tokens.c, added_trie.c) ---- */

/* A token as its file describes it. */
typedef struct rp_added {
    const char *text;    /* NUL-terminated */
    uint32_t size;       /* bytes, without the NUL */
    bool lstrip, rstrip; /* takes the white space beside it too */
    bool single_word;    /* not inside a word */
    bool normalized;     /* looked for in normalized text, and normalized itself */
    bool special;
} rp_added;

/* Texts to look for, by the characters that they begin with. */
typedef struct rp_added_trie {
    struct rp_added_edge *edges; /* [edge_slots], a power of two */
    size_t edge_slots;
    int32_t *ids; /* [node_count] of the text that ends at a node; -1: none */
    size_t node_count, node_capacity;
    uint64_t seed;
    bool first[256]; /* the low bytes of the first characters */
    bool has_empty;  /* one of them was normalized to nothing: it stands between all characters, */
    int32_t empty;   /* with this id */
} rp_added_trie;

/* A place in one of the lists of texts to look for. */
typedef struct rp_added_place {
    uint32_t index;
    bool normalized;
} rp_added_place;

/* The added tokens of a tokenizer. Texts are in its arena. */
typedef struct rp_added_vocab {
    rp_added *tokens; /* [count] by the order in which their texts came first */
    int32_t *ids;     /* [count] */
    bool *skipped;    /* [count] left out in decoding */
    size_t count, token_capacity, id_capacity, skipped_capacity;
    rp_vocab index;  /* their texts, with places in `tokens` as ids */
    int32_t *owners; /* [owner_count] the place of the token that an id leads to; -1: none */
    size_t owner_count, owner_capacity;
    rp_added_place *specials, *others; /* what is looked for, in this order */
    size_t special_count, special_capacity, other_count, other_capacity;
    int32_t next;       /* above the ids of all */
    bool split_special; /* special tokens in a text are plain text */
    rp_added_trie raw, normalized;
} rp_added_vocab;

/* Add tokens as AddedVocabulary does: a text that is a token already keeps its id, one that the model knows
 * gets the model's, and others the next. `model` and `model_size` (distinct tokens) are those of the model.
 */
rp_status rp_added_push(rp_added_vocab *added, const rp_added *token, const rp_vocab *model,
                        size_t model_size, rp_arena *arena, const char *path, rp_error *err);
/* Of tokens that are added together the special ones are noted first, so that a text that is special anywhere
 * is looked for as that one alone. Does nothing for other tokens. */
rp_status rp_added_special(rp_added_vocab *added, const rp_added *token, rp_arena *arena, const char *path,
                           rp_error *err);
/* Add a token that is not looked for, with this id. */
rp_status rp_added_put(rp_added_vocab *added, const rp_added *token, int32_t id, rp_arena *arena,
                       rp_error *err);
/* Make what finds them; `normalizer` is what normalized tokens are normalized by. */
rp_status rp_added_index(rp_added_vocab *added, const rp_normalizer *normalizer, rp_error *err);
/* The token that an id leads to, or NULL. */
const rp_added *rp_added_of(const rp_added_vocab *added, int32_t id);
/* True for ids that decoding leaves out when it leaves out special tokens. */
bool rp_added_skipped(const rp_added_vocab *added, const char *text, size_t size);
/* The id of an added text; -1: none. */
int32_t rp_added_id(const rp_added_vocab *added, const char *text, size_t size);
void rp_added_finish(rp_added_vocab *added);

/* Cut chars[begin..end) at the tokens of `trie` and append the parts to `out`. */
bool rp_added_split(const rp_added_vocab *added, const rp_added_trie *trie, rp_flow *flow, size_t begin,
                    size_t end, const rp_char *chars, rp_splits *out);

bool rp_added_trie_push(rp_added_trie *trie, const rp_char *codes, size_t count, int32_t id);
/* The longest text of the trie at the beginning of chars[0..count): its length, 0 for none, and its id. */
size_t rp_added_trie_match(const rp_added_trie *trie, const rp_char *chars, size_t count, int32_t *id);
void rp_added_trie_finish(rp_added_trie *trie);

/* Bring the text of `flow`, all in flow->chars, to normalized parts in flow->splits. */
bool rp_added_extract(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow);

/* ---- post-processors ---- */

/* One token, or one of the texts, in what is made of a text or a pair. */
typedef struct rp_template_piece {
    int8_t sequence; /* 0, 1; -1: a token */
    int32_t id, type;
} rp_template_piece;

typedef struct rp_template {
    rp_template_piece *pieces; /* [count] */
    size_t count, capacity;
    size_t specials; /* of the pieces, the tokens */
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

/* Make one text of the tokens. `*out` is NUL-terminated and owned by the caller (free). */
rp_status rp_decode(const rp_decoder *decoder, const rp_text *tokens, size_t count, char **out, size_t *size,
                    rp_error *err);
/* clean_up_tokenization_spaces of transformers, in place; the text is NUL-terminated. */
void rp_decode_clean_up(char *text, size_t *size);

#endif
