/* Vulkan devices: listing them, and opening one.
 *
 * The library opens the Vulkan loader at run time. Where there is no loader, these functions return
 * RP_ERROR_DEVICE with a message that names the package which brings it; a program that links this library
 * starts all the same. */
#ifndef REPRISE_DEVICE_H
#define REPRISE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call.h"
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
    bool usable;                /* rp_device_open would open it */
    char reason[160];           /* why rp_device_open would not; empty when it would */
    uint64_t reserved[8];       /* zero */
} rp_device_info;

/* Every Vulkan device of this machine, unusable ones too.
 *
 * Writes at most `capacity` entries to `infos` (NULL allowed when capacity is 0) and the number of devices to
 * `*count`. RP_ERROR_DEVICE when there is no loader or no driver. Thread-safe. */
RP_API rp_status rp_device_list(rp_device_info *infos, size_t capacity, size_t *count, rp_error *err);

/* A callback that the library calls before it times the kernels of an operator. The library does so in
 * rp_model_open, on the caller's thread, once for each operator and shape whose times the cache folder does
 * not hold. `op` names the operator, such as "matmul", and is valid during the call. The library stops timing
 * kernels after 1.5 s in all (4 s on a software driver), and times the others when a model is opened later.
 */
typedef struct rp_tuning_handler {
    void (*take)(void *user, const char *op);
    void *user;
} rp_tuning_handler;

/* Where the library first runs a kernel that is not proven on this device and driver. A driver may end the
 * process that runs one, or that compiles it. */
typedef enum rp_trials {
    RP_TRIALS_DEFAULT = 0, /* RP_TRIALS_APART on Android, RP_TRIALS_WITHIN elsewhere */
    RP_TRIALS_WITHIN,      /* in this process: a kernel may end it, twice at most (rp_try_main) */
    RP_TRIALS_APART, /* in the program `try_program`, by fork and exec; a kernel that it survives is then
                        proven here. Where that program does not start, as in an app that may not run one, the
                        library takes of each operator the plain kernel, which needs nothing beyond Vulkan 1.1
                        and computes in float32, until others are proven: a process that may end, such as a
                        service of the app's own, opens the model with RP_TRIALS_WITHIN and the same cache_dir
                      */
} rp_trials;

/* How to choose a device. The zero value takes the best one: discrete, then integrated, virtual, CPU. */
typedef struct rp_device_params {
    uint32_t index;         /* 1 + the index in rp_device_list; 0: not chosen by index */
    const char *name;       /* part of the device's or driver's name, any case; NULL: not chosen by name */
    const char *cache_dir;  /* where the library keeps pipelines, times and verdicts of kernels; NULL: the
                               user's cache folder; "": no cache */
    const char *shader_dir; /* a folder of GLSL to compile; NULL: the built-in shaders */
    const rp_tuning_handler *on_tuning; /* copied; NULL: no callback */
    const char *try_program;            /* a program that calls rp_try_main; NULL: reprise-try, where the
                                           library finds it installed; "": none */
    const rp_call *call; /* for rp_device_open, which looks at its deadline and cancel before it begins; NULL:
                            none. The library keeps copies of `log` and `user`: that log hears, until the
                            device is closed, on whatever thread, and on several at once, what is found in
                            calls on the device and its models that have no log of their own */
    rp_trials trials;
    uint64_t reserved[3]; /* zero; see reprise.h */
} rp_device_params;

/* An open device with its queue.
 *
 * Thread-safety: a program may call every function from any thread, open several models on one device, and
 * several devices at once; the library submits to one device from one thread at a time. rp_device_close says
 * what happens to calls that are going on when a thread closes the device.
 *
 * Loss. A driver may give up a device while it works: after a reset, a watchdog, a card that was pulled out.
 * A call that is working then returns RP_ERROR_DEVICE_LOST, and what it has written to the caller's buffers
 * is undefined; rp_model_open starts again before it returns that. Handles stay valid. The next call on the
 * device or on one of its models waits until all other calls have left the device and opens it again; each
 * model sends its weights again in its next run, and takes the same kernels, so the results are the same
 * bits. When the device cannot be opened again the call says why, and the next call tries once more.
 *
 * A driver that does not answer for ten minutes has lost its device too (a software driver may take longer
 * while it computes). Such a driver may still use the memory of the lost device, so the library frees nothing
 * of it until the process ends.
 *
 * Fork. A device and its models belong to the process that opened them. In a child of that process every call
 * that needs the device returns RP_ERROR_DEVICE; rp_device_close and rp_model_close only set the handle to
 * NULL and return RP_OK; calls that need no device work (rp_tokenize, rp_device_get_info, rp_model_get_info).
 * A child may open a device of its own where the driver allows it; every driver does when the parent has not
 * opened one before the fork. */
typedef struct rp_device rp_device;

/* Open a device. `params` may be NULL. On success the caller owns `*out` (rp_device_close). Where shader_dir
 * is NULL the library reads the environment variable REPRISE_SHADER_DIR, and where cache_dir is NULL it reads
 * REPRISE_CACHE_DIR. Thread-safe. */
RP_API rp_status rp_device_open(const rp_device_params *params, rp_device **out, rp_error *err);

/* Close a device, set `*device` to NULL and return RP_OK. NULL and a pointer to NULL are allowed.
 *
 * This waits for calls of rp_model_open and rp_check_kernels on the device that began before. Calls that
 * begin while it waits return RP_ERROR_ARGUMENT; to use the handle after that is an error that the library
 * cannot see. The device stays open, `*device` stays as it is and the function returns RP_ERROR_ARGUMENT at
 * once when a callback of such a call calls it, which would have to wait for itself; and when a model is open
 * on the device: close the models first. */
RP_API rp_status rp_device_close(rp_device **device);

/* The main function of a program that runs one kernel in a process of its own: reprise-try, which is
 * installed with the library, or a program of the app's own, which rp_device_params.try_program names.
 *
 * Before the library runs a kernel that is not proven, it notes so in the attempt log, in the cache folder,
 * and takes the note back afterwards. A process that ends in between leaves the note behind, whether the
 * driver ended it or somebody killed it, such as the system when memory was short. rp_model_open that finds
 * two notes of a kernel starts this program, which runs the kernel in the same way:
 * - it survives: the library wipes the notes and goes on with the kernel;
 * - it ends by itself, or by a signal that the driver raised: the library does not run the kernel again on
 * this device and driver;
 * - somebody kills it as well: this rp_model_open passes the kernel over, and the next one tries again.
 * A note from before the system was last started counts against the kernel without a repetition, since the
 * kernel may have brought the system down. Where there is no such program, two notes count against the
 * kernel.
 *
 * The library passes `argv`; main returns what this function returns. The program ends when the thread that
 * started it ends. */
RP_API int rp_try_main(int argc, char **argv);

/* Stop trying kernels on this device: each rp_model_open and rp_check_kernels that tries some, now or later,
 * finishes the kernel that it is trying and returns RP_ERROR_STOPPED. All other calls work on. A program
 * calls this when it is told to end while it opens a model for the first time; where it just ended, the
 * attempt log would hold a note against the kernel that it was trying (rp_try_main). May be called from any
 * thread and from signal handlers, until the device is closed. NULL is allowed. */
RP_API void rp_device_stop(rp_device *device);

/* What the driver says of this device. The pointer is valid until the device is closed. Thread-safe. */
RP_API const rp_device_info *rp_device_get_info(const rp_device *device);

/* Bytes of device memory that the library has allocated on this device now. Thread-safe. */
RP_API uint64_t rp_device_memory_used(const rp_device *device);

#ifdef __cplusplus
}
#endif
#endif
