#include "loader/json_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/utf8.h"

/* The code point at `text` and its bytes; 0 bytes: it is not UTF-8. */
static size_t take_point(const char *text, size_t size, uint32_t *point) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = rp_utf8_sequence(bytes, size);
    *point = length > 1 ? bytes[0] & (0x7fu >> length) : bytes[0];
    for (size_t i = 1; i < length; i++) *point = *point << 6 | (bytes[i] & 0x3fu);
    return length;
}

/* Some programs take U+0085, U+2028 and U+2029 for line ends, although JSON allows them in strings. */
static bool is_plain(uint32_t point) {
    bool breaks_lines = point == 0x85 || point == 0x2028 || point == 0x2029;
    return point >= 0x20 && point != '"' && point != '\\' && point != 0x7f && !breaks_lines;
}

size_t rp_json_plain(const char *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        uint32_t point;
        size_t length = take_point(text + at, size - at, &point);
        if (!length || !is_plain(point)) break;
        at += length;
    }
    return at;
}

size_t rp_json_escape(const char *text, size_t size, char out[8]) {
    uint32_t point;
    size_t length = take_point(text, size, &point);
    const char *letter = length && point && point < 0x7f ? strchr("\"\"\\\\\nn\rr\tt", (int)point) : NULL;
    if (!length)
        strcpy(out, "\xef\xbf\xbd");
    else if (letter)
        snprintf(out, 8, "\\%c", letter[1]);
    else
        snprintf(out, 8, "\\u%04x", (unsigned)point & 0xffff);
    return length ? length : 1;
}

/* Put a point where the locale has something else between digits, and one where there is none: the number
 * stays a real one for every reader. */
static void make_real(char *digits) {
    size_t size = 0;
    bool real = false;
    for (const char *at = digits; *at; at++) {
        bool kept = strchr("0123456789+-e", *at);
        if (kept || !size || digits[size - 1] != '.') digits[size++] = kept ? *at : '.';
        real = real || !kept || *at == 'e';
    }
    strcpy(digits + size, real ? "" : ".0");
}

void rp_json_float_text(float value, char out[RP_JSON_NUMBER_SIZE]) {
    for (int precision = 6; precision <= 9; precision++) {
        snprintf(out, RP_JSON_NUMBER_SIZE - 2, "%.*g", precision, (double)value);
        if (strtof(out, NULL) == value) break;
    }
    make_real(out);
}

void rp_json_double_text(double value, char out[RP_JSON_NUMBER_SIZE]) {
    for (int precision = 6; precision <= 17; precision++) {
        snprintf(out, RP_JSON_NUMBER_SIZE - 2, "%.*g", precision, value);
        if (strtod(out, NULL) == value) break;
    }
    make_real(out);
}
