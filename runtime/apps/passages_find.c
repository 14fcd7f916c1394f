/* BM25. */
#include "apps/passages.h"

#include <math.h>

#include "base/call.h"
#include "tasks/task.h"

static const double K1 = 1.2, B = 0.75;

/* The postings of a word: passages->postings[*begin..*end). */
static bool find_word(const rp_passages *p, const rp_word_reader *r, uint64_t *begin, uint64_t *end) {
    uint64_t low = 0, high = p->header->words;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const rp_passages_word *w = &p->words[middle];
        size_t length = (size_t)(w[1].bytes - w[0].bytes);
        int order = memcmp(p->word_bytes + w->bytes, r->word, length < r->length ? length : r->length);
        if (!order && length == r->length) {
            *begin = w[0].posting;
            *end = w[1].posting;
            return true;
        }
        if (order < 0 || (!order && length < r->length))
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

rp_status rp_passages_find(const rp_passages *passages, rp_text question, rp_found *out, size_t room,
                           size_t *count, float *most, rp_error *err) {
    const rp_passages_header *h = passages->header;
    rp_word_reader r = {.text = question.data, .size = question.size};
    const double documents = (double)h->passages, mean = (double)h->total / documents;
    if (room > h->passages) room = (size_t)h->passages;
    float *scores = rp_new_array(float, h->passages);
    rp_best best = {.items = rp_new_array(rp_scored, room), .room = room};
    rp_status status = RP_OK;
    double all = 0;
    *count = 0;
    if (!scores || !best.items)
        status = rp_fail_memory(err, "the scores of passages", h->passages * sizeof *scores);
    for (uint64_t i, end; !status && rp_word_next(&r); status = rp_call_check(err)) {
        if (!find_word(passages, &r, &i, &end)) i = end = 0;
        /* Of words that no passage has, as of the rarest: short lists lack words that say little, too. */
        double has = end - i ? (double)(end - i) : 1, idf = log1p((documents - has + 0.5) / (has + 0.5));
        all += idf;
        for (; i < end; i++) {
            const rp_posting *posting = &passages->postings[i];
            double length = (double)passages->parts[posting->passage].words / mean, times = posting->times;
            scores[posting->passage] += (float)(idf * times * (K1 + 1) / (times + K1 * (1 - B + B * length)));
        }
    }
    for (uint64_t i = 0; !status && i < h->passages; i++)
        if (scores[i] > 0) rp_best_offer(&best, scores[i], i);
    if (!status) {
        rp_best_sort(&best);
        for (; *count < best.count; ++*count)
            out[*count] = (rp_found){(uint32_t)best.items[*count].key, best.items[*count].score};
    }
    if (most) *most = (float)all;
    free(best.items);
    free(scores);
    return status;
}
