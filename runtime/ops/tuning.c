#include "ops/tuning.h"

#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { REPEATS = 4, MOST_REPEATS = 64 }; /* measurements of one kernel; of all the best counts */
static const double LONGEST = 0.1;       /* seconds after which a kernel is measured no more */
static const double ENOUGH = 2e-3;       /* seconds after which a kernel has been measured enough */

double rp_tuning_work(const rp_caps *caps) {
    static const double of_software = 6e7, of_discrete = 2e10, of_others = 1e9;
    return caps->info.type == RP_DEVICE_CPU        ? of_software
           : caps->info.type == RP_DEVICE_DISCRETE ? of_discrete
                                                   : of_others;
}

void rp_tuning_open(rp_tuning *t, rp_ops *owner) {
    *t = (rp_tuning){.owner = owner, .best = INFINITY};
}

void rp_tuning_close(rp_tuning *t) {
    if (!t->harness.device) return;
    rp_buffer_destroy(t->harness.device, &t->x);
    rp_buffer_destroy(t->harness.device, &t->out);
    rp_buffer_destroy(t->harness.device, &t->lists);
    rp_harness_close(&t->harness);
}

rp_status rp_tuning_buffers(rp_tuning *t, uint64_t x, uint64_t out, uint64_t lists, rp_error *err) {
    rp_device *device = t->owner->device;
    rp_status status = RP_OK;
    if (t->x.handle) return RP_OK;
    RP_TRY(rp_harness_open_for(&t->harness, t->owner, err));
    RP_TRY(rp_buffer_create(device, x, RP_MEMORY_DEVICE, "tuning", &t->x, err));
    RP_TRY(rp_buffer_create(device, out, RP_MEMORY_DEVICE, "tuning", &t->out, err));
    if (lists) RP_TRY(rp_buffer_create(device, lists, RP_MEMORY_INPUT, "tuning", &t->lists, err));
done:
    return status;
}

rp_status rp_tuning_measure(rp_tuning *t, double *seconds, rp_error *err) {
    bool cpu = t->harness.device->caps.info.type == RP_DEVICE_CPU;
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
    if (*seconds < t->best) t->best = *seconds;
done:
    return status;
}
