/* The panels of the transpose of a float32 matrix, or of itself (rp_transpose_variant): w[0] is [n, k], read;
 * w[1] is [k, n], or [n, k], float32 or (RP_HALF_OUT) float16, written. Both are padded to whole panels and
 * may be in chunks. A product by a transpose is the gradient by the input of a product by w[0]. */
#include <math.h>

#include "base/half.h"
#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    uint32_t how = (use->halves ? 1 : 0) | (use->variant == RP_TRANSPOSE_COPY ? 2 : 0);
    out[0] = rp_row_kernel(caps, "transpose", how, 3, 4);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_matrix *from = op->w[0], *to = op->w[1];
    bool copy = op->variant == RP_TRANSPOSE_COPY;
    rp_status status = RP_OK;
    for (uint32_t a = 0; a < from->chunk_count; a++)
        for (uint32_t b = copy ? a : 0; !status && b < (copy ? a + 1 : to->chunk_count); b++) {
            const rp_matrix_chunk *x = &from->chunks[a], *out = &to->chunks[b];
            rp_dispatch dispatch = {.bindings = {{0}, x->range, out->range},
                                    .push = {from->k, to->k, x->first_panel, copy ? 0 : out->first_panel}};
            rp_grid grid = {(rp_count)x->panels, 0, copy ? from->k / RP_PANEL : out->panels};
            status = rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
        }
    return status;
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n == 2 ? RP_TRANSPOSE_COPY : RP_TRANSPOSE_TURN,
                    .halves = n ? RP_HALF_OUT : 0,
                    .formats = {RP_FORMAT_F32, n ? RP_FORMAT_F16 : RP_FORMAT_F32}};
    return n < 3 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { N = 3 * RP_PANEL, K = 4 * RP_PANEL };

/* Of a matrix in two chunks, of which the first is one panel. */
static void *element(const rp_proof *proof, const rp_matrix *m, uint32_t row, uint32_t column) {
    uint32_t panel = row / RP_PANEL, chunk = panel > 0, size = m->format == RP_FORMAT_F16 ? 2 : 4;
    char *values = rp_proof_seen(proof, m->chunks[chunk].range);
    return &values[(((size_t)(panel - chunk) * m->k + column) * RP_PANEL + row % RP_PANEL) * size];
}

static float value_of(const rp_proof *proof, const rp_matrix *m, uint32_t row, uint32_t column) {
    const void *at = element(proof, m, row, column);
    return m->format == RP_FORMAT_F16 ? rp_half_to_float(*(const uint16_t *)at) : *(const float *)at;
}

static void take(rp_proof *proof, rp_matrix *m) {
    for (uint32_t c = 0; c < 2; c++) {
        m->chunks[c] = (rp_matrix_chunk){.first_panel = c, .panels = c ? m->rows / RP_PANEL - 1 : 1};
        m->chunks[c].range = rp_proof_take(proof, rp_panel_bytes(m->format, m->k, m->chunks[c].panels));
    }
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    rp_matrix_chunk chunks[2][2];
    bool copy = proof->use.variant == RP_TRANSPOSE_COPY, half = proof->use.halves;
    rp_matrix from = {.rows = N, .k = K, .chunks = chunks[0], .chunk_count = 2},
              to = {.format = half ? RP_FORMAT_F16 : RP_FORMAT_F32,
                    .rows = copy ? N : K,
                    .k = copy ? K : N,
                    .chunks = chunks[1],
                    .chunk_count = 2};
    rp_op op = {.variant = proof->use.variant, .halves = proof->use.halves, .w = {&from, &to}};
    rp_status status;
    (void)n;
    proof->difference->bound = half ? 1.0 / 1024 : 0; /* as in pointwise.c */
    RP_TRY(rp_proof_open(proof, 2 * 4 * N * K, 0, err));
    take(proof, &from);
    take(proof, &to);
    for (uint32_t i = 0; i < N * K; i++)
        *(float *)element(proof, &from, i / K, i % K) = rp_proof_number(i, false);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){0}, err));
    for (uint32_t i = 0; i < N * K; i++) {
        double want = rp_proof_number(i, false);
        float got = copy ? value_of(proof, &to, i / K, i % K) : value_of(proof, &to, i % K, i / K);
        rp_proof_differ(proof, fabs(got - want) / (half ? fmax(0.0625, fabs(want)) : 1));
    }
done:
    return status;
}

static const char *const variants[] = {"turn", "copy", NULL};
const rp_class rp_class_transpose = {.name = "transpose",
                                     .variants = variants,
                                     .plan = plan,
                                     .record = record,
                                     .use = use,
                                     .cases = 1,
                                     .prove = prove};
