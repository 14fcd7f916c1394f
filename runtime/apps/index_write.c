/* Making an index: vectors go to the file as they come, texts to a second one that is appended at the end. */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>

#include "apps/index.h"
#include "base/folders.h"
#include "base/half.h"
#include "base/os.h"
#include "loader/json.h"
#include "loader/staging.h"
#include "loader/unicode.h"
#include "tasks/task.h"

struct rp_index_writer {
    rp_model *model; /* NULL: vectors are given */
    rp_embed_params embed;
    char *prompt_name, *prompt; /* copies that `embed` points to; NULL: not given */
    const rp_call *call;
    char *path, *part;     /* the file that is to be, and where it is written; `part` NULL: it is not there */
    FILE *file, *texts;    /* of `part`, and one that has no name */
    rp_index_head head;    /* as far as it is known */
    uint64_t text_bytes;   /* of `texts` */
    rp_index_entry *table; /* [head.count] */
    size_t table_room;
    uint64_t *checks; /* [whole blocks] */
    size_t check_count, check_room;
    uint16_t *block; /* the rows of a block that is not whole */
    uint32_t in_block;
    bool broken; /* a write failed */
};

/* ---- files ---- */

static rp_status fail_write(rp_index_writer *w, rp_error *err) {
    w->broken = true;
    return rp_fail_write(w->part ? w->part : w->path, err);
}

static FILE *open_new(const char *path) {
    int fd = rp_os_open(path, RP_OS_READ | RP_OS_WRITE | RP_OS_CREATE | RP_OS_NEW);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w+b");
    if (fd >= 0 && !file) {
        int why = errno;
        rp_os_close(fd);
        rp_os_unlink(path);
        errno = why;
    }
    return file;
}

/* Both beside `path`, so that the first can be renamed and the second has as much room. */
static rp_status open_files(rp_index_writer *w, rp_error *err) {
    static atomic_uint number;
    rp_os_info info;
    size_t room = strlen(w->path) + 40;
    if (!rp_os_stat(w->path, &info) && info.kind != RP_OS_FILE)
        return rp_fail(err, RP_ERROR_FILE, "%s: it is no regular file, and an index would take its place",
                       rp_path_shown(w->path));
    char *part = malloc(room), *texts = malloc(room);
    if (!part || !texts) {
        free(part);
        free(texts);
        return rp_fail_memory(err, "a path", room);
    }
    unsigned own = atomic_fetch_add(&number, 1);
    snprintf(part, room, "%s.%ld-%u.part", w->path, (long)rp_os_process(), own);
    snprintf(texts, room, "%s.%ld-%u.texts", w->path, (long)rp_os_process(), own);
    w->file = open_new(part);
    if (w->file) w->part = part;
    rp_status status = w->file ? RP_OK : rp_fail_write(part, err);
    if (!status) w->texts = open_new(texts);
    if (!status && !w->texts) status = rp_fail_write(texts, err);
    if (w->texts) rp_os_unlink(texts);
    if (!w->part) free(part);
    free(texts);
    return status;
}

static rp_status put(rp_index_writer *w, FILE *file, const void *data, size_t size, rp_error *err) {
    return fwrite(data, 1, size, file) == size ? RP_OK : fail_write(w, err);
}

/* ---- beginning ---- */

static void destroy(rp_index_writer *w) {
    if (w->file) fclose(w->file);
    if (w->texts) fclose(w->texts);
    if (w->part) rp_os_unlink(w->part);
    free(w->part);
    free(w->path);
    free(w->prompt_name);
    free(w->prompt);
    free(w->table);
    free(w->checks);
    free(w->block);
    free(w);
}

static rp_status copy_text(const char *text, char **out, rp_error *err) {
    *out = text ? strdup(text) : NULL;
    return text && !*out ? rp_fail_memory(err, "a prompt", strlen(text)) : RP_OK;
}

/* An empty text is embedded, which says how wide vectors are and whether what was asked for can be. */
static rp_status ask_model(rp_index_writer *w, rp_error *err) {
    const rp_text nothing = {"", 0};
    rp_result *result = NULL;
    const char *why;
    size_t rows, columns;
    rp_status status = rp_embed(w->model, &nothing, 1, &w->embed, &result, err);
    if (status) return status;
    status = rp_result_status(result, 0, &why);
    if (status) status = rp_fail(err, status, "%s", why);
    rp_result_vectors(result, 0, &rows, &columns);
    rp_result_free(&result);
    if (!status && columns > RP_INDEX_WIDTH_MAX)
        status = rp_fail(err, RP_ERROR_UNSUPPORTED,
                         "rp_index_create: vectors of %zu numbers, and an index takes %d; choose dimensions",
                         columns, RP_INDEX_WIDTH_MAX);
    if (!status) w->head.width = (uint32_t)columns;
    return status;
}

