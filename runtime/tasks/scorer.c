/* Labels of texts of any length: their windows, and one score for each label of what the windows say. */
#include "loader/tokenizer.h"
#include "task.h"

enum { DEFAULT_STRIDE = 64 };

/* Windows and labels need the ids alone: long texts would hold much that nobody asks for. */
static void keep_ids(rp_encoding *encoding) {
    free(encoding->type_ids);
    free(encoding->offsets);
    free(encoding->sequence);
    free(encoding->words);
    *encoding = (rp_encoding){.count = encoding->count, .ids = encoding->ids};
}

static rp_status tokenize(const rp_scorer *s, const rp_input *input, rp_encoding *lead, rp_encoding *text,
                          rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    bool pair = input->pair.size; // Hugging Face's fast tokenizers take an empty second text for none
    rp_status status = pair ? rp_task_check_pairs(s->model, err) : RP_OK;
    if (!status && pair) status = rp_task_tokenize(s->model, input->text, (rp_text){0}, &params, lead, err);
    if (!status)
        status =
            rp_task_tokenize(s->model, pair ? input->pair : input->text, (rp_text){0}, &params, text, err);
    if (status) return status;
    /* Whether the first text leaves room is found out here, where the input alone fails. */
    uint64_t windows;
    const rp_model_info *info = rp_model_get_info(s->model);
    return rp_windows_count(rp_model_get_tokenizer(s->model), info->dir, pair ? lead : NULL, text->count,
                            rp_task_max_tokens(s->model), s->stride, &windows, err);
}

static bool grow(rp_scorer *s) {
    size_t needed = s->count + 1;
    return rp_grow((void **)&s->texts, &s->text_capacity, needed, sizeof *s->texts) &&
           rp_grow((void **)&s->leads, &s->lead_capacity, needed, sizeof *s->leads) &&
           rp_grow((void **)&s->entries, &s->entry_capacity, needed, sizeof *s->entries) &&
           rp_grow((void **)&s->tags, &s->tag_capacity, needed, sizeof *s->tags);
}

rp_status rp_scorer_add(rp_scorer *s, const rp_input *input, size_t entry, size_t tag, rp_error *err) {
    rp_encoding lead = {0}, text = {0};
    rp_error why = {0};
    rp_status status = tokenize(s, input, &lead, &text, &why);
    if (status || !grow(s)) {
        rp_encoding_free(&lead);
        rp_encoding_free(&text);
        return status ? rp_result_blame(s->result, entry, status, &why, err)
                      : rp_fail_memory(err, "the texts of a run", s->count * sizeof *s->texts);
    }
    rp_entry *e = &s->result->entries[entry];
    uint32_t tokens = (uint32_t)(lead.count + text.count);
    if (!s->parts && tokens > e->tokens) e->tokens = e->taken = tokens;
    keep_ids(&lead);
    keep_ids(&text);
    s->texts[s->count] = text;
    s->leads[s->count] = lead;
    s->entries[s->count] = entry;
    s->tags[s->count++] = tag;
    s->tokens += tokens;
    return RP_OK;
}

/* What becomes of the windows of one input. */
typedef struct gathering {
    const rp_scorer *scorer;
    const rp_model_info *info;
    float *scores; // [count, labels], and behind them the means
    double *sums;  // [2, labels] of the input that is read: for the scores, and for the means
    size_t at;     // which that is
    uint32_t windows;
} gathering;

/* Multi-label models vote for every label that they give more than to its contrary. */
static void vote(const rp_model_info *info, const float *scores, double *sums) {
    uint32_t count = info->label_count;
    bool many = info->problem == RP_PROBLEM_MULTI_LABEL || count == 1;
    if (!many) sums[rp_argmax(scores, count)]++;
    for (uint32_t k = 0; many && k < count; k++) sums[k] += scores[k] >= 0.5f;
}

static rp_status read_window(void *task, const rp_window *window, const float *row, rp_error *err) {
    gathering *g = task;
    const rp_long_texts how = g->scorer->how;
    uint32_t count = g->info->label_count;
    float *scores = g->scores + g->at * count; // of one window until the last has come
    float *means = g->scores + (g->scorer->count + g->at) * count;
    double *sums = g->sums, *totals = g->sums + count;
    (void)err;
    memcpy(scores, row, count * sizeof *scores);
    rp_label_scores(g->info, scores);
    if (how == RP_LONG_VOTE) vote(g->info, scores, sums);
    for (uint32_t k = 0; k < count; k++) {
        double score = (double)scores[k];
        totals[k] += score;
        if (how == RP_LONG_MAX && (!g->windows || score > sums[k])) sums[k] = score;
    }
    g->windows++;
    if (!window->last) return RP_OK;
    for (uint32_t k = 0; k < count; k++) {
        means[k] = (float)(totals[k] / g->windows);
        scores[k] = how == RP_LONG_MAX    ? (float)sums[k]
                    : how == RP_LONG_VOTE ? (float)(sums[k] / g->windows)
                                          : means[k];
    }
    memset(g->sums, 0, 2ull * count * sizeof *g->sums);
    g->windows = 0;
    g->at++;
    return RP_OK;
}

/* A tokenizer that cuts on the left takes windows from the end of the text on. */
static void count_from_the_end(rp_windows *windows, size_t first) {
    for (size_t i = first; i < windows->count; i++) {
        rp_window *w = &windows->items[i];
        w->first = (uint32_t)w->text->count - w->first - w->count;
    }
}

rp_status rp_scorer_run(const rp_scorer *s, float **out, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(s->model);
    const bool from_end = rp_model_get_tokenizer(s->model)->truncate_left;
    gathering g = {.scorer = s, .info = info};
    rp_windows windows = {0};
    uint32_t stride = s->stride ? s->stride : DEFAULT_STRIDE;
    *out = NULL;
    g.scores = rp_new_array(float, 2ull * s->count * info->label_count);
    g.sums = rp_new_array(double, 2ull * info->label_count);
    rp_status status = g.scores && g.sums ? RP_OK
                                          : rp_fail_memory(err, "the scores of labels",
                                                           s->count * sizeof(float) * info->label_count);
    for (size_t i = 0; !status && i < s->count; i++) {
        size_t first = windows.count;
        status = rp_windows_add(&windows, s->model, s->entries[i], s->leads[i].ids ? &s->leads[i] : NULL,
                                &s->texts[i], rp_task_max_tokens(s->model), stride, err);
        if (from_end) count_from_the_end(&windows, first);
        if (status || s->how != RP_LONG_CUT) continue;
        windows.count = first + 1;
        windows.items[first].last = true;
    }
    if (!status)
        status = rp_windows_run(&windows, s->model, RP_OUTPUT_CLASSES, s->result, read_window, &g, err);
    free(windows.items);
    free(g.sums);
    if (status)
        free(g.scores);
    else
        *out = g.scores;
    return status;
}

void rp_scorer_clear(rp_scorer *s) {
    for (; s->count; s->count--) {
        rp_encoding_free(&s->texts[s->count - 1]);
        rp_encoding_free(&s->leads[s->count - 1]);
    }
    s->tokens = 0;
}

void rp_scorer_finish(rp_scorer *s) {
    rp_scorer_clear(s);
    free(s->texts);
    free(s->leads);
    free(s->entries);
    free(s->tags);
    s->texts = s->leads = NULL;
    s->entries = s->tags = NULL;
}
