/* reprise answer --documents: questions to a collection, one a line. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "stop.h"

typedef struct opened {
    rp_documents *documents;
    rp_model *embedder; /* NULL: passages are found by words */
    rp_call call;
} opened;

static void take_progress(void *user, size_t done, size_t total) {
    opened *own = user;
    if (isatty(STDERR_FILENO)) rp_cli_progress(done, total, done);
    if (rp_cli_stop_signal()) rp_call_cancel(&own->call);
}

static rp_status run(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_document_params params = {.top_k = o->top_k,
                                       .passages = o->passages,
                                       .max_tokens = o->max_length,
                                       .stride = o->stride,
                                       .max_question_tokens = o->max_question_length,
                                       .max_answer_tokens = o->max_answer_length,
                                       .allow_no_answer = o->allow_no_answer,
                                       .threshold = (float)o->threshold};
    if (!count) return rp_answer_questions(session->model, NULL, 0, NULL, out, err); /* is there a head? */
    const opened *own = session->own;
    rp_text *questions = rp_cli_calloc(count, sizeof *questions);
    for (size_t i = 0; i < count; i++) questions[i] = items[i]->text;
    rp_status status =
        rp_answer_documents(session->model, own->documents, questions, count, &params, out, err);
    free(questions);
    return status;
}

static rp_status open_documents(rp_cli_session *session, rp_error *err) {
    const rp_cli_options *o = session->options;
    opened *own = session->own = rp_cli_calloc(1, sizeof *own);
    own->call = (rp_call){.progress = take_progress, .log = rp_cli_say_warning, .user = own};
    const rp_model_params model = {.precision = o->precision};
    rp_status status = RP_OK;
    if (o->embed_model) status = rp_model_open(session->device, o->embed_model, &model, &own->embedder, err);
    const rp_documents_params params = {.index = o->index, .embedder = own->embedder, .call = &own->call};
    rp_cli_progress_begin();
    if (!status) status = rp_documents_open(o->documents, &params, &own->documents, err);
    rp_cli_progress_end();
    return status;
}

static void close_documents(rp_cli_session *session) {
    opened *own = session->own;
    if (!own) return;
    rp_documents_close(&own->documents);
    rp_model_close(&own->embedder);
    free(own);
    session->own = NULL;
}

/* `answer` with options of documents. */
static const rp_cli_command with_documents = {
    .name = "answer",
    .arguments = "[QUESTION...]",
    .options = RP_CLI_MAX_QUESTION | RP_CLI_STRIDE,
    .shape = RP_CLI_SHAPE_ASK,
    .run = run,
    .people = rp_cli_people_answers,
    .open = open_documents,
    .close = close_documents,
};

const rp_cli_command *rp_cli_choose_answer(const rp_cli_options *o) {
    if (o->documents || o->index) return &with_documents;
    if (!o->passages && !o->threshold_given && !o->embed_model) return rp_cli_find_command("answer");
    rp_cli_complain("answer: --passages, --threshold and --embed-model are for --documents; leave them out "
                    "or name a folder of "
                    "documents; try 'reprise answer --help'");
    return NULL;
}
