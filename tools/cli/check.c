/* reprise check: every kernel that may run on the device, against plain C. */
#include <reprise/check.h>

#include <math.h>
#include <string.h>

#include "session.h"
#include "stop.h"

typedef struct report {
    const rp_cli_options *options;
    rp_cli_output *out;
    rp_cli_people people;
    size_t count;
    bool ends; /* some kernel was not run, and a model may still try it */
} report;

static const char *verdict_name(const report *r, rp_check_verdict verdict) {
    static const char *const names[] = {"right", "wrong", "refused", "spills", "loses", "ends"};
    return !verdict && r->options->compile ? "compiled" : names[verdict];
}

/* To its end: there is an error to show. */
static bool was_run(const rp_check_result *result) {
    return result->verdict != RP_CHECK_REFUSED && result->verdict != RP_CHECK_LOSES &&
           result->verdict != RP_CHECK_ENDS;
}

static void put_json(report *r, const rp_check_result *result) {
    rp_cli_buffer *out = &r->out->buffer;
    rp_cli_puts(out, "{\"op\": ");
    rp_cli_json_string(out, result->op, strlen(result->op));
    rp_cli_puts(out, ", \"kernel\": ");
    rp_cli_json_string(out, result->kernel, strlen(result->kernel));
    rp_cli_puts(out, ", \"use\": ");
    rp_cli_json_string(out, result->use, strlen(result->use));
    if (r->options->compile) {
        rp_cli_puts(out, ", \"statistics\": ");
        rp_cli_json_string(out, result->statistics, strlen(result->statistics));
    } else {
        rp_cli_puts(out, ", \"error\": ");
        if (isfinite(result->error) && was_run(result))
            rp_cli_json_double(out, result->error);
        else
            rp_cli_puts(out, "null");
        rp_cli_puts(out, ", \"bound\": ");
        rp_cli_json_double(out, result->bound);
    }
    rp_cli_printf(out, ", \"verdict\": \"%s\"}\n", verdict_name(r, result->verdict));
}

static void put_people(report *r, const rp_check_result *result) {
    rp_cli_people *p = &r->people;
    rp_cli_puts(p->out, "  ");
    rp_cli_people_style(p, result->verdict ? RP_CLI_RED : RP_CLI_GREEN);
    rp_cli_people_cell(p, verdict_name(r, result->verdict), 9);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    if (!r->options->compile && !was_run(result))
        rp_cli_puts(p->out, "        -  ");
    else if (!r->options->compile)
        rp_cli_printf(p->out, "%9.2g  ", result->error);
    rp_cli_people_cell(p, result->op, 11);
    rp_cli_people_cell(p, result->kernel, 48);
    rp_cli_puts(p->out, " ");
    rp_cli_people_text(p, result->use, strlen(result->use), 0);
    if (*result->statistics) {
        rp_cli_puts(p->out, "\n           ");
        rp_cli_people_text(p, result->statistics, strlen(result->statistics), 0);
    }
    rp_cli_puts(p->out, "\n");
}

static void take(void *user, const rp_check_result *result) {
    report *r = user;
    r->count++;
    r->ends |= result->verdict == RP_CHECK_ENDS;
    if (r->options->json)
        put_json(r, result);
    else
        put_people(r, result);
    rp_cli_flush(r->out);
}

static void put_heading(report *r, const rp_device *device) {
    const rp_device_info *info = rp_device_get_info(device);
    rp_cli_people *p = &r->people;
    rp_cli_people_style(p, RP_CLI_BOLD);
    rp_cli_people_text(p, info->name, strlen(info->name), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(p->out, "\n  driver   ");
    rp_cli_people_text(p, info->driver, strlen(info->driver), 0);
    rp_cli_puts(p->out, r->options->compile ? "\n\n  verdict  op         kernel\n"
                                            : "\n\n  verdict      error  op         kernel\n");
    rp_cli_flush(r->out);
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    report r = {.options = options, .out = out};
    rp_check_params params = {.compile_only = options->compile,
                              .only = options->only,
                              .config = options->config_given ? options->config : NULL};
    rp_device *device = NULL;
    uint32_t failed = 0;
    rp_error err;
    rp_cli_people_init(&r.people, &out->buffer, out->fd);
    rp_status status = rp_cli_device_open(options->device, &device, &err);
    if (!status && !options->json) put_heading(&r, device);
    rp_cli_stop_device(device);
    if (!status) status = rp_check_kernels(device, &params, take, &r, &failed, &err);
    rp_cli_stop_device(NULL);
    if (status) rp_cli_complain("%s", err.message);
    if (!status && !r.count)
        rp_cli_complain("check: no kernel of this device is named like '%s'", options->only);
    if (!status && !options->json && r.count) {
        rp_cli_printf(&out->buffer, "\n%zu tries", r.count);
        if (failed)
            rp_cli_printf(&out->buffer, ", %u failed%s\n", (unsigned)failed,
                          options->compile ? ""
                          : r.ends         ? "; with an empty REPRISE_CACHE_DIR those that end are run again"
                                           : ": no model uses these kernels here");
        else
            rp_cli_puts(&out->buffer, ", all passed\n");
    }
    rp_device_close(&device);
    return status || failed || !r.count ? 1 : 0;
}

static const char help_check[] =
    "Does the device compute what it should? Every kernel that may run on it is\n"
    "tried at odd shapes, in every precision, against plain C: its verdict, its\n"
    "largest error, what it was tried with. Models do the same when they are first\n"
    "opened on a device and driver, and never use a kernel that fails.\n"
    "\n"
    "With --compile nothing is run: every kernel that may be used for --config (all\n"
    "four, and the bundled models) is compiled, and what the driver says of\n"
    "registers, spills and occupancy is listed.\n"
    "\n"
    "JSON: one object a try, one a line: op, kernel, use, error, bound (with\n"
    "--compile: statistics), and verdict: right (compiled), wrong, refused by the\n"
    "driver, loses the device, or spills. The exit status is 1 when a try failed.\n"
    "\n"
    "Examples:\n"
    "  reprise check\n"
    "  reprise check --json | grep -v '\"right\"'\n"
    "  reprise check --compile --config base --only attention\n";

const rp_cli_command rp_cli_command_check = {
    .name = "check",
    .arguments = "",
    .summary = "does every kernel compute what it should?",
    .help = help_check,
    .options = RP_CLI_DEVICE | RP_CLI_JSON | RP_CLI_CHECK,
    .shape = RP_CLI_SHAPE_NONE,
    .main = run,
};
