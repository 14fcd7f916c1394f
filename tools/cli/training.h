/* What the commands that train share: who watches, and how they were called. */
#ifndef REPRISE_CLI_TRAINING_H
#define REPRISE_CLI_TRAINING_H

#include "options.h"
#include "output.h"
#include "reprise/reprise.h"

/* Who watches a training. */
typedef struct rp_cli_watch {
    rp_call call;
    rp_training_handler handler;
    bool shown;            /* somebody looks at standard error */
    char *command;         /* for the model card */
    uint64_t first;        /* the step that this process made first; 0: none yet */
    const rp_world *world; /* NULL: none */
    rp_cli_output *out;
} rp_cli_watch;

/* Begin; `call` and `handler` point to `watch` then. End with rp_cli_watch_end. In a world the first process
 * is heard. */
void rp_cli_watch_begin(rp_cli_watch *watch, const rp_cli_options *options, const rp_world *world,
                        rp_cli_output *out);
void rp_cli_watch_end(rp_cli_watch *watch);

/* Say how the training of `name` ended; the exit status. */
int rp_cli_watch_report(const rp_cli_watch *watch, const char *name, const rp_cli_options *options,
                        rp_status status, const rp_error *err);

#endif
