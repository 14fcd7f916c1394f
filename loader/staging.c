#include "loader/staging.h"

#include <errno.h>
#include <stdio.h>

#include "base/folders.h"
#include "base/os.h"
#include "loader/json.h"

static const char aside_prefix[] = ".before-";

enum { COPY_BYTES = 1 << 16, PATH_BYTES = 4096 };

rp_status rp_fail_write(const char *path, rp_error *err) {
    int why = errno;
    const char *fix = why == ENOSPC || why == EDQUOT ? "make room on the disk"
                      : why == EFBIG                 ? "raise the limit on the size of files (ulimit -f)"
                                                     : "check the path and its permissions";
    return rp_fail(err, RP_ERROR_FILE, "%s: cannot be written: %s; %s", rp_path_shown(path), strerror(why),
                   fix);
}

/* ---- the folder ---- */

static bool is_empty(const char *dir) {
    rp_os_list *folder = rp_os_list_open(dir);
    bool empty = folder;
    for (const char *item; empty && (item = rp_os_list_next(folder));)
        empty = !strcmp(item, ".") || !strcmp(item, "..");
    if (folder) rp_os_list_close(folder);
    return empty;
}

/* The path as it is named later, and whether it is a folder that may be used. */
static rp_status look_at_place(rp_staging *s, bool overwrite, rp_error *err) {
    rp_os_info info;
    size_t size = strlen(s->out);
    while (size > 1 && s->out[size - 1] == '/') s->out[--size] = '\0';
    if (rp_os_stat(s->out, &info)) return errno == ENOENT ? RP_OK : rp_fail_write(s->out, err);
    if (info.kind != RP_OS_FOLDER)
        return rp_fail(err, RP_ERROR_FILE, "%s: is no folder; name a folder to write the model to",
                       rp_path_shown(s->out));
    s->exists = true;
    if (overwrite || is_empty(s->out)) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: the folder has files already; name another one, or ask for overwriting (--overwrite)",
                   rp_path_shown(s->out));
}

rp_status rp_staging_open(const char *out, bool overwrite, rp_staging *staging, rp_error *err) {
    static const char inside[] = "/.reprise-XXXXXX", beside[] = ".reprise-XXXXXX";
    *staging = (rp_staging){.fd = -1};
    if (!out || !*out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "the folder to write to has no name; pass a path");
    size_t size = strlen(out) + sizeof inside;
    char *dir = rp_arena_alloc(&staging->arena, size, 1);
    staging->out = rp_arena_copy(&staging->arena, out, strlen(out));
    if (!dir || !staging->out) return rp_fail_memory(err, "a path", size);
    rp_status status = look_at_place(staging, overwrite, err);
    if (status) return status;
    snprintf(dir, size, "%s%s", staging->out, staging->exists ? inside : beside);
    if (!rp_os_temporary_folder(dir)) return rp_fail_write(staging->out, err);
    staging->dir = dir;
    return RP_OK;
}

/* "1_Pooling" of "1_Pooling/config.json" below `dir`; false when the name stands in no folder. */
static bool folder_of(const char *dir, const char *name, char path[PATH_BYTES]) {
    const char *slash = strrchr(name, '/');
    return slash && snprintf(path, PATH_BYTES, "%s/%.*s", dir, (int)(slash - name), name) < PATH_BYTES;
}

/* ---- files ---- */

rp_status rp_staging_begin(rp_staging *staging, const char *name, rp_error *err) {
    char folder[PATH_BYTES];
    char *copy = rp_arena_copy(&staging->arena, name, strlen(name));
    staging->path = rp_arena_alloc(&staging->arena, strlen(staging->dir) + strlen(name) + 2, 1);
    if (!copy || !staging->path ||
        !rp_grow((void **)&staging->names, &staging->capacity, staging->count + 1, sizeof *staging->names))
        return rp_fail_memory(err, "a path", strlen(name));
    sprintf(staging->path, "%s/%s", staging->dir, name);
    staging->names[staging->count++] = copy;
    if (folder_of(staging->dir, name, folder) && rp_os_mkdir(folder, 0777) && errno != EEXIST)
        return rp_fail_write(folder, err);
    staging->written = 0;
    staging->fd = rp_os_open(staging->path, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    if (staging->fd < 0) return rp_fail_write(staging->path, err);
    return RP_OK;
}

rp_status rp_staging_write(rp_staging *staging, const void *data, size_t size, rp_error *err) {
    if (!rp_file_limit_allows(staging->written += size)) {
        errno = EFBIG;
        return rp_fail_write(staging->path, err);
    }
    for (const char *at = data; size;) {
        ssize_t wrote = rp_os_write(staging->fd, at, size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) {
            if (!wrote) errno = ENOSPC;
            return rp_fail_write(staging->path, err);
        }
        at += wrote;
        size -= (size_t)wrote;
    }
    return RP_OK;
}

rp_status rp_staging_end(rp_staging *staging, rp_error *err) {
    int fd = staging->fd;
    staging->fd = -1;
    // some file systems say only now that there is no room; others cannot sync and say so
    bool bad = rp_os_sync(fd) && errno != EINVAL && errno != ENOSYS;
    int why = errno;
    if (rp_os_close(fd) && !bad) {
        bad = true;
        why = errno;
    }
    errno = why;
    return bad ? rp_fail_write(staging->path, err) : RP_OK;
}

rp_status rp_staging_text(rp_staging *staging, const char *folder, const char *name, char *text, size_t size,
                          rp_error *err) {
    char full[PATH_BYTES];
    snprintf(full, sizeof full, "%s%s", folder, name);
    rp_status status = text ? rp_staging_begin(staging, full, err) : rp_fail_memory(err, name, size);
    if (!status) status = rp_staging_write(staging, text, size, err);
    if (!status) status = rp_staging_end(staging, err);
    free(text);
    return status;
}

rp_status rp_staging_copy(rp_staging *staging, const char *path, const char *name, rp_error *err) {
    int from = -1;
    uint64_t size = 0;
    char *bytes = malloc(COPY_BYTES);
    if (!bytes) return rp_fail_memory(err, rp_path_shown(path), COPY_BYTES);
    rp_status status = rp_file_open(path, &from, &size, err);
    if (!status) status = rp_staging_begin(staging, name, err);
    for (ssize_t got = 1; !status && got;) {
        got = rp_os_read(from, bytes, COPY_BYTES);
        if (got > 0)
            status = rp_staging_write(staging, bytes, (size_t)got, err);
        else if (got < 0 && errno != EINTR)
            status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk",
                             rp_path_shown(path), strerror(errno));
    }
    if (!status) status = rp_staging_end(staging, err);
    if (from >= 0) rp_os_close(from);
    free(bytes);
    return status;
}

