/* Stopping early: SIGINT and SIGTERM let the work in flight end, a second one ends the process at once. */
#ifndef REPRISE_CLI_STOP_H
#define REPRISE_CLI_STOP_H

#include <stdbool.h>

#include <reprise/call.h>
#include <reprise/device.h>

/* Take SIGINT and SIGTERM, unless the process was started to ignore them. Until rp_cli_stop_expected or
 * rp_cli_stop_device they still end the process at once, with status 128 and their number. Returns a file
 * descriptor that can be read from the moment the work is to stop; -1 when there is none. Later calls give
 * the same.
 */
int rp_cli_stop_open(void);

/* From now on (`soft`) the first signal only asks to stop; or, again, none does. */
void rp_cli_stop_expected(bool soft);

/* While kernels are tried on `device`: the first signal lets the one that is being tried end
 * (rp_device_stop), and the process ends at the next call, with NULL, which says that none are tried any
 * more. */
void rp_cli_stop_device(rp_device *device);

/* The first signal cancels `call`, too, wherever it is; NULL: none from now on. */
void rp_cli_stop_call(rp_call *call);

/* Ask to stop without a signal. From any thread. */
void rp_cli_stop_ask(void);

/* The signal that asked to stop; 0: none did. */
int rp_cli_stop_signal(void);

#endif
