/* Vectors of texts that a call needs again and again, kept in an index of search.h whose first document's id
 * says of which texts and which model they are. */
#include <inttypes.h>
#include <stdio.h>

#include "apps/index.h"
#include "apps/passages.h"
#include "base/call.h"
#include "loader/json.h"

enum { SOME = 64, KEY = 40 };
#define KEY_SIGNS "0123456789abcdef "

rp_status rp_embed_part(rp_model *model, const rp_text *texts, size_t count, const rp_call *call,
                        rp_result **out, rp_error *err) {
    const rp_embed_params params = {.call = call};
    const rp_visit *outer = rp_visit_current();
    rp_visit visit;
    if (!model || (outer && outer->whole && outer->gate == &model->gate && outer->call == call))
        return rp_embed(model, texts, count, &params, out, err);
    rp_status status = rp_model_enter(model, &visit, call, "rp_embed", err);
    if (status) return status;
    visit.whole = true;
    status = rp_embed(model, texts, count, &params, out, err);
    rp_visit_leave(&visit);
    return status;
}

/* An index that nobody made for this is left as it is. */
static rp_status check_key(const rp_index *index, const char *path, const char *key, bool *fits,
                           rp_error *err) {
    rp_document first = {0};
    rp_status status = rp_index_document(index, 0, &first, err);
    if (status) return status;
    bool ours = first.id.data && first.id.size == strlen(key);
    for (size_t i = 0; ours && i < first.id.size; i++)
        ours = first.id.data[i] && strchr(KEY_SIGNS, first.id.data[i]);
    if (!ours)
        return rp_fail(err, RP_ERROR_FILE,
                       "%s: is an index of something else, and would be written over; name another file",
                       rp_path_shown(path));
    *fits = !memcmp(first.id.data, key, first.id.size);
    return RP_OK;
}

/* The vectors of texts `first` and some after it go to the writer, which the first of them begin. */
static rp_status add_some(const rp_kept_texts *t, uint64_t first, size_t count, const char *path,
                          const char *key, const rp_call *call, rp_index_writer **writer, rp_error *err) {
    rp_text texts[SOME] = {{0}};
    rp_document documents[SOME];
    rp_result *result = NULL;
    for (size_t i = 0; i < count; i++) {
        texts[i] = t->get(t->of, first + i);
        documents[i] = (rp_document){.text = {"", 0}};
        if (first + i == 0) documents[i].id = (rp_text){key, strlen(key)};
    }
    rp_status status = rp_embed_part(t->model, texts, count, call, &result, err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *message;
        size_t columns = 0;
        rp_status failed = rp_result_status(result, i, &message);
        const float *vector = rp_result_vectors(result, i, NULL, &columns);
        if (failed) status = rp_fail(err, failed, "%s %" PRIu64 ": %s", t->name, first + i + 1, message);
        const rp_index_params made = {.width = (uint32_t)columns};
        if (!status && !*writer) status = rp_index_create(NULL, path, &made, writer, err);
        if (!status) status = rp_index_add_vectors(*writer, &documents[i], vector, 1, NULL, err);
    }
    rp_result_free(&result);
    return status;
}

static rp_status make(const rp_kept_texts *t, const char *path, const char *key, const rp_call *call,
                      rp_error *err) {
    rp_index_writer *writer = NULL;
    rp_visit *visit = rp_visit_current();
    const size_t before = visit->total;
    rp_status status = RP_OK;
    visit->total += (size_t)t->count;
    for (uint64_t i = 0, next; !status && i < t->count; i = next) {
        next = t->count - i < SOME ? t->count : i + SOME;
        status = add_some(t, i, (size_t)(next - i), path, key, call, &writer, err);
        if (!status) rp_call_progress(before + (size_t)next);
    }
    if (!status) status = rp_index_finish(&writer, err);
    rp_index_abandon(&writer);
    return status;
}

rp_status rp_vectors_keep(const rp_kept_texts *t, const char *path, const rp_call *call, rp_index **out,
                          rp_error *err) {
    char key[KEY];
    bool fits = false;
    rp_status status = RP_OK;
    *out = NULL;
    snprintf(key, sizeof key, "%016" PRIx64 " %016" PRIx64, t->hash, rp_index_identify(t->model));
    if (rp_path_exists(path)) status = rp_index_open(NULL, path, NULL, out, err);
    if (!status && *out) status = check_key(*out, path, key, &fits, err);
    if (*out && (!fits || rp_index_get_info(*out)->count != t->count)) rp_index_close(out);
    if (status || *out) return status;
    status = make(t, path, key, call, err);
    return status ? status : rp_index_open(NULL, path, NULL, out, err);
}
