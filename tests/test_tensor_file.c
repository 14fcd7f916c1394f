/* The opened file that every format fills: views of tensors that do not lie in the mapping as they are
 * needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/tensor_file.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32];
static rp_tensor_file file;

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(path, sizeof path, "%s/weights", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    rp_tensor_file_close(&file);
    fixture_remove_dir(dir);
    return 0;
}

static void map(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rp_tensor_file_map(path, &file, NULL), RP_OK);
}

/* A matrix [rows, columns] whose first element is `at` bytes into the mapping. */
static rp_tensor_entry *add(const char *name, rp_element element, size_t at, uint64_t rows, uint64_t columns,
                            uint64_t down, uint64_t across) {
    rp_tensor_entry *entry = rp_tensor_file_add(&file, name, strlen(name), 2, down || across);
    assert_non_null(entry);
    entry->dtype = "a type";
    entry->element = element;
    entry->data = file.bytes + at;
    entry->dims[0] = rows;
    entry->dims[1] = columns;
    if (entry->strides) entry->strides[0] = down, entry->strides[1] = across;
    return entry;
}

static rp_tensor view(const char *name, uint32_t rows, uint32_t columns) {
    rp_error err = {0};
    rp_tensor t;
    rp_tensor_entry *entry = rp_tensor_file_find(&file, name);
    assert_non_null(entry);
    rp_status status = rp_tensor_file_view(&file, entry, 2, rows, columns, "a test", &t, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    return t;
}

static void check(const rp_tensor *t, const float *expected, size_t count) {
    float got[16];
    rp_tensor_read(t, 0, count, got);
    assert_memory_equal(got, expected, count * sizeof *got);
}

static void test_strides(void **state) {
    static const float stored[] = {0, 1, 2, 3, 4, 5, 6};
    (void)state;
    map(stored, sizeof stored);
    add("plain", RP_ELEMENT_F32, 4, 2, 3, 0, 0);
    add("transposed", RP_ELEMENT_F32, 4, 3, 2, 1, 3);
    add("sliced", RP_ELEMENT_F32, 0, 2, 2, 4, 2);
    add("repeated", RP_ELEMENT_F32, 8, 3, 2, 0, 1);
    assert_int_equal(rp_tensor_file_sort(&file, NULL), RP_OK);
    rp_tensor plain = view("plain", 2, 3), transposed = view("transposed", 3, 2);
    rp_tensor sliced = view("sliced", 2, 2), repeated = view("repeated", 3, 2);
    assert_ptr_equal(plain.data, file.bytes + 4); // no copy
    assert_ptr_equal(view("transposed", 3, 2).data, transposed.data);
    assert_null(rp_tensor_file_find(&file, "none"));
    rp_tensor_file_rest(&file);
    check(&plain, (float[]){1, 2, 3, 4, 5, 6}, 6);
    check(&transposed, (float[]){1, 4, 2, 5, 3, 6}, 6);
    check(&sliced, (float[]){0, 2, 4, 6}, 4);
    check(&repeated, (float[]){2, 3, 2, 3, 2, 3}, 6);
    assert_null(rp_tensor_file_find(&file, "plain"));
}

static void test_conversions(void **state) {
    static const unsigned char stored[] = {0x3f, 0x80, 0, 0, 0xc0, 0x20, 0,    0,    0x3c, 0x00, 0xbf, 0x80,
                                           0,    0,    0, 0, 0,    0,    0xf0, 0x3f, 0xc0, 0x04, 0,    0,
                                           0,    0,    0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0x7f};
    rp_error err = {0};
    rp_tensor t;
    (void)state;
    map(stored, sizeof stored);
    add("f32", RP_ELEMENT_F32, 0, 1, 2, 0, 0)->swapped = true;
    add("f16", RP_ELEMENT_F16, 8, 1, 1, 0, 0)->swapped = true;
    add("bf16", RP_ELEMENT_BF16, 10, 1, 1, 0, 0)->swapped = true;
    add("f64", RP_ELEMENT_F64, 12, 1, 1, 0, 0);
    add("swapped f64", RP_ELEMENT_F64, 20, 1, 1, 0, 0)->swapped = true;
    add("large f64", RP_ELEMENT_F64, 28, 1, 1, 0, 0);
    assert_int_equal(rp_tensor_file_sort(&file, NULL), RP_OK);
    check(&(rp_tensor[]){view("f32", 1, 2)}[0], (float[]){1, -2.5f}, 2);
    t = view("f16", 1, 1);
    assert_int_equal(t.dtype, RP_F16);
    check(&t, (float[]){1}, 1);
    t = view("bf16", 1, 1);
    assert_int_equal(t.dtype, RP_BF16);
    check(&t, (float[]){-1}, 1);
    t = view("f64", 1, 1);
    assert_int_equal(t.dtype, RP_F32);
    check(&t, (float[]){1}, 1);
    check(&(rp_tensor[]){view("swapped f64", 1, 1)}[0], (float[]){-2.5f}, 1);
    rp_status status =
        rp_tensor_file_view(&file, rp_tensor_file_find(&file, "large f64"), 2, 1, 1, "", &t, &err);
    assert_int_equal(status, RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "weights: large f64: element 0 is NaN or infinite"));
}

