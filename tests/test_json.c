/* The reader of JSON takes what jansson's takes, with the same values, and nothing else. */
#include <float.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/json_read.h"
#include "support_fixture.h"

static size_t jansson_flags(rp_json_flags flags) {
    return JSON_REJECT_DUPLICATES | (flags.any ? JSON_DECODE_ANY : 0) | (flags.nul ? JSON_ALLOW_NUL : 0) |
           (flags.reals ? JSON_DECODE_INT_AS_REAL : 0);
}

/* With every setting, from memory that ends with the text. The number of settings that it is good with. */
static int compare(const char *text, size_t size) {
    int good = 0;
    char *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, text, size);
    for (int bits = 0; bits < 8; bits++) {
        rp_json_flags flags = {.any = bits & 1, .nul = bits & 2, .reals = bits & 4};
        rp_json_mistake mistake;
        json_t *got = rp_json_read(exact, size, flags, &mistake);
        json_t *want = json_loadb(exact, size, jansson_flags(flags), NULL);
        bool same = got && want ? json_equal(got, want) : !got && !want;
        if (!same)
            fail_msg("%.*s (%d): %s, jansson %s: %s", (int)size, text, bits, got ? "taken" : "refused",
                     want ? "takes it" : "does not", got ? "" : mistake.text);
        if (!got) {
            assert_false(mistake.memory);
            assert_true(strlen(mistake.text) > 5 && mistake.position <= size && mistake.line >= 1);
        }
        good += got != NULL;
        json_decref(got);
        json_decref(want);
    }
    free(exact);
    return good;
}

static const char *const texts[] = {
    "",
    " \t\r\n",
    "{}",
    "[]",
    " { } ",
    "[ ]\n",
    "[1, -2, 0, -0, 9223372036854775807, -9223372036854775808]",
    "[9223372036854775808]",
    "[1000000000000000019884624838656, -1e-400, 1E+2, 0.5e3, 123456789012345678901234567890.25]",
    "[1000000000000000019884624838656000000000000000000000000000000000000000000000000000000000000000]",
    "[1e400]",
    "[-1e400]",
    "[01]",
    "[1.]",
    "[.5]",
    "[-]",
    "[+1]",
    "[1e]",
    "[1e+]",
    "[0x10]",
    "[1 2]",
    "[NaN]",
    "[Infinity]",
    "[true, false, null]",
    "[True]",
    "[nul]",
    "[truex]",
    "[\"a\", \"\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\\u00e9\\u20AC\\ud83d\\ude00\"]",
    "[\"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80\"]",
    "[\"\\ud800\"]",
    "[\"\\ud800\\u0041\"]",
    "[\"\\ud800\\ud800\"]",
    "[\"\\ude00\"]",
    "[\"\\ud83d\\ude0\"]",
    "[\"\\u12g4\"]",
    "[\"\\u12\"]",
    "[\"\\x\"]",
    "[\"\\\xc3\xa9\"]",
    "[\"a\\u0000b\"]",
    "{\"a\\u0000b\": 1}",
    "[\"tab\there\"]",
    "[\"line\nhere\"]",
    "[\"\x7f\"]",
    "[\"\xff\"]",
    "[\"\xed\xa0\x80\"]",
    "[\"\xc0\x80\"]",
    "[1] \xff",
    "[\"open",
    "[\"open\\",
    "[\"open\\\"",
    "{\"a\": 1, \"b\": [{\"c\": {}}], \"\": null}",
    "{\"a\": 1, \"a\": 2}",
    "{\"a\": 1, \"\\u0061\": 2}",
    "{\"a\" 1}",
    "{\"a\": }",
    "{\"a\": 1,}",
    "{a: 1}",
    "{1: 1}",
    "{,}",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "[1,]",
    "[,1]",
    "[,]",
    "[1",
    "[",
    "{",
    "]",
    "}",
    "[}",
    "{]",
    "[1]]",
    "{} {}",
    "[1] x",
    "\"alone\"",
    "12",
    "12 ",
    "-1.5",
    "null",
    "\xef\xbb\xbf[]",
    "// [1]",
};

