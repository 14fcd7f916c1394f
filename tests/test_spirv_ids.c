/* The build numbers the ids of shaders anew, and what it does not know stays as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/shader.h"
#include "tools/spirv_ids.h"

#define OP(length, opcode) ((length) << 16 | (opcode))

enum { BOUND = 3, DECORATED = 17 /* places of the words below */ };

/* A shader that is called main and loads through an alignment; ids 90, 7, ... are in no order. */
static const uint32_t module[] = {
    0x07230203, 0x10300, 0,  100,        0,      /* header */
    OP(2, 17),  1,                               /* Capability Shader */
    OP(3, 14),  0,       1,                      /* MemoryModel */
    OP(6, 15),  5,       90, 0x6e69616d, 0,  40, /* EntryPoint main, interface 40 */
    OP(4, 71),  40,      33, 90,                 /* Decorate 40: the number 90 is no id */
    OP(2, 19),  7,                               /* TypeVoid */
    OP(3, 33),  5,       7,                      /* TypeFunction */
    OP(4, 21),  60,      32, 0,                  /* TypeInt */
    OP(4, 32),  61,      2,  60,                 /* TypePointer */
    OP(4, 59),  61,      40, 2,                  /* Variable */
    OP(5, 54),  7,       90, 0,          5,      /* Function */
    OP(2, 248), 99,                              /* Label */
    OP(6, 61),  60,      30, 40,         2,  16, /* Load, aligned to 16 */
    OP(3, 247), 80,      0,                      /* SelectionMerge */
    OP(5, 251), 30,      81, 30,         80,     /* Switch: a literal 30, then a label */
    OP(2, 248), 81,                              /* Label */
    OP(2, 249), 80,                              /* Branch */
    OP(2, 248), 80,                              /* Label */
    OP(1, 253),                                  /* Return */
    OP(1, 56),                                   /* FunctionEnd */
};
enum { COUNT = sizeof module / sizeof module[0] };

/* Types and variables have the first numbers, the rest follow as they are named; literals stay. */
static void test_order(void **state) {
    (void)state;
    static const uint32_t ordered[COUNT] = {
        0x07230203, 0x10300,   0,  11,         0,     /* ids 1 to 10 */
        OP(2, 17),  1,                                /**/
        OP(3, 14),  0,         1,                     /**/
        OP(6, 15),  5,         6,  0x6e69616d, 0, 5,  /**/
        OP(4, 71),  5,         33, 90,                /**/
        OP(2, 19),  1,                                /**/
        OP(3, 33),  2,         1,                     /**/
        OP(4, 21),  3,         32, 0,                 /**/
        OP(4, 32),  4,         2,  3,                 /**/
        OP(4, 59),  4,         5,  2,                 /**/
        OP(5, 54),  1,         6,  0,          2,     /**/
        OP(2, 248), 7,                                /**/
        OP(6, 61),  3,         8,  5,          2, 16, /**/
        OP(3, 247), 9,         0,                     /**/
        OP(5, 251), 8,         10, 30,         9,     /**/
        OP(2, 248), 10,                               /**/
        OP(2, 249), 9,                                /**/
        OP(2, 248), 9,                                /**/
        OP(1, 253), OP(1, 56),
    };
    uint32_t words[COUNT];
    memcpy(words, module, sizeof words);
    assert_int_equal(rp_spirv_order_ids(words, COUNT), 0);
    assert_memory_equal(words, ordered, sizeof words);
    assert_int_equal(rp_spirv_order_ids(words, COUNT), 0); /* and again: nothing moves */
    assert_memory_equal(words, ordered, sizeof words);
}

/* An opcode that is not known, an operand too many, or an id out of bounds: nothing is changed. */
static void test_unknown(void **state) {
    (void)state;
    static const struct {
        uint32_t word, value, says;
    } cases[] = {
        {COUNT - 2, OP(1, 9999), 9999},
        {COUNT - 2, OP(2, 253), 253},
        {BOUND, 99, UINT32_MAX},
        {DECORATED, 0, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t words[COUNT], before[COUNT];
        memcpy(words, module, sizeof words);
        words[cases[i].word] = cases[i].value;
        memcpy(before, words, sizeof words);
        assert_int_equal(rp_spirv_order_ids(words, COUNT), cases[i].says);
        assert_memory_equal(words, before, sizeof words);
    }
}

/* Every shader of the library was ordered, but those of a compiler that this does not know. */
static void test_pack(void **state) {
    (void)state;
    for (size_t i = 0; i < rp_shader_pack_count; i++) {
        rp_error err;
        rp_spirv before, after;
        assert_int_equal(rp_shader_unpack(&rp_shader_pack[i], &before, &err), RP_OK);
        assert_int_equal(rp_shader_unpack(&rp_shader_pack[i], &after, &err), RP_OK);
        uint32_t said = rp_spirv_order_ids(after.words, after.count);
        if (said)
            print_message("%s: opcode %u is not known\n", rp_shader_pack[i].variant.name, (unsigned)said);
        assert_int_equal(before.count, after.count);
        assert_memory_equal(before.words, after.words, before.count * sizeof *before.words);
        free(before.words);
        free(after.words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_unknown),
                                       cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
