/* The reader of JSON takes what jansson's takes, with the same values, and nothing else. */
#include <float.h>
#include <locale.h>
#include <math.h>
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
#include <jansson.h>

#include "base/alloc.h"
#include "loader/json_read.h"
#include "support_fixture.h"

static size_t jansson_flags(rp_json_flags flags) {
    return JSON_REJECT_DUPLICATES | (flags.any ? JSON_DECODE_ANY : 0) | (flags.nul ? JSON_ALLOW_NUL : 0) |
           (flags.reals ? JSON_DECODE_INT_AS_REAL : 0);
}

/* As jansson would hold it. */
static json_t *convert(const rp_json *value) {
    json_t *out;
    switch (value->type) {
    case RP_JSON_NULL:
        return json_null();
    case RP_JSON_FALSE:
    case RP_JSON_TRUE:
        return json_boolean(value->type == RP_JSON_TRUE);
    case RP_JSON_INTEGER:
        return json_integer(value->integer);
    case RP_JSON_REAL:
        return json_real(value->real);
    case RP_JSON_STRING:
        assert_int_equal(value->text[value->count], 0);
        return json_stringn_nocheck(value->text, value->count);
    case RP_JSON_ARRAY:
        out = json_array();
        for (uint32_t i = 0; i < value->count; i++) json_array_append_new(out, convert(&value->items[i]));
        return out;
    case RP_JSON_OBJECT:
        out = json_object();
        for (uint32_t i = 0; i < value->count; i++) {
            const rp_member *m = &value->members[i];
            assert_int_equal(strlen(m->key), m->key_size);
            assert_ptr_equal(rp_json_get(value, m->key), &m->value);
            json_object_set_new_nocheck(out, m->key, convert(&m->value));
        }
        return out;
    }
    fail_msg("type %d", (int)value->type);
    return NULL;
}

/* What jansson would have made of it; NULL after a mistake. */
static json_t *read_json(const char *text, size_t size, rp_json_flags flags, rp_json_mistake *mistake) {
    rp_json_document document;
    json_t *value = NULL;
    if (rp_json_read(text, size, flags, &document, mistake))
        value = convert(&document.root);
    else
        assert_true(!document.memory && document.root.type == RP_JSON_NULL);
    rp_json_finish(&document);
    return value;
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
        json_t *got = read_json(exact, size, flags, &mistake);
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
    assert_null(read_json(text, DEEP, (rp_json_flags){0}, &mistake));
    assert_non_null(strstr(mistake.text, "too many"));
    memset(text + 500, ']', 500);
    json_t *value = read_json(text, 1000, (rp_json_flags){0}, &mistake);
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
        assert_null(read_json(cases[i].text, strlen(cases[i].text), (rp_json_flags){0}, &mistake));
        if (!strstr(mistake.text, cases[i].why)) fail_msg("%s: %s", cases[i].text, mistake.text);
        assert_int_equal(mistake.line, cases[i].line);
        assert_int_equal(mistake.position, cases[i].position);
    }
}

/* Objects on both sides of every size at which they are looked through in another way: each key is found,
 * others are not, and a key that comes twice is seen wherever it stands. */
