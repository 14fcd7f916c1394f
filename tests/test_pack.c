/* SPIR-V that is carried in fewer bytes comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/pack.h"
#include "gpu/shader.h"

static uint32_t scratch[RP_SPIRV_SCRATCH / 4];

/* The largest numbers, long instructions, every kind of operand. */
static const uint32_t odd[] = {0x07230203,
                               0xffffffff,
                               7,
                               100,
                               0,
                               3u << 16 | 65535,
                               0xffffffff,
                               128,
                               1u << 16,
                               4u << 16 | 62,
                               0,
                               0xffffffff,
                               0x80000000,
                               5u << 16 | 128,
                               1,
                               0xffffffff,
                               0x7fffffff,
                               0,
                               2u << 16 | 248,
                               5,
                               12u << 16 | 79,
                               1,
                               2,
                               3,
                               4,
                               5,
                               6,
                               7,
                               8,
                               9,
                               10,
                               11,
                               3u << 16 | 71,
                               9,
                               0x80000001,
                               1u << 16 | 3};
enum { COUNT = sizeof odd / sizeof odd[0] };

/* Every module comes back as it was, however large its numbers; bytes too few or too many are found out. */
static void test_packing(void **state) {
    (void)state;
    static unsigned char packed[RP_SPIRV_PACKED_MAX(COUNT)];
    uint32_t again[COUNT + 1];
    assert_true(rp_spirv_whole(odd, sizeof odd));
    size_t size = rp_spirv_pack(odd, COUNT, packed, scratch);
    assert_true(size < sizeof odd);
    assert_true(rp_spirv_unpack(packed, size, again, COUNT, scratch));
    assert_memory_equal(odd, again, sizeof odd);
    for (size_t less = 0; less < size; less++)
        assert_false(rp_spirv_unpack(packed, less, again, COUNT, scratch));
    assert_false(rp_spirv_unpack(packed, size + 1, again, COUNT, scratch));
    assert_false(rp_spirv_unpack(packed, size, again, COUNT - 1, scratch));
    assert_false(rp_spirv_unpack(packed, size, again, COUNT + 1, scratch));
}

/* Numbers that nothing tells about, and the same one again and again: the room suffices. */
static void test_chance(void **state) {
    (void)state;
    enum { WORDS = 5000, LENGTH = 5 };
    uint32_t *words = calloc(WORDS, 4), *again = calloc(WORDS, 4);
    unsigned char *packed = malloc(RP_SPIRV_PACKED_MAX(WORDS));
    assert_true(words && again && packed);
    for (int kind = 0; kind < 3; kind++) {
        uint32_t x = 1;
        for (size_t i = 0; i < WORDS; i++) {
            x = x * 1664525u + 1013904223u;
            words[i] = kind == 0 ? 0 : kind == 1 ? UINT32_MAX : x;
            if (i % LENGTH == 0) words[i] = LENGTH << 16 | (kind == 2 ? x >> 16 : 128);
        }
        size_t size = rp_spirv_pack(words, WORDS, packed, scratch);
        assert_true(size <= (kind == 2 ? WORDS * 8 : WORDS / 4));
        memset(again, 0, WORDS * 4);
        assert_true(rp_spirv_unpack(packed, size, again, WORDS, scratch));
        assert_memory_equal(words, again, WORDS * 4);
    }
    free(words);
    free(again);
    free(packed);
}

/* Each shader of the pack comes back, packed again it gives the same bytes, and all take less than a
 * seventh of their bytes; damaged ones do no harm. */
static void test_pack(void **state) {
    (void)state;
    size_t bytes = 0, words = 0;
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        const rp_packed_shader *shader = &rp_shader_pack[i];
        uint32_t *module = malloc(shader->count * 4);
        unsigned char *packed = malloc(RP_SPIRV_PACKED_MAX(shader->count));
        assert_true(module && packed);
        assert_true(rp_spirv_unpack(shader->packed, shader->size, module, shader->count, scratch));
        assert_true(rp_spirv_whole(module, shader->count * 4));
        assert_int_equal(rp_spirv_pack(module, shader->count, packed, scratch), shader->size);
        assert_memory_equal(packed, shader->packed, shader->size);
        for (size_t at = 0; at < shader->size; at += 97) {
            packed[at] ^= (unsigned char)(1 + at % 255);
            rp_spirv_unpack(packed, shader->size, module, shader->count, scratch);
            packed[at] = shader->packed[at];
        }
        bytes += shader->size;
        words += shader->count;
        free(module);
        free(packed);
    }
    assert_true(bytes < words * 4 / 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_packing), cmocka_unit_test(test_chance),
                                       cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
