/* Fields of a tokenizer.json, with messages that say where they are. */
#ifndef RP_LOADER_TOKENIZER_FIELDS_H
#define RP_LOADER_TOKENIZER_FIELDS_H

#include "loader/tokenizer.h"

enum { RP_WHERE_SIZE = 160 };

/* A file that is read, and a place in it, such as "normalizer.normalizers[2]". */
typedef struct rp_fields {
    rp_tokenizer *t;
    const char *path;
    rp_error *err;
    const rp_json *value; /* an object */
    char where[RP_WHERE_SIZE];
} rp_fields;

/* RP_ERROR_FORMAT: the field is missing or not what it must be ("a string"). */
rp_status rp_field_bad(const rp_fields *f, const char *field, const char *must);
/* RP_ERROR_UNSUPPORTED: `what` ("the normalizer") of that type is not served. */
rp_status rp_field_unserved(const rp_fields *f, const char *what, const char *type);

/* The object `value`, at `field` of `parent` or (index >= 0) at that place of the list there. */
rp_status rp_field_enter(const rp_fields *parent, const char *field, long index, const rp_json *value,
                         rp_fields *out);

/* A field that must be there; the text stays the document's. */
rp_status rp_field_text(const rp_fields *f, const char *field, const char **out, uint32_t *size);
rp_status rp_field_flag(const rp_fields *f, const char *field, bool *out);
/* The same; `fallback` where it is missing or null. */
rp_status rp_field_flag_or(const rp_fields *f, const char *field, bool fallback, bool *out);
/* An integer from 0 to UINT32_MAX. */
rp_status rp_field_number(const rp_fields *f, const char *field, uint32_t *out);
/* A string of one character. */
rp_status rp_field_char(const rp_fields *f, const char *field, uint32_t *out);
/* A string, copied into the tokenizer's arena. */
rp_status rp_field_copy(const rp_fields *f, const char *field, const char **out, size_t *size);
/* A string as code points in the tokenizer's arena. */
rp_status rp_field_codes(const rp_fields *f, const char *field, const uint32_t **out, size_t *count);
/* {"String": ...} or {"Regex": ...}. */
rp_status rp_field_pattern(const rp_fields *f, const char *field, rp_pattern *out);

#endif
