#include "model/pace.h"

#include <math.h>

double rp_pace_most(const rp_pace *pace) {
    return pace->limit > 0 && pace->operation > 0 ? pace->limit / pace->operation : INFINITY;
}

double rp_steps_work(const rp_steps *steps, uint32_t first, uint32_t count) {
    uint32_t end = first + count;
    double work = 0;
    if (first == 0 && count) work += steps->prologue;
    if (end > steps->layers + 1) work += steps->epilogue;
    uint32_t from = first ? first : 1, to = end > steps->layers + 1 ? steps->layers + 1 : end;
    return to > from ? work + (to - from) * steps->layer : work;
}

uint32_t rp_pace_cut(const rp_pace *pace, const rp_steps *steps, uint32_t first) {
    double most = rp_pace_most(pace);
    uint32_t count = 1, left = steps->layers + 2 - first;
    while (count < left && rp_steps_work(steps, first, count + 1) <= most) count++;
    return count;
}

void rp_pace_learn(rp_pace *pace, double work, double seconds) {
    if (!(work > 0) || !(seconds > 0) || work < pace->known / 2) return;
    double now = seconds / work;
    pace->operation = now > pace->operation ? now : (pace->operation + now) / 2;
    if (work > pace->known) pace->known = work;
}
