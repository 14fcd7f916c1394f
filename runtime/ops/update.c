/* A step of an optimizer (rp_update_variant). x: the parameters; dy: their gradients, which are cleared;
 * moments[0], moments[1]: their first and second moments: four ranges that lie alike. list: rp_block
 * [op->fixed]; state: an rp_train_state. out: floats, of which the first is the square of the norm of the
 * whole gradient (before rp_train_state.factor), as reduce.c makes it of the squares of all blocks: where it
 * is not finite no parameter and no moment changes. ADAMW: the whole step, as PyTorch's. LAMB_MOMENTS: the
 * moments; |w|^2 and |u|^2 of the block with number i are written to out[4 + 2 * i]. LAMB_APPLY: the
 * parameters; out: [tensors, 2], the sums of these for each tensor (reduce.c, SEGMENTS of width 2 that pass
 * over 4 floats). As in google-research/albert: no bias correction, no limit of the ratio. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "update", use->variant, 8, 0);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, op->dy, op->moments[0], op->moments[1], op->list, op->state, op->out}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){(rp_count)op->fixed, 0, 1}, op->label, &dispatch,
                          err);
}

/* ---- in plain C ---- */

double rp_reference_clip(const rp_train_state *step, double squares) {
    double norm = sqrt(squares) * step->factor;
    return step->most_norm > 0 ? step->factor * fmin(1, step->most_norm / (norm + step->clip_eps))
                               : step->factor;
}

void rp_reference_moments(const rp_train_state *step, double g, float *m, float *v) {
    *m = (float)(step->beta1 * *m + (1 - (double)step->beta1) * g);
    *v = (float)(step->beta2 * *v + (1 - (double)step->beta2) * g * g);
}

float rp_reference_adamw(const rp_train_state *step, bool decays, float w, float m, float v) {
    double decayed = w * (1 - (double)step->rate * (decays ? step->decay : 0));
    return (float)(decayed -
                   (double)step->rate * step->correction1 * m / (sqrt(v) * step->correction2 + step->eps));
}

