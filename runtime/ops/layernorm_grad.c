/* The gradient of a LayerNorm by its input: out = gamma-weighted dy without its mean and without its part
 * along the normalized x, over the deviation. x, which is what the LayerNorm read, dy, out: [rows, padded
 * width]; out may be dy. norm: gamma and beta, as of the LayerNorm; stats: [rows, 2], written: the mean of
 * each row of x, and 1 / deviation, for column_sum.c, which makes the gradients of gamma and beta. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0, lanes = rp_row_lanes(caps);
    if (rp_has_subgroups(caps) && lanes == caps->info.subgroup_size && use->texels <= caps->max_texels) {
        out[count] = rp_row_kernel(caps, "layernorm_grad_subgroup_texel", 0, 6, 4);
        out[count].shuffles = true;
        out[count++].key.texels = 1 << 1 | 1 << 2 | 1 << 3;
    }
    out[count++] = rp_row_kernel(caps, "layernorm_grad", 0, 6, 4);
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const VkFormat format = VK_FORMAT_R32G32B32A32_SFLOAT;
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->dy, op->norm, op->stats, op->out},
                            .formats = {[1] = format, [2] = format, [3] = format},
                            .push = {op->rows, op->width, rp_padded(op->width) / 4, rp_float_bits(op->eps)}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

void rp_reference_layernorm_grad_run(const rp_reference_layernorm_grad *op) {
    double n = (double)op->width;
    for (size_t i = 0; i < op->rows; i++) {
        const float *x = rp_reference_row(op->x, i), *dy = rp_reference_row(op->dy, i);
        double mean = 0, variance = 0, all = 0, along = 0;
        for (size_t c = 0; c < op->width; c++) mean += x[c] / n;
        for (size_t c = 0; c < op->width; c++) variance += (x[c] - mean) * (x[c] - mean) / n;
        double scale = 1 / sqrt(variance + op->eps);
        for (size_t c = 0; c < op->width; c++) {
            double g = (double)op->gamma[c] * dy[c];
            all += g / n;
            along += g * (x[c] - mean) * scale / n;
        }
        for (size_t c = 0; c < op->width; c++) {
            double g = (double)op->gamma[c] * dy[c], h = (x[c] - mean) * scale;
            if (op->dgamma) op->dgamma[c] += (float)(dy[c] * h);
            if (op->dbeta) op->dbeta[c] += dy[c];
            if (op->dx.data) op->dx.data[i * op->dx.stride + c] = (float)(scale * (g - all - h * along));
        }
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.norm = true};
    return n < 1 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { APART, IN_PLACE, CASES };
enum { ROWS = 37, WIDTH = 315 };

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    static const float EPS = 1e-5f;
    rp_op op = {.width = WIDTH, .eps = EPS};
    const rp_proof_rows rows = {.rows = ROWS, .width = WIDTH};
    float *x, *dy, *want, *norm;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(
        rp_proof_open(proof, 3 * rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)) + 8 * ROWS, 4 * WIDTH * 4, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &rows, 1 << 20, &dy, &op.dy, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &want, err));
    RP_TRY(rp_proof_floats(proof, 2 * WIDTH, &norm, err));
    rp_proof_fill(norm, 2 * WIDTH, 1 << 22, 1);
    RP_TRY(rp_proof_vectors(proof, norm, 2, WIDTH, &op.norm, err));
    op.stats = rp_proof_take(proof, 8 * ROWS);
    op.out = n == IN_PLACE ? op.dy : rp_proof_take(proof, rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)));
    rp_reference_layernorm_grad_run(&(rp_reference_layernorm_grad){.rows = ROWS,
                                                                   .width = WIDTH,
                                                                   .eps = EPS,
                                                                   .x = {x, WIDTH},
                                                                   .dy = {dy, WIDTH},
                                                                   .gamma = norm,
                                                                   .dx = {want, WIDTH}});
    RP_TRY(rp_proof_record(proof, &op, err));
    for (int again = 0; again < 2; again++) {
        rp_proof_send(proof, &(rp_proof_rows){op.dy, ROWS, WIDTH, 0, false}, dy);
        RP_TRY(rp_proof_run(proof, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    }
    rp_proof_compare(proof, &(rp_proof_rows){op.out, ROWS, WIDTH, 0, false}, want, NULL, NULL, ROWS);
    const float *stats = rp_proof_seen(proof, op.stats);
    for (uint32_t i = 0; i < ROWS; i++) {
        double mean = 0, variance = 0;
        for (uint32_t c = 0; c < WIDTH; c++) mean += x[i * WIDTH + c] / (double)WIDTH;
        for (uint32_t c = 0; c < WIDTH; c++) variance += pow(x[i * WIDTH + c] - mean, 2) / WIDTH;
        rp_proof_differ(proof, fabs(stats[2 * i] - mean));
        rp_proof_differ(proof, fabs(stats[2 * i + 1] * sqrt(variance + EPS) - 1));
    }
done:
    return status;
}

const rp_class rp_class_layernorm_grad = {.name = "layer norm gradient",
                                          .plan = plan,
                                          .record = record,
                                          .use = use,
                                          .cases = CASES,
                                          .prove = prove};
