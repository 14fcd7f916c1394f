#include "tools/serve/write.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/json_text.h"
#include "tools/serve/fields.h"

bool rp_trouble_of(rp_trouble *problem, rp_status status, const char *message) {
    switch (status) {
    case RP_ERROR_TEXT:
    case RP_ERROR_ARGUMENT:
        return rp_trouble_say(problem, 422, "Validation", "%s", message);
    case RP_ERROR_BUSY:
        return rp_trouble_say(problem, 429, "Overloaded", "%s", message);
    case RP_ERROR_DEADLINE:
        return rp_trouble_say(problem, 504, "Timeout",
                              "the answer took longer than --request-timeout allows; send less at once, or "
                              "raise it");
    case RP_ERROR_CANCELLED:
    case RP_ERROR_STOPPED:
        return rp_trouble_say(problem, 503, "Unhealthy", "the server is ending; ask another one");
    case RP_ERROR_DEVICE_LOST:
    case RP_ERROR_DEVICE:
        return rp_trouble_say(problem, 503, "Unhealthy", "%s", message);
    case RP_ERROR_HOST_MEMORY:
    case RP_ERROR_DEVICE_MEMORY:
        return rp_trouble_say(problem, 503, "Backend", "%s", message);
    default:
        return rp_trouble_say(problem, 424, "Backend", "%s", message);
    }
}

void rp_write_problem(const rp_trouble *problem, rp_dialect dialect, rp_cli_buffer *out) {
    bool openai = dialect == RP_DIALECT_OPENAI;
    rp_cli_puts(out, openai ? "{\"message\": " : "{\"error\": ");
    rp_cli_json_string(out, problem->message, strlen(problem->message));
    if (openai) rp_cli_printf(out, ", \"code\": %d", problem->status);
    rp_cli_printf(out, openai ? ", \"type\": \"%s\"}" : ", \"error_type\": \"%s\"}", problem->type);
}

bool rp_write_check(rp_serve_request *r, const rp_result *result, rp_trouble *problem) {
    if (r->ask.patience) r->layers = 0;
    for (size_t i = 0; i < rp_result_count(result); i++) {
        if (rp_result_layers(result, i) > r->layers) r->layers = rp_result_layers(result, i);
        const char *message = "";
        uint32_t taken = 0, all = rp_result_tokens(result, i, &taken);
        rp_status status = rp_result_status(result, i, &message);
        if (status) {
            rp_trouble_of(problem, status, message);
            if (!r->ask.list) return false;
            char said[400];
            snprintf(said, sizeof said, "%.*s", (int)sizeof said - 1, problem->message);
            return rp_trouble_say(problem, problem->status, problem->type, "input %zu: %s", i, said);
        }
        r->tokens += taken;
        if (rp_result_truncated(result, i) && !r->ask.truncate)
            return rp_trouble_say(
                problem, 422, "Validation",
                "input %zu has %u tokens, and the model takes %u of them; shorten it, or let "
                "it be cut by \"truncate\": true",
                i, all, taken);
    }
    return true;
}

static bool put_entry(const rp_result *result, size_t i, rp_cli_buffer *out, rp_trouble *problem) {
    char *json = NULL;
    size_t size = 0;
    rp_error err;
    rp_status status = rp_result_json(result, i, NULL, &json, &size, &err);
    if (status) return rp_trouble_of(problem, status, err.message);
    /* A text that may leave early has {"labels": [...], "layers": n}: the layers are in a header here. */
    const char *list = rp_result_layers(result, i) ? strchr(json, '[') : NULL;
    const char *end = list ? strrchr(list, ']') : NULL;
    rp_cli_put(out, end ? list : json, end ? (size_t)(end - list) + 1 : size);
    rp_string_free(&json);
    return true;
}

