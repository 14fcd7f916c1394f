/* The reader of pickles: what torch.save writes is read, all else is refused by its name and place, and a few
 * bytes take a few bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/pickle.h"

#define STORAGE(more)                                  \
    "(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0" \
    "0X\3\0\0\0cpuK\6" more "tQ"
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE("") "K\0(K\2K\3t(K\3K\1t\x89" DICT "tR"
#define DICT "ccollections\nOrderedDict\n)R"

static rp_pickle pickle;

static int finish(void **state) {
    (void)state;
    rp_pickle_finish(&pickle);
    return 0;
}

static rp_status read_bytes(const char *text, size_t size, rp_error *err) {
    // a copy of its own, so that a sanitizer sees the first byte too many
    unsigned char *bytes = malloc(size ? size : 1);
    assert_non_null(bytes);
    memcpy(bytes, text, size);
    rp_pickle_finish(&pickle);
    rp_status status = rp_pickle_read(bytes, size, "a/file", "part", &pickle, err);
    free(bytes);
    return status;
}

/* A good pickle; texts of its nodes are gone. */
#define READ(text) read_good(text, sizeof(text) - 1)
static const rp_pickle_node *read_good(const char *text, size_t size) {
    rp_error err = {0};
    rp_status status = read_bytes(text, size, &err);
    if (status) print_error("%s\n", err.message);
    assert_int_equal(status, RP_OK);
    assert_int_equal(pickle.used, size);
    return &pickle.nodes[pickle.root];
}

#define BAD(text, status, needle) check_bad(text, sizeof(text) - 1, status, needle)
static void check_bad(const char *text, size_t size, rp_status expected, const char *needle) {
    rp_error err = {0};
    rp_status status = read_bytes(text, size, &err);
    bool good = status == expected && err.status == status && strstr(err.message, "a/file: part: byte ") &&
                strstr(err.message, needle);
    if (!good) print_error("want %s\n-> %s: %s\n", needle, rp_status_name(status), err.message);
    assert_true(good);
    assert_null(pickle.nodes);
}

