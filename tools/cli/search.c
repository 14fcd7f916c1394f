/* reprise index, search and rank: a file of texts that can be searched by what they mean, and texts in the
 * order of how well they answer a query. */
#include "session.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- index ---- */

static const char help_index[] =
    "Write an index of texts, in which search looks them up: the texts, their ids and\n"
    "their vectors, of length 1 in float16, as embed makes them. Texts are lines, the\n"
    "objects of --jsonl, rows of --csv and --tsv, or --files. Memory does not grow\n"
    "with them, but for 16 bytes a text. The file appears once it is whole. It names\n"
    "the model, and is searched with that model alone. A row that cannot be used ends\n"
    "it, with the row's file and line; with --skip-bad such rows are counted.\n"
    "\n"
    "JSON: {\"documents\", \"skipped\", \"dimensions\", \"bytes\"}; keys of --jsonl: text,\n"
    "id (may be left out: then it is the number of the document, from 0).\n"
    "\n"
    "Examples:\n"
    "  reprise index -f sentences.txt -o sentences.index\n"
    "  reprise index -m all-MiniLM-L6-v2 --jsonl -f docs.jsonl -o docs.index\n"
    "  reprise index --csv --text-column body --id-column url -f t.csv -o t.index\n"
    "  reprise index -m e5-small-v2 --prompt-text \"passage: \" -f t.txt -o t.index\n";

enum { MOST_DOCUMENTS = 256, SHOWN = 120 };

/* One run. */
typedef struct indexing {
    const rp_cli_options *options;
    rp_index_writer *writer;
    rp_call call;
    uint64_t documents, skipped, length;
} indexing;

static void take_progress(void *user, size_t done, size_t total) {
    indexing *x = user;
    (void)done, (void)total;
    if (rp_cli_stop_signal()) rp_call_cancel(&x->call);
}

/* A row that cannot be used. False: that ends it. */
static bool skip(indexing *x, const rp_cli_item *item, const char *why) {
    if (rp_cli_stop_signal()) return false; /* which may be why */
    if (x->options->skip_bad) {
        x->skipped++;
        return true;
    }
    rp_cli_progress_end();
    bool files = x->options->each_file; /* whose names are the ids */
    const char *name = item->name ? item->name : files ? item->pair.data : "";
    size_t size = strlen(name);
    if (size > SHOWN) name += size - SHOWN;
    if ((item->table || files) && item->failed) /* the message has file and line */
        rp_cli_complain("index: %s", why);
    else if (files)
        rp_cli_complain("index: %s: %s", name, why);
    else if (!item->line_number)
        rp_cli_complain("index: text %zu: %s", item->number, why);
    else
        rp_cli_complain("index: %s, line %llu: %s", name, (unsigned long long)item->line_number, why);
    return false;
}

/* Add items[0..count); the first that cannot be used divides them. */
static bool add(indexing *x, const rp_cli_item *const *items, const rp_document *documents, size_t count) {
    while (count) {
        rp_error err = {0};
        size_t bad;
        rp_status status = rp_index_add(x->writer, documents, count, &bad, &err);
        if (status == RP_ERROR_DEVICE_LOST) status = rp_index_add(x->writer, documents, count, &bad, &err);
        if (!status) {
            x->documents += count;
            return true;
        }
        if (status != RP_ERROR_TEXT || bad >= count) {
            rp_cli_progress_end();
            if (!rp_cli_stop_signal()) rp_cli_complain("index: %s", err.message);
            return false;
        }
        const char *why = strstr(err.message, ": "); /* behind its number in this call */
        if (!skip(x, items[bad], why ? why + 2 : err.message)) return false;
        if (!add(x, items, documents, bad)) return false;
        items += bad + 1;
        documents += bad + 1;
        count -= bad + 1;
    }
    return true;
}

static bool add_batch(indexing *x, const rp_cli_items *items) {
    rp_document documents[MOST_DOCUMENTS];
    const rp_cli_item *good[MOST_DOCUMENTS];
    size_t count = 0;
    for (size_t i = 0; i < items->count; i++) {
        const rp_cli_item *item = &items->list[i];
        if (item->failed && !skip(x, item, item->error)) return false;
        if (item->failed) continue;
        good[count] = item;
        documents[count++] = (rp_document){item->text, item->pair, item->bare};
    }
    return add(x, good, documents, count);
}

static bool read_all(indexing *x, rp_cli_input *input) {
    rp_cli_items items = {0};
    bool failed = false, good = true, shown = isatty(STDERR_FILENO);
    if (shown) rp_cli_progress_begin();
    while (good && !rp_cli_stop_signal() &&
           rp_cli_input_batch(input, &items, MOST_DOCUMENTS, SIZE_MAX, &failed)) {
        good = add_batch(x, &items);
        rp_cli_items_clear(&items);
        if (shown && input->length)
            rp_cli_progress(input->consumed - (input->end - input->begin), input->length,
                            (size_t)x->documents);
    }
    if (shown) rp_cli_progress_end();
    free(items.list);
    return good && !failed && !rp_cli_stop_signal();
}

