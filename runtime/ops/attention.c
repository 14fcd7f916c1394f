/* Softmax attention of every sequence over itself. Each head is padded with zeros to whole vec4s, and the
 * heads side by side to whole panels: `width` = rp_attention_width(heads, head_dim).
 *
 * x: [tokens, 3 * width]: Q, K, V; list: [sequences + 1], the first token of each; tiles: [tiles, 2]:
 * sequence, first query, cut as kernel.rows says; out: [tokens, width]. Its slices are of tiles. */
#include "ops/attention.h"

#include <math.h>
#include <stdio.h>

#include "ops/class.h"
#include "ops/reference.h"

/* ---- planning ---- */

/* llvmpipe of this version reads storage buffers by gathers; 22.3, which calls itself version 1, reads them
 * lane by lane, and texel buffers faster. */
enum { MESA_GATHERS = VK_MAKE_VERSION(25, 0, 0) };

/* Kernels for one use, as many as were made. */
typedef struct attention_plan {
    const rp_caps *caps;
    const rp_use *use;
    uint32_t head; /* its width, with padding */
    rp_kernel *out;
    uint32_t count;
} attention_plan;

/* A kernel of so many lanes, queries of one workgroup, and keys of one step. */
static rp_kernel *add(attention_plan *plan, const char *shader, uint32_t lanes, uint32_t queries,
                      uint32_t keys) {
    rp_kernel *kernel = &plan->out[plan->count++];
    *kernel = (rp_kernel){.key = {.shader = shader,
                                  .constants = {lanes, plan->head / 4, queries, keys, plan->use->halves},
                                  .constant_count = 5,
                                  .bindings = 5,
                                  .push_words = 5},
                          .rows = queries,
                          .columns = keys};
    snprintf(kernel->name, sizeof kernel->name, "%s %u, %u queries x %u keys", shader, lanes, queries, keys);
    return kernel;
}

/* By cooperative matrices, with a subgroup for every matrix of queries. */
static void add_matrix(attention_plan *plan, rp_matrix_shape m, uint32_t group, uint32_t queries,
                       uint32_t keys) {
    const rp_caps *caps = plan->caps;
    const uint32_t constants[] = {m.m, m.n, m.k, caps->info.subgroup_size};
    rp_kernel *kernel = add(plan, "attention_cooperative", group, queries, keys);
    memcpy(&kernel->key.constants[5], constants, sizeof constants);
    kernel->key.constant_count += RP_COUNT(constants);
    kernel->key.subgroup_size = caps->subgroup_control ? caps->info.subgroup_size : 0;
    kernel->rounding = RP_ROUNDING_F16;
    kernel->matrix = m;
}

static void add_matrix_kernels(attention_plan *plan) {
    static const struct { uint32_t subgroups, keys; } tiles[] = {{4, 32}, {2, 32}, {2, 16}, {1, 16}};
    const rp_caps *caps = plan->caps;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    uint32_t most = plan->count + 2, lanes = caps->info.subgroup_size, head = plan->head;
    if (!(plan->use->halves & RP_HALF_X) || !caps->matrix_shape_count || !rp_subgroups_alike(caps)) return;
    rp_matrix_shape m = caps->matrix_shapes[0];
    if (!rp_matrix_is_dense(m, lanes)) return;
    uint32_t wide = (uint32_t)rp_round_up(head, m.k), across = (uint32_t)rp_round_up(head, m.n);
    uint32_t stride = (wide > across ? wide : across) / 4 + 2;
    for (size_t i = cpu ? RP_COUNT(tiles) - 1 : 0; i < RP_COUNT(tiles) && plan->count < most; i++) {
        uint32_t keys = tiles[i].keys, queries = tiles[i].subgroups * m.m, group = tiles[i].subgroups * lanes;
        uint64_t shared = 8ull * (queries + 2 * keys) * stride + 16ull * queries * (keys / 4 + 1) +
                          8ull * queries * (keys / 4 + 2) + 4ull * queries * m.n;
        bool even = lanes % m.m == 0 && keys / 4 % (lanes / m.m) == 0 && keys % m.n == 0 && keys % m.k == 0 &&
                    m.n % 4 == 0 && m.k % 4 == 0;
        if (even && rp_workgroup_fits(caps, group, shared)) add_matrix(plan, m, group, queries, keys);
    }
}

