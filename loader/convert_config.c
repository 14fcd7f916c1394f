/* config.json. */
#include <stdio.h>

#include "loader/convert.h"
#include "loader/json.h"
#include "loader/json_write.h"

/* The sizes that the configuration stands for, whether its file has them or not. */
typedef struct size {
    const char *field;
    uint32_t value;
} size;

/* Google's "gelu" of an ALBERT is Hugging Face's "gelu_new". */
static bool renames_gelu(const rp_conversion *c, const rp_json *root) {
    const char *name = rp_json_string(rp_json_get(root, "hidden_act"));
    return name && !strcmp(name, "gelu") && c->config.activation == RP_ACTIVATION_GELU_TANH;
}

/* Fields that are written anew, not copied. */
static bool is_rewritten(const rp_conversion *c, const rp_json *root, const char *key) {
    static const char *const always[] = {"architectures", "model_type", "torch_dtype", "dtype"},
                             *const of_head[] = {"id2label", "label2id", "num_labels", "problem_type"};
    for (size_t i = 0; i < RP_COUNT(always); i++)
        if (!strcmp(key, always[i])) return true;
    for (size_t i = 0; c->config.head_made && i < RP_COUNT(of_head); i++)
        if (!strcmp(key, of_head[i])) return true;
    return !strcmp(key, "hidden_act") && renames_gelu(c, root);
}

static void write_head(rp_json_writer *w, const rp_conversion *c, const rp_json *root) {
    static const char *const dtypes[] = {[RP_F32] = "float32", [RP_F16] = "float16", [RP_BF16] = "bfloat16"};
    rp_json_write_open(w, "architectures", '[');
    rp_json_write_string(w, NULL, c->architecture);
    rp_json_write_close(w, ']');
    rp_json_write_string(w, "model_type", rp_names_of(c->config.family)->prefix);
    rp_json_write_string(w, "torch_dtype", dtypes[rp_convert_target(c, c->weights.word.dtype)]);
    if (renames_gelu(c, root)) rp_json_write_string(w, "hidden_act", "gelu_new");
}

/* What transformers would otherwise take from its own defaults. */
static void write_missing_sizes(rp_json_writer *w, const rp_conversion *c, const rp_json *root) {
    const rp_config *f = &c->config;
    bool albert = f->family == RP_FAMILY_ALBERT;
    const size sizes[] = {{"vocab_size", f->vocab_size},
                          {"hidden_size", f->hidden_size},
                          {"intermediate_size", f->intermediate_size},
                          {"num_hidden_layers", f->layers},
                          {"num_attention_heads", f->attention_heads},
                          {"max_position_embeddings", f->max_positions},
                          {"type_vocab_size", f->type_vocab_size},
                          {albert ? "embedding_size" : NULL, f->embedding_size},
                          {albert ? "num_hidden_groups" : NULL, f->groups},
                          {albert ? "inner_group_num" : NULL, f->inner_layers}};
    if (f->family == RP_FAMILY_DISTILBERT) return; // whose names differ, and whose files have them
    for (size_t i = 0; i < RP_COUNT(sizes); i++)
        if (sizes[i].field && !rp_json_get(root, sizes[i].field))
            rp_json_write_integer(w, sizes[i].field, sizes[i].value);
    if (!rp_json_get(root, "layer_norm_eps")) rp_json_write_real(w, "layer_norm_eps", 1e-12);
}

/* Both directions, as transformers has them. */
static void write_labels(rp_json_writer *w, const rp_config *config) {
    char number[16];
    rp_json_write_open(w, "id2label", '{');
    for (uint32_t i = 0; i < config->label_count; i++) {
        snprintf(number, sizeof number, "%u", i);
        rp_json_write_string(w, number, config->labels[i]);
    }
    rp_json_write_close(w, '}');
    rp_json_write_open(w, "label2id", '{');
    for (uint32_t i = 0; i < config->label_count; i++) rp_json_write_integer(w, config->labels[i], i);
    rp_json_write_close(w, '}');
}

rp_status rp_convert_config(rp_conversion *c) {
    static const char *const problems[] = {
        [RP_PROBLEM_SINGLE_LABEL] = "single_label_classification",
        [RP_PROBLEM_MULTI_LABEL] = "multi_label_classification",
        [RP_PROBLEM_REGRESSION] = "regression",
    };
    rp_json_document document;
    rp_json_writer w = {0};
    rp_status status = rp_json_load(c->config.path, &document, c->err);
    if (status) return status;
    const rp_json *root = &document.root, *labels = rp_json_get(root, "id2label");
    rp_json_write_open(&w, NULL, '{');
    write_head(&w, c, root);
    for (uint32_t i = 0; i < root->count; i++)
        if (!is_rewritten(c, root, root->members[i].key))
            rp_json_write_value(&w, root->members[i].key, &root->members[i].value);
    write_missing_sizes(&w, c, root);
    if ((!labels || c->config.head_made) && c->weights.heads & (RP_HEAD_CLASSIFIER | RP_HEAD_TOKENS))
        write_labels(&w, &c->config);
    if (c->config.head_made && c->weights.heads & RP_HEAD_CLASSIFIER)
        rp_json_write_string(&w, "problem_type", problems[c->config.problem]);
    rp_json_write_close(&w, '}');
    rp_json_finish(&document);
    size_t bytes = 0;
    char *text = rp_json_writer_finish(&w, &bytes);
    return rp_staging_text(&c->staging, c->sub, "config.json", text, bytes, c->err);
}
