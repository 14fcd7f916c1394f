/* What the files of rp_pretrain share. */
#ifndef RP_PRETRAIN_PRETRAIN_H
#define RP_PRETRAIN_PRETRAIN_H

#include "loader/config.h"
#include "loader/corpus.h"
#include "loop/loop.h"
#include "reprise/pretrain.h"

/* Where instances come from: a corpus, or files of prepared ones. Zero-initialise; rp_pretrain_source_close.
 */
typedef struct rp_pretrain_source {
    rp_corpus *corpus; /* NULL: prepared */
    rp_data **files;   /* [file_count] */
    uint64_t *firsts;  /* [file_count] number of the first instance of each */
    size_t file_count;
    size_t
        *awake; /* [awake_count] files that are open, those of `next_rest` on have been so for the longest */
    size_t awake_count, next_rest;
    uint64_t count; /* instances of a pass */
    uint64_t seed;
    bool no_shuffle;
} rp_pretrain_source;

/* Instances as a step takes them. Zero-initialise; rp_pretrain_batch_finish. */
typedef struct rp_pretrain_batch {
    rp_sequence *sequences; /* [count] */
    uint32_t *masked_counts;
    int32_t *order;
    size_t count, sequence_room, count_room, order_room;
    int32_t *ids, *types; /* [tokens] of all sequences */
    size_t tokens, id_room, type_room;
    uint32_t *positions; /* [masked] of all sequences */
    int32_t *masked_ids;
    size_t masked, position_room, masked_room;
} rp_pretrain_batch;

/* One call of rp_pretrain. */
typedef struct rp_pretrain_run {
    rp_loop loop; /* first, as rp_loop_job has it */
    rp_device *device;
    rp_pretrain_params params; /* with defaults in the place of zeros */
    char *dir;                 /* of the model; NULL: nothing is trained, and there is only a tokenizer */
    rp_config config;
    rp_tokenizer *tokenizer;
    rp_pretrain_source source;
    rp_pretrain_batch batch;
    rp_trainer *trainer;
    uint64_t steps, steps_of_epoch;
    char *dev; /* the file of instances that it is evaluated by; NULL: none, or another process does that */
} rp_pretrain_run;

/* ---- source.c ---- */

/* Open the corpus, or the prepared instances, which run->config bounds. */
rp_status rp_pretrain_source_open(rp_pretrain_run *run, rp_error *err);
void rp_pretrain_source_close(rp_pretrain_source *source);

/* Instance `i` of pass `epoch`, in the order in which they are learnt. It lives until the next one is read.
 */
rp_status rp_pretrain_source_read(rp_pretrain_source *source, uint64_t epoch, uint64_t i, rp_instance *out,
                                  rp_error *err);

/* How the params ask for instances of text, and what prepared ones are to be. */
rp_corpus_params rp_pretrain_corpus_params(const rp_pretrain_params *params);
rp_data_params rp_pretrain_data_params(const rp_pretrain_run *run);

/* ---- write.c ---- */

/* Write the instances of the training, or of the passes, to params.write_instances. All processes of a world
 * call this, and the first one writes. */
rp_status rp_pretrain_write(rp_pretrain_run *run, rp_error *err);

/* See that params.dev can be used, in the process that evaluates, and set run->dev; of text instances are
 * made for that. */
rp_status rp_pretrain_prepare_dev(rp_pretrain_run *run, rp_error *err);

/* ---- batch.c ---- */

/* Instances of step `step`, in all ranks. */
uint64_t rp_pretrain_rows(const rp_pretrain_run *run, uint64_t step);

/* Read this rank's part of the instances of step `step`, from 0. */
rp_status rp_pretrain_fill(rp_pretrain_run *run, uint64_t step, rp_train_batch *out, rp_error *err);
void rp_pretrain_batch_finish(rp_pretrain_batch *batch);

/* ---- recipe.c ---- */

/* All that decides what is learnt, as a JSON object, owned by the caller (free). */
rp_status rp_pretrain_recipe(const rp_pretrain_run *run, char **out, rp_error *err);

/* ---- model.c ---- */

/* Find the model, its configuration and its tokenizer. */
rp_status rp_pretrain_find(rp_pretrain_run *run, rp_error *err);

void rp_pretrain_forget(rp_pretrain_run *run);

#endif
