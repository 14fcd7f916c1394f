#include "loader/tokenizer_fields.h"

#include <stdio.h>

rp_status rp_field_bad(const rp_fields *f, const char *field, const char *must) {
    const rp_json *value = rp_json_get(f->value, field);
    return rp_fail(f->err, RP_ERROR_FORMAT, "%s: %s%s%s: is %s, must be %s", rp_path_shown(f->path), f->where,
                   *f->where ? "." : "", field, value ? rp_json_kind(value) : "missing", must);
}

rp_status rp_field_unserved(const rp_fields *f, const char *what, const char *type) {
    return rp_fail(f->err, RP_ERROR_UNSUPPORTED, "%s: %s.type: %s \"%.*s\" is not supported",
                   rp_path_shown(f->path), f->where, what, rp_text_fit(type, 40), type);
}

rp_status rp_field_enter(const rp_fields *parent, const char *field, long index, const rp_json *value,
                         rp_fields *out) {
    *out = (rp_fields){parent->t, parent->path, parent->err, value, ""};
    const char *dot = *parent->where ? "." : "";
    if (index < 0)
        snprintf(out->where, sizeof out->where, "%.100s%s%s", parent->where, dot, field);
    else
        snprintf(out->where, sizeof out->where, "%.100s%s%s[%ld]", parent->where, dot, field, index);
    if (rp_json_is(value, RP_JSON_OBJECT)) return RP_OK;
    return rp_fail(parent->err, RP_ERROR_FORMAT, "%s: %s: is %s, must be an object",
                   rp_path_shown(parent->path), out->where, value ? rp_json_kind(value) : "missing");
}

rp_status rp_field_text(const rp_fields *f, const char *field, const char **out, uint32_t *size) {
    const rp_json *value = rp_json_get(f->value, field);
    *out = rp_json_string(value);
    if (!*out) return rp_field_bad(f, field, "a string");
    if (size) *size = value->count;
    return RP_OK;
}

rp_status rp_field_flag(const rp_fields *f, const char *field, bool *out) {
    const rp_json *value = rp_json_get(f->value, field);
    *out = rp_json_is(value, RP_JSON_TRUE);
    return *out || rp_json_is(value, RP_JSON_FALSE) ? RP_OK : rp_field_bad(f, field, "true or false");
}

rp_status rp_field_flag_or(const rp_fields *f, const char *field, bool fallback, bool *out) {
    const rp_json *value = rp_json_get(f->value, field);
    *out = fallback;
    return !value || value->type == RP_JSON_NULL ? RP_OK : rp_field_flag(f, field, out);
}

rp_status rp_field_number(const rp_fields *f, const char *field, uint32_t *out) {
    double number = 0;
    bool is = rp_json_number(rp_json_get(f->value, field), &number);
    *out = 0;
    if (!is || number < 0 || number != (double)(uint64_t)(number < 1e18 ? number : 0))
        return rp_field_bad(f, field, "an integer from 0 on");
    *out = number < UINT32_MAX ? (uint32_t)number : UINT32_MAX;
    return RP_OK;
}

rp_status rp_field_char(const rp_fields *f, const char *field, uint32_t *out) {
    const char *text = NULL;
    uint32_t size = 0;
    rp_status status = rp_field_text(f, field, &text, &size);
    if (status) return status;
    size_t at = 0;
    *out = size ? rp_utf8_next(text, &at) : 0;
    return size && at == size ? RP_OK : rp_field_bad(f, field, "a string of one character");
}

rp_status rp_field_copy(const rp_fields *f, const char *field, const char **out, size_t *size) {
    uint32_t bytes = 0;
    rp_status status = rp_field_text(f, field, out, &bytes);
    if (status) return status;
    *out = rp_arena_copy(&f->t->arena, *out, bytes);
    *size = bytes;
    return *out ? RP_OK : rp_fail_memory(f->err, rp_path_shown(f->path), bytes);
}

rp_status rp_field_codes(const rp_fields *f, const char *field, const uint32_t **out, size_t *count) {
    const char *text = NULL;
    uint32_t size = 0;
    rp_pattern codes = {0};
    rp_status status = rp_field_text(f, field, &text, &size);
    if (!status) status = rp_pattern_text(&codes, text, size, &f->t->arena, f->err);
    *out = codes.codes;
    *count = codes.count;
    return status;
}

rp_status rp_field_pattern(const rp_fields *f, const char *field, rp_pattern *out) {
    const rp_json *value = rp_json_get(f->value, field);
    const rp_json *text = rp_json_get(value, "String"), *regex = rp_json_get(value, "Regex");
    const rp_json *is = text ? text : regex;
    if (!rp_json_string(is)) return rp_field_bad(f, field, "an object with \"String\" or \"Regex\"");
    if (text) return rp_pattern_text(out, is->text, is->count, &f->t->arena, f->err);
    char where[RP_WHERE_SIZE + 128];
    snprintf(where, sizeof where, "%s: %s.%s", rp_path_shown(f->path), f->where, field);
    return rp_pattern_regex(out, is->text, is->count, &f->t->arena, where, f->err);
}
