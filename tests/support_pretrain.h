/* Cases of tests/goldens/pretrain: what PyTorch makes of a model in 10 steps of pre-training. */
#ifndef SUPPORT_PRETRAIN_H
#define SUPPORT_PRETRAIN_H

#include "reprise/reprise.h"
#include "support_fixture.h"

enum { PRETRAIN_STEPS = 10, PRETRAIN_BATCHES = 5 };

typedef struct pretrain_case {
    char dir[FIXTURE_PATH_SIZE]; /* the model's folder */
    struct json_t *root;
    struct json_t *lists[PRETRAIN_BATCHES]; /* of the instances, of root */
    rp_train_batch batches[PRETRAIN_BATCHES];
    double learning_rate, weight_decay;
} pretrain_case;

/* Load a case and build its folder, in F32. False, with a message on standard error, when that fails. */
bool pretrain_open(const char *name, pretrain_case *out);
void pretrain_close(pretrain_case *c);

/* The optimizer of the goldens: what rp_trainer_open takes for it. */
rp_trainer_params pretrain_params(const pretrain_case *c, rp_optimizer optimizer);

#endif
