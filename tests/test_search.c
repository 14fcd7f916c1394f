/* Searching an index by vectors, on the processor and on the device, against the order that sums in double
 * give; the file of an index, whole, cut and changed; and what writers and readers refuse. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "apps/index.h"
#include "base/half.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32];
static rp_error err;

static int setup(void **state) {
    if (fixture_open_device(state) || !fixture_make_dir(dir)) return -1;
    snprintf(path, sizeof path, "%s/test.index", dir);
    return 0;
}

static int teardown(void **state) {
    fixture_remove_dir(dir);
    return fixture_close_device(state);
}

#define OK(call)                                    \
    do {                                            \
        err.message[0] = 0;                         \
        if (call) print_error("%s\n", err.message); \
        assert_int_equal(err.message[0], 0);        \
    } while (0)

/* ---- indexes ---- */

static uint32_t state_of = 1;

static float random_float(void) {
    state_of = state_of * 1664525u + 1013904223u;
    return (float)(state_of >> 8) / (1 << 23) - 1;
}

/* Vectors of which every 7th is that of 3 before, and every 11th is zeros. */
static float *make_vectors(size_t count, uint32_t width) {
    float *vectors = malloc(count * width * sizeof *vectors);
    assert_non_null(vectors);
    for (size_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < width; c++) {
            float *to = &vectors[i * width + c];
            *to = i % 11 == 10 ? 0 : i % 7 == 6 ? vectors[(i - 3) * width + c] : random_float();
        }
    return vectors;
}

static void write_index(const float *vectors, size_t count, uint32_t width) {
    const rp_index_params params = {.width = width};
    rp_index_writer *writer = NULL;
    OK(rp_index_create(NULL, path, &params, &writer, &err));
    for (size_t i = 0; i < count;) {
        enum { SOME = 1000 };
        static char texts[SOME][40], ids[SOME][24];
        rp_document documents[SOME];
        size_t n = 0;
        for (; n < SOME && i + n < count; n++) {
            size_t k = i + n;
            snprintf(texts[n], sizeof texts[n], "text number %zu", k);
            snprintf(ids[n], sizeof ids[n], "%zu", 1000 + k);
            documents[n] = (rp_document){.text = {texts[n], k % 5 == 4 ? 0 : strlen(texts[n])},
                                         .id = {k % 3 ? ids[n] : NULL, strlen(ids[n])},
                                         .id_bare = k % 3 == 1};
        }
        OK(rp_index_add_vectors(writer, documents, vectors + i * width, n, NULL, &err));
        i += n;
    }
    OK(rp_index_finish(&writer, &err));
    assert_null(writer);
}

/* ---- the right order ---- */

typedef struct scored {
    double score;
    uint64_t row;
} scored;

static int best_first(const void *left, const void *right) {
    const scored *a = left, *b = right;
    return a->score != b->score ? (a->score < b->score ? 1 : -1) : (a->row > b->row) - (a->row < b->row);
}

/* The hits are the first of all rows in the order of their products; such as differ by less than 1e-6 may
 * change places, but for equal rows, which never do. */
static void check_hits(const rp_index *index, const float *query, const rp_hit *hits, size_t count) {
    const rp_index_info *info = rp_index_get_info(index);
    scored *all = malloc(info->count * sizeof *all);
    float *row = malloc(info->width * sizeof *row);
    double length = 0;
    assert_non_null(all);
    assert_non_null(row);
    for (uint32_t c = 0; c < info->width; c++) length += (double)query[c] * query[c];
    for (uint64_t r = 0; r < info->count; r++) {
        all[r] = (scored){0, r};
        OK(r % 4096 ? (rp_index_row(&index->file, r, row), RP_OK) : rp_index_vector(index, r, row, &err));
        for (uint32_t c = 0; c < info->width; c++)
            all[r].score += (double)row[c] * query[c] / (length > 0 ? sqrt(length) : 1);
    }
    qsort(all, info->count, sizeof *all, best_first);
    for (size_t k = 0; k < count; k++) {
        assert_true(fabs(hits[k].score - all[k].score) < 1e-6);
        if (k)
            assert_true(hits[k - 1].score > hits[k].score ||
                        (hits[k - 1].score == hits[k].score && hits[k - 1].number < hits[k].number));
        if (hits[k].number == all[k].row) continue;
        size_t near = 0, from = k; /* it is among those of its score */
        while (from && fabs(all[from - 1].score - all[k].score) < 1e-6) from--;
        for (size_t i = from; i < info->count && fabs(all[i].score - all[k].score) < 1e-6; i++)
            near += all[i].row == hits[k].number && fabs(all[i].score - all[k].score) < 1e-6;
        assert_int_equal(near, 1);
    }
    free(all);
    free(row);
}

