/* Which words of a text speak for its best label: the text is read once more without each of them. */
#include "task.h"

#include "loader/unicode.h"

enum {
    DEFAULT_PARTS = 256, // of a text
    RUN_TEXTS = 1024,    // that are read in one go, or a little more
};

/* Some words that follow one another, and what becomes of the score without them. */
typedef struct part {
    size_t entry, first, count; // words
} part;

typedef struct explanation {
    const rp_model_info *info;
    const rp_input *inputs;
    uint32_t most_parts;
    rp_scorer scorer; // a tag is a place in `parts`
    rp_result *result;
    part *parts; // [count] of the texts that wait for a run
    size_t count, capacity;
    char *text; // [text_capacity] without a part
    size_t text_capacity;
    rp_word *words; // [word_capacity] of one text
    size_t word_capacity;
} explanation;

/* ---- words ---- */

typedef enum kind { SPACE, LETTERS, IDEOGRAPH, JOINER, OTHER } kind;

static kind kind_of(uint32_t code) {
    if (rp_char_is_white(code)) return SPACE;
    if (rp_bert_is_ideograph(code)) return IDEOGRAPH;
    if (code == '\'' || code == '-' || code == 0x2019 || code == 0x2010) return JOINER;
    return rp_char_is_word(code) || rp_char_is_mark(code) ? LETTERS : OTHER;
}

/* The end of the word that begins at `at`, where no white space is. */
static size_t word_end(const char *text, size_t size, size_t at) {
    size_t next = at;
    kind first = kind_of(rp_utf8_next(text, &next));
    if (first == IDEOGRAPH) return next;
    for (size_t end = next; next < size; end = next) {
        kind now = kind_of(rp_utf8_next(text, &next));
        if (first == LETTERS && now == JOINER && next < size) { // between letters
            size_t after = next;
            if (kind_of(rp_utf8_next(text, &after)) == LETTERS) continue;
        }
        bool same = first == LETTERS ? now == LETTERS : now == OTHER || now == JOINER;
        if (!same) return end;
    }
    return size;
}

/* The words of text[at..size), which is valid, to e->words; their number, SIZE_MAX when out of memory. */
static size_t split(explanation *e, const char *text, size_t at, size_t size) {
    size_t count = 0;
    while (at < size) {
        size_t end = at;
        if (rp_char_is_white(rp_utf8_next(text, &end))) {
            at = end;
            continue;
        }
        end = word_end(text, size, at);
        if (!rp_grow((void **)&e->words, &e->word_capacity, count + 1, sizeof *e->words)) return SIZE_MAX;
        e->words[count++] = (rp_word){.span = {(uint32_t)at, (uint32_t)end}};
        at = end;
    }
    return count;
}

/* ---- texts without a part ---- */

static rp_status add_part(explanation *e, size_t i, rp_span read, size_t first, size_t count, rp_error *err) {
    const rp_word *words = e->result->entries[i].words;
    const char *text = e->inputs[i].text.data + read.start;
    size_t from = words[first].span.start - read.start, to = words[first + count - 1].span.end - read.start;
    size_t size = read.end - read.start;
    if (!rp_grow((void **)&e->parts, &e->capacity, e->count + 1, sizeof *e->parts) ||
        !rp_grow((void **)&e->text, &e->text_capacity, size, 1))
        return rp_fail_memory(err, "the parts of a text", size);
    memcpy(e->text, text, from);
    memcpy(e->text + from, text + to, size - to);
    e->parts[e->count] = (part){i, first, count};
    const rp_input without = {.text = {e->text, from + size - to}};
    return rp_scorer_add(&e->scorer, &without, i, e->count++, err);
}

static rp_status keep_words(explanation *e, size_t i, size_t count, rp_error *err) {
    rp_entry *entry = &e->result->entries[i];
    rp_text text = e->inputs[i].text;
    entry->words = rp_result_array(e->result, e->words, count, sizeof *entry->words, err);
    if (!entry->words) return RP_ERROR_HOST_MEMORY;
    for (size_t k = 0; k < count; k++) {
        rp_word *word = &entry->words[k];
        word->word =
            rp_result_text(e->result, text.data + word->span.start, word->span.end - word->span.start, err);
        if (!word->word) return RP_ERROR_HOST_MEMORY;
    }
    rp_span *spans = rp_new_array(rp_span, count);
    if (!spans) return rp_fail_memory(err, "the words of a text", count * sizeof *spans);
    for (size_t k = 0; k < count; k++) spans[k] = e->words[k].span;
    entry->places = rp_result_places(e->result, spans, count, text, err);
    free(spans);
    entry->word_count = entry->places ? count : 0;
    return entry->places ? RP_OK : RP_ERROR_HOST_MEMORY;
}

/* The text of entry `i`, of which the model has read `read`. */
static rp_status add_text(explanation *e, size_t i, rp_span read, rp_error *err) {
    size_t count = split(e, e->inputs[i].text.data, read.start, read.end);
    if (count == SIZE_MAX) return rp_fail_memory(err, "the words of a text", read.end);
    if (!count) return RP_OK;
    rp_status status = keep_words(e, i, count, err);
    size_t parts = count < e->most_parts ? count : e->most_parts;
    for (size_t k = 0; !status && k < parts && !e->result->entries[i].status; k++) {
        size_t first = k * count / parts, behind = (k + 1) * count / parts; // at most 4 Mi words
        status = add_part(e, i, read, first, behind - first, err);
    }
    return status;
}

/* Read the texts that wait, and note what each part weighs. */
static rp_status run(explanation *e, rp_error *err) {
    float *scores = NULL;
    rp_status status = rp_scorer_run(&e->scorer, &scores, err);
    for (size_t s = 0; !status && s < e->scorer.count; s++) {
        const part *p = &e->parts[e->scorer.tags[s]];
        const rp_entry *entry = &e->result->entries[p->entry];
        if (entry->status) continue;
        float without = scores[s * e->info->label_count + entry->labels[0].index];
        for (size_t k = 0; k < p->count; k++)
            entry->words[p->first + k].weight = entry->labels[0].score - without;
    }
    free(scores);
    rp_scorer_clear(&e->scorer);
    e->count = 0;
    return status;
}

rp_status rp_explain(rp_model *model, const rp_input *inputs, const rp_span *read, size_t count,
                     uint32_t most_parts, rp_result *result, rp_error *err) {
    explanation e = {.info = rp_model_get_info(model),
                     .inputs = inputs,
                     .most_parts = most_parts ? most_parts : DEFAULT_PARTS,
                     .scorer = {.model = model, .result = result, .parts = true},
                     .result = result};
    rp_status status = RP_OK;
    result->explained = true;
    for (size_t i = 0; !status && i < count; i++) {
        if (!result->entries[i].status) status = add_text(&e, i, read[i], err);
        bool full = e.scorer.count >= RUN_TEXTS || e.scorer.tokens >= 2ull * e.info->max_batch_tokens;
        if (!status && (full || i + 1 == count)) status = run(&e, err);
    }
    rp_scorer_finish(&e.scorer);
    free(e.parts);
    free(e.text);
    free(e.words);
    return status;
}
