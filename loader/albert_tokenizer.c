/* ALBERT's original tokenization: rewrite the text, SentencePiece, and take numbers apart from the commas
 * behind them. Ids come from here; offsets and words from albert_offsets.c. */
#include "loader/json.h"
#include "loader/tokenizer.h"

static const char SPACE[] = "\xe2\x96\x81"; /* the symbol that stands for a space in a piece */
enum { SPACE_SIZE = 3 };

/* ---- opening ---- */

static rp_status index_pieces(rp_tokenizer *t, const char *path, rp_error *err) {
    const rp_spiece_file *model = &t->model;
    for (size_t i = 0; i < model->piece_count; i++) {
        const rp_piece *piece = &model->pieces[i];
        if (!rp_vocab_set(&t->vocab, (int32_t)i, piece->text, piece->size, false))
            return rp_fail_memory(err, "the vocabulary", piece->size);
    }
    for (size_t i = 0; t->vocab.used < model->piece_count && i < model->piece_count; i++) {
        const rp_piece *piece = &model->pieces[i];
        int32_t first = rp_vocab_find(&t->vocab, piece->text, piece->size);
        if (first != (int32_t)i)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: has the text of piece %d", path, i,
                           (int)first);
    }
    return RP_OK;
}

rp_status rp_albert_open(rp_tokenizer *t, const char *name, char *data, size_t size, rp_error *err) {
    t->model_bytes = data;
    char *whole = rp_path_join(t->dir, name);
    if (!whole) return rp_fail_memory(err, "a path", strlen(t->dir));
    const char *path = rp_path_shown(whole);
    rp_status status = RP_OK;
    if (size == 0) status = rp_fail(err, RP_ERROR_FORMAT, "%s: empty; take a fresh copy of the file", path);
    if (!status) status = rp_spiece_read(path, data, size, &t->model, err);
    if (!status) status = rp_spiece_open(path, &t->model, &t->spiece, err);
    if (!status) status = index_pieces(t, path, err);
    if (!status) rp_charsmap_plain(&t->model.normalizer.charsmap, t->plain);
    free(whole);
    return status;
}

/* ---- rewriting the text ---- */

/* Collapse white space and make plain quotes of `` and ''. `out` has room for `count` characters. */
static void plain_text(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_chars *out) {
    for (size_t i = 0; i < count;) {
        rp_char c = chars[i++];
        if (t->albert.remove_space && rp_char_is_space(c.code)) {
            while (i < count && rp_char_is_space(chars[i].code)) i++;
            if (!out->count || i == count) continue;
            c.code = ' ';
            c.end = chars[i - 1].end;
        } else if ((c.code == '`' || c.code == '\'') && i < count && chars[i].code == c.code) {
            c.code = '"';
            c.end = chars[i++].end;
        }
        out->items[out->count++] = c;
    }
}

/* True when all characters are ASCII, of which none has an accent; they are made lower-case in place. */
static bool lower_ascii(const rp_tokenizer *t, rp_chars *chars) {
    for (size_t i = 0; i < chars->count; i++)
        if (chars->items[i].code >= 0x80) return false;
    for (size_t i = 0; t->albert.do_lower_case && i < chars->count; i++)
        if (chars->items[i].code >= 'A' && chars->items[i].code <= 'Z') chars->items[i].code += 'a' - 'A';
    return true;
}

static bool without_accents(const rp_chars *in, rp_chars *out) {
    for (size_t i = 0; i < in->count; i++) {
        rp_char c = in->items[i];
        uint32_t parts[RP_DECOMPOSED_MAX];
        size_t count = rp_char_decompose(c.code, true, parts);
        for (size_t k = 0; k < count; k++)
            if (!rp_char_combining(parts[k]) && !rp_chars_push(out, parts[k], c.start, c.end)) return false;
    }
    return true;
}

static bool preprocess(const rp_tokenizer *t, const rp_char *chars, size_t count, rp_chars *out) {
    rp_chars next = {0};
    bool ok = rp_grow((void **)&out->items, &out->capacity, count, sizeof *out->items);
    if (ok) plain_text(t, chars, count, out);
    if (ok && lower_ascii(t, out)) return true;
    if (ok && !t->albert.keep_accents) {
        ok = without_accents(out, &next);
        free(out->items);
        *out = next;
        next = (rp_chars){0};
    }
    if (ok && t->albert.do_lower_case) {
        ok = rp_chars_lower(out, &next);
        free(out->items);
        *out = next;
    }
    return ok;
}

