/* Any allocation fails that is made while files are read and texts are tokenized, by whatever library: the
 * program has a malloc of its own, which the C library calls too. The n-th fails, for every n until none
 * does: a status, nothing left behind, and the next call works. No device is opened, for how drivers take it
 * is their own affair; test_faults_host makes the library's own allocations fail there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/json.h"
#include "loader/pooling.h"
#include "loader/table.h"
#include "loader/weights.h"
#include "reprise/tokenizer.h"
#include "support_cli.h"
#include "support_fixture.h"

/* ---- the fault ---- */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED /* which sees leaks too */
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
#define EXPORT __attribute__((visibility("default")))

void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);
void REAL(free)(void *block);

/* Of this thread, so of none that a library runs. */
static _Thread_local struct {
    long due;        /* allocations that succeed before one does not; negative: it came, or none is to */
    bool counts;     /* what is allocated and freed */
    long left, made; /* blocks that are there; allocations */
} faults = {.due = -1};

static bool fails(void) {
    faults.made += faults.counts;
    if (faults.due < 0 || faults.due-- > 0) return false;
    errno = ENOMEM;
    return true;
}

static void *count(void *block) {
    if (faults.counts && block) faults.left++;
    return block;
}

EXPORT void *malloc(size_t size) {
    return fails() ? NULL : count(REAL(malloc)(size));
}
EXPORT void *calloc(size_t items, size_t size) {
    return fails() ? NULL : count(REAL(calloc)(items, size));
}
EXPORT void *realloc(void *block, size_t size) {
    if (fails()) return NULL;
    void *moved = REAL(realloc)(block, size);
    return block ? moved : count(moved);
}
EXPORT void *memalign(size_t alignment, size_t size) {
    return fails() ? NULL : count(REAL(memalign)(alignment, size));
}
EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return fails() ? NULL : count(REAL(memalign)(alignment, size));
}
EXPORT int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = fails() ? NULL : count(REAL(memalign)(alignment, size));
    return *out ? 0 : ENOMEM;
}
EXPORT void free(void *block) {
    if (faults.counts && block) faults.left--;
    REAL(free)(block);
}

/* ---- the work ---- */

typedef struct work work;
struct work {
    rp_status (*act)(work *w, rp_error *err);
    void (*check)(work *w); /* what succeeded */
    void (*finish)(work *w);
    long every; /* above the first hundred not each n is tried, but one in so many; 0: each */
    const char *dir, *text;
    rp_config config;
    rp_weights weights;
    rp_tokenizer *tokenizer;
    rp_encoding encoding;
    char *string;
    rp_json_document json;
};

/* Call number `n` fails, or none if it is negative. True: it came. */
static bool try_once(work *w, long n) {
    rp_error err = {0};
    faults.left = 0;
    faults.counts = true;
    faults.due = n;
    rp_status status = w->act(w, &err);
    bool came = n >= 0 && faults.due < 0;
    faults.due = -1;
    if (status && (status != RP_ERROR_HOST_MEMORY || !came))
        fail_msg("%ld: %s: %s", n, rp_status_name(status), err.message);
    if (status && (err.status != status || strlen(err.message) < 10)) fail_msg("%ld: no message", n);
    if (!status) w->check(w);
    w->finish(w);
    faults.counts = false;
#ifndef SANITIZED /* it allocates for strdup by itself, and has a leak check of its own */
    if (faults.left) fail_msg("%ld: %ld blocks are left behind", n, faults.left);
#endif
    return came;
}

static void sweep(work *w) {
    long n = 0;
    rp_error err = {0};
    if (w->act(w, &err)) fail_msg("%s", err.message); /* what libraries keep for good is there from now on */
    w->check(w);
    w->finish(w);
    faults.made = 0;
    while (try_once(w, n)) n += n < 100 || !w->every ? 1 : w->every;
    assert_true(n > 0 && faults.made > n);
    try_once(w, -1);
}

/* ---- JSON ---- */

static rp_status read_json(work *w, rp_error *err) {
    return rp_json_parse(w->text, strlen(w->text), "a text", &w->json, err);
}

