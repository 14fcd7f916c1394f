/* The way back through attention (attention.c), in steps (rp_attention_grad_variant), and forward with
 * dropout of probabilities. Heads and widths lie as there: width = rp_attention_width(heads, head_dim).
 *
 * x: [tokens, 3 * width]: Q, K, V; list: [sequences + 1], the first token of each; tiles: [tiles, 2]:
 * sequence, first row, cut as kernel.rows says, which is the same for all steps; stats: [tokens, heads, 2].
 * STATS reads x, and dy: [tokens, width], the gradient by the context, and out, the context; without dy it
 * makes the first number alone. It writes stats. OUT, DQ and DKV read them. OUT writes out: [tokens, width],
 * the context. The probabilities that are kept come from state (an rp_train_state), place and rate; of rate 0
 * none is dropped, and attention.c is faster. DQ, DKV read x and dy, with the same dropout, and write out:
 * [tokens, 3 * width], each its part. */
#include <math.h>
#include <stdio.h>

#include "ops/attention.h"
#include "ops/class.h"
#include "ops/reference_grad.h"

/* ---- planning ---- */

/* Rows of a tile, the same for all steps: what a subgroup that is a vector of a CPU holds, or the registers
 * of a GPU. */
static uint32_t own_rows(const rp_caps *caps, const rp_use *use) {
    uint32_t most = caps->info.type == RP_DEVICE_CPU ? 16 * caps->info.subgroup_size : 128;
    return rp_head_width(use->head_dim) <= most ? 16 : 8;
}

static rp_kernel *put(rp_kernel *kernel, const rp_use *use, const char *shader, uint32_t own, uint32_t lanes,
                      uint32_t others) {
    *kernel =
        (rp_kernel){.key = {.shader = shader,
                            .constants = {lanes, rp_head_width(use->head_dim) / 4, own, others, use->variant},
                            .constant_count = 5,
                            .bindings = 8,
                            .push_words = 8},
                    .rows = own,
                    .columns = others};
    snprintf(kernel->name, sizeof kernel->name, "%s %u, %ux%u", shader, lanes, own, others);
    return kernel;
}

/* Of a kernel by tiles in shared memory. */
static uint64_t shared_bytes(const rp_use *use, uint32_t own, uint32_t others) {
    uint32_t twice = use->variant == RP_ATTENTION_DQ || use->variant == RP_ATTENTION_DKV ? 2 : 1;
    uint64_t rows = 16ull * (own + others) * (rp_head_width(use->head_dim) / 4 + 1),
             scores = 4ull * own * (others + 1);
    return twice * (rows + scores) + 16ull * (own + others) + 64;
}

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    static const struct { uint32_t lanes, others; } tiles[] = {{64, 32}, {128, 32}, {64, 16}};
    uint32_t count = 0, lanes = caps->info.subgroup_size, head = rp_head_width(use->head_dim),
             own = own_rows(caps, use);
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (cpu && rp_has_subgroups(caps) && use->texels <= caps->max_texels && head <= 32 * lanes) {
        rp_kernel *kernel = put(&out[count++], use, "attention_grad_subgroup_texel", own, lanes, 4 * lanes);
        kernel->key.texels = 1 << 1 | 1 << 4;
        kernel->shuffles = true;
    }
    for (size_t i = 0; i < RP_COUNT(tiles) && !cpu; i++)
        if (own >= tiles[i].lanes / 8 &&
            rp_workgroup_fits(caps, tiles[i].lanes, shared_bytes(use, own, tiles[i].others)))
            put(&out[count++], use, "attention_grad_tile", own, tiles[i].lanes, tiles[i].others);
    put(&out[count++], use, "attention_grad", own, 64, 32);
    return count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    uint32_t width = rp_attention_width(op->heads, op->head_dim) / 4;
    bool context = op->variant == RP_ATTENTION_STATS && !op->dy.buffer; /* there is none to read */
    rp_dispatch dispatch = {
        .bindings = {{0},
                     op->x,
                     op->list,
                     op->tiles,
                     op->dy.buffer ? op->dy : op->x,
                     op->stats,
                     context ? op->x : op->out,
                     op->state.buffer ? op->state : target.ops->counts},
        .formats = {[1] = VK_FORMAT_R32G32B32A32_SFLOAT, [4] = VK_FORMAT_R32G32B32A32_SFLOAT},
        .push = {3 * width, width, op->heads, rp_float_bits(1.0f / sqrtf((float)op->head_dim)), op->place,
                 op->rate > 0 ? rp_drop_threshold(op->rate) : 0, rp_float_bits(rp_keep_factor(op->rate)),
                 op->dy.buffer != VK_NULL_HANDLE}};
    /* as in attention.c */
    rp_grid grid = {op->slice.count ? op->slice.count : RP_COUNT_TILES, 1, op->heads};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

