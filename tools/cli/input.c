#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    READ_BYTES = 1 << 16,
};
/* bytes; longer ones fail instead of filling memory, as no text in them could be tokenized */
static const size_t longest_line = RP_TEXT_BYTES_MAX;
static const size_t longest_batch = (size_t)8 << 20; /* bytes after which a batch is closed in any case */

void rp_cli_input_close(rp_cli_input *input) {
    if (input->fd > STDERR_FILENO) close(input->fd);
    if (input->table) rp_cli_table_close(input->table);
    free(input->table);
    free(input->data);
    *input = (rp_cli_input){.fd = -1};
}

/* ---- arguments ---- */

static rp_text argument(rp_cli_input *input) {
    const char *text = input->texts[input->next_text++];
    return (rp_text){text, strlen(text)};
}

static bool next_argument(rp_cli_input *input, rp_cli_item *item) {
    if (input->next_text == input->text_count) return false;
    *item = (rp_cli_item){.number = ++input->number};
    item->text = argument(input);
    if (input->shape == RP_CLI_SHAPE_PAIR || input->shape == RP_CLI_SHAPE_QUESTION) {
        item->pair = argument(input);
    } else if (input->shape == RP_CLI_SHAPE_CHOICES || input->shape == RP_CLI_SHAPE_RANKING) {
        item->choices = rp_cli_calloc(input->text_count, sizeof *item->choices);
        while (input->next_text < input->text_count) item->choices[item->choice_count++] = argument(input);
    }
    return true;
}

/* ---- lines ---- */

/* True when a read would return at once. */
static bool is_ready(int fd) {
    struct pollfd asked = {.fd = fd, .events = POLLIN};
    return poll(&asked, 1, 0) > 0;
}

