/* Writing JSON text. Nothing fails until rp_json_writer_finish says so. */
#ifndef RP_LOADER_JSON_WRITE_H
#define RP_LOADER_JSON_WRITE_H

#include "loader/json_tree.h"

enum { RP_JSON_DEPTH = 64 };

/* Zero-initialise; rp_json_writer_finish or rp_json_writer_drop. */
typedef struct rp_json_writer {
    char *text;
    size_t size, capacity;
    uint32_t depth;
    bool compact;             /* no line ends; may be changed between any two calls */
    bool answer;              /* strings as json_text.h has them: valid, and on one line for every reader */
    bool more[RP_JSON_DEPTH]; /* something was written at that depth */
    bool broken;              /* memory ran out, or the depth did */
} rp_json_writer;

/* `key` names the value in the object around it; NULL in a list and for the whole text. */
void rp_json_write_open(rp_json_writer *w, const char *key, char bracket);                  /* '{' or '[' */
void rp_json_write_close(rp_json_writer *w, char bracket);                                  /* '}' or ']' */
void rp_json_write_text(rp_json_writer *w, const char *key, const char *text, size_t size); /* UTF-8 */
void rp_json_write_string(rp_json_writer *w, const char *key, const char *text);
void rp_json_write_integer(rp_json_writer *w, const char *key, int64_t value);
/* The shortest decimals that are read as the same number, always as a fraction. NaN, Infinity and -Infinity
 * for what is not finite, as Python writes it. */
void rp_json_write_real(rp_json_writer *w, const char *key, double value);
/* As json_text.h has it; `value` is finite. */
void rp_json_write_float(rp_json_writer *w, const char *key, float value);
/* A value that is JSON already. */
void rp_json_write_raw(rp_json_writer *w, const char *key, const char *json);
void rp_json_write_bool(rp_json_writer *w, const char *key, bool value);
void rp_json_write_null(rp_json_writer *w, const char *key);
/* A value that was read, whole. */
void rp_json_write_value(rp_json_writer *w, const char *key, const rp_json *value);

/* The text, with a line end behind it, owned by the caller (free); NULL when memory ran out, or brackets are
 * open. The writer is zeroed. */
char *rp_json_writer_finish(rp_json_writer *w, size_t *size);

/* Free the text unfinished. */
void rp_json_writer_drop(rp_json_writer *w);

#endif
