#include "ops/quantize.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"

enum { BLOCK = 32 };                         /* activations that share one 8-bit scale */
static const float SMALLEST = 256 * FLT_MIN; /* below, a scale would be no normal number */

float rp_int8_scale(float largest) {
    float scale = largest / 127;
    if (largest < SMALLEST) return 0;
    return scale * 127 <= FLT_MAX ? scale : nextafterf(scale, 0);
}

int8_t rp_int8_round(float w, float scale) {
    if (scale == 0) return 0;
    long q = lrintf(w / scale);
    return (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
}

void rp_int8_blocks(const float *x, size_t count, float *out) {
    for (size_t at = 0; at < count; at += BLOCK) {
        size_t end = count - at < BLOCK ? count : at + BLOCK;
        float largest = 0;
        for (size_t i = at; i < end; i++) largest = fmaxf(largest, fabsf(x[i]));
        float inverse = largest > 0 ? 127 / largest : 0, scale = largest / 127;
        for (size_t i = at; i < end; i++) out[i] = nearbyintf(x[i] * inverse) * scale;
    }
}

/* To the nearest integer of -8 to 7. Adding 1.5 * 2^23 leaves no bits for a fraction. */
static inline float round4(float x) {
    x = x < -8 ? -8 : x > 7 ? 7 : x;
    return (x + 12582912.0f) - 12582912.0f;
}

/* The best scale when `w` (of magnitudes up to 1) times `inverse` is rounded, and how much of the sum of
 * squares it explains: the error is the rest. */
static float fit(const float *w, float inverse, float *explained) {
    float products[4] = {0}, squares[4] = {0}; /* four sums at a time */
    for (int i = 0; i < RP_INT4_GROUP; i += 4)
        for (int j = 0; j < 4; j++) {
            float q = round4(w[i + j] * inverse);
            products[j] += w[i + j] * q;
            squares[j] += q * q;
        }
    float product = (products[0] + products[1]) + (products[2] + products[3]);
    float square = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    *explained = product * product / square;
    return product / square;
}

float rp_int4_quantize(const float w[RP_INT4_GROUP], int8_t q[RP_INT4_GROUP]) {
    /* Where the largest weight goes: -8 is one step further than 7. Less cuts it off, for the others' good.
     */
    static const float places[] = {-8.4f, -8, -7.6f, -7.2f, -6.8f, -6.4f, -6, -5.6f};
    float unit[RP_INT4_GROUP], largest = 0, best = -1, scale = 0;
    memset(q, 0, RP_INT4_GROUP);
    for (int i = 0; i < RP_INT4_GROUP; i++)
        if (fabsf(w[i]) > fabsf(largest)) largest = w[i];
    if (fabsf(largest) < SMALLEST) return 0;
    for (int i = 0; i < RP_INT4_GROUP; i++) unit[i] = w[i] / largest;
    for (size_t i = 0; i < RP_COUNT(places); i++) {
        float explained, candidate = fit(unit, places[i], &explained);
        if (explained <= best) continue;
        best = explained;
        scale = candidate;
    }
    uint16_t bits = rp_float_to_bfloat(scale * largest);
    if (!(fabsf(8 * rp_bfloat_to_float(bits)) <= FLT_MAX)) bits--; /* the next one towards zero */
    scale = rp_bfloat_to_float(bits);
    for (int i = 0; i < RP_INT4_GROUP; i++) q[i] = (int8_t)round4(w[i] / scale);
    return scale;
}
