/* A hub on loopback, in threads of the test: what a test scripts it to answer, and else what a hub would. */
#ifndef SUPPORT_HUB_H
#define SUPPORT_HUB_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reprise/pull.h"

#define HUB_COMMIT "0123456789abcdef0123456789abcdef01234567"

enum { HUB_FILES = 32, HUB_LOG = 512, HUB_LINE = 512 };

/* A file of the model org/tiny. */
typedef struct hub_file {
    char path[128];
    char *data;
    size_t size;
    char etag[65];
    bool lfs; /* named by its SHA-256, and at another address */
} hub_file;

/* A request, while it is answered. */
typedef struct hub_request {
    struct hub_server *server;
    int fd;
    bool storage;                   /* came to the other address, where large files are */
    char method[8], path[HUB_LINE]; /* the path with %XX decoded */
    char raw[HUB_LINE];             /* and as it came */
    char token[HUB_LINE];           /* of Authorization, "" when absent */
    uint64_t from;                  /* of Range; 0: all */
    bool has_range, close;          /* the connection ends behind the answer */
} hub_request;

typedef struct hub_server {
    int port, storage_port;
    char endpoint[64], storage[64]; /* addresses */
    hub_file files[HUB_FILES];
    size_t count;
    /* Answers a request by itself, or returns false. Called by several threads. */
    bool (*script)(hub_request *request);
    int step, limit;  /* for scripts */
    const char *text; /* likewise */
    pthread_mutex_t lock;
    char log[HUB_LOG][HUB_LINE]; /* "GET /path token=... from=0" */
    size_t logged;
    int listening[2];
    pthread_t threads[2];
} hub_server;

/* Start it with no file. Ends the test where that cannot be. */
void hub_start(hub_server *server);
void hub_stop(hub_server *server);

/* Add a file, or replace the one of that path: `size` bytes that are copied. */
hub_file *hub_add(hub_server *server, const char *path, const void *data, size_t size, bool lfs);
hub_file *hub_add_text(hub_server *server, const char *path, const char *text);

/* Add a model as people have them: settings, a README, weights of `size` bytes in the file `weights`. */
void hub_add_model(hub_server *server, const char *weights, size_t size);

/* Send an answer: `headers` are whole lines with their ends, or NULL; Content-Length is added. */
void hub_send(hub_request *request, int status, const char *headers, const void *body, size_t size);

/* Send bytes as they are. */
void hub_send_raw(hub_request *request, const void *data, size_t size);

/* What a hub would answer; of a body only the first `most` bytes, then the connection is cut. */
void hub_answer(hub_request *request, size_t most);

/* How many requests so far had `text` in their line of the log. */
size_t hub_count(hub_server *server, const char *text);
void hub_forget(hub_server *server);

#endif
