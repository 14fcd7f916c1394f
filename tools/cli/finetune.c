/* reprise finetune: teaches a model by a file of labelled texts. */
#include "session.h"
#include "stop.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/json_text.h"

typedef struct watch {
    rp_call call;
    bool shown; /* somebody looks at standard error */
    FILE *log;  /* NULL: none */
    bool begun; /* something was written to it */
    int why;    /* errno where the log could not be written; 0: it could */
    rp_cli_output *out;
} watch;

/* ---- the log ---- */

static void put_number(rp_cli_buffer *line, const char *before, const char *name, double value) {
    char number[RP_JSON_NUMBER_SIZE] = "null";
    if (isfinite(value)) rp_json_double_text(value, number);
    rp_cli_printf(line, ", \"%s%s\": %s", before, name, number);
}

static void put_integer(rp_cli_buffer *line, const char *name, uint64_t value) {
    rp_cli_printf(line, "%s\"%s\": %llu", line->size ? ", " : "{", name, (unsigned long long)value);
}

/* What an earlier run wrote goes when there is something in its place. Write the line, so that whoever reads
 * the file along sees it, and free it. A log that cannot be written ends the training. */
static void end_line(watch *w, rp_cli_buffer *line) {
    rp_cli_puts(line, "}\n");
    if (!w->begun && ftruncate(fileno(w->log), 0) && errno == EIO) w->why = errno; /* a pipe has nothing */
    w->begun = true;
    if (!w->why && (fwrite(line->data, 1, line->size, w->log) != line->size || fflush(w->log))) {
        w->why = errno ? errno : EIO;
        rp_call_cancel(&w->call);
    }
    free(line->data);
}

/* The first line says what the training takes of the device. */
static void put_trainer(rp_cli_buffer *line, const rp_trainer_info *info) {
    put_integer(line, "device_bytes", info->device_bytes);
    put_integer(line, "weight_bytes", info->weights);
    put_integer(line, "gradient_bytes", info->gradients);
    put_integer(line, "moment_bytes", info->moments);
    put_integer(line, "transpose_bytes", info->transposes);
    put_integer(line, "activation_bytes", info->activations);
    put_integer(line, "logit_bytes", info->logits);
    put_integer(line, "batch_tokens", info->batch_tokens);
    rp_cli_printf(line, ", \"recomputes\": %s", info->recomputes ? "true" : "false");
}

static void log_step(watch *w, const rp_training_step *s) {
    rp_cli_buffer line = {0};
    put_integer(&line, "step", s->step);
    put_number(&line, "", "epoch", s->epoch);
    put_number(&line, "", "loss", s->loss);
    put_number(&line, "", "lr", s->learning_rate);
    put_number(&line, "", "grad_norm", s->grad_norm);
    put_integer(&line, "sequences", s->sequences);
    put_integer(&line, "tokens", s->tokens);
    put_number(&line, "", "seconds", s->seconds);
    if (s->step == 1) put_trainer(&line, s->trainer);
    end_line(w, &line);
}

static void log_evaluation(watch *w, const rp_training_step *last, const rp_metric *metrics, size_t count) {
    rp_cli_buffer line = {0};
    put_integer(&line, "step", last->step);
    put_number(&line, "", "epoch", last->epoch);
    for (size_t i = 0; i < count; i++) put_number(&line, "eval_", metrics[i].name, metrics[i].value);
    end_line(w, &line);
}

/* ---- who is told ---- */

static void take_step(void *user, const rp_training_step *s) {
    watch *w = user;
    char said[120];
    if (s->step == 1 && w->shown)
        fprintf(stderr, "%.0f MiB of device memory, micro-batches of %u tokens, activations %s\n",
                (double)s->trainer->device_bytes / (1 << 20), (unsigned)s->trainer->batch_tokens,
                s->trainer->recomputes ? "computed again" : "kept");
    if (s->step == 1) rp_cli_progress_begin(); /* the first is slower: it is left out of the rate */
    snprintf(said, sizeof said, "loss %.4f  lr %.2g  %.0f tokens/s", s->loss, s->learning_rate,
             s->seconds > 0 ? (double)s->tokens / s->seconds : 0);
    if (w->shown) rp_cli_progress_steps(s->step, s->steps, said);
    if (w->log) log_step(w, s);
    if (rp_cli_stop_signal()) rp_call_cancel(&w->call);
}