static void check_json(work *w) {
    const rp_json *root = &w->json.root;
    const rp_json *list = rp_json_get(root, "a rather long key, longer than sixteen bytes");
    assert_int_equal(rp_json_count(root, RP_JSON_OBJECT), 3);
    assert_int_equal(rp_json_count(list, RP_JSON_ARRAY), 12);
    assert_string_equal(rp_json_string(&list->items[0]), "na\xc3\xafve and long enough to need room");
    assert_true(list->items[1].real == -1.2345678901234e5);
}

static void finish_json(work *w) {
    rp_json_finish(&w->json);
}

static void test_json(void **state) {
    work w = {.act = read_json, .check = check_json, .finish = finish_json};
    (void)state;
    w.text =
        "{\"a rather long key, longer than sixteen bytes\": [\"na\\u00efve and long enough to need room\","
        " -1.2345678901234e5, 1, 2, 3, 4, 5, 6, 7, 8, 9, "
        "0.1000000000000000000000000000000000000000000000000000000000000000000000000000001],"
        " \"k\": {\"b\": \"x\", \"c\": null, \"d\": 1, \"e\": 1, \"f\": 1, \"g\": 1, \"h\": 1, \"i\": 1,"
        " \"j\": 1, \"k\": 1}, \"l\": true}";
    sweep(&w);
}

/* ---- tables ---- */

static rp_status read_table(work *w, rp_error *err) {
    rp_table table = {0};
    rp_table_row row;
    rp_table_step step = RP_TABLE_ROW;
    size_t at = 0, taken, size = strlen(w->text), rows = 0;
    for (bool lost = false; step == RP_TABLE_ROW || step == RP_TABLE_MEMORY; at += taken, rows += !lost) {
        step = rp_table_next(&table, w->text + at, size - at, true, &row, &taken);
        lost = lost || step == RP_TABLE_MEMORY;
    }
    assert_int_equal(at, size); /* the rows behind one that is lost are read */
    rp_table_finish(&table);
    return rows == 4 ? RP_OK : rp_fail_memory(err, "a row", 1);
}

static void nothing(work *w) {
    (void)w;
}

static void test_table(void **state) {
    work w = {.act = read_table, .check = nothing, .finish = nothing};
    (void)state;
    w.text = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\n1,\"x\"\"y\",,,,,,,,,,,,,,,\n2,\"x\"\"y and "
             "longer\",,,,,,,,,,,,,,,\n";
    sweep(&w);
}

/* ---- what rp_model_open reads ---- */

static rp_status load_files(work *w, rp_error *err) {
    rp_pooling_config pooling = {0};
    rp_status status = rp_config_load(w->dir, &w->config, err);
    if (!status) status = rp_weights_load(w->dir, &w->config, &w->weights, err);
    if (!status) status = rp_pooling_load(w->dir, w->config.hidden_size, &pooling, err);
    rp_pooling_finish(&pooling);
    return status;
}

static void check_files(work *w) {
    assert_true(w->config.layers > 0 && w->weights.parameters > 0);
}

static void finish_files(work *w) {
    rp_weights_finish(&w->weights);
    rp_config_finish(&w->config);
    w->weights = (rp_weights){0};
}

static void test_files(void **state) {
    static const fixture_layout layouts[] = {{.shards = 1},
                                             {.shards = 3},
                                             {.form = FIXTURE_ZIP, .shards = 2, .transposed = true},
                                             {.form = FIXTURE_OLD, .dtype = FIXTURE_F64}};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(layouts); i++) {
        golden g;
        assert_true(golden_open("groups", &layouts[i], &g));
        assert_true(fixture_write_text(g.dir, "sentence_bert_config.json", "{\"max_seq_length\": 20}"));
        work w = {.act = load_files, .check = check_files, .finish = finish_files, .dir = g.dir};
        sweep(&w);
        golden_close(&g);
    }
}

/* ---- tokenizers ---- */

static rp_status open_tokenizer(work *w, rp_error *err) {
    return rp_tokenizer_open(w->dir, &w->tokenizer, err);
}

static void check_tokenizer(work *w) {
    assert_true(rp_tokenizer_vocab_size(w->tokenizer) > 1);
}

static void close_tokenizer(work *w) {
    rp_tokenizer_close(&w->tokenizer);
}

static rp_status tokenize(work *w, rp_error *err) {
    const rp_text pair = {"ab 12, c", 8};
    rp_status status =
        rp_tokenize(w->tokenizer, (rp_text){w->text, strlen(w->text)}, pair, NULL, &w->encoding, err);
    if (status) return status;
    return rp_tokenizer_decode(w->tokenizer, w->encoding.ids, w->encoding.count, false, &w->string, err);
}

