/* One line a request, on standard output. Nothing of what a request says is in it. */
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

static void put_line(const char *line, size_t size) {
    if (write(STDOUT_FILENO, line, size) < 0) return; /* nobody reads the log */
}

void rp_serve_log_start(const rp_server *s) {
    char line[320], stamp[40];
    put_time(stamp);
    int size =
        snprintf(line, sizeof line,
                 s->options->json_log
                     ? "{\"timestamp\": \"%s\", \"level\": \"INFO\", \"message\": \"listening on %s\"}\n"
                     : "%s INFO listening on %s\n",
                 stamp, s->address);
    put_line(line, (size_t)size);
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
    if (size > 0) put_line(line, (size_t)size < sizeof line ? (size_t)size : sizeof line - 1);
}
