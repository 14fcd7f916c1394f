/* Tests that start themselves under mpirun. */
#ifndef SUPPORT_MPI_H
#define SUPPORT_MPI_H

#include <stdbool.h>

/* False where there is no mpirun. */
bool mpi_is_there(void);

/* Run `argv` (ends with NULL) under mpirun as `ranks` processes, and wait: its exit status. What all write to
 * standard output and standard error is in `out` [size], cut. Fails the test after two minutes, with
 * REPRISE_TEST_LONG after fifteen. */
int mpi_run(int ranks, const char *const *argv, char *out, unsigned size);

#endif