static void check_tokens(work *w) {
    assert_true(w->encoding.count > 3 && *w->string);
}

static void free_tokens(work *w) {
    rp_encoding_free(&w->encoding);
    rp_string_free(&w->string);
}

static void sweep_tokenizer(const char *dir, long every) {
    static const char *const texts[] = {
        "a fine day, 1,000 of them! ab abc [MASK] caf\xc3\xa9 \xef\xb7\xba 12,5",
        "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab \xef\xac\x81 a\xcc\x81\xcc\xa3\xcc\x81 "
        "\xce\xa3\xce\x91\xce\xa3 b<x>c"};
    work w = {.act = open_tokenizer, .check = check_tokenizer, .finish = close_tokenizer};
    rp_error err = {0};
    w.dir = dir;
    w.every = every;
    sweep(&w);
    if (rp_tokenizer_open(dir, &w.tokenizer, &err)) fail_msg("%s", err.message);
    w.act = tokenize;
    w.check = check_tokens;
    w.finish = free_tokens;
    for (size_t i = 0; i < RP_COUNT(texts); i++) {
        w.text = texts[i];
        sweep(&w);
    }
    rp_tokenizer_close(&w.tokenizer);
}

static void copy_file(const char *from, const char *dir, const char *name) {
    char to[2 * FIXTURE_PATH_SIZE], bytes[8192];
    snprintf(to, sizeof to, "%s/%s", dir, name);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    size_t size = fread(bytes, 1, sizeof bytes, in);
    assert_true(size > 0 && size < sizeof bytes);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(in);
    fclose(out);
}

/* Every file that a tokenizer may have beside its vocabulary. */
static void write_side_files(const char *dir, const char *unknown) {
    char map[200];
    snprintf(map, sizeof map, "{\"unk_token\": \"%s\", \"additional_special_tokens\": [\"<x>\", \"<y>\"]}",
             unknown);
    assert_true(fixture_write_text(dir, "special_tokens_map.json", map));
    assert_true(fixture_write_text(dir, "added_tokens.json", "{\"<x>\": 600, \"a rather long one\": 601}"));
    assert_true(
        fixture_write_text(dir, "tokenizer_config.json",
                           "{\"model_max_length\": 1000000000000000019884624838656,"
                           " \"do_lower_case\": true, \"never_split\": [\"fine\"],"
                           " \"added_tokens_decoder\": {\"602\": {\"content\": \"<y>\", \"lstrip\": true,"
                           " \"normalized\": false, \"special\": true}}}"));
}

static void test_spiece(void **state) {
    static const char *const models[] = {"unigram", "bytes", "charsmap"};
    char dir[FIXTURE_PATH_SIZE], path[1024];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(models); i++) {
        assert_true(fixture_make_dir(dir));
        snprintf(path, sizeof path, TESTS_DIR "/fuzz/corpus/spiece/%s", models[i]);
        copy_file(path, dir, "spiece.model");
        if (i == 0) write_side_files(dir, "<unk>");
        sweep_tokenizer(dir, 0);
        fixture_remove_dir(dir);
    }
}

/* One that is in use: 8,192 pieces. */
static void test_large_spiece(void **state) {
    (void)state;
    sweep_tokenizer(SOURCE_DIR "/tools/models/sentiment", 301);
}