/* Tiles in shared memory. */
static void add_tile_kernels(attention_plan *plan) {
    static const struct {
        uint32_t lanes, queries, keys;
    } tiles[] = {{128, 32, 32}, {128, 16, 32}, {64, 16, 16}};
    uint32_t most = plan->count + 2;
    if (plan->caps->info.type == RP_DEVICE_CPU) return; /* barriers are slow there */
    for (size_t i = 0; i < RP_COUNT(tiles) && plan->count < most; i++) {
        uint32_t queries = tiles[i].queries, keys = tiles[i].keys;
        uint64_t shared = 16ull * (queries + keys) * (plan->head / 4 + 1) + 4ull * queries * (keys + 1) +
                          4ull * tiles[i].lanes + 8ull * queries;
        if (rp_workgroup_fits(plan->caps, tiles[i].lanes, shared))
            add(plan, "attention_tile", tiles[i].lanes, queries, keys);
    }
}

/* One subgroup, made for a software driver. */
static void add_subgroup_kernels(attention_plan *plan) {
    const rp_caps *caps = plan->caps;
    uint32_t lanes = caps->info.subgroup_size, held = 0; /* vec4s of each query's result in one lane */
    if (caps->info.type == RP_DEVICE_CPU && rp_has_subgroups(caps))
        held = (uint32_t)rp_div_up(plan->head / 4, lanes);
    if (!held || held > 8) return;
    uint32_t queries = held > 4 ? 4 : held > 2 ? 8 : 16; /* whole fours: its vectors hold as many */
    bool as_texels = plan->use->texels <= caps->max_texels, gathers = caps->driver_version >= MESA_GATHERS;
    for (int n = as_texels; n >= 0; n--) {
        bool texel = as_texels && (gathers ? !n : n);
        rp_kernel *kernel =
            add(plan, texel ? "attention_subgroup_texel" : "attention_subgroup", lanes, queries, 4 * lanes);
        kernel->key.texels = texel ? 1 << 1 : 0;
        kernel->shuffles = true;
    }
}

/* What needs nothing beyond Vulkan 1.1. */
static void add_plain_kernels(attention_plan *plan) {
    /* 64 lanes on a software driver too: llvmpipe ends the loops of an invocation after 65535 iterations in
     * all, and fewer lanes have more to do */
    const uint32_t group = 64, keys = 32, first = plan->count;
    for (uint32_t queries = 8; queries; queries /= 2) {
        uint64_t shared = ((uint64_t)queries * plan->head + queries * keys + 3 * queries) * 4;
        /* vec4s of the result in one lane: PowerVR's compiler keeps more than two in memory */
        bool little = queries * plan->head / 4 <= 2 * group;
        if (shared > plan->caps->info.shared_bytes || (plan->count > first && !little)) continue;
        add(plan, "attention", group, queries, keys);
        if (plan->caps->info.type == RP_DEVICE_CPU || little) break;
    }
}

static uint32_t plan(const rp_caps *caps, const rp_use *use, rp_kernel out[RP_MAX_KERNELS]) {
    attention_plan plan = {caps, use, rp_head_width(use->head_dim), out, 0};
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    if (!cpu) add_matrix_kernels(&plan);
    add_tile_kernels(&plan);
    add_subgroup_kernels(&plan);
    if (cpu) add_matrix_kernels(&plan);
    add_plain_kernels(&plan);
    return plan.count;
}

/* ---- recording ---- */

