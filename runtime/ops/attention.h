/* Attention: how its operands lie. */
#ifndef RP_OPS_ATTENTION_H
#define RP_OPS_ATTENTION_H

#include "ops/matrix.h"

/* Floats of a row of Q, of K, of V and of the result. */
static inline uint32_t rp_attention_width(uint32_t heads, uint32_t head_dim) {
    return rp_padded(heads * rp_head_width(head_dim));
}

#endif
