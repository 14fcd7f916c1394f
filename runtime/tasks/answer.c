/* Extractive question answering, by the rules of Hugging Face's QuestionAnsweringPipeline. */
#include "task.h"

#include <float.h>
#include <math.h>

enum {
    DEFAULT_TOKENS = 384,
    DEFAULT_STRIDE = 128,
    DEFAULT_QUESTION = 64,
    DEFAULT_ANSWER = 15,
};

/* An answer before its text is copied. */
typedef struct candidate {
    float score;
    rp_span span;
    size_t order; // windows in order, and in each of them the best first
} candidate;

typedef struct answer_task {
    rp_model *model;
    const rp_question *questions;
    rp_result *result;
    size_t top_k;
    uint32_t max_tokens, stride, max_question, max_answer;
    bool allow_none;
    bool logits;          // scores are sums of logits, not products of probabilities
    float *starts, *ends; // [max_tokens] either: of [CLS], then of each token of the context
    rp_best best;         // spans of one window
    size_t best_capacity;
    candidate *found;             // [count] of the current question
    size_t count, capacity, seen; // those that are found; all that were
    float none;                   // least probability of no answer among the windows so far
} answer_task;

/* ---- parameters ---- */

static uint32_t choose(uint32_t asked, uint32_t otherwise) {
    return asked ? asked : otherwise;
}

static void set_params(answer_task *t, const rp_answer_params *params) {
    const rp_answer_params p = params ? *params : (rp_answer_params){0};
    uint32_t takes = p.max_tokens ? rp_model_get_info(t->model)->max_tokens : rp_task_max_tokens(t->model);
    t->max_tokens = choose(p.max_tokens, DEFAULT_TOKENS);
    if (t->max_tokens > takes) t->max_tokens = takes;
    uint32_t half = t->max_tokens / 2;
    t->stride = choose(p.stride, half < DEFAULT_STRIDE ? half : DEFAULT_STRIDE);
    t->max_question = choose(p.max_question_tokens, DEFAULT_QUESTION);
    t->max_answer = choose(p.max_answer_tokens, DEFAULT_ANSWER);
    t->top_k = choose(p.top_k, 1);
    t->allow_none = p.allow_no_answer;
    t->none = t->logits ? FLT_MAX : 1;
}

/* ---- the spans of one window ---- */

/* Probabilities from the logits of column `column`: the context and [CLS] share them, the question has none.
 * Where logits are wanted, `*sum`, the logarithm of the sum of exp of those so far, gets these too. */
static void read_scores(const answer_task *t, const rp_window *window, const float *rows, size_t column,
                        float *out, float *sum) {
    const size_t count = 1 + (size_t)window->count;
    out[0] = rows[column];
    for (uint32_t i = 0; i < window->count; i++) out[1 + i] = rows[2 * (size_t)(window->at + i) + column];
    if (!t->logits) {
        rp_softmax(out, count);
        return;
    }
    float most = *sum;
    for (size_t i = 0; i < count; i++) most = out[i] > most ? out[i] : most;
    double total = exp((double)*sum - most);
    for (size_t i = 0; i < count; i++) total += exp((double)out[i] - most);
    *sum = (float)(most + log(total));
}

static float join(const answer_task *t, float start, float end) {
    return t->logits ? start + end : start * end;
}

/* The best spans of tokens, as keys start * count + end. */
static rp_status find_spans(answer_task *t, const rp_window *window, rp_error *err) {
    uint32_t count = window->count;
    size_t longest = t->max_answer < count ? t->max_answer : count, spans = longest * count;
    t->best.count = 0;
    t->best.room = t->top_k < spans ? t->top_k : spans;
    if (!rp_grow((void **)&t->best.items, &t->best_capacity, t->best.room, sizeof *t->best.items))
        return rp_fail_memory(err, "the answers", t->best.room * sizeof *t->best.items);
    for (uint32_t start = 0; start < count; start++)
        for (uint32_t end = start; end < count && end - start < t->max_answer; end++)
            rp_best_offer(&t->best, join(t, t->starts[1 + start], t->ends[1 + end]),
                          (uint64_t)start * count + end);
    rp_best_sort(&t->best);
    return RP_OK;
}

/* The bytes of the context, from the beginning of the first token's word to the end of the last one's, as far
 * as the window shows these words. */
static rp_span align_to_words(const rp_window *window, uint32_t start, uint32_t end) {
    const int32_t *words = window->text->words + window->first;
    const rp_span *offsets = window->text->offsets + window->first;
    while (start > 0 && words[start - 1] == words[start]) start--;
    while (end + 1 < window->count && words[end + 1] == words[end]) end++;
    rp_span span = {offsets[start].start, offsets[end].end};
    if (span.end < span.start) span.end = span.start;
    return span;
}

static rp_status add_candidate(answer_task *t, float score, rp_span span, rp_error *err) {
    if (!rp_grow((void **)&t->found, &t->capacity, t->count + 1, sizeof *t->found))
        return rp_fail_memory(err, "the answers", t->count * sizeof *t->found);
    t->found[t->count] = (candidate){score, span, t->seen++};
    t->count++;
    return RP_OK;
}

/* ---- the answers to one question ---- */

static int by_score(const void *left, const void *right) {
    const candidate *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return a->order < b->order ? -1 : 1;
}

/* A long context has many windows: of what they found no more is kept than can be answered. */
static void keep_best(answer_task *t) {
    if (t->count / 2 < t->top_k) return;
    qsort(t->found, t->count, sizeof *t->found, by_score);
    t->count = t->top_k;
}

