/* A corpus for pre-training: files of plain text, of which instances are made in any order, over an index of
 * 8 bytes a chunk and 16 a document. The text is read again as it is needed, so that its size does not
 * matter. */
#ifndef RP_LOADER_CORPUS_H
#define RP_LOADER_CORPUS_H

#include "loader/instance.h"

enum {
    RP_CORPUS_LINE_MAX = 1 << 20, /* bytes: a line that is tokenized takes a hundred times as much memory */
    RP_CORPUS_TOKENS_MAX = 65535, /* of an instance: chunks are indexed with 16 bits for it */
};

/* The zero value is google-research/albert's default. */
typedef struct rp_corpus_params {
    uint32_t max_tokens;      /* of an instance; 0: 512 */
    uint32_t max_predictions; /* of an instance; 0: 20 */
    uint32_t ngram;           /* longest n-gram of whole words; 0: 3 */
    double masked_share;      /* of the tokens that are predicted; 0: 0.15 */
    double short_share;       /* of documents that are cut into shorter instances; 0: 0.1; below 0: none */
    uint64_t seed;
    bool no_shuffle;  /* instances come in the order of the text */
    uint32_t threads; /* that tokenize in passes over the text; 0: as many as there are processors. They
                         change no result */
    bool skip_bad;    /* lines that cannot be used are counted, and are no error */
} rp_corpus_params;

typedef struct rp_corpus rp_corpus;

/* What the first pass has found. */
typedef struct rp_corpus_counts {
    uint64_t bytes, lines, documents, tokens;
    uint64_t bad;     /* lines that were left out */
    uint64_t dropped; /* chunks of one line, of which no two texts can be made */
} rp_corpus_counts;

/* Read and tokenize `paths`, [count], once: a line is a segment, a sentence or a paragraph; a line of white
 * space, or the end of a file, ends a document. `paths`, `params` (NULL: zero) are borrowed for the call,
 * `tokenizer` until rp_corpus_close. On success the caller owns `*out`. RP_ERROR_FORMAT names the file, the
 * line and what is wrong there, or says that no document has two lines; RP_ERROR_ARGUMENT for numbers that
 * do not fit; RP_ERROR_FILE, RP_ERROR_HOST_MEMORY; RP_ERROR_CANCELLED and RP_ERROR_DEADLINE where the call of
 * this thread is to end. */
rp_status rp_corpus_open(const char *const *paths, size_t count, const rp_tokenizer *tokenizer,
                         const rp_corpus_params *params, rp_corpus **out, rp_error *err);
void rp_corpus_close(rp_corpus **corpus);

/* Instances of a pass over the corpus: as many as the first pass has. */
uint64_t rp_corpus_count(const rp_corpus *corpus);
const rp_corpus_counts *rp_corpus_get_counts(const rp_corpus *corpus);

/* Make instance `i` of rp_corpus_count of pass `epoch`, from 0 on. It depends on nothing but the text and the
 * parameters. The first instance of another pass than the last one's takes long: its short documents, a tenth
 * of the text, are cut anew. Where a pass has fewer chunks than the first one, some get two instances; where
 * it has more, some are left out. What `*out` points to lives until the next call. RP_ERROR_FILE: a file is
 * not any more what it was. Used by one thread at a time. */
rp_status rp_corpus_read(rp_corpus *corpus, uint64_t epoch, uint64_t i, rp_instance *out, rp_error *err);

#endif
