#include "loader/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/utf8.h"

enum {
    AT_START = 0, /* of a field */
    IN_PLAIN,
    IN_QUOTES,
    BEHIND_QUOTE, /* a closing one, or the first of a doubled one */
    IN_BROKEN,    /* text stands behind a closing quote: the line is bad */
    IN_LONG,      /* the line is too long: nothing of it is kept */
};

static const char separators[3] = {'\t', ';', ','}; /* a column's name rather has a comma in it than a tab */

/* Where a row ends. */
typedef struct extent {
    size_t size, end_size; /* bytes of the row and of its line end */
    uint64_t breaks;       /* line breaks inside it */
    const char *mistake;   /* NULL: none so far */
} extent;

static const char NEVER_CLOSED[] =
    "a quote that opens a field here is never closed; close it, or double the quotes inside the field";
static const char TEXT_BEHIND[] =
    "text stands behind a closing quote; double the quotes that are inside a field";
static const char TOO_LONG[] = "the line is longer than is taken; cut it into shorter ones";
static const char ROW_TOO_LONG[] =
    "the row that begins here is longer than is taken; close its quotes, or cut it into shorter ones";

static bool is_break(char c) {
    return c == '\n' || c == '\r';
}

static bool is_separator(const rp_table *t, char c) {
    return t->separator ? c == t->separator : c == ',' || c == ';' || c == '\t';
}

static void begin_row(rp_table *t) {
    t->state = AT_START;
    t->scanned = t->line_end = t->last_line = 0;
    t->breaks = t->dropped = 0;
}

/* ---- where a row ends ---- */

/* The state behind `c`, which is no line break that ends a row. */
static int next_state(rp_table *t, char c) {
    bool separates = is_separator(t, c);
    if (separates && t->state <= BEHIND_QUOTE && t->state != IN_QUOTES) {
        for (int i = 0; i < 3; i++) t->seen[i] += c == separators[i];
        return AT_START;
    }
    switch (t->state) {
    case AT_START:
        return c == '"' && !t->literal ? IN_QUOTES : IN_PLAIN;
    case IN_QUOTES:
        return c == '"' ? BEHIND_QUOTE : IN_QUOTES;
    case BEHIND_QUOTE:
        return c == '"' ? IN_QUOTES : IN_BROKEN;
    default:
        return t->state;
    }
}

/* Bytes of the line break at data[at]; 0: one more byte is needed to tell. */
static size_t break_size(const char *data, size_t size, size_t at, bool ended) {
    if (data[at] == '\n' || (at + 1 == size && ended)) return 1;
    if (at + 1 == size) return 0;
    return data[at + 1] == '\n' ? 2 : 1;
}

/* The row ends at the line break at `at`. */
static void end_at_break(const rp_table *t, size_t at, size_t end_size, extent *out) {
    *out = (extent){at, end_size, t->breaks, NULL};
    if (t->state == IN_QUOTES) out->mistake = NEVER_CLOSED;
    if (t->state == IN_BROKEN) out->mistake = TEXT_BEHIND;
    if (t->state == IN_LONG) out->mistake = TOO_LONG;
}

/* The row is the line that it began in. The lines up to the one in which that was seen hold rows of one line
 * each: to look for longer ones again and again would take quadratic time. (Where every quote is one that
 * opens, closes or is doubled there are no longer ones: an odd number of quotes stands before each line.) */
static void give_up(rp_table *t, const char *data, size_t size, const char *mistake, extent *out) {
    *out = (extent){t->line_end, break_size(data, size, t->line_end, true), 0, mistake};
    t->single = t->last_line;
}

/* The file ends behind these bytes. */
static void end_at_end(rp_table *t, const char *data, size_t size, extent *out) {
    end_at_break(t, size, 0, out);
    if (t->state == IN_QUOTES && t->breaks) give_up(t, data, size, NEVER_CLOSED, out);
}

