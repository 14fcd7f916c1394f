/* Searching: queries become vectors, the index gives the rows that are nearest, and their texts are read. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "apps/index.h"
#include "loader/json.h"

enum { TOP_K = 10 };

/* One call. */
typedef struct search {
    rp_index *index;
    rp_search_params params;
    rp_result *result;
    float *vectors; /* [queries, width] of length 1; of those whose entry failed, zeros */
    rp_best *best;  /* [queries] */
} search;

/* ---- the answer ---- */

static void put_hits(rp_answer_writer *w, const rp_entry *entry) {
    const rp_hit *hit = entry->app;
    rp_json_write_open(&w->json, NULL, '[');
    for (size_t i = 0; i < entry->count; i++, hit++) {
        rp_json_write_open(&w->json, NULL, '{');
        rp_answer_float(w, "score", hit->score);
        if (hit->id_bare)
            rp_json_write_raw(&w->json, "id", hit->id.data);
        else
            rp_json_write_text(&w->json, "id", hit->id.data, hit->id.size);
        if (hit->text.data) rp_json_write_text(&w->json, "text", hit->text.data, hit->text.size);
        rp_json_write_close(&w->json, '}');
    }
    rp_json_write_close(&w->json, ']');
}

const rp_hit *rp_result_hits(const rp_result *result, size_t i, size_t *count) {
    return rp_result_app(result, i, put_hits, count);
}

static rp_status keep_text(rp_result *result, rp_text from, rp_text *out, rp_error *err) {
    out->data = rp_result_text(result, from.data, from.size, err);
    out->size = from.size;
    return out->data ? RP_OK : RP_ERROR_HOST_MEMORY;
}

static rp_status make_hit(search *s, const rp_scored *found, rp_hit *hit, rp_error *err) {
    rp_document document;
    char number[24];
    rp_status status = rp_index_read(&s->index->file, found->key, &document, err);
    if (status) return status;
    *hit = (rp_hit){.score = found->score, .number = found->key, .id_bare = document.id_bare};
    if (!document.id.data) {
        int size = snprintf(number, sizeof number, "%" PRIu64, found->key);
        document.id = (rp_text){number, (size_t)size};
        hit->id_bare = true;
    }
    status = keep_text(s->result, document.id, &hit->id, err);
    if (!status && !s->params.no_texts) status = keep_text(s->result, document.text, &hit->text, err);
    return status;
}

/* The best top_k of those that were found, by their exact products. */
static rp_status make_hits(search *s, size_t i, rp_error *err) {
    rp_entry *entry = &s->result->entries[i];
    const rp_best *found = &s->best[i];
    const float *vector = s->vectors + i * s->index->info.width;
    rp_best exact = {.items = rp_new_array(rp_scored, s->params.top_k), .room = s->params.top_k};
    if (!exact.items) return rp_fail_memory(err, "the results", s->params.top_k * sizeof *exact.items);
    for (size_t k = 0; k < found->count; k++)
        rp_best_offer(&exact, (float)rp_scan_product(&s->index->file, found->items[k].key, vector),
                      found->items[k].key);
    rp_best_sort(&exact);
    size_t count = 0;
    while (count < exact.count &&
           !(s->params.has_threshold && exact.items[count].score < s->params.threshold))
        count++;
    rp_hit *hits = rp_result_array(s->result, NULL, count, sizeof *hits, err);
    rp_status status = hits ? RP_OK : RP_ERROR_HOST_MEMORY;
    for (size_t k = 0; !status && k < count; k++) status = make_hit(s, &exact.items[k], &hits[k], err);
    entry->app = hits;
    entry->count = count;
    free(exact.items);
    return status;
}

/* ---- the way there ---- */

static rp_status scan(search *s, rp_error *err) {
    enum { MORE = 32 }; /* as the device's sums may differ from the exact ones */
    size_t count = s->result->count;
    const rp_scan_queries queries = {s->vectors, count, s->params.top_k + MORE, s->best};
    for (size_t i = 0; i < count; i++) {
        s->best[i].room = s->params.top_k + MORE;
        s->best[i].items = rp_new_array(rp_scored, s->best[i].room);
        if (!s->best[i].items) return rp_fail_memory(err, "the results", s->best[i].room * sizeof(rp_scored));
    }
    if (!s->index->scan) return rp_scan_plain(&s->index->file, &queries, err);
    rp_status status = rp_turns_take(&s->index->turns, err);
    if (status) return status;
    status = rp_scan_run(s->index->scan, &queries, err);
    rp_turns_give(&s->index->turns);
    return status;
}

static rp_status answer(search *s, rp_error *err) {
    size_t count = s->result->count;
    rp_status status = RP_OK;
    s->best = rp_new_array(rp_best, count);
    if (!s->best) return rp_fail_memory(err, "the results", count * sizeof *s->best);
    if (count) status = scan(s, err);
    for (size_t i = 0; !status && i < count; i++)
        if (!s->result->entries[i].status) status = make_hits(s, i, err);
    return status;
}

static void finish(search *s) {
    for (size_t i = 0; s->best && i < s->result->count; i++) free(s->best[i].items);
    free(s->best);
    free(s->vectors);
}

/* Take the vector of query `i`, of any length. */
static void take_vector(search *s, size_t i, const float *vector) {
    static const rp_error why = {RP_ERROR_TEXT, "a number of the vector is not finite"};
    uint32_t width = s->index->info.width;
    float *to = s->vectors + i * width;
    double squares = 0;
    for (uint32_t c = 0; c < width; c++) squares += (double)vector[c] * vector[c];
    if (!isfinite(squares)) {
        rp_result_fail(s->result, i, &why);
        return;
    }
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (uint32_t c = 0; c < width; c++) to[c] = (float)(vector[c] * scale);
}

