#include "ops/matrix.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/quantize.h"

/* Bytes of RP_PANEL elements of RP_PANEL rows, and of what stands before the first of them in a panel. */
static uint32_t block_bytes(rp_format format) {
    static const uint32_t bytes[] = {[RP_FORMAT_F32] = RP_PANEL * RP_PANEL * 4,
                                     [RP_FORMAT_F16] = RP_PANEL * RP_PANEL * 2,
                                     [RP_FORMAT_BF16] = RP_PANEL * RP_PANEL * 2,
                                     [RP_FORMAT_INT8] = RP_PANEL * RP_PANEL,
                                     [RP_FORMAT_INT4] = RP_PANEL * 2 + RP_PANEL * RP_PANEL / 2};
    return bytes[format];
}

static uint32_t head_bytes(rp_format format) {
    return format == RP_FORMAT_INT8 ? RP_PANEL * 4 : 0;
}

uint64_t rp_panel_bytes(rp_format format, uint32_t k, uint32_t panels) {
    return panels * (head_bytes(format) + (uint64_t)k / RP_PANEL * block_bytes(format));
}

uint64_t rp_matrix_texels(const rp_matrix *matrix, uint32_t panels) {
    if (rp_format_words(matrix->format)) return rp_panel_bytes(matrix->format, matrix->k, panels) / 16;
    return (uint64_t)panels * RP_PANEL * matrix->k / 4;
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

/* ---- which format ---- */

/* The format that holds every part without loss. */
static rp_format common_format(const rp_host_matrix *parts, uint32_t count) {
    for (uint32_t i = 1; i < count; i++)
        if (parts[i].format != parts[0].format) return RP_FORMAT_F32;
    return parts[0].format;
}

/* The format that is asked for, whatever the values are. */
static rp_format wanted_format(const rp_host_matrix *parts, uint32_t count, rp_storage storage) {
    static const rp_format formats[] = {[RP_STORAGE_F32] = RP_FORMAT_F32,
                                        [RP_STORAGE_F16] = RP_FORMAT_F16,
                                        [RP_STORAGE_INT8] = RP_FORMAT_INT8,
                                        [RP_STORAGE_INT4] = RP_FORMAT_INT4};
    return storage == RP_STORAGE_AS_IS ? common_format(parts, count) : formats[storage];
}

/* Every value of `matrix` has a half that is not infinity. */
static bool fits_half(const rp_host_matrix *matrix) {
    size_t count = (size_t)matrix->rows * matrix->columns;
    if (matrix->format == RP_FORMAT_F16) return true;
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(rp_host_get(matrix, i)) <= 65504)) return false;
    return true;
}

static rp_format choose_format(const rp_host_matrix *parts, uint32_t count, rp_storage storage) {
    rp_format format = wanted_format(parts, count, storage);
    for (uint32_t i = 0; storage == RP_STORAGE_F16 && i < count; i++)
        if (!fits_half(&parts[i])) format = RP_FORMAT_F32;
    return format;
}

static uint32_t padded_rows(const rp_host_matrix *parts, uint32_t count) {
    uint32_t rows = 0;
    for (uint32_t i = 0; i < count; i++) rows += rp_padded(parts[i].rows);
    return rows;
}

uint64_t rp_matrix_bytes(const rp_host_matrix *parts, uint32_t count, rp_storage storage) {
    if (!count || !parts[0].data) return 0;
    return rp_panel_bytes(wanted_format(parts, count, storage), rp_padded(parts[0].columns),
                          padded_rows(parts, count) / RP_PANEL);
}

/* ---- packing: a block is RP_PANEL elements of RP_PANEL rows ---- */

typedef float block[RP_PANEL][RP_PANEL]; /* [row][k] */

/* Rows and columns outside the part are zero. */
static void read_block(const rp_host_matrix *part, uint32_t row, uint32_t k, block out) {
    memset(out, 0, sizeof(block));
    for (uint32_t r = 0; r < RP_PANEL && row + r < part->rows; r++)
        for (uint32_t i = 0; i < RP_PANEL && k + i < part->columns; i++)
            out[r][i] = rp_host_get(part, (size_t)(row + r) * part->columns + k + i);
}

/* The elements as they are: [k][row] of `bytes` each, which the compiler is to know. */
static inline void turn(const rp_host_matrix *part, uint32_t row, uint32_t k, const size_t bytes, char *out) {
    uint32_t rows = part->rows - row < RP_PANEL ? part->rows - row : RP_PANEL;
    uint32_t columns = part->columns - k < RP_PANEL ? part->columns - k : RP_PANEL;
    size_t stride = part->columns * bytes;
    const char *from = (const char *)part->data + row * stride + k * bytes;
    if (rows < RP_PANEL || columns < RP_PANEL) memset(out, 0, RP_PANEL * RP_PANEL * bytes);
    for (uint32_t i = 0; i < columns; i++)
        for (uint32_t r = 0; r < rows; r++)
            memcpy(out + (i * RP_PANEL + r) * bytes, from + r * stride + i * bytes, bytes);
}

