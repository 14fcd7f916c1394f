/* Whole rows that go from one buffer to another (rp_rows_variant). x, out: [rows, padded width]; of STASH
 * out, and of UNSTASH x, is [layers, op->fixed, padded width], and op->fixed is how many rows a layer has
 * room for; ADD_TO, TAKE and PUT have list: [rows], ADD_FROM and SET_FROM list: [rows, 2]. Those three that
 * count layers have state: an rp_train_state. The rows of TAKE and PUT have op->width words of 4 bytes,
 * without padding: a multiple of 4. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "rows", use->variant, 5, 4);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    bool alone = op->variant == RP_ROWS_COUNT_LAYER;
    uint32_t words = op->variant >= RP_ROWS_TAKE ? op->width : rp_padded(op->width);
    rp_range none = target.ops->counts;
    rp_dispatch dispatch = {.bindings = {{0},
                                         op->x.buffer ? op->x : none,
                                         op->list.buffer ? op->list : none,
                                         op->state.buffer ? op->state : none,
                                         op->out.buffer ? op->out : none},
                            .push = {op->rows, words / 4, op->fixed, op->fixed}};
    rp_grid grid = alone ? (rp_grid){(rp_count)1, 0, 1} : (rp_grid){op->rows, 1, 1};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){.variant = n};
    return n <= RP_ROWS_PUT ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { ROWS = 23, ROOM = 25, LAYERS = 3, LAYER = 1, WIDTH = 315, ALL = LAYERS * ROOM, COUNTED = 5 };

/* What row `i` of out holds after two replays, in column c: x and out are what was there. */
static double want_of(uint32_t variant, const uint32_t *list, const float *x, const float *out, uint32_t i,
                      uint32_t c) {
    double before = out[i * WIDTH + c];
    uint32_t from = i;
    float factor = 1;
    if (variant == RP_ROWS_COUNT_LAYER) return before;
    if (variant == RP_ROWS_STASH) from = i - LAYER * ROOM;
    if (variant == RP_ROWS_ADD_TO || variant == RP_ROWS_PUT)
        for (from = 0; from < ROWS && list[from] != i;) from++;
    if (from >= ROWS) return before;
    if (variant == RP_ROWS_UNSTASH) from += LAYER * ROOM;
    if (variant == RP_ROWS_TAKE) from = list[i];
    if (variant == RP_ROWS_ADD_FROM || variant == RP_ROWS_SET_FROM) {
        memcpy(&factor, &list[2 * i + 1], sizeof factor);
        from = list[2 * i];
    }
    bool adds = variant >= RP_ROWS_ADD && variant <= RP_ROWS_ADD_FROM;
    double value = (double)factor * x[from * WIDTH + c];
    return adds ? before + 2 * value : value;
}

static void make_list(uint32_t variant, uint32_t *list) {
    for (uint32_t i = 0; i < ROWS; i++)
        if (variant == RP_ROWS_ADD_TO || variant >= RP_ROWS_TAKE)
            list[i] = (i * 29 + 36) % ALL;
        else {
            list[2 * i] = (i * 7 + 1) % 11;
            list[2 * i + 1] = rp_float_bits(0.25f * (float)(i % 5));
        }
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    uint32_t variant = proof->use.variant;
    rp_train_state step = {.layer = LAYER};
    rp_op op = {.width = variant >= RP_ROWS_TAKE ? rp_padded(WIDTH) : WIDTH,
                .variant = variant,
                .fixed = variant == RP_ROWS_COUNT_LAYER ? COUNTED : ROOM};
    const rp_proof_rows rows = {.rows = ALL, .width = WIDTH};
    float *x, *out, *want;
    rp_status status;
    (void)n;
    proof->difference->bound =
        variant < RP_ROWS_ADD || variant >= RP_ROWS_TAKE ? 0 : rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(
        rp_proof_open(proof, 2 * rp_proof_bytes(ALL + 1, rp_padded(WIDTH)) + sizeof step + 8 * ROWS, 0, err));
    RP_TRY(rp_proof_input(proof, &rows, 17, &x, &op.x, err));
    RP_TRY(rp_proof_input(proof, &rows, 1 << 20, &out, &op.out, err));
    RP_TRY(rp_proof_floats(proof, ALL * WIDTH, &want, err));
    op.state = rp_proof_take(proof, sizeof step);
    op.list = rp_proof_take(proof, 8 * ROWS);
    memcpy(rp_proof_seen(proof, op.state), &step, sizeof step);
    uint32_t *list = rp_proof_seen(proof, op.list);
    make_list(variant, list);
    for (uint32_t i = 0; i < ALL * WIDTH; i++)
        want[i] = (float)want_of(variant, list, x, out, i / WIDTH, i % WIDTH);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ROWS}, err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, ALL, WIDTH, 0, false}, want, NULL, NULL, ALL);
    memcpy(&step, rp_proof_seen(proof, op.state), sizeof step);
    if (step.layer != (variant == RP_ROWS_COUNT_LAYER ? LAYER + 2 * COUNTED : LAYER))
        rp_proof_differ(proof, INFINITY);
done:
    return status;
}

static const char *const variants[] = {
    "stash",           "unstash",         "count layer", "add",           "add to listed",
    "add from listed", "set from listed", "take listed", "put to listed", NULL};
const rp_class rp_class_rows = {.name = "rows",
                                .variants = variants,
                                .plan = plan,
                                .record = record,
                                .use = use,
                                .cases = 1,
                                .prove = prove};
