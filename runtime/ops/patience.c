/* Which texts leave behind a layer (PABEE): a text whose best label was that of the layer before for
 * `patience` layers in a row, or that has gone through all of them. x: [texts, padded width], the logits of
 * all internal classifiers, op->fixed labels each; list: rp_exit_entry [texts]; state: [places, RP_EXIT_WORDS
 * + labels]. Once every text has left, the workgroup counts of whatever was recorded beside become zero. */
#include "ops/patience.h"

#include <math.h>

#include "ops/class.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    (void)use;
    out[0] = rp_row_kernel(caps, "patience", 0, 5, 5);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    rp_dispatch dispatch = {.bindings = {{0}, op->x, op->list, op->state, target.ops->indirect},
                            .push = {RP_COUNT_SEQUENCES, rp_padded(op->width), op->fixed,
                                     op->width / op->fixed,
                                     RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand) / 4}};
    return rp_op_dispatch(target, &op->kernel.key, (rp_grid){(rp_count)1, 0, 1}, op->label, &dispatch, err);
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){0};
    return n ? RP_RANK_NONE : RP_RANK_ALL;
}

/* ---- proof ---- */

enum { TEXTS = 137, LABELS = 3, LAYERS = 5, BEFORE = 1, PLACES = 2 * TEXTS, STATE = RP_EXIT_WORDS + LABELS };

/* What one layer makes of the state of a text. */
static void decide(const rp_exit_entry *entry, const float *logits, uint32_t *state) {
    bool begins = state[RP_EXIT_NUMBER] != entry->number;
    uint32_t layers = begins ? entry->layers + 1 : state[RP_EXIT_LAYERS] + 1, best = 0;
    if (!entry->patience || (!begins && state[RP_EXIT_LEFT])) return;
    const float *own = logits + (size_t)(layers - 1) * LABELS;
    for (uint32_t i = 1; i < LABELS; i++)
        if (own[i] > own[best]) best = i;
    uint32_t agreed = layers > 1 && best == state[RP_EXIT_LABEL] ? state[RP_EXIT_AGREED] + 1 : 0;
    bool leaves = agreed >= entry->patience || layers >= LAYERS;
    state[RP_EXIT_NUMBER] = entry->number;
    state[RP_EXIT_LAYERS] = layers;
    state[RP_EXIT_LABEL] = best;
    state[RP_EXIT_AGREED] = agreed;
    state[RP_EXIT_LEFT] = leaves ? layers : 0;
    for (uint32_t i = 0; leaves && i < LABELS; i++) state[RP_EXIT_WORDS + i] = rp_float_bits(own[i]);
}

/* Two layers in one submission, after others. Case 1: everybody has left behind the first of them, and the
 * second finds no workgroups. */
static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    enum { WIDTH = LAYERS * LABELS };
    rp_op op = {.width = WIDTH, .fixed = LABELS};
    const rp_proof_rows rows = {.rows = TEXTS, .width = WIDTH};
    rp_exit_entry entries[TEXTS];
    float *x;
    uint32_t *want = NULL;
    rp_status status;
    proof->difference->bound = 0;
    RP_TRY(rp_proof_open(
        proof, rp_proof_bytes(TEXTS + 1, rp_padded(WIDTH)) + sizeof entries + PLACES * STATE * sizeof *want,
        0, err));
    RP_TRY(rp_proof_input(proof, &rows, 31, &x, &op.x, err));
    RP_TRY(rp_proof_alloc(proof, PLACES * STATE, sizeof *want, (void **)&want, err));
    op.list = rp_proof_take(proof, sizeof entries);
    op.state = rp_proof_take(proof, PLACES * STATE * sizeof *want);
    for (uint32_t i = 0; i < TEXTS; i++) {
        uint32_t place = (i * 29 + 36) % PLACES, *state = want + (size_t)place * STATE;
        entries[i] = (rp_exit_entry){place, n ? LAYERS - 1 : BEFORE, n ? 9 : i % 4, 7};
        state[RP_EXIT_NUMBER] = 6;
        state[RP_EXIT_LABEL] = i % LABELS;
        state[RP_EXIT_AGREED] = i % 2;
    }
    memcpy(rp_proof_seen(proof, op.list), entries, sizeof entries);
    memcpy(rp_proof_seen(proof, op.state), want, PLACES * STATE * sizeof *want);
    for (uint32_t i = 0; i < 2 * TEXTS; i++) {
        const rp_exit_entry *entry = &entries[i % TEXTS];
        decide(entry, x + (size_t)(i % TEXTS) * WIDTH, want + (size_t)entry->place * STATE);
    }
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_SEQUENCES] = TEXTS}, err));
    if (memcmp(rp_proof_seen(proof, op.state), want, PLACES * STATE * sizeof *want))
        rp_proof_differ(proof, INFINITY);
done:
    return status;
}

const rp_class rp_class_patience = {
    .name = "patience", .plan = plan, .record = record, .use = use, .cases = 2, .prove = prove};
