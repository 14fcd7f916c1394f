/* Making the image: the texts as they are read, and their words counted in two passes. The first finds the
 * words and how many passages have each; the second writes the postings to their places. */
#define XXH_INLINE_ALL
#include "apps/passages.h"

#include <time.h>
#include <xxhash.h>

#include "base/call.h"
#include "loader/json.h"

/* A word that was found. */
typedef struct word {
    uint64_t bytes;    /* where it begins among the bytes of all words */
    uint64_t posting;  /* where the next posting goes */
    uint32_t passages; /* that have it */
    uint32_t last;     /* of them, plus 1 */
    uint8_t length;
} word;

struct rp_passages_builder {
    char *image; /* header and texts; in the end all */
    size_t used, room;
    char *names, *bytes; /* of documents; of words */
    size_t names_used, names_room, bytes_used, bytes_room;
    rp_passages_document *documents;
    size_t document_count, document_room;
    rp_passages_part *parts;
    size_t part_count, part_room;
    word *words;
    size_t word_count, word_room;
    uint32_t *slots; /* [slot_count] a power of two, at most half full: number of a word plus 1 */
    size_t slot_count;
    uint64_t seed; /* nobody who writes a document knows it */
    uint64_t postings, total;
    rp_cut_passages cut;
    uint32_t passage_words;
};

typedef rp_passages_builder builder;

static const char *texts_of(const builder *b) {
    return b->image + sizeof(rp_passages_header);
}

static rp_status fail_memory(const builder *b, rp_error *err) {
    return rp_fail_memory(err, "the index of documents", 2ull * b->used);
}

static rp_status fail_size(rp_error *err) {
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "the documents are too many, or one is longer than 4 GiB; split the collection");
}

/* ---- words ---- */

