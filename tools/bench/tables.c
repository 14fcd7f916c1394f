/* bench --roofline and --ops: what the device can reach, and what each operator reaches. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

/* ---- the roofline ---- */

typedef struct figure_row {
    const char *key, *cpu_key, *name, *unit; /* cpu_key: of cpu_value; NULL where it has none */
    const rp_figure *figure;
} figure_row;

rp_status rp_cli_bench_roofline(rp_cli_bench_job *job, rp_error *err) {
    rp_roofline r;
    rp_cli_buffer *out = &job->out->buffer;
    rp_status status = rp_bench_roofline(job->device, RP_ROOFLINE_ALL, &r, err);
    if (status) return status;
    const figure_row rows[] = {
        {"f32_gflops", "f32_cpu_gflops", "fp32 fma", "GFLOP/s", &r.f32},
        {"f16_gflops", "f16_cpu_gflops", "fp16 fma", "GFLOP/s", &r.f16},
        {"int8_gops", "int8_cpu_gops", "int8 dot", "GOP/s", &r.int8_dot},
        {"cooperative_gflops", "cooperative_cpu_gflops", "coop. matrix", "GFLOP/s", &r.cooperative},
        {"copy_gbytes", "copy_cpu_gbytes", "copy", "GB/s", &r.copy},
        {"dispatch_us", NULL, "dispatch", "us", &r.dispatch},
        {"barrier_us", NULL, "barrier", "us", &r.barrier},
        {"submit_us", NULL, "submit", "us", &r.submit},
    };
    const size_t count = sizeof rows / sizeof *rows;
    if (job->options->json) {
        rp_cli_puts(out, "{");
        rp_cli_bench_json_device(job->device, out);
        for (size_t i = 0; i < count; i++) {
            rp_cli_json_key(out, rows[i].key, rows[i].figure->value);
            if (rows[i].figure->cpu_value > 0)
                rp_cli_json_key(out, rows[i].cpu_key, rows[i].figure->cpu_value);
        }
        rp_cli_puts(out, ", \"notes\": {");
        for (size_t i = 0; i < count; i++) {
            rp_cli_printf(out, "%s\"%s\": ", i ? ", " : "", rows[i].key);
            rp_cli_json_string(out, rows[i].figure->note, strlen(rows[i].figure->note));
        }
        rp_cli_puts(out, "}}\n");
        return RP_OK;
    }
    rp_cli_bench_heading(job);
    for (size_t i = 0; i < count; i++) {
        const rp_figure *f = rows[i].figure;
        bool cost = !strcmp(rows[i].unit, "us"); /* too little to be told apart is a result */
        if (f->value > 0 || cost)
            rp_cli_printf(out, "  %-14s %10.*f %-8s %s", rows[i].name, cost ? 2 : 1, f->value, rows[i].unit,
                          f->note);
        else
            rp_cli_printf(out, "  %-14s %10s %-8s %s", rows[i].name, "-", "", f->note);
        if (f->cpu_value > 0) rp_cli_printf(out, "; %.1f by processor time", f->cpu_value);
        rp_cli_puts(out, "\n");
    }
    return RP_OK;
}

rp_cli_unit rp_cli_bench_unit(rp_roofline_part part, const rp_roofline *roofline) {
    switch (part) {
    case RP_ROOFLINE_INT8:
        return (rp_cli_unit){"int8", "int8 dot", &roofline->int8_dot};
    case RP_ROOFLINE_COOPERATIVE:
        return (rp_cli_unit){"cooperative", "coop. matrix", &roofline->cooperative};
    case RP_ROOFLINE_F32:
        return (rp_cli_unit){"f32", "fp32 fma", &roofline->f32};
    default: /* no product */
        return (rp_cli_unit){"copy", "copy", &roofline->copy};
    }
}

/* ---- the operators ---- */

typedef struct ops_table {
    rp_cli_bench_job *job;
    const char *config;
    rp_roofline roofline;
} ops_table;

/* The time that copying allows, seconds. */
static double memory_time(const ops_table *table, const rp_op_time *time) {
    return time->bytes / (table->roofline.copy.value * 1e9);
}

/* The time that `gflops` of its unit allow. */
static double work_time(const rp_op_time *time, double gflops) {
    return gflops > 0 ? time->operations / (gflops * 1e9) : 0;
}

/* The time that the roofline allows, over the time it took. */
static double fraction(const ops_table *table, const rp_op_time *time, double seconds, double gflops) {
    double by_work = work_time(time, gflops), by_memory = memory_time(table, time);
    return seconds > 0 ? (by_work > by_memory ? by_work : by_memory) / seconds : 0;
}

