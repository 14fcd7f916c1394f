/* One function walks over a module, for packing and for unpacking: `step` takes a bit that is known and
 * writes it, or finds out which one it is. Each bit is written in as much of a bit as it was improbable at
 * its place: place means which opcode stood before, or which operand of which opcode it belongs to, and what
 * is known of the number so far. Result ids are written as differences to the largest before, other ids as
 * what they are where types and constants have them, or as distances from the largest before. So modules
 * whose ids are in the order of the module (tools/spirv_ids.h) take the least. */
#include "gpu/pack.h"

enum { HEADER = 5, PLACES = 8 /* of numbers of an opcode: so many operands have their own */ };

typedef struct coder {
    const uint32_t *from; /* packing: the words; NULL: this unpacks */
    uint32_t *to;         /* unpacking: where the words go */
    unsigned char *out;   /* packing: where the next byte goes */
    uint16_t *chances;  /* [1 << 16]: of a 1, in 1/4096, above the number of bits that it was learned from */
    uint32_t low, high; /* what the rest of the code may be */
    uint32_t code;      /* unpacking: the next 32 bits of it */
    const unsigned char *at, *end;
    bool short_of_bytes;
    uint32_t last;      /* the largest id so far */
    uint32_t globals;   /* the largest before the first function */
    uint32_t decorated; /* what the decoration before is about */
} coder;

static uint32_t next_byte(coder *c) {
    if (c->at < c->end) return *c->at++;
    c->short_of_bytes = true;
    return 0;
}

static void start(coder *c) {
    for (size_t i = 0; i < RP_SPIRV_SCRATCH / sizeof *c->chances; i++) c->chances[i] = 2048 << 4;
    c->high = UINT32_MAX;
    for (int i = 0; !c->from && i < 4; i++) c->code = c->code << 8 | next_byte(c);
}

/* The first bits of a context teach most. */
static void learn(uint16_t *chance, bool bit) {
    static const uint16_t shares[16] = {43690, 26214, 18724, 14563, 11915, 10082, 8738, 7710,
                                        6898,  6241,  5698,  5242,  4854,  4519,  4228, 3971}; /* of 65536 */
    uint32_t p = *chance >> 4, seen = *chance & 15;
    p = bit ? p + ((4095 - p) * shares[seen] >> 16) : p - (p * shares[seen] >> 16);
    *chance = (uint16_t)(p << 4 | (seen < 15 ? seen + 1 : seen));
}

static bool step(coder *c, uint32_t place, bool bit) {
    uint16_t *chance = &c->chances[place * 0x85EBCA6Bu >> 16];
    uint32_t p = *chance >> 4, middle = c->low + ((c->high - c->low) >> 12) * (p ? p : 1);
    if (!c->from) bit = c->code <= middle;
    if (bit)
        c->high = middle;
    else
        c->low = middle + 1;
    learn(chance, bit);
    for (; !((c->low ^ c->high) >> 24); c->low <<= 8, c->high = c->high << 8 | 0xff) {
        if (c->from)
            *c->out++ = (unsigned char)(c->high >> 24);
        else
            c->code = c->code << 8 | next_byte(c);
    }
    return bit;
}

/* How many digits number + 1 has after its first one, then these. */
static uint32_t code_number(coder *c, uint32_t place, uint32_t number) {
    uint64_t known = (uint64_t)number + 1, value = 1;
    uint32_t digits = 0;
    place *= 0x9E3779B1u;
    while (digits < 32 && step(c, place + digits, known >> 1 >> digits)) digits++;
    for (uint32_t i = digits; i--;) {
        uint32_t context = digits - i <= 12 ? (uint32_t)value : 0;
        value = value << 1 | step(c, place + (digits << 13) + context + 64, known >> i & 1);
    }
    return (uint32_t)(value - 1);
}

/* Which operand of an instruction has its result id, where the numbers of SPIR-V's specification put it: 1
 * behind a type. -1: none has. */
