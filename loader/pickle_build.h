/* Between the files of the reader of pickles: pickle.c runs the opcodes, pickle_build.c knows what a pickle
 * may name and call, and both put values on the stack of pickle_machine.c. */
#ifndef RP_LOADER_PICKLE_BUILD_H
#define RP_LOADER_PICKLE_BUILD_H

#include "base/error.h"
#include "loader/pickle.h"

/* A pickle while it is read. */
typedef struct rp_pickle_machine {
    const unsigned char *bytes;
    size_t size, at, op_at; /* op_at: where the present opcode is */
    uint64_t argument;      /* the number that follows it */
    const char *path, *part;
    rp_pickle *out;
    rp_error *err;
    uint32_t *stack; /* [depth] numbers of nodes */
    size_t depth, stack_capacity;
    size_t *marks; /* [mark_count] depths of the stack */
    size_t mark_count, mark_capacity;
    uint32_t *memo; /* [memo_size] numbers of nodes + 1; 0: not set */
    size_t memo_size, memo_count, memo_capacity;
    size_t copied; /* items of lists that became dicts */
} rp_pickle_machine;

/* An error at the present opcode, in a sentence about it. */
rp_status rp_pickle_fail(rp_pickle_machine *m, rp_status status, const char *format, ...)
    __attribute__((format(REPRISE_PRINTF, 3, 4)));
rp_status rp_pickle_no_memory(rp_pickle_machine *m);

/* Push the node with this number. */
rp_status rp_pickle_push(rp_pickle_machine *m, uint32_t node);

/* Add a node, whose items it owns even when this fails, and push it. */
rp_status rp_pickle_push_new(rp_pickle_machine *m, rp_pickle_node node);

/* Append `count` items to the list or dict `node`. */
rp_status rp_pickle_extend(rp_pickle_machine *m, uint32_t node, const uint32_t *items, size_t count);

/* Push the global `module`.`name`; RP_ERROR_UNSUPPORTED names one that weights do not need. */
rp_status rp_pickle_push_global(rp_pickle_machine *m, const unsigned char *module, size_t module_size,
                                const unsigned char *name, size_t name_size);

/* Push what `callable` makes of the tuple `arguments`. */
rp_status rp_pickle_reduce(rp_pickle_machine *m, uint32_t callable, uint32_t arguments);

/* Push the storage that the persistent id, the tuple `id`, stands for. */
rp_status rp_pickle_push_storage(rp_pickle_machine *m, uint32_t id);

#endif
