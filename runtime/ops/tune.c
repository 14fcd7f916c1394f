#include "ops/tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/choice.h"
#include "ops/timer.h"

enum {
    SMALL = 1 << 16,     /* elements of a w that is not worth measuring */
    SMALL_CPU = 1 << 17, /* on a software driver, which compiles for up to a second first */
    SMALL_HEADS = 128,   /* floats of all heads, likewise */
    TIMED_ROWS = 128,    /* of a batch of texts, on a software driver */
    TIMED_ROWS_DISCRETE = 1024,
    TIMED_ROWS_OTHER = 256,
    TIMED_ROWS_THIN = 8,  /* of what a head works on */
    TIMED_SEQUENCE = 128, /* tokens, for attention */
    ROUNDS = 5,           /* of measurements, in turn; all but the first of kernels near the best */
    REPEATS = 4,          /* measurements of one kernel in a round; of all the best counts */
    MOST_REPEATS = 64,
};
static const double CPU_WORK = 6e7; /* multiply-adds of one measurement on a software driver */
static const double DISCRETE_WORK = 2e10, OTHER_WORK = 1e9; /* on a card of its own; on any other GPU */
static const double NEAR = 1.15;                            /* times the best */
static const double LONGEST = 0.1; /* seconds after which a kernel is measured no more */
static const double ENOUGH = 2e-3; /* seconds after which a kernel has been measured enough */

/* ---- timing: a device set up to run one operator on x ---- */

typedef struct rig {
    rp_timer timer;
    rp_buffer x, out;
    double best; /* seconds, of the kernels before */
} rig;

static void rig_close(rig *r) {
    if (!r->timer.device) return;
    rp_buffer_destroy(r->timer.device, &r->x);
    rp_buffer_destroy(r->timer.device, &r->out);
    rp_timer_close(&r->timer);
}

/* With x and out of so many bytes. Closed by the caller also on failure. */
static rp_status rig_open(rig *r, rp_ops *owner, uint64_t x, uint64_t out, rp_error *err) {
    rp_device *device = owner->device;
    rp_status status;
    *r = (rig){.best = INFINITY};
    RP_TRY(rp_timer_open_for(&r->timer, owner, err));
    RP_TRY(rp_buffer_create(device, x, RP_MEMORY_DEVICE, "tuning", &r->x, err));
    RP_TRY(rp_buffer_create(device, out, RP_MEMORY_DEVICE, "tuning", &r->out, err));
done:
    return status;
}

/* The least time of what was recorded, in seconds; gives up on a kernel that is far behind the best. */
static rp_status measure(rig *r, const uint32_t counts[RP_COUNT_KINDS], double *out, rp_error *err) {
    bool cpu = r->timer.device->caps.info.type == RP_DEVICE_CPU;
    double each, spent = 0;
    rp_status status;
    *out = INFINITY;
    RP_TRY(rp_timer_end(&r->timer, err));
    RP_TRY(rp_timer_run(&r->timer, counts, &each, err)); /* the driver may compile here */
    for (int i = 0; i < REPEATS || (spent < ENOUGH && i < MOST_REPEATS); i++) {
        double worked = rp_cpu_seconds();
        RP_TRY(rp_timer_run(&r->timer, counts, &each, err));
        if (cpu) each = rp_cpu_seconds() - worked; /* whatever else the machine does */
        if (each < *out) *out = each;
        if (each > 4 * r->best) break;
        spent += each;
        if (spent > LONGEST && !cpu) break;
    }
    if (*out < r->best) r->best = *out;
done:
    return status;
}

/* Is a kernel measured in this round? What else the machine does then meets those that are close alike. */
static bool is_due(const rig *r, rp_ops *ops, uint32_t round, double time) {
    if (!round) return rp_may_measure(ops);
    return time <= NEAR * r->best && rp_seconds() < ops->measuring_until && !ops->device->stopped;
}

static rp_op_target target_of(rig *r) {
    return (rp_op_target){&r->timer.ops, r->timer.commands};
}

