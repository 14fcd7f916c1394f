/* N-best lists: what is read of them, how they are ranked, and the weight that is found for them. */
#include "support_tasks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/nbest.h"

static char dir[FIXTURE_PATH_SIZE], list_path[FIXTURE_PATH_SIZE + 16], reference_path[FIXTURE_PATH_SIZE + 16];

static int setup(void **state) {
    assert_true(fixture_make_dir(dir));
    snprintf(list_path, sizeof list_path, "%s/list", dir);
    snprintf(reference_path, sizeof reference_path, "%s/references", dir);
    return fixture_open_device(state);
}

static int teardown(void **state) {
    fixture_remove_dir(dir);
    return fixture_close_device(state);
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static bool is(rp_text text, const char *want) {
    return text.size == strlen(want) && !memcmp(text.data, want, text.size);
}

/* ---- reading ---- */

static void test_groups_are_read(void **state) {
    static const char text[] = "\xef\xbb\xbf"
                               "0 ||| a house  ||| LM= -1 TM= -2 ||| -12.5 ||| 0-0\r\n"
                               "0 |||  ||| ||| -1e1\n"
                               "\n"
                               "0 ||| ||| ||| 3\n"
                               "7 ||| a|||b ||||| c ||| f ||| .5\n"
                               "8 ||| x\ty ||| ||| +2";
    static const size_t counts[] = {3, 1, 1, 0};
    rp_nbest *list = NULL;
    rp_hypothesis *items;
    rp_error err = {0};
    uint64_t id = 99;
    size_t count;
    (void)state;
    write_file(list_path, text, sizeof text - 1);
    assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
    for (size_t group = 0; group < 4; group++) {
        assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
        assert_int_equal(count, counts[group]);
        if (group == 1) assert_true(id == 7 && is(items[0].text, "a|||b ||||| c") && items[0].total == 0.5);
        if (group == 2) assert_true(id == 8 && is(items[0].text, "x\ty") && items[0].total == 2);
        if (group) continue;
        assert_int_equal(id, 0);
        assert_true(is(items[0].text, "a house") && is(items[0].features, "LM= -1 TM= -2"));
        assert_true(items[0].total == -12.5 && items[1].total == -10 && items[2].total == 3);
        assert_true(is(items[1].text, "") && is(items[2].text, "") && items[2].place == 2);
    }
    rp_nbest_close(&list);
    assert_null(list);
    rp_nbest_close(&list);
    rp_nbest_close(NULL);
}

/* What is wrong is told with the file, the line, and what to do. */
static void test_mistakes(void **state) {
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"0 ||| a ||| b\n", "line 1 has 3 of the four fields"},
        {"\n8|||\xe2\x82\xac 1|||||| 1\n", "line 2 has 1 of the four fields"},
        {"a house\n", "line 1 has 1 of the four fields"},
        {"0 ||| a ||| ||| 1\nx ||| a ||| ||| 1\n", "line 2 does not begin with an id"},
        {"-1 ||| a ||| ||| 1\n", "does not begin with an id"},
        {"1234567890123456789 ||| a ||| ||| 1\n", "does not begin with an id"},
        {"||| a ||| ||| 1\n", "does not begin with an id"},
        {"0 ||| a ||| ||| one\n", "no finite number, but 'one'"},
        {"0 ||| a ||| ||| nan\n", "no finite number"},
        {"0 ||| a ||| ||| 1e999\n", "no finite number"},
        {"0 ||| a ||| ||| \n", "no finite number"},
        {"0 ||| a\xff ||| ||| 1\n", "line 1 is not valid UTF-8 at byte 7"},
        {"1 ||| a ||| ||| 1\n0 ||| a ||| ||| 1\n", "line 2 has the id 0 behind 1"},
        {"1 ||| a ||| ||| 1\n2 ||| a ||| ||| 1\n1 ||| a ||| ||| 1\n", "line 3 has the id 1 behind 2"},
    };
    rp_error err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rp_nbest *list = NULL;
        rp_hypothesis *items;
        uint64_t id;
        size_t count = 1;
        rp_status status = RP_OK;
        write_file(list_path, cases[i].text, strlen(cases[i].text));
        assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
        while (!status && count) status = rp_nbest_next(list, &id, &items, &count, &err);
        if (!strstr(err.message, cases[i].said)) print_error("%s\n", err.message);
        assert_int_equal(status, RP_ERROR_FORMAT);
        assert_non_null(strstr(err.message, cases[i].said));
        assert_non_null(strstr(err.message, "/list: "));
        assert_true(!items && !count);
        rp_nbest_close(&list);
    }
    rp_nbest *none = NULL;
    assert_int_equal(rp_nbest_open("/nowhere/list", &none, &err), RP_ERROR_FILE);
    assert_int_equal(rp_nbest_open(dir, &none, &err), RP_ERROR_FILE);
    assert_null(none);
}

