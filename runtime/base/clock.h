/* The clock that everything is timed by. */
#ifndef RP_BASE_CLOCK_H
#define RP_BASE_CLOCK_H

#include <time.h>

/* Seconds since some fixed moment; never goes back. */
static inline double rp_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
