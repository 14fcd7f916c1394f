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
 *
 * Thread-safety: a program may call every function from any thread. Runs on one model take turns, batch by
 * batch: a run cuts its sequences into batches, each of about half a second of work or of one sequence that
 * takes longer, and the thread that has waited longest is next. So a short call beside a long one waits for
 * the batch that the device works on, and calls of several threads advance side by side. What else runs
 * changes no bit of a result. Tokenizing, building results, reading the model's info and runs on other models
 * wait for no turn. rp_model_close says what happens to calls that are going on when a thread closes the
 * model.
 *
 * A model outlives the loss of its device (device.h): its next run sends the weights again. The library keeps
 * the weight files mapped for that, which takes no memory of its own, so a user may remove or replace them
 * meanwhile. When somebody has written into such a file, the run returns RP_ERROR_FILE: close the model and
 * open it again. */
typedef struct rp_model rp_model;

/* How the library stores the weights of the matrices in device memory.
 *
 * With the first two, activations are float32. With the others, activations inside the layers are float16,
 * and the fastest kernel of a device may multiply in float16 (cooperative matrices) or, for integer weights,
 * in 8 bits with a scale for every 32 activations. Sums, LayerNorms, softmax and results are float32 with all
 * of them. With INT8 and INT4 the embeddings, the decoder of a masked language model and the pooler are
 * stored as F16. The last layers of the other heads, biases and LayerNorms are small: they are stored as in
 * the files, or as float32. */
typedef enum rp_precision {
    RP_PRECISION_DEFAULT = 0, /* as the files have them: F32, F16 or BF16 */
    RP_PRECISION_F32,
    RP_PRECISION_F16,  /* to the nearest; a matrix with a value beyond 65504 stays float32 */
    RP_PRECISION_INT8, /* a byte a weight, one scale for each output */
    RP_PRECISION_INT4, /* half a byte a weight, one scale for every 32 weights of an output */
} rp_precision;

/* What one run computes. n: number of sequences; T: number of their tokens, all together; H: hidden size. */
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
    RP_OUTPUT_MASKED_LM,  /* [row_count, vocab_size] logits of the tokens in rp_run_params.rows */
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

/* A sequence whose result differs from that of the reference model, which is plain C on the processor. Later
 * versions may add fields at the end. */
typedef struct rp_mismatch {
    uint64_t number; /* of the sequence, among all that this model has run */
    rp_output output;
    uint32_t tokens; /* of the sequence */
    double error; /* the largest difference of the result, or of the hidden states behind a layer, relative to
                     the largest of three: the value, the root mean square of the result and, for the outputs
                     of a small head, that of what its sums add up; infinite for a NaN, unless the model's own
                     numbers are so large that float32 sums overflow. It is divided by how much sums exceed
                     what float16 holds, in a model that has such sums */
    double bound; /* the largest error that counts as right: 2e-3; 0.03 where the model's precision is below
                     float32 */
} rp_mismatch;

/* A callback that takes the mismatches of a cross-check. The library calls `take` on a thread of the model,
 * for one sequence at a time. In `take`, rp_model_close of this model returns RP_ERROR_ARGUMENT,
 * rp_model_verify_counts does not wait, and a run leaves sequences out as without verify_all: each of these
 * would wait for `take` to return. */
typedef struct rp_mismatch_handler {
    void (*take)(void *user, const rp_mismatch *mismatch);
    void *user;
} rp_mismatch_handler;

/* How to open a model. The zero value is the default. */
typedef struct rp_model_params {
    uint32_t max_batch_tokens; /* most tokens in one batch, rounded up to a multiple of 4. 0: the library
                                  derives it from the model's size. A run with more tokens is several batches.
                                  Device memory grows with it: where the device has too little, the library
                                  halves it, down to the longest sequence (see rp_model_info). */
    uint32_t random_seed;      /* only for rp_model_open_random */
    uint32_t random_groups;    /* only for rp_model_open_random: num_hidden_groups, the number of distinct
                                  layers, at most the config's num_hidden_layers; 0: the config's */
    rp_precision precision;    /* a smaller one takes less device memory, and changes results a little */
    uint32_t
        verify_every; /* cross-check one sequence in so many: a thread of the model has the device
                         compute     it once more, layer by layer, and recomputes each layer with the
                         reference     model, from the weights in the files; 0: none. A run does not wait for
                         that     thread: it leaves sequences out, evenly, when more than four are waiting,
                         and     counts them. The reference model takes seconds for a long text. */
    bool verify_all; /* with verify_every: a run leaves no sequence out; it waits until fewer are waiting, and
                        other runs may use the device meanwhile */
    const rp_mismatch_handler *on_mismatch; /* copied; NULL: the library only counts mismatches */
    rp_head head; /* for rp_model_open: which head the tensors `classifier` (or `qa_outputs`) belong to,
                     whatever config.json names: RP_HEAD_CLASSIFIER, RP_HEAD_TOKENS, RP_HEAD_SPANS or
                     RP_HEAD_CHOICE. 0: the head that `architectures` names or, where it names none, the one
                     that the tensors imply */
    const rp_call *call;  /* for rp_model_open: when it is to end and who hears of it; not kept; NULL: none.
                             Opening has no progress to tell. It can end before and after it reads the files
                             and before each kernel that it tries */
    uint64_t reserved[4]; /* zero; see reprise.h */
} rp_model_params;

