/* One safetensors file: what is read of a good one, damage of every kind, and thousands of random mutations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "loader/safetensors.h"
#include "support_fixture.h"

static char dir[FIXTURE_PATH_SIZE], path[FIXTURE_PATH_SIZE + 32];

static int setup(void **state) {
    (void)state;
    if (!fixture_make_dir(dir)) return -1;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    fixture_remove_dir(dir);
    return 0;
}

static void write_bytes(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* A file with this header, whose stored length is `length`, and `data_size` bytes of data. */
static void write_file(uint64_t length, const char *header, const void *data, size_t data_size) {
    size_t size = 8 + strlen(header) + data_size;
    unsigned char *bytes = calloc(1, size);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> 8 * i);
    memcpy(bytes + 8, header, strlen(header));
    if (data) memcpy(bytes + 8 + strlen(header), data, data_size);
    write_bytes(bytes, size);
    free(bytes);
}

static void check_open_fails(rp_status expected, const char *needle, const char *what) {
    rp_tensor_file file;
    rp_error err = {0};
    rp_status status = rp_safetensors_open(path, &file, &err);
    bool good = status == expected && err.status == expected && strstr(err.message, "model.safetensors") &&
                strstr(err.message, needle);
    if (!good) print_error("%.200s\n-> %s: %s\n", what, rp_status_name(status), err.message);
    assert_true(good);
    assert_null(file.bytes);
    assert_null(file.entries);
}

/* ---- good files ---- */

static const char good_header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                  "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]},"
                                  "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
                                  "\"empty\":{\"dtype\":\"I64\",\"shape\":[0,5],\"data_offsets\":[22,22]},"
                                  "\"c\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[22,26]},"
                                  "\"odd\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[26,28]}} ";
enum { GOOD_DATA = 28 };

static void fill_good_data(unsigned char data[GOOD_DATA]) {
    static const uint32_t a[] = {0x3F800000, 0xC0200000, 0x00000001,
                                 0x7F7FFFFF};             // 1, -2.5, smallest, largest
    static const uint16_t b[] = {0x3C00, 0x8001, 0x7BFF}; // 1, -2^-24, 65504
    static const uint16_t c[] = {0x3F80, 0xC020};         // 1, -2.5
    memset(data, 0, GOOD_DATA);
    for (int i = 0; i < 16; i++) data[i] = (unsigned char)(a[i / 4] >> 8 * (i % 4));
    for (int i = 0; i < 6; i++) data[16 + i] = (unsigned char)(b[i / 2] >> 8 * (i % 2));
    for (int i = 0; i < 4; i++) data[22 + i] = (unsigned char)(c[i / 2] >> 8 * (i % 2));
}

