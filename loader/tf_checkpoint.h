/* A checkpoint that TensorFlow wrote: X.index, which lists variables, and X.data-00000-of-0000N, which hold
 * them (BERT's and ALBERT's original releases, TF-Hub folders, and what is trained from them). */
#ifndef RP_LOADER_TF_CHECKPOINT_H
#define RP_LOADER_TF_CHECKPOINT_H

#include <stdbool.h>

#include "base/alloc.h"

enum { RP_TF_MAX_RANK = 8 };

/* Element types by their numbers in the files. */
typedef enum rp_tf_dtype {
    RP_TF_FLOAT = 1,
    RP_TF_DOUBLE = 2,
    RP_TF_BFLOAT16 = 14,
    RP_TF_HALF = 19
} rp_tf_dtype;

typedef struct rp_tf_variable {
    const char *name; /* printable ASCII */
    uint64_t dtype;   /* rp_tf_dtype, or the number of another type */
    uint32_t rank;
    uint64_t shape[RP_TF_MAX_RANK];
    uint32_t shard;
    uint64_t offset, size; /* bytes in the shard */
    uint32_t checksum;     /* CRC32C of these bytes */
    bool partitioned;      /* kept in several pieces, which are not read */
    bool odd;              /* its shape is none, or has more than RP_TF_MAX_RANK dimensions */
} rp_tf_variable;

/* Thread-safety: read-only after opening. */
typedef struct rp_tf_checkpoint {
    char *path; /* X.index */
    uint32_t shards;
    rp_tf_variable *variables; /* [count], by name */
    size_t count, capacity;
    rp_arena names;
} rp_tf_checkpoint;

/* Read the index `path`, whose name ends in ".index": its structure, its checksums and the entry of every
 * variable. The data is not looked at. Names that TensorFlow itself gives no variable are passed over.
 * RP_ERROR_FORMAT names what is damaged; RP_ERROR_UNSUPPORTED a compressed index, one of a big-endian
 * machine, or one that needs a newer reader. On success the caller owns `out` (rp_tf_checkpoint_close). */
rp_status rp_tf_checkpoint_open(const char *path, rp_tf_checkpoint *out, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_tf_checkpoint_close(rp_tf_checkpoint *checkpoint);

/* The variable of that name, or NULL. */
const rp_tf_variable *rp_tf_checkpoint_find(const rp_tf_checkpoint *checkpoint, const char *name);

/* The path of a shard, to be freed; NULL when out of memory. */
char *rp_tf_shard_path(const rp_tf_checkpoint *checkpoint, uint32_t shard);

/* Which index the folder `dir` means: the one that its text file "checkpoint" names, else the only one there,
 * else variables/variables.index. `*path`, owned by the caller (free), stays NULL when there is none.
 * RP_ERROR_FORMAT when there are several and nothing says which. */
rp_status rp_tf_folder_find(const char *dir, char **path, rp_error *err);

#endif
