/* Searching with a regular expression: every way through the program is followed at once, in the order in
 * which backtracking would try them, so that each character is looked at once for each step.
 *
 * In Oniguruma an iteration that took no character ends its loop. So a way also has a level: it began another
 * iteration of a loop of that height at this very place, and so of every lower one. A loop of this height or
 * lower that it comes to then goes on at the way out. */
#include "loader/regex_program.h"

enum {
    BEYOND_MOST = 4096,   /* characters looked at behind matches before a walk remembers */
    DEAD_MOST = 64 << 20, /* bytes that it remembers in */
};
enum { FEW_STEPS = 64 }; /* steps times levels of a program that needs no memory but the stack's */

typedef struct thread {
    size_t start; /* where its match begins */
    uint32_t step;
} thread;

typedef struct search {
    const rp_regex *regex;
    const rp_char *chars;
    size_t count;
    thread *now, *next; /* as many as steps; in the order of preference */
    size_t now_count, next_count;
    size_t *seen; /* for each step and level, the place of the text that it was last reached at, plus 1 */
    uint32_t
        *stack; /* steps to be followed, times RP_REGEX_LEVELS, plus the level: one more than of `seen` */
    rp_regex_walk *walk;
} search;

static bool word_at(const search *s, size_t at) {
    return at < s->count && rp_char_is_regex_word(s->chars[at].code);
}

/* Whether a condition holds between the characters at - 1 and at. */
static bool holds(const search *s, rp_regex_op op, size_t at) {
    bool begin = at == 0, end = at == s->count;
    switch (op) {
    case RP_REGEX_TEXT_BEGIN:
        return begin;
    case RP_REGEX_TEXT_END:
        return end;
    case RP_REGEX_LINE_BEGIN:
        return begin || (s->chars[at - 1].code == '\n' && !end);
    case RP_REGEX_LINE_END:
        return end || s->chars[at].code == '\n';
    case RP_REGEX_LAST_LINE_END:
        return end || (at + 1 == s->count && s->chars[at].code == '\n');
    default:
        break;
    }
    bool boundary = (!begin && word_at(s, at - 1)) != word_at(s, at);
    return boundary == (op == RP_REGEX_BOUNDARY);
}

/* ---- what a walk remembers ----
 * What a search follows behind its match was preferred to it and came to nothing. No later search needs to
 * follow it again, or a text would take quadratic time: "a*b|a" looks at all that is left for each match. */

static uint64_t *dead_bits(const search *s, size_t at) {
    return s->walk->dead + at * ((s->regex->count + 63) / 64);
}

static bool is_dead(const search *s, uint32_t step, size_t at) {
    return s->walk->dead && (dead_bits(s, at)[step / 64] >> step % 64 & 1);
}

/* Remember that the ways in `now` at the place `at` come to nothing. */
static void bury(search *s, size_t at) {
    rp_regex_walk *walk = s->walk;
    size_t size = (s->regex->count + 63) / 64 * sizeof *walk->dead;
    if (++walk->beyond < BEYOND_MOST) return;
    if (!walk->dead && s->count < DEAD_MOST / size) walk->dead = calloc(s->count + 1, size);
    if (!walk->dead) return; /* it goes on without */
    uint64_t *bits = dead_bits(s, at);
    for (size_t i = 0; i < s->now_count; i++) bits[s->now[i].step / 64] |= 1ull << s->now[i].step % 64;
}

/* ---- searching ---- */

/* Follow a way from `step` on to all the characters it can go on with, at the place `at`. */
static void follow(search *s, thread *list, size_t *count, uint32_t step, size_t start, size_t at) {
    size_t depth = 0;
    s->stack[depth++] = step * RP_REGEX_LEVELS;
    while (depth > 0) {
        uint32_t top = s->stack[--depth], i = top / RP_REGEX_LEVELS, level = top % RP_REGEX_LEVELS;
        const rp_regex_step *code = &s->regex->steps[i];
        bool takes = code->op <= RP_REGEX_SET || code->op == RP_REGEX_MATCH;
        size_t *seen = &s->seen[i * s->regex->levels + (takes ? 0 : level)];
        if (*seen == at + 1) continue;
        *seen = at + 1;
        uint32_t first = (uint32_t)((int32_t)i + code->first) * RP_REGEX_LEVELS + level,
                 second = (uint32_t)((int32_t)i + code->second) * RP_REGEX_LEVELS + level;
        if (takes) {
            if (is_dead(s, i, at)) continue;
            list[(*count)++] = (thread){start, i};
        } else if (code->op == RP_REGEX_LOOP && code->value <= level) {
            s->stack[depth++] = code->first == 1 ? first : second;
        } else if (code->op == RP_REGEX_LOOP || code->op == RP_REGEX_SPLIT) {
            uint32_t raise = code->op == RP_REGEX_LOOP ? code->value - level : 0;
            s->stack[depth++] = second + (code->first == 1 ? raise : 0);
            s->stack[depth++] = first + (code->first == 1 ? 0 : raise);
        } else if (code->op == RP_REGEX_JUMP || holds(s, code->op, at)) {
            s->stack[depth++] = first;
        }
    }
}

