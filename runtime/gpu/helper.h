/* The helper: a program, reprise-try, that repeats an attempt in a process of its own. It is the main of
 * ops/helper_main.c, which a program of an app may call too (rp_try_main in reprise/device.h). */
#ifndef RP_GPU_HELPER_H
#define RP_GPU_HELPER_H

#include "gpu/device.h"

/* The path of the program: `wanted`, or where that is NULL what is installed with this library. NULL: there
 * is none. Freed by free(). */
char *rp_helper_find(const char *wanted);

typedef enum rp_end {
    RP_END_UNKNOWN, /* it did not run the kernel, or somebody killed it */
    RP_END_LIVED,
    RP_END_LOST, /* the kernel lost the device */
    RP_END_DIED, /* the process ended by itself */
} rp_end;

/* What the helper writes to its standard output when it has run the kernel, unless it lost the device. */
static const char RP_HELPER_LIVED = 'y';

/* The exit status of a helper to which nothing happened. */
enum { RP_HELPER_DONE = 0, RP_HELPER_UNTRIED = 120, RP_HELPER_LOST = 121 };

/* Have another process run a kernel in a use (rp_use_write) on this device, and wait for it. RP_END_UNKNOWN
 * also after rp_device_stop. Thread-safe. */
rp_end rp_helper_attempt(rp_device *device, const char *op, const char *kernel, const char *use);

#endif
