/* Labelled data: what each format means, what a bad row says, any order, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/data.h"
#include "support_fixture.h"

/* ---- memory that runs out ---- */

static long allowed = -1; /* allocations until one fails; -1: none does */

static bool fails(void) {
    return allowed >= 0 && allowed-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
    return fails() ? NULL : __real_realloc(old, size);
}

/* ---- files ---- */

static char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32];

static int begin(void **state) {
    (void)state;
    return fixture_make_dir(dir) ? 0 : -1;
}

static int end(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

/* A file of that name, which is removed with the rest. */
static const char *file_of(const char *name, const char *content) {
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_true(fixture_write_text(dir, name, content));
    return path;
}

static void put(char *out, const char *mark, rp_text text) {
    size_t size = strlen(out);
    snprintf(out + size, 1024 - size, "%s%.*s", mark, (int)text.size, text.data);
}

/* A row as text: "text|pair#label#label", tokens "token/tag", answers "@byte=text", choices "?choice". */
static void tell(const rp_data_row *row, char out[1024]) {
    out[0] = '\0';
    if (row->id.data) put(out, "", row->id), put(out, ":", (rp_text){"", 0});
    put(out, "", row->text);
    if (row->pair.data) put(out, "|", row->pair);
    for (size_t i = 0; i < row->item_count; i++) {
        char start[32] = "";
        if (row->starts) snprintf(start, sizeof start, "@%d=", (int)row->starts[i]);
        put(out, row->kind == RP_DATA_CHOICES ? "?" : row->starts ? start : " ", row->items[i]);
        if (row->kind == RP_DATA_TOKENS && row->labelled) put(out, "/", row->labels[i]);
    }
    for (size_t i = 0; row->kind != RP_DATA_TOKENS && i < row->label_count; i++)
        put(out, "#", row->labels[i]);
    if (!row->labelled) put(out, "!", (rp_text){"", 0});
}

static void assert_file(const char *name, const char *content, const rp_data_params *params,
                        const char *const *rows) {
    rp_data *data;
    rp_error err = {0};
    char told[1024];
    size_t count = 0;
    while (rows[count]) count++;
    if (rp_data_open(file_of(name, content), params, &data, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_data_count(data), count);
    for (int pass = 0; pass < 3; pass++) /* in order, backwards, and by leaps */
        for (size_t k = 0; k < count; k++) {
            rp_data_row row;
            size_t i = pass == 0 ? k : pass == 1 ? count - 1 - k : k * 7 % count;
            assert_int_equal(rp_data_read(data, i, &row, &err), RP_OK);
            assert_int_equal(row.kind, rp_data_kind_of(data));
            tell(&row, told);
            assert_string_equal(told, rows[i]);
        }
    rp_data_close(&data);
}

#define ROWS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_tables(void **state) {
    (void)state;
    assert_file("a.tsv", "sentence\tlabel\na \"b\t1\n\nc\t0\n", NULL, ROWS("a \"b#1", "c#0"));
    assert_file("a.tsv", "\xef\xbb\xbfindex\tsentence1\tsentence2\tlabel\r\n0\ta\tb\tentailment\r\n", NULL,
                ROWS("a|b#entailment"));
    assert_file("a.tsv", "index\tquestion\tsentence\tlabel\n0\tq\ts\tx\n", NULL, ROWS("q|s#x"));
    assert_file("a.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tq\tr\t0\n", NULL,
                ROWS("q|r#0"));
    assert_file("a.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t70\t71\ta\tb\n", NULL,
                ROWS("a|b#1"));
    assert_file("a.csv", "label,premise,hypothesis\n2,\"a, \"\"b\"\"\",\"c\nd\"\n0,,x\n", NULL,
                ROWS("a, \"b\"|c\nd#2", "|x#0"));
    assert_file("a.csv", "text;category\na,b;x y\n", &(rp_data_params){.label_column = "category"},
                ROWS("a,b#x y"));
    assert_file("a.csv", "text,text_pair\na,b\n", NULL, ROWS("a|b!"));
    assert_file("a", "Label\tSMS\nham\tHi\n",
                &(rp_data_params){.format = RP_DATA_TSV, .text_column = "SMS", .label_column = "Label"},
                ROWS("Hi#ham"));
    assert_file("a.csv", "text,label\na,\"x, y\"\nb,\nc,z\n", &(rp_data_params){.many = true},
                ROWS("a#x#y", "b", "c#z"));
    assert_file("a.tsv", "gj04\t1\t\tOur friends.\ngj04\t0\t*\tMe.\n", NULL, ROWS("Our friends.#1", "Me.#0"));
    assert_file("a.txt", "c\tok\t\tA.\n", &(rp_data_params){.format = RP_DATA_COLA}, ROWS("A.#ok"));
}

static void test_json(void **state) {
    (void)state;
    assert_file("a.jsonl",
                "{\"text\": \"a\", \"label\": 1}\n\n \n{\"text\": \"b\\u00e9\", \"text_pair\": \"c\", "
                "\"label\": \"x\"}\r\n{\"text\": \"d\", \"label\": null}\n{\"text\": \"e\", \"label\": 0.1}",
                NULL, ROWS("a#1", "b\xc3\xa9|c#x", "d!", "e#0.1"));
    assert_file("a.jsonl", "{\"text\": \"a\", \"labels\": [\"x\", 2]}\n{\"text\": \"b\", \"labels\": []}\n",
                &(rp_data_params){.many = true}, ROWS("a#x#2", "b"));
    assert_file("a.jsonl",
                "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"B-X\"]}\n"
                "{\"tokens\": [\"c\"], \"ner_tags\": [3]}\n{\"tokens\": [\"d\"]}\n",
                NULL,
                ROWS(" a/O b/B-X", " c/3",
                     " d"
                     "!"));
    assert_file("a.jsonl",
                "{\"question\": \"q\", \"context\": \"\\u00e9 b b\", \"answers\": {\"text\": [\"b\", \"b\"], "
                "\"answer_start\": [2, 4]}}\n"
                "{\"id\": 7, \"question\": \"q\", \"context\": \"c\", \"answers\": []}\n"
                "{\"id\": \"i\", \"question\": \"q\", \"context\": \"c\", \"answers\": \"c\"}\n"
                "{\"question\": \"q\", \"context\": \"c\"}\n",
                NULL, ROWS("q|\xc3\xa9 b b@3=b@5=b", "7:q|c", "i:q|c@-1=c", "q|c!"));
    assert_file("a.jsonl", "{\"text\": \"a\", \"choices\": [\"x\", \"y\"], \"label\": 1}\n", NULL,
                ROWS("a?x?y#1"));
    assert_file("a.json", "{\"review\": \"a\", \"stars\": 5}\n",
                &(rp_data_params){.text_column = "review", .label_column = "stars", .format = RP_DATA_JSONL},
                ROWS("a#5"));
    assert_file("a.json", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": 0}\n", NULL,
                ROWS("a#1", "b#0"));
}

static void test_instances(void **state) {
    static const char content[] =
        "{\"input_ids\": [2, 4, 7, 3], \"token_type_ids\": [0, 0, 1, 1], \"masked_positions\": [2, 1], "
        "\"masked_ids\": [9, -100], \"order\": 1}\n\n"
        "{\"masked_ids\": [], \"masked_positions\": [], \"input_ids\": [5], \"order\": -1}\n";
    rp_data *data;
    rp_data_row row;
    rp_error err = {0};
    (void)state;
    if (rp_data_open(file_of("a.jsonl", content), NULL, &data, &err)) fail_msg("%s", err.message);
    assert_int_equal(rp_data_count(data), 2);
    assert_int_equal(rp_data_kind_of(data), RP_DATA_INSTANCE);
    assert_int_equal(rp_data_read(data, 1, &row, &err), RP_OK);
    assert_int_equal(row.instance.count, 1);
    assert_int_equal(row.instance.ids[0], 5);
    assert_null(row.instance.types);
    assert_int_equal(row.instance.masked, 0);
    assert_int_equal(row.instance.order, -1);
    assert_int_equal(rp_data_read(data, 0, &row, &err), RP_OK);
    const rp_instance *in = &row.instance;
    assert_int_equal(in->count, 4);
    assert_memory_equal(in->ids, ((const int32_t[]){2, 4, 7, 3}), 16);
    assert_memory_equal(in->types, ((const int32_t[]){0, 0, 1, 1}), 16);
    assert_int_equal(in->masked, 2);
    assert_memory_equal(in->masked_positions, ((const uint32_t[]){2, 1}), 8);
    assert_memory_equal(in->masked_ids, ((const int32_t[]){9, -100}), 8);
    assert_int_equal(in->order, 1);
    rp_data_close(&data);
}

static void test_conll_and_squad(void **state) {
    (void)state;
    assert_file("a.conll",
                "-DOCSTART- -X- O O\n\nEU NNP B-NP B-ORG\nsaid VBD B-VP O\r\n\n\n \nx\ty z\tO \n#\tB-X", NULL,
                ROWS(" EU/B-ORG said/O", " x/O #/B-X"));
    assert_file("a.iob2", "a\nb\n\n", NULL, ROWS(" a b!"));
    assert_file(
        "a.json",
        "{\"version\": \"v2.0\", \"data\": [{\"title\": \"t\", \"paragraphs\": [{\"context\": \"a b\", "
        "\"qas\": [\n{\"id\": \"1\", \"question\": \"q\", \"answers\": [{\"text\": \"b\", "
        "\"answer_start\": 2}], \"is_impossible\": false},\n{\"id\": \"2\", \"question\": \"r\", "
        "\"answers\": [], \"plausible_answers\": [{\"text\": \"a\", \"answer_start\": 0}]}]}]}]}",
        NULL, ROWS("1:q|a b@2=b", "2:r|a b"));
}

/* ---- bad rows ---- */

/* An instance that is right, and one that is wrong. */
#define INSTANCE(ids, more, positions, masked, says)                                         \
    {                                                                                        \
        "a.jsonl",                                                                           \
            "{\"input_ids\": [1], \"masked_positions\": [], \"masked_ids\": []}\n{" ids more \
            ", \"masked_positions\": " positions ", \"masked_ids\": " masked "}\n",          \
            {.kind = RP_DATA_INSTANCE}, {"line 2: ", says}, 1                                \
    }
static const struct {
    const char *name, *content;
    rp_data_params params;
    const char *says[2];
    int bad; /* rows that are left out with skip_bad; 0: the file fails all the same */
} wrong[] = {
    {"a.tsv", "sentence\tlabel\na\t1\nb\n", {0}, {"line 3:", "1 field, not 2"}, 1},
    {"a.tsv", "sentence\tlabel\na\t1\nb\t\n", {.labelled = true}, {"line 3: has no label"}, 1},
    {"a.tsv", "sentence\tlabel\na\t1\n\xff\t1\n", {0}, {"line 3: byte 0"}, 1},
    {"a.tsv", "sentence\tlabel\na\t1\nb\t\xff\n", {0}, {"line 3: byte 2"}, 1},
    {"a.tsv", "sentence\tlabel\na\t1\nb\t1e999\n", {.numbers = true}, {"line 3: the label '1e999'"}, 1},
    {"a.tsv", "sentence\tlabel\na\t1\nb\tx\n", {.numbers = true}, {"line 3: the label 'x' is no finite"}, 1},
    {"a.csv", "text,label\na,1\n\"b,1\nc,1\n", {0}, {"line 3:", "never closed"}, 1},
    {"a.csv", "review,label\na,1\n", {0}, {"line 1:", "it has review, label"}, 0},
    {"a.csv", "text,label,x,label\na,1,2,3\n", {0}, {"line 1: two columns are named 'label'; rename one"}, 0},
    {"a.csv", "text,stars\na,1\n", {.labelled = true}, {"line 1: no column of the header is the label's"}, 0},
    {"a.csv", "text,label\na,1\n", {.text_column = "t"}, {"line 1:", "'t'"}, 0},
    {"a.csv", "text,label\n", {0}, {"has no rows"}, 0},
    {"a.csv", "", {0}, {"is empty"}, 0},
    {"a.csv", "text,label\na,1\nb,\"x,x\"\n", {.many = true}, {"line 3: has the label 'x' twice"}, 1},
    {"a.bin", "text,label\na,1\n", {0}, {"name the format"}, 0},
    {"a.jsonl", "{\"text\": \"a\"}\n{\"text\": }\n", {0}, {"line 2: not valid JSON"}, 1},
    {"a.jsonl", "{\"text\": \"a\"}\n[1]\n", {0}, {"line 2: is a list"}, 1},
    {"a.jsonl", "{\"text\": \"a\"}\n{\"text\": 1}\n", {0}, {"line 2: has no text"}, 1},
    {"a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": {}}\n", {0}, {"line 2: a label is"}, 1},
    {"a.jsonl",
     "{\"text\": \"a\"}\n{\"text\": \"b\", \"label\": [1, 2]}\n",
     {0},
     {"line 2: has 2 labels"},
     1},
    {"a.jsonl",
     "{\"text\": \"a\"}\n\n{\"tokens\": [\"b\"], \"tags\": [\"O\"]}\n",
     {0},
     {"line 3: holds tokens, and the rows before it hold a text"},
     1},
    {"a.jsonl", "{\"text\": \"a\"}\n", {.kind = RP_DATA_TOKENS}, {"line 1:", "the task needs tokens"}, 0},
    {"a.jsonl",
     "{\"tokens\": [\"a\"]}\n{\"tokens\": [\"a\"], \"tags\": [\"O\", \"O\"]}\n",
     {0},
     {"line 2: has 1 tokens and 2 tags"},
     1},
    {"a.jsonl", "{\"tokens\": [\"a\"]}\n{\"tokens\": []}\n", {0}, {"line 2: tokens is empty"}, 1},
    {"a.jsonl",
     "{\"text\": \"a\", \"choices\": [\"x\"]}\n{\"text\": \"a\", \"choices\": [\"x\"], \"label\": 1}\n",
     {0},
     {"line 2: label is not the number of one of the 1 choices"},
     1},
    {"a.jsonl",
     "{\"question\": \"q\", \"context\": \"c\"}\n{\"question\": \"q\", \"context\": \"c\", \"answers\": "
     "[{\"text\": \"c\", \"answer_start\": 1}]}\n",
     {0},
     {"line 2: answer_start of 'c'"},
     1},
    INSTANCE("\"input_ids\": []", "", "[]", "[]", "input_ids is empty"),
    INSTANCE("\"input_ids\": [1, -1]", "", "[]", "[]", "input_ids: entry 2"),
    INSTANCE("\"input_ids\": [1, 2147483648]", "", "[]", "[]", "input_ids: entry 2"),
    INSTANCE("\"input_ids\": [1, 2.5]", "", "[]", "[]", "input_ids: entry 2"),
    INSTANCE("\"input_ids\": {}", "", "[]", "[]", "input_ids is an object"),
    INSTANCE("\"ids\": [1]", "", "[]", "[]", "has no input_ids"),
    INSTANCE("\"input_ids\": [1]", ", \"token_type_ids\": [0, 0]", "[]", "[]", "1 input_ids and 2 token_"),
    INSTANCE("\"input_ids\": [1, 2]", "", "[0]", "[]", "1 masked_positions and 0 masked_ids"),
    INSTANCE("\"input_ids\": [1, 2]", "", "[2]", "[1]", "masked_positions: entry 1 is 2"),
    INSTANCE("\"input_ids\": [1, 2]", "", "[-1]", "[1]", "masked_positions: entry 1"),
    INSTANCE("\"input_ids\": [1, 2]", "", "[1, 1]", "[1, 1]", "1 stands there twice"),
    INSTANCE("\"input_ids\": [1]", ", \"order\": 2", "[]", "[]", "order must be 0"),
    INSTANCE("\"input_ids\": [1]", ", \"order\": true", "[]", "[]", "order must be 0"),
    {"a.conll", "a\tO\n\nb\t\xff\n", {0}, {"line 3: byte 2 of the sentence is not UTF-8"}, 1},
    {"a.conll", "a\tO\n\nb\tO\nc\n", {0}, {"line 3: line 2 of the sentence has no tag"}, 1},
    {"a.conll", "a\tO\n\n\tO\n", {0}, {"line 3: line 1 of the sentence has no token"}, 1},
    {"a.json", "{\n\"data\": 1}", {0}, {"data: is an integer"}, 0},
    {"a.json",
     "{\n\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"question\": \"q\"}, {\"id\": "
     "\"x\"}]}]}]}",
     {0},
     {"question 2, id x: question is no string"},
     1},
};

static void test_bad_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < RP_COUNT(wrong); i++) {
        rp_data *data = (rp_data *)&data;
        rp_error err = {0};
        rp_data_params params = wrong[i].params;
        const char *file = file_of(wrong[i].name, wrong[i].content);
        rp_status status = rp_data_open(file, &params, &data, &err);
        assert_true(status == RP_ERROR_FORMAT ||
                    (status == RP_ERROR_ARGUMENT && strstr(wrong[i].name, ".bin")));
        assert_null(data);
        assert_non_null(strstr(err.message, file));
        for (int k = 0; k < 2 && wrong[i].says[k]; k++)
            if (!strstr(err.message, wrong[i].says[k]))
                fail_msg("'%s' not in '%s'", wrong[i].says[k], err.message);
        params.skip_bad = true;
        status = rp_data_open(file, &params, &data, &err);
        assert_int_equal(status != RP_OK, !wrong[i].bad);
        if (status) continue;
        assert_int_equal(rp_data_skipped(data), wrong[i].bad);
        assert_true(rp_data_count(data) >= 1);
        rp_data_close(&data);
    }
}

