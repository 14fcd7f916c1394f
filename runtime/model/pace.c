#include "model/pace.h"

#include <math.h>

double rp_pace_most(const rp_pace *pace) {
    return pace->limit > 0 && pace->operation > 0 ? pace->limit / pace->operation : INFINITY;
}

uint32_t rp_steps_count(const rp_steps *steps) {
    return steps->layers * steps->parts + 2;
}

static double work_of(const rp_steps *steps, uint32_t step) {
    if (step == 0) return steps->prologue;
    return step + 1 == rp_steps_count(steps) ? steps->epilogue : steps->part[(step - 1) % steps->parts];
}

double rp_steps_work(const rp_steps *steps, uint32_t first, uint32_t count) {
    double work = 0;
    for (uint32_t i = first; i < first + count; i++) work += work_of(steps, i);
    return work;
}

uint32_t rp_pace_cut(const rp_pace *pace, const rp_steps *steps, uint32_t first) {
    uint32_t count = 1, left = rp_steps_count(steps) - first;
    double most = rp_pace_most(pace), work = work_of(steps, first);
    while (count < left && (work += work_of(steps, first + count)) <= most) count++;
    return count;
}

uint32_t rp_pace_slice(const rp_pace *pace, double work, uint32_t rows, uint32_t unit, uint32_t most) {
    double limit = rp_pace_most(pace);
    if (!(work > limit)) return rows;
    uint32_t units = (rows + unit - 1) / unit, least = (units + most - 1) / most; /* units of a slice */
    double fit = floor(rows * (limit / 2 / work) / unit);
    return (fit > least ? (uint32_t)fit : least) * unit;
}

void rp_pace_learn(rp_pace *pace, double work, double seconds) {
    if (!(work > 0) || !(seconds > 0) || work < fmin(pace->known, rp_pace_most(pace)) / 2) return;
    double now = seconds / work;
    pace->operation = now > pace->operation ? now : (pace->operation + now) / 2;
    if (work > pace->known) pace->known = work;
}
