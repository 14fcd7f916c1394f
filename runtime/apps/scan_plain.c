#include "apps/scan.h"

#include "base/call.h"
#include "base/half.h"

double rp_scan_product(const rp_index_file *file, uint64_t row, const float *vector) {
    const unsigned char *from = file->vectors + rp_index_vector_bytes(row, file->head.width);
    double sum = 0;
    for (uint32_t i = 0; i < file->head.width; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * (size_t)i, sizeof half);
        sum += (double)rp_half_to_float(half) * vector[i];
    }
    return sum;
}

rp_status rp_scan_plain(const rp_index_file *file, const rp_scan_queries *q, rp_error *err) {
    uint32_t width = file->head.width;
    float *row = rp_new_array(float, width);
    rp_status status = row ? RP_OK : rp_fail_memory(err, "a vector", width * sizeof *row);
    for (uint64_t r = 0; !status && r < file->head.count; r++) {
        if (r % RP_INDEX_BLOCK == 0) {
            status = rp_call_check(err);
            if (!status) status = rp_index_check_rows(file, r, RP_INDEX_BLOCK, err);
            if (status) break;
        }
        rp_index_row(file, r, row);
        for (size_t i = 0; i < q->count; i++) {
            const float *vector = q->vectors + i * width;
            double sum = 0;
            for (uint32_t c = 0; c < width; c++) sum += (double)row[c] * vector[c];
            rp_best_offer(&q->best[i], (float)sum, r);
        }
    }
    free(row);
    return status;
}
