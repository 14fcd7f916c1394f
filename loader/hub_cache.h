/* One model in the hub's cache, laid out as huggingface_hub does, so that both find what either fetched:
 *
 *     CACHE/.locks/models--ORG--NAME/ETAG.lock              held (flock) while a blob is written
 *     CACHE/models--ORG--NAME/refs/REVISION                 40 hex digits: the commit
 *     CACHE/models--ORG--NAME/blobs/ETAG                    the content of a file
 *     CACHE/models--ORG--NAME/blobs/ETAG.incomplete         the part that is there so far
 *     CACHE/models--ORG--NAME/snapshots/COMMIT/PATH         a relative symbolic link to ../../blobs/ETAG
 *
 * Revisions, paths, etags and commits that come here have passed the checks of hub_url.h and hub_answer.h. */
#ifndef RP_LOADER_HUB_CACHE_H
#define RP_LOADER_HUB_CACHE_H

#include "loader/hub_answer.h"

/* Asked while something waits; false: stop waiting. */
typedef struct rp_hub_tick {
    bool (*go_on)(void *user);
    void *user;
} rp_hub_tick;

typedef struct rp_hub_repo {
    char *folder; /* CACHE/models--ORG--NAME */
    char *locks;  /* CACHE/.locks/models--ORG--NAME */
} rp_hub_repo;

/* Where the model `id` is in the folder `cache`. Nothing is made. */
rp_status rp_hub_repo_open(const char *cache, const char *id, rp_hub_repo *out, rp_error *err);
void rp_hub_repo_finish(rp_hub_repo *repo);

/* A path below the model's folder, of printf's form; NULL: no memory. The caller frees it. */
char *rp_hub_repo_path(const rp_hub_repo *repo, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The commit that `revision` (or a commit itself) stands for; false: it is not known here. */
bool rp_hub_ref_read(const char *folder, const char *revision, char commit[RP_HUB_COMMIT + 1]);

/* Note it, in place of what was noted. */
rp_status rp_hub_ref_write(const rp_hub_repo *repo, const char *revision, const char *commit, rp_error *err);

/* The folder of the snapshot of `revision`, if there is one; else NULL (`*memory`: no memory). Owned by the
 * caller. */
char *rp_hub_snapshot(const char *folder, const char *revision, bool *memory);

/* The only snapshot that a model's folder in a cache has; NULL: it has none, or several (or `*memory`). Owned
 * by the caller. */
char *rp_hub_only_snapshot(const char *folder, bool *memory);

/* True when `dir` is a model's folder in a hub's cache, by its name and what is in it. */
bool rp_hub_is_repo(const char *dir);

/* The name of the model whose folder in a cache `path` is, or lies below: "ORG/NAME". False: it is none. */
bool rp_hub_id_of(const char *path, char id[RP_HUB_NAME_BYTES + 1]);

/* Hold the blob `etag`: waits while another process or thread does, asking `tick` twenty times a second.
 * RP_ERROR_STOPPED when that says so. `*fd` is closed to let go; -1 on file systems that have no locks. */
rp_status rp_hub_lock(const rp_hub_repo *repo, const char *etag, const rp_hub_tick *tick, int *fd,
                      rp_error *err);

/* Give the blob `etag` the name `path` in the snapshot of `commit`. On file systems without symbolic links
 * the blob itself goes there. */
rp_status rp_hub_link(const rp_hub_repo *repo, const char *commit, const char *path, const char *etag,
                      rp_error *err);

/* Make the folders that the file `path` is to lie in. RP_ERROR_FILE names what could not be made. */
rp_status rp_hub_make_parents(const char *path, rp_error *err);

/* Copy the regular file `from` (links are followed) to `to`, in place of what is there, whole or not at all.
 */
rp_status rp_hub_copy(const char *from, const char *to, const rp_hub_tick *tick, rp_error *err);

/* Sleep, asking `tick` ten times a second. False: it said to stop. */
bool rp_hub_sleep(double seconds, const rp_hub_tick *tick);

#endif
