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

/* The same by the device, to which opening sends the vectors. The file is borrowed. A device that was lost is
 * opened again, and has them again, in the next run. One thread at a time runs it; top_k is at most
 * RP_TOP_K_WANTED_MAX of ops/top_k.h. The device's sums are in float32. */
rp_status rp_scan_open(rp_device *device, const rp_index_file *file, rp_scan **out, rp_error *err);
void rp_scan_close(rp_scan *scan);
rp_status rp_scan_run(rp_scan *scan, const rp_scan_queries *queries, rp_error *err);

/* Bytes of device memory that it has allocated. */
uint64_t rp_scan_bytes(const rp_scan *scan);

/* The product of a query and a row, in double: what every score is computed by in the end. */
double rp_scan_product(const rp_index_file *file, uint64_t row, const float *vector);

#endif
