/* Hugging Face folders made on the spot, and what Hugging Face computes with them.
 *
 * The weights of a fixture come from a generator over the tensor's name and the element's index, the same one
 * as in tests/goldens/make_encoder_goldens.py, so nothing but the expected outputs is stored. */
#ifndef SUPPORT_FIXTURE_H
#define SUPPORT_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reprise/model.h"

#define FIXTURE_PATH_SIZE 512

typedef enum fixture_dtype { FIXTURE_F32 = 0, FIXTURE_F16, FIXTURE_BF16, FIXTURE_F64 } fixture_dtype;

/* Of the files of weights. */
typedef enum fixture_form {
    FIXTURE_SAFETENSORS = 0,
    FIXTURE_ZIP, /* pytorch_model.bin since torch 1.6 */
    FIXTURE_OLD, /* pytorch_model.bin before that */
} fixture_form;

/* One tensor: uniform values in offset +- scale. scale and offset need few bits, so that no step but the last
 * rounds. */
typedef struct fixture_tensor {
    const char *name; /* what the generator hashes, and the name in the file unless the layout changes it */
    uint32_t rows, columns; /* a vector of n has rows n, columns 0 */
    double scale, offset;   /* a scale below 0: all zero, and of the type I8, which is no weight's */
} fixture_tensor;

/* How tensors are laid out in files. The zero value: F32, one file, names as they are. */
typedef struct fixture_layout {
    fixture_dtype dtype;
    uint32_t shards;          /* 0 and 1: one file; more: that many shards and an index */
    const char *strip_prefix; /* leave this out at the start of the names in the file; NULL: nothing */
    const char *add_prefix;   /* put this before every name in the file; NULL: nothing */
    fixture_form form;
    bool transposed; /* matrices are stored column by column, and strides say so; not in safetensors */
} fixture_layout;

/* For a group of tests with one device: open the device that is chosen by default, and close it. */
extern rp_device *fixture_device;
int fixture_open_device(void **state);
int fixture_close_device(void **state);

/* How far apart the places are that a test tries, where it cannot try each in the time of tools/check:
 * `step`, or 1 where REPRISE_TEST_LONG is set, as tools/testbeds does. */
int fixture_stride(int step);

/* Make a new empty folder under $TMPDIR or /tmp. False, with a message on standard error, when that fails. */
bool fixture_make_dir(char dir[FIXTURE_PATH_SIZE]);

/* Remove a folder of fixture_make_dir with everything in it. An empty string is allowed. What a failing test
 * leaves is removed when the program ends. */
void fixture_remove_dir(const char *dir);

/* Write `text` to the file `name` in `dir`. */
bool fixture_write_text(const char *dir, const char *name, const char *text);

/* The bytes of the file `name` in `dir` (NULL: `name` is a path), with a zero behind them; the caller frees
 * them. The test fails where they cannot be read. */
char *fixture_read(const char *dir, const char *name, size_t *size);

/* A config.json of two narrow layers, to begin with; `more` goes on from there, or is "". */
#define FIXTURE_TINY(more)                                                                                   \
    "{\"model_type\": \"albert\", \"embedding_size\": 16, \"hidden_size\": 24, \"num_attention_heads\": 2, " \
    "\"num_hidden_layers\": 2, \"intermediate_size\": 40, \"max_position_embeddings\": 40" more "}"

/* Write config.json (the text `config`) and the weights to `dir`. `*checksum` (NULL allowed) is the sum of
 * the bits of all values as float32, modulo 2^64. False, with a message on standard error, when that fails.
 */
bool fixture_write_folder(const char *dir, const char *config, const fixture_tensor *tensors, size_t count,
                          const fixture_layout *layout, uint64_t *checksum);

/* What is expected of one rp_output. Every row of the output has `sample` stored elements at fixed places and
 * its sum under fixed signs; or, when sample is 0, all `columns` elements. */
typedef struct golden_output {
    rp_output output;
    uint32_t columns, sample;
    const float *values;
} golden_output;

/* A case of tests/goldens/encoder: a folder, sequences, and the outputs of Hugging Face's class for each of
 * them. */
typedef struct golden {
    const char *name;
    char dir[FIXTURE_PATH_SIZE]; /* the model's folder */
    bool temporary;              /* dir goes away in golden_close */
    fixture_layout layout;       /* how the case says the files are laid out */
    fixture_tensor *tensors;     /* [tensor_count]; none for a model that exists as a folder */
    size_t tensor_count;
    rp_sequence *sequences; /* [sequence_count] */
    size_t sequence_count, token_count;
    rp_row *rows; /* [row_count] for RP_OUTPUT_MASKED_LM */
    size_t row_count;
    golden_output *outputs; /* [output_count] */
    size_t output_count;
    struct json_t *root; /* holds the strings */
    float *values;
} golden;

/* Load the case `name` and build its folder. `layout` replaces the case's own file layout (its dtype
 * included) when it is not NULL. False, with a message on standard error, when a file is missing or the
 * generator disagrees with the script's. */
bool golden_open(const char *name, const fixture_layout *layout, golden *out);

/* The same, but use the model in `dir` instead of building one. */
bool golden_open_at(const char *name, const char *dir, golden *out);

/* Remove the folder and free everything. A zeroed golden is allowed. */
void golden_close(golden *g);

/* The expected values of `output`, or NULL when the case has none. */
const golden_output *golden_find(const golden *g, rp_output output);

/* The rows [*first, *first + *count) that sequence `s` has in an output over all sequences. */
void golden_rows(const golden *g, rp_output output, size_t s, size_t *first, size_t *count);

/* Run sequences `order`[0..count) (indices into g->sequences, any order, repeats allowed; NULL: 0..count) on
 * `model`, the masked language model on the case's rows of them. The results, freed by the caller, are
 * `*size` floats; NULL, with a message on standard error, when the run fails or its size is not what
 * rp_model_output_size said. */
float *golden_run(rp_model *model, const golden *g, rp_output output, const size_t *order, size_t count,
                  size_t *size);

/* How far results are from the goldens, over any number of golden_compare calls. Zero-initialise. */
typedef struct golden_error {
    double
        worst; /* largest |got - want| / max(1, |want|); for a sum, in units of its root-mean-square bound */
    double squares; /* sum of the squares of these for single elements */
    size_t elements;
    double got, want;   /* at the worst place */
    size_t row, column; /* where that is; column == columns of the output: the signed sum */
    rp_output output;
} golden_error;

/* Add the rows of `got` ([count, columns]) to `error`; they are rows `first`.. of the expected output. */
void golden_compare(const golden_output *want, size_t first, size_t count, const float *got,
                    golden_error *error);

/* Root of the mean square over the elements so far. */
double golden_rms(const golden_error *error);

/* A short constant name such as "hidden". */
const char *golden_output_name(rp_output output);

#endif
