#include "ops/tuning.h"

#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "ops/attempts.h"
#include "ops/class.h"

/* ---- one kernel ---- */

enum { REPEATS = 4, MOST_REPEATS = 64 }; /* measurements of one kernel; of all the best counts */
static const double LONGEST = 0.1;       /* seconds after which a kernel is measured no more */
static const double ENOUGH = 2e-3;       /* seconds after which a kernel has been measured enough */

double rp_tuning_work(const rp_caps *caps) {
    static const double of_software = 6e7, of_discrete = 2e10, of_others = 1e9;
    return caps->info.type == RP_DEVICE_CPU        ? of_software
           : caps->info.type == RP_DEVICE_DISCRETE ? of_discrete
                                                   : of_others;
}

rp_status rp_tuning_buffers(rp_tuning *t, uint64_t x, uint64_t out, uint64_t lists, rp_error *err) {
    rp_device *device = t->owner->device;
    rp_status status = RP_OK;
    if (t->x.handle) return RP_OK;
    RP_TRY(rp_harness_open(&t->harness, device, t->owner->pipelines, err));
    RP_TRY(rp_buffer_create(device, x, RP_MEMORY_DEVICE, "tuning", &t->x, err));
    RP_TRY(rp_buffer_create(device, out, RP_MEMORY_DEVICE, "tuning", &t->out, err));
    if (lists) RP_TRY(rp_buffer_create(device, lists, RP_MEMORY_INPUT, "tuning", &t->lists, err));
done:
    return status;
}

static void close_tuning(rp_tuning *t) {
    rp_device *device = t->owner->device;
    rp_buffer_destroy(device, &t->x);
    rp_buffer_destroy(device, &t->out);
    rp_buffer_destroy(device, &t->lists);
    rp_harness_close(&t->harness);
}

rp_status rp_tuning_measure(rp_tuning *t, double *seconds, rp_error *err) {
    bool cpu = t->owner->device->caps.info.type == RP_DEVICE_CPU;
    double each, spent = 0;
    rp_status status;
    *seconds = INFINITY;
    RP_TRY(rp_harness_begin(&t->harness, err));
    RP_TRY(rp_op_record((rp_op_target){&t->harness.ops, t->harness.commands}, &t->op, err));
    RP_TRY(rp_harness_end(&t->harness, err));
    RP_TRY(rp_harness_run(&t->harness, t->counts, &each, err)); /* the driver may compile here */
    for (int i = 0; i < REPEATS || (spent < ENOUGH && i < MOST_REPEATS); i++) {
        double worked = rp_cpu_seconds();
        RP_TRY(rp_harness_run(&t->harness, t->counts, &each, err));
        if (cpu) each = rp_cpu_seconds() - worked; /* whatever else the machine does */
        if (each < *seconds) *seconds = each;
        if (each > 4 * t->best) break;
        spent += each;
        if (spent > LONGEST && !cpu) break;
    }
done:
    return status;
}

/* ---- all candidates ---- */

enum { ROUNDS = 5 };              /* of measurements, in turn; all but the first of kernels near the best */
static const double NEAR = 1.15;  /* times the best */
static const double ALIKE = 1.02; /* times the best: two measurements of one kernel differ by so much */

/* True when a kernel is to be timed in this round. All those near the best are, in each round: what else the
 * machine does meanwhile slows them alike. */
static bool is_due(rp_tuning *t, uint32_t round, double time) {
    bool over = rp_seconds() >= t->until || rp_device_is_stopped(t->owner->device);
    if (!round) t->cut_short |= over;
    return !over && (!round || time <= NEAR * t->best);
}

/* Plan the same candidates without an epilogue: their speeds stand for all others. */
static rp_use plan_bare(const rp_caps *caps, const rp_candidates *c, rp_kernel bare[RP_MAX_KERNELS]) {
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

/* Infinite: a kernel that the driver refused, that may not be attempted, or for which no time was left. */
static rp_status measure(rp_tuning *t, const rp_candidates *c, double times[RP_MAX_KERNELS], rp_error *err) {
    rp_device *device = t->owner->device;
    const rp_class *class = c->op->class;
    rp_kernel bare[RP_MAX_KERNELS];
    rp_use use = plan_bare(&device->caps, c, bare);
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < c->count; i++) times[i] = INFINITY;
    for (uint32_t n = 0; !status && n < ROUNDS * c->count; n++) {
        uint32_t i = n % c->count;
        double time = INFINITY;
        rp_attempt attempt;
        if (!is_due(t, n / c->count, times[i])) continue;
        if (!rp_attempt_begin(&attempt, device, &(rp_attempted){class, bare[i].name, &use})) {
            t->cut_short |= device->apart; /* another process may show that it may be run */
            continue;
        }
        status = class->tune(t, c->op, &bare[i], &time, err);
        rp_attempt_end(&attempt, status, false);
        if (rp_pipelines_refused(t->owner->pipelines, status)) status = RP_OK;
        if (time < times[i]) times[i] = time;
        if (time < t->best) t->best = time;
    }
    return status;
}

