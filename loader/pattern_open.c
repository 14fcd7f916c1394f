/* Makes a pattern of a text or of a regular expression. */
#include "loader/pipeline.h"

rp_status rp_pattern_text(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena,
                          rp_error *err) {
    uint32_t *codes = rp_arena_alloc(arena, size, sizeof *codes);
    if (!codes) return rp_fail_memory(err, "a pattern", size * sizeof *codes);
    *pattern = (rp_pattern){.codes = codes};
    for (size_t at = 0; at < size;) codes[pattern->count++] = rp_utf8_next(text, &at);
    return RP_OK;
}

/* "X{N,}" of a plain character, which needs no machine: ALBERT's " {2,}" is one. */
static bool is_repeated(const char *text, size_t size, rp_pattern *out) {
    bool plain = size == 5 && (text[0] == ' ' || text[0] == '_' || text[0] == '-') && text[1] == '{' &&
                 text[2] >= '1' && text[2] <= '9' && text[3] == ',' && text[4] == '}';
    if (plain) *out = (rp_pattern){.repeated = (unsigned char)text[0], .count = (size_t)(text[2] - '0')};
    return plain;
}

/* Characters that mean something else in a regular expression. */
static bool is_plain(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] == 0 || strchr("\\^$.|?*+()[]{}", text[i])) return false;
    return size > 0;
}

rp_status rp_pattern_regex(rp_pattern *pattern, const char *text, size_t size, rp_arena *arena,
                           const char *path, rp_error *err) {
    *pattern = (rp_pattern){0};
    if (is_repeated(text, size, pattern)) return RP_OK;
    if (is_plain(text, size)) return rp_pattern_text(pattern, text, size, arena, err);
    return rp_regex_open(text, size, path, &pattern->regex, err);
}

void rp_pattern_finish(rp_pattern *pattern) {
    rp_regex_close(&pattern->regex);
}
