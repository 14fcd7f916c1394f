/* Measuring kernels, and remembering the fastest. */
#include "ops/tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/half.h"
#include "gpu/cache.h"
#include "gpu/shader.h"
#include "ops/reference.h"

enum {
    SMALL = 1 << 16,     /* elements of a w that is not worth measuring */
    TIMED_ROWS = 128,    /* of a batch of texts */
    TIMED_ROWS_THIN = 8, /* of what a head works on */
    RP_KERNEL_NAME = 96,
    REPEATS = 4, /* measurements of one kernel, of which the best counts */
    VERIFY_ROWS = 37,
    VERIFY_K = 72,
    VERIFY_N = 100, /* odd sizes: partial tiles on every side */
};
static const double CPU_WORK = 6e7;   /* multiply-adds of one measurement on a software driver */
static const double ENOUGH = 2e-3;    /* seconds that one measurement should take */
static const double MAX_ERROR = 2e-5; /* of sums of VERIFY_K products of numbers below 1 */

/* ---- a device set up to run one matmul ---- */

typedef struct rig {
    rp_device *device;
    rp_pipeline_set *lent; /* whose pipelines are used: a driver may take long to make one again */
    rp_ops ops;
    rp_buffer arguments, x, out;
    VkFence fence;
    VkCommandBuffer commands;
} rig;

static void rig_close(rig *r) {
    if (r->fence) r->device->vk.vkDestroyFence(r->device->handle, r->fence, NULL);
    if (r->lent) {
        *r->lent = r->ops.pipelines;
        r->ops.pipelines = (rp_pipeline_set){0};
    }
    rp_ops_finish(&r->ops);
    rp_buffer_destroy(r->device, &r->arguments);
    rp_buffer_destroy(r->device, &r->x);
    rp_buffer_destroy(r->device, &r->out);
}

/* Room for x [rows, k] and out [rows, n], mapped when the host has to see them. */
static rp_status rig_open(rig *r, rp_ops *owner, uint32_t rows, const rp_matrix *w, bool mapped,
                          rp_error *err) {
    rp_device *device = owner->device;
    const rp_vk_table *vk = &device->vk;
    rp_status status;
    *r = (rig){.device = device};
    VkDeviceSize counts = rp_round_up(RP_COUNT_KINDS * 4, device->caps.storage_alignment);
    VkDeviceSize grids = RP_MAX_GRIDS * sizeof(VkDispatchIndirectCommand);
    RP_TRY(rp_buffer_create(device, counts + grids, RP_MEMORY_INPUT, "tuning", &r->arguments, err));
    RP_TRY(rp_buffer_create(device, 4ull * rows * w->k, mapped ? RP_MEMORY_INPUT : RP_MEMORY_DEVICE, "tuning",
                            &r->x, err));
    RP_TRY(rp_buffer_create(device, 4ull * rows * w->rows, mapped ? RP_MEMORY_OUTPUT : RP_MEMORY_DEVICE,
                            "tuning", &r->out, err));
    rp_ops_init(&r->ops, device, rp_buffer_range(&r->arguments, 0, RP_COUNT_KINDS * 4),
                rp_buffer_range(&r->arguments, counts, grids));
    r->lent = &owner->pipelines;
    r->ops.pipelines = owner->pipelines;
    owner->pipelines = (rp_pipeline_set){.device = device};
    VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    RP_VK(vkCreateFence, (device->handle, &fence, NULL, &r->fence));
done:
    if (status) rig_close(r);
    return status;
}

static rp_status rig_record(rig *r, const rp_matrix *w, const rp_matmul_kernel *kernel, uint32_t rows,
                            rp_error *err) {
    rp_matmul op = {.label = "tuning",
                    .x = rp_buffer_range(&r->x, 0, r->x.size),
                    .w = w,
                    .out = rp_buffer_range(&r->out, 0, r->out.size)};
    uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = rows};
    rp_status status;
    RP_TRY(rp_record_begin(&r->ops.recorder, "tuning", &r->commands, err));
    RP_TRY(rp_op_matmul_with((rp_op_target){&r->ops, r->commands}, &op, kernel, err));
    rp_record_host_barrier(&r->ops.recorder, r->commands);
    RP_TRY(rp_record_end(&r->ops.recorder, r->commands, err));
    memcpy(r->arguments.mapped, counts, sizeof counts);
    rp_ops_write_grids(&r->ops, counts,
                       (VkDispatchIndirectCommand *)((char *)r->arguments.mapped + r->ops.indirect.offset));
    RP_TRY(rp_buffer_flush(r->device, &r->arguments, r->arguments.size, err));
