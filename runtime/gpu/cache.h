/* The cache folder: small files that only save time, such as compiled pipelines and what is known of kernels,
 * and the attempt log. A damaged file reads as absent, and so does one that another user owns or may write.
 * The hash in an entry finds damage; it is no signature. */
#ifndef RP_GPU_CACHE_H
#define RP_GPU_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The cache folder that `wanted` (may be NULL), REPRISE_CACHE_DIR, XDG_CACHE_HOME and HOME lead to, made if
 * needed. NULL: no cache (an empty `wanted` or variable, or no folder can be made). Freed by free(). */
char *rp_cache_dir(const char *wanted);

/* Read the entry `name`, and check it against its name, size and hash. False: it is absent, damaged or
 * another user's, or memory ran out. Does not wait, whatever file has that name. The caller frees `*data`.
 * Thread-safe. */
bool rp_cache_read(const char *dir, const char *name, void **data, size_t *size);

/* Write the entry whole or not at all, also where the process is killed, the disk is full or another process
 * writes it too. False, and errno says why: it is not there, nor did another process write it. Thread-safe.
 */
bool rp_cache_write(const char *dir, const char *name, const void *data, size_t size);

enum { RP_ATTEMPT_TEXT = 96, RP_MOST_ATTEMPTS = 9 };

/* A file of the attempt log: how often something was begun that may end the process, and did not end. The
 * caller writes it before it begins, so that the next process knows. */
typedef struct rp_attempt_note {
    char *path;
    int file;                   /* open and locked; negative: nothing is kept */
    uint32_t unclear;           /* attempts that did not end; somebody may have killed the process */
    uint32_t certain;           /* attempts that the process, or the system, did not survive for certain */
    char what[RP_ATTEMPT_TEXT]; /* what was begun last, in one line */
} rp_attempt_note;

/* Open the note `name` and read it. Its counts are 0 where there is no such file, where it is damaged or
 * another user's, and where another process or thread has it open: what that has begun may still end. The
 * caller closes it. rp_attempt_note_write writes its counts and `what` as they are now; where that fails
 * nothing is said. rp_attempt_note_close removes the file when both counts are 0. */
void rp_attempt_note_open(rp_attempt_note *note, const char *dir, const char *name);
void rp_attempt_note_write(const rp_attempt_note *note);
void rp_attempt_note_close(rp_attempt_note *note);

/* Write the XXH3-128 hash of the data: 32 hexadecimal digits and a NUL. */
void rp_cache_key(const void *data, size_t size, char out[33]);

#endif
