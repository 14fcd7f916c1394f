/* Every kernel that may run on a device, tried or compiled by several threads. */
#include "reprise/check.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loader/config.h"
#include "ops/choice.h"
#include "ops/timer.h"

enum { MOST_THREADS = 16, DUMMY_BYTES = 1 << 16 };
static const char *const format_names[] = {"f32", "f16", "bf16", "int8", "int4"};

/* ---- what is to be tried ---- */

typedef enum kind { MATMUL, ATTENTION, LAYERNORM, EMBED, GATHER, POOL } kind;

typedef struct job {
    kind kind;
    union {
        rp_matmul_kernel matmul;
        rp_attention_kernel attention;
        rp_row_kernel row;
    };
    rp_format format;
    rp_ending ending;
    unsigned halves; /* bits of rp_halves, of the other operators */
    uint32_t head_dim;
    bool taken, done;
    bool suspect;    /* a process ended while its kernel was tried, maybe because of it */
    uint32_t losses; /* of the device, while it was tried */
    rp_check_result result;
} job;

typedef struct check {
    rp_device *device;
    rp_check_params params;
    job *jobs;
    size_t count, capacity;
    size_t delivered; /* of the jobs, to whom it may concern */
    uint32_t failed;  /* of these */
    bool alone;       /* what was tried when the device was lost, or a process ended, is tried again, one
                         after the other */
    bool lost;        /* the device is, and every thread ends */
    rp_status status;
    rp_error error; /* of the first that could not be tried */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t running; /* threads */
} check;

static rp_status add(check *c, const job *one, rp_error *err) {
    if (c->params.only && !strstr(one->result.kernel, c->params.only)) return RP_OK;
    if (!rp_grow((void **)&c->jobs, &c->capacity, c->count + 1, sizeof *c->jobs))
        return rp_fail_memory(err, "the list of kernels", (c->count + 1) * sizeof *c->jobs);
    c->jobs[c->count++] = *one;
    return RP_OK;
}

static const char *name_activation(rp_op_activation activation) {
    static const char *const names[] = {"", ", gelu", ", gelu_new", ", relu", ", tanh"};
    return names[activation];
}

/* Where the activations are float16. */
static const char *name_halves(unsigned halves) {
    static const char *const names[] = {"", ", f16 in", ", f16 out", ", f16 activations"};
    return names[halves];
}

static rp_status add_matmul(check *c, const rp_matmul_kernel *kernel, rp_format format,
                            const rp_ending *ending, rp_error *err) {
    job one = {.kind = MATMUL, .matmul = *kernel, .format = format, .ending = *ending};
    one.result.op = "matmul";
    rp_name_matmul(kernel, one.result.kernel);
    snprintf(one.result.use, sizeof one.result.use, "%s weights%s%s%s%s%s", format_names[format],
             name_halves(ending->halves), ending->bias ? ", bias" : "", name_activation(ending->activation),
             ending->residual ? ", residual" : "", ending->norm ? ", norm" : "");
    return add(c, &one, err);
}

/* The plan for small buffers, and for those that no texel buffer covers where there can be any. */
static uint32_t plan_matmul(const rp_caps *caps, rp_format format, unsigned halves,
                            rp_matmul_kernel out[2 * RP_MAX_KERNELS]) {
    uint32_t count = rp_plan_matmul(caps, format, halves, 0, out), all = count;
    rp_matmul_kernel more[RP_MAX_KERNELS];
    uint32_t large = 0;
    if (caps->max_texels < caps->info.max_storage_bytes / 8)
        large = rp_plan_matmul(caps, format, halves, UINT64_MAX, more);
    for (uint32_t i = 0; i < large; i++) {
        char name[RP_KERNEL_NAME], other[RP_KERNEL_NAME];
        uint32_t known = 0;
        rp_name_matmul(&more[i], name);
        while (known < count && (rp_name_matmul(&out[known], other), strcmp(name, other))) known++;
        if (known == count) out[all++] = more[i];
    }
    return all;
}

