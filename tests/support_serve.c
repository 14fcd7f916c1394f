#include "support_serve.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

served serve_start(const char *const *args) {
    const char *all[32] = {"serve", "--port", "0"};
    char line[512] = "";
    for (size_t i = 0; args[i]; i++) all[3 + i] = args[i];
    served s = {.pipe = cli_start(all)};
    if (!cli_read_line(&s.pipe, line, sizeof line, 120)) fail_msg("the server does not start");
    const char *colon = strrchr(line, ':');
    assert_non_null(strstr(line, "listening on http://127.0.0.1:"));
    s.port = atoi(colon + 1);
    assert_true(s.port > 0);
    return s;
}

int serve_stop(served *s) {
    assert_int_equal(kill(s->pipe.pid, SIGTERM), 0);
    return cli_finish(&s->pipe);
}

void reply_free(reply *r) {
    free(r->all);
    json_decref(r->json);
    *r = (reply){0};
}

const char *reply_header(const reply *r, const char *name) {
    static char value[256];
    size_t size = strlen(name);
    for (const char *at = r->all; at && at < r->body && (at = strstr(at, "\r\n"));) {
        at += 2;
        if (strncasecmp(at, name, size) || at[size] != ':') continue;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(at + size + 2, "\r"), at + size + 2);
        return value;
    }
    return NULL;
}

int serve_connect(const served *s) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    struct timeval most = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
    return fd;
}

void serve_send(int fd, const char *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t sent = send(fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (sent <= 0) return; /* the server has heard enough */
        done += (size_t)sent;
    }
}

reply serve_read(int fd) {
    reply r = {.all = calloc(1, 1)};
    for (;;) {
        char piece[65536];
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0) break;
        r.all = realloc(r.all, r.size + (size_t)got + 1);
        assert_non_null(r.all);
        memcpy(r.all + r.size, piece, (size_t)got);
        r.size += (size_t)got;
        r.all[r.size] = '\0';
    }
    close(fd);
    char *end = strstr(r.all, "\r\n\r\n");
    r.body = end ? end + 4 : r.all + r.size;
    if (!strncmp(r.all, "HTTP/1.1 ", 9)) r.status = atoi(r.all + 9);
    r.json = json_loads(r.body, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return r;
}

reply serve_ask(const served *s, const char *path, const char *body, const char *extra) {
    char head[1024];
    int fd = serve_connect(s);
    int size = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n%s",
                        body ? "POST" : "GET", path, extra);
    if (body)
        size += snprintf(head + size, sizeof head - (size_t)size,
                         "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    size += snprintf(head + size, sizeof head - (size_t)size, "\r\n");
    serve_send(fd, head, (size_t)size);
    if (body) serve_send(fd, body, strlen(body));
    return serve_read(fd);
}

json_t *serve_json(const served *s, const char *path, const char *body, int status) {
    reply r = serve_ask(s, path, body, "");
    if (r.status != status) fail_msg("%s %s: %.300s", path, body ? body : "", r.all);
    json_t *json = json_incref(r.json);
    reply_free(&r);
    return json;
}
