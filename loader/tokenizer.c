/* Opens the tokenizer of a folder, by the files that are there. */
#include <stdio.h>

#include "loader/find_model.h"
#include "loader/folder.h"
#include "loader/json.h"
#include "loader/missing.h"
#include "loader/pooling.h"
#include "loader/tokenizer.h"

enum { MAX_FILE_BYTES = 1 << 28 };

/* ---- opening ---- */

rp_status rp_tokenizer_read(const char *dir, const char *name, char **data, size_t *size, rp_error *err) {
    *data = NULL;
    *size = 0;
    char *path = rp_path_join(dir, name);
    if (!path) return rp_fail_memory(err, "a path", strlen(dir));
    rp_status status =
        rp_path_exists(path) ? rp_model_file_load(path, MAX_FILE_BYTES, data, size, err) : RP_OK;
    free(path);
    return status;
}

/* The whole file `dir`/`name`, which must not be empty. */
static rp_status read_vocabulary(rp_tokenizer *t, const char *name, char **data, size_t *size,
                                 rp_error *err) {
    t->file = rp_arena_copy(&t->arena, name, strlen(name));
    if (!t->file) return rp_fail_memory(err, "a path", strlen(name));
    return rp_tokenizer_read(t->dir, name, data, size, err);
}

static rp_status load_full(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    const rp_tokenizer_class *class = NULL;
    t->file = "tokenizer.json";
    rp_status status = rp_tokenizer_class_of(t->dir, files, false, false, &class, err);
    if (!status) status = rp_tokenizer_json_read(t, &files->full.root, files->full_path, err);
    return status ? status : rp_tokenizer_setup(t, class, files, false, err);
}

static rp_status load_vocab(rp_tokenizer *t, const rp_tokenizer_class *class, const char *name,
                            const rp_tokenizer_files *files, rp_error *err) {
    char *data = NULL;
    size_t size = 0;
    rp_status status = read_vocabulary(t, name, &data, &size, err);
    if (!status) status = rp_wordpiece_read(t, data, size, err);
    free(data);
    if (!status) status = rp_tokenizer_bert(t, err);
    return status ? status : rp_tokenizer_setup(t, class, files, true, err);
}

static rp_status load_spiece(rp_tokenizer *t, const char *name, const rp_tokenizer_files *files,
                             rp_error *err) {
    char *data = NULL;
    size_t size = 0;
    t->kind = RP_MODEL_ALBERT;
    rp_status status = read_vocabulary(t, name, &data, &size, err);
    if (!status) status = rp_albert_open(t, name, data, size, err);
    return status ? status : rp_albert_configure(t, files, err);
}

/* tokenizer.json where there is one; else what the class asks for. */
static rp_status load_from(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    char spiece[RP_FOLDER_NAME], vocab[RP_FOLDER_NAME];
    const rp_tokenizer_class *class = NULL;
    rp_status status = rp_tokenizer_settings(t, files, err);
    if (status) return status;
    if (files->full.root.type == RP_JSON_OBJECT) return load_full(t, files, err);
    status = rp_folder_spiece(t->dir, spiece, err);
    if (!status) status = rp_folder_vocab(t->dir, vocab, err);
    if (!status && !*spiece && !*vocab) status = rp_fail_no_tokenizer(t->dir, err);
    if (!status) status = rp_tokenizer_class_of(t->dir, files, *spiece, *vocab, &class, err);
    if (status) return status;
    return class->bert ? load_vocab(t, class, vocab, files, err) : load_spiece(t, spiece, files, err);
}

static rp_status load(rp_tokenizer *t, rp_error *err) {
    rp_tokenizer_files files = {0};
    rp_status status = rp_tokenizer_files_load(t->dir, &files, err);
    if (!status) status = load_from(t, &files, err);
    rp_tokenizer_files_finish(&files);
    return status;
}

