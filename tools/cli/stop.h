/* Stopping early: SIGINT and SIGTERM let the work in flight end, a second one ends the process at once. */
#ifndef REPRISE_CLI_STOP_H
#define REPRISE_CLI_STOP_H

#include <stdbool.h>

/* Take SIGINT and SIGTERM, unless the process was started to ignore them. Until rp_cli_stop_expected they
 * still end the process at once, with status 128 and their number. Returns a file descriptor that can be read
 * from the moment the work is to stop; -1 when there is none. Once in a process. */
int rp_cli_stop_open(void);

/* From now on (`soft`) the first signal only asks to stop; or, again, none does. */
void rp_cli_stop_expected(bool soft);

/* Ask to stop without a signal. From any thread. */
void rp_cli_stop_ask(void);

/* The signal that asked to stop; 0: none did. */
int rp_cli_stop_signal(void);

#endif
