/* A queue: a bounded list of requests, and threads that make their calls. That the texts of these calls go
 * through the layers together is the work of the scheduler (model/depth.h), so a thread that waits for its
 * texts costs little more than its stack. */
#include "reprise/queue.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/os.h"
#include "model/depth.h"

enum {
    CAPACITY = 512,
    MOST_CAPACITY = 1 << 16,
    STACK = 1 << 20, /* bytes of a thread, of which the system gives what is used */
};

struct rp_ticket {
    rp_queue *queue;
    rp_ticket *next;
    rp_request request;
    rp_status status;
    rp_result *result;
    rp_error err;
    bool answered;
};

/* A thread of a queue, where it is one of the two. */
typedef struct worker {
    rp_queue *queue;
    pthread_t thread;
    bool works, ended;
} worker;

struct rp_queue {
    rp_model *model;
    uint32_t capacity;
    pthread_mutex_t lock;     /* of what follows */
    pthread_cond_t came;      /* a request, or the end */
    pthread_cond_t answered;  /* a request that somebody waits for, or the last one; a thread has ended */
    rp_ticket *first, **end;  /* that no thread has begun */
    uint32_t waiting, inside; /* of these; and with those that threads have begun */
    worker *workers;          /* [capacity] */
    uint32_t working, idle;   /* of them; and of these, those that have nothing to do */
    bool closing, stopping;
    uint64_t requests, refused;
};

/* The queue whose thread this is. */
static _Thread_local const rp_queue *mine;

/* ---- answering ---- */