static rp_status note_model(rp_index_writer *w, rp_error *err) {
    rp_index_head *h = &w->head;
    const char *prompt = rp_index_prompt(w->model, &w->embed);
    rp_status status = ask_model(w, err);
    if (status) return status;
    if (strlen(prompt) >= sizeof h->prompt)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "rp_index_create: the prompt has %zu bytes; take at most %zu", strlen(prompt),
                       sizeof h->prompt - 1);
    snprintf(h->prompt, sizeof h->prompt, "%s", prompt);
    rp_index_name(w->model, h->model);
    h->identity = rp_index_identify(w->model);
    h->pooling = w->embed.pooling;
    h->dimensions = w->embed.dimensions;
    return RP_OK;
}

static rp_status check_create(const rp_model *model, const char *path, const rp_index_params *p,
                              rp_index_writer **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_index_create: out must not be NULL");
    *out = NULL;
    if (!path || !*path) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_index_create: path must not be empty");
    if (model ? p->width : !p->width || p->width > RP_INDEX_WIDTH_MAX)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       model ? "rp_index_create: width is %u, and must be 0 where a model makes the vectors"
                             : "rp_index_create: width is %u; without a model it is from 1 to 16384",
                       p->width);
    if (p->pooling == RP_POOLING_NONE)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_index_create: an index has one vector a text; choose a pooling");
    return rp_check_reserved(p->reserved, RP_COUNT(p->reserved), "rp_index_create", err);
}

rp_status rp_index_create(rp_model *model, const char *path, const rp_index_params *params,
                          rp_index_writer **out, rp_error *err) {
    const rp_index_params p = params ? *params : (rp_index_params){0};
    rp_status status = check_create(model, path, &p, out, err);
    if (status) return status;
    rp_index_writer *w = rp_new(rp_index_writer);
    if (!w) return rp_fail_memory(err, "an index", sizeof *w);
    w->model = model;
    w->call = p.call;
    w->head.width = p.width;
    w->path = strdup(path);
    if (!w->path) status = rp_fail_memory(err, "a path", strlen(path));
    if (!status) status = copy_text(p.prompt_name, &w->prompt_name, err);
    if (!status) status = copy_text(p.prompt, &w->prompt, err);
    w->embed = (rp_embed_params){
        .pooling = p.pooling, .dimensions = p.dimensions, .prompt_name = w->prompt_name, .prompt = w->prompt};
    if (!status && model) status = note_model(w, err);
    w->embed.call = p.call;
    if (!status) {
        w->block = rp_new_array(uint16_t, (uint64_t)RP_INDEX_BLOCK * w->head.width);
        if (!w->block)
            status = rp_fail_memory(err, "a block of vectors", RP_INDEX_BLOCK * 2ull * w->head.width);
    }
    if (!status) status = open_files(w, err);
    if (!status) status = put(w, w->file, &w->head, sizeof w->head, err);
    if (status)
        destroy(w);
    else
        *out = w;
    return status;
}

/* ---- adding ---- */

static rp_status check_document(const rp_document *d, size_t i, rp_error *err) {
    size_t bad = d->text.data ? rp_utf8_check(d->text.data, d->text.size) : 0;
    if (bad < d->text.size)
        return rp_fail(err, RP_ERROR_TEXT, "document %zu: the text is not valid UTF-8 at byte %zu", i, bad);
    if (!d->id.data) return RP_OK;
    if (d->id.size >= RP_INDEX_BARE)
        return rp_fail(err, RP_ERROR_TEXT, "document %zu: the id has %zu bytes", i, d->id.size);
    bad = rp_utf8_check(d->id.data, d->id.size);
    if (bad < d->id.size)
        return rp_fail(err, RP_ERROR_TEXT, "document %zu: the id is not valid UTF-8 at byte %zu", i, bad);
    if (d->id_bare && !rp_index_is_bare(d->id))
        return rp_fail(err, RP_ERROR_TEXT,
                       "document %zu: the id is no number, true or false, as id_bare says", i);
    return RP_OK;
}

static bool are_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!isfinite(values[i])) return false;
    return true;
}

/* Of length 1, or zeros. */
static void to_halves(const float *vector, uint32_t width, uint16_t *out) {
    double squares = 0;
    for (uint32_t i = 0; i < width; i++) squares += (double)vector[i] * vector[i];
    double scale = squares > 0 ? 1 / sqrt(squares) : 0;
    for (uint32_t i = 0; i < width; i++) out[i] = rp_float_to_half((float)(vector[i] * scale));
}