/* A line may be longer than what is read at a time, but not without end. */
static void test_long_lines(void **state) {
    const size_t sizes[] = {65530, 65536, 200000, RP_LINE_BYTES_MAX - 30, RP_LINE_BYTES_MAX + 30};
    rp_error err = {0};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        rp_nbest *list = NULL;
        rp_hypothesis *items;
        uint64_t id;
        size_t count, size = sizes[i];
        char *line = malloc(size + 64);
        assert_non_null(line);
        memcpy(line, "0 ||| ", 6);
        memset(line + 6, 'a', size);
        size_t end = 6 + size + (size_t)sprintf(line + 6 + size, " ||| f ||| 1\n1 ||| b ||| ||| 2\n");
        write_file(list_path, line, end);
        assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
        rp_status status = rp_nbest_next(list, &id, &items, &count, &err);
        assert_int_equal(status, i == 4 ? RP_ERROR_FORMAT : RP_OK);
        if (!status) {
            assert_true(count == 1 && items[0].text.size == size && items[0].text.data[size - 1] == 'a');
            assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
            assert_true(id == 1 && count == 1 && is(items[0].text, "b"));
            assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
            assert_int_equal(count, 0);
        }
        rp_nbest_close(&list);
        free(line);
    }
}

/* ---- chrF ---- */

static void test_chrf_is_that_of_sacrebleu(void **state) {
    rp_error err = {0};
    double got;
    (void)state;
    json_t *rows = json_load_file(TESTS_DIR "/goldens/chrf.json", 0, NULL);
    assert_true(json_array_size(rows) > 50);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        rp_text a = task_text(json_array_get(row, 0)), b = task_text(json_array_get(row, 1));
        double want = json_real_value(json_array_get(row, 2));
        assert_int_equal(rp_chrf(a, b, &got, &err), RP_OK);
        if (fabs(got - want) > 1e-6) print_error("%s | %s: %f, not %f\n", a.data, b.data, got, want);
        assert_true(fabs(got - want) <= 1e-6);
    }
    json_decref(rows);
    assert_int_equal(rp_chrf(RP_TEXT("\xff"), RP_TEXT("a"), &got, &err), RP_ERROR_TEXT);
    assert_int_equal(rp_chrf(RP_TEXT("a"), RP_TEXT("a\xc0"), &got, &err), RP_ERROR_TEXT);
    assert_int_equal(rp_chrf((rp_text){NULL, 3}, RP_TEXT("a"), &got, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_chrf((rp_text){0}, (rp_text){0}, &got, &err), RP_OK);
    assert_true(got == 0);
}

/* ---- ranks and weights ---- */

static uint32_t below(uint32_t count) {
    static uint64_t state = 7;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % count;
}

static void test_ranks(void **state) {
    (void)state;
    for (size_t count = 0; count < 60; count++) {
        rp_hypothesis items[60];
        for (size_t i = 0; i < count; i++)
            items[i] = (rp_hypothesis){
                .total = below(5), .score = -(double)below(5), .place = (uint32_t)i, .tokens = 1};
        double weight = below(3) * 0.5;
        rp_nbest_rank(items, count, weight);
        uint64_t seen = 0;
        for (size_t i = 0; i < count; i++) {
            seen |= UINT64_C(1) << items[i].place;
            if (!i) continue;
            const rp_hypothesis *a = &items[i - 1], *b = &items[i];
            double left = a->total + weight * a->score, right = b->total + weight * b->score;
            assert_true(left > right || (left == right && (a->score > b->score ||
                                                           (a->score == b->score && a->place < b->place))));
        }
        assert_true(seen == (UINT64_C(1) << count) - 1);
    }
}

