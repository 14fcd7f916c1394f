/* bench --train: a step of training, its parts and its operators, beside a run of the same sequences. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/cli/stop.h"
#include "train/trainer.h"

enum { MOST_OPERATORS = 64, WAYS = 2 };

/* A way to train. */
typedef struct way {
    const char *name;
    rp_recompute recompute;
    bool fits; /* the device has such buffers */
    rp_trainer_info info;
    rp_train_times times;
    rp_train_op_time operators[MOST_OPERATORS];
    char kernels[MOST_OPERATORS][RP_KERNEL_NAME]; /* which live longer than the trainer */
    size_t count;
} way;

typedef struct train_table {
    rp_cli_bench_job *job;
    const char *precision;
    rp_cli_batch batch;
    rp_cli_times run; /* of the inference */
    double run_work;  /* its floating point operations */
    rp_roofline roofline;
    way ways[WAYS];
} train_table;

/* ---- figures ---- */

/* By processor time on a software driver, where others work on the machine too. */
static bool by_processor(const train_table *t) {
    return rp_device_get_info(t->job->device)->type == RP_DEVICE_CPU;
}

static double seconds(const train_table *t, const rp_train_time *time) {
    return by_processor(t) ? time->cpu : time->seconds;
}

static double run_seconds(const train_table *t) {
    return 1e-3 * (by_processor(t) ? t->run.cpu_ms : t->run.total_ms[0]);
}

static double roofline(const train_table *t) {
    return 1e9 * (by_processor(t) ? t->roofline.f32.cpu_value : t->roofline.f32.value);
}

static double step_seconds(const train_table *t, const way *w) {
    const rp_train_times *s = &w->times;
    return seconds(t, &s->forward) + seconds(t, &s->head) + seconds(t, &s->backward) + seconds(t, &s->update);
}

static double ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

/* The share of the roofline that products of the way back reach, but for those that are made again. */
static double product_share(const train_table *t, const way *w) {
    double work = 0, time = 0;
    for (size_t i = 0; i < w->count; i++) {
        const rp_train_op_time *op = &w->operators[i];
        if (!op->back || !op->operations || !strstr(op->label, "gradient")) continue;
        work += op->operations;
        time += seconds(t, &op->time);
    }
    return ratio(work, time * roofline(t));
}

/* ---- results ---- */

typedef struct part {
    const char *name, *key;
    const rp_train_time *time;
} part;
enum { PARTS = 4 };
static void list_parts(const way *w, part out[PARTS]) {
    const part parts[PARTS] = {{"forward", "forward_ms", &w->times.forward},
                               {"head", "head_ms", &w->times.head},
                               {"backward", "backward_ms", &w->times.backward},
                               {"update", "update_ms", &w->times.update}};
    memcpy(out, parts, sizeof parts);
}

static void put_json_operator(const train_table *t, const rp_train_op_time *op, bool first) {
    rp_cli_buffer *out = &t->job->out->buffer;
    rp_cli_printf(out,
                  "%s{\"op\": \"%s\", \"label\": \"%s\", \"backward\": %s, \"kernel\": ", first ? "" : ", ",
                  op->class, op->label, op->back ? "true" : "false");
    rp_cli_json_string(out, op->kernel, strlen(op->kernel));
    rp_cli_json_key(out, "ms", 1e3 * seconds(t, &op->time));
    if (op->operations > 0) rp_cli_json_key(out, "gflops", op->operations / seconds(t, &op->time) / 1e9);
    rp_cli_puts(out, "}");
}

static void put_json_way(const train_table *t, const way *w) {
    rp_cli_buffer *out = &t->job->out->buffer;
    part parts[PARTS];
    list_parts(w, parts);
    rp_cli_printf(out, "{\"recompute\": \"%s\", \"micro_batches\": %u, \"batch_tokens\": %u", w->name,
                  (unsigned)w->times.parts, (unsigned)w->info.batch_tokens);
    rp_cli_printf(out, ", \"device_bytes\": %llu", (unsigned long long)w->info.device_bytes);
    for (int i = 0; i < PARTS; i++) rp_cli_json_key(out, parts[i].key, 1e3 * seconds(t, parts[i].time));
    rp_cli_json_key(out, "step_ms", 1e3 * step_seconds(t, w));
    rp_cli_json_key(out, "backward_per_forward",
                    ratio(seconds(t, &w->times.backward), seconds(t, &w->times.forward)));
    rp_cli_json_key(out, "step_per_inference", ratio(step_seconds(t, w), run_seconds(t)));
    rp_cli_json_key(out, "product_fraction", product_share(t, w));
    rp_cli_puts(out, ", \"operators\": [");
    for (size_t i = 0; i < w->count; i++) put_json_operator(t, &w->operators[i], !i);
    rp_cli_puts(out, "]}");
}

