#include "task.h"

#include <math.h>

void rp_softmax(float *values, size_t count) {
    float largest = -INFINITY;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        if (values[i] > largest) largest = values[i];
    for (size_t i = 0; i < count; i++) sum += exp((double)values[i] - largest);
    for (size_t i = 0; i < count; i++) values[i] = (float)(exp((double)values[i] - largest) / sum);
}

float rp_sigmoid(float value) {
    return (float)(1 / (1 + exp(-(double)value)));
}

uint32_t rp_argmax(const float *values, uint32_t count) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

float rp_certainty(double logs, size_t count) {
    const double score = 1 - exp(logs / (double)count + log((double)count));
    return score > 0 ? (float)score : 0;
}

static bool is_better(const rp_scored *a, const rp_scored *b) {
    return a->score != b->score ? a->score > b->score : a->key < b->key;
}

static int best_first(const void *left, const void *right) {
    return is_better(left, right) ? -1 : is_better(right, left);
}

static void swap(rp_scored *a, rp_scored *b) {
    rp_scored kept = *a;
    *a = *b;
    *b = kept;
}

void rp_best_offer(rp_best *best, float score, uint64_t key) {
    rp_scored offered = {score, key};
    rp_scored *heap = best->items;
    if (best->count < best->room) {
        size_t at = best->count++;
        heap[at] = offered;
        for (; at && is_better(&heap[(at - 1) / 2], &heap[at]); at = (at - 1) / 2)
            swap(&heap[(at - 1) / 2], &heap[at]);
        return;
    }
    if (!best->room || !is_better(&offered, &heap[0])) return;
    heap[0] = offered;
    for (size_t at = 0, child; (child = 2 * at + 1) < best->count; at = child) {
        if (child + 1 < best->count && is_better(&heap[child], &heap[child + 1])) child++;
        if (!is_better(&heap[at], &heap[child])) break;
        swap(&heap[at], &heap[child]);
    }
}

void rp_best_sort(rp_best *best) {
    if (best->count) qsort(best->items, best->count, sizeof *best->items, best_first);
}
