/* reprise score: how likely a masked language model finds texts, and n-best lists of a translation system. */
#include "session.h"
#include "stop.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/json_read.h"
#include "loader/json_text.h"

/* ---- texts ---- */

static rp_status run_score(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                           rp_result **out, rp_error *err) {
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_score(session->model, texts, count, NULL, out, err);
    free(texts);
    return status;
}

static void people_score(const rp_cli_answer *answer, rp_cli_people *p) {
    uint32_t tokens = 0;
    double score = rp_result_score(answer->result, answer->index, &tokens);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    rp_cli_printf(p->out, "  %.4f, %.4f a token of %u\n", score, tokens ? score / tokens : 0, tokens);
}

/* ---- options ---- */

static int refuse(const char *why) {
    rp_cli_complain("score: %s; try 'reprise score --help'", why);
    return 2;
}

/* 0, or 2 after a message. */
static int check_options(const rp_cli_options *o) {
    if (!o->nbest && (o->weight || o->tune || o->references || o->top_k || o->output))
        return refuse("--weight, --tune, --references, --top-k and --output are for --nbest FILE");
    if (!o->nbest) return 0;
    if (o->text_count || o->file_count || o->jsonl || o->csv || o->tsv || o->each_file)
        return refuse("--nbest FILE is all that it reads: leave out TEXT, --file and what goes with them");
    if (o->tune && (o->weight || o->top_k))
        return refuse("--tune finds the weight: leave out --weight and --top-k");
    if (o->tune && !o->references) return refuse("--tune needs --references FILE, a line for each id");
    if (!o->tune && (o->references || o->output)) return refuse("--references and --output are for --tune");
    if (!o->tune && !o->weight)
        return refuse("--nbest needs --weight W, or --tune --references FILE, which finds it");
    return 0;
}

/* A number, or the file that --tune has written. */
static bool read_weight(const char *given, double *out) {
    rp_json_document document = {0};
    rp_json_mistake mistake = {0};
    const rp_json_flags flags = {.any = true, .reals = true};
    char text[4096];
    const rp_json *value = NULL;
    size_t size = strlen(given);
    if (rp_json_read(given, size, flags, &document, &mistake) && document.root.type == RP_JSON_REAL) {
        value = &document.root;
    } else {
        rp_json_finish(&document);
        FILE *file = fopen(given, "rb");
        if (!file) {
            rp_cli_complain(
                "score: --weight is '%s', must be a number or the file that --tune -o has written", given);
            return false;
        }
        size = fread(text, 1, sizeof text, file);
        fclose(file);
        if (rp_json_read(text, size, flags, &document, &mistake))
            value = rp_json_get(&document.root, "weight");
    }
    bool good = value && value->type == RP_JSON_REAL && value->real >= 0 && value->real <= 1e9;
    if (good)
        *out = value->real;
    else
        rp_cli_complain(
            "score: --weight is '%s', must be a number from 0 to 1e9, or a file with {\"weight\": "
            "such a number}, as --tune -o writes it",
            given);
    rp_json_finish(&document);
    return good;
}

/* ---- lists ---- */

static void put_text(rp_cli_buffer *out, rp_text text) {
    rp_cli_put(out, text.data, text.size);
}

static void put_float(rp_cli_buffer *out, double value) {
    char number[RP_JSON_NUMBER_SIZE];
    rp_json_float_text((float)value, number);
    rp_cli_puts(out, number);
}

/* A line of the list as it was, with one more feature and another total. */
static void put_line(rp_cli_buffer *out, uint64_t id, const rp_hypothesis *h, double weight) {
    rp_cli_printf(out, "%llu ||| ", (unsigned long long)id);
    put_text(out, h->text);
    rp_cli_puts(out, " ||| ");
    put_text(out, h->features);
    rp_cli_puts(out, h->features.size ? " PLL= " : "PLL= ");
    put_float(out, h->score);
    rp_cli_puts(out, " ||| ");
    rp_cli_json_double(out, h->total + weight * h->score);
    rp_cli_puts(out, "\n");
}

static void put_object(rp_cli_buffer *out, const rp_hypothesis *h, double weight) {
    rp_cli_puts(out, "{\"text\": ");
    rp_cli_json_string(out, h->text.data, h->text.size);
    rp_cli_puts(out, ", \"score\": ");
    put_float(out, h->score);
    rp_cli_printf(out, ", \"tokens\": %u, \"total\": ", h->tokens);
    rp_cli_json_double(out, h->total);
    rp_cli_puts(out, ", \"weighted\": ");
    rp_cli_json_double(out, h->total + weight * h->score);
    rp_cli_puts(out, "}");
}