static void view_good(rp_tensor_file *file, const char *name, uint32_t rank, uint32_t rows, uint32_t columns,
                      rp_tensor *out) {
    rp_tensor_entry *t = rp_tensor_file_find(file, name);
    rp_error err = {0};
    assert_non_null(t);
    rp_status status = rp_tensor_file_view(file, t, rank, rows, columns, "a test", out, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
}

static void test_elements(void **state) {
    (void)state;
    unsigned char data[GOOD_DATA];
    rp_tensor_file file;
    rp_tensor t;
    float values[4];
    fill_good_data(data);
    write_file(strlen(good_header), good_header, data, sizeof data);
    assert_int_equal(rp_safetensors_open(path, &file, NULL), RP_OK);
    assert_int_equal(unlink(path), 0); // the mapping outlives the name
    view_good(&file, "a", 2, 2, 2, &t);
    assert_int_equal(t.rows, 2);
    assert_int_equal(t.columns, 2);
    rp_tensor_read(&t, 0, 4, values);
    assert_true(values[0] == 1 && values[1] == -2.5f && values[2] == 0x1p-149f &&
                values[3] == 0x1.fffffep127f);
    view_good(&file, "b", 1, 1, 3, &t);
    assert_int_equal(t.rows, 1);
    assert_int_equal(t.dtype, RP_F16);
    rp_tensor_read(&t, 1, 2, values);
    assert_true(values[0] == -0x1p-24f && values[1] == 65504);
    assert_true(rp_tensor_get(&t, 0) == 1);
    view_good(&file, "c", 2, 1, 2, &t);
    assert_int_equal(t.dtype, RP_BF16);
    assert_true(rp_tensor_get(&t, 0) == 1 && rp_tensor_get(&t, 1) == -2.5f);
    assert_null(rp_tensor_file_find(&file, "__metadata__"));
    assert_null(rp_tensor_file_find(&file, ""));
    assert_null(rp_tensor_file_find(&file, "aa"));
    rp_tensor_file_close(&file);
    rp_tensor_file_close(&file);
}

/* The value of a half from its definition. */
static double half_value(unsigned bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double x = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return bits & 0x8000 ? -x : x;
}

static void test_every_half(void **state) {
    (void)state;
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        uint16_t half = (uint16_t)bits;
        rp_tensor f16 = {.data = &half, .dtype = RP_F16, .rows = 1, .columns = 1};
        rp_tensor bf16 = {.data = &half, .dtype = RP_BF16, .rows = 1, .columns = 1};
        uint32_t wide = bits << 16;
        float got = rp_tensor_get(&f16, 0), expected;
        if ((bits & 0x7C00) == 0x7C00)
            assert_false(isfinite(got));
        else
            assert_true(got == half_value(bits) && !signbit(got) == !(bits & 0x8000));
        memcpy(&expected, &wide, sizeof expected);
        rp_tensor_read(&bf16, 0, 1, &got); /* as on i386 a float is returned by the x87, which changes NaNs */
        assert_memory_equal(&got, &expected, sizeof got);
    }
}

static void check_view_fails(rp_tensor_file *file, const char *name, uint32_t rank, uint32_t rows,
                             uint32_t columns, rp_status expected, const char *needle) {
    rp_tensor t;
    rp_error err = {0};
    rp_tensor_entry *found = rp_tensor_file_find(file, name);
    assert_non_null(found);
    assert_int_equal(rp_tensor_file_view(file, found, rank, rows, columns, "hidden_size", &t, &err),
                     expected);
    bool good =
        strstr(err.message, "model.safetensors") && strstr(err.message, name) && strstr(err.message, needle);
    if (!good) print_error("%s\n", err.message);
    assert_true(good);
    assert_null(t.data);
}

static void test_wrong_views(void **state) {
    (void)state;
    rp_tensor_file file;
    write_file(strlen(good_header), good_header, NULL, GOOD_DATA);
    assert_int_equal(rp_safetensors_open(path, &file, NULL), RP_OK);
    check_view_fails(&file, "a", 2, 2, 3, RP_ERROR_FORMAT, "[2, 2]");
    check_view_fails(&file, "a", 2, 2, 3, RP_ERROR_FORMAT, "[2, 3] (hidden_size)");
    check_view_fails(&file, "a", 2, 1, 4, RP_ERROR_FORMAT, "shape");
    check_view_fails(&file, "a", 1, 1, 4, RP_ERROR_FORMAT, "[4]");
    check_view_fails(&file, "b", 2, 1, 3, RP_ERROR_FORMAT, "[3]");
    check_view_fails(&file, "odd", 1, 1, 3, RP_ERROR_UNSUPPORTED, "dtype \"F4\"");
    check_view_fails(&file, "empty", 2, 0, 5, RP_ERROR_UNSUPPORTED, "dtype \"I64\"");
    rp_tensor_file_close(&file);
}

