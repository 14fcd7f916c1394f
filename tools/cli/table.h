/* Inputs from the rows of CSV and TSV files, and the same rows with the answers behind them. */
#ifndef REPRISE_CLI_TABLE_H
#define REPRISE_CLI_TABLE_H

#include <reprise/reprise.h>

#include "loader/table.h"
#include "text.h"

struct rp_cli_answer;
struct rp_cli_item;
struct rp_cli_options;

/* What one input of a command is made of. */
typedef enum rp_cli_shape {
    RP_CLI_SHAPE_NONE = 0,   /* the command reads no input */
    RP_CLI_SHAPE_TEXT,       /* text */
    RP_CLI_SHAPE_MAYBE_PAIR, /* text, and text_pair where --pair is given or the JSON object has it */
    RP_CLI_SHAPE_PAIR,       /* text, text_pair */
    RP_CLI_SHAPE_QUESTION,   /* question, context */
    RP_CLI_SHAPE_CHOICES,    /* text, choices */
    RP_CLI_SHAPE_RANKING,    /* query, documents: text and choices, too */
    RP_CLI_SHAPE_DOCUMENT,   /* text, and an id that may be left out: text and pair */
    RP_CLI_SHAPE_ASK,        /* question */
} rp_cli_shape;

/* One table, which may lie in several files. Zero-initialise, set the first three, and call
 * rp_cli_table_close at the end. Written by the thread that reads; once the header is there others may read
 * it, but for `reader`. */
typedef struct rp_cli_table {
    const char *command;
    rp_cli_shape shape;
    const struct rp_cli_options *options;
    rp_table reader; /* of the file that is being read */
    bool begun;      /* the header of that file was read */
    bool known;      /* the header of the first one was */
    size_t columns;
    size_t text, pair; /* columns, from 0; pair SIZE_MAX: none */
    size_t *choices;   /* [choice_count] columns */
    size_t choice_count;
    char separator;              /* of what is written */
    char end[3];                 /* how its lines end */
    rp_cli_buffer names, header; /* of the columns, to compare; the first line of what is written */
} rp_cli_table;

/* Begin a file. */
void rp_cli_table_begin(rp_cli_table *table);

/* Look at the header of a file, which messages call `name`: that of the first says in which columns the
 * texts stand, and the others must have the same. After a message on standard error: RP_ERROR_FILE for a bad
 * header, RP_ERROR_ARGUMENT for one without such columns. `marked`: a byte order mark stands before it. */
rp_status rp_cli_table_header(rp_cli_table *table, const rp_table_row *row, const char *name, bool marked);

/* Make an item from a row, which messages call row->line of the file `name`. The item owns what it needs. */
void rp_cli_table_item(const rp_cli_table *table, const rp_table_row *row, const char *name,
                       struct rp_cli_item *item);

void rp_cli_table_close(rp_cli_table *table);

/* The first line of a plain file looks like the header of a table. */
bool rp_cli_table_suspect(const char *line, size_t size);

/* ---- writing ---- */

/* Append the names of the columns, with new ones behind them, to table->header. A name that is taken gets
 * "reprise_" before it. */
void rp_cli_table_put_header(rp_cli_table *table, const rp_table_row *row, const char *name);

/* Append the row as it stands; a row whose fields are not those of the columns is made to fit. No line end
 * and no separator behind it. */
void rp_cli_table_put_row(const rp_cli_table *table, const rp_table_row *row, rp_cli_buffer *out);

/* Append the row of answer->item with the answer behind it, of which `json` is the JSON value; and the same
 * of an item that failed. */
void rp_cli_table_answer(const struct rp_cli_answer *answer, const char *json, size_t size,
                         rp_cli_buffer *out);
void rp_cli_table_failure(const struct rp_cli_item *item, const char *message, rp_cli_buffer *out);

#endif
