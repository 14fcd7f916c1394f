/* What becomes of hidden states behind the device, as sentence-transformers computes it: ways of pooling that
 * no output of a run has, and the modules behind the pooling. */
#ifndef RP_TASKS_POOL_H
#define RP_TASKS_POOL_H

#include "loader/pooling.h"

/* Pool the `count` hidden states of one sequence, [count, width], in every way of `modes` (bits of RP_POOL_*)
 * into `out`: [number of modes, width]. The first `skip` tokens are left out, but for the CLS. */
void rp_pool_hidden(const float *hidden, size_t count, size_t width, unsigned modes, size_t skip, float *out);

/* The columns of the widest vector that `modules` take or make, at least `columns`. */
size_t rp_modules_widest(const rp_module *modules, size_t count, size_t columns);

/* Let the modules work on `vector`, which has as many columns as the first one takes and room for the widest,
 * as `scratch` has. */
void rp_modules_apply(const rp_module *modules, size_t count, float *vector, float *scratch);

/* To length 1. */
void rp_normalize_vector(float *vector, size_t count);

#endif
