/* reprise moderate: which labels of a text count, what is to be done, and which sentences made the
 * difference. */
#include "session.h"

#include <stdlib.h>
#include <string.h>

static rp_status open_rules(rp_cli_session *session, rp_error *err) {
    const rp_moderation_params params = {.thresholds = session->options->thresholds,
                                         .policy = session->options->policy};
    rp_moderation *moderation = NULL;
    rp_status status = rp_moderation_open(session->model, &params, &moderation, err);
    session->own = moderation;
    return status;
}

static void close_rules(rp_cli_session *session) {
    rp_moderation *moderation = session->own;
    rp_moderation_close(&moderation);
    session->own = NULL;
}

static rp_status run(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err) {
    const rp_moderate_params params = {.normalize = session->options->normalize == RP_NORMALIZE_YES};
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_moderate(session->own, texts, count, &params, out, err);
    free(texts);
    return status;
}

/* ---- for people ---- */

/* The sentence of a span, in one line. */
static void put_span(rp_cli_people *p, rp_text text, rp_span span) {
    rp_cli_puts(p->out, p->utf8 ? "    \xe2\x86\xb3 " : "    > ");
    rp_cli_people_text(p, text.data + span.start, span.end - span.start,
                       p->terminal && p->width > 20 ? p->width - 8 : 0);
    rp_cli_puts(p->out, "\n");
}

static void put_people(const rp_cli_answer *answer, rp_cli_people *p) {
    const rp_verdict *v = rp_result_verdict(answer->result, answer->index);
    int columns = 0;
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    if (!v) return;
    rp_cli_puts(p->out, "  ");
    rp_cli_people_style(p, v->flagged ? RP_CLI_RED : RP_CLI_GREEN);
    rp_cli_people_text(p, v->action, strlen(v->action), 0);
    rp_cli_people_style(p, RP_CLI_PLAIN);
    rp_cli_puts(p->out, "\n");
    for (size_t i = 0; i < v->label_count; i++) {
        int width = rp_cli_people_width(p, v->labels[i].label, 32);
        if (width > columns) columns = width;
    }
    for (size_t i = 0; i < v->label_count; i++) {
        const rp_moderated *label = &v->labels[i];
        rp_cli_puts(p->out, "  ");
        rp_cli_people_cell(p, label->label, columns);
        rp_cli_printf(p->out, "  %8.4f  %s %.4f", (double)label->score, label->flagged ? ">=" : "< ",
                      (double)label->threshold);
        rp_cli_people_bar(p, (double)label->score, true);
        rp_cli_puts(p->out, "\n");
        for (size_t k = 0; k < label->span_count; k++) put_span(p, answer->item->text, label->spans[k]);
    }
}

const rp_cli_command rp_cli_command_moderate = {
    .name = "moderate",
    .arguments = "[TEXT...]",
    .summary = "what of a text counts, and what is to be done",
    .help = "Moderation with a sequence classifier. A label counts where its score is its\n"
            "threshold or more: 0.5, or what 'reprise eval --calibrate' wrote to --thresholds\n"
            "or to thresholds.json of the folder. In a model that gives one label a text the\n"
            "first one means that nothing is wrong; in one that gives several, each may\n"
            "count. A text of any length is read in windows. Of a label that counts the\n"
            "sentences are shown that made the difference: without them it would not.\n"
            "\n"
            "--policy says which action follows, as JSON:\n"
            "  {\"rules\": [{\"label\": \"spam\", \"threshold\": 0.9, \"action\": \"block\"},\n"
            "             {\"label\": \"spam\", \"action\": \"review\"}], \"default\": \"allow\"}\n"
            "The first rule that holds decides or, with \"actions\": [\"block\", \"review\"], the\n"
            "most severe. --normalize undoes what hides words from a filter: invisible\n"
            "characters, look-alikes of other scripts, f.r.e.e, fr33, freeee.\n"
            "\n"
            "JSON: {\"flagged\", \"action\", \"labels\": [{\"label\", \"score\", \"threshold\",\n"
            "\"spans\": [{\"start\", \"end\", \"text\"}]}]}; start and end count code points of the\n"
            "text as it came. Key of --jsonl: text.\n"
            "\n"
            "Examples:\n"
            "  reprise moderate \"See you at six. Call 0800 123 now to win!\"\n"
            "  reprise moderate -m toxic --policy policy.json --jsonl -f posts.jsonl\n"
            "  reprise eval -m spam --calibrate t.json --target-recall 0.95 dev.tsv\n"
            "  reprise moderate -m spam --thresholds t.json --normalize < messages.txt\n",
    .options = RP_CLI_COMMON | RP_CLI_MODERATE,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "spam",
    .run = run,
    .people = put_people,
    .open = open_rules,
    .close = close_rules,
};
