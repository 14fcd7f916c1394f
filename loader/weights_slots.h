/* What weights.c and heads.c share: finding the tensors of a folder, and reading them. */
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

/* Read every head that the files hold whole; weights.c calls this after it has read the encoder. For each
 * other head that the files or config.json name, out->left_out gets the reason. RP_ERROR_HEAD: the files
 * cannot serve config->head, which the caller asked for. RP_ERROR_HOST_MEMORY. Where nothing else says how
 * many labels there are, `config` gets as many as a classifier has rows (rp_config_number_labels). */
rp_status rp_heads_read(rp_weights_reading *r);

#endif
