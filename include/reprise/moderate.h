/* Moderation: which labels of a text count, what is to be done about it, and which sentences made the
 * difference. */
#ifndef REPRISE_MODERATE_H
#define REPRISE_MODERATE_H

#include "tasks.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A model with the thresholds of its labels and a policy. Read-only: several threads may use it, none while
 * one closes it. */
typedef struct rp_moderation rp_moderation;

typedef struct rp_moderation_params {
    const char
        *thresholds;      /* file; NULL: thresholds.json of the model's folder, or else 0.5 for each label */
    const char *policy;   /* file; NULL: the action is "flag" where a label counts, else "allow" */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_moderation_params;

/* Read the files for `model`, a sequence classifier, which is borrowed until rp_moderation_close.
 *
 * A threshold belongs to a label that may count: a text is flagged by it where its score is the threshold or
 * more. The file names them; without a file they are all labels of a model that gives several labels a text,
 * and of one that gives one label a text all but the first (row 0), which means that nothing is wrong. The
 * file is what rp_eval_params.calibrate writes: JSON, of which "thresholds" is read,
 *
 *     {"thresholds": {"spam": 0.62, "threat": 0.4}}
 *
 * numbers from 0 to 1; one that has "intent" (chat.h) and no "thresholds" changes nothing. A policy says what
 * follows:
 *
 *     {"rules": [{"label": "threat", "threshold": 0.9, "action": "block"},
 *                {"label": "spam", "action": "review"}],
 *      "actions": ["block", "review"], "default": "allow"}
 *
 * A rule holds where the label's score is its threshold or more; without one the label's own. Where several
 * hold, the first decides or, where there is "actions", the one whose action stands first in it, the most
 * severe. "default" ("allow" where it is missing) is the action where none holds. Labels are any of the
 * model's; keys that are not named here are an error in a policy.
 *
 * `params` may be NULL. On success the caller owns `*out`. RP_ERROR_HEAD: the model is no classifier;
 * RP_ERROR_UNSUPPORTED: it gives a number; RP_ERROR_FILE, RP_ERROR_FORMAT name the file and what is wrong in
 * it. Thread-safe. */
RP_API rp_status rp_moderation_open(rp_model *model, const rp_moderation_params *params, rp_moderation **out,
                                    rp_error *err);

/* Free it and set `*moderation` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_moderation_close(rp_moderation **moderation);

typedef struct rp_moderate_params {
    bool normalize; /* undo what hides words from a filter before the model reads them: invisible characters,
                       letters of other scripts that look like Latin ones, digits and symbols in place of
                       letters, letters with dots or blanks between them, letters many times. The model's
                       vocabulary says what may be meant: where it may be a word or not, what becomes fewer
                       tokens is taken */
    bool no_spans;  /* do not look for the sentences that made the difference */
    const rp_call *call;  /* NULL: none */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_moderate_params;

/* A label that may count. */
typedef struct rp_moderated {
    const char *label;
    uint32_t index;       /* row of the classifier */
    float score;          /* as rp_label has it; of a long text the largest of its windows (RP_LONG_MAX) */
    float threshold;      /* it counts from here on */
    bool flagged;         /* it does */
    const rp_span *spans; /* [span_count] bytes of the text, in its order: of a label that counts, the
                             sentences that made the difference */
    size_t span_count;
} rp_moderated;

typedef struct rp_verdict {
    bool flagged; /* a label counts */
    const char *action;
    const rp_moderated *labels; /* [label_count] best score first */
    size_t label_count;
} rp_verdict;

/* Judge each text, whatever its length.
 *
 * The sentences that made the difference are those without any of which a label would not count. Where
 * several of them say the same, so that none does it alone, they are the fewest without which, together, it
 * would not, taken in the order of what each weighs, at most 16; where that is not enough, they are those 16.
 * Sentences of long texts are joined so that a text has at most 64 parts, and fewer the more windows it has.
 *
 * As the tasks of tasks.h: one entry a text, rp_result_json gives {"flagged", "action", "labels": [{"label",
 * "score", "threshold", "spans": [{"start", "end", "text"}]}]}. */
RP_API rp_status rp_moderate(const rp_moderation *moderation, const rp_text *texts, size_t count,
                             const rp_moderate_params *params, rp_result **out, rp_error *err);

/* The verdict on entry i. NULL when the entry failed. */
RP_API const rp_verdict *rp_result_verdict(const rp_result *result, size_t i);

#ifdef __cplusplus
}
#endif
#endif
