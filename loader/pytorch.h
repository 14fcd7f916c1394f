/* Files of torch.save that hold a state dict: pytorch_model.bin. */
#ifndef RP_LOADER_PYTORCH_H
#define RP_LOADER_PYTORCH_H

#include "loader/tensor_file.h"

/* Map the file `path`, of torch 1.6 or later (a zip archive) or of an earlier one (pickles, and the storages
 * behind them), and find its tensors; nothing in it is executed. RP_ERROR_FORMAT when it is damaged or
 * another kind of file, RP_ERROR_UNSUPPORTED when it holds anything that weights do not need. On success the
 * caller owns `out` (rp_tensor_file_close). */
rp_status rp_pytorch_open(const char *path, rp_tensor_file *out, rp_error *err);

#endif
