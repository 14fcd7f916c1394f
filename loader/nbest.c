/* N-best lists of translation systems, in the format of Moses. */
#include "loader/nbest.h"

#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/call.h"
#include "base/os.h"
#include "loader/json.h"
#include "loader/labels.h"
#include "loader/unicode.h"

enum { CHUNK = 64 << 10 };

/* ---- lines ---- */

rp_status rp_lines_open(rp_lines *lines, const char *path, rp_error *err) {
    uint64_t size;
    *lines = (rp_lines){.path = path, .fd = -1};
    return rp_file_open(path, &lines->fd, &size, err);
}

void rp_lines_close(rp_lines *lines) {
    if (lines->fd >= 0) rp_os_close(lines->fd);
    free(lines->buffer);
    *lines = (rp_lines){.fd = -1};
}

/* Hold more of the file. */
static rp_status read_more(rp_lines *l, rp_error *err) {
    rp_status status = rp_call_check(err);
    if (status) return status;
    if (l->begin) {
        memmove(l->buffer, l->buffer + l->begin, l->end - l->begin);
        l->end -= l->begin;
        l->begin = 0;
    }
    if (l->end == l->room && !rp_grow((void **)&l->buffer, &l->room, l->room ? 2 * l->room : CHUNK, 1))
        return rp_fail_memory(err, "a line", 2ull * l->room);
    ssize_t got;
    do got = rp_os_read(l->fd, l->buffer + l->end, l->room - l->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk", rp_path_shown(l->path),
                       strerror(errno));
    l->end += (size_t)got;
    l->ended = !got;
    return RP_OK;
}

/* A line is cut off at its end and checked. */
static rp_status take_line(rp_lines *l, size_t size, rp_text *line, rp_error *err) {
    const char *data = l->buffer + l->begin;
    if (size && data[size - 1] == '\r') size--;
    if (l->line == 1 && size >= 3 && !memcmp(data, "\xef\xbb\xbf", 3)) {
        data += 3;
        size -= 3;
    }
    size_t bad = rp_utf8_check(data, size);
    if (bad < size)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: line %llu is not valid UTF-8 at byte %zu; convert the file to UTF-8",
                       rp_path_shown(l->path), (unsigned long long)l->line, bad);
    *line = (rp_text){data, size};
    return RP_OK;
}

rp_status rp_lines_next(rp_lines *l, rp_text *line, rp_error *err) {
    rp_status status = RP_OK;
    size_t seen = 0; // of what is held, no line end
    *line = (rp_text){0};
    for (;;) {
        size_t held = l->end - l->begin;
        const char *found = held > seen ? memchr(l->buffer + l->begin + seen, '\n', held - seen) : NULL;
        size_t size = found ? (size_t)(found - l->buffer) - l->begin : held;
        if (size > RP_LINE_BYTES_MAX)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: line %llu is longer than %d MiB; cut it into parts",
                           rp_path_shown(l->path), (unsigned long long)l->line + 1, RP_LINE_BYTES_MAX >> 20);
        if (found || (l->ended && held)) {
            l->line++;
            status = take_line(l, size, line, err);
            l->begin += size + (found != NULL);
            return status;
        }
        if (l->ended) return RP_OK;
        seen = held;
        status = read_more(l, err);
        if (status) return status;
    }
}

/* ---- one line of a list ---- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static rp_text trim(rp_text text) {
    while (text.size && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size && is_blank(text.data[text.size - 1])) text.size--;
    return text;
}

/* Cut the field before the next "|||" off `*rest`; false: it was the last one. */
static bool next_field(rp_text *rest, rp_text *field) {
    const char *data = rest->data;
    for (size_t at = 0; at + 3 <= rest->size; at++) {
        if (memcmp(data + at, "|||", 3)) continue;
        if (at && !is_blank(data[at - 1])) continue;
        if (at + 3 < rest->size && !is_blank(data[at + 3])) continue;
        *field = trim((rp_text){data, at});
        *rest = (rp_text){data + at + 3, rest->size - at - 3};
        return true;
    }
    *field = trim(*rest);
    *rest = (rp_text){data + rest->size, 0};
    return false;
}

static rp_status read_id(rp_text field, uint64_t *id, rp_error *err) {
    uint64_t value = 0;
    for (size_t i = 0; i < field.size; i++) {
        if (field.data[i] < '0' || field.data[i] > '9' || i == 18) field.size = 0;
        value = 10 * value + (uint64_t)(field.data[i] - '0');
    }
    if (!field.size)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "does not begin with an id, which is a whole number, from 0: write ID ||| HYPOTHESIS "
                       "||| FEATURES ||| TOTAL");
    *id = value;
    return RP_OK;
}

rp_status rp_nbest_parse(rp_text line, uint64_t *id, rp_hypothesis *out, rp_error *err) {
    rp_text rest = line, fields[4];
    size_t count = 0;
    *out = (rp_hypothesis){0};
    for (bool more = true; more && count < 4; count++) more = next_field(&rest, &fields[count]);
    if (count < 4)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "has %zu of the four fields between \" ||| \": write ID ||| HYPOTHESIS ||| FEATURES "
                       "||| TOTAL",
                       count);
    rp_error why = {0};
    rp_status status = read_id(fields[0], id, err);
    if (!status && (status = rp_label_number(fields[3], &out->total, &why)))
        status = status == RP_ERROR_HOST_MEMORY
                     ? rp_fail(err, status, "%s", why.message)
                     : rp_fail(err, RP_ERROR_FORMAT,
                               "its fourth field, the total, is no finite number, but '%.*s'",
                               rp_label_fit(fields[3]), fields[3].data);
    out->text = fields[1];
    out->features = fields[2];
    return status;
}