static int result_operand(uint32_t opcode) {
    enum { UNDEF = 1, IMPORT = 11, EXTENDED = 12, TYPE_VOID = 19, CONSTANT_TRUE = 41, STORE = 62 };
    enum { DECORATE = 71, MEMBER_DECORATE = 72, CONTROL_BARRIER = 224, MEMORY_BARRIER = 225 };
    enum { LOOP_MERGE = 246, LABEL = 248, RETURN_VALUE = 254 };
    if (opcode == UNDEF || opcode == EXTENDED) return 1;
    if (opcode < CONSTANT_TRUE) return opcode >= TYPE_VOID || opcode == IMPORT ? 0 : -1;
    if (opcode == LABEL) return 0;
    if (opcode == STORE || opcode == DECORATE || opcode == MEMBER_DECORATE || opcode == CONTROL_BARRIER ||
        opcode == MEMORY_BARRIER)
        return -1;
    return opcode >= LOOP_MERGE && opcode <= RETURN_VALUE ? -1 : 1;
}

/* Small for small differences of either sign. */
static uint32_t fold(uint32_t difference) {
    return difference << 1 ^ (difference >> 31 ? UINT32_MAX : 0);
}

static uint32_t unfold(uint32_t folded) {
    return folded >> 1 ^ (folded & 1 ? UINT32_MAX : 0);
}

/* An operand of an instruction in a function that is no result: most are ids. */
static uint32_t code_used(coder *c, uint32_t place, uint32_t word) {
    enum { IS_GLOBAL = 1 << 21, GLOBAL = 1 << 22 }; /* places */
    if (step(c, (place + IS_GLOBAL) * 0x9E3779B1u, word <= c->globals))
        return code_number(c, place + GLOBAL, word);
    word = c->last - unfold(code_number(c, place, fold(c->last - word)));
    if (word == c->last + 1) c->last = word; // a label that follows
    return word;
}

static uint32_t code_operand(coder *c, uint32_t opcode, int index, uint32_t word) {
    enum { FUNCTION = 54, DECORATE = 71, MEMBER_DECORATE = 72 };
    int result = result_operand(opcode);
    uint32_t place = opcode * PLACES + (uint32_t)(index < PLACES - 2 ? index : PLACES - 2);
    if (index == result) {
        word = c->last + 1 + unfold(code_number(c, place, fold(word - c->last - 1)));
        if (word > c->last) c->last = word;
        return word;
    }
    if (opcode == DECORATE || opcode == MEMBER_DECORATE) {
        if (index) return code_number(c, place, word);
        return c->decorated += unfold(code_number(c, place, fold(word - c->decorated)));
    }
    return opcode >= FUNCTION && index > result ? code_used(c, place, word) : code_number(c, place, word);
}

static uint32_t known(const coder *c, size_t i) {
    return c->from ? c->from[i] : 0;
}

static void found(coder *c, size_t i, uint32_t word) {
    if (c->to) c->to[i] = word;
}

/* False when the code is not that of `count` words in whole instructions. */
static bool code_module(coder *c, size_t count) {
    enum { WORD_COUNT = 7, NEXT = 1 << 20 }; /* places */
    enum { FUNCTION = 54 };
    uint32_t opcode = 0;
    size_t i = 0;
    for (; i < HEADER && i < count; i++) found(c, i, code_number(c, (uint32_t)i, known(c, i)));
    for (;;) {
        bool more = i < count;
        uint32_t first = more ? known(c, i) : 0;
        uint32_t next = code_number(c, NEXT + opcode, more ? (first & 0xffff) + 1 : 0); /* 0: the end */
        if (!next || next > 0x10000 || !more) return !next && !more;
        opcode = next - 1;
        if (opcode == FUNCTION && !c->globals) c->globals = c->last;
        uint32_t length = code_number(c, opcode * PLACES + WORD_COUNT, (first >> 16) - 1) + 1;
        if (!length || length > 0xffff || length > count - i || c->short_of_bytes) return false;
        found(c, i++, length << 16 | opcode);
        for (uint32_t k = 0; k < length - 1; k++, i++)
            found(c, i, code_operand(c, opcode, (int)k, known(c, i)));
    }
}

size_t rp_spirv_pack(const uint32_t *words, size_t count, unsigned char *out, void *scratch) {
    coder c = {.chances = scratch, .from = words, .out = out};
    start(&c);
    code_module(&c, count);
    for (int i = 0; i < 4; i++, c.low <<= 8) *c.out++ = (unsigned char)(c.low >> 24);
    return (size_t)(c.out - out);
}

bool rp_spirv_unpack(const unsigned char *packed, size_t size, uint32_t *words, size_t count, void *scratch) {
    coder c = {.chances = scratch, .at = packed, .end = packed + size, .to = words};
    start(&c);
    return code_module(&c, count) && !c.short_of_bytes && c.at == c.end;
}
