/* Tables as a user of the command has them: rows in, the same rows with the answers out, whatever is wrong
 * with some. Most of it through `tokenize`, which needs no device. */
#include "support_cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/table.h"

#define MODEL SOURCE_DIR "/tools/models/sentiment"
#define MARK "\xef\xbb\xbf"

/* True when `out` is `expected`, in which '@' stands for an answer of tokenize as CSV has it, '~' for one as
 * TSV has it, and '!' for any text up to the next line end. */
static bool matches(const char *out, const char *expected) {
    for (; *expected; expected++) {
        if (*expected == '!') {
            out += strcspn(out, "\r\n");
            continue;
        }
        if (*expected != '@' && *expected != '~') {
            if (*out++ != *expected) return false;
            continue;
        }
        const char *begin = *expected == '@' ? "\"{\"\"input_ids\"\": [" : "{\"input_ids\": [";
        const char *end = *expected == '@' ? "]]}\"" : "]]}";
        if (strncmp(out, begin, strlen(begin))) return false;
        out = strstr(out, end);
        if (!out) return false;
        out += strlen(end);
    }
    return !*out;
}

static void assert_table(const char *option, const char *input, int status, const char *expected) {
    cli_run run = cli_text(CLI_ARGS("tokenize", option, "-m", MODEL), input);
    if (run.status != status || !matches(run.out, expected))
        print_error("of\n%s\ncame, with status %d,\n%s\n", input, run.status, run.out);
    assert_int_equal(run.status, status);
    assert_true(matches(run.out, expected));
    cli_free(&run);
}

