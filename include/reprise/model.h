/* A model on a device, and the lower of the two levels of the API: token ids in, hidden states or logits out.
 * tasks.h has the upper level: texts in, results out. */
#ifndef REPRISE_MODEL_H
#define REPRISE_MODEL_H

#include "device.h"
#include "tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An ALBERT (or BERT, or DistilBERT) encoder with its heads: weights on the device, command buffers recorded.
 * Thread-safety: every function may be called from any thread. Runs on one model take turns, each from the
 * filling of its inputs until its results are copied; what goes on beside a run (tokenizing, building
 * results, asking about the model, other models) waits for nothing. Only closing must be the last call: no
 * other thread may be using the handle.
 *
 * A model outlives the loss of its device (device.h): the next run sends its weights again. Its weight files
 * stay mapped for that, with no memory of their own, so removing or replacing them does no harm. A file that
 * was written to in place is refused with RP_ERROR_FILE: close the model and open it again. */
typedef struct rp_model rp_model;

/* How the weights of the matrices lie in device memory. Activations are float32 for the first two and float16
 * inside the layers for the others, where the fastest kernels of a device may also multiply in float16
 * (cooperative matrices) or, for integer weights, in 8 bits with a scale for every 32 activations. Sums,
 * LayerNorms and softmax are float32 in each, and so are results. The embeddings, the decoder of a masked
 * language model and the pooler stay F16 below that; the last layers of the other heads, biases and
 * LayerNorms are small and stay as the files have them, or float32. */
typedef enum rp_precision {
    RP_PRECISION_DEFAULT = 0, /* as the files have them: F32, F16 or BF16 */
    RP_PRECISION_F32,
    RP_PRECISION_F16,  /* to the nearest; a matrix with a value beyond 65504 stays float32 */
    RP_PRECISION_INT8, /* a byte a weight, one scale for each output */
    RP_PRECISION_INT4, /* half a byte a weight, one scale for every 32 weights of an output */
} rp_precision;

/* What one run computes. n: sequences; T: their tokens together; H: hidden size. */
typedef enum rp_output {
    RP_OUTPUT_HIDDEN = 0, /* [T, H] last hidden states, sequence after sequence, no padding */
    RP_OUTPUT_MEAN,       /* [n, H] mean of each sequence's hidden states */
    RP_OUTPUT_CLS,        /* [n, H] hidden state of each first token */
    RP_OUTPUT_MAX,        /* [n, H] largest of each sequence's hidden states */
    RP_OUTPUT_POOLED,     /* [n, H] the pooler */
    RP_OUTPUT_CLASSES,    /* [n, label_count] logits */
    RP_OUTPUT_TOKENS,     /* [T, label_count] logits */
    RP_OUTPUT_SPANS,      /* [T, 2] start and end logits */
    RP_OUTPUT_CHOICE,     /* [n, 1] logits */
    RP_OUTPUT_MASKED_LM,  /* [row_count, vocab_size] logits of the chosen rows */
    RP_OUTPUT_ORDER,      /* [n, 2] logits: in order, swapped */
} rp_output;

/* What the weights can compute beyond the hidden states. Bits of rp_model_info.heads. */
typedef enum rp_head {
    RP_HEAD_POOLER = 1,     /* tanh(Linear(hidden state of the first token)); a DistilBERT has none */
    RP_HEAD_CLASSIFIER = 2, /* sequence classification */
    RP_HEAD_TOKENS = 4,     /* token classification */
    RP_HEAD_SPANS = 8,      /* extractive question answering */
    RP_HEAD_CHOICE = 16,    /* multiple choice */
    RP_HEAD_MASKED_LM = 32, /* masked language model */
    RP_HEAD_ORDER = 64,     /* sentence order (ALBERT) or next sentence (BERT) */
} rp_head;

/* A sequence whose result is not what plain C makes of it. May grow at its end. */
typedef struct rp_mismatch {
    uint64_t number; /* of the sequence, among all that this model has run */
    rp_output output;
    uint32_t tokens; /* of the sequence */
    double error;    /* the largest difference, relative to the value or, where that is larger, to the root of
                        the result's mean square; infinite for a NaN */
    double bound;    /* what it may be: 2e-3; 0.2 where the model's precision is below float32 */
} rp_mismatch;

/* Who is told. `take` is called on a thread of the model, one sequence at a time; it may not close the model,
 * nor wait in rp_model_verify_counts, nor run a model with verify_all. */
