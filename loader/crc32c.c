#include "loader/crc32c.h"

static uint32_t read_word(const unsigned char *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Table k holds what a byte becomes after k more zero bytes, so that eight bytes are taken at once. Made on
 * each use: it costs as much as a few kilobytes of data. */
static void make_crc_tables(uint32_t tables[8][256]) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) tables[k][i] = tables[k - 1][i] >> 8 ^ tables[0][tables[k - 1][i] & 255];
}

uint32_t rp_crc32c(const unsigned char *bytes, size_t size) {
    uint32_t t[8][256], crc = 0xffffffffu;
    make_crc_tables(t);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint32_t low = crc ^ read_word(bytes), high = read_word(bytes + 4);
        crc = t[7][low & 255] ^ t[6][low >> 8 & 255] ^ t[5][low >> 16 & 255] ^ t[4][low >> 24] ^
              t[3][high & 255] ^ t[2][high >> 8 & 255] ^ t[1][high >> 16 & 255] ^ t[0][high >> 24];
    }
    for (; size; size--) crc = crc >> 8 ^ t[0][(crc ^ *bytes++) & 255];
    return ~crc;
}
