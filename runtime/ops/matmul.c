#include "ops/matmul.h"

#include <math.h>

#include "ops/class.h"
#include "ops/reference.h"

/* ---- recording ---- */

static VkFormat texel_format(rp_format format) {
    if (rp_format_words(format)) return VK_FORMAT_R32G32B32A32_UINT;
    return format == RP_FORMAT_F32 ? VK_FORMAT_R32G32B32A32_SFLOAT : VK_FORMAT_R16G16B16A16_SFLOAT;
}

/* From row number `first` on, of rows of `width` elements. */
static rp_range rows_after(rp_range range, uint32_t first, uint32_t width, bool half) {
    return rp_range_after(range, (VkDeviceSize)first * width * (half ? 2 : 4));
}

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    const rp_kernel *kernel = &op->kernel;
    const rp_matrix *w = op->w[0];
    bool half_x = op->halves & RP_HALF_X, half_out = op->halves & RP_HALF_OUT;
    uint32_t groups = 0; /* that work on one tile of rows */
    for (uint32_t c = 0; c < w->chunk_count; c++)
        groups += (uint32_t)rp_div_up(w->chunks[c].panels * RP_PANEL / 4, kernel->columns);
    rp_count rows = op->slice.count ? op->slice.count : op->rows;
    uint32_t x_stride = op->x_stride ? op->x_stride : w->k,
             out_stride = op->out_stride ? op->out_stride : w->rows;
    rp_range x = rows_after(op->x, op->slice.first, x_stride, half_x),
             out = rows_after(op->out, op->slice.first, out_stride, half_out),
             added =
                 op->residual.buffer ? rows_after(op->residual, op->slice.first, out_stride, half_out) : x;
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < w->chunk_count; c++) {
        const rp_matrix_chunk *chunk = &w->chunks[c];
        uint32_t columns = chunk->panels * RP_PANEL / 4;
        if (c) rp_record_barrier(&target.ops->recorder, target.commands); /* the residual may be `out` */
        rp_dispatch dispatch = {
            .bindings =
                {{0}, x, chunk->range, op->bias.buffer ? op->bias : x, added, out, op->norm, op->arrived},
            .formats =
                {[1] = texel_format(half_x ? RP_FORMAT_F16 : RP_FORMAT_F32), [2] = texel_format(w->format)},
            .push = {rows, w->k / 4, columns, chunk->first_panel * RP_PANEL / 4, out_stride / 4, x_stride / 4,
                     groups, op->width, rp_float_bits(op->eps)}};
        rp_grid grid = {rows, kernel->rows, (uint32_t)rp_div_up(columns, kernel->columns)};
        status = rp_op_dispatch(target, &kernel->key, grid, op->label, &dispatch, err);
    }
    return status;
}

/* ---- in plain C ---- */

void rp_reference_matmul_run(const rp_reference_matmul *op) {
    for (size_t i = 0; i < op->rows; i++) {
        for (size_t j = 0; j < op->n; j++) {
            double y = rp_reference_dot(rp_reference_row(op->x, i), rp_reference_row(op->w, j), op->k);
            if (op->bias) y += op->bias[j];
            y = rp_reference_activate(y, op->activation);
            if (op->residual.data) y += rp_reference_row(op->residual, i)[j];
            op->out.data[i * op->out.stride + j] = (float)y;
        }
    }
}

/* ---- what models multiply by, and how ---- */

/* In the layers, where products end in a LayerNorm too; in what leads there and from there, where only one
 * side is float16. */