typedef struct rp_mismatch_handler {
    void (*take)(void *user, const rp_mismatch *mismatch);
    void *user;
} rp_mismatch_handler;

/* How to open a model. The zero value is the default. */
typedef struct rp_model_params {
    uint32_t max_batch_tokens; /* most tokens in one batch, rounded up to a multiple of 4; 0: chosen from
                                  the model's size. Longer work is cut into several. Device memory grows with
                                  it; where there is no room it is halved, down to the longest sequence
                                  (rp_model_info says what it is). */
    uint32_t random_seed;      /* only for rp_model_open_random */
    uint32_t random_groups; /* likewise: num_hidden_groups, the distinct layers, instead of the config's, at
                               most its num_hidden_layers; 0: as it says */
    rp_precision precision; /* less takes less memory, and changes results a little */
    uint32_t verify_every; /* recompute one sequence in so many in plain C, on a thread of the model's own and
                              from the weights of the files; 0: none. A run never waits for it: what does
                              not fit into a queue of four is left out, evenly within a call, and counted.
                              Plain C takes seconds for a long text. */
    bool few_tokens; /* record the layers a second time with kernels that are faster for a short text alone;
                        the same bits come out. Opening takes longer. */
    bool verify_all; /* with verify_every: a run waits for room in the queue, once the device is free for
                        others, and leaves none out */
    const rp_mismatch_handler *on_mismatch; /* copied; NULL: results that are wrong are only counted */
    rp_head head; /* for rp_model_open: whose tensors `classifier` (or `qa_outputs`) are: RP_HEAD_CLASSIFIER,
                     RP_HEAD_TOKENS, RP_HEAD_SPANS or RP_HEAD_CHOICE, whatever config.json names. 0: the class
                     that `architectures` names, or what the tensors tell where it names none */
    uint64_t reserved[1]; /* zero; see reprise.h */
} rp_model_params;

/* Load the Hugging Face folder `dir`, or the model of that name (rp_find_model of pull.h), onto `device`:
 * config.json, the weights (model.safetensors, else pytorch_model.bin, else a checkpoint of TensorFlow) and,
 * where present, the tokenizer. Everything a run needs is compiled, allocated and recorded here. A head whose tensors are not all there, of the shape that
 * config.json asks for, finite and of a type that is served, is left out: what needs it fails later, with
 * RP_ERROR_HEAD and the reason. `params` may be NULL. On success
 * `*out` is owned by the caller; `device` must outlive it. RP_ERROR_FILE, RP_ERROR_FORMAT or
 * RP_ERROR_UNSUPPORTED name the file and the field; RP_ERROR_HEAD says what in the tensors contradicts
 * `params->head`; RP_ERROR_DEVICE_MEMORY says how much the model needs and
 * how much the device has. A device that is lost meanwhile is opened again within the call: once, and as
 * often as it takes to find the kernels that lose it, which are not used then. */
RP_API rp_status rp_model_open(rp_device *device, const char *dir, const rp_model_params *params,
                               rp_model **out, rp_error *err);

/* The same from a config alone, with random weights from `random_seed`: for measuring. `config` is one of
 * "base", "large", "xlarge", "xxlarge", or a folder that holds a config.json. The model has no tokenizer. */
RP_API rp_status rp_model_open_random(rp_device *device, const char *config, const rp_model_params *params,
                                      rp_model **out, rp_error *err);

/* Free it and set `*model` to NULL. NULL and a pointer to NULL are allowed. */
RP_API void rp_model_close(rp_model **model);

/* What verify_every has found so far. */
typedef struct rp_verify_counts {
    uint64_t checked, wrong; /* sequences that were recomputed, and those among them that were wrong */
    uint64_t dropped;     /* left out: others were waiting, memory was short, or a weight file was changed */
    double worst;         /* the largest error so far */
    uint64_t reserved[4]; /* zero */
} rp_verify_counts;

/* Fill in `*out`, after what is queued was recomputed when `wait` is true. All zero for NULL and for a model
 * without verify_every, and in a process that was forked. Thread-safe. rp_model_close does not wait: it gives
 * up what is queued. */
RP_API void rp_model_verify_counts(rp_model *model, bool wait, rp_verify_counts *out);

typedef enum rp_problem {
    RP_PROBLEM_SINGLE_LABEL = 0, /* softmax over the labels */
    RP_PROBLEM_MULTI_LABEL,      /* a sigmoid for each label */
    RP_PROBLEM_REGRESSION,       /* the raw value */
} rp_problem;

