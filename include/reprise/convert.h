/* Writing a model's folder anew, as Hugging Face's libraries read it: for files of older formats, and for
 * weights of another precision. */
#ifndef REPRISE_CONVERT_H
#define REPRISE_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_convert_dtype {
    RP_CONVERT_AS_IS = 0, /* as the files have them; 64-bit floats become F32 */
    RP_CONVERT_F32,
    RP_CONVERT_F16, /* to the nearest; a weight beyond 65504 is an error */
} rp_convert_dtype;

/* Who is told, on the thread that called rp_convert. Both functions may be NULL. */
typedef struct rp_convert_handler {
    /* a sentence on something that `dir` has or names and `out` has not, such as a damaged head */
    void (*note)(void *user, const char *text);
    /* `done` of `all` bytes of weights are written; false ends the conversion with RP_ERROR_STOPPED */
    bool (*progress)(void *user, uint64_t done, uint64_t all);
    void *user;
} rp_convert_handler;

typedef struct rp_convert_params {
    rp_convert_dtype dtype; /* of the weights that are written */
    bool overwrite;         /* files in a folder that exists may be replaced */
    rp_head head;           /* as in rp_model_params: whose tensors `classifier` are; 0: as the folder says */
    const rp_convert_handler *handler; /* NULL: nobody is told, and nothing stops it */
    uint64_t reserved[4];              /* zero; see reprise.h */
} rp_convert_params;

/* Read the folder `dir`, or the model of that name, in any form that rp_model_open takes, and write it to the
 * folder `out` as:
 * - config.json with all fields of the one that was read, and model_type, architectures, the labels and the
 *   sizes where that one leaves them out;
 * - model.safetensors with the encoder and every head that is there, under Hugging Face's names;
 * - the files of the tokenizer, as they are. Where there is spiece.model without tokenizer.json, a
 *   tokenizer.json that makes the same tokens of it in Hugging Face's fast tokenizers;
 * - modules.json of sentence-transformers with what it names.
 *
 * `out` appears once it is whole; where it exists and is empty, or may be overwritten, each file replaces the
 * one of its name once all are written. After an error nothing has changed. `params` may be NULL.
 *
 * A head that is damaged is left out and the handler's `note` gets the reason; without it the folder serves
 * as it did.
 *
 * RP_ERROR_FILE when `out` has files and overwriting was not asked for, or cannot be written (a full disk);
 * RP_ERROR_FORMAT for a weight that F16 cannot hold; RP_ERROR_HEAD when the tensors contradict `head`; else
 * what rp_model_open says of `dir`. Needs no device. Thread-safe, but not for two calls with one `out`. */
RP_API rp_status rp_convert(const char *dir, const char *out, const rp_convert_params *params, rp_error *err);

#ifdef __cplusplus
}
#endif
#endif
