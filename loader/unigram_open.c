/* Makes a unigram model of its pieces. */
#include <float.h>
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "loader/unigram.h"

static const double UNKNOWN_PENALTY = 10;

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
