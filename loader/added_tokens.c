/* Added tokens: which ids they get, and cutting them out of a text, as AddedVocabulary of Hugging Face's
 * `tokenizers` does both. */
#include "loader/json.h"
#include "loader/pipeline.h"

enum {
    MAX_ADDED = 1 << 16,
    MAX_BYTES = 1024, /* of one: at each character of a text so many may have to be looked at */
};

/* ---- which there are ---- */

int32_t rp_added_id(const rp_added_vocab *added, const char *text, size_t size) {
    int32_t at = rp_vocab_find(&added->index, text, size);
    return at < 0 ? -1 : added->ids[at];
}

const rp_added *rp_added_of(const rp_added_vocab *added, int32_t id) {
    if (id < 0 || (size_t)id >= added->owner_count || added->owners[id] < 0) return NULL;
    return &added->tokens[added->owners[id]];
}

bool rp_added_skipped(const rp_added_vocab *added, const char *text, size_t size) {
    int32_t at = rp_vocab_find(&added->index, text, size);
    return at >= 0 && added->skipped[at];
}

static bool same(const rp_added *a, const rp_added *b) {
    return a->size == b->size && !memcmp(a->text, b->text, a->size) && a->lstrip == b->lstrip &&
           a->rstrip == b->rstrip && a->single_word == b->single_word && a->normalized == b->normalized &&
           a->special == b->special;
}

/* The id of a text that is no added token yet. */
static int32_t new_id(const rp_added_vocab *added, const rp_added *token, const rp_vocab *model,
                      size_t model_size) {
    int32_t id = rp_vocab_find(model, token->text, token->size);
    if (id >= 0) return id;
    return added->next > 0 && ((size_t)added->next > model_size || !model_size) ? added->next
                                                                                : (int32_t)model_size;
}

/* The place of a token in the list; a new one for a new text. -1: out of memory. */
static int32_t place_of(rp_added_vocab *added, const rp_added *token, rp_arena *arena) {
    int32_t at = rp_vocab_find(&added->index, token->text, token->size);
    if (at >= 0) return at;
    size_t needed = added->count + 1;
    const char *text = rp_arena_copy(arena, token->text, token->size);
    if (!text || !rp_grow((void **)&added->tokens, &added->token_capacity, needed, sizeof *added->tokens) ||
        !rp_grow((void **)&added->ids, &added->id_capacity, needed, sizeof *added->ids) ||
        !rp_grow((void **)&added->skipped, &added->skipped_capacity, needed, sizeof *added->skipped) ||
        !rp_vocab_set(&added->index, (int32_t)added->count, text, token->size, false))
        return -1;
    added->tokens[added->count] = *token;
    added->tokens[added->count].text = text;
    added->ids[added->count] = -1;
    added->skipped[added->count] = false;
    return (int32_t)added->count++;
}

static bool own(rp_added_vocab *added, int32_t id, int32_t at) {
    size_t needed = (size_t)id + 1;
    if (needed > added->owner_count) {
        if (!rp_grow((void **)&added->owners, &added->owner_capacity, needed, sizeof *added->owners))
            return false;
        memset(added->owners + added->owner_count, 0xff,
               (needed - added->owner_count) * sizeof *added->owners);
        added->owner_count = needed;
    }
    added->owners[id] = at;
    return true;
}

static bool look_for(rp_added_place **list, size_t *count, size_t *capacity, int32_t at, bool normalized) {
    if (!rp_grow((void **)list, capacity, *count + 1, sizeof **list)) return false;
    (*list)[(*count)++] = (rp_added_place){(uint32_t)at, normalized};
    return true;
}

static rp_status check(const rp_added_vocab *added, const rp_added *token, const char *path, rp_error *err) {
    if (token->size > MAX_BYTES)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED, "%s: the added token \"%.*s...\" has %u bytes; at most %d can be used",
            rp_path_shown(path), rp_text_fit(token->text, 40), token->text, token->size, MAX_BYTES);
    if (added->count >= MAX_ADDED || added->other_count >= MAX_ADDED)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: more than %d added tokens", rp_path_shown(path),
                       MAX_ADDED);
    return RP_OK;
}

