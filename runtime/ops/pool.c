/* out[sequence] = mean of its rows, or the largest of each column. x: [tokens, padded width]; list:
 * [sequences
 * + 1], the first row of each; out: [sequences, padded width]. */
#include "ops/class.h"
#include "ops/reference.h"

#include <math.h>

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "pool", use->halves, 4, 3);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    uint32_t columns = rp_padded(op->width) / 4;
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->list, op->out},
                            .push = {RP_COUNT_SEQUENCES, columns, op->largest}};
    rp_grid grid = {RP_COUNT_SEQUENCES, 1, (uint32_t)rp_div_up(columns, op->kernel.columns)};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

void rp_reference_pool(size_t sequences, size_t width, bool largest, rp_const_rows x, const uint32_t *starts,
                       rp_rows out) {
    for (size_t s = 0; s < sequences; s++) {
        size_t first = starts[s], last = starts[s + 1];
        for (size_t c = 0; c < width; c++) {
            double sum = 0, most = -INFINITY;
            for (size_t i = first; i < last; i++) {
                sum += rp_reference_row(x, i)[c];
                most = fmax(most, rp_reference_row(x, i)[c]);
            }
            out.data[s * out.stride + c] = (float)(largest ? most : sum / (double)(last - first));
        }
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.halves = n ? RP_HALF_X : 0};
    return n < 2 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { MEAN, LARGEST, CASES };
enum { ROWS = 37, WIDTH = 315 };
static const uint32_t starts[] = {0, 1, 8, 11, ROWS};
enum { SEQUENCES = sizeof starts / sizeof starts[0] - 1 };

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    bool half = proof->use.halves;
    rp_op op = {.width = WIDTH, .largest = n == LARGEST, .halves = proof->use.halves};
    float *x, *want;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, 2 * rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)) + sizeof starts, 0, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &x, err));
    RP_TRY(rp_proof_floats(proof, SEQUENCES * WIDTH, &want, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) x[i] = rp_proof_number(17 + i, half);
    op.x = rp_proof_take(proof, rp_proof_bytes(ROWS, rp_padded(WIDTH)));
    op.list = rp_proof_take(proof, sizeof starts);
    op.out = rp_proof_take(proof, rp_proof_bytes(SEQUENCES + 1, rp_padded(WIDTH)));
    rp_proof_send(proof, &(rp_proof_rows){op.x, ROWS, WIDTH, 0, half}, x);
    memcpy(rp_proof_seen(proof, op.list), starts, sizeof starts);
    rp_reference_pool(SEQUENCES, WIDTH, op.largest, (rp_const_rows){x, WIDTH}, starts,
                      (rp_rows){want, WIDTH});
    RP_TRY(rp_proof_replay(
        proof, &op, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS, [RP_COUNT_SEQUENCES] = SEQUENCES},
        err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, SEQUENCES, WIDTH, 0, false}, want, NULL, NULL,
                     SEQUENCES);
done:
    return status;
}

const rp_class rp_class_pool = {
    .name = "pool", .plan = plan, .record = record, .use = use, .cases = CASES, .prove = prove};
