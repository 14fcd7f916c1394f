#include "loader/json_read.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/utf8.h"

enum { MAX_DEPTH = 512, SHORT_NUMBER = 64 };

/* An object or a list that has not ended. */
typedef struct frame {
    bool object;
    uint32_t size, count; /* members or items that there is room for, and that are there */
    union {
        rp_json *items;
        rp_member *members;
    };
} frame;

/* A text is read twice: first to learn how many items each list has, and then into one block of memory, which
 * holds the lists and objects and behind them the strings. */
typedef struct reader {
    const char *text;
    size_t size, at;
    rp_json_flags flags;
    rp_json_mistake *mistake;
    uint32_t *sizes; /* what there is to be room for, of each object and list in the order they begin in */
    size_t size_count, size_capacity, next_size;
    uint64_t tree_bytes, string_bytes, seed;
    char *tree, *strings; /* where the next of them goes */
    size_t depth;
    frame frames[MAX_DEPTH];
} reader;

/* False, so that whoever reads can return it. The first mistake counts. */
static bool fail(reader *r, size_t position, const char *what) {
    rp_json_mistake *m = r->mistake;
    if (m->memory || m->text[0]) return false;
    m->position = position;
    for (size_t i = 0; i < position && i < r->size; i++) m->line += r->text[i] == '\n';
    snprintf(m->text, sizeof m->text, "%s", what);
    return false;
}

static bool fail_memory(reader *r) {
    r->mistake->memory = true;
    return false;
}

/* ---- what there is to be room for ---- */

/* An object or a list that has not ended, while that is counted. */
typedef struct extent {
    size_t begin, place; /* behind its bracket; its number in `sizes` */
    bool object;
} extent;

typedef struct counter {
    reader *r;
    extent open[MAX_DEPTH];
    size_t depth;
    bool deep; /* deeper than anything may be: there is no use in counting on */
} counter;

static bool count_begin(counter *c, size_t at) {
    reader *r = c->r;
    c->deep = c->depth == MAX_DEPTH;
    if (c->deep) return true;
    if (r->size_count == r->size_capacity) {
        size_t capacity = r->size_capacity ? 2 * r->size_capacity : 16;
        uint32_t *sizes = realloc(r->sizes, capacity * sizeof *sizes);
        if (!sizes) return fail_memory(r);
        r->sizes = sizes;
        r->size_capacity = capacity;
    }
    c->open[c->depth++] = (extent){at + 1, r->size_count, r->text[at] == '{'};
    r->sizes[r->size_count++] = 0; /* commas, as yet */
    return true;
}

/* No more room than the shortest items would need: what is counted may be no JSON. */
static void count_end(counter *c, size_t at) {
    if (c->depth == 0) return;
    extent e = c->open[--c->depth];
    uint32_t *size = &c->r->sizes[e.place];
    size_t most = (at - e.begin) / (e.object ? sizeof "\"\":0," - 1 : sizeof "0," - 1) + 1;
    *size = at == e.begin ? 0 : *size < most ? *size + 1 : (uint32_t)most;
    c->r->tree_bytes += (uint64_t)*size * (e.object ? sizeof(rp_member) : sizeof(rp_json));
    if (e.object) c->r->tree_bytes += rp_json_index_bytes(*size);
}

static bool count_structure(counter *c, size_t at) {
    char sign = c->r->text[at];
    if (c->deep) return true;
    if (sign == '{' || sign == '[') return count_begin(c, at);
    if (sign == '}' || sign == ']') count_end(c, at);
    if (sign == ',' && c->depth) c->r->sizes[c->open[c->depth - 1].place]++;
    return true;
}

/* Count, and check that all of it is UTF-8. */
static bool count_all(reader *r) {
    counter c = {.r = r};
    bool string = false;
    size_t begin = 0;
    for (size_t at = 0, step; at < r->size; at += step) {
        char sign = r->text[at];
        step = rp_utf8_sequence((const unsigned char *)r->text + at, r->size - at);
        if (!step) return fail(r, at, "not UTF-8");
        if (sign == '"') {
            string = !string;
            if (string)
                begin = at;
            else
                r->string_bytes += at - begin;
        } else if (!string) {
            if (!count_structure(&c, at)) return false;
        } else if (sign == '\\' && at + 1 < r->size) {
            step += r->text[at + 1] == '"' || r->text[at + 1] == '\\';
        }
    }
    while (c.depth) count_end(&c, r->size);
    return true;
}

/* ---- the text ---- */

