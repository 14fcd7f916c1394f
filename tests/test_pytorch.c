#define _GNU_SOURCE
/* pytorch_model.bin: what torch.load reads in files of every form, what is refused by its name, and damage of
 * every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "loader/pytorch.h"

static json_t *expected;

static int setup(void **state) {
    (void)state;
    expected = json_load_file(TESTS_DIR "/goldens/pytorch/expected.json", 0, NULL);
    return expected ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    json_decref(expected);
    return 0;
}

static const char *path_of(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, TESTS_DIR "/goldens/pytorch/%s", name);
    return path;
}

/* The view of any tensor of rank 1 or 2. */
static rp_status view(rp_tensor_file *file, rp_tensor_entry *t, rp_tensor *out, rp_error *err) {
    uint32_t rows = t->rank == 2 ? (uint32_t)t->dims[0] : 1, columns = (uint32_t)t->dims[t->rank - 1];
    return rp_tensor_file_view(file, t, t->rank, rows, columns, "a test", out, err);
}

static void check_values(rp_tensor_file *file, rp_tensor_entry *t, const json_t *values) {
    rp_error err = {0};
    rp_tensor got;
    rp_status status = view(file, t, &got, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_int_equal(json_array_size(values), (size_t)got.rows * got.columns);
    for (size_t i = 0; i < json_array_size(values); i++)
        if (rp_tensor_get(&got, i) != (float)json_real_value(json_array_get(values, i)))
            fail_msg("%s: %s: element %zu is %g", file->path, t->name, i, (double)rp_tensor_get(&got, i));
}

static void check_tensor(rp_tensor_file *file, const char *name, const json_t *want) {
    rp_tensor_entry *t = rp_tensor_file_find(file, name);
    const json_t *shape = json_object_get(want, "shape"), *values = json_object_get(want, "values");
    assert_non_null(t);
    assert_string_equal(t->dtype, json_string_value(json_object_get(want, "dtype")));
    assert_int_equal(t->rank, json_array_size(shape));
    for (uint32_t i = 0; i < t->rank; i++)
        assert_int_equal(t->dims[i], json_integer_value(json_array_get(shape, i)));
    if (t->rank < 1 || t->rank > 2) return;
    if (json_is_array(values)) {
        check_values(file, t, values);
        return;
    }
    rp_error err = {0};
    rp_tensor got;
    assert_int_equal(view(file, t, &got, &err), RP_ERROR_UNSUPPORTED);
    assert_non_null(strstr(err.message, t->dtype));
}

static void test_files_of_torch(void **state) {
    const char *name, *tensor;
    json_t *tensors, *want;
    int files = 0;
    (void)state;
    json_object_foreach(expected, name, tensors) {
        if (!json_is_object(tensors)) continue;
        rp_tensor_file file;
        rp_error err = {0};
        if (rp_pytorch_open(path_of(name), &file, &err)) fail_msg("%s", err.message);
        assert_int_equal(file.count, json_object_size(tensors));
        json_object_foreach(tensors, tensor, want) check_tensor(&file, tensor, want);
        rp_tensor_file_close(&file);
        files++;
    }
    assert_true(files >= 17);
}

/* Where a tensor lies in the file as it is needed, no copy is made of it. */
static void test_views(void **state) {
    static const char *const rows[] = {"plain", "vector", "half", "brain", "one.row", "tied.a"};
    static const char *const files[] = {"zip-2.bin", "zip-4.bin", "old-2.bin"};
    (void)state;
    for (size_t f = 0; f < RP_COUNT(files); f++) {
        rp_tensor_file file;
        rp_tensor t;
        assert_int_equal(rp_pytorch_open(path_of(files[f]), &file, NULL), RP_OK);
        for (size_t i = 0; i < RP_COUNT(rows); i++) {
            rp_tensor_entry *entry = rp_tensor_file_find(&file, rows[i]);
            assert_int_equal(view(&file, entry, &t, NULL), RP_OK);
            assert_in_range((uintptr_t)t.data, (uintptr_t)file.bytes, (uintptr_t)file.bytes + file.size - 1);
        }
        assert_int_equal(file.copied, 0);
        assert_ptr_equal(rp_tensor_file_find(&file, "tied.a")->data,
                         rp_tensor_file_find(&file, "tied.b")->data);
        assert_int_equal(view(&file, rp_tensor_file_find(&file, "transposed.half"), &t, NULL), RP_OK);
        assert_int_equal(t.dtype, RP_F16);
        assert_int_equal(file.copied, 48);
        rp_tensor_file_close(&file);
    }
}

static void test_refusals(void **state) {
    const char *name;
    json_t *words;
    int files = 0;
    (void)state;
    json_object_foreach(expected, name, words) {
        if (!json_is_string(words)) continue;
        rp_tensor_file file;
        rp_error err = {0};
        rp_status status = rp_pytorch_open(path_of(name), &file, &err);
        bool good = (status == RP_ERROR_FORMAT || status == RP_ERROR_UNSUPPORTED) && err.status == status &&
                    strstr(err.message, name) && strstr(err.message, json_string_value(words));
        if (!good) print_error("want %s\n-> %s\n", json_string_value(words), err.message);
        assert_true(good);
        assert_null(file.bytes);
        files++;
    }
    assert_true(files >= 35);
}

/* ---- damage ---- */

static unsigned char *read_file(const char *name, size_t *size) {
    FILE *f = fopen(path_of(name), "rb");
    unsigned char *bytes = calloc(1, 1 << 16);
    assert_non_null(f);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 16, f);
    fclose(f);
    assert_in_range(*size, 1, (1 << 16) - 1);
    return bytes;
}

