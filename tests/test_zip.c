/* The directory of a zip archive: what is read, and damage of every field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/zip.h"

/* ---- an archive of the entries a ("first") and b/c ("2nd") ---- */

enum { LOCAL_A = 0, LOCAL_B = 36, DIRECTORY = 72, CENTRAL_B = 119, END = 168, SIZE = 190 };

typedef struct archive {
    unsigned char bytes[1024];
    size_t size;
} archive;

static void put(archive *z, uint64_t value, int size) {
    for (int i = 0; i < size; i++) z->bytes[z->size++] = i < 8 ? value >> 8 * i & 255 : 0;
}

static void put_text(archive *z, const char *text) {
    memcpy(z->bytes + z->size, text, strlen(text));
    z->size += strlen(text);
}

static void put_local(archive *z, const char *name, const char *data) {
    put_text(z, "PK\3\4");
    put(z, 20, 2);
    put(z, 8, 2); // sizes and checksum are in the directory alone
    put(z, 0, 18);
    put(z, strlen(name), 2);
    put(z, 0, 2);
    put_text(z, name);
    put_text(z, data);
}

static void put_central(archive *z, const char *name, uint32_t crc, uint32_t size, uint32_t at) {
    put_text(z, "PK\1\2");
    put(z, 0, 4);
    put(z, 8, 2);
    put(z, 0, 6);
    put(z, crc, 4);
    put(z, size, 4);
    put(z, size, 4);
    put(z, strlen(name), 2);
    put(z, 0, 12);
    put(z, at, 4);
    put_text(z, name);
}

static void put_end(archive *z, uint32_t entries, uint32_t size, uint32_t at) {
    put_text(z, "PK\5\6");
    put(z, 0, 4);
    put(z, entries, 2);
    put(z, entries, 2);
    put(z, size, 4);
    put(z, at, 4);
    put(z, 0, 2);
}

static archive make_archive(void) {
    archive z = {.size = 0};
    put_local(&z, "a", "first");
    put_local(&z, "b/c", "2nd");
    assert_int_equal(z.size, DIRECTORY);
    put_central(&z, "a", 0x9271ee57, 5, LOCAL_A);
    assert_int_equal(z.size, CENTRAL_B);
    put_central(&z, "b/c", 0, 3, LOCAL_B);
    assert_int_equal(z.size, END);
    put_end(&z, 2, END - DIRECTORY, DIRECTORY);
    assert_int_equal(z.size, SIZE);
    return z;
}

static rp_status open_bytes(const archive *z, rp_zip *out, rp_error *err) {
    static unsigned char *copy; // as large as the archive, so that a sanitizer sees the first byte too many
    free(copy);
    copy = malloc(z->size ? z->size : 1);
    assert_non_null(copy);
    memcpy(copy, z->bytes, z->size);
    return rp_zip_open(copy, z->size, "a/file", out, err);
}

static void check_good(const archive *z) {
    rp_zip zip;
    rp_error err = {0};
    if (open_bytes(z, &zip, &err)) fail_msg("%s", err.message);
    assert_int_equal(zip.count, 2);
    const rp_zip_entry *a = rp_zip_find(&zip, "a"), *b = rp_zip_find(&zip, "b/c");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->size, 5);
    assert_memory_equal(a->data, "first", 5);
    assert_int_equal(b->size, 3);
    assert_memory_equal(b->data, "2nd", 3);
    assert_null(a->refused);
    assert_true(rp_zip_is_intact(a));
    assert_true(rp_zip_is_intact(b));
    assert_null(rp_zip_find(&zip, "b"));
    rp_zip_close(&zip);
}

static void check_bad(const archive *z, rp_status expected, const char *needle) {
    rp_zip zip;
    rp_error err = {0};
    rp_status status = open_bytes(z, &zip, &err);
    bool good = status == expected && err.status == status && strstr(err.message, "a/file: zip archive: ") &&
                strstr(err.message, needle);
    if (!good) print_error("want %s\n-> %s: %s\n", needle, rp_status_name(status), err.message);
    assert_true(good);
    assert_null(zip.entries);
}

static void set(archive *z, size_t at, uint64_t value, int size) {
    for (int i = 0; i < size; i++) z->bytes[at + (size_t)i] = value >> 8 * i & 255;
}

