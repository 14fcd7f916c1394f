#include "loader/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/json.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000, MAX_RANK = 64, SHOWN_NAME = 120 };

/* What the format knows. Only the first three can be read; the others may stand in a file unused. */
static const struct {
    const char *name;
    unsigned bytes;
} dtypes[] = {
    [RP_F32] = {"F32", 4},
    [RP_F16] = {"F16", 2},
    [RP_BF16] = {"BF16", 2},
    {"F64", 8},
    {"I64", 8},
    {"U64", 8},
    {"I32", 4},
    {"U32", 4},
    {"I16", 2},
    {"U16", 2},
    {"I8", 1},
    {"U8", 1},
    {"BOOL", 1},
    {"F8_E4M3", 1},
    {"F8_E5M2", 1},
};
enum { READABLE_DTYPES = 3 };

static size_t dtype_index(const char *name) {
    size_t i = 0;
    while (i < RP_COUNT(dtypes) && strcmp(name, dtypes[i].name)) i++;
    return i;
}

/* ---- the header ---- */

static rp_status fail_tensor(const rp_safetensors *file, const char *name, const char *field,
                             const char *what, rp_error *err) {
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %.*s: %s: %s; fetch the file again", rp_path_shown(file->path),
                   rp_text_fit(name, SHOWN_NAME), name, field, what);
}

/* True when `list` holds integers that are 0 or more. */
static bool is_natural_list(const json_t *list, size_t least, size_t most) {
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < least || n > most) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    }
    return true;
}

/* Bytes of a tensor of that shape; false when they do not fit into 64 bits. */
static bool shape_bytes(const json_t *shape, uint64_t element, uint64_t *bytes) {
    *bytes = element;
    for (size_t i = 0; i < json_array_size(shape); i++)
        if (__builtin_mul_overflow(*bytes, (uint64_t)json_integer_value(json_array_get(shape, i)), bytes))
            return false;
    return true;
}

static rp_status read_tensor(const rp_safetensors *file, const char *name, const json_t *entry,
                             rp_safetensor *out, rp_error *err) {
    const json_t *offsets = json_object_get(entry, "data_offsets");
    uint64_t room = file->size - (uint64_t)(file->data - file->bytes), bytes = 0;
    char what[120];
    *out = (rp_safetensor){.name = name,
                           .dtype = json_string_value(json_object_get(entry, "dtype")),
                           .shape = json_object_get(entry, "shape")};
    if (!out->dtype) return fail_tensor(file, name, "dtype", "must be a string", err);
    if (!is_natural_list(out->shape, 0, MAX_RANK))
        return fail_tensor(file, name, "shape", "must be a list of at most 64 integers, none negative", err);
    if (!is_natural_list(offsets, 2, 2))
        return fail_tensor(file, name, "data_offsets", "must be two integers, none negative", err);
    out->begin = (uint64_t)json_integer_value(json_array_get(offsets, 0));
    out->end = (uint64_t)json_integer_value(json_array_get(offsets, 1));
    if (out->begin > out->end || out->end > room) {
        snprintf(what, sizeof what, "%llu to %llu do not lie in the file's %llu bytes of data",
                 (unsigned long long)out->begin, (unsigned long long)out->end, (unsigned long long)room);
        return fail_tensor(file, name, "data_offsets", what, err);
    }
    size_t dtype = dtype_index(out->dtype);
    if (dtype == RP_COUNT(dtypes)) return RP_OK;
    if (!shape_bytes(out->shape, dtypes[dtype].bytes, &bytes))
        return fail_tensor(file, name, "shape", "more elements than 64 bits can count", err);
    if (bytes == out->end - out->begin) return RP_OK;
    snprintf(what, sizeof what, "%llu bytes, but its shape and dtype need %llu",
             (unsigned long long)(out->end - out->begin), (unsigned long long)bytes);
    return fail_tensor(file, name, "data_offsets", what, err);
}

static rp_status read_metadata(const rp_safetensors *file, const json_t *metadata, rp_error *err) {
    const char *key;
    json_t *value;
    bool good = json_is_object(metadata);
    json_object_foreach((json_t *)metadata, key, value) good = good && json_is_string(value);
    if (good) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: __metadata__: must be an object of strings; fetch the file again",
                   rp_path_shown(file->path));
}

