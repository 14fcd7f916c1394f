#include "text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/json_text.h"

static void *or_exit(void *memory) {
    if (!memory) {
        static const char message[] = "reprise: out of memory\n";
        if (write(STDERR_FILENO, message, sizeof message - 1) < 0) _exit(1);
        _exit(1);
    }
    return memory;
}

void *rp_cli_calloc(size_t count, size_t size) {
    return or_exit(calloc(count ? count : 1, size ? size : 1));
}

void *rp_cli_realloc(void *old, size_t size) {
    return or_exit(realloc(old, size ? size : 1));
}

/* Make room for `more` bytes and a terminator. */
static bool reserve(rp_cli_buffer *buffer, size_t more) {
    bool fits = more <= SIZE_MAX / 4 && buffer->size <= SIZE_MAX / 4;
    size_t need = buffer->size + more + 1;
    if (fits && need <= buffer->capacity) return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 4096;
    while (fits && capacity < need) capacity *= 2;
    char *data = fits ? realloc(buffer->data, capacity) : NULL;
    if (!data) {
        buffer->cut = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void rp_cli_put(rp_cli_buffer *buffer, const char *data, size_t size) {
    if (!size || !reserve(buffer, size)) return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    buffer->data[buffer->size] = '\0';
}

void rp_cli_puts(rp_cli_buffer *buffer, const char *string) {
    rp_cli_put(buffer, string, strlen(string));
}

static void put_formatted(rp_cli_buffer *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size > 0 && reserve(buffer, (size_t)size)) {
        vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
}

void rp_cli_printf(rp_cli_buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    put_formatted(buffer, format, arguments);
    va_end(arguments);
}

void rp_cli_complain(const char *format, ...) {
    rp_cli_buffer raw = {0}, line = {0};
    va_list arguments;
    va_start(arguments, format);
    put_formatted(&raw, format, arguments);
    va_end(arguments);
    rp_cli_puts(&line, "reprise: ");
    for (size_t at = 0; at < raw.size;) {
        uint32_t point;
        size_t length = rp_cli_utf8(raw.data + at, raw.size - at, &point);
        bool plain = length && point >= 0x20 && (point < 0x7f || point >= 0xa0);
        if (plain)
            rp_cli_put(&line, raw.data + at, length);
        else
            rp_cli_puts(&line, length && (point == '\n' || point == '\t') ? " " : "?");
        at += length ? length : 1;
    }
    rp_cli_puts(&line, "\n");
    for (size_t done = 0; done < line.size;) {
        ssize_t written = write(STDERR_FILENO, line.data + done, line.size - done);
        if (written <= 0) break; /* nowhere left to complain to */
        done += (size_t)written;
    }
    free(raw.data);
    free(line.data);
}

size_t rp_cli_utf8(const char *data, size_t size, uint32_t *point) {
    const unsigned char *s = (const unsigned char *)data;
    if (s[0] < 0x80) {
        *point = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || size < length) return 0;
    uint32_t value = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        value = value << 6 | (s[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return 0;
    *point = value;
    return length;
}

size_t rp_cli_point(rp_cli_cursor *cursor, size_t byte) {
    if (byte > cursor->size) byte = cursor->size;
    for (; cursor->byte < byte; cursor->byte++) cursor->point += (cursor->data[cursor->byte] & 0xc0) != 0x80;
    while (cursor->byte > byte) {
        cursor->byte--;
        cursor->point -= (cursor->data[cursor->byte] & 0xc0) != 0x80;
    }
    return cursor->point;
}

void rp_cli_json_string(rp_cli_buffer *buffer, const char *data, size_t size) {
    rp_cli_puts(buffer, "\"");
    for (size_t at = 0; at < size;) {
        char escape[8];
        size_t plain = rp_json_plain(data + at, size - at);
        rp_cli_put(buffer, data + at, plain);
        at += plain;
        if (at == size) break;
        at += rp_json_escape(data + at, size - at, escape);
        rp_cli_puts(buffer, escape);
    }
    rp_cli_puts(buffer, "\"");
}

void rp_cli_json_double(rp_cli_buffer *buffer, double value) {
    char digits[RP_JSON_NUMBER_SIZE];
    if (!isfinite(value)) {
        rp_cli_puts(buffer, "null");
        return;
    }
    rp_json_double_text(value, digits);
    rp_cli_puts(buffer, digits);
}

void rp_cli_json_error(rp_cli_buffer *buffer, const char *message) {
    rp_cli_puts(buffer, "{\"error\": ");
    rp_cli_json_string(buffer, message, strlen(message));
    rp_cli_puts(buffer, "}\n");
}
