/* JSON text, compared with what jansson makes of it. The first byte says how it is read. */
#include <jansson.h>
#include <string.h>

#include "fuzz.h"

#include "loader/json_read.h"

static bool is_same(const rp_json *got, const json_t *want);

static bool is_same_list(const rp_json *got, const json_t *want) {
    bool same = got->count == json_array_size(want);
    for (uint32_t i = 0; same && i < got->count; i++) same = is_same(&got->items[i], json_array_get(want, i));
    return same;
}

static bool is_same_object(const rp_json *got, const json_t *want) {
    bool same = got->count == json_object_size(want);
    for (uint32_t i = 0; same && i < got->count; i++) {
        const rp_member *m = &got->members[i];
        FUZZ_CHECK(strlen(m->key) == m->key_size && rp_json_get(got, m->key) == &m->value);
        same = is_same(&m->value, json_object_get(want, m->key));
    }
    return same;
}

static bool is_same(const rp_json *got, const json_t *want) {
    switch (got->type) {
    case RP_JSON_NULL:
        return json_is_null(want);
    case RP_JSON_FALSE:
        return json_is_false(want);
    case RP_JSON_TRUE:
        return json_is_true(want);
    case RP_JSON_INTEGER:
        return json_is_integer(want) && json_integer_value(want) == got->integer;
    case RP_JSON_REAL:
        return json_is_real(want) && json_real_value(want) == got->real;
    case RP_JSON_STRING:
        return json_is_string(want) && json_string_length(want) == got->count &&
               memcmp(json_string_value(want), got->text, got->count + 1) == 0;
    case RP_JSON_ARRAY:
        return json_is_array(want) && is_same_list(got, want);
    case RP_JSON_OBJECT:
        return json_is_object(want) && is_same_object(got, want);
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rp_json_document document;
    rp_json_mistake mistake;
    if (size == 0) return 0;
    const char *text = (const char *)data + 1;
    const rp_json_flags flags = {
        .any = data[0] & 1, .nul = data[0] & 2, .reals = data[0] & 4, .large = data[0] & 8};
    rp_json_flags python = flags;
    python.words = true; // which jansson knows nothing of
    bool good = rp_json_read(text, size - 1, python, &document, &mistake);
    rp_json_finish(&document);
    bool taken = good;
    good = rp_json_read(text, size - 1, flags, &document, &mistake);
    FUZZ_CHECK(taken || !good);
    FUZZ_CHECK(good || (mistake.text[0] && mistake.position < size && mistake.line > 0));
    json_t *want =
        json_loadb(text, size - 1,
                   JSON_REJECT_DUPLICATES | (flags.any ? JSON_DECODE_ANY : 0) |
                       (flags.nul ? JSON_ALLOW_NUL : 0) | (flags.reals ? JSON_DECODE_INT_AS_REAL : 0),
                   NULL);
    if (good)
        FUZZ_CHECK(want ? is_same(&document.root, want) : flags.large);
    else if (want) /* it goes deeper, and passes over a NUL behind a number */
        FUZZ_CHECK(strstr(mistake.text, "too many") || memchr(text, 0, size - 1));
    json_decref(want);
    rp_json_finish(&document);
    return 0;
}
