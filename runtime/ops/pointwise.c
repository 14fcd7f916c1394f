/* Element by element (rp_pointwise_variant): activations, their gradients, dropout, float16. x, dy (of the
 * gradient), out: [rows, padded width], which may be the same but where out is float16. Dropout has state (an
 * rp_train_state), place and rate; a gradient goes through it as the activations did. Padding stays zero. */
#include <math.h>

#include "base/half.h"
#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "pointwise", use->variant, 5, 5);
    out[0].key.constants[2] = use->activation;
    out[0].key.constant_count = 3;
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    rp_dispatch dispatch = {.bindings = {{0},
                                         op->x,
                                         op->dy.buffer ? op->dy : op->x,
                                         op->state.buffer ? op->state : target.ops->counts,
                                         op->out},
                            .push = {op->rows, rp_padded(op->width) / 4, op->place,
                                     rp_drop_threshold(op->rate), rp_float_bits(rp_keep_factor(op->rate))}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){op->rows, 1, 1}, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

double rp_reference_slope(double x, rp_op_activation activation) {
    const double root = 0.79788456080286535588; /* sqrt(2 / pi) */
    double t;
    switch (activation) {
    case RP_OP_GELU:
        return 0.5 * (1 + erf(x * 0.70710678118654752440)) + 0.5 * root * x * exp(-0.5 * x * x);
    case RP_OP_GELU_TANH:
        t = tanh(root * (x + 0.044715 * x * x * x));
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + 3 * 0.044715 * x * x);
    case RP_OP_RELU:
        return x > 0;
    case RP_OP_TANH:
        t = tanh(x);
        return 1 - t * t;
    default:
        return 1;
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    if (n > 2 * RP_OP_TANH + 1) return RP_RANK_NONE;
    *out = (rp_use){.variant = RP_POINTWISE_HALVE, .halves = RP_HALF_OUT};
    if (n > 2 * RP_OP_TANH) return RP_RANK_ALL;
    *out = (rp_use){.variant = n == 0           ? RP_POINTWISE_DROP
                               : n > RP_OP_TANH ? RP_POINTWISE_GRADIENT
                                                : RP_POINTWISE_ACTIVATE,
                    .activation = (rp_op_activation)(n > RP_OP_TANH ? n - RP_OP_TANH : n)};
    return RP_RANK_ALL;
}

/* ---- proof ---- */

enum { APART, IN_PLACE, CASES };
enum { ROWS = 37, WIDTH = 315, PLACE = 3 };
static const float RATE = 0.1f;
static const rp_train_state STEP = {.seed = {77, 3}, .step = 5, .first_row = 1000, .layer = 2};

static double want_of(const rp_use *use, uint32_t i, double x, double dy) {
    float factors[4];
    if (use->variant == RP_POINTWISE_ACTIVATE) return rp_reference_activate(x, use->activation);
    if (use->variant == RP_POINTWISE_GRADIENT) return dy * rp_reference_slope(x, use->activation);
    rp_kept(&STEP, PLACE, RATE, (uint32_t[4]){i / WIDTH, i % WIDTH / 4, 0, 0}, factors);
    return x * factors[i % WIDTH % 4];
}

/* Rows whose values float16 holds, nearly holds, and does not hold. */
static rp_status prove_halves(rp_proof *proof, rp_error *err) {
    rp_op op = {.width = WIDTH, .variant = RP_POINTWISE_HALVE, .halves = RP_HALF_OUT};
    const rp_proof_rows rows = {.rows = ROWS, .width = WIDTH};
    uint32_t stride = rp_padded(WIDTH);
    float *x;
    rp_status status;
    proof->difference->bound = 1.0 / 1024; /* a driver may round to the nearest, or towards zero */
    RP_TRY(rp_proof_open(proof, 2 * rp_proof_bytes(ROWS + 1, stride), 0, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) x[i] = i % 8 == 7 ? x[i] * 1e6f : i % 8 == 6 ? 65504 : x[i];
    x[7] = NAN;
    x[15] = -INFINITY;
    rp_proof_rows in = rows;
    in.range = op.x;
    rp_proof_send(proof, &in, x);
    op.out = rp_proof_take(proof, rp_proof_bytes(ROWS + 1, stride));
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    const uint16_t *got = rp_proof_seen(proof, op.out);
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t c = 0; c < stride; c++) {
            float want = c < WIDTH ? x[i * WIDTH + c] : 0, is = rp_half_to_float(got[i * stride + c]);
            if (!(fabsf(want) < 65520)) /* this becomes infinite, or stays a NaN */
                rp_proof_differ(proof, isnan(want) ? !isnan(is) : is != copysignf(INFINITY, want));
            else
                rp_proof_differ(proof, fabs((double)is - want) / fmax(0.0625, fabs(want)));
        }
    if (got[ROWS * stride] != 0xffff) rp_proof_differ(proof, INFINITY);
done:
    return status;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    if (proof->use.variant == RP_POINTWISE_HALVE) return n ? RP_OK : prove_halves(proof, err);
    rp_op op = {.width = WIDTH,
                .variant = proof->use.variant,
                .activation = proof->use.activation,
                .place = PLACE,
                .rate = RATE};
    const rp_proof_rows rows = {.rows = ROWS, .width = WIDTH};
    float *x, *dy, *want;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, 3 * rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)) + sizeof STEP, 0, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &rows, 1 << 20, &dy, &op.dy, err));
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &want, err));
    op.state = rp_proof_take(proof, sizeof STEP);
    memcpy(rp_proof_seen(proof, op.state), &STEP, sizeof STEP);
    op.out = n == IN_PLACE ? op.x : rp_proof_take(proof, rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) x[i] *= i % WIDTH % 8 == 7 ? 64 : 4; /* far out, too */
    rp_proof_rows in = rows, to = rows;
    in.range = op.x;
    to.range = op.out;
    RP_TRY(rp_proof_record(proof, &op, err));
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) want[i] = (float)want_of(&proof->use, i, x[i], dy[i]);
    for (int again = 0; again < 2; again++) {
        rp_proof_send(proof, &in, x);
        RP_TRY(rp_proof_run(proof, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    }
    rp_proof_compare(proof, &to, want, NULL, NULL, ROWS);
done:
    return status;
}

static const char *const variants[] = {"activate", "gradient", "drop", "halve", NULL};
const rp_class rp_class_pointwise = {.name = "pointwise",
                                     .variants = variants,
                                     .plan = plan,
                                     .record = record,
                                     .use = use,
                                     .cases = CASES,
                                     .prove = prove};
