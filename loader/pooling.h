/* What sentence-transformers' side files say: modules.json, the folders of its modules,
 * sentence_bert_config.json and config_sentence_transformers.json. */
#ifndef RP_LOADER_POOLING_H
#define RP_LOADER_POOLING_H

#include "base/alloc.h"
#include "reprise/tasks.h"

/* Ways of pooling, as bits. Where several are on, their vectors stand one behind the other in this order. */
enum {
    RP_POOL_CLS = 1,
    RP_POOL_MAX = 2,
    RP_POOL_MEAN = 4,
    RP_POOL_MEAN_SQRT = 8,      /* the sum divided by the root of the number of tokens */
    RP_POOL_WEIGHTED_MEAN = 16, /* token i, counted from 1, has the weight i */
    RP_POOL_LAST = 32,
    RP_POOL_MODES = 6,
};

typedef enum rp_module_kind {
    RP_MODULE_NORMALIZE = 0, /* to length 1 */
    RP_MODULE_DENSE,         /* activation(weight x + bias) */
    RP_MODULE_LAYER_NORM,    /* with torch's eps of 1e-5 */
} rp_module_kind;

typedef float rp_module_activation(float x);

/* A module behind the pooling. */
typedef struct rp_module {
    rp_module_kind kind;
    uint32_t in, out;                 /* columns of the vector before and behind it; equal but for a Dense */
    float *weight;                    /* [out, in] of a Dense, [out] of a LayerNorm; in the config's arena */
    float *bias;                      /* [out]; NULL: none */
    rp_module_activation *activation; /* of a Dense */
} rp_module;

typedef struct rp_prompt {
    const char *name, *text;
} rp_prompt;

/* Zero-initialise; rp_pooling_finish. */
typedef struct rp_pooling_config {
    unsigned modes;        /* bits of RP_POOL_*; 0 before it is loaded */
    bool leave_out_prompt; /* include_prompt is false: the tokens of a prompt are not pooled */
    rp_module *modules;    /* [module_count] in the order in which they work */
    size_t module_count;
    uint32_t max_seq_length; /* 0: not given */
    bool do_lower_case;      /* false when not given */
    rp_prompt *prompts;      /* [prompt_count] */
    size_t prompt_count;
    const char *default_prompt; /* the text that is put before every sentence; NULL: none */
    rp_arena arena;             /* holds all of it */
} rp_pooling_config;

/* Read them where they exist, for a model whose hidden states are `hidden_size` wide. Missing files are no
 * error; damaged ones are, and so is a module that modules.json lists without its files, or whose width does
 * not follow from the module before it. RP_ERROR_UNSUPPORTED for other modules and activations; the lengths
 * of sentence_bert_config.json and the prompts are read even then. `out` is to be finished in any case. */
rp_status rp_pooling_load(const char *dir, uint32_t hidden_size, rp_pooling_config *out, rp_error *err);

void rp_pooling_finish(rp_pooling_config *config);

/* The folder that holds config.json, the weights and the tokenizer: that of the Transformer module, where
 * modules.json lists one and `dir` itself has no config.json; else `dir`. On success the caller owns `*out`
 * (free). */
rp_status rp_pooling_transformer(const char *dir, char **out, rp_error *err);

#endif
