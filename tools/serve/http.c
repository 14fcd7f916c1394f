/* The connections: what libmicrohttpd hands over, and what goes back. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/serve/answer.h"

enum {
    MOST_THREADS = 4,  /* of libmicrohttpd */
    MEMORY = 32 << 10, /* of a connection, bytes: its headers have to fit in */
    MOST_DISCARDED =
        16 << 20, /* bytes of a body that are read only so that the client hears why it is refused */
    MOST_CONNECTIONS = 16384,
};

/* ---- a request comes ---- */

static const char *header(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

/* Whether `given` is "Bearer KEY", in a time that depends on the length of `given` alone. */
static bool is_key(const char *key, const char *given) {
    static const char bearer[] = "Bearer ";
    size_t before = sizeof bearer - 1, size = strlen(key), length = given ? strlen(given) : 0;
    volatile unsigned char differs = length != before + size;
    for (size_t i = 0; i < length; i++) {
        char wanted = i < before ? bearer[i] : size ? key[(i - before) % size] : 0;
        differs |= (unsigned char)(given[i] ^ wanted);
    }
    return !differs;
}

static bool is_json(const char *type) {
    if (!type) return false;
    size_t size = strcspn(type, "; \t");
    return (size == 16 && !strncasecmp(type, "application/json", 16)) ||
           (size > 5 && !strncasecmp(type + size - 5, "+json", 5));
}

/* What is wrong with a request, as far as its headers say. */
static void look_at_headers(rp_serve_request *r, const char *url, const char *method) {
    rp_server *s = r->server;
    rp_trouble *p = &r->problem;
    const char *length = header(r->handle, MHD_HTTP_HEADER_CONTENT_LENGTH);
    unsigned long long size = length ? strtoull(length, NULL, 10) : 0, limit = s->options->payload_limit;
    bool both = length && header(r->handle, MHD_HTTP_HEADER_TRANSFER_ENCODING); /* its connection must end */
    r->early = header(r->handle, MHD_HTTP_HEADER_EXPECT) || size > limit + MOST_DISCARDED || both;
    r->route = rp_route_find(s, url, r->head ? "GET" : method, &r->model, &r->allow);
    if (both)
        rp_trouble_say(p, 400, "Validation", "send Content-Length or Transfer-Encoding, not both");
    else if (s->options->cors && !strcmp(method, MHD_HTTP_METHOD_OPTIONS))
        rp_trouble_say(p, 204, "", "%s", "");
    else if (s->key && (!r->route || !r->route->open) && !is_key(s->key, header(r->handle, "Authorization")))
        rp_trouble_say(p, 401, "", "%s", "");
    else if (!r->route && r->allow)
        rp_trouble_say(p, 405, "Validation", "this path takes %s", r->allow);
    else if (!r->route)
        rp_trouble_say(p, 404, "NotFound", "there is nothing here; /openapi.json says what is served");
    else if (s->draining && r->route->task)
        rp_trouble_say(p, 503, "Unhealthy", "the server is ending; ask another one");
    else if (r->route->read && !is_json(header(r->handle, MHD_HTTP_HEADER_CONTENT_TYPE)))
        rp_trouble_say(p, 415, "Validation", "send JSON, with the header Content-Type: application/json");
    else if (size > limit)
        rp_trouble_say(p, 413, "Validation", "the body has %llu bytes, and at most %llu are taken", size,
                       limit);
}

/* A method stands in the log as it is: so it is letters, or a dash in their place. */
static void keep_method(rp_serve_request *r, const char *method) {
    size_t size = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    snprintf(r->method, sizeof r->method, "%s", size && !method[size] ? method : "-");
}

static rp_serve_request *begin(rp_server *s, struct MHD_Connection *handle, const char *url,
                               const char *method, const char *version) {
    rp_serve_request *r = calloc(1, sizeof *r);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const char *agent = header(handle, MHD_HTTP_HEADER_USER_AGENT);
    if (!r || !info || !info->socket_context) {
        free(r);
        return NULL;
    }
    r->server = s;
    r->handle = handle;
    r->connection = info->socket_context;
    r->begun = rp_clock();
    r->head = !strcmp(method, MHD_HTTP_METHOD_HEAD);
    r->old = strcmp(version, MHD_HTTP_VERSION_1_1) != 0;
    unsigned major = 0, minor = 0;
    const char *hub = agent ? strstr(agent, "hf_hub/") : NULL;
    r->hub = hub || (agent && strstr(agent, "huggingface.js"));
    r->old_hub =
        hub && sscanf(hub, "hf_hub/%u.%u", &major, &minor) == 2 && (!major || (major == 1 && minor < 2));
    keep_method(r, method);
    atomic_fetch_add(&s->active, 1);
    rp_serve_phase(s, r->connection, RP_BODY, r);
    look_at_headers(r, url, method);
    return r;
}

/* Bodies lie in memory until they are answered: of all together there are not to be more than BODIES of the
 * longest. What is small is taken all the same, whoever else sends. */
static bool hold(rp_serve_request *r, size_t size) {
    enum { BODIES = 128, SMALL = 1 << 16 };
    rp_server *s = r->server;
    size_t all = atomic_fetch_add(&s->bodies, size) + size;
    if (all / BODIES < s->options->payload_limit || r->came <= SMALL) {
        r->held += size;
        return true;
    }
    atomic_fetch_sub(&s->bodies, size);
    return false;
}

/* A piece of the body. False: so much came that nobody needs to hear why it is refused. */
static bool take(rp_serve_request *r, const char *data, size_t size) {
    size_t limit = r->server->options->payload_limit;
    r->came += size;
    if (!r->problem.status && r->came > limit)
        rp_trouble_say(&r->problem, 413, "Validation", "the body has more than the %zu bytes that are taken",
                       limit);
    if (!r->problem.status && !hold(r, size))
        rp_trouble_say(
            &r->problem, 429, "Overloaded",
            "clients are sending %zu bytes of bodies, as many as are taken at a time; try again later",
            (size_t)r->server->bodies);
    if (!r->problem.status)
        rp_cli_put(&r->body, data, size);
    else
        r->body.size = 0;
    if (r->body.cut) rp_trouble_say(&r->problem, 503, "Backend", "out of memory; try again later");
    return r->came <= limit + MOST_DISCARDED;
}

/* ---- the answer goes ---- */

static void add_time(struct MHD_Response *response, const char *name, double seconds) {
    char text[32];
    snprintf(text, sizeof text, "%.0f", seconds > 0 ? seconds * 1e3 : 0);
    MHD_add_response_header(response, name, text);
}

static void add_count(struct MHD_Response *response, const char *name, uint64_t count) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)count);
    MHD_add_response_header(response, name, text);
}

