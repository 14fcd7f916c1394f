/* JSON that is written: what it looks like, and that reading it gives back what was meant. */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/json.h"
#include "loader/json_text.h"
#include "loader/json_write.h"

static void check_text(rp_json_writer *w, const char *expected) {
    size_t size = 0;
    char *text = rp_json_writer_finish(w, &size);
    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(size, strlen(expected));
    free(text);
}

static void test_layout(void **state) {
    (void)state;
    rp_json_writer w = {0};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_open(&w, "empty", '[');
    rp_json_write_close(&w, ']');
    rp_json_write_open(&w, "list", '[');
    rp_json_write_null(&w, NULL);
    w.compact = true;
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_bool(&w, "a", true);
    rp_json_write_integer(&w, "b", INT64_MIN);
    rp_json_write_close(&w, '}');
    w.compact = false;
    rp_json_write_bool(&w, NULL, false);
    rp_json_write_close(&w, ']');
    rp_json_write_close(&w, '}');
    check_text(&w,
               "{\n  \"empty\": [],\n  \"list\": [\n    null, {\"a\": true, \"b\": -9223372036854775808},\n"
               "    false\n  ]\n}\n");
}

static void test_strings(void **state) {
    (void)state;
    static const char odd[] = "\"\\/\b\f\n\r\t\x01\x1f\x7f \xe2\x96\x81\xf0\x9f\x98\x80";
    rp_json_writer w = {.compact = true};
    rp_json_write_open(&w, NULL, '{');
    rp_json_write_text(&w, "a\"\n", odd, sizeof odd - 1);
    rp_json_write_text(&w, "", "a\0b", 3);
    rp_json_write_close(&w, '}');
    check_text(&w, "{\"a\\\"\\n\": \"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\\u001f\x7f "
                   "\xe2\x96\x81\xf0\x9f\x98\x80\", \"\": \"a\\u0000b\"}\n");
}

/* Answers are valid UTF-8 and stay on one line, whatever bytes come and whoever reads them. */
static void test_strings_of_answers(void **state) {
    (void)state;
    static const char odd[] =
        "\"\\/\n\r\t\x01\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9 \xc3\xab\xff\xc3 \xed\xa0\x80"
        "\xf0\x9f\x98\x80\xf0\x9f";
    rp_json_writer w = {.compact = true, .answer = true};
    rp_json_write_open(&w, NULL, '[');
    rp_json_write_text(&w, NULL, odd, sizeof odd - 1);
    rp_json_write_text(&w, NULL, "a\0b", 3);
    rp_json_write_text(&w, NULL, NULL, 0);
    rp_json_write_raw(&w, NULL, "true");
    rp_json_write_close(&w, ']');
    check_text(&w,
               "[\"\\\"\\\\/\\n\\r\\t\\u0001\\u007f\\u0085\\u2028\\u2029 \xc3\xab\xef\xbf\xbd\xef\xbf\xbd "
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\", "
               "\"a\\u0000b\", \"\", true]\n");
}

static void check_float(float value, const char *expected) {
    char text[RP_JSON_NUMBER_SIZE];
    rp_json_float_text(value, text);
    assert_string_equal(text, expected);
}

