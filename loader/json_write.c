#include "loader/json_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/json_text.h"

static void put(rp_json_writer *w, const char *bytes, size_t size) {
    if (w->broken || size > SIZE_MAX - w->size ||
        !rp_grow((void **)&w->text, &w->capacity, w->size + size, 1)) {
        w->broken = true;
        return;
    }
    if (size) memcpy(w->text + w->size, bytes, size);
    w->size += size;
}

static void put_text(rp_json_writer *w, const char *text) {
    put(w, text, strlen(text));
}

static void put_line(rp_json_writer *w) {
    if (w->compact) return;
    put(w, "\n", 1);
    for (uint32_t i = 0; i < w->depth; i++) put(w, "  ", 2);
}

static void put_answer_text(rp_json_writer *w, const char *text, size_t size) {
    put(w, "\"", 1);
    for (size_t at = 0; at < size;) {
        char escape[8];
        size_t plain = rp_json_plain(text + at, size - at);
        put(w, text + at, plain);
        at += plain;
        if (at == size) break;
        at += rp_json_escape(text + at, size - at, escape);
        put_text(w, escape);
    }
    put(w, "\"", 1);
}

static void put_quoted(rp_json_writer *w, const char *text, size_t size) {
    if (w->answer) {
        put_answer_text(w, text, size);
        return;
    }
    put(w, "\"", 1);
    for (size_t i = 0, begin = 0; i <= size; i++) {
        char escape[8] = {'\\', 0};
        unsigned char c = i < size ? (unsigned char)text[i] : 0;
        const char *at = c ? strchr("\"\"\\\\\nn\rr\tt", c) : NULL;
        if (i < size && c >= ' ' && c != '"' && c != '\\') continue;
        put(w, text + begin, i - begin);
        begin = i + 1;
        if (i == size) break;
        if (at)
            escape[1] = at[1];
        else
            snprintf(escape, sizeof escape, "\\u%04x", c);
        put_text(w, escape);
    }
    put(w, "\"", 1);
}

/* What stands before every value. */
static void begin(rp_json_writer *w, const char *key) {
    if (w->depth) {
        if (w->more[w->depth]) put(w, w->compact ? ", " : ",", w->compact ? 2 : 1);
        w->more[w->depth] = true;
        put_line(w);
    }
    if (!key) return;
    put_quoted(w, key, strlen(key));
    put(w, ": ", 2);
}

void rp_json_write_open(rp_json_writer *w, const char *key, char bracket) {
    begin(w, key);
    put(w, &bracket, 1);
    if (w->depth + 1 >= RP_JSON_DEPTH) {
        w->broken = true;
        return;
    }
    w->more[++w->depth] = false;
}

void rp_json_write_close(rp_json_writer *w, char bracket) {
    if (!w->depth) {
        w->broken = true;
        return;
    }
    bool any = w->more[w->depth--];
    if (any) put_line(w);
    put(w, &bracket, 1);
}

void rp_json_write_text(rp_json_writer *w, const char *key, const char *text, size_t size) {
    begin(w, key);
    put_quoted(w, text, size);
}

void rp_json_write_string(rp_json_writer *w, const char *key, const char *text) {
    rp_json_write_text(w, key, text, strlen(text));
}

void rp_json_write_integer(rp_json_writer *w, const char *key, int64_t value) {
    char text[32];
    begin(w, key);
    snprintf(text, sizeof text, "%" PRId64, value);
    put_text(w, text);
}

/* The digits of `value`, at most 17, and its decimal exponent, whatever the locale writes between them. */
static int take_digits(double value, char digits[20]) {
    char text[64];
    int count = 0, precision = 0;
    do snprintf(text, sizeof text, "%.*e", precision, value);
    while (strtod(text, NULL) != value && ++precision < 17);
    const char *e = strchr(text, 'e');
    for (const char *at = text; at < e; at++)
        if (*at >= '0' && *at <= '9') digits[count++] = *at;
    digits[count] = '\0';
    return atoi(e + 1);
}

void rp_json_write_real(rp_json_writer *w, const char *key, double value) {
    char digits[20], text[64];
    begin(w, key);
    if (w->broken) return;
    if (!isfinite(value)) {
        put_text(w, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    int exponent = take_digits(fabs(value), digits), count = (int)strlen(digits);
    if (signbit(value)) put(w, "-", 1);
    if (exponent < -4 || exponent >= 16)
        snprintf(text, sizeof text, "%c%s%se%+03d", digits[0], count > 1 ? "." : "", digits + 1, exponent);
    else if (exponent < 0)
        snprintf(text, sizeof text, "0.%.*s%s", -1 - exponent, "000", digits);
    else if (count <= exponent + 1)
        snprintf(text, sizeof text, "%s%.*s.0", digits, exponent + 1 - count, "0000000000000000");
    else
        snprintf(text, sizeof text, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
    put_text(w, text);
}

void rp_json_write_raw(rp_json_writer *w, const char *key, const char *json) {
    begin(w, key);
    put_text(w, json);
}

void rp_json_write_float(rp_json_writer *w, const char *key, float value) {
    char text[RP_JSON_NUMBER_SIZE];
    rp_json_float_text(value, text);
    rp_json_write_raw(w, key, text);
}

void rp_json_write_bool(rp_json_writer *w, const char *key, bool value) {
    begin(w, key);
    put_text(w, value ? "true" : "false");
}

void rp_json_write_null(rp_json_writer *w, const char *key) {
    begin(w, key);
    put_text(w, "null");
}

static void write_scalar(rp_json_writer *w, const char *key, const rp_json *value) {
    switch (value->type) {
    case RP_JSON_INTEGER:
        rp_json_write_integer(w, key, value->integer);
        break;
    case RP_JSON_REAL:
        rp_json_write_real(w, key, value->real);
        break;
    case RP_JSON_STRING:
        rp_json_write_text(w, key, value->text, value->count);
        break;
    case RP_JSON_FALSE:
    case RP_JSON_TRUE:
        rp_json_write_bool(w, key, value->type == RP_JSON_TRUE);
        break;
    default:
        rp_json_write_null(w, key);
    }
}

void rp_json_write_value(rp_json_writer *w, const char *key, const rp_json *value) {
    bool object = value->type == RP_JSON_OBJECT;
    if (!object && value->type != RP_JSON_ARRAY) {
        write_scalar(w, key, value);
        return;
    }
    rp_json_write_open(w, key, object ? '{' : '[');
    for (uint32_t i = 0; !w->broken && i < value->count; i++)
        rp_json_write_value(w, object ? value->members[i].key : NULL,
                            object ? &value->members[i].value : &value->items[i]);
    rp_json_write_close(w, object ? '}' : ']');
}

char *rp_json_writer_finish(rp_json_writer *w, size_t *size) {
    put(w, "\n", 2); // with the NUL
    char *text = w->text;
    *size = w->size - 1;
    if (w->broken || w->depth) {
        free(text);
        text = NULL;
    }
    *w = (rp_json_writer){0};
    return text;
}

void rp_json_writer_drop(rp_json_writer *w) {
    free(w->text);
    *w = (rp_json_writer){0};
}
