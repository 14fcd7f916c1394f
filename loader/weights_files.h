/* The files behind an rp_weights: one file, or the shards that an index lists. */
#ifndef RP_LOADER_WEIGHTS_FILES_H
#define RP_LOADER_WEIGHTS_FILES_H

#include "loader/tensor_file.h"

typedef struct rp_weight_files {
    char *path; /* model.safetensors, pytorch_model.bin or an index, for messages */
    const struct rp_weight_format *format;
    rp_tensor_file *files;
    size_t count, capacity;
    const char *unserved; /* part of the name of a head that answers questions and is built otherwise than any
                             that is served; NULL: there is none */
    char *missing;  /* the first shard that the index lists and the folder has not; NULL: all are there */
    char outer[64]; /* what programs that train put before the names of all tensors, such as "module." */
    void *memory;   /* weights that come from a generator */
} rp_weight_files;

/* Open the weights of the folder `dir`. RP_ERROR_FILE lists what was looked for; RP_ERROR_UNSUPPORTED when
 * there are only weights in another format; RP_ERROR_FORMAT when a file is damaged or the index does not
 * match the shards. On success the caller owns `*out` (rp_weight_files_close). */
rp_status rp_weight_files_open(const char *dir, rp_weight_files **out, rp_error *err);

/* NULL is allowed. */
void rp_weight_files_close(rp_weight_files *files);

/* The tensor called `name`, or that with what stands before all names, and the file it is in; NULL when there
 * is none. */
rp_tensor_entry *rp_weight_files_find(const rp_weight_files *files, const char *name, rp_tensor_file **file);

#endif
