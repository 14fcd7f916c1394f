/* What the operators share: pipelines, a recorder, and grids that follow the lengths of a batch.
 *
 * Every operator is recorded once. How many rows it works on is read on the device from counts[], and its
 * workgroup counts from a VkDispatchIndirectCommand; the host writes both before each submission. */
#ifndef RP_OPS_OP_H
#define RP_OPS_OP_H

#include "gpu/record.h"
#include "ops/plan.h"

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

/* Workgroups: x = counts[count] / per_group, rounded up; y is fixed. */
typedef struct rp_grid {
    rp_count count;
    uint32_t per_group;
    uint32_t y;
} rp_grid;

enum { RP_MAX_GRIDS = 256 };

/* Which of some candidates was chosen. */
typedef struct rp_choice_made {
    char key[33];
    uint32_t candidate;
} rp_choice_made;

typedef struct rp_ops {
    rp_device *device;
    rp_pipeline_set pipelines;
    rp_recorder recorder;
    rp_range counts;   /* uint32 [RP_COUNT_KINDS], or [RP_ALL_COUNTS] */
    rp_range indirect; /* VkDispatchIndirectCommand [RP_MAX_GRIDS] */
    rp_grid grids[RP_MAX_GRIDS];
    uint32_t grid_count;
    uint32_t lanes; /* workgroup size of the kernels that work row by row */
    bool verifying; /* kernels are being verified: they run without having been */
    bool few; /* kernels for rp_plan_few_rows tokens are recorded, with the same bits as those for many */
    double work[RP_UNITS]; /* of a token's products as recorded, by unit */
    rp_choice_made *choices;
    size_t choice_count, choice_capacity;
    double chosen;          /* seconds that choices have taken, of device->tuning_limit */
    double measuring_until; /* in rp_seconds */
    bool measured_less;     /* than there was to measure: the time was over */
} rp_ops;

/* `counts` and `indirect` must outlive the ops, which are zero before, or dropped. */
void rp_ops_init(rp_ops *ops, rp_device *device, rp_range counts, rp_range indirect);
void rp_ops_finish(rp_ops *ops);

/* Finish all but the choices: who makes a model again wants the same kernels. */
void rp_ops_drop(rp_ops *ops);

/* The command of every grid that was recorded, for these counts: what belongs at ops->indirect. */
void rp_ops_write_grids(const rp_ops *ops, const uint32_t *counts, VkDispatchIndirectCommand *out);

/* Where to record, on behalf of an operator. */
typedef struct rp_op_target {
    rp_ops *ops;
    VkCommandBuffer commands;
} rp_op_target;

/* Record one dispatch of the pipeline `key` over `grid`. bindings[0] is filled in with the counts. Where the
 * recorder is dry, the pipeline is only noted. */
rp_status rp_op_dispatch(rp_op_target target, const rp_pipeline_key *key, rp_grid grid, const char *label,
                         rp_dispatch *dispatch, rp_error *err);

/* `range` without its first `skip` bytes. */
rp_range rp_range_after(rp_range range, VkDeviceSize skip);

/* A float as the word that a push constant carries. */
uint32_t rp_float_bits(float value);

#endif