/* TEI's headers; the last two are ours. */
static void add_costs(const rp_serve_request *r, struct MHD_Response *response) {
    if (!r->started) return;
    MHD_add_response_header(response, "x-compute-type", r->server->on_gpu ? "gpu+optimized" : "cpu");
    add_time(response, "x-compute-time", r->ended - r->begun);
    add_time(response, "x-total-time", r->ended - r->begun);
    add_time(response, "x-queue-time", r->started - r->queued);
    add_time(response, "x-tokenization-time", r->tokenized);
    add_time(response, "x-inference-time", r->ended - r->started - r->tokenized);
    add_count(response, "x-compute-characters", r->characters);
    add_count(response, "x-compute-tokens", r->tokens);
    add_count(response, "x-compute-layers", r->layers);
}

static void add_origin(const rp_serve_request *r, struct MHD_Response *response) {
    const char *allowed = r->server->options->cors, *origin = header(r->handle, MHD_HTTP_HEADER_ORIGIN);
    bool any = allowed && !strcmp(allowed, "*");
    if (!allowed || !origin || (!any && strcmp(allowed, origin))) return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", allowed);
    MHD_add_response_header(response, "Access-Control-Expose-Headers",
                            "x-compute-type, x-compute-time, x-total-time, x-queue-time, "
                            "x-tokenization-time, x-inference-time, x-compute-characters, x-compute-tokens, "
                            "x-compute-layers, retry-after");
    if (!any) MHD_add_response_header(response, "Vary", "Origin");
    if (r->status != 204) return;
    MHD_add_response_header(response, "Access-Control-Allow-Methods", "GET, POST");
    MHD_add_response_header(response, "Access-Control-Allow-Headers", "authorization, content-type");
    MHD_add_response_header(response, "Access-Control-Max-Age", "600");
}

