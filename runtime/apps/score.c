/* How likely a masked language model finds a text: each of its tokens masked in turn. */
#include "tasks/task.h"

#include <math.h>

#include "loader/tokenizer.h"
#include "reprise/score.h"

/* Logits in host memory at a time, floats; a single token may need more. */
enum { SLICE_FLOATS = 1 << 23 };

/* What rp_entry.app points to. */
typedef struct likelihood {
    double score;
    uint32_t tokens;
} likelihood;

/* The sequences of one run: each is a text with one of its tokens masked. */
typedef struct scorer {
    rp_model *model;
    rp_result *result;
    int32_t mask;
    size_t vocabulary;
    rp_sequence *sequences; // [rows]
    size_t *entries;        // [rows] the input of each
    rp_row *masked;         // [rows] the token of each that is masked
    int32_t *targets;       // [rows] what stood there
    float *logits;          // [rows, vocabulary]
    int32_t *ids, *types;   // [tokens]
    size_t rows, tokens;    // that there is room for
    size_t used_rows, used_tokens;
} scorer;

static void write_likelihood(rp_answer_writer *w, const rp_entry *entry) {
    const likelihood *l = entry->app;
    rp_json_write_open(&w->json, NULL, '{');
    rp_answer_float(w, "score", (float)l->score);
    rp_json_write_integer(&w->json, "tokens", l->tokens);
    rp_json_write_close(&w->json, '}');
}

/* The logarithm of what softmax gives to number `target`. */
static double log_softmax(const float *logits, size_t count, size_t target) {
    float largest = logits[0];
    double sum = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > largest) largest = logits[i];
    for (size_t i = 0; i < count; i++) sum += exp((double)logits[i] - largest);
    return (double)logits[target] - largest - log(sum);
}

/* Run what has gathered. Inputs before `after` are done then. */
static rp_status run_gathered(scorer *s, size_t after, rp_error *err) {
    const rp_run_params params = {
        .output = RP_OUTPUT_MASKED_LM, .rows = s->masked, .row_count = s->used_rows};
    if (!s->used_rows) return RP_OK;
    rp_visit *visit = rp_visit_current();
    visit->inputs = s->entries;
    visit->after = after;
    rp_status status = rp_model_run_inside(s->model, s->sequences, s->used_rows, &params, s->logits,
                                           s->used_rows * s->vocabulary, NULL, err);
    for (size_t r = 0; !status && r < s->used_rows; r++) {
        float *logits = s->logits + r * s->vocabulary;
        likelihood *l = s->result->entries[s->entries[r]].app;
        rp_result_check(s->result, s->entries[r], logits, s->vocabulary);
        l->score += log_softmax(logits, s->vocabulary, (size_t)s->targets[r]);
        l->tokens++;
        if (r % 64 == 0) status = rp_call_check(err);
    }
    s->used_rows = s->used_tokens = 0;
    return status;
}

/* Add the text with its token number `token` masked. */
static rp_status add_masked(scorer *s, const rp_encoding *encoding, size_t token, size_t entry,
                            rp_error *err) {
    rp_status status = RP_OK;
    if (s->used_rows == s->rows || encoding->count > s->tokens - s->used_tokens)
        status = run_gathered(s, entry, err);
    if (status) return status;
    size_t row = s->used_rows++, at = s->used_tokens;
    s->used_tokens += encoding->count;
    memcpy(s->ids + at, encoding->ids, encoding->count * sizeof *s->ids);
    memcpy(s->types + at, encoding->type_ids, encoding->count * sizeof *s->types);
    s->ids[at + token] = s->mask;
    s->sequences[row] = (rp_sequence){s->ids + at, s->types + at, (uint32_t)encoding->count};
    s->masked[row] = (rp_row){(uint32_t)row, (uint32_t)token};
    s->targets[row] = encoding->ids[token];
    s->entries[row] = entry;
    return RP_OK;
}

static rp_status add_text(scorer *s, rp_text text, size_t entry, rp_error *err) {
    const rp_tokenize_params params = {.max_tokens = rp_task_max_tokens(s->model)};
    rp_encoding encoding = {0};
    rp_error why = {0};
    rp_status status = rp_task_tokenize(s->model, text, (rp_text){0}, &params, &encoding, &why);
    if (status) return rp_result_blame(s->result, entry, status, &why, err);
    rp_result_count_tokens(s->result, entry, &encoding);
    s->result->entries[entry].app = rp_result_array(s->result, NULL, 1, sizeof(likelihood), err);
    if (!s->result->entries[entry].app) status = RP_ERROR_HOST_MEMORY;
    for (size_t token = 0; !status && token < encoding.count; token++)
        if (encoding.sequence[token] >= 0) status = add_masked(s, &encoding, token, entry, err);
    rp_encoding_free(&encoding);
    return status;
}

static rp_status make_room(scorer *s, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(s->model);
    s->vocabulary = info->vocab_size;
    s->tokens = info->max_batch_tokens > info->max_tokens ? info->max_batch_tokens : info->max_tokens;
    s->rows = SLICE_FLOATS / s->vocabulary;
    if (s->rows > s->tokens) s->rows = s->tokens;
    if (s->rows < 1) s->rows = 1;
    uint64_t floats = (uint64_t)s->rows * s->vocabulary;
    s->sequences = rp_new_array(rp_sequence, s->rows);
    s->entries = rp_new_array(size_t, s->rows);
    s->masked = rp_new_array(rp_row, s->rows);
    s->targets = rp_new_array(int32_t, s->rows);
    s->ids = rp_new_array(int32_t, s->tokens);
    s->types = rp_new_array(int32_t, s->tokens);
    s->logits = rp_new_array(float, floats);
    if (s->sequences && s->entries && s->masked && s->targets && s->ids && s->types && s->logits)
        return RP_OK;
    return rp_fail_memory(err, "the scores of the vocabulary", floats * sizeof(float));
}

static void free_room(scorer *s) {
    free(s->sequences);
    free(s->entries);
    free(s->masked);
    free(s->targets);
    free(s->ids);
    free(s->types);
    free(s->logits);
}

rp_status rp_score(rp_model *model, const rp_text *texts, size_t count, const rp_score_params *params,
                   rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_MASKED_LM,
                    .command = "score",
                    .write = write_likelihood,
                    .inputs = texts,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    scorer s = {
        .model = model, .result = *out, .mask = rp_tokenizer_special_ids(rp_model_get_tokenizer(model)).mask};
    if (s.mask < 0 || (uint32_t)s.mask >= rp_model_get_info(model)->vocab_size)
        status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "%s: the vocabulary has no mask token, which score needs; name another model",
                         rp_path_shown(rp_model_get_info(model)->dir));
    if (!status) status = make_room(&s, err);
    for (size_t i = 0; !status && i < count; i++) status = add_text(&s, texts[i], i, err);
    if (!status) status = run_gathered(&s, count, err);
    free_room(&s);
    return rp_task_end(&task, status);
}

double rp_result_score(const rp_result *result, size_t i, uint32_t *tokens) {
    bool there = result && i < result->count && !result->entries[i].status &&
                 result->write == write_likelihood && result->entries[i].app;
    const likelihood *l = there ? result->entries[i].app : NULL;
    if (tokens) *tokens = l ? l->tokens : 0;
    return l ? l->score : (double)NAN;
}
