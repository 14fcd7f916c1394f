#include "loader/convert.h"

#include <stdio.h>

#include "base/os.h"
#include "loader/find_model.h"
#include "loader/json.h"
#include "loader/pooling.h"
#include "loader/weights_files.h"

enum { PATH_BYTES = 4096 };

/* ---- the class ---- */

/* The class that has the most of the heads that are there. */
static const char *class_of(const rp_conversion *c) {
    unsigned heads = c->weights.heads, family = c->config.family;
    if (heads & RP_HEAD_CLASSIFIER) return "ForSequenceClassification";
    if (heads & RP_HEAD_TOKENS) return "ForTokenClassification";
    if (heads & RP_HEAD_SPANS) return "ForQuestionAnswering";
    if (heads & RP_HEAD_CHOICE) return "ForMultipleChoice";
    if (heads & RP_HEAD_ORDER && (heads & RP_HEAD_MASKED_LM || family == RP_FAMILY_ALBERT))
        return "ForPreTraining";
    if (heads & RP_HEAD_ORDER) return "ForNextSentencePrediction";
    return heads & RP_HEAD_MASKED_LM ? "ForMaskedLM" : "Model";
}

void rp_convert_name_class(rp_conversion *c) {
    if (!c->config.head && rp_heads_of_architecture(&c->config) &&
        strlen(c->config.architecture) < sizeof c->architecture)
        snprintf(c->architecture, sizeof c->architecture, "%.63s", c->config.architecture);
    else
        snprintf(c->architecture, sizeof c->architecture, "%s%s", rp_names_of(c->config.family)->class,
                 class_of(c));
}

/* ---- the heads ---- */

enum { SHARED = RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS | RP_HEAD_SPANS | RP_HEAD_CHOICE };

static rp_status check_head(rp_head head, rp_error *err) {
    if (!head || (head & SHARED && !(head & (head - 1)))) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "rp_convert: head %d is none of RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, RP_HEAD_SPANS and "
                   "RP_HEAD_CHOICE",
                   (int)head);
}

/* Say which heads are left out. Of those that share their tensors one at most can be there. */
static void note_heads(const rp_conversion *c) {
    const rp_convert_handler *handler = c->handler;
    const char *last = "";
    for (unsigned head = 1; handler && handler->note && head <= RP_HEAD_ORDER; head *= 2) {
        const rp_error *reason = rp_weights_left_out(&c->weights, head);
        bool other = head & SHARED && c->weights.heads & SHARED;
        if (!reason || other || !strcmp(reason->message, last)) continue;
        last = reason->message;
        handler->note(handler->user, last);
    }
}

/* ---- sentence-transformers ---- */

static bool is_regular(const char *path) {
    rp_os_info info;
    return !rp_os_stat(path, &info) && info.kind == RP_OS_FILE;
}

/* Copy `dir`/`name` where it is there. */
static rp_status copy_side_file(rp_conversion *c, const char *dir, const char *name) {
    char *path = rp_path_join(dir, name);
    if (!path) return rp_fail_memory(c->err, "a path", strlen(dir));
    rp_status status = RP_OK;
    if (is_regular(path) && !rp_staging_has(&c->staging, name))
        status = rp_staging_copy(&c->staging, path, name, c->err);
    free(path);
    return status;
}

/* Copy the files of the folder `dir`/`module`. */
static rp_status copy_module(rp_conversion *c, const char *dir, const char *module) {
    char path[PATH_BYTES], name[PATH_BYTES];
    rp_status status = RP_OK;
    rp_os_list *folder =
        snprintf(path, sizeof path, "%s/%s", dir, module) < (int)sizeof path ? rp_os_list_open(path) : NULL;
    if (!folder) return RP_OK; // a Normalize has none
    for (const char *item; !status && (item = rp_os_list_next(folder));)
        if (item[0] != '.' && snprintf(name, sizeof name, "%s/%s", module, item) < (int)sizeof name)
            status = copy_side_file(c, dir, name);
    rp_os_list_close(folder);
    return status;
}