/* ---- matmul ---- */

typedef struct matmul_contest {
    const rp_matmul *op;
    uint32_t rows; /* that are timed */
    rp_ending ending;
    rp_matmul_kernel kernels[RP_MAX_KERNELS];
    uint32_t count;
} matmul_contest;

/* The first chunk of `w`, and no more of it than a slow device multiplies in a moment. */
static rp_matrix part_of(const rp_matrix *w, const rp_caps *caps, uint32_t rows, rp_matrix_chunk *chunk) {
    rp_matrix part = *w;
    double work = caps->info.type == RP_DEVICE_CPU        ? CPU_WORK
                  : caps->info.type == RP_DEVICE_DISCRETE ? DISCRETE_WORK
                                                          : OTHER_WORK;
    double panels = work / ((double)rows * w->k * RP_PANEL);
    *chunk = w->chunks[0];
    uint32_t most = panels < 4 ? 4 : panels < chunk->panels ? (uint32_t)panels : chunk->panels;
    if (most < chunk->panels) chunk->panels = most;
    part.rows = chunk->panels * RP_PANEL;
    part.chunks = chunk;
    part.chunk_count = 1;
    return part;
}

static rp_status measure_matmul(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    matmul_contest *c = user;
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = c->rows};
    rp_matrix_chunk chunk;
    rp_matrix part = part_of(c->op->w, &ops->device->caps, c->rows, &chunk);
    rig r;
    uint32_t x_stride = c->op->x_stride ? c->op->x_stride : part.k;
    uint64_t x = (c->op->halves & RP_HALF_X ? 2ull : 4) * c->rows * x_stride;
    rp_status status = rig_open(&r, ops, x, 4ull * c->rows * part.rows, err);
    for (uint32_t n = 0; !status && n < ROUNDS * c->count; n++) {
        uint32_t i = n % c->count;
        double time = INFINITY;
        rp_matmul op = {.label = "tuning",
                        .x = rp_buffer_range(&r.x, 0, r.x.size),
                        .x_stride = x_stride,
                        .w = &part,
                        .out = rp_buffer_range(&r.out, 0, r.out.size),
                        .halves = c->op->halves};
        char name[RP_KERNEL_NAME];
        rp_trial trial;
        rp_name_matmul(&c->kernels[i], name);
        if (n < c->count) times[i] = INFINITY;
        if (!is_due(&r, ops, n / c->count, times[i]) || !rp_trial_begin(&trial, ops->device, "matmul", name))
            continue;
        status = rp_timer_begin(&r.timer, err);
        if (!status) status = rp_op_matmul_with(target_of(&r), &op, &c->kernels[i], err);
        bool refused = rp_refused(&r.timer.ops, status);
        if (!status) status = measure(&r, counts, &time, err);
        if (time < times[i]) times[i] = time;
        rp_trial_end(&trial, status, false);
        if (refused) status = RP_OK;
    }
    rig_close(&r);
    return status;
}

static rp_status verify_matmul(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out, rp_error *err) {
    matmul_contest *c = user;
    return rp_verify_matmul(ops, &c->kernels[candidate], c->op->w->format, &c->ending, out, err);
}

/* The one with the smallest tiles first, of all or of those with the first one's shader: quick to compile,
 * and nothing is lost on a few rows. Several products then share its pipeline. */
static void smallest_first(rp_matmul_kernel *kernels, uint32_t count, bool same_shader) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if ((!same_shader || !strcmp(kernels[i].shader, kernels[0].shader)) &&
            rp_kernel_rows(&kernels[i]) * rp_kernel_columns(&kernels[i]) <
                rp_kernel_rows(&kernels[best]) * rp_kernel_columns(&kernels[best]))
            best = i;
    rp_matmul_kernel first = kernels[best];
    memmove(kernels + 1, kernels, best * sizeof *kernels);
    kernels[0] = first;
}

