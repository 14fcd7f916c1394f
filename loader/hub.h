/* A running rp_pull: its state, and the functions of its files. */
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
    char commit[RP_HUB_COMMIT + 1]; /* the commit of the revision; "" until the hub has said it */
    rp_pull_progress progress;
    const rp_pull_handler *handler;
    uint64_t finished; /* bytes of the files that are complete */
    double told;       /* when the pull last called the handler, in rp_seconds */
    bool stopped;      /* the handler told the pull to stop */
} rp_hub;

/* Call the caller's handler, but not within a tenth of a second of the last time, unless `now`. False: the
 * handler told the pull to stop, now or earlier. rp_hub_go_on serves as a function of rp_hub_tick and
 * rp_http_request, whose `user` is the rp_hub. */
bool rp_hub_go_on(void *user);
bool rp_hub_tell(rp_hub *hub, bool now);

/* ---- hub_request.c ---- */

/* Send one request, follow its redirects, and send the token to the endpoint only. A `head` request ends at
 * the last address on the endpoint; headers that this answer lacks are taken from the answers before it.
 * `body` as in rp_http_request. RP_OK: the status is 200 or 206. Else `*again` says whether the same request
 * may succeed later. */
rp_status rp_hub_try(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     bool *again, rp_error *err);

/* Wait before the request is sent again, for the `tries`-th time (from 1 on): as long as the answer asks for,
 * or rp_hub_first_wait, doubled each time. False: the pull does not send it again, because it did so often
 * enough, the wait would be too long, or the handler told it to stop; `*status` and `err` are then the error
 * of the pull. */
extern double rp_hub_first_wait; /* seconds; tests set it */
bool rp_hub_wait(rp_hub *hub, const rp_hub_answer *answer, unsigned tries, rp_status *status, rp_error *err);

/* Call rp_hub_try until it succeeds or rp_hub_wait says no. */
rp_status rp_hub_ask(rp_hub *hub, const rp_http_request *request, const char *file, rp_hub_answer *answer,
                     rp_error *err);

/* The address of a file of the commit; NULL: no memory. The caller frees it. */
char *rp_hub_file_url(const rp_hub *hub, const char *path);

/* ---- hub_blob.c ---- */

/* A file to fetch. */
typedef struct rp_hub_file {
    const char *path;
    char etag[RP_HUB_ETAG + 1]; /* "": the snapshot has the file already */
    uint64_t size;              /* UINT64_MAX: not known */
} rp_hub_file;

/* Fetch the content of `file` into blobs/, unless it is there, and check it. */
rp_status rp_hub_fetch_blob(rp_hub *hub, const rp_hub_file *file, rp_error *err);

#endif
