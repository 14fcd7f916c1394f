/* One file of a hub: fetched in as many pieces as it takes, checked, and only then given its name. */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/folders.h"
#include "base/os.h"
#include "base/sha.h"
#include "loader/hub.h"
#include "loader/hub_environment.h"
#include "loader/json.h"

enum { MAX_ODD = 3 };

/* A blob on its way. */
typedef struct blob {
    rp_hub *hub;
    const rp_hub_file *file;
    char *path, *partial; /* blobs/ETAG and blobs/ETAG.incomplete */
    int fd;               /* of `partial` */
    uint64_t have;        /* bytes of it */
    unsigned odd;         /* answers that were whole, but not what was announced */
    bool checked;         /* the first bytes of this answer were looked at */
    int why;              /* errno of a write that failed; 0: none did */
    const char *wrong;    /* what is wrong with the answer; NULL: nothing */
} blob;

static rp_status fail_file(const blob *b, const char *what, int why, rp_error *err) {
    if (why == ENOSPC || why == EDQUOT || why == EFBIG)
        return rp_fail(
            err, RP_ERROR_FILE,
            "%s: %s: %s: %s; what is there stays: make room there and pull again, or name another cache "
            "folder (HF_HUB_CACHE)",
            rp_path_shown(b->partial), rp_path_shown(b->file->path), what, strerror(why));
    return rp_fail(err, RP_ERROR_FILE, "%s: %s: %s: %s; check the folder and its permissions",
                   rp_path_shown(b->partial), rp_path_shown(b->file->path), what, strerror(why));
}

/* ---- the answer ---- */

static bool start_over(blob *b) {
    if (rp_os_truncate(b->fd, 0)) {
        b->why = errno;
        return false;
    }
    b->have = 0;
    return true;
}

/* Where the bytes of this answer go: behind those that are there, or in place of them. */
static bool begin_answer(blob *b, const rp_hub_answer *answer) {
    b->checked = true;
    if (answer->status == 200) return !b->have || start_over(b);
    if (answer->range_start != b->have) {
        b->wrong = "the answer begins at another byte than was asked for";
        return false;
    }
    if (answer->range_total != UINT64_MAX && b->file->size != UINT64_MAX &&
        answer->range_total != b->file->size) {
        b->wrong = "the answer is of another size than was announced";
        return false;
    }
    return true;
}

static bool take_body(void *user, const rp_hub_answer *answer, const void *data, size_t size) {
    blob *b = user;
    if (!b->checked && !begin_answer(b, answer)) return false;
    if (b->file->size != UINT64_MAX && size > b->file->size - b->have) {
        b->wrong = "more bytes came than were announced";
        return false;
    }
    if (!rp_file_limit_allows(b->have + size)) {
        b->why = EFBIG;
        return false;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = rp_os_pwrite(b->fd, (const char *)data + done, size - done, (off_t)b->have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            b->why = n ? errno : ENOSPC;
            return false;
        }
        done += (size_t)n;
        b->have += (uint64_t)n;
    }
    b->hub->progress.done = b->have;
    return rp_hub_go_on(b->hub);
}

/* ---- what is there ---- */

static rp_status open_partial(blob *b, rp_error *err) {
    rp_os_info info;
    b->fd = rp_os_open(b->partial, RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE | RP_OS_NO_LINK | RP_OS_NOWAIT);
    if (b->fd < 0 || rp_os_fstat(b->fd, &info)) return fail_file(b, "cannot be opened", errno, err);
    if (info.kind != RP_OS_FILE) return fail_file(b, "is no regular file", EEXIST, err);
    b->have = (uint64_t)info.size;
    if (b->file->size != UINT64_MAX && b->have > b->file->size && !start_over(b))
        return fail_file(b, "cannot be written", b->why, err);
    return RP_OK;
}

