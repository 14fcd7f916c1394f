#define _GNU_SOURCE
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/unicode.h"

void fuzz_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

rp_status fuzz_status(rp_status status, const rp_error *err) {
    if (!status) return status;
    FUZZ_CHECK(err->status == status);
    size_t length = strnlen(err->message, sizeof err->message);
    FUZZ_CHECK(length > 0 && length < sizeof err->message);
    FUZZ_CHECK(rp_utf8_check(err->message, length) == length);
    return status;
}

/* ---- the scratch folder ---- */

enum { MOST_FILES = 16 };
static char folder[64];
static const char *written[MOST_FILES]; /* names that are there now */

static char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void remove_file(const char *name) {
    unlink(path_of(name));
    const char *slash = strchr(name, '/');
    char *path = path_of(name);
    if (slash) path[strlen(folder) + 1 + (size_t)(slash - name)] = 0;
    if (slash) rmdir(path);
}

static void remove_folder(void) {
    for (int i = 0; i < MOST_FILES; i++)
        if (written[i]) remove_file(written[i]);
    rmdir(folder);
}

const char *fuzz_folder(void) {
    if (folder[0]) return folder;
    snprintf(folder, sizeof folder, "%s/reprise-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    if (!mkdtemp(folder)) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        exit(1);
    }
    atexit(remove_folder);
    return folder;
}

void fuzz_file(const char *name, const void *data, size_t size) {
    fuzz_folder();
    int slot = 0;
    while (slot < MOST_FILES && (!written[slot] || strcmp(written[slot], name))) slot++;
    if (!data) {
        if (slot == MOST_FILES) return;
        remove_file(name);
        written[slot] = NULL;
        return;
    }
    char *path = path_of(name);
    const char *slash = strchr(name, '/');
    if (slash && slot == MOST_FILES) {
        size_t at = strlen(folder) + 1 + (size_t)(slash - name);
        path[at] = 0;
        mkdir(path, 0700);
        path[at] = '/';
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (int i = 0; i < MOST_FILES && slot == MOST_FILES; i++)
        if (!written[i]) written[slot = i] = name;
}

/* The line "=== NAME" at or after `at`, or `end`; `*name` and `*after` tell what it holds. */
static const uint8_t *find_line(const uint8_t *at, const uint8_t *end, const char *const *names,
                                const char **name, const uint8_t **after) {
    static const char mark[] = "\n=== ";
    *after = end;
    while ((at = memmem(at, (size_t)(end - at), mark, 5))) {
        for (size_t i = 0; names[i]; i++) {
            size_t length = strlen(names[i]);
            const uint8_t *line_end = at + 5 + length;
            if (line_end >= end || memcmp(at + 5, names[i], length) || *line_end != '\n') continue;
            *name = names[i];
            *after = line_end + 1;
            return at;
        }
        at++;
    }
    return end;
}

void fuzz_files(const char *const *names, const uint8_t *data, size_t size) {
    const uint8_t *end = data + size, *at = data, *after;
    const char *name = names[0], *next = NULL;
    for (size_t i = 0; names[i]; i++) fuzz_file(names[i], NULL, 0);
    while (at < end) {
        const uint8_t *line = find_line(at, end, names, &next, &after);
        if (line > at) fuzz_file(name, at, (size_t)(line - at));
        name = next;
        at = after;
    }
}
