/* The rows of a file of labelled data: found and checked once, then read in any order. */
#include "base/os.h"
#include "loader/data_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/call.h"

enum { MOST_LABELS = 256 }; /* of a row */

static const char *const formats[] = {
    [RP_DATA_TSV] = "tsv",     [RP_DATA_CSV] = "csv",     [RP_DATA_COLA] = "cola",
    [RP_DATA_JSONL] = "jsonl", [RP_DATA_CONLL] = "conll", [RP_DATA_SQUAD] = "squad",
};

bool rp_data_format_of(const char *name, rp_data_format *out) {
    for (size_t i = RP_DATA_TSV; i < RP_COUNT(formats); i++) {
        if (strcmp(name, formats[i])) continue;
        *out = (rp_data_format)i;
        return true;
    }
    return false;
}

/* ---- which format ---- */

/* A .json file is lines of objects where its first line is an object that is no SQuAD. */
static rp_status look_at_json(rp_data *d, rp_error *err) {
    rp_data_unit unit;
    rp_data_row row = {0};
    rp_error why;
    bool found = false;
    d->format = RP_DATA_JSONL;
    rp_status status = rp_data_source_open(d, err);
    if (!status) status = rp_data_next(d, &unit, &found, err);
    if (status == RP_ERROR_FORMAT) status = RP_OK; /* one long line */
    rp_status read = !status && found ? rp_data_row_json(d, &unit, &row, &why) : RP_ERROR_FORMAT;
    if (!read) return RP_OK;
    if (read == RP_ERROR_HOST_MEMORY) return rp_fail(err, read, "%s", why.message);
    bool object = found && d->json.root.type == RP_JSON_OBJECT;
    if (status || (object && !rp_json_get(&d->json.root, "data"))) return status;
    d->format = RP_DATA_SQUAD;
    return RP_OK;
}

static rp_status choose_format(rp_data *d, rp_error *err) {
    static const struct {
        const char *end;
        rp_data_format format;
    } ends[] = {{".tsv", RP_DATA_TSV},      {".csv", RP_DATA_CSV},    {".jsonl", RP_DATA_JSONL},
                {".ndjson", RP_DATA_JSONL}, {".json", RP_DATA_SQUAD}, {".conll", RP_DATA_CONLL},
                {".iob", RP_DATA_CONLL},    {".iob2", RP_DATA_CONLL}, {".bio", RP_DATA_CONLL}};
    d->format = d->params.format == RP_DATA_COLA ? RP_DATA_COLA : d->params.format;
    if (d->format) return RP_OK;
    size_t size = strlen(d->path);
    for (size_t i = 0; i < RP_COUNT(ends) && !d->format; i++) {
        size_t end = strlen(ends[i].end);
        if (size > end && !strcmp(d->path + size - end, ends[i].end)) d->format = ends[i].format;
    }
    if (d->format == RP_DATA_SQUAD) return look_at_json(d, err);
    if (d->format) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "%s: the name does not tell its format; let it end in .tsv, .csv, .jsonl, .conll or "
                   ".json, or name the format",
                   rp_path_shown(d->path));
}

/* ---- one row ---- */

static rp_status check_text(rp_text text, const char *what, rp_error *err) {
    return text.size <= RP_TEXT_BYTES_MAX
               ? RP_OK
               : rp_fail(err, RP_ERROR_FORMAT, "%s has %zu bytes, more than the %d that are taken; cut it",
                         what, text.size, RP_TEXT_BYTES_MAX);
}

static rp_status check_texts(const rp_data_row *row, rp_error *err) {
    bool question = row->kind == RP_DATA_QUESTION;
    const char *item = row->kind == RP_DATA_TOKENS    ? "a token"
                       : row->kind == RP_DATA_CHOICES ? "a choice"
                                                      : "an answer";
    rp_status status = check_text(row->text, question ? "the question" : "the text", err);
    if (!status) status = check_text(row->pair, question ? "the context" : "the second text", err);
    for (size_t i = 0; !status && i < row->item_count; i++) status = check_text(row->items[i], item, err);
    for (size_t i = 0; !status && i < row->label_count; i++) status = rp_label_check(row->labels[i], err);
    return status;
}

/* Numbers of labels are told from a 0 or 1 for each label by that they differ. */
static rp_status check_different(const rp_data_row *row, rp_error *err) {
    if (row->label_count > MOST_LABELS)
        return rp_fail(err, RP_ERROR_FORMAT, "has %zu labels, more than the %d that are taken",
                       row->label_count, MOST_LABELS);
    for (size_t i = 0; i < row->label_count; i++)
        for (size_t k = 0; k < i; k++)
            if (row->labels[i].size == row->labels[k].size &&
                !memcmp(row->labels[i].data, row->labels[k].data, row->labels[i].size))
                return rp_fail(err, RP_ERROR_FORMAT,
                               "has the label '%.*s' twice; list the names or the numbers of its labels",
                               rp_label_fit(row->labels[i]), row->labels[i].data);
    return RP_OK;
}

