#include "support_ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/half.h"
#include "ops/selection.h"

enum { MAX_BUFFERS = 64, MAX_MATRICES = 16, GRID_OFFSET = 1024 };

rp_device *ops_device;
rp_ops ops;
rp_error ops_err;

static rp_buffer control; /* counts, and the indirect commands from GRID_OFFSET on */
static rp_buffer buffers[MAX_BUFFERS];
static size_t buffer_count;
static rp_matrix matrices[MAX_MATRICES];
static size_t matrix_count;
static rp_store store;
static VkFence fence;
static rp_caps own_caps;

void ops_check(rp_status status, const char *expr, const char *file, int line) {
    if (!status) return;
    print_error("%s: %s: %s\n", expr, rp_status_name(status), ops_err.message);
    _assert_int_equal(status, RP_OK, file, line);
}

int ops_setup(void **state) {
    (void)state;
    VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    OPS_OK(rp_device_open(NULL, &ops_device, &ops_err));
    own_caps = ops_device->caps;
    OPS_OK(rp_buffer_create(ops_device, GRID_OFFSET + RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand),
                            RP_MEMORY_INPUT, "counts", &control, &ops_err));
    assert_int_equal(ops_device->vk.vkCreateFence(ops_device->handle, &info, NULL, &fence), VK_SUCCESS);
    print_message("%s, %s\n", ops_device->caps.info.name, ops_device->caps.info.driver);
    return 0;
}

static void forget_case(void) {
    for (size_t i = 0; i < buffer_count; i++) rp_buffer_destroy(ops_device, &buffers[i]);
    for (size_t i = 0; i < matrix_count; i++) rp_matrix_finish(&matrices[i]);
    rp_store_finish(&store);
    buffer_count = matrix_count = 0;
}

int ops_teardown(void **state) {
    (void)state;
    forget_case();
    rp_ops_finish(&ops);
    rp_buffer_destroy(ops_device, &control);
    if (fence) ops_device->vk.vkDestroyFence(ops_device->handle, fence, NULL);
    bool clean = rp_device_memory_used(ops_device) == 0;
    rp_device_close(&ops_device);
    return clean ? 0 : -1;
}

void ops_begin(void) {
    rp_pipeline_set pipelines = ops.own;
    ops.own = (rp_pipeline_set){0};
    rp_ops_finish(&ops);
    forget_case();
    rp_ops_init(&ops, ops_device, rp_buffer_range(&control, 0, RP_COUNT_KINDS * 4),
                rp_buffer_range(&control, GRID_OFFSET, RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand)));
    if (pipelines.device) ops.own = pipelines;
    ops_look_like(0);
    rp_store_init(&store, ops_device, 0, "weights");
}

/* ---- looks ---- */

const char *ops_look_like(size_t i) {
    static const struct {
        const char *name;
        bool gpu, subgroups, texels;
    } looks[OPS_LOOKS] = {{"as it is", false, true, true},
                          {"no texel buffers", false, true, false},
                          {"no subgroups", false, false, true},
                          {"a GPU", true, true, true}};
    rp_caps *caps = &ops_device->caps;
    caps->info.type = looks[i].gpu ? RP_DEVICE_DISCRETE : own_caps.info.type;
    caps->subgroup_shuffle = looks[i].subgroups && own_caps.subgroup_shuffle;
    caps->max_texels = looks[i].texels ? own_caps.max_texels : 0;
    return looks[i].name;
}

/* ---- data ---- */

static rp_buffer *buffer_of(rp_range range) {
    for (size_t i = 0; i < buffer_count; i++)
        if (buffers[i].handle == range.buffer) return &buffers[i];
    fail_msg("not a range of this case");
    return NULL;
}

static rp_range new_buffer(size_t bytes) {
    assert_true(buffer_count < MAX_BUFFERS);
    rp_buffer *buffer = &buffers[buffer_count];
    if (bytes < 16) bytes = 16;
    OPS_OK(rp_buffer_create(ops_device, bytes, RP_MEMORY_OUTPUT, "test", buffer, &ops_err));
    buffer_count++;
    return rp_buffer_range(buffer, 0, bytes);
}

void ops_write(rp_range range, const void *data, size_t bytes) {
    rp_buffer *buffer = buffer_of(range);
    assert_true(bytes <= buffer->size);
    memcpy(buffer->mapped, data, bytes);
    OPS_OK(rp_buffer_flush(ops_device, buffer, bytes, &ops_err));
}

rp_range ops_upload(const void *data, size_t bytes) {
    rp_range range = new_buffer(bytes);
    ops_write(range, data, bytes);
    return range;
}

void ops_clear(rp_range results) {
    rp_buffer *buffer = buffer_of(results);
    float *values = buffer->mapped;
    for (size_t i = 0; i < buffer->size / 4; i++) values[i] = OPS_UNTOUCHED;
    OPS_OK(rp_buffer_flush(ops_device, buffer, buffer->size, &ops_err));
}

rp_range ops_results(size_t count) {
    rp_range range = new_buffer(count * sizeof(float));
    ops_clear(range);
    return range;
}

const float *ops_read(rp_range range) {
    rp_buffer *buffer = buffer_of(range);
    OPS_OK(rp_buffer_invalidate(ops_device, buffer, buffer->size, &ops_err));
    return buffer->mapped;
}

const rp_matrix *ops_matrix(const rp_host_matrix *parts, uint32_t count) {
    return ops_matrix_as(parts, count, RP_STORAGE_AS_IS);
}