static void test_rows_come_back_with_their_answers(void **state) {
    static const char *const cases[][3] = {
        {"--csv", "id,text\n1,good\n2,bad", "id,text,answer,error\n1,good,@,\n2,bad,@,\n"},
        {"--csv", MARK "text;\"n\"\r\n\"a;b\";\" \"\"c\"\" \"\r\nd;\r\n",
         MARK "text;\"n\";answer;error\r\n\"a;b\";\" \"\"c\"\" \";@;\r\nd;;@;\r\n"},
        {"--csv", "n\tsentence\r1\t\"two\rlines\t\"\r",
         "n\tsentence\tanswer\terror\r1\t\"two\rlines\t\"\t@\t\r"},
        {"--csv", "a, Text \n\n01, x \n\n",
         "a, Text ,answer,error\n01, x ,@,\n"}, /* empty lines are no rows */
        {"--csv", "text\n\"\"\n", "text,answer,error\n\"\",@,\n"},
        {"--csv", "text,b\nx\"y,\"1\"\n", "text,b,answer,error\nx\"y,\"1\",@,\n"},
        {"--csv", "text,b\n", "text,b,answer,error\n"},
        {"--tsv", "sentence\tlabel\n\"good\t1\nbad\" one\t0\n",
         "sentence\tlabel\tanswer\terror\n\"good\t1\t~\t\nbad\" one\t0\t~\t\n"},
        {"--csv", "question,sentence\nwho,he\n", "question,sentence,answer,error\nwho,he,@,\n"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) assert_table(cases[i][0], cases[i][1], 0, cases[i][2]);
}

static void test_bad_rows_fail_alone_and_stay_in_the_table(void **state) {
    static const char *const cases[][3] = {
        {"--csv", "id,text\n1\n2,a,b\n3,c\n",
         "id,text,answer,error\n"
         "1,,,\"standard input, line 2: has 1 field, not 2; !\n"
         "2,\"a,b\",,\"standard input, line 3: has 3 fields, not 2; !\n"
         "3,c,@,\n"},
        {"--csv", "id,text\r\n1,\"a\r\nb\"\r\n2,\"c\r\n3,d\r\n",
         "id,text,answer,error\r\n1,\"a\r\nb\",@,\r\n"
         "\"2,\"\"c\",,,\"standard input, line 4: a quote that opens !\r\n3,d,@,\r\n"},
        {"--csv", "id,text\n1,\xff\n2,b\n",
         "id,text,answer,error\n1,\xef\xbf\xbd,,\"standard input, line 2: byte 2 of the row is "
         "!\n2,b,@,\n"},
        {"--csv", "id,text\n\"1, \xf6\",\"\"\"a\"\n\xf6\n\xf6,b,c\n2,b\n", /* columns stay what they were */
         "id,text,answer,error\n\"1, \xef\xbf\xbd\",\"\"\"a\",,\"standard input, line 2: !\n"
         "\xef\xbf\xbd,,,\"standard input, line 3: !\n\xef\xbf\xbd,\"b,c\",,\"standard input, line 4: !\n"
         "2,b,@,\n"},
        {"--tsv", "id\ttext\n1\ta\tb\n2\tb\n",
         "id\ttext\tanswer\terror\n1\ta b\t\tstandard input, line 2: has 3 fields!\n2\tb\t~\t\n"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) assert_table(cases[i][0], cases[i][1], 1, cases[i][2]);
}

static void test_files_that_are_no_tables(void **state) {
    static const struct {
        const char *option, *input;
        int status;
        const char *says;
    } cases[] = {
        {"--csv", "", 1, "standard input: is empty; the first line of a table names its columns"},
        {"--csv", "\n\n", 1, "is empty"},
        {"--csv", "id,review\n1,x\n", 2,
         "no column is named text or sentence; its columns are id, review; name one with --text-column"},
        {"--tsv", "id,text\n1,x\n", 2, "its columns are id,text;"},
        {"--csv", "\xff\xfei\n", 1, "standard input, line 1: the file is UTF-16; save it as UTF-8"},
        {"--csv", "text,id,text\n1,2,3\n", 2, "standard input: two columns are named 'text'; give them"},
        {"--csv", "text,\"b\n1,2\n", 1, "line 1: a quote that opens a field here is never closed"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        cli_run run = cli_text(CLI_ARGS("tokenize", cases[i].option, "-m", MODEL), cases[i].input);
        assert_int_equal(run.status, cases[i].status);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, cases[i].says));
        cli_free(&run);
    }
}

/* The texts of the only row are those of `line` as JSON. */
static void assert_texts(const char *const *args, const char *table, const char *line) {
    const char *all[16] = {"tokenize", "-m", MODEL, "--csv", "--json"};
    for (size_t i = 0; args[i]; i++) all[5 + i] = args[i];
    cli_run run = cli_text(all, table), same = cli_text(CLI_ARGS("tokenize", "--jsonl", "-m", MODEL), line);
    assert_int_equal(run.status, 0);
    assert_string_equal(run.out, same.out);
    cli_free(&run);
    cli_free(&same);
}

static void test_columns_are_found_or_named(void **state) {
    (void)state;
    const char *const one = "{\"text\": \"one\"}\n", *const two =
                                                         "{\"text\": \"one\", \"text_pair\": \"two\"}\n";
    assert_texts(CLI_ARGS("--pair"), "text,text_pair\none,two\n", two);
    assert_texts((const char *const[]){NULL}, "id,Sentence2,Sentence1\n0,two,one\n", two);
    assert_texts((const char *const[]){NULL}, "premise,hypothesis,label\none,two,0\n", two);
    assert_texts((const char *const[]){NULL}, "question1,question2\none,two\n", two);
    assert_texts((const char *const[]){NULL}, "label,sentence\n0,one\n", one);
    assert_texts(CLI_ARGS("--text-column", "review"), "text,review\ntwo,one\n", one);
    assert_texts(CLI_ARGS("--pair-column", "b"), "text,b\none,two\n", two);
    assert_texts(CLI_ARGS("--text-column", "a b", "--pair-column", "\"q\""), "a b,\"\"\"q\"\"\"\none,two\n",
                 two);
}

static void test_columns_that_are_not_there(void **state) {
    static const struct {
        const char *args[6], *table, *says;
    } cases[] = {
        {{"--text-column", "txt"},
         "id,text\n",
         "no column is named 'txt'; its columns are id, text; name one of "
         "them with --text-column"},
        {{"--text-column", "a", "--pair-column", "c"}, "a,b\n", "no column is named 'c'"},
        {{"--text-column", "a"}, "a,a\n", "two columns are named 'a'"},
        {{"--pair"},
         "text,label\n",
         "its columns are text, label; name two with --text-column and --pair-column"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        const char *all[16] = {"tokenize", "-m", MODEL, "--csv"};
        memcpy(all + 4, cases[i].args, sizeof cases[i].args);
        cli_run run = cli_text(all, cases[i].table);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, cases[i].says));
        cli_free(&run);
    }
}

