/* reprise classify: labels of texts, of those that the model was taught or of others; and which words count.
 */
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- labels that are named in the command line ---- */

/* The names between the commas of `list`, without the blanks around them, as Hugging Face's pipeline takes
 * them.
 * `*copy` holds them. */
static const char **names_of(const char *list, char **copy, size_t *count) {
    const char **names = rp_cli_calloc(strlen(list) / 2 + 1, sizeof *names);
    *copy = rp_cli_calloc(strlen(list) + 1, 1);
    *count = 0;
    for (char *at = strcpy(*copy, list), *next; at; at = next) {
        next = strchr(at, ',');
        if (next) *next++ = '\0';
        at += strspn(at, " \t");
        for (size_t size = strlen(at); size && strchr(" \t", at[size - 1]);) at[--size] = '\0';
        if (*at) names[(*count)++] = at;
    }
    return names;
}

static rp_status run_zero_shot(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                               rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    char *copy;
    rp_zero_shot_params params = {
        .hypothesis = o->hypothesis, .multi_label = o->multi_label, .top_k = o->top_k};
    const char **names = names_of(o->labels, &copy, &params.label_count);
    rp_text *texts = rp_cli_texts_of(items, count);
    params.labels = names;
    rp_status status = rp_zero_shot(session->model, texts, count, &params, out, err);
    free(texts);
    free(names);
    free(copy);
    return status;
}

static rp_status run(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                     rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_classify_params params = {.top_k = o->top_k,
                                       .long_texts = o->long_texts,
                                       .stride = o->stride,
                                       .explain = o->explain,
                                       .patience = o->patience};
    if (o->labels) return run_zero_shot(session, items, count, out, err);
    rp_input *inputs = rp_cli_inputs_of(items, count);
    rp_status status = rp_classify(session->model, inputs, count, &params, out, err);
    free(inputs);
    return status;
}

/* ---- words for people ---- */

static float largest(const rp_word *words, size_t count) {
    float most = 0;
    for (size_t i = 0; i < count; i++)
        if (fabsf(words[i].weight) > most) most = fabsf(words[i].weight);
    return most;
}

/* The text with its words in green where they speak for the best label, and in red where against it; words
 * that hardly count are as they are. */
static void put_colored(rp_cli_people *p, rp_text text, const rp_word *words, size_t count) {
    float most = largest(words, count);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        rp_span span = words[i].span;
        rp_cli_people_text(p, text.data + at, span.start - at, 0);
        float part = most > 0 ? words[i].weight / most : 0;
        if (fabsf(part) >= 0.5f) rp_cli_people_style(p, RP_CLI_BOLD);
        if (fabsf(part) >= 0.1f) rp_cli_people_style(p, part > 0 ? RP_CLI_GREEN : RP_CLI_RED);
        rp_cli_people_text(p, text.data + span.start, span.end - span.start, 0);
        rp_cli_people_style(p, RP_CLI_PLAIN);
        at = span.end;
    }
    rp_cli_people_text(p, text.data + at, text.size - at, 0);
    rp_cli_puts(p->out, "\n");
}

static int by_weight(const void *left, const void *right) {
    const rp_word *a = left, *b = right;
    float x = fabsf(a->weight), y = fabsf(b->weight);
    if (x != y) return x < y ? 1 : -1;
    return a->span.start < b->span.start ? -1 : 1;
}

/* The words that count most, one a line. */
static void put_words(rp_cli_people *p, const rp_word *words, size_t count) {
    enum { SHOWN = 8 };
    rp_word *sorted = rp_cli_calloc(count + 1, sizeof *sorted);
    int columns = 0;
    if (count) memcpy(sorted, words, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_weight);
    size_t shown = count < SHOWN ? count : SHOWN;
    for (size_t i = 0; i < shown; i++) {
        int width = rp_cli_people_width(p, sorted[i].word, 32);
        if (width > columns) columns = width;
    }
    for (size_t i = 0; i < shown; i++) {
        rp_cli_puts(p->out, "    ");
        rp_cli_people_cell(p, sorted[i].word, columns);
        rp_cli_people_style(p, sorted[i].weight < 0 ? RP_CLI_RED : RP_CLI_GREEN);
        rp_cli_printf(p->out, "  %+8.4f", (double)sorted[i].weight);
        rp_cli_people_style(p, RP_CLI_PLAIN);
        rp_cli_puts(p->out, "\n");
    }
    free(sorted);
}

static void put_people(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_word *words = rp_result_words(answer->result, answer->index, &count);
    rp_cli_people_labels(answer, p);
    if (!answer->session->options->explain) return;
    if (p->color) put_colored(p, answer->item->text, words, count);
    put_words(p, words, count);
}

const rp_cli_command rp_cli_command_classify = {
    .name = "classify",
    .arguments = "[TEXT...]",
    .summary = "sentiment and other labels of texts",
    .help = "Sequence classification: sentiment, topics, moderation. Scores are softmax or\n"
            "sigmoid probabilities, or the raw value of a regression, as the folder's\n"
            "config.json says. A text longer than the model takes is cut, which is said\n"
            "once; with --long it is read in windows, of which neighbours share --stride\n"
            "tokens (64): the mean or the largest of their scores, or the share of windows\n"
            "that a label is best in. Of a pair the second text is read in windows.\n"
            "\n"
            "--explain leaves out each word in turn and says by how much the score of the\n"
            "best label falls. --labels chooses among labels that the model was not taught:\n"
            "a model of entailment (mnli) says whether the text entails --template with each,\n"
            "as Hugging Face's zero-shot pipeline does; of any other model the cosine of the\n"
            "vectors of the text and the template counts.\n"
            "\n"
            "--patience asks the internal classifiers of a folder that has them, one behind\n"
            "each layer (PABEE): a text leaves when P layers in a row have chosen the label\n"
            "of the layer before. Easy texts leave early, and each decides for itself.\n"
            "\n"
            "JSON: [{\"label\", \"score\"}], best first; with --explain {\"labels\": [...],\n"
            "\"words\": [{\"word\", \"start\", \"end\", \"weight\"}]}, in the order of the text; with\n"
            "--patience {\"labels\": [...], \"layers\"}: how many the text went through.\n"
            "Keys of --jsonl: text, text_pair (may be left out).\n"
            "\n"
            "Examples:\n"
            "  reprise classify \"a warm and funny film\"\n"
            "  reprise classify --json < reviews.txt > scores.jsonl\n"
            "  reprise classify -m intents --top-k 3 -f questions.txt\n"
            "  reprise classify --csv -f reviews.csv > answered.csv\n"
            "  reprise classify --long mean --files letters/*.txt > answered.jsonl\n"
            "  reprise classify --explain \"an hour too long and not one laugh\"\n"
            "  reprise classify -m mnli --labels \"sport, politics\" \"They won the cup.\"\n"
            "  printf '{\"text\": \"dull\"}\\n' | reprise classify --jsonl\n",
    .options = RP_CLI_COMMON | RP_CLI_TOP_K | RP_CLI_PAIR | RP_CLI_STRIDE | RP_CLI_CLASSIFY,
    .shape = RP_CLI_SHAPE_MAYBE_PAIR,
    .bundled = "sentiment",
    .run = run,
    .people = put_people,
};
