#include "ops/selection.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "ops/contest.h"
#include "ops/class.h"

enum { ROUNDS = 5 };             /* of measurements, in turn; all but the first of kernels near the best */
static const double NEAR = 1.15; /* times the best */

typedef struct candidates {
    const rp_op *op;
    rp_use use;
    rp_kernel kernels[RP_MAX_KERNELS];
    uint32_t count;
} candidates;

/* Is a kernel measured in this round? What else the machine does then meets those that are close alike. */
static bool is_due(const rp_tuning *tuning, rp_ops *ops, uint32_t round, double time) {
    if (!round) return rp_may_measure(ops);
    return time <= NEAR * tuning->best && rp_seconds() < ops->measuring_until && !ops->device->stopped;
}

/* The same candidates without an ending: their speeds stand for every other. */
static rp_use plan_bare(const rp_caps *caps, const candidates *c, rp_kernel bare[RP_MAX_KERNELS]) {
    rp_kernel all[RP_MAX_KERNELS];
    rp_use use = c->use;
    use.bias = use.residual = use.norm = false;
    use.activation = RP_OP_NONE;
    uint32_t count = c->op->class->plan(caps, &use, all);
    for (uint32_t i = 0; i < c->count; i++)
        for (uint32_t k = 0; k < count; k++)
            if (!strcmp(all[k].name, c->kernels[i].name)) bare[i] = all[k];
    return use;
}

static rp_status measure(rp_ops *ops, void *user, double times[RP_MAX_KERNELS], rp_error *err) {
    const candidates *c = user;
    const rp_class *class = c->op->class;
    rp_kernel bare[RP_MAX_KERNELS];
    rp_tuning tuning;
    rp_use bare_use = plan_bare(&ops->device->caps, c, bare);
    for (uint32_t i = 0; i < c->count; i++) times[i] = INFINITY;
    rp_status status = RP_OK;
    rp_tuning_open(&tuning, ops);
    for (uint32_t n = 0; !status && n < ROUNDS * c->count; n++) {
        uint32_t i = n % c->count;
        double time = INFINITY;
        rp_attempt trial;
        if (!is_due(&tuning, ops, n / c->count, times[i]) ||
            !rp_attempt_begin(&trial, ops->device, &(rp_attempted){class->name, bare[i].name, &bare_use}))
            continue;
        status = class->tune(&tuning, c->op, &bare[i], &time, err);
        bool refused = rp_refused(&tuning.harness.ops, status);
        if (time < times[i]) times[i] = time;
        rp_attempt_end(&trial, status, false);
        if (refused) status = RP_OK;
    }
    rp_tuning_close(&tuning);
    return status;
}

static rp_status verify(rp_ops *ops, void *user, uint32_t candidate, rp_difference *out, rp_error *err) {
    const candidates *c = user;
    return rp_prove(ops, c->op->class, &c->kernels[candidate], &c->use, out, err);
}

/* The one with the smallest tiles first, of all or of those with the first one's shader: quick to compile,
 * and nothing is lost on a few rows. Several products then share its pipeline. */
static void smallest_first(candidates *c, bool same_shader) {
    rp_kernel *kernels = c->kernels;
    uint32_t best = 0;
    for (uint32_t i = 1; i < c->count; i++)
        if ((!same_shader || !strcmp(kernels[i].key.shader, kernels[0].key.shader)) &&
            rp_kernel_tile(&kernels[i]) < rp_kernel_tile(&kernels[best]))
            best = i;
    rp_kernel first = kernels[best];
    memmove(kernels + 1, kernels, best * sizeof *kernels);
    kernels[0] = first;
}

/* What the speed of the candidates depends on. */
static void name_shape(const candidates *c, char out[RP_CONTEST_TEXT]) {
    const rp_op *op = c->op;
    const rp_matrix *w = op->w[0];
    snprintf(out, RP_CONTEST_TEXT,
             "format %d, halves %u, %u x %u, %u heads of %u, %s rows, at most %u, %u kernels",
             (int)c->use.formats[0], op->halves, w ? w->rows : 0, w ? w->k : 0, op->heads, op->head_dim,
             op->rows == RP_COUNT_TOKENS ? "all" : "some", op->most_rows, c->count);
}

/* Who says which of the candidates it is: rp_select, or a memory. */
typedef rp_status (*select_fn)(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err);

static rp_status choose_among(rp_ops *ops, candidates *c, select_fn select, rp_kernel *out, rp_error *err) {
    const rp_class *class = c->op->class;
    const rp_caps *caps = &ops->device->caps;
    rp_contest contest = {
        .op = class->name, .count = c->count, .verify = verify, .user = c, .tried = &c->use};
    if (class->is_tuned && class->is_tuned(caps, c->op))
        contest.measure = measure;
    else if (class->is_tuned)
        smallest_first(c, caps->info.type == RP_DEVICE_CPU);
    for (uint32_t i = 0; i < c->count; i++) {
        memcpy(contest.names[i], c->kernels[i].name, RP_KERNEL_NAME);
        contest.tiles[i] = rp_kernel_tile(&c->kernels[i]);
    }
    name_shape(c, contest.shape);
    rp_use_text(class, &c->use, contest.use);
    uint32_t chosen;
    rp_status status = select(ops, &contest, &chosen, err);
    if (!status) *out = c->kernels[chosen];
    return status;
}

/* For op->most_rows those candidates that give the same bits as the kernel for any number of rows. */
static rp_status choose(rp_ops *ops, rp_op *op, select_fn select, rp_error *err) {
    const rp_caps *caps = &ops->device->caps;
    candidates c = {.op = op, .use = rp_use_of(op)};
    c.count = op->class->plan(caps, &c.use, c.kernels);
    if (!c.count)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: heads of %u elements do not fit the shared memory of %s", op->class->name,
                       op->head_dim, caps->info.name);
    if (op->most_rows) {
        rp_op any = *op;
        uint32_t kept = 0;
        any.most_rows = 0;
        rp_status status = choose(ops, &any, select, err);
        if (status) return status;
        for (uint32_t i = 0; i < c.count; i++)
            if (rp_kernels_alike(&c.kernels[i], &any.kernel, &c.use)) c.kernels[kept++] = c.kernels[i];
        c.count = kept;
    }
    return choose_among(ops, &c, select, &op->kernel, err);
}

rp_status rp_op_select(rp_ops *ops, rp_op *op, rp_error *err) {
    return choose(ops, op, rp_select, err);
}

static rp_status recall(rp_ops *ops, const rp_contest *contest, uint32_t *out, rp_error *err) {
    if (rp_select_again(ops, contest, out)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT, "no kernel was chosen for %s, %s", contest->op, contest->use);
}

rp_status rp_op_recall(rp_ops *ops, rp_op *op, rp_error *err) {
    return choose(ops, op, recall, err);
}
