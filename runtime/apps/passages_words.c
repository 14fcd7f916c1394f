/* The words of a text, as they are counted. */
#include "apps/passages.h"

#include "loader/unicode.h"

static bool is_ascii_word(unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* "_" and its like join names of programs, and not words. */
static bool is_word(uint32_t code) {
    return code < 0x80 ? is_ascii_word((unsigned char)code)
                       : rp_char_is_word(code) && rp_char_category(code) != RP_CATEGORY_PC;
}

static void put(rp_word_reader *r, uint32_t code) {
    char bytes[4];
    size_t size = rp_utf8_put(bytes, code);
    if (r->length + size > RP_WORD_BYTES) return;
    memcpy(r->word + r->length, bytes, size);
    r->length += size;
}

/* Add a character in lower case, without accents; of a ligature, its letters. */
static void add(rp_word_reader *r, uint32_t code) {
    uint32_t parts[RP_DECOMPOSED_MAX], lower[RP_LOWERED_MAX];
    if (code < 0x80) {
        put(r, code >= 'A' && code <= 'Z' ? code + 0x20 : code);
        return;
    }
    size_t count = rp_char_decompose(code, true, parts);
    for (size_t i = 0; i < count; i++) {
        size_t letters = rp_char_lower(parts[i], lower);
        for (size_t k = 0; k < letters; k++)
            if (!rp_char_is_mark(lower[k])) put(r, lower[k] == 0x3c2 ? 0x3c3 : lower[k]); /* final sigma */
    }
}

/* Plurals of English count as their singular: "cities" as "city", "roads" as "road"; not "glass", "bus",
 * "this". */
static void drop_plural(rp_word_reader *r) {
    size_t n = r->length;
    const char *w = r->word;
    if (n < 4 || w[n - 1] != 's') return;
    if (n > 4 && w[n - 3] == 'i' && w[n - 2] == 'e') {
        r->word[n - 3] = 'y';
        r->length = n - 2;
    } else if (w[n - 2] != 's' && w[n - 2] != 'u' && w[n - 2] != 'i') {
        r->length = n - 1;
    }
}

bool rp_word_next(rp_word_reader *r) {
    r->length = 0;
    while (r->at < r->size && !r->length) {
        size_t next = r->at;
        for (bool first = true; next < r->size; first = false) {
            uint32_t code = rp_utf8_next(r->text, &next);
            bool alone = code >= 0x2e80 && rp_bert_is_ideograph(code);
            if (first) r->start = r->at;
            if (!is_word(code) || (alone && r->length)) {
                if (first) r->at = next;
                break;
            }
            add(r, code);
            r->at = next;
            if (alone) break;
        }
    }
    drop_plural(r);
    return r->length;
}
