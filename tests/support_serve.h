/* Running reprise serve, and asking it over sockets of one's own. For cmocka programs. */
#ifndef SUPPORT_SERVE_H
#define SUPPORT_SERVE_H

#include <jansson.h>

#include "support_cli.h"

typedef struct served {
    cli_pipe pipe;
    int port;
} served;

/* Start `reprise serve --port 0 args...` and wait until it listens. */
served serve_start(const char *const *args);

/* SIGTERM, and the exit status. */
int serve_stop(served *s);

/* What came back. */
typedef struct reply {
    int status;   /* of HTTP; 0: nothing came */
    char *all;    /* headers and body, NUL-terminated */
    char *body;   /* in `all` */
    size_t size;  /* of `all` */
    json_t *json; /* the body, where it is JSON; else NULL */
} reply;

void reply_free(reply *r);

/* The value of a header, until the next call; NULL: there is none. */
const char *reply_header(const reply *r, const char *name);

/* A connection. A read ends after 20 seconds. */
int serve_connect(const served *s);
void serve_send(int fd, const char *bytes, size_t size);

/* Read until the server closes, and close. */
reply serve_read(int fd);

/* One request on a connection of its own; `body` NULL: a GET. `extra`: more header lines, or "". */
reply serve_ask(const served *s, const char *path, const char *body, const char *extra);

/* Ask and compare the status; the JSON of the body is the caller's (NULL where it is none). */
json_t *serve_json(const served *s, const char *path, const char *body, int status);

#endif