/* Leave those that give the same bits as `kernel`, which is one of them. */
static void keep_alike(matmul_contest *c, const rp_matmul_kernel *kernel) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->count; i++)
        if (rp_same_bits(&c->kernels[i], kernel, c->ending.norm)) c->kernels[kept++] = c->kernels[i];
    c->count = kept;
}

/* Rows that a kernel of `op` is timed with. */
static uint32_t timed_rows(const rp_ops *ops, const rp_matmul *op) {
    const rp_caps *caps = &ops->device->caps;
    if (op->rows != RP_COUNT_TOKENS) return TIMED_ROWS_THIN;
    if (ops->few) return rp_plan_few_rows(caps);
    return caps->info.type == RP_DEVICE_CPU        ? TIMED_ROWS
           : caps->info.type == RP_DEVICE_DISCRETE ? TIMED_ROWS_DISCRETE
                                                   : TIMED_ROWS_OTHER;
}

/* Of the first `count` of c->kernels. */
static rp_status choose_matmul(rp_ops *ops, matmul_contest *c, rp_matmul_kernel *out, rp_error *err) {
    const rp_matmul *op = c->op;
    const rp_matrix *w = op->w;
    rp_contest contest = {.op = "matmul", .count = c->count, .verify = verify_matmul, .user = c};
    bool cpu = ops->device->caps.info.type == RP_DEVICE_CPU;
    uint64_t elements = (uint64_t)w->rows * w->k;
    bool once = op->rows == RP_COUNT_SEQUENCES; /* in a run, behind the layers */
    if (elements <= SMALL || (cpu && (elements <= SMALL_CPU || once)))
        smallest_first(c->kernels, c->count, cpu);
    else
        contest.measure = measure_matmul;
    for (uint32_t i = 0; i < c->count; i++) {
        rp_name_matmul(&c->kernels[i], contest.names[i]);
        contest.tiles[i] = rp_kernel_rows(&c->kernels[i]) * rp_kernel_columns(&c->kernels[i]);
    }
    snprintf(contest.shape, sizeof contest.shape, "format %d, halves %u, %u x %u, %u rows, %u kernels",
             (int)w->format, op->halves, w->rows, w->k, c->rows, c->count);
    snprintf(contest.use, sizeof contest.use, "format %d, halves %u, activation %d%s%s%s", (int)w->format,
             op->halves, (int)op->activation, c->ending.bias ? ", bias" : "",
             c->ending.residual ? ", residual" : "", c->ending.norm ? ", norm" : "");
    uint32_t chosen;
    rp_status status = rp_select(ops, &contest, &chosen, err);
    if (!status) *out = c->kernels[chosen];
    return status;
}

rp_status rp_tune_matmul(rp_ops *ops, const rp_matmul *op, rp_matmul_kernel *out, rp_error *err) {
    const rp_matrix *w = op->w;
    matmul_contest c = {
        .op = op,
        .rows = timed_rows(ops, op),
        .ending = {op->activation, op->bias.buffer, op->residual.buffer, op->norm.buffer, op->halves}};
    uint64_t texels = op->x.size / (op->halves & RP_HALF_X ? 8 : 16);
    for (uint32_t i = 0; i < w->chunk_count; i++) {
        uint64_t of_w = rp_matrix_texels(w, w->chunks[i].panels);
        if (of_w > texels) texels = of_w;
    }
    c.count = rp_plan_matmul(&ops->device->caps, w->format, op->halves, texels, c.kernels);
    if (ops->few) {
        rp_matmul_kernel many;
        ops->few = false;
        rp_status status = rp_tune_matmul(ops, op, &many, err);
        ops->few = true;
        if (status) return status;
        keep_alike(&c, &many);
    }
    return choose_matmul(ops, &c, out, err);
}

/* ---- attention ---- */

typedef struct attention_contest {
    uint32_t heads, head_dim;
    unsigned halves;
    rp_attention_kernel kernels[RP_MAX_KERNELS];
    uint32_t count;
} attention_contest;