double rp_reference_lamb(const rp_train_state *step, bool decays, float w, float m, float v) {
    return m / (sqrt(v) + step->eps) + (decays ? (double)step->decay * w : 0);
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_UPDATE_LAMB_APPLY ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { STEPS, NOT_FINITE, CASES };
enum { NUMBERS = 4096, BLOCKS = 3, SUMS = 4 + 2 * BLOCKS };
static const rp_block blocks[BLOCKS] = {
    {0, 600, 0, RP_BLOCK_DECAYS | RP_BLOCK_ADAPTS | 2 * RP_BLOCK_NUMBER},
    {600, 100, 1, 0},
    {704, 320, 2, RP_BLOCK_DECAYS | RP_BLOCK_ADAPTS | 1 * RP_BLOCK_NUMBER}};
static const rp_train_state STEP = {.rate = 0.01f,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.99f,
                                    .eps = 1e-3f,
                                    .decay = 0.1f,
                                    .correction1 = 2,
                                    .correction2 = 1.5f,
                                    .most_norm = 5,
                                    .factor = 0.5f,
                                    .clip_eps = 1e-6f};
static const float SQUARES = 900;

typedef struct parameters {
    float *w, *g, *m, *v;
    float sums[SUMS]; /* what out holds before, and is to hold */
} parameters;

/* One block in plain C, and what is written of it. */
static void step_block(uint32_t variant, parameters *p, uint32_t b) {
    const rp_block *block = &blocks[b];
    bool decays = block->flags & RP_BLOCK_DECAYS, adapts = block->flags & RP_BLOCK_ADAPTS;
    double factor = rp_reference_clip(&STEP, SQUARES), squares[2] = {0}, ratio = 1;
    const float *tensor = &p->sums[2 * block->tensor];
    float *sums = &p->sums[4 + 2 * (block->flags / RP_BLOCK_NUMBER)];
    if (variant == RP_UPDATE_LAMB_APPLY && adapts && tensor[0] > 0 && tensor[1] > 0)
        ratio = sqrt(tensor[0]) / sqrt(tensor[1]);
    for (uint32_t i = 4 * block->first; i < 4 * (block->first + block->count); i++) {
        if (variant != RP_UPDATE_LAMB_APPLY) {
            rp_reference_moments(&STEP, factor * p->g[i], &p->m[i], &p->v[i]);
            p->g[i] = 0;
        }
        double u = rp_reference_lamb(&STEP, decays, p->w[i], p->m[i], p->v[i]);
        squares[0] += (double)p->w[i] * p->w[i];
        squares[1] += u * u;
        if (variant == RP_UPDATE_ADAMW)
            p->w[i] = rp_reference_adamw(&STEP, decays, p->w[i], p->m[i], p->v[i]);
        if (variant == RP_UPDATE_LAMB_APPLY) p->w[i] = (float)(p->w[i] - STEP.rate * ratio * u);
    }
    for (int i = 0; i < 2 && variant == RP_UPDATE_LAMB_MOMENTS; i++) sums[i] = (float)squares[i];
}

/* Nothing but the gradient is to change. */
static void skip(uint32_t variant, parameters *p) {
    for (uint32_t b = 0; b < BLOCKS && variant != RP_UPDATE_LAMB_APPLY; b++) {
        memset(&p->g[4 * blocks[b].first], 0, 16 * blocks[b].count);
        p->sums[4 + 2 * b] = variant == RP_UPDATE_LAMB_MOMENTS ? -1 : p->sums[4 + 2 * b];
        p->sums[5 + 2 * b] = variant == RP_UPDATE_LAMB_MOMENTS ? 0 : p->sums[5 + 2 * b];
    }
}

static void compare(rp_proof *proof, rp_range range, const float *want, uint32_t count) {
    const float *got = rp_proof_seen(proof, range);
    for (uint32_t i = 0; i < count; i++)
        if (!(isinf(want[i]) && isinf(got[i])))
            rp_proof_differ(proof, fabs(got[i] - (double)want[i]) / fmax(1, fabs(want[i])));
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    const rp_proof_rows all = {.rows = NUMBERS / RP_PANEL, .width = RP_PANEL};
    rp_op op = {.variant = proof->use.variant, .fixed = BLOCKS};
    parameters p = {.sums = {SQUARES, 4, 9, 16, 25, 0, 36, 49, 64, 81}};
    bool applies = op.variant == RP_UPDATE_LAMB_APPLY;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, 16 * (NUMBERS + RP_PANEL) + sizeof blocks + sizeof STEP + sizeof p.sums, 0,
                         err));
    RP_TRY(rp_proof_input(proof, &all, 17, &p.w, &op.x, err));
    RP_TRY(rp_proof_input(proof, &all, 1 << 20, &p.g, &op.dy, err));
    RP_TRY(rp_proof_input(proof, &all, 1 << 21, &p.m, &op.moments[0], err));
    RP_TRY(rp_proof_input(proof, &all, 1 << 22, &p.v, &op.moments[1], err));
    for (uint32_t i = 0; i < NUMBERS; i++) p.v[i] *= p.v[i];
    rp_proof_send(proof, &(rp_proof_rows){op.moments[1], all.rows, RP_PANEL, 0, false}, p.v);
    op.list = rp_proof_take(proof, sizeof blocks);
    op.state = rp_proof_take(proof, sizeof STEP);
    op.out = rp_proof_take(proof, sizeof p.sums);
    if (n == NOT_FINITE) p.sums[0] = applies ? -1 : INFINITY;
    if (n == NOT_FINITE && applies) p.sums[2] = p.sums[4] = -1;
    memcpy(rp_proof_seen(proof, op.list), blocks, sizeof blocks);
    memcpy(rp_proof_seen(proof, op.state), &STEP, sizeof STEP);
    memcpy(rp_proof_seen(proof, op.out), p.sums, sizeof p.sums);
    for (uint32_t b = 0; b < BLOCKS && n == STEPS; b++) step_block(op.variant, &p, b);
    if (n == NOT_FINITE) skip(op.variant, &p);
    RP_TRY(rp_proof_record(proof, &op, err));
    RP_TRY(rp_proof_run(proof, (uint32_t[RP_COUNT_KINDS]){0}, err));
    compare(proof, op.x, p.w, NUMBERS);
    compare(proof, op.dy, p.g, NUMBERS);
    compare(proof, op.moments[0], p.m, NUMBERS);
    compare(proof, op.moments[1], p.v, NUMBERS);
    compare(proof, op.out, p.sums, SUMS);
done:
    return status;
}

static const char *const variants[] = {"AdamW", "LAMB moments", "LAMB", NULL};
const rp_class rp_class_update = {.name = "update",
                                  .variants = variants,
                                  .plan = plan,
                                  .record = record,
                                  .use = use,
                                  .cases = CASES,
                                  .prove = prove};
