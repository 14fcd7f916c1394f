#define _GNU_SOURCE /* fstatat */
#include "loader/hub_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/os.h"
#include "loader/json.h"

enum { MAX_FILES = 1 << 18, MAX_MODULES = 64 };

static const char safetensors_index[] = "model.safetensors.index.json",
                  bin_index[] = "pytorch_model.bin.index.json";

/* ---- the list ---- */

/* The place of a path among sorted ones. */
static int compare_paths(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static rp_status read_paths(rp_hub_list *list, const rp_json *siblings, const char *shown, rp_error *err) {
    uint32_t count = rp_json_count(siblings, RP_JSON_ARRAY);
    if (!rp_json_is(siblings, RP_JSON_ARRAY) || count > MAX_FILES)
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: siblings: must be a list of at most %d files; check HF_ENDPOINT",
                       rp_path_shown(shown), MAX_FILES);
    list->paths = rp_new_array(const char *, count);
    list->chosen = rp_new_array(bool, count);
    if (!list->paths || !list->chosen)
        return rp_fail_memory(err, "a list of files", count * sizeof *list->paths);
    for (uint32_t i = 0; i < count; i++) {
        const rp_json *name = rp_json_get(&siblings->items[i], "rfilename");
        const char *path = rp_json_string(name);
        if (!path || strlen(path) != name->count || !rp_hub_path_check(path))
            return rp_fail(
                err, RP_ERROR_FORMAT,
                "%s: siblings: rfilename: \"%.*s\" is not a path inside a model's folder: nothing is fetched",
                rp_path_shown(shown), rp_text_fit(path ? path : rp_json_kind(name), 150),
                path ? path : rp_json_kind(name));
        list->paths[list->count++] = path;
    }
    qsort(list->paths, list->count, sizeof *list->paths, compare_paths);
    return RP_OK;
}

rp_status rp_hub_list_read(const char *text, size_t size, const char *shown, rp_hub_list *list,
                           rp_error *err) {
    *list = (rp_hub_list){.count = 0};
    rp_status status = rp_json_parse(text, size, shown, &list->document, err);
    if (status) return status;
    const char *commit = rp_json_string(rp_json_get(&list->document.root, "sha"));
    if (!commit || !rp_hub_commit_check(commit))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: sha: \"%.*s\" is not a commit (40 hex digits); check that HF_ENDPOINT is a hub",
                       rp_path_shown(shown), rp_text_fit(commit ? commit : "null", 60),
                       commit ? commit : "null");
    strcpy(list->commit, commit);
    return read_paths(list, rp_json_get(&list->document.root, "siblings"), shown, err);
}

/* Add what is in the folder `below` ("", or one that ends in a slash) of `dir`. */
static rp_status add_folder(rp_hub_list *list, size_t *capacity, const char *dir, const char *below,
                            int depth, rp_error *err) {
    char name[RP_URL_BYTES / 2];
    rp_os_info info;
    rp_status status = RP_OK;
    char *path = rp_path_join(dir, below);
    rp_os_list *open = path ? rp_os_list_open(path) : NULL;
    free(path);
    for (const char *entry; open && !status && (entry = rp_os_list_next(open));) {
        int size = snprintf(name, sizeof name - 1, "%s%s", below, entry);
        if (size >= (int)sizeof name - 1 || !rp_hub_path_check(name)) continue; /* "." and ".." too */
        if (rp_os_list_stat(open, entry, &info)) continue;
        if (info.kind == RP_OS_FOLDER && depth) {
            strcat(name, "/");
            status = add_folder(list, capacity, dir, name, depth - 1, err);
        } else if (info.kind == RP_OS_FILE) {
            char *copy = rp_arena_copy(&list->names, name, (size_t)size);
            if (!copy || !rp_grow((void **)&list->paths, capacity, list->count + 1, sizeof *list->paths))
                status = rp_fail_memory(err, "a list of files", (unsigned long long)size);
            else
                list->paths[list->count++] = copy;
        }
    }
    if (open) rp_os_list_close(open);
    return status;
}