static int compare_begins(const void *a, const void *b) {
    const rp_safetensor *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end; // an empty tensor comes before the one that begins there
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const rp_safetensor *)a)->name, ((const rp_safetensor *)b)->name);
}

/* The tensors must follow one another from the first byte of data to the last. */
static rp_status check_layout(rp_safetensors *file, rp_error *err) {
    uint64_t at = 0, room = file->size - (uint64_t)(file->data - file->bytes);
    char what[120];
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_begins);
    for (size_t i = 0; i < file->count; i++) {
        const rp_safetensor *t = &file->tensors[i];
        if (t->begin != at) {
            snprintf(what, sizeof what, "begins at byte %llu, %s", (unsigned long long)t->begin,
                     t->begin < at ? "inside the tensor before it" : "after a hole in the data");
            return fail_tensor(file, t->name, "data_offsets", what, err);
        }
        at = t->end;
    }
    if (at != room)
        return rp_fail(
            err, RP_ERROR_FORMAT,
            "%s: data_offsets: the tensors end at byte %llu, the file's data at %llu; fetch the file again",
            rp_path_shown(file->path), (unsigned long long)at, (unsigned long long)room);
    qsort(file->tensors, file->count, sizeof *file->tensors, compare_names);
    return RP_OK;
}

static rp_status read_header(rp_safetensors *file, rp_error *err) {
    const char *name;
    json_t *entry;
    if (!json_is_object(file->header))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: header: is %s, must be an object; fetch the file again",
                       rp_path_shown(file->path), rp_json_kind(file->header));
    size_t size = json_object_size(file->header);
    file->tensors = rp_new_array(rp_safetensor, size);
    if (!file->tensors) return rp_fail_memory(err, file->path, size * sizeof *file->tensors);
    json_object_foreach(file->header, name, entry) {
        rp_status status = RP_OK;
        if (!strcmp(name, "__metadata__"))
            status = read_metadata(file, entry, err);
        else if (!json_is_object(entry))
            status = fail_tensor(file, name, "header", "must be an object", err);
        else
            status = read_tensor(file, name, entry, &file->tensors[file->count++], err);
        if (status) return status;
    }
    return check_layout(file, err);
}

/* ---- the file ---- */

/* Check the length in front of the header, and set `data`. */
static rp_status check_length(rp_safetensors *file, rp_error *err) {
    static const char pointer[] = "version https://git-lfs";
    const char *path = rp_path_shown(file->path);
    uint64_t length = 0;
    if (file->size < LENGTH_BYTES)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: header length: cut, the file has %llu bytes; fetch it again", path,
                       (unsigned long long)file->size);
    if (file->size >= sizeof pointer && !memcmp(file->bytes, pointer, sizeof pointer - 1))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: a Git LFS pointer, not the weights; run `git lfs pull`",
                       path);
    for (int i = 0; i < LENGTH_BYTES; i++) length |= (uint64_t)file->bytes[i] << (8 * i);
    if (length > MAX_HEADER_BYTES || length > file->size - LENGTH_BYTES)
        return rp_fail(
            err, RP_ERROR_FORMAT,
            "%s: header length: %llu bytes, but the file has %llu and a header at most %d; fetch it again",
            path, (unsigned long long)length, (unsigned long long)file->size, MAX_HEADER_BYTES);
    file->data = file->bytes + LENGTH_BYTES + length;
    if (length > 0 && file->bytes[LENGTH_BYTES] == '{') return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: header: must begin with {; not a safetensors file, or a damaged one", path);
}

