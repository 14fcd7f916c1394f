#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support_hub.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sha.h"

/* ---- files ---- */

hub_file *hub_add(hub_server *server, const char *path, const void *data, size_t size, bool lfs) {
    size_t i = 0;
    while (i < server->count && strcmp(server->files[i].path, path)) i++;
    assert_true(i < HUB_FILES);
    hub_file *file = &server->files[i];
    if (i == server->count) server->count++;
    free(file->data);
    *file = (hub_file){.data = malloc(size + 1), .size = size, .lfs = lfs};
    assert_non_null(file->data);
    snprintf(file->path, sizeof file->path, "%s", path);
    memcpy(file->data, data, size);
    rp_sha sha;
    char header[40];
    if (lfs) {
        rp_sha256_begin(&sha);
    } else {
        rp_sha1_begin(&sha);
        rp_sha_add(&sha, header, (size_t)snprintf(header, sizeof header, "blob %zu", size) + 1);
    }
    rp_sha_add(&sha, data, size);
    rp_sha_end(&sha, file->etag);
    return file;
}

hub_file *hub_add_text(hub_server *server, const char *path, const char *text) {
    return hub_add(server, path, text, strlen(text), false);
}

void hub_add_model(hub_server *server, const char *weights, size_t size) {
    unsigned char *data = malloc(size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) data[i] = (unsigned char)(i * 2654435761u >> 13);
    hub_add_text(server, "config.json", "{\"model_type\": \"albert\"}");
    hub_add_text(server, "tokenizer.json", "{}");
    hub_add_text(server, "README.md", "# A model\n");
    hub_add_text(server, ".gitattributes", "");
    hub_add(server, weights, data, size, true);
    free(data);
}

/* ---- answers ---- */

void hub_send_raw(hub_request *request, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t n = send(request->fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n <= 0) {
            request->close = true;
            return;
        }
        done += (size_t)n;
    }
}

static void send_part(hub_request *request, int status, const char *headers, const void *body, size_t size,
                      size_t most) {
    char head[8192];
    int length = snprintf(head, sizeof head, "HTTP/1.1 %d Answer\r\nContent-Length: %zu\r\n%s\r\n", status,
                          size, headers ? headers : "");
    assert_true(length < (int)sizeof head);
    hub_send_raw(request, head, (size_t)length);
    if (!strcmp(request->method, "HEAD")) return;
    hub_send_raw(request, body, size < most ? size : most);
    if (most < size) request->close = true;
}

void hub_send(hub_request *request, int status, const char *headers, const void *body, size_t size) {
    send_part(request, status, headers, body, size, SIZE_MAX);
}

static void send_list(hub_request *request) {
    hub_server *server = request->server;
    char body[8192];
    int size =
        snprintf(body, sizeof body, "{\"id\": \"org/tiny\", \"sha\": \"%s\", \"siblings\": [", HUB_COMMIT);
    for (size_t i = 0; i < server->count; i++)
        size += snprintf(body + size, sizeof body - (size_t)size, "%s{\"rfilename\": \"%s\"}", i ? ", " : "",
                         server->files[i].path);
    size += snprintf(body + size, sizeof body - (size_t)size, "]}");
    assert_true(size < (int)sizeof body);
    hub_send(request, 200, "Content-Type: application/json\r\n", body, (size_t)size);
}

static void send_content(hub_request *request, const hub_file *file, const char *headers, size_t most) {
    char range[1024];
    if (!request->has_range) {
        send_part(request, 200, headers, file->data, file->size, most);
    } else if (request->from >= file->size) {
        hub_send(request, 416, headers, "", 0);
    } else {
        size_t from = (size_t)request->from;
        snprintf(range, sizeof range, "%sContent-Range: bytes %zu-%zu/%zu\r\n", headers, from, file->size - 1,
                 file->size);
        send_part(request, 206, range, file->data + from, file->size - from, most);
    }
}

static const hub_file *find_file(const hub_server *server, const char *path) {
    for (size_t i = 0; i < server->count; i++)
        if (!strcmp(server->files[i].path, path)) return &server->files[i];
    return NULL;
}

