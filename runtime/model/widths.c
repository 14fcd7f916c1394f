#include "model/widths.h"

/* What a tile takes, as a number of rows: it loads the weights too, in the time of LOADS rows. */
static double cost(const rp_width *width, uint32_t tokens) {
    enum { LOADS = 8 };
    uint32_t tiles = (tokens + width->tile - 1) / width->tile;
    return (double)tiles * (width->tile + LOADS);
}

uint32_t rp_width_for(const rp_widths *widths, uint32_t tokens) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < widths->count; i++) {
        const rp_width *width = &widths->list[i];
        bool better = widths->by_tiles ? cost(width, tokens) < cost(&widths->list[best], tokens)
                                       : tokens <= width->rows && !best;
        if (better) best = i;
    }
    return best;
}

double rp_width_rows(const rp_widths *widths, uint32_t tokens) {
    const rp_width *many = &widths->list[0];
    if (!widths->by_tiles) return tokens;
    return cost(&widths->list[rp_width_for(widths, tokens)], tokens) * many->tile / cost(many, many->tile);
}
