/* Answers of Hugging Face's tasks that rp_result_json does not write as a whole: of a fill-mask with targets,
 * and of entities without some labels. */
#include <stdlib.h>
#include <string.h>

#include "loader/json_text.h"
#include "tools/serve/fields.h"
#include "tools/serve/tasks.h"
#include "tools/serve/write.h"

static void put_float(rp_cli_buffer *out, float value) {
    char digits[RP_JSON_NUMBER_SIZE];
    rp_json_float_text(value, digits);
    rp_cli_puts(out, digits);
}

static void put_text(rp_cli_buffer *out, const char *key, const char *text) {
    rp_cli_printf(out, ", \"%s\": ", key);
    rp_cli_json_string(out, text, strlen(text));
}

/* ---- fill-mask ---- */

/* The first token of each target. */
static bool find_targets(const rp_serve_request *r, int32_t *ids, rp_trouble *problem) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    for (size_t i = 0; i < r->ask.label_count; i++) {
        const rp_text text = {r->ask.labels[i], strlen(r->ask.labels[i])};
        rp_encoding e;
        rp_error err;
        rp_status status = rp_tokenize(r->model->tokenizer, text, (rp_text){0}, &params, &e, &err);
        if (status) return rp_trouble_say(problem, 422, "Tokenizer", "target %zu: %s", i, err.message);
        ids[i] = e.count ? e.ids[0] : -1;
        rp_encoding_free(&e);
    }
    return true;
}

static bool is_target(const rp_serve_request *r, const int32_t *ids, int32_t id) {
    for (size_t i = 0; i < r->ask.label_count; i++)
        if (ids[i] == id) return true;
    return false;
}

static void put_mask(const rp_serve_request *r, const rp_result *result, size_t i, size_t mask,
                     const int32_t *ids, rp_cli_buffer *out) {
    size_t count = 0, put = 0, most = r->ask.given_top_k ? r->ask.given_top_k : r->ask.label_count;
    const rp_fill *fills = rp_result_fills(result, i, mask, &count);
    rp_cli_puts(out, "[");
    for (size_t k = 0; k < count && put < most; k++) {
        if (!is_target(r, ids, fills[k].token)) continue;
        rp_cli_puts(out, put++ ? ", {\"score\": " : "{\"score\": ");
        put_float(out, fills[k].score);
        rp_cli_printf(out, ", \"token\": %d", (int)fills[k].token);
        put_text(out, "token_str", fills[k].piece);
        put_text(out, "sequence", fills[k].sequence);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
}

bool rp_write_mask(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    if (!r->ask.labels) return rp_write_entries(r, result, out, problem);
    int32_t *ids = calloc(r->ask.label_count + 1, sizeof *ids);
    bool good = ids || rp_trouble_memory(problem);
    good = good && rp_write_check(r, result, problem) && find_targets(r, ids, problem);
    if (good && r->ask.list) rp_cli_puts(out, "[");
    for (size_t i = 0; good && i < rp_result_count(result); i++) {
        size_t masks = rp_result_mask_count(result, i);
        if (i) rp_cli_puts(out, ", ");
        if (masks > 1) rp_cli_puts(out, "[");
        for (size_t mask = 0; mask < masks; mask++) {
            if (mask) rp_cli_puts(out, ", ");
            put_mask(r, result, i, mask, ids, out);
        }
        if (masks > 1) rp_cli_puts(out, "]");
    }
    if (good && r->ask.list) rp_cli_puts(out, "]");
    free(ids);
    return good;
}

/* ---- entities ---- */

/* A label, with or without the B- and I- in front. */
static bool is_ignored(const rp_ask *ask, const char *label) {
    for (size_t i = 0; i < ask->label_count; i++)
        if (!strcmp(ask->labels[i], label)) return true;
    return false;
}

static void put_entities(const rp_ask *ask, const rp_result *result, size_t i, rp_cli_buffer *out) {
    size_t count = 0;
    const rp_entity *entities = rp_result_entities(result, i, &count);
    rp_cli_cursor cursor = {ask->inputs[i].text.data, ask->inputs[i].text.size, 0, 0};
    bool none = ask->number == RP_AGGREGATE_NONE, more = false;
    rp_cli_puts(out, "[");
    for (size_t k = 0; k < count; k++) {
        const rp_entity *e = &entities[k];
        if (is_ignored(ask, e->label)) continue;
        rp_cli_printf(out, more ? ", {\"%s\": " : "{\"%s\": ", none ? "entity" : "entity_group");
        rp_cli_json_string(out, e->label, strlen(e->label));
        rp_cli_puts(out, ", \"score\": ");
        put_float(out, e->score);
        if (none) rp_cli_printf(out, ", \"index\": %u", e->index);
        put_text(out, "word", e->word);
        rp_cli_printf(out, ", \"start\": %zu", rp_cli_point(&cursor, e->span.start));
        rp_cli_printf(out, ", \"end\": %zu}", rp_cli_point(&cursor, e->span.end));
        more = true;
    }
    rp_cli_puts(out, "]");
}

bool rp_write_entities(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out,
                       rp_trouble *problem) {
    if (!r->ask.labels) return rp_write_entries(r, result, out, problem);
    if (!rp_write_check(r, result, problem)) return false;
    if (r->ask.list) rp_cli_puts(out, "[");
    for (size_t i = 0; i < rp_result_count(result); i++) {
        if (i) rp_cli_puts(out, ", ");
        put_entities(&r->ask, result, i, out);
    }
    if (r->ask.list) rp_cli_puts(out, "]");
    return true;
}

/* ---- labels of one's own ---- */

/* As Hugging Face's API had it until 2025: the labels and the scores apart. */
static void put_apart(const rp_text text, const rp_label *labels, size_t count, rp_cli_buffer *out) {
    rp_cli_puts(out, "{\"sequence\": ");
    rp_cli_json_string(out, text.data, text.size);
    rp_cli_puts(out, ", \"labels\": [");
    for (size_t i = 0; i < count; i++) {
        if (i) rp_cli_puts(out, ", ");
        rp_cli_json_string(out, labels[i].label, strlen(labels[i].label));
    }
    rp_cli_puts(out, "], \"scores\": [");
    for (size_t i = 0; i < count; i++) {
        if (i) rp_cli_puts(out, ", ");
        put_float(out, labels[i].score);
    }
    rp_cli_puts(out, "]}");
}

bool rp_write_zero_shot(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out,
                        rp_trouble *problem) {
    size_t count = 0;
    if (!r->old_hub || r->ask.list) return rp_write_entries(r, result, out, problem);
    if (!rp_write_check(r, result, problem)) return false;
    const rp_label *labels = rp_result_labels(result, 0, &count);
    put_apart(r->ask.inputs[0].text, labels, count, out);
    return true;
}
