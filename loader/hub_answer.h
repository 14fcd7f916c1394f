/* Reading the headers of a hub's answers. Nothing here uses a network. */
#ifndef RP_LOADER_HUB_ANSWER_H
#define RP_LOADER_HUB_ANSWER_H

#include "loader/hub_url.h"

#include <stdint.h>

enum { RP_HUB_COMMIT = 40, RP_HUB_ETAG = 128 };

/* The headers of one answer that a pull uses. rp_hub_answer_line has checked each. */
typedef struct rp_hub_answer {
    int status;                        /* of HTTP; 0: no status line yet */
    char commit[RP_HUB_COMMIT + 1];    /* X-Repo-Commit, 40 lower-case hex digits; "" when absent */
    char etag[RP_HUB_ETAG + 1];        /* ETag without W/ and quotes; "" when absent */
    char linked_etag[RP_HUB_ETAG + 1]; /* X-Linked-Etag, the same way */
    uint64_t length, linked_size;      /* Content-Length and X-Linked-Size; UINT64_MAX when absent */
    uint64_t range_start, range_total; /* of Content-Range; UINT64_MAX when absent */
    double wait; /* seconds that Retry-After or RateLimit asks for; negative: the answer has neither */
    char location[RP_URL_BYTES];             /* "" when absent */
    char error_code[64], error_message[200]; /* X-Error-Code, X-Error-Message, cut to fit; "" when absent */
    const char *bad; /* the first header with a value that is not allowed; NULL: none */
} rp_hub_answer;

void rp_hub_answer_begin(rp_hub_answer *answer);

/* Read one line of headers, with or without its line end. A status line empties the answer first. `now` is
 * the time of day in seconds, for a Retry-After that is a date. */
void rp_hub_answer_line(rp_hub_answer *answer, const char *line, size_t size, double now);

/* True when `etag` may be the name of a blob: 1 to 128 letters, digits, "-" and "_". */
bool rp_hub_etag_check(const char *etag);

/* True for 40 lower-case hex digits, a NUL behind them. */
bool rp_hub_commit_check(const char *commit);

/* True for `count` lower-case hex digits, a NUL behind them. */
bool rp_hub_is_hex(const char *text, size_t count);

#endif
