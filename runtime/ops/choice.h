/* One kernel out of several: the fastest that is right on this device.
 *
 * A kernel of which the driver itself says that it spills registers to memory is used only where every other
 * one does too, or is wrong.
 *
 * Speeds and verdicts are kept in the cache folder under the device, its driver and the table of shaders: a
 * later start reads them. An entry that is damaged, or that speaks of something else, counts as absent. */
#ifndef RP_OPS_CHOICE_H
#define RP_OPS_CHOICE_H

#include "ops/verify.h"

enum { RP_CONTEST_TEXT = 160 };

/* The candidates, and how to tell them apart. The functions get `user`. */
typedef struct rp_contest {
    const char *op;              /* such as "matmul" */
    char shape[RP_CONTEST_TEXT]; /* what their speed depends on */
    char use[RP_CONTEST_TEXT];   /* what their being right depends on */
    uint32_t count;              /* at least 1 */
    char names[RP_MAX_KERNELS][RP_KERNEL_NAME];
    /* Seconds of each; infinite: it cannot be used. NULL: they are in the order to try them in. */
    rp_status (*measure)(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err);
    rp_status (*verify)(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out, rp_error *err);
    void *user;
} rp_contest;

/* The candidate to use: remembered by `ops`, read from the cache, or found now. A candidate that is wrong, or
 * that the driver refuses to compile, is passed over, and so is one that spills while another is left.
 * RP_ERROR_DEVICE when none is left; the error of memory where the driver said that it had none for one of
 * them. */
rp_status rp_select(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err);

/* That the driver refused to compile a kernel, and nothing worse, is behind this status of work with `ops`:
 * by whatever code but a lost device, for drivers say that they are out of memory when a compiler gives up.
 * Asked once after each such work. */
bool rp_refused(rp_ops *ops, rp_status status);

#endif
