/* Standard output: collected, written in whole pieces, and every failure seen. */
#ifndef REPRISE_CLI_OUTPUT_H
#define REPRISE_CLI_OUTPUT_H

#include "text.h"

typedef struct rp_cli_output {
    int fd;
    rp_cli_buffer buffer; /* not yet written */
    bool closed;          /* the reader went away (EPIPE): stop quietly */
    bool pipe_ignored;    /* SIGPIPE was ignored when this program was started */
    bool unfinished;      /* not every input was answered: stopped, or reading failed */
    int error;            /* errno of a write that failed otherwise; 0: none */
} rp_cli_output;

/* Write what is collected. False when nothing more can be written: closed or error says why. */
bool rp_cli_flush(rp_cli_output *output);

/* Flush and free; the exit status: `status`, or 1 with a message when a write failed. */
int rp_cli_finish(rp_cli_output *output, int status);

#endif
