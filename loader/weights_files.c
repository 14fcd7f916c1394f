#include "loader/weights_files.h"

#include <stdio.h>

#include "loader/json.h"
#include "loader/missing.h"
#include "loader/pytorch.h"
#include "loader/safetensors.h"
#include "loader/tf_weights.h"

enum { MAX_SHARDS = 4096, SHOWN_NAME = 100 };

/* What a folder may have, in the order in which transformers looks for it. */
static const struct rp_weight_format {
    const char *whole, *index, *suffix, *name;
    rp_status (*open)(const char *path, rp_tensor_file *out, rp_error *err);
} formats[] = {
    {"model.safetensors", "model.safetensors.index.json", ".safetensors", "safetensors", rp_safetensors_open},
    {"pytorch_model.bin", "pytorch_model.bin.index.json", ".bin", ".bin", rp_pytorch_open},
};

/* ---- shards ---- */

/* A shard is a plain file name, so that an index cannot reach out of its folder. */
static bool is_shard_name(const char *name, const char *suffix) {
    size_t size = strlen(name), end = strlen(suffix);
    return size > end && size < 256 && name[0] != '.' && !strpbrk(name, "/\\") &&
           !strcmp(name + size - end, suffix);
}

/* The open file of that name, or NULL. */
static rp_tensor_file *find_file(const rp_weight_files *files, const char *name) {
    for (size_t i = files->count; i-- > 0;) {
        const char *base = strrchr(files->files[i].path, '/');
        if (!strcmp(base ? base + 1 : files->files[i].path, name)) return &files->files[i];
    }
    return NULL;
}

static rp_status open_file(rp_weight_files *files, const char *dir, const char *name, rp_error *err) {
    if (!rp_grow((void **)&files->files, &files->capacity, files->count + 1, sizeof *files->files))
        return rp_fail_memory(err, "a list of files", (files->count + 1) * sizeof *files->files);
    char *path = rp_path_join(dir, name);
    if (!path) return rp_fail_memory(err, "a path", strlen(dir) + strlen(name) + 2);
    rp_status status = files->format->open(path, &files->files[files->count], err);
    free(path);
    if (!status) files->count++;
    return status;
}

/* The entries of a shard are hidden until the index names them: what two shards hold is taken from one. */
static rp_status open_hidden(rp_weight_files *files, const char *dir, const char *name, rp_error *err) {
    rp_status status = open_file(files, dir, name, err);
    if (status) return status;
    rp_tensor_file *file = &files->files[files->count - 1];
    for (size_t i = 0; i < file->count; i++) file->entries[i].hidden = true;
    return RP_OK;
}

static rp_status open_shard(rp_weight_files *files, const char *dir, const char *tensor, const rp_json *value,
                            rp_error *err) {
    const char *shown = rp_path_shown(files->path), *shard = rp_json_string(value);
    if (!shard || !is_shard_name(shard, files->format->suffix))
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s: weight_map: %.*s: \"%.*s\" is not the name of a %s file in the same folder",
                       shown, rp_text_fit(tensor, SHOWN_NAME), tensor,
                       rp_text_fit(shard ? shard : "", SHOWN_NAME), shard ? shard : rp_json_kind(value),
                       files->format->name);
    if (!find_file(files, shard)) {
        if (files->count == MAX_SHARDS)
            return rp_fail(err, RP_ERROR_FORMAT, "%s: weight_map: lists more than %d files", shown,
                           MAX_SHARDS);
        char *path = rp_path_join(dir, shard);
        bool missing = path && !rp_path_exists(path);
        free(path);
        if (missing) { // it may hold nothing that is needed
            if (!files->missing) files->missing = strdup(shard);
            return files->missing ? RP_OK : rp_fail_memory(err, "a name", strlen(shard) + 1);
        }
        rp_status status = open_hidden(files, dir, shard, err);
        if (status) return status;
    }
    rp_tensor_entry *entry = rp_tensor_file_find(find_file(files, shard), tensor);
    if (entry) {
        entry->hidden = false;
        return RP_OK;
    }
    return rp_fail(err, RP_ERROR_FORMAT, "%s: weight_map: %.*s: is not in %s, where the index says it is",
                   shown, rp_text_fit(tensor, SHOWN_NAME), tensor, shard);
}