static void copy_block(const rp_host_matrix *part, uint32_t row, uint32_t k, void *out) {
    if (part->format == RP_FORMAT_F32)
        turn(part, row, k, 4, out);
    else
        turn(part, row, k, 2, out);
}

/* The scale of each row of a panel. */
static void int8_scales(const rp_host_matrix *part, uint32_t row, float scales[RP_PANEL]) {
    for (uint32_t r = 0; r < RP_PANEL; r++) {
        float largest = 0;
        for (uint32_t k = 0; row + r < part->rows && k < part->columns; k++)
            largest = fmaxf(largest, fabsf(rp_host_get(part, (size_t)(row + r) * part->columns + k)));
        scales[r] = rp_int8_scale(largest);
    }
}

static void pack_int8(block w, const float scales[RP_PANEL], uint32_t *words) {
    for (uint32_t i = 0; i < RP_PANEL / 4; i++)
        for (uint32_t r = 0; r < RP_PANEL; r++) {
            uint32_t word = 0;
            for (uint32_t j = 0; j < 4; j++)
                word |= (uint32_t)(uint8_t)rp_int8_round(w[r][i * 4 + j], scales[r]) << 8 * j;
            words[i * RP_PANEL + r] = word;
        }
}

static void pack_int4(block w, void *out) {
    uint16_t *scales = out;
    uint32_t *words = (uint32_t *)(scales + RP_PANEL);
    for (uint32_t r = 0; r < RP_PANEL; r++) {
        int8_t q[RP_INT4_GROUP];
        scales[r] = rp_float_to_bfloat(rp_int4_quantize(w[r], q));
        for (uint32_t i = 0; i < RP_PANEL / 8; i++) {
            uint32_t word = 0;
            for (uint32_t j = 0; j < 8; j++) word |= (uint32_t)(q[i * 8 + j] & 15) << 4 * j;
            words[i * RP_PANEL + r] = word;
        }
    }
}

/* One block in `format`. `scales` is for INT8. */
static void pack(const rp_host_matrix *part, uint32_t row, uint32_t k, rp_format format,
                 const float scales[RP_PANEL], void *out) {
    block w;
    if (format == part->format) {
        copy_block(part, row, k, out);
        return;
    }
    read_block(part, row, k, w);
    if (format == RP_FORMAT_INT8)
        pack_int8(w, scales, out);
    else if (format == RP_FORMAT_INT4)
        pack_int4(w, out);
    else
        for (uint32_t i = 0; i < RP_PANEL * RP_PANEL; i++) {
            float value = w[i % RP_PANEL][i / RP_PANEL];
            if (format == RP_FORMAT_F32)
                ((float *)out)[i] = value;
            else
                ((uint16_t *)out)[i] = rp_float_to_half(value);
        }
}

/* Up to RP_PANEL weights of one row, as they come back. */
static void stored_run(const float w[RP_PANEL], uint32_t n, rp_format format, float int8_scale, float *out) {
    int8_t q[RP_INT4_GROUP];
    float int4_scale = format == RP_FORMAT_INT4 ? rp_int4_quantize(w, q) : 0;
    for (uint32_t i = 0; i < n; i++) switch (format) {
        case RP_FORMAT_F16:
            out[i] = rp_half_to_float(rp_float_to_half(w[i]));
            break;
        case RP_FORMAT_BF16:
            out[i] = rp_bfloat_to_float(rp_float_to_bfloat(w[i]));
            break;
        case RP_FORMAT_INT8:
            out[i] = int8_scale * rp_int8_round(w[i], int8_scale);
            break;
        case RP_FORMAT_INT4:
            out[i] = int4_scale * q[i];
            break;
        default:
            out[i] = w[i];
        }
}

void rp_host_stored(const rp_host_matrix *matrix, rp_format format, float *out) {
    float scales[RP_PANEL];
    for (uint32_t row = 0; row < matrix->rows; row++) {
        if (row % RP_PANEL == 0) int8_scales(matrix, row, scales);
        for (uint32_t k = 0; k < matrix->columns; k += RP_PANEL) {
            float w[RP_PANEL] = {0};
            uint32_t n = matrix->columns - k < RP_PANEL ? matrix->columns - k : RP_PANEL;
            size_t at = (size_t)row * matrix->columns + k;
            for (uint32_t i = 0; i < n; i++) w[i] = rp_host_get(matrix, at + i);
            stored_run(w, n, format, scales[row % RP_PANEL], out + at);
        }
    }
}