static void test_good(void **state) {
    (void)state;
    archive z = make_archive();
    check_good(&z);
    set(&z, SIZE - 2, 7, 2); // a comment
    put_text(&z, "comment");
    check_good(&z);
    archive none = {.size = 0};
    put_end(&none, 0, 0, 0);
    rp_zip zip;
    assert_int_equal(open_bytes(&none, &zip, NULL), RP_OK);
    assert_null(rp_zip_find(&zip, "a"));
    rp_zip_close(&zip);
}

/* The archive with the larger end record, and sizes that stand in extra fields. */
static archive make_large(void) {
    archive z = {.size = 0};
    put_local(&z, "a", "first");
    put_local(&z, "b/c", "2nd");
    put_central(&z, "a", 0x9271ee57, UINT32_MAX, UINT32_MAX);
    set(&z, DIRECTORY + 30, 4 + 28, 2);
    put(&z, 0x4246, 2); // a field of another kind
    put(&z, 0, 2);
    put(&z, 1, 2);
    put(&z, 24, 2);
    put(&z, 5, 8);
    put(&z, 5, 8);
    put(&z, LOCAL_A, 8);
    put_central(&z, "b/c", 0, 3, LOCAL_B);
    size_t end = z.size;
    put_text(&z, "PK\6\6");
    put(&z, 44, 8);
    put(&z, 0, 12);
    put(&z, 2, 8);
    put(&z, 2, 8);
    put(&z, end - DIRECTORY, 8);
    put(&z, DIRECTORY, 8);
    put_text(&z, "PK\6\7");
    put(&z, 0, 4);
    put(&z, end, 8);
    put(&z, 1, 4);
    put_end(&z, UINT16_MAX, UINT32_MAX, UINT32_MAX);
    return z;
}

static void test_zip64(void **state) {
    (void)state;
    archive z = make_large();
    size_t locator = z.size - 22 - 20, end = locator - 56;
    check_good(&z);
    set(&z, z.size - 12, 2, 2); // what fits may stand in both
    check_good(&z);
    set(&z, z.size - 12, 3, 2);
    check_bad(&z, RP_ERROR_FORMAT, "its two end records differ");
    z = make_large();
    set(&z, locator + 8, end + 1, 8);
    check_bad(&z, RP_ERROR_FORMAT, "zip64 end record is not where");
    set(&z, locator + 8, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "zip64 end record is not where");
    z = make_large();
    set(&z, end + 4, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "another length");
    z = make_large();
    set(&z, end + 24, 3, 8);
    check_bad(&z, RP_ERROR_FORMAT, "numbers of entries differ");
    z = make_large();
    set(&z, end + 48, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "its directory does not lie");
    z = make_large();
    set(&z, end + 24, UINT64_MAX, 8);
    set(&z, end + 32, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "its directory does not lie");
    z = make_large();
    set(&z, locator + 16, 2, 4);
    check_bad(&z, RP_ERROR_UNSUPPORTED, "several parts");
    z = make_large();
    set(&z, DIRECTORY + 47 + 6, 23, 2);
    check_bad(&z, RP_ERROR_FORMAT, "a: its extra field is damaged");
    z = make_large();
    set(&z, DIRECTORY + 47 + 8, UINT64_MAX, 8);
    set(&z, DIRECTORY + 47 + 16, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "a: does not end before the directory");
    z = make_large();
    set(&z, DIRECTORY + 47 + 24, UINT64_MAX, 8);
    check_bad(&z, RP_ERROR_FORMAT, "a: is not where the directory says");
}

