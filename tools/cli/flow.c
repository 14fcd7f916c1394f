/* The loop of every command that reads inputs. The first thread reads a few at a time; others answer them,
 * and take turns at standard output: a line for each input, in order. What the device works on together is
 * the choice of the model's queue: whatever the others wait for goes through its layers at once. */
#include "job.h"
#include "npy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stop.h"

enum {
    MOST_SLOTS = 32,
    SOFTWARE_SLOTS = 4,      /* enough for a software driver: more texts at once make it no faster */
    MOST_INPUTS = 32,        /* in a batch, unless the user says how many */
    MOST_BYTES = 1 << 11,    /* after which it is closed: a long text is one by itself */
    TOKENIZED_INPUTS = 1024, /* the same of what only has to be tokenized */
    TOKENIZED_BYTES = 1 << 16,
    QUEUE_FROM = 3, /* the batch with which a queue is opened: it takes a moment */
};

/* A thread, and the batch it answers. */
typedef struct slot {
    struct flow *flow;
    pthread_t thread;
    rp_cli_job job;
    bool ready;        /* the batch is read and not yet written; the first thread leaves it alone */
    uint64_t turn;     /* its place among the batches */
    uint64_t consumed; /* bytes of the file up to its end */
} slot;

/* `work.lock` guards what changes. */
typedef struct flow {
    rp_cli_work work;
    rp_cli_output *out;
    rp_queue *queue; /* in front of the model, once there is enough for it */
    uint64_t length; /* bytes of the file, for the progress bar; 0: it is not shown */
    pthread_cond_t changed;
    slot slots[MOST_SLOTS];
    size_t slot_count, most_slots;
    uint64_t taken, written; /* batches */
    bool over;               /* no batch follows */
    bool stuck;              /* nothing more can be written */
    size_t answered, failures;
    size_t cuts; /* inputs that were cut */
    size_t said; /* inputs of which it was said why they failed */
} flow;

/* The first input that was cut, at once; how many there were, at the end. */
static void say_cut(flow *f, const rp_cli_job *job) {
    f->cuts += job->cuts;
    if (f->cuts > job->cuts || !job->cuts) return;
    rp_cli_progress_end();
    if (f->work.command->options &
        RP_CLI_MAX_QUESTION) /* the context slides through windows: it is never cut */
        rp_cli_complain(
            "input %zu: the question has %u tokens, and --max-question-length takes %u: the rest was "
            "left out (said once)",
            job->cut, (unsigned)job->tokens, (unsigned)job->taken);
    else /* by the limit of the model, its tokenizer or sentence_bert_config.json */
        rp_cli_complain("input %zu: %u tokens, the model takes %u: the rest was left out (said once)",
                        job->cut, (unsigned)job->tokens, (unsigned)job->taken);
}

/* A row of numbers says only that its input failed: why is said for some. */
static void say_failed(flow *f, const rp_cli_job *job) {
    enum { MOST_SAID = 10 };
    if (!f->work.session->columns || !job->failed || f->said == MOST_SAID) return;
    rp_cli_progress_end();
    rp_cli_complain("input %zu: %s; its row is NaN%s", job->failed, job->why,
                    ++f->said == MOST_SAID ? " (no more are listed)" : "");
}

/* Write the answers of a slot whose turn it is. Called and left with the lock held, which is let go while
 * standard output may keep it waiting. */
static void write_batch(flow *f, slot *s) {
    rp_cli_job *job = &s->job;
    bool stuck = f->stuck;
    pthread_mutex_unlock(&f->work.lock);
    if (!stuck) {
        rp_cli_buffer unused = f->out->buffer;
        f->out->buffer = job->text;
        stuck = !rp_cli_flush(f->out);
        job->text = f->out->buffer;
        f->out->buffer = unused;
    }
    job->text.size = 0;
    pthread_mutex_lock(&f->work.lock);
    if (stuck) {
        f->stuck = true;
        rp_cli_stop_ask();
    } else {
        f->answered += job->items.count;
        f->failures += job->failures;
        say_cut(f, job);
        say_failed(f, job);
        if (f->length) rp_cli_progress(s->consumed, f->length, f->answered);
    }
}

static void *serve(void *argument) {
    slot *s = argument;
    flow *f = s->flow;
    pthread_mutex_lock(&f->work.lock);
    for (;;) {
        while (!s->ready && !f->over) pthread_cond_wait(&f->changed, &f->work.lock);
        if (!s->ready) break;
        pthread_mutex_unlock(&f->work.lock);
        rp_cli_answer_job(&f->work, &s->job);
        pthread_mutex_lock(&f->work.lock);
        while (f->written != s->turn) pthread_cond_wait(&f->changed, &f->work.lock);
        write_batch(f, s);
        f->written++;
        s->ready = false;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->work.lock);
    return NULL;
}

