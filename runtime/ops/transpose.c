/* The panels of the transpose of a float32 matrix: w[0] is [n, k], read; w[1] is [k, n], written. Both are
 * padded to whole panels and may be in chunks. A product by w[1] is the gradient by the input of a product by
 * w[0]. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    (void)use;
    out[0] = rp_row_kernel(caps, "transpose", 0, 3, 4);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_matrix *from = op->w[0], *to = op->w[1];
    rp_status status = RP_OK;
    for (uint32_t a = 0; a < from->chunk_count; a++)
        for (uint32_t b = 0; !status && b < to->chunk_count; b++) {
            const rp_matrix_chunk *x = &from->chunks[a], *out = &to->chunks[b];
            rp_dispatch dispatch = {.bindings = {{0}, x->range, out->range},
                                    .push = {from->k, to->k, x->first_panel, out->first_panel}};
            status = rp_op_dispatch(target, &op->kernel.key, (rp_grid){(rp_count)x->panels, 0, out->panels},
                                    op->label, &dispatch, err);
        }
    return status;
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){0};
    return n < 1 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { N = 3 * RP_PANEL, K = 4 * RP_PANEL };

/* Of a matrix in two chunks, of which the first is one panel. */
static float *element(const rp_proof *proof, const rp_matrix *m, uint32_t row, uint32_t column) {
    uint32_t panel = row / RP_PANEL, chunk = panel > 0;
    float *values = rp_proof_seen(proof, m->chunks[chunk].range);
    return &values[((size_t)(panel - chunk) * m->k + column) * RP_PANEL + row % RP_PANEL];
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    rp_matrix_chunk chunks[2][2];
    rp_matrix from = {.rows = N, .k = K, .chunks = chunks[0], .chunk_count = 2},
              to = {.rows = K, .k = N, .chunks = chunks[1], .chunk_count = 2};
    rp_op op = {.w = {&from, &to}};
    rp_status status;
    (void)n;
    proof->difference->bound = 0;
    RP_TRY(rp_proof_open(proof, 2 * 4 * N * K, 0, err));
    for (uint32_t i = 0; i < 4; i++) {
        const rp_matrix *m = i < 2 ? &from : &to;
        rp_matrix_chunk *chunk = &chunks[i / 2][i % 2];
        *chunk = (rp_matrix_chunk){.first_panel = i % 2, .panels = i % 2 ? m->rows / RP_PANEL - 1 : 1};
        chunk->range = rp_proof_take(proof, rp_panel_bytes(RP_FORMAT_F32, m->k, chunk->panels));
    }
    for (uint32_t i = 0; i < N * K; i++) *element(proof, &from, i / K, i % K) = rp_proof_number(i, false);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){0}, err));
    for (uint32_t i = 0; i < N * K; i++)
        rp_proof_differ(proof, fabs(*element(proof, &to, i % K, i / K) - (double)rp_proof_number(i, false)));
done:
    return status;
}

const rp_class rp_class_transpose = {
    .name = "transpose", .plan = plan, .record = record, .use = use, .cases = 1, .prove = prove};
