/* Cosines of texts and their gradients (rp_similarity_variant). Pair i is rows 2i and 2i + 1 of x: [2 pairs,
 * x_stride], the vectors of texts; op->rows counts pairs. Scores, out of ALL and OWN and dy of the gradients,
 * are [pairs, padded width]: row k of ALL has in column i op->rate times the cosine of the first text of pair
 * i and the second of pair k; row k of OWN has in column 0 that of pair k itself, and width 1. The other
 * columns are zero. stats: [2 pairs], 1 / the length of each row, or 0: written with the scores, read with
 * the gradients. out of ALL_GRADIENT and OWN_GRADIENT: [2 pairs, x_stride], the gradients by x. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "similarity", use->variant, 5, 4);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    bool back = op->variant >= RP_SIMILARITY_ALL_GRADIENT;
    uint32_t across = rp_padded(op->width);
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->stats, back ? op->dy : op->x, op->out},
                            .push = {op->rows, op->x_stride / 4, across, rp_float_bits(op->rate)}};
    rp_grid grid = {op->rows, 1, back ? 2 : (uint32_t)rp_div_up(across, op->kernel.columns)};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

static double dot(const float *a, const float *b, size_t width) {
    double sum = 0;
    for (size_t c = 0; c < width; c++) sum += (double)a[c] * b[c];
    return sum;
}

double rp_reference_cosine(const float *a, const float *b, size_t width) {
    return dot(a, b, width) / sqrt(dot(a, a, width) * dot(b, b, width));
}

void rp_reference_cosine_grad(const float *a, const float *b, size_t width, double dy, double *da,
                              double *db) {
    double aa = dot(a, a, width), bb = dot(b, b, width), ab = dot(a, b, width), both = sqrt(aa * bb);
    for (size_t c = 0; c < width; c++) {
        da[c] += dy * (b[c] - ab / aa * a[c]) / both;
        db[c] += dy * (a[c] - ab / bb * b[c]) / both;
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_SIMILARITY_OWN_GRADIENT ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { PAIRS = 23, ROOM = 70, WIDTH = 315 };
static const float SCALE = 3;

static uint32_t padded(uint32_t width) {
    return (width + RP_PANEL - 1) / RP_PANEL * RP_PANEL;
}

/* The scores of x, or the gradients by it, of scores whose own gradients are dy. */
static rp_status compute(rp_proof *proof, uint32_t variant, const float *x, const float *dy, float *want,
                         rp_error *err) {
    bool own = variant % 2, back = variant >= RP_SIMILARITY_ALL_GRADIENT;
    uint32_t across = own ? 1 : ROOM;
    void *all;
    rp_status status = rp_proof_alloc(proof, 2 * PAIRS * WIDTH, sizeof(double), &all, err);
    if (status) return status;
    double *sums = all;
    for (uint32_t k = 0; k < PAIRS; k++)
        for (uint32_t i = own ? k : 0; i < (own ? k + 1 : PAIRS); i++) {
            uint32_t a = 2 * i, b = 2 * k + 1, at = k * across + (own ? 0 : i);
            const float *first = &x[a * WIDTH], *second = &x[b * WIDTH];
            if (back)
                rp_reference_cosine_grad(first, second, WIDTH, (double)SCALE * dy[at], &sums[a * WIDTH],
                                         &sums[b * WIDTH]);
            else
                want[at] = (float)(SCALE * rp_reference_cosine(first, second, WIDTH));
        }
    for (uint32_t i = 0; back && i < 2 * PAIRS * WIDTH; i++) want[i] = (float)sums[i];
    return RP_OK;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    uint32_t variant = proof->use.variant, across = variant % 2 ? 1 : ROOM;
    bool back = variant >= RP_SIMILARITY_ALL_GRADIENT;
    const rp_proof_rows rows = {.rows = 2 * PAIRS, .width = WIDTH}, scores = {.rows = PAIRS, .width = across};
    rp_op op = {.variant = variant, .width = across, .x_stride = padded(WIDTH), .rate = SCALE};
    float *x, *dy = NULL, *want;
    rp_status status;
    (void)n;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof,
                         2 * rp_proof_bytes(2 * PAIRS + 1, padded(WIDTH)) +
                             rp_proof_bytes(PAIRS + 1, padded(across)) + 8 * PAIRS,
                         0, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    op.stats = rp_proof_take(proof, 8 * PAIRS);
    float *inverse = rp_proof_seen(proof, op.stats);
    RP_TRY(rp_proof_floats(proof, 2 * PAIRS * WIDTH, &want, err));
    if (back) {
        RP_TRY(rp_proof_input(proof, &scores, 1 << 20, &dy, &op.dy, err));
        op.out = rp_proof_take(proof, rp_proof_bytes(2 * PAIRS + 1, padded(WIDTH)));
        for (uint32_t i = 0; i < 2 * PAIRS; i++)
            inverse[i] = (float)(1 / sqrt(dot(&x[i * WIDTH], &x[i * WIDTH], WIDTH)));
    } else {
        op.out = rp_proof_take(proof, rp_proof_bytes(PAIRS + 1, padded(across)));
    }
    RP_TRY(compute(proof, variant, x, dy, want, err));
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){PAIRS}, err));
    const rp_proof_rows got = {op.out, back ? 2 * PAIRS : PAIRS, back ? WIDTH : across, 0, false};
    rp_proof_compare(proof, &got, want, NULL, NULL, got.rows);
    for (uint32_t i = 0; i < 2 * PAIRS; i++)
        rp_proof_differ(proof, fabs(inverse[i] * sqrt(dot(&x[i * WIDTH], &x[i * WIDTH], WIDTH)) - 1));
done:
    return status;
}

static const char *const variants[] = {"all", "own", "gradient of all", "gradient of own", NULL};
const rp_class rp_class_similarity = {.name = "similarity",
                                      .variants = variants,
                                      .plan = plan,
                                      .record = record,
                                      .use = use,
                                      .cases = 1,
                                      .prove = prove};
