#include "loader/tensor_file.h"

#include <errno.h>
#include <stdio.h>

#include "base/os.h"
#include "loader/crc32c.h"
#include "loader/json.h"

enum { SHOWN_NAME = 120, FREE_COPIES = 64 << 20, COPIES_PER_BYTE = 4 };

static const struct {
    size_t size;
    rp_dtype dtype; /* of a view */
} elements[] = {
    [RP_ELEMENT_OTHER] = {0, RP_F32}, [RP_ELEMENT_F32] = {4, RP_F32}, [RP_ELEMENT_F16] = {2, RP_F16},
    [RP_ELEMENT_BF16] = {2, RP_BF16}, [RP_ELEMENT_F64] = {8, RP_F32},
};

/* Bytes of one element; 0 for RP_ELEMENT_OTHER. */
static size_t size_of(rp_element element) {
    return elements[element].size;
}

/* ---- the file ---- */

static bool is_marked(const rp_tensor_file *file, const rp_os_info *info) {
    const rp_file_mark *mark = &file->mark;
    return info->device == mark->device && info->inode == mark->inode && info->size == mark->bytes &&
           info->seconds == mark->seconds && info->nanoseconds == mark->nanoseconds;
}

bool rp_tensor_file_is_marked(const rp_tensor_file *file, int fd) {
    rp_os_info info;
    return !rp_os_fstat(fd, &info) && is_marked(file, &info);
}

static rp_status map_file(rp_tensor_file *file, const rp_model_file *source, rp_error *err) {
    rp_os_info info;
    if (!rp_os_fstat(source->fd, &info))
        file->mark = (rp_file_mark){info.device, info.inode, info.size, info.seconds, info.nanoseconds};
    if (source->size > SIZE_MAX)
        return rp_fail(
            err, RP_ERROR_UNSUPPORTED,
            "%s: the file has %llu bytes, and a 32-bit program has no room for more than %llu; use a "
            "64-bit build of the library",
            rp_path_shown(file->path), (unsigned long long)source->size, (unsigned long long)SIZE_MAX);
    if (source->size) file->bytes = rp_os_map(source->fd, source->offset, (size_t)source->size);
    if (!source->size || file->bytes) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE, "%s: cannot be mapped into memory: %s", rp_path_shown(file->path),
                   strerror(errno));
}

/* Keep what the file is read from again. The caller may close the descriptor of a record. */
static rp_status keep_record(rp_tensor_file *file, rp_model_file source, rp_error *err) {
    file->source = source;
    file->source.fd = source.fd >= 0 ? rp_os_duplicate(source.fd) : 0;
    if (file->source.fd >= 0) return RP_OK;
    return rp_fail(err, RP_ERROR_FILE, "%s: its descriptor cannot be duplicated: %s",
                   rp_path_shown(file->path), strerror(errno));
}

rp_status rp_tensor_file_map(const char *path, rp_tensor_file *out, rp_error *err) {
    rp_model_file source;
    *out = (rp_tensor_file){.path = strdup(path)};
    if (!out->path) return rp_fail_memory(err, "a path", strlen(path) + 1);
    rp_status status = rp_model_file_open(path, &source, err);
    if (status) return status;
    out->size = source.size;
    if (source.fd >= 0) status = map_file(out, &source, err);
    if (!status && source.borrowed) status = keep_record(out, source, err);
    if (source.memory) out->bytes = source.memory;
    rp_model_file_close(&source);
    return status;
}

static bool is_mapped(const rp_tensor_file *file) {
    return file->bytes && file->bytes != file->source.memory;
}

static bool begins(const rp_tensor_file *file, uint64_t at, const char *text) {
    size_t size = strlen(text);
    return file->size - at >= size && !memcmp(file->bytes + at, text, size);
}

rp_status rp_tensor_file_check_kind(const rp_tensor_file *file, rp_error *err) {
    const char *path = rp_path_shown(file->path);
    uint64_t at = 0;
    if (!file->size) return rp_fail(err, RP_ERROR_FORMAT, "%s: the file is empty; fetch it again", path);
    if (begins(file, 0, "version https://git-lfs"))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: a Git LFS pointer, not the weights; run `git lfs pull`",
                       path);
    while (at < file->size && at < 64 && strchr(" \t\r\n", file->bytes[at]) && file->bytes[at]) at++;
    if (begins(file, at, "<!") || begins(file, at, "<html") || begins(file, at, "<HTML") ||
        begins(file, at, "<?xml"))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: a web page, not the weights; fetch the file itself, by its download link", path);
    return RP_OK;
}

void rp_tensor_file_rest(rp_tensor_file *file) {
    free(file->entries);
    rp_arena_finish(&file->arena);
    file->entries = NULL;
    file->count = file->capacity = 0;
    if (is_mapped(file)) rp_os_map_rest(file->bytes, (size_t)file->size);
}