/* Six digits, and more where they are needed to read the same float32. */
static void test_floats_of_answers(void **state) {
    (void)state;
    static const struct {
        float value;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0f, "-0.0"},
                 {1, "1.0"},
                 {0.5f, "0.5"},
                 {1e6f, "1e+06"},
                 {123456, "123456.0"},
                 {1e-5f, "1e-05"},
                 {0.1f, "0.1"},
                 {0.9851633f, "0.9851633"},
                 {1e-45f, "1.4013e-45"},
                 {3.4028235e38f, "3.4028235e+38"},
                 {16777215, "16777215.0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_float(cases[i].value, cases[i].text);
    char text[RP_JSON_NUMBER_SIZE];
    rp_json_double_text(0.1 + 0.2, text);
    assert_string_equal(text, "0.30000000000000004");
    rp_json_double_text(12, text);
    assert_string_equal(text, "12.0");
}

static void check_number(double value, const char *expected) {
    rp_json_writer w = {.compact = true};
    rp_json_document document;
    rp_error err = {0};
    size_t size = 0;
    rp_json_write_open(&w, NULL, '[');
    rp_json_write_real(&w, NULL, value);
    rp_json_write_close(&w, ']');
    char *text = rp_json_writer_finish(&w, &size);
    assert_non_null(text);
    if (expected && strncmp(text + 1, expected, strlen(expected)))
        fail_msg("%s instead of %s", text, expected);
    if (rp_json_parse(text, size, "x.json", &document, &err)) fail_msg("%s: %s", text, err.message);
    assert_int_equal(document.root.items[0].type, RP_JSON_REAL);
    assert_memory_equal(&document.root.items[0].real, &value, sizeof value);
    rp_json_finish(&document);
    free(text);
}

/* The texts are those of Python. */
static void test_numbers(void **state) {
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0.0]"},
                 {-0.0, "-0.0]"},
                 {1, "1.0]"},
                 {-100.5, "-100.5]"},
                 {1e-12, "1e-12]"},
                 {0.0001, "0.0001]"},
                 {0.00012345, "0.00012345]"},
                 {0.00001, "1e-05]"},
                 {1e15, "1000000000000000.0]"},
                 {1e16, "1e+16]"},
                 {1.5e300, "1.5e+300]"},
                 {0.1, "0.1]"},
                 {0.1 + 0.2, "0.30000000000000004]"},
                 {123456.789, "123456.789]"},
                 {(double)-3.4618161f - 100, "-103.46181607246399]"},
                 {5e-324, "5e-324]"},
                 {1.7976931348623157e308, "1.7976931348623157e+308]"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_number(cases[i].value, cases[i].text);
    uint64_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        double value;
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) check_number(value, NULL);
    }
}

/* A comma instead of the point, and one of two bytes. */
static void test_locales(void **state) {
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fa_IR.UTF-8", "ps_AF.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!setlocale(LC_ALL, names[i])) continue;
        check_number(-1.25e-7, "-1.25e-07]");
        check_number(1234.5, "1234.5]");
        check_float(1234.5f, "1234.5");
        check_float(1e-5f, "1e-05");
    }
    setlocale(LC_ALL, "C");
}

static void test_values_come_back(void **state) {
    (void)state;
    static const char text[] =
        "{\n  \"a\": [\n    1,\n    2.5,\n    \"x\",\n    null,\n    true,\n    {\n      \"b\": {}\n"
        "    }\n  ]\n}\n";
    rp_json_document document;
    rp_json_writer w = {0};
    assert_int_equal(rp_json_parse(text, sizeof text - 1, "x.json", &document, NULL), RP_OK);
    rp_json_write_value(&w, NULL, &document.root);
    check_text(&w, text);
    rp_json_finish(&document);
}

/* What is no JSON, as Python writes it. */
static void test_endless_numbers(void **state) {
    (void)state;
    rp_json_writer w = {.compact = true};
    rp_json_write_open(&w, NULL, '[');
    rp_json_write_real(&w, NULL, NAN);
    rp_json_write_real(&w, NULL, (double)INFINITY);
    rp_json_write_real(&w, NULL, -(double)INFINITY);
    rp_json_write_close(&w, ']');
    check_text(&w, "[NaN, Infinity, -Infinity]\n");
}

static void test_what_cannot_be_written(void **state) {
    (void)state;
    rp_json_writer w = {0};
    size_t size = 0;
    rp_json_write_open(&w, NULL, '[');
    assert_null(rp_json_writer_finish(&w, &size));
    rp_json_write_close(&w, ']');
    assert_null(rp_json_writer_finish(&w, &size));
    for (int i = 0; i < 100; i++) rp_json_write_open(&w, NULL, '[');
    for (int i = 0; i < 100; i++) rp_json_write_close(&w, ']');
    assert_null(rp_json_writer_finish(&w, &size));
    rp_json_write_open(&w, NULL, '[');
    rp_json_writer_drop(&w);
    assert_null(w.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_strings_of_answers),
        cmocka_unit_test(test_floats_of_answers),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_locales),
        cmocka_unit_test(test_values_come_back),
        cmocka_unit_test(test_endless_numbers),
        cmocka_unit_test(test_what_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
