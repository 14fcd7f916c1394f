/* MPI as it is found when the program runs: its functions, by whichever binary interface it has. world.c
 * makes a world of it. */
#ifndef RP_TRAIN_MPI_H
#define RP_TRAIN_MPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What names a communicator, a type or a request: a pointer in Open MPI, a number in MPICH. */
typedef union rp_mpi_handle {
    void *pointer;
    int number;
} rp_mpi_handle;

typedef struct rp_mpi rp_mpi;

/* The functions that take handles, one set for each interface. They return 0, or an error of MPI. All but
 * `test` and `dup` begin something, which goes on while `test` is asked whether it has ended. */
typedef struct rp_mpi_calls {
    int (*dup)(rp_mpi *mpi); /* make mpi->world a communicator of our own, which returns errors */
    void (*free)(rp_mpi *mpi);
    int (*rank)(rp_mpi *mpi, int *rank, int *size);
    int (*send)(rp_mpi *mpi, const void *data, int bytes, int to, rp_mpi_handle *request);
    int (*receive)(rp_mpi *mpi, void *data, int bytes, int from, rp_mpi_handle *request);
    int (*all_to_all)(rp_mpi *mpi, const void *data, int bytes, void *out, rp_mpi_handle *request);
    int (*all_gather)(rp_mpi *mpi, const void *data, int bytes, void *out, rp_mpi_handle *request);
    int (*test)(rp_mpi *mpi, rp_mpi_handle *request, int *done);
} rp_mpi_calls;

enum { RP_MPI_FUNCTIONS = 16 };

struct rp_mpi {
    const rp_mpi_calls *calls;
    rp_mpi_handle world, byte, errors_return, no_request;
    void *functions[RP_MPI_FUNCTIONS]; /* by mpi.c's own numbers */
    bool begun;                        /* by us, so that we end it */
};

/* True when a launcher has started this process. `*size`: with how many, itself among them; 0: the launcher
 * does not say. */
bool rp_mpi_launched(uint32_t *size);

/* Open and begin MPI. Its library stays open until the process ends. */
rp_status rp_mpi_open(rp_mpi *mpi, rp_error *err);
void rp_mpi_close(rp_mpi *mpi);

/* Fail with what MPI says of its error `code`. */
rp_status rp_mpi_fail(const rp_mpi *mpi, int code, const char *doing, rp_error *err);

#endif
