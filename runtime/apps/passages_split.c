/* Texts to passages: paragraphs, short ones together, and long ones cut behind sentences. */
#include "apps/passages.h"

#include "loader/unicode.h"

enum { SHORT = 40 }; /* words of a paragraph that stands alone */

/* The smallest part of a text that is not cut: a sentence, or as much of one as a passage may have. */
typedef struct piece {
    size_t start, end;
    uint32_t words;
    bool last; /* of its paragraph */
} piece;

typedef struct splitter {
    const char *text;
    size_t size;
    bool blank;    /* blank lines end paragraphs */
    uint32_t most; /* words of a passage */
    size_t at;     /* what comes next */
    rp_word_reader reader;
    bool held; /* the reader holds a word that belongs to no piece yet */
    rp_cut_passages *out;
} splitter;

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The end of the paragraph whose line ends at `at`, a line feed: `*next` gets where the next one may begin.
 */
static bool ends_paragraph(const splitter *s, size_t at, size_t *next) {
    *next = at + 1;
    if (!s->blank) return true;
    while (*next < s->size && is_blank(s->text[*next])) ++*next;
    return *next < s->size && s->text[*next] == '\n';
}

static bool has_blank_line(const char *text, size_t size) {
    for (const char *at = text; (at = memchr(at, '\n', size - (size_t)(at - text)));) {
        at++;
        while (at < text + size && is_blank(*at)) at++;
        if (at < text + size && *at == '\n') return true;
    }
    return false;
}

static bool is_stop(uint32_t code) {
    return code == '.' || code == '!' || code == '?' || code == 0x2026 || code == 0x3002 || code == 0xff01 ||
           code == 0xff1f;
}

static bool is_closing(uint32_t code) {
    return code == '"' || code == '\'' || code == ')' || code == ']' || code == 0x2019 || code == 0x201d;
}

/* Behind the sentence that may end with the stop before `at`: where; 0: it goes on. */
static size_t sentence_end(const splitter *s, size_t at, uint32_t stop) {
    size_t end = at, look = at;
    uint32_t code = 0;
    /* Nobody writes more of them; looking further would take a square of the time. */
    for (int i = 0; i < 16 && look < s->size; i++, end = look) {
        code = rp_utf8_next(s->text, &look);
        if (!is_closing(code) && !is_stop(code)) break;
    }
    if (end == s->size || stop >= 0x3000) return end;
    if (!rp_char_is_white(code)) return 0;
    for (int i = 0; i < 16 && look < s->size && rp_char_is_white(code); i++)
        code = rp_utf8_next(s->text, &look);
    return rp_char_category(code) == RP_CATEGORY_LL ? 0 : end;
}

/* Count the words that begin before `end`. */
static uint32_t count_words(splitter *s, size_t end) {
    uint32_t words = 0;
    for (;; s->held = false) {
        if (!s->held && !rp_word_next(&s->reader)) break;
        s->held = true;
        if (s->reader.start >= end) break;
        words++;
    }
    return words;
}

static bool is_letter(unsigned char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* The next piece; false: the text is over. */
static bool next_piece(splitter *s, piece *out) {
    size_t at = s->at, longest = (size_t)s->most * RP_PASSAGE_BYTES, next;
    uint32_t words = 0; /* about so many */
    bool word = false;
    *out = (piece){.start = at};
    if (at == s->size) return false;
    for (next = s->size; at < s->size;) {
        uint32_t code = rp_utf8_next(s->text, &at);
        size_t end = is_stop(code) ? sentence_end(s, at, code) : 0;
        bool inside = code >= 0x80 ? !rp_char_is_white(code) : is_letter((unsigned char)code);
        bool over = at - out->start >= longest / 2;
        if ((word && !inside) || code >= 0x2e80) over = over || ++words >= s->most;
        word = inside;
        if (code == '\n' && ends_paragraph(s, at - 1, &next)) {
            out->last = true;
            break;
        }
        next = end ? end : at;
        if (end || over) break;
    }
    s->at = next;
    out->end = next;
    if (next == s->size) out->last = true;
    out->words = count_words(s, next);
    return true;
}

static bool push(splitter *s, rp_cut_passage passage) {
    const char *text = s->text;
    while (passage.start < passage.end && (is_blank(text[passage.start]) || text[passage.start] == '\n'))
        passage.start++;
    while (passage.end > passage.start && (is_blank(text[passage.end - 1]) || text[passage.end - 1] == '\n'))
        passage.end--;
    rp_cut_passages *out = s->out;
    if (!passage.words) return true; /* nobody could find it */
    if (!rp_grow((void **)&out->items, &out->capacity, out->count + 1, sizeof *out->items)) return false;
    out->items[out->count++] = passage;
    return true;
}

static bool fits(const splitter *s, const rp_cut_passage *open, const piece *more) {
    return !open->words || (open->words + more->words <= s->most &&
                            more->end - open->start <= (size_t)s->most * RP_PASSAGE_BYTES);
}

rp_status rp_passages_split(const char *text, size_t size, uint32_t most_words, rp_cut_passages *out,
                            rp_error *err) {
    splitter s = {.text = text,
                  .size = size,
                  .blank = has_blank_line(text, size),
                  .most = most_words,
                  .reader = {.text = text, .size = size},
                  .out = out};
    rp_cut_passage open = {0};
    piece now, before = {0};
    bool good = true;
    out->count = 0;
    while (good && next_piece(&s, &now)) {
        if (!fits(&s, &open, &now)) {
            good = push(&s, open);
            /* The last sentence of one passage begins the next. */
            bool again = !before.last && before.words <= most_words / 4 && now.words <= most_words / 2 &&
                         now.end - before.start <= (size_t)most_words * RP_PASSAGE_BYTES;
            open = (rp_cut_passage){again ? before.start : now.start, now.end,
                                    now.words + (again ? before.words : 0)};
        } else {
            if (!open.words) open.start = now.start;
            open.end = now.end;
            open.words += now.words;
        }
        before = now;
        if (now.last && open.words >= (most_words < SHORT ? most_words : SHORT)) {
            good = good && push(&s, open);
            open = (rp_cut_passage){0};
        }
    }
    if (good) good = push(&s, open);
    return good ? RP_OK : rp_fail_memory(err, "the passages", (out->count + 1) * sizeof *out->items);
}
