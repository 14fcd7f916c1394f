#include "loader/pooling.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/json.h"

/* What is read of the folder, and where its parts are (NULL: modules.json does not say). */
typedef struct reader {
    const char *dir;
    rp_pooling_config *out;
    rp_error *err;
    char *transformer, *pooling;
} reader;

/* Load the file `name` of the folder `dir` if it is there: one that is not leaves null. `*path` (freed by the
 * caller) is for messages. */
static rp_status load_optional(const reader *r, const char *dir, const char *name, char **path,
                               rp_json_document *out) {
    *out = (rp_json_document){0};
    *path = rp_path_join(dir, name);
    if (!*path) return rp_fail_memory(r->err, "a path", strlen(dir) + strlen(name) + 2);
    return rp_path_exists(*path) ? rp_json_load(*path, out, r->err) : RP_OK;
}

/* ---- modules.json ---- */

/* Modules lie in folders inside the model's folder. */
static bool is_inside(const char *path) {
    if (path[0] == '/' || strchr(path, '\\')) return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        if (*part == '/') part++;
        if (!strncmp(part, "..", 2) && (part[2] == '/' || !part[2])) return false;
    }
    return true;
}

static rp_status keep_folder(const reader *r, const char *path, char **out) {
    free(*out);
    *out = rp_path_join(r->dir, path);
    return *out ? RP_OK : rp_fail_memory(r->err, "a path", strlen(r->dir) + strlen(path) + 2);
}

static rp_status read_module(reader *r, const char *file, const rp_json *module) {
    const char *type = rp_json_string(rp_json_get(module, "type"));
    const char *path = rp_json_string(rp_json_get(module, "path"));
    if (!type)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: type: every module must have one, a string",
                       rp_path_shown(file));
    if (!path || !is_inside(path))
        return rp_fail(r->err, RP_ERROR_FORMAT,
                       "%s: path: of %.*s: must be a folder inside the model's folder", rp_path_shown(file),
                       rp_text_fit(type, 100), type);
    const char *name = strrchr(type, '.');
    name = name ? name + 1 : type;
    if (!strcmp(name, "Transformer")) return keep_folder(r, path, &r->transformer);
    if (!strcmp(name, "Pooling")) return keep_folder(r, path, &r->pooling);
    if (!strcmp(name, "Normalize"))
        r->out->normalize = true;
    else if (strcmp(name, "Dropout"))
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: type: %.*s is not supported; Transformer, Pooling and Normalize are",
                       rp_path_shown(file), rp_text_fit(type, 100), type);
    return RP_OK;
}

static rp_status read_modules(reader *r) {
    char *path = NULL;
    rp_json_document document;
    rp_status status = load_optional(r, r->dir, "modules.json", &path, &document);
    const rp_json *root = &document.root;
    if (!status && root->type == RP_JSON_OBJECT)
        status = rp_fail(r->err, RP_ERROR_FORMAT, "%s: is %s, must be a list of modules", rp_path_shown(path),
                         rp_json_kind(root));
    for (size_t i = 0; !status && i < rp_json_count(root, RP_JSON_ARRAY); i++)
        status = read_module(r, path, &root->items[i]);
    rp_json_finish(&document);
    free(path);
    return status;
}

/* ---- 1_Pooling/config.json ---- */

static const struct {
    const char *field, *mode;
    rp_pooling pooling; /* RP_POOLING_DEFAULT: legal, but not supported */
} modes[] = {
    {"pooling_mode_mean_tokens", "mean", RP_POOLING_MEAN},
    {"pooling_mode_cls_token", "cls", RP_POOLING_CLS},
    {"pooling_mode_max_tokens", "max", RP_POOLING_MAX},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", RP_POOLING_DEFAULT},
    {"pooling_mode_weightedmean_tokens", "weightedmean", RP_POOLING_DEFAULT},
    {"pooling_mode_lasttoken", "lasttoken", RP_POOLING_DEFAULT},
};

static rp_status fail_mode(const reader *r, const char *path, const char *field) {
    return rp_fail(r->err, RP_ERROR_UNSUPPORTED, "%s: %s: is not supported; mean, cls or max alone are",
                   rp_path_shown(path), field);
}

