/* What is built on models: moderation, search, answers from documents, dialogues. */
#include "answers.h"

#include <stdlib.h>

/* ---- moderation ---- */

rp_status rp_java_moderation_open(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    rp_moderation_params params = {0};
    params.thresholds = rp_java_name(&c->in);
    params.policy = rp_java_name(&c->in);
    rp_moderation *moderation = NULL;
    if (rp_java_done(&c->in, err) || rp_moderation_open(model, &params, &moderation, err)) return err->status;
    rp_java_put_handle(&c->out, moderation);
    return RP_OK;
}

rp_status rp_java_moderation_close(rp_java_call *c, rp_error *err) {
    rp_moderation *moderation = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_moderation_close(&moderation);
    return RP_OK;
}

rp_status rp_java_moderate(rp_java_call *c, rp_error *err) {
    const rp_moderation *moderation = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_moderate_params params = {.call = c->call};
    params.normalize = rp_java_bool(&c->in);
    params.no_spans = rp_java_bool(&c->in);
    size_t count;
    rp_result *result = NULL;
    rp_text *texts = rp_java_texts(&c->in, &count, err);
    if (!texts) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_moderate(moderation, texts, count, &params, &result, err);
    free(texts);
    return rp_java_answers(c, status, result, form, rp_java_put_verdict, err);
}

/* ---- search ---- */

rp_status rp_java_index_create(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const char *path = rp_java_name(&c->in);
    rp_index_params params = {0}; /* calls of Java end before the writer does: none is kept */
    params.pooling = (rp_pooling)rp_java_i32(&c->in);
    params.dimensions = (uint32_t)rp_java_i32(&c->in);
    params.prompt_name = rp_java_name(&c->in);
    params.prompt = rp_java_name(&c->in);
    rp_index_writer *writer = NULL;
    if (rp_java_done(&c->in, err) || rp_index_create(model, path, &params, &writer, err)) return err->status;
    rp_java_put_handle(&c->out, writer);
    return RP_OK;
}

rp_status rp_java_index_add(rp_java_call *c, rp_error *err) {
    rp_index_writer *writer = rp_java_handle(&c->in);
    const size_t count = rp_java_count(&c->in, 8);
    rp_document *documents = rp_java_array(count, sizeof *documents, err);
    if (!documents) return err->status;
    for (size_t i = 0; i < count; i++) {
        documents[i].id = rp_java_text(&c->in);
        documents[i].text = rp_java_text(&c->in);
    }
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_index_add(writer, documents, count, NULL, err);
    free(documents);
    return status;
}

rp_status rp_java_index_finish(rp_java_call *c, rp_error *err) {
    rp_index_writer *writer = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_index_finish(&writer, err);
}

rp_status rp_java_index_abandon(rp_java_call *c, rp_error *err) {
    rp_index_writer *writer = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_index_abandon(&writer);
    return RP_OK;
}

rp_status rp_java_index_open(rp_java_call *c, rp_error *err) {
    rp_device *device = rp_java_handle(&c->in);
    const char *path = rp_java_name(&c->in);
    const rp_index_open_params params = {.call = c->call};
    rp_index *index = NULL;
    if (rp_java_done(&c->in, err) || rp_index_open(device, path, &params, &index, err)) return err->status;
    rp_java_put_handle(&c->out, index);
    return RP_OK;
}

rp_status rp_java_index_close(rp_java_call *c, rp_error *err) {
    rp_index *index = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    return rp_index_close(&index);
}

rp_status rp_java_index_info(rp_java_call *c, rp_error *err) {
    const rp_index *index = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    const rp_index_info *info = rp_index_get_info(index);
    rp_java_put_i64(&c->out, (int64_t)info->count);
    rp_java_put_i32(&c->out, (int32_t)info->width);
    rp_java_put_name(&c->out, info->model);
    return RP_OK;
}

