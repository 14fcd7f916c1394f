/* The labels that the caller names, for a head that is made. */
#include <stdio.h>

#include "base/os.h"
#include "finetune/finetune.h"
#include "loader/json.h"

enum { MOST_BYTES = 16 << 20 }; /* of a file of labels */

static rp_status add(rp_finetune_run *run, const char *name, size_t size, rp_error *err) {
    rp_labels *out = &run->named;
    rp_status status = rp_label_check((rp_text){name, size}, err);
    if (status) return status;
    if (out->count == RP_LABELS_MAX)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "there are more than %d labels", RP_LABELS_MAX);
    char *copy = rp_arena_copy(&out->arena, name, size);
    if (!copy || !rp_grow((void **)&out->names, &out->capacity, out->count + 1, sizeof(char *)))
        return rp_fail_memory(err, "the labels", size);
    out->names[out->count++] = copy;
    return RP_OK;
}

/* The names between separators; a carriage return at the end of a line is none of it. */
static rp_status split(rp_finetune_run *run, const char *text, size_t size, char separator, rp_error *err) {
    rp_status status = RP_OK;
    for (size_t at = 0, end; !status && at < size; at = end + 1) {
        const char *next = memchr(text + at, separator, size - at);
        end = next ? (size_t)(next - text) : size;
        bool returns = separator == '\n' && end > at && text[end - 1] == '\r';
        status = add(run, text + at, end - at - returns, err);
    }
    return status;
}

static rp_status read_file(rp_finetune_run *run, const char *path, uint64_t size, rp_error *err) {
    if (size > MOST_BYTES)
        return rp_fail(err, RP_ERROR_FORMAT, "the file has more than %d bytes, and must have a label a line",
                       MOST_BYTES);
    char *text = malloc((size_t)size + 1);
    if (!text) return rp_fail_memory(err, "the labels", size);
    FILE *f = rp_os_fopen(path, "rb");
    size_t got = f ? fread(text, 1, (size_t)size, f) : 0;
    rp_status status =
        f && got == size ? RP_OK : rp_fail(err, RP_ERROR_FILE, "the file cannot be read; check the path");
    if (f) fclose(f);
    if (!status) status = split(run, text, got, '\n', err);
    free(text);
    return status;
}

/* Of two that are equal the map finds one. */
static rp_status check_different(const rp_labels *labels, rp_error *err) {
    rp_label_map map = {0};
    const rp_labels none = {0};
    rp_status status = rp_label_map_make(&map, &none, labels->names, (uint32_t)labels->count, NULL, err);
    for (size_t i = 0; !status && i < labels->count; i++) {
        const char *name = labels->names[i];
        if (rp_label_map_find(&map, (rp_text){name, strlen(name)}) != i)
            status = rp_fail(err, RP_ERROR_ARGUMENT, "'%.*s' is there twice; name each label once",
                             rp_text_fit(name, 60), name);
    }
    rp_label_map_finish(&map);
    return status;
}

/* A head that is kept has its own labels: the caller may name the same. */
static rp_status check_kept(const rp_finetune_run *run, rp_error *err) {
    const rp_config *c = &run->config;
    bool same = c->label_count == run->named.count;
    for (size_t i = 0; same && i < run->named.count; i++) same = !strcmp(c->labels[i], run->named.names[i]);
    return same ? RP_OK
                : rp_fail(err, RP_ERROR_UNSUPPORTED,
                          "the folder's head has other labels of its own; leave them out, or begin with a "
                          "folder that has no head");
}

static rp_status read_labels(rp_finetune_run *run, rp_error *err) {
    const char *labels = run->params.labels;
    rp_eval_task task = run->params.task;
    rp_os_info info;
    if (task != RP_EVAL_CLASSIFY && task != RP_EVAL_MULTILABEL && task != RP_EVAL_TAG)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "only classify, multilabel and tag have labels");
    if (run->params.teacher)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "with a teacher they are the teacher's; leave them out");
    rp_status status = !rp_os_stat(labels, &info) && info.kind == RP_OS_FILE
                           ? read_file(run, labels, (uint64_t)info.size, err)
                           : split(run, labels, strlen(labels), ',', err);
    if (!status && !run->named.count) status = rp_fail(err, RP_ERROR_FORMAT, "there is none; name some");
    if (!status) status = check_different(&run->named, err);
    return !status && run->keeps_head ? check_kept(run, err) : status;
}

rp_status rp_finetune_read_labels(rp_finetune_run *run, rp_error *err) {
    rp_error why = {0};
    rp_status status = run->params.labels ? read_labels(run, &why) : RP_OK;
    if (!status) return RP_OK;
    const char *shown = rp_path_shown(run->params.labels);
    return rp_fail(err, status, "labels: %.*s: %s (--labels)", rp_text_fit(shown, 80), shown, why.message);
}
