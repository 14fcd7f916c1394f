/* The class of an operator: which kernels it has, how they are recorded, what they must compute. The file of
 * the operator has all of this side by side; classes.def lists the classes. */
#ifndef RP_OPS_CLASS_H
#define RP_OPS_CLASS_H

#include "ops/op.h"
#include "ops/proof.h"
#include "ops/tuning.h"

/* How many kernels a check proves in a use, for each takes time. */
typedef enum rp_use_rank {
    RP_RANK_NONE = 0, /* there is no use of this number, nor of a later one */
    RP_RANK_SKIP,     /* there is no use of this number, but of a later one */
    RP_RANK_ALL,      /* every kernel */
    RP_RANK_QUICK, /* every kernel; on a software driver, which compiles a large tile for seconds, small tiles
                      only */
    RP_RANK_SMALLEST, /* of each shader the kernel with the smallest tile */
} rp_use_rank;

/* The models whose uses a check goes through: those of one config, or all. */
typedef struct rp_scope {
    const rp_caps *caps;
    uint32_t head_dim;           /* elements of an attention head; 0: all that models have */
    rp_op_activation activation; /* of the feed-forward network */
    bool compile_only;
} rp_scope;

struct rp_class {
    const char *name; /* such as "matmul", in messages and in the cache */
    const char *const
        *variants; /* what messages call each of rp_use.variant, NULL behind them; NULL: it has one */
    const char
        *weights; /* what messages call the matrices that it reads, such as "weights"; NULL: it reads none */

    /* Write to `out` the kernels that can serve a use on a device, and return their number. The first is
     * probably the fastest, the last needs nothing beyond Vulkan 1.1. 0: the device has too little shared
     * memory for any. Pure. */
    uint32_t (*plan)(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]);

    /* Record the dispatches of `op` with op->kernel. */
    rp_status (*record)(rp_op_target target, const rp_op *op, rp_error *err);

    /* Write to `*out` use number `n` of those that models make of the operator, and return how many kernels a
     * check proves in it. Pure. */
    rp_use_rank (*use)(const rp_scope *scope, uint32_t n, rp_use *out);

    /* Run the kernel of a proof in case number `n` of `cases`, and compare it with plain C (proof.h). */
    uint32_t cases;
    rp_status (*prove)(rp_proof *proof, uint32_t n, rp_error *err);

    /* True when the kernels differ so much in speed for `op` that kernel selection times them. False or NULL:
     * it takes them in the order of the plan. */
    bool (*is_tuned)(const rp_caps *caps, const rp_op *op);

    /* Time `kernel` by an operator like `op`, without its epilogue and small enough for this device
     * (tuning.h), and write its time to `*seconds`. */
    rp_status (*tune)(rp_tuning *tuning, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err);
};

#define RP_OP_CLASS(name) extern const rp_class rp_class_##name;
#include "ops/classes.def"
#undef RP_OP_CLASS

extern const rp_class *const rp_classes[];
extern const uint32_t rp_class_count;

/* Write a use in words, such as "f32 weights, bias, gelu". No two uses of a class have the same words, unless
 * they differ only in `texels`. */
enum { RP_USE_TEXT = 96 };
void rp_use_text(const rp_class *class, const rp_use *use, char out[RP_USE_TEXT]);

#endif
