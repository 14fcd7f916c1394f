/* The tasks of a model. A call is the model, the form of the answers, the params in the order of their
 * struct, and the inputs. */
#include "answers.h"

#include <stdlib.h>

/* Inputs that are a text and perhaps another, as rp_input or rp_question, which look the same. */
static rp_input *read_inputs(rp_java_in *in, size_t *count, rp_error *err) {
    *count = rp_java_count(in, 8);
    rp_input *inputs = rp_java_array(*count, sizeof *inputs, err);
    for (size_t i = 0; inputs && i < *count; i++) {
        inputs[i].text = rp_java_text(in);
        inputs[i].pair = rp_java_text(in);
    }
    return inputs;
}

rp_status rp_java_classify(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_classify_params params = {.call = c->call};
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    params.long_texts = (rp_long_texts)rp_java_i32(&c->in);
    params.stride = (uint32_t)rp_java_i32(&c->in);
    params.explain = rp_java_bool(&c->in);
    params.most_parts = (uint32_t)rp_java_i32(&c->in);
    size_t count;
    rp_result *result = NULL;
    rp_input *inputs = read_inputs(&c->in, &count, err);
    if (!inputs) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_classify(model, inputs, count, &params, &result, err);
    free(inputs);
    return rp_java_answers(c, status, result, form, rp_java_put_labels, err);
}

rp_status rp_java_coherence(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_coherence_params params = {.call = c->call};
    size_t count;
    rp_result *result = NULL;
    rp_input *inputs = read_inputs(&c->in, &count, err);
    if (!inputs) return err->status;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_coherence(model, inputs, count, &params, &result, err);
    free(inputs);
    return rp_java_answers(c, status, result, form, rp_java_put_order, err);
}

rp_status rp_java_answer(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_answer_params params = {.call = c->call};
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    params.max_tokens = (uint32_t)rp_java_i32(&c->in);
    params.stride = (uint32_t)rp_java_i32(&c->in);
    params.max_question_tokens = (uint32_t)rp_java_i32(&c->in);
    params.max_answer_tokens = (uint32_t)rp_java_i32(&c->in);
    params.allow_no_answer = rp_java_bool(&c->in);
    const size_t count = rp_java_count(&c->in, 8);
    rp_question *questions = rp_java_array(count, sizeof *questions, err);
    if (!questions) return err->status;
    for (size_t i = 0; i < count; i++) {
        questions[i].question = rp_java_text(&c->in);
        questions[i].context = rp_java_text(&c->in);
    }
    rp_result *result = NULL;
    rp_status status = rp_java_done(&c->in, err);
    if (!status) status = rp_answer_questions(model, questions, count, &params, &result, err);
    free(questions);
    return rp_java_answers(c, status, result, form, rp_java_put_answers, err);
}

rp_status rp_java_zero_shot(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    size_t label_count, count;
    const char **labels = rp_java_names(&c->in, &label_count, err);
    if (!labels) return err->status;
    rp_zero_shot_params params = {.labels = labels, .label_count = label_count, .call = c->call};
    params.hypothesis = rp_java_name(&c->in);
    params.multi_label = rp_java_bool(&c->in);
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    rp_result *result = NULL;
    rp_text *texts = rp_java_texts(&c->in, &count, err);
    rp_status status = texts ? rp_java_done(&c->in, err) : err->status;
    if (!status) status = rp_zero_shot(model, texts, count, &params, &result, err);
    free(texts);
    free(labels);
    return rp_java_answers(c, status, result, form, rp_java_put_labels, err);
}

/* The body of a task on texts: what every one of them does after its params were read. */
#define ANSWER_TEXTS(task, entry)                                           \
    size_t count;                                                           \
    rp_result *result = NULL;                                               \
    rp_text *texts = rp_java_texts(&c->in, &count, err);                    \
    if (!texts) return err->status;                                         \
    rp_status status = rp_java_done(&c->in, err);                           \
    if (!status) status = task(model, texts, count, &params, &result, err); \
    free(texts);                                                            \
    return rp_java_answers(c, status, result, form, entry, err)