done:
    return status;
}

/* ---- is it right ---- */

/* Numbers between -1 and 1 that a half holds exactly. */
static float pattern(uint32_t i) {
    return (float)(int32_t)((i * 2654435761u >> 24) - 128) / 128;
}

static double largest_error(const float *out, const float *want) {
    double worst = 0;
    for (uint32_t i = 0; i < VERIFY_ROWS; i++)
        for (uint32_t n = 0; n < VERIFY_N; n++) {
            double difference = (double)out[i * rp_padded(VERIFY_N) + n] - want[i * VERIFY_N + n];
            if (difference < 0) difference = -difference;
            if (!(difference <= worst)) worst = difference; /* also takes a NaN */
        }
    return worst;
}

static rp_status verify(rig *r, const rp_matrix *w, const rp_matmul_kernel *kernel, const float *x,
                        const float *want, double *error, rp_error *err) {
    rp_status status;
    float *to = r->x.mapped;
    for (uint32_t i = 0; i < VERIFY_ROWS; i++)
        for (uint32_t k = 0; k < w->k; k++) to[i * w->k + k] = k < VERIFY_K ? x[i * VERIFY_K + k] : 0;
    memset(r->out.mapped, 0xff, (size_t)r->out.size);
    RP_TRY(rp_buffer_flush(r->device, &r->x, r->x.size, err));
    RP_TRY(rp_buffer_flush(r->device, &r->out, r->out.size, err));
    RP_TRY(rig_record(r, w, kernel, VERIFY_ROWS, err));
    RP_TRY(rp_device_submit(r->device, &r->commands, 1, r->fence, err));
    RP_TRY(rp_buffer_invalidate(r->device, &r->out, r->out.size, err));
    *error = largest_error(r->out.mapped, want);
done:
    return status;
}

rp_status rp_verify_matmul(rp_ops *ops, const rp_matmul_kernel *kernel, rp_format format, double *error,
                           rp_error *err) {
    enum { X = VERIFY_ROWS * VERIFY_K, W = VERIFY_N * VERIFY_K, OUT = VERIFY_ROWS * VERIFY_N };
    float *numbers = rp_new_array(float, X + 2 * W + OUT);
    if (!numbers) return rp_fail_memory(err, "the check of a kernel", (X + 2 * W + OUT) * sizeof *numbers);
    float *x = numbers, *weights = numbers + X, *stored = weights + W, *want = stored + W;
    uint16_t halves[W];
    rp_storage storage = format == RP_FORMAT_INT8   ? RP_STORAGE_INT8
                         : format == RP_FORMAT_INT4 ? RP_STORAGE_INT4
                                                    : RP_STORAGE_AS_IS;
    bool half = format == RP_FORMAT_F16 || format == RP_FORMAT_BF16;
    rp_store store;
    rp_matrix w = {0};
    rig r = {0};
    rp_status status;
    for (uint32_t i = 0; i < X; i++) x[i] = pattern(i);
    for (uint32_t i = 0; i < W; i++) {
        weights[i] = pattern(i + 7919);
        halves[i] = format == RP_FORMAT_BF16 ? rp_float_to_bfloat(weights[i]) : rp_float_to_half(weights[i]);
    }
    rp_host_matrix host = {half ? (void *)halves : weights, half ? format : RP_FORMAT_F32, VERIFY_N,
                           VERIFY_K};
    rp_host_stored(&host, format, stored);
    rp_reference_matmul reference = {.rows = VERIFY_ROWS,
                                     .n = VERIFY_N,
                                     .k = VERIFY_K,
                                     .x = {x, VERIFY_K},
                                     .w = {stored, VERIFY_K},
                                     .out = {want, VERIFY_N}};
    rp_reference_matmul_run(&reference);
    rp_store_init(&store, ops->device, rp_matrix_bytes(&host, 1, storage), "tuning");
    RP_TRY(rp_matrix_create(&store, &host, 1, storage, "tuning", &w, err));
    RP_TRY(rp_store_flush(&store, err));
    RP_TRY(rig_open(&r, ops, VERIFY_ROWS, &w, true, err));
    status = verify(&r, &w, kernel, x, want, error, err);
    rig_close(&r);
done:
    rp_matrix_finish(&w);
    rp_store_finish(&store);
    free(numbers);
    return status;
}