static void put_op_json(const ops_table *table, const rp_op_time *time, double gflops, double gbytes) {
    rp_cli_buffer *out = &table->job->out->buffer;
    rp_cli_unit unit = rp_cli_bench_unit(time->unit, &table->roofline);
    rp_cli_puts(out, "{");
    rp_cli_bench_json_device(table->job->device, out);
    rp_cli_puts(out, ", \"config\": ");
    rp_cli_json_string(out, table->config, strlen(table->config));
    rp_cli_printf(out, ", \"precision\": \"%s\"", rp_cli_precision_name(table->job->options->precision));
    rp_cli_printf(out,
                  ", \"op\": \"%s\", \"kernel\": \"%s\", \"chosen\": %s, \"rows\": %u, \"columns\": %u, ",
                  time->op, time->kernel, time->chosen ? "true" : "false", (unsigned)time->rows,
                  (unsigned)time->columns);
    rp_cli_printf(out, "\"depth\": %u, \"by_device\": %s", (unsigned)time->depth,
                  time->by_device ? "true" : "false");
    rp_cli_json_key(out, "ms", time->seconds * 1e3);
    rp_cli_json_key(out, "timed", time->timed);
    rp_cli_json_key(out, "gflops", gflops);
    rp_cli_json_key(out, "gbytes", gbytes);
    rp_cli_printf(out, ", \"unit\": \"%s\"", unit.key);
    if (time->unit) rp_cli_json_key(out, "roofline_gflops", unit.figure->value);
    rp_cli_json_key(out, "fraction", fraction(table, time, time->seconds, unit.figure->value));
    if (time->cpu_seconds > 0) {
        rp_cli_json_key(out, "cpu_ms", time->cpu_seconds * 1e3);
        rp_cli_json_key(out, "cpu_fraction",
                        fraction(table, time, time->cpu_seconds, unit.figure->cpu_value));
    }
    rp_cli_puts(out, ", \"statistics\": ");
    rp_cli_json_string(out, time->statistics, strlen(time->statistics));
    rp_cli_puts(out, "}\n");
}

static void put_op(void *user, const rp_op_time *time) {
    ops_table *table = user;
    rp_cli_buffer *out = &table->job->out->buffer;
    bool software = time->cpu_seconds > 0 && !table->job->options->json; /* people get the steadier time */
    double seconds = software ? time->cpu_seconds : time->seconds;
    rp_cli_unit unit = rp_cli_bench_unit(time->unit, &table->roofline);
    double roofline = software ? unit.figure->cpu_value : unit.figure->value;
    double gflops = seconds > 0 ? time->operations / seconds * 1e-9 : 0;
    double gbytes = seconds > 0 ? time->bytes / seconds * 1e-9 : 0;
    if (table->job->options->json) {
        put_op_json(table, time, gflops, gbytes);
    } else {
        char shape[48];
        rp_cli_buffer text = {0};
        rp_cli_printf(&text, time->depth ? "%ux%ux%u" : "%ux%u", (unsigned)time->rows,
                      (unsigned)time->columns, (unsigned)time->depth);
        strncpy(shape, text.data, sizeof shape - 1);
        shape[sizeof shape - 1] = '\0';
        free(text.data);
        rp_cli_printf(out, "  %-8s %-17s %-16s %c %-48s %10.3f ms  ", table->config, time->op, shape,
                      time->chosen ? '*' : ' ', time->kernel, seconds * 1e3);
        if (time->operations > 0)
            rp_cli_printf(out, "%8.1f GFLOP/s", gflops);
        else
            rp_cli_printf(out, "%8.1f GB/s   ", gbytes);
        const char *bound = memory_time(table, time) > work_time(time, roofline) ? "copy" : unit.name;
        rp_cli_printf(out, "  %3.0f %% of %s%s%s\n", 100 * fraction(table, time, seconds, roofline), bound,
                      *time->statistics ? "  " : "", time->statistics);
    }
    rp_cli_flush(table->job->out); /* a slow device shows each as it comes */
}

/* What the kernels of this precision may multiply with, and copying. */
static unsigned parts_of(rp_precision precision) {
    unsigned parts = RP_ROOFLINE_F32 | RP_ROOFLINE_COPY;
    if (precision >= RP_PRECISION_F16) parts |= RP_ROOFLINE_COOPERATIVE;
    return precision >= RP_PRECISION_INT8 ? parts | RP_ROOFLINE_INT8 : parts;
}

static void put_ops_heading(ops_table *table, unsigned parts) {
    static const rp_roofline_part units[] = {RP_ROOFLINE_F32, RP_ROOFLINE_INT8, RP_ROOFLINE_COOPERATIVE};
    rp_cli_buffer *out = &table->job->out->buffer;
    bool software = table->roofline.f32.cpu_value > 0;
    rp_cli_bench_heading(table->job);
    rp_cli_printf(out, "  weights        %s\n  roofline       ",
                  rp_cli_precision_name(table->job->options->precision));
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        rp_cli_unit unit = rp_cli_bench_unit(units[i], &table->roofline);
        if (!(parts & units[i]) || !unit.figure->value) continue;
        rp_cli_printf(out, "%.1f GFLOP/s of %s, ", software ? unit.figure->cpu_value : unit.figure->value,
                      unit.name);
    }
    rp_cli_printf(out,
                  "%.1f GB/s of copying\n"
                  "  * the kernel that models use here; the last column is the share of the roofline that "
                  "allows least: "
                  "of what it multiplies with, or of copying%s\n",
                  table->roofline.copy.value,
                  software ? "\n  Times are processor time over the number of processors." : "");
    rp_cli_flush(table->job->out);
}

rp_status rp_cli_bench_ops(rp_cli_bench_job *job, rp_error *err) {
    static const char *const all[] = {"base", "large", "xlarge", "xxlarge", NULL};
    const char *const one[] = {job->options->config, NULL};
    const char *const *configs = job->options->config_given ? one : all;
    ops_table table = {.job = job};
    unsigned parts = parts_of(job->options->precision);
    rp_status status = rp_bench_roofline(job->device, parts, &table.roofline, err);
    if (!status && !job->options->json) put_ops_heading(&table, parts);
    for (; !status && *configs; configs++) {
        table.config = *configs;
        status = rp_bench_ops(job->device, *configs, job->options->tokens, job->options->precision, put_op,
                              &table, err);
    }
    return status;
}
