/* Rows of CSV and TSV files, from bytes that the caller has read or mapped. The command is built with this
 * file too.
 *
 * CSV is what RFC 4180 describes, and what Python's csv module reads with strict=True: a field that begins
 * with a quote ends at the next quote that is not doubled, and may hold separators, line breaks and doubled
 * quotes; a quote inside another field is a character like any other. TSV, here, has no quotes: each is a
 * character (csv.QUOTE_NONE), as in GLUE's files and in IANA's text/tab-separated-values. What Excel saves as
 * tab-delimited text has quotes: it is CSV whose separator is a tab.
 *
 * Lines end in LF, CRLF or CR. Empty lines are no rows. */
#ifndef RP_LOADER_TABLE_H
#define RP_LOADER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RP_TABLE_ROW_MAX = 16 << 20,  /* bytes of a row */
    RP_TABLE_COLUMNS_MAX = 16384, /* as many as Excel has */
};

/* UTF-8 without quotes around it and with single quotes for doubled ones; it may hold any character, NUL too.
 */
typedef struct rp_table_field {
    const char *data; /* not NUL-terminated */
    size_t size;
    size_t at; /* bytes of the row before the field, or before the quote that it begins with */
} rp_table_field;

/* One row. What it points to lives until the next call, or until the caller's bytes are moved or changed. */
typedef struct rp_table_row {
    const rp_table_field *fields; /* [count], at most table->columns of them */
    size_t count; /* fields: in a bad row there may be more than columns, or they are no UTF-8; 0 where quotes
                     are broken, and of a first row that is no UTF-8 */
    const char *data; /* the row as it stands in the file, without its line end */
    size_t size;
    size_t end_size;   /* bytes of its line end; 0: the file ends without one */
    uint64_t line;     /* of the file, from 1: where the row begins */
    uint64_t offset;   /* bytes of the file before it */
    char mistake[160]; /* why it cannot be used, and what to do; "" for a good row */
} rp_table_row;

/* Reads one file. Zero-initialise, set what is above the line, and call rp_table_finish at the end. Used by
 * one thread at a time. */
typedef struct rp_table {
    char separator; /* 0: ',', ';' or a tab, whichever the first row has most of */
    bool literal;   /* quotes are characters like any other: TSV */
    size_t columns; /* of every row; 0: as many as the first row has */
    size_t longest; /* bytes of a row; 0: RP_TABLE_ROW_MAX */
    /* ---- */
    uint64_t line, offset; /* lines and bytes of the file before what comes next */
    bool started;          /* what the file begins with has been looked at */
    int state;
    size_t scanned, line_end, last_line; /* of the row that is being looked for */
    uint64_t breaks;                     /* line breaks inside it */
    uint64_t dropped;                    /* bytes of it that were too many */
    size_t single;                       /* bytes to come in which no row has more than one line */
    size_t seen[3];                      /* separators */
    rp_table_field *fields;
    size_t room; /* of fields */
    char *text;  /* fields that had doubled quotes */
    size_t text_room;
} rp_table;

typedef enum rp_table_step {
    RP_TABLE_ROW,  /* `*row` is the next one; a bad one has its mistake, and those behind it can be read */
    RP_TABLE_MORE, /* the row ends behind these bytes: call again with more of them, or with `ended` */
    RP_TABLE_END,
    RP_TABLE_MEMORY, /* there was none left; the row is lost, and those behind it can be read */
} rp_table_step;

/* Look for the next row in data[0..size), which continues where the last call left off; `ended`: the file
 * has nothing behind it. Before the next call the caller drops the first `*taken` bytes. At most
 * table->longest + 2 bytes have to be held at a time, and the time is linear in the bytes of the file,
 * however they are cut into calls.
 *
 * Where quotes are broken (one is never closed, or text stands behind a closing one), the row is the line it
 * began in, and fails alone: what follows is read anew from the next line. */
rp_table_step rp_table_next(rp_table *table, const char *data, size_t size, bool ended, rp_table_row *row,
                            size_t *taken);

/* The next bytes are those of the row at `offset`, in line `line`, which was given before; for rows in
 * another order than the file's. Separator and columns stay. */
void rp_table_seek(rp_table *table, uint64_t offset, uint64_t line);

/* Free what the reader holds and zero it. Allowed on a zeroed one. */
void rp_table_finish(rp_table *table);

#endif
