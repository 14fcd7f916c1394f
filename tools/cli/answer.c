/* Answering one batch: running it, again and in parts where it fails, and writing a piece of text for each
 * input.
 */
#include "job.h"
#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After so many inputs in a row over which the device was lost, each asked for alone and twice, it is gone.
 */
enum { MOST_LOST = 8 };

/* ---- running ---- */

/* What came of one input. */
typedef struct outcome {
    const rp_result *result; /* entry `index` is its answer; NULL: it was not run */
    size_t index;
    const char *error; /* why there is none; NULL: nothing failed */
} outcome;

/* What the outcomes of one batch point to. */
typedef struct results {
    rp_result **list; /* [count] owned */
    char **messages;  /* [message_count] owned */
    size_t count, message_count;
} results;

static bool is_lost(rp_status status) {
    return status == RP_ERROR_DEVICE_LOST || status == RP_ERROR_DEVICE;
}

/* Another try, or a smaller batch, may do. */
static bool may_pass(rp_status status) {
    return is_lost(status) || status == RP_ERROR_HOST_MEMORY || status == RP_ERROR_DEVICE_MEMORY;
}

/* After these nothing can be answered. */
static bool is_final(rp_status status) {
    return status == RP_ERROR_HEAD || status == RP_ERROR_UNSUPPORTED;
}

static bool is_broken(rp_cli_work *work, rp_error *err) {
    pthread_mutex_lock(&work->lock);
    *err = work->broken;
    pthread_mutex_unlock(&work->lock);
    return err->status;
}

static void say_trouble(rp_cli_work *work, const rp_error *err) {
    pthread_mutex_lock(&work->lock);
    if (is_lost(err->status) && !work->trouble_was_said) {
        work->trouble_was_said = true;
        rp_cli_progress_end();
        rp_cli_complain("%s; trying again (said once)", err->message);
    }
    pthread_mutex_unlock(&work->lock);
}

/* Note what came of a run in the end: is the device, or the model, of no use? */
static void judge(rp_cli_work *work, const rp_error *err) {
    pthread_mutex_lock(&work->lock);
    work->lost_in_a_row = is_lost(err->status) ? work->lost_in_a_row + 1 : 0;
    if (!work->broken.status && (is_final(err->status) || work->lost_in_a_row >= MOST_LOST)) {
        work->broken = *err;
        rp_cli_progress_end();
        rp_cli_complain("%s", err->message);
    }
    pthread_mutex_unlock(&work->lock);
}

static const char NO_MEMORY[] = "out of memory; close other programs";

static void fail_all(outcome *outcomes, size_t count, const char *message, results *made) {
    char *copy = strdup(message);
    if (copy) made->messages[made->message_count++] = copy;
    for (size_t i = 0; i < count; i++) outcomes[i].error = copy ? copy : NO_MEMORY;
}

/* Run items[0..count), count > 0: twice, then in halves. */
static void run_items(rp_cli_work *work, const rp_cli_item *const *items, size_t count, outcome *outcomes,
                      results *made) {
    rp_result *result = NULL;
    rp_error err;
    for (int tries = 0; tries < 2; tries++) {
        if (is_broken(work, &err)) {
            fail_all(outcomes, count, err.message, made);
            return;
        }
        err.status = work->command->run(work->session, items, count, &result, &err);
        if (!may_pass(err.status)) break;
        say_trouble(work, &err);
    }
    if (may_pass(err.status) && count > 1) {
        size_t half = count / 2;
        run_items(work, items, half, outcomes, made);
        run_items(work, items + half, count - half, outcomes + half, made);
        return;
    }
    judge(work, &err);
    if (err.status) {
        fail_all(outcomes, count, err.message, made);
        return;
    }
    made->list[made->count++] = result;
    for (size_t i = 0; i < count; i++) outcomes[i] = (outcome){.result = result, .index = i};
}

/* ---- writing ---- */

static void write_failure(const rp_cli_work *w, rp_cli_job *job, const rp_cli_item *item,
                          const char *message) {
    if (!job->failures++) {
        job->failed = item->number;
        snprintf(job->why, sizeof job->why, "%s", message);
    }
    rp_cli_buffer *out = &job->text;
    if (w->session->columns) {
        rp_cli_npy_failure(w->session->columns, out);
        return;
    }
    if (w->session->options->json) {
        rp_cli_keep_failure(item, message, out);
        return;
    }
    if (item->table) {
        rp_cli_table_failure(item, message, out);
        return;
    }
    if (!item->failed) {
        rp_cli_people_heading(&job->people, item->text, (rp_text){0});
    } else {
        rp_cli_printf(out, "input %zu\n", item->number);
    }
    rp_cli_people_style(&job->people, RP_CLI_RED);
    rp_cli_puts(out, "  error: ");
    rp_cli_people_text(&job->people, message, strlen(message), 0);
    rp_cli_people_style(&job->people, RP_CLI_PLAIN);
    rp_cli_puts(out, "\n");
}