rp_status rp_tensor_file_check_unchanged(const rp_tensor_file *file, rp_error *err) {
    rp_os_info info;
    bool record = file->source.fd > 0;
    if (file->source.memory ||
        (record ? rp_os_fstat(file->source.fd, &info) : rp_os_stat(file->path, &info)) ||
        info.device != file->mark.device || info.inode != file->mark.inode || is_marked(file, &info))
        return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: the file was changed since the model was opened from it; close the model and open it "
                   "again",
                   rp_path_shown(file->path));
}

void rp_tensor_file_close(rp_tensor_file *file) {
    if (is_mapped(file)) rp_os_unmap(file->bytes, (size_t)file->size);
    if (file->source.fd > 0) rp_os_close(file->source.fd);
    free(file->entries);
    rp_arena_finish(&file->arena);
    rp_arena_finish(&file->copies);
    free(file->path);
    *file = (rp_tensor_file){0};
}

/* ---- entries ---- */

rp_tensor_entry *rp_tensor_file_add(rp_tensor_file *file, const char *name, size_t name_size, uint32_t rank,
                                    bool strided) {
    if (!rp_grow((void **)&file->entries, &file->capacity, file->count + 1, sizeof *file->entries))
        return NULL;
    rp_tensor_entry entry = {.name = rp_arena_copy(&file->arena, name, name_size),
                             .rank = rank,
                             .dims = rp_arena_alloc(&file->arena, rank, sizeof *entry.dims)};
    if (strided) entry.strides = rp_arena_alloc(&file->arena, rank, sizeof *entry.strides);
    if (!entry.name || !entry.dims || (strided && !entry.strides)) return NULL;
    file->entries[file->count] = entry;
    return &file->entries[file->count++];
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const rp_tensor_entry *)a)->name, ((const rp_tensor_entry *)b)->name);
}

rp_status rp_tensor_file_sort(rp_tensor_file *file, rp_error *err) {
    if (file->count) qsort(file->entries, file->count, sizeof *file->entries, compare_names);
    for (size_t i = 1; i < file->count; i++)
        if (!compare_names(&file->entries[i - 1], &file->entries[i]))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: %.*s: the tensor is there twice; fetch the file again",
                           rp_path_shown(file->path), rp_text_fit(file->entries[i].name, SHOWN_NAME),
                           file->entries[i].name);
    return RP_OK;
}

rp_tensor_entry *rp_tensor_file_find(const rp_tensor_file *file, const char *name) {
    rp_tensor_entry key = {.name = name};
    if (!file->count) return NULL;
    return bsearch(&key, file->entries, file->count, sizeof key, compare_names);
}

/* ---- views ---- */

/* The first element of `count` whose exponent is all ones (NaN or infinity), or `count`. */
static size_t first_infinite(const unsigned char *data, rp_dtype dtype, size_t count) {
    enum { CHUNK = 4096 };
    uint32_t mask = dtype == RP_F32 ? 0x7F800000 : dtype == RP_F16 ? 0x7C00 : 0x7F80;
    size_t element = dtype == RP_F32 ? 4 : 2;
    for (size_t start = 0; start < count; start += CHUNK) {
        size_t end = count - start < CHUNK ? count : start + CHUNK;
        uint32_t found = 0; // no early exit within a chunk, so that the loops become vector code
        if (element == 4) {
            for (size_t i = start; i < end; i++) {
                uint32_t bits;
                memcpy(&bits, data + 4 * i, 4);
                found |= (bits & mask) == mask;
            }
        } else {
            for (size_t i = start; i < end; i++) {
                uint16_t bits;
                memcpy(&bits, data + 2 * i, 2);
                found |= (bits & mask) == mask;
            }
        }
        for (size_t i = start; found && i < end; i++) {
            uint32_t bits = 0;
            memcpy(&bits, data + element * i, element);
            if ((bits & mask) == mask) return i;
        }
    }
    return count;
}

static void print_shape(const rp_tensor_entry *entry, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < entry->rank && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%llu", i ? ", " : "",
                               (unsigned long long)entry->dims[i]);
    if (at < size) snprintf(out + at, size - at, "]");
}

static bool is_shape(const rp_tensor_entry *entry, uint32_t rank, uint32_t rows, uint32_t columns) {
    if (entry->rank != rank) return false;
    if (rank == 2 && entry->dims[0] != rows) return false;
    return entry->dims[rank - 1] == columns;
}

