#include "loader/model_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "loader/unicode.h"

enum { MAX_NAME = 1024, SHOWN_PATH = 200 };

char *rp_path_join(const char *dir, const char *name) {
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = malloc(size);
    if (path) snprintf(path, size, "%s%s%s", dir, dir[0] && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    return path;
}

const char *rp_path_shown(const char *path) {
    size_t size = strlen(path);
    if (size <= SHOWN_PATH) return path;
    const char *end = path + size - SHOWN_PATH;
    while ((*end & 0xC0) == 0x80) end++; // begin with a whole character
    return end;
}

static _Thread_local const rp_records *used;

void rp_records_use(const rp_records *records) {
    used = records;
}

bool rp_records_used(void) {
    return used;
}

/* ---- checking records ---- */

/* Parts that are neither empty nor "." nor "..", of printable UTF-8. */
static bool is_name(const char *name) {
    size_t size = strnlen(name, MAX_NAME + 1), begin = 0;
    if (!size || size > MAX_NAME || rp_utf8_check(name, size) < size) return false;
    for (size_t i = 0; i <= size; i++) {
        if (i < size && ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == '\\')) return false;
        if (i < size && name[i] != '/') continue;
        size_t part = i - begin;
        if (!part || (name[begin] == '.' && (part == 1 || (part == 2 && name[begin + 1] == '.'))))
            return false;
        begin = i + 1;
    }
    return true;
}

/* What is wrong with where the bytes are said to be; NULL: nothing. */
static const char *find_fault(const rp_record *r) {
    rp_os_info info;
    if (r->flags || r->reserved[0] || r->reserved[1])
        return "flags or reserved is not zero; zero the whole struct before you set its fields";
    if (r->memory && r->offset) return "it has memory, so its offset must be 0";
    if (r->memory && r->size > UINTPTR_MAX - (uintptr_t)r->memory) return "its size is larger than memory is";
    if (r->memory || !r->size) return NULL;
    if (rp_os_fstat(r->descriptor, &info)) return "it has neither memory nor an open descriptor";
    if (info.kind != RP_OS_FILE) return "its descriptor is of no regular file; pass what it holds as memory";
    if (r->offset > info.size || r->size > info.size - r->offset)
        return "its offset and size reach beyond the end of the descriptor's file";
    char first;
    if (rp_os_pread(r->descriptor, &first, 1, r->offset) < 0) return "its descriptor is not open for reading";
    return NULL;
}

static int compare(const void *a, const void *b) {
    return strcmp((*(const rp_record *const *)a)->name, (*(const rp_record *const *)b)->name);
}

rp_status rp_records_check(const rp_record *records, size_t count, const char *function, rp_records *out,
                           rp_error *err) {
    *out = (rp_records){0};
    if (!records && count) return rp_fail(err, RP_ERROR_ARGUMENT, "%s: records is NULL", function);
    const rp_record **sorted = rp_new_array(const rp_record *, count);
    if (!sorted) return rp_fail_memory(err, "a list of records", (unsigned long long)count * sizeof *sorted);
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < count; i++) {
        const char *name = records[i].name;
        sorted[i] = &records[i];
        bool good = name && is_name(name);
        const char *fault = good ? find_fault(&records[i]) : NULL;
        if (!good)
            status =
                rp_fail(err, RP_ERROR_ARGUMENT,
                        "%s: records[%zu].name must be the path of a file in a folder, such as "
                        "\"config.json\", of at most %d bytes of UTF-8, without \"..\", \"\\\" or a \"/\" "
                        "at its ends",
                        function, i, MAX_NAME);
        else if (fault)
            status =
                rp_fail(err, RP_ERROR_ARGUMENT, "%s: record %s: %s", function, rp_path_shown(name), fault);
    }
    if (!status && count) qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; !status && i < count; i++)
        if (!compare(&sorted[i - 1], &sorted[i]))
            status = rp_fail(err, RP_ERROR_ARGUMENT, "%s: record %s: is there twice; leave one of them out",
                             function, rp_path_shown(sorted[i]->name));
    if (status)
        free(sorted);
    else
        *out = (rp_records){sorted, count};
    return status;
}

