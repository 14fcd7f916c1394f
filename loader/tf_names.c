#include "loader/tf_names.h"

#include <stdio.h>

/* A module of the model. */
typedef struct module {
    const char *name;          /* in TensorFlow */
    const char *albert, *bert; /* in Hugging Face; NULL: that family has no such module */
} module;

static const module modules[] = {
    {"bert/embeddings/LayerNorm", "albert.embeddings.LayerNorm", "bert.embeddings.LayerNorm"},
    {"bert/encoder/embedding_hidden_mapping_in", "albert.encoder.embedding_hidden_mapping_in", NULL},
    {"bert/pooler/dense", "albert.pooler", "bert.pooler.dense"},
    {"cls/predictions/transform/dense", "predictions.dense", "cls.predictions.transform.dense"},
    {"cls/predictions/transform/LayerNorm", "predictions.LayerNorm", "cls.predictions.transform.LayerNorm"},
    {"cls/predictions", "predictions", "cls.predictions"},
    {"cls/seq_relationship", "sop_classifier.classifier", "cls.seq_relationship"},
    {"cls/squad", "qa_outputs", "qa_outputs"},
    {"", "classifier", "classifier"},
};

/* Behind the prefix of a layer. */
static const module layer_modules[] = {
    {"attention_1/self/query", "attention.query", NULL},
    {"attention_1/self/key", "attention.key", NULL},
    {"attention_1/self/value", "attention.value", NULL},
    {"attention_1/output/dense", "attention.dense", NULL},
    {"LayerNorm", "attention.LayerNorm", NULL},
    {"ffn_1/intermediate/dense", "ffn", NULL},
    {"ffn_1/intermediate/output/dense", "ffn_output", NULL},
    {"LayerNorm_1", "full_layer_layer_norm", NULL},
    {"attention/self/query", NULL, "attention.self.query"},
    {"attention/self/key", NULL, "attention.self.key"},
    {"attention/self/value", NULL, "attention.self.value"},
    {"attention/output/dense", NULL, "attention.output.dense"},
    {"attention/output/LayerNorm", NULL, "attention.output.LayerNorm"},
    {"intermediate/dense", NULL, "intermediate.dense"},
    {"output/dense", NULL, "output.dense"},
    {"output/LayerNorm", NULL, "output.LayerNorm"},
};

/* Tables, whose names end without a word for the parameter. */
static const module tables[] = {
    {"bert/embeddings/word_embeddings", "albert.embeddings.word_embeddings",
     "bert.embeddings.word_embeddings"},
    {"bert/embeddings/position_embeddings", "albert.embeddings.position_embeddings",
     "bert.embeddings.position_embeddings"},
    {"bert/embeddings/token_type_embeddings", "albert.embeddings.token_type_embeddings",
     "bert.embeddings.token_type_embeddings"},
};

static const struct {
    const char *name, *becomes;
    bool transposed;
} parameters[] = {
    {"kernel", "weight", true},          {"bias", "bias", false},
    {"gamma", "weight", false},          {"beta", "bias", false},
    {"output_weights", "weight", false}, {"output_bias", "bias", false},
};

/* TF-Hub puts this before every name. */
static const char *without_hub(const char *name) {
    static const char hub[] = "module/";
    return strncmp(name, hub, sizeof hub - 1) ? name : name + sizeof hub - 1;
}

static bool begins(const char *name, const char *with) {
    return !strncmp(name, with, strlen(with));
}

bool rp_tf_is_encoder(const char *name) {
    return begins(without_hub(name), "bert/encoder/");
}

bool rp_tf_is_albert(const char *name) {
    name = without_hub(name);
    return begins(name, "bert/encoder/transformer/") ||
           begins(name, "bert/encoder/embedding_hidden_mapping_in/");
}

const char *rp_tf_unserved_head(const char *name) {
    static const char *const heads[] = {"start_logits/", "end_logits/", "answer_class/"};
    for (size_t i = 0; i < RP_COUNT(heads); i++)
        if (begins(without_hub(name), heads[i])) return heads[i];
    return NULL;
}

/* The module called by the first `size` bytes of `name`. */
static const char *find(const module *list, size_t count, const char *name, size_t size, bool albert) {
    for (size_t i = 0; i < count; i++)
        if (strlen(list[i].name) == size && !memcmp(list[i].name, name, size))
            return albert ? list[i].albert : list[i].bert;
    return NULL;
}

/* A number without leading zeros at `*name`, copied to `out`. */
static bool take_number(const char **name, char out[8]) {
    size_t size = strspn(*name, "0123456789");
    if (!size || size > 5 || (size > 1 && **name == '0')) return false;
    memcpy(out, *name, size);
    out[size] = '\0';
    *name += size;
    return true;
}

static bool take(const char **name, const char *text) {
    if (!begins(*name, text)) return false;
    *name += strlen(text);
    return true;
}

/* The prefix of a layer, behind which `*name` then stands. */
static bool take_layer(const char **name, bool albert, char out[96]) {
    char group[8], inner[8];
    if (!albert) {
        if (!take(name, "bert/encoder/layer_") || !take_number(name, group) || !take(name, "/")) return false;
        snprintf(out, 96, "bert.encoder.layer.%s.", group);
        return true;
    }
    if (!take(name, "bert/encoder/transformer/group_") || !take_number(name, group) ||
        !take(name, "/inner_group_") || !take_number(name, inner) || !take(name, "/"))
        return false;
    snprintf(out, 96, "albert.encoder.albert_layer_groups.%s.albert_layers.%s.", group, inner);
    return true;
}

bool rp_tf_name(const char *name, bool albert, char out[RP_NAME_SIZE], bool *transposed) {
    char prefix[96] = "";
    name = without_hub(name);
    *transposed = false;
    const char *found = find(tables, RP_COUNT(tables), name, strlen(name), albert);
    if (found) {
        snprintf(out, RP_NAME_SIZE, "%s.weight", found);
        return true;
    }
    bool layer = take_layer(&name, albert, prefix);
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    size_t size = slash ? (size_t)(slash - name) : 0, i = 0;
    while (i < RP_COUNT(parameters) && strcmp(last, parameters[i].name)) i++;
    if (i == RP_COUNT(parameters)) return false;
    found = layer ? find(layer_modules, RP_COUNT(layer_modules), name, size, albert)
                  : find(modules, RP_COUNT(modules), name, size, albert);
    if (!found) return false;
    *transposed = parameters[i].transposed;
    snprintf(out, RP_NAME_SIZE, "%s%s.%s", prefix, found, parameters[i].becomes);
    return true;
}
