/* What the variables of Google's ALBERT and BERT are called in a Hugging Face folder. */
#ifndef RP_LOADER_TF_NAMES_H
#define RP_LOADER_TF_NAMES_H

#include "loader/names.h"

/* True when a variable of this name is in the checkpoints of ALBERT, false in those of BERT and in none. */
bool rp_tf_is_albert(const char *name);

/* True when the variable belongs to the encoder of either. */
bool rp_tf_is_encoder(const char *name);

/* A variable's name as Hugging Face writes the tensor, with the prefix of the model's class. `*transposed`:
 * the file has [in, out], Hugging Face [out, in]. False for what is no weight of the model, such as the slots
 * of the optimizer. */
bool rp_tf_name(const char *name, bool albert, char out[RP_NAME_SIZE], bool *transposed);

/* Part of the name of a head that no task of this library serves ("start_logits/"), or NULL. */
const char *rp_tf_unserved_head(const char *name);

#endif