static rp_status open_shards(rp_weight_files *files, const char *dir, rp_error *err) {
    rp_json_document index;
    rp_status status = rp_json_load(files->path, &index, err);
    if (status) return status;
    const rp_json *map = rp_json_get(&index.root, "weight_map");
    uint32_t count = rp_json_count(map, RP_JSON_OBJECT);
    if (count == 0)
        status = rp_fail(err, RP_ERROR_FORMAT,
                         "%s: weight_map: must be an object that lists tensors and their files",
                         rp_path_shown(files->path));
    for (uint32_t i = 0; !status && i < count; i++)
        status = open_shard(files, dir, map->members[i].key, &map->members[i].value, err);
    rp_json_finish(&index);
    return status;
}

/* ---- the folder ---- */

static bool has(const char *dir, const char *name) {
    char path[4096]; // longer ones cannot be opened; and no allocation that fails makes a file seem absent
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && rp_path_exists(path);
}

/* The first file of weights that the folder has; NULL: none but perhaps a TensorFlow checkpoint. */
static const char *choose(const char *dir, const struct rp_weight_format **format) {
    for (size_t i = 0; i < RP_COUNT(formats); i++) {
        *format = &formats[i];
        if (has(dir, formats[i].whole)) return formats[i].whole;
        if (has(dir, formats[i].index)) return formats[i].index;
    }
    *format = NULL;
    return NULL;
}

/* Open the file `name` of the folder, or the TensorFlow checkpoint whose path is files->path. */
static rp_status open_chosen(const char *dir, const char *name, rp_weight_files *files, rp_error *err) {
    if (!name) return rp_tf_weights_open(files->path, files, err);
    return name == files->format->whole ? open_file(files, dir, name, err) : open_shards(files, dir, err);
}

/* Keep what stands before the names, where they are those of a model inside of another module: module. of
 * DataParallel, model. of a trainer, _orig_mod. of torch.compile, and these before one another. */
static void find_outer(rp_weight_files *files) {
    static const char *const words[] = {"module.", "model.", "_orig_mod."};
    for (size_t i = 0; i < files->count && !*files->outer; i++)
        for (size_t k = 0; k < files->files[i].count && !*files->outer; k++) {
            const char *name = files->files[i].entries[k].name;
            size_t size = 0;
            for (size_t w = 0; w < RP_COUNT(words); w++) {
                size_t more = strlen(words[w]);
                if (size + more >= sizeof files->outer || strncmp(name + size, words[w], more)) continue;
                size += more;
                w = (size_t)-1; // another may follow
            }
            memcpy(files->outer, name, size);
        }
}

rp_status rp_weight_files_open(const char *dir, rp_weight_files **out, rp_error *err) {
    const struct rp_weight_format *format;
    char *path = NULL;
    *out = NULL;
    rp_status status = rp_folder_check(dir, err);
    if (status) return status;
    const char *name = choose(dir, &format);
    if (name)
        path = rp_path_join(dir, name);
    else
        status = rp_tf_folder_find(dir, &path, err);
    if (status) return status;
    if (!name && !path) return rp_fail_no_weights(dir, err);
    rp_weight_files *files = path ? rp_new(rp_weight_files) : NULL;
    if (!files) {
        free(path);
        return rp_fail_memory(err, "the weights", sizeof *files);
    }
    *files = (rp_weight_files){.path = path, .format = format};
    status = open_chosen(dir, name, files, err);
    if (status) {
        rp_weight_files_close(files);
        return status;
    }
    find_outer(files);
    *out = files;
    return RP_OK;
}

void rp_weight_files_close(rp_weight_files *files) {
    if (!files) return;
    for (size_t i = 0; i < files->count; i++) rp_tensor_file_close(&files->files[i]);
    free(files->files);
    free(files->path);
    free(files->missing);
    free(files->memory);
    free(files);
}

static rp_tensor_entry *find_entry(const rp_weight_files *files, const char *name, rp_tensor_file **file) {
    for (size_t i = 0; i < files->count; i++) {
        *file = &files->files[i];
        rp_tensor_entry *entry = rp_tensor_file_find(*file, name);
        if (entry && !entry->hidden) return entry;
    }
    return NULL;
}

rp_tensor_entry *rp_weight_files_find(const rp_weight_files *files, const char *name, rp_tensor_file **file) {
    char inner[256];
    rp_tensor_entry *entry = find_entry(files, name, file);
    if (entry || !*files->outer) return entry;
    if (snprintf(inner, sizeof inner, "%s%s", files->outer, name) >= (int)sizeof inner) return NULL;
    return find_entry(files, inner, file);
}
