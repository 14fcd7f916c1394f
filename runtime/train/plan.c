/* The buffers of a micro-batch, how large it is, and whether layers are computed again on the way back. It
 * all follows from the configuration and from what never changes of the device: a run that is repeated is cut
 * in the same way. Nothing here allocates. */
#include "train/plan.h"

#include "ops/attention.h"
#include "ops/training.h"

enum {
    MOST_TOKENS = 65535,
    MOST_SEQUENCES = 256,
    DEFAULT_TOKENS = 2048,
    MOST_WORD_BYTES = 64 << 20, /* of the logits of all words, but for those of a quarter of the longest
                                   sequence */
    DEFAULT_BYTES = 384 << 20,  /* of a default micro-batch; a graphics card lends an eighth of its memory */
};

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

bool rp_train_rows_are_tokens(rp_head head) {
    return head == RP_HEAD_TOKENS || head == RP_HEAD_SPANS;
}

/* ---- the buffers ---- */

size_t rp_train_rooms(const rp_train_shape *s, rp_train_buffers *b, rp_train_room out[RP_MOST_TRAIN_ROOMS]) {
    const rp_config *c = s->config;
    uint64_t t = s->tokens, n = s->sequences, h = rp_padded(c->hidden_size),
             i = rp_padded(c->intermediate_size), e = rp_padded(c->embedding_size),
             a = rp_attention_width(c->attention_heads, c->hidden_size / c->attention_heads),
             l = rp_padded(s->logits), rows = rp_train_rows_are_tokens(s->head) ? t : n;
    uint64_t pairs = s->pairs, m = s->masked, v = m ? rp_padded(c->vocab_size) : 0;
    uint64_t layers = (uint64_t)c->layers * c->inner_layers, kept = s->recomputes ? 0 : layers * t;
    uint64_t qkv = larger(3 * (uint32_t)a, (uint32_t)i),
             widest = larger(larger((uint32_t)qkv, (uint32_t)h), larger((uint32_t)e, (uint32_t)l));
    uint64_t sums = (t / 64 + 1) * 2 * widest, word_sums = (m / 64 + 1) * v;
    uint64_t read = larger(larger((uint32_t)h, (uint32_t)i), larger((uint32_t)a, (uint32_t)e)),
             half_x = s->half ? read * t / 2 : 0, half_dy = s->half ? widest * t / 2 : 0;
    if (s->half && m * v / 2 > half_dy) half_dy = m * v / 2;
    const rp_train_room rooms[] = {
        {&b->sum, t * e, RP_TRAIN_ROOM_WORK},
        {&b->normed, t * e, RP_TRAIN_ROOM_WORK},
        {&b->hidden, t * h, RP_TRAIN_ROOM_WORK},
        {&b->in, t * h, RP_TRAIN_ROOM_WORK},
        {&b->before, t * h, RP_TRAIN_ROOM_WORK},
        {&b->attended, t * h, RP_TRAIN_ROOM_WORK},
        {&b->ahead, t * h, RP_TRAIN_ROOM_WORK},
        {&b->qkv, t * 3 * a, RP_TRAIN_ROOM_WORK},
        {&b->context, t * a, RP_TRAIN_ROOM_WORK},
        {&b->z, t * i, RP_TRAIN_ROOM_WORK},
        {&b->inner, t * qkv, RP_TRAIN_ROOM_WORK},
        {&b->d_hidden, t * h, RP_TRAIN_ROOM_WORK},
        {&b->d_other, t * h, RP_TRAIN_ROOM_WORK},
        {&b->d_inner, t * larger(larger((uint32_t)i, (uint32_t)a), (uint32_t)e), RP_TRAIN_ROOM_WORK},
        {&b->norm_stats, t * 2, RP_TRAIN_ROOM_WORK},
        {&b->attention_stats, t * 2 * c->attention_heads, RP_TRAIN_ROOM_WORK},
        {&b->scratch, sums > word_sums ? sums : word_sums, RP_TRAIN_ROOM_WORK},
        {&b->half_x, half_x, RP_TRAIN_ROOM_WORK},
        {&b->half_dy, half_dy, RP_TRAIN_ROOM_WORK},
        {&b->first_rows, n * h, RP_TRAIN_ROOM_WORK},
        {&b->pooled_in, n * h, RP_TRAIN_ROOM_WORK},
        {&b->pooled, n * h, RP_TRAIN_ROOM_WORK},
        {&b->d_pooled, n * h, RP_TRAIN_ROOM_WORK},
        {&b->logits, rows * l, RP_TRAIN_ROOM_LOGITS},
        {&b->d_logits, rows * l, RP_TRAIN_ROOM_LOGITS},
        {&b->masked_rows, m * h, RP_TRAIN_ROOM_WORK},
        {&b->masked_in, m * e, RP_TRAIN_ROOM_WORK},
        {&b->masked_act, m * e, RP_TRAIN_ROOM_WORK},
        {&b->masked_normed, m * e, RP_TRAIN_ROOM_WORK},
        {&b->d_masked, m * e, RP_TRAIN_ROOM_WORK},
        {&b->d_masked_act, m * e, RP_TRAIN_ROOM_WORK},
        {&b->words, m * v, RP_TRAIN_ROOM_LOGITS},
        {&b->vectors, 2 * pairs * h, RP_TRAIN_ROOM_WORK},
        {&b->d_vectors, 2 * pairs * h, RP_TRAIN_ROOM_WORK},
        {&b->inverse, 2 * pairs, RP_TRAIN_ROOM_WORK},
        {&b->scores, pairs * rp_padded(s->compared), RP_TRAIN_ROOM_WORK},
        {&b->d_scores, pairs * rp_padded(s->compared), RP_TRAIN_ROOM_WORK},
        {&b->kept.in, layers * t * h, RP_TRAIN_ROOM_KEPT},
        {&b->kept.qkv, kept * 3 * a, RP_TRAIN_ROOM_KEPT},
        {&b->kept.context, kept * a, RP_TRAIN_ROOM_KEPT},
        {&b->kept.before, kept * h, RP_TRAIN_ROOM_KEPT},
        {&b->kept.z, kept * i, RP_TRAIN_ROOM_KEPT},
        {&b->kept.ahead, kept * h, RP_TRAIN_ROOM_KEPT},
    };
    _Static_assert(sizeof rooms / sizeof *rooms <= RP_MOST_TRAIN_ROOMS, "there is room for all");
    size_t count = 0;
    for (size_t k = 0; k < RP_COUNT(rooms); k++)
        if (rooms[k].floats) out[count++] = rooms[k];
    return count;
}

