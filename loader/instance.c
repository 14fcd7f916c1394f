/* Instances of pre-training from the tokens of a chunk: google-research/albert's create_pretraining_data,
 * except that random numbers depend on keys, so that each instance can be made again by itself. */
#include "loader/instance.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/tokenizer.h"
#include "loader/unicode.h"

/* ---- as JSON ---- */

static void write_list(rp_json_writer *w, const char *key, const int32_t *values, size_t count) {
    rp_json_write_open(w, key, '[');
    for (size_t i = 0; i < count; i++) rp_json_write_integer(w, NULL, values[i]);
    rp_json_write_close(w, ']');
}

void rp_instance_write(rp_json_writer *w, const rp_instance *in) {
    w->compact = true;
    rp_json_write_open(w, NULL, '{');
    write_list(w, "input_ids", in->ids, in->count);
    write_list(w, "token_type_ids", in->types, in->count);
    write_list(w, "masked_positions", (const int32_t *)in->masked_positions, in->masked);
    write_list(w, "masked_ids", in->masked_ids, in->masked);
    rp_json_write_integer(w, "order", in->order);
    rp_json_write_close(w, '}');
}

/* ---- dice: splitmix64 ---- */

static uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t roll(rp_dice *dice) {
    return mix(dice->state += 0x9e3779b97f4a7c15u);
}

rp_dice rp_dice_make(uint64_t seed, uint64_t epoch, uint64_t place) {
    return (rp_dice){mix(mix(mix(seed + 0x9e3779b97f4a7c15u) + epoch) + place)};
}

uint32_t rp_dice_below(rp_dice *dice, uint32_t count) {
    return (uint32_t)((roll(dice) >> 32) * count >> 32);
}

double rp_dice_share(rp_dice *dice) {
    return (double)(roll(dice) >> 11) * 0x1p-53;
}

/* ---- where words begin ---- */

/* Scripts that put no blanks between words: there each piece is a word, as with Google every piece is that
 * has other letters than a to z. */