static bool is_white(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* The next character that is not white; -1 at the end. */
static int peek(reader *r) {
    while (r->at < r->size && is_white(r->text[r->at])) r->at++;
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
        if (code < 0 || (code == 0 && !nul))
            return fail(r, begin,
                        code ? "an escape in a string stands for no character" : "\\u0000 is not allowed");
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
    return fail(r, r->at, r->at < r->size ? "a control character in a string" : "a string does not end");
}

/* Behind the opening quote: the string, kept. */
static bool read_text(reader *r, bool nul, const char **text, uint32_t *count) {
    size_t begin = 0, end = 0, size;
    bool escaped;
    if (!find_end(r, &begin, &end, &escaped)) return false;
    *text = r->strings;
    size = end - begin;
    if (!escaped) {
        memcpy(r->strings, r->text + begin, size);
        r->strings[size] = '\0';
    } else if (!unescape(r, begin, end, nul, r->strings, &size)) {
        return false;
    }
    r->strings += size + 1;
    *count = (uint32_t)size;
    return true;
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

static bool read_integer(const char *at, const char *end, int64_t *out) {
    bool negative = *at == '-';
    int64_t value = 0;
    for (at += negative; at < end; at++) /* below zero there is one more */
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, *at - '0', &value))
            return false;
    return negative ? (*out = value, true) : !__builtin_sub_overflow(0, value, out);
}

/* The exponent of `size` characters, and no more than what makes every number endless or nothing. */
static int64_t read_exponent(const char *at, const char *end) {
    bool negative = *at == '-';
    int64_t value = 0;
    for (at += negative || *at == '+'; at < end; at++)
        if (value < INT64_MAX / 100) value = 10 * value + (*at - '0');
    return negative ? -value : value;
}

/* strtod wants the decimal point of the locale, which may be a comma or more than one byte. It gets none, but
 * the digits with an exponent that makes up for it. `room` is as long as the number and SHORT_NUMBER more. */
static double read_real(const char *at, const char *end, char *room) {
    int64_t exponent = 0;
    size_t used = 0;
    bool point = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        exponent -= point;
        if (*at == '.')
            point = true;
        else
            room[used++] = *at;
    }
    if (at < end) exponent += read_exponent(at + 1, end);
    snprintf(room + used, SHORT_NUMBER, "e%lld", (long long)exponent);
    return strtod(room, NULL);
}

/* 10^exponent, exact up to 10^22 and the nearest double from there to 10^308. */
static double power_of_ten(int64_t exponent) {
    char text[SHORT_NUMBER];
    double power = 1;
    snprintf(text, sizeof text, "1e%d", (int)exponent);
    if (exponent > 22) return strtod(text, NULL);
    while (exponent-- > 0) power *= 10;
    return power;
}

/* The first digits, as many as 64 bits hold, and a power of ten, rounded one after the other. */
static double read_real_as_rust(const char *at, const char *end) {
    const bool negative = *at == '-';
    uint64_t digits = 0, longer;
    int64_t exponent = 0;
    bool point = false, full = false;
    for (at += negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = true;
            full = false;
            continue;
        }
        full = full || __builtin_mul_overflow(digits, 10u, &longer) ||
               __builtin_add_overflow(longer, (uint64_t)(*at - '0'), &longer);
        if (!full) digits = longer;
        exponent += full ? !point : -(int64_t)point;
    }
    if (at < end) exponent += read_exponent(at + 1, end);
    double value = (double)digits;
    if (value != 0 && exponent > 308) value = INFINITY;
    for (; value != 0 && exponent < -308; exponent += 308) value /= 1e308;
    if (value != 0 && exponent <= 308)
        value = exponent < 0 ? value / power_of_ten(-exponent) : value * power_of_ten(exponent);
    return negative ? -value : value;
}

static bool read_number(reader *r, rp_json *out) {
    char few[2 * SHORT_NUMBER], *room = few;
    bool integer;
    size_t begin = r->at, end = number_end(r, begin, &integer), size = end - begin;
    if (!size) return fail(r, begin, "not a number");
    r->at = end;
    *out = (rp_json){.type = RP_JSON_INTEGER};
    if (integer && !r->flags.reals) {
        if (read_integer(r->text + begin, r->text + end, &out->integer)) return true;
        if (!r->flags.large) return fail(r, begin, "an integer of more than 64 bits");
    }
    *out = (rp_json){.type = RP_JSON_REAL};
    if (size > SHORT_NUMBER && !r->flags.rust) room = malloc(size + SHORT_NUMBER);
    if (!room) return fail_memory(r);
    out->real = r->flags.rust ? read_real_as_rust(r->text + begin, r->text + end)
                              : read_real(r->text + begin, r->text + end, room);
    if (room != few) free(room);
    if (isfinite(out->real)) return true;
    if (!r->flags.large) return fail(r, begin, "a number that is too large");
    out->real = copysign(DBL_MAX, out->real);
    return true;
}

/* ---- values ---- */

static bool read_word(reader *r, rp_json *out) {
    static const struct {
        const char *word;
        rp_json value;
    } words[] = {{"null", {.type = RP_JSON_NULL}},
                 {"true", {.type = RP_JSON_TRUE}},
                 {"false", {.type = RP_JSON_FALSE}},
                 {"NaN", {.type = RP_JSON_REAL, .real = NAN}},
                 {"Infinity", {.type = RP_JSON_REAL, .real = INFINITY}},
                 {"-Infinity", {.type = RP_JSON_REAL, .real = -INFINITY}}};
    for (size_t i = 0; i < (r->flags.words ? 6 : 3); i++) {
        size_t size = strlen(words[i].word);
        if (r->size - r->at < size || memcmp(r->text + r->at, words[i].word, size) != 0) continue;
        r->at += size;
        *out = words[i].value;
        return true;
    }
    return fail(r, r->at, "a value expected");
}

