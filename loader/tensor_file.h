/* One opened file of tensors, whatever its format: a mapping, and the tensors in it by name. A reader of a
 * format fills it; who looks for weights knows no format. */
#ifndef RP_LOADER_TENSOR_FILE_H
#define RP_LOADER_TENSOR_FILE_H

#include <sys/types.h>
#include <time.h>

#include "base/alloc.h"
#include "loader/weights.h"

/* Which file, and when it was written last. */
typedef struct rp_file_mark {
    dev_t device;
    ino_t inode;
    struct timespec written;
} rp_file_mark;

/* The element types that weights can be read from. F64 becomes F32. */
typedef enum rp_element {
    RP_ELEMENT_OTHER = 0, /* may stand in a file unused */
    RP_ELEMENT_F32,
    RP_ELEMENT_F16,
    RP_ELEMENT_BF16,
    RP_ELEMENT_F64,
} rp_element;

/* Bytes of one element; 0 for RP_ELEMENT_OTHER. */
size_t rp_element_size(rp_element element);

/* A tensor as its file describes it. Whoever fills this in has checked that every element lies in the file.
 */
typedef struct rp_tensor_entry {
    const char *name;
    const char *dtype; /* as the file calls it, such as "F16" or "I64" */
    rp_element element;
    uint32_t rank;
    uint64_t *dims;            /* [rank] */
    uint64_t *strides;         /* [rank], in elements; NULL: row-major without gaps */
    const unsigned char *data; /* the first element: in the mapping, or in memory that the file owns */
    uint64_t bytes;            /* of a row-major tensor without gaps */
    bool summed;               /* `checksum` is to be compared before the tensor is used */
    uint32_t checksum;         /* CRC32C of the `bytes` bytes from `data` on */
    bool swapped;              /* elements are stored with their most significant byte first */
    bool hidden; /* the index of the shards does not say that this tensor is taken from this file */
} rp_tensor_entry;

/* Zero-initialise. Thread-safety: rp_tensor_file_view changes it, all else only reads. */
typedef struct rp_tensor_file {
    char *path;
    const unsigned char *bytes; /* the whole file; NULL when it is empty */
    uint64_t size;
    rp_file_mark mark;        /* of the file that is mapped */
    rp_tensor_entry *entries; /* [count], by name once rp_tensor_file_sort was called */
    size_t count, capacity;
    rp_arena arena;  /* names, dims and strides; gone after rp_tensor_file_rest */
    rp_arena copies; /* elements that the mapping does not hold in the form that is needed */
    uint64_t copied; /* bytes of these */
} rp_tensor_file;

/* Map the file `path`; no tensor is known yet. The mapping outlives the file's name. On success and on
 * failure the caller closes `out`. RP_ERROR_FILE, RP_ERROR_HOST_MEMORY. */
rp_status rp_tensor_file_map(const char *path, rp_tensor_file *out, rp_error *err);

/* RP_ERROR_FORMAT when the file is empty, or is a Git LFS pointer or a web page in place of the weights. */
rp_status rp_tensor_file_check_kind(const rp_tensor_file *file, rp_error *err);

/* A new entry with a copy of the `name_size` bytes of `name`, `rank` dims and, when `strided`, as many
 * strides, all zero; valid until the next one is added. NULL when out of memory. */
rp_tensor_entry *rp_tensor_file_add(rp_tensor_file *file, const char *name, size_t name_size, uint32_t rank,
                                    bool strided);

/* Once all were added: sort the entries for rp_tensor_file_find. RP_ERROR_FORMAT names one that is there
 * twice. */
rp_status rp_tensor_file_sort(rp_tensor_file *file, rp_error *err);

/* Keep what views point to, the mapping and the copies: the entries are freed, and the pages that were read
 * are given back to the system, which reads them again when they are needed. */
void rp_tensor_file_rest(rp_tensor_file *file);

/* RP_ERROR_FILE when the mapped file was written to since it was opened. One that was removed, or replaced by
 * another, lives on in its mapping. */
rp_status rp_tensor_file_check_unchanged(const rp_tensor_file *file, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_tensor_file_close(rp_tensor_file *file);

/* The tensor of that name, or NULL. */
rp_tensor_entry *rp_tensor_file_find(const rp_tensor_file *file, const char *name);

/* The view of a tensor that must be [rows, columns], or [columns] when `rank` is 1. `reason` says what in
 * config.json asks for that shape. A tensor that does not lie in the mapping as rp_tensor has it (strides,
 * F64, swapped bytes) is copied once into memory that `file` owns. RP_ERROR_FORMAT for another shape or an
 * element that is not finite or another checksum, RP_ERROR_UNSUPPORTED for an element type that is no
 * weight's. */
rp_status rp_tensor_file_view(rp_tensor_file *file, rp_tensor_entry *entry, uint32_t rank, uint32_t rows,
                              uint32_t columns, const char *reason, rp_tensor *out, rp_error *err);

#endif
