/* Which columns of a table hold the texts, and inputs from its rows. */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"

/* The columns that are taken where none are named: GLUE's names among them. */
static const char *const pairs[][2] = {
    {"text", "text_pair"},     {"sentence1", "sentence2"}, {"question1", "question2"},
    {"premise", "hypothesis"}, {"question", "context"},    {"question", "sentence"},
};
static const char *const singles[] = {"text", "sentence"};
enum { PAIRS = sizeof pairs / sizeof *pairs, SINGLES = sizeof singles / sizeof *singles };
enum { MOST_LISTED = 300 }; /* bytes of the columns' names in a message */
static const size_t NONE = SIZE_MAX;

/* ---- names ---- */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

/* Without blanks around it. */
static rp_text trim(const char *data, size_t size) {
    while (size && data[0] == ' ') data++, size--;
    while (size && data[size - 1] == ' ') size--;
    return (rp_text){data, size};
}

static bool is_named(const rp_table_field *field, const char *name, bool any_case) {
    rp_text text = any_case ? trim(field->data, field->size) : (rp_text){field->data, field->size};
    if (text.size != strlen(name)) return false;
    for (size_t i = 0; i < text.size; i++)
        if (any_case ? lower(text.data[i]) != name[i] : text.data[i] != name[i]) return false;
    return true;
}

/* The first column of that name; NONE: there is none. */
static size_t find(const rp_table_row *row, const char *name, bool any_case) {
    for (size_t i = 0; i < row->count; i++)
        if (is_named(&row->fields[i], name, any_case)) return i;
    return NONE;
}

/* "choice1", "ending0" and so on. */
static bool is_choice(const rp_table_field *field) {
    static const char *const words[] = {"choice", "ending"};
    rp_text text = trim(field->data, field->size);
    for (size_t w = 0; w < 2; w++) {
        size_t at = strlen(words[w]), i = 0;
        while (i < at && i < text.size && lower(text.data[i]) == words[w][i]) i++;
        if (i < at || text.size == at) continue;
        if (text.data[i] == '_' && i + 1 < text.size) i++;
        while (i < text.size && text.data[i] >= '0' && text.data[i] <= '9') i++;
        if (i == text.size) return true;
    }
    return false;
}

static void complain(const char *name, const rp_table_row *row, const char *missing, const char *advice) {
    rp_cli_buffer list = {0};
    for (size_t i = 0; i < row->count; i++) {
        if (list.size > MOST_LISTED) {
            rp_cli_puts(&list, ", ...");
            break;
        }
        if (i) rp_cli_puts(&list, ", ");
        size_t size = row->fields[i].size < 100 ? row->fields[i].size : 100;
        for (size_t j = 0; j < size; j++)
            rp_cli_put(&list, row->fields[i].data[j] ? &row->fields[i].data[j] : "?", 1);
    }
    rp_cli_put(&list, "", 1);
    rp_cli_complain("%s: %s; its columns are %s; %s", name, missing, list.data ? list.data : "", advice);
    free(list.data);
}

/* Is there one column of this name alone? False after a message. A column that is not taken may have any. */
static bool is_alone(const rp_table_row *row, const char *file, size_t column) {
    if (column == NONE) return true;
    const rp_table_field *taken = &row->fields[column];
    for (size_t i = 0; i < row->count; i++) {
        const rp_table_field *other = &row->fields[i];
        if (i == column || other->size != taken->size || memcmp(other->data, taken->data, taken->size))
            continue;
        rp_cli_complain("%s: two columns are named '%.*s'; give them different names", file,
                        (int)(taken->size < 100 ? taken->size : 100), taken->data);
        return false;
    }
    return true;
}

/* The column that an option names. False after a message. */
static bool find_named(const rp_table_row *row, const char *file, const char *option, const char *name,
                       size_t *out) {
    char missing[200], advice[100];
    *out = find(row, name, false);
    if (*out != NONE) return true;
    snprintf(missing, sizeof missing, "no column is named '%.100s'", name);
    snprintf(advice, sizeof advice, "name one of them with --%s", option);
    complain(file, row, missing, advice);
    return false;
}

/* ---- which columns ---- */

static bool wants_pair(const rp_cli_table *t) {
    return t->shape == RP_CLI_SHAPE_PAIR || t->shape == RP_CLI_SHAPE_QUESTION;
}

