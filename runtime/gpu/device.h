/* An open device: instance, logical device, queue, caches. */
#ifndef RP_GPU_DEVICE_H
#define RP_GPU_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/call.h"
#include "base/os.h"
#include "gpu/caps.h"

/* An owner of Vulkan objects that outlive a call, such as a model. */
typedef struct rp_device_user {
    struct rp_device_user *next;
    /* Destroy all objects of this user. The thread that opens a lost device again calls it, before it
     * destroys the logical device; no other thread is using the device then, though some may be waiting to
     * enter. */
    void (*drop)(struct rp_device_user *user);
} rp_device_user;

enum { RP_ENTRY_NAME = 64 };

/* How often the device was lost while it ran a kernel that is not proven (ops/attempts.h); and kernels that
 * another process has tried. */
typedef struct rp_loss {
    char entry[RP_ENTRY_NAME]; /* of the kernel, in the attempt log; or of the kernel in a use */
    uint32_t count;
} rp_loss;

struct rp_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice handle;
    VkQueue queue;
    rp_vk_table vk; /* a test may replace an entry to count or fail calls */
    rp_caps caps;
    pthread_mutex_t queue_lock; /* held by the thread that uses `queue` or what follows */
    uint64_t submitted, ended;  /* number of submissions; and of the latest that a thread has seen end */
    double ended_at;            /* when that was, in rp_seconds */
    pthread_rwlock_t entered;   /* calls hold it for reading, the one that opens `handle` again for writing */
    atomic_bool lost; /* the driver gave `handle` up, or it is VK_NULL_HANDLE: the next call opens it again */
    atomic_bool hung; /* the driver stopped answering: it may use the objects of `handle` for ever, so nothing
                         of them is destroyed */
    bool kept;        /* a `handle` that hung was never destroyed, so `instance` is not either */
    atomic_bool stopped; /* rp_device_stop was called: no thread attempts kernels any more */
    long owner;          /* the process that opened the device: a driver's state does not survive a fork */
    rp_device_user *users;
    pthread_mutex_t users_lock;
    rp_loss *losses;
    size_t loss_count, loss_capacity;
    uint32_t losses_noted; /* sum of all counts */
    pthread_mutex_t losses_lock;
    VkPipelineCache pipeline_cache;
    _Atomic size_t pipeline_cache_size; /* bytes that were last read or written: when the driver's cache has
                                           another size, it holds pipelines that are not on disk */
    _Atomic uint64_t bytes;             /* device memory allocated now */
    double answer_limit;                /* seconds without an answer after which the driver counts as hung */
    double submit_limit; /* the submission budget: seconds that one may take, for watchdogs; 0: no limit */
    double batch_limit;  /* the batch budget (model/pace.h) */
    double tuning_limit; /* seconds after which opening a model times no more kernels */
    char *shader_dir;    /* a folder of GLSL to compile; NULL: the built-in shaders */
    char *cache_dir;     /* NULL: no cache */
    char *try_program;   /* NULL: none */
    rp_tuning_handler tuning; /* take NULL: no callback */
    rp_log log;               /* hears what no call wants to hear */
    rp_gate gate;             /* calls that use the device but no model are inside */
    atomic_bool cache_failed; /* somebody was told that the cache cannot be written */
    bool debug_names;         /* VK_EXT_debug_utils is on: objects are named */
    struct {
        double loader, instance, choice, device; /* seconds of rp_device_open */
        _Atomic double pipelines, tuning;        /* seconds since then */
    } spent;
    bool apart; /* RP_TRIALS_APART: another process tries each kernel first */
};

/* Destroy an object of the device, unless the driver hung. */
#define RP_DESTROY(device, function, object)                                                      \
    do {                                                                                          \
        if ((object) && !(device)->hung) (device)->vk.function((device)->handle, (object), NULL); \
    } while (0)

/* Name an object in validation messages and captures. Does nothing without VK_EXT_debug_utils. */
void rp_device_name(rp_device *device, VkObjectType type, uint64_t handle, const char *name);

/* Create the logical device, its queue and its pipeline cache; and destroy them, except where the driver
 * hung. Where rp_device_connect fails it has destroyed what it created. */
rp_status rp_device_connect(rp_device *device, rp_error *err);
void rp_device_disconnect(rp_device *device);

/* ---- enter.c: every public call that uses the device does so between these two ----
 *
 * No thread opens a lost device again while a call is between them. A call that finds the device lost opens
 * it again, once: the users drop their objects, and each makes them again when it next needs them.
 *
 * A call enters once. After entering it takes no lock that another thread may hold while that waits to enter,
 * and it does not wait for files or callbacks: the thread that opens the device again waits for all calls
 * that have entered. */