/* Open the Hugging Face folder `dir`, or the model of that name (rp_find_model of pull.h), on `device`:
 * config.json, the weights (model.safetensors, else pytorch_model.bin, else a checkpoint of TensorFlow) and,
 * where there is one, the tokenizer. The library compiles, allocates and records here all that a run needs.
 * `params` may be NULL. On success the caller owns `*out`; it closes the model before `device`.
 *
 * The library leaves out a head when a tensor of it is missing, has another shape than config.json asks for,
 * has a value that is not finite, or is of a type that is not served. Calls that need the head return
 * RP_ERROR_HEAD with the reason.
 *
 * Errors: RP_ERROR_FILE, RP_ERROR_FORMAT and RP_ERROR_UNSUPPORTED name the file and the field; RP_ERROR_HEAD
 * says which tensors contradict `params->head`; RP_ERROR_DEVICE_MEMORY says how much the model needs and how
 * much the device has. When the device is lost meanwhile, the call opens it again and goes on: once for a
 * loss of unknown cause, and as often as it takes to find the kernels that lose the device, which it then
 * passes over. */
RP_API rp_status rp_model_open(rp_device *device, const char *dir, const rp_model_params *params,
                               rp_model **out, rp_error *err);

/* The same from `records` [count], which stand for the files of a folder: records.h says what the caller has
 * to keep, and how long. All that a folder may have may be a record: shards, checkpoints of TensorFlow, the
 * modules of sentence-transformers. No file of a folder is looked at, and records that no model needs are not
 * read. rp_model_info.dir is "records". Errors: as rp_model_open, and RP_ERROR_ARGUMENT names a record whose
 * name, descriptor, offset or size cannot be; messages about a file call it "records/NAME". */
RP_API rp_status rp_model_open_records(rp_device *device, const rp_record *records, size_t count,
                                       const rp_model_params *params, rp_model **out, rp_error *err);

/* Open a model of a config with random weights, made from `random_seed`, to measure its speed. `config` is
 * "base", "large", "xlarge", "xxlarge", or a folder that holds a config.json. The model has no tokenizer.
 * Otherwise as rp_model_open. */
RP_API rp_status rp_model_open_random(rp_device *device, const char *config, const rp_model_params *params,
                                      rp_model **out, rp_error *err);

/* Free the model, set `*model` to NULL and return RP_OK. NULL and a pointer to NULL are allowed.
 *
 * This waits for calls on the model that began before: runs, tasks of tasks.h, rp_model_verify_counts
 * (rp_call_cancel ends them sooner). Calls that begin while it waits return RP_ERROR_ARGUMENT; to use the
 * handle, its info or its tokenizer after that is an error that the library cannot see. Where a callback of
 * such a call or one of on_mismatch calls this, and while the model has an open queue (queue.h), it returns
 * RP_ERROR_ARGUMENT at once, as it would wait for itself: the model stays open and `*model` as it is. */
RP_API rp_status rp_model_close(rp_model **model);

/* What the cross-checks of verify_every have found so far. */
typedef struct rp_verify_counts {
    uint64_t checked, wrong; /* sequences that were recomputed, and the mismatches among them */
    uint64_t dropped;     /* sequences left out: others were waiting, memory was short, the device failed, or
                             somebody changed a weight file */
    double worst;         /* the largest error so far */
    uint64_t reserved[4]; /* zero */
} rp_verify_counts;

/* Write the counts to `*out`; with `wait` first wait until no sequence waits for its cross-check. The counts
 * are zero when `model` is NULL or has no verify_every, and in a forked process. Thread-safe. rp_model_close
 * does not wait: it gives up the sequences that are waiting. */
RP_API void rp_model_verify_counts(rp_model *model, bool wait, rp_verify_counts *out);

typedef enum rp_problem {
    RP_PROBLEM_SINGLE_LABEL = 0, /* softmax over the labels */
    RP_PROBLEM_MULTI_LABEL,      /* a sigmoid for each label */
    RP_PROBLEM_REGRESSION,       /* the raw value */
} rp_problem;

