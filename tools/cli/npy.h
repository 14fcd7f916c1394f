/* Vectors as NumPy's .npy: float32, one row an input, in a file that appears under its name once it is whole.
 */
#ifndef REPRISE_CLI_NPY_H
#define REPRISE_CLI_NPY_H

#include "output.h"
#include "session.h"

typedef struct rp_cli_npy {
    const char *path;  /* the file that was asked for, borrowed */
    char *unfinished;  /* where it is written until it is whole */
    rp_cli_output out; /* of that file */
} rp_cli_npy;

/* Can `path` be written as such a file? False after a message: it is no file, or its folder takes none. */
bool rp_cli_npy_check(const char *path);

/* Make the file, without a header that could be read yet. False after a message. */
bool rp_cli_npy_open(rp_cli_npy *npy, const char *path);

/* Append the row of an answer, or of an input that failed: NaN, `columns` of them. */
void rp_cli_npy_answer(const rp_cli_answer *answer, rp_cli_buffer *out);
void rp_cli_npy_failure(size_t columns, rp_cli_buffer *out);

/* Complete the header and give the file its name; that of a run which was ended early is `path`.part. Returns
 * the exit status: `status`, or 1 after a message. */
int rp_cli_npy_finish(rp_cli_npy *npy, size_t columns, int status);

#endif
