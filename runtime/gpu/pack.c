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

/* ---- repetitions: a byte below REPEAT begins as many bytes and one more, as they are; another one is a
 * length, and a distance follows ---- */

enum { REPEAT = 0x80, SHORTEST = 4, LONGEST = SHORTEST + 0x7f, FARTHEST = 0x3fff };

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
    size_t used = 0, run = 0; /* where the length of the bytes as they are stands, and how many they are */
    for (size_t at = 0, distance = 0; at < size;) {
        size_t length = find(bytes, size, at, &distance);
        if (length) {
            out[used++] = (unsigned char)(REPEAT | (length - SHORTEST));
            used += put(out + used, (uint32_t)distance);
            at += length;
            run = 0;
            continue;
        }
        if (!run || run == REPEAT) {
            used++;
            run = 0;
        }
        out[used++] = bytes[at++];
        out[used - 2 - run] = (unsigned char)run;
        run++;
    }
    return used;
}

bool rp_bytes_grow(const unsigned char *shrunk, size_t size, unsigned char *out, size_t count) {
    const unsigned char *at = shrunk, *end = shrunk + size;
    size_t made = 0;
    while (at < end) {
        size_t first = *at++;
        uint32_t distance;
        if (first < REPEAT) {
            if (++first > (size_t)(end - at) || first > count - made) return false;
            while (first--) out[made++] = *at++;
            continue;
        }
        first = first - REPEAT + SHORTEST;
        if (!get(&at, end, &distance) || !distance || distance > made || first > count - made) return false;
        for (; first--; made++) out[made] = out[made - distance];
    }
    return made == count;
}
