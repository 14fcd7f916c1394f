/* Proving that a kernel is right on this device: it runs at odd shapes, which leave partial tiles on every
 * side, in the ways that models run it, and its results are compared with plain C. The numbers are such that
 * a kernel which rounds an input more than it says is found out.
 *
 * This file has what the proofs of all operators share; the cases are in the files of the operators. */
#ifndef RP_OPS_PROOF_H
#define RP_OPS_PROOF_H

#include "base/alloc.h"
#include "ops/harness.h"

/* How far the results of a kernel are from plain C. */
typedef struct rp_difference {
    double error; /* the largest difference, relative to values above 1; infinite where there is a NaN, where
                     padding is not zero, or where the kernel wrote outside its output */
    double bound; /* the largest error that counts as right */
} rp_difference;

static inline bool rp_difference_allowed(const rp_difference *difference) {
    return difference->error <= difference->bound;
}

enum { RP_PROOF_MATRICES = 4 };

/* One case of one kernel, on a device that is set up to run it. */
typedef struct rp_proof {
    const rp_class *class;
    const rp_kernel *kernel;
    rp_use use;
    rp_difference *difference; /* of all cases so far */
    rp_ops *owner;             /* whose pipelines are used */
    rp_harness harness;
    rp_buffer data;    /* whatever is no weight, one range after the other, seen by the host */
    VkDeviceSize used; /* of it, bytes */
    rp_store weights;
    rp_matrix matrices[RP_PROOF_MATRICES]; /* to be finished with the proof */
    rp_arena host;                         /* what plain C works on */
    bool in_chunks;                        /* set by a case: rp_proof_matrix cuts matrices in two */
    bool ended;                            /* nothing more is recorded */
} rp_proof;

/* Run every case of this kernel, with the pipelines of `ops`. RP_OK also when the kernel is wrong: `*out`
 * says so. An error says that it could not be run, such as when the driver refuses its pipeline. */
rp_status rp_prove(rp_ops *ops, const rp_class *class, const rp_kernel *kernel, const rp_use *use,
                   rp_difference *out, rp_error *err);

/* ---- for a case; rp_prove frees whatever these take ---- */

/* Begin: make room for `bytes` of data, in at most eight ranges, and `weights` bytes of weights. */
rp_status rp_proof_open(rp_proof *proof, VkDeviceSize bytes, VkDeviceSize weights, rp_error *err);

/* Take a range of `bytes` from that room, full of NaNs. rp_proof_seen: its address for the host. */
rp_range rp_proof_take(rp_proof *proof, VkDeviceSize bytes);
void *rp_proof_seen(const rp_proof *proof, rp_range range);

/* Allocate zeroes for plain C: an array of `count` elements of `size` bytes, or of floats. */
rp_status rp_proof_alloc(rp_proof *proof, size_t count, size_t size, void **out, rp_error *err);
rp_status rp_proof_floats(rp_proof *proof, size_t count, float **out, rp_error *err);

/* Record one operator, which begins when those recorded before have ended. */
rp_status rp_proof_record(rp_proof *proof, const rp_op *op, rp_error *err);

/* Run what was recorded. A case may call it again: the replay runs on what the run before left. */
rp_status rp_proof_run(rp_proof *proof, const uint32_t counts[RP_COUNT_KINDS], rp_error *err);

/* Record one operator and run it twice. */
rp_status rp_proof_replay(rp_proof *proof, const rp_op *op, const uint32_t counts[RP_COUNT_KINDS],
                          rp_error *err);

/* ---- numbers ---- */

/* Number `i` of a sequence between -1 and 1: with every bit that a float32 has, so that one which was rounded
 * shows; or `exact`, such as a half, a bfloat16 and an 8-bit integer of this scale hold. */
float rp_proof_number(uint32_t i, bool exact);
void rp_proof_fill(float *out, size_t count, uint32_t seed, float scale);

/* Rows [rows, width] in a range: `stride` elements apart, of which those up to the padded width hold zeros
 * behind the row. */
typedef struct rp_proof_rows {
    rp_range range;
    size_t rows;
    uint32_t width;
    size_t stride; /* 0: the padded width */
    bool half;     /* they are float16 */
} rp_proof_rows;
static inline VkDeviceSize rp_proof_bytes(size_t rows, size_t stride) {
    return (VkDeviceSize)rows * stride * 4;
}

/* Put `data` [rows, width] there. What lies between the rows is left as it is. */
void rp_proof_send(rp_proof *proof, const rp_proof_rows *to, const float *data);

/* Rows of random numbers: take a range for them, of which `rows` says what there is but for its range, and
 * put them there and into `*values` [rows, width], for plain C. One row more is taken, and is as it was. */
rp_status rp_proof_input(rp_proof *proof, const rp_proof_rows *rows, uint32_t seed, float **values,
                         rp_range *out, rp_error *err);

/* Put a matrix with these values, [rows, columns], on the device, in a format that holds or rounds them. The
 * proof owns it. */
rp_status rp_proof_matrix(rp_proof *proof, const float *values, uint32_t rows, uint32_t columns,
                          rp_format format, rp_matrix **out, rp_error *err);
rp_status rp_proof_vectors(rp_proof *proof, const float *values, uint32_t count, uint32_t width,
                           rp_range *out, rp_error *err);

/* Compare the results, and raise proof->difference to the largest difference: of each row where `only` is
 * NULL, or of rows only[0..count). want: [count, width]; scales [count]: what the values of a row are counted
 * in, NULL: 1. One row more has been taken than there are, and it, and what lies between the rows, may not be
 * written. */
void rp_proof_compare(rp_proof *proof, const rp_proof_rows *got, const float *want, const float *scales,
                      const uint32_t *only, size_t count);

/* Raise proof->difference to this error. */
void rp_proof_differ(rp_proof *proof, double error);

#endif