static rp_status answer(rp_model *m, const rp_request *r, rp_result **out, rp_error *err) {
    switch (r->asked) {
    case RP_ASKED_RUN:
        return rp_model_run(m, r->inputs, r->count, r->params, r->out, r->capacity, NULL, err);
    case RP_ASKED_CLASSIFY:
        return rp_classify(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_ZERO_SHOT:
        return rp_zero_shot(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_FILL_MASK:
        return rp_fill_mask(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_TAG:
        return rp_tag(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_ANSWER:
        return rp_answer_questions(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_EMBED:
        return rp_embed(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_COHERENCE:
        return rp_coherence(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_CHOOSE:
        return rp_choose(m, r->inputs, r->count, r->params, out, err);
    case RP_ASKED_CALL:
        return r->run(r->user, m, out, err);
    }
    return RP_ERROR_ARGUMENT; /* rp_queue_ask has seen to it */
}

/* The lock is held, and let go while the request is answered. A ticket that nobody waits for is freed. */
static void serve_one(rp_queue *queue) {
    rp_ticket *t = queue->first;
    queue->first = t->next;
    if (!queue->first) queue->end = &queue->first;
    queue->waiting--;
    pthread_mutex_unlock(&queue->lock);
    const rp_request request = t->request; /* whoever waits may free the ticket as soon as it is answered */
    t->status = answer(queue->model, &request, &t->result, &t->err);
    if (!t->status) t->err.message[0] = '\0';
    t->err.status = t->status;
    pthread_mutex_lock(&queue->lock);
    queue->inside--;
    t->answered = true;
    pthread_cond_broadcast(&queue->answered);
    if (!request.done) return;
    pthread_mutex_unlock(&queue->lock);
    request.done(request.user, t->status, t->result, &t->err);
    free(t);
    pthread_mutex_lock(&queue->lock);
}

/* Until nothing has come for a while: a queue that nobody asks keeps no thread. */
static void *serve(void *user) {
    worker *w = user;
    rp_queue *queue = w->queue;
    double end = rp_seconds() + RP_IDLE_SECONDS, left;
    mine = queue;
    pthread_mutex_lock(&queue->lock);
    while (left = end - rp_seconds(), queue->first || (left > 0 && !queue->stopping)) {
        if (queue->first) {
            serve_one(queue);
            end = rp_seconds() + RP_IDLE_SECONDS;
            continue;
        }
        queue->idle++;
        rp_os_condition_wait(&queue->came, &queue->lock, left);
        queue->idle--;
    }
    queue->working--;
    w->works = false;
    w->ended = true;
    if (queue->stopping) pthread_cond_broadcast(&queue->answered);
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

/* ---- asking ---- */

static rp_status check_request(const rp_queue *queue, const rp_request *r, rp_ticket **ticket,
                               rp_error *err) {
    if (!queue || !r)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_ask: queue and request must not be NULL");
    if ((unsigned)r->asked > RP_ASKED_CALL)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_ask: asked %d is not one of rp_asked",
                       (int)r->asked);
    if (r->asked == RP_ASKED_CALL && !r->run)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_ask: RP_ASKED_CALL needs a function `run`");
    if (!r->done && !ticket)
        return rp_fail(
            err, RP_ERROR_ARGUMENT,
            "rp_queue_ask: give a callback `done` or room for a ticket: else nobody gets the answer");
    return rp_check_reserved(r->reserved, RP_COUNT(r->reserved), "rp_queue_ask", err);
}

/* Another thread where all are at work. The lock is held. False: there is none at all. */
static bool have_thread(rp_queue *queue) {
    pthread_attr_t attributes;
    worker *w = queue->workers;
    if (queue->idle > queue->waiting || queue->working == queue->capacity) return true;
    if (pthread_attr_init(&attributes)) return queue->working;
    pthread_attr_setstacksize(&attributes, STACK);
    while (w->works) w++;
    if (w->ended) pthread_join(w->thread, NULL);
    w->ended = false;
    w->queue = queue;
    w->works = !pthread_create(&w->thread, &attributes, serve, w);
    queue->working += w->works;
    pthread_attr_destroy(&attributes);
    return queue->working;
}

rp_status rp_queue_ask(rp_queue *queue, const rp_request *request, rp_ticket **ticket, rp_error *err) {
    if (ticket) *ticket = NULL;
    rp_status status = check_request(queue, request, ticket, err);
    if (!status) status = rp_device_check_owner(queue->model->device, err);
    if (status) return status;
    rp_ticket *t = rp_new(rp_ticket);
    if (!t) return rp_fail_memory(err, "a request", sizeof *t);
    t->queue = queue;
    t->request = *request;
    pthread_mutex_lock(&queue->lock);
    if (queue->closing) {
        status = rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_ask: another thread is closing this queue");
    } else if (queue->inside >= queue->capacity) {
        queue->refused++;
        status =
            rp_fail(err, RP_ERROR_BUSY,
                    "the queue has %u requests, as many as it takes (rp_queue_params.capacity); try again "
                    "later",
                    queue->inside);
    } else if (!have_thread(queue)) {
        status = rp_fail(err, RP_ERROR_HOST_MEMORY, "the system has no thread for a request; close others");
    } else {
        *queue->end = t;
        queue->end = &t->next;
        queue->waiting++;
        queue->inside++;
        queue->requests++;
        if (!request->done) *ticket = t;
        pthread_cond_signal(&queue->came);
    }
    pthread_mutex_unlock(&queue->lock);
    if (status) free(t);
    return status;
}

rp_status rp_ticket_wait(rp_ticket **ticket, rp_result **result, rp_error *err) {
    if (result) *result = NULL;
    if (!ticket || !*ticket)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_ticket_wait: there is no ticket to wait for");
    rp_ticket *t = *ticket;
    rp_queue *queue = t->queue;
    if (mine == queue)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_ticket_wait: a callback cannot wait for its own queue");
    rp_status status = rp_device_check_owner(queue->model->device, err);
    if (status) return status;
    pthread_mutex_lock(&queue->lock);
    while (!t->answered) pthread_cond_wait(&queue->answered, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    *ticket = NULL;
    status = t->status;
    if (status && err) *err = t->err;
    if (result)
        *result = t->result;
    else
        rp_result_free(&t->result);
    free(t);
    return status;
}

void rp_queue_count(rp_queue *queue, rp_queue_counts *out) {
    *out = (rp_queue_counts){0};
    if (!queue || rp_device_forked(queue->model->device)) return;
    rp_depth_count(queue->model, out);
    pthread_mutex_lock(&queue->lock);
    out->requests = queue->requests;
    out->refused = queue->refused;
    out->inside = queue->inside;
    out->waiting = queue->waiting;
    pthread_mutex_unlock(&queue->lock);
}

/* ---- opening and closing ---- */

static rp_status check_params(rp_model *model, const rp_queue_params *p, rp_queue **out, rp_error *err) {
    if (!out) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_open: out must not be NULL");
    *out = NULL;
    if (!model) return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_open: model must not be NULL");
    if ((unsigned)p->policy > RP_POLICY_STATIC)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_open: policy %d is not one of rp_policy",
                       (int)p->policy);
    if (p->capacity > MOST_CAPACITY)
        return rp_fail(err, RP_ERROR_ARGUMENT, "rp_queue_open: capacity is %u, and at most %d is served",
                       p->capacity, MOST_CAPACITY);
    if (!(p->static_seconds >= 0 && p->static_seconds <= 60))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "rp_queue_open: static_seconds is %g, and a text may wait for 0 to 60 seconds",
                       p->static_seconds);
    return rp_check_reserved(p->reserved, RP_COUNT(p->reserved), "rp_queue_open", err);
}

static void destroy(rp_queue *queue) {
    pthread_cond_destroy(&queue->came);
    pthread_cond_destroy(&queue->answered);
    pthread_mutex_destroy(&queue->lock);
    free(queue->workers);
    free(queue);
}

rp_status rp_queue_open(rp_model *model, const rp_queue_params *params, rp_queue **out, rp_error *err) {
    static const rp_queue_params defaults = {0};
    rp_error unwanted;
    rp_visit visit;
    if (!err) err = &unwanted;
    if (!params) params = &defaults;
    rp_status status = check_params(model, params, out, err);
    if (status) return status;
    rp_queue *queue = rp_new(rp_queue);
    uint32_t capacity = params->capacity ? params->capacity : CAPACITY;
    worker *workers = rp_new_array(worker, capacity);
    if (!queue || !workers) {
        free(queue);
        free(workers);
        return rp_fail_memory(err, "a queue", capacity * sizeof *workers);
    }
    queue->model = model;
    queue->capacity = capacity;
    queue->workers = workers;
    queue->end = &queue->first;
    pthread_mutex_init(&queue->lock, NULL);
    rp_call_init_cond(&queue->came);
    pthread_cond_init(&queue->answered, NULL);
    status = rp_model_enter(model, &visit, NULL, "rp_queue_open", err);
    if (!status) {
        status = rp_depth_start(model, params, err);
        rp_visit_leave(&visit);
    }
    if (status)
        destroy(queue);
    else
        *out = queue;
    return status;
}

/* Whether closing the queue would wait for this thread: it calls from a callback. */
static bool waits_for_itself(const rp_queue *queue) {
    for (const rp_visit *visit = rp_visit_current(); visit; visit = visit->outer)
        if (visit->gate == &queue->model->gate) return true;
    return mine == queue;
}

rp_status rp_queue_close(rp_queue **pointer) {
    if (!pointer || !*pointer) return RP_OK;
    rp_queue *queue = *pointer;
    if (waits_for_itself(queue)) return RP_ERROR_ARGUMENT;
    *pointer = NULL;
    if (rp_device_forked(queue->model->device)) return RP_OK;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    while (queue->inside) pthread_cond_wait(&queue->answered, &queue->lock);
    queue->stopping = true;
    pthread_cond_broadcast(&queue->came);
    while (queue->working) pthread_cond_wait(&queue->answered, &queue->lock);
    pthread_mutex_unlock(&queue->lock);
    for (uint32_t i = 0; i < queue->capacity; i++)
        if (queue->workers[i].ended) pthread_join(queue->workers[i].thread, NULL);
    rp_depth_stop(queue->model);
    destroy(queue);
    return RP_OK;
}
