/* One line a request, on standard output. Nothing of what a request says is in it. */
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/serve/serve.h"

/* The time of a line: UTC, in milliseconds. */
static void put_time(char out[40]) {
    char seconds[32] = "";
    struct timespec at;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &at);
    if (gmtime_r(&at.tv_sec, &parts)) strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(out, 40, "%s.%03dZ", seconds, (int)(at.tv_nsec / 1000000));
}

/* What waits to be read leaves room for a line: then writing it takes no time. A pipe says so while it has
 * room for PIPE_BUF bytes. */
static bool has_room(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && out.revents & POLLOUT;
}

static void put_message(const rp_server *s, const char *level, const char *message) {
    char line[400], stamp[40];
    put_time(stamp);
    int size =
        snprintf(line, sizeof line,
                 s->options->json_log ? "{\"timestamp\": \"%s\", \"level\": \"%s\", \"message\": \"%s\"}\n"
                                      : "%s %s %s\n",
                 stamp, level, message);
    if (write(STDOUT_FILENO, line, (size_t)size) < 0) return; /* nobody reads the log */
}

/* No request waits for whoever reads the log: what comes while it is full is left out, and counted. */
static void put_line(const rp_server *s, const char *line, size_t size) {
    static _Atomic unsigned long long left_out;
    char message[80];
    if (!has_room()) {
        left_out++;
        return;
    }
    unsigned long long count = atomic_exchange(&left_out, 0);
    snprintf(message, sizeof message, "%llu lines left out, since nobody read the log in time", count);
    if (count) put_message(s, "WARN", message);
    if (write(STDOUT_FILENO, line, size) < 0) return;
}

void rp_serve_log_start(const rp_server *s) {
    char message[160];
    snprintf(message, sizeof message, "listening on %s", s->address);
    put_message(s, "INFO", message);
}

static double milliseconds(double from, double to) {
    return from > 0 && to > from ? (to - from) * 1e3 : 0;
}

void rp_serve_log(const rp_serve_request *r) {
    char line[640], stamp[40], cause[40] = "";
    put_time(stamp);
    const char *path = r->route ? r->route->path : "-", *model = r->route && r->model ? r->model->name : "-";
    double total = milliseconds(r->begun, rp_clock()), queue = milliseconds(r->queued, r->started);
    double device = milliseconds(r->started, r->ended) - r->tokenized * 1e3;
    bool json = r->server->options->json_log, failed = r->error_type && *r->error_type;
    if (failed) snprintf(cause, sizeof cause, json ? ", \"error_type\": \"%s\"" : " %s", r->error_type);
    int size = snprintf(
        line, sizeof line,
        json ? "{\"timestamp\": \"%s\", \"level\": \"%s\", \"method\": \"%s\", \"route\": \"%s\", "
               "\"model\": \"%.100s\", \"status\": %d%s, \"total_ms\": %.3f, \"queue_ms\": %.3f, "
               "\"tokenize_ms\": %.3f, \"device_ms\": %.3f, \"inputs\": %zu, \"tokens\": %llu, \"layers\": "
               "%u}\n"
             : "%s %s %s %s %.100s %d%s total %.3f ms queue %.3f ms tokenize %.3f ms device %.3f ms "
               "inputs %zu tokens %llu layers %u\n",
        stamp, r->status >= 500 ? "WARN" : "INFO", r->method, path, model, r->status, cause, total, queue,
        r->tokenized * 1e3, device > 0 ? device : 0, r->ask.weight, (unsigned long long)r->tokens, r->layers);
    if (size > 0) put_line(r->server, line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}