rp_status rp_added_special(rp_added_vocab *added, const rp_added *token, rp_arena *arena, const char *path,
                           rp_error *err) {
    if (!token->size || !token->special) return RP_OK;
    rp_status status = check(added, token, path, err);
    if (status) return status;
    int32_t at = place_of(added, token, arena);
    bool known = at >= 0 && added->skipped[at];
    if (known) return RP_OK;
    if (at < 0 ||
        !look_for(&added->specials, &added->special_count, &added->special_capacity, at, token->normalized))
        return rp_fail_memory(err, "the added tokens", added->count * sizeof *added->tokens);
    added->skipped[at] = true;
    return RP_OK;
}

rp_status rp_added_push(rp_added_vocab *added, const rp_added *token, const rp_vocab *model,
                        size_t model_size, rp_arena *arena, const char *path, rp_error *err) {
    if (!token->size) return RP_OK;
    rp_status status = check(added, token, path, err);
    if (status) return status;
    status = rp_added_special(added, token, arena, path, err);
    if (status) return status;
    int32_t at = place_of(added, token, arena);
    if (at < 0) goto memory;
    int32_t id = added->ids[at];
    if (id >= 0 && added->owners[id] == at && same(&added->tokens[at], token)) return RP_OK;
    if (id < 0) id = new_id(added, token, model, model_size);
    const char *text = added->tokens[at].text;
    added->tokens[at] = *token;
    added->tokens[at].text = text;
    added->ids[at] = id;
    if (id >= added->next) added->next = id + 1;
    if (!own(added, id, at)) goto memory;
    if (!added->skipped[at] &&
        !look_for(&added->others, &added->other_count, &added->other_capacity, at, token->normalized))
        goto memory;
    return RP_OK;
memory:
    return rp_fail_memory(err, "the added tokens", added->count * sizeof *added->tokens);
}

rp_status rp_added_put(rp_added_vocab *added, const rp_added *token, int32_t id, rp_arena *arena,
                       rp_error *err) {
    int32_t at = place_of(added, token, arena);
    if (at < 0 || !own(added, id, at))
        return rp_fail_memory(err, "the added tokens", added->count * sizeof *added->tokens);
    added->ids[at] = id;
    added->skipped[at] = token->special;
    return RP_OK;
}

void rp_added_finish(rp_added_vocab *added) {
    free(added->tokens);
    free(added->ids);
    free(added->skipped);
    free(added->owners);
    free(added->specials);
    free(added->others);
    rp_vocab_finish(&added->index);
    rp_added_trie_finish(&added->raw);
    rp_added_trie_finish(&added->normalized);
}

/* ---- what finds them ---- */

static bool decode(rp_flow *flow, rp_chars *chars, const char *text, size_t size) {
    chars->count = 0;
    flow->ascii = true;
    if (!rp_flow_reserve(flow, chars, size)) return false;
    for (size_t at = 0; at < size;) {
        uint32_t start = (uint32_t)at, code = rp_utf8_next(text, &at);
        chars->items[chars->count++] = (rp_char){code, start, (uint32_t)at};
        flow->ascii = flow->ascii && code < 128;
    }
    return true;
}

static bool index_list(rp_added_vocab *added, const rp_added_place *list, size_t count,
                       const rp_normalizer *normalizer, rp_flow *flow) {
    for (size_t i = 0; i < count; i++) {
        const rp_added *token = &added->tokens[list[i].index];
        rp_chars *text = &flow->work;
        if (!decode(flow, text, token->text, token->size)) return false;
        if (list[i].normalized && !rp_normal_run(normalizer, flow, text, 0)) return false;
        if (!rp_added_trie_push(list[i].normalized ? &added->normalized : &added->raw, text->items,
                                text->count, added->ids[list[i].index]))
            return rp_flow_memory(flow);
    }
    return true;
}

rp_status rp_added_index(rp_added_vocab *added, const rp_normalizer *normalizer, rp_error *err) {
    rp_flow flow = {.most = 64 * MAX_BYTES, .err = err};
    rp_added_trie_finish(&added->raw);
    rp_added_trie_finish(&added->normalized);
    if (index_list(added, added->specials, added->special_count, normalizer, &flow))
        index_list(added, added->others, added->other_count, normalizer, &flow);
    rp_status status = flow.status;
    rp_flow_finish(&flow);
    return status;
}

