/* Weight matrices on the device, in panels.
 *
 * A matrix [rows, k] (a Linear's weight, [out, in]) is stored as [rows / 32][k][32]: 32 rows side by side, so
 * that neighbouring lanes, which make neighbouring outputs, read neighbouring memory. Rows and k are padded
 * with zeros to a multiple of 32. A matrix larger than one descriptor may be is cut into chunks of whole
 * panels.
 *
 * The integer formats put weights of one row at neighbouring k into a 32-bit word, the first in the lowest
 * bits: INT8: a panel is float scales [32], then words [k / 4][32], a scale for each row; INT4: a panel is [k
 * / 32] blocks of BF16 scales [32], then words [4][32], a scale for 32 weights of a row. Four rows' words are
 * 16 bytes, the unit in which they are read. */
#ifndef RP_OPS_MATRIX_H
#define RP_OPS_MATRIX_H

#include <stdbool.h>

#include "gpu/memory.h"
#include "ops/padding.h"

/* Element formats; FORMAT_* of shaders/common.glsl. */
typedef enum rp_format {
    RP_FORMAT_F32 = 0,
    RP_FORMAT_F16,
    RP_FORMAT_BF16,
    RP_FORMAT_INT8,
    RP_FORMAT_INT4,
} rp_format;

/* What to make of the formats of the files. */
typedef enum rp_storage {
    RP_STORAGE_AS_IS = 0, /* keep them */
    RP_STORAGE_F32,
    RP_STORAGE_F16, /* rounded to the nearest; F32 where a value is beyond 65504 */
    RP_STORAGE_INT8,
    RP_STORAGE_INT4,
} rp_storage;

/* A row-major matrix [rows, columns] in host memory, at any alignment. data NULL: nothing. */
typedef struct rp_host_matrix {
    const void *data;
    rp_format format; /* no integer format */
    uint32_t rows, columns;
} rp_host_matrix;

typedef struct rp_matrix_chunk {
    rp_range range;
    uint32_t first_panel, panels;
} rp_matrix_chunk;

typedef struct rp_matrix {
    rp_format format;
    uint32_t rows, k;        /* as stored: padded to multiples of RP_PANEL */
    rp_matrix_chunk *chunks; /* NULL: there is no such matrix */
    uint32_t chunk_count;
} rp_matrix;

/* An integer format: read as words. */
static inline bool rp_format_words(rp_format format) {
    return format == RP_FORMAT_INT8 || format == RP_FORMAT_INT4;
}

/* Bytes that `panels` panels of width `k` (a multiple of RP_PANEL) take. */
uint64_t rp_panel_bytes(rp_format format, uint32_t k, uint32_t panels);

/* Elements of a texel buffer over `panels` panels of it: four weights each, or 16 bytes of words. */
uint64_t rp_matrix_texels(const rp_matrix *matrix, uint32_t panels);

/* Bytes that a matrix will take, when no value is beyond its format. */
uint64_t rp_matrix_bytes(const rp_host_matrix *parts, uint32_t count, rp_storage storage);

/* Put `count` matrices of equal width on top of each other (each padded by itself) and send them to the
 * store. Where formats are to be kept and the parts differ, all become F32. */
rp_status rp_matrix_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, rp_storage storage,
                           const char *name, rp_matrix *out, rp_error *err);
void rp_matrix_finish(rp_matrix *matrix);

/* Replace its values, in the format that it has: by parts of the same shapes, whose values that holds. They
 * are sent to the store that it was created in. Nothing that reads it may be pending. */
rp_status rp_matrix_write(rp_store *store, const rp_host_matrix *parts, uint32_t count,
                          const rp_matrix *matrix, rp_error *err);

/* Vectors [columns], converted to F32, each padded with zeros to a multiple of RP_PANEL, one after the other.
 * A part without data counts as zeros. */
rp_status rp_vectors_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                            rp_range *out, rp_error *err);

/* Replace them, as rp_matrix_write does. */
rp_status rp_vectors_write(rp_store *store, const rp_host_matrix *parts, uint32_t count, rp_range range,
                           rp_error *err);

/* Element i of a host matrix as float. */
float rp_host_get(const rp_host_matrix *matrix, size_t i);

/* The values that the device will compute with, when `matrix` is stored as `format`: [rows, columns] floats.
 */
void rp_host_stored(const rp_host_matrix *matrix, rp_format format, float *out);

#endif
