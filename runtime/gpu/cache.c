#define _GNU_SOURCE
#include "gpu/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { MAX_ENTRY = 256 << 20 };

typedef struct header {
    char magic[8];
    uint64_t size; /* bytes after the header */
    uint64_t hash; /* XXH3-64 of them */
} header;

static const char cache_magic[8] = {'r', 'e', 'p', 'r', 'i', 's', 'e', '1'};

/* Make every folder of `path`. */
static bool make_folders(char *path) {
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        int made = mkdir(path, 0700);
        *slash = '/';
        if (made && errno != EEXIST) return false;
    }
    return !mkdir(path, 0700) || errno == EEXIST;
}

char *rp_cache_dir(const char *wanted) {
    const char *base = wanted ? wanted : getenv("REPRISE_CACHE_DIR");
    const char *below = "";
    if (!base) {
        base = getenv("XDG_CACHE_HOME");
        below = "/reprise";
        if (!base || base[0] != '/') {
            base = getenv("HOME");
            below = "/.cache/reprise";
        }
    }
    if (!base || !base[0]) return NULL;
    char *path = NULL;
    if (asprintf(&path, "%s%s", base, below) < 0) return NULL;
    if (make_folders(path)) return path;
    free(path);
    return NULL;
}

static bool read_all(int fd, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = read(fd, (char *)data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

bool rp_cache_read(const char *dir, const char *name, void **data, size_t *size) {
    char *path = NULL;
    *data = NULL;
    if (!dir || asprintf(&path, "%s/%s", dir, name) < 0) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0) return false;
    struct stat info;
    header head;
    bool good = !fstat(fd, &info) && read_all(fd, &head, sizeof head) &&
                !memcmp(head.magic, cache_magic, sizeof cache_magic) && head.size <= MAX_ENTRY &&
                (uint64_t)info.st_size == head.size + sizeof head;
    if (good) good = (*data = malloc(head.size ? head.size : 1)) != NULL;
    if (good) good = read_all(fd, *data, head.size) && XXH3_64bits(*data, head.size) == head.hash;
    close(fd);
    if (good) {
        *size = head.size;
    } else {
        free(*data);
        *data = NULL;
    }
    return good;
}

void rp_cache_write(const char *dir, const char *name, const void *data, size_t size) {
    char *path = NULL, *temporary = NULL;
    if (!dir || size > MAX_ENTRY) return;
    if (asprintf(&path, "%s/%s", dir, name) < 0) return;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0) {
        free(path);
        return;
    }
    header head = {.size = size, .hash = XXH3_64bits(data, size)};
    memcpy(head.magic, cache_magic, sizeof cache_magic);
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd >= 0) {
        bool good = write_all(fd, &head, sizeof head) && write_all(fd, data, size);
        good = !close(fd) && good;
        if (!good || rename(temporary, path)) unlink(temporary);
    }
    free(temporary);
    free(path);
}

void rp_cache_key(const void *data, size_t size, char out[33]) {
    XXH128_hash_t hash = XXH3_128bits(data, size);
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