/* ---- finding records ---- */

/* Where `path` is in RP_RECORDS_DIR and this thread reads from records: copy the rest of it, as the name of a
 * record would be, to `name`; "" is the folder itself. */
static bool in_records(const char *path, char name[MAX_NAME + 1]) {
    size_t folder = sizeof RP_RECORDS_DIR - 1, at = 0;
    if (!used || strncmp(path, RP_RECORDS_DIR, folder) || (path[folder] && path[folder] != '/')) return false;
    for (const char *part = path + folder; *part;) {
        size_t size = strcspn(part, "/");
        bool none = !size || (size == 1 && *part == '.');
        if (!none && at + size + 1 <= MAX_NAME) {
            if (at) name[at++] = '/';
            memcpy(name + at, part, size);
            at += size;
        } else if (!none) {
            at = 0;
            name[at++] = '/'; /* longer than any */
        }
        part += size + (part[size] == '/');
    }
    name[at] = '\0';
    return true;
}

static const rp_record *find(const char *name) {
    const rp_record key = {.name = name}, *at = &key;
    const rp_record **found =
        used->count ? bsearch(&at, used->sorted, used->count, sizeof *used->sorted, compare) : NULL;
    return found ? *found : NULL;
}

/* Behind "`folder`/", what is left of the name of a record; NULL: it is not in that folder. */
static const char *below(const char *folder, const char *name) {
    size_t size = strlen(folder);
    if (!size) return name;
    return !strncmp(name, folder, size) && name[size] == '/' ? name + size + 1 : NULL;
}

static bool has_records(const char *folder) {
    bool found = !*folder;
    for (size_t i = 0; !found && i < used->count; i++) found = below(folder, used->sorted[i]->name);
    return found;
}

/* ---- files ---- */

bool rp_path_exists(const char *path) {
    char name[MAX_NAME + 1];
    rp_os_info info;
    if (in_records(path, name)) return has_records(name) || find(name);
    return rp_os_stat(path, &info) == 0;
}

rp_status rp_check_output(const char *out, const char *const *inputs, size_t count, rp_error *err) {
    rp_os_info written, read;
    if (!out || rp_os_stat(out, &written) || written.kind != RP_OS_FILE) return RP_OK;
    for (size_t i = 0; i < count; i++)
        if (inputs[i] && !rp_os_stat(inputs[i], &read) && read.device == written.device &&
            read.inode == written.inode)
            return rp_fail(err, RP_ERROR_ARGUMENT,
                           "%s: is read, and would be written over; name another file to write",
                           rp_path_shown(out));
    return RP_OK;
}

rp_status rp_folder_check(const char *dir, rp_error *err) {
    char name[MAX_NAME + 1];
    rp_os_info info;
    if (!dir) return rp_fail(err, RP_ERROR_ARGUMENT, "the model's folder is NULL; pass a path");
    if (!*dir) return rp_fail(err, RP_ERROR_FILE, "the path of the model's folder is empty; name a folder");
    bool record = in_records(dir, name);
    if (record && has_records(name)) return RP_OK;
    if (record) errno = ENOENT;
    if (record || rp_os_stat(dir, &info) != 0)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot open the folder: %s; check the path",
                       rp_path_shown(dir), strerror(errno));
    if (info.kind != RP_OS_FOLDER)
        return rp_fail(err, RP_ERROR_FILE,
                       "%s: not a folder; name the folder that holds config.json and the weights",
                       rp_path_shown(dir));
    return RP_OK;
}