static void test_wordpiece(void **state) {
    char dir[FIXTURE_PATH_SIZE];
    (void)state;
    for (int side = 0; side < 2; side++) {
        assert_true(fixture_make_dir(dir));
        assert_true(fixture_write_text(
            dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n##c\n12\n,\n!\ncafe\n"));
        if (side) write_side_files(dir, "[UNK]");
        sweep_tokenizer(dir, 0);
        fixture_remove_dir(dir);
    }
}

/* The files of a fuzz target's seed: a tokenizer.json, and a tokenizer_config.json behind a line that says
 * so. */
static void write_seed(const char *dir, const char *seed) {
    static const char second[] = "\n=== tokenizer_config.json\n";
    char path[1024], text[8192];
    snprintf(path, sizeof path, TESTS_DIR "/fuzz/corpus/tokenizer_json/%s", seed);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    size_t size = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[size] = '\0';
    char *cut = strstr(text, second);
    assert_non_null(cut);
    *cut = '\0';
    assert_true(fixture_write_text(dir, "tokenizer.json", text));
    assert_true(fixture_write_text(dir, "tokenizer_config.json", cut + sizeof second - 1));
}

static void test_tokenizer_json(void **state) {
    static const char *const seeds[] = {"bert", "unigram", "splits"};
    char dir[FIXTURE_PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < RP_COUNT(seeds); i++) {
        assert_true(fixture_make_dir(dir));
        write_seed(dir, seeds[i]);
        sweep_tokenizer(dir, 0);
        fixture_remove_dir(dir);
    }
}

/* ---- the command ---- */

static const struct {
    const char *option, *input;
    long lines; /* of the output */
} ways[] = {
    {"--jsonl",
     "{\"text\": \"a fine day, longer than sixteen bytes\", \"text_pair\": \"caf\\u00e9\"}\n{\"text\": "
     "\"ab\"}\n",
     2},
    {"--keep", "{\"text\": \"a fine day\", \"id\": [1], \"answer\": 2}\n{\"text\": \"ab\"}\n", 2},
    {"--csv", "text,answer\n\"a \"\"fine\"\" day, longer than sixteen bytes\",\nab,c\n", 3},
    {"--files", "a fine day", 1},
};

/* How many inputs failed alone. */
static long sweep_command(const char *dir, size_t way) {
    char came[FIXTURE_PATH_SIZE + 20], number[24];
    snprintf(came, sizeof came, "%s/came", dir);
    assert_int_equal(setenv("FAILING_MALLOC_CAME", came, 1), 0);
    long n = 0, alone = 0;
    for (bool more = true; more; n++) {
        snprintf(number, sizeof number, "%ld", n);
        assert_int_equal(setenv("FAILING_MALLOC", number, 1), 0);
        assert_int_equal(setenv("LD_PRELOAD", FAILING_MALLOC, 1), 0);
        const char *file = strcmp(ways[way].option, "--files") ? NULL : "-";
        cli_run run = cli_text(CLI_ARGS("tokenize", ways[way].option, "-m", dir, file), ways[way].input);
        unsetenv("LD_PRELOAD");
        more = unlink(came) == 0;
        if (run.status != 0 && (run.status != 1 || !more))
            fail_msg("%ld: status %d: %s", n, run.status, run.err);
        bool says =
            strstr(run.err, "memory") || strstr(run.err, "no more threads") || strstr(run.out, "memory");
        if (run.status && !says) fail_msg("%ld: %s%s", n, run.out, run.err);
        if (!run.status) assert_int_equal(cli_line_count(&run), ways[way].lines);
        alone += cli_line_count(&run) == ways[way].lines && strstr(run.out, "out of memory; close") != NULL;
        cli_free(&run);
    }
    assert_true(n > (way ? 50 : 100)); /* a text alone needs fewer */
    unsetenv("FAILING_MALLOC");
    return alone;
}

/* It ends with a status, and not by a signal, whichever of its allocations fails, the first that a library
 * makes among them. */
static void test_command(void **state) {
    char dir[FIXTURE_PATH_SIZE];
    (void)state;
#ifdef SANITIZED
    skip(); /* its runtime's allocations would fail */
#endif
    for (int spiece = 0; spiece < 2; spiece++) {
        assert_true(fixture_make_dir(dir));
        if (spiece)
            copy_file(TESTS_DIR "/fuzz/corpus/spiece/charsmap", dir, "spiece.model");
        else
            assert_true(
                fixture_write_text(dir, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n"));
        if (!spiece) write_side_files(dir, "[UNK]");
        long alone = 0; /* memory for what is written of a line: that line fails */
        for (int sweeps = 0; !alone && sweeps < 8; sweeps++)
            alone = sweep_command(dir, 0); /* threads run as they like */
        assert_true(alone > 0);
        for (size_t way = 1; way < RP_COUNT(ways) && !spiece; way++) sweep_command(dir, way);
        fixture_remove_dir(dir);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),           cmocka_unit_test(test_table),
        cmocka_unit_test(test_files),          cmocka_unit_test(test_wordpiece),
        cmocka_unit_test(test_spiece),         cmocka_unit_test(test_large_spiece),
        cmocka_unit_test(test_tokenizer_json), cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
