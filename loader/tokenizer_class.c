/* Which tokenizer of transformers a folder asks for, and what that one takes for granted. */
#include <stdio.h>

#include "loader/tokenizer.h"

#define BERT \
    { NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]" }
#define ALBERT \
    { "[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]" }
#define ROBERTA \
    { "<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>" }

static const rp_tokenizer_class classes[] = {
    {"BertTokenizer", true, true, false, BERT},           {"DistilBertTokenizer", true, false, false, BERT},
    {"ElectraTokenizer", true, true, false, BERT},        {"MobileBertTokenizer", true, true, false, BERT},
    {"AlbertTokenizer", false, true, true, ALBERT},       {"PreTrainedTokenizer", false, true, false, {NULL}},
    {"XLMRobertaTokenizer", false, false, true, ROBERTA},
};
enum { CLASS_BERT = 0, CLASS_DISTILBERT = 1, CLASS_ALBERT = 4, CLASS_GENERIC = 5 };

static const rp_tokenizer_class *find_class(const char *name) {
    size_t size = strlen(name);
    if (size > 4 && strcmp(name + size - 4, "Fast") == 0) size -= 4;
    for (size_t i = 0; i < RP_COUNT(classes); i++)
        if (strlen(classes[i].name) == size && memcmp(name, classes[i].name, size) == 0) return &classes[i];
    return NULL;
}

/* A string of `root`, "" where it is missing or null. */
static rp_status read_name(const rp_json *root, const char *path, const char *field, char out[64],
                           rp_error *err) {
    const rp_json *value = rp_json_get(root, field);
    out[0] = '\0';
    if (!value || value->type == RP_JSON_NULL) return RP_OK;
    if (value->type != RP_JSON_STRING)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: is %s, must be a string", rp_path_shown(path), field,
                       rp_json_kind(value));
    snprintf(out, 64, "%.*s", rp_text_fit(value->text, 63), value->text);
    return RP_OK;
}

/* tokenizer_class of tokenizer_config.json, else of config.json; and config.json's model_type. */
static rp_status read_names(const char *dir, const rp_tokenizer_files *files, char name[64], char type[64],
                            rp_error *err) {
    rp_json_document config = {0};
    char *path = rp_path_join(dir, "config.json");
    type[0] = '\0';
    if (!path) return rp_fail_memory(err, "a path", strlen(dir));
    rp_status status = read_name(&files->config.root, files->config_path, "tokenizer_class", name, err);
    if (!status && rp_path_exists(path)) status = rp_json_load_reals(path, &config, err);
    if (!status && !*name) status = read_name(&config.root, path, "tokenizer_class", name, err);
    if (!status) status = read_name(&config.root, path, "model_type", type, err);
    rp_json_finish(&config);
    free(path);
    return status;
}

/* A folder without tokenizer.json must have the vocabulary of its class. Chinese ALBERTs have BERT's. */
static rp_status check_files(const rp_tokenizer_files *files, const char *name, bool has_spiece,
                             bool has_vocab, const rp_tokenizer_class **out, rp_error *err) {
    bool albert = *out == &classes[CLASS_ALBERT];
    if (albert && !has_spiece) *out = &classes[CLASS_BERT];
    if (!*name && !albert && !has_vocab) *out = &classes[CLASS_ALBERT];
    if ((*out)->bert ? has_vocab : *out == &classes[CLASS_ALBERT] && has_spiece) return RP_OK;
    return rp_fail(err, RP_ERROR_UNSUPPORTED,
                   "%s: tokenizer_class: %s without tokenizer.json%s is not supported; fetch tokenizer.json",
                   rp_path_shown(files->config_path), *name ? name : (*out)->name,
                   (*out)->bert ? " and vocab.txt" : "");
}

rp_status rp_tokenizer_class_of(const char *dir, const rp_tokenizer_files *files, bool has_spiece,
                                bool has_vocab, const rp_tokenizer_class **out, rp_error *err) {
    char name[64], type[64];
    rp_status status = read_names(dir, files, name, type, err);
    if (status) return status;
    const bool full = files->full.root.type == RP_JSON_OBJECT;
    const char *model = rp_json_string(rp_json_get(rp_json_get(&files->full.root, "model"), "type"));
    *out = find_class(name);
    if (*name && !*out)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: tokenizer_class: %s is not supported; AlbertTokenizer, BertTokenizer, those like "
                       "it, XLMRobertaTokenizer and PreTrainedTokenizerFast are",
                       rp_path_shown(files->config_path), name);
    if (*out && (full || *out != &classes[CLASS_GENERIC]))
        return full ? RP_OK : check_files(files, name, has_spiece, has_vocab, out, err);
    if (!strcmp(type, "albert"))
        *out = &classes[CLASS_ALBERT];
    else if (!strcmp(type, "distilbert"))
        *out = &classes[CLASS_DISTILBERT];
    else if (!strcmp(type, "bert"))
        *out = &classes[CLASS_BERT];
    else if (full)
        *out = &classes[model && !strcmp(model, "WordPiece") ? CLASS_BERT : CLASS_GENERIC];
    else
        *out = &classes[has_spiece ? CLASS_ALBERT : CLASS_BERT];
    return full ? RP_OK : check_files(files, name, has_spiece, has_vocab, out, err);
}

/* ---- files and settings ---- */

typedef rp_status loader(const char *path, rp_json_document *out, rp_error *err);

