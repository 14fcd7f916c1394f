/* rp_moderate: scores of texts, what follows from them, and its JSON. */
#include "apps/moderate.h"

#include <math.h>

#include "loader/json.h"

static void put_verdict(rp_answer_writer *w, const rp_entry *entry) {
    const rp_moderate_answer *answer = entry->app;
    rp_json_write_open(&w->json, NULL, '{');
    rp_json_write_bool(&w->json, "flagged", answer->verdict.flagged);
    rp_json_write_string(&w->json, "action", answer->verdict.action);
    rp_json_write_open(&w->json, "labels", '[');
    for (size_t i = 0; i < answer->verdict.label_count; i++) {
        const rp_moderated *label = &answer->labels[i];
        const rp_moderated_spans *beside = &answer->spans[label->index];
        rp_json_write_open(&w->json, NULL, '{');
        rp_json_write_string(&w->json, "label", label->label);
        rp_answer_float(w, "score", label->score);
        rp_answer_float(w, "threshold", label->threshold);
        rp_json_write_open(&w->json, "spans", '[');
        for (size_t k = 0; k < label->span_count; k++) {
            rp_span span = label->spans[k];
            rp_json_write_open(&w->json, NULL, '{');
            rp_answer_span(w, span, &beside->places[k]);
            rp_json_write_text(&w->json, "text", beside->texts[k], span.end - span.start);
            rp_json_write_close(&w->json, '}');
        }
        rp_json_write_close(&w->json, ']');
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
    rp_json_write_close(&w->json, '}');
}

const rp_verdict *rp_result_verdict(const rp_result *result, size_t i) {
    const rp_moderate_answer *answer = rp_result_app(result, i, put_verdict, NULL);
    return answer ? &answer->verdict : NULL;
}

/* ---- texts ---- */

/* One call. */
typedef struct call {
    const rp_moderation *m;
    const rp_text *texts;
    bool normalize, no_spans;
    rp_chars *chars; // [count] what the model reads
    char *buffer;    // [capacity]
    size_t capacity;
    rp_scorer scorer;
    rp_result *result;
} call;

/* The text as the model is to read it. One that is no text, or too long, is left to the tokenizer, which says
 * so. */
static rp_status add_text(call *c, size_t i, rp_error *err) {
    rp_input input = {.text = c->texts[i]};
    rp_chars *chars = &c->chars[i];
    bool bad = !input.text.data || input.text.size > RP_TEXT_BYTES_MAX ||
               rp_utf8_check(input.text.data, input.text.size) < input.text.size;
    rp_status status = bad ? RP_OK : rp_text_chars(input.text, chars, err);
    if (!status && !bad && c->normalize) {
        status = rp_chars_plain(rp_model_get_tokenizer(c->m->model), chars, err);
        if (!status && !rp_grow((void **)&c->buffer, &c->capacity, 4 * chars->count + 1, 1))
            return rp_fail_memory(err, "a text", 4ull * chars->count);
        if (!status)
            input.text =
                (rp_text){c->buffer, (size_t)(rp_chars_write(chars, 0, chars->count, c->buffer) - c->buffer)};
    }
    return status ? status : rp_scorer_add(&c->scorer, &input, i, 0, err);
}

/* ---- verdicts ---- */

static int by_score(const void *left, const void *right) {
    const rp_moderated *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

static rp_status make_labels(const rp_moderation *m, const float *scores, rp_moderate_answer *answer,
                             rp_result *result, rp_error *err) {
    rp_verdict *verdict = &answer->verdict;
    answer->labels = rp_result_array(result, NULL, m->label_count, sizeof *answer->labels, err);
    answer->spans = rp_result_array(result, NULL, m->label_count, sizeof *answer->spans, err);
    if (!answer->labels || !answer->spans) return RP_ERROR_HOST_MEMORY;
    for (uint32_t k = 0; k < m->label_count; k++) {
        if (isnan(m->thresholds[k])) continue;
        rp_moderated *label = &answer->labels[verdict->label_count++];
        *label = (rp_moderated){.index = k,
                                .score = scores[k],
                                .threshold = (float)m->thresholds[k],
                                .flagged = (double)scores[k] >= m->thresholds[k]};
        verdict->flagged = verdict->flagged || label->flagged;
        label->label = rp_result_text(result, m->labels[k], strlen(m->labels[k]), err);
        if (!label->label) return RP_ERROR_HOST_MEMORY;
    }
    verdict->labels = answer->labels;
    const char *action = rp_moderation_action(m, scores, verdict->flagged);
    verdict->action = rp_result_text(result, action, strlen(action), err);
    return verdict->action ? RP_OK : RP_ERROR_HOST_MEMORY;
}

static rp_status judge(call *c, size_t i, const float *scores, rp_error *err) {
    rp_entry *entry = &c->result->entries[i];
    if (entry->status) return RP_OK;
    rp_moderate_answer *answer = rp_result_array(c->result, NULL, 1, sizeof *answer, err);
    rp_status status = answer ? make_labels(c->m, scores, answer, c->result, err) : RP_ERROR_HOST_MEMORY;
    if (!status && answer->verdict.flagged && !c->no_spans)
        status = rp_moderate_spans(c->m, c->texts[i], &c->chars[i], i, answer, c->result, err);
    if (status) return status;
    qsort(answer->labels, answer->verdict.label_count, sizeof *answer->labels, by_score);
    entry->app = answer;
    entry->count = 1;
    return RP_OK;
}

static rp_status moderate(call *c, size_t count, rp_error *err) {
    float *scores = NULL;
    c->chars = rp_new_array(rp_chars, count);
    rp_status status = c->chars ? RP_OK : rp_fail_memory(err, "the texts", count * sizeof *c->chars);
    for (size_t i = 0; !status && i < count; i++) status = add_text(c, i, err);
    if (!status) status = rp_scorer_run(&c->scorer, &scores, err);
    for (size_t s = 0; !status && s < c->scorer.count; s++)
        status = judge(c, c->scorer.entries[s], scores + s * c->m->label_count, err);
    for (size_t i = 0; c->chars && i < count; i++) free(c->chars[i].items);
    free(c->chars);
    free(c->buffer);
    free(scores);
    rp_scorer_finish(&c->scorer);
    return status;
}

rp_status rp_moderate(const rp_moderation *moderation, const rp_text *texts, size_t count,
                      const rp_moderate_params *params, rp_result **out, rp_error *err) {
    if (!moderation) {
        if (out) *out = NULL;
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_moderate: moderation must not be NULL");
    }
    rp_task task = {.model = moderation->model,
                    .head = RP_HEAD_CLASSIFIER,
                    .command = "moderate",
                    .write = put_verdict,
                    .inputs = texts,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    call c = {.m = moderation,
              .texts = texts,
              .normalize = params && params->normalize,
              .no_spans = params && params->no_spans,
              .scorer = {.model = moderation->model, .result = *out, .how = RP_LONG_MAX},
              .result = *out};
    return rp_task_end(&task, moderate(&c, count, err));
}
