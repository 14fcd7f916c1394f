/* What a device reaches when nothing else is in the way. */
#include "measure.h"

#include <stdio.h>

#include "base/alloc.h"
#include "ops/harness.h"

enum {
    REPEATS = 6,
    MANY = 256,         /* dispatches whose cost is told apart */
    UNROLLED = 8,       /* operations of a chain in one step, as in roofline.comp */
    MOST_STEPS = 60000, /* llvmpipe ends a loop after 65535 */
    COPY_EACH = 4,      /* vec4s of one invocation */
};
static const double ENOUGH = 0.05;  /* seconds for one candidate */
static const double TARGET = 0.004; /* seconds that one measurement should take */

typedef struct roofline {
    rp_harness harness;
    rp_buffer values;   /* of the arithmetic: a few floats */
    rp_buffer from, to; /* of the copy */
} roofline;

static rp_range whole(const rp_buffer *buffer) {
    return rp_buffer_range(buffer, 0, buffer->size);
}

static bool software(const roofline *r) {
    return r->harness.device->caps.info.type == RP_DEVICE_CPU;
}

/* ---- arithmetic ---- */

typedef struct arithmetic {
    const char *shader;
    uint32_t lanes, chains;
    double operations;     /* of one step of one chain in one lane */
    rp_matrix_shape shape; /* of cooperative matrices */
} arithmetic;

static rp_status record_arithmetic(roofline *r, const arithmetic *a, uint32_t steps, rp_error *err) {
    rp_pipeline_key key = {
        .shader = a->shader,
        .constants = {a->lanes, a->chains, a->shape.m, a->shape.n, a->shape.k, software(r)},
        .constant_count = a->shape.m ? 6 : 2,
        .bindings = 2,
        .push_words = 1,
        .subgroup_size = a->shape.m && r->harness.device->caps.subgroup_control ? a->lanes : 0};
    rp_dispatch dispatch = {.bindings = {{0}, whole(&r->values)}, .push = {steps}};
    rp_op_target to = {.ops = &r->harness.ops};
    rp_status status = rp_harness_begin(&r->harness, err);
    to.commands = r->harness.commands;
    if (!status)
        status = rp_op_dispatch(to, &key, (rp_grid){RP_COUNT_TOKENS, 1, 1}, a->shader, &dispatch, err);
    return status ? status : rp_harness_end(&r->harness, err);
}

/* Operations in a second of one shape, at a number of steps that makes the time long enough to be seen; by
 * the clock, and by processor time. */
static rp_status time_arithmetic(roofline *r, const arithmetic *a, double *out, double *by_cpu,
                                 rp_error *err) {
    uint32_t groups = software(r) ? 256 : 16384, steps = 16;
    uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = groups};
    double seconds = 0;
    rp_status status = RP_OK;
    while (!status) {
        status = record_arithmetic(r, a, steps, err);
        if (!status) status = rp_harness_best(&r->harness, counts, 1, ENOUGH, &seconds, err);
        if (seconds >= TARGET / 4 || steps >= MOST_STEPS) break;
        steps = steps * 4 < MOST_STEPS ? steps * 4 : MOST_STEPS;
    }
    if (!status) status = rp_harness_best(&r->harness, counts, REPEATS, ENOUGH, &seconds, err);
    double operations = a->operations * groups * a->lanes * a->chains * UNROLLED * steps;
    if (!status && seconds > 0) *out = operations / seconds;
    if (!status && r->harness.cpu_seconds > 0) *by_cpu = operations / r->harness.cpu_seconds;
    return status;
}

/* Keep the better of `figure`, in 1e9 operations a second, and of `a` with any number of chains. True:
 * better. */
static rp_status best_chains(roofline *r, arithmetic a, rp_figure *figure, bool *better, rp_error *err) {
    static const uint32_t chains[] = {4, 8, 12, 14, 16, 24};
    rp_status status = RP_OK;
    *better = false;
    for (size_t c = 0; !status && c < RP_COUNT(chains); c++) {
        double each = 0, by_cpu = 0;
        a.chains = chains[c];
        status = time_arithmetic(r, &a, &each, &by_cpu, err);
        if (!status && by_cpu * 1e-9 > figure->cpu_value) figure->cpu_value = by_cpu * 1e-9;
        if (status || each <= figure->value * 1e9) continue;
        figure->value = each * 1e-9;
        snprintf(figure->note, sizeof figure->note, "%u chains in each of %u lanes", a.chains, a.lanes);
        *better = true;
    }
    return status;
}

