#include "loader/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_KEY = 80, MAX_JSON_BYTES = 64 << 20 };

int rp_text_fit(const char *text, int most) {
    int size = (int)strnlen(text, (size_t)most + 1);
    if (size <= most) return size;
    while (most > 0 && (text[most] & 0xC0) == 0x80) most--;
    return most;
}

/* Copy to `out` the last key that begins before `position`: the field a mistake belongs to. */
static bool find_key(const char *text, size_t size, size_t position, char out[SHOWN_KEY + 1]) {
    bool found = false;
    for (size_t i = 0; i < size && i < position; i++) {
        if (text[i] != '"') continue;
        size_t start = ++i;
        while (i < size && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
        size_t after = i + 1;
        while (after < size && strchr(" \t\r\n", text[after]) && text[after]) after++;
        if (after >= size || text[after] != ':') continue;
        size_t length = i - start < SHOWN_KEY ? i - start : SHOWN_KEY;
        for (size_t k = 0; k < length; k++) { // the key may be what is wrong
            char c = text[start + k];
            out[k] = c >= ' ' && c <= '~' ? c : '?';
        }
        out[length] = '\0';
        found = true;
    }
    return found;
}

static rp_status parse(const char *text, size_t size, const char *path, rp_json_flags flags,
                       rp_json_document *out, rp_error *err) {
    rp_json_mistake mistake;
    char key[SHOWN_KEY + 1] = "";
    if (rp_json_read(text, size, flags, out, &mistake)) return RP_OK;
    if (mistake.memory) return rp_fail_memory(err, rp_path_shown(path), size);
    bool known = find_key(text, size, mistake.position, key);
    return rp_fail(err, RP_ERROR_FORMAT,
                   "%s: %s%sline %d: not valid JSON: %s; mend the file or fetch it again",
                   rp_path_shown(path), key, known ? ": " : "", mistake.line, mistake.text);
}

rp_status rp_json_parse(const char *text, size_t size, const char *path, rp_json_document *out,
                        rp_error *err) {
    return parse(text, size, path, (rp_json_flags){0}, out, err);
}

static rp_status load(const char *path, rp_json_flags flags, rp_json_document *out, rp_error *err) {
    char *text = NULL;
    size_t size = 0;
    *out = (rp_json_document){0};
    rp_status status = rp_model_file_load(path, MAX_JSON_BYTES, &text, &size, err);
    if (!status && size == 0)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: the file is empty; write or fetch it again",
                         rp_path_shown(path));
    if (!status) status = parse(text, size, path, flags, out, err);
    free(text);
    return status;
}

rp_status rp_json_load(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.large = true, .words = true}, out, err);
}

rp_status rp_json_load_reals(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.reals = true, .words = true}, out, err);
}

rp_status rp_json_load_rust(const char *path, rp_json_document *out, rp_error *err) {
    return load(path, (rp_json_flags){.reals = true, .rust = true}, out, err);
}

rp_status rp_json_bool(const rp_json *root, const char *path, const char *field, bool fallback, bool *out,
                       rp_error *err) {
    const rp_json *value = rp_json_get(root, field);
    double number;
    *out = value ? value->type == RP_JSON_TRUE : fallback;
    if (!value || *out || value->type == RP_JSON_FALSE || value->type == RP_JSON_NULL) return RP_OK;
    *out = rp_json_number(value, &number) && number != 0;
    if (rp_json_is(value, RP_JSON_INTEGER) || rp_json_is(value, RP_JSON_REAL)) return RP_OK;
    return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: is %s, must be true or false", rp_path_shown(path), field,
                   rp_json_kind(value));
}