const rp_matrix *ops_matrix_as(const rp_host_matrix *parts, uint32_t count, rp_storage storage) {
    assert_true(matrix_count < MAX_MATRICES);
    rp_matrix *matrix = &matrices[matrix_count++];
    OPS_OK(rp_matrix_create(&store, parts, count, storage, "test", matrix, &ops_err));
    return matrix;
}

rp_range ops_vectors(const rp_host_matrix *parts, uint32_t count) {
    rp_range range;
    OPS_OK(rp_vectors_create(&store, parts, count, "test", &range, &ops_err));
    return range;
}

/* ---- numbers ---- */

static uint32_t random_bits(void) {
    static uint64_t state = 88172645463325252u; /* xorshift64* */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)(state * 2685821657736338717u >> 32);
}

float ops_random(void) {
    return (float)((int32_t)random_bits() / 2147483648.0);
}

float *ops_random_rows(size_t rows, uint32_t width, float scale) {
    size_t stride = rp_padded(width), count = rows * stride;
    float *values = rp_new_array(float, count);
    assert_non_null(values);
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < width; c++) values[i * stride + c] = scale * ops_random();
    return values;
}

static uint16_t random_half(rp_format format) {
    uint32_t bits = random_bits();
    if (format == RP_FORMAT_F16) return (uint16_t)((bits & 0x83ff) | (8 + bits / 65536 % 6) << 10);
    float value = 0.5f * ops_random();
    memcpy(&bits, &value, 4);
    return (uint16_t)(bits >> 16);
}

rp_host_matrix ops_random_matrix(rp_format format, uint32_t rows, uint32_t columns) {
    size_t count = (size_t)rows * columns;
    void *data = malloc(count * 4);
    assert_non_null(data);
    for (size_t i = 0; i < count; i++)
        if (format == RP_FORMAT_F32)
            ((float *)data)[i] = 0.5f * ops_random();
        else
            ((uint16_t *)data)[i] = random_half(format);
    return (rp_host_matrix){data, format, rows, columns};
}

float *ops_as_floats(const rp_host_matrix *matrix) {
    size_t count = (size_t)matrix->rows * matrix->columns;
    float *values = rp_new_array(float, count);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = rp_host_get(matrix, i);
    return values;
}

/* ---- recording and running ---- */

rp_status ops_choose_and_record(rp_op_target target, rp_op op) {
    rp_status status = rp_op_select(target.ops, &op, &ops_err);
    return status ? status : rp_op_record(target, &op, &ops_err);
}

rp_status ops_record_first(rp_op_target target, rp_op op) {
    rp_kernel kernels[RP_MAX_KERNELS];
    rp_use use = rp_use_of(&op);
    assert_in_range(op.class->plan(&ops_device->caps, &use, kernels), 1, RP_MAX_KERNELS);
    op.kernel = kernels[0];
    return rp_op_record(target, &op, &ops_err);
}

rp_op_target ops_record(void) {
    rp_op_target target = {.ops = &ops};
    OPS_OK(rp_store_flush(&store, &ops_err));
    OPS_OK(rp_record_begin(&ops.recorder, "test", &target.commands, &ops_err));
    return target;
}

void ops_record_barrier(rp_op_target target) {
    rp_record_barrier(&ops.recorder, target.commands);
}

void ops_record_end(rp_op_target target) {
    rp_record_host_barrier(&ops.recorder, target.commands);
    OPS_OK(rp_record_end(&ops.recorder, target.commands, &ops_err));
}

void ops_run(rp_op_target target, const uint32_t counts[RP_COUNT_KINDS]) {
    char *base = control.mapped;
    memcpy(base, counts, RP_COUNT_KINDS * 4);
    rp_ops_write_grids(&ops, counts, (VkDispatchIndirectCommand *)(base + GRID_OFFSET));
    OPS_OK(rp_buffer_flush(ops_device, &control, control.size, &ops_err));
    OPS_OK(rp_device_submit(ops_device, &target.commands, 1, fence, &ops_err));
}

void ops_run_rows(rp_op_target target, uint32_t rows) {
    const uint32_t counts[RP_COUNT_KINDS] = {
        [RP_COUNT_TOKENS] = rows, [RP_COUNT_SEQUENCES] = rows, [RP_COUNT_ROWS] = rows};
    ops_run(target, counts);
}

/* ---- comparing ---- */

void ops_compare(const float *got, const float *want, size_t rows, uint32_t width, double bound,
                 const char *what, ...) {
    size_t stride = rp_padded(width), worst_row = 0, worst_column = 0, dirty = 0;
    double worst = 0;
    for (size_t i = 0; i < rows; i++) {
        for (size_t c = 0; c < width; c++) {
            double g = got[i * stride + c], w = want[i * stride + c];
            double error = fabs(g - w) / fmax(1, fabs(w));
            if (error <= worst) continue;
            worst = isnan(error) ? INFINITY : error;
            worst_row = i;
            worst_column = c;
        }
        for (size_t c = width; c < stride; c++) dirty += got[i * stride + c] != 0;
    }
    if (worst <= bound && !dirty) return;
    char name[256];
    va_list args;
    va_start(args, what);
    vsnprintf(name, sizeof name, what, args);
    va_end(args);
    size_t at = worst_row * stride + worst_column;
    fail_msg(
        "%s: row %zu, column %zu is %.9g instead of %.9g, off by %.2g (bound %.2g); %zu elements of padding "
        "are not zero",
        name, worst_row, worst_column, (double)got[at], (double)want[at], worst, bound, dirty);
}

void ops_check_untouched(const float *got, size_t first, size_t last, size_t stride) {
    for (size_t i = first * stride; i < last * stride; i++)
        if (got[i] != OPS_UNTOUCHED)
            fail_msg("row %zu, column %zu was written: %.9g", i / stride, i % stride, (double)got[i]);
}
