#include "tools/serve/loading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/serve/run.h"

typedef struct opened {
    rp_model *model;
    rp_queue *queue;
    rp_moderation *moderation;
} opened;

rp_status rp_serve_load(rp_server *s, rp_served *m, rp_error *err) {
    const rp_model_params params = {.precision = s->precision,
                                    .max_batch_tokens = s->options->max_batch_tokens};
    const rp_queue_params queue = {.capacity = s->options->max_concurrent, .policy = s->options->policy};
    const rp_moderation_params moderation = {.policy = s->policy};
    rp_status status = rp_model_open(s->device, m->dir, &params, &m->model, err);
    if (!status && m->serves[RP_SERVE_MODERATE])
        status = rp_moderation_open(m->model, &moderation, &m->moderation, err);
    if (!status) status = rp_queue_open(m->model, &queue, &m->queue, err);
    m->used = rp_clock();
    m->loads++;
    if (status) rp_serve_unload(m);
    return status;
}

void rp_serve_unload(rp_served *m) {
    rp_queue_close(&m->queue);
    rp_moderation_close(&m->moderation);
    rp_model_close(&m->model);
}

static void add_counts(rp_queue_counts *sum, const rp_queue_counts *more) {
    sum->requests += more->requests;
    sum->refused += more->refused;
    sum->texts += more->texts;
    sum->tokens += more->tokens;
    sum->ticks += more->ticks;
    sum->layers += more->layers;
    sum->layer_tokens += more->layer_tokens;
    sum->joins += more->joins;
    sum->repeats += more->repeats;
    sum->device_seconds += more->device_seconds;
}

void rp_serve_counts(rp_served *m, rp_queue_counts *out) {
    *out = (rp_queue_counts){0};
    pthread_mutex_lock(&m->lock);
    if (m->queue) rp_queue_count(m->queue, out);
    add_counts(out, &m->before);
    pthread_mutex_unlock(&m->lock);
}

/* ---- asking ---- */

/* The processor time of this thread: while the device works it waits, so between two moments of a call it is
 * what tokenizing and the rest of the host's work took. */