static void report(const indexing *x, uint32_t width, rp_cli_output *out) {
    struct stat info = {0};
    stat(x->options->output, &info);
    unsigned long long documents = x->documents, skipped = x->skipped,
                       bytes = (unsigned long long)info.st_size;
    if (x->options->json) {
        rp_cli_printf(&out->buffer,
                      "{\"documents\": %llu, \"skipped\": %llu, \"dimensions\": %u, \"bytes\": %llu}\n",
                      documents, skipped, (unsigned)width, bytes);
        return;
    }
    rp_cli_printf(&out->buffer, "%llu document%s", documents, documents == 1 ? "" : "s");
    if (skipped) rp_cli_printf(&out->buffer, ", %llu left out", skipped);
    rp_cli_printf(&out->buffer, ", vectors of %u, %llu bytes: %s\n", (unsigned)width, bytes,
                  x->options->output);
}

/* The numbers of a vector, as the file has them. */
static uint32_t width_of(const char *path) {
    rp_index *index = NULL;
    rp_error err;
    uint32_t width = 0;
    if (!rp_index_open(NULL, path, NULL, &index, &err)) width = rp_index_get_info(index)->width;
    rp_index_close(&index);
    return width;
}

/* The exit status. */
static int write_index(const rp_cli_session *session, rp_cli_input *input, rp_cli_output *out) {
    const rp_cli_options *o = session->options;
    indexing x = {.options = o};
    x.call = (rp_call){.progress = take_progress, .user = &x};
    const rp_index_params params = {.pooling = o->pooling,
                                    .dimensions = o->dimensions,
                                    .prompt_name = o->prompt_name,
                                    .prompt = o->prompt,
                                    .call = &x.call};
    rp_error err = {0};
    rp_cli_stop_expected(true);
    rp_status status = rp_index_create(session->model, o->output, &params, &x.writer, &err);
    bool good = !status && read_all(&x, input);
    if (good) status = rp_index_finish(&x.writer, &err);
    rp_index_abandon(&x.writer);
    rp_cli_stop_expected(false);
    if (rp_cli_stop_signal()) return 128 + rp_cli_stop_signal();
    if (status) rp_cli_complain("index: %s", err.message);
    if (!good || status) return 1;
    report(&x, width_of(o->output), out);
    return 0;
}

static rp_status answer_nothing(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                                rp_result **out, rp_error *err) {
    (void)session, (void)items, (void)count, (void)out, (void)err;
    return RP_OK;
}

static int index_main(const rp_cli_options *options, rp_cli_output *out) {
    static const rp_cli_command command = {.name = "index", .bundled = "similarity", .run = answer_nothing};
    rp_cli_session session;
    rp_cli_input input;
    rp_error err = {0};
    if (!options->output) {
        rp_cli_complain("index: needs the name of the file to write, -o FILE; try 'reprise index --help'");
        return 2;
    }
    rp_status status = rp_cli_input_open(&input, "index", RP_CLI_SHAPE_DOCUMENT, options);
    if (status) return status == RP_ERROR_ARGUMENT ? 2 : 1;
    input.wake = rp_cli_stop_open(); /* so that a signal ends the wait for a text, and the file is removed */
    int exit_status = 1;
    if (rp_cli_session_open(&session, &command, options, &err))
        rp_cli_complain("index: %s", err.message);
    else
        exit_status = write_index(&session, &input, out);
    rp_cli_session_close(&session);
    rp_cli_input_close(&input);
    return exit_status;
}

const rp_cli_command rp_cli_command_index = {
    .name = "index",
    .arguments = "[TEXT...] -o FILE",
    .summary = "an index of texts, to be searched",
    .help = help_index,
    .options = RP_CLI_MODEL | RP_CLI_FILE | RP_CLI_JSON | RP_CLI_JSONL | RP_CLI_DEVICE | RP_CLI_PRECISION |
               RP_CLI_POOLING | RP_CLI_INDEX,
    .main = index_main,
};

/* ---- search ---- */

static const char help_search[] =
    "The texts of an index that are nearest to each query, best first, by the cosine\n"
    "of their vectors. The device compares the query with every text: the answer is\n"
    "exact. Needs the model that made the index.\n"
    "\n"
    "JSON: [{\"score\", \"id\", \"text\"}], ten unless --top-k says otherwise (4096 at\n"
    "most); key of --jsonl: query, or text.\n"
    "\n"
    "Examples:\n"
    "  reprise search -i docs.index \"how do I renew a card?\"\n"
    "  reprise search -m all-MiniLM-L6-v2 -i docs.index --json -k 3 < queries.txt\n"
    "  reprise search -i docs.index --threshold 0.5 --jsonl -f queries.jsonl\n";

