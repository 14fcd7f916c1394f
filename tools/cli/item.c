/* One input from one line: plain text with tabs, or a JSON object. */
#include "input.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/json_read.h"
#include "loader/json_text.h"

void rp_cli_item_fail(rp_cli_item *item, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(item->error, sizeof item->error, format, arguments);
    va_end(arguments);
    item->failed = true;
}

static void fail_memory(rp_cli_item *item, size_t bytes) {
    rp_cli_item_fail(item, "out of memory: %zu bytes for this line; close other programs", bytes);
}

/* ---- JSON objects ---- */

/* In the words of those who write JSON: the loader's are for those who write a model's files. */
static const char *type_name(const rp_json *value) {
    switch (value->type) {
    case RP_JSON_OBJECT:
        return "an object";
    case RP_JSON_ARRAY:
        return "an array";
    case RP_JSON_STRING:
        return "a string";
    case RP_JSON_INTEGER:
    case RP_JSON_REAL:
        return "a number";
    case RP_JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}

static rp_text text_of(const rp_json *string) {
    return (rp_text){string->text, string->count};
}

/* The string under `key`. False when it is missing (then `item` fails, if it is needed) or no string. */
static bool take_string(rp_cli_item *item, const char *key, bool needed, rp_text *out) {
    const rp_json *value = rp_json_get(&item->document.root, key);
    if (!value || (!needed && value->type == RP_JSON_NULL)) {
        if (needed) rp_cli_item_fail(item, "\"%s\": missing; the object needs this key", key);
        return false;
    }
    if (value->type != RP_JSON_STRING) {
        rp_cli_item_fail(item, "\"%s\": must be a string, not %s", key, type_name(value));
        return false;
    }
    *out = text_of(value);
    return true;
}

static void take_choices(rp_cli_item *item, const char *key) {
    const rp_json *array = rp_json_get(&item->document.root, key);
    if (!array) {
        rp_cli_item_fail(item, "\"%s\": missing; the object needs this key", key);
        return;
    }
    size_t count = rp_json_count(array, RP_JSON_ARRAY);
    if (!count) {
        rp_cli_item_fail(item, "\"%s\": must be an array of at least one string, not %s", key,
                         array->type == RP_JSON_ARRAY ? "an empty one" : type_name(array));
        return;
    }
    item->choices = calloc(count, sizeof *item->choices);
    if (!item->choices) {
        fail_memory(item, count * sizeof *item->choices);
        return;
    }
    item->choice_count = count;
    for (size_t i = 0; i < item->choice_count; i++) {
        const rp_json *choice = &array->items[i];
        if (choice->type != RP_JSON_STRING) {
            rp_cli_item_fail(item, "\"%s\"[%zu]: must be a string, not %s", key, i, type_name(choice));
            return;
        }
        item->choices[i] = text_of(choice);
    }
}

/* The keys of an object that are read. */
static const char *const *keys_of(rp_cli_shape shape) {
    static const char *const text[] = {"text", NULL};
    static const char *const pair[] = {"text", "text_pair", NULL};
    static const char *const question[] = {"question", "context", NULL};
    static const char *const choices[] = {"text", "choices", NULL};
    static const char *const ranking[] = {"query", "documents", NULL};
    static const char *const document[] = {"text", "id", NULL};
    static const char *const ask[] = {"question", NULL};
    return shape == RP_CLI_SHAPE_RANKING    ? ranking
           : shape == RP_CLI_SHAPE_DOCUMENT ? document
           : shape == RP_CLI_SHAPE_QUESTION ? question
           : shape == RP_CLI_SHAPE_CHOICES  ? choices
           : shape == RP_CLI_SHAPE_TEXT     ? text
           : shape == RP_CLI_SHAPE_ASK      ? ask
                                            : pair;
}

/* A document's id: a string or, as JSON writes it, a number, true or false. An integer that the reader would
 * round (json_read.h) would be the id of another document. */
static void take_id(rp_cli_item *item) {
    enum { ROOM = 40 };
    const rp_json *id = rp_json_get(&item->document.root, "id");
    if (!id || id->type == RP_JSON_NULL) return;
    if (id->type == RP_JSON_STRING) {
        item->pair = text_of(id);
        return;
    }
    if (id->type == RP_JSON_OBJECT || id->type == RP_JSON_ARRAY) {
        rp_cli_item_fail(item, "\"id\": must be a string or a number, not %s", type_name(id));
        return;
    }
    if (id->type == RP_JSON_REAL && !(id->real < 0x1p63 && id->real > -0x1p63)) {
        rp_cli_item_fail(item,
                         "\"id\": a number of more than 64 bits would be rounded; write it as a string");
        return;
    }
    item->line = malloc(ROOM);
    if (!item->line) {
        fail_memory(item, ROOM);
        return;
    }
    if (id->type == RP_JSON_INTEGER)
        snprintf(item->line, ROOM, "%lld", (long long)id->integer);
    else if (id->type == RP_JSON_REAL)
        rp_json_double_text(id->real, item->line);
    else
        snprintf(item->line, ROOM, "%s", id->type == RP_JSON_TRUE ? "true" : "false");
    item->pair = (rp_text){item->line, strlen(item->line)};
    item->bare = true;
}

static void parse_object(rp_cli_item *item, rp_cli_shape shape, bool keep, bool search, const char *line,
                         size_t size) {
    rp_json_mistake mistake;
    /* Only strings are taken: what numbers the other keys have is nobody's concern. */
    const rp_json_flags flags = {.any = true, .nul = true, .large = true};
    bool good = rp_json_read(line, size, flags, &item->document, &mistake);
    if (!good && mistake.memory) {
        fail_memory(item, size);
        return;
    }
    if (!good) {
        rp_cli_item_fail(item, "not JSON: %s (byte %zu)", size ? mistake.text : "the line is empty",
                         mistake.position);
        return;
    }
    if (item->document.root.type != RP_JSON_OBJECT) {
        rp_cli_item_fail(item, "must be a JSON object, not %s", type_name(&item->document.root));
        return;
    }
    static const char *const searched[] = {"query", "text", NULL};
    if (keep && !rp_cli_keep(item, line, size, search ? searched : keys_of(shape))) {
        fail_memory(item, size);
        return;
    }
    bool question = shape == RP_CLI_SHAPE_QUESTION;
    bool query = shape == RP_CLI_SHAPE_RANKING || (search && rp_json_get(&item->document.root, "query"));
    bool asks = question || shape == RP_CLI_SHAPE_ASK;
    const char *key = asks ? "question" : query ? "query" : "text";
    if (!take_string(item, key, true, &item->text)) return;
    if (question)
        take_string(item, "context", true, &item->pair);
    else if (shape == RP_CLI_SHAPE_PAIR || shape == RP_CLI_SHAPE_MAYBE_PAIR)
        take_string(item, "text_pair", shape == RP_CLI_SHAPE_PAIR, &item->pair);
    else if (shape == RP_CLI_SHAPE_CHOICES)
        take_choices(item, "choices");
    else if (shape == RP_CLI_SHAPE_RANKING)
        take_choices(item, "documents");
    else if (shape == RP_CLI_SHAPE_DOCUMENT)
        take_id(item);
}

/* ---- plain lines ---- */

static void split_choices(rp_cli_item *item, const char *line, size_t size) {
    size_t tabs = 0;
    for (size_t i = 0; i < size; i++) tabs += line[i] == '\t';
    if (!tabs) {
        rp_cli_item_fail(
            item, "the line has no tab; a line is the text, a tab, and the choices with tabs between them");
        return;
    }
    item->choices = calloc(tabs, sizeof *item->choices);
    if (!item->choices) {
        fail_memory(item, tabs * sizeof *item->choices);
        return;
    }
    rp_text *field = &item->text;
    for (size_t begin = 0, i = 0; i <= size; i++) {
        if (i < size && line[i] != '\t') continue;
        *field = (rp_text){line + begin, i - begin};
        begin = i + 1;
        if (i < size) field = &item->choices[item->choice_count++];
    }
}

static void split_pair(rp_cli_item *item, rp_cli_shape shape, const char *line, size_t size) {
    const char *tab = memchr(line, '\t', size);
    if (!tab) {
        rp_cli_item_fail(item, "the line has no tab; a line is %s",
                         shape == RP_CLI_SHAPE_QUESTION ? "the question, a tab, and the context"
                                                        : "the text, a tab, and the second text");
        return;
    }
    item->text = (rp_text){line, (size_t)(tab - line)};
    item->pair = (rp_text){tab + 1, size - (size_t)(tab + 1 - line)};
}

void rp_cli_item_parse(rp_cli_item *item, rp_cli_shape shape, const rp_cli_options *options, const char *line,
                       size_t size) {
    if (options->jsonl) {
        parse_object(item, shape, options->keep, options->index_file, line, size);
        return;
    }
    item->line = malloc(size + 1);
    if (!item->line) {
        fail_memory(item, size);
        return;
    }
    memcpy(item->line, line, size);
    item->line[size] = '\0';
    if (shape == RP_CLI_SHAPE_CHOICES || shape == RP_CLI_SHAPE_RANKING)
        split_choices(item, item->line, size);
    else if (shape == RP_CLI_SHAPE_PAIR || shape == RP_CLI_SHAPE_QUESTION)
        split_pair(item, shape, item->line, size);
    else
        item->text = (rp_text){item->line, size};
}

void rp_cli_item_free(rp_cli_item *item) {
    free(item->choices);
    free(item->line);
    free(item->before);
    rp_json_finish(&item->document);
    *item = (rp_cli_item){0};
}
