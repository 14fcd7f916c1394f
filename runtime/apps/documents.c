/* Opening documents, and finding passages in them. */
#include "base/os.h"
#include "reprise/documents.h"

#include "apps/passages.h"
#include "base/call.h"
#include "loader/json.h"
#include "loader/unicode.h"
#include "reprise/search.h"

static void set_info(rp_documents *d, bool reused) {
    const rp_passages_header *h = d->passages.header;
    d->info = (rp_documents_info){.documents = h->documents,
                                  .passages = h->passages,
                                  .words = h->words,
                                  .bytes = h->size,
                                  .reused = reused};
}

static void drop(rp_documents *d) {
    rp_index_close(&d->vectors);
    if (d->mapped)
        rp_os_unmap(d->image, d->size);
    else
        free(d->image);
    d->image = NULL;
    d->mapped = false;
}

static rp_status map_index(rp_documents *d, const char *index, rp_error *err) {
    rp_status status = rp_passages_map(index, &d->image, &d->size, err);
    if (status) return status;
    d->mapped = true;
    return rp_passages_view(d->image, d->size, index, &d->passages, err);
}

static rp_status make(rp_documents *d, const rp_sources *sources, const char *path, uint32_t words,
                      const char *index, rp_error *err) {
    rp_status status = rp_passages_build(sources, path, words, &d->image, &d->size, err);
    if (status) return status;
    rp_passages_seal(d->image, d->size);
    rp_passages_parts(d->image, &d->passages);
    return index ? rp_passages_write(index, d->image, d->size, err) : RP_OK;
}

/* Take the index where it is of these files; `*fits` says whether. */
static rp_status try_index(rp_documents *d, const rp_sources *sources, uint32_t words, const char *index,
                           bool *fits, rp_error *err) {
    *fits = false;
    if (!index || !rp_path_exists(index)) return RP_OK;
    rp_status status = map_index(d, index, err);
    if (status) return status;
    const rp_passages_header *h = d->passages.header;
    *fits = h->sources == sources->hash && h->passage_words == words;
    if (!*fits) drop(d);
    return RP_OK;
}

static rp_status open_documents(rp_documents *d, const char *path, const rp_documents_params *params,
                                rp_visit *visit, rp_error *err) {
    const char *index = params->index;
    const uint32_t words = params->passage_words ? params->passage_words : RP_PASSAGE_WORDS;
    rp_sources sources = {0};
    bool fits = false;
    if (!path && !index)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_documents_open: path and params.index are both NULL");
    if (params->embedder && !index)
        return rp_fail(
            err, RP_ERROR_ARGUMENT,
            "vectors of documents are kept in a file beside their index: name one with params.index "
            "(--index)");
    if (words > RP_PASSAGE_WORDS_MAX)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_documents_open: passage_words is %u, at most %d are taken",
                       words, RP_PASSAGE_WORDS_MAX);
    rp_status status = path ? rp_sources_list(path, index, &sources, err) : map_index(d, index, err);
    if (status) return status;
    visit->total = sources.count;
    if (path) status = try_index(d, &sources, words, index, &fits, err);
    if (!status && path && !fits) status = make(d, &sources, path, words, index, err);
    if (!status) set_info(d, d->mapped);
    d->embedder = params->embedder;
    if (!status && d->embedder) status = rp_documents_embed(d, index, params->call, err);
    rp_sources_finish(&sources);
    return status;
}

rp_status rp_documents_open(const char *path, const rp_documents_params *params, rp_documents **out,
                            rp_error *err) {
    const rp_documents_params chosen = params ? *params : (rp_documents_params){0};
    rp_visit visit = {0};
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_documents_open: out is NULL");
    *out = NULL;
    rp_status status =
        rp_check_reserved(chosen.reserved, RP_COUNT(chosen.reserved), "rp_documents_open", err);
    if (!status) status = rp_visit_enter(&visit, NULL, chosen.call, "rp_documents_open", err);
    if (status) return status;
    rp_documents *d = rp_new(rp_documents);
    status =
        d ? open_documents(d, path, &chosen, &visit, err) : rp_fail_memory(err, "the documents", sizeof *d);
    if (!status) rp_call_progress(visit.total);
    rp_visit_leave(&visit);
    if (status) rp_documents_close(&d);
    *out = d;
    return status;
}

void rp_documents_close(rp_documents **documents) {
    if (!documents || !*documents) return;
    drop(*documents);
    free(*documents);
    *documents = NULL;
}

const rp_documents_info *rp_documents_get_info(const rp_documents *documents) {
    return documents ? &documents->info : NULL;
}

rp_status rp_documents_find(const rp_documents *documents, rp_text question, rp_passage *out, size_t room,
                            size_t *count, rp_error *err) {
    if (!documents || !count || (room && !out) || (question.size && !question.data))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_documents_find: documents, out and count must not be NULL");
    *count = 0;
    if (rp_utf8_check(question.data, question.size) < question.size)
        return rp_fail(err, RP_ERROR_TEXT, "the question is not UTF-8");
    const rp_passages *p = &documents->passages;
    if (room > p->header->passages) room = (size_t)p->header->passages;
    rp_found *found = rp_new_array(rp_found, room);
    if (!found) return rp_fail_memory(err, "the passages", room * sizeof *found);
    rp_status status = documents->vectors ? rp_documents_nearest(documents, question, found, room, count, err)
                                          : rp_passages_find(p, question, found, room, count, NULL, err);
    for (size_t i = 0; !status && i < *count; i++) {
        const rp_passages_part *part = &p->parts[found[i].passage];
        const rp_passages_document *document = &p->documents[part->document];
        out[i] = (rp_passage){.document = p->names + document->name,
                              .number = part->document,
                              .text = {p->texts + part->text, part->size},
                              .start = part->text - document->text,
                              .score = found[i].score};
    }
    free(found);
    return status;
}
