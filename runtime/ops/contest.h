/* One kernel out of several: the fastest that is right on this device.
 *
 * A kernel of which the driver itself says that it spills registers to memory is used only where every other
 * one does too, or is wrong.
 *
 * Speeds and verdicts are kept in the cache folder under the device, its driver and the table of shaders: a
 * later start reads them. An entry that is damaged, or that speaks of something else, counts as absent.
 *
 * A kernel may also lose the device, or end the process. Before one is run that is not proven here, its try
 * is noted: in the cache, and a loss in the rp_device too. After two tries that did not end a kernel is not
 * tried again on this device and driver. One may have had another cause: rp_model_open opens the device again
 * and goes on, with another try of it. Where this process does not know why a try did not end, somebody may
 * have killed the one that tried: another process repeats it (gpu/helper.h), and tells. A verdict wipes the
 * note of its kernel, and where no kernel is left for an operator all of that get one more try. */
#ifndef RP_OPS_CONTEST_H
#define RP_OPS_CONTEST_H

#include "gpu/cache.h"
#include "ops/kernel.h"
#include "ops/proof.h"

enum { RP_CONTEST_TEXT = 160 };

/* The candidates, and how to tell them apart. The functions get `user`. */
typedef struct rp_contest {
    const char *op;              /* such as "matmul" */
    char shape[RP_CONTEST_TEXT]; /* what their speed depends on */
    char use[RP_CONTEST_TEXT];   /* what their being right depends on */
    const rp_use *tried;         /* the same */
    uint32_t count;              /* at least 1 */
    char names[RP_MAX_KERNELS][RP_KERNEL_NAME];
    uint32_t tiles[RP_MAX_KERNELS]; /* what a workgroup makes, in any unit: of kernels as fast, the smallest
                                       wins */
    /* Seconds of each; infinite: it cannot be used, or rp_may_measure said no. NULL: they are in the order to
     * try them in. */
    rp_status (*measure)(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err);
    rp_status (*verify)(rp_ops *ops, void *user, uint32_t candidate, rp_difference *out, rp_error *err);
    void *user;
} rp_contest;

/* Asked before each candidate is measured. False: the time for that is over (rp_device.tuning_limit). Those
 * that are left stand behind the others, as they were; nothing of the contest is kept, so that a later start
 * measures it whole. */
bool rp_may_measure(rp_ops *ops);

/* What is tried, and in which use. */
typedef struct rp_attempted {
    const char *op, *kernel;
    const rp_use *use;
} rp_attempted;

/* One try of a kernel. */
typedef struct rp_attempt {
    rp_device *device;
    char key[33]; /* of the kernel */
    rp_attempt_note tries;
    uint32_t before; /* unclear tries that others have left */
    uint32_t noted;  /* all tries that others have left */
} rp_attempt;

/* Around whatever runs a kernel that is not proven. False: it is not to be run, and nothing was begun.
 * `status` is what came of it; `proven`: there is a verdict, not only a time. Thread-safe. */
bool rp_attempt_begin(rp_attempt *trial, rp_device *device, const rp_attempted *what);
void rp_attempt_end(rp_attempt *trial, rp_status status, bool proven);

/* The same for a check of all kernels, with notes of its own: to stop one, which takes long, costs no model a
 * kernel. Those of models count too. */
bool rp_attempt_begin_check(rp_attempt *trial, rp_device *device, const rp_attempted *what);

/* A check ended while it tried this kernel, once: another try may be the last. */
bool rp_attempt_is_suspect(rp_device *device, const char *op, const char *kernel);

/* How often the device was lost while kernels were tried: more than before says that a repetition will go
 * further. */
uint32_t rp_losses_noted(rp_device *device);

/* The candidate to use: remembered by `ops`, read from the cache, or found now. A candidate that is wrong, or
 * that the driver refuses to compile, or that loses the device, is passed over, and so is one that spills
 * while another is left. RP_ERROR_DEVICE when none is left; the error of memory where the driver said that it
 * had none for one of them. */
rp_status rp_select(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err);

/* The candidate that `ops` remembers. False: none was chosen for the like. */
bool rp_select_again(const rp_ops *ops, const rp_contest *contest, uint32_t *out);

/* That the driver refused to compile a kernel, and nothing worse, is behind this status of work with `ops`:
 * by whatever code but a lost device, for drivers say that they are out of memory when a compiler gives up.
 * Asked once after each such work. */
bool rp_refused(rp_ops *ops, rp_status status);

#endif
