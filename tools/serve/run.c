#include "tools/serve/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FILLED = 128 << 20 }; /* bytes: 30,000 words in a text of 4 KB, as `targets` ask for */

static rp_status no_memory(rp_error *err) {
    *err = (rp_error){RP_ERROR_HOST_MEMORY, "out of memory; try again later"};
    return err->status;
}

/* The texts of a request, one behind the other; NULL: out of memory. */
static rp_text *texts_of(const rp_ask *ask) {
    rp_text *texts = calloc(ask->count + 1, sizeof *texts);
    for (size_t i = 0; texts && i < ask->count; i++) texts[i] = ask->inputs[i].text;
    return texts;
}

static rp_status embed(rp_serve_request *r, rp_model *model, rp_pooling pooling, rp_result **out,
                       rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_embed_params params = {.pooling = pooling,
                                    .normalize = pooling          ? RP_NORMALIZE_DEFAULT
                                                 : ask->normalize ? RP_NORMALIZE_YES
                                                                  : RP_NORMALIZE_NO,
                                    .prompt_name = ask->prompt_name,
                                    .dimensions = ask->dimensions,
                                    .call = &r->call};
    rp_text *texts = texts_of(ask);
    rp_status status = texts ? rp_embed(model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_embed(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    return embed(r, model, RP_POOLING_DEFAULT, out, err);
}

rp_status rp_run_embed_all(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    return embed(r, model, RP_POOLING_NONE, out, err);
}

/* The logits of every input, for raw scores: the library gives probabilities. */
static rp_status run_logits(rp_serve_request *r, rp_model *model, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_model_info *info = rp_model_get_info(model);
    const rp_tokenize_params cut = {.max_tokens = info->max_tokens};
    uint32_t *layers = calloc(ask->count + 1, sizeof *layers);
    const rp_run_params params = {
        .output = RP_OUTPUT_CLASSES, .call = &r->call, .patience = ask->patience, .layers = layers};
    size_t labels = info->label_count;
    rp_encoding *encodings = calloc(ask->count + 1, sizeof *encodings);
    rp_sequence *sequences = calloc(ask->count + 1, sizeof *sequences);
    rp_status status = RP_OK;
    r->raw = calloc(ask->count * labels + 1, sizeof *r->raw);
    if (!encodings || !sequences || !layers || !r->raw) status = no_memory(err);
    for (size_t i = 0; !status && i < ask->count; i++) {
        status = rp_tokenize(rp_model_get_tokenizer(model), ask->inputs[i].text, ask->inputs[i].pair, &cut,
                             &encodings[i], err);
        sequences[i] = (rp_sequence){encodings[i].ids, encodings[i].type_ids, (uint32_t)encodings[i].count};
        r->tokens += encodings[i].count;
        if (!status && encodings[i].truncated && !ask->truncate) {
            *err = (rp_error){.status = status = RP_ERROR_ARGUMENT};
            snprintf(err->message, sizeof err->message,
                     "input %zu has more than the %u tokens that the model takes; shorten it, or let it be "
                     "cut by \"truncate\": true",
                     i, info->max_tokens);
        }
    }
    if (!status)
        status = rp_model_run(model, sequences, ask->count, &params, r->raw, ask->count * labels, NULL, err);
    if (!status && ask->patience) r->layers = 0;
    for (size_t i = 0; !status && ask->patience && i < ask->count; i++)
        if (layers[i] > r->layers) r->layers = layers[i];
    free(layers);
    for (size_t i = 0; encodings && i < ask->count; i++) rp_encoding_free(&encodings[i]);
    free(encodings);
    free(sequences);
    return status;
}

rp_status rp_run_predict(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_classify_params params = {.top_k = r->ask.top_k, .patience = r->ask.patience, .call = &r->call};
    if (r->ask.raw) return run_logits(r, model, err);
    return rp_classify(model, r->ask.inputs, r->ask.count, &params, out, err);
}

static rp_status rank(rp_serve_request *r, rp_model *model, uint32_t top_k, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_ranking ranking = {ask->inputs[0].text, ask->texts, ask->text_count};
    const rp_rank_params params = {
        .score = ask->raw ? RP_RANK_SCORE_RAW : RP_RANK_SCORE_DEFAULT, .top_k = top_k, .call = &r->call};
    return rp_rank(model, &ranking, 1, &params, out, err);
}

rp_status rp_run_rank(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    return rank(r, model, 0, out, err);
}

rp_status rp_run_cohere(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    return rank(r, model, r->ask.top_k, out, err);
}

rp_status rp_run_zero_shot(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_zero_shot_params params = {.labels = ask->labels,
                                        .label_count = ask->label_count,
                                        .hypothesis = ask->word,
                                        .multi_label = ask->multi_label,
                                        .call = &r->call};
    rp_text *texts = texts_of(ask);
    rp_status status = texts ? rp_zero_shot(model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_tag(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_tag_params params = {
        .aggregation = (rp_aggregation)ask->number, .stride = ask->stride, .call = &r->call};
    rp_text *texts = texts_of(ask);
    rp_status status = texts ? rp_tag(model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_answer(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_answer_params params = {.top_k = ask->top_k,
                                     .max_tokens = ask->max_length,
                                     .stride = ask->stride,
                                     .max_question_tokens = ask->max_question,
                                     .max_answer_tokens = ask->max_answer,
                                     .allow_no_answer = ask->flag,
                                     .call = &r->call};
    rp_question *questions = calloc(ask->count + 1, sizeof *questions);
    for (size_t i = 0; questions && i < ask->count; i++)
        questions[i] = (rp_question){ask->inputs[i].text, ask->inputs[i].pair};
    rp_status status =
        questions ? rp_answer_questions(model, questions, ask->count, &params, out, err) : no_memory(err);
    free(questions);
    return status;
}

static size_t count_in(rp_text text, const char *part) {
    size_t size = part ? strlen(part) : 0, count = 0;
    for (size_t at = 0; size && at + size <= text.size;) {
        const char *next = memchr(text.data + at, *part, text.size - size - at + 1);
        if (!next) break;
        bool found = !memcmp(next, part, size);
        count += found;
        at = (size_t)(next - text.data) + (found ? size : 1);
    }
    return count;
}

/* Every candidate for every mask is a text of its own. What they come to, in bytes, if a token has eight. */
static double bytes_of_fills(const rp_served *m, const rp_ask *ask, uint32_t candidates) {
    const char *mask = rp_tokenizer_piece(m->tokenizer, rp_tokenizer_special_ids(m->tokenizer).mask);
    double most = m->max_tokens, sum = 0;
    for (size_t i = 0; i < ask->count; i++) {
        double masks = (double)count_in(ask->inputs[i].text, mask), size = (double)ask->inputs[i].text.size;
        sum += (masks < most ? masks : most) * candidates * ((size < 8 * most ? size : 8 * most) + 32);
    }
    return sum;
}

rp_status rp_run_fill(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_fill_params params = {
        .top_k = ask->labels ? rp_tokenizer_vocab_size(r->model->tokenizer) : ask->top_k, .call = &r->call};
    if (bytes_of_fills(r->model, ask, params.top_k ? params.top_k : 5) > MOST_FILLED) {
        *err =
            (rp_error){RP_ERROR_ARGUMENT, "the texts with every mask filled in every way are too many; send "
                                          "fewer masks or texts at once, or a smaller `top_k`"};
        return err->status;
    }
    rp_text *texts = texts_of(ask);
    rp_status status = texts ? rp_fill_mask(model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_coherence(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_coherence_params params = {.call = &r->call};
    return rp_coherence(model, r->ask.inputs, r->ask.count, &params, out, err);
}

rp_status rp_run_choose(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_choice choice = {ask->inputs[0].text, ask->texts, ask->text_count};
    const rp_choose_params params = {.call = &r->call};
    return rp_choose(model, &choice, 1, &params, out, err);
}

rp_status rp_run_moderate(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_moderate_params params = {.normalize = ask->flag, .call = &r->call};
    rp_text *texts = texts_of(ask);
    (void)model;
    rp_status status =
        texts ? rp_moderate(r->model->moderation, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_score(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_score_params params = {.call = &r->call};
    rp_text *texts = texts_of(&r->ask);
    rp_status status = texts ? rp_score(model, texts, r->ask.count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_search(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_search_params params = {.top_k = ask->top_k,
                                     .has_threshold = ask->has_threshold,
                                     .threshold = (float)ask->threshold,
                                     .prompt_name = ask->prompt_name,
                                     .call = &r->call};
    rp_text *texts = texts_of(ask);
    rp_status status =
        texts ? rp_search(r->index->index, model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_summarize(rp_serve_request *r, rp_model *model, rp_result **out, rp_error *err) {
    const rp_ask *ask = &r->ask;
    const rp_summarize_params params = {
        .sentences = ask->number, .coherence = (float)ask->threshold, .call = &r->call};
    rp_text *texts = texts_of(ask);
    rp_status status = texts ? rp_summarize(model, texts, ask->count, &params, out, err) : no_memory(err);
    free(texts);
    return status;
}

rp_status rp_run_nothing(rp_model *model, rp_serve_task task, rp_error *err) {
    static const char *const label[] = {"a"};
    const rp_zero_shot_params zero_shot = {.labels = label, .label_count = 1};
    rp_result *nothing = NULL;
    rp_status status = RP_OK;
    switch (task) {
    case RP_SERVE_CLASSIFY:
    case RP_SERVE_MODERATE:
        status = rp_classify(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_ZERO_SHOT:
        status = rp_zero_shot(model, NULL, 0, &zero_shot, &nothing, err);
        break;
    case RP_SERVE_RANK:
        status = rp_rank(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_TAG:
        status = rp_tag(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_ANSWER:
        status = rp_answer_questions(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_FILL:
        status = rp_fill_mask(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_COHERENCE:
        status = rp_coherence(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_CHOOSE:
        status = rp_choose(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_SCORE:
        status = rp_score(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_SUMMARIZE:
        status = rp_summarize(model, NULL, 0, NULL, &nothing, err);
        break;
    case RP_SERVE_EMBED:
    case RP_SERVE_SEARCH:
        status = rp_embed(model, NULL, 0, NULL, &nothing, err);
        break;
    default:
        break;
    }
    rp_result_free(&nothing);
    return status;
}