/* The next "key": of the object that is being read. */
static bool read_key(reader *r) {
    frame *f = &r->frames[r->depth - 1];
    rp_member *member = &f->members[f->count];
    if (!take(r, '"')) return fail(r, r->at, "a key in quotes or '}' expected");
    if (!read_text(r, r->flags.nul_keys, &member->key, &member->key_size)) return false;
    if (!rp_json_index_add(f->members, f->size, f->count))
        return fail(r, r->at, "a duplicate key in an object");
    return take(r, ':') || fail(r, r->at, "':' expected");
}

static rp_json end_composite(reader *r) {
    const frame *f = &r->frames[--r->depth];
    rp_json value = {.type = f->object ? RP_JSON_OBJECT : RP_JSON_ARRAY, .count = f->count};
    if (f->object)
        value.members = f->members;
    else
        value.items = f->items;
    return value;
}

/* `*whole`: it is an empty one, and that is `*out`. */
static bool begin_composite(reader *r, rp_json *out, bool *whole) {
    if (r->depth == MAX_DEPTH) return fail(r, r->at, "too many objects and lists in each other");
    frame *f = &r->frames[r->depth++];
    *f = (frame){.object = r->text[r->at++] == '{', .size = r->sizes[r->next_size++]};
    if (f->object)
        f->members = (rp_member *)r->tree;
    else
        f->items = (rp_json *)r->tree;
    *whole = take(r, f->object ? '}' : ']');
    if (*whole) {
        *out = end_composite(r);
        return true;
    }
    r->tree += (size_t)f->size * (f->object ? sizeof(rp_member) : sizeof(rp_json));
    if (!f->object) return true;
    r->tree += rp_json_index_bytes(f->size);
    rp_json_index_begin(f->members, f->size, r->seed);
    return read_key(r);
}

/* A value, or the beginning of an object or a list. */
static bool begin_value(reader *r, rp_json *out, bool *whole) {
    int c = peek(r);
    *whole = true;
    if (c == '{' || c == '[') return begin_composite(r, out, whole);
    bool endless = c == '-' && r->flags.words && r->at + 1 < r->size && r->text[r->at + 1] == 'I';
    if ((c == '-' && !endless) || (c >= '0' && c <= '9')) return read_number(r, out);
    if (c != '"') return read_word(r, out);
    r->at++;
    *out = (rp_json){.type = RP_JSON_STRING};
    return read_text(r, r->flags.nul, &out->text, &out->count);
}

/* Put a whole value where it belongs. `*whole`: what it belongs to ends with it, and is `*value` now. */
static bool put_value(reader *r, rp_json *value, bool *whole) {
    frame *f = &r->frames[r->depth - 1];
    if (f->object)
        f->members[f->count++].value = *value;
    else
        f->items[f->count++] = *value;
    *whole = !take(r, ',');
    if (!*whole) return !f->object || read_key(r);
    if (!take(r, f->object ? '}' : ']'))
        return fail(r, r->at, f->object ? "',' or '}' expected" : "',' or ']' expected");
    *value = end_composite(r);
    return true;
}

static bool read_tree(reader *r, rp_json *root) {
    bool whole = false;
    while (!whole) {
        if (!begin_value(r, root, &whole)) return false;
        while (whole && r->depth)
            if (!put_value(r, root, &whole)) return false;
    }
    return peek(r) < 0 || fail(r, r->at, "something behind the end");
}

/* ---- the whole ---- */

static bool alloc_tree(reader *r, rp_json_document *out) {
    struct timespec now = {0};
    uint64_t bytes = r->tree_bytes + r->string_bytes;
    if (bytes <= SIZE_MAX) out->memory = malloc(bytes ? (size_t)bytes : 1);
    if (!out->memory) return fail_memory(r);
    r->tree = out->memory;
    r->strings = r->tree + r->tree_bytes;
    clock_gettime(CLOCK_REALTIME,
                  &now); /* what nobody who writes a text can know: when and where it is read */
    r->seed = ((uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec) ^ (uint64_t)(uintptr_t)r->tree
                                                                                 << 20;
    return true;
}

bool rp_json_read(const char *text, size_t size, rp_json_flags flags, rp_json_document *out,
                  rp_json_mistake *mistake) {
    reader r = {.text = text, .size = size, .flags = flags, .mistake = mistake};
    *out = (rp_json_document){0};
    *mistake = (rp_json_mistake){.line = 1};
    bool good = size <= UINT32_MAX || fail(&r, 0, "more than 4 GiB of text");
    if (good) good = count_all(&r);
    int first = good ? peek(&r) : -1;
    if (good && !flags.any && first != '{' && first != '[') good = fail(&r, r.at, "'{' or '[' expected");
    good = good && alloc_tree(&r, out) && read_tree(&r, &out->root);
    free(r.sizes);
    if (!good) rp_json_finish(out);
    return good;
}
