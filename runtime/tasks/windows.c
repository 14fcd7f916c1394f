/* Long texts as overlapping windows. */
#include "task.h"

#include "loader/tokenizer.h"

/* How many tokens the template puts around the texts; `*at` gets where the text of the window begins. */
static size_t frame(const rp_template *template, const rp_encoding *lead, size_t *at) {
    size_t size = 0, lead_count = lead ? lead->count : 0;
    for (size_t i = 0; i < template->count; i++) {
        int8_t sequence = template->pieces[i].sequence;
        if (sequence < 0)
            size++;
        else if (sequence == (lead != NULL))
            *at = size;
        else
            size += lead_count;
    }
    return size;
}

/* How a text is cut. */
typedef struct cut {
    const rp_template *template;
    size_t at, taken, room, step;
} cut;

static rp_status make_cut(const rp_tokenizer *tokenizer, const char *dir, const rp_encoding *lead,
                          size_t tokens, uint32_t max_tokens, uint32_t stride, cut *out, rp_error *err) {
    const rp_template *template = lead ? &tokenizer->pair : &tokenizer->single;
    size_t at = SIZE_MAX, taken = frame(template, lead, &at);
    if (at == SIZE_MAX)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: post_processor: its template leaves out the text that is to be read", dir);
    if (!tokens && !taken) /* a sequence of no token can't be run */
        return rp_fail(err, RP_ERROR_TEXT,
                       "the text has no tokens, and the tokenizer puts none around it; give it a word");
    if (max_tokens <= taken)
        return rp_fail(
            err, RP_ERROR_TEXT,
            "of the %u tokens that are read at once, %zu go to what stands before the text and to special "
            "tokens: nothing is left for the text; shorten what stands before it or allow more tokens",
            max_tokens, taken);
    size_t room = max_tokens - taken;
    *out = (cut){template, at, taken, room, stride < room ? room - stride : room - room / 2};
    return RP_OK;
}

rp_status rp_windows_count(const rp_tokenizer *tokenizer, const char *dir, const rp_encoding *lead,
                           size_t tokens, uint32_t max_tokens, uint32_t stride, uint64_t *out,
                           rp_error *err) {
    cut c;
    rp_status status = make_cut(tokenizer, dir, lead, tokens, max_tokens, stride, &c, err);
    if (!status) *out = tokens > c.room ? 1 + rp_div_up(tokens - c.room, c.step) : 1;
    return status;
}

rp_status rp_windows_add(rp_windows *windows, const rp_model *model, size_t entry, const rp_encoding *lead,
                         const rp_encoding *text, uint32_t max_tokens, uint32_t stride, rp_error *err) {
    cut c;
    rp_status status = make_cut(rp_model_get_tokenizer(model), rp_model_get_info(model)->dir, lead,
                                text->count, max_tokens, stride, &c, err);
    if (status) return status;
    for (size_t first = 0;; first += c.step) {
        size_t left = text->count - first, count = left < c.room ? left : c.room;
        if (!rp_grow((void **)&windows->items, &windows->capacity, windows->count + 1,
                     sizeof *windows->items))
            return rp_fail_memory(err, "the windows of a text", windows->count * sizeof *windows->items);
        windows->items[windows->count++] = (rp_window){.entry = entry,
                                                       .template = c.template,
                                                       .lead = lead,
                                                       .text = text,
                                                       .first = (uint32_t)first,
                                                       .count = (uint32_t)count,
                                                       .at = (uint32_t)c.at,
                                                       .size = (uint32_t)(c.taken + count),
                                                       .last = left <= c.room};
        if (left <= c.room) return RP_OK;
    }
}

/* The windows of one submission, as sequences. */
typedef struct slice {
    rp_sequence *sequences; // [windows]
    size_t *entries;        // [windows] the input of each
    int32_t *ids;           // [tokens]
    int32_t *types;         // [tokens]
    float *rows;            // [tokens, columns]
    size_t windows, tokens; // allocated
} slice;

int32_t *rp_window_write(const rp_window *window, bool typed, int32_t *ids, int32_t *types) {
    size_t at = 0;
    for (size_t i = 0; i < window->template->count; i++) {
        const rp_template_piece piece = window->template->pieces[i];
        const int32_t *from = &piece.id;
        size_t count = 1;
        if (piece.sequence >= 0) {
            bool text = piece.sequence == (window->lead != NULL);
            from = text ? window->text->ids + window->first : window->lead->ids;
            count = text ? window->count : window->lead->count;
        }
        if (count) memcpy(ids + at, from, count * sizeof *ids);
        for (size_t k = 0; k < count; k++) types[at + k] = typed ? piece.type : 0;
        at += count;
    }
    return ids + at;
}

static rp_status run_slice(const rp_window *windows, size_t count, rp_model *model, rp_output output,
                           rp_result *result, slice *s, rp_window_read read, void *task, rp_error *err) {
    const bool typed = !rp_model_get_tokenizer(model)->without_types;
    const rp_run_params params = {.output = output};
    size_t columns = output == RP_OUTPUT_SPANS ? 2 : rp_model_get_info(model)->label_count;
    const bool whole = output == RP_OUTPUT_CLASSES;
    int32_t *ids = s->ids;
    for (size_t i = 0; i < count; i++) {
        int32_t *types = s->types + (ids - s->ids);
        s->sequences[i] = (rp_sequence){ids, types, windows[i].size};
        s->entries[i] = windows[i].entry;
        ids = rp_window_write(&windows[i], typed, ids, types);
    }
    size_t rows_of_all = whole ? count : (size_t)(ids - s->ids);
    rp_visit *visit = rp_visit_current();
    visit->inputs = s->entries;
    visit->after = windows[count - 1].entry + windows[count - 1].last;
    rp_status status =
        rp_model_run_inside(model, s->sequences, count, &params, s->rows, rows_of_all * columns, NULL, err);
    float *rows = s->rows;
    for (size_t i = 0; !status && i < count; i++) {
        size_t floats = (whole ? 1 : windows[i].size) * columns;
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
    for (size_t i = 0; i < windows->count; i++) total += windows->items[i].size;
    slice s = {.tokens = total < info->max_batch_tokens ? total : info->max_batch_tokens};
    s.windows = s.tokens < windows->count ? s.tokens : windows->count;
    s.sequences = rp_new_array(rp_sequence, s.windows);
    s.entries = rp_new_array(size_t, s.windows);
    s.ids = rp_new_array(int32_t, s.tokens);
    s.types = rp_new_array(int32_t, s.tokens);
    uint64_t floats = (uint64_t)(output == RP_OUTPUT_CLASSES ? s.windows : s.tokens) * columns;
    s.rows = rp_new_array(float, floats);
    rp_status status = RP_OK;
    if (!s.sequences || !s.entries || !s.ids || !s.types || !s.rows)
        status = rp_fail_memory(err, "the windows of a text", s.tokens * (columns + 2) * 4ull);
    for (size_t first = 0, end; !status && first < windows->count; first = end) {
        size_t tokens = windows->items[first].size;
        for (end = first + 1; end < windows->count; end++) {
            tokens += windows->items[end].size;
            if (tokens > s.tokens) break;
        }
        status = run_slice(windows->items + first, end - first, model, output, result, &s, read, task, err);
    }
    free(s.sequences);
    free(s.entries);
    free(s.ids);
    free(s.types);
    free(s.rows);
    return status;
}