static void test_names_that_are_taken(void **state) {
    (void)state;
    cli_run run =
        cli_text(CLI_ARGS("tokenize", "--csv", "-m", MODEL), "text,answer,error,reprise_error\na,b,c,d\n");
    assert_int_equal(run.status, 0);
    assert_true(
        matches(run.out, "text,answer,error,reprise_error,reprise_answer,reprise_error_2\na,b,c,d,@,\n"));
    assert_non_null(strstr(run.err, "has a column 'answer' already; the new one is called 'reprise_answer'"));
    cli_free(&run);
}

static const char *text_file(const char *name, const char *content) {
    return cli_file(name, content, strlen(content));
}

static void test_several_files_are_one_table(void **state) {
    char first[4096], second[4096];
    (void)state;
    strcpy(first, text_file("first.csv", "id,text\n1,\"a;b\"\n2,c"));
    strcpy(second, text_file("second.csv", "id;text\n3;\"a;b\"\n4;\"d,e\"\n"));
    cli_run run = cli(CLI_ARGS("tokenize", "--csv", "-m", MODEL, "-f", first, "-f", second), NULL, 0);
    assert_int_equal(run.status, 0);
    assert_true(matches(run.out, "id,text,answer,error\n1,\"a;b\",@,\n2,c,@,\n3,a;b,@,\n4,\"d,e\",@,\n"));
    cli_free(&run);
    strcpy(second, text_file("second.csv", "id,txt\n3,x\n"));
    run = cli(CLI_ARGS("tokenize", "--csv", "-m", MODEL, first, second, first), NULL, 0);
    assert_int_equal(run.status, 1);
    assert_true(matches(run.out, "id,text,answer,error\n1,\"a;b\",@,\n2,c,@,\n1,\"a;b\",@,\n2,c,@,\n"));
    assert_non_null(strstr(run.err, "the columns are not those of the first file; its columns are id, txt"));
    cli_free(&run);
    unlink(first);
    unlink(second);
}

static void test_labels_and_order_have_columns(void **state) {
    (void)state;
    cli_run table = cli_text(CLI_ARGS("classify", "--csv"), "text,id\n\"warm, and funny\",7\n");
    cli_run json = cli(CLI_ARGS("classify", "--json", "warm, and funny"), NULL, 0);
    json_t *labels = cli_json(&json, 0), *best = json_array_get(labels, 0);
    const char *score = strstr(json.out, "\"score\": ") + strlen("\"score\": ");
    char want[200];
    snprintf(want, sizeof want, "text,id,label,score,error\n\"warm, and funny\",7,%s,%.*s,\n",
             json_string_value(json_object_get(best, "label")), (int)strcspn(score, "}"), score);
    json_decref(labels);
    assert_int_equal(table.status, 0);
    assert_string_equal(table.out, want);
    cli_free(&table);
    cli_free(&json);

    table = cli_text(CLI_ARGS("coherence", "--tsv"), "sentence1\tsentence2\nA letter came.\tHe read it.\n");
    json = cli(CLI_ARGS("coherence", "--json", "A letter came.", "He read it."), NULL, 0);
    score = strstr(json.out, "\"score\": ") + strlen("\"score\": ");
    snprintf(want, sizeof want,
             "sentence1\tsentence2\tlabel\tscore\terror\nA letter came.\tHe read it.\t%s\t%.*s\t\n",
             strstr(json.out, "in_order") ? "in_order" : "swapped", (int)strcspn(score, "}"), score);
    assert_string_equal(table.out, want);
    cli_free(&table);
    cli_free(&json);
}