/* Look for the end of a row from where the last call stopped. False: it is not in these bytes. */
static bool find_end(rp_table *t, const char *data, size_t size, bool ended, extent *out) {
    const size_t longest = t->longest ? t->longest : RP_TABLE_ROW_MAX;
    for (size_t at = t->scanned; at < size; at++) {
        t->scanned = at;
        bool breaks = is_break(data[at]), inside = t->state == IN_QUOTES && at >= t->single;
        size_t end_size = breaks ? break_size(data, size, at, ended) : 0;
        if (breaks && !end_size) return false;
        if (at >= longest && t->state != IN_LONG && (!breaks || inside)) {
            if (t->breaks) {
                give_up(t, data, size, ROW_TOO_LONG, out);
                return true;
            }
            t->state = IN_LONG;
        }
        if (breaks && !(inside && t->state == IN_QUOTES)) {
            end_at_break(t, at, end_size, out);
            return true;
        }
        if (breaks) {
            if (!t->breaks++) t->line_end = at;
            at += end_size - 1;
            t->last_line = at + 1;
            continue;
        }
        t->state = next_state(t, data[at]);
        if (t->state == IN_BROKEN && t->breaks) {
            give_up(t, data, size, TEXT_BEHIND, out);
            return true;
        }
    }
    t->scanned = size;
    if (ended) end_at_end(t, data, size, out);
    return ended;
}

/* The separator that the first row has most of. */
static void choose_separator(rp_table *t) {
    int best = 2;
    for (int i = 2; i >= 0; i--)
        if (t->seen[i] && t->seen[i] >= t->seen[best]) best = i;
    t->separator = separators[best];
}

/* ---- fields ---- */

/* A field more, or NULL. */
static rp_table_field *new_field(rp_table *t, size_t count) {
    if (count == t->room) {
        size_t room = t->room ? 2 * t->room : 16;
        rp_table_field *fields = realloc(t->fields, room * sizeof *fields);
        if (!fields) return NULL;
        t->fields = fields;
        t->room = room;
    }
    return &t->fields[count];
}

/* The text of the quoted field whose content is text[0..size), with single quotes for doubled ones; `*used`
 * bytes of t->text are taken. False: out of memory. `row` bytes are the most that a row needs. */
static bool undouble(rp_table *t, const char *text, size_t size, size_t row, size_t *used,
                     rp_table_field *out) {
    *out = (rp_table_field){.data = text, .size = size, .at = out->at};
    if (!memchr(text, '"', size)) return true;
    if (row > t->text_room) { /* never while a field of this row lies there: it would be large enough */
        free(t->text);
        t->text_room = 0;
        t->text = malloc(row);
        if (!t->text) return false;
        t->text_room = row;
    }
    char *to = t->text + *used;
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        to[count++] = text[i];
        if (text[i] == '"') i++;
    }
    out->data = to;
    out->size = count;
    *used += count;
    return true;
}

/* Where the field that begins at `at` ends. */
static size_t field_end(const rp_table *t, const char *data, size_t size, size_t at) {
    if (!t->literal && at < size && data[at] == '"') {
        at++;
        while (at < size && (data[at] != '"' || (at + 1 < size && data[at + 1] == '"')))
            at += data[at] == '"' ? 2 : 1;
        return at < size ? at + 1 : size;
    }
    const char *found = at < size ? memchr(data + at, t->separator, size - at) : NULL;
    return found ? (size_t)(found - data) : size;
}

/* Cut a row whose quotes are right into fields, of which `most` are kept and all are counted. */
static bool split(rp_table *t, rp_table_row *row, size_t most) {
    size_t used = 0;
    for (size_t at = 0;; at++) {
        size_t end = field_end(t, row->data, row->size, at);
        if (row->count < most) {
            rp_table_field *field = new_field(t, row->count);
            if (!field) return false;
            *field = (rp_table_field){row->data + at, end - at, at};
            if (!t->literal && at < end && row->data[at] == '"' &&
                !undouble(t, row->data + at + 1, end - at - 2, row->size, &used, field))
                return false;
        }
        row->count++;
        at = end;
        if (at >= row->size) break;
    }
    row->fields = t->fields;
    return true;
}

/* ---- rows ---- */

static void blame(rp_table_row *row, const char *mistake) {
    snprintf(row->mistake, sizeof row->mistake, "%s", mistake);
}

static void check_text(rp_table_row *row) {
    const unsigned char *text = (const unsigned char *)row->data;
    bool wide = !row->offset && row->size >= 2 &&
                (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2) || !text[0] != !text[1]);
    if (wide) {
        blame(row, "the file is UTF-16; save it as UTF-8");
        return;
    }
    for (size_t at = 0; at < row->size;) {
        size_t bytes = rp_utf8_sequence(text + at, row->size - at);
        if (!bytes) {
            snprintf(row->mistake, sizeof row->mistake,
                     "byte %zu of the row is not valid UTF-8; save the file as UTF-8", at);
            return;
        }
        at += bytes;
    }
}

