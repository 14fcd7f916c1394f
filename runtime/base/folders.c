#define _GNU_SOURCE /* asprintf, nftw */
#include "base/folders.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

bool rp_make_folders(const char *path, unsigned mode) {
    if (!mkdir(path, mode) || errno == EEXIST) return true; /* as most often */
    if (errno != ENOENT) return false;
    char *part = strdup(path);
    bool made = part != NULL;
    if (!part) errno = ENOMEM;
    for (char *at = part; made && *at;) {
        at += strspn(at, "/");
        at += strcspn(at, "/");
        char end = *at;
        *at = '\0';
        made = !mkdir(part, mode) || errno == EEXIST;
        *at = end;
    }
    int why = errno;
    free(part);
    errno = why;
    return made;
}

static bool is_folder(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

char *rp_user_cache(const char *below, bool *memory) {
    char *path = NULL;
    const char *base = getenv("XDG_CACHE_HOME"), *between = "";
    if (!base || base[0] != '/') {
        base = getenv("HOME");
        between = "/.cache";
        if (!base || !base[0] || !is_folder(base)) return NULL;
    }
    *memory = asprintf(&path, "%s%s/%s", base, between, below) < 0;
    return *memory ? NULL : path;
}

bool rp_file_limit_allows(uint64_t size) {
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info, (void)kind, (void)place;
    return remove(path);
}

bool rp_remove_tree(const char *path) {
    enum { OPEN_FOLDERS = 8 };
    return !nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) || errno == ENOENT;
}
