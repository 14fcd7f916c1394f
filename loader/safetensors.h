/* One safetensors file, mapped and checked. */
#ifndef RP_LOADER_SAFETENSORS_H
#define RP_LOADER_SAFETENSORS_H

#include <sys/types.h>
#include <time.h>

#include <jansson.h>

#include "base/alloc.h"
#include "loader/weights.h"

/* Which file, and when it was written last. */
typedef struct rp_file_mark {
    dev_t device;
    ino_t inode;
    struct timespec written;
} rp_file_mark;

/* A tensor as the header describes it. */
typedef struct rp_safetensor {
    const char *name;
    const char *dtype;   /* as it stands in the file, such as "F16" or "I64" */
    const json_t *shape; /* list of integers, each 0 or more */
    uint64_t begin, end; /* bytes from the end of the header */
} rp_safetensor;

/* Thread-safety: read-only after opening. */
typedef struct rp_safetensors {
    char *path;
    const unsigned char *bytes; /* the whole file */
    uint64_t size;
    rp_file_mark mark;         /* of the file that is mapped */
    const unsigned char *data; /* the first byte after the header */
    json_t *header;
    rp_safetensor *tensors; /* [count], by name */
    size_t count;
} rp_safetensors;

/* Map the file `path` and check its header: its length, its JSON, and that the tensors fill the rest of the
 * file without overlap or hole, each as large as its shape and type say. Sizes of element types that are not
 * known are not checked. The mapping outlives the file's name. On success the caller owns `out`
 * (rp_safetensors_close). */
rp_status rp_safetensors_open(const char *path, rp_safetensors *out, rp_error *err);

/* Keep the mapping alone, for those who have views: the header is freed, and the pages that were read are
 * given back to the system, which reads them again when they are needed. */
void rp_safetensors_rest(rp_safetensors *file);

/* RP_ERROR_FILE when the mapped file was written to since it was opened. One that was removed, or replaced by
 * another, lives on in its mapping. */
rp_status rp_safetensors_check_unchanged(const rp_safetensors *file, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_safetensors_close(rp_safetensors *file);

/* The tensor of that name, or NULL. */
const rp_safetensor *rp_safetensors_find(const rp_safetensors *file, const char *name);

/* The view of a tensor that must be [rows, columns], or [columns] when `rank` is 1. `reason` says what in
 * config.json asks for that shape. RP_ERROR_FORMAT for another shape or an element that is not finite,
 * RP_ERROR_UNSUPPORTED for another element type than F32, F16 and BF16. */
rp_status rp_safetensors_view(const rp_safetensors *file, const rp_safetensor *tensor, uint32_t rank,
                              uint32_t rows, uint32_t columns, const char *reason, rp_tensor *out,
                              rp_error *err);

#endif