static const struct {
    rp_format format;
    unsigned halves;
    bool layers, seldom;
} formats[] = {
    {RP_FORMAT_F32, 0, true, false},
    {RP_FORMAT_F16, 0, true, false},
    {RP_FORMAT_BF16, 0, true, false},
    {RP_FORMAT_F16, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_INT8, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_INT4, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_F32, RP_HALF_X | RP_HALF_OUT, true, true}, /* values that float16 does not hold */
    {RP_FORMAT_F32, RP_HALF_X, false, true},              /* heads */
    {RP_FORMAT_F16, RP_HALF_X, false, true},
    {RP_FORMAT_BF16, RP_HALF_X, false, true},
    {RP_FORMAT_F16, RP_HALF_OUT, false, true}, /* the map from the embeddings */
    {RP_FORMAT_INT8, RP_HALF_OUT, false, true},
    {RP_FORMAT_INT4, RP_HALF_OUT, false, true},
    {RP_FORMAT_INT8, 0, false, true}, /* the masked language model */
    {RP_FORMAT_INT4, 0, false, true},
};

/* How they end: in a residual and LayerNorm, in the activation of the layers, in a bias, as a pooler, and
 * with every activation there is. */
enum { OUTER, INNER, BIASED, POOLER, FIRST_OTHER, EPILOGUES = FIRST_OTHER + RP_OP_TANH + 1 };

/* A software driver compiles large tiles for the layers of each format, and small ones for what else is made
 * of the same shaders. */
static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    uint32_t f = n / EPILOGUES, epilogue = n % EPILOGUES;
    if (f >= RP_COUNT(formats)) return RP_RANK_NONE;
    rp_format format = formats[f].format;
    bool plain = format == RP_FORMAT_F32 && !formats[f].halves;
    *out = (rp_use){.formats = {format, format, format}, .halves = formats[f].halves, .bias = true};
    switch (epilogue) {
    case OUTER:
        out->residual = out->norm = true;
        if (!formats[f].layers) return RP_RANK_SKIP;
        return formats[f].seldom ? RP_RANK_QUICK : RP_RANK_ALL;
    case INNER:
        out->activation = scope->activation;
        return plain ? RP_RANK_ALL : RP_RANK_QUICK;
    case BIASED:
        return plain ? RP_RANK_ALL : RP_RANK_QUICK;
    case POOLER:
        out->activation = RP_OP_TANH;
        return plain || out->halves ? RP_RANK_SKIP : RP_RANK_QUICK;
    default:
        out->activation = (rp_op_activation)(epilogue - FIRST_OTHER);
        out->bias = out->activation;
        if (!out->activation && format == RP_FORMAT_F16 && !formats[f].halves)
            return RP_RANK_SMALLEST; /* search */
        return plain && out->activation != scope->activation ? RP_RANK_SMALLEST : RP_RANK_SKIP;
    }
}

/* ---- proof ---- */

enum { SINGLE, LIKE_LAYERS, CROWDED, CASES };
enum { LONG_K = 200, SHORT_K = 32, ROW_GROUPS = 32, COLUMN_GROUPS = 8, SAMPLED = 41 };
static const float EPS = 1e-5f;

typedef struct product {
    uint32_t rows, n, k;
    uint32_t gap;  /* elements behind each row of x and, where there is no LayerNorm, of out */
    bool in_place; /* the residual is where the result goes */
    float *x, *w, *stored, *bias, *residual, *norm;
    uint32_t *only; /* the rows that plain C computes; NULL: all */
    size_t count;   /* of these */
    float *want, *scales;
    rp_op op;
    rp_proof_rows residual_at, out_at;
} product;

/* Every eighth row is large: a sum that overflows exp or half shows. */
static float scale_of(uint32_t row) {
    return row % 8 == 7 ? 64 : 1;
}

/* Blocks of 32 are of unlike size, each with a largest value of 127. */
static void fill_x(const rp_proof *proof, product *p) {
    bool exact = proof->kernel->rounding || proof->use.halves & RP_HALF_X;
    for (uint32_t i = 0; i < p->rows; i++)
        for (uint32_t k = 0; k < p->k; k++) {
            float value = rp_proof_number(i * p->k + k, exact);
            if (exact && k % 32 == 5) value = i & 1 ? 127.0f / 128 : -127.0f / 128;
            p->x[(size_t)i * p->k + k] = ldexpf(scale_of(i) * value, exact ? -(int)(k / 32 % 3) : 0);
        }
}

