/* Small files that only save time: compiled shaders and pipelines. A damaged one reads as absent, and so does
 * one that another user owns or may write. The hash finds damage; it is no signature. */
#ifndef RP_GPU_CACHE_H
#define RP_GPU_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The cache folder that `wanted` (may be NULL), REPRISE_CACHE_DIR, XDG_CACHE_HOME and HOME lead to, made if
 * needed. NULL: no cache (an empty `wanted` or variable, or no folder can be made). Freed by free(). */
char *rp_cache_dir(const char *wanted);

/* Read the entry `name`, checked against its name, size and hash. False: absent, damaged, not only ours to
 * write, or out of memory. Never waits, whatever has that name. The caller frees `*data`. Thread-safe. */
bool rp_cache_read(const char *dir, const char *name, void **data, size_t *size);

/* Write it whole or not at all, also when the process is killed, the disk is full or another process writes
 * the same. False, and errno says why: it is not there, nor did another process write it. Thread-safe. */
bool rp_cache_write(const char *dir, const char *name, const void *data, size_t size);

enum { RP_ATTEMPT_TEXT = 96, RP_MOST_ATTEMPTS = 9 };

/* How often something was begun that may end this process, and was not ended: kept in a file that is written
 * before, so that the next process knows. */
typedef struct rp_attempt_note {
    char *path;
    int file;         /* locked; negative: nothing is kept */
    uint32_t unclear; /* that did not end, and somebody may have killed the process */
    uint32_t certain; /* that did not end for certain: as the writer knew, or since the system went down */
    char what[RP_ATTEMPT_TEXT]; /* what was begun last, in one line */
} rp_attempt_note;

/* Read the note `name`; counts of 0 where there is none, where the file is damaged or another's, and where
 * another process or thread has it open: what that has begun has not failed. Closed by rp_attempt_note_close.
 */
void rp_attempt_note_open(rp_attempt_note *tries, const char *dir, const char *name);
void rp_attempt_note_write(
    const rp_attempt_note *tries);                  /* as its counts and `what` are now; failing is silent */
void rp_attempt_note_close(rp_attempt_note *tries); /* counts of 0 leave no file */

/* 32 hexadecimal digits and a NUL: XXH3-128 of the data. */
void rp_cache_key(const void *data, size_t size, char out[33]);

#endif
