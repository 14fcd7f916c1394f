/* Texts as they were meant: characters that nobody sees, letters that look like others, letters apart,
 * letters many times, and digits in place of letters, in this order. */
#include "apps/plain_text.h"

#include "base/alloc.h"
#include "base/call.h"

enum {
    MOST_WORD = 64, /* characters of a word that is looked at */
    FEWEST_APART = 4,
    MOST_TIMES = 2, /* that a letter follows itself in a word */
    UNKNOWN_TOKENS = 100,
};

rp_status rp_text_chars(rp_text text, rp_chars *out, rp_error *err) {
    for (size_t at = 0; at < text.size;) {
        size_t from = at;
        uint32_t code = rp_utf8_next(text.data, &at);
        if (!rp_chars_push(out, code, (uint32_t)from, (uint32_t)at))
            return rp_fail_memory(err, "a text", text.size * sizeof(rp_char));
    }
    return RP_OK;
}

char *rp_chars_write(const rp_chars *chars, size_t first, size_t end, char *out) {
    for (size_t i = first; i < end; i++) out += rp_utf8_put(out, chars->items[i].code);
    return out;
}

/* ---- kinds of characters ---- */

static bool is_ascii_letter(uint32_t code) {
    return (code | 0x20) >= 'a' && (code | 0x20) <= 'z' && code < 0x80;
}

static bool is_digit(uint32_t code) {
    return code >= '0' && code <= '9';
}

static bool is_letter(uint32_t code) {
    return code < 0x80 ? is_ascii_letter(code) : rp_char_category(code) <= RP_CATEGORY_LO;
}

/* What is drawn as nothing: format characters, variation selectors, fillers. */
static bool is_invisible(uint32_t code) {
    if (code < 0x80) return false;
    return rp_char_category(code) == RP_CATEGORY_CF || (code >= 0xfe00 && code <= 0xfe0f) || code == 0x034f ||
           code == 0x115f || code == 0x1160 || code == 0x17b4 || code == 0x17b5 || code == 0x3164 ||
           code == 0xffa0 || (code >= 0xe0100 && code <= 0xe01ef);
}

static void drop_invisible(rp_chars *chars) {
    size_t kept = 0;
    for (size_t i = 0; i < chars->count; i++)
        if (!is_invisible(chars->items[i].code)) chars->items[kept++] = chars->items[i];
    chars->count = kept;
}

/* ---- letters that look like others ---- */

/* Greek and Cyrillic letters, and some more, that look like a Latin one: a part of what Unicode's
 * confusables.txt lists. */
static const struct {
    uint16_t code;
    char letter;
} looks[] = {
    {0x0131, 'i'}, {0x0237, 'j'}, {0x0251, 'a'}, {0x0261, 'g'}, {0x0269, 'i'}, {0x026a, 'i'}, {0x0391, 'A'},
    {0x0392, 'B'}, {0x0395, 'E'}, {0x0396, 'Z'}, {0x0397, 'H'}, {0x0399, 'I'}, {0x039a, 'K'}, {0x039c, 'M'},
    {0x039d, 'N'}, {0x039f, 'O'}, {0x03a1, 'P'}, {0x03a4, 'T'}, {0x03a5, 'Y'}, {0x03a7, 'X'}, {0x03b1, 'a'},
    {0x03b3, 'y'}, {0x03b9, 'i'}, {0x03bd, 'v'}, {0x03bf, 'o'}, {0x03c1, 'p'}, {0x03c3, 'o'}, {0x03c5, 'u'},
    {0x03f2, 'c'}, {0x03f3, 'j'}, {0x03f9, 'C'}, {0x0405, 'S'}, {0x0406, 'I'}, {0x0408, 'J'}, {0x0410, 'A'},
    {0x0412, 'B'}, {0x0415, 'E'}, {0x041a, 'K'}, {0x041c, 'M'}, {0x041d, 'H'}, {0x041e, 'O'}, {0x0420, 'P'},
    {0x0421, 'C'}, {0x0422, 'T'}, {0x0423, 'Y'}, {0x0425, 'X'}, {0x0430, 'a'}, {0x0433, 'r'}, {0x0435, 'e'},
    {0x043e, 'o'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x0455, 's'}, {0x0456, 'i'},
    {0x0458, 'j'}, {0x0474, 'V'}, {0x0475, 'v'}, {0x04ae, 'Y'}, {0x04af, 'y'}, {0x04bb, 'h'}, {0x04c0, 'I'},
    {0x04cf, 'l'}, {0x0501, 'd'}, {0x050c, 'G'}, {0x051b, 'q'}, {0x051c, 'W'}, {0x051d, 'w'}, {0x0555, 'O'},
    {0x0578, 'n'}, {0x057d, 'u'}, {0x0585, 'o'}, {0x13a0, 'D'}, {0x13a1, 'R'}, {0x13a2, 'T'}, {0x13aa, 'A'},
    {0x13b3, 'W'}, {0x13bb, 'H'}, {0x13c3, 'Z'}, {0x13ac, 'E'}, {0x1d00, 'a'}, {0x1d04, 'c'}, {0x1d0f, 'o'},
    {0x1d1c, 'u'}, {0x1d20, 'v'}, {0x1d21, 'w'}, {0x1d22, 'z'},
};

