/* reprise serve: from the options to the end of the server. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/cli/session.h"
#include "tools/cli/stop.h"
#include "tools/serve/info.h"

/* The first line of the file, without white space at its end. */
static bool read_key(rp_server *s) {
    const char *name = s->options->key_file;
    char line[1024] = "";
    if (s->options->key) {
        s->key = strdup(s->options->key);
        return s->key;
    }
    if (!name) return true;
    FILE *file = fopen(name, "r");
    if (!file) {
        rp_cli_complain("serve: %s: cannot open: %s", name, strerror(errno));
        return false;
    }
    bool good = fgets(line, sizeof line, file) && strlen(line) < sizeof line - 1;
    fclose(file);
    size_t size = strcspn(line, "\r\n");
    while (size && (line[size - 1] == ' ' || line[size - 1] == '\t')) size--;
    line[size] = '\0';
    if (good && *line) s->key = strdup(line);
    memset(line, 0, sizeof line);
    if (!s->key) rp_cli_complain("serve: %s: the first line must be the key, of at most 1000 bytes", name);
    return s->key;
}

static const double SHORT = 0.02, LONG = 0.5; /* seconds between two looks */

/* Answer what is in flight; what is not answered in time is cancelled. */
static void drain(rp_server *s) {
    double end = rp_clock() + s->options->drain;
    s->draining = true;
    rp_cli_complain("serve: ending; %zu request%s in flight, for at most %u s", s->active,
                    s->active == 1 ? "" : "s", s->options->drain);
    while (s->active && rp_clock() < end) rp_serve_watch(s, -1, SHORT);
    bool late = s->active;
    s->closing = true;
    while (s->suspended || s->loaders) {
        rp_serve_cancel_all(s);
        rp_serve_watch(s, -1, SHORT);
    }
    for (int i = 0; late && s->active && i < 50; i++) /* what was cancelled is told so */
        rp_serve_watch(s, -1, SHORT);
}

static int run(rp_server *s, const rp_cli_options *options) {
    int stop = rp_cli_stop_open();
    rp_error err;
    if (!read_key(s)) return 1;
    if (rp_cli_device_open(options->device, &s->device, &err)) {
        rp_cli_complain("serve: %s", err.message);
        return 1;
    }
    const rp_device_info *info = rp_device_get_info(s->device);
    s->device_name = info->name;
    s->on_gpu = info->type != RP_DEVICE_CPU;
    s->metrics = rp_metrics_new();
    if (!s->metrics || !rp_serve_open_models(s, options) || !rp_serve_watch_open(s)) return 1;
    bool good = rp_serve_listen(s);
    if (good) {
        rp_cli_stop_expected(true);
        rp_serve_log_start(s);
        while (!rp_cli_stop_signal()) rp_serve_watch(s, stop, LONG);
        drain(s);
    }
    rp_serve_close(s);
    rp_serve_watch_close(s);
    return good ? 0 : 1;
}

int rp_cli_serve(const rp_cli_options *options, rp_cli_output *out) {
    rp_server s = {.options = &options->serve,
                   .precision = options->precision,
                   .policy = options->policy,
                   .patience = options->patience,
                   .done = rp_serve_done};
    (void)out;
    s.started = (long long)time(NULL);
    int status = run(&s, options);
    rp_serve_close_models(&s);
    rp_device_close(&s.device);
    free(s.metrics);
    free(s.key);
    return status;
}
