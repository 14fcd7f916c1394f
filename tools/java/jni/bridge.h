/* What Java and the library say to each other. A call of Java is one array of bytes, and so is its reply:
 * numbers are little-endian, a string is its length in bytes (-1: none), the bytes and, of a call, a NUL. A
 * reply begins with the status, which a message follows if it is not RP_OK. The Java classes Out and In write
 * and read the same.
 *
 * No JNI outside of bridge.c: a function here reads its arguments, calls the library, and writes what that
 * gave. */
#ifndef REPRISE_JAVA_BRIDGE_H
#define REPRISE_JAVA_BRIDGE_H

#include <reprise/reprise.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of a call. A read beyond the end, or of what is not there, gives 0 or nothing and sets `bad`. */
typedef struct rp_java_in {
    const uint8_t *at, *end;
    bool bad;
} rp_java_in;

/* The bytes of a reply. When memory is short `short_of_memory` is set, and what follows is not written. */
typedef struct rp_java_out {
    uint8_t *data;
    size_t size, capacity;
    bool short_of_memory;
} rp_java_out;

/* One call of Java: `call` is NULL, or the rp_call in the memory of a Java object. */
typedef struct rp_java_call {
    rp_java_in in;
    rp_java_out out;
    rp_call *call;
} rp_java_call;

/* A function that Java calls: it reads `c->in`, and writes `c->out` if it returns RP_OK. It calls
 * rp_java_done, or rp_java_given, between the two. */
typedef rp_status (*rp_java_function)(rp_java_call *c, rp_error *err);

/* ---- wire.c: reading ---- */

int32_t rp_java_i32(rp_java_in *in);
int64_t rp_java_i64(rp_java_in *in);
double rp_java_f64(rp_java_in *in);
bool rp_java_bool(rp_java_in *in);
void *rp_java_handle(rp_java_in *in);                  /* a pointer that rp_java_put_handle wrote before */
rp_text rp_java_text(rp_java_in *in);                  /* in the memory of the call; data NULL: none */
const char *rp_java_name(rp_java_in *in);              /* the same for a string without a NUL in it */
size_t rp_java_count(rp_java_in *in, size_t smallest); /* of things that take at least so many bytes each */

/* RP_ERROR_ARGUMENT when something of the call could not be read, or not all of it was. */
rp_status rp_java_done(const rp_java_in *in, rp_error *err);

/* A zeroed array that is never NULL for want of elements. NULL: there is no memory, which `err` says. */
void *rp_java_array(size_t count, size_t size, rp_error *err);

/* `count` strings, as rp_text and as names. The caller frees the array. */
rp_text *rp_java_texts(rp_java_in *in, size_t *count, rp_error *err);
const char **rp_java_names(rp_java_in *in, size_t *count, rp_error *err);

/* ---- wire.c: writing ---- */

void rp_java_put_i32(rp_java_out *out, int32_t value);
void rp_java_put_i64(rp_java_out *out, int64_t value);
void rp_java_put_f32(rp_java_out *out, float value);
void rp_java_put_f64(rp_java_out *out, double value);
void rp_java_put_floats(rp_java_out *out, const float *values, size_t count);
void rp_java_put_handle(rp_java_out *out, const void *handle);
void rp_java_put_text(rp_java_out *out, rp_text text);
void rp_java_put_name(rp_java_out *out, const char *name);
void rp_java_put_span(rp_java_out *out, rp_span span);

/* ---- bridge.c: calling Java ---- */

/* What a call that trains is told: `kind` 0, a step; 1, an evaluation. The Java object of `call` hears it. */
void rp_java_tell(const rp_call *call, int kind, const rp_java_out *message);

/* ---- the functions, by name ---- */

/* NULL: there is none of this name. */
#define FUNCTION(name) rp_status rp_java_##name(rp_java_call *c, rp_error *err);
#include "functions.def"
#undef FUNCTION

#endif
