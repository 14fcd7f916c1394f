/* The weights once more, read from their files and not through the mapping: what another program does to a
 * mapped file meanwhile can end this one (SIGBUS), a read only fails. */
#ifndef RP_LOADER_WEIGHTS_READER_H
#define RP_LOADER_WEIGHTS_READER_H

#include "loader/weights.h"

/* Zero-initialise. Thread-safety: read-only after opening. */
typedef struct rp_weights_reader {
    const rp_weights *weights; /* borrowed */
    int *fds;                  /* one for each file; NULL: the weights come from a generator */
    size_t count;
} rp_weights_reader;

/* Open the files of `weights` again, which may rest. RP_ERROR_FILE names one that was written to or replaced
 * since. */
rp_status rp_weights_reader_open(const rp_weights *weights, rp_weights_reader *out, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_weights_reader_close(rp_weights_reader *reader);

/* `count` elements of a tensor of these weights, from element `first` on, as floats. False when the file no
 * longer has them; what `out` holds then is anything. */
bool rp_weights_reader_read(const rp_weights_reader *reader, const rp_tensor *tensor, size_t first,
                            size_t count, float *out);

#endif