static void test_texts(void **state) {
    int good = 0;
    (void)state;
    for (size_t i = 0; i < RP_COUNT(texts); i++) good += compare(texts[i], strlen(texts[i])) > 0;
    assert_true(good > 15 && good < (int)RP_COUNT(texts) - 15);
    assert_int_equal(compare("[\"\0\"]", 5), 0);
    assert_int_equal(compare("[]\0", 3), 0);
}

static const char rich[] =
    "{\"a\": [1, -2.5e3, 0.125, true, false, null, \"x\\u00e9\\ud83d\\ude00\\n\\\"y\"],\n"
    " \"na\xc3\xafve\": {\"b\": \"\", \"c\": {}, \"d\": []}, \"e\": 1234567890123456789}";

/* Every end it may be cut at, and changes of a byte or two at random. */
static void test_damage(void **state) {
    static const char tokens[] = "{}[]:,\"\\u0d18e+-. \n\ttfn\xc3\xa9\xff";
    uint32_t seed = 1;
    size_t good = 0;
    (void)state;
    for (size_t size = 0; size < sizeof rich; size++) compare(rich, size);
    for (int n = 0; n < 30000; n++) {
        char text[sizeof rich];
        memcpy(text, rich, sizeof rich);
        for (int k = 0; k < 1 + n % 2; k++) {
            seed = seed * 1664525 + 1013904223;
            text[(seed >> 8) % (sizeof rich - 1)] = tokens[(seed >> 20) % (sizeof tokens - 1)];
        }
        good += compare(text, sizeof rich - 1) > 0;
    }
    assert_true(good > 300);
}

/* Deeper than any real file is a mistake, not the end of the stack. */
static void test_depth(void **state) {
    enum { DEEP = 100000 };
    rp_json_mistake mistake;
    char *text = malloc(DEEP);
    (void)state;
    assert_non_null(text);
    memset(text, '[', DEEP);
    assert_null(rp_json_read(text, DEEP, (rp_json_flags){0}, &mistake));
    assert_non_null(strstr(mistake.text, "too many"));
    memset(text + 500, ']', 500);
    json_t *value = rp_json_read(text, 1000, (rp_json_flags){0}, &mistake);
    assert_non_null(value);
    json_decref(value);
    free(text);
}

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *why;
        int line;
        size_t position;
    } cases[] = {
        {"{\"a\": 1,\n \"b\" 2}", "':' expected", 2, 14},
        {"[1,\n2\n3]", "',' or ']' expected", 3, 6},
        {"{\"a\": 1, \"a\": 2}", "duplicate key", 1, 12},
        {"[\"\\q\"]", "escape", 1, 2},
        {"[1] 2", "behind the end", 1, 4},
        {"[\"\xff\"]", "not UTF-8", 1, 2},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_json_mistake mistake;
        assert_null(rp_json_read(cases[i].text, strlen(cases[i].text), (rp_json_flags){0}, &mistake));
        if (!strstr(mistake.text, cases[i].why)) fail_msg("%s: %s", cases[i].text, mistake.text);
        assert_int_equal(mistake.line, cases[i].line);
        assert_int_equal(mistake.position, cases[i].position);
    }
}

