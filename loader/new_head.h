/* A head that is made where a folder has none. */
#ifndef RP_LOADER_NEW_HEAD_H
#define RP_LOADER_NEW_HEAD_H

#include "loader/weights.h"

typedef struct rp_new_head {
    rp_head head;              /* RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, RP_HEAD_SPANS or RP_HEAD_CHOICE; or of
                                  RP_HEAD_MASKED_LM and RP_HEAD_ORDER, which are for pre-training, any */
    uint32_t label_count;      /* of the first two, at least 1 */
    const char *const *labels; /* [label_count]; NULL: "LABEL_0" and so on */
    rp_problem problem;
    bool exits; /* with an RP_HEAD_CLASSIFIER: internal classifiers, too (weights->exits). The last one is the
                   classifier, and the others are made where they are missing */
    uint64_t seed;
} rp_new_head;

/* Where `weights` have no such head with so many labels, put one in place of the head that they have: weights
 * from a normal distribution of deviation 0.02 that ends at twice that, and biases of 0. `config` gets its
 * labels, and config->head_made says so. With a label_count of 0 a classifier stays as it is. A pooler that the head stands on is made likewise. Of heads for
 * pre-training those that are missing are made, and a head of the other four is dropped. Once for the same
 * weights. RP_ERROR_HOST_MEMORY. */
rp_status rp_weights_make_head(const rp_new_head *head, rp_config *config, rp_weights *weights,
                               rp_error *err);

/* Forget the internal classifiers: where they do not learn with the rest, they are of another model. */
void rp_weights_drop_exits(const rp_config *config, rp_weights *weights);

#endif