static rp_status record_attention(rig *r, const attention_contest *c, uint32_t heads,
                                  const rp_attention_kernel *kernel, rp_buffer *lists,
                                  uint32_t counts[RP_COUNT_KINDS], rp_error *err) {
    uint32_t *starts = lists->mapped, *tiles = starts + 64, count = 0;
    starts[0] = 0;
    starts[1] = TIMED_SEQUENCE;
    for (uint32_t q = 0; q < TIMED_SEQUENCE; q += kernel->queries) {
        tiles[2 * count] = 0;
        tiles[2 * count++ + 1] = q;
    }
    counts[RP_COUNT_TOKENS] = TIMED_SEQUENCE;
    counts[RP_COUNT_SEQUENCES] = 1;
    counts[RP_COUNT_TILES] = count;
    rp_attention op = {.heads = heads,
                       .head_dim = c->head_dim,
                       .kernel = kernel,
                       .qkv = rp_buffer_range(&r->x, 0, r->x.size),
                       .starts = rp_buffer_range(lists, 0, 256),
                       .tiles = rp_buffer_range(lists, 256, lists->size - 256),
                       .out = rp_buffer_range(&r->out, 0, r->out.size),
                       .halves = c->halves};
    rp_status status;
    RP_TRY(rp_buffer_flush(r->timer.device, lists, lists->size, err));
    RP_TRY(rp_timer_begin(&r->timer, err));
    RP_TRY(rp_op_attention(target_of(r), &op, err));
done:
    return status;
}

static rp_status measure_attention(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    const attention_contest *c = user;
    uint32_t heads = c->heads, counts[RP_COUNT_KINDS] = {0};
    double most = CPU_WORK / (2.0 * TIMED_SEQUENCE * TIMED_SEQUENCE * c->head_dim);
    if (ops->device->caps.info.type == RP_DEVICE_CPU && most < heads) heads = most < 1 ? 1 : (uint32_t)most;
    uint64_t floats = (uint64_t)TIMED_SEQUENCE * rp_attention_width(heads, c->head_dim);
    rp_buffer lists = {0};
    rig r;
    rp_status status = rig_open(&r, ops, 12 * floats, 4 * floats, err);
    if (!status)
        status =
            rp_buffer_create(ops->device, 256 + TIMED_SEQUENCE * 8, RP_MEMORY_INPUT, "tuning", &lists, err);
    for (uint32_t n = 0; !status && n < ROUNDS * c->count; n++) {
        uint32_t i = n % c->count;
        double time = INFINITY;
        char name[RP_KERNEL_NAME];
        rp_trial trial;
        rp_name_attention(&c->kernels[i], name);
        if (n < c->count) times[i] = INFINITY;
        if (!is_due(&r, ops, n / c->count, times[i]) ||
            !rp_trial_begin(&trial, ops->device, "attention", name))
            continue;
        status = record_attention(&r, c, heads, &c->kernels[i], &lists, counts, err);
        bool refused = rp_refused(&r.timer.ops, status);
        if (!status) status = measure(&r, counts, &time, err);
        if (time < times[i]) times[i] = time;
        rp_trial_end(&trial, status, false);
        if (refused) status = RP_OK;
    }
    rp_buffer_destroy(ops->device, &lists);
    rig_close(&r);
    return status;
}

static rp_status verify_attention(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out,
                                  rp_error *err) {
    const attention_contest *c = user;
    return rp_verify_attention(ops, &c->kernels[candidate], c->head_dim, c->halves, out, err);
}

