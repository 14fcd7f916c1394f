#define _GNU_SOURCE /* asprintf */
#include "loader/hub_cache.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/folders.h"
#include "base/os.h"
#include "loader/json.h"

static const char prefix[] = "models--";

static rp_status fail_path(const char *path, const char *what, rp_error *err) {
    int why = errno;
    if (why == ENOMEM) return rp_fail_memory(err, "a path", path ? strlen(path) : 0);
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: %s: %s; make room there, or name another cache folder (HF_HUB_CACHE)",
                   rp_path_shown(path), what, strerror(why));
}

/* ---- the model's folder ---- */

/* "org/name" as part of a file's name: "org--name". */
static void flatten(const char *id, char out[RP_HUB_NAME_BYTES + 2]) {
    size_t at = 0;
    for (; *id; id++) {
        if (*id == '/') out[at++] = '-';
        out[at++] = *id == '/' ? '-' : *id;
    }
    out[at] = '\0';
}

rp_status rp_hub_repo_open(const char *cache, const char *id, rp_hub_repo *out, rp_error *err) {
    char flat[RP_HUB_NAME_BYTES + 2];
    flatten(id, flat);
    *out = (rp_hub_repo){NULL, NULL};
    if (asprintf(&out->folder, "%s/%s%s", cache, prefix, flat) < 0) out->folder = NULL;
    if (asprintf(&out->locks, "%s/.locks/%s%s", cache, prefix, flat) < 0) out->locks = NULL;
    if (out->folder && out->locks) return RP_OK;
    rp_hub_repo_finish(out);
    return rp_fail_memory(err, "a path", strlen(cache));
}

void rp_hub_repo_finish(rp_hub_repo *repo) {
    free(repo->folder);
    free(repo->locks);
    *repo = (rp_hub_repo){NULL, NULL};
}

char *rp_hub_repo_path(const rp_hub_repo *repo, const char *format, ...) {
    char *below = NULL, *path = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&below, format, args) < 0) below = NULL;
    va_end(args);
    if (below) path = rp_path_join(repo->folder, below);
    free(below);
    if (!path) errno = ENOMEM;
    return path;
}

rp_status rp_hub_make_parents(const char *path, rp_error *err) {
    char *parent = strdup(path);
    if (!parent) return rp_fail_memory(err, "a path", strlen(path));
    char *slash = strrchr(parent, '/');
    if (slash) *slash = '\0';
    rp_status status = RP_OK;
    if (slash && *parent && !rp_make_folders(parent, 0777))
        status = fail_path(parent, "cannot make the folder", err);
    free(parent);
    return status;
}

static bool is_folder(const char *path) {
    rp_os_info info;
    return !rp_os_stat(path, &info) && info.kind == RP_OS_FOLDER;
}

bool rp_hub_is_repo(const char *dir) {
    char path[4096], id[RP_HUB_NAME_BYTES + 1];
    if (!rp_hub_id_of(dir, id) || strstr(dir, "/snapshots/")) return false;
    return snprintf(path, sizeof path, "%s/snapshots", dir) < (int)sizeof path && is_folder(path);
}

bool rp_hub_id_of(const char *path, char id[RP_HUB_NAME_BYTES + 1]) {
    const char *found = NULL;
    for (const char *at = path; (at = strstr(at, prefix)); at++)
        if (at == path || at[-1] == '/') found = at;
    if (!found) return false;
    found += sizeof prefix - 1;
    size_t size = strcspn(found, "/"), at = 0;
    if (!size || size > RP_HUB_NAME_BYTES) return false;
    for (size_t i = 0; i < size; i++) {
        bool slash = i + 1 < size && found[i] == '-' && found[i + 1] == '-';
        id[at++] = slash ? '/' : found[i];
        i += slash;
    }
    id[at] = '\0';
    rp_hub_name name;
    return rp_hub_name_read(id, NULL, &name) && !name.revision[0];
}

/* ---- revisions ---- */

/* Read which commit `revision` stands for; a commit stands for itself. False: the cache does not know. */
static bool read_ref(const char *folder, const char *revision, char commit[RP_HUB_COMMIT + 1]) {
    char text[RP_HUB_COMMIT + 8] = "";
    char *path = NULL;
    uint64_t size = 0;
    int fd = -1;
    if (rp_hub_commit_check(revision)) {
        strcpy(commit, revision);
        return true;
    }
    if (asprintf(&path, "%s/refs/%s", folder, revision) < 0) return false;
    if (!rp_file_open(path, &fd, &size, NULL)) {
        ssize_t got = rp_os_read(fd, text, sizeof text - 1);
        text[got > 0 ? got : 0] = '\0';
        rp_os_close(fd);
    }
    free(path);
    text[strcspn(text, " \r\n")] = '\0';
    if (!rp_hub_commit_check(text)) return false;
    strcpy(commit, text);
    return true;
}