/* Of the kernels of its shader, the one with the smallest tiles; on a software driver, which takes seconds to
 * compile a large one, only where they are small indeed. */
static bool is_small(const rp_caps *caps, const rp_matmul_kernel *kernels, uint32_t count, uint32_t i) {
    enum { QUICK = 128 };
    uint32_t tile = rp_kernel_rows(&kernels[i]) * rp_kernel_columns(&kernels[i]);
    if (caps->info.type == RP_DEVICE_CPU && tile > QUICK) return false;
    for (uint32_t k = 0; k < count; k++)
        if (!strcmp(kernels[k].shader, kernels[i].shader) &&
            rp_kernel_rows(&kernels[k]) * rp_kernel_columns(&kernels[k]) < tile)
            return false;
    return true;
}

/* What models multiply by, and how: in the layers, where products end in a LayerNorm too; in what leads there
 * and from there, where only one side is float16. */
typedef struct use {
    rp_format format;
    unsigned halves;
    bool layers, seldom;
} use;
static const use uses[] = {
    {RP_FORMAT_F32, 0, true, false},
    {RP_FORMAT_F16, 0, true, false},
    {RP_FORMAT_BF16, 0, true, false},
    {RP_FORMAT_F16, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_INT8, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_INT4, RP_HALF_X | RP_HALF_OUT, true, false},
    {RP_FORMAT_F32, RP_HALF_X | RP_HALF_OUT, true, true}, /* values that float16 does not hold */
    {RP_FORMAT_F32, RP_HALF_X, false, true},              /* heads */
    {RP_FORMAT_F16, RP_HALF_X, false, true},
    {RP_FORMAT_BF16, RP_HALF_X, false, true},
    {RP_FORMAT_F16, RP_HALF_OUT, false, true}, /* the map from the embeddings */
    {RP_FORMAT_INT8, RP_HALF_OUT, false, true},
    {RP_FORMAT_INT4, RP_HALF_OUT, false, true},
    {RP_FORMAT_INT8, 0, false, true}, /* the masked language model */
    {RP_FORMAT_INT4, 0, false, true},
};

/* Products end with a bias, an activation behind it, or a residual and LayerNorm. A software driver takes
 * seconds to compile a large tile: it does so for the layers of each format, and small tiles stand for what
 * else is made of the same shader. */
static rp_status add_use(check *c, const use *u, rp_op_activation activation, rp_error *err) {
    static const rp_op_activation others[] = {RP_OP_NONE, RP_OP_GELU, RP_OP_GELU_TANH, RP_OP_RELU,
                                              RP_OP_TANH};
    const rp_caps *caps = &c->device->caps;
    const rp_ending biased = {.bias = true, .halves = u->halves},
                    inner = {.activation = activation, .bias = true, .halves = u->halves},
                    pooler = {.activation = RP_OP_TANH, .bias = true},
                    outer = {.bias = true, .residual = true, .norm = true, .halves = u->halves};
    bool plain = u->format == RP_FORMAT_F32 && !u->halves, cpu = caps->info.type == RP_DEVICE_CPU;
    rp_matmul_kernel kernels[2 * RP_MAX_KERNELS];
    uint32_t count = plan_matmul(caps, u->format, u->halves, kernels);
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < count; i++) {
        bool small = is_small(caps, kernels, count, i), all = small || !cpu;
        if (u->layers && (all || !u->seldom)) RP_TRY(add_matmul(c, &kernels[i], u->format, &outer, err));
        if (all || plain) RP_TRY(add_matmul(c, &kernels[i], u->format, &inner, err));
        if (all || plain) RP_TRY(add_matmul(c, &kernels[i], u->format, &biased, err));
        if (all && !plain && !u->halves) RP_TRY(add_matmul(c, &kernels[i], u->format, &pooler, err));
        for (size_t a = 0; a < RP_COUNT(others) && plain && small; a++)
            if (others[a] != activation)
                RP_TRY(add_matmul(c, &kernels[i], u->format, &(rp_ending){.activation = others[a], .bias = a},
                                  err));
    }
