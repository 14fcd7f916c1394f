/* Opening the source of a command's inputs: arguments, lines, a table, or files. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "input.h"

/* True when `count` arguments can be cut into inputs. */
static bool check_arguments(const char *command, rp_cli_shape shape, size_t count) {
    const char *needs = NULL;
    if (shape == RP_CLI_SHAPE_PAIR && count % 2)
        needs = "pairs of arguments, TEXT TEXT";
    else if (shape == RP_CLI_SHAPE_QUESTION && count % 2)
        needs = "pairs of arguments, QUESTION CONTEXT";
    else if (shape == RP_CLI_SHAPE_CHOICES && count == 1)
        needs = "at least one choice, TEXT CHOICE...";
    else if (shape == RP_CLI_SHAPE_RANKING && count == 1)
        needs = "a query and at least one text, QUERY TEXT...";
    if (needs) rp_cli_complain("%s: takes %s; try 'reprise %s --help'", command, needs, command);
    return !needs;
}

/* The bytes that are left in a regular file, for the progress bar. */
static uint64_t bytes_ahead(int fd) {
    struct stat status;
    if (fstat(fd, &status) || !S_ISREG(status.st_mode)) return 0;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at >= 0 && at < status.st_size ? (uint64_t)(status.st_size - at) : 0;
}

/* The files that are read: of -f or, of a table, the TEXT arguments. */
static void choose_files(rp_cli_input *input, const rp_cli_options *options) {
    input->files = options->files;
    input->file_count = options->file_count;
    if (!options->each_file && !(input->table && options->text_count)) return;
    input->files = (const char *const *)options->texts;
    input->file_count = options->text_count;
}

/* A name that is wrong is told before anything is answered. */
static bool can_open(const rp_cli_input *input) {
    for (size_t i = 0; i < input->file_count; i++) {
        if (!strcmp(input->files[i], "-") || !access(input->files[i], R_OK)) continue;
        rp_cli_complain(input->table && input->options->text_count
                            ? "%s: cannot open: %s; with --csv and --tsv, each TEXT is the name of a file"
                            : "%s: cannot open: %s",
                        input->files[i], strerror(errno));
        return false;
    }
    return true;
}

static rp_status open_lines(rp_cli_input *input, const rp_cli_options *options) {
    bool failed = false;
    input->fd = STDIN_FILENO;
    input->first_line = true;
    if (input->file_count && (!can_open(input) || !rp_cli_source_next(input, &failed))) return RP_ERROR_FILE;
    input->length =
        input->file_count > 1 ? rp_cli_source_bytes(input->files, input->file_count) : bytes_ahead(input->fd);
    if (!input->file_count && isatty(input->fd))
        rp_cli_complain("reading %s from the terminal, one a line; Ctrl-D ends",
                        input->table     ? "the rows of a table"
                        : options->jsonl ? "JSON objects"
                                         : "texts");
    return input->table ? rp_cli_input_header(input) : RP_OK;
}

rp_status rp_cli_input_open(rp_cli_input *input, const char *command, rp_cli_shape shape,
                            const rp_cli_options *options) {
    bool table = options->csv || options->tsv;
    *input =
        (rp_cli_input){.shape = shape, .options = options, .fd = -1, .wake = -1, .name = "standard input"};
    if (!rp_cli_source_check(command, shape, options)) return RP_ERROR_ARGUMENT;
    if (shape == RP_CLI_SHAPE_MAYBE_PAIR && options->pair)
        input->shape = RP_CLI_SHAPE_PAIR;
    else if (shape == RP_CLI_SHAPE_MAYBE_PAIR && !options->jsonl && !table)
        input->shape = RP_CLI_SHAPE_TEXT;
    bool dash = options->text_count == 1 && !strcmp(options->texts[0], "-"); /* standard input, as with -f */
    if (options->text_count && (options->file_count || (options->jsonl && !dash))) {
        rp_cli_complain("%s: give either %s or TEXT arguments, not both; try 'reprise %s --help'", command,
                        options->file_count ? "--file"
                        : options->keep     ? "--keep"
                                            : "--jsonl",
                        command);
        return RP_ERROR_ARGUMENT;
    }
    if (table) {
        input->table = rp_cli_calloc(1, sizeof *input->table);
        *input->table = (rp_cli_table){.command = command,
                                       .shape = input->shape == RP_CLI_SHAPE_RANKING ? RP_CLI_SHAPE_CHOICES
                                                                                     : input->shape,
                                       .options = options};
        rp_cli_table_begin(input->table);
    }
    choose_files(input, options);
    if (options->each_file) {
        input->length = rp_cli_source_bytes(input->files, input->file_count);
        return RP_OK;
    }
    if (options->text_count && !dash && !table) {
        if (!check_arguments(command, input->shape, options->text_count)) return RP_ERROR_ARGUMENT;
        rp_cli_source_suspect(options, shape);
        input->texts = options->texts;
        input->text_count = options->text_count;
        return RP_OK;
    }
    rp_status status = open_lines(input, options);
    if (status) rp_cli_input_close(input);
    return status;
}
