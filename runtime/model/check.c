/* Every kernel that may run on a device, tried or compiled by several threads. */
#include "reprise/check.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "loader/config.h"
#include "ops/attempts.h"
#include "ops/class.h"

enum { MOST_THREADS = 16 };

/* ---- what is to be tried ---- */

typedef struct job {
    const rp_class *class;
    rp_kernel kernel;
    rp_use use;
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

static rp_status add(check *c, const rp_class *class, const rp_kernel *kernel, const rp_use *use,
                     rp_error *err) {
    if (c->params.only && !strstr(kernel->name, c->params.only)) return RP_OK;
    if (!rp_grow((void **)&c->jobs, &c->capacity, c->count + 1, sizeof *c->jobs))
        return rp_fail_memory(err, "the list of kernels", (c->count + 1) * sizeof *c->jobs);
    job *one = &c->jobs[c->count++];
    *one = (job){.class = class, .kernel = *kernel, .use = *use, .result.op = class->name};
    memcpy(one->result.kernel, kernel->name, RP_KERNEL_NAME);
    rp_use_text(class, use, one->result.use);
    return RP_OK;
}

/* The plan for small buffers, and for those that no texel buffer covers where there can be any. */
static uint32_t plan(const rp_caps *caps, const rp_class *class, const rp_use *use,
                     rp_kernel out[2 * RP_MAX_KERNELS]) {
    rp_kernel more[RP_MAX_KERNELS];
    rp_use large = *use;
    uint32_t count = class->plan(caps, use, out), all = count, beyond = 0;
    large.texels = UINT64_MAX;
    if (caps->max_texels < caps->info.max_storage_bytes / 8) beyond = class->plan(caps, &large, more);
    for (uint32_t i = 0; i < beyond; i++) {
        uint32_t known = 0;
        while (known < count && strcmp(out[known].name, more[i].name)) known++;
        if (known == count) out[all++] = more[i];
    }
    return all;
}

/* Of the kernels of its shader, the one with the smallest tiles. */
static bool is_smallest(const rp_kernel *kernels, uint32_t count, uint32_t i) {
    for (uint32_t k = 0; k < count; k++)
        if (!strcmp(kernels[k].key.shader, kernels[i].key.shader) &&
            rp_kernel_tile(&kernels[k]) < rp_kernel_tile(&kernels[i]))
            return false;
    return true;
}

/* A software driver takes seconds to compile a large tile: only where they are small indeed are the smallest
 * of a shader tried in every use there. */
static bool is_due(const rp_caps *caps, rp_rank rank, const rp_kernel *kernels, uint32_t count, uint32_t i) {
    enum { QUICK = 128 };
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    bool small = is_smallest(kernels, count, i) && !(cpu && rp_kernel_tile(&kernels[i]) > QUICK);
    return rank == RP_RANK_ALL || small || (rank == RP_RANK_QUICK && !cpu);
}

static rp_status add_class(check *c, const rp_class *class, const rp_scope *scope, rp_error *err) {
    rp_status status = RP_OK;
    rp_kernel kernels[2 * RP_MAX_KERNELS];
    rp_use use;
    rp_rank rank;
    for (uint32_t n = 0; (rank = class->use(scope, n, &use)); n++) {
        if (rank == RP_RANK_SKIP) continue;
        uint32_t count = plan(scope->caps, class, &use, kernels);
        for (uint32_t i = 0; i < count; i++)
            if (is_due(scope->caps, rank, kernels, count, i)) RP_TRY(add(c, class, &kernels[i], &use, err));
    }
done:
    return status;
}

static rp_status add_all(check *c, rp_error *err) {
    rp_scope scope = {
        .caps = &c->device->caps, .activation = RP_OP_GELU_TANH, .compile_only = c->params.compile_only};
    rp_status status = RP_OK;
    if (c->params.config) {
        rp_config config;
        RP_TRY(rp_config_preset(c->params.config, &config, err));
        scope.head_dim = config.hidden_size / config.attention_heads;
        if (config.activation == RP_ACTIVATION_GELU) scope.activation = RP_OP_GELU;
        rp_config_finish(&config);
    }
    for (uint32_t i = 0; i < rp_class_count; i++) RP_TRY(add_class(c, rp_classes[i], &scope, err));
done:
    return status;
}

/* ---- running one ---- */

/* Make its pipeline, and ask the driver about it. */
static rp_status compile(rp_ops *ops, const job *one, rp_check_result *result, rp_error *err) {
    const rp_pipeline *pipeline;
    ops->pipelines->statistics = ops->device->caps.has_statistics;
    rp_status status = rp_pipeline_get(ops->pipelines, &one->kernel.key, &pipeline, err);
    if (!status &&
        rp_pipeline_statistics(ops->device, pipeline, result->statistics, sizeof result->statistics))
        result->verdict = RP_CHECK_SPILLS;
    return status;
}

static rp_status verify(rp_ops *ops, const job *one, rp_check_result *result, rp_error *err) {
    rp_difference verdict;
    rp_status status = rp_prove(ops, one->class, &one->kernel, &one->use, &verdict, err);
    if (status) return status;
    result->error = verdict.error;
    result->bound = verdict.bound;
    if (!rp_difference_allowed(&verdict)) result->verdict = RP_CHECK_WRONG;
    return RP_OK;
}

/* The device is entered. */
static rp_status try_one(check *c, job *one, rp_error *err) {
    rp_ops ops = {0};
    rp_ops_init(&ops, c->device, (rp_range){0}, (rp_range){0});
    rp_status status = (c->params.compile_only ? compile : verify)(&ops, one, &one->result, err);
    if (rp_pipelines_refused(ops.pipelines, status)) {
        one->result.verdict = RP_CHECK_REFUSED;
        status = RP_OK;
    }
    rp_ops_finish(&ops);
    return status;
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
                           : rp_attempt_is_suspect(c->device, one->result.op, one->result.kernel);
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
    rp_attempt trial;
    if (!rp_attempt_begin_check(&trial, c->device,
                                &(rp_attempted){one->result.op, one->result.kernel, &one->use})) {
        one->result.verdict = RP_CHECK_ENDS;
        return RP_OK;
    }
    rp_status status = try_one(c, one, err);
    rp_attempt_end(&trial, RP_OK, !status && !c->params.compile_only && is_last_try(c, one));
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
    rp_visit visit;
    rp_status status = rp_check_reserved(params ? params->reserved : NULL, RP_COUNT(params->reserved),
                                         "rp_check_kernels", err);
    if (!status) status = rp_device_check_owner(device, err);
    if (!status) status = rp_device_check_stopped(device, err);
    if (!status) status = rp_visit_enter(&visit, &device->gate, NULL, "rp_check_kernels", err);
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
    rp_visit_leave(&visit);
    return status;
}
