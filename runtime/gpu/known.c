/* What earlier starts learnt about a device and its kernels: short answers in the cache folder. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "gpu/cache.h"
#include "gpu/device.h"
#include "gpu/shader.h"

enum { TEXT = 1024 };

void rp_device_key(const rp_device *device, char out[33]) {
    const rp_caps *caps = &device->caps;
    char table[33], text[TEXT];
    rp_shader_table_key(table);
    int used = snprintf(text, sizeof text, "%s\n%s\n%" PRIu32 "\n%s\n%s\n%s\n", caps->info.name,
                        caps->info.driver, caps->driver_version, table, REPRISE_VERSION, rp_host_key);
    memcpy(text + used, caps->uuid, VK_UUID_SIZE);
    rp_cache_key(text, (size_t)used + VK_UUID_SIZE, out);
}

void rp_device_entry(const rp_device *device, const char *kind, const char *op, const char *about,
                     char out[RP_ENTRY_NAME]) {
    char key[33], text[TEXT];
    rp_device_key(device, key);
    int size = snprintf(text, sizeof text, "%s\n%s\n%s\n%s\n", key, kind, op, about);
    rp_cache_key(text, size < TEXT ? (size_t)size : TEXT - 1, key);
    snprintf(out, RP_ENTRY_NAME, "%s-%s", kind, key);
}

char *rp_device_recall(const rp_device *device, const char *entry) {
    void *data = NULL;
    size_t size = 0;
    if (device->shader_dir || !rp_cache_read(device->cache_dir, entry, &data, &size)) return NULL;
    char *answer = strndup(data, size);
    free(data);
    return answer;
}

void rp_device_remember(rp_device *device, const char *entry, const char *answer) {
    if (!device->shader_dir) rp_device_write_cache(device, entry, answer, strlen(answer));
}