rp_status rp_tokenizer_exists(const char *dir, bool *has, rp_error *err) {
    char spiece[RP_FOLDER_NAME] = "", vocab[RP_FOLDER_NAME] = "";
    char *full = rp_path_join(dir, "tokenizer.json");
    if (!full) return rp_fail_memory(err, "a path", strlen(dir));
    *has = rp_path_exists(full);
    free(full);
    rp_status status = *has ? RP_OK : rp_folder_spiece(dir, spiece, err);
    if (!status && !*has) status = rp_folder_vocab(dir, vocab, err);
    *has = *has || *spiece || *vocab;
    return status;
}

rp_status rp_tokenizer_check_ids(const rp_tokenizer *t, uint32_t embeddings, rp_error *err) {
    for (size_t i = 0; i < t->single.count; i++) {
        int32_t id = t->single.pieces[i].id;
        if (t->single.pieces[i].sequence >= 0 || (uint32_t)id < embeddings) continue;
        return rp_fail(err, RP_ERROR_FORMAT,
                       "%s/%s: the token \"%.*s\" that stands around every text has the id %d, but the model "
                       "has embeddings for %u ids only (vocab_size of config.json); the files belong to "
                       "different models",
                       rp_path_shown(t->dir), t->file, rp_text_fit(rp_tokenizer_piece(t, id), 40),
                       rp_tokenizer_piece(t, id), (int)id, embeddings);
    }
    return RP_OK;
}

/* The model's folder, or the one in it that modules.json says the Transformer is in. */
static rp_status find_folder(const char *dir, char **out, rp_error *err) {
    char *inner = NULL;
    bool has = false;
    rp_status status = rp_find_model(dir, out, err);
    if (!status) status = rp_tokenizer_exists(*out, &has, err);
    if (!status && !has) status = rp_pooling_transformer(*out, &inner, err);
    if (inner || status) {
        free(*out);
        *out = inner;
    }
    return status;
}

rp_status rp_tokenizer_open(const char *dir, rp_tokenizer **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_tokenizer_open: out is NULL");
    *out = NULL;
    char *folder = NULL;
    rp_status status = find_folder(dir, &folder, err);
    if (status) return status;
    rp_tokenizer *t = rp_new(rp_tokenizer);
    if (!t) {
        free(folder);
        return rp_fail_memory(err, "a tokenizer", sizeof *t);
    }
    t->dir = folder;
    t->ids = (rp_special_ids){-1, -1, -1, -1, -1};
    status = load(t, err);
    if (status) rp_tokenizer_close(&t);
    *out = t;
    return status;
}

rp_status rp_tokenizer_open_records(const rp_record *records, size_t count, rp_tokenizer **out,
                                    rp_error *err) {
    rp_records list;
    if (out) *out = NULL;
    rp_status status = rp_records_check(records, count, "rp_tokenizer_open_records", &list, err);
    if (status) return status;
    rp_records_use(&list);
    status = rp_tokenizer_open(RP_RECORDS_DIR, out, err);
    rp_records_use(NULL);
    free(list.sorted);
    return status;
}

void rp_tokenizer_close(rp_tokenizer **tokenizer) {
    if (!tokenizer || !*tokenizer) return;
    rp_tokenizer *t = *tokenizer;
    *tokenizer = NULL;
    for (size_t i = 0; i < t->normalizer.count; i++) rp_pattern_finish(&t->normalizer.steps[i].pattern);
    for (size_t i = 0; i < t->pretokenizer.count; i++) rp_pattern_finish(&t->pretokenizer.steps[i].pattern);
    for (size_t i = 0; i < t->decoder.count; i++) rp_pattern_finish(&t->decoder.steps[i].pattern);
    free(t->normalizer.steps);
    free(t->pretokenizer.steps);
    free(t->decoder.steps);
    free(t->single.pieces);
    free(t->pair.pieces);
    free(t->special);
    rp_added_finish(&t->added);
    rp_unigram_close(&t->unigram);
    rp_spiece_close(t->spiece);
    free(t->model.pieces);
    free(t->model_bytes);
    free(t->albert.added);
    free(t->dir);
    rp_vocab_finish(&t->vocab);
    rp_arena_finish(&t->arena);
    free(t);
}
