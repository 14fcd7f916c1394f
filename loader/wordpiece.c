/* vocab.txt: basic tokenization (cleaning, ideographs, case, accents, punctuation), then WordPiece. */
#include "loader/json.h"
#include "loader/tokenizer.h"

enum { WORD_MAX = 100 }; /* characters; a longer word is unknown */

rp_status rp_wordpiece_open(rp_tokenizer *t, const char *data, size_t size, rp_error *err) {
    const char *dir = rp_path_shown(t->dir);
    size_t bad = rp_utf8_check(data, size);
    size_t line = 0;
    for (size_t at = 0; at < size; line++) {
        size_t end = at;
        while (end < size && data[end] != '\n' && data[end] != '\r') end++;
        if (bad < size && bad <= end)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "%s/vocab.txt: line %zu: byte %zu of the file is not valid UTF-8", dir, line + 1,
                           bad);
        if (memchr(data + at, 0, end - at))
            return rp_fail(err, RP_ERROR_FORMAT, "%s/vocab.txt: line %zu: holds a NUL byte", dir, line + 1);
        if (line >= INT32_MAX / 2)
            return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s/vocab.txt: more than 2^30 lines", dir);
        /* A piece on two lines belongs to the later one, as in a dictionary that is filled line by line. */
        if (!rp_vocab_set(&t->vocab, (int32_t)line, data + at, end - at, true))
            return rp_fail_memory(err, "the vocabulary", size);
        at = end + 1;
        if (at < size && data[end] == '\r' && data[at] == '\n') at++;
    }
    if (line == 0)
        return rp_fail(err, RP_ERROR_FORMAT, "%s/vocab.txt: empty; it must hold one piece a line", dir);
    return RP_OK;
}

/* Drop control characters, make white space plain, and put spaces around ideographs. */
static bool clean(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_chars *out) {
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        rp_char c = chars[i];
        if (c.code == 0 || c.code == 0xfffd || rp_char_is_control(c.code)) continue;
        if (rp_char_is_blank(c.code)) c.code = ' ';
        bool around = t->tokenize_chinese_chars && rp_char_is_ideograph(c.code);
        ok = (!around || rp_chars_push(out, ' ', c.start, c.end)) &&
             rp_chars_push(out, c.code, c.start, c.end) &&
             (!around || rp_chars_push(out, ' ', c.start, c.end));
    }
    return ok;
}

/* One token for some characters of a text. Marks may have changed places, so the ends may be anywhere among
 * them. */
static bool push_piece(rp_tokens *out, int32_t id, int32_t word, const rp_char *chars, size_t count) {
    uint32_t start = chars[0].start, end = chars[0].end;
    for (size_t i = 1; i < count; i++) {
        if (chars[i].start < start) start = chars[i].start;
        if (chars[i].end > end) end = chars[i].end;
    }
    return rp_tokens_push(out, id, word, start, end);
}

/* The pieces of one word, longest match first; `text` and `ends` are scratch of WORD_MAX characters. */
static bool match_word(const rp_tokenizer *t, const rp_char *chars, size_t count, int32_t word,
                       rp_tokens *out) {
    char text[WORD_MAX * 4];
    uint16_t ends[WORD_MAX + 1] = {0}; /* bytes up to and with each character */
    size_t first = out->count;
    if (count > WORD_MAX) goto unknown;
    for (size_t i = 0; i < count; i++)
        ends[i + 1] = (uint16_t)(ends[i] + rp_utf8_put(text + ends[i], chars[i].code));
    for (size_t from = 0; from < count;) {
        const char *prefix = from ? "##" : "";
        size_t prefix_size = from ? 2 : 0, reach = from;
        uint32_t hashes[WORD_MAX + 1]; /* of the piece that ends at each character */
        hashes[from] = rp_vocab_hash(t->vocab.seed, prefix, prefix_size);
        while (reach < count && prefix_size + ends[reach + 1] - ends[from] <= t->vocab.longest) {
            hashes[reach + 1] =
                rp_vocab_hash(hashes[reach], text + ends[reach], ends[reach + 1] - ends[reach]);
            reach++;
        }
        int32_t id = -1;
        for (; id < 0 && reach > from; reach--)
            id = rp_vocab_find_hashed(&t->vocab, hashes[reach], prefix, prefix_size, text + ends[from],
                                      ends[reach] - ends[from]);
        if (id < 0) goto unknown;
        if (!push_piece(out, id, word, chars + from, reach + 1 - from)) return false;
        from = reach + 1;
    }
    return true;
unknown:
    out->count = first;
    return push_piece(out, t->ids.unk, word, chars, count);
}

