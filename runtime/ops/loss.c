/* Losses and their gradients by the logits (rp_loss_variant). x: [rows, padded width], logits; out: the same
 * shape, the gradient, which may replace x, or be added to where op->residual is out: losses then, too; its
 * padding is zero. stats: [items, 2], written: the loss of each item, and 1 where the label has the largest
 * logit. tiles: what is wanted, 32-bit words: ROWS: an item is a row; [rows, 2]: weight (a float), label. A
 * label of width or more has no loss and no gradient. SEGMENTS: an item is a column of a segment of rows,
 * list: [segments + 1], the first row of each, op->rows counts segments; [segments, width, 2]: weight, label
 * (a row of the segment). LOGISTIC, SQUARES: an item is a row; [rows, 1 + width]: weight, then what each
 * logit is to be. The loss is the weight times the sum over the elements: weights of 1 / (the number of what
 * counts) make it a mean; all are multiplied by op->weight. op->rate smooths the labels of ROWS and SEGMENTS.
 * Where rows of x have more logits (x_stride), those that count begin at op->column, and the gradient by the
 * others is zero. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "loss", use->variant, 6, 6);
    out[0].key.constants[2] = use->residual;
    out[0].key.constant_count = 3;
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, op->list.buffer ? op->list : op->tiles, op->tiles, op->out, op->stats},
        .push = {op->rows, op->width, op->x_stride ? op->x_stride : rp_padded(op->width),
                 rp_float_bits(op->rate), op->column, rp_float_bits(op->weight == 0 ? 1 : op->weight)}};
    rp_grid grid = {op->rows, 1, op->variant == RP_LOSS_SEGMENTS ? op->width : 1};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

double rp_reference_cross_entropy(const float *x, size_t between, size_t n, uint32_t label, double smoothing,
                                  double *gradient) {
    double most = -INFINITY, total = 0, all = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, x[i * between]);
    for (size_t i = 0; i < n; i++) {
        total += exp(x[i * between] - most);
        all += x[i * between] - most;
    }
    for (size_t i = 0; i < n; i++)
        gradient[i] = label < n ? exp(x[i * between] - most) / total - smoothing / (double)n -
                                      (i == label ? 1 - smoothing : 0)
                                : 0;
    if (label >= n) return 0;
    return log(total) - (1 - smoothing) * (x[label * between] - most) - smoothing * all / (double)n;
}

double rp_reference_logistic(double x, double y, double *gradient) {
    *gradient = 1 / (1 + exp(-x)) - y;
    return fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
}

double rp_reference_squares(double x, double y, double *gradient) {
    *gradient = 2 * (x - y);
    return (x - y) * (x - y);
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n / 2, .residual = n % 2};
    return n < 2 * (RP_LOSS_SQUARES + 1) ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { ROWS = 37, WIDTH = 70, PADDED = (WIDTH + RP_PANEL - 1) / RP_PANEL * RP_PANEL, SEGMENTS = 4 };
static const uint32_t starts[SEGMENTS + 1] = {0, 1, 8, 11, ROWS};
static const float SMOOTHING = 0.1f;

typedef struct losses {
    uint32_t variant, items, width, column;
    float factor;
    bool adds;
    float *x, *before, *want;
    double *gradient; /* of one item */
    uint32_t *wanted;
    float stats[ROWS * WIDTH * 2];
} losses;

static uint32_t wanted_words(const losses *l) {
    return l->variant == RP_LOSS_SEGMENTS ? 2 * l->width * SEGMENTS
           : l->variant                   ? ROWS * (1 + l->width)
                                          : 2 * ROWS;
}

static void note(losses *l, uint32_t item, double loss, bool hit) {
    l->stats[2 * item] = (float)((l->adds ? 0.5 : 0) + loss);
    l->stats[2 * item + 1] = (l->adds ? 0.5f : 0) + (float)hit;
}

/* Item `item`: n logits from x[at] on, `between` apart. */
static void choose(losses *l, uint32_t item, uint32_t at, uint32_t between, uint32_t n) {
    uint32_t label = item % 5 == 4 ? UINT32_MAX : (item * 7 + 2) % n;
    float weight = 0.25f + (float)(item % 3);
    bool hit = label < n;
    l->wanted[2 * item] = rp_float_bits(weight);
    l->wanted[2 * item + 1] = label;
    double loss = rp_reference_cross_entropy(&l->x[at], between, n, label, SMOOTHING, l->gradient);
    weight *= l->factor;
    for (uint32_t i = 0; i < n; i++) {
        l->want[at + i * between] = (float)(weight * l->gradient[i]);
        if (label < n && l->x[at + i * between] > l->x[at + label * between]) hit = false;
    }
    note(l, item, weight * loss, hit);
}

