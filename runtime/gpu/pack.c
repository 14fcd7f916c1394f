#include "gpu/pack.h"

enum { HEADER = 5, MORE = 0x80 };

static size_t put(unsigned char *out, uint32_t number) {
    size_t size = 0;
    for (; number >= MORE; number >>= 7) out[size++] = (unsigned char)(number | MORE);
    out[size++] = (unsigned char)number;
    return size;
}

/* False when the number does not end within the bytes, or within 32 bits. */
static bool get(const unsigned char **at, const unsigned char *end, uint32_t *number) {
    uint64_t value = 0;
    for (int shift = 0; *at < end && shift < 35; shift += 7) {
        unsigned char byte = *(*at)++;
        value |= (uint64_t)(byte & (MORE - 1)) << shift;
        if (byte & MORE) continue;
        *number = (uint32_t)value;
        return value <= UINT32_MAX;
    }
    return false;
}

size_t rp_spirv_pack(const uint32_t *words, size_t count, unsigned char *out) {
    size_t size = 0;
    for (size_t i = 0, instruction = HEADER; i < count; i++) {
        if (i < instruction) {
            size += put(out + size, words[i]);
            continue;
        }
        size += put(out + size, words[i] >> 16); // how many words the instruction has
        size += put(out + size, words[i] & 0xffff);
        instruction = i + (words[i] >> 16);
    }
    return size;
}

bool rp_spirv_unpack(const unsigned char *packed, size_t size, uint32_t *words, size_t count) {
    const unsigned char *at = packed, *end = packed + size;
    for (size_t i = 0, instruction = HEADER; i < count; i++) {
        uint32_t number, code;
        if (!get(&at, end, &number)) return false;
        if (i >= instruction) {
            if (!number || number > 0xffff || !get(&at, end, &code) || code > 0xffff) return false;
            instruction = i + number;
            number = number << 16 | code;
        }
        words[i] = number;
    }
    return at == end;
}

/* ---- repetitions: a byte holds how many bytes follow as they are, and how long what is repeated behind them
 * is, 15 or more with another number; then those bytes, then the distance. The last repetition may be missing
 * ---- */

enum { MANY = 15, SHORTEST = 4, LONGEST = 1 << 12, FARTHEST = 0x7fff };

/* The longest that stood before; length 0: none that is worth it. */
static size_t find(const unsigned char *bytes, size_t size, size_t at, size_t *distance) {
    size_t best = SHORTEST - 1, most = size - at < LONGEST ? size - at : LONGEST;
    for (size_t d = 1; d <= at && d <= FARTHEST; d++) {
        size_t n = 0;
        while (n < most && bytes[at - d + n] == bytes[at + n]) n++;
        if (n <= best) continue;
        best = n;
        *distance = d;
    }
    return best < SHORTEST ? 0 : best;
}

size_t rp_bytes_shrink(const unsigned char *bytes, size_t size, unsigned char *out) {
    size_t used = 0;
    for (size_t at = 0, begin = 0, distance = 0; at < size || begin < size;) {
        size_t length = at < size ? find(bytes, size, at, &distance) : 0, run = at - begin;
        if (at < size && !length) {
            at++;
            continue;
        }
        size_t more = length ? length - SHORTEST : 0;
        out[used++] = (unsigned char)((run < MANY ? run : MANY) << 4 | (more < MANY ? more : MANY));
        if (run >= MANY) used += put(out + used, (uint32_t)(run - MANY));
        if (more >= MANY) used += put(out + used, (uint32_t)(more - MANY));
        for (; begin < at; begin++) out[used++] = bytes[begin];
        if (length) used += put(out + used, (uint32_t)distance);
        begin = at += length;
        if (!length) break;
    }
    return used;
}

bool rp_bytes_grow(const unsigned char *shrunk, size_t size, unsigned char *out, size_t count) {
    const unsigned char *at = shrunk, *end = shrunk + size;
    size_t made = 0;
    while (at < end) {
        uint32_t run = *at >> 4, length = *at & MANY, more = 0, distance;
        at++;
        if (run == MANY && !get(&at, end, &more)) return false;
        if (more > count || (run += more) > count - made) return false;
        more = 0;
        if ((length == MANY && !get(&at, end, &more)) || run > (size_t)(end - at)) return false;
        while (run--) out[made++] = *at++;
        if (at == end) break;
        if (more > count || !get(&at, end, &distance)) return false;
        length += more + SHORTEST;
        if (!distance || distance > made || length > count - made) return false;
        for (; length--; made++) out[made] = out[made - distance];
    }
    return made == count;
}
