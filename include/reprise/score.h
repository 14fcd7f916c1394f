/* How likely a masked language model finds texts, and the lists of hypotheses of a translation system ranked
 * by that: a sentence that reads well has a higher score than one with a word that is wrong there.
 *
 * Thread-safety: a model as in tasks.h. An rp_nbest is used by one thread at a time. */
#ifndef REPRISE_SCORE_H
#define REPRISE_SCORE_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- texts ---- */

typedef struct rp_score_params {
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_score_params;

/* The pseudo-log-likelihood of each text: every token in turn is replaced by the mask, and the natural
 * logarithms of what the model then gives the token are added up. What the tokenizer puts around a text
 * ([CLS], [SEP]) is neither masked nor counted. So a text of n tokens takes n sequences, which are run as
 * many at a time as fit: memory does not grow with the length of a text, nor with their number beyond 16
 * bytes each. A text longer than the model takes is cut (rp_result_truncated).
 *
 * Errors, ownership: as the tasks (tasks.h). RP_ERROR_HEAD when the model has no masked language model,
 * RP_ERROR_UNSUPPORTED when its vocabulary has no mask token. rp_result_json writes
 * {"score": sum of the logarithms, "tokens": n}. */
RP_API rp_status rp_score(rp_model *model, const rp_text *texts, size_t count, const rp_score_params *params,
                          rp_result **out, rp_error *err);

/* The score of entry i of a result of rp_score: 0 or less, in units of the natural logarithm; 0 of a text
 * without tokens; NaN when the entry failed. `*tokens` (may be NULL) gets how many were added up. */
RP_API double rp_result_score(const rp_result *result, size_t i, uint32_t *tokens);

/* ---- lists of hypotheses ---- */

/* One line of an n-best list, as Moses and others write it:
 *
 *     id ||| hypothesis ||| features ||| total
 *
 * What follows a fourth "|||" is read over. The texts lie in the list, until its next call. */
typedef struct rp_hypothesis {
    rp_text text;      /* without the spaces around it; valid UTF-8, and perhaps empty */
    rp_text features;  /* likewise */
    double total;      /* what the translation system gave: higher is better */
    double score;      /* rp_nbest_score: the pseudo-log-likelihood; until then 0 */
    uint32_t tokens;   /* rp_nbest_score: of the text, as far as it was read; 0: it has none, and no score */
    uint32_t place;    /* among the hypotheses of its id in the file, from 0 */
    uint32_t left_out; /* rp_nbest_score: tokens that the model does not take, and that were cut off */
} rp_hypothesis;

/* A file of such lines that is being read. */
typedef struct rp_nbest rp_nbest;

/* Open the file `path`. RP_ERROR_FILE: it cannot be read. On success the caller owns `*out`. */
RP_API rp_status rp_nbest_open(const char *path, rp_nbest **out, rp_error *err);

/* Free it and set `*list` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_nbest_close(rp_nbest **list);

/* Read the hypotheses of the next id: lines that follow each other. `*items` belongs to the list, until its
 * next call; the caller may change and sort it meanwhile. `*count` is 0, with RP_OK, at the end of the file.
 * RP_ERROR_FORMAT names the line that is no such line (or no UTF-8, or longer than 8 MiB), or whose id is
 * lower than one before it, or the id whose hypotheses take more than 256 MiB. RP_ERROR_FILE,
 * RP_ERROR_HOST_MEMORY. The list
 * that a wrong line stands behind is lost too, for the line might belong to it. After an error only
 * rp_nbest_close is of use. */
RP_API rp_status rp_nbest_next(rp_nbest *list, uint64_t *id, rp_hypothesis **items, size_t *count,
                               rp_error *err);

/* Set `score` and `tokens` of each hypothesis: rp_score of its text. A hypothesis that cannot be scored fails
 * the call, with its place in the message. `params` may be NULL. */
RP_API rp_status rp_nbest_score(rp_model *model, rp_hypothesis *items, size_t count,
                                const rp_score_params *params, rp_error *err);

/* Sort the hypotheses by total + weight * score, the best first; of equal ones the one with the higher score,
 * then the one that the file has first. Those without a token, of which the model can say nothing, come
 * behind all others, whatever the weight. */
RP_API void rp_nbest_rank(rp_hypothesis *items, size_t count, double weight);

/* What rp_nbest_tune found. */
typedef struct rp_nbest_tuning {
    double weight;        /* for rp_nbest_rank: in the middle of those that are best; 0: no weight above 0 is
                             better than none */
    double chrf;          /* mean chrF of the hypotheses that it puts first, 0 to 100 */
    double chrf_before;   /* the same for weight 0: those that the translation system puts first */
    double chrf_possible; /* of the best hypotheses of every list */
    uint64_t lists, hypotheses;
    uint64_t cut;         /* hypotheses that were longer than the model takes */
    uint64_t reserved[4]; /* zero */
} rp_nbest_tuning;

/* Find the weight with which the hypotheses that rp_nbest_rank puts first are nearest to the references:
 * exactly, among all weights from 0 to a billion. `references` is a file with a line for each id, the first
 * for id 0; `nbest` as rp_nbest_open. Nearness is the mean over the lists of chrF2 as sacrebleu 2 computes it
 * for one sentence (character n-grams up to 6 without white space, recall counted twice, no words). Takes 16
 * bytes of memory for each hypothesis that some weight puts first. RP_ERROR_FORMAT, too, when an id has no
 * reference or the list is empty.
 *
 * Errors otherwise as rp_nbest_next and rp_nbest_score; on failure `*out` is zero. */
RP_API rp_status rp_nbest_tune(rp_model *model, const char *nbest, const char *references,
                               const rp_score_params *params, rp_nbest_tuning *out, rp_error *err);

/* chrF2 of a text and its reference, 0 to 100, as above. RP_ERROR_TEXT when one is not valid UTF-8;
 * RP_ERROR_HOST_MEMORY. */
RP_API rp_status rp_chrf(rp_text text, rp_text reference, double *out, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