/* The next place from `at` on that a match can begin at. */
static size_t next_start(const search *s, size_t at) {
    const rp_regex *r = s->regex;
    if (r->starts_any) return at;
    for (; at < s->count; at++) {
        uint32_t code = s->chars[at].code;
        if (code < 0x80 ? r->starts[code / 32] >> code % 32 & 1 : r->starts_wide) break;
    }
    return at;
}

/* Take the ways that are in `now` over the character at `at`; those behind a match are given up. True when
 * there is one, which is then the best so far. */
static bool advance(search *s, size_t at, size_t *start, size_t *end) {
    s->next_count = 0;
    for (size_t i = 0; i < s->now_count; i++) {
        thread t = s->now[i];
        const rp_regex_step *step = &s->regex->steps[t.step];
        if (step->op == RP_REGEX_MATCH) {
            *start = t.start;
            *end = at;
            return true;
        }
        if (at == s->count) continue;
        uint32_t code = s->chars[at].code;
        if (step->op == RP_REGEX_CHAR ? step->value == code
                                      : rp_regex_in_set(s->regex, &s->regex->sets[step->value], code))
            follow(s, s->next, &s->next_count, t.step + 1, t.start, at + 1);
    }
    return false;
}

static bool run(search *s, size_t from, size_t *start, size_t *end) {
    bool found = false;
    for (size_t at = from; at <= s->count; at++) {
        if (s->now_count == 0 && !found) at = next_start(s, at);
        if (!found) follow(s, s->now, &s->now_count, 0, at, at);
        if (s->now_count == 0 && found) break;
        bool match = advance(s, at, start, end);
        if (found && !match) bury(s, at);
        found |= match;
        thread *swap = s->now;
        s->now = s->next;
        s->next = swap;
        s->now_count = s->next_count;
    }
    return found;
}

/* The next match from walk->from on. */
static bool find(const rp_regex *regex, const rp_char *chars, size_t count, rp_regex_walk *walk,
                 size_t *start, size_t *end, bool *memory) {
    thread few_threads[2 * FEW_STEPS];
    size_t few_seen[FEW_STEPS], steps = regex->count, states = steps * regex->levels;
    uint32_t few_stack[FEW_STEPS + 1];
    bool few = states <= FEW_STEPS;
    search s = {.regex = regex, .chars = chars, .count = count, .walk = walk};
    s.now = few ? few_threads : malloc(2 * steps * sizeof *s.now);
    s.seen = few ? few_seen : malloc(states * sizeof *s.seen);
    s.stack = few ? few_stack : malloc((states + 1) * sizeof *s.stack);
    bool ok = s.now && s.seen && s.stack, found = false;
    thread *threads = s.now;
    if (ok) {
        memset(s.seen, 0, states * sizeof *s.seen);
        s.next = s.now + steps;
        found = run(&s, walk->from, start, end);
    } else {
        *memory = true;
    }
    if (!few) {
        free(threads);
        free(s.seen);
        free(s.stack);
    }
    return found;
}

bool rp_regex_next(const rp_regex *regex, const rp_char *chars, size_t count, rp_regex_walk *walk,
                   size_t *start, size_t *end, bool *memory) {
    if (count == 0) return false;
    while (walk->from <= count && find(regex, chars, count, walk, start, end, memory)) {
        bool again = *start == *end && walk->last_plus == *end + 1;
        walk->from = again ? walk->from + 1 : *end;
        if (again) continue;
        walk->last_plus = *end + 1;
        return true;
    }
    return false;
}

void rp_regex_walk_finish(rp_regex_walk *walk) {
    free(walk->dead);
    walk->dead = NULL;
}
