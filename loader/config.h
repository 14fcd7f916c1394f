/* config.json of a Hugging Face ALBERT, BERT or DistilBERT folder. */
#ifndef RP_LOADER_CONFIG_H
#define RP_LOADER_CONFIG_H

#include "reprise/model.h"
#include "base/alloc.h"

typedef enum rp_activation {
    RP_ACTIVATION_NONE = 0,
    RP_ACTIVATION_GELU,      /* erf */
    RP_ACTIVATION_GELU_TANH, /* gelu_new, gelu_pytorch_tanh */
    RP_ACTIVATION_RELU,
    RP_ACTIVATION_TANH,
} rp_activation;

typedef enum rp_family {
    RP_FAMILY_ALBERT = 0,
    RP_FAMILY_BERT,
    RP_FAMILY_DISTILBERT,
    RP_FAMILY_COUNT,
} rp_family;

/* Every size is at least 1 and checked against the limits in config.c. A BERT or DistilBERT has groups ==
 * layers, inner_layers == 1 and embedding_size == hidden_size; a DistilBERT has type_vocab_size 0. */
typedef struct rp_config {
    rp_family family;
    char *path;         /* the file, for messages */
    char *architecture; /* first of `architectures`, "" when absent */
    uint32_t vocab_size, embedding_size, hidden_size, intermediate_size;
    uint32_t layers, groups, inner_layers, attention_heads;
    uint32_t max_positions, type_vocab_size;
    uint32_t pad_id; /* pad_token_id: the embedding that does not learn; UINT32_MAX: none */
    rp_activation activation;
    bool no_pooler; /* of a DistilBERT: the layer before the classifier stands in its place, with a relu, and
                       is no output */
    float norm_eps;
    double hidden_dropout, attention_dropout, classifier_dropout; /* of training; NaN: the file has no such
                                                                     probability */
    rp_problem problem;
    bool problem_given; /* problem_type stands in the file; otherwise one label means sigmoid, as in HF
                           pipelines */
    unsigned head;      /* which head the caller of rp_model_open says it is, a bit of rp_head; 0: nothing */
    bool ranks_raw;     /* sbert_ce_default_activation_function, or sentence_transformers.activation_fn, is
                           Identity */
    bool makes_vectors; /* set where vectors were trained: a folder that is written says how it makes them */
    bool head_made;     /* `head` and its labels were made (new_head.h): the file has others, or none */
    bool labels_given;  /* id2label or num_labels stands in the file; otherwise there are two, as in HF */
    uint32_t label_count;
    const char **labels; /* [label_count] */
    bool *label_bare;    /* [label_count]: in id2label it is a number, true or false, and no string */
    bool tie_word_embeddings;
    rp_arena arena; /* holds the strings */
} rp_config;

/* Read `dir`/config.json. On success the caller owns what `out` holds (rp_config_finish). */
rp_status rp_config_load(const char *dir, rp_config *out, rp_error *err);

/* Read one that is the file `path`, whatever its name. */
rp_status rp_config_load_file(const char *path, rp_config *out, rp_error *err);

/* "base", "large", "xlarge" or "xxlarge" of ALBERT v2, or else the model that `name` means (rp_find_model).
 */
rp_status rp_config_preset(const char *name, rp_config *out, rp_error *err);

/* Give it `count` labels, "LABEL_0" and so on, instead of those it has. RP_ERROR_HOST_MEMORY. */
rp_status rp_config_number_labels(rp_config *config, uint32_t count, rp_error *err);

void rp_config_finish(rp_config *config);

/* Group of layer i: int(i / (layers / groups)), as Hugging Face computes it. */
static inline uint32_t rp_config_group(const rp_config *config, uint32_t layer) {
    return (uint32_t)(layer / ((double)config->layers / config->groups));
}

#endif
