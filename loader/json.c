#include "loader/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

enum { SHOWN_PATH = 200, SHOWN_KEY = 80, MAX_JSON_BYTES = 64 << 20 };

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

int rp_text_fit(const char *text, int most) {
    int size = (int)strnlen(text, (size_t)most + 1);
    if (size <= most) return size;
    while (most > 0 && (text[most] & 0xC0) == 0x80) most--;
    return most;
}

bool rp_path_exists(const char *path) {
    rp_os_info info;
    return rp_os_stat(path, &info) == 0;
}

rp_status rp_folder_check(const char *dir, rp_error *err) {
    rp_os_info info;
    if (!dir) return rp_fail(err, RP_ERROR_ARGUMENT, "the model's folder is NULL; pass a path");
    if (!*dir) return rp_fail(err, RP_ERROR_FILE, "the path of the model's folder is empty; name a folder");
    if (rp_os_stat(dir, &info) != 0)
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
        *size = (uint64_t)info.size;
        return RP_OK;
    }
    rp_os_close(*fd);
    *fd = -1;
    return rp_fail(err, RP_ERROR_FILE, "%s: not a regular file; name a file, or put one there",
                   rp_path_shown(path));
}

/* Copy to `out` the last key that begins before `position`: the field a mistake belongs to. */
static bool find_key(const char *text, size_t size, size_t position, char out[SHOWN_KEY + 1]) {
    bool found = false;
    for (size_t i = 0; i < size && i < position; i++) {
        if (text[i] != '"') continue;
        size_t start = ++i;
        while (i < size && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
        size_t after = i + 1;
        while (after < size && strchr(" \t\r\n", text[after]) && text[after]) after++;
        if (after >= size || text[after] != ':') continue;
        size_t length = i - start < SHOWN_KEY ? i - start : SHOWN_KEY;
        for (size_t k = 0; k < length; k++) { // the key may be what is wrong
            char c = text[start + k];
            out[k] = c >= ' ' && c <= '~' ? c : '?';
        }
        out[length] = '\0';
        found = true;
    }
    return found;
}

static rp_status parse(const char *text, size_t size, const char *path, rp_json_flags flags,
                       rp_json_document *out, rp_error *err) {
    rp_json_mistake mistake;
    char key[SHOWN_KEY + 1] = "";
    if (rp_json_read(text, size, flags, out, &mistake)) return RP_OK;
    if (mistake.memory) return rp_fail_memory(err, rp_path_shown(path), size);
    bool known = find_key(text, size, mistake.position, key);
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: %s%sline %d: not valid JSON: %s; mend the file or fetch it again",
                   rp_path_shown(path), key, known ? ": " : "", mistake.line, mistake.text);
}

rp_status rp_json_parse(const char *text, size_t size, const char *path, rp_json_document *out,
                        rp_error *err) {
    return parse(text, size, path, (rp_json_flags){0}, out, err);
}

static rp_status read_all(int fd, size_t size, const char *path, char *text, rp_error *err) {
    for (size_t at = 0; at < size;) {
        ssize_t n = rp_os_read(fd, text + at, size - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0)
            return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk", rp_path_shown(path),
                           n ? strerror(errno) : "it became shorter");
        at += (size_t)n;
    }
    return RP_OK;
}

static rp_status load(const char *path, rp_json_flags flags, rp_json_document *out, rp_error *err) {
    int fd = -1;
    uint64_t size = 0;
    char *text = NULL;
    *out = (rp_json_document){0};
    rp_status status = rp_file_open(path, &fd, &size, err);
    if (status) return status;
    if (size == 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: the file is empty; write or fetch it again",
                         rp_path_shown(path));
    else if (size > MAX_JSON_BYTES)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: %llu bytes, more than any real file of this kind has",
                         rp_path_shown(path), (unsigned long long)size);
    if (status) goto done;
    text = malloc((size_t)size);
    if (!text) {
        status = rp_fail_memory(err, rp_path_shown(path), size);
        goto done;
    }
    status = read_all(fd, (size_t)size, path, text, err);
    if (!status) status = parse(text, (size_t)size, path, flags, out, err);
done:
    free(text);
    rp_os_close(fd);
    return status;
}

rp_status rp_json_load(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.large = true, .words = true}, out, err);
}

rp_status rp_json_load_reals(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.reals = true, .words = true}, out, err);
}

rp_status rp_json_load_rust(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.reals = true, .rust = true}, out, err);
}

rp_status rp_json_bool(const rp_json *root, const char *path, const char *field, bool fallback, bool *out,
                       rp_error *err) {
    const rp_json *value = rp_json_get(root, field);
    double number;
    *out = value ? value->type == RP_JSON_TRUE : fallback;
    if (!value || *out || value->type == RP_JSON_FALSE || value->type == RP_JSON_NULL) return RP_OK;
    *out = rp_json_number(value, &number) && number != 0;
    if (rp_json_is(value, RP_JSON_INTEGER) || rp_json_is(value, RP_JSON_REAL)) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: is %s, must be true or false", rp_path_shown(path), field,
                   rp_json_kind(value));
}
