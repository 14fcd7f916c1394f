#include "apps/index_file.h"

#include <errno.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/half.h"
#include "base/os.h"
#include "loader/json.h"
#include "loader/unicode.h"

_Static_assert(sizeof(rp_index_head) == RP_INDEX_HEAD, "the head has no padding");
_Static_assert(sizeof(rp_index_entry) == 16, "nor has an entry");

uint64_t rp_index_hash(const void *data, size_t size, uint64_t seed) {
    return XXH64(data, size, seed);
}

/* ---- opening ---- */

static rp_status damaged(const rp_index_file *file, const char *what, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s; make the index again (reprise index)",
                   rp_path_shown(file->path), what);
}

static rp_status map(rp_index_file *file, rp_error *err) {
    int fd = -1;
    rp_status status = rp_file_open(file->path, &fd, &file->size, err);
    if (status) return status;
    if (file->size < RP_INDEX_HEAD)
        status = damaged(file, "no index, or the first part of one", err);
    else if (file->size > SIZE_MAX)
        status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "%s: a 32-bit program has no room for %llu bytes; use a 64-bit build of the library",
                         rp_path_shown(file->path), (unsigned long long)file->size);
    else if (!(file->bytes = rp_os_map(fd, 0, (size_t)file->size)))
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be mapped into memory: %s",
                         rp_path_shown(file->path), strerror(errno));
    rp_os_close(fd);
    return status;
}

static bool is_text(const char *text, size_t room) {
    size_t size = strnlen(text, room);
    return size < room && rp_utf8_check(text, size) == size;
}

/* Where its parts are. Nothing overflows: count and width are checked first, and no sum before its parts. */
static bool is_laid_out(const rp_index_file *file) {
    const rp_index_head *h = &file->head;
    if (!h->count || h->count > RP_INDEX_COUNT_MAX || !h->width || h->width > RP_INDEX_WIDTH_MAX)
        return false;
    if (h->texts_at != RP_INDEX_HEAD + rp_index_vector_bytes(h->count, h->width)) return false;
    if (h->texts_at > file->size || h->table_at > file->size || h->table_at < h->texts_at || h->table_at % 8)
        return false;
    return h->checks_at == h->table_at + rp_index_table_bytes(h->count) &&
           file->size == h->checks_at + rp_index_check_bytes(h->count);
}

static rp_status check_head(rp_index_file *file, rp_error *err) {
    rp_index_head *h = &file->head;
    memcpy(h, file->bytes, sizeof *h);
    if (memcmp(h->magic, RP_INDEX_MAGIC, sizeof h->magic)) return damaged(file, "this is no index", err);
    if (h->version != RP_INDEX_VERSION)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: an index of version %u, and this library reads version %d; use a newer library, "
                       "or make the index again",
                       rp_path_shown(file->path), h->version, RP_INDEX_VERSION);
    if (h->check != rp_index_hash(h, offsetof(rp_index_head, check), 0))
        return damaged(file, "the head is damaged", err);
    if (h->size != file->size)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: %llu bytes, and the index has %llu: it was cut, or something was added; copy it, "
                       "or make it again",
                       rp_path_shown(file->path), (unsigned long long)file->size,
                       (unsigned long long)h->size);
    if (!is_laid_out(file)) return damaged(file, "the head says what cannot be", err);
    if (!is_text(h->model, sizeof h->model) || !is_text(h->prompt, sizeof h->prompt) ||
        h->pooling >= RP_POOLING_NONE)
        return damaged(file, "the head does not say how the index was made", err);
    return RP_OK;
}

static rp_index_entry entry_of(const rp_index_file *file, uint64_t row) {
    rp_index_entry entry;
    memcpy(&entry, file->table + row * sizeof entry, sizeof entry);
    return entry;
}

static rp_status check_table(const rp_index_file *file, rp_error *err) {
    const rp_index_head *h = &file->head;
    uint64_t texts = h->table_at - h->texts_at, at = 0;
    if (rp_index_hash(file->table, (size_t)rp_index_table_bytes(h->count), 0) != h->table_check)
        return damaged(file, "the table of texts is damaged", err);
    if (rp_index_hash(file->checks, (size_t)rp_index_check_bytes(h->count), 0) != h->checks_check)
        return damaged(file, "the checksums are damaged", err);
    for (uint64_t row = 0; row < h->count; row++) {
        rp_index_entry entry = entry_of(file, row);
        uint64_t end = entry_of(file, row + 1).at;
        if (entry.at != at || end < at || end > texts || (entry.id & ~RP_INDEX_BARE) > end - at)
            return damaged(file, "the table of texts says what cannot be", err);
        at = end;
    }
    for (uint64_t fill = at; fill < texts; fill++)
        if (texts - at >= 8 || file->texts[fill])
            return damaged(file, "the texts end before their table", err);
    return RP_OK;
}

