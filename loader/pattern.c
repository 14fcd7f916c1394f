/* What one call of a tokenizer works with, and the patterns that texts are searched for. */
#include "loader/pipeline.h"
#include "loader/unigram.h"

/* ---- one text on its way ---- */

bool rp_flow_memory(rp_flow *flow) {
    if (!flow->status)
        flow->status =
            rp_fail_memory(flow->err, "the characters of a text", flow->chars.count * sizeof(rp_char));
    return false;
}

bool rp_flow_long(rp_flow *flow) {
    if (!flow->status)
        flow->status = rp_fail(flow->err, RP_ERROR_TEXT,
                               "the normalizer makes more than %zu characters of the text; cut it into parts",
                               flow->most);
    return false;
}

bool rp_flow_push(rp_flow *flow, rp_splits *splits, size_t begin, size_t end, int32_t id) {
    if (splits->count == splits->capacity &&
        !rp_grow((void **)&splits->items, &splits->capacity, splits->count + 1, sizeof *splits->items))
        return rp_flow_memory(flow);
    splits->items[splits->count++] = (rp_split){(uint32_t)begin, (uint32_t)end, id};
    return true;
}

bool rp_flow_reserve(rp_flow *flow, rp_chars *chars, size_t count) {
    size_t needed = chars->count + count;
    if (needed <= chars->capacity) return true;
    if (needed > flow->most) return rp_flow_long(flow);
    return rp_grow((void **)&chars->items, &chars->capacity, needed, sizeof *chars->items) ||
           rp_flow_memory(flow);
}

void rp_flow_finish(rp_flow *flow) {
    rp_unigram_tokens *tokens = flow->model_tokens;
    if (tokens) free(tokens->items);
    free(tokens);
    free(flow->chars.items);
    free(flow->spare.items);
    free(flow->work.items);
    free(flow->joined.items);
    free(flow->splits.items);
    free(flow->spare_splits.items);
    free(flow->matches.items);
    free(flow->edits);
    free(flow->bytes);
    free(flow->numbers);
    rp_regex_walk_finish(&flow->walk);
}

/* ---- patterns ---- */

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

static bool find_text(const rp_pattern *p, const rp_char *chars, size_t count, size_t from, size_t *start,
                      size_t *end) {
    for (; from + p->count <= count; from++) {
        size_t i = 0;
        while (i < p->count && chars[from + i].code == p->codes[i]) i++;
        if (i < p->count) continue;
        *start = from;
        *end = from + p->count;
        return true;
    }
    return false;
}

static bool find_repeated(const rp_pattern *p, const rp_char *chars, size_t count, size_t from, size_t *start,
                          size_t *end) {
    while (from < count) {
        if (chars[from].code != p->repeated) {
            from++;
            continue;
        }
        *start = from;
        while (from < count && chars[from].code == p->repeated) from++;
        *end = from;
        if (*end - *start >= p->count) return true;
    }
    return false;
}

static bool find_regex(const rp_regex *regex, rp_flow *flow, const rp_char *chars, size_t count,
                       rp_search *search, size_t *start, size_t *end) {
    bool memory = false;
    if (!search->begun) {
        rp_regex_walk_finish(&flow->walk);
        flow->walk = (rp_regex_walk){0};
        search->begun = true;
    }
    if (rp_regex_next(regex, chars, count, &flow->walk, start, end, &memory)) return search->found = true;
    if (memory) rp_flow_memory(flow);
    return false;
}

bool rp_pattern_next(const rp_pattern *p, rp_flow *flow, const rp_char *chars, size_t count,
                     rp_search *search, size_t *start, size_t *end) {
    if (p->regex) return find_regex(p->regex, flow, chars, count, search, start, end);
    bool (*find)(const rp_pattern *, const rp_char *, size_t, size_t, size_t *, size_t *) =
        p->repeated ? find_repeated : find_text;
    while (search->at <= count && find(p, chars, count, search->at, start, end)) {
        if (*start == *end && search->found && search->last == *end) {
            search->at++; /* nothing, right behind the last match */
            continue;
        }
        search->found = true;
        search->at = search->last = *end;
        return true;
    }
    return false;
}