/* Numbers that fit no type, where they may be. The others are what they are otherwise. */
static void test_large(void **state) {
    static const char text[] =
        "[18446744073709551615, -9223372036854775809, 1e400, -1e400, 9223372036854775807,"
        " -9223372036854775808, 1e308, \"18446744073709551616\"]";
    static const double reals[] = {18446744073709551616.0, -9223372036854775808.0, DBL_MAX, -DBL_MAX};
    rp_json_mistake mistake;
    char *digits = malloc(1002);
    (void)state;
    json_t *list = rp_json_read(text, strlen(text), (rp_json_flags){.large = true}, &mistake);
    assert_int_equal(json_array_size(list), 8);
    for (size_t i = 0; i < RP_COUNT(reals); i++) {
        assert_true(json_is_real(json_array_get(list, i)));
        assert_true(json_real_value(json_array_get(list, i)) == reals[i]);
    }
    assert_true(json_integer_value(json_array_get(list, 4)) == INT64_MAX);
    assert_true(json_integer_value(json_array_get(list, 5)) == INT64_MIN);
    assert_true(json_real_value(json_array_get(list, 6)) == 1e308);
    assert_string_equal(json_string_value(json_array_get(list, 7)), "18446744073709551616");
    json_decref(list);
    assert_non_null(digits); /* an integer that is no double either */
    memset(digits, '9', 1000);
    digits[0] = '[', digits[1000] = ']', digits[1001] = '\0';
    list = rp_json_read(digits, 1001, (rp_json_flags){.large = true}, &mistake);
    assert_true(json_real_value(json_array_get(list, 0)) == DBL_MAX);
    json_decref(list);
    assert_null(rp_json_read(digits, 1001, (rp_json_flags){.reals = true}, &mistake));
    assert_null(rp_json_read("[1e]", 4, (rp_json_flags){.large = true}, &mistake));
    free(digits);
}

/* Make the locale `source` of this system's sources in the folder `dir`; false where it cannot be. */
static bool make_locale(const char *dir, const char *source) {
    char command[FIXTURE_PATH_SIZE + 128];
    snprintf(command, sizeof command,
             "env -u LD_PRELOAD localedef -i %s -f UTF-8 --no-archive '%s/%s' >/dev/null 2>&1", source, dir,
             source);
    return system(command) >= 0 && setlocale(LC_NUMERIC, source);
}

/* Numbers are the same, and what the locale was it stays. */
static void check_locale(const char *text, const json_t *want) {
    rp_json_mistake mistake;
    char point[8];
    locale_t thread = uselocale((locale_t)0);
    snprintf(point, sizeof point, "%s", localeconv()->decimal_point);
    json_t *got = rp_json_read(text, strlen(text), (rp_json_flags){0}, &mistake);
    if (!got) fail_msg("%s: %s", point, mistake.text);
    if (!json_equal(got, want)) fail_msg("%s: other numbers", point);
    json_decref(got);
    assert_string_equal(localeconv()->decimal_point, point);
    assert_ptr_equal(uselocale((locale_t)0), thread);
}

/* Where the decimal point is a comma, or more than one byte. */
static void test_locale(void **state) {
    static const struct { const char *source, *point; } cases[] = {{"de_DE", ","}, {"ps_AF", "\xd9\xab"}};
    static const char text[] = "[1.5, 2e3, -0.25, 1.0e-12, 0.125e+2, 7, 123456789.0625]";
    char dir[FIXTURE_PATH_SIZE];
    rp_json_mistake mistake;
    size_t made = 0;
    (void)state;
    assert_true(fixture_make_dir(dir));
    setenv("LOCPATH", dir, 1);
    json_t *want = rp_json_read(text, strlen(text), (rp_json_flags){0}, &mistake);
    assert_non_null(want);
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        if (!make_locale(dir, cases[i].source)) continue;
        made++;
        assert_string_equal(localeconv()->decimal_point, cases[i].point);
        check_locale(text, want);
        locale_t own = duplocale(LC_GLOBAL_LOCALE);
        assert_true(own != (locale_t)0);
        setlocale(LC_NUMERIC, "C");
        locale_t before = uselocale(own); /* this thread's, not the process's */
        check_locale(text, want);
        uselocale(before);
        freelocale(own);
    }
    json_decref(want);
    unsetenv("LOCPATH");
    fixture_remove_dir(dir);
    if (!made) skip(); /* Debian: the package locales */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),    cmocka_unit_test(test_damage), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_locale), cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
