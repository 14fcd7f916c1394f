/* Passages by vectors: an index of search.h beside that of the words, whose first document's id says of which
 * passages and which model it is. */
#include <inttypes.h>
#include <stdio.h>

#include "apps/index.h"
#include "apps/passages.h"
#include "base/call.h"
#include "loader/json.h"

enum { SOME = 64, KEY = 40 };

static void key_of(const rp_documents *d, char key[KEY]) {
    snprintf(key, KEY, "%016" PRIx64 " %016" PRIx64, d->passages.header->hash,
             rp_index_identify(d->embedder));
}

static bool fits(const rp_documents *d, const char *key) {
    rp_document first;
    const rp_index_info *info = rp_index_get_info(d->vectors);
    return info->count == d->passages.header->passages && !rp_index_document(d->vectors, 0, &first, NULL) &&
           first.id.data && first.id.size == strlen(key) && !memcmp(first.id.data, key, first.id.size);
}

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

/* The vectors of passages `first` and some after it go to the writer, which the first of them begin. */
static rp_status add_some(const rp_documents *d, uint64_t first, size_t count, const char *path,
                          const char *key, const rp_call *call, rp_index_writer **writer, rp_error *err) {
    rp_text texts[SOME] = {{0}};
    rp_document documents[SOME];
    rp_result *result = NULL;
    for (size_t i = 0; i < count; i++) {
        const rp_passages_part *part = &d->passages.parts[first + i];
        texts[i] = (rp_text){d->passages.texts + part->text, part->size};
        documents[i] = (rp_document){.text = {"", 0}};
        if (first + i == 0) documents[i].id = (rp_text){key, strlen(key)};
    }
    rp_status status = rp_embed_part(d->embedder, texts, count, call, &result, err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *message;
        size_t columns = 0;
        rp_status failed = rp_result_status(result, i, &message);
        const float *vector = rp_result_vectors(result, i, NULL, &columns);
        if (failed) status = rp_fail(err, failed, "passage %" PRIu64 ": %s", first + i + 1, message);
        const rp_index_params made = {.width = (uint32_t)columns};
        if (!status && !*writer) status = rp_index_create(NULL, path, &made, writer, err);
        if (!status) status = rp_index_add_vectors(*writer, &documents[i], vector, 1, NULL, err);
    }
    rp_result_free(&result);
    return status;
}

static rp_status make(const rp_documents *d, const char *path, const char *key, const rp_call *call,
                      rp_error *err) {
    const uint64_t all = d->passages.header->passages;
    rp_index_writer *writer = NULL;
    rp_visit *visit = rp_visit_current();
    const size_t files = visit->total;
    rp_status status = RP_OK;
    visit->total += (size_t)all;
    for (uint64_t i = 0, next; !status && i < all; i = next) {
        next = all - i < SOME ? all : i + SOME;
        status = add_some(d, i, (size_t)(next - i), path, key, call, &writer, err);
        if (!status) rp_call_progress(files + (size_t)next);
    }
    if (!status) status = rp_index_finish(&writer, err);
    rp_index_abandon(&writer);
    return status;
}

rp_status rp_documents_embed(rp_documents *d, const char *index, const rp_call *call, rp_error *err) {
    char key[KEY], *path = rp_new_array(char, strlen(index) + sizeof ".vectors");
    if (!path) return rp_fail_memory(err, "a path", strlen(index));
    strcat(strcpy(path, index), ".vectors");
    key_of(d, key);
    rp_status status = RP_OK;
    if (rp_path_exists(path)) status = rp_index_open(NULL, path, NULL, &d->vectors, err);
    if (!status && d->vectors && !fits(d, key)) status = rp_index_close(&d->vectors);
    if (!status && !d->vectors) {
        status = make(d, path, key, call, err);
        if (!status) status = rp_index_open(NULL, path, NULL, &d->vectors, err);
    }
    free(path);
    return status;
}

rp_status rp_documents_nearest(const rp_documents *d, rp_text question, rp_found *out, size_t room,
                               size_t *count, rp_error *err) {
    const rp_search_params params = {.top_k = room < RP_SEARCH_TOP_MAX ? (uint32_t)room : RP_SEARCH_TOP_MAX,
                                     .no_texts = true};
    const rp_index_info *info = rp_index_get_info(d->vectors);
    rp_result *vectors = NULL, *found = NULL;
    const char *message = "";
    size_t columns = 0;
    *count = 0;
    if (!room) return RP_OK;
    rp_status status = rp_embed(d->embedder, &question, 1, NULL, &vectors, err);
    rp_status failed = status ? status : rp_result_status(vectors, 0, &message);
    if (!status && failed) status = rp_fail(err, failed, "%s", message);
    const float *vector = status ? NULL : rp_result_vectors(vectors, 0, NULL, &columns);
    if (!status && columns != info->width)
        status =
            rp_fail(err, RP_ERROR_FORMAT, "%s: vectors of %u numbers, and the model makes %zu: remove it",
                    rp_path_shown(info->path), info->width, columns);
    if (!status) status = rp_search_vectors(d->vectors, vector, 1, &params, &found, err);
    const rp_hit *hits = status ? NULL : rp_result_hits(found, 0, count);
    for (size_t i = 0; hits && i < *count; i++) out[i] = (rp_found){(uint32_t)hits[i].number, hits[i].score};
    rp_result_free(&found);
    rp_result_free(&vectors);
    return status;
}
