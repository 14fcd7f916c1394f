/* The files that sentence-transformers puts beside a model: modules.json, the folders of its modules,
 * sentence_bert_config.json and config_sentence_transformers.json. */
#ifndef RP_LOADER_POOLING_H
#define RP_LOADER_POOLING_H

#include "base/alloc.h"
#include "reprise/tasks.h"

/* Ways of pooling, as bits. The vectors of several ways are concatenated in this order. */
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
    RP_MODULE_NORMALIZE = 0, /* scales the vector to length 1 */
    RP_MODULE_DENSE,         /* activation(weight x + bias) */
    RP_MODULE_LAYER_NORM,    /* with torch's eps of 1e-5 */
} rp_module_kind;

typedef float rp_module_activation(float x);

/* A module that changes the pooled vector. */
typedef struct rp_module {
    rp_module_kind kind;
    uint32_t in, out; /* columns of the vector that it takes and makes; only a Dense changes them */
    float *weight;    /* [out, in] of a Dense, [out] of a LayerNorm; in the config's arena */
    float *bias;      /* [out]; NULL: none */
    rp_module_activation *activation; /* of a Dense */
} rp_module;

typedef struct rp_prompt {
    const char *name, *text;
} rp_prompt;

/* Zero-initialise; rp_pooling_finish. */
typedef struct rp_pooling_config {
    unsigned modes;        /* bits of RP_POOL_*; 0: nothing is loaded */
    bool leave_out_prompt; /* include_prompt is false: pooling leaves out the tokens of a prompt */
    rp_module *modules;    /* [module_count] in the order in which they work */
    size_t module_count;
    uint32_t max_seq_length; /* 0: not given */
    bool do_lower_case;      /* false when not given */
    rp_prompt *prompts;      /* [prompt_count] */
    size_t prompt_count;
    const char *default_prompt; /* the text of the prompt that rp_embed puts before every text; NULL: none */
    rp_arena arena;             /* holds all that the pointers above point to */
} rp_pooling_config;

/* Read the files of `dir` for a model whose hidden states have `hidden_size` columns. A missing file is no
 * error. RP_ERROR_FILE or RP_ERROR_FORMAT: a file is damaged, modules.json lists a module without its files,
 * or a module does not take as many columns as the one before it makes. RP_ERROR_UNSUPPORTED: another kind of
 * module or activation; `out` has the length of sentence_bert_config.json and the prompts even then. The
 * caller finishes `out` on success and on failure. */
rp_status rp_pooling_load(const char *dir, uint32_t hidden_size, rp_pooling_config *out, rp_error *err);

void rp_pooling_finish(rp_pooling_config *config);

/* Find the folder that holds config.json, the weights and the tokenizer. It is the folder of the Transformer
 * module when modules.json lists one and `dir` has no config.json of its own; else it is `dir`. The caller
 * frees `*out`. */
rp_status rp_pooling_transformer(const char *dir, char **out, rp_error *err);

#endif