bool rp_staging_has(const rp_staging *staging, const char *name) {
    for (size_t i = 0; i < staging->count; i++)
        if (!strcmp(staging->names[i], name)) return true;
    return false;
}

/* ---- the end ---- */

/* Two places of a file: in the folder that is to be, and among what is put aside. */
static bool places(const rp_staging *s, size_t i, char to[PATH_BYTES], char aside[PATH_BYTES]) {
    return snprintf(to, PATH_BYTES, "%s/%s", s->out, s->names[i]) < PATH_BYTES &&
           snprintf(aside, PATH_BYTES, "%s/%s%zu", s->dir, aside_prefix, i) < PATH_BYTES;
}

/* Put file `i` in its place, after giving the one that is there a second name. */
static rp_status place_file(const rp_staging *s, size_t i, rp_error *err) {
    char from[PATH_BYTES], to[PATH_BYTES], aside[PATH_BYTES], folder[PATH_BYTES];
    if (!places(s, i, to, aside) ||
        snprintf(from, sizeof from, "%s/%s", s->dir, s->names[i]) >= (int)sizeof from) {
        errno = ENAMETOOLONG;
        return rp_fail_write(s->out, err);
    }
    if (folder_of(s->out, s->names[i], folder) && rp_os_mkdir(folder, 0777) && errno != EEXIST)
        return rp_fail_write(folder, err);
    if (rp_os_link(to, aside)) rp_os_unlink(aside); // no such file, or no second names here
    return rp_os_rename(from, to) ? rp_fail_write(to, err) : RP_OK;
}

/* Take back the first `count` files. */
static void take_back(const rp_staging *s, size_t count) {
    char to[PATH_BYTES], aside[PATH_BYTES];
    while (count-- > 0) {
        if (!places(s, count, to, aside) || !rp_os_rename(aside, to)) continue;
        rp_os_unlink(to);
    }
    for (size_t i = 0; i < s->count; i++)
        if (folder_of(s->out, s->names[i], to)) rp_os_rmdir(to); // those with other files stay
}

static rp_status place_all(const rp_staging *s, rp_error *err) {
    rp_status status = RP_OK;
    size_t done = 0;
    for (; !status && done < s->count; done++) status = place_file(s, done, err);
    if (status) take_back(s, done - 1);
    return status;
}

rp_status rp_staging_commit(rp_staging *staging, const char *const *stale, size_t stale_count,
                            rp_error *err) {
    char path[PATH_BYTES];
    if (!staging->exists) {
        if (rp_os_rename(staging->dir, staging->out)) return rp_fail_write(staging->out, err);
        staging->dir = NULL;
        return RP_OK;
    }
    rp_status status = place_all(staging, err);
    for (size_t i = 0; !status && i < stale_count; i++)
        if (!rp_staging_has(staging, stale[i]) &&
            snprintf(path, sizeof path, "%s/%s", staging->out, stale[i]) < (int)sizeof path)
            rp_os_unlink(path);
    return status;
}

void rp_staging_close(rp_staging *staging) {
    char path[PATH_BYTES];
    if (staging->path && staging->fd >= 0) rp_os_close(staging->fd);
    for (size_t i = 0; staging->dir && i < staging->count; i++)
        if (snprintf(path, sizeof path, "%s/%s%zu", staging->dir, aside_prefix, i) < (int)sizeof path)
            rp_os_unlink(path);
    for (size_t i = 0; staging->dir && i < staging->count; i++)
        if (snprintf(path, sizeof path, "%s/%s", staging->dir, staging->names[i]) < (int)sizeof path)
            rp_os_unlink(path);
    for (size_t i = 0; staging->dir && i < staging->count; i++)
        if (folder_of(staging->dir, staging->names[i], path)) rp_os_rmdir(path);
    if (staging->dir) rp_os_rmdir(staging->dir);
    free(staging->names);
    rp_arena_finish(&staging->arena);
    *staging = (rp_staging){0};
}