static enum MHD_Result send_answer(rp_serve_request *r) {
    size_t size = r->answer.size;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        size, size ? r->answer.data : "", size ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    if (size) r->answer = (rp_cli_buffer){0};
    if (size) MHD_add_response_header(response, "Content-Type", r->type ? r->type : "application/json");
    if (r->status == 429) MHD_add_response_header(response, "Retry-After", "1");
    if (r->status == 503) MHD_add_response_header(response, "Retry-After", "5");
    if (r->status == 401) MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (r->status == 405) MHD_add_response_header(response, "Allow", r->allow);
    bool unread = r->early && r->problem.status; /* the body still comes, or nobody knows where it ends */
    if (r->server->draining || unread) MHD_add_response_header(response, "Connection", "close");
    add_costs(r, response);
    add_origin(r, response);
    enum MHD_Result result = MHD_queue_response(r->handle, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return result;
}

/* The request is whole. */
static enum MHD_Result finish(rp_serve_request *r) {
    r->asked = true;
    rp_serve_phase(r->server, r->connection, RP_ANSWERING,
                   r); /* the watcher has nothing to say to it any more */
    if (r->problem.status || !r->route->page) return rp_serve_answer(r) ? send_answer(r) : MHD_YES;
    r->status = r->route->page(r->handle);
    return r->status ? MHD_YES : MHD_NO;
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data, size_t *size,
                              void **own) {
    rp_serve_request *r = *own;
    if (!r) {
        r = *own = begin(user, connection, url, method, version);
        if (!r) return MHD_NO;
        return r->problem.status && r->early ? finish(r) : MHD_YES;
    }
    if (*size) {
        bool good = take(r, data, *size);
        *size = 0;
        return good ? MHD_YES : MHD_NO;
    }
    return r->asked ? send_answer(r) : finish(r); /* asked: the connection was resumed with the answer */
}

static void completed(void *user, struct MHD_Connection *connection, void **own,
                      enum MHD_RequestTerminationCode how) {
    rp_server *s = user;
    rp_serve_request *r = *own;
    (void)connection;
    if (!r) return;
    *own = NULL;
    if (how != MHD_REQUEST_TERMINATED_COMPLETED_OK) r->status = r->connection->dead && !r->asked ? 408 : 499;
    rp_metrics_count(s->metrics, r);
    rp_serve_log(r);
    rp_serve_phase(s, r->connection, RP_IDLE, NULL);
    rp_ask_free(&r->ask);
    free(r->raw);
    free(r->body.data);
    free(r->answer.data);
    atomic_fetch_sub(&s->unread, r->unread);
    atomic_fetch_sub(&s->bodies, r->held);
    free(r);
    atomic_fetch_sub(&s->active, 1);
}

/* ---- connections ---- */

static rp_serve_connection *open_connection(rp_server *s, struct MHD_Connection *handle) {
    rp_serve_connection *c = calloc(1, sizeof *c);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!c || !info) {
        free(c);
        return NULL;
    }
    c->fd = info->connect_fd;
    c->since = rp_clock();
    c->received = UINT64_MAX;
    pthread_mutex_lock(&s->lock);
    c->next = s->connections;
    c->link = &s->connections;
    if (c->next) c->next->link = &c->next;
    s->connections = c;
    pthread_mutex_unlock(&s->lock);
    return c;
}

