#include "tokenizing.h"

#include <string.h>

#include "loader/unicode.h"

static void check_token(const rp_tokenizer *t, const rp_encoding *e, size_t i, rp_text text, rp_text pair) {
    FUZZ_CHECK(e->ids[i] >= 0 && (uint32_t)e->ids[i] < rp_tokenizer_vocab_size(t));
    FUZZ_CHECK(e->sequence[i] >= -1 && e->sequence[i] <= (pair.data != NULL));
    if (e->sequence[i] < 0) {
        FUZZ_CHECK(e->words[i] == -1 && !e->offsets[i].start && !e->offsets[i].end);
        return;
    }
    const rp_text *from = e->sequence[i] ? &pair : &text;
    FUZZ_CHECK(e->offsets[i].start <= e->offsets[i].end && e->offsets[i].end <= from->size);
    FUZZ_CHECK(e->type_ids[i] >= 0 && e->words[i] >= 0);
}

void fuzz_tokenize(const rp_tokenizer *t, rp_text text, rp_text pair, const rp_tokenize_params *params) {
    rp_encoding e;
    rp_error err = {0};
    char *decoded = NULL;
    if (fuzz_status(rp_tokenize(t, text, pair, params, &e, &err), &err)) {
        FUZZ_CHECK(err.status == RP_ERROR_ARGUMENT || err.status == RP_ERROR_TEXT);
        return;
    }
    for (size_t i = 0; i < e.count; i++) check_token(t, &e, i, text, pair);
    if (params && params->max_tokens && params->truncation != RP_TRUNCATE_NONE)
        FUZZ_CHECK(e.count <= params->max_tokens);
    for (int skip = 0; skip < 2; skip++) {
        fuzz_status(rp_tokenizer_decode(t, e.ids, e.count, skip, &decoded, &err), &err);
        if (decoded) FUZZ_CHECK(rp_utf8_check(decoded, strlen(decoded)) == strlen(decoded));
        rp_string_free(&decoded);
    }
    rp_encoding_free(&e);
}

void fuzz_tokenize_some(const rp_tokenizer *t) {
    static const char *const texts[] = {"", "A letter came.  ``Don't!'' 3,000",
                                        "naïve \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80 e\xcc\x81",
                                        "[CLS] a[MASK]b <unk> </s>[SEP]\t\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rp_tokenize_params params = {.no_special_tokens = i == 2, .max_tokens = i == 1 ? 7 : 0};
        rp_text text = {texts[i], strlen(texts[i])};
        fuzz_tokenize(t, text, i == 1 ? text : (rp_text){0}, &params);
    }
    for (int32_t id = -2; id < 40; id++) {
        rp_tokenizer_piece(t, id);
        rp_tokenizer_is_special(t, id);
    }
}
