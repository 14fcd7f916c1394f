/* The entries of a zip archive in memory. Those that are compressed or encrypted are known by name alone. */
#ifndef RP_LOADER_ZIP_H
#define RP_LOADER_ZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

typedef struct rp_zip_entry {
    const char *name;
    const unsigned char *data; /* in the archive */
    const char *refused;       /* why the data is not that of the entry, in words; NULL: it is */
    uint64_t size;             /* of the data in the archive */
    uint32_t crc;              /* of the data; 0: not computed */
    uint64_t local;            /* where in the archive the entry begins */
} rp_zip_entry;

/* Zero-initialise. Thread-safety: read-only after opening. */
typedef struct rp_zip {
    rp_zip_entry *entries; /* [count], by name */
    size_t count;
    rp_arena names;
} rp_zip;

/* Read the central directory of the `size` bytes at `bytes`, which `out` borrows. RP_ERROR_FORMAT names
 * `path` and the entry when the archive is cut or damaged, or two entries overlap or share a name;
 * RP_ERROR_UNSUPPORTED when the archive has several parts. On success the caller owns `out` (rp_zip_close).
 */
rp_status rp_zip_open(const unsigned char *bytes, uint64_t size, const char *path, rp_zip *out,
                      rp_error *err);

/* Allowed on a zeroed struct. */
void rp_zip_close(rp_zip *zip);

/* The entry of that name, or NULL. */
const rp_zip_entry *rp_zip_find(const rp_zip *zip, const char *name);

/* False when the entry's bytes are not those that it was written with, as far as the archive says. */
bool rp_zip_is_intact(const rp_zip_entry *entry);

#endif
