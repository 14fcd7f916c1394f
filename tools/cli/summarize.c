/* reprise summarize: the sentences of a document that stand for the rest of it. */
#include "session.h"

#include <stdlib.h>

static rp_status run_summarize(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    const rp_summarize_params params = {.sentences = session->options->sentences,
                                        .coherence = (float)session->options->coherence};
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_summarize(session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

/* A sentence a line: line ends in it become blanks. */
static void put_sentence(rp_cli_people *p, rp_text text) {
    while (text.size) {
        size_t size = 0;
        while (size < text.size && text.data[size] != '\n' && text.data[size] != '\r') size++;
        rp_cli_people_text(p, text.data, size, 0);
        bool more = size < text.size;
        while (size < text.size && (text.data[size] == '\n' || text.data[size] == '\r')) size++;
        if (more) rp_cli_puts(p->out, " ");
        text = (rp_text){text.data + size, text.size - size};
    }
    rp_cli_puts(p->out, "\n");
}

static void people_summary(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_sentence *sentences = rp_result_sentences(answer->result, answer->index, &count);
    if (answer->item->number > 1) rp_cli_puts(p->out, "\n");
    for (size_t i = 0; i < count; i++)
        put_sentence(p, (rp_text){sentences[i].text, sentences[i].span.end - sentences[i].span.start});
    if (!count) rp_cli_puts(p->out, "(no sentences)\n");
}

/* What is no line of JSON or of a table is a whole document: standard input, and each FILE of -f. */
static int run(const rp_cli_options *options, rp_cli_output *out) {
    static char dash[] = "-", *standard_input[] = {dash, NULL};
    rp_cli_options whole = *options;
    bool dashed = options->text_count == 1 && options->texts[0][0] == '-' && !options->texts[0][1];
    bool lines = options->jsonl || options->csv || options->tsv || options->each_file;
    if (!lines && options->file_count && !options->text_count) {
        whole.each_file = whole.unnamed = true;
        whole.texts = (char **)options->files;
        whole.text_count = options->file_count;
        whole.file_count = 0;
    } else if (!lines && !options->file_count && (dashed || !options->text_count)) {
        whole.each_file = whole.unnamed = true;
        whole.texts = standard_input;
        whole.text_count = 1;
    }
    return rp_cli_answer_inputs(&rp_cli_command_summarize, &whole, out);
}

static const char help_summarize[] =
    "Summaries of a document's own sentences: those that are most like the rest of\n"
    "it, by the cosines of their vectors, and little like each other; sentences that\n"
    "say the same are chosen once. They come in the order of the document. Standard\n"
    "input is one document, and so is each FILE of --file, each TEXT, and each line\n"
    "of --jsonl. Vectors of all-MiniLM-L6-v2 find more than those of the bundled\n"
    "similarity, which it taught.\n"
    "\n"
    "--coherence W, from -1 to 1, lets a model with a head for the order of sentences\n"
    "say how well each stands between its neighbours: W times that, 0 to 1, comes to\n"
    "its score. It is 0 unless given, since in measurements it chose no better.\n"
    "\n"
    "JSON: [{\"text\", \"start\", \"end\", \"score\"}]; start and end count code points; the\n"
    "best sentence of a document has a score of about 1. Key of --jsonl: text.\n"
    "\n"
    "Examples:\n"
    "  reprise summarize --sentences 5 < report.txt\n"
    "  reprise summarize -m all-MiniLM-L6-v2 --json -f report.txt\n"
    "  reprise summarize --files letters/*.txt > summaries.jsonl\n";

const rp_cli_command rp_cli_command_summarize = {
    .name = "summarize",
    .arguments = "[TEXT...]",
    .summary = "the sentences that stand for a document",
    .help = help_summarize,
    .options = RP_CLI_COMMON | RP_CLI_SUMMARIZE,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "similarity",
    .run = run_summarize,
    .people = people_summary,
    .main = run,
};
