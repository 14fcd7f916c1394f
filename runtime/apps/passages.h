/* Documents cut into passages, with their words counted: one piece of memory, which is a file too.
 *
 * The image has a header, and behind it, each at a multiple of 8 bytes: the texts of all documents; where
 * each document begins; the passages; the words; the postings; names of documents, each with a NUL; bytes of
 * words. Numbers are little-endian. */
#ifndef RP_APPS_PASSAGES_H
#define RP_APPS_PASSAGES_H

#include "base/alloc.h"
#include "reprise/documents.h"

enum {
    RP_PASSAGE_WORDS = 200, /* of a passage, where the caller does not say */
    RP_PASSAGE_WORDS_MAX = 10000,
    RP_PASSAGE_BYTES = 64, /* a passage has at most so many times as many bytes as words */
    RP_WORD_BYTES = 60,
};

#define RP_PASSAGES_MAGIC "RPdocs\r\n"
enum { RP_PASSAGES_VERSION = 1 };

typedef struct rp_passages_header {
    char magic[8];
    uint32_t version, passage_words;
    uint64_t size;                                      /* of the image, header included */
    uint64_t hash;                                      /* XXH64 of the image with 0 in this place */
    uint64_t sources;                                   /* XXH64 of names, sizes and times of the files */
    uint64_t documents, passages, words, postings;      /* how many */
    uint64_t text_bytes, name_bytes, word_bytes, total; /* the last: words of all passages */
} rp_passages_header;

/* A document begins there; the next one's begin is where it ends. One more than there are. */
typedef struct rp_passages_document {
    uint64_t text, name;
} rp_passages_document;

typedef struct rp_passages_part {
    uint64_t text;           /* where it begins among all texts */
    uint32_t size, document; /* bytes; number */
    uint32_t words, unused;
} rp_passages_part;

/* As documents: where the bytes of a word and its postings begin. Sorted by their bytes. */
typedef struct rp_passages_word {
    uint64_t bytes, posting;
} rp_passages_word;

/* Sorted by passage. */
typedef struct rp_posting {
    uint32_t passage, times;
} rp_posting;

/* Views into an image. */
typedef struct rp_passages {
    const rp_passages_header *header;
    const char *texts;
    const rp_passages_document *documents; /* [documents + 1] */
    const rp_passages_part *parts;         /* [passages] */
    const rp_passages_word *words;         /* [words + 1] */
    const rp_posting *postings;            /* [postings] */
    const char *names, *word_bytes;
} rp_passages;

/* ---- passages_words.c ---- */

/* Reads the words of a text, which is valid UTF-8. Set `text` and `size`. */
typedef struct rp_word_reader {
    const char *text;
    size_t size, at;
    size_t start;             /* byte where the word begins; it ends before `at` */
    char word[RP_WORD_BYTES]; /* as it is counted */
    size_t length;            /* bytes of it, at least 1 */
} rp_word_reader;

bool rp_word_next(rp_word_reader *reader); /* false: there is none */

/* ---- passages_split.c ---- */

typedef struct rp_cut_passage {
    size_t start, end;
    uint32_t words;
} rp_cut_passage;

/* A growing array of them. Zero-initialise; free `items`. */
typedef struct rp_cut_passages {
    rp_cut_passage *items;
    size_t count, capacity;
} rp_cut_passages;

/* Cut a text, which is valid UTF-8, as documents.h says; the passages replace those in `out`.
 * RP_ERROR_HOST_MEMORY. */
rp_status rp_passages_split(const char *text, size_t size, uint32_t most_words, rp_cut_passages *out,
                            rp_error *err);

/* ---- passages_sources.c ---- */

/* A file of the collection. */
typedef struct rp_source_file {
    char *path;  /* to open it */
    size_t name; /* bytes of `path` before the document's name */
} rp_source_file;

/* Zero-initialise; rp_sources_finish. */
typedef struct rp_sources {
    rp_source_file *files; /* [count] sorted by name */
    size_t count, capacity;
    uint64_t hash; /* of names, sizes and times */
} rp_sources;

/* List what belongs to the collection `path`; in a folder the file `index` (NULL: none) and its vectors do
 * not. */
rp_status rp_sources_list(const char *path, const char *index, rp_sources *sources, rp_error *err);
void rp_sources_finish(rp_sources *sources);

