/* The numbers of tokens for which a layer is recorded. A kernel that cuts a batch into tall tiles is the
 * fastest for many rows, and computes rows in vain where its last tile is not full. */
#ifndef RP_MODEL_WIDTHS_H
#define RP_MODEL_WIDTHS_H

#include <stdbool.h>

#include "ops/kernel.h"

/* A layer by the kernels that are the fastest for batches of `rows` tokens. */
typedef struct rp_width {
    uint32_t rows; /* 0: many */
    uint32_t tile; /* rows of the tallest tile of its products */
} rp_width;

typedef struct rp_widths {
    rp_width list[1 + RP_ROW_CLASSES]; /* [count], the first for many */
    uint32_t count;
    bool by_tiles; /* a layer takes as long as its tiles: a software driver runs one after another */
} rp_widths;

/* The one that serves a batch of so many tokens best. Pure, as the next one. */
uint32_t rp_width_for(const rp_widths *widths, uint32_t tokens);

/* The time of a layer for so many tokens, as a number of rows in tiles that are full. */
double rp_width_rows(const rp_widths *widths, uint32_t tokens);

#endif
