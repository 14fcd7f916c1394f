/* Sums in an order that depends on nothing but the lengths (rp_reduce_variant). x: numbers; out: a float a
 * sum. SQUARES: list: rp_block [op->fixed]; out: [op->fixed], of the squares of the vec4s of each block.
 *   SEGMENTS: list: uint32 [op->fixed + 1]; x: [*, width], of which the first op->x_stride floats are passed
 * over; out: [op->fixed, width], of x[list[s]] to x[list[s + 1]]. ALL: out: [width], of all x:
 * [counts[op->rows], width]. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "reduce", use->variant, 4, 3);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    uint32_t width = op->variant == RP_REDUCE_SQUARES ? 1 : op->width;
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->list.buffer ? op->list : op->x, op->out},
                            .push = {op->rows, width, op->x_stride}};
    rp_grid grid = {(rp_count)(op->variant == RP_REDUCE_ALL ? 1 : op->fixed), 0, width};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_REDUCE_ALL ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { NUMBERS = 4096, SUMS = 3, WIDTH = 2, SKIPPED = 4 };
static const rp_block blocks[SUMS] = {
    {.first = 0, .count = 1}, {.first = 3, .count = 900}, {.first = 950, .count = 70}};
static const uint32_t segments[SUMS + 1] = {0, 1, 5, 1201};

static double want_of(uint32_t variant, const float *x, uint32_t sum, uint32_t c) {
    double want = 0;
    if (variant == RP_REDUCE_SQUARES)
        for (uint32_t i = 4 * blocks[sum].first; i < 4 * (blocks[sum].first + blocks[sum].count); i++)
            want += (double)x[i] * x[i];
    else
        for (uint32_t i = variant == RP_REDUCE_ALL ? 0 : segments[sum]; i < segments[sum + 1]; i++)
            want += x[SKIPPED + i * WIDTH + c];
    return want;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    uint32_t variant = proof->use.variant, width = variant == RP_REDUCE_SQUARES ? 1 : WIDTH;
    rp_op op = {.variant = variant, .width = width, .fixed = SUMS, .x_stride = SKIPPED};
    float *x;
    rp_status status;
    (void)n;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, 4 * (NUMBERS + SUMS * WIDTH + RP_PANEL) + sizeof blocks + 4096, 0, err));
    RP_TRY(rp_proof_input(proof, &(rp_proof_rows){.rows = NUMBERS / RP_PANEL, .width = RP_PANEL}, 17, &x,
                          &op.x, err));
    op.list = rp_proof_take(proof, sizeof blocks);
    op.out = rp_proof_take(proof, 4 * SUMS * WIDTH);
    if (variant == RP_REDUCE_SQUARES)
        memcpy(rp_proof_seen(proof, op.list), blocks, sizeof blocks);
    else
        memcpy(rp_proof_seen(proof, op.list), segments, sizeof segments);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){segments[1]}, err));
    const float *got = rp_proof_seen(proof, op.out);
    for (uint32_t i = 0; i < (variant == RP_REDUCE_ALL ? 1 : SUMS) * width; i++) {
        double want = want_of(variant, x, i / width, i % width);
        rp_proof_differ(proof, fabs(got[i] - want) / fmax(1, fabs(want)));
    }
done:
    return status;
}

static const char *const variants[] = {"squares", "segments", "all", NULL};
const rp_class rp_class_reduce = {.name = "reduce",
                                  .variants = variants,
                                  .plan = plan,
                                  .record = record,
                                  .use = use,
                                  .cases = 1,
                                  .prove = prove};
