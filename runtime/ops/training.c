#include "ops/training.h"

static void mix(uint32_t v[4]) {
    for (int i = 0; i < 4; i++) v[i] = v[i] * 1664525u + 1013904223u;
    for (int round = 0; round < 2; round++) {
        v[0] += v[1] * v[3];
        v[1] += v[2] * v[0];
        v[2] += v[0] * v[1];
        v[3] += v[1] * v[2];
        for (int i = 0; !round && i < 4; i++) v[i] ^= v[i] >> 16;
    }
}

uint32_t rp_drop_threshold(float rate) {
    return (uint32_t)((double)rate * 4294967296.0);
}

float rp_keep_factor(float rate) {
    return 1 / (1 - rate);
}

void rp_kept(const rp_train_state *step, uint32_t place, float rate, const uint32_t element[4], float out[4]) {
    uint32_t v[4] = {step->seed[0], step->seed[1], step->step, step->layer * 256 + place};
    mix(v);
    v[0] ^= element[0] + step->first_row;
    for (int i = 1; i < 4; i++) v[i] ^= element[i];
    mix(v);
    for (int i = 0; i < 4; i++) out[i] = v[i] >= rp_drop_threshold(rate) ? rp_keep_factor(rate) : 0;
}