bool rp_write_list(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    if (!rp_write_check(r, result, problem)) return false;
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < rp_result_count(result); i++) {
        if (i) rp_cli_puts(out, ", ");
        if (!put_entry(result, i, out, problem)) return false;
    }
    rp_cli_puts(out, "]");
    return true;
}

bool rp_write_entries(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    if (r->ask.list || r->ask.nested) return rp_write_list(r, result, out, problem);
    return rp_write_check(r, result, problem) && put_entry(result, 0, out, problem);
}

/* ---- OpenAI ---- */

static void put_base64(rp_cli_buffer *out, const unsigned char *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        char four[4];
        for (int k = 0; k < 4; k++) four[k] = digits[three >> (18 - 6 * k) & 63];
        if (left < 3) four[3] = '=';
        if (left < 2) four[2] = '=';
        rp_cli_put(out, four, 4);
    }
}

/* The vector as little-endian float32, whatever this machine has. */
static bool put_vector_base64(const rp_result *result, size_t i, rp_cli_buffer *out, rp_trouble *problem) {
    size_t rows, columns;
    const float *vector = rp_result_vectors(result, i, &rows, &columns);
    unsigned char *bytes = vector ? malloc(4 * columns + 1) : NULL;
    if (!bytes) return rp_trouble_memory(problem);
    for (size_t k = 0; k < columns; k++) {
        uint32_t bits;
        memcpy(&bits, &vector[k], sizeof bits);
        for (int b = 0; b < 4; b++) bytes[4 * k + b] = (unsigned char)(bits >> 8 * b);
    }
    rp_cli_puts(out, "\"");
    put_base64(out, bytes, 4 * columns);
    rp_cli_puts(out, "\"");
    free(bytes);
    return true;
}

bool rp_write_openai(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    if (!rp_write_check(r, result, problem)) return false;
    rp_cli_puts(out, "{\"object\": \"list\", \"data\": [");
    for (size_t i = 0; i < rp_result_count(result); i++) {
        rp_cli_puts(out, i ? ", {\"object\": \"embedding\", \"embedding\": "
                           : "{\"object\": \"embedding\", \"embedding\": ");
        if (!(r->ask.base64 ? put_vector_base64 : put_entry)(result, i, out, problem)) return false;
        rp_cli_printf(out, ", \"index\": %zu}", i);
    }
    rp_cli_puts(out, "], \"model\": ");
    rp_cli_json_string(out, r->model->name, strlen(r->model->name));
    rp_cli_printf(out, ", \"usage\": {\"prompt_tokens\": %llu, \"total_tokens\": %llu}}",
                  (unsigned long long)r->tokens, (unsigned long long)r->tokens);
    return true;
}

/* ---- scores ---- */

static void put_float(rp_cli_buffer *out, float value) {
    char digits[RP_JSON_NUMBER_SIZE];
    rp_json_float_text(value, digits);
    rp_cli_puts(out, digits);
}

/* What function_to_apply makes of the logits of one input; "none" and TEI's raw scores are the logits. */
static void apply(uint32_t function, float *logits, uint32_t count) {
    double sum = 0, most = count ? (double)logits[0] : 0;
    for (uint32_t i = 0; i < count; i++) most = fmax(most, (double)logits[i]);
    for (uint32_t i = 0; i < count; i++) sum += exp((double)logits[i] - most);
    for (uint32_t i = 0; i < count; i++) {
        double x = (double)logits[i];
        if (function == 1) logits[i] = (float)(exp(x - most) / sum);
        if (function == 2) logits[i] = (float)(1 / (1 + exp(-x)));
    }
}