rp_status rp_java_search(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_index *index = rp_java_handle(&c->in);
    rp_search_params params = {.call = c->call};
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    params.has_threshold = rp_java_bool(&c->in);
    params.threshold = (float)rp_java_f64(&c->in);
    params.prompt_name = rp_java_name(&c->in);
    params.prompt = rp_java_name(&c->in);
    params.no_texts = rp_java_bool(&c->in);
    size_t count;
    rp_result *result = NULL;
    rp_text *texts = rp_java_texts(&c->in, &count, err);
    if (!texts) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_search(index, model, texts, count, &params, &result, err);
    free(texts);
    return rp_java_answers(c, status, result, form, rp_java_put_hits, err);
}

/* ---- answers from documents ---- */

rp_status rp_java_documents_open(rp_java_call *c, rp_error *err) {
    rp_documents_params params = {.call = c->call};
    params.embedder = rp_java_handle(&c->in);
    const char *path = rp_java_name(&c->in);
    params.index = rp_java_name(&c->in);
    params.passage_words = (uint32_t)rp_java_i32(&c->in);
    rp_documents *documents = NULL;
    if (rp_java_done(&c->in, err) || rp_documents_open(path, &params, &documents, err)) return err->status;
    rp_java_put_handle(&c->out, documents);
    return RP_OK;
}

rp_status rp_java_documents_close(rp_java_call *c, rp_error *err) {
    rp_documents *documents = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_documents_close(&documents);
    return RP_OK;
}

rp_status rp_java_documents_info(rp_java_call *c, rp_error *err) {
    const rp_documents *documents = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    const rp_documents_info *info = rp_documents_get_info(documents);
    rp_java_put_i64(&c->out, (int64_t)info->documents);
    rp_java_put_i64(&c->out, (int64_t)info->passages);
    rp_java_put_i32(&c->out, info->reused);
    return RP_OK;
}

rp_status rp_java_answer_documents(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_documents *documents = rp_java_handle(&c->in);
    rp_document_params params = {.call = c->call};
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    params.passages = (uint32_t)rp_java_i32(&c->in);
    params.max_answer_tokens = (uint32_t)rp_java_i32(&c->in);
    params.allow_no_answer = rp_java_bool(&c->in);
    params.threshold = (float)rp_java_f64(&c->in);
    params.weight = (float)rp_java_f64(&c->in);
    size_t count;
    rp_result *result = NULL;
    rp_text *texts = rp_java_texts(&c->in, &count, err);
    if (!texts) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_answer_documents(model, documents, texts, count, &params, &result, err);
    free(texts);
    return rp_java_answers(c, status, result, form, rp_java_put_answers, err);
}

/* ---- dialogues ---- */

rp_status rp_java_chat_open(rp_java_call *c, rp_error *err) {
    rp_chat_params params = {.call = c->call};
    params.model = rp_java_handle(&c->in);
    params.embedder = rp_java_handle(&c->in);
    params.reader = rp_java_handle(&c->in);
    params.tagger = rp_java_handle(&c->in);
    params.examples = rp_java_name(&c->in);
    params.faq = rp_java_name(&c->in);
    params.has_threshold = rp_java_bool(&c->in);
    params.threshold = (float)rp_java_f64(&c->in);
    params.has_faq_threshold = rp_java_bool(&c->in);
    params.faq_threshold = (float)rp_java_f64(&c->in);
    rp_chat *chat = NULL;
    if (rp_java_done(&c->in, err) || rp_chat_open(&params, &chat, err)) return err->status;
    rp_java_put_handle(&c->out, chat);
    return RP_OK;
}

rp_status rp_java_chat_close(rp_java_call *c, rp_error *err) {
    rp_chat *chat = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_chat_close(&chat);
    return RP_OK;
}

rp_status rp_java_chat_forget(rp_java_call *c, rp_error *err) {
    rp_chat *chat = rp_java_handle(&c->in);
    if (rp_java_done(&c->in, err)) return err->status;
    rp_chat_forget(chat);
    return RP_OK;
}

rp_status rp_java_chat_say(rp_java_call *c, rp_error *err) {
    rp_chat *chat = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    size_t count;
    rp_result *result = NULL;
    rp_text *texts = rp_java_texts(&c->in, &count, err);
    if (!texts) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_chat_say(chat, texts, count, c->call, &result, err);
    free(texts);
    return rp_java_answers(c, status, result, form, rp_java_put_reply, err);
}