static void test_members(void **state) {
    static const unsigned counts[] = {0, 1, 2, 15, 16, 17, 18, 31, 32, 33, 63, 64, 65, 1000};
    char text[32768], key[16];
    (void)state;
    for (size_t c = 0; c < RP_COUNT(counts); c++) {
        for (unsigned twice = 0; twice <= counts[c]; twice += counts[c] < 100 ? 1 : 37) {
            size_t size = (size_t)snprintf(text, sizeof text, "[{");
            for (unsigned i = 0; i < counts[c]; i++)
                size += (size_t)snprintf(text + size, sizeof text - size, "%s\"%u\": {\"%u\": %u}",
                                         i ? "," : "", i, i, i);
            if (twice < counts[c])
                size += (size_t)snprintf(text + size, sizeof text - size, ", \"%u\": 1", twice);
            size += (size_t)snprintf(text + size, sizeof text - size, "}, 1]");
            rp_json_document document;
            rp_json_mistake mistake;
            bool good = rp_json_read(text, size, (rp_json_flags){0}, &document, &mistake);
            assert_int_equal(good, twice == counts[c]);
            if (!good) assert_string_equal(mistake.text, "a duplicate key in an object");
            if (!good) continue;
            const rp_json *object = &document.root.items[0];
            assert_int_equal(object->count, counts[c]);
            for (unsigned i = 0; i < counts[c]; i++) {
                snprintf(key, sizeof key, "%u", i);
                assert_string_equal(object->members[i].key, key);
                assert_ptr_equal(rp_json_get(object, key), &object->members[i].value);
                assert_int_equal(rp_json_get(rp_json_get(object, key), key)->integer, i);
            }
            snprintf(key, sizeof key, "%u", counts[c]);
            assert_null(rp_json_get(object, key));
            assert_null(rp_json_get(object, ""));
            assert_null(rp_json_get(&document.root, "0"));
            assert_int_equal(document.root.items[1].integer, 1);
            rp_json_finish(&document);
        }
    }
}

static void test_nothing(void **state) {
    const rp_json text = {.type = RP_JSON_STRING, .count = 1, .text = "a"};
    rp_json_document document = {0};
    double number = 1;
    (void)state;
    assert_null(rp_json_get(NULL, "a"));
    assert_null(rp_json_get(&text, "a"));
    assert_null(rp_json_get(&document.root, "a"));
    assert_null(rp_json_string(NULL));
    assert_null(rp_json_string(&document.root));
    assert_string_equal(rp_json_string(&text), "a");
    assert_string_equal(rp_json_kind(NULL), "null");
    assert_false(rp_json_is(NULL, RP_JSON_NULL));
    assert_int_equal(rp_json_count(&text, RP_JSON_ARRAY), 0);
    assert_false(rp_json_number(NULL, &number) || rp_json_number(&text, &number) || number != 0);
    rp_json_finish(&document);
    rp_json_finish(&document);
}

/* As large as the vocabulary of a language model of the world's languages, as an object and as a list. */
static void test_vocabulary(void **state) {
    enum { COUNT = 250000, ROOM = COUNT * 80 };
    char *text = malloc(ROOM), key[24];
    rp_json_document document;
    rp_json_mistake mistake;
    size_t size = 0;
    (void)state;
    assert_non_null(text);
    size += (size_t)snprintf(text, ROOM, "{\"object\": {");
    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(text + size, ROOM - size, "%s\"piece%d\": %d", i ? "," : "", i, i);
    size += (size_t)snprintf(text + size, ROOM - size, "}, \"list\": [");
    for (int i = 0; i < COUNT; i++)
        size += (size_t)snprintf(text + size, ROOM - size, "%s[\"piece%d\", -%d.5]", i ? "," : "", i, i);
    size += (size_t)snprintf(text + size, ROOM - size, "]}");
    if (!rp_json_read(text, size, (rp_json_flags){0}, &document, &mistake)) fail_msg("%s", mistake.text);
    const rp_json *object = rp_json_get(&document.root, "object"),
                  *list = rp_json_get(&document.root, "list");
    assert_int_equal(object->count, COUNT);
    assert_int_equal(list->count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(key, sizeof key, "piece%d", i);
        assert_int_equal(rp_json_get(object, key)->integer, i);
        assert_string_equal(list->items[i].items[0].text, key);
        assert_true(list->items[i].items[1].real == -(i + 0.5));
    }
    rp_json_finish(&document);
    free(text);
}