/* NaN and infinity in any place, for tensors of several lengths. */
static void test_not_finite(void **state) {
    static const struct {
        const char *dtype;
        uint32_t bytes, bits;
    } rows[] = {{"F32", 4, 0x7F800000}, {"F32", 4, 0xFF800000}, {"F32", 4, 0x7FC00001},
                {"F32", 4, 0x7F800001}, {"F16", 2, 0x7C00},     {"F16", 2, 0xFE01},
                {"BF16", 2, 0x7F80},    {"BF16", 2, 0xFFC0}};
    static const uint32_t counts[] = {1, 2, 7, 4096, 4097, 9001};
    static unsigned char data[4 * 9001];
    (void)state;
    for (size_t r = 0; r < RP_COUNT(rows); r++)
        for (size_t k = 0; k < RP_COUNT(counts); k++)
            for (int place = 0; place < 4; place++) {
                uint32_t n = counts[k], at = (n - 1) * (uint32_t)place / 3;
                char header[160], needle[32];
                rp_tensor_file file;
                for (size_t i = 0; i < sizeof data; i++)
                    data[i] = (unsigned char)(i * 7 % 113); // never all ones
                for (uint32_t b = 0; b < rows[r].bytes; b++)
                    data[at * rows[r].bytes + b] = (unsigned char)(rows[r].bits >> 8 * b);
                snprintf(header, sizeof header,
                         "{\"weight\":{\"dtype\":\"%s\",\"shape\":[%u],\"data_offsets\":[0,%u]}}",
                         rows[r].dtype, n, n * rows[r].bytes);
                write_file(strlen(header), header, data, (size_t)n * rows[r].bytes);
                assert_int_equal(rp_safetensors_open(path, &file, NULL), RP_OK);
                snprintf(needle, sizeof needle, "element %u is NaN", at);
                check_view_fails(&file, "weight", 1, 1, n, RP_ERROR_FORMAT, needle);
                rp_tensor_file_close(&file);
            }
}

/* ---- damage ---- */

#define T(dtype, shape, offsets) "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Each row is a header over 16 bytes of data. */
static void test_damaged_headers(void **state) {
    static const struct {
        const char *header, *needle;
    } rows[] = {
        {"{\"w\":" T("\"F32\"", "[4]", "[0,16]"), "not valid JSON"},
        {"{\"w\":" T("\"F32\"", "[4]", "[0,16]") "} x", "not valid JSON"},
        {"[]", "must begin with {"},
        {" {\"w\":" T("\"F32\"", "[4]", "[0,16]") "}", "must begin with {"},
        {"{\"w\":" T("\"F32\"", "[2]", "[0,8]") ",\"w\":" T("\"F32\"", "[2]", "[8,16]") "}", "duplicate"},
        {"{\"w\":" T("\"F32\"", "[4]", "[0,16]") ",\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "dtype"},
        {"{\"w\":3}", "w: header"},
        {"{\"w\":{\"shape\":[4],\"data_offsets\":[0,16]}}", "w: dtype"},
        {"{\"w\":" T("7", "[4]", "[0,16]") "}", "w: dtype"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "4", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[-4]", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[4.0]", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[\"4\"]", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[4611686018427387904]", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[4294967296,4294967296,4]", "[0,16]") "}", "w: shape"},
        {"{\"w\":" T("\"F32\"", "[99999999999999999999]", "[0,16]") "}", "shape: line 1"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4]}}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[0]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[0,16,16]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[0,\"16\"]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[-16,0]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[16,0]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[5]", "[0,20]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[4]", "[9223372036854775800,9223372036854775807]") "}", "w: data_offsets"},
        {"{\"w\":" T("\"F32\"", "[3]", "[0,16]") "}", "need 12"},
        {"{\"w\":" T("\"F16\"", "[4]", "[0,16]") "}", "need 8"},
        {"{\"w\":" T("\"I64\"", "[4]", "[0,16]") "}", "need 32"},
        {"{\"w\":" T("\"F32\"", "[]", "[0,16]") "}", "need 4"},
        {"{\"v\":" T("\"F32\"", "[3]", "[0,12]") ",\"w\":" T("\"F32\"", "[2]", "[8,16]") "}",
         "w: data_offsets"},
        {"{\"v\":" T("\"F32\"", "[4]", "[0,16]") ",\"w\":" T("\"F32\"", "[4]", "[0,16]") "}", "inside"},
        {"{\"v\":" T("\"F32\"", "[1]", "[0,4]") ",\"w\":" T("\"F32\"", "[2]", "[8,16]") "}", "hole"},
        {"{\"w\":" T("\"F32\"", "[3]", "[4,16]") "}", "hole"},
        {"{\"w\":" T("\"F32\"", "[3]", "[0,12]") "}", "data_offsets: the tensors end at byte 12"},
        {"{\"w\":" T("\"Q8\"", "[3]", "[0,12]") "}", "data_offsets: the tensors end at byte 12"},
        {"{}", "data_offsets"},
        {"{\"__metadata__\":3,\"w\":" T("\"F32\"", "[4]", "[0,16]") "}", "__metadata__"},
        {"{\"__metadata__\":{\"a\":1},\"w\":" T("\"F32\"", "[4]", "[0,16]") "}", "__metadata__"},
        {"{\"w\xff\":" T("\"F32\"", "[4]", "[0,16]") "}", "w?: line 1"},
        {"{\"w\\u0000\":" T("\"F32\"", "[4]", "[0,16]") "}", "not valid JSON"},
    };
    (void)state;
    for (size_t i = 0; i < RP_COUNT(rows); i++) {
        write_file(strlen(rows[i].header), rows[i].header, NULL, 16);
        check_open_fails(RP_ERROR_FORMAT, rows[i].needle, rows[i].header);
    }
}