static rp_status check_room(const blob *b, rp_error *err) {
    uint64_t room, block;
    if (b->file->size == UINT64_MAX) return RP_OK;
    uint64_t needed = b->file->size - b->have;
    if (!rp_file_limit_allows(b->file->size)) return fail_file(b, "cannot be written", EFBIG, err);
    if (!rp_os_room(b->fd, &room, &block)) return RP_OK;
    if ((needed + block - 1) / block <= room / block) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: %s: %" PRIu64 " bytes are to come and the disk has room for %" PRIu64
                   "; make room there, or name another cache folder (HF_HUB_CACHE)",
                   rp_path_shown(b->partial), rp_path_shown(b->file->path), needed, room);
}

/* ---- checking ---- */

static rp_status hash_partial(const blob *b, rp_sha *sha, rp_error *err) {
    enum { PIECE = 1 << 18 };
    unsigned char *piece = malloc(PIECE);
    rp_status status = piece ? RP_OK : rp_fail_memory(err, "checking a file", PIECE);
    for (uint64_t at = 0; !status && at < b->have;) {
        ssize_t n = rp_os_pread(b->fd, piece, PIECE, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) status = fail_file(b, "cannot be read to check it", n ? errno : EIO, err);
        if (n > 0) rp_sha_add(sha, piece, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
        if (!status && !rp_hub_go_on(b->hub))
            status = rp_fail(err, RP_ERROR_STOPPED, "stopped while %s was checked", b->file->path);
    }
    free(piece);
    return status;
}

/* An etag of 64 hex digits is the SHA-256 of the content, one of 40 what git calls it. Others say nothing
 * that could be checked. */
static rp_status check_hash(const blob *b, bool *right, rp_error *err) {
    const char *etag = b->file->etag;
    char found[RP_SHA_TEXT], header[40];
    rp_sha sha;
    *right = true;
    if (rp_hub_is_hex(etag, 64)) {
        rp_sha256_begin(&sha);
    } else if (rp_hub_is_hex(etag, 40)) {
        rp_sha1_begin(&sha);
        int size = snprintf(header, sizeof header, "blob %" PRIu64, b->have);
        rp_sha_add(&sha, header, (size_t)size + 1);
    } else {
        return RP_OK;
    }
    rp_status status = hash_partial(b, &sha, err);
    if (status) return status;
    rp_sha_end(&sha, found);
    *right = !strcmp(found, etag);
    return RP_OK;
}

/* ---- fetching ---- */

static rp_status fail_short(const blob *b, rp_error *err) {
    return rp_fail(err, RP_ERROR_NETWORK,
                   "%s: %s: %" PRIu64 " bytes came, and %" PRIu64
                   " were announced; pull again, or ask who runs %.100s",
                   b->hub->id, rp_path_shown(b->file->path), b->have, b->file->size, b->hub->endpoint);
}

/* Ask for the bytes that are not there yet. `*again`: it failed, and may work next time. */
static rp_status fetch_rest(blob *b, const char *url, rp_hub_answer *answer, bool *again, rp_error *err) {
    const rp_http_request request = {
        .url = url, .from = b->have, .timeout = rp_hub_download_timeout(), .body = take_body, .user = b};
    b->checked = false;
    rp_status status = rp_hub_try(b->hub, &request, b->file->path, answer, again, err);
    if (b->why || b->wrong) *again = false;
    if (b->why) return fail_file(b, "cannot be written", b->why, err);
    if (b->wrong)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: %s; pull again, or ask who runs %.100s", b->hub->id,
                       rp_path_shown(b->file->path), b->wrong, b->hub->endpoint);
    if (answer->status == 416 && b->have) { /* it has no more than what is here */
        status = fail_short(b, err);
        *again = ++b->odd < MAX_ODD;
        if (!start_over(b)) return fail_file(b, "cannot be written", b->why, err);
    } else if (!status && b->file->size != UINT64_MAX && b->have < b->file->size) {
        status = fail_short(b, err);
        *again = ++b->odd < MAX_ODD;
    }
    return status;
}