static rp_status record(rp_op_target target, const rp_op *op, rp_error *err) {
    uint32_t stride = rp_attention_width(op->heads, op->head_dim) / 4;
    rp_dispatch dispatch = {
        .bindings = {{0}, op->x, op->list, rp_range_after(op->tiles, 8ull * op->slice.first), op->out},
        .formats = {[1] = op->halves & RP_HALF_X ? VK_FORMAT_R16G16B16A16_SFLOAT
                                                 : VK_FORMAT_R32G32B32A32_SFLOAT},
        .push = {3 * stride, stride, stride, op->heads, rp_float_bits(1.0f / sqrtf((float)op->head_dim))}};
    /* the shader compares with the number of all tiles, and a slice has its own number of workgroups */
    rp_grid grid = {op->slice.count ? op->slice.count : RP_COUNT_TILES, 1, op->heads};
    return rp_op_dispatch(target, &op->kernel.key, grid, op->label, &dispatch, err);
}

/* ---- in plain C ---- */

double rp_reference_scores(rp_const_rows qkv, rp_head_place at, size_t head_dim, size_t query, size_t first,
                           size_t last, double *scores) {
    const float *q = rp_reference_row(qkv, query) + at.q;
    double largest = -INFINITY;
    for (size_t key = first; key < last; key++) {
        double score = rp_reference_dot(q, rp_reference_row(qkv, key) + at.k, head_dim);
        scores[key - first] = score / sqrt((double)head_dim);
        largest = fmax(largest, scores[key - first]);
    }
    return largest;
}

/* One head of one token at row `query`, over the keys [first, last). */
static void attend(const rp_reference_attention *op, size_t head, size_t query, size_t first, size_t last,
                   double *scores) {
    rp_head_place at = rp_head_at(head, op->head_stride, op->width);
    double largest = rp_reference_scores(op->qkv, at, op->head_dim, query, first, last, scores), total = 0;
    for (size_t i = 0; i < last - first; i++) {
        scores[i] = exp(scores[i] - largest);
        total += scores[i];
    }
    for (size_t d = 0; d < op->head_dim; d++) {
        double sum = 0;
        for (size_t key = first; key < last; key++)
            sum += scores[key - first] * rp_reference_row(op->qkv, key)[at.v + d];
        (op->out.data + query * op->out.stride)[at.q + d] = (float)(sum / total);
    }
}

rp_status rp_reference_attention_run(const rp_reference_attention *op, rp_error *err) {
    size_t longest = 0;
    for (size_t s = 0; s < op->sequences; s++)
        if (op->starts[s + 1] - op->starts[s] > longest) longest = op->starts[s + 1] - op->starts[s];
    double *scores = rp_new_array(double, longest);
    if (!scores) return rp_fail_memory(err, "attention scores", longest * sizeof *scores);
    for (size_t s = 0; s < op->sequences; s++)
        for (size_t query = op->starts[s]; query < op->starts[s + 1]; query++)
            for (size_t head = 0; head < op->heads; head++)
                attend(op, head, query, op->starts[s], op->starts[s + 1], scores);
    free(scores);
    return RP_OK;
}

/* ---- what models use it for ---- */

static rp_use_rank use(const rp_scope *scope, uint32_t n, rp_use *out) {
    static const uint32_t tried[] = {26, 32, 64, 128, 16, 48, 80, 96, 256}, compiled[] = {32, 64, 128};
    bool cpu = scope->caps->info.type == RP_DEVICE_CPU;
    const uint32_t *dims = scope->head_dim ? &scope->head_dim : scope->compile_only ? compiled : tried;
    uint32_t count = scope->head_dim       ? 1
                     : scope->compile_only ? RP_COUNT(compiled)
                     : cpu                 ? 4
                                           : RP_COUNT(tried);
    uint32_t halves = cpu && count > 2 ? 2 : count; /* it compiles float16 for long */
    if (n >= count + halves) return RP_RANK_NONE;
    *out = (rp_use){.head_dim = dims[n < count ? n : n - count],
                    .halves = n < count ? 0 : RP_HALF_X | RP_HALF_OUT};
    return RP_RANK_ALL;
}