static rp_status make_result(search *s, size_t count, rp_error *err) {
    rp_status status = rp_result_make(count, put_hits, &s->result, err);
    if (status) return status;
    s->vectors = rp_new_array(float, (uint64_t)count * s->index->info.width);
    return s->vectors ? RP_OK
                      : rp_fail_memory(err, "the vectors of queries", count * s->index->info.width * 4ull);
}

static rp_status check(const rp_index *index, const void *queries, size_t count, const char *function,
                       rp_search_params *p, rp_result **out, rp_error *err) {
    if (out) *out = NULL;
    if (!index || !out || (count && !queries))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: index, queries and out must not be NULL", function);
    if (p->top_k > RP_SEARCH_TOP_MAX)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: top_k is %u; it is at most %d", function, p->top_k,
                       RP_SEARCH_TOP_MAX);
    if (p->has_threshold && isnan(p->threshold))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: the threshold is not a number", function);
    if (!p->top_k) p->top_k = TOP_K;
    if (p->top_k > index->info.count) p->top_k = (uint32_t)index->info.count;
    return rp_check_reserved(p->reserved, RP_COUNT(p->reserved), function, err);
}

/* ---- by vectors ---- */

rp_status rp_search_vectors(rp_index *index, const float *vectors, size_t count,
                            const rp_search_params *params, rp_result **out, rp_error *err) {
    search s = {.index = index, .params = params ? *params : (rp_search_params){0}};
    rp_visit visit;
    rp_status status = check(index, vectors, count, "rp_search_vectors", &s.params, out, err);
    if (!status) status = rp_visit_enter(&visit, &index->gate, s.params.call, "rp_search_vectors", err);
    if (status) return status;
    visit.total = count;
    status = make_result(&s, count, err);
    for (size_t i = 0; !status && i < count; i++) take_vector(&s, i, vectors + i * index->info.width);
    if (!status) status = answer(&s, err);
    if (!status) rp_call_progress(count);
    if (s.result) finish(&s);
    rp_visit_leave(&visit);
    if (status) rp_result_free(&s.result);
    *out = s.result;
    return status;
}

/* ---- by texts ---- */

static rp_status check_model(const rp_index *index, const rp_model *model, rp_error *err) {
    const rp_index_head *h = &index->file.head;
    char name[RP_INDEX_NAME];
    if (!h->identity)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: no model made this index; search it by vectors (rp_search_vectors)",
                       rp_path_shown(index->info.path));
    if (h->identity == rp_index_identify(model)) return RP_OK;
    rp_index_name(model, name);
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "%s: the vectors are of the model \"%.*s\", and this is another one, \"%.*s\", or other "
                   "weights of it: search with the model that made the index, or make the index again",
                   rp_path_shown(index->info.path), rp_text_fit(h->model, 100), h->model,
                   rp_text_fit(name, 100), name);
}

static rp_status embed(search *s, rp_model *model, const rp_text *queries, size_t count, rp_error *err) {
    const rp_index_head *h = &s->index->file.head;
    const rp_embed_params params = {.pooling = (rp_pooling)h->pooling,
                                    .dimensions = h->dimensions,
                                    .prompt_name = s->params.prompt_name,
                                    .prompt = s->params.prompt,
                                    .call = s->params.call};
    rp_result *embedded = NULL;
    rp_status status = rp_embed(model, queries, count, &params, &embedded, err);
    for (size_t i = 0; !status && i < count; i++) {
        size_t rows, columns;
        rp_error why = {0};
        const char *message;
        const float *vector = rp_result_vectors(embedded, i, &rows, &columns);
        why.status = rp_result_status(embedded, i, &message);
        if (!why.status && columns != s->index->info.width)
            status = rp_fail(err, RP_ERROR_ARGUMENT, "%s: vectors of %u numbers, and the model makes %zu",
                             rp_path_shown(s->index->info.path), s->index->info.width, columns);
        else if (why.status) {
            snprintf(why.message, sizeof why.message, "%s", message);
            rp_result_fail(s->result, i, &why);
        } else
            take_vector(s, i, vector);
        s->result->entries[i].truncated = embedded->entries[i].truncated;
        s->result->entries[i].tokens = embedded->entries[i].tokens;
        s->result->entries[i].taken = embedded->entries[i].taken;
    }
    rp_result_free(&embedded);
    return status;
}

/* In the visit of the index. */
static rp_status search_texts(search *s, rp_model *model, const rp_text *queries, size_t count,
                              rp_error *err) {
    rp_visit visit;
    if (!model) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_search: model must not be NULL");
    rp_status status = rp_model_enter(model, &visit, s->params.call, "rp_search", err);
    if (status) return status;
    visit.whole = true;
    visit.total = count;
    status = check_model(s->index, model, err);
    if (!status) status = make_result(s, count, err);
    if (!status) status = embed(s, model, queries, count, err);
    if (!status) status = answer(s, err);
    if (!status) rp_call_progress(count);
    rp_visit_leave(&visit);
    return status;
}

rp_status rp_search(rp_index *index, rp_model *model, const rp_text *queries, size_t count,
                    const rp_search_params *params, rp_result **out, rp_error *err) {
    search s = {.index = index, .params = params ? *params : (rp_search_params){0}};
    rp_visit visit;
    rp_status status = check(index, queries, count, "rp_search", &s.params, out, err);
    if (!status) status = rp_visit_enter(&visit, &index->gate, s.params.call, "rp_search", err);
    if (status) return status;
    status = search_texts(&s, model, queries, count, err);
    if (s.result) finish(&s);
    rp_visit_leave(&visit);
    if (status) rp_result_free(&s.result);
    *out = s.result;
    return status;
}