/* Lower case and without accents, as configured; NFC where accents stay. */
static bool fold_word(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_chars *out) {
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t lower[RP_LOWERED_MAX] = {chars[i].code}, parts[RP_DECOMPOSED_MAX];
        size_t lowers = t->do_lower_case ? rp_char_lower(chars[i].code, lower) : 1;
        for (size_t l = 0; l < lowers; l++) {
            size_t n = 1;
            parts[0] = lower[l];
            if (t->strip_accents) n = rp_char_decompose(lower[l], false, parts);
            for (size_t k = 0; k < n; k++) {
                if (t->strip_accents && rp_char_is_nonspacing(parts[k])) continue;
                if (!rp_chars_push(out, parts[k], chars[i].start, chars[i].end)) return false;
            }
        }
    }
    return t->strip_accents || rp_chars_compose(out);
}

/* The id of a word that the configuration says never to split, or -1. */
static int32_t never_split(const rp_tokenizer *t, const rp_char *chars, size_t count) {
    char text[4 * WORD_MAX];
    size_t size = 0;
    if (!t->never_split.count || count > WORD_MAX) return -1;
    for (size_t i = 0; i < count; i++) size += rp_utf8_put(text + size, chars[i].code);
    if (rp_vocab_find(&t->never_split, text, size) < 0) return -1;
    int32_t id = rp_vocab_find(&t->vocab, text, size);
    return id < 0 ? t->ids.unk : id;
}

/* One white-space-separated word: fold it, cut it at punctuation, match each part. */
static bool tokenize_word(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_chars *folded,
                          rp_tokens *out) {
    int32_t whole = never_split(t, chars, count);
    if (whole >= 0) return rp_tokens_push(out, whole, out->words++, chars[0].start, chars[count - 1].end);
    if (!t->do_basic_tokenize) return match_word(t, chars, count, out->words++, out);
    if (!fold_word(t, chars, count, folded)) return false;
    const rp_char *c = folded->items;
    for (size_t from = 0; from < folded->count;) {
        size_t to = from + 1;
        if (rp_char_is_space(c[from].code)) { /* a decomposition can bring white space */
            from = to;
            continue;
        }
        if (!rp_char_is_punctuation(c[from].code))
            while (to < folded->count && !rp_char_is_punctuation(c[to].code) && !rp_char_is_space(c[to].code))
                to++;
        if (!match_word(t, c + from, to - from, out->words++, out)) return false;
        from = to;
    }
    return true;
}

rp_status rp_wordpiece_tokenize(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_tokens *out,
                                rp_error *err) {
    rp_chars cleaned = {0}, folded = {0};
    bool ok = true;
    if (t->do_basic_tokenize) {
        ok = clean(t, chars, count, &cleaned);
        chars = cleaned.items;
        count = cleaned.count;
    }
    for (size_t from = 0; ok && from < count;) {
        size_t to = from;
        while (to < count && !rp_char_is_space(chars[to].code)) to++;
        if (to > from) ok = tokenize_word(t, chars + from, to - from, &folded, out);
        from = to + 1;
    }
    free(cleaned.items);
    free(folded.items);
    return ok ? RP_OK : rp_fail_memory(err, "the tokens of a text", count * sizeof(rp_char));
}