rp_status rp_index_file_open(const char *path, rp_index_file *file, rp_error *err) {
    *file = (rp_index_file){.path = strdup(path)};
    if (!file->path) return rp_fail_memory(err, "a path", strlen(path) + 1);
    rp_status status = map(file, err);
    if (!status) status = check_head(file, err);
    if (status) return status;
    file->vectors = file->bytes + RP_INDEX_HEAD;
    file->texts = file->bytes + file->head.texts_at;
    file->table = file->bytes + file->head.table_at;
    file->checks = file->bytes + file->head.checks_at;
    return check_table(file, err);
}

void rp_index_file_close(rp_index_file *file) {
    if (file->bytes) rp_os_unmap(file->bytes, (size_t)file->size);
    free(file->path);
    *file = (rp_index_file){0};
}

/* ---- vectors ---- */

static bool are_finite(const unsigned char *halves, size_t count) {
    unsigned worst = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned exponent = halves[2 * i + 1] & 0x7c;
        worst = exponent > worst ? exponent : worst;
    }
    return worst < 0x7c;
}

rp_status rp_index_check_rows(const rp_index_file *file, uint64_t first, uint64_t count, rp_error *err) {
    uint64_t all = file->head.count, end = count < all - first ? first + count : all;
    for (uint64_t row = first; row < end; row += RP_INDEX_BLOCK) {
        uint64_t rows = all - row < RP_INDEX_BLOCK ? all - row : RP_INDEX_BLOCK, check;
        size_t bytes = (size_t)rp_index_vector_bytes(rows, file->head.width);
        const unsigned char *from = file->vectors + rp_index_vector_bytes(row, file->head.width);
        memcpy(&check, file->checks + row / RP_INDEX_BLOCK * sizeof check, sizeof check);
        if (rp_index_hash(from, bytes, 0) != check || !are_finite(from, bytes / 2)) {
            char what[96];
            snprintf(what, sizeof what, "the vectors of documents %llu to %llu are damaged",
                     (unsigned long long)row, (unsigned long long)(row + rows - 1));
            return damaged(file, what, err);
        }
    }
    return RP_OK;
}

void rp_index_row(const rp_index_file *file, uint64_t row, float *out) {
    const unsigned char *from = file->vectors + rp_index_vector_bytes(row, file->head.width);
    for (uint32_t i = 0; i < file->head.width; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * (size_t)i, sizeof half);
        out[i] = rp_half_to_float(half);
    }
}

/* ---- texts ---- */

/* Digits, at least one; moves `*at` behind them. */
static bool skip_digits(rp_text text, size_t *at) {
    size_t from = *at;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9') ++*at;
    return *at > from;
}

bool rp_index_is_bare(rp_text id) {
    size_t at = 0;
    if ((id.size == 4 && !memcmp(id.data, "true", 4)) || (id.size == 5 && !memcmp(id.data, "false", 5)))
        return true;
    if (at < id.size && id.data[at] == '-') at++;
    size_t from = at;
    if (!skip_digits(id, &at) || (id.data[from] == '0' && at > from + 1)) return false;
    if (at < id.size && id.data[at] == '.' && (at++, !skip_digits(id, &at))) return false;
    if (at < id.size && (id.data[at] == 'e' || id.data[at] == 'E')) {
        at++;
        if (at < id.size && (id.data[at] == '+' || id.data[at] == '-')) at++;
        if (!skip_digits(id, &at)) return false;
    }
    return at == id.size;
}

rp_status rp_index_read(const rp_index_file *file, uint64_t row, rp_document *out, rp_error *err) {
    rp_index_entry entry = entry_of(file, row);
    size_t size = (size_t)(entry_of(file, row + 1).at - entry.at), id = entry.id & ~RP_INDEX_BARE;
    const char *from = (const char *)file->texts + entry.at;
    *out = (rp_document){
        .id = {id ? from : NULL, id}, .text = {from + id, size - id}, .id_bare = entry.id & RP_INDEX_BARE};
    bool good = (uint32_t)rp_index_hash(from, size, 0) == entry.check && rp_utf8_check(from, id) == id &&
                rp_utf8_check(from + id, size - id) == size - id &&
                (!out->id_bare || rp_index_is_bare(out->id));
    if (good) return RP_OK;
    char what[64];
    snprintf(what, sizeof what, "the text of document %llu is damaged", (unsigned long long)row);
    return damaged(file, what, err);
}
