/* What the files data_*.c share: how the bytes of a file become units, and units rows. */
#ifndef RP_LOADER_DATA_PARTS_H
#define RP_LOADER_DATA_PARTS_H

#include "base/alloc.h"
#include "loader/data.h"
#include "loader/json.h"
#include "loader/table.h"

enum { RP_DATA_NO_COLUMN = RP_TABLE_COLUMNS_MAX };

/* What columns and keys are called where the caller names none: as in GLUE's files and their like. The names
 * of a first and a second text; of a text alone; and of a label. A key of JSON is a label by one of the first
 * RP_DATA_KEYS names only: objects have more of them. */
enum { RP_DATA_PAIRS = 6, RP_DATA_TEXTS = 2, RP_DATA_LABELS = 6, RP_DATA_KEYS = 2 };
extern const char *const rp_data_pairs[RP_DATA_PAIRS][2];
extern const char *const rp_data_texts[RP_DATA_TEXTS], *const rp_data_labels[RP_DATA_LABELS];

/* The bytes of one row. */
typedef struct rp_data_unit {
    const char *data;
    size_t size;
    uint64_t offset, line;        /* of the file, where it begins */
    const rp_table_field *fields; /* [field_count] of a table */
    size_t field_count;
    const char *mistake; /* NULL: none so far */
} rp_data_unit;

struct rp_data {
    char *path;
    rp_data_params params; /* with strings in `strings` */
    rp_data_format format;
    rp_data_kind kind; /* of the first row */
    rp_arena strings;
    int fd;
    uint64_t size;
    uint64_t *index; /* [count] where each row begins; of SQuAD's JSON: its place in `questions` */
    size_t count, capacity;
    uint64_t bad;
    /* Where the file is read: buffer[begin..end) are the bytes from `offset` on. */
    char *buffer;
    size_t room, begin, end;
    uint64_t offset, line; /* lines before it */
    rp_table table;
    size_t text, pair, label; /* columns, or RP_DATA_NO_COLUMN */
    /* The row that was read last. */
    rp_arena arena;
    rp_json_document json; /* of SQuAD: the whole file */
    /* SQuAD */
    struct {
        const rp_json *context, *question;
    } * questions; /* [question_count] */
    size_t question_count, question_capacity;
    /* Of the context that was read last: the byte of every 64th code point. */
    const rp_json *marked;
    uint32_t *marks;
    size_t mark_count, mark_capacity;
    uint64_t points; /* of it, in all */
};

/* ---- data_source.c ---- */

rp_status rp_data_source_open(rp_data *d, rp_error *err);

/* The next unit of the file. `*found` false: there is none. */
rp_status rp_data_next(rp_data *d, rp_data_unit *unit, bool *found, rp_error *err);

/* The next unit is the one at `offset`. */
void rp_data_seek(rp_data *d, uint64_t offset, uint64_t line);

/* Choose the columns of a table by its header or, of CoLA, see that it has none. RP_ERROR_FORMAT. */
rp_status rp_data_header(rp_data *d, rp_error *err);

/* ---- rows: RP_ERROR_FORMAT, without the file, for one that cannot be used, and RP_ERROR_HOST_MEMORY ---- */

rp_status rp_data_row_table(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err);
rp_status rp_data_row_json(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err);
rp_status rp_data_row_conll(rp_data *d, const rp_data_unit *unit, rp_data_row *row, rp_error *err);

/* An instance: the object that was read. */
rp_status rp_data_row_instance(rp_data *d, const rp_json *root, rp_data_row *row, rp_error *err);

/* List the questions of SQuAD's JSON, which is read whole. */
rp_status rp_data_squad_open(rp_data *d, rp_error *err);
rp_status rp_data_row_squad(rp_data *d, size_t i, rp_data_row *row, rp_error *err);

#endif