static void notify(void *user, struct MHD_Connection *handle, void **own,
                   enum MHD_ConnectionNotificationCode what) {
    rp_server *s = user;
    rp_serve_connection *c = *own;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *own = open_connection(s, handle);
    } else if (c) {
        pthread_mutex_lock(&s->lock);
        *c->link = c->next;
        if (c->next) c->next->link = c->link;
        pthread_mutex_unlock(&s->lock);
        free(c);
        *own = NULL;
    }
}

/* ---- listening ---- */

static bool bind_to(rp_server *s, const struct addrinfo *at) {
    int yes = 1;
    s->listening = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, at->ai_protocol);
    if (s->listening < 0) return false;
    setsockopt(s->listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (!bind(s->listening, at->ai_addr, at->ai_addrlen) && !listen(s->listening, 1024)) return true;
    int error = errno;
    close(s->listening);
    errno = error;
    s->listening = -1;
    return false;
}

/* The address as it is, with the port that the system chose where none was given. */
static void name_address(rp_server *s) {
    struct sockaddr_storage at;
    socklen_t size = sizeof at;
    char host[80] = "", port[8] = "";
    getsockname(s->listening, (struct sockaddr *)&at, &size);
    getnameinfo((struct sockaddr *)&at, size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(s->address, sizeof s->address, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host,
             port);
    bool loopback = at.ss_family == AF_INET ? !strncmp(host, "127.", 4) : !strcmp(host, "::1");
    if (!loopback && !s->key)
        rp_cli_complain("serve: whoever reaches %s can ask this server; give it an --api-key, or listen on "
                        "127.0.0.1",
                        s->address);
}

static bool open_socket(rp_server *s) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    char port[16];
    s->listening = -1;
    snprintf(port, sizeof port, "%u", s->options->port);
    int failed = getaddrinfo(s->options->host, port, &hints, &list);
    for (struct addrinfo *at = list; !failed && at && s->listening < 0; at = at->ai_next)
        if (bind_to(s, at)) break;
    if (s->listening < 0)
        rp_cli_complain("serve: cannot listen on %s, port %s: %s; choose another --host or --port",
                        s->options->host, port, failed ? gai_strerror(failed) : strerror(errno));
    if (list) freeaddrinfo(list);
    if (s->listening < 0) return false;
    name_address(s);
    return true;
}

/* Every connection is a descriptor. */
static unsigned allow_connections(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return 256;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (!setrlimit(RLIMIT_NOFILE, &limit)) soft = limit.rlim_cur;
    return soft < 512 ? 256 : soft - 256 < MOST_CONNECTIONS ? (unsigned)soft - 256 : MOST_CONNECTIONS;
}

static void say_nothing(void *user, const char *format, va_list arguments) {
    (void)user;
    (void)format;
    (void)arguments;
}

bool rp_serve_listen(rp_server *s) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = cores < 4 ? 1 : cores / 2 < MOST_THREADS ? (unsigned)cores / 2 : MOST_THREADS;
    if (!open_socket(s)) return false;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG, 0, NULL,
        NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET,
        s->listening, MHD_OPTION_THREAD_POOL_SIZE, threads, MHD_OPTION_CONNECTION_LIMIT,
        threads * allow_connections(), MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED,
        completed, s, MHD_OPTION_NOTIFY_CONNECTION, notify, s, MHD_OPTION_END);
    if (s->daemon) return true;
    rp_cli_complain("serve: libmicrohttpd does not start: %s; close other programs", strerror(errno));
    close(s->listening);
    return false;
}

void rp_serve_close(rp_server *s) {
    if (s->daemon) MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}