static void test_a_model_that_is_missing_is_said_in_each_row(void **state) {
    (void)state;
    cli_run run = cli_text(CLI_ARGS("classify", "--csv", "-m", "/nonexistent"), "text\na\nb\n");
    assert_int_equal(run.status, 1);
    assert_true(matches(run.out, "text,label,score,error\na,,,!\nb,,,!\n"));
    assert_non_null(strstr(run.out, "/nonexistent"));
    cli_free(&run);
}

static void test_wrong_usage(void **state) {
    static const struct {
        const char *args[8], *says;
    } cases[] = {
        {{"tokenize", "--csv", "--tsv"}, "takes one of --csv and --tsv"},
        {{"tokenize", "--csv", "--jsonl"}, "takes one of --csv, --tsv, --jsonl"},
        {{"tokenize", "--csv", "--keep"}, "takes one of --csv, --tsv, --jsonl and --keep"},
        {{"tokenize", "--text-column", "a"}, "give --csv or --tsv too"},
        {{"tokenize", "--csv", "--text-column", ""}, "--text-column"},
        {{"embed", "--csv", "--pair-column", "a"}, "takes one text a row"},
        {{"classify", "--csv", "--top-k", "2"}, "--top-k is for --json"},
        {{"tokenize", "--csv", "-f", "a", "b"}, "give either --file or TEXT"},
        {{"tokenize", "--files"}, "--files needs the names of files"},
        {{"tokenize", "--files", "--pair", "a", "b"}, "--files gives one text a file"},
        {{"coherence", "--files", "a", "b"}, "--files gives one text a file"},
        {{"tokenize", "--files", "--csv", "a"}, "--files reads each file as one text"},
        {{"tokenize", "--files", "-f", "a", "b"}, "--files reads each file as one text"},
        {{"tokenize", "--keep", "text"}, "give either --keep or TEXT"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        cli_run run = cli(cases[i].args, NULL, 0);
        assert_int_equal(run.status, 2);
        assert_int_equal(run.out_size, 0);
        assert_non_null(strstr(run.err, cases[i].says));
        assert_non_null(strstr(run.err, "--help'\n"));
        cli_free(&run);
    }
}

static void test_tables_that_are_read_as_lines_are_said_once(void **state) {
    static const struct {
        const char *name, *content;
        bool said;
    } cases[] = {
        {"a.csv", "x\ny\n", true},
        {"a.TSV", "x\ny\n", true},
        {"a.txt", "id,text\n1,x\n", true},
        {"a.txt", "\"Sentence\";\"label\"\nx;1\n", true},
        {"a.txt", "a text, with commas\nid,text\n", false},
        {"a.txt", "text\nx\n", false},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        char path[4096];
        strcpy(path, text_file(cases[i].name, cases[i].content));
        cli_run run = cli(CLI_ARGS("tokenize", "--json", "-m", MODEL, "-f", path, "-f", path), NULL, 0);
        assert_int_equal(run.status, 0);
        assert_int_equal(cli_line_count(&run), 4);
        const char *said = strstr(run.err, "looks like a table");
        assert_int_equal(said != NULL, cases[i].said);
        if (said) assert_null(strstr(said + 1, "looks like a table"));
        cli_free(&run);
        unlink(path);
    }
}

/* ---- streams ---- */

static void test_rows_are_answered_as_they_come(void **state) {
    char line[4096];
    (void)state;
    cli_pipe pipe = cli_start(CLI_ARGS("tokenize", "--csv", "-m", MODEL));
    assert_int_equal(write(pipe.to, "id,text\n", 8), 8);
    assert_true(cli_read_line(&pipe, line, sizeof line, 60));
    assert_string_equal(line, "id,text,answer,error\n");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(pipe.to, "1,\"a\nb\"\n", 8), 8);
        assert_true(cli_read_line(&pipe, line, sizeof line, 60));
        assert_string_equal(line, "1,\"a\n");
        assert_true(cli_read_line(&pipe, line, sizeof line, 60));
        assert_true(matches(line, "b\",@,\n"));
    }
    assert_int_equal(cli_finish(&pipe), 0);
}