static void put_list(rp_cli_buffer *out, const rp_cli_options *o, uint64_t id, const rp_hypothesis *items,
                     size_t count, double weight) {
    size_t shown = o->top_k ? o->top_k : 1;
    if (shown > count) shown = count;
    if (o->json) rp_cli_printf(out, "{\"id\": %llu, \"hypotheses\": [", (unsigned long long)id);
    for (size_t i = 0; i < shown; i++) {
        if (o->json) {
            if (i) rp_cli_puts(out, ", ");
            put_object(out, &items[i], weight);
        } else if (o->top_k) {
            put_line(out, id, &items[i], weight);
        } else {
            put_text(out, items[i].text);
            rp_cli_puts(out, "\n");
        }
    }
    if (o->json) rp_cli_puts(out, "]}\n");
}

/* The first hypothesis that was cut, at once. Returns how many of these were. */
static uint64_t say_cut(const char *file, uint64_t id, const rp_hypothesis *items, size_t count,
                        uint64_t before) {
    uint64_t cuts = 0;
    for (size_t i = 0; i < count; i++) {
        if (!items[i].left_out) continue;
        if (!before && !cuts)
            rp_cli_complain(
                "score: %s: id %llu, hypothesis %lu: the model does not take its last %lu tokens, which "
                "were left out (said once)",
                file, (unsigned long long)id, (unsigned long)items[i].place + 1,
                (unsigned long)items[i].left_out);
        cuts++;
    }
    return cuts;
}

static void say_cuts(uint64_t cuts, uint64_t hypotheses) {
    if (cuts > 1)
        rp_cli_complain("%llu of %llu hypotheses were cut in this way", (unsigned long long)cuts,
                        (unsigned long long)hypotheses);
}

/* Rank every list of the file; the exit status. */
static int rescore(const rp_cli_session *session, rp_nbest *list, double weight, rp_cli_output *out) {
    rp_error err = {0};
    uint64_t id = 0;
    rp_hypothesis *items;
    size_t count = 0;
    uint64_t cuts = 0, all = 0;
    for (;;) {
        if (rp_nbest_next(list, &id, &items, &count, &err)) break;
        if (!count) {
            say_cuts(cuts, all);
            return 0;
        }
        if (rp_nbest_score(session->model, items, count, NULL, &err)) {
            rp_cli_flush(out);
            rp_cli_complain("score: %s: id %llu: %s", session->options->nbest, (unsigned long long)id,
                            err.message);
            return 1;
        }
        cuts += say_cut(session->options->nbest, id, items, count, cuts);
        all += count;
        rp_nbest_rank(items, count, weight);
        put_list(&out->buffer, session->options, id, items, count, weight);
        if (!rp_cli_flush(out)) return 1;
    }
    rp_cli_complain("score: %s", err.message);
    return 1;
}

/* ---- the weight ---- */

static void put_tuning(rp_cli_buffer *out, const rp_nbest_tuning *t) {
    rp_cli_puts(out, "{\"weight\": ");
    rp_cli_json_double(out, t->weight);
    rp_cli_puts(out, ", \"chrf\": ");
    rp_cli_json_double(out, t->chrf);
    rp_cli_puts(out, ", \"chrf_before\": ");
    rp_cli_json_double(out, t->chrf_before);
    rp_cli_puts(out, ", \"chrf_possible\": ");
    rp_cli_json_double(out, t->chrf_possible);
    rp_cli_printf(out, ", \"lists\": %llu, \"hypotheses\": %llu}\n", (unsigned long long)t->lists,
                  (unsigned long long)t->hypotheses);
}

static int write_weight(const char *path, const rp_nbest_tuning *t) {
    rp_cli_buffer text = {0};
    put_tuning(&text, t);
    FILE *file = fopen(path, "wb");
    bool good = file && !text.cut && fwrite(text.data, 1, text.size, file) == text.size;
    int why = errno;
    if (file && fclose(file)) {
        why = errno;
        good = false;
    }
    free(text.data);
    if (!good) rp_cli_complain("score: %s: cannot be written: %s", path, strerror(why));
    return good ? 0 : 1;
}

