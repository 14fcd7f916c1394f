#include "loader/unigram.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <time.h>

#include "base/alloc.h"

/* The pieces are a trie in a hash table: a node is the slot of the text that leads to it, found by a hash
 * that grows byte by byte, and told from others by the node before it. So the next slot is known before the
 * last one has been read, and building takes linear time whatever the pieces are. */
typedef struct node {
    uint32_t parent; /* slot of the text without its last byte; ROOT or EMPTY */
    uint32_t value;  /* (piece + 1) << 8 | last byte; no piece ends here: 0 << 8 | last byte */
} node;

#define EMPTY UINT32_MAX
#define ROOT (UINT32_MAX - 1)
#define NOWHERE UINT32_MAX
static const double UNKNOWN_PENALTY = 10;

struct rp_unigram {
    node *nodes; /* [node_count] */
    uint32_t node_count;
    uint64_t seed;  /* what hashes begin with, another one each time: no file can be made to share slots */
    double *scores; /* [piece_count] */
    double unknown_score;
    int32_t unknown;
    rp_unigram_kind kind;
    bool byte_fallback;
    int32_t bytes[256]; /* the piece of a byte, or -1 */
};

/* ---- the trie ---- */

static uint64_t hash_byte(uint64_t hash, unsigned char byte) {
    return (hash ^ byte) * 0x9e3779b97f4a7c15u;
}

/* Where the child `byte` of `parent` is, or the empty slot where it belongs. */
static inline uint32_t find_slot(const node *nodes, uint32_t count, uint64_t hash, uint32_t parent,
                                 unsigned char byte) {
    uint32_t slot = (uint32_t)((hash >> 32) * count >> 32);
    while (nodes[slot].parent != EMPTY && (nodes[slot].parent != parent || (nodes[slot].value & 255) != byte))
        slot = slot + 1 == count ? 0 : slot + 1;
    return slot;
}

/* Follow one byte; `*hash` goes with it. NOWHERE when no piece goes on like this. */
static inline uint32_t follow(const rp_unigram *u, uint64_t *hash, uint32_t from, unsigned char byte) {
    *hash = hash_byte(*hash, byte);
    uint32_t slot = find_slot(u->nodes, u->node_count, *hash, from, byte);
    return u->nodes[slot].parent == EMPTY ? NOWHERE : slot;
}

/* The piece with exactly this text, or -1. */
static int32_t find_piece(const rp_unigram *u, const char *text, size_t size) {
    uint64_t hash = u->seed;
    uint32_t at = ROOT;
    for (size_t i = 0; i < size && at != NOWHERE; i++) at = follow(u, &hash, at, (unsigned char)text[i]);
    return at == NOWHERE || at == ROOT ? -1 : (int32_t)(u->nodes[at].value >> 8) - 1;
}

/* Insert the texts into a table of `count` slots. False: memory ran out, or, with `*full`, slots did. */
static bool insert_all(rp_unigram *u, const rp_unigram_piece *pieces, size_t piece_count, size_t count,
                       bool *full) {
    size_t used = 0;
    *full = false;
    if (count > ROOT - 1 || !(u->nodes = malloc(count * sizeof *u->nodes))) return false;
    memset(u->nodes, 0xff, count * sizeof *u->nodes); /* all EMPTY */
    u->node_count = (uint32_t)count;
    for (size_t i = 0; i < piece_count; i++) {
        uint64_t hash = u->seed;
        uint32_t at = ROOT;
        for (uint32_t k = 0; k < pieces[i].size && !pieces[i].skip; k++) {
            unsigned char byte = (unsigned char)pieces[i].text[k];
            hash = hash_byte(hash, byte);
            uint32_t slot = find_slot(u->nodes, u->node_count, hash, at, byte);
            if (u->nodes[slot].parent == EMPTY) {
                if (++used > count / 3 * 2) {
                    *full = true;
                    return false;
                }
                u->nodes[slot] = (node){at, byte};
            }
            at = slot;
        }
        if (at == ROOT) continue;
        bool known = u->nodes[at].value >> 8;
        if (!known || u->kind == RP_UNIGRAM_FAST)
            u->nodes[at].value = (uint32_t)(i + 1) << 8 | (u->nodes[at].value & 255);
    }
    return true;
}

/* Pieces share beginnings: half of their bytes is room enough for most vocabularies, and twice for any. */
static rp_status build(rp_unigram *u, const rp_unigram_piece *pieces, size_t count, const char *path,
                       rp_error *err) {
    size_t bytes = 0;
    bool full = false;
    for (size_t i = 0; i < count; i++)
        if (!pieces[i].skip) bytes += pieces[i].size;
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now); /* nobody who writes a file knows when and where it is read */
    u->seed = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec << 8 ^ (uintptr_t)u;
    u->seed = hash_byte(u->seed ^ u->seed >> 29, 0);
    size_t slots = bytes / 4 * 3 + 256;
    bool ok = insert_all(u, pieces, count, slots, &full);
    if (full) {
        free(u->nodes);
        slots = bytes / 2 * 3 + 256;
        ok = insert_all(u, pieces, count, slots, &full);
    }
    return ok ? RP_OK : rp_fail_memory(err, path, slots * sizeof *u->nodes);
}

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
    status = build(u, pieces, count, path, err);
    if (status) rp_unigram_close(&u);
    *out = u;
    return status;
}

void rp_unigram_close(rp_unigram **unigram) {
    if (!unigram || !*unigram) return;
    free((*unigram)->nodes);
    free((*unigram)->scores);
    free(*unigram);
    *unigram = NULL;
}

size_t rp_unigram_prefix(const rp_unigram *u, const char *text, size_t size) {
    uint64_t hash = u->seed;
    uint32_t node = ROOT;
    size_t longest = 0;
    for (size_t at = 0; at < size;) {
        node = follow(u, &hash, node, (unsigned char)text[at++]);
        if (node == NOWHERE) break;
        if (u->nodes[node].value >> 8) longest = at;
    }
    return longest;
}

/* ---- encoding ---- */

enum { SMALL = 256 }; /* bytes of a text whose work needs no memory of its own */

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
        uint64_t hash = u->seed;
        uint32_t node = ROOT;
        for (uint32_t at = begin; at < size;) {
            node = follow(u, &hash, node, bytes[at++]);
            if (node == NOWHERE) break;
            uint32_t piece = u->nodes[node].value >> 8;
            if (!piece) continue;
            offer(&steps[at], u->scores[piece - 1] + sum, rounds, begin, (int32_t)piece - 1);
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
