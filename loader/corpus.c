/* Chunks of a corpus, and the instances that are made of them. */
#include "loader/corpus_parts.h"

#include "base/call.h"
#include "loader/data.h"
#include "loader/json.h"

/* Where a document begins, and its first chunk. */
typedef struct document {
    uint64_t place, chunk;
} document;

/* In a pass: the chunks from number `at` on, of those that are not left out, have numbers greater by `by`. */
typedef struct gap {
    uint64_t at, by;
} gap;

/* Chunks: where each begins, 48 bits, and the tokens that it has at least unless its document ends. */
typedef struct chunks {
    uint64_t *items;
    size_t count, capacity;
} chunks;

struct rp_corpus {
    rp_corpus_source source;
    const rp_tokenizer *tokenizer;
    rp_corpus_params params; /* with defaults in the place of zeros */
    rp_instance_maker maker;
    rp_corpus_counts counts;
    document *documents;
    size_t document_count, document_capacity;
    chunks full; /* of all documents, cut into instances of full length */
    /* The pass that was asked for last. */
    bool cut; /* there is one */
    uint64_t epoch;
    chunks brief; /* of the documents that are cut shorter in it */
    gap *gaps;    /* [gap_count] where those documents are left out of `full` */
    size_t gap_count, gap_capacity;
    uint64_t count; /* of the first pass */
    /* The segments of the chunk that is read. */
    int32_t *ids;
    size_t id_count, id_capacity;
    size_t *ends;
    size_t segments, end_capacity;
    /* Lines that are read ahead, in passes; and where the last one of these was. */
    rp_corpus_block block;
    rp_corpus_ahead at;
};

/* ---- cutting ---- */

/* Gathers segments until they have `target` tokens. */
typedef struct cutter {
    uint32_t target;
    uint64_t place, tokens, segments; /* of the chunk so far */
    chunks *out;
    uint64_t dropped;
} cutter;

static bool end_chunk(cutter *c) {
    uint64_t segments = c->segments, item = c->place << 16 | c->target;
    c->segments = c->tokens = 0;
    c->dropped += segments == 1;
    if (segments < 2) return true;
    if (!rp_grow((void **)&c->out->items, &c->out->capacity, c->out->count + 1, sizeof item)) return false;
    c->out->items[c->out->count++] = item;
    return true;
}

static bool add_segment(cutter *c, uint64_t place, uint64_t tokens) {
    if (!c->segments) c->place = place;
    c->segments++;
    c->tokens += tokens;
    return c->tokens < c->target || end_chunk(c);
}

static rp_status fail_index(const chunks *list, rp_error *err) {
    return rp_fail_memory(err, "the index of the corpus", 8ull * list->count);
}

/* ---- lines ---- */

/* The tokens of a line, at the end of c->ids. */
static rp_status tokenize(rp_corpus *c, rp_corpus_line *line, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    rp_encoding encoding = {0};
    rp_status status =
        rp_tokenize(c->tokenizer, (rp_text){line->text, line->size}, (rp_text){0}, &params, &encoding, err);
    if (status) return status;
    size_t all = c->id_count + encoding.count;
    if (!rp_grow((void **)&c->ids, &c->id_capacity, all + 1, sizeof *c->ids))
        status = rp_fail_memory(err, "the tokens of a chunk", 4ull * all);
    if (!status && encoding.count) {
        memcpy(c->ids + c->id_count, encoding.ids, encoding.count * sizeof *c->ids);
        c->id_count = all;
    }
    rp_encoding_free(&encoding);
    return status;
}

static rp_status fail_line(const rp_corpus_line *line, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s", line->mistake);
}

/* A line that cannot be used is no error where bad ones are left out. */
static rp_status forgive(rp_corpus *c, rp_status status) {
    if (status == RP_ERROR_TEXT) status = RP_ERROR_FORMAT;
    if (status != RP_ERROR_FORMAT || !c->params.skip_bad) return status;
    c->counts.bad++;
    return RP_OK;
}

/* How many tokens the next segment has, in a pass. `*found` false: the document ends here. A line that cannot
 * be used is RP_ERROR_FORMAT, without its file, unless bad ones are left out. */