/* ---- how many tokens ---- */

typedef struct sizes {
    uint64_t widest, all; /* bytes of the largest buffer, and of all */
} sizes;

static sizes sizes_of(const rp_train_shape *s) {
    rp_train_buffers none;
    rp_train_room rooms[RP_MOST_TRAIN_ROOMS];
    sizes out = {0};
    for (size_t i = rp_train_rooms(s, &none, rooms); i--;) {
        uint64_t bytes = 4 * rooms[i].floats;
        if (bytes > out.widest) out.widest = bytes;
        out.all += bytes + RP_TRAIN_ROOM_BEHIND;
    }
    return out;
}

static void set_tokens(rp_train_shape *s, uint64_t tokens, uint64_t range) {
    uint64_t row = 4ull * rp_padded(s->config->vocab_size), least = s->config->max_positions / 4 + 1,
             words = MOST_WORD_BYTES / row;
    s->tokens = (uint32_t)tokens;
    s->sequences = s->tokens < MOST_SEQUENCES ? s->tokens : MOST_SEQUENCES;
    if (words < least) words = least;
    words = smaller(smaller(words, range / row), tokens);
    s->masked = s->head & RP_HEAD_MASKED_LM ? (uint32_t)words : 0;
}

/* The most tokens, at most `wanted` and a multiple of 4, whose buffers are no larger than `space`. */
static void fit(rp_train_shape *s, uint64_t wanted, rp_train_space space) {
    uint64_t low = 0, high = wanted / 4;
    while (low < high) {
        uint64_t middle = (low + high + 1) / 2;
        set_tokens(s, 4 * middle, space.range);
        sizes now = sizes_of(s);
        if (now.widest <= space.range && now.all <= space.bytes)
            low = middle;
        else
            high = middle - 1;
    }
    set_tokens(s, 4 * low, space.range);
}