static double thread_seconds(void) {
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) ? 0 : (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* On a thread of the queue. A lost device is opened again by the next call: so a request is made once more.
 */
static rp_status make_call(void *user, rp_model *model, rp_result **out, rp_error *err) {
    rp_serve_request *r = user;
    double worked = thread_seconds();
    r->started = rp_clock();
    rp_status status = r->route->run(r, model, out, err);
    if (status == RP_ERROR_DEVICE_LOST) {
        pthread_mutex_lock(&r->model->lock);
        r->model->sick = true;
        pthread_mutex_unlock(&r->model->lock);
        free(r->raw);
        r->raw = NULL;
        r->tokens = 0;
        status = r->route->run(r, model, out, err);
    }
    r->tokenized = thread_seconds() - worked;
    return status;
}

/* The lock is held, and the model open. */
static rp_status ask_queue(rp_serve_request *r, rp_error *err) {
    const rp_request request = {.asked = RP_ASKED_CALL, .run = make_call, .done = r->server->done, .user = r};
    return rp_queue_ask(r->model->queue, &request, NULL, err);
}

typedef struct load {
    rp_server *server;
    rp_served *model;
} load;

/* A thread that opens a model, and then asks it what came meanwhile. */
static void *load_model(void *user) {
    load job = *(load *)user;
    rp_served *m = job.model, fresh = {.dir = m->dir};
    rp_error err = {0};
    free(user);
    memcpy(fresh.serves, m->serves, sizeof fresh.serves);
    rp_status status = rp_serve_load(job.server, &fresh, &err);
    pthread_mutex_lock(&m->lock);
    m->model = fresh.model;
    m->queue = fresh.queue;
    m->moderation = fresh.moderation;
    m->loading = false;
    m->loads++;
    rp_serve_request *held = m->held, *refused = NULL;
    m->held = NULL;
    while (held) {
        rp_serve_request *r = held;
        held = r->next;
        if (!status && !ask_queue(r, &err)) continue;
        r->next = refused;
        refused = r;
    }
    pthread_mutex_unlock(&m->lock);
    while (refused) {
        rp_serve_request *r = refused;
        refused = r->next;
        job.server->done(r, err.status, NULL, &err);
    }
    atomic_fetch_sub(&job.server->loaders, 1);
    return NULL;
}

/* The lock is held. */
static bool begin_loading(rp_server *s, rp_served *m) {
    pthread_t thread;
    load *job = malloc(sizeof *job);
    if (!job) return false;
    *job = (load){s, m};
    atomic_fetch_add(&s->loaders, 1);
    if (pthread_create(&thread, NULL, load_model, job)) {
        atomic_fetch_sub(&s->loaders, 1);
        free(job);
        return false;
    }
    pthread_detach(thread);
    m->loading = true;
    return true;
}

bool rp_serve_hand_in(rp_serve_request *r, rp_trouble *problem) {
    rp_served *m = r->model;
    rp_error err = {RP_ERROR_HOST_MEMORY, "out of memory; try again later"};
    rp_status status = RP_OK;
    pthread_mutex_lock(&m->lock);
    m->users++;
    r->queued = m->used = rp_clock();
    if (m->queue) {
        status = ask_queue(r, &err);
    } else if (m->loading || begin_loading(r->server, m)) {
        r->next = m->held;
        m->held = r;
    } else {
        status = err.status;
    }
    if (status) m->users--;
    pthread_mutex_unlock(&m->lock);
    return !status || rp_trouble_of(problem, status, err.message);
}

void rp_serve_left(rp_served *m, rp_status status) {
    pthread_mutex_lock(&m->lock);
    m->users--;
    m->used = rp_clock();
    if (!status)
        m->sick = false;
    else if (status == RP_ERROR_DEVICE_LOST || status == RP_ERROR_DEVICE)
        m->sick = true;
    pthread_mutex_unlock(&m->lock);
}

/* ---- tending ---- */

/* One token through the layers. */
static rp_status probe(void *user, rp_model *model, rp_result **out, rp_error *err) {
    const rp_text text = RP_TEXT("a");
    (void)user;
    return rp_embed(model, &text, 1, NULL, out, err);
}

static void probed(void *user, rp_status status, rp_result *result, const rp_error *err) {
    rp_served *m = user;
    (void)err;
    rp_result_free(&result);
    pthread_mutex_lock(&m->lock);
    m->probing = false;
    m->sick = status && m->sick;
    pthread_mutex_unlock(&m->lock);
}

static void tend(rp_server *s, rp_served *m) {
    const rp_request request = {.asked = RP_ASKED_CALL, .run = probe, .done = probed, .user = m};
    opened old = {0};
    pthread_mutex_lock(&m->lock);
    if (m->sick && m->queue && !m->probing && !m->users)
        m->probing = !rp_queue_ask(m->queue, &request, NULL, NULL);
    if (m->sick && !m->queue && !m->loading && !m->users && !s->draining)
        begin_loading(s, m); /* it failed the last time: who asks for /health only sends no request */
    bool idle =
        s->options->idle && m->queue && !m->users && !m->probing && rp_clock() - m->used >= s->options->idle;
    if (idle) {
        rp_queue_counts counts;
        old = (opened){m->model, m->queue, m->moderation};
        rp_queue_count(m->queue, &counts);
        add_counts(&m->before, &counts);
        m->model = NULL;
        m->queue = NULL;
        m->moderation = NULL;
    }
    pthread_mutex_unlock(&m->lock);
    rp_queue_close(&old.queue);
    rp_moderation_close(&old.moderation);
    rp_model_close(&old.model);
}

void rp_serve_tend_models(rp_server *s) {
    for (size_t i = 0; i < s->model_count; i++) tend(s, &s->models[i]);
}
