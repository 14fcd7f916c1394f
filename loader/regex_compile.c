/* Reading regular expressions, as Oniguruma does, into steps. */
#include "loader/json.h"
#include "loader/regex_program.h"
#include "loader/unicode_tables.h"

enum { MANY = RP_REGEX_ENDLESS - 1 }; /* the largest number of a repetition, as in Oniguruma */

typedef struct parser {
    rp_regex_writer w;
    uint32_t *codes; /* the pattern */
    size_t count, at;
    int depth;
} parser;

/* What an escape stands for. */
typedef struct atom {
    enum { CODE, SET, CONDITION } kind;
    uint32_t code;
    rp_regex_op condition;
    rp_regex_set set; /* its ranges are the last of the program */
} atom;

static bool refuse(parser *p, const char *why) {
    p->w.why = why;
    return false;
}

static bool at_end(const parser *p) {
    return p->at == p->count;
}

/* The next code point of the pattern, or one that is none. */
static uint32_t peek(const parser *p, size_t ahead) {
    return p->at + ahead < p->count ? p->codes[p->at + ahead] : UINT32_MAX;
}

static bool take(parser *p, uint32_t code) {
    if (peek(p, 0) != code) return false;
    p->at++;
    return true;
}

/* ---- escapes ---- */

static int hex_digit(uint32_t code) {
    if (code >= '0' && code <= '9') return (int)code - '0';
    code |= 0x20;
    return code >= 'a' && code <= 'f' ? (int)code - 'a' + 10 : -1;
}

/* Up to `most` hexadecimal digits. Returns how many. */
static int read_hex(parser *p, int most, uint32_t *out) {
    int count = 0;
    *out = 0;
    for (; count < most && hex_digit(peek(p, 0)) >= 0; count++)
        *out = *out << 4 | (uint32_t)hex_digit(p->codes[p->at++]);
    return count;
}

/* Behind \x or \u. */
static bool read_number(parser *p, bool four, atom *out) {
    bool braces = !four && take(p, '{');
    int digits = read_hex(p, braces ? 8 : four ? 4 : 2, &out->code);
    if (digits == 0 || (four && digits < 4) || (braces && !take(p, '}')))
        return refuse(p, "has an incomplete \\x or \\u");
    if (!braces && !four && out->code >= 0x80)
        return refuse(p, "names a byte above 7F, where \\x{..} would name a character");
    if (out->code > 0x10ffff || (out->code >= 0xd800 && out->code < 0xe000))
        return refuse(p, "names a code point that is none");
    out->kind = CODE;
    return true;
}

/* Add the characters of a script, or all others, to `set`. `*known`: there is such a script. */
static bool add_script(rp_regex_writer *w, rp_regex_set *set, const char *name, bool negated, bool *known) {
    const rp_script *script = NULL;
    for (uint16_t i = 0; !script && i < rp_script_count; i++)
        if (!strcmp(name, rp_scripts[i].name)) script = &rp_scripts[i];
    *known = script != NULL;
    if (!script) return true;
    const int32_t *ends = rp_script_ranges + 2 * script->first;
    uint32_t next = 0; /* the first code point behind the ranges so far */
    bool ok = true;
    for (uint16_t i = 0; ok && i < script->count; i++) {
        uint32_t first = (uint32_t)ends[2 * i], last = (uint32_t)ends[2 * i + 1];
        if (!negated)
            ok = rp_regex_add_range(w, set, first, last);
        else if (first > next)
            ok = rp_regex_add_range(w, set, next, first - 1);
        next = last + 1;
    }
    return ok && (!negated || rp_regex_add_range(w, set, next, 0x10ffff));
}

/* Behind \p or \P. */
static bool read_property(parser *p, bool negated, atom *out) {
    char name[32];
    size_t size = 0;
    if (!take(p, '{')) return refuse(p, "has \\p without {..}");
    if (take(p, '^')) negated = !negated;
    for (; !at_end(p) && peek(p, 0) != '}'; p->at++) {
        uint32_t code = p->codes[p->at];
        if (code == ' ' || code == '-' || code == '_') continue;
        if (code >= 0x80 || size == sizeof name - 1) return refuse(p, "has an unknown name in \\p{..}");
        name[size++] = (char)(code >= 'A' && code <= 'Z' ? code + 32 : code);
    }
    name[size] = 0;
    if (!take(p, '}')) return refuse(p, "has \\p without {..}");
    out->kind = SET;
    bool known = true;
    if (rp_regex_add_property(&out->set, name, negated)) return true;
    if (!add_script(&p->w, &out->set, name, negated, &known)) return false;
    if (known) return true;
    return refuse(p,
                  "has a name in \\p{..} that is no general category and no script, which alone are served");
}

