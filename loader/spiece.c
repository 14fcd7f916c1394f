/* Encoding with a spiece.model, to the byte as libsentencepiece 0.1.97 does: rewriting the text, and the best
 * segmentation of it. */
#include "loader/spiece.h"

#include "base/alloc.h"
#include "loader/trie.h"
#include "loader/unicode.h"
#include "loader/utf8.h"

static const char SPACE[] = "\xe2\x96\x81", REPLACEMENT[] = "\xef\xbf\xbd";
enum {
    SPACE_SIZE = 3,
    /* A text may become as long. Real maps make 13 bytes of one at most (U+FDFA), others could fill all
       memory. */
    MOST_BYTES = 16 * RP_TEXT_BYTES_MAX,
};

struct rp_spiece {
    const rp_spiece_file *file;
    rp_unigram *pieces;
    rp_trie users; /* the user-defined pieces, which are left as they are */
    bool has_users;
    bool user_first[256]; /* first bytes of them */
    bool plain[128];      /* ASCII characters that stay as they are before another, or the end */
};

/* ---- opening ---- */

static rp_status open_pieces(rp_spiece *s, const char *path, rp_unigram_piece *list, rp_error *err) {
    const rp_spiece_file *file = s->file;
    size_t used = 0, users = 0;
    for (size_t i = 0; i < file->piece_count; i++) {
        const rp_piece *piece = &file->pieces[i];
        bool user = piece->kind == RP_PIECE_USER, skip = piece->kind != RP_PIECE_NORMAL && !user;
        list[i] = (rp_unigram_piece){piece->text, (uint32_t)piece->size, (double)piece->score, skip, user};
        used += !skip;
        users += user;
        if (user) s->user_first[(unsigned char)piece->text[0]] = true;
    }
    if (!used)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: pieces: none is for texts; take a fresh copy of the file",
                       path);
    rp_status status = rp_unigram_open(list, file->piece_count, file->unknown, file->byte_fallback,
                                       RP_UNIGRAM_SPIECE, path, &s->pieces, err);
    if (status || !users) return status;
    rp_trie_key *keys = rp_new_array(rp_trie_key, users);
    users = 0;
    for (size_t i = 0; keys && i < file->piece_count; i++)
        if (list[i].user) keys[users++] = (rp_trie_key){list[i].text, list[i].size, (int32_t)i};
    s->has_users = keys && rp_trie_build(&s->users, keys, users, false);
    free(keys);
    return s->has_users ? RP_OK : rp_fail_memory(err, path, users * sizeof *keys);
}

rp_status rp_spiece_open(const char *path, const rp_spiece_file *file, rp_spiece **out, rp_error *err) {
    rp_spiece *s = rp_new(rp_spiece);
    rp_unigram_piece *list = rp_new_array(rp_unigram_piece, file->piece_count);
    rp_status status = RP_OK;
    *out = NULL;
    if (!s || !list) {
        status = rp_fail_memory(err, path, file->piece_count * sizeof *list);
    } else {
        s->file = file;
        status = open_pieces(s, path, list, err);
    }
    free(list);
    if (status) {
        rp_spiece_close(s);
        return status;
    }
    rp_charsmap_plain(&file->normalizer.charsmap, s->plain);
    s->plain[' '] = false; /* runs of them are shortened */
    for (size_t i = 0; i < 128; i++)
        if (s->user_first[i]) s->plain[i] = false;
    *out = s;
    return RP_OK;
}

void rp_spiece_close(rp_spiece *spiece) {
    if (!spiece) return;
    rp_unigram_close(&spiece->pieces);
    rp_trie_finish(&spiece->users);
    free(spiece);
}

size_t rp_spiece_user(const rp_spiece *spiece, const char *text, size_t size) {
    size_t longest = 0;
    uint32_t node = RP_TRIE_ROOT;
    if (!size || !spiece->has_users || !spiece->user_first[(unsigned char)*text]) return 0;
    for (size_t i = 0; i < size && rp_trie_step(&spiece->users, &node, (unsigned char)text[i]); i++)
        if (rp_trie_value(&spiece->users, node) >= 0) longest = i + 1;
    return longest;
}

/* ---- rewriting text ---- */

/* Room for `more` bytes, and what ends them. */
static bool reserve(rp_spiece_tokens *out, size_t more) {
    size_t needed = out->size + more + 1, texts = out->capacity, froms = out->capacity;
    if (needed <= out->capacity) return true;
    out->too_long = needed > MOST_BYTES;
    if (out->too_long || !rp_grow((void **)&out->text, &texts, needed, 1) ||
        !rp_grow((void **)&out->from, &froms, needed, sizeof *out->from))
        return false;
    out->capacity = texts;
    return true;
}

/* Append to the text of `out`; every byte comes from the byte `from`. */
static bool put(rp_spiece_tokens *out, const char *data, size_t size, uint32_t from) {
    if (!reserve(out, size)) return false;
    for (size_t i = 0; i < size; i++) {
        out->text[out->size] = data[i];
        out->from[out->size++] = from;
    }
    return true;
}

static bool put_space(const rp_spiece *s, rp_spiece_tokens *out, uint32_t from) {
    return s->file->normalizer.escape_whitespaces ? put(out, SPACE, SPACE_SIZE, from)
                                                  : put(out, " ", 1, from);
}

