/* Extractive summaries: the sentences of a document that stand for the rest of it.
 *
 * Thread-safety, ownership and errors as the tasks (tasks.h). */
#ifndef REPRISE_SUMMARIZE_H
#define REPRISE_SUMMARIZE_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    RP_SUMMARY_MAX = 1000,               /* sentences of a summary */
    RP_SUMMARIZED_SENTENCES_MAX = 20000, /* sentences of a document */
};

typedef struct rp_summarize_params {
    uint32_t sentences; /* of each summary, at most RP_SUMMARY_MAX; 0: 3 */
    float coherence; /* -1 to 1: how much it counts that a sentence stands well between its neighbours, as the
                        order head of the model says (RP_ERROR_HEAD without one): this times the mean of the
                        two probabilities (rp_coherence) comes to the score. 0: nothing, which chose best in
                        measurements (tools/apps/README.md) */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_summarize_params;

/* A sentence of a document. */
typedef struct rp_sentence {
    const char *text; /* as it stands in the document, NUL-terminated */
    rp_span span;     /* bytes of the document, without the white space around it */
    float score; /* how much it stands for the document: its centrality, and a little for where it stands;
                    the best sentence of a document has about 1 */
} rp_sentence;

/* The sentences of each document that are most like the rest of it by the cosines of their vectors (rp_embed,
 * normalized), where those of the beginning count a little more. Each new one is one that is little like
 * those that were chosen before (maximal marginal relevance), and never one that says nearly the same: equal
 * sentences are one from the beginning. Sentences are found by plain rules, for languages with spaces and for
 * Chinese and Japanese.
 *
 * A document of fewer sentences gives fewer; one without any, none. Its entry is RP_ERROR_TEXT when it is no
 * UTF-8, longer than RP_TEXT_BYTES_MAX, or has more than RP_SUMMARIZED_SENTENCES_MAX sentences. A sentence
 * longer than the model takes is weighed by its beginning, and none is cut in the answer. RP_ERROR_ARGUMENT
 * for more sentences than RP_SUMMARY_MAX. rp_result_json writes [{"text", "start", "end", "score"}, ...]. */
RP_API rp_status rp_summarize(rp_model *model, const rp_text *documents, size_t count,
                              const rp_summarize_params *params, rp_result **out, rp_error *err);

/* The sentences of summary i in the order of the document; `*count` gets their number. NULL when the entry
 * failed or has none. */
RP_API const rp_sentence *rp_result_sentences(const rp_result *result, size_t i, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