/* The probabilities of one head of one query, without dropout, and the factors of dropout. */
static double probabilities(const rp_reference_attention_grad *op, size_t head, size_t query, size_t first,
                            size_t last, double *p, double *keep) {
    rp_head_place at = rp_head_at(head, op->head_stride, op->width);
    double largest = rp_reference_scores(op->qkv, at, op->head_dim, query, first, last, p), total = 0;
    for (size_t i = 0; i < last - first; i++) total += exp(p[i] - largest);
    for (size_t i = 0; i < last - first; i++) {
        uint32_t q = (uint32_t)(query - first);
        float factors[4] = {1, 1, 1, 1};
        if (op->rate > 0)
            rp_kept(op->step, op->place, op->rate,
                    (uint32_t[4]){(uint32_t)first, q / 4, (uint32_t)i, (uint32_t)head}, factors);
        p[i] = exp(p[i] - largest) / total;
        keep[i] = factors[q % 4];
    }
    return largest + log(total);
}

static void context_of(const rp_reference_attention_grad *op, size_t head, size_t query, size_t first,
                       size_t n, const double *p, const double *keep) {
    rp_head_place at = rp_head_at(head, op->head_stride, op->width);
    for (size_t d = 0; d < op->head_dim; d++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += p[i] * keep[i] * rp_reference_row(op->qkv, first + i)[at.v + d];
        op->out.data[query * op->out.stride + at.q + d] = (float)sum;
    }
}

/* What one query adds to the gradients of its Q and of all K and V. */
static double gradients_of(const rp_reference_attention_grad *op, size_t head, size_t query, size_t first,
                           size_t n, const double *p, const double *keep) {
    rp_head_place at = rp_head_at(head, op->head_stride, op->width);
    const float *dy = rp_reference_row(op->dy, query) + at.q;
    double delta = 0, scale = 1 / sqrt((double)op->head_dim);
    for (size_t i = 0; i < n; i++)
        delta +=
            p[i] * keep[i] * rp_reference_dot(dy, rp_reference_row(op->qkv, first + i) + at.v, op->head_dim);
    for (size_t i = 0; i < n; i++) {
        const float *row = rp_reference_row(op->qkv, first + i), *q = rp_reference_row(op->qkv, query) + at.q;
        double *own = op->dqkv + query * 3 * op->width, *other = op->dqkv + (first + i) * 3 * op->width;
        double ds = p[i] * (keep[i] * rp_reference_dot(dy, row + at.v, op->head_dim) - delta) * scale;
        for (size_t d = 0; d < op->head_dim; d++) {
            own[at.q + d] += ds * row[at.k + d];
            other[at.k + d] += ds * q[d];
            other[at.v + d] += p[i] * keep[i] * dy[d];
        }
    }
    return delta;
}

rp_status rp_reference_attention_grad_run(const rp_reference_attention_grad *op, rp_error *err) {
    size_t tokens = op->starts[op->sequences];
    double *p = rp_new_array(double, 2 * tokens), *keep = p + tokens;
    if (!p) return rp_fail_memory(err, "attention probabilities", 2 * tokens * sizeof *p);
    for (size_t s = 0; s < op->sequences; s++)
        for (size_t query = op->starts[s]; query < op->starts[s + 1]; query++)
            for (size_t head = 0; head < op->heads; head++) {
                size_t first = op->starts[s], n = op->starts[s + 1] - first;
                double log_sum = probabilities(op, head, query, first, first + n, p, keep), delta = 0;
                if (op->out.data) context_of(op, head, query, first, n, p, keep);
                if (op->dqkv) delta = gradients_of(op, head, query, first, n, p, keep);
                if (!op->stats) continue;
                op->stats[2 * (query * op->heads + head)] = (float)log_sum;
                op->stats[2 * (query * op->heads + head) + 1] = (float)delta;
            }
    free(p);
    return RP_OK;
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    static const uint32_t tried[] = {26, 64, 128, 32, 13, 80, 256};
    uint32_t count = scope->head_dim ? 1 : scope->caps->info.type == RP_DEVICE_CPU ? 2 : RP_COUNT(tried);
    *out = (rp_use){.head_dim = scope->head_dim ? scope->head_dim : tried[n / 4 % RP_COUNT(tried)],
                    .variant = n % 4};
    return n < 4 * count ? RP_RANK_ALL : RP_RANK_NONE;
}

/* ---- proof ---- */

enum { DROPPING, WHOLE, CASES };
enum { HEADS = 2, PLACE = 5 };
static const uint32_t starts_of[] = {0, 1, 34, 41, 106, 151};
enum { SEQUENCES = sizeof starts_of / sizeof starts_of[0] - 1, TOKENS = 151 };
static const float RATE = 0.2f;
static const rp_train_state STEP = {.seed = {77, 3}, .step = 5, .first_row = 1000, .layer = 2};