/* What the first `*taken` bytes of `text` (at least one) become. */
static rp_text first_of(const rp_spiece *s, const char *text, size_t size, size_t *taken) {
    size_t user = rp_spiece_user(s, text, size);
    *taken = user;
    if (user) return (rp_text){text, user};
    const char *found = rp_charsmap_longest(&s->file->normalizer.charsmap, text, size, taken);
    if (found) return (rp_text){found, strlen(found)};
    *taken = rp_utf8_sequence((const unsigned char *)text, size);
    if (*taken) return (rp_text){text, *taken};
    *taken = 1; /* a map may take a part of a character and leave the rest */
    return (rp_text){REPLACEMENT, sizeof REPLACEMENT - 1};
}

/* Append what a few characters became; spaces go in front of it when `*spaced`, which stays true behind one.
 */
static bool put_part(const rp_spiece *s, rp_text part, uint32_t from, bool *spaced, rp_spiece_tokens *out) {
    for (; *spaced && part.size && *part.data == ' '; part.size--) part.data++;
    if (part.size) *spaced = part.data[part.size - 1] == ' ';
    if (!s->file->normalizer.remove_extra_whitespaces) *spaced = false;
    while (part.size) {
        const char *space = memchr(part.data, ' ', part.size);
        size_t before = space ? (size_t)(space - part.data) : part.size;
        if (before && !put(out, part.data, before, from)) return false;
        if (space && !put_space(s, out, from)) return false;
        part.data += before + (space != NULL);
        part.size -= before + (space != NULL);
    }
    return true;
}

/* Take the spaces at the end away; returns the byte that what stays ends before. */
static uint32_t trim(const rp_spiece *s, rp_spiece_tokens *out, uint32_t end) {
    const char *space = s->file->normalizer.escape_whitespaces ? SPACE : " ";
    const size_t size = s->file->normalizer.escape_whitespaces ? SPACE_SIZE : 1;
    while (out->size >= size && memcmp(out->text + out->size - size, space, size) == 0) {
        out->size -= size;
        end = out->from[out->size];
    }
    return end;
}

/* Rewrite `text` into out->text and out->from. False: out of memory. */
static bool normalize(const rp_spiece *s, const char *text, size_t size, rp_spiece_tokens *out) {
    const bool remove = s->file->normalizer.remove_extra_whitespaces;
    size_t at = 0, taken = 0;
    out->size = 0;
    if (!reserve(out, size + size / 2)) return false;
    for (; remove && at < size; at += taken) {
        rp_text part = first_of(s, text + at, size - at, &taken);
        if (part.size != 1 || *part.data != ' ') break;
    }
    if (at == size) return true;
    if (!s->file->space_as_suffix && s->file->normalizer.add_dummy_prefix && !put_space(s, out, (uint32_t)at))
        return false;
    for (bool spaced = remove; at < size; at += taken) {
        unsigned char c = (unsigned char)text[at];
        bool plain = c < 128 && s->plain[c] && (at + 1 == size || (unsigned char)text[at + 1] < 128);
        if (plain) { /* most of most texts */
            taken = 1;
            spaced = false;
            if (!reserve(out, 1)) return false;
            out->text[out->size] = (char)c;
            out->from[out->size++] = (uint32_t)at;
        } else {
            rp_text part = first_of(s, text + at, size - at, &taken);
            if (!put_part(s, part, (uint32_t)at, &spaced, out)) return false;
        }
    }
    uint32_t end = remove ? trim(s, out, (uint32_t)size) : (uint32_t)size;
    if (s->file->space_as_suffix && s->file->normalizer.add_dummy_prefix && !put_space(s, out, end))
        return false;
    out->from[out->size] = end;
    return true;
}

/* ---- encoding ---- */

rp_status rp_spiece_encode(const rp_spiece *spiece, const char *text, size_t size, rp_spiece_tokens *out,
                           rp_error *err) {
    out->tokens.count = 0;
    out->too_long = false;
    if (normalize(spiece, text, size, out) &&
        rp_unigram_encode(spiece->pieces, out->text, out->size, &out->tokens))
        return RP_OK;
    if (out->too_long)
        return rp_fail(err, RP_ERROR_TEXT,
                       "a text of %zu bytes becomes longer than %d when it is normalized; cut it into parts",
                       size, MOST_BYTES);
    return rp_fail_memory(err, "encoding a text", out->size * sizeof *out->from);
}

rp_spiece_token rp_spiece_token_at(const rp_spiece *spiece, const rp_spiece_tokens *tokens, size_t i) {
    rp_unigram_token t = tokens->tokens.items[i];
    rp_text text = {tokens->text + t.begin, t.end - t.begin};
    if (spiece->file->byte_fallback && spiece->file->pieces[t.id].kind == RP_PIECE_BYTE) {
        const rp_piece *piece = &spiece->file->pieces[t.id];
        text = (rp_text){piece->text, piece->size};
    }
    return (rp_spiece_token){t.id, tokens->from[t.begin], tokens->from[t.end], text};
}

void rp_spiece_tokens_finish(rp_spiece_tokens *tokens) {
    free(tokens->tokens.items);
    free(tokens->text);
    free(tokens->from);
    *tokens = (rp_spiece_tokens){0};
}
