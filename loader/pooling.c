#include "loader/pooling_files.h"

#include <stdlib.h>
#include <string.h>

/* What is read of the folder, and where its parts are (NULL: modules.json does not say). */
typedef struct reader {
    const char *dir;
    rp_pooling_config *out;
    rp_error *err;
    char *transformer, *pooling;
    bool listed;      /* there is a modules.json */
    uint32_t columns; /* of the vector behind the last module that was read */
    size_t module_capacity;
} reader;

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

/* The last part of a module's class, and its folder. */
static rp_status read_module(const char *dir, const rp_side_file *file, const rp_json *module,
                             const char **name, char **folder, rp_error *err) {
    const char *type = rp_json_string(rp_json_get(module, "type"));
    const char *path = rp_json_string(rp_json_get(module, "path"));
    if (!type)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: type: every module must have one, a string", file->shown);
    if (!path || !is_inside(path))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: path: of %.*s: must be a folder inside the model's folder",
                       file->shown, rp_text_fit(type, 100), type);
    *name = strrchr(type, '.') ? strrchr(type, '.') + 1 : type;
    *folder = rp_path_join(dir, path);
    return *folder ? RP_OK : rp_fail_memory(err, "a path", strlen(dir) + strlen(path) + 2);
}

static void keep(char **place, char **folder) {
    free(*place);
    *place = *folder;
    *folder = NULL;
}

static rp_status read_modes(reader *r, const char *dir, const char *name, bool needed);

/* Append a module behind the pooling. */
static rp_status add_module(reader *r, rp_module_kind kind, const char *folder) {
    rp_pooling_config *out = r->out;
    rp_module module = {.kind = kind, .in = r->columns, .out = r->columns};
    rp_status status = RP_OK;
    if (kind != RP_MODULE_NORMALIZE)
        status = rp_module_load(folder, r->columns, &module, &out->arena, r->err);
    if (status) return status;
    if (!rp_grow((void **)&out->modules, &r->module_capacity, out->module_count + 1, sizeof module))
        return rp_fail_memory(r->err, "the modules", (out->module_count + 1) * sizeof module);
    out->modules[out->module_count++] = module;
    r->columns = module.out;
    return RP_OK;
}

static rp_status take_module(reader *r, const rp_side_file *file, const char *name, char **folder) {
    static const struct {
        const char *name;
        rp_module_kind kind;
    } behind[] = {
        {"Normalize", RP_MODULE_NORMALIZE}, {"Dense", RP_MODULE_DENSE}, {"LayerNorm", RP_MODULE_LAYER_NORM}};
    if (!strcmp(name, "Transformer")) {
        keep(&r->transformer, folder);
        return RP_OK;
    }
    if (!strcmp(name, "Pooling")) {
        keep(&r->pooling, folder);
        return read_modes(r, r->pooling, "config.json", true);
    }
    for (size_t i = 0; i < RP_COUNT(behind); i++) {
        if (strcmp(name, behind[i].name)) continue;
        if (r->pooling) return add_module(r, behind[i].kind, *folder);
        return rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                       "%s: %s: stands before the Pooling; only behind it is supported", file->shown, name);
    }
    if (!strcmp(name, "Dropout")) return RP_OK; /* does nothing outside of training */
    return rp_fail(
        r->err, RP_ERROR_UNSUPPORTED,
        "%s: type: %.*s is not supported; Transformer, Pooling, Dense, Normalize, LayerNorm and Dropout are",
        file->shown, rp_text_fit(name, 100), name);
}

static rp_status read_modules(reader *r) {
    rp_side_file file;
    rp_status status = rp_side_file_open(r->dir, "modules.json", RP_JSON_ARRAY, &file, r->err);
    r->listed = file.root != NULL;
    for (uint32_t i = 0; !status && r->listed && i < file.root->count; i++) {
        const char *name = NULL;
        char *folder = NULL;
        status = read_module(r->dir, &file, &file.root->items[i], &name, &folder, r->err);
        if (!status) status = take_module(r, &file, name, &folder);
        free(folder);
    }
    if (!status && r->listed && !r->pooling)
        status = rp_fail(r->err, RP_ERROR_UNSUPPORTED,
                         "%s: lists no Pooling, so it makes no vectors of sentences", file.shown);
    rp_side_file_close(&file);
    return status;
}

