/* Reads fields of a tokenizer.json; the messages say where in the file a field is. */
#ifndef RP_LOADER_TOKENIZER_FIELDS_H
#define RP_LOADER_TOKENIZER_FIELDS_H

#include "loader/tokenizer.h"

enum { RP_WHERE_SIZE = 160 };

/* A file that is being read, and an object in it. `where` is its place, such as "normalizer.normalizers[2]".
 */
typedef struct rp_fields {
    rp_tokenizer *t;
    const char *path;
    rp_error *err;
    const rp_json *value; /* an object */
    char where[RP_WHERE_SIZE];
} rp_fields;

/* Returns RP_ERROR_FORMAT: the field is missing, or not what it must be ("a string"). */
rp_status rp_field_bad(const rp_fields *f, const char *field, const char *must);
/* Returns RP_ERROR_UNSUPPORTED: a component (`what` is such as "the normalizer") of this type is not served.
 */
rp_status rp_field_unserved(const rp_fields *f, const char *what, const char *type);

/* Make `*out` stand for the object `value`, which is `field` of `parent` or, with index >= 0, an element of
 * that list. */
rp_status rp_field_enter(const rp_fields *parent, const char *field, long index, const rp_json *value,
                         rp_fields *out);

/* Read a field that must be there: a string, whose text the JSON document owns, and a boolean. */
rp_status rp_field_text(const rp_fields *f, const char *field, const char **out, uint32_t *size);
rp_status rp_field_flag(const rp_fields *f, const char *field, bool *out);
/* Read a boolean; `fallback` where the field is missing or null. */
rp_status rp_field_flag_or(const rp_fields *f, const char *field, bool fallback, bool *out);
/* Read an integer from 0 to UINT32_MAX. */
rp_status rp_field_number(const rp_fields *f, const char *field, uint32_t *out);
/* Read a string of one character. */
rp_status rp_field_char(const rp_fields *f, const char *field, uint32_t *out);
/* Read a string, and copy it into the tokenizer's arena. */
rp_status rp_field_copy(const rp_fields *f, const char *field, const char **out, size_t *size);
/* Read a string as code points, which are in the tokenizer's arena. */
rp_status rp_field_codes(const rp_fields *f, const char *field, const uint32_t **out, size_t *count);
/* Read a pattern, {"String": ...} or {"Regex": ...}. The tokenizer finishes it. */
rp_status rp_field_pattern(const rp_fields *f, const char *field, rp_pattern *out);

#endif
