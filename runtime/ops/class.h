/* What is known of an operator: which kernels there are, how they are recorded, what they have to compute.
 * Each is one file, which has all of this side by side; classes.def lists them. */
#ifndef RP_OPS_CLASS_H
#define RP_OPS_CLASS_H

#include "ops/op.h"
#include "ops/proof.h"
#include "ops/sample.h"

/* How much of a device's time the proof of a use is worth. */
typedef enum rp_rank {
    RP_RANK_NONE = 0, /* there is no such use */
    RP_RANK_SKIP,     /* nor of this number, but of a later one */
    RP_RANK_ALL,      /* every kernel is tried in it */
    RP_RANK_QUICK,    /* on a software driver, which compiles a large tile for seconds, small ones alone */
    RP_RANK_SMALLEST, /* of each shader that with the smallest tile */
} rp_rank;

/* Which models there may be: those of one config, or any. */
typedef struct rp_scope {
    const rp_caps *caps;
    uint32_t head_dim;           /* 0: those of all models */
    rp_op_activation activation; /* inside a layer */
    bool compile_only;
} rp_scope;

struct rp_class {
    const char *name;    /* such as "matmul", in messages and in the cache */
    const char *weights; /* what its formats are of, such as "weights"; NULL: it has none */

    /* The kernels that can serve this use: out[0..result). The first is the best guess, the last needs
     * nothing beyond Vulkan 1.1. 0: the device has no room for one. Pure. */
    uint32_t (*plan)(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]);

    /* Record the dispatches of `op` by op->kernel. */
    rp_status (*record)(rp_op_target target, const rp_op *op, rp_error *err);

    /* Use number `n` of those that models make of it, and how far it is tried. Pure. */
    rp_rank (*use)(const rp_scope *scope, uint32_t n, rp_use *out);

    /* Run a kernel in case number `n`, of `cases`, in the use that is tried (proof.h). */
    uint32_t cases;
    rp_status (*prove)(rp_proof *proof, uint32_t n, rp_error *err);

    /* Whether its kernels differ so much for `op` that timing them is worth the while. NULL: they never do,
     * and are taken in the order of the plan. */
    bool (*timed)(const rp_caps *caps, const rp_op *op);

    /* Prepare an operator like `op`, without its epilogue, for timing one of its kernels (sample.h): small
     * enough for this device. */
    rp_status (*sample)(rp_sample *sample, const rp_op *op, const rp_kernel *kernel, rp_error *err);
};

#define RP_OP_CLASS(name) extern const rp_class rp_class_##name;
#include "ops/classes.def"
#undef RP_OP_CLASS

extern const rp_class *const rp_classes[];
extern const uint32_t rp_class_count;

/* A use in words, which no other use of the class has, texels apart: "f32 weights, bias, gelu". */
enum { RP_USE_TEXT = 96 };
void rp_use_text(const rp_class *class, const rp_use *use, char out[RP_USE_TEXT]);

#endif
