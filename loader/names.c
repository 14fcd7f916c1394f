#include "loader/names.h"

#include <stdio.h>
#include <string.h>

/* Sizes by their letter in weights.h. */
typedef enum size_letter { ONE, TWO, V, E, P, Y, H, I, C } size_letter;

typedef enum row_kind {
    TABLE,  /* weight [rows, columns] */
    LINEAR, /* weight [rows, columns], bias [rows] */
    NORM,   /* weight [columns], bias [columns] */
} row_kind;

/* One module of the model: a weight and, unless it is a table, the bias that follows it in the struct. */
typedef struct row {
    const char *names[RP_FAMILY_COUNT]; /* by rp_family; NULL: that family has no such module */
    size_t offset;                      /* of the weight, in rp_weights or rp_layer_weights */
    row_kind kind;
    size_letter rows, columns;
    unsigned part;
} row;

#define ALL(name) \
    { name, name, name }
#define AT(member) offsetof(rp_weights, member)
static const row model_rows[] = {
    {ALL("embeddings.word_embeddings"), AT(word), TABLE, V, E, RP_PART_ENCODER},
    {ALL("embeddings.position_embeddings"), AT(position), TABLE, P, E, RP_PART_ENCODER},
    {{"embeddings.token_type_embeddings", "embeddings.token_type_embeddings", NULL},
     AT(type),
     TABLE,
     Y,
     E,
     RP_PART_ENCODER},
    {ALL("embeddings.LayerNorm"), AT(embedding_norm), NORM, ONE, E, RP_PART_ENCODER},
    {{"encoder.embedding_hidden_mapping_in", NULL, NULL}, AT(mapping), LINEAR, H, E, RP_PART_ENCODER},
    {{"pooler", "pooler.dense", "pre_classifier"}, AT(pooler), LINEAR, H, H, RP_HEAD_POOLER},
    {ALL("classifier"), AT(classifier), LINEAR, C, H, RP_HEAD_CLASSIFIER},
    {ALL("classifier"), AT(classifier), LINEAR, C, H, RP_HEAD_TOKENS},
    {ALL("classifier"), AT(classifier), LINEAR, ONE, H, RP_HEAD_CHOICE},
    {ALL("qa_outputs"), AT(classifier), LINEAR, TWO, H, RP_HEAD_SPANS},
    {{"sop_classifier.classifier", "cls.seq_relationship", NULL}, AT(order), LINEAR, TWO, H, RP_HEAD_ORDER},
    {{"predictions.dense", "cls.predictions.transform.dense", "vocab_transform"},
     AT(lm_dense),
     LINEAR,
     E,
     H,
     RP_HEAD_MASKED_LM},
    {{"predictions.LayerNorm", "cls.predictions.transform.LayerNorm", "vocab_layer_norm"},
     AT(lm_norm),
     NORM,
     ONE,
     E,
     RP_HEAD_MASKED_LM},
};
#undef AT

#define AT(member) offsetof(rp_layer_weights, member)
#define ENCODER(member, kind, rows, columns) AT(member), kind, rows, columns, RP_PART_ENCODER
static const row layer_rows[] = {
    {{"attention.query", "attention.self.query", "attention.q_lin"}, ENCODER(query, LINEAR, H, H)},
    {{"attention.key", "attention.self.key", "attention.k_lin"}, ENCODER(key, LINEAR, H, H)},
    {{"attention.value", "attention.self.value", "attention.v_lin"}, ENCODER(value, LINEAR, H, H)},
    {{"attention.dense", "attention.output.dense", "attention.out_lin"}, ENCODER(dense, LINEAR, H, H)},
    {{"attention.LayerNorm", "attention.output.LayerNorm", "sa_layer_norm"},
     ENCODER(attention_norm, NORM, ONE, H)},
    {{"ffn", "intermediate.dense", "ffn.lin1"}, ENCODER(ffn, LINEAR, I, H)},
    {{"ffn_output", "output.dense", "ffn.lin2"}, ENCODER(ffn_output, LINEAR, H, I)},
    {{"full_layer_layer_norm", "output.LayerNorm", "output_layer_norm"}, ENCODER(output_norm, NORM, ONE, H)},
};
#undef AT

static uint32_t size_of(const rp_config *c, size_letter letter) {
    switch (letter) {
    case ONE:
        return 1;
    case TWO:
        return 2;
    case V:
        return c->vocab_size;
    case E:
        return c->embedding_size;
    case P:
        return c->max_positions;
    case Y:
        return c->type_vocab_size;
    case H:
        return c->hidden_size;
    case I:
        return c->intermediate_size;
    case C:
        return c->label_count;
    }
    return 0;
}

/* The field of config.json behind a size, for messages. */
static const char *field_of(const rp_config *c, size_letter letter) {
    static const char *const fields[] = {[ONE] = "1",
                                         [TWO] = "2",
                                         [V] = "vocab_size",
                                         [E] = "embedding_size",
                                         [P] = "max_position_embeddings",
                                         [Y] = "type_vocab_size",
                                         [H] = "hidden_size",
                                         [I] = "intermediate_size",
                                         [C] = "id2label or num_labels"};
    if (letter == E && c->family != RP_FAMILY_ALBERT) letter = H;
    if (c->family == RP_FAMILY_DISTILBERT && (letter == H || letter == I))
        return letter == H ? "dim" : "hidden_dim";
    return fields[letter];
}

typedef struct walk {
    const rp_config *config;
    rp_slot_visit visit;
    void *context;
} walk;

