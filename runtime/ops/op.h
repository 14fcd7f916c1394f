/* An operator is described (which operands, which epilogue), a kernel is selected for the description
 * (selection.h), and only then it is recorded.
 *
 * It is recorded once and submitted many times. The device reads from counts[] how many rows it works on, and
 * from a VkDispatchIndirectCommand how many workgroups; the host writes both before each batch. */
#ifndef RP_OPS_OP_H
#define RP_OPS_OP_H

#include "gpu/record.h"
#include "ops/kernel.h"

/* The rows that a dispatch works on: an index into counts[]. */
typedef enum rp_count {
    RP_COUNT_TOKENS = 0, /* tokens of the batch */
    RP_COUNT_SEQUENCES,
    RP_COUNT_ROWS,  /* rows that a head works on */
    RP_COUNT_TILES, /* tiles of queries for attention */
    RP_COUNT_KINDS, /* the counts of slices come after these */
} rp_count;

enum {
    RP_MAX_SLICES = 16, /* that the tokens of a sequence may be cut into */
    RP_SLICE_ROWS = 64, /* of which each slice but the last has a multiple: every binding may begin there */
    RP_ALL_COUNTS =
        RP_COUNT_KINDS + 2 * RP_MAX_SLICES, /* with the tokens of each slice, then the tiles of each */
};
static inline rp_count rp_count_slice(rp_count kind, uint32_t slice) {
    uint32_t first = kind == RP_COUNT_TILES ? RP_COUNT_KINDS + RP_MAX_SLICES : RP_COUNT_KINDS;
    return (rp_count)(first + slice);
}

/* Which rows (tiles) a dispatch works on: counts[count] of them, from number `first` on. Zero: on all. */
typedef struct rp_slice {
    rp_count count; /* of rp_count_slice */
    uint32_t first; /* a multiple of RP_SLICE_ROWS */
} rp_slice;

typedef struct rp_class rp_class;

/* One operator. Its activations are float32, or float16 where `halves` says so: [rows, stride], where a
 * stride is a width rounded up to a multiple of RP_PANEL, and the padding holds zeros. The file of its class
 * says which operands it has; the others are zero. */
typedef struct rp_op {
    const rp_class *class;
    const char *label;     // for captures and traces
    rp_count rows;         // of out
    uint32_t width;        // elements of a row of out, without the padding
    rp_range x;            // [rows, x_stride], or what the class says
    uint32_t x_stride;     // 0: the padded width, and nothing behind it is read
    const rp_matrix *w[3]; // weights or tables
    rp_range bias;         // [n]; no buffer: none
    rp_op_activation activation;
    rp_range residual;   // [rows, out_stride]; no buffer: none. It may be `out`
    rp_range out;        // [rows, out_stride]
    uint32_t out_stride; // 0: the padded width
    rp_range norm;       // gamma, beta: [2, padded width]; no buffer: no LayerNorm
    float eps;
    rp_range arrived; // uint32 [rows]: zeros before and after
    rp_range list;    // uint32: which rows, tokens or sequences
    rp_range tiles;   // uint32 [tiles, 2]
    uint32_t heads, head_dim;
    bool largest;
    uint32_t variant;    // which operator of its class
    rp_range dy;         // training: the gradient by what the forward operator writes
    rp_range stats;      // training: of each row, what one operator finds out for the next
    rp_range scratch;    // training: what the class says, of no use afterwards
    rp_range state;      // training: an rp_train_state (training.h)
    rp_range moments[2]; // training: of each parameter
    uint32_t place;      // dropout: a number that no other place of the model has, below 256
    float rate;          // dropout: of the elements that are dropped; label smoothing; scale of cosines
    uint32_t fixed;      // how many workgroups, where no count says it
    uint32_t column;     // losses: of the logits of a row, the first one of `width`
    float weight;        // losses: what they are multiplied by; 0: 1
    unsigned halves;     // bits of rp_halves: which of x, residual and out hold float16
    rp_slice slice;      // of the rows; the kernel is the one for all of them, and so are the bits
    uint32_t most_rows;  // the batch never has more, and the kernel has the bits of that for any; 0: it may
    rp_kernel kernel;    // selected for all of this
} rp_op;

/* Workgroups: x = counts[count] / per_group, rounded up, or with per_group 0 the number `count` itself; y is
 * fixed. */
typedef struct rp_grid {
    rp_count count;
    uint32_t per_group;
    uint32_t y;
} rp_grid;

enum { RP_MAX_GRIDS = 256 };

/* A kernel that was selected (selection.h). */
enum { RP_SELECTED_FOR = 320 };
typedef struct rp_selected {
    char what[RP_SELECTED_FOR]; /* what it is for */
    rp_kernel kernel;
} rp_selected;

/* A kernel that was selected once and is to be taken again, by name. */
typedef struct rp_wanted {
    const char *what, *kernel;
} rp_wanted;

/* What the operators of one model share: pipelines, a recorder, workgroup counts, and the kernels that were
 * selected. */
typedef struct rp_ops {
    rp_device *device;
    rp_pipeline_set own, *pipelines; /* these are its own, or another's */
    rp_recorder recorder;
    rp_range counts;   /* uint32 [RP_COUNT_KINDS], or [RP_ALL_COUNTS] */
    rp_range indirect; /* VkDispatchIndirectCommand [RP_MAX_GRIDS] */
    rp_grid grids[RP_MAX_GRIDS];
    uint32_t grid_count;
    rp_selected *selected;
    size_t selected_count, selected_capacity;
    const rp_wanted *wanted; /* [wanted_count] what to select, where there are any; borrowed */
    size_t wanted_count;
    bool strayed;     /* a kernel was selected that is not wanted */
    double selecting; /* seconds that rp_op_select took so far, of device->tuning_limit */
} rp_ops;

/* Begin with zeroed ops, or with ops that were dropped. `counts` and `indirect` must outlive them. */
void rp_ops_init(rp_ops *ops, rp_device *device, rp_range counts, rp_range indirect);
void rp_ops_finish(rp_ops *ops);

/* Finish all but the selected kernels: a model that is made again takes the same ones. */
void rp_ops_drop(rp_ops *ops);

/* Write to `out`, whose place is ops->indirect, the workgroup counts of all recorded dispatches for these
 * counts. */
void rp_ops_write_grids(const rp_ops *ops, const uint32_t *counts, VkDispatchIndirectCommand *out);

/* Where an operator is recorded. */
typedef struct rp_op_target {
    rp_ops *ops;
    VkCommandBuffer commands;
} rp_op_target;

/* The use of `op`: what its kernels depend on. */
rp_use rp_use_of(const rp_op *op);

/* Record the dispatches of `op` by op->kernel. */
rp_status rp_op_record(rp_op_target target, const rp_op *op, rp_error *err);

/* Record one dispatch of the pipeline `key` over `grid`. bindings[0] is filled in with the counts. */
rp_status rp_op_dispatch(rp_op_target target, const rp_pipeline_key *key, rp_grid grid, const char *label,
                         rp_dispatch *dispatch, rp_error *err);

/* `range` without its first `skip` bytes. */
rp_range rp_range_after(rp_range range, VkDeviceSize skip);

/* A float as the word that a push constant carries. */
uint32_t rp_float_bits(float value);

#endif
