#include "answers.h"

/* The number of things that an accessor gave. */
static void put_count(rp_java_out *out, size_t count) {
    if (count > INT32_MAX) out->short_of_memory = true;
    rp_java_put_i32(out, (int32_t)count);
}

void rp_java_put_labels(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_label *labels = rp_result_labels(result, i, &count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_name(out, labels[k].label);
        rp_java_put_i32(out, (int32_t)labels[k].index);
        rp_java_put_f32(out, labels[k].score);
    }
    count = 0;
    const rp_word *words = rp_result_words(result, i, &count);
    put_count(out, words ? count : 0);
    for (size_t k = 0; words && k < count; k++) {
        rp_java_put_span(out, words[k].span);
        rp_java_put_f32(out, words[k].weight);
    }
}

void rp_java_put_fills(rp_java_out *out, const rp_result *result, size_t i) {
    const size_t masks = rp_result_mask_count(result, i);
    put_count(out, masks);
    for (size_t mask = 0; mask < masks; mask++) {
        size_t count = 0;
        const rp_fill *fills = rp_result_fills(result, i, mask, &count);
        put_count(out, count);
        for (size_t k = 0; k < count; k++) {
            rp_java_put_f32(out, fills[k].score);
            rp_java_put_i32(out, fills[k].token);
            rp_java_put_name(out, fills[k].piece);
            rp_java_put_name(out, fills[k].sequence);
        }
    }
}

void rp_java_put_entities(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_entity *entities = rp_result_entities(result, i, &count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_name(out, entities[k].label);
        rp_java_put_f32(out, entities[k].score);
        rp_java_put_i32(out, (int32_t)entities[k].index);
        rp_java_put_name(out, entities[k].word);
        rp_java_put_span(out, entities[k].span);
    }
}

void rp_java_put_answers(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0, source_count = 0;
    const rp_answer *answers = rp_result_answers(result, i, &count);
    const rp_source *sources = rp_result_sources(result, i, &source_count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_f32(out, answers[k].score);
        rp_java_put_span(out, answers[k].span);
        rp_java_put_name(out, answers[k].text);
        rp_java_put_i32(out, k < source_count);
        if (k >= source_count) continue;
        rp_java_put_name(out, sources[k].document);
        rp_java_put_span(out, sources[k].passage);
        rp_java_put_text(out, sources[k].text);
        rp_java_put_f32(out, sources[k].found);
        rp_java_put_f32(out, sources[k].logit);
    }
}

void rp_java_put_vectors(rp_java_out *out, const rp_result *result, size_t i) {
    size_t rows = 0, columns = 0;
    const float *vectors = rp_result_vectors(result, i, &rows, &columns);
    put_count(out, rows);
    put_count(out, columns);
    rp_java_put_floats(out, vectors, rows * columns);
}

void rp_java_put_order(rp_java_out *out, const rp_result *result, size_t i) {
    rp_java_put_f32(out, rp_result_in_order(result, i));
}

void rp_java_put_score(rp_java_out *out, const rp_result *result, size_t i) {
    uint32_t tokens = 0;
    rp_java_put_f64(out, rp_result_score(result, i, &tokens));
    rp_java_put_i32(out, (int32_t)tokens);
}

void rp_java_put_ranked(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_ranked *ranked = rp_result_ranked(result, i, &count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_i32(out, (int32_t)ranked[k].index);
        rp_java_put_f32(out, ranked[k].score);
    }
}

void rp_java_put_sentences(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_sentence *sentences = rp_result_sentences(result, i, &count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_span(out, sentences[k].span);
        rp_java_put_f32(out, sentences[k].score);
    }
}

void rp_java_put_hits(rp_java_out *out, const rp_result *result, size_t i) {
    size_t count = 0;
    const rp_hit *hits = rp_result_hits(result, i, &count);
    put_count(out, count);
    for (size_t k = 0; k < count; k++) {
        rp_java_put_f32(out, hits[k].score);
        rp_java_put_i64(out, (int64_t)hits[k].number);
        rp_java_put_text(out, hits[k].id);
        rp_java_put_text(out, hits[k].text);
    }
}

void rp_java_put_verdict(rp_java_out *out, const rp_result *result, size_t i) {
    const rp_verdict *verdict = rp_result_verdict(result, i);
    rp_java_put_i32(out, verdict->flagged);
    rp_java_put_name(out, verdict->action);
    put_count(out, verdict->label_count);
    for (size_t k = 0; k < verdict->label_count; k++) {
        const rp_moderated *label = &verdict->labels[k];
        rp_java_put_name(out, label->label);
        rp_java_put_i32(out, (int32_t)label->index);
        rp_java_put_f32(out, label->score);
        rp_java_put_f32(out, label->threshold);
        rp_java_put_i32(out, label->flagged);
        put_count(out, label->span_count);
        for (size_t s = 0; s < label->span_count; s++) rp_java_put_span(out, label->spans[s]);
    }
}

void rp_java_put_reply(rp_java_out *out, const rp_result *result, size_t i) {
    const rp_reply *reply = rp_result_reply(result, i);
    rp_java_put_name(out, reply->intent);
    rp_java_put_f32(out, reply->score);
    rp_java_put_name(out, reply->answer);
    rp_java_put_i64(out, (int64_t)reply->row);
    rp_java_put_name(out, reply->question);
    rp_java_put_f32(out, reply->found);
    rp_java_put_span(out, reply->marked);
    rp_java_put_f32(out, reply->marked_score);
    put_count(out, reply->slot_count);
    for (size_t k = 0; k < reply->slot_count; k++) {
        rp_java_put_name(out, reply->slots[k].name);
        rp_java_put_name(out, reply->slots[k].value);
    }
}

static void put_object(rp_java_out *out, const rp_result *result, size_t i, rp_java_entry entry) {
    const char *message;
    const rp_status status = rp_result_status(result, i, &message);
    rp_java_put_i32(out, (int32_t)status);
    if (status) {
        rp_java_put_name(out, message);
        return;
    }
    uint32_t taken = 0;
    const uint32_t tokens = rp_result_tokens(result, i, &taken);
    rp_java_put_i32(out, rp_result_truncated(result, i));
    rp_java_put_i32(out, (int32_t)tokens);
    rp_java_put_i32(out, (int32_t)taken);
    entry(out, result, i);
}

static rp_status put_json(rp_java_out *out, const rp_result *result, size_t i, int32_t form, rp_error *err) {
    const rp_json_params params = {.offsets = (rp_offsets)(form - 1)};
    char *text = NULL;
    size_t size = 0;
    const rp_status status = rp_result_json(result, i, &params, &text, &size, err);
    if (status == RP_OK) rp_java_put_text(out, (rp_text){text, size});
    rp_string_free(&text);
    return status;
}

rp_status rp_java_answers(rp_java_call *c, rp_status status, rp_result *result, int32_t form,
                          rp_java_entry entry, rp_error *err) {
    if (status) return status;
    const size_t count = rp_result_count(result);
    put_count(&c->out, count);
    for (size_t i = 0; i < count && !status; i++) {
        if (form == RP_JAVA_OBJECTS)
            put_object(&c->out, result, i, entry);
        else
            status = put_json(&c->out, result, i, form, err);
    }
    rp_result_free(&result);
    return status;
}
