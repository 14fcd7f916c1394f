#include "loader/vocab.h"

#include <time.h>

uint32_t rp_vocab_hash(uint32_t hash, const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)text[i]) * 0x01000193u;
    return hash;
}

/* FNV's low bits are weak on short keys, so mix before choosing a slot. */
static size_t slot_of(const rp_vocab *vocab, uint32_t hash) {
    hash ^= hash >> 15;
    hash *= 0x2c1b3c6du;
    return (hash ^ hash >> 13) & (vocab->slot_count - 1);
}

static bool entry_is(const rp_vocab_entry *e, uint32_t hash, const char *prefix, size_t prefix_size,
                     const char *text, size_t size) {
    return e->hash == hash && e->size == prefix_size + size && memcmp(e->text, prefix, prefix_size) == 0 &&
           memcmp(e->text + prefix_size, text, size) == 0;
}

/* What nobody who writes a file can know: when and where it is read. */
static uint32_t make_seed(const rp_vocab *vocab) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t parts[] = {(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, (uintptr_t)vocab};
    return rp_vocab_hash(0x811c9dc5u, (const char *)parts, sizeof parts);
}

static bool rehash(rp_vocab *vocab) {
    size_t count = vocab->slot_count ? vocab->slot_count * 2 : 1024;
    rp_vocab_slot *old = vocab->slots, *slots = rp_new_array(rp_vocab_slot, count);
    size_t old_count = vocab->slot_count;
    if (!slots) return false;
    memset(slots, 0xff, count * sizeof *slots);
    if (!old_count) vocab->seed = make_seed(vocab);
    vocab->slots = slots;
    vocab->slot_count = count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].id < 0) continue;
        size_t at = slot_of(vocab, old[i].hash);
        while (slots[at].id >= 0) at = (at + 1) & (count - 1);
        slots[at] = old[i];
    }
    free(old);
    return true;
}

bool rp_vocab_set(rp_vocab *vocab, int32_t id, const char *text, size_t size, bool replace) {
    if (id < 0 || size > UINT32_MAX / 2) return false;
    if (vocab->used * 2 >= vocab->slot_count && !rehash(vocab)) return false;
    size_t needed = (size_t)id + 1;
    if (needed > vocab->count) {
        if (!rp_grow((void **)&vocab->entries, &vocab->capacity, needed, sizeof *vocab->entries))
            return false;
        memset(vocab->entries + vocab->count, 0, (needed - vocab->count) * sizeof *vocab->entries);
        vocab->count = needed;
    }
    const char *copy = rp_arena_copy(&vocab->arena, text, size);
    if (!copy) return false;
    uint32_t hash = rp_vocab_hash(vocab->seed, text, size);
    size_t at = slot_of(vocab, hash);
    for (; vocab->slots[at].id >= 0; at = (at + 1) & (vocab->slot_count - 1))
        if (vocab->slots[at].hash == hash && vocab->slots[at].id != id &&
            entry_is(&vocab->entries[vocab->slots[at].id], hash, "", 0, text, size))
            break;
    bool known = vocab->slots[at].id >= 0;
    /* An id that is renamed keeps its old slot: the entry no longer compares equal there, so it is never
     * found. */
    vocab->entries[id] = (rp_vocab_entry){copy, (uint32_t)size, hash};
    if (!known || replace) vocab->slots[at] = (rp_vocab_slot){hash, id};
    vocab->used += !known;
    if (size > vocab->longest) vocab->longest = (uint32_t)size;
    return true;
}

int32_t rp_vocab_find_hashed(const rp_vocab *vocab, uint32_t hash, const char *prefix, size_t prefix_size,
                             const char *text, size_t size) {
    if (!vocab->slot_count) return -1;
    for (size_t at = slot_of(vocab, hash); vocab->slots[at].id >= 0;
         at = (at + 1) & (vocab->slot_count - 1)) {
        const rp_vocab_slot *slot = &vocab->slots[at];
        if (slot->hash == hash && entry_is(&vocab->entries[slot->id], hash, prefix, prefix_size, text, size))
            return slot->id;
    }
    return -1;
}

int32_t rp_vocab_find(const rp_vocab *vocab, const char *text, size_t size) {
    return rp_vocab_find_hashed(vocab, rp_vocab_hash(vocab->seed, text, size), "", 0, text, size);
}

void rp_vocab_finish(rp_vocab *vocab) {
    free(vocab->entries);
    free(vocab->slots);
    rp_arena_finish(&vocab->arena);
    *vocab = (rp_vocab){0};
}