/* A few bytes that stand for gigabytes. */
static void test_repeated_beyond_measure(void **state) {
    static const float one = 1;
    rp_error err = {0};
    rp_tensor t;
    (void)state;
    map(&one, sizeof one);
    rp_tensor_entry *entry = add("w", RP_ELEMENT_F32, 0, UINT32_MAX, UINT32_MAX, 0, 0);
    entry->strides = (uint64_t[]){0, 0};
    assert_int_equal(rp_tensor_file_view(&file, entry, 2, UINT32_MAX, UINT32_MAX, "", &t, &err),
                     RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "w: tensors that repeat their elements"));
    for (uint64_t taken = 0;; taken += 16 << 20) { // however often
        entry = add("w", RP_ELEMENT_F32, 0, 2048, 2048, 0, 0);
        entry->strides = (uint64_t[]){0, 0};
        if (rp_tensor_file_view(&file, entry, 2, 2048, 2048, "", &t, &err)) break;
        assert_true(taken < 100 << 20);
    }
}

static void test_twice(void **state) {
    static const float one = 1;
    rp_error err = {0};
    (void)state;
    map(&one, sizeof one);
    for (int i = 0; i < 2; i++) {
        add("a", RP_ELEMENT_F32, 0, 1, 1, 0, 0)->name = i ? "a" : "b";
        add("c", RP_ELEMENT_F32, 0, 1, 1, 0, 0);
    }
    assert_int_equal(rp_tensor_file_sort(&file, &err), RP_ERROR_FORMAT);
    assert_non_null(strstr(err.message, "weights: c: the tensor is there twice"));
}

static void test_kinds(void **state) {
    static const struct {
        const char *text, *needle;
    } rows[] = {{"", "empty"},
                {"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"},
                {"<!DOCTYPE html><html>", "a web page"},
                {"\n  <html>", "a web page"},
                {"<?xml version", "a web page"},
                {"<", NULL},
                {"\n", NULL},
                {"PK", NULL}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        rp_error err = {0};
        map(rows[i].text, strlen(rows[i].text));
        assert_int_equal(rp_tensor_file_check_kind(&file, &err), rows[i].needle ? RP_ERROR_FORMAT : RP_OK);
        if (rows[i].needle) assert_non_null(strstr(err.message, rows[i].needle));
        rp_tensor_file_close(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_strides, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conversions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeated_beyond_measure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds, setup, teardown),
    };
    return cmocka_run_group_tests_name("tensor_file", tests, NULL, NULL);
}