/* Make room at the end of the buffer. */
static void make_room(rp_cli_input *input) {
    if (input->begin && input->capacity - input->end < READ_BYTES) {
        memmove(input->data, input->data + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->scanned -= input->begin;
        input->begin = 0;
    }
    if (input->capacity - input->end < READ_BYTES) {
        input->capacity = 2 * input->capacity + READ_BYTES;
        input->data = rp_cli_realloc(input->data, input->capacity);
    }
}

/* Wait until a read would return at once. False: woken up. */
static bool wait_ready(const rp_cli_input *input) {
    struct pollfd asked[2] = {{.fd = input->fd, .events = POLLIN}, {.fd = input->wake, .events = POLLIN}};
    while (poll(asked, 2, -1) < 0 && (errno == EINTR || errno == EAGAIN))
        ;
    return !asked[1].revents;
}

/* Read once, waiting for it. Sets `ended` at the end, when woken up or, after a message, when it fails. */
static void read_more(rp_cli_input *input, bool *failed) {
    make_room(input);
    for (;;) {
        if (!wait_ready(input)) {
            input->ended = true;
            input->next_file = input->file_count;
            return;
        }
        ssize_t got = read(input->fd, input->data + input->end, input->capacity - input->end);
        if (got > 0) {
            input->end += (size_t)got;
            input->consumed += (size_t)got;
            return;
        }
        if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
        input->ended = true;
        if (got < 0) {
            rp_cli_complain("%s: cannot read: %s", input->name, strerror(errno));
            *failed = true;
        }
        return;
    }
}

/* Drop a byte order mark at the beginning of the input. */
static void skip_mark(rp_cli_input *input) {
    static const char mark[] = "\xef\xbb\xbf";
    size_t have = input->end - input->begin;
    if (have < 3 && !input->ended && !memcmp(input->data + input->begin, mark, have)) return;
    if (have >= 3 && !memcmp(input->data + input->begin, mark, 3)) {
        input->begin += 3;
        input->scanned = input->begin;
    }
    input->started = true;
}

/* A table that is read as lines gives answers all the same: say so. */
static void suspect_table(rp_cli_input *input, const char *line, size_t size) {
    bool single = input->shape == RP_CLI_SHAPE_TEXT || input->shape == RP_CLI_SHAPE_ASK ||
                  input->shape == RP_CLI_SHAPE_DOCUMENT,
         first = input->first_line;
    input->first_line = false;
    if (!first || input->options->jsonl || input->suspect_was_said) return;
    if (!rp_cli_table_suspect(line, size) && !(single && rp_cli_source_is_table(input->name))) return;
    input->suspect_was_said = true;
    rp_cli_complain("%s: looks like a table, and is read as one input a line; --csv or --tsv reads its rows "
                    "(said once)",
                    input->name);
}

static void take_line(rp_cli_input *input, size_t size, size_t end_size, rp_cli_item *item) {
    const char *line = input->data + input->begin;
    suspect_table(input, line, size);
    input->begin += size + end_size;
    input->scanned = input->begin;
    if (size && line[size - 1] == '\r') size--;
    *item = (rp_cli_item){.number = ++input->number};
    if (input->skipping || size > longest_line) {
        item->failed = true;
        snprintf(item->error, sizeof item->error,
                 "the line is longer than the %zu bytes that are taken; cut it into shorter ones",
                 longest_line);
        input->skipping = false;
        size = 0; /* of the batch it takes nothing */
    } else {
        rp_cli_item_parse(item, input->shape, input->options, line, size);
    }
    item->name = input->name;
    item->line_number = ++input->lines;
}

/* A line that is in the buffer, or the rest of the input once it has ended. */
static bool buffered_line(rp_cli_input *input, rp_cli_item *item) {
    if (!input->started) {
        if (input->begin == input->end) return false;
        skip_mark(input);
        if (!input->started) return false;
    }
    size_t have = input->end - input->begin;
    char *found = NULL;
    if (input->end > input->scanned)
        found = memchr(input->data + input->scanned, '\n', input->end - input->scanned);
    input->scanned = input->end;
    if (found) {
        take_line(input, (size_t)(found - (input->data + input->begin)), 1, item);
        return true;
    }
    if (input->ended && (have || input->skipping)) {
        take_line(input, have, 0, item);
        return true;
    }
    if (input->skipping || have > longest_line + 1) { /* the one may be a '\r' */
        input->skipping = true;
        input->end = input->scanned = input->begin;
    }
    return false;
}

/* ---- rows ---- */

static rp_table_step next_row(rp_cli_input *input, rp_table_row *row) {
    size_t taken;
    const char *data = input->data ? input->data + input->begin : "";
    rp_table_step step =
        rp_table_next(&input->table->reader, data, input->end - input->begin, input->ended, row, &taken);
    input->begin += taken;
    input->scanned = input->begin;
    return step;
}

/* Look for the header of the file. False: more has to be read or, with `*status`, the file is of no use,
 * which was said. */
static bool take_header(rp_cli_input *input, rp_status *status) {
    rp_table_row row;
    rp_table_step step = next_row(input, &row);
    if (step == RP_TABLE_MORE) return false;
    if (step == RP_TABLE_ROW) {
        *status = rp_cli_table_header(input->table, &row, input->name, row.offset == 3);
    } else {
        *status = RP_ERROR_FILE;
        rp_cli_complain(step == RP_TABLE_END ? "%s: is empty; the first line of a table names its columns"
                                             : "%s: out of memory; close other programs",
                        input->name);
    }
    if (!*status) return true;
    input->table->begun = true; /* nothing more of it is looked at */
    input->begin = input->scanned = input->end;
    input->ended = true;
    return false;
}

/* A row that is in the buffer. False: more has to be read. */
static bool buffered_row(rp_cli_input *input, rp_cli_item *item, bool *failed) {
    rp_cli_table *t = input->table;
    rp_table_row row;
    rp_status status = RP_OK;
    if (!t->begun && !take_header(input, &status)) {
        *failed = *failed || status;
        return false;
    }
    rp_table_step step = next_row(input, &row);
    if (step == RP_TABLE_MORE || step == RP_TABLE_END) return false;
    *item = (rp_cli_item){.number = ++input->number};
    item->table = t;
    item->name = input->name;
    item->line_number = row.line;
    if (step == RP_TABLE_ROW)
        rp_cli_table_item(t, &row, input->name, item);
    else
        rp_cli_item_fail(item, "out of memory for this row; close other programs");
    return true;
}

rp_status rp_cli_input_header(rp_cli_input *input) {
    bool failed = false;
    rp_status status = RP_OK;
    while (!take_header(input, &status)) {
        if (status) return status;
        read_more(input, &failed);
        if (failed) return RP_ERROR_FILE;
    }
    return RP_OK;
}

/* Bytes of the file up to the next line. */
static uint64_t bytes_taken(const rp_cli_input *input) {
    return input->consumed - (input->end - input->begin);
}

/* A new item at the end of the list. */
static rp_cli_item *new_item(rp_cli_items *items) {
    if (items->count == items->capacity) {
        items->capacity = items->capacity ? 2 * items->capacity : 16;
        items->list = rp_cli_realloc(items->list, items->capacity * sizeof *items->list);
    }
    return &items->list[items->count];
}

/* The bytes of an item's texts. A choice is run with its text. */
static size_t item_bytes(const rp_cli_item *item) {
    size_t all = item->choices ? item->choice_count * item->text.size : item->text.size + item->pair.size;
    for (size_t i = 0; item->choices && i < item->choice_count; i++) all += item->choices[i].size;
    return item->failed ? 0 : all;
}

/* The next one that needs no reading of lines. */
static bool next_item(rp_cli_input *input, rp_cli_item *item, bool *failed) {
    if (input->options->each_file) return rp_cli_source_file(input, item);
    if (input->texts) return next_argument(input, item);
    return input->table ? buffered_row(input, item, failed) : buffered_line(input, item);
}

bool rp_cli_input_batch(rp_cli_input *input, rp_cli_items *items, size_t most, size_t bytes, bool *failed) {
    size_t used = 0;
    uint64_t begin = bytes_taken(input);
    while (!items->count ||
           (items->count < most && used < bytes && bytes_taken(input) - begin < longest_batch)) {
        rp_cli_item *item = new_item(items);
        if (next_item(input, item, failed)) {
            used += item_bytes(item);
            items->count++;
        } else if (input->texts || input->options->each_file) {
            break;
        } else if (input->ended) {
            if (!rp_cli_source_next(input, failed)) break;
        } else if (items->count && !is_ready(input->fd)) {
            break;
        } else {
            read_more(input, failed);
        }
    }
    return items->count > 0;
}

void rp_cli_items_clear(rp_cli_items *items) {
    while (items->count) rp_cli_item_free(&items->list[--items->count]);
}