static void compute(losses *l) {
    if (l->variant == RP_LOSS_SEGMENTS)
        for (uint32_t s = 0; s < SEGMENTS; s++)
            for (uint32_t c = 0; c < l->width; c++)
                choose(l, s * l->width + c, starts[s] * WIDTH + l->column + c, WIDTH,
                       starts[s + 1] - starts[s]);
    for (uint32_t i = 0; i < ROWS && l->variant != RP_LOSS_SEGMENTS; i++) {
        if (l->variant == RP_LOSS_ROWS) {
            choose(l, i, i * WIDTH + l->column, 1, l->width);
            continue;
        }
        float weight = 0.25f + (float)(i % 3);
        double loss = 0, slope;
        uint32_t *wanted = &l->wanted[i * (1 + l->width)], first = i * WIDTH + l->column;
        wanted[0] = rp_float_bits(weight);
        weight *= l->factor;
        for (uint32_t c = 0; c < l->width; c++) {
            float y = l->variant == RP_LOSS_LOGISTIC ? (float)((i + c) % 2) : rp_proof_number(i + c, false);
            wanted[1 + c] = rp_float_bits(y);
            loss += (l->variant == RP_LOSS_LOGISTIC ? rp_reference_logistic
                                                    : rp_reference_squares)(l->x[first + c], y, &slope);
            l->want[first + c] = (float)(weight * slope);
        }
        note(l, i, weight * loss, false);
    }
    for (uint32_t i = 0; l->adds && i < ROWS * WIDTH; i++) l->want[i] += l->before[i];
}

/* The second case: a part of each row, as an internal classifier has it. */
static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    rp_op op = {.width = n ? WIDTH - 7 : WIDTH,
                .column = n ? 3 : 0,
                .x_stride = n ? PADDED : 0,
                .weight = n ? 0.75f : 0,
                .variant = proof->use.variant,
                .rate = SMOOTHING};
    const rp_proof_rows rows = {.rows = ROWS, .width = WIDTH};
    void *all;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(
        proof, 2 * rp_proof_bytes(ROWS + 1, PADDED) + 16ull * ROWS * (WIDTH + 1) + sizeof starts, 0, err));
    RP_TRY(rp_proof_alloc(proof, 1, sizeof(losses), &all, err));
    losses *l = all;
    l->variant = op.variant;
    l->width = op.width;
    l->column = op.column;
    l->factor = n ? op.weight : 1;
    l->adds = proof->use.residual;
    l->items = op.variant == RP_LOSS_SEGMENTS ? SEGMENTS * op.width : ROWS;
    RP_TRY(rp_proof_input(proof, &rows, 17, &l->x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &rows, 1 << 20, &l->before, &op.out, err));
    if (l->adds) op.residual = op.out;
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &l->want, err));
    memset(l->want, 0, sizeof *l->want * ROWS * WIDTH);
    RP_TRY(rp_proof_alloc(proof, WIDTH + ROWS, sizeof(double), &all, err));
    l->gradient = all;
    op.list = rp_proof_take(proof, sizeof starts);
    op.tiles = rp_proof_take(proof, 4 * wanted_words(l));
    op.stats = rp_proof_take(proof, 8 * l->items);
    l->wanted = rp_proof_seen(proof, op.tiles);
    memcpy(rp_proof_seen(proof, op.list), starts, sizeof starts);
    for (uint32_t i = 0; i < ROWS * WIDTH; i++) l->x[i] *= i % 8 == 7 ? 64 : 2; /* exp overflows */
    rp_proof_send(proof, &(rp_proof_rows){op.x, ROWS, WIDTH, 0, false}, l->x);
    compute(l);
    float *stats = rp_proof_seen(proof, op.stats);
    for (uint32_t i = 0; i < 2 * l->items; i++) stats[i] = 0.5f;
    RP_TRY(rp_proof_record(proof, &op, err));
    RP_TRY(rp_proof_run(proof, (uint32_t[RP_COUNT_KINDS]){op.variant == RP_LOSS_SEGMENTS ? SEGMENTS : ROWS},
                        err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, ROWS, WIDTH, 0, false}, l->want, NULL, NULL, ROWS);
    for (uint32_t i = 0; i < 2 * l->items; i++)
        rp_proof_differ(proof, fabs(stats[i] - (double)l->stats[i]) / fmax(1, fabs(l->stats[i])));
done:
    return status;
}

static const char *const variants[] = {"rows", "segments", "logistic", "squares", NULL};
const rp_class rp_class_loss = {.name = "loss",
                                .variants = variants,
                                .plan = plan,
                                .record = record,
                                .use = use,
                                .cases = 2,
                                .prove = prove};