static rp_status end_block(rp_index_writer *w, rp_error *err) {
    size_t bytes = (size_t)rp_index_vector_bytes(w->in_block, w->head.width);
    if (!bytes) return RP_OK;
    if (!rp_grow((void **)&w->checks, &w->check_room, w->check_count + 1, sizeof *w->checks)) {
        w->broken = true;
        return rp_fail_memory(err, "checksums", (w->check_count + 1) * sizeof *w->checks);
    }
    w->checks[w->check_count++] = rp_index_hash(w->block, bytes, 0);
    w->in_block = 0;
    return put(w, w->file, w->block, bytes, err);
}

static rp_status append(rp_index_writer *w, const rp_document *d, const float *vector, rp_error *err) {
    size_t id = d->id.data ? d->id.size : 0, text = d->text.data ? d->text.size : 0;
    char *record = malloc(id + text + 1); /* in one piece, for its checksum */
    if (!record) {
        w->broken = true;
        return rp_fail_memory(err, "a document", id + text);
    }
    if (id) memcpy(record, d->id.data, id);
    if (text) memcpy(record + id, d->text.data, text);
    w->table[w->head.count++] =
        (rp_index_entry){w->text_bytes, (uint32_t)id | (d->id_bare && id ? RP_INDEX_BARE : 0),
                         (uint32_t)rp_index_hash(record, id + text, 0)};
    w->text_bytes += id + text;
    rp_status status = put(w, w->texts, record, id + text, err);
    free(record);
    if (status) return status;
    to_halves(vector, w->head.width, w->block + (size_t)w->in_block++ * w->head.width);
    return w->in_block == RP_INDEX_BLOCK ? end_block(w, err) : RP_OK;
}

/* Room in the table for `count` more, and in the file. */
static rp_status make_room(rp_index_writer *w, const rp_document *documents, size_t count, rp_error *err) {
    uint64_t all = w->head.count + count, bytes = w->text_bytes;
    for (size_t i = 0; i < count; i++) bytes += documents[i].id.size + documents[i].text.size;
    bytes += RP_INDEX_HEAD + rp_index_vector_bytes(all, w->head.width) + rp_index_table_bytes(all) +
             rp_index_check_bytes(all) + 8;
    if (all > RP_INDEX_COUNT_MAX || all > SIZE_MAX / sizeof *w->table - 1)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: more documents than an index takes",
                       rp_path_shown(w->path));
    if (!rp_file_limit_allows(bytes)) {
        errno = EFBIG;
        return fail_write(w, err);
    }
    if (!rp_grow((void **)&w->table, &w->table_room, (size_t)all + 1, sizeof *w->table))
        return rp_fail_memory(err, "the table of texts", all * sizeof *w->table);
    return RP_OK;
}

static rp_status check_add(rp_index_writer *w, const rp_document *documents, size_t count, size_t *bad,
                           const char *function, rp_error *err) {
    if (bad) *bad = SIZE_MAX;
    if (!w || (count && !documents))
        return rp_fail(err, RP_ERROR_ARGUMENT, "%s: writer and documents must not be NULL", function);
    if (w->broken)
        return rp_fail(err, RP_ERROR_FILE, "%s: writing failed before; begin the index again",
                       rp_path_shown(w->path));
    for (size_t i = 0; i < count; i++) {
        rp_status status = check_document(&documents[i], i, err);
        if (!status) continue;
        if (bad) *bad = i;
        return status;
    }
    return RP_OK;
}

rp_status rp_index_add_vectors(rp_index_writer *w, const rp_document *documents, const float *vectors,
                               size_t count, size_t *bad, rp_error *err) {
    rp_status status = check_add(w, documents, count, bad, "rp_index_add_vectors", err);
    if (!status && count && !vectors)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_index_add_vectors: vectors must not be NULL");
    for (size_t i = 0; !status && i < count; i++) {
        if (are_finite(vectors + i * w->head.width, w->head.width)) continue;
        if (bad) *bad = i;
        status = rp_fail(err, RP_ERROR_TEXT, "document %zu: a number of its vector is not finite", i);
    }
    if (!status) status = make_room(w, documents, count, err);
    for (size_t i = 0; !status && i < count; i++)
        status = append(w, &documents[i], vectors + i * w->head.width, err);
    return status;
}

static rp_status take_vectors(rp_index_writer *w, const rp_document *documents, size_t count,
                              const rp_result *result, size_t *bad, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t i = 0; i < count; i++) {
        const char *why;
        status = rp_result_status(result, i, &why);
        if (!status) continue;
        if (bad) *bad = i;
        return rp_fail(err, RP_ERROR_TEXT, "document %zu: %s", i, why);
    }
    status = make_room(w, documents, count, err);
    for (size_t i = 0; !status && i < count; i++)
        status = append(w, &documents[i], rp_result_vectors(result, i, NULL, NULL), err);
    return status;
}