/* ---- proof ---- */

enum { WHOLE, SLICED, CASES };
enum { HEADS = 2, LARGE_SEQUENCE = 2, SECOND_SLICE = 256 /* tiles, more than there are */ };
static const uint32_t starts_of[] = {0, 1, 34, 41, 106, 237};
enum { SEQUENCES = sizeof starts_of / sizeof starts_of[0] - 1, TOKENS = 237 };

typedef struct heads {
    uint32_t width; /* of all heads with their padding */
    float *qkv, *want, *scales;
} heads;

/* Scores of one sequence are so large that exp overflows unless the largest is subtracted first. */
static void fill_heads(const rp_proof *proof, heads *h) {
    bool exact = proof->kernel->rounding || proof->use.halves & RP_HALF_X;
    uint32_t head_dim = proof->use.head_dim, head = rp_head_width(head_dim), stride = 3 * h->width;
    for (uint32_t i = 0; i < TOKENS; i++) {
        bool large = i >= starts_of[LARGE_SEQUENCE] && i < starts_of[LARGE_SEQUENCE + 1];
        h->scales[i] = large ? 64 : 1;
        for (uint32_t c = 0; c < stride; c++) {
            uint32_t column = c % h->width;
            bool inside = column < HEADS * head && column % head < head_dim;
            float scale = large && c < h->width ? 64 : 1;
            h->qkv[i * stride + c] = inside ? scale * rp_proof_number(i * stride + c, exact) : 0;
        }
    }
}

/* The tiles of every sequence: of the first three in the first slice, where there are slices. */
static void cut(const rp_proof *proof, bool slices, uint32_t *tiles, uint32_t counts[RP_COUNT_KINDS]) {
    uint32_t some[2] = {0};
    for (uint32_t s = 0; s < SEQUENCES; s++)
        for (uint32_t q = 0; q < starts_of[s + 1] - starts_of[s]; q += proof->kernel->rows) {
            bool second = slices && s >= 3;
            uint32_t *tile = &tiles[2 * (second * SECOND_SLICE + some[second]++)];
            tile[0] = s;
            tile[1] = q;
        }
    counts[RP_COUNT_TOKENS] = TOKENS;
    counts[RP_COUNT_SEQUENCES] = some[0]; /* what a slice has is of any kind */
    counts[RP_COUNT_ROWS] = some[1];
    counts[RP_COUNT_TILES] = some[0] + some[1];
}

static rp_status run_heads(rp_proof *proof, const heads *h, bool slices, rp_error *err) {
    unsigned halves = proof->use.halves;
    rp_op op = {.heads = HEADS,
                .head_dim = proof->use.head_dim,
                .x = rp_proof_take(proof, rp_proof_bytes(TOKENS, 3 * h->width)),
                .list = rp_proof_take(proof, sizeof starts_of),
                .tiles = rp_proof_take(proof, 2 * SECOND_SLICE * 8),
                .out = rp_proof_take(proof, rp_proof_bytes(TOKENS + 1, h->width)),
                .halves = halves};
    uint32_t counts[RP_COUNT_KINDS];
    rp_status status = RP_OK;
    cut(proof, slices, rp_proof_seen(proof, op.tiles), counts);
    memcpy(rp_proof_seen(proof, op.list), starts_of, sizeof starts_of);
    rp_proof_send(proof, &(rp_proof_rows){op.x, TOKENS, 3 * h->width, 0, halves & RP_HALF_X}, h->qkv);
    for (uint32_t s = 0; !status && s <= slices; s++) {
        if (slices) op.slice = (rp_slice){s ? RP_COUNT_ROWS : RP_COUNT_SEQUENCES, s * SECOND_SLICE};
        status = rp_proof_record(proof, &op, err);
    }
    for (int again = 0; !status && again < 2; again++) status = rp_proof_run(proof, counts, err);
    if (!status)
        rp_proof_compare(proof, &(rp_proof_rows){op.out, TOKENS, h->width, 0, halves & RP_HALF_OUT}, h->want,
                         h->scales, NULL, TOKENS);
    return status;
}