typedef struct rp_model_info {
    const char *dir;          /* the folder that it was opened from, or the name of the config */
    const char *architecture; /* such as "AlbertForSequenceClassification" */
    uint32_t vocab_size, embedding_size, hidden_size, intermediate_size;
    uint32_t layers, groups,
        inner_layers; /* `groups` distinct layers make all `layers`, each of `inner_layers` */
    uint32_t heads_of_attention;
    uint32_t max_tokens;       /* longest sequence, special tokens included */
    uint32_t max_batch_tokens; /* most tokens in one batch; a run takes fewer when its device was lost and has
                                  less memory now */
    uint64_t parameters;       /* number of weights in the files, shared ones counted once */
    uint64_t device_bytes;  /* bytes of device memory that the library allocated when it opened the model */
    rp_precision precision; /* rp_model_params.precision */
    unsigned heads;         /* bits of rp_head */
    rp_problem problem;
    uint32_t label_count;
    const char *const *labels; /* [label_count], from id2label; "LABEL_2" for row 2 where that names none */
    const bool *label_bare; /* [label_count]: id2label has a number, true or false in place of a string; write
                               the label without quotes in JSON */
} rp_model_info;

/* What this model is. The info is valid, and does not change, until the model is closed: any thread may read
 * it. */
RP_API const rp_model_info *rp_model_get_info(const rp_model *model);

/* The model's tokenizer, or NULL when the folder has none. Owned by the model. */
RP_API const rp_tokenizer *rp_model_get_tokenizer(const rp_model *model);

/* One sequence of token ids, special tokens included. Borrowed for the call. */
typedef struct rp_sequence {
    const int32_t *ids;      /* [count], each below vocab_size */
    const int32_t *type_ids; /* [count], each below the config's type_vocab_size; NULL: all 0. A DistilBERT
                                has no types, and the library ignores them */
    uint32_t count;          /* 1 to max_tokens */
} rp_sequence;

/* A token of a run: number `token`, from 0, of sequence number `sequence`. */
typedef struct rp_row {
    uint32_t sequence, token;
} rp_row;

typedef struct rp_run_params {
    rp_output output;
    const rp_row *rows; /* [row_count], for RP_OUTPUT_MASKED_LM only; sequences in ascending order */
    size_t row_count;
    const rp_call *call; /* NULL: none. Its inputs are the sequences */
    uint32_t patience; /* for RP_OUTPUT_CLASSES only: a sequence leaves as soon as the internal classifiers of
                          so many layers in a row have chosen the label of the layer before (PABEE), with the
                          logits behind that layer. Each decides for itself, on the device; without a queue
                          (queue.h) a batch ends when the last one of it leaves. Cross-checks leave such runs
                          out. 0: all layers. RP_ERROR_HEAD: the folder has no internal classifiers;
                          RP_ERROR_UNSUPPORTED: it has no best label, or too many */
    uint32_t *layers;  /* [count] how many layers each sequence went through; NULL: not wanted */
    uint64_t reserved[1]; /* zero; see reprise.h */
} rp_run_params;

/* Times of one run in seconds, summed over its submissions. */
typedef struct rp_run_times {
    double host;   /* in which the host wrote inputs and copied results */
    double device; /* from a submission until its fence is signalled */
    uint32_t submissions;
    uint64_t reserved[2]; /* zero */
} rp_run_times;

/* Run the encoder on `count` sequences and write float32 results to `out`, in the order given.
 *
 * `capacity` is the size of `out` in floats; rp_model_output_size says how many are needed. `out` may be NULL
 * when nothing will be written. `params` NULL means its zero value, the hidden states; `times` may be NULL.
 * The result of a sequence has the same bits whatever other sequences are in the run.
 *
 * A batch is one submission, as long as the library estimates that it stays within the submission budget:
 * half a second, for the sake of the watchdogs of drivers (software drivers have none). It estimates from a
 * layer that it times when the model is opened, and from the runs. A batch beyond the budget is several
 * submissions, cut between layers, and batches are so small that one layer stays within the budget. Where a
 * layer of the longest sequence exceeded it when the model was opened, and a layer of one sequence exceeds it
 * now, the library cuts between the operators of the layer, and the operators by tokens: into pieces of 64
 * tokens or of a sixteenth of the longest sequence at least. It does not cut embeddings and heads, except for
 * the rows of a masked language model.
 *
 * Errors: RP_ERROR_TEXT names the first sequence that is empty, too long or holds an id out of range; nothing
 * is computed then. RP_ERROR_HEAD: the model has no weights for this output; the message says why where
 * rp_model_open left them out. RP_ERROR_DEVICE_MEMORY: the driver had no memory even for one sequence; before
 * that the library halves the batches. RP_ERROR_DEVICE_LOST: see device.h. */
RP_API rp_status rp_model_run(rp_model *model, const rp_sequence *sequences, size_t count,
                              const rp_run_params *params, float *out, size_t capacity, rp_run_times *times,
                              rp_error *err);

/* The number of floats that rp_model_run writes for these sequences; 0 when the model has no such output,
 * SIZE_MAX when no memory can hold them. `params` NULL means its zero value. Thread-safe. */
RP_API size_t rp_model_output_size(const rp_model *model, const rp_sequence *sequences, size_t count,
                                   const rp_run_params *params);

#ifdef __cplusplus
}
#endif
#endif
