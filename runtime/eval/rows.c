/* The rows of a batch, and what is said of each in the file of predictions. */
#include "eval/eval.h"

#include <errno.h>

#include "loader/json.h"

static bool copy_text(rp_arena *arena, rp_text *text, size_t *bytes) {
    if (!text->data) return true;
    text->data = rp_arena_copy(arena, text->data, text->size);
    *bytes += text->size;
    return text->data;
}

static bool copy_list(rp_arena *arena, const rp_text **list, size_t count, size_t *bytes) {
    if (!*list) return true;
    rp_text *copy = rp_arena_alloc(arena, count, sizeof *copy);
    bool ok = copy;
    for (size_t i = 0; ok && i < count; i++) {
        copy[i] = (*list)[i];
        ok = copy_text(arena, &copy[i], bytes);
    }
    *list = copy;
    return ok;
}

static void *copy_numbers(rp_arena *arena, const void *numbers, uint32_t count, size_t *bytes, bool *ok) {
    if (!numbers || !*ok) return NULL;
    void *copy = rp_arena_copy(arena, numbers, count * sizeof(int32_t));
    *bytes += count * sizeof(int32_t);
    *ok = copy;
    return copy;
}

static bool copy_instance(rp_arena *arena, rp_instance *in, size_t *bytes) {
    bool ok = true;
    in->ids = copy_numbers(arena, in->ids, in->count, bytes, &ok);
    in->types = copy_numbers(arena, in->types, in->count, bytes, &ok);
    in->masked_positions = copy_numbers(arena, in->masked_positions, in->masked, bytes, &ok);
    in->masked_ids = copy_numbers(arena, in->masked_ids, in->masked, bytes, &ok);
    return ok;
}

/* Keep the row when the next is read, and count its bytes. */
static bool copy_row(rp_arena *arena, rp_data_row *row, size_t *bytes) {
    row->starts = NULL;
    return copy_text(arena, &row->text, bytes) && copy_text(arena, &row->pair, bytes) &&
           copy_text(arena, &row->id, bytes) && copy_list(arena, &row->labels, row->label_count, bytes) &&
           copy_list(arena, &row->items, row->item_count, bytes) &&
           copy_instance(arena, &row->instance, bytes);
}

rp_status rp_eval_fill(rp_eval_run *run, uint64_t first, rp_error *err) {
    size_t bytes = 0;
    rp_status status = rp_call_check(err);
    rp_arena_finish(&run->arena);
    run->first = first;
    run->count = 0;
    while (!status && run->count < RP_EVAL_ROWS && bytes < RP_EVAL_BYTES &&
           first + run->count < rp_data_count(run->data)) {
        rp_data_row *row = &run->rows[run->count];
        status = rp_data_read(run->data, first + run->count, row, err);
        if (!status && !copy_row(&run->arena, row, &bytes)) status = rp_fail_memory(err, "the rows", bytes);
        run->count += !status;
    }
    return status;
}

rp_status rp_eval_bad(rp_eval_run *run, size_t i, const char *message, rp_error *err) {
    uint64_t number = run->first + i, line = run->params.skip_bad ? 0 : rp_data_line(run->data, number);
    run->failed++;
    if (run->params.skip_bad && !run->out) return RP_OK;
    if (run->params.skip_bad) {
        rp_json_writer w = {0};
        rp_eval_open(run, i, &w);
        rp_json_write_string(&w, "error", message);
        return rp_eval_write(run, &w, err);
    }
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s %llu: %s (--skip-bad leaves such rows out)",
                   rp_path_shown(run->path), line ? "line" : "question",
                   (unsigned long long)(line ? line : number + 1), message);
}

rp_task rp_eval_call(const rp_eval_run *run, rp_head head, const char *command, rp_result **out) {
    return (rp_task){.model = run->model,
                     .head = head,
                     .command = command,
                     .inputs = run->rows,
                     .count = run->count,
                     .out = out,
                     .call = run->params.call};
}

rp_status rp_eval_check(rp_eval_run *run, const rp_result *result, size_t i, bool *bad, rp_error *err) {
    const char *message;
    *bad = rp_result_status(result, i, &message) != RP_OK;
    return *bad ? rp_eval_bad(run, i, message, err) : RP_OK;
}

void rp_eval_open(const rp_eval_run *run, size_t i, rp_json_writer *w) {
    *w = (rp_json_writer){.compact = true, .answer = true};
    rp_json_write_open(w, NULL, '{');
    rp_json_write_integer(w, "row", (int64_t)(run->first + i));
}

rp_status rp_eval_write(const rp_eval_run *run, rp_json_writer *w, rp_error *err) {
    size_t size = 0;
    rp_json_write_close(w, '}');
    char *text = rp_json_writer_finish(w, &size);
    if (!text) return rp_fail_memory(err, "the predictions", size);
    bool written = fwrite(text, 1, size, run->out) == size;
    int why = errno;
    free(text);
    return written ? RP_OK
                   : rp_fail(err, RP_ERROR_FILE, "%s: cannot write the predictions: %s; check the disk",
                             rp_path_shown(run->params.predictions), strerror(why));
}
