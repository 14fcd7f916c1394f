#include "tools/serve/fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool rp_trouble_say(rp_trouble *problem, int status, const char *type, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
    problem->status = status;
    problem->type = type;
    return false;
}

bool rp_trouble_memory(rp_trouble *problem) {
    return rp_trouble_say(problem, 503, "Backend", "out of memory; try again later");
}

const rp_json *rp_body_value(const rp_json *object, const char *name) {
    const rp_json *value = rp_json_get(object, name);
    return rp_json_is(value, RP_JSON_NULL) ? NULL : value;
}

static bool wrong(rp_trouble *problem, const char *name, const char *wanted, const rp_json *value) {
    return rp_trouble_say(problem, 422, "Validation", "`%s` must be %s, not %s", name, wanted,
                          value->type == RP_JSON_TRUE    ? "true"
                          : value->type == RP_JSON_FALSE ? "false"
                                                         : rp_json_kind(value));
}

static bool missing(rp_trouble *problem, const char *name) {
    return rp_trouble_say(problem, 422, "Validation", "`%s` is missing", name);
}

bool rp_body_bool(const rp_json *object, const char *name, bool *out, rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    if (!value) return true;
    if (value->type != RP_JSON_TRUE && value->type != RP_JSON_FALSE)
        return wrong(problem, name, "true or false", value);
    *out = value->type == RP_JSON_TRUE;
    return true;
}

bool rp_body_takes(const rp_json *object, const char *names, rp_trouble *problem) {
    for (uint32_t i = 0; names && i < object->count; i++) {
        const rp_member *member = &object->members[i];
        const char *at = names;
        size_t size = strcspn(at, " ");
        while (*at && (size != member->key_size || memcmp(at, member->key, size) != 0)) {
            at += size + (at[size] == ' ');
            size = strcspn(at, " ");
        }
        if (!*at)
            return rp_trouble_say(problem, 422, "Validation",
                                  "`%.60s` is not a field here; the fields are: %s", member->key, names);
    }
    return true;
}

bool rp_body_count(const rp_json *object, const char *name, uint32_t least, uint32_t *out,
                   rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    if (!value) return true;
    if (value->type != RP_JSON_INTEGER) return wrong(problem, name, "an integer", value);
    if (value->integer < least || value->integer > 1 << 30)
        return rp_trouble_say(problem, 422, "Validation", "`%s` must be from %u to %d", name, least, 1 << 30);
    *out = (uint32_t)value->integer;
    return true;
}

bool rp_body_string(const rp_json *object, const char *name, const char **out, rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    if (!value) return true;
    if (value->type != RP_JSON_STRING) return wrong(problem, name, "a string", value);
    if (strlen(value->text) != value->count)
        return rp_trouble_say(problem, 422, "Validation", "`%s` must not hold the character U+0000", name);
    *out = value->text;
    return true;
}

bool rp_body_real(const rp_json *object, const char *name, bool *given, double *out, rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    *given = value;
    if (!value) return true;
    if (!rp_json_number(value, out) || !isfinite(*out)) return wrong(problem, name, "a number", value);
    return true;
}

bool rp_body_text(const rp_json *object, const char *name, rp_text *out, rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    if (!value) return missing(problem, name);
    if (value->type != RP_JSON_STRING) return wrong(problem, name, "a string", value);
    *out = (rp_text){value->text, value->count};
    return true;
}

bool rp_body_object(const rp_json *object, const char *name, bool needed, const rp_json **out,
                    rp_trouble *problem) {
    *out = rp_body_value(object, name);
    if (!*out) return !needed || missing(problem, name);
    return (*out)->type == RP_JSON_OBJECT || wrong(problem, name, "an object", *out);
}

bool rp_body_texts(const rp_json *object, const char *name, rp_text **out, size_t *count,
                   rp_trouble *problem) {
    const rp_json *value = rp_body_value(object, name);
    if (!value) return missing(problem, name);
    if (value->type != RP_JSON_ARRAY) return wrong(problem, name, "a list of strings", value);
    *count = value->count;
    *out = calloc(value->count ? value->count : 1, sizeof **out);
    if (!*out) return rp_trouble_memory(problem);
    for (uint32_t i = 0; i < value->count; i++) {
        const rp_json *item = &value->items[i];
        if (item->type != RP_JSON_STRING) return wrong(problem, name, "a list of strings", item);
        (*out)[i] = (rp_text){item->text, item->count};
    }
    return true;
}

bool rp_body_truncation(const rp_json *object, rp_ask *ask, rp_trouble *problem) {
    const char *direction = "right";
    ask->given_truncate = rp_body_value(object, "truncate");
    if (!rp_body_bool(object, "truncate", &ask->truncate, problem) ||
        !rp_body_string(object, "truncation_direction", &direction, problem))
        return false;
    if (!strcasecmp(direction, "right")) return true;
    if (!strcasecmp(direction, "left"))
        return rp_trouble_say(problem, 422, "Validation",
                              "`truncation_direction` left is not served: this server cuts texts on the "
                              "right, or on the side that the model's folder names");
    return rp_trouble_say(problem, 422, "Validation", "`truncation_direction` must be right");
}