done:
    return status;
}

static rp_status add_attentions(check *c, const uint32_t *dims, size_t dim_count, rp_error *err) {
    const unsigned both = RP_HALF_X | RP_HALF_OUT;
    rp_status status = RP_OK;
    bool cpu = c->device->caps.info.type == RP_DEVICE_CPU; /* it compiles float16 for long */
    for (unsigned halves = 0; halves <= both; halves += both)
        for (size_t d = 0; d < (halves && cpu && dim_count > 2 ? 2 : dim_count); d++) {
            rp_attention_kernel kernels[RP_MAX_KERNELS];
            uint32_t count = rp_plan_attention(&c->device->caps, dims[d], halves, 0, kernels);
            for (uint32_t i = 0; i < count; i++) {
                job one = {.kind = ATTENTION, .attention = kernels[i], .halves = halves, .head_dim = dims[d]};
                one.result.op = "attention";
                rp_name_attention(&kernels[i], one.result.kernel);
                snprintf(one.result.use, sizeof one.result.use, "heads of %u%s", dims[d],
                         name_halves(halves));
                RP_TRY(add(c, &one, err));
            }
        }
done:
    return status;
}

/* One kernel of an operator that works row by row; `halves` may say that one side is float16. */
static rp_status add_row(check *c, job one, const char *op, const char *shader, uint32_t lanes,
                         rp_error *err) {
    one.result.op = op;
    snprintf(one.result.kernel, sizeof one.result.kernel, "%s %u", shader, lanes);
    if (one.kind == EMBED)
        snprintf(one.result.use, sizeof one.result.use, "%s tables", format_names[one.format]);
    else
        snprintf(one.result.use, sizeof one.result.use, "%s", one.halves ? name_halves(one.halves) + 2 : "");
    return add(c, &one, err);
}

static rp_status add_rows(check *c, rp_error *err) {
    uint32_t lanes = rp_plan_row_lanes(&c->device->caps);
    rp_row_kernel kernels[RP_MAX_KERNELS];
    uint32_t count = rp_plan_layernorm(&c->device->caps, 0, kernels);
    rp_status status = RP_OK;
    for (uint32_t i = 0; i < count; i++)
        for (unsigned halves = 0; halves <= RP_HALF_OUT; halves += RP_HALF_OUT)
            RP_TRY(add_row(c, (job){.kind = LAYERNORM, .row = kernels[i], .halves = halves}, "layer norm",
                           kernels[i].shader, kernels[i].lanes, err));
    for (int f = RP_FORMAT_F32; f <= RP_FORMAT_BF16; f++)
        RP_TRY(add_row(c, (job){.kind = EMBED, .format = (rp_format)f}, "embed", "embed", lanes, err));
    for (unsigned halves = 0; halves <= RP_HALF_X; halves++) {
        RP_TRY(add_row(c, (job){.kind = GATHER, .halves = halves}, "gather", "gather", lanes, err));
        RP_TRY(add_row(c, (job){.kind = POOL, .halves = halves}, "pool", "pool", lanes, err));
    }
done:
    return status;
}

static rp_status add_all(check *c, rp_error *err) {
    static const uint32_t tried[] = {26, 32, 64, 128, 16, 48, 80, 96, 256}, compiled[] = {32, 64, 128};
    bool cpu = c->device->caps.info.type == RP_DEVICE_CPU;
    uint32_t own;
    const uint32_t *dims = c->params.compile_only ? compiled : tried;
    size_t dim_count = c->params.compile_only ? RP_COUNT(compiled) : cpu ? 4 : RP_COUNT(tried);
    rp_op_activation activation = RP_OP_GELU_TANH;
    rp_status status = RP_OK;
    if (c->params.config) {
        rp_config config;
        RP_TRY(rp_config_preset(c->params.config, &config, err));
        own = config.hidden_size / config.attention_heads;
        if (config.activation == RP_ACTIVATION_GELU) activation = RP_OP_GELU;
        dims = &own;
        dim_count = 1;
        rp_config_finish(&config);
    }
    for (size_t i = 0; i < RP_COUNT(uses); i++) RP_TRY(add_use(c, &uses[i], activation, err));
    RP_TRY(add_attentions(c, dims, dim_count, err));
    RP_TRY(add_rows(c, err));
done:
    return status;
}

