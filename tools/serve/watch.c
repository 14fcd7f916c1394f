/* The watcher: the main thread, which sees to deadlines and to clients that went away.
 *
 * libmicrohttpd's own timeout begins anew with every byte, and a suspended connection has none; here the
 * clock is monotonic and runs whatever bytes come. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POLLRDHUP */
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/tcp.h>
#include <netinet/in.h>
#endif

#include "tools/serve/serve.h"

enum { IDLE_SECONDS = 300 };       /* of a connection on which nothing is asked */
static const double OFTEN = 0.025; /* seconds between two looks at requests that wait */
static const double GRACE = 0.25;  /* seconds before a peer that sends no more is asked whether it reads */

static void shut(rp_serve_connection *c) {
    c->dead = true;
    shutdown(c->fd, SHUT_RDWR);
}

/* Nothing of an answer has been written yet, and libmicrohttpd is reading: so these bytes are the answer. */
static void refuse(rp_serve_connection *c, const char *status) {
    char answer[128];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", status);
    ssize_t sent = send(c->fd, answer, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent; /* it goes away either way */
    shut(c);
}

/* The peer has closed its half, and what it sent before is read: the rest of a request will not come.
 * libmicrohttpd goes on waiting for it. */
static bool has_ended(int fd) {
    struct pollfd peer = {.fd = fd, .events = POLLRDHUP};
    int left = 0;
    if (poll(&peer, 1, 0) != 1 || !(peer.revents & (POLLRDHUP | POLLHUP | POLLERR))) return false;
    return ioctl(fd, FIONREAD, &left) || !left;
}

/* The bytes that have come so far; 0 where the system does not say. */
static uint64_t bytes_received(int fd) {
#ifdef __linux__
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size)) return info.tcpi_bytes_received;
#endif
    (void)fd;
    return 0;
}

/* A byte of a next request turns idleness into waiting for headers. */
static void look_at_idle(rp_serve_connection *c, double now) {
    uint64_t received = bytes_received(c->fd);
    if (c->received == UINT64_MAX) {
        c->received = received;
    } else if (received != c->received) {
        c->phase = RP_HEADERS;
        c->since = now;
    } else if (now - c->since > IDLE_SECONDS) {
        shut(c);
    }
}

/* A peer that sends no more has gone, or has only closed its half: the two look the same. An interim answer
 * tells them apart: the system of one that has gone resets the connection. HTTP/1.0 knows none. */
static void look_at_waiting(rp_serve_connection *c, short events, double now) {
    static const char probe[] = "HTTP/1.1 100 Continue\r\n\r\n";
    rp_serve_request *r = c->request;
    if (events & (POLLERR | POLLHUP)) {
        rp_call_cancel(&r->call);
        return;
    }
    if (r->call.deadline && now > r->call.deadline) rp_call_cancel(&r->call);
    if (!(events & POLLRDHUP) || r->old) return;
    if (!c->gone) c->gone = now;
    if (c->probed || now - c->gone < GRACE) return;
    c->probed = send(c->fd, probe, sizeof probe - 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    if (!c->probed && errno != EAGAIN) rp_call_cancel(&r->call);
}

static void look_at(rp_server *s, rp_serve_connection *c, double now, bool slow) {
    double spent = now - c->since, most = s->options->timeout;
    if (c->dead) return;
    if (c->phase == RP_IDLE && slow)
        look_at_idle(c, now);
    else if ((c->phase == RP_HEADERS || c->phase == RP_BODY) && spent > most)
        refuse(c, "408 Request Timeout");
    else if (c->phase == RP_BODY && spent > GRACE && has_ended(c->fd))
        refuse(c, "400 Bad Request");
    else if (c->phase == RP_ANSWERING && spent > most)
        shut(c);
}

/* Room for `count`; false: out of memory, and nobody is looked at this time. */
static bool make_room(rp_serve_polled *p, size_t count) {
    if (count <= p->capacity) return true;
    struct pollfd *fds = realloc(p->fds, 2 * count * sizeof *fds);
    if (fds) p->fds = fds;
    rp_serve_connection **list = fds ? realloc(p->connections, 2 * count * sizeof *list) : NULL;
    if (list) p->connections = list;
    if (list) p->capacity = 2 * count;
    return list;
}

/* The lock is held, so that no connection ends meanwhile. `slow`: also what is looked at once a second. */
static void look_at_all(rp_server *s, rp_serve_polled *p, bool slow) {
    double now = rp_clock();
    size_t count = 0;
    bool room = make_room(p, s->waiting);
    for (rp_serve_connection *c = s->connections; c; c = c->next) {
        if (c->phase != RP_WAITING) {
            look_at(s, c, now, slow);
        } else if (room && count < p->capacity && c->request) {
            p->fds[count] = (struct pollfd){.fd = c->fd, .events = POLLRDHUP};
            p->connections[count++] = c;
        }
    }
    if (!count || poll(p->fds, count, 0) < 0) return;
    for (size_t i = 0; i < count; i++) look_at_waiting(p->connections[i], p->fds[i].revents, now);
}

/* Until `fd` can be read, a request waits, or some time has passed. */
static void sleep_for(rp_server *s, int fd, double seconds) {
    char bytes[64];
    struct pollfd both[2] = {{.fd = s->wake[0], .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    if (poll(both, 2, (int)(seconds * 1000)) > 0 && both[0].revents)
        while (read(s->wake[0], bytes, sizeof bytes) == sizeof bytes) {
        }
}

void rp_serve_watch(rp_server *s, int fd, double seconds) {
    sleep_for(s, fd, s->waiting && seconds > OFTEN ? OFTEN : seconds);
    bool slow = rp_clock() - s->tended >= 1;
    pthread_mutex_lock(&s->lock);
    look_at_all(s, &s->polled, slow);
    pthread_mutex_unlock(&s->lock);
    if (!slow) return;
    s->tended = rp_clock();
    rp_serve_tend_models(s);
}

bool rp_serve_watch_open(rp_server *s) {
    pthread_mutex_init(&s->lock, NULL);
    if (pipe(s->wake)) return false;
    for (int i = 0; i < 2; i++) {
        fcntl(s->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(s->wake[i], F_SETFD, FD_CLOEXEC);
    }
    return true;
}

void rp_serve_watch_close(rp_server *s) {
    close(s->wake[0]);
    close(s->wake[1]);
    free(s->polled.fds);
    free(s->polled.connections);
}

void rp_serve_phase(rp_server *s, rp_serve_connection *c, int phase, rp_serve_request *request) {
    pthread_mutex_lock(&s->lock);
    if (c->phase == RP_WAITING) s->waiting--;
    c->phase = phase;
    c->since = rp_clock();
    c->request = request;
    c->received = UINT64_MAX;
    c->gone = 0;
    c->probed = false;
    bool first = phase == RP_WAITING && !s->waiting++;
    pthread_mutex_unlock(&s->lock);
    if (first && write(s->wake[1], "", 1) < 0 && errno != EAGAIN) return; /* it looks up soon anyway */
}

void rp_serve_cancel_all(rp_server *s) {
    pthread_mutex_lock(&s->lock);
    for (rp_serve_connection *c = s->connections; c; c = c->next)
        if (c->phase == RP_WAITING && c->request) rp_call_cancel(&c->request->call);
    pthread_mutex_unlock(&s->lock);
}