/* Numbers are the nearest there are to what is written, as the C library has them. */
static void test_numbers(void **state) {
    static const char *const exponents[] = {"",
                                            "e0",
                                            "E-1",
                                            "e+10",
                                            "e-22",
                                            "e22",
                                            "e-300",
                                            "e300",
                                            "e-320",
                                            "e-340",
                                            "e308",
                                            "e-99999999999999999999",
                                            "e00000000000000000005"};
    uint32_t seed = 7;
    char text[256];
    (void)state;
    for (int n = 0; n < 40000; n++) {
        size_t used = 1;
        text[0] = '[';
        seed = seed * 1664525 + 1013904223;
        unsigned digits = (seed >> 8) % 40, point = (seed >> 16) % 40, negative = seed >> 31;
        if (negative) text[used++] = '-';
        for (unsigned i = 0; i <= digits; i++) {
            seed = seed * 1664525 + 1013904223;
            text[used++] =
                (char)((i == 0 && point > 0 ? '1' : '0') + (seed >> 24) % (i == 0 && point == 0 ? 1 : 9));
            if (i == point && i < digits) text[used++] = '.';
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s]",
                                 exponents[(seed >> 12) % RP_COUNT(exponents)]);
        compare(text, used);
    }
}

/* A digit decides which of two numbers is the nearest, however far behind it stands. */
static void test_half_way(void **state) {
    static const char half[] = "[9007199254740993.";
    enum { ZEROS = 100000 };
    char *text = malloc(sizeof half + ZEROS + 3);
    rp_json_mistake mistake;
    (void)state;
    assert_non_null(text);
    memcpy(text, half, sizeof half);
    memset(text + sizeof half - 1, '0', ZEROS);
    for (int last = 0; last < 2; last++) {
        snprintf(text + sizeof half - 1 + ZEROS, 4, "%d]", last);
        json_t *list = read_json(text, strlen(text), (rp_json_flags){0}, &mistake);
        assert_non_null(list);
        assert_true(json_real_value(json_array_get(list, 0)) ==
                    (last ? 9007199254740994.0 : 9007199254740992.0));
        json_decref(list);
    }
    free(text);
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
    json_t *list = read_json(text, strlen(text), (rp_json_flags){.large = true}, &mistake);
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
    list = read_json(digits, 1001, (rp_json_flags){.large = true}, &mistake);
    assert_true(json_real_value(json_array_get(list, 0)) == DBL_MAX);
    json_decref(list);
    assert_null(read_json(digits, 1001, (rp_json_flags){.reals = true}, &mistake));
    assert_null(read_json("[1e]", 4, (rp_json_flags){.large = true}, &mistake));
    free(digits);
}

/* What Python writes for numbers that are none, where they may be. */
static void test_words_of_python(void **state) {
    static const char text[] = "[NaN, Infinity, -Infinity, -1, null]";
    static const char *const bad[] = {"[NaN]", "[-Infinity]", "[-NaN]", "[nan]",
                                      "[Inf]", "[-Infinit",   "[-",     "[-I"};
    rp_json_flags flags = {.words = true};
    rp_json_document document;
    rp_json_mistake mistake;
    (void)state;
    assert_true(rp_json_read(text, strlen(text), flags, &document, &mistake));
    const rp_json *items = document.root.items;
    for (int i = 0; i < 3; i++) assert_int_equal(items[i].type, RP_JSON_REAL);
    assert_true(isnan(items[0].real));
    assert_true(isinf(items[1].real) && items[1].real > 0);
    assert_true(isinf(items[2].real) && items[2].real < 0);
    assert_int_equal(items[3].integer, -1);
    assert_int_equal(items[4].type, RP_JSON_NULL);
    rp_json_finish(&document);
    for (size_t i = 0; i < RP_COUNT(bad); i++) {
        flags.words = i >= 2;
        assert_false(rp_json_read(bad[i], strlen(bad[i]), flags, &document, &mistake));
    }
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
    json_t *got = read_json(text, strlen(text), (rp_json_flags){0}, &mistake);
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
    json_t *want = read_json(text, strlen(text), (rp_json_flags){0}, &mistake);
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
        cmocka_unit_test(test_texts),           cmocka_unit_test(test_damage),
        cmocka_unit_test(test_depth),           cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_words_of_python), cmocka_unit_test(test_locale),
        cmocka_unit_test(test_large),           cmocka_unit_test(test_members),
        cmocka_unit_test(test_nothing),         cmocka_unit_test(test_vocabulary),
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_half_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
