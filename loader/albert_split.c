/* Cutting the added tokens out of the raw text, as the original AlbertTokenizer of transformers does before
 * anything else. */
#include "loader/tokenizer.h"

static bool matches(const rp_added_token *token, const rp_char *chars, size_t left) {
    if (token->hidden || token->length > left) return false;
    for (size_t i = 0; i < token->length; i++)
        if (chars[i].code != token->codes[i]) return false;
    return true;
}

/* The longest added token at the beginning of `chars`. */
static const rp_added_token *find_added(const rp_tokenizer *t, const rp_char *chars, size_t left) {
    const rp_added_token *best = NULL;
    if (!left || !t->albert.added_first[chars[0].code & 255]) return NULL;
    for (size_t i = 0; i < t->albert.added_count; i++)
        if ((!best || t->albert.added[i].length > best->length) && matches(&t->albert.added[i], chars, left))
            best = &t->albert.added[i];
    return best;
}

/* Length of the token at `chars` that lower-casing must leave alone: first those with a role, then the others
 * that are neither special nor matched as they stand. */
static size_t protected_length(const rp_tokenizer *t, const rp_char *chars, size_t left) {
    if (!t->albert.added_first[chars[0].code & 255]) return 0;
    for (int role = 1; role >= 0; role--)
        for (size_t i = 0; i < t->albert.added_count; i++) {
            const rp_added_token *token = &t->albert.added[i];
            bool keep = role ? token->role : !token->special && token->normalized;
            if (keep && matches(token, chars, left)) return token->length;
        }
    return 0;
}

/* Lower-case the last `count` of the characters and move them to the beginning; what is before them is room
 * for those that become two. */
static void lower_text(const rp_tokenizer *t, rp_chars *chars, size_t count) {
    rp_char *to = chars->items;
    const rp_char *end = chars->items + chars->count;
    for (const rp_char *from = end - count; from < end;) {
        size_t keep = protected_length(t, from, (size_t)(end - from));
        for (size_t i = 0; i < keep; i++) *to++ = *from++;
        if (keep) continue;
        const rp_char c = *from++;
        uint32_t lower[RP_LOWERED_MAX];
        size_t made = rp_char_lower(c.code, lower);
        for (size_t i = 0; i < made; i++) *to++ = (rp_char){lower[i], c.start, c.end};
    }
    chars->count = (size_t)(to - chars->items);
}

static bool decode_text(const rp_tokenizer *t, rp_text text, rp_chars *out) {
    size_t doubled = 0, count = rp_utf8_count(text.data, text.size);
    uint32_t lower[RP_LOWERED_MAX];
    for (size_t at = 0; t->albert.do_lower_case && at < text.size;) {
        uint32_t code = rp_utf8_next(text.data, &at);
        doubled += code >= 128 && rp_char_lower(code, lower) > 1;
    }
    out->count = doubled;
    if (!rp_grow((void **)&out->items, &out->capacity, count + doubled + 1, sizeof *out->items)) return false;
    for (size_t at = 0; at < text.size;) {
        uint32_t start = (uint32_t)at, code = rp_utf8_next(text.data, &at);
        out->items[out->count++] = (rp_char){code, start, (uint32_t)at};
    }
    if (t->albert.do_lower_case) lower_text(t, out, count);
    return true;
}

static rp_status tokenize_between(const rp_tokenizer *t, rp_text text, const rp_char *chars, size_t from,
                                  size_t to, rp_tokens *out, rp_error *err) {
    if (from >= to) return RP_OK;
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

rp_status rp_albert_split(const rp_tokenizer *t, rp_text text, rp_tokens *out, rp_error *err) {
    rp_chars chars = {0};
    rp_status status = decode_text(t, text, &chars)
                           ? split_chars(t, text, &chars, out, err)
                           : rp_fail_memory(err, "the characters of a text", text.size * sizeof(rp_char));
    free(chars.items);
    return status;
}