/* A name that no other process or thread writes to. */
static char *temporary_path(const char *folder) {
    static atomic_uint count;
    char *path = NULL;
    unsigned number = atomic_fetch_add(&count, 1);
    return asprintf(&path, "%s/.reprise-%ld-%u", folder, (long)rp_os_process(), number) < 0 ? NULL : path;
}

rp_status rp_hub_ref_write(const rp_hub_repo *repo, const char *revision, const char *commit, rp_error *err) {
    char known[RP_HUB_COMMIT + 1];
    if (read_ref(repo->folder, revision, known) && !strcmp(known, commit)) return RP_OK;
    char *path = rp_hub_repo_path(repo, "refs/%s", revision), *temporary = temporary_path(repo->folder);
    rp_status status = RP_OK;
    int fd = -1;
    if (!path || !temporary) {
        status = rp_fail_memory(err, "a path", strlen(repo->folder));
        goto done;
    }
    status = rp_hub_make_parents(path, err);
    if (status) goto done;
    fd = rp_os_open(temporary, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    bool written = fd >= 0 && rp_file_limit_allows(RP_HUB_COMMIT) &&
                   rp_os_write(fd, commit, RP_HUB_COMMIT) == RP_HUB_COMMIT;
    if (fd >= 0 && rp_os_close(fd)) written = false;
    if (!written || rp_os_rename(temporary, path)) {
        status = fail_path(path, "cannot be written", err);
        if (fd >= 0) rp_os_unlink(temporary);
    }
done:
    free(path);
    free(temporary);
    return status;
}

char *rp_hub_snapshot(const char *folder, const char *revision, bool *memory) {
    char commit[RP_HUB_COMMIT + 1];
    char *path = NULL;
    if (!read_ref(folder, revision, commit)) return NULL;
    if (asprintf(&path, "%s/snapshots/%s", folder, commit) < 0) {
        *memory = true;
        return NULL;
    }
    if (is_folder(path)) return path;
    free(path);
    return NULL;
}

char *rp_hub_only_snapshot(const char *folder, bool *memory) {
    char commit[RP_HUB_COMMIT + 1] = "";
    size_t count = 0;
    char *path = rp_path_join(folder, "snapshots");
    rp_os_list *dir = path ? rp_os_list_open(path) : NULL;
    *memory = !path;
    free(path);
    for (const char *entry; dir && count < 2 && (entry = rp_os_list_next(dir));) {
        if (!rp_hub_commit_check(entry)) continue;
        strcpy(commit, entry);
        count++;
    }
    if (dir) rp_os_list_close(dir);
    return count == 1 ? rp_hub_snapshot(folder, commit, memory) : NULL;
}

/* ---- blobs ---- */

bool rp_hub_sleep(double seconds, const rp_hub_tick *tick) {
    for (double end = rp_seconds() + seconds, left; (left = end - rp_seconds()) > 0;) {
        if (tick && tick->go_on && !tick->go_on(tick->user)) return false;
        double step = left < 0.1 ? left : 0.1;
        nanosleep(&(struct timespec){0, (long)(step * 1e9)}, NULL);
    }
    return true;
}

/* Without waiting: 1 when held, 0 when others hold it, -1 on an error that errno names. A file that was
 * removed while it was waited for holds nothing. */
static int try_lock(const char *path, int *fd) {
    rp_os_info info;
    *fd = rp_os_open(path, RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE | RP_OS_NO_LINK | RP_OS_NOWAIT);
    if (*fd < 0) return -1;
    int failed = rp_os_lock(*fd), why = errno;
    if (!failed && !rp_os_fstat(*fd, &info) && info.links) return 1;
    rp_os_close(*fd);
    *fd = -1;
    if (!failed || why == EWOULDBLOCK || why == EINTR) return 0;
    errno = why;
    return why == ENOLCK || why == ENOSYS || why == EOPNOTSUPP ? 1 : -1;
}

rp_status rp_hub_lock(const rp_hub_repo *repo, const char *etag, const rp_hub_tick *tick, int *fd,
                      rp_error *err) {
    char *path = NULL;
    *fd = -1;
    if (asprintf(&path, "%s/%s.lock", repo->locks, etag) < 0)
        return rp_fail_memory(err, "a path", strlen(repo->locks));
    rp_status status = rp_hub_make_parents(path, err);
    for (int held = 0; !status && held != 1;) {
        held = try_lock(path, fd);
        if (held < 0) status = fail_path(path, "cannot be locked", err);
        if (!held && !rp_hub_sleep(0.05, tick))
            status = rp_fail(err, RP_ERROR_STOPPED, "stopped while another program fetches the same file");
    }
    free(path);
    return status;
}

/* "../../blobs/ETAG", with one "../" more for each folder in `path`. */
static char *link_target(const char *path, const char *etag) {
    size_t depth = 2;
    for (const char *at = path; (at = strchr(at, '/')); at++) depth++;
    char *target = malloc(3 * depth + strlen("blobs/") + strlen(etag) + 1), *at = target;
    for (; at && depth; depth--, at += 3) memcpy(at, "../", 3);
    if (at) sprintf(at, "blobs/%s", etag);
    return target;
}

/* A link to what is wanted may be there already, another process may be making it. */
static bool is_link_to(const char *path, const char *target) {
    char found[1024];
    ssize_t size = rp_os_readlink(path, found, sizeof found);
    return size == (ssize_t)strlen(target) && !memcmp(found, target, (size_t)size);
}

static bool make_link(const char *blob, const char *target, const char *path) {
    if (is_link_to(path, target)) return true;
    rp_os_unlink(path);
    if (!rp_os_symlink(target, path) || (errno == EEXIST && is_link_to(path, target))) return true;
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) return false;
    return !rp_os_rename(blob, path);
}

