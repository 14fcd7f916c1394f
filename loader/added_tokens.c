/* Added tokens: which there are and which ids they get, as AddedVocabulary of Hugging Face's `tokenizers` has
 * it. */
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

static bool index_list(rp_added_vocab *added, const rp_added_place *list, size_t count,
                       const rp_normalizer *normalizer, rp_flow *flow) {
    for (size_t i = 0; i < count; i++) {
        const rp_added *token = &added->tokens[list[i].index];
        rp_chars *text = &flow->work;
        if (!rp_flow_decode(flow, text, token->text, token->size)) return false;
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