/* The answer as one JSON value, without a line end. */
static rp_status put_json(const rp_cli_answer *answer, rp_cli_buffer *out, rp_error *err) {
    char *json = NULL;
    size_t size = 0;
    if (answer->encoding) {
        rp_cli_json_tokens(answer, out);
        return RP_OK;
    }
    rp_status status = rp_result_json(answer->result, answer->index, NULL, &json, &size, err);
    rp_cli_put(out, json, size);
    rp_string_free(&json);
    return status;
}

static void write_answer(const rp_cli_work *w, rp_cli_job *job, const rp_cli_answer *answer) {
    bool json = w->session->options->json;
    rp_cli_buffer value = {0};
    rp_error err;
    if (w->session->columns)
        rp_cli_npy_answer(answer, &job->text);
    else if (!json && !answer->item->table)
        w->command->people(answer, &job->people);
    else if (put_json(answer, &value, &err))
        write_failure(w, job, answer->item, err.message);
    else if (json)
        rp_cli_keep_answer(answer, value.data, value.size, &job->text);
    else
        rp_cli_table_answer(answer, value.data, value.size, &job->text);
    job->text.cut = job->text.cut || value.cut;
    free(value.data);
}

static void note_cut(rp_cli_job *job, const rp_cli_item *item, const outcome *o) {
    job->cuts++;
    if (job->cut) return;
    job->cut = item->number;
    job->tokens = rp_result_tokens(o->result, o->index, &job->taken);
}

/* Write what came of one item; or, in a command without a device, tokenize it. */
static void write_one(const rp_cli_work *w, rp_cli_job *job, const rp_cli_item *item, const outcome *o) {
    rp_cli_answer answer = {.session = w->session, .item = item, .result = o->result, .index = o->index};
    rp_encoding encoding = {0};
    const char *message = "";
    rp_error err;
    rp_status status;
    if (o->result) {
        status = rp_result_status(o->result, o->index, &message);
    } else {
        const rp_cli_options *options = w->session->options;
        rp_tokenize_params params = {.no_special_tokens = options->no_special_tokens,
                                     .max_tokens = options->max_length};
        status = rp_tokenize(w->session->tokenizer, item->text, item->pair, &params, &encoding, &err);
        if (status) message = err.message;
        answer.encoding = &encoding;
    }
    if (status)
        write_failure(w, job, item, message);
    else
        write_answer(w, job, &answer);
    if (!status && o->result && rp_result_truncated(o->result, o->index)) note_cut(job, item, o);
    rp_encoding_free(&encoding);
}

/* The piece of text for one item, of which `o` came where it was run. Out of memory for it, the item fails.
 */
static void write_item(const rp_cli_work *w, rp_cli_job *job, const rp_cli_item *item, const outcome *o) {
    size_t begin = job->text.size, failures = job->failures;
    if (item->failed)
        write_failure(w, job, item, item->error);
    else if (o->error)
        write_failure(w, job, item, o->error);
    else
        write_one(w, job, item, o);
    if (!job->text.cut) return;
    job->text.cut = false;
    job->text.size = begin;
    job->failures = failures;
    write_failure(w, job, item, NO_MEMORY);
}

void rp_cli_answer_job(rp_cli_work *work, rp_cli_job *job) {
    const rp_cli_items *items = &job->items;
    const rp_cli_item **good = rp_cli_calloc(items->count, sizeof *good);
    outcome *outcomes = rp_cli_calloc(items->count, sizeof *outcomes);
    results made = {.list = rp_cli_calloc(items->count, sizeof *made.list),
                    .messages = rp_cli_calloc(items->count, sizeof *made.messages)};
    size_t count = 0, next = 0;
    rp_error err;
    job->failures = job->failed = job->cut = job->cuts = 0;
    for (size_t i = 0; i < items->count; i++)
        if (!items->list[i].failed) good[count++] = &items->list[i];
    if (work->command->run && count)
        run_items(work, good, count, outcomes, &made);
    else if (count && is_broken(work, &err))
        fail_all(outcomes, count, err.message, &made);
    for (size_t i = 0; i < items->count; i++) {
        const rp_cli_item *item = &items->list[i];
        write_item(work, job, item, item->failed ? NULL : &outcomes[next++]);
    }
    for (size_t i = 0; i < made.message_count; i++) free(made.messages[i]);
    for (size_t i = 0; i < made.count; i++) rp_result_free(&made.list[i]);
    free(made.messages);
    free(made.list);
    free(outcomes);
    free(good);
}