static void test_a_file_that_is_none(void **state) {
    rp_data *data;
    rp_error err = {0};
    (void)state;
    assert_int_equal(rp_data_open("/nonexistent/x.tsv", NULL, &data, &err), RP_ERROR_FILE);
    assert_int_equal(rp_data_open(dir, NULL, &data, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "regular file"));
}

static void test_a_file_that_changes(void **state) {
    rp_data *data;
    rp_data_row row;
    rp_error err = {0};
    (void)state;
    assert_int_equal(
        rp_data_open(file_of("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"}\n"), NULL, &data, &err), RP_OK);
    FILE *file = fopen(path, "r+"); /* the same file, not another in its place */
    assert_non_null(file);
    assert_true(fputs("{\"text\": \"abc\"}\n[]", file) >= 0);
    fclose(file);
    assert_int_equal(truncate(path, 18), 0);
    rp_data_read(data, 1, &row, &err); /* it may be held already */
    rp_data_read(data, 0, &row, &err);
    assert_int_equal(rp_data_read(data, 1, &row, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "changed"));
    assert_int_equal(rp_data_read(data, 2, &row, &err), RP_ERROR_ARGUMENT);
    rp_data_close(&data);
}

/* Rows longer than what is read at once, and lines that are counted anew. */
static void test_long_rows_and_lines(void **state) {
    enum { LONG = 200000 };
    rp_data *data;
    rp_data_row row;
    rp_error err = {0};
    char *content = malloc(3 * LONG + 200);
    (void)state;
    assert_non_null(content);
    size_t at = (size_t)sprintf(content, "text\tlabel\n");
    for (int i = 0; i < 3; i++) {
        memset(content + at, 'a' + i, LONG);
        at += LONG;
        at += (size_t)sprintf(content + at, "\t%d\n\n", i);
    }
    assert_int_equal(rp_data_open(file_of("a.tsv", content), NULL, &data, &err), RP_OK);
    for (int k = 0; k < 6; k++) {
        int i = k * 2 % 3;
        assert_int_equal(rp_data_read(data, (uint64_t)i, &row, &err), RP_OK);
        assert_int_equal(row.text.size, LONG);
        assert_int_equal(row.text.data[LONG - 1], 'a' + i);
        assert_int_equal(*row.labels[0].data, '0' + i);
        assert_int_equal(rp_data_line(data, (uint64_t)i), 2 + 2 * i);
    }
    rp_data_close(&data);
    free(content);
}

/* ---- labels ---- */

static void test_labels_are_sorted(void **state) {
    static const struct {
        const char *content, *sorted;
    } cases[] = {{"text,label\na,b\na,a\na,b\na,B\na,10\n", "10 B a b "},
                 {"text,label\na,10\na,9\na,-1\na,0\n", "-1 0 9 10 "},
                 {"text,label\na,10\na,9\na,01\n", "01 10 9 "},
                 {"text,label\na,b\na,ba\na,\n", "b ba "}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_labels labels = {0};
        rp_data *data;
        rp_error err = {0};
        char got[200] = "";
        assert_int_equal(rp_data_open(file_of("a.csv", cases[i].content),
                                      &(rp_data_params){.labels = &labels}, &data, &err),
                         RP_OK);
        for (size_t k = 0; k < labels.count; k++) strcat(strcat(got, labels.names[k]), " ");
        assert_string_equal(got, cases[i].sorted);
        rp_data_close(&data);
        rp_labels_finish(&labels);
    }
}

static rp_text text_of(const char *string) {
    return (rp_text){string, strlen(string)};
}

static void test_labels_are_matched(void **state) {
    static const char *const names[] = {"POSITIVE", "NEGATIVE", "2", "1"};
    static const struct {
        const char *labels[3];
        uint32_t rows[3];
    } cases[] = {{{"NEGATIVE", "2", "1"}, {1, 2, 3}}, /* all by name */
                 {{"0", "1", "3"}, {0, 1, 3}},        /* 0 and 3 are no names: all by number */
                 {{"POSITIVE", "0", "x"}, {0}},       /* neither */
                 {{"POSITIVE", "0", NULL}, {0}},      {{"4", NULL, NULL}, {0}},
                 {{"positive", NULL, NULL}, {0}}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        rp_labels labels = {0};
        rp_label_map map = {0};
        const char *missing = NULL;
        rp_error err = {0};
        for (int k = 0; k < 3 && cases[i].labels[k]; k++)
            assert_int_equal(rp_labels_add(&labels, text_of(cases[i].labels[k]), &err), RP_OK);
        rp_status status = rp_label_map_make(&map, &labels, names, 4, i % 2 ? &missing : NULL, &err);
        assert_int_equal(status, i < 2 ? RP_OK : RP_ERROR_FORMAT);
        if (status) assert_non_null(strstr(err.message, "the label '"));
        if (status && i % 2) assert_non_null(strstr(err.message, missing));
        if (i == 2) assert_non_null(strstr(err.message, "'x'")); /* 0 might be a number */
        for (int k = 0; k < 3 && !status; k++)
            assert_int_equal(rp_label_map_find(&map, text_of(cases[i].labels[k])), cases[i].rows[k]);
        if (!status) assert_int_equal(rp_label_map_find(&map, text_of("17")), UINT32_MAX);
        rp_label_map_finish(&map);
        rp_labels_finish(&labels);
    }
}

static void test_many_labels_are_found(void **state) {
    enum { COUNT = 3000 };
    static char text[COUNT][16];
    static const char *names[COUNT];
    rp_labels labels = {0};
    rp_label_map map = {0};
    rp_error err = {0};
    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof text[i], "l%u", i * 7919 % COUNT);
        names[i] = text[i];
        assert_int_equal(rp_labels_add(&labels, text_of(text[i]), &err), RP_OK);
        assert_int_equal(rp_labels_add(&labels, text_of(text[i / 2]), &err), RP_OK);
    }
    assert_int_equal(labels.count, COUNT);
    assert_int_equal(rp_label_map_make(&map, &labels, names, COUNT, NULL, &err), RP_OK);
    for (unsigned i = 0; i < COUNT; i++) assert_int_equal(rp_label_map_find(&map, text_of(text[i])), i);
    rp_label_map_finish(&map);
    rp_labels_finish(&labels);
}

