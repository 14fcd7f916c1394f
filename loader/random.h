/* Numbers that look random, and weights made of them. */
#ifndef RP_LOADER_RANDOM_H
#define RP_LOADER_RANDOM_H

#include "loader/weights.h"

/* The next of the splitmix64 sequence, from 0 to below 1. `*state` begins as any number. */
double rp_random_next(uint64_t *state);

/* The next of a normal distribution of deviation 1, those beyond 2 drawn again. */
double rp_random_normal(uint64_t *state);

/* The weights of a new model with these heads, as google-research/albert begins: matrices and embeddings of a
 * normal distribution of that deviation that ends at twice it, but for the row of padding, which is 0 as in
 * Hugging Face; biases 0, LayerNorms 1 and 0. The caller owns `out`. RP_ERROR_HOST_MEMORY. */
rp_status rp_weights_new(const rp_config *config, unsigned heads, double deviation, uint64_t seed,
                         rp_weights *out, rp_error *err);

#endif
