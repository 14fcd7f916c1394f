#define _GNU_SOURCE /* asprintf, nftw */
#include "base/folders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

bool rp_make_folders(const char *path, unsigned mode) {
    if (!rp_os_mkdir(path, mode) || errno == EEXIST) return true; /* as most often */
    if (errno != ENOENT) return false;
    char *part = strdup(path);
    bool made = part != NULL;
    if (!part) errno = ENOMEM;
    for (char *at = part; made && *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char end = *at;
        *at = '\0';
        made = !rp_os_mkdir(part, mode) || errno == EEXIST;
        *at = end;
    }
    int why = errno;
    free(part);
    errno = why;
    return made;
}

char *rp_user_cache(const char *below, bool *memory) {
    char *path = NULL;
    const char *between, *base = rp_os_cache(&between);
    if (!base) return NULL;
    *memory = asprintf(&path, "%s%s/%s", base, between, below) < 0;
    return *memory ? NULL : path;
}

bool rp_file_limit_allows(uint64_t size) {
    return rp_os_file_limit() >= size;
}
