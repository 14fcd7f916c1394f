/* A folder with a model that has learnt nothing yet. */
#ifndef RP_LOADER_NEW_MODEL_H
#define RP_LOADER_NEW_MODEL_H

#include <stdint.h>

#include "base/error.h"

/* Write a new model to the folder `out`, which does not exist or is empty: weights by `seed` (random.h), with
 * `heads` of RP_HEAD_MASKED_LM and RP_HEAD_ORDER. `config`: "base", "large", "xlarge" or "xxlarge", a file,
 * or a folder or model that has one; where it says no vocab_size, and for the first four, it is the
 * tokenizer's. `tokenizer`: a file, or a folder or model that has one. RP_ERROR_FORMAT where the two do not
 * fit each other; RP_ERROR_UNSUPPORTED for a DistilBERT; RP_ERROR_FILE when `out` has files or cannot be
 * written. */
rp_status rp_new_model_write(const char *config, const char *tokenizer, unsigned heads, uint64_t seed,
                             const char *out, rp_error *err);

#endif