static rp_status count_segment(rp_corpus *c, uint64_t *place, size_t *tokens, bool *found, rp_error *err) {
    for (;;) {
        rp_corpus_ahead *at = &c->at;
        rp_status status = rp_corpus_block_next(&c->block, &c->source, at, err);
        *found = !status && at->found;
        if (status || !*found) return status;
        *place = at->line.place;
        *tokens = at->tokens;
        c->counts.lines++;
        if (at->line.mistake[0]) {
            status = fail_line(&at->line, err);
        } else if (!(*found = at->line.size)) {
            return RP_OK;
        } else if (at->status == RP_ERROR_HOST_MEMORY) {
            status = rp_fail_memory(err, "the tokens of a line", at->line.size);
        } else if (at->status) { /* once more, for the message */
            c->id_count = 0;
            status = tokenize(c, &at->line, err);
            *tokens = c->id_count;
        }
        if (!status && *tokens) return RP_OK;
        status = forgive(c, status);
        if (status) return status;
    }
}

/* The next segment and its tokens, likewise. */
static rp_status next_segment(rp_corpus *c, uint64_t *place, size_t *tokens, bool *found, rp_error *err) {
    for (;;) {
        rp_corpus_line line;
        rp_status status = rp_corpus_next(&c->source, &line, found, err);
        if (status || !*found) return status;
        size_t before = c->id_count;
        *place = line.place;
        c->counts.lines++;
        if (line.mistake[0])
            status = fail_line(&line, err);
        else if (!(*found = line.size))
            return RP_OK;
        else
            status = tokenize(c, &line, err);
        *tokens = c->id_count - before;
        if (!status && *tokens) return RP_OK;
        status = forgive(c, status);
        if (status) return status;
    }
}

/* ---- the first pass ---- */

static rp_status begin_document(rp_corpus *c, uint64_t place, rp_error *err) {
    if (!rp_grow((void **)&c->documents, &c->document_capacity, c->document_count + 1, sizeof *c->documents))
        return rp_fail_memory(err, "the index of the corpus", c->document_count * sizeof *c->documents);
    c->documents[c->document_count++] = (document){place, c->full.count};
    c->counts.documents++;
    return RP_OK;
}

/* A document of which nothing can be made needs no place. */
static rp_status end_document(rp_corpus *c, cutter *cut, rp_error *err) {
    if (!end_chunk(cut)) return fail_index(&c->full, err);
    if (c->documents[c->document_count - 1].chunk == c->full.count) c->document_count--;
    return RP_OK;
}

static rp_status first_pass(rp_corpus *c, rp_error *err) {
    cutter cut = {.target = c->params.max_tokens - 3, .out = &c->full};
    rp_status status = RP_OK;
    bool inside = false;
    for (bool found = true; !status && (found || !c->at.last);) {
        uint64_t place;
        size_t tokens;
        rp_error why = {0};
        status = count_segment(c, &place, &tokens, &found, &why);
        if (status == RP_ERROR_FORMAT)
            return rp_fail(err, status, "%s: line %llu: %s (--skip-bad leaves such lines out)",
                           rp_path_shown(c->source.files[c->at.file].path), (unsigned long long)c->at.number,
                           why.message);
        if (status) return rp_fail(err, status, "%s", why.message);
        if (found && !inside) status = begin_document(c, place, err);
        if (!status && inside && !found) status = end_document(c, &cut, err);
        if (!status && found && !add_segment(&cut, place, tokens)) status = fail_index(&c->full, err);
        if (found) c->counts.tokens += tokens;
        inside = found;
    }
    c->counts.dropped = cut.dropped;
    return status;
}

/* ---- a pass ---- */

enum { DOCUMENTS = 1, INSTANCES = 2 }; /* what dice are for */

static rp_dice dice_of(const rp_corpus *c, unsigned what, uint64_t place) {
    return rp_dice_make(2 * c->params.seed + (what == DOCUMENTS), c->epoch, place);
}

/* Tokens of the instances of document number `d` in this pass. */
static uint32_t target_of(const rp_corpus *c, size_t d) {
    uint32_t most = c->params.max_tokens - 3;
    rp_dice dice = dice_of(c, DOCUMENTS, d);
    if (rp_dice_share(&dice) >= c->params.short_share) return most;
    return 2 + rp_dice_below(&dice, most - 1);
}