/* ---- encoding ---- */

/* The work on one stretch of text between added tokens. */
typedef struct stretch {
    const rp_tokenizer *t;
    rp_chars chars; /* what SentencePiece sees */
    rp_units units; /* what the fast tokenizer sees */
    size_t unit;    /* first unit that the next token may have */
    uint32_t start; /* of the stretch, bytes */
    int32_t first_word;
    rp_tokens *out;
} stretch;

/* The bytes that a piece came from, and where the last character of it begins. */
typedef struct source {
    uint32_t lo, hi, last;
} source;

/* How many units from `s->unit` on spell the piece; 0 when they do not. A piece may end inside what became of
 * the character at `hi`, not behind it, but what follows must not belong to it. */
static size_t spelled(const stretch *s, const char *piece, size_t size, source from) {
    const rp_unit *units = s->units.items;
    size_t to = s->unit;
    for (size_t at = 0; at < size; to++) {
        unsigned char first = (unsigned char)piece[at];
        if (to == s->units.count) return 0;
        if (units[to].code != (first < 0x80 ? (at++, first) : rp_utf8_next(piece, &at))) return 0;
    }
    bool inside = to > s->unit && units[to - 1].source <= from.hi;
    return inside && (to == s->units.count || units[to].source >= from.last) ? to - s->unit : 0;
}

/* Append the token of a piece, whose id is looked up when `id` is negative. Its offsets are those of the
 * units that spell it; where the two normalizations differ, those of the units that came from the same bytes.
 */
static bool emit(stretch *s, const char *piece, size_t size, int32_t id, source from) {
    if (id < 0) id = rp_vocab_find(&s->t->vocab, piece, size);
    const rp_unit *units = s->units.items;
    bool lone_space = size == SPACE_SIZE && memcmp(piece, SPACE, SPACE_SIZE) == 0;
    source wide = {from.lo, UINT32_MAX,
                   0}; /* a space in front of what follows may have no bytes of its own */
    size_t to = s->unit + spelled(s, piece, size, lone_space ? wide : from);
    if (to == s->unit) {
        while (to < s->units.count && units[to].source < from.lo) to++;
        s->unit = to;
        while (to < s->units.count && units[to].source < from.hi) to++;
        if (to == s->unit && lone_space && to < s->units.count) to++;
    }
    size_t first = s->unit;
    s->unit = to;
    uint32_t start = first < to ? units[first].start : from.lo,
             end = first < to ? units[to - 1].end : from.hi;
    int32_t word = first < to ? units[first].word : first > 0 ? units[first - 1].word : s->first_word;
    return rp_tokens_push(s->out, id < 0 ? s->t->model.unknown : id, word, start, end);
}

/* "12," and the like: a number and the comma behind it are never one token. */
static bool is_number_comma(const char *piece, size_t size) {
    if (size < 2 || piece[size - 1] != ',') return false;
    size_t at = size - 2;
    while (at > 0 && ((unsigned char)piece[at] & 0xc0) == 0x80) at--;
    return rp_char_is_digit(rp_utf8_next(piece, &at));
}