static rp_status check_labels(const rp_data *d, const rp_data_row *row, rp_error *err) {
    const rp_data_params *p = &d->params;
    double number;
    uint32_t right;
    if (!row->labelled && p->labelled)
        return rp_fail(err, RP_ERROR_FORMAT, "has no %s; write it, or leave the row out",
                       row->kind == RP_DATA_QUESTION ? "answers"
                       : row->kind == RP_DATA_TOKENS ? "tags"
                                                     : "label");
    if (row->kind == RP_DATA_TOKENS && row->labelled && row->label_count != row->item_count)
        return rp_fail(err, RP_ERROR_FORMAT, "has %zu tokens and %zu tags; give each token one",
                       row->item_count, row->label_count);
    if (row->kind == RP_DATA_CHOICES && row->labelled &&
        (row->label_count != 1 || !rp_label_whole(row->labels[0], UINT32_MAX, &right) ||
         right >= row->item_count))
        return rp_fail(err, RP_ERROR_FORMAT, "label is not the number of one of the %zu choices, from 0",
                       row->item_count);
    if (row->kind != RP_DATA_TEXT || !row->labelled) return RP_OK;
    if (!p->many && row->label_count != 1)
        return rp_fail(err, RP_ERROR_FORMAT, "has %zu labels; give it one, or use the multi-label task",
                       row->label_count);
    if (p->numbers) return rp_label_number(row->labels[0], &number, err);
    return p->many ? check_different(row, err) : RP_OK;
}

/* The row of a unit; RP_ERROR_FORMAT without the file where it cannot be used. */
static rp_status make_row(rp_data *d, const rp_data_unit *unit, size_t question, rp_data_row *row,
                          rp_error *err) {
    static const char *const kinds[] = {"nothing", "a text",
                                        "tokens",  "a question with its context",
                                        "choices", "an instance of pre-training"};
    rp_status status;
    *row = (rp_data_row){0};
    if (unit && unit->mistake) return rp_fail(err, RP_ERROR_FORMAT, "%s", unit->mistake);
    if (d->format == RP_DATA_SQUAD)
        status = rp_data_row_squad(d, question, row, err);
    else if (d->format == RP_DATA_JSONL)
        status = rp_data_row_json(d, unit, row, err);
    else
        status = (d->format == RP_DATA_CONLL ? rp_data_row_conll : rp_data_row_table)(d, unit, row, err);
    if (status) return status;
    rp_data_kind wanted = d->params.kind ? d->params.kind : d->kind;
    if (wanted && row->kind != wanted)
        return rp_fail(err, RP_ERROR_FORMAT, "holds %s, and the %s %s", kinds[row->kind],
                       d->params.kind ? "task needs" : "rows before it hold", kinds[wanted]);
    status = check_texts(row, err);
    return status ? status : check_labels(d, row, err);
}

/* ---- the first pass ---- */

static rp_status add_labels(rp_data *d, const rp_data_row *row, rp_error *err) {
    rp_status status = RP_OK;
    bool named = row->kind == RP_DATA_TEXT || row->kind == RP_DATA_TOKENS;
    for (size_t i = 0; d->params.labels && named && !status && i < row->label_count; i++)
        status = rp_labels_add(d->params.labels, row->labels[i], err);
    return status;
}

/* A line that says where a document begins, in CoNLL's files. */
static bool is_mark(const rp_data *d, const rp_data_row *row) {
    static const char start[] = "-DOCSTART-";
    return d->format == RP_DATA_CONLL && row->item_count == 1 && row->items[0].size == sizeof start - 1 &&
           !memcmp(row->items[0].data, start, sizeof start - 1);
}

static rp_status take_row(rp_data *d, const rp_data_unit *unit, size_t question, rp_error *err) {
    rp_data_row row;
    rp_error why = {0};
    rp_status status = make_row(d, unit, question, &row, &why);
    if (!status && is_mark(d, &row)) return RP_OK;
    if (!status) status = add_labels(d, &row, &why);
    if (!status) {
        if (!d->kind) d->kind = row.kind;
        if (!rp_grow((void **)&d->index, &d->capacity, d->count + 1, sizeof *d->index))
            return rp_fail_memory(err, "the index of the rows", 8ull * d->count);
        d->index[d->count++] = unit ? unit->offset : question;
        return RP_OK;
    }
    if (status == RP_ERROR_FORMAT && d->params.skip_bad) {
        d->bad++;
        return RP_OK;
    }
    char place[128];
    int id = row.id.data ? rp_label_fit(row.id) : 0;
    if (unit)
        snprintf(place, sizeof place, "line %llu", (unsigned long long)unit->line);
    else
        snprintf(place, sizeof place, "question %zu%s%.*s", question + 1, id ? ", id " : "", id,
                 id ? row.id.data : "");
    return rp_fail(err, status, "%s: %s: %s%s", rp_path_shown(d->path), place, why.message,
                   status == RP_ERROR_FORMAT && !d->params.fixed ? " (--skip-bad leaves such rows out)" : "");
}

