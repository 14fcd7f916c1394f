/* From the scores of tokens to entities, by the rules of Hugging Face's TokenClassificationPipeline. */
#include "tag.h"

#include "loader/tokenizer.h"

/* A token, or the tokens of a word, with one label. */
typedef struct item {
    uint32_t first, count; // tokens of the window
    uint32_t label;
    float score;
} item;

/* ---- tokens ---- */

static bool is_ignored(const rp_tagger *tagger, const char *label) {
    return !tagger->outside && !strcmp(label, "O");
}

static rp_span span_of(const rp_tagged *window, uint32_t token) {
    return window->encoding->offsets[window->first + token];
}

static rp_text slice_of(const rp_tagged *window, rp_span span) {
    return (rp_text){window->text.data + span.start, span.end > span.start ? span.end - span.start : 0};
}

/* The piece, or for an unknown token what stands in the text. */
static rp_text word_of(const rp_tagger *tagger, const rp_tagged *window, uint32_t token) {
    int32_t id = window->encoding->ids[window->first + token];
    if (id == rp_tokenizer_special_ids(tagger->tokenizer).unk)
        return slice_of(window, span_of(window, token));
    const char *piece = rp_tokenizer_piece(tagger->tokenizer, id);
    return (rp_text){piece, strlen(piece)};
}

/* Does this token belong to the word of the one before it? WordPiece: it is longer or shorter than the text
 * that it came from ("##ing"). Others: there is no space before it. */
static bool continues_word(const rp_tagger *tagger, const rp_tagged *window, uint32_t token) {
    int32_t id = window->encoding->ids[window->first + token];
    rp_span span = span_of(window, token);
    if (id == rp_tokenizer_special_ids(tagger->tokenizer).unk) return false;
    if (tagger->tokenizer->kind == RP_MODEL_WORDPIECE && tagger->tokenizer->wordpiece.prefix_size) {
        rp_text piece = word_of(tagger, window, token), slice = slice_of(window, span);
        return rp_utf8_count(piece.data, piece.size) != rp_utf8_count(slice.data, slice.size);
    }
    const char *text = window->text.data;
    bool begins = span.start < window->text.size && text[span.start] == ' ';
    return span.start > 0 && text[span.start - 1] != ' ' && !begins;
}

static rp_status add_entity(rp_tagger *tagger, rp_entity entity, rp_error *err) {
    rp_entities *found = &tagger->found;
    if (!rp_grow((void **)&found->items, &found->capacity, found->count + 1, sizeof *found->items))
        return rp_fail_memory(err, "the entities of a text", found->count * sizeof *found->items);
    const char *label = rp_result_text(tagger->result, entity.label, strlen(entity.label), err);
    if (!label) return RP_ERROR_HOST_MEMORY;
    entity.label = label;
    found->items[found->count++] = entity;
    return RP_OK;
}

rp_status rp_tag_token(rp_tagger *tagger, const rp_tagged *window, uint32_t token, rp_error *err) {
    const float *scores = window->scores + (size_t)token * tagger->info->label_count;
    uint32_t label = rp_argmax(scores, tagger->info->label_count);
    if (is_ignored(tagger, tagger->info->labels[label])) return RP_OK;
    rp_text word = word_of(tagger, window, token);
    const char *copy = rp_result_text(tagger->result, word.data, word.size, err);
    if (!copy) return RP_ERROR_HOST_MEMORY;
    return add_entity(tagger,
                      (rp_entity){.label = tagger->info->labels[label],
                                  .score = scores[label],
                                  .index = window->before + window->first + token,
                                  .word = copy,
                                  .span = span_of(window, token)},
                      err);
}

/* ---- words ---- */

/* One label for the tokens of a word. */
static void label_word(const rp_tagger *tagger, const rp_tagged *window, item *word) {
    uint32_t labels = tagger->info->label_count;
    const float *scores = window->scores + (size_t)word->first * labels, *chosen = scores;
    word->label = rp_argmax(scores, labels);
    if (tagger->aggregation == RP_AGGREGATE_MAX) {
        for (uint32_t i = 1; i < word->count; i++) {
            const float *other = scores + (size_t)i * labels;
            uint32_t label = rp_argmax(other, labels);
            if (other[label] <= chosen[word->label]) continue;
            chosen = other;
            word->label = label;
        }
    }
    word->score = chosen[word->label];
    if (tagger->aggregation != RP_AGGREGATE_AVERAGE) return;
    double best = -1;
    for (uint32_t label = 0; label < labels; label++) {
        double sum = 0;
        for (uint32_t i = 0; i < word->count; i++) sum += scores[(size_t)i * labels + label];
        if (sum <= best) continue;
        best = sum;
        word->label = label;
    }
    word->score = (float)(best / word->count);
}

/* The item that begins at token `first`: that token, or its word. */
static item next_item(const rp_tagger *tagger, const rp_tagged *window, uint32_t first) {
    item next = {.first = first, .count = 1};
    while (tagger->aggregation != RP_AGGREGATE_SIMPLE && first + next.count < window->count &&
           continues_word(tagger, window, first + next.count))
        next.count++;
    label_word(tagger, window, &next);
    return next;
}

/* ---- entities ---- */

/* "B-PER" begins a new entity of the type "PER"; labels without B- or I- continue one. */
static const char *type_of(const char *label, bool *begins) {
    *begins = !strncmp(label, "B-", 2);
    return *begins || !strncmp(label, "I-", 2) ? label + 2 : label;
}

