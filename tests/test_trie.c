/* Tries: what they find is what a search of all keys finds, whatever the keys, and takes little room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/trie.h"

enum { MOST = 400, LONGEST = 6 };

static uint64_t state_of_chance;

static uint32_t chance(uint32_t below) {
    state_of_chance = state_of_chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state_of_chance >> 33) % below);
}

static int32_t find(const rp_trie *trie, const char *text, size_t size) {
    uint32_t node = RP_TRIE_ROOT;
    for (size_t i = 0; i < size; i++)
        if (!rp_trie_step(trie, &node, (unsigned char)text[i])) return -1;
    return rp_trie_value(trie, node);
}

static int32_t search(const rp_trie_key *keys, size_t count, const char *text, size_t size, bool last) {
    int32_t found = -1;
    for (size_t i = 0; i < count && (last || found < 0); i++)
        if (keys[i].size == size && memcmp(keys[i].text, text, size) == 0) found = keys[i].value;
    return found;
}

static void test_random_keys(void **state) {
    static char texts[MOST][LONGEST];
    static rp_trie_key keys[MOST];
    (void)state;
    for (uint32_t seed = 0; seed < 200; seed++) {
        state_of_chance = seed;
        const uint32_t letters = 1 + chance(seed % 2 ? 256 : 4), count = chance(MOST);
        for (uint32_t i = 0; i < count; i++) {
            for (size_t k = 0; k < LONGEST; k++) texts[i][k] = (char)(chance(letters) * 37);
            keys[i] = (rp_trie_key){texts[i], 1 + chance(LONGEST), (int32_t)i};
        }
        rp_trie trie;
        assert_true(rp_trie_build(&trie, keys, count, seed % 3));
        for (uint32_t i = 0; i < 3 * count; i++) {
            char text[LONGEST];
            for (size_t k = 0; k < LONGEST; k++)
                text[k] = i < count ? texts[i][k] : (char)(chance(letters) * 37);
            for (size_t size = 1; size <= LONGEST; size++)
                assert_int_equal(find(&trie, text, size), search(keys, count, text, size, seed % 3));
        }
        rp_trie_finish(&trie);
        assert_null(trie.nodes);
    }
}

static void test_nothing(void **state) {
    (void)state;
    rp_trie trie;
    assert_true(rp_trie_build(&trie, NULL, 0, false));
    for (int byte = 0; byte < 256; byte++) assert_int_equal(find(&trie, &(char){(char)byte}, 1), -1);
    rp_trie_finish(&trie);
    rp_trie_finish(&trie);
}

/* Nodes with several children whose bytes are far apart, in many ways. */
static void test_room(void **state) {
    enum { COUNT = 60000, SIZE = 4 };
    (void)state;
    char *texts = malloc(COUNT * SIZE);
    rp_trie_key *keys = rp_new_array(rp_trie_key, COUNT);
    assert_non_null(texts);
    assert_non_null(keys);
    for (int kind = 0; kind < 4; kind++) {
        state_of_chance = (uint64_t)kind;
        for (uint32_t i = 0; i < COUNT; i++) {
            const uint32_t node = i / 2, odd = i % 2;
            const uint32_t gap = kind == 0 ? 255 : kind == 1 ? 1 + node % 255 : kind == 2 ? 128 : chance(256);
            unsigned char *text = (unsigned char *)texts + (size_t)i * SIZE;
            text[0] = (unsigned char)(node >> 8);
            text[1] = (unsigned char)node;
            text[2] = (unsigned char)(odd * gap);
            text[3] = (unsigned char)(kind == 3 ? chance(256) : 7 * odd);
            keys[i] = (rp_trie_key){(const char *)text, SIZE, (int32_t)i};
        }
        rp_trie trie;
        assert_true(rp_trie_build(&trie, keys, COUNT, true));
        print_message("%zu places for %d keys\n", trie.count, COUNT);
        assert_true(trie.count < 8 * COUNT);
        for (uint32_t i = 0; i < COUNT; i++)
            assert_int_equal(find(&trie, keys[i].text, SIZE),
                             i % 2 == 0 && i + 1 < COUNT && memcmp(keys[i].text, keys[i + 1].text, SIZE) == 0
                                 ? (int32_t)i + 1
                                 : (int32_t)i);
        rp_trie_finish(&trie);
    }
    free(keys);
    free(texts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_keys),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