/* Encode such a piece again without its comma, which is the character `comma`; the rest begins at `lo`. */
static rp_status emit_number(stretch *s, const char *piece, size_t size, const rp_char *comma, uint32_t lo,
                             rp_error *err) {
    rp_spiece_tokens again = {0};
    bool spaced = size > SPACE_SIZE && memcmp(piece, SPACE, SPACE_SIZE) == 0, ok = true;
    char *bare = malloc(size);
    if (!bare) return rp_fail_memory(err, "a number", size);
    size_t used = 0;
    for (size_t at = 0; at < size - 1;) {
        bool space = size - at > SPACE_SIZE && memcmp(piece + at, SPACE, SPACE_SIZE) == 0;
        if (!space) bare[used++] = piece[at];
        at += space ? SPACE_SIZE : 1;
    }
    rp_status status = rp_spiece_encode(s->t->spiece, bare, used, &again, err);
    for (size_t i = 0; !status && ok && i < again.tokens.count; i++) {
        rp_text part = rp_spiece_token_at(s->t->spiece, &again, i).piece;
        const char *text = part.data;
        size_t length = part.size;
        if (i == 0 && !spaced && length >= SPACE_SIZE && memcmp(text, SPACE, SPACE_SIZE) == 0) {
            text += SPACE_SIZE; /* put there by SentencePiece */
            length -= SPACE_SIZE;
        }
        if (length) ok = emit(s, text, length, -1, (source){lo, comma->start, lo});
    }
    if (ok && !status) ok = emit(s, ",", 1, -1, (source){comma->start, comma->end, comma->start});
    rp_spiece_tokens_finish(&again);
    free(bare);
    return status ? status : ok ? RP_OK : rp_fail_memory(err, "the tokens of a text", s->out->count);
}

static inline size_t size_of(uint32_t code) {
    return code < 0x80 ? 1 : rp_utf8_size(code);
}

/* Hand the pieces on with the characters that they came from. */
static rp_status emit_all(stretch *s, const rp_spiece_tokens *pieces, rp_error *err) {
    const rp_char *c = s->chars.items;
    size_t from = 0, from_byte = 0; /* the character that the next piece begins in, and its first byte */
    for (size_t i = 0; i < pieces->tokens.count; i++) {
        const rp_spiece_token token = rp_spiece_token_at(s->t->spiece, pieces, i);
        const char *text = token.piece.data;
        const size_t length = token.piece.size;
        while (from + 1 < s->chars.count && from_byte + size_of(c[from].code) <= token.begin)
            from_byte += size_of(c[from++].code);
        size_t to = from, to_byte = from_byte + size_of(c[from].code);
        while (to + 1 < s->chars.count && to_byte < token.end) to_byte += size_of(c[++to].code);
        uint32_t lo = i ? c[from].start : s->start;
        /* Nothing of the text: the space put in front of it, or a further part of what one character became.
         */
        bool front = token.end == token.begin && length == SPACE_SIZE && memcmp(text, SPACE, SPACE_SIZE) == 0;
        uint32_t hi = front ? c[from].start : c[to].end;
        rp_status status = RP_OK;
        int32_t id =
            token.id == s->t->model.unknown ? -1 : token.id; /* unknown text may be an unused piece */
        if (is_number_comma(text, length))
            status = emit_number(s, text, length, &c[to], lo, err);
        else if (!emit(s, text, length, id, (source){lo, hi, front ? hi : c[to].start}))
            status = rp_fail_memory(err, "the tokens of a text", s->out->count * sizeof(rp_token));
        if (status) return status;
    }
    return RP_OK;
}

rp_status rp_albert_tokenize(const rp_tokenizer *t, rp_text text, const rp_char *chars, size_t count,
                             rp_tokens *out, rp_error *err) {
    stretch s = {.t = t, .start = chars[0].start, .first_word = out->words, .out = out};
    s.units.words = out->words;
    rp_spiece_tokens pieces = {0};
    rp_status status = RP_OK;
    char *bytes = NULL;
    size_t size = 0;
    bool ok = preprocess(t, chars, count, &s.chars) && (bytes = malloc(s.chars.count * 4 + 1));
    if (ok) {
        for (size_t i = 0; i < s.chars.count; i++) {
            const uint32_t code = s.chars.items[i].code;
            if (code < 0x80)
                bytes[size++] = (char)code;
            else
                size += rp_utf8_put(bytes + size, code);
        }
        if (size) status = rp_spiece_encode(t->spiece, bytes, size, &pieces, err);
        free(bytes);
    }
    ok = ok && (status || rp_albert_units(t, text.data, s.start, chars[count - 1].end, &s.units));
    if (!ok) status = rp_fail_memory(err, "the characters of a text", count * sizeof(rp_unit));
    if (!status) status = emit_all(&s, &pieces, err);
    out->words = s.units.words;
    rp_spiece_tokens_finish(&pieces);
    free(s.chars.items);
    free(s.units.items);
    return status;
}
