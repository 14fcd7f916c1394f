/* Which of a folder's checkpoints is meant. */
#include <stdio.h>

#include "loader/folder.h"
#include "loader/json.h"
#include "loader/tf_checkpoint.h"

enum { MAX_STATE_BYTES = 1 << 16 };

static const char suffix[] = ".index", state_name[] = "checkpoint", saved[] = "variables/variables.index";

/* A checkpoint's index, and none of safetensors or others, which end in ".index.json". */
static rp_status is_index(const char *dir, const char *name, bool *fits, rp_error *err) {
    size_t size = strlen(name), end = sizeof suffix - 1;
    (void)dir;
    (void)err;
    *fits = size > end && !strcmp(name + size - end, suffix);
    return RP_OK;
}

/* The text of the file "checkpoint", NUL-terminated; empty when there is none. */
static rp_status read_state(const char *dir, char *text, rp_error *err) {
    rp_model_file source = {.fd = -1};
    text[0] = '\0';
    char *path = rp_path_join(dir, state_name);
    if (!path) return rp_fail_memory(err, "a path", strlen(dir));
    rp_status status = rp_path_exists(path) ? rp_model_file_open(path, &source, err) : RP_OK;
    size_t size = source.size < MAX_STATE_BYTES ? (size_t)source.size : MAX_STATE_BYTES - 1; // any real one's
    bool got = rp_model_file_read(&source, 0, text, size);
    text[got ? size : 0] = '\0';
    rp_model_file_close(&source);
    free(path);
    return status;
}

/* The value of model_checkpoint_path in the text, without the folders before it: a checkpoint is copied from
 * where it was written more often than not. NULL when there is none. */
static char *named_checkpoint(char *text) {
    static const char key[] = "model_checkpoint_path:";
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, sizeof key - 1)) continue;
        char *begin = strchr(line, '"'), *end = begin ? strpbrk(begin + 1, "\"\n") : NULL;
        if (!end || *end != '"') return NULL;
        *end = '\0';
        char *slash = strrchr(begin + 1, '/');
        return slash ? slash + 1 : begin + 1;
    }
    return NULL;
}

static rp_status find_named(const char *dir, char **path, rp_error *err) {
    char *text = malloc(MAX_STATE_BYTES), name[RP_FOLDER_NAME];
    if (!text) return rp_fail_memory(err, "the file \"checkpoint\"", MAX_STATE_BYTES);
    rp_status status = read_state(dir, text, err);
    const char *stem = status ? NULL : named_checkpoint(text);
    if (stem && *stem && strlen(stem) < 256) {
        snprintf(name, sizeof name, "%s%s", stem, suffix);
        *path = rp_path_join(dir, name);
        if (!*path) status = rp_fail_memory(err, "a path", strlen(dir) + strlen(name) + 2);
    }
    free(text);
    if (*path && !rp_path_exists(*path)) {
        free(*path);
        *path = NULL;
    }
    return status;
}

rp_status rp_tf_folder_find(const char *dir, char **path, rp_error *err) {
    char first[RP_FOLDER_NAME], second[RP_FOLDER_NAME];
    *path = NULL;
    rp_status status = find_named(dir, path, err);
    if (status || *path) return status;
    status = rp_folder_list(dir, is_index, first, second, err);
    if (status) return status;
    if (*second)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: several checkpoints, %.*s and %.*s among them, and no file \"checkpoint\" that "
                       "names one of them; leave one in the folder",
                       rp_path_shown(dir), rp_text_fit(first, 80), first, rp_text_fit(second, 80), second);
    *path = rp_path_join(dir, *first ? first : saved);
    if (!*path) return rp_fail_memory(err, "a path", strlen(dir) + RP_FOLDER_NAME);
    if (*first || rp_path_exists(*path)) return RP_OK;
    free(*path);
    *path = NULL;
    return RP_OK;
}