/* The labels of one input by their logits, the best first. */
static bool put_logits(const rp_served *model, const rp_ask *ask, float *logits, rp_cli_buffer *out,
                       rp_trouble *problem) {
    uint32_t count = model->label_count, most = ask->top_k ? ask->top_k : count;
    bool *said = calloc(count + 1, sizeof *said);
    if (!said) return rp_trouble_memory(problem);
    apply(ask->number, logits, count);
    rp_cli_puts(out, "[");
    for (uint32_t n = 0; n < count && n < most; n++) {
        uint32_t best = count;
        for (uint32_t i = 0; i < count; i++)
            if (!said[i] && (best == count || logits[i] > logits[best])) best = i;
        said[best] = true;
        if (!isfinite(logits[best])) break;
        rp_cli_puts(out, n ? ", {\"label\": " : "{\"label\": ");
        rp_cli_json_string(out, model->labels[best], strlen(model->labels[best]));
        rp_cli_puts(out, ", \"score\": ");
        put_float(out, logits[best]);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
    free(said);
    return true;
}

bool rp_write_predict(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    if (!r->raw) return rp_write_entries(r, result, out, problem);
    bool list = r->ask.list || r->ask.nested;
    if (list) rp_cli_puts(out, "[");
    for (size_t i = 0; i < r->ask.count; i++) {
        if (i) rp_cli_puts(out, ", ");
        if (!put_logits(r->model, &r->ask, r->raw + i * r->model->label_count, out, problem)) return false;
    }
    if (list) rp_cli_puts(out, "]");
    return true;
}

bool rp_write_rank(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    size_t count = 0;
    if (!r->ask.return_text) return rp_write_check(r, result, problem) && put_entry(result, 0, out, problem);
    if (!rp_write_check(r, result, problem)) return false;
    const rp_ranked *ranked = rp_result_ranked(result, 0, &count);
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < count; i++) {
        rp_cli_printf(out, "%s{\"index\": %zu, \"text\": ", i ? ", " : "", ranked[i].index);
        rp_cli_json_string(out, r->ask.texts[ranked[i].index].data, r->ask.texts[ranked[i].index].size);
        rp_cli_puts(out, ", \"score\": ");
        put_float(out, ranked[i].score);
        rp_cli_puts(out, "}");
    }
    rp_cli_puts(out, "]");
    return true;
}

bool rp_write_cohere(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    static _Atomic unsigned long long number;
    size_t count = 0;
    if (!rp_write_check(r, result, problem)) return false;
    const rp_ranked *ranked = rp_result_ranked(result, 0, &count);
    rp_cli_printf(out, "{\"id\": \"rerank-%llu\", \"model\": ", ++number);
    rp_cli_json_string(out, r->model->name, strlen(r->model->name));
    rp_cli_puts(out, ", \"results\": [");
    for (size_t i = 0; i < count; i++) {
        const rp_text text = r->ask.texts[ranked[i].index];
        rp_cli_printf(out, "%s{\"index\": %zu, \"relevance_score\": ", i ? ", " : "", ranked[i].index);
        put_float(out, ranked[i].score);
        if (r->ask.return_text) {
            rp_cli_puts(out, ", \"document\": {\"text\": ");
            rp_cli_json_string(out, text.data, text.size);
            rp_cli_puts(out, "}");
        }
        rp_cli_puts(out, "}");
    }
    rp_cli_printf(
        out, "], \"meta\": {\"billed_units\": {\"search_units\": 1}}, \"usage\": {\"total_tokens\": %llu}}",
        (unsigned long long)r->tokens);
    return true;
}

/* Cosines of the first vector and the others, whose length is 1. */
bool rp_write_similarity(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out,
                         rp_trouble *problem) {
    size_t rows, columns;
    if (!rp_write_check(r, result, problem)) return false;
    const float *source = rp_result_vectors(result, 0, &rows, &columns);
    rp_cli_puts(out, "[");
    for (size_t i = 1; i < rp_result_count(result); i++) {
        const float *other = rp_result_vectors(result, i, &rows, &columns);
        double sum = 0;
        for (size_t k = 0; k < columns; k++) sum += (double)source[k] * (double)other[k];
        if (!isfinite(sum)) return rp_trouble_say(problem, 424, "Backend", "a similarity is not finite");
        if (i > 1) rp_cli_puts(out, ", ");
        put_float(out, (float)sum);
    }
    rp_cli_puts(out, "]");
    return true;
}

