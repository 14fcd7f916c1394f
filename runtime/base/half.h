/* 16-bit floats to 32-bit, exactly. */
#ifndef RP_BASE_HALF_H
#define RP_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float rp_bits_to_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float rp_bfloat_to_float(uint16_t bits) {
    return rp_bits_to_float((uint32_t)bits << 16);
}

static inline float rp_half_to_float(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31, mantissa = bits & 1023;
    if (exponent == 31) return rp_bits_to_float(sign | 0x7f800000 | mantissa << 13);
    if (exponent) return rp_bits_to_float(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * (1.0f / 16777216.0f); /* subnormal: mantissa * 2^-24 */
    return sign ? -tiny : tiny;
}

#endif