rp_status rp_pooling_transformer(const char *dir, char **out, rp_error *err) {
    rp_side_file file = {0};
    char *own = rp_path_join(dir, "config.json");
    *out = NULL;
    if (!own) return rp_fail_memory(err, "a path", strlen(dir));
    rp_status status = RP_OK;
    if (!rp_path_exists(own)) status = rp_side_file_open(dir, "modules.json", RP_JSON_ARRAY, &file, err);
    for (uint32_t i = 0; !status && !*out && file.root && i < file.root->count; i++) {
        const char *name = NULL;
        char *folder = NULL;
        status = read_module(dir, &file, &file.root->items[i], &name, &folder, err);
        if (!status && !strcmp(name, "Transformer")) keep(out, &folder);
        free(folder);
    }
    rp_side_file_close(&file);
    free(own);
    if (!status && !*out && !(*out = strdup(dir))) status = rp_fail_memory(err, "a path", strlen(dir));
    return status;
}

/* ---- the Pooling's config.json ---- */

static const struct {
    const char *field, *mode;
    unsigned bit;
} modes[RP_POOL_MODES] = {
    {"pooling_mode_mean_tokens", "mean", RP_POOL_MEAN},
    {"pooling_mode_cls_token", "cls", RP_POOL_CLS},
    {"pooling_mode_max_tokens", "max", RP_POOL_MAX},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", RP_POOL_MEAN_SQRT},
    {"pooling_mode_weightedmean_tokens", "weightedmean", RP_POOL_WEIGHTED_MEAN},
    {"pooling_mode_lasttoken", "lasttoken", RP_POOL_LAST},
};

/* The spelling as one string, in any case. */
static rp_status read_mode_name(reader *r, const rp_side_file *file, const rp_json *value) {
    const char *mode = rp_json_string(value);
    for (size_t i = 0; mode && i < RP_COUNT(modes); i++) {
        if (strcasecmp(mode, modes[i].mode)) continue;
        r->out->modes = modes[i].bit;
        return RP_OK;
    }
    if (!mode) mode = rp_json_kind(value);
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: pooling_mode: \"%.*s\" is not a pooling mode", file->shown,
                   rp_text_fit(mode, 80), mode);
}

/* A field for each mode; the mean is on unless the file turns it off. */
static rp_status read_mode_fields(reader *r, const rp_side_file *file) {
    for (size_t i = 0; i < RP_COUNT(modes); i++) {
        bool on = false;
        rp_status status = rp_json_bool(file->root, file->shown, modes[i].field, i == 0, &on, r->err);
        if (status) return status;
        if (on) r->out->modes |= modes[i].bit;
    }
    if (r->out->modes) return RP_OK;
    return rp_fail(r->err, RP_ERROR_FORMAT,
                   "%s: pooling_mode_mean_tokens: no pooling mode is on; turn one on", file->shown);
}

static rp_status read_pooling_file(reader *r, const rp_side_file *file) {
    const rp_json *name = rp_json_get(file->root, "pooling_mode");
    bool include = true;
    r->out->modes = 0;
    rp_status status =
        name && name->type != RP_JSON_NULL ? read_mode_name(r, file, name) : read_mode_fields(r, file);
    if (!status) status = rp_json_bool(file->root, file->shown, "include_prompt", true, &include, r->err);
    r->out->leave_out_prompt = !include;
    return status;
}

/* `name` in the folder `dir`; where it is not needed and not there, nothing changes. */
static rp_status read_modes(reader *r, const char *dir, const char *name, bool needed) {
    rp_side_file file;
    rp_status status = rp_side_file_open(dir, name, RP_JSON_OBJECT, &file, r->err);
    if (!status && file.root)
        status = read_pooling_file(r, &file);
    else if (!status && needed)
        status = rp_fail(r->err, RP_ERROR_FILE, "%s: missing, but modules.json lists it; fetch it too",
                         file.shown);
    uint32_t width = r->columns;
    for (unsigned left = r->out->modes & (r->out->modes - 1); !status && left; left &= left - 1)
        r->columns += width;
    rp_side_file_close(&file);
    return status;
}

/* ---- sentence_bert_config.json ---- */

static rp_status read_limits(reader *r, const rp_side_file *file) {
    const rp_json *length = rp_json_get(file->root, "max_seq_length");
    if (length && length->type != RP_JSON_NULL) {
        if (length->type != RP_JSON_INTEGER || length->integer < 1 || length->integer > INT32_MAX)
            return rp_fail(r->err, RP_ERROR_FORMAT,
                           "%s: max_seq_length: must be an integer from 1 to %d or null", file->shown,
                           INT32_MAX);
        r->out->max_seq_length = (uint32_t)length->integer;
    }
    return rp_json_bool(file->root, file->shown, "do_lower_case", false, &r->out->do_lower_case, r->err);
}

