#define _GNU_SOURCE
#include "gpu/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/folders.h"
#include "base/os.h"

enum { MAX_ENTRY = 256 << 20 };

typedef struct header {
    char magic[8];
    uint64_t size; /* bytes after the header */
    uint64_t hash; /* XXH3-64 of them and of the name */
} header;

static const char cache_magic[8] = {'r', 'e', 'p', 'r', 'i', 's', 'e', '2'};

char *rp_cache_dir(const char *wanted) {
    const char *given = wanted ? wanted : rp_os_getenv("REPRISE_CACHE_DIR");
    bool memory = false; /* it ran out, and so there is no cache either */
    if (given && !given[0]) return NULL;
    char *path = given ? strdup(given) : rp_user_cache("reprise", &memory);
    if (path && rp_make_folders(path, 0700)) return path;
    free(path);
    return NULL;
}

static bool read_all(int fd, void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = rp_os_read(fd, (char *)data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_all(int fd, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = rp_os_write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* The name counts too: an entry that was moved to another name is damaged. */
static uint64_t hash_of(const char *name, const void *data, size_t size) {
    return XXH3_64bits_withSeed(data, size, XXH3_64bits(name, strlen(name)));
}

/* False for a file that another user may have written: drivers trust what comes out of a cache. */
static bool is_trusted(const rp_os_info *info) {
    return info->kind == RP_OS_FILE && info->trusted;
}

bool rp_cache_read(const char *dir, const char *name, void **data, size_t *size) {
    char *path = NULL;
    *data = NULL;
    if (!dir || asprintf(&path, "%s/%s", dir, name) < 0) return false;
    int fd = rp_os_open(path, RP_OS_READ | RP_OS_NO_LINK | RP_OS_NOWAIT);
    free(path);
    if (fd < 0) return false;
    rp_os_info info;
    header head;
    bool good = !rp_os_fstat(fd, &info) && is_trusted(&info) && read_all(fd, &head, sizeof head) &&
                !memcmp(head.magic, cache_magic, sizeof cache_magic) && head.size <= MAX_ENTRY &&
                (uint64_t)info.size == head.size + sizeof head;
    if (good) good = (*data = malloc(head.size ? head.size : 1)) != NULL;
    if (good) good = read_all(fd, *data, head.size) && hash_of(name, *data, head.size) == head.hash;
    rp_os_close(fd);
    if (good) {
        *size = head.size;
    } else {
        free(*data);
        *data = NULL;
    }
    return good;
}

/* ---- writing ---- */

/* An entry to write, and where. */
typedef struct entry {
    const char *dir, *path;
    header head;
    const void *data;
} entry;

static bool fill(int fd, const entry *e) {
    return write_all(fd, &e->head, sizeof e->head) && write_all(fd, e->data, e->head.size);
}

/* Remove what has the name of an entry, a file or an empty folder. A folder with something in it, which this
 * library did not make, is moved aside. */
static bool make_way(const char *path) {
    char *aside = NULL;
    /* these errors say that another process removed it, or put an entry there, at the same moment */
    if (!rp_os_unlink(path) || errno == ENOENT || !rp_os_rmdir(path) || errno == ENOENT || errno == ENOTDIR)
        return true;
    if (asprintf(&aside, "%s.aside", path) < 0) return false;
    bool moved = !rp_os_rename(path, aside);
    free(aside);
    return moved;
}

/* Give a file without a name the name `path`, in place of what has it. A link cannot replace a file, so for a
 * moment there is no entry, which only costs time; a temporary name, from which to rename, would stay in the
 * folder if this process died. */
static bool give_name(int fd, const char *path) {
    for (int again = 0; again < 2; again++) {
        if (!rp_os_give_name(fd, path)) return true;
        if (errno != EEXIST) return false;
        if (again || !make_way(path))
            return true; /* another process writes the same, or it cannot be replaced */
    }
    return true;
}

static void close_quietly(int fd) {
    int why = errno;
    rp_os_close(fd);
    errno = why;
}

/* Write the entry to a file that has no name until it is whole: whenever this process ends, nothing
 * half-written stays in the folder. False: the file system has no such files. `*written`: the entry is there.
 */
static bool write_unnamed(const entry *e, bool *written) {
    int fd = rp_os_open_unnamed(e->dir);
    if (fd < 0) return false;
    bool filled = fill(fd, e);
    *written = filled && give_name(fd, e->path);
    close_quietly(fd);
    return *written || !filled;
}

static const char temporary_name[] = ".reprise-XXXXXX";

/* Remove the temporary files of processes that ended: those of living processes are locked. */
static void sweep(const char *dir) {
    rp_os_list *list = rp_os_list_open(dir);
    if (!list) return;
    size_t prefix = strcspn(temporary_name, "X");
    for (const char *file; (file = rp_os_list_next(list));) {
        if (strlen(file) != sizeof temporary_name - 1 || memcmp(file, temporary_name, prefix) != 0) continue;
        int fd = rp_os_list_file(list, file);
        if (fd < 0) continue;
        if (!rp_os_lock(fd)) rp_os_list_unlink(list, file);
        rp_os_close(fd);
    }
    rp_os_list_close(list);
}

/* A temporary file that this process has locked, before another's sweep took it away. -1: there is none. The
 * caller frees `*path`. */
static int open_temporary(const char *dir, char **path) {
    enum { TIMES = 8 };
    for (int i = 0; i < TIMES; i++) {
        rp_os_info info;
        if (asprintf(path, "%s/%s", dir, temporary_name) < 0) {
            *path = NULL;
            return -1;
        }
        int fd = rp_os_temporary_file(*path);
        if (fd < 0) return -1;
        bool ours = !rp_os_lock(fd) || errno != EWOULDBLOCK;
        if (ours && !rp_os_fstat(fd, &info) && info.links) return fd;
        rp_os_close(fd);
        free(*path);
    }
    *path = NULL;
    return -1;
}

/* Write the entry to a temporary file and rename it. Where this process ends in between, the next writer
 * removes that file. */
static bool write_named(const entry *e) {
    char *temporary = NULL;
    sweep(e->dir);
    int fd = open_temporary(e->dir, &temporary);
    bool good = fd >= 0;
    if (good) {
        good = fill(fd, e);
        if (good && rp_os_rename(temporary, e->path)) /* a folder has that name */
            good = (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST) && make_way(e->path) &&
                   !rp_os_rename(temporary, e->path);
        int why = errno;
        if (!good) rp_os_unlink(temporary);
        errno = why;
        close_quietly(fd);
    }
    int why = errno;
    free(temporary);
    errno = why;
    return good;
}

bool rp_cache_write(const char *dir, const char *name, const void *data, size_t size) {
    char *path = NULL;
    bool written = false;
    errno = EFBIG;
    if (!dir || size > MAX_ENTRY || !rp_file_limit_allows(size + sizeof(header))) return false;
    if (asprintf(&path, "%s/%s", dir, name) < 0) return false;
    entry e = {.dir = dir, .path = path, .data = data};
    memcpy(e.head.magic, cache_magic, sizeof cache_magic);
    e.head.size = size;
    e.head.hash = hash_of(name, data, size);
    if (!write_unnamed(&e, &written)) written = write_named(&e);
    int why = errno;
    free(path);
    errno = why;
    return written;
}

/* ---- the attempt log: a file holds "unclear certain boot what" and a line end ---- */

enum { BOOT = 36, NOTE = 8 + BOOT + RP_ATTEMPT_TEXT };

/* Write what tells this start of the system from all others. */
static void read_boot(char out[BOOT + 1]) {
    out[BOOT] = '\0';
    if (!rp_os_boot(out, BOOT) || strspn(out, "0123456789abcdef-") != BOOT) memset(out, '-', BOOT);
}

/* An attempt that was noted before the system started again did not end because of a kill: it took the system
 * down. */
static void read_note(rp_attempt_note *note) {
    char text[NOTE + 1], written[BOOT + 1], boot[BOOT + 1];
    ssize_t size = rp_os_pread(note->file, text, NOTE, 0);
    unsigned unclear, certain;
    int begin = 0;
    text[size > 0 ? size : 0] = '\0';
    char *end = strchr(text, '\n');
    if (!end || end[1]) return;
    *end = '\0';
    if (sscanf(text, "%1u %1u %36s %n", &unclear, &certain, written, &begin) != 3 || !begin) return;
    if (strlen(text + begin) >= RP_ATTEMPT_TEXT || strlen(written) != BOOT) return;
    strcpy(note->what, text + begin);
    read_boot(boot);
    bool same = !strcmp(boot, written);
    note->unclear = same ? unclear : 0;
    note->certain = same ? certain : certain + unclear;
}

void rp_attempt_note_open(rp_attempt_note *note, const char *dir, const char *name) {
    rp_os_info info;
    *note = (rp_attempt_note){.file = -1};
    if (!dir || !rp_file_limit_allows(NOTE) || asprintf(&note->path, "%s/%s", dir, name) < 0) {
        note->path = NULL;
        return;
    }
    int fd = -1;
    for (int i = 0; i < 2 && fd < 0; i++) {
        if (i && !make_way(note->path)) return; /* a folder has that name, or the file is not ours */
        fd = rp_os_open(note->path, RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE | RP_OS_NO_LINK | RP_OS_NOWAIT |
                                        RP_OS_PRIVATE);
        if (fd < 0 || (!rp_os_fstat(fd, &info) && is_trusted(&info))) continue;
        rp_os_close(fd);
        fd = -1;
    }
    if (fd < 0) return;
    if (rp_os_lock(fd) && errno == EWOULDBLOCK) {
        rp_os_close(fd);
        return;
    }
    note->file = fd;
    read_note(note);
}

void rp_attempt_note_write(const rp_attempt_note *note) {
    char boot[BOOT + 1], text[NOTE + 1];
    if (note->file < 0) return;
    read_boot(boot);
    uint32_t unclear = note->unclear < RP_MOST_ATTEMPTS ? note->unclear : RP_MOST_ATTEMPTS;
    uint32_t certain = note->certain < RP_MOST_ATTEMPTS ? note->certain : RP_MOST_ATTEMPTS;
    int size = snprintf(text, sizeof text, "%u %u %s %s\n", unclear, certain, boot, note->what);
    if (!unclear && !certain) size = 0;
    if (rp_os_truncate(note->file, 0) || rp_os_pwrite(note->file, text, (size_t)size, 0) < 0)
        return; /* a full disk: the attempt goes unnoted */
}

void rp_attempt_note_close(rp_attempt_note *note) {
    if (note->file >= 0) {
        if (!note->unclear && !note->certain) rp_os_unlink(note->path);
        rp_os_close(note->file);
    }
    free(note->path);
    *note = (rp_attempt_note){.file = -1};
}

void rp_cache_key(const void *data, size_t size, char out[33]) {
    XXH128_hash_t hash = XXH3_128bits(data, size);
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)hash.high64, (unsigned long long)hash.low64);
}
