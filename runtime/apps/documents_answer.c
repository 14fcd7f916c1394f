/* Answers from documents: passages are found for each question, and what the model says of all of them is
 * weighed together. */
#include <math.h>

#include "apps/passages.h"
#include "base/call.h"
#include "loader/unicode.h"
#include "tasks/task.h"

enum { PASSAGES = 5, MOST_PASSAGES = 1000, READ = 1000 }; /* READ: passages at a time, for memory's sake */

typedef struct reader {
    const rp_documents *documents;
    const rp_text *questions;
    rp_result *result;
    rp_document_params params;
    float weight;
    size_t first, count;   // the questions that are read together
    rp_passage *passages;  // [count * room] found for each of them
    size_t *counts;        // [count] of them
    rp_question *contexts; // [context_count] what is read, question by question
    size_t context_count, room;
} reader;

/* An answer among those of all passages of its question. */
typedef struct ranked {
    double score;
    const rp_answer *answer;
    const rp_passage *passage;
} ranked;

static int by_score(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return a->passage < b->passage ? -1 : a->passage > b->passage; /* the better found one */
}

/* ---- as JSON ---- */

static void put_answer(rp_answer_writer *w, const rp_entry *entry, size_t i) {
    const rp_answer *answer = &entry->answers[i];
    const rp_source *sources = entry->app;
    rp_json_write_open(&w->json, NULL, '{');
    rp_answer_float(w, "score", answer->score);
    rp_answer_span(w, answer->span, &entry->places[i]);
    rp_json_write_text(&w->json, "answer", answer->text, answer->span.end - answer->span.start);
    rp_json_write_string(&w->json, "document", sources[i].document);
    rp_json_write_close(&w->json, '}');
}

static void write_answers(rp_answer_writer *w, const rp_entry *entry) {
    if (!w->result->many) {
        put_answer(w, entry, 0);
        return;
    }
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < entry->count; i++) put_answer(w, entry, i);
    rp_json_write_close(&w->json, ']');
}

const rp_source *rp_result_sources(const rp_result *result, size_t i, size_t *count) {
    bool there = result && result->write == write_answers && i < result->count && !result->entries[i].status;
    if (count) *count = there ? result->entries[i].count : 0;
    return there ? result->entries[i].app : NULL;
}

/* ---- finding ---- */

static rp_status find_for(reader *r, size_t i, rp_error *err) {
    const rp_text question = r->questions[r->first + i];
    rp_passage *found = r->passages + i * r->room;
    if (!question.data || !question.size)
        return rp_fail(err, RP_ERROR_TEXT, "the question is empty: ask something");
    rp_status status = rp_documents_find(r->documents, question, found, r->room, &r->counts[i], err);
    for (size_t k = 0; !status && k < r->counts[i]; k++)
        r->contexts[r->context_count++] = (rp_question){question, found[k].text};
    return status;
}

static rp_status find_all(reader *r, rp_error *err) {
    rp_status status = RP_OK;
    r->context_count = 0;
    for (size_t i = 0; !status && i < r->count; i++) {
        rp_error why = {0};
        r->counts[i] = 0;
        status = rp_result_blame(r->result, r->first + i, find_for(r, i, &why), &why, err);
    }
    return status;
}

/* ---- weighing ---- */

/* Where bytes `span` of the document of `passage` are in code points and in units of UTF-16. */
static rp_place place_of(const rp_passage *passage, rp_span span) {
    const char *text = passage->text.data - passage->start;
    rp_place place = {0};
    uint32_t points = 0, units = 0;
    for (uint32_t at = 0; at <= span.end; at++) {
        if (at == span.start) place.points.start = points, place.units.start = units;
        if (at == span.end) place.points.end = points, place.units.end = units;
        unsigned char byte = at < span.end ? (unsigned char)text[at] : 0x80;
        points += (byte & 0xc0) != 0x80;
        units += ((byte & 0xc0) != 0x80) + (byte >= 0xf0);
    }
    return place;
}

