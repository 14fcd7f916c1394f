#define _GNU_SOURCE /* asprintf */
#include "gpu/helper.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"

/* Beside this library, or the program that has it inside; or in libexec, from where the library is installed.
 */
static char *find_beside(void) {
    static const char *const places[] = {"", REPRISE_LIBEXEC_BESIDE "/"};
    static const char here;
    char own[4096];
    rp_os_library_of(&here, own, sizeof own);
    if (!rp_os_is_absolute(own)) return NULL; /* a relative path may lead elsewhere by now */
    int folder = (int)(strrchr(own, '/') - own);
    for (int i = 0; i < 2; i++) {
        char *path;
        if (asprintf(&path, "%.*s/%sreprise-try" RP_OS_PROGRAM, folder, own, places[i]) < 0) return NULL;
        if (rp_os_may_run(path)) return path;
        free(path);
    }
    return NULL;
}

char *rp_helper_find(const char *wanted) {
    if (wanted) return wanted[0] ? strdup(wanted) : NULL;
    return find_beside();
}

/* Did the other process say that it lived? Waits until it has said so or has ended, or
 * until this thread is to stop. */
static bool hears(rp_device *device, rp_os_child *child) {
    while (!rp_device_is_stopped(device)) {
        int said = rp_os_child_hear(child);
        if (said != RP_OS_SILENT) return said == RP_HELPER_LIVED;
    }
    return false;
}

static rp_end end_of(rp_os_child *child) {
    int code = 0;
    rp_os_end end = rp_os_child_end(child, &code);
    if (end == RP_OS_END_CRASHED) return RP_END_DIED;
    if (end != RP_OS_END_EXITED || code == RP_HELPER_UNTRIED) return RP_END_UNKNOWN;
    return code == RP_HELPER_LOST ? RP_END_LOST : RP_END_DIED;
}

rp_end rp_helper_attempt(rp_device *device, const char *op, const char *kernel, const char *use) {
    char index[16], key[33];
    rp_os_child child;
    if (!device->try_program) return RP_END_UNKNOWN;
    snprintf(index, sizeof index, "%u", device->caps.info.index + 1);
    rp_device_key(device, key);
    char *cache = device->cache_dir ? device->cache_dir : (char *)"";
    char *const argv[] = {device->try_program, index,          cache,       key,
                          (char *)op,          (char *)kernel, (char *)use, NULL};
    if (!rp_os_child_start(&child, device->try_program, argv)) return RP_END_UNKNOWN;
    bool lived = hears(device, &child);
    bool stopped = rp_device_is_stopped(device);
    if (stopped && !lived) rp_os_child_kill(&child);
    rp_end end = end_of(&child);
    return lived ? RP_END_LIVED : stopped ? RP_END_UNKNOWN : end;
}
