/* 16-bit floats to 32-bit, exactly; and back, to the nearest (ties to even). */
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

static inline uint32_t rp_float_to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint16_t rp_float_to_bfloat(float value) {
    uint32_t bits = rp_float_to_bits(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40); /* stays a NaN */
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline uint16_t rp_float_to_half(float value) {
    uint32_t bits = rp_float_to_bits(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000) return (uint16_t)(sign | 0x7e00);  /* NaN */
    if (rest >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* rounds to infinity */
    if (rest < 0x38800000) {                                  /* subnormal: adding 0.5 rounds at 2^-24 */
        float tiny = rp_bits_to_float(rest) + 0.5f;
        return (uint16_t)(sign | (rp_float_to_bits(tiny) - 0x3f000000));
    }
    return (uint16_t)(sign | ((rest - 0x38000000 + 0xfff + (rest >> 13 & 1)) >> 13));
}

#endif
