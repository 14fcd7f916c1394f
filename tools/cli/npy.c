#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* asprintf */
#endif
#include "npy.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The header has one size whatever the number of rows, so that it can be written last, and so that the
 * numbers behind it are aligned for whoever maps the file. */
enum { HEADER = 128, BEFORE = 10 /* magic, version, and the size of the rest */ };

static bool is_little_endian(void) {
    const uint16_t one = 1;
    return *(const unsigned char *)&one;
}

static void make_header(char header[HEADER], size_t rows, size_t columns) {
    memset(header, ' ', HEADER);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER - BEFORE;
    header[9] = 0;
    int size = snprintf(header + BEFORE, HEADER - BEFORE,
                        "{'descr': '%cf4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                        is_little_endian() ? '<' : '>', rows, columns);
    header[BEFORE + size] = ' ';
    header[HEADER - 1] = '\n';
}

static bool complain_of(const char *path, int error) {
    rp_cli_complain("%s: cannot write: %s", path, strerror(error));
    return false;
}

bool rp_cli_npy_check(const char *path) {
    struct stat info;
    if (!strcmp(path, "-")) {
        rp_cli_complain("--output - would be standard output, in which --format npy cannot write the header "
                        "last; name a file (one of that name is ./-)");
        return false;
    }
    if (!stat(path, &info)) {
        if (S_ISREG(info.st_mode)) return true;
        rp_cli_complain(
            "%s: is not a regular file, which --format npy needs, since it writes the header last; name "
            "another with --output",
            path);
        return false;
    }
    if (errno != ENOENT) return complain_of(path, errno);
    if (!lstat(path, &info)) { /* what it leads to would stay missing, and the link be replaced */
        rp_cli_complain("%s: is a link to what is not there; remove it, or name another with --output", path);
        return false;
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int error = !folder ? ENOMEM : access(folder, W_OK) ? errno : 0;
    free(folder);
    return error ? complain_of(path, error) : true;
}

bool rp_cli_npy_open(rp_cli_npy *npy, const char *path) {
    static const char nothing[HEADER];
    *npy = (rp_cli_npy){.path = path, .out.fd = -1};
    /* Where the name is a link, the file that it leads to is replaced. */
    char *target = realpath(path, NULL);
    if (asprintf(&npy->unfinished, "%s.%ld.part", target ? target : path, (long)getpid()) < 0)
        npy->unfinished = NULL;
    free(target);
    if (!npy->unfinished) return complain_of(path, ENOMEM);
    npy->out.fd = open(npy->unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (npy->out.fd < 0) {
        complain_of(npy->unfinished, errno);
        free(npy->unfinished);
        return false;
    }
    rp_cli_put(&npy->out.buffer, nothing, HEADER);
    return true;
}

void rp_cli_npy_answer(const rp_cli_answer *answer, rp_cli_buffer *out) {
    size_t rows = 0, columns = 0;
    const float *values = rp_result_vectors(answer->result, answer->index, &rows, &columns);
    rp_cli_put(out, (const char *)values, columns * sizeof *values);
}

void rp_cli_npy_failure(size_t columns, rp_cli_buffer *out) {
    const float none = NAN;
    for (size_t i = 0; i < columns; i++) rp_cli_put(out, (const char *)&none, sizeof none);
}

/* The name that the file gets: its own, or the one of a part of it. The caller frees it. */
static char *final_name(const rp_cli_npy *npy) {
    char *name = NULL, *target = realpath(npy->path, NULL);
    if (asprintf(&name, "%s%s", target ? target : npy->path, npy->out.unfinished ? ".part" : "") < 0)
        name = NULL;
    free(target);
    return name;
}

/* 0, or errno. */
static int complete(rp_cli_npy *npy, size_t rows, size_t columns, const char *name) {
    char header[HEADER];
    make_header(header, rows, columns);
    if (pwrite(npy->out.fd, header, HEADER, 0) != HEADER || fsync(npy->out.fd)) return errno;
    return rename(npy->unfinished, name) ? errno : 0;
}

int rp_cli_npy_finish(rp_cli_npy *npy, size_t columns, int status) {
    rp_cli_flush(&npy->out);
    off_t size = lseek(npy->out.fd, 0, SEEK_END);
    size_t rows = columns && size > HEADER ? (size_t)(size - HEADER) / (columns * sizeof(float)) : 0;
    bool keep = rows || !npy->out.unfinished;
    char *name = final_name(npy);
    int error = npy->out.error ? npy->out.error
                : !name        ? ENOMEM
                : keep         ? complete(npy, rows, columns, name)
                               : 0;
    if (error) {
        complain_of(npy->path, error);
        status = 1;
    } else if (npy->out.unfinished) {
        rp_cli_complain(keep
                            ? "%s: not written, as not every input was answered; the first %zu rows are in %s"
                            : "%s: not written, as no input was answered",
                        npy->path, rows, name);
    }
    if (error || !keep) unlink(npy->unfinished);
    close(npy->out.fd);
    free(npy->out.buffer.data);
    free(npy->unfinished);
    free(name);
    return status;
}
