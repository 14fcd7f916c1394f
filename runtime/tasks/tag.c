/* Token classification: long texts in windows, and what each window says of its tokens. */
#include "tag.h"

#include "loader/tokenizer.h"

enum { DEFAULT_STRIDE = 64 };

typedef struct tag_task {
    rp_tagger tagger;
    const rp_text *texts;
    float *scores; // [max_tokens, labels]
    const rp_windows *windows;
} tag_task;

/* How far the nearest cut of the text is from a token of this window. */
static uint32_t context_of(const rp_window *window, uint32_t token) {
    uint32_t before = window->first ? token - window->first : UINT32_MAX;
    uint32_t after = window->last ? UINT32_MAX : window->first + window->count - 1 - token;
    return before < after ? before : after;
}

/* Every token is taken from the window that shows most of what is around it; of equals from the first. */
static bool is_best_window(const tag_task *t, const rp_window *window, uint32_t token) {
    uint32_t context = context_of(window, token);
    const rp_window *all = t->windows->items, *end = all + t->windows->count;
    for (const rp_window *w = window; w > all && w[-1].entry == window->entry; w--) {
        if (w[-1].first + w[-1].count <= token) break;
        if (context_of(w - 1, token) >= context) return false;
    }
    for (const rp_window *w = window; w + 1 < end && w[1].entry == window->entry; w++) {
        if (w[1].first > token) break;
        if (context_of(w + 1, token) > context) return false;
    }
    return true;
}

static rp_status tag_tokens(tag_task *t, const rp_window *window, const rp_tagged *tagged, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t i = 0; !status && i < tagged->count; i++)
        if (is_best_window(t, window, tagged->first + i)) status = rp_tag_token(&t->tagger, tagged, i, err);
    return status;
}

/* The input is complete: put its entities into the result. */
static rp_status finish_entry(tag_task *t, const rp_window *window, rp_error *err) {
    rp_tagger *tagger = &t->tagger;
    rp_entry *entry = &tagger->result->entries[window->entry];
    if (tagger->aggregation != RP_AGGREGATE_NONE && window->first)
        rp_tag_merge(tagger, t->texts[window->entry]);
    entry->count = tagger->found.count;
    entry->entities =
        rp_result_array(tagger->result, tagger->found.items, entry->count, sizeof *entry->entities, err);
    tagger->found.count = 0;
    return entry->entities ? rp_result_place(tagger->result, window->entry, t->texts[window->entry], err)
                           : RP_ERROR_HOST_MEMORY;
}

static rp_status read_window(void *task, const rp_window *window, const float *rows, rp_error *err) {
    tag_task *t = task;
    uint32_t labels = t->tagger.info->label_count;
    rp_tagged tagged = {t->texts[window->entry], window->text, window->first,
                        window->count,           window->at,   t->scores};
    if (window->count)
        memcpy(t->scores, rows + (size_t)window->at * labels, (size_t)window->count * labels * sizeof(float));
    for (uint32_t i = 0; i < window->count; i++) rp_softmax(t->scores + (size_t)i * labels, labels);
    rp_status status = t->tagger.aggregation == RP_AGGREGATE_NONE ? tag_tokens(t, window, &tagged, err)
                                                                  : rp_tag_group(&t->tagger, &tagged, err);
    if (!status && window->last) status = finish_entry(t, window, err);
    return status;
}

/* Tokenize the texts and cut them into windows; one that cannot be used fails its entry. */
static rp_status make_windows(const rp_model *model, const rp_text *texts, size_t count,
                              const rp_tag_params *how, rp_encoding *encodings, rp_windows *windows,
                              rp_result *result, rp_error *err) {
    uint32_t stride = how && how->stride ? how->stride : DEFAULT_STRIDE, most = rp_task_max_tokens(model);
    size_t specials = rp_model_get_tokenizer(model)->single.specials;
    rp_tokenize_params params = {.no_special_tokens = true};
    rp_status status = RP_OK;
    if (how && how->cut && most > specials) params.max_tokens = most - (uint32_t)specials;
    for (size_t i = 0; !status && i < count; i++) {
        rp_error why = {0};
        status = rp_task_tokenize(model, texts[i], (rp_text){0}, &params, &encodings[i], &why);
        if (!status) rp_result_count_tokens(result, i, &encodings[i]);
        if (!status) status = rp_windows_add(windows, model, i, NULL, &encodings[i], most, stride, &why);
        status = rp_result_blame(result, i, status, &why, err);
    }
    return status;
}

rp_status rp_tag(rp_model *model, const rp_text *texts, size_t count, const rp_tag_params *params,
                 rp_result **out, rp_error *err) {
    rp_task task = {.model = model,
                    .head = RP_HEAD_TOKENS,
                    .command = "tag",
                    .inputs = texts,
                    .count = count,
                    .out = out};
    RP_TASK_PARAMS(task, params);
    rp_status status = rp_task_begin(&task, err);
    if (status) return status;
    const rp_model_info *info = rp_model_get_info(model);
    rp_windows windows = {0};
    tag_task t = {.tagger = {.info = info,
                             .tokenizer = rp_model_get_tokenizer(model),
                             .aggregation = params ? params->aggregation : RP_AGGREGATE_SIMPLE,
                             .outside = params && params->outside,
                             .result = *out},
                  .texts = texts,
                  .windows = &windows};
    (*out)->aggregation = t.tagger.aggregation;
    rp_encoding *encodings = rp_new_array(rp_encoding, count);
    uint64_t score_count = (uint64_t)info->max_tokens * info->label_count;
    t.scores = rp_new_array(float, score_count);
    if (!encodings || !t.scores) status = rp_fail_memory(err, "the texts", count * sizeof *encodings);
    if (!status && (unsigned)t.tagger.aggregation > RP_AGGREGATE_MAX)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_tag: no such aggregation");
    if (!status) status = make_windows(model, texts, count, params, encodings, &windows, *out, err);
    if (!status) status = rp_windows_run(&windows, model, RP_OUTPUT_TOKENS, *out, read_window, &t, err);
    for (size_t i = 0; encodings && i < count; i++) rp_encoding_free(&encodings[i]);
    free(encodings);
    free(t.scores);
    free(windows.items);
    rp_tagger_finish(&t.tagger);
    return rp_task_end(&task, status);
}
