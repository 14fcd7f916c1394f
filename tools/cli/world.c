/* Several processes of a command, each on a device of its own. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "session.h"

/* Discrete devices first, as rp_device_open chooses. */
static int order(rp_device_type type) {
    static const int orders[] = {[RP_DEVICE_DISCRETE] = 0,
                                 [RP_DEVICE_INTEGRATED] = 1,
                                 [RP_DEVICE_VIRTUAL] = 2,
                                 [RP_DEVICE_CPU] = 3,
                                 [RP_DEVICE_OTHER] = 4};
    return (unsigned)type < sizeof orders / sizeof *orders ? orders[type] : 4;
}

/* Number `rank` of the devices of the best kind, in a circle; its index. */
static uint32_t choose(const rp_device_info *infos, size_t count, uint32_t rank) {
    int best = 5;
    uint32_t peers = 0;
    for (size_t i = 0; i < count; i++) {
        if (!infos[i].usable || order(infos[i].type) > best) continue;
        if (order(infos[i].type) < best) peers = 0;
        best = order(infos[i].type);
        peers++;
    }
    for (size_t i = 0, at = 0; i < count; i++)
        if (infos[i].usable && order(infos[i].type) == best && at++ == rank % peers) return infos[i].index;
    return 0;
}

static rp_status open_next(uint32_t rank, rp_device **out, rp_error *err) {
    rp_device_info *infos = NULL;
    size_t count = 0, capacity;
    char name[16];
    rp_status status = rp_device_list(NULL, 0, &count, err);
    do {
        capacity = count;
        free(infos);
        infos = rp_cli_calloc(capacity + 1, sizeof *infos);
        if (!status) status = rp_device_list(infos, capacity, &count, err);
    } while (!status && count > capacity);
    snprintf(name, sizeof name, "%u", status ? 0 : choose(infos, count, rank));
    free(infos);
    return status ? status : rp_cli_device_open(name, out, err);
}

rp_status rp_cli_world_device(rp_world *world, const char *name, rp_device **out, rp_error *err) {
    rp_status status =
        world && !name ? open_next(rp_world_local_rank(world), out, err) : rp_cli_device_open(name, out, err);
    return rp_world_agree(world, status, err);
}

bool rp_cli_world_tells(const rp_world *world, rp_status status) {
    return !rp_world_rank(world) || (status && !rp_world_agreed(world));
}
