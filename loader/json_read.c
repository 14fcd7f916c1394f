#include "loader/json_read.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "loader/utf8.h"

enum { MAX_DEPTH = 512, SHORT_NUMBER = 64 };

typedef struct reader {
    const char *text;
    size_t size, at;
    rp_json_flags flags;
    rp_json_mistake *mistake;
    locale_t plain; /* "C"; 0: not needed yet */
} reader;

/* NULL, so that whoever makes a value can return it. The first mistake counts. */
static json_t *fail(reader *r, size_t position, const char *what) {
    rp_json_mistake *m = r->mistake;
    if (m->memory || m->text[0]) return NULL;
    m->position = position;
    for (size_t i = 0; i < position && i < r->size; i++) m->line += r->text[i] == '\n';
    snprintf(m->text, sizeof m->text, "%s", what);
    return NULL;
}

static json_t *fail_memory(reader *r) {
    r->mistake->memory = true;
    return NULL;
}

/* A value that jansson made, or did not for want of memory. */
static json_t *made(reader *r, json_t *value) {
    return value ? value : fail_memory(r);
}

/* The next character that is not white; -1 at the end. */
static int peek(reader *r) {
    while (r->at < r->size && r->text[r->at] && strchr(" \t\r\n", r->text[r->at])) r->at++;
    return r->at < r->size ? (unsigned char)r->text[r->at] : -1;
}

static bool take(reader *r, char c) {
    bool found = peek(r) == (unsigned char)c;
    r->at += found;
    return found;
}

/* ---- strings ---- */

