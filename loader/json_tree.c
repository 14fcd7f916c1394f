#include "loader/json_tree.h"

#include <stdlib.h>
#include <string.h>

enum { FEW_MEMBERS = 16 };

/* Where the members of an object are, found by the hash of their key. It stands behind them. */
typedef struct key_index {
    uint64_t seed;
    uint32_t slots[]; /* the number of a member, from 1; 0: free */
} key_index;

static size_t slot_count(uint32_t count) {
    size_t slots = 4 * FEW_MEMBERS;
    while (slots / 2 < count) slots *= 2;
    return slots;
}

size_t rp_json_index_bytes(uint32_t count) {
    return count <= FEW_MEMBERS ? 0 : sizeof(key_index) + slot_count(count) * sizeof(uint32_t);
}

static key_index *index_of(const rp_member *members, uint32_t count) {
    return (key_index *)(members + count);
}

void rp_json_index_begin(rp_member *members, uint32_t count, uint64_t seed) {
    if (count <= FEW_MEMBERS) return;
    key_index *made = index_of(members, count);
    made->seed = seed;
    memset(made->slots, 0, slot_count(count) * sizeof *made->slots);
}

static uint32_t hash_of(uint64_t seed, const char *key, size_t size) {
    uint64_t hash = seed;
    for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)key[i]) * 0x100000001b3u;
    hash = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15u; /* the low bits depend on few of a short key */
    return (uint32_t)(hash >> 32);
}

static bool is_key(const rp_member *member, const char *key, size_t size) {
    return member->key_size == size && memcmp(member->key, key, size) == 0;
}

/* The slot that says where the key is, or the free one where it would be said. */
static uint32_t *find_slot(const rp_member *members, uint32_t count, uint32_t hash, const char *key,
                           size_t size) {
    uint32_t *slots = index_of(members, count)->slots;
    size_t mask = slot_count(count) - 1, at = hash & mask;
    for (; slots[at]; at = (at + 1) & mask) {
        const rp_member *member = &members[slots[at] - 1];
        if (member->hash == hash && is_key(member, key, size)) break;
    }
    return &slots[at];
}

bool rp_json_index_add(rp_member *members, uint32_t count, uint32_t at) {
    rp_member *member = &members[at];
    member->hash = 0;
    if (count <= FEW_MEMBERS) {
        for (uint32_t i = 0; i < at; i++)
            if (is_key(&members[i], member->key, member->key_size)) return false;
        return true;
    }
    member->hash = hash_of(index_of(members, count)->seed, member->key, member->key_size);
    uint32_t *slot = find_slot(members, count, member->hash, member->key, member->key_size);
    if (*slot) return false;
    *slot = at + 1;
    return true;
}

const rp_json *rp_json_get(const rp_json *object, const char *key) {
    uint32_t count = rp_json_count(object, RP_JSON_OBJECT);
    size_t size = strlen(key);
    if (count > FEW_MEMBERS) {
        const rp_member *members = object->members;
        uint32_t hash = hash_of(index_of(members, count)->seed, key, size);
        uint32_t found = *find_slot(members, count, hash, key, size);
        return found ? &members[found - 1].value : NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (is_key(&object->members[i], key, size)) return &object->members[i].value;
    return NULL;
}

void rp_json_finish(rp_json_document *document) {
    free(document->memory);
    *document = (rp_json_document){0};
}

const char *rp_json_string(const rp_json *value) {
    return rp_json_is(value, RP_JSON_STRING) ? value->text : NULL;
}

bool rp_json_number(const rp_json *value, double *out) {
    bool integer = rp_json_is(value, RP_JSON_INTEGER), real = rp_json_is(value, RP_JSON_REAL);
    *out = integer ? (double)value->integer : real ? value->real : 0;
    return integer || real;
}

const char *rp_json_kind(const rp_json *value) {
    static const char *const kinds[] = {
        [RP_JSON_NULL] = "null",          [RP_JSON_FALSE] = "false",     [RP_JSON_TRUE] = "true",
        [RP_JSON_INTEGER] = "an integer", [RP_JSON_REAL] = "a fraction", [RP_JSON_STRING] = "a string",
        [RP_JSON_ARRAY] = "a list",       [RP_JSON_OBJECT] = "an object"};
    return kinds[value ? value->type : RP_JSON_NULL];
}