/* The Latin letter that a letter of another script looks like; 0: none. */
static uint32_t look_of(uint32_t code) {
    for (size_t i = 0; code >= 0x80 && i < RP_COUNT(looks); i++)
        if (looks[i].code == code) return (uint32_t)looks[i].letter;
    return 0;
}

/* The ASCII letter or digit of which this is a form: full width, mathematical, in a circle; else itself. */
static uint32_t form_of(uint32_t code) {
    uint32_t parts[RP_DECOMPOSED_MAX];
    if (code < 0x80 || rp_char_decompose(code, true, parts) != 1) return code;
    return is_ascii_letter(parts[0]) || is_digit(parts[0]) ? parts[0] : code;
}

/* The end of the word that begins at `from`: where white space is. */
static size_t word_end(const rp_chars *chars, size_t from) {
    while (from < chars->count && !rp_char_is_white(chars->items[from].code)) from++;
    return from;
}

/* A word of another script stays as it is, even where each of its letters looks like a Latin one, unless most
 * of the text is Latin. */
static void fold_word(rp_char *word, size_t count, bool latin_text) {
    size_t latin = 0, alike = 0, others = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_ascii_letter(word[i].code))
            latin++;
        else if (look_of(word[i].code))
            alike++;
        else
            others += is_letter(word[i].code);
    }
    if (!alike || (!latin && (others || !latin_text))) return;
    for (size_t i = 0; i < count; i++) {
        uint32_t look = look_of(word[i].code);
        if (look) word[i].code = look;
    }
}

static void fold_looks(rp_chars *chars) {
    size_t latin = 0, letters = 0;
    for (size_t i = 0; i < chars->count; i++) {
        chars->items[i].code = form_of(chars->items[i].code);
        latin += is_ascii_letter(chars->items[i].code);
        letters += is_letter(chars->items[i].code);
    }
    for (size_t i = 0, end; i < chars->count; i = end + 1) {
        end = word_end(chars, i);
        fold_word(chars->items + i, end - i, 2 * latin >= letters);
    }
}

/* ---- letters apart ---- */

static bool stands_between(uint32_t code) {
    return code == ' ' || code == 0xa0 || code == '.' || code == '-' || code == '_' || code == '*' ||
           code == '|' || code == '~' || code == '+' || code == ',' || code == '/' || code == '\\';
}

static bool joins(const rp_chars *chars, size_t i) {
    return i < chars->count && (is_letter(chars->items[i].code) || is_digit(chars->items[i].code));
}

/* The characters from `from` on that are single letters with the same character between any two: "f.r.e.e".
 */
static size_t apart(const rp_chars *chars, size_t from) {
    const rp_char *c = chars->items;
    size_t end = from + 1;
    if (end >= chars->count || !stands_between(c[end].code)) return 0;
    while (end + 1 < chars->count && c[end].code == c[from + 1].code && is_letter(c[end + 1].code)) end += 2;
    if (joins(chars, end)) end -= 2; /* the last letter begins a word */
    return end > from ? end - from : 0;
}

static void join_letters(rp_chars *chars) {
    size_t kept = 0;
    bool before = false; /* a letter or digit stands before */
    for (size_t i = 0; i < chars->count; i++) {
        bool letter = is_letter(chars->items[i].code);
        size_t count = letter && !before ? apart(chars, i) : 0;
        before = joins(chars, i);
        if (count < 2 * FEWEST_APART - 1) {
            chars->items[kept++] = chars->items[i];
            continue;
        }
        for (size_t k = 0; k < count; k += 2) chars->items[kept++] = chars->items[i + k];
        i += count - 1;
        before = true;
    }
    chars->count = kept;
}

