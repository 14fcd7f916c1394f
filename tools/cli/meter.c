#include "meter.h"

#include <stdbool.h>

enum {
    SAMPLE_EVERY = 16,      /* bytes for one that is tokenized here: tokenizing is the other threads' work */
    SAMPLE_BYTES = 1 << 12, /* the most in one sample: nobody waits for a long text */
    MEMORY_BYTES = 1 << 14, /* of samples, after which they count half: texts change along a file */
    FIRST_BYTES = 64,       /* what the guess below weighs beside the first samples */
    USUAL_BYTES = 4,        /* of a token of English */
};

/* White space in a row is one byte: it is none or one in what tokenizers cut. */
static size_t bytes_that_count(rp_text text) {
    size_t count = 0;
    bool space = false;
    for (size_t i = 0; i < text.size; i++) {
        bool now = (unsigned char)text.data[i] <= ' ';
        count += !(now && space);
        space = now;
    }
    return count;
}

static void sample(rp_cli_meter *m, rp_text text) {
    rp_encoding encoding = {0};
    const rp_tokenize_params params = {.no_special_tokens = true};
    if (text.size > SAMPLE_BYTES) {
        text.size = SAMPLE_BYTES;
        while (text.size && ((unsigned char)text.data[text.size] & 0xc0) == 0x80) text.size--;
    }
    m->passed = 0;
    m->sampled = (double)bytes_that_count(text);
    if (rp_tokenize(m->tokenizer, text, (rp_text){0}, &params, &encoding, NULL)) return; /* no text */
    if (m->bytes > MEMORY_BYTES) {
        m->bytes /= 2;
        m->tokens /= 2;
    }
    m->bytes += m->sampled;
    m->tokens += (double)encoding.count;
    rp_encoding_free(&encoding);
}

double rp_cli_meter_text(rp_cli_meter *m, rp_text text) {
    if (!text.size) return 0;
    double bytes = (double)bytes_that_count(text);
    if (!(m->bytes > 0)) {
        m->bytes = FIRST_BYTES;
        m->tokens = FIRST_BYTES / USUAL_BYTES;
    }
    m->passed += bytes;
    if (m->tokenizer && m->passed >= SAMPLE_EVERY * m->sampled) sample(m, text);
    return bytes * m->tokens / m->bytes;
}
