#include "training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "stop.h"
#include "world.h"

/* ---- who is told ---- */

static void take_step(void *user, const rp_training_step *s) {
    rp_cli_watch *w = user;
    char said[160], dev[80] = "";
    if (!w->first && w->shown)
        fprintf(stderr, "%.0f MiB of device memory, micro-batches of %u tokens, activations %s\n",
                (double)s->trainer->device_bytes / (1 << 20), (unsigned)s->trainer->batch_tokens,
                s->trainer->recomputes ? "computed again" : "kept");
    if (!w->first) w->first = s->step;
    if (s->step == w->first) rp_cli_progress_begin(); /* it is slower: it is left out of the rate */
    if (s->dev_metric) snprintf(dev, sizeof dev, "  %.40s %.4f", s->dev_metric, s->dev);
    snprintf(said, sizeof said, "loss %.4f  lr %.2g  %.0f tokens/s%s", s->loss, s->learning_rate,
             s->seconds > 0 ? (double)s->tokens / s->seconds : 0, dev);
    if (w->shown) rp_cli_progress_steps(s->step, s->steps, w->first, said);
}

static void take_evaluation(void *user, const rp_training_step *last, const rp_metric *metrics, size_t count,
                            bool best) {
    rp_cli_watch *w = user;
    rp_cli_printf(&w->out->buffer, "step %llu", (unsigned long long)last->step);
    for (size_t i = 0; i < count; i++)
        rp_cli_printf(&w->out->buffer, "  %s %.4f", metrics[i].name, metrics[i].value);
    rp_cli_puts(&w->out->buffer, best ? "  best so far\n" : "\n");
    rp_cli_progress_end();
    if (!rp_cli_flush(w->out)) rp_call_cancel(&w->call);
}

/* ---- the command ---- */

static bool is_plain(const char *text) {
    return *text &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%") ==
               strlen(text);
}

/* As a shell reads it again. */
static void put_word(rp_cli_buffer *out, const char *word) {
    rp_cli_puts(out, " ");
    if (is_plain(word)) {
        rp_cli_puts(out, word);
        return;
    }
    rp_cli_puts(out, "'");
    for (; *word; word++) {
        char one[2] = {*word == '\n' ? ' ' : *word, '\0'};
        rp_cli_puts(out, *word == '\'' ? "'\\''" : one);
    }
    rp_cli_puts(out, "'");
}

/* Is `word` the option `--name`, perhaps shortened, perhaps with "=value"? */
static bool is_option(const char *word, const char *name) {
    size_t size = strcspn(word, "=");
    return size > 2 && !strncmp(word, "--", 2) && size - 2 <= strlen(name) &&
           !strncmp(word + 2, name, size - 2);
}

/* What was called, but for what does not decide what is learnt: where it is written, and whether it goes on.
 */
static char *command_of(char **arguments) {
    static const char *const left_out[] = {"log", "plot", "output", "resume", "save-every", "keep"};
    rp_cli_buffer out = {0};
    rp_cli_puts(&out, "reprise");
    for (char **at = arguments; *at; at++) {
        bool skip = !strncmp(*at, "-o", 2), value = !strcmp(*at, "-o");
        for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
            if (!is_option(*at, left_out[i])) continue;
            skip = true;
            value = !strchr(*at, '=') && strcmp(left_out[i], "resume");
        }
        if (!skip) put_word(&out, *at);
        if (value && at[1]) at++;
    }
    rp_cli_puts(&out, " -o OUT");
    return out.data;
}

void rp_cli_watch_begin(rp_cli_watch *watch, const rp_cli_options *options, const rp_world *world,
                        rp_cli_output *out) {
    *watch = (rp_cli_watch){.call = {.log = rp_cli_say_warning},
                            .handler = {take_step, take_evaluation, watch},
                            .shown = !rp_world_rank(world) && isatty(STDERR_FILENO),
                            .command = command_of(options->arguments),
                            .world = world,
                            .out = out};
}

void rp_cli_watch_end(rp_cli_watch *watch) {
    free(watch->command);
    watch->command = NULL;
}

int rp_cli_watch_report(const rp_cli_watch *watch, const char *name, const rp_cli_options *options,
                        rp_status status, const rp_error *err) {
    int signal = rp_cli_stop_signal();
    rp_cli_progress_end();
    if (!rp_cli_world_tells(watch->world, status)) return !status ? 0 : 1;
    if (signal && status == RP_ERROR_CANCELLED)
        rp_cli_complain(options->output ? "%s: stopped; --resume goes on from the last checkpoint in %s"
                                        : "%s: stopped",
                        name, options->output);
    else if (status)
        rp_cli_complain("%s: %s", name, err->message);
    else
        rp_cli_printf(&watch->out->buffer, "%s\n",
                      options->output ? options->output : options->write_instances);
    return !status ? 0 : signal ? 128 + signal : 1;
}