static rp_status fail_changed(const rp_corpus *c, rp_error *err) {
    return rp_fail(err, RP_ERROR_FILE, "%s: was changed while it was read; start again",
                   rp_path_shown(c->source.files[c->source.file].path));
}

static rp_status cut_document(rp_corpus *c, size_t d, uint32_t target, rp_error *err) {
    cutter cut = {.target = target, .out = &c->brief};
    rp_status status = rp_corpus_seek(&c->source, c->documents[d].place, err);
    rp_corpus_block_drop(&c->block);
    for (bool found = true; !status && found;) {
        uint64_t place;
        size_t tokens;
        status = count_segment(c, &place, &tokens, &found, err);
        if (status == RP_ERROR_FORMAT) return fail_changed(c, err); /* it was good in the first pass */
        if (!status && !(found ? add_segment(&cut, place, tokens) : end_chunk(&cut)))
            status = fail_index(&c->brief, err);
    }
    return status;
}

/* Cut the documents anew that are short in pass `epoch`. One of which nothing would be left keeps its full
 * length. */
static rp_status cut_pass(rp_corpus *c, uint64_t epoch, rp_error *err) {
    rp_status status = RP_OK;
    uint64_t by = 0;
    const rp_corpus_counts counts = c->counts;
    c->cut = false;
    c->epoch = epoch;
    c->brief.count = c->gap_count = 0;
    for (size_t d = 0; !status && d < c->document_count; d++) {
        uint32_t target = target_of(c, d);
        size_t before = c->brief.count;
        uint64_t first = c->documents[d].chunk;
        if (target == c->params.max_tokens - 3) continue;
        status = cut_document(c, d, target, err);
        if (status || c->brief.count == before) continue;
        if (!rp_grow((void **)&c->gaps, &c->gap_capacity, c->gap_count + 1, sizeof *c->gaps))
            status = fail_index(&c->brief, err);
        uint64_t next = d + 1 < c->document_count ? c->documents[d + 1].chunk : c->full.count;
        if (!status) c->gaps[c->gap_count++] = (gap){first - by, by + (next - first)};
        by += next - first;
    }
    c->counts = counts;
    c->cut = !status;
    return status;
}

static uint64_t count_pass(const rp_corpus *c) {
    return c->brief.count + c->full.count - (c->gap_count ? c->gaps[c->gap_count - 1].by : 0);
}

/* Chunk `i` of count_pass. */
static uint64_t chunk_of(const rp_corpus *c, uint64_t i) {
    if (i < c->brief.count) return c->brief.items[i];
    i -= c->brief.count;
    size_t first = 0, last = c->gap_count; /* gaps before `first` begin at i or before */
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (c->gaps[middle].at <= i)
            first = middle + 1;
        else
            last = middle;
    }
    return c->full.items[i + (first ? c->gaps[first - 1].by : 0)];
}

/* ---- instances ---- */

static rp_status read_chunk(rp_corpus *c, uint64_t chunk, rp_error *err) {
    const uint32_t target = chunk & 0xffff;
    c->id_count = c->segments = 0;
    rp_status status = rp_corpus_seek(&c->source, chunk >> 16, err);
    for (bool found = true; !status && found && c->id_count < target;) {
        uint64_t place;
        size_t tokens;
        status = next_segment(c, &place, &tokens, &found, err);
        if (status || !found) break;
        if (!rp_grow((void **)&c->ends, &c->end_capacity, c->segments + 1, sizeof *c->ends))
            return rp_fail_memory(err, "the tokens of a chunk", c->segments * sizeof *c->ends);
        c->ends[c->segments++] = c->id_count;
    }
    return status == RP_ERROR_FORMAT || (!status && c->segments < 2) ? fail_changed(c, err) : status;
}