/* `count` elements that are `step` bytes apart, to `to`: in the order of this machine's bytes, F64 as F32. */
static void copy_row(rp_element element, bool swapped, const unsigned char *from, uint64_t step, size_t count,
                     unsigned char *to) {
    uint16_t half;
    uint32_t word;
    uint64_t wide;
    for (size_t i = 0; i < count && size_of(element) == 2; i++, from += step, to += 2) {
        memcpy(&half, from, 2);
        if (swapped) half = __builtin_bswap16(half);
        memcpy(to, &half, 2);
    }
    for (size_t i = 0; i < count && element == RP_ELEMENT_F32; i++, from += step, to += 4) {
        memcpy(&word, from, 4);
        if (swapped) word = __builtin_bswap32(word);
        memcpy(to, &word, 4);
    }
    for (size_t i = 0; i < count && element == RP_ELEMENT_F64; i++, from += step, to += 4) {
        double value;
        memcpy(&wide, from, 8);
        if (swapped) wide = __builtin_bswap64(wide);
        memcpy(&value, &wide, 8);
        float narrow = (float)value; // infinite where no F32 is that large: the view then says so
        memcpy(to, &narrow, 4);
    }
}

/* A matrix whose rows and columns are `down` and `across` bytes apart, to `to`. */
static void copy_matrix(const rp_tensor_entry *entry, size_t rows, size_t columns, uint64_t down,
                        uint64_t across, unsigned char *to) {
    enum { TILE = 64 }; // of both, so that a transposed matrix does not leave the cache
    size_t width = elements[entry->element].dtype == RP_F32 ? 4 : 2;
    for (size_t r0 = 0; r0 < rows; r0 += TILE)
        for (size_t c = 0; c < columns; c += TILE)
            for (size_t r = r0; r < rows && r < r0 + TILE; r++)
                copy_row(entry->element, entry->swapped, entry->data + r * down + c * across, across,
                         columns - c < TILE ? columns - c : TILE, to + (r * columns + c) * width);
}

/* Make the entry one that can be viewed: row-major, of one of the types of rp_dtype. */
static rp_status copy_tensor(rp_tensor_file *file, rp_tensor_entry *entry, size_t rows, size_t columns,
                             rp_error *err) {
    rp_dtype dtype = elements[entry->element].dtype;
    size_t element = size_of(entry->element), width = dtype == RP_F32 ? 4 : 2, bytes;
    uint64_t across = entry->strides ? entry->strides[entry->rank - 1] : 1;
    uint64_t down = entry->rank == 1 ? 0 : entry->strides ? entry->strides[0] : columns;
    bool fits = !__builtin_mul_overflow((uint64_t)rows * columns, width, &bytes);
    // a tensor that repeats its elements may be far larger than its file
    if (!fits || bytes > FREE_COPIES + COPIES_PER_BYTE * file->size - file->copied)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: %.*s: tensors that repeat their elements take far more memory than the file; "
                       "save them with contiguous()",
                       rp_path_shown(file->path), rp_text_fit(entry->name, SHOWN_NAME), entry->name);
    unsigned char *copy = rp_arena_alloc(&file->copies, bytes, 1);
    if (!copy) return rp_fail_memory(err, rp_path_shown(file->path), bytes);
    file->copied += bytes;
    copy_matrix(entry, rows, columns, down * element, across * element, copy);
    entry->data = copy;
    entry->element = dtype == RP_F32 ? RP_ELEMENT_F32 : entry->element;
    entry->strides = NULL;
    entry->swapped = false;
    return RP_OK;
}

rp_status rp_tensor_file_view(rp_tensor_file *file, rp_tensor_entry *entry, uint32_t rank, uint32_t rows,
                              uint32_t columns, const char *reason, rp_tensor *out, rp_error *err) {
    const char *path = rp_path_shown(file->path), *name = entry->name;
    int fit = rp_text_fit(name, SHOWN_NAME);
    *out = (rp_tensor){0};
    if (!is_shape(entry, rank, rows, columns)) {
        char found[80], wanted[32];
        print_shape(entry, found, sizeof found);
        if (rank == 2)
            snprintf(wanted, sizeof wanted, "[%u, %u]", rows, columns);
        else
            snprintf(wanted, sizeof wanted, "[%u]", columns);
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %.*s: shape is %s, config.json asks for %s (%s)", path, fit,
                       name, found, wanted, reason);
    }
    if (entry->element == RP_ELEMENT_OTHER)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: %.*s: dtype \"%.*s\" is not supported; convert the weights to F32, F16 or BF16",
                       path, fit, name, rp_text_fit(entry->dtype, 32), entry->dtype);
    if (entry->summed && rp_crc32c(entry->data, (size_t)entry->bytes) != entry->checksum)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: %.*s: the data is damaged, as its checksum says; fetch the file again", path, fit,
                       name);
    entry->summed = false;
    if (rank == 1) rows = 1;
    if (entry->strides || entry->swapped || entry->element == RP_ELEMENT_F64) {
        rp_status status = copy_tensor(file, entry, rows, columns, err);
        if (status) return status;
    }
    rp_dtype dtype = elements[entry->element].dtype;
    size_t count = (size_t)rows * columns, bad = first_infinite(entry->data, dtype, count);
    if (bad < count)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: %.*s: element %zu is NaN or infinite; the weights are damaged", path, fit, name,
                       bad);
    *out = (rp_tensor){.data = entry->data, .dtype = dtype, .rows = rows, .columns = columns};
    return RP_OK;
}
