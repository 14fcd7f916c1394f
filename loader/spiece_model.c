#include "loader/spiece.h"

#include "base/alloc.h"
#include "loader/unicode.h"

#include <inttypes.h>
#include <math.h>

/* libsentencepiece trusts what it loads, so everything that a walk of its tables depends on is checked here.
 */

typedef struct reader {
    const unsigned char *data;
    size_t size, at;
} reader;

typedef struct field {
    uint32_t number;
    unsigned wire;              /* 0 varint, 1 eight bytes, 2 bytes, 5 four bytes */
    uint64_t value;             /* wire 0 and 5 */
    const unsigned char *bytes; /* wire 2 */
    size_t size;
} field;

/* Of a character map. That of NFKC, which nearly all models have, takes 262,092 visits, and has keys of up to
 * 10 bytes and values of up to 33. Any number of entries may share a long value, and any number of characters
 * of a text bring it: a small file could take minutes to open, and a short text all memory. */
enum {
    MAX_VISITS = 1 << 21, /* while walking all of it */
    MAX_KEY = 255,
    MAX_VALUE = 128,
};

static bool read_varint(reader *in, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->at < in->size; shift += 7) {
        unsigned char byte = in->data[in->at++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The next field of a protocol buffer message; false at a damaged one. */
static bool read_field(reader *in, field *out) {
    uint64_t tag, length;
    *out = (field){0};
    if (!read_varint(in, &tag) || tag >> 3 == 0 || tag >> 32) return false;
    out->number = (uint32_t)(tag >> 3);
    out->wire = tag & 7;
    size_t left = in->size - in->at;
    switch (out->wire) {
    case 0:
        return read_varint(in, &out->value);
    case 1:
        length = 8;
        break;
    case 5:
        length = 4;
        break;
    case 2:
        if (!read_varint(in, &length)) return false;
        left = in->size - in->at;
        break;
    default:
        return false;
    }
    if (length > left) return false;
    out->bytes = in->data + in->at;
    out->size = (size_t)length;
    if (out->wire == 5)
        for (size_t i = 0; i < 4; i++) out->value |= (uint64_t)out->bytes[i] << 8 * i;
    in->at += out->size;
    return true;
}

static rp_status read_piece(const char *path, const field *message, rp_spiece_file *out, rp_error *err) {
    reader in = {message->bytes, message->size, 0};
    rp_piece piece = {NULL, 0, RP_PIECE_NORMAL};
    const size_t index = out->piece_count;
    float score = 0;
    while (in.at < in.size) {
        field f;
        if (!read_field(&in, &f))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: damaged; take a fresh copy of the file",
                           path, index);
        if (f.number == 1 && f.wire == 2) {
            piece.text = (const char *)f.bytes;
            piece.size = f.size;
        } else if (f.number == 2 && f.wire == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&score, &bits, sizeof score);
        } else if (f.number == 3 && f.wire == 0) {
            if (f.value < RP_PIECE_NORMAL || f.value > RP_PIECE_BYTE)
                return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: unknown type %" PRIu64, path, index,
                               f.value);
            piece.kind = (rp_piece_kind)f.value;
        }
    }
    if (!piece.size || memchr(piece.text, 0, piece.size) ||
        rp_utf8_check(piece.text, piece.size) != piece.size)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: piece %zu: must be UTF-8 text of at least one byte, without NUL bytes", path,
                       index);
    if (!isfinite(score))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: the score is not a finite number", path, index);
    if (piece.kind == RP_PIECE_UNKNOWN) out->unknown = (int32_t)index;
    out->pieces[out->piece_count++] = piece;
    return RP_OK;
}

