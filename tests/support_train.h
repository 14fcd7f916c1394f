/* Cases of tests/goldens/train: what PyTorch makes of a model in 20 steps. */
#ifndef SUPPORT_TRAIN_H
#define SUPPORT_TRAIN_H

#include "reprise/reprise.h"
#include "support_fixture.h"

enum { TRAIN_STEPS = 20, TRAIN_BATCHES = 5 };

typedef struct train_case {
    golden g; /* the model's folder */
    struct json_t *root;
    rp_train_batch batches[TRAIN_BATCHES];
    double loss[TRAIN_STEPS], norm[TRAIN_STEPS];
    double learning_rate, weight_decay;
    rp_train_vectors vectors;
} train_case;

/* Load a case and build its folder, in F32. False, with a message on standard error, when that fails. */
bool train_open(const char *name, train_case *out);
void train_close(train_case *c);

/* Its optimizer: what rp_trainer_open takes for it. */
rp_trainer_params train_params(const train_case *c);

#endif