/* ---- tokens ---- */

static bool put_tokens(const rp_tokenizer *tokenizer, const rp_ask *ask, size_t i, uint64_t *tokens,
                       rp_cli_buffer *out, rp_trouble *problem) {
    const rp_tokenize_params params = {.no_special_tokens = ask->no_special};
    const rp_text text = ask->inputs[i].text;
    rp_encoding e;
    rp_error err;
    rp_status status = rp_tokenize(tokenizer, text, (rp_text){0}, &params, &e, &err);
    if (status)
        return rp_trouble_say(problem, status == RP_ERROR_HOST_MEMORY ? 503 : 422, "Tokenizer", "%s",
                              err.message);
    rp_cli_puts(out, "[");
    for (size_t k = 0; k < e.count; k++) {
        bool special = e.sequence[k] < 0;
        const char *piece = rp_tokenizer_piece(tokenizer, e.ids[k]);
        rp_cli_printf(out, "%s{\"id\": %d, \"text\": ", k ? ", " : "", (int)e.ids[k]);
        if (special)
            rp_cli_json_string(out, piece ? piece : "", piece ? strlen(piece) : 0);
        else
            rp_cli_json_string(out, text.data + e.offsets[k].start, e.offsets[k].end - e.offsets[k].start);
        if (special)
            rp_cli_puts(out, ", \"special\": true, \"start\": null, \"stop\": null}");
        else
            rp_cli_printf(out, ", \"special\": false, \"start\": %u, \"stop\": %u}", e.offsets[k].start,
                          e.offsets[k].end);
    }
    rp_cli_puts(out, "]");
    *tokens += e.count;
    rp_encoding_free(&e);
    return true;
}

bool rp_write_tokens(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    (void)result;
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < r->ask.count; i++) {
        if (i) rp_cli_puts(out, ", ");
        if (!put_tokens(r->model->tokenizer, &r->ask, i, &r->tokens, out, problem)) return false;
    }
    rp_cli_puts(out, "]");
    return true;
}

bool rp_ids_known(const rp_tokenizer *tokenizer, const rp_json *ids, rp_trouble *problem) {
    uint32_t count = rp_tokenizer_vocab_size(tokenizer);
    for (uint32_t k = 0; k < ids->count; k++)
        if (ids->items[k].integer >= count)
            return rp_trouble_say(problem, 422, "Tokenizer",
                                  "token id %lld is none of the %u of the vocabulary",
                                  (long long)ids->items[k].integer, count);
    return true;
}

bool rp_write_decoded(rp_serve_request *r, const rp_result *result, rp_cli_buffer *out, rp_trouble *problem) {
    (void)result;
    rp_cli_puts(out, "[");
    for (size_t i = 0; i < r->ask.count; i++) {
        const rp_json *value = r->ask.ids[i];
        int32_t *ids = calloc(value->count + 1, sizeof *ids);
        char *text = NULL;
        rp_error err;
        if (!ids) return rp_trouble_memory(problem);
        if (!rp_ids_known(r->model->tokenizer, value, problem)) {
            free(ids);
            return false;
        }
        for (uint32_t k = 0; k < value->count; k++) ids[k] = (int32_t)value->items[k].integer;
        rp_status status =
            rp_tokenizer_decode(r->model->tokenizer, ids, value->count, !r->ask.keep_special, &text, &err);
        free(ids);
        if (status)
            return rp_trouble_say(problem, status == RP_ERROR_HOST_MEMORY ? 503 : 422, "Tokenizer", "%s",
                                  err.message);
        if (i) rp_cli_puts(out, ", ");
        rp_cli_json_string(out, text, strlen(text));
        rp_string_free(&text);
    }
    rp_cli_puts(out, "]");
    return true;
}
