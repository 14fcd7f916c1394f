/* Requests over HTTP with libcurl, which the library opens at run time. */
#ifndef RP_LOADER_HUB_HTTP_H
#define RP_LOADER_HUB_HTTP_H

#include "loader/hub_answer.h"

typedef struct rp_http rp_http;

typedef struct rp_http_request {
    const char *url;   /* checked (rp_url_check) */
    bool head;         /* ask for the headers alone */
    const char *token; /* NULL: none is sent */
    uint64_t from;     /* ask for the bytes from this one on; 0: for all */
    long most;         /* seconds that the whole request may take; 0: no limit */
    long timeout;      /* seconds without a byte after which the request ends */
    /* Called with each piece of the body of an answer with status 200 or 206. False ends the request. */
    bool (*body)(void *user, const rp_hub_answer *answer, const void *data, size_t size);
    void *user;
    /* Called several times a second, also while no byte comes. False ends the request. NULL: nothing is
     * called. */
    bool (*go_on)(void *pull);
    void *pull;
} rp_http_request;

/* How a request ended. */
typedef enum rp_http_end {
    RP_HTTP_ANSWERED = 0, /* with a whole answer, of any status */
    RP_HTTP_STOPPED,      /* `go_on` returned false */
    RP_HTTP_REFUSED,      /* `body` returned false */
    RP_HTTP_BROKEN,       /* the connection failed; the same request may succeed later */
    RP_HTTP_FAILED,       /* the same request would fail again */
} rp_http_end;

enum { RP_HTTP_WHY = 256 };

/* Open libcurl, once in a process, and make a handle that keeps connections open between requests. One thread
 * uses the handle at a time. RP_ERROR_UNSUPPORTED: there is no libcurl; the message names the package that
 * brings it. */
rp_status rp_http_open(rp_http **out, rp_error *err);
void rp_http_close(rp_http *http);

/* Send a request and read its answer. This follows no redirect. `why` gets a few words for RP_HTTP_BROKEN and
 * RP_HTTP_FAILED. */
rp_http_end rp_http_send(rp_http *http, const rp_http_request *request, rp_hub_answer *answer,
                         char why[RP_HTTP_WHY]);

#endif
