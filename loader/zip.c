#include "loader/zip.h"

#include "loader/json.h"

/* Sizes of the records without what varies in length. */
enum { LOCAL = 30, CENTRAL = 46, END = 22, END64 = 56, LOCATOR = 20, SHOWN_NAME = 120 };
enum { ENCRYPTED = 1 << 0, STRONGLY_ENCRYPTED = 1 << 6, HIDDEN_HEADERS = 1 << 13 };

typedef struct reader {
    const unsigned char *bytes;
    uint64_t size;
    const char *path;
    rp_zip *out;
    rp_error *err;
} reader;

/* What the end of the archive says of the central directory. */
typedef struct directory {
    uint64_t at, size, entries;
} directory;

static uint64_t number(const unsigned char *at, unsigned size) {
    uint64_t value = 0;
    for (unsigned i = size; i-- > 0;) value = value << 8 | at[i];
    return value;
}

static rp_status fail(const reader *r, const char *what) {
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: zip archive: %s; fetch the file again",
                   rp_path_shown(r->path), what);
}

static rp_status fail_entry(const reader *r, rp_status status, const char *name, const char *what) {
    return rp_fail(r->err, status, "%s: zip archive: %.*s: %s", rp_path_shown(r->path),
                   rp_text_fit(name, SHOWN_NAME), name, what);
}

/* ---- the end ---- */

/* Where the record is that ends the archive, which a comment may follow. False: there is none. */
static bool find_end(const reader *r, uint64_t *at) {
    if (r->size < END) return false;
    for (uint64_t back = END; back <= END + 0xFFFF && back <= r->size; back++) {
        const unsigned char *end = r->bytes + r->size - back;
        if (memcmp(end, "PK\5\6", 4) || number(end + 20, 2) != back - END) continue;
        *at = r->size - back;
        return true;
    }
    return false;
}

/* The larger form of the record, if the archive has it: `*end` moves to its begin. */
static rp_status read_end64(const reader *r, uint64_t *end, directory *out) {
    if (*end < LOCATOR || memcmp(r->bytes + *end - LOCATOR, "PK\6\7", 4)) return RP_OK;
    const unsigned char *locator = r->bytes + *end - LOCATOR;
    uint64_t at = number(locator + 8, 8), room = *end - LOCATOR;
    if (number(locator + 4, 4) || number(locator + 16, 4) > 1)
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: zip archive: has several parts; join them",
                       rp_path_shown(r->path));
    if (room < END64 || at > room - END64 || memcmp(r->bytes + at, "PK\6\6", 4))
        return fail(r, "its zip64 end record is not where its locator says");
    const unsigned char *record = r->bytes + at;
    uint64_t length = number(record + 4, 8);
    if (length < END64 - 12 || length != room - at - 12)
        return fail(r, "its zip64 end record has another length than its place asks for");
    *out = (directory){
        .at = number(record + 48, 8), .size = number(record + 40, 8), .entries = number(record + 32, 8)};
    if (number(record + 24, 8) != out->entries) return fail(r, "its numbers of entries differ");
    *end = at;
    return RP_OK;
}

static rp_status find_directory(const reader *r, directory *out) {
    uint64_t end;
    if (!find_end(r, &end)) return fail(r, "the directory at its end is missing, so the file was cut");
    const unsigned char *record = r->bytes + end;
    *out = (directory){
        .at = number(record + 16, 4), .size = number(record + 12, 4), .entries = number(record + 10, 2)};
    directory small = *out;
    rp_status status = read_end64(r, &end, out);
    if (status) return status;
    // what the smaller record can hold, it says as well
    bool same = (small.at == out->at || small.at == UINT32_MAX) &&
                (small.size == out->size || small.size == UINT32_MAX) &&
                (small.entries == out->entries || small.entries == UINT16_MAX);
    if (!same) return fail(r, "its two end records differ");
    if (out->at > end || out->size != end - out->at || out->entries > out->size / CENTRAL)
        return fail(r, "its directory does not lie in front of its end record");
    return RP_OK;
}

/* ---- entries ---- */

/* The values of a zip64 field, for those that the directory's entry has no room for. */
static bool read_extra(const unsigned char *extra, uint64_t size, uint64_t *const values[3]) {
    while (size >= 4) {
        uint64_t id = number(extra, 2), length = number(extra + 2, 2);
        if (length > size - 4) return false;
        const unsigned char *at = extra + 4, *end = at + length;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*values[i] != UINT32_MAX) continue;
            if (end - at < 8) return false;
            *values[i] = number(at, 8);
            at += 8;
        }
        extra = end;
        size -= 4 + length;
    }
    return true;
}

/* What is in front of the entry's data, and so where that is. */
static rp_status read_local(const reader *r, const directory *d, rp_zip_entry *entry) {
    uint64_t name_size = strlen(entry->name);
    if (d->at < LOCAL || entry->local > d->at - LOCAL || memcmp(r->bytes + entry->local, "PK\3\4", 4))
        return fail_entry(r, RP_ERROR_FORMAT, entry->name,
                          "is not where the directory says; fetch the file again");
    const unsigned char *local = r->bytes + entry->local;
    uint64_t room = d->at - entry->local - LOCAL, extra = number(local + 28, 2);
    if (number(local + 26, 2) != name_size || room < name_size + extra ||
        memcmp(local + LOCAL, entry->name, name_size))
        return fail_entry(r, RP_ERROR_FORMAT, entry->name,
                          "has another name in front of its data; fetch the file again");
    if (entry->size > room - name_size - extra)
        return fail_entry(r, RP_ERROR_FORMAT, entry->name,
                          "does not end before the directory; fetch the file again");
    entry->data = local + LOCAL + name_size + extra;
    return RP_OK;
}

