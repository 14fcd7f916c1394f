/* JSON files, with messages that name the field; and what reads and names files. */
#ifndef RP_LOADER_JSON_H
#define RP_LOADER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "loader/json_read.h"
#include "loader/model_file.h"

/* How many bytes of `text`, at most `most`, to print with "%.*s": never half of a UTF-8 character. */
int rp_text_fit(const char *text, int most);

/* Parse the `size` bytes of `text`. RP_ERROR_FORMAT names `path`, the line and the last key before the
 * mistake. Duplicate keys are a mistake. RP_ERROR_HOST_MEMORY. `*out` is the caller's (rp_json_finish),
 * zeroed after a failure; its root is an object or a list. */
rp_status rp_json_parse(const char *text, size_t size, const char *path, rp_json_document *out,
                        rp_error *err);

/* Read and parse a file. Integers of more than 64 bits and NaN, Infinity and -Infinity are reals, as Python
 * reads and writes them. */
rp_status rp_json_load(const char *path, rp_json_document *out, rp_error *err);

/* The same, with every number as a real: for files that hold integers of any size. */
rp_status rp_json_load_reals(const char *path, rp_json_document *out, rp_error *err);
/* The same again, rounded as in Rust (rp_json_flags): for tokenizer.json. */
rp_status rp_json_load_rust(const char *path, rp_json_document *out, rp_error *err);

/* `root`.`field` as a boolean; `fallback` when it is missing. As Python has it, null and 0 are false and
 * other numbers true. RP_ERROR_FORMAT when it is something else. */
rp_status rp_json_bool(const rp_json *root, const char *path, const char *field, bool fallback, bool *out,
                       rp_error *err);

#endif
