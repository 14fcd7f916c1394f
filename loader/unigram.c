#include "loader/unigram.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "loader/trie.h"

#define NOWHERE UINT32_MAX
static const double UNKNOWN_PENALTY = 10;

struct rp_unigram {
    rp_trie trie;   /* of the pieces that texts can have */
    double *scores; /* [piece_count] */
    double unknown_score;
    int32_t unknown;
    rp_unigram_kind kind;
    bool byte_fallback;
    int32_t bytes[256]; /* the piece of a byte, or -1 */
};

/* ---- opening ---- */

static rp_status check_pieces(const rp_unigram_piece *pieces, size_t count, int32_t unknown, const char *path,
                              rp_error *err) {
    if (count > RP_UNIGRAM_PIECES_MAX)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %zu pieces; at most %d can be used", path, count,
                       RP_UNIGRAM_PIECES_MAX);
    if (unknown >= 0 && (size_t)unknown >= count)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: the unknown piece is number %d, but there are %zu pieces",
                       path, (int)unknown, count);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(pieces[i].score))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: the score is not a finite number", path, i);
        if (!pieces[i].skip && pieces[i].size > RP_UNIGRAM_PIECE_MAX)
            return rp_fail(err, RP_ERROR_FORMAT,
                           "%s: piece %zu: %" PRIu32 " bytes; the longest that can be used has %d", path, i,
                           pieces[i].size, RP_UNIGRAM_PIECE_MAX);
    }
    return RP_OK;
}

int rp_byte_of_piece(const char *text, size_t size) {
    static const char digits[] = "0123456789ABCDEF";
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)((high - digits) * 16 + (low - digits)) : -1;
}

static void set_scores(rp_unigram *u, const rp_unigram_piece *pieces, size_t count) {
    bool spiece = u->kind == RP_UNIGRAM_SPIECE;
    double least = spiece ? (double)FLT_MAX : (double)INFINITY;
    float most = FLT_MIN; /* as libsentencepiece has it: the smallest number above zero */
    for (size_t i = 0; i < count; i++) {
        int byte = rp_byte_of_piece(pieces[i].text, pieces[i].size);
        if (byte >= 0 && pieces[i].skip == spiece) u->bytes[byte] = (int32_t)i;
        u->scores[i] = pieces[i].score;
        if (spiece && (pieces[i].skip || pieces[i].user)) continue;
        if (pieces[i].score < least) least = pieces[i].score;
        if ((float)pieces[i].score > most) most = (float)pieces[i].score;
    }
    u->unknown_score = spiece ? (double)(float)(least - UNKNOWN_PENALTY) : least - UNKNOWN_PENALTY;
    for (size_t i = 0; spiece && i < count; i++) {
        const float product = (float)pieces[i].size * most;
        if (pieces[i].user) u->scores[i] = product - 0.1;
    }
}

static rp_status build_trie(rp_unigram *u, const rp_unigram_piece *pieces, size_t count, const char *path,
                            rp_error *err) {
    rp_trie_key *keys = rp_new_array(rp_trie_key, count);
    size_t used = 0;
    for (size_t i = 0; keys && i < count; i++)
        if (!pieces[i].skip && pieces[i].size)
            keys[used++] = (rp_trie_key){pieces[i].text, pieces[i].size, (int32_t)i};
    bool ok = keys && rp_trie_build(&u->trie, keys, used, u->kind == RP_UNIGRAM_FAST);
    free(keys);
    return ok ? RP_OK : rp_fail_memory(err, path, count * sizeof *keys);
}

rp_status rp_unigram_open(const rp_unigram_piece *pieces, size_t count, int32_t unknown, bool byte_fallback,
                          rp_unigram_kind kind, const char *path, rp_unigram **out, rp_error *err) {
    *out = NULL;
    rp_status status = check_pieces(pieces, count, unknown, path, err);
    if (status) return status;
    rp_unigram *u = rp_new(rp_unigram);
    if (!u || !(u->scores = rp_new_array(double, count))) {
        free(u);
        return rp_fail_memory(err, path, count * sizeof *u->scores);
    }
    u->kind = kind;
    u->unknown = unknown;
    u->byte_fallback = byte_fallback;
    memset(u->bytes, 0xff, sizeof u->bytes);
    set_scores(u, pieces, count);
    status = build_trie(u, pieces, count, path, err);
    if (status) rp_unigram_close(&u);
    *out = u;
    return status;
}

void rp_unigram_close(rp_unigram **unigram) {
    if (!unigram || !*unigram) return;
    rp_trie_finish(&(*unigram)->trie);
    free((*unigram)->scores);
    free(*unigram);
    *unigram = NULL;
}

/* ---- encoding ---- */

enum { SMALL = 1024 }; /* bytes of a text whose work needs no memory of its own */

/* The best way to the end of some bytes: its sum, and its last piece with where that begins. */
typedef struct step {
    double score;
    uint32_t begin; /* NOWHERE: no way is known */
    int32_t piece;
} step;