/* The newer spelling, one string for the mode. */
static rp_status read_mode_name(reader *r, const char *path, const rp_json *value) {
    const char *mode = rp_json_string(value);
    for (size_t i = 0; mode && i < RP_COUNT(modes); i++) {
        if (strcmp(mode, modes[i].mode)) continue;
        r->out->pooling = modes[i].pooling;
        return modes[i].pooling ? RP_OK : fail_mode(r, path, mode);
    }
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: pooling_mode: \"%.*s\" is not a pooling mode",
                   rp_path_shown(path), rp_text_fit(mode ? mode : rp_json_kind(value), 80),
                   mode ? mode : rp_json_kind(value));
}

static rp_status read_modes(reader *r, const char *path, const rp_json *root) {
    const rp_json *name = rp_json_get(root, "pooling_mode");
    const char *chosen = NULL;
    if (root->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: is %s, must be an object", rp_path_shown(path),
                       rp_json_kind(root));
    if (name && name->type != RP_JSON_NULL) return read_mode_name(r, path, name);
    for (size_t i = 0; i < RP_COUNT(modes); i++) {
        bool on = false; // the mean is on unless the file turns it off
        rp_status status = rp_json_bool(root, path, modes[i].field, i == 0, &on, r->err);
        if (status) return status;
        if (!on) continue;
        if (chosen || !modes[i].pooling)
            return fail_mode(r, path, chosen ? "pooling_mode: more than one at a time" : modes[i].field);
        chosen = modes[i].field;
        r->out->pooling = modes[i].pooling;
    }
    if (chosen) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: pooling_mode_mean_tokens: no pooling mode is on; turn one on", rp_path_shown(path));
}

static rp_status read_pooling(reader *r) {
    char *path = NULL;
    rp_json_document document;
    rp_status status = load_optional(r, r->pooling ? r->pooling : r->dir,
                                     r->pooling ? "config.json" : "1_Pooling/config.json", &path, &document);
    const rp_json *root = &document.root;
    bool found = root->type != RP_JSON_NULL;
    if (!status && !found && r->pooling)
        status = rp_fail(r->err, RP_ERROR_FILE, "%s: missing, but modules.json lists it; fetch it too",
                         rp_path_shown(path));
    if (!status && found) status = read_modes(r, path, root);
    rp_json_finish(&document);
    free(path);
    return status;
}

/* ---- sentence_bert_config.json ---- */

static rp_status read_limits(reader *r, const char *path, const rp_json *root) {
    const rp_json *length = rp_json_get(root, "max_seq_length");
    if (root->type != RP_JSON_OBJECT)
        return rp_fail(r->err, RP_ERROR_FORMAT, "%s: is %s, must be an object", rp_path_shown(path),
                       rp_json_kind(root));
    if (length && length->type != RP_JSON_NULL) {
        int64_t n = length->type == RP_JSON_INTEGER ? length->integer : 0;
        if (n < 1 || n > INT32_MAX)
            return rp_fail(r->err, RP_ERROR_FORMAT,
                           "%s: max_seq_length: must be an integer from 1 to %d or null", rp_path_shown(path),
                           INT32_MAX);
        r->out->max_seq_length = (uint32_t)n;
    }
    return rp_json_bool(root, path, "do_lower_case", false, &r->out->do_lower_case, r->err);
}

static rp_status read_sentence_config(reader *r) {
    static const char *const names[] = {"sentence_bert_config.json", "sentence_albert_config.json"};
    rp_status status = RP_OK;
    bool found = false;
    for (size_t i = 0; !status && !found && i < RP_COUNT(names); i++) {
        char *path = NULL;
        rp_json_document document;
        status = load_optional(r, r->transformer ? r->transformer : r->dir, names[i], &path, &document);
        found = document.root.type != RP_JSON_NULL;
        if (!status && found) status = read_limits(r, path, &document.root);
        rp_json_finish(&document);
        free(path);
    }
    return status;
}

rp_status rp_pooling_load(const char *dir, rp_pooling_config *out, rp_error *err) {
    *out = (rp_pooling_config){.pooling = RP_POOLING_MEAN};
    reader r = {.dir = dir, .out = out, .err = err};
    rp_status status = rp_folder_check(dir, err);
    if (!status) status = read_modules(&r);
    if (!status) status = read_pooling(&r);
    if (!status || status == RP_ERROR_UNSUPPORTED) {
        rp_error why = {0};
        r.err = &why;
        rp_status limits = read_sentence_config(&r);
        if (limits) status = rp_fail(err, limits, "%s", why.message);
    }
    free(r.transformer);
    free(r.pooling);
    return status;
}