static bool is_unspaced(uint32_t code) {
    static const uint32_t ranges[][2] = {
        {0x0e00, 0x0eff},   /* Thai, Lao */
        {0x1000, 0x109f},   /* Myanmar */
        {0x1780, 0x17ff},   /* Khmer */
        {0x2e80, 0xa4cf},   /* Han, Hiragana, Katakana, Bopomofo, Yi */
        {0xf900, 0xfaff},   /* Han */
        {0xff66, 0xff9f},   /* Katakana */
        {0x1b000, 0x1b16f}, /* Hiragana, Katakana */
        {0x20000, 0x3ffff}, /* Han */
    };
    for (size_t i = 0; i < RP_COUNT(ranges); i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

static bool is_ascii_punctuation(uint32_t code) {
    return code > ' ' && code < 0x7f && !(code >= '0' && code <= '9') && !(code >= 'A' && code <= 'Z') &&
           !(code >= 'a' && code <= 'z');
}

static bool is_letter(uint32_t code) {
    return (rp_char_category(code) <= RP_CATEGORY_LO || rp_char_is_mark(code)) && !is_unspaced(code);
}

bool rp_instance_starts_word(const char *piece) {
    static const char blank[] = "\xe2\x96\x81";
    size_t size = strlen(piece);
    if (!size || rp_utf8_check(piece, size) < size) return true;
    if (*piece == '<' || !strncmp(piece, blank, sizeof blank - 1)) return true;
    for (size_t at = 0; at < size;) {
        uint32_t code = rp_utf8_next(piece, &at);
        bool punctuation = is_ascii_punctuation(code);
        if ((punctuation && size == 1) || (!punctuation && !is_letter(code))) return true;
    }
    return false;
}

static void find_starts(rp_instance_maker *m, const rp_tokenizer *t) {
    bool wordpiece = t->kind == RP_MODEL_WORDPIECE;
    size_t prefix = t->wordpiece.prefix_size;
    for (uint32_t id = 0; id < m->vocab_size; id++) {
        const char *piece = rp_tokenizer_piece(t, (int32_t)id);
        if (!piece || rp_tokenizer_is_special(t, (int32_t)id))
            m->starts[id] = true;
        else if (wordpiece)
            m->starts[id] =
                !prefix || strlen(piece) <= prefix || memcmp(piece, t->wordpiece.prefix, prefix) != 0;
        else
            m->starts[id] = rp_instance_starts_word(piece);
    }
}

/* ---- the maker ---- */

rp_status rp_instance_maker_open(rp_instance_maker *m, const rp_tokenizer *t, rp_error *err) {
    m->special = rp_tokenizer_special_ids(t);
    m->vocab_size = rp_tokenizer_vocab_size(t);
    if (m->max_tokens < 5)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "max_tokens: %u tokens are too few: [CLS], [SEP], [SEP] and two more need 5",
                       (unsigned)m->max_tokens);
    if (m->special.cls < 0 || m->special.sep < 0 || m->special.mask < 0)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: the tokenizer has no %s, which pre-training needs; add it to the vocabulary",
                       rp_path_shown(t->dir),
                       m->special.cls < 0   ? "[CLS]"
                       : m->special.sep < 0 ? "[SEP]"
                                            : "[MASK]");
    m->starts = rp_new_array(bool, m->vocab_size);
    uint64_t room = (uint64_t)m->max_tokens + 1;
    m->words = rp_new_array(uint32_t, room);
    m->order = rp_new_array(uint32_t, room);
    m->covered = rp_new_array(bool, room);
    m->ids = rp_new_array(int32_t, room);
    m->types = rp_new_array(int32_t, room);
    m->masked_ids = rp_new_array(int32_t, room);
    m->positions = rp_new_array(uint32_t, room);
    if (!m->starts || !m->words || !m->order || !m->covered || !m->ids || !m->types || !m->masked_ids ||
        !m->positions)
        return rp_fail_memory(err, "the making of instances", m->vocab_size + 25 * room);
    find_starts(m, t);
    return RP_OK;
}

void rp_instance_maker_finish(rp_instance_maker *m) {
    free(m->starts);
    free(m->words);
    free(m->order);
    free(m->covered);
    free(m->ids);
    free(m->types);
    free(m->masked_ids);
    free(m->positions);
    *m = (rp_instance_maker){0};
}

/* ---- two texts ---- */

typedef struct stretch {
    const int32_t *ids;
    size_t count;
} stretch;

/* The longer one loses tokens, one at a time, in front or behind; of equals the second one. */
static void truncate_pair(stretch *a, stretch *b, size_t most, rp_dice *dice) {
    while (a->count + b->count > most) {
        stretch *longer = a->count > b->count ? a : b;
        if (rp_dice_share(dice) < 0.5) longer->ids++;
        longer->count--;
    }
}

static void put(rp_instance_maker *m, stretch part, int32_t type) {
    memcpy(m->ids + m->count, part.ids, part.count * sizeof *part.ids);
    m->ids[m->count + part.count] = m->special.sep;
    for (size_t i = 0; i <= part.count; i++) m->types[m->count + i] = type;
    m->count += (uint32_t)part.count + 1;
}

/* Lay out the two texts; true: they are swapped. */
static bool put_pair(rp_instance_maker *m, const int32_t *ids, const size_t *ends, size_t segments,
                     rp_dice *dice) {
    size_t cut = ends[rp_dice_below(dice, (uint32_t)(segments - 1))];
    stretch before = {ids, cut}, after = {ids + cut, ends[segments - 1] - cut};
    bool swapped = rp_dice_share(dice) < 0.5;
    stretch a = swapped ? after : before, b = swapped ? before : after;
    truncate_pair(&a, &b, m->max_tokens - 3, dice);
    m->ids[0] = m->special.cls;
    m->types[0] = 0;
    m->count = 1;
    put(m, a, 0);
    put(m, b, 1);
    return swapped;
}

/* ---- masks ---- */