static void test_what_cannot_be_written_ends_it(void **state) {
    char command[4096];
    (void)state;
    snprintf(command, sizeof command,
             "(echo text; yes good) | '%s/reprise' tokenize --csv -m '%s' >/dev/full 2>/dev/null", BINARY_DIR,
             MODEL);
    assert_int_equal(WEXITSTATUS(system(command)), 1);
    snprintf(
        command, sizeof command,
        "(echo text; yes good) | '%s/reprise' tokenize --csv -m '%s' | head -n 3 | grep -c good >/dev/null",
        BINARY_DIR, MODEL);
    assert_int_equal(WEXITSTATUS(system(command)), 0);
}

/* Rows of one line and of two, good and bad. */
static char *many_rows(size_t count, size_t *size) {
    char *text = malloc(count * 64 + 64), *at = text;
    assert_non_null(text);
    at += sprintf(at, "id,text\n");
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, i % 10 == 9 ? "%zu\n" : i % 3 ? "%zu,good film\n" : "%zu,\"a \"\"b\"\"\nc\"\n", i);
    *size = (size_t)(at - text);
    return text;
}

static void test_a_hundred_thousand_rows_in_constant_memory(void **state) {
    enum { FEW = 2000, MANY = 100000 };
    size_t few_size, many_size;
    (void)state;
    char *few = many_rows(FEW, &few_size), *many = many_rows(MANY, &many_size);
    cli_run a = cli(CLI_ARGS("tokenize", "--csv", "-m", MODEL), few, few_size);
    cli_run b = cli(CLI_ARGS("tokenize", "--csv", "-m", MODEL), many, many_size);
    assert_int_equal(b.status, 1);
    if (!getenv("ASAN_OPTIONS")) assert_true(b.peak_kib < a.peak_kib + 8 * 1024);
    rp_table table = {0};
    rp_table_row row;
    size_t at = 0, taken;
    assert_int_equal(rp_table_next(&table, b.out, b.out_size, true, &row, &taken), RP_TABLE_ROW);
    for (size_t i = 0; i < MANY; i++) { /* all of them, in order */
        char id[24];
        at += taken;
        assert_int_equal(rp_table_next(&table, b.out + at, b.out_size - at, true, &row, &taken),
                         RP_TABLE_ROW);
        assert_int_equal(row.mistake[0], 0);
        snprintf(id, sizeof id, "%zu", i);
        assert_int_equal(row.fields[0].size, strlen(id));
        assert_memory_equal(row.fields[0].data, id, strlen(id));
        assert_int_equal(row.fields[2].size > 0, i % 10 != 9);
        assert_int_equal(row.fields[3].size > 0, i % 10 == 9);
    }
    assert_int_equal(at + taken, b.out_size);
    rp_table_finish(&table);
    cli_free(&a);
    cli_free(&b);
    free(few);
    free(many);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back_with_their_answers),
        cmocka_unit_test(test_bad_rows_fail_alone_and_stay_in_the_table),
        cmocka_unit_test(test_files_that_are_no_tables),
        cmocka_unit_test(test_columns_are_found_or_named),
        cmocka_unit_test(test_columns_that_are_not_there),
        cmocka_unit_test(test_names_that_are_taken),
        cmocka_unit_test(test_several_files_are_one_table),
        cmocka_unit_test(test_labels_and_order_have_columns),
        cmocka_unit_test(test_a_model_that_is_missing_is_said_in_each_row),
        cmocka_unit_test(test_wrong_usage),
        cmocka_unit_test(test_tables_that_are_read_as_lines_are_said_once),
        cmocka_unit_test(test_rows_are_answered_as_they_come),
        cmocka_unit_test(test_what_cannot_be_written_ends_it),
        cmocka_unit_test(test_a_hundred_thousand_rows_in_constant_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