/* A module's folder is a plain name, so that the list cannot reach out of its own. */
static rp_status copy_listed(rp_conversion *c, const char *dir, const char *list, const rp_json *module) {
    const char *path = rp_json_string(rp_json_get(module, "path"));
    if (!path || !*path || (*c->sub && !strncmp(path, c->sub, strlen(c->sub) - 1))) return RP_OK;
    if (path[0] == '.' || strpbrk(path, "/\\"))
        return rp_fail(c->err, RP_ERROR_UNSUPPORTED,
                       "%s: path: \"%.*s\" is no folder beside the file, and no other is copied",
                       rp_path_shown(list), rp_text_fit(path, 80), path);
    return copy_module(c, dir, path);
}

static rp_status copy_modules(rp_conversion *c, const char *dir) {
    char *list = rp_path_join(dir, "modules.json");
    rp_json_document document = {0};
    if (!list) return rp_fail_memory(c->err, "a path", strlen(dir));
    rp_status status = copy_side_file(c, dir, "modules.json");
    if (!status) status = copy_side_file(c, dir, "config_sentence_transformers.json");
    if (!status) status = copy_module(c, dir, "1_Pooling");
    if (!status && rp_path_exists(list)) status = rp_json_load(list, &document, c->err);
    for (uint32_t i = 0; !status && i < rp_json_count(&document.root, RP_JSON_ARRAY); i++)
        status = copy_listed(c, dir, list, &document.root.items[i]);
    rp_json_finish(&document);
    free(list);
    return status;
}

/* A folder that is to make vectors says so: by the mean of all tokens, unless it has a pooling of its own. */
static rp_status write_modules(rp_conversion *c) {
    static const char modules[] = "[\n  {\"idx\": 0, \"name\": \"0\", \"path\": \"\", \"type\": "
                                  "\"sentence_transformers.models.Transformer\"},\n  {\"idx\": 1, "
                                  "\"name\": \"1\", \"path\": \"1_Pooling\", \"type\": "
                                  "\"sentence_transformers.models.Pooling\"}\n]\n";
    static const char transformer[] = "{\"do_lower_case\": false}\n";
    char pooling[200];
    int size = snprintf(pooling, sizeof pooling,
                        "{\n  \"word_embedding_dimension\": %u,\n  \"pooling_mode_cls_token\": false,\n"
                        "  \"pooling_mode_mean_tokens\": true,\n  \"pooling_mode_max_tokens\": false\n}\n",
                        (unsigned)c->config.hidden_size);
    if (!c->config.makes_vectors || rp_staging_has(&c->staging, "modules.json")) return RP_OK;
    rp_status status =
        rp_staging_text(&c->staging, "", "modules.json", strdup(modules), strlen(modules), c->err);
    if (!status && !rp_staging_has(&c->staging, "1_Pooling/config.json"))
        status =
            rp_staging_text(&c->staging, "1_Pooling/", "config.json", strdup(pooling), (size_t)size, c->err);
    if (!status && !rp_staging_has(&c->staging, "sentence_bert_config.json")) /* it would ask the hub */
        status = rp_staging_text(&c->staging, "", "sentence_bert_config.json", strdup(transformer),
                                 strlen(transformer), c->err);
    return status;
}

/* ---- the whole ---- */

static rp_status write_files(rp_conversion *c, const char *dir) {
    rp_convert_name_class(c);
    rp_status status = rp_convert_config(c);
    if (!status) status = rp_convert_tokenizer(c);
    if (!status) status = copy_modules(c, dir);
    if (!status) status = write_modules(c);
    if (!status) status = rp_convert_weights(c, "model.safetensors");
    c->sub = ""; // what is no model of its own stands in the folder itself
    for (size_t i = 0; !status && i < c->more_count; i++) {
        c->weights = *c->more[i].weights;
        status = rp_convert_weights(c, c->more[i].name);
    }
    return status;
}

