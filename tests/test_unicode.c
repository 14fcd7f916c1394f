/* What the tables of Unicode say: of every code point and of many short texts against hashes that
 * goldens/make_unicode_goldens.py made from the references, and against utf8proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "loader/unicode.h"

enum { END = 0x110000, TEXTS = 1000, POOL_MAX = 256 };

/* ---- hashes of what the goldens have ---- */

typedef struct hash {
    uint64_t value;
} hash;

static void add_byte(hash *h, uint8_t byte) {
    h->value = (h->value ^ byte) * 0x100000001b3u;
}

static void add_code(hash *h, uint32_t code) {
    char bytes[4];
    size_t size = rp_utf8_put(bytes, code);
    for (size_t i = 0; i < size; i++) add_byte(h, (uint8_t)bytes[i]);
}

static void add_chars(hash *h, const rp_chars *chars) {
    for (size_t i = 0; i < chars->count; i++) add_code(h, chars->items[i].code);
    add_byte(h, 0xff);
}

static void push_all(rp_chars *out, const uint32_t *codes, size_t count) {
    for (size_t i = 0; i < count; i++)
        assert_true(rp_chars_push(out, codes[i], (uint32_t)i, (uint32_t)i + 1));
}

/* ---- properties ---- */

typedef bool predicate(uint32_t code);

static const struct {
    const char *name;
    predicate *test;
} predicates[] = {
    {"white", rp_char_is_white},
    {"numeric", rp_char_is_numeric},
    {"punctuation", rp_bert_is_punctuation},
    {"bert-punctuation", rp_bert_is_punctuation},
    {"word", rp_char_is_word},
    {"regex-word", rp_char_is_regex_word},
    {"mark", rp_char_is_mark},
    {"bert-nonspacing", rp_bert_is_nonspacing},
    {"bert-ideograph", rp_bert_is_ideograph},
    {"python-space", rp_char_is_space},
    {"python-digit", rp_char_is_digit},
};

static const char *const categories[] = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl",
                                         "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
                                         "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"};
static const char *const forms[] = {"nfd", "nfkd", "nfc", "nfkc"}; /* in the order of rp_normal_form */

static int find_form(const char *name) {
    for (int i = 0; i < 4; i++)
        if (!strcmp(name, forms[i])) return i;
    return -1;
}

static void add_clean(hash *h, uint32_t code) {
    if (code && code != 0xfffd && !rp_bert_is_control(code)) add_code(h, rp_char_is_white(code) ? ' ' : code);
    add_byte(h, 0xff);
}

static void add_lower(hash *h, uint32_t code) {
    uint32_t out[RP_LOWERED_MAX];
    size_t count = rp_char_lower(code, out);
    for (size_t i = 0; i < count; i++) add_code(h, out[i]);
    add_byte(h, 0xff);
}

static void add_normal(hash *h, uint32_t code, rp_normal_form form) {
    rp_chars chars = {0};
    push_all(&chars, &code, 1);
    assert_true(rp_chars_normalize(&chars, form));
    add_chars(h, &chars);
    free(chars.items);
}

/* Decomposed as Python does; marks of the standard's mappings are in canonical order already. */
static void add_decomposed(hash *h, uint32_t code, bool compatibility) {
    uint32_t parts[RP_DECOMPOSED_MAX];
    size_t count = rp_char_decompose(code, compatibility, parts);
    for (size_t i = 0; i < count; i++) add_code(h, parts[i]);
    add_byte(h, 0xff);
}

static void add_sigma(hash *h, uint32_t code) {
    rp_chars in = {0}, out = {0};
    push_all(&in, (const uint32_t[]){'a', code, 0x3a3, ' ', 'a', 0x3a3, code, ' ', code, 0x3a3}, 10);
    assert_true(rp_chars_lower(&in, &out));
    add_chars(h, &out);
    free(in.items);
    free(out.items);
}

static void add_property(hash *h, const char *name, uint32_t code) {
    int form = find_form(name);
    if (form >= 0) {
        add_normal(h, code, (rp_normal_form)form);
    } else if (!strcmp(name, "bert-clean")) {
        add_clean(h, code);
    } else if (!strcmp(name, "lower")) {
        add_lower(h, code);
    } else if (!strcmp(name, "python-category")) {
        const char *text = categories[rp_char_category(code)];
        add_byte(h, (uint8_t)text[0]);
        add_byte(h, (uint8_t)text[1]);
        add_byte(h, 0xff);
    } else if (!strcmp(name, "python-combining")) {
        add_byte(h, (uint8_t)rp_char_combining(code));
    } else if (!strcmp(name, "python-nfd") || !strcmp(name, "python-nfkd")) {
        add_decomposed(h, code, !strcmp(name, "python-nfkd"));
    } else if (!strcmp(name, "python-sigma")) {
        add_sigma(h, code);
    } else {
        size_t i = 0;
        while (i < RP_COUNT(predicates) && strcmp(name, predicates[i].name)) i++;
        assert_true(i < RP_COUNT(predicates));
        add_byte(h, predicates[i].test(code));
    }
}