static rp_status fill(rp_proof *proof, product *p, rp_error *err) {
    const rp_use *use = &proof->use;
    bool exact =
        use->formats[0] == RP_FORMAT_F16 || use->formats[0] == RP_FORMAT_BF16 || proof->kernel->rounding;
    size_t out = (size_t)p->rows * p->n, w = (size_t)p->n * p->k;
    rp_status status;
    RP_TRY(rp_proof_floats(proof, (size_t)p->rows * p->k, &p->x, err));
    RP_TRY(rp_proof_floats(proof, w, &p->w, err));
    RP_TRY(rp_proof_floats(proof, w, &p->stored, err));
    RP_TRY(rp_proof_floats(proof, p->n, &p->bias, err));
    RP_TRY(rp_proof_floats(proof, use->residual ? out : 0, &p->residual, err));
    RP_TRY(rp_proof_floats(proof, 2 * (size_t)p->n, &p->norm, err));
    RP_TRY(rp_proof_floats(proof, p->count * p->n, &p->want, err));
    RP_TRY(rp_proof_floats(proof, p->count, &p->scales, err));
    fill_x(proof, p);
    for (uint32_t i = 0; i < w; i++) p->w[i] = 0.5f * rp_proof_number(i + 7919, exact);
    rp_proof_fill(p->bias, p->n, 1 << 20, 0.5f);
    for (uint32_t i = 0; use->residual && i < out; i++)
        p->residual[i] = rp_proof_number((1 << 21) + i, use->halves & RP_HALF_OUT);
    rp_proof_fill(p->norm, 2 * (size_t)p->n, 1 << 22, 1);
done:
    return status;
}

static void compute_want(const rp_proof *proof, product *p) {
    const rp_use *use = &proof->use;
    rp_host_matrix host = {p->w, RP_FORMAT_F32, p->n, p->k};
    rp_host_stored(&host, use->formats[0], p->stored);
    for (size_t r = 0; r < p->count; r++) {
        size_t i = p->only ? p->only[r] : r;
        rp_rows out = {p->want + r * p->n, p->n};
        rp_reference_matmul op = {.rows = 1,
                                  .n = p->n,
                                  .k = p->k,
                                  .x = {p->x + i * p->k, p->k},
                                  .w = {p->stored, p->k},
                                  .bias = use->bias ? p->bias : NULL,
                                  .activation = use->activation,
                                  .residual = {use->residual ? p->residual + i * p->n : NULL, p->n},
                                  .out = out};
        rp_reference_layernorm norm = {1, p->n, EPS, {out.data, p->n}, p->norm, p->norm + p->n, out};
        rp_reference_matmul_run(&op);
        if (use->norm) rp_reference_layernorm_run(&norm);
        p->scales[r] = use->norm ? 1 : scale_of((uint32_t)i);
    }
}

static rp_status send_weights(rp_proof *proof, product *p, rp_error *err) {
    const rp_use *use = &proof->use;
    rp_matrix *w;
    rp_status status;
    RP_TRY(rp_proof_matrix(proof, p->w, p->n, p->k, use->formats[0], &w, err));
    p->op.w[0] = w;
    if (use->bias) RP_TRY(rp_proof_vectors(proof, p->bias, 1, p->n, &p->op.bias, err));
    if (use->norm) RP_TRY(rp_proof_vectors(proof, p->norm, 2, p->n, &p->op.norm, err));
done:
    return status;
}