rp_status rp_hub_list_folder(const char *dir, rp_hub_list *list, rp_error *err) {
    size_t capacity = 0;
    *list = (rp_hub_list){.count = 0};
    rp_status status = add_folder(list, &capacity, dir, "", 3, err);
    list->chosen = rp_new_array(bool, list->count);
    if (!status && !list->chosen) status = rp_fail_memory(err, "a list of files", list->count);
    if (!status && list->count) qsort(list->paths, list->count, sizeof *list->paths, compare_paths);
    return status;
}

void rp_hub_list_finish(rp_hub_list *list) {
    rp_arena_finish(&list->names);
    free(list->paths);
    free(list->chosen);
    rp_json_finish(&list->document);
    *list = (rp_hub_list){.count = 0};
}

/* ---- choosing ---- */

/* One choice on its way. */
typedef struct chooser {
    rp_hub_list *list;
    const char *snapshot, *id;
    rp_error *err;
} chooser;

/* A path: those of a list are shorter by far. */
typedef struct path {
    char text[RP_URL_BYTES / 2];
} path;

/* Choose `name` of `folder` ("", or one that ends in a slash). False: it is not in the list. */
static bool take(const rp_hub_list *list, const char *folder, const char *name, bool choose) {
    path p;
    const char *key = p.text;
    if (!list->count || snprintf(p.text, sizeof p.text, "%s%s", folder, name) >= (int)sizeof p.text)
        return false;
    const char **found = bsearch(&key, list->paths, list->count, sizeof *list->paths, compare_paths);
    if (found && choose) list->chosen[found - list->paths] = true;
    return found != NULL;
}

static bool has(const rp_hub_list *list, const char *folder, const char *name) {
    return take(list, folder, name, false);
}