/* ---- letters many times, and digits in place of letters ---- */

/* The letter that a character stands for; `one`: what 1 and | stand for. 0: none. */
static uint32_t leet_of(uint32_t code, uint32_t one) {
    static const char from[] = "0345789@$", to[] = "oeastbgas";
    if (code == '1' || code == '|' || code == '!') return one;
    const char *at = code && code < 0x80 ? strchr(from, (int)code) : NULL;
    return at ? (uint32_t)to[at - from] : 0;
}

typedef struct word {
    rp_char chars[MOST_WORD];
    size_t count, tokens;
} word;

/* What the tokenizer makes of a word alone; an unknown one counts as many. */
static rp_status count_tokens(const rp_tokenizer *tokenizer, word *w, rp_error *err) {
    const rp_tokenize_params params = {.no_special_tokens = true};
    int32_t unknown = rp_tokenizer_special_ids(tokenizer).unk;
    char text[4 * MOST_WORD];
    size_t size = 0;
    rp_encoding encoding = {0};
    for (size_t i = 0; i < w->count; i++) size += rp_utf8_put(text + size, w->chars[i].code);
    rp_status status = rp_call_check(err);
    if (!status)
        status = rp_tokenize(tokenizer, (rp_text){text, size}, (rp_text){0}, &params, &encoding, err);
    w->tokens = status ? UNKNOWN_TOKENS : encoding.count;
    for (size_t i = 0; i < encoding.count; i++)
        if (encoding.ids[i] == unknown) w->tokens += UNKNOWN_TOKENS;
    rp_encoding_free(&encoding);
    return status == RP_ERROR_TEXT ? RP_OK : status;
}

/* How often the letter at `i` comes in a row from there on; 1 for what is no letter. */
static size_t run_at(const word *w, size_t i) {
    size_t end = i + 1;
    while (end < w->count && is_letter(w->chars[i].code) && w->chars[end].code == w->chars[i].code) end++;
    return end - i;
}

/* The word with letters `times` times in a row that are there more than twice. */
static void shorten(const word *from, size_t times, word *out) {
    out->count = 0;
    for (size_t i = 0, run; i < from->count; i += run) {
        run = run_at(from, i);
        size_t kept = run > MOST_TIMES ? times : run;
        for (size_t k = 0; k < kept; k++) out->chars[out->count++] = from->chars[i + k];
        out->chars[out->count - 1].end = from->chars[i + run - 1].end;
    }
}

/* Take for *best what has fewer tokens. */
static rp_status offer(const rp_tokenizer *tokenizer, word *candidate, word *best, rp_error *err) {
    rp_status status = count_tokens(tokenizer, candidate, err);
    if (!status && candidate->tokens < best->tokens) *best = *candidate;
    return status;
}

static bool repeats(const word *w) {
    for (size_t i = 0; i < w->count; i++)
        if (run_at(w, i) > MOST_TIMES) return true;
    return false;
}

/* Letters come more than twice in a row in no word: they are cut to two, or to one where that is better. */
static rp_status undo_repeats(const rp_tokenizer *tokenizer, word *w, rp_error *err) {
    word twice, once;
    if (!repeats(w)) return RP_OK;
    shorten(w, MOST_TIMES, &twice);
    shorten(w, 1, &once);
    *w = twice;
    rp_status status = count_tokens(tokenizer, w, err);
    return status ? status : offer(tokenizer, &once, w, err);
}

/* Whether a word may hide letters: it has at least two, something else that stands for one, and is neither a
 * number with a unit ("10am", "4th") nor one that only ends in a "!". */
static bool may_hide(const word *w) {
    size_t letters = 0, hidden = 0, digits = 0;
    while (digits < w->count && is_digit(w->chars[digits].code)) digits++;
    for (size_t i = 0; i < w->count; i++) {
        uint32_t code = w->chars[i].code;
        letters += is_ascii_letter(code);
        hidden += leet_of(code, 'i') != 0;
    }
    return letters >= 2 && hidden && digits <= 1 && w->count >= 3 && !(digits && w->count < 4);
}

