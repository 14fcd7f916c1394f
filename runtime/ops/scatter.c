/* Gradients of the rows of a table: row list[i][0] of w[0] += the sum of the rows of dy that are listed for
 * it, in order. dy: [*, padded width]; list: [rows, 4]: row of the table, where its rows begin in `order`,
 * how many they are (at most 65535: a software driver ends longer loops), unused; no row of the table is
 * listed twice. order is in op->tiles: uint32, rows of dy. w[0]: the gradient, which lies like the float32
 * table [n, width]. */
#include <math.h>

#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    (void)use;
    out[0] = rp_row_kernel(caps, "scatter", 0, 5, 4);
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_matrix *table = op->w[0];
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < table->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &table->chunks[c];
        rp_dispatch dispatch = {
            .bindings = {{0}, op->dy, op->list, op->tiles, chunk->range},
            .push = {op->rows, table->k, chunk->first_panel * RP_PANEL, chunk->panels * RP_PANEL}};
        rp_grid grid = {op->rows, 1, (uint32_t)rp_div_up(table->k / 4, op->kernel.columns)};
        status = rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
    }
    return status;
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    (void)scope;
    *out = (rp_use){0};
    return n < 1 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum {
    ROWS = 37,
    WIDTH = 315,
    PADDED = (WIDTH + RP_PANEL - 1) / RP_PANEL * RP_PANEL,
    TABLE = 70,
    ENTRIES = 9
};

/* Rows 66, 59, ... of the table, in both chunks, have 1, 2, ... rows of dy. */
static uint32_t make_lists(uint32_t *list, uint32_t *order) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
        memcpy(&list[4 * i], (uint32_t[4]){66 - 7 * i, used, i + 1, 0}, 16);
        for (uint32_t n = 0; n <= i; n++, used++) order[used] = (used * 11 + 3) % ROWS;
    }
    return used;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    rp_matrix_chunk chunks[2] = {{.panels = 1}, {.first_panel = 1, .panels = 2}};
    rp_matrix table = {.rows = 3 * RP_PANEL, .k = PADDED, .chunks = chunks, .chunk_count = 2};
    rp_op op = {.w = {&table}};
    uint32_t list[4 * ENTRIES], order[ENTRIES * (ENTRIES + 1) / 2];
    float *dy;
    rp_status status;
    (void)n;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, rp_proof_bytes(ROWS + 1 + 3 * RP_PANEL, PADDED) + sizeof list + sizeof order,
                         0, err));
    RP_TRY(rp_proof_input(proof, &(rp_proof_rows){.rows = ROWS, .width = WIDTH}, 17, &dy, &op.dy, err));
    op.list = rp_proof_take(proof, sizeof list);
    op.tiles = rp_proof_take(proof, sizeof order);
    make_lists(list, order);
    memcpy(rp_proof_seen(proof, op.list), list, sizeof list);
    memcpy(rp_proof_seen(proof, op.tiles), order, sizeof order);
    for (uint32_t c = 0; c < 2; c++) {
        chunks[c].range = rp_proof_take(proof, rp_proof_bytes(chunks[c].panels * RP_PANEL, PADDED));
        rp_proof_fill(rp_proof_seen(proof, chunks[c].range), chunks[c].panels * RP_PANEL * PADDED, c << 20,
                      1);
    }
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){ENTRIES}, err));
    for (uint32_t row = 0; row < table.rows; row++)
        for (uint32_t c = 0; c < PADDED; c++) {
            uint32_t chunk = row >= RP_PANEL, at = row - chunk * RP_PANEL;
            at = (at / RP_PANEL * PADDED + c) * RP_PANEL + row % RP_PANEL;
            double want = rp_proof_number((chunk << 20) + at, false);
            for (uint32_t i = 0; i < ENTRIES; i++)
                for (uint32_t k = 0; c < WIDTH && list[4 * i] == row && k < list[4 * i + 2]; k++)
                    want += 2 * dy[order[list[4 * i + 1] + k] * WIDTH + c];
            const float *got = rp_proof_seen(proof, chunks[chunk].range);
            rp_proof_differ(proof, fabs(got[at] - want) / fmax(1, fabs(want)));
        }
done:
    return status;
}

const rp_class rp_class_scatter = {
    .name = "scatter", .plan = plan, .record = record, .use = use, .cases = 1, .prove = prove};
