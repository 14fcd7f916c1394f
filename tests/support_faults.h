/* Making Vulkan fail: every function that can is wrapped, loader and instance level too, and for every device
 * that is opened from then on, those that the library opens again itself. */
#ifndef SUPPORT_FAULTS_H
#define SUPPORT_FAULTS_H

#include "gpu/device.h"

/* Before the first device is opened. False when there is no loader. */
bool faults_install(void);

/* From now on call number `due` (from 0) of `function` gives `result` in place of doing anything. When that
 * is VK_ERROR_DEVICE_LOST submissions and waits of every device give it too, until a device is created; waits
 * wait first, so that nothing is pending. */
void fault_begin(const char *function, int due, VkResult result);

/* After fault_begin: so many calls fail from then on, and not one. */
void fault_repeat(int times);

/* True when the fault came. Everything works again, but a lost device stays lost. */
bool fault_end(void);

/* Calls of any kind that were made since faults_install. */
typedef struct fault_counts {
    unsigned devices, submits, waits, allocations, pipelines;
} fault_counts;
fault_counts faults_seen(void);

/* Allocations of more than this fail with VK_ERROR_OUT_OF_DEVICE_MEMORY; 0: none do. */
extern _Atomic VkDeviceSize fault_largest_allocation;

/* Allocations beyond this many bytes together fail likewise; 0: none do. */
extern _Atomic VkDeviceSize fault_all_allocations;

/* vkQueueWaitIdle fails with VK_ERROR_OUT_OF_HOST_MEMORY. */
extern atomic_bool fault_idle;

/* Shaders that the driver does not get along with: those for which `is` is true, by their name in
 * shaders/variants.def. Their pipelines are refused with `result`; or the pipelines are made and a submission
 * that has one of them gives VK_ERROR_DEVICE_LOST, when `result` is that, or ends this process by
 * fault_shaders_signal, when it is VK_ERROR_UNKNOWN. `is` NULL: no shader any more. It is called from any
 * thread. */
void fault_shaders(bool (*is)(const char *shader), VkResult result);

/* Times that this has come since fault_shaders. */
extern atomic_uint fault_shaders_came;

extern int fault_shaders_signal; /* SIGKILL */

/* Seconds that each submitted command buffer takes longer than it does. */
extern _Atomic double fault_delay;

/* The most command buffers of one submission since it was set to 0. */
extern atomic_uint fault_most_buffers;

/* Pretend that the host sees no device memory, and that what it sees is not coherent: staging, flushes and
 * invalidations. NULL, before another device is opened: the truth again. */
void faults_hide_memory(rp_device *device);

#endif
