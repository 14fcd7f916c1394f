#include "loader/folder.h"

#include <stdio.h>
#include <string.h>

#include "loader/json.h"

enum { MAX_CONFIG_BYTES = 1 << 20, PATH_BYTES = 4096 };

/* ---- listing ---- */

/* Keep the two smallest. */
static void keep(const char *name, char first[RP_FOLDER_NAME], char second[RP_FOLDER_NAME]) {
    if (!*first || strcmp(name, first) < 0) {
        memcpy(second, first, RP_FOLDER_NAME);
        snprintf(first, RP_FOLDER_NAME, "%s", name);
    } else if (!*second || strcmp(name, second) < 0)
        snprintf(second, RP_FOLDER_NAME, "%s", name);
}

typedef struct search {
    const char *dir;
    rp_folder_test *fits;
    char *first, *second; /* [RP_FOLDER_NAME] */
} search;

static rp_status test(void *context, const char *name, rp_error *err) {
    const search *s = context;
    bool good = false;
    rp_status status = name[0] != '.' ? s->fits(s->dir, name, &good, err) : RP_OK;
    if (good) keep(name, s->first, s->second);
    return status;
}

rp_status rp_folder_list(const char *dir, rp_folder_test *fits, char first[RP_FOLDER_NAME],
                         char second[RP_FOLDER_NAME], rp_error *err) {
    search s = {dir, fits, first, second};
    *first = *second = '\0';
    return rp_model_folder_list(dir, test, &s, err);
}

static bool has(const char *dir, const char *name) {
    char path[PATH_BYTES]; // longer ones cannot be opened
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && rp_path_exists(path);
}

/* The only file that fits in `dir`, or else in its folder assets. */
static rp_status find_only(const char *dir, rp_folder_test *fits, const char *what, char name[RP_FOLDER_NAME],
                           rp_error *err) {
    char first[RP_FOLDER_NAME], second[RP_FOLDER_NAME], assets[PATH_BYTES];
    *name = '\0';
    rp_status status = rp_folder_list(dir, fits, first, second, err);
    bool below = !status && !*first && snprintf(assets, sizeof assets, "%s/assets", dir) < (int)sizeof assets;
    if (below) status = rp_folder_list(assets, fits, first, second, err);
    if (status) return status;
    if (*second)
        return rp_fail(
            err, RP_ERROR_FORMAT, "%s: both %.*s and %.*s may be %s; leave one of them in the folder",
            rp_path_shown(dir), rp_text_fit(first, 80), first, rp_text_fit(second, 80), second, what);
    if (*first && strlen(first) < RP_FOLDER_NAME - 8)
        snprintf(name, RP_FOLDER_NAME, "%s%.280s", below ? "assets/" : "", first);
    return RP_OK;
}

/* The first of the names that is there. */
static bool find_named(const char *dir, const char *const *names, size_t count, char name[RP_FOLDER_NAME]) {
    *name = '\0';
    for (size_t i = 0; !*name && i < count; i++)
        if (has(dir, names[i])) snprintf(name, RP_FOLDER_NAME, "%s", names[i]);
    return *name;
}

/* ---- the configuration ---- */

static bool ends(const char *name, const char *with) {
    size_t size = strlen(name), end = strlen(with);
    return size >= end && !strcmp(name + size - end, with);
}

/* What every configuration of an encoder says, in Google's files and in Hugging Face's. */
static rp_status is_config(const char *dir, const char *name, bool *fits, rp_error *err) {
    char path[PATH_BYTES];
    rp_model_file source;
    rp_json_document document;
    if (!ends(name, ".json") || !strstr(name, "config") ||
        snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path ||
        rp_model_file_open(path, &source, NULL))
        return RP_OK;
    bool long_one = source.size > MAX_CONFIG_BYTES;
    rp_model_file_close(&source);
    if (long_one) return RP_OK;
    if (rp_json_load(path, &document, err) == RP_ERROR_HOST_MEMORY) return RP_ERROR_HOST_MEMORY;
    *fits = rp_json_is(rp_json_get(&document.root, "hidden_size"), RP_JSON_INTEGER) &&
            rp_json_is(rp_json_get(&document.root, "num_hidden_layers"), RP_JSON_INTEGER);
    rp_json_finish(&document);
    return RP_OK;
}

rp_status rp_folder_config(const char *dir, char name[RP_FOLDER_NAME], rp_error *err) {
    static const char *const names[] = {"config.json"};
    if (find_named(dir, names, 1, name)) return RP_OK;
    return find_only(dir, is_config, "the configuration of the model", name, err);
}

/* ---- vocabularies ---- */

/* A SentencePiece model begins with its first piece, which begins with its text. */
static rp_status is_spiece(const char *dir, const char *name, bool *fits, rp_error *err) {
    (void)err;
    char path[PATH_BYTES];
    unsigned char bytes[3];
    rp_model_file source;
    if (!ends(name, ".model") || snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path ||
        rp_model_file_open(path, &source, NULL))
        return RP_OK;
    *fits = rp_model_file_read(&source, 0, bytes, sizeof bytes) && bytes[0] == 0x0a && bytes[1] < 0x80 &&
            bytes[2] == 0x0a;
    rp_model_file_close(&source);
    return RP_OK;
}

rp_status rp_folder_spiece(const char *dir, char name[RP_FOLDER_NAME], rp_error *err) {
    static const char *const names[] = {"spiece.model", "30k-clean.model", "assets/spiece.model",
                                        "assets/30k-clean.model"};
    if (find_named(dir, names, sizeof names / sizeof names[0], name)) return RP_OK;
    return find_only(dir, is_spiece, "the SentencePiece model", name, err);
}

rp_status rp_folder_vocab(const char *dir, char name[RP_FOLDER_NAME], rp_error *err) {
    static const char *const names[] = {"vocab.txt", "assets/vocab.txt", "vocab_chinese.txt",
                                        "assets/vocab_chinese.txt"};
    (void)err;
    find_named(dir, names, sizeof names / sizeof names[0], name);
    return RP_OK;
}
