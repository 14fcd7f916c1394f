/* How wide rows are on the device. */
#ifndef RP_OPS_PADDING_H
#define RP_OPS_PADDING_H

#include <stdint.h>

enum { RP_PANEL = 32 }; /* rows of a weight matrix that lie side by side (matrix.h) */

/* `width` rounded up to whole panels: the row stride of every activation that wide, in floats. */
static inline uint32_t rp_padded(uint32_t width) {
    return (width + RP_PANEL - 1) / RP_PANEL * RP_PANEL;
}

/* The row stride of an activation that a product reads, in elements of `bytes`: `width`, and a panel more
 * where the 32 rows that a tile reads side by side would otherwise fall into few sets of a cache. */
static inline uint32_t rp_spread_stride(uint32_t width, uint32_t bytes) {
    uint32_t padded = rp_padded(width);
    return padded * bytes % 2048 ? padded : padded + RP_PANEL;
}

/* `head_dim` rounded up to whole vec4s: the columns of one attention head. */
static inline uint32_t rp_head_width(uint32_t head_dim) {
    return (head_dim + 3) / 4 * 4;
}

#endif
