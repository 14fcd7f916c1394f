/* Summaries of a document's own sentences: which of them stand for the others. */
#include "reprise/summarize.h"

#include <math.h>

#include "loader/json.h"
#include "loader/sentences.h"
#include "loader/unicode.h"
#include "tasks/task.h"

/* How much being like the document counts beside being unlike what is chosen already; and how much the first
 * sentence has in advance of the last. */
static const double RELEVANCE = 0.8, BEGINNING = 0.05;

/* Two sentences say the same: by their words in common among all of both, and by the cosine of vectors that
 * were made to be compared. Vectors of other models are near to each other whatever is said. */
static const double SAME_WORDS = 0.65, SAME_COSINE = 0.85;

/* What rp_entry.app points to. */
typedef struct summary {
    rp_sentence *sentences; // [count]
    rp_place *places;       // [count]
    size_t count;
} summary;

/* A sentence that is weighed. */
typedef struct candidate {
    const float *vector; // of length 1; NULL: it is no candidate (any more)
    uint64_t *words;     // [word_count] hashes, ascending, each once
    size_t word_count;
    double relevance, nearest; // to the document; to those that are chosen
} candidate;

typedef struct document {
    rp_text text;
    rp_sentences sentences;
    candidate *list; // [sentences.count]
    size_t columns, usable;
    double mean, same; // of all cosines; the cosine of sentences that say the same
    uint64_t *hashes;  // of all words
    size_t *chosen;    // [chosen_count]
    size_t chosen_count;
    rp_result *vectors;
} document;

static rp_text text_of(const document *d, size_t i) {
    rp_span span = d->sentences.items[i];
    return (rp_text){d->text.data + span.start, span.end - span.start};
}

/* ---- words ---- */

