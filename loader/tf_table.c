#include "loader/tf_table.h"

#include <stdio.h>
#include <string.h>

#include "loader/crc32c.h"
#include "loader/json.h"

/* A footer holds where two blocks are, padding and the magic number. A block is followed by its compression
 * and its checksum. */
enum { FOOTER_BYTES = 48, MAGIC_BYTES = 8, TRAILER_BYTES = 5, WORD_BYTES = 4 };
enum { COMPRESSION_NONE = 0, COMPRESSION_SNAPPY = 1 };

static const unsigned char magic[MAGIC_BYTES] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};

typedef struct walk {
    const char *path; /* short enough for a message */
    const unsigned char *bytes;
    size_t size;
    uint64_t behind; /* where the last block ended: blocks are read once, in the order of the file */
    rp_tf_visit *visit;
    void *context;
    rp_error *err;
    char key[RP_TF_KEY_BYTES + 1]; /* of the last entry of the data */
    size_t key_size;
    bool any;
} walk;

/* ---- numbers ---- */

bool rp_tf_varint(rp_tf_span *span, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && span->at < span->end; shift += 7) {
        unsigned char byte = *span->at++;
        if (shift == 63 && byte > 1) return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        *out = value;
        return true;
    }
    return false;
}

static uint32_t read_word(const unsigned char *at) {
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t rp_tf_unmask(uint32_t masked) {
    uint32_t turned = masked - 0xa282ead8u;
    return turned >> 17 | turned << 15;
}

/* ---- blocks ---- */

static rp_status fail(const walk *w, const char *what) {
    return rp_fail(w->err, RP_ERROR_FORMAT, "%s: index of the checkpoint: %s; fetch the file again", w->path,
                   what);
}

static rp_status fail_checksum(const walk *w, uint64_t offset) {
    return rp_fail(w->err, RP_ERROR_FORMAT,
                   "%s: index of the checkpoint: the block at byte %llu is damaged, as its checksum says; "
                   "fetch the file again",
                   w->path, (unsigned long long)offset);
}

/* The entries of the block at `offset`, without the list of restarts behind them. */
static rp_status open_block(const walk *w, uint64_t offset, uint64_t size, rp_tf_span *out) {
    uint64_t room = w->size - FOOTER_BYTES;
    if (offset > room || size > room - offset || room - offset - size < TRAILER_BYTES || size < WORD_BYTES)
        return fail(w, "a block does not lie in the file");
    const unsigned char *at = w->bytes + offset, *end = at + size;
    if (*end == COMPRESSION_SNAPPY)
        return rp_fail(w->err, RP_ERROR_UNSUPPORTED,
                       "%s: index of the checkpoint: it is compressed with snappy, which is not supported; "
                       "save the checkpoint again with TensorFlow",
                       w->path);
    if (*end != COMPRESSION_NONE) return fail(w, "a block has a compression that does not exist");
    if (rp_crc32c(at, (size_t)size + 1) != rp_tf_unmask(read_word(end + 1))) return fail_checksum(w, offset);
    uint64_t restarts = read_word(end - WORD_BYTES);
    if (restarts < 1 || restarts > size / WORD_BYTES - 1)
        return fail(w, "a block has more restarts than it can hold");
    *out = (rp_tf_span){at, end - WORD_BYTES * (restarts + 1)};
    uint64_t entries = (uint64_t)(out->end - out->at);
    for (const unsigned char *r = out->end; r < end - WORD_BYTES; r += WORD_BYTES)
        if (read_word(r) > entries) return fail(w, "a restart lies outside of its block");
    return RP_OK;
}

typedef struct entry {
    uint64_t shared, unshared;
    rp_tf_span tail, value; /* what follows the shared bytes of the key; the value */
} entry;

static bool read_entry(rp_tf_span *block, entry *out) {
    uint64_t size = 0;
    if (!rp_tf_varint(block, &out->shared) || !rp_tf_varint(block, &out->unshared) ||
        !rp_tf_varint(block, &size))
        return false;
    uint64_t left = (uint64_t)(block->end - block->at);
    if (out->unshared > left || size > left - out->unshared) return false;
    out->tail = (rp_tf_span){block->at, block->at + out->unshared};
    out->value = (rp_tf_span){out->tail.end, out->tail.end + size};
    block->at = out->value.end;
    return true;
}

/* Set the key of the walk to that of `e`, which must come behind the one before it. */
static rp_status take_key(walk *w, const entry *e, bool first) {
    char last[RP_TF_KEY_BYTES];
    size_t last_size = w->key_size;
    memcpy(last, w->key, last_size);
    if (e->shared > (first ? 0 : w->key_size)) return fail(w, "a name shares more bytes than there are");
    if (e->unshared > RP_TF_KEY_BYTES - e->shared)
        return fail(w, "a name is longer than that of any real variable");
    memcpy(w->key + e->shared, e->tail.at, (size_t)e->unshared);
    w->key_size = (size_t)(e->shared + e->unshared);
    w->key[w->key_size] = '\0';
    size_t common = last_size < w->key_size ? last_size : w->key_size;
    int order = memcmp(last, w->key, common);
    if (w->any && (order > 0 || (order == 0 && last_size >= w->key_size)))
        return fail(w, "the names are not in order");
    w->any = true;
    return RP_OK;
}

static rp_status walk_block(walk *w, uint64_t offset, uint64_t size) {
    rp_tf_span block;
    entry e;
    if (offset < w->behind) return fail(w, "its blocks overlap");
    rp_status status = open_block(w, offset, size, &block);
    if (status) return status;
    w->behind = offset + size;
    for (bool first = true; block.at < block.end; first = false) {
        if (!read_entry(&block, &e)) return fail(w, "an entry does not lie in its block");
        status = take_key(w, &e, first);
        if (!status) status = w->visit(w->context, w->key, w->key_size, e.value, w->err);
        if (status) return status;
    }
    return RP_OK;
}

/* The block of blocks: its keys only separate them, its values say where they are. */
static rp_status walk_index(walk *w, uint64_t offset, uint64_t size) {
    rp_tf_span index;
    entry e;
    rp_status status = open_block(w, offset, size, &index);
    while (!status && index.at < index.end) {
        uint64_t at, bytes;
        if (!read_entry(&index, &e) || !rp_tf_varint(&e.value, &at) || !rp_tf_varint(&e.value, &bytes))
            return fail(w, "the list of its blocks is cut");
        status = walk_block(w, at, bytes);
    }
    return status;
}

rp_status rp_tf_table_walk(const char *path, const unsigned char *bytes, size_t size, rp_tf_visit *visit,
                           void *context, rp_error *err) {
    walk w = {.path = rp_path_shown(path),
              .bytes = bytes,
              .size = size,
              .visit = visit,
              .context = context,
              .err = err};
    static const char pointer[] = "version https://git-lfs";
    uint64_t meta, meta_size, offset, index_size;
    if (size >= sizeof pointer && !memcmp(bytes, pointer, sizeof pointer - 1))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: a Git LFS pointer, not the index of a checkpoint; run `git lfs pull`", w.path);
    if (size < FOOTER_BYTES || memcmp(bytes + size - MAGIC_BYTES, magic, MAGIC_BYTES))
        return fail(&w, "the file does not end as one does; it is cut, or something else");
    rp_tf_span footer = {bytes + size - FOOTER_BYTES, bytes + size - MAGIC_BYTES};
    if (!rp_tf_varint(&footer, &meta) || !rp_tf_varint(&footer, &meta_size) ||
        !rp_tf_varint(&footer, &offset) || !rp_tf_varint(&footer, &index_size))
        return fail(&w, "the places of its blocks cannot be read");
    return walk_index(&w, offset, index_size);
}
