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

#include "base/error.h"
#include "loader/hub_answer.h"

/* A function that the functions below call while they wait; it returns false to make them stop. */
typedef struct rp_hub_tick {
    bool (*go_on)(void *user);
    void *user;
} rp_hub_tick;

typedef struct rp_hub_repo {
    char *folder; /* CACHE/models--ORG--NAME */
    char *locks;  /* CACHE/.locks/models--ORG--NAME */
} rp_hub_repo;

/* Find out where the model `id` is in the folder `cache`. This makes no folder. */
rp_status rp_hub_repo_open(const char *cache, const char *id, rp_hub_repo *out, rp_error *err);
void rp_hub_repo_finish(rp_hub_repo *repo);

/* A path below the model's folder, of printf's form; NULL: no memory. The caller frees it. */
char *rp_hub_repo_path(const rp_hub_repo *repo, const char *format, ...)
    __attribute__((format(REPRISE_PRINTF, 2, 3)));

/* Write which commit `revision` stands for, in place of what the cache had. */
rp_status rp_hub_ref_write(const rp_hub_repo *repo, const char *revision, const char *commit, rp_error *err);

/* The folder of the snapshot of `revision`; NULL: there is none (or, with `*memory`, out of memory). The
 * caller frees it. */
char *rp_hub_snapshot(const char *folder, const char *revision, bool *memory);

/* The only snapshot that a model's folder in a cache has; NULL: it has none or several (or, with `*memory`,
 * out of memory). The caller frees it. */
char *rp_hub_only_snapshot(const char *folder, bool *memory);

/* True when `dir` is a model's folder in a hub's cache, by its name and what is in it. */
bool rp_hub_is_repo(const char *dir);

/* Find the name, "ORG/NAME", of the model whose folder in a cache is `path` or holds `path`. False: there is
 * none. */
bool rp_hub_id_of(const char *path, char id[RP_HUB_NAME_BYTES + 1]);

/* Lock the blob `etag`. While another process or thread has the lock this waits, and calls `tick` twenty
 * times a second; RP_ERROR_STOPPED when `tick` returns false. The caller closes `*fd` to unlock; -1: the file
 * system has no locks. */
rp_status rp_hub_lock(const rp_hub_repo *repo, const char *etag, const rp_hub_tick *tick, int *fd,
                      rp_error *err);

/* Make `path` in the snapshot of `commit` a link to the blob `etag`. On a file system without symbolic links
 * this moves the blob there. */
rp_status rp_hub_link(const rp_hub_repo *repo, const char *commit, const char *path, const char *etag,
                      rp_error *err);

/* Make the folders that hold the file `path`. RP_ERROR_FILE names the one that could not be made. */
rp_status rp_hub_make_parents(const char *path, rp_error *err);

/* Copy the regular file `from`, following links, to `to`, in place of what is there. Where it fails, `to` is
 * as it was.
 */
rp_status rp_hub_copy(const char *from, const char *to, const rp_hub_tick *tick, rp_error *err);

/* Sleep, and call `tick` ten times a second. False: `tick` returned false. */
bool rp_hub_sleep(double seconds, const rp_hub_tick *tick);

#endif