/* \h and \H: hexadecimal digits. */
static bool read_hexadecimal(parser *p, bool negated, atom *out) {
    static const uint32_t digits[] = {'0', '9', 'A', 'F', 'a', 'f'},
                          others[] = {0, '0' - 1, '9' + 1, 'A' - 1, 'F' + 1, 'a' - 1, 'f' + 1, 0x10ffff};
    const uint32_t *ends = negated ? others : digits;
    size_t count = negated ? RP_COUNT(others) : RP_COUNT(digits);
    out->kind = SET;
    for (size_t i = 0; i < count; i += 2)
        if (!rp_regex_add_range(&p->w, &out->set, ends[i], ends[i + 1])) return false;
    return true;
}

/* The control characters that letters name. */
static uint32_t named_control(uint32_t letter) {
    switch (letter) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'f':
        return '\f';
    case 'v':
        return '\v';
    case 'a':
        return '\a';
    case 'e':
        return 27;
    default:
        return 0;
    }
}

static bool read_condition(uint32_t letter, atom *out) {
    static const struct {
        char letter;
        rp_regex_op op;
    } conditions[] = {{'A', RP_REGEX_TEXT_BEGIN},
                      {'z', RP_REGEX_TEXT_END},
                      {'Z', RP_REGEX_LAST_LINE_END},
                      {'b', RP_REGEX_BOUNDARY},
                      {'B', RP_REGEX_NO_BOUNDARY}};
    for (size_t i = 0; i < RP_COUNT(conditions); i++)
        if ((uint32_t)conditions[i].letter == letter) {
            out->kind = CONDITION;
            out->condition = conditions[i].op;
            return true;
        }
    return false;
}

/* Behind a backslash. */
static bool read_escape(parser *p, bool in_class, atom *out) {
    *out = (atom){.kind = CODE};
    if (at_end(p)) return refuse(p, "ends in a backslash");
    uint32_t c = p->codes[p->at++];
    bool negated = c >= 'A' && c <= 'Z';
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80;
    out->code = letter ? named_control(c) : c;
    if (out->code && !(c >= '0' && c <= '9')) return true;
    switch (c) {
    case 'x':
        return read_number(p, false, out);
    case 'u':
        return read_number(p, true, out);
    case 'p':
    case 'P':
        return read_property(p, negated, out);
    case 'd':
    case 'D':
        out->kind = SET;
        return rp_regex_add_property(&out->set, "digit", negated);
    case 's':
    case 'S':
        out->kind = SET;
        return rp_regex_add_property(&out->set, "space", negated);
    case 'w':
    case 'W':
        out->kind = SET;
        if (in_class) return rp_regex_add_property(&out->set, "word", negated);
        out->set.kinds = negated ? RP_REGEX_NOT_BARE_WORD : RP_REGEX_BARE_WORD;
        return true;
    case 'h':
    case 'H':
        return read_hexadecimal(p, negated, out);
    default:
        break;
    }
    if (!in_class && read_condition(c, out)) return true;
    return refuse(p, letter ? "has an escape that is not served" : "has a backreference or an octal number");
}

/* ---- classes ---- */

/* What stood last in a class, which decides what a hyphen is. */
typedef enum last { NOTHING, A_CODE, A_RANGE, A_HYPHEN, A_SET } last;

/* The end of a range, behind its hyphen. */
static bool read_range_end(parser *p, uint32_t first, rp_regex_set *set) {
    atom end = {.kind = CODE, .code = peek(p, 0)};
    p->at++;
    if (end.code == '\\' && !read_escape(p, true, &end)) return false;
    if (end.kind != CODE || end.code == '[' || (end.code == '-' && p->codes[p->at - 1] == '-'))
        return refuse(p, "has a range in [..] that does not end in a character");
    if (end.code < first) return refuse(p, "has a range in [..] whose end is before its beginning");
    p->w.regex->ranges[set->ranges + set->count - 1].last = end.code;
    return true;
}

/* A hyphen in a class, already taken. */
static bool read_hyphen(parser *p, uint32_t first, last *state, rp_regex_set *set) {
    if (peek(p, 0) == ']' || *state == NOTHING || *state == A_RANGE) {
        *state = A_HYPHEN;
        return rp_regex_add_range(&p->w, set, '-', '-');
    }
    if (*state != A_CODE || at_end(p)) return refuse(p, "has a hyphen in [..] that could mean two things");
    *state = A_RANGE;
    return read_range_end(p, first, set);
}

/* Join what an escape stands for with the class; the ranges of both lie behind each other already. */
static void join_set(rp_regex_set *set, const rp_regex_set *more) {
    if (!set->count) set->ranges = more->ranges;
    set->count += more->count;
    set->categories |= more->categories;
    set->kinds |= more->kinds;
}

