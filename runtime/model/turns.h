/* Who uses the device for a model next: threads wait in a line, each with one batch, and the one that waits
 * longest is next. A call with many batches goes to the end of the line after each, so it holds nobody up for
 * longer than a batch. */
#ifndef RP_MODEL_TURNS_H
#define RP_MODEL_TURNS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/error.h"

typedef struct rp_turns {
    pthread_mutex_t lock;  /* of what follows; nobody holds it while a batch runs */
    bool taken;            /* some thread has the turn */
    struct rp_turn *first; /* of those that wait */
} rp_turns;

void rp_turns_init(rp_turns *turns);
void rp_turns_finish(rp_turns *turns);

/* Wait for a turn. Where the call of this thread is to end meanwhile (base/call.h) the thread has none, and
 * gets the status for that. */
rp_status rp_turns_take(rp_turns *turns, rp_error *err);

/* Give the turn to the one that waits longest. */
void rp_turns_give(rp_turns *turns);

#endif
