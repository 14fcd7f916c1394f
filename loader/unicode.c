#include "loader/unicode.h"

#include "base/alloc.h"
#include "loader/utf8.h"

#include <utf8proc.h>

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

static utf8proc_category_t category(uint32_t code) {
    return utf8proc_category((utf8proc_int32_t)code);
}

bool rp_char_is_space(uint32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f);
    return code == 0x85 || code == 0x2028 || code == 0x2029 || category(code) == UTF8PROC_CATEGORY_ZS;
}

bool rp_char_is_white(uint32_t code) {
    return rp_char_is_space(code) && !(code >= 0x1c && code <= 0x1f);
}

bool rp_char_is_blank(uint32_t code) {
    return code == ' ' || code == '\t' || code == '\n' || code == '\r' ||
           (code >= 0x80 && category(code) == UTF8PROC_CATEGORY_ZS);
}

bool rp_char_is_control(uint32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return false;
    switch (category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
        return true;
    default:
        return false;
    }
}

bool rp_char_is_punctuation(uint32_t code) {
    if (code < 0x80)
        return (code >= 33 && code <= 47) || (code >= 58 && code <= 64) || (code >= 91 && code <= 96) ||
               (code >= 123 && code <= 126);
    utf8proc_category_t c = category(code);
    return c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_PO;
}

bool rp_char_is_ideograph(uint32_t code) {
    return (code >= 0x4e00 && code <= 0x9fff) || (code >= 0x3400 && code <= 0x4dbf) ||
           (code >= 0x20000 && code <= 0x2a6df) || (code >= 0x2a700 && code <= 0x2b73f) ||
           (code >= 0x2b740 && code <= 0x2b81f) || (code >= 0x2b820 && code <= 0x2ceaf) ||
           (code >= 0xf900 && code <= 0xfaff) || (code >= 0x2f800 && code <= 0x2fa1f);
}

bool rp_char_is_digit(uint32_t code) {
    if (code < 0x80) return code >= '0' && code <= '9';
    if (category(code) == UTF8PROC_CATEGORY_ND) return true;
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

bool rp_char_is_nonspacing(uint32_t code) {
    return category(code) == UTF8PROC_CATEGORY_MN;
}

bool rp_char_is_mark(uint32_t code) {
    utf8proc_category_t c = category(code);
    return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_MC || c == UTF8PROC_CATEGORY_ME;
}

bool rp_char_is_cased(uint32_t code) {
    utf8proc_category_t c = category(code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT ||
           code == 0xaa || code == 0xba || (code >= 0x2b0 && code <= 0x2b8) ||
           (code >= 0x2160 && code <= 0x217f) || (code >= 0x24b6 && code <= 0x24e9);
}

bool rp_char_is_case_ignorable(uint32_t code) {
    switch (category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        break;
    }
    return code == '\'' || code == '.' || code == ':' || code == 0xb7 || code == 0x387 || code == 0x55f ||
           code == 0x5f4 || code == 0x2018 || code == 0x2019 || code == 0x2024 || code == 0x2027 ||
           code == 0xfe13 || code == 0xfe52 || code == 0xfe55 || code == 0xff07 || code == 0xff0e ||
           code == 0xff1a;
}

unsigned rp_char_combining(uint32_t code) {
    if (code < 0x300) return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)code)->combining_class;
}

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
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    return 1;
}

size_t rp_char_decompose(uint32_t code, bool compatibility, uint32_t out[RP_DECOMPOSED_MAX]) {
    int boundary = 0;
    utf8proc_ssize_t count = -1;
    utf8proc_int32_t parts[RP_DECOMPOSED_MAX];
    if (code >= 0x80)
        count =
            utf8proc_decompose_char((utf8proc_int32_t)code, parts, RP_DECOMPOSED_MAX,
                                    UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0), &boundary);
    if (count < 1 || count > RP_DECOMPOSED_MAX) { /* ASCII, or nothing known of it */
        out[0] = code;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < count; i++) out[i] = (uint32_t)parts[i];
    return (size_t)count;
}

/* Split into base characters and marks, each mark behind those of a lower or equal class. */
static bool decompose_all(const rp_chars *chars, rp_chars *out) {
    for (size_t i = 0; i < chars->count; i++) {
        rp_char c = chars->items[i];
        uint32_t parts[RP_DECOMPOSED_MAX];
        size_t count = rp_char_decompose(c.code, false, parts);
        for (size_t k = 0; k < count; k++)
            if (!rp_chars_push(out, parts[k], c.start, c.end)) return false;
    }
    for (size_t from = 0; from < out->count;) { /* a stable counting sort of each run of marks, by class */
        size_t to = from;
        while (to < out->count && rp_char_combining(out->items[to].code)) to++;
        if (to - from > 1) {
            rp_char *run = rp_new_array(rp_char, to - from);
            if (!run) return false;
            size_t first[256] = {0}, at = 0;
            for (size_t i = from; i < to; i++) first[rp_char_combining(out->items[i].code)]++;
            for (size_t class = 0; class < 256; class ++) {
                size_t here = first[class];
                first[class] = at;
                at += here;
            }
            for (size_t i = from; i < to; i++)
                run[first[rp_char_combining(out->items[i].code)]++] = out->items[i];
            memcpy(out->items + from, run, (to - from) * sizeof *run);
            free(run);
        }
        from = to + 1;
    }
    return true;
}

/* The one code point that two compose into, or 0. */
static uint32_t compose_pair(uint32_t first, uint32_t second) {
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)first, (utf8proc_int32_t)second};
    return utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) == 1 ? (uint32_t)pair[0] : 0;
}

bool rp_chars_compose(rp_chars *chars) {
    size_t plain = 0;
    while (plain < chars->count && chars->items[plain].code < 0x300) plain++;
    if (plain == chars->count) return true; /* below U+0300 everything is composed already */
    rp_chars parts = {0};
    if (!decompose_all(chars, &parts)) {
        free(parts.items);
        return false;
    }
    size_t count = 0, starter = SIZE_MAX;
    unsigned last_class = 0; /* of the character kept last since the starter */
    for (size_t i = 0; i < parts.count; i++) {
        rp_char c = parts.items[i];
        unsigned class = rp_char_combining(c.code);
        bool blocked =
            starter == SIZE_MAX || (count - 1 != starter && (last_class >= class || last_class == 0));
        uint32_t joined = blocked ? 0 : compose_pair(parts.items[starter].code, c.code);
        if (joined) {
            rp_char *base = &parts.items[starter];
            base->code = joined;
            if (c.start < base->start) base->start = c.start;
            if (c.end > base->end) base->end = c.end;
            continue;
        }
        if (class == 0) starter = count;
        last_class = class;
        parts.items[count++] = c;
    }
    parts.count = count;
    free(chars->items);
    *chars = parts;
    return true;
}

bool rp_grapheme_break(uint32_t before, uint32_t after, int32_t *state) {
    return utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)after, state);
}

/* ---- lower case in context ---- */

/* A capital sigma at i ends a word: a cased letter before it and none behind, marks and the like aside. */
static bool is_final_sigma(const rp_chars *in, size_t i) {
    size_t before = i, after = i + 1;
    while (before > 0 && rp_char_is_case_ignorable(in->items[before - 1].code)) before--;
    if (before == 0 || !rp_char_is_cased(in->items[before - 1].code)) return false;
    while (after < in->count && rp_char_is_case_ignorable(in->items[after].code)) after++;
    return after == in->count || !rp_char_is_cased(in->items[after].code);
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