static rp_status load(const char *dir, const char *name, loader *loader, rp_json_document *out, char **path,
                      rp_error *err) {
    *path = rp_path_join(dir, name);
    if (!*path) return rp_fail_memory(err, "a path", strlen(dir));
    if (!rp_path_exists(*path)) return RP_OK;
    rp_status status = loader(*path, out, err);
    if (!status && out->root.type != RP_JSON_OBJECT)
        status = rp_fail(err, RP_ERROR_FORMAT, "%s: is %s, must be an object", rp_path_shown(*path),
                         rp_json_kind(&out->root));
    return status;
}

rp_status rp_tokenizer_files_load(const char *dir, rp_tokenizer_files *out, rp_error *err) {
    /* transformers writes 10^30 as an integer */
    rp_status status =
        load(dir, "tokenizer_config.json", rp_json_load_reals, &out->config, &out->config_path, err);
    /* Beside added_tokens_decoder these two say nothing, whatever is in them. */
    const bool old = !rp_json_get(&out->config.root, "added_tokens_decoder");
    if (!status && old)
        status = load(dir, "special_tokens_map.json", rp_json_load_reals, &out->map, &out->map_path, err);
    if (!status && old)
        status = load(dir, "added_tokens.json", rp_json_load_reals, &out->added, &out->added_path, err);
    if (!status) status = load(dir, "tokenizer.json", rp_json_load_rust, &out->full, &out->full_path, err);
    return status;
}

void rp_tokenizer_files_finish(rp_tokenizer_files *files) {
    rp_json_finish(&files->config);
    rp_json_finish(&files->map);
    rp_json_finish(&files->added);
    rp_json_finish(&files->full);
    free(files->config_path);
    free(files->map_path);
    free(files->added_path);
    free(files->full_path);
}

rp_status rp_tokenizer_flag(const rp_tokenizer_files *files, const char *field, bool *out, rp_error *err) {
    return rp_json_bool(&files->config.root, files->config_path, field, *out, out, err);
}

rp_status rp_tokenizer_types(rp_tokenizer *t, const rp_tokenizer_files *files, bool types, rp_error *err) {
    const rp_json *names = rp_json_get(&files->config.root, "model_input_names");
    t->without_types = !types;
    if (!names || names->type == RP_JSON_NULL) return RP_OK;
    if (names->type != RP_JSON_ARRAY)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: model_input_names: is %s, must be a list",
                       rp_path_shown(files->config_path), rp_json_kind(names));
    t->without_types = true;
    for (uint32_t i = 0; i < names->count; i++) {
        const char *name = rp_json_string(&names->items[i]);
        if (name && !strcmp(name, "token_type_ids")) t->without_types = false;
    }
    return RP_OK;
}

int32_t rp_json_id(const rp_json *value) {
    double id = -1;
    bool is = rp_json_number(value, &id);
    return is && id >= 0 && id <= INT32_MAX && id == (double)(int32_t)id ? (int32_t)id : -1;
}

rp_status rp_added_read(const rp_json *value, const char *path, const char *where, rp_added *out,
                        rp_error *err) {
    const rp_json *content = rp_json_get(value, "content");
    *out = (rp_added){.text = rp_json_string(content)};
    if (!out->text)
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: must be an added token with the string \"content\"",
                       rp_path_shown(path), where);
    out->size = content->count;
    if (memchr(out->text, 0, out->size))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: content: holds a NUL character", rp_path_shown(path),
                       where);
    rp_status status = rp_json_bool(value, path, "special", false, &out->special, err);
    if (!status) status = rp_json_bool(value, path, "lstrip", false, &out->lstrip, err);
    if (!status) status = rp_json_bool(value, path, "rstrip", false, &out->rstrip, err);
    if (!status) status = rp_json_bool(value, path, "single_word", false, &out->single_word, err);
    if (!status) status = rp_json_bool(value, path, "normalized", !out->special, &out->normalized, err);
    return status;
}

static rp_status read_max_tokens(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    const rp_json *config = &files->config.root;
    const char *field = rp_json_get(config, "model_max_length") ? "model_max_length" : "max_len";
    const rp_json *value = rp_json_get(config, field);
    double most = 0;
    if (!value || value->type == RP_JSON_NULL) return RP_OK;
    if (!rp_json_number(value, &most) || !(most >= 1))
        return rp_fail(err, RP_ERROR_FORMAT, "%s: %s: must be a number of at least 1",
                       rp_path_shown(files->config_path), field);
    t->max_tokens = most < INT32_MAX ? (uint32_t)most : 0; /* transformers writes 1e30 for "no limit" */
    return RP_OK;
}

rp_status rp_tokenizer_settings(rp_tokenizer *t, const rp_tokenizer_files *files, rp_error *err) {
    /* What a file says of cutting counts only where tokenizer_config.json does not say it. */
    const char *from_full =
        rp_json_string(rp_json_get(rp_json_get(&files->full.root, "truncation"), "direction"));
    const rp_json *side = rp_json_get(&files->config.root, "truncation_side");
    const char *name = rp_json_string(side);
    t->truncate_left = from_full && (from_full[0] == 'l' || from_full[0] == 'L');
    if (side) {
        if (!name || (strcmp(name, "left") && strcmp(name, "right")))
            return rp_fail(err, RP_ERROR_FORMAT, "%s: truncation_side: must be \"left\" or \"right\"",
                           rp_path_shown(files->config_path));
        t->truncate_left = name[0] == 'l';
    }
    t->clean_up = true;
    rp_status status = rp_tokenizer_flag(files, "clean_up_tokenization_spaces", &t->clean_up, err);
    if (!status) status = rp_tokenizer_flag(files, "split_special_tokens", &t->added.split_special, err);
    return status ? status : read_max_tokens(t, files, err);
}