/* The best over shapes. */
static rp_status best_arithmetic(roofline *r, const char *shader, double operations, rp_figure *figure,
                                 rp_error *err) {
    const rp_device_info *info = &r->harness.device->caps.info;
    uint32_t lanes[] = {info->subgroup_size, 64, software(r) ? 0 : 256};
    rp_status status = RP_OK;
    bool better;
    figure->value = figure->cpu_value = 0;
    for (size_t l = 0; !status && l < RP_COUNT(lanes); l++)
        if (lanes[l] <= info->max_invocations && (!l || lanes[l] > lanes[0]))
            status =
                best_chains(r, (arithmetic){.shader = shader, .lanes = lanes[l], .operations = operations},
                            figure, &better, err);
    return status;
}

/* The best over the sizes that the driver lists. */
static rp_status best_matrix(roofline *r, rp_figure *figure, rp_error *err) {
    const rp_caps *caps = &r->harness.device->caps;
    rp_status status = RP_OK;
    figure->value = figure->cpu_value = 0;
    for (uint32_t i = 0; !status && i < caps->matrix_shape_count; i++) {
        rp_matrix_shape m = caps->matrix_shapes[i];
        uint32_t lanes = caps->info.subgroup_size;
        bool better;
        if (m.n % 4) continue;
        arithmetic a = {.shader = "roofline_matrix",
                        .lanes = lanes,
                        .operations = 2.0 * m.m * m.n * m.k / lanes,
                        .shape = m};
        status = best_chains(r, a, figure, &better, err);
        if (better)
            snprintf(figure->note, sizeof figure->note, "float16 with float32 sums, %ux%ux%u", m.m, m.n, m.k);
    }
    return status;
}

static rp_status measure_arithmetic(roofline *r, unsigned parts, rp_roofline *out, rp_error *err) {
    const rp_caps *caps = &r->harness.device->caps;
    rp_status status = RP_OK;
    if (parts & RP_ROOFLINE_F32) RP_TRY(best_arithmetic(r, "roofline_f32", 2, &out->f32, err));
    if (parts & RP_ROOFLINE_F16) {
        snprintf(out->f16.note, sizeof out->f16.note, "the device has no float16 arithmetic");
        if (caps->has_float16_int8) RP_TRY(best_arithmetic(r, "roofline_f16", 4, &out->f16, err));
    }
    if (parts & RP_ROOFLINE_INT8) {
        snprintf(out->int8_dot.note, sizeof out->int8_dot.note, "the device has no integer dot products");
        if (caps->has_integer_dot) RP_TRY(best_arithmetic(r, "roofline_dot", 8, &out->int8_dot, err));
    }
    if (parts & RP_ROOFLINE_COOPERATIVE) {
        snprintf(out->cooperative.note, sizeof out->cooperative.note, "%s",
                 caps->info.cooperative_matrix ? "the driver lists none that this build has a shader for"
                                               : "the device has no cooperative matrix");
        if (caps->matrix_shape_count) RP_TRY(best_matrix(r, &out->cooperative, err));
    }
done:
    return status;
}

/* ---- memory ---- */

static rp_status measure_copy(roofline *r, rp_figure *figure, rp_error *err) {
    rp_device *device = r->harness.device;
    const uint32_t lanes[] = {device->caps.info.subgroup_size, 64, 256};
    VkDeviceSize bytes = software(r) ? 64 << 20 : 128 << 20; /* more than a cache holds */
    while (bytes > device->caps.info.max_storage_bytes || bytes > device->caps.max_allocation) bytes /= 2;
    rp_status status;
    RP_TRY(rp_buffer_create(device, bytes, RP_MEMORY_DEVICE, "copy source", &r->from, err));
    RP_TRY(rp_buffer_create(device, bytes, RP_MEMORY_DEVICE, "copy target", &r->to, err));
    for (size_t i = 0; i < RP_COUNT(lanes); i++) {
        uint32_t group = lanes[i] * COPY_EACH, groups = (uint32_t)(bytes / 16 / group);
        if (lanes[i] > device->caps.info.max_invocations || (i && lanes[i] <= lanes[0])) continue;
        uint32_t y = 1; /* 65535 workgroups side by side are all that is promised */
        while (groups / y > 65535) y *= 2;
        rp_pipeline_key key = {
            .shader = "copy", .constants = {lanes[i], COPY_EACH}, .constant_count = 2, .bindings = 3};
        rp_dispatch dispatch = {.bindings = {{0}, whole(&r->from), whole(&r->to)}};
        uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = groups / y};
        double seconds = 0;
        RP_TRY(rp_harness_begin(&r->harness, err));
        rp_op_target to = {&r->harness.ops, r->harness.commands};
        RP_TRY(rp_op_dispatch(to, &key, (rp_grid){RP_COUNT_TOKENS, 1, y}, "copy", &dispatch, err));
        RP_TRY(rp_harness_end(&r->harness, err));
        RP_TRY(rp_harness_best(&r->harness, counts, REPEATS, 4 * ENOUGH, &seconds, err));
        double each = seconds > 0 ? 2.0 * 16 * group * (groups / y * y) / seconds * 1e-9 : 0;
        if (each <= figure->value) continue;
        figure->value = each;
        if (software(r) && r->harness.cpu_seconds > 0)
            figure->cpu_value = each * seconds / r->harness.cpu_seconds;
        snprintf(figure->note, sizeof figure->note, "%llu MiB by workgroups of %u",
                 (unsigned long long)(bytes >> 20), lanes[i]);
    }
