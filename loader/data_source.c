/* The bytes of a file of data, a unit at a time: rows of tables, lines, or blocks of lines. */
#include "base/os.h"
#include "loader/data_parts.h"

#include <errno.h>
#include <string.h>

#include "base/call.h"

enum { CHUNK = 64 << 10, UNIT_MAX = RP_TABLE_ROW_MAX };

/* ---- bytes ---- */

/* Hold more bytes; `*ended`: there are none. */
static rp_status more(rp_data *d, bool *ended, rp_error *err) {
    rp_status status = rp_call_check(err);
    if (status) return status;
    if (d->begin && d->end == d->room) {
        memmove(d->buffer, d->buffer + d->begin, d->end - d->begin);
        d->end -= d->begin;
        d->begin = 0;
    }
    if (d->end == d->room && !rp_grow((void **)&d->buffer, &d->room, d->room ? 2 * d->room : CHUNK, 1))
        return rp_fail_memory(err, "a row of the data", 2ull * d->room);
    ssize_t got;
    do
        got = rp_os_pread(d->fd, d->buffer + d->end, d->room - d->end,
                          (off_t)(d->offset + (d->end - d->begin)));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk", rp_path_shown(d->path),
                       strerror(errno));
    d->end += (size_t)got;
    *ended = !got;
    return RP_OK;
}

static void take(rp_data *d, size_t size) {
    d->begin += size;
    d->offset += size;
}

void rp_data_seek(rp_data *d, uint64_t offset, uint64_t line) {
    bool held = offset >= d->offset && offset - d->offset <= d->end - d->begin;
    if (held) {
        d->begin += (size_t)(offset - d->offset);
    } else {
        d->begin = d->end = 0;
    }
    d->offset = offset;
    d->line = line ? line - 1 : 0;
    rp_table_seek(&d->table, offset, line ? line : 1);
}

rp_status rp_data_source_open(rp_data *d, rp_error *err) {
    bool ended = false;
    rp_status status = rp_file_open(d->path, &d->fd, &d->size, err);
    if (!status) status = more(d, &ended, err);
    if (!status && ended)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: the file is empty; name one with rows of data",
                         rp_path_shown(d->path));
    return status;
}

/* ---- units ---- */

static rp_status next_of_table(rp_data *d, rp_data_unit *unit, bool *found, rp_error *err) {
    static const char *const none = "";
    bool ended = false;
    rp_table_row row;
    size_t taken;
    for (;;) {
        const char *held = d->buffer ? d->buffer + d->begin : none;
        rp_table_step step = rp_table_next(&d->table, held, d->end - d->begin, ended, &row, &taken);
        take(d, taken);
        if (step == RP_TABLE_MEMORY) return rp_fail_memory(err, "a row of the data", d->end);
        *found = step == RP_TABLE_ROW;
        if (step == RP_TABLE_END) return RP_OK;
        if (*found) break;
        rp_status status = more(d, &ended, err);
        if (status) return status;
    }
    char *mistake = NULL;
    if (row.mistake[0] && !(mistake = rp_arena_copy(&d->arena, row.mistake, strlen(row.mistake))))
        return rp_fail_memory(err, "a row of the data", sizeof row.mistake);
    *unit = (rp_data_unit){row.data, row.size, row.offset, row.line, row.fields, row.count, mistake};
    return RP_OK;
}

static bool is_blank(const char *line, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!strchr(" \t\r", line[i]) || !line[i]) return false;
    return true;
}

/* The unit is the next `size` bytes; `lines` end in the `taken` bytes that are done with. */
static void give(rp_data *d, rp_data_unit *unit, size_t size, size_t taken, uint64_t lines) {
    *unit =
        (rp_data_unit){.data = d->buffer + d->begin, .size = size, .offset = d->offset, .line = d->line + 1};
    take(d, taken);
    d->line += lines;
}

/* The next line that is not blank or, of CoNLL, all of them up to one that is. */
static rp_status next_of_lines(rp_data *d, rp_data_unit *unit, bool *found, rp_error *err) {
    size_t whole = 0, looked = 0; /* bytes of lines before this one, and of this one in which none ends */
    uint64_t lines = 0;
    bool ended = false;
    for (*found = true;;) {
        size_t left = d->end - d->begin - whole;
        const char *at = left ? d->buffer + d->begin + whole : "";
        const char *end = left > looked ? memchr(at + looked, '\n', left - looked) : NULL;
        if (whole + left > UNIT_MAX + (size_t)CHUNK && !end)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu: the row is longer than %d bytes; cut it",
                           rp_path_shown(d->path), (unsigned long long)d->line + 1, UNIT_MAX);
        if (!end && !ended) {
            looked = left;
            rp_status status = more(d, &ended, err);
            if (status) return status;
            continue;
        }
        size_t size = end ? (size_t)(end - at) : left, with = size + (end != NULL);
        if (is_blank(at, size)) {
            if (lines) give(d, unit, whole, whole + with, lines + (end != NULL));
            *found = lines || end;
            if (lines || !end) return RP_OK;
            take(d, with);
            d->line++;
        } else {
            lines++;
            whole += with;
            if (d->format == RP_DATA_JSONL || !end) {
                give(d, unit, whole - (end != NULL), whole, lines);
                return RP_OK;
            }
        }
        looked = 0;
    }
}

rp_status rp_data_next(rp_data *d, rp_data_unit *unit, bool *found, rp_error *err) {
    bool ended = false;
    if (d->format <= RP_DATA_COLA) return next_of_table(d, unit, found, err);
    while (!d->offset && d->end - d->begin < 3 && !ended) {
        rp_status status = more(d, &ended, err);
        if (status) return status;
    }
    if (!d->offset && d->end - d->begin >= 3 && !memcmp(d->buffer + d->begin, "\xef\xbb\xbf", 3)) take(d, 3);
    return next_of_lines(d, unit, found, err);
}