static rp_status first_pass(rp_data *d, rp_error *err) {
    rp_status status = RP_OK;
    if (d->format == RP_DATA_SQUAD) {
        for (size_t i = 0; !status && i < d->question_count; i++) {
            status = rp_call_check(err);
            if (!status) status = take_row(d, NULL, i, err);
            rp_arena_finish(&d->arena);
        }
        return status;
    }
    for (bool found = true; !status && found;) {
        rp_data_unit unit;
        status = rp_data_next(d, &unit, &found, err);
        if (!status && found) status = take_row(d, &unit, 0, err);
        rp_arena_finish(&d->arena);
    }
    return status;
}

/* ---- opening ---- */

static rp_status check_file(const char *path, rp_error *err) {
    rp_os_info info;
    if (rp_os_stat(path, &info))
        return rp_fail(err, RP_ERROR_FILE, "%s: cannot open the file: %s; check the path",
                       rp_path_shown(path), strerror(errno));
    return info.kind == RP_OS_FILE
               ? RP_OK
               : rp_fail(err, RP_ERROR_FILE,
                         "%s: not a regular file; its rows are read in any order, so give the name of a file",
                         rp_path_shown(path));
}

static rp_status copy_params(rp_data *d, const char *path, const rp_data_params *params, rp_error *err) {
    const char **strings[] = {&d->params.text_column, &d->params.pair_column, &d->params.label_column};
    if (params) d->params = *params;
    d->path = rp_arena_copy(&d->strings, path, strlen(path));
    bool ok = d->path;
    for (size_t i = 0; i < RP_COUNT(strings); i++) {
        if (!*strings[i]) continue;
        *strings[i] = rp_arena_copy(&d->strings, *strings[i], strlen(*strings[i]));
        ok = ok && *strings[i];
    }
    return ok ? RP_OK : rp_fail_memory(err, "the name of the data", strlen(path));
}

static rp_status open_rows(rp_data *d, rp_error *err) {
    rp_status status = choose_format(d, err);
    if (status) return status;
    d->table.separator = d->format == RP_DATA_CSV ? 0 : '\t';
    d->table.literal = d->format != RP_DATA_CSV;
    if (d->format == RP_DATA_SQUAD) {
        rp_json_finish(&d->json);
        status = rp_data_squad_open(d, err);
    } else if (d->fd < 0) {
        status = rp_data_source_open(d, err);
    } else { /* looked at before */
        rp_arena_finish(&d->arena);
        d->begin = d->end = 0;
        d->offset = d->line = 0;
    }
    if (!status && d->format <= RP_DATA_COLA) status = rp_data_header(d, err);
    rp_arena_finish(&d->arena);
    if (!status) status = first_pass(d, err);
    if (!status && !d->count)
        status =
            rp_fail(err, RP_ERROR_FORMAT, "%s: has no rows that can be used%s; name a file with rows of data",
                    rp_path_shown(d->path), d->bad ? ", only bad ones" : "");
    return status;
}

rp_status rp_data_open(const char *path, const rp_data_params *params, rp_data **out, rp_error *err) {
    *out = NULL;
    rp_status status = check_file(path, err);
    if (status) return status;
    rp_data *d = rp_new(rp_data);
    if (!d) return rp_fail_memory(err, "the data", sizeof *d);
    d->fd = -1;
    status = copy_params(d, path, params, err);
    if (!status) status = open_rows(d, err);
    if (status) {
        rp_data_close(&d);
        return status;
    }
    if (d->params.labels) rp_labels_sort(d->params.labels);
    d->params.labels = NULL;
    uint64_t *index = realloc(d->index, d->count * sizeof *index);
    if (index) d->index = index, d->capacity = d->count;
    *out = d;
    return RP_OK;
}

void rp_data_close(rp_data **data) {
    rp_data *d = *data;
    if (!d) return;
    if (d->fd >= 0) rp_os_close(d->fd);
    free(d->index);
    free(d->buffer);
    free(d->questions);
    free(d->marks);
    rp_table_finish(&d->table);
    rp_json_finish(&d->json);
    rp_arena_finish(&d->arena);
    rp_arena_finish(&d->strings);
    free(d);
    *data = NULL;
}

uint64_t rp_data_count(const rp_data *d) {
    return d->count;
}

uint64_t rp_data_skipped(const rp_data *d) {
    return d->bad;
}

rp_data_kind rp_data_kind_of(const rp_data *d) {
    return d->kind;
}