/* All windows are read: put the best answers into the result. */
static rp_status finish_entry(answer_task *t, size_t i, rp_error *err) {
    rp_entry *entry = &t->result->entries[i];
    const char *context = t->questions[i].context.data;
    rp_status status = RP_OK;
    entry->none = t->none;
    if (t->allow_none) status = add_candidate(t, t->none, (rp_span){0, 0}, err);
    if (!status && !t->count) /* a context of white space */
        status = add_candidate(t, t->logits ? -FLT_MAX : 0, (rp_span){0, 0}, err);
    if (status) return status;
    qsort(t->found, t->count, sizeof *t->found, by_score);
    entry->count = t->count < t->top_k ? t->count : t->top_k;
    entry->answers = rp_result_array(t->result, NULL, entry->count, sizeof *entry->answers, err);
    if (!entry->answers) return RP_ERROR_HOST_MEMORY;
    for (size_t k = 0; k < entry->count; k++) {
        rp_span span = t->found[k].span;
        const char *text = rp_result_text(t->result, context + span.start, span.end - span.start, err);
        if (!text) return RP_ERROR_HOST_MEMORY;
        entry->answers[k] = (rp_answer){t->found[k].score, span, text};
    }
    t->count = t->seen = 0;
    t->none = t->logits ? FLT_MAX : 1;
    return rp_result_place(t->result, i, t->questions[i].context, err);
}

static rp_status read_window(void *task, const rp_window *window, const float *rows, rp_error *err) {
    answer_task *t = task;
    rp_entry *entry = &t->result->entries[window->entry];
    if (!window->first) entry->starts = entry->ends = -FLT_MAX;
    read_scores(t, window, rows, 0, t->starts, &entry->starts);
    read_scores(t, window, rows, 1, t->ends, &entry->ends);
    float none = join(t, t->starts[0], t->ends[0]);
    if (none < t->none) t->none = none;
    rp_status status = find_spans(t, window, err);
    for (size_t k = 0; !status && k < t->best.count; k++) {
        uint64_t key = t->best.items[k].key;
        rp_span span =
            align_to_words(window, (uint32_t)(key / window->count), (uint32_t)(key % window->count));
        status = add_candidate(t, t->best.items[k].score, span, err);
    }
    if (!status) keep_best(t);
    if (!status && window->last) status = finish_entry(t, window->entry, err);
    return status;
}

/* ---- questions to windows ---- */

static rp_status add_question(answer_task *t, size_t i, rp_encoding *question, rp_encoding *context,
                              rp_windows *windows, rp_error *err) {
    const rp_question *input = &t->questions[i];
    const rp_tokenize_params cut = {.no_special_tokens = true, .max_tokens = t->max_question};
    const rp_tokenize_params whole = {.no_special_tokens = true};
    if (!input->question.data || !input->question.size)
        return rp_fail(err, RP_ERROR_TEXT, "the question is empty: ask something");
    if (!input->context.data || !input->context.size)
        return rp_fail(err, RP_ERROR_TEXT, "the context is empty: give the text that holds the answer");
    rp_status status = rp_task_tokenize(t->model, input->question, (rp_text){0}, &cut, question, err);
    if (!status) status = rp_task_tokenize(t->model, input->context, (rp_text){0}, &whole, context, err);
    if (status) return status;
    rp_result_count_tokens(t->result, i, question);
    return rp_windows_add(windows, t->model, i, question, context, t->max_tokens, t->stride, err);
}

static rp_status run(answer_task *t, size_t count, rp_encoding *encodings, rp_windows *windows,
                     rp_error *err) {
    rp_status status = rp_task_check_pairs(t->model, err);
    for (size_t i = 0; !status && i < count; i++) {
        rp_error why = {0};
        status = add_question(t, i, &encodings[2 * i], &encodings[2 * i + 1], windows, &why);
        status = rp_result_blame(t->result, i, status, &why, err);
    }
    return status ? status
                  : rp_windows_run(windows, t->model, RP_OUTPUT_SPANS, t->result, read_window, t, err);
}

static rp_status answer(rp_model *model, const rp_question *questions, size_t count,
                        const rp_answer_params *params, bool logits, rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_SPANS,
                    .command = "answer",
                    .inputs = questions,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    answer_task t = {.model = model, .questions = questions, .result = *out, .logits = logits};
    set_params(&t, params);
    (*out)->many = t.top_k > 1;
    rp_windows windows = {0};
    size_t encoding_count = 2 * count; // a question and a context for each
    rp_encoding *encodings = rp_new_array(rp_encoding, encoding_count);
    t.starts = rp_new_array(float, t.max_tokens);
    t.ends = rp_new_array(float, t.max_tokens);
    if (encodings && t.starts && t.ends)
        status = run(&t, count, encodings, &windows, err);
    else
        status = rp_fail_memory(err, "the questions", (unsigned long long)encoding_count * sizeof *encodings);
    for (size_t i = 0; encodings && i < encoding_count; i++) rp_encoding_free(&encodings[i]);
    free(encodings);
    free(t.starts);
    free(t.ends);
    free(t.best.items);
    free(t.found);
    free(windows.items);
    return rp_task_end(&task, status);
}

rp_status rp_answer_questions(rp_model *model, const rp_question *questions, size_t count,
                              const rp_answer_params *params, rp_result **out, rp_error *err) {
    return answer(model, questions, count, params, false, out, err);
}

rp_status rp_answer_logits(rp_model *model, const rp_question *questions, size_t count,
                           const rp_answer_params *params, rp_result **out, rp_error *err) {
    return answer(model, questions, count, params, true, out, err);
}