static void test_damaged_lengths(void **state) {
    static const char header[] = "{\"w\":" T("\"F32\"", "[4]", "[0,16]") "}";
    static const uint64_t lengths[] = {
        0,         sizeof header - 2, sizeof header, sizeof header + 15, sizeof header + 16,
        100000001, 1ull << 32,        1ull << 63,    UINT64_MAX,         UINT64_MAX - 7};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(lengths); i++) {
        write_file(lengths[i], header, NULL, 16);
        check_open_fails(RP_ERROR_FORMAT, "", "a wrong length");
    }
    write_file(sizeof header - 1, header, NULL, 15);
    check_open_fails(RP_ERROR_FORMAT, "data_offsets", "cut by a byte");
    write_file(sizeof header - 1, header, NULL, 17);
    check_open_fails(RP_ERROR_FORMAT, "data_offsets", "a byte too many");
    write_file(1ull << 63, header, NULL, 16);
    check_open_fails(RP_ERROR_FORMAT, "header length: 9223372036854775808", "2^63");
}

static void test_cut_files(void **state) {
    static const char header[] = "{\"w\":" T("\"F32\"", "[4]", "[0,16]") "}";
    unsigned char bytes[8 + sizeof header - 1 + 16] = {sizeof header - 1};
    (void)state;
    memcpy(bytes + 8, header, sizeof header - 1);
    for (size_t size = 0; size < sizeof bytes; size++) {
        write_bytes(bytes, size);
        check_open_fails(RP_ERROR_FORMAT, size < 8 ? "header length" : "", "a cut file");
    }
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    write_bytes(pointer, sizeof pointer - 1);
    check_open_fails(RP_ERROR_FORMAT, "git lfs pull", "a pointer");
}

static void test_wrong_paths(void **state) {
    (void)state;
    check_open_fails(RP_ERROR_FILE, "No such file", "missing");
    assert_int_equal(mkdir(path, 0700), 0);
    check_open_fails(RP_ERROR_FILE, "not a regular file", "a folder");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    check_open_fails(RP_ERROR_FILE, "not a regular file", "a pipe");
}

/* A path longer than a message must not hide what is wrong. */
static void test_long_path(void **state) {
    (void)state;
    char deep[2048] = "";
    for (int i = 0; i < 12; i++)
        strcat(deep, "/nothing-is-called-by-this-name-here-or-anywhere-else-in-the-world-at-all");
    strcat(deep, "/model.safetensors");
    rp_tensor_file file;
    rp_error err = {0};
    assert_int_equal(rp_safetensors_open(deep, &file, &err), RP_ERROR_FILE);
    assert_non_null(strstr(err.message, "/model.safetensors: cannot open the file"));
}

