/* The files of a collection, and the documents in them. */
#define XXH_INLINE_ALL
#include "apps/passages.h"

#include <errno.h>
#include <stdio.h>
#include <xxhash.h>

#include "base/call.h"
#include "base/os.h"
#include "loader/json.h"
#include "loader/unicode.h"

enum { DEEPEST = 64, LONGEST_PATH = 4096 };

/* ---- listing ---- */

static rp_status fail_read(const char *path, int why, rp_error *err) {
    return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; name a folder or a file with documents",
                   rp_path_shown(path), strerror(why));
}

static rp_status add_file(rp_sources *s, char *path, size_t name, rp_error *err) {
    if (!rp_grow((void **)&s->files, &s->capacity, s->count + 1, sizeof *s->files)) {
        free(path);
        return rp_fail_memory(err, "the names of documents", s->count * sizeof *s->files);
    }
    s->files[s->count++] = (rp_source_file){path, name};
    return RP_OK;
}

static rp_status list_folder(const char *dir, size_t name, int depth, rp_sources *s, rp_error *err);

/* What `path`, which is taken over, is: a file, a folder, or of no interest. */
static rp_status list_entry(char *path, size_t name, int depth, rp_sources *s, rp_error *err) {
    rp_os_info info, link;
    if (!rp_os_lstat(path, &link) && link.kind == RP_OS_OTHER && rp_os_stat(path, &info)) {
        rp_log_say(&(rp_log){0}, RP_LOG_WARNING, "%s: this link leads nowhere (%s), and is passed over",
                   rp_path_shown(path), strerror(errno));
        free(path);
        return RP_OK;
    }
    if (rp_os_stat(path, &info) || rp_os_lstat(path, &link)) {
        rp_status status = fail_read(path, errno, err);
        free(path);
        return status;
    }
    if (info.kind == RP_OS_FILE) return add_file(s, path, name, err);
    rp_status status = RP_OK;
    if (link.kind == RP_OS_FOLDER) status = list_folder(path, name, depth + 1, s, err);
    free(path);
    return status;
}

static rp_status list_folder(const char *dir, size_t name, int depth, rp_sources *s, rp_error *err) {
    if (depth > DEEPEST || strlen(dir) > LONGEST_PATH)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: folders lie more than %d deep in each other",
                       rp_path_shown(dir), DEEPEST);
    rp_os_list *open = rp_os_list_open(dir);
    if (!open) return fail_read(dir, errno, err);
    rp_status status = RP_OK;
    for (const char *entry; !status && (errno = 0, entry = rp_os_list_next(open));) {
        if (entry[0] == '.') continue;
        char *path = rp_path_join(dir, entry);
        status = path ? list_entry(path, name, depth, s, err) : rp_fail_memory(err, "a path", strlen(dir));
    }
    if (!status && errno) status = fail_read(dir, errno, err);
    rp_os_list_close(open);
    return status;
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const rp_source_file *)left)->path, ((const rp_source_file *)right)->path);
}

/* The files that the library itself writes: the index, and the vectors beside it. */
typedef struct own_files {
    rp_os_info files[2];
    size_t count;
} own_files;

static void find_own(const char *index, own_files *own) {
    static const char *const ends[] = {"", ".vectors"};
    char path[LONGEST_PATH + 16];
    own->count = 0;
    for (size_t i = 0; index && i < RP_COUNT(ends); i++) {
        int size = snprintf(path, sizeof path, "%s%s", index, ends[i]);
        if (size >= 0 && size < (int)sizeof path && !rp_os_stat(path, &own->files[own->count])) own->count++;
    }
}

static bool is_own(const own_files *own, const rp_os_info *file) {
    for (size_t i = 0; i < own->count; i++)
        if (own->files[i].device == file->device && own->files[i].inode == file->inode) return true;
    return false;
}

/* Files of `own` are left out. */
static rp_status hash_sources(rp_sources *s, const own_files *own, rp_error *err) {
    const size_t listed = s->count;
    rp_status status = RP_OK;
    s->count = 0;
    for (size_t i = 0; i < listed; i++) {
        rp_os_info info;
        const rp_source_file file = s->files[i];
        const char *path = file.path;
        if (!status && rp_os_stat(path, &info)) status = fail_read(path, errno, err);
        if (status || is_own(own, &info)) {
            free(file.path);
            continue;
        }
        s->files[s->count++] = file;
        const uint64_t numbers[] = {(uint64_t)info.size, (uint64_t)info.seconds, (uint64_t)info.nanoseconds};
        s->hash = XXH64(path + s->files[i].name, strlen(path + s->files[i].name), s->hash);
        s->hash = XXH64(numbers, sizeof numbers, s->hash);
    }
    return status;
}

rp_status rp_sources_list(const char *path, const char *index, rp_sources *sources, rp_error *err) {
    rp_os_info info;
    own_files own;
    *sources = (rp_sources){0};
    if (rp_os_stat(path, &info)) return fail_read(path, errno, err);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    char *copy = rp_new_array(char, length + 1);
    if (!copy) return rp_fail_memory(err, "a path", length);
    memcpy(copy, path, length);
    const char *slash = strrchr(copy, '/');
    rp_status status;
    if (info.kind == RP_OS_FOLDER) {
        status = list_folder(copy, length + (slash != copy || length > 1), 0, sources, err);
        free(copy);
    } else {
        status = add_file(sources, copy, slash ? (size_t)(slash + 1 - copy) : 0, err);
    }
    if (sources->count) qsort(sources->files, sources->count, sizeof *sources->files, by_name);
    find_own(info.kind == RP_OS_FOLDER ? index : NULL, &own);
    if (!status) status = hash_sources(sources, &own, err);
    if (!status && !sources->count)
        status = rp_fail(err, RP_ERROR_FILE, "%s: holds no file; name a folder with text files",
                         rp_path_shown(path));
    if (status) rp_sources_finish(sources);
    return status;
}

