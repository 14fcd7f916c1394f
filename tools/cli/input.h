/* The inputs of a command, from arguments, standard input or a file, in batches: constant memory whatever
 * their number, and the first ones at once. */
#ifndef REPRISE_CLI_INPUT_H
#define REPRISE_CLI_INPUT_H

#include "loader/json_tree.h"
#include "meter.h"
#include "options.h"

/* What one input of a command is made of. */
typedef enum rp_cli_shape {
    RP_CLI_SHAPE_NONE = 0,   /* the command reads no input */
    RP_CLI_SHAPE_TEXT,       /* text */
    RP_CLI_SHAPE_MAYBE_PAIR, /* text, and text_pair where --pair is given or the JSON object has it */
    RP_CLI_SHAPE_PAIR,       /* text, text_pair */
    RP_CLI_SHAPE_QUESTION,   /* question, context */
    RP_CLI_SHAPE_CHOICES,    /* text, choices */
} rp_cli_shape;

/* One input. A failed one holds the reason instead of its texts. */
typedef struct rp_cli_item {
    size_t number;      /* counted from 1 */
    rp_text text, pair; /* question and context for a question; pair.data NULL: none */
    rp_text *choices;   /* [choice_count] */
    size_t choice_count;
    bool failed;
    char error[256];
    char *line;                /* what the texts borrow from, if anything */
    rp_json_document document; /* or this */
} rp_cli_item;

/* Inputs that are answered together. Zero-initialise; rp_cli_items_clear, and free `list`. */
typedef struct rp_cli_items {
    rp_cli_item *list; /* [count] */
    size_t count, capacity;
} rp_cli_items;

/* A source of inputs. */
typedef struct rp_cli_input {
    rp_cli_shape shape; /* MAYBE_PAIR resolved to TEXT or PAIR unless the lines are JSON */
    bool jsonl;
    char **texts; /* arguments; NULL when lines are read */
    size_t text_count, next_text;
    int fd, wake;     /* waiting for `fd` ends the input once `wake` can be read; -1: none */
    const char *name; /* of the file, for messages */
    char *data;       /* bytes read and not yet used: [begin, end) */
    size_t begin, end, capacity, scanned;
    bool ended, started, skipping;
    size_t number;             /* inputs given so far */
    uint64_t consumed, length; /* bytes read, and bytes of the file; length 0: not known */
    rp_cli_meter meter;        /* sets the size of batches; zero, or set after opening */
} rp_cli_input;

/* Check the TEXT arguments of `options` against `shape` and open the source. RP_ERROR_ARGUMENT: wrong usage;
 * RP_ERROR_FILE: the file cannot be opened; after a message on standard error. */
rp_status rp_cli_input_open(rp_cli_input *input, const char *command, rp_cli_shape shape,
                            const rp_cli_options *options);

/* The next inputs into the empty list `items`: waits for one, then takes more while that needs no waiting,
 * until there are `most` of them, or they have `tokens` tokens by the meter, or some megabytes of lines.
 * False at the end. A read that fails ends the input: `*failed` is set after a message. */
bool rp_cli_input_batch(rp_cli_input *input, rp_cli_items *items, size_t most, size_t tokens, bool *failed);

void rp_cli_input_close(rp_cli_input *input);

/* Free what the items hold and empty the list, which keeps its room. */
void rp_cli_items_clear(rp_cli_items *items);
void rp_cli_item_free(rp_cli_item *item);

/* Make an item from one line (without its line end) or one JSON object. The item owns what it needs. */
void rp_cli_item_parse(rp_cli_item *item, rp_cli_shape shape, bool jsonl, const char *line, size_t size);

#endif