/* ---- how fast is it ---- */

/* The best time of one run, in seconds; gives up on a kernel that is far behind `best`. */
static rp_status measure(rig *r, const rp_matrix *w, const rp_matmul_kernel *kernel, uint32_t rows,
                         double best, double *out, rp_error *err) {
    VkCommandBuffer many[64];
    uint32_t count = 1;
    rp_status status;
    RP_TRY(rig_record(r, w, kernel, rows, err));
    for (size_t i = 0; i < RP_COUNT(many); i++) many[i] = r->commands;
    RP_TRY(rp_device_submit(r->device, many, 1, r->fence, err)); /* the driver may compile here */
    *out = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        double start = rp_seconds();
        RP_TRY(rp_device_submit(r->device, many, count, r->fence, err));
        double each = (rp_seconds() - start) / count;
        if (each < *out) *out = each;
        if (each > 4 * best) break;
        if (count == 1)
            count = each * RP_COUNT(many) < ENOUGH ? RP_COUNT(many) : (uint32_t)(ENOUGH / each) + 1;
    }
done:
    return status;
}

/* The first chunk of `w`, and no more of it than a slow device multiplies in a moment. */
static rp_matrix part_of(const rp_matrix *w, const rp_caps *caps, uint32_t rows, rp_matrix_chunk *chunk) {
    rp_matrix part = *w;
    *chunk = w->chunks[0];
    if (caps->info.type == RP_DEVICE_CPU) {
        double panels = CPU_WORK / ((double)rows * w->k * RP_PANEL);
        uint32_t most = panels < 4 ? 4 : panels < chunk->panels ? (uint32_t)panels : chunk->panels;
        if (most < chunk->panels) chunk->panels = most;
    }
    part.rows = chunk->panels * RP_PANEL;
    part.chunks = chunk;
    part.chunk_count = 1;
    return part;
}

/* The best time of each kernel. */
static rp_status measure_all(rp_ops *ops, const rp_matmul *op, uint32_t rows, const rp_matmul_kernel *kernels,
                             uint32_t count, double *times, rp_error *err) {
    rp_matrix_chunk chunk;
    rp_matrix part = part_of(op->w, &ops->device->caps, rows, &chunk);
    double best = INFINITY;
    rig r = {0};
    rp_status status = rig_open(&r, ops, rows, &part, false, err);
    if (status) return status;
    for (uint32_t i = 0; !status && i < count; i++) {
        status = measure(&r, &part, &kernels[i], rows, best, &times[i], err);
        if (!status && times[i] < best) best = times[i];
    }
    rig_close(&r);
    return status;
}

/* The fastest kernel that is right. */
static rp_status choose(rp_ops *ops, const rp_matmul *op, uint32_t rows, const rp_matmul_kernel *kernels,
                        uint32_t count, rp_matmul_kernel *out, rp_error *err) {
    double times[RP_MAX_KERNELS], error;
    rp_status status;
    RP_TRY(measure_all(ops, op, rows, kernels, count, times, err));
    for (uint32_t tried = 0; tried < count; tried++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < count; i++)
            if (times[i] < times[best]) best = i;
        times[best] = INFINITY;
        *out = kernels[best];
        RP_TRY(rp_verify_matmul(ops, out, op->w->format, &error, err));
        if (error <= MAX_ERROR) return RP_OK;
    }
    status =
        rp_fail(err, RP_ERROR_DEVICE,
                "%s (%s): every matmul kernel gives wrong results here; update the driver, or choose another "
                "device",
                ops->device->caps.info.name, ops->device->caps.info.driver);
done:
    return status;
}

/* ---- remembering ---- */

