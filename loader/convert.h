/* The steps of rp_convert, each of which writes files of one kind. */
#ifndef RP_LOADER_CONVERT_H
#define RP_LOADER_CONVERT_H

#include "loader/names.h"
#include "loader/staging.h"
#include "reprise/convert.h"

/* Numbers for the tensors of a model, such as moments, that are written as its weights are. */
typedef struct rp_more_weights {
    const char *name; /* of the file */
    const rp_weights *weights;
} rp_more_weights;

typedef struct rp_conversion {
    const char *dir; /* the folder with the configuration, the weights and the tokenizer */
    const char
        *sub; /* what stands before the names of its files in the new folder: "", or ending in a slash */
    rp_convert_dtype dtype;
    const rp_convert_handler *handler; /* NULL: none */
    rp_config config;
    rp_weights weights;
    bool borrowed;               /* config and weights belong to the caller */
    const rp_more_weights *more; /* [more_count] */
    size_t more_count;
    char architecture[64]; /* the class of transformers that reads them */
    rp_staging staging;
    rp_error *err;
} rp_conversion;

rp_status rp_convert_config(rp_conversion *c);
rp_status rp_convert_weights(rp_conversion *c, const char *name);

/* Choose c->architecture. */
void rp_convert_name_class(rp_conversion *c);

/* The vocabulary that is the file `path` (spiece.model, vocab.txt or tokenizer.json, by what it holds), and
 * what Hugging Face's libraries need beside it. */
rp_status rp_convert_vocabulary(rp_conversion *c, const char *path);

/* Copies of the tokenizer's files, and tokenizer.json where spiece.model stands alone. */
rp_status rp_convert_tokenizer(rp_conversion *c);

/* The type that weights of `dtype` are written with. */
rp_dtype rp_convert_target(const rp_conversion *c, rp_dtype dtype);

/* Write the model `dir` to the folder `out` as rp_convert does, but with these weights, and with config's
 * head and labels where they were made; and beside them files of `more` [more_count]. `params` is not NULL.
 */
rp_status rp_convert_with(const char *dir, const char *out, const rp_convert_params *params,
                          const rp_config *config, const rp_weights *weights, const rp_more_weights *more,
                          size_t more_count, rp_error *err);

#endif