static rp_status run_search(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                            rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_search_params params = {.top_k = o->top_k,
                                     .has_threshold = o->has_threshold,
                                     .threshold = (float)o->least_score,
                                     .prompt_name = o->prompt_name,
                                     .prompt = o->prompt};
    rp_text *texts = rp_cli_texts_of(items, count);
    rp_status status = rp_search(session->index, session->model, texts, count, &params, out, err);
    free(texts);
    return status;
}

static void put_line(rp_cli_people *p, double score, const char *name, size_t name_size, rp_text text) {
    rp_cli_printf(p->out, "  %8.4f  ", score);
    int columns = rp_cli_people_text(p, name, name_size, p->terminal ? 24 : 0);
    rp_cli_puts(p->out, "  ");
    int room = p->width - columns - 14;
    rp_cli_people_text(p, text.data ? text.data : "", text.size, !p->terminal ? 0 : room > 20 ? room : 20);
    rp_cli_puts(p->out, "\n");
}

static void people_hits(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_hit *hits = rp_result_hits(answer->result, answer->index, &count);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    for (size_t i = 0; i < count; i++)
        put_line(p, hits[i].score, hits[i].id.data, hits[i].id.size, hits[i].text);
    if (!count) rp_cli_puts(p->out, "  nothing\n");
}

const rp_cli_command rp_cli_command_search = {
    .name = "search",
    .arguments = "--index FILE [QUERY...]",
    .summary = "the texts of an index that are nearest to a query",
    .help = help_search,
    .options = RP_CLI_COMMON | RP_CLI_TOP_K | RP_CLI_SEARCH,
    .shape = RP_CLI_SHAPE_TEXT,
    .bundled = "similarity",
    .run = run_search,
    .people = people_hits,
};

/* ---- rank ---- */

static const char help_rank[] =
    "Put texts in the order of how well they answer a query. A cross-encoder (a\n"
    "sequence classifier) reads the query with each text: with one label the score is\n"
    "its sigmoid, or the raw value where config.json says so or --raw is given, as\n"
    "sentence-transformers' CrossEncoder has it; with several it is the probability\n"
    "of the one that begins with entail, positive, relevant or duplicate, or of the\n"
    "second of two. Any other model embeds both, and the score is their cosine.\n"
    "Arguments are one query and its texts; a plain line is the same with tabs\n"
    "between.\n"
    "\n"
    "JSON: [{\"index\", \"score\"}], best first; index counts the texts from 0. Keys of\n"
    "--jsonl: query, documents (an array of strings).\n"
    "\n"
    "Examples:\n"
    "  reprise rank -m ms-marco-MiniLM-L-6-v2 \"who wrote it?\" \"Ada did.\" \"It rains.\"\n"
    "  reprise rank -m all-MiniLM-L6-v2 --jsonl -k 3 < candidates.jsonl\n";

static rp_status run_rank(const rp_cli_session *session, const rp_cli_item *const *items, size_t count,
                          rp_result **out, rp_error *err) {
    const rp_cli_options *o = session->options;
    const rp_rank_params params = {.score = o->raw_scores ? RP_RANK_SCORE_RAW : RP_RANK_SCORE_DEFAULT,
                                   .top_k = o->top_k,
                                   .prompt_name = o->prompt_name,
                                   .prompt = o->prompt};
    rp_ranking *rankings = rp_cli_calloc(count, sizeof *rankings);
    for (size_t i = 0; i < count; i++)
        rankings[i] = (rp_ranking){items[i]->text, items[i]->choices, items[i]->choice_count};
    rp_status status = rp_rank(session->model, rankings, count, &params, out, err);
    free(rankings);
    return status;
}

static void people_ranked(const rp_cli_answer *answer, rp_cli_people *p) {
    size_t count = 0;
    const rp_ranked *ranked = rp_result_ranked(answer->result, answer->index, &count);
    rp_cli_people_heading(p, answer->item->text, (rp_text){0});
    for (size_t i = 0; i < count; i++)
        if (ranked[i].index < answer->item->choice_count) {
            rp_cli_buffer number = {0};
            rp_cli_printf(&number, "%zu", ranked[i].index);
            put_line(p, ranked[i].score, number.data ? number.data : "", number.size,
                     answer->item->choices[ranked[i].index]);
            free(number.data);
        }
}

const rp_cli_command rp_cli_command_rank = {
    .name = "rank",
    .arguments = "[QUERY TEXT...]",
    .summary = "texts in the order of how well they answer a query",
    .help = help_rank,
    .options = RP_CLI_COMMON | RP_CLI_TOP_K | RP_CLI_RANK,
    .shape = RP_CLI_SHAPE_RANKING,
    .bundled = "similarity",
    .run = run_rank,
    .people = people_ranked,
};