rp_status rp_tune_attention(rp_ops *ops, uint32_t heads, uint32_t head_dim, unsigned halves, uint64_t texels,
                            rp_attention_kernel *out, rp_error *err) {
    attention_contest c = {.heads = heads, .head_dim = head_dim, .halves = halves};
    rp_contest contest = {.op = "attention", .verify = verify_attention, .user = &c};
    const rp_caps *caps = &ops->device->caps;
    contest.count = c.count = rp_plan_attention(caps, head_dim, halves, texels, c.kernels);
    if (!c.count)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "heads of %u elements do not fit the shared memory of %s",
                       head_dim, caps->info.name);
    if (heads * head_dim > SMALL_HEADS) contest.measure = measure_attention;
    for (uint32_t i = 0; i < c.count; i++) {
        rp_name_attention(&c.kernels[i], contest.names[i]);
        contest.tiles[i] = c.kernels[i].queries;
    }
    snprintf(contest.shape, sizeof contest.shape, "%u heads of %u, halves %u, %u kernels", heads, head_dim,
             halves, c.count);
    snprintf(contest.use, sizeof contest.use, "heads of %u, halves %u", head_dim, halves);
    uint32_t chosen;
    rp_status status = rp_select(ops, &contest, &chosen, err);
    if (!status) *out = c.kernels[chosen];
    return status;
}

/* ---- row by row ---- */

typedef struct norm_contest {
    rp_row_kernel kernels[RP_MAX_KERNELS];
    unsigned halves;
} norm_contest;

static rp_status verify_layernorm(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out,
                                  rp_error *err) {
    const norm_contest *c = user;
    return rp_verify_layernorm(ops, &c->kernels[candidate], c->halves, out, err);
}

rp_status rp_tune_layernorm(rp_ops *ops, unsigned halves, uint64_t texels, rp_row_kernel *out,
                            rp_error *err) {
    norm_contest c = {.halves = halves};
    rp_contest contest = {.op = "layer norm",
                          .count = rp_plan_layernorm(&ops->device->caps, texels, c.kernels),
                          .verify = verify_layernorm,
                          .user = &c};
    for (uint32_t i = 0; i < contest.count; i++)
        snprintf(contest.names[i], RP_KERNEL_NAME, "%s %u", c.kernels[i].shader, c.kernels[i].lanes);
    snprintf(contest.use, sizeof contest.use, "halves %u", halves);
    uint32_t chosen;
    rp_status status = rp_select(ops, &contest, &chosen, err);
    if (!status) *out = c.kernels[chosen];
    return status;
}

/* One kernel, which is right or there is an error. */
static rp_status choose_only(rp_ops *ops, rp_contest *contest, rp_error *err) {
    uint32_t chosen;
    contest->count = 1;
    snprintf(contest->names[0], RP_KERNEL_NAME, "%s %u", contest->op, ops->lanes);
    return ops->verifying ? RP_OK : rp_select(ops, contest, &chosen, err);
}

static rp_status verify_embed(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out, rp_error *err) {
    (void)candidate;
    return rp_verify_embed(ops, user, out, err);
}

static rp_status verify_gather(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out, rp_error *err) {
    (void)candidate;
    return rp_verify_gather(ops, *(const unsigned *)user, out, err);
}

static rp_status verify_pool(rp_ops *ops, void *user, uint32_t candidate, rp_verdict *out, rp_error *err) {
    (void)candidate;
    return rp_verify_pool(ops, *(const unsigned *)user, out, err);
}

rp_status rp_tune_embed(rp_ops *ops, const rp_format formats[3], rp_error *err) {
    rp_contest contest = {.op = "embed", .verify = verify_embed, .user = (void *)formats};
    snprintf(contest.use, sizeof contest.use, "formats %d %d %d", (int)formats[0], (int)formats[1],
             (int)formats[2]);
    return choose_only(ops, &contest, err);
}

rp_status rp_tune_gather(rp_ops *ops, unsigned halves, rp_error *err) {
    rp_contest contest = {.op = "gather", .verify = verify_gather, .user = &halves};
    snprintf(contest.use, sizeof contest.use, "halves %u", halves);
    return choose_only(ops, &contest, err);
}

rp_status rp_tune_pool(rp_ops *ops, unsigned halves, rp_error *err) {
    rp_contest contest = {.op = "pool", .verify = verify_pool, .user = &halves};
    snprintf(contest.use, sizeof contest.use, "halves %u", halves);
    return choose_only(ops, &contest, err);
}
