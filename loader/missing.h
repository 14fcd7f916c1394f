/* Messages about a folder that cannot be opened: which file is missing, which files are there in its place,
 * and which command brings the missing one. */
#ifndef RP_LOADER_MISSING_H
#define RP_LOADER_MISSING_H

#include "base/error.h"

/* Each returns the status that it writes to `err`: RP_ERROR_UNSUPPORTED where the folder has the model in a
 * form that is not read, else RP_ERROR_FILE. */
rp_status rp_fail_no_config(const char *dir, rp_error *err);
rp_status rp_fail_no_weights(const char *dir, rp_error *err);
rp_status rp_fail_no_tokenizer(const char *dir, rp_error *err);

#endif
