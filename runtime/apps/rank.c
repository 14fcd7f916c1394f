/* Ranking: how well each document answers its query, by a cross-encoder that reads both, or by the cosine of
 * their vectors. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "base/call.h"
#include "loader/json.h"
#include "tasks/task.h"
#include "reprise/search.h"

static void put_ranked(rp_answer_writer *w, const rp_entry *entry) {
    const rp_ranked *item = entry->app;
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < entry->count; i++, item++) {
        rp_json_write_open(&w->json, NULL, '{');
        rp_json_write_integer(&w->json, "index", (int64_t)item->index);
        rp_answer_float(w, "score", item->score);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

const rp_ranked *rp_result_ranked(const rp_result *result, size_t i, size_t *count) {
    return rp_result_app(result, i, put_ranked, count);
}

/* One call. */
typedef struct ranking {
    rp_model *model;
    const rp_ranking *inputs;
    rp_rank_params params;
    rp_result *result;
    uint32_t label; /* of a cross-encoder: the one that counts */
    size_t pairs;   /* of all inputs */
    float *scores;  /* [pairs] */
} ranking;

/* ---- a cross-encoder ---- */

static bool begins(const char *label, const char *word) {
    size_t i = 0;
    while (word[i] && tolower((unsigned char)label[i]) == word[i]) i++;
    return !word[i];
}

static rp_status choose_label(ranking *r, rp_error *err) {
    static const char *const words[] = {"entail", "positive", "relevant", "duplicate"};
    const rp_model_info *info = rp_model_get_info(r->model);
    for (uint32_t i = 0; info->label_count > 1 && i < info->label_count; i++)
        for (size_t w = 0; w < RP_COUNT(words); w++) {
            if (!begins(info->labels[i], words[w])) continue;
            r->label = i;
            return RP_OK;
        }
    r->label = info->label_count - 1;
    if (info->label_count <= 2) return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: of its %u labels none begins with \"entail\", \"positive\", \"relevant\" or "
                   "\"duplicate\": which of them ranks? Name it in id2label of config.json",
                   rp_path_shown(info->dir), info->label_count);
}

/* The score of a pair by its logits. */
static float score_of(const ranking *r, const float *logits) {
    const rp_model_info *info = rp_model_get_info(r->model);
    bool raw = r->params.score == RP_RANK_SCORE_RAW;
    if (info->label_count == 1) return raw || r->model->config.ranks_raw ? logits[0] : rp_sigmoid(logits[0]);
    double largest = -INFINITY, others = 0, own = logits[r->label];
    for (uint32_t i = 0; i < info->label_count; i++)
        if (i != r->label && logits[i] > largest) largest = logits[i];
    for (uint32_t i = 0; i < info->label_count; i++)
        if (i != r->label) others += exp(logits[i] - largest);
    double odds = own - largest - log(others);
    return raw ? (float)odds : rp_sigmoid((float)odds);
}

/* Run what was tokenized; `first` is the pair that its first sequence is of. */
static rp_status run_pairs(ranking *r, rp_tokenized *tokenized, const size_t *pairs, rp_error *err) {
    uint32_t labels = rp_model_get_info(r->model)->label_count;
    float *logits = NULL;
    rp_status status = rp_tokenized_run(tokenized, r->model, RP_OUTPUT_CLASSES, r->result, &logits, err);
    for (size_t s = 0; !status && s < tokenized->count; s++)
        r->scores[pairs[s]] = score_of(r, logits + s * labels);
    free(logits);
    rp_tokenized_cut(tokenized, 0);
    return status;
}

/* Sequences are run a thousand at a time: those of all pairs would take much more memory than their scores.
 */
static rp_status cross_encode(ranking *r, rp_error *err) {
    enum { MOST = 1024 };
    rp_tokenized tokenized = {0};
    size_t pairs[MOST], pair = 0;
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < r->result->count; i++) {
        const rp_ranking *input = &r->inputs[i];
        for (size_t k = 0; !status && k < input->document_count; k++, pair++) {
            size_t before = tokenized.count;
            rp_text document = input->documents[k];
            if (r->result->entries[i].status) continue;
            if (!document.data) document = (rp_text){"", 0};
            status = rp_tokenized_add(&tokenized, r->model, input->query, document, i, r->result, err);
            if (tokenized.count > before) pairs[before] = pair;
            tokenized.partial = k + 1 < input->document_count;
            if (!status && tokenized.count == MOST) status = run_pairs(r, &tokenized, pairs, err);
        }
    }
    tokenized.partial = false;
    if (!status && tokenized.count) status = run_pairs(r, &tokenized, pairs, err);
    rp_tokenized_finish(&tokenized);
    return status;
}

/* ---- cosines ---- */

static double dot(const float *a, const float *b, size_t width) {
    double sum = 0;
    for (size_t i = 0; i < width; i++) sum += (double)a[i] * b[i];
    return sum;
}

static float cosine(const float *a, const float *b, size_t width) {
    double lengths = dot(a, a, width) * dot(b, b, width);
    return lengths > 0 ? (float)(dot(a, b, width) / sqrt(lengths)) : 0;
}

/* Take over why text `k` of `embedded` failed. */
static bool blame(ranking *r, size_t i, const rp_result *embedded, size_t k) {
    const rp_entry *entry = &embedded->entries[k];
    rp_error why = {.status = entry->status};
    if (!entry->status) return false;
    if (!r->result->entries[i].status) {
        snprintf(why.message, sizeof why.message, "%s", entry->message);
        rp_result_fail(r->result, i, &why);
    }
    return true;
}

