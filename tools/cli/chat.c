/* reprise chat: a dialogue of one line at a time. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "stop.h"

/* What a dialogue has opened. */
typedef struct dialogue {
    rp_model *embedder, *reader, *tagger;
    rp_chat *chat;
    rp_call call;
} dialogue;

static void take_progress(void *user, size_t done, size_t total) {
    dialogue *d = user;
    if (isatty(STDERR_FILENO)) rp_cli_progress(done, total, done);
    if (rp_cli_stop_signal()) rp_call_cancel(&d->call);
}

static rp_status open_model(const rp_cli_session *session, const char *name, rp_model **out, rp_error *err) {
    const rp_model_params params = {.precision = session->options->precision};
    return name ? rp_model_open(session->device, name, &params, out, err) : RP_OK;
}

static rp_status open_dialogue(rp_cli_session *session, rp_error *err) {
    const rp_cli_options *o = session->options;
    dialogue *d = session->own = rp_cli_calloc(1, sizeof *d);
    d->call = (rp_call){.progress = take_progress, .user = d};
    rp_status status = open_model(session, o->embed_model, &d->embedder, err);
    if (!status) status = open_model(session, o->answer_model, &d->reader, err);
    if (!status) status = open_model(session, o->slots, &d->tagger, err);
    const rp_chat_params params = {.model = session->model,
                                   .examples = o->examples,
                                   .faq = o->faq,
                                   .index = o->index,
                                   .embedder = d->embedder,
                                   .reader = d->reader,
                                   .tagger = d->tagger,
                                   .has_threshold = o->threshold_given,
                                   .threshold = (float)o->threshold,
                                   .has_faq_threshold = o->faq_threshold_given,
                                   .faq_threshold = (float)o->faq_threshold,
                                   .call = &d->call};
    rp_cli_progress_begin();
    if (!status) status = rp_chat_open(&params, &d->chat, err);
    rp_cli_progress_end();
    return status;
}

static void close_dialogue(rp_cli_session *session) {
    dialogue *d = session->own;
    if (!d) return;
    rp_chat_close(&d->chat);
    rp_model_close(&d->tagger);
    rp_model_close(&d->reader);
    rp_model_close(&d->embedder);
    free(d);
    session->own = NULL;
}

static rp_status run(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err) {
    const dialogue *d = session->own;
    if (!d) return RP_OK; /* it is not open yet: which heads it needs, rp_chat_open says */
    rp_text *texts = rp_cli_calloc(count, sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = items[i]->text;
    rp_status status = rp_chat_say(d->chat, texts, count, NULL, out, err);
    free(texts);
    return status;
}

/* ---- for people ---- */

static void put_text(rp_cli_people *p, const char *text, size_t size) {
    rp_cli_people_text(p, text, size, 0);
}

static void put_answer(const rp_reply *reply, rp_cli_people *p) {
    const size_t size = strlen(reply->answer), end = reply->marked.end < size ? reply->marked.end : size;
    const size_t start = reply->marked.start < end ? reply->marked.start : end;
    rp_cli_puts(p->out, "  ");
    put_text(p, reply->answer, start);
    rp_cli_people_style(p, RP_CLI_MARK);
    if (end > start && !p->color) rp_cli_puts(p->out, "[");
    put_text(p, reply->answer + start, end - start);
    if (end > start && !p->color) rp_cli_puts(p->out, "]");
    rp_cli_people_style(p, RP_CLI_PLAIN);
    put_text(p, reply->answer + end, size - end);
    rp_cli_people_style(p, RP_CLI_DIM);
    rp_cli_printf(p->out, "\n  %.4f  row %llu: ", (double)reply->found, (unsigned long long)reply->row);
    put_text(p, reply->question, strlen(reply->question));
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(p->out, "\n");
}

static void put_reply(const rp_cli_answer *answer, rp_cli_people *p) {
    const rp_reply *reply = rp_result_reply(answer->result, answer->index);
    if (!reply) return;
    if (!isatty(STDIN_FILENO)) rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    if (reply->intent) {
        rp_cli_puts(p->out, "  ");
        put_text(p, reply->intent, strlen(reply->intent));
        rp_cli_printf(p->out, "  %.4f", (double)reply->score);
        rp_cli_people_bar(p, (double)reply->score, true);
        rp_cli_puts(p->out, "\n");
    }
    if (reply->answer) put_answer(reply, p);
    if (!reply->intent && !reply->answer)
        rp_cli_printf(p->out, "  I do not know (%.4f).\n", (double)reply->score);
    for (size_t i = 0; i < reply->slot_count; i++) {
        rp_cli_puts(p->out, "  ");
        put_text(p, reply->slots[i].name, strlen(reply->slots[i].name));
        rp_cli_puts(p->out, " = ");
        put_text(p, reply->slots[i].value, strlen(reply->slots[i].value));
        rp_cli_puts(p->out, "\n");
    }
}

static const char help[] =
    "A dialogue, one line at a time: what each text wants (its intent), and the\n"
    "answer to it from a list. The intent is a label of the classifier -m or, with\n"
    "--examples, that of the nearest example by vectors of --embed-model (or of -m,\n"
    "where it is an embedding model). Answers are found by such vectors, else by\n"
    "words (BM25). A score below the threshold is refused: I do not know. That of\n"
    "intents is what 'reprise eval --calibrate' wrote to thresholds.json of the\n"
    "classifier's folder, else 0.9. The part of an answer that says it is marked by\n"
    "--answer-model (or by -m, where it has a question answering head). --slots names\n"
    "a model of tag.\n"
    "The last intent and the slots are kept, and nothing else of what was said.\n"
    "\n"
    "Files are CSV, TSV or JSONL: --faq has question and answer, --examples text and\n"
    "intent. Their vectors are made at each start, which for some thousand examples\n"
    "takes a while; --index FILE keeps them, and is made anew when the texts or the\n"
    "model are others.\n"
    "\n"
    "JSON: {\"intent\", \"score\", \"answer\", \"source\"}, where source is {\"row\",\n"
    "\"question\", \"score\"}; intent, answer and source are null where there is none.\n"
    "With --answer-model also \"marked\", {\"start\", \"end\", \"text\", \"score\"} or null;\n"
    "with --slots \"slots\", {\"name\": \"value\"}. Key of --jsonl: text.\n"
    "\n"
    "Examples:\n"
    "  reprise chat \"my card has not come\"\n"
    "  reprise chat --faq faq.csv --slots ner\n"
    "  reprise eval -m DIR --calibrate DIR/thresholds.json --target-recall 0.95 d.csv\n"
    "  reprise chat -m all-MiniLM-L6-v2 --examples intents.csv --index intents.index\n"
    "  reprise chat -m similarity --examples intents.csv --jsonl < said.jsonl\n";

const rp_cli_command rp_cli_command_chat = {
    .name = "chat",
    .arguments = "[TEXT...]",
    .summary = "intents, answers from a list, and slots, in a dialogue",
    .help = help,
    .options = RP_CLI_COMMON | RP_CLI_CHAT,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "intents",
    .run = run,
    .people = put_reply,
    .open = open_dialogue,
    .close = close_dialogue,
    .in_order = true,
};