static void put_json(const train_table *t) {
    const rp_cli_options *o = t->job->options;
    rp_cli_buffer *out = &t->job->out->buffer;
    bool first = true;
    rp_cli_puts(out, "{");
    rp_cli_bench_json_device(t->job->device, out);
    rp_cli_puts(out, ", \"config\": ");
    rp_cli_json_string(out, o->config, strlen(o->config));
    rp_cli_printf(out, ", \"precision\": \"%s\"", t->precision);
    rp_cli_printf(out, ", \"tokens\": %u, \"batch\": %zu, \"repeat\": %u, \"by_processor_time\": %s",
                  (unsigned)o->tokens, t->batch.count, (unsigned)o->repeat,
                  by_processor(t) ? "true" : "false");
    rp_cli_json_key(out, "inference_ms", 1e3 * run_seconds(t));
    rp_cli_json_key(out, "roofline_gflops", roofline(t) / 1e9);
    rp_cli_json_key(out, "inference_fraction", ratio(t->run_work, run_seconds(t) * roofline(t)));
    rp_cli_puts(out, ", \"ways\": [");
    for (int i = 0; i < WAYS; i++) {
        if (!t->ways[i].fits) continue;
        if (!first) rp_cli_puts(out, ", ");
        put_json_way(t, &t->ways[i]);
        first = false;
    }
    rp_cli_puts(out, "]}\n");
}

static void put_operators(const train_table *t, const way *w) {
    rp_cli_buffer *out = &t->job->out->buffer;
    rp_cli_printf(out, "  %-8s %-19s %-26s %10s %9s  %s\n", "", "operator", "of one layer", "ms", "GFLOP/s",
                  "kernel");
    for (size_t i = 0; i < w->count; i++) {
        const rp_train_op_time *op = &w->operators[i];
        char speed[32] = "";
        if (op->operations > 0)
            snprintf(speed, sizeof speed, "%.1f", op->operations / seconds(t, &op->time) / 1e9);
        rp_cli_printf(out, "  %-8s %-19s %-26s %10.3f %9s  %s\n", op->back ? "backward" : "forward",
                      op->class, op->label, 1e3 * seconds(t, &op->time), speed, op->kernel);
    }
}

static void put_way(const train_table *t, const way *w) {
    rp_cli_buffer *out = &t->job->out->buffer;
    part parts[PARTS];
    list_parts(w, parts);
    rp_cli_printf(out, "recompute %s: %u micro-batch%s of up to %u tokens, %.1f MiB of device memory\n",
                  w->name, (unsigned)w->times.parts, w->times.parts == 1 ? "" : "es",
                  (unsigned)w->info.batch_tokens, (double)w->info.device_bytes / (1 << 20));
    for (int i = 0; i < PARTS; i++)
        rp_cli_printf(out, "  %-14s %10.1f ms, %.2f of the inference\n", parts[i].name,
                      1e3 * seconds(t, parts[i].time), ratio(seconds(t, parts[i].time), run_seconds(t)));
    rp_cli_printf(out, "  step           %10.1f ms, %.2f of the inference; backward is %.2f of the forward\n",
                  1e3 * step_seconds(t, w), ratio(step_seconds(t, w), run_seconds(t)),
                  ratio(seconds(t, &w->times.backward), seconds(t, &w->times.forward)));
    rp_cli_printf(out, "  products       %10.0f %% of the roofline on the way back; the inference %.0f %%\n",
                  100 * product_share(t, w), 100 * ratio(t->run_work, run_seconds(t) * roofline(t)));
    put_operators(t, w);
}

