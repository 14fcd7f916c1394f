/* Labels of a text: from logits to scores, and into their order. */
#include "task.h"

void rp_label_scores(const rp_model_info *info, float *logits) {
    uint32_t count = info->label_count;
    bool single = info->problem == RP_PROBLEM_SINGLE_LABEL;
    if (single && count > 1) rp_softmax(logits, count);
    if (info->problem == RP_PROBLEM_MULTI_LABEL || (single && count == 1))
        for (uint32_t k = 0; k < count; k++) logits[k] = rp_sigmoid(logits[k]);
}

/* A label on its way to its place. */
typedef struct ranked {
    rp_label label;
    float other;
} ranked;

static int by_score(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->label.score != b->label.score) return a->label.score < b->label.score ? 1 : -1;
    if (a->other != b->other) return a->other < b->other ? 1 : -1;
    return a->label.index < b->label.index ? -1 : 1;
}

rp_status rp_rank_labels(const char *const *names, uint32_t count, const float *scores, const float *others,
                         uint32_t top_k, rp_result *result, size_t i, rp_error *err) {
    uint32_t kept = top_k && top_k < count ? top_k : count;
    rp_label *labels = rp_arena_alloc(&result->arena, kept, sizeof *labels);
    ranked *all = rp_new_array(ranked, count);
    rp_status status =
        labels && all ? RP_OK : rp_fail_memory(err, "the labels", (unsigned long long)count * sizeof *all);
    for (uint32_t k = 0; !status && k < count; k++)
        all[k] = (ranked){{.index = k, .score = scores[k]}, others ? others[k] : 0};
    if (!status) qsort(all, count, sizeof *all, by_score);
    for (uint32_t k = 0; !status && k < kept; k++) {
        const char *label = names[all[k].label.index];
        labels[k] = all[k].label;
        labels[k].label = rp_result_text(result, label, strlen(label), err);
        if (!labels[k].label) status = RP_ERROR_HOST_MEMORY;
    }
    free(all);
    result->entries[i].labels = labels;
    result->entries[i].count = status ? 0 : kept;
    return status;
}