/* ---- reading ---- */

void rp_data_rest(rp_data *d) {
    if (d->format == RP_DATA_SQUAD || d->fd < 0) return;
    rp_os_close(d->fd);
    d->fd = -1;
    free(d->buffer);
    d->buffer = NULL;
    d->room = d->begin = d->end = 0;
    rp_arena_finish(&d->arena);
    rp_json_finish(&d->json);
}

static rp_status wake(rp_data *d, rp_error *err) {
    uint64_t size = 0;
    if (d->format == RP_DATA_SQUAD || d->fd >= 0) return RP_OK;
    rp_status status = rp_file_open(d->path, &d->fd, &size, err);
    if (status) d->fd = -1;
    if (!status && size != d->size)
        status = rp_fail(err, RP_ERROR_FILE, "%s: was changed while it was read; start again",
                         rp_path_shown(d->path));
    return status;
}

rp_status rp_data_read(rp_data *d, uint64_t i, rp_data_row *row, rp_error *err) {
    rp_data_unit unit = {0};
    rp_error why = {0};
    bool found = true;
    *row = (rp_data_row){0};
    if (i >= d->count)
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: there is no row %llu", rp_path_shown(d->path),
                       (unsigned long long)i);
    rp_arena_finish(&d->arena);
    rp_status status = wake(d, err);
    if (!status && d->format != RP_DATA_SQUAD) {
        if (d->offset != d->index[i]) rp_data_seek(d, d->index[i], 0);
        status = rp_data_next(d, &unit, &found, err);
    }
    if (status) return status;
    bool same = found && (d->format == RP_DATA_SQUAD || unit.offset == d->index[i]);
    status = same ? make_row(d, &unit, (size_t)d->index[i], row, &why) : RP_ERROR_FORMAT;
    if (!status) return RP_OK;
    *row = (rp_data_row){0};
    return status == RP_ERROR_HOST_MEMORY
               ? rp_fail(err, status, "%s", why.message)
               : rp_fail(err, RP_ERROR_FILE, "%s: was changed while it was read; start again",
                         rp_path_shown(d->path));
}

uint64_t rp_data_line(rp_data *d, uint64_t i) {
    uint64_t lines = 1;
    char chunk[16384];
    if (d->format == RP_DATA_SQUAD || i >= d->count) return 0;
    for (uint64_t at = 0; at < d->index[i];) {
        uint64_t left = d->index[i] - at;
        ssize_t got = rp_os_pread(d->fd, chunk, left < sizeof chunk ? (size_t)left : sizeof chunk, (off_t)at);
        if (got <= 0) return 0;
        for (ssize_t k = 0; k < got; k++) lines += chunk[k] == '\n';
        at += (uint64_t)got;
    }
    return lines;
}

/* The first row that has this label; rp_data_count: none. */
static uint64_t row_with(rp_data *d, const char *label) {
    size_t size = strlen(label);
    for (uint64_t i = 0; i < d->count; i++) {
        rp_data_row row;
        rp_error unwanted;
        if (rp_data_read(d, i, &row, &unwanted)) return d->count;
        for (size_t k = 0; k < row.label_count; k++)
            if (row.labels[k].size == size && !memcmp(row.labels[k].data, label, size)) return i;
    }
    return d->count;
}

rp_status rp_data_map_labels(rp_data *d, const rp_labels *labels, const char *const *names, uint32_t count,
                             rp_label_map *map, rp_error *err) {
    const char *missing = NULL;
    rp_error why = {0};
    rp_status status = rp_label_map_make(map, labels, names, count, &missing, &why);
    if (!status) return RP_OK;
    if (!missing) return rp_fail(err, status, "%s", why.message);
    uint64_t line = rp_data_line(d, row_with(d, missing));
    return line ? rp_fail(err, status, "%s: line %llu: %s", rp_path_shown(d->path), (unsigned long long)line,
                          why.message)
                : rp_fail(err, status, "%s: %s", rp_path_shown(d->path), why.message);
}

/* ---- order ---- */

static uint64_t mix(uint64_t x) { /* the finalizer of splitmix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A Feistel network over the smallest square of a power of two that holds `count`; what falls outside goes
 * through it again. */
uint64_t rp_data_permute(uint64_t i, uint64_t count, uint64_t seed, uint64_t epoch) {
    enum { ROUNDS = 8 };
    unsigned half = 1;
    uint64_t key = mix(mix(seed + 0x9e3779b97f4a7c15u) + epoch);
    if (count < 2) return 0;
    while (half < 32 && (uint64_t)1 << 2 * half < count) half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (unsigned round = 0; round < ROUNDS; round++) {
            uint64_t next = left ^ (mix(right + mix(key + round)) & mask);
            left = right;
            right = next;
        }
        i = left << half | right;
    } while (i >= count);
    return i;
}
