/* Writes a folder whole or not at all: files go to a temporary folder beside it, and to their place at the
 * end. */
#ifndef RP_LOADER_STAGING_H
#define RP_LOADER_STAGING_H

#include <stdbool.h>

#include "base/alloc.h"

/* Zero-initialise. Used by one thread. */
typedef struct rp_staging {
    char *out;    /* the folder that is to be, without a slash at its end */
    char *dir;    /* where its files are written meanwhile */
    bool exists;  /* `out` was there already: files are put into it one by one */
    char **names; /* [count] of the files, relative to the folder */
    size_t count, capacity;
    int fd;           /* of the file that is being written; -1: none */
    char *path;       /* of it */
    uint64_t written; /* bytes of it */
    rp_arena arena;
} rp_staging;

/* RP_ERROR_FILE: `path` cannot be written, and errno says why. */
rp_status rp_fail_write(const char *path, rp_error *err);

/* Begin the folder `out`, whose parent exists. RP_ERROR_FILE when it has files already, unless `overwrite`
 * allows that. In any case the caller ends with rp_staging_close. */
rp_status rp_staging_open(const char *out, bool overwrite, rp_staging *staging, rp_error *err);

/* Begin the file `name`, which may stand in one folder, write to it, and end it: then it is on the disk. */
rp_status rp_staging_begin(rp_staging *staging, const char *name, rp_error *err);
rp_status rp_staging_write(rp_staging *staging, const void *data, size_t size, rp_error *err);
rp_status rp_staging_end(rp_staging *staging, rp_error *err);

/* Write the file `folder` + `name` that holds `text`, and free `text`. RP_ERROR_HOST_MEMORY when `text` is
 * NULL, as the caller had no memory for it. */
rp_status rp_staging_text(rp_staging *staging, const char *folder, const char *name, char *text, size_t size,
                          rp_error *err);

/* A file that is a copy of `path`. */
rp_status rp_staging_copy(rp_staging *staging, const char *path, const char *name, rp_error *err);

/* True when a file of that name was written. */
bool rp_staging_has(const rp_staging *staging, const char *name);

/* Everything was written: put it in its place. Where the folder existed, files of the same names are
 * replaced, and those of `stale` that were not written are removed. */
rp_status rp_staging_commit(rp_staging *staging, const char *const *stale, size_t stale_count, rp_error *err);

/* Remove what was not put in its place. Allowed on a zeroed struct. */
void rp_staging_close(rp_staging *staging);

#endif
