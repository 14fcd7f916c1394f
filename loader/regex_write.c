/* Writing the steps of regular expressions. */
#include "loader/regex_program.h"

static bool refuse(rp_regex_writer *w, const char *why) {
    w->why = why;
    return false;
}

static bool make_room(rp_regex_writer *w, size_t more) {
    rp_regex *r = w->regex;
    if (more > RP_REGEX_STEPS || r->count + more > RP_REGEX_STEPS)
        return refuse(w, "is too large: repetitions are written out, and there may be 2,000 steps");
    return r->count + more <= r->capacity ||
           rp_grow((void **)&r->steps, &r->capacity, r->count + more, sizeof *r->steps);
}

bool rp_regex_emit(rp_regex_writer *w, rp_regex_op op, uint32_t value) {
    if (!make_room(w, 1)) return false;
    w->regex->steps[w->regex->count++] = (rp_regex_step){op, value, 1, 1};
    return true;
}

bool rp_regex_insert(rp_regex_writer *w, size_t at, rp_regex_op op) {
    if (!rp_regex_emit(w, op, 0)) return false;
    rp_regex_step *steps = w->regex->steps;
    rp_regex_step last = steps[w->regex->count - 1];
    memmove(steps + at + 1, steps + at, (w->regex->count - 1 - at) * sizeof *steps);
    steps[at] = last;
    return true;
}

static bool copy(rp_regex_writer *w, size_t from, size_t length) {
    if (!make_room(w, length)) return false;
    rp_regex_step *steps = w->regex->steps;
    memcpy(steps + w->regex->count, steps + from, length * sizeof *steps);
    w->regex->count += length;
    return true;
}

void rp_regex_aim(rp_regex_writer *w, size_t at, size_t over, bool over_first) {
    int32_t away = (int32_t)over - (int32_t)at;
    w->regex->steps[at].first = over_first ? away : 1;
    w->regex->steps[at].second = over_first ? 1 : away;
}

bool rp_regex_emit_set(rp_regex_writer *w, rp_regex_set *set) {
    rp_regex *r = w->regex;
    rp_regex_finish_set(r, set);
    if (r->set_count == r->set_capacity &&
        !rp_grow((void **)&r->sets, &r->set_capacity, r->set_count + 1, sizeof *r->sets))
        return false;
    r->sets[r->set_count] = *set;
    return rp_regex_emit(w, RP_REGEX_SET, (uint32_t)r->set_count++);
}

bool rp_regex_add_range(rp_regex_writer *w, rp_regex_set *set, uint32_t first, uint32_t last) {
    rp_regex *r = w->regex;
    if (r->range_count == r->range_capacity &&
        !rp_grow((void **)&r->ranges, &r->range_capacity, r->range_count + 1, sizeof *r->ranges))
        return false;
    if (!set->count) set->ranges = (uint32_t)r->range_count;
    r->ranges[r->range_count++] = (rp_regex_range){first, last};
    set->count++;
    return true;
}

/* ---- repetitions ---- */

/* Whether a way leads through the code from `start` on that takes no character. `seen` and `stack` have room
 * for a number for each step. */
static bool can_be_empty(const rp_regex *r, size_t start, size_t *seen, size_t *stack) {
    size_t depth = 0;
    memset(seen + start, 0, (r->count - start) * sizeof *seen);
    stack[depth++] = start;
    while (depth > 0) {
        size_t at = stack[--depth];
        if (at == r->count) return true;
        const rp_regex_step *step = &r->steps[at];
        if (seen[at]++ || step->op <= RP_REGEX_SET) continue;
        stack[depth++] = (size_t)((int32_t)at + step->first);
        if (step->op == RP_REGEX_SPLIT || step->op == RP_REGEX_LOOP)
            stack[depth++] = (size_t)((int32_t)at + step->second);
    }
    return false;
}

/* The height of a loop around the code from `start` on: 0 where it cannot be empty, else more than that of
 * every loop within. */
