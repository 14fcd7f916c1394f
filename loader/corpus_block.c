/* Lines of a corpus that are read ahead and tokenized on several threads, which only count their tokens. What
 * comes of a line depends on nothing but the line: the threads change no result. */
#include <pthread.h>

#include "base/os.h"
#include "loader/corpus_parts.h"

enum { BYTES = 1 << 20, LINES = 2048, SHARE = 16, MOST_THREADS = 64 };

/* Take the next SHARE lines until there are none. */
static void *count_some(void *user) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    rp_corpus_block *b = user;
    for (;;) {
        size_t first = __atomic_fetch_add(&b->taken, SHARE, __ATOMIC_RELAXED);
        if (first >= b->count) return NULL;
        for (size_t i = first; i < first + SHARE && i < b->count; i++) {
            rp_corpus_ahead *line = &b->lines[i];
            rp_encoding encoding = {0};
            rp_error unwanted;
            if (line->line.mistake[0] || !line->line.size) continue;
            line->status = rp_tokenize(b->tokenizer, (rp_text){b->text + line->at, line->line.size},
                                       (rp_text){0}, &params, &encoding, &unwanted);
            line->tokens = encoding.count;
            rp_encoding_free(&encoding);
        }
    }
}

static size_t threads_of(const rp_corpus_block *b) {
    long processors = b->threads ? (long)b->threads : rp_os_processors();
    size_t most = rp_div_up(b->count, SHARE), wanted = processors > 1 ? (size_t)processors : 1;
    if (wanted > MOST_THREADS) wanted = MOST_THREADS;
    return wanted < most ? wanted : most;
}

/* This thread works along: where no other can be started it does it all. */
static void count_tokens(rp_corpus_block *b) {
    pthread_t others[MOST_THREADS];
    size_t count = threads_of(b), started = 0;
    b->taken = 0;
    while (started + 1 < count && !pthread_create(&others[started], NULL, count_some, b)) started++;
    count_some(b);
    for (size_t i = 0; i < started; i++) pthread_join(others[i], NULL);
}

/* Hold one line more. */
static rp_status add(rp_corpus_block *b, const rp_corpus_source *s, const rp_corpus_line *line, bool found,
                     rp_error *err) {
    size_t size = line->mistake[0] ? 0 : line->size;
    if (!rp_grow((void **)&b->lines, &b->line_room, b->count + 1, sizeof *b->lines) ||
        !rp_grow((void **)&b->text, &b->text_room, b->size + size + 1, 1))
        return rp_fail_memory(err, "lines of the corpus", b->size + size);
    if (size) memcpy(b->text + b->size, line->text, size);
    b->lines[b->count++] = (rp_corpus_ahead){.line = *line,
                                             .at = b->size,
                                             .found = found,
                                             .file = s->file,
                                             .number = s->line,
                                             .last = s->fd >= 0 && s->file + 1 == s->file_count &&
                                                     s->offset >= s->files[s->file].size};
    b->size += size;
    return RP_OK;
}

/* Up to the end of the document where no more is wanted. */
static rp_status fill(rp_corpus_block *b, rp_corpus_source *s, rp_error *err) {
    rp_status status = RP_OK;
    b->count = b->next = b->size = 0;
    for (bool more = true; !status && more;) {
        rp_corpus_line line;
        bool found;
        status = rp_corpus_next(s, &line, &found, err);
        if (!status) status = add(b, s, &line, found, err);
        bool ended = !found || (!line.size && !line.mistake[0]);
        more = b->size < BYTES && b->count < LINES && found && !(ended && b->one_document);
    }
    if (!status) count_tokens(b);
    return status;
}

rp_status rp_corpus_block_next(rp_corpus_block *b, rp_corpus_source *s, rp_corpus_ahead *out, rp_error *err) {
    rp_status status = b->next < b->count ? RP_OK : fill(b, s, err);
    if (status) {
        rp_corpus_block_drop(b);
        return status;
    }
    *out = b->lines[b->next++];
    out->line.text = b->text + out->at;
    return RP_OK;
}

void rp_corpus_block_drop(rp_corpus_block *b) {
    b->count = b->next = 0;
}

void rp_corpus_block_finish(rp_corpus_block *b) {
    free(b->lines);
    free(b->text);
    *b = (rp_corpus_block){0};
}
