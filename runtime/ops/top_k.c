/* The largest scores of each row, as blocks of RP_TOP_K_BLOCK of them, in two steps (rp_top_k_variant). The k
 * blocks with the largest peaks (of equal ones the first) hold the k largest scores (of equal ones the
 * first): another block's score has k peaks before it. So what is read back is 64 scores for each that is
 * wanted, and the order is the host's affair.
 *
 * x: scores [rows, x_stride], of which op->width count. PEAKS: out: [rows, padded blocks]. SELECT: stats:
 * what PEAKS wrote; list: uint32 [1], how many blocks are wanted, k; scratch: uint32 [rows, op->fixed], the
 * numbers of the blocks that were selected, ascending: as many as are wanted, as there are and as op->fixed
 * says; out: [rows, op->fixed, RP_TOP_K_BLOCK], their scores, and anything behind the last of a row. */
#include "ops/top_k.h"

#include <math.h>
#include <stdio.h>

#include "ops/class.h"

/* ---- planning ---- */

/* SELECT has one workgroup for each row, which is worth many lanes on every device. */
static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    bool select = use->variant == RP_TOP_K_SELECT, cpu = caps->info.type == RP_DEVICE_CPU;
    uint32_t count = 0;
    for (uint32_t lanes = 256; lanes; lanes = lanes > 64 ? 64 : 0) {
        if (lanes > 64 && (!select || cpu || !rp_workgroup_fits(caps, lanes, 4 * (lanes + 48)))) continue;
        rp_kernel *kernel = &out[count++];
        *kernel = rp_row_kernel(caps, "top_k", use->variant, 6, 6);
        if (!select) continue;
        kernel->key.constants[0] = kernel->columns = lanes;
        snprintf(kernel->name, sizeof kernel->name, "top_k %u", lanes);
    }
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    bool select = op->variant == RP_TOP_K_SELECT;
    uint32_t blocks = rp_top_k_blocks(op->width), stride = rp_padded(blocks);
    rp_range peaks = select ? op->stats : op->out;
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, peaks, select ? op->list : op->x, op->out, select ? op->scratch : op->out},
        .push = {op->rows, op->width, op->x_stride / 4, blocks, stride, op->fixed}};
    rp_grid grid = {op->rows, 1, select ? 1 : (uint32_t)rp_div_up(stride, op->kernel.columns)};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- what it is used for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_TOP_K_SELECT ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { ROWS = 3, BLOCKS = 67, WIDTH = (BLOCKS - 1) * RP_TOP_K_BLOCK + 7, STRIDE = 4288, ROOM = 29 };
enum { FEW, AS_MANY_AS_FIT, ONE, CASES };
static const uint32_t wanted[CASES] = {[FEW] = 21, [AS_MANY_AS_FIT] = 1000, [ONE] = 1};

/* Of a row: the largest score of each block. */
static void find_peaks(const float *x, float *peaks) {
    for (uint32_t c = 0; c < WIDTH; c++) {
        float *peak = &peaks[c / RP_TOP_K_BLOCK];
        if (c % RP_TOP_K_BLOCK == 0 || x[c] > *peak) *peak = x[c];
    }
}

/* Is block `i` one of the first `most` in the order of peaks? */
static bool is_among(const float *peaks, uint32_t i, uint32_t most) {
    uint32_t before = 0;
    for (uint32_t k = 0; k < BLOCKS; k++) before += peaks[k] > peaks[i] || (peaks[k] == peaks[i] && k < i);
    return before < most;
}

/* Numbers and scores of the blocks of each row. */
static void compare(rp_proof *proof, const rp_op *op, const float *x, const float *peaks, uint32_t most) {
    const uint32_t *numbers = rp_proof_seen(proof, op->scratch);
    const float *got = rp_proof_seen(proof, op->out);
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t slot = row * ROOM;
        for (uint32_t i = 0; i < BLOCKS; i++) {
            if (!is_among(peaks + row * BLOCKS, i, most)) continue;
            if (numbers[slot] != i) rp_proof_differ(proof, INFINITY);
            for (uint32_t c = i * RP_TOP_K_BLOCK; c < WIDTH && c < (i + 1) * RP_TOP_K_BLOCK; c++)
                if (got[slot * RP_TOP_K_BLOCK + c % RP_TOP_K_BLOCK] != x[row * WIDTH + c])
                    rp_proof_differ(proof, INFINITY);
            slot++;
        }
        for (; slot < (row + 1) * ROOM; slot++)
            if (numbers[slot] != UINT32_MAX) rp_proof_differ(proof, INFINITY);
    }
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    bool select = proof->use.variant == RP_TOP_K_SELECT;
    const rp_proof_rows scores = {.rows = ROWS, .width = WIDTH, .stride = STRIDE};
    const rp_proof_rows found = {.rows = ROWS, .width = BLOCKS};
    rp_op op = {.variant = proof->use.variant, .width = WIDTH, .x_stride = STRIDE, .fixed = ROOM};
    rp_proof_rows to = scores, peaks_at = found;
    float *x, *peaks;
    rp_status status;
    proof->difference->bound = 0;
    RP_TRY(rp_proof_open(proof,
                         rp_proof_bytes(ROWS + 1, STRIDE) + rp_proof_bytes(ROWS + 1, rp_padded(BLOCKS)) +
                             rp_proof_bytes(ROWS * ROOM, RP_TOP_K_BLOCK + 1) + 4,
                         0, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &x, err));
    RP_TRY(rp_proof_floats(proof, ROWS * BLOCKS, &peaks, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) /* blocks have equal peaks, and below zero in one row */
        x[i] = rp_proof_number(17 + i, true) / 2 - (i / WIDTH == 1 ? 0.9375f : 0);
    for (uint32_t i = 0; i < ROWS; i++) find_peaks(x + i * WIDTH, peaks + i * BLOCKS);
    op.x = to.range = rp_proof_take(proof, rp_proof_bytes(ROWS + 1, STRIDE));
    rp_proof_send(proof, &to, x);
    peaks_at.range = rp_proof_take(proof, rp_proof_bytes(ROWS + 1, rp_padded(BLOCKS)));
    if (!select) {
        op.out = peaks_at.range;
        RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
        rp_proof_compare(proof, &peaks_at, peaks, NULL, NULL, ROWS);
        goto done;
    }
    rp_proof_send(proof, &peaks_at, peaks);
    op.stats = peaks_at.range;
    op.list = rp_proof_take(proof, 4);
    memcpy(rp_proof_seen(proof, op.list), &wanted[n], 4);
    op.scratch = rp_proof_take(proof, (VkDeviceSize)4 * ROWS * ROOM);
    op.out = rp_proof_take(proof, rp_proof_bytes(ROWS * ROOM, RP_TOP_K_BLOCK));
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    compare(proof, &op, x, peaks, wanted[n] < ROOM ? wanted[n] : ROOM);
done:
    return status;
}

static const char *const variants[] = {"peaks", "select", NULL};
const rp_class rp_class_top_k = {.name = "top_k",
                                 .variants = variants,
                                 .plan = plan,
                                 .record = record,
                                 .use = use,
                                 .cases = CASES,
                                 .prove = prove};