static bool is_software(const rp_cli_session *session) {
    return session->device && rp_device_get_info(session->device)->type == RP_DEVICE_CPU;
}

/* Those that tokenize need processors; those that wait for the device need none. */
static size_t thread_count(const rp_cli_command *command, const rp_cli_session *session) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (command->in_order) return 1;
    if (session->model) return is_software(session) ? SOFTWARE_SLOTS : MOST_SLOTS;
    return processors < 2 ? 2 : processors < 8 ? (size_t)processors : 8;
}

/* Another thread with its slot, while there may be more. The lock is held. */
static slot *new_slot(flow *f) {
    if (f->slot_count == f->most_slots) return NULL;
    slot *s = &f->slots[f->slot_count];
    s->flow = f;
    rp_cli_people_init(&s->job.people, &s->job.text, f->out->fd);
    if (pthread_create(&s->thread, NULL, serve, s)) {
        f->most_slots = f->slot_count; /* the system allows no more */
        return NULL;
    }
    f->slot_count++;
    return s;
}

/* A slot that can be filled; waits for it. NULL when no more is to be answered. */
static slot *free_slot(flow *f) {
    slot *found = NULL;
    pthread_mutex_lock(&f->work.lock);
    while (!found && !f->stuck && !rp_cli_stop_signal()) {
        for (size_t i = 0; i < f->slot_count && !found; i++)
            if (!f->slots[i].ready) found = &f->slots[i];
        if (!found) found = new_slot(f);
        if (!found && !f->slot_count) break;
        if (!found) pthread_cond_wait(&f->changed, &f->work.lock);
    }
    bool none = !f->most_slots;
    pthread_mutex_unlock(&f->work.lock);
    if (none) rp_cli_complain("the system allows no more threads; end other programs");
    return found;
}

/* Hand a batch to its thread. False when answers are no longer wanted. */
static bool hand_over(flow *f, slot *s, const rp_cli_input *input) {
    pthread_mutex_lock(&f->work.lock);
    bool wanted = !f->stuck && !rp_cli_stop_signal();
    if (wanted) {
        s->turn = f->taken++;
        s->consumed = input->consumed - (input->end - input->begin);
        s->ready = true;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->work.lock);
    return wanted;
}

/* From now on texts of all threads go through the layers together. Without a queue, for whatever reason, runs
 * take turns: slower, and with the same answers. */
static void open_queue(flow *f) {
    const rp_cli_session *session = f->work.session;
    /* answers come out in the order of the texts; those that leave early make room for others */
    const rp_queue_params params = {.policy = session->options->patience ? RP_POLICY_JOIN : RP_POLICY_DYNAMIC,
                                    .capacity = 1};
    if (session->model && !f->work.command->in_order) rp_queue_open(session->model, &params, &f->queue, NULL);
}

/* Batches grow from one input to the largest, so that the first answers come at once. False when not
 * everything was read. */
static bool answer_all(flow *f, rp_cli_input *input) {
    const rp_cli_session *session = f->work.session;
    const size_t chosen = session->options->batch_size,
                 largest = chosen          ? chosen
                           : session->info ? MOST_INPUTS
                                           : TOKENIZED_INPUTS,
                 bytes = chosen          ? SIZE_MAX
                         : session->info ? MOST_BYTES
                                         : TOKENIZED_BYTES;
    const bool prompts =
        f->work.command->in_order && input->fd == STDIN_FILENO && isatty(STDIN_FILENO) && isatty(f->out->fd);
    bool failed = false;
    slot *s;
    f->most_slots = thread_count(f->work.command, session);
    rp_cli_progress_begin();
    rp_cli_stop_expected(true);
    for (size_t most = 1; (s = free_slot(f)); most = most * 4 < largest ? most * 4 : largest) {
        rp_cli_items_clear(&s->job.items);
        if (prompts && input->begin == input->end) fputs("> ", stderr);
        if (f->taken == QUEUE_FROM) open_queue(f);
        if (!rp_cli_input_batch(input, &s->job.items, most, bytes, &failed) || !hand_over(f, s, input)) break;
    }
    pthread_mutex_lock(&f->work.lock);
    f->over = true;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->work.lock);
    for (size_t i = 0; i < f->slot_count; i++) {
        pthread_join(f->slots[i].thread, NULL);
        rp_cli_items_clear(&f->slots[i].job.items);
        free(f->slots[i].job.items.list);
        free(f->slots[i].job.text.data);
    }
    rp_queue_close(&f->queue);
    rp_cli_stop_expected(false);
    rp_cli_progress_end();
    return !failed && f->slot_count;
}

