/* The calls that a thread is in. Each public call that may take long is a visit, which lies on the stack of
 * its thread; the innermost visit says when the call is to end and who is told how it goes. So whatever runs
 * on that thread can ask, and no function passes these things on.
 *
 * A visit goes through the gate of the model or the device that the call uses. Whoever closes it waits until
 * nobody is inside, and finds out whether his own thread is. */
#ifndef RP_BASE_CALL_H
#define RP_BASE_CALL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"
#include "reprise/call.h"

/* The gate of something that calls use and that can be closed. */
typedef struct rp_gate {
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t left;  /* the last one has left */
    size_t inside;        /* calls */
    bool closing;
} rp_gate;

void rp_gate_init(rp_gate *gate);
void rp_gate_finish(rp_gate *gate);

/* Let nobody in any more, and wait until nobody is inside. False, and nothing has changed, when this thread
 * is inside itself: it calls from a callback. */
bool rp_gate_close(rp_gate *gate);
void rp_gate_reopen(rp_gate *gate);

typedef struct rp_visit {
    struct rp_visit *outer;
    rp_gate *gate;        /* NULL: none */
    const rp_call *call;  /* NULL: the caller said nothing */
    size_t total;         /* inputs of the call */
    size_t told;          /* of them, that are done as the caller knows */
    const size_t *inputs; /* for each sequence of the run, the input it belongs to; NULL: its own number */
    size_t after;         /* inputs that are done after the run */
    bool whole; /* visits inside it with its gate and its call are parts of it: they tell no progress,
                   and are not stopped by a gate that is being closed */
} rp_visit;

/* Begin the visit of a call of `function` through `gate`, which may be NULL, as `call` may. Where it fails
 * there is nothing to leave: RP_ERROR_ARGUMENT when the gate is being closed or the call is wrong, and what
 * rp_call_check returns. */
rp_status rp_visit_enter(rp_visit *visit, rp_gate *gate, const rp_call *call, const char *function,
                         rp_error *err);
void rp_visit_leave(rp_visit *visit); /* end it */

/* The same for a callback on a thread of the library, which the gate does not count: whoever closes `gate`
 * waits for that thread anyway. */
void rp_visit_push(rp_visit *visit, rp_gate *gate);
void rp_visit_pop(rp_visit *visit);

/* The innermost visit of this thread; NULL: there is none. */
rp_visit *rp_visit_current(void);

/* RP_ERROR_CANCELLED or RP_ERROR_DEADLINE when the call that this thread is in is to end. */
rp_status rp_call_check(rp_error *err);

/* Wait for `changed`, of the monotonic clock (rp_call_init_cond), under `lock`: until it is signalled or,
 * when somebody may end the call of this thread, until it is time to ask rp_call_check again. */
void rp_call_wait(pthread_cond_t *changed, pthread_mutex_t *lock);
void rp_call_init_cond(pthread_cond_t *changed);

/* Tell the caller that `done` inputs are done, unless it knows. */
void rp_call_progress(size_t done);

/* The same after `done` of `count` sequences of a run, by visit->inputs and visit->after. */
void rp_call_run_progress(size_t done, size_t count);

/* Who hears what no call wants to hear. */
typedef struct rp_log {
    void (*take)(void *user, rp_log_level level, const char *message); /* NULL: nobody */
    void *user;
} rp_log;

/* Say something to the call that this thread is in, or else to `otherwise`. */
void rp_log_say(const rp_log *otherwise, rp_log_level level, const char *format, ...)
    __attribute__((format(REPRISE_PRINTF, 3, 4)));

#endif
