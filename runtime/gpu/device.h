/* An open device: instance, logical device, queue, caches. */
#ifndef RP_GPU_DEVICE_H
#define RP_GPU_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <unistd.h>

#include "gpu/caps.h"

/* Whoever keeps objects of rp_device.handle between calls, such as a model. */
typedef struct rp_device_user {
    struct rp_device_user *next;
    /* Destroy them all: the logical device is about to go. No other thread is using the device then, but one
     * may be waiting to. */
    void (*drop)(struct rp_device_user *user);
} rp_device_user;

/* How often the device was lost while a kernel was tried (ops/choice.h). */
typedef struct rp_loss {
    char kernel[33]; /* a key of it */
    uint32_t count;
} rp_loss;

struct rp_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue;
    rp_vk_table vk; /* a test may replace an entry to count or fail calls */
    rp_caps caps;
    pthread_mutex_t queue_lock; /* held around every use of `queue` */
    pthread_rwlock_t use; /* shared by the calls that use `handle`, exclusive while it is opened again */
    atomic_bool lost;     /* `handle` answers no more, or is VK_NULL_HANDLE: to be opened again */
    atomic_bool
        hung;  /* lost without a word: the driver may use for ever what `handle` has, so it all stays */
    bool kept; /* a `handle` that hung was left behind; so must `instance` be */
    atomic_bool stopped; /* no kernels are tried any more */
    pid_t owner;         /* the process that opened it: a driver's state does not survive a fork */
    rp_device_user *users;
    pthread_mutex_t users_lock;
    rp_loss *losses;
    size_t loss_count, loss_capacity;
    uint32_t losses_noted; /* in all */
    pthread_mutex_t losses_lock;
    VkPipelineCache pipeline_cache;
    _Atomic size_t
        pipeline_cache_size;  /* bytes last read or written; a different size means there is news to write */
    _Atomic uint64_t bytes;   /* allocated device memory */
    double answer_limit;      /* seconds without an answer after which the device has hung */
    double submit_limit;      /* seconds that a submission may take, for the sake of watchdogs; 0: any */
    double tuning_limit;      /* seconds after which a model that is opened measures no more kernels */
    char *shader_dir;         /* GLSL compiled instead of the pack; NULL: the pack */
    char *cache_dir;          /* NULL: no cache */
    char *try_program;        /* NULL: none */
    rp_tuning_handler tuning; /* take NULL: nobody */
    bool debug_names;         /* VK_EXT_debug_utils is on: objects are named */
    struct {
        double loader, instance, choice, device; /* of rp_device_open, seconds */
        _Atomic double pipelines, tuning;        /* since then */
    } spent;
};

/* Destroy an object of the device, unless that hung. */
#define RP_DESTROY(device, function, object)                                                      \
    do {                                                                                          \
        if ((object) && !(device)->hung) (device)->vk.function((device)->handle, (object), NULL); \
    } while (0)

/* Name an object for validation messages and captures; nothing where the extension is off. */
void rp_device_name(rp_device *device, VkObjectType type, uint64_t handle, const char *name);

/* Make the logical device, its queue and its caches, and let go of them: one that hung is left behind.
 * Nothing is left of one that fails. */
rp_status rp_device_connect(rp_device *device, rp_error *err);
void rp_device_disconnect(rp_device *device);

/* ---- use.c: every public call that uses the device does so between these two ----
 *
 * They keep a lost device from being replaced while a call works with it. A call that finds it lost opens it
 * again, once: users drop what they have of it and make it anew when they next need it. A call does not enter
 * twice, and takes no lock after entering that another may hold while it waits to enter. Nor does it wait for
 * files or for its caller there: whoever opens the device again waits for all that have entered. */

/* RP_ERROR_DEVICE in a process that was forked from the owner; RP_ERROR_DEVICE_LOST, or what Vulkan says,
 * when a lost device cannot be opened again: the next call tries again. */
rp_status rp_device_enter(rp_device *device, rp_error *err);

/* The same without opening a lost device again: for a call that only gives things back. */
void rp_device_enter_to_close(rp_device *device);

/* `status` is what the call ends with, and is returned: RP_ERROR_DEVICE_LOST marks the device. */
rp_status rp_device_leave(rp_device *device, rp_status status);

/* True in a process that was forked from the owner. No lock and no Vulkan object may be touched there: a
 * thread that does not exist may hold the one, and the other's memory belongs to the owner. */
static inline bool rp_device_forked(const rp_device *device) {
    return device->owner != getpid();
}
rp_status rp_device_check_owner(const rp_device *device, rp_error *err);

/* RP_ERROR_STOPPED after rp_device_stop: asked before each kernel that is tried. */
rp_status rp_device_check_stopped(const rp_device *device, rp_error *err);

/* Between enter and leave. */
void rp_device_add_user(rp_device *device, rp_device_user *user);
void rp_device_remove_user(rp_device *device, rp_device_user *user); /* one that was never added too */

/* Submit `count` command buffers in order and wait until they are done: also where it fails, nothing of them
 * is pending afterwards, unless the device hung. `fence` is not in use. RP_ERROR_DEVICE_LOST too when the
 * driver gives no answer for device->answer_limit. */
rp_status rp_device_submit(rp_device *device, const VkCommandBuffer *buffers, uint32_t count, VkFence fence,
                           rp_error *err);

/* A key of all that decides whether a kernel is right and how fast it is, itself apart: the device, its
 * driver, the shaders and the code of the library. */
void rp_device_key(const rp_device *device, char out[33]);
extern const char rp_host_key[33]; /* of the code; made by the build */

/* Is this what vkGetPipelineCacheData gave for this device and driver? Drivers trust what comes after the
 * header. */
bool rp_pipelines_fit(const rp_caps *caps, const void *data, size_t size);

/* Wait, after a failure, until nothing is pending. Where that fails too the device is taken for lost. */
void rp_device_wait_idle(rp_device *device);

/* What the pipeline cache holds; nothing: no pipeline was compiled since it was read or taken. */
typedef struct rp_pipelines {
    void *data;
    size_t size; /* bytes */
} rp_pipelines;

/* Take it, between enter and leave, and write it to disk, after leaving. `pipelines` is nothing before the
 * one and after the other. Failing is no error. */
void rp_device_take_pipelines(rp_device *device, rp_pipelines *pipelines);
void rp_device_write_pipelines(rp_device *device, rp_pipelines *pipelines);

#endif
