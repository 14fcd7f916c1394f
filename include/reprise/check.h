/* Whether a device computes what it should. Drivers differ, and the author of an app cannot see its users'
 * GPUs: rp_check_kernels runs every kernel that the library may select on a device, and compares it with
 * plain C.
 *
 * rp_model_open does the same for the kernels that a model selects, the first time on a device and driver,
 * and no model uses a kernel that fails. */
#ifndef REPRISE_CHECK_H
#define REPRISE_CHECK_H

#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_check_verdict {
    RP_CHECK_RIGHT = 0, /* its results are right; with compile_only: the driver compiled it */
    RP_CHECK_WRONG,     /* its results are wrong: no model uses it on this device */
    RP_CHECK_REFUSED,   /* the driver does not compile it: no model uses it on this device */
    RP_CHECK_SPILLS, /* with compile_only: the driver compiled it with registers in memory, which is slow */
    RP_CHECK_LOSES,  /* the device was lost twice while this check ran it: no model uses it on this device */
    RP_CHECK_ENDS,   /* this check did not run it, because of the attempt log: two processes ended while they
                        checked it or tried it for a model, and the program of rp_try_main ended with it too, or
                        there is none; or the device was lost twice while it was tried for models */
} rp_check_verdict;

/* What came of one kernel in one use. Later versions may add fields at the end. */
typedef struct rp_check_result {
    const char *op;  /* such as "matmul"; static */
    char kernel[96]; /* the shader, its workgroup and what one invocation makes */
    char use[96];    /* how models use it: format of the weights, epilogue (bias, activation, residual,
                        LayerNorm),    size of heads */
    double error;    /* the largest difference from plain C, relative for values above 1; infinite when the
                        kernel    wrote a NaN, or wrote outside its output. 0 with compile_only */
    double bound;    /* the largest error that counts as right */
    rp_check_verdict verdict;
    char statistics[400]; /* with compile_only: what the driver's compiler says of registers, spills and
                             occupancy; empty where it says nothing */
} rp_check_result;

typedef struct rp_check_params {
    bool compile_only;  /* have the driver compile the kernels, and run none: for drivers without their
                           hardware */
    const char *config; /* "base", "large", "xlarge", "xxlarge" or a folder with a config.json: check the head
                           size and the activation of this model. NULL: those of the four, of the bundled
                           models and of some others */
    const char *only;   /* check the kernels whose name contains this; NULL: all */
    uint32_t threads;   /* threads that compile and run kernels; 0: one for each processor, at most 16 */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_check_params;

/* A callback that takes one result. rp_check_kernels calls it on the caller's thread, with the caller's
 * `user`. It may be slow, and may use the device. */
typedef void (*rp_check_fn)(void *user, const rp_check_result *result);

/* Run every kernel that the library may select on this device, at odd shapes and in every precision, and pass
 * each result to `each`, always in the same order. `params` may be NULL. `*failed` gets the number of results
 * that are not RP_CHECK_RIGHT; `failed` may be NULL.
 *
 * Returns RP_OK whether kernels are right or wrong, and an error when they could not be run: RP_ERROR_FILE
 * for a config that does not exist, RP_ERROR_HOST_MEMORY or RP_ERROR_DEVICE_MEMORY, or RP_ERROR_DEVICE_LOST
 * when a lost device cannot be opened again. A check that loses the device opens it again and runs the
 * kernels that it was running once more, one at a time. A check takes a second or a few on a GPU. A software
 * driver compiles for long: there it takes a minute or more, and checks fewer head sizes. Thread-safe.
 *
 * A check reads and writes none of the verdicts that models keep in the cache folder. It notes in the attempt
 * log, in that folder, which kernels it is running. When the process ends meanwhile, the next check begins
 * with those kernels, one at a time. When that happens twice with a kernel, the next check has another
 * process run it first (rp_try_main), and the kernel gets RP_CHECK_ENDS when that process ends too. It keeps
 * that verdict until the device, the driver or the library changes or the folder is deleted. Without a cache
 * folder there is no log. The notes of a check change nothing for models, and rp_device_stop ends a check
 * without leaving one. */
RP_API rp_status rp_check_kernels(rp_device *device, const rp_check_params *params, rp_check_fn each,
                                  void *user, uint32_t *failed, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