static uint32_t unit_at(const rp_charsmap *map, size_t i) {
    const unsigned char *p = map->units + 4 * i;
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static const uint32_t LEAF = 1u << 31;

static uint32_t unit_offset(uint32_t unit) {
    return (unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* Every step of a walk from any node stays inside the array, every value inside the block, and none is long.
 */
static bool check_trie(const rp_charsmap *map) {
    for (size_t i = 0; i < map->unit_count; i++) {
        uint32_t unit = unit_at(map, i);
        if (i > 0 && (unit & LEAF)) continue; /* a value; the labels of nodes have this bit clear */
        size_t base = i ^ unit_offset(unit);
        if ((base | 255) >= map->unit_count) return false;
        if (!(unit >> 8 & 1)) continue;
        size_t value = unit_at(map, base) & ~LEAF;
        if (value >= map->block_size || ((unsigned char)map->block[value] & 0xc0) == 0x80) return false;
        if (strnlen(map->block + value, MAX_VALUE + 1) > MAX_VALUE) return false; /* the block ends in NUL */
    }
    return true;
}

static rp_status read_charsmap(const char *path, const field *f, rp_charsmap *out, rp_error *err) {
    if (f->size == 0) return RP_OK;
    uint32_t trie = 0;
    for (size_t i = 0; i < 4 && f->size > 4; i++) trie |= (uint32_t)f->bytes[i] << 8 * i;
    if (trie == 0 || trie % 4 || trie > f->size - 4) goto damaged;
    out->units = f->bytes + 4;
    out->unit_count = trie / 4;
    out->block = (const char *)f->bytes + 4 + trie;
    out->block_size = f->size - 4 - trie;
    if (out->block_size == 0 || out->block[out->block_size - 1] != 0) goto damaged;
    if (rp_utf8_check(out->block, out->block_size) != out->block_size || !check_trie(out)) goto damaged;
    return RP_OK;
damaged:
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: normalizer_spec.precompiled_charsmap: damaged; take a fresh copy of the file", path);
}

/* Walk the fields of a sub-message that this file looks into; `visit` sees each. */
static rp_status read_spec(const char *path, const char *name, const field *message, rp_spiece_file *out,
                           rp_error *err) {
    reader in = {message->bytes, message->size, 0};
    bool normalizer = strcmp(name, "normalizer_spec") == 0;
    while (in.at < in.size) {
        field f;
        if (!read_field(&in, &f))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: damaged; take a fresh copy of the file", path,
                           name);
        if (normalizer && f.number == 2 && f.wire == 2) {
            out->charsmap = (rp_charsmap){0};
            rp_status status = read_charsmap(path, &f, &out->charsmap, err);
            if (status) return status;
        }
        if (!normalizer && f.number == 3 && f.wire == 0 && f.value != 1 && f.value != 2)
            return rp_fail(err, RP_ERROR_UNSUPPORTED,
                           "%s: trainer_spec.model_type: %" PRIu64
                           "; only unigram (1) and BPE (2) models can be used",
                           path, f.value);
    }
    return RP_OK;
}

rp_status rp_spiece_read(const char *path, const void *data, size_t size, rp_spiece_file *out,
                         rp_error *err) {
    *out = (rp_spiece_file){.unknown = -1};
    size_t capacity = 0;
    rp_status status = RP_OK;
    reader in = {data, size, 0};
    while (!status && in.at < in.size) {
        size_t at = in.at;
        field f;
        if (!read_field(&in, &f))
            status = rp_fail(err, RP_ERROR_FORMAT,
                             "%s: byte %zu: not a SentencePiece model, or cut; take a fresh copy of the file",
                             path, at);
        else if (f.wire != 2)
            continue;
        else if (f.number == 1) {
            if (out->piece_count >= INT32_MAX / 2 ||
                !rp_grow((void **)&out->pieces, &capacity, out->piece_count + 1, sizeof *out->pieces))
                status = rp_fail_memory(err, path, out->piece_count * sizeof *out->pieces);
            else
                status = read_piece(path, &f, out, err);
        } else if (f.number == 2)
            status = read_spec(path, "trainer_spec", &f, out, err);
        else if (f.number == 3)
            status = read_spec(path, "normalizer_spec", &f, out, err);
    }
    if (!status && out->piece_count == 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: pieces: none; take a fresh copy of the file", path);
    if (!status && out->unknown < 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: pieces: none is of the type UNKNOWN", path);
    if (status) {
        free(out->pieces);
        *out = (rp_spiece_file){0};
    }
    return status;
}

const char *rp_charsmap_find(const rp_charsmap *map, const char *text, size_t size) {
    if (!map->units) return NULL;
    size_t at = unit_offset(unit_at(map, 0));
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        at ^= byte;
        uint32_t unit = unit_at(map, at);
        if ((unit & (LEAF | 0xff)) != byte) return NULL;
        at ^= unit_offset(unit);
        if (unit >> 8 & 1) return map->block + (unit_at(map, at) & ~LEAF);
    }
    return NULL;
}

/* A walk over all entries. */
typedef struct visitor {
    const rp_charsmap *map;
    rp_charsmap_visit *visit;
    void *context;
    size_t left;      /* nodes that it may still enter: a damaged map can lead in circles */
    uint8_t *parents; /* bits: bases that some node stands on; NULL: not known */
    char key[MAX_KEY];
} visitor;

/* Most nodes end an entry and have nothing below them: asking each for its 200 children would take nearly all
 * of a walk. */
static void find_parents(visitor *v) {
    v->parents = rp_new_array(uint8_t, (v->map->unit_count | 255) / 8 + 1);
    for (size_t i = 1; v->parents && i < v->map->unit_count; i++) {
        uint32_t unit = unit_at(v->map, i);
        size_t base = i ^ (unit & 0xff);
        if (!(unit & LEAF)) v->parents[base / 8] |= (uint8_t)(1u << base % 8);
    }
}

/* `rest`: continuation bytes that the character begun in the key still needs. */
static bool visit_below(visitor *v, size_t base, size_t depth, unsigned rest) {
    if (v->parents && !(v->parents[base / 8] >> base % 8 & 1)) return true;
    for (unsigned byte = rest ? 0x80 : 1; byte < (rest ? 0xc0 : 0xf5); byte++) {
        uint32_t unit = unit_at(v->map, base ^ byte);
        if ((unit & (LEAF | 0xff)) != byte) continue;
        if (v->left == 0 || depth == sizeof v->key) return false;
        v->left--;
        v->key[depth] = (char)byte;
        size_t next = base ^ byte ^ unit_offset(unit);
        unsigned need = rest ? rest - 1 : byte < 0xc0 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        if (unit >> 8 & 1)
            v->visit(v->context, v->key, depth + 1, v->map->block + (unit_at(v->map, next) & ~LEAF));
        if (!visit_below(v, next, depth + 1, need)) return false;
    }
    return true;
}

bool rp_charsmap_walk(const rp_charsmap *map, rp_charsmap_visit *visit, void *context) {
    if (!map->units) return true;
    visitor v = {.map = map, .visit = visit, .context = context, .left = MAX_VISITS};
    find_parents(&v);
    bool whole = visit_below(&v, unit_offset(unit_at(map, 0)), 0, 0);
    free(v.parents);
    return whole;
}
