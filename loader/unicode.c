#include "loader/unicode.h"

#include "base/alloc.h"
#include "loader/unicode_tables.h"
#include "loader/utf8.h"

bool rp_chars_push(rp_chars *chars, uint32_t code, uint32_t start, uint32_t end) {
    if (chars->count == chars->capacity &&
        !rp_grow((void **)&chars->items, &chars->capacity, chars->count + 1, sizeof *chars->items))
        return false;
    chars->items[chars->count++] = (rp_char){code, start, end};
    return true;
}

size_t rp_utf8_check(const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t step = rp_utf8_sequence((const unsigned char *)text + at, size - at);
        if (!step) return at;
        at += step;
    }
    return size;
}

uint32_t rp_utf8_next(const char *text, size_t *at) {
    const unsigned char *p = (const unsigned char *)text + *at;
    if (p[0] < 0x80) {
        *at += 1;
        return p[0];
    }
    if (p[0] < 0xe0) {
        *at += 2;
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    }
    if (p[0] < 0xf0) {
        *at += 3;
        return (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    }
    *at += 4;
    return (p[0] & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

size_t rp_utf8_size(uint32_t code) {
    return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}

size_t rp_utf8_put(char out[4], uint32_t code) {
    size_t size = rp_utf8_size(code);
    if (size == 1) {
        out[0] = (char)code;
        return 1;
    }
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(lead[size] | code);
    return size;
}

size_t rp_utf8_count(const char *text, size_t size) {
    size_t count = 0;
    for (size_t i = 0; i < size; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* ---- categories ---- */

/* Characters whose category the standard has changed since the versions that the reference knows. */
static const struct changed {
    uint32_t first, last;
    rp_unicode_version until; /* the last version with the old category */
    rp_category category;
} changed[] = {
    {0x166d, 0x166d, RP_UNICODE_9, RP_CATEGORY_PO}, {0x1734, 0x1734, RP_UNICODE_9, RP_CATEGORY_MN},
    {0x1885, 0x1886, RP_UNICODE_8, RP_CATEGORY_LO}, {0x1cf2, 0x1cf3, RP_UNICODE_9, RP_CATEGORY_MC},
    {0xa9bd, 0xa9bd, RP_UNICODE_9, RP_CATEGORY_MC}, {0x111c9, 0x111c9, RP_UNICODE_9, RP_CATEGORY_PO},
};

rp_category rp_char_category_in(uint32_t code, rp_unicode_version version) {
    const rp_unicode_record *record = rp_unicode_find(code);
    if (record->version > version) return RP_CATEGORY_CN;
    if (version <= RP_UNICODE_9 && code >= changed[0].first)
        for (size_t i = 0; i < RP_COUNT(changed); i++)
            if (code >= changed[i].first && code <= changed[i].last && version <= changed[i].until)
                return changed[i].category;
    return (rp_category)record->category;
}

rp_category rp_char_category(uint32_t code) {
    return rp_char_category_in(code, RP_UNICODE_14);
}

static bool is_separator(uint32_t code) { /* Zs */
    return code == 0x20 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x202f || code == 0x205f || code == 0x3000;
}

/* ---- as the reference ---- */

bool rp_char_is_white(uint32_t code) {
    return (code >= 9 && code <= 13) || code == 0x85 || code == 0x2028 || code == 0x2029 ||
           is_separator(code);
}

bool rp_char_is_numeric(uint32_t code) {
    if (code < 0x80) return code >= '0' && code <= '9';
    uint8_t category = rp_unicode_find(code)->category;
    return category >= RP_CATEGORY_ND && category <= RP_CATEGORY_NO;
}

/* Letters, marks, digits and what joins words. */
static bool is_word(const rp_unicode_record *record) {
    uint8_t category = record->category;
    return (record->flags & RP_FLAG_ALPHABETIC) || category == RP_CATEGORY_ND || category == RP_CATEGORY_PC ||
           (category >= RP_CATEGORY_MN && category <= RP_CATEGORY_ME);
}

bool rp_char_is_word(uint32_t code) {
    return is_word(rp_unicode_find(code)) || code == 0x200c || code == 0x200d;
}

bool rp_char_is_regex_word(uint32_t code) {
    const rp_unicode_record *record = rp_unicode_find(code);
    if (code >= 0xb2 && code <= 0xbe && record->category == RP_CATEGORY_NO) return true;
    return record->version <= RP_UNICODE_14 && is_word(record);
}

bool rp_char_is_mark(uint32_t code) {
    if (code < 0x300) return false;
    rp_category category = rp_char_category_in(code, RP_UNICODE_9);
    return category >= RP_CATEGORY_MN && category <= RP_CATEGORY_ME;
}

bool rp_bert_is_control(uint32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return false;
    if (code < 0x80) return code < ' ' || code == 0x7f;
    rp_category category = rp_char_category_in(code, RP_UNICODE_8);
    return category >= RP_CATEGORY_CC && category != RP_CATEGORY_CN;
}

bool rp_bert_is_nonspacing(uint32_t code) {
    return code >= 0x300 && rp_char_category_in(code, RP_UNICODE_8) == RP_CATEGORY_MN;
}

bool rp_bert_is_ideograph(uint32_t code) {
    return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) ||
           (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b81f) ||
           (code >= 0x2b920 && code <= 0x2ceaf) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0x2f800 && code <= 0x2fa1f);
}

bool rp_bert_is_punctuation(uint32_t code) {
    if (code < 0x80)
        return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
               (code >= 123 && code <= 126);
    rp_category category = rp_char_category_in(code, RP_UNICODE_8);
    return category >= RP_CATEGORY_PC && category <= RP_CATEGORY_PO;
}

/* ---- as Python ---- */

bool rp_char_is_space(uint32_t code) {
    return rp_char_is_white(code) || (code >= 0x1c && code <= 0x1f);
}

bool rp_char_is_digit(uint32_t code) {
    if (code < 0x80) return code >= '0' && code <= '9';
    if (rp_char_category(code) == RP_CATEGORY_ND) return true;
    /* category No with a digit value: superscripts, circled and parenthesised digits, and a few scripts */
    static const uint32_t ranges[][2] = {
        {0xb2, 0xb3},     {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},   {0x2070, 0x2070},
        {0x2074, 0x2079}, {0x2080, 0x2089},   {0x2460, 0x2468},   {0x2474, 0x247c},   {0x2488, 0x2490},
        {0x24ea, 0x24ea}, {0x24f5, 0x24fd},   {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},
        {0x278a, 0x2792}, {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a},
    };
    for (size_t i = 0; i < RP_COUNT(ranges); i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

/* ---- lower case ---- */

size_t rp_char_lower(uint32_t code, uint32_t out[RP_LOWERED_MAX]) {
    if (code < 0x80) {
        out[0] = code >= 'A' && code <= 'Z' ? code + 32 : code;
        return 1;
    }
    if (code == 0x130) { /* I with a dot above is the one letter whose lower case is two code points */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = code;
    if (code < rp_lower_end)
        out[0] += (uint32_t)
            rp_lower_deltas[rp_lower_values[rp_unicode_place(rp_lower_groups, rp_lower_blocks, code)]];
    return 1;
}

static bool has_flag(uint32_t code, unsigned flag) {
    const rp_unicode_record *record = rp_unicode_find(code);
    return record->version <= RP_UNICODE_14 && (record->flags & flag);
}

/* A capital sigma at i ends a word: a cased letter before it and none behind, marks and the like aside. */
static bool is_final_sigma(const rp_chars *in, size_t i) {
    size_t before = i, after = i + 1;
    while (before > 0 && has_flag(in->items[before - 1].code, RP_FLAG_IGNORABLE)) before--;
    if (before == 0 || !has_flag(in->items[before - 1].code, RP_FLAG_CASED)) return false;
    while (after < in->count && has_flag(in->items[after].code, RP_FLAG_IGNORABLE)) after++;
    return after == in->count || !has_flag(in->items[after].code, RP_FLAG_CASED);
}

bool rp_chars_lower(const rp_chars *in, rp_chars *out) {
    for (size_t i = 0; i < in->count; i++) {
        rp_char c = in->items[i];
        uint32_t lower[RP_LOWERED_MAX];
        size_t count = rp_char_lower(c.code, lower);
        if (c.code == 0x3a3 && is_final_sigma(in, i)) lower[0] = 0x3c2;
        for (size_t k = 0; k < count; k++)
            if (!rp_chars_push(out, lower[k], c.start, c.end)) return false;
    }
    return true;
}

/* ---- graphemes ---- */

static bool is_pictograph(uint32_t code) {
    if (code < (uint32_t)rp_pictographs[0]) return false;
    size_t low = 0, high = rp_pictograph_count; /* the range that may hold it is in [low, high) */
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (code >= (uint32_t)rp_pictographs[2 * middle])
            low = middle;
        else
            high = middle;
    }
    return code <= (uint32_t)rp_pictographs[2 * low + 1];
}

/* Bits of the state: what is known of the characters up to the first of the next pair. */
enum {
    KNOWN = 1,      /* there is something before it, so the bits below tell */
    ODD_FLAG = 2,   /* it is the first half of a flag */
    PICTOGRAPH = 4, /* it is a pictograph, or continues one */
    JOINER = 8,     /* it is a joiner that continues one */
};

/* The bits of a character, given those of the one before. */
static int32_t next_state(uint32_t code, uint8_t breaks, int32_t before) {
    if (breaks == RP_BREAK_REGIONAL) return KNOWN | (before & ODD_FLAG ? 0 : ODD_FLAG);
    if (breaks == RP_BREAK_EXTEND) return KNOWN | (before & PICTOGRAPH);
    if (breaks == RP_BREAK_ZWJ) return KNOWN | (before & PICTOGRAPH ? JOINER : 0);
    return KNOWN | (breaks == RP_BREAK_OTHER && is_pictograph(code) ? PICTOGRAPH : 0);
}

static bool is_control_break(uint8_t breaks) {
    return breaks == RP_BREAK_CR || breaks == RP_BREAK_LF || breaks == RP_BREAK_CONTROL;
}

static bool joins_syllable(uint8_t a, uint8_t b) {
    bool vowel = b == RP_BREAK_V, final = b == RP_BREAK_T;
    if (a == RP_BREAK_L) return b == RP_BREAK_L || vowel || b == RP_BREAK_LV || b == RP_BREAK_LVT;
    if (a == RP_BREAK_LV || a == RP_BREAK_V) return vowel || final;
    return (a == RP_BREAK_LVT || a == RP_BREAK_T) && final;
}

bool rp_grapheme_break(uint32_t before, uint32_t after, int32_t *state) {
    uint8_t a = rp_unicode_find(before)->breaks, b = rp_unicode_find(after)->breaks;
    int32_t known = *state & KNOWN ? *state : next_state(before, a, 0);
    *state = next_state(after, b, known);
    if (a == RP_BREAK_CR && b == RP_BREAK_LF) return false;
    if (is_control_break(a) || is_control_break(b)) return true;
    if (joins_syllable(a, b)) return false;
    if (b == RP_BREAK_EXTEND || b == RP_BREAK_ZWJ || b == RP_BREAK_SPACING || a == RP_BREAK_PREPEND)
        return false;
    if ((known & JOINER) && (*state & PICTOGRAPH)) return false;
    return !(b == RP_BREAK_REGIONAL && (known & ODD_FLAG));
}