/* The documents of one query. */
static rp_status embed_one(ranking *r, size_t i, size_t first, const rp_result *queries, rp_error *err) {
    const rp_embed_params params = {.call = r->params.call};
    const rp_ranking *input = &r->inputs[i];
    rp_result *documents = NULL;
    size_t width;
    const float *query = rp_result_vectors(queries, i, NULL, &width);
    if (blame(r, i, queries, i)) return RP_OK;
    rp_status status = rp_embed(r->model, input->documents, input->document_count, &params, &documents, err);
    for (size_t k = 0; !status && k < input->document_count; k++)
        if (!blame(r, i, documents, k))
            r->scores[first + k] = cosine(query, rp_result_vectors(documents, k, NULL, NULL), width);
    rp_result_free(&documents);
    return status;
}

static rp_status embed(ranking *r, rp_error *err) {
    const rp_embed_params params = {
        .prompt_name = r->params.prompt_name, .prompt = r->params.prompt, .call = r->params.call};
    size_t count = r->result->count, first = 0;
    rp_result *queries = NULL;
    rp_text *texts = rp_new_array(rp_text, count);
    if (!texts) return rp_fail_memory(err, "the queries", count * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = r->inputs[i].query;
    rp_status status = rp_embed(r->model, texts, count, &params, &queries, err);
    for (size_t i = 0; !status && i < count; first += r->inputs[i++].document_count)
        status = embed_one(r, i, first, queries, err);
    rp_result_free(&queries);
    free(texts);
    return status;
}

/* ---- the order ---- */

static rp_status sort_entry(ranking *r, size_t i, size_t first, rp_error *err) {
    rp_entry *entry = &r->result->entries[i];
    size_t all = r->inputs[i].document_count,
           most = r->params.top_k && r->params.top_k < all ? r->params.top_k : all;
    rp_best best = {.items = rp_new_array(rp_scored, most), .room = most};
    rp_ranked *items = rp_result_array(r->result, NULL, most, sizeof *items, err);
    if (!best.items || !items) {
        free(best.items);
        return rp_fail_memory(err, "the results", most * sizeof *items);
    }
    for (size_t k = 0; k < all; k++) rp_best_offer(&best, r->scores[first + k], k);
    rp_best_sort(&best);
    for (size_t k = 0; k < best.count; k++)
        items[k] = (rp_ranked){(size_t)best.items[k].key, best.items[k].score};
    free(best.items);
    entry->app = items;
    entry->count = most;
    return RP_OK;
}

static rp_status rank(ranking *r, rp_error *err) {
    bool cross = rp_model_get_info(r->model)->heads & RP_HEAD_CLASSIFIER;
    size_t count = r->result->count;
    rp_status status = cross ? choose_label(r, err) : RP_OK;
    for (size_t i = 0; !status && i < count; i++) {
        const rp_ranking *input = &r->inputs[i];
        if (input->document_count && !input->documents)
            status =
                rp_fail(err, RP_ERROR_ARGUMENT, "rp_rank: the documents of input %zu must not be NULL", i);
        else if (input->document_count > SIZE_MAX - r->pairs)
            status = rp_fail_memory(err, "the results", SIZE_MAX);
        else
            r->pairs += input->document_count;
    }
    if (status) return status;
    r->scores = rp_new_array(float, r->pairs);
    if (!r->scores) return rp_fail_memory(err, "the results", r->pairs * sizeof *r->scores);
    status = cross ? cross_encode(r, err) : embed(r, err);
    for (size_t i = 0, first = 0; !status && i < count; first += r->inputs[i++].document_count)
        if (!r->result->entries[i].status) status = sort_entry(r, i, first, err);
    free(r->scores);
    return status;
}

/* What the other kind of model would do, and this one cannot. */
static rp_status check_params(const ranking *r, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(r->model);
    bool cross = info->heads & RP_HEAD_CLASSIFIER;
    if (cross && (r->params.prompt || r->params.prompt_name))
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "rank: %s is a cross-encoder, which reads the query as it is: leave out the prompt",
                       rp_path_shown(info->dir));
    if (!cross && r->params.score == RP_RANK_SCORE_RAW)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "rank: %s embeds texts, and the score is a cosine, which has no raw form: leave out raw "
            "scores",
            rp_path_shown(info->dir));
    return RP_OK;
}

rp_status rp_rank(rp_model *model, const rp_ranking *inputs, size_t count, const rp_rank_params *params,
                  rp_result **out, rp_error *err) {
    ranking r = {.model = model, .inputs = inputs, .params = params ? *params : (rp_rank_params){0}};
    rp_task task = {
        .model = model, .command = "rank", .write = put_ranked, .inputs = inputs, .count = count, .out = out};
    RP_TASK_PARAMS(task, params);
    if ((unsigned)r.params.score > RP_RANK_SCORE_RAW)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_rank: score %d is not one of rp_rank_score",
                       (int)r.params.score);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    task.visit.whole = !(rp_model_get_info(model)->heads & RP_HEAD_CLASSIFIER);
    r.result = *out;
    status = check_params(&r, err);
    if (!status) status = rank(&r, err);
    return rp_task_end(&task, status);
}
