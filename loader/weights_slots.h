/* How weights.c and heads.c look for the tensors of a folder and read them. */
#ifndef RP_LOADER_WEIGHTS_SLOTS_H
#define RP_LOADER_WEIGHTS_SLOTS_H

#include "loader/names.h"
#include "loader/weights_files.h"

/* What is being read. */
typedef struct rp_weights_reading {
    rp_config *config;
    rp_weights *out;
    unsigned head; /* the bit of the head that is being read; 0: the encoder, without which nothing works */
    bool missing;  /* it was refused for a tensor that is not there */
    rp_error *err; /* never NULL */
} rp_weights_reading;

/* `name` in the files: under the prefix of the family where `prefixed` allows it, else as it is. */
rp_tensor_entry *rp_weights_find(const rp_weights_reading *r, const char *name, bool prefixed,
                                 rp_tensor_file **file);

/* The same for a slot, under its old name too. */
rp_tensor_entry *rp_weights_find_slot(const rp_weights_reading *r, const rp_slot *slot,
                                      rp_tensor_file **file);

/* Read every tensor of `part`, as rp_slots_each walks them, into its place. */
rp_status rp_weights_read_part(rp_weights_reading *r, unsigned part);

/* RP_ERROR_FORMAT: no tensor of this name is there. */
rp_status rp_weights_fail_missing(rp_weights_reading *r, const char *name, bool prefixed);

/* After the encoder: read every head that the files hold whole, and keep in out->left_out why another that
 * they hold, or that config.json names, is not read. RP_ERROR_HEAD when config->head, the caller's wish,
 * cannot be served; RP_ERROR_HOST_MEMORY. May count the labels of `config` by the rows of a classifier
 * (rp_config_number_labels). */
rp_status rp_heads_read(rp_weights_reading *r);

#endif
