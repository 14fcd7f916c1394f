/* CSV and TSV: the rows that Python's csv module gives (strict=True, or QUOTE_NONE), and what stands where a
 * file is broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/table.h"

/* The rows of text[0..size) as one string: fields end in '|', rows in '/', and a bad row is "LINE!". What is
 * read comes `cut` bytes at a time. The caller frees it. */
static char *rows_of(rp_table table, const char *text, size_t size, size_t cut) {
    char *out = calloc(1, 2 * size + 4096);
    size_t used = 0, begin = 0, end = 0, taken;
    assert_non_null(out);
    for (;;) {
        rp_table_row row;
        rp_table_step step = rp_table_next(&table, text + begin, end - begin, end == size, &row, &taken);
        begin += taken;
        if (step == RP_TABLE_ROW && row.mistake[0])
            used += (size_t)sprintf(out + used, "%d!/", (int)row.line);
        for (size_t i = 0; step == RP_TABLE_ROW && !row.mistake[0] && i < row.count; i++) {
            memcpy(out + used, row.fields[i].data, row.fields[i].size);
            used += row.fields[i].size;
            out[used++] = '|';
            if (i + 1 == row.count) out[used++] = '/';
        }
        if (step == RP_TABLE_END) break;
        if (step == RP_TABLE_MORE) end = size - end > cut ? end + cut : size;
    }
    assert_int_equal(begin, size);
    rp_table_finish(&table);
    return out;
}

static void assert_rows(rp_table table, const char *text, const char *expected) {
    static const size_t cuts[] = {1, 2, 7, SIZE_MAX};
    for (size_t i = 0; i < RP_COUNT(cuts); i++) {
        char *rows = rows_of(table, text, strlen(text), cuts[i]);
        assert_string_equal(rows, expected);
        free(rows);
    }
}

static void test_fields_are_those_of_python(void **state) {
    static const struct {
        char separator;
        const char *text, *rows;
    } cases[] = {
        {',', "a,b\n1,2\n", "a|b|/1|2|/"},
        {',', "a,b\r\n\"x \"\"y\"\", z\",2\r\n", "a|b|/x \"y\", z|2|/"},
        {',', "a\r\"two\r\nlines\r\"\r", "a|/two\r\nlines\r|/"},
        {';', "\"a;b\";c\n;\n", "a;b|c|/||/"},
        {',', "d\"e,f\"\"\n", "d\"e|f\"\"|/"},
        {',', "\"\",\"\"\"\"\n", "|\"|/"},
        {',', "x\n\n\r\n\"\"\n", "x|/|/"},
        {',', " \"a\",b\n", " \"a\"|b|/"},
        {'\t', "\"a\tb\"\t0\n", "a\tb|0|/"},
        {',', "a,\xc3\xa9", "a|\xc3\xa9|/"},
        {',', "\xef\xbb\xbf\"a\",b\n", "a|b|/"},
        {',', "", ""},
        {',', "\xef\xbb\xbf", ""},
        {',', "\n\r\r\n", ""},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++)
        assert_rows((rp_table){.separator = cases[i].separator}, cases[i].text, cases[i].rows);
}

static void test_a_nul_is_a_character(void **state) {
    (void)state;
    char *rows = rows_of((rp_table){0}, "a,b\n\0,c\0\n", 9, 1);
    assert_memory_equal(rows, "a|b|/\0|c\0|/", 12);
    free(rows);
}

/* GLUE's files: quotes open and close where they like. */
static void test_tsv_has_no_quotes(void **state) {
    (void)state;
    const rp_table tsv = {.separator = '\t', .literal = true};
    assert_rows(tsv, "a\tb\n\"He said\t1\r\n\"\"\t\"x\"\n", "a|b|/\"He said|1|/\"\"|\"x\"|/");
    assert_rows(tsv, "a\tb\n\"c\td\te\"\nf\tg", "a|b|/2!/f|g|/");
    const rp_table cola = {.separator = '\t', .literal = true, .columns = 4}; /* no header */
    assert_rows(cola, "gj04\t1\t\tOur.\nbad\t1\ngj04\t0\t*\tMe.\n", "gj04|1||Our.|/2!/gj04|0|*|Me.|/");
}

