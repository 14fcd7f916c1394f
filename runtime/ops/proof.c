#include "ops/proof.h"

#include <math.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/class.h"

static void close_proof(rp_proof *p) {
    rp_device *device = p->harness.device;
    for (int i = 0; i < RP_PROOF_MATRICES; i++) rp_matrix_finish(&p->matrices[i]);
    if (device) rp_buffer_destroy(device, &p->data);
    if (p->weights.device) rp_store_finish(&p->weights);
    rp_harness_close(&p->harness);
    rp_arena_finish(&p->host);
}

rp_status rp_prove(rp_ops *ops, const rp_class *class, const rp_kernel *kernel, const rp_use *use,
                   rp_difference *out, rp_error *err) {
    rp_status status = RP_OK;
    *out = (rp_difference){.bound = rp_rounding_bound(kernel->rounding)};
    for (uint32_t n = 0; !status && n < class->cases; n++) {
        rp_proof proof = {.class = class, .kernel = kernel, .use = *use, .difference = out, .owner = ops};
        status = class->prove(&proof, n, err);
        close_proof(&proof);
    }
    return status;
}

rp_status rp_proof_open(rp_proof *p, VkDeviceSize bytes, VkDeviceSize weights, rp_error *err) {
    rp_device *device = p->owner->device;
    rp_status status;
    RP_TRY(rp_harness_open(&p->harness, device, p->owner->pipelines, err));
    rp_store_init(&p->weights, device, weights, "proof");
    RP_TRY(rp_buffer_create(device, bytes + 8 * device->caps.storage_alignment, RP_MEMORY_OUTPUT, "proof",
                            &p->data, err));
    memset(p->data.mapped, 0xff, (size_t)p->data.size); /* NaN: shows where it is used or left */
    RP_TRY(rp_harness_begin(&p->harness, err));
done:
    return status;
}

rp_range rp_proof_take(rp_proof *p, VkDeviceSize bytes) {
    rp_range range = rp_buffer_range(&p->data, p->used, bytes);
    p->used = rp_round_up(p->used + bytes, p->harness.device->caps.storage_alignment);
    return range;
}

void *rp_proof_seen(const rp_proof *p, rp_range range) {
    return (char *)p->data.mapped + range.offset;
}

rp_status rp_proof_alloc(rp_proof *p, size_t count, size_t size, void **out, rp_error *err) {
    *out = rp_arena_alloc(&p->host, count, size);
    return *out ? RP_OK : rp_fail_memory(err, "the proof of a kernel", count * size);
}

rp_status rp_proof_floats(rp_proof *p, size_t count, float **out, rp_error *err) {
    void *floats;
    rp_status status = rp_proof_alloc(p, count, sizeof **out, &floats, err);
    *out = floats;
    return status;
}

rp_status rp_proof_record(rp_proof *p, const rp_op *op, rp_error *err) {
    rp_op mine = *op;
    mine.class = p->class;
    mine.label = "proof";
    mine.kernel = *p->kernel;
    rp_record_barrier(&p->harness.ops.recorder, p->harness.commands);
    return rp_op_record((rp_op_target){&p->harness.ops, p->harness.commands}, &mine, err);
}

rp_status rp_proof_run(rp_proof *p, const uint32_t counts[RP_COUNT_KINDS], rp_error *err) {
    double seconds;
    rp_status status;
    if (!p->ended) RP_TRY(rp_harness_end(&p->harness, err));
    p->ended = true;
    RP_TRY(rp_store_flush(&p->weights, err));
    RP_TRY(rp_buffer_flush(p->harness.device, &p->data, p->data.size, err));
    RP_TRY(rp_harness_run(&p->harness, counts, &seconds, err));
    RP_TRY(rp_buffer_invalidate(p->harness.device, &p->data, p->data.size, err));
done:
    return status;
}

rp_status rp_proof_replay(rp_proof *p, const rp_op *op, const uint32_t counts[RP_COUNT_KINDS],
                          rp_error *err) {
    rp_status status = rp_proof_record(p, op, err);
    for (int again = 0; !status && again < 2; again++) status = rp_proof_run(p, counts, err);
    return status;
}

/* ---- numbers ---- */

static uint32_t mixed(uint32_t i) {
    i = (i ^ i >> 16) * 0x7feb352du;
    i = (i ^ i >> 15) * 0x846ca68bu;
    return i ^ i >> 16;
}

float rp_proof_number(uint32_t i, bool exact) {
    float value = (float)(int32_t)mixed(i) / 2147483648.0f;
    return exact ? truncf(127 * value) / 128 : value;
}

void rp_proof_fill(float *out, size_t count, uint32_t seed, float scale) {
    for (size_t i = 0; i < count; i++) out[i] = scale * rp_proof_number(seed + (uint32_t)i, false);
}