static inline bool offer(step *to, double score, bool rounds, uint32_t begin, int32_t piece) {
    if (to->begin != NOWHERE && !(score > to->score)) return false;
    *to = (step){rounds ? (double)(float)score : score, begin, piece};
    return true;
}

/* The piece with exactly this text, or -1. */
static int32_t find_piece(const rp_unigram *u, const char *text, size_t size) {
    uint32_t node = RP_TRIE_ROOT;
    for (size_t i = 0; i < size; i++)
        if (!rp_trie_step(&u->trie, &node, (unsigned char)text[i])) return -1;
    return rp_trie_value(&u->trie, node);
}

static size_t char_size(unsigned char first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Fill steps[1..size]. False where the character at `*stuck` needs an unknown piece, and there is none. */
static bool walk(const rp_unigram *u, const char *text, uint32_t size, step *steps, uint32_t *stuck) {
    const unsigned char *bytes = (const unsigned char *)text;
    const bool rounds = u->kind == RP_UNIGRAM_SPIECE;
    for (uint32_t begin = 0; begin < size;) {
        const double sum = steps[begin].score;
        const uint32_t next = begin + (uint32_t)char_size(bytes[begin]);
        bool single = false;
        uint32_t node = RP_TRIE_ROOT;
        for (uint32_t at = begin; at < size && rp_trie_step(&u->trie, &node, bytes[at]);) {
            const int32_t piece = rp_trie_value(&u->trie, node);
            at++;
            if (piece < 0) continue;
            offer(&steps[at], u->scores[piece] + sum, rounds, begin, piece);
            single |= at == next;
        }
        if (!single) {
            double score = u->unknown_score + sum;
            if (rounds) score = (float)score; /* before it is compared, unlike those of pieces */
            if (offer(&steps[next], score, rounds, begin, u->unknown) && u->unknown < 0) {
                *stuck = begin;
                return false;
            }
        }
        begin = next;
    }
    return true;
}

static bool push(rp_unigram_tokens *out, int32_t id, uint32_t begin, uint32_t end) {
    if (out->count == out->capacity &&
        !rp_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items))
        return false;
    out->items[out->count++] = (rp_unigram_token){id, begin, end};
    return true;
}

/* Append unknown text: `begin` to `end`, backwards, as all is until the end of encoding. */
static bool push_unknown(const rp_unigram *u, const char *text, uint32_t begin, uint32_t end,
                         rp_unigram_tokens *out) {
    const bool spiece = u->kind == RP_UNIGRAM_SPIECE;
    int32_t id = spiece ? -1 : find_piece(u, text + begin, end - begin); /* what was joined may be a piece */
    bool bytes = u->byte_fallback && id < 0;
    for (uint32_t i = begin; bytes && i < end; i++) bytes = u->bytes[(unsigned char)text[i]] >= 0;
    if (!bytes) return push(out, id < 0 ? u->unknown : id, begin, end);
    for (uint32_t i = end; i > begin; i--)
        if (!push(out, u->bytes[(unsigned char)text[i - 1]], begin, spiece && i < end ? begin : end))
            return false;
    return true;
}

/* Append the best way to the end, piece by piece. */
static bool collect(const rp_unigram *u, const char *text, uint32_t size, const step *steps,
                    rp_unigram_tokens *out) {
    const size_t first = out->count;
    const bool joins = u->kind == RP_UNIGRAM_FAST || !u->byte_fallback;
    for (uint32_t end = size; end > 0;) {
        step s = steps[end];
        if (s.piece != u->unknown) {
            if (!push(out, s.piece, s.begin, end)) return false;
            end = s.begin;
            continue;
        }
        uint32_t begin = s.begin;
        while (joins && begin > 0 && steps[begin].piece == u->unknown) begin = steps[begin].begin;
        if (!push_unknown(u, text, begin, end, out)) return false;
        end = begin;
    }
    for (size_t i = first, k = out->count; i + 1 < k; i++) {
        rp_unigram_token swapped = out->items[i];
        out->items[i] = out->items[--k];
        out->items[k] = swapped;
    }
    return true;
}

bool rp_unigram_encode(const rp_unigram *u, const char *text, size_t size, rp_unigram_tokens *out) {
    step few[SMALL + 1];
    if (size >= NOWHERE) return false;
    step *steps = size <= SMALL ? few : malloc((size + 1) * sizeof *steps);
    if (!steps) return false;
    for (size_t i = 1; i <= size; i++) steps[i].begin = NOWHERE;
    steps[0] = (step){0, 0, -1};
    uint32_t stuck = 0;
    bool ok = walk(u, text, (uint32_t)size, steps, &stuck)
                  ? collect(u, text, (uint32_t)size, steps, out)
                  : push(out, -1, stuck, stuck + (uint32_t)char_size((unsigned char)text[stuck]));
    if (steps != few) free(steps);
    return ok;
}
