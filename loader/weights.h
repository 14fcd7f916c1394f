/* The named weights of an ALBERT, BERT or DistilBERT folder, as views into memory-mapped files. */
#ifndef RP_LOADER_WEIGHTS_H
#define RP_LOADER_WEIGHTS_H

#include "loader/config.h"

enum { RP_HEAD_COUNT = 7 }; /* bits of rp_head */

typedef enum rp_dtype { RP_F32 = 0, RP_F16, RP_BF16 } rp_dtype;

/* A view of a row-major tensor in a mapped file, or in memory that the opened files own where the mapping
 * does not hold the tensor in this form. data NULL: the folder has no such tensor. A file may put a tensor at
 * any byte, so `data` is not aligned: read it through memcpy. */
typedef struct rp_tensor {
    const void *data;
    rp_dtype dtype;
    uint32_t rows, columns; /* a vector has rows 1 */
} rp_tensor;

/* One transformer layer. H: hidden, I: intermediate. A Linear is [out, in]. */
typedef struct rp_layer_weights {
    rp_tensor query, query_bias;                   // [H, H], [H]
    rp_tensor key, key_bias;                       // [H, H], [H]
    rp_tensor value, value_bias;                   // [H, H], [H]
    rp_tensor dense, dense_bias;                   // [H, H], [H]
    rp_tensor attention_norm, attention_norm_bias; // [H], [H]
    rp_tensor ffn, ffn_bias;                       // [I, H], [I]
    rp_tensor ffn_output, ffn_output_bias;         // [H, I], [H]
    rp_tensor output_norm, output_norm_bias;       // [H], [H]
} rp_layer_weights;

/* The internal classifier behind a layer, which stands on the shared pooler (PABEE). The one behind the last
 * layer is the classifier. */
typedef struct rp_exit_weights {
    rp_tensor weight, bias; // [C, H], [C]
} rp_exit_weights;

/* Everything a folder holds. V: vocabulary, E: embedding, P: positions, Y: types, C: labels. */
typedef struct rp_weights {
    rp_tensor word, position, type;                // [V, E], [P, E], [Y, E] absent in a DistilBERT
    rp_tensor embedding_norm, embedding_norm_bias; // [E], [E]
    rp_tensor mapping, mapping_bias;               // [H, E], [H]; absent but in an ALBERT
    rp_layer_weights *layers;                      // [groups * inner_layers], group by group
    rp_tensor pooler, pooler_bias;                 // [H, H], [H]; a DistilBERT's pre_classifier
    rp_tensor classifier, classifier_bias; // [C, H] sequence, token or choice head, or qa_outputs [2, H]
    struct rp_exit_weights *exits;         // [layers] of a sequence head: what leaves behind each; NULL: none
    rp_tensor order, order_bias;           // [2, H] SOP (ALBERT) or NSP (BERT)
    rp_tensor lm_dense, lm_dense_bias;     // [E, H], [E]
    rp_tensor lm_norm, lm_norm_bias;       // [E], [E]
    rp_tensor lm_decoder, lm_bias;         // [V, E] absent when tied to `word`; [V]
    unsigned heads;                        /* bits of rp_head that these tensors serve */
    rp_error left_out[RP_HEAD_COUNT];      /* by the place of its bit: why a head that the files or
                                              config.json name was left out; RP_OK: it was not */
    uint64_t parameters;                   /* number of elements in all the tensors above, each once */
    struct rp_weight_files *files;         /* the files that the views point into */
} rp_weights;

/* Map the weights in `dir` (weights_files.h) and find the tensors that `config` asks for: every shape
 * checked, every element finite. The encoder must be whole; a head that is not is left out, and `left_out`
 * has the reason. `config` gets as many labels as the classifier has rows where nothing else says how many
 * there are. RP_ERROR_HEAD when config->head cannot be served. On success the caller owns `out`
 * (rp_weights_finish). */
rp_status rp_weights_load(const char *dir, rp_config *config, rp_weights *out, rp_error *err);

/* Why `head`, a bit of rp_head, was left out of weights->heads; NULL: neither files nor config.json name such
 * a head. */
const rp_error *rp_weights_left_out(const rp_weights *weights, unsigned head);

/* Make random F32 weights for a config, with every head of its architecture, to measure with. The caller owns
 * `out`. */
rp_status rp_weights_random(const rp_config *config, uint32_t seed, rp_weights *out, rp_error *err);

/* Let the system drop the pages of the files until a view is used again. The views stay valid. Tensors that
 * are not in a mapping keep their memory. */
void rp_weights_rest(rp_weights *weights);

/* Call this before the views are used again after rp_weights_rest. RP_ERROR_FILE names a file that somebody
 * wrote into since it was opened. */
rp_status rp_weights_check_unchanged(const rp_weights *weights, rp_error *err);

void rp_weights_finish(rp_weights *weights);

/* Element i of a tensor as float. */
float rp_tensor_get(const rp_tensor *tensor, size_t i);

/* `count` elements from element `first` on, as floats. */
void rp_tensor_read(const rp_tensor *tensor, size_t first, size_t count, float *out);

#endif