static void search(rp_device *device, size_t count, uint32_t width, uint32_t top_k, size_t queries) {
    float *vectors = make_vectors(count, width), *asked = make_vectors(queries, width);
    rp_index *index = NULL;
    rp_result *result = NULL;
    const rp_search_params params = {.top_k = top_k};
    write_index(vectors, count, width);
    memcpy(asked, vectors, width * sizeof *asked); /* one that is there */
    OK(rp_index_open(device, path, NULL, &index, &err));
    assert_int_equal(rp_index_get_info(index)->count, count);
    assert_int_equal(rp_index_get_info(index)->width, width);
    OK(rp_search_vectors(index, asked, queries, &params, &result, &err));
    assert_int_equal(rp_result_count(result), queries);
    for (size_t i = 0; i < queries; i++) {
        size_t got;
        const rp_hit *hits = rp_result_hits(result, i, &got);
        size_t most = top_k ? top_k : 10;
        assert_int_equal(got, most < count ? most : count);
        check_hits(index, asked + i * width, hits, got);
    }
    rp_result_free(&result);
    OK(rp_index_close(&index));
    free(vectors);
    free(asked);
}

static void test_order_of_the_processor(void **state) {
    (void)state;
    search(NULL, 1, 1, 0, 1);
    search(NULL, 1, 5, 7, 2);
    search(NULL, 1001, 33, 0, 3);
    search(NULL, 5003, 7, 1000, 1);
    search(NULL, 300, 384, 4096, 2);
}

static void test_order_of_the_device(void **state) {
    (void)state;
    search(fixture_device, 1, 1, 0, 1);
    search(fixture_device, 63, 384, 4096, 2);
    search(fixture_device, 5003, 7, 1000, 3);
    search(fixture_device, 2001, 33, 5, 37);
    search(fixture_device, 70001, 12, 20, 2);
    search(fixture_device, (1 << 18) + 100, 2, 50, 2); /* two segments */
}

/* ---- what hits say ---- */

static void test_hits_have_ids_and_texts(void **state) {
    (void)state;
    const float vectors[] = {1, 0, 0, 1, 3, 4, 0, 0}, query[] = {0, 2};
    const rp_document documents[] = {{.text = RP_TEXT("one")},
                                     {.text = RP_TEXT("tw\"o"), .id = RP_TEXT("b")},
                                     {.text = RP_TEXT("three"), .id = RP_TEXT("-7.5e3"), .id_bare = true},
                                     {.id = RP_TEXT("12")}};
    const rp_index_params params = {.width = 2};
    rp_index_writer *writer = NULL;
    rp_index *index = NULL;
    rp_result *result = NULL;
    rp_document document;
    char *json;
    OK(rp_index_create(NULL, path, &params, &writer, &err));
    OK(rp_index_add_vectors(writer, documents, vectors, 4, NULL, &err));
    OK(rp_index_finish(&writer, &err));
    OK(rp_index_open(NULL, path, NULL, &index, &err));
    OK(rp_search_vectors(index, query, 1, NULL, &result, &err));
    OK(rp_result_json(result, 0, NULL, &json, NULL, &err));
    assert_string_equal(json, "[{\"score\": 1.0, \"id\": \"b\", \"text\": \"tw\\\"o\"}, "
                              "{\"score\": 0.7998047, \"id\": -7.5e3, \"text\": \"three\"}, "
                              "{\"score\": 0.0, \"id\": 0, \"text\": \"one\"}, "
                              "{\"score\": 0.0, \"id\": \"12\", \"text\": \"\"}]");
    rp_string_free(&json);
    rp_result_free(&result);
    OK(rp_search_vectors(index, query, 1,
                         &(rp_search_params){.has_threshold = true, .threshold = 0.5f, .no_texts = true},
                         &result, &err));
    OK(rp_result_json(result, 0, NULL, &json, NULL, &err));
    assert_string_equal(json, "[{\"score\": 1.0, \"id\": \"b\"}, {\"score\": 0.7998047, \"id\": -7.5e3}]");
    rp_string_free(&json);
    assert_null(rp_result_ranked(result, 0, NULL));
    rp_result_free(&result);
    OK(rp_index_document(index, 1, &document, &err));
    assert_int_equal(document.text.size, 4);
    assert_int_equal(rp_index_document(index, 4, &document, &err), RP_ERROR_ARGUMENT);
    const float bad[] = {NAN, 0, 1, 0};
    OK(rp_search_vectors(index, bad, 2, NULL, &result, &err));
    assert_int_equal(rp_result_status(result, 0, NULL), RP_ERROR_TEXT);
    assert_int_equal(rp_result_status(result, 1, NULL), RP_OK);
    rp_result_free(&result);
    OK(rp_index_close(&index));
}