static bool starts(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

static bool ends(const char *text, const char *suffix) {
    size_t size = strlen(text), end = strlen(suffix);
    return size > end && !strcmp(text + size - end, suffix);
}

/* Choose every file of `folder`, not of folders in it, for which `wanted` holds: their number. */
static size_t take_all(const chooser *c, const char *folder, bool (*wanted)(const char *name)) {
    size_t size = strlen(folder), count = 0;
    for (size_t i = 0; i < c->list->count; i++) {
        const char *file = c->list->paths[i];
        if (!starts(file, folder) || strchr(file + size, '/') || !wanted(file + size)) continue;
        c->list->chosen[i] = true;
        count++;
    }
    return count;
}

/* Small files that say how a model is run. */
static bool is_setting(const char *name) {
    static const char *const names[] = {
        "config.json",           "modules.json",      "tokenizer.json",
        "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
        "spiece.model",          "vocab.txt",         "config_sentence_transformers.json"};
    for (size_t i = 0; i < RP_COUNT(names); i++)
        if (!strcmp(name, names[i])) return true;
    return starts(name, "sentence_") && ends(name, "_config.json");
}

/* ---- weights ---- */

static bool is_shard_name(const char *name) {
    return *name && name[0] != '.' && !strpbrk(name, "/\\") &&
           (ends(name, ".safetensors") || ends(name, ".bin"));
}

/* Choose the shards that an index, which is in the snapshot, lists. */
static rp_status take_shards(chooser *c, const char *folder, const char *index) {
    rp_json_document document = {0};
    path name;
    snprintf(name.text, sizeof name.text, "%s%s", folder, index);
    char *file = rp_path_join(c->snapshot, name.text);
    if (!file) return rp_fail_memory(c->err, "a path", strlen(c->snapshot));
    rp_status status = rp_json_load(file, &document, c->err);
    const rp_json *map = rp_json_get(&document.root, "weight_map");
    uint32_t count = rp_json_count(map, RP_JSON_OBJECT);
    for (uint32_t i = 0; !status && i < count; i++) {
        const char *shard = rp_json_string(&map->members[i].value);
        if (shard && is_shard_name(shard) && take(c->list, folder, shard, true)) continue;
        status = rp_fail(c->err, RP_ERROR_FORMAT,
                         "%s: %s: weight_map: the shard \"%.*s\" is not in the repository", c->id,
                         rp_path_shown(name.text), rp_text_fit(shard ? shard : "", 100), shard ? shard : "");
    }
    if (!status && !count)
        status = rp_fail(c->err, RP_ERROR_FORMAT, "%s: %s: weight_map: lists no shards", c->id,
                         rp_path_shown(name.text));
    rp_json_finish(&document);
    free(file);
    return status;
}

/* Safetensors, else pickles. `*count`: what there was of them. */
static rp_status take_weights(chooser *c, const char *folder, size_t *count) {
    static const struct {
        const char *whole, *index;
    } forms[] = {{"model.safetensors", safetensors_index}, {"pytorch_model.bin", bin_index}};
    for (size_t i = 0; i < RP_COUNT(forms); i++) {
        bool whole = take(c->list, folder, forms[i].whole, true);
        if (!whole && !take(c->list, folder, forms[i].index, true)) continue;
        ++*count;
        return whole ? RP_OK : take_shards(c, folder, forms[i].index);
    }
    return RP_OK;
}

/* Parts of a TensorFlow checkpoint. */
static bool is_checkpoint_index(const char *name) {
    return ends(name, ".index");
}

static bool is_checkpoint_part(const char *name) {
    bool data = strstr(name, ".data-") != NULL && !ends(name, ".json");
    bool setting = strstr(name, "config") != NULL && ends(name, ".json");
    return data || setting || !strcmp(name, "checkpoint") || ends(name, ".model") ||
           !strcmp(name, "vocab.txt");
}

/* Of a model that has nothing else. TensorFlow Hub has them in folders. The number of checkpoints. */
static size_t take_checkpoints(const chooser *c, const char *folder) {
    static const char *const below[] = {"", "variables/", "assets/"};
    size_t count = 0;
    for (size_t i = 0; i < RP_COUNT(below); i++) {
        path p;
        if (snprintf(p.text, sizeof p.text, "%s%s", folder, below[i]) >= (int)sizeof p.text) continue;
        if (i < 2) count += take_all(c, p.text, is_checkpoint_index);
        take_all(c, p.text, is_checkpoint_part);
    }
    return count;
}

/* What there is in place of weights that can be read. */
static rp_status fail_without_weights(const chooser *c) {
    static const char *const others[] = {
        "tf_model.h5",  ".msgpack", ".onnx", ".gguf", ".ot", "adapter_model.safetensors",
        ".safetensors", ".bin",     ".pt",   ".ckpt", ".xml"};
    for (size_t i = 0; i < RP_COUNT(others); i++)
        for (size_t k = 0; k < c->list->count; k++) {
            const char *file = c->list->paths[k];
            if (!ends(file, others[i]) && strcmp(file, others[i])) continue;
            return rp_fail(
                c->err, RP_ERROR_UNSUPPORTED,
                "%s: has no weights that can be read (model.safetensors, pytorch_model.bin or a TensorFlow "
                "checkpoint), but %.*s; find a model that has them, or convert this one in Python "
                "(transformers: from_pretrained, save_pretrained)",
                c->id, rp_text_fit(file, 120), file);
        }
    return rp_fail(c->err, RP_ERROR_UNSUPPORTED,
                   "%s: has no weights (model.safetensors, pytorch_model.bin or a TensorFlow checkpoint); it "
                   "is no model "
                   "of a kind that can be run",
                   c->id);
}

/* ---- folders ---- */

/* The folders, inside the model's, that modules.json names: "1_Pooling/". `*transformer`: the one with the
 * encoder. */
typedef struct modules {
    path folders[MAX_MODULES];
    size_t count, transformer; /* SIZE_MAX: the model's folder itself */
} modules;

static rp_status read_module(chooser *c, modules *m, const rp_json *module) {
    const char *type = rp_json_string(rp_json_get(module, "type")),
               *at = rp_json_string(rp_json_get(module, "path"));
    size_t size = at ? strlen(at) : 0;
    while (size && at[size - 1] == '/') size--;
    if (!size || (size == 1 && at[0] == '.')) return RP_OK;
    if (m->count == MAX_MODULES || size + 1 >= sizeof m->folders[0].text)
        return rp_fail(c->err, RP_ERROR_FORMAT, "%s: modules.json: lists more than any real one does", c->id);
    path *folder = &m->folders[m->count];
    memcpy(folder->text, at, size);
    folder->text[size] = '\0';
    if (!rp_hub_path_check(folder->text))
        return rp_fail(c->err, RP_ERROR_FORMAT,
                       "%s: modules.json: path: \"%.*s\" is not a folder inside the model's folder", c->id,
                       rp_text_fit(at, 150), at);
    strcat(folder->text, "/");
    if (type && ends(type, "Transformer")) m->transformer = m->count;
    m->count++;
    return RP_OK;
}

static rp_status read_modules(chooser *c, modules *m) {
    rp_json_document document = {0};
    m->count = 0;
    m->transformer = SIZE_MAX;
    if (!has(c->list, "", "modules.json")) return RP_OK;
    char *file = rp_path_join(c->snapshot, "modules.json");
    rp_status status =
        file ? rp_json_load(file, &document, c->err) : rp_fail_memory(c->err, "a path", strlen(c->snapshot));
    for (uint32_t i = 0; !status && i < rp_json_count(&document.root, RP_JSON_ARRAY); i++)
        status = read_module(c, m, &document.root.items[i]);
    rp_json_finish(&document);
    free(file);
    return status;
}

static rp_status choose_all(chooser *c, const modules *m) {
    size_t weights = 0, others = 0;
    const char *encoder = m->transformer == SIZE_MAX ? "" : m->folders[m->transformer].text;
    take_all(c, "", is_setting);
    rp_status status = take_weights(c, encoder, &weights);
    for (size_t i = 0; i < m->count && !status; i++) {
        take_all(c, m->folders[i].text, is_setting);
        if (i != m->transformer) status = take_weights(c, m->folders[i].text, &others);
    }
    if (status) return status;
    if (!weights && !take_checkpoints(c, encoder)) return fail_without_weights(c);
    if (weights && !has(c->list, encoder, "config.json"))
        return rp_fail(
            c->err, RP_ERROR_UNSUPPORTED,
            "%s: has no %sconfig.json, which says what its weights are; it is no model of transformers",
            c->id, encoder);
    return RP_OK;
}

void rp_hub_choose_first(rp_hub_list *list) {
    bool modules = take(list, "", "modules.json", true);
    for (size_t i = 0; i < list->count; i++) {
        path folder;
        const char *file = list->paths[i], *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
        if (slash && !modules) continue;
        snprintf(folder.text, sizeof folder.text, "%.*s", (int)(name - file), file);
        bool whole = has(list, folder.text, "model.safetensors");
        if (!strcmp(name, safetensors_index)) list->chosen[i] = !whole;
        if (!strcmp(name, bin_index))
            list->chosen[i] = !whole && !has(list, folder.text, safetensors_index) &&
                              !has(list, folder.text, "pytorch_model.bin");
    }
}

rp_status rp_hub_choose(rp_hub_list *list, const char *snapshot, const char *id, rp_error *err) {
    chooser c = {.list = list, .snapshot = snapshot, .id = id, .err = err};
    modules *m = rp_new(modules);
    rp_status status = m ? read_modules(&c, m) : rp_fail_memory(err, "the modules", sizeof *m);
    if (!status) status = choose_all(&c, m);
    free(m);
    return status;
}
