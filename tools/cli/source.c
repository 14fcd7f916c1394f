/* Where inputs come from: which options go together, several files, and files that are one text each. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- options ---- */

static bool refuse(const char *command, const char *why) {
    rp_cli_complain("%s: %s; try 'reprise %s --help'", command, why, command);
    return false;
}

static bool check_table(const char *command, rp_cli_shape shape, const rp_cli_options *o) {
    bool table = o->csv || o->tsv;
    if (o->csv && o->tsv) return refuse(command, "takes one of --csv and --tsv");
    if (table && o->jsonl) return refuse(command, "takes one of --csv, --tsv, --jsonl and --keep");
    if (!table && (o->text_column || o->pair_column))
        return refuse(command,
                      "--text-column and --pair-column name columns of a table: give --csv or --tsv too");
    bool pair =
        shape == RP_CLI_SHAPE_PAIR || shape == RP_CLI_SHAPE_QUESTION || shape == RP_CLI_SHAPE_MAYBE_PAIR;
    if (o->pair_column && !pair) return refuse(command, "takes one text a row, so --pair-column has no use");
    bool one =
        shape == RP_CLI_SHAPE_MAYBE_PAIR || shape == RP_CLI_SHAPE_QUESTION || shape == RP_CLI_SHAPE_ASK;
    if (table && !o->json && one && o->top_k > 1)
        return refuse(command, "a row has columns for the best answer alone, so --top-k is for --json");
    return true;
}

/* A file that is read is not written over: that would end what is in it. */
static bool check_output(const char *command, const rp_cli_options *o) {
    struct stat written, read;
    const size_t count = o->each_file ? o->text_count : o->file_count;
    if (!o->output || stat(o->output, &written) || !S_ISREG(written.st_mode)) return true;
    for (size_t i = 0; i < count; i++) {
        const char *name = o->each_file ? o->texts[i] : o->files[i];
        if (!stat(name, &read) && read.st_ino && read.st_ino == written.st_ino &&
            read.st_dev == written.st_dev)
            return refuse(command,
                          "the file of --output is one that is read, and would be written over; name "
                          "another");
    }
    return true;
}

bool rp_cli_source_check(const char *command, rp_cli_shape shape, const rp_cli_options *o) {
    if (!check_table(command, shape, o) || !check_output(command, o)) return false;
    if (!o->each_file) return true;
    if (o->jsonl || o->csv || o->tsv || o->file_count)
        return refuse(command, "--files reads each file as one text: it does not go with --file, --jsonl, "
                               "--keep, --csv or --tsv");
    if (o->pair || (shape != RP_CLI_SHAPE_TEXT && shape != RP_CLI_SHAPE_DOCUMENT &&
                    shape != RP_CLI_SHAPE_MAYBE_PAIR && shape != RP_CLI_SHAPE_ASK))
        return refuse(command, "--files gives one text a file, and an input here has several; use --jsonl");
    if (!o->text_count) return refuse(command, "--files needs the names of files behind the options");
    return true;
}

/* ---- what was probably not meant ---- */

static bool ends_in(const char *name, const char *end) {
    size_t size = strlen(name), end_size = strlen(end);
    return size > end_size && !strcasecmp(name + size - end_size, end);
}

static bool is_file(const char *name) {
    struct stat status;
    return !stat(name, &status) && S_ISREG(status.st_mode);
}

void rp_cli_source_suspect(const rp_cli_options *o, rp_cli_shape shape) {
    bool single = shape == RP_CLI_SHAPE_TEXT || shape == RP_CLI_SHAPE_ASK ||
                  shape == RP_CLI_SHAPE_MAYBE_PAIR || shape == RP_CLI_SHAPE_DOCUMENT;
    for (size_t i = 0; !o->file_count && i < o->text_count; i++) {
        if (!is_file(o->texts[i])) continue;
        rp_cli_complain(
            "'%s' is taken as a text, and is the name of a file too; %s reads the file (said once)",
            o->texts[i], single && !o->pair ? "--files" : "-f");
        return;
    }
}

bool rp_cli_source_is_table(const char *name) {
    return ends_in(name, ".csv") || ends_in(name, ".tsv") || ends_in(name, ".tab");
}

/* ---- files ---- */

uint64_t rp_cli_source_bytes(const char *const *files, size_t count) {
    uint64_t bytes = 0;
    struct stat status;
    for (size_t i = 0; i < count; i++) {
        if (!strcmp(files[i], "-") || stat(files[i], &status) || !S_ISREG(status.st_mode)) return 0;
        bytes += (uint64_t)status.st_size;
    }
    return bytes;
}

