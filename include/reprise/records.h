/* The files of a model that are not files of a folder: assets stored in an APK, entries of a jar, resources
 * in a program, what was downloaded into memory. rp_model_open_records and rp_tokenizer_open_records take
 * them. */
#ifndef REPRISE_RECORDS_H
#define REPRISE_RECORDS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One file of a model: `size` bytes at `memory`, or, where `memory` is NULL, `size` bytes from byte `offset`
 * of an open file on.
 *
 * Ownership. The caller keeps all of it. The call reads names and the array while it runs, and no longer.
 * - A descriptor: the call duplicates those that it needs later, so the caller may close its own as soon as
 *   the call returns. The library maps the weights, and reads the other files at their offsets: it neither
 *   uses nor moves the position of the descriptor. As with a folder, nobody may write into the file or cut it
 *   while the model is open.
 * - Memory: the caller keeps it, unchanged, until the model is closed, since the library uses the weights
 *   where they are and sends them again when the device was lost. Of a tokenizer the memory is free again
 *   when the call returns.
 *
 * `offset` and `memory` need no alignment. Records may share bytes. One of `size` 0 is an empty file, and its
 * descriptor is not looked at. */
typedef struct rp_record {
    const char *name;     /* the path of the file in the folder that a model would have: "config.json",
                             "1_Pooling/config.json"; UTF-8, parts between single "/", none "." or ".." */
    const void *memory;   /* NULL: read from the descriptor */
    uint64_t size;        /* bytes */
    uint64_t offset;      /* the first byte in the descriptor's file; 0 with `memory` */
    int descriptor;       /* of a regular file, open for reading */
    int flags;            /* zero */
    uint64_t reserved[2]; /* zero */
} rp_record;

#ifdef __cplusplus
}
#endif
#endif