/* A hypothesis without a token has a sum of nothing, 0, which is more than any score. It does not win by
 * that. */
static void test_empty_hypotheses(void **state) {
    static const char text[] =
        "0 ||| ||| ||| 5\n0 ||| she opened the door ||| ||| 1\n0 ||| the the ||| ||| -2\n"
        "1 ||| ||| ||| 1\n1 ||| ||| ||| 2\n";
    task_case c;
    rp_model *model = NULL;
    rp_nbest *list = NULL;
    rp_hypothesis *items;
    rp_error err = {0};
    rp_nbest_tuning t;
    uint64_t id;
    size_t count;
    (void)state;
    assert_true(task_case_open("score", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &model, &err), RP_OK);
    write_file(list_path, text, sizeof text - 1);
    assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
    assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
    assert_int_equal(rp_nbest_score(model, items, count, NULL, &err), RP_OK);
    assert_true(!items[0].tokens && items[0].score == 0 && items[1].tokens && items[1].score < 0);
    for (double weight = 0; weight < 100; weight = 10 * weight + 1) {
        rp_nbest_rank(items, count, weight);
        assert_int_equal(items[2].place, 0);
    }
    rp_nbest_close(&list);
    write_file(reference_path, "she opened the door\nnothing\n", 28);
    assert_int_equal(rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err), RP_OK);
    assert_true(fabs(t.chrf_before - 50) < 1e-9 && fabs(t.chrf - 50) < 1e-9 && t.hypotheses == 5 && !t.cut);
    /* One that is longer than the model takes says how much of it was not read. */
    char lines[1000] = "0 ||| she";
    for (int i = 0; i < 90; i++) strcat(lines, " opened");
    strcat(lines, " ||| ||| 1\n0 ||| she opened ||| ||| 1\n");
    write_file(list_path, lines, strlen(lines));
    assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
    assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
    assert_int_equal(rp_nbest_score(model, items, count, NULL, &err), RP_OK);
    assert_true(count == 2 && items[0].left_out >= 90 - 62 && items[0].tokens == 62 && !items[1].left_out);
    rp_nbest_close(&list);
    assert_int_equal(rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err), RP_OK);
    assert_int_equal(t.cut, 1);
    rp_model_close(&model);
    task_case_close(&c);
}

/* Lists of hypotheses in whose words letters are wrong, with random totals, and their references. */
static void write_lists(size_t lists, size_t hypotheses) {
    static const char *const words[] = {"she", "opened", "the", "door", "and", "looked", "out", "again"};
    FILE *list = fopen(list_path, "wb"), *references = fopen(reference_path, "wb");
    assert_true(list && references);
    for (size_t id = 0; id < lists; id++) {
        size_t first = below(8);
        for (size_t w = 0; w < 5; w++) fprintf(references, "%s ", words[(first + w * 3) % 8]);
        fprintf(references, "\n");
        for (size_t h = 0; h < hypotheses; h++) {
            fprintf(list, "%zu ||| ", 2 * id);
            for (size_t w = 0; w < 5; w++)
                fprintf(list, "%s ", words[below(3) ? (first + w * 3) % 8 : below(8)]);
            fprintf(list, "||| f= 1 ||| %d.%u\n", -(int)below(9), below(100));
        }
        fprintf(references, "a line between\n");
    }
    assert_int_equal(fclose(list), 0);
    assert_int_equal(fclose(references), 0);
}