static bool is_candidate(const rp_instance_maker *m, int32_t id) {
    return id != m->special.cls && id != m->special.sep && id != m->special.mask && id != m->special.pad;
}

/* List the words: of word w the tokens from words[w] on up to words[w + 1] that are candidates. As with
 * Google, a word goes on behind [SEP] where the second text begins inside one. */
static uint32_t find_words(rp_instance_maker *m) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        int32_t id = m->ids[i];
        if (is_candidate(m, id) && (!count || m->starts[id])) m->words[count++] = i;
    }
    m->words[count] = m->count;
    return count;
}

/* Tokens of `n` words from `word` on; `*covered`: one of them is taken. */
static size_t measure(const rp_instance_maker *m, uint32_t word, uint32_t n, bool *covered) {
    size_t size = 0;
    *covered = false;
    for (uint32_t i = m->words[word]; i < m->words[word + n]; i++) {
        if (!is_candidate(m, m->ids[i])) continue;
        size++;
        *covered = *covered || m->covered[i];
    }
    return size;
}

/* n of 1..most, with p(n) ~ 1/n. */
static uint32_t draw_length(uint32_t most, rp_dice *dice) {
    double all = 0, at = rp_dice_share(dice);
    for (uint32_t n = 1; n <= most; n++) all += 1.0 / n;
    at *= all;
    for (uint32_t n = 1; n < most; n++) {
        if (at < 1.0 / n) return n;
        at -= 1.0 / n;
    }
    return most;
}

/* Cover words until `budget` tokens are; an n-gram that is too long gets shorter. */
static void cover(rp_instance_maker *m, size_t budget, rp_dice *dice) {
    uint32_t words = find_words(m);
    size_t taken = 0;
    memset(m->covered, 0, m->count * sizeof *m->covered);
    for (uint32_t i = 0; i < words; i++) m->order[i] = i;
    for (uint32_t i = 0; i < words && taken < budget; i++) {
        uint32_t k = i + rp_dice_below(dice, words - i), word = m->order[k];
        bool covered;
        m->order[k] = m->order[i];
        uint32_t n = draw_length(words - word < m->ngram ? words - word : m->ngram, dice);
        size_t size = measure(m, word, n, &covered);
        while (taken + size > budget && n > 1) size = measure(m, word, --n, &covered);
        if (taken + size > budget || covered) continue;
        for (uint32_t t = m->words[word]; t < m->words[word + n]; t++)
            if (is_candidate(m, m->ids[t])) m->covered[t] = true;
        taken += size;
    }
}

static int32_t mask(const rp_instance_maker *m, int32_t id, rp_dice *dice) {
    if (rp_dice_share(dice) < 0.8) return m->special.mask;
    return rp_dice_share(dice) < 0.5 ? id : (int32_t)rp_dice_below(dice, m->vocab_size);
}

/* Tokens to predict: the share of all, rounded to the nearest, of equals the even one, as Python does. */
static size_t budget_of(const rp_instance_maker *m) {
    double wanted = m->share * m->count;
    size_t budget = (size_t)wanted;
    double rest = wanted - (double)budget;
    if (rest > 0.5 || (rest == 0.5 && budget % 2)) budget++;
    if (budget < 1) budget = 1;
    return budget < m->max_predictions ? budget : m->max_predictions;
}

void rp_instance_make(rp_instance_maker *m, const int32_t *ids, const size_t *ends, size_t segments,
                      rp_dice *dice, rp_instance *out) {
    bool swapped = put_pair(m, ids, ends, segments, dice);
    uint32_t masked = 0;
    cover(m, budget_of(m), dice);
    for (uint32_t i = 0; i < m->count; i++) {
        if (!m->covered[i]) continue;
        m->positions[masked] = i;
        m->masked_ids[masked++] = m->ids[i];
        m->ids[i] = mask(m, m->ids[i], dice);
    }
    *out = (rp_instance){m->ids, m->types, m->count, masked, m->positions, m->masked_ids, swapped};
}
