/* The clock that everything is timed by. */
#ifndef RP_BASE_CLOCK_H
#define RP_BASE_CLOCK_H

#include <stdatomic.h>
#include <time.h>

#include "base/os.h"

/* Seconds since some fixed moment; never goes back. */
static inline double rp_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* total += seconds, whichever thread adds. */
static inline void rp_add_seconds(_Atomic double *total, double seconds) {
    double before = *total;
    while (!atomic_compare_exchange_weak(total, &before, before + seconds)) {
    }
}

/* Seconds of processor time that the threads of this process have used. */
static inline double rp_process_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds that this process has kept every processor of the machine busy, if the work had been spread evenly.
 * On a software driver this is the time of a run on a machine that nobody else uses. */
static inline double rp_cpu_seconds(void) {
    long processors = rp_os_processors();
    return rp_process_seconds() / (double)(processors > 0 ? processors : 1);
}

#endif