/* Mean chrF of what a weight puts first, by brute force. */
static double chrf_of(rp_model *model, double weight, uint64_t *hypotheses) {
    rp_nbest *list = NULL;
    rp_lines references;
    rp_text line;
    rp_hypothesis *items;
    rp_error err = {0};
    uint64_t id;
    size_t count, lists = 0;
    double sum = 0, one;
    *hypotheses = 0;
    assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
    assert_int_equal(rp_lines_open(&references, reference_path, &err), RP_OK);
    for (;; lists++) {
        assert_int_equal(rp_nbest_next(list, &id, &items, &count, &err), RP_OK);
        if (!count) break;
        while (references.line <= id) assert_int_equal(rp_lines_next(&references, &line, &err), RP_OK);
        assert_int_equal(rp_nbest_score(model, items, count, NULL, &err), RP_OK);
        rp_nbest_rank(items, count, weight);
        assert_int_equal(rp_chrf(items[0].text, line, &one, &err), RP_OK);
        sum += one;
        *hypotheses += count;
    }
    rp_nbest_close(&list);
    rp_lines_close(&references);
    return sum / (double)lists;
}

/* References that are the hypotheses with the highest scores. */
static void write_references_by_score(rp_model *model) {
    FILE *references = fopen(reference_path, "wb");
    rp_nbest *list = NULL;
    rp_hypothesis *items;
    rp_error err = {0};
    uint64_t id, line = 0;
    size_t count;
    assert_non_null(references);
    assert_int_equal(rp_nbest_open(list_path, &list, &err), RP_OK);
    while (!rp_nbest_next(list, &id, &items, &count, &err) && count) {
        assert_int_equal(rp_nbest_score(model, items, count, NULL, &err), RP_OK);
        rp_nbest_rank(items, count, 1e6);
        for (; line < id; line++) fprintf(references, "\n");
        fprintf(references, "%.*s\n", (int)items[0].text.size, items[0].text.data);
        line++;
    }
    rp_nbest_close(&list);
    assert_int_equal(fclose(references), 0);
}

static void test_the_weight_is_the_best(void **state) {
    task_case c;
    rp_model *model = NULL;
    rp_error err = {0};
    rp_nbest_tuning t;
    uint64_t hypotheses;
    (void)state;
    assert_true(task_case_open("score", &c));
    assert_int_equal(rp_model_open(fixture_device, c.dir, NULL, &model, &err), RP_OK);
    write_lists(6, 8);
    if (rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err)) print_error("%s\n", err.message);
    assert_int_equal(t.lists, 6);
    assert_int_equal(t.hypotheses, 48);
    assert_true(t.chrf >= t.chrf_before && t.chrf_possible >= t.chrf);
    assert_true(fabs(chrf_of(model, t.weight, &hypotheses) - t.chrf) < 1e-9);
    assert_int_equal(hypotheses, 48);
    assert_true(fabs(chrf_of(model, 0, &hypotheses) - t.chrf_before) < 1e-9);
    print_message("weight %g: chrF %.2f, %.2f before, %.2f possible\n", t.weight, t.chrf, t.chrf_before,
                  t.chrf_possible);
    for (double weight = 0.01; weight < 100; weight *= 3)
        assert_true(chrf_of(model, weight, &hypotheses) <= t.chrf + 1e-9);
    /* Where the model's choice is always right, a weight is found with which nothing else counts. */
    write_references_by_score(model);
    assert_int_equal(rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err), RP_OK);
    assert_true(t.weight > 0 && fabs(t.chrf - 100) < 1e-9 && t.chrf_before < 99);
    assert_true(fabs(chrf_of(model, t.weight, &hypotheses) - t.chrf) < 1e-9);
    /* Wrong files. */
    write_file(reference_path, "one\n", 4);
    assert_int_equal(rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "has 1 lines"));
    assert_true(t.lists == 0 && t.weight == 0);
    write_file(list_path, "\n", 1);
    assert_int_equal(rp_nbest_tune(model, list_path, reference_path, NULL, &t, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "no hypotheses"));
    assert_int_equal(rp_nbest_tune(model, "/nowhere", reference_path, NULL, &t, &err), RP_ERROR_FILE);
    assert_int_equal(rp_nbest_tune(model, NULL, reference_path, NULL, &t, &err), RP_ERROR_ARGUMENT);
    rp_model_close(&model);
    task_case_close(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_are_read),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_chrf_is_that_of_sacrebleu),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_the_weight_is_the_best),
        cmocka_unit_test(test_empty_hypotheses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