/* ---- finding them ---- */

static bool is_word(uint32_t code) {
    return rp_char_is_word(code);
}

/* A token that stands for whole words alone is passed over beside a character of a word. */
static bool is_inside(const rp_char *chars, size_t begin, size_t end, size_t start, size_t stop) {
    return (start > begin && is_word(chars[start - 1].code)) || (stop < end && is_word(chars[stop].code));
}

bool rp_added_split(const rp_added_vocab *added, const rp_added_trie *trie, rp_flow *flow, size_t begin,
                    size_t end, const rp_char *chars, rp_splits *out) {
    size_t from = begin;    /* where the text that no token has taken begins */
    size_t white = begin;   /* where the white space that was looked at last ends */
    size_t last = SIZE_MAX; /* where the last token ended */
    for (size_t i = begin; trie->node_count && i < end + trie->has_empty;) {
        int32_t id = -1;
        size_t length = i < end && trie->first[chars[i].code & 255]
                            ? rp_added_trie_match(trie, chars + i, end - i, &id)
                            : 0;
        if (!length) {
            if (!trie->has_empty || last == i) {
                i++;
                continue;
            }
            id = trie->empty;
        }
        size_t start = i, stop = i + length;
        last = stop;
        const rp_added *token = rp_added_of(added, id);
        i = stop; /* also when the token takes the white space behind it, or is none here */
        if (added->split_special && added->skipped[added->owners[id]]) continue;
        if (token->single_word && is_inside(chars, begin, end, start, stop)) continue;
        if (token->lstrip) {
            while (start > from && rp_char_is_white(chars[start - 1].code)) start--;
            if (start < from) start = from;
        }
        if (token->rstrip) {
            if (stop < white) stop = white; /* it has been looked at */
            while (stop < end && rp_char_is_white(chars[stop].code)) stop++;
            white = stop;
        }
        if (stop < start) stop = start;
        if (from < start && !rp_flow_push(flow, out, from, start, -1)) return false;
        if (start < stop && !rp_flow_push(flow, out, start, stop, id)) return false;
        from = stop;
    }
    return from >= end || rp_flow_push(flow, out, from, end, -1);
}

/* Normalize characters [begin, end) of the text, append them to what is joined, and split them. */
static bool extract_part(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow,
                         rp_split part) {
    rp_chars *joined = &flow->joined, *work = &flow->work;
    const rp_char *from = flow->chars.items + part.begin;
    size_t count = part.end - part.begin, begin = joined->count;
    if (part.id < 0) {
        work->count = 0;
        if (!rp_flow_reserve(flow, work, count)) return false;
        memcpy(work->items, from, count * sizeof *from);
        work->count = count;
        if (!rp_normal_run(normalizer, flow, work, from[0].start)) return false;
        from = work->items;
        count = work->count;
    }
    if (!rp_flow_reserve(flow, joined, count)) return false;
    if (count) memcpy(joined->items + begin, from, count * sizeof *from);
    joined->count += count;
    if (part.id >= 0) return rp_flow_push(flow, &flow->splits, begin, joined->count, part.id);
    return rp_added_split(added, &added->normalized, flow, begin, joined->count, joined->items,
                          &flow->splits);
}

bool rp_added_extract(const rp_added_vocab *added, const rp_normalizer *normalizer, rp_flow *flow) {
    rp_splits *parts = &flow->spare_splits;
    rp_chars *chars = &flow->chars;
    parts->count = flow->splits.count = 0;
    if (!rp_added_split(added, &added->raw, flow, 0, chars->count, chars->items, parts)) return false;
    if (parts->count == 1 && parts->items[0].id < 0)
        return rp_normal_run(normalizer, flow, chars, 0) &&
               rp_added_split(added, &added->normalized, flow, 0, chars->count, chars->items, &flow->splits);
    flow->joined.count = 0;
    for (size_t i = 0; i < parts->count; i++)
        if (!extract_part(added, normalizer, flow, parts->items[i])) return false;
    rp_chars old = *chars;
    *chars = flow->joined;
    flow->joined = old;
    return true;
}
