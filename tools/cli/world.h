/* Several processes of a command, started together by mpirun. */
#ifndef RP_CLI_WORLD_H
#define RP_CLI_WORLD_H

#include "reprise/reprise.h"

/* Open the device of this process: `name`, as rp_cli_device_open takes it, or else one of the best kind that
 * this machine has, each process of the machine the next one. `world` may be NULL. Where one process fails,
 * all get its error. */
rp_status rp_cli_world_device(rp_world *world, const char *name, rp_device **out, rp_error *err);

/* Should this process tell how it ended? Not when the one of rank 0 does. */
bool rp_cli_world_tells(const rp_world *world, rp_status status);

#endif
