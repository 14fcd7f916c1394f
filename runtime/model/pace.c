#include "model/pace.h"

#include <math.h>

double rp_pace_most(const rp_pace *pace) {
    return pace->limit > 0 && pace->operation > 0 ? pace->limit / pace->operation : INFINITY;
}

double rp_pace_batch(const rp_pace *pace) {
    static const double SLOW = 4e-10; /* seconds: 2.5 billion operations a second */
    return pace->batch > 0 ? pace->batch / (pace->operation > 0 ? pace->operation : SLOW) : INFINITY;
}

double rp_steps_work(const rp_step *steps, uint32_t count) {
    double work = 0;
    for (uint32_t i = 0; i < count; i++) work += steps[i].work;
    return work;
}

uint32_t rp_pace_cut(const rp_pace *pace, const rp_step *steps, uint32_t count) {
    uint32_t n = 1;
    double most = rp_pace_most(pace), work = steps[0].work;
    while (n < count && (work += steps[n].work) <= most) n++;
    return n;
}

void rp_pace_learn(rp_pace *pace, double work, double seconds) {
    double allowed = fmin(rp_pace_most(pace), rp_pace_batch(pace));
    if (!(work > 0) || !(seconds > 0) || work < fmin(pace->known, allowed) / 2) return;
    double now = seconds / work;
    pace->operation = now > pace->operation ? now : (pace->operation + now) / 2;
    if (work > pace->known) pace->known = work;
}