static rp_status map_file(rp_safetensors *file, rp_error *err) {
    int fd = -1;
    rp_status status = rp_file_open(file->path, &fd, &file->size, err);
    if (status) return status;
    void *bytes = NULL;
    struct stat info;
    if (!fstat(fd, &info)) file->mark = (rp_file_mark){info.st_dev, info.st_ino, info.st_mtim};
    if (file->size > SIZE_MAX)
        status = rp_fail_memory(err, file->path, file->size);
    else if (file->size > 0)
        bytes = mmap(NULL, (size_t)file->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        status = rp_fail(err, RP_ERROR_FILE, "%s: cannot be mapped into memory: %s",
                         rp_path_shown(file->path), strerror(errno));
    else
        file->bytes = bytes;
    close(fd);
    return status;
}

rp_status rp_safetensors_open(const char *path, rp_safetensors *out, rp_error *err) {
    *out = (rp_safetensors){.path = strdup(path)};
    if (!out->path) return rp_fail_memory(err, "a path", strlen(path) + 1);
    rp_status status = map_file(out, err);
    if (!status) status = check_length(out, err);
    if (!status) {
        const unsigned char *text = out->bytes + LENGTH_BYTES;
        status = rp_json_parse((const char *)text, (size_t)(out->data - text), path, &out->header, err);
    }
    if (!status) status = read_header(out, err);
    if (status) rp_safetensors_close(out);
    return status;
}

void rp_safetensors_rest(rp_safetensors *file) {
    json_decref(file->header);
    free(file->tensors);
    file->header = NULL;
    file->tensors = NULL;
    file->count = 0;
    if (file->bytes) madvise((void *)file->bytes, (size_t)file->size, MADV_DONTNEED);
}

rp_status rp_safetensors_check_unchanged(const rp_safetensors *file, rp_error *err) {
    struct stat info;
    const rp_file_mark *mark = &file->mark;
    if (stat(file->path, &info) || info.st_dev != mark->device || info.st_ino != mark->inode) return RP_OK;
    if ((uint64_t)info.st_size == file->size && info.st_mtim.tv_sec == mark->written.tv_sec &&
        info.st_mtim.tv_nsec == mark->written.tv_nsec)
        return RP_OK;
    return rp_fail(err, RP_ERROR_FILE,
                   "%s: the file was changed since the model was opened from it; close the model and open it "
                   "again",
                   rp_path_shown(file->path));
}

void rp_safetensors_close(rp_safetensors *file) {
    if (file->bytes) munmap((void *)file->bytes, (size_t)file->size);
    json_decref(file->header);
    free(file->tensors);
    free(file->path);
    *file = (rp_safetensors){0};
}

const rp_safetensor *rp_safetensors_find(const rp_safetensors *file, const char *name) {
    rp_safetensor key = {.name = name};
    return bsearch(&key, file->tensors, file->count, sizeof key, compare_names);
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

static void print_shape(const json_t *shape, char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "[");
    for (size_t i = 0; i < json_array_size(shape) && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? ", " : "",
                               (long long)json_integer_value(json_array_get(shape, i)));
    if (at < size) snprintf(out + at, size - at, "]");
}

static bool is_shape(const json_t *shape, uint32_t rank, uint32_t rows, uint32_t columns) {
    if (json_array_size(shape) != rank) return false;
    if (rank == 2 && json_integer_value(json_array_get(shape, 0)) != rows) return false;
    return json_integer_value(json_array_get(shape, rank - 1)) == columns;
}

rp_status rp_safetensors_view(const rp_safetensors *file, const rp_safetensor *t, uint32_t rank,
                              uint32_t rows, uint32_t columns, const char *reason, rp_tensor *out,
                              rp_error *err) {
    const char *path = rp_path_shown(file->path);
    size_t dtype = dtype_index(t->dtype), count = (size_t)rows * columns;
    *out = (rp_tensor){0};
    if (!is_shape(t->shape, rank, rows, columns)) {
        char found[80], wanted[32];
        print_shape(t->shape, found, sizeof found);
        if (rank == 2)
            snprintf(wanted, sizeof wanted, "[%u, %u]", rows, columns);
        else
            snprintf(wanted, sizeof wanted, "[%u]", columns);
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: shape is %s, config.json asks for %s (%s)", path,
                       t->name, found, wanted, reason);
    }
    if (dtype >= READABLE_DTYPES)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: %s: dtype \"%.*s\" is not supported; convert the weights to F32, F16 or BF16",
                       path, t->name, rp_text_fit(t->dtype, 32), t->dtype);
    const unsigned char *data = file->data + t->begin;
    size_t bad = first_infinite(data, (rp_dtype)dtype, count);
    if (bad < count)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: %s: element %zu is NaN or infinite; the weights are damaged", path, t->name, bad);
    *out =
        (rp_tensor){.data = data, .dtype = (rp_dtype)dtype, .rows = rank == 2 ? rows : 1, .columns = columns};
    return RP_OK;
}
