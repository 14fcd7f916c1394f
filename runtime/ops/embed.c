/* out = word[id] + position[pos] + type[t]. list: [tokens, 4]: id, type, position, unused; w: word [V, E],
 * position [P, E], type [Y, E]; out: [tokens, padded E]. */
#include "ops/class.h"
#include "ops/reference.h"

/* ---- planning ---- */

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    out[0] = rp_row_kernel(caps, "embed", use->formats[0], 6, 3);
    out[0].key.constants[2] = use->formats[1];
    out[0].key.constants[3] = use->formats[2];
    out[0].key.constant_count = 4;
    return 1;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_matrix *word = op->w[0], *position = op->w[1], *type = op->w[2];
    rp_status status = RP_OK;
    if (position->chunk_count != 1 || type->chunk_count != 1)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "the position or type embeddings are larger than one storage buffer of this device");
    for (uint32_t c = 0; !status && c < word->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &word->chunks[c];
        rp_dispatch dispatch = {
            .bindings =
                {{0}, op->list, chunk->range, position->chunks[0].range, type->chunks[0].range, op->out},
            .push = {word->k, chunk->first_panel * RP_PANEL, chunk->panels * RP_PANEL}};
        status = rp_op_dispatch(target, &op->kernel.key, (rp_grid){RP_COUNT_TOKENS, 1, 1}, op->label,
                                &dispatch, err);
    }
    return status;
}

/* ---- in plain C ---- */

void rp_reference_embed_run(const rp_reference_embed *op) {
    for (size_t i = 0; i < op->count; i++) {
        const uint32_t *token = &op->tokens[4 * i];
        const float *word = rp_reference_row(op->word, token[0]),
                    *type = rp_reference_row(op->type, token[1]),
                    *position = rp_reference_row(op->position, token[2]);
        for (size_t c = 0; c < op->width; c++)
            (op->out.data + i * op->out.stride)[c] = (float)((double)word[c] + position[c] + type[c]);
    }
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    rp_format format = (rp_format)n;
    (void)scope;
    *out = (rp_use){.formats = {format, format, format}};
    return format <= RP_FORMAT_BF16 ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { ROWS = 37, WIDTH = 315, WORDS = 77 };

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    static const uint32_t sizes[3] = {WORDS, ROWS + 3, 2}; /* words, positions, types */
    rp_matrix *table;
    float *values[3], *want;
    rp_op op = {.width = WIDTH};
    rp_status status;
    (void)n;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)) + ROWS * 16,
                         160 * 4 * rp_padded(WIDTH), err));
    for (uint32_t t = 0; t < 3; t++) {
        rp_format format = proof->use.formats[t];
        RP_TRY(rp_proof_floats(proof, (size_t)sizes[t] * WIDTH, &values[t], err));
        for (uint32_t i = 0; i < sizes[t] * WIDTH; i++)
            values[t][i] = rp_proof_number((t << 20) + i, format != RP_FORMAT_F32);
        proof->in_chunks = t == 0;
        RP_TRY(rp_proof_matrix(proof, values[t], sizes[t], WIDTH, format, &table, err));
        op.w[t] = table;
    }
    RP_TRY(rp_proof_floats(proof, ROWS * WIDTH, &want, err));
    op.list = rp_proof_take(proof, ROWS * 16);
    op.out = rp_proof_take(proof, rp_proof_bytes(ROWS + 1, rp_padded(WIDTH)));
    uint32_t *tokens = rp_proof_seen(proof, op.list);
    for (uint32_t i = 0; i < ROWS; i++)
        memcpy(&tokens[4 * i], (uint32_t[4]){(i * 31 + 76) % WORDS, i % 2, ROWS + 2 - i, 0}, 16);
    rp_reference_embed reference = {
        ROWS, WIDTH, tokens, {values[0], WIDTH}, {values[1], WIDTH}, {values[2], WIDTH}, {want, WIDTH}};
    rp_reference_embed_run(&reference);
    RP_TRY(rp_proof_replay(proof, &op, (uint32_t[RP_COUNT_KINDS]){[RP_COUNT_TOKENS] = ROWS}, err));
    rp_proof_compare(proof, &(rp_proof_rows){op.out, ROWS, WIDTH, 0, false}, want, NULL, NULL, ROWS);
done:
    return status;
}

const rp_class rp_class_embed = {.name = "embed",
                                 .weights = "tables",
                                 .plan = plan,
                                 .record = record,
                                 .use = use,
                                 .cases = 1,
                                 .prove = prove};
