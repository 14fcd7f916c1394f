/* Encoding with a spiece.model, held against libsentencepiece: the bundled models, small ones
 * that it trained (goldens/spiece), and some made at random to have every setting, ties, symbols of users and
 * pieces of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "loader/spiece.h"
#include "loader/unicode.h"
#include "oracle_spiece.h"

/* A model, opened twice. */
typedef struct pair {
    char *data;
    size_t size;
    rp_spiece_file file;
    rp_spiece *spiece;
    oracle_spiece *oracle;
    const char *name;
} pair;

static uint64_t state_of_chance = 1;

static uint32_t chance(uint32_t below) {
    state_of_chance = state_of_chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state_of_chance >> 33) % below);
}

static void open_pair(pair *p) {
    rp_error err = {0};
    if (rp_spiece_read(p->name, p->data, p->size, &p->file, &err)) fail_msg("%s", err.message);
    if (rp_spiece_open(p->name, &p->file, &p->spiece, &err)) fail_msg("%s", err.message);
    p->oracle = oracle_spiece_open(p->data, p->size);
    if (!p->oracle) fail_msg("%s: libsentencepiece refuses it", p->name);
}

static void close_pair(pair *p) {
    rp_spiece_close(p->spiece);
    oracle_spiece_close(p->oracle);
    free(p->file.pieces);
    free(p->data);
    *p = (pair){0};
}

static void read_model(pair *p, const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *p = (pair){.size = (size_t)ftell(file), .name = path};
    rewind(file);
    p->data = malloc(p->size);
    assert_non_null(p->data);
    assert_int_equal(fread(p->data, 1, p->size, file), p->size);
    fclose(file);
}

/* ---- comparing ---- */

static void check_encoding(pair *p, rp_spiece_tokens *tokens, const char *text, size_t size) {
    rp_error err = {0};
    if (rp_spiece_encode(p->spiece, text, size, tokens, &err)) fail_msg("%s: %s", p->name, err.message);
    size_t count = oracle_spiece_encode(p->oracle, text, size);
    bool same = tokens->tokens.count == count;
    for (size_t i = 0; same && i < count; i++) {
        int32_t id;
        uint32_t begin, end;
        size_t length;
        const char *piece = oracle_spiece_token(p->oracle, i, &id, &begin, &end, &length);
        rp_spiece_token got = rp_spiece_token_at(p->spiece, tokens, i);
        same = got.id == id && got.begin == begin && got.end == end && got.piece.size == length &&
               memcmp(got.piece.data, piece, length) == 0;
    }
    if (same) return;
    print_error("%s: \"%.*s\"\n", p->name, (int)size, text);
    for (size_t i = 0; i < count || i < tokens->tokens.count; i++) {
        int32_t id = -1;
        uint32_t begin = 0, end = 0;
        size_t length = 0;
        const char *piece = i < count ? oracle_spiece_token(p->oracle, i, &id, &begin, &end, &length) : "";
        rp_spiece_token got = {-1, 0, 0, {"", 0}};
        if (i < tokens->tokens.count) got = rp_spiece_token_at(p->spiece, tokens, i);
        print_error("  want %d %u-%u \"%.*s\"  got %d %u-%u \"%.*s\"\n", (int)id, begin, end, (int)length,
                    piece, (int)got.id, got.begin, got.end, (int)got.piece.size, got.piece.data);
    }
    fail();
}

/* ---- texts ---- */

