/* A pull on its way: what it works with, and its parts. */
#ifndef RP_LOADER_HUB_H
#define RP_LOADER_HUB_H

#include "loader/hub_cache.h"
#include "loader/hub_http.h"
#include "reprise/pull.h"

typedef struct rp_hub {
    rp_http *http;
    const char *endpoint; /* without a slash at its end */
    const char *token;    /* NULL: none */
    const char *id, *revision;
    rp_hub_repo repo;
    char commit[RP_HUB_COMMIT + 1]; /* that the revision stands for, once it is known */
    rp_pull_progress progress;
    const rp_pull_handler *handler;
    uint64_t finished; /* bytes of the files that are done */
    double told;       /* when the handler was last asked; seconds */
    bool stopped;
} rp_hub;

/* Ask the handler, at most ten times a second unless `now`. False: it said to stop, now or before. Fits
 * rp_hub_tick and rp_http_request; `user` is the rp_hub. */
bool rp_hub_go_on(void *user);
bool rp_hub_tell(rp_hub *hub, bool now);

/* ---- hub_request.c ---- */

/* One request, and whatever it was redirected to. The token goes to the endpoint alone. For a `head` the
 * answer is that of the last address on the endpoint, with what those before it said of the file where it
 * does not; `body` as in rp_http_request. RP_OK: an answer of 200 or 206. Else `*again` says whether it is
 * worth trying again. */
rp_status rp_hub_try(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     bool *again, rp_error *err);

/* Before trying again for the `tries`-th time (from 1 on): wait as long as the answer asks for, or
 * rp_hub_first_wait and twice as long each time. False: enough tries, too long a wait, or stopped: `status`
 * and `err` are what becomes of it. */
extern double rp_hub_first_wait; /* seconds; tests set it */
bool rp_hub_wait(rp_hub *hub, const rp_hub_answer *answer, unsigned tries, rp_status *status, rp_error *err);

/* rp_hub_try until it works or there is no use. */
rp_status rp_hub_ask(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     rp_error *err);

/* The address of a file of the commit; NULL: no memory. The caller frees it. */
char *rp_hub_file_url(const rp_hub *hub, const char *path);

/* ---- hub_blob.c ---- */

/* A file that is to be fetched. */
typedef struct rp_hub_file {
    const char *path;
    char etag[RP_HUB_ETAG + 1]; /* "": it is in the snapshot already */
    uint64_t size;              /* UINT64_MAX: not known */
} rp_hub_file;

/* Have the content of `file` under blobs/, whole and checked. */
rp_status rp_hub_fetch_blob(rp_hub *hub, const rp_hub_file *file, rp_error *err);

#endif
