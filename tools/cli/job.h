/* A batch of inputs on its way through a command, and what all batches of one command share. */
#ifndef REPRISE_CLI_JOB_H
#define REPRISE_CLI_JOB_H

#include <pthread.h>

#include "session.h"

typedef struct rp_cli_work {
    const rp_cli_command *command;
    const rp_cli_session *session;
    pthread_mutex_t lock;  /* of what follows, and of standard error while batches are answered */
    rp_error broken;       /* why nothing can be answered any more; RP_OK while something can */
    size_t lost_in_a_row;  /* inputs that the device was lost over, one after another */
    bool trouble_was_said; /* that a batch is tried again */
} rp_cli_work;

/* One batch: used by one thread at a time. */
typedef struct rp_cli_job {
    rp_cli_items items;
    rp_cli_buffer text; /* the answers: a piece for each input, in order */
    rp_cli_people people;
    size_t failures;        /* inputs that failed */
    size_t failed;          /* number of the first of them; 0: none did */
    char why[200];          /* it failed */
    size_t cut;             /* number of the first input that was cut; 0: none was */
    size_t cuts;            /* inputs that were cut */
    uint32_t tokens, taken; /* of that first input, and those of them that the model read */
} rp_cli_job;

/* Answer the items of `job`, which has no text yet. Failed items are left out of the run. A batch that the
 * device or a lack of memory failed is tried once more, then in halves, down to single inputs: only those
 * fail that cannot be answered alone. From any thread; calls overlap. */
void rp_cli_answer_job(rp_cli_work *work, rp_cli_job *job);

#endif
