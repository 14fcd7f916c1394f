/* Measuring kernels, and remembering the fastest. */
#include "ops/tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/cache.h"
#include "gpu/shader.h"
#include "ops/timer.h"
#include "ops/verify.h"

enum {
    SMALL = 1 << 16,     /* elements of a w that is not worth measuring */
    TIMED_ROWS = 128,    /* of a batch of texts */
    TIMED_ROWS_THIN = 8, /* of what a head works on */
    RP_KERNEL_NAME = 96,
    REPEATS = 4, /* measurements of one kernel, of which the best counts */
    MOST_REPEATS = 64,
};
static const double CPU_WORK = 6e7; /* multiply-adds of one measurement on a software driver */
static const double ENOUGH = 2e-3;  /* seconds after which a kernel has been measured enough */

/* ---- how fast is it ---- */

/* A device set up to run matmuls of x [rows, k] into out [rows, n]. */
typedef struct rig {
    rp_timer timer;
    rp_buffer x, out;
    unsigned halves; /* of the operator */
} rig;

static void rig_close(rig *r) {
    if (!r->timer.device) return;
    rp_buffer_destroy(r->timer.device, &r->x);
    rp_buffer_destroy(r->timer.device, &r->out);
    rp_timer_close(&r->timer);
}

static rp_status rig_open(rig *r, rp_ops *owner, uint32_t rows, const rp_matrix *w, rp_error *err) {
    rp_device *device = owner->device;
    rp_status status;
    *r = (rig){0};
    RP_TRY(rp_timer_open_for(&r->timer, owner, err));
    RP_TRY(rp_buffer_create(device, 4ull * rows * w->k, RP_MEMORY_DEVICE, "tuning", &r->x, err));
    RP_TRY(rp_buffer_create(device, 4ull * rows * w->rows, RP_MEMORY_DEVICE, "tuning", &r->out, err));
done:
    if (status) rig_close(r);
    return status;
}

/* The best time of one run, in seconds; gives up on a kernel that is far behind `best`. */
static rp_status measure(rig *r, const rp_matrix *w, const rp_matmul_kernel *kernel, uint32_t rows,
                         double best, double *out, rp_error *err) {
    rp_matmul op = {.label = "tuning",
                    .x = rp_buffer_range(&r->x, 0, r->x.size),
                    .w = w,
                    .out = rp_buffer_range(&r->out, 0, r->out.size),
                    .halves = r->halves};
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = rows};
    bool cpu = r->timer.device->caps.info.type == RP_DEVICE_CPU;
    double each, spent = 0;
    rp_status status;
    RP_TRY(rp_timer_begin(&r->timer, err));
    RP_TRY(rp_op_matmul_with((rp_op_target){&r->timer.ops, r->timer.commands}, &op, kernel, err));
    RP_TRY(rp_timer_end(&r->timer, err));
    RP_TRY(rp_timer_run(&r->timer, counts, &each, err)); /* the driver may compile here */
    *out = INFINITY;
    for (int i = 0; i < REPEATS || (spent < ENOUGH && i < MOST_REPEATS); i++) {
        double worked = rp_cpu_seconds();
        RP_TRY(rp_timer_run(&r->timer, counts, &each, err));
        if (cpu) each = rp_cpu_seconds() - worked; /* whatever else the machine does */
        if (each < *out) *out = each;
        if (each > 4 * best) break;
        spent += each;
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
    rp_status status = rig_open(&r, ops, rows, &part, err);
    if (status) return status;
    r.halves = op->halves;
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
    rp_ending ending = {op->activation, op->bias.buffer, op->residual.buffer, op->norm.buffer, op->halves};
    double times[RP_MAX_KERNELS];
    rp_verdict verdict;
    rp_status status;
    RP_TRY(measure_all(ops, op, rows, kernels, count, times, err));
    for (uint32_t tried = 0; tried < count; tried++) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < count; i++)
            if (times[i] < times[best]) best = i;
        times[best] = INFINITY;
        *out = kernels[best];
        RP_TRY(rp_verify_matmul(ops, out, op->w->format, &ending, &verdict, err));
        if (rp_verdict_right(&verdict)) return RP_OK;
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
    int used = snprintf(text, sizeof text, "%s|%s|%" PRIu32 "|%s|%d %u %u %u %u %u|", caps->info.name,
                        caps->info.driver, caps->driver_version, table, (int)op->w->format, op->halves,
                        op->w->rows, op->w->k, rows, count);
    for (size_t i = 0; i < VK_UUID_SIZE; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%02x", caps->uuid[i]);
    rp_cache_key(text, (size_t)used, key);
}

static void name_kernel(const rp_matmul_kernel *kernel, char out[RP_KERNEL_NAME]) {
    int used = snprintf(out, RP_KERNEL_NAME, "%s %ux%u %ux%u", kernel->shader, kernel->lanes, kernel->blocks,
                        kernel->rows, kernel->columns);
    const rp_matrix_shape *m = &kernel->matrix;
    if (m->m)
        snprintf(out + used, RP_KERNEL_NAME - (size_t)used, " %ux%ux%u /%u", m->m, m->n, m->k,
                 kernel->across);
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
        if (rp_kernel_rows(&kernels[i]) * rp_kernel_columns(&kernels[i]) <
            rp_kernel_rows(&best) * rp_kernel_columns(&best))
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
    uint32_t count = rp_plan_matmul(&device->caps, op->w->format, op->halves, texels, kernels);
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