/* What a choice depends on, hashed: the device, its driver, the shaders, and the shape. */
static void question(const rp_caps *caps, const rp_matmul *op, uint32_t rows, uint32_t count, char key[33]) {
    char text[1024], table[33];
    rp_shader_table_key(table);
    int used = snprintf(text, sizeof text, "%s|%s|%" PRIu32 "|%s|%d %u %u %u %u|", caps->info.name,
                        caps->info.driver, caps->driver_version, table, (int)op->w->format, op->w->rows,
                        op->w->k, rows, count);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%02x", caps->uuid[i]);
    rp_cache_key(text, (size_t)used, key);
}

static void name_kernel(const rp_matmul_kernel *kernel, char out[RP_KERNEL_NAME]) {
    snprintf(out, RP_KERNEL_NAME, "%s %ux%u %ux%u", kernel->shader, kernel->lanes, kernel->blocks,
             kernel->rows, kernel->columns);
}

static bool recall(const rp_device *device, const char *file, const rp_matmul_kernel *kernels, uint32_t count,
                   rp_matmul_kernel *out) {
    void *data = NULL;
    size_t size = 0;
    bool found = false;
    if (device->shader_dir || !rp_cache_read(device->cache_dir, file, &data, &size)) return false;
    for (uint32_t i = 0; i < count && !found; i++) {
        char name[RP_KERNEL_NAME];
        name_kernel(&kernels[i], name);
        found = strlen(name) == size && memcmp(name, data, size) == 0;
        if (found) *out = kernels[i];
    }
    free(data);
    return found;
}

static void remember(const rp_device *device, const char *file, const rp_matmul_kernel *kernel) {
    char name[RP_KERNEL_NAME];
    name_kernel(kernel, name);
    if (!device->shader_dir) rp_cache_write(device->cache_dir, file, name, strlen(name));
}

/* The one with the smallest tiles: quick to compile, and nothing is lost on a few rows. */
static rp_matmul_kernel smallest(const rp_matmul_kernel *kernels, uint32_t count) {
    rp_matmul_kernel best = kernels[0];
    for (uint32_t i = 1; i < count; i++)
        if (rp_kernel_rows(&kernels[i]) * kernels[i].columns < rp_kernel_rows(&best) * best.columns)
            best = kernels[i];
    return best;
}

rp_status rp_tune_matmul(rp_ops *ops, const rp_matmul *op, rp_matmul_kernel *out, rp_error *err) {
    rp_device *device = ops->device;
    rp_matmul_kernel kernels[RP_MAX_KERNELS];
    uint64_t texels = op->x.size / 16;
    for (uint32_t c = 0; c < op->w->chunk_count; c++) {
        uint64_t of_w = rp_matrix_texels(op->w, op->w->chunks[c].panels);
        if (of_w > texels) texels = of_w;
    }
    uint32_t count = rp_plan_matmul(&device->caps, op->w->format, texels, kernels);
    if ((uint64_t)op->w->rows * op->w->k <= SMALL) {
        *out = smallest(kernels, count);
        return RP_OK;
    }
    uint32_t rows = op->rows == RP_COUNT_TOKENS ? TIMED_ROWS : TIMED_ROWS_THIN;
    char key[33], file[64];
    question(&device->caps, op, rows, count, key);
    for (size_t i = 0; i < ops->choice_count; i++)
        if (!strcmp(ops->choices[i].key, key)) {
            *out = ops->choices[i].kernel;
            return RP_OK;
        }
    snprintf(file, sizeof file, "tuning-%s", key);
    if (!recall(device, file, kernels, count, out)) {
        double begun = rp_seconds(), compiled = device->spent.pipelines;
        rp_status status = choose(ops, op, rows, kernels, count, out, err);
        double compiling = device->spent.pipelines - compiled;
        rp_add_seconds(&device->spent.tuning, rp_seconds() - begun - compiling);
        if (status) return status;
        remember(device, file, out);
    }
    if (!rp_grow((void **)&ops->choices, &ops->choice_capacity, ops->choice_count + 1, sizeof *ops->choices))
        return rp_fail_memory(err, "the choice of a kernel", sizeof *ops->choices);
    rp_choice_made *made = &ops->choices[ops->choice_count++];
    *made = (rp_choice_made){.kernel = *out};
    memcpy(made->key, key, sizeof made->key);
    return RP_OK;
}