/* Operands for `op`, as its members say. */
static void send_rows(rp_proof *proof, product *p) {
    const rp_use *use = &proof->use;
    uint32_t x_stride = rp_padded(p->k) + p->gap, stride = rp_padded(p->n) + (use->norm ? 0 : p->gap);
    bool half_out = use->halves & RP_HALF_OUT;
    p->op.x = rp_proof_take(proof, rp_proof_bytes(p->rows, x_stride));
    p->op.out = rp_proof_take(proof, rp_proof_bytes(p->rows + 1, stride));
    p->op.x_stride = p->gap ? x_stride : 0;
    p->op.out_stride = stride;
    p->out_at = p->residual_at = (rp_proof_rows){p->op.out, p->rows, p->n, stride, half_out};
    rp_proof_send(proof, &(rp_proof_rows){p->op.x, p->rows, p->k, x_stride, use->halves & RP_HALF_X}, p->x);
    if (use->residual && !p->in_place)
        p->residual_at.range = rp_proof_take(proof, rp_proof_bytes(p->rows, stride));
    if (use->residual) p->op.residual = p->residual_at.range;
    if (!use->norm) return;
    p->op.arrived = rp_proof_take(proof, p->rows * 4);
    memset(rp_proof_seen(proof, p->op.arrived), 0, p->rows * 4);
}

/* Both runs on what the one before has left, as replays do; but for a residual that was written over. */
static rp_status run(rp_proof *proof, product *p, bool slices, rp_error *err) {
    uint32_t rest = p->rows - (slices ? RP_SLICE_ROWS : 0);
    const uint32_t counts[RP_COUNT_KINDS] = {
        [RP_COUNT_TOKENS] = p->rows, [RP_COUNT_SEQUENCES] = RP_SLICE_ROWS, [RP_COUNT_ROWS] = rest};
    rp_status status = RP_OK;
    for (int s = 0; !status && s <= slices; s++) {
        if (slices) p->op.slice = (rp_slice){s ? RP_COUNT_ROWS : RP_COUNT_SEQUENCES, s ? RP_SLICE_ROWS : 0};
        status = rp_proof_record(proof, &p->op, err);
    }
    for (int again = 0; !status && again < 2; again++) {
        if (proof->use.residual && (!again || p->in_place))
            rp_proof_send(proof, &p->residual_at, p->residual);
        status = rp_proof_run(proof, counts, err);
    }
    if (status) return status;
    rp_proof_compare(proof, &p->out_at, p->want, p->scales, p->only, p->count);
    for (uint32_t i = 0; proof->use.norm && i < p->rows; i++)
        if (((const uint32_t *)rp_proof_seen(proof, p->op.arrived))[i]) rp_proof_differ(proof, INFINITY);
    return RP_OK;
}

/* A whole tile and part of another, both ways. */
static uint32_t more_than(uint32_t tile, uint32_t least) {
    return tile + 5 < least ? least : tile + 5;
}

/* So many rows and columns that more workgroups meet at each counter, and at more counters, than a device
 * runs at once; fewer where its buffers are small. Some of the rows are looked at, the last too. */
static rp_status crowd(rp_proof *proof, product *p, rp_error *err) {
    uint64_t limit = rp_caps_range_limit(&proof->owner->device->caps);
    p->k = SHORT_K;
    p->rows = ROW_GROUPS * proof->kernel->rows;
    p->n = COLUMN_GROUPS * 4 * proof->kernel->columns;
    while (rp_proof_bytes(p->rows, 2 * (size_t)p->n) > limit) p->rows /= 2;
    p->count = p->rows < SAMPLED ? p->rows : SAMPLED;
    void *only;
    rp_status status = rp_proof_alloc(proof, p->count, sizeof *p->only, &only, err);
    p->only = only;
    for (uint32_t i = 0; !status && i < p->count; i++)
        p->only[i] = (uint32_t)((uint64_t)(i + 1) * p->rows / p->count) - 1;
    return status;
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    const rp_use *use = &proof->use;
    bool like_layers = n == LIKE_LAYERS, norm = use->norm;
    product p = {.rows = more_than(proof->kernel->rows, 37) + (like_layers ? RP_SLICE_ROWS : 0),
                 .n = more_than(4 * proof->kernel->columns, 72),
                 .k = LONG_K,
                 .gap = like_layers ? RP_PANEL : 0,
                 .in_place = n != SINGLE};
    rp_status status = RP_OK;
    if (n == CROWDED && !norm) return RP_OK; /* nothing passes between its workgroups */
    p.count = p.rows;
    proof->difference->bound = rp_rounding_bound(proof->kernel->rounding);
    if (use->halves & RP_HALF_OUT) proof->difference->bound += norm ? 4e-3 : 1e-3; /* before the norm too */
    if (n == CROWDED) RP_TRY(crowd(proof, &p, err));
    p.op = (rp_op){.activation = use->activation, .width = p.n, .eps = EPS, .halves = use->halves};
    uint32_t room = rp_padded(p.k) + rp_padded(p.n) * (p.in_place ? 1 : 2) + 2 * p.gap + 1;
    RP_TRY(rp_proof_open(proof, rp_proof_bytes(p.rows + 1, room),
                         rp_panel_bytes(use->formats[0], rp_padded(p.k), p.n), err));
    RP_TRY(fill(proof, &p, err));
    proof->in_chunks = like_layers;
    RP_TRY(send_weights(proof, &p, err));
    send_rows(proof, &p);
    compute_want(proof, &p);
    status = run(proof, &p, like_layers, err);
done:
    return status;
}

