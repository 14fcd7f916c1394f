/* What torch.save pickles, as far as weights need it. Nothing is executed: a global is a word from a list,
 * and calling one of the few that may be called makes a node of a known kind. */
#ifndef RP_LOADER_PICKLE_H
#define RP_LOADER_PICKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

typedef enum rp_pickle_kind {
    RP_PICKLE_NONE = 0,
    RP_PICKLE_BOOL,
    RP_PICKLE_INTEGER,
    RP_PICKLE_LONG, /* an integer of more than 8 bytes: `text`, least significant first */
    RP_PICKLE_REAL,
    RP_PICKLE_TEXT,
    RP_PICKLE_TUPLE,
    RP_PICKLE_LIST,
    RP_PICKLE_DICT,    /* an OrderedDict too; `items` are keys, each followed by its value */
    RP_PICKLE_GLOBAL,  /* `tag` is an rp_pickle_global */
    RP_PICKLE_STORAGE, /* see rp_pickle_storage */
    RP_PICKLE_TENSOR,  /* see rp_pickle_tensor */
} rp_pickle_kind;

/* The globals that are known: types of elements first. */
typedef enum rp_pickle_global {
    RP_PICKLE_F32 = 0,
    RP_PICKLE_F16,
    RP_PICKLE_BF16,
    RP_PICKLE_F64,
    RP_PICKLE_I64,
    RP_PICKLE_I32,
    RP_PICKLE_I16,
    RP_PICKLE_I8,
    RP_PICKLE_U8,
    RP_PICKLE_BOOLS,
    RP_PICKLE_C64,
    RP_PICKLE_C128,
    RP_PICKLE_ELEMENTS, /* how many of them */
    RP_PICKLE_ORDERED_DICT = RP_PICKLE_ELEMENTS,
    RP_PICKLE_REBUILD_TENSOR_V2,
    RP_PICKLE_REBUILD_TENSOR,
    RP_PICKLE_REBUILD_PARAMETER,
} rp_pickle_global;

/* One value. Values refer to others by their number: many may hold the same one, and one may hold itself. */
typedef struct rp_pickle_node {
    uint8_t kind;
    uint8_t tag;
    uint32_t count; /* items, or bytes of a text */
    union {
        int64_t integer;
        double real;
        const unsigned char *text; /* in the pickle, without a NUL */
        uint32_t *items;           /* [count] numbers of nodes */
        uint32_t arguments;        /* number of the tuple that a storage or tensor was made from */
    };
} rp_pickle_node;

/* Zero-initialise. Thread-safety: read-only after reading. */
typedef struct rp_pickle {
    rp_pickle_node *nodes;
    size_t count, capacity;
    uint32_t root;
    size_t used; /* bytes up to the end of the pickle */
} rp_pickle;

/* A storage: elements that lie together. */
typedef struct rp_pickle_storage {
    rp_pickle_global type;    /* below RP_PICKLE_ELEMENTS */
    const unsigned char *key; /* [key_size], the name of its data */
    uint32_t key_size;
    uint64_t elements;    /* of all the data */
    uint64_t begin, size; /* the elements that are meant, within them */
} rp_pickle_storage;

/* A tensor over a storage; sizes and strides count elements. */
typedef struct rp_pickle_tensor {
    rp_pickle_storage storage;
    uint64_t offset; /* of the first element, in what is meant of the storage */
    uint32_t rank;
    const uint32_t *sizes, *strides; /* [rank] nodes that are integers, none negative */
    const rp_pickle_node *metadata;  /* NULL: none */
} rp_pickle_tensor;

enum { RP_PICKLE_MAX_RANK = 16 };

/* Read the pickle at the front of the `size` bytes at `bytes`, which `out` borrows. `part` says which of the
 * file `path` it is, for messages. RP_ERROR_FORMAT when it is damaged, RP_ERROR_UNSUPPORTED names an opcode
 * or global that weights do not need, and its place. Takes memory and time that grow with `size` alone. On
 * success the caller owns `out` (rp_pickle_finish). */
rp_status rp_pickle_read(const unsigned char *bytes, size_t size, const char *path, const char *part,
                         rp_pickle *out, rp_error *err);

/* Allowed on a zeroed struct. */
void rp_pickle_finish(rp_pickle *pickle);

/* True when the node is a text with these characters. */
bool rp_pickle_is_text(const rp_pickle_node *node, const char *text);

/* What a node of the kind RP_PICKLE_STORAGE or RP_PICKLE_TENSOR stands for. Only the tensor's place in its
 * storage is unchecked. */
rp_pickle_storage rp_pickle_storage_of(const rp_pickle *pickle, const rp_pickle_node *node);
rp_pickle_tensor rp_pickle_tensor_of(const rp_pickle *pickle, const rp_pickle_node *node);

#endif