static size_t stride_of(const rp_proof_rows *rows) {
    return rows->stride ? rows->stride : rp_padded(rows->width);
}

void rp_proof_send(rp_proof *p, const rp_proof_rows *to, const float *data) {
    size_t stride = stride_of(to), padded = rp_padded(to->width);
    void *out = rp_proof_seen(p, to->range);
    for (size_t i = 0; i < to->rows; i++)
        for (size_t c = 0; c < padded; c++) {
            float value = c < to->width ? data[i * to->width + c] : 0;
            if (to->half)
                ((uint16_t *)out)[i * stride + c] = rp_float_to_half(value);
            else
                ((float *)out)[i * stride + c] = value;
        }
}

rp_status rp_proof_input(rp_proof *p, const rp_proof_rows *rows, uint32_t seed, float **values, rp_range *out,
                         rp_error *err) {
    rp_proof_rows to = *rows;
    size_t count = rows->rows * rows->width;
    rp_status status = rp_proof_floats(p, count, values, err);
    if (status) return status;
    for (size_t i = 0; i < count; i++) (*values)[i] = rp_proof_number(seed + (uint32_t)i, rows->half);
    to.range = *out = rp_proof_take(p, rp_proof_bytes(rows->rows + 1, stride_of(rows)));
    rp_proof_send(p, &to, *values);
    return RP_OK;
}

rp_status rp_proof_matrix(rp_proof *p, const float *values, uint32_t rows, uint32_t columns, rp_format format,
                          rp_matrix **out, rp_error *err) {
    static const rp_storage storages[] = {
        [RP_FORMAT_INT8] = RP_STORAGE_INT8, [RP_FORMAT_INT4] = RP_STORAGE_INT4};
    size_t count = (size_t)rows * columns;
    rp_host_matrix host = {values, RP_FORMAT_F32, rows, columns};
    rp_matrix *matrix = p->matrices;
    while (matrix->chunks) matrix++;
    if (format == RP_FORMAT_F16 || format == RP_FORMAT_BF16) {
        void *halves;
        rp_status status = rp_proof_alloc(p, count, sizeof(uint16_t), &halves, err);
        if (status) return status;
        for (size_t i = 0; i < count; i++)
            ((uint16_t *)halves)[i] =
                format == RP_FORMAT_F16 ? rp_float_to_half(values[i]) : rp_float_to_bfloat(values[i]);
        host.data = halves;
        host.format = format;
    }
    *out = matrix;
    uint32_t half = (rp_padded(rows) / RP_PANEL + 1) / 2; /* of its panels */
    p->weights.limit = p->in_chunks ? rp_panel_bytes(format, rp_padded(columns), half) : 0;
    return rp_matrix_create(&p->weights, &host, 1,
                            rp_format_words(format) ? storages[format] : RP_STORAGE_AS_IS, "proof", matrix,
                            err);
}

rp_status rp_proof_vectors(rp_proof *p, const float *values, uint32_t count, uint32_t width, rp_range *out,
                           rp_error *err) {
    rp_host_matrix parts[2] = {{values, RP_FORMAT_F32, 1, width}, {values + width, RP_FORMAT_F32, 1, width}};
    return rp_vectors_create(&p->weights, parts, count, "proof", out, err);
}

/* ---- comparing ---- */

void rp_proof_differ(rp_proof *p, double error) {
    rp_difference *difference = p->difference;
    if (!(error <= difference->error)) difference->error = isnan(error) ? INFINITY : error;
}

static float got_at(const void *data, size_t i, bool half) {
    return half ? rp_half_to_float(((const uint16_t *)data)[i]) : ((const float *)data)[i];
}

void rp_proof_compare(rp_proof *p, const rp_proof_rows *r, const float *want, const float *scales,
                      const uint32_t *only, size_t count) {
    const uint8_t *got = rp_proof_seen(p, r->range);
    size_t stride = stride_of(r), padded = rp_padded(r->width), element = r->half ? 2 : 4;
    for (size_t n = 0; n < count; n++) {
        size_t i = only ? only[n] : n;
        double scale = scales ? scales[n] : 1;
        for (size_t c = 0; c < r->width; c++) {
            double value = want[n * r->width + c];
            rp_proof_differ(p, fabs(got_at(got, i * stride + c, r->half) - value) / fmax(scale, fabs(value)));
        }
        for (size_t c = r->width; c < padded; c++)
            if (got_at(got, i * stride + c, r->half) != 0) rp_proof_differ(p, INFINITY);
    }
    for (size_t i = 0; i <= r->rows; i++) {
        size_t from = i < r->rows ? padded : 0; /* behind the last row, all of one */
        for (size_t b = (i * stride + from) * element; b < (i + 1) * stride * element; b++)
            if (got[b] != 0xff) rp_proof_differ(p, INFINITY);
    }
}