/* Fetch until all is there. A connection that breaks again and again is put up with as long as more comes
 * each time. */
static rp_status fetch(blob *b, const char *url, rp_error *err) {
    rp_hub_answer *answer = malloc(sizeof *answer);
    rp_status status = answer ? RP_OK : rp_fail_memory(err, "an answer", sizeof *answer);
    uint64_t best = b->have;
    bool again = !status && b->have != b->file->size;
    for (unsigned tries = 1; again; tries++) {
        status = fetch_rest(b, url, answer, &again, err);
        if (!status || !again) break;
        if (b->have > best) {
            best = b->have;
            tries = 1;
        }
        again = rp_hub_wait(b->hub, answer, tries, &status, err);
    }
    free(answer);
    return status;
}

/* Fetch and check; what was there before may be wrong, so a wrong whole is fetched once more from its
 * beginning. */
static rp_status fetch_right(blob *b, const char *url, rp_error *err) {
    bool right = false, had_some = b->have > 0;
    rp_status status = fetch(b, url, err);
    if (!status) status = check_hash(b, &right, err);
    if (!status && !right && had_some) {
        if (!start_over(b)) return fail_file(b, "cannot be written", b->why, err);
        status = fetch(b, url, err);
        if (!status) status = check_hash(b, &right, err);
    }
    if (status || right) return status;
    rp_os_unlink(b->partial);
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: %s: what came is not what the hub announces (%.16s...), and was deleted; pull again, "
                   "and if that "
                   "does not help check what is between here and %.100s",
                   b->hub->id, rp_path_shown(b->file->path), b->file->etag, b->hub->endpoint);
}

static rp_status keep(blob *b, rp_error *err) {
    if (rp_os_sync(b->fd) && errno != EINVAL && errno != EROFS)
        return fail_file(b, "cannot be written", errno, err);
    if (rp_os_rename(b->partial, b->path)) return fail_file(b, "cannot be given its name", errno, err);
    return RP_OK;
}

/* Whole, as far as its size tells. */
static bool is_there(const blob *b) {
    rp_os_info info;
    return !rp_os_stat(b->path, &info) && info.kind == RP_OS_FILE &&
           (b->file->size == UINT64_MAX || (uint64_t)info.size == b->file->size);
}

/* With the lock held. */
static rp_status fetch_locked(blob *b, rp_error *err) {
    char *url = rp_hub_file_url(b->hub, b->file->path);
    rp_status status = url ? RP_OK : rp_fail_memory(err, "an address", RP_URL_BYTES);
    if (!status) status = open_partial(b, err);
    b->hub->progress.done = b->have;
    if (!status) status = check_room(b, err);
    if (!status) status = fetch_right(b, url, err);
    if (!status) status = keep(b, err);
    free(url);
    return status;
}

rp_status rp_hub_fetch_blob(rp_hub *hub, const rp_hub_file *file, rp_error *err) {
    blob b = {.hub = hub, .file = file, .fd = -1};
    const rp_hub_tick tick = {rp_hub_go_on, hub};
    int lock = -1;
    b.path = rp_hub_repo_path(&hub->repo, "blobs/%s", file->etag);
    b.partial = rp_hub_repo_path(&hub->repo, "blobs/%s.incomplete", file->etag);
    rp_status status = b.path && b.partial ? RP_OK : rp_fail_memory(err, "a path", RP_HUB_ETAG);
    if (!status) status = rp_hub_make_parents(b.path, err);
    if (!status && !is_there(&b)) status = rp_hub_lock(&hub->repo, file->etag, &tick, &lock, err);
    if (!status && !is_there(&b)) status = fetch_locked(&b, err); /* nobody fetched it meanwhile */
    if (b.fd >= 0) rp_os_close(b.fd);
    if (lock >= 0) rp_os_close(lock);
    free(b.path);
    free(b.partial);
    return status;
}
