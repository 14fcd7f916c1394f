/* Every kernel that may run on a device, tried or compiled by several threads. */
#include "base/os.h"
#include "reprise/check.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "loader/config.h"
#include "ops/attempts.h"
#include "ops/class.h"

enum { MOST_THREADS = 16 };

/* ---- what is to be checked ---- */

/* A kernel in one of its uses. */
typedef struct job {
    const rp_class *class;
    rp_kernel kernel;
    rp_use use;
    bool taken;   /* a thread runs this kernel in all its uses: the attempt log has one note of a kernel */
    bool done;    /* `result` is final */
    bool suspect; /* an earlier process ended while it ran this kernel and others: this one may have ended it
                   */
    uint32_t losses; /* of the device, while this ran */
    rp_check_result result;
} job;

typedef struct check {
    rp_device *device;
    rp_check_params params;
    job *jobs; /* the kernels of each use of each class */
    size_t count, capacity, delivered;
    uint32_t failed;      /* of those that were delivered */
    pthread_mutex_t lock; /* of what follows, of `delivered`, and of what the jobs have come to */
    pthread_cond_t changed;
    bool alone; /* one thread runs those that were running when the device was lost or a process ended */
    bool lost;  /* the device was lost: every thread ends */
    uint32_t running; /* threads */
    rp_status status;
    rp_error error; /* of the first job that could not be run */
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
    one->suspect = rp_attempt_is_suspect(c->device, class->name, kernel->name);
    return RP_OK;
}

/* Of the kernels with its shader, the one with the smallest tiles. */
static bool is_smallest(const rp_kernel *kernels, uint32_t count, uint32_t i) {
    for (uint32_t k = 0; k < count; k++)
        if (!strcmp(kernels[k].key.shader, kernels[i].key.shader) &&
            rp_kernel_tile(&kernels[k]) < rp_kernel_tile(&kernels[i]))
            return false;
    return true;
}

/* The kernels of the plan of a use for small weights, and where the device has room for weights that no texel
 * buffer covers, of the plan for these. A software driver takes seconds to compile a large tile: in a use
 * that is not of RP_RANK_ALL the check leaves such kernels out there. */
static rp_status add_use(check *c, const rp_class *class, const rp_use *use, rp_use_rank rank,
                         rp_error *err) {
    enum { QUICK = 128 };
    const rp_caps *caps = &c->device->caps;
    bool cpu = caps->info.type == RP_DEVICE_CPU;
    rp_kernel kernels[2 * RP_MAX_KERNELS], more[RP_MAX_KERNELS];
    rp_use large = *use;
    rp_status status = RP_OK;
    uint32_t count = class->plan(caps, use, kernels), planned = count, beyond = 0;
    large.texels = UINT64_MAX;
    if (caps->max_texels < caps->info.max_storage_bytes / 8) beyond = class->plan(caps, &large, more);
    for (uint32_t i = 0, n; i < beyond; i++) {
        for (n = 0; n < planned && strcmp(kernels[n].name, more[i].name);) n++;
        if (n == planned) kernels[count++] = more[i];
    }
    for (uint32_t i = 0; !status && i < count; i++) {
        bool small = is_smallest(kernels, count, i) && !(cpu && rp_kernel_tile(&kernels[i]) > QUICK);
        if (rank == RP_RANK_ALL || small || (rank == RP_RANK_QUICK && !cpu))
            status = add(c, class, &kernels[i], use, err);
    }
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
    for (uint32_t i = 0; i < rp_class_count; i++) {
        rp_use use;
        rp_use_rank rank;
        for (uint32_t n = 0; (rank = rp_classes[i]->use(&scope, n, &use)); n++)
            if (rank != RP_RANK_SKIP) RP_TRY(add_use(c, rp_classes[i], &use, rank, err));
    }
done:
    return status;
}

/* ---- running one ---- */

/* Have the driver compile it, or prove it, between a note in the attempt log and the note's end. The device
 * is entered. `last`: the kernel has run in all other uses, so its note is wiped. A loss of the device is not
 * noted: with several threads nobody knows whose it is. */
static rp_status run_one(check *c, job *one, bool last, rp_error *err) {
    rp_check_result *result = &one->result;
    rp_difference found;
    const rp_pipeline *pipeline;
    rp_status status;
    rp_ops ops = {0};
    rp_attempt noted;
    if (!rp_attempt_begin_check(&noted, c->device, &(rp_attempted){one->class, result->kernel, &one->use})) {
        result->verdict = RP_CHECK_ENDS;
        return RP_OK;
    }
    rp_ops_init(&ops, c->device, (rp_range){0}, (rp_range){0});
    if (c->params.compile_only) {
        ops.pipelines->statistics = c->device->caps.has_statistics;
        RP_TRY(rp_pipeline_get(ops.pipelines, &one->kernel.key, &pipeline, err));
        if (rp_pipeline_statistics(c->device, pipeline, result->statistics, sizeof result->statistics))
            result->verdict = RP_CHECK_SPILLS;
    } else {
        RP_TRY(rp_prove(&ops, one->class, &one->kernel, &one->use, &found, err));
        result->error = found.error;
        result->bound = found.bound;
        if (!rp_difference_allowed(&found)) result->verdict = RP_CHECK_WRONG;
    }
done:
    if (rp_pipelines_refused(ops.pipelines, status)) {
        result->verdict = RP_CHECK_REFUSED;
        status = RP_OK;
    }
    rp_ops_finish(&ops);
    rp_attempt_end(&noted, RP_OK, !status && !c->params.compile_only && last);
    return status;
}