/* The texts' columns by their usual names, where the options do not name them. `side` 0: text; 1: pair. */
static size_t usual(const rp_table_row *row, int side, size_t other) {
    for (size_t i = 0; i < PAIRS; i++) {
        size_t found = find(row, pairs[i][side], true);
        if (found != NONE && found != other) return found;
    }
    return side ? NONE : find(row, "sentence", true);
}

static void choose_usual(rp_cli_table *t, const rp_table_row *row) {
    bool pair = wants_pair(t) || t->shape == RP_CLI_SHAPE_MAYBE_PAIR;
    for (size_t i = 0; pair && i < PAIRS; i++) {
        size_t first = t->shape == RP_CLI_SHAPE_QUESTION ? (i + 4) % PAIRS : i; /* question, context */
        t->text = find(row, pairs[first][0], true);
        t->pair = find(row, pairs[first][1], true);
        if (t->text != NONE && t->pair != NONE) return;
    }
    t->pair = NONE;
    t->text = t->shape == RP_CLI_SHAPE_ASK ? find(row, "question", true) : NONE;
    for (size_t i = 0; !wants_pair(t) && t->text == NONE && i < SINGLES; i++)
        t->text = find(row, singles[i], true);
    if (t->text == NONE && t->shape == RP_CLI_SHAPE_CHOICES) t->text = usual(row, 0, NONE);
}

/* The columns of choices. False: out of memory. */
static bool choose_choices(rp_cli_table *t, const rp_table_row *row) {
    t->choices = calloc(row->count, sizeof *t->choices);
    for (size_t i = 0; t->choices && i < row->count; i++)
        if (i != t->text && is_choice(&row->fields[i])) t->choices[t->choice_count++] = i;
    return t->choices;
}

static bool choose(rp_cli_table *t, const rp_table_row *row, const char *file) {
    const char *text = t->options->text_column, *pair = t->options->pair_column;
    t->text = t->pair = NONE;
    if (text && !find_named(row, file, "text-column", text, &t->text)) return false;
    if (pair && !find_named(row, file, "pair-column", pair, &t->pair)) return false;
    if (!text && !pair) choose_usual(t, row);
    if (text && !pair && wants_pair(t)) t->pair = usual(row, 1, t->text);
    if (pair && !text) t->text = usual(row, 0, t->pair);
    if (t->shape == RP_CLI_SHAPE_CHOICES && !choose_choices(t, row)) {
        rp_cli_complain("%s: out of memory; close other programs", file);
        return false;
    }
    if (t->text == NONE || (wants_pair(t) && t->pair == NONE)) {
        complain(file, row,
                 wants_pair(t) ? "no columns are named text and text_pair, sentence1 and sentence2, question "
                                 "and context, or as reprise(1) lists"
                               : "no column is named text or sentence",
                 wants_pair(t) ? "name two with --text-column and --pair-column"
                               : "name one with --text-column");
        return false;
    }
    if (t->shape == RP_CLI_SHAPE_CHOICES && !t->choice_count) {
        complain(file, row, "no columns are named choice1, choice2 or ending0, ending1 and so on",
                 "name those of the choices so");
        return false;
    }
    if (t->shape == RP_CLI_SHAPE_DOCUMENT) {
        const char *id = t->options->id_column;
        if (id && !find_named(row, file, "id-column", id, &t->pair)) return false;
        if (!id) t->pair = find(row, "id", true);
    }
    return is_alone(row, file, t->text) && is_alone(row, file, t->pair);
}

/* ---- headers ---- */

void rp_cli_table_begin(rp_cli_table *t) {
    rp_table_finish(&t->reader);
    t->reader.literal = t->options->tsv;
    t->reader.separator = t->options->tsv ? '\t' : 0;
    t->begun = false;
}

static void join(const rp_table_row *row, rp_cli_buffer *out) {
    for (size_t i = 0; i < row->count; i++) {
        rp_cli_put(out, row->fields[i].data, row->fields[i].size);
        rp_cli_put(out, "\xff", 1); /* which is in no text */
    }
}

static bool is_same(const rp_cli_table *t, const rp_table_row *row, const char *name) {
    rp_cli_buffer names = {0};
    join(row, &names);
    bool same = names.size == t->names.size && !memcmp(names.data, t->names.data, names.size);
    free(names.data);
    if (!same) complain(name, row, "the columns are not those of the first file", "answer this file alone");
    return same;
}

