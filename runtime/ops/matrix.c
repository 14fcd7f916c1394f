#include "ops/matrix.h"

#include <string.h>

#include "base/alloc.h"
#include "base/half.h"

static uint32_t element_bytes(rp_format format) {
    return format == RP_FORMAT_F32 ? 4 : 2;
}

float rp_host_get(const rp_host_matrix *matrix, size_t i) {
    uint16_t half;
    float value;
    if (matrix->format == RP_FORMAT_F32) {
        memcpy(&value, (const char *)matrix->data + i * 4, 4);
        return value;
    }
    memcpy(&half, (const char *)matrix->data + i * 2, 2);
    return matrix->format == RP_FORMAT_F16 ? rp_half_to_float(half) : rp_bfloat_to_float(half);
}

/* The format that holds every part without loss. */
static rp_format common_format(const rp_host_matrix *parts, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        if (parts[i].format != parts[0].format) return RP_FORMAT_F32;
    return parts[0].format;
}

static uint32_t padded_rows(const rp_host_matrix *parts, uint32_t count) {
    uint32_t rows = 0;
    for (uint32_t i = 0; i < count; i++) rows += rp_padded(parts[i].rows);
    return rows;
}

uint64_t rp_matrix_bytes(const rp_host_matrix *parts, uint32_t count) {
    if (!count || !parts[0].data) return 0;
    return (uint64_t)padded_rows(parts, count) * rp_padded(parts[0].columns) *
           element_bytes(common_format(parts, count));
}

/* Elements [k0, k0 + ks) of 32 rows from `row` on, as [ks][32]. Rows and columns outside the part are zero.
 */
static void pack(const rp_host_matrix *part, uint32_t row, uint32_t k0, uint32_t ks, rp_format format,
                 void *out) {
    uint32_t bytes = element_bytes(format);
    memset(out, 0, (size_t)ks * RP_PANEL * bytes);
    for (uint32_t r = 0; r < RP_PANEL && row + r < part->rows; r++) {
        size_t from = (size_t)(row + r) * part->columns + k0;
        uint32_t n = k0 >= part->columns ? 0 : part->columns - k0 < ks ? part->columns - k0 : ks;
        const char *source = (const char *)part->data + from * element_bytes(part->format);
        if (format != part->format) {
            for (uint32_t k = 0; k < n; k++) ((float *)out)[k * RP_PANEL + r] = rp_host_get(part, from + k);
        } else if (bytes == 4) {
            for (uint32_t k = 0; k < n; k++) memcpy((uint32_t *)out + k * RP_PANEL + r, source + k * 4, 4);
        } else {
            for (uint32_t k = 0; k < n; k++) memcpy((uint16_t *)out + k * RP_PANEL + r, source + k * 2, 2);
        }
    }
}

/* Send the panels of `part` that fall into the chunk; `panel` is the part's first panel in the whole matrix.
 */
static rp_status send_part(rp_store *store, const rp_matrix *matrix, const rp_matrix_chunk *chunk,
                           const rp_host_matrix *part, uint32_t panel, rp_error *err) {
    uint32_t row_bytes = RP_PANEL * element_bytes(matrix->format), step = RP_STAGING_BYTES / row_bytes;
    uint32_t panels = rp_padded(part->rows) / RP_PANEL;
    for (uint32_t i = 0; i < panels; i++) {
        uint32_t at = panel + i;
        if (at < chunk->first_panel || at >= chunk->first_panel + chunk->panels) continue;
        for (uint32_t k = 0; k < matrix->k; k += step) {
            uint32_t ks = matrix->k - k < step ? matrix->k - k : step;
            VkDeviceSize offset = ((VkDeviceSize)(at - chunk->first_panel) * matrix->k + k) * row_bytes;
            void *to = rp_store_write(store, chunk->range, offset, (VkDeviceSize)ks * row_bytes, err);
            if (!to) return err ? err->status : RP_ERROR_DEVICE;
            pack(part, i * RP_PANEL, k, ks, matrix->format, to);
        }
    }
    return RP_OK;
}

rp_status rp_matrix_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                           rp_matrix *out, rp_error *err) {
    rp_format format = common_format(parts, count);
    *out = (rp_matrix){.format = format, .rows = padded_rows(parts, count), .k = rp_padded(parts[0].columns)};
    const rp_caps *caps = &store->device->caps;
    uint64_t limit = caps->info.max_storage_bytes < caps->max_allocation ? caps->info.max_storage_bytes
                                                                         : caps->max_allocation;
    uint64_t panel_bytes = (uint64_t)out->k * RP_PANEL * element_bytes(format);
    uint32_t panels = out->rows / RP_PANEL;
    if (panel_bytes > limit)
        return rp_fail(err, RP_ERROR_UNSUPPORTED,
                       "%s: rows of %u elements do not fit a storage buffer of this device", name, out->k);
    uint32_t per_chunk = limit / panel_bytes < panels ? (uint32_t)(limit / panel_bytes) : panels;
    out->chunk_count = (panels + per_chunk - 1) / per_chunk;
    out->chunks = rp_new_array(rp_matrix_chunk, out->chunk_count);
    if (!out->chunks) return rp_fail_memory(err, name, out->chunk_count * sizeof *out->chunks);
    rp_status status = RP_OK;
    for (uint32_t c = 0; !status && c < out->chunk_count; c++) {
        rp_matrix_chunk *chunk = &out->chunks[c];
        chunk->first_panel = c * per_chunk;
        chunk->panels = panels - chunk->first_panel < per_chunk ? panels - chunk->first_panel : per_chunk;
        status = rp_store_reserve(store, chunk->panels * panel_bytes, &chunk->range, err);
        for (uint32_t i = 0, panel = 0; !status && i < count;
             panel += rp_padded(parts[i].rows) / RP_PANEL, i++)
            status = send_part(store, out, chunk, &parts[i], panel, err);
    }
    if (status) rp_matrix_finish(out);
    return status;
}

void rp_matrix_finish(rp_matrix *matrix) {
    free(matrix->chunks);
    *matrix = (rp_matrix){0};
}

rp_status rp_vectors_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                            rp_range *out, rp_error *err) {
    size_t padded = 0, at = 0;
    for (uint32_t i = 0; i < count; i++) padded += rp_padded(parts[i].columns);
    if (padded * 4 > RP_STAGING_BYTES)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: %zu elements are more than this version takes", name,
                       padded);
    rp_status status = rp_store_reserve(store, padded * 4, out, err);
    if (status) return status;
    float *to = rp_store_write(store, *out, 0, padded * 4, err);
    if (!to) return err ? err->status : RP_ERROR_DEVICE;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t width = parts[i].columns;
        for (uint32_t c = 0; c < rp_padded(width); c++)
            to[at++] = c < width && parts[i].data ? rp_host_get(&parts[i], c) : 0.0f;
    }
    return RP_OK;
}