static hash hash_plane(const char *name, uint32_t plane) {
    hash h = {0xcbf29ce484222325u};
    for (uint32_t code = plane << 16; code < (plane + 1) << 16; code++)
        if (code < 0xd800 || code > 0xdfff) add_property(&h, name, code);
    return h;
}

/* ---- texts ---- */

static uint32_t pool[POOL_MAX];
static size_t pool_count;

static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 1 to 8 code points of the pool. Returns how many. */
static size_t random_text(uint64_t *state, uint32_t out[8]) {
    size_t length = 1 + next_random(state) % 8;
    for (size_t i = 0; i < 8; i++) {
        uint64_t number = next_random(state);
        if (i < length) out[i] = pool[number % pool_count];
    }
    return length;
}

/* Every short grapheme counts once, and every character of the others. */
static uint8_t count_graphemes(const uint32_t *codes, size_t count) {
    int32_t state = 0;
    uint8_t total = 0;
    for (size_t from = 0, to; from < count; from = to) {
        size_t size = rp_utf8_size(codes[from]);
        for (to = from + 1; to < count && !rp_grapheme_break(codes[to - 1], codes[to], &state); to++)
            size += rp_utf8_size(codes[to]);
        total = (uint8_t)(total + (size < 6 ? 1 : to - from));
    }
    return total;
}

static hash hash_texts(const char *name, uint64_t seed) {
    hash h = {0xcbf29ce484222325u};
    int form = find_form(name);
    for (int i = 0; i < TEXTS; i++) {
        uint32_t codes[8];
        size_t count = random_text(&seed, codes);
        if (form < 0) {
            add_byte(&h, count_graphemes(codes, count));
            continue;
        }
        rp_chars chars = {0};
        push_all(&chars, codes, count);
        assert_true(rp_chars_normalize(&chars, (rp_normal_form)form));
        for (size_t k = 0; k < chars.count; k++) {
            add_code(&h, chars.items[k].code);
            add_byte(&h, (uint8_t)chars.items[k].start);
            add_byte(&h, (uint8_t)chars.items[k].end);
        }
        add_byte(&h, 0xff);
        free(chars.items);
    }
    return h;
}

/* ---- goldens ---- */

static void read_pool(char *line) {
    for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
        if (strcmp(word, "pool")) {
            assert_true(pool_count < POOL_MAX);
            pool[pool_count++] = (uint32_t)strtoul(word, NULL, 16);
        }
}

static void reference_says_the_same(void **state) {
    (void)state;
    FILE *file = fopen(TESTS_DIR "/goldens/unicode/unicode.txt", "r");
    assert_non_null(file);
    char line[512], kind[16], name[32];
    int wrong = 0, checked = 0;
    while (fgets(line, sizeof line, file)) {
        unsigned index;
        unsigned long long want;
        if (!strncmp(line, "pool ", 5)) {
            read_pool(line);
            continue;
        }
        assert_int_equal(sscanf(line, "%15s %31s %u %llx", kind, name, &index, &want), 4);
        hash h = !strcmp(kind, "property") ? hash_plane(name, index) : hash_texts(name, index);
        if (h.value != want) {
            print_error("%s %s %u differs\n", kind, name, index);
            wrong++;
        }
        checked++;
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(checked > 400);
}

/* ---- utf8proc ---- */

static void utf8proc_says_the_same(void **state) {
    (void)state;
    if (strcmp(utf8proc_unicode_version(), "15.0.0")) skip();
    for (uint32_t code = 0; code < END; code++) {
        utf8proc_int32_t c = (utf8proc_int32_t)code;
        assert_string_equal(categories[rp_char_category_in(code, RP_UNICODE_15)],
                            utf8proc_category_string(c));
        uint32_t lower[RP_LOWERED_MAX];
        size_t count = rp_char_lower(code, lower);
        if (code != 0x130) {
            assert_int_equal(count, 1);
            assert_int_equal(lower[0], utf8proc_tolower(c));
        }
        if (rp_char_category(code) == RP_CATEGORY_CN) continue; /* the functions of Python stop before 15 */
        assert_int_equal(rp_char_combining(code), utf8proc_get_property(c)->combining_class);
        for (int compatibility = 0; compatibility < 2; compatibility++) {
            utf8proc_int32_t want[RP_DECOMPOSED_MAX];
            uint32_t got[RP_DECOMPOSED_MAX];
            int boundary = 0;
            int options = UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
            utf8proc_ssize_t wanted = utf8proc_decompose_char(c, want, RP_DECOMPOSED_MAX, options, &boundary);
            assert_int_equal(rp_char_decompose(code, compatibility, got), wanted);
            for (utf8proc_ssize_t i = 0; i < wanted; i++) assert_int_equal(got[i], want[i]);
        }
    }
}

static void utf8proc_breaks_the_same(void **state) {
    (void)state;
    if (strcmp(utf8proc_unicode_version(), "15.0.0")) skip();
    uint64_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        uint32_t codes[8];
        utf8proc_int32_t theirs = 0;
        int32_t ours = 0;
        size_t count = random_text(&seed, codes);
        for (size_t k = 1; k < count; k++)
            assert_int_equal(rp_grapheme_break(codes[k - 1], codes[k], &ours),
                             utf8proc_grapheme_break_stateful((utf8proc_int32_t)codes[k - 1],
                                                              (utf8proc_int32_t)codes[k], &theirs));
    }
}

