#include "ops/sample.h"

#include <math.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { REPEATS = 4, MOST_REPEATS = 64 }; /* measurements of one kernel; of all the best counts */
static const double LONGEST = 0.1;       /* seconds after which a kernel is measured no more */
static const double ENOUGH = 2e-3;       /* seconds after which a kernel has been measured enough */

double rp_sample_work(const rp_caps *caps) {
    static const double of_software = 6e7, of_discrete = 2e10, of_others = 1e9;
    return caps->info.type == RP_DEVICE_CPU        ? of_software
           : caps->info.type == RP_DEVICE_DISCRETE ? of_discrete
                                                   : of_others;
}

rp_status rp_sample_open(rp_sample *s, rp_ops *owner, rp_error *err) {
    *s = (rp_sample){.best = INFINITY};
    return rp_timer_open_for(&s->timer, owner, err);
}

void rp_sample_close(rp_sample *s) {
    if (!s->timer.device) return;
    rp_buffer_destroy(s->timer.device, &s->x);
    rp_buffer_destroy(s->timer.device, &s->out);
    rp_buffer_destroy(s->timer.device, &s->lists);
    rp_timer_close(&s->timer);
}

rp_status rp_sample_buffers(rp_sample *s, uint64_t x, uint64_t out, uint64_t lists, rp_error *err) {
    rp_device *device = s->timer.device;
    rp_status status = RP_OK;
    if (s->x.handle) return RP_OK;
    RP_TRY(rp_buffer_create(device, x, RP_MEMORY_DEVICE, "tuning", &s->x, err));
    RP_TRY(rp_buffer_create(device, out, RP_MEMORY_DEVICE, "tuning", &s->out, err));
    if (lists) RP_TRY(rp_buffer_create(device, lists, RP_MEMORY_INPUT, "tuning", &s->lists, err));
done:
    return status;
}

rp_status rp_sample_measure(rp_sample *s, double *out, rp_error *err) {
    bool cpu = s->timer.device->caps.info.type == RP_DEVICE_CPU;
    double each, spent = 0;
    rp_status status;
    *out = INFINITY;
    RP_TRY(rp_timer_begin(&s->timer, err));
    RP_TRY(rp_op_record((rp_op_target){&s->timer.ops, s->timer.commands}, &s->op, err));
    RP_TRY(rp_timer_end(&s->timer, err));
    RP_TRY(rp_timer_run(&s->timer, s->counts, &each, err)); /* the driver may compile here */
    for (int i = 0; i < REPEATS || (spent < ENOUGH && i < MOST_REPEATS); i++) {
        double worked = rp_cpu_seconds();
        RP_TRY(rp_timer_run(&s->timer, s->counts, &each, err));
        if (cpu) each = rp_cpu_seconds() - worked; /* whatever else the machine does */
        if (each < *out) *out = each;
        if (each > 4 * s->best) break;
        spent += each;
        if (spent > LONGEST && !cpu) break;
    }
    if (*out < s->best) s->best = *out;
done:
    return status;
}