static bool read_class_item(parser *p, last *state, uint32_t *first, rp_regex_set *set) {
    uint32_t c = p->codes[p->at++];
    if (c == '[') return refuse(p, "has a set within a set");
    if (c == '&' && peek(p, 0) == '&') return refuse(p, "has && in a set");
    if (c == '-') return read_hyphen(p, *first, state, set);
    atom item = {.kind = CODE, .code = c};
    if (c == '\\' && !read_escape(p, true, &item)) return false;
    *state = item.kind == CODE ? A_CODE : A_SET;
    if (item.kind == SET) {
        join_set(set, &item.set);
        return true;
    }
    *first = item.code;
    return rp_regex_add_range(&p->w, set, item.code, item.code);
}

/* Behind [. */
static bool read_class(parser *p) {
    rp_regex_set set = {.negated = take(p, '^')};
    last state = NOTHING;
    uint32_t first = 0;
    size_t begin = p->at;
    while (!at_end(p)) {
        if (peek(p, 0) == ']' && p->at > begin) {
            p->at++;
            return rp_regex_emit_set(&p->w, &set);
        }
        if (!read_class_item(p, &state, &first, &set)) return false;
    }
    return refuse(p, "has [ without ]");
}

/* ---- repetitions ---- */

static bool read_count(parser *p, size_t *ahead, uint32_t *out) {
    size_t begin = *ahead;
    *out = 0;
    for (; peek(p, *ahead) >= '0' && peek(p, *ahead) <= '9'; ++*ahead)
        if (*out <= MANY) *out = *out * 10 + peek(p, *ahead) - '0';
    return *ahead > begin;
}

/* {m}, {m,}, {,n} or {m,n} at the place that is next: taken, if it is one. */
static bool read_interval(parser *p, rp_regex_repetition *out) {
    size_t ahead = 1;
    if (peek(p, 0) != '{') return false;
    bool has_least = read_count(p, &ahead, &out->least);
    out->most = out->least;
    out->fixed = peek(p, ahead) != ',';
    if (!out->fixed) {
        ahead++;
        bool has_most = read_count(p, &ahead, &out->most);
        if (!has_most) out->most = RP_REGEX_ENDLESS;
        has_least |= has_most;
    }
    if (!has_least || peek(p, ahead) != '}') return false;
    p->at += ahead + 1;
    return true;
}

/* A quantifier, if one is next. False also when it is refused: then `why` is set. */
static bool read_repetition(parser *p, rp_regex_repetition *out) {
    *out = (rp_regex_repetition){0};
    uint32_t c = peek(p, 0);
    if (c == '*' || c == '+' || c == '?') {
        p->at++;
        out->simple = true;
        out->least = c == '+';
        out->most = c == '?' ? 1 : RP_REGEX_ENDLESS;
        if (peek(p, 0) == '+') return refuse(p, "has a possessive quantifier");
    } else if (!read_interval(p, out)) {
        return false;
    } else if (out->least > MANY || (out->most > MANY && out->most != RP_REGEX_ENDLESS)) {
        return refuse(p, "has a number of repetitions above 100,000");
    } else if (out->most < out->least) {
        return refuse(p, "has a repetition whose limit is below its least number");
    }
    if (!out->fixed) out->lazy = take(p, '?');
    return true;
}

/* ---- expressions ---- */

static bool read_alternatives(parser *p);

/* Behind (. */
static bool read_group(parser *p) {
    if (take(p, '?') && !take(p, ':')) return refuse(p, "has a group of the form (?..) other than (?:..)");
    if (++p->depth > RP_REGEX_DEPTH) return refuse(p, "has more than 100 groups within each other");
    if (!read_alternatives(p)) return false;
    p->depth--;
    return take(p, ')') || refuse(p, "has ( without )");
}

static bool emit_dot(parser *p) {
    rp_regex_set set = {.negated = true};
    return rp_regex_add_range(&p->w, &set, '\n', '\n') && rp_regex_emit_set(&p->w, &set);
}

static bool emit_atom(parser *p, atom *a) {
    if (a->kind == SET) return rp_regex_emit_set(&p->w, &a->set);
    return a->kind == CODE ? rp_regex_emit(&p->w, RP_REGEX_CHAR, a->code)
                           : rp_regex_emit(&p->w, a->condition, 0);
}

