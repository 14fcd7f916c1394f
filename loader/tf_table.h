/* The sorted table of names in which TensorFlow keeps the index of a checkpoint: LevelDB's table format. */
#ifndef RP_LOADER_TF_TABLE_H
#define RP_LOADER_TF_TABLE_H

#include <stdbool.h>

#include "base/error.h"

enum { RP_TF_KEY_BYTES = 512 }; /* the longest name that is taken; real ones have about 100 bytes */

/* A place in bytes that are being read, and their end. */
typedef struct rp_tf_span {
    const unsigned char *at, *end;
} rp_tf_span;

/* The number at `span`, seven bits a byte, lowest first, which `span` then stands behind. False when the
 * bytes end within it or it does not fit into 64 bits. */
bool rp_tf_varint(rp_tf_span *span, uint64_t *out);

/* A CRC32C as TensorFlow writes it, masked, to the CRC32C itself. */
uint32_t rp_tf_unmask(uint32_t masked);

/* One entry: a key, and a value that points into the table. Both may hold any bytes. `key` is NUL-terminated
 * and lives until the visit returns. A return value other than RP_OK ends the walk. */
typedef rp_status rp_tf_visit(void *context, const char *key, size_t key_size, rp_tf_span value,
                              rp_error *err);

/* Visit the entries of the table in `bytes` in the order of their keys. Every length, offset and checksum is
 * checked first, and the time is linear in `size`. RP_ERROR_FORMAT names `path` and what is damaged,
 * RP_ERROR_UNSUPPORTED a compressed table. Thread-safe. */
rp_status rp_tf_table_walk(const char *path, const unsigned char *bytes, size_t size, rp_tf_visit *visit,
                           void *context, rp_error *err);

#endif
