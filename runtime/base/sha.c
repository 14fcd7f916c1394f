#include "base/sha.h"

#include <stdio.h>
#include <string.h>

static uint32_t left(uint32_t x, unsigned by) {
    return x << by | x >> (32 - by);
}

static uint32_t right(uint32_t x, unsigned by) {
    return x >> by | x << (32 - by);
}

static uint32_t word_at(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void block_of_sha1(uint32_t state[8], const unsigned char *block) {
    static const uint32_t constants[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 16; i++) w[i] = word_at(block + 4 * i);
    for (int i = 16; i < 80; i++) w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20              ? (b & c) | (~b & d)
                     : i < 40 || i >= 60 ? b ^ c ^ d
                                         : (b & c) | (b & d) | (c & d);
        uint32_t next = left(a, 5) + f + e + constants[i / 20] + w[i];
        e = d, d = c, c = left(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* The first 32 bits of the fractions of the cube roots of the first 64 primes. */
static const uint32_t sha256_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* One round: `h` gets what becomes the first word, and `d` the fifth; the others keep their values under new
 * names. */
static inline void round_of_sha256(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f,
                                   uint32_t g, uint32_t *h, uint32_t add) {
    *h += (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + add;
    *d += *h;
    *h += (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
}

static void block_of_sha256(uint32_t state[8], const unsigned char *block) {
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 16; i++) w[i] = word_at(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t s0 = right(w[i - 15], 7) ^ right(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = right(w[i - 2], 17) ^ right(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    for (int i = 0; i < 64; i += 8) { /* after eight rounds each word has its old name */
        const uint32_t *k = sha256_constants + i, *v = w + i;
        round_of_sha256(a, b, c, &d, e, f, g, &h, k[0] + v[0]);
        round_of_sha256(h, a, b, &c, d, e, f, &g, k[1] + v[1]);
        round_of_sha256(g, h, a, &b, c, d, e, &f, k[2] + v[2]);
        round_of_sha256(f, g, h, &a, b, c, d, &e, k[3] + v[3]);
        round_of_sha256(e, f, g, &h, a, b, c, &d, k[4] + v[4]);
        round_of_sha256(d, e, f, &g, h, a, b, &c, k[5] + v[5]);
        round_of_sha256(c, d, e, &f, g, h, a, &b, k[6] + v[6]);
        round_of_sha256(b, c, d, &e, f, g, h, &a, k[7] + v[7]);
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void add_block(rp_sha *sha, const unsigned char *block) {
    if (sha->words == 5)
        block_of_sha1(sha->state, block);
    else
        block_of_sha256(sha->state, block);
}

void rp_sha1_begin(rp_sha *sha) {
    *sha = (rp_sha){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}, .words = 5};
}

void rp_sha256_begin(rp_sha *sha) {
    *sha = (rp_sha){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                              0x1f83d9ab, 0x5be0cd19},
                    .words = 8};
}

void rp_sha_add(rp_sha *sha, const void *data, size_t size) {
    const unsigned char *at = data;
    size_t waiting = sha->size % 64;
    sha->size += size;
    if (waiting) {
        size_t taken = size < 64 - waiting ? size : 64 - waiting;
        memcpy(sha->block + waiting, at, taken);
        if (waiting + taken < 64) return;
        add_block(sha, sha->block);
        at += taken;
        size -= taken;
    }
    for (; size >= 64; at += 64, size -= 64) add_block(sha, at);
    if (size) memcpy(sha->block, at, size);
}

void rp_sha_end(rp_sha *sha, char out[RP_SHA_TEXT]) {
    static const unsigned char padding[64] = {0x80};
    unsigned char length[8];
    uint64_t bits = sha->size * 8;
    size_t waiting = sha->size % 64;
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> (56 - 8 * i));
    rp_sha_add(sha, padding, waiting < 56 ? 56 - waiting : 120 - waiting);
    rp_sha_add(sha, length, sizeof length);
    for (unsigned i = 0; i < sha->words; i++) snprintf(out + 8 * i, 9, "%08x", (unsigned)sha->state[i]);
}
