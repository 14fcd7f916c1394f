/* Vulkan devices: listing them, and opening one.
 *
 * The Vulkan loader is opened at run time. Where it is missing, these functions return RP_ERROR_DEVICE with a
 * message that says which package brings it; a program that links this library still starts. */
#ifndef REPRISE_DEVICE_H
#define REPRISE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rp_device_type {
    RP_DEVICE_OTHER = 0,
    RP_DEVICE_INTEGRATED,
    RP_DEVICE_DISCRETE,
    RP_DEVICE_VIRTUAL,
    RP_DEVICE_CPU, /* a software driver, such as lavapipe */
} rp_device_type;

/* What the driver says of a device, copied: plain values, no handle. */
typedef struct rp_device_info {
    uint32_t index; /* position in rp_device_list; what rp_device_params.index takes (plus one) */
    char name[256];
    char driver[256];     /* driver name and version as the driver writes them */
    uint32_t api_version; /* Vulkan version, packed as VK_MAKE_API_VERSION does */
    uint32_t vendor_id;   /* PCI or Khronos vendor id */
    uint32_t device_id;
    rp_device_type type;
    uint64_t memory_bytes;      /* size of the largest device-local heap, bytes */
    uint64_t max_storage_bytes; /* largest range one storage buffer binding may have, bytes */
    uint32_t shared_bytes;      /* shared memory of one workgroup, bytes */
    uint32_t max_invocations;   /* invocations of one workgroup */
    uint32_t subgroup_size;     /* invocations of one subgroup; 1 where the driver has no subgroups */
    bool subgroup_broadcast;    /* subgroup ballot operations in compute shaders */
    bool subgroup_arithmetic;   /* subgroup reductions in compute shaders */
    bool fp16_arithmetic;       /* VK_KHR_shader_float16_int8: half-precision arithmetic */
    bool fp16_storage;          /* VK_KHR_16bit_storage for storage buffers */
    bool int8_dot;              /* VK_KHR_shader_integer_dot_product */
    bool cooperative_matrix;    /* VK_KHR_cooperative_matrix or VK_NV_cooperative_matrix */
    bool timestamps;            /* compute queue writes time stamps */
    bool usable;                /* rp_device_open would accept it */
    char reason[160];           /* why it is not usable; empty when it is */
    uint64_t reserved[8];       /* zero */
} rp_device_info;

/* Every Vulkan device of this machine, unusable ones too.
 *
 * Writes at most `capacity` entries to `infos` (NULL allowed when capacity is 0) and the number of devices to
 * `*count`. RP_ERROR_DEVICE when there is no loader or no driver. Thread-safe. */
RP_API rp_status rp_device_list(rp_device_info *infos, size_t capacity, size_t *count, rp_error *err);

/* Who is told that kernels are being measured: `op` is such as "matmul", for as long as the call takes.
 * Called by whoever opens a model, on that thread, only when the cache folder does not hold the answer,
 * before each kind and shape of work. After 1.5 s in all (4 s on a software driver) nothing more is
 * measured, and what was not is at a later start. */
typedef struct rp_tuning_handler {
    void (*take)(void *user, const char *op);
    void *user;
} rp_tuning_handler;

/* How to choose a device. The zero value takes the best one: discrete, then integrated, virtual, CPU. */
typedef struct rp_device_params {
    uint32_t index;        /* 1 + the index in rp_device_list; 0: not chosen by index */
    const char *name;      /* part of the device's or driver's name, any case; NULL: not chosen by name */
    const char *cache_dir; /* where compiled shaders are kept; NULL: the user's cache folder; "": no cache */
    const char
        *shader_dir; /* compile GLSL from this folder instead of using the built-in shaders; NULL: don't */
    const rp_tuning_handler *on_tuning; /* copied; NULL: nobody is told */
    const char *try_program;            /* see rp_try_main; NULL: reprise-try, which is installed with the
                                           library, where that finds it; "": none */
    uint64_t reserved[2];               /* zero; see reprise.h */
} rp_device_params;

/* An open device with its queue.
 * Thread-safety: every function may be called from any thread, also with several models on one device, and
 * several devices may be open at once; submissions to one device are serialised inside. Only closing must be
 * the last call: no other thread may be using the handle.
 *
 * Loss. A driver may give a device up while it works: a reset, a watchdog, a card that is pulled out. The
 * calls that meet it return RP_ERROR_DEVICE_LOST (rp_model_open repeats itself before that), and what they
 * were to write is undefined. Handles stay valid. The next call on the device or one of its models opens the
 * device anew, once, and each model loads itself again when it is next used, with the same kernels: the
 * results are the same bits as ever. When that fails the call says why, and the next one tries again. Others
 * that work with the device at that moment finish or fail first. A driver that gives no answer for ten
 * minutes counts as such a loss (a software driver only while it does not work). It may still use what it was
 * given: nothing of that is freed, for as long as the process lives.
 *
 * Fork. A device and its models belong to the process that opened them. In a child of it every call that
 * needs the device returns RP_ERROR_DEVICE, rp_device_close and rp_model_close only set the handle to NULL,
 * and what needs no device (rp_tokenize, the info of both) works. A child may open a device of its own where
 * the driver allows it; a child that does so before its parent opens one is safe with every driver. */
typedef struct rp_device rp_device;

/* Open a device. `params` may be NULL. On success `*out` is owned by the caller (rp_device_close).
 * The environment variable REPRISE_SHADER_DIR stands in for a NULL shader_dir, REPRISE_CACHE_DIR for a NULL
 * cache_dir. Thread-safe. */
RP_API rp_status rp_device_open(const rp_device_params *params, rp_device **out, rp_error *err);

/* Close a device and set `*device` to NULL. NULL and a pointer to NULL are allowed. Models opened on it must
 * be closed first. */
RP_API void rp_device_close(rp_device **device);

/* The whole of a program that tries one kernel in a process of its own: reprise-try, or one that comes with
 * an app which has the library inside, or elsewhere (rp_device_params.try_program).
 *
 * A kernel with which a process ends is noted in the cache folder, and is not tried again after two such
 * notes. But whoever kills a process while it opens a model, such as the system when memory is short, leaves
 * the same note. So the start that finds two runs this program, which tries the kernel as that process did.
 * When it survives, the notes are wiped. When the kernel ends it, by a signal that the driver raised or by
 * leaving, the kernel is not tried again on this device and driver. When it is killed too, the kernel is
 * passed over by this start alone. A process that ended because the whole system did is never repeated: its
 * note counts against the kernel. Without such a program two notes do.
 *
 * `argv` is what the library gives to it, and the result what main returns. It ends with the thread that
 * started it. */
RP_API int rp_try_main(int argc, char **argv);

/* Nothing tries kernels on this device any more: a rp_model_open or rp_check_kernels that does returns
 * RP_ERROR_STOPPED, now or later, as soon as the kernel is done that it is trying. Everything else goes on.
 * For a program that is told to end while it opens a model for the first time: without rp_try_main's program
 * a kernel in whose trial processes end, twice, passes for one that ends them. From any thread, and from
 * signal handlers, until the device is closed. NULL is allowed. */
RP_API void rp_device_stop(rp_device *device);

/* What this device is. Valid until it is closed. */
RP_API const rp_device_info *rp_device_get_info(const rp_device *device);

/* Bytes of device memory that are allocated through this device right now. */
RP_API uint64_t rp_device_memory_used(const rp_device *device);

#ifdef __cplusplus
}
#endif
#endif
