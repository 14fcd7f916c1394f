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
 * the same. Failing is silent: a cache only saves time. Thread-safe. */
void rp_cache_write(const char *dir, const char *name, const void *data, size_t size);

/* 32 hexadecimal digits and a NUL: XXH3-128 of the data. */
void rp_cache_key(const void *data, size_t size, char out[33]);

#endif