/* Open a file, or standard input. */
static int open_file(const char *name) {
    return strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : dup(STDIN_FILENO);
}

bool rp_cli_source_next(rp_cli_input *input, bool *failed) {
    while (input->next_file < input->file_count) {
        const char *name = input->files[input->next_file++];
        int fd = open_file(name);
        if (fd < 0) {
            rp_cli_complain("%s: cannot open: %s", name, strerror(errno));
            *failed = true;
            continue;
        }
        if (input->fd > STDERR_FILENO) close(input->fd);
        input->fd = fd;
        input->name = strcmp(name, "-") ? name : "standard input";
        input->begin = input->end = input->scanned = 0;
        input->ended = input->started = input->skipping = false;
        input->first_line = true;
        input->lines = 0;
        if (input->table) rp_cli_table_begin(input->table);
        return true;
    }
    return false;
}

/* Read all of `fd` that is not longer than a text may be; one byte more says that it is. False: errno says
 * why, 0 that the program is to stop. */
static bool read_whole(int fd, int wake, rp_cli_buffer *out) {
    enum { ROOM = 1 << 16, MARK = 3 };
    char *room = malloc(ROOM);
    bool good = room;
    while (good && out->size <= RP_TEXT_BYTES_MAX + MARK) {
        struct pollfd asked[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake, .events = POLLIN}};
        poll(asked, 2, -1);
        if (asked[1].revents) {
            errno = EINTR;
            good = false;
            break;
        }
        ssize_t got = read(fd, room, ROOM);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) {
            good = !got;
            break;
        }
        rp_cli_put(out, room, (size_t)got);
        if (out->cut) {
            errno = ENOMEM;
            good = false;
        }
    }
    int why = errno;
    free(room);
    errno = why;
    return good;
}

/* What the file holds becomes the item's text, or the item fails. */
static void take_whole(rp_cli_item *item, const char *name, rp_cli_buffer *all) {
    bool mark = all->size >= 3 && !memcmp(all->data, "\xef\xbb\xbf", 3);
    const char *data = all->data ? all->data + (mark ? 3 : 0) : "";
    size_t size = all->size - (mark ? 3 : 0);
    if (size > RP_TEXT_BYTES_MAX) {
        rp_cli_item_fail(item,
                         "%.100s: longer than the %d bytes that are taken as one text; cut it into parts",
                         name, RP_TEXT_BYTES_MAX);
        return;
    }
    for (size_t at = 0, bytes; at < size; at += bytes) {
        uint32_t point = 0;
        bytes = rp_cli_utf8(data + at, size - at, &point);
        if (bytes && point) continue;
        rp_cli_item_fail(item, "%.100s: byte %zu is %s; give files of text in UTF-8", name,
                         at + (mark ? 3 : 0), bytes ? "NUL, as in no text" : "not valid UTF-8");
        return;
    }
    item->line = all->data;
    item->text = (rp_text){data, size};
    all->data = NULL;
}

/* "file": name. */
static void put_name(rp_cli_item *item, const char *name) {
    rp_cli_buffer before = {0};
    rp_cli_puts(&before, "\"file\": ");
    rp_cli_json_string(&before, name, strlen(name));
    item->before = before.data;
    item->before_size = before.size;
    if (before.cut) rp_cli_item_fail(item, "out of memory; close other programs");
}

bool rp_cli_source_file(rp_cli_input *input, rp_cli_item *item) {
    if (input->next_file == input->file_count) return false;
    const char *name = input->files[input->next_file++];
    struct stat status;
    rp_cli_buffer all = {0};
    *item = (rp_cli_item){.number = ++input->number};
    if (!input->options->unnamed) put_name(item, name);
    if (input->shape == RP_CLI_SHAPE_DOCUMENT) item->pair = (rp_text){name, strlen(name)};
    int fd = open_file(name);
    if (fd < 0)
        rp_cli_item_fail(item, "%.100s: cannot open: %s", *name ? name : "''", strerror(errno));
    else if (!fstat(fd, &status) && S_ISDIR(status.st_mode))
        rp_cli_item_fail(item, "%.100s: is a folder; name the files in it", name);
    else if (!read_whole(fd, input->wake, &all))
        rp_cli_item_fail(item, "%.100s: cannot read: %s", name, strerror(errno));
    else if (!item->failed)
        take_whole(item, name, &all);
    input->consumed += all.size;
    if (fd >= 0) close(fd);
    free(all.data);
    return true;
}