rp_status rp_corpus_read(rp_corpus *c, uint64_t epoch, uint64_t i, rp_instance *out, rp_error *err) {
    rp_status status = c->cut && c->epoch == epoch ? RP_OK : cut_pass(c, epoch, err);
    if (status) return status;
    const rp_corpus_counts counts = c->counts;
    uint64_t count = count_pass(c), place = i % count;
    if (!c->params.no_shuffle) place = rp_data_permute(place, count, c->params.seed, epoch);
    status = read_chunk(c, chunk_of(c, place), err);
    c->counts = counts;
    if (status) return status;
    rp_dice dice = dice_of(c, INSTANCES, place + i / count * count);
    rp_instance_make(&c->maker, c->ids, c->ends, c->segments, &dice, out);
    return RP_OK;
}

/* ---- opening ---- */

static rp_status set_params(rp_corpus *c, const rp_corpus_params *params, rp_error *err) {
    rp_corpus_params *p = &c->params;
    if (params) *p = *params;
    if (!p->max_tokens) p->max_tokens = 512;
    if (!p->max_predictions) p->max_predictions = 20;
    if (!p->ngram) p->ngram = 3;
    if (!(p->masked_share > 0)) p->masked_share = 0.15;
    if (p->short_share == 0) p->short_share = 0.1;
    if (p->max_tokens > RP_CORPUS_TOKENS_MAX)
        return rp_fail(err, RP_ERROR_ARGUMENT, "max_tokens: %u tokens are more than the %d that are taken",
                       (unsigned)p->max_tokens, RP_CORPUS_TOKENS_MAX);
    if (p->masked_share >= 1 || !(p->short_share <= 1))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "the shares of masked tokens and of short documents must be below 1");
    return RP_OK;
}

static rp_status check_found(const rp_corpus *c, rp_error *err) {
    const char *path = rp_path_shown(c->source.files[0].path);
    const char *others = c->source.file_count > 1 ? " and the other files" : "";
    if (c->full.count) return RP_OK;
    if (!c->counts.documents)
        return rp_fail(err, RP_ERROR_FORMAT, "%s%s: %s; name files of plain text", path, others,
                       c->counts.bad ? "there is no line that can be used" : "there is no text");
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s%s: no instance can be made, for each has two lines of a document; write a sentence a "
                   "line, with an empty line between documents, or allow longer instances (--max-length)",
                   path, others);
}

rp_status rp_corpus_open(const char *const *paths, size_t count, const rp_tokenizer *tokenizer,
                         const rp_corpus_params *params, rp_corpus **out, rp_error *err) {
    *out = NULL;
    if (!count) return rp_fail(err, RP_ERROR_ARGUMENT, "the corpus has no files; name one");
    rp_corpus *c = rp_new(rp_corpus);
    if (!c) return rp_fail_memory(err, "the corpus", sizeof *c);
    c->tokenizer = tokenizer;
    rp_status status = rp_corpus_source_open(&c->source, paths, count, err);
    if (!status) status = set_params(c, params, err);
    c->maker = (rp_instance_maker){.max_tokens = c->params.max_tokens,
                                   .max_predictions = c->params.max_predictions,
                                   .ngram = c->params.ngram,
                                   .share = c->params.masked_share};
    c->block.tokenizer = tokenizer;
    c->block.threads = c->params.threads;
    if (!status) status = rp_instance_maker_open(&c->maker, tokenizer, err);
    if (!status) status = first_pass(c, err);
    if (!status) status = check_found(c, err);
    c->block.one_document = true;
    if (!status) status = cut_pass(c, 0, err);
    if (status) {
        rp_corpus_close(&c);
        return status;
    }
    for (size_t i = 0; i < count; i++) c->counts.bytes += c->source.files[i].size;
    c->count = count_pass(c);
    *out = c;
    return RP_OK;
}

void rp_corpus_close(rp_corpus **corpus) {
    rp_corpus *c = *corpus;
    if (!c) return;
    rp_corpus_source_close(&c->source);
    rp_instance_maker_finish(&c->maker);
    rp_corpus_block_finish(&c->block);
    free(c->documents);
    free(c->full.items);
    free(c->brief.items);
    free(c->gaps);
    free(c->ids);
    free(c->ends);
    free(c);
    *corpus = NULL;
}

uint64_t rp_corpus_count(const rp_corpus *c) {
    return c->count;
}

const rp_corpus_counts *rp_corpus_get_counts(const rp_corpus *c) {
    return &c->counts;
}