typedef struct heads {
    uint32_t width; /* of all heads with their padding */
    float *qkv, *dy, *context, *stats, *want, *scales;
    double *dqkv;
} heads;

/* Numbers where heads have elements: scores of one sequence are so large that exp overflows. */
static void fill(const rp_use *use, const heads *h) {
    uint32_t head = rp_head_width(use->head_dim);
    for (uint32_t i = 0; i < TOKENS; i++) {
        bool large = i >= starts_of[2] && i < starts_of[3];
        for (uint32_t c = 0; c < 4 * h->width; c++) {
            uint32_t column = c % h->width;
            bool inside = column < HEADS * head && column % head < use->head_dim;
            float value = inside ? rp_proof_number(i * 4 * h->width + c, false) : 0;
            if (c < h->width) value *= large ? 16 : 1;
            if (c < 3 * h->width)
                h->qkv[i * 3 * h->width + c] = value;
            else
                h->dy[i * h->width + column] = value;
        }
        h->scales[i] = large ? 16 : 1;
    }
}

static rp_status reference(rp_proof *proof, heads *h, float rate, rp_error *err) {
    void *dqkv;
    rp_status status;
    RP_TRY(rp_proof_floats(proof, 3 * TOKENS * h->width, &h->qkv, err));
    RP_TRY(rp_proof_floats(proof, TOKENS * h->width, &h->dy, err));
    RP_TRY(rp_proof_floats(proof, TOKENS * h->width, &h->context, err));
    RP_TRY(rp_proof_floats(proof, 2 * TOKENS * HEADS, &h->stats, err));
    RP_TRY(rp_proof_floats(proof, 3 * TOKENS * h->width, &h->want, err));
    RP_TRY(rp_proof_floats(proof, TOKENS, &h->scales, err));
    RP_TRY(rp_proof_alloc(proof, 3 * TOKENS * h->width, sizeof(double), &dqkv, err));
    h->dqkv = dqkv;
    fill(&proof->use, h);
    const rp_reference_attention_grad op = {.sequences = SEQUENCES,
                                            .heads = HEADS,
                                            .head_dim = proof->use.head_dim,
                                            .head_stride = rp_head_width(proof->use.head_dim),
                                            .starts = starts_of,
                                            .qkv = {h->qkv, 3 * (size_t)h->width},
                                            .dy = {h->dy, h->width},
                                            .width = h->width,
                                            .step = &STEP,
                                            .place = PLACE,
                                            .rate = rate,
                                            .stats = h->stats,
                                            .out = {h->context, h->width},
                                            .dqkv = h->dqkv};
    RP_TRY(rp_reference_attention_grad_run(&op, err));
    for (uint32_t i = 0; i < 3 * TOKENS * h->width; i++) h->want[i] = (float)h->dqkv[i];
done:
    return status;
}

static uint32_t cut(const rp_proof *proof, uint32_t *tiles) {
    uint32_t count = 0;
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t q = 0; q < starts_of[s + 1] - starts_of[s]; q += proof->kernel->rows) {
            tiles[2 * count] = s;
            tiles[2 * count++ + 1] = q;
        }
    return count;
}

/* The results of one step: of DQ and DKV the other parts of a row were not there before, and are not written.
 */
static void compare(rp_proof *proof, const rp_op *op, const heads *h) {
    uint32_t variant = op->variant, width = h->width;
    if (variant == RP_ATTENTION_STATS) {
        const float *got = rp_proof_seen(proof, op->stats);
        for (uint32_t i = 0; i < 2 * TOKENS * HEADS; i++)
            rp_proof_differ(proof, fabs(got[i] - (double)h->stats[i]) / fmax(1, fabs(h->stats[i])));
    } else if (variant == RP_ATTENTION_OUT) {
        rp_proof_compare(proof, &(rp_proof_rows){op->out, TOKENS, width, 0, false}, h->context, NULL, NULL,
                         TOKENS);
    } else {
        const float *got = rp_proof_seen(proof, op->out);
        for (uint32_t i = 0; i < TOKENS * 3 * width; i++) {
            double scale = fmax(h->scales[i / (3 * width)], fabs(h->want[i]));
            if ((i % (3 * width) < width) == (variant == RP_ATTENTION_DQ))
                rp_proof_differ(proof, fabs(got[i] - (double)h->want[i]) / scale);
            else if (!isnan(got[i]))
                rp_proof_differ(proof, INFINITY);
        }
    }
}

