/* A checkpoint of a trainer: a Hugging Face folder with files of moments, named and shaped as the weights
 * are, and trainer.json, which is written last and says whether all of it is what was written
 * (loader/sealed.h). */
#ifndef RP_TRAIN_STATE_H
#define RP_TRAIN_STATE_H

#include "loader/json.h"
#include "loader/names.h"
#include "train/trainer.h"

enum { RP_TRAIN_STATE_VERSION = 1 };
extern const char rp_train_state_file[], rp_train_mean_file[], rp_train_variance_file[];

/* Where the checkpoint of this model has its weights: model.safetensors, or the same in a folder. */
void rp_train_weights_file(const rp_model *model, char out[RP_NAME_SIZE]);

/* Leave no tensor its data. */
rp_status rp_train_empty(const rp_config *config, rp_weights *weights);

/* What a checkpoint says beside its numbers. Zero-initialise. */
typedef struct rp_train_saved {
    rp_json_document document; /* holds the texts */
    uint64_t step;
    uint32_t tokens, sequences; /* most of a micro-batch */
    bool recomputes;
    bool half;            /* it was trained in f16 */
    rp_train_scale scale; /* then; else of it `skipped`, which an earlier training in f16 may have left */
    const char *device, *driver;
    rp_wanted *wanted; /* [model_count + own_count] kernels: those of the model, then the trainer's */
    size_t model_count, own_count;
} rp_train_saved;

/* Read the checkpoint `dir` and check that its files are what was written. The caller ends with
 * rp_train_saved_finish. RP_ERROR_FILE, RP_ERROR_FORMAT. */
rp_status rp_train_saved_open(const char *dir, rp_train_saved *out, rp_error *err);

/* The same for what a trainer.json says, which `out` borrows; `path` is for messages. */
rp_status rp_train_saved_read(const rp_json *root, const char *path, rp_train_saved *out, rp_error *err);
void rp_train_saved_finish(rp_train_saved *saved);

/* Give the trainer, which is open and on which nothing runs, the numbers of the checkpoint; and tell the log
 * where it cannot go on with the same kernels and micro-batches. RP_ERROR_FORMAT: it is one of another model.
 */
rp_status rp_train_saved_load(rp_trainer *trainer, const char *dir, const rp_train_saved *saved,
                              rp_error *err);

#endif
