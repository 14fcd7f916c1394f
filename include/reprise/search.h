/* Search by similarity: an index file of texts and their vectors, the texts of it that are nearest to a
 * query, and an order of texts by how well they answer a query.
 *
 *     rp_index_writer *writer = NULL;
 *     rp_index *index = NULL;
 *     rp_result *result = NULL;
 *     rp_document documents[] = {{.text = RP_TEXT("A warm film.")}, {.text = RP_TEXT("Rain in May.")}};
 *     rp_text query = RP_TEXT("the weather");
 *     if (rp_index_create(model, "films.index", NULL, &writer, &err) ||
 *         rp_index_add(writer, documents, 2, &err) || rp_index_finish(&writer, &err) ||
 *         rp_index_open(device, "films.index", NULL, &index, &err) ||
 *         rp_search(index, model, &query, 1, NULL, &result, &err))
 *         fprintf(stderr, "%s\n", err.message);
 *     size_t count;
 *     const rp_hit *hits = rp_result_hits(result, 0, &count);
 *
 * The score of a document is the cosine of its vector and the query's. An index holds vectors of length 1 in
 * float16; scores are products of these with the query's vector, of length 1 in float32, added up in double.
 * So they are the same numbers on every device. */
#ifndef REPRISE_SEARCH_H
#define REPRISE_SEARCH_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RP_SEARCH_TOP_MAX = 4096,   /* the most hits of one query */
    RP_INDEX_WIDTH_MAX = 16384, /* the most numbers of a vector */
};

/* ---- making an index ---- */

/* A file that is being written. Used by one thread at a time. */
typedef struct rp_index_writer rp_index_writer;

typedef struct rp_index_params {
    rp_pooling pooling; /* as in rp_embed_params, and these three; rp_search embeds queries by the same
                           pooling and dimensions. RP_POOLING_NONE is RP_ERROR_ARGUMENT */
    uint32_t dimensions;
    const char *prompt_name; /* of the documents: a query may have another */
    const char *prompt;
    uint32_t width;      /* without a model: numbers of each vector, 1 to RP_INDEX_WIDTH_MAX; else 0 */
    const rp_call *call; /* for rp_index_add and rp_index_finish, as long as the writer exists. Its inputs are
                            the documents of a call. NULL: none */
    uint64_t reserved[8]; /* zero; see reprise.h */
} rp_index_params;

/* A document. Borrowed for the call. */
typedef struct rp_document {
    rp_text text;
    rp_text id;   /* what the caller calls it, UTF-8; data NULL or empty: its number, from 0 */
    bool id_bare; /* `id` is a number, true or false, in JSON: rp_result_json writes it without quotes */
} rp_document;

/* Begin the index file `path`. With `model`, which stays open until the writer is gone, rp_index_add embeds
 * texts; the file notes which model it was. With NULL vectors are given (rp_index_add_vectors). What is
 * written goes to a file of another name beside `path`, which takes its place in rp_index_finish, so a reader
 * sees the old index or the new one. Memory: 16 bytes a document; texts and vectors go to the disk. `params`
 * may be NULL with a model. On success the caller owns `*out`. RP_ERROR_FILE: the folder takes no file;
 * RP_ERROR_ARGUMENT, and what rp_embed says of prompt, pooling and dimensions. */
RP_API rp_status rp_index_create(rp_model *model, const char *path, const rp_index_params *params,
                                 rp_index_writer **out, rp_error *err);

/* Embed documents and append them; any number of times. Either all of `count` are appended or, where it
 * fails, none. RP_ERROR_TEXT: one of them cannot be used, `*bad` (may be NULL; SIZE_MAX for every other
 * outcome) gets its place; leave it out and call again. RP_ERROR_FILE: the disk is full, or another failure
 * to write; the writer is of no use then. */
RP_API rp_status rp_index_add(rp_index_writer *writer, const rp_document *documents, size_t count,
                              size_t *bad, rp_error *err);

/* The same with the vectors of the documents: float32 [count, width]. They are brought to length 1; one of
 * zeros stays so, and its scores are 0. RP_ERROR_TEXT, with `*bad`: a number is not finite, or an id or text
 * is not UTF-8. */
RP_API rp_status rp_index_add_vectors(rp_index_writer *writer, const rp_document *documents,
                                      const float *vectors, size_t count, size_t *bad, rp_error *err);

/* Complete the file, give it its name, and free the writer: `*writer` becomes NULL, on failure too, when
 * nothing of it is left on the disk. RP_ERROR_ARGUMENT for an index without documents. */
RP_API rp_status rp_index_finish(rp_index_writer **writer, rp_error *err);

/* Give the file up and remove it. NULL and a pointer to NULL are allowed. */
RP_API void rp_index_abandon(rp_index_writer **writer);

/* ---- reading it ---- */

/* An open index. Thread-safety: a program may call every function from any thread; searches on one index take
 * turns. It outlives the loss of its device, as a model does (device.h). */
typedef struct rp_index rp_index;