/* ---- the threads: whoever calls these holds the lock ---- */

/* Of the jobs from `one` on the first with this kernel that has no result; NULL: none. */
static job *next_use(const check *c, job *one, const job *like) {
    for (; one < c->jobs + c->count; one++)
        if (!one->done && one->class == like->class && !strcmp(one->result.kernel, like->result.kernel))
            return one;
    return NULL;
}

/* Take the next kernel that no thread has; returns its first use. */
static job *take_kernel(check *c) {
    for (job *one = c->jobs + c->delivered; one < c->jobs + c->count; one++) {
        if (one->taken || one->done || (c->alone && !one->losses && !one->suspect)) continue;
        for (job *use = c->jobs; (use = next_use(c, use, one)); use++) use->taken = true;
        return next_use(c, c->jobs, one);
    }
    return NULL;
}

/* Several kernels were running when the device was lost: which of them loses it, running each alone tells.
 * The one that loses it then too is not run in its other uses. */
static void note_loss(check *c, job *one) {
    c->lost = true;
    if (++one->losses < 2) return;
    for (job *use = c->jobs; (use = next_use(c, use, one)); use->done = true)
        use->result.verdict = RP_CHECK_LOSES;
}

/* Run a job, without the lock. This thread enters the device for each anew: another one that wants to open a
 * lost device again waits for no more than a job. */
static void run_job(check *c, job *one, bool last) {
    rp_error err = {0};
    pthread_mutex_unlock(&c->lock);
    rp_status status = rp_device_enter(c->device, &err);
    bool entered = !status;
    if (entered) status = rp_device_leave(c->device, run_one(c, one, last, &err));
    pthread_mutex_lock(&c->lock);
    bool lost = entered && status == RP_ERROR_DEVICE_LOST;
    one->done = !lost;
    if (lost) note_loss(c, one);
    if (lost || !status) status = rp_device_check_stopped(c->device, &err);
    if (status && !c->status) {
        c->status = status;
        c->error = err;
    }
    pthread_cond_signal(&c->changed);
}

static void *work(void *user) {
    check *c = user;
    pthread_mutex_lock(&c->lock);
    for (job *one, *next; !c->status && !c->lost && (one = take_kernel(c));)
        for (; one && !c->status && !c->lost; one = next) {
            next = next_use(c, one + 1, one);
            run_job(c, one, !next);
        }
    c->running--;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Until every job is done or the device is lost. Gives the caller the results in order, as they come, and
 * without the lock. */
static rp_status run_round(check *c, rp_check_fn each, void *user, rp_error *err) {
    pthread_t threads[MOST_THREADS];
    long processors = rp_os_processors();
    uint32_t wanted = c->params.threads ? c->params.threads : processors > 0 ? (uint32_t)processors : 1;
    uint32_t started = 0;
    c->alone = c->lost = false;
    for (size_t i = 0; i < c->count; i++) {
        c->jobs[i].taken = false;
        c->alone |= (c->jobs[i].losses || c->jobs[i].suspect) && !c->jobs[i].done;
    }
    if (wanted > MOST_THREADS) wanted = MOST_THREADS;
    if (c->alone) wanted = 1;
    pthread_mutex_lock(&c->lock);
    while (started < wanted && !pthread_create(&threads[started], NULL, work, c)) started++;
    c->running = started;
    if (!started) rp_fail(&c->error, RP_ERROR_HOST_MEMORY, "a thread that checks kernels cannot be started");
    if (!started) c->status = RP_ERROR_HOST_MEMORY;
    while (!c->status && c->delivered < c->count) {
        const job *one = &c->jobs[c->delivered];
        if (!one->done && !c->running) break;
        if (!one->done) {
            pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        pthread_mutex_unlock(&c->lock);
        c->failed += one->result.verdict != RP_CHECK_RIGHT;
        if (each) each(user, &one->result);
        pthread_mutex_lock(&c->lock);
        c->delivered++;
    }
    pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (c->status && err) *err = c->error;
    return c->status;
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
    while (!status && c.delivered < c.count) status = run_round(&c, each, user, err);
    if (failed) *failed = c.failed;
    pthread_cond_destroy(&c.changed);
    pthread_mutex_destroy(&c.lock);
    free(c.jobs);
    rp_visit_leave(&visit);
    return status;
}