/* Returns RP_ERROR_DEVICE in a process that was forked from the owner. When a lost device cannot be opened
 * again it returns what Vulkan says, or RP_ERROR_DEVICE_LOST, and the next call tries once more. */
rp_status rp_device_enter(rp_device *device, rp_error *err);

/* Enter without opening a lost device again: for calls that only destroy objects. */
void rp_device_enter_to_close(rp_device *device);

/* Returns `status`, with which the call ends; RP_ERROR_DEVICE_LOST marks the device as lost. */
rp_status rp_device_leave(rp_device *device, rp_status status);

/* True in a process that was forked from the owner. Such a process must touch no lock, since a thread of the
 * parent may have held it, and no Vulkan object, whose memory belongs to the parent. */
bool rp_device_forked(const rp_device *device);
rp_status rp_device_check_owner(const rp_device *device, rp_error *err);

/* Returns RP_ERROR_STOPPED after rp_device_stop, and what rp_call_check returns. A thread calls it before
 * each kernel that it attempts. */
rp_status rp_device_check_stopped(const rp_device *device, rp_error *err);
static inline bool rp_device_is_stopped(const rp_device *device) {
    return device->stopped || rp_call_check(NULL);
}

/* Both are called between enter and leave. Removing a user that was never added does nothing. */
void rp_device_add_user(rp_device *device, rp_device_user *user);
void rp_device_remove_user(rp_device *device, rp_device_user *user);

/* ---- submit.c ---- */

/* Submit `count` command buffers in one vkQueueSubmit and wait until the device has run them. Where it fails
 * none of them is pending afterwards either, unless the driver hung. No submission uses `fence`. Returns
 * RP_ERROR_DEVICE_LOST too when the driver does not answer for device->answer_limit. Thread-safe. */
rp_status rp_device_submit(rp_device *device, const VkCommandBuffer *buffers, uint32_t count, VkFence fence,
                           rp_error *err);

/* The same. `*seconds`: how long the device worked on it, without what it did for other threads before; 0:
 * this is not known, because the thread that waits for what came before has not yet seen it end. */
rp_status rp_device_submit_timed(rp_device *device, const VkCommandBuffer *buffers, uint32_t count,
                                 VkFence fence, double *seconds, rp_error *err);

/* The same. Once the work is submitted this thread calls `beside`, and waits then. */
rp_status rp_device_submit_beside(rp_device *device, const VkCommandBuffer *buffers, uint32_t count,
                                  VkFence fence, void (*beside)(void *user), void *user, double *seconds,
                                  rp_error *err);

/* ---- known.c: what earlier starts learnt about the device's kernels, in the cache folder ---- */

/* Write an entry to the cache folder, if there is one (gpu/cache.h); where that fails, say so, once. */
void rp_device_write_cache(rp_device *device, const char *name, const void *data, size_t size);

/* A key of all that decides whether a kernel is right and how fast it is, itself apart: the device, its
 * driver, the shaders and the code of the library. */
void rp_device_key(const rp_device *device, char out[33]);
extern const char rp_host_key[33]; /* of the code; made by the build */

/* Write the name of the entry of this `kind` (one word) that says something about an operator, under
 * rp_device_key. */
void rp_device_entry(const rp_device *device, const char *kind, const char *op, const char *about,
                     char out[RP_ENTRY_NAME]);

/* Read such an entry. NULL: there is none. Freed by free(). With a shader_dir there is none, and
 * rp_device_remember, which writes one, does nothing: the key is not that of such shaders. */
char *rp_device_recall(const rp_device *device, const char *entry);
void rp_device_remember(rp_device *device, const char *entry, const char *answer);

/* True when the header of `data` is that of vkGetPipelineCacheData on this device and driver. Drivers trust
 * what follows the header. */
bool rp_pipelines_fit(const rp_caps *caps, const void *data, size_t size);

/* Wait, after a failure, until nothing is pending. Where that fails too, mark the device as lost. */
void rp_device_wait_idle(rp_device *device);

/* A copy of the driver's pipeline cache; data NULL: it holds no pipeline that was not on disk. */
typedef struct rp_pipelines {
    void *data;
    size_t size; /* bytes */
} rp_pipelines;

/* rp_device_take_pipelines copies the driver's pipeline cache, between enter and leave;
 * rp_device_write_pipelines writes the copy to the cache folder and frees it, after leaving. The caller
 * passes a zeroed struct to the first. Where one fails, a later start compiles again. */
void rp_device_take_pipelines(rp_device *device, rp_pipelines *pipelines);
void rp_device_write_pipelines(rp_device *device, rp_pipelines *pipelines);

#endif