/* ---- running one ---- */

static rp_status verify(rp_ops *ops, const job *one, rp_verdict *out, rp_error *err) {
    const rp_format formats[3] = {one->format, one->format, one->format};
    switch (one->kind) {
    case MATMUL:
        return rp_verify_matmul(ops, &one->matmul, one->format, &one->ending, out, err);
    case ATTENTION:
        return rp_verify_attention(ops, &one->attention, one->head_dim, one->halves, out, err);
    case LAYERNORM:
        return rp_verify_layernorm(ops, &one->row, one->halves, out, err);
    case EMBED:
        return rp_verify_embed(ops, formats, out, err);
    case GATHER:
        return rp_verify_gather(ops, one->halves, out, err);
    default:
        return rp_verify_pool(ops, one->halves, out, err);
    }
}

/* Record it over buffers that hold nothing: the pipeline is what counts. */
static rp_status record(rp_op_target to, const job *one, rp_range any, rp_error *err) {
    rp_matrix_chunk chunk = {.range = any, .panels = 1};
    const rp_matrix w = {one->format, RP_PANEL, RP_PANEL, &chunk, 1};
    const rp_range none = {0};
    const rp_ending *e = &one->ending;
    switch (one->kind) {
    case MATMUL: {
        rp_matmul op = {.label = "check",
                        .x = any,
                        .w = &w,
                        .bias = e->bias ? any : none,
                        .activation = e->activation,
                        .residual = e->residual ? any : none,
                        .out = any,
                        .norm = e->norm ? any : none,
                        .arrived = e->norm ? any : none,
                        .norm_width = RP_PANEL,
                        .halves = e->halves};
        return rp_op_matmul_with(to, &op, &one->matmul, err);
    }
    case ATTENTION: {
        rp_attention op = {1, one->head_dim, &one->attention, any, any, any, any, one->halves, {0}};
        return rp_op_attention(to, &op, err);
    }
    case LAYERNORM: {
        rp_layernorm op = {"check", RP_COUNT_TOKENS, RP_PANEL, 0, any, any, any, one->halves};
        return rp_op_layernorm_with(to, &op, &one->row, err);
    }
    case EMBED: {
        rp_embedding op = {any, &w, &w, &w, any};
        return rp_op_embed(to, &op, err);
    }
    case GATHER: {
        rp_gather op = {"check", RP_COUNT_TOKENS, RP_PANEL, any, any, any, one->halves};
        return rp_op_gather(to, &op, err);
    }
    default: {
        rp_pool op = {RP_PANEL, false, any, any, any, one->halves};
        return rp_op_pool(to, &op, err);
    }
    }
}

static rp_status compile(rp_device *device, const job *one, rp_check_result *result, rp_error *err) {
    rp_timer timer = {0};
    rp_buffer dummy = {0};
    rp_status status;
    RP_TRY(rp_timer_open(&timer, device, err));
    timer.ops.verifying = true;
    RP_TRY(rp_buffer_create(device, DUMMY_BYTES, RP_MEMORY_DEVICE, "check", &dummy, err));
    RP_TRY(rp_timer_begin(&timer, err));
    status =
        record((rp_op_target){&timer.ops, timer.commands}, one, rp_buffer_range(&dummy, 0, DUMMY_BYTES), err);
    if (rp_refused(&timer.ops, status)) {
        result->verdict = RP_CHECK_REFUSED;
        status = RP_OK;
    } else if (!status) {
        bool spills = rp_pipeline_statistics(device, timer.ops.pipelines.pipelines[0], result->statistics,
                                             sizeof result->statistics);
        if (spills) result->verdict = RP_CHECK_SPILLS;
    }
done:
    rp_timer_close(&timer);
    rp_buffer_destroy(device, &dummy);
    return status;
}