static rp_status undo_leet(const rp_tokenizer *tokenizer, word *w, rp_error *err) {
    if (!may_hide(w)) return RP_OK;
    bool upper = true;
    for (size_t i = 0; i < w->count; i++)
        upper = upper && !(w->chars[i].code >= 'a' && w->chars[i].code <= 'z');
    word best = *w;
    rp_status status = count_tokens(tokenizer, &best, err);
    for (int way = 0; !status && way < 2; way++) {
        word candidate = *w;
        for (size_t i = 0; i < w->count; i++) {
            uint32_t letter = leet_of(w->chars[i].code, way ? 'l' : 'i');
            if (letter) candidate.chars[i].code = upper ? letter - 0x20 : letter;
        }
        status = offer(tokenizer, &candidate, &best, err);
    }
    *w = best;
    return status;
}

/* Addresses have their digits and signs for a reason. */
static bool is_address(const rp_char *chars, size_t count) {
    bool at = false, dot = false;
    for (size_t i = 0; i < count; i++) {
        if (chars[i].code == '/') return true;
        at = at || (chars[i].code == '@' && i);
        dot = dot || (chars[i].code == '.' && i + 1 < count && is_letter(chars[i + 1].code));
    }
    return dot && (at || chars[0].code == 'w' || chars[0].code == 'W');
}

/* Rewrite the words of `chars`, which become no longer. */
static rp_status rewrite_words(const rp_tokenizer *tokenizer, rp_chars *chars, rp_error *err) {
    rp_char *c = chars->items;
    size_t kept = 0;
    rp_status status = RP_OK;
    for (size_t i = 0, end; !status && i < chars->count; i = end) {
        end = word_end(chars, i);
        if (end == i) {
            c[kept++] = c[end++];
            continue;
        }
        size_t first = i, last = end; /* without the punctuation around it */
        while (first < last && !joins(chars, first) && c[first].code != '@' && c[first].code != '$') first++;
        while (last > first && !joins(chars, last - 1) && c[last - 1].code != '@' && c[last - 1].code != '$')
            last--;
        word w = {.count = last - first};
        bool looked = w.count > 2 && w.count <= MOST_WORD && !is_address(c + i, end - i);
        if (looked) {
            memcpy(w.chars, c + first, w.count * sizeof *c);
            status = undo_repeats(tokenizer, &w, err);
            if (!status) status = undo_leet(tokenizer, &w, err);
        }
        for (size_t k = i; k < first; k++) c[kept++] = c[k];
        for (size_t k = 0; k < w.count; k++) c[kept++] = looked ? w.chars[k] : c[first + k];
        for (size_t k = last; k < end; k++) c[kept++] = c[k];
    }
    if (!status) chars->count = kept;
    return status;
}

rp_status rp_chars_plain(const rp_tokenizer *tokenizer, rp_chars *chars, rp_error *err) {
    drop_invisible(chars);
    fold_looks(chars);
    join_letters(chars);
    return rewrite_words(tokenizer, chars, err);
}

/* ---- sentences ---- */

static bool ends_sentence(uint32_t code) {
    return code == '.' || code == '!' || code == '?' || code == 0x2026 || code == 0x3002 || code == 0xff01 ||
           code == 0xff1f;
}

static bool closes(uint32_t code) {
    return code == '"' || code == '\'' || code == ')' || code == ']' || code == 0x2019 || code == 0x201d ||
           code == 0xbb || ends_sentence(code);
}

size_t rp_chars_sentences(const rp_chars *chars, uint32_t *ends) {
    const rp_char *c = chars->items;
    size_t count = 0;
    for (size_t i = 0; i < chars->count;) {
        uint32_t code = c[i++].code;
        bool line = code == '\n' || code == 0x2029, wide = code == 0x3002 || code == 0xff01 || code == 0xff1f;
        if (!line && !ends_sentence(code)) continue;
        while (!line && i < chars->count && closes(c[i].code)) i++;
        bool over = line || wide || i == chars->count || rp_char_is_white(c[i].code);
        while (over && i < chars->count && rp_char_is_white(c[i].code)) i++;
        if (over) ends[count++] = (uint32_t)i;
    }
    if (chars->count && (!count || ends[count - 1] < chars->count)) ends[count++] = (uint32_t)chars->count;
    return count;
}