/* Sequences of several odd lengths. */
static rp_status prove(rp_proof *proof, uint32_t n, rp_error *err) {
    uint32_t head_dim = proof->use.head_dim;
    heads h = {.width = rp_attention_width(HEADS, head_dim)};
    size_t all = (size_t)TOKENS * h.width;
    rp_status status;
    proof->difference->bound =
        rp_rounding_bound(proof->kernel->rounding) + (proof->use.halves & RP_HALF_OUT ? 1e-3 : 0);
    RP_TRY(rp_proof_open(proof, (all * 4 + h.width) * 4 + 2 * SECOND_SLICE * 8 + sizeof starts_of, 0, err));
    RP_TRY(rp_proof_floats(proof, 3 * all, &h.qkv, err));
    RP_TRY(rp_proof_floats(proof, all, &h.want, err));
    RP_TRY(rp_proof_floats(proof, TOKENS, &h.scales, err));
    fill_heads(proof, &h);
    rp_reference_attention reference = {.sequences = SEQUENCES,
                                        .heads = HEADS,
                                        .head_dim = head_dim,
                                        .head_stride = rp_head_width(head_dim),
                                        .starts = starts_of,
                                        .qkv = {h.qkv, 3 * (size_t)h.width},
                                        .width = h.width,
                                        .out = {h.want, h.width}};
    RP_TRY(rp_reference_attention_run(&reference, err));
    RP_TRY(run_heads(proof, &h, n == SLICED, err));
done:
    return status;
}

/* ---- tuning ---- */

enum {
    SMALL_HEADS = 128,    /* floats of all heads that are not worth measuring */
    TIMED_SEQUENCE = 128, /* tokens */
};

static bool is_tuned(const rp_caps *caps, const rp_op *op) {
    (void)caps;
    return op->heads * op->head_dim > SMALL_HEADS;
}

static rp_status tune(rp_tuning *t, const rp_op *op, const rp_kernel *kernel, double *seconds,
                      rp_error *err) {
    const rp_caps *caps = &t->owner->device->caps;
    uint32_t heads = op->heads, count = 0;
    double most = rp_tuning_work(caps) / (2.0 * TIMED_SEQUENCE * TIMED_SEQUENCE * op->head_dim);
    if (caps->info.type == RP_DEVICE_CPU && most < heads) heads = most < 1 ? 1 : (uint32_t)most;
    uint64_t floats = (uint64_t)TIMED_SEQUENCE * rp_attention_width(heads, op->head_dim);
    rp_status status = rp_tuning_buffers(t, 12 * floats, 4 * floats, 256 + TIMED_SEQUENCE * 8, err);
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
                    .heads = heads,
                    .head_dim = op->head_dim,
                    .x = rp_buffer_range(&t->x, 0, t->x.size),
                    .list = rp_buffer_range(&t->lists, 0, 256),
                    .tiles = rp_buffer_range(&t->lists, 256, t->lists.size - 256),
                    .out = rp_buffer_range(&t->out, 0, t->out.size),
                    .halves = op->halves,
                    .kernel = *kernel};
    status = rp_buffer_flush(t->owner->device, &t->lists, t->lists.size, err);
    return status ? status : rp_tuning_measure(t, seconds, err);
}

const rp_class rp_class_attention = {.name = "attention",
                                     .plan = plan,
                                     .record = record,
                                     .use = use,
                                     .cases = CASES,
                                     .prove = prove,
                                     .is_tuned = is_tuned,
                                     .tune = tune};