/* The device is entered. */
static rp_status try_one(check *c, job *one, rp_error *err) {
    rp_check_result *result = &one->result;
    rp_verdict verdict = {0};
    if (c->params.compile_only) return compile(c->device, one, result, err);
    rp_ops ops = {0};
    rp_ops_init(&ops, c->device, (rp_range){0}, (rp_range){0});
    rp_status status = verify(&ops, one, &verdict, err);
    bool refused = rp_refused(&ops, status);
    rp_ops_finish(&ops);
    if (refused) {
        result->verdict = RP_CHECK_REFUSED;
        return RP_OK;
    }
    if (status) return status;
    result->error = verdict.error;
    result->bound = verdict.bound;
    if (!rp_verdict_right(&verdict)) result->verdict = RP_CHECK_WRONG;
    return RP_OK;
}

/* ---- notes of what is being tried, for the process that comes after this one ---- */

static bool same_kernel(const job *a, const job *b) {
    return !strcmp(a->result.op, b->result.op) && !strcmp(a->result.kernel, b->result.kernel);
}

/* Several may have been tried when a process ended, and one of them may have ended it: all are tried again
 * before the rest, one after the other, so that the note of the guilty alone is raised. */
static void find_suspects(check *c) {
    for (size_t i = 0; i < c->count; i++) {
        job *one = &c->jobs[i], *before = i ? one - 1 : NULL;
        one->suspect = before && same_kernel(before, one)
                           ? before->suspect
                           : rp_trial_is_suspect(c->device, one->result.op, one->result.kernel);
    }
}

/* Every other try of this kernel has ended: only this thread writes to them, as long as it has one of them.
 */
static bool is_last_try(const check *c, const job *one) {
    for (size_t i = 0; i < c->count; i++)
        if (&c->jobs[i] != one && !c->jobs[i].done && same_kernel(&c->jobs[i], one)) return false;
    return true;
}

/* The note of a kernel is wiped when it was run in all the ways there are. A loss of the device is not noted:
 * with several threads nobody knows whose it is. */
static rp_status try_noted(check *c, job *one, rp_error *err) {
    rp_trial trial;
    if (!rp_trial_begin_check(&trial, c->device, one->result.op, one->result.kernel)) {
        one->result.verdict = RP_CHECK_ENDS;
        return RP_OK;
    }
    rp_status status = try_one(c, one, err);
    rp_trial_end(&trial, RP_OK, !status && !c->params.compile_only && is_last_try(c, one));
    return status;
}

/* ---- the threads ---- */

/* A note is of a kernel, and the threads would wipe each other's. The lock is held here and in the next
 * three.
 */
static bool kernel_taken(const check *c, const job *one) {
    for (size_t i = c->delivered; i < c->count; i++)
        if (c->jobs[i].taken && same_kernel(&c->jobs[i], one)) return true;
    return false;
}

/* The next that no thread has taken; NULL: there is none that another thread does not come to. */
static job *take_job(check *c) {
    for (size_t i = c->delivered; i < c->count; i++) {
        job *one = &c->jobs[i];
        if (one->taken || one->done || (c->alone && !one->losses && !one->suspect)) continue;
        if (kernel_taken(c, one)) continue;
        one->taken = true;
        return one;
    }
    return NULL;
}

/* Which of those that were tried at that moment loses the device, if any does, only a try on its own tells.
 * Whoever loses it then too is not tried in other ways either. */
static void note_loss(check *c, job *one) {
    c->lost = true;
    if (++one->losses < 2) return;
    for (size_t i = 0; i < c->count; i++) {
        job *other = &c->jobs[i];
        if (!same_kernel(other, one) || other->done) continue;
        other->result.verdict = RP_CHECK_LOSES;
        other->done = true;
    }
}

