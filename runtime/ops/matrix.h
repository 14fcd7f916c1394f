/* Weight matrices on the device, in panels.
 *
 * A matrix [rows, k] (a Linear's weight, [out, in]) is stored as [rows / 32][k][32]: 32 rows side by side, so
 * that neighbouring lanes, which make neighbouring outputs, read neighbouring memory. Rows and k are padded
 * with zeros to a multiple of 32. A matrix larger than one descriptor may be is cut into chunks of whole
 * panels. */
#ifndef RP_OPS_MATRIX_H
#define RP_OPS_MATRIX_H

#include "gpu/memory.h"

enum { RP_PANEL = 32 };

/* Element formats; FORMAT_* of shaders/common.glsl. */
typedef enum rp_format { RP_FORMAT_F32 = 0, RP_FORMAT_F16, RP_FORMAT_BF16 } rp_format;

/* A row-major matrix [rows, columns] in host memory, at any alignment. data NULL: nothing. */
typedef struct rp_host_matrix {
    const void *data;
    rp_format format;
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

/* `width` rounded up to whole panels: the row stride of every activation that wide, in floats. */
static inline uint32_t rp_padded(uint32_t width) {
    return (width + RP_PANEL - 1) / RP_PANEL * RP_PANEL;
}

/* `head_dim` rounded up to whole vec4s: the columns of one attention head. */
static inline uint32_t rp_head_width(uint32_t head_dim) {
    return (head_dim + 3) / 4 * 4;
}

/* Bytes that a matrix will take. */
uint64_t rp_matrix_bytes(const rp_host_matrix *parts, uint32_t count);

/* Put `count` matrices of equal width on top of each other (each padded by itself) and send them to the
 * store. Formats are kept, unless the parts differ: then all become F32. */
rp_status rp_matrix_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                           rp_matrix *out, rp_error *err);
void rp_matrix_finish(rp_matrix *matrix);

/* Vectors [columns], converted to F32, each padded with zeros to a multiple of RP_PANEL, one after the other.
 * A part without data counts as zeros. */
rp_status rp_vectors_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                            rp_range *out, rp_error *err);

/* Element i of a host matrix as float. */
float rp_host_get(const rp_host_matrix *matrix, size_t i);

#endif
