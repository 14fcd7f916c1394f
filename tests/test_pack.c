/* Bytes that are carried shorter come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/pack.h"

/* Bytes with and without repetitions come back, near and far; a stream that is cut or says too much is found
 * out. */
static void test_shrinking(void **state) {
    (void)state;
    enum { SIZE = 40000 };
    static unsigned char bytes[SIZE], shrunk[RP_SHRUNK_MAX(SIZE)], again[SIZE];
    for (int kind = 0; kind < 3; kind++) {
        uint32_t x = 1;
        for (size_t i = 0; i < SIZE; i++) {
            x = x * 1664525u + 1013904223u;
            bytes[i] = kind == 0 ? 7 : kind == 1 ? (unsigned char)(x >> 24) : (unsigned char)(i * i >> 5);
        }
        for (size_t size = 0; size <= SIZE; size = 3 * size + 1) {
            size_t n = rp_bytes_shrink(bytes, size, shrunk);
            assert_true(n <= RP_SHRUNK_MAX(size));
            memset(again, 0, sizeof again);
            assert_true(rp_bytes_grow(shrunk, n, again, size));
            assert_memory_equal(bytes, again, size);
            if (!n) continue;
            assert_false(rp_bytes_grow(shrunk, n - 1, again, size));
            assert_false(rp_bytes_grow(shrunk, n, again, size - 1));
        }
    }
    const unsigned char before[] = {0x10, 1, 2}, none[] = {0x10, 1, 0}, cut[] = {0x50, 1};
    assert_false(rp_bytes_grow(before, sizeof before, again, 5));
    assert_false(rp_bytes_grow(none, sizeof none, again, 5));
    assert_false(rp_bytes_grow(cut, sizeof cut, again, 6));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shrinking)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
