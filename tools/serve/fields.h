/* Reading the fields of a body. A field that is null counts as missing. Each function returns false with a
 * problem that names the field. */
#ifndef REPRISE_SERVE_FIELDS_H
#define REPRISE_SERVE_FIELDS_H

#include "tools/serve/serve.h"

/* The value, or NULL. */
const rp_json *rp_body_value(const rp_json *object, const char *name);

/* The object has no name but some of `names`, which stand one blank apart; NULL: it may have any. */
bool rp_body_takes(const rp_json *object, const char *names, rp_trouble *problem);

/* `*out` stays as it is where the field is missing. */
bool rp_body_bool(const rp_json *object, const char *name, bool *out, rp_trouble *problem);
bool rp_body_count(const rp_json *object, const char *name, uint32_t least, uint32_t *out,
                   rp_trouble *problem);
bool rp_body_string(const rp_json *object, const char *name, const char **out, rp_trouble *problem);
bool rp_body_real(const rp_json *object, const char *name, bool *given, double *out, rp_trouble *problem);

/* A text that must be there. */
bool rp_body_text(const rp_json *object, const char *name, rp_text *out, rp_trouble *problem);

/* An object that must be there, or one that may be missing (`*out` is NULL then). */
bool rp_body_object(const rp_json *object, const char *name, bool needed, const rp_json **out,
                    rp_trouble *problem);

/* A list of strings, and how many there are. `*out` is the caller's (free). */
bool rp_body_texts(const rp_json *object, const char *name, rp_text **out, size_t *count,
                   rp_trouble *problem);

/* truncate and truncation_direction. */
bool rp_body_truncation(const rp_json *object, rp_ask *ask, rp_trouble *problem);

bool rp_trouble_memory(rp_trouble *problem);

#endif
