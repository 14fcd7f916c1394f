/* JSON text to jansson's values.
 *
 * jansson has a reader of its own, but that one does not notice when memory runs out: it loses characters of
 * what it reads, and then takes one value for another, reads beyond a string's end or aborts. Making its
 * values one by one is safe. The command is built with this file too. */
#ifndef RP_LOADER_JSON_READ_H
#define RP_LOADER_JSON_READ_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct rp_json_flags {
    bool any;   /* the whole may be a string, a number or a word, not only an object or a list */
    bool nul;   /* strings, though not keys, may hold the character U+0000 */
    bool reals; /* every number becomes a real: integers of any size can be read */
    bool large; /* a number that fits no type is no mistake: an integer of more than 64 bits becomes a real,
                   and a real that is too large the largest there is */
} rp_json_flags;

/* Why there is no value. */
typedef struct rp_json_mistake {
    bool memory;     /* there was none left: the text may be good */
    int line;        /* from 1 */
    size_t position; /* bytes before it */
    char text[80];   /* such as "',' or '}' expected" */
} rp_json_mistake;

/* Read all of `text`, which must be UTF-8 and hold one value; two keys of an object may not be the same. NULL
 * after a mistake. The value is the caller's (json_decref). Thread-safe. */
json_t *rp_json_read(const char *text, size_t size, rp_json_flags flags, rp_json_mistake *mistake);

#endif
