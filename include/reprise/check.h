/* Does this device compute what it should? Drivers differ, and an app cannot see its users' GPUs: here every
 * kernel that the library may choose on a device proves itself against plain C.
 *
 * A model does the same by itself for the kernels that it uses, when it is opened for the first time on a
 * device and driver, and never uses one that fails. */
#ifndef REPRISE_CHECK_H
#define REPRISE_CHECK_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_check_verdict {
    RP_CHECK_RIGHT = 0, /* its results are right; when nothing was run: it was compiled */
    RP_CHECK_WRONG,     /* its results are wrong: no model uses it here */
    RP_CHECK_REFUSED,   /* the driver does not compile it: no model uses it here */
    RP_CHECK_SPILLS,    /* only when nothing was run: compiled, but with registers in memory, which is slow */
    RP_CHECK_LOSES,     /* the device was lost with it, twice: no model uses it here */
    RP_CHECK_ENDS,      /* not run: two processes ended while it was being checked, or while it was tried for
                           models, and another process that tried it ended too, or there was none; or models lost
                           the device with it, twice */
} rp_check_verdict;

/* One kernel, tried in one way. May grow at its end. */
typedef struct rp_check_result {
    const char *op;  /* such as "matmul"; static */
    char kernel[96]; /* the shader, its workgroup and what one invocation makes */
    char use[96];    /* with which weights, ending or head size */
    double error;    /* the largest difference from plain C, relative above 1; infinite for a NaN and for what
                        was written where nothing may be. 0 when nothing was run */
    double bound;    /* what it may be */
    rp_check_verdict verdict;
    char statistics[400]; /* when nothing was run: what the driver's compiler says of registers, spills and
                             occupancy; empty where it says nothing */
} rp_check_result;

typedef struct rp_check_params {
    bool compile_only; /* make the pipelines and run nothing: for drivers without their hardware */
    const char
        *config;      /* "base", "large", "xlarge", "xxlarge" or a folder with a config.json: with its size of
                         heads and its activation. NULL: what all of them, the bundled models and others have */
    const char *only; /* kernels whose name contains this; NULL: all */
    uint32_t threads; /* that compile and run kernels; 0: one a processor, at most 16 */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_check_params;

/* Takes one result, on the thread that called rp_check_kernels; `user` is what that was given. It may take
 * its time, and use the device. */
typedef void (*rp_check_fn)(void *user, const rp_check_result *result);

/* Try every kernel that may be chosen on this device, at odd shapes, in every precision, and give each result
 * to `each`, always in the same order. `params` may be NULL. The number of results that are not
 * RP_CHECK_RIGHT goes to `*failed` (NULL allowed).
 *
 * RP_OK whether kernels fail or not; an error when they could not be tried: RP_ERROR_FILE for a config
 * that does not exist, out of memory, a lost device that cannot be opened again. One that is lost is opened
 * again within the call, and what was being tried then is tried once more, on its own. Takes a second or a
 * few on a GPU; a software driver, which compiles for long, takes a minute or more, and fewer sizes of heads
 * are tried there. Thread-safe.
 *
 * The verdicts that models keep in the cache are neither read nor written. While a kernel is tried that is
 * noted there: a call after one in which the process ended, whether by the driver's doing or because it was
 * killed, begins with the kernels of that moment, one at a time. One with which that happened twice is run in
 * another process first (rp_try_main); when that ends too it gets RP_CHECK_ENDS, as long as device, driver
 * and library stay the same and the cache is kept. Without a cache there are no notes. What is noted here
 * changes nothing for models. rp_device_stop ends a check without such notes. */
RP_API rp_status rp_check_kernels(rp_device *device, const rp_check_params *params, rp_check_fn each,
                                  void *user, uint32_t *failed, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
