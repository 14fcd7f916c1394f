/* Which rows of an index have the largest products with a vector. */
#ifndef RP_APPS_SCAN_H
#define RP_APPS_SCAN_H

#include "apps/index_file.h"
#include "tasks/task.h"

typedef struct rp_scan rp_scan;

/* Queries on their way: vectors float32 [count, width], and for each the best rows that were found, of which
 * there is room for top_k and more. */
typedef struct rp_scan_queries {
    const float *vectors;
    size_t count;
    uint32_t top_k;
    rp_best *best; /* [count]; keys are rows */
} rp_scan_queries;

/* Offer each query the rows of the file: every one, computed by this thread. RP_ERROR_FORMAT: the file is
 * damaged; RP_ERROR_HOST_MEMORY, and what rp_call_check says. */
rp_status rp_scan_plain(const rp_index_file *file, const rp_scan_queries *queries, rp_error *err);

/* The product of a query and a row, in double: what every score is computed by in the end. */
double rp_scan_product(const rp_index_file *file, uint64_t row, const float *vector);

#endif
