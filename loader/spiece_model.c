#include "loader/spiece.h"

#include "base/alloc.h"
#include "loader/unicode.h"

#include <inttypes.h>
#include <math.h>

/* Encoding trusts what it is given, so everything that a walk of the tables depends on is checked here. */

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
    rp_piece piece = {.kind = RP_PIECE_NORMAL};
    const size_t index = out->piece_count;
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
            memcpy(&piece.score, &bits, sizeof piece.score);
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
    if (!isfinite(piece.score))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: the score is not a finite number", path, index);
    if (piece.kind == RP_PIECE_UNKNOWN && out->unknown >= 0)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: of the type UNKNOWN, as piece %d is already",
                       path, index, (int)out->unknown);
    if (piece.kind == RP_PIECE_UNKNOWN) out->unknown = (int32_t)index;
    out->pieces[out->piece_count++] = piece;
    return RP_OK;
}

/* The pieces of the bytes: all of them where the file uses them, else none. */
static rp_status check_bytes(const char *path, const rp_spiece_file *file, rp_error *err) {
    size_t count = 0;
    bool seen[256] = {false};
    for (size_t i = 0; i < file->piece_count; i++) {
        const rp_piece *piece = &file->pieces[i];
        if (piece->kind != RP_PIECE_BYTE) continue;
        int byte = rp_byte_of_piece(piece->text, piece->size);
        if (byte < 0 || seen[byte] || !file->byte_fallback)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: piece %zu: of the type BYTE, but %s", path, i,
                           byte < 0     ? "it is not <0x00> to <0xFF>"
                           : seen[byte] ? "an earlier one is the same"
                                        : "trainer_spec.byte_fallback is not set");
        seen[byte] = true;
        count++;
    }
    if (file->byte_fallback && count != 256)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: trainer_spec.byte_fallback is set, but %zu of 256 pieces are of the type BYTE",
                       path, count);
    return RP_OK;
}

static rp_status read_trainer(const char *path, const field *f, rp_spiece_file *out, rp_error *err) {
    static const char *const types[] = {"", "unigram", "BPE", "word", "char"};
    if (f->number == 3 && f->wire == 0 && f->value != 1)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: trainer_spec.model_type: %" PRIu64 " (%s); only unigram models (1) can be used",
                       path, f->value, f->value < RP_COUNT(types) ? types[f->value] : "unknown");
    if (f->number == 24 && f->wire == 0) out->space_as_suffix = f->value;
    if (f->number == 35 && f->wire == 0) out->byte_fallback = f->value;
    return RP_OK;
}

static rp_status read_normalizer(const char *path, const field *f, rp_normalizer_spec *out, rp_error *err) {
    if (f->number == 2 && f->wire == 2)
        return rp_charsmap_read(path, "normalizer_spec.precompiled_charsmap", f->bytes, f->size,
                                &out->charsmap, err);
    if (f->number == 3 && f->wire == 0) out->add_dummy_prefix = f->value;
    if (f->number == 4 && f->wire == 0) out->remove_extra_whitespaces = f->value;
    if (f->number == 5 && f->wire == 0) out->escape_whitespaces = f->value;
    return RP_OK;
}

/* Walk the fields of a sub-message. Given again, it adds to what it said before. */
static rp_status read_spec(const char *path, const field *message, rp_spiece_file *out, rp_error *err) {
    const bool trainer = message->number == 2;
    reader in = {message->bytes, message->size, 0};
    rp_status status = RP_OK;
    while (!status && in.at < in.size) {
        field f;
        if (!read_field(&in, &f))
            status = rp_fail(err, RP_ERROR_FORMAT, "%s: %s: damaged; take a fresh copy of the file", path,
                             trainer ? "trainer_spec" : "normalizer_spec");
        else
            status =
                trainer ? read_trainer(path, &f, out, err) : read_normalizer(path, &f, &out->normalizer, err);
    }
    return status;
}

rp_status rp_spiece_read(const char *path, const void *data, size_t size, rp_spiece_file *out,
                         rp_error *err) {
    *out = (rp_spiece_file){.unknown = -1, .normalizer = {true, true, true, {0}}};
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
        } else if (f.number == 2 || f.number == 3)
            status = read_spec(path, &f, out, err);
    }
    if (!status && out->piece_count == 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: pieces: none; take a fresh copy of the file", path);
    if (!status && out->unknown < 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: pieces: none is of the type UNKNOWN", path);
    if (!status) status = check_bytes(path, out, err);
    if (status) {
        free(out->pieces);
        *out = (rp_spiece_file){0};
    }
    return status;
}