static rp_status set_entry(reader *r, size_t i, const ranked *best, size_t count, rp_error *err) {
    rp_entry *entry = &r->result->entries[i];
    size_t room = count ? count : 1;
    entry->answers = rp_result_array(r->result, NULL, room, sizeof *entry->answers, err);
    entry->places = rp_result_array(r->result, NULL, room, sizeof *entry->places, err);
    rp_source *sources = rp_result_array(r->result, NULL, room, sizeof *sources, err);
    if (!entry->answers || !entry->places || !sources) return RP_ERROR_HOST_MEMORY;
    entry->app = sources;
    entry->count = room;
    if (!count) {
        entry->answers[0].text = "";
        sources[0].document = "";
    }
    for (size_t k = 0; k < count; k++) {
        const rp_passage *passage = best[k].passage;
        const rp_span in = best[k].answer ? best[k].answer->span : (rp_span){0};
        const uint32_t start = (uint32_t)passage->start, end = start + (uint32_t)passage->text.size;
        const bool none = in.end == in.start;
        rp_span span = none ? in : (rp_span){start + in.start, start + in.end};
        const rp_text read = none ? (rp_text){0} : passage->text;
        const char *text = rp_result_text(r->result, passage->text.data + in.start, in.end - in.start, err);
        const char *context = read.data ? rp_result_text(r->result, read.data, read.size, err) : NULL;
        const char *name =
            rp_result_text(r->result, passage->document, none ? 0 : strlen(passage->document), err);
        if (!text || !name || (read.data && !context)) return RP_ERROR_HOST_MEMORY;
        entry->answers[k] = (rp_answer){(float)best[k].score, span, text};
        if (!none) entry->places[k] = place_of(passage, span);
        sources[k] = (rp_source){.document = name,
                                 .passage = none ? span : (rp_span){start, end},
                                 .text = {context, read.size},
                                 .found = passage->score,
                                 .logit = best[k].answer ? best[k].answer->score : 0};
    }
    return RP_OK;
}

/* log(exp(a) + exp(b)) */
static double add_logs(double a, double b) {
    double most = a > b ? a : b;
    return most + log1p(exp((a > b ? b : a) - most));
}

/* The answers to question `number` of these, of whose passages the entries of `read` from `first` on are. */
static rp_status weigh(reader *r, size_t number, const rp_result *read, size_t first, rp_error *err) {
    const size_t count = r->counts[number], top_k = r->params.top_k ? r->params.top_k : 1;
    const size_t i = r->first + number;
    const rp_passage *passages = r->passages + number * r->room;
    double starts = -INFINITY, ends = -INFINITY, none = INFINITY;
    size_t all = 1, used = 0;
    for (size_t k = 0; k < count; k++) {
        const rp_entry *entry = &read->entries[first + k];
        const double prior = r->weight * ((double)passages[k].score - passages[0].score);
        if (entry->status) {
            const rp_error why = {entry->status, ""};
            rp_result_fail(r->result, i, &why);
            r->result->entries[i].message =
                rp_result_text(r->result, entry->message, strlen(entry->message), err);
            return r->result->entries[i].message ? RP_OK : RP_ERROR_HOST_MEMORY;
        }
        starts = k ? add_logs(starts, entry->starts + prior / 2) : entry->starts;
        ends = k ? add_logs(ends, entry->ends + prior / 2) : entry->ends;
        if (entry->none < none) none = entry->none;
        all += entry->count;
    }
    ranked *list = rp_new_array(ranked, all);
    if (!list) return rp_fail_memory(err, "the answers", all * sizeof *list);
    for (size_t k = 0; k < count; k++) {
        const rp_entry *entry = &read->entries[first + k];
        const double prior = r->weight * ((double)passages[k].score - passages[0].score);
        for (size_t a = 0; a < entry->count; a++)
            list[used++] = (ranked){exp(entry->answers[a].score + prior - starts - ends), &entry->answers[a],
                                    &passages[k]};
    }
    if (count && r->params.allow_no_answer)
        list[used++] = (ranked){exp(none - starts - ends), NULL, passages};
    qsort(list, used, sizeof *list, by_score);
    if (used > top_k) used = top_k;
    while (used && list[used - 1].score < r->params.threshold) used--;
    rp_status status = set_entry(r, i, list, used, err);
    if (!status && count) {
        r->result->entries[i].truncated = read->entries[first].truncated;
        r->result->entries[i].tokens = read->entries[first].tokens;
        r->result->entries[i].taken = read->entries[first].taken;
    }
    free(list);
    return status;
}

