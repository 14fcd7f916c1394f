/* Several processes that train one model together, each on a device of its own, through MPI. */
#ifndef REPRISE_WORLD_H
#define REPRISE_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The processes that a launcher of MPI (mpirun, mpiexec, srun) has started together, each with its rank, from
 * 0 on. The library opens MPI's library when the program asks for a world, and only then: neither the library
 * nor the program is linked with it. It knows the binary interface of Open MPI 4 and 5, and of MPICH 3 and 4.
 *
 * Thread-safety: what one world is used for happens on one thread at a time, and in the same order in every
 * process. rp_world_rank and the three functions beside it may be called at any time. */
typedef struct rp_world rp_world;

/* The zero value is the default. */
typedef struct rp_world_params {
    double patience;      /* seconds that one process waits for another; 0: 1800 */
    uint64_t reserved[8]; /* zero; see reprise.h */
} rp_world_params;

/* Meet the processes that were started with this one. `*out` is NULL, and the status RP_OK, where no launcher
 * started this process, or only this one: NULL is a world of one wherever a world is asked for. On success
 * the caller owns `*out`, and closes it after the trainers that use it. All processes call this.
 *
 * Where the program has not begun MPI itself, this does so, and rp_world_close ends it: once in a process.
 * RP_ERROR_UNSUPPORTED when the launcher's MPI has no library here, is none of those named above, or is not
 * the one that the library of the system belongs to. */
RP_API rp_status rp_world_open(const rp_world_params *params, rp_world **out, rp_error *err);

/* Set `*world` to NULL and return RP_OK; it waits for the other processes to do the same. NULL and a pointer
 * to NULL are allowed. */
RP_API rp_status rp_world_close(rp_world **world);

/* This process, among all and among those of this machine; and how many there are, in all and on this
 * machine, whose processors they share. Of NULL: 0, 0, 1 and 1. */
RP_API uint32_t rp_world_rank(const rp_world *world);
RP_API uint32_t rp_world_local_rank(const rp_world *world);
RP_API uint32_t rp_world_size(const rp_world *world);
RP_API uint32_t rp_world_local_size(const rp_world *world);

/* Wait until every process has called this, each with how it went. RP_OK when all said so; else the status of
 * the first that did not, in every process, with a message that begins with its rank; or RP_ERROR_STOPPED
 * when one has not come for as long as the world is patient, or MPI failed: then the world can only be
 * closed. `err` has the caller's own message when `status` is none of RP_OK. With NULL it returns `status`.
 */
RP_API rp_status rp_world_agree(rp_world *world, rp_status status, rp_error *err);

/* The same; and when all are well, `values` [count], at most 32, become those of rank 0 in every process. */
RP_API rp_status rp_world_tell(rp_world *world, rp_status status, uint64_t *values, size_t count,
                               rp_error *err);

/* Tell the others that this process is at work: those that wait for it begin anew to be patient. For what one
 * process does alone, such as an evaluation between two steps, and calls this now and then; the others call
 * nothing. RP_ERROR_STOPPED when MPI failed; RP_OK with NULL. */
RP_API rp_status rp_world_keep(rp_world *world, rp_error *err);

/* True when the last error of the world came to every process: one of them need tell it. */
RP_API bool rp_world_agreed(const rp_world *world);

#ifdef __cplusplus
}
#endif
#endif
