/* out[i] = x[list[i]]; without a list, a copy. x, out: [*, padded width]; list: [rows]. */
#include "ops/class.h"
#include "ops/reference.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "gather", use->halves, 4, 3);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    bool list = op->list.buffer;
    rp_dispatch dispatch = {.bindings = {{0}, op->x, list ? op->list : op->x, op->out},
                            .push = {op->rows, rp_padded(op->width) / 4, list}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

void rp_reference_gather(size_t rows, size_t width, rp_const_rows x, const uint32_t *list, rp_rows out) {
    for (size_t i = 0; i < rows; i++)
        memcpy(out.data + i * out.stride, rp_reference_row(x, list ? list[i] : i), width * sizeof(float));
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.halves = n ? RP_HALF_X : 0};
    return n < 2 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { LISTED, COPY, CASES };
enum { ROWS = 37, WIDTH = 315, CHOSEN = 23 };

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    bool half = proof->use.halves;
    rp_op op = {.rows = RP_COUNT_ROWS, .width = WIDTH, .halves = proof->use.halves};
    uint32_t list[CHOSEN];
    float *x, *want;
    rp_status status;
    proof->difference->bound = 0;
    RP_TRY(rp_proof_open(proof, 2 * rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)) + sizeof list, 0, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &x, err));
    RP_TRY(rp_proof_floats(proof, CHOSEN * WIDTH, &want, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) x[i] = rp_proof_number(17 + i, half);
    for (uint32_t i = 0; i < CHOSEN; i++) list[i] = (i * 29 + 36) % ROWS;
    op.x = rp_proof_take(proof, rp_proof_bytes(ROWS, rp_padded(WIDTH)));
    op.out = rp_proof_take(proof, rp_proof_bytes(CHOSEN + 1, rp_padded(WIDTH)));
    rp_proof_send(proof, &(rp_proof_rows){op.x, ROWS, WIDTH, 0, half}, x);
    if (n == LISTED) {
        op.list = rp_proof_take(proof, sizeof list);
        memcpy(rp_proof_seen(proof, op.list), list, sizeof list);
    }
    rp_reference_gather(CHOSEN, WIDTH, (rp_const_rows){x, WIDTH}, n == LISTED ? list : NULL,
                        (rp_rows){want, WIDTH});
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_ROWS] = CHOSEN}, err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, CHOSEN, WIDTH, 0, false}, want, NULL, NULL, CHOSEN);
done:
    return status;
}

const rp_class rp_class_gather = {
    .name = "gather", .plan = plan, .record = record, .use = use, .cases = CASES, .prove = prove};