rp_status rp_cli_table_header(rp_cli_table *t, const rp_table_row *row, const char *name, bool marked) {
    if (row->mistake[0]) {
        rp_cli_complain("%s, line %llu: %s", name, (unsigned long long)row->line, row->mistake);
        return RP_ERROR_FILE;
    }
    t->begun = true;
    if (t->known) return is_same(t, row, name) ? RP_OK : RP_ERROR_FILE;
    if (!choose(t, row, name)) return RP_ERROR_ARGUMENT;
    t->known = true;
    t->columns = row->count;
    t->separator = t->reader.separator;
    memcpy(t->end, "\n", 2);
    if (row->end_size) memcpy(t->end, row->data + row->size, row->end_size);
    t->end[row->end_size ? row->end_size : 1] = '\0';
    join(row, &t->names);
    if (marked) rp_cli_puts(&t->header, "\xef\xbb\xbf");
    rp_cli_table_put_header(t, row, name);
    return RP_OK;
}

void rp_cli_table_close(rp_cli_table *t) {
    rp_table_finish(&t->reader);
    free(t->choices);
    free(t->names.data);
    free(t->header.data);
    *t = (rp_cli_table){0};
}

/* ---- rows ---- */

/* The texts of a good row, as one piece of memory. False: out of memory. */
static bool take_texts(const rp_cli_table *t, const rp_table_row *row, rp_cli_item *item) {
    const rp_table_field *fields = row->fields;
    size_t size = fields[t->text].size + (t->pair == NONE ? 0 : fields[t->pair].size) + 1;
    for (size_t i = 0; i < t->choice_count; i++) size += fields[t->choices[i]].size;
    char *at = item->line = malloc(size);
    if (t->choice_count) item->choices = calloc(t->choice_count, sizeof *item->choices);
    if (!item->line || (t->choice_count && !item->choices)) return false;
    item->choice_count = t->choice_count;
    for (size_t i = 0; i < t->choice_count + 2; i++) {
        size_t column = i == 0 ? t->text : i == 1 ? t->pair : t->choices[i - 2];
        if (column == NONE) continue;
        rp_text *out = i == 0 ? &item->text : i == 1 ? &item->pair : &item->choices[i - 2];
        memcpy(at, fields[column].data, fields[column].size);
        *out = (rp_text){at, fields[column].size};
        at += out->size;
    }
    return true;
}

/* The end of a file's name that leaves room for what is wrong. */
static const char *shown(const char *name) {
    enum { SHOWN = 80 };
    size_t size = strlen(name);
    if (size <= SHOWN) return name;
    name += size - SHOWN;
    while ((*name & 0xc0) == 0x80) name++;
    return name;
}

void rp_cli_table_item(const rp_cli_table *t, const rp_table_row *row, const char *name, rp_cli_item *item) {
    const unsigned long long line = row->line;
    rp_cli_buffer before = {0};
    rp_cli_table_put_row(t, row, &before);
    if (!before.cut) {
        item->before = before.data;
        item->before_size = before.size;
    } else {
        free(before.data);
    }
    if (row->mistake[0])
        rp_cli_item_fail(item, "%s, line %llu: %s", shown(name), line, row->mistake);
    else if (before.cut || !take_texts(t, row, item))
        rp_cli_item_fail(item, "%s, line %llu: out of memory; close other programs", shown(name), line);
}

/* ---- a plain file that may be a table ---- */

bool rp_cli_table_suspect(const char *line, size_t size) {
    static const char *const others[] = {"label", "labels", "review", "id"};
    bool known = false, text = false;
    size_t fields = 0;
    for (size_t begin = 0, i = 0; i <= size && fields < 100; i++) {
        if (i < size && line[i] != ',' && line[i] != ';' && line[i] != '\t') continue;
        rp_text name = trim(line + begin, i - begin);
        if (name.size >= 2 && name.data[0] == '"' && name.data[name.size - 1] == '"')
            name = (rp_text){name.data + 1, name.size - 2};
        rp_table_field field = {.data = name.data, .size = name.size};
        for (size_t p = 0; p < PAIRS; p++)
            text = text || is_named(&field, pairs[p][0], true) || is_named(&field, pairs[p][1], true);
        for (size_t o = 0; o < sizeof others / sizeof *others; o++)
            known = known || is_named(&field, others[o], true);
        begin = i + 1;
        fields++;
    }
    return fields > 1 && (text || known);
}