void hub_answer(hub_request *request, size_t most) {
    hub_server *server = request->server;
    static const char list[] = "/api/models/org/tiny/revision/",
                      files[] = "/org/tiny/resolve/" HUB_COMMIT "/";
    char headers[512];
    if (request->storage) {
        const hub_file *file = find_file(server, request->path + 1);
        if (file) send_content(request, file, "", most);
        if (!file) hub_send(request, 403, NULL, "", 0);
        return;
    }
    if (!strncmp(request->path, list, strlen(list))) {
        send_list(request);
        return;
    }
    bool known = !strncmp(request->path, files, strlen(files));
    const hub_file *file = known ? find_file(server, request->path + strlen(files)) : NULL;
    if (!file) {
        snprintf(headers, sizeof headers, "X-Error-Code: %s\r\n", known ? "EntryNotFound" : "RepoNotFound");
        hub_send(request, 404, headers, "", 0);
    } else if (file->lfs) {
        snprintf(headers, sizeof headers,
                 "X-Repo-Commit: %s\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\nETag: "
                 "\"of-the-redirect\"\r\n"
                 "Location: %s/%s\r\n",
                 HUB_COMMIT, file->etag, file->size, server->storage, file->path);
        hub_send(request, 302, headers, "moved", 5);
    } else {
        snprintf(headers, sizeof headers, "x-repo-commit: %s\r\netag: W/\"%s\"\r\n", HUB_COMMIT, file->etag);
        send_content(request, file, headers, most);
    }
}

/* ---- requests ---- */

static void decode(char *path) {
    char *out = path;
    for (char *in = path; *in; out++) {
        unsigned byte;
        if (*in == '%' && sscanf(in + 1, "%2x", &byte) == 1) {
            *out = (char)byte;
            in += 3;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

/* Read the lines of one request, behind which nothing comes before its answer. False: the connection ended.
 */
static bool read_request(hub_request *r) {
    char text[16384] = "";
    size_t size = 0;
    while (!strstr(text, "\r\n\r\n")) {
        ssize_t n = size < sizeof text - 1 ? recv(r->fd, text + size, sizeof text - 1 - size, 0) : -1;
        if (n <= 0) return false;
        size += (size_t)n;
        text[size] = '\0';
    }
    if (sscanf(text, "%7s %511s", r->method, r->path) != 2) return false;
    strcpy(r->raw, r->path);
    decode(r->path);
    r->token[0] = '\0';
    r->from = 0;
    char *found = strcasestr(text, "\r\nAuthorization: Bearer ");
    if (found) sscanf(found + 24, "%511s", r->token);
    found = strcasestr(text, "\r\nRange: bytes=");
    r->has_range = found != NULL;
    if (found) r->from = strtoull(found + 15, NULL, 10);
    return true;
}

static void note(hub_request *r) {
    hub_server *server = r->server;
    pthread_mutex_lock(&server->lock);
    if (server->logged < HUB_LOG)
        snprintf(server->log[server->logged++], HUB_LINE, "%s %s%.200s token=%.100s from=%llu", r->method,
                 r->storage ? "storage:" : "", r->raw, r->token, (unsigned long long)r->from);
    pthread_mutex_unlock(&server->lock);
}

static void *serve_connection(void *pointer) {
    hub_request *r = pointer;
    while (!r->close && read_request(r)) {
        note(r);
        if (!r->server->script || !r->server->script(r)) hub_answer(r, SIZE_MAX);
    }
    shutdown(r->fd, SHUT_RDWR);
    close(r->fd);
    free(r);
    return NULL;
}

typedef struct listener {
    hub_server *server;
    bool storage;
} listener;

static void *serve(void *pointer) {
    listener l = *(listener *)pointer;
    free(pointer);
    for (int fd; (fd = accept(l.server->listening[l.storage], NULL, NULL)) >= 0;) {
        pthread_t thread;
        int yes = 1; /* or each body would wait for a receipt of its headers */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        hub_request *r = calloc(1, sizeof *r);
        *r = (hub_request){.server = l.server, .fd = fd, .storage = l.storage};
        if (pthread_create(&thread, NULL, serve_connection, r)) abort();
        pthread_detach(thread);
    }
    return NULL;
}

static int listen_somewhere(int *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

void hub_start(hub_server *server) {
    memset(server, 0, sizeof *server);
    pthread_mutex_init(&server->lock, NULL);
    server->listening[0] = listen_somewhere(&server->port);
    server->listening[1] = listen_somewhere(&server->storage_port);
    snprintf(server->endpoint, sizeof server->endpoint, "http://127.0.0.1:%d", server->port);
    snprintf(server->storage, sizeof server->storage, "http://127.0.0.1:%d", server->storage_port);
    for (int i = 0; i < 2; i++) {
        listener *l = malloc(sizeof *l);
        *l = (listener){server, i};
        assert_int_equal(pthread_create(&server->threads[i], NULL, serve, l), 0);
    }
}

void hub_stop(hub_server *server) {
    for (int i = 0; i < 2; i++) {
        shutdown(server->listening[i], SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->listening[i]);
    }
    for (size_t i = 0; i < server->count; i++) free(server->files[i].data);
    server->count = 0;
}

size_t hub_count(hub_server *server, const char *text) {
    size_t count = 0;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->logged; i++) count += strstr(server->log[i], text) != NULL;
    pthread_mutex_unlock(&server->lock);
    return count;
}

void hub_forget(hub_server *server) {
    pthread_mutex_lock(&server->lock);
    server->logged = 0;
    pthread_mutex_unlock(&server->lock);
}