static rp_status read_some(reader *r, rp_model *model, rp_error *err) {
    const rp_document_params *p = &r->params;
    const rp_answer_params params = {.top_k = p->top_k,
                                     .max_tokens = p->max_tokens,
                                     .stride = p->stride,
                                     .max_question_tokens = p->max_question_tokens,
                                     .max_answer_tokens = p->max_answer_tokens,
                                     .call = p->call};
    rp_result *read = NULL;
    rp_status status = find_all(r, err);
    if (!status) status = rp_answer_logits(model, r->contexts, r->context_count, &params, &read, err);
    for (size_t i = 0, first = 0; !status && i < r->count; first += r->counts[i++])
        if (!r->result->entries[r->first + i].status) status = weigh(r, i, read, first, err);
    rp_result_free(&read);
    return status;
}

/* As many questions at a time as READ passages are of, or one: memory does not grow with their number. */
static rp_status read_all(reader *r, rp_model *model, size_t count, rp_error *err) {
    size_t most = r->room < READ ? READ / r->room : 1;
    if (most > count) most = count;
    r->passages = rp_new_array(rp_passage, (uint64_t)most * r->room);
    r->contexts = rp_new_array(rp_question, (uint64_t)most * r->room);
    r->counts = rp_new_array(size_t, most);
    rp_status status =
        r->passages && r->contexts && r->counts
            ? RP_OK
            : rp_fail_memory(err, "the passages", (uint64_t)most * r->room * sizeof *r->passages);
    for (r->first = 0; !status && r->first < count; r->first += r->count) {
        r->count = count - r->first < most ? count - r->first : most;
        status = read_some(r, model, err);
        if (!status) rp_call_progress(r->first + r->count);
    }
    free(r->passages);
    free(r->contexts);
    free(r->counts);
    return status;
}

static rp_status check(const rp_documents *documents, const rp_document_params *p, rp_error *err) {
    if (!documents) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_answer_documents: documents must not be NULL");
    if (p->passages > MOST_PASSAGES)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_answer_documents: passages is %u, at most %d are read for a question", p->passages,
                       MOST_PASSAGES);
    if (!(p->threshold >= 0 && p->threshold <= 1) || !isfinite(p->weight))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_answer_documents: threshold must be between 0 and 1, and weight finite");
    return RP_OK;
}

rp_status rp_answer_documents(rp_model *model, const rp_documents *documents, const rp_text *questions,
                              size_t count, const rp_document_params *params, rp_result **out,
                              rp_error *err) {
    reader r = {.documents = documents, .questions = questions};
    rp_task task = {.model = model,
                    .head = RP_HEAD_SPANS,
                    .command = "answer",
                    .write = write_answers,
                    .inputs = questions,
                    .count = count,
                    .out = out};
    if (params) r.params = *params;
    RP_TASK_PARAMS(task, params);
    if (out) *out = NULL;
    rp_status status = check(documents, &r.params, err);
    if (!status) status = rp_task_begin(&task, err);
    if (status) return status;
    task.visit.whole = true;
    r.result = *out;
    r.result->many = r.params.top_k > 1;
    r.weight = r.params.weight < 0 ? 0 : r.params.weight > 0 ? r.params.weight : documents->vectors ? 20 : 1;
    r.room = r.params.passages ? r.params.passages : PASSAGES;
    return rp_task_end(&task, read_all(&r, model, count, err));
}