/* ---- cases by hand ---- */

static void check_normal(rp_normal_form form, const rp_char *in, size_t count, const rp_char *want,
                         size_t wanted) {
    rp_chars chars = {0};
    for (size_t i = 0; i < count; i++) assert_true(rp_chars_push(&chars, in[i].code, in[i].start, in[i].end));
    assert_true(rp_chars_normalize(&chars, form));
    assert_int_equal(chars.count, wanted);
    assert_memory_equal(chars.items, want, wanted * sizeof *want);
    free(chars.items);
}

static void bytes_are_counted_from_the_left(void **state) {
    (void)state;
    /* composed: the bytes of the first part */
    check_normal(RP_NFC, (rp_char[]){{'x', 0, 1}, {'e', 1, 2}, {0x301, 2, 4}, {'y', 4, 5}}, 4,
                 (rp_char[]){{'x', 0, 1}, {0xe9, 1, 2}, {'y', 4, 5}}, 3);
    /* decomposed: each part has the bytes of the whole */
    check_normal(RP_NFD, (rp_char[]){{0x1ed9, 3, 6}, {'.', 6, 7}}, 2,
                 (rp_char[]){{'o', 3, 6}, {0x323, 3, 6}, {0x302, 3, 6}, {'.', 6, 7}}, 4);
    /* marks that change places have each other's bytes */
    check_normal(RP_NFD, (rp_char[]){{'a', 0, 1}, {0x301, 1, 3}, {0x323, 3, 5}}, 3,
                 (rp_char[]){{'a', 0, 1}, {0x323, 1, 3}, {0x301, 3, 5}}, 3);
    check_normal(RP_NFKC, (rp_char[]){{0xfb01, 0, 3}, {0x300, 3, 5}}, 2,
                 (rp_char[]){{'f', 0, 3}, {0xec, 3, 5}}, 2);
    check_normal(RP_NFKD, NULL, 0, NULL, 0);
}

/* A long run of marks that are in the worst order takes no quadratic time and stays stable. */
static void long_runs_are_sorted(void **state) {
    (void)state;
    enum { COUNT = 400000 };
    rp_chars chars = {0};
    assert_true(rp_chars_push(&chars, 'a', 0, 1));
    for (uint32_t i = 1; i < COUNT; i++)
        assert_true(rp_chars_push(&chars, i < COUNT / 2 ? 0x301 : 0x323, i, i + 1));
    assert_true(rp_chars_normalize(&chars, RP_NFD));
    assert_int_equal(chars.count, COUNT);
    for (uint32_t i = 1; i < COUNT; i++) {
        assert_int_equal(chars.items[i].code, i <= COUNT / 2 ? 0x323 : 0x301);
        assert_int_equal(chars.items[i].start, i);
    }
    free(chars.items);
}

/* What is newer than the version asked for is unassigned; some characters had another category once. */
static void versions_are_cut(void **state) {
    (void)state;
    assert_int_equal(rp_char_category_in(0x8e2, RP_UNICODE_8), RP_CATEGORY_CN); /* of version 9 */
    assert_int_equal(rp_char_category_in(0x8e2, RP_UNICODE_9), RP_CATEGORY_CF);
    assert_int_equal(rp_char_category_in(0x1e030, RP_UNICODE_14), RP_CATEGORY_CN);
    assert_int_equal(rp_char_category_in(0x1e030, RP_UNICODE_15), RP_CATEGORY_LM);
    assert_int_equal(rp_char_category_in(0x111c9, RP_UNICODE_9), RP_CATEGORY_PO);
    assert_int_equal(rp_char_category_in(0x111c9, RP_UNICODE_14), RP_CATEGORY_MN);
    assert_int_equal(rp_char_category(0x378), RP_CATEGORY_CN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_says_the_same),
        cmocka_unit_test(utf8proc_says_the_same),
        cmocka_unit_test(utf8proc_breaks_the_same), /* with the pool that the goldens have */
        cmocka_unit_test(bytes_are_counted_from_the_left),
        cmocka_unit_test(long_runs_are_sorted),
        cmocka_unit_test(versions_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
