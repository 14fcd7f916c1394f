/* One opened file of tensors, of any format: a mapping of the file, and its tensors by name. The reader of a
 * format fills it (safetensors.c, pytorch.c, tf_weights.c); weights.c looks tensors up and knows no format.
 */
#ifndef RP_LOADER_TENSOR_FILE_H
#define RP_LOADER_TENSOR_FILE_H

#include "base/alloc.h"
#include "loader/model_file.h"
#include "loader/weights.h"

/* Which file, how long it is, and when it was written last. */
typedef struct rp_file_mark {
    uint64_t device, inode, bytes;
    int64_t seconds, nanoseconds; /* since 1970 */
} rp_file_mark;

/* The element types that weights can be read from. F64 becomes F32. */
typedef enum rp_element {
    RP_ELEMENT_OTHER = 0, /* a tensor of such elements may be in a file, but no model can use it */
    RP_ELEMENT_F32,
    RP_ELEMENT_F16,
    RP_ELEMENT_BF16,
    RP_ELEMENT_F64,
} rp_element;

/* A tensor as its file describes it. The reader of the format has checked that every element lies in the
 * file. */
typedef struct rp_tensor_entry {
    const char *name;
    const char *dtype; /* as the file calls it, such as "F16" or "I64" */
    rp_element element;
    uint32_t rank;
    uint64_t *dims;            /* [rank] */
    uint64_t *strides;         /* [rank], in elements; NULL: row-major without gaps */
    const unsigned char *data; /* the first element: in the mapping, or in memory that the file owns */
    uint64_t bytes;            /* bytes of all elements in row-major order without gaps */
    bool summed;               /* the file has a checksum: rp_tensor_file_view compares it */
    uint32_t checksum;         /* CRC32C of the `bytes` bytes from `data` on */
    bool swapped;              /* elements are stored with their most significant byte first */
    bool hidden;               /* the index of the shards takes this tensor from another file, or from none */
} rp_tensor_entry;

/* Zero-initialise. Thread-safety: rp_tensor_file_view and the functions that open and close write to it;
 * rp_tensor_file_find and the checks only read. */
typedef struct rp_tensor_file {
    char *path;
    const unsigned char *bytes; /* the whole file; NULL when it is empty */
    uint64_t size;
    rp_model_file source; /* of a record: its memory, or a descriptor above 2 of this file's own; else zero */
    rp_file_mark mark;    /* the mapped file as it was when it was opened */
    rp_tensor_entry *entries; /* [count], sorted by name after rp_tensor_file_sort */
    size_t count, capacity;
    rp_arena arena;  /* names, dims and strides of the entries; freed by rp_tensor_file_rest */
    rp_arena copies; /* elements of tensors that the mapping does not hold in the form of rp_tensor */
    uint64_t copied; /* bytes of `copies` in use */
} rp_tensor_file;

/* Map the file `path` into `out`, which has no entries yet; a record's memory is used where it is. The
 * mapping stays when somebody removes the file, or closes the record's descriptor. The caller closes `out` on
 * success and on failure. RP_ERROR_FILE, RP_ERROR_HOST_MEMORY. */
rp_status rp_tensor_file_map(const char *path, rp_tensor_file *out, rp_error *err);

/* RP_ERROR_FORMAT when the file is empty, or is a Git LFS pointer or a web page in place of the weights. */
rp_status rp_tensor_file_check_kind(const rp_tensor_file *file, rp_error *err);

/* Add an entry with a copy of the `name_size` bytes of `name`, with `rank` dims and, when `strided`, as many
 * strides, all zero. The pointer is valid until the next entry is added. NULL: out of memory. */
rp_tensor_entry *rp_tensor_file_add(rp_tensor_file *file, const char *name, size_t name_size, uint32_t rank,
                                    bool strided);

/* Sort the entries by name, for rp_tensor_file_find, once all were added. RP_ERROR_FORMAT names a tensor that
 * the file has twice. */
rp_status rp_tensor_file_sort(rp_tensor_file *file, rp_error *err);

/* Free the entries and give the pages of the mapping back to the system, which reads them from the file again
 * when a view is used. Views stay valid: the mapping and the copies are kept. */
void rp_tensor_file_rest(rp_tensor_file *file);

/* RP_ERROR_FILE when somebody wrote into the mapped file since it was opened. It is no error when somebody
 * removed it, or put another file in its place: the mapping still has the old one. */
rp_status rp_tensor_file_check_unchanged(const rp_tensor_file *file, rp_error *err);

/* True when the open file `fd` is the one that was mapped, as it was then. */
bool rp_tensor_file_is_marked(const rp_tensor_file *file, int fd);

/* Unmap the file and free everything. Allowed on a zeroed struct. */
void rp_tensor_file_close(rp_tensor_file *file);

/* The tensor of that name, or NULL. */
rp_tensor_entry *rp_tensor_file_find(const rp_tensor_file *file, const char *name);

/* Make `*out` a view of a tensor that must have the shape [rows, columns], or [columns] when `rank` is 1.
 * `reason` says in messages which fields of config.json ask for that shape. Where the mapping does not hold
 * the tensor in the form of rp_tensor (strides, F64, swapped bytes), this copies it once into memory that
 * `file` owns. RP_ERROR_FORMAT: the tensor has another shape, a value that is not finite, or another
 * checksum. RP_ERROR_UNSUPPORTED: it has RP_ELEMENT_OTHER elements. */
rp_status rp_tensor_file_view(rp_tensor_file *file, rp_tensor_entry *entry, uint32_t rank, uint32_t rows,
                              uint32_t columns, const char *reason, rp_tensor *out, rp_error *err);

#endif