static void put_people(const train_table *t) {
    const rp_cli_options *o = t->job->options;
    rp_cli_buffer *out = &t->job->out->buffer;
    rp_cli_bench_heading(t->job);
    rp_cli_printf(out, "  config         %s, random weights, trained in %s; %zu sequences of %u tokens\n",
                  o->config, t->precision, t->batch.count, (unsigned)t->batch.longest);
    rp_cli_printf(out, "  inference      %10.1f ms%s\n", 1e3 * run_seconds(t),
                  by_processor(t) ? ", of all processors, as all times here" : "");
    for (int i = 0; i < WAYS; i++)
        if (t->ways[i].fits)
            put_way(t, &t->ways[i]);
        else
            rp_cli_printf(out, "recompute %s: the device has no storage buffer so large\n", t->ways[i].name);
}

/* ---- measuring ---- */

static void take(void *user, const rp_train_op_time *time) {
    way *w = user;
    if (w->count == MOST_OPERATORS) return;
    snprintf(w->kernels[w->count], RP_KERNEL_NAME, "%s", time->kernel);
    w->operators[w->count] = *time;
    w->operators[w->count].kernel = w->kernels[w->count];
    w->count++;
}

static rp_status measure_step(train_table *t, way *w, rp_trainer *trainer, rp_error *err) {
    int32_t *labels = rp_cli_calloc(t->batch.count, sizeof *labels);
    const rp_train_batch batch = {.sequences = t->batch.sequences, .count = t->batch.count, .labels = labels};
    rp_status status = rp_bench_train(trainer, &batch, t->job->options->repeat, &w->times, take, w, err);
    free(labels);
    return status;
}

/* Once, beside the first way. */
static rp_status measure_run(train_table *t, const rp_trainer *trainer, rp_error *err) {
    if (t->run.count) return RP_OK;
    t->run_work = rp_cli_operations(rp_model_get_info(trainer->model), &t->batch);
    return rp_cli_bench_time(trainer->model, &t->batch, t->job->options->repeat, &t->run, err);
}

static rp_status measure(train_table *t, way *w, rp_error *err) {
    const rp_cli_options *o = t->job->options;
    const rp_trainer_params params = {.head = RP_HEAD_CLASSIFIER,
                                      .label_count = 2,
                                      .recompute = w->recompute,
                                      .precision = o->precision,
                                      .seed = 1};
    rp_trainer *trainer = NULL;
    rp_cli_stop_device(t->job->device);
    rp_status status = rp_trainer_open_random(t->job->device, o->config, &params, &trainer, err);
    rp_cli_stop_device(NULL);
    if (status == RP_ERROR_UNSUPPORTED && w->recompute == RP_RECOMPUTE_NEVER) return RP_OK;
    if (!status) {
        w->fits = true;
        w->info = *rp_trainer_get_info(trainer);
        status = measure_run(t, trainer, err);
    }
    if (!status) status = measure_step(t, w, trainer, err);
    rp_trainer_close(&trainer);
    return status;
}

rp_status rp_cli_bench_train(rp_cli_bench_job *job, rp_error *err) {
    train_table *t = rp_cli_calloc(1, sizeof *t);
    rp_config config = {0};
    uint32_t *lengths = NULL;
    size_t count = 0;
    t->job = job;
    t->precision = job->options->precision == RP_PRECISION_F16 ? "f16" : "f32";
    t->ways[0] = (way){.name = "never", .recompute = RP_RECOMPUTE_NEVER};
    t->ways[1] = (way){.name = "always", .recompute = RP_RECOMPUTE_ALWAYS};
    rp_status status = rp_config_preset(job->options->config, &config, err);
    if (!status && job->options->tokens > config.max_positions)
        status = rp_fail(err, RP_ERROR_TEXT, "--tokens: %s takes at most %u tokens", job->options->config,
                         (unsigned)config.max_positions);
    if (!status) status = rp_cli_bench_lengths(job->options, &lengths, &count, err);
    if (!status) {
        t->batch = rp_cli_bench_batch(lengths, count, config.vocab_size, false);
        status = rp_bench_roofline(job->device, RP_ROOFLINE_F32, &t->roofline, err);
    }
    for (int i = 0; !status && i < WAYS; i++) status = measure(t, &t->ways[i], err);
    if (!status) (job->options->json ? put_json : put_people)(t);
    rp_cli_times_free(&t->run);
    rp_cli_bench_batch_free(&t->batch);
    rp_config_finish(&config);
    free(lengths);
    free(t);
    return status;
}