/* The four digits behind \u; -1 when they are none. */
static long read_unit(const reader *r, size_t at, size_t end) {
    long unit = 0;
    if (end - at < 4) return -1;
    for (size_t i = at; i < at + 4; i++) {
        char c = r->text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static size_t put_code(char *out, uint32_t code) {
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[size] | code);
    return size;
}

/* The code point of the escape \u whose digits begin at `*at`, which moves behind them, or behind those of
 * the second half of a pair. -1: there is none. */
static long read_code(const reader *r, size_t *at, size_t end) {
    long high = read_unit(r, *at, end), low = -1;
    *at += 4;
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high < 0xdc00 && end - *at >= 6 && r->text[*at] == '\\' && r->text[*at + 1] == 'u')
        low = read_unit(r, *at + 2, end);
    if (low < 0xdc00 || low > 0xdfff) return -1;
    *at += 6;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* Put what is between the quotes, [at, end), to `out`, which has room for as many bytes and one more: an
 * escape is longer than what it stands for. False after a mistake. */
static bool unescape(reader *r, size_t at, size_t end, bool nul, char *out, size_t *size) {
    static const char escapes[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    size_t used = 0;
    while (at < end) {
        if (r->text[at] != '\\') {
            out[used++] = r->text[at++];
            continue;
        }
        size_t begin = at++;
        const char *known = memchr(escapes, r->text[at], sizeof escapes - 1);
        if (known) {
            out[used++] = meant[known - escapes];
            at++;
            continue;
        }
        long code = -1;
        if (r->text[at++] == 'u') code = read_code(r, &at, end);
        if (code < 0 || (code == 0 && !nul)) {
            fail(r, begin, code ? "an escape in a string stands for no character" : "\\u0000 is not allowed");
            return false;
        }
        used += put_code(out + used, (uint32_t)code);
    }
    out[used] = '\0';
    *size = used;
    return true;
}

/* Behind the opening quote: the bytes up to the closing one, behind which the reader is then. */
static bool find_end(reader *r, size_t *begin, size_t *end, bool *escaped) {
    *begin = r->at;
    *escaped = false;
    for (; r->at < r->size; r->at++) {
        unsigned char c = (unsigned char)r->text[r->at];
        if (c == '"') {
            *end = r->at++;
            return true;
        }
        if (c < 0x20) break;
        if (c == '\\' && r->at + 1 < r->size) {
            *escaped = true;
            r->at++;
        }
    }
    fail(r, r->at, r->at < r->size ? "a control character in a string" : "a string does not end");
    return false;
}

static json_t *read_string(reader *r) {
    size_t begin, end, size;
    bool escaped;
    if (!find_end(r, &begin, &end, &escaped)) return NULL;
    if (!escaped) return made(r, json_stringn_nocheck(r->text + begin, end - begin));
    char *plain = malloc(end - begin + 1);
    json_t *value = NULL;
    if (!plain)
        fail_memory(r);
    else if (unescape(r, begin, end, r->flags.nul, plain, &size))
        value = made(r, json_stringn_nocheck(plain, size));
    free(plain);
    return value;
}

/* Freed by the caller; NULL after a mistake. */
static char *read_key(reader *r) {
    size_t begin, end, size;
    bool escaped;
    if (!find_end(r, &begin, &end, &escaped)) return NULL;
    char *key = malloc(end - begin + 1);
    if (!key) fail_memory(r);
    if (!key || unescape(r, begin, end, false, key, &size)) return key;
    free(key);
    return NULL;
}

/* ---- numbers ---- */

static size_t skip_digits(const reader *r, size_t at) {
    while (at < r->size && r->text[at] >= '0' && r->text[at] <= '9') at++;
    return at;
}

/* Where the number at `at` ends, and whether it is an integer. `at`: it is none. */
static size_t number_end(const reader *r, size_t at, bool *integer) {
    size_t begin = at, from = at + (r->text[at] == '-');
    at = skip_digits(r, from);
    *integer = true;
    if (at == from || (r->text[from] == '0' && at > from + 1)) return begin;
    if (at < r->size && r->text[at] == '.') {
        from = at + 1;
        at = skip_digits(r, from);
        *integer = false;
        if (at == from) return begin;
    }
    if (at < r->size && (r->text[at] == 'e' || r->text[at] == 'E')) {
        from = at + 1;
        if (from < r->size && (r->text[from] == '+' || r->text[from] == '-')) from++;
        at = skip_digits(r, from);
        *integer = false;
        if (at == from) return begin;
    }
    return at;
}

/* strtod wants the decimal point of the locale, which may be a comma or more than one byte. A locale of this
 * thread's own is what all systems have; strtod_l is younger, and no standard's. */
static bool read_real(reader *r, const char *digits, double *out) {
    char *end;
    if (!r->plain) r->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!r->plain) return false;
    locale_t before = uselocale(r->plain);
    *out = strtod(digits, &end);
    uselocale(before);
    if (*end) *out = NAN; /* not all of it was taken */
    return true;
}

/* `digits` is the number at `begin`, which ends with a NUL. */
static json_t *make_number(reader *r, size_t begin, const char *digits, bool integer) {
    errno = 0;
    if (integer && !r->flags.reals) {
        long long value = strtoll(digits, NULL, 10);
        if (errno != ERANGE) return made(r, json_integer(value));
        if (!r->flags.large) return fail(r, begin, "an integer of more than 64 bits");
    }
    double value;
    if (!read_real(r, digits, &value)) return fail_memory(r);
    if (isnan(value)) return fail(r, begin, "not a number");
    if (!isfinite(value) && !r->flags.large) return fail(r, begin, "a number that is too large");
    if (!isfinite(value)) value = copysign(DBL_MAX, value);
    return made(r, json_real(value));
}

static json_t *read_number(reader *r) {
    char few[SHORT_NUMBER], *digits = few;
    bool integer;
    size_t begin = r->at, end = number_end(r, begin, &integer), size = end - begin;
    if (!size) return fail(r, begin, "not a number");
    if (size >= sizeof few) digits = malloc(size + 1);
    if (!digits) return fail_memory(r);
    memcpy(digits, r->text + begin, size);
    digits[size] = '\0';
    r->at = end;
    json_t *value = make_number(r, begin, digits, integer);
    if (digits != few) free(digits);
    return value;
}

/* ---- values ---- */

static json_t *read_value(reader *r, unsigned depth);

/* Behind the brace: one "key": value. */
static bool read_member(reader *r, json_t *object, unsigned depth) {
    if (!take(r, '"')) {
        fail(r, r->at, "a key in quotes or '}' expected");
        return false;
    }
    char *key = read_key(r);
    json_t *value = NULL;
    if (key && json_object_get(object, key))
        fail(r, r->at, "a duplicate key in an object");
    else if (key && !take(r, ':'))
        fail(r, r->at, "':' expected");
    else if (key)
        value = read_value(r, depth);
    bool kept = value && !json_object_set_new_nocheck(object, key, value); /* it takes `value` in any case */
    if (value && !kept) fail_memory(r);
    free(key);
    return kept;
}

static bool read_members(reader *r, json_t *object, unsigned depth) {
    if (take(r, '}')) return true;
    do {
        if (!read_member(r, object, depth)) return false;
    } while (take(r, ','));
    if (take(r, '}')) return true;
    fail(r, r->at, "',' or '}' expected");
    return false;
}

static bool read_items(reader *r, json_t *list, unsigned depth) {
    if (take(r, ']')) return true;
    do {
        json_t *value = read_value(r, depth);
        if (!value) return false;
        if (json_array_append_new(list, value)) { /* it takes `value` in any case */
            fail_memory(r);
            return false;
        }
    } while (take(r, ','));
    if (take(r, ']')) return true;
    fail(r, r->at, "',' or ']' expected");
    return false;
}

static json_t *read_composite(reader *r, unsigned depth) {
    bool is_object = r->text[r->at] == '{';
    if (depth == MAX_DEPTH) return fail(r, r->at, "too many objects and lists in each other");
    r->at++;
    json_t *value = made(r, is_object ? json_object() : json_array());
    if (value && (is_object ? read_members(r, value, depth + 1) : read_items(r, value, depth + 1)))
        return value;
    json_decref(value);
    return NULL;
}

static json_t *read_word(reader *r) {
    static const char *const words[] = {"null", "true", "false"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(words[i]);
        if (r->size - r->at < size || memcmp(r->text + r->at, words[i], size) != 0) continue;
        r->at += size;
        return i == 0 ? json_null() : json_boolean(i == 1);
    }
    return fail(r, r->at, "a value expected");
}

static json_t *read_value(reader *r, unsigned depth) {
    int c = peek(r);
    if (c == '{' || c == '[') return read_composite(r, depth);
    if (c == '"') {
        r->at++;
        return read_string(r);
    }
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(r);
    return read_word(r);
}

json_t *rp_json_read(const char *text, size_t size, rp_json_flags flags, rp_json_mistake *mistake) {
    reader r = {.text = text, .size = size, .flags = flags, .mistake = mistake};
    *mistake = (rp_json_mistake){.line = 1};
    for (size_t at = 0; at < size;) {
        size_t step = rp_utf8_sequence((const unsigned char *)text + at, size - at);
        if (!step) return fail(&r, at, "not UTF-8");
        at += step;
    }
    int first = peek(&r);
    if (!flags.any && first != '{' && first != '[') return fail(&r, r.at, "'{' or '[' expected");
    json_t *value = read_value(&r, 0);
    if (r.plain) freelocale(r.plain);
    if (!value || peek(&r) < 0) return value;
    json_decref(value);
    return fail(&r, r.at, "something behind the end");
}