rp_status rp_index_add(rp_index_writer *w, const rp_document *documents, size_t count, size_t *bad,
                       rp_error *err) {
    rp_status status = check_add(w, documents, count, bad, "rp_index_add", err);
    if (status) return status;
    if (!w->model)
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_index_add: the writer was made without a model; give vectors, too");
    rp_text *texts = rp_new_array(rp_text, count);
    if (!texts) return rp_fail_memory(err, "the texts of documents", count * sizeof *texts);
    for (size_t i = 0; i < count; i++) texts[i] = documents[i].text;
    rp_result *result = NULL;
    status = rp_embed(w->model, texts, count, &w->embed, &result, err);
    if (!status) status = take_vectors(w, documents, count, result, bad, err);
    rp_result_free(&result);
    free(texts);
    return status;
}

/* ---- ending ---- */

static rp_status append_texts(rp_index_writer *w, rp_error *err) {
    enum { PIECE = 1 << 16 };
    char *piece = malloc(PIECE);
    rp_status status = piece ? RP_OK : rp_fail_memory(err, "a piece of the texts", PIECE);
    uint64_t left = w->text_bytes;
    if (!status && (fflush(w->texts) || fseeko(w->texts, 0, SEEK_SET))) status = fail_write(w, err);
    while (!status && left) {
        size_t some = left < PIECE ? (size_t)left : PIECE;
        if (fread(piece, 1, some, w->texts) != some)
            status = rp_fail(err, RP_ERROR_FILE, "%s: the texts cannot be read back", rp_path_shown(w->path));
        if (!status) status = put(w, w->file, piece, some, err);
        if (!status) status = rp_call_check(err);
        left -= some;
    }
    free(piece);
    return status;
}

static rp_status complete(rp_index_writer *w, rp_error *err) {
    static const char zeros[8] = "";
    rp_index_head *h = &w->head;
    rp_status status;
    RP_TRY(end_block(w, err));
    RP_TRY(append_texts(w, err));
    w->table[h->count] = (rp_index_entry){.at = w->text_bytes};
    memcpy(h->magic, RP_INDEX_MAGIC, sizeof h->magic);
    h->version = RP_INDEX_VERSION;
    h->texts_at = RP_INDEX_HEAD + rp_index_vector_bytes(h->count, h->width);
    h->table_at = rp_round_up(h->texts_at + w->text_bytes, 8);
    h->checks_at = h->table_at + rp_index_table_bytes(h->count);
    h->size = h->checks_at + rp_index_check_bytes(h->count);
    h->table_check = rp_index_hash(w->table, (size_t)rp_index_table_bytes(h->count), 0);
    h->checks_check = rp_index_hash(w->checks, w->check_count * sizeof *w->checks, 0);
    h->check = rp_index_hash(h, offsetof(rp_index_head, check), 0);
    RP_TRY(put(w, w->file, zeros, (size_t)(h->table_at - h->texts_at - w->text_bytes), err));
    RP_TRY(put(w, w->file, w->table, (size_t)rp_index_table_bytes(h->count), err));
    RP_TRY(put(w, w->file, w->checks, w->check_count * sizeof *w->checks, err));
    if (fseeko(w->file, 0, SEEK_SET)) status = fail_write(w, err);
    if (!status) status = put(w, w->file, h, sizeof *h, err);
    if (!status && (fflush(w->file) || rp_os_sync(fileno(w->file)))) status = fail_write(w, err);
done:
    return status;
}

rp_status rp_index_finish(rp_index_writer **writer, rp_error *err) {
    if (!writer || !*writer)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_index_finish: writer must not be NULL");
    rp_index_writer *w = *writer;
    rp_visit visit = {0};
    *writer = NULL;
    rp_status status = rp_visit_enter(&visit, NULL, w->call, "rp_index_finish", err);
    bool entered = !status;
    if (!status && w->broken)
        status = rp_fail(err, RP_ERROR_FILE, "%s: writing failed before", rp_path_shown(w->path));
    if (!status && !w->head.count)
        status = rp_fail(err, RP_ERROR_ARGUMENT, "%s: an index needs at least one document",
                         rp_path_shown(w->path));
    if (!status) status = complete(w, err);
    if (!status && rp_os_rename(w->part, w->path)) status = rp_fail_write(w->path, err);
    if (!status) {
        free(w->part);
        w->part = NULL;
    }
    if (entered) rp_visit_leave(&visit);
    destroy(w);
    return status;
}

void rp_index_abandon(rp_index_writer **writer) {
    if (!writer || !*writer) return;
    destroy(*writer);
    *writer = NULL;
}