static int by_value(const void *left, const void *right) {
    const uint64_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

/* The words of a sentence, in small letters, as hashes (FNV-1a); returns how many, each once. */
static size_t hash_words(rp_text text, uint64_t *out) {
    const uint64_t start = 0xcbf29ce484222325;
    uint64_t hash = start;
    size_t count = 0, kept = 0;
    for (size_t at = 0; at <= text.size;) {
        uint32_t code = at < text.size ? rp_utf8_next(text.data, &at) : (at++, ' ');
        bool wide = code >= 0x2e80 && rp_char_is_word(code); // a word of Chinese may be one character
        if ((!rp_char_is_word(code) || wide) && hash != start) {
            out[count++] = hash;
            hash = start;
        }
        if (!rp_char_is_word(code)) continue;
        uint32_t lower[RP_LOWERED_MAX];
        for (size_t i = 0, size = rp_char_lower(code, lower); i < size; i++)
            hash = (hash ^ lower[i]) * 0x100000001b3;
        if (!wide) continue;
        out[count++] = hash;
        hash = start;
    }
    if (count) qsort(out, count, sizeof *out, by_value);
    for (size_t i = 0; i < count; i++)
        if (!kept || out[i] != out[kept - 1]) out[kept++] = out[i];
    return kept;
}

/* The part of the words of both that both have. */
static double common_words(const candidate *a, const candidate *b) {
    size_t common = 0, i = 0, k = 0;
    while (i < a->word_count && k < b->word_count) {
        bool left = a->words[i] <= b->words[k], right = b->words[k] <= a->words[i];
        common += left && right;
        i += left;
        k += right;
    }
    size_t all = a->word_count + b->word_count - common;
    return all ? (double)common / (double)all : 1;
}

/* ---- weighing ---- */

static double dot(const float *a, const float *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Of sentences with the same words only the first is a candidate. */
typedef struct signature {
    uint64_t hash;
    size_t place;
} signature;

static int by_signature(const void *left, const void *right) {
    const signature *a = left, *b = right;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static rp_status drop_repeated(document *d, rp_error *err) {
    size_t count = d->sentences.count;
    signature *list = rp_new_array(signature, count);
    if (!list) return rp_fail_memory(err, "the sentences of a document", count * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i] = (signature){0xcbf29ce484222325, i};
        for (size_t k = 0; k < d->list[i].word_count; k++)
            list[i].hash = (list[i].hash ^ d->list[i].words[k]) * 0x100000001b3;
    }
    qsort(list, count, sizeof *list, by_signature);
    for (size_t i = 1; i < count; i++)
        if (list[i].hash == list[i - 1].hash) d->list[list[i].place].vector = NULL;
    free(list);
    return RP_OK;
}

/* The sum over all candidates of their vectors, each as often as `weights` says (NULL: once). */
static void add_up(const document *d, const double *weights, double *sum) {
    memset(sum, 0, d->columns * sizeof *sum);
    for (size_t i = 0; i < d->sentences.count; i++)
        for (size_t c = 0; d->list[i].vector && c < d->columns; c++)
            sum[c] += (weights ? weights[i] : 1) * d->list[i].vector[c];
}

/* Centrality: how near a sentence is to the others, where those that are central themselves count more. These
 * are steps of the power method for the matrix of cosines less their mean, as in LexRank; what is below the
 * mean counts nothing. It takes no matrix: cosines with all are one product with the sum of the vectors. */
static void find_centrality(document *d, double *weights, double *sum) {
    enum { STEPS = 6 };
    size_t count = d->sentences.count;
    double n = (double)d->usable, square = 0;
    add_up(d, NULL, sum);
    for (size_t c = 0; c < d->columns; c++) square += sum[c] * sum[c];
    d->mean = n > 1 ? (square - n) / (n * (n - 1)) : 0;
    for (size_t i = 0; i < count; i++) weights[i] = d->list[i].vector ? 1 : 0;
    for (int step = 0; step < STEPS; step++) {
        double total = 0, most = 0;
        add_up(d, weights, sum);
        for (size_t i = 0; i < count; i++) total += weights[i];
        for (size_t i = 0; i < count; i++) {
            candidate *s = &d->list[i];
            s->relevance = 0;
            if (!s->vector) continue;
            for (size_t c = 0; c < d->columns; c++) s->relevance += sum[c] * s->vector[c];
            s->relevance -= weights[i] + d->mean * (total - weights[i]); // without itself
            if (s->relevance < 0) s->relevance = 0;
            if (s->relevance > most) most = s->relevance;
        }
        for (size_t i = 0; i < count; i++)
            weights[i] = d->list[i].relevance = most > 0 ? d->list[i].relevance / most : 0;
    }
}

static rp_status weigh(document *d, rp_error *err) {
    size_t count = d->sentences.count;
    double *weights = rp_new_array(double, count), *sum = rp_new_array(double, d->columns);
    rp_status status = weights && sum ? RP_OK
                                      : rp_fail_memory(err, "the sentences of a document",
                                                       (count + d->columns) * sizeof *sum);
    if (!status) find_centrality(d, weights, sum);
    for (size_t i = 0; !status && i < count; i++) {
        d->list[i].relevance += BEGINNING * (1 - (double)i / (double)count);
        d->list[i].nearest = (double)-INFINITY;
    }
    free(weights);
    free(sum);
    return status;
}

/* ---- coherence ---- */

/* Add to each sentence how well it stands between its neighbours. One pair that cannot be read counts
 * nothing. */
static rp_status add_coherence(document *d, rp_model *model, double weight, const rp_call *call,
                               rp_error *err) {
    const rp_coherence_params params = {.call = call};
    const size_t count = d->sentences.count, pairs = count ? count - 1 : 0;
    rp_input *inputs = rp_new_array(rp_input, pairs);
    rp_result *result = NULL;
    rp_status status =
        inputs ? RP_OK : rp_fail_memory(err, "the sentences of a document", pairs * sizeof *inputs);
    for (size_t i = 0; !status && i < pairs; i++) inputs[i] = (rp_input){text_of(d, i), text_of(d, i + 1)};
    if (!status) status = rp_coherence(model, inputs, pairs, &params, &result, err);
    for (size_t i = 0; !status && i < pairs; i++) {
        double in_order = (double)rp_result_in_order(result, i);
        if (in_order < 0) continue;
        d->list[i].relevance += weight * in_order / (i ? 2 : 1);
        d->list[i + 1].relevance += weight * in_order / (i + 2 < count ? 2 : 1);
    }
    rp_result_free(&result);
    free(inputs);
    return status;
}

/* ---- choosing ---- */

/* The candidate with the most relevance that is least like those that are chosen; count: there is none. */
static size_t best_candidate(const document *d) {
    size_t best = d->sentences.count;
    double most = (double)-INFINITY;
    for (size_t i = 0; i < d->sentences.count; i++) {
        const candidate *s = &d->list[i];
        if (!s->vector) continue;
        double value = RELEVANCE * s->relevance;
        if (d->chosen_count) value -= (1 - RELEVANCE) * s->nearest;
        if (value <= most) continue;
        most = value;
        best = i;
    }
    return best;
}

static void choose(document *d, size_t i) {
    const candidate chosen = d->list[i];
    d->chosen[d->chosen_count++] = i;
    d->list[i].vector = NULL;
    for (size_t k = 0; k < d->sentences.count; k++) {
        candidate *s = &d->list[k];
        if (!s->vector) continue;
        double near = dot(s->vector, chosen.vector, d->columns);
        if (near > s->nearest) s->nearest = near;
        if (near >= d->same || common_words(s, &chosen) >= SAME_WORDS) s->vector = NULL;
    }
}

static int by_place(const void *left, const void *right) {
    const size_t *a = left, *b = right;
    return *a < *b ? -1 : *a > *b;
}

static rp_status choose_all(document *d, size_t wanted, rp_error *err) {
    rp_status status = RP_OK;
    if (wanted > d->sentences.count) wanted = d->sentences.count;
    d->chosen = rp_new_array(size_t, wanted);
    if (!d->chosen) return rp_fail_memory(err, "a summary", wanted * sizeof *d->chosen);
    while (!status && d->chosen_count < wanted) {
        size_t best = best_candidate(d);
        if (best == d->sentences.count) break;
        choose(d, best);
        status = rp_call_check(err);
    }
    qsort(d->chosen, d->chosen_count, sizeof *d->chosen, by_place);
    return status;
}

/* ---- one document ---- */

/* Find the sentences; what is wrong with the document is told in `*why`, with its status. */
static rp_status find_sentences(document *d, rp_error *why) {
    if (!d->text.data) d->text = (rp_text){"", 0};
    if (d->text.size > RP_TEXT_BYTES_MAX)
        return rp_fail(why, RP_ERROR_TEXT,
                       "the document has %zu bytes, and at most %d are read: cut it into parts", d->text.size,
                       RP_TEXT_BYTES_MAX);
    size_t bad = rp_utf8_check(d->text.data, d->text.size);
    if (bad < d->text.size)
        return rp_fail(why, RP_ERROR_TEXT, "the text is not valid UTF-8 at byte %zu; convert it to UTF-8",
                       bad);
    if (!rp_sentences_find(d->text, &d->sentences))
        return rp_fail_memory(why, "the sentences of a document", d->sentences.count * sizeof(rp_span));
    if (d->sentences.count > RP_SUMMARIZED_SENTENCES_MAX)
        return rp_fail(why, RP_ERROR_TEXT,
                       "the document has %zu sentences, and at most %d are weighed: cut it into parts",
                       d->sentences.count, RP_SUMMARIZED_SENTENCES_MAX);
    return RP_OK;
}

/* The vectors and words of the sentences. A sentence without a vector is no candidate; where none has one,
 * `*why` says why of the first. */
static rp_status embed(document *d, rp_model *model, const rp_call *call, rp_error *why, rp_error *err) {
    const rp_embed_params params = {.normalize = RP_NORMALIZE_YES, .call = call};
    size_t count = d->sentences.count, bytes = 0, used = 0;
    rp_text *texts = rp_new_array(rp_text, count);
    d->list = rp_new_array(candidate, count);
    for (size_t i = 0; i < count; i++) bytes += d->sentences.items[i].end - d->sentences.items[i].start;
    d->hashes = rp_new_array(uint64_t, bytes);
    rp_status status = texts && d->list && d->hashes
                           ? RP_OK
                           : rp_fail_memory(err, "the sentences of a document", bytes * sizeof *d->hashes);
    for (size_t i = 0; !status && i < count; i++) {
        texts[i] = text_of(d, i);
        d->list[i].words = d->hashes + used;
        used += d->list[i].word_count = hash_words(texts[i], d->list[i].words);
    }
    if (!status) status = rp_embed(model, texts, count, &params, &d->vectors, err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *message = "";
        size_t rows, columns;
        rp_status entry = rp_result_status(d->vectors, i, &message);
        if (entry && !why->status) rp_fail(why, entry, "sentence %zu: %s", i + 1, message);
        d->list[i].vector = rp_result_vectors(d->vectors, i, &rows, &columns);
        if (d->list[i].vector) d->columns = columns;
    }
    if (d->columns) *why = (rp_error){0};
    free(texts);
    return status;
}

static rp_status write_summary(const document *d, rp_result *result, size_t entry, rp_error *err) {
    size_t count = d->chosen_count;
    rp_span *spans = rp_new_array(rp_span, count);
    summary *s = rp_result_array(result, NULL, 1, sizeof *s, err);
    if (!spans || !s) {
        free(spans);
        return rp_fail_memory(err, "a summary", count * sizeof *spans);
    }
    for (size_t i = 0; i < count; i++) spans[i] = d->sentences.items[d->chosen[i]];
    s->count = count;
    s->sentences = rp_result_array(result, NULL, count, sizeof *s->sentences, err);
    s->places = rp_result_places(result, spans, count, d->text, err);
    rp_status status = s->sentences && s->places ? RP_OK : RP_ERROR_HOST_MEMORY;
    for (size_t i = 0; !status && i < count; i++) {
        rp_text text = text_of(d, d->chosen[i]);
        s->sentences[i] = (rp_sentence){.text = rp_result_text(result, text.data, text.size, err),
                                        .span = spans[i],
                                        .score = (float)d->list[d->chosen[i]].relevance};
        if (!s->sentences[i].text) status = RP_ERROR_HOST_MEMORY;
    }
    free(spans);
    result->entries[entry].app = s;
    return status;
}

static void finish(document *d) {
    free(d->sentences.items);
    free(d->list);
    free(d->hashes);
    free(d->chosen);
    rp_result_free(&d->vectors);
}

static rp_status summarize(document *d, rp_model *model, const rp_summarize_params *params, rp_result *result,
                           size_t entry, rp_error *err) {
    rp_error why = {0};
    const rp_call *call = params ? params->call : NULL;
    rp_status status = find_sentences(d, &why);
    if (status) return rp_result_blame(result, entry, status, &why, err);
    status = embed(d, model, call, &why, err);
    if (status) return status;
    if (why.status) return rp_result_blame(result, entry, why.status, &why, err);
    status = drop_repeated(d, err);
    for (size_t i = 0; !status && i < d->sentences.count; i++) d->usable += d->list[i].vector != NULL;
    if (!status) status = weigh(d, err);
    if (!status && params && params->coherence != 0)
        status = add_coherence(d, model, (double)params->coherence, call, err);
    /* Folders of sentence-transformers say more of pooling than others. */
    bool compared = model->pooling.module_count || model->pooling.max_seq_length;
    d->same = compared ? SAME_COSINE : (double)INFINITY;
    if (!status) status = choose_all(d, params && params->sentences ? params->sentences : 3, err);
    return status ? status : write_summary(d, result, entry, err);
}

/* ---- the call ---- */

static void write_sentences(rp_answer_writer *w, const rp_entry *entry) {
    const summary *s = entry->app;
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < s->count; i++) {
        const rp_sentence *sentence = &s->sentences[i];
        rp_json_write_open(&w->json, NULL, '{');
        rp_json_write_text(&w->json, "text", sentence->text, sentence->span.end - sentence->span.start);
        rp_answer_span(w, sentence->span, &s->places[i]);
        rp_answer_float(w, "score", sentence->score);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

static rp_status check_coherence(const rp_model *model, float weight, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(model);
    if (!(weight >= -1 && weight <= 1))
        return rp_fail(err, RP_ERROR_ARGUMENT, "coherence must be a number from -1 to 1");
    if (weight != 0 && !(info->heads & RP_HEAD_ORDER))
        return rp_fail(
            err, RP_ERROR_HEAD,
            "%s: has no head for the order of sentences, which coherence asks; leave it out, or name a "
            "model as it was pre-trained",
            rp_path_shown(info->dir));
    return RP_OK;
}

rp_status rp_summarize(rp_model *model, const rp_text *documents, size_t count,
                       const rp_summarize_params *params, rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .command = "summarize",
                    .write = write_sentences,
                    .inputs = documents,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    task.visit.whole = true; // the calls for the sentences of a document are parts of this one
    if (params && params->sentences > RP_SUMMARY_MAX)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "sentences is %u, must be at most %d", params->sentences,
                         RP_SUMMARY_MAX);
    if (!status && params) status = check_coherence(model, params->coherence, err);
    for (size_t i = 0; !status && i < count; i++) {
        document d = {.text = documents[i]};
        status = summarize(&d, model, params, *out, i, err);
        finish(&d);
        if (!status) rp_call_progress(i + 1);
    }
    return rp_task_end(&task, status);
}

const rp_sentence *rp_result_sentences(const rp_result *result, size_t i, size_t *count) {
    bool there = result && i < result->count && !result->entries[i].status &&
                 result->write == write_sentences && result->entries[i].app;
    const summary *s = there ? result->entries[i].app : NULL;
    if (count) *count = s ? s->count : 0;
    return s && s->count ? s->sentences : NULL;
}