static void test_the_separator_is_found(void **state) {
    static const char *const cases[][2] = {
        {"text,label\na;b,1\n", "text|label|/a;b|1|/"},
        {"text;label\na,b;1\n", "text|label|/a,b|1|/"},
        {"text\tlabel\na,b;c\t1\n", "text|label|/a,b;c|1|/"},
        {"\"a,b,c\";d\n1;2\n", "a,b,c|d|/1|2|/"},
        {"a, b;c;d\n1;2;3\n", "a, b|c|d|/1|2|3|/"},
        {"a, b;c\n1;2\n", "a, b|c|/1|2|/"}, /* as many of each */
        {"text\none\n", "text|/one|/"},
        {"a;\"b,c;d,\"\"e\"\n1;2\n", "a|b,c;d,\"e|/1|2|/"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) assert_rows((rp_table){0}, cases[i][0], cases[i][1]);
}

static void test_bad_rows_fail_alone(void **state) {
    static const char *const cases[][2] = {
        {"a,b\n1\n1,2,3\n1,2\n", "a|b|/2!/3!/1|2|/"},
        {"a,b\n1,\xff\n2,\xc0\x80\n3,\xed\xa0\x80\n4,c\n", "a|b|/2!/3!/4!/4|c|/"},
        {"a,b\n\"x\"y,1\n\"x\" ,1\n2,c\n", "a|b|/2!/3!/2|c|/"},
        {"a,b\n1,\"x\n2,y\n3,z\n", "a|b|/2!/2|y|/3|z|/"},         /* never closed */
        {"a,b\n1,\"x\n2,\"y\"\n3,z\n", "a|b|/2!/2|y|/3|z|/"},     /* closed by the next quote */
        {"a,b\n1,\"x\n2,\"y\nw\"\n3,z", "a|b|/2!/2|y\nw|/3|z|/"}, /* which opens a field of two lines */
        {"a,b\r\n1,\"x\r\n2,y\r\n3,\"z", "a|b|/2!/2|y|/4!/"},     /* at the very end */
        {"a,b\n1,\"two\nlines\"\n3\n4,x\n", "a|b|/1|two\nlines|/4!/4|x|/"}, /* line 4, row 3 */
        {"\xff\xfe"
         "a,b\n",
         "1!/"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) assert_rows((rp_table){0}, cases[i][0], cases[i][1]);
}

static void test_rows_have_a_longest_length(void **state) {
    (void)state;
    const rp_table ten = {.longest = 10};
    assert_rows(ten, "a,b\n0123456,89\n0123456,890\n1,2\n", "a|b|/0123456|89|/3!/1|2|/");
    assert_rows(ten, "a,b\n0123456,8901234567890123456789\r\n1,2", "a|b|/2!/1|2|/");
    assert_rows(ten, "a,b\n1,\"345\n7\"\n1,\"345\n789\"\n5,\n", "a|b|/1|345\n7|/4!/5!/5||/");
    assert_rows(ten, "a,b\n1,\"\n3,4\n5,6\n7,8\n9,0\n", "a|b|/2!/3|4|/5|6|/7|8|/9|0|/");
}

static void test_messages_say_what_to_do(void **state) {
    static const struct {
        bool literal;
        const char *text, *says;
    } cases[] = {
        {false, "a,b\n1\n", "has 1 field, not 2; put quotes around"},
        {true, "a\tb\n1\t2\t3\n", "has 3 fields, not 2; a field cannot hold a tab"},
        {true, "a\tb\n1\n", "has 1 field, not 2; a field cannot hold a line break"},
        {false, "a,b\n1,\"\n", "a quote that opens a field here is never closed"},
        {false, "a,b\n\"1\"2\n", "text stands behind a closing quote"},
        {false, "a,b\nab,c\xff\n", "byte 4 of the row is not valid UTF-8"},
        {false, "\xfe\xff,\n1\n", "UTF-16; save it as UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_table table = {.separator = cases[i].literal ? '\t' : 0, .literal = cases[i].literal};
        rp_table_row row;
        size_t at = 0, taken, size = strlen(cases[i].text);
        do {
            assert_int_equal(rp_table_next(&table, cases[i].text + at, size - at, true, &row, &taken),
                             RP_TABLE_ROW);
            at += taken;
        } while (!row.mistake[0]);
        assert_non_null(strstr(row.mistake, cases[i].says));
        rp_table_finish(&table);
    }
}

/* Without a mark every second byte tells. */
static void test_utf16_is_named(void **state) {
    static const char little[] = "t\0,\0i\0\n\0", big[] = "\0t\0,\0i\0\n";
    (void)state;
    for (int i = 0; i < 2; i++) {
        rp_table table = {0};
        rp_table_row row;
        size_t taken;
        assert_int_equal(rp_table_next(&table, i ? big : little, sizeof little - 1, true, &row, &taken),
                         RP_TABLE_ROW);
        assert_non_null(strstr(row.mistake, "UTF-16; save it as UTF-8"));
        assert_int_equal(row.count, 0);
        rp_table_finish(&table);
    }
}

/* In another order, by the places that were given: how training reads a shuffled file. */
static void test_rows_can_be_read_again(void **state) {
    static const char text[] = "\xef\xbb\xbfid;text\r\n1;\"a\n\"\"b\"\r\n\r\n2;c\r\n3;d";
    enum { ROWS = 4 };
    (void)state;
    rp_table table = {0};
    rp_table_row row;
    uint64_t offsets[ROWS], lines[ROWS];
    size_t at = 0, taken;
    for (int i = 0; i < ROWS; i++) {
        assert_int_equal(rp_table_next(&table, text + at, sizeof text - 1 - at, true, &row, &taken),
                         RP_TABLE_ROW);
        offsets[i] = row.offset;
        lines[i] = row.line;
        at += taken;
    }
    static const char *const ids[ROWS] = {"id", "1", "2", "3"};
    static const uint64_t at_lines[ROWS] = {1, 2, 5, 6};
    for (int i = ROWS - 1; i >= 0; i--) {
        assert_int_equal(lines[i], at_lines[i]);
        rp_table_seek(&table, offsets[i], lines[i]);
        size_t left = sizeof text - 1 - (size_t)offsets[i];
        assert_int_equal(rp_table_next(&table, text + offsets[i], left, true, &row, &taken), RP_TABLE_ROW);
        assert_int_equal(row.line, at_lines[i]);
        assert_int_equal(row.offset, offsets[i]);
        assert_int_equal(row.fields[0].size, strlen(ids[i]));
        assert_memory_equal(row.fields[0].data, ids[i], row.fields[0].size);
    }
    rp_table_finish(&table);
}

static void test_a_row_of_very_many_fields(void **state) {
    enum { SIZE = 1 << 20 };
    (void)state;
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, ',', SIZE);
    memcpy(text, "a,b\n", 4);
    rp_table table = {0};
    rp_table_row row;
    size_t taken, next;
    assert_int_equal(rp_table_next(&table, text, SIZE, true, &row, &taken), RP_TABLE_ROW);
    assert_int_equal(rp_table_next(&table, text + taken, SIZE - taken, true, &row, &next), RP_TABLE_ROW);
    assert_int_equal(row.count, SIZE - 4 + 1);
    assert_non_null(strstr(row.mistake, "fields, not 2"));
    assert_true(table.room <= 16); /* they are counted, not kept */
    rp_table_finish(&table);
    assert_int_equal(rp_table_next(&table, text + 4, SIZE - 4, true, &row, &taken), RP_TABLE_ROW);
    assert_non_null(strstr(row.mistake, "at most 16384 are taken"));
    rp_table_finish(&table);
    free(text);
}

static double seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Each line opens a field that runs through all lines behind it. */
static void test_quotes_in_bad_places_take_linear_time(void **state) {
    enum { SIZE = 4 << 20 };
    static const char *const lines[] = {"x\",\"\n", "\"\n\"\"\n", "\"\"\"\n", "\"\",\"x\n", "a\"b,\"\n"};
    (void)state;
    char *text = malloc(SIZE);
    assert_non_null(text);
    for (size_t i = 0; i < RP_COUNT(lines); i++) {
        size_t length = strlen(lines[i]), size = SIZE / length * length, at = 0, taken = 0;
        for (size_t j = 0; j < size; j++) text[j] = lines[i][j % length];
        rp_table table = {.separator = ','};
        rp_table_row row;
        double begin = seconds();
        while (rp_table_next(&table, text + at, size - at, true, &row, &taken) == RP_TABLE_ROW) at += taken;
        assert_int_equal(at + taken, size);
        assert_true(seconds() - begin < 5); /* 0.1 s; quadratic, hours */
        rp_table_finish(&table);
    }
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_those_of_python),
        cmocka_unit_test(test_a_nul_is_a_character),
        cmocka_unit_test(test_tsv_has_no_quotes),
        cmocka_unit_test(test_the_separator_is_found),
        cmocka_unit_test(test_bad_rows_fail_alone),
        cmocka_unit_test(test_rows_have_a_longest_length),
        cmocka_unit_test(test_messages_say_what_to_do),
        cmocka_unit_test(test_utf16_is_named),
        cmocka_unit_test(test_rows_can_be_read_again),
        cmocka_unit_test(test_a_row_of_very_many_fields),
        cmocka_unit_test(test_quotes_in_bad_places_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
