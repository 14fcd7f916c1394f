/* SHA-1 and SHA-256 against the vectors of FIPS 180 and RFC 6234, whatever the pieces that bytes come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha.h"

typedef struct vector {
    const char *text;
    size_t times;
    const char *sha1, *sha256;
} vector;

static const vector vectors[] = {
    {"", 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, "a9993e364706816aba3e25717850c26c9cd0d89d",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"a", 1000000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f",
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"0123456701234567012345670123456701234567012345670123456701234567", 10,
     "dea356a2cddd90c7a7ecedc5ebb563934f460452",
     "594847328451bdfa85056225462cc1d867d877fb388df0ce35f25ab5562bfbb5"},
};

static void hash(const vector *v, size_t piece, void (*begin)(rp_sha *sha), char out[RP_SHA_TEXT]) {
    size_t size = strlen(v->text), all = size * v->times;
    char *text = malloc(all + 1);
    assert_non_null(text);
    for (size_t i = 0; i < v->times; i++) memcpy(text + i * size, v->text, size);
    rp_sha sha;
    begin(&sha);
    for (size_t at = 0; at < all; at += piece)
        rp_sha_add(&sha, text + at, all - at < piece ? all - at : piece);
    rp_sha_end(&sha, out);
    free(text);
}

static void test_known_vectors(void **state) {
    (void)state;
    static const size_t pieces[] = {1 << 20, 1, 3, 55, 56, 63, 64, 65, 1000};
    char out[RP_SHA_TEXT];
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
            hash(&vectors[i], pieces[k], rp_sha1_begin, out);
            assert_string_equal(out, vectors[i].sha1);
            hash(&vectors[i], pieces[k], rp_sha256_begin, out);
            assert_string_equal(out, vectors[i].sha256);
        }
}

/* Each length around the two ends of a block pads in a way of its own; the sum over all was made with
 * Python's hashlib. */
static void test_every_length(void **state) {
    (void)state;
    unsigned char text[200];
    char out[RP_SHA_TEXT];
    rp_sha sum1, sum256, sha;
    rp_sha1_begin(&sum1);
    rp_sha256_begin(&sum256);
    for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * 7);
    for (size_t size = 0; size < sizeof text; size++) {
        rp_sha1_begin(&sha);
        rp_sha_add(&sha, text, size);
        rp_sha_end(&sha, out);
        rp_sha_add(&sum1, out, 40);
        rp_sha256_begin(&sha);
        rp_sha_add(&sha, text, size);
        rp_sha_end(&sha, out);
        rp_sha_add(&sum256, out, 64);
    }
    rp_sha_end(&sum1, out);
    assert_string_equal(out, "a0ad81624bb7a3533b28be19562ec6785cedd70f");
    rp_sha_end(&sum256, out);
    assert_string_equal(out, "ca07a79e06ea4c825585cbbf34308733cb36356746a5eec888d7f813ec003999");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_vectors),
        cmocka_unit_test(test_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