/* ---- the file ---- */

/* Open the file and use all of it. */
static rp_status use_file(void) {
    rp_index *index = NULL;
    rp_result *result = NULL;
    const float query[] = {1, 2, 3, 4, 5};
    rp_status status = rp_index_open(NULL, path, NULL, &index, &err);
    if (!status)
        status = rp_search_vectors(index, query, 1, &(rp_search_params){.top_k = 4000}, &result, &err);
    rp_result_free(&result);
    rp_index_close(&index);
    return status;
}

/* Byte `at` of the open file, with the bits of `change` turned over. */
static void change_byte(int fd, off_t at, unsigned char change) {
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= change;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void test_cut_and_changed_files_are_refused(void **state) {
    (void)state;
    enum { COUNT = 41, WIDTH = 5 };
    float *vectors = make_vectors(COUNT, WIDTH);
    struct stat info;
    write_index(vectors, COUNT, WIDTH);
    free(vectors);
    OK(use_file());
    int fd = open(path, O_RDWR);
    assert_false(fstat(fd, &info));
    for (off_t at = 0; at<info.st_size; at += at> 4000 || at < 100 ? 1 : 57) {
        change_byte(fd, at, (unsigned char)(1 << at % 8));
        rp_status status = use_file();
        assert_true(status == RP_ERROR_FORMAT || status == RP_ERROR_UNSUPPORTED);
        assert_non_null(strstr(err.message, "test.index"));
        change_byte(fd, at, (unsigned char)(1 << at % 8));
    }
    OK(use_file());
    for (off_t cut = info.st_size; cut > 0;) {
        cut -= cut > 4000 ? 1 : 173;
        assert_false(ftruncate(fd, cut > 0 ? cut : 0));
        assert_int_equal(use_file(), RP_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "test.index"));
    }
    close(fd);
    unlink(path);
    assert_int_equal(use_file(), RP_ERROR_FILE);
}

static void test_what_a_writer_refuses(void **state) {
    (void)state;
    const float vectors[] = {1, 2, INFINITY, 4};
    rp_document documents[] = {{.text = RP_TEXT("one")}, {.text = RP_TEXT("two")}};
    rp_index_writer *writer = NULL;
    size_t bad;
    assert_int_equal(rp_index_create(NULL, path, NULL, &writer, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_index_create(NULL, path, &(rp_index_params){.width = 16385}, &writer, &err),
                     RP_ERROR_ARGUMENT);
    assert_int_equal(rp_index_create(NULL, dir, &(rp_index_params){.width = 2}, &writer, &err),
                     RP_ERROR_FILE);
    assert_null(writer);
    OK(rp_index_create(NULL, path, &(rp_index_params){.width = 2}, &writer, &err));
    assert_int_equal(rp_index_add(writer, documents, 2, &bad, &err), RP_ERROR_ARGUMENT);
    assert_int_equal(rp_index_add_vectors(writer, documents, vectors, 2, &bad, &err), RP_ERROR_TEXT);
    assert_int_equal(bad, 1);
    documents[0].text = RP_TEXT("\xff");
    assert_int_equal(rp_index_add_vectors(writer, documents, vectors, 1, &bad, &err), RP_ERROR_TEXT);
    assert_int_equal(bad, 0);
    documents[0].text = RP_TEXT("x");
    static const char *const numbers[] = {"01", "1.", "", "-", "tru", "1e", "0x1", "1 ", "NaN"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        documents[0].id = (rp_text){numbers[i], strlen(numbers[i])};
        documents[0].id_bare = true;
        assert_int_equal(rp_index_add_vectors(writer, documents, vectors, 1, &bad, &err), RP_ERROR_TEXT);
    }
    assert_int_equal(rp_index_finish(&writer, &err), RP_ERROR_ARGUMENT);
    assert_null(writer);
    assert_int_equal(access(path, F_OK), -1);
    OK(rp_index_create(NULL, path, &(rp_index_params){.width = 2}, &writer, &err));
    rp_index_abandon(&writer);
    rp_index_abandon(&writer);
    assert_int_equal(rmdir(dir), 0); /* nothing is left */
    assert_int_equal(mkdir(dir, 0700), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_of_the_processor),
        cmocka_unit_test(test_order_of_the_device),
        cmocka_unit_test(test_hits_have_ids_and_texts),
        cmocka_unit_test(test_cut_and_changed_files_are_refused),
        cmocka_unit_test(test_what_a_writer_refuses),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
