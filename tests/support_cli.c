#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2, wait4 */
#endif
#include "support_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ARGS = 30 };

static int scratch_file(void) {
    const char *folder = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/cli-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

const char *cli_file(const char *name, const char *content, size_t size) {
    static char path[4096];
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/cli-%ld-%s", folder && *folder ? folder : "/tmp", (long)getpid(), name);
    if (!content) return path;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    fclose(file);
    return path;
}

static void write_all(int fd, const char *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t written = write(fd, data + done, size - done);
        assert_true(written > 0);
        done += (size_t)written;
    }
}

static char *read_all(int fd, size_t *size) {
    off_t end = lseek(fd, 0, SEEK_END);
    assert_true(end >= 0);
    char *data = malloc((size_t)end + 1);
    assert_non_null(data);
    *size = 0;
    while (*size < (size_t)end) {
        ssize_t got = pread(fd, data + *size, (size_t)end - *size, (off_t)*size);
        assert_true(got > 0);
        *size += (size_t)got;
    }
    data[*size] = '\0';
    return data;
}

/* Start the command with these standard descriptors. */
static pid_t start(const char *const *args, int in, int out, int err) {
    char *argv[MOST_ARGS + 2] = {"reprise"};
    int count = 0;
    for (; args[count]; count++) {
        assert_true(count < MOST_ARGS);
        argv[count + 1] = (char *)args[count];
    }
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid) return pid;
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || (err >= 0 && dup2(err, 2) < 0)) _exit(126);
    execv(BINARY_DIR "/reprise", argv);
    _exit(127);
}

static int status_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

cli_run cli(const char *const *args, const char *input, size_t size) {
    cli_run run = {0};
    int in = input ? scratch_file() : open("/dev/null", O_RDONLY), out = scratch_file(), err = scratch_file();
    assert_true(in >= 0);
    if (input) {
        write_all(in, input, size);
        assert_int_equal(lseek(in, 0, SEEK_SET), 0);
    }
    pid_t pid = start(args, in, out, err);
    int status = 0;
    struct rusage usage;
    assert_int_equal(wait4(pid, &status, 0, &usage), pid);
    run.status = status_of(status);
    run.peak_kib = usage.ru_maxrss;
    run.out = read_all(out, &run.out_size);
    run.err = read_all(err, &run.err_size);
    fwrite(run.err, 1, run.err_size, stderr);
    close(in);
    close(out);
    close(err);
    assert_int_not_equal(run.status, 126);
    assert_int_not_equal(run.status, 127);
    return run;
}

cli_run cli_text(const char *const *args, const char *input) {
    return cli(args, input, input ? strlen(input) : 0);
}

void cli_free(cli_run *run) {
    free(run->out);
    free(run->err);
    *run = (cli_run){0};
}

cli_pipe cli_start(const char *const *args) {
    int to[2], from[2];
    assert_int_equal(pipe2(to, O_CLOEXEC), 0);
    assert_int_equal(pipe2(from, O_CLOEXEC), 0);
    cli_pipe pipe = {.to = to[1], .from = from[0]};
    pipe.pid = start(args, to[0], from[1], -1);
    close(to[0]);
    close(from[1]);
    return pipe;
}

bool cli_read_line(cli_pipe *pipe, char *line, size_t size, int seconds) {
    for (size_t have = 0; have + 1 < size;) {
        struct pollfd wait = {.fd = pipe->from, .events = POLLIN};
        if (poll(&wait, 1, seconds * 1000) != 1 || read(pipe->from, line + have, 1) != 1) return false;
        line[++have] = '\0';
        if (line[have - 1] == '\n') return true;
    }
    return true;
}

int cli_finish(cli_pipe *pipe) {
    int status = 0;
    if (pipe->to >= 0) close(pipe->to);
    if (pipe->from >= 0) close(pipe->from);
    assert_int_equal(waitpid(pipe->pid, &status, 0), pipe->pid);
    return status_of(status);
}

long cli_line_count(const cli_run *run) {
    long count = 0;
    for (size_t i = 0; i < run->out_size; i++) count += run->out[i] == '\n';
    return run->out_size && run->out[run->out_size - 1] != '\n' ? -1 : count;
}

json_t *cli_json(const cli_run *run, size_t index) {
    const char *line = run->out, *end = run->out + run->out_size;
    for (; index && line < end; line++) index -= *line == '\n';
    const char *stop = memchr(line, '\n', (size_t)(end - line));
    assert_non_null(stop);
    json_error_t error;
    json_t *value = json_loadb(line, (size_t)(stop - line), JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value) print_error("%s in: %.*s\n", error.text, (int)(stop - line), line);
    assert_non_null(value);
    return value;
}

char *cli_error(const cli_run *run, size_t index) {
    json_t *value = cli_json(run, index);
    const char *message = json_string_value(json_object_get(value, "error"));
    char *copy = message && json_object_size(value) == 1 ? strdup(message) : NULL;
    json_decref(value);
    return copy;
}
