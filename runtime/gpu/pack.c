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