done:
    rp_buffer_destroy(device, &r->from);
    rp_buffer_destroy(device, &r->to);
    return status;
}

/* ---- what a command costs ---- */

/* Time `count` empty dispatches, with a barrier after each or with none. */
static rp_status time_empty(roofline *r, uint32_t count, bool barriers, double *seconds, rp_error *err) {
    rp_pipeline_key key = {.shader = "empty", .constants = {1}, .constant_count = 1, .bindings = 1};
    const uint32_t counts[RP_COUNT_KINDS] = {[RP_COUNT_TOKENS] = 1};
    rp_status status = rp_harness_begin(&r->harness, err);
    rp_op_target to = {&r->harness.ops, r->harness.commands};
    for (uint32_t i = 0; !status && i < count; i++) {
        rp_dispatch dispatch = {0};
        status = rp_op_dispatch(to, &key, (rp_grid){RP_COUNT_TOKENS, 1, 1}, "empty", &dispatch, err);
        if (barriers) rp_record_barrier(&r->harness.ops.recorder, to.commands);
    }
    if (!status) status = rp_harness_end(&r->harness, err);
    return status ? status : rp_harness_best(&r->harness, counts, 4 * REPEATS, ENOUGH, seconds, err);
}

static rp_status measure_costs(roofline *r, rp_roofline *out, rp_error *err) {
    double one, many, barriers;
    rp_status status;
    RP_TRY(time_empty(r, 1, false, &one, err));
    RP_TRY(time_empty(r, 1 + MANY, false, &many, err));
    RP_TRY(time_empty(r, 1 + MANY, true, &barriers, err));
    out->dispatch.value = many > one ? (many - one) / MANY * 1e6 : 0;
    out->barrier.value = barriers > many ? (barriers - many) / MANY * 1e6 : 0;
    snprintf(out->dispatch.note, sizeof out->dispatch.note, "indirect, %d in a row", MANY);
    snprintf(out->barrier.note, sizeof out->barrier.note, "shader to shader, beyond the dispatch");
    VkQueryPool stamps = r->harness.stamps; /* a submission is the host's affair */
    r->harness.stamps = VK_NULL_HANDLE;
    status = time_empty(r, 0, false, &one, err);
    r->harness.stamps = stamps;
    out->submit.value = one * 1e6;
    snprintf(out->submit.note, sizeof out->submit.note, "one empty command buffer, until its fence");
done:
    return status;
}

rp_status rp_bench_roofline(rp_device *device, unsigned parts, rp_roofline *out, rp_error *err) {
    if (!device || !out)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_bench_roofline: device and out must not be NULL");
    *out = (rp_roofline){0};
    roofline r = {0};
    rp_status status = rp_device_enter(device, err);
    if (status) return status;
    RP_TRY(rp_harness_open(&r.harness, device, NULL, err));
    static const float values[4] = {0.5f, 0.25f, -1, 0};
    RP_TRY(rp_buffer_create(device, 64, RP_MEMORY_INPUT, "arithmetic", &r.values, err));
    memcpy(r.values.mapped, values, sizeof values);
    RP_TRY(rp_buffer_flush(device, &r.values, r.values.size, err));
    RP_TRY(measure_arithmetic(&r, parts, out, err));
    if (parts & RP_ROOFLINE_COPY) RP_TRY(measure_copy(&r, &out->copy, err));
    if (parts & RP_ROOFLINE_COSTS) RP_TRY(measure_costs(&r, out, err));
    if (!software(&r))
        out->f32.cpu_value = out->f16.cpu_value = out->int8_dot.cpu_value = out->cooperative.cpu_value = 0;
done:
    rp_harness_close(&r.harness);
    rp_buffer_destroy(device, &r.values);
    return rp_device_leave(device, status);
}