/* ---- random mutations ---- */

static uint64_t random_state;

static uint32_t random_below(uint32_t n) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % n);
}

/* Change one to four bytes of the file: any byte, one that means something in JSON, a digit, or a piece
 * moved. */
static void mutate(unsigned char *bytes, size_t size) {
    static const char useful[] = "{}[]\",:0123456789-eE.\\ntf\x80\xff";
    for (uint32_t k = 1 + random_below(4); k > 0; k--) {
        size_t at = random_below((uint32_t)size);
        switch (random_below(4)) {
        case 0:
            bytes[at] = (unsigned char)random_below(256);
            break;
        case 1:
            bytes[at] = (unsigned char)useful[random_below(sizeof useful - 1)];
            break;
        case 2:
            while (at < size && (bytes[at] < '0' || bytes[at] > '9')) at++;
            if (at < size) bytes[at] = (unsigned char)('0' + random_below(10));
            break;
        default: {
            size_t from = random_below((uint32_t)size), room = size - (at > from ? at : from);
            memmove(bytes + at, bytes + from, random_below((uint32_t)(room < 12 ? room + 1 : 12)));
        }
        }
    }
}

/* Whatever the bytes are: an error with a message, or tensors that lie within the file and can all be read.
 */
static void test_random_mutations(void **state) {
    enum { ROUNDS = 5000, SIZE = 8 + sizeof good_header - 1 + GOOD_DATA };
    unsigned char original[SIZE] = {(sizeof good_header - 1) & 255, (sizeof good_header - 1) >> 8},
                  bytes[SIZE];
    int opened = 0;
    (void)state;
    memcpy(original + 8, good_header, sizeof good_header - 1);
    fill_good_data(original + SIZE - GOOD_DATA);
    random_state = 20240607;
    for (int round = 0; round < ROUNDS; round++) {
        rp_tensor_file file;
        rp_error err = {0};
        memcpy(bytes, original, SIZE);
        mutate(bytes, SIZE);
        write_bytes(bytes, random_below(8) ? SIZE : random_below(SIZE + 1));
        rp_status status = rp_safetensors_open(path, &file, &err);
        if (status) {
            assert_int_equal(status, RP_ERROR_FORMAT);
            assert_int_equal(err.status, status);
            assert_non_null(strstr(err.message, "model.safetensors: "));
            continue;
        }
        opened++;
        for (size_t i = 0; i < file.count; i++) {
            rp_tensor_entry *t = &file.entries[i];
            rp_tensor view;
            assert_true(t->data >= file.bytes && t->bytes <= (uint64_t)(file.bytes + file.size - t->data));
            assert_ptr_equal(rp_tensor_file_find(&file, t->name), t);
            uint32_t rank = t->rank;
            uint64_t columns = rank ? t->dims[rank - 1] : 0, rows = rank == 2 ? t->dims[0] : 1;
            if (rank < 1 || rank > 2 || columns > UINT32_MAX || rows > UINT32_MAX) continue;
            if (rp_tensor_file_view(&file, t, rank, (uint32_t)rows, (uint32_t)columns, "", &view, &err))
                continue;
            for (size_t k = 0; k < rows * columns; k++) assert_true(isfinite(rp_tensor_get(&view, k)));
        }
        rp_tensor_file_close(&file);
    }
    assert_in_range(opened, ROUNDS / 100, ROUNDS / 2); // both outcomes were tried
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_elements, setup, teardown),
        cmocka_unit_test(test_every_half),
        cmocka_unit_test_setup_teardown(test_wrong_views, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_finite, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_paths, setup, teardown),
        cmocka_unit_test(test_long_path),
        cmocka_unit_test_setup_teardown(test_random_mutations, setup, teardown),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
