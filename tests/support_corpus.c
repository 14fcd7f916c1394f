#include "support_corpus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "reprise/reprise.h"

/* ---- files ---- */

corpus_place corpus_here;

int corpus_begin(void **state) {
    rp_error err;
    (void)state;
    return fixture_make_dir(corpus_here.dir) &&
                   !rp_tokenizer_open(CORPUS_TOKENIZER, &corpus_here.tokenizer, &err)
               ? 0
               : -1;
}

int corpus_end(void **state) {
    (void)state;
    rp_tokenizer_close(&corpus_here.tokenizer);
    fixture_remove_dir(corpus_here.dir);
    return 0;
}

void corpus_write(size_t number, const char *text, size_t size) {
    char *path = corpus_here.paths[number];
    memcpy(path, corpus_here.dir, sizeof corpus_here.dir);
    snprintf(path + strlen(path), 16, "/%zu.txt", number);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

rp_status corpus_open(size_t count, const rp_corpus_params *params, rp_corpus **out, rp_error *err) {
    const char *const names[] = {corpus_here.paths[0], corpus_here.paths[1], corpus_here.paths[2],
                                 corpus_here.paths[3]};
    *err = (rp_error){0};
    return rp_corpus_open(names, count, corpus_here.tokenizer, params, out, err);
}

rp_corpus *corpus_of(const char *text, rp_corpus_params params) {
    rp_corpus *corpus = NULL;
    rp_error err;
    corpus_write(0, text, strlen(text));
    if (corpus_open(1, &params, &corpus, &err)) fail_msg("%s", err.message);
    return corpus;
}

rp_instance corpus_read(rp_corpus *corpus, uint64_t epoch, uint64_t i) {
    rp_instance in;
    rp_error err;
    if (rp_corpus_read(corpus, epoch, i, &in, &err)) fail_msg("%s", err.message);
    return in;
}

/* ---- texts ---- */

void corpus_add(corpus_text *t, const char *part) {
    size_t size = strlen(part);
    if (t->size + size + 1 > t->room) {
        t->room = 2 * t->room + size + 1;
        t->data = realloc(t->data, t->room);
        assert_non_null(t->data);
    }
    memcpy(t->data + t->size, part, size + 1);
    t->size += size;
}

static uint64_t state = 1;

uint32_t corpus_below(uint32_t count) { /* not the generator of the library */
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % count);
}

void corpus_find_words(void) {
    size_t count = 0;
    for (int32_t id = 0; count < CORPUS_WORDS; id++) {
        const char *piece = rp_tokenizer_piece(corpus_here.tokenizer, id);
        assert_non_null(piece);
        if (strncmp(piece, "\xe2\x96\x81", 3) || strlen(piece) < 6 || strlen(piece) > 30 ||
            strspn(piece + 3, "abcdefghijklmnopqrstuvwxyz") != strlen(piece + 3))
            continue;
        snprintf(corpus_here.words[count], sizeof corpus_here.words[count], "%.31s", piece + 3);
        corpus_here.word_ids[count++] = id;
    }
}

char *corpus_words(size_t documents, size_t lines, size_t count) {
    corpus_text t = {0};
    corpus_find_words();
    for (size_t d = 0; d < documents; d++) {
        for (size_t l = 0; l < lines; l++)
            for (size_t w = 0; w < count; w++) {
                corpus_add(&t, corpus_here.words[corpus_below(CORPUS_WORDS)]);
                corpus_add(&t, w + 1 < count ? " " : "\n");
            }
        corpus_add(&t, "\n");
    }
    return t.data;
}

bool corpus_is_masked(const rp_instance *in, size_t i) {
    for (size_t k = 0; k < in->masked; k++)
        if (in->masked_positions[k] == i) return true;
    return false;
}

int32_t corpus_original(const rp_instance *in, size_t i) {
    for (size_t k = 0; k < in->masked; k++)
        if (in->masked_positions[k] == i) return in->masked_ids[k];
    return in->ids[i];
}

size_t corpus_check(const rp_instance *in, uint32_t most) {
    rp_special_ids special = rp_tokenizer_special_ids(corpus_here.tokenizer);
    size_t second = 1;
    assert_true(in->count >= 5 && in->count <= most);
    assert_int_equal(in->ids[0], special.cls);
    while (!in->types[second]) assert_true(++second < in->count); /* a word may have become [SEP] */
    assert_true(second > 2 && second + 1 < in->count);
    assert_int_equal(in->ids[second - 1], special.sep);
    assert_int_equal(in->ids[in->count - 1], special.sep);
    for (size_t i = 0; i < in->count; i++) assert_int_equal(in->types[i], i >= second);
    for (size_t k = 0; k < in->masked; k++) {
        assert_true(in->masked_positions[k] > 0 && in->masked_positions[k] < in->count - 1);
        assert_true(in->masked_positions[k] != second - 1);
        if (k) assert_true(in->masked_positions[k] > in->masked_positions[k - 1]);
    }
    return second;
}