rp_status rp_file_open(const char *path, int *fd, uint64_t *size, rp_error *err) {
    rp_os_info info;
    *fd = rp_os_open(path, RP_OS_READ | RP_OS_NOWAIT);
    if (*fd < 0) {
        int why = errno;
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot open the file: %s; check %s", rp_path_shown(path),
                       strerror(why),
                       why == ENOENT ? "the path, and that its folder is complete" : "its permissions");
    }
    if (rp_os_fstat(*fd, &info) == 0 && info.kind == RP_OS_FILE) {
        *size = info.size;
        return RP_OK;
    }
    rp_os_close(*fd);
    *fd = -1;
    return rp_fail(err, RP_ERROR_FILE, "%s: not a regular file; name a file, or put one there",
                   rp_path_shown(path));
}

rp_status rp_model_file_open(const char *path, rp_model_file *out, rp_error *err) {
    char name[MAX_NAME + 1];
    *out = (rp_model_file){.fd = -1};
    if (!in_records(path, name)) return rp_file_open(path, &out->fd, &out->size, err);
    const rp_record *r = find(name);
    if (!r)
        return rp_fail(err, RP_ERROR_FILE, "%s: there is no such record; pass that file too",
                       rp_path_shown(path));
    *out = (rp_model_file){r->memory, r->memory || !r->size ? -1 : r->descriptor, true, r->offset, r->size};
    return RP_OK;
}

void rp_model_file_close(rp_model_file *source) {
    if (source->fd >= 0 && !source->borrowed) rp_os_close(source->fd);
    *source = (rp_model_file){.fd = -1};
}

bool rp_model_file_read(const rp_model_file *source, uint64_t at, void *to, size_t size) {
    if (at > source->size || size > source->size - at) return false;
    if (source->memory && size) memcpy(to, source->memory + at, size);
    for (size_t done = 0; !source->memory && done < size;) {
        ssize_t got = rp_os_pread(source->fd, (char *)to + done, size - done, source->offset + at + done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

rp_status rp_model_file_load(const char *path, uint64_t most, char **data, size_t *size, rp_error *err) {
    rp_model_file source;
    *data = NULL;
    *size = 0;
    rp_status status = rp_model_file_open(path, &source, err);
    if (status) return status;
    if (source.size > most)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: %llu bytes, more than any real file of this kind has",
                         rp_path_shown(path), (unsigned long long)source.size);
    else if (!(*data = malloc((size_t)source.size + 1)))
        status = rp_fail_memory(err, rp_path_shown(path), source.size);
    else if (!rp_model_file_read(&source, 0, *data, (size_t)source.size))
        status =
            rp_fail(err, RP_ERROR_FILE, "%s: cannot be read to the end; check the disk", rp_path_shown(path));
    if (!status) {
        (*data)[source.size] = '\0';
        *size = (size_t)source.size;
    } else {
        free(*data);
        *data = NULL;
    }
    rp_model_file_close(&source);
    return status;
}

/* ---- folders ---- */

/* Records of one folder follow one another: its name is told once. */
static rp_status list_records(const char *dir, rp_model_folder_take *take, void *context, rp_error *err) {
    char name[MAX_NAME + 1] = "";
    rp_status status = RP_OK;
    for (size_t i = 0; !status && i < used->count; i++) {
        const char *rest = below(dir, used->sorted[i]->name);
        size_t size = rest ? strcspn(rest, "/") : 0;
        if (!size || (!strncmp(name, rest, size) && !name[size])) continue;
        memcpy(name, rest, size);
        name[size] = '\0';
        status = take(context, name, err);
    }
    return status;
}

rp_status rp_model_folder_list(const char *dir, rp_model_folder_take *take, void *context, rp_error *err) {
    char name[MAX_NAME + 1];
    if (in_records(dir, name)) return list_records(name, take, context, err);
    rp_os_list *folder = rp_os_list_open(dir);
    if (!folder && (errno == ENOENT || errno == ENOTDIR)) return RP_OK;
    if (!folder && errno == ENOMEM) return rp_fail_memory(err, "a list of files", 0);
    if (!folder)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot read the folder: %s; check its permissions",
                       rp_path_shown(dir), strerror(errno));
    rp_status status = RP_OK;
    for (const char *item; !status && (item = rp_os_list_next(folder));) status = take(context, item, err);
    rp_os_list_close(folder);
    return status;
}