typedef struct rp_index_open_params {
    const rp_call *call;  /* for rp_index_open; NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_index_open_params;

/* Map the index file `path` and send its vectors to `device`; NULL: the processor searches, which suits an
 * index of some thousand documents. The texts stay in the file. The file is checked whatever wrote it: each
 * part by a checksum before it is used, the texts when they are read. A user may remove or replace it
 * meanwhile, but not write into it. `params` may be NULL. On success the caller owns `*out`, and closes it
 * before `device`. RP_ERROR_FILE, RP_ERROR_FORMAT (no index, cut, damaged) and RP_ERROR_UNSUPPORTED (of a
 * later version) name the file; RP_ERROR_DEVICE_MEMORY. */
RP_API rp_status rp_index_open(rp_device *device, const char *path, const rp_index_open_params *params,
                               rp_index **out, rp_error *err);

/* Free the index, set `*index` to NULL and return RP_OK. NULL and a pointer to NULL are allowed. As
 * rp_model_close it waits for calls, and returns RP_ERROR_ARGUMENT in a callback of one. */
RP_API rp_status rp_index_close(rp_index **index);

/* What an index is. Later versions may add fields at the end. */
typedef struct rp_index_info {
    const char *path;
    uint64_t count;        /* documents */
    uint32_t width;        /* numbers of a vector */
    const char *model;     /* the name of the model's folder when it was made; "": vectors were given */
    rp_pooling pooling;    /* as when it was made */
    const char *prompt;    /* what was put before each document; "": nothing */
    uint64_t vectors_at;   /* bytes of the file before the vectors: float16 [count, width], little-endian */
    uint64_t device_bytes; /* device memory that it takes */
} rp_index_info;

/* Valid until the index is closed. Thread-safe. */
RP_API const rp_index_info *rp_index_get_info(const rp_index *index);

/* Document `number`, from 0. Its texts lie in the file, not NUL-terminated, and are valid until the index is
 * closed; an id that was not given has data NULL. RP_ERROR_ARGUMENT: there is none of this number;
 * RP_ERROR_FORMAT: the file is damaged there. Thread-safe. */
RP_API rp_status rp_index_document(const rp_index *index, uint64_t number, rp_document *out, rp_error *err);

/* Its vector, `width` floats. The 4096 vectors that share its checksum are read for it: for all vectors read
 * the file (rp_index_info.vectors_at). */
RP_API rp_status rp_index_vector(const rp_index *index, uint64_t number, float *out, rp_error *err);

/* ---- searching it ---- */

typedef struct rp_search_params {
    uint32_t top_k;     /* hits of each query, best first; 0: 10; at most RP_SEARCH_TOP_MAX */
    bool has_threshold; /* leave out hits whose score is below `threshold` */
    float threshold;
    const char *prompt_name; /* of the queries, as in rp_embed_params */
    const char *prompt;
    bool no_texts;        /* hits have ids and no texts */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_search_params;

typedef struct rp_hit {
    float score;
    uint64_t number; /* of the document */
    rp_text id;      /* its id, or its number in decimal; NUL-terminated */
    bool id_bare;    /* as in rp_document; true where no id was given */
    rp_text text;    /* NUL-terminated; data NULL with no_texts */
} rp_hit;

/* The documents of `index` that are nearest to each query, by `model`, which made its vectors. Of equal
 * scores the document with the lower number is first. `params` may be NULL. The result is as those of
 * tasks.h; it outlives the index. Its rp_result_json is [{"score", "id", "text"}, ...].
 *
 * RP_ERROR_ARGUMENT: another model made the index (the message names both), or top_k is too large;
 * RP_ERROR_FORMAT: a text of the file is damaged; else as rp_embed. */
RP_API rp_status rp_search(rp_index *index, rp_model *model, const rp_text *queries, size_t count,
                           const rp_search_params *params, rp_result **out, rp_error *err);

/* The same for vectors of any length: float32 [count, width of the index]. An entry with a number that is not
 * finite is RP_ERROR_TEXT. */
RP_API rp_status rp_search_vectors(rp_index *index, const float *vectors, size_t count,
                                   const rp_search_params *params, rp_result **out, rp_error *err);

/* Hits of entry i, best first; `*count` gets their number. NULL when there are none, or the entry failed. */
RP_API const rp_hit *rp_result_hits(const rp_result *result, size_t i, size_t *count);

/* ---- ranking texts ---- */

/* A query and texts. Borrowed for the call. */
typedef struct rp_ranking {
    rp_text query;
    const rp_text *documents; /* [document_count] */
    size_t document_count;
} rp_ranking;

typedef enum rp_rank_score {
    RP_RANK_SCORE_DEFAULT = 0, /* of one label: its sigmoid, unless config.json has another
                                  sbert_ce_default_activation_function, as in sentence-transformers */
    RP_RANK_SCORE_RAW, /* of one label: what the model computes; of several the difference of the logit and
                          the log of the others' sum */
} rp_rank_score;

typedef struct rp_rank_params {
    rp_rank_score score;
    uint32_t top_k;          /* of each query; 0: all */
    const char *prompt_name; /* of the queries of an embedding model, as in rp_embed_params */
    const char *prompt;
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_rank_params;

typedef struct rp_ranked {
    size_t index; /* of the document */
    float score;
} rp_ranked;

/* Put the documents of each query into the order of how well they answer it. A model with a sequence
 * classification head (a cross-encoder) reads each query with each document: with one label the score is as
 * CrossEncoder of sentence-transformers gives it; with several it is the probability of the label whose name
 * begins with "entail", "positive", "relevant" or "duplicate", or of the second of two. Any other model
 * embeds both, and the score is their cosine. A document that cannot be used fails its entry. `params` may be
 * NULL. The result is as those of tasks.h; its rp_result_json is [{"index", "score"}, ...].
 * RP_ERROR_UNSUPPORTED: several labels, of which none is such; a prompt for a cross-encoder, or the raw score
 * of any other model. */
RP_API rp_status rp_rank(rp_model *model, const rp_ranking *inputs, size_t count,
                         const rp_rank_params *params, rp_result **out, rp_error *err);

/* Documents of entry i, best first, of equal ones the lower index; `*count` gets their number. NULL when
 * there are none, or the entry failed. */
RP_API const rp_ranked *rp_result_ranked(const rp_result *result, size_t i, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