static void test_numbers(void **state) {
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1},  {"-2.5", -2.5}, {"+3", 3},      {".5", .5},
                 {"4.", 4}, {"007", 7},     {"1e-3", 1e-3}, {" 2 ", 2}};
    static const char *const none[] = {"",    "-",   "+",   "nan",  "inf", "1e999",
                                       "1,5", "0x1", "1 2", "true", "--1"};
    double got;
    (void)state;
    for (size_t i = 0; i < RP_COUNT(cases); i++) {
        assert_int_equal(rp_label_number(text_of(cases[i].text), &got, NULL), RP_OK);
        assert_true(got == cases[i].value);
    }
    for (size_t i = 0; i < RP_COUNT(none); i++)
        assert_int_equal(rp_label_number(text_of(none[i]), &got, NULL), RP_ERROR_FORMAT);
}

/* ---- order ---- */

static void test_an_order_has_each_row_once(void **state) {
    static const uint64_t counts[] = {1, 2, 3, 5, 16, 17, 1000, 4097};
    (void)state;
    for (size_t c = 0; c < RP_COUNT(counts); c++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            bool *seen = calloc(counts[c], sizeof *seen);
            assert_non_null(seen);
            for (uint64_t i = 0; i < counts[c]; i++) {
                uint64_t at = rp_data_permute(i, counts[c], 42, epoch);
                assert_true(at < counts[c] && !seen[at]);
                seen[at] = true;
            }
            free(seen);
        }
    assert_true(rp_data_permute(12345, (uint64_t)1 << 40, 1, 1) < (uint64_t)1 << 40);
}