static bool goes_on(const rp_tagger *tagger, const item *before, const item *next) {
    bool begins = false, ignored = false;
    const char *type = type_of(tagger->info->labels[next->label], &begins);
    return !begins && !strcmp(type, type_of(tagger->info->labels[before->label], &ignored));
}

/* Join the texts of tokens [first, first + count). `*out` is freed by the caller. */
static rp_status join_tokens(rp_tagger *tagger, const rp_tagged *window, uint32_t first, uint32_t count,
                             char **out, rp_error *err) {
    if (!rp_grow((void **)&tagger->words, &tagger->word_capacity, count, sizeof *tagger->words))
        return rp_fail_memory(err, "the words of an entity", count * sizeof *tagger->words);
    for (uint32_t i = 0; i < count; i++) tagger->words[i] = word_of(tagger, window, first + i);
    return rp_tokenizer_join(tagger->tokenizer, tagger->words, count, out, err);
}

/* Join each word, and then the words, as if they were tokens: so does Hugging Face. */
static rp_status join_words(rp_tagger *tagger, const rp_tagged *window, const item *items, size_t count,
                            char **out, rp_error *err) {
    rp_status status = RP_OK;
    size_t made = 0;
    if (!rp_grow((void **)&tagger->joined, &tagger->joined_capacity, count, sizeof *tagger->joined))
        return rp_fail_memory(err, "the words of an entity", count * sizeof *tagger->joined);
    for (; !status && made < count; made += !status)
        status =
            join_tokens(tagger, window, items[made].first, items[made].count, &tagger->joined[made], err);
    if (!status && !rp_grow((void **)&tagger->words, &tagger->word_capacity, count, sizeof *tagger->words))
        status = rp_fail_memory(err, "the words of an entity", count * sizeof *tagger->words);
    for (size_t i = 0; !status && i < count; i++)
        tagger->words[i] = (rp_text){tagger->joined[i], strlen(tagger->joined[i])};
    if (!status) status = rp_tokenizer_join(tagger->tokenizer, tagger->words, count, out, err);
    for (size_t i = 0; i < made; i++) free(tagger->joined[i]);
    return status;
}

/* Append the entity that items[0..count) are, unless it is none. */
static rp_status add_group(rp_tagger *tagger, const rp_tagged *window, const item *items, size_t count,
                           rp_error *err) {
    const char *label = tagger->info->labels[items[0].label], *dash = strchr(label, '-');
    const item *end = &items[count - 1];
    if (dash) label = dash + 1;
    if (is_ignored(tagger, label)) return RP_OK;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += items[i].score;
    char *joined = NULL;
    rp_status status = tagger->aggregation == RP_AGGREGATE_SIMPLE
                           ? join_tokens(tagger, window, items[0].first, (uint32_t)count, &joined, err)
                           : join_words(tagger, window, items, count, &joined, err);
    if (status) return status;
    const char *word = rp_result_text(tagger->result, joined, strlen(joined), err);
    free(joined);
    if (!word) return RP_ERROR_HOST_MEMORY;
    rp_span span = {span_of(window, items[0].first).start, span_of(window, end->first + end->count - 1).end};
    return add_entity(
        tagger,
        (rp_entity){.label = label, .score = (float)(sum / (double)count), .word = word, .span = span}, err);
}

rp_status rp_tag_group(rp_tagger *tagger, const rp_tagged *window, rp_error *err) {
    item *items = rp_new_array(item, window->count);
    size_t count = 0;
    rp_status status = RP_OK;
    if (!items) return rp_fail_memory(err, "the words of a text", window->count * sizeof *items);
    for (uint32_t at = 0; !status && at < window->count; at += items[count++].count) {
        item next = next_item(tagger, window, at);
        if (count && !goes_on(tagger, &items[count - 1], &next)) {
            status = add_group(tagger, window, items, count, err);
            count = 0;
        }
        items[count] = next;
    }
    if (!status && count) status = add_group(tagger, window, items, count, err);
    free(items);
    return status;
}

/* ---- overlapping windows ---- */

/* `index` holds the order in which the windows brought the entities. */
static int by_start(const void *left, const void *right) {
    const rp_entity *a = left, *b = right;
    if (a->span.start != b->span.start) return a->span.start < b->span.start ? -1 : 1;
    return a->index < b->index ? -1 : 1;
}

/* In code points. */
static size_t length_of(const rp_entity *entity, rp_text text) {
    rp_span span = entity->span;
    return span.end > span.start ? rp_utf8_count(text.data + span.start, span.end - span.start) : 0;
}

void rp_tag_merge(rp_tagger *tagger, rp_text text) {
    rp_entities *found = &tagger->found;
    size_t kept = 0;
    for (size_t i = 0; i < found->count; i++) found->items[i].index = (uint32_t)i;
    if (found->count) qsort(found->items, found->count, sizeof *found->items, by_start);
    for (size_t i = 0; i < found->count; i++) {
        rp_entity *entity = &found->items[i], *before = kept ? &found->items[kept - 1] : NULL;
        entity->index = 0;
        if (!before || entity->span.start >= before->span.end) {
            found->items[kept++] = *entity;
            continue;
        }
        size_t length = length_of(entity, text), other = length_of(before, text);
        if (length > other || (length == other && entity->score > before->score)) *before = *entity;
    }
    found->count = kept;
}

void rp_tagger_finish(rp_tagger *tagger) {
    free(tagger->found.items);
    free(tagger->words);
    free(tagger->joined);
}
