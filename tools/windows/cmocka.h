/* The part of cmocka that tests/test_os.c uses, where there is none: Debian has no cmocka for MinGW. A test
 * that fails says where and ends the program with status 1. */
#ifndef REPRISE_WINDOWS_CMOCKA_H
#define REPRISE_WINDOWS_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define assert_true(what)                                                            \
    do {                                                                             \
        if (what) break;                                                             \
        fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #what, errno); \
        exit(1);                                                                     \
    } while (0)
#define assert_false(what) assert_true(!(what))
#define assert_null(what) assert_true(!(what))
#define assert_non_null(what) assert_true((what) != NULL)
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_string_equal(a, b) assert_true(!strcmp(a, b))
#define assert_memory_equal(a, b, size) assert_true(!memcmp(a, b, size))

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};
#define cmocka_unit_test(test) \
    { #test, test }

typedef int (*cmocka_fixture)(void **state);

static int cmocka_run_tests(const struct CMUnitTest *tests, size_t count, cmocka_fixture before,
                            cmocka_fixture after) {
    void *state = NULL;
    if (before && before(&state)) return 1;
    for (size_t i = 0; i < count; i++) {
        tests[i].run(&state);
        printf("[       OK ] %s\n", tests[i].name);
    }
    return after && after(&state);
}
#define cmocka_run_group_tests(tests, before, after) \
    cmocka_run_tests(tests, sizeof(tests) / sizeof *(tests), before, after)

#endif