/* Over seeds every row comes first about as often, and orders of a seed or an epoch differ. */
static void test_orders_look_random(void **state) {
    enum { COUNT = 10, SEEDS = 20000 };
    int first[COUNT][COUNT] = {{0}}, same = 0;
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (uint64_t i = 0; i < COUNT; i++) first[i][rp_data_permute(i, COUNT, seed, 0)]++;
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < COUNT; k++)
            assert_in_range(first[i][k], SEEDS / COUNT - 300, SEEDS / COUNT + 300);
    for (uint64_t i = 0; i < 1000; i++) {
        same += rp_data_permute(i, 1000, 7, 0) == rp_data_permute(i, 1000, 7, 1);
        same += rp_data_permute(i, 1000, 7, 0) == rp_data_permute(i, 1000, 8, 0);
        same += rp_data_permute(i, 1000, 7, 0) == i;
    }
    assert_true(same < 20);
}

/* ---- memory ---- */

static void test_memory_runs_out(void **state) {
    static const struct {
        const char *name, *content;
    } files[] = {{"a.csv", "text,label\n\"a \"\"b\"\"\",\"x,y\"\nb,y\n"},
                 {"a.json", "{\"text\": \"a\", \"label\": [1, 2.5]}\n"},
                 {"a.jsonl", "{\"question\": \"q\", \"context\": \"ab\", \"id\": 1, \"answers\": [{\"text\": "
                             "\"b\", \"answer_start\": 1}]}\n"},
                 {"c.jsonl", "{\"input_ids\": [1, 2], \"token_type_ids\": [0, 1], \"masked_positions\": [1], "
                             "\"masked_ids\": [7]}\n"},
                 {"a.conll", "a\tO\nb\tB-X\n"},
                 {"b.json", "{\n\"data\": [{\"paragraphs\": [{\"context\": \"c\", \"qas\": [{\"question\": "
                            "\"q\", \"answers\": []}]}]}]}"}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(files); i++) {
        const char *file = file_of(files[i].name, files[i].content);
        bool done = false;
        for (long fail = 0; !done && fail < 1000; fail++) {
            rp_labels labels = {0};
            rp_data *data = NULL;
            rp_data_row row;
            rp_error err = {0};
            allowed = fail;
            rp_status status =
                rp_data_open(file, &(rp_data_params){.many = true, .labels = &labels}, &data, &err);
            if (!status) status = rp_data_read(data, 0, &row, &err);
            done = allowed >= 0;
            allowed = -1;
            assert_true(!status || status == RP_ERROR_HOST_MEMORY);
            assert_true(!status || err.message[0]);
            assert_true(!done || !status);
            rp_data_close(&data);
            rp_labels_finish(&labels);
        }
        assert_true(done);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_conll_and_squad),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_a_file_that_is_none),
        cmocka_unit_test(test_a_file_that_changes),
        cmocka_unit_test(test_long_rows_and_lines),
        cmocka_unit_test(test_labels_are_sorted),
        cmocka_unit_test(test_labels_are_matched),
        cmocka_unit_test(test_many_labels_are_found),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_an_order_has_each_row_once),
        cmocka_unit_test(test_orders_look_random),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
