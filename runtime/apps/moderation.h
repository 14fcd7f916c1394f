/* Thresholds and policies: what their files say, and what follows from the scores of a text. */
#ifndef RP_APPS_MODERATION_H
#define RP_APPS_MODERATION_H

#include "base/alloc.h"
#include "loader/json_tree.h"
#include "reprise/moderate.h"

typedef struct rp_moderation_rule {
    uint32_t label; /* row */
    double threshold;
    const char *action;
    uint32_t severity; /* of rules that hold, the first of those with the lowest decides */
} rp_moderation_rule;

struct rp_moderation {
    rp_model *model;
    uint32_t label_count;
    const char *const *labels; /* [label_count] the model's */
    double *thresholds;        /* [label_count] NAN: the label does not count */
    rp_moderation_rule *rules; /* [rule_count] */
    size_t rule_count;
    const char *fallback; /* the action where no rule holds */
    bool policy;          /* there is one */
    rp_arena arena;
};

/* What the document of a file `path` says. `m` has its labels and, for a policy, its thresholds. */
rp_status rp_moderation_thresholds(rp_moderation *m, const rp_json *root, const char *path, rp_error *err);
rp_status rp_moderation_policy(rp_moderation *m, const rp_json *root, const char *path, rp_error *err);

/* The action that follows from scores, [label_count]. */
const char *rp_moderation_action(const rp_moderation *m, const float *scores, bool flagged);

/* Free all but `m` itself. */
void rp_moderation_finish(rp_moderation *m);

#endif
