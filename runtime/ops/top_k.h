/* The largest of many scores: blocks of them that hold at least as many as are wanted (top_k.c). */
#ifndef RP_OPS_TOP_K_H
#define RP_OPS_TOP_K_H

#include "ops/op.h"

enum {
    RP_TOP_K_BLOCK = 64,            /* scores */
    RP_TOP_K_WIDTH_MAX = 1 << 20,   /* scores of a row */
    RP_TOP_K_WANTED_MAX = 4096 + 32 /* what op->fixed is at most, where a row has so many blocks */
};

typedef enum rp_top_k_variant {
    RP_TOP_K_PEAKS = 0, /* the largest score of each block */
    RP_TOP_K_SELECT,    /* the blocks with the largest peaks, of equal ones the first */
} rp_top_k_variant;

static inline uint32_t rp_top_k_blocks(uint32_t width) {
    return (width + RP_TOP_K_BLOCK - 1) / RP_TOP_K_BLOCK;
}

#endif