/* ---- sending ---- */

/* Send panel `panel` of the chunk: the rows of `part` from `row` on. */
static rp_status send_panel(rp_store *store, const rp_matrix *matrix, const rp_matrix_chunk *chunk,
                            uint32_t panel, const rp_host_matrix *part, uint32_t row, rp_error *err) {
    uint32_t head = head_bytes(matrix->format), each = block_bytes(matrix->format);
    uint32_t blocks = matrix->k / RP_PANEL, step = RP_STAGING_BYTES / each;
    VkDeviceSize offset = rp_panel_bytes(matrix->format, matrix->k, panel);
    float scales[RP_PANEL];
    char *to;
    if (head) {
        int8_scales(part, row, scales);
        to = rp_store_write(store, chunk->range, offset, head, err);
        if (!to) return err ? err->status : RP_ERROR_DEVICE;
        memcpy(to, scales, head);
        offset += head;
    }
    for (uint32_t b = 0; b < blocks; b += step) {
        uint32_t count = blocks - b < step ? blocks - b : step;
        to = rp_store_write(store, chunk->range, offset, (VkDeviceSize)count * each, err);
        if (!to) return err ? err->status : RP_ERROR_DEVICE;
        for (uint32_t i = 0; i < count; i++)
            pack(part, row, (b + i) * RP_PANEL, matrix->format, scales, to + (size_t)i * each);
        offset += (VkDeviceSize)count * each;
    }
    return RP_OK;
}

/* Send the panels of `part` that fall into the chunk; `panel` is the part's first panel in the whole matrix.
 */
static rp_status send_part(rp_store *store, const rp_matrix *matrix, const rp_matrix_chunk *chunk,
                           const rp_host_matrix *part, uint32_t panel, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t row = 0; !status && row < part->rows; row += RP_PANEL, panel++)
        if (panel >= chunk->first_panel && panel < chunk->first_panel + chunk->panels)
            status = send_panel(store, matrix, chunk, panel - chunk->first_panel, part, row, err);
    return status;
}

rp_status rp_matrix_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, rp_storage storage,
                           const char *name, rp_matrix *out, rp_error *err) {
    rp_format format = choose_format(parts, count, storage);
    *out = (rp_matrix){.format = format, .rows = padded_rows(parts, count), .k = rp_padded(parts[0].columns)};
    uint64_t limit = rp_store_limit(store), panel_bytes = rp_panel_bytes(format, out->k, 1);
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
    }
    if (!status) status = rp_matrix_write(store, parts, count, out, err);
    if (status) rp_matrix_finish(out);
    return status;
}

rp_status rp_matrix_write(rp_store *store, const rp_host_matrix *parts, uint32_t count,
                          const rp_matrix *matrix, rp_error *err) {
    rp_status status = RP_OK;
    for (uint32_t c = 0; c < matrix->chunk_count; c++)
        for (uint32_t i = 0, panel = 0; !status && i < count;
             panel += rp_padded(parts[i].rows) / RP_PANEL, i++)
            status = send_part(store, matrix, &matrix->chunks[c], &parts[i], panel, err);
    return status;
}

void rp_matrix_finish(rp_matrix *matrix) {
    free(matrix->chunks);
    *matrix = (rp_matrix){0};
}

static size_t padded_columns(const rp_host_matrix *parts, uint32_t count) {
    size_t padded = 0;
    for (uint32_t i = 0; i < count; i++) padded += rp_padded(parts[i].columns);
    return padded;
}

rp_status rp_vectors_create(rp_store *store, const rp_host_matrix *parts, uint32_t count, const char *name,
                            rp_range *out, rp_error *err) {
    size_t padded = padded_columns(parts, count);
    if (padded * 4 > RP_STAGING_BYTES)
        return rp_fail(err, RP_ERROR_UNSUPPORTED, "%s: %zu elements are more than this version takes", name,
                       padded);
    rp_status status = rp_store_reserve(store, padded * 4, out, err);
    return status ? status : rp_vectors_write(store, parts, count, *out, err);
}

rp_status rp_vectors_write(rp_store *store, const rp_host_matrix *parts, uint32_t count, rp_range range,
                           rp_error *err) {
    size_t at = 0;
    float *to = rp_store_write(store, range, 0, padded_columns(parts, count) * 4, err);
    if (!to) return err ? err->status : RP_ERROR_DEVICE;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t width = parts[i].columns;
        for (uint32_t c = 0; c < rp_padded(width); c++)
            to[at++] = c < width && parts[i].data ? rp_host_get(&parts[i], c) : 0.0f;
    }
    return RP_OK;
}
