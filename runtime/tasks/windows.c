/* Long texts as overlapping windows. */
#include "task.h"

rp_status rp_windows_add(rp_windows *windows, size_t entry, const rp_encoding *lead, const rp_encoding *text,
                         uint32_t max_tokens, uint32_t stride, rp_error *err) {
    size_t special = lead ? 3 : 2, lead_count = lead ? lead->count : 0;
    if (max_tokens <= special + lead_count)
        return rp_fail(
            err, RP_ERROR_TEXT,
            "of the %u tokens that are read at once, %zu go to what stands before the text and to special "
            "tokens: nothing is left for the text; shorten what stands before it or allow more tokens",
            max_tokens, special + lead_count);
    size_t room = max_tokens - special - lead_count;
    size_t step = stride < room ? room - stride : room - room / 2;
    for (size_t first = 0;; first += step) {
        size_t left = text->count - first;
        if (!rp_grow((void **)&windows->items, &windows->capacity, windows->count + 1,
                     sizeof *windows->items))
            return rp_fail_memory(err, "the windows of a text", windows->count * sizeof *windows->items);
        windows->items[windows->count++] = (rp_window){.entry = entry,
                                                       .lead = lead,
                                                       .text = text,
                                                       .first = (uint32_t)first,
                                                       .count = (uint32_t)(left < room ? left : room),
                                                       .at = (uint32_t)(special - 1 + lead_count),
                                                       .last = left <= room};
        if (left <= room) return RP_OK;
    }
}

rp_status rp_windows_check(const rp_model *model, rp_error *err) {
    rp_special_ids special = rp_tokenizer_special_ids(rp_model_get_tokenizer(model));
    if (special.cls >= 0 && special.sep >= 0) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: the vocabulary has no %s token; take a complete copy of it",
                   rp_model_get_info(model)->dir, special.cls < 0 ? "[CLS]" : "[SEP]");
}

/* The windows of one submission, as sequences. */
typedef struct slice {
    rp_sequence *sequences; // [windows]
    int32_t *ids;           // [tokens]
    int32_t *types;         // [tokens]
    float *rows;            // [tokens, columns]
    size_t windows, tokens; // allocated
} slice;

static size_t sequence_size(const rp_window *window) {
    return (size_t)window->at + window->count + 1;
}

/* Write the sequence of a window to `ids` and `types`, and return what follows it. */
static int32_t *write_sequence(const rp_window *window, rp_special_ids special, int32_t *ids,
                               int32_t *types) {
    size_t at = 0, lead = window->lead ? window->lead->count : 0;
    ids[at++] = special.cls;
    if (window->lead) {
        if (lead) memcpy(ids + at, window->lead->ids, lead * sizeof *ids);
        at += lead;
        ids[at++] = special.sep;
    }
    if (window->count) memcpy(ids + at, window->text->ids + window->first, window->count * sizeof *ids);
    at += window->count;
    ids[at++] = special.sep;
    for (size_t i = 0; i < at; i++) types[i] = window->lead && i >= window->at;
    return ids + at;
}

static rp_status run_slice(const rp_window *windows, size_t count, rp_model *model, rp_output output,
                           rp_result *result, slice *s, rp_window_read read, void *task, rp_error *err) {
    rp_special_ids special = rp_tokenizer_special_ids(rp_model_get_tokenizer(model));
    const rp_run_params params = {.output = output};
    size_t columns = output == RP_OUTPUT_SPANS ? 2 : rp_model_get_info(model)->label_count;
    int32_t *ids = s->ids;
    for (size_t i = 0; i < count; i++) {
        int32_t *types = s->types + (ids - s->ids);
        s->sequences[i] = (rp_sequence){ids, types, (uint32_t)sequence_size(&windows[i])};
        ids = write_sequence(&windows[i], special, ids, types);
    }
    size_t tokens = (size_t)(ids - s->ids);
    rp_status status =
        rp_model_run(model, s->sequences, count, &params, s->rows, tokens * columns, NULL, err);
    float *rows = s->rows;
    for (size_t i = 0; !status && i < count; i++) {
        size_t floats = sequence_size(&windows[i]) * columns;
        rp_result_check(result, windows[i].entry, rows, floats);
        status = read(task, &windows[i], rows, err);
        rows += floats;
    }
    return status;
}

rp_status rp_windows_run(const rp_windows *windows, rp_model *model, rp_output output, rp_result *result,
                         rp_window_read read, void *task, rp_error *err) {
    const rp_model_info *info = rp_model_get_info(model);
    size_t columns = output == RP_OUTPUT_SPANS ? 2 : info->label_count, total = 0;
    for (size_t i = 0; i < windows->count; i++) total += sequence_size(&windows->items[i]);
    slice s = {.tokens = total < info->max_batch_tokens ? total : info->max_batch_tokens};
    s.windows = s.tokens < windows->count ? s.tokens : windows->count;
    s.sequences = rp_new_array(rp_sequence, s.windows);
    s.ids = rp_new_array(int32_t, s.tokens);
    s.types = rp_new_array(int32_t, s.tokens);
    size_t floats = s.tokens * columns;
    s.rows = rp_new_array(float, floats);
    rp_status status = RP_OK;
    if (!s.sequences || !s.ids || !s.types || !s.rows)
        status = rp_fail_memory(err, "the windows of a text", s.tokens * (columns + 2) * 4ull);
    for (size_t first = 0, end; !status && first < windows->count; first = end) {
        size_t tokens = sequence_size(&windows->items[first]);
        for (end = first + 1; end < windows->count; end++) {
            tokens += sequence_size(&windows->items[end]);
            if (tokens > s.tokens) break;
        }
        status = run_slice(windows->items + first, end - first, model, output, result, &s, read, task, err);
    }
    free(s.sequences);
    free(s.ids);
    free(s.types);
    free(s.rows);
    return status;
}