static void test_integers(void **state) {
    (void)state;
    assert_int_equal(READ("\x80\2K\xff.")->integer, 255);
    assert_int_equal(READ("\x80\2M\1\2.")->integer, 513);
    assert_int_equal(READ("\x80\2J\xfe\xff\xff\xff.")->integer, -2);
    assert_int_equal(READ("\x80\2\x8a\0.")->integer, 0);
    assert_int_equal(READ("\x80\2\x8a\1\xff.")->integer, -1);
    assert_int_equal(READ("\x80\2\x8a\2\xff\0.")->integer, 255);
    assert_int_equal(READ("\x80\2\x8a\5\0\0\0\0\1.")->integer, 1ll << 32);
    assert_true(READ("\x80\2\x8a\10\0\0\0\0\0\0\0\x80.")->integer == INT64_MIN);
    const rp_pickle_node *large = READ("\x80\2\x8a\12\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
    assert_int_equal(large->kind, RP_PICKLE_LONG);
    assert_int_equal(large->count, 10);
    assert_true(READ("\x80\2G\xbf\xf8\0\0\0\0\0\0.")->real == -1.5);
    assert_int_equal(READ("\x80\2N.")->kind, RP_PICKLE_NONE);
    assert_int_equal(READ("\x80\2\x88.")->integer, 1);
    assert_int_equal(READ("\x80\2\x89.")->integer, 0);
    assert_int_equal(READ("\x80\2\x89.")->kind, RP_PICKLE_BOOL);
}

static void test_texts(void **state) {
    (void)state;
    assert_int_equal(READ("\x80\2X\2\0\0\0ab.")->count, 2);
    assert_int_equal(READ("\x80\2U\3abc.")->count, 3);
    assert_int_equal(READ("\x80\2T\1\0\0\0a.")->count, 1);
    assert_int_equal(READ("\x80\4\x8c\0.")->count, 0);
    assert_int_equal(READ("\x80\4\x95\13\0\0\0\0\0\0\0\x8d\1\0\0\0\0\0\0\0a.")->count, 1);
}

static void test_containers(void **state) {
    (void)state;
    assert_int_equal(READ("\x80\2).")->count, 0);
    assert_int_equal(READ("\x80\2K\1\x85.")->count, 1);
    assert_int_equal(READ("\x80\2NK\1\x86.")->count, 2);
    assert_int_equal(READ("\x80\2NNN\x87.")->count, 3);
    assert_int_equal(READ("\x80\2(NNNNt.")->count, 4);
    assert_int_equal(READ("\x80\2](NNe.")->count, 2);
    assert_int_equal(READ("\x80\2]NaNaNaNaNa.")->count, 5);
    assert_int_equal(READ("\x80\2}NNs.")->count, 2);
    const rp_pickle_node *dict = READ("\x80\2}(NK\1NK\2uNK\3s.");
    assert_int_equal(dict->count, 6);
    assert_int_equal(pickle.nodes[dict->items[5]].integer, 3);
    assert_int_equal(READ("\x80\2}(u.")->count, 0);
    assert_int_equal(READ("\x80\2" DICT "}X\1\0\0\0aNsb.")->count, 0); // attributes are read over
    dict = READ("\x80\2"
                "ccollections\nOrderedDict\n](](NK\1e](NK\2ee\x85R.");
    assert_int_equal(dict->count, 4);
    assert_int_equal(pickle.nodes[dict->items[3]].integer, 2);
}

static void test_memo(void **state) {
    (void)state;
    const rp_pickle_node *pair = READ("\x80\2(K\7q\0h\0t.");
    assert_int_equal(pair->items[0], pair->items[1]);
    pair = READ("\x80\2(K\7r\5\0\0\0j\5\0\0\0t.");
    assert_int_equal(pair->items[0], pair->items[1]);
    pair = READ("\x80\4(K\7\x94K\6\x94h\0h\1t.");
    assert_int_equal(pair->items[0], pair->items[2]);
    assert_int_equal(pair->items[1], pair->items[3]);
    const rp_pickle_node *self = READ("\x80\2]q\0h\0a."); // a list that holds itself
    assert_int_equal(self->items[0], pickle.root);
}

static void test_tensors(void **state) {
    (void)state;
    const rp_pickle_node *node = READ("\x80\2" TENSOR ".");
    assert_int_equal(node->kind, RP_PICKLE_TENSOR);
    rp_pickle_tensor t = rp_pickle_tensor_of(&pickle, node);
    assert_int_equal(t.rank, 2);
    assert_int_equal(pickle.nodes[t.sizes[1]].integer, 3);
    assert_int_equal(pickle.nodes[t.strides[0]].integer, 3);
    assert_int_equal(t.storage.type, RP_PICKLE_F32);
    assert_int_equal(t.storage.elements, 6);
    assert_int_equal(t.storage.size, 6);
    assert_null(t.metadata);
    assert_int_equal(READ("\x80\2"
                          "ctorch._utils\n_rebuild_parameter\n(" TENSOR "\x88" DICT "tR.")
                         ->kind,
                     RP_PICKLE_TENSOR);
    node = READ("\x80\2" STORAGE("(X\1\0\0\0vK\2K\3t") ".");
    rp_pickle_storage s = rp_pickle_storage_of(&pickle, node);
    assert_int_equal(s.begin, 2);
    assert_int_equal(s.size, 3);
    assert_int_equal(READ("\x80\4\x8c\5torch\x8c\13HalfStorage\x93.")->tag, RP_PICKLE_F16);
}

/* ---- what is refused ---- */

static void test_every_other_opcode(void **state) {
    static const char read[] = "().GJKMNQRTUX]abcehjqrstu}";
    (void)state;
    for (int op = 0; op < 256; op++) {
        if ((op && strchr(read, op)) || op == 0x80 || (op >= 0x85 && op <= 0x8a) || op == 0x8c ||
            op == 0x8d || (op >= 0x93 && op <= 0x95))
            continue;
        char text[] = {(char)0x80, 2, (char)op, '.'};
        rp_error err = {0};
        rp_status status = read_bytes(text, sizeof text, &err);
        bool known = (op && strchr("BC012FILPSVdgilop", op)) || (op >= 0x81 && op <= 0x98);
        assert_int_equal(status, known ? RP_ERROR_UNSUPPORTED : RP_ERROR_FORMAT);
        assert_non_null(strstr(err.message, "byte 2: "));
        assert_non_null(strstr(err.message, known ? "so it is not executed" : "is no opcode"));
    }
}

static void test_refused_calls(void **state) {
    (void)state;
    BAD("\x80\2cos\nsystem\n(X\2\0\0\0lst R.", RP_ERROR_UNSUPPORTED,
        "byte 2: the global os.system is not one");
    BAD("\x80\2"
        "c__builtin__\neval\n.",
        RP_ERROR_UNSUPPORTED, "__builtin__.eval");
    BAD("\x80\4\x8c\10"
        "builtins\x8c\4exec\x93.",
        RP_ERROR_UNSUPPORTED, "builtins.exec");
    BAD("\x80\2"
        "ctorch\nload\n.",
        RP_ERROR_UNSUPPORTED, "torch.load");
    BAD("\x80\2"
        "ctorch.storage\n_load_from_bytes\n.",
        RP_ERROR_UNSUPPORTED, "torch.storage._load_from_bytes");
    BAD("\x80\2"
        "ctorch._utils\n_rebuild_tensor_v3\n.",
        RP_ERROR_UNSUPPORTED, "_rebuild_tensor_v3");
    BAD("\x80\2"
        "ctorch.nn.modules.linear\nLinear\n.",
        RP_ERROR_UNSUPPORTED, "a pickled module");
    BAD("\x80\2"
        "cFloatStorage\ntorch\n.",
        RP_ERROR_UNSUPPORTED, "FloatStorage.torch");
    BAD("\x80\2"
        "ca\1\nb\x1b\n.",
        RP_ERROR_UNSUPPORTED, "a?.b?"); // nothing that a terminal obeys
    BAD("\x80\2"
        "ctorch\nFloatStorage\n)R.",
        RP_ERROR_FORMAT, "torch.FloatStorage is called");
    BAD("\x80\2K\1)R.", RP_ERROR_FORMAT, "what is called is no function");
    BAD("\x80\2"
        "ccollections\nOrderedDict\n]R.",
        RP_ERROR_FORMAT, "not with a tuple");
    BAD("\x80\2"
        "ccollections\nOrderedDict\nK\1\x85R.",
        RP_ERROR_FORMAT, "collections.OrderedDict is called");
    BAD("\x80\2"
        "ccollections\nOrderedDict\n]K\1a\x85R.",
        RP_ERROR_FORMAT, "collections.OrderedDict is called");
    BAD("\x80\2K\1}b.", RP_ERROR_UNSUPPORTED, "the opcode BUILD");
    BAD("\x80\2(X\6\0\0\0modulet Q.", RP_ERROR_FORMAT, "0x20");
    BAD("\x80\2(X\6\0\0\0moduletQ.", RP_ERROR_UNSUPPORTED, "a whole pickled module");
    BAD("\x80\2K\1Q.", RP_ERROR_FORMAT, "the persistent id");
    BAD("\x80\2)Q.", RP_ERROR_FORMAT, "the persistent id");
    BAD("\x80\2" STORAGE("K\1") ".", RP_ERROR_FORMAT, "the persistent id");
    BAD("\x80\2" STORAGE("(NK\5K\2t") ".", RP_ERROR_FORMAT, "the persistent id"); // 5 + 2 of 6
    BAD("\x80\2" STORAGE("NN") ".", RP_ERROR_FORMAT, "the persistent id");
}

static void test_damaged_tensors(void **state) {
#define REBUILD(arguments) \
    "\x80\2"               \
    "ctorch._utils\n_rebuild_tensor_v2\n(" arguments "tR."
    static const char what[] = "torch._utils._rebuild_tensor_v2 is called with other arguments";
    (void)state;
    BAD(REBUILD(""), RP_ERROR_FORMAT, what);
    BAD(REBUILD("NK\0))\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "N))\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "J\xff\xff\xff\xff))\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "K\0(K\1t)\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "K\0(J\xff\xff\xff\xfft(K\1t\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "K\0(K\1t(J\xff\xff\xff\xfft\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "K\0](K\1t\x89N"), RP_ERROR_FORMAT, what);
    BAD(REBUILD(STORAGE("") "K\0(\x88t(K\1t\x89N"), RP_ERROR_FORMAT, what);
}

static void test_damaged_pickles(void **state) {
    (void)state;
    BAD("", RP_ERROR_FORMAT, "does not begin");
    BAD("}.", RP_ERROR_FORMAT, "does not begin");
    BAD("\x80", RP_ERROR_FORMAT, "is cut");
    BAD("\x80\2", RP_ERROR_FORMAT, "byte 2: the pickle is cut");
    BAD("\x80\1N.", RP_ERROR_UNSUPPORTED, "pickle protocol 1");
    BAD("\x80\6N.", RP_ERROR_UNSUPPORTED, "pickle protocol 6");
    BAD("\x80\2N\x80\2.", RP_ERROR_UNSUPPORTED, "byte 3: pickle protocol 2");
    BAD("\x80\2.", RP_ERROR_FORMAT, "one value");
    BAD("\x80\2NN.", RP_ERROR_FORMAT, "one value");
    BAD("\x80\2(N.", RP_ERROR_FORMAT, "one value");
    BAD("\x80\2t.", RP_ERROR_FORMAT, "lacks its MARK");
    BAD("\x80\2u.", RP_ERROR_FORMAT, "lacks its MARK");
    BAD("\x80\2(u.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2](K\1a.", RP_ERROR_FORMAT, "lacks its operands"); // not through a mark
    BAD("\x80\2N(\x85.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2R.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2Q.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2b.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2q\0.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2K\1\x87.", RP_ERROR_FORMAT, "lacks its operands");
    BAD("\x80\2}(Nu.", RP_ERROR_FORMAT, "pairs are added to what is no dict");
    BAD("\x80\2](NNu.", RP_ERROR_FORMAT, "pairs are added to what is no dict");
    BAD("\x80\2}Na.", RP_ERROR_FORMAT, "items are added to what is no list");
    BAD("\x80\2h\0.", RP_ERROR_FORMAT, "never set");
    BAD("\x80\2Nq\2h\1.", RP_ERROR_FORMAT, "never set");
    BAD("\x80\4\x8c\1aN\x93.", RP_ERROR_FORMAT, "the name of a global is no text");
    BAD("\x80\2"
        "ctorch",
        RP_ERROR_FORMAT, "is cut");
    BAD("\x80\2"
        "ctorch\nFloat",
        RP_ERROR_FORMAT, "is cut");
    BAD("\x80\2X\5\0\0\0abc.", RP_ERROR_FORMAT, "is cut");
    BAD("\x80\2T\xff\xff\xff\xff"
        "abc.",
        RP_ERROR_FORMAT, "is cut");
    BAD("\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
        "a.",
        RP_ERROR_FORMAT, "is cut");
    BAD("\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.", RP_ERROR_FORMAT, "is cut");
    BAD("\x80\2\x8a\xff\1.", RP_ERROR_FORMAT, "is cut");
}

/* ---- little memory ---- */

static void test_indexes_of_the_memo(void **state) {
    (void)state;
    BAD("\x80\2Nr\xff\xff\xff\xff.", RP_ERROR_FORMAT, "larger than the pickle");
    BAD("\x80\2Nr\0\0\0\x10.", RP_ERROR_FORMAT, "larger than the pickle");
}

/* One list, made into dicts over and over: as many items as bytes squared. */
static void test_repeated_lists(void **state) {
    enum { ITEMS = 1000, TIMES = 1000 };
    static char text[16 + 16 * ITEMS + 12 * TIMES];
    char *at = text;
    (void)state;
    at += sprintf(at, "\x80\x02(ccollections\nOrderedDict\nq%c](", 1);
    for (int i = 0; i < ITEMS; i++) at += sprintf(at, "NN\x86");
    at += sprintf(at, "eq%c", 2);
    for (int i = 0; i < TIMES; i++) at += sprintf(at, "h%ch%c\x85R", 1, 2);
    at += sprintf(at, "t.");
    check_bad(text, (size_t)(at - text), RP_ERROR_FORMAT, "collections.OrderedDict is called");
}

static void test_large_pickle(void **state) {
    enum { BYTES = 17 << 20 };
    char *text = malloc(BYTES);
    (void)state;
    assert_non_null(text);
    memset(text, '(', BYTES);
    memcpy(text, "\x80\2", 2);
    check_bad(text, BYTES, RP_ERROR_UNSUPPORTED, "more than 16 MiB");
    free(text);
}

/* Values that hold one another twice, thirty times over: no one walks through them. */
static void test_doubling(void **state) {
    char text[256], *at = text;
    (void)state;
    at += sprintf(at, "\x80\x02)");
    for (int i = 1; i <= 30; i++) at += sprintf(at, "q%ch%c\x86", i, i);
    at += sprintf(at, ".");
    assert_int_equal(read_good(text, (size_t)(at - text))->count, 2);
    assert_int_equal(pickle.count, 31);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_integers, finish),
        cmocka_unit_test_teardown(test_texts, finish),
        cmocka_unit_test_teardown(test_containers, finish),
        cmocka_unit_test_teardown(test_memo, finish),
        cmocka_unit_test_teardown(test_tensors, finish),
        cmocka_unit_test_teardown(test_every_other_opcode, finish),
        cmocka_unit_test_teardown(test_refused_calls, finish),
        cmocka_unit_test_teardown(test_damaged_tensors, finish),
        cmocka_unit_test_teardown(test_damaged_pickles, finish),
        cmocka_unit_test_teardown(test_indexes_of_the_memo, finish),
        cmocka_unit_test_teardown(test_repeated_lists, finish),
        cmocka_unit_test_teardown(test_large_pickle, finish),
        cmocka_unit_test_teardown(test_doubling, finish),
    };
    return cmocka_run_group_tests_name("pickle", tests, NULL, NULL);
}