static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    heads h = {.width = rp_attention_width(HEADS, proof->use.head_dim)};
    VkDeviceSize row = rp_proof_bytes(TOKENS + 1, h.width);
    uint32_t tiles[2 * TOKENS];
    rp_op op = {.heads = HEADS,
                .head_dim = proof->use.head_dim,
                .variant = proof->use.variant,
                .place = PLACE,
                .rate = n == DROPPING ? RATE : 0};
    bool context = op.variant == RP_ATTENTION_STATS || op.variant == RP_ATTENTION_OUT;
    rp_status status;
    proof->difference->bound = rp_rounding_bound(RP_ROUNDING_NONE);
    RP_TRY(rp_proof_open(proof, 7 * row + sizeof tiles + 1024 + 8 * TOKENS * HEADS, 0, err));
    RP_TRY(reference(proof, &h, op.rate, err));
    op.x = rp_proof_take(proof, 3 * row);
    op.dy = rp_proof_take(proof, row);
    op.stats = rp_proof_take(proof, 8 * TOKENS * HEADS);
    op.out = rp_proof_take(proof, context ? row : 3 * row);
    op.list = rp_proof_take(proof, sizeof starts_of);
    op.tiles = rp_proof_take(proof, sizeof tiles);
    op.state = rp_proof_take(proof, sizeof STEP);
    rp_proof_send(proof, &(rp_proof_rows){op.x, TOKENS, 3 * h.width, 0, false}, h.qkv);
    rp_proof_send(proof, &(rp_proof_rows){op.dy, TOKENS, h.width, 0, false}, h.dy);
    if (op.variant == RP_ATTENTION_STATS)
        rp_proof_send(proof, &(rp_proof_rows){op.out, TOKENS, h.width, 0, false}, h.context);
    else
        memcpy(rp_proof_seen(proof, op.stats), h.stats, 8 * TOKENS * HEADS);
    uint32_t counts[RP_COUNT_KINDS] = {TOKENS, SEQUENCES, 0, cut(proof, tiles)};
    memcpy(rp_proof_seen(proof, op.tiles), tiles, sizeof tiles);
    memcpy(rp_proof_seen(proof, op.list), starts_of, sizeof starts_of);
    memcpy(rp_proof_seen(proof, op.state), &STEP, sizeof STEP);
    RP_TRY(rp_proof_replay(proof, &op, counts, err));
    compare(proof, &op, &h);
done:
    return status;
}

/* ---- tuning ---- */

enum {
    SMALL_HEADS = 128,    /* floats of all heads that are not worth measuring */
    TIMED_SEQUENCE = 128, /* tokens */
};

static bool is_tuned(const rp_caps *caps, const rp_op *op) {
    return caps->info.type != RP_DEVICE_CPU && op->heads * op->head_dim > SMALL_HEADS;
}

/* One sequence; numbers are as memory has them, which no kernel takes longer for. */
static rp_status tune(rp_tuning *t, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err) {
    uint32_t count = 0;
    VkDeviceSize row = 4ull * TIMED_SEQUENCE * rp_attention_width(op->heads, op->head_dim),
                 stats = 8ull * TIMED_SEQUENCE * op->heads;
    rp_status status = rp_tuning_buffers(t, 3 * row, 3 * row + stats, 256 + TIMED_SEQUENCE * 8, err);
    if (status) return status;
    uint32_t *starts = t->lists.mapped, *tiles = starts + 64;
    starts[0] = 0;
    starts[1] = TIMED_SEQUENCE;
    for (uint32_t q = 0; q < TIMED_SEQUENCE; q += kernel->rows) {
        tiles[2 * count] = 0;
        tiles[2 * count++ + 1] = q;
    }
    t->counts[RP_COUNT_TOKENS] = TIMED_SEQUENCE;
    t->counts[RP_COUNT_SEQUENCES] = 1;
    t->counts[RP_COUNT_TILES] = count;
    t->op = (rp_op){.class = op->class,
                    .label = "tuning",
                    .variant = op->variant,
                    .heads = op->heads,
                    .head_dim = op->head_dim,
                    .x = rp_buffer_range(&t->x, 0, 3 * row),
                    .dy = rp_buffer_range(&t->x, 0, row),
                    .list = rp_buffer_range(&t->lists, 0, 256),
                    .tiles = rp_buffer_range(&t->lists, 256, t->lists.size - 256),
                    .stats = rp_buffer_range(&t->out, 3 * row, stats),
                    .out = rp_buffer_range(&t->out, 0, 3 * row),
                    .kernel = *kernel};
    status = rp_buffer_flush(t->owner->device, &t->lists, t->lists.size, err);
    return status ? status : rp_tuning_measure(t, seconds, err);
}

static const char *const variants[] = {"stats", "out", "dq", "dk and dv", NULL};
const rp_class rp_class_attention_grad = {.name = "attention gradient",
                                          .variants = variants,
                                          .plan = plan,
                                          .record = record,
                                          .use = use,
                                          .cases = CASES,
                                          .prove = prove,
                                          .is_tuned = is_tuned,
                                          .tune = tune};
