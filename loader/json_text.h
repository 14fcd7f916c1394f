/* Strings and numbers as JSON has them, a piece at a time and without memory: for every writer of answers. */
#ifndef RP_LOADER_JSON_TEXT_H
#define RP_LOADER_JSON_TEXT_H

#include <stddef.h>

/* The bytes at the beginning of `text` that stand in a JSON string as they are. */
size_t rp_json_plain(const char *text, size_t size);

/* What stands in the string for the character at the beginning of `text`, size > 0, where it is not plain:
 * its escape, or U+FFFD for a byte that is not UTF-8. Line ends of every kind are escaped, so that the string
 * stays on one line for every reader. Returns the bytes of `text` that it stands for. */
size_t rp_json_escape(const char *text, size_t size, char out[8]);

enum { RP_JSON_NUMBER_SIZE = 40 };

/* The shortest decimals, of six and more, that read back as the same float32 or double, always with a point
 * or an exponent, whatever the locale. `value` is finite. */
void rp_json_float_text(float value, char out[RP_JSON_NUMBER_SIZE]);
void rp_json_double_text(double value, char out[RP_JSON_NUMBER_SIZE]);

#endif
