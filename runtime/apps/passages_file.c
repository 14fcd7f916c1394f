/* The image as a file: its layout, what is checked when it is read, and how it is written. */
#define XXH_INLINE_ALL
#include "apps/passages.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/os.h"
#include "loader/json.h"
#include "loader/sealed.h"
#include "loader/staging.h"
#include "loader/unicode.h"

/* ---- layout ---- */

/* Where the `count` elements behind `*at` end; counts are below 2^56 / 32, so that nothing wraps. */
static uint64_t place(uint64_t *at, uint64_t count, uint64_t size) {
    uint64_t begin = *at;
    *at = rp_round_up(begin + count * size, 8);
    return begin;
}

typedef struct places {
    uint64_t texts, documents, parts, words, postings, names, word_bytes, end;
} places;

static places place_all(const rp_passages_header *h) {
    places p;
    uint64_t at = sizeof *h;
    p.texts = place(&at, h->text_bytes, 1);
    p.documents = place(&at, h->documents + 1, sizeof(rp_passages_document));
    p.parts = place(&at, h->passages, sizeof(rp_passages_part));
    p.words = place(&at, h->words + 1, sizeof(rp_passages_word));
    p.postings = place(&at, h->postings, sizeof(rp_posting));
    p.names = place(&at, h->name_bytes, 1);
    p.word_bytes = place(&at, h->word_bytes, 1);
    p.end = at;
    return p;
}

uint64_t rp_passages_size(const rp_passages_header *header) {
    return place_all(header).end;
}

void rp_passages_parts(const void *image, rp_passages *out) {
    const char *base = image;
    places p = place_all(image);
    *out = (rp_passages){.header = image,
                         .texts = base + p.texts,
                         .documents = (const void *)(base + p.documents),
                         .parts = (const void *)(base + p.parts),
                         .words = (const void *)(base + p.words),
                         .postings = (const void *)(base + p.postings),
                         .names = base + p.names,
                         .word_bytes = base + p.word_bytes};
}

static uint64_t hash_image(const void *image, size_t size) {
    rp_passages_header header;
    memcpy(&header, image, sizeof header);
    header.hash = 0;
    return XXH64((const char *)image + sizeof header, size - sizeof header, XXH64(&header, sizeof header, 0));
}

void rp_passages_seal(void *image, size_t size) {
    ((rp_passages_header *)image)->hash = hash_image(image, size);
}

/* ---- checks: what a hash cannot promise of a file that somebody made on purpose ---- */

static bool check_documents(const rp_passages *p) {
    const rp_passages_header *h = p->header;
    const rp_passages_document *d = p->documents;
    if (d[0].text || d[0].name) return false;
    for (uint64_t i = 0; i < h->documents; i++)
        if (d[i + 1].text < d[i].text || d[i + 1].text > h->text_bytes || d[i + 1].name <= d[i].name ||
            d[i + 1].name > h->name_bytes || p->names[d[i + 1].name - 1])
            return false;
    return true;
}

static bool begins_character(const rp_passages *p, uint64_t at) {
    return at == p->header->text_bytes || (p->texts[at] & 0xc0) != 0x80;
}

static bool check_parts(const rp_passages *p) {
    for (uint64_t i = 0; i < p->header->passages; i++) {
        const rp_passages_part *part = &p->parts[i];
        if (part->document >= p->header->documents) return false;
        const rp_passages_document *d = &p->documents[part->document];
        if (part->text < d[0].text || part->text > d[1].text || part->size > d[1].text - part->text ||
            !begins_character(p, part->text) || !begins_character(p, part->text + part->size))
            return false;
    }
    return true;
}

static bool check_words(const rp_passages *p) {
    const rp_passages_header *h = p->header;
    const rp_passages_word *w = p->words;
    if (w[0].bytes || w[0].posting) return false;
    for (uint64_t i = 0; i < h->words; i++)
        if (w[i + 1].bytes < w[i].bytes || w[i + 1].bytes > h->word_bytes ||
            w[i + 1].posting < w[i].posting || w[i + 1].posting > h->postings)
            return false;
    for (uint64_t i = 0; i < h->postings; i++)
        if (p->postings[i].passage >= h->passages) return false;
    return true;
}

static bool counts_fit(const rp_passages_header *h, size_t size) {
    return h->documents < UINT32_MAX && h->passages < UINT32_MAX && h->words < UINT32_MAX &&
           h->postings <= size && h->text_bytes <= size && h->name_bytes <= size && h->word_bytes <= size &&
           h->documents && h->passages && h->passage_words && h->passage_words <= RP_PASSAGE_WORDS_MAX;
}

rp_status rp_passages_view(const void *image, size_t size, const char *path, rp_passages *out,
                           rp_error *err) {
    const rp_passages_header *h = image;
    const char *shown = rp_path_shown(path);
    if (size < sizeof *h || memcmp(h->magic, RP_PASSAGES_MAGIC, sizeof h->magic))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: is no index of documents; name another file", shown);
    if (h->version != RP_PASSAGES_VERSION)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: is an index of version %u, and this Reprise reads version %d: delete it", shown,
                       (unsigned)h->version, RP_PASSAGES_VERSION);
    if (!counts_fit(h, size) || rp_passages_size(h) != size || h->size != size ||
        hash_image(image, size) != h->hash)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: the index is cut short or damaged: delete it, and it is made anew", shown);
    rp_passages_parts(image, out);
    if (check_documents(out) && check_parts(out) && check_words(out) &&
        rp_utf8_check(out->texts, (size_t)h->text_bytes) == h->text_bytes)
        return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: the index points outside of itself: delete it", shown);
}

/* ---- files ---- */

rp_status rp_passages_map(const char *path, void **image, size_t *size, rp_error *err) {
    int fd = -1;
    uint64_t bytes = 0;
    rp_status status = rp_file_open(path, &fd, &bytes, err);
    if (status) return status;
    const void *map = NULL;
    if (bytes >= sizeof(rp_passages_header) && bytes < SIZE_MAX) map = rp_os_map(fd, 0, (size_t)bytes);
    if (bytes < sizeof(rp_passages_header))
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: is no index of documents; name another file",
                         rp_path_shown(path));
    else if (!map)
        status =
            rp_fail(err, RP_ERROR_FILE, "%s: cannot be mapped: %s", rp_path_shown(path), strerror(errno));
    rp_os_close(fd);
    *image = status ? NULL : (void *)map;
    *size = (size_t)bytes;
    return status;
}

rp_status rp_passages_write(const char *path, const void *image, size_t size, rp_error *err) {
    static atomic_uint number; /* threads may make the same index at the same time */
    size_t room = strlen(path) + 48;
    char *part = rp_new_array(char, room);
    if (!part) return rp_fail_memory(err, "a path", room);
    snprintf(part, room, "%s.%ld-%u.part", path, (long)rp_os_process(), atomic_fetch_add(&number, 1));
    rp_os_unlink(part);
    rp_status status = rp_file_write(part, image, size, err);
    if (!status && rp_os_rename(part, path)) status = rp_fail_write(path, err);
    if (status) rp_os_unlink(part);
    free(part);
    return status;
}
