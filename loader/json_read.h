/* JSON text to values. The command is built with this file too. */
#ifndef RP_LOADER_JSON_READ_H
#define RP_LOADER_JSON_READ_H

#include "loader/json_tree.h"

typedef struct rp_json_flags {
    bool any;      /* the whole may be a string, a number or a word, not only an object or a list */
    bool nul;      /* strings, though not keys, may hold the character U+0000 */
    bool nul_keys; /* keys, too: no name that is asked for is one of these */
    bool reals;    /* every number becomes a real: integers of any size can be read */
    bool large; /* a number that fits no type is no mistake: an integer of more than 64 bits becomes a real,
                   and a real that is too large the largest there is */
    bool rust;  /* reals are rounded as serde_json rounds them, which is what reads tokenizer.json elsewhere:
                   some are a unit in the last place off, and that decides between segmentations */
    bool words; /* NaN, Infinity and -Infinity are reals, as Python writes and reads them */
} rp_json_flags;

/* Why there is no value. */
typedef struct rp_json_mistake {
    bool memory;     /* there was none left: the text may be good */
    int line;        /* from 1 */
    size_t position; /* bytes before it */
    char text[80];   /* such as "',' or '}' expected" */
} rp_json_mistake;

/* Read all of `text`, which must be UTF-8 and hold one value; two keys of an object may not be the same. The
 * time grows with the length of the text alone, and the memory is at most ten times its length, two or three
 * times for texts such as vocabularies. False after a mistake, which leaves `*out` zeroed. The document is
 * the caller's (rp_json_finish), and needs the text no longer. Thread-safe; the locale changes nothing. */
bool rp_json_read(const char *text, size_t size, rp_json_flags flags, rp_json_document *out,
                  rp_json_mistake *mistake);

#endif
