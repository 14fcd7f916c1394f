#include "base/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/os.h"

static _Thread_local rp_visit *innermost;

double rp_clock(void) {
    return rp_seconds();
}

void rp_call_cancel(rp_call *call) {
    if (call) __atomic_store_n(&call->cancel, 1, __ATOMIC_RELEASE);
}

/* ---- gates ---- */

void rp_gate_init(rp_gate *gate) {
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->left, NULL);
    gate->inside = 0;
    gate->closing = false;
}

void rp_gate_finish(rp_gate *gate) {
    pthread_cond_destroy(&gate->left);
    pthread_mutex_destroy(&gate->lock);
}

bool rp_gate_close(rp_gate *gate) {
    for (const rp_visit *visit = innermost; visit; visit = visit->outer)
        if (visit->gate == gate) return false;
    pthread_mutex_lock(&gate->lock);
    gate->closing = true;
    while (gate->inside) pthread_cond_wait(&gate->left, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
    return true;
}

void rp_gate_reopen(rp_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->closing = false;
    pthread_mutex_unlock(&gate->lock);
}

static bool gate_enter(rp_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    bool in = !gate->closing;
    gate->inside += in;
    pthread_mutex_unlock(&gate->lock);
    return in;
}

static void gate_leave(rp_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    if (!--gate->inside) pthread_cond_signal(&gate->left);
    pthread_mutex_unlock(&gate->lock);
}

/* ---- scopes ---- */

void rp_visit_push(rp_visit *visit, rp_gate *gate) {
    *visit = (rp_visit){.outer = innermost, .gate = gate};
    innermost = visit;
}

void rp_visit_pop(rp_visit *visit) {
    innermost = visit->outer;
}

rp_visit *rp_visit_current(void) {
    return innermost;
}

static rp_status check_call(const rp_call *call, const char *function, rp_error *err) {
    static const double LONGEST = 10 * 366 * 86400.0;
    if (!call) return RP_OK;
    if (!(call->deadline <= rp_seconds() + LONGEST))
        return rp_fail(
            err, RP_ERROR_ARGUMENT,
            "%s: call.deadline is %g, more than ten years away: give rp_clock() + seconds, not the "
            "time of another clock",
            function, call->deadline);
    if (!rp_check_reserved(call->reserved, RP_COUNT(call->reserved), function, NULL)) return RP_OK;
    return rp_fail(err, RP_ERROR_ARGUMENT,
                   "%s: call.reserved is not zero: zero the whole rp_call before you set its fields, or use "
                   "the newer library that the program was built for",
                   function);
}

rp_status rp_visit_enter(rp_visit *visit, rp_gate *gate, const rp_call *call, const char *function,
                         rp_error *err) {
    rp_status status = check_call(call, function, err);
    if (status) return status;
    bool part = innermost && innermost->whole && innermost->gate == gate && innermost->call == call;
    if (gate && !part && !gate_enter(gate))
        return rp_fail(err, RP_ERROR_ARGUMENT,
                       "%s: another thread is closing this handle: make no more calls with it", function);
    rp_visit_push(visit, part ? NULL : gate);
    visit->call = call;
    if (part) visit->told = SIZE_MAX;
    status = rp_call_check(err);
    if (status) rp_visit_leave(visit);
    return status;
}

void rp_visit_leave(rp_visit *visit) {
    rp_visit_pop(visit);
    if (visit->gate) gate_leave(visit->gate);
}

/* ---- what the call says ---- */

static const rp_call *current(void) {
    return innermost ? innermost->call : NULL;
}

rp_status rp_call_check(rp_error *err) {
    const rp_call *call = current();
    if (!call) return RP_OK;
    if (__atomic_load_n(&call->cancel, __ATOMIC_ACQUIRE))
        return rp_fail(err, RP_ERROR_CANCELLED, "the call was cancelled (rp_call.cancel)");
    double late = call->deadline != 0 ? rp_seconds() - call->deadline : -1;
    if (late < 0) return RP_OK;
    return rp_fail(err, RP_ERROR_DEADLINE, "the deadline of the call (rp_call.deadline) passed %.3g s ago",
                   late);
}

void rp_call_init_cond(pthread_cond_t *changed) {
    rp_os_condition_open(changed);
}

void rp_call_wait(pthread_cond_t *changed, pthread_mutex_t *lock) {
    static const double OFTEN = 0.02; /* seconds */
    const rp_call *call = current();
    if (!call) {
        pthread_cond_wait(changed, lock);
        return;
    }
    double left = call->deadline > 0 ? call->deadline - rp_seconds() : OFTEN;
    rp_os_condition_wait(changed, lock, left < 0 ? 0 : left < OFTEN ? left : OFTEN);
}

void rp_call_progress(size_t done) {
    rp_visit *visit = innermost;
    if (!current() || done <= visit->told) return;
    visit->told = done;
    if (visit->call->progress) visit->call->progress(visit->call->user, done, visit->total);
}

void rp_call_run_progress(size_t done, size_t count) {
    const rp_visit *visit = innermost;
    if (!current()) return;
    if (done < count)
        rp_call_progress(visit->inputs ? visit->inputs[done] : done);
    else
        rp_call_progress(visit->after);
}

void rp_log_say(const rp_log *otherwise, rp_log_level level, const char *format, ...) {
    const rp_call *call = current();
    rp_log log = call && call->log ? (rp_log){call->log, call->user} : *otherwise;
    if (!log.take) return;
    char message[sizeof(((rp_error *)0)->message)];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    rp_error text; /* which makes UTF-8 of it */
    rp_fail(&text, RP_OK, "%s", message);
    log.take(log.user, level, text.message);
}