/* Takes a document, whose text is valid UTF-8. */
typedef rp_status (*rp_source_take)(void *user, const char *name, size_t name_size, const char *text,
                                    size_t size, rp_error *err);

/* Read file `i` and hand over its documents. */
rp_status rp_sources_read(const rp_sources *sources, size_t i, rp_source_take take, void *user,
                          rp_error *err);

/* ---- passages_build.c ---- */

/* Begin an image; in any case the caller ends with rp_passages_drop. */
typedef struct rp_passages_builder rp_passages_builder;
rp_status rp_passages_begin(uint32_t passage_words, rp_passages_builder **out, rp_error *err);
void rp_passages_drop(rp_passages_builder **builder);

/* Add a document to the rp_passages_builder `builder`: a rp_source_take. */
rp_status rp_passages_add(void *builder, const char *name, size_t name_size, const char *text, size_t size,
                          rp_error *err);

/* Make the image, owned by the caller (free), whose `sources` have this hash. RP_ERROR_FILE, for what was
 * read of `path`, when there is no word. */
rp_status rp_passages_end(rp_passages_builder *builder, uint64_t sources, const char *path, void **image,
                          size_t *size, rp_error *err);

/* Read all documents and make the image, owned by the caller (free): `*size` gets its bytes. */
rp_status rp_passages_build(const rp_sources *sources, const char *path, uint32_t passage_words, void **image,
                            size_t *size, rp_error *err);

/* ---- passages_file.c ---- */

/* Find the parts of an image of `size` bytes, aligned to 8, and check every number in it. RP_ERROR_FORMAT
 * names `path`. */
rp_status rp_passages_view(const void *image, size_t size, const char *path, rp_passages *out, rp_error *err);

/* The bytes of the image that a header with these counts stands before. */
uint64_t rp_passages_size(const rp_passages_header *header);

/* The views of an image that is right, or about to be. */
void rp_passages_parts(const void *image, rp_passages *out);

/* Set the hash of an image that was made. */
void rp_passages_seal(void *image, size_t size);

/* Map the file `path`, read-only. RP_ERROR_FILE or RP_ERROR_FORMAT. Unmapped by munmap. */
rp_status rp_passages_map(const char *path, void **image, size_t *size, rp_error *err);

/* Write the file under another name, and give it its own. */
rp_status rp_passages_write(const char *path, const void *image, size_t size, rp_error *err);

/* ---- passages_find.c ---- */

typedef struct rp_found {
    uint32_t passage;
    float score;
} rp_found;

/* The best passages for `question`, valid UTF-8, by BM25: at most `room` to `out`; of equal ones the first.
 */
rp_status rp_passages_find(const rp_passages *passages, rp_text question, rp_found *out, size_t room,
                           size_t *count, float *most, rp_error *err);

/* ---- documents.c ---- */

struct rp_documents {
    rp_passages passages;
    void *image;
    size_t size;
    bool mapped;
    rp_documents_info info;
    rp_model *embedder; /* NULL: passages are found by words */
    struct rp_index *vectors;
};

/* ---- documents_vectors.c ---- */

/* Open the vectors of the passages, `index`.vectors, or make them. */
rp_status rp_documents_embed(rp_documents *documents, const char *index, const rp_call *call, rp_error *err);

/* As rp_passages_find, by vectors. */
rp_status rp_documents_nearest(const rp_documents *documents, rp_text question, rp_found *out, size_t room,
                               size_t *count, rp_error *err);

/* ---- vectors_kept.c ---- */

/* rp_embed as a part of the call that this thread is in: it tells no progress of its own. */
rp_status rp_embed_part(rp_model *model, const rp_text *texts, size_t count, const rp_call *call,
                        rp_result **out, rp_error *err);

/* Texts whose vectors are kept. */
typedef struct rp_kept_texts {
    rp_model *model;                                 /* which makes the vectors */
    uint64_t hash, count;                            /* of the texts: other ones have another hash */
    rp_text (*get)(const void *of, uint64_t number); /* text number 0 and on */
    const void *of;
    const char *name; /* of one, for messages */
} rp_kept_texts;

/* Open the index `path` where it has the vectors of these texts by this model, else make it. An index of
 * anything else is RP_ERROR_FILE, and stays as it is. */
rp_status rp_vectors_keep(const rp_kept_texts *texts, const char *path, const rp_call *call,
                          struct rp_index **out, rp_error *err);

#endif