/* The fastest first; but of those as fast as that one the one with the smallest tile, which is compiled
 * sooner and computes fewer rows in vain, and of these the one that the plan names first, so that other
 * products take the same. */
static void sort(rp_candidates *c, const double times[RP_MAX_KERNELS]) {
    rp_kernel planned[RP_MAX_KERNELS];
    uint32_t order[RP_MAX_KERNELS], best = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        uint32_t at = i;
        for (; at && times[i] < times[order[at - 1]]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    double alike = ALIKE * times[order[0]];
    for (uint32_t i = 1; i < c->count && isfinite(alike) && times[order[i]] <= alike; i++) {
        uint32_t tile = rp_kernel_tile(&c->kernels[order[i]]);
        uint32_t least = rp_kernel_tile(&c->kernels[order[best]]);
        if (tile < least || (tile == least && order[i] < order[best])) best = i;
    }
    uint32_t preferred = order[best];
    memmove(order + 1, order, best * sizeof *order);
    order[0] = preferred;
    memcpy(planned, c->kernels, sizeof planned);
    for (uint32_t i = 0; i < c->count; i++) c->kernels[i] = planned[order[i]];
}

/* Put the candidates in the order of a list that names each of them once. False: the list does not. */
static bool take_order(rp_candidates *c, char *list) {
    rp_kernel sorted[RP_MAX_KERNELS];
    uint32_t found = 0, seen = 0;
    char *rest = list;
    for (char *line = strtok_r(list, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        uint32_t i = 0;
        while (i < c->count && strcmp(c->kernels[i].name, line)) i++;
        if (i == c->count || seen >> i & 1) return false;
        seen |= 1u << i;
        sorted[found++] = c->kernels[i];
    }
    if (found == c->count) memcpy(c->kernels, sorted, found * sizeof *sorted);
    return found == c->count;
}

static void keep_order(rp_device *device, const char *entry, const rp_candidates *c) {
    char list[RP_MAX_KERNELS * (RP_KERNEL_NAME + 1)] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < c->count; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s\n", c->kernels[i].name);
    rp_device_remember(device, entry, list);
}

void rp_tuning_shape(const rp_op *op, char out[RP_SHAPE_TEXT]) {
    const rp_matrix *w = op->w[0];
    char variant[24] = "";
    if (op->variant) snprintf(variant, sizeof variant, ", variant %u", op->variant);
    snprintf(out, RP_SHAPE_TEXT, "format %d, halves %u, %u x %u, %u heads of %u, %s rows, at most %u%s",
             w ? (int)w->format : 0, op->halves, w ? w->rows : 0, w ? w->k : 0, op->heads, op->head_dim,
             op->rows == RP_COUNT_TOKENS ? "all" : "some", op->most_rows, variant);
}

rp_status rp_tune(rp_ops *ops, rp_candidates *c, rp_error *err) {
    rp_device *device = ops->device;
    const char *op = c->op->class->name;
    char shape[RP_SHAPE_TEXT], about[RP_SHAPE_TEXT + 20], entry[RP_ENTRY_NAME];
    double times[RP_MAX_KERNELS];
    rp_tuning_shape(c->op, shape);
    snprintf(about, sizeof about, "%s, %u kernels", shape, c->count);
    rp_device_entry(device, "tuning", op, about, entry);
    char *known = rp_device_recall(device, entry);
    bool taken = known && take_order(c, known);
    free(known);
    if (taken) return RP_OK;
    if (device->tuning.take) device->tuning.take(device->tuning.user, op);
    rp_tuning t = {
        .owner = ops, .best = INFINITY, .until = rp_seconds() + device->tuning_limit - ops->selecting};
    rp_status status = measure(&t, c, times, err);
    close_tuning(&t);
    if (status) return status;
    sort(c, times);
    if (!t.cut_short && isfinite(t.best)) keep_order(device, entry, c);
    return RP_OK;
}
