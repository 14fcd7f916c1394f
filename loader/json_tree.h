/* What JSON text says, as values that are only read. The command is built with this file too. */
#ifndef RP_LOADER_JSON_TREE_H
#define RP_LOADER_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum rp_json_type {
    RP_JSON_NULL,
    RP_JSON_FALSE,
    RP_JSON_TRUE,
    RP_JSON_INTEGER,
    RP_JSON_REAL,
    RP_JSON_STRING,
    RP_JSON_ARRAY,
    RP_JSON_OBJECT,
} rp_json_type;

/* One value. It lives as long as its document. */
typedef struct rp_json {
    rp_json_type type;
    uint32_t count; /* items, members, or bytes of a string */
    union {
        int64_t integer;
        double real;
        const char *text;                /* a NUL stands behind its bytes */
        const struct rp_json *items;     /* [count] */
        const struct rp_member *members; /* [count], as they follow one another in the text */
    };
} rp_json;

/* "key": value. No two members of an object have the same key. */
typedef struct rp_member {
    const char *key; /* a NUL stands behind its bytes, and none among them */
    uint32_t key_size;
    uint32_t hash; /* for rp_json_get */
    rp_json value;
} rp_member;

/* Zero-initialise; a zeroed one holds null, which no file that was loaded does. May be moved. */
typedef struct rp_json_document {
    rp_json root;
    void *memory; /* all that `root` points to */
} rp_json_document;

/* Free the values. Allowed on a zeroed document, which it leaves behind. */
void rp_json_finish(rp_json_document *document);

/* The value of that key. NULL: there is none, or `object` is no object or NULL. The time does not grow with
 * the number of members. Thread-safe, as all of these are. */
const rp_json *rp_json_get(const rp_json *object, const char *key);

/* The text of a string, NULL when `value` is something else or NULL. */
const char *rp_json_string(const rp_json *value);

/* `value` is of that type; false when it is NULL. */
static inline bool rp_json_is(const rp_json *value, rp_json_type type) {
    return value && value->type == type;
}

/* The number of items, members or bytes of a value of that type; 0 when `value` is of another or NULL. */
static inline uint32_t rp_json_count(const rp_json *value, rp_json_type type) {
    return rp_json_is(value, type) ? value->count : 0;
}

/* An integer or a fraction; false, and `*out` is 0, when `value` is neither or NULL. */
bool rp_json_number(const rp_json *value, double *out);

/* "a string", "a list" and so on, for messages; "null" for NULL. */
const char *rp_json_kind(const rp_json *value);

/* ---- for the reader ---- */

/* Bytes of the index behind the `count` members of an object; 0 where there are so few of them that they are
 * looked at one by one. */
size_t rp_json_index_bytes(uint32_t count);

/* Make the index behind the room for `count` members, which are none as yet. `seed` is what their hashes
 * begin with: nobody who writes a text may know it. */
void rp_json_index_begin(rp_member *members, uint32_t count, uint64_t seed);

/* Take in members[at], whose key is set; the members before it are taken in. `count`: as above. False: one of
 * those has the same key. */
bool rp_json_index_add(rp_member *members, uint32_t count, uint32_t at);

#endif