/* A file that is in memory alone, for it is written tens of thousands of times. */
static int scratch = -1;
static char scratch_path[64];

static void open_scratch(void) {
    scratch = memfd_create("scratch", MFD_CLOEXEC);
    assert_true(scratch >= 0);
    snprintf(scratch_path, sizeof scratch_path, "/proc/self/fd/%d", scratch);
}

static void write_scratch(const unsigned char *bytes, size_t size) {
    assert_int_equal(ftruncate(scratch, (off_t)size), 0);
    assert_int_equal(pwrite(scratch, bytes, size, 0), size);
}

/* Whatever the bytes are: an error with a message, or tensors that can be read to the end. */
static bool open_and_read(rp_tensor_file *file) {
    rp_error err = {0};
    rp_status status = rp_pytorch_open(scratch_path, file, &err);
    if (status) {
        assert_true(status == RP_ERROR_FORMAT || status == RP_ERROR_UNSUPPORTED);
        assert_int_equal(err.status, status);
        assert_non_null(strstr(err.message, scratch_path));
        return false;
    }
    for (size_t i = 0; i < file->count; i++) {
        rp_tensor_entry *t = &file->entries[i];
        rp_tensor got;
        if (t->rank < 1 || t->rank > 2 || t->dims[t->rank - 1] > UINT32_MAX || t->dims[0] > UINT32_MAX)
            continue;
        if (view(file, t, &got, &err)) continue;
        for (size_t k = 0; k < (size_t)got.rows * got.columns; k++)
            assert_true(isfinite(rp_tensor_get(&got, k)));
    }
    return true;
}

/* Every tensor that is left has the shape and the place that it had. */
static void check_shapes(const rp_tensor_file *file, const rp_tensor_file *original) {
    for (size_t i = 0; i < file->count; i++) {
        const rp_tensor_entry *t = &file->entries[i], *was = rp_tensor_file_find(original, t->name);
        assert_non_null(was);
        assert_int_equal(t->rank, was->rank);
        assert_memory_equal(t->dims, was->dims, t->rank * sizeof *t->dims);
    }
}

static void damage(const char *name, bool checksum) {
    size_t size;
    unsigned char *bytes = read_file(name, &size);
    rp_tensor_file file, original;
    open_scratch();
    assert_int_equal(rp_pytorch_open(path_of(name), &original, NULL), RP_OK);
    for (size_t cut = 0; cut < size; cut++) {
        write_scratch(bytes, cut);
        assert_false(open_and_read(&file));
    }
    for (size_t i = 0; i < size; i++)
        for (int k = 0; k < 3; k++) {
            unsigned char was = bytes[i];
            bytes[i] ^= (const unsigned char[]){1, 0x80, 0xFF}[k];
            write_scratch(bytes, size);
            bool opened = open_and_read(&file);
            if (opened && checksum) check_shapes(&file, &original);
            if (opened) rp_tensor_file_close(&file);
            bytes[i] = was;
        }
    rp_tensor_file_close(&original);
    close(scratch);
    free(bytes);
}

static void test_damaged_archives(void **state) {
    (void)state;
    damage("state.bin", true);
    damage("zip-5.bin", true);
}

static void test_damaged_pickles(void **state) {
    (void)state;
    damage("old-state.bin", false);
    damage("python-2.bin", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_of_torch),  cmocka_unit_test(test_views),
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_damaged_archives),
        cmocka_unit_test(test_damaged_pickles),
    };
    return cmocka_run_group_tests_name("pytorch", tests, setup, teardown);
}
