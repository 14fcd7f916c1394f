/* The attempt log: kernels that a device may not survive.
 *
 * A kernel that is not proven on this device and driver may lose the device or end the process. So a thread
 * notes its attempt in the cache folder before it runs such a kernel, and takes the note back afterwards.
 * What is left there tells a later process of an attempt that did not end. After two of them the library does
 * not run that kernel any more. Where it is not known why they did not end, somebody may have killed the
 * processes: another process then repeats the attempt (gpu/helper.h), and tells.
 *
 * With RP_TRIALS_APART the helper runs the kernel first, and where it cannot, only the plain kernel of an
 * operator is run.
 *
 * The loss of a device is counted in the rp_device too, for processes without a cache folder: rp_model_open
 * opens the device again and selects kernels once more. */
#ifndef RP_OPS_ATTEMPTS_H
#define RP_OPS_ATTEMPTS_H

#include "gpu/cache.h"
#include "ops/op.h"

/* What an attempt runs: a kernel of an operator, in a use. */
typedef struct rp_attempted {
    const rp_class *op;
    const char *kernel; /* its name */
    const rp_use *use;
} rp_attempted;

typedef struct rp_attempt {
    rp_device *device;
    char entry[RP_ENTRY_NAME]; /* of the kernel, in the attempt log */
    rp_attempt_note note;
    uint32_t before; /* unclear attempts that others left */
} rp_attempt;

/* Call these before and after whatever runs a kernel that is not proven. rp_attempt_begin returns false when
 * the kernel is not to be run: then there is nothing to end. `status` is how the run ended; `proven`: there
 * is a verdict, not only a time. Thread-safe. */
bool rp_attempt_begin(rp_attempt *attempt, rp_device *device, const rp_attempted *what);
void rp_attempt_end(rp_attempt *attempt, rp_status status, bool proven);

/* The same after two attempts that did not end: for a third one, where no other kernel is right. */
bool rp_attempt_begin_third(rp_attempt *attempt, rp_device *device, const rp_attempted *what);

/* Forget the third attempt of a kernel, so that the next start may make it again. */
void rp_attempt_forgive(rp_device *device, const rp_attempted *what);

/* The same as rp_attempt_begin for rp_check_kernels, which keeps notes of its own: whoever kills a check,
 * which takes long, takes no kernel from models. What models noted counts here too. */
bool rp_attempt_begin_check(rp_attempt *attempt, rp_device *device, const rp_attempted *what);

/* True when one check did not end while it ran this kernel: the next attempt may be the last. */
bool rp_attempt_is_suspect(rp_device *device, const char *op, const char *kernel);

/* How often this process lost the device while it ran kernels that are not proven. Where the number has
 * risen, another selection passes over more of them, and goes further. */
uint32_t rp_losses_noted(rp_device *device);

#endif