typedef struct rp_model_info {
    const char *dir;          /* the folder it came from, or the name of the config */
    const char *architecture; /* such as "AlbertForSequenceClassification" */
    uint32_t vocab_size, embedding_size, hidden_size, intermediate_size;
    uint32_t layers, groups, inner_layers; /* groups distinct layers are replayed to make `layers` */
    uint32_t heads_of_attention;
    uint32_t max_tokens;       /* longest sequence, special tokens included */
    uint32_t max_batch_tokens; /* most tokens in one batch; a run takes fewer where a device that was lost has
                                  less memory later */
    uint64_t parameters;       /* weights in the files, shared ones counted once */
    uint64_t device_bytes;     /* device memory that this model took when it was opened */
    rp_precision precision;    /* what it was opened with */
    unsigned heads;            /* bits of rp_head */
    rp_problem problem;
    uint32_t label_count;
    const char *const *labels; /* [label_count], from id2label; "LABEL_2" for row 2 where that names none */
    const bool *label_bare; /* [label_count]: id2label has a number, true or false and no string, and that is
                               the label in JSON */
} rp_model_info;

/* What this model is. Valid, and the same, until it is closed: any thread may read it. */
RP_API const rp_model_info *rp_model_get_info(const rp_model *model);

/* The model's tokenizer, or NULL when the folder has none. Owned by the model. */
RP_API const rp_tokenizer *rp_model_get_tokenizer(const rp_model *model);

/* One sequence of token ids, special tokens included. Borrowed for the call. */
typedef struct rp_sequence {
    const int32_t *ids;      /* [count], each below vocab_size */
    const int32_t *type_ids; /* [count], each below the config's type_vocab_size; NULL: all 0. A DistilBERT
                                has no types and does not look at them */
    uint32_t count;          /* 1 to max_tokens */
} rp_sequence;

/* A token of a run: the `token`-th of sequence number `sequence`. */
typedef struct rp_row {
    uint32_t sequence, token;
} rp_row;

typedef struct rp_run_params {
    rp_output output;
    const rp_row *rows; /* [row_count], for RP_OUTPUT_MASKED_LM only; sequences in ascending order */
    size_t row_count;
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_run_params;

/* Times of the last submissions of one run, summed, in seconds. */
typedef struct rp_run_times {
    double host;   /* preparing inputs and copying results */
    double device; /* from submission to the fence */
    uint32_t submissions;
    uint64_t reserved[2]; /* zero */
} rp_run_times;

/* Run the encoder on `count` sequences and write float32 results to `out`, in the order given.
 *
 * `capacity` is the size of `out` in floats; rp_model_output_size says how many are needed. A sequence's
 * result does not depend on the others: the same bits come out whatever its neighbours. `params` NULL means
 * its zero value, the hidden states; `times` may be NULL; `out` may be NULL when nothing will be written.
 * A batch is one submission, unless it is estimated to take more than half a second on this device: then it
 * is several, cut between layers, and batches are kept so small that one layer stays below that, for the sake
 * of the watchdogs of drivers (software drivers have none). The estimate comes from a layer that is timed
 * when the model is opened, and from the runs. Where even one sequence's layer takes longer, it is cut into
 * its products and its attention; and where one of these does so for the longest sequence when the model is
 * opened, they are cut into slices of tokens, down to 64 or a sixteenth of the longest sequence. Embeddings
 * and heads are not cut, but for the rows of a masked language model. Where the device has no memory for a
 * batch, what is left goes in batches of half its tokens and less: RP_ERROR_DEVICE_MEMORY says that there was
 * none for a single sequence. RP_ERROR_TEXT names the first sequence that is empty, too long or holds an id
 * out of range; nothing is computed then. RP_ERROR_HEAD when the model has no weights for this output, with
 * the reason where they were left out. */
RP_API rp_status rp_model_run(rp_model *model, const rp_sequence *sequences, size_t count,
                              const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                              rp_error *err);

/* The number of floats that rp_model_run will write for this work; 0 when the model has no such output, and
 * SIZE_MAX when no memory can hold them.
 * `params` NULL means its zero value. */
RP_API size_t rp_model_output_size(const rp_model *model, const rp_sequence *sequences, size_t count,
                                   const rp_run_params *params);

#ifdef __cplusplus
}
#endif
#endif
