/* Sums over rows, added to out (rp_column_sum_variant): the gradients of a bias, or of gamma and beta of a
 * LayerNorm. dy: [rows, padded width]; out: [padded width], or [2, padded width]. NORM has besides x: [rows,
 * padded width], the input of the LayerNorm, and stats: [rows, 2], as its gradient by x wrote them
 * (layernorm_grad.c). scratch: rows / 64, rounded up, rows of out. The order of the sums depends on the
 * number of rows alone. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

enum { GROUP = 64 }; /* rows that one workgroup of the first step adds up */

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    uint32_t count = 0;
    bool texels = caps->info.type == RP_DEVICE_CPU && use->texels <= caps->max_texels;
    for (int texel = texels; texel >= 0; texel--) {
        rp_kernel *kernel = &out[count++];
        *kernel = rp_row_kernel(caps, texel ? "column_sum_texel" : "column_sum", use->variant, 5, 3);
        kernel->key.constant_count = 3;
        kernel->key.texels = texel ? 1 << 1 | 1 << 2 : 0;
    }
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const VkFormat format = VK_FORMAT_R32G32B32A32_SFLOAT;
    bool norm = op->variant == RP_COLUMN_SUM_NORM;
    uint32_t columns = rp_padded(op->width) / 4, lanes = op->kernel.columns;
    rp_dispatch parts = {
        .formats = {[1] = format, [2] = format},
        .bindings = {{0}, op->dy, norm ? op->x : op->dy, norm ? op->stats : op->dy, op->scratch},
        .push = {op->rows, GROUP, columns}};
    rp_grid grid = {op->rows, GROUP, (uint32_t)rp_div_up(columns, lanes)};
    rp_status status = rp_op_dispatch(target, &op->kernel.key, grid, op->label, &parts, err);
    if (status) return status;
    rp_record_barrier(&target.ops->recorder, target.commands);
    rp_pipeline_key last = op->kernel.key;
    last.constants[1] = RP_COLUMN_SUM_BIAS;
    last.constants[2] = true;
    columns *= norm ? 2 : 1;
    rp_dispatch sums = {.formats = {[1] = format, [2] = format},
                        .bindings = {{0}, op->scratch, op->scratch, op->scratch, op->out},
                        .push = {op->rows, GROUP, columns}};
    grid = (rp_grid){(rp_count)1, 0, (uint32_t)rp_div_up(columns, lanes)};
    return rp_op_dispatch(target, &last, grid, op->label, &sums, err);
}

/* ---- in plain C ---- */

void rp_reference_column_sum(size_t rows, size_t width, rp_const_rows dy, float *out) {
    for (size_t c = 0; c < width; c++) {
        double sum = out[c];
        for (size_t i = 0; i < rows; i++) sum += rp_reference_row(dy, i)[c];
        out[c] = (float)sum;
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_COLUMN_SUM_NORM ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { ROWS = 2 * GROUP + 9, WIDTH = 315, PADDED = (WIDTH + RP_PANEL - 1) / RP_PANEL * RP_PANEL };

static void make_stats(const float *x, float *stats) {
    for (uint32_t i = 0; i < ROWS; i++) {
        double mean = 0, variance = 0;
        for (uint32_t c = 0; c < WIDTH; c++) mean += x[i * WIDTH + c] / (double)WIDTH;
        for (uint32_t c = 0; c < WIDTH; c++) variance += pow(x[i * WIDTH + c] - mean, 2) / WIDTH;
        stats[2 * i] = (float)mean;
        stats[2 * i + 1] = (float)(1 / sqrt(variance));
    }
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    uint32_t sums = 1 + (proof->use.variant == RP_COLUMN_SUM_NORM);
    rp_op op = {.width = WIDTH, .variant = proof->use.variant};
    const rp_proof_rows rows = {.rows = ROWS, .width = WIDTH}, few = {.rows = sums, .width = WIDTH};
    float *x, *dy, *want, *gamma;
    rp_status status;
    (void)n;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, rp_proof_bytes(2 * ROWS + 16, PADDED) + 8 * ROWS, 0, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &rows, 1 << 20, &dy, &op.dy, err));
    RP_TRY(rp_proof_input(proof, &few, 1 << 21, &want, &op.out, err));
    RP_TRY(rp_proof_floats(proof, WIDTH, &gamma, err));
    op.stats = rp_proof_take(proof, 8 * ROWS);
    op.scratch = rp_proof_take(proof, rp_proof_bytes(3 * sums, PADDED));
    make_stats(x, rp_proof_seen(proof, op.stats));
    rp_reference_layernorm_grad norm = {.rows = ROWS,
                                        .width = WIDTH,
                                        .x = {x, WIDTH},
                                        .dy = {dy, WIDTH},
                                        .gamma = gamma,
                                        .dgamma = want,
                                        .dbeta = want + WIDTH};
    for (int again = 0; again < 2; again++)
        if (sums > 1)
            rp_reference_layernorm_grad_run(&norm);
        else
            rp_reference_column_sum(ROWS, WIDTH, (rp_const_rows){dy, WIDTH}, want);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, sums, WIDTH, 0, false}, want, NULL, NULL, sums);
done:
    return status;
}

static const char *const variants[] = {"bias", "gamma and beta", NULL};
const rp_class rp_class_column_sum = {.name = "column sum",
                                      .variants = variants,
                                      .plan = plan,
                                      .record = record,
                                      .use = use,
                                      .cases = 1,
                                      .prove = prove};