/* ---- tuning ---- */

enum {
    SMALL = 1 << 16,     /* elements of a w that is not worth measuring */
    SMALL_CPU = 1 << 17, /* on a software driver, which compiles for up to a second first */
    FEWEST_PANELS = 4,
};

static bool is_tuned(const rp_caps *caps, const rp_op *op) {
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    uint64_t elements = (uint64_t)op->w[0]->rows * op->w[0]->k;
    bool once = op->rows == RP_COUNT_SEQUENCES; /* in a run, behind the layers */
    return elements > SMALL && !(cpu && (elements <= SMALL_CPU || once));
}

/* Of a batch of texts; what a head works on is thin. */
static uint32_t timed_rows(const rp_caps *caps, const rp_op *op) {
    if (op->rows != RP_COUNT_TOKENS) return 8;
    if (op->most_rows) return op->most_rows;
    return caps->info.type == RP_DEVICE_CPU ? 128 : caps->info.type == RP_DEVICE_DISCRETE ? 1024 : 256;
}

/* By the first chunk of w, and no more of it than a slow device multiplies in a moment. */
static rp_status tune(rp_tuning *t, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err) {
    const rp_caps *caps = &t->owner->device->caps;
    const rp_matrix *w = op->w[0];
    uint32_t rows = timed_rows(caps, op), x_stride = op->x_stride ? op->x_stride : w->k;
    double panels = rp_tuning_work(caps) / ((double)rows * w->k * RP_PANEL);
    t->weights = *w;
    t->chunk = w->chunks[0];
    uint32_t most = panels < FEWEST_PANELS     ? FEWEST_PANELS
                    : panels < t->chunk.panels ? (uint32_t)panels
                                               : t->chunk.panels;
    if (most < t->chunk.panels) t->chunk.panels = most;
    t->weights.rows = t->chunk.panels * RP_PANEL;
    t->weights.chunks = &t->chunk;
    t->weights.chunk_count = 1;
    t->counts[RP_COUNT_TOKENS] = rows;
    rp_status status = rp_tuning_buffers(t, (op->halves & RP_HALF_X ? 2ull : 4) * rows * x_stride,
                                         4ull * rows * t->weights.rows, 0, err);
    if (status) return status;
    t->op = (rp_op){.class = op->class,
                    .label = "tuning",
                    .x = rp_buffer_range(&t->x, 0, t->x.size),
                    .x_stride = x_stride,
                    .w = {&t->weights},
                    .out = rp_buffer_range(&t->out, 0, t->out.size),
                    .halves = op->halves,
                    .kernel = *kernel};
    return rp_tuning_measure(t, seconds, err);
}

const rp_class rp_class_matmul = {.name = "matmul",
                                  .weights = "weights",
                                  .plan = rp_matmul_plan,
                                  .record = record,
                                  .use = use,
                                  .cases = CASES,
                                  .prove = prove,
                                  .is_tuned = is_tuned,
                                  .tune = tune};