static void test_damaged_fields(void **state) {
    static const struct {
        size_t at;
        uint64_t value;
        int size;
        const char *needle;
    } rows[] = {
        {SIZE - 2, 1, 2, "the file was cut"},
        {END, 0, 1, "the file was cut"},
        {END + 10, 3, 2, "its directory does not lie"},
        {END + 10, 1, 2, "longer than its entries"},
        {END + 12, END - DIRECTORY - 1, 4, "its directory does not lie"},
        {END + 16, DIRECTORY + 1, 4, "its directory does not lie"},
        {END + 16, UINT32_MAX, 4, "its directory does not lie"},
        {DIRECTORY, 0, 1, "an entry of its directory is damaged"},
        {DIRECTORY + 20, 6, 4, "a: its two sizes differ"},
        {DIRECTORY + 28, 0, 2, "an entry of its directory is damaged"},
        {DIRECTORY + 28, UINT16_MAX, 2, "an entry of its directory is damaged"},
        {DIRECTORY + 32, 1, 2, "an entry of its directory is damaged"},
        {DIRECTORY + 42, 1, 4, "a: is not where the directory says"},
        {DIRECTORY + 42, LOCAL_B, 4, "a: has another name"},
        {DIRECTORY + 42, DIRECTORY, 4, "a: is not where the directory says"},
        {DIRECTORY + 46, 0, 1, "an entry of its directory is damaged"},
        {DIRECTORY + 46, 'x', 1, "x: has another name"},
        {LOCAL_A, 0, 1, "a: is not where the directory says"},
        {LOCAL_A + 26, UINT16_MAX, 2, "a: has another name"},
        {LOCAL_A + 28, UINT16_MAX, 2, "a: has another name"},
        {LOCAL_A + 28, 1, 2, "a: runs into the entry behind it"},
        {LOCAL_B + 28, 1, 2, "b/c: does not end before the directory"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        archive z = make_archive();
        set(&z, rows[i].at, rows[i].value, rows[i].size);
        check_bad(&z, RP_ERROR_FORMAT, rows[i].needle);
    }
    archive z = make_archive();
    set(&z, DIRECTORY + 34, 1, 2);
    check_bad(&z, RP_ERROR_UNSUPPORTED, "a: is in another part");
    z = make_archive();
    set(&z, DIRECTORY + 20, 41, 4);
    set(&z, DIRECTORY + 24, 41, 4);
    check_bad(&z, RP_ERROR_FORMAT, "a: runs into the entry behind it");
    for (size_t size = 0; size < SIZE; size++) {
        z = make_archive();
        z.size = size;
        check_bad(&z, RP_ERROR_FORMAT, "the file was cut");
    }
}

static void test_same_entry_twice(void **state) {
    (void)state;
    archive z = {.size = 0};
    put_local(&z, "a", "first");
    put_local(&z, "a", "2nd--");
    size_t at = z.size;
    put_central(&z, "a", 0, 5, 0);
    put_central(&z, "a", 0, 5, 36);
    put_end(&z, 2, (uint32_t)(z.size - at), (uint32_t)at);
    check_bad(&z, RP_ERROR_FORMAT, "a: is there twice");
    set(&z, at + 47 + 42, 0, 4); // both name the same bytes
    check_bad(&z, RP_ERROR_FORMAT, "a: runs into the entry behind it");
}

/* They may stand in an archive, but are of no use. */
static void test_compressed_and_encrypted(void **state) {
    static const struct {
        size_t at;
        uint32_t value;
        const char *needle;
    } rows[] = {{10, 8, "is compressed"}, {8, 1, "is encrypted"}, {8, 1 << 6, "is encrypted"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        archive z = make_archive();
        rp_zip zip;
        set(&z, DIRECTORY + rows[i].at, rows[i].value, 2);
        assert_int_equal(open_bytes(&z, &zip, NULL), RP_OK);
        assert_non_null(strstr(rp_zip_find(&zip, "a")->refused, rows[i].needle));
        assert_null(rp_zip_find(&zip, "b/c")->refused);
        rp_zip_close(&zip);
    }
}

static void test_checksum(void **state) {
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        archive z = make_archive();
        rp_zip zip;
        z.bytes[LOCAL_A + 31 + i] ^= 1 << i;
        assert_int_equal(open_bytes(&z, &zip, NULL), RP_OK);
        assert_false(rp_zip_is_intact(rp_zip_find(&zip, "a")));
        rp_zip_close(&zip);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_zip64),
        cmocka_unit_test(test_damaged_fields),
        cmocka_unit_test(test_same_entry_twice),
        cmocka_unit_test(test_compressed_and_encrypted),
        cmocka_unit_test(test_checksum),
    };
    return cmocka_run_group_tests_name("zip", tests, NULL, NULL);
}