static rp_status convert(rp_conversion *c, const char *dir, const char *out,
                         const rp_convert_params *params) {
    static const char *const stale[] = {"tokenizer.json",        "tokenizer_config.json",
                                        "spiece.model",          "special_tokens_map.json",
                                        "added_tokens.json",     "vocab.txt",
                                        "modules.json",          "sentence_bert_config.json",
                                        "1_Pooling/config.json", "config_sentence_transformers.json"};
    rp_status status = c->borrowed ? RP_OK : rp_config_load(c->dir, &c->config, c->err);
    if (!c->borrowed) c->config.head = params->head;
    if (!status && !c->borrowed) status = rp_weights_load(c->dir, &c->config, &c->weights, c->err);
    if (!status) status = rp_staging_open(out, params->overwrite, &c->staging, c->err);
    if (!status) status = write_files(c, dir);
    if (!status) status = rp_staging_commit(&c->staging, stale, RP_COUNT(stale), c->err);
    if (!status) note_heads(c);
    return status;
}

/* The folder of the model below `dir`, as the beginning of a name; "" when it is `dir` itself. */
static rp_status find_sub(rp_conversion *c, const char *dir, const char *files, char sub[RP_NAME_SIZE]) {
    size_t size = strlen(dir);
    const char *rest = strlen(files) > size ? files + size : "";
    rest += *rest == '/';
    *sub = '\0';
    if (strchr(rest, '/') || strlen(rest) > 64)
        return rp_fail(c->err, RP_ERROR_UNSUPPORTED,
                       "%s: a Transformer module in a folder of a folder cannot be "
                       "converted",
                       rp_path_shown(dir));
    if (*rest) snprintf(sub, RP_NAME_SIZE, "%.64s/", rest);
    return RP_OK;
}

/* The arguments are checked. `config` and `weights` NULL: those of the folder. */
static rp_status convert_model(const char *model, const char *out, const rp_convert_params *params,
                               const rp_config *config, const rp_weights *weights,
                               const rp_more_weights *more, size_t more_count, rp_error *err) {
    char *dir = NULL, *files = NULL, sub[RP_NAME_SIZE] = "";
    rp_conversion c = {.sub = sub,
                       .dtype = params->dtype,
                       .handler = params->handler,
                       .borrowed = weights,
                       .more = more,
                       .more_count = more_count,
                       .err = err};
    if (weights) {
        c.config = *config;
        c.weights = *weights;
    }
    rp_status status = rp_find_model(model, &dir, err);
    if (!status) status = rp_pooling_transformer(dir, &files, err);
    if (!status) status = find_sub(&c, dir, files, sub);
    c.dir = files;
    if (!status) status = convert(&c, dir, out, params);
    rp_staging_close(&c.staging);
    if (!weights) {
        rp_weights_finish(&c.weights);
        rp_config_finish(&c.config);
    }
    free(files);
    free(dir);
    return status;
}

rp_status rp_convert_with(const char *dir, const char *out, const rp_convert_params *params,
                          const rp_config *config, const rp_weights *weights, const rp_more_weights *more,
                          size_t more_count, rp_error *err) {
    return convert_model(dir, out, params, config, weights, more, more_count, err);
}

rp_status rp_convert(const char *model, const char *out, const rp_convert_params *params, rp_error *err) {
    static const rp_convert_params defaults = {0};
    rp_error unwanted;
    if (!err) err = &unwanted;
    if (!params) params = &defaults;
    rp_status status = rp_check_reserved(params->reserved, RP_COUNT(params->reserved), "rp_convert", err);
    if (!status && (params->dtype < RP_CONVERT_AS_IS || params->dtype > RP_CONVERT_F16))
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_convert: dtype %d is none of rp_convert_dtype",
                         (int)params->dtype);
    if (!status) status = check_head(params->head, err);
    return status ? status : convert_model(model, out, params, NULL, NULL, NULL, 0, err);
}