/* ---- lists ---- */

/* Where the texts of a hypothesis lie: the memory of a group moves while it grows. */
typedef struct place {
    size_t text, features;
} place;

struct rp_nbest {
    rp_lines lines;
    char *path;
    char *bytes; /* [used] the texts of a group */
    size_t used, room;
    rp_hypothesis *items; /* [count] */
    place *places;        /* [count] */
    size_t count, item_room, place_room;
    rp_text next; /* a line that was read and belongs to the next group; data NULL: none */
    uint64_t id;  /* of the group */
    bool any;     /* there was one */
};

rp_status rp_nbest_open(const char *path, rp_nbest **out, rp_error *err) {
    if (!path || !out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_nbest_open: path and out must not be NULL");
    *out = NULL;
    rp_nbest *list = rp_new(rp_nbest);
    if (!list) return rp_fail_memory(err, "an n-best list", sizeof *list);
    list->lines.fd = -1;
    list->path = strdup(path);
    rp_status status = list->path ? rp_lines_open(&list->lines, list->path, err)
                                  : rp_fail_memory(err, "an n-best list", strlen(path));
    if (status)
        rp_nbest_close(&list);
    else
        *out = list;
    return status;
}

void rp_nbest_close(rp_nbest **list) {
    if (!list || !*list) return;
    rp_lines_close(&(*list)->lines);
    free((*list)->path);
    free((*list)->bytes);
    free((*list)->items);
    free((*list)->places);
    free(*list);
    *list = NULL;
}

static bool keep_text(rp_nbest *l, rp_text text, size_t *at) {
    if (!rp_grow((void **)&l->bytes, &l->room, l->used + text.size + 1, 1)) return false;
    *at = l->used;
    if (text.size) memcpy(l->bytes + l->used, text.data, text.size);
    l->used += text.size;
    l->bytes[l->used++] = '\0';
    return true;
}

static rp_status add_line(rp_nbest *l, rp_hypothesis *hypothesis, rp_error *err) {
    place p;
    size_t held = l->used + l->count * (sizeof *l->items + sizeof *l->places);
    if (held > RP_NBEST_BYTES_MAX)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: line %llu: id %llu has more than %d MiB of hypotheses; list "
                       "fewer of them",
                       rp_path_shown(l->path), (unsigned long long)l->lines.line, (unsigned long long)l->id,
                       RP_NBEST_BYTES_MAX >> 20);
    if (!keep_text(l, hypothesis->text, &p.text) || !keep_text(l, hypothesis->features, &p.features) ||
        !rp_grow((void **)&l->items, &l->item_room, l->count + 1, sizeof *l->items) ||
        !rp_grow((void **)&l->places, &l->place_room, l->count + 1, sizeof *l->places))
        return rp_fail_memory(err, "an n-best list", l->used);
    hypothesis->place = (uint32_t)l->count;
    l->items[l->count] = *hypothesis;
    l->places[l->count++] = p;
    return RP_OK;
}

/* Take the line into the group; `*other`: it belongs to the next one, and is left. */
static rp_status take_hypothesis(rp_nbest *l, rp_text line, bool *other, rp_error *err) {
    rp_hypothesis hypothesis;
    uint64_t id;
    rp_error why = {0};
    rp_status status = rp_nbest_parse(line, &id, &hypothesis, &why);
    if (status)
        return rp_fail(err, status, "%s: line %llu %s", rp_path_shown(l->path),
                       (unsigned long long)l->lines.line, why.message);
    *other = l->count && id != l->id;
    if (*other) return RP_OK;
    if (!l->count && l->any && id <= l->id)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: line %llu has the id %llu behind %llu: sort the lines by their ids (sort -s -n)",
                       rp_path_shown(l->path), (unsigned long long)l->lines.line, (unsigned long long)id,
                       (unsigned long long)l->id);
    l->id = id;
    l->any = true;
    return add_line(l, &hypothesis, err);
}

rp_status rp_nbest_next(rp_nbest *l, uint64_t *id, rp_hypothesis **items, size_t *count, rp_error *err) {
    bool other = false;
    if (!l || !id || !items || !count)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_nbest_next: no argument may be NULL");
    *items = NULL;
    *count = l->count = l->used = 0;
    rp_text line = l->next;
    rp_status status = line.data ? RP_OK : rp_lines_next(&l->lines, &line, err);
    for (; !status && line.data; status = rp_lines_next(&l->lines, &line, err)) {
        if (trim(line).size) status = take_hypothesis(l, line, &other, err);
        if (status || other) break;
    }
    if (status) return status;
    l->next = other ? line : (rp_text){0};
    for (size_t i = 0; i < l->count; i++) {
        l->items[i].text.data = l->bytes + l->places[i].text;
        l->items[i].features.data = l->bytes + l->places[i].features;
    }
    *id = l->id;
    *items = l->items;
    *count = l->count;
    return RP_OK;
}