/* What texts are put together from, beside pieces of the vocabulary. */
static const char *const snippets[] = {" ",
                                       " ",
                                       "  ",
                                       "\t",
                                       "\xc2\xa0",
                                       "\xe3\x80\x80",
                                       "\xe2\x96\x81",
                                       "\xe2\x96\x81\xe2\x96\x81",
                                       "a",
                                       "b",
                                       "c",
                                       "e",
                                       "A",
                                       "B",
                                       "A B",
                                       "xy",
                                       "x",
                                       "the ",
                                       "of",
                                       "ing",
                                       "1",
                                       "12",
                                       ",",
                                       ".",
                                       "1,000",
                                       "!!!!!",
                                       "(",
                                       ")",
                                       "``",
                                       "''",
                                       "\xc3\xa9",
                                       "e\xcc\x81",
                                       "a\xcc\x80\xcc\x81",
                                       "\xcc\x81",
                                       "\xef\xac\x81",
                                       "\xef\xb7\xba",
                                       "\xef\xbc\xa1",
                                       "\xef\xbe\x8a\xef\xbe\x9f",
                                       "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab",
                                       "\xe4\xb8\xad",
                                       "\xe4\xb8\xad\xe6\x96\x87",
                                       "\xf0\x9f\x98\x80",
                                       "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9",
                                       "\xe2\x80\x8b",
                                       "\xe2\x84\xa6",
                                       "\xc2\xbd",
                                       "\xef\xbf\xbd",
                                       "\x01",
                                       "\x7f",
                                       "\xc2\x85",
                                       "\xe2\x80\xa8",
                                       "<e1>",
                                       "<unk>",
                                       "<s>",
                                       "<0x41>",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xee\x80\x80"};

static size_t make_text(const pair *p, char *text, size_t room) {
    size_t size = 0;
    for (uint32_t parts = chance(12); parts > 0; parts--) {
        const rp_piece *piece = &p->file.pieces[chance((uint32_t)p->file.piece_count)];
        const char *from = snippets[chance(RP_COUNT(snippets))];
        size_t length = strlen(from);
        if (chance(2)) from = piece->text, length = piece->size;
        if (size + length > room) break;
        memcpy(text + size, from, length);
        size += length;
        if (chance(20) == 0 && size < room) text[size++] = '\0';
    }
    return size;
}

static void check_texts(pair *p, size_t count) {
    char text[512];
    rp_spiece_tokens tokens = {0};
    check_encoding(p, &tokens, "", 0);
    for (size_t i = 0; i < count; i++) check_encoding(p, &tokens, text, make_text(p, text, sizeof text));
    rp_spiece_tokens_finish(&tokens);
}

static void test_models(void **state) {
    static const char *const paths[] = {
        SOURCE_DIR "/tools/models/sentiment/spiece.model", SOURCE_DIR "/tools/models/pretrained/spiece.model",
        TESTS_DIR "/goldens/spiece/rules.model",           TESTS_DIR "/goldens/spiece/bytes.model",
        TESTS_DIR "/goldens/spiece/suffix.model",          TESTS_DIR "/goldens/spiece/spaces.model",
        TESTS_DIR "/fuzz/corpus/spiece/unigram",           TESTS_DIR "/fuzz/corpus/spiece/bytes"};
    (void)state;
    for (size_t i = 0; i < RP_COUNT(paths); i++) {
        pair p;
        read_model(&p, paths[i]);
        open_pair(&p);
        check_texts(&p, i < 2 ? 2000 : 4000);
        close_pair(&p);
    }
}

/* ---- models made at random ---- */

/* A file that is being written. */
typedef struct writer {
    char *data;
    size_t size, capacity;
} writer;

static void put(writer *w, const void *data, size_t size) {
    assert_true(rp_grow((void **)&w->data, &w->capacity, w->size + size, 1));
    memcpy(w->data + w->size, data, size);
    w->size += size;
}

static void put_varint(writer *w, uint64_t value) {
    for (; value > 127; value >>= 7) put(w, &(char){(char)((value & 127) | 128)}, 1);
    put(w, &(char){(char)value}, 1);
}

static void put_number(writer *w, unsigned field, uint64_t value) {
    put_varint(w, field << 3);
    put_varint(w, value);
}

static void put_bytes(writer *w, unsigned field, const void *data, size_t size) {
    put_varint(w, field << 3 | 2);
    put_varint(w, size);
    put(w, data, size);
}

static void put_message(writer *w, unsigned field, writer *message) {
    put_bytes(w, field, message->data ? message->data : "", message->size);
    free(message->data);
    *message = (writer){0};
}

static void put_piece(writer *w, const char *text, float score, rp_piece_kind kind) {
    writer piece = {0};
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    put(&piece, &score, sizeof score);
    if (kind != RP_PIECE_NORMAL) put_number(&piece, 3, kind);
    put_message(w, 1, &piece);
}

/* A few characters, and scores of the kind `kind`: ties, any, above zero, so small that float32 drops bits.
 */
static void make_piece(char *text, size_t room) {
    static const char *const letters[] = {
        "a", "b", "c", "A", "1", "\xe2\x96\x81", "\xe2\x96\x81", "\xc3\xa9", "\xe4\xb8\xad", "e", "x", " "};
    text[0] = '\0';
    for (uint32_t left = 1 + chance(5); left > 0; left--) {
        const char *letter = letters[chance(RP_COUNT(letters) - (chance(4) != 0))];
        if (strlen(text) + strlen(letter) + 1 < room) memcpy(text + strlen(text), letter, strlen(letter) + 1);
    }
}

static float make_score(uint32_t kind) {
    float fine = (float)chance(1 << 20) / (1 << 20);
    return kind == 0   ? -(float)(1 + chance(3))
           : kind == 1 ? -12 * fine
           : kind == 2 ? 40 - 5 * fine
           : kind == 3 ? -16777216.f + (float)chance(3)
           : kind == 4 ? -0.1f * (float)chance(2) /* near what a user's symbol has */
                       : (float)chance(9) / 4 - 1;
}

static void put_pieces(writer *w, bool bytes) {
    char texts[80][32], name[8];
    size_t count = 0;
    uint32_t kind = chance(6);
    put_piece(w, "<s>", 0, RP_PIECE_CONTROL);
    put_piece(w, "<unk>", 0, RP_PIECE_UNKNOWN);
    for (uint32_t tries = 20 + chance(60); tries > 0; tries--) {
        bool known = false;
        make_piece(texts[count], sizeof texts[count]);
        for (size_t i = 0; i < count; i++) known |= strcmp(texts[i], texts[count]) == 0;
        if (known) continue;
        put_piece(w, texts[count], make_score(kind),
                  count == 0 || chance(6) ? RP_PIECE_NORMAL
                  : chance(3)             ? RP_PIECE_USER
                                          : RP_PIECE_UNUSED);
        count++;
    }
    for (int byte = 0; bytes && byte < 256; byte++) {
        snprintf(name, sizeof name, "<0x%02X>", byte);
        put_piece(w, name, 0, RP_PIECE_BYTE);
    }
}

static void put_normalizer(writer *w, const rp_charsmap *map) {
    writer spec = {0};
    if (map) put_bytes(&spec, 2, map->units - 4, 4 + 4 * map->unit_count + map->block_size);
    for (unsigned flag = 3; flag <= 5; flag++)
        if (chance(2)) put_number(&spec, flag, chance(3));
    put_message(w, 3, &spec);
}

/* Every setting, with each of `maps`. */
static void make_model(pair *p, const rp_charsmap *const maps[3]) {
    writer w = {0}, trainer = {0};
    bool bytes = chance(4) == 0;
    put_pieces(&w, bytes);
    put_number(&trainer, 3, 1);
    if (bytes) put_number(&trainer, 35, 1);
    if (chance(3) == 0) put_number(&trainer, 24, 1);
    put_message(&w, 2, &trainer);
    put_normalizer(&w, maps[chance(3)]);
    *p = (pair){.data = w.data, .size = w.size, .name = "a random model"};
}

static void test_random_models(void **state) {
    (void)state;
#ifdef __i386__ /* where it adds scores on the x87, a sum that is equal after rounding may win before */
    skip();
#endif
    pair nfkc, rules;
    read_model(&nfkc, SOURCE_DIR "/tools/models/sentiment/spiece.model");
    read_model(&rules, TESTS_DIR "/goldens/spiece/rules.model");
    open_pair(&nfkc);
    open_pair(&rules);
    const rp_charsmap *const maps[3] = {NULL, &nfkc.file.normalizer.charsmap,
                                        &rules.file.normalizer.charsmap};
    for (uint32_t seed = 0; seed < 300; seed++) {
        pair p;
        state_of_chance = seed;
        make_model(&p, maps);
        open_pair(&p);
        check_texts(&p, 60);
        close_pair(&p);
    }
    close_pair(&nfkc);
    close_pair(&rules);
}

/* ---- files that are refused ---- */

static void check_refused(writer *w, rp_status status, const char *part) {
    rp_spiece_file file = {0};
    rp_spiece *spiece = NULL;
    rp_error err = {0};
    rp_status got = rp_spiece_read("a/spiece.model", w->data, w->size, &file, &err);
    if (!got) got = rp_spiece_open("a/spiece.model", &file, &spiece, &err);
    assert_int_equal(got, status);
    if (!strstr(err.message, part) || !strstr(err.message, "a/spiece.model")) fail_msg("%s", err.message);
    assert_null(spiece);
    free(file.pieces);
    free(w->data);
    *w = (writer){0};
}

static void test_refused(void **state) {
    static const char *const types[] = {"BPE", "word", "char", "unknown"};
    writer w = {0}, trainer = {0};
    (void)state;
    for (unsigned type = 2; type < 6; type++) {
        put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
        put_piece(&w, "a", 0, RP_PIECE_NORMAL);
        put_number(&trainer, 3, type);
        put_message(&w, 2, &trainer);
        check_refused(&w, RP_ERROR_UNSUPPORTED, types[type - 2]);
    }
    put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
    put_piece(&w, "a", 0, RP_PIECE_UNUSED);
    check_refused(&w, RP_ERROR_FORMAT, "none is for texts");
    put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
    put_piece(&w, "a", 0, RP_PIECE_UNKNOWN);
    check_refused(&w, RP_ERROR_FORMAT, "piece 1: of the type UNKNOWN");
    put_piece(&w, "a", 0, RP_PIECE_NORMAL);
    check_refused(&w, RP_ERROR_FORMAT, "none is of the type UNKNOWN");
    put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
    put_piece(&w, "<0x0A>", 0, RP_PIECE_BYTE);
    check_refused(&w, RP_ERROR_FORMAT, "piece 1: of the type BYTE, but trainer_spec.byte_fallback");
    put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
    put_piece(&w, "<0x0A>", 0, RP_PIECE_BYTE);
    put_number(&trainer, 35, 1);
    put_message(&w, 2, &trainer);
    check_refused(&w, RP_ERROR_FORMAT, "1 of 256");
    put_piece(&w, "<unk>", 0, RP_PIECE_UNKNOWN);
    put_piece(&w, "<0x0a>", 0, RP_PIECE_BYTE);
    check_refused(&w, RP_ERROR_FORMAT, "it is not <0x00> to <0xFF>");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_random_models),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
