/* What the device keeps in its cache folder, and what is said when it cannot. */
#include <errno.h>

#include "gpu/cache.h"
#include "gpu/device.h"

void rp_device_write_cache(rp_device *device, const char *name, const void *data, size_t size) {
    if (!device->cache_dir || rp_cache_write(device->cache_dir, name, data, size)) return;
    int why = errno;
    if (atomic_exchange(&device->cache_failed, true)) return;
    errno = why; /* %m */
    rp_log_say(
        &device->log, RP_LOG_WARNING,
        "the cache folder %s cannot be written (%m): each start takes longer; make it writable, or name "
        "another in REPRISE_CACHE_DIR",
        device->cache_dir);
}
