/* The inputs of a command, from arguments, standard input or a file, in batches: constant memory whatever
 * their number, and the first ones at once. */
#ifndef REPRISE_CLI_INPUT_H
#define REPRISE_CLI_INPUT_H

#include "loader/json_tree.h"
#include "options.h"
#include "table.h"
#include "text.h"

/* One input. A failed one holds the reason instead of its texts. */
typedef struct rp_cli_item {
    size_t number;    /* counted from 1 */
    const char *name; /* of the file that it was read from, and its line there; 0: it is an argument */
    uint64_t line_number;
    rp_text text, pair; /* question and context for a question; pair.data NULL: none */
    rp_text *choices;   /* [choice_count] */
    size_t choice_count;
    bool bare; /* of a document: `pair` is a number, true or false in JSON */
    bool failed;
    char error[256];
    char *line;                /* what the texts borrow from, if anything */
    rp_json_document document; /* or this */
    const rp_cli_table *table; /* the table that it is a row of; NULL: of none */
    char *before;              /* what its answer stands behind: the row, or members of a JSON object such as
                                  "id": 7; NULL: nothing */
    size_t before_size;
} rp_cli_item;

/* Inputs that are answered together. Zero-initialise; rp_cli_items_clear, and free `list`. */
typedef struct rp_cli_items {
    rp_cli_item *list; /* [count] */
    size_t count, capacity;
} rp_cli_items;

/* A source of inputs. */
typedef struct rp_cli_input {
    rp_cli_shape shape; /* MAYBE_PAIR resolved to TEXT or PAIR unless the lines are JSON */
    const rp_cli_options *options;
    rp_cli_table *table; /* NULL: it is none */
    char **texts;        /* arguments; NULL when lines are read */
    size_t text_count, next_text;
    const char *const *files; /* to read, one after the other; NULL: standard input alone */
    size_t file_count, next_file;
    int fd, wake;     /* waiting for `fd` ends the input once `wake` can be read; -1: none */
    const char *name; /* of the file that is read, for messages */
    char *data;       /* bytes read and not yet used: [begin, end) */
    size_t begin, end, capacity, scanned;
    bool ended, started, skipping;
    bool first_line, suspect_was_said; /* nothing was taken of the file; that it looks like a table */
    size_t number;                     /* inputs given so far */
    uint64_t lines;                    /* of the file, that were given */
    uint64_t consumed, length;         /* bytes read, and bytes of all files; length 0: not known */
} rp_cli_input;

/* Check the TEXT arguments of `options` against `shape` and open the source; of a table the header is read.
 * RP_ERROR_ARGUMENT: wrong usage, or columns that have to be named; RP_ERROR_FILE: a file cannot be opened,
 * or is no table; after a message on standard error, and with nothing left open. */
rp_status rp_cli_input_open(rp_cli_input *input, const char *command, rp_cli_shape shape,
                            const rp_cli_options *options);

/* The next inputs into the empty list `items`: waits for one, then takes more while that needs no waiting,
 * until there are `most` of them, or their texts have `bytes` bytes, or some megabytes of lines.
 * False at the end. A read that fails ends the input: `*failed` is set after a message. */
bool rp_cli_input_batch(rp_cli_input *input, rp_cli_items *items, size_t most, size_t bytes, bool *failed);

void rp_cli_input_close(rp_cli_input *input);

/* Free what the items hold and empty the list, which keeps its room. */
void rp_cli_items_clear(rp_cli_items *items);
void rp_cli_item_free(rp_cli_item *item);

/* Make an item from one line (without its line end) or, with options->jsonl, one JSON object. The item owns
 * what it needs. */
void rp_cli_item_parse(rp_cli_item *item, rp_cli_shape shape, const rp_cli_options *options, const char *line,
                       size_t size);

/* Fail an item for this reason. */
void rp_cli_item_fail(rp_cli_item *item, const char *format, ...) __attribute__((format(REPRISE_PRINTF, 2, 3)));

/* item->before becomes the members of the item's object, of which `line` is the text, but for those whose
 * keys the NULL-ended list `read` has: byte for byte, in their order. A key that the answer has is kept as
 * "input_" and the key. False: out of memory. */
bool rp_cli_keep(rp_cli_item *item, const char *line, size_t size, const char *const *read);

/* ---- what open.c, input.c and source.c share ---- */

/* Wrong combinations of options and arguments: false after a message. */
bool rp_cli_source_check(const char *command, rp_cli_shape shape, const rp_cli_options *options);

/* Say that a text is the name of a file too. */
void rp_cli_source_suspect(const rp_cli_options *options, rp_cli_shape shape);

/* A file of that name is a table. */
bool rp_cli_source_is_table(const char *name);

/* Wait for the header of the first file of a table. RP_ERROR_FILE, RP_ERROR_ARGUMENT: it is of no use; after
 * a message. */
rp_status rp_cli_input_header(rp_cli_input *input);

/* The bytes of files[0..count) together; 0 where one is no regular file. */
uint64_t rp_cli_source_bytes(const char *const *files, size_t count);

/* Make an item from the next of options->files, each of which is one text. False: there is none. */
bool rp_cli_source_file(rp_cli_input *input, rp_cli_item *item);

/* Open the next of several files; after a message those that cannot be opened are passed over and `*failed`
 * is set. False: there is none. */
bool rp_cli_source_next(rp_cli_input *input, bool *failed);

#endif