/* One element without its quantifiers. */
static bool read_element(parser *p, bool *condition) {
    rp_regex_repetition none;
    if (read_interval(p, &none)) return refuse(p, "repeats nothing");
    uint32_t c = p->codes[p->at++];
    atom a = {.kind = CODE, .code = c};
    switch (c) {
    case '(':
        return read_group(p);
    case '[':
        return read_class(p);
    case '.':
        return emit_dot(p);
    case '*':
    case '+':
    case '?':
        return refuse(p, "repeats nothing");
    case '^':
    case '$':
        a.kind = CONDITION;
        a.condition = c == '^' ? RP_REGEX_LINE_BEGIN : RP_REGEX_LINE_END;
        break;
    case '\\':
        if (!read_escape(p, false, &a)) return false;
        break;
    default:
        break;
    }
    *condition = a.kind == CONDITION;
    return emit_atom(p, &a);
}

static bool read_sequence(parser *p) {
    while (!at_end(p) && peek(p, 0) != '|' && peek(p, 0) != ')') {
        size_t start = p->w.regex->count;
        bool condition = false, simple = false;
        rp_regex_repetition r;
        if (!read_element(p, &condition)) return false;
        while (read_repetition(p, &r)) {
            if (condition) return refuse(p, "repeats a condition");
            if (simple && r.simple) return refuse(p, "has a quantifier on a quantifier");
            simple = r.simple;
            if (!rp_regex_repeat(&p->w, start, r)) return false;
        }
        if (p->w.why) return false;
    }
    return true;
}

static bool read_alternatives(parser *p) {
    size_t start = p->w.regex->count, last_jump = SIZE_MAX;
    if (!read_sequence(p)) return false;
    while (take(p, '|')) {
        rp_regex *r = p->w.regex;
        if (!rp_regex_insert(&p->w, start, RP_REGEX_SPLIT) || !rp_regex_emit(&p->w, RP_REGEX_JUMP, 0))
            return false;
        /* Until the end is known, each jump holds how far back the one before it is. */
        size_t jump = r->count - 1;
        r->steps[jump].first = last_jump == SIZE_MAX ? 0 : (int32_t)(jump - last_jump);
        rp_regex_aim(&p->w, start, r->count, false);
        last_jump = jump;
        start = r->count;
        if (!read_sequence(p)) return false;
    }
    while (last_jump != SIZE_MAX) {
        rp_regex_step *step = &p->w.regex->steps[last_jump];
        size_t back = (size_t)step->first;
        step->first = (int32_t)(p->w.regex->count - last_jump);
        last_jump = back ? last_jump - back : SIZE_MAX;
    }
    return true;
}

/* Compile into the zeroed `regex`, which the caller frees also on failure. */
static rp_status compile(const char *pattern, size_t size, const char *path, rp_regex *regex, rp_error *err) {
    parser p = {.w.regex = regex, .codes = rp_new_array(uint32_t, size < RP_REGEX_PATTERN ? size : 0)};
    char *text = malloc(size < RP_REGEX_PATTERN ? size + 1 : 1);
    bool ok = p.codes && text;
    if (ok && size >= RP_REGEX_PATTERN)
        ok = refuse(&p, "is longer than 8,191 bytes");
    else if (ok && rp_utf8_check(pattern, size) != size)
        ok = refuse(&p, "is not UTF-8");
    if (ok) {
        regex->levels = 1;
        for (size_t at = 0; at < size;) p.codes[p.count++] = rp_utf8_next(pattern, &at);
        ok = read_alternatives(&p) && (at_end(&p) || refuse(&p, "has ) without (")) &&
             rp_regex_emit(&p.w, RP_REGEX_MATCH, 0) && rp_regex_find_starts(regex);
    }
    rp_status status = RP_OK;
    if (!ok && !p.w.why) status = rp_fail_memory(err, "a regular expression", size);
    if (p.w.why) {
        size_t shown = p.count ? size : 0; /* nothing of what is too long or not UTF-8 */
        memcpy(text, pattern, shown);
        text[shown] = 0;
        status =
            rp_fail(err, RP_ERROR_UNSUPPORTED,
                    "%s: the regular expression \"%.*s\" %s; Reprise serves literals, classes, \\s \\d \\w "
                    "\\p{..}, ? * + {m,n}, groups, | and ^ $ \\b only",
                    rp_path_shown(path), rp_text_fit(text, 100), text, p.w.why);
    }
    free(p.codes);
    free(text);
    return status;
}

rp_status rp_regex_open(const char *pattern, size_t size, const char *path, rp_regex **out, rp_error *err) {
    *out = NULL;
    rp_regex *regex = rp_new(rp_regex);
    if (!regex) return rp_fail_memory(err, "a regular expression", sizeof *regex);
    rp_status status = compile(pattern, size, path, regex, err);
    if (status)
        rp_regex_close(&regex);
    else
        *out = regex;
    return status;
}

void rp_regex_close(rp_regex **regex) {
    if (*regex) {
        free((*regex)->steps);
        free((*regex)->sets);
        free((*regex)->ranges);
        free(*regex);
    }
    *regex = NULL;
}
