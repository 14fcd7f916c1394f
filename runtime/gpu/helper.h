/* A kernel is tried in another process, by the program of rp_try_main (reprise/device.h). */
#ifndef RP_GPU_HELPER_H
#define RP_GPU_HELPER_H

#include "gpu/device.h"

/* The path of the program: `wanted`, or where that is NULL what is installed with this library. NULL: there
 * is none. Freed by free(). */
char *rp_helper_find(const char *wanted);

typedef enum rp_end {
    RP_END_UNKNOWN, /* the kernel was not tried, or somebody killed the process */
    RP_END_LIVED,
    RP_END_LOST, /* the kernel lost the device */
    RP_END_DIED, /* the process ended by itself */
} rp_end;

/* What the program writes to its standard output when it has tried the kernel, unless the device was lost. */
static const char RP_HELPER_LIVED = 'y';

/* How the program leaves, when nothing happens to it. */
enum { RP_HELPER_DONE = 0, RP_HELPER_UNTRIED = 120, RP_HELPER_LOST = 121 };

/* Have another process run a kernel in a use (rp_use_write) on this device, and wait for it. RP_END_UNKNOWN
 * also after rp_device_stop. Thread-safe. */
rp_end rp_helper_attempt(rp_device *device, const char *op, const char *kernel, const char *use);

#endif