static rp_status read_sentence_config(reader *r) {
    static const char *const names[] = {"sentence_bert_config.json",       "sentence_roberta_config.json",
                                        "sentence_distilbert_config.json", "sentence_camembert_config.json",
                                        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
                                        "sentence_xlnet_config.json"};
    rp_status status = RP_OK;
    bool found = false;
    for (size_t i = 0; !status && !found && i < RP_COUNT(names); i++) {
        rp_side_file file;
        status = rp_side_file_open(r->transformer ? r->transformer : r->dir, names[i], RP_JSON_OBJECT, &file,
                                   r->err);
        found = file.root != NULL;
        if (!status && found) status = read_limits(r, &file);
        rp_side_file_close(&file);
    }
    return status;
}

/* ---- config_sentence_transformers.json ---- */

static rp_status keep_prompts(reader *r, const rp_side_file *file, const rp_json *prompts) {
    rp_pooling_config *out = r->out;
    out->prompts = rp_arena_alloc(&out->arena, prompts->count, sizeof *out->prompts);
    if (!out->prompts && prompts->count)
        return rp_fail_memory(r->err, "prompts", prompts->count * sizeof *out->prompts);
    for (uint32_t i = 0; i < prompts->count; i++) {
        const rp_member *member = &prompts->members[i];
        const char *text = rp_json_string(&member->value);
        if (!text)
            return rp_fail(r->err, RP_ERROR_FORMAT, "%s: prompts: %.*s: is %s, must be a string", file->shown,
                           rp_text_fit(member->key, 80), member->key, rp_json_kind(&member->value));
        rp_prompt *prompt = &out->prompts[out->prompt_count++];
        prompt->name = rp_arena_copy(&out->arena, member->key, strlen(member->key));
        prompt->text = rp_arena_copy(&out->arena, text, strlen(text));
        if (!prompt->name || !prompt->text) return rp_fail_memory(r->err, "a prompt", strlen(text));
    }
    return RP_OK;
}

static rp_status choose_default(reader *r, const rp_side_file *file, const rp_json *value) {
    const char *name = rp_json_string(value);
    if (!value || value->type == RP_JSON_NULL || (name && !*name)) return RP_OK;
    for (size_t i = 0; name && i < r->out->prompt_count; i++) {
        if (strcmp(name, r->out->prompts[i].name)) continue;
        r->out->default_prompt = r->out->prompts[i].text;
        return RP_OK;
    }
    if (!name) name = rp_json_kind(value);
    return rp_fail(r->err, RP_ERROR_FORMAT, "%s: default_prompt_name: \"%.*s\" is none of its prompts",
                   file->shown, rp_text_fit(name, 80), name);
}

static rp_status read_prompts(reader *r) {
    rp_side_file file;
    rp_status status =
        rp_side_file_open(r->dir, "config_sentence_transformers.json", RP_JSON_OBJECT, &file, r->err);
    const rp_json *prompts = rp_json_get(file.root, "prompts");
    bool given = prompts && prompts->type != RP_JSON_NULL;
    if (!status && given && prompts->type != RP_JSON_OBJECT)
        status = rp_fail(r->err, RP_ERROR_FORMAT, "%s: prompts: is %s, must be an object", file.shown,
                         rp_json_kind(prompts));
    if (!status && given) status = keep_prompts(r, &file, prompts);
    if (!status) status = choose_default(r, &file, rp_json_get(file.root, "default_prompt_name"));
    rp_side_file_close(&file);
    return status;
}

/* ---- the whole ---- */

rp_status rp_pooling_load(const char *dir, uint32_t hidden_size, rp_pooling_config *out, rp_error *err) {
    *out = (rp_pooling_config){.modes = RP_POOL_MEAN};
    reader r = {.dir = dir, .out = out, .err = err, .columns = hidden_size};
    rp_status status = rp_folder_check(dir, err);
    if (!status) status = read_modules(&r);
    if (!status && !r.listed) status = read_modes(&r, dir, "1_Pooling/config.json", false);
    if (!status || status == RP_ERROR_UNSUPPORTED) {
        rp_error why = {0};
        r.err = &why;
        rp_status others = read_sentence_config(&r);
        if (!others) others = read_prompts(&r);
        if (others) status = rp_fail(err, others, "%s", why.message);
    }
    free(r.transformer);
    free(r.pooling);
    return status;
}

void rp_pooling_finish(rp_pooling_config *config) {
    free(config->modules);
    rp_arena_finish(&config->arena);
    *config = (rp_pooling_config){0};
}