/* `tried`: the device could be entered. */
static void note_end(check *c, job *one, bool tried, rp_status status, const rp_error *err) {
    one->taken = false;
    if (tried && status == RP_ERROR_DEVICE_LOST) {
        note_loss(c, one);
        return;
    }
    one->done = true;
    if (status && !c->status) {
        c->status = status;
        c->error = *err;
    }
}

/* The device is entered for each, and for nothing else: whoever wants to open it again waits for no more. */
static void *work(void *user) {
    check *c = user;
    pthread_mutex_lock(&c->lock);
    for (job *one; !c->status && !c->lost && (one = take_job(c));) {
        rp_error err = {0};
        pthread_mutex_unlock(&c->lock);
        rp_status status = rp_device_enter(c->device, &err);
        bool entered = !status;
        if (entered) status = rp_device_leave(c->device, try_noted(c, one, &err));
        pthread_mutex_lock(&c->lock);
        note_end(c, one, entered, status, &err);
        if (!c->status) c->status = rp_device_check_stopped(c->device, &c->error);
        pthread_cond_signal(&c->changed);
    }
    c->running--;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Give results in order, as they come; the lock is held but not while `each` runs. */
static void deliver(check *c, rp_check_fn each, void *user) {
    pthread_mutex_lock(&c->lock);
    for (; c->delivered < c->count; c->delivered++) {
        const job *one = &c->jobs[c->delivered];
        while (!one->done && !c->status && c->running) pthread_cond_wait(&c->changed, &c->lock);
        if (!one->done || c->status) break;
        pthread_mutex_unlock(&c->lock);
        c->failed += one->result.verdict != RP_CHECK_RIGHT;
        if (each) each(user, &one->result);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

/* Until everything is tried or the device is lost. */
static rp_status run_round(check *c, rp_check_fn each, void *user, rp_error *err) {
    pthread_t threads[MOST_THREADS];
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t wanted = c->params.threads ? c->params.threads : processors > 0 ? (uint32_t)processors : 1;
    uint32_t started = 0;
    if (wanted > MOST_THREADS) wanted = MOST_THREADS;
    if (c->alone) wanted = 1;
    pthread_mutex_lock(&c->lock);
    while (started < wanted && !pthread_create(&threads[started], NULL, work, c)) started++;
    c->running = started;
    pthread_mutex_unlock(&c->lock);
    if (!started) return rp_fail(err, RP_ERROR_HOST_MEMORY, "a thread that checks kernels cannot be started");
    deliver(c, each, user);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (c->status && err) *err = c->error;
    return c->status;
}

/* In rounds, each of which a loss of the device ends: the next one opens it again. */
static rp_status run(check *c, rp_check_fn each, void *user, rp_error *err) {
    rp_status status = RP_OK;
    while (!status && c->delivered < c->count) {
        c->alone = false;
        for (size_t i = c->delivered; i < c->count; i++)
            c->alone = c->alone || ((c->jobs[i].losses || c->jobs[i].suspect) && !c->jobs[i].done);
        c->lost = false;
        status = run_round(c, each, user, err);
    }
    return status;
}

rp_status rp_check_kernels(rp_device *device, const rp_check_params *params, rp_check_fn each, void *user,
                           uint32_t *failed, rp_error *err) {
    if (failed) *failed = 0;
    if (!device) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_check_kernels: device must not be NULL");
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, RP_COUNT(params->reserved),
                                         "rp_check_kernels", err);
    if (!status) status = rp_device_check_owner(device, err);
    if (!status) status = rp_device_check_stopped(device, err);
    if (status) return status;
    check c = {.device = device};
    if (params) c.params = *params;
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.changed, NULL);
    status = add_all(&c, err);
    if (!status) find_suspects(&c);
    if (!status) status = run(&c, each, user, err);
    if (failed) *failed = c.failed;
    pthread_cond_destroy(&c.changed);
    pthread_mutex_destroy(&c.lock);
    free(c.jobs);
    return status;
}
