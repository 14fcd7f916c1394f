/* Reads weights from their files with pread, not through the mapping. When another program cuts a mapped file
 * short, a read through the mapping ends this process (SIGBUS); pread only fails. */
#ifndef RP_LOADER_WEIGHTS_READER_H
#define RP_LOADER_WEIGHTS_READER_H

#include "loader/model_file.h"
#include "loader/weights.h"

/* Zero-initialise. Thread-safety: read-only after opening. */
typedef struct rp_weights_reader {
    const rp_weights *weights; /* borrowed */
    rp_model_file *files;      /* [count] */
    size_t count;              /* 0: the weights are random and have no files */
} rp_weights_reader;

/* Open the files of `weights` again, also after rp_weights_rest. RP_ERROR_FILE names a file that somebody
 * wrote into or replaced since it was opened. */
rp_status rp_weights_reader_open(const rp_weights *weights, rp_weights_reader *out, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_weights_reader_close(rp_weights_reader *reader);

/* Read `count` elements of a tensor of these weights, from element `first` on, as floats. False: the file no
 * longer has them, and the content of `out` is undefined. */
bool rp_weights_reader_read(const rp_weights_reader *reader, const rp_tensor *tensor, size_t first,
                            size_t count, float *out);

#endif