int rp_cli_answer_session(const rp_cli_command *command, const rp_cli_session *session,
                          const rp_error *broken, rp_cli_input *input, rp_cli_output *out) {
    flow f = {.work = {.command = command, .session = session, .broken = *broken}, .out = out};
    if (isatty(STDERR_FILENO) && !isatty(out->fd)) f.length = input->length;
    if (input->table && !session->options->json && !session->columns) {
        rp_cli_put(&out->buffer, input->table->header.data, input->table->header.size);
        rp_cli_flush(out); /* a failure is seen again when answers are written */
    }
    pthread_mutex_init(&f.work.lock, NULL);
    pthread_cond_init(&f.changed, NULL);
    bool all_read = answer_all(&f, input);
    pthread_cond_destroy(&f.changed);
    pthread_mutex_destroy(&f.work.lock);
    if (f.failures && !broken->status)
        rp_cli_complain("%zu of %zu input%s failed", f.failures, f.answered, f.answered == 1 ? "" : "s");
    if (f.cuts > 1) rp_cli_complain("%zu of %zu inputs were cut in this way", f.cuts, f.answered);
    int signal = rp_cli_stop_signal();
    out->unfinished = signal || !all_read;
    if (signal) {
        rp_cli_complain("stopped by %s after %zu input%s", signal == SIGINT ? "Ctrl-C (SIGINT)" : "SIGTERM",
                        f.answered, f.answered == 1 ? "" : "s");
        return 128 + signal;
    }
    return broken->status || f.failures || !all_read ? 1 : 0;
}

/* The numbers in a vector, which no input has to tell; 0 after a message. */
static size_t count_columns(const rp_cli_command *command, const rp_cli_session *session) {
    const rp_cli_item empty = {.number = 1, .text = {"", 0}}, *items = &empty;
    rp_result *result = NULL;
    rp_error err = {0};
    const char *message = err.message;
    size_t columns = 0;
    err.status = command->run(session, &items, 1, &result, &err);
    if (!err.status && !rp_result_status(result, 0, &message)) rp_result_vectors(result, 0, NULL, &columns);
    if (!columns) rp_cli_complain("%s", message);
    rp_result_free(&result);
    return columns;
}

/* All answers into one file. */
static int answer_npy(const rp_cli_command *command, rp_cli_session *session, rp_cli_input *input) {
    rp_cli_npy npy;
    rp_error none = {0};
    session->columns = count_columns(command, session);
    if (!session->columns || !rp_cli_npy_open(&npy, session->options->output)) return 1;
    rp_cli_flush(&npy.out);
    int status = rp_cli_answer_session(command, session, &none, input, &npy.out);
    return rp_cli_npy_finish(&npy, session->columns, status);
}

/* Where no bundled model serves: one of a hub that does. */
static void say_no_bundled(const char *command) {
    const char *known = !strcmp(command, "tag")      ? "dslim/bert-base-NER"
                        : !strcmp(command, "answer") ? "distilbert/distilbert-base-cased-distilled-squad"
                                                     : "aisuko/ft-bert-with-swag"; /* choose */
    rp_cli_complain(
        "%s: no bundled model can do this; name one with -m DIR or REPRISE_MODEL, such as %s, which "
        "'reprise pull %s' fetches; try 'reprise %s --help'",
        command, known, known, command);
}

int rp_cli_answer_inputs(const rp_cli_command *command, const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_input input;
    rp_cli_session session;
    rp_error broken = {0};
    if (!options->model && !command->bundled) {
        say_no_bundled(command->name);
        return 2;
    }
    if (command->options & RP_CLI_SEARCH && !options->index_file) {
        rp_cli_complain(
            "%s: needs the file to search, --index FILE; 'reprise index' makes it; try 'reprise %s --help'",
            command->name, command->name);
        return 2;
    }
    if (options->npy && !rp_cli_npy_check(options->output)) return 1;
    int wake = rp_cli_stop_open();
    rp_status status = rp_cli_input_open(&input, command->name, command->shape, options);
    if (status) return status == RP_ERROR_ARGUMENT ? 2 : 1;
    input.wake = wake;
    broken.status = rp_cli_session_open(&session, command, options, &broken);
    if (broken.status) rp_cli_complain("%s", broken.message);
    /* A program that reads JSON or a table still gets its line for each input; a person has read the message.
     */
    int exit_status = 1;
    if (options->npy)
        exit_status = broken.status ? 1 : answer_npy(command, &session, &input);
    else if (!broken.status || ((options->json || input.table) && !(input.fd >= 0 && isatty(input.fd))))
        exit_status = rp_cli_answer_session(command, &session, &broken, &input, out);
    if (!broken.status && !rp_cli_session_verified(&session, command->name) && !exit_status) exit_status = 1;
    rp_cli_session_close(&session);
    rp_cli_input_close(&input);
    return exit_status;
}