rp_status rp_java_fill_mask(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_fill_params params = {.top_k = (uint32_t)rp_java_i32(&c->in), .call = c->call};
    ANSWER_TEXTS(rp_fill_mask, rp_java_put_fills);
}

rp_status rp_java_tag(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_tag_params params = {.call = c->call};
    params.aggregation = (rp_aggregation)rp_java_i32(&c->in);
    params.stride = (uint32_t)rp_java_i32(&c->in);
    params.cut = rp_java_bool(&c->in);
    ANSWER_TEXTS(rp_tag, rp_java_put_entities);
}

rp_status rp_java_embed(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_embed_params params = {.call = c->call};
    params.pooling = (rp_pooling)rp_java_i32(&c->in);
    params.normalize = (rp_normalize)rp_java_i32(&c->in);
    params.prompt_name = rp_java_name(&c->in);
    params.prompt = rp_java_name(&c->in);
    params.dimensions = (uint32_t)rp_java_i32(&c->in);
    ANSWER_TEXTS(rp_embed, rp_java_put_vectors);
}

rp_status rp_java_score(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_score_params params = {.call = c->call};
    ANSWER_TEXTS(rp_score, rp_java_put_score);
}

rp_status rp_java_summarize(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_summarize_params params = {.sentences = (uint32_t)rp_java_i32(&c->in), .call = c->call};
    ANSWER_TEXTS(rp_summarize, rp_java_put_sentences);
}

/* ---- a text with several others ---- */

/* One input of choose or rank. */
typedef struct {
    rp_text text;
    rp_text *others;
    size_t count;
} group;

static void free_groups(group *groups, size_t count) {
    for (size_t i = 0; groups && i < count; i++) free(groups[i].others);
    free(groups);
}

static group *read_groups(rp_java_in *in, size_t *count, rp_error *err) {
    *count = rp_java_count(in, 8);
    group *groups = rp_java_array(*count, sizeof *groups, err);
    for (size_t i = 0; groups && i < *count; i++) {
        groups[i].text = rp_java_text(in);
        groups[i].others = rp_java_texts(in, &groups[i].count, err);
        if (groups[i].others) continue;
        free_groups(groups, i);
        return NULL;
    }
    return groups;
}

rp_status rp_java_choose(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    const rp_choose_params params = {.call = c->call};
    size_t count;
    rp_result *result = NULL;
    group *groups = read_groups(&c->in, &count, err);
    if (!groups) return err->status;
    rp_choice *choices = rp_java_array(count, sizeof *choices, err);
    rp_status status = choices ? rp_java_done(&c->in, err) : err->status;
    for (size_t i = 0; choices && i < count; i++)
        choices[i] = (rp_choice){groups[i].text, groups[i].others, groups[i].count};
    if (!status) status = rp_choose(model, choices, count, &params, &result, err);
    free(choices);
    free_groups(groups, count);
    return rp_java_answers(c, status, result, form, rp_java_put_vectors, err);
}

rp_status rp_java_rank(rp_java_call *c, rp_error *err) {
    rp_model *model = rp_java_handle(&c->in);
    const int32_t form = rp_java_i32(&c->in);
    rp_rank_params params = {.call = c->call};
    params.score = (rp_rank_score)rp_java_i32(&c->in);
    params.top_k = (uint32_t)rp_java_i32(&c->in);
    params.prompt_name = rp_java_name(&c->in);
    params.prompt = rp_java_name(&c->in);
    size_t count;
    rp_result *result = NULL;
    group *groups = read_groups(&c->in, &count, err);
    if (!groups) return err->status;
    rp_ranking *rankings = rp_java_array(count, sizeof *rankings, err);
    rp_status status = rankings ? rp_java_done(&c->in, err) : err->status;
    for (size_t i = 0; rankings && i < count; i++)
        rankings[i] = (rp_ranking){groups[i].text, groups[i].others, groups[i].count};
    if (!status) status = rp_rank(model, rankings, count, &params, &result, err);
    free(rankings);
    free_groups(groups, count);
    return rp_java_answers(c, status, result, form, rp_java_put_ranked, err);
}