/* Visit the weight and the bias of `r`, whose struct begins at `base` and whose names begin with `prefix`. */
static rp_status visit_row(const walk *w, const row *r, void *base, const char *prefix) {
    const rp_config *c = w->config;
    const char *name = r->names[c->family];
    bool norm = r->kind == NORM;
    char reason[96];
    if (!name) return RP_OK;
    rp_slot slot = {.tensor = (rp_tensor *)((char *)base + r->offset),
                    .prefixed = r->part & RP_PART_ENCODER || (r->part & RP_HEAD_POOLER && !c->no_pooler),
                    .kind = norm ? RP_SLOT_SCALE : RP_SLOT_MATRIX,
                    .rows = size_of(c, r->rows),
                    .columns = size_of(c, r->columns),
                    .reason = reason};
    snprintf(slot.name, sizeof slot.name, "%s%s.weight", prefix, name);
    if (r->part == RP_HEAD_SPANS && c->head == RP_HEAD_SPANS) // the caller says that a classifier is one
        snprintf(slot.old_name, sizeof slot.old_name, "classifier.weight");
    if (r->part == RP_HEAD_CLASSIFIER) // of internal classifiers, the one behind the last layer
        snprintf(slot.old_name, sizeof slot.old_name, "classifiers.%u.weight", c->layers - 1);
    if (norm) {
        snprintf(slot.old_name, sizeof slot.old_name, "%s%s.gamma", prefix, name);
        snprintf(reason, sizeof reason, "%s", field_of(c, r->columns));
    } else
        snprintf(reason, sizeof reason, "%s, %s", field_of(c, r->rows), field_of(c, r->columns));
    rp_status status = w->visit(&slot, w->context);
    if (status || r->kind == TABLE) return status;
    slot.tensor++; // in both structs the bias stands behind its weight
    slot.kind = RP_SLOT_BIAS;
    if (!norm) slot.columns = slot.rows;
    slot.rows = 1;
    snprintf(slot.name, sizeof slot.name, "%s%s.bias", prefix, name);
    if (norm) snprintf(slot.old_name, sizeof slot.old_name, "%s%s.beta", prefix, name);
    char *end = *slot.old_name && !norm ? strrchr(slot.old_name, '.') : NULL;
    if (end) snprintf(end, sizeof slot.old_name - (size_t)(end - slot.old_name), ".bias");
    snprintf(reason, sizeof reason, "%s", field_of(c, norm ? r->columns : r->rows));
    return w->visit(&slot, w->context);
}

static rp_status visit_layers(const walk *w, rp_weights *weights) {
    const rp_config *c = w->config;
    char prefix[96];
    for (uint32_t i = 0; i < c->groups * c->inner_layers; i++) {
        if (c->family == RP_FAMILY_ALBERT)
            snprintf(prefix, sizeof prefix, "encoder.albert_layer_groups.%u.albert_layers.%u.",
                     i / c->inner_layers, i % c->inner_layers);
        else
            snprintf(prefix, sizeof prefix, "%s.layer.%u.",
                     c->family == RP_FAMILY_BERT ? "encoder" : "transformer", i);
        for (size_t k = 0; k < RP_COUNT(layer_rows); k++) {
            rp_status status = visit_row(w, &layer_rows[k], &weights->layers[i], prefix);
            if (status) return status;
        }
    }
    return RP_OK;
}

rp_status rp_slots_each(const rp_config *config, rp_weights *weights, unsigned parts, rp_slot_visit visit,
                        void *context) {
    walk w = {.config = config, .visit = visit, .context = context};
    rp_status status = RP_OK;
    for (size_t k = 0; !status && k < RP_COUNT(model_rows); k++)
        if (parts & model_rows[k].part) status = visit_row(&w, &model_rows[k], weights, "");
    if (!status && parts & RP_PART_ENCODER) status = visit_layers(&w, weights);
    return status;
}

unsigned rp_heads_of_architecture(const rp_config *config) {
    static const struct {
        const char *class;
        unsigned heads;
    } classes[] = {
        {"Model", RP_HEAD_POOLER}, // the first: passed over where there is no pooler
        {"ForSequenceClassification", RP_HEAD_POOLER | RP_HEAD_CLASSIFIER},
        {"ForSequenceClassificationWithPabee", RP_HEAD_POOLER | RP_HEAD_CLASSIFIER},
        {"ForTokenClassification", RP_HEAD_TOKENS},
        {"ForQuestionAnswering", RP_HEAD_SPANS},
        {"ForMultipleChoice", RP_HEAD_POOLER | RP_HEAD_CHOICE},
        {"ForMaskedLM", RP_HEAD_MASKED_LM},
        {"ForPreTraining", RP_HEAD_POOLER | RP_HEAD_MASKED_LM | RP_HEAD_ORDER},
        {"ForNextSentencePrediction", RP_HEAD_POOLER | RP_HEAD_ORDER},
    };
    const char *family = rp_names_of(config->family)->class, *class = config->architecture;
    if (strncmp(class, family, strlen(family))) return 0;
    for (size_t i = config->no_pooler; i < RP_COUNT(classes); i++)
        if (!strcmp(class + strlen(family), classes[i].class)) return classes[i].heads;
    return 0;
}

const rp_family_names *rp_names_of(rp_family family) {
    static const rp_family_names names[RP_FAMILY_COUNT] = {
        [RP_FAMILY_ALBERT] = {"Albert",
                              "albert",
                              "predictions.decoder.weight",
                              {"predictions.decoder.bias", "predictions.bias"}},
        [RP_FAMILY_BERT] = {"Bert",
                            "bert",
                            "cls.predictions.decoder.weight",
                            {"cls.predictions.bias", "cls.predictions.decoder.bias"}},
        [RP_FAMILY_DISTILBERT] = {"DistilBert",
                                  "distilbert",
                                  "vocab_projector.weight",
                                  {"vocab_projector.bias"}},
    };
    return &names[family];
}