rp_status rp_hub_link(const rp_hub_repo *repo, const char *commit, const char *path, const char *etag,
                      rp_error *err) {
    char *name = rp_hub_repo_path(repo, "snapshots/%s/%s", commit, path), *target = link_target(path, etag);
    char *blob = rp_hub_repo_path(repo, "blobs/%s", etag);
    rp_status status = RP_OK;
    if (!name || !target || !blob)
        status = rp_fail_memory(err, "a path", strlen(repo->folder));
    else
        status = rp_hub_make_parents(name, err);
    if (!status && !make_link(blob, target, name)) status = fail_path(name, "cannot be made", err);
    free(name);
    free(target);
    free(blob);
    return status;
}

/* ---- copies ---- */

static rp_status copy_bytes(int from, int to, const char *path, const rp_hub_tick *tick, rp_error *err) {
    enum { PIECE = 1 << 20 };
    char *piece = malloc(PIECE);
    rp_status status = piece ? RP_OK : rp_fail_memory(err, "copying a file", PIECE);
    for (ssize_t got = 1; !status && got;) {
        got = rp_os_read(from, piece, PIECE);
        if (got < 0 && errno != EINTR) status = fail_path(path, "cannot be read while it is copied", err);
        for (ssize_t done = 0; !status && done < got;) {
            ssize_t n = rp_os_write(to, piece + done, (size_t)(got - done));
            if (n < 0 && errno != EINTR) status = fail_path(path, "cannot be copied", err);
            if (n > 0) done += n;
        }
        if (tick && tick->go_on && !tick->go_on(tick->user))
            status = rp_fail(err, RP_ERROR_STOPPED, "stopped while files were copied");
    }
    free(piece);
    return status;
}

rp_status rp_hub_copy(const char *from, const char *to, const rp_hub_tick *tick, rp_error *err) {
    uint64_t size = 0;
    int in = -1, out = -1;
    char *temporary = NULL, *folder = NULL;
    rp_status status = rp_hub_make_parents(to, err);
    if (!status) status = rp_file_open(from, &in, &size, err);
    if (status) return status;
    const char *slash = strrchr(to, '/');
    folder = slash ? strndup(to, (size_t)(slash - to)) : strdup(".");
    temporary = folder ? temporary_path(*folder ? folder : "/") : NULL;
    if (!temporary) {
        status = rp_fail_memory(err, "a path", strlen(to));
        goto done;
    }
    out = rp_os_open(temporary, RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    if (out < 0) {
        status = fail_path(to, "cannot be written", err);
        goto done;
    }
    if (!rp_file_limit_allows(size)) {
        errno = EFBIG;
        status = fail_path(to, "cannot be written", err);
    }
    if (!status) status = copy_bytes(in, out, to, tick, err);
    if (rp_os_close(out) && !status) status = fail_path(to, "cannot be written", err);
    if (!status && rp_os_rename(temporary, to)) status = fail_path(to, "cannot be written", err);
    if (status) rp_os_unlink(temporary);
done:
    rp_os_close(in);
    free(folder);
    free(temporary);
    return status;
}
