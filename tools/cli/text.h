/* Bytes, UTF-8 and JSON for the command: a growing buffer and what is written into it.
 *
 * The command (unlike the library) may exit: out of memory, rp_cli_calloc and rp_cli_realloc end the process
 * with status 1 and a message. What grows with an input is not allocated by them: that input fails alone. */
#ifndef REPRISE_CLI_TEXT_H
#define REPRISE_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which printf checks formats; the build names another where there are two (MinGW). */
#ifndef REPRISE_PRINTF
#define REPRISE_PRINTF printf
#endif

/* Bytes that grow. The zero value is empty. */
typedef struct rp_cli_buffer {
    char *data;
    size_t size, capacity;
    bool cut; /* out of memory, something was left out since this was last cleared */
} rp_cli_buffer;

/* Like malloc, calloc and realloc, but never NULL: out of memory ends the process with status 1. */
void *rp_cli_calloc(size_t count, size_t size);
void *rp_cli_realloc(void *old, size_t size);

/* Append `size` bytes; a C string; formatted text. All of it or, with buffer->cut, nothing. */
void rp_cli_put(rp_cli_buffer *buffer, const char *data, size_t size);
void rp_cli_puts(rp_cli_buffer *buffer, const char *string);
void rp_cli_printf(rp_cli_buffer *buffer, const char *format, ...) __attribute__((format(REPRISE_PRINTF, 2, 3)));

/* Write "reprise: ..." and a line end to standard error in one piece; bytes that are not text are replaced.
 */
void rp_cli_complain(const char *format, ...) __attribute__((format(REPRISE_PRINTF, 1, 2)));

/* Decode the code point at the beginning of data[0..size), size > 0: its length in bytes, or 0 when it is not
 * valid UTF-8 (overlong forms and surrogates are not). */
size_t rp_cli_utf8(const char *data, size_t size, uint32_t *point);

/* Turns byte positions of one text into code points. Fast when asked for positions near the last one. */
typedef struct rp_cli_cursor {
    const char *data;
    size_t size;
    size_t byte, point; /* where it stands; both 0 at first */
} rp_cli_cursor;

/* The number of code points that begin before byte `byte` (at most `size`) of valid UTF-8. */
size_t rp_cli_point(rp_cli_cursor *cursor, size_t byte);

/* Append a JSON string. Always valid JSON on one line: invalid bytes become U+FFFD; control characters and
 * the line separators of Unicode are escaped. */
void rp_cli_json_string(rp_cli_buffer *buffer, const char *data, size_t size);

/* Append a number that reads back as the same double, always with a point or an exponent; null for what is
 * not finite. */
void rp_cli_json_double(rp_cli_buffer *buffer, double value);

/* Append {"error": message} and a line end. */
void rp_cli_json_error(rp_cli_buffer *buffer, const char *message);

#endif
