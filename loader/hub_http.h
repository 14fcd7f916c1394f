/* One request over HTTP, by libcurl, which is opened at run time. */
#ifndef RP_LOADER_HUB_HTTP_H
#define RP_LOADER_HUB_HTTP_H

#include "loader/hub_answer.h"

typedef struct rp_http rp_http;

typedef struct rp_http_request {
    const char *url;   /* checked (rp_url_check) */
    bool head;         /* ask for the headers alone */
    const char *token; /* NULL: none is sent */
    uint64_t from;     /* the first byte that is wanted; 0: all */
    long most;         /* seconds for all of it; 0: as long as it takes */
    long timeout;      /* seconds without a byte after which it is broken off */
    /* Takes the body of an answer with status 200 or 206, piece by piece. False breaks off. */
    bool (*body)(void *user, const rp_hub_answer *answer, const void *data, size_t size);
    void *user;
    /* Asked several times a second, also while nothing comes. False breaks off. NULL: always goes on. */
    bool (*go_on)(void *pull);
    void *pull;
} rp_http_request;

/* What became of a request. */
typedef enum rp_http_end {
    RP_HTTP_ANSWERED = 0, /* whole, whatever its status */
    RP_HTTP_STOPPED,      /* go_on said so */
    RP_HTTP_REFUSED,      /* body said so */
    RP_HTTP_BROKEN,       /* the connection failed, and may work when it is tried again */
    RP_HTTP_FAILED,       /* it will fail in the same way again */
} rp_http_end;

enum { RP_HTTP_WHY = 256 };

/* Open libcurl, once in a process, and make a handle that keeps connections open between requests. One thread
 * at a time uses it. RP_ERROR_UNSUPPORTED says which package brings libcurl where there is none. */
rp_status rp_http_open(rp_http **out, rp_error *err);
void rp_http_close(rp_http *http);

/* Send it and take the answer, following no redirect. `why` gets a few words where it is broken or failed. */
rp_http_end rp_http_send(rp_http *http, const rp_http_request *request, rp_hub_answer *answer,
                         char why[RP_HTTP_WHY]);

#endif
