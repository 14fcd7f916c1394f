/* The loop of every command that reads inputs: take a batch, answer it, write a line for each input. */
#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct work {
    const rp_cli_command *command;
    const rp_cli_session *session;
    rp_cli_output *out;
    rp_cli_people people;
    rp_error broken; /* why nothing can be answered any more; RP_OK while something can */
    size_t failures; /* inputs that failed */
    size_t answered; /* inputs written */
    bool cut_was_said;
} work;

static void write_failure(work *w, const rp_cli_item *item, const char *message) {
    w->failures++;
    rp_cli_buffer *out = &w->out->buffer;
    if (w->session->options->json) {
        rp_cli_json_error(out, message);
        return;
    }
    if (!item->failed) {
        rp_cli_people_heading(&w->people, item->text, (rp_text){0});
    } else {
        rp_cli_printf(out, "input %zu\n", item->number);
    }
    rp_cli_people_style(&w->people, RP_CLI_RED);
    rp_cli_puts(out, "  error: ");
    rp_cli_people_text(&w->people, message, strlen(message), 0);
    rp_cli_people_style(&w->people, RP_CLI_PLAIN);
    rp_cli_puts(out, "\n");
}

static void say_cut(work *w, const rp_cli_answer *answer) {
    if (w->cut_was_said) return;
    w->cut_was_said = true;
    rp_cli_progress_end();
    size_t number = answer->item->number;
    if (w->command->options & RP_CLI_MAX_QUESTION) /* the context slides through windows: it is never cut */
        rp_cli_complain(
            "the question of input %zu is longer than --max-question-length, and was cut; so are others "
            "as long (said once)",
            number);
    else /* by the limit of the model, its tokenizer or sentence_bert_config.json */
        rp_cli_complain("input %zu has more tokens than this model takes, and was cut; so are others as long "
                        "(said once)",
                        number);
}

static void write_answer(work *w, const rp_cli_answer *answer) {
    rp_cli_buffer *out = &w->out->buffer;
    size_t begin = out->size;
    if (w->session->options->json) {
        out->not_finite = false;
        w->command->json(answer, out);
        if (out->not_finite) {
            out->size = begin;
            write_failure(
                w, answer->item,
                "the model gave a score that is not a number; its weights are damaged or too large");
            return;
        }
        rp_cli_puts(out, "\n");
    } else {
        w->command->people(answer, &w->people);
    }
}

/* Answer one item that stands at `index` of `result`; or, without a result, tokenize it. */
static void answer_one(work *w, const rp_cli_item *item, const rp_result *result, size_t index) {
    rp_cli_answer answer = {.session = w->session, .item = item, .result = result, .index = index};
    rp_encoding encoding = {0};
    const char *message = "";
    rp_error err;
    rp_status status;
    if (result) {
        status = rp_result_status(result, index, &message);
    } else {
        const rp_cli_options *o = w->session->options;
        rp_tokenize_params params = {.no_special_tokens = o->no_special_tokens, .max_tokens = o->max_length};
        status = rp_tokenize(w->session->tokenizer, item->text, item->pair, &params, &encoding, &err);
        if (status) message = err.message;
        answer.encoding = &encoding;
    }
    if (status)
        write_failure(w, item, message);
    else
        write_answer(w, &answer);
    if (!status && result && rp_result_truncated(result, index)) say_cut(w, &answer);
    rp_encoding_free(&encoding);
}

static bool is_memory(rp_status status) {
    return status == RP_ERROR_HOST_MEMORY || status == RP_ERROR_DEVICE_MEMORY;
}

/* After these nothing can be answered. */
static bool is_final(rp_status status) {
    return status == RP_ERROR_DEVICE || status == RP_ERROR_DEVICE_LOST || status == RP_ERROR_HEAD ||
           status == RP_ERROR_UNSUPPORTED;
}

/* Answer items[0..count) and write them in order. Failed ones are left out of the run. A run that needs too
 * much memory is tried again, one input at a time. */
static void answer_items(work *w, rp_cli_item *items, size_t count) {
    const rp_cli_item **good = rp_cli_calloc(count, sizeof *good);
    size_t good_count = 0, index = 0;
    for (size_t i = 0; i < count; i++)
        if (!items[i].failed) good[good_count++] = &items[i];
    rp_result *result = NULL;
    rp_error err = w->broken;
    if (!err.status && w->command->run && good_count) {
        rp_status status = w->command->run(w->session, good, good_count, &result, &err);
        err.status = status;
        if (is_final(status)) {
            w->broken = err;
            rp_cli_progress_end();
            rp_cli_complain("%s", err.message);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (items[i].failed)
            write_failure(w, &items[i], items[i].error);
        else if (is_memory(err.status) && good_count > 1)
            answer_items(w, &items[i], 1);
        else if (err.status)
            write_failure(w, &items[i], err.message);
        else
            answer_one(w, &items[i], result, index++);
    }
    rp_result_free(&result);
    free(good);
}

static void show_progress(const work *w, const rp_cli_input *input) {
    if (input->length && isatty(STDERR_FILENO) && !isatty(w->out->fd))
        rp_cli_progress(input->consumed - (input->end - input->begin), input->length, w->answered);
}

/* Batches grow from one input to the size asked for, so that the first answers come at once. */
static void answer_all(work *w, rp_cli_input *input, bool *read_failed) {
    const size_t largest = w->session->options->batch_size;
    rp_cli_item *items = rp_cli_calloc(largest, sizeof *items);
    bool going = true;
    for (size_t limit = 1, count; going && (count = rp_cli_input_batch(input, items, limit, read_failed));) {
        answer_items(w, items, count);
        for (size_t i = 0; i < count; i++) rp_cli_item_free(&items[i]);
        w->answered += count;
        going = rp_cli_flush(w->out);
        show_progress(w, input);
        limit = limit * 2 < largest ? limit * 2 : largest;
    }
    rp_cli_progress_end();
    free(items);
}

int rp_cli_answer_inputs(const rp_cli_command *command, const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_input input;
    rp_cli_session session;
    work w = {.command = command, .session = &session, .out = out};
    bool read_failed = false;
    if (!options->model && !command->bundled) {
        rp_cli_complain("%s: no bundled model serves this command; give a Hugging Face folder with -m DIR or "
                        "REPRISE_MODEL; try 'reprise %s --help'",
                        command->name, command->name);
        return 2;
    }
    rp_status status = rp_cli_input_open(&input, command->name, command->shape, options);
    if (status) return status == RP_ERROR_ARGUMENT ? 2 : 1;
    rp_cli_people_init(&w.people, &out->buffer, out->fd);
    status = rp_cli_session_open(&session, command, options, &w.broken);
    w.broken.status = status;
    if (status) rp_cli_complain("%s", w.broken.message);
    /* A program that reads JSON still gets its line for each input; a person has read the message. */
    if (!status || (options->json && !(input.fd >= 0 && isatty(input.fd))))
        answer_all(&w, &input, &read_failed);
    if (w.failures && !status) {
        rp_cli_complain("%zu of %zu input%s failed", w.failures, w.answered, w.answered == 1 ? "" : "s");
    }
    rp_cli_session_close(&session);
    rp_cli_input_close(&input);
    return status || w.failures || read_failed ? 1 : 0;
}