static bool widen(builder *b) {
    size_t count = b->slot_count ? 2 * b->slot_count : 1024;
    uint32_t *slots = rp_new_array(uint32_t, count);
    if (!slots) return false;
    for (size_t i = 0; i < b->word_count; i++) {
        size_t at = XXH64(b->bytes + b->words[i].bytes, b->words[i].length, b->seed) & (count - 1);
        while (slots[at]) at = (at + 1) & (count - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(b->slots);
    b->slots = slots;
    b->slot_count = count;
    return true;
}

/* The word that was read; NULL: out of memory. */
static word *find_word(builder *b, const rp_word_reader *r) {
    if (2 * (b->word_count + 1) > b->slot_count && !widen(b)) return NULL;
    size_t at = XXH64(r->word, r->length, b->seed) & (b->slot_count - 1);
    for (; b->slots[at]; at = (at + 1) & (b->slot_count - 1)) {
        word *w = &b->words[b->slots[at] - 1];
        if (w->length == r->length && !memcmp(b->bytes + w->bytes, r->word, r->length)) return w;
    }
    if (!rp_grow((void **)&b->words, &b->word_room, b->word_count + 1, sizeof *b->words) ||
        !rp_grow((void **)&b->bytes, &b->bytes_room, b->bytes_used + r->length, 1))
        return NULL;
    memcpy(b->bytes + b->bytes_used, r->word, r->length);
    b->words[b->word_count] = (word){.bytes = b->bytes_used, .length = (uint8_t)r->length};
    b->bytes_used += r->length;
    b->slots[at] = (uint32_t)++b->word_count;
    return &b->words[b->word_count - 1];
}

/* The first pass over a passage. */
static rp_status count_words(builder *b, const rp_cut_passage *cut, const char *text, rp_error *err) {
    rp_word_reader r = {.text = text + cut->start, .size = cut->end - cut->start};
    rp_passages_part *part = &b->parts[b->part_count++];
    *part = (rp_passages_part){.text = (uint64_t)(text + cut->start - texts_of(b)),
                               .size = (uint32_t)(cut->end - cut->start),
                               .document = (uint32_t)b->document_count};
    while (rp_word_next(&r)) {
        word *w = find_word(b, &r);
        if (!w) return fail_memory(b, err);
        part->words++;
        if (w->last == b->part_count) continue;
        w->last = (uint32_t)b->part_count;
        w->passages++;
        b->postings++;
    }
    b->total += part->words;
    return RP_OK;
}

rp_status rp_passages_add(void *user, const char *name, size_t name_size, const char *text, size_t size,
                          rp_error *err) {
    builder *b = user;
    rp_status status = RP_OK;
    if (!rp_grow((void **)&b->image, &b->room, b->used + size, 1) ||
        !rp_grow((void **)&b->names, &b->names_room, b->names_used + name_size + 1, 1) ||
        !rp_grow((void **)&b->documents, &b->document_room, b->document_count + 2, sizeof *b->documents))
        return fail_memory(b, err);
    if (size) memcpy(b->image + b->used, text, size);
    if (name_size) memcpy(b->names + b->names_used, name, name_size);
    b->names[b->names_used + name_size] = 0;
    b->documents[b->document_count] =
        (rp_passages_document){b->used - sizeof(rp_passages_header), b->names_used};
    text = b->image + b->used;
    status = rp_passages_split(text, size, b->passage_words, &b->cut, err);
    if (status) return status;
    if (b->cut.count + b->part_count >= UINT32_MAX || b->word_count + size >= UINT32_MAX ||
        b->document_count >= UINT32_MAX - 1 || size >= UINT32_MAX)
        return fail_size(err);
    if (!rp_grow((void **)&b->parts, &b->part_room, b->part_count + b->cut.count, sizeof *b->parts))
        return fail_memory(b, err);
    for (size_t i = 0; !status && i < b->cut.count; i++) status = count_words(b, &b->cut.items[i], text, err);
    b->used += size;
    b->names_used += name_size + 1;
    b->document_count++;
    return status;
}

/* ---- the image ---- */

typedef struct named {
    const char *bytes;
    size_t length, number;
} named;

static int by_bytes(const void *left, const void *right) {
    const named *a = left, *b = right;
    int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Number the words by their bytes, and write them with the beginnings of their postings. */
static rp_status write_words(builder *b, rp_passages_word *out, char *bytes, rp_error *err) {
    named *order = rp_new_array(named, b->word_count);
    if (!order) return fail_memory(b, err);
    for (size_t i = 0; i < b->word_count; i++)
        order[i] = (named){b->bytes + b->words[i].bytes, b->words[i].length, i};
    qsort(order, b->word_count, sizeof *order, by_bytes);
    uint64_t at = 0, posting = 0;
    for (size_t i = 0; i < b->word_count; i++) {
        word *w = &b->words[order[i].number];
        memcpy(bytes + at, order[i].bytes, order[i].length);
        out[i] = (rp_passages_word){at, posting};
        at += w->length;
        w->posting = posting;
        posting += w->passages;
        w->last = 0;
    }
    out[b->word_count] = (rp_passages_word){at, posting};
    free(order);
    return RP_OK;
}

/* The second pass. */
static rp_status write_postings(builder *b, rp_posting *out, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < b->part_count; i++) {
        rp_word_reader r = {.text = texts_of(b) + b->parts[i].text, .size = b->parts[i].size};
        for (word *w; rp_word_next(&r);) {
            w = find_word(b, &r);
            if (!w) return fail_memory(b, err);
            if (w->last == i + 1) {
                out[w->posting - 1].times++;
            } else {
                w->last = (uint32_t)i + 1;
                out[w->posting++] = (rp_posting){(uint32_t)i, 1};
            }
        }
        if (i % 1024 == 0) status = rp_call_check(err);
    }
    return status;
}

static rp_status finish(builder *b, uint64_t sources, rp_error *err) {
    rp_passages_header header = {.version = RP_PASSAGES_VERSION,
                                 .passage_words = b->passage_words,
                                 .sources = sources,
                                 .documents = b->document_count,
                                 .passages = b->part_count,
                                 .words = b->word_count,
                                 .postings = b->postings,
                                 .text_bytes = b->used - sizeof header,
                                 .name_bytes = b->names_used,
                                 .word_bytes = b->bytes_used,
                                 .total = b->total};
    rp_passages p;
    memcpy(header.magic, RP_PASSAGES_MAGIC, sizeof header.magic);
    b->documents[b->document_count] = (rp_passages_document){header.text_bytes, header.name_bytes};
    header.size = rp_passages_size(&header);
    char *image = header.size < SIZE_MAX ? realloc(b->image, (size_t)header.size) : NULL;
    if (!image) return fail_memory(b, err);
    b->image = image;
    memset(image + b->used, 0, (size_t)header.size - b->used);
    memcpy(image, &header, sizeof header);
    rp_passages_parts(image, &p);
    memcpy((void *)p.documents, b->documents, (b->document_count + 1) * sizeof *b->documents);
    if (b->part_count) memcpy((void *)p.parts, b->parts, b->part_count * sizeof *b->parts);
    memcpy((void *)p.names, b->names, b->names_used);
    rp_status status = write_words(b, (rp_passages_word *)p.words, (char *)p.word_bytes, err);
    return status ? status : write_postings(b, (rp_posting *)p.postings, err);
}

rp_status rp_passages_begin(uint32_t passage_words, rp_passages_builder **out, rp_error *err) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    builder *b = *out = rp_new(builder);
    if (!b) return rp_fail_memory(err, "the index of documents", sizeof *b);
    b->used = sizeof(rp_passages_header);
    b->passage_words = passage_words;
    b->seed = ((uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec) ^ (uint64_t)(uintptr_t)b;
    return rp_grow((void **)&b->image, &b->room, b->used, 1) && widen(b) ? RP_OK : fail_memory(b, err);
}

rp_status rp_passages_end(rp_passages_builder *b, uint64_t sources, const char *path, void **image,
                          size_t *size, rp_error *err) {
    if (!b->part_count)
        return rp_fail(err, RP_ERROR_FILE, "%s: has no text with a word in it", rp_path_shown(path));
    rp_status status = finish(b, sources, err);
    if (status) return status;
    *image = b->image;
    *size = (size_t)((rp_passages_header *)b->image)->size;
    b->image = NULL;
    return RP_OK;
}

void rp_passages_drop(rp_passages_builder **builder) {
    rp_passages_builder *b = *builder;
    if (!b) return;
    free(b->image);
    free(b->names);
    free(b->bytes);
    free(b->documents);
    free(b->parts);
    free(b->words);
    free(b->slots);
    free(b->cut.items);
    free(b);
    *builder = NULL;
}

rp_status rp_passages_build(const rp_sources *sources, const char *path, uint32_t passage_words, void **image,
                            size_t *size, rp_error *err) {
    rp_passages_builder *b = NULL;
    rp_status status = rp_passages_begin(passage_words, &b, err);
    for (size_t i = 0; !status && i < sources->count; i++) {
        status = rp_sources_read(sources, i, rp_passages_add, b, err);
        rp_call_progress(i + 1);
    }
    if (!status) status = rp_passages_end(b, sources->hash, path, image, size, err);
    rp_passages_drop(&b);
    return status;
}