void rp_sources_finish(rp_sources *sources) {
    for (size_t i = 0; i < sources->count; i++) free(sources->files[i].path);
    free(sources->files);
    *sources = (rp_sources){0};
}

/* ---- reading ---- */

/* A document that is the whole file. */
static rp_status read_text(int fd, uint64_t size, const rp_source_file *file, rp_source_take take, void *user,
                           rp_error *err) {
    const char *shown = rp_path_shown(file->path), *name = file->path + file->name;
    char *text = size < SIZE_MAX ? malloc((size_t)size + 1) : NULL;
    rp_status status = text ? RP_OK : rp_fail_memory(err, shown, size);
    size_t held = 0;
    while (!status && held < size) {
        ssize_t got = rp_os_read(fd, text + held, (size_t)size - held);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = fail_read(file->path, errno, err);
        if (got <= 0) break;
        held += (size_t)got;
        if (!status) status = rp_call_check(err);
    }
    size_t bom = held >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    size_t good = status ? 0 : rp_utf8_check(text, held);
    if (!status && good < held)
        status = rp_fail(err, RP_ERROR_FORMAT,
                         "%s: byte %zu is not UTF-8; documents are texts: convert it or take it away", shown,
                         good);
    if (!status && !bom) status = take(user, name, strlen(name), text, held, err);
    if (!status && bom) status = take(user, name, strlen(name), text + bom, held - bom, err);
    free(text);
    return status;
}

/* The name of a document: its id or, without one, that of the file and the line. */
static size_t name_line(const rp_source_file *file, uint64_t line, const rp_json *id, char *out,
                        size_t room) {
    int size;
    if (rp_json_is(id, RP_JSON_INTEGER))
        size = snprintf(out, room, "%lld", (long long)id->integer);
    else
        size = snprintf(out, room, "%s:%llu", file->path + file->name, (unsigned long long)line);
    return size < 0 ? 0 : (size_t)size < room ? (size_t)size : room - 1;
}

static rp_status take_line(const rp_source_file *file, uint64_t line, const char *data, size_t size,
                           rp_source_take take, void *user, rp_error *err) {
    const rp_json_flags flags = {.large = true, .words = true};
    rp_json_document document = {0};
    rp_json_mistake mistake = {0};
    const char *shown = rp_path_shown(file->path);
    char name[LONGEST_PATH];
    if (!rp_json_read(data, size, flags, &document, &mistake))
        return mistake.memory ? rp_fail_memory(err, shown, size)
                              : rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: %s", shown,
                                        (unsigned long long)line, mistake.text);
    const rp_json *text = rp_json_get(&document.root, "text"), *id = rp_json_get(&document.root, "id");
    bool named = rp_json_is(id, RP_JSON_STRING);
    rp_status status;
    if (!rp_json_is(text, RP_JSON_STRING)) {
        status = rp_fail(err, RP_ERROR_FORMAT,
                         "%s: line %llu: \"text\" is %s; a document is {\"text\": \"...\", \"id\": \"...\"}",
                         shown, (unsigned long long)line, text ? rp_json_kind(text) : "missing");
    } else if (id && !named && id->type != RP_JSON_NULL && id->type != RP_JSON_INTEGER) {
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: \"id\" is %s, must be a string or a number",
                         shown, (unsigned long long)line, rp_json_kind(id));
    } else {
        size_t length = named ? id->count : name_line(file, line, id, name, sizeof name);
        status = take(user, named ? id->text : name, length, text->text, text->count, err);
    }
    rp_json_finish(&document);
    return status;
}

static rp_status read_lines(int fd, const rp_source_file *file, rp_source_take take, void *user,
                            rp_error *err) {
    FILE *open = fdopen(rp_os_duplicate(fd), "rb");
    char *line = NULL;
    size_t room = 0;
    uint64_t number = 0;
    rp_status status = open ? RP_OK : rp_fail_memory(err, rp_path_shown(file->path), BUFSIZ);
    for (ssize_t size; !status && (errno = 0, size = rp_os_getline(&line, &room, open)) >= 0;) {
        number++;
        while (size && strchr(" \t\r\n", line[size - 1]) && line[size - 1]) size--;
        size_t bom = number == 1 && size >= 3 && !memcmp(line, "\xef\xbb\xbf", 3) ? 3 : 0;
        if ((size_t)size > bom)
            status = take_line(file, number, line + bom, (size_t)size - bom, take, user, err);
        if (!status) status = rp_call_check(err);
    }
    if (!status && errno == ENOMEM) status = rp_fail_memory(err, rp_path_shown(file->path), room);
    if (!status && ferror(open)) status = fail_read(file->path, errno, err);
    if (open) fclose(open);
    free(line);
    return status;
}

rp_status rp_sources_read(const rp_sources *sources, size_t i, rp_source_take take, void *user,
                          rp_error *err) {
    const rp_source_file *file = &sources->files[i];
    size_t length = strlen(file->path);
    bool lines = length > 6 && !strcmp(file->path + length - 6, ".jsonl");
    uint64_t size = 0;
    int fd = -1;
    rp_status status = rp_file_open(file->path, &fd, &size, err);
    if (status) return status;
    status = lines ? read_lines(fd, file, take, user, err) : read_text(fd, size, file, take, user, err);
    rp_os_close(fd);
    return status;
}
