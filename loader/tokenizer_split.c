/* Cutting the added tokens out of the raw text, as the slow tokenizers of Hugging Face do before anything
 * else. */
#include "loader/tokenizer.h"

bool rp_tokens_push(rp_tokens *tokens, int32_t id, int32_t word, uint32_t start, uint32_t end) {
    if (tokens->count == tokens->capacity &&
        !rp_grow((void **)&tokens->items, &tokens->capacity, tokens->count + 1, sizeof *tokens->items))
        return false;
    tokens->items[tokens->count++] = (rp_token){id, word, {start, end}};
    return true;
}

static bool matches(const rp_added_token *token, const rp_char *chars, size_t left) {
    if (token->hidden || token->length > left) return false;
    for (size_t i = 0; i < token->length; i++)
        if (chars[i].code != token->codes[i]) return false;
    return true;
}

/* The longest added token at the beginning of `chars`. */
static const rp_added_token *find_added(const rp_tokenizer *t, const rp_char *chars, size_t left) {
    const rp_added_token *best = NULL;
    if (!left || !t->added_first[chars[0].code & 255]) return NULL;
    for (size_t i = 0; i < t->added_count; i++)
        if ((!best || t->added[i].length > best->length) && matches(&t->added[i], chars, left))
            best = &t->added[i];
    return best;
}

/* Length of the token at `chars` that lower-casing must leave alone: first those with a role, then the others
 * that are neither special nor matched as they stand. */
static size_t protected_length(const rp_tokenizer *t, const rp_char *chars, size_t left) {
    if (!t->added_first[chars[0].code & 255]) return 0;
    for (int role = 1; role >= 0; role--)
        for (size_t i = 0; i < t->added_count; i++) {
            const rp_added_token *token = &t->added[i];
            bool keep = role ? token->role : !token->special && token->normalized;
            if (keep && matches(token, chars, left)) return token->length;
        }
    return 0;
}

static bool decode_text(const rp_tokenizer *t, rp_text text, rp_chars *out) {
    rp_chars raw = {0};
    size_t count = rp_utf8_count(text.data, text.size);
    bool ok = rp_grow((void **)&raw.items, &raw.capacity, count, sizeof *raw.items);
    for (size_t at = 0; ok && at < text.size;) {
        uint32_t start = (uint32_t)at, code = rp_utf8_next(text.data, &at);
        ok = rp_chars_push(&raw, code, start, (uint32_t)at);
    }
    if (!t->do_lower_case) {
        *out = raw;
        return ok;
    }
    ok = ok && rp_grow((void **)&out->items, &out->capacity, count, sizeof *out->items);
    for (size_t i = 0; ok && i < raw.count;) {
        size_t keep = protected_length(t, raw.items + i, raw.count - i);
        for (size_t end = i + keep; ok && i < end; i++)
            ok = rp_chars_push(out, raw.items[i].code, raw.items[i].start, raw.items[i].end);
        if (keep || !ok) continue;
        uint32_t lower[RP_LOWERED_MAX];
        size_t lowers = rp_char_lower(raw.items[i].code, lower);
        for (size_t k = 0; ok && k < lowers; k++)
            ok = rp_chars_push(out, lower[k], raw.items[i].start, raw.items[i].end);
        i++;
    }
    free(raw.items);
    return ok;
}

static rp_status tokenize_between(const rp_tokenizer *t, rp_text text, const rp_char *chars, size_t from,
                                  size_t to, rp_tokens *out, rp_error *err) {
    if (from >= to) return RP_OK;
    if (t->wordpiece) return rp_wordpiece_tokenize(t, chars + from, to - from, out, err);
    return rp_albert_tokenize(t, text, chars + from, to - from, out, err);
}

/* Tokenize the text from `from` up to the added token at `i`, and append the token. `*next` gets where the
 * text behind it begins. */
static rp_status push_added(const rp_tokenizer *t, rp_text text, const rp_added_token *token,
                            const rp_chars *chars, size_t from, size_t i, size_t *next, rp_tokens *out,
                            rp_error *err) {
    const rp_char *c = chars->items;
    size_t left = i, right = i + token->length, first = left, last = right;
    while (token->lstrip && left > from && rp_char_is_space(c[left - 1].code)) left--;
    while (token->rstrip && right < chars->count && rp_char_is_space(c[right].code)) right++;
    /* The fast tokenizers take less white space, and the offsets are theirs. */
    while (first > left && rp_char_is_white(c[first - 1].code)) first--;
    while (last < right && rp_char_is_white(c[last].code)) last++;
    rp_status status = tokenize_between(t, text, c, from, left, out, err);
    if (!status && !rp_tokens_push(out, token->id, out->words++, c[first].start, c[last - 1].end))
        status = rp_fail_memory(err, "the tokens of a text", out->count * sizeof(rp_token));
    *next = right;
    return status;
}

static rp_status split_chars(const rp_tokenizer *t, rp_text text, const rp_chars *chars, rp_tokens *out,
                             rp_error *err) {
    const rp_char *c = chars->items;
    rp_status status = RP_OK;
    size_t from = 0; /* where the text that no token has taken begins */
    for (size_t i = 0; !status && i < chars->count;) {
        const rp_added_token *token = find_added(t, c + i, chars->count - i);
        size_t end = token ? i + token->length : i + 1;
        bool inside = token && token->single_word &&
                      ((i > from && c[i - 1].code != ' ') || (end < chars->count && c[end].code != ' '));
        if (token && !inside) {
            status = push_added(t, text, token, chars, from, i, &end, out, err);
            from = end;
        }
        i = end;
    }
    if (!status) status = tokenize_between(t, text, c, from, chars->count, out, err);
    return status;
}

rp_status rp_tokenizer_split(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err) {
    rp_chars chars = {0};
    rp_status status = decode_text(t, text, &chars)
                           ? split_chars(t, text, &chars, out, err)
                           : rp_fail_memory(err, "the characters of a text", text.size * sizeof(rp_char));
    free(chars.items);
    return status;
}
