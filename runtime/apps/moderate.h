/* One call of rp_moderate: the texts as the model reads them, and what is said of each. */
#ifndef RP_APPS_MODERATE_H
#define RP_APPS_MODERATE_H

#include "apps/moderation.h"
#include "apps/plain_text.h"
#include "tasks/task.h"

/* What stands beside the spans of a label. */
typedef struct rp_moderated_spans {
    rp_place *places;   // [span_count]
    const char **texts; // [span_count]
} rp_moderated_spans;

/* The answer to one text; in the result's arena. */
typedef struct rp_moderate_answer {
    rp_verdict verdict;
    rp_moderated *labels;      // [verdict.label_count]
    rp_moderated_spans *spans; // [label_count] by the row of the label
} rp_moderate_answer;

/* Find the spans of the labels of `answer` that count. `text` is entry `entry` of the call, `chars` what the
 * model has read of it. */
rp_status rp_moderate_spans(const rp_moderation *m, rp_text text, const rp_chars *chars, size_t entry,
                            rp_moderate_answer *answer, rp_result *result, rp_error *err);

#endif