static void take_evaluation(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                            bool best) {
    watch *w = user;
    rp_cli_printf(&w->out->buffer, "step %llu", (unsigned long long)last->step);
    for (size_t i = 0; i < count; i++)
        rp_cli_printf(&w->out->buffer, "  %s %.4f", metrics[i].name, metrics[i].value);
    rp_cli_puts(&w->out->buffer, best ? "  best so far\n" : "\n");
    rp_cli_progress_end();
    if (!rp_cli_flush(w->out)) rp_call_cancel(&w->call);
    if (w->log) log_evaluation(w, last, metrics, count);
    if (rp_cli_stop_signal()) rp_call_cancel(&w->call);
}

/* ---- the command ---- */

static rp_status finetune(rp_device *device, const rp_cli_options *o, watch *w, rp_error *err) {
    const rp_training_handler handler = {take_step, take_evaluation, w};
    const rp_finetune_params params = {.model = o->model ? o->model : "bundled:pretrained",
                                       .train = o->train,
                                       .dev = o->dev,
                                       .out = o->output,
                                       .task = o->task,
                                       .epochs = o->epochs,
                                       .steps = o->steps,
                                       .batch_size = o->train_batch,
                                       .max_tokens = o->max_length,
                                       .stride = o->stride,
                                       .learning_rate = o->learning_rate,
                                       .warmup = o->warmup,
                                       .schedule = o->schedule,
                                       .no_shuffle = o->no_shuffle,
                                       .skip_bad = o->skip_bad,
                                       .weight_decay = o->weight_decay,
                                       .max_grad_norm = o->max_grad_norm,
                                       .label_smoothing = o->label_smoothing,
                                       .seed = o->seed,
                                       .format = o->data_format,
                                       .text_column = o->text_column,
                                       .pair_column = o->pair_column,
                                       .label_column = o->label_column,
                                       .teacher = o->teacher,
                                       .label_weight = o->label_weight,
                                       .recompute = o->recompute,
                                       .handler = &handler,
                                       .call = &w->call};
    rp_cli_stop_expected(true);
    rp_cli_stop_device(device); /* a signal ends the trying of kernels, too */
    rp_status status = rp_finetune(device, &params, err);
    rp_cli_stop_expected(false);
    rp_cli_progress_end();
    return status;
}

/* The exit status. */
static int report(const rp_cli_options *o, const watch *w, rp_status status, const rp_error *err) {
    int signal = rp_cli_stop_signal();
    if (w->why)
        rp_cli_complain("finetune: %s: cannot be written: %s; check the disk", o->log, strerror(w->why));
    else if (signal && status == RP_ERROR_CANCELLED)
        rp_cli_complain("finetune: stopped; %s is as it was", o->output);
    else if (status)
        rp_cli_complain("finetune: %s", err->message);
    if (!status && !w->why) rp_cli_printf(&w->out->buffer, "%s\n", o->output);
    return !status && !w->why ? 0 : signal ? 128 + signal : 1;
}

int rp_cli_finetune(const rp_cli_options *options, rp_cli_output *out) {
    watch w = {.shown = isatty(STDERR_FILENO), .out = out};
    rp_device *device = NULL;
    rp_error err = {0};
    if (options->text_count || !options->train || !options->output) {
        rp_cli_complain(
            "finetune: takes --train FILE with what is learnt and -o with the folder to write; try "
            "'reprise finetune --help'");
        return 2;
    }
    w.log = options->log ? fopen(options->log, "a") : NULL;
    if (options->log && !w.log) {
        rp_cli_complain("finetune: %s: cannot be written: %s; name another file", options->log,
                        strerror(errno));
        return 1;
    }
    rp_status status = rp_cli_device_open(options->device, &device, &err);
    if (!status) status = finetune(device, options, &w, &err);
    if (w.log && fclose(w.log) && !w.why) w.why = errno;
    int exit_status = report(options, &w, status, &err);
    rp_cli_flush(out);
    rp_cli_stop_device(NULL);
    rp_device_close(&device);
    return exit_status;
}