/* At least the longest sequence, even where that takes more than it should. What a driver says of its memory
 * is not always so: where nothing else is to be tried, whether it has so much shows when it is asked for it.
 */
static void choose_tokens(rp_train_shape *s, const rp_trainer_params *p, rp_train_space space, bool at_last) {
    uint64_t longest = rp_round_up(s->config->max_positions, 4),
             wanted = p->max_batch_tokens ? p->max_batch_tokens : DEFAULT_TOKENS;
    wanted = smaller(rp_round_up(wanted, 4), MOST_TOKENS & ~3u);
    if (wanted < longest) wanted = longest;
    rp_train_space modest = space;
    if (!p->max_batch_tokens) modest.bytes = smaller(space.bytes, space.modest);
    if (at_last) space.bytes = UINT64_MAX;
    fit(s, wanted, modest);
    if (s->tokens < longest) fit(s, longest, space);
}

rp_status rp_train_plan(const char *path, const rp_trainer_params *p, rp_train_space space, rp_train_shape *s,
                        rp_error *err) {
    uint64_t longest = s->config->max_positions;
    s->recomputes = p->recompute == RP_RECOMPUTE_ALWAYS;
    choose_tokens(s, p, space, p->recompute != RP_RECOMPUTE_AUTO);
    if (s->tokens < longest && p->recompute == RP_RECOMPUTE_AUTO) {
        s->recomputes = true;
        choose_tokens(s, p, space, true);
    }
    if (s->tokens >= longest) return RP_OK;
    set_tokens(s, rp_round_up(longest, 4), space.range);
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: to train on sequences of max_position_embeddings %u tokens takes a storage buffer of "
                   "%llu bytes, and this device has them of %llu; %smake max_position_embeddings smaller, or "
                   "take fewer labels",
                   path, s->config->max_positions, (unsigned long long)sizes_of(s).widest,
                   (unsigned long long)space.range,
                   s->recomputes ? "" : "let layers be computed again (recompute), ");
}

rp_train_space rp_train_space_of(const rp_caps *caps, uint64_t taken) {
    uint64_t all = caps->info.memory_bytes, most = all / 10 * 9, modest = DEFAULT_BYTES;
    if (caps->info.type == RP_DEVICE_DISCRETE && all / 8 > modest) modest = all / 8;
    return (rp_train_space){.range = rp_caps_range_limit(caps),
                            .bytes = !all           ? UINT64_MAX
                                     : most > taken ? most - taken
                                                    : 0,
                            .modest = modest};
}

/* ---- what it takes in all ---- */

/* As the tables of parameters.c have them. */
uint64_t rp_train_parameter_floats(const rp_config *c, rp_head head, uint32_t logits, uint64_t *turned) {
    uint64_t h = rp_padded(c->hidden_size), i = rp_padded(c->intermediate_size),
             e = rp_padded(c->embedding_size),
             a = rp_attention_width(c->attention_heads, c->hidden_size / c->attention_heads);
    uint64_t layers = (uint64_t)c->groups * c->inner_layers, v = rp_padded(c->vocab_size),
             products = layers * h * (4 * a + 2 * i), vectors = 2 * e + layers * (3 * a + 6 * h + i), tables;
    bool words = head & RP_HEAD_MASKED_LM, classes = !words || head & RP_HEAD_ORDER;
    if (c->family == RP_FAMILY_ALBERT || c->embedding_size != c->hidden_size) {
        products += h * e;
        vectors += h;
    }
    if (classes) {
        products += rp_padded(logits) * h;
        vectors += rp_padded(logits);
    }
    if (classes && !rp_train_rows_are_tokens(head)) {
        products += h * h;
        vectors += h;
    }
    if (words) {
        products += h * e;
        vectors += 3 * e + v;
    }
    tables = (v + rp_padded(c->max_positions) + rp_padded(c->type_vocab_size)) * e;
    *turned = products + (words ? v * e : 0);
    if (words && !c->tie_word_embeddings) tables += v * e;
    return products + tables + vectors;
}