static int tune(const rp_cli_session *session, rp_cli_output *out) {
    const rp_cli_options *o = session->options;
    rp_nbest_tuning t;
    rp_error err = {0};
    if (rp_nbest_tune(session->model, o->nbest, o->references, NULL, &t, &err)) {
        rp_cli_complain("score: %s", err.message);
        return 1;
    }
    if (t.cut)
        rp_cli_complain(
            "score: %s: %llu of %llu hypotheses are longer than the model takes: their rest was left out",
            o->nbest, (unsigned long long)t.cut, (unsigned long long)t.hypotheses);
    if (o->json) {
        put_tuning(&out->buffer, &t);
    } else {
        rp_cli_puts(&out->buffer, "weight  ");
        rp_cli_json_double(&out->buffer, t.weight);
        rp_cli_printf(&out->buffer,
                      "\nchrF    %.2f; without the scores %.2f, with the best of each list %.2f\n"
                      "        %llu lists, %llu hypotheses\n",
                      t.chrf, t.chrf_before, t.chrf_possible, (unsigned long long)t.lists,
                      (unsigned long long)t.hypotheses);
    }
    return o->output ? write_weight(o->output, &t) : 0;
}

/* ---- the command ---- */

static int run_lists(const rp_cli_options *options, rp_cli_output *out) {
    rp_cli_session session;
    rp_nbest *list = NULL;
    rp_error err = {0};
    double weight = 0;
    if (options->weight && !read_weight(options->weight, &weight)) return 2;
    if (rp_nbest_open(options->nbest, &list, &err) ||
        rp_cli_session_open(&session, &rp_cli_command_score, options, &err)) {
        rp_cli_complain("score: %s", err.message);
        rp_nbest_close(&list);
        return 1;
    }
    int status = options->tune ? tune(&session, out) : rescore(&session, list, weight, out);
    if (!rp_cli_session_verified(&session, "score") && !status) status = 1;
    rp_nbest_close(&list);
    rp_cli_session_close(&session);
    return status;
}

static int run(const rp_cli_options *options, rp_cli_output *out) {
    int wrong = check_options(options);
    if (wrong) return wrong;
    return options->nbest ? run_lists(options, out)
                          : rp_cli_answer_inputs(&rp_cli_command_score, options, out);
}

static const char help_score[] =
    "How likely a masked language model finds a text (its pseudo-log-likelihood):\n"
    "each token is masked in turn, and the logarithms of the probabilities that the\n"
    "model gives them are added up. Of sentences that say the same, the one that\n"
    "reads better has the higher score. A text longer than the model takes is cut,\n"
    "which is said once.\n"
    "\n"
    "With --nbest FILE, the hypotheses of a translation system, as Moses writes them\n"
    "  ID ||| HYPOTHESIS ||| FEATURES ||| TOTAL\n"
    "are ranked by TOTAL + W * score: the best of each ID is printed or, with --top-k\n"
    "N, the N best in the same format, with the feature PLL and the new total. --tune\n"
    "finds W on a dev set whose references are lines, the first for ID 0: with the\n"
    "highest mean chrF (chrF2 as sacrebleu computes it for a sentence). A hypothesis\n"
    "without a word is never first beside others.\n"
    "\n"
    "JSON: {\"score\", \"tokens\"}; key of --jsonl: text. With --nbest an object an ID:\n"
    "{\"id\", \"hypotheses\": [{\"text\", \"score\", \"tokens\", \"total\", \"weighted\"}]}; with\n"
    "--tune {\"weight\", \"chrf\", \"chrf_before\", \"chrf_possible\", \"lists\",\n"
    "\"hypotheses\"}.\n"
    "\n"
    "Examples:\n"
    "  reprise score \"She opened the door.\" \"She opened the doors door.\"\n"
    "  reprise score --json < sentences.txt > scores.jsonl\n"
    "  reprise score --nbest dev.nbest --tune --references dev.en -o weight.json\n"
    "  reprise score --nbest test.nbest --weight weight.json > test.en\n"
    "  reprise score --nbest test.nbest --weight 0.2 --top-k 10 > test.reranked\n";

const rp_cli_command rp_cli_command_score = {
    .name = "score",
    .arguments = "[TEXT...]",
    .summary = "how likely texts are; n-best lists ranked by it",
    .help = help_score,
    .options = RP_CLI_COMMON | RP_CLI_TOP_K | RP_CLI_SCORE,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "pretrained",
    .run = run_score,
    .people = people_score,
    .main = run,
};