static void check_count(const rp_table *t, rp_table_row *row) {
    if (row->count == t->columns) return;
    const char *advice =
        t->literal && row->count > t->columns
            ? "a field cannot hold a tab; where fields have quotes around them, read it as CSV"
        : t->literal ? "a field cannot hold a line break; where fields have quotes around "
                       "them, read it as CSV"
                     : "put quotes around a field that holds a separator or a line break";
    snprintf(row->mistake, sizeof row->mistake, "has %zu field%s, not %zu; %s", row->count,
             row->count == 1 ? "" : "s", t->columns, advice);
}

/* Fill in what `found` of data[] is. False: out of memory. */
static bool make_row(rp_table *t, const char *data, const extent *found, rp_table_row *row) {
    *row = (rp_table_row){.data = data,
                          .size = found->size,
                          .end_size = found->end_size,
                          .line = t->line + 1,
                          .offset = t->offset};
    if (found->mistake == TOO_LONG) row->size = 0; /* what there still is of it depends on the caller */
    if (found->mistake)
        blame(row, found->mistake);
    else
        check_text(row);
    if (row->mistake[0] && (found->mistake || !t->columns)) return true;
    if (!split(t, row, t->columns ? t->columns : RP_TABLE_COLUMNS_MAX)) return false;
    if (!t->columns && row->count > RP_TABLE_COLUMNS_MAX) {
        snprintf(row->mistake, sizeof row->mistake, "has %zu fields; at most %d are taken", row->count,
                 RP_TABLE_COLUMNS_MAX);
        row->count = RP_TABLE_COLUMNS_MAX;
    }
    if (!t->columns) t->columns = row->count;
    if (!row->mistake[0]) check_count(t, row);
    return true;
}

/* Drop bytes that belong to no row, or to one whose place is known. */
static void pass(rp_table *t, uint64_t bytes, size_t here) {
    t->offset += bytes;
    t->single = t->single > here ? t->single - here : 0;
}

/* Look past a byte order mark. False: more bytes are needed to tell. */
static bool skip_mark(rp_table *t, const char *data, size_t size, bool ended, size_t *taken) {
    static const char mark[] = "\xef\xbb\xbf";
    size_t have = size < 3 ? size : 3;
    bool same = !memcmp(data, mark, have);
    if (same && have < 3 && !ended) return false;
    if (same && have == 3) {
        *taken = 3;
        pass(t, 3, 3);
    }
    t->started = true;
    return true;
}

/* Keep nothing of a line that is too long. */
static void drop(rp_table *t, size_t *taken) {
    *taken += t->scanned;
    t->dropped += t->scanned;
    t->single = t->single > t->scanned ? t->single - t->scanned : 0;
    t->scanned = 0;
}

rp_table_step rp_table_next(rp_table *t, const char *data, size_t size, bool ended, rp_table_row *row,
                            size_t *taken) {
    extent found;
    *taken = 0;
    *row = (rp_table_row){0};
    if (!size && !ended) return RP_TABLE_MORE;
    if (size && !t->started && !skip_mark(t, data, size, ended, taken)) return RP_TABLE_MORE;
    for (;;) {
        const char *here = data + *taken;
        size_t left = size - *taken;
        if (!left && ended && !t->dropped) return RP_TABLE_END;
        if (!find_end(t, here, left, ended, &found)) {
            if (t->state == IN_LONG) drop(t, taken);
            return RP_TABLE_MORE;
        }
        if (!t->separator) {
            choose_separator(t);
            if (!t->dropped) { /* with this one it may end elsewhere */
                begin_row(t);
                t->single = 0;
                continue;
            }
        }
        bool empty = !found.size && !found.mistake && !t->dropped;
        bool made = empty || make_row(t, here, &found, row);
        size_t bytes = found.size + found.end_size;
        *taken += bytes;
        pass(t, t->dropped + bytes, bytes);
        t->line += found.breaks + (found.end_size > 0);
        begin_row(t);
        if (!made) return RP_TABLE_MEMORY;
        if (!empty) return RP_TABLE_ROW;
    }
}

void rp_table_seek(rp_table *t, uint64_t offset, uint64_t line) {
    begin_row(t);
    t->started = true;
    t->single = 0;
    t->offset = offset;
    t->line = line - 1;
}

void rp_table_finish(rp_table *t) {
    free(t->fields);
    free(t->text);
    *t = (rp_table){0};
}
