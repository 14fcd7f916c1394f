/* out = LayerNorm(x), over the first `width` columns. x, out: [rows, padded width], which may be the same. */
#include "ops/class.h"
#include "ops/reference.h"

#include <math.h>

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = rp_row_lanes(caps);
    if (rp_has_subgroups(caps) && lanes == caps->info.subgroup_size)
        for (int texel = use->texels <= caps->max_texels; texel >= 0; texel--) {
            rp_kernel *kernel = &out[count++];
            *kernel = rp_row_kernel(caps, texel ? "layernorm_subgroup_texel" : "layernorm_subgroup",
                                    use->halves, 4, 4);
            kernel->shuffles = true;
            kernel->key.texels = texel ? 1 << 1 | 1 << 2 : 0;
        }
    out[count++] = rp_row_kernel(caps, "layernorm", use->halves, 4, 4);
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, op->norm, op->out},
        .formats = {[1] = VK_FORMAT_R32G32B32A32_SFLOAT, [2] = VK_FORMAT_R32G32B32A32_SFLOAT},
        .push = {op->rows, op->width, rp_padded(op->width) / 4, rp_float_bits(op->eps)}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

void rp_reference_layernorm_run(const rp_reference_layernorm *op) {
    for (size_t i = 0; i < op->rows; i++) {
        const float *x = rp_reference_row(op->x, i);
        float *out = (op->out.data + i * op->out.stride);
        double mean = 0, variance = 0;
        for (size_t c = 0; c < op->width; c++) mean += x[c];
        mean /= (double)op->width;
        for (size_t c = 0; c < op->width; c++) variance += (x[c] - mean) * (x[c] - mean);
        variance /= (double)op->width;
        double scale = 1 / sqrt(variance + op->eps);
        for (size_t c = 0; c < op->width; c++)
            out[c] = (float)((x[c] - mean) * scale * op->gamma[c] + op->beta[c]);
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.norm = true, .halves = n ? RP_HALF_OUT : 0};
    return n < 2 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { APART, IN_PLACE, CASES };
enum { ROWS = 37, WIDTH = 315 };

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    static const float EPS = 1e-5f;
    bool half = proof->use.halves & RP_HALF_OUT;
    float *x, *want, *norm;
    rp_op op = {.width = WIDTH, .eps = EPS, .halves = proof->use.halves};
    rp_status status = RP_OK;
    if (n == IN_PLACE && half) return RP_OK; /* x is float32 */
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE) + (half ? 1e-3 : 0);
    RP_TRY(rp_proof_open(proof, 2 * rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)), 4 * WIDTH * 4, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &x, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &want, err));
    RP_TRY(rp_proof_floats(proof, 2 * WIDTH, &norm, err));
    rp_proof_fill(x, ROWS * WIDTH, 17, 1);
    rp_proof_fill(norm, 2 * WIDTH, 1 << 22, 1);
    RP_TRY(rp_proof_vectors(proof, norm, 2, WIDTH, &op.norm, err));
    rp_reference_layernorm reference = {ROWS, WIDTH, EPS, {x, WIDTH}, norm, norm + WIDTH, {want, WIDTH}};
    rp_reference_layernorm_run(&reference);
    op.out = rp_proof_take(proof, rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)));
    op.x = n == IN_PLACE ? op.out : rp_proof_take(proof, rp_proof_bytes(ROWS, rp_padded(WIDTH)));
    RP_TRY(rp_proof_record(proof, &op, err));
    for (int again = 0; !status && again < 2; again++) {
        if (!again || n == IN_PLACE) rp_proof_send(proof, &(rp_proof_rows){op.x, ROWS, WIDTH, 0, false}, x);
        status = rp_proof_run(proof, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS}, err);
    }
    if (!status)
        rp_proof_compare(proof, &(rp_proof_rows){op.out, ROWS, WIDTH, 0, half}, want, NULL, NULL, ROWS);
done:
    return status;
}

const rp_class rp_class_layernorm = {
    .name = "layer norm", .plan = plan, .record = record, .use = use, .cases = CASES, .prove = prove};
