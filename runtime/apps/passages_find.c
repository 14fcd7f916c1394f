/* BM25. */
#include "apps/passages.h"

#include <math.h>

#include "base/call.h"
#include "tasks/task.h"

static const double K1 = 1.2, B = 0.75;

/* The postings of a word: passages->postings[*begin..*end). They stay as they are where no passage has it. */
static void find_word(const rp_passages *p, const rp_word_reader *r, uint64_t *begin, uint64_t *end) {
    uint64_t low = 0, high = p->header->words;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const rp_passages_word *w = &p->words[middle];
        size_t length = (size_t)(w[1].bytes - w[0].bytes);
        int order = memcmp(p->word_bytes + w->bytes, r->word, length < r->length ? length : r->length);
        if (!order && length == r->length) {
            *begin = w[0].posting;
            *end = w[1].posting;
            return;
        }
        if (order < 0 || (!order && length < r->length))
            low = middle + 1;
        else
            high = middle;
    }
}

/* The postings of a word of a question. */
typedef struct asked {
    uint64_t begin, end;
} asked;

typedef struct asked_words {
    asked *items; // [count]
    size_t count, capacity;
    double weight; // the idf of all words, known or not, added up
} asked_words;

static int by_begin(const void *left, const void *right) {
    const asked *a = left, *b = right;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

/* Of words that no passage has, as of the rarest: short lists lack words that say little, too. */
static double idf_of(const rp_passages *p, const asked *word) {
    double has = word->end > word->begin ? (double)(word->end - word->begin) : 1;
    return log1p(((double)p->header->passages - has + 0.5) / (has + 0.5));
}

/* The words of the question, equal ones as neighbours: the postings of a word are read once, however often
 * somebody has written it. */
static rp_status read_question(const rp_passages *p, rp_text question, asked_words *out, rp_error *err) {
    rp_word_reader r = {.text = question.data, .size = question.size};
    while (rp_word_next(&r)) {
        asked word = {0};
        find_word(p, &r, &word.begin, &word.end);
        out->weight += idf_of(p, &word);
        if (word.begin == word.end) continue;
        if (!rp_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
            return rp_fail_memory(err, "the words of a question", (out->count + 1ull) * sizeof *out->items);
        out->items[out->count++] = word;
    }
    if (out->count) qsort(out->items, out->count, sizeof *out->items, by_begin);
    return RP_OK;
}

/* Add what `count` occurrences of a word say for each passage. */
static void add_word(const rp_passages *p, const asked *word, size_t count, float *scores) {
    const double mean = (double)p->header->total / (double)p->header->passages;
    const double idf = (double)count * idf_of(p, word);
    for (uint64_t i = word->begin; i < word->end; i++) {
        const rp_posting *posting = &p->postings[i];
        double length = (double)p->parts[posting->passage].words / mean, times = posting->times;
        scores[posting->passage] += (float)(idf * times * (K1 + 1) / (times + K1 * (1 - B + B * length)));
    }
}

rp_status rp_passages_find(const rp_passages *passages, rp_text question, rp_found *out, size_t room,
                           size_t *count, float *most, rp_error *err) {
    const rp_passages_header *h = passages->header;
    if (room > h->passages) room = (size_t)h->passages;
    float *scores = rp_new_array(float, h->passages);
    rp_best best = {.items = rp_new_array(rp_scored, room), .room = room};
    asked_words words = {0};
    rp_status status = RP_OK;
    *count = 0;
    if (!scores || !best.items)
        status = rp_fail_memory(err, "the scores of passages", h->passages * sizeof *scores);
    if (!status) status = read_question(passages, question, &words, err);
    for (size_t i = 0, next; !status && i < words.count; i = next) {
        for (next = i; next < words.count && words.items[next].begin == words.items[i].begin;) next++;
        add_word(passages, &words.items[i], next - i, scores);
        status = rp_call_check(err);
    }
    for (uint64_t i = 0; !status && i < h->passages; i++)
        if (scores[i] > 0) rp_best_offer(&best, scores[i], i);
    if (!status) {
        rp_best_sort(&best);
        for (; *count < best.count; ++*count)
            out[*count] = (rp_found){(uint32_t)best.items[*count].key, best.items[*count].score};
    }
    if (most) *most = (float)words.weight;
    free(words.items);
    free(best.items);
    free(scores);
    return status;
}
