/* The scheduler's own: what its driver (depth.c) and the runs (depth_run.c) share. */
#ifndef RP_MODEL_DEPTH_STATE_H
#define RP_MODEL_DEPTH_STATE_H

#include "model/depth.h"
#include "model/ticks.h"

/* A run, on the stack of its thread. */
typedef struct rp_depth_call {
    rp_depth_text *texts; /* [count] */
    size_t count, next;   /* texts; those before number `next` were offered to the driver */
    size_t done, leaving; /* texts that are done; that the tick which runs computes an output for */
    uint64_t offered;     /* tokens of those that were offered and are not done */
    pthread_cond_t changed;
    bool tells;  /* its caller wants to hear of every text */
    bool marked; /* the tick that runs has a text of it */
    rp_status status;
    rp_error err;
    rp_run_times times;
} rp_depth_call;

struct rp_depth {
    rp_model *model;
    rp_ticks *ticks;
    rp_chooser chooser; /* belongs to the driver */
    pthread_t driver;   /* a thread, where one of the two: */
    bool driving, ended;
    pthread_mutex_t lock;  /* of what follows */
    pthread_cond_t came;   /* a text, or the end */
    rp_depth_text **texts; /* [count] on their way, in the order in which they came */
    size_t count, capacity, order_capacity;
    rp_depth_order *order; /* scratch of the driver */
    size_t reserved;       /* texts that there may be: the arrays have room for them */
    uint32_t *places;      /* [place_count] free rows of the slab, [ticks->slab_rows] */
    uint32_t place_count;
    uint64_t changes;  /* what the choice of a tick depends on changed otherwise than by a tick */
    uint64_t arrivals; /* texts came */
    uint32_t most;     /* tokens of a batch, since the device had no memory for more; 0: no limit */
    bool stopping;     /* the driver ends when nothing is left */
    int set;           /* of the next tick */
    bool prepared;     /* it is chosen and written, when there were so many changes */
    uint64_t prepared_changes, prepared_arrivals;
    uint64_t recordings; /* d->ticks->recordings, when the slab that these texts are in was made */
    double last;         /* seconds of the last tick */
    rp_queue_counts counts;
};

/* ---- depth.c; the lock is held ---- */

/* Hand as many texts of a run to the driver as make a batch: whoever has thousands does not fill the list. */
void rp_depth_offer(rp_depth *d, rp_depth_call *run);

/* Take from the list the texts of a run that is not to go on; those that leave just now stay. */
void rp_depth_withdraw(rp_depth *d, rp_depth_call *run);

/* Start the driver where it has ended: it does when nothing has come for RP_IDLE_SECONDS. */
rp_status rp_depth_have_driver(rp_depth *d, rp_error *err);

#endif
