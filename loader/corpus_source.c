/* The lines of the files of a corpus. */
#include "base/os.h"
#include "loader/corpus_parts.h"

#include <errno.h>
#include <stdio.h>

#include "base/call.h"
#include "loader/json.h"
#include "loader/unicode.h"

enum { CHUNK = 64 << 10 };

/* ---- files ---- */

static void close_file(rp_corpus_source *s) {
    if (s->fd >= 0) rp_os_close(s->fd);
    s->fd = -1;
}

static rp_status fail_changed(const rp_corpus_source *s, rp_error *err) {
    return rp_fail(err, RP_ERROR_FILE, "%s: was changed while it was read; start again",
                   rp_path_shown(s->files[s->file].path));
}

/* Read on at byte `offset` of file number `file`. */
static rp_status open_file(rp_corpus_source *s, size_t file, uint64_t offset, rp_error *err) {
    if (s->fd < 0 || s->file != file) {
        uint64_t size;
        close_file(s);
        s->begin = s->end = 0;
        s->file = file;
        rp_status status = rp_file_open(s->files[file].path, &s->fd, &size, err);
        if (status) {
            s->fd = -1;
            return status;
        }
        if (size != s->files[file].size) return fail_changed(s, err);
    } else if (offset >= s->offset && offset - s->offset <= s->end - s->begin) {
        s->begin += (size_t)(offset - s->offset);
    } else {
        s->begin = s->end = 0;
    }
    s->offset = offset;
    s->line = 0;
    return RP_OK;
}

rp_status rp_corpus_source_open(rp_corpus_source *s, const char *const *paths, size_t count, rp_error *err) {
    uint64_t place = 0;
    s->fd = -1;
    s->files = rp_new_array(rp_corpus_file, count);
    if (!s->files) return rp_fail_memory(err, "the files of the corpus", count * sizeof *s->files);
    for (size_t i = 0; i < count; i++) {
        rp_corpus_file *file = &s->files[i];
        file->start = place;
        rp_status status = rp_file_open(paths[i], &s->fd, &file->size, err);
        if (status) {
            s->fd = -1;
            return status;
        }
        close_file(s);
        file->path = rp_arena_copy(&s->strings, paths[i], strlen(paths[i]));
        if (!file->path) return rp_fail_memory(err, "the files of the corpus", strlen(paths[i]));
        if (file->size >> 47 || (place += file->size) >> 47)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: the corpus is larger than 128 TiB; name fewer files",
                           rp_path_shown(paths[i]));
        s->file_count++;
    }
    return RP_OK;
}

void rp_corpus_source_close(rp_corpus_source *s) {
    close_file(s);
    free(s->files);
    free(s->buffer);
    rp_arena_finish(&s->strings);
}

rp_status rp_corpus_seek(rp_corpus_source *s, uint64_t place, rp_error *err) {
    size_t first = 0, last = s->file_count;
    while (last - first > 1) {
        size_t middle = first + (last - first) / 2;
        if (s->files[middle].start <= place)
            first = middle;
        else
            last = middle;
    }
    return open_file(s, first, place - s->files[first].start, err);
}

/* ---- bytes ---- */

/* Hold more bytes of the file; `*ended`: there are none. */
static rp_status more(rp_corpus_source *s, bool *ended, rp_error *err) {
    rp_status status = rp_call_check(err);
    if (status) return status;
    if (s->begin && s->end == s->room) {
        memmove(s->buffer, s->buffer + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->end == s->room && !rp_grow((void **)&s->buffer, &s->room, s->room ? 2 * s->room : CHUNK, 1))
        return rp_fail_memory(err, "a line of the corpus", 2ull * s->room);
    ssize_t got;
    do
        got = rp_os_pread(s->fd, s->buffer + s->end, s->room - s->end,
                          (off_t)(s->offset + (s->end - s->begin)));
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot be read: %s; check the disk",
                       rp_path_shown(s->files[s->file].path), strerror(errno));
    s->end += (size_t)got;
    *ended = !got;
    return RP_OK;
}

/* The bytes of the next line, with its end; of a line that is too long only RP_CORPUS_LINE_MAX + 1 of them
 * are kept. */
static rp_status whole_line(rp_corpus_source *s, size_t *size, uint64_t *taken, rp_error *err) {
    size_t looked = 0;
    bool ended = false;
    *taken = 0; /* before what is held, of a line that is too long */
    for (;;) {
        size_t left = s->end - s->begin;
        const char *at = left ? s->buffer + s->begin : "";
        const char *end = left > looked ? memchr(at + looked, '\n', left - looked) : NULL;
        if (end || ended) {
            *size = end ? (size_t)(end - at) + 1 : left;
            return RP_OK;
        }
        looked = left;
        if (left > RP_CORPUS_LINE_MAX) {
            size_t drop = left - RP_CORPUS_LINE_MAX;
            s->begin += drop;
            s->offset += drop;
            *taken += drop;
            looked -= drop;
        }
        rp_status status = more(s, &ended, err);
        if (status) return status;
    }
}

/* ---- lines ---- */

/* Leave out the white space around the text of `line`, which is valid. */
static void strip(rp_corpus_line *line) {
    size_t at = 0, begin = 0, end = 0;
    bool text = false;
    while (at < line->size) {
        size_t before = at;
        bool space = rp_char_is_space(rp_utf8_next(line->text, &at));
        if (!space && !text) begin = before;
        if (!space) end = at;
        text = text || !space;
    }
    line->text += begin;
    line->size = end - begin;
}

static void check(rp_corpus_line *line) {
    size_t good = rp_utf8_check(line->text, line->size);
    const char *nul = memchr(line->text, '\0', line->size);
    if (line->size > RP_CORPUS_LINE_MAX)
        snprintf(line->mistake, sizeof line->mistake,
                 "is longer than %d bytes; put a sentence or a paragraph on a line", RP_CORPUS_LINE_MAX);
    else if (nul)
        snprintf(line->mistake, sizeof line->mistake,
                 "holds a NUL byte, which plain text does not; save the file as UTF-8");
    else if (good < line->size)
        snprintf(line->mistake, sizeof line->mistake, "byte %zu is not valid UTF-8; save the file as UTF-8",
                 good + 1);
}

rp_status rp_corpus_next(rp_corpus_source *s, rp_corpus_line *line, bool *found, rp_error *err) {
    size_t size;
    uint64_t taken;
    *found = true;
    *line = (rp_corpus_line){.text = ""};
    while (s->fd < 0 || s->offset >= s->files[s->file].size) {
        bool first = s->fd < 0;
        if (!first && s->file + 1 == s->file_count) *found = false;
        if (!*found) return RP_OK;
        size_t next = first ? 0 : s->file + 1;
        rp_status status = open_file(s, next, 0, err);
        line->place = s->files[next].start;
        if (status || !first) return status;
    }
    line->place = s->files[s->file].start + s->offset;
    rp_status status = whole_line(s, &size, &taken, err);
    if (status) return status;
    if (!size) return fail_changed(s, err);
    line->text = s->buffer + s->begin;
    line->size = size;
    s->begin += size;
    s->offset += size;
    s->line++;
    if (taken) line->size = RP_CORPUS_LINE_MAX + 1;
    static const char mark[] = "\xef\xbb\xbf";
    bool marked = line->place == s->files[s->file].start && line->size >= 3 && !memcmp(line->text, mark, 3);
    if (marked && !taken) {
        line->text += 3;
        line->size -= 3;
    }
    check(line);
    if (!line->mistake[0]) strip(line);
    return RP_OK;
}
