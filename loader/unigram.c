/* Finds the best way to cut a text into pieces. */
#include "loader/unigram.h"

#include "base/alloc.h"

#define NOWHERE UINT32_MAX

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