/* One entry of the directory, at `at` with `*room` bytes left. */
static rp_status read_entry(const reader *r, const directory *d, const unsigned char *at, uint64_t *room) {
    if (*room < CENTRAL || memcmp(at, "PK\1\2", 4)) return fail(r, "an entry of its directory is damaged");
    uint64_t name = number(at + 28, 2), extra = number(at + 30, 2), comment = number(at + 32, 2);
    if (*room - CENTRAL < name + extra + comment || !name || memchr(at + CENTRAL, 0, name))
        return fail(r, "an entry of its directory is damaged");
    rp_zip_entry entry = {.name = rp_arena_copy(&r->out->names, (const char *)at + CENTRAL, name),
                          .size = number(at + 24, 4),
                          .crc = (uint32_t)number(at + 16, 4),
                          .local = number(at + 42, 4)};
    uint64_t flags = number(at + 8, 2), method = number(at + 10, 2), packed = number(at + 20, 4);
    if (!entry.name) return rp_fail_memory(r->err, rp_path_shown(r->path), name + 1);
    if (method)
        entry.refused = "is compressed, which torch.save never does; save the weights with torch.save";
    if (flags & (ENCRYPTED | STRONGLY_ENCRYPTED | HIDDEN_HEADERS))
        entry.refused = "is encrypted; save the weights without encryption";
    if (number(at + 34, 2))
        return fail_entry(r, RP_ERROR_UNSUPPORTED, entry.name, "is in another part of the archive");
    if (!read_extra(at + CENTRAL + name, extra, (uint64_t *const[]){&entry.size, &packed, &entry.local}))
        return fail_entry(r, RP_ERROR_FORMAT, entry.name, "its extra field is damaged; fetch the file again");
    if (packed != entry.size && !entry.refused)
        return fail_entry(r, RP_ERROR_FORMAT, entry.name, "its two sizes differ; fetch the file again");
    entry.size = packed; // what it takes in the archive
    rp_status status = read_local(r, d, &entry);
    if (status) return status;
    r->out->entries[r->out->count++] = entry;
    *room -= CENTRAL + name + extra + comment;
    return RP_OK;
}

static int compare_places(const void *a, const void *b) {
    const rp_zip_entry *x = a, *y = b;
    return x->local < y->local ? -1 : x->local > y->local;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const rp_zip_entry *)a)->name, ((const rp_zip_entry *)b)->name);
}

/* No byte belongs to two entries, and no name. */
static rp_status check_layout(const reader *r) {
    rp_zip *zip = r->out;
    if (!zip->count) return RP_OK;
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_places);
    for (size_t i = 1; i < zip->count; i++) {
        const rp_zip_entry *before = &zip->entries[i - 1];
        if ((uint64_t)(before->data - r->bytes) + before->size > zip->entries[i].local)
            return fail_entry(r, RP_ERROR_FORMAT, before->name,
                              "runs into the entry behind it; fetch the file again");
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, compare_names);
    for (size_t i = 1; i < zip->count; i++)
        if (!compare_names(&zip->entries[i - 1], &zip->entries[i]))
            return fail_entry(r, RP_ERROR_FORMAT, zip->entries[i].name,
                              "is there twice; fetch the file again");
    return RP_OK;
}

/* ---- the archive ---- */

rp_status rp_zip_open(const unsigned char *bytes, uint64_t size, const char *path, rp_zip *out,
                      rp_error *err) {
    *out = (rp_zip){0};
    reader r = {bytes, size, path, out, err};
    directory d = {0};
    rp_status status = find_directory(&r, &d);
    if (!status) {
        out->entries = rp_new_array(rp_zip_entry, d.entries);
        if (!out->entries) status = rp_fail_memory(err, rp_path_shown(path), d.entries);
    }
    uint64_t room = status ? 0 : d.size;
    for (uint64_t i = 0; !status && i < d.entries; i++)
        status = read_entry(&r, &d, bytes + d.at + d.size - room, &room);
    if (!status && room) status = fail(&r, "its directory is longer than its entries");
    if (!status) status = check_layout(&r);
    if (status) rp_zip_close(out);
    return status;
}

void rp_zip_close(rp_zip *zip) {
    free(zip->entries);
    rp_arena_finish(&zip->names);
    *zip = (rp_zip){0};
}

const rp_zip_entry *rp_zip_find(const rp_zip *zip, const char *name) {
    rp_zip_entry key = {.name = name};
    return zip->count ? bsearch(&key, zip->entries, zip->count, sizeof key, compare_names) : NULL;
}

bool rp_zip_is_intact(const rp_zip_entry *entry) {
    uint32_t table[256], crc = UINT32_MAX;
    if (!entry->crc) return true;
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320 : 0);
    }
    for (uint64_t i = 0; i < entry->size; i++) crc = crc >> 8 ^ table[(crc ^ entry->data[i]) & 255];
    return ~crc == entry->crc;
}
