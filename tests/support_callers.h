/* Threads that call one model, whose batches are single sequences, and the line in which they wait. */
#ifndef SUPPORT_CALLERS_H
#define SUPPORT_CALLERS_H

#include "model/model.h"
#include "reprise/reprise.h"
#include "support_fixture.h"

enum { LONG = 12 };

/* Opened by callers_setup. */
extern rp_device *device;
extern rp_model *model;
extern golden g;
extern rp_sequence many[LONG];

/* For setup and teardown of a group of tests; and to open `model` again, where a test has closed it. */
int callers_setup(void **state);
int callers_teardown(void **state);
void callers_open_model(void);

/* One thread, and what it calls: a run of sequences [first, first + count) of `many`. */
typedef struct caller {
    pthread_t thread;
    rp_call call;
    size_t first, count;
    float got[LONG * 64];
    rp_status status;
    rp_error err;
} caller;

/* Run on this thread. */
rp_status caller_run(caller *c);

/* Begin the run on a thread of its own, and wait for that thread; c->status has what came of it. */
void caller_begin(caller *c);
void caller_end(caller *c);

/* It succeeded, with the bits that one call for everything gives. */
void caller_check(const caller *c);

/* The test takes a turn itself, and gives it to the first in line. */
void take_turn(void);
void give_turn(void);

/* Wait until so many threads are in line. */
void wait_for_line(size_t length);

/* Sleep for a millisecond. */
void nap(void);

#endif
