/* Folders that belong to the user, and what may be written there. */
#ifndef RP_BASE_FOLDERS_H
#define RP_BASE_FOLDERS_H

#include <stdbool.h>
#include <stdint.h>

/* Make every folder of `path` that is not there, with these permissions. False, and errno says why: one could
 * not be made. */
bool rp_make_folders(const char *path, unsigned mode);

/* $XDG_CACHE_HOME/`below` or, where that is unset or relative (its specification says to ignore such a
 * value), ~/.cache/`below`. NULL where HOME names no folder that exists, since nobody's home is to be made;
 * or, with `*memory` set, when memory runs out. The caller frees it. */
char *rp_user_cache(const char *below, bool *memory);

/* False where a file of so many bytes is beyond this process's limit (rp_os_file_limit): a write there would
 * not fail but end the process (SIGXFSZ). */
bool rp_file_limit_allows(uint64_t size);

#endif
