/* Weights and activations in 8 and 4 bits: how they are rounded. Pure and thread-safe. */
#ifndef RP_OPS_QUANTIZE_H
#define RP_OPS_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

enum { RP_INT4_GROUP = 32 }; /* weights that share one 4-bit scale */

/* The scale of weights whose largest magnitude is `largest`: it becomes 127. 0, which makes every weight 0,
 * when that is below what a scale can tell apart. */
float rp_int8_scale(float largest);

/* The integer, -127 to 127, whose product with `scale` is nearest to `w`. */
int8_t rp_int8_round(float w, float scale);

/* What a kernel with RP_ROUNDING_INT8 multiplies in the place of x [count]: every 32 neighbours as 8-bit
 * integers times one scale, by the formula of place_x in shaders/matmul_dot.comp. `out` may be `x`. */
void rp_int8_blocks(const float *x, size_t count, float *out);

/* Integers of -8 to 7 for one group, and their scale, which a BF16 holds exactly: those of the smallest
 * squared error among a few. The scale may be negative, and is 0 for a group of zeros. */
float rp_int4_quantize(const float w[RP_INT4_GROUP], int8_t q[RP_INT4_GROUP]);

#endif
