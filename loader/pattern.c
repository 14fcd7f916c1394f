/* Finds the matches of a pattern in a text. */
#include "loader/pipeline.h"

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
