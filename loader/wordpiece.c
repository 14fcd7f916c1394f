/* WordPiece: of each word the longest piece that it begins with, then of the rest, and so on. */
#include "loader/tokenizer.h"

/* A word as UTF-8, where each of its characters ends, and the hash of the piece that ends there. */
typedef struct word {
    const char *text;
    const uint32_t *ends; /* [count + 1] */
    uint32_t *hashes;     /* [count + 1] */
    size_t count;
} word;

static bool read_word(rp_flow *flow, const rp_char *chars, size_t count, word *out) {
    if (!rp_grow((void **)&flow->bytes, &flow->byte_capacity, 4 * count, 1) ||
        !rp_grow((void **)&flow->numbers, &flow->number_capacity, 2 * (count + 1), sizeof *flow->numbers))
        return rp_flow_memory(flow);
    uint32_t *ends = flow->numbers, size = 0;
    ends[0] = 0;
    for (size_t i = 0; i < count; i++) {
        if (chars[i].code < 128)
            flow->bytes[size++] = (char)chars[i].code;
        else
            size += (uint32_t)rp_utf8_put(flow->bytes + size, chars[i].code);
        ends[i + 1] = size;
    }
    *out = (word){flow->bytes, ends, ends + count + 1, count};
    return true;
}

/* The longest piece that stands at character `from`; `*to` gets its end. -1: none. */
static int32_t longest_piece(const rp_tokenizer *t, const word *w, size_t from, size_t *to) {
    const rp_wordpiece *model = &t->wordpiece;
    const char *prefix = from ? model->prefix : "";
    size_t prefix_size = from ? model->prefix_size : 0, reach = from, most = t->vocab.longest;
    uint32_t hash = from ? model->prefix_hash : t->vocab.seed;
    while (reach < w->count && prefix_size + w->ends[reach + 1] - w->ends[from] <= most) {
        hash = rp_vocab_hash(hash, w->text + w->ends[reach], w->ends[reach + 1] - w->ends[reach]);
        w->hashes[++reach] = hash;
    }
    for (; reach > from; reach--) {
        int32_t id = rp_vocab_find_hashed(&t->vocab, w->hashes[reach], prefix, prefix_size,
                                          w->text + w->ends[from], w->ends[reach] - w->ends[from]);
        if (id < 0) continue;
        *to = reach;
        return id;
    }
    return -1;
}

static bool put_unknown(const rp_tokenizer *t, rp_flow *flow, const rp_char *chars, size_t count,
                        int32_t number, rp_tokens *out) {
    if (t->wordpiece.unknown < 0) {
        if (!flow->status)
            flow->status =
                rp_fail(flow->err, RP_ERROR_TEXT,
                        "the text holds a word that the vocabulary of %s/%s does not have, and it has "
                        "no \"%s\" to stand for it",
                        rp_path_shown(t->dir), t->file, t->wordpiece.unknown_text);
        return false;
    }
    return rp_tokens_push(out, t->wordpiece.unknown, number, chars[0].start, chars[count - 1].end) ||
           rp_flow_memory(flow);
}

bool rp_wordpiece_encode(const rp_tokenizer *t, rp_flow *flow, const rp_char *chars, size_t count,
                         int32_t number, rp_tokens *out) {
    size_t first = out->count;
    word w = {0};
    if (count > t->wordpiece.most) return put_unknown(t, flow, chars, count, number, out);
    if (!read_word(flow, chars, count, &w)) return false;
    for (size_t from = 0, to = 0; from < count; from = to) {
        int32_t id = longest_piece(t, &w, from, &to);
        if (id < 0) {
            out->count = first;
            return put_unknown(t, flow, chars, count, number, out);
        }
        if (!rp_tokens_push(out, id, number, chars[from].start, chars[to - 1].end))
            return rp_flow_memory(flow);
    }
    return true;
}

/* ---- vocab.txt ---- */

rp_status rp_wordpiece_read(rp_tokenizer *t, const char *data, size_t size, rp_error *err) {
    const char *dir = rp_path_shown(t->dir);
    size_t bad = rp_utf8_check(data, size), line = 0;
    for (size_t at = 0; at < size; line++) {
        size_t end = at;
        while (end < size && data[end] != '\n' && data[end] != '\r') end++;
        if (bad < size && bad <= end)
            return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: line %zu: byte %zu of the file is not valid UTF-8",
                           dir, t->file, line + 1, bad);
        if (memchr(data + at, 0, end - at))
            return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: line %zu: holds a NUL byte", dir, t->file, line + 1);
        if (end - at > RP_PIECE_BYTES_MAX)
            return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: line %zu: longer than %d bytes, as no piece is", dir,
                           t->file, line + 1, RP_PIECE_BYTES_MAX);
        if (line >= INT32_MAX / 2)
            return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s/%s: more than 2^30 lines", dir, t->file);
        /* A piece on two lines belongs to the later one, as in a dictionary that is filled line by line. */
        int32_t before = rp_vocab_find(&t->vocab, data + at, end - at);
        if (!rp_vocab_set(&t->vocab, (int32_t)line, data + at, end - at, true))
            return rp_fail_memory(err, "the vocabulary", size);
        if (before >= 0) t->vocab.entries[before] = (rp_vocab_entry){0};
        at = end + 1;
        if (at < size && data[end] == '\r' && data[at] == '\n') at++;
    }
    if (line == 0)
        return rp_fail(err, RP_ERROR_FORMAT, "%s/%s: empty; it must hold one piece a line", dir, t->file);
    return RP_OK;
}