static bool find_height(rp_regex_writer *w, size_t start, uint32_t *height) {
    const rp_regex *r = w->regex;
    size_t *scratch = rp_new_array(size_t, 3 * r->count + 1);
    *height = 0;
    if (!scratch) return false;
    if (can_be_empty(r, start, scratch, scratch + r->count))
        for (size_t i = start; i <= r->count; i++) {
            uint32_t within = i < r->count && r->steps[i].op == RP_REGEX_LOOP ? r->steps[i].value : 0;
            if (within >= *height) *height = within + 1;
        }
    free(scratch);
    return *height < RP_REGEX_LEVELS ||
           refuse(w, "has more than seven repetitions within each other of what can be empty");
}

/* x* and x+ are (x+)? and x+: the loop comes behind x. */
static bool loop(rp_regex_writer *w, size_t body, bool lazy) {
    uint32_t height;
    if (!find_height(w, body, &height) || !rp_regex_emit(w, height ? RP_REGEX_LOOP : RP_REGEX_SPLIT, height))
        return false;
    if (height >= w->regex->levels) w->regex->levels = height + 1;
    rp_regex_aim(w, w->regex->count - 1, body, !lazy);
    return true;
}

bool rp_regex_repeat(rp_regex_writer *w, size_t start, rp_regex_repetition r) {
    size_t length = w->regex->count - start;
    if (length == 0) return true;
    if (r.most == 0) {
        w->regex->count = start;
        return true;
    }
    uint32_t optional = r.most == RP_REGEX_ENDLESS ? r.least == 0 : r.most - r.least;
    if (!make_room(w, (size_t)(r.least + optional) * length - length)) return false;
    size_t body = start + (r.least == 0);
    if (r.least == 0 && !rp_regex_insert(w, start, RP_REGEX_SPLIT)) return false;
    for (uint32_t i = 1; i < r.least; i++)
        if (!copy(w, body, length)) return false;
    if (r.most == RP_REGEX_ENDLESS && !loop(w, w->regex->count - length, r.lazy)) return false;
    size_t first = r.least == 0 ? start : w->regex->count; /* the split before the first optional one */
    for (uint32_t i = r.least == 0; i < optional; i++)
        if (!rp_regex_emit(w, RP_REGEX_SPLIT, 0) || !copy(w, body, length)) return false;
    size_t at = first;
    for (uint32_t i = 0; i < optional; i++, at += length + 1) rp_regex_aim(w, at, w->regex->count, r.lazy);
    return true;
}

/* ---- what a match can begin with ---- */

static void note_start(rp_regex *r, const rp_regex_step *step) {
    if (step->op == RP_REGEX_CHAR && step->value < 0x80) {
        r->starts[step->value / 32] |= 1u << step->value % 32;
    } else if (step->op == RP_REGEX_CHAR || step->op == RP_REGEX_SET) {
        r->starts_wide = true;
        for (int i = 0; i < 4 && step->op == RP_REGEX_SET; i++) r->starts[i] |= r->sets[step->value].ascii[i];
    } else {
        r->starts_any = true;
    }
}

bool rp_regex_find_starts(rp_regex *r) {
    bool *seen = rp_new_array(bool, r->count);
    size_t *stack = rp_new_array(size_t, r->count + 1), count = 0;
    bool ok = seen && stack;
    if (ok) stack[count++] = 0;
    while (ok && count > 0) {
        size_t at = stack[--count];
        const rp_regex_step *step = &r->steps[at];
        if (seen[at]) continue;
        seen[at] = true;
        bool two = step->op == RP_REGEX_SPLIT || step->op == RP_REGEX_LOOP;
        if (!two && step->op != RP_REGEX_JUMP) note_start(r, step);
        if (two) stack[count++] = (size_t)((int32_t)at + step->second);
        if (two || step->op == RP_REGEX_JUMP) stack[count++] = (size_t)((int32_t)at + step->first);
    }
    free(seen);
    free(stack);
    return ok;
}
