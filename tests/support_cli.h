/* Running the reprise command as a user does. */
#ifndef SUPPORT_CLI_H
#define SUPPORT_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <jansson.h>

/* What one run left: its exit status (128 + n when signal n ended it), its output and its peak memory. */
typedef struct cli_run {
    int status;
    char *out, *err; /* NUL-terminated */
    size_t out_size, err_size;
    long peak_kib;
} cli_run;

/* A C string list that ends with NULL, for cli(). */
#define CLI_ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Run `reprise args...` with `input` (`size` bytes; NULL: /dev/null) as standard input, and wait. What it
 * wrote to standard error is repeated on this program's, so that messages of validation layers are seen.
 * Fails the test when the program cannot be run. Released by cli_free. */
cli_run cli(const char *const *args, const char *input, size_t size);

/* The same with a C string. */
cli_run cli_text(const char *const *args, const char *input);

void cli_free(cli_run *run);

/* The path of a file of this process's own in the folder for temporary files, until the next call; where
 * `content` is not NULL it holds content[0..size). The caller removes it. */
const char *cli_file(const char *name, const char *content, size_t size);

/* A running command with pipes at both ends. */
typedef struct cli_pipe {
    pid_t pid;
    int to, from; /* its standard input and output */
} cli_pipe;

cli_pipe cli_start(const char *const *args);

/* Read up to and with the next line end; false when none comes within `seconds`. Cut at `size` - 1 bytes. */
bool cli_read_line(cli_pipe *pipe, char *line, size_t size, int seconds);

/* Close both ends and wait: the exit status. */
int cli_finish(cli_pipe *pipe);

/* The number of lines, all ended by a line end; -1 when the last one is not. */
long cli_line_count(const cli_run *run);

/* Line `index` of the output as JSON, owned by the caller; fails the test when it is not exactly one value.
 */
json_t *cli_json(const cli_run *run, size_t index);

/* The "error" of line `index`, or NULL when the line is not such an object. Owned by the caller (free). */
char *cli_error(const cli_run *run, size_t index);

#endif
