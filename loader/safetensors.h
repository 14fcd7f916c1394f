/* Files of the safetensors format. */
#ifndef RP_LOADER_SAFETENSORS_H
#define RP_LOADER_SAFETENSORS_H

#include "loader/tensor_file.h"

/* Map the file `path` and check its header: its length, its JSON, and that the tensors fill the rest of the
 * file without overlap or hole, each as large as its shape and type say. Sizes of element types that are not
 * known are not checked. On success the caller owns `out` (rp_tensor_file_close). */
rp_status rp_safetensors_open(const char *path, rp_tensor_file *out, rp_error *err);

#endif
