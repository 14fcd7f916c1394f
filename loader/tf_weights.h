/* The weights in a checkpoint of TensorFlow, under the names that Hugging Face gives them. */
#ifndef RP_LOADER_TF_WEIGHTS_H
#define RP_LOADER_TF_WEIGHTS_H

#include "loader/tf_checkpoint.h"
#include "loader/weights_files.h"

/* Add a file to `files` for each data file that holds weights, with an entry for each of them; kernels, which
 * TensorFlow keeps as [in, out], are entries of [out, in] with strides. `index` is the path of the index.
 * RP_ERROR_FORMAT names what is damaged; RP_ERROR_UNSUPPORTED a weight that is partitioned, or a checkpoint
 * of other names than the first version of TensorFlow gives; RP_ERROR_FILE a data file that is missing. */
rp_status rp_tf_weights_open(const char *index, rp_weight_files *files, rp_error *err);

#endif
