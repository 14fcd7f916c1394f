/* Passages by vectors, which are kept in a file beside the index of the words. */
#include "apps/index.h"
#include "apps/passages.h"

static rp_text passage(const void *of, uint64_t number) {
    const rp_passages *p = of;
    return (rp_text){p->texts + p->parts[number].text, p->parts[number].size};
}

rp_status rp_documents_embed(rp_documents *d, const char *index, const rp_call *call, rp_error *err) {
    const rp_kept_texts texts = {.model = d->embedder,
                                 .hash = d->passages.header->hash,
                                 .count = d->passages.header->passages,
                                 .get = passage,
                                 .of = &d->passages,
                                 .name = "passage"};
    char *path = rp_new_array(char, strlen(index) + sizeof ".vectors");
    if (!path) return rp_fail_memory(err, "a path", strlen(index));
    strcat(strcpy(path, index), ".vectors");
    rp_status status = rp_vectors_keep(&texts, path, call, &d->vectors, err);
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
