/* What every measurement of reprise bench writes: its device, its model, and its figures. */
#include "bench.h"

#include <string.h>

#include "tools/cli/stop.h"

void rp_cli_json_key(rp_cli_buffer *out, const char *key, double value) {
    rp_cli_printf(out, ", \"%s\": ", key);
    rp_cli_json_double(out, value);
}

void rp_cli_bench_json_device(const rp_device *device, rp_cli_buffer *out) {
    const rp_device_info *info = rp_device_get_info(device);
    rp_cli_puts(out, "\"device\": ");
    rp_cli_json_string(out, info->name, strlen(info->name));
    rp_cli_puts(out, ", \"driver\": ");
    rp_cli_json_string(out, info->driver, strlen(info->driver));
    rp_cli_printf(out, ", \"cpu\": %s", info->type == RP_DEVICE_CPU ? "true" : "false");
}

void rp_cli_bench_heading(rp_cli_bench_job *job) {
    const rp_device_info *info = rp_device_get_info(job->device);
    rp_cli_people *p = &job->people;
    rp_cli_people_style(p, RP_CLI_BOLD);
    rp_cli_people_text(p, info->name, strlen(info->name), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(p->out, info->type == RP_DEVICE_CPU ? "  (a CPU, not a GPU)\n  driver         "
                                                    : "\n  driver         ");
    rp_cli_people_text(p, info->driver, strlen(info->driver), 0);
    rp_cli_puts(p->out, "\n");
}

rp_status rp_cli_bench_open(const rp_cli_bench_job *job, rp_model_params *params, rp_model **out,
                            rp_error *err) {
    const rp_cli_options *o = job->options;
    params->precision = o->precision;
    params->head = o->head;
    rp_cli_stop_device(job->device);
    rp_status status = o->model ? rp_model_open(job->device, o->model, params, out, err)
                                : rp_model_open_random(job->device, o->config, params, out, err);
    rp_cli_stop_device(NULL);
    return status;
}

void rp_cli_bench_json_model(const rp_cli_bench_job *job, rp_cli_buffer *out) {
    const rp_cli_options *o = job->options;
    const char *config = o->model ? o->model : o->config;
    rp_cli_puts(out, ", \"config\": ");
    rp_cli_json_string(out, config, strlen(config));
    rp_cli_printf(out, ", \"weights\": \"%s\", \"precision\": \"%s\"", o->model ? "model" : "random",
                  rp_cli_precision_name(o->precision));
}
