#include "loader/names.h"

#include <stdio.h>

/* Sizes by their letter in weights.h. */
typedef enum size_letter { ONE, TWO, V, E, P, Y, H, I, C } size_letter;

typedef enum row_kind {
    TABLE,  /* weight [rows, columns] */
    LINEAR, /* weight [rows, columns], bias [rows] */
    NORM,   /* weight [columns], bias [columns] */
} row_kind;

/* One module of the model: a weight and, unless it is a table, the bias that follows it in the struct. */
typedef struct row {
    const char *albert, *bert; /* NULL: that family has no such module */
    size_t offset;             /* of the weight, in rp_weights or rp_layer_weights */
    row_kind kind;
    size_letter rows, columns;
    unsigned part;
} row;

#define AT(member) offsetof(rp_weights, member)
static const row model_rows[] = {
    {"embeddings.word_embeddings", "embeddings.word_embeddings", AT(word), TABLE, V, E, RP_PART_ENCODER},
    {"embeddings.position_embeddings", "embeddings.position_embeddings", AT(position), TABLE, P, E,
     RP_PART_ENCODER},
    {"embeddings.token_type_embeddings", "embeddings.token_type_embeddings", AT(type), TABLE, Y, E,
     RP_PART_ENCODER},
    {"embeddings.LayerNorm", "embeddings.LayerNorm", AT(embedding_norm), NORM, ONE, E, RP_PART_ENCODER},
    {"encoder.embedding_hidden_mapping_in", NULL, AT(mapping), LINEAR, H, E, RP_PART_ENCODER},
    {"pooler", "pooler.dense", AT(pooler), LINEAR, H, H, RP_HEAD_POOLER},
    {"classifier", "classifier", AT(classifier), LINEAR, C, H, RP_HEAD_CLASSIFIER},
    {"classifier", "classifier", AT(classifier), LINEAR, C, H, RP_HEAD_TOKENS},
    {"classifier", "classifier", AT(classifier), LINEAR, ONE, H, RP_HEAD_CHOICE},
    {"qa_outputs", "qa_outputs", AT(classifier), LINEAR, TWO, H, RP_HEAD_SPANS},
    {"sop_classifier.classifier", "cls.seq_relationship", AT(order), LINEAR, TWO, H, RP_HEAD_ORDER},
    {"predictions.dense", "cls.predictions.transform.dense", AT(lm_dense), LINEAR, E, H, RP_HEAD_MASKED_LM},
    {"predictions.LayerNorm", "cls.predictions.transform.LayerNorm", AT(lm_norm), NORM, ONE, E,
     RP_HEAD_MASKED_LM},
};
#undef AT

#define AT(member) offsetof(rp_layer_weights, member)
static const row layer_rows[] = {
    {"attention.query", "attention.self.query", AT(query), LINEAR, H, H, RP_PART_ENCODER},
    {"attention.key", "attention.self.key", AT(key), LINEAR, H, H, RP_PART_ENCODER},
    {"attention.value", "attention.self.value", AT(value), LINEAR, H, H, RP_PART_ENCODER},
    {"attention.dense", "attention.output.dense", AT(dense), LINEAR, H, H, RP_PART_ENCODER},
    {"attention.LayerNorm", "attention.output.LayerNorm", AT(attention_norm), NORM, ONE, H, RP_PART_ENCODER},
    {"ffn", "intermediate.dense", AT(ffn), LINEAR, I, H, RP_PART_ENCODER},
    {"ffn_output", "output.dense", AT(ffn_output), LINEAR, H, I, RP_PART_ENCODER},
    {"full_layer_layer_norm", "output.LayerNorm", AT(output_norm), NORM, ONE, H, RP_PART_ENCODER},
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
    return letter == E && c->family == RP_FAMILY_BERT ? fields[H] : fields[letter];
}

typedef struct walk {
    const rp_config *config;
    rp_slot_visit visit;
    void *context;
} walk;

/* Visit the weight and the bias of `r`, whose struct begins at `base` and whose names begin with `prefix`. */
static rp_status visit_row(const walk *w, const row *r, void *base, const char *prefix) {
    const rp_config *c = w->config;
    const char *name = c->family == RP_FAMILY_BERT ? r->bert : r->albert;
    bool norm = r->kind == NORM;
    char reason[96];
    if (!name) return RP_OK;
    rp_slot slot = {.tensor = (rp_tensor *)((char *)base + r->offset),
                    .prefixed = (r->part & (RP_PART_ENCODER | RP_HEAD_POOLER)) != 0,
                    .kind = norm ? RP_SLOT_SCALE : RP_SLOT_MATRIX,
                    .rows = size_of(c, r->rows),
                    .columns = size_of(c, r->columns),
                    .reason = reason};
    snprintf(slot.name, sizeof slot.name, "%s%s.weight", prefix, name);
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
    snprintf(reason, sizeof reason, "%s", field_of(c, norm ? r->columns : r->rows));
    return w->visit(&slot, w->context);
}

static rp_status visit_layers(const walk *w, rp_weights *weights) {
    const rp_config *c = w->config;
    char prefix[96];
    for (uint32_t i = 0; i < c->groups * c->inner_layers; i++) {
        if (c->family == RP_FAMILY_BERT)
            snprintf(prefix, sizeof prefix, "encoder.layer.%u.", i);
        else
            snprintf(prefix, sizeof prefix, "encoder.albert_layer_groups.%u.albert_layers.%u.",
                     i / c->inner_layers, i % c->inner_layers);
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
        {"Model", RP_HEAD_POOLER},
        {"ForSequenceClassification", RP_HEAD_POOLER | RP_HEAD_CLASSIFIER},
        {"ForTokenClassification", RP_HEAD_TOKENS},
        {"ForQuestionAnswering", RP_HEAD_SPANS},
        {"ForMultipleChoice", RP_HEAD_POOLER | RP_HEAD_CHOICE},
        {"ForMaskedLM", RP_HEAD_MASKED_LM},
        {"ForPreTraining", RP_HEAD_POOLER | RP_HEAD_MASKED_LM | RP_HEAD_ORDER},
        {"ForNextSentencePrediction", RP_HEAD_POOLER | RP_HEAD_ORDER},
    };
    const char *family = config->family == RP_FAMILY_BERT ? "Bert" : "Albert", *class = config->architecture;
    if (strncmp(class, family, strlen(family))) return 0;
    for (size_t i = 0; i < RP_COUNT(classes); i++)
        if (!strcmp(class + strlen(family), classes[i].class)) return classes[i].heads;
    return 0;
}
