/* A training from its checked params to its end, with as many attempts as lost devices ask for. */
#include <string.h>

#include "loop/loop.h"

/* Losses of the device that a training has gone on after. */
typedef struct losses {
    uint64_t furthest; /* steps that were made before one of them */
    uint32_t times;    /* since it came as far */
} losses;

/* When an attempt has ended with `status`, and `err`: is the training to go on from its last checkpoint?
 * After a lost device it is, unless that is lost again and again at the same step. All processes of a world
 * are told the same. */
static bool goes_on(const rp_loop *loop, losses *so_far, rp_status status, const rp_error *err) {
    enum { MOST = 3 };
    if (status != RP_ERROR_DEVICE_LOST) return false;
    if (loop->last.step > so_far->furthest) *so_far = (losses){.furthest = loop->last.step};
    if (++so_far->times > MOST) return false;
    if (!rp_world_rank(loop->params.world))
        rp_log_say(&(rp_log){0}, RP_LOG_WARNING, "%.300s: the training goes on from its last checkpoint",
                   err->message);
    return true;
}

/* One attempt, with what came of it in `status`. True: another one is to follow. */
static bool attempt(const rp_loop_job *job, bool again, rp_visit *visit, losses *so_far, rp_status *status,
                    rp_error *err) {
    rp_loop *run = calloc(1, job->size);
    *status = run ? job->train(run, job, again, visit, err) : rp_fail_memory(err, "a training", job->size);
    if (!*status || !rp_world_agreed(job->world)) *status = rp_world_agree(job->world, *status, err);
    again = run && goes_on(run, so_far, *status, err);
    if (run) job->finish(run);
    free(run);
    return again;
}

rp_status rp_loop_attempts(const rp_loop_job *job, rp_status status, rp_error *err) {
    rp_visit visit;
    losses so_far = {0};
    bool again = false;
    if (!status) status = rp_visit_enter(&visit, NULL, job->call, job->function, err);
    if (status) return rp_world_agree(job->world, status, err);
    while (attempt(job, again, &visit, &so_far, &status, err)) again = true;
    rp_visit_leave(&visit);
    return status;
}
