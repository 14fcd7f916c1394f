/* Questions to a collection of documents: passages that may hold the answer are found first, then a model
 * with a question answering head reads the best of them together.
 *
 * Finding is BM25 (Okapi, k1 1.2, b 0.75, with Lucene's idf log(1 + (N - n + 0.5) / (n + 0.5))), or the
 * cosine of vectors where a model for these is given. The words that BM25 counts are runs of word characters
 * as Unicode has them (letters, digits, marks), in lower case, without accents; an ideograph is a word of its
 * own, the "s" of a plural is left out, and a word counts up to its first 60 bytes. */
#ifndef REPRISE_DOCUMENTS_H
#define REPRISE_DOCUMENTS_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Documents, cut into passages, with their words counted. Thread-safety: read-only; several threads may use
 * it, none while one closes it. */
typedef struct rp_documents rp_documents;

typedef struct rp_documents_params {
    const char *index;      /* file that keeps what was counted, for the next time; NULL: none */
    uint32_t passage_words; /* longest passage; 0: 200 */
    rp_model *embedder;     /* finds passages by vectors (rp_embed), which the file `index`.vectors keeps, so
                               that there must be an index; stays open as long as the documents. NULL: by words */
    const rp_call *call;    /* NULL: none. Its inputs are the files that are read and, where vectors are made,
                               the passages, which come to the total when they are known */
    uint64_t reserved[6];   /* zero; see reprise.h */
} rp_documents_params;

/* Read the documents of `path`:
 *
 *   a folder     every file in it and in its folders, in the order of the bytes of their names, is a document
 *                with that name; names that begin with "." and links to folders are passed over, and so are
 * links that lead nowhere, which the call's log hears FILE.jsonl   a line {"text": "...", "id": "..."} is a
 * document; one without id is named FILE.jsonl:LINE. So too in a folder another file is one document
 *
 * All is UTF-8. A blank line ends a paragraph; in a document without blank lines each line is one. Paragraphs
 * of less than 40 words are taken together with what follows, and longer ones than a passage are cut behind
 * sentences, where the last sentence of one passage begins the next as well.
 *
 * With an index, what was counted is written there, first under another name; that file and its vectors may
 * lie in the folder, and are no documents. The next call maps the file and reads no document, if the names,
 * sizes and times of all files are what they were and passages are as long; else it is made anew. A `path` of
 * NULL takes the index as it is. RP_ERROR_FORMAT: the index is damaged, or no index, or of another version of
 * Reprise; delete it, then. It also names a document that is no UTF-8, or a line that is no such object.
 * RP_ERROR_FILE: a file cannot be read, the index cannot be written, or there is no document.
 * RP_ERROR_UNSUPPORTED: there is too much of it. On success the caller owns `*out`, on failure it is NULL.
 * `params` may be NULL. Thread-safe. */
RP_API rp_status rp_documents_open(const char *path, const rp_documents_params *params, rp_documents **out,
                                   rp_error *err);

/* Free it and set `*documents` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_documents_close(rp_documents **documents);

typedef struct rp_documents_info {
    uint64_t documents, passages;
    uint64_t words;       /* different ones */
    uint64_t bytes;       /* of the index, in memory and as a file */
    bool reused;          /* it was read from the file, not made */
    uint64_t reserved[4]; /* zero */
} rp_documents_info;

/* What there is. Valid until it is closed. */
RP_API const rp_documents_info *rp_documents_get_info(const rp_documents *documents);

/* A part of a document. Borrowed from the documents. */
typedef struct rp_passage {
    const char *document; /* its name, NUL-terminated */
    uint64_t number;      /* of the document, from 0 */
    rp_text text;
    uint64_t start; /* bytes of the document before it */
    float score;    /* how well it fits the question; only to be compared among those of one question */
} rp_passage;

/* The passages that have words of `question`, or whose vectors are nearest to its, at most `room` of them to
 * `out`, best first; `*count` gets their number. RP_ERROR_TEXT: the question is no UTF-8. Thread-safe. */
RP_API rp_status rp_documents_find(const rp_documents *documents, rp_text question, rp_passage *out,
                                   size_t room, size_t *count, rp_error *err);

typedef struct rp_document_params {
    uint32_t top_k;    /* answers for each question; 0: 1 */
    uint32_t passages; /* how many are read for each question; 0: 5 */
    uint32_t max_tokens, stride, max_question_tokens, max_answer_tokens; /* as in rp_answer_params */
    bool allow_no_answer;                                                /* an empty answer may win */
    float threshold;      /* answers with a lower score are left out */
    float weight;         /* how much the score of finding counts; 0: 1 of BM25's, 20 of a cosine; below 0:
                             nothing */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[6]; /* zero; see reprise.h */
} rp_document_params;

/* Answer each question from the documents. The passages of a question are read together: the score of an
 * answer is the probability of its start times that of its end among all tokens of all of these passages,
 * each of which has a prior probability proportional to exp(weight * score of finding). So scores can be
 * compared across passages, which those of rp_answer_questions cannot.
 *
 * The results are those of rp_answer_questions (rp_result_answers; spans are bytes of the document), each
 * with a source. Where no answer reaches the threshold, or no passage has a word of the question, the one
 * answer is empty, its score is 0 and its document "". An empty question is RP_ERROR_TEXT. */
RP_API rp_status rp_answer_documents(rp_model *model, const rp_documents *documents, const rp_text *questions,
                                     size_t count, const rp_document_params *params, rp_result **out,
                                     rp_error *err);

/* Where an answer was found. */
typedef struct rp_source {
    const char *document; /* name, NUL-terminated; "" of an empty answer */
    rp_span passage;      /* bytes of the document that were read as one passage */
    rp_text text;         /* that passage, NUL-terminated; data NULL of an empty answer */
    float found;          /* score of finding the passage */
    float logit;          /* what the model gave the answer: logit of its start plus logit of its end */
} rp_source;

/* Sources of the answers of entry i, one for each. NULL when the entry failed, or is no such answer.
 * rp_result_json writes {"score", "start", "end", "answer", "document"}; a list of them where top_k was above
 * 1. */
RP_API const rp_source *rp_result_sources(const rp_result *result, size_t i, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
