/* Tests that start themselves under mpirun. */
#ifndef SUPPORT_MPI_H
#define SUPPORT_MPI_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "reprise/reprise.h"

/* ---- a rank ---- */

/* Those of this process, as far as it has opened them. */
extern rp_world *mpi_world;
extern rp_device *mpi_device;

/* In a process of mpirun: say what is wrong, and end with 1. */
#define MPI_NEED(what)                                                                            \
    do {                                                                                          \
        if (!(what)) {                                                                            \
            fprintf(stderr, "rank %u: line %d: %s\n", rp_world_rank(mpi_world), __LINE__, #what); \
            exit(1);                                                                              \
        }                                                                                         \
    } while (0)

/* The same when a call has failed. */
void mpi_need_ok(rp_status status, const rp_error *err);

/* Open a world whose processes wait for each other for `patience` seconds, with the functions of Vulkan that
 * can be made to fail, and a device of its own. */
void mpi_begin(double patience);
void mpi_end(void);

/* ---- what starts them ---- */

/* False where there is no mpirun. */
bool mpi_is_there(void);

/* Run `argv` (ends with NULL) under mpirun as `ranks` processes, and wait: its exit status. What all write to
 * standard output and standard error is in `out` [size], cut. Fails the test after two minutes, with
 * REPRISE_TEST_LONG after fifteen. */
int mpi_run(int ranks, const char *const *argv, char *out, unsigned size);

/* Run this program itself so, with a job and its arguments; `a` and what follows it may be NULL. */
int mpi_run_job(int ranks, const char *job, const char *a, const char *b, const char *c);

#endif
