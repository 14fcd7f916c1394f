/* The members of a JSON object that are kept for its answer, byte for byte. */
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "loader/json_tree.h"

/* Keys that stand behind the kept ones. */
static const char *const own[] = {"answer", "truncated", "error"};

static bool is_listed(const char *key, const char *const *list) {
    while (*list && strcmp(*list, key)) list++;
    return *list;
}

static bool is_own(const char *key) {
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (!strcmp(own[i], key)) return true;
    return false;
}

/* White space and what else is no value, in JSON that is known to be right. */
static size_t skip(const char *line, size_t at, const char *what) {
    while (line[at] && strchr(what, line[at])) at++;
    return at;
}

/* Behind the string that begins at `at`. */
static size_t string_end(const char *line, size_t at) {
    for (at++; line[at] != '"'; at++)
        if (line[at] == '\\') at++;
    return at + 1;
}

/* Behind the value that begins at `at`. */
static size_t value_end(const char *line, size_t at) {
    size_t depth = 0;
    for (;; at++) {
        while (line[at] == '"') at = string_end(line, at);
        char c = line[at];
        if (!depth && (c == ',' || c == '}' || c == ']' || strchr(" \t\r\n", c))) return at;
        depth += c == '{' || c == '[';
        if (c == '}' || c == ']') {
            if (!--depth) return at + 1;
        }
    }
}

/* "key" or, where the answer has it too, the first "input_key" that the object does not have. */
static void put_key(const rp_json *object, const rp_member *member, const char *raw, size_t size,
                    rp_cli_buffer *out) {
    if (!is_own(member->key)) {
        rp_cli_put(out, raw, size);
        return;
    }
    char name[64];
    snprintf(name, sizeof name, "input_%s", member->key);
    for (unsigned i = 2; rp_json_get(object, name); i++)
        snprintf(name, sizeof name, "input_%s_%u", member->key, i);
    rp_cli_json_string(out, name, strlen(name));
}

bool rp_cli_keep(rp_cli_item *item, const char *line, size_t size, const char *const *read) {
    const rp_json *object = &item->document.root;
    rp_cli_buffer out = {0};
    char *text = malloc(size + 1); /* a NUL behind it ends what is looked at, whatever happens */
    if (!text) return false;
    memcpy(text, line, size);
    text[size] = '\0';
    size_t at = skip(text, 0, " \t\r\n") + 1;
    for (uint32_t i = 0; i < object->count; i++) {
        const rp_member *member = &object->members[i];
        size_t key = skip(text, at, " \t\r\n,"), key_end = string_end(text, key);
        size_t value = skip(text, key_end, " \t\r\n:");
        at = value_end(text, value);
        if (is_listed(member->key, read)) continue;
        if (out.size) rp_cli_puts(&out, ", ");
        put_key(object, member, text + key, key_end - key, &out);
        rp_cli_puts(&out, ": ");
        rp_cli_put(&out, text + value, at - value);
    }
    free(text);
    if (!out.data && !out.cut) rp_cli_printf(&out, "%s", "");
    item->before = out.data ? out.data : calloc(1, 1);
    item->before_size = out.size;
    return item->before && !out.cut;
}

void rp_cli_keep_answer(const rp_cli_answer *answer, const char *json, size_t size, rp_cli_buffer *out) {
    const rp_cli_item *item = answer->item;
    if (!item->before || item->table) {
        rp_cli_put(out, json, size);
        rp_cli_puts(out, "\n");
        return;
    }
    bool cut =
        answer->encoding ? answer->encoding->truncated : rp_result_truncated(answer->result, answer->index);
    rp_cli_puts(out, "{");
    rp_cli_put(out, item->before, item->before_size);
    rp_cli_puts(out, item->before_size ? ", \"answer\": " : "\"answer\": ");
    rp_cli_put(out, json, size);
    rp_cli_puts(out, cut ? ", \"truncated\": true}\n" : ", \"truncated\": false}\n");
}

void rp_cli_keep_failure(const rp_cli_item *item, const char *message, rp_cli_buffer *out) {
    bool kept = item->before && !item->table && item->before_size;
    rp_cli_puts(out, "{");
    if (kept) rp_cli_put(out, item->before, item->before_size);
    rp_cli_puts(out, kept ? ", \"error\": " : "\"error\": ");
    rp_cli_json_string(out, message, strlen(message));
    rp_cli_puts(out, "}\n");
}
